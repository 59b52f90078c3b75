//! What a request carries: a query, a form, or both. Kept as bytes until the charset is known.

use super::charset::Charset;

#[derive(Debug, Default)]
pub(super) struct Params(Vec<(String, Vec<u8>)>);

impl Params {
    pub(super) fn read(query: Option<&str>, form: &[u8]) -> Self {
        let mut pairs = Vec::new();
        for raw in [form, query.unwrap_or_default().as_bytes()] {
            for pair in raw.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
                let mut halves = pair.splitn(2, |byte| *byte == b'=');
                let name = percent_decode(halves.next().unwrap_or_default());
                let value = percent_decode(halves.next().unwrap_or_default());
                pairs.push((String::from_utf8_lossy(&name).into_owned(), value));
            }
        }
        Self(pairs)
    }

    /// Whether the parameter is there, with or without a value.
    pub(super) fn has(&self, name: &str) -> bool {
        self.bytes(name).is_some()
    }

    pub(super) fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }

    /// A parameter that is ASCII by nature; empty where it is absent.
    pub(super) fn ascii(&self, name: &str) -> &str {
        self.bytes(name).and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default()
    }

    /// A number, or `default` where it is absent or empty; `None` where it is something else.
    pub(super) fn number(&self, name: &str, default: i64) -> Option<i64> {
        match self.ascii(name) {
            "" if self.bytes(name).is_none_or(<[u8]>::is_empty) => Some(default),
            text => text.parse().ok(),
        }
    }

    pub(super) fn charset(&self) -> Option<Charset> {
        Charset::named(self.bytes("charset"))
    }

    /// The whole request in one order, to tell identical ones.
    pub(super) fn canonical(&self) -> Vec<(String, Vec<u8>)> {
        let mut pairs = self.0.clone();
        pairs.sort();
        pairs
    }
}

fn percent_decode(raw: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = raw.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_encoding::percent_decode(&spaced).collect()
}

/// Bytes as a value of `application/x-www-form-urlencoded`.
pub(super) fn percent_encode(raw: &[u8]) -> String {
    let mut out = String::with_capacity(raw.len());
    for byte in raw {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' => out.push(char::from(*byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_and_a_query_together() {
        let params = Params::read(Some("fmt=3&md5"), b"mes=%C4%E0+a%2Bb%&id=");
        assert_eq!(params.bytes("mes").unwrap(), b"\xc4\xe0 a+b%");
        assert_eq!(params.number("fmt", 0), Some(3));
        assert_eq!(params.number("id", 7), Some(7));
        assert_eq!(params.number("mes", 0), None);
        assert!(params.has("md5") && !params.has("sha1"));
        assert_eq!(percent_decode(percent_encode("Да + & =".as_bytes()).as_bytes()), "Да + & =".as_bytes());
    }
}
