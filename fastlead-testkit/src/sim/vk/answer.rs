//! What VK answers: HTTP 200 always, and the truth in the body.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// VK's refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) code: i64,
    pub(super) words: String,
}

impl Refused {
    pub(super) fn new(code: i64, words: impl Into<String>) -> Self {
        Self { code, words: words.into() }
    }

    /// Code 100, with the name of the parameter.
    pub(super) fn parameter(words: &str) -> Self {
        Self::new(100, format!("One of the parameters specified was missing or invalid: {words}"))
    }

    /// VK repeats the parameters of the request.
    pub(super) fn answer(&self, method: &str, params: Vec<(String, String)>) -> Response {
        let own = [("method".to_owned(), method.to_owned())];
        let params: Vec<Value> =
            params.into_iter().chain(own).map(|(key, value)| json!({ "key": key, "value": value })).collect();
        let error = json!({ "error_code": self.code, "error_msg": self.words, "request_params": params });
        Json(json!({ "error": error })).into_response()
    }
}

pub(super) fn done(response: Value) -> Response {
    Json(json!({ "response": response })).into_response()
}
