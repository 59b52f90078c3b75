//! People who sign in: who there is, and letting them in, out and in again.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use fastlead_core::id::UserId;
use fastlead_core::port::{Role, UserRecord};
use fastlead_core::secret::{Pii, Secret};
use fastlead_core::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CATALOG;
use super::input::{Body, Faults, Id, List};
use super::session::private;
use crate::app::App;
use crate::auth::{self, Actor, Admin, Operator};
use crate::bootstrap::{PASSWORD_CHARS, random_text};
use crate::problem::Problem;

/// A person who signs in.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "User")]
pub(crate) struct UserView {
    /// The person's id.
    id: UserId,
    /// The name to sign in with.
    login: Pii<String>,
    /// What the person may do.
    role: Role,
    /// When the account was created.
    created_at: Timestamp,
    /// Since when the person may not sign in; `null` for whoever may.
    disabled_at: Option<Timestamp>,
}

impl From<UserRecord> for UserView {
    fn from(user: UserRecord) -> Self {
        let UserRecord { id, login, role, created_at, disabled_at, .. } = user;
        Self { id, login, role, created_at, disabled_at }
    }
}

/// Somebody who shall sign in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewUser")]
pub(crate) struct NewUserInput {
    /// The name to sign in with, up to 200 characters.
    #[schemars(length(min = 1, max = 200))]
    login: Pii<String>,
    /// What the person may do.
    role: Role,
    /// The password; one is made up where it is left out.
    #[serde(default)]
    password: Option<Secret<String>>,
}

/// Another password for somebody.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PasswordReset")]
pub(crate) struct ResetInput {
    /// The password; one is made up where it is left out.
    #[serde(default)]
    password: Option<Secret<String>>,
}

/// A user and the password that was made up.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "UserWithPassword")]
pub(crate) struct UserWithPassword {
    /// The password, where one was made up. It is shown this once and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    user: UserView,
}

/// All users, oldest first.
#[utoipa::path(
    get, path = "/v1/users", tag = "session",
    responses((status = 200, description = "The users", body = ref("#/components/schemas/UserList"))),
)]
pub(crate) async fn list_users(
    State(app): State<App>,
    Admin(operator): Admin,
) -> Result<Json<List<UserView>>, Problem> {
    let users = app.store.users(operator.workspace_id).await?;
    Ok(Json(List::whole(users.into_iter().map(UserView::from).collect())))
}

/// Let somebody sign in.
#[utoipa::path(
    post, path = "/v1/users", tag = "session",
    request_body = ref("#/components/schemas/NewUser"),
    responses((status = 201, description = "The user", body = ref("#/components/schemas/UserWithPassword"))),
)]
pub(crate) async fn create_user(
    State(app): State<App>,
    Admin(operator): Admin,
    Body(input): Body<NewUserInput>,
) -> Result<Response, Problem> {
    let mut faults = Faults::default();
    faults.text("login", input.login.expose(), 200);
    if input.login.expose().chars().any(char::is_control) {
        faults.add("login", "invalid_login", "must not have control characters");
    }
    faults.finish()?;
    let (password, shown) = given_or_made(input.password);
    let password_hash = auth::hash_password(password.expose()).await?;
    let now = app.engine.clock().now();
    let user = UserRecord {
        id: UserId::generate(&**app.engine.ids(), now),
        workspace_id: operator.workspace_id,
        login: input.login,
        password_hash,
        role: input.role,
        created_at: now,
        tokens_valid_from: now,
        disabled_at: None,
    };
    app.store.put_user(user.clone()).await?;
    tracing::info!(user = %user.id, actor = %operator.actor, "user created");
    Ok(private(StatusCode::CREATED, Json(UserWithPassword { password: shown, user: user.into() })))
}

/// Let somebody sign in no more, and end all sessions. Whoever is the last administrator who can sign in stays.
#[utoipa::path(
    post, path = "/v1/users/{id}/disable", tag = "session",
    params(("id" = String, Path, description = "The user's id")),
    responses((status = 200, description = "The user", body = ref("#/components/schemas/User"))),
)]
pub(crate) async fn disable_user(
    State(app): State<App>,
    Admin(operator): Admin,
    Id(id): Id<UserId>,
) -> Result<Json<UserView>, Problem> {
    let _order = CATALOG.lock().await;
    let users = app.store.users(operator.workspace_id).await?;
    let is_left = |user: &UserRecord| user.id != id && user.role == Role::Admin && user.disabled_at.is_none();
    let left = users.iter().any(is_left);
    let user = users.into_iter().find(|user| user.id == id).ok_or_else(unknown)?;
    if user.role == Role::Admin && !left {
        let detail = "this is the last administrator who can sign in; let another one in first";
        return Err(Problem::new(StatusCode::CONFLICT, "last_administrator", detail));
    }
    let now = app.engine.clock().now();
    let disabled_at = Some(user.disabled_at.unwrap_or(now));
    let user = UserRecord { disabled_at, tokens_valid_from: now, ..user };
    app.store.put_user(user.clone()).await?;
    app.store.end_sessions(id, None, now).await?;
    tracing::info!(user = %id, actor = %operator.actor, "user disabled");
    Ok(Json(user.into()))
}

/// Let somebody sign in again.
#[utoipa::path(
    post, path = "/v1/users/{id}/enable", tag = "session",
    params(("id" = String, Path, description = "The user's id")),
    responses((status = 200, description = "The user", body = ref("#/components/schemas/User"))),
)]
pub(crate) async fn enable_user(
    State(app): State<App>,
    Admin(operator): Admin,
    Id(id): Id<UserId>,
) -> Result<Json<UserView>, Problem> {
    let _order = CATALOG.lock().await;
    let user = UserRecord { disabled_at: None, ..own(&app, &operator, id).await? };
    app.store.put_user(user.clone()).await?;
    tracing::info!(user = %id, actor = %operator.actor, "user enabled");
    Ok(Json(user.into()))
}

/// Give somebody another password, and end all sessions. For one's own there is `POST /v1/me/password`.
#[utoipa::path(
    post, path = "/v1/users/{id}/reset-password", tag = "session",
    params(("id" = String, Path, description = "The user's id")),
    request_body = ref("#/components/schemas/PasswordReset"),
    responses((status = 200, description = "The user", body = ref("#/components/schemas/UserWithPassword"))),
)]
pub(crate) async fn reset_password(
    State(app): State<App>,
    Admin(operator): Admin,
    Id(id): Id<UserId>,
    Body(input): Body<ResetInput>,
) -> Result<Response, Problem> {
    if matches!(operator.actor, Actor::User { id: own, .. } if own == id) {
        let detail = "change your own password with POST /v1/me/password, which asks for the one of today";
        return Err(Problem::new(StatusCode::CONFLICT, "own_password", detail));
    }
    let (password, shown) = given_or_made(input.password);
    let _order = CATALOG.lock().await;
    let user = own(&app, &operator, id).await?;
    let now = app.engine.clock().now();
    let user = auth::set_password(&*app.store, user, &password, None, now).await?;
    tracing::info!(user = %id, actor = %operator.actor, "password reset");
    Ok(private(StatusCode::OK, Json(UserWithPassword { password: shown, user: user.into() })))
}

fn given_or_made(given: Option<Secret<String>>) -> (Secret<String>, Option<String>) {
    match given {
        Some(password) => (password, None),
        None => {
            let made = random_text(PASSWORD_CHARS);
            (Secret::new(made.clone()), Some(made))
        }
    }
}

async fn own(app: &App, operator: &Operator, id: UserId) -> Result<UserRecord, Problem> {
    let user = app.store.user(id).await?;
    user.filter(|user| user.workspace_id == operator.workspace_id).ok_or_else(unknown)
}

fn unknown() -> Problem {
    Problem::not_found("this user")
}
