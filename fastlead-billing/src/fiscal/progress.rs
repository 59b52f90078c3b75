//! Where the registration of a receipt stands.

use std::time::Duration;

use fastlead_core::time::{Timestamp, plus};
use serde::{Deserialize, Serialize};

/// State of a receipt at its cash register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReceiptStatus {
    /// The cash register has it.
    Pending,
    /// It is registered. Final.
    Registered,
    /// It was refused: somebody must act.
    Failed,
}

/// Marks of a registered receipt, by which the tax office finds it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FiscalMarks {
    /// Number of the fiscal storage (tag 1041).
    pub storage: String,
    /// Number of the document (tag 1040).
    pub document: String,
    /// Fiscal attribute of the document (tag 1077).
    pub attribute: String,
}

/// What became known of a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptNews {
    /// It was handed to the provider, again perhaps.
    Sent,
    /// The provider says that it works on it.
    Pending,
    /// It is registered; the marks come where the provider tells them.
    Registered(Option<FiscalMarks>),
    /// The cash register has refused it.
    Failed,
}

/// What news have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptChange {
    /// The state is another one now, or the marks have become known.
    Changed,
    /// Repeated or late news: nothing changed.
    Unchanged,
    /// The news contradict a registered receipt. Nothing changed; somebody must look.
    Contradiction,
}

/// Why somebody must look at a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptAlarm {
    /// It was refused.
    Failed,
    /// It waits longer than it may: the law wants it at the settlement.
    Overdue,
}

/// Registration of one receipt as a state machine: due, pending, then registered or failed; a failed one may be sent again.
///
/// # Behavior
/// * News may come twice, late and in any order; a registered receipt never changes any more.
/// * "Pending" after "failed" is late news; only [`ReceiptNews::Sent`] begins another try.
/// * "Registered" after "failed" counts: the cash register has the last word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptProgress {
    due_at: Timestamp,
    status: Option<ReceiptStatus>,
    marks: Option<FiscalMarks>,
}

impl ReceiptProgress {
    /// A receipt that is due since `due_at` and was not sent.
    pub const fn due(due_at: Timestamp) -> Self {
        Self { due_at, status: None, marks: None }
    }

    /// Its state; `None` while it was not sent.
    pub const fn status(&self) -> Option<ReceiptStatus> {
        self.status
    }

    /// Its marks, where it is registered and the provider has told them.
    pub const fn marks(&self) -> Option<&FiscalMarks> {
        self.marks.as_ref()
    }

    /// Takes news in.
    pub fn apply(&mut self, news: ReceiptNews) -> ReceiptChange {
        use ReceiptStatus::{Failed, Pending, Registered};
        match (self.status, news) {
            (Some(Registered), ReceiptNews::Registered(marks)) => match (&self.marks, marks) {
                (_, None) => ReceiptChange::Unchanged,
                (None, marks) => {
                    self.marks = marks;
                    ReceiptChange::Changed
                }
                (Some(known), Some(marks)) if *known == marks => ReceiptChange::Unchanged,
                _ => ReceiptChange::Contradiction,
            },
            (Some(Registered), ReceiptNews::Failed) => ReceiptChange::Contradiction,
            (Some(Registered), ReceiptNews::Sent | ReceiptNews::Pending) => ReceiptChange::Unchanged,
            (_, ReceiptNews::Registered(marks)) => {
                self.marks = marks;
                self.become_status(Registered)
            }
            (Some(Failed), ReceiptNews::Pending) => ReceiptChange::Unchanged,
            (_, ReceiptNews::Sent | ReceiptNews::Pending) => self.become_status(Pending),
            (_, ReceiptNews::Failed) => self.become_status(Failed),
        }
    }

    /// Returns why somebody must look, where `patience` says how long a receipt may wait.
    pub fn alarm(&self, now: Timestamp, patience: Duration) -> Option<ReceiptAlarm> {
        match self.status {
            Some(ReceiptStatus::Failed) => Some(ReceiptAlarm::Failed),
            Some(ReceiptStatus::Registered) => None,
            None | Some(ReceiptStatus::Pending) => {
                (now > plus(self.due_at, patience)).then_some(ReceiptAlarm::Overdue)
            }
        }
    }

    fn become_status(&mut self, status: ReceiptStatus) -> ReceiptChange {
        if self.status.replace(status) == Some(status) {
            ReceiptChange::Unchanged
        } else {
            ReceiptChange::Changed
        }
    }
}
