//! The session cookie of browsers, and what a request that carries it must prove.
//!
//! A cookie is sent by the browser whoever caused the request, so it is believed only in requests that the server's own pages
//! have made. Browsers say so themselves ([Fetch Metadata](https://www.w3.org/TR/fetch-metadata/)); older ones name the origin.

use axum::http::{HeaderMap, Method, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fastlead_core::id::SessionId;
use fastlead_core::secret::Secret;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use url::Url;

use crate::keyset::{KeySet, SigningKey};

const ID: usize = 16;
const CODE: usize = 32;

/// Name of the cookie. With HTTPS its prefix makes browsers refuse one that another host or an insecure page has set
/// ([RFC 6265bis section 4.1.3.2](https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#section-4.1.3.2)).
pub(crate) const fn name(https: bool) -> &'static str {
    if https { "__Host-fl_session" } else { "fl_session" }
}

/// Session of a browser, as its cookie names it.
#[derive(Debug, Clone)]
pub struct SessionCookie {
    value: Secret<String>,
    /// For how many seconds the browser keeps it.
    max_age_secs: u64,
}

impl SessionCookie {
    pub(super) fn new(keys: &KeySet, session: SessionId, max_age_secs: u64) -> Self {
        let id = session.as_uuid();
        let code = code(keys.current(), id.as_bytes()).finalize().into_bytes();
        let value = URL_SAFE_NO_PAD.encode([&id.as_bytes()[..], &code[..]].concat());
        Self { value: Secret::new(value), max_age_secs }
    }

    /// The line that sets the cookie.
    pub(crate) fn line(&self, https: bool) -> String {
        line(https, self.value.expose(), self.max_age_secs)
    }

    /// The line that takes the cookie away.
    pub(crate) fn removal(https: bool) -> String {
        line(https, "", 0)
    }
}

fn line(https: bool, value: &str, max_age_secs: u64) -> String {
    let secure = if https { "; Secure" } else { "" };
    format!("{}={value}; Path=/; Max-Age={max_age_secs}; HttpOnly; SameSite=Strict{secure}", name(https))
}

/// Reads a session from the value of a cookie; `None` where it was not made here.
pub(super) fn read(text: &str, keys: &KeySet) -> Option<SessionId> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (id, given) = bytes.split_first_chunk::<ID>()?;
    let is_ours = given.len() == CODE && keys.all().any(|key| code(key, id).verify_slice(given).is_ok());
    is_ours.then(|| SessionId::from_uuid(uuid::Uuid::from_bytes(*id)))
}

fn code(key: &SigningKey, id: &[u8; ID]) -> Hmac<Sha256> {
    let mut code = key.code();
    code.update(b"fastlead session");
    code.update(id);
    code
}

/// The value of a cookie.
pub(crate) fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// Whether a request was made by a page of this server, or typed by a person where it changes nothing.
pub(crate) fn is_own(method: &Method, headers: &HeaderMap, public_url: &str) -> bool {
    let changes_nothing = matches!(*method, Method::GET | Method::HEAD);
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    match text("sec-fetch-site") {
        Some("same-origin") => true,
        Some("none") => changes_nothing,
        Some(_) => false,
        None => match text("origin") {
            Some(origin) => is_our_origin(origin, text("host").unwrap_or_default(), public_url),
            None => changes_nothing,
        },
    }
}

fn is_our_origin(origin: &str, host: &str, public_url: &str) -> bool {
    let Ok(origin) = Url::parse(origin) else { return false };
    if Url::parse(public_url).is_ok_and(|own| own.origin() == origin.origin()) {
        return true;
    }
    // Under another name of this server, such as `localhost`. A proxy with HTTPS in front is named by `public_url`.
    Url::parse(&format!("http://{host}")).is_ok_and(|own| own.origin() == origin.origin())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_names_a_session_under_our_key_alone() {
        let keys = KeySet::sample(&[7]);
        let session = SessionId::from_uuid(uuid::Uuid::from_u128(3));
        let cookie = SessionCookie::new(&keys, session, 60);
        let text = cookie.value.expose().as_str();
        assert_eq!(read(text, &keys), Some(session));
        assert_eq!(read(text, &KeySet::sample(&[8, 7])), Some(session), "the key was rotated");
        assert_eq!(read(text, &KeySet::sample(&[8])), None);
        let other = URL_SAFE_NO_PAD.decode(text).unwrap();
        let other: Vec<u8> = other.iter().enumerate().map(|(at, byte)| byte ^ u8::from(at == 15)).collect();
        for text in ["", "AAAA", &text[1..], &text[..40], &URL_SAFE_NO_PAD.encode(other)] {
            assert_eq!(read(text, &keys), None, "{text}");
        }
        let line = cookie.line(true);
        assert!(line.starts_with("__Host-fl_session=") && line.contains("; Path=/;"), "{line}");
        for attribute in ["HttpOnly", "SameSite=Strict", "Secure", "Max-Age=60"] {
            assert!(line.split("; ").any(|part| part == attribute), "{attribute}");
        }
        assert!(!line.contains("Domain"));
        assert!(SessionCookie::removal(false).starts_with("fl_session=; Path=/; Max-Age=0;"));
        assert!(!format!("{cookie:?}").contains(text));
    }

    #[test]
    fn only_pages_of_this_server_use_a_cookie() {
        let public = "https://leads.example.com";
        let own = |method: Method, given: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            headers.insert("host", "127.0.0.1:8080".parse().unwrap());
            for (name, value) in given {
                headers.insert(*name, value.parse().unwrap());
            }
            is_own(&method, &headers, public)
        };
        for (site, reads, writes) in [
            ("same-origin", true, true),
            ("none", true, false),
            ("same-site", false, false),
            ("cross-site", false, false),
            ("", false, false),
        ] {
            // The browser's word on the site counts, whatever stands in `Origin`.
            let given = [("sec-fetch-site", site), ("origin", public)];
            assert_eq!(own(Method::GET, &given), reads, "{site}");
            assert_eq!(own(Method::POST, &given), writes, "{site}");
        }
        for (origin, fine) in [
            (public, true),
            ("https://leads.example.com:443", true),
            ("http://127.0.0.1:8080", true),
            ("http://leads.example.com", false),
            ("https://evil.example.com", false),
            ("https://leads.example.com.evil.example", false),
            ("http://127.0.0.1:8081", false),
            ("null", false),
            ("", false),
        ] {
            assert_eq!(own(Method::POST, &[("origin", origin)]), fine, "{origin}");
        }
        assert!(own(Method::GET, &[]) && !own(Method::POST, &[]) && !own(Method::DELETE, &[]));
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=1; fl_sessionx=2".parse().unwrap());
        headers.append(header::COOKIE, " fl_session=3 ;b".parse().unwrap());
        assert_eq!(value(&headers, "fl_session"), Some("3"));
        assert_eq!(value(&headers, "c"), None);
    }
}
