//! One span around an operation, and one line when it fails.

use tracing::Instrument;

use super::frame::{Around, impl_layer};
use super::operation::{Account, Operation, Wrapped, call};
use crate::error::Result;

/// Puts a span around every operation: what is done, the adapter, the instance and the reference
/// (for a message its delivery id). Addresses and contents are never in it.
#[derive(Debug, Clone, Copy, Default)]
pub struct TraceLayer;

impl_layer!(TraceLayer);

impl Around for TraceLayer {
    async fn around<S, Op>(self, inner: S, operation: Op) -> Result<S::Response>
    where
        Op: Operation,
        S: Wrapped<Op>,
    {
        let Account { kind, instance } = operation.account();
        let span = tracing::info_span!(
            "operation",
            operation = Op::NAME,
            kind = *kind,
            instance = instance.as_str(),
            reference = %operation.reference(),
            outcome = tracing::field::Empty,
        );
        let traced = span.clone();
        let work = async move {
            let result = call(inner, operation).await;
            match &result {
                Ok(_) => traced.record("outcome", "ok"),
                Err(error) => {
                    tracing::warn!(%error, "operation failed");
                    traced.record("outcome", error.code())
                }
            };
            result
        };
        work.instrument(span).await
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use tower_layer::Layer;
    use tower_service::Service;

    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::layer::scripted::{Scripted, operation, ready};

    /// Keeps every field of every span and event as one text.
    #[derive(Debug, Clone, Default)]
    struct Seen(Arc<Mutex<String>>);

    impl Visit for Seen {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            let line = format!("{}={value:?}\n", field.name());
            self.0.lock().unwrap().push_str(&line);
        }
    }

    impl Subscriber for Seen {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, span: &Attributes<'_>) -> Id {
            span.record(&mut self.clone());
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, values: &Record<'_>) {
            values.record(&mut self.clone());
        }
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            event.record(&mut self.clone());
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn a_span_says_what_where_and_how_it_ended_and_nothing_personal() {
        let seen = Seen::default();
        let operation = operation();
        let reference = operation.reference().to_string();
        tracing::subscriber::with_default(seen.clone(), || {
            let service = Scripted::new([Err(Error::new(ErrorKind::Recipient, "chat not found"))]);
            let mut traced = TraceLayer.layer(service);
            assert!(ready(traced.call(operation.clone())).is_err());
            assert!(ready(traced.call(operation.clone())).is_ok());
        });
        let text = seen.0.lock().unwrap().clone();
        let account = operation.account();
        let fields = [
            "operation=\"send\"".to_owned(),
            "kind=\"scripted\"".to_owned(),
            format!("instance=\"{}\"", account.instance),
            format!("reference={reference}"),
            "outcome=\"recipient\"".to_owned(),
            "outcome=\"ok\"".to_owned(),
            "error=recipient refused: chat not found".to_owned(),
        ];
        for expected in fields {
            assert!(text.contains(&expected), "{expected} is not in {text}");
        }
        assert!(!text.contains(operation.message().recipient.address()), "{text}");
        assert!(!text.contains("Anna"), "{text}");
    }
}
