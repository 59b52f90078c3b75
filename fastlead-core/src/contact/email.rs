//! E-mail addresses.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use super::script::{ascii, composed, own_script};
use super::{AddressError, typed};

/// Longest address, in bytes as it is sent (RFC 5321 §4.5.3.1.3).
const ADDRESS_MAX: usize = 254;
/// Longest text that is looked at, in bytes.
const TEXT_MAX: usize = 2_000;

/// An e-mail address in one form for equality, such as `Anna@example.com` or `иван@пример.рф`.
///
/// The domain is in lower case and in its own script, however it was typed: browsers give the ASCII form `xn--…`. The
/// part before `@` is in Unicode's composed form (NFC) and keeps its case (RFC 5321 §2.4 lets servers care), so that
/// comparison for dedupe goes through [`Email::dedupe_key`].
///
/// Without the cargo feature `idn` an address is ASCII alone: others are no addresses, and `xn--…` stays as it is.
///
/// [`Email::parse`] checks the address. A stored one is read as it was written: see [`Email::is_valid`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
#[schemars(with = "String")]
pub struct Email(String);

impl Email {
    /// What stands in place of an address that was erased.
    pub(crate) const fn nobody() -> Self {
        Self(String::new())
    }

    /// Reads an address as people write it. Invisible characters and spaces around it are dropped.
    ///
    /// # Errors
    /// [`AddressError::Email`] where it is not one.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        read(text).map(Self).ok_or(AddressError::Email)
    }

    /// The first address in what somebody has typed into a field for one: after a name, in brackets, behind `mailto:`, among
    /// several, with a stray comma or a space in the domain.
    pub fn find(text: &str) -> Option<Self> {
        if text.len() > TEXT_MAX || !text.contains('@') {
            return None;
        }
        let apart = |char: char| {
            char.is_whitespace()
                || char.is_control()
                || matches!(char, ',' | ';' | '<' | '>' | '(' | ')' | '"')
        };
        let bare = |part: &str| {
            let scheme = part.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("mailto:"));
            Self::parse(if scheme { &part[7..] } else { part }).ok()
        };
        let parts = text.split(apart).filter(|part| part.contains('@'));
        parts.clone().find_map(bare).or_else(|| {
            let together: String = text.chars().filter(|char| !char.is_whitespace()).collect();
            (parts.count() == 1).then(|| bare(&together)).flatten()
        })
    }

    /// Whether this is an address by the rules of today. Addresses that were parsed are; those that were deserialized
    /// need not be.
    pub fn is_valid(&self) -> bool {
        read(&self.0).is_some_and(|read| read == self.0)
    }

    /// The address. Personal data.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The domain in ASCII (IDNA), as lists of domains and mail servers have it. Empty where there is none.
    pub fn ascii_domain(&self) -> Cow<'_, str> {
        let domain = self.0.rsplit_once('@').map_or("", |(_, domain)| domain);
        ascii(domain).unwrap_or(Cow::Borrowed(domain))
    }

    /// The address in lower case: two people do not differ by case alone in practice.
    pub fn dedupe_key(&self) -> String {
        let lower = self.0.to_lowercase();
        if lower.is_ascii() {
            return lower;
        }
        let composed = composed(&lower).map(Cow::into_owned);
        composed.unwrap_or(lower)
    }
}

fn read(text: &str) -> Option<String> {
    if text.len() > TEXT_MAX {
        return None;
    }
    let text: String = text.chars().map(typed::narrow).collect();
    let (local, domain) = text.rsplit_once('@')?;
    let local: String = local.chars().filter(|char| !typed::is_invisible(*char)).collect();
    let local = composed(local.trim())?;
    if local.starts_with('"') || local.chars().any(|char| char.is_whitespace() || char.is_control()) {
        return None;
    }
    // Joiners inside a domain belong to its script; at its ends they are dirt like all else that is not seen.
    let domain = domain.trim_matches(|char: char| char.is_whitespace() || typed::is_invisible(char));
    let domain: String = domain
        .chars()
        .filter(|char| matches!(char, '\u{200c}' | '\u{200d}') || !typed::is_invisible(*char))
        .collect();
    let ascii_domain = ascii(&domain)?;
    let ascii_domain = ascii_domain.strip_suffix('.').unwrap_or(&ascii_domain);
    let (_, top) = ascii_domain.rsplit_once('.')?;
    let wire = format!("{local}@{ascii_domain}");
    let options =
        email_address::Options::default().with_required_tld().without_display_text().without_domain_literal();
    let is_address = email_address::EmailAddress::parse_with_options(&wire, options).is_ok();
    // A last label that begins with a digit is an IP address, or part of one: no such domain exists.
    if !is_address || wire.len() > ADDRESS_MAX || top.starts_with(|char: char| char.is_ascii_digit()) {
        return None;
    }
    // Where the own script does not lead back to the same domain, the ASCII form is the one form.
    Some(own_script(ascii_domain).map_or(wire, |own| format!("{local}@{own}")))
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email([pii])")
    }
}

impl FromStr for Email {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// Reads a stored address as it is. A text in another spelling is brought into the one form where it is an address, and
/// kept where it is none, so that reading never fails.
impl<'de> Deserialize<'de> for Email {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self(if is_plain(&text) { text } else { read(&text).unwrap_or(text) }))
    }
}

/// Whether an address is in its one form for certain: all ASCII, the domain in lower case and without punycode.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
        && text.split_once('@').is_some_and(|(_, domain)| {
            let usual =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
            domain.bytes().all(usual) && !domain.contains("xn--")
        })
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_among_what_is_typed_around_it() {
        for text in [
            "anna@example.com,",
            "Анна <anna@example.com>",
            "anna@example.com, oleg@example.com",
            "mailto:anna@example.com",
            "anna@example.com (рабочая)",
            "anna@example. com",
            "anna@example.com\0",
            "пишите на anna@example.com; спасибо",
        ] {
            assert_eq!(Email::find(text).map(String::from).as_deref(), Some("anna@example.com"), "{text:?}");
        }
        for text in ["anna", "@", "anna@", "a @ b . com c @ d", "нет@", "a@b.c?x=1"] {
            assert_eq!(Email::find(text), None, "{text}");
        }
    }

    fn parsed(text: &str) -> Option<String> {
        Email::parse(text).ok().map(String::from)
    }

    fn assert_stands(text: &str) {
        let Ok(email) = Email::parse(text) else { return };
        assert_eq!(
            Email::parse(email.expose()),
            Ok(email.clone()),
            "{text:?} is read otherwise the second time"
        );
        assert!(email.is_valid(), "{text:?}");
        let stored: Email = serde_json::from_value(serde_json::to_value(&email).unwrap()).unwrap();
        assert_eq!(stored, email, "{text:?}");
        // What stands for the person may be an address itself, and stands for the same one.
        let key = email.dedupe_key();
        if let Ok(lower) = Email::parse(&key) {
            assert_eq!(lower.dedupe_key(), key, "{text:?}");
        }
    }

    #[cfg(not(feature = "idn"))]
    #[test]
    fn without_idn_an_address_is_ascii() {
        for (text, address) in [
            (" Anna@Example.COM ", Some("Anna@example.com")),
            ("ａｎｎａ@ｅｘａｍｐｌｅ．ｃｏｍ", Some("anna@example.com")),
            ("anna@example.com.", Some("anna@example.com")),
            ("anna@XN--E1AFMKFD.xn--p1ai", Some("anna@xn--e1afmkfd.xn--p1ai")),
            ("иван@example.com", None),
            ("anna@пример.рф", None),
            ("a@b", None),
            ("a@-b.c", None),
            ("a@1.2.3.4", None),
        ] {
            assert_eq!(parsed(text).as_deref(), address, "{text}");
            assert_stands(text);
        }
        let stored: Email = serde_json::from_value("анна@пример.рф".into()).unwrap();
        assert_eq!((stored.expose(), stored.is_valid()), ("анна@пример.рф", false));
    }

    #[cfg(feature = "idn")]
    #[test]
    fn one_form_for_equality() {
        for (text, address) in [
            (" Anna@Example.COM ", "Anna@example.com"),
            ("иван@пример.рф", "иван@пример.рф"),
            ("иван@xn--e1afmkfd.xn--p1ai", "иван@пример.рф"),
            ("иван@ПРИМЕР.РФ", "иван@пример.рф"),
            ("иван@XN--E1AFMKFD.XN--P1AI", "иван@пример.рф"),
            ("анна@и\u{306}.рф", "анна@й.рф"),
            ("аи\u{306}@пример.рф", "ай@пример.рф"),
            ("\u{feff}anna@example.com\u{200b}", "anna@example.com"),
            ("\u{a0}anna@example.com\u{a0}", "anna@example.com"),
            ("anna\u{200b}@\u{200e}example.com\u{202c}", "anna@example.com"),
            ("anna@exam\u{ad}ple.com", "anna@example.com"),
            ("anna＠example.com", "anna@example.com"),
            ("ａｎｎａ@ｅｘａｍｐｌｅ．ｃｏｍ", "anna@example.com"),
            ("anna@example.com.", "anna@example.com"),
            ("anna@bücher.example", "anna@bücher.example"),
            ("anna@xn--bcher-kva.example", "anna@bücher.example"),
            ("anna+tag@mail.example.com", "anna+tag@mail.example.com"),
            ("o'brien@example.com", "o'brien@example.com"),
        ] {
            assert_eq!(parsed(text).as_deref(), Some(address), "{text}");
            assert_stands(text);
        }
        let key = |text| Email::parse(text).unwrap().dedupe_key();
        assert_eq!(key("Иван@Пример.РФ"), key("ИВАН@xn--e1afmkfd.xn--p1ai"));
        assert_eq!(key("АИ\u{306}@example.com"), key("ай@example.com"));
        assert_eq!(Email::parse("anna@пример.рф").unwrap().ascii_domain(), "xn--e1afmkfd.xn--p1ai");
    }

    #[cfg(feature = "idn")]
    #[test]
    fn not_addresses() {
        for text in [
            "",
            "@",
            "a@b",
            "a b@example.com",
            "a@example.com\r\nBcc: x@example.com",
            "<a@example.com>",
            "a@b.c?x=1",
            "a@b.c&x=1",
            "a@b.c/x",
            "a@b.c#x",
            "a@b.c:25",
            "a@b,c",
            "a@b..c",
            "a@.b.c",
            "a@-b.c",
            "a@b-.c",
            "a@b_c.example",
            "a@b.c d",
            "a@1.2.3.4",
            "a@[1.2.3.4]",
            "a@b.1",
            "a@b.0x1",
            "a@b@c.example",
            "a..b@example.com",
            ".a@example.com",
            "a.@example.com",
            "\"a b\"@example.com",
            "a@xn--a.example",
            "a@xn--.example",
            "a\u{3000}b@example.com",
            "нет",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
        assert_eq!(parsed(&format!("{}@example.com", "a".repeat(65))), None);
        assert_eq!(parsed(&format!("a@{}.example", "b".repeat(64))), None);
        assert_eq!(parsed(&format!("a@{}example", "bcd.".repeat(70))), None);
        assert_eq!(parsed(&"a@b.c".repeat(1_000)), None);
    }

    #[cfg(feature = "idn")]
    #[test]
    fn every_character_of_unicode_is_read_the_same_twice() {
        let (mut accepted, step) = (0, 3);
        // Every third one in each place, another third in each, so that none is left out.
        for code in 0..=u32::from(char::MAX) {
            let Some(char) = char::from_u32(code) else { continue };
            let text = match code % step {
                0 => format!("a@{char}b.example"),
                1 => format!("{char}a{char}@example.com"),
                _ => format!("a@b{char}.{char}c"),
            };
            accepted += usize::from(Email::parse(&text).is_ok());
            assert_stands(&text);
        }
        assert!(accepted > 100_000, "{accepted} addresses");
        // Lower-casing after the check made a text that was no address.
        for text in
            ["a@İ.com", "Ⱥ@example.com", "a@Ⱥ.com", "İ@İ.example", "a@ẞ.example", "a@ς.example", "a@faß.de"]
        {
            assert_stands(text);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_the_same_twice(local in "[^@]{1,6}", domain in "\\PC{1,6}\\.\\PC{1,4}", any in ".*") {
            assert_stands(&format!("{local}@{domain}"));
            assert_stands(&any);
        }

        #[test]
        fn usual_addresses_are_read_as_they_are(text in "[A-Za-z0-9]{1,8}([.+_-][A-Za-z0-9]{1,4}){0,2}@[a-z0-9]{1,8}(-[a-z0-9]{1,3})?\\.[a-z]{2,6}") {
            proptest::prop_assume!(!text.contains("@xn-"));
            proptest::prop_assert_eq!(parsed(&text), Some(text));
        }
    }

    #[cfg(feature = "idn")]
    #[test]
    fn a_stored_address_is_read_whatever_the_rules_say() {
        let read = |text: &str| serde_json::from_value::<Email>(text.into()).unwrap();
        for text in ["a@i\u{307}.com?", "a@b.c?x=1", "", "нет", "a@1.2.3.4"] {
            let email = read(text);
            assert_eq!((email.expose(), email.is_valid()), (text, false));
        }
        assert_eq!(read(" Anna@Example.COM").expose(), "Anna@example.com");
        assert_eq!(read("иван@xn--e1afmkfd.xn--p1ai"), Email::parse("иван@пример.рф").unwrap());
    }
}
