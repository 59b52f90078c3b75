//! What holds for every answer, whoever made it: errors are problem documents or, for visitors, pages; what is personal is kept by
//! no cache; and forms are framed only where their source says so.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use fastlead_core::message::Locale;
use fastlead_core::port::Source;
use serde::Serialize;

use crate::app::App;
use crate::form;
use crate::problem::Problem;

const PAGE: &str = include_str!("web/confirm.html");
/// A year.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Names that are always those of this machine.
const THIS_MACHINE: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Finishes an answer.
pub(crate) async fn finish(State(app): State<App>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let wants_page = is_for_visitors(&path) && accepts_pages(request.headers());
    let locale = wants_page.then(|| locale(request.headers()));
    let mut response = if app.only_this_machine && !names_this_machine(request.headers()) {
        let detail = "the demo answers only under `localhost` and `127.0.0.1`";
        Problem::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", detail).into_response()
    } else {
        next.run(request).await
    };
    if response.status().is_client_error() || response.status().is_server_error() {
        response = explained(response, &path, locale);
    }
    let headers = response.headers_mut();
    if path.starts_with("/v1/") || path.starts_with("/demo") {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if app.has_public_address() {
        headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(HSTS);
    }
    if let Some(framing) = framing(&app, &path) {
        restrict_framing(headers, &framing);
    }
    response
}

/// Whether people open an address in a browser.
fn is_for_visitors(path: &str) -> bool {
    path.starts_with("/f/") || path.starts_with("/c/")
}

pub(crate) fn accepts_pages(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|text| text.split(','))
        .any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/html")))
}

pub(crate) fn locale(headers: &HeaderMap) -> Locale {
    let accepted =
        headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted
        .split(',')
        .find_map(|tag| Locale::from_tag(tag.split(';').next().unwrap_or_default().trim()))
        .unwrap_or(Locale::Ru)
}

/// The error as a problem document or a page. What a provider is answered stays as its adapter has written it.
fn explained(response: Response, path: &str, locale: Option<Locale>) -> Response {
    let kind = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let (is_problem, is_page) = (kind.starts_with("application/problem+json"), kind.starts_with("text/html"));
    if is_page || path.starts_with("/webhooks/") {
        return response;
    }
    let status = response.status();
    let mut made = match locale {
        Some(locale) => form::html(PAGE, &Page::of(status, locale), status),
        None if is_problem => return response,
        None => problem(status).into_response(),
    };
    // What the error said beside its text holds on: `Allow`, `Retry-After`, and what browsers need.
    for (name, value) in response.headers() {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            made.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
    }
    made
}

/// The problem of an error that was answered without one.
fn problem(status: StatusCode) -> Problem {
    let (code, detail) = match status {
        StatusCode::BAD_REQUEST => {
            ("invalid_request", "the address or the request cannot be read; is it URL-encoded UTF-8?")
        }
        StatusCode::NOT_FOUND => ("not_found", "this address does not exist"),
        StatusCode::METHOD_NOT_ALLOWED => (
            "method_not_allowed",
            "this address does not know this method; see `Allow` and GET /openapi.json",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => ("body_too_large", "the body is too large; send less"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            ("unsupported_media_type", "this type of body is not taken here")
        }
        _ if status.is_client_error() => ("invalid_request", "the request cannot be taken"),
        _ => ("internal", "something went wrong here; the log says what"),
    };
    Problem::new(status, code, detail)
}

#[derive(Serialize)]
struct Page {
    lang: &'static str,
    title: &'static str,
    text: &'static str,
    button: Option<&'static str>,
}

impl Page {
    fn of(status: StatusCode, locale: Locale) -> Self {
        let (title, text) = match (locale, status) {
            (
                Locale::Ru,
                StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST | StatusCode::METHOD_NOT_ALLOWED,
            ) => ("Такой страницы нет", "Проверьте адрес или вернитесь на сайт, с которого вы пришли."),
            (
                Locale::En,
                StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST | StatusCode::METHOD_NOT_ALLOWED,
            ) => (
                "This page does not exist",
                "Please check the address, or go back to the site that you came from.",
            ),
            (Locale::Ru, StatusCode::GONE) => ("Форма закрыта", "Заявки здесь больше не принимаются."),
            (Locale::En, StatusCode::GONE) => ("This form is closed", "It takes no requests any more."),
            (Locale::Ru, _) => ("Не получилось", "Попробуйте ещё раз через минуту."),
            (Locale::En, _) => ("That did not work", "Please try again in a minute."),
        };
        Self { lang: locale.as_str(), title, text, button: None }
    }
}

/// Whether a request names this machine as its host. A page of another site could have its own name lead here otherwise.
fn names_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|value| value.to_str().ok()) else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    THIS_MACHINE.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// Who may show a page inside a page of its own; `None` where everybody may.
fn framing(app: &App, path: &str) -> Option<String> {
    if path.starts_with("/c/") || path.starts_with("/api") {
        return Some("'none'".to_owned());
    }
    let key = path.strip_prefix("/f/")?.split('/').next()?;
    let directory = app.engine.directory();
    ancestors(directory.source(key)?)
}

fn ancestors(source: &Source) -> Option<String> {
    let given = &source.form.frame_ancestors;
    match given.as_slice() {
        [] => None,
        [none] if none == "none" => Some("'none'".to_owned()),
        origins => Some(format!("'self' {}", origins.join(" "))),
    }
}

fn restrict_framing(headers: &mut HeaderMap, framing: &str) {
    let policy = headers
        .get(header::CONTENT_SECURITY_POLICY)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if policy.contains("frame-ancestors") {
        return;
    }
    let separator = if policy.is_empty() { "" } else { "; " };
    if let Ok(policy) = HeaderValue::try_from(format!("{policy}{separator}frame-ancestors {framing}")) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
}

/// Whether a source may name this as a page that shows its form: an origin, with `*.` for all names below one.
pub(crate) fn is_ancestor(text: &str) -> bool {
    let Some(host) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return false;
    };
    let host = host.strip_prefix("*.").unwrap_or(host);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':');
    !host.is_empty() && host.len() <= 255 && host.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use axum::http::header::HeaderName;

    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::try_from(value).unwrap())])
    }

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        for (host, own) in [
            ("localhost", true),
            ("LOCALHOST:8080", true),
            ("127.0.0.1:8080", true),
            ("[::1]:8080", true),
            ("[::1]", true),
            ("localhost.evil.example", false),
            ("evil.example:8080", false),
            ("127.0.0.1.nip.io", false),
            ("", false),
        ] {
            assert_eq!(names_this_machine(&headers(header::HOST, host)), own, "{host}");
        }
    }

    #[test]
    fn ancestors_are_origins() {
        for (text, good) in [
            ("https://example.com", true),
            ("https://*.example.com", true),
            ("http://localhost:3000", true),
            ("example.com", false),
            ("https://example.com/page", false),
            ("https://example.com; script-src *", false),
            ("https://", false),
            ("*", false),
        ] {
            assert_eq!(is_ancestor(text), good, "{text}");
        }
    }

    #[test]
    fn a_page_goes_to_whoever_accepts_one() {
        assert!(accepts_pages(&headers(header::ACCEPT, "text/html,application/xhtml+xml;q=0.9")));
        assert!(!accepts_pages(&headers(header::ACCEPT, "application/json")));
        assert_eq!(locale(&headers(header::ACCEPT_LANGUAGE, "de, en;q=0.8")), Locale::En);
        assert_eq!(locale(&HeaderMap::new()), Locale::Ru);
    }
}
