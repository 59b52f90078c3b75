//! What Telegram's refusals mean, in one place.

use std::time::Duration;

use fastlead_core::{Error, ErrorKind, RetryHint};

use super::adapter::KIND;
use super::wire::Refusal;
use crate::http;

/// The message says already what it shall say.
pub(super) const NOT_MODIFIED: &str = "message_is_not_modified";
/// The message to be changed was deleted.
pub(super) const NOT_FOUND: &str = "message_to_edit_not_found";

/// What was asked. Only a send can have an effect that must not happen twice, so only a send can
/// leave an outcome unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Send,
    Edit,
    Check,
    Poll,
    SetUpWebhook,
}

impl Operation {
    const fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Edit => "edit",
            Self::Check => "check",
            Self::Poll => "poll",
            Self::SetUpWebhook => "set up webhook",
        }
    }

    /// An error of this operation. "Outcome unknown" turns into "safe" where asking again is harmless.
    pub(super) fn error(self, kind: ErrorKind, retry: RetryHint, message: impl Into<String>) -> Error {
        let retry = match (self, retry) {
            (Self::Send, retry) => retry,
            (_, RetryHint::IfIdempotent { after }) => RetryHint::Safe { after },
            (_, retry) => retry,
        };
        Error::new(kind, message).with_retry(retry).with_adapter(KIND).with_operation(self.name())
    }
}

/// The topic is not there, or not for the bot to write to. This concerns the chat and no other.
pub(super) const NO_TOPIC: &str = "message_thread_not_found";

/// Words inside a 400 that mean the same as [`NO_TOPIC`]. The texts are those of TDLib and of the errors that it passes
/// on (<https://core.telegram.org/method/messages.sendMessage>).
const TOPIC_GONE: &[&str] =
    &["message thread not found", "topic_closed", "topic_deleted", "topic_id_invalid", "topic_not_found"];

/// Words inside a 400 that mean: nobody can be reached at this address. The first three are from
/// <https://core.telegram.org/bots/api>, the others from the texts that TDLib's Bot API server and
/// teloxide-core (`errors.rs`) know, and from the errors that Telegram passes on
/// (<https://core.telegram.org/method/messages.sendMessage>).
const NOBODY_THERE: &[&str] = &[
    "chat not found",
    "chat_id is empty",
    "peer_id_invalid",
    "user_is_blocked",
    "user_deactivated",
    "input_user_deactivated",
    "you_blocked_user",
    "chat_restricted",
    "chat_admin_required",
    "chat_send_plain_forbidden",
    "chat_guest_send_forbidden",
    "have no write access to the chat",
    "user not found",
    "group is deactivated",
    "chat_write_forbidden",
    "have no rights to send a message",
    "need administrator rights in the channel chat",
    "not enough rights to send",
];

/// The error behind an answer that is not what was asked for: by Telegram's code first, then by its
/// parameters, and by its words only where code and parameters do not tell, because Telegram does
/// not promise the words.
///
/// `after` is the delay of the header, which counts where there are no words.
pub(super) fn parse_error(operation: Operation, status: u16, after: Option<Duration>, body: &[u8]) -> Error {
    use ErrorKind::{
        Auth, Config, Conflict, Content, Invalid, Protocol, RateLimited, Recipient, Unavailable,
    };
    const NEVER: RetryHint = RetryHint::Never;
    let refusal = match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) if !refusal.ok => refusal,
        _ => return not_telegram(operation, status, after),
    };
    let code = refusal.error_code.unwrap_or(status);
    let words = refusal.description.to_ascii_lowercase();
    let says = |fragment: &str| words.contains(fragment);
    let named = |name: &'static str, kind| (kind, NEVER, Some(name));
    let (kind, retry, name) = match code {
        429 => {
            let after = refusal.parameters.retry_after.map(Duration::from_secs);
            (RateLimited, RetryHint::Safe { after }, None)
        }
        400 if refusal.parameters.migrate_to_chat_id.is_some() => named("migrate_to_chat_id", Recipient),
        400 if NOBODY_THERE.iter().any(|fragment| says(fragment)) => (Recipient, NEVER, None),
        400 if TOPIC_GONE.iter().any(|fragment| says(fragment)) => named(NO_TOPIC, Recipient),
        400 if says("query is too old") => named("query_is_too_old", Content),
        400 if says("message is not modified") => named(NOT_MODIFIED, Conflict),
        400 if operation == Operation::Edit && says("message to edit not found") => named(NOT_FOUND, Invalid),
        // After `logOut` the Bot API server answers so (`Client::get_closing_error`).
        400 if says("logged out") => (Auth, NEVER, None),
        400 | 413 if operation == Operation::Send => (Content, NEVER, None),
        400 | 413 => (Invalid, NEVER, None),
        401 | 404 => (Auth, NEVER, None),
        403 => (Recipient, NEVER, None),
        // A second poller, as for a moment when a new version takes over. Sending is not affected, so
        // this must not pause the channel.
        409 if says("terminated by other getupdates") => (Conflict, RetryHint::SAFE, None),
        409 => (Config, NEVER, None),
        500..=599 => (Unavailable, RetryHint::UNKNOWN, None),
        402..=499 => (Protocol, NEVER, None),
        _ => (Protocol, RetryHint::UNKNOWN, None),
    };
    let message = match name {
        Some("migrate_to_chat_id") => "the group has become a supergroup and has another id now".to_owned(),
        _ => without_content(&refusal.description),
    };
    let provider_code = name.map_or_else(|| code.to_string(), str::to_owned);
    operation.error(kind, retry, message).with_provider_code(provider_code)
}

/// Something in front of Telegram answered, or something that is not Telegram at all.
fn not_telegram(operation: Operation, status: u16, after: Option<Duration>) -> Error {
    let class = http::by_status(status, after);
    operation.error(class.kind, class.retry, class.message).with_context("http_status", status.to_string())
}

const BAD_CERTIFICATE: &str = "the server's certificate has expired, is not trusted or is of another name; check endpoint \
                               and proxy, and the clock of this machine";

/// The error behind a request that got no answer. The URL carries the token and is taken out.
pub(super) fn transport_error(operation: Operation, error: reqwest::Error) -> Error {
    let class = http::no_answer(&error, BAD_CERTIFICATE);
    operation.error(class.kind, class.retry, class.message).with_source(error.without_url())
}

/// Longer descriptions are cut.
const LONGEST_MESSAGE: usize = 120;
/// The longest English word that Telegram uses is shorter; tokens are longer.
const LONGEST_WORD: usize = 20;
const CUT_OUT: &str = "[..]";

/// Telegram's words without what they may repeat of the message: quoted parts (tags, URLs), names
/// after `@`, addresses, numbers long enough for an id or a phone, and whatever is not a word of Telegram's own.
pub(super) fn without_content(description: &str) -> String {
    let words = match description.split_once(": ") {
        Some((
            "Bad Request" | "Forbidden" | "Conflict" | "Too Many Requests" | "Internal Server Error",
            rest,
        )) => rest,
        _ => description,
    };
    let unquoted = cut_quoted(words);
    let mut message = String::with_capacity(unquoted.len());
    for word in unquoted.split_whitespace() {
        let shown = if is_telegrams_own(word) { word } else { CUT_OUT };
        if message.len() + shown.len() > LONGEST_MESSAGE {
            break;
        }
        if !message.is_empty() {
            message.push(' ');
        }
        message.push_str(shown);
    }
    if message.is_empty() { "telegram gave no reason".to_owned() } else { decapitalized(message) }
}

/// Whether Telegram itself writes such a word: plain English, or the name of an error such as `PEER_ID_INVALID`.
fn is_telegrams_own(word: &str) -> bool {
    let many_digits = word.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() >= 5);
    let is_name = word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_' || byte == b':');
    let is_short = word.len() <= LONGEST_WORD && word.matches('-').count() < 2;
    word.is_ascii() && !many_digits && !word.contains('@') && !word.contains("://") && (is_name || is_short)
}

/// `"…"` and `'…'`; an apostrophe inside a word, as in `can't`, opens nothing.
fn cut_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\'']) {
        let (before, from_quote) = rest.split_at(at);
        out.push_str(before);
        let quote = &from_quote[..1];
        let inside_word = quote == "'" && before.ends_with(char::is_alphanumeric);
        if inside_word {
            out.push_str(quote);
            rest = &from_quote[1..];
            continue;
        }
        out.push_str(CUT_OUT);
        // An opening quote that never closes takes everything with it.
        rest = from_quote[1..].split_once(quote).map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    out
}

/// `Unsupported tag` becomes `unsupported tag`; `PEER_ID_INVALID` stays.
fn decapitalized(mut text: String) -> String {
    let is_code = text.chars().nth(1).is_some_and(|second| second.is_ascii_uppercase() || second == '_');
    if !is_code && let Some(first) = text.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    text
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
