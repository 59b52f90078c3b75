//! What keyboards, messengers and documents put into a text that is meant as plain.

/// Zeros of Unicode's decimal digits (general category Nd); the other nine follow each of them.
const ZEROS: &[u32] = &[
    0x30, 0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6, 0xE50,
    0xED0, 0xF20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40,
    0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10, 0x104A0, 0x10D30, 0x10D40,
    0x11066, 0x110F0, 0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0, 0x11650, 0x116C0, 0x116D0, 0x116DA,
    0x11730, 0x118E0, 0x11950, 0x11C50, 0x11D50, 0x11DA0, 0x11DE0, 0x11F50, 0x16130, 0x16A60, 0x16AC0,
    0x16B50, 0x16D70, 0x1CCF0, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6, 0x1E140, 0x1E2F0, 0x1E5F1,
    0x1E950, 0x1FBF0,
];

/// Whether a character is not seen: zero-width marks, direction marks, soft hyphens, variation selectors, the frame of an
/// emoji key.
pub(super) const fn is_invisible(char: char) -> bool {
    matches!(char,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{20e3}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a character is a hyphen, a dash or a minus sign.
const fn is_dash(char: char) -> bool {
    matches!(
        char,
        '-' | '\u{58a}' | '\u{5be}' | '\u{2010}'
            ..='\u{2015}'
                | '\u{2043}'
                | '\u{207b}'
                | '\u{2212}'
                | '\u{2e3a}'
                | '\u{2e3b}'
                | '\u{301c}'
                | '\u{3030}'
                | '\u{30fc}'
                | '\u{fe58}'
                | '\u{fe63}'
                | '\u{ff0d}'
                | '\u{ff70}'
    )
}

fn digit(char: char) -> Option<char> {
    let code = u32::from(char);
    let zero = ZEROS.get(ZEROS.partition_point(|zero| *zero <= code).checked_sub(1)?)?;
    char::from_digit(code - zero, 10)
}

/// A full-width character as the ASCII one that it stands for; any other as it is.
pub(super) fn narrow(char: char) -> char {
    match char {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(char) - 0xfee0).unwrap_or(char),
        char => char,
    }
}

/// A character as its plain counterpart: digits of all scripts, dashes, spaces and full-width signs.
fn plain_char(char: char) -> char {
    match char {
        '\n' | '\r' | '\u{2028}' | '\u{2029}' => '\n',
        char if char.is_whitespace() || char.is_control() => ' ',
        char if is_dash(char) => '-',
        '\u{207a}' | '\u{2795}' | '\u{fe62}' => '+',
        '\u{2053}' | '\u{223c}' => '~',
        '\u{3001}' | '\u{60c}' => ',',
        '\u{61b}' => ';',
        char => digit(char).unwrap_or(narrow(char)),
    }
}

/// A text as it reads, in plain characters.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|char| !is_invisible(*char)).map(plain_char).collect::<String>().trim().to_owned()
}
