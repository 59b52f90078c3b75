//! What people read and mend: leads, their history, deliveries and attempts.

use std::collections::BTreeMap;
use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::actor::Actor;
use crate::decide::{Event, LeadState, Trace};
use crate::delivery::{Attempt, Delivery, DeliveryState};
use crate::error::Result;
use crate::id::{ChannelId, DeliveryId, EventId, LeadId, ProjectId, SourceId, WorkspaceId};
use crate::lead::{Capture, Needle};
use crate::port::{InboundRecord, LeadAtRisk, RiskFilter, UnreadableRow};
use crate::time::Timestamp;

/// Reads what has happened, a page at a time.
///
/// ```no_run
/// use fastlead_core::Result;
/// use fastlead_core::id::{LeadId, WorkspaceId};
/// use fastlead_core::port::{Journal, PageRequest};
///
/// /// Why a lead went where it went.
/// async fn explain(journal: &dyn Journal, workspace: WorkspaceId, lead: LeadId) -> Result<()> {
///     for entry in journal.events(workspace, lead, PageRequest::default()).await?.items {
///         println!("{}: {:?}", entry.event.kind(), entry.trace.steps);
///     }
///     Ok(())
/// }
/// ```
#[async_trait]
pub trait Journal: Debug + Send + Sync + 'static {
    /// Leads, newest first unless the filter says otherwise.
    async fn leads(
        &self,
        workspace: WorkspaceId,
        filter: LeadFilter,
        page: PageRequest,
    ) -> Result<Page<LeadSummary>>;

    /// How many leads there are in each status. The filter's own status and order are left aside.
    ///
    /// # Behavior
    /// * Exact, unless the filter has a text: then at most `most` of the leads that match are counted, the newest first,
    ///   and [`LeadCounts::complete`] says whether these are all.
    async fn count_leads(&self, workspace: WorkspaceId, filter: LeadFilter, most: u32) -> Result<LeadCounts>;

    /// A lead's history, in the order in which it was committed.
    async fn events(
        &self,
        workspace: WorkspaceId,
        lead: LeadId,
        page: PageRequest,
    ) -> Result<Page<StoredEvent>>;

    /// What happened in a workspace after a position, in the order in which it was committed: what a live view, an
    /// export or a webhook resumes from. 0 is before the first event.
    ///
    /// # Behavior
    /// * At most `limit` events, clamped to 1–500.
    /// * An event that was committed later has a higher position, whatever the clocks of the machines say: nobody who
    ///   goes on after a position misses anything. Positions have gaps.
    async fn events_since(&self, workspace: WorkspaceId, position: u64, limit: u32) -> Result<EventBatch>;

    /// What was captured for a project, repeated captures of one lead included, oldest first.
    ///
    /// # Behavior
    /// * In the order of ids, which is that of moments to the millisecond.
    async fn captures(
        &self,
        workspace: WorkspaceId,
        filter: CaptureFilter,
        page: PageRequest,
    ) -> Result<Page<StoredCapture>>;

    /// Deliveries, newest first.
    async fn deliveries(
        &self,
        workspace: WorkspaceId,
        filter: DeliveryFilter,
        page: PageRequest,
    ) -> Result<Page<DeliverySummary>>;

    /// A delivery with its attempts, both of the same moment. `None` where the workspace has no such delivery.
    async fn delivery_record(
        &self,
        workspace: WorkspaceId,
        delivery: DeliveryId,
    ) -> Result<Option<DeliveryRecord>>;

    /// The attempts of a delivery, oldest first.
    async fn attempts(&self, workspace: WorkspaceId, delivery: DeliveryId) -> Result<Vec<AttemptRecord>>;

    /// Forgets what has ended and was not touched since `before`: deliveries with their attempts, and inbound
    /// events that were acted upon; at most `limit` of each. Leads and their history stay.
    ///
    /// # Behavior
    /// * Idempotent and resumable: the answer says whether more is left.
    /// * A receipt or a repeated inbound event that comes for something forgotten is not recognised any more.
    async fn purge(&self, before: Timestamp, limit: u32) -> Result<Purged>;

    /// Leads that nobody has accepted and whose deadline comes soon: those with a timer that
    /// [`is_deadline`](super::is_deadline), soonest first.
    ///
    /// # Behavior
    /// * A lead stands in the list once, with the timer that is due first.
    /// * One whose timer is just being acted upon may be left out.
    async fn at_risk(
        &self,
        workspace: WorkspaceId,
        filter: RiskFilter,
        page: PageRequest,
    ) -> Result<Page<LeadAtRisk>>;

    /// How many leads of all workspaces are at risk until a moment, for metrics. Counts to `most` and no further,
    /// so that it takes no longer than that.
    async fn count_at_risk(&self, until: Timestamp, most: u32) -> Result<u64>;

    /// What people have said over a channel of the workspace ([`InboundKind::is_spoken`]), the latest received first.
    ///
    /// [`InboundKind::is_spoken`]: crate::channel::InboundKind::is_spoken
    async fn spoken(
        &self,
        workspace: WorkspaceId,
        channel: ChannelId,
        page: PageRequest,
    ) -> Result<Page<InboundRecord>>;

    /// The rows of a workspace that this store has met since it was opened and could not read; of `None` those of
    /// all workspaces, and those too whose workspace cannot be read.
    ///
    /// # Behavior
    /// * A row that cannot be read fails nothing but what asks for that row by name, with
    ///   [`crate::ErrorKind::Unreadable`]. Lists go on without it and name it in [`Page::unreadable`].
    async fn unreadable(&self, workspace: Option<WorkspaceId>) -> Result<Vec<UnreadableRow>>;

    /// How much work waits, for metrics.
    async fn queue_depth(&self, now: Timestamp) -> Result<QueueDepth>;
}

/// What [`Journal::purge`] has forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purged {
    /// Deliveries.
    pub deliveries: u64,
    /// Inbound events.
    pub inbound: u64,
    /// Whether there may be more.
    pub more: bool,
}

/// Which leads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeadFilter {
    /// Only of this project.
    pub project_id: Option<ProjectId>,
    /// Only of this source.
    pub source_id: Option<SourceId>,
    /// Only with this status, one of [`LeadStatus::NAMES`](crate::decide::LeadStatus::NAMES).
    pub status: Option<String>,
    /// Only those captured at this moment or later.
    pub since: Option<Timestamp>,
    /// Only those captured before this moment.
    pub until: Option<Timestamp>,
    /// Only those whose [`search_text`](crate::lead::search_text) has this in it.
    pub text: Option<Needle>,
    /// Whether the oldest comes first.
    pub oldest_first: bool,
}

/// How many leads there are in each status.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeadCounts {
    /// By the name of the status; those that no lead has are left out.
    pub by_status: BTreeMap<String, u64>,
    /// Whether all leads that match were counted.
    pub complete: bool,
}

/// Which captures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureFilter {
    /// Of this project.
    pub project_id: ProjectId,
    /// From this moment on.
    pub since: Timestamp,
    /// Before this moment.
    pub until: Timestamp,
}

/// A capture as it was stored, with what has become of its lead.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredCapture {
    /// The id of the event.
    pub id: EventId,
    /// The lead that it made, or that it repeats.
    pub lead_id: LeadId,
    /// The source that it came over; that of the lead where it was stored before this was kept.
    pub source_id: SourceId,
    /// When it was decided upon.
    pub at: Timestamp,
    /// What was captured.
    pub capture: Capture,
    /// Where the lead stands now.
    pub state: LeadState,
}

/// Which deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeliveryFilter {
    /// Only about this lead.
    pub lead_id: Option<LeadId>,
    /// Only over this channel.
    pub channel_id: Option<ChannelId>,
    /// Only in this state.
    pub state: Option<DeliveryState>,
}

/// Which page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// Where the page before ended; `None` for the first.
    pub after: Option<Cursor>,
    /// At most so many entries. Stores clamp it to 1–500.
    pub limit: u32,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { after: None, limit: 50 }
    }
}

/// The place between two entries of a list: opaque outside, an id inside. Stays valid while
/// entries are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(pub uuid::Uuid);

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Where the next page starts; `None` where there is none.
    pub next: Option<Cursor>,
    /// Those that stand between the entries and cannot be read, in the order of the list.
    pub unreadable: Vec<UnreadableRow>,
}

/// A lead in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct LeadSummary {
    /// Its id.
    pub id: LeadId,
    /// Its project.
    pub project_id: ProjectId,
    /// Its source.
    pub source_id: SourceId,
    /// When it was captured.
    pub created_at: Timestamp,
    /// Where it stands.
    pub status: String,
    /// Who has it.
    pub assigned_to: Option<String>,
    /// What was captured.
    pub capture: Capture,
}

/// What [`Journal::events_since`] has found.
#[derive(Debug, Clone, PartialEq)]
pub struct EventBatch {
    /// The events, by ascending position.
    pub events: Vec<StoredEvent>,
    /// Where to go on: the position of the last event that was looked at, whether or not it could be read.
    pub position: u64,
    /// Whether there is more at this moment.
    pub more: bool,
    /// Those among them that cannot be read.
    pub unreadable: Vec<UnreadableRow>,
}

/// An entry of a lead's history.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// Its place in the order in which the workspace's events were committed, from 1.
    pub position: u64,
    /// Its id.
    pub id: EventId,
    /// The lead.
    pub lead_id: LeadId,
    /// When it was decided upon.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
    /// Who made it happen; `None` where it was stored before this was kept.
    pub actor: Option<Actor>,
    /// Why it was decided so.
    pub trace: Trace,
}

/// A delivery in a list.
pub type DeliverySummary = Delivery;

/// A delivery with what was attempted for it.
#[derive(Debug, Clone)]
pub struct DeliveryRecord {
    /// The delivery.
    pub delivery: Delivery,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
}

/// An attempt as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// The delivery.
    pub delivery_id: DeliveryId,
    /// The attempt.
    #[serde(flatten)]
    pub attempt: Attempt,
}

/// What is recovered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// Of which channel.
    pub channel_id: ChannelId,
    /// Deliveries that were made at this moment or later, and have failed or expired.
    pub since: Timestamp,
    /// Ambiguous ones too. Nothing arrives twice by it only where the channel has
    /// [`Capabilities::idempotent_send`](crate::channel::Capabilities::idempotent_send).
    pub ambiguous: bool,
}

/// How much work waits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueueDepth {
    /// Deliveries that wait for their moment or are due.
    pub pending: u64,
    /// Deliveries under a lease.
    pub sending: u64,
    /// Deliveries whose receipt is owed.
    pub awaiting_receipt: u64,
    /// Deliveries that a person must look at.
    pub ambiguous: u64,
    /// Milliseconds since the oldest due delivery became due; 0 where none is.
    pub oldest_due_millis: u64,
    /// Timers that are set.
    pub timers: u64,
}
