//! The console: pages that were built before this program was, packed into it, and served under `/console/`.

use std::io::Read as _;
use std::sync::LazyLock;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use flate2::read::GzDecoder;
use sha2::{Digest as _, Sha256};

use crate::app::App;
use crate::problem::Problem;

/// Every file with its path from `/console/`, packed with gzip. `build.rs` writes the table.
static FILES: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/console.rs"));

/// The page itself; its script shows the room that the address names.
const PAGE: &str = "index.html";
/// Names of files in this folder tell their content.
const ASSETS: &str = "assets/";

/// No script, style or connection but the server's own, and nothing that writes text into the page as HTML.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; font-src 'self'; \
     base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'",
);

/// The routes.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/console", get(|| async { Redirect::permanent("/console/") }))
        .route("/console/", get(|headers: HeaderMap| async move { answer(PAGE, &headers) }))
        .route(
            "/console/{*path}",
            get(|Path(path): Path<String>, headers: HeaderMap| async move { answer(&path, &headers) }),
        )
}

/// Names the build of the console: another build has another name.
pub(crate) fn build() -> &'static str {
    static BUILD: LazyLock<String> = LazyLock::new(|| file(PAGE).map(tag).unwrap_or_default());
    BUILD.as_str()
}

fn file(path: &str) -> Option<&'static [u8]> {
    FILES.iter().find(|(name, _)| *name == path).map(|(_, packed)| *packed)
}

/// The first 16 digits of a hash of the packed file.
fn tag(packed: &[u8]) -> String {
    hex::encode(Sha256::digest(packed)).chars().take(16).collect()
}

/// A file, or the page for an address that only its script knows.
fn answer(path: &str, headers: &HeaderMap) -> Response {
    let is_asset = path.starts_with(ASSETS);
    let (path, packed) = match file(path) {
        Some(packed) => (path, packed),
        // A part of another build: the page must hear that it is gone.
        None if is_asset => return Problem::not_found("this file").into_response(),
        None => match file(PAGE) {
            Some(packed) => (PAGE, packed),
            None => return Problem::not_found("this page").into_response(),
        },
    };
    let tag = format!("\"{}\"", tag(packed));
    let is_known = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|known| known.split(',').any(|known| known.trim().trim_start_matches("W/") == tag));
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else if takes_gzip(headers) {
        ([(header::CONTENT_ENCODING, "gzip")], Bytes::from_static(packed)).into_response()
    } else {
        let mut plain = Vec::new();
        match GzDecoder::new(packed).read_to_end(&mut plain) {
            Ok(_) => Body::from(plain).into_response(),
            Err(error) => {
                tracing::error!(%error, file = path, "a file of the console cannot be unpacked");
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
        }
    };
    let cache = if is_asset { "public, max-age=31536000, immutable" } else { "no-cache" };
    let set = response.headers_mut();
    set.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind(path)));
    set.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    set.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    set.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    set.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    set.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        set.insert(header::ETAG, tag);
    }
    response
}

/// Whether a client says that it takes gzip. One that gives it no weight does not.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|text| text.split(',')).any(|part| {
        let mut words = part.split(';').map(str::trim);
        let is_gzip = words.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let is_refused =
            words.any(|word| word.strip_prefix("q=").is_some_and(|q| q.trim_matches(['0', '.']).is_empty()));
        is_gzip && !is_refused
    })
}

fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        Some("md" | "txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(path: &str, given: &[(&'static str, &str)]) -> Response {
        let given = given.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        answer(path, &HeaderMap::from_iter(given))
    }

    #[test]
    fn the_page_answers_every_address_but_those_of_files() {
        assert!(FILES.iter().any(|(name, _)| name.starts_with("assets/") && name.ends_with(".js")));
        for path in ["leads", "leads/lead_1", "index.html"] {
            let page = ask(path, &[("accept-encoding", "br, gzip")]);
            assert_eq!(
                (page.status(), &page.headers()["content-encoding"]),
                (StatusCode::OK, &"gzip".parse().unwrap())
            );
            assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8", "{path}");
            assert_eq!(page.headers()["cache-control"], "no-cache");
        }
        assert_eq!(ask("assets/gone-12345678.js", &[]).status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn the_policy_allows_nothing_unsafe_and_nobody_else() {
        let policy = POLICY;
        let policy = policy.to_str().unwrap();
        for word in ["unsafe", "http", "*", "nonce"] {
            assert!(!policy.contains(word), "{word}");
        }
        assert!(policy.contains("require-trusted-types-for 'script'"));
    }

    #[test]
    fn what_is_known_is_not_sent_again_and_who_takes_no_gzip_gets_none() {
        let tag = ask("", &[]).headers()["etag"].to_str().unwrap().to_owned();
        assert_eq!(
            ask("", &[("if-none-match", &format!("\"x\", W/{tag}"))]).status(),
            StatusCode::NOT_MODIFIED
        );
        for (accepted, packed) in
            [("gzip", true), ("GZIP;q=0.5", true), ("gzip;q=0", false), ("gzip; q=0.0", false), ("br", false)]
        {
            let page = ask("", &[("accept-encoding", accepted)]);
            assert_eq!(page.headers().contains_key("content-encoding"), packed, "{accepted}");
        }
    }

    #[test]
    fn every_file_has_a_kind_and_is_what_was_packed() {
        for (name, packed) in FILES {
            assert_ne!(kind(name), "application/octet-stream", "{name}");
            let mut plain = Vec::new();
            GzDecoder::new(*packed).read_to_end(&mut plain).unwrap();
            let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("web/console/dist").join(name);
            assert!(plain == std::fs::read(here).unwrap(), "{name}");
        }
    }
}
