//! The page on which a visitor confirms a lead: plain HTML that works without JavaScript.
//!
//! Opening it changes nothing, for programs open the links of e-mails before their readers do; the button confirms.

use std::fmt;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fastlead_core::decide::{LeadState, LeadStatus};
use fastlead_core::id::{LeadId, WorkspaceId};
use fastlead_core::message::Locale;
use fastlead_core::message::url_text::HttpUrl;
use fastlead_core::port::ConfirmLinks;
use fastlead_core::secret::Pii;
use fastlead_core::time::Timestamp;
use fastlead_core::{Error, ErrorKind, Result};
use hmac::{Hmac, Mac as _};
use serde::Serialize;
use sha2::Sha256;
use uuid::Uuid;

use crate::app::{App, Backend};
use crate::client::Visitor;
use crate::form::{self, PageQuery};
use crate::keyset::{self, KeySet, SigningKey};
use crate::problem::Problem;
use crate::seal::Keyring;

const PAGE: &str = include_str!("web/confirm.html");
/// How much of the code is in a link, in bytes.
const CODE_BYTES: usize = 16;

/// Makes the links, and knows them again.
#[derive(Clone)]
pub(crate) struct Links {
    /// The codes under the keys that are believed, with nothing in them yet; links are made with the first.
    codes: Vec<Hmac<Sha256>>,
    /// The address of the page, without the token.
    base: HttpUrl,
}

impl fmt::Debug for Links {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl Links {
    /// Reads the key, which is made at the first start.
    ///
    /// # Errors
    /// Those of the store; [`ErrorKind::Config`] where the public address is none.
    pub(crate) async fn load(
        store: &dyn Backend,
        keyring: &Keyring,
        public_url: &str,
        now: Timestamp,
    ) -> Result<Self> {
        let fault = |message| Error::new(ErrorKind::Config, message).with_operation("start");
        let keys = KeySet::load(store, keyring, keyset::LINKS, now).await?;
        let codes = keys.all().map(SigningKey::code).collect();
        let base = HttpUrl::try_from(format!("{public_url}/c/"))
            .map_err(|_| fault("http.public_url is no address of the form `https://leads.example.com`"))?;
        Ok(Self { codes, base })
    }

    /// The codes of a lead, under each key.
    fn codes(&self, workspace: WorkspaceId, lead: LeadId) -> impl Iterator<Item = Hmac<Sha256>> {
        self.codes.iter().map(move |code| {
            let mut code = code.clone();
            code.update(workspace.as_uuid().as_bytes());
            code.update(lead.as_uuid().as_bytes());
            code
        })
    }

    fn token(&self, workspace: WorkspaceId, lead: LeadId) -> String {
        let code =
            self.codes(workspace, lead).next().map(|code| code.finalize().into_bytes()).unwrap_or_default();
        let mut bytes = Vec::with_capacity(32 + CODE_BYTES);
        bytes.extend_from_slice(workspace.as_uuid().as_bytes());
        bytes.extend_from_slice(lead.as_uuid().as_bytes());
        bytes.extend_from_slice(&code[..CODE_BYTES]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The lead of a token that this installation has made.
    fn read(&self, token: &str) -> Option<(WorkspaceId, LeadId)> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (ids, code) = bytes.split_at_checked(32)?;
        let (workspace, lead) = ids.split_at(16);
        let workspace = WorkspaceId::from_uuid(Uuid::from_slice(workspace).ok()?);
        let lead = LeadId::from_uuid(Uuid::from_slice(lead).ok()?);
        let whole = code.len() == CODE_BYTES;
        let is_ours = whole && self.codes(workspace, lead).any(|own| own.verify_truncated_left(code).is_ok());
        is_ours.then_some((workspace, lead))
    }
}

impl ConfirmLinks for Links {
    fn confirm(&self, workspace: WorkspaceId, lead: LeadId) -> HttpUrl {
        let url = format!("{}{}", self.base.as_str(), self.token(workspace, lead));
        HttpUrl::try_from(url).unwrap_or_else(|_| self.base.clone())
    }
}

#[derive(Debug, Serialize)]
struct Page {
    lang: &'static str,
    title: &'static str,
    text: &'static str,
    /// What the button says; `None` where there is nothing to confirm.
    button: Option<&'static str>,
}

/// How a confirmation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Waits,
    Done,
    TooLate,
}

fn standing(state: &LeadState, now: Timestamp) -> Option<Standing> {
    let confirmation = state.confirmation?;
    let over = now >= confirmation.until || matches!(state.status, LeadStatus::Rejected { .. });
    Some(match confirmation.at {
        Some(_) => Standing::Done,
        None if over => Standing::TooLate,
        None => Standing::Waits,
    })
}

fn page(standing: Standing, locale: Locale) -> Page {
    let (title, text, button) = match (standing, locale) {
        (Standing::Waits, Locale::Ru) => (
            "Подтвердите заявку",
            "Вы оставили заявку. Нажмите кнопку, если это были вы; если нет, просто закройте страницу.",
            Some("Подтвердить"),
        ),
        (Standing::Waits, Locale::En) => (
            "Please confirm your request",
            "You have sent a request. Press the button if it was you; if not, just close this page.",
            Some("Confirm"),
        ),
        (Standing::Done, Locale::Ru) => {
            ("Спасибо, заявка подтверждена", "Больше ничего делать не нужно.", None)
        }
        (Standing::Done, Locale::En) => {
            ("Thank you, your request is confirmed", "There is nothing more to do.", None)
        }
        (Standing::TooLate, Locale::Ru) => {
            ("Ссылка больше не действует", "Срок подтверждения истёк. Оставьте заявку ещё раз.", None)
        }
        (Standing::TooLate, Locale::En) => (
            "This link is no longer valid",
            "The time to confirm is over. Please send your request again.",
            None,
        ),
    };
    Page { lang: locale.as_str(), title, text, button }
}

/// `GET /c/{token}`: asks.
pub(crate) async fn show(
    State(app): State<App>,
    Path(token): Path<String>,
    Query(query): Query<PageQuery>,
    headers: HeaderMap,
) -> Response {
    answer(&app, &token, &query, &headers, None).await.unwrap_or_else(IntoResponse::into_response)
}

/// `POST /c/{token}`: confirms. Doing it again changes nothing.
pub(crate) async fn confirm(
    State(app): State<App>,
    Path(token): Path<String>,
    Query(query): Query<PageQuery>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Response {
    answer(&app, &token, &query, &headers, Some(visitor)).await.unwrap_or_else(IntoResponse::into_response)
}

async fn answer(
    app: &App,
    token: &str,
    query: &PageQuery,
    headers: &HeaderMap,
    confirms: Option<Visitor>,
) -> std::result::Result<Response, Problem> {
    let unknown = || Problem::not_found("this page");
    let (workspace, id) = app.links.read(token).ok_or_else(unknown)?;
    let read = async || -> std::result::Result<_, Problem> {
        app.store.lead(workspace, id).await?.ok_or_else(unknown)
    };
    let mut lead = read().await?;
    let now = app.engine.clock().now();
    let mut shown = standing(&lead.state, now).ok_or_else(unknown)?;
    if let Some(visitor) = confirms.filter(|_| shown == Standing::Waits) {
        let user_agent = visitor.user_agent.map(Pii::new);
        app.engine.confirm(workspace, id, visitor.ip.map(Pii::new), user_agent).await?;
        lead = read().await?;
        shown = standing(&lead.state, now).ok_or_else(unknown)?;
    }
    let locale = form::locale(query, headers, lead.capture.locale, &Locale::ALL);
    let status = if shown == Standing::TooLate { StatusCode::GONE } else { StatusCode::OK };
    Ok(form::html(PAGE, &page(shown, locale), status))
}

#[cfg(test)]
mod tests {
    use hmac::KeyInit as _;

    use super::*;

    fn links(key: u8) -> Links {
        let base = HttpUrl::try_from("https://leads.example.com/c/".to_owned()).unwrap();
        Links { codes: vec![Hmac::new_from_slice(&[key; 32]).unwrap()], base }
    }

    #[test]
    fn a_link_is_known_again_and_no_other_is() {
        let workspace = WorkspaceId::from_uuid(Uuid::from_u128(1));
        let lead = LeadId::from_uuid(Uuid::from_u128(2));
        let links = links(1);
        let url = links.confirm(workspace, lead);
        let token = url.as_str().strip_prefix("https://leads.example.com/c/").unwrap().to_owned();
        assert_eq!(token.len(), 64);
        assert_eq!(links.read(&token), Some((workspace, lead)));
        assert_eq!(self::links(2).read(&token), None, "another key");
        for changed in [&token[..63], &token[..43], "", "x", &format!("{token}AAAA")] {
            assert_eq!(links.read(changed), None, "{changed}");
        }
        for place in 0..token.len() {
            let other = if token.as_bytes()[place] == b'A' { "B" } else { "A" };
            let mut changed = token.clone();
            changed.replace_range(place..=place, other);
            assert_eq!(links.read(&changed), None, "{place}");
        }
    }
}
