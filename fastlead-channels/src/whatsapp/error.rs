//! What Meta's refusals mean, in one place: those of a request, and those that a status brings later.

use std::time::Duration;

use fastlead_core::channel::{FailureReason, ReceiptFailure};
use fastlead_core::{Error, ErrorKind, RetryHint};

use super::adapter::KIND;
use super::wire::Refusal;
use crate::http;

/// "Re-engagement message": more than 24 hours since the person's last message.
pub(super) const WINDOW_CLOSED: i64 = 131_047;

/// Meta names no delay with its limits. The pauses are ours; that of a pair is Meta's rate, one message in six seconds.
const THROUGHPUT_PAUSE: Duration = Duration::from_secs(5);
const PAIR_PAUSE: Duration = Duration::from_secs(6);
const CALLS_PAUSE: Duration = Duration::from_secs(60);
const QUALITY_PAUSE: Duration = Duration::from_secs(60 * 60);
const VIOLATION_PAUSE: Duration = Duration::from_secs(4 * 60 * 60);

/// What was asked. A message has no idempotency key; a question may be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Send,
    Check,
}

impl Operation {
    const fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Check => "check",
        }
    }

    /// An error of this operation. "Outcome unknown" turns into "safe" where asking again is harmless.
    pub(super) fn error(self, kind: ErrorKind, retry: RetryHint, message: &'static str) -> Error {
        let retry = match (self, retry) {
            (Self::Check, RetryHint::IfIdempotent { after }) => RetryHint::Safe { after },
            (_, retry) => retry,
        };
        Error::new(kind, message).with_retry(retry).with_adapter(KIND).with_operation(self.name())
    }

    /// An error that no repetition mends.
    pub(super) fn refuse(self, kind: ErrorKind, message: &'static str) -> Error {
        self.error(kind, RetryHint::Never, message)
    }

    /// An answer of a shape that Meta does not document: whether it has acted is not known.
    pub(super) fn unreadable(self) -> Error {
        self.error(ErrorKind::Protocol, RetryHint::UNKNOWN, "the answer cannot be read")
    }
}

/// The error behind an answer that is not what was asked for: Meta's own code, else the status. Meta asks to go by the code and
/// not by the words or the status.
pub(super) fn parse_error(operation: Operation, status: u16, after: Option<Duration>, body: &[u8]) -> Error {
    let Ok(Refusal { error: refused }) = serde_json::from_slice::<Refusal>(body) else {
        let class = http::by_status(status, after);
        return operation
            .error(class.kind, class.retry, class.message)
            .with_context("http_status", status.to_string());
    };
    let class = by_code(refused.code).unwrap_or_else(|| unknown(status, refused.is_transient));
    let retry = match class.retry {
        RetryHint::Safe { after: own } => RetryHint::Safe { after: after.or(own) },
        retry => retry,
    };
    operation
        .error(class.kind, retry, class.message)
        .with_provider_code(refused.code.to_string())
        .with_context("http_status", status.to_string())
}

/// Why a message that Meta had accepted did not arrive.
pub(super) fn failure(code: Option<i64>) -> ReceiptFailure {
    let reason = match code {
        Some(WINDOW_CLOSED) => FailureReason::WindowClosed,
        Some(code) => match by_code(code).map(|class| class.kind) {
            Some(ErrorKind::Recipient) => FailureReason::Recipient,
            Some(ErrorKind::Content) => FailureReason::Content,
            Some(ErrorKind::Balance) => FailureReason::Balance,
            _ => FailureReason::Other,
        },
        None => FailureReason::Other,
    };
    ReceiptFailure { reason, provider_code: code.map(|code| code.to_string()) }
}

struct Class {
    kind: ErrorKind,
    retry: RetryHint,
    message: &'static str,
}

/// A code that is not in the table: for good, unless Meta says otherwise.
const fn unknown(status: u16, is_transient: bool) -> Class {
    let message = "a code that is not known here";
    if is_transient || status >= 500 {
        Class { kind: ErrorKind::Unavailable, retry: RetryHint::UNKNOWN, message }
    } else {
        Class { kind: ErrorKind::Invalid, retry: RetryHint::Never, message }
    }
}

/// Meta's codes (<https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes>), grouped as
/// the client pywa groups them. The words beside a code are not shown: they may quote numbers and texts.
const fn by_code(code: i64) -> Option<Class> {
    use ErrorKind::{Auth, Balance, Config, Content, RateLimited, Recipient, Unavailable};
    const NEVER: RetryHint = RetryHint::Never;
    const fn wait(delay: Duration) -> RetryHint {
        RetryHint::Safe { after: Some(delay) }
    }
    let (kind, retry, message) = match code {
        0 | 190 => (Auth, NEVER, "the access token is refused or has expired"),
        3 | 10 | 200..=299 | 131_005 => (Auth, NEVER, "the access token lacks the right for this"),
        368 | 131_031 => (Auth, NEVER, "the account is blocked for a violation of WhatsApp's policies"),
        // About the countries of some recipients; others can be written to.
        130_497 => (Recipient, NEVER, "the account may not write to people of this country"),
        4 | 80_007 | 613 | 132_069 => (RateLimited, wait(CALLS_PAUSE), "too many calls"),
        130_429 => (RateLimited, wait(THROUGHPUT_PAUSE), "the throughput of the number is reached"),
        131_056 => (RateLimited, wait(PAIR_PAUSE), "too many messages to this person"),
        131_048 => {
            (RateLimited, wait(QUALITY_PAUSE), "too many messages of this number were blocked or called spam")
        }
        131_064 | 133_016 => (RateLimited, wait(VIOLATION_PAUSE), "the account is limited for some hours"),
        // Meta says that it has not sent the message.
        131_000 | 131_016 | 131_057 | 135_000 => (Unavailable, RetryHint::SAFE, "WhatsApp cannot send now"),
        // The Graph API failed somewhere.
        1 | 2 => (Unavailable, RetryHint::UNKNOWN, "the Graph API failed"),
        131_021 => (Recipient, NEVER, "the recipient is the number itself"),
        131_026 => (Recipient, NEVER, "the message cannot be delivered to this person"),
        131_030 => (Recipient, NEVER, "the recipient is not on the list of a test number"),
        131_050 => (Recipient, NEVER, "the person wants no marketing messages"),
        // Not before 24 hours have passed: longer than most messages live.
        131_049 => (Recipient, NEVER, "WhatsApp gives this person no more marketing messages today"),
        130_472 => (Recipient, NEVER, "the person is part of an experiment of WhatsApp's"),
        131_062 | 137_000 => (Recipient, NEVER, "the recipient cannot be written to"),
        WINDOW_CLOSED => (Content, NEVER, "the 24-hour window is closed: only a template may be sent"),
        33 | 100 | 131_008 | 131_009 => (Content, NEVER, "WhatsApp refuses a parameter of the message"),
        131_051 | 131_052 | 131_053 | 131_063 => (Content, NEVER, "WhatsApp refuses the content"),
        132_000 | 132_001 | 132_005 | 132_007 | 132_008 | 132_012 | 132_015 | 132_016 | 132_068 => {
            (Content, NEVER, "WhatsApp refuses the template or what was put into it")
        }
        131_042 | 131_044 => (Balance, NEVER, "WhatsApp cannot charge the account"),
        131_037 | 131_045 | 133_010 => (Config, NEVER, "phone_number_id: the number is not fully registered"),
        _ => return None,
    };
    Some(Class { kind, retry, message })
}

const BAD_CERTIFICATE: &str = "the server's certificate has expired, is not trusted or is of another name; check endpoint \
                               and the clock of this machine";

/// The error behind a request that got no answer.
pub(super) fn transport_error(operation: Operation, error: reqwest::Error) -> Error {
    let class = http::no_answer(&error, BAD_CERTIFICATE);
    operation.error(class.kind, class.retry, class.message).with_source(error.without_url())
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
