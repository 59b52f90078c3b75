//! What a policy can work with and whoever wrote it probably did not mean.

use std::collections::BTreeSet;

use super::PolicyFault;
use crate::duration::in_words;
use crate::policy::{Condition, Crew, OffHours, Policy, RouteOverflow, RouteRule};
use crate::schedule::{WorkingHours, Zone};
use crate::time::{Timestamp, plus_seconds};

/// How many days ahead hours are looked at: over the longest holidays.
const LOOKAHEAD_DAYS: u64 = 60;
/// How many days before a year its holidays should be known: decrees come in September and October.
const DECREE_DAYS: u64 = 92;

impl Policy {
    /// What the policy can work with but probably does not mean, from `now` on: waits that end before anybody works,
    /// a year whose holidays are not known, a route that is not for all leads, targets and templates that nothing names,
    /// conditions that can never hold.
    /// Warnings never keep a policy from being published.
    pub fn warnings(&self, now: Timestamp) -> Vec<PolicyFault> {
        let mut warn = Warn { policy: self, now, warnings: Vec::new() };
        warn.waits();
        warn.calendars();
        warn.catch_all();
        warn.unused();
        warn.conditions();
        warn.warnings
    }
}

struct Warn<'a> {
    policy: &'a Policy,
    now: Timestamp,
    warnings: Vec<PolicyFault>,
}

impl<'a> Warn<'a> {
    fn warn(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.warnings.push(PolicyFault { path: path.into(), message: message.into() });
    }

    /// The rules of the route, with their paths.
    fn rules(&self) -> impl Iterator<Item = (String, &'a RouteRule)> + use<'a> {
        let rules = &self.policy.route.rules;
        let single = rules.len() == 1;
        let path = move |index| if single { "route".to_owned() } else { format!("route[{index}]") };
        rules.iter().enumerate().map(move |(index, rule)| (path(index), rule))
    }

    /// Calendars that do not know the year that begins soon. Of the present year that is a fault.
    fn calendars(&mut self) {
        let policy = self.policy;
        if let Some(hours) = &policy.hours {
            self.calendar("hours", hours, policy.timezone);
        }
        for (name, target) in &policy.targets {
            if let Some(hours) = &target.hours {
                let zone = target.timezone.unwrap_or(policy.timezone);
                self.calendar(&format!("targets.{name}.hours"), hours, zone);
            }
        }
    }

    fn calendar(&mut self, path: &str, hours: &WorkingHours, zone: Zone) {
        let soon = plus_seconds(self.now, DECREE_DAYS * 86_400);
        if hours.unknown_year(self.now, self.now, zone).is_some() {
            return;
        }
        if let Some(year) = hours.unknown_year(self.now, soon, zone) {
            let message = format!(
                "the calendar knows no moved days off of {year} yet, which begins soon: only the holidays of the law are off; update this program, or list its days in `days` and the year in `years`"
            );
            self.warn(format!("{path}.holidays"), message);
        }
    }

    /// A lead for which no rule's condition holds.
    fn catch_all(&mut self) {
        let rules = &self.policy.route.rules;
        let for_all = |rule: &RouteRule| {
            rule.when.as_ref().is_none_or(|when| matches!(when, Condition::All(inner) if inner.is_empty()))
        };
        if rules.is_empty() || rules.iter().any(for_all) {
            return;
        }
        let then = if self.policy.escalation.is_empty() {
            "is `unanswered` at once"
        } else {
            "goes to the first step of `escalation` at once"
        };
        let message = format!(
            "every rule has a `when`, and a lead for which none holds {then}; add a rule without `when` at the end"
        );
        self.warn("route", message);
    }

    /// Targets and templates that nothing names.
    fn unused(&mut self) {
        let policy = self.policy;
        let mut targets: BTreeSet<&str> = policy.alerts.iter().map(String::as_str).collect();
        let mut templates: BTreeSet<&str> = BTreeSet::new();
        for (_, rule) in self.rules() {
            targets.extend(rule.targets.iter().map(String::as_str));
            templates.insert(&rule.template);
            if let RouteOverflow::Target(name) = &rule.overflow {
                targets.insert(name);
            }
            if let OffHours::Target(name) = &rule.off_hours {
                targets.insert(name);
            }
        }
        for step in &policy.escalation {
            targets.extend(step.targets.iter().map(String::as_str));
            templates.insert(&step.template);
        }
        targets.extend(policy.review.iter().flat_map(|review| &review.tell).map(String::as_str));
        templates.extend(policy.auto_reply.iter().map(|reply| reply.template.as_str()));
        let asks = policy.confirm.iter().flat_map(|confirm| &confirm.ask);
        templates.extend(asks.map(|by| by.template.as_str()));
        for name in policy.targets.keys().filter(|name| !targets.contains(name.as_str())) {
            self.warn(format!("targets.{name}"), "is never told: no rule, step, alert or review names it");
        }
        for name in policy.templates.keys().filter(|name| !templates.contains(name.as_str())) {
            self.warn(
                format!("templates.{name}"),
                "is never used: no rule, step, reply or question names it",
            );
        }
    }

    fn conditions(&mut self) {
        let policy = self.policy;
        let targets: Vec<&str> = policy.targets.keys().map(String::as_str).collect();
        for (path, condition) in policy.conditions_with_paths() {
            for doubt in condition.doubts(&targets) {
                self.warn(path.clone(), doubt);
            }
        }
    }

    /// Waits that are shorter than the longest stretch in which nobody works who could end them.
    fn waits(&mut self) {
        for (path, rule) in self.rules() {
            let crew = Crew::of(self.policy, rule.targets.iter().map(String::as_str));
            let closed = crew.longest_closed(self.now, LOOKAHEAD_DAYS).num_seconds();
            let closed = u64::try_from(closed).unwrap_or(0);
            let short = |seconds: &u64| *seconds < closed;
            let words = |seconds: u64| in_words(seconds);
            let waits = rule.queues() && rule.off_hours == OffHours::Queue;
            if let Some(seconds) = rule.queue_secs.filter(short).filter(|_| waits) {
                let message = format!(
                    "is {}, and nobody of the rule works for up to {}: the steps of `escalation` begin before; leave it out to wait for a day of working time",
                    words(seconds),
                    words(closed),
                );
                self.warn(format!("{path}.queue_secs"), message);
            }
            let asleep = matches!(rule.off_hours, OffHours::Ignore);
            if let Some(seconds) = rule.offer_timeout_secs.filter(short).filter(|_| asleep) {
                let message = format!(
                    "is {}, and nobody of the rule works for up to {}: with `off_hours: ignore` the offer lapses before anybody sees it",
                    words(seconds),
                    words(closed),
                );
                self.warn(format!("{path}.offer_timeout_secs"), message);
            }
        }
    }
}
