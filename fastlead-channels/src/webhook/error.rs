//! What a receiver's answer means, in one place.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime};
use fastlead_core::time::Timestamp;
use fastlead_core::{Error, ErrorKind, RetryHint};

use super::adapter::KIND;
use crate::http;

/// What was asked. Only a send can have an effect that must not happen twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Send,
    Check,
}

impl Operation {
    /// An error of this operation. "Outcome unknown" turns into "safe" where asking again is harmless.
    pub(super) fn error(self, kind: ErrorKind, retry: RetryHint, message: &'static str) -> Error {
        let (name, retry) = match (self, retry) {
            (Self::Check, RetryHint::IfIdempotent { after }) => ("check", RetryHint::Safe { after }),
            (Self::Check, retry) => ("check", retry),
            (Self::Send, retry) => ("send", retry),
        };
        Error::new(kind, message).with_retry(retry).with_adapter(KIND).with_operation(name)
    }
}

/// The error behind a status that is not 2xx. `retry_after` is the header as it came, `now` the
/// moment of the attempt. The rules of a sender are those of
/// [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
pub(super) fn parse_error(status: u16, retry_after: Option<&str>, now: Timestamp) -> Error {
    use ErrorKind::{Auth, Config, Content, Invalid, Protocol, RateLimited, Unavailable};
    const NEVER: RetryHint = RetryHint::Never;
    const UNKNOWN: RetryHint = RetryHint::UNKNOWN;
    let named = retry_after.and_then(|value| delay(value, now));
    let (kind, retry, message) = match (status, named) {
        // Following it would hand a signed lead to an address that the owner has not named and nobody
        // has checked, and asking again would be redirected again.
        (300..=399, _) => {
            (Unavailable, NEVER, "the receiver redirects, which is not followed; set the final address")
        }
        (401 | 403, _) => (Auth, NEVER, "the receiver refuses the credentials or the signature"),
        (408, _) => (Unavailable, UNKNOWN, "the receiver did not get the request in time"),
        // The specification: disable the endpoint and tell the owner.
        (410, _) => (Config, NEVER, "the receiver is gone and wants no more webhooks"),
        (413 | 422, _) => (Content, NEVER, "the receiver refuses the content"),
        (425, after) => (Unavailable, RetryHint::Safe { after }, "too early"),
        (429, after) => (RateLimited, RetryHint::Safe { after }, "too many requests"),
        (503, Some(after)) => {
            (RateLimited, RetryHint::Safe { after: Some(after) }, "the receiver asks to wait")
        }
        (400..=499, _) => (Invalid, NEVER, "the receiver refuses the request"),
        // Also 503 without a delay: whether somebody behind the proxy has acted is not known.
        (500..=599, after) => (Unavailable, RetryHint::IfIdempotent { after }, "the receiver failed"),
        _ => (Protocol, UNKNOWN, "the receiver's answer has no meaning"),
    };
    Operation::Send.error(kind, retry, message).with_provider_code(status.to_string())
}

const BAD_CERTIFICATE: &str = "the receiver's certificate has expired, is not trusted or is of another name; have it \
                               renewed, check url, or give its authority in ca_pem";

/// The error behind a request that got no answer.
pub(super) fn transport_error(operation: Operation, error: reqwest::Error) -> Error {
    let (kind, retry, message) = http::no_answer(&error, BAD_CERTIFICATE);
    operation.error(kind, retry, message).with_source(error.without_url())
}

/// A receiver that names more is asked again after this.
const LONGEST_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

/// `Retry-After`: seconds, or a date in one of the three forms of RFC 9110 §5.6.7. A date that has
/// passed means now.
fn delay(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds are certainly too long.
        return Some(value.parse().map_or(LONGEST_DELAY, Duration::from_secs).min(LONGEST_DELAY));
    }
    let obsolete = |form| NaiveDateTime::parse_from_str(value, form).ok().map(|date| date.and_utc());
    let date = DateTime::parse_from_rfc2822(value)
        .ok()
        .map(|date| date.to_utc())
        .or_else(|| obsolete("%A, %d-%b-%y %H:%M:%S GMT"))
        .or_else(|| obsolete("%a %b %e %H:%M:%S %Y"))?;
    Some((date - now).to_std().unwrap_or(Duration::ZERO).min(LONGEST_DELAY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ErrorKind::{Auth, Config, Content, Invalid, Protocol, RateLimited, Unavailable};

    const NEVER: RetryHint = RetryHint::Never;
    const UNKNOWN: RetryHint = RetryHint::UNKNOWN;

    /// 1994-11-06T08:49:00Z, 37 seconds before the example date of RFC 9110.
    fn now() -> Timestamp {
        DateTime::from_timestamp(784_111_740, 0).unwrap()
    }

    fn safe(seconds: u64) -> RetryHint {
        RetryHint::Safe { after: Some(Duration::from_secs(seconds)) }
    }

    #[test]
    fn statuses() {
        for (status, retry_after, kind, retry) in [
            (101, None, Protocol, UNKNOWN),
            (300, None, Unavailable, NEVER),
            (301, None, Unavailable, NEVER),
            (302, Some("5"), Unavailable, NEVER),
            (304, None, Unavailable, NEVER),
            (307, None, Unavailable, NEVER),
            (308, None, Unavailable, NEVER),
            (400, None, Invalid, NEVER),
            (401, None, Auth, NEVER),
            (402, None, Invalid, NEVER),
            (403, None, Auth, NEVER),
            (404, None, Invalid, NEVER),
            (405, None, Invalid, NEVER),
            (408, None, Unavailable, UNKNOWN),
            (409, None, Invalid, NEVER),
            (410, None, Config, NEVER),
            (413, None, Content, NEVER),
            (415, None, Invalid, NEVER),
            (422, None, Content, NEVER),
            (425, None, Unavailable, RetryHint::SAFE),
            (429, None, RateLimited, RetryHint::SAFE),
            (429, Some("14"), RateLimited, safe(14)),
            (429, Some("soon"), RateLimited, RetryHint::SAFE),
            (499, None, Invalid, NEVER),
            (500, None, Unavailable, UNKNOWN),
            (502, Some("3"), Unavailable, RetryHint::IfIdempotent { after: Some(Duration::from_secs(3)) }),
            (503, None, Unavailable, UNKNOWN),
            (503, Some("120"), RateLimited, safe(120)),
            (503, Some("never"), Unavailable, UNKNOWN),
            (504, None, Unavailable, UNKNOWN),
            (599, None, Unavailable, UNKNOWN),
            (999, None, Protocol, UNKNOWN),
        ] {
            let error = parse_error(status, retry_after, now());
            assert_eq!((error.kind(), error.retry()), (kind, retry), "{status} {retry_after:?}");
            assert_eq!(error.provider_code(), Some(status.to_string().as_str()));
        }
    }

    #[test]
    fn delays() {
        let day = LONGEST_DELAY.as_secs();
        for (value, seconds) in [
            ("0", Some(0)),
            (" 17 ", Some(17)),
            ("86401", Some(day)),
            ("99999999999999999999999999", Some(day)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(37)),
            ("Sun Nov  6 08:49:37 1994", Some(37)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(day)),
            ("", None),
            ("-5", None),
            ("1.5", None),
            ("tomorrow", None),
        ] {
            assert_eq!(delay(value, now()), seconds.map(Duration::from_secs), "{value:?}");
        }
    }
}
