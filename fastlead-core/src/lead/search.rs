//! Search of leads by a part of a name, phone number, e-mail address or messenger account.
//!
//! Stores keep one text for each lead ([`search_text`]) and look whether a [`Needle`] stands in it. Both are written in one
//! way, so that the comparison is one of bytes.

use std::fmt;

use super::Capture;
use crate::secret::Pii;

/// Most characters of a needle; what is longer is cut.
const MAX_CHARS: usize = 100;
/// Characters that people write between the digits of a phone number.
const BETWEEN_DIGITS: [char; 7] = ['+', '-', '(', ')', ' ', '.', '\u{a0}'];

/// Part of a text that a lead is looked for by. Personal data: it does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Needle(Pii<String>);

impl fmt::Debug for Needle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Needle {
    /// Reads what a person has typed. `None` where nothing is left of it.
    ///
    /// A part of a phone number is found however it is written: `8 (900) 000-00`, `900 000` and `+7900` find
    /// `+7 900 000-00-00`. Upper and lower case are the same, and so are `е` and `ё`.
    ///
    /// ```
    /// use fastlead_core::lead::Needle;
    ///
    /// assert!(Needle::new("  ").is_none());
    /// assert!(Needle::new("8 (900) 000").unwrap().is_in("anna\n79000000001\nanna@example.com"));
    /// ```
    pub fn new(typed: &str) -> Option<Self> {
        let typed: String = typed.trim().chars().take(MAX_CHARS).collect();
        let is_number = typed.chars().any(|c| c.is_ascii_digit())
            && typed.chars().all(|c| c.is_ascii_digit() || BETWEEN_DIGITS.contains(&c));
        let text = if is_number { number(&typed) } else { folded(&typed) };
        (!text.is_empty()).then(|| Self(Pii::new(text)))
    }

    /// The text itself. Personal data.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Whether a lead with this [`search_text`] is found.
    pub fn is_in(&self, text: &str) -> bool {
        text.contains(self.expose())
    }
}

/// The digits of a number as they stand in [`search_text`]. A Russian number that begins with 8 is one that begins with +7.
fn number(typed: &str) -> String {
    let digits: String = typed.chars().filter(char::is_ascii_digit).collect();
    let is_spoken = !typed.starts_with('+') && typed.len() > 1;
    match digits.strip_prefix('8') {
        // `8 900…`: whoever types a few digits only may mean any of them.
        Some(rest) if is_spoken && rest.len() >= 3 && rest.starts_with(['3', '4', '8', '9']) => {
            format!("7{rest}")
        }
        _ => digits,
    }
}

/// A text in the one form in which texts are compared.
fn folded(text: &str) -> String {
    let lower = text.to_lowercase().replace('ё', "е");
    lower.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a lead is found by: name, phone numbers, e-mail address and messenger accounts, one a line. Personal data; empty where
/// these were erased.
pub fn search_text(capture: &Capture) -> Pii<String> {
    let contact = &capture.contact;
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let mut lines = Vec::new();
    lines.extend(contact.name.as_ref().map(|name| folded(name.expose())));
    lines.extend(contact.phone.as_ref().map(|phone| digits(phone.expose())));
    lines.extend(contact.phone_note.as_ref().map(|note| digits(note.expose())));
    lines.extend(contact.email.as_ref().map(|email| folded(email.expose())));
    lines.extend(contact.handles.iter().map(|handle| folded(handle.id.expose())));
    lines.retain(|line| !line.is_empty());
    Pii::new(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lead::{CaptureInput, Received};
    use crate::message::Locale;
    use crate::time::epoch;

    fn text(name: &str, phone: &str, email: &str) -> String {
        let input = CaptureInput {
            name: Some(name.into()),
            phone: Some(phone.into()),
            email: Some(email.into()),
            ..CaptureInput::default()
        };
        let capture = input.validate(&[], Locale::Ru, Received::at(epoch())).unwrap();
        search_text(&capture).into_inner()
    }

    #[test]
    fn a_lead_is_found_by_a_part_of_what_names_it() {
        let lead = text("Алёна  Пример", "8 900 000-12-34", "Alena@Example.com");
        for (typed, found) in [
            ("ален", true),
            ("АЛЁНА ПРИМ", true),
            ("алена   пример", true),
            ("1234", true),
            ("12-34", true),
            ("8 900 000", true),
            ("8(900)000-12-34", true),
            ("+7 900", true),
            ("7900", true),
            ("900 000 12", true),
            ("alena@", true),
            ("EXAMPLE.com", true),
            ("4", true),
            ("8", false),
            ("олег", false),
            ("5678", false),
            ("+8 900", false),
            ("пример 79", false),
        ] {
            assert_eq!(Needle::new(typed).unwrap().is_in(&lead), found, "{typed}");
        }
        assert!(Needle::new("").is_none() && Needle::new(" \u{a0} ").is_none());
    }

    #[test]
    fn a_needle_does_not_print() {
        assert!(!format!("{:?}", Needle::new("Анна")).contains("анна"));
    }
}
