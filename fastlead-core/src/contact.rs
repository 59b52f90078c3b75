//! People's addresses, normalised so that equal means equal.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::secret::Pii;

/// Why a text is not an address. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Not a phone number of any country, or a Russian number of the wrong length.
    #[error("not a valid phone number; write it with the country code, such as +7 900 000-00-00")]
    Phone,
    /// Not an e-mail address.
    #[error("not a valid e-mail address; write it as name@example.com")]
    Email,
}

/// A phone number in E.164 form, such as `+79000000000`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Phone(String);

impl Phone {
    /// Reads a number as people write it. Numbers without `+` are read as Russian (`8 900 …`,
    /// `900 …`); anything else needs its country code.
    ///
    /// # Errors
    /// [`AddressError::Phone`] where no country has such a number.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if let Some(fast) = russian_mobile(text) {
            return Ok(Self(fast));
        }
        if text.len() > 64 || text.chars().any(char::is_alphabetic) {
            return Err(AddressError::Phone);
        }
        let number = phonenumber::parse(Some(phonenumber::country::Id::RU), text.trim())
            .map_err(|_| AddressError::Phone)?;
        if !phonenumber::is_valid(&number) {
            return Err(AddressError::Phone);
        }
        let e164 = number.format().mode(phonenumber::Mode::E164).to_string();
        Ok(Self(e164))
    }

    /// The number in E.164 form. Personal data.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The digits without the plus sign, as many providers want them.
    pub fn digits(&self) -> &str {
        self.0.trim_start_matches('+')
    }

    /// The ISO 3166-1 alpha-2 code of the number's country, where the numbering plan tells.
    pub fn country(&self) -> Option<String> {
        if self.0.starts_with("+79") {
            return Some("RU".to_owned());
        }
        let number = phonenumber::parse(None, &self.0).ok()?;
        number.country().id().map(|id| id.as_ref().to_owned())
    }
}

/// Russian mobile numbers without the numbering-plan library: `+7 9xx` and ten digits in all.
/// That every such number is valid there is proved by a test over all prefixes.
fn russian_mobile(text: &str) -> Option<String> {
    let mut digits = [0_u8; 11];
    let mut count = 0;
    let mut plus = false;
    for byte in text.trim().bytes() {
        match byte {
            b'0'..=b'9' => {
                *digits.get_mut(count)? = byte;
                count += 1;
            }
            b'+' if count == 0 && !plus => plus = true,
            b' ' | b'-' | b'(' | b')' => {}
            _ => return None,
        }
    }
    let national = match (count, digits[0], plus) {
        (11, b'7', _) | (11, b'8', false) => &digits[1..11],
        (10, b'9', false) => &digits[..10],
        _ => return None,
    };
    let national = std::str::from_utf8(national).ok()?;
    national.starts_with('9').then(|| format!("+7{national}"))
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phone([pii])")
    }
}

impl FromStr for Phone {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Phone {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Phone> for String {
    fn from(phone: Phone) -> Self {
        phone.0
    }
}

/// An e-mail address with a lowercase domain, such as `Anna@example.com`.
///
/// The part before `@` keeps its case (RFC 5321 §2.4 lets servers care), so comparison for
/// dedupe goes through [`Email::dedupe_key`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Email(String);

impl Email {
    /// Reads an address as people write it.
    ///
    /// # Errors
    /// [`AddressError::Email`] where it is not one.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        if text.len() > 254 || text.chars().any(char::is_control) {
            return Err(AddressError::Email);
        }
        let options = email_address::Options::default()
            .with_required_tld()
            .without_display_text()
            .without_domain_literal();
        let address = email_address::EmailAddress::parse_with_options(text, options)
            .map_err(|_| AddressError::Email)?;
        if address.local_part().starts_with('"') {
            return Err(AddressError::Email);
        }
        Ok(Self(format!("{}@{}", address.local_part(), address.domain().to_lowercase())))
    }

    /// The address. Personal data.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The address in lower case: two people do not differ by case alone in practice.
    pub fn dedupe_key(&self) -> String {
        self.0.to_lowercase()
    }
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

impl TryFrom<String> for Email {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

/// A person's account in a messenger.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Handle {
    /// The channel kind that knows the account, such as `telegram`.
    pub messenger: String,
    /// The account's id or username there.
    pub id: Pii<String>,
}

impl Handle {
    /// What [`Handle::read`] asks for.
    pub const EXPECTED: &str = "needs `messenger` (up to 32 characters) and `id` (up to 128 characters)";

    /// The account as leads keep it: no spaces around it, no control characters, the messenger in small letters. `None`
    /// where something is missing or too long.
    pub fn read(&self) -> Option<Self> {
        let clean = |text: &str| {
            let kept: String = text.chars().filter(|character| !character.is_control()).collect();
            kept.trim().to_owned()
        };
        let (messenger, id) = (clean(&self.messenger).to_lowercase(), clean(self.id.expose()));
        let fits = |text: &str, most| (1..=most).contains(&text.chars().count());
        (fits(&messenger, 32) && fits(&id, 128)).then(|| Self { messenger, id: Pii::new(id) })
    }
}

/// How a person can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Contact {
    /// What the person is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Pii<String>>,
    /// Phone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Phone>,
    /// E-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// Messenger accounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handles: Vec<Handle>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_field_of_a_handle_is_refused() {
        let handle = r#"{"messenger":"telegram","id":"anna"}"#;
        assert_eq!(serde_json::from_str::<Handle>(handle).unwrap().messenger, "telegram");
        let error = serde_json::from_str::<Handle>(r#"{"messenger":"telegram","id":"1","user":"anna"}"#);
        assert!(error.unwrap_err().to_string().contains("`user`"));
    }

    #[test]
    fn russian_numbers_as_people_write_them() {
        for text in
            ["+7 900 000-00-00", "8 (900) 000-00-00", "79000000000", "900 000 00 00", " 8-900-000-00-00 "]
        {
            assert_eq!(Phone::parse(text).unwrap().expose(), "+79000000000", "{text}");
        }
    }

    #[test]
    fn the_fast_path_takes_nothing_that_the_numbering_plan_refuses() {
        for prefix in 900..=999 {
            let number = format!("+7{prefix}0000000");
            let parsed = phonenumber::parse(None, &number).unwrap();
            if russian_mobile(&number).is_some() {
                assert!(phonenumber::is_valid(&parsed), "{number}");
            }
        }
    }

    #[test]
    fn other_countries_by_their_code() {
        for (text, country) in [
            ("+375 29 123-45-67", "BY"),
            ("+7 701 123 45 67", "KZ"),
            ("+998 90 123 45 67", "UZ"),
            ("+374 77 123456", "AM"),
            ("+995 555 12 34 56", "GE"),
            ("+49 1512 3456789", "DE"),
            ("+44 7400 123456", "GB"),
            ("+1 202 555 0173", "US"),
            ("+90 501 234 56 78", "TR"),
            ("+971 50 123 4567", "AE"),
        ] {
            assert_eq!(Phone::parse(text).unwrap().country().as_deref(), Some(country), "{text}");
        }
    }

    #[test]
    fn not_phones() {
        for text in
            ["", "+", "123", "+7 900 000-00-0", "8 800", "phone", "+7 900 000-00-00 доб. 5", "'; DROP TABLE"]
        {
            assert_eq!(Phone::parse(text), Err(AddressError::Phone), "{text}");
        }
    }

    #[test]
    fn emails() {
        assert_eq!(Email::parse(" Anna@Example.COM ").unwrap().expose(), "Anna@example.com");
        assert_eq!(Email::parse("иван@пример.рф").unwrap().expose(), "иван@пример.рф");
        for text in
            ["", "@", "a@b", "a b@example.com", "a@example.com\r\nBcc: x@example.com", "<a@example.com>"]
        {
            assert_eq!(Email::parse(text), Err(AddressError::Email), "{text}");
        }
    }
}
