//! Whether a new lead is handed out, looked at by a person first, or refused.

use super::disposable::is_disposable;
use super::{Decider, Effect, LeadStatus, Reason, TimerName, Verdict};
use crate::lead::{Capture, EnrichmentOutcome};
use crate::policy::{Screening, SpamCheck};
use crate::time::plus_seconds;
use crate::words;

/// The local parts of addresses that nobody has.
const NOBODY: [&str; 8] = ["test", "asdf", "qwerty", "aaa", "abc", "none", "noemail", "fake"];

impl Decider<'_> {
    /// Says what enrichment has brought.
    pub(super) fn enriched(&mut self, capture: &Capture) {
        for (index, step) in capture.enrichment.iter().enumerate() {
            let (verdict, reason) = match step.outcome {
                EnrichmentOutcome::Answered => (Verdict::Passed, None),
                EnrichmentOutcome::TooLate => (Verdict::Skipped, Some(Reason::TimedOut)),
                EnrichmentOutcome::Failed => (Verdict::Skipped, Some(Reason::EnricherFailed)),
                EnrichmentOutcome::Missing => (Verdict::Skipped, Some(Reason::EnricherMissing)),
                EnrichmentOutcome::NotAsked => (Verdict::Skipped, Some(Reason::ConditionFailed)),
            };
            self.trace.note(format!("enrich[{index}]"), Some(&step.name), verdict, reason);
        }
    }

    /// Adds the points of the rules that hold, for conditions to ask for and for later.
    pub(super) fn score(&mut self) {
        let Some(score) = &self.policy.score else { return };
        let mut points = 0_i64;
        for (index, rule) in score.rules.iter().enumerate() {
            if rule.when.holds(&self.input) {
                points = points.saturating_add(i64::from(rule.points));
                let path = format!("score.rules[{index}]");
                self.trace.note(path, Some(&rule.points.to_string()), Verdict::Passed, Reason::ConditionHeld);
            }
        }
        self.input.score = Some(points);
        self.trace.note("score", Some(&points.to_string()), Verdict::Passed, None);
        self.effects.push(Effect::Score { points, at: self.now });
    }

    /// What becomes of the lead, and the rule that says so.
    pub(super) fn screened(&mut self, capture: &Capture) -> Screening {
        if capture.automated.is_some() {
            self.trace.note("source.limits.automated", None, Verdict::Chosen, Reason::LooksLikeSpam);
            return Screening::Review;
        }
        let spam = self.spam(capture);
        if spam != Screening::Accept {
            return spam;
        }
        let band = self.band();
        if band != Screening::Accept {
            return band;
        }
        let review = self.policy.review.as_ref().and_then(|review| review.when.as_ref());
        if review.is_some_and(|when| when.holds(&self.input)) {
            self.trace.note("review.when", None, Verdict::Chosen, Reason::ConditionHeld);
            return Screening::Review;
        }
        Screening::Accept
    }

    fn spam(&mut self, capture: &Capture) -> Screening {
        let policy = self.policy;
        let Some(spam) = &policy.spam else { return Screening::Accept };
        for (index, check) in spam.checks.iter().enumerate() {
            if shows(*check, capture) {
                let path = format!("spam.checks[{index}]");
                self.trace.note(path, None, Verdict::Refused, Reason::LooksLikeSpam);
                return spam.action.clone();
            }
        }
        let today = self.snapshot.facts.today.unwrap_or(0);
        if spam.most_per_day.is_some_and(|most| today >= u64::from(most)) {
            self.trace.note("spam.most_per_day", None, Verdict::Refused, Reason::TooManyOfPerson);
            return spam.action.clone();
        }
        Screening::Accept
    }

    /// The band of the score, whose tags the lead gets.
    fn band(&mut self) -> Screening {
        let policy = self.policy;
        let (Some(score), Some(points)) = (&policy.score, self.input.score) else {
            return Screening::Accept;
        };
        let mut bands = score.bands.iter().enumerate();
        let Some((index, band)) = bands.find(|(_, band)| points >= band.at_least) else {
            return Screening::Accept;
        };
        let verdict = if band.action == Screening::Accept { Verdict::Passed } else { Verdict::Refused };
        self.trace.note(format!("score.bands[{index}]"), None, verdict, Reason::ScoreReached);
        self.effects.extend(band.tags.iter().map(|tag| Effect::Tag { tag: tag.clone() }));
        band.action.clone()
    }

    /// Keeps a new lead for a person to look at.
    pub(super) fn hold_for_review(&mut self) {
        self.effects.push(Effect::Review);
        let policy = self.policy;
        // A policy that sends leads here without saying what happens then is refused when it is published.
        let Some(review) = &policy.review else { return };
        let due_at = plus_seconds(self.now, review.sla_secs);
        self.trace.note("review", None, Verdict::Scheduled, Reason::Waits);
        self.effects.push(Effect::SetTimer { timer: TimerName::Review, due_at });
        let lead = self.subject.lead_id;
        self.notice("review.tell", &review.tell, None, |locale| words::to_review(locale, lead));
    }

    /// A person has looked at the lead.
    pub(super) fn reviewed(&mut self, approved: bool) {
        if self.state.status != LeadStatus::Review {
            self.trace.note("review", None, Verdict::Skipped, Reason::NotWaiting);
            return;
        }
        let verdict = if approved { Verdict::Passed } else { Verdict::Refused };
        self.trace.note("review", None, verdict, Reason::Answered);
        self.effects.push(Effect::ClearTimers);
        if approved {
            self.take_in();
        } else {
            self.effects.push(Effect::Reject { code: "reviewed".to_owned() });
        }
    }

    /// Nobody has looked at the lead in time.
    pub(super) fn review_ended(&mut self) {
        if self.state.status != LeadStatus::Review {
            self.trace.note("review", None, Verdict::Skipped, Reason::NotWaiting);
            return;
        }
        self.effects.push(Effect::ClearTimers);
        let then = self.policy.review.as_ref().map(|review| review.then.clone()).unwrap_or_default();
        match then {
            Screening::Reject(code) => {
                self.trace.note("review.then", Some(&code), Verdict::Refused, Reason::TimedOut);
                self.effects.push(Effect::Reject { code });
            }
            Screening::Accept | Screening::Review => {
                self.trace.note("review.then", None, Verdict::Passed, Reason::TimedOut);
                self.take_in();
            }
        }
    }
}

/// Whether a capture shows a sign of spam.
fn shows(check: SpamCheck, capture: &Capture) -> bool {
    let email = || capture.contact.email.as_ref().map(crate::contact::Email::dedupe_key);
    match check {
        SpamCheck::PhonePattern => {
            capture.contact.phone.as_ref().is_some_and(|phone| is_pattern(phone.expose()))
        }
        SpamCheck::EmailDisposable => {
            capture.contact.email.as_ref().is_some_and(|email| is_disposable(&email.ascii_domain()))
        }
        SpamCheck::EmailPattern => email()
            .is_some_and(|email| email.split_once('@').is_some_and(|(local, _)| NOBODY.contains(&local))),
        SpamCheck::CommentLinks => {
            capture.comment.as_ref().is_some_and(|comment| links(comment.expose()) >= 2)
        }
        SpamCheck::NameLink => capture.contact.name.as_ref().is_some_and(|name| links(name.expose()) > 0),
    }
}

/// Whether the last seven digits are all equal, or go up or down by one.
fn is_pattern(phone: &str) -> bool {
    let digits: Vec<u8> = phone.bytes().filter(u8::is_ascii_digit).collect();
    let Some(last) = digits.len().checked_sub(7).map(|from| &digits[from..]) else { return false };
    let steps = |by: i16| last.windows(2).all(|pair| i16::from(pair[1]) - i16::from(pair[0]) == by);
    steps(0) || steps(1) || steps(-1)
}

fn links(text: &str) -> usize {
    let text = text.to_lowercase();
    text.matches("http://").count() + text.matches("https://").count() + text.matches(" www.").count()
}
