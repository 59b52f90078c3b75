//! Nobody has reacted, or nobody can.

use super::{Decider, Effect, LeadStatus, OfferStyle, Reason, TimerName, Verdict};
use crate::delivery::DeliveryState;
use crate::id::{ChannelId, DeliveryId};
use crate::policy::{EscalationStep, LadderAction, LadderClock, LeadEventType};
use crate::time::{Timestamp, plus_seconds};
use crate::words;

impl<'a> Decider<'a> {
    pub(super) fn timer_fired(&mut self, timer: TimerName) {
        match timer {
            TimerName::Offer(number) if self.state.status == LeadStatus::Accepted => {
                self.lapse_unsold(number);
                return;
            }
            TimerName::Review => {
                self.review_ended();
                return;
            }
            TimerName::Confirm => {
                self.confirm_ended();
                return;
            }
            TimerName::AuctionEnds => {
                self.auction_ended();
                return;
            }
            _ if self.state.waits() => {}
            _ => {
                self.trace.note("escalation", None, Verdict::Skipped, Reason::NotWaiting);
                return;
            }
        }
        match timer {
            TimerName::Escalate(rung) => self.climb(rung),
            TimerName::Unanswered => self.final_wait_over(),
            TimerName::Offer(number) => self.offer_timed_out(number),
            TimerName::Group => self.group_timed_out(),
            TimerName::Queue => self.try_queued(),
            TimerName::Review | TimerName::Confirm | TimerName::AuctionEnds => {}
        }
    }

    pub(super) fn delivery_ended(
        &mut self,
        delivery: DeliveryId,
        target: Option<&str>,
        channel: ChannelId,
        ended: DeliveryState,
    ) {
        let lead = self.subject.lead_id;
        // Whoever does not want to be written to is no trouble, unless it is somebody who should take leads.
        if target.is_some() || ended != DeliveryState::Suppressed {
            self.alert(Some(channel), |locale| words::delivery_ended(locale, lead, ended));
        }
        let Some(target) = target else { return };
        let before = self.state.somebody_may_answer();
        let lost = Effect::OfferLost { target: target.to_owned(), delivery };
        let after = self.state.clone().apply(std::slice::from_ref(&lost));
        self.effects.push(lost);
        if !self.state.waits() {
            self.trace.note("escalation", Some(target), Verdict::Skipped, Reason::NotWaiting);
            return;
        }
        if after.somebody_may_answer() {
            self.trace.note("escalation", Some(target), Verdict::Skipped, Reason::OthersMayAnswer);
            return;
        }
        if !before && after.offers == self.state.offers {
            // It was lost before, and somebody else was looked for then.
            self.trace.note("escalation", Some(target), Verdict::Skipped, Reason::OfferClosed);
            return;
        }
        self.find_another();
    }

    /// Nobody who was told can answer: the route's next, or else the ladder's.
    pub(super) fn find_another(&mut self) {
        if self.state.status == LeadStatus::Unanswered {
            // It can still be accepted, and is not handed out again.
            self.trace.note("escalation", None, Verdict::Skipped, Reason::LadderEnded);
            return;
        }
        if !self.reroute() {
            self.climb_or_give_up();
        }
    }

    /// Takes the next rung at once, because nobody who was told can answer.
    pub(super) fn climb_or_give_up(&mut self) {
        let mut rung = self.state.next_rung();
        while self.rung(rung).is_some_and(|step| !self.is_for_this(step)) {
            // The step does not come later either: nobody is left to wait for.
            self.effects.push(Effect::ClearTimers);
            self.pass_over(rung);
            rung += 1;
        }
        if self.rung(rung).is_some() {
            self.trace.note(format!("escalation[{rung}]"), None, Verdict::Chosen, Reason::NobodyLeft);
            self.effects.push(Effect::ClearTimers);
            self.climb(rung);
        } else if self.ladder_runs() {
            self.trace.note("escalation", None, Verdict::Skipped, Reason::LadderEnded);
        } else if !self.wait_for_those_told() {
            self.give_up();
        }
    }

    /// Whether a timer of the ladder runs after what was decided so far.
    pub(super) fn ladder_runs(&self) -> bool {
        self.runs(|timer| matches!(timer, TimerName::Escalate(_) | TimerName::Unanswered))
    }

    /// Whether a timer of this kind runs after what was decided so far.
    pub(super) fn runs(&self, kind: impl Fn(TimerName) -> bool) -> bool {
        let mut running: Vec<TimerName> = self.state.timers.iter().map(|(timer, _)| *timer).collect();
        for effect in &self.effects {
            match effect {
                Effect::Fired { timer } => running.retain(|known| known != timer),
                Effect::ClearTimers => running.clear(),
                Effect::SetTimer { timer, .. } => running.push(*timer),
                _ => {}
            }
        }
        running.into_iter().any(kind)
    }

    /// Sets the timer of the next rung when the lead is offered by the route and none runs: for the first
    /// time, or again after it was returned.
    pub(super) fn next_rung_timer(&mut self) {
        let climbs = self.effects.iter().any(|effect| matches!(effect, Effect::Climb { .. }));
        if climbs || self.ladder_runs() {
            return;
        }
        let policy = self.policy;
        let rung = self.state.next_rung();
        let step = usize::try_from(rung).ok().and_then(|rung| policy.escalation.get(rung));
        let (timer, step) = match (step, policy.escalation.last()) {
            (Some(step), _) => (TimerName::Escalate(rung), step),
            (None, Some(last)) => (TimerName::Unanswered, last),
            (None, None) => {
                self.trace.note("escalation", None, Verdict::Passed, Reason::LadderEnded);
                return;
            }
        };
        let (due_at, reason) = match timer {
            TimerName::Unanswered => self.final_wait(step),
            _ => (self.rung_due(step), None),
        };
        self.trace.note(format!("escalation[{rung}]"), None, Verdict::Scheduled, reason);
        self.effects.push(Effect::SetTimer { timer, due_at });
    }

    pub(super) fn rung_due(&self, step: &EscalationStep) -> Timestamp {
        let business = match (step.clock, &self.policy.hours) {
            (LadderClock::Business, Some(hours)) => {
                hours.plus_open(self.now, step.after_secs, self.policy.timezone)
            }
            _ => None,
        };
        // Hours that never come, which publishing refuses, must not hold the ladder for ever.
        business.unwrap_or_else(|| plus_seconds(self.now, step.after_secs))
    }

    fn rung(&self, rung: u32) -> Option<&'a EscalationStep> {
        let policy = self.policy;
        usize::try_from(rung).ok().and_then(|rung| policy.escalation.get(rung))
    }

    /// Whether a step is for this lead at this moment.
    fn is_for_this(&self, step: &EscalationStep) -> bool {
        step.when.as_ref().is_none_or(|when| when.holds(&self.input))
    }

    /// A step is over without having been taken.
    fn pass_over(&mut self, rung: u32) {
        self.trace.note(format!("escalation[{rung}].when"), None, Verdict::Skipped, Reason::ConditionFailed);
        self.effects.push(Effect::Climb { rung });
    }

    fn climb(&mut self, rung: u32) {
        let policy = self.policy;
        let index = usize::try_from(rung).unwrap_or(usize::MAX);
        let Some(step) = policy.escalation.get(index) else {
            self.trace.note("escalation", None, Verdict::Skipped, Reason::LadderEnded);
            self.give_up();
            return;
        };
        let taken = self.is_for_this(step);
        if taken {
            self.effects.push(Effect::Climb { rung });
        } else {
            self.pass_over(rung);
        }
        match step.action {
            _ if !taken => {}
            LadderAction::Offer => self.offer_rung(rung, step),
            LadderAction::Remind => self.remind(rung, step),
            LadderAction::Reassign => self.reassign(rung, step),
            LadderAction::Fallback => {
                self.fall_back(rung, step);
                return;
            }
        }
        let (timer, (due_at, reason)) = match policy.escalation.get(index + 1) {
            Some(next) => (TimerName::Escalate(rung + 1), (self.rung_due(next), None)),
            None => (TimerName::Unanswered, self.final_wait(step)),
        };
        self.effects.push(Effect::SetTimer { timer, due_at });
        self.trace.note(format!("escalation[{}]", rung + 1), None, Verdict::Scheduled, reason);
    }

    fn offer_rung(&mut self, rung: u32, step: &EscalationStep) {
        if let Some((out, _)) = self.project_full() {
            self.trace.note_out("caps", None, Verdict::Skipped, out);
            return;
        }
        let policy = self.policy;
        // What lapses or is lost in this very decision holds nothing for another offer.
        let state = self.state.clone().apply(&self.effects);
        for (index, name) in step.targets.iter().enumerate() {
            let path = format!("escalation[{rung}].targets[{index}]");
            let Some(target) = policy.targets.get(name) else {
                self.trace.note(path, Some(name), Verdict::Skipped, Reason::TargetMissing);
                continue;
            };
            if state.offers.iter().any(|offer| offer.target == *name && offer.declined) {
                self.trace.note(path, Some(name), Verdict::Skipped, Reason::DeclinedBefore);
                continue;
            }
            let holding = state.holds_for(name);
            let facts = self.levels_without_own(name, target, &state);
            let bought =
                (target.dedupe_secs.is_some() && facts.sold > 0).then(|| Reason::BoughtBefore.into());
            if !holding && let Some(out) = bought.or_else(|| self.full(name, target, &facts)) {
                self.trace.note_out(path, Some(name), Verdict::Skipped, out);
                continue;
            }
            self.trace.note(path.clone(), Some(name), Verdict::Chosen, None);
            self.hold_for_lead();
            let price = self.price_of(name, target);
            let holds = if holding { Vec::new() } else { self.holds_of(name, target, price, true) };
            let words = (step.template.as_str(), rung + 1, policy.delivery.ttl_secs);
            self.tell(&path, name, target, words, None, holds);
        }
    }

    fn remind(&mut self, rung: u32, step: &EscalationStep) {
        let policy = self.policy;
        let mut names: Vec<&str> = Vec::new();
        let waiting = self.state.offers.iter().filter(|offer| offer.waits());
        for name in waiting.map(|offer| &offer.target).chain(&step.targets) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        for (index, name) in names.into_iter().enumerate() {
            let path = format!("escalation[{rung}].remind[{index}]");
            let Some(target) = policy.targets.get(name) else {
                self.trace.note(path, Some(name), Verdict::Skipped, Reason::TargetMissing);
                continue;
            };
            self.trace.note(path.clone(), Some(name), Verdict::Chosen, None);
            let words = (step.template.as_str(), rung + 1, policy.delivery.ttl_secs);
            let deliveries = self.send_offer(&path, name, target, words, OfferStyle::Buttons);
            self.effects.push(Effect::Remind { target: name.to_owned(), step: rung + 1, deliveries });
        }
    }

    fn reassign(&mut self, rung: u32, step: &EscalationStep) {
        self.effects.push(Effect::ClearTimers);
        let offers = self.state.offers.iter().enumerate().filter(|(_, offer)| offer.waits());
        let lapsing = offers.map(|(index, offer)| (index, offer.target.clone())).collect();
        self.lapse(lapsing);
        self.effects.push(Effect::CancelOffers);
        if step.targets.is_empty() {
            if !self.reroute() {
                self.trace.note(format!("escalation[{rung}]"), None, Verdict::Skipped, Reason::NobodyLeft);
            }
        } else {
            self.offer_rung(rung, step);
        }
    }

    fn fall_back(&mut self, rung: u32, step: &EscalationStep) {
        let policy = self.policy;
        let path = format!("escalation[{rung}].targets[0]");
        let found = step.targets.first().and_then(|name| Some((name, policy.targets.get(name)?)));
        let Some((name, target)) = found else {
            self.trace.note(
                path,
                step.targets.first().map(String::as_str),
                Verdict::Skipped,
                Reason::TargetMissing,
            );
            self.give_up();
            return;
        };
        self.trace.note(path.clone(), Some(name), Verdict::Chosen, Reason::LadderEnded);
        self.effects.push(Effect::CancelOffers);
        let holds = self.holds_of(name, target, target.price, false);
        let words = (step.template.as_str(), rung + 1, policy.delivery.ttl_secs);
        let deliveries = self.send_offer(&path, name, target, words, OfferStyle::News);
        self.effects.push(Effect::Offer {
            target: name.clone(),
            step: rung + 1,
            deliveries,
            rule: None,
            holds,
        });
        self.assign(name, target.price);
        self.effects.push(Effect::ClearTimers);
        self.announce(LeadEventType::Accepted);
    }

    pub(super) fn give_up(&mut self) {
        self.effects.push(Effect::ClearTimers);
        self.effects.push(Effect::GiveUp);
        self.trace.note("escalation", None, Verdict::Chosen, Reason::LadderEnded);
        self.announce(LeadEventType::Unanswered);
        let lead = self.subject.lead_id;
        self.alert(None, |locale| words::unanswered(locale, lead));
    }
}
