//! The parameters of a request: a form, with the query string beside it. VK reads no JSON.

use axum::http::{HeaderMap, header};
use serde_json::{Map, Value};

use super::answer::Refused;

/// Parameters by name; the last of a name counts.
#[derive(Debug, Default, Clone)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    pub(super) fn read(headers: &HeaderMap, query: Option<&str>, body: &[u8]) -> Self {
        let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
        let mut params = form(query.unwrap_or_default().as_bytes());
        let kind =
            text(header::CONTENT_TYPE).unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            params.extend(form(body));
        }
        if let Some(token) = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer ")) {
            params.push(("access_token".to_owned(), token.to_owned()));
        }
        Self(params)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A text; empty where it is absent.
    pub(super) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// A whole number; `None` where it is absent.
    ///
    /// # Errors
    /// VK's refusal of what is no number.
    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, Refused> {
        let number =
            |text: &str| text.trim().parse().map_err(|_| Refused::parameter(&format!("{name} not integer")));
        self.get(name).filter(|text| !text.is_empty()).map(number).transpose()
    }

    /// A whole number that must be there.
    ///
    /// # Errors
    /// VK's refusal.
    pub(super) fn required(&self, name: &str) -> Result<i64, Refused> {
        self.integer(name)?.ok_or_else(|| Refused::parameter(&format!("{name} is undefined")))
    }

    /// JSON inside a text.
    ///
    /// # Errors
    /// VK's refusal with `code` of what is no JSON.
    pub(super) fn json(&self, name: &str, code: i64, words: &str) -> Result<Option<Value>, Refused> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        serde_json::from_str(text).map(Some).map_err(|_| Refused::new(code, words))
    }

    /// Everything as it came.
    pub(super) fn all(&self) -> Vec<(String, String)> {
        self.0.clone()
    }

    /// Everything but the access key, as an object.
    pub(super) fn shown(&self, method: &str) -> Value {
        let fields = self.0.iter().filter(|(name, _)| name != "access_token");
        let mut shown: Map<String, Value> =
            fields.map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect();
        shown.insert("method".to_owned(), Value::String(method.to_owned()));
        Value::Object(shown)
    }
}

fn form(text: &[u8]) -> Vec<(String, String)> {
    serde_urlencoded::from_bytes(text).unwrap_or_default()
}
