//! Says, right before each request goes out, that it goes out.

use super::frame::{Around, impl_layer};
use super::operation::{Operation, Wrapped, call};
use crate::error::Result;

/// Awaits [`Operation::begin`] when nothing stands between the operation and the provider any more: what waits
/// for a rate or a place outside of this layer has certainly not been sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct BeginLayer;

impl_layer!(BeginLayer);

impl Around for BeginLayer {
    async fn around<S, Op>(self, inner: S, operation: Op) -> Result<S::Response>
    where
        Op: Operation,
        S: Wrapped<Op>,
    {
        {
            let _waiting = operation.progress().wait();
            operation.begin().await?;
        }
        call(inner, operation).await
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tower_layer::Layer;
    use tower_service::Service;

    use super::*;
    use crate::channel::SendReceipt;
    use crate::error::{Error, ErrorKind, RetryHint};
    use crate::layer::ConcurrencyLayer;
    use crate::layer::operation::{BeforeAttempt, SendMessage};
    use crate::layer::scripted::{Script, Scripted, operation, pending, ready};

    /// Counts, and refuses from the `limit`-th time on.
    #[derive(Debug, Default)]
    struct Counter {
        count: AtomicU32,
        limit: u32,
    }

    #[async_trait::async_trait]
    impl BeforeAttempt for Counter {
        async fn begin(&self) -> Result<()> {
            if self.count.fetch_add(1, Ordering::Relaxed) < self.limit {
                return Ok(());
            }
            Err(Error::new(ErrorKind::Conflict, "the lease is lost").with_retry(RetryHint::Never))
        }
    }

    fn counted(limit: u32) -> (Arc<Counter>, SendMessage) {
        let counter = Arc::new(Counter { limit, ..Counter::default() });
        let before = Arc::clone(&counter) as Arc<dyn BeforeAttempt>;
        (counter, operation().announced_to(before))
    }

    #[test]
    fn the_provider_is_called_only_after_the_attempt_was_announced() {
        let service = Scripted::new([Script::Succeed]);
        let (counter, operation) = counted(1);
        let mut begun = BeginLayer.layer(service.clone());
        assert_eq!(ready(begun.call(operation.clone())).unwrap(), SendReceipt::accepted("1"));
        assert!(ready(begun.call(operation)).is_err());
        assert_eq!((service.calls(), counter.count.load(Ordering::Relaxed)), (1, 2));
    }

    #[test]
    fn what_waits_for_its_turn_has_not_begun() {
        let service = Scripted::new([Script::Hang, Script::Succeed]);
        let mut one = ConcurrencyLayer::new(NonZeroU32::MIN).layer(BeginLayer.layer(service));
        let (first, busy) = counted(9);
        let (second, waiting) = counted(9);
        let mut busy = one.call(busy);
        let mut waiting = one.call(waiting);
        pending(&mut busy);
        pending(&mut waiting);
        assert_eq!(first.count.load(Ordering::Relaxed), 1);
        assert_eq!(second.count.load(Ordering::Relaxed), 0);
        drop(busy);
        assert!(ready(waiting).is_ok());
        assert_eq!(second.count.load(Ordering::Relaxed), 1);
    }
}
