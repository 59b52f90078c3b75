//! The HTTP clients of all adapters, and what becomes of a request that got no answer of the provider's own.

use std::error::Error as StdError;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime};
use fastlead_core::time::Timestamp;
use fastlead_core::{ErrorKind, RetryHint};
use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};

use crate::egress::{Egress, Refusal};
use crate::resolver::GuardedResolver;
use crate::tls;

/// Shorter than servers and proxies keep idle connections, so that a request is not written into one
/// that is just being closed: its outcome would be unknown for no reason.
const IDLE_CONNECTION: Duration = Duration::from_secs(15);

/// A client that connects only where `egress` lets it, and follows and repeats nothing. `encrypted` says
/// whether what it sends will be. A host that is an address is not looked up: [`Egress::check`] it first.
pub(crate) fn client(egress: &Egress, encrypted: bool, timeout: Duration) -> reqwest::ClientBuilder {
    tls::install_crypto();
    reqwest::Client::builder()
        .timeout(timeout)
        // Shorter than the whole, so that an unreachable host is known to have got nothing.
        .connect_timeout(timeout / 2)
        .pool_idle_timeout(IDLE_CONNECTION)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        // The environment is the server's business, and its proxies would resolve names past our resolver.
        .no_proxy()
        .dns_resolver(GuardedResolver::new(egress.clone(), encrypted))
        .user_agent(concat!("fastlead/", env!("CARGO_PKG_VERSION")))
}

/// The refusal behind an error, where it comes from the guard and nothing was sent.
pub(crate) fn refusal(error: &reqwest::Error) -> Option<Refusal> {
    causes(error).find_map(|cause| cause.downcast_ref::<Refusal>().copied())
}

/// What a request came to that brought no answer of the provider's own: the same for every adapter, because the
/// facts are those of the network and not of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) kind: ErrorKind,
    pub(crate) retry: RetryHint,
    pub(crate) message: &'static str,
}

const fn class(kind: ErrorKind, retry: RetryHint, message: &'static str) -> Class {
    Class { kind, retry, message }
}

/// Classifies a request without an answer. Where the certificate of the other side is not accepted, `bad_certificate`
/// is said: it names the fields to look at.
pub(crate) fn no_answer(error: &reqwest::Error, bad_certificate: &'static str) -> Class {
    if let Some(refusal) = refusal(error) {
        class(ErrorKind::Config, RetryHint::Never, refusal.message())
    } else if causes(error).any(tls::is_bad_certificate) {
        // Nothing was sent, and nothing will be until somebody acts: the owner has to hear of it.
        class(ErrorKind::Config, RetryHint::Never, bad_certificate)
    } else if error.is_connect() {
        // Not a byte of the request was written.
        let kind = if error.is_timeout() { ErrorKind::Timeout } else { ErrorKind::Unavailable };
        class(kind, RetryHint::SAFE, "cannot connect")
    } else if error.is_timeout() {
        class(ErrorKind::Timeout, RetryHint::UNKNOWN, "no answer in time")
    } else if error.is_builder() {
        class(ErrorKind::Internal, RetryHint::Never, "cannot build the request")
    } else if !has_begun_to_answer(error) && causes(error).any(was_not_processed) {
        class(ErrorKind::Unavailable, RetryHint::SAFE, "the server closed the connection without acting")
    } else if causes(error).any(is_unreadable) {
        class(ErrorKind::Protocol, RetryHint::UNKNOWN, "the answer is not http")
    } else {
        class(ErrorKind::Unavailable, RetryHint::UNKNOWN, "the connection broke before the answer")
    }
}

/// The head of an answer had come: whatever breaks then, the server had acted.
fn has_begun_to_answer(error: &reqwest::Error) -> bool {
    error.is_body() || error.is_decode()
}

/// Whether the cause proves that the server did not act upon the request.
///
/// * HTTP/2 `REFUSED_STREAM`: "closed prior to any processing having occurred"
///   ([RFC 9113 section 8.7](https://www.rfc-editor.org/rfc/rfc9113#section-8.7)).
/// * HTTP/2 `GOAWAY`: the h2 crate reports it for streams above the last one that the server names, which were not
///   processed ([section 6.8](https://www.rfc-editor.org/rfc/rfc9113#section-6.8)). A stream that the server may have
///   processed ends with an error of the network instead.
/// * A kept connection that was closed before the request was written to it.
fn was_not_processed(cause: &(dyn StdError + 'static)) -> bool {
    if let Some(error) = cause.downcast_ref::<h2::Error>() {
        let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        return error.is_remote() && (refused || error.is_go_away());
    }
    cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled)
}

fn is_unreadable(cause: &(dyn StdError + 'static)) -> bool {
    cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse)
}

/// Classifies an answer by its status alone, where its body says nothing in the provider's own words: it comes from
/// whatever stands in front of the provider, or from a receiver whose body has no meaning. The meanings are those of
/// [RFC 9110 section 15](https://www.rfc-editor.org/rfc/rfc9110#section-15); `after` is the delay that it names.
pub(crate) const fn by_status(status: u16, after: Option<Duration>) -> Class {
    use ErrorKind::{Invalid, Protocol, RateLimited, Timeout, Unavailable};
    let unknown = RetryHint::IfIdempotent { after };
    let safe = RetryHint::Safe { after };
    match status {
        200..=299 => class(Protocol, RetryHint::UNKNOWN, "the answer cannot be read"),
        // "See other" is what a program answers that has taken a post; 302 is used like it.
        302 | 303 => class(Unavailable, unknown, REDIRECTED),
        300..=399 => class(Unavailable, safe, REDIRECTED),
        // Proxies say so, too, after the request has gone on.
        408 => class(Timeout, unknown, "the server says that the request came too slowly"),
        // It may say that it has this already.
        409 => class(Invalid, unknown, "the server says that the request conflicts with what it has"),
        425 => class(Unavailable, safe, "too early"),
        429 => class(RateLimited, safe, "too many requests"),
        400..=499 => class(Invalid, safe, "the server refuses the request"),
        // Whether somebody behind the one who answers has acted is not known.
        503 if after.is_some() => class(RateLimited, unknown, "the server asks to wait"),
        500..=599 => class(Unavailable, unknown, "the server failed"),
        _ => class(Protocol, RetryHint::UNKNOWN, "the answer has no meaning"),
    }
}

/// Following it would hand a lead and credentials to an address that the owner has not named and nobody has checked.
const REDIRECTED: &str = "the address redirects, which is not followed; set the final address";

/// Reads `Retry-After`: seconds, or a date in one of the three forms of RFC 9110 section 5.6.7, which is compared with
/// the `Date` of the same answer, or else with `now`. A date that has passed means now; at most a day.
pub(crate) fn retry_after(headers: &HeaderMap, now: Option<Timestamp>) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::trim);
    let value = text(RETRY_AFTER)?;
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds are certainly too long.
        return Some(value.parse().map_or(LONGEST_DELAY, Duration::from_secs).min(LONGEST_DELAY));
    }
    let since = text(DATE).and_then(date).or(now)?;
    Some((date(value)? - since).to_std().unwrap_or(Duration::ZERO).min(LONGEST_DELAY))
}

/// Whoever names more is asked again after this.
const LONGEST_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

fn date(value: &str) -> Option<Timestamp> {
    let obsolete = |form| NaiveDateTime::parse_from_str(value, form).ok().map(|date| date.and_utc());
    DateTime::parse_from_rfc2822(value)
        .ok()
        .map(|date| date.to_utc())
        .or_else(|| obsolete("%A, %d-%b-%y %H:%M:%S GMT"))
        .or_else(|| obsolete("%a %b %e %H:%M:%S %Y"))
}

/// What is behind an error, also inside errors of the network: those show what they wrap by `get_ref` only.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(error.source(), |&cause| {
        let wrapped = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn StdError + 'static)),
            None => cause.source(),
        }
    })
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
