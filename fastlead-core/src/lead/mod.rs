//! A lead as it was captured: who, from where, with which consents.

mod attribution;
mod consent;
mod found;
mod input;
mod mapping;
mod note;
mod preset;
mod reading;
mod search;

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

pub(crate) use attribution::CLICK_IDS;
pub use attribution::{Attribution, Touch};
pub use consent::{Consent, ConsentAnswer, ConsentDocument, ConsentPurpose, ShownText};
pub use input::{BotCheck, CaptureInput, FieldError, InputFaults, limits};
pub use mapping::{FieldMapping, Place};
pub use note::{CaptureNote, NoteCode};
pub use preset::Preset;
pub use reading::{InputReader, TRAP_FIELD};
pub use search::{Needle, search_text};

use crate::contact::Contact;
use crate::id::SourceId;
use crate::message::Locale;
use crate::person::Person;
use crate::secret::Pii;
use crate::time::Timestamp;

/// One capture, normalised. It is stored as it is and never changes, unless the person's data are erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// Who can be reached how.
    pub contact: Contact,
    /// What the person wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<Pii<String>>,
    /// The source's own fields, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Pii<String>>,
    /// Where the person came from.
    #[serde(default, skip_serializing_if = "Attribution::is_empty")]
    pub attribution: Attribution,
    /// What the person agreed to, each with its evidence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consents: Vec<Consent>,
    /// What was cut, set aside or found by its value when the capture was read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<CaptureNote>,
    /// Why it looks as if a program had filled in the form, where it does. Such a lead is kept for a person to look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub automated: Option<Automated>,
    /// The language to answer in.
    pub locale: Locale,
    /// When and from where it came.
    pub received: Received,
    /// What came of asking others for more about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enrichment: Vec<Enrichment>,
    /// Whom it stands for, where links of identities said more than the contact when it was captured; the engine notes
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Box<Person>>,
    /// When whatever names the person was taken out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<Timestamp>,
}

/// Why a capture looks as if a program had filled in the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Automated {
    /// A field that people do not see was filled in.
    Trap,
    /// The form was sent faster than a person can fill it in.
    TooFast,
}

/// What came of one step of enrichment. What it answered stands in the capture's fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrichment {
    /// The name of the enricher.
    pub name: String,
    /// What came of it.
    pub outcome: EnrichmentOutcome,
    /// How many milliseconds it took.
    pub millis: u64,
}

/// What came of a step of enrichment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnrichmentOutcome {
    /// It has answered.
    Answered,
    /// It had not answered in time.
    TooLate,
    /// It has failed.
    Failed,
    /// This program has no enricher of that name.
    Missing,
    /// The lead was not one to ask about.
    NotAsked,
}

/// The circumstances of a capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// The moment of receipt.
    pub at: Timestamp,
    /// The client's address, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<Pii<IpAddr>>,
    /// The client's `User-Agent`, where sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<Pii<String>>,
    /// The source that it came over; the engine notes it. A repeated capture may come over another source than the lead
    /// did. `None` for what was stored before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_id: Option<SourceId>,
}

impl Received {
    /// Received at `at`, circumstances unknown.
    pub const fn at(at: Timestamp) -> Self {
        Self { at, ip: None, user_agent: None, source_id: None }
    }
}

impl Capture {
    /// Whether the person agreed to `purpose` at capture.
    pub fn consented(&self, purpose: ConsentPurpose) -> bool {
        self.consents.iter().any(|consent| consent.purpose == purpose && consent.granted)
    }
}
