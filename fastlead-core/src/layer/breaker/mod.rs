//! Leaves a provider alone that does not answer.

mod machine;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::machine::{Breaker, BreakerPolicy, BreakerState, Ticket, Verdict};
use super::frame::{Around, impl_layer};
use super::operation::{Operation, Wrapped, call};
use crate::error::{Error, ErrorKind, Result, RetryHint};
use crate::time::Clock;

/// Refuses operations with [`ErrorKind::Paused`] while the breaker is open; the error is
/// [`RetryHint::Safe`] and says when to come back. What a person wants to know right now
/// ([`Operation::passes_open_breaker`]) goes on, and says nothing for the others.
///
/// One layer has one breaker: everything it wraps shares it.
#[derive(Debug, Clone)]
pub struct CircuitBreakerLayer {
    handle: BreakerHandle,
}

impl CircuitBreakerLayer {
    /// A closed breaker that reads the time from `clock`.
    pub fn new(policy: BreakerPolicy, clock: Arc<dyn Clock>) -> Self {
        let breaker = Arc::new(Mutex::new(Breaker::new(policy)));
        Self { handle: BreakerHandle { breaker, clock } }
    }

    /// A view of the breaker.
    pub fn handle(&self) -> BreakerHandle {
        self.handle.clone()
    }
}

/// A view of a breaker.
#[derive(Debug, Clone)]
pub struct BreakerHandle {
    breaker: Arc<Mutex<Breaker>>,
    clock: Arc<dyn Clock>,
}

impl BreakerHandle {
    /// What the breaker shows now.
    pub fn state(&self) -> BreakerState {
        self.lock().state(self.clock.now())
    }

    /// A panic elsewhere leaves counters behind that are still good.
    fn lock(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Settles a ticket exactly once, also when the operation is dropped halfway.
struct Attempt {
    handle: BreakerHandle,
    ticket: Ticket,
    verdict: Verdict,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let now = self.handle.clock.now();
        self.handle.lock().settle(self.ticket, self.verdict, now);
    }
}

impl_layer!(CircuitBreakerLayer);

impl Around for CircuitBreakerLayer {
    async fn around<S, Op>(self, inner: S, operation: Op) -> Result<S::Response>
    where
        Op: Operation,
        S: Wrapped<Op>,
    {
        let now = self.handle.clock.now();
        if operation.passes_open_breaker() && self.handle.state() != BreakerState::Closed {
            return call(inner, operation).await;
        }
        let ticket = self.handle.lock().admit(now).map_err(|left| {
            Error::new(ErrorKind::Paused, "the circuit breaker is open")
                .with_retry(RetryHint::Safe { after: Some(left) })
                .with_adapter(operation.account().kind)
                .with_operation(Op::NAME)
        })?;
        let mut attempt = Attempt { handle: self.handle, ticket, verdict: Verdict::Silent };
        let result = call(inner, operation).await;
        attempt.verdict = Verdict::of(&result);
        result
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tower_layer::Layer;
    use tower_service::Service;

    use super::*;
    use crate::layer::scripted::{
        Script, Scripted, manual_clock, operation, pending, ready, shared, unavailable,
    };
    use crate::time::{epoch, plus_seconds};

    #[test]
    fn refuses_while_open_and_shows_it() {
        let clock = manual_clock();
        let script = (0..5).map(|_| Err(unavailable()));
        let service = Scripted::with_clock(script, &clock);
        let layer = CircuitBreakerLayer::new(BreakerPolicy::default(), shared(&clock));
        let handle = layer.handle();
        let mut guarded = layer.layer(service.clone());
        for _ in 0..5 {
            assert_eq!(handle.state(), BreakerState::Closed);
            assert!(ready(guarded.call(operation())).is_err());
        }
        assert_eq!(handle.state(), BreakerState::Open { until: plus_seconds(epoch(), 30) });

        clock.advance(Duration::from_secs(10));
        let error = ready(guarded.clone().call(operation())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Paused);
        assert_eq!(error.retry(), RetryHint::Safe { after: Some(Duration::from_secs(20)) });
        assert_eq!(service.calls(), 5);

        clock.advance(Duration::from_secs(20));
        assert_eq!(handle.state(), BreakerState::HalfOpen);
        assert!(ready(guarded.call(operation())).is_ok());
        assert_eq!(handle.state(), BreakerState::Closed);
    }

    #[test]
    fn a_dropped_probe_gives_its_place_back() {
        let clock = manual_clock();
        let script = (0..5).map(|_| Script::Fail(unavailable())).chain([Script::Hang]);
        let service = Scripted::with_clock(script, &clock);
        let layer = CircuitBreakerLayer::new(BreakerPolicy::default(), shared(&clock));
        let mut guarded = layer.layer(service);
        for _ in 0..5 {
            assert!(ready(guarded.call(operation())).is_err());
        }
        clock.advance(Duration::from_secs(30));
        let mut probe = guarded.call(operation());
        pending(&mut probe);
        assert_eq!(ready(guarded.call(operation())).unwrap_err().kind(), ErrorKind::Paused);
        drop(probe);
        assert!(ready(guarded.call(operation())).is_ok());
        assert_eq!(layer.handle().state(), BreakerState::Closed);
    }
}
