//! What the operator API takes, and how it says what is wrong with it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fastlead_core::message::Recipient;
use fastlead_core::policy::{Policy, PolicyFault};
use fastlead_core::port::{Cursor, Page, PageRequest, UnreadableRow};
use fastlead_core::time::{Timestamp, is_plausible};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use crate::app::App;
use crate::capture::too_large;
use crate::problem::{FieldProblem, Problem};

/// Entries on a page unless asked otherwise.
const DEFAULT_LIMIT: u32 = 50;
/// Most entries on a page.
pub(crate) const MAX_LIMIT: u32 = 200;

/// Reads a moment, for `deserialize_with`.
///
/// # Errors
/// Where it is no moment, or one that is not plausible.
pub(crate) fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let moment = Timestamp::deserialize(deserializer)?;
    if is_plausible(moment) {
        return Ok(moment);
    }
    Err(serde::de::Error::custom("expected a moment of the years 1970 to 9999"))
}

/// Reads a moment that may be left out, for `deserialize_with`.
///
/// # Errors
/// Those of [`moment`].
pub(crate) fn optional_moment<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    #[derive(Deserialize)]
    struct Given(#[serde(deserialize_with = "moment")] Timestamp);

    Ok(Option::<Given>::deserialize(deserializer)?.map(|given| given.0))
}

/// A JSON body. Unknown fields are refused by the types themselves.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned + JsonSchema> FromRequest<App> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Self::Rejection> {
        let body = json(request, app).await?;
        Ok(Self(crate::json::read(&body)?))
    }
}

/// A policy document: read, or with the paths of what cannot be read.
#[derive(Debug)]
pub(crate) struct Document(pub(crate) Result<Policy, Vec<PolicyFault>>);

impl FromRequest<App> for Document {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Self::Rejection> {
        let body = json(request, app).await?;
        crate::json::check::<Policy>(&body)?;
        Ok(Self(Policy::from_json(&body)))
    }
}

/// The bytes of a body that says it is JSON.
async fn json(request: Request, app: &App) -> Result<Bytes, Problem> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = content_type.and_then(|text| text.split(';').next()).map(str::trim);
    if media.is_some_and(|media| !media.eq_ignore_ascii_case("application/json")) {
        let detail = "send `application/json`";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
    }
    let limit = app.settings.http.body_limit_bytes;
    Bytes::from_request(request, app).await.map_err(|rejection| too_large(rejection.status(), limit))
}

/// The id in the path.
#[derive(Debug)]
pub(crate) struct Id<T>(pub(crate) T);

impl<T: FromStr<Err: Display>> FromRequestParts<App> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let fault = |message: String| parameter("id", "invalid_id", message);
        let Path(text) = Path::<String>::from_request_parts(parts, app)
            .await
            .map_err(|_| fault("the path is not UTF-8".to_owned()))?;
        text.parse().map(Self).map_err(|error: T::Err| fault(error.to_string()))
    }
}

/// The parameters after `?`.
#[derive(Debug)]
pub(crate) struct Query(BTreeMap<String, String>);

impl FromRequestParts<App> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Self::Rejection> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

impl Query {
    fn parse(text: &str) -> Result<Self, Problem> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(text).map_err(|_| {
            Problem::new(StatusCode::BAD_REQUEST, "invalid_parameter", "the query is not URL-encoded UTF-8")
        })?;
        let mut query = BTreeMap::new();
        for (name, value) in pairs {
            if query.contains_key(&name) {
                return Err(parameter(&name, "invalid_parameter", "stands twice".to_owned()));
            }
            query.insert(name, value);
        }
        Ok(Self(query))
    }

    /// Takes a parameter out.
    pub(crate) fn take<T: FromStr<Err: Display>>(&mut self, name: &str) -> Result<Option<T>, Problem> {
        let Some(text) = self.0.remove(name) else { return Ok(None) };
        text.parse()
            .map(Some)
            .map_err(|error: T::Err| parameter(name, "invalid_parameter", error.to_string()))
    }

    /// Takes a parameter out that has one of the values of an enumeration.
    pub(crate) fn take_one_of<T: DeserializeOwned>(
        &mut self,
        name: &str,
        known: &str,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.0.remove(name) else { return Ok(None) };
        serde_json::from_value(serde_json::Value::String(text))
            .map(Some)
            .map_err(|_| parameter(name, "invalid_parameter", format!("expected one of {known}")))
    }

    /// Takes a parameter out that is one of these names.
    pub(crate) fn take_name(&mut self, name: &str, known: &[&str]) -> Result<Option<String>, Problem> {
        let Some(text) = self.0.remove(name) else { return Ok(None) };
        if known.contains(&text.as_str()) {
            return Ok(Some(text));
        }
        Err(parameter(name, "invalid_parameter", format!("expected one of {}", known.join(", "))))
    }

    /// Takes a moment out.
    pub(crate) fn take_moment(&mut self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let fault = || {
            let message = "expected a moment such as 2026-11-28T23:03:07Z";
            parameter(name, "invalid_parameter", message.to_owned())
        };
        let Some(text) = self.0.remove(name) else { return Ok(None) };
        text.parse::<Timestamp>().map(Some).map_err(|_| fault())
    }

    /// Takes `limit` out.
    pub(crate) fn take_limit(&mut self) -> Result<u32, Problem> {
        let limit = match self.take::<u32>("limit") {
            Ok(limit) => limit.unwrap_or(DEFAULT_LIMIT),
            Err(_) => 0,
        };
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(parameter(
                "limit",
                "invalid_limit",
                format!("expected a number from 1 to {MAX_LIMIT}"),
            ));
        }
        Ok(limit)
    }

    /// Takes `limit` and `cursor` out.
    pub(crate) fn take_page(&mut self) -> Result<PageRequest, Problem> {
        let limit = self.take_limit()?;
        let after = match self.0.remove("cursor") {
            None => None,
            Some(text) => Some(decode_cursor(&text).ok_or_else(|| {
                parameter(
                    "cursor",
                    "invalid_cursor",
                    "expected a `next_cursor` of an earlier answer".to_owned(),
                )
            })?),
        };
        Ok(PageRequest { after, limit })
    }

    /// Refuses what nobody has taken: a mistyped filter must not show everything.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        match self.0.into_keys().next() {
            Some(name) => {
                let shown: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
                Err(parameter(&shown, "unknown_parameter", "is not known here".to_owned()))
            }
            None => Ok(()),
        }
    }
}

/// A parameter that cannot be taken.
pub(crate) fn parameter(name: &str, code: &str, message: String) -> Problem {
    wrong(StatusCode::BAD_REQUEST, name, code, message)
}

/// A parameter that is written as it should be and means nothing.
pub(crate) fn meaningless(name: &str, message: String) -> Problem {
    wrong(StatusCode::UNPROCESSABLE_ENTITY, name, "invalid_parameter", message)
}

fn wrong(status: StatusCode, name: &str, code: &str, message: String) -> Problem {
    let mut problem = Problem::new(status, code, format!("{name}: {message}"));
    problem.errors.push(FieldProblem { field: name.to_owned(), code: code.to_owned(), message });
    problem
}

/// A page of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}List")]
pub(crate) struct List<T> {
    /// The entries.
    pub(crate) items: Vec<T>,
    /// What to send as `cursor` for the next page; `null` where there is none.
    pub(crate) next_cursor: Option<String>,
    /// Rows that stand between the entries and cannot be read; absent where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub(crate) unreadable: Vec<UnreadableRow>,
}

impl<T> List<T> {
    /// A list that is never longer than one page.
    pub(crate) const fn whole(items: Vec<T>) -> Self {
        Self { items, next_cursor: None, unreadable: Vec::new() }
    }

    /// A page as a store gave it.
    pub(crate) fn of<U>(page: Page<U>, view: impl FnMut(U) -> T) -> Self {
        Self {
            next_cursor: page.next.map(encode_cursor),
            items: page.items.into_iter().map(view).collect(),
            unreadable: page.unreadable,
        }
    }
}

fn encode_cursor(cursor: Cursor) -> String {
    URL_SAFE_NO_PAD.encode(cursor.0.as_bytes())
}

fn decode_cursor(text: &str) -> Option<Cursor> {
    let bytes: [u8; 16] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    Some(Cursor(uuid::Uuid::from_bytes(bytes)))
}

/// Collects what must be mended in a body.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<FieldProblem>);

impl Faults {
    /// Adds a fault.
    pub(crate) fn add(&mut self, field: impl Into<String>, code: &str, message: impl Into<String>) {
        self.0.push(FieldProblem { field: field.into(), code: code.to_owned(), message: message.into() });
    }

    /// Adds a fault where a text is empty or longer than `max` characters.
    pub(crate) fn text(&mut self, field: &str, text: &str, max: usize) {
        let count = text.chars().count();
        if text.trim().is_empty() {
            self.add(field, "required", "must not be empty");
        } else if count > max {
            self.add(field, "too_long", format!("has {count} characters; at most {max} are taken"));
        }
    }

    /// Adds a fault where a recipient is no address.
    pub(crate) fn recipient(&mut self, field: &str, recipient: &Recipient) {
        let Err(error) = recipient.check() else { return };
        let (name, code) = match recipient {
            Recipient::Phone(_) => ("phone", "invalid_phone"),
            _ => ("email", "invalid_email"),
        };
        self.add(format!("{field}.{name}"), code, error.to_string());
    }

    /// The problem, where there is a fault.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(self.problem()) }
    }

    /// The problem that names every fault.
    pub(crate) fn problem(self) -> Problem {
        let first = self.0.first();
        let detail = first.map(|first| format!("{}: {}", first.field, first.message)).unwrap_or_default();
        let mut problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_fields", detail);
        problem.errors = self.0;
        problem
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_and_a_foreign_one_is_named() {
        let cursor = Cursor(uuid::Uuid::from_u128(42));
        let page = |text: &str| Query::parse(text).and_then(|mut query| query.take_page());
        assert_eq!(page(&format!("cursor={}", encode_cursor(cursor))).unwrap().after, Some(cursor));
        for (text, field) in
            [("cursor=abc", "cursor"), ("limit=0", "limit"), ("limit=ten", "limit"), ("limit=201", "limit")]
        {
            let problem = page(text).unwrap_err();
            assert_eq!((problem.status, problem.errors[0].field.as_str()), (400, field), "{text}");
        }
    }

    #[test]
    fn a_moment_is_of_a_year_that_calendars_know() {
        #[derive(Deserialize)]
        struct Asked {
            #[serde(default, deserialize_with = "optional_moment")]
            at: Option<Timestamp>,
        }
        let read = |text: &str| serde_json::from_str::<Asked>(text).map(|asked| asked.at.is_some());
        for text in [r#"{}"#, r#"{"at": null}"#] {
            assert!(!read(text).unwrap(), "{text}");
        }
        for year in ["1970", "2026", "9999"] {
            assert!(read(&format!(r#"{{"at": "{year}-06-01T00:00:00Z"}}"#)).unwrap(), "{year}");
        }
        for year in ["-262143", "-0001", "0000", "1969", "+10000", "+262142"] {
            assert!(read(&format!(r#"{{"at": "{year}-06-01T00:00:00Z"}}"#)).is_err(), "{year}");
        }
    }

    #[test]
    fn a_mistyped_or_repeated_parameter_is_refused() {
        assert_eq!(Query::parse("stauts=open").unwrap().finish().unwrap_err().code, "unknown_parameter");
        assert!(Query::parse("a=1&a=2").is_err());
        assert!(Query::parse("").unwrap().finish().is_ok());
    }
}
