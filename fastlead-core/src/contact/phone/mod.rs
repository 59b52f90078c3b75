//! Phone numbers, and the texts in which people write them.

mod plan;
mod reading;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use super::AddressError;
pub use reading::PhoneReading;

/// A phone number in E.164 form, such as `+79000000000`.
///
/// [`Phone::parse`] and [`Phone::read`] check a text against the numbering plans of all countries. A stored number is
/// read as it was written, because plans change and what was accepted must stay readable; see [`Phone::is_valid`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
#[schemars(with = "String")]
pub struct Phone(String);

impl Phone {
    /// Reads a text that is one phone number, in any of the usual spellings. Numbers without `+` are read as they are
    /// dialled in Russia (`8 900 …`, `900 …`), or with the country code of a neighbour (`375 29 …`); anything else needs
    /// its country code behind a `+`.
    ///
    /// # Errors
    /// [`AddressError::Phone`] where no country has such a number, or where the text holds more than a number.
    /// [`AddressError::Extension`] where it has an extension, which a `Phone` cannot keep: see [`Phone::read`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let reading = Self::read(text)?;
        match (reading.extension, reading.rest) {
            (_, Some(_)) => Err(AddressError::Phone),
            (Some(_), None) => Err(AddressError::Extension),
            (None, None) => Ok(reading.phone),
        }
    }

    /// Reads the first phone number of a text that a person has typed, and keeps what stands beside it: an extension
    /// (`доб. 123`, `ext 5`, `,123`, `#123`), a second number, a remark.
    ///
    /// # Errors
    /// [`AddressError::Phone`] where no country has such a number.
    pub fn read(text: &str) -> Result<PhoneReading, AddressError> {
        reading::read(text).ok_or(AddressError::Phone)
    }

    /// Reads the number that a provider says a message is from, with its country code and with or without `+`. `None`
    /// for names and short codes.
    ///
    /// A number that no numbering plan has is taken as it is: whoever writes STOP from it must be left alone.
    pub fn received(text: &str) -> Option<Self> {
        let digits = text.trim().trim_start_matches('+');
        let number = Self::parse(&format!("+{digits}")).or_else(|_| Self::parse(text));
        let looks_like_one =
            (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        number.ok().or_else(|| looks_like_one.then(|| Self(format!("+{digits}"))))
    }

    /// What stands in place of a number that was erased.
    pub(crate) const fn nobody() -> Self {
        Self(String::new())
    }

    /// Whether today's numbering plans have this number. Numbers that were parsed are valid; those that were
    /// deserialized need not be.
    pub fn is_valid(&self) -> bool {
        self.0.strip_prefix('+').and_then(plan::region).is_some()
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
    pub fn country(&self) -> Option<&'static str> {
        match plan::region(self.0.strip_prefix('+')?)? {
            plan::Region::Country(code) => Some(code),
            plan::Region::World => None,
        }
    }
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

/// Reads a stored number as it is, whatever the numbering plans say today. A text in another spelling is brought into
/// E.164 form where it is a number, and kept where it is none, so that reading never fails.
impl<'de> Deserialize<'de> for Phone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let stored =
            text.strip_prefix('+').is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        Ok(if stored { Self(text) } else { Self::parse(&text).unwrap_or(Self(text)) })
    }
}

impl From<Phone> for String {
    fn from(phone: Phone) -> Self {
        phone.0
    }
}

#[cfg(test)]
mod tests;
