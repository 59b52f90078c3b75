//! What SMSC does to a text before it sends it: transliteration, and counting the parts that it bills.

/// Characters of the GSM alphabet beyond ASCII (GSM 03.38).
const GSM_BEYOND_ASCII: &str = "£¥èéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà";
/// ASCII that takes two septets, and the euro sign.
const GSM_TWICE: &str = "^{}\\[~]|€\u{c}";

/// How many SMS a text makes.
pub(super) fn parts(text: &str) -> u32 {
    let latin = |c: char| (c.is_ascii() && !c.is_control() && c != '`') || matches!(c, '\n' | '\r' | '\u{c}');
    let gsm = text.chars().all(|c| latin(c) || GSM_BEYOND_ASCII.contains(c) || c == '€');
    let (single, part) = if gsm { (160, 153) } else { (70, 67) };
    let widths: Vec<usize> = text
        .chars()
        .map(|c| match gsm {
            true if GSM_TWICE.contains(c) => 2,
            true => 1,
            false => c.len_utf16(),
        })
        .collect();
    if widths.iter().sum::<usize>() <= single {
        return 1;
    }
    let mut parts = 1;
    let mut filled = 0;
    for width in widths {
        if filled + width > part {
            parts += 1;
            filled = 0;
        }
        filled += width;
    }
    parts
}

/// `translit=1`: Cyrillic in Latin letters. SMSC does not publish its table; this is a common one.
pub(super) fn transliterate(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        let lower = character.to_lowercase().next().unwrap_or(character);
        match latin(lower) {
            None => out.push(character),
            Some(letters) if lower == character => out.push_str(letters),
            Some(letters) => {
                let mut letters = letters.chars();
                out.extend(letters.next().map(|first| first.to_ascii_uppercase()));
                out.extend(letters);
            }
        }
    }
    out
}

const fn latin(letter: char) -> Option<&'static str> {
    Some(match letter {
        'а' => "a",
        'б' => "b",
        'в' => "v",
        'г' => "g",
        'д' => "d",
        'е' | 'э' => "e",
        'ё' => "yo",
        'ж' => "zh",
        'з' => "z",
        'и' => "i",
        'й' => "y",
        'к' => "k",
        'л' => "l",
        'м' => "m",
        'н' => "n",
        'о' => "o",
        'п' => "p",
        'р' => "r",
        'с' => "s",
        'т' => "t",
        'у' => "u",
        'ф' => "f",
        'х' => "h",
        'ц' => "ts",
        'ч' => "ch",
        'ш' => "sh",
        'щ' => "sch",
        'ъ' | 'ь' => "'",
        'ы' => "y",
        'ю' => "yu",
        'я' => "ya",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_operators_count() {
        for (text, count) in [
            ("a".repeat(160), 1),
            ("a".repeat(161), 2),
            ("a".repeat(307), 3),
            ("{".repeat(81), 2),
            ("я".repeat(70), 1),
            ("я".repeat(71), 2),
            ("я".repeat(135), 3),
            ("😀".repeat(36), 2),
            ("😀".repeat(67), 3),
        ] {
            assert_eq!(parts(&text), count, "{text:.8} x {}", text.chars().count());
        }
    }

    #[test]
    fn cyrillic_becomes_latin() {
        assert_eq!(transliterate("Щука, Юг №1"), "Schuka, Yug №1");
    }
}
