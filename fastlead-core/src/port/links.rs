//! Pages of the program around the engine that messages link to.

use std::fmt::Debug;

use crate::id::{LeadId, WorkspaceId};
use crate::message::url_text::HttpUrl;

/// Where visitors confirm leads.
///
/// ```
/// use fastlead_core::id::{LeadId, WorkspaceId};
/// use fastlead_core::message::url_text::HttpUrl;
/// use fastlead_core::port::ConfirmLinks;
///
/// /// Pages whose address ends in something that nobody can guess.
/// #[derive(Debug)]
/// struct Pages {
///     signed: fn(LeadId) -> String,
/// }
///
/// impl ConfirmLinks for Pages {
///     fn confirm(&self, _workspace: WorkspaceId, lead: LeadId) -> HttpUrl {
///         let page = format!("https://example.com/confirm/{}", (self.signed)(lead));
///         HttpUrl::try_from(page).expect("it begins with https:// and holds no spaces")
///     }
/// }
/// ```
pub trait ConfirmLinks: Debug + Send + Sync + 'static {
    /// The page on which a visitor confirms this lead, always the same for a lead.
    ///
    /// The link must not be guessable from the lead's id, which the visitor's page knows. Opening it must not
    /// confirm: programs open the links of e-mails before their readers do. What the visitor does there ends in
    /// [`Engine::confirm`](crate::engine::Engine::confirm).
    fn confirm(&self, workspace: WorkspaceId, lead: LeadId) -> HttpUrl;
}
