//! An input comes in: looked up, validated and captured in one step.

use std::sync::Arc;

use super::{CaptureOutcome, CaptureRequest, Engine, IdempotencyKey};
use crate::error::{Error, ErrorKind, Result};
use crate::lead::{CaptureInput, FieldError, InputFaults, Received};
use crate::port::{AutomatedAction, Source};

impl CaptureRequest {
    /// Validates an input for a source, in the source's language and against the documents that it shows.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] with every field to mend: its message names them, [`InputFaults::of`] lists them. So is
    /// an input that looks as if a program had made it (field `bot_check`), where the source refuses such.
    pub fn read(source: Arc<Source>, mut input: CaptureInput, received: Received) -> Result<Self> {
        if let Some(automated) = input.bot_check.automated(source.limits.min_fill_millis) {
            match source.limits.automated {
                AutomatedAction::Review => input.automated = Some(automated),
                AutomatedAction::Refuse => {
                    let fault = FieldError {
                        field: "bot_check".to_owned(),
                        code: "looks_automated",
                        message:
                            "the form was filled in the way programs do it; wait a moment and send it again"
                                .to_owned(),
                    };
                    return Err(InputFaults(vec![fault]).into());
                }
            }
        }
        let validated = input.validate(&source.consents, source.locale, received);
        let capture = validated.map_err(|faults| Error::from(InputFaults(faults)))?;
        Ok(Self { source, capture, idempotency: None })
    }

    /// Adds the caller's idempotency key.
    #[must_use]
    pub const fn with_key(mut self, key: IdempotencyKey) -> Self {
        self.idempotency = Some(key);
        self
    }
}

impl Engine {
    /// Takes in what somebody has sent to the source with the public key `source`. When this returns `Ok`, the lead is
    /// on disk together with everything that must happen to it.
    ///
    /// # Behavior
    /// * Looks the source up, validates by [`CaptureRequest::read`] and captures by [`Engine::capture`].
    /// * `received` says when and from where it came; `Received::at(engine.clock().now())` where no more is known.
    /// * Counts nothing against the source's limits, and knows no origins: that is for whoever serves HTTP.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no such source, or it takes no leads; those of [`CaptureRequest::read`],
    /// which name the field, and of [`Engine::capture`].
    ///
    /// See the [example of the whole crate](crate#embed-it).
    pub async fn capture_input(
        &self,
        source: &str,
        input: CaptureInput,
        received: Received,
    ) -> Result<CaptureOutcome> {
        let found = self.directory().source(source).filter(|source| source.active).cloned();
        let source = found.ok_or_else(|| {
            let message = format!("no source with the key `{source}` takes leads");
            Error::new(ErrorKind::NotFound, message).with_operation("capture")
        })?;
        self.capture(CaptureRequest::read(source, input, received)?).await
    }
}
