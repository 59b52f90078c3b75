//! Keys for programs.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use fastlead_core::id::ApiKeyId;
use fastlead_core::port::{ApiKeyRecord, Role};
use fastlead_core::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::{Body, Faults, Id, List};
use super::session::private;
use crate::app::App;
use crate::auth::{Admin, NewApiKey, scopes};
use crate::problem::Problem;

/// An API key, without the key itself.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ApiKey")]
pub(crate) struct ApiKeyView {
    /// Its id.
    id: ApiKeyId,
    /// What people call it.
    name: String,
    /// Its first characters.
    hint: String,
    /// What it may do.
    role: Role,
    /// The parts of the API that it may use, within what its role may; empty for all of them.
    scopes: Vec<String>,
    /// When it was created.
    created_at: Timestamp,
    /// From which moment on it is refused; `null` where it has no end.
    expires_at: Option<Timestamp>,
    /// When it was used last, give or take a minute; `null` before the first time.
    last_used_at: Option<Timestamp>,
    /// When it was revoked; `null` while it is good.
    revoked_at: Option<Timestamp>,
}

impl From<ApiKeyRecord> for ApiKeyView {
    fn from(key: ApiKeyRecord) -> Self {
        let ApiKeyRecord {
            id,
            name,
            hint,
            role,
            scopes,
            created_at,
            expires_at,
            last_used_at,
            revoked_at,
            ..
        } = key;
        Self { id, name, hint, role, scopes, created_at, expires_at, last_used_at, revoked_at }
    }
}

/// A key to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewApiKey")]
pub(crate) struct ApiKeyInput {
    /// What people call it. Up to 100 characters.
    #[schemars(length(min = 1, max = 100))]
    name: String,
    /// What it may do.
    role: Role,
    /// The parts of the API that it may use, such as `leads:read` or `policies:write` (which includes reading); everything
    /// that the role may where it is left out.
    #[serde(default)]
    #[schemars(length(max = 14))]
    scopes: Vec<String>,
    /// From which moment on it is refused.
    #[serde(default, deserialize_with = "super::input::optional_moment")]
    expires_at: Option<Timestamp>,
}

/// A key that was just made.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CreatedApiKey")]
pub(crate) struct CreatedApiKey {
    /// The key itself. It is shown this once and never again.
    key: String,
    /// Everything else.
    #[serde(flatten)]
    record: ApiKeyView,
}

/// Make an API key.
#[utoipa::path(
    post, path = "/v1/api-keys", tag = "session",
    request_body = ref("#/components/schemas/NewApiKey"),
    responses((status = 201, description = "The key, shown once", body = ref("#/components/schemas/CreatedApiKey"))),
)]
pub(crate) async fn create_api_key(
    State(app): State<App>,
    Admin(operator): Admin,
    Body(input): Body<ApiKeyInput>,
) -> Result<Response, Problem> {
    let now = app.engine.clock().now();
    let mut faults = Faults::default();
    faults.text("name", &input.name, 100);
    let known: Vec<String> = scopes::all().collect();
    for (index, _) in input.scopes.iter().enumerate().filter(|(_, scope)| !known.contains(scope)) {
        faults.add(
            format!("scopes[{index}]"),
            "unknown_scope",
            format!("expected one of {}", known.join(", ")),
        );
    }
    if input.expires_at.is_some_and(|end| end <= now) {
        faults.add("expires_at", "invalid_time", "must be in the future");
    }
    faults.finish()?;
    let new = NewApiKey::generate();
    let mut scopes = input.scopes;
    scopes.sort_unstable();
    scopes.dedup();
    let record = ApiKeyRecord {
        id: ApiKeyId::generate(&**app.engine.ids(), now),
        workspace_id: operator.workspace_id,
        name: input.name,
        hash: new.hash,
        hint: new.hint,
        role: input.role,
        scopes,
        created_at: now,
        expires_at: input.expires_at,
        last_used_at: None,
        revoked_at: None,
    };
    app.store.put_api_key(record.clone()).await?;
    tracing::info!(key = %record.id, actor = %operator.actor, "API key created");
    let created = CreatedApiKey { key: new.secret.expose().clone(), record: record.into() };
    Ok(private(StatusCode::CREATED, Json(created)))
}

/// All API keys, newest first.
#[utoipa::path(
    get, path = "/v1/api-keys", tag = "session",
    responses((status = 200, description = "The keys", body = ref("#/components/schemas/ApiKeyList"))),
)]
pub(crate) async fn list_api_keys(
    State(app): State<App>,
    Admin(operator): Admin,
) -> Result<Json<List<ApiKeyView>>, Problem> {
    let keys = app.store.api_keys(operator.workspace_id).await?;
    Ok(Json(List::whole(keys.into_iter().map(ApiKeyView::from).collect())))
}

/// Revoke an API key.
#[utoipa::path(
    delete, path = "/v1/api-keys/{id}", tag = "session",
    params(("id" = String, Path, description = "The key's id")),
    responses((status = 204, description = "Revoked")),
)]
pub(crate) async fn revoke_api_key(
    State(app): State<App>,
    Admin(operator): Admin,
    Id(id): Id<ApiKeyId>,
) -> Result<StatusCode, Problem> {
    if app.store.revoke_api_key(operator.workspace_id, id, app.engine.clock().now()).await? {
        tracing::info!(key = %id, actor = %operator.actor, "API key revoked");
        return Ok(StatusCode::NO_CONTENT);
    }
    // Revoking twice is no fault.
    let keys = app.store.api_keys(operator.workspace_id).await?;
    match keys.iter().any(|key| key.id == id) {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("this API key")),
    }
}
