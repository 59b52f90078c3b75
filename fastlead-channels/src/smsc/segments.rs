//! How many SMS parts a text needs, and so what it will cost.

/// The basic character set of GSM 03.38, without the escape.
const GSM_BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// Its extension table: two septets each.
const GSM_EXTENDED: &str = "\u{c}^{}\\[~]|€";

/// How an SMS is encoded on the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// The GSM 03.38 alphabet: 160 septets in a single SMS, 153 in each part of a longer one.
    Gsm7,
    /// UTF-16: 70 units in a single SMS, 67 in each part of a longer one. One Cyrillic letter or one
    /// emoji turns the whole text into this.
    Ucs2,
}

impl Encoding {
    const fn single(self) -> u32 {
        match self {
            Self::Gsm7 => 160,
            Self::Ucs2 => 70,
        }
    }

    const fn part(self) -> u32 {
        match self {
            Self::Gsm7 => 153,
            Self::Ucs2 => 67,
        }
    }
}

/// What a text takes as SMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Segments {
    /// How it is encoded.
    pub encoding: Encoding,
    /// Its length: septets or UTF-16 units.
    pub units: u32,
    /// How many SMS are billed. 0 for an empty text.
    pub count: u32,
}

/// Counts the SMS parts of `text` as operators do (GSM 03.38, and 3GPP TS 23.040 for long texts).
///
/// A character that takes two units (an emoji, or one of `^{}\[~]|€`) is never cut in half: it moves
/// to the next part. SMSC's own count comes back in the receipt and is the one that is billed.
///
/// ```
/// use fastlead_channels::smsc::segments;
/// assert_eq!(segments("Call Anna: +7 900 000-00-00").count, 1);
/// assert_eq!(segments(&"я".repeat(71)).count, 2);
/// ```
pub fn segments(text: &str) -> Segments {
    let encoding = if text.chars().all(|c| septets(c).is_some()) { Encoding::Gsm7 } else { Encoding::Ucs2 };
    let width = |c: char| match encoding {
        Encoding::Gsm7 => septets(c).unwrap_or(1),
        Encoding::Ucs2 => c.len_utf16() as u32,
    };
    let mut units = 0_u32;
    let mut parts = 0_u32;
    let mut room = 0_u32;
    for width in text.chars().map(width) {
        units = units.saturating_add(width);
        if width > room {
            parts = parts.saturating_add(1);
            room = encoding.part();
        }
        room -= width;
    }
    let count = if units <= encoding.single() { u32::from(units > 0) } else { parts };
    Segments { encoding, units, count }
}

/// How many septets a character takes in the GSM alphabet; `None` where it is not in there.
fn septets(character: char) -> Option<u32> {
    if GSM_BASIC.contains(character) {
        Some(1)
    } else if GSM_EXTENDED.contains(character) {
        Some(2)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_have_the_size_of_the_standard() {
        assert_eq!(GSM_BASIC.chars().count(), 127, "128 codes less the escape");
        assert_eq!(GSM_EXTENDED.chars().count(), 10);
    }

    #[test]
    fn golden_vectors() {
        use Encoding::{Gsm7, Ucs2};
        for (text, encoding, units, count) in [
            (String::new(), Gsm7, 0, 0),
            ("Hello".to_owned(), Gsm7, 5, 1),
            ("a".repeat(160), Gsm7, 160, 1),
            ("a".repeat(161), Gsm7, 161, 2),
            ("a".repeat(306), Gsm7, 306, 2),
            ("a".repeat(307), Gsm7, 307, 3),
            ("€".to_owned(), Gsm7, 2, 1),
            ("{".repeat(80), Gsm7, 160, 1),
            ("{".repeat(81), Gsm7, 162, 2),
            // 152 septets, then a pair that would be cut: it moves on, and so does everything after it.
            (format!("{}€{}", "a".repeat(152), "a".repeat(151)), Gsm7, 305, 2),
            (format!("{}€{}", "a".repeat(152), "a".repeat(152)), Gsm7, 306, 3),
            ("^{}\\[~]|€\u{c}".to_owned(), Gsm7, 20, 1),
            ("ÄÖÑÜ§¿äöñüà ΔΦΓΛΩΠΨΣΘΞ £¥¤\r\n".to_owned(), Gsm7, 28, 1),
            // Not in the alphabet: a backtick, a small c with cedilla, a typographic quote.
            ("`".to_owned(), Ucs2, 1, 1),
            ("ç".to_owned(), Ucs2, 1, 1),
            ("“".to_owned(), Ucs2, 1, 1),
            ("Привет".to_owned(), Ucs2, 6, 1),
            ("я".repeat(70), Ucs2, 70, 1),
            ("я".repeat(71), Ucs2, 71, 2),
            ("я".repeat(134), Ucs2, 134, 2),
            ("я".repeat(135), Ucs2, 135, 3),
            ("😀".repeat(35), Ucs2, 70, 1),
            // 33 emoji fill 66 of 67 units: the 34th is not cut in half.
            ("😀".repeat(36), Ucs2, 72, 2),
            ("😀".repeat(66), Ucs2, 132, 2),
            ("😀".repeat(67), Ucs2, 134, 3),
            (format!("{}я", "a".repeat(69)), Ucs2, 70, 1),
            ("я".repeat(1000), Ucs2, 1000, 15),
        ] {
            assert_eq!(segments(&text), Segments { encoding, units, count }, "{text:.20} ({units})");
        }
    }
}
