//! Taking a person's data out of what was stored (152-FZ art. 21). What was decided, counts and proof that consents were
//! asked for stay; nothing that names the person does.

use crate::contact::{Contact, Email, Handle, Phone};
use crate::decide::Event;
use crate::delivery::{AttemptError, Body, DeliverySpec, Purpose};
use crate::lead::{Attribution, Capture, Consent, Touch};
use crate::message::{Content, Recipient, Text};
use crate::secret::Pii;
use crate::time::Timestamp;

/// The addresses by which a person is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PersonAddresses {
    /// Phone numbers.
    pub phones: Vec<Phone>,
    /// E-mail addresses.
    pub emails: Vec<Email>,
    /// Accounts of messengers.
    pub handles: Vec<Handle>,
}

impl PersonAddresses {
    /// Those of a contact.
    pub fn of(contact: &Contact) -> Self {
        Self {
            phones: contact.phone.iter().cloned().collect(),
            emails: contact.email.iter().cloned().collect(),
            handles: contact.handles.clone(),
        }
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.phones.is_empty() && self.emails.is_empty() && self.handles.is_empty()
    }

    /// Whether a contact names one of them.
    pub fn name(&self, contact: &Contact) -> bool {
        contact.phone.as_ref().is_some_and(|phone| self.phones.contains(phone))
            || contact.email.as_ref().is_some_and(|email| self.emails.contains(email))
            || contact.handles.iter().any(|handle| self.handles.contains(handle))
    }

    /// Whether a message over a channel of this kind goes to one of them.
    pub fn receive(&self, kind: &str, recipient: &Recipient) -> bool {
        match recipient {
            Recipient::Phone(phone) => self.phones.contains(phone),
            Recipient::Email(email) => self.emails.contains(email),
            Recipient::Chat(chat) => self.has_account(kind, chat.expose()),
            Recipient::Endpoint => false,
        }
    }

    /// Whether a name that a channel of this kind gives to who writes there is one of them: the id of a chat or an
    /// account, a phone number with or without its `+`, or an e-mail address.
    pub fn wrote(&self, kind: &str, name: &str) -> bool {
        let digits = name.trim().trim_start_matches('+');
        self.has_account(kind, name)
            || self.phones.iter().any(|phone| phone.expose().trim_start_matches('+') == digits)
            || self.emails.iter().any(|email| email.expose() == name)
    }

    fn has_account(&self, kind: &str, id: &str) -> bool {
        self.handles.iter().any(|handle| handle.messenger == kind && handle.id.expose() == id)
    }
}

impl Capture {
    /// Takes out whatever names the person or is in their words. The campaign that brought them stays, and of a consent
    /// which text was shown when and what was answered.
    pub fn erase(&mut self, at: Timestamp) {
        let Self { contact, comment, fields, attribution, consents, notes, received, person, .. } = self;
        *contact = Contact::default();
        *comment = None;
        fields.clear();
        *attribution = Attribution {
            first: attribution.first.take().map(without_person),
            last: attribution.last.take().map(without_person),
        };
        for Consent { written, ip, user_agent, page, .. } in consents {
            (*written, *ip, *user_agent, *page) = (None, None, None, None);
        }
        notes.clear();
        (received.ip, received.user_agent) = (None, None);
        *person = None;
        self.erased_at.get_or_insert(at);
    }
}

/// The campaign of a visit. An address of a page and the id of a click lead to the person.
fn without_person(touch: Touch) -> Touch {
    let Touch { utm_source, utm_medium, utm_campaign, utm_content, utm_term, at, .. } = touch;
    Touch { utm_source, utm_medium, utm_campaign, utm_content, utm_term, at, ..Touch::default() }
}

impl Event {
    /// Takes out whatever names the person whose lead it is about. Who pressed a button is not that person.
    pub fn erase(&mut self, at: Timestamp) {
        match self {
            Self::Captured(capture) => capture.erase(at),
            Self::Confirmed { ip, user_agent } => (*ip, *user_agent) = (None, None),
            _ => {}
        }
    }
}

impl AttemptError {
    /// Takes out what the provider has said in its own words: it may quote the message or the address.
    pub fn erase(&mut self) {
        self.message.clear();
    }
}

impl DeliverySpec {
    /// Takes out the person's address and every text that was finished when the message was asked for. `theirs` says
    /// that the message goes to the person. Returns whether anything was taken out now: such a message cannot be sent
    /// any more.
    pub fn erase(&mut self, theirs: bool) -> bool {
        let (recipient, body) = (self.recipient.clone(), self.body.clone());
        let theirs = theirs || matches!(self.purpose, Purpose::AutoReply | Purpose::Confirmation);
        if theirs {
            self.recipient = erased(&self.recipient);
        }
        let finished = matches!(self.body, Body::Fixed(_)) && self.purpose != Purpose::Notice;
        if finished {
            self.body = Body::Fixed(Content::Text(Text::default()));
        }
        self.recipient != recipient || self.body != body
    }
}

/// An address of the same kind that names nobody.
pub fn erased(recipient: &Recipient) -> Recipient {
    match recipient {
        Recipient::Phone(_) => Recipient::Phone(Phone::nobody()),
        Recipient::Email(_) => Recipient::Email(Email::nobody()),
        Recipient::Chat(_) => Recipient::Chat(Pii::default()),
        Recipient::Endpoint => Recipient::Endpoint,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::lead::{CaptureInput, Received};
    use crate::message::Locale;
    use crate::time::{epoch, plus_seconds};

    fn captured() -> Capture {
        let input: CaptureInput = serde_json::from_value(serde_json::json!({
            "name": "Вера Тестова", "phone": "+7 900 000-00-00 доб. 5 (вечером)", "email": "vera@example.com",
            "comment": "позвоните", "fields": {"city": "Казань"},
            "handles": [{"messenger": "telegram", "id": "vera_test"}],
            "attribution": {"last": {"page": "https://example.com/p?x=1", "utm_source": "mail", "click_ids": {"yclid": "77"}}},
        }))
        .unwrap();
        let received = Received {
            ip: Some(Pii::new([127, 0, 0, 9].into())),
            user_agent: Some("browser".into()),
            ..Received::at(epoch())
        };
        input.validate(&[], Locale::Ru, received).unwrap()
    }

    /// A field that is added to a capture stands here too: what it says of the person has to go.
    #[test]
    fn what_is_left_of_a_capture_is_known_by_name() {
        let mut capture = captured();
        capture.erase(plus_seconds(epoch(), 9));
        let left: BTreeMap<String, serde_json::Value> =
            serde_json::from_value(serde_json::to_value(&capture).unwrap()).unwrap();
        let kept = ["attribution", "contact", "erased_at", "locale", "received"];
        assert_eq!(left.keys().map(String::as_str).collect::<Vec<_>>(), kept);
        assert_eq!(left["contact"], serde_json::to_value(Contact::default()).unwrap());
        assert_eq!(left["attribution"], serde_json::json!({"last": {"utm_source": "mail"}}));
        let received: Vec<_> = left["received"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(received, ["at"]);
        // The first moment stays.
        let once = capture.clone();
        capture.erase(plus_seconds(epoch(), 99));
        assert_eq!(capture, once);
    }

    #[test]
    fn a_person_is_known_by_every_spelling_of_their_address() {
        let person = PersonAddresses::of(&captured().contact);
        for (kind, name) in [
            ("telegram", "vera_test"),
            ("smsc", "79000000000"),
            ("smsc", "+79000000000"),
            ("smtp", "vera@example.com"),
        ] {
            assert!(person.wrote(kind, name), "{kind} {name}");
        }
        for (kind, name) in [("vk", "vera_test"), ("smsc", "79000000001"), ("smsc", ""), ("telegram", "")] {
            assert!(!person.wrote(kind, name), "{kind} {name}");
        }
        assert!(!PersonAddresses::default().name(&Contact::default()), "nobody is not somebody");
    }
}
