//! How leads and deliveries look from outside. They carry contact data: operators need it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use fastlead_core::RetryHint;
use fastlead_core::decide::{Confirmation, LeadState, LeadStatus, TimerName};
use fastlead_core::delivery::{Attempt, AttemptOperation, Body, Delivery, DeliveryState, Purpose};
use fastlead_core::id::{ChannelId, DeliveryId, LeadId, ProjectId, SourceId};
use fastlead_core::lead::{Attribution, Automated, Capture, CaptureNote, Consent, ConsentPurpose};
use fastlead_core::message::{Locale, Recipient};
use fastlead_core::policy::PolicyRef;
use fastlead_core::port::{LeadAtRisk, LeadRecord, LeadSummary, UnreadableRow};
use fastlead_core::secret::Pii;
use fastlead_core::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::names;

/// A lead in a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LeadSummary")]
pub(crate) struct LeadSummaryView {
    /// Its id.
    id: LeadId,
    /// Its project.
    project_id: ProjectId,
    /// Its source.
    source_id: SourceId,
    /// When it was captured.
    created_at: Timestamp,
    /// Where it stands.
    #[schemars(extend("enum" = LeadStatus::NAMES))]
    status: String,
    /// The target that has it.
    assigned_to: Option<String>,
    /// What was captured.
    capture: CaptureView,
}

impl From<LeadSummary> for LeadSummaryView {
    fn from(lead: LeadSummary) -> Self {
        Self {
            id: lead.id,
            project_id: lead.project_id,
            source_id: lead.source_id,
            created_at: lead.created_at,
            status: lead.status,
            assigned_to: lead.assigned_to,
            capture: lead.capture.into(),
        }
    }
}

/// A lead.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Lead")]
pub(crate) struct LeadView {
    /// Its id.
    id: LeadId,
    /// Its project.
    project_id: ProjectId,
    /// Its source.
    source_id: SourceId,
    /// When it was captured.
    created_at: Timestamp,
    /// The policy version that decides on it.
    policy: PolicyRef,
    /// What was captured first.
    capture: CaptureView,
    /// Where it stands.
    state: LeadStateView,
}

impl From<LeadRecord> for LeadView {
    fn from(lead: LeadRecord) -> Self {
        Self {
            id: lead.id,
            project_id: lead.scope.project_id,
            source_id: lead.source_id,
            created_at: lead.created_at,
            policy: lead.policy,
            capture: lead.capture.into(),
            state: lead.state.into(),
        }
    }
}

/// Where a lead stands.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LeadState")]
pub(crate) struct LeadStateView {
    /// How many decisions have changed it.
    version: u64,
    /// Where it stands; `new` until the first decision.
    #[schemars(extend("enum" = LeadStatus::NAMES))]
    status: String,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    reject_code: Option<String>,
    /// The target that has it; the last, where several have.
    assigned_to: Option<String>,
    /// Everybody who has or had it, oldest first.
    sales: Vec<SaleView>,
    /// Since when it waits in the queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    queued_at: Option<Timestamp>,
    /// Before when the visitor must confirm, and when they have.
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmation: Option<ConfirmationView>,
    /// The points that it was given when it came in.
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<i64>,
    /// Its tags.
    tags: Vec<String>,
    /// Who was offered it, oldest first.
    offers: Vec<OfferView>,
    /// What comes if nobody answers.
    timers: Vec<TimerView>,
}

/// What the visitor was asked to confirm.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Confirmation")]
pub(crate) struct ConfirmationView {
    /// Before this moment it counts.
    until: Timestamp,
    /// When the visitor has confirmed.
    confirmed_at: Option<Timestamp>,
}

impl From<Confirmation> for ConfirmationView {
    fn from(asked: Confirmation) -> Self {
        Self { until: asked.until, confirmed_at: asked.at }
    }
}

/// A lead offered to a target.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Offer")]
pub(crate) struct OfferView {
    /// The target's name.
    target: String,
    /// 0 for the route, then the rungs of the ladder from 1.
    step: u32,
    /// How many deliveries that carry it may still arrive or have arrived.
    alive: u32,
    /// Whether the target has declined.
    declined: bool,
    /// Whether the time for the answer has run out.
    lapsed: bool,
}

/// A lead that a target has or had.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Sale")]
pub(crate) struct SaleView {
    /// The target's name.
    target: String,
    /// When it accepted.
    at: Timestamp,
    /// What it pays.
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<fastlead_core::money::Money>,
    /// Why it gave the lead back, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    returned: Option<String>,
}

/// A timer of a lead.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LeadTimer")]
pub(crate) struct TimerView {
    /// What comes.
    #[schemars(extend("enum" = names::TIMERS))]
    name: String,
    /// The rung of the ladder, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<u32>,
    /// Its moment.
    due_at: Timestamp,
}

impl From<(TimerName, Timestamp)> for TimerView {
    fn from((name, due_at): (TimerName, Timestamp)) -> Self {
        let (name, step) = match name {
            TimerName::Escalate(rung) => ("escalate", Some(rung + 1)),
            TimerName::Unanswered => ("unanswered", None),
            TimerName::Offer(_) => ("offer", None),
            TimerName::Group => ("group", None),
            TimerName::Queue => ("queue", None),
            TimerName::Review => ("review", None),
            TimerName::Confirm => ("confirm", None),
            TimerName::AuctionEnds => ("auction_ends", None),
            _ => ("other", None),
        };
        Self { name: name.to_owned(), step, due_at }
    }
}

/// A lead that nobody has accepted and whose deadline comes soon.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LeadAtRisk")]
pub(crate) struct LeadAtRiskView {
    /// The lead.
    lead: LeadSummaryView,
    /// What comes first if nobody answers.
    timer: TimerView,
    /// The targets that were offered the lead and may still answer, oldest first.
    waits_for: Vec<String>,
}

impl From<LeadAtRisk> for LeadAtRiskView {
    fn from(found: LeadAtRisk) -> Self {
        let timer = (found.timer, found.due_at).into();
        Self { lead: found.lead.into(), timer, waits_for: found.waits_for }
    }
}

impl From<LeadState> for LeadStateView {
    fn from(state: LeadState) -> Self {
        let reject_code = match &state.status {
            LeadStatus::Rejected { code } => Some(code.clone()),
            _ => None,
        };
        let offer = |offer: fastlead_core::decide::Offer| OfferView {
            target: offer.target,
            step: offer.step,
            alive: offer.alive,
            declined: offer.declined,
            lapsed: offer.lapsed,
        };
        let sale = |sale: fastlead_core::decide::Sale| SaleView {
            target: sale.target,
            at: sale.at,
            price: sale.price,
            returned: sale.returned,
        };
        Self {
            version: state.version,
            status: state.status.as_str().to_owned(),
            reject_code,
            assigned_to: state.assigned_to,
            sales: state.sales.into_iter().map(sale).collect(),
            queued_at: state.queued_at,
            confirmation: state.confirmation.map(ConfirmationView::from),
            score: state.score.map(|score| score.points),
            tags: state.tags,
            offers: state.offers.into_iter().map(offer).collect(),
            timers: state.timers.into_iter().map(TimerView::from).collect(),
        }
    }
}

/// What was captured.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Capture")]
pub(crate) struct CaptureView {
    /// What the person is called.
    name: Option<Pii<String>>,
    /// The phone number in E.164 form.
    phone: Option<Pii<String>>,
    /// The extension behind it: the digits to dial when the call is answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_extension: Option<Pii<String>>,
    /// What else was typed where the phone number was asked for, such as a second number.
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_note: Option<Pii<String>>,
    /// The e-mail address.
    email: Option<Pii<String>>,
    /// Messenger accounts.
    handles: Vec<fastlead_core::contact::Handle>,
    /// What the person wrote.
    comment: Option<Pii<String>>,
    /// The source's own fields.
    fields: BTreeMap<String, Pii<String>>,
    /// Where the person came from.
    attribution: Attribution,
    /// What the person was asked and answered, with the evidence.
    consents: Vec<ConsentView>,
    /// What was cut, set aside or found by its value when the capture was read.
    notes: Vec<CaptureNote>,
    /// Why it looks as if a program had filled in the form, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    automated: Option<Automated>,
    /// The language to answer in.
    locale: Locale,
    /// When it came in.
    received_at: Timestamp,
    /// From which address.
    ip: Option<Pii<IpAddr>>,
    /// With which client.
    user_agent: Option<Pii<String>>,
    /// When whatever names the person was erased; absent where it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    erased_at: Option<Timestamp>,
}

/// One answer of a person to one document.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Consent")]
pub(crate) struct ConsentView {
    /// What was asked.
    purpose: ConsentPurpose,
    /// Whether the box was ticked.
    granted: bool,
    /// What was sent in place of a tick, as it was written; it grants nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    written: Option<Pii<String>>,
    /// The document.
    document_id: String,
    /// Its version.
    document_version: String,
    /// SHA-256 of the exact text that was shown.
    text_sha256: String,
    /// When.
    at: Timestamp,
    /// From which address.
    ip: Option<Pii<IpAddr>>,
    /// With which client.
    user_agent: Option<Pii<String>>,
    /// On which page.
    page: Option<Pii<String>>,
}

impl From<Consent> for ConsentView {
    fn from(consent: Consent) -> Self {
        let Consent {
            purpose,
            granted,
            written,
            document_id,
            document_version,
            text_sha256,
            at,
            ip,
            user_agent,
            page,
        } = consent;
        Self {
            purpose,
            granted,
            written,
            document_id,
            document_version,
            text_sha256,
            at,
            ip,
            user_agent,
            page,
        }
    }
}

impl From<Capture> for CaptureView {
    fn from(capture: Capture) -> Self {
        let contact = capture.contact;
        Self {
            name: contact.name,
            phone: contact.phone.map(|phone| Pii::new(phone.into())),
            phone_extension: contact.phone_extension,
            phone_note: contact.phone_note,
            email: contact.email.map(|email| Pii::new(email.into())),
            handles: contact.handles,
            comment: capture.comment,
            fields: capture.fields,
            attribution: capture.attribution,
            consents: capture.consents.into_iter().map(ConsentView::from).collect(),
            notes: capture.notes,
            automated: capture.automated,
            erased_at: capture.erased_at,
            locale: capture.locale,
            received_at: capture.received.at,
            ip: capture.received.ip,
            user_agent: capture.received.user_agent,
        }
    }
}

/// A message that must reach one recipient over one channel.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Delivery")]
pub(crate) struct DeliveryView {
    /// Its id.
    pub(super) id: DeliveryId,
    /// Its project.
    project_id: ProjectId,
    /// The lead it is about.
    lead_id: Option<LeadId>,
    /// The channel instance that carries it.
    channel_id: ChannelId,
    /// What it is for.
    #[schemars(extend("enum" = names::PURPOSES))]
    purpose: String,
    /// The target that is offered the lead.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    /// Who gets it.
    recipient: Recipient,
    /// The template that it is rendered from.
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<String>,
    /// The event that it tells a program.
    #[serde(skip_serializing_if = "Option::is_none")]
    event_type: Option<String>,
    /// Where it stands.
    state: DeliveryState,
    /// Why: a stable code.
    reason: Option<String>,
    /// When it was asked for.
    created_at: Timestamp,
    /// Not before this moment.
    due_at: Timestamp,
    /// Not after this moment.
    expires_at: Timestamp,
    /// When it last changed.
    updated_at: Timestamp,
    /// When the last attempt began.
    last_attempt_at: Option<Timestamp>,
    /// How many attempts were begun.
    attempts_begun: u32,
    /// How many parts of a split text the provider has accepted.
    parts_sent: u32,
    /// Whether an attempt may have arrived without our knowing.
    uncertain: bool,
    /// The provider's id of the message.
    provider_message_id: Option<String>,
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        let purpose = delivery.spec.purpose.as_str().to_owned();
        let target = match delivery.spec.purpose {
            Purpose::Offer { target, .. } | Purpose::Ping { target } | Purpose::OfferEnded { target } => {
                Some(target)
            }
            _ => None,
        };
        let (template, event_type) = match delivery.spec.body {
            Body::Template { name, .. } => (Some(name), None),
            Body::LeadEvent { event_type, .. } => (None, Some(event_type)),
            _ => (None, None),
        };
        Self {
            id: delivery.id,
            project_id: delivery.scope.project_id,
            lead_id: delivery.lead_id,
            channel_id: delivery.channel_id,
            purpose,
            target,
            recipient: delivery.spec.recipient,
            template,
            event_type,
            state: delivery.state,
            reason: delivery.reason,
            created_at: delivery.created_at,
            due_at: delivery.due_at,
            expires_at: delivery.expires_at,
            updated_at: delivery.updated_at,
            last_attempt_at: delivery.last_attempt_at,
            attempts_begun: delivery.attempts,
            parts_sent: delivery.parts_sent,
            uncertain: delivery.uncertain,
            provider_message_id: delivery.provider_message_id,
        }
    }
}

/// A delivery with everything that was attempted.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DeliveryDetails")]
pub(crate) struct DeliveryDetailsView {
    /// The delivery.
    #[serde(flatten)]
    pub(super) delivery: DeliveryView,
    /// The attempts, oldest first.
    pub(super) attempts: Vec<AttemptView>,
    /// Attempts that cannot be read; absent where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub(super) unreadable: Vec<UnreadableRow>,
}

/// What one attempt did.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Attempt")]
pub(crate) struct AttemptView {
    /// Counted from 1.
    number: u32,
    /// Which part of a split text, from 0.
    part: u32,
    /// What it was.
    operation: AttemptOperation,
    /// When it began.
    started_at: Timestamp,
    /// How long it took, in microseconds.
    micros: u64,
    /// How it failed; `null` for success.
    error: Option<AttemptErrorView>,
    /// The provider's id of the message.
    provider_message_id: Option<String>,
    /// Billable parts.
    segments: Option<u32>,
    /// The cost as the provider says it.
    cost: Option<String>,
    /// What was decided upon it, such as `sent` or `retry`.
    verdict: String,
}

/// How an attempt failed.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AttemptError")]
pub(crate) struct AttemptErrorView {
    /// Stable code of the kind of error.
    code: String,
    /// `never`, `safe` (the provider certainly did not act) or `if_idempotent` (the outcome is unknown).
    #[schemars(extend("enum" = names::RETRIES))]
    retry: String,
    /// The provider's own code.
    provider_code: Option<String>,
    /// What is wrong.
    message: String,
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        let error = attempt.error.map(|error| AttemptErrorView {
            code: error.kind.code().to_owned(),
            retry: match error.retry {
                RetryHint::Never => "never",
                RetryHint::Safe { .. } => "safe",
                RetryHint::IfIdempotent { .. } => "if_idempotent",
            }
            .to_owned(),
            provider_code: error.provider_code,
            message: error.message,
        });
        Self {
            number: attempt.number,
            part: attempt.part,
            operation: attempt.operation,
            started_at: attempt.started_at,
            micros: attempt.micros,
            error,
            provider_message_id: attempt.provider_message_id,
            segments: attempt.segments,
            cost: attempt.cost,
            verdict: attempt.verdict,
        }
    }
}
