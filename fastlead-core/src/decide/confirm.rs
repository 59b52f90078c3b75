//! Whether the visitor has said once more that they want this.

use serde::{Deserialize, Serialize};

use super::{Address, Decider, Effect, LeadStatus, Reason, TimerName, Verdict};
use crate::delivery::{Body, Purpose};
use crate::lead::Capture;
use crate::message::{MessageClass, Recipient};
use crate::policy::{Confirm, HandOut, ReplyTo, Screening};
use crate::time::{Timestamp, plus_seconds};

/// What a visitor was asked to confirm, and whether they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// Before this moment the confirmation counts.
    pub until: Timestamp,
    /// When the visitor has confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// What comes of a new lead that may have to be confirmed.
pub(super) enum Asked<'a> {
    /// It is handed out now.
    No,
    /// It waits until this moment.
    Waits(Timestamp),
    /// It would have to wait, and nobody can be asked.
    Nobody(&'a Screening),
}

impl Decider<'_> {
    /// Asks the visitor to confirm, where the policy wants it.
    pub(super) fn ask_to_confirm(&mut self, capture: &Capture) -> Asked<'_> {
        let policy = self.policy;
        let Some(confirm) = &policy.confirm else { return Asked::No };
        if confirm.when.as_ref().is_some_and(|when| !when.holds(&self.input)) {
            self.trace.note("confirm.when", None, Verdict::Skipped, Reason::ConditionFailed);
            return Asked::No;
        }
        let until = plus_seconds(self.now, confirm.within_secs);
        let waits = confirm.hand_out == HandOut::WhenConfirmed;
        // The state says that the lead waits before messages go out.
        let place = self.effects.len();
        if !self.ask(confirm, capture) {
            return if waits { Asked::Nobody(&confirm.then) } else { Asked::No };
        }
        self.effects.insert(place, Effect::AskToConfirm { until, waits });
        if !waits {
            return Asked::No;
        }
        self.trace.note("confirm", None, Verdict::Scheduled, Reason::Waits);
        self.effects.push(Effect::SetTimer { timer: TimerName::Confirm, due_at: until });
        Asked::Waits(until)
    }

    fn ask(&mut self, confirm: &Confirm, capture: &Capture) -> bool {
        for (index, by) in confirm.ask.iter().enumerate() {
            let rule = format!("confirm.ask[{index}]");
            let recipient = match recipient(by.to, capture) {
                Ok(recipient) => recipient,
                Err(reason) => {
                    self.trace.note(rule, Some(&by.channel), Verdict::Skipped, reason);
                    continue;
                }
            };
            let (name, locale) = (by.template.clone(), capture.locale);
            let body = Body::Template { name, locale, offer_buttons: false };
            let address = Address { rule: &rule, channel: &by.channel, recipient, retry: None };
            // A link that has expired is not worth sending.
            let ttl = confirm.within_secs;
            if self.deliver(address, Purpose::Confirmation, body, MessageClass::Service, ttl) {
                return true;
            }
        }
        false
    }

    /// The visitor has confirmed.
    pub(super) fn confirmed(&mut self) {
        let Some(confirmation) = self.state.confirmation.filter(|confirmation| confirmation.at.is_none())
        else {
            self.trace.note("confirm", None, Verdict::Skipped, Reason::NotWaiting);
            return;
        };
        if self.now >= confirmation.until {
            // The timer says what becomes of the lead.
            self.trace.note("confirm", None, Verdict::Refused, Reason::TooLate);
            return;
        }
        self.trace.note("confirm", None, Verdict::Passed, Reason::Answered);
        self.effects.push(Effect::Confirm { at: self.now });
        let capture = self.subject.capture;
        if self.state.status == LeadStatus::Unconfirmed {
            self.effects.push(Effect::ClearTimers);
            let unique = self.unique(capture);
            self.effects.extend(unique);
            self.take_in();
        } else if !matches!(self.state.status, LeadStatus::Rejected { .. }) {
            self.auto_reply(capture, |class| class == MessageClass::Advertising);
        }
    }

    /// The visitor has not confirmed in time.
    pub(super) fn confirm_ended(&mut self) {
        if self.state.status != LeadStatus::Unconfirmed {
            self.trace.note("confirm", None, Verdict::Skipped, Reason::NotWaiting);
            return;
        }
        self.effects.push(Effect::ClearTimers);
        let then = self.policy.confirm.as_ref().map(|confirm| confirm.then.clone()).unwrap_or_default();
        match then {
            Screening::Reject(code) => {
                self.trace.note("confirm.then", Some(&code), Verdict::Refused, Reason::TimedOut);
                self.effects.push(Effect::Reject { code });
            }
            Screening::Review => {
                self.trace.note("confirm.then", None, Verdict::Chosen, Reason::TimedOut);
                self.hold_for_review();
            }
            Screening::Accept => {
                self.trace.note("confirm.then", None, Verdict::Passed, Reason::TimedOut);
                self.take_in();
            }
        }
    }

    /// Whether the visitor was asked to confirm and has not.
    pub(super) fn is_unconfirmed(&self) -> bool {
        let asked = self.state.confirmation.is_some_and(|confirmation| confirmation.at.is_none());
        self.effects.iter().fold(asked, |unconfirmed, effect| match effect {
            Effect::AskToConfirm { .. } => true,
            Effect::Confirm { .. } => false,
            _ => unconfirmed,
        })
    }
}

/// One of the lead's addresses, or why there is none.
pub(super) fn recipient(to: ReplyTo, capture: &Capture) -> Result<Recipient, Reason> {
    let contact = &capture.contact;
    match to {
        ReplyTo::Phone => contact.phone.clone().map(Recipient::Phone).ok_or(Reason::NoPhone),
        ReplyTo::Email => contact.email.clone().map(Recipient::Email).ok_or(Reason::NoEmail),
    }
}
