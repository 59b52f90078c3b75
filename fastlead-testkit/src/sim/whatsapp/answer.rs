//! What Meta answers: an object, or an error with a code.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Meta's refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) code: i64,
    pub(super) words: String,
}

impl Refused {
    pub(super) fn new(code: i64, words: impl Into<String>) -> Self {
        Self { status: 400, code, words: words.into() }
    }

    pub(super) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// A parameter that the Graph API itself refuses.
    pub(super) fn parameter(words: &str) -> Self {
        Self::new(100, words)
    }

    pub(super) fn answer(&self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let error = json!({
            "message": format!("(#{}) {}", self.code, self.words), "type": "OAuthException", "code": self.code,
            "error_data": { "messaging_product": "whatsapp", "details": self.words }, "fbtrace_id": "ASimulated",
        });
        (status, Json(json!({ "error": error }))).into_response()
    }
}
