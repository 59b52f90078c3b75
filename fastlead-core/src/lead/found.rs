//! A contact that stands in a field of another name.

use std::collections::BTreeMap;

use crate::contact::{Email, Phone};
use crate::secret::Pii;

/// Parts of names under which people are asked for their number.
const PHONE_NAMES: [&str; 7] = ["phone", "tel", "mobile", "тел", "моб", "whatsapp", "номер"];

/// Beginnings and ends of names of numbers that are nobody's: digits alone under them are no phone number.
const OTHER_NUMBERS: [&str; 8] = ["id", "order", "заказ", "inn", "инн", "invoice", "code", "артикул"];

/// A phone number among the values of fields: the first under a name that says so, or else the first that is written
/// as a number with its country or trunk code. A number without either, such as an order's, is none.
pub(super) fn phone(fields: &BTreeMap<String, Pii<String>>) -> Option<(String, Phone)> {
    let read = |value: &str| {
        let digits = value.chars().filter(char::is_ascii_digit).count();
        let written = value.trim_start().starts_with('+')
            || (digits == 11 && value.trim_start().starts_with(['7', '8']))
            || (digits == 10 && value.trim_start_matches([' ', '(']).starts_with('9'));
        written.then(|| Phone::parse(value).ok()).flatten()
    };
    let named = fields.iter().filter(|(name, _)| {
        let name = name.to_lowercase();
        PHONE_NAMES.iter().any(|part| name.contains(part))
    });
    let of_people = |name: &str, value: &str| {
        let name = name.to_lowercase();
        let plain = value.trim().bytes().all(|byte| byte.is_ascii_digit());
        !(plain && OTHER_NUMBERS.iter().any(|part| name.ends_with(part) || name.starts_with(part)))
    };
    let mut named =
        named.filter_map(|(name, value)| Some((name.clone(), Phone::parse(value.expose()).ok()?)));
    named.next().or_else(|| {
        let mut others = fields.iter().filter(|(name, value)| of_people(name, value.expose()));
        others.find_map(|(name, value)| Some((name.clone(), read(value.expose())?)))
    })
}

/// What is written in a sentence, such as `call 8 900 000-00-00 please`: the first number with its country or trunk code,
/// or else the first address. For leads that have no contact elsewhere.
pub(super) fn in_text(text: &str) -> Option<(Option<Phone>, Option<Email>)> {
    let of_number = |char: char| {
        char.is_ascii_digit() || matches!(char, '+' | '(' | ')' | '-' | '.' | ' ' | '\u{a0}' | '\u{2011}')
    };
    let runs = text.split(|char: char| !of_number(char)).filter(|run| {
        let digits = run.chars().filter(char::is_ascii_digit).count();
        let first = run.trim_start_matches([' ', '(', '-', '.']);
        (10..=16).contains(&digits)
            && (first.starts_with('+') || (digits == 11 && first.starts_with(['7', '8'])))
    });
    let phone = runs.filter_map(|run| Phone::parse(run.trim()).ok()).next();
    let email = if phone.is_none() { Email::find(text) } else { None };
    (phone.is_some() || email.is_some()).then_some((phone, email))
}

/// The first e-mail address among the values of fields.
pub(super) fn email(fields: &BTreeMap<String, Pii<String>>) -> Option<(String, Email)> {
    let mut read = fields.iter().filter(|(_, value)| value.expose().contains('@'));
    read.find_map(|(name, value)| Some((name.clone(), Email::parse(value.expose()).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> BTreeMap<String, Pii<String>> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Pii::from(*value))).collect()
    }

    #[test]
    fn a_number_is_found_and_an_order_is_not() {
        let found =
            |pairs: &[(&str, &str)]| phone(&fields(pairs)).map(|(name, phone)| (name, String::from(phone)));
        let number = |name: &str| Some((name.to_owned(), "+79000000000".to_owned()));
        assert_eq!(found(&[("ask", "8 (900) 000-00-00")]), number("ask"));
        assert_eq!(found(&[("a", "+7 900 000-00-01"), ("Ваш телефон", "9000000000")]), number("Ваш телефон"));
        assert_eq!(found(&[("wpforms.fields.2", "+7 900 000 00 00")]), number("wpforms.fields.2"));
        for (name, value) in [
            ("order", "4951234567"),
            ("order_id", "89001234567"),
            ("id", "9001234567"),
            ("tranid", "1234567:89012345"),
            ("inn", "770123456789"),
            ("time", "1796000000"),
            ("ym", "1796000000123456789"),
            ("date", "2026-11-29"),
            ("text", "call +7 900 000-00-00 please"),
        ] {
            assert_eq!(found(&[(name, value)]), None, "{name} {value}");
        }
    }

    #[test]
    fn a_contact_is_found_in_a_sentence() {
        let found = |text: &str| {
            in_text(text).map(|(phone, email)| (phone.map(String::from), email.map(String::from)))
        };
        let number = Some((Some("+79000000000".to_owned()), None));
        for text in [
            "мой номер 89000000000",
            "call +7 900 000-00-00 please",
            "8 (900) 000-00-00.",
            "заказ 123, тел. 79000000000",
        ] {
            assert_eq!(found(text), number, "{text}");
        }
        assert_eq!(found("anna@example.com, пишите"), Some((None, Some("anna@example.com".to_owned()))));
        for text in
            ["заказ 9001234567", "2026-11-29 12:00", "ИНН 770123456789", "1796000000123456789", "", "@anna"]
        {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn an_address_is_found() {
        let found = email(&fields(&[("a", "@anna"), ("b", "anna@example.com")]));
        assert_eq!(
            found.map(|(name, email)| (name, String::from(email))).unwrap(),
            ("b".into(), "anna@example.com".into())
        );
    }
}
