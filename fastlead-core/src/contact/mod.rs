//! People's addresses, normalised so that equal means equal.

mod email;
mod phone;
mod script;
mod typed;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub use self::email::Email;
pub use self::phone::{Phone, PhoneReading};
use crate::message::Locale;
use crate::secret::Pii;
use crate::words;

/// Why a text is not an address. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Not a phone number of any country.
    #[error("not a valid phone number; write it with the country code, such as +7 900 000-00-00")]
    Phone,
    /// A phone number with an extension, where there is no place for one.
    #[error("this number has an extension, which cannot be kept here; write the number alone")]
    Extension,
    /// Not an e-mail address.
    #[error("not a valid e-mail address; write it as name@example.com")]
    Email,
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
    /// Extension behind that number: the digits to dial when the call is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_extension: Option<Pii<String>>,
    /// What else was typed where the number was asked for, such as a second number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_note: Option<Pii<String>>,
    /// E-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// Messenger accounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handles: Vec<Handle>,
}

impl Contact {
    /// The phone number with what belongs beside it, for people: `+74950000000 доб. 123 (или 8 900 …)`. Personal data.
    pub fn phone_in_words(&self, locale: Locale) -> Option<Cow<'_, str>> {
        let number = self.phone.as_ref()?.expose();
        if self.phone_extension.is_none() && self.phone_note.is_none() {
            return Some(Cow::Borrowed(number));
        }
        let mut text = number.to_owned();
        if let Some(extension) = &self.phone_extension {
            text.push_str(&format!(" {} {}", words::extension_label(locale), extension.expose()));
        }
        if let Some(note) = &self.phone_note {
            text.push_str(&format!(" ({})", note.expose()));
        }
        Some(Cow::Owned(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_is_shown_with_what_stood_beside_it() {
        let shown = |text: &str, locale| {
            let read = Phone::read(text).unwrap();
            let contact = Contact {
                phone: Some(read.phone),
                phone_extension: read.extension.map(Pii::new),
                phone_note: read.rest.map(Pii::new),
                ..Contact::default()
            };
            contact.phone_in_words(locale).map(Cow::into_owned)
        };
        for (text, locale, expected) in [
            ("8 495 000-00-00", Locale::Ru, "+74950000000"),
            ("8 495 000-00-00 доб. 5", Locale::Ru, "+74950000000 доб. 5"),
            ("8 495 000-00-00 доб. 5", Locale::En, "+74950000000 ext. 5"),
            ("8 495 000-00-00, 8 900 000-00-01", Locale::Ru, "+74950000000 (8 900 000-00-01)"),
            ("8 495 000-00-00 ext 5 Anna", Locale::En, "+74950000000 ext. 5 (Anna)"),
        ] {
            assert_eq!(shown(text, locale).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(Contact::default().phone_in_words(Locale::Ru), None);
    }

    #[test]
    fn a_misspelt_field_of_a_handle_is_refused() {
        let handle = r#"{"messenger":"telegram","id":"anna"}"#;
        assert_eq!(serde_json::from_str::<Handle>(handle).unwrap().messenger, "telegram");
        let error = serde_json::from_str::<Handle>(r#"{"messenger":"telegram","id":"1","user":"anna"}"#);
        assert!(error.unwrap_err().to_string().contains("`user`"));
    }
}
