//! What MAX answers.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::sim::Fault;

/// An object, or a refusal with a status and a code.
#[derive(Debug)]
pub(super) enum Answer {
    Object(Value),
    /// A refusal that comes with 200.
    Failed {
        code: &'static str,
        message: &'static str,
    },
    Refused {
        status: u16,
        code: String,
        message: String,
        after_secs: u32,
    },
}

impl Answer {
    pub(super) fn success() -> Self {
        Self::Object(json!({ "success": true }))
    }

    pub(super) fn refused(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self::Refused { status, code: code.to_owned(), message: message.into(), after_secs: 0 }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::refused(400, "proto.payload", message)
    }

    /// MAX's words for a fault; `None` where it has none of its own.
    pub(super) fn to_fault(fault: &Fault) -> Option<Self> {
        Some(match fault {
            Fault::RateLimited { after_secs } => Self::Refused {
                status: 429,
                code: "too.many.requests".to_owned(),
                message: "Too many requests".to_owned(),
                after_secs: *after_secs,
            },
            Fault::BadRecipient => Self::suspended(),
            Fault::BadCredentials => Self::bad_token(),
            Fault::BadContent => Self::bad_request("Invalid request body"),
            Fault::ProviderCode { code, text } => {
                let (name, message) = text.split_once(' ').unwrap_or((text, ""));
                Self::refused(u16::try_from(*code).unwrap_or(500), name, message)
            }
            _ => return None,
        })
    }

    pub(super) fn bad_token() -> Self {
        Self::refused(401, "verify.token", "Invalid access_token")
    }

    /// The person has stopped the bot, or never started it.
    pub(super) fn suspended() -> Self {
        Self::refused(403, "chat.denied", "Key: error.dialog.suspended, args:[]")
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let (status, after_secs, body) = match self {
            Self::Object(object) => (200, 0, object),
            Self::Failed { code, message } => {
                (200, 0, json!({ "success": false, "code": code, "message": message }))
            }
            Self::Refused { status, code, message, after_secs } => {
                let mut body = json!({ "code": code, "message": message });
                if status < 300 {
                    body["success"] = false.into();
                }
                (status, after_secs, body)
            }
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer =
            (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response();
        if after_secs > 0 {
            answer.headers_mut().insert(header::RETRY_AFTER, after_secs.into());
        }
        answer
    }
}
