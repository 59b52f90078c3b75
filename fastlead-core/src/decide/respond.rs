//! A target has answered.

use super::trace::Out;
use super::{Address, Decider, Effect, Hold, LeadStatus, Reason, Verdict, Via};
use crate::delivery::{Body, Purpose};
use crate::message::{Content, InteractionReply, Locale, MessageClass, Recipient, Response};
use crate::money::Money;
use crate::policy::{LeadEventType, Target};
use crate::words;

/// A press is answered within this many seconds or not at all: providers forget it soon.
const REPLY_TTL_SECS: u64 = 30;

impl<'a> Decider<'a> {
    pub(super) fn responded(&mut self, target: &str, response: Response, via: &Via) {
        let known = self.policy.targets.get(target);
        let locale = known.map_or(Locale::Ru, |target| target.locale);
        if known.is_none() {
            let rule = match response {
                Response::Accept => "respond.accept",
                Response::Decline => "respond.decline",
            };
            self.trace.note(rule, Some(target), Verdict::Refused, Reason::TargetMissing);
            self.answer_press(via, words::reply(locale, words::Reply::TakenBefore));
            return;
        }
        let mine = self.state.assigned_to.as_deref() == Some(target)
            || self.state.owners().any(|owner| owner == target);
        let reply = match response {
            Response::Accept if mine => {
                self.trace.note("respond.accept", Some(target), Verdict::Passed, Reason::Answered);
                words::Reply::Taken
            }
            Response::Accept => self.accept(target),
            Response::Decline if self.state.waits() => {
                self.decline(target);
                words::Reply::Declined
            }
            Response::Decline if !mine && self.is_offered(target) => {
                self.trace.note("respond.decline", Some(target), Verdict::Chosen, Reason::Answered);
                self.effects.push(Effect::Decline { target: target.to_owned() });
                words::Reply::Declined
            }
            Response::Decline => {
                self.trace.note("respond.decline", Some(target), Verdict::Skipped, Reason::NotWaiting);
                if mine { words::Reply::TakenByYou } else { words::Reply::TakenBefore }
            }
        };
        self.answer_press(via, words::reply(locale, reply));
    }

    /// Whether the target has an offer that is still open, although somebody has the lead.
    fn is_offered(&self, name: &str) -> bool {
        self.state.offers.iter().any(|offer| offer.target == name && offer.waits())
    }

    fn accept(&mut self, name: &str) -> words::Reply {
        if let Some(reason) = self.too_late(name) {
            self.trace.note("respond.accept", Some(name), Verdict::Refused, reason);
            return words::Reply::TakenBefore;
        }
        let policy = self.policy;
        let Some(target) = policy.targets.get(name) else {
            self.trace.note("respond.accept", Some(name), Verdict::Refused, Reason::TargetMissing);
            return words::Reply::TakenBefore;
        };
        let holds = match self.take_again(name, target) {
            Ok(holds) => holds,
            Err(out) => {
                self.trace.note_out("respond.accept", Some(name), Verdict::Refused, out);
                return words::Reply::Full;
            }
        };
        self.trace.note("respond.accept", Some(name), Verdict::Chosen, Reason::Answered);
        let last = self.state.offers.iter().rev().find(|offer| offer.target == name);
        let rule = last.and_then(|offer| offer.rule);
        if let Some(holds) = holds {
            let step = last.map_or_else(|| self.state.next_rung(), |offer| offer.step);
            self.effects.push(Effect::Offer { target: name.to_owned(), step, deliveries: 0, rule, holds });
        }
        let price = self.price_of(name, target);
        self.assign(name, price);
        let rule = rule.and_then(|rule| policy.route.rule(rule));
        let limit = rule.and_then(|rule| rule.sell_limit).unwrap_or(1);
        let alone = rule.is_some_and(|rule| rule.exclusive.iter().any(|only| only == name));
        let sold = u32::try_from(self.state.owners().count() + 1).unwrap_or(u32::MAX);
        if alone || sold >= limit {
            self.effects.extend([Effect::ClearTimers, Effect::CancelOffers]);
        }
        self.announce(LeadEventType::Accepted);
        words::Reply::Taken
    }

    /// Why the target cannot have the lead any more, if it can not.
    pub(super) fn too_late(&self, name: &str) -> Option<Reason> {
        if self.state.waits() {
            return None;
        }
        let Some(offer) = self.state.offers.iter().rev().find(|offer| offer.target == name) else {
            return Some(Reason::TakenBefore);
        };
        let rule = offer.rule.and_then(|rule| self.policy.route.rule(rule));
        let Some(rule) = rule.filter(|_| self.state.status == LeadStatus::Accepted && !offer.lapsed) else {
            return Some(Reason::TakenBefore);
        };
        let exclusive = |name: &str| rule.exclusive.iter().any(|only| only == name);
        let sold = u32::try_from(self.state.owners().count()).unwrap_or(u32::MAX);
        if sold >= rule.sell_limit.unwrap_or(1) || self.state.owners().any(exclusive) {
            return Some(Reason::TakenBefore);
        }
        exclusive(name).then_some(Reason::Exclusive)
    }

    /// What a target must take anew whose offer holds nothing (any more); `None` where it holds or needs
    /// nothing.
    fn take_again(&mut self, name: &str, target: &'a Target) -> Result<Option<Vec<Hold>>, Out<'a>> {
        if self.state.holds_for(name) {
            return Ok(None);
        }
        let facts = self.snapshot.facts.one(name);
        if target.dedupe_secs.is_some() && facts.sold > 0 {
            return Err(Reason::BoughtBefore.into());
        }
        if let Some(out) = self.full(name, target, facts) {
            return Err(out);
        }
        if let Some((out, _)) = self.project_full() {
            return Err(out);
        }
        self.hold_for_lead();
        let holds = self.holds_of(name, target, self.price_of(name, target), true);
        Ok((!holds.is_empty()).then_some(holds))
    }

    pub(super) fn assign(&mut self, name: &str, price: Option<Money>) {
        self.effects.push(Effect::Assign { target: name.to_owned(), at: self.now, price });
        self.note_owner(name);
    }

    fn decline(&mut self, target: &str) {
        let mut mine = self.state.offers.iter().filter(|offer| offer.target == target).peekable();
        if mine.peek().is_some() && mine.all(|offer| offer.declined) {
            // Pressed twice before the buttons were gone: the next one in line was found the first time.
            self.trace.note("respond.decline", Some(target), Verdict::Skipped, Reason::DeclinedBefore);
            return;
        }
        self.trace.note("respond.decline", Some(target), Verdict::Chosen, Reason::Answered);
        let declined = Effect::Decline { target: target.to_owned() };
        let after = self.state.clone().apply(std::slice::from_ref(&declined));
        self.effects.push(declined);
        if after.somebody_may_answer() {
            self.trace.note("escalation", None, Verdict::Skipped, Reason::OthersMayAnswer);
        } else {
            self.find_another();
        }
    }

    fn answer_press(&mut self, via: &Via, text: &str) {
        let Via::Button { channel_id, interaction_id, chat, message, .. } = via else { return };
        let channels = &self.snapshot.channels;
        let Some(name) =
            channels.iter().find(|(_, facts)| facts.id == *channel_id).map(|(name, _)| name.clone())
        else {
            self.trace.note("respond.reply", None, Verdict::Skipped, Reason::ChannelMissing);
            return;
        };
        let address = Address {
            rule: "respond.reply",
            channel: &name,
            recipient: Recipient::Chat(chat.clone()),
            retry: None,
        };
        let content = Content::InteractionReply(InteractionReply {
            interaction_id: interaction_id.clone(),
            text: text.to_owned(),
            // Whatever the answer: nothing is left to decide for who has pressed.
            closes: message.clone(),
        });
        self.deliver(
            address,
            Purpose::InteractionReply,
            Body::Fixed(content),
            MessageClass::Service,
            REPLY_TTL_SECS,
        );
    }
}
