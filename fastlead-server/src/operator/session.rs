//! Signing in and out, and one's own sessions and password.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fastlead_core::id::{ApiKeyId, SessionId, UserId, WorkspaceId};
use fastlead_core::port::{Role, SessionRecord};
use fastlead_core::secret::{Pii, Secret};
use fastlead_core::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CATALOG;
use super::input::{Body, Id, List};
use crate::app::App;
use crate::auth::{Actor, DEVICE_COOKIE, DEVICE_KEPT_SECS, Denied, Operator, SignIn, Token};
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

impl From<Token> for TokenView {
    fn from(token: Token) -> Self {
        let Token { secret, expires_in, role } = token;
        Self { access_token: secret.expose().clone(), token_type: "Bearer", expires_in, role }
    }
}

/// Sign in. A cookie marks the device, so that strangers who try passwords cannot keep its owner out.
#[utoipa::path(
    post, path = "/v1/login", tag = "session", security(()),
    request_body = ref("#/components/schemas/Login"),
    responses((status = 200, description = "A token", body = ref("#/components/schemas/Token"))),
)]
pub(crate) async fn login(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Body(input): Body<LoginInput>,
) -> Result<Response, Denied> {
    let now = app.engine.clock().now();
    let sign_in = SignIn {
        login: input.login.expose(),
        password: input.password,
        device: device(&headers),
        ip: visitor.ip,
        client: visitor.user_agent,
    };
    let signed_in = app.auth.login(sign_in, &**app.engine.ids(), now).await?;
    let secure = if app.public_url.starts_with("https://") { "; Secure" } else { "" };
    let cookie = format!(
        "{DEVICE_COOKIE}={}; Path=/v1/login; Max-Age={DEVICE_KEPT_SECS}; HttpOnly; SameSite=Strict{secure}",
        signed_in.device.expose()
    );
    let mut response = private(StatusCode::OK, Json(TokenView::from(signed_in.token)));
    if let Ok(mut cookie) = HeaderValue::try_from(cookie) {
        cookie.set_sensitive(true);
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// What the device has kept of an earlier sign-in.
fn device(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == DEVICE_COOKIE).map(|(_, value)| value)
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
    /// The person's session.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<SessionId>,
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
    let Operator { workspace_id, role, actor } = operator;
    Json(match actor {
        Actor::User { id, session } => {
            let (user_id, session_id) = (Some(id), Some(session));
            CallerView { workspace_id, role, user_id, session_id, api_key_id: None }
        }
        Actor::ApiKey(id) => {
            CallerView { workspace_id, role, user_id: None, session_id: None, api_key_id: Some(id) }
        }
    })
}

/// One's own password, changed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PasswordChange")]
pub(crate) struct PasswordInput {
    /// The password of today.
    current: Secret<String>,
    /// The new one, 10 characters or more.
    new: Secret<String>,
}

/// Change one's own password. All other sessions end; this one goes on with the token of the answer.
#[utoipa::path(
    post, path = "/v1/me/password", tag = "session",
    request_body = ref("#/components/schemas/PasswordChange"),
    responses((status = 200, description = "Another token", body = ref("#/components/schemas/Token"))),
)]
pub(crate) async fn change_password(
    State(app): State<App>,
    operator: Operator,
    Body(input): Body<PasswordInput>,
) -> Result<Response, Denied> {
    let person = operator.require_person()?;
    let now = app.engine.clock().now();
    let token = app.auth.change_password(person, input.current, &input.new, &CATALOG, now).await?;
    tracing::info!(user = %person.0, "password changed");
    Ok(private(StatusCode::OK, Json(TokenView::from(token))))
}

/// Get another token for this session, before the last one expires. The session itself ends in its time.
#[utoipa::path(
    post, path = "/v1/session/renew", tag = "session",
    responses((status = 200, description = "Another token", body = ref("#/components/schemas/Token"))),
)]
pub(crate) async fn renew_session(State(app): State<App>, operator: Operator) -> Result<Response, Denied> {
    let (user, session) = operator.require_person()?;
    let token = app.auth.renew(user, session, app.engine.clock().now()).await?;
    Ok(private(StatusCode::OK, Json(TokenView::from(token))))
}

/// Sign out: the session ends, and its tokens with it.
#[utoipa::path(
    post, path = "/v1/logout", tag = "session",
    responses((status = 204, description = "Signed out")),
)]
pub(crate) async fn logout(State(app): State<App>, operator: Operator) -> Result<StatusCode, Problem> {
    let (_, session) = operator.require_person()?;
    app.store.end_session(operator.workspace_id, session, app.engine.clock().now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A session of a person.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Session")]
pub(crate) struct SessionView {
    /// Its id.
    id: SessionId,
    /// Whether it is the one of this request.
    current: bool,
    /// When the person signed in.
    created_at: Timestamp,
    /// When it ends at the latest.
    expires_at: Timestamp,
    /// When it was used last, give or take a minute.
    last_used_at: Timestamp,
    /// The address that the person signed in from.
    address: Option<Pii<String>>,
    /// The program that the person signed in with.
    client: Option<Pii<String>>,
}

/// One's own sessions that go on, newest first.
#[utoipa::path(
    get, path = "/v1/sessions", tag = "session",
    responses((status = 200, description = "The sessions", body = ref("#/components/schemas/SessionList"))),
)]
pub(crate) async fn list_sessions(
    State(app): State<App>,
    operator: Operator,
) -> Result<Json<List<SessionView>>, Problem> {
    let (user, own) = operator.require_person()?;
    let now = app.engine.clock().now();
    let sessions = app.store.sessions(user).await?.into_iter().filter(|session| now < session.expires_at);
    let view = |session: SessionRecord| {
        let SessionRecord { id, created_at, expires_at, last_used_at, address, client, .. } = session;
        SessionView { id, current: id == own, created_at, expires_at, last_used_at, address, client }
    };
    Ok(Json(List::whole(sessions.map(view).collect())))
}

/// End all of one's own sessions but this one.
#[utoipa::path(
    delete, path = "/v1/sessions", tag = "session",
    responses((status = 204, description = "Ended")),
)]
pub(crate) async fn end_other_sessions(
    State(app): State<App>,
    operator: Operator,
) -> Result<StatusCode, Problem> {
    let (user, own) = operator.require_person()?;
    app.store.end_sessions(user, Some(own), app.engine.clock().now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// End a session: one's own, or, as an administrator, anybody's of the workspace.
#[utoipa::path(
    delete, path = "/v1/sessions/{id}", tag = "session",
    params(("id" = String, Path, description = "The session's id")),
    responses((status = 204, description = "Ended")),
)]
pub(crate) async fn end_session(
    State(app): State<App>,
    operator: Operator,
    Id(id): Id<SessionId>,
) -> Result<StatusCode, Problem> {
    let session = app.store.session(id).await?;
    let session = session.filter(|session| {
        let is_own = matches!(operator.actor, Actor::User { id, .. } if id == session.user_id);
        session.workspace_id == operator.workspace_id && (is_own || operator.role == Role::Admin)
    });
    let session = session.ok_or_else(|| Problem::not_found("this session"))?;
    app.store.end_session(operator.workspace_id, session.id, app.engine.clock().now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An answer with a credential, which no cache may keep.
pub(super) fn private(status: StatusCode, body: impl IntoResponse) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], body).into_response()
}
