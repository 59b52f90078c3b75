//! Which messenger accounts and phone numbers are one person's.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fastlead_core::contact::{Handle, Phone};
use fastlead_core::id::IdentityId;
use fastlead_core::port::{IdentityFilter, IdentityLink, LinkedBy, Undone};
use fastlead_core::secret::Pii;
use fastlead_core::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::{Body, Faults, Id, List, Query, meaningless};
use crate::app::App;
use crate::auth::{Admin, Operator};
use crate::problem::Problem;

/// That a messenger account is that of who has a phone number.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Identity")]
pub(crate) struct IdentityView {
    /// Its id.
    id: IdentityId,
    /// The account.
    handle: Handle,
    /// The phone number.
    phone: Phone,
    /// Who says so.
    by: LinkedBy,
    /// When it was said.
    at: Timestamp,
    /// When and why it was taken back; it holds where this is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    undone: Option<Undone>,
}

impl From<IdentityLink> for IdentityView {
    fn from(link: IdentityLink) -> Self {
        let IdentityLink { id, handle, phone, by, at, undone, .. } = link;
        Self { id, handle, phone, by, at, undone }
    }
}

/// An account and a phone number of one person.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewIdentity")]
pub(crate) struct IdentityInput {
    /// The account, as leads name it.
    handle: Handle,
    /// The phone number.
    phone: Pii<String>,
}

/// Links of accounts and phone numbers, newest first, those that were taken back included.
#[utoipa::path(
    get, path = "/v1/identities", tag = "identities",
    params(
        ("phone" = Option<String>, Query, description = "Only links to this phone number"),
        ("messenger" = Option<String>, Query, description = "Only links of one account: the kind of channel that knows it"),
        ("account" = Option<String>, Query, description = "Only links of one account: its id there"),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "At most so many, 1 to 200; 50 unless said"),
    ),
    responses((status = 200, description = "The links", body = ref("#/components/schemas/IdentityList"))),
)]
pub(crate) async fn list_identities(
    State(app): State<App>,
    operator: Operator,
    mut query: Query,
) -> Result<Json<List<IdentityView>>, Problem> {
    let page = query.take_page()?;
    // An unescaped plus sign comes as a space.
    let phone = query
        .take::<String>("phone")?
        .map(|text| text.replacen(' ', "+", usize::from(text.starts_with(' '))));
    let phone = phone.map(|text| Phone::parse(&text)).transpose();
    let phone = phone.map_err(|error| meaningless("phone", error.to_string()))?;
    let handle = match (query.take::<String>("messenger")?, query.take::<String>("account")?) {
        (None, None) => None,
        (Some(messenger), Some(id)) => {
            let named = Handle { messenger, id: Pii::new(id) }.read();
            let wrong = || meaningless("account", Handle::EXPECTED.to_owned());
            Some(named.ok_or_else(wrong)?)
        }
        (Some(_), None) | (None, Some(_)) => {
            let message = "an account is named by both `messenger` and `account`".to_owned();
            return Err(meaningless("account", message));
        }
    };
    query.finish()?;
    let found =
        app.store.identity_links(operator.workspace_id, IdentityFilter { handle, phone }, page).await?;
    Ok(Json(List::of(found, IdentityView::from)))
}

/// Say that an account and a phone number are one person's, for all leads that come from now on. The account's earlier phone
/// number is not its own any more.
#[utoipa::path(
    post, path = "/v1/identities", tag = "identities",
    request_body = ref("#/components/schemas/NewIdentity"),
    responses((status = 201, description = "The link that holds now", body = ref("#/components/schemas/Identity"))),
)]
pub(crate) async fn create_identity(
    State(app): State<App>,
    Admin(operator): Admin,
    Body(input): Body<IdentityInput>,
) -> Result<(StatusCode, Json<IdentityView>), Problem> {
    let mut faults = Faults::default();
    let handle = input.handle.read();
    if handle.is_none() {
        faults.add("handle", "invalid_handle", Handle::EXPECTED);
    }
    let phone = Phone::parse(input.phone.expose());
    if let Err(error) = &phone {
        faults.add("phone", "invalid_phone", error.to_string());
    }
    let (Some(handle), Ok(phone)) = (handle, phone) else {
        return Err(faults.problem());
    };
    let now = app.engine.clock().now();
    let link = IdentityLink {
        id: IdentityId::generate(&**app.engine.ids(), now),
        workspace_id: operator.workspace_id,
        handle,
        phone,
        by: LinkedBy::Operator { actor: operator.actor.to_string() },
        at: now,
        undone: None,
    };
    let link = app.engine.link_identity(link).await?;
    tracing::info!(identity = %link.id, actor = %operator.actor, "an operator has linked an account and a phone number");
    Ok((StatusCode::CREATED, Json(link.into())))
}

/// Take a link back: leads that come from now on are those of two people. What was decided stays decided.
#[utoipa::path(
    post, path = "/v1/identities/{id}/undo", tag = "identities",
    params(("id" = String, Path, description = "The link's id")),
    responses((status = 200, description = "The link, which holds no more", body = ref("#/components/schemas/Identity"))),
)]
pub(crate) async fn undo_identity(
    State(app): State<App>,
    Admin(operator): Admin,
    Id(id): Id<IdentityId>,
) -> Result<Json<IdentityView>, Problem> {
    let actor = operator.actor.to_string();
    let undone =
        Undone { at: app.engine.clock().now(), reason: "operator".to_owned(), by: Some(actor.clone()) };
    let link = app.engine.undo_identity(operator.workspace_id, id, undone).await?;
    let link = link.ok_or_else(|| Problem::not_found("this link"))?;
    tracing::info!(identity = %id, actor, "an operator has undone a link");
    Ok(Json(link.into()))
}
