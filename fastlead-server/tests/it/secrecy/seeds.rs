//! What must not be found, in every disguise that a log could give it, and the search.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Shorter needles are found everywhere by accident.
const SHORTEST: usize = 6;

/// Values that nobody but their owners may see.
#[derive(Debug, Default)]
pub(super) struct Seeds {
    /// A label for the reader of a failure, and the disguise, in lower case.
    needles: Vec<(String, String)>,
}

impl Seeds {
    /// Adds a text: as it is, and as URLs, forms, JSON, `Debug`, base64 and byte lists write it.
    pub(super) fn add(&mut self, label: &str, value: &str) {
        assert!(value.len() >= SHORTEST, "{label} is too short to be searched for");
        let bytes = value.as_bytes();
        let mut disguises = vec![
            value.to_owned(),
            format!("{value:?}").trim_matches('"').to_owned(),
            value.escape_unicode().to_string(),
            json_ascii(value),
            percent(value, "%20"),
            percent(value, "+"),
            hex::encode(bytes),
            list(bytes),
        ];
        disguises.extend((0..3).flat_map(|shift| base64_inside(bytes, shift)));
        disguises.sort();
        disguises.dedup();
        self.needles
            .extend(disguises.into_iter().map(|disguise| (label.to_owned(), disguise.to_lowercase())));
    }

    /// Adds a phone number: E.164 and bare digits, and as people in its country write it.
    pub(super) fn add_phone(&mut self, label: &str, typed: &str, e164: &str) {
        let digits = e164.trim_start_matches('+');
        let national = &digits[1..];
        let (area, number) = national.split_at(3);
        let spaced = format!("{}-{}-{}", &number[..3], &number[3..5], &number[5..]);
        for written in [typed, e164, digits, national, &spaced, &format!("{area} {spaced}")] {
            self.add(label, written);
        }
    }

    /// The labels of everything that stands in `text`, each with the place.
    pub(super) fn found_in(&self, text: &str) -> Vec<String> {
        let text = text.to_lowercase();
        let mut found = Vec::new();
        for (label, needle) in &self.needles {
            if let Some(at) = text.find(needle) {
                let start = text.floor_char_boundary(at.saturating_sub(300));
                let end = text.ceil_char_boundary(at + needle.len() + 120);
                found.push(format!("{label} in: {}", &text[start..end]));
            }
        }
        found
    }
}

fn percent(value: &str, space: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    let encode = |byte: u8| match byte {
        b' ' => space.to_owned(),
        byte if keep(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    value.bytes().map(encode).collect()
}

/// JSON that keeps to ASCII, as many writers do.
fn json_ascii(value: &str) -> String {
    let mut out = String::new();
    for unit in value.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte @ (b'"' | b'\\')) => out.extend(['\\', char::from(byte)]),
            Ok(byte) if byte.is_ascii() && !byte.is_ascii_control() => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\u{unit:04x}")),
        }
    }
    out
}

fn list(bytes: &[u8]) -> String {
    bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ")
}

/// The base64 digits that do not depend on what stands around the value, where it begins `shift` bytes into a group.
fn base64_inside(bytes: &[u8], shift: usize) -> Vec<String> {
    let mut shifted = vec![0; shift];
    shifted.extend(bytes);
    let skip = (shift * 8).div_ceil(6);
    let digits = shifted.len() * 8 / 6;
    [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted), STANDARD.encode(&shifted)]
        .into_iter()
        .map(|text| text[skip..digits].to_owned())
        .filter(|text| text.len() >= SHORTEST)
        .collect()
}

#[test]
fn a_planted_seed_is_found_in_every_disguise() {
    let mut seeds = Seeds::default();
    seeds.add("name", "Вера \"Пример\"");
    seeds.add("password", "pass word+1");
    seeds.add_phone("phone", "8 (900) 000-00-77", "+79000000077");
    let basic = STANDARD.encode("\0user\0pass word+1");
    for (label, planted) in [
        ("name", "{\"message\":\"Вера \\\"Пример\\\"\"}"),
        ("name", "name=%D0%92%D0%B5%D1%80%D0%B0+%22%D0%9F%D1%80%D0%B8%D0%BC%D0%B5%D1%80%22&x"),
        ("name", "\\u0412\\u0435\\u0440\\u0430 \\\"\\u041f\\u0440\\u0438\\u043c\\u0435\\u0440\\\""),
        ("name", "вера \"ПРИМЕР\" in another case"),
        ("password", "AUTH PLAIN {basic}"),
        ("password", "body: [1, 112, 97, 115, 115, 32, 119, 111, 114, 100, 43, 49, 2]"),
        ("password", "70617373 20".replace("70617373 20", "7061737320776f72642b31").as_str()),
        ("phone", "to=79000000077"),
        ("phone", "tel:+7 900 000-00-77"),
        ("phone", "%2B79000000077"),
    ] {
        let planted = planted.replace("{basic}", &basic);
        let found = seeds.found_in(&format!("before {planted} after"));
        assert!(found.iter().any(|found| found.starts_with(label)), "{planted}: {found:?}");
    }
    assert_eq!(seeds.found_in("8 900 000-00-78 Вера Пример pass-word+1"), Vec::<String>::new());
}
