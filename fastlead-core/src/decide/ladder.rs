//! Nobody has reacted, or nobody can.

use super::{Decider, Effect, Reason, TimerName, Verdict};
use crate::delivery::DeliveryState;
use crate::id::ChannelId;
use crate::policy::LeadEventType;
use crate::time::plus_seconds;
use crate::words;

impl Decider<'_> {
    pub(super) fn timer_fired(&mut self, timer: TimerName) {
        if !self.state.waits() {
            self.trace.note("escalation", None, Verdict::Skipped, Reason::NotWaiting);
            return;
        }
        match timer {
            TimerName::Escalate(rung) => self.climb(rung),
            TimerName::Unanswered => self.give_up(),
        }
    }

    pub(super) fn delivery_ended(&mut self, target: Option<&str>, channel: ChannelId, ended: DeliveryState) {
        let lead = self.subject.lead_id;
        // Whoever does not want to be written to is no trouble, unless it is somebody who should take leads.
        if target.is_some() || ended != DeliveryState::Suppressed {
            self.alert(Some(channel), |locale| words::delivery_ended(locale, lead, ended));
        }
        let Some(target) = target else { return };
        self.effects.push(Effect::OfferLost { target: target.to_owned() });
        if !self.state.waits() {
            self.trace.note("escalation", Some(target), Verdict::Skipped, Reason::NotWaiting);
            return;
        }
        let after = self.state.clone().apply(&[Effect::OfferLost { target: target.to_owned() }]);
        if after.somebody_may_answer() {
            self.trace.note("escalation", Some(target), Verdict::Skipped, Reason::OthersMayAnswer);
            return;
        }
        self.climb_now();
    }

    /// Takes the next rung at once, because nobody who was told can answer.
    pub(super) fn climb_now(&mut self) {
        let rung = self.state.next_rung();
        let exists = usize::try_from(rung).is_ok_and(|index| index < self.policy.escalation.len());
        if exists {
            self.trace.note(format!("escalation[{rung}]"), None, Verdict::Chosen, Reason::NobodyLeft);
            self.effects.push(Effect::ClearTimers);
            self.climb(rung);
        } else {
            self.trace.note("escalation", None, Verdict::Skipped, Reason::LadderEnded);
        }
    }

    fn climb(&mut self, rung: u32) {
        let index = usize::try_from(rung).unwrap_or(usize::MAX);
        let Some(step) = self.policy.escalation.get(index) else {
            self.trace.note("escalation", None, Verdict::Skipped, Reason::LadderEnded);
            self.give_up();
            return;
        };
        self.offer(&format!("escalation[{rung}]"), &step.targets, &step.template, rung + 1);
        let (timer, after) = match self.policy.escalation.get(index + 1) {
            Some(next) => (TimerName::Escalate(rung + 1), next.after_secs),
            None => (TimerName::Unanswered, step.after_secs),
        };
        let due_at = plus_seconds(self.now, after);
        self.effects.push(Effect::SetTimer { timer, due_at });
        self.trace.note(format!("escalation[{}]", rung + 1), None, Verdict::Scheduled, None);
    }

    fn give_up(&mut self) {
        self.effects.push(Effect::ClearTimers);
        self.effects.push(Effect::GiveUp);
        self.trace.note("escalation", None, Verdict::Chosen, Reason::LadderEnded);
        self.announce(LeadEventType::Unanswered);
        let lead = self.subject.lead_id;
        self.alert(None, |locale| words::unanswered(locale, lead));
    }
}
