//! What conditions are asked about.

use std::cell::OnceCell;

use chrono::NaiveDateTime;

use super::fold::lower;
use crate::lead::Capture;

/// What is known when conditions are asked. Whatever is `None` is unknown: a field that is read from
/// it is absent, and a comparison with an absent field does not hold.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConditionInput<'a> {
    /// What was captured.
    pub capture: &'a Capture,
    /// Where it was captured.
    pub source: Option<SourceFacts<'a>>,
    /// What a clock on the project's wall shows: see [`crate::schedule::Zone::local`].
    pub local_time: Option<NaiveDateTime>,
    /// Whether the project's hours are open.
    pub is_open: Option<bool>,
    /// The lead's score.
    pub score: Option<i64>,
    /// What is known of the same person.
    pub history: Option<History<'a>>,
    country: OnceCell<Option<&'static str>>,
    comment: OnceCell<String>,
}

/// The source of a lead, as far as conditions may look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceFacts<'a> {
    /// The public key in capture URLs.
    pub key: &'a str,
    /// What people call it.
    pub name: &'a str,
}

/// Earlier leads of the same person, within the window that whoever asks has looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct History<'a> {
    /// How many there were before this one.
    pub leads: u64,
    /// The target that accepted the last of them, where one did.
    pub last_owner: Option<&'a str>,
}

impl<'a> ConditionInput<'a> {
    /// A capture, and nothing else known.
    pub const fn new(capture: &'a Capture) -> Self {
        Self {
            capture,
            source: None,
            local_time: None,
            is_open: None,
            score: None,
            history: None,
            country: OnceCell::new(),
            comment: OnceCell::new(),
        }
    }

    /// The phone's country. Read from the numbering plan once, however many conditions ask.
    pub(super) fn phone_country(&self) -> Option<&str> {
        let country = || self.capture.contact.phone.as_ref().and_then(crate::contact::Phone::country);
        *self.country.get_or_init(country)
    }

    /// The comment in lower case: the one long text, made once for all that search in it.
    pub(super) fn lower_comment(&self) -> &str {
        self.comment.get_or_init(|| {
            self.capture.comment.as_ref().map_or_else(String::new, |text| lower(text.expose()))
        })
    }
}
