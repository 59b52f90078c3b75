//! The caller of the operator API.

use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fastlead_core::Engine;
use fastlead_core::id::{ApiKeyId, SessionId, UserId, WorkspaceId};
use fastlead_core::port::Role;

use super::{cookie, scopes};
use crate::app::App;
use crate::problem::Problem;

/// Who calls, and what they may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operator {
    /// The workspace that the caller works in; nothing outside it exists for the caller.
    pub workspace_id: WorkspaceId,
    /// What the caller may do.
    pub role: Role,
    /// Who it is.
    pub actor: Actor,
}

/// A person or a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// Somebody who signed in.
    User {
        /// The person.
        id: UserId,
        /// The session.
        session: SessionId,
    },
    /// A program with a key.
    ApiKey(ApiKeyId),
}

impl From<Actor> for fastlead_core::Actor {
    fn from(actor: Actor) -> Self {
        match actor {
            Actor::User { id, .. } => Self::User { id },
            Actor::ApiKey(id) => Self::ApiKey { id },
        }
    }
}

impl Operator {
    /// The engine for what the caller does: the events that follow from it name the caller.
    pub fn engine(&self, app: &App) -> Engine {
        app.engine.acting(self.actor.into())
    }

    /// Lets administrators pass.
    ///
    /// # Errors
    /// A 403 problem for everybody else.
    pub fn require_admin(&self) -> Result<(), Problem> {
        match self.role {
            Role::Admin => Ok(()),
            Role::Operator => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "forbidden",
                "this needs the role `admin`; ask an administrator of the workspace",
            )),
        }
    }
}

impl Operator {
    /// Lets people pass who have signed in, and returns who it is and in which session.
    ///
    /// # Errors
    /// A 403 problem for programs.
    pub fn require_person(&self) -> Result<(UserId, SessionId), Problem> {
        match self.actor {
            Actor::User { id, session } => Ok((id, session)),
            Actor::ApiKey(_) => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "forbidden",
                "this is for people who have signed in, not for API keys",
            )),
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User { id, .. } => id.fmt(f),
            Self::ApiKey(id) => id.fmt(f),
        }
    }
}

fn missing() -> Denied {
    let detail = "send `Authorization: Bearer` with a token from POST /v1/login or an API key, or the cookie of POST /v1/session";
    Denied(Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail))
}

/// Lets requests pass that a page of this server has made.
///
/// # Errors
/// A 403 problem for those of other sites.
pub(crate) fn require_own_page(method: &Method, headers: &HeaderMap, app: &App) -> Result<(), Problem> {
    if cookie::is_own(method, headers, &app.public_url) {
        return Ok(());
    }
    let detail = "cookies are for this server's own pages; a program sends `Authorization: Bearer`";
    Err(Problem::new(StatusCode::FORBIDDEN, "cross_site", detail))
}

impl FromRequestParts<App> for Operator {
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let now = app.engine.clock().now();
        let Some(header) = parts.headers.get(header::AUTHORIZATION) else {
            let name = cookie::name(app.has_public_address());
            let cookie = cookie::value(&parts.headers, name).ok_or_else(missing)?;
            require_own_page(&parts.method, &parts.headers, app)?;
            return app.auth.identify_cookie(cookie, now).await.map_err(Denied::from);
        };
        let given = header.to_str().ok().and_then(|text| text.trim().split_once(' '));
        let (scheme, credential) = given.ok_or_else(missing)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(missing());
        }
        let identified = app.auth.identify(credential.trim(), now).await.map_err(Denied::from)?;
        if !scopes::allow(&identified.scopes, &parts.method, parts.uri.path()) {
            let detail = "the scopes of this API key do not cover this; ask an administrator for another key";
            return Err(Denied(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail)));
        }
        Ok(identified.operator)
    }
}

/// An operator with the role `admin`. In a handler it stands before the body, so that whoever may not do a thing is told
/// that, and not what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admin(pub Operator);

impl FromRequestParts<App> for Admin {
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let operator = Operator::from_request_parts(parts, app).await?;
        operator.require_admin()?;
        Ok(Self(operator))
    }
}

/// A problem that, where it is a 401, says how to authenticate (RFC 9110 section 15.5.2).
#[derive(Debug)]
pub struct Denied(pub Problem);

impl<E: Into<Problem>> From<E> for Denied {
    fn from(problem: E) -> Self {
        Self(problem.into())
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        if response.status() == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
