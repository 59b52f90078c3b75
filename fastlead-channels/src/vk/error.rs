//! What VK's refusals mean, in one place.

use std::time::Duration;

use fastlead_core::{Error, ErrorKind, RetryHint};
use serde_json::Value;

use super::adapter::KIND;
use super::wire::{Refusal, SentTo};
use crate::http;

/// "Too many requests per second": VK names no delay, and counts by the second.
const ONE_SECOND: Duration = Duration::from_secs(1);
/// "Flood control": the same again and again within minutes.
const FLOOD_PAUSE: Duration = Duration::from_secs(120);
/// "Rate limit reached" of a method or an intent: counted by hours or days.
const LIMIT_PAUSE: Duration = Duration::from_secs(60 * 60);

/// The keyboard has a form that VK does not take.
pub(super) const BAD_KEYBOARD: &str = "911";

/// What was asked. A repeated send is recognised by its `random_id`, and a repeated answer to a press is refused; nothing
/// else has an effect that must not happen twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Send,
    Answer,
    Edit,
    Check,
    SetUpCallbacks,
}

impl Operation {
    const fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Answer => "answer",
            Self::Edit => "edit",
            Self::Check => "check",
            Self::SetUpCallbacks => "set up callbacks",
        }
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

    /// An error that no repetition mends.
    pub(super) fn refuse(self, kind: ErrorKind, message: &'static str) -> Error {
        self.error(kind, RetryHint::Never, message)
    }

    /// An answer of a shape that VK does not document: whether it has acted is not known.
    pub(super) fn unreadable(self) -> Error {
        self.error(ErrorKind::Protocol, RetryHint::UNKNOWN, "the answer cannot be read")
    }
}

/// The error behind an answer that is not what was asked for: VK's own code, which comes with HTTP 200, else the status.
pub(super) fn parse_error(operation: Operation, status: u16, after: Option<Duration>, body: &[u8]) -> Error {
    match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) => by_code(operation, refusal.error.error_code),
        Err(_) => {
            let class = http::by_status(status, after);
            operation
                .error(class.kind, class.retry, class.message)
                .with_context("http_status", status.to_string())
        }
    }
}

/// The error of one peer inside a success; `None` where there is none.
pub(super) fn peer_error(operation: Operation, sent: &SentTo) -> Option<Error> {
    let error = sent.error.as_ref().filter(|error| !error.is_null())?;
    Some(match error.get("code").and_then(Value::as_i64) {
        Some(code) => by_code(operation, code),
        None => operation.unreadable(),
    })
}

/// VK's codes (`errors.json` of the schema, <https://github.com/VKCOM/vk-api-schema>). The words beside a code, and the
/// parameters that VK repeats, are not shown: they hold the text, the recipient and the key.
fn by_code(operation: Operation, code: i64) -> Error {
    use ErrorKind::{Auth, Config, Content, Invalid, Protocol, RateLimited, Recipient, Unavailable};
    const NEVER: RetryHint = RetryHint::Never;
    let wait = |delay| RetryHint::Safe { after: Some(delay) };
    let (kind, retry, message) = match (operation, code) {
        // The handle of a press lives for about a minute, and is good for one answer.
        (Operation::Answer, 15 | 100 | 104) => (Content, NEVER, "the press can no longer be answered"),
        // It concerns that message, and no other.
        (Operation::Edit, 15 | 104) => (Invalid, NEVER, "the message cannot be changed"),
        (_, 909 | 920 | 949) => (Content, NEVER, "the message can no longer be changed"),
        (_, 1 | 10 | 13 | 36 | 43) => (Unavailable, RetryHint::UNKNOWN, "vk failed"),
        (_, 6 | 32) => (RateLimited, wait(ONE_SECOND), "too many requests per second"),
        (_, 9) => (RateLimited, wait(FLOOD_PAUSE), "flood control: too much of the same"),
        (_, 29) => (RateLimited, wait(LIMIT_PAUSE), "the limit of the method is reached"),
        (_, 944) => (RateLimited, wait(LIMIT_PAUSE), "the limit of the intent is reached"),
        (_, 5 | 27 | 28) => (Auth, NEVER, "the access key is refused"),
        (_, 1117) => (Auth, NEVER, "the access key has expired"),
        (_, 14) => (Auth, NEVER, "vk wants a captcha; somebody has to look at the community"),
        (_, 17 | 24 | 25) => (Auth, NEVER, "vk wants the account to be confirmed"),
        (_, 7 | 15 | 203) => (Auth, NEVER, "the access key lacks the right for this"),
        (_, 20 | 21) => (Config, NEVER, "access_token: not a key of a community"),
        (_, 42) => (Config, NEVER, "this ip address is not on the community's list"),
        (_, 2 | 11 | 16) => (Config, NEVER, "the application or its address is switched off"),
        (_, 912) => (Config, NEVER, "keyboards are off: switch the bot features of the community on"),
        (_, 2000) => (Config, NEVER, "the community has ten callback servers; delete one"),
        (_, 3 | 23) => (Invalid, NEVER, "vk does not know the method"),
        (_, 8 | 100 | 103 | 104) => (Invalid, NEVER, "vk refuses a parameter"),
        (_, 113) => (Recipient, NEVER, "there is no such user"),
        (_, 901) => (Recipient, NEVER, "the person has not allowed messages of the community"),
        (_, 900) => (Recipient, NEVER, "the person is on the blacklist"),
        (_, 902 | 30) => (Recipient, NEVER, "the person's privacy settings forbid it"),
        (_, 18 | 37 | 3610) => (Recipient, NEVER, "the person was deleted or banned"),
        (_, 917 | 922 | 925 | 927 | 932 | 935 | 936 | 945 | 946 | 962 | 1012) => {
            (Recipient, NEVER, "the chat cannot be written to")
        }
        (_, 950) => (Recipient, NEVER, "the time to answer this person has run out"),
        (_, 985 | 987 | 988) => (Recipient, NEVER, "the person has to accept messages first"),
        (_, 911) => (Content, NEVER, "the keyboard is refused"),
        (_, 910 | 914) => (Content, NEVER, "the message is too long"),
        (_, 913 | 921 | 969) => (Content, NEVER, "what is forwarded is refused"),
        (_, 19 | 940) => (Content, NEVER, "the content is refused"),
        (_, 943) => (Content, NEVER, "the intent cannot be used"),
        // VK may have acted; a repeated send is recognised.
        _ => (Protocol, RetryHint::UNKNOWN, "a code that vk does not document"),
    };
    operation.error(kind, retry, message).with_provider_code(code.to_string())
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
