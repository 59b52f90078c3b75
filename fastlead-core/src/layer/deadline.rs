//! A limit on the whole operation, waits and retries included.

use std::sync::Arc;
use std::time::Duration;

use super::frame::{Around, impl_layer};
use super::operation::{Operation, Wrapped, call};
use crate::error::{Error, ErrorKind, Result, RetryHint};
use crate::time::{Clock, plus};

/// Ends an operation that takes too long with [`ErrorKind::Timeout`].
///
/// The error is [`RetryHint::Safe`] where an inner layer has noted that the operation was only
/// waiting for its turn, else [`RetryHint::IfIdempotent`].
#[derive(Debug, Clone)]
pub struct DeadlineLayer {
    total: Duration,
    clock: Arc<dyn Clock>,
}

impl DeadlineLayer {
    /// Allows `total` by `clock`.
    pub fn new(total: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { total, clock }
    }
}

impl_layer!(DeadlineLayer);

impl Around for DeadlineLayer {
    async fn around<S, Op>(self, inner: S, operation: Op) -> Result<S::Response>
    where
        Op: Operation,
        S: Wrapped<Op>,
    {
        let end = plus(self.clock.now(), self.total);
        let kind = operation.account().kind;
        let progress = operation.progress().clone();
        let asks = operation.is_question();
        let work = std::pin::pin!(call(inner, operation));
        tokio::select! {
            biased;
            result = work => result,
            // `work` is dropped only after this block, so that the notes of the inner layers still hold.
            () = self.clock.sleep_until(end) => {
                let retry = if asks || progress.provider_did_not_act() { RetryHint::SAFE } else { RetryHint::UNKNOWN };
                Err(Error::new(ErrorKind::Timeout, "the deadline of the whole operation has passed")
                    .with_retry(retry)
                    .with_adapter(kind)
                    .with_operation(Op::NAME)
                    .with_context("deadline_millis", self.total.as_millis().to_string()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tower_layer::Layer;
    use tower_service::Service;

    use super::*;
    use crate::layer::scripted::{Script, Scripted, manual_clock, operation, pending, ready, shared};

    fn timed_out(waiting: bool) -> Error {
        let clock = manual_clock();
        let script = if waiting { Script::Wait } else { Script::Hang };
        let service = Scripted::with_clock([script], &clock);
        let mut limited = DeadlineLayer::new(Duration::from_secs(30), shared(&clock)).layer(service);
        let mut send = limited.call(operation());
        pending(&mut send);
        clock.advance(Duration::from_millis(29_999));
        pending(&mut send);
        clock.advance(Duration::from_millis(1));
        ready(send).unwrap_err()
    }

    #[test]
    fn an_operation_on_the_wire_ends_unknown() {
        let error = timed_out(false);
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, RetryHint::UNKNOWN));
        assert_eq!(error.adapter(), Some("scripted"));
    }

    #[test]
    fn an_operation_that_only_waited_may_be_made_again() {
        let error = timed_out(true);
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, RetryHint::SAFE));
    }

    #[test]
    fn an_answer_at_the_last_moment_counts() {
        let clock = manual_clock();
        let service = Scripted::with_clock([Script::After(Duration::from_secs(30))], &clock);
        let mut limited = DeadlineLayer::new(Duration::from_secs(30), shared(&clock)).layer(service);
        let mut send = limited.call(operation());
        pending(&mut send);
        clock.advance(Duration::from_secs(30));
        assert!(ready(send).is_ok());
    }
}
