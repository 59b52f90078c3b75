//! E-mail addresses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::AddressError;

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

#[cfg(test)]
mod tests {
    use super::*;

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
