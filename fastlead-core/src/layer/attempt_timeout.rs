//! A limit on one attempt.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::frame::{Around, impl_layer};
use super::operation::{Operation, Wrapped, call};
use crate::error::{Error, ErrorKind, Result, RetryHint};
use crate::time::{Clock, plus};

/// Ends one attempt that takes too long with [`ErrorKind::Timeout`] and [`RetryHint::IfIdempotent`],
/// because the request may have been written; with [`RetryHint::Safe`] where it is a question.
#[derive(Debug, Clone)]
pub struct AttemptTimeoutLayer {
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

impl AttemptTimeoutLayer {
    /// Allows `timeout` by `clock`.
    pub fn new(timeout: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { timeout, clock }
    }
}

impl_layer!(AttemptTimeoutLayer);

impl Around for AttemptTimeoutLayer {
    async fn around<S, Op>(self, inner: S, operation: Op) -> Result<S::Response>
    where
        Op: Operation,
        S: Wrapped<Op>,
    {
        let kind = operation.account().kind;
        let retry = if operation.is_question() { RetryHint::SAFE } else { RetryHint::UNKNOWN };
        let late = || timed_out(self.timeout, kind, Op::NAME, retry);
        within(&*self.clock, self.timeout, call(inner, operation), late).await
    }
}

/// The result of `work`, or `late()` where it has not come within `timeout`.
pub(super) async fn within<T>(
    clock: &dyn Clock,
    timeout: Duration,
    work: impl Future<Output = Result<T>> + Send,
    late: impl FnOnce() -> Error + Send,
) -> Result<T> {
    let end = plus(clock.now(), timeout);
    tokio::select! {
        biased;
        result = work => result,
        () = clock.sleep_until(end) => Err(late()),
    }
}

pub(super) fn timed_out(
    timeout: Duration,
    kind: &'static str,
    operation: &'static str,
    retry: RetryHint,
) -> Error {
    Error::new(ErrorKind::Timeout, "no answer in time")
        .with_retry(retry)
        .with_adapter(kind)
        .with_operation(operation)
        .with_context("timeout_millis", timeout.as_millis().to_string())
}

#[cfg(test)]
mod tests {
    use tower_layer::Layer;
    use tower_service::Service;

    use super::*;
    use crate::layer::scripted::{Script, Scripted, manual_clock, operation, pending, ready, shared};

    #[test]
    fn a_late_answer_leaves_the_outcome_unknown() {
        let clock = manual_clock();
        let script = [Script::Hang, Script::After(Duration::from_secs(9))];
        let service = Scripted::with_clock(script, &clock);
        let mut limited = AttemptTimeoutLayer::new(Duration::from_secs(10), shared(&clock)).layer(service);

        let mut late = limited.call(operation());
        pending(&mut late);
        clock.advance(Duration::from_secs(10));
        let error = ready(late).unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, RetryHint::UNKNOWN));
        assert_eq!(error.to_string(), "scripted send: timed out: no answer in time, timeout_millis=10000");

        let mut prompt = limited.call(operation());
        pending(&mut prompt);
        clock.advance(Duration::from_secs(9));
        assert!(ready(prompt).is_ok());
    }
}
