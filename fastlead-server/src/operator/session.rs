//! Signing in and out, and one's own sessions and password.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
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
use crate::auth::{
    Actor, DEVICE_COOKIE, DEVICE_KEPT_SECS, Denied, Keeping, Operator, SessionCookie, SignIn, SignedIn,
    Token, cookie, require_own_page,
};
use crate::client::Visitor;
use crate::console;
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
    let signed_in = sign_in(&app, input, visitor, &headers, Keeping::Token).await?;
    let mut response = private(StatusCode::OK, Json(TokenView::from(signed_in.token)));
    set_cookie(&mut response, device_line(&app, &signed_in.device, "/v1/login"));
    Ok(response)
}

async fn sign_in(
    app: &App,
    input: LoginInput,
    visitor: Visitor,
    headers: &HeaderMap,
    keeping: Keeping,
) -> Result<SignedIn, Denied> {
    let now = app.engine.clock().now();
    let sign_in = SignIn {
        login: input.login.expose(),
        password: input.password,
        device: cookie::value(headers, DEVICE_COOKIE),
        ip: visitor.ip,
        client: visitor.user_agent,
        keeping,
    };
    Ok(app.auth.login(sign_in, &**app.engine.ids(), now).await?)
}

/// The line that makes a device known, sent back to `path` alone.
fn device_line(app: &App, device: &Secret<String>, path: &str) -> String {
    let secure = if app.has_public_address() { "; Secure" } else { "" };
    let device = device.expose();
    format!(
        "{DEVICE_COOKIE}={device}; Path={path}; Max-Age={DEVICE_KEPT_SECS}; HttpOnly; SameSite=Strict{secure}"
    )
}

pub(crate) fn set_cookie(response: &mut Response, line: String) {
    if let Ok(mut line) = HeaderValue::try_from(line) {
        line.set_sensitive(true);
        response.headers_mut().append(header::SET_COOKIE, line);
    }
}

/// Sign in with a browser: a cookie that no script can read names the session. It is good for requests of this server's own
/// pages alone, which browsers mark with `Sec-Fetch-Site` or `Origin`. The session ends when it is not used for
/// `auth.session_ttl_secs`, and after `auth.browser_session_secs` at the latest.
#[utoipa::path(
    post, path = "/v1/session", tag = "session", security(()),
    request_body = ref("#/components/schemas/Login"),
    responses((status = 200, description = "Who has signed in", body = ref("#/components/schemas/Caller"))),
)]
pub(crate) async fn open_session(
    State(app): State<App>,
    visitor: Visitor,
    method: Method,
    headers: HeaderMap,
    Body(input): Body<LoginInput>,
) -> Result<Response, Denied> {
    // Nobody is signed in as somebody else by another site.
    require_own_page(&method, &headers, &app)?;
    let signed_in = sign_in(&app, input, visitor, &headers, Keeping::Cookie).await?;
    let caller = caller(&app, signed_in.operator).await?;
    let mut response = private(StatusCode::OK, Json(caller));
    set_cookie(&mut response, signed_in.cookie.line(app.has_public_address()));
    set_cookie(&mut response, device_line(&app, &signed_in.device, "/v1/session"));
    Ok(response)
}

/// Sign out with a browser: the session ends, and its cookie is taken away.
#[utoipa::path(
    delete, path = "/v1/session", tag = "session",
    responses((status = 204, description = "Signed out")),
)]
pub(crate) async fn close_session(State(app): State<App>, operator: Operator) -> Result<Response, Problem> {
    let (_, session) = operator.require_person()?;
    app.store.end_session(operator.workspace_id, session, app.engine.clock().now()).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    set_cookie(&mut response, SessionCookie::removal(app.has_public_address()));
    Ok(response)
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
    /// The name that the person signs in with.
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<Pii<String>>,
    /// The person's session.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<SessionId>,
    /// The API key, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key_id: Option<ApiKeyId>,
    /// Which program answers.
    server: ServerView,
}

/// The program that answers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ServerVersion")]
pub(crate) struct ServerView {
    /// Its version.
    version: &'static str,
    /// The build of its console: an open page of another build loads itself anew.
    console: &'static str,
}

/// Who am I?
#[utoipa::path(
    get, path = "/v1/me", tag = "session",
    responses((status = 200, description = "The caller", body = ref("#/components/schemas/Caller"))),
)]
pub(crate) async fn me(State(app): State<App>, operator: Operator) -> Result<Json<CallerView>, Problem> {
    Ok(Json(caller(&app, operator).await?))
}

async fn caller(app: &App, operator: Operator) -> Result<CallerView, Problem> {
    let Operator { workspace_id, role, actor } = operator;
    let mut caller = CallerView {
        workspace_id,
        role,
        user_id: None,
        login: None,
        session_id: None,
        api_key_id: None,
        server: ServerView { version: env!("CARGO_PKG_VERSION"), console: console::build() },
    };
    match actor {
        Actor::User { id, session } => {
            caller.login = app.store.user(id).await?.map(|user| user.login);
            (caller.user_id, caller.session_id) = (Some(id), Some(session));
        }
        Actor::ApiKey(id) => caller.api_key_id = Some(id),
    }
    Ok(caller)
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
    let sessions = app.store.sessions(user).await?.into_iter();
    let sessions = sessions.filter(|session| app.auth.is_current(session, now));
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
