//! What was cut, set aside or found while a capture was read.

use serde::{Deserialize, Serialize};

use crate::secret::Pii;

/// Notes that are kept of one capture.
const MOST: usize = 64;
/// Characters that are kept of what was set aside.
const KEPT_CHARS: usize = 2_000;
/// Characters of a path.
const PATH_CHARS: usize = 128;

/// Something about a capture that was not as it should be and did not cost the lead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CaptureNote {
    /// The path of the field, such as `email` or `fields.city`.
    pub field: String,
    /// What was done.
    pub code: NoteCode,
    /// What was set aside, as it was sent, up to 2,000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Pii<String>>,
}

/// What was done with a part of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NoteCode {
    /// The text was cut to the longest that is kept.
    TooLong,
    /// There were more than are kept; the rest was set aside.
    TooMany,
    /// A name that no field can have; its value was set aside.
    InvalidName,
    /// A value of another kind than expected; it was set aside, or is kept as its JSON text.
    InvalidType,
    /// Not a phone number; set aside.
    InvalidPhone,
    /// Not an e-mail address; set aside.
    InvalidEmail,
    /// Not a messenger account; set aside.
    InvalidHandle,
    /// The source shows no document for this purpose; nothing was granted.
    UnknownConsent,
    /// A file; files are not taken.
    FileNotTaken,
    /// No contact field had a contact; this field's value is one.
    FoundByValue,
    /// The bytes were not UTF-8 and were read as windows-1251.
    ReadAsWindows1251,
}

impl CaptureNote {
    /// A note without anything kept.
    pub fn new(field: &str, code: NoteCode) -> Self {
        let field = field.chars().filter(|c| !c.is_control()).take(PATH_CHARS).collect();
        Self { field, code, kept: None }
    }

    /// Keeps what was set aside.
    #[must_use]
    pub fn keeping(self, text: &str) -> Self {
        let kept: String =
            text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).take(KEPT_CHARS).collect();
        Self { kept: (!kept.is_empty()).then(|| Pii::new(kept)), ..self }
    }
}

/// The notes of one capture; at most 64 are kept.
#[derive(Debug, Default)]
pub(super) struct Notes(Vec<CaptureNote>);

impl Notes {
    pub(super) fn add(&mut self, note: CaptureNote) {
        if self.0.len() < MOST {
            self.0.push(note);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &CaptureNote> {
        self.0.iter()
    }

    pub(super) fn into_inner(self) -> Vec<CaptureNote> {
        self.0
    }
}

impl From<Vec<CaptureNote>> for Notes {
    fn from(mut notes: Vec<CaptureNote>) -> Self {
        notes.truncate(MOST);
        Self(notes)
    }
}
