//! How many operations of one account are under way at once.

use std::num::NonZeroU32;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::frame::{Around, impl_layer};
use super::operation::{Operation, Wrapped, call};
use crate::error::{Error, ErrorKind, Result, RetryHint};

/// Lets a number of operations through at once; the others wait, first come, first served.
///
/// The wait has no limit of its own: put a [`super::DeadlineLayer`] outside.
#[derive(Debug, Clone)]
pub struct ConcurrencyLayer {
    permits: Arc<Semaphore>,
}

impl ConcurrencyLayer {
    /// Everything wrapped by this layer and its clones shares `max_in_flight` places.
    pub fn new(max_in_flight: NonZeroU32) -> Self {
        let permits = usize::try_from(max_in_flight.get()).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { permits: Arc::new(Semaphore::new(permits)) }
    }
}

impl_layer!(ConcurrencyLayer);

impl Around for ConcurrencyLayer {
    async fn around<S, Op>(self, inner: S, operation: Op) -> Result<S::Response>
    where
        Op: Operation,
        S: Wrapped<Op>,
    {
        let permit = {
            let _waiting = operation.progress().wait();
            self.permits.acquire().await
        };
        // Nobody closes the semaphore; if somebody ever does, nothing was sent.
        let _permit = permit.map_err(|closed| {
            Error::new(ErrorKind::Internal, "the concurrency limit is gone")
                .with_retry(RetryHint::SAFE)
                .with_source(closed)
        })?;
        call(inner, operation).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tower_layer::Layer;
    use tower_service::Service;

    use super::*;
    use crate::layer::scripted::{Script, Scripted, manual_clock, operation, pending, ready};

    #[test]
    fn one_waits_for_the_other_and_a_dropped_one_makes_room() {
        let clock = manual_clock();
        let script = [Script::After(Duration::from_secs(1)), Script::Hang, Script::Succeed];
        let service = Scripted::with_clock(script, &clock);
        let mut limited = ConcurrencyLayer::new(NonZeroU32::MIN).layer(service.clone());

        let mut first = limited.call(operation());
        let waiting = operation();
        let mut second = limited.call(waiting.clone());
        pending(&mut first);
        pending(&mut second);
        assert_eq!(service.calls(), 1);
        assert!(waiting.progress().provider_did_not_act());

        clock.advance(Duration::from_secs(1));
        assert!(ready(first).is_ok());
        pending(&mut second);
        assert_eq!(service.calls(), 2);
        assert!(!waiting.progress().provider_did_not_act());

        let mut third = limited.call(operation());
        pending(&mut third);
        drop(second);
        assert!(ready(third).is_ok());
    }
}
