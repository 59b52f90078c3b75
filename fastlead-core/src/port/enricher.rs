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
///
/// ```
/// use std::collections::BTreeMap;
///
/// use fastlead_core::lead::Capture;
/// use fastlead_core::port::Enricher;
/// use fastlead_core::secret::Pii;
/// use fastlead_core::{Result, async_trait};
///
/// /// Says of a lead whether its e-mail address is that of a company.
/// #[derive(Debug)]
/// struct Company;
///
/// #[async_trait]
/// impl Enricher for Company {
///     fn name(&self) -> &str {
///         "company"
///     }
///
///     async fn enrich(&self, capture: &Capture) -> Result<BTreeMap<String, Pii<String>>> {
///         let Some(email) = &capture.contact.email else { return Ok(BTreeMap::new()) };
///         let company = email.ascii_domain() != "mail.example.com";
///         Ok(BTreeMap::from([("company".to_owned(), Pii::new(company.to_string()))]))
///     }
/// }
/// ```
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
