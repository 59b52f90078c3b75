//! A message as mail: headers, bodies, envelope. Pure; the same message gives the same bytes.

use std::time::SystemTime;

use fastlead_core::message::{ButtonAction, Content, MessageClass, OutboundMessage, Recipient, Text};
use fastlead_core::{Error, ErrorKind, Result};
use lettre::Address;
use lettre::message::header::{Date, HeaderName, HeaderValue, MessageId, Subject};
use lettre::message::{Mailbox, Message, MessageBuilder, MultiPart, SinglePart};

use super::config::{Sender, wire_address};

/// A longer subject is cut: no mail program shows more.
const SUBJECT_MAX_CHARS: usize = 250;
/// How much of the text serves as the subject where there is none.
const FALLBACK_SUBJECT_MAX_CHARS: usize = 78;

/// One mail for one recipient.
pub(super) struct Mail {
    /// The Message-ID with its angle brackets.
    pub(super) message_id: String,
    /// Envelope sender: where bounces go.
    pub(super) from: Address,
    /// Envelope recipient.
    pub(super) to: Address,
    /// Headers and body, lines separated by CR LF, dots not doubled yet.
    pub(super) source: Vec<u8>,
}

/// Builds the mail of `message`.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for content that mail cannot carry; [`ErrorKind::Invalid`] for a
/// recipient of another kind; [`ErrorKind::Recipient`] for an address whose domain cannot exist.
pub(super) fn build(sender: &Sender, message: &OutboundMessage) -> Result<Mail> {
    let Content::Text(text) = &message.content else {
        return Err(refuse(ErrorKind::Unsupported, "mail carries texts only"));
    };
    let Recipient::Email(email) = &message.recipient else {
        return Err(refuse(ErrorKind::Invalid, "mail goes to e-mail addresses only"));
    };
    let to = wire_address(email)
        .ok_or_else(|| refuse(ErrorKind::Recipient, "the address has a domain that cannot exist"))?;
    let digits = message.delivery_id.hex();
    let key = message.idempotency_key();
    let message_id = format!("<{key}@{}>", sender.message_id_domain);
    let builder = headers(sender, message, text, &to, &message_id);
    let mail = match html_body(text) {
        // Neither base64 nor quoted-printable can produce `=_`, and nobody outside knows the key.
        Some(html) => builder.multipart(
            MultiPart::alternative()
                .boundary(format!("=_{key}"))
                .singlepart(SinglePart::plain(crlf(&plain_body(text))))
                .singlepart(SinglePart::html(crlf(&html))),
        ),
        None => builder.singlepart(SinglePart::plain(crlf(&plain_body(text)))),
    };
    let mail = mail.map_err(|_| refuse(ErrorKind::Internal, "the mail could not be put together"))?;
    let from = sender
        .return_path
        .fill(&digits)
        .parse()
        .ok()
        .and_then(|email| wire_address(&email))
        .ok_or_else(|| refuse(ErrorKind::Config, "`return_path` is not an e-mail address"))?;
    let mut source = with_sender_folded(mail.formatted());
    // The final dot brings a line break of its own.
    source.truncate(source.strip_suffix(b"\r\n").map_or(source.len(), <[u8]>::len));
    Ok(Mail { message_id, from, to, source })
}

/// A line should have at most 78 octets, and 76 with an encoded word (RFC 5322 section 2.1.1, RFC 2047 section 2).
const LINE_MAX: usize = 76;

/// Puts the sender's address onto a line of its own where it would make the line of the name too long. lettre folds the
/// name, but not before the address.
fn with_sender_folded(mut source: Vec<u8>) -> Vec<u8> {
    const FROM: &[u8] = b"From: ";
    let mut start = 0;
    let mut in_sender = false;
    for line in source.split_inclusive(|byte| *byte == b'\n') {
        let end = start + line.len();
        in_sender = line.starts_with(FROM) || (in_sender && line.starts_with(b" "));
        let address = line.windows(2).rposition(|pair| pair == b" <");
        if let Some(at) = address.filter(|at| in_sender && *at > 0 && line.len() - 2 > LINE_MAX) {
            source.splice(start + at..start + at, *b"\r\n");
            return source;
        }
        if line == b"\r\n" {
            break;
        }
        start = end;
    }
    source
}

fn headers(
    sender: &Sender,
    message: &OutboundMessage,
    text: &Text,
    to: &Address,
    message_id: &str,
) -> MessageBuilder {
    let mut builder = Message::builder()
        .header(Date::new(SystemTime::from(message.attempted_at)))
        .header(MessageId::from(message_id.to_owned()))
        .from(sender.from.clone())
        .to(Mailbox::new(None, to.clone()));
    if let Some(reply_to) = &sender.reply_to {
        builder = builder.reply_to(reply_to.clone());
    }
    if let Some(subject) = subject(text) {
        builder = builder.header(Subject::from(subject));
    }
    // RFC 3834 section 5: so that no vacation notice answers.
    let builder = builder.raw_header(plain_header("Auto-Submitted", "auto-generated".to_owned()));
    match message.class {
        MessageClass::Service => builder,
        MessageClass::Advertising => unsubscribe_headers(sender, message, builder),
    }
}

/// RFC 2369 and, where the page knows whom to unsubscribe, RFC 8058. Without a page a mail to the sender does it:
/// advertising that cannot be left is not sent.
fn unsubscribe_headers(
    sender: &Sender,
    message: &OutboundMessage,
    builder: MessageBuilder,
) -> MessageBuilder {
    let Some(page) = &sender.list_unsubscribe else {
        let to = &sender.reply_to.as_ref().unwrap_or(&sender.from).email;
        let url = format!("mailto:{}?subject=unsubscribe%20{}", mail_url(to), message.delivery_id.hex());
        return builder.raw_header(plain_header("List-Unsubscribe", format!("<{url}>")));
    };
    let url = page.fill(&message.delivery_id.hex());
    let builder = builder.raw_header(plain_header("List-Unsubscribe", format!("<{url}>")));
    if page.names_delivery() {
        builder.raw_header(plain_header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()))
    } else {
        builder
    }
}

/// An address inside a `mailto:` (RFC 6068 section 2): whatever has a meaning in an address or a header is written in
/// percent.
fn mail_url(address: &Address) -> String {
    let mut url = String::new();
    for byte in address.to_string().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' | b'+' => {
                url.push(char::from(byte));
            }
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

fn plain_header(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}

/// The subject line, or the first line of the text; `None` where neither says anything.
fn subject(text: &Text) -> Option<String> {
    let given = text.subject.as_ref().map(|subject| one_line(subject.expose(), SUBJECT_MAX_CHARS));
    given.filter(|subject| !subject.is_empty()).or_else(|| {
        text.plain
            .expose()
            .split(['\n', '\r'])
            .map(|line| one_line(line, FALLBACK_SUBJECT_MAX_CHARS))
            .find(|line| !line.is_empty())
    })
}

/// One line of text that cannot become a header of its own: white space and control characters
/// become single spaces, what looks like an encoded word (RFC 2047) is taken apart, and what is
/// over `max_chars` is cut.
fn one_line(text: &str, max_chars: usize) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ").replace("=?", "= ?");
    if line.chars().count() <= max_chars {
        return line;
    }
    let mut cut: String = line.chars().take(max_chars.saturating_sub(1)).collect();
    cut.truncate(cut.trim_end().len());
    cut.push('…');
    cut
}

/// The text, and under it the links of the buttons that open pages.
fn plain_body(text: &Text) -> String {
    let mut body = clean(text.plain.expose());
    for (index, (label, url)) in links(text).enumerate() {
        body.push_str(if index == 0 { "\n\n" } else { "\n" });
        body.push_str(&format!("{label}: {url}"));
    }
    body
}

/// A whole HTML page around the markup. `dir="auto"` lets each text run in its own direction.
fn html_body(text: &Text) -> Option<String> {
    let markup = clean(text.html.as_ref()?.expose());
    let mut page = format!(
        "<!DOCTYPE html>\n<html>\n<head><meta charset=\"utf-8\"></head>\n<body>\n<div dir=\"auto\">{markup}</div>\n"
    );
    for (label, url) in links(text) {
        page.push_str(&format!("<p><a href=\"{}\">{}</a></p>\n", escape(url), escape(&label)));
    }
    page.push_str("</body>\n</html>");
    Some(page)
}

fn links(text: &Text) -> impl Iterator<Item = (String, &str)> {
    text.buttons.iter().filter_map(|button| match &button.action {
        ButtonAction::Open(url) => Some((one_line(&button.label, SUBJECT_MAX_CHARS), url.as_str())),
        // `Respond`: there is nothing in a mail that could bring an answer back.
        _ => None,
    })
}

/// Line breaks as `\n`, other control characters as spaces: a bare CR or a NUL is not allowed in mail.
fn clean(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { ' ' } else { c }).collect()
}

/// Mail's line breaks. lettre would put them in as well, but one by one, which takes minutes for a
/// text of many lines.
fn crlf(text: &str) -> String {
    text.replace('\n', "\r\n")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

fn refuse(kind: ErrorKind, message: &str) -> Error {
    Error::new(kind, message).with_adapter("smtp").with_operation("send")
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
