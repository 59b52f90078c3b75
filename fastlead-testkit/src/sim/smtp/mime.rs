//! Reads mail back, by a library that shares nothing with the one that made the mail, so that the two can disagree.
//!
//! What notifications are made of: text and HTML, alone or as alternatives; attachments are passed over.

use mail_parser::{HeaderValue, Message, MessageParser, MessagePart, MimeHeaders as _, PartType};

/// A mail as its reader sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DecodedMail {
    /// Names as they were written and decoded values, in order.
    pub headers: Vec<(String, String)>,
    /// The first `text/plain` part, lines separated by `\n`.
    pub text: Option<String>,
    /// The first `text/html` part, lines separated by `\n`.
    pub html: Option<String>,
}

impl DecodedMail {
    /// The first header called `name`, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Reads a mail from its source.
pub fn decode(source: &[u8]) -> DecodedMail {
    // Every header as a text, but for those that say how the parts are to be read.
    let parser = MessageParser::new().with_mime_headers().default_header_text();
    let Some(message) = parser.parse(source) else { return DecodedMail::default() };
    let headers = message.headers().iter().map(|header| {
        let raw = source.get(header.offset_start as usize..header.offset_end as usize).unwrap_or_default();
        let value = match &header.value {
            HeaderValue::Text(text) => text.clone().into_owned(),
            _ => String::from_utf8_lossy(raw).replace("\r\n", "").trim().to_owned(),
        };
        let name = source.get(header.offset_field as usize..header.offset_start as usize).unwrap_or_default();
        (String::from_utf8_lossy(name).trim_end_matches([':', ' ', '\t']).to_owned(), value)
    });
    DecodedMail {
        headers: headers.collect(),
        text: first(&message, |part| match &part.body {
            PartType::Text(text) => Some(text),
            _ => None,
        }),
        html: first(&message, |part| match &part.body {
            PartType::Html(text) => Some(text),
            _ => None,
        }),
    }
}

/// The first part of a kind that is no attachment.
fn first<'m>(
    message: &'m Message<'_>,
    of_kind: impl Fn(&'m MessagePart<'_>) -> Option<&'m std::borrow::Cow<'m, str>>,
) -> Option<String> {
    let is_attachment = |part: &MessagePart<'_>| {
        part.content_disposition().is_some_and(mail_parser::ContentType::is_attachment)
    };
    let mut shown = message.parts.iter().filter(|part| !is_attachment(part));
    shown.find_map(of_kind).map(|text| text.replace("\r\n", "\n"))
}

/// A `From` header without the quoting: `"Anna \"A\"" <a@example.com>` becomes `Anna "A" <a@example.com>`.
pub fn mailbox_for_people(value: &str) -> String {
    let mut out = String::new();
    let mut escaped = false;
    for character in value.chars() {
        match character {
            _ if escaped => {
                out.push(character);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => {}
            _ => out.push(character),
        }
    }
    out
}

/// The text of an HTML fragment without its tags, the five XML entities decoded.
pub fn strip_tags(html: &str) -> String {
    let mut out = String::new();
    let mut in_tag = false;
    for character in html.chars() {
        match character {
            '<' => in_tag = true,
            '>' if in_tag => in_tag = false,
            _ if in_tag => {}
            _ => out.push(character),
        }
    }
    let out = out.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
    out.replace("&amp;", "&").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternatives_inside_a_mixed_mail_with_an_attachment() {
        let source = concat!(
            "From: =?UTF-8?B?0JDQvdC90LA=?= <anna@example.com>\r\n",
            "Subject: =?utf-8?Q?=D0=97=D0=B0=D1=8F=D0=B2=D0=BA=D0=B0?=\r\n",
            "\t=?utf-8?q?_No=2E_7?= from the site\r\n",
            "MIME-Version: 1.0\r\n",
            "Content-Type: multipart/mixed;\r\n boundary=\"outer x\"\r\n",
            "\r\n",
            "preamble\r\n",
            "--outer x\r\n",
            "Content-Type: multipart/alternative; boundary=inner\r\n",
            "\r\n",
            "--inner\r\n",
            "Content-Type: text/plain; charset=utf-8\r\n",
            "Content-Transfer-Encoding: base64\r\n",
            "\r\n",
            "0J/RgNC40LLQtdGC\r\n",
            "--inner  \r\n",
            "Content-Type: text/html; charset=\"utf-8\"\r\n",
            "Content-Transfer-Encoding: quoted-printable\r\n",
            "\r\n",
            "<p>=D0=9F=D1=80=D0=B8=D0=B2=D0=B5=D1=82, =\r\n",
            "world</p>\r\n",
            "--inner--\r\n",
            "--outer x\r\n",
            "Content-Type: text/plain; name=a.txt\r\n",
            "Content-Disposition: attachment; filename=a.txt\r\n",
            "\r\n",
            "not this\r\n",
            "--outer x--\r\n",
            "epilogue\r\n",
        );
        let mail = decode(source.as_bytes());
        assert_eq!(mail.header("subject"), Some("Заявка No. 7 from the site"));
        assert_eq!(mail.header("From").map(mailbox_for_people).unwrap(), "Анна <anna@example.com>");
        assert_eq!(mail.text.as_deref(), Some("Привет"));
        assert_eq!(mail.html.as_deref(), Some("<p>Привет, world</p>"));
    }

    #[test]
    fn a_mail_without_any_mime_header_is_text() {
        let mail = decode(b"From: a@example.com\r\nX-Empty:\r\n\r\none\r\ntwo\r\n");
        assert_eq!(mail.text.as_deref(), Some("one\ntwo\n"));
        assert_eq!(mail.header("x-empty"), Some(""));
        assert_eq!(mail.html, None);
    }

    #[test]
    fn broken_mail_is_read_as_far_as_it_goes() {
        for source in [
            &b""[..],
            b"\r\n",
            b"no colon\r\n\r\nbody",
            b"Content-Type: multipart/mixed\r\n\r\nbody",
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b",
            b"Content-Transfer-Encoding: base64\r\n\r\n!!!",
            b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=\r\n=Z=4",
            b"Subject: =?utf-8?B?!!!?= =?x?y?z =?=\r\n\r\n",
        ] {
            let _read = decode(source);
        }
    }

    #[test]
    fn tags_go_and_entities_come_back_once() {
        assert_eq!(strip_tags("<p>a &lt;b&gt; &amp;lt; <b>c</b></p>"), "a <b> &lt; c");
    }
}
