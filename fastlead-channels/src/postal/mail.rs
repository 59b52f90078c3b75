//! A message as Postal takes it. Pure; the same message gives the same mail.

use std::collections::BTreeMap;

use fastlead_core::contact::Email;
use fastlead_core::message::{MessageClass, OutboundMessage, Text};
use url::form_urlencoded::byte_serialize;

use super::config::{DELIVERY_PLACEHOLDER, PostalConfig};

/// A longer subject is cut: no mail program shows more.
const LONGEST_SUBJECT: usize = 250;
/// How much of the text serves as the subject where there is none.
const LONGEST_FALLBACK: usize = 78;

/// What the mail of a message says beside its recipient.
pub(super) struct Mail {
    pub(super) from: String,
    pub(super) subject: String,
    pub(super) plain: String,
    pub(super) html: Option<String>,
    pub(super) headers: BTreeMap<&'static str, String>,
}

impl Mail {
    pub(super) fn of(config: &PostalConfig, message: &OutboundMessage, text: &Text) -> Self {
        let from = &config.from;
        let from = match from.name.as_deref().filter(|name| !name.trim().is_empty()) {
            // A quoted string of RFC 5322, so that nothing in a name is taken for an address.
            Some(name) => {
                let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
                format!("\"{quoted}\" <{}>", wire_address(&from.address))
            }
            None => wire_address(&from.address),
        };
        Self {
            from,
            subject: subject(text),
            plain: clean(text.plain.expose()),
            html: text.html.as_ref().map(|html| page(html.expose())),
            headers: headers(config, message),
        }
    }
}

/// An address with its domain in ASCII, as mail servers want it.
pub(super) fn wire_address(email: &Email) -> String {
    let local = email.expose().rsplit_once('@').map_or("", |(local, _)| local);
    format!("{local}@{}", email.ascii_domain())
}

/// The subject line, or the first line of the text.
fn subject(text: &Text) -> String {
    let given = text.subject.as_ref().map(|subject| one_line(subject.expose(), LONGEST_SUBJECT));
    given.filter(|subject| !subject.is_empty()).unwrap_or_else(|| {
        let mut lines = text.plain.expose().split(['\n', '\r']).map(|line| one_line(line, LONGEST_FALLBACK));
        lines.find(|line| !line.is_empty()).unwrap_or_default()
    })
}

/// One line that cannot become a header of its own, cut where it is too long.
fn one_line(text: &str, longest: usize) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    if line.chars().count() <= longest {
        return line;
    }
    let mut cut: String = line.chars().take(longest.saturating_sub(1)).collect();
    cut.truncate(cut.trim_end().len());
    cut.push('…');
    cut
}

/// Line breaks as `\n`, other control characters as spaces: neither a bare CR nor a NUL may stand in mail.
fn clean(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { ' ' } else { c }).collect()
}

/// A whole HTML page around the markup. `dir="auto"` lets each text run in its own direction.
fn page(markup: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html>\n<head><meta charset=\"utf-8\"></head>\n<body>\n<div dir=\"auto\">{}</div>\n</body>\n</html>",
        clean(markup)
    )
}

/// RFC 3834: no vacation notice answers. RFC 2369 and RFC 8058: advertising that cannot be left is not sent.
fn headers(config: &PostalConfig, message: &OutboundMessage) -> BTreeMap<&'static str, String> {
    let mut headers = BTreeMap::from([("Auto-Submitted", "auto-generated".to_owned())]);
    if message.class == MessageClass::Service {
        return headers;
    }
    let digits = message.delivery_id.hex();
    let url = match &config.list_unsubscribe {
        Some(page) => {
            if page.contains(DELIVERY_PLACEHOLDER) {
                headers.insert("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned());
            }
            page.replace(DELIVERY_PLACEHOLDER, &digits)
        }
        None => {
            let to = config.reply_to.as_ref().unwrap_or(&config.from.address);
            format!("mailto:{}?subject=unsubscribe%20{digits}", mail_url(to))
        }
    };
    headers.insert("List-Unsubscribe", format!("<{url}>"));
    headers
}

/// An address inside a `mailto:` (RFC 6068).
fn mail_url(email: &Email) -> String {
    byte_serialize(wire_address(email).as_bytes()).collect::<String>().replace("%40", "@").replace('+', "%20")
}
