//! What a receiver's answer means, in one place.

use std::time::Duration;

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

/// The error behind a status that is not 2xx; `after` is the delay that the receiver names. The rules of a sender are
/// those of [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md):
/// whatever is not 2xx has failed and is tried again by the schedule; 410 ends the endpoint.
pub(super) fn parse_error(status: u16, after: Option<Duration>) -> Error {
    let (kind, retry, message) = match status {
        // Nothing is lost: the channel is paused, its owner told, and what waits goes out once he has mended it.
        401 | 403 => {
            (ErrorKind::Auth, RetryHint::Never, "the receiver refuses the credentials or the signature")
        }
        410 => (ErrorKind::Config, RetryHint::Never, "the receiver is gone and wants no more webhooks"),
        _ => {
            let class = http::by_status(status, after);
            (class.kind, class.retry, class.message)
        }
    };
    Operation::Send.error(kind, retry, message).with_provider_code(status.to_string())
}

const BAD_CERTIFICATE: &str = "the receiver's certificate has expired, is not trusted or is of another name; have it \
                               renewed, check url, or give its authority in ca_pem";

/// The error behind a request that got no answer.
pub(super) fn transport_error(operation: Operation, error: reqwest::Error) -> Error {
    let class = http::no_answer(&error, BAD_CERTIFICATE);
    operation.error(class.kind, class.retry, class.message).with_source(error.without_url())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ErrorKind::{Auth, Config, Invalid, RateLimited, Timeout, Unavailable};

    #[test]
    fn statuses() {
        let day = Duration::from_secs(86_400);
        for (status, after, kind, retry) in [
            (300, None, Unavailable, RetryHint::SAFE),
            (301, None, Unavailable, RetryHint::SAFE),
            (302, None, Unavailable, RetryHint::UNKNOWN),
            (304, None, Unavailable, RetryHint::SAFE),
            (400, None, Invalid, RetryHint::SAFE),
            (401, None, Auth, RetryHint::Never),
            (402, None, Invalid, RetryHint::SAFE),
            (403, None, Auth, RetryHint::Never),
            (404, None, Invalid, RetryHint::SAFE),
            (405, None, Invalid, RetryHint::SAFE),
            (408, None, Timeout, RetryHint::UNKNOWN),
            (409, None, Invalid, RetryHint::UNKNOWN),
            (410, None, Config, RetryHint::Never),
            (413, None, Invalid, RetryHint::SAFE),
            (415, None, Invalid, RetryHint::SAFE),
            (422, None, Invalid, RetryHint::SAFE),
            (429, Some(day), RateLimited, RetryHint::Safe { after: Some(day) }),
            (500, None, Unavailable, RetryHint::UNKNOWN),
        ] {
            let error = parse_error(status, after);
            assert_eq!((error.kind(), error.retry()), (kind, retry), "{status} {after:?}");
            assert_eq!(error.provider_code(), Some(status.to_string().as_str()));
        }
    }
}
