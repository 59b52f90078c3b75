//! The encodings that SMSC speaks: windows-1251 unless a request says otherwise.

/// The upper half of windows-1251.
const WINDOWS_1251: &str = "\
ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏ\
ђ‘’“”•–—\u{98}™љ›њќћџ\
\u{a0}ЎўЈ¤Ґ¦§Ё©Є«¬\u{ad}®Ї\
°±Ііґµ¶·ё№є»јЅѕї\
АБВГДЕЖЗИЙКЛМНОП\
РСТУФХЦЧШЩЪЫЬЭЮЯ\
абвгдежзийклмноп\
рстуфхцчшщъыьэюя";

/// The upper half of KOI8-R.
const KOI8_R: &str = "\
─│┌┐└┘├┤┬┴┼▀▄█▌▐\
░▒▓⌠■∙√≈≤≥\u{a0}⌡°²·÷\
═║╒ё╓╔╕╖╗╘╙╚╛╜╝╞\
╟╠╡Ё╢╣╤╥╦╧╨╩╪╫╬©\
юабцдефгхийклмно\
пярстужвьызшэщчъ\
ЮАБЦДЕФГХИЙКЛМНО\
ПЯРСТУЖВЬЫЗШЭЩЧЪ";

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
        match self.upper_half() {
            None => String::from_utf8_lossy(bytes).into_owned(),
            Some(upper) => bytes
                .iter()
                .map(|byte| match byte.checked_sub(128) {
                    None => char::from(*byte),
                    Some(place) => {
                        upper.chars().nth(usize::from(place)).unwrap_or(char::REPLACEMENT_CHARACTER)
                    }
                })
                .collect(),
        }
    }

    /// Writes text as bytes; what the encoding does not have becomes a question mark.
    pub(super) fn encode(self, text: &str) -> Vec<u8> {
        let Some(upper) = self.upper_half() else { return text.as_bytes().to_vec() };
        text.chars()
            .map(|character| match u8::try_from(character) {
                Ok(ascii) if ascii < 128 => ascii,
                _ => {
                    let place = upper.chars().position(|known| known == character);
                    place.and_then(|place| u8::try_from(place + 128).ok()).unwrap_or(b'?')
                }
            })
            .collect()
    }

    const fn upper_half(self) -> Option<&'static str> {
        match self {
            Self::Windows1251 => Some(WINDOWS_1251),
            Self::Koi8R => Some(KOI8_R),
            Self::Utf8 => None,
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
