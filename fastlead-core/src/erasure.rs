//! Taking a person's data out of what was stored (152-FZ art. 21). What was decided, counts and proof that consents were
//! asked for stay; nothing that names the person does.

use crate::contact::{Contact, Email, Handle, Phone};
use crate::decide::Event;
use crate::delivery::{Body, DeliverySpec, Purpose};
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

impl DeliverySpec {
    /// Takes out the person's address and every text that was finished when the message was asked for. `theirs` says
    /// that the message goes to the person. Returns whether anything was taken out: such a message cannot be sent any
    /// more.
    pub fn erase(&mut self, theirs: bool) -> bool {
        let theirs = theirs || matches!(self.purpose, Purpose::AutoReply | Purpose::Confirmation);
        if theirs {
            self.recipient = erased(&self.recipient);
        }
        let finished = matches!(self.body, Body::Fixed(_)) && self.purpose != Purpose::Notice;
        if finished {
            self.body = Body::Fixed(Content::Text(Text::default()));
        }
        theirs || finished
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
