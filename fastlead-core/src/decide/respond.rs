//! A target has answered.

use super::{Address, Decider, Effect, Reason, Verdict, Via};
use crate::delivery::{Body, Purpose};
use crate::message::{Content, InteractionReply, Locale, MessageClass, Recipient, Response};
use crate::policy::LeadEventType;
use crate::words;

/// A press is answered within this many seconds or not at all: providers forget it soon.
const REPLY_TTL_SECS: u64 = 30;

impl Decider<'_> {
    pub(super) fn responded(&mut self, target: &str, response: Response, via: &Via) {
        let locale = self.policy.targets.get(target).map_or(Locale::Ru, |target| target.locale);
        let mine = self.state.assigned_to.as_deref() == Some(target);
        let reply = match (response, self.state.waits()) {
            (Response::Accept, true) => {
                self.accept(target);
                words::Reply::Taken
            }
            (Response::Accept, false) if mine => {
                self.trace.note("respond.accept", Some(target), Verdict::Passed, Reason::Answered);
                words::Reply::Taken
            }
            (Response::Accept, false) => {
                self.trace.note("respond.accept", Some(target), Verdict::Refused, Reason::TakenBefore);
                words::Reply::TakenBefore
            }
            (Response::Decline, true) => {
                self.decline(target);
                words::Reply::Declined
            }
            (Response::Decline, false) => {
                self.trace.note("respond.decline", Some(target), Verdict::Skipped, Reason::NotWaiting);
                if mine { words::Reply::TakenByYou } else { words::Reply::TakenBefore }
            }
        };
        self.answer_press(via, words::reply(locale, reply));
    }

    fn accept(&mut self, target: &str) {
        self.trace.note("respond.accept", Some(target), Verdict::Chosen, Reason::Answered);
        self.effects.extend([
            Effect::Assign { target: target.to_owned() },
            Effect::ClearTimers,
            Effect::CancelOffers,
        ]);
        self.announce(LeadEventType::Accepted);
    }

    fn decline(&mut self, target: &str) {
        self.trace.note("respond.decline", Some(target), Verdict::Chosen, Reason::Answered);
        let declined = Effect::Decline { target: target.to_owned() };
        let after = self.state.clone().apply(std::slice::from_ref(&declined));
        self.effects.push(declined);
        if after.somebody_may_answer() {
            self.trace.note("escalation", None, Verdict::Skipped, Reason::OthersMayAnswer);
        } else {
            self.climb_now();
        }
    }

    fn answer_press(&mut self, via: &Via, text: &str) {
        let Via::Button { channel_id, interaction_id, chat, message } = via else { return };
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
