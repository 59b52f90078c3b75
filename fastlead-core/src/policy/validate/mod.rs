//! What is wrong with a policy, with the path of each fault and the nearest valid name.

mod confirm;
mod route;
mod screen;
mod target;
#[cfg(test)]
mod tests;
mod warn;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Policy, ReplyTo};
use crate::channel::Capabilities;
use crate::message::RecipientKind;
use crate::time::Timestamp;

/// One fault of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct PolicyFault {
    /// Where, such as `escalation[1].targets[0]`.
    pub path: String,
    /// What is wrong, what was expected, and the nearest valid name.
    pub message: String,
}

impl std::fmt::Display for PolicyFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// The variables that templates may use. `lead.fields.*` is open.
pub const fn known_variables() -> &'static [&'static str] {
    &[
        "lead.id",
        "lead.name",
        "lead.phone",
        "lead.phone_number",
        "lead.phone_extension",
        "lead.phone_note",
        "lead.email",
        "lead.comment",
        "lead.fields",
        "lead.created_at",
        "lead.locale",
        "lead.page",
        "lead.referrer",
        "lead.utm_source",
        "lead.utm_medium",
        "lead.utm_campaign",
        "lead.utm_content",
        "lead.utm_term",
        "project.name",
        "source.name",
        "offer.step",
        "offer.target",
        "confirm.url",
    ]
}

/// Longest window, lifetime or delay that a policy may ask for: one year.
const MAX_SECS: u64 = 366 * 86_400;
/// Most entries of any list or map.
const MAX_ENTRIES: usize = 1_000;

impl Policy {
    /// Checks that the policy can work with `channels`, the workspace's channel instances by name, from `now`
    /// on: hours must open some day, and a calendar must know this year.
    ///
    /// # Errors
    /// Every fault, not just the first.
    pub fn validate(
        &self,
        channels: &BTreeMap<String, Capabilities>,
        now: Timestamp,
    ) -> Result<(), Vec<PolicyFault>> {
        let mut check = Check { policy: self, channels, now, faults: Vec::new() };
        check.accept();
        check.dedupe();
        check.targets();
        check.distribution();
        check.screen();
        check.confirm();
        check.route();
        check.ladder();
        check.replies();
        check.webhooks();
        check.templates();
        check.durations();
        if check.faults.is_empty() { Ok(()) } else { Err(check.faults) }
    }
}

struct Check<'a> {
    policy: &'a Policy,
    channels: &'a BTreeMap<String, Capabilities>,
    now: Timestamp,
    faults: Vec<PolicyFault>,
}

impl<'a> Check<'a> {
    fn fault(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.faults.push(PolicyFault { path: path.into(), message: message.into() });
    }

    fn accept(&mut self) {
        for (index, rule) in self.policy.accept.iter().enumerate() {
            self.code(&format!("accept[{index}].code"), &rule.code);
            let path = format!("accept[{index}].reject_if");
            self.condition(&path, &rule.reject_if, &[], "");
        }
    }

    fn dedupe(&mut self) {
        let Some(dedupe) = &self.policy.dedupe else { return };
        if dedupe.fields.is_empty() || dedupe.fields.len() > 16 {
            self.fault("dedupe.fields", "expected 1 to 16 fields, such as `contact.phone`");
        }
        for (index, field) in dedupe.fields.iter().enumerate() {
            if !field.identifies() {
                let message =
                    format!("`{field}` does not tell leads apart; expected a field such as `contact.phone`");
                self.fault(format!("dedupe.fields[{index}]"), message);
            }
        }
        if dedupe.window_secs == 0 {
            self.fault(
                "dedupe.window_secs",
                "expected at least 1 second; leave `dedupe` out to take every capture",
            );
        }
    }

    fn targets(&mut self) {
        let policy = self.policy;
        if policy.targets.len() > MAX_ENTRIES {
            self.fault("targets", format!("has {} targets; at most {MAX_ENTRIES}", policy.targets.len()));
        }
        for (name, target) in &policy.targets {
            if target.destinations.is_empty() {
                self.fault(format!("targets.{name}.destinations"), "expected at least one destination");
            }
            for (index, destination) in target.destinations.iter().enumerate() {
                let path = format!("targets.{name}.destinations[{index}]");
                let kind = destination.recipient.kind();
                if let Err(error) = destination.recipient.check() {
                    let field = if kind == RecipientKind::Phone { "phone" } else { "email" };
                    self.fault(format!("{path}.recipient.{field}"), error.to_string());
                }
                let Some(capabilities) = self.channel(&format!("{path}.channel"), &destination.channel)
                else {
                    continue;
                };
                if !capabilities.text {
                    let message =
                        format!("channel `{}` does not carry texts for people", destination.channel);
                    self.fault(format!("{path}.channel"), message);
                } else if !capabilities.recipients.contains(&kind) {
                    self.wrong_recipient(&format!("{path}.recipient"), &destination.channel, kind);
                }
            }
        }
    }

    fn replies(&mut self) {
        for (index, reply) in self.policy.auto_reply.iter().enumerate() {
            let path = format!("auto_reply[{index}]");
            if let Some(when) = &reply.when {
                self.condition(&format!("{path}.when"), when, &[], "");
            }
            self.template_name(&format!("{path}.template"), &reply.template);
            self.reaches(&path, &reply.channel, reply.to);
        }
    }

    /// Whether a channel sends to this address of a visitor.
    fn reaches(&mut self, path: &str, channel: &str, to: ReplyTo) {
        let kind = match to {
            ReplyTo::Phone => RecipientKind::Phone,
            ReplyTo::Email => RecipientKind::Email,
        };
        let Some(capabilities) = self.channel(&format!("{path}.channel"), channel) else { return };
        if !capabilities.recipients.contains(&kind) {
            self.wrong_recipient(&format!("{path}.to"), channel, kind);
        }
    }

    fn webhooks(&mut self) {
        for (index, webhook) in self.policy.webhooks.iter().enumerate() {
            let path = format!("webhooks[{index}]");
            if webhook.events.is_empty() {
                self.fault(format!("{path}.events"), "expected at least one event, such as `lead.created`");
            }
            let Some(capabilities) = self.channel(&format!("{path}.channel"), &webhook.channel) else {
                continue;
            };
            if !capabilities.events {
                let message = format!("channel `{}` does not carry events for programs", webhook.channel);
                self.fault(format!("{path}.channel"), message);
            }
        }
    }

    fn templates(&mut self) {
        let faults = crate::template::check(&self.policy.templates, known_variables());
        self.faults
            .extend(faults.into_iter().map(|fault| PolicyFault { path: fault.path, message: fault.message }));
    }

    fn durations(&mut self) {
        let policy = self.policy;
        let mut durations = vec![
            ("delivery.ttl_secs".to_owned(), policy.delivery.ttl_secs),
            ("delivery.ordered_wait_secs".to_owned(), policy.delivery.ordered_wait_secs),
        ];
        durations
            .extend(policy.dedupe.iter().map(|dedupe| ("dedupe.window_secs".to_owned(), dedupe.window_secs)));
        for (index, step) in policy.escalation.iter().enumerate() {
            durations.push((format!("escalation[{index}].after_secs"), step.after_secs));
        }
        for (index, reply) in policy.auto_reply.iter().enumerate() {
            durations.push((format!("auto_reply[{index}].ttl_secs"), reply.ttl_secs));
        }
        for (path, seconds) in durations {
            if seconds > MAX_SECS {
                self.fault(path, format!("is {seconds} seconds; at most one year ({MAX_SECS}) is taken"));
            }
        }
        if policy.delivery.ttl_secs == 0 {
            self.fault("delivery.ttl_secs", "expected at least 1 second, or no message would ever be sent");
        }
        if policy.delivery.retry.delays_secs.len() > 50 {
            self.fault("delivery.retry", "expected at most 50 delays");
        }
    }

    fn channel(&mut self, path: &str, name: &str) -> Option<&'a Capabilities> {
        let found = self.channels.get(name);
        if found.is_none() {
            let message = unknown("channel", name, self.channels.keys());
            self.fault(path, message);
        }
        found
    }

    fn target_names(&mut self, path: &str, names: &[String]) {
        let mut seen = BTreeSet::new();
        for (index, name) in names.iter().enumerate() {
            if !self.policy.targets.contains_key(name) {
                let message = unknown("target", name, self.policy.targets.keys());
                self.fault(format!("{path}[{index}]"), message);
            } else if !seen.insert(name) {
                self.fault(format!("{path}[{index}]"), format!("target `{name}` is listed twice"));
            }
        }
    }

    fn template_name(&mut self, path: &str, name: &str) {
        if !self.policy.templates.contains_key(name) {
            let message = unknown("template", name, self.policy.templates.keys());
            self.fault(path, message);
        }
    }

    fn wrong_recipient(&mut self, path: &str, channel: &str, kind: RecipientKind) {
        let message =
            format!("channel `{channel}` does not send to a recipient of the kind {kind:?}").to_lowercase();
        self.fault(path, message);
    }
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a String>) -> String {
    let known: Vec<&str> = known.map(String::as_str).collect();
    match nearest(name, &known) {
        Some(near) => format!("unknown {what} `{name}`; did you mean `{near}`?"),
        None if known.is_empty() => format!("unknown {what} `{name}`; there are none"),
        None => format!("unknown {what} `{name}`; expected one of: {}", known.join(", ")),
    }
}

/// The known name that differs least, where it differs little.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).max(1);
    known
        .iter()
        .map(|candidate| (distance(name, candidate), *candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
