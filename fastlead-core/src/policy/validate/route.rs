//! What is wrong with the rules of a route and the rungs of the ladder.

use std::collections::BTreeSet;

use super::{Check, nearest, unknown};
use crate::policy::{
    EscalationStep, LadderAction, LadderClock, OffHours, RouteOverflow, RouteRule, Strategy,
};

impl Check<'_> {
    pub(super) fn route(&mut self) {
        let policy = self.policy;
        let rules = &policy.route.rules;
        if rules.is_empty() {
            self.fault("route", "expected at least one rule, or nobody is told of a lead");
        }
        if rules.len() > 200 {
            self.fault("route", format!("has {} rules; at most 200", rules.len()));
        }
        let mut ends: Option<usize> = None;
        for (index, rule) in rules.iter().enumerate() {
            let path = if rules.len() == 1 { "route".to_owned() } else { format!("route[{index}]") };
            if let Some(earlier) = ends {
                let message = format!(
                    "is never reached: route[{earlier}] has no `when` and lets no lead pass on to the next rule"
                );
                self.fault(&path, message);
            }
            if rule.when.is_none() && keeps_all(rule) {
                ends = ends.or(Some(index));
            }
            self.rule(&path, rule);
        }
    }

    fn rule(&mut self, path: &str, rule: &RouteRule) {
        if let Some(when) = &rule.when {
            self.condition(&format!("{path}.when"), when, &[], "");
        }
        if rule.targets.is_empty() {
            let message = "expected at least one target, or nobody is told of a lead";
            self.fault(format!("{path}.targets"), message);
        }
        self.target_names(&format!("{path}.targets"), &rule.targets);
        self.template_name(&format!("{path}.template"), &rule.template);
        self.skills(path, rule);
        self.fields_of_strategy(path, rule);
        self.elsewhere(path, rule);
        self.weights(path, rule);
        let times = [
            ("queue_secs", rule.queue_secs),
            ("offer_timeout_secs", rule.offer_timeout_secs),
            ("group_timeout_secs", rule.group_timeout_secs),
            ("ping_timeout_secs", rule.ping_timeout_secs),
        ];
        for (field, seconds) in times {
            self.seconds(&format!("{path}.{field}"), seconds);
        }
        if let Some(sticky) = &rule.sticky {
            self.seconds(&format!("{path}.sticky.within_secs"), sticky.within_secs);
        }
    }

    fn skills(&mut self, path: &str, rule: &RouteRule) {
        let policy = self.policy;
        let mine = || rule.targets.iter().filter_map(|name| policy.targets.get(name));
        for (index, skill) in rule.needs_skills.iter().enumerate() {
            if mine().any(|target| target.skills.contains(skill)) {
                continue;
            }
            let known: BTreeSet<&str> =
                mine().flat_map(|target| &target.skills).map(String::as_str).collect();
            let known: Vec<&str> = known.into_iter().collect();
            let hint = match nearest(skill, &known) {
                Some(near) => format!("; did you mean `{near}`?"),
                None if known.is_empty() => "; they have no skills".to_owned(),
                None => format!("; they have: {}", known.join(", ")),
            };
            let message = format!("none of the rule's targets has the skill `{skill}`{hint}");
            self.fault(format!("{path}.needs_skills[{index}]"), message);
        }
        let everything = |skills: &[String]| rule.needs_skills.iter().all(|skill| skills.contains(skill));
        let each_known =
            rule.needs_skills.iter().all(|skill| mine().any(|target| target.skills.contains(skill)));
        if each_known && !rule.targets.is_empty() && !mine().any(|target| everything(&target.skills)) {
            self.fault(format!("{path}.needs_skills"), "no target of the rule has all of them at once");
        }
    }

    /// Fields that only some strategies have.
    fn fields_of_strategy(&mut self, path: &str, rule: &RouteRule) {
        let broadcast = rule.strategy == Strategy::Broadcast;
        let ping_post = rule.strategy == Strategy::PingPost;
        let misplaced = [
            ("sell_limit", rule.sell_limit.is_some() && !broadcast, "broadcast"),
            ("exclusive", !rule.exclusive.is_empty() && !broadcast, "broadcast"),
            ("window", rule.window.is_some() && rule.strategy != Strategy::Weighted, "weighted"),
            ("catch_up", rule.catch_up.is_some() && rule.strategy != Strategy::Weighted, "weighted"),
            ("floor", rule.floor.is_some() && !ping_post, "ping_post"),
            ("ping_fields", !rule.ping_fields.is_empty() && !ping_post, "ping_post"),
            ("ping_fields", !rule.ping_fields.is_empty() && !ping_post, "ping_post"),
            ("ping_timeout_secs", rule.ping_timeout_secs.is_some() && !ping_post, "ping_post"),
        ];
        for (field, wrong, strategy) in misplaced {
            if wrong {
                let message =
                    format!("belongs to the strategy `{strategy}`, not to `{}`", rule.strategy.as_str());
                self.fault(format!("{path}.{field}"), message);
            }
        }
        if ping_post {
            self.ping_post(path, rule);
        }
        if rule.sell_limit == Some(0) {
            self.fault(format!("{path}.sell_limit"), "expected at least 1, or nobody can have the lead");
        }
        for (index, name) in rule.exclusive.iter().enumerate() {
            if !rule.targets.contains(name) {
                let message = unknown("target of this rule", name, rule.targets.iter());
                self.fault(format!("{path}.exclusive[{index}]"), message);
            }
        }
    }

    /// Whoever is asked for a bid must be able to answer.
    fn ping_post(&mut self, path: &str, rule: &RouteRule) {
        let (policy, channels) = (self.policy, self.channels);
        for (index, name) in rule.targets.iter().enumerate() {
            let Some(target) = policy.targets.get(name) else { continue };
            let known = target.destinations.iter().filter_map(|at| channels.get(&at.channel));
            if known.clone().count() > 0 && !known.clone().any(|channel| channel.answers) {
                let message = format!(
                    "no channel of `{name}` brings back an answer, so it can never bid; expected a channel such as a webhook"
                );
                self.fault(format!("{path}.targets[{index}]"), message);
            }
        }
        if rule.floor.is_some_and(|floor| floor.minor <= 0) {
            self.fault(
                format!("{path}.floor.minor"),
                "expected at least 1 minor unit; leave it out for none",
            );
        }
        if rule.ping_timeout_secs.is_some_and(|seconds| seconds > 60) {
            self.fault(format!("{path}.ping_timeout_secs"), "expected at most 60 seconds");
        }
    }

    /// Where leads go that the rule cannot place.
    fn elsewhere(&mut self, path: &str, rule: &RouteRule) {
        if let RouteOverflow::Reject(code) = &rule.overflow {
            self.code(&format!("{path}.overflow.reject"), code);
        }
        let named = [
            ("overflow", if let RouteOverflow::Target(name) = &rule.overflow { Some(name) } else { None }),
            ("off_hours", if let OffHours::Target(name) = &rule.off_hours { Some(name) } else { None }),
        ];
        for (field, name) in named {
            let Some(name) = name else { continue };
            let path = format!("{path}.{field}.target");
            if rule.targets.contains(name) {
                let message = format!("`{name}` is one of the rule's own targets; expected another");
                self.fault(path, message);
            } else if !self.policy.targets.contains_key(name) {
                let message = unknown("target", name, self.policy.targets.keys());
                self.fault(path, message);
            }
        }
    }

    fn weights(&mut self, path: &str, rule: &RouteRule) {
        let weight = |name: &String| self.policy.targets.get(name).is_none_or(|t| t.weight != Some(0));
        if rule.strategy == Strategy::Weighted && !rule.targets.is_empty() && !rule.targets.iter().any(weight)
        {
            let message = "all weights are 0, so nobody ever gets a lead; expected one above 0";
            self.fault(format!("{path}.targets"), message);
        }
    }

    pub(super) fn ladder(&mut self) {
        let policy = self.policy;
        for (index, step) in policy.escalation.iter().enumerate() {
            let path = format!("escalation[{index}]");
            self.rung(&path, step);
            if step.action == LadderAction::Fallback && index + 1 < policy.escalation.len() {
                let message = "ends the ladder, so the steps after it are never reached";
                self.fault(format!("{path}.action"), message);
            }
        }
        self.target_names("alerts", &policy.alerts);
    }

    fn rung(&mut self, path: &str, step: &EscalationStep) {
        if step.after_secs == 0 {
            self.fault(format!("{path}.after_secs"), "expected at least 1 second");
        }
        match step.action {
            LadderAction::Offer if step.targets.is_empty() => {
                self.fault(format!("{path}.targets"), "expected at least one target");
            }
            LadderAction::Fallback if step.targets.len() != 1 => {
                self.fault(format!("{path}.targets"), "expected exactly one target, who gets the lead");
            }
            _ => {}
        }
        if let Some(when) = &step.when {
            self.condition(&format!("{path}.when"), when, &[], "");
        }
        if step.clock == LadderClock::Business && self.policy.hours.is_none() {
            let message = "counts working hours, and the policy has no `hours`";
            self.fault(format!("{path}.clock"), message);
        }
        self.target_names(&format!("{path}.targets"), &step.targets);
        self.template_name(&format!("{path}.template"), &step.template);
    }

    fn seconds(&mut self, path: &str, seconds: Option<u64>) {
        if seconds == Some(0) {
            self.fault(path, "expected at least 1 second");
        }
        if let Some(seconds) = seconds.filter(|seconds| *seconds > super::MAX_SECS) {
            let message = format!("is {seconds} seconds; at most one year ({}) is taken", super::MAX_SECS);
            self.fault(path, message);
        }
    }

    pub(super) fn code(&mut self, path: &str, code: &str) {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if code.is_empty() || code.len() > 64 || !code.chars().all(good) {
            self.fault(path, "expected 1 to 64 of a-z, 0-9 and _, such as `no_phone`");
        }
    }
}

/// Whether a rule lets no lead pass on to the next.
fn keeps_all(rule: &RouteRule) -> bool {
    rule.overflow != RouteOverflow::Next && rule.off_hours != OffHours::Skip
}
