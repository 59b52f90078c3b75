//! Programs that know more about a lead.

use std::collections::BTreeMap;
use std::fmt::Debug;

use async_trait::async_trait;

use crate::error::Result;
use crate::lead::Capture;
use crate::secret::Pii;

/// Knows more about a lead than the visitor has said: the city of a phone, the company of an address.
///
/// # Behavior
/// * The engine asks before it decides, once for each capture, and waits no longer than the policy allows;
///   the future may be dropped at any await point.
/// * It retries nothing and reads no clock.
/// * What it answers is kept with the lead, as personal data is.
#[async_trait]
pub trait Enricher: Debug + Send + Sync + 'static {
    /// The name by which policies call it: lower case, digits and `_`.
    fn name(&self) -> &str;

    /// What it knows of this lead, by key; nothing where it knows nothing.
    ///
    /// # Errors
    /// Where it could not find out. The lead goes on without.
    async fn enrich(&self, capture: &Capture) -> Result<BTreeMap<String, Pii<String>>>;
}
