//! Reads mail back: headers (RFC 2047), transfer encodings (RFC 2045) and multiparts (RFC 2046).
//!
//! Written from the RFCs, so that it can disagree with whatever library made the mail. It reads what
//! notifications are made of: text and HTML, alone or as alternatives; attachments are passed over.

mod body;
mod header;

pub use header::mailbox_for_people;

/// How deep multiparts may be nested.
const MAX_DEPTH: usize = 8;

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
    let (head, body) = split_head(source);
    let raw = header::unfold(head);
    let mut mail = DecodedMail::default();
    read_part(&raw, body, 0, &mut mail);
    mail.headers = raw.into_iter().map(|(name, value)| (name, header::decode_words(&value))).collect();
    mail
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

/// The header block and what follows the empty line.
fn split_head(source: &[u8]) -> (&[u8], &[u8]) {
    if let Some(body) = source.strip_prefix(b"\r\n") {
        return (b"", body);
    }
    match source.windows(4).position(|window| window == b"\r\n\r\n") {
        Some(at) => (&source[..at + 2], &source[at + 4..]),
        None => (source, b""),
    }
}

fn read_part(headers: &[(String, String)], body: &[u8], depth: usize, mail: &mut DecodedMail) {
    let find = |name: &str| headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name));
    let content_type =
        header::ContentType::parse(find("Content-Type").map_or("text/plain", |(_, value)| value.as_str()));
    if content_type.kind.starts_with("multipart/") {
        let Some(boundary) = content_type.parameter("boundary").filter(|_| depth < MAX_DEPTH) else { return };
        for part in body::split_multipart(body, boundary) {
            let (head, inner) = split_head(part);
            read_part(&header::unfold(head), inner, depth + 1, mail);
        }
        return;
    }
    let is_attachment = find("Content-Disposition")
        .is_some_and(|(_, value)| value.trim_start().to_ascii_lowercase().starts_with("attachment"));
    if is_attachment {
        return;
    }
    let slot = match content_type.kind.as_str() {
        "text/plain" => &mut mail.text,
        "text/html" => &mut mail.html,
        _ => return,
    };
    if slot.is_none() {
        let encoding = find("Content-Transfer-Encoding").map_or("7bit", |(_, value)| value.as_str());
        let bytes = body::decode_transfer(encoding, body);
        let charset = content_type.parameter("charset").unwrap_or("utf-8");
        *slot = Some(header::decode_charset(charset, &bytes).replace("\r\n", "\n"));
    }
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
