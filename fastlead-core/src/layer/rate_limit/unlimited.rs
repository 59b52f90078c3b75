//! No limit: what there is without the cargo feature `rate-limit`. The engine refuses channels that have one.

use std::sync::Arc;
use std::time::Duration;

use crate::channel::Rate;
use crate::layer::operation::RecipientKey;
use crate::time::Clock;

/// Lets everything pass.
#[derive(Debug)]
pub(super) struct Limiter;

impl Limiter {
    pub(super) fn new(_account: Option<Rate>, _recipient: Option<Rate>, _clock: Arc<dyn Clock>) -> Self {
        Self
    }

    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "the signature of the real one")]
    pub(super) const fn take(&self, _recipient: Option<RecipientKey>) -> Result<(), Duration> {
        Ok(())
    }
}
