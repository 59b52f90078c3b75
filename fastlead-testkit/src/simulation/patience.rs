//! Waiting for a store that works elsewhere, while everything simulated stands still.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread::{self, Thread};

use futures_util::FutureExt as _;
use tokio::runtime::Handle;

/// How calls of a store are answered.
#[derive(Debug, Clone)]
pub(super) enum Patience {
    /// At once: the store is in memory.
    None,
    /// By threads and tasks of another runtime. Each call is waited for on the spot, so that there is one at a
    /// time, and what happens in the simulation does not depend on how long it takes.
    While(Handle),
}

impl Patience {
    /// The answer; `None` where it does not come at once and nobody waits.
    pub(super) fn wait<F: Future>(&self, call: F) -> Option<F::Output> {
        match self {
            Self::None => call.now_or_never(),
            Self::While(runtime) => {
                let _there = runtime.enter();
                // Else the budget of the simulated task would end, and with it every chance of an answer.
                Some(stand_still(tokio::task::unconstrained(call)))
            }
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks the thread. A runtime would refuse to, because the thread is one of its own.
fn stand_still<F: Future>(call: F) -> F::Output {
    let mut call = pin!(call);
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut context = Context::from_waker(&waker);
    loop {
        match call.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_from_elsewhere_is_waited_for_within_a_runtime() {
        let elsewhere = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let here = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let patience = Patience::While(elsewhere.handle().clone());
        let (ask, mut asked) = tokio::sync::mpsc::channel::<tokio::sync::oneshot::Sender<u64>>(1);
        elsewhere.spawn(async move {
            let mut answers = 0;
            while let Some(answer) = asked.recv().await {
                answers += 1;
                answer.send(answers).unwrap();
            }
        });
        here.block_on(async move {
            // More often than a task may go on without a pause.
            for number in 1..=1_000 {
                let (sender, receiver) = tokio::sync::oneshot::channel();
                let call = async {
                    ask.send(sender).await.unwrap();
                    receiver.await.unwrap()
                };
                assert_eq!(patience.wait(call), Some(number));
            }
            assert_eq!(Patience::None.wait(std::future::pending::<()>()), None);
        });
    }
}
