//! What a project wants to happen to its leads, as versioned data.

mod condition;
mod confirm;
mod crew;
mod diff;
mod ladder;
mod read;
mod route;
mod sample;
mod screen;
mod target;
mod validate;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use condition::{
    Comparison, Condition, ConditionError, ConditionInput, Fact, Field, FieldKind, History, Number,
    SourceFacts, Value,
};
pub use confirm::{Confirm, ConfirmBy, HandOut};
pub(crate) use crew::Crew;
pub use diff::PolicyChange;
pub use ladder::{EscalationStep, LadderAction, LadderClock};
pub use route::{CatchUp, OffHours, Overflow as RouteOverflow, Route, RouteRule, Sticky, Strategy};
pub use screen::{EnrichStep, Review, Score, ScoreBand, ScoreRule, Screening, Spam, SpamCheck};
pub use target::{Away, Cap, Destination, Target};
pub(crate) use validate::nearest;
pub use validate::{PolicyFault, known_variables};

use crate::delivery::RetrySchedule;
use crate::id::PolicyId;
use crate::message::MessageClass;
use crate::message::url_text::HttpUrl;
use crate::schedule::{WorkingHours, Zone};
use crate::template::Template;
use crate::text::Overflow;

/// Which policy decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PolicyRef {
    /// The policy.
    pub id: PolicyId,
    /// Its version, counted from 1.
    pub version: u32,
}

/// The whole policy of a project.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Conditions under which a lead is refused, in order; the first that holds decides.
    #[serde(default)]
    pub accept: Vec<AcceptRule>,
    /// When a repeated capture counts as the same lead. Absent: every capture is a lead.
    #[serde(default)]
    pub dedupe: Option<Dedupe>,
    /// The IANA time zone of local days and hours. Default `Europe/Moscow`.
    #[serde(default = "moscow", skip_serializing_if = "is_moscow")]
    pub timezone: Zone,
    /// When the project works: what rungs with the clock `business` go by. Absent: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<WorkingHours>,
    /// After how many days without a lead of theirs a person's earlier leads are forgotten by
    /// `history.leads`. Default 30.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::duration::optional_days"
    )]
    #[schemars(with = "Option<crate::duration::Days>")]
    pub history_days: Option<u32>,
    /// How many leads the project hands out in a period of its own time zone, of all sources or one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caps: Vec<Cap>,
    /// Programs that are asked for more about a lead before it is decided upon, one after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enrich: Vec<EnrichStep>,
    /// What is taken for spam. Absent: nothing but what `accept` refuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spam: Option<Spam>,
    /// How likely a lead is worth the work. Absent: leads have no score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
    /// Leads that a person looks at before they are handed out. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Review>,
    /// Leads whose visitor is asked to confirm (double opt-in). Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Confirm>,
    /// Whether and when a buyer can give a lead back. Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns: Option<Returns>,
    /// Who can be told about a lead, by name.
    pub targets: BTreeMap<String, Target>,
    /// Who gets a lead, and with which words.
    pub route: Route,
    /// What happens while nobody accepts, in order.
    #[serde(default)]
    pub escalation: Vec<EscalationStep>,
    /// What the visitor is answered, on each channel that is listed.
    #[serde(default)]
    pub auto_reply: Vec<AutoReply>,
    /// Programs that are told of events.
    #[serde(default)]
    pub webhooks: Vec<WebhookSubscription>,
    /// Who is told when a channel is paused or a delivery cannot be made. Names of targets.
    #[serde(default)]
    pub alerts: Vec<String>,
    /// The texts, by name.
    pub templates: BTreeMap<String, Template>,
    /// How hard and how long deliveries are tried.
    #[serde(default)]
    pub delivery: DeliveryRules,
}

/// The zone of a policy that names none.
fn moscow() -> Zone {
    "Europe/Moscow".parse().unwrap_or_default()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_moscow(zone: &Zone) -> bool {
    *zone == moscow()
}

/// Whether and when a buyer can give a lead back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Returns {
    /// Within how many days after it was accepted.
    #[serde(deserialize_with = "crate::duration::days")]
    #[schemars(with = "crate::duration::Days")]
    pub within_days: u32,
    /// The reasons that are taken: stable codes of `a-z`, `0-9` and `_`, such as `wrong_number`.
    pub reasons: Vec<String>,
    /// Whether the lead is then offered to others. Default no.
    #[serde(default)]
    pub resell: bool,
}

/// A reason to refuse a lead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptRule {
    /// When this holds, the lead is refused.
    pub reject_if: Condition,
    /// Stable machine-readable reason, such as `no_phone`: lower case, digits, `_`.
    pub code: String,
}

/// When two captures are the same lead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dedupe {
    /// Whether one equal field is enough or all must be equal.
    #[serde(rename = "match")]
    pub matching: DedupeMatch,
    /// The fields that are compared. Fields that the lead does not have are not compared.
    pub fields: Vec<Field>,
    /// For how many seconds after the first capture.
    #[serde(deserialize_with = "crate::duration::seconds")]
    #[schemars(with = "crate::duration::Seconds")]
    pub window_secs: u64,
    /// Among which leads.
    #[serde(default)]
    pub scope: DedupeScope,
}

/// One equal field, or all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DedupeMatch {
    /// One equal field is enough.
    Any,
    /// All fields must be present and equal.
    All,
}

/// Among which leads a repeated one is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DedupeScope {
    /// The same source.
    Source,
    /// The same project.
    #[default]
    Project,
    /// The same workspace.
    Workspace,
}

/// An answer to the visitor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AutoReply {
    /// Leads for which this holds when they are handed out are answered. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// The name of the channel instance.
    pub channel: String,
    /// Which of the lead's addresses.
    pub to: ReplyTo,
    /// Name of the template.
    pub template: String,
    /// Service, or advertising, which needs the lead's consent.
    #[serde(default)]
    pub class: MessageClass,
    /// For how many seconds the answer is worth sending. Default 1 hour.
    #[serde(default = "default_reply_ttl", deserialize_with = "crate::duration::seconds")]
    #[schemars(with = "crate::duration::Seconds")]
    pub ttl_secs: u64,
}

const fn default_reply_ttl() -> u64 {
    3_600
}

/// One of the lead's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReplyTo {
    /// The phone number.
    Phone,
    /// The e-mail address.
    Email,
}

/// A program that is told of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookSubscription {
    /// The name of the channel instance that carries events.
    pub channel: String,
    /// Which events.
    pub events: Vec<LeadEventType>,
    /// Instead of the project's retry schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetrySchedule>,
}

/// Events that programs can subscribe to.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[non_exhaustive]
pub enum LeadEventType {
    /// A lead was taken in.
    #[serde(rename = "lead.created")]
    Created,
    /// Somebody accepted a lead.
    #[serde(rename = "lead.accepted")]
    Accepted,
    /// The ladder ended and nobody had accepted.
    #[serde(rename = "lead.unanswered")]
    Unanswered,
    /// A buyer has given a lead back.
    #[serde(rename = "lead.returned")]
    Returned,
    /// The work on a lead is done.
    #[serde(rename = "lead.closed")]
    Closed,
    /// The person's data were erased: whoever has them from here must erase them too.
    #[serde(rename = "lead.erased")]
    Erased,
}

impl LeadEventType {
    /// The dotted name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "lead.created",
            Self::Accepted => "lead.accepted",
            Self::Unanswered => "lead.unanswered",
            Self::Returned => "lead.returned",
            Self::Closed => "lead.closed",
            Self::Erased => "lead.erased",
        }
    }
}

/// How hard and how long deliveries are tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeliveryRules {
    /// For how many seconds a message to a target is worth sending. Default 24 hours.
    #[serde(deserialize_with = "crate::duration::seconds")]
    #[schemars(with = "crate::duration::Seconds")]
    pub ttl_secs: u64,
    /// When a failed attempt is repeated.
    pub retry: RetrySchedule,
    /// Whether messages to one recipient keep their order: one that the provider has not taken and that has not ended
    /// holds back the next.
    pub ordered: bool,
    /// For how many seconds after its attempt a message whose outcome is unknown holds back the next. Default 900.
    #[serde(deserialize_with = "crate::duration::seconds")]
    #[schemars(with = "crate::duration::Seconds")]
    pub ordered_wait_secs: u64,
    /// What happens to a text that is too long for its channel.
    pub overflow: Overflow,
    /// A page of the operator's console that a message about a lead links to; `{lead_id}` in it is
    /// replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lead_url: Option<HttpUrl>,
}

impl Default for DeliveryRules {
    fn default() -> Self {
        Self {
            ttl_secs: 86_400,
            retry: RetrySchedule::default(),
            ordered: false,
            ordered_wait_secs: 900,
            overflow: Overflow::default(),
            lead_url: None,
        }
    }
}

impl Policy {
    /// Whether a condition anywhere in it looks at this.
    pub fn reads(&self, fact: Fact) -> bool {
        let accept = self.accept.iter().map(|rule| &rule.reject_if);
        let route = self.route.rules.iter().filter_map(|rule| rule.when.as_ref());
        let review = self.review.iter().filter_map(|review| review.when.as_ref());
        let confirm = self.confirm.iter().filter_map(|confirm| confirm.when.as_ref());
        let score = self.score.iter().flat_map(|score| &score.rules).map(|rule| &rule.when);
        let enrich = self.enrich.iter().filter_map(|step| step.when.as_ref());
        let escalation = self.escalation.iter().filter_map(|step| step.when.as_ref());
        let replies = self.auto_reply.iter().filter_map(|reply| reply.when.as_ref());
        accept
            .chain(route)
            .chain(review)
            .chain(confirm)
            .chain(score)
            .chain(enrich)
            .chain(escalation)
            .chain(replies)
            .any(|condition| condition.reads(fact))
    }

    /// Every condition, with the path at which it stands.
    pub(crate) fn conditions_with_paths(&self) -> Vec<(String, &Condition)> {
        let mut found: Vec<(String, &Condition)> = Vec::new();
        for (index, rule) in self.accept.iter().enumerate() {
            found.push((format!("accept[{index}].reject_if"), &rule.reject_if));
        }
        let several = self.route.rules.len() != 1;
        let route = self.route.rules.iter().enumerate().map(|(index, rule)| {
            (if several { format!("route[{index}].when") } else { "route.when".to_owned() }, &rule.when)
        });
        let enrich =
            self.enrich.iter().enumerate().map(|(index, step)| (format!("enrich[{index}].when"), &step.when));
        let review = self.review.iter().map(|review| ("review.when".to_owned(), &review.when));
        let confirm = self.confirm.iter().map(|confirm| ("confirm.when".to_owned(), &confirm.when));
        let steps = self.escalation.iter().enumerate();
        let steps = steps.map(|(index, step)| (format!("escalation[{index}].when"), &step.when));
        let replies = self.auto_reply.iter().enumerate();
        let replies = replies.map(|(index, reply)| (format!("auto_reply[{index}].when"), &reply.when));
        let optional = route.chain(enrich).chain(review).chain(confirm).chain(steps).chain(replies);
        found.extend(optional.filter_map(|(path, when)| Some((path, when.as_ref()?))));
        for (index, rule) in self.score.iter().flat_map(|score| &score.rules).enumerate() {
            found.push((format!("score.rules[{index}].when"), &rule.when));
        }
        found
    }

    /// The names of all channel instances that it names.
    pub fn channel_names(&self) -> BTreeSet<&str> {
        let destinations = self.targets.values().flat_map(|target| &target.destinations);
        let destinations = destinations.map(|destination| destination.channel.as_str());
        let replies = self.auto_reply.iter().map(|reply| reply.channel.as_str());
        let confirm = self.confirm.iter().flat_map(|confirm| &confirm.ask).map(|by| by.channel.as_str());
        let webhooks = self.webhooks.iter().map(|webhook| webhook.channel.as_str());
        destinations.chain(replies).chain(confirm).chain(webhooks).collect()
    }

    /// The JSON Schema of a policy document, for editors.
    pub fn schema() -> schemars::Schema {
        schemars::schema_for!(Self)
    }
}
