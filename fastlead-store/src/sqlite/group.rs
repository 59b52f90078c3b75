//! The two statements of a group: one look at everything that its members name, one set of changes.
//!
//! The driver's cost is one hand-over to SQLite's thread per call, whatever the number of rows, so a
//! group makes one call to look and one to write. Rows travel as JSON arrays; a parameter `$n` keeps
//! its number in every statement of a text.

use fastlead_core::decide::UniqueKey;
use fastlead_core::delivery::{Attempt, DeliveryState, NewDelivery};
use fastlead_core::error::Result;
use fastlead_core::id::{ChannelId, DeliveryId, EventId, LeadId, LeaseToken, SourceId};
use fastlead_core::port::{Beginning, Guard, Receipt, Reservation, Settled, Settlement, Transition};
use serde::{Serialize, Serializer};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::fault::{unreadable, unwritable};
use super::resolve::{Facts, Used, unique_keys};
use super::rows::{integer, json, text, uuid};

/// Begins the transaction and looks. `CROSS JOIN` keeps the short list outside and the index inside.
pub(super) const LOOK: &str = "
BEGIN IMMEDIATE;
SELECT 1, l.id, l.workspace_id, l.project_id, l.version, NULL
  FROM json_each($1) j CROSS JOIN leads l ON l.id = unhex(j.value)
UNION ALL SELECT 2, u.key, u.lead_id, NULL, u.until, NULL
  FROM json_each($2) j CROSS JOIN unique_keys u ON u.key = unhex(j.value)
UNION ALL SELECT 3, i.source_id, i.key, i.request, i.until, i.answer
  FROM json_each($3) j CROSS JOIN idempotency i ON i.source_id = unhex(j.value->>0) AND i.key = unhex(j.value->>1)
UNION ALL SELECT 4, d.id, d.lease_token, NULL, 0, NULL
  FROM json_each($4) j CROSS JOIN deliveries d ON d.id = unhex(j.value) WHERE d.lease_token NOTNULL
UNION ALL SELECT 4, t.id, t.lease_token, NULL, 0, NULL
  FROM json_each($5) j CROSS JOIN timers t ON t.id = unhex(j.value) WHERE t.lease_token NOTNULL
UNION ALL SELECT 5, i.channel_id, NULL, NULL, 0, i.provider_event_id
  FROM json_each($6) j CROSS JOIN inbound i ON i.channel_id = unhex(j.value->>0) AND i.provider_event_id = j.value->>1
  WHERE i.done = 0
UNION ALL SELECT 6, e.id, NULL, NULL, 0, NULL
  FROM json_each($7) j CROSS JOIN events e ON e.id = unhex(j.value)
UNION ALL SELECT 7, d.id, NULL, NULL, d.state, NULL
  FROM json_each($8) j CROSS JOIN deliveries d ON d.id = unhex(j.value)";

/// How many lists [`LOOK`] takes.
const QUESTIONS: usize = 8;

macro_rules! write {
    () => {
        "
UPDATE deliveries SET
    checks = CASE WHEN j.value->>9 = 1 AND (state = 1 OR (uncertain = 1 AND j.value->>7 = 0)) THEN 0 ELSE checks END,
    state = j.value->>1, reason = j.value->>2, due_at = coalesce(j.value->>3, due_at), updated_at = j.value->>4,
    attempts = max(0, attempts - (state = 1) * (j.value->>5)), parts_sent = coalesce(j.value->>6, parts_sent), uncertain = j.value->>7,
    provider_message_id = coalesce(j.value->>8, provider_message_id), lease_token = NULL, lease_until = NULL
  FROM json_each($1) j WHERE deliveries.id = unhex(j.value->>0);
INSERT INTO attempts
  SELECT unhex(j.value->>0),
    1 + coalesce((SELECT max(a.number) FROM attempts a WHERE a.delivery_id = unhex(j.value->>0)), 0), j.value->1
  FROM json_each($2) j;
DELETE FROM timers WHERE id IN (SELECT unhex(j.value) FROM json_each($3) j);
UPDATE inbound SET done = 1 FROM json_each($4) j WHERE channel_id = unhex(j.value->>0) AND provider_event_id = j.value->>1;
DELETE FROM timers WHERE lead_id IN (SELECT unhex(j.value) FROM json_each($5) j);
INSERT OR REPLACE INTO timers (id, workspace_id, project_id, lead_id, name, due_at)
  SELECT unhex(j.value->>0), unhex(j.value->>1), unhex(j.value->>2), unhex(j.value->>3), j.value->4, j.value->>5
  FROM json_each($6) j;
UPDATE deliveries SET state = 1, attempts = attempts + 1, last_attempt_at = j.value->>1, updated_at = j.value->>1
  FROM json_each($14) j WHERE deliveries.id = unhex(j.value->>0);
UPDATE deliveries SET state = j.value->>1, reason = j.value->>2, uncertain = 0, updated_at = max(updated_at, j.value->>3),
    lease_token = NULL, lease_until = NULL
  FROM json_each($15) j WHERE deliveries.id = unhex(j.value->>0);
UPDATE deliveries SET state = 15, updated_at = j.value->>1, lease_token = NULL, lease_until = NULL FROM json_each($7) j
  WHERE deliveries.lead_id = unhex(j.value->>0) AND state = 0 AND purpose = 'offer';
INSERT INTO unique_keys
  SELECT unhex(j.value->>0), unhex(j.value->>1), j.value->>2 FROM json_each($8) j WHERE true
  ON CONFLICT (key) DO UPDATE SET lead_id = excluded.lead_id, until = excluded.until;
INSERT INTO idempotency
  SELECT unhex(j.value->>0), unhex(j.value->>1), unhex(j.value->>2), j.value->3, j.value->>4 FROM json_each($9) j WHERE true
  ON CONFLICT (source_id, key) DO UPDATE SET request = excluded.request, answer = excluded.answer, until = excluded.until;
INSERT INTO leads
  SELECT unhex(j.value->>0), unhex(j.value->>1), unhex(j.value->>2), unhex(j.value->>3), j.value->>4, j.value->>5, j.value->>6,
    j.value->>7, unhex(j.value->>8), j.value->>9, j.value->10
  FROM json_each($10) j;
UPDATE leads SET version = j.value->>1, status = j.value->>2, assigned_to = j.value->>3, state = j.value->4
  FROM json_each($11) j WHERE leads.id = unhex(j.value->>0);
INSERT INTO events
  SELECT unhex(j.value->>0), unhex(j.value->>1), unhex(j.value->>2), j.value->>3, j.value->4, j.value->5
  FROM json_each($12) j;
INSERT INTO deliveries (id, workspace_id, project_id, lead_id, channel_id, purpose, state, created_at, due_at, expires_at,
    updated_at, attempts, parts_sent, checks, uncertain, last_attempt_at, order_key, lease_token, lease_until, spec)
  SELECT unhex(j.value->>0), unhex(j.value->>1), unhex(j.value->>2), unhex(j.value->>3), unhex(j.value->>4), j.value->>5,
    j.value->>6, j.value->>7, j.value->>8, j.value->>9, j.value->>7, j.value->>6, 0, 0, 0,
    CASE WHEN j.value->>6 = 1 THEN j.value->>7 END, unhex(j.value->>10), unhex(j.value->>11), j.value->>12, j.value->13
  FROM json_each($13) j"
    };
}

/// All changes of a group; the transaction stays open.
pub(super) const WRITE: &str = write!();
/// The same, and the end of the transaction.
pub(super) const WRITE_AND_COMMIT: &str = concat!(write!(), ";\nCOMMIT");

/// How many lists [`WRITE`] takes.
const CHANGES: usize = 15;

/// An id or a digest of 16 bytes, as SQLite's `unhex` wants it.
struct Hex(Uuid);

impl Hex {
    const fn bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.simple().encode_lower(&mut Uuid::encode_buffer()))
    }
}

/// A JSON array that grows.
#[derive(Debug, Default)]
struct List(Vec<u8>);

impl List {
    fn push(&mut self, row: &impl Serialize, what: &'static str) -> Result<()> {
        self.0.push(if self.0.is_empty() { b'[' } else { b',' });
        serde_json::to_writer(&mut self.0, row).map_err(|_| unwritable(what))
    }

    fn close(mut self) -> Result<String> {
        if self.0.is_empty() {
            self.0.push(b'[');
        }
        self.0.push(b']');
        String::from_utf8(self.0).map_err(|_| unwritable("a list"))
    }
}

/// What is asked of the facts.
#[derive(Debug, Default)]
pub(super) struct Questions {
    lists: [List; QUESTIONS],
}

impl Questions {
    pub(super) fn delivery(&mut self, delivery: DeliveryId) -> Result<()> {
        self.lists[3].push(&Hex(delivery.as_uuid()), "a delivery")
    }

    pub(super) fn transition(&mut self, transition: &Transition) -> Result<()> {
        self.lists[0].push(&Hex(transition.lead_id.as_uuid()), "a lead")?;
        for key in unique_keys(transition) {
            self.lists[1].push(&Hex::bytes(key.0), "a unique key")?;
        }
        if let Some(record) = &transition.idempotency {
            let key = (Hex(transition.source_id.as_uuid()), Hex::bytes(record.key));
            self.lists[2].push(&key, "an idempotency key")?;
        }
        if let Some(settlement) = &transition.settlement {
            self.delivery(settlement.delivery_id)?;
        }
        if let Some(receipt) = &transition.receipt {
            self.lists[7].push(&Hex(receipt.delivery_id.as_uuid()), "a delivery")?;
        }
        if let Some((timer, _)) = &transition.fired {
            self.lists[4].push(&Hex(timer.as_uuid()), "a timer")?;
        }
        if let Some(inbound) = &transition.inbound {
            let key = (Hex(inbound.channel_id.as_uuid()), &inbound.provider_event_id);
            self.lists[5].push(&key, "an inbound event")?;
        }
        self.lists[6].push(&Hex(transition.event_id.as_uuid()), "an event")
    }

    /// Begins the transaction and looks.
    pub(super) async fn look(self, connection: &mut SqliteConnection) -> sqlx::Result<Vec<SqliteRow>> {
        let mut query = sqlx::query(LOOK);
        for list in self.lists {
            query = query.bind(list.close().map_err(sqlx::Error::decode)?);
        }
        query.fetch_all(connection).await
    }
}

/// Reads what [`Questions::look`] has seen.
pub(super) fn facts(rows: &[SqliteRow]) -> Result<Facts> {
    let mut facts = Facts::default();
    for row in rows {
        match integer(row, 0)? {
            1 => {
                let version = u64::try_from(integer(row, 4)?).map_err(|_| unreadable("leads.version"))?;
                facts.leads.insert(LeadId::from_uuid(uuid(row, 1)?), (version, uuid(row, 2)?, uuid(row, 3)?));
            }
            2 => {
                let key = UniqueKey(uuid(row, 1)?.into_bytes());
                facts.unique.insert(key, (LeadId::from_uuid(uuid(row, 2)?), integer(row, 4)?));
            }
            3 => {
                let key = (SourceId::from_uuid(uuid(row, 1)?), uuid(row, 2)?.into_bytes());
                let (request, until) = (uuid(row, 3)?.into_bytes(), integer(row, 4)?);
                let answer = json(row, 5, "idempotency.answer")?;
                facts.idempotency.insert(key, Used { request, answer, until });
            }
            4 => drop(facts.tokens.insert(uuid(row, 1)?, LeaseToken::from_uuid(uuid(row, 2)?))),
            5 => drop(facts.inbound.insert((ChannelId::from_uuid(uuid(row, 1)?), text(row, 5)?))),
            6 => drop(facts.events.insert(EventId::from_uuid(uuid(row, 1)?))),
            _ => {
                let state = DeliveryState::from_number(integer(row, 4)?);
                let state = state.ok_or_else(|| unreadable("deliveries.state"))?;
                facts.states.insert(DeliveryId::from_uuid(uuid(row, 1)?), state);
            }
        }
    }
    Ok(facts)
}

/// What a group changes.
#[derive(Debug, Default)]
pub(super) struct Changes {
    lists: [List; CHANGES],
}

impl Changes {
    pub(super) fn settlement(&mut self, settlement: &Settlement) -> Result<()> {
        let id = Hex(settlement.delivery_id.as_uuid());
        let at = settlement.at.timestamp_millis();
        // id, state, reason, due_at, updated_at, attempts given back, parts_sent, uncertain, the
        // provider's id, whether receipt checks may begin anew
        let (state, reason, due_at, back, parts, uncertain, provider, awaits) = match &settlement.outcome {
            Settled::Ended { state, reason, provider_message_id } => {
                (*state, reason.as_deref(), None, 0, None, 0, provider_message_id.as_deref(), 0)
            }
            Settled::Retry { due_at, reason, counted, parts_sent } => {
                let back = i32::from(!counted);
                (DeliveryState::Pending, Some(&**reason), Some(due_at), back, Some(*parts_sent), 0, None, 0)
            }
            Settled::Await { check_at, provider_message_id, uncertain, parts_sent } => {
                let (parts, uncertain) = (Some(*parts_sent), i32::from(*uncertain));
                let provider = provider_message_id.as_deref();
                (DeliveryState::AwaitingReceipt, None, Some(check_at), 0, parts, uncertain, provider, 1)
            }
        };
        let due_at = due_at.map(|due_at| due_at.timestamp_millis());
        let row = (id, state.number(), reason, due_at, at, back, parts, uncertain, provider, awaits);
        self.lists[0].push(&row, "a settlement")?;
        match &settlement.attempt {
            Some(attempt) => self.attempt(settlement.delivery_id, attempt),
            None => Ok(()),
        }
    }

    pub(super) fn beginning(&mut self, beginning: &Beginning) -> Result<()> {
        let row = (Hex(beginning.delivery_id.as_uuid()), beginning.at.timestamp_millis());
        self.lists[13].push(&row, "a beginning")
    }

    pub(super) fn receipt(&mut self, receipt: &Receipt) -> Result<()> {
        let id = Hex(receipt.delivery_id.as_uuid());
        let at = receipt.attempt.started_at.timestamp_millis();
        self.lists[14].push(&(id, receipt.state.number(), &receipt.reason, at), "a receipt")?;
        self.attempt(receipt.delivery_id, &receipt.attempt)
    }

    fn attempt(&mut self, delivery: DeliveryId, attempt: &Attempt) -> Result<()> {
        self.lists[1].push(&(Hex(delivery.as_uuid()), attempt), "an attempt")
    }

    pub(super) fn transition(&mut self, transition: &Transition) -> Result<()> {
        let lead = || Hex(transition.lead_id.as_uuid());
        let workspace = || Hex(transition.scope.workspace_id.as_uuid());
        let project = || Hex(transition.scope.project_id.as_uuid());
        let source = || Hex(transition.source_id.as_uuid());
        let at = transition.at.timestamp_millis();
        if let Some(settlement) = &transition.settlement {
            self.settlement(settlement)?;
        }
        if let Some(receipt) = &transition.receipt {
            self.receipt(receipt)?;
        }
        if let Some((timer, _)) = &transition.fired {
            self.lists[2].push(&Hex(timer.as_uuid()), "a timer")?;
        }
        if let Some(inbound) = &transition.inbound {
            let row = (Hex(inbound.channel_id.as_uuid()), &inbound.provider_event_id);
            self.lists[3].push(&row, "an inbound event")?;
        }
        if transition.clear_timers {
            self.lists[4].push(&lead(), "a lead")?;
        }
        for timer in &transition.timers {
            let id = Hex(timer.id.as_uuid());
            let row = (id, workspace(), project(), lead(), timer.name, timer.due_at.timestamp_millis());
            self.lists[5].push(&row, "a timer")?;
        }
        if transition.cancel_offers {
            self.lists[6].push(&(lead(), at), "a lead")?;
        }
        for reservation in &transition.reservations {
            if let Reservation::Unique { key, until } = reservation {
                let row = (Hex::bytes(key.0), lead(), until.timestamp_millis());
                self.lists[7].push(&row, "a unique key")?;
            }
        }
        if let Some(record) = &transition.idempotency {
            let (key, request) = (Hex::bytes(record.key), Hex::bytes(record.request));
            let row = (source(), key, request, &record.answer, record.until.timestamp_millis());
            self.lists[8].push(&row, "an idempotency key")?;
        }
        let state = &transition.state;
        let status = state.status.as_str();
        match transition.guard {
            Guard::New => {
                let policy = transition.trace.policy;
                let (pinned, version) = (Hex(policy.id.as_uuid()), policy.version);
                let assigned = &state.assigned_to;
                let row = (
                    lead(),
                    workspace(),
                    project(),
                    source(),
                    at,
                    state.version,
                    status,
                    assigned,
                    pinned,
                    version,
                    state,
                );
                self.lists[9].push(&row, "a lead")?;
            }
            Guard::Version(_) => {
                let row = (lead(), state.version, status, &state.assigned_to, state);
                self.lists[10].push(&row, "a lead")?;
            }
            Guard::Append => {}
        }
        let id = Hex(transition.event_id.as_uuid());
        let row = (id, workspace(), lead(), at, &transition.event, &transition.trace);
        self.lists[11].push(&row, "an event")?;
        transition.deliveries.iter().try_for_each(|delivery| self.delivery(delivery))
    }

    pub(super) fn delivery(&mut self, new: &NewDelivery) -> Result<()> {
        let row = (
            Hex(new.id.as_uuid()),
            Hex(new.scope.workspace_id.as_uuid()),
            Hex(new.scope.project_id.as_uuid()),
            new.lead_id.map(|lead| Hex(lead.as_uuid())),
            Hex(new.channel_id.as_uuid()),
            new.spec.purpose.as_str(),
            i32::from(new.begun),
            new.created_at.timestamp_millis(),
            new.due_at.timestamp_millis(),
            new.expires_at.timestamp_millis(),
            new.order_key.map(|key| Hex::bytes(key.0)),
            new.lease.map(|lease| Hex(lease.token.as_uuid())),
            new.lease.map(|lease| lease.until.timestamp_millis()),
            &new.spec,
        );
        self.lists[12].push(&row, "a delivery")
    }

    /// Makes the changes; with [`WRITE_AND_COMMIT`] they are on disk afterwards.
    pub(super) async fn write(
        self,
        text: &'static str,
        connection: &mut SqliteConnection,
    ) -> sqlx::Result<()> {
        let mut query = sqlx::query(text);
        for list in self.lists {
            query = query.bind(list.close().map_err(sqlx::Error::decode)?);
        }
        query.execute(connection).await.map(drop)
    }
}
