//! What a project wants to happen to its leads, as versioned data.

mod condition;
mod read;
mod sample;
mod validate;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use condition::{
    Comparison, Condition, ConditionError, ConditionInput, Fact, Field, FieldKind, History, Number,
    SourceFacts, Value,
};
pub(crate) use validate::nearest;
pub use validate::{PolicyFault, known_variables};

use crate::delivery::RetrySchedule;
use crate::id::PolicyId;
use crate::message::MessageClass;
use crate::message::{Locale, Recipient, url_text::HttpUrl};
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

/// Somebody who can be told about a lead: a manager, a team chat, later a buyer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// What people call it.
    pub display_name: String,
    /// The language it reads.
    #[serde(default)]
    pub locale: Locale,
    /// Where it is told. Each destination gets the message.
    pub destinations: Vec<Destination>,
}

/// An address on a channel instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// The name of the channel instance.
    pub channel: String,
    /// The address there.
    pub recipient: Recipient,
    /// Instead of the project's retry schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetrySchedule>,
}

/// Who gets a lead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "strategy", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Route {
    /// Every target at once; the first that accepts has it.
    Broadcast {
        /// Names of targets.
        targets: Vec<String>,
        /// Name of the template.
        template: String,
    },
}

impl Route {
    /// The targets that this route may choose, in its order.
    pub fn targets(&self) -> &[String] {
        match self {
            Self::Broadcast { targets, .. } => targets,
        }
    }

    /// The template of the offer.
    pub fn template(&self) -> &str {
        match self {
            Self::Broadcast { template, .. } => template,
        }
    }
}

/// One rung of the ladder: who is told when nobody has accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EscalationStep {
    /// How many seconds after the step before (the first: after the capture).
    pub after_secs: u64,
    /// Names of the targets that are told now.
    pub targets: Vec<String>,
    /// Name of the template.
    pub template: String,
}

/// An answer to the visitor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AutoReply {
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
    #[serde(default = "default_reply_ttl")]
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
}

impl LeadEventType {
    /// The dotted name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "lead.created",
            Self::Accepted => "lead.accepted",
            Self::Unanswered => "lead.unanswered",
        }
    }
}

/// How hard and how long deliveries are tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeliveryRules {
    /// For how many seconds a message to a target is worth sending. Default 24 hours.
    pub ttl_secs: u64,
    /// When a failed attempt is repeated.
    pub retry: RetrySchedule,
    /// Whether messages to one recipient keep their order: a stuck one holds back the next.
    pub ordered: bool,
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
            overflow: Overflow::default(),
            lead_url: None,
        }
    }
}

impl Policy {
    /// The JSON Schema of a policy document, for editors.
    pub fn schema() -> schemars::Schema {
        schemars::schema_for!(Self)
    }
}
