//! What Postal's refusals mean, in one place: those of a request, and those that an event brings later.

use std::time::Duration;

use fastlead_core::channel::{FailureReason, ReceiptFailure};
use fastlead_core::{Error, ErrorKind, RetryHint};

use super::adapter::KIND;
use super::wire::{Answer, Refusal};
use crate::http;

/// What was asked. A mail has no idempotency key; a question may be asked again.
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

    /// An answer of a shape that Postal does not document: whether it has acted is not known.
    pub(super) fn unreadable(self) -> Error {
        self.error(ErrorKind::Protocol, RetryHint::UNKNOWN, "the answer cannot be read")
    }
}

/// The error behind an answer that is not a success: Postal's own code, which comes with HTTP 200, else the status.
pub(super) fn parse_error(operation: Operation, status: u16, after: Option<Duration>, body: &[u8]) -> Error {
    match serde_json::from_slice::<Answer>(body) {
        Ok(answer) if answer.status == "parameter-error" => operation
            .refuse(ErrorKind::Invalid, "postal refuses a parameter")
            .with_provider_code("parameter-error"),
        Ok(answer) if answer.status == "error" => {
            let code = serde_json::from_value::<Refusal>(answer.data).map(|refusal| refusal.code);
            by_code(operation, &code.unwrap_or_default())
        }
        _ => {
            let class = http::by_status(status, after);
            operation
                .error(class.kind, class.retry, class.message)
                .with_context("http_status", status.to_string())
        }
    }
}

/// Postal's codes (`app/controllers/legacy_api` of <https://github.com/postalserver/postal>). What stands beside a code is not
/// shown: it repeats the key.
fn by_code(operation: Operation, code: &str) -> Error {
    use ErrorKind::{Auth, Config, Content, Invalid, NotFound};
    let (kind, message) = match code {
        "AccessDenied" | "InvalidServerAPIKey" => (Auth, "the api key is refused"),
        "ServerSuspended" => (Auth, "the mail server is suspended"),
        "UnauthenticatedFromAddress" | "FromAddressMissing" => {
            (Config, "from: its domain is not verified for this mail server")
        }
        "NoRecipients" | "TooManyToAddresses" | "TooManyCCAddresses" | "TooManyBCCAddresses" => {
            (Invalid, "postal refuses the recipients")
        }
        "NoContent" | "AttachmentMissingName" | "AttachmentMissingData" => (Content, "the mail is empty"),
        "MessageNotFound" => (NotFound, "there is no such mail"),
        _ => (Invalid, "a code that postal does not document"),
    };
    // Letters only, so that nothing else is repeated.
    let known = !code.is_empty() && code.len() <= 40 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
    let error = operation.refuse(kind, message);
    if known { error.with_provider_code(code) } else { error }
}

/// Why a mail that Postal had taken did not arrive, by the words of the other mail server: `550 5.1.1 …`.
pub(super) fn failure(output: Option<&str>) -> ReceiptFailure {
    let Some((reply, enhanced)) = output.and_then(reply_of) else {
        return ReceiptFailure { reason: FailureReason::Other, provider_code: None };
    };
    let class = enhanced.and_then(|code| Some((code.split('.').nth(1)?, code)));
    let reason = match (reply, class) {
        // RFC 3463: addressing and mailboxes.
        (_, Some(("1" | "2", _))) => FailureReason::Recipient,
        (_, Some(("6", _))) => FailureReason::Content,
        // Policy, mostly about the sender: the recipient is not at fault.
        (_, Some(_)) => FailureReason::Other,
        ("550" | "551" | "553", None) => FailureReason::Recipient,
        _ => FailureReason::Other,
    };
    let code = enhanced.map_or_else(|| reply.to_owned(), |enhanced| format!("{reply} {enhanced}"));
    ReceiptFailure { reason, provider_code: Some(code) }
}

/// The reply code and the enhanced code at the beginning of an SMTP reply.
fn reply_of(output: &str) -> Option<(&str, Option<&str>)> {
    let digits = |text: &str, longest: usize| {
        (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let reply = output.get(..3).filter(|reply| digits(reply, 3))?;
    let rest = output.get(4..).unwrap_or_default();
    let enhanced = rest.split([' ', '\r', '\n']).next().filter(|code| {
        let parts: Vec<&str> = code.split('.').collect();
        parts.len() == 3 && parts.iter().all(|part| digits(part, 3))
    });
    Some((reply, enhanced))
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
