//! Finds the phone number in what a person has typed.

use std::ops::Range;

use super::{Phone, plan};
use crate::contact::typed;

/// Longest text in which a number is looked for, in characters.
const TEXT_MAX: usize = 1000;
/// Most places of a text where a number is looked for.
const PLACES_MAX: usize = 16;
/// Most digits of one number with everything that may stand before it, and of two numbers with a space between them.
const DIGITS_MAX: usize = 36;
/// Most digits of an extension behind a word such as `доб.`: the limit of libphonenumber.
const NAMED_EXTENSION_MAX: usize = 20;
/// Most digits of an extension behind a sign alone, such as `,123`: more are a second number.
const SIGNED_EXTENSION_MAX: usize = 6;

const EXTENSION_WORDS: &[&str] = &[
    "доб",
    "добав",
    "добавочный",
    "доп",
    "вн",
    "внутр",
    "внутренний",
    "тон",
    "тональный",
    "x",
    "х",
    "ext",
    "extn",
    "exten",
    "extension",
    "int",
    "anexo",
];

/// Words before a number that say no more than that it is one.
const LABELS: &[&str] = &[
    "тел",
    "телефон",
    "т",
    "моб",
    "мобильный",
    "сот",
    "номер",
    "мой номер",
    "номер телефона",
    "tel",
    "telephone",
    "phone",
    "phone number",
    "mob",
    "mobile",
    "cell",
];

/// A phone number and what stood beside it in the same text.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PhoneReading {
    /// The first valid number of the text.
    pub phone: Phone,
    /// Digits to dial when the call is answered. Personal data.
    pub extension: Option<String>,
    /// Everything else, such as a second number or a remark. Personal data.
    pub rest: Option<String>,
}

impl std::fmt::Debug for PhoneReading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PhoneReading([pii])")
    }
}

pub(super) fn read(text: &str) -> Option<PhoneReading> {
    if let Some(digits) = read_plain(text) {
        return Some(PhoneReading { phone: Phone(format!("+{digits}")), extension: None, rest: None });
    }
    if text.chars().nth(TEXT_MAX).is_some() {
        return None;
    }
    let chars: Vec<char> = unwrap_uri(typed::plain(text)).chars().collect();
    let mut from = 0;
    for _ in 0..PLACES_MAX {
        let start = (from..chars.len()).find(|at| begins_number(&chars[*at..]))?;
        let span = Span::at(&chars, start);
        let Some((digits, end)) = span.number() else {
            from = span.next_place();
            continue;
        };
        let (extension, after) = match find_extension(&chars[end..]) {
            Some((extension, length)) => (Some(extension), end + length),
            None => (None, end),
        };
        return Some(PhoneReading {
            phone: Phone(format!("+{digits}")),
            extension,
            rest: gather_rest(&chars[..start], &chars[after..]),
        });
    }
    None
}

/// Reads a text that is one number and nothing else, in the usual signs, without looking for more. What it finds is what
/// [`Span::number`] finds first.
fn read_plain(text: &str) -> Option<String> {
    let text = text.trim();
    let number = text.strip_prefix('+');
    let mut digits = [0; DIGITS_MAX];
    let mut count = 0;
    for byte in number.unwrap_or(text).bytes() {
        match byte {
            b'0'..=b'9' => {
                *digits.get_mut(count)? = byte;
                count += 1;
            }
            b' ' | b'-' | b'(' | b')' => {}
            _ => return None,
        }
    }
    let digits = std::str::from_utf8(digits.get(..count)?).ok()?;
    if number.is_some() { plan::behind_plus(digits) } else { plan::dialled_in_russia(digits) }
}

/// Brings a `tel:` address (RFC 3966) into the form of a typed number. Anything else stays as it is.
fn unwrap_uri(text: String) -> String {
    let Some(number) = text.get(..4).filter(|scheme| scheme.eq_ignore_ascii_case("tel:")).and(text.get(4..))
    else {
        return text;
    };
    let number = number.replace("%20", " ").replace("%2B", "+").replace("%2b", "+");
    let mut parts = number.split(';');
    let mut number = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('=') {
            Some(("phone-context", prefix)) if prefix.starts_with('+') => number.insert_str(0, prefix),
            Some(("phone-context" | "isub", _)) => {}
            _ => {
                number.push(';');
                number.push_str(part);
            }
        }
    }
    number
}

fn begins_number(chars: &[char]) -> bool {
    match chars {
        ['+', rest @ ..] => {
            rest.iter().find(|char| !matches!(char, ' ' | '(')).is_some_and(char::is_ascii_digit)
        }
        [first, ..] => first.is_ascii_digit(),
        [] => false,
    }
}

/// A run of digits and of the signs that people write between them: one number, or more.
struct Span {
    plus: bool,
    digits: String,
    groups: Vec<Group>,
    end: usize,
}

/// Digits without a sign between them.
struct Group {
    /// Which digits of the span.
    digits: Range<usize>,
    /// Which characters of the text.
    chars: Range<usize>,
    /// Whether a slash stands before it, which may divide two numbers.
    behind_slash: bool,
    /// Whether it stands in parentheses.
    in_parentheses: bool,
}

impl Span {
    fn at(chars: &[char], start: usize) -> Self {
        let plus = chars[start] == '+';
        let mut span = Self { plus, digits: String::new(), groups: Vec::new(), end: start };
        let (mut slash, mut parenthesis, mut in_group) = (false, false, false);
        for (at, char) in chars.iter().enumerate().skip(start + usize::from(plus)) {
            match char {
                '0'..='9' => {
                    let digit = span.digits.len();
                    span.digits.push(*char);
                    span.end = at + 1;
                    if let Some(group) = span.groups.last_mut().filter(|_| in_group) {
                        (group.digits.end, group.chars.end) = (digit + 1, at + 1);
                    } else {
                        span.groups.push(Group {
                            digits: digit..digit + 1,
                            chars: at..at + 1,
                            behind_slash: slash,
                            in_parentheses: parenthesis,
                        });
                        (slash, parenthesis, in_group) = (false, false, true);
                    }
                    continue;
                }
                '/' => slash = true,
                '(' | '[' => parenthesis = true,
                '~' if span.digits == "8" => {}
                ' ' | '-' | '.' | ')' | ']' => {}
                _ => break,
            }
            in_group = false;
        }
        span
    }

    /// The E.164 digits of the first number, and where it ends in the text.
    fn number(&self) -> Option<(String, usize)> {
        if let Some(number) = self.read(&self.digits) {
            return Some((number, self.end));
        }
        // Otherwise only where what follows is not a part of the number: a number with digits too many is none.
        self.groups.windows(2).rev().find_map(|pair| {
            let [before, after] = pair else { return None };
            let tail = self.digits.get(after.digits.start..)?;
            let apart = after.behind_slash
                || (after.in_parentheses && tail.len() <= SIGNED_EXTENSION_MAX)
                || plan::dialled_in_russia(tail).is_some();
            let number = self.digits.get(..before.digits.end).filter(|_| apart)?;
            Some((self.read(number)?, before.chars.end))
        })
    }

    fn read(&self, digits: &str) -> Option<String> {
        match (digits.len() <= DIGITS_MAX, self.plus) {
            (false, _) => None,
            (true, true) => plan::behind_plus(digits),
            (true, false) => plan::dialled_in_russia(digits),
        }
    }

    /// Where to look for the next number when this span begins with none.
    fn next_place(&self) -> usize {
        let behind_slash = self.groups.iter().skip(1).find(|group| group.behind_slash);
        behind_slash.map_or(self.end, |group| group.chars.start)
    }
}

/// The extension at the beginning of what follows a number, and how many characters it takes.
fn find_extension(after: &[char]) -> Option<(String, usize)> {
    let is_filling = |char: &char| matches!(char, ' ' | '.' | '-' | '/');
    let mut at = 0;
    let (mut signed, mut parenthesis) = (false, false);
    while let Some(char) = after.get(at) {
        match char {
            ',' | ';' | '#' | '~' => signed = true,
            '(' | '[' => parenthesis = true,
            char if is_filling(char) => {}
            _ => break,
        }
        at += 1;
    }
    let word: String = after[at..].iter().take_while(|char| char.is_alphabetic()).collect();
    let named = EXTENSION_WORDS.contains(&word.to_lowercase().as_str());
    if named {
        at += word.chars().count();
        at += after[at..]
            .iter()
            .take_while(|char| is_filling(char) || matches!(char, ':' | '=' | '#' | '№'))
            .count();
    }
    let digits: String = after[at..].iter().take_while(|char| char.is_ascii_digit()).collect();
    at += digits.len();
    let most = if named { NAMED_EXTENSION_MAX } else { SIGNED_EXTENSION_MAX };
    if !(1..=most).contains(&digits.len()) || !(named || signed || parenthesis) {
        return None;
    }
    let closed = after.get(at).filter(|char| parenthesis && matches!(char, ')' | ']')).is_some();
    let end = at + usize::from(closed);
    // `, 5-й подъезд` and `, 18:00` are no extensions.
    let rest = after[end..].iter().find(|char| **char != ' ');
    let divided = |char: &char| matches!(char, ',' | ';' | '/' | '|' | '\n');
    let ends = match named || closed {
        true => after.get(end).is_none_or(|char| !char.is_alphanumeric()),
        false => !parenthesis && rest.is_none_or(divided),
    };
    ends.then_some((digits, end))
}

/// What stands around a number and its extension. Signs and words that say nothing are left out.
fn gather_rest(before: &[char], after: &[char]) -> Option<String> {
    let says_nothing =
        |char: char| char.is_whitespace() || matches!(char, ',' | ';' | ':' | '/' | '|' | '-' | '.');
    let before: String = before.iter().collect();
    let after: String = after.iter().collect();
    let before =
        before.trim_matches(says_nothing).trim_end_matches(['(', '[', '+']).trim_end_matches(says_nothing);
    let after =
        after.trim_matches(says_nothing).trim_start_matches([')', ']']).trim_start_matches(says_nothing);
    let is_label = LABELS.contains(&before.to_lowercase().as_str());
    let kept: Vec<_> = [before, after]
        .into_iter()
        .filter(|part| part.contains(char::is_alphanumeric) && !(is_label && *part == before))
        .collect();
    (!kept.is_empty()).then(|| kept.join(", "))
}
