//! The widget for sites: its script, and the form that it shows.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fastlead_core::lead::{ConsentDocument, TRAP_FIELD, limits};
use fastlead_core::message::Locale;
use fastlead_core::port::{FormTexts, Source};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::capture::allowed_origin;
use crate::form::{self, PageQuery};
use crate::problem::Problem;
use crate::words::{CODES, Words, by_code, words};

/// Built from `web/widget/src` by `cargo xtask web`.
const SCRIPT: &[u8] = include_bytes!("../web/widget/dist/w.js");
/// The same in gzip: a proxy that compresses scripts is not to be counted on.
const ZIPPED: &[u8] = include_bytes!("../web/widget/dist/w.js.gz");
/// Five minutes; for a day after that a browser may use what it has while it asks again.
const SCRIPT_KEPT: &str = "public, max-age=300, stale-while-revalidate=86400, stale-if-error=86400";
const FORM_KEPT: &str = "public, max-age=60";
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

static SCRIPT_TAG: LazyLock<String> = LazyLock::new(|| tag(SCRIPT));
static ZIPPED_TAG: LazyLock<String> = LazyLock::new(|| tag(ZIPPED));

/// A strong entity tag: half of the SHA-256 of the bytes.
fn tag(bytes: &[u8]) -> String {
    let digest = hex::encode(Sha256::digest(bytes));
    format!("\"{}\"", digest.get(..32).unwrap_or(&digest))
}

/// A form as the widget shows it. All words that a visitor reads are in it, so that the script has none.
#[derive(Debug, Serialize)]
struct Form<'a> {
    source: &'a str,
    lang: &'static str,
    #[serde(flatten)]
    texts: FormTexts,
    fields: Vec<Field>,
    consents: Vec<Document<'a>>,
    trap: &'static str,
    words: &'static Words,
    errors: BTreeMap<&'static str, &'static str>,
}

/// A field of the form.
#[derive(Debug, Serialize)]
struct Field {
    name: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    label: &'static str,
    required: bool,
    max: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    placeholder: Option<&'static str>,
}

/// A box with its document.
#[derive(Debug, Serialize)]
struct Document<'a> {
    purpose: &'static str,
    label: &'a str,
    required: bool,
    version: &'a str,
    text_sha256: String,
    url: String,
}

impl<'a> Form<'a> {
    fn of(source: &'a Source, locale: Locale) -> Self {
        let words = words(locale);
        let field = |name: &'static str, kind, label, required, max| {
            let placeholder = (name == "phone").then_some("+7 900 000-00-00");
            Field { name, kind, label, required, max, placeholder }
        };
        let mut fields = vec![
            field("name", "text", words.name, false, limits::NAME_CHARS),
            field("phone", "tel", words.phone, true, 64),
        ];
        if source.form.ask_email {
            fields.push(field("email", "email", words.email, false, 254));
        }
        if source.form.ask_comment {
            fields.push(field("comment", "textarea", words.comment, false, limits::COMMENT_CHARS));
        }
        let shown = ConsentDocument::in_locale(&source.consents, locale, source.locale);
        let consents = shown.into_iter().map(|document| Document {
            purpose: document.purpose.as_str(),
            label: &document.label,
            required: document.required,
            version: &document.version,
            text_sha256: document.text_sha256(),
            url: address(source, document, locale),
        });
        Self {
            source: &source.key,
            lang: locale.as_str(),
            texts: source.form.texts(locale, source.locale),
            fields,
            consents: consents.collect(),
            trap: TRAP_FIELD,
            words,
            errors: CODES
                .iter()
                .map(|code| (*code, by_code(locale, code)))
                .chain([("", by_code(locale, ""))])
                .collect(),
        }
    }
}

/// Where the exact text of this version stands, on the host from which the script came.
fn address(source: &Source, document: &ConsentDocument, locale: Locale) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("lang", locale.as_str())
        .append_pair("version", &document.version)
        .finish();
    format!("/f/{}/documents/{}?{query}", source.key, document.purpose.as_str())
}

/// `GET /w.js`: the script that a site includes.
pub(crate) async fn script(headers: HeaderMap) -> Response {
    let zipped = takes_gzip(&headers);
    let (tag, bytes) = if zipped { (&*ZIPPED_TAG, ZIPPED) } else { (&*SCRIPT_TAG, SCRIPT) };
    let kind = HeaderValue::from_static("text/javascript; charset=utf-8");
    let mut response = cached(&headers, kind, SCRIPT_KEPT, tag, || bytes.into());
    let answered = response.headers_mut();
    answered.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if zipped && answered.contains_key(header::CONTENT_TYPE) {
        answered.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Whether whoever asks reads gzip: named, and not with a weight of 0 (RFC 9110, 12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|list| list.split(',')).any(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, ""));
        let weight = weight.trim().trim_start_matches("q=");
        name.trim().eq_ignore_ascii_case("gzip") && !matches!(weight, "0" | "0." | "0.0" | "0.00" | "0.000")
    })
}

/// `GET /w/{key}.json`: the form of a source. It is public, as the hosted form is; a site from which leads may not come is told
/// so, for whoever puts the widget there.
pub(crate) async fn form(
    State(app): State<App>,
    Path(file): Path<String>,
    Query(query): Query<PageQuery>,
    headers: HeaderMap,
) -> Response {
    let mut response = match definition(&app, &file, &query, &headers) {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    };
    let answered = response.headers_mut();
    answered.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    answered.insert(header::VARY, HeaderValue::from_static("origin, accept-language"));
    response
}

fn definition(app: &App, file: &str, query: &PageQuery, headers: &HeaderMap) -> Result<Response, Problem> {
    let directory = app.engine.directory();
    let key = file.strip_suffix(".json").unwrap_or_default();
    let source = directory.source(key).ok_or_else(|| Problem::not_found("this form"))?;
    if !source.active {
        return Err(Problem::new(StatusCode::GONE, "source_closed", "this source takes no leads any more"));
    }
    allowed_origin(source, headers, &app.public_url)?;
    let locale = form::locale_of_form(query, headers, source);
    let body = serde_json::to_vec(&Form::of(source, locale)).map_err(|error| {
        tracing::error!(%error, "the form of a widget cannot be written");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the form could not be made")
    })?;
    let kind = HeaderValue::from_static("application/json");
    let tag = tag(&body);
    Ok(cached(headers, kind, FORM_KEPT, &tag, || body.into()))
}

/// An answer with its tag, or 304 where the asker has it already.
fn cached(
    asked: &HeaderMap,
    kind: HeaderValue,
    kept: &'static str,
    tag: &str,
    body: impl FnOnce() -> axum::body::Body,
) -> Response {
    let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let is_known = known.flat_map(|tags| tags.split(',')).any(|one| {
        let one = one.trim();
        one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag
    });
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, kind)], body()).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_goes_to_whoever_reads_it() {
        for (accepted, taken) in [
            ("gzip, deflate, br", true),
            ("br;q=1, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0", false),
            ("br, x-gzip", false),
            ("", false),
        ] {
            let asked =
                HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::try_from(accepted).unwrap())]);
            assert_eq!(takes_gzip(&asked), taken, "{accepted}");
        }
    }

    #[test]
    fn whoever_has_it_is_not_sent_it_again() {
        let kind = || HeaderValue::from_static("text/plain");
        let status = |known: &str| {
            let asked =
                HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::try_from(known).unwrap())]);
            cached(&asked, kind(), FORM_KEPT, "\"a\"", || "x".into()).status()
        };
        for known in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*"] {
            assert_eq!(status(known), StatusCode::NOT_MODIFIED, "{known}");
        }
        for known in ["\"b\"", "a", ""] {
            assert_eq!(status(known), StatusCode::OK, "{known}");
        }
    }
}
