//! Who is the same person, without telling who it is.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::contact::{Contact, Handle, Phone};
use crate::id::ProjectId;

/// Names a person within a project: 16 bytes as hexadecimal digits, made of one of their addresses. They tell nothing
/// of the address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PersonKey(String);

/// Whom a capture stands for, where links of identities say more than its contact alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The person: whose history goes on.
    pub main: PersonKey,
    /// Other keys under which the same person has a history.
    pub merged: Vec<PersonKey>,
}

impl PersonKey {
    /// Whom a contact stands for by itself: its phone number, or else its e-mail address, or else its first messenger
    /// account. `None` where it has none of them.
    pub fn of(project: ProjectId, contact: &Contact) -> Option<Self> {
        let Contact { phone, email, handles, .. } = contact;
        match (phone, email, handles.first()) {
            (Some(phone), ..) => Some(Self::of_phone(project, phone)),
            (None, Some(email), _) => Some(Self::hash(project, &[b"email", email.dedupe_key().as_bytes()])),
            (None, None, Some(handle)) => Some(Self::of_handle(project, handle)),
            (None, None, None) => None,
        }
    }

    /// The person who has a phone number.
    pub fn of_phone(project: ProjectId, phone: &Phone) -> Self {
        Self::hash(project, &[b"phone", phone.expose().as_bytes()])
    }

    /// The person behind a messenger account.
    pub fn of_handle(project: ProjectId, handle: &Handle) -> Self {
        let messenger = handle.messenger.as_bytes();
        // A NUL, which no address has, so that no two accounts read alike.
        Self::hash(project, &[b"handle", messenger, b"\0", handle.id.expose().as_bytes()])
    }

    fn hash(project: ProjectId, parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        hash.update(project.as_uuid().as_bytes());
        for part in parts {
            hash.update(part);
        }
        Self(hex::encode(&hash.finalize()[..16]))
    }

    /// The digits.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(messenger: &str, id: &str) -> Handle {
        Handle { messenger: messenger.to_owned(), id: id.into() }
    }

    #[test]
    fn the_phone_comes_before_the_e_mail_and_that_before_an_account() {
        let project = ProjectId::from_uuid(uuid::Uuid::from_u128(1));
        let phone = Phone::parse("+79000000000").unwrap();
        let email = "anna@example.com".parse().unwrap();
        let account = handle("telegram", "7");
        let mut contact = Contact {
            phone: Some(phone.clone()),
            email: Some(email),
            handles: vec![account.clone(), handle("max", "8")],
            ..Contact::default()
        };
        assert_eq!(PersonKey::of(project, &contact), Some(PersonKey::of_phone(project, &phone)));
        contact.phone = None;
        let by_email = PersonKey::of(project, &contact);
        contact.email = None;
        assert_eq!(PersonKey::of(project, &contact), Some(PersonKey::of_handle(project, &account)));
        assert_ne!(by_email, PersonKey::of(project, &contact));
        contact.handles.clear();
        assert_eq!(PersonKey::of(project, &contact), None);
    }

    #[test]
    fn no_two_accounts_are_one_person() {
        let project = ProjectId::from_uuid(uuid::Uuid::from_u128(1));
        let key = |messenger, id| PersonKey::of_handle(project, &handle(messenger, id));
        assert_ne!(key("max", "1"), key("telegram", "1"));
        assert_ne!(key("max", "11"), key("max1", "1"));
        let other = ProjectId::from_uuid(uuid::Uuid::from_u128(2));
        assert_ne!(key("max", "1"), PersonKey::of_handle(other, &handle("max", "1")));
    }
}
