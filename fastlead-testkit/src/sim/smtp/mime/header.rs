//! Header blocks, encoded words, parameters.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::body::decode_hex;

/// Base64 as mail has it: padding is sometimes missing.
pub(super) const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Splits a header block into names and values, folded lines joined, nothing decoded.
pub(super) fn unfold(head: &[u8]) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in String::from_utf8_lossy(head).split("\r\n") {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = headers.last_mut() {
                value.push_str(line);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim_end().to_owned(), value.to_owned()));
        }
    }
    for (_, value) in &mut headers {
        *value = value.trim().to_owned();
    }
    headers
}

/// Decodes the encoded words of a header value (RFC 2047); the space between two of them vanishes.
pub(super) fn decode_words(value: &str) -> String {
    let mut out = String::new();
    let mut rest = value;
    let mut after_word = false;
    while let Some(start) = rest.find("=?") {
        let (before, word) = rest.split_at(start);
        match encoded_word(word) {
            Some((decoded, length)) => {
                if !(after_word && before.chars().all(char::is_whitespace)) {
                    out.push_str(before);
                }
                out.push_str(&decoded);
                rest = &word[length..];
                after_word = true;
            }
            None => {
                out.push_str(before);
                out.push_str("=?");
                rest = &word[2..];
                after_word = false;
            }
        }
    }
    out.push_str(rest);
    out
}

/// The encoded word at the start of `text`, decoded, and its length in bytes.
fn encoded_word(text: &str) -> Option<(String, usize)> {
    let mut fields = text.strip_prefix("=?")?.splitn(3, '?');
    let (charset, encoding, tail) = (fields.next()?, fields.next()?, fields.next()?);
    let (encoded, _) = tail.split_once("?=")?;
    if encoded.contains([' ', '\t']) {
        return None;
    }
    let bytes = match encoding {
        "B" | "b" => LENIENT.decode(encoded).ok()?,
        "Q" | "q" => decode_hex(encoded.replace('_', " ").as_bytes()),
        _ => return None,
    };
    let charset_name = charset.split('*').next().unwrap_or_default();
    let length = 2 + charset.len() + 1 + encoding.len() + 1 + encoded.len() + 2;
    Some((decode_charset(charset_name, &bytes), length))
}

/// Bytes as text. Knows UTF-8, US-ASCII and ISO-8859-1; anything else is read as UTF-8.
pub(super) fn decode_charset(charset: &str, bytes: &[u8]) -> String {
    if charset.eq_ignore_ascii_case("iso-8859-1") {
        bytes.iter().map(|byte| char::from(*byte)).collect()
    } else {
        String::from_utf8_lossy(bytes).into_owned()
    }
}

/// A decoded `From` header without the quoting: `"Anna \"A\"" <a@example.com>` becomes
/// `Anna "A" <a@example.com>`.
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

/// `type/subtype` in lower case, and parameters.
#[derive(Debug)]
pub(super) struct ContentType {
    pub(super) kind: String,
    parameters: Vec<(String, String)>,
}

impl ContentType {
    pub(super) fn parse(value: &str) -> Self {
        let (kind, mut rest) = value.split_once(';').unwrap_or((value, ""));
        let mut parameters = Vec::new();
        while let Some((name, after)) = rest.split_once('=') {
            let after = after.trim_start();
            let (value, tail) = match after.strip_prefix('"') {
                Some(quoted) => unquote(quoted),
                None => {
                    let end = after.find([';', ' ', '\t']).unwrap_or(after.len());
                    (after[..end].to_owned(), &after[end..])
                }
            };
            let name = name.trim_matches(|c: char| c == ';' || c.is_whitespace());
            parameters.push((name.to_ascii_lowercase(), value));
            rest = tail;
        }
        Self { kind: kind.trim().to_ascii_lowercase(), parameters }
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }
}

/// A quoted string whose first quote is gone, and what follows its last.
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => {
                value.push(character);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (value, &text[at + 1..]),
            _ => value.push(character),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words_as_the_rfc_shows_them() {
        for (given, wanted) in [
            ("(=?ISO-8859-1?Q?a?=)", "(a)"),
            ("(=?ISO-8859-1?Q?a?= b)", "(a b)"),
            ("(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),
            ("(=?ISO-8859-1?Q?a?=\t  =?ISO-8859-1?Q?b?=)", "(ab)"),
            ("(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
            ("(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"),
            (
                "=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?= <keld@example.com>",
                "Keld Jørn Simonsen <keld@example.com>",
            ),
            ("=?UTF-8*ru?B?0JDQvdC90LA?=", "Анна"),
            ("a =? b", "a =? b"),
            ("=?utf-8?Q?open", "=?utf-8?Q?open"),
        ] {
            assert_eq!(decode_words(given), wanted, "{given}");
        }
    }

    #[test]
    fn parameters_quoted_or_not() {
        let parsed =
            ContentType::parse("Multipart/Mixed; boundary=\"a;\\\"b\" ; charset=utf-8;format=flowed");
        assert_eq!(parsed.kind, "multipart/mixed");
        assert_eq!(parsed.parameter("boundary"), Some("a;\"b"));
        assert_eq!(parsed.parameter("charset"), Some("utf-8"));
        assert_eq!(parsed.parameter("format"), Some("flowed"));
        assert_eq!(parsed.parameter("name"), None);
    }
}
