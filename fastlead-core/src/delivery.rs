//! Deliveries: rows that say what must be sent, to whom, until when, and what became of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{ErrorKind, RetryHint};
use crate::id::{ChannelId, DeliveryId, LeadId, LeaseToken, ProjectId, WorkspaceId};
use crate::message::{Content, Locale, MessageClass, Recipient};
use crate::policy::PolicyRef;
use crate::secret::Pii;
use crate::text::Overflow;
use crate::time::{Timestamp, plus, plus_seconds};

/// Which tenant and project something belongs to. An argument of every store operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// The tenant.
    pub workspace_id: WorkspaceId,
    /// The project.
    pub project_id: ProjectId,
}

/// What a delivery is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
#[non_exhaustive]
pub enum Purpose {
    /// Offers a lead to a target.
    Offer {
        /// The target's name in the policy.
        target: String,
        /// 0 for the route itself, then the rungs of the ladder from 1.
        step: u32,
    },
    /// Asks a target what it pays for a lead.
    Ping {
        /// The target's name in the policy.
        target: String,
    },
    /// Answers the visitor.
    AutoReply,
    /// Asks the visitor to confirm.
    Confirmation,
    /// Tells a program of an event.
    Webhook,
    /// Answers a pressed button.
    InteractionReply,
    /// Says under a message that has offered a lead what has become of the offer.
    OfferEnded {
        /// The target's name in the policy.
        target: String,
    },
    /// Tells the owner of trouble.
    Notice,
    /// Sent by hand, such as a test message.
    Manual,
}

impl Purpose {
    /// Stable name: `offer`, `ping`, `auto_reply`, `confirmation`, `webhook`, `interaction_reply`, `offer_ended`,
    /// `notice` or `manual`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Offer { .. } => "offer",
            Self::Ping { .. } => "ping",
            Self::AutoReply => "auto_reply",
            Self::Confirmation => "confirmation",
            Self::Webhook => "webhook",
            Self::InteractionReply => "interaction_reply",
            Self::OfferEnded { .. } => "offer_ended",
            Self::Notice => "notice",
            Self::Manual => "manual",
        }
    }
}

/// What a delivery says: the name of a text that is rendered when it is sent, or the thing itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "body")]
#[non_exhaustive]
pub enum Body {
    /// A template of the policy that decided, filled with the lead.
    Template {
        /// Its name.
        name: String,
        /// The reader's language.
        locale: Locale,
        /// Whether the accept and decline buttons stand under it.
        offer_buttons: bool,
    },
    /// An event for a program, filled with the lead when it is sent.
    LeadEvent {
        /// Dotted name, such as `lead.created`.
        event_type: String,
        /// When it happened.
        occurred_at: Timestamp,
    },
    /// A question for a bid, with as much of the lead as may be told before it is sold.
    Ping {
        /// What is told.
        fields: Vec<crate::policy::Field>,
        /// The least bid that is taken.
        floor: Option<crate::money::Money>,
    },
    /// What a delivery has shown, once more, without the buttons that respond and with another last line.
    OfferEnded {
        /// That delivery, over the same channel.
        offer: DeliveryId,
        /// The line. It may name whoever has pressed the button.
        line: Pii<String>,
        /// Whether the line stands in place of the text: the person of whom it told was erased.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        instead: bool,
    },
    /// A finished content.
    Fixed(Content),
}

/// The immutable part of a delivery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeliverySpec {
    /// What it is for.
    pub purpose: Purpose,
    /// Who it goes to.
    pub recipient: Recipient,
    /// What it says.
    pub body: Body,
    /// Service or advertising.
    pub class: MessageClass,
    /// When a failed attempt is repeated.
    #[serde(default, skip_serializing_if = "RetrySchedule::is_published")]
    pub retry: RetrySchedule,
    /// What happens to a text that is too long.
    pub overflow: Overflow,
    /// The policy that asked for it; its templates are used.
    pub policy: Option<PolicyRef>,
}

/// A delivery that is to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDelivery {
    /// Its id, which is also the idempotency key given to the provider.
    pub id: DeliveryId,
    /// Whose it is.
    pub scope: Scope,
    /// The lead it is about, if any.
    pub lead_id: Option<LeadId>,
    /// The channel instance that carries it.
    pub channel_id: ChannelId,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Not before this moment.
    pub due_at: Timestamp,
    /// Not after this moment.
    pub expires_at: Timestamp,
    /// Deliveries with the same key keep their order.
    pub order_key: Option<OrderKey>,
    /// The immutable part.
    pub spec: DeliverySpec,
    /// A lease that the committing worker takes with the insert, to send at once. The delivery stays `pending` under
    /// it until [`crate::port::Store::begin`].
    pub lease: Option<Lease>,
}

/// A worker's hold on a piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// A settle must carry it.
    pub token: LeaseToken,
    /// Then another worker may take over.
    pub until: Timestamp,
}

/// Which deliveries keep their order among themselves: 16 bytes that tell nothing of the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderKey(pub [u8; 16]);

impl OrderKey {
    /// The key of everything that goes to `recipient` over `channel`.
    pub fn of(channel: ChannelId, recipient: &Recipient) -> Self {
        let mut hash = Sha256::new();
        hash.update(channel.as_uuid().as_bytes());
        hash.update([recipient.kind() as u8]);
        hash.update(recipient.address().as_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&hash.finalize()[..16]);
        Self(key)
    }
}

/// Where a delivery stands. The terminal states are the ones of the promise.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Waits for its moment.
    Pending,
    /// An attempt has begun, and what came of it is not known yet.
    Sending,
    /// The provider has accepted it and owes a receipt, or the outcome of an attempt is being asked for.
    AwaitingReceipt,
    /// It arrived.
    Delivered,
    /// The provider accepted it and gives no receipts, or gave none in time.
    Sent,
    /// It will not arrive, for a reason.
    Failed,
    /// It outlived its lifetime.
    Expired,
    /// It must not be sent, for a reason.
    Suppressed,
    /// It is not wanted any more.
    Cancelled,
    /// It may or may not have been sent, and nobody can tell: a person must look.
    Ambiguous,
}

impl DeliveryState {
    /// Whether nothing more happens by itself.
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::Sending | Self::AwaitingReceipt)
    }

    /// Whether somebody may want it to be tried again.
    pub const fn is_revivable(self) -> bool {
        matches!(self, Self::Failed | Self::Expired | Self::Ambiguous)
    }

    /// Whether it ended without reaching the recipient, or perhaps without.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Expired | Self::Suppressed | Self::Ambiguous)
    }

    /// Stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::AwaitingReceipt => "awaiting_receipt",
            Self::Delivered => "delivered",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Suppressed => "suppressed",
            Self::Cancelled => "cancelled",
            Self::Ambiguous => "ambiguous",
        }
    }

    /// Whether a receipt that says `told` changes a delivery in this state.
    ///
    /// What has arrived never becomes undelivered, in whatever order receipts come, and what was cancelled
    /// stays so.
    pub const fn is_changed_by(self, told: Self) -> bool {
        match (self, told) {
            (Self::Delivered | Self::Cancelled, _) | (Self::Failed, Self::Failed) => false,
            (_, Self::Delivered | Self::Failed) => true,
            _ => false,
        }
    }

    /// The number that stores keep; never reused for another meaning.
    pub const fn number(self) -> i64 {
        match self {
            Self::Pending => 0,
            Self::Sending => 1,
            Self::AwaitingReceipt => 2,
            Self::Delivered => 10,
            Self::Sent => 11,
            Self::Failed => 12,
            Self::Expired => 13,
            Self::Suppressed => 14,
            Self::Cancelled => 15,
            Self::Ambiguous => 16,
        }
    }

    /// The state with this number.
    pub const fn from_number(number: i64) -> Option<Self> {
        Some(match number {
            0 => Self::Pending,
            1 => Self::Sending,
            2 => Self::AwaitingReceipt,
            10 => Self::Delivered,
            11 => Self::Sent,
            12 => Self::Failed,
            13 => Self::Expired,
            14 => Self::Suppressed,
            15 => Self::Cancelled,
            16 => Self::Ambiguous,
            _ => return None,
        })
    }
}

/// The published table. What is stored without a schedule of its own goes by it: it never changes for deliveries
/// that were made before.
const PUBLISHED_SECS: [u64; 9] = [5, 30, 120, 600, 1_800, 3_600, 10_800, 21_600, 43_200];

/// When a failed attempt is repeated: the published table, unless a policy says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct RetrySchedule {
    /// Seconds to wait after the first, second … failed attempt. One attempt more than entries.
    #[serde(deserialize_with = "crate::duration::list_of_seconds")]
    #[schemars(with = "Vec<crate::duration::Seconds>")]
    pub delays_secs: Vec<u64>,
}

impl Default for RetrySchedule {
    /// 5 s, 30 s, 2 min, 10 min, 30 min, 1 h, 3 h, 6 h, 12 h: ten attempts over 22 h 42 min 35 s.
    fn default() -> Self {
        Self { delays_secs: PUBLISHED_SECS.to_vec() }
    }
}

/// The most that a provider's `Retry-After` can ask for.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3_600);

impl RetrySchedule {
    /// Whether this is the published table, which is not stored with every delivery.
    fn is_published(&self) -> bool {
        self.delays_secs == PUBLISHED_SECS
    }

    /// When to try again after attempt number `attempt` (from 1) failed at `now`; `None` when the
    /// schedule is used up.
    ///
    /// A provider's own delay lengthens the wait, up to [`MAX_RETRY_AFTER`], and never shortens it.
    /// Up to a tenth is added as jitter, derived from the delivery and the attempt.
    pub fn next(
        &self,
        delivery: DeliveryId,
        attempt: u32,
        now: Timestamp,
        asked: Option<Duration>,
    ) -> Option<Timestamp> {
        let index = usize::try_from(attempt.saturating_sub(1)).ok()?;
        let base = Duration::from_secs(*self.delays_secs.get(index)?);
        let wait = base.max(asked.unwrap_or_default().min(MAX_RETRY_AFTER));
        Some(plus(now, wait + jitter(delivery, attempt, wait)))
    }
}

/// Up to a tenth of `wait`, in whole milliseconds, because stores keep no less; the same for the same delivery and
/// attempt.
pub fn jitter(delivery: DeliveryId, attempt: u32, wait: Duration) -> Duration {
    let mut hash = Sha256::new();
    hash.update(delivery.as_uuid().as_bytes());
    hash.update(attempt.to_be_bytes());
    let digest = hash.finalize();
    let share = u32::from(u16::from_be_bytes([digest[0], digest[1]]));
    let exact = wait / 10 * share / u32::from(u16::MAX);
    Duration::new(exact.as_secs(), exact.subsec_millis() * 1_000_000)
}

/// What a claimed delivery asks of the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Send it.
    Send,
    /// Ask what became of it: a receipt is missing or an outcome was unknown.
    Confirm,
    /// A worker died while sending: the outcome of that attempt is unknown.
    Recover,
}

/// A delivery under a lease.
#[derive(Debug, Clone, PartialEq)]
pub struct LeasedDelivery {
    /// The delivery.
    pub delivery: Delivery,
    /// What to do.
    pub phase: Phase,
    /// The lease.
    pub lease: Lease,
}

impl LeasedDelivery {
    /// What is asked of the worker that leases a delivery in `state`; `None` where nothing is left to do.
    pub const fn phase(state: DeliveryState) -> Option<Phase> {
        match state {
            DeliveryState::Pending => Some(Phase::Send),
            DeliveryState::Sending => Some(Phase::Recover),
            DeliveryState::AwaitingReceipt => Some(Phase::Confirm),
            _ => None,
        }
    }
}

/// A delivery as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// Whose it is.
    pub scope: Scope,
    /// The lead it is about.
    pub lead_id: Option<LeadId>,
    /// The channel instance that carries it.
    pub channel_id: ChannelId,
    /// The immutable part.
    pub spec: DeliverySpec,
    /// Where it stands.
    pub state: DeliveryState,
    /// Why, where the state has a reason: a stable code.
    pub reason: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Not before this moment.
    pub due_at: Timestamp,
    /// Not after this moment.
    pub expires_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// How many attempts were begun.
    pub attempts: u32,
    /// How many parts of a split text the provider has accepted.
    pub parts_sent: u32,
    /// How often its receipt was asked for.
    pub checks: u32,
    /// Whether an attempt may have arrived without our knowing: while pending, one that is repeated with its key;
    /// while a receipt is awaited, one that must be found out before another.
    pub uncertain: bool,
    /// When the last attempt began.
    pub last_attempt_at: Option<Timestamp>,
    /// The provider's id.
    pub provider_message_id: Option<String>,
    /// Its key of order.
    pub order_key: Option<OrderKey>,
    /// Whether its lead has no use for it any more: it is not made due again.
    pub unwanted: bool,
}

impl Delivery {
    /// Whether nothing but its receipt is missing: the provider certainly has it.
    pub const fn owes_receipt(&self) -> bool {
        matches!(self.state, DeliveryState::AwaitingReceipt) && !self.uncertain
    }

    /// Whether later deliveries with the same [`Self::order_key`] wait for it: it has not ended, and the provider has
    /// not accepted it yet.
    pub const fn holds_back(&self) -> bool {
        !self.state.is_terminal() && !self.owes_receipt()
    }
}

/// What one attempt did, for the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Counted from 1.
    pub number: u32,
    /// Which part of a split text, from 0.
    pub part: u32,
    /// `send`, `lookup` or `receipt`.
    pub operation: AttemptOperation,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// `None` for success.
    pub error: Option<AttemptError>,
    /// What the provider said of the message: its id, the number of segments, the cost.
    pub provider_message_id: Option<String>,
    /// Billable parts.
    pub segments: Option<u32>,
    /// Cost as the provider says it.
    pub cost: Option<String>,
    /// What was decided upon it, as a stable code such as `sent`, `retry`, `channel_paused`.
    pub verdict: String,
}

/// What an attempt was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOperation {
    /// The message was handed to the provider.
    Send,
    /// The provider was asked what became of it.
    Lookup,
    /// The provider told us.
    Receipt,
    /// A person decided.
    Operator,
}

/// How an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptError {
    /// What kind.
    pub kind: ErrorKind,
    /// Whether it may be repeated.
    pub retry: RetryHint,
    /// The provider's own code.
    pub provider_code: Option<String>,
    /// One line without personal data.
    pub message: String,
}

impl From<&crate::error::Error> for AttemptError {
    fn from(error: &crate::error::Error) -> Self {
        Self {
            kind: error.kind(),
            retry: error.retry(),
            provider_code: error.provider_code().map(str::to_owned),
            message: error.message().to_owned(),
        }
    }
}

/// When the receipt of an accepted message is asked for, in seconds after acceptance; after the
/// last one without an answer the delivery ends as `sent`.
pub const RECEIPT_CHECKS_SECS: [u64; 6] = [60, 300, 1_800, 7_200, 21_600, 86_400];

/// The moment of the receipt check number `checks` (from 0) for a message accepted at `accepted_at`.
pub fn receipt_check_at(accepted_at: Timestamp, checks: u32) -> Option<Timestamp> {
    let index = usize::try_from(checks).ok()?;
    RECEIPT_CHECKS_SECS.get(index).map(|seconds| plus_seconds(accepted_at, *seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RandomIds;
    use crate::time::epoch;

    #[test]
    fn what_a_delivery_says_is_stored_and_read_back() {
        let bodies = [
            Body::Template { name: "t".into(), locale: Locale::Ru, offer_buttons: true },
            Body::LeadEvent { event_type: "lead.created".into(), occurred_at: epoch() },
            Body::Ping {
                fields: vec![crate::policy::Field::Comment, crate::policy::Field::Custom("city".into())],
                floor: Some(crate::money::Money::new(30_000, crate::money::Currency::RUB)),
            },
            Body::Fixed(Content::Text(crate::message::Text::plain("x"))),
            Body::Fixed(Content::InteractionReply(crate::message::InteractionReply {
                interaction_id: "1".into(),
                closes: None,
                text: "x".into(),
            })),
        ];
        for body in bodies {
            let text = serde_json::to_string(&body).unwrap();
            assert_eq!(serde_json::from_str::<Body>(&text).unwrap(), body, "{text}");
        }
    }

    #[test]
    fn the_published_table_adds_up() {
        let schedule = RetrySchedule::default();
        assert_eq!(schedule.delays_secs.len() + 1, 10);
        assert_eq!(schedule.delays_secs.iter().sum::<u64>(), 22 * 3600 + 42 * 60 + 35);
    }

    #[test]
    fn jitter_is_only_added_and_retry_after_is_bounded() {
        let schedule = RetrySchedule::default();
        for _ in 0..1_000 {
            let id = DeliveryId::generate(&RandomIds, epoch());
            let at = |asked| (schedule.next(id, 1, epoch(), asked).unwrap() - epoch()).to_std().unwrap();
            assert!((Duration::from_secs(5)..=Duration::from_millis(5_500)).contains(&at(None)));
            assert!(at(Some(Duration::from_secs(1))) >= Duration::from_secs(5));
            assert!(at(Some(Duration::from_secs(60))) >= Duration::from_secs(60));
            assert!(at(Some(Duration::from_secs(1_000_000))) <= MAX_RETRY_AFTER * 11 / 10);
            assert_eq!(schedule.next(id, 10, epoch(), None), None);
        }
    }
}
