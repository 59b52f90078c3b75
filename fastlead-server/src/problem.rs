//! Problem documents (RFC 9457): the one table from errors to HTTP.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fastlead_core::lead::FieldError;
use fastlead_core::policy::PolicyFault;
use fastlead_core::{Error, ErrorKind};
use serde::Serialize;

/// What went wrong with a request, for people and programs.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// A page that explains the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// What kind of problem, in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// Stable machine-readable code.
    pub code: String,
    /// What is wrong here, and how to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What must be mended, by field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
    /// Seconds to wait, where waiting helps.
    #[serde(skip)]
    pub retry_after: Option<u64>,
}

/// One thing to mend.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct FieldProblem {
    /// The path of the field.
    pub field: String,
    /// Stable machine-readable code.
    pub code: String,
    /// What is wrong and how to mend it.
    pub message: String,
}

impl Problem {
    /// A problem with `status` and `code`.
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("https://github.com/fastlead/fastlead/blob/main/docs/errors.md#{code}"),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            code: code.to_owned(),
            detail: Some(detail.into()),
            errors: Vec::new(),
            retry_after: None,
        }
    }

    /// The fields of a capture that must be mended.
    pub fn fields(errors: Vec<FieldError>) -> Self {
        let detail =
            errors.first().map_or_else(String::new, |error| format!("{}: {}", error.field, error.message));
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_lead", detail);
        problem.errors = errors
            .into_iter()
            .map(|error| FieldProblem {
                field: error.field,
                code: error.code.to_owned(),
                message: error.message,
            })
            .collect();
        problem
    }

    /// The faults of a policy.
    pub fn policy(faults: Vec<PolicyFault>) -> Self {
        let detail = faults.first().map_or_else(String::new, ToString::to_string);
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_policy", detail);
        problem.errors = faults
            .into_iter()
            .map(|fault| FieldProblem {
                field: fault.path,
                code: "invalid_policy".to_owned(),
                message: fault.message,
            })
            .collect();
        problem
    }

    /// Something that is not there, or not in this workspace.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("{what} does not exist"))
    }

    /// Waiting so many seconds helps.
    #[must_use]
    pub const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::Invalid
            | ErrorKind::Config
            | ErrorKind::Content
            | ErrorKind::Recipient
            | ErrorKind::Unsupported => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Conflict | ErrorKind::Paused => StatusCode::CONFLICT,
            ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            ErrorKind::Overloaded | ErrorKind::Storage => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Auth
            | ErrorKind::Balance
            | ErrorKind::Unavailable
            | ErrorKind::Timeout
            | ErrorKind::Protocol => StatusCode::BAD_GATEWAY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_server_error() {
            tracing::error!(%error, "request failed");
        }
        let code = error.context().iter().find(|(name, _)| *name == "code").map(|(_, code)| code.clone());
        let mut problem = Self::new(status, code.as_deref().unwrap_or(error.code()), error.message());
        problem.retry_after = match status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                Some(error.retry().after().map_or(1, |after| after.as_secs().max(1)))
            }
            _ => None,
        };
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
