//! What went wrong, when in the dialogue, and what that means for the delivery.
//!
//! Replies are classified by phase, reply code, enhanced status code (RFC 3463) and, where those
//! leave it open, by words in the text. The text itself goes no further: servers repeat addresses
//! and logins in it.

use std::fmt;
use std::io;
use std::time::Duration;

use fastlead_core::secret::Pii;
use fastlead_core::{Error, ErrorKind, RetryHint};

use crate::egress::Refusal;
use crate::tls::is_bad_certificate;

/// How long a full mailbox is left alone.
const MAILBOX_FULL_PAUSE: Duration = Duration::from_secs(60 * 60);
/// How long a sender's limit is left alone that names no time. Most are counted by the hour or the day.
const LIMIT_PAUSE: Duration = Duration::from_secs(60 * 60);
/// How long greylisting usually lasts.
const GREYLIST_PAUSE: Duration = Duration::from_secs(5 * 60);

/// How far the dialogue had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waiting for one of our own connections.
    Wait,
    /// Name lookup, TCP, TLS, greeting and EHLO.
    Connect,
    /// AUTH.
    Auth,
    /// NOOP or QUIT.
    Idle,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Recipient,
    /// DATA.
    Data,
    /// The message is being written; the line that ends it is not.
    Body,
    /// The line that ends the message has been handed to the network: from here on the server may
    /// have accepted it, whatever we see or do not see.
    End,
}

impl Phase {
    const fn name(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Connect => "connect",
            Self::Auth => "auth",
            Self::Idle => "noop",
            Self::Mail => "mail",
            Self::Recipient => "rcpt",
            Self::Data => "data",
            Self::Body => "body",
            Self::End => "end_of_data",
        }
    }

    /// The hint for a failure without any reply of the server.
    const fn retry_without_reply(self) -> RetryHint {
        match self {
            Self::End => RetryHint::UNKNOWN,
            _ => RetryHint::SAFE,
        }
    }
}

/// What happened.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server said no.
    Reply {
        /// Reply code, 400 to 599.
        code: u16,
        /// All lines of the reply, joined.
        text: Pii<String>,
    },
    /// No answer in time.
    Timeout,
    /// The connection ended.
    Closed,
    /// The network failed.
    Network(io::ErrorKind),
    /// The connection must not be made.
    Refused(Refusal),
    /// The server's certificate was not accepted.
    Certificate,
    /// TLS failed in another way.
    Tls,
    /// Not a reply that SMTP knows here.
    Garbage,
    /// Encryption is required, but the server does not offer it.
    NoStartTls,
    /// The server offers none of the ways to sign in.
    NoMechanism,
    /// The recipient's address needs an extension that the server does not have.
    NoSmtpUtf8,
    /// The sender's address needs it, so that no mail of this account can go out.
    SenderNeedsSmtpUtf8,
}

/// A failure and its phase.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) phase: Phase,
    pub(super) failure: Failure,
}

impl Trouble {
    pub(super) const fn new(phase: Phase, failure: Failure) -> Self {
        Self { phase, failure }
    }

    /// Whether the dialogue may go on over the same connection. After 421 the server closes it, and 452 is also what
    /// it says when it has taken enough over this one.
    pub(super) const fn leaves_connection_usable(&self) -> bool {
        matches!(self.failure, Failure::Reply { code, .. } if code != 421 && code != 452)
            || matches!(self.failure, Failure::NoSmtpUtf8 | Failure::SenderNeedsSmtpUtf8)
    }
}

impl Failure {
    /// What TLS or the operating system said.
    pub(super) fn of_network(error: io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match (tls, error.kind()) {
            (Some(tls), _) if is_bad_certificate(tls) => Self::Certificate,
            (Some(_), _) => Self::Tls,
            (None, io::ErrorKind::TimedOut) => Self::Timeout,
            (
                None,
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted,
            ) => Self::Closed,
            (None, kind) => Self::Network(kind),
        }
    }

    /// The same where both sides were agreeing on a key: a connection that ends then is a matter of TLS.
    pub(super) fn of_handshake(error: io::Error) -> Self {
        match Self::of_network(error) {
            Self::Closed => Self::Tls,
            failure => failure,
        }
    }
}

/// The meaning of `trouble` for the delivery.
pub(super) fn parse_error(operation: &'static str, trouble: &Trouble) -> Error {
    let phase = trouble.phase;
    let silent = phase.retry_without_reply();
    let verdict = match &trouble.failure {
        Failure::Reply { code, text } => {
            let enhanced = EnhancedCode::find(text.expose());
            let verdict = classify(phase, *code, enhanced, &text.expose().to_lowercase());
            let provider_code =
                enhanced.map_or_else(|| code.to_string(), |enhanced| format!("{code} {enhanced}"));
            return finish(operation, phase, verdict).with_provider_code(provider_code);
        }
        Failure::Timeout if phase == Phase::Wait => {
            Verdict::new(ErrorKind::Overloaded, RetryHint::SAFE, "every connection of the account is busy")
        }
        Failure::Timeout => Verdict::new(ErrorKind::Timeout, silent, "no answer in time"),
        Failure::Closed => Verdict::new(ErrorKind::Unavailable, silent, "the server closed the connection"),
        Failure::Network(kind) => {
            let verdict = Verdict::new(ErrorKind::Unavailable, silent, "the network failed");
            return finish(operation, phase, verdict).with_context("io", kind.to_string());
        }
        Failure::Refused(refusal) => Verdict::never(ErrorKind::Config, refusal.message()),
        Failure::Certificate => Verdict::never(
            ErrorKind::Config,
            "the server's certificate has expired, is not trusted or is of another name; check `host`, or give its \
             authority in `ca_pem`",
        ),
        Failure::Tls => Verdict::new(
            ErrorKind::Unavailable,
            silent,
            "tls failed; check that `tls` and `port` fit together",
        ),
        Failure::Garbage => {
            Verdict::new(ErrorKind::Protocol, silent, "the server did not answer as smtp servers do")
        }
        Failure::NoStartTls => {
            Verdict::never(ErrorKind::Config, "the server does not offer starttls; use `tls` = wrapper")
        }
        Failure::NoMechanism => {
            Verdict::never(ErrorKind::Config, "the server offers none of the `mechanisms` to sign in")
        }
        Failure::NoSmtpUtf8 => Verdict::never(
            ErrorKind::Unsupported,
            "the address has letters outside ascii, and the server has no smtputf8",
        ),
        Failure::SenderNeedsSmtpUtf8 => Verdict::never(
            ErrorKind::Config,
            "`from.address` or `return_path` has letters outside ascii, and the server has no smtputf8",
        ),
    };
    finish(operation, phase, verdict)
}

fn finish(operation: &'static str, phase: Phase, verdict: Verdict) -> Error {
    let error = Error::new(verdict.kind, verdict.message)
        .with_retry(verdict.retry)
        .with_adapter("smtp")
        .with_operation(operation)
        .with_context("phase", phase.name());
    if verdict.mailbox_full { error.with_context("condition", "mailbox_full") } else { error }
}

/// What a failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Verdict {
    kind: ErrorKind,
    retry: RetryHint,
    message: &'static str,
    mailbox_full: bool,
}

impl Verdict {
    const fn new(kind: ErrorKind, retry: RetryHint, message: &'static str) -> Self {
        Self { kind, retry, message, mailbox_full: false }
    }

    const fn never(kind: ErrorKind, message: &'static str) -> Self {
        Self::new(kind, RetryHint::Never, message)
    }

    const fn later(kind: ErrorKind, after: Option<Duration>, message: &'static str) -> Self {
        Self::new(kind, RetryHint::Safe { after }, message)
    }

    const fn about_full_mailbox(mut self) -> Self {
        self.mailbox_full = true;
        self
    }
}

/// An enhanced status code, such as `5.1.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct EnhancedCode {
    class: u8,
    subject: u16,
    detail: u16,
}

impl EnhancedCode {
    /// The code at the start of the text (RFC 2034), or behind a `#` anywhere in it.
    fn find(text: &str) -> Option<Self> {
        Self::parse(text.trim_start())
            .or_else(|| text.match_indices('#').find_map(|(at, mark)| Self::parse(&text[at + mark.len()..])))
    }

    fn parse(text: &str) -> Option<Self> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let mut fields = text[..end].split('.');
        let (class, subject, detail) = (fields.next()?, fields.next()?, fields.next()?);
        // A fourth field would make it an IP address.
        if fields.next().is_some() || !matches!(class, "4" | "5") || subject.len() > 3 || detail.len() > 3 {
            return None;
        }
        Some(Self {
            class: class.parse().ok()?,
            subject: subject.parse().ok()?,
            detail: detail.parse().ok()?,
        })
    }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

fn classify(phase: Phase, code: u16, enhanced: Option<EnhancedCode>, text: &str) -> Verdict {
    let status = enhanced.map(|enhanced| (enhanced.subject, enhanced.detail));
    match code {
        400..=499 => transient(phase, code, status, text),
        500..=599 => permanent(phase, code, status, text),
        _ => Verdict::never(ErrorKind::Protocol, "the server gave a code that smtp does not know"),
    }
}

/// 4xx: the server did not act, and asks to come back.
fn transient(phase: Phase, code: u16, status: Option<(u16, u16)>, text: &str) -> Verdict {
    if speaks_of_session(text) {
        let message = "the server has taken enough over this connection";
        return Verdict::later(ErrorKind::Unavailable, None, message);
    }
    if speaks_of_rate(text) || speaks_of_sender_limit(text) || matches!(status, Some((4, 5) | (7, 28))) {
        return Verdict::later(ErrorKind::RateLimited, None, "the server asks for fewer messages");
    }
    if phase == Phase::Auth {
        return Verdict::later(ErrorKind::Unavailable, None, "signing in is not possible at the moment");
    }
    // These are about one mailbox, and say nothing against the server.
    if may_concern_recipient(phase) {
        if status == Some((2, 2)) || speaks_of_full_mailbox(text) {
            let message = "the recipient's mailbox is full at the moment";
            return Verdict::later(ErrorKind::Recipient, Some(MAILBOX_FULL_PAUSE), message)
                .about_full_mailbox();
        }
        if text.contains("greylist") || text.contains("graylist") {
            return greylisted();
        }
        // 4.1.7 and 4.1.8 are about the sender.
        if matches!(status, Some((1, 0..=6 | 9..) | (2, _))) {
            let message = "the recipient's mailbox cannot be written to at the moment";
            return Verdict::later(ErrorKind::Recipient, None, message);
        }
        if status == Some((7, 1)) && code != 454 {
            return greylisted();
        }
    }
    if code != 454 && matches!(status, Some((7, _))) {
        return Verdict::later(ErrorKind::RateLimited, None, "the server puts us off by its policy");
    }
    Verdict::later(ErrorKind::Unavailable, None, "the server cannot take the message at the moment")
}

/// 5xx: the same message would be refused again; but for limits, which pass.
fn permanent(phase: Phase, code: u16, status: Option<(u16, u16)>, text: &str) -> Verdict {
    if let Some(verdict) = of_account(phase, code, status, text) {
        return verdict;
    }
    match status {
        Some((1, 0)) if phase == Phase::Recipient => return bad_recipient(),
        Some((1, 1 | 2 | 3 | 6 | 10) | (2, 1)) if may_concern_recipient(phase) => return bad_recipient(),
        // Exchange Online does not know the mailbox (directory-based edge blocking); no server takes mail for the domain.
        Some((4, 1 | 4 | 6)) if phase == Phase::Recipient => return bad_recipient(),
        Some((3, 4) | (2, 3)) => return too_big(),
        Some((2, 2)) => return full_mailbox(),
        Some((6, 7)) => {
            return Verdict::never(
                ErrorKind::Unsupported,
                "the server does not take addresses outside ascii",
            );
        }
        _ => {}
    }
    let is_refusal = matches!(code, 550 | 551 | 553 | 554);
    if is_refusal && may_concern_recipient(phase) && names_unknown_mailbox(text) {
        return bad_recipient();
    }
    match (code, status) {
        // Hotmail says 5.5.0 of a mailbox that it does not have; elsewhere it is a fault of the command.
        (550, Some((5, 0))) if may_concern_recipient(phase) && speaks_of_mailbox(text) => {
            return bad_recipient();
        }
        (_, Some((5, _))) => return malformed(),
        (_, Some((7, _))) => return refused(),
        // The domain takes no mail (RFC 7504).
        (521 | 556, _) if may_concern_recipient(phase) => return bad_recipient(),
        (552, _) if text.contains("size") || text.contains("too large") || text.contains("too big") => {
            return too_big();
        }
        (552, _) => return full_mailbox(),
        (500..=504 | 555, _) => return malformed(),
        _ => {}
    }
    if is_refusal {
        if speaks_of_full_mailbox(text) {
            return full_mailbox();
        }
        let unknown = may_concern_recipient(phase) && speaks_of_mailbox(text);
        return if unknown { bad_recipient() } else { refused() };
    }
    if status.is_some_and(|(subject, _)| subject == 6) || code == 571 {
        return refused();
    }
    Verdict::never(ErrorKind::Protocol, "the server refused for a reason that is not documented")
}

/// What a 5xx says of our account, host or sender; `None` where it is about this message or recipient. Servers tell
/// most of it only at RCPT, behind everything that was said before (Postfix's `smtpd_delay_reject`).
fn of_account(phase: Phase, code: u16, status: Option<(u16, u16)>, text: &str) -> Option<Verdict> {
    if text.contains("starttls") && phase != Phase::Auth {
        return Some(Verdict::never(
            ErrorKind::Config,
            "the server wants an encrypted connection: set `tls`",
        ));
    }
    let is_login_code = matches!(code, 530 | 534 | 535 | 538);
    let wants_login = matches!(phase, Phase::Mail | Phase::Recipient)
        && (text.contains("authentication required") || text.contains("authentication is required"));
    if is_login_code || wants_login || matches!(status, Some((7, 8 | 9))) {
        return Some(Verdict::never(ErrorKind::Auth, "the server refused the login, or asks for one"));
    }
    if speaks_of_sender_limit(text) || matches!(status, Some((4, 5) | (7, 28))) {
        return Some(sender_limit());
    }
    if text.contains("outboundspamexception") {
        return Some(Verdict::never(
            ErrorKind::Config,
            "the provider has closed this account for sending; see its page about the account",
        ));
    }
    if phase == Phase::Auth {
        return Some(match (code, status) {
            (500..=504, _) | (_, Some((5, _))) => {
                Verdict::never(ErrorKind::Config, "the server does not take this way to sign in")
            }
            _ => Verdict::never(ErrorKind::Auth, "the server refused the login"),
        });
    }
    // Exchange Online, from 5.7.606 to 5.7.649: "Access denied, banned sending IP".
    if speaks_of_block_list(text) || matches!(status, Some((7, 606..=649))) {
        let message = "the address that we send from stands on a list of blocked senders";
        return Some(Verdict::later(ErrorKind::RateLimited, Some(LIMIT_PAUSE), message));
    }
    if text.contains("sender address rejected") || matches!(status, Some((1, 7 | 8))) {
        return Some(bad_sender());
    }
    if text.contains("client host rejected") || text.contains("helo command rejected") {
        return Some(bad_host());
    }
    if phase == Phase::Recipient && text.contains("relay") {
        return Some(Verdict::never(
            ErrorKind::Config,
            "the server does not relay for this account; does it need a login?",
        ));
    }
    match (phase, code, status) {
        (Phase::Connect | Phase::Idle, 500..=504 | 555, _) => Some(malformed()),
        (Phase::Connect | Phase::Idle, ..) => Some(bad_host()),
        (Phase::Mail, _, Some((3, 4) | (2, 3) | (5, _) | (6, 7))) | (Phase::Mail, 500..=504 | 555, _) => None,
        // No recipient is known yet: what is full here is ours.
        (Phase::Mail, 552, _) if text.contains("size") || text.contains("too big") => None,
        (Phase::Mail, 552, _) | (Phase::Mail, _, Some((2, 2))) => Some(sender_limit()),
        (Phase::Mail, ..) => Some(bad_sender()),
        _ => None,
    }
}

/// Before RCPT the server has not even heard of the recipient.
const fn may_concern_recipient(phase: Phase) -> bool {
    matches!(phase, Phase::Recipient | Phase::Data | Phase::Body | Phase::End)
}

/// It is this recipient with this sender that is put off, and nobody else.
const fn greylisted() -> Verdict {
    let message = "the server puts off senders that it does not know yet";
    Verdict::later(ErrorKind::Recipient, Some(GREYLIST_PAUSE), message)
}

const fn sender_limit() -> Verdict {
    let message = "the account has sent as much as its provider allows for now";
    Verdict::later(ErrorKind::RateLimited, Some(LIMIT_PAUSE), message)
}

const fn bad_host() -> Verdict {
    Verdict::never(ErrorKind::Config, "the server refuses our host or its hello name; check `hello_name`")
}

const fn bad_recipient() -> Verdict {
    Verdict::never(ErrorKind::Recipient, "the mailbox does not exist or does not take mail")
}

const fn full_mailbox() -> Verdict {
    Verdict::never(ErrorKind::Recipient, "the recipient's mailbox is full").about_full_mailbox()
}

const fn bad_sender() -> Verdict {
    Verdict::never(
        ErrorKind::Config,
        "the server does not take mail from this sender; check `from` and `return_path`",
    )
}

const fn too_big() -> Verdict {
    Verdict::never(ErrorKind::Content, "the message is too big for the server or the mailbox")
}

const fn malformed() -> Verdict {
    Verdict::never(ErrorKind::Invalid, "the server did not understand the command")
}

const fn refused() -> Verdict {
    Verdict::never(
        ErrorKind::Content,
        "the server refused the message by its policy, such as spam or sender checks",
    )
}

fn says(text: &str, words: &[&str]) -> bool {
    words.iter().any(|words| text.contains(words))
}

fn speaks_of_rate(text: &str) -> bool {
    let has_word = text.split(|c: char| !c.is_alphanumeric()).any(|word| {
        matches!(word, "rate" | "rates" | "ratelimit" | "ratelimited" | "throttled" | "throttling")
    });
    has_word || text.contains("too many")
}

/// More is taken over another connection.
fn speaks_of_session(text: &str) -> bool {
    says(text, &["this session", "this connection", "per session", "per connection", "one connection"])
}

/// What the account may send, and not what a mailbox can hold.
fn speaks_of_sender_limit(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "sending quota",
        "sending limit",
        "sending rate",
        "relay quota",
        "message quota",
        "queue quota",
        "submissionquotaexceeded",
        "daily limit",
        "hourly limit",
        "daily quota",
        "message limit",
        "rate limit",
        "ratelimit",
        "throttl",
        "too many messages",
        "too many emails",
        "too many mails",
        "messages per day",
        "messages per hour",
        "emails per hour",
        "exceeded threshold",
        "exceeded the limit",
        "limit exceeded",
        "limit on the number",
    ];
    says(text, WORDS) && !says(text, &["size limit", "storage limit", "mailbox"])
        || says(text, &["sending quota", "ratelimit exceeded"])
}

fn speaks_of_block_list(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "blocked using",
        "blacklist",
        "black list",
        "blocklist",
        "block list",
        "dnsbl",
        "spamhaus",
        "spamcop",
        "reputation",
        "traffic not accepted from this ip",
    ];
    says(text, WORDS)
}

fn speaks_of_full_mailbox(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "mailbox full",
        "mailbox is full",
        "over quota",
        "overquota",
        "quota exceeded",
        "exceeded storage",
        "out of storage",
        "mailbox size limit exceeded",
    ];
    says(text, WORDS)
}

/// Words that name a recipient who does not exist, whatever code stands before them.
fn names_unknown_mailbox(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "user unknown",
        "unknown user",
        "unknown local part",
        "no such user",
        "no such recipient",
        "no such mailbox",
        "unknown recipient",
        "recipient unknown",
        "invalid recipient",
        "invalid mailbox",
        "user not found",
        "recipient not found",
        "unrouteable address",
        "unroutable address",
        "no mailbox here",
        "account is disabled",
        "mailbox not found",
        "no such domain",
        "invalid domain",
        "user not local",
        "this user doesn't have a",
        "this user does not have a",
    ];
    says(text, WORDS)
}

/// Words that mean the same where the code says that a mailbox was refused and nothing else.
fn speaks_of_mailbox(text: &str) -> bool {
    names_unknown_mailbox(text) || says(text, &["does not exist", "doesn't exist", "mailbox"])
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
