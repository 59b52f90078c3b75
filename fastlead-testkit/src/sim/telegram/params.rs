//! The parameters of a request, however they came: JSON, form or query string.

use axum::http::{HeaderMap, header};
use serde_json::{Map, Value};

use super::answer::Answer;

/// Parameters by name. In forms every value is a text, and nested objects are JSON inside a text,
/// so each reader takes both.
#[derive(Debug, Default)]
pub(super) struct Params(Map<String, Value>);

impl Params {
    /// # Errors
    /// The answer of Telegram to a body that cannot be read.
    pub(super) fn read(headers: &HeaderMap, query: Option<&str>, body: &[u8]) -> Result<Self, Answer> {
        let mut fields = form(query.unwrap_or_default().as_bytes())?;
        let content_type = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
        match content_type.as_deref() {
            _ if body.is_empty() => {}
            Some("application/json") => {
                let object: Map<String, Value> = serde_json::from_slice(body)
                    .map_err(|_| Answer::refused(400, "Bad Request: can't parse JSON object"))?;
                fields.extend(object);
            }
            Some("application/x-www-form-urlencoded") => fields.extend(form(body)?),
            // Multipart is only needed for uploads, which are not simulated.
            _ => return Err(Answer::refused(400, "Bad Request: unsupported content type")),
        }
        Ok(Self(fields))
    }

    /// A text; empty where it is absent.
    pub(super) fn text(&self, name: &str) -> String {
        match self.0.get(name) {
            Some(Value::String(text)) => text.clone(),
            None | Some(Value::Null) => String::new(),
            Some(other) => other.to_string(),
        }
    }

    /// A whole number; `None` where it is absent or something else.
    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        match self.0.get(name)? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        match self.0.get(name) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => matches!(text.to_ascii_lowercase().as_str(), "true" | "yes" | "1"),
            Some(Value::Number(number)) => number.as_i64() == Some(1),
            _ => false,
        }
    }

    /// A nested object or list.
    ///
    /// # Errors
    /// The answer of Telegram to a text that is not JSON.
    pub(super) fn object(&self, name: &str) -> Result<Option<Value>, Answer> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
            Some(Value::String(text)) => serde_json::from_str(text).map(Some).map_err(|_| {
                Answer::refused(
                    400,
                    format!("Bad Request: can't parse {} JSON object", name.replace('_', " ")),
                )
            }),
            Some(value) => Ok(Some(value.clone())),
        }
    }

    /// Everything, as it came.
    pub(super) fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

fn form(text: &[u8]) -> Result<Map<String, Value>, Answer> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(text)
        .map_err(|_| Answer::refused(400, "Bad Request: strings must be encoded in UTF-8"))?;
    Ok(pairs.into_iter().map(|(name, value)| (name, Value::String(value))).collect())
}
