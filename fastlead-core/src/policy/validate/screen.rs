//! What is wrong with enrichment, spam rules, score and review.

use super::Check;
use crate::policy::{Condition, Fact, Screening};

impl Check<'_> {
    pub(super) fn screen(&mut self) {
        self.enrich();
        self.spam();
        self.score();
        self.review();
    }

    fn enrich(&mut self) {
        let policy = self.policy;
        if policy.enrich.len() > 8 {
            self.fault("enrich", format!("has {} steps; at most 8", policy.enrich.len()));
        }
        for (index, step) in policy.enrich.iter().enumerate() {
            let path = format!("enrich[{index}]");
            self.code(&format!("{path}.name"), &step.name);
            if step.budget_ms == 0 || step.budget_ms > 10_000 {
                self.fault(format!("{path}.budget_ms"), "expected 1 to 10000 milliseconds");
            }
            if let Some(when) = &step.when {
                let unknown = [Fact::Score, Fact::History, Fact::Hours];
                self.condition(&format!("{path}.when"), when, &unknown, "before a lead is enriched");
            }
        }
    }

    fn spam(&mut self) {
        let policy = self.policy;
        let Some(spam) = &policy.spam else { return };
        if spam.checks.is_empty() && spam.most_per_day.is_none() {
            self.fault("spam", "looks for nothing; expected `checks`, `most_per_day` or both");
        }
        if spam.most_per_day == Some(0) {
            self.fault("spam.most_per_day", "expected at least 1, or every lead is spam");
        }
        if spam.action == Screening::Accept {
            self.fault(
                "spam.action",
                "expected `review` or `{\"reject\": CODE}`; leave `spam` out to accept",
            );
        }
        self.screening("spam.action", &spam.action);
    }

    fn score(&mut self) {
        let policy = self.policy;
        let Some(score) = &policy.score else { return };
        if score.half_life_days == Some(0) {
            self.fault("score.half_life_days", "expected at least 1 day; leave it out for points that stay");
        }
        for (index, rule) in score.rules.iter().enumerate() {
            let path = format!("score.rules[{index}].when");
            self.condition(&path, &rule.when, &[Fact::Score], "while the score is added up");
        }
        for (index, band) in score.bands.iter().enumerate() {
            let path = format!("score.bands[{index}]");
            let before = index.checked_sub(1).and_then(|before| score.bands.get(before));
            if let Some(before) = before.filter(|before| before.at_least <= band.at_least) {
                let message = format!(
                    "is {}, not below {} of the band before, so it is never reached",
                    band.at_least, before.at_least
                );
                self.fault(format!("{path}.at_least"), message);
            }
            self.screening(&format!("{path}.action"), &band.action);
        }
    }

    fn review(&mut self) {
        let policy = self.policy;
        let Some(review) = &policy.review else { return };
        if review.sla_secs == 0 || review.sla_secs > super::MAX_SECS {
            self.fault("review.sla_secs", format!("expected 1 to {} seconds", super::MAX_SECS));
        }
        match &review.then {
            Screening::Review => {
                self.fault("review.then", "expected `accept` or `{\"reject\": CODE}`, or it never ends");
            }
            then => self.screening("review.then", then),
        }
        if let Some(when) = &review.when {
            self.condition("review.when", when, &[], "");
        }
        self.target_names("review.tell", &review.tell);
    }

    pub(super) fn screening(&mut self, path: &str, screening: &Screening) {
        match screening {
            Screening::Reject(code) => self.code(&format!("{path}.reject"), code),
            Screening::Review if self.policy.review.is_none() => {
                self.fault(path, "sends leads to review, and the policy has no `review`");
            }
            _ => {}
        }
    }

    /// A condition that must not ask for what is unknown when it is asked.
    pub(super) fn condition(&mut self, path: &str, condition: &Condition, unknown: &[Fact], moment: &str) {
        self.faults.extend(condition.faults(path));
        for fact in unknown {
            if condition.reads(*fact) {
                self.fault(path, format!("{} is not known {moment}", fact.name()));
            }
        }
        if condition.reads(Fact::Hours) && self.policy.hours.is_none() && !unknown.contains(&Fact::Hours) {
            self.fault(path, "asks whether the project is open, and the policy has no `hours`");
        }
        if condition.reads(Fact::Score) && self.policy.score.is_none() && !unknown.contains(&Fact::Score) {
            self.fault(path, "asks for the score, and the policy has no `score`");
        }
    }
}
