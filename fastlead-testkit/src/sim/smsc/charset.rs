//! The encodings that SMSC speaks: windows-1251 unless a request says otherwise.

use encoding_rs::{EncoderResult, Encoding, KOI8_R, UTF_8, WINDOWS_1251};

/// A value of the `charset` parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charset {
    Windows1251,
    Utf8,
    Koi8R,
}

impl Charset {
    /// `None` for a name that SMSC does not know.
    pub(super) fn named(name: Option<&[u8]>) -> Option<Self> {
        match name.map(<[u8]>::to_ascii_lowercase).as_deref() {
            None | Some(b"" | b"windows-1251") => Some(Self::Windows1251),
            Some(b"utf-8") => Some(Self::Utf8),
            Some(b"koi8-r") => Some(Self::Koi8R),
            Some(_) => None,
        }
    }

    /// Reads bytes as text; what the encoding does not have becomes U+FFFD.
    pub(super) fn decode(self, bytes: &[u8]) -> String {
        self.encoding().decode_without_bom_handling(bytes).0.into_owned()
    }

    /// Writes text as bytes; what the encoding does not have becomes a question mark.
    pub(super) fn encode(self, text: &str) -> Vec<u8> {
        let mut encoder = self.encoding().new_encoder();
        let mut out = Vec::with_capacity(text.len() + 16);
        let mut rest = text;
        loop {
            let (result, read) = encoder.encode_from_utf8_to_vec_without_replacement(rest, &mut out, true);
            rest = rest.get(read..).unwrap_or_default();
            match result {
                EncoderResult::InputEmpty => return out,
                EncoderResult::OutputFull => out.reserve(rest.len() + 16),
                EncoderResult::Unmappable(_) => {
                    out.push(b'?');
                    out.reserve(rest.len() + 16);
                }
            }
        }
    }

    const fn encoding(self) -> &'static Encoding {
        match self {
            Self::Windows1251 => WINDOWS_1251,
            Self::Koi8R => KOI8_R,
            Self::Utf8 => UTF_8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        for charset in [Charset::Windows1251, Charset::Koi8R] {
            assert_eq!(charset.encode(&charset.decode(&all)), all, "{charset:?}");
        }
    }

    #[test]
    fn known_words() {
        assert_eq!(Charset::Windows1251.encode("Да №1"), b"\xc4\xe0 \xb91");
        assert_eq!(Charset::Koi8R.encode("Да"), b"\xe4\xc1");
        assert_eq!(Charset::Windows1251.encode("\u{1f44d}"), b"?");
        assert_eq!(Charset::Windows1251.decode("Да".as_bytes()), "Р”Р°", "utf-8 that was not announced");
        assert_eq!(Charset::named(None), Some(Charset::Windows1251));
        assert_eq!(Charset::named(Some(b"UTF-8")), Some(Charset::Utf8));
        assert_eq!(Charset::named(Some(b"utf-16")), None);
    }
}
