//! Signing in, and keys for programs.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use fastlead_core::id::{ApiKeyId, UserId, WorkspaceId};
use fastlead_core::port::{ApiKeyRecord, Role};
use fastlead_core::secret::{Pii, Secret};
use fastlead_core::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::{Body, Faults, Id, List};
use crate::app::App;
use crate::auth::{Actor, Denied, NewApiKey, Operator};
use crate::client::Visitor;
use crate::problem::Problem;

/// Login and password.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Login")]
pub(crate) struct LoginInput {
    /// The name to sign in with.
    login: Pii<String>,
    /// The password.
    password: Secret<String>,
}

/// A token. Send it as `Authorization: Bearer`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Token")]
pub(crate) struct TokenView {
    /// The token.
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// For how many seconds it is good.
    expires_in: u64,
    /// What its owner may do.
    role: Role,
}

/// Sign in.
#[utoipa::path(
    post, path = "/v1/login", tag = "session", security(()),
    request_body = ref("#/components/schemas/Login"),
    responses((status = 200, description = "A token", body = ref("#/components/schemas/Token"))),
)]
pub(crate) async fn login(
    State(app): State<App>,
    visitor: Visitor,
    Body(input): Body<LoginInput>,
) -> Result<Response, Denied> {
    let now = app.engine.clock().now();
    let token = app.auth.login(input.login.expose(), input.password, visitor.ip, now).await?;
    let view = TokenView {
        access_token: token.secret.expose().clone(),
        token_type: "Bearer",
        expires_in: token.expires_in,
        role: token.role,
    };
    Ok(private(StatusCode::OK, Json(view)))
}

/// Who is calling.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Caller")]
pub(crate) struct CallerView {
    /// The workspace that everything is limited to.
    workspace_id: WorkspaceId,
    /// What the caller may do.
    role: Role,
    /// The person, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<UserId>,
    /// The API key, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key_id: Option<ApiKeyId>,
}

/// Who am I?
#[utoipa::path(
    get, path = "/v1/me", tag = "session",
    responses((status = 200, description = "The caller", body = ref("#/components/schemas/Caller"))),
)]
pub(crate) async fn me(operator: Operator) -> Json<CallerView> {
    let (user_id, api_key_id) = match operator.actor {
        Actor::User(id) => (Some(id), None),
        Actor::ApiKey(id) => (None, Some(id)),
    };
    Json(CallerView { workspace_id: operator.workspace_id, role: operator.role, user_id, api_key_id })
}

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
    /// When it was created.
    created_at: Timestamp,
    /// When it was revoked; `null` while it is good.
    revoked_at: Option<Timestamp>,
}

impl From<ApiKeyRecord> for ApiKeyView {
    fn from(key: ApiKeyRecord) -> Self {
        let ApiKeyRecord { id, name, hint, role, created_at, revoked_at, .. } = key;
        Self { id, name, hint, role, created_at, revoked_at }
    }
}

/// A key to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewApiKey")]
pub(crate) struct ApiKeyInput {
    /// What people call it. Up to 100 characters.
    name: String,
    /// What it may do.
    role: Role,
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
    operator: Operator,
    Body(input): Body<ApiKeyInput>,
) -> Result<Response, Problem> {
    operator.require_admin()?;
    let mut faults = Faults::default();
    faults.text("name", &input.name, 100);
    faults.finish()?;
    let now = app.engine.clock().now();
    let new = NewApiKey::generate();
    let record = ApiKeyRecord {
        id: ApiKeyId::generate(&**app.engine.ids(), now),
        workspace_id: operator.workspace_id,
        name: input.name,
        hash: new.hash,
        hint: new.hint,
        role: input.role,
        created_at: now,
        revoked_at: None,
    };
    app.store.put_api_key(record.clone()).await?;
    tracing::info!(key = %record.id, "API key created");
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
    operator: Operator,
) -> Result<Json<List<ApiKeyView>>, Problem> {
    operator.require_admin()?;
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
    operator: Operator,
    Id(id): Id<ApiKeyId>,
) -> Result<StatusCode, Problem> {
    operator.require_admin()?;
    if app.store.revoke_api_key(operator.workspace_id, id, app.engine.clock().now()).await? {
        tracing::info!(key = %id, "API key revoked");
        return Ok(StatusCode::NO_CONTENT);
    }
    // Revoking twice is no fault.
    let keys = app.store.api_keys(operator.workspace_id).await?;
    match keys.iter().any(|key| key.id == id) {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("this API key")),
    }
}

/// An answer with a credential, which no cache may keep.
fn private(status: StatusCode, body: impl IntoResponse) -> Response {
    (status, [(axum::http::header::CACHE_CONTROL, "no-store")], body).into_response()
}
