//! What a group changes: rows that its members have written down before they waited, and the statements that write them, one for
//! each kind of row. A kind of which there is none costs nothing.

use std::collections::BTreeMap;

use fastlead_core::decide::{Counter, CounterId, Event};
use fastlead_core::delivery::{Attempt, AttemptOperation, DeliveryState, NewDelivery};
use fastlead_core::error::Result;
use fastlead_core::id::DeliveryId;
use fastlead_core::lead::search_text;
use fastlead_core::port::{
    AccountPause, Beginning, ChannelStatus, Guard, Receipt, Reservation, Settled, Settlement, Transition,
    is_deadline, place_at_risk,
};
use fastlead_core::time::Timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

use super::rows::{clean, to_json};

/// What a member of a group changes, or a group.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    settlements: Vec<SettledRow>,
    attempts: Vec<AttemptRow>,
    fired: Vec<Uuid>,
    inbound_done: Vec<(Uuid, String)>,
    timers_cleared: Vec<Uuid>,
    timers: Vec<TimerRow>,
    offers_cancelled: Vec<(Uuid, i64)>,
    unique: BTreeMap<Uuid, (Uuid, i64)>,
    idempotency: Vec<IdempotencyRow>,
    leads: Vec<LeadRow>,
    states: Vec<StateRow>,
    events: Vec<EventRow>,
    deliveries: Vec<DeliveryRow>,
    begun: Vec<(Uuid, i64, i64)>,
    receipts: Vec<ReceiptRow>,
    counters: Vec<(Uuid, Counter)>,
    paused: Vec<(Uuid, String)>,
    revived: Vec<(Uuid, i64, i64)>,
}

#[derive(Debug, Clone)]
struct SettledRow {
    id: Uuid,
    state: i16,
    reason: Option<String>,
    due_at: Option<i64>,
    at: i64,
    /// How many attempts are given back.
    back: i32,
    parts: Option<i32>,
    uncertain: bool,
    provider: Option<String>,
    awaits: bool,
    frees: bool,
    token: Uuid,
}

#[derive(Debug, Clone)]
struct AttemptRow {
    delivery: Uuid,
    doc: String,
    part_id: Option<String>,
}

#[derive(Debug, Clone)]
struct TimerRow {
    id: Uuid,
    workspace: Uuid,
    project: Uuid,
    lead: Uuid,
    name: String,
    due_at: i64,
    place: Uuid,
    deadline: bool,
}

#[derive(Debug, Clone)]
struct IdempotencyRow {
    source: Uuid,
    key: Uuid,
    request: Uuid,
    answer: String,
    until: i64,
}

#[derive(Debug, Clone)]
struct LeadRow {
    id: Uuid,
    workspace: Uuid,
    project: Uuid,
    source: Uuid,
    at: i64,
    state: StateRow,
    search: String,
}

#[derive(Debug, Clone)]
struct StateRow {
    lead: Uuid,
    version: i64,
    status: &'static str,
    assigned: Option<String>,
    policy: Uuid,
    policy_version: i32,
    doc: String,
}

#[derive(Debug, Clone)]
struct EventRow {
    id: Uuid,
    workspace: Uuid,
    lead: Uuid,
    at: i64,
    captured: bool,
    event: String,
    trace: String,
    actor: String,
}

#[derive(Debug, Clone)]
struct DeliveryRow {
    id: Uuid,
    workspace: Uuid,
    project: Uuid,
    lead: Option<Uuid>,
    channel: Uuid,
    purpose: &'static str,
    created_at: i64,
    due_at: i64,
    expires_at: i64,
    order: Option<Uuid>,
    token: Option<Uuid>,
    lease_until: Option<i64>,
    spec: String,
}

#[derive(Debug, Clone)]
struct ReceiptRow {
    delivery: Uuid,
    state: i16,
    reason: Option<String>,
    at: i64,
}

fn number(state: DeliveryState) -> i16 {
    i16::try_from(state.number()).unwrap_or(i16::MAX)
}

fn small(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn cleaned(text: Option<&str>) -> Option<String> {
    text.map(|text| clean(text).into_owned())
}

impl Changes {
    /// Everything that `transition` changes, but for counters, postings and the pause of a channel.
    pub(super) fn of_transition(transition: &Transition) -> Result<Self> {
        let mut changes = Self::default();
        changes.transition(transition)?;
        Ok(changes)
    }

    /// Everything that `settlement` changes, but for the pause of its channel.
    pub(super) fn of_settlement(settlement: &Settlement) -> Result<Self> {
        let mut changes = Self::default();
        changes.settlement(settlement)?;
        Ok(changes)
    }

    /// Everything that a pause changes, where nobody has paused the channel before.
    pub(super) fn of_pause(pause: &AccountPause, since: Timestamp) -> Result<Self> {
        let mut changes = Self::default();
        let status = ChannelStatus::Paused { reason: pause.reason.clone(), since };
        changes.paused.push((pause.channel_id.as_uuid(), to_json(&status, "a channel's status")?));
        pause.notices.iter().try_for_each(|notice| changes.delivery(notice))?;
        Ok(changes)
    }

    /// Adds what another member changes.
    pub(super) fn append(&mut self, other: &Self) {
        let other = other.clone();
        self.settlements.extend(other.settlements);
        self.attempts.extend(other.attempts);
        self.fired.extend(other.fired);
        self.inbound_done.extend(other.inbound_done);
        self.timers_cleared.extend(other.timers_cleared);
        for timer in other.timers {
            self.timer(timer);
        }
        self.offers_cancelled.extend(other.offers_cancelled);
        self.unique.extend(other.unique);
        self.idempotency.extend(other.idempotency);
        self.leads.extend(other.leads);
        self.states.extend(other.states);
        self.events.extend(other.events);
        self.deliveries.extend(other.deliveries);
        self.begun.extend(other.begun);
        self.receipts.extend(other.receipts);
        self.counters.extend(other.counters);
        self.paused.extend(other.paused);
        self.revived.extend(other.revived);
    }

    /// Whether it makes leases, whose ends are told by the database's clock.
    pub(super) fn leases_anything(&self) -> bool {
        !self.begun.is_empty() || self.deliveries.iter().any(|delivery| delivery.lease_until.is_some())
    }

    /// What a counter says after the whole group.
    pub(super) fn counter(&mut self, id: CounterId, counter: &Counter) {
        self.counters.push((Uuid::from_bytes(id.0), counter.clone()));
    }

    pub(super) fn beginning(&mut self, beginning: &Beginning) {
        let (at, until) = (beginning.at.timestamp_millis(), beginning.until.timestamp_millis());
        self.begun.push((beginning.delivery_id.as_uuid(), at, until));
    }

    pub(super) fn receipt(&mut self, receipt: &Receipt) -> Result<()> {
        self.receipts.push(ReceiptRow {
            delivery: receipt.delivery_id.as_uuid(),
            state: number(receipt.state),
            reason: cleaned(receipt.reason.as_deref()),
            at: receipt.attempt.started_at.timestamp_millis(),
        });
        self.attempt(receipt.delivery_id, &receipt.attempt)
    }

    pub(super) fn attempt(&mut self, delivery: DeliveryId, attempt: &Attempt) -> Result<()> {
        let is_of_part = attempt.part > 0 || attempt.verdict == "next_part";
        let told = matches!(attempt.operation, AttemptOperation::Send | AttemptOperation::Lookup);
        let id = attempt.provider_message_id.as_deref().filter(|_| is_of_part && told);
        let doc = to_json(attempt, "an attempt")?;
        self.attempts.push(AttemptRow { delivery: delivery.as_uuid(), doc, part_id: cleaned(id) });
        Ok(())
    }

    /// One timer replaces another of its name.
    fn timer(&mut self, timer: TimerRow) {
        self.timers.retain(|other| (other.lead, &other.name) != (timer.lead, &timer.name));
        self.timers.push(timer);
    }

    fn settlement(&mut self, settlement: &Settlement) -> Result<()> {
        let mut row = SettledRow {
            id: settlement.delivery_id.as_uuid(),
            state: number(DeliveryState::Pending),
            reason: None,
            due_at: None,
            at: settlement.at.timestamp_millis(),
            back: 0,
            parts: None,
            uncertain: false,
            provider: None,
            awaits: false,
            frees: false,
            token: settlement.token.as_uuid(),
        };
        match &settlement.outcome {
            Settled::Ended { state, reason, provider_message_id } => {
                let arrived = matches!(state, DeliveryState::Sent | DeliveryState::Delivered);
                let attempt = settlement.attempt.as_ref().filter(|_| arrived);
                row.state = number(*state);
                row.reason = cleaned(reason.as_deref());
                row.parts = attempt.map(|attempt| small(attempt.part.saturating_add(1)));
                row.provider = cleaned(provider_message_id.as_deref());
            }
            Settled::Retry { due_at, reason, counted, parts_sent, uncertain } => {
                row.reason = cleaned(Some(reason));
                row.due_at = Some(due_at.timestamp_millis());
                row.back = i32::from(!counted);
                row.parts = Some(small(*parts_sent));
                row.uncertain = *uncertain;
            }
            Settled::Await { check_at, provider_message_id, uncertain, parts_sent, frees_order } => {
                row.state = number(DeliveryState::AwaitingReceipt);
                row.due_at = Some(check_at.timestamp_millis());
                row.parts = Some(small(*parts_sent));
                row.uncertain = *uncertain;
                row.provider = cleaned(provider_message_id.as_deref());
                row.awaits = true;
                row.frees = *frees_order;
            }
        }
        self.settlements.push(row);
        match &settlement.attempt {
            Some(attempt) => self.attempt(settlement.delivery_id, attempt),
            None => Ok(()),
        }
    }

    fn transition(&mut self, transition: &Transition) -> Result<()> {
        let lead = transition.lead_id.as_uuid();
        let workspace = transition.scope.workspace_id.as_uuid();
        let project = transition.scope.project_id.as_uuid();
        let at = transition.at.timestamp_millis();
        if let Some(settlement) = &transition.settlement {
            self.settlement(settlement)?;
        }
        if let Some(receipt) = &transition.receipt {
            self.receipt(receipt)?;
        }
        if let Some(revival) = &transition.revive {
            self.revived.push((revival.delivery_id.as_uuid(), at, revival.expires_at.timestamp_millis()));
        }
        self.fired.extend(transition.fired.map(|(timer, _)| timer.as_uuid()));
        if let Some(inbound) = &transition.inbound {
            self.inbound_done.push((inbound.channel_id.as_uuid(), inbound.provider_event_id.clone()));
        }
        if transition.clear_timers {
            self.timers_cleared.push(lead);
        }
        for timer in &transition.timers {
            self.timer(TimerRow {
                id: timer.id.as_uuid(),
                workspace,
                project,
                lead,
                name: to_json(&timer.name, "a timer")?,
                due_at: timer.due_at.timestamp_millis(),
                place: place_at_risk(timer.due_at, timer.id).0,
                deadline: is_deadline(timer.name),
            });
        }
        if transition.cancel_offers {
            self.offers_cancelled.push((lead, at));
        }
        for reservation in &transition.reservations {
            if let Reservation::Unique { key, until } = reservation {
                self.unique.insert(Uuid::from_bytes(key.0), (lead, until.timestamp_millis()));
            }
        }
        if let Some(record) = &transition.idempotency {
            self.idempotency.push(IdempotencyRow {
                source: transition.source_id.as_uuid(),
                key: Uuid::from_bytes(record.key),
                request: Uuid::from_bytes(record.request),
                answer: to_json(&record.answer, "an idempotency key")?,
                until: record.until.timestamp_millis(),
            });
        }
        self.lead(transition)?;
        self.events.push(EventRow {
            id: transition.event_id.as_uuid(),
            workspace,
            lead,
            at,
            captured: matches!(transition.event, Event::Captured(_)),
            event: to_json(&transition.event, "an event")?,
            trace: to_json(&transition.trace, "a trace")?,
            actor: to_json(&transition.actor, "an actor")?,
        });
        transition.deliveries.iter().try_for_each(|delivery| self.delivery(delivery))
    }

    fn lead(&mut self, transition: &Transition) -> Result<()> {
        if matches!(transition.guard, Guard::Append) {
            return Ok(());
        }
        let state = StateRow {
            lead: transition.lead_id.as_uuid(),
            version: i64::try_from(transition.state.version).unwrap_or(i64::MAX),
            status: transition.state.status.as_str(),
            assigned: cleaned(transition.state.assigned_to.as_deref()),
            policy: transition.trace.policy.id.as_uuid(),
            policy_version: small(transition.trace.policy.version),
            doc: to_json(&transition.state, "a lead")?,
        };
        match transition.guard {
            Guard::New => self.leads.push(LeadRow {
                id: transition.lead_id.as_uuid(),
                workspace: transition.scope.workspace_id.as_uuid(),
                project: transition.scope.project_id.as_uuid(),
                source: transition.source_id.as_uuid(),
                at: transition.at.timestamp_millis(),
                state,
                search: clean(&found_by(&transition.event)).into_owned(),
            }),
            _ => self.states.push(state),
        }
        Ok(())
    }

    pub(super) fn delivery(&mut self, new: &NewDelivery) -> Result<()> {
        self.deliveries.push(DeliveryRow {
            id: new.id.as_uuid(),
            workspace: new.scope.workspace_id.as_uuid(),
            project: new.scope.project_id.as_uuid(),
            lead: new.lead_id.map(|lead| lead.as_uuid()),
            channel: new.channel_id.as_uuid(),
            purpose: new.spec.purpose.as_str(),
            created_at: new.created_at.timestamp_millis(),
            due_at: new.due_at.timestamp_millis(),
            expires_at: new.expires_at.timestamp_millis(),
            order: new.order_key.map(|key| Uuid::from_bytes(key.0)),
            token: new.lease.map(|lease| lease.token.as_uuid()),
            lease_until: new.lease.map(|lease| lease.until.timestamp_millis()),
            spec: to_json(&new.spec, "a delivery")?,
        });
        Ok(())
    }

    /// Makes the changes; the transaction stays open. Leases last as long from `now`, where it is given, as they were to last from
    /// the moment at which the delivery was made.
    pub(super) async fn write(
        mut self,
        connection: &mut PgConnection,
        now: Option<Timestamp>,
    ) -> sqlx::Result<()> {
        if let Some(now) = now {
            let now = now.timestamp_millis();
            for row in &mut self.deliveries {
                row.lease_until =
                    row.lease_until.map(|until| now.saturating_add(until.saturating_sub(row.created_at)));
            }
            for (_, at, until) in &mut self.begun {
                *until = now.saturating_add(until.saturating_sub(*at));
            }
        }
        self.settle(connection).await?;
        self.end_timers(connection).await?;
        self.change_deliveries(connection).await?;
        self.insert_decided(connection).await?;
        self.insert_work(connection).await
    }
}

/// What a lead is found by, which its first event says.
fn found_by(event: &Event) -> String {
    match event {
        Event::Captured(capture) => search_text(capture).into_inner(),
        _ => String::new(),
    }
}

/// One column of rows.
fn column<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

/// The offers that a decision cancels, or those of a person who was erased.
const UNWANTED: &str = "unwanted = true,
    state = CASE WHEN d.state > 0 THEN d.state WHEN d.uncertain THEN 16 ELSE 15 END,
    reason = CASE WHEN d.state > 0 THEN d.reason WHEN d.uncertain THEN 'outcome_unknown' WHEN d.parts_sent > 0 THEN 'partly_sent' ELSE d.reason END,
    uncertain = d.state > 0 AND d.uncertain, updated_at = CASE d.state WHEN 0 THEN j.at ELSE d.updated_at END,
    lease_token = CASE d.state WHEN 0 THEN NULL ELSE d.lease_token END, lease_until = CASE d.state WHEN 0 THEN NULL ELSE d.lease_until END";

const SETTLE: &str = "UPDATE deliveries d SET
    checks = CASE WHEN j.awaits AND (d.state = 1 OR (d.uncertain AND NOT j.uncertain)) THEN 0 ELSE d.checks END,
    state = CASE WHEN d.unwanted AND j.state = 0 THEN CASE WHEN j.uncertain THEN 16 ELSE 15 END ELSE j.state END,
    reason = CASE WHEN d.unwanted AND j.state = 0
      THEN CASE WHEN j.uncertain THEN 'outcome_unknown' WHEN j.parts > 0 THEN 'partly_sent' END ELSE j.reason END,
    uncertain = j.uncertain AND NOT (d.unwanted AND j.state = 0),
    due_at = coalesce(j.due_at, d.due_at), updated_at = j.at,
    attempts = greatest(0, d.attempts - CASE d.state WHEN 1 THEN j.back ELSE 0 END),
    parts_sent = CASE WHEN j.state < 10 THEN coalesce(j.parts, d.parts_sent) ELSE greatest(d.parts_sent, coalesce(j.parts, 0)) END,
    provider_message_id = coalesce(j.provider, d.provider_message_id), lease_token = NULL, lease_until = NULL,
    order_key = CASE WHEN j.frees THEN NULL ELSE d.order_key END, begun_by = nullif(d.begun_by, j.token)
  FROM unnest($1::uuid[], $2::smallint[], $3::text[], $4::bigint[], $5::bigint[], $6::integer[], $7::integer[], $8::boolean[], $9::text[],
      $10::boolean[], $11::boolean[], $12::uuid[])
    AS j(id, state, reason, due_at, at, back, parts, uncertain, provider, awaits, frees, token)
  WHERE d.id = j.id";

const ATTEMPTS: &str = "INSERT INTO attempts (delivery_id, attempt, part_id)
  SELECT j.delivery_id, j.attempt, j.part_id FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY AS j(delivery_id, attempt, part_id, place)
  ORDER BY j.place";

const RECEIPTS: &str = "UPDATE deliveries d SET state = j.state, reason = j.reason, uncertain = false,
    updated_at = greatest(d.updated_at, j.at), lease_token = NULL, lease_until = NULL
  FROM unnest($1::uuid[], $2::smallint[], $3::text[], $4::bigint[]) AS j(id, state, reason, at) WHERE d.id = j.id";

const BEGIN: &str = "UPDATE deliveries d SET state = 1, begun_by = d.lease_token, attempts = d.attempts + 1, last_attempt_at = j.at, updated_at = j.at,
    lease_until = greatest(d.lease_until, j.until)
  FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS j(id, at, until) WHERE d.id = j.id";

/// Makes lost deliveries due again. `j` has their ids, the moment and the end of their new lifetime.
pub(super) const REVIVE: &str = "UPDATE deliveries d SET state = 0, reason = NULL, due_at = j.at, expires_at = j.expires_at, updated_at = j.at,
    attempts = 0, checks = 0, uncertain = (d.state = 16), unwanted = false, begun_by = NULL, lease_token = NULL, lease_until = NULL
  FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS j(id, at, expires_at) WHERE d.id = j.id";

const LEADS: &str = "INSERT INTO leads (id, workspace_id, project_id, source_id, created_at, policy_id, policy_version, version, status, assigned_to, state, search)
  SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::uuid[], $7::integer[], $8::bigint[], $9::text[], $10::text[], $11::text[], $12::text[])";

const STATES: &str =
    "UPDATE leads l SET version = j.version, status = j.status, assigned_to = j.assigned, state = j.doc,
    policy_id = j.policy, policy_version = j.policy_version
  FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::integer[])
    AS j(id, version, status, assigned, doc, policy, policy_version)
  WHERE l.id = j.id";

/// The lock of the workspace is held, so that nobody else appends.
const EVENTS: &str = "WITH j AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::boolean[], $6::text[], $7::text[], $8::text[])
      WITH ORDINALITY AS j(id, workspace_id, lead_id, at, captured, event, trace, actor, place)),
  last AS MATERIALIZED (
    SELECT w.workspace_id, coalesce((SELECT e.position FROM events e WHERE e.workspace_id = w.workspace_id ORDER BY e.position DESC LIMIT 1), 0) AS position
    FROM (SELECT DISTINCT workspace_id FROM j) w)
  INSERT INTO events (workspace_id, position, id, lead_id, at, captured, event, trace, actor)
  SELECT j.workspace_id, last.position + row_number() OVER (PARTITION BY j.workspace_id ORDER BY j.place),
    j.id, j.lead_id, j.at, j.captured, j.event, j.trace, j.actor
  FROM j JOIN last ON last.workspace_id = j.workspace_id ORDER BY j.place";

const UNIQUE: &str =
    "INSERT INTO unique_keys (key, lead_id, until) SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[])
  ON CONFLICT (key) DO UPDATE SET lead_id = excluded.lead_id, until = excluded.until";

const COUNTERS: &str = "INSERT INTO counters (key, value, note, last_at, until)
  SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[])
  ON CONFLICT (key) DO UPDATE SET value = excluded.value, note = excluded.note, last_at = excluded.last_at, until = excluded.until";

const IDEMPOTENCY: &str = "INSERT INTO idempotency (source_id, key, request, answer, until)
  SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[])
  ON CONFLICT (source_id, key) DO UPDATE SET request = excluded.request, answer = excluded.answer, until = excluded.until";

const DELIVERIES: &str = "INSERT INTO deliveries (id, workspace_id, project_id, lead_id, channel_id, purpose, state, created_at, due_at, expires_at,
    updated_at, attempts, parts_sent, checks, uncertain, unwanted, order_key, lease_token, lease_until, spec)
  SELECT j.id, j.workspace_id, j.project_id, j.lead_id, j.channel_id, j.purpose, 0, j.created_at, j.due_at, j.expires_at, j.created_at,
    0, 0, 0, false, false, j.order_key, j.token, j.until, j.spec
  FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::bigint[], $8::bigint[], $9::bigint[], $10::uuid[], $11::uuid[],
      $12::bigint[], $13::text[])
    AS j(id, workspace_id, project_id, lead_id, channel_id, purpose, created_at, due_at, expires_at, order_key, token, until, spec)";

const TIMERS: &str = "INSERT INTO timers (id, workspace_id, project_id, lead_id, name, due_at, place, deadline)
  SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::bigint[], $7::uuid[], $8::boolean[])
  ON CONFLICT (lead_id, name) DO UPDATE SET id = excluded.id, due_at = excluded.due_at, place = excluded.place,
    lease_token = NULL, lease_until = NULL";

const INBOUND_DONE: &str =
    "UPDATE inbound i SET done = 1 FROM unnest($1::uuid[], $2::text[]) AS j(channel_id, event)
  WHERE i.channel_id = j.channel_id AND i.provider_event_id = j.event";

const PAUSE: &str =
    "UPDATE channels c SET status = j.status FROM unnest($1::uuid[], $2::text[]) AS j(id, status)
  WHERE c.id = j.id AND c.status = '{\"status\":\"active\"}'";

impl Changes {
    async fn settle(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        if !self.settlements.is_empty() {
            let rows = &self.settlements;
            sqlx::query(SETTLE)
                .bind(column(rows, |row| row.id))
                .bind(column(rows, |row| row.state))
                .bind(column(rows, |row| row.reason.as_deref()))
                .bind(column(rows, |row| row.due_at))
                .bind(column(rows, |row| row.at))
                .bind(column(rows, |row| row.back))
                .bind(column(rows, |row| row.parts))
                .bind(column(rows, |row| row.uncertain))
                .bind(column(rows, |row| row.provider.as_deref()))
                .bind(column(rows, |row| row.awaits))
                .bind(column(rows, |row| row.frees))
                .bind(column(rows, |row| row.token))
                .execute(&mut *connection)
                .await?;
        }
        if !self.attempts.is_empty() {
            let rows = &self.attempts;
            sqlx::query(ATTEMPTS)
                .bind(column(rows, |row| row.delivery))
                .bind(column(rows, |row| row.doc.as_str()))
                .bind(column(rows, |row| row.part_id.as_deref()))
                .execute(connection)
                .await?;
        }
        Ok(())
    }

    async fn end_timers(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        if !self.fired.is_empty() || !self.timers_cleared.is_empty() {
            sqlx::query("DELETE FROM timers WHERE id = ANY($1) OR lead_id = ANY($2)")
                .bind(&self.fired)
                .bind(&self.timers_cleared)
                .execute(&mut *connection)
                .await?;
        }
        if !self.inbound_done.is_empty() {
            sqlx::query(INBOUND_DONE)
                .bind(column(&self.inbound_done, |row| row.0))
                .bind(column(&self.inbound_done, |row| row.1.as_str()))
                .execute(connection)
                .await?;
        }
        Ok(())
    }

    async fn change_deliveries(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        if !self.begun.is_empty() {
            sqlx::query(BEGIN)
                .bind(column(&self.begun, |row| row.0))
                .bind(column(&self.begun, |row| row.1))
                .bind(column(&self.begun, |row| row.2))
                .execute(&mut *connection)
                .await?;
        }
        if !self.receipts.is_empty() {
            let rows = &self.receipts;
            sqlx::query(RECEIPTS)
                .bind(column(rows, |row| row.delivery))
                .bind(column(rows, |row| row.state))
                .bind(column(rows, |row| row.reason.as_deref()))
                .bind(column(rows, |row| row.at))
                .execute(&mut *connection)
                .await?;
        }
        if !self.offers_cancelled.is_empty() {
            let cancel = format!(
                "UPDATE deliveries d SET {UNWANTED} FROM unnest($1::uuid[], $2::bigint[]) AS j(lead_id, at)
                 WHERE d.lead_id = j.lead_id AND d.state < 10 AND d.purpose = 'offer'"
            );
            sqlx::query(sqlx::AssertSqlSafe(cancel))
                .bind(column(&self.offers_cancelled, |row| row.0))
                .bind(column(&self.offers_cancelled, |row| row.1))
                .execute(connection)
                .await?;
        }
        Ok(())
    }

    async fn insert_decided(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        if !self.unique.is_empty() {
            let rows: Vec<_> = self.unique.iter().collect();
            sqlx::query(UNIQUE)
                .bind(column(&rows, |(key, _)| **key))
                .bind(column(&rows, |(_, (lead, _))| *lead))
                .bind(column(&rows, |(_, (_, until))| *until))
                .execute(&mut *connection)
                .await?;
        }
        if !self.counters.is_empty() {
            let rows = &self.counters;
            let millis = |at: Option<Timestamp>| at.map(|at| at.timestamp_millis());
            sqlx::query(COUNTERS)
                .bind(column(rows, |row| row.0))
                .bind(column(rows, |row| row.1.value))
                .bind(column(rows, |row| row.1.note.as_deref().map(clean)))
                .bind(column(rows, |row| millis(row.1.last_at)))
                .bind(column(rows, |row| millis(row.1.until)))
                .execute(&mut *connection)
                .await?;
        }
        if !self.idempotency.is_empty() {
            let rows = &self.idempotency;
            sqlx::query(IDEMPOTENCY)
                .bind(column(rows, |row| row.source))
                .bind(column(rows, |row| row.key))
                .bind(column(rows, |row| row.request))
                .bind(column(rows, |row| row.answer.as_str()))
                .bind(column(rows, |row| row.until))
                .execute(&mut *connection)
                .await?;
        }
        if !self.leads.is_empty() {
            let rows = &self.leads;
            sqlx::query(LEADS)
                .bind(column(rows, |row| row.id))
                .bind(column(rows, |row| row.workspace))
                .bind(column(rows, |row| row.project))
                .bind(column(rows, |row| row.source))
                .bind(column(rows, |row| row.at))
                .bind(column(rows, |row| row.state.policy))
                .bind(column(rows, |row| row.state.policy_version))
                .bind(column(rows, |row| row.state.version))
                .bind(column(rows, |row| row.state.status))
                .bind(column(rows, |row| row.state.assigned.as_deref()))
                .bind(column(rows, |row| row.state.doc.as_str()))
                .bind(column(rows, |row| row.search.as_str()))
                .execute(&mut *connection)
                .await?;
        }
        if !self.states.is_empty() {
            let rows = &self.states;
            sqlx::query(STATES)
                .bind(column(rows, |row| row.lead))
                .bind(column(rows, |row| row.version))
                .bind(column(rows, |row| row.status))
                .bind(column(rows, |row| row.assigned.as_deref()))
                .bind(column(rows, |row| row.doc.as_str()))
                .bind(column(rows, |row| row.policy))
                .bind(column(rows, |row| row.policy_version))
                .execute(&mut *connection)
                .await?;
        }
        if self.events.is_empty() {
            return Ok(());
        }
        let rows = &self.events;
        sqlx::query(EVENTS)
            .bind(column(rows, |row| row.id))
            .bind(column(rows, |row| row.workspace))
            .bind(column(rows, |row| row.lead))
            .bind(column(rows, |row| row.at))
            .bind(column(rows, |row| row.captured))
            .bind(column(rows, |row| row.event.as_str()))
            .bind(column(rows, |row| row.trace.as_str()))
            .bind(column(rows, |row| row.actor.as_str()))
            .execute(connection)
            .await
            .map(drop)
    }

    async fn insert_work(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        if !self.deliveries.is_empty() {
            let rows = &self.deliveries;
            sqlx::query(DELIVERIES)
                .bind(column(rows, |row| row.id))
                .bind(column(rows, |row| row.workspace))
                .bind(column(rows, |row| row.project))
                .bind(column(rows, |row| row.lead))
                .bind(column(rows, |row| row.channel))
                .bind(column(rows, |row| row.purpose))
                .bind(column(rows, |row| row.created_at))
                .bind(column(rows, |row| row.due_at))
                .bind(column(rows, |row| row.expires_at))
                .bind(column(rows, |row| row.order))
                .bind(column(rows, |row| row.token))
                .bind(column(rows, |row| row.lease_until))
                .bind(column(rows, |row| row.spec.as_str()))
                .execute(&mut *connection)
                .await?;
        }
        if !self.timers.is_empty() {
            let rows = &self.timers;
            sqlx::query(TIMERS)
                .bind(column(rows, |row| row.id))
                .bind(column(rows, |row| row.workspace))
                .bind(column(rows, |row| row.project))
                .bind(column(rows, |row| row.lead))
                .bind(column(rows, |row| row.name.as_str()))
                .bind(column(rows, |row| row.due_at))
                .bind(column(rows, |row| row.place))
                .bind(column(rows, |row| row.deadline))
                .execute(&mut *connection)
                .await?;
        }
        if !self.revived.is_empty() {
            sqlx::query(REVIVE)
                .bind(column(&self.revived, |row| row.0))
                .bind(column(&self.revived, |row| row.1))
                .bind(column(&self.revived, |row| row.2))
                .execute(&mut *connection)
                .await?;
        }
        if !self.paused.is_empty() {
            sqlx::query(PAUSE)
                .bind(column(&self.paused, |row| row.0))
                .bind(column(&self.paused, |row| row.1.as_str()))
                .execute(connection)
                .await?;
        }
        Ok(())
    }
}
