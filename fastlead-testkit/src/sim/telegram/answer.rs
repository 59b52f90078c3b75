//! What Telegram answers.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// An answer in Telegram's envelope.
#[derive(Debug)]
pub(super) enum Answer {
    Done { result: Value, description: Option<&'static str> },
    Refused { code: u16, description: String, parameters: Option<Value> },
}

impl Answer {
    pub(super) fn done(result: impl Into<Value>) -> Self {
        Self::Done { result: result.into(), description: None }
    }

    pub(super) fn done_because(description: &'static str) -> Self {
        Self::Done { result: Value::Bool(true), description: Some(description) }
    }

    pub(super) fn refused(code: u16, description: impl Into<String>) -> Self {
        Self::Refused { code, description: description.into(), parameters: None }
    }

    pub(super) fn slow_down(after_secs: u32) -> Self {
        Self::Refused {
            code: 429,
            description: format!("Too Many Requests: retry after {after_secs}"),
            parameters: Some(json!({ "retry_after": after_secs })),
        }
    }

    pub(super) fn moved(to_chat: i64) -> Self {
        Self::Refused {
            code: 400,
            description: "Bad Request: group chat was upgraded to a supergroup chat".to_owned(),
            parameters: Some(json!({ "migrate_to_chat_id": to_chat })),
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let (code, mut body) = match &self {
            Self::Done { result, .. } => (200, json!({ "ok": true, "result": result })),
            Self::Refused { code, description, .. } => {
                (*code, json!({ "ok": false, "error_code": code, "description": description }))
            }
        };
        match self {
            Self::Done { description: Some(words), .. } => body["description"] = words.into(),
            Self::Refused { parameters: Some(parameters), .. } => body["parameters"] = parameters,
            _ => {}
        }
        let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
    }
}

/// What stands in front of Telegram answers when Telegram is broken.
pub(super) fn gateway_page(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let page = format!(
        "<html><head><title>{status}</title></head><body><center><h1>{status}</h1></center></body></html>"
    );
    (status, [(header::CONTENT_TYPE, "text/html")], page).into_response()
}
