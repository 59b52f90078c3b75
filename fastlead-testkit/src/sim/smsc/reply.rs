//! SMSC's answers, in the form that `fmt` asks for: 0 text, 1 numbers, 3 JSON. All of them with HTTP 200.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::charset::Charset;
use crate::sim::Fault;

/// A refusal: `{"error":"invalid number","error_code":7,"id":34}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: i64,
    pub(super) text: String,
    /// Only 3, 6, 7 and 8 name the message.
    pub(super) id: Option<u32>,
}

impl Refusal {
    /// The refusal of this code in SMSC's words.
    pub(super) fn of(code: i64) -> Self {
        let text = match code {
            1 => "parameters error",
            2 => "authorise error",
            3 => "no money",
            4 => "ip is blocked",
            5 => "bad date format",
            6 => "message is denied",
            7 => "invalid number",
            8 => "can't to deliver",
            9 => "duplicate request, wait a minute",
            _ => "unknown error",
        };
        Self { code, text: text.to_owned(), id: None }
    }

    pub(super) const fn about(mut self, id: u32) -> Self {
        self.id = Some(id);
        self
    }

    /// SMSC's own answer to a scripted fault; `None` for those that are not answers.
    pub(super) fn scripted(fault: &Fault) -> Option<Self> {
        Some(match fault {
            Fault::RateLimited { .. } => Self::of(9),
            Fault::BadRecipient => Self::of(7),
            Fault::BadCredentials => Self::of(2),
            Fault::NoBalance => Self::of(3),
            Fault::BadContent => Self::of(6),
            Fault::ProviderCode { code, text } => Self { code: *code, text: text.clone(), id: None },
            _ => return None,
        })
    }

    pub(super) fn render(&self, format: i64, charset: Charset) -> Response {
        let Self { code, text, id } = self;
        match format {
            3 => {
                let mut body = json!({ "error": text, "error_code": code });
                if let (Some(id), Value::Object(fields)) = (id, &mut body) {
                    fields.insert("id".to_owned(), (*id).into());
                }
                answer(&body.to_string(), charset)
            }
            1 => answer(&format!("{},-{code}", id.unwrap_or(0)), charset),
            _ => {
                let id = id.map(|id| format!(", ID - {id}")).unwrap_or_default();
                answer(&format!("ERROR = {code} ({text}){id}"), charset)
            }
        }
    }
}

/// A good answer in its three forms.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Success {
    pub(super) text: String,
    pub(super) numbers: String,
    pub(super) json: Value,
}

impl Success {
    pub(super) fn render(&self, format: i64, charset: Charset) -> Response {
        match format {
            3 => answer(&self.json.to_string(), charset),
            1 => answer(&self.numbers, charset),
            _ => answer(&self.text, charset),
        }
    }
}

/// The header names windows-1251 whatever the body is, as SMSC's does.
fn answer(text: &str, charset: Charset) -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=windows-1251")], charset.encode(text)).into_response()
}

/// What stands before SMSC answers instead of it.
pub(super) fn gateway_page(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let page =
        format!("<html><body><center><h1>{status}</h1></center><hr><center>nginx</center></body></html>");
    (status, [(header::CONTENT_TYPE, "text/html")], page).into_response()
}
