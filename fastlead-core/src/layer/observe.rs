//! How long operations take and how they end, as metrics.

use std::sync::Arc;

use super::frame::{Around, impl_layer};
use super::operation::{Operation, Wrapped, call};
use crate::error::{Error, Result};
use crate::meter::{self, Finished};
use crate::time::Clock;

/// Records every operation that ends in the histogram [`Operation::SECONDS`] (label `kind`) and the
/// counter [`Operation::TOTAL`] (labels `kind` and `outcome`, which is `ok` or the code of the error).
#[derive(Debug, Clone)]
pub struct ObserveLayer {
    clock: Arc<dyn Clock>,
}

impl ObserveLayer {
    /// Measures by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }
}

impl_layer!(ObserveLayer);

impl Around for ObserveLayer {
    async fn around<S, Op>(self, inner: S, operation: Op) -> Result<S::Response>
    where
        Op: Operation,
        S: Wrapped<Op>,
    {
        let kind = operation.account().kind;
        let started = self.clock.now();
        let result = call(inner, operation).await;
        // A clock that was set back meanwhile gives a negative length: it counts as none.
        let took = (self.clock.now() - started).to_std().unwrap_or_default();
        let outcome = result.as_ref().map_or_else(Error::code, |_| "ok");
        let (seconds, total) = (Op::SECONDS, Op::TOTAL);
        meter::operation(&Finished { seconds, total, kind, outcome }, took);
        result
    }
}

#[cfg(test)]
#[cfg(feature = "metrics")]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use metrics::{Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder};
    use metrics::{SharedString, Unit};

    use tower_layer::Layer;
    use tower_service::Service;

    use super::*;
    use crate::error::ErrorKind;
    use crate::layer::scripted::{Script, Scripted, manual_clock, operation, pending, ready, shared};

    #[derive(Debug, Clone, Default)]
    struct Book(Arc<Mutex<Vec<String>>>);

    #[derive(Debug)]
    struct Line(String, Book);

    impl Line {
        fn write(&self, value: &str) {
            self.1.0.lock().unwrap().push(format!("{} {value}", self.0));
        }
    }

    impl CounterFn for Line {
        fn increment(&self, value: u64) {
            self.write(&format!("+{value}"));
        }
        fn absolute(&self, _: u64) {}
    }

    impl HistogramFn for Line {
        fn record(&self, value: f64) {
            self.write(&format!("{value}"));
        }
    }

    impl Book {
        fn line(&self, key: &Key) -> Arc<Line> {
            let labels: Vec<_> =
                key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            Arc::new(Line(format!("{}{{{}}}", key.name(), labels.join(",")), self.clone()))
        }
    }

    impl Recorder for Book {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(self.line(key))
        }
        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }
        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::from_arc(self.line(key))
        }
    }

    #[test]
    fn counts_by_outcome_and_measures_by_the_clock() {
        let book = Book::default();
        metrics::with_local_recorder(&book, || {
            let clock = manual_clock();
            let refused = Error::new(ErrorKind::RateLimited, "too many requests");
            let script = [Script::After(Duration::from_millis(1500)), Script::Fail(refused)];
            let service = Scripted::with_clock(script, &clock);
            let mut observed = ObserveLayer::new(shared(&clock)).layer(service);
            let mut first = observed.call(operation());
            pending(&mut first);
            clock.advance(Duration::from_millis(1500));
            assert!(ready(first).is_ok());
            assert!(ready(observed.call(operation())).is_err());
        });
        assert_eq!(
            *book.0.lock().unwrap(),
            [
                "fastlead_channel_send_seconds{kind=scripted} 1.5",
                "fastlead_channel_send_total{kind=scripted,outcome=ok} +1",
                "fastlead_channel_send_seconds{kind=scripted} 0",
                "fastlead_channel_send_total{kind=scripted,outcome=rate_limited} +1",
            ]
        );
    }
}
