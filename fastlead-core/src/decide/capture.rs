//! A contact was left.

use sha2::{Digest, Sha256};

use super::confirm::{Asked, recipient};
use super::route::Plan;
use super::{Address, Decider, Effect, Reason, UniqueKey, Verdict};
use crate::delivery::{Body, Purpose};
use crate::lead::{Capture, ConsentPurpose};
use crate::message::MessageClass;
use crate::policy::{Dedupe, DedupeMatch, DedupeScope, LeadEventType, Screening};
use crate::time::{Timestamp, plus_seconds};

impl<'a> Decider<'a> {
    pub(super) fn captured(&mut self, capture: &Capture) {
        self.enriched(capture);
        self.score();
        for (index, rule) in self.policy.accept.iter().enumerate() {
            let path = format!("accept[{index}]");
            if rule.reject_if.holds(&self.input) {
                self.trace.note(path, Some(&rule.code), Verdict::Refused, Reason::ConditionHeld);
                self.effects.push(Effect::Reject { code: rule.code.clone() });
                return;
            }
            self.trace.note(path, Some(&rule.code), Verdict::Passed, None);
        }
        if let Some(of) = self.snapshot.duplicate_of {
            self.trace.note("dedupe", Some(&of.to_string()), Verdict::Refused, Reason::DuplicateKey);
            // The event is added to the lead that is there, whose score stays its own.
            self.effects.clear();
            self.effects.push(Effect::Duplicate { of });
            return;
        }
        self.count_today();
        let unique = self.unique(capture);
        match self.screened(capture) {
            Screening::Accept => self.take_new(capture, unique),
            kept => self.keep_back(kept, unique),
        }
    }

    /// Hands a new lead out, unless the visitor has to confirm before.
    fn take_new(&mut self, capture: &Capture, unique: Option<Effect>) {
        match self.ask_to_confirm(capture) {
            Asked::Waits(until) => self.count_in(unique.map(|unique| shorter(unique, until)), false),
            Asked::Nobody(Screening::Accept) | Asked::No => {
                let plan = self.plan(0);
                self.count_in(unique, matches!(plan, Plan::Reject { .. }));
                self.hand_out(plan);
            }
            Asked::Nobody(then) => {
                let then = then.clone();
                self.keep_back(then, unique);
            }
        }
    }

    fn keep_back(&mut self, screening: Screening, unique: Option<Effect>) {
        if let Screening::Reject(code) = screening {
            self.effects.push(Effect::Reject { code });
        } else {
            self.count_in(unique, false);
            self.hold_for_review();
        }
    }

    /// The lead is one of the project's from now on, unless it is refused.
    fn count_in(&mut self, unique: Option<Effect>, refused: bool) {
        if !refused {
            self.effects.extend(unique);
            self.count_person();
        }
    }

    /// A lead that was kept back is handed out.
    pub(super) fn take_in(&mut self) {
        let plan = self.plan(0);
        self.hand_out(plan);
    }

    fn hand_out(&mut self, plan: Plan<'a>) {
        if let Plan::Reject { code } = plan {
            self.effects.push(Effect::Reject { code: code.to_owned() });
            return;
        }
        self.effects.push(Effect::Accept);
        let capture = self.subject.capture;
        let placed = self.carry_out(plan);
        self.announce(LeadEventType::Created);
        self.auto_reply(capture, |_| true);
        if !placed {
            self.climb_or_give_up();
        }
    }

    pub(super) fn unique(&mut self, capture: &Capture) -> Option<Effect> {
        let dedupe = self.policy.dedupe.as_ref()?;
        if let Some(of) = self.snapshot.duplicate_of {
            // A later lead of the same person has the key. Somebody waits for this one all the same.
            self.trace.note("dedupe", Some(&of.to_string()), Verdict::Skipped, Reason::DuplicateKey);
            return None;
        }
        let keys = self.dedupe_keys(dedupe, capture);
        if keys.is_empty() {
            self.trace.note("dedupe", None, Verdict::Passed, Reason::NothingToCompare);
            return None;
        }
        self.trace.note("dedupe", None, Verdict::Passed, None);
        let until = plus_seconds(self.now, dedupe.window_secs);
        Some(Effect::ReserveUnique { scope: dedupe.scope, keys, until })
    }

    fn dedupe_keys(&self, dedupe: &Dedupe, capture: &Capture) -> Vec<UniqueKey> {
        let scope = match dedupe.scope {
            DedupeScope::Source => self.subject.source_id.as_uuid(),
            DedupeScope::Project => self.subject.project_id.as_uuid(),
            DedupeScope::Workspace => self.subject.workspace_id.as_uuid(),
        };
        let mut start = Sha256::new();
        start.update(scope.as_bytes());
        let values =
            dedupe.fields.iter().map(|field| field.value(capture).map(|value| (field, value.to_lowercase())));
        let add = |hash: &mut Sha256, field: &crate::policy::Field, value: &str| {
            let name = field.to_string();
            for part in [name.as_str(), value] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part.as_bytes());
            }
        };
        match dedupe.matching {
            DedupeMatch::Any => values
                .flatten()
                .map(|(field, value)| {
                    let mut hash = start.clone();
                    add(&mut hash, field, &value);
                    finish(hash)
                })
                .collect(),
            DedupeMatch::All => {
                let mut hash = start;
                for pair in values {
                    let Some((field, value)) = pair else { return Vec::new() };
                    add(&mut hash, field, &value);
                }
                vec![finish(hash)]
            }
        }
    }

    /// Answers the visitor with the replies of the classes that are `wanted` now.
    pub(super) fn auto_reply(&mut self, capture: &Capture, wanted: impl Fn(MessageClass) -> bool) {
        let unconfirmed = self.is_unconfirmed();
        for (index, reply) in self.policy.auto_reply.iter().enumerate() {
            if !wanted(reply.class) {
                continue;
            }
            let rule = format!("auto_reply[{index}]");
            if reply.when.as_ref().is_some_and(|when| !when.holds(&self.input)) {
                self.trace.note(rule, Some(&reply.channel), Verdict::Skipped, Reason::ConditionFailed);
                continue;
            }
            let recipient = match recipient(reply.to, capture) {
                Ok(recipient) => recipient,
                Err(reason) => {
                    self.trace.note(rule, Some(&reply.channel), Verdict::Skipped, reason);
                    continue;
                }
            };
            if reply.class == MessageClass::Advertising && !capture.consented(ConsentPurpose::Advertising) {
                self.trace.note(rule, Some(&reply.channel), Verdict::Skipped, Reason::NoAdvertisingConsent);
                continue;
            }
            if reply.class == MessageClass::Advertising && unconfirmed {
                self.trace.note(rule, Some(&reply.channel), Verdict::Skipped, Reason::Unconfirmed);
                continue;
            }
            let body =
                Body::Template { name: reply.template.clone(), locale: capture.locale, offer_buttons: false };
            let address = Address { rule: &rule, channel: &reply.channel, recipient, retry: None };
            self.deliver(address, Purpose::AutoReply, body, reply.class, reply.ttl_secs);
        }
    }
}

/// A lead that is not confirmed keeps others away for as long as it may be confirmed, and no longer.
fn shorter(unique: Effect, until: Timestamp) -> Effect {
    match unique {
        Effect::ReserveUnique { scope, keys, until: window } => {
            Effect::ReserveUnique { scope, keys, until: window.min(until) }
        }
        other => other,
    }
}

fn finish(hash: Sha256) -> UniqueKey {
    let mut key = [0; 16];
    key.copy_from_slice(&hash.finalize()[..16]);
    UniqueKey(key)
}
