//! What MAX's refusals mean, in one place.

use std::time::Duration;

use fastlead_core::{Error, ErrorKind, RetryHint};

use super::adapter::KIND;
use super::wire::Refusal;
use crate::http;

/// The message to be changed was deleted, or never was.
pub(super) const MESSAGE_NOT_FOUND: &str = "message.not.found";

/// What was asked. Only what a person sees twice if it is done twice can leave an outcome unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Send,
    Answer,
    Edit,
    Check,
    Poll,
    SetUpWebhook,
}

impl Operation {
    const fn name(self) -> &'static str {
        match self {
            Self::Send | Self::Answer => "send",
            Self::Edit => "edit",
            Self::Check => "check",
            Self::Poll => "poll",
            Self::SetUpWebhook => "set up webhook",
        }
    }

    /// Whether it carries something that a person reads.
    const fn has_content(self) -> bool {
        matches!(self, Self::Send | Self::Answer | Self::Edit)
    }

    /// An error of this operation. "Outcome unknown" turns into "safe" where asking again is harmless.
    pub(super) fn error(self, kind: ErrorKind, retry: RetryHint, message: &'static str) -> Error {
        let retry = match (self, retry) {
            (Self::Send | Self::Answer, retry) => retry,
            (_, RetryHint::IfIdempotent { after }) => RetryHint::Safe { after },
            (_, retry) => retry,
        };
        Error::new(kind, message).with_retry(retry).with_adapter(KIND).with_operation(self.name())
    }
}

/// How long MAX may take to process an upload; it names no time.
const PROCESSING: Duration = Duration::from_secs(2);
/// The key inside the message of a refusal: the person has stopped the bot.
const DIALOG_SUSPENDED: &str = "error.dialog.suspended";

/// The error behind an answer that is not what was asked for: by MAX's code first, then by the status, and by the key
/// inside the message where both do not tell. The words themselves decide nothing and are not repeated: they may quote
/// the message.
///
/// `after` is the delay of the header.
pub(super) fn parse_error(operation: Operation, status: u16, after: Option<Duration>, body: &[u8]) -> Error {
    let is_success = (200..300).contains(&status);
    let refusal = match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) if refusal.success == Some(false) || (refusal.code.is_some() && !is_success) => refusal,
        _ => return not_max(operation, status, after),
    };
    let code = refusal.code.as_deref().filter(|code| is_name(code));
    let key = refusal.message.as_deref().and_then(key);
    let Verdict { kind, retry, message, name } =
        verdict(operation, status, after, code.unwrap_or_default(), key.unwrap_or_default());
    let provider_code = name.or(code).map_or_else(|| status.to_string(), str::to_owned);
    let error = operation.error(kind, retry, message).with_provider_code(provider_code);
    match key {
        Some(key) => error.with_context("key", key),
        None => error,
    }
}

struct Verdict {
    kind: ErrorKind,
    retry: RetryHint,
    message: &'static str,
    /// Stands for MAX's code, where that one is too general.
    name: Option<&'static str>,
}

fn verdict(operation: Operation, status: u16, after: Option<Duration>, code: &str, key: &str) -> Verdict {
    use ErrorKind::{Auth, Config, Content, Invalid, Protocol, RateLimited, Recipient, Unavailable};
    use Operation::{Answer, Edit, Poll, Send};
    const NEVER: RetryHint = RetryHint::Never;
    let verdict = |kind, retry, message| Verdict { kind, retry, message, name: None };
    match (code, status) {
        ("attachment.not.ready", _) => {
            let retry = RetryHint::Safe { after: after.or(Some(PROCESSING)) };
            verdict(Unavailable, retry, "max is still processing an attachment")
        }
        (_, 500..=599) => verdict(Unavailable, RetryHint::IfIdempotent { after }, "max failed"),
        ("verify.token", _) | (_, 401) => verdict(Auth, NEVER, "max refuses the token; check bot_token"),
        ("too.many.requests", _) | (_, 429) => {
            verdict(RateLimited, RetryHint::Safe { after }, "too many requests")
        }
        ("chat.denied", _) => {
            verdict(Recipient, NEVER, "the person has stopped the bot, or it may not write there")
        }
        _ if key == DIALOG_SUSPENDED => verdict(Recipient, NEVER, "the person has stopped the bot"),
        (_, 403) => verdict(Auth, NEVER, "max does not allow this to the bot"),
        ("chat.not.found" | "not.found", _) | (_, 404) => match operation {
            Send => verdict(Recipient, NEVER, "max knows no such person or chat"),
            Edit => Verdict {
                name: Some(MESSAGE_NOT_FOUND),
                ..verdict(Invalid, NEVER, "max knows no such message")
            },
            Answer => verdict(Content, NEVER, "the press can be answered no more"),
            _ => verdict(Invalid, NEVER, "max knows no such thing"),
        },
        (_, 405) if operation == Poll => verdict(
            Config,
            NEVER,
            "updates: max refuses polling while a webhook is set for the bot; unregister it first",
        ),
        (_, 405) => verdict(Invalid, NEVER, "max knows no such request"),
        ("proto.payload", _) | (_, 200..=299 | 400 | 413) if operation.has_content() => {
            verdict(Content, NEVER, "max refuses the message")
        }
        ("proto.payload", _) | (_, 200..=299 | 400 | 413) => {
            verdict(Invalid, NEVER, "max refuses the request")
        }
        (_, 402..=499) => {
            verdict(Protocol, NEVER, "max refuses the request with a status that it does not document")
        }
        _ => verdict(Protocol, RetryHint::UNKNOWN, "the answer has no meaning"),
    }
}

/// Something in front of MAX answered, or something that is not MAX at all.
fn not_max(operation: Operation, status: u16, after: Option<Duration>) -> Error {
    let class = http::by_status(status, after);
    operation.error(class.kind, class.retry, class.message).with_context("http_status", status.to_string())
}

const BAD_CERTIFICATE: &str = "the server's certificate has expired, is not trusted or is of another name; max's own is \
                               trusted with the russian trusted root ca in ca_pem; check endpoint, too, and the clock of \
                               this machine";

/// The error behind a request that got no answer. The address may carry a chat and is taken out.
pub(super) fn transport_error(operation: Operation, error: reqwest::Error) -> Error {
    let class = http::no_answer(&error, BAD_CERTIFICATE);
    operation.error(class.kind, class.retry, class.message).with_source(error.without_url())
}

/// The longest code or key that is repeated.
const LONGEST_NAME: usize = 64;

/// Whether it has the form of MAX's codes and keys, such as `attachment.not.ready`: no digits and no capitals, so that
/// neither a token, nor an id, nor a number goes through.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= LONGEST_NAME
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_'))
}

/// The key in a message such as `Key: error.dialog.suspended, args:[…]`.
fn key(message: &str) -> Option<&str> {
    let rest = message.trim().strip_prefix("Key:")?.trim_start();
    let key = rest.split([',', ' ']).next()?;
    is_name(key).then_some(key)
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
