//! The two statements of a group: one look at everything that its members name, one set of changes.
//!
//! The driver's cost is one hand-over to SQLite's thread per call, whatever the number of rows, so a
//! group makes one call to look and one to write. Each list of rows is two parameters, see [`super::list`];
//! a parameter `$n` keeps its number in every statement of a text.

use fastlead_core::decide::{Counter, CounterId, Event, UniqueKey};
use fastlead_core::delivery::{Attempt, DeliveryState, NewDelivery};
use fastlead_core::error::Result;
use fastlead_core::id::{ChannelId, DeliveryId, EventId, LeadId, LeaseToken, SourceId};
use fastlead_core::lead::search_text;
use fastlead_core::port::{
    AccountPause, Beginning, ChannelStatus, Guard, Receipt, Reservation, Settled, Settlement, Transition,
    UnreadableRows,
};
use fastlead_core::time::Timestamp;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::counters::counter;
use super::list::{List, id, int, maybe_id, maybe_int, maybe_text, text};
use super::reading::Origin;
use super::rows::{self, integer, json, optional_uuid, unread, uuid};
use crate::resolve::{Facts, Held, Named, Used, counter_ids, unique_keys};

/// Begins the transaction and looks. `CROSS JOIN` keeps the short list outside and the index inside.
pub(super) const LOOK: &str = concat!(
    "\nBEGIN IMMEDIATE;
SELECT 1, l.id, l.workspace_id, l.project_id, l.version, NULL, NULL, NULL
  FROM json_each($1) j CROSS JOIN leads l ON l.id = ",
    id!("$12", 0),
    "
UNION ALL SELECT 2, u.key, u.lead_id, NULL, u.until, NULL, NULL, NULL
  FROM json_each($2) j CROSS JOIN unique_keys u ON u.key = ",
    id!("$13", 0),
    "
UNION ALL SELECT 3, i.source_id, i.key, i.request, i.until, i.answer, NULL, NULL
  FROM json_each($3) j CROSS JOIN idempotency i ON i.source_id = ",
    id!("$14", 0),
    " AND i.key = ",
    id!("$14", 1),
    "
UNION ALL SELECT 4, d.id, d.lease_token, d.begun_by, d.state, NULL, d.uncertain + 2 * d.unwanted,
    EXISTS (SELECT 1 FROM channels c WHERE c.id = d.channel_id AND c.status <> '{\"status\":\"active\"}')
  FROM json_each($4) j CROSS JOIN deliveries d ON d.id = ",
    id!("$15", 0),
    " WHERE d.lease_token NOTNULL OR d.begun_by NOTNULL
UNION ALL SELECT 10, t.id, t.lease_token, NULL, 0, NULL, NULL, NULL
  FROM json_each($5) j CROSS JOIN timers t ON t.id = ",
    id!("$16", 0),
    " WHERE t.lease_token NOTNULL
UNION ALL SELECT 5, i.channel_id, NULL, NULL, 0, i.provider_event_id, NULL, NULL
  FROM json_each($6) j CROSS JOIN inbound i ON i.channel_id = ",
    id!("$17", 0),
    " AND i.provider_event_id = ",
    text!("$17", 1),
    "
  WHERE i.done = 0
UNION ALL SELECT 6, e.id, NULL, NULL, 0, NULL, NULL, NULL
  FROM json_each($7) j CROSS JOIN events e ON e.id = ",
    id!("$18", 0),
    "
UNION ALL SELECT 7, d.id, NULL, NULL, d.state, NULL, NULL, NULL
  FROM json_each($8) j CROSS JOIN deliveries d ON d.id = ",
    id!("$19", 0),
    "
UNION ALL SELECT 8, c.key, NULL, NULL, c.value, c.note, c.last_at, c.until
  FROM json_each($9) j CROSS JOIN counters c ON c.key = ",
    id!("$20", 0),
    "
UNION ALL SELECT 9, c.id, NULL, NULL, 0, NULL, NULL, NULL
  FROM json_each($10) j CROSS JOIN channels c ON c.id = ",
    id!("$21", 0),
    " WHERE c.status = '{\"status\":\"active\"}'
UNION ALL SELECT 11, s.key, NULL, NULL, 0, s.doc, NULL, NULL
  FROM json_each($11) j CROSS JOIN suppressions s ON s.key = ",
    id!("$22", 0),
    ""
);

/// How many lists [`LOOK`] takes.
const QUESTIONS: usize = 11;

macro_rules! write {
    () => {
        concat!(
            "\nUPDATE deliveries SET
    checks = CASE WHEN ", int!("$20", 9), " = 1 AND (state = 1 OR (uncertain = 1 AND ", int!("$20", 7), " = 0)) THEN 0 ELSE checks END,
    state = CASE WHEN unwanted = 1 AND ", int!("$20", 1), " = 0 THEN 15 + ", int!("$20", 7), " ELSE ", int!("$20", 1), " END,
    reason = CASE WHEN unwanted = 1 AND ", int!("$20", 1), " = 0
      THEN CASE WHEN ", int!("$20", 7), " = 1 THEN 'outcome_unknown' WHEN ", int!("$20", 6), " > 0 THEN 'partly_sent' END
      ELSE ", maybe_text!("$20", 2), " END,
    uncertain = CASE WHEN unwanted = 1 AND ", int!("$20", 1), " = 0 THEN 0 ELSE ", int!("$20", 7), " END,
    due_at = coalesce(", maybe_int!("$20", 3), ", due_at),
    updated_at = ", int!("$20", 4), ", attempts = max(0, attempts - (state = 1) * ", int!("$20", 5), "),
    parts_sent = CASE WHEN ", int!("$20", 1), " < 10 THEN coalesce(", maybe_int!("$20", 6), ", parts_sent)
      ELSE max(parts_sent, coalesce(", maybe_int!("$20", 6), ", 0)) END,
    provider_message_id = coalesce(", maybe_text!("$20", 8), ", provider_message_id), lease_token = NULL, lease_until = NULL,
    order_key = CASE ", int!("$20", 10), " WHEN 1 THEN NULL ELSE order_key END,
    begun_by = nullif(begun_by, ", id!("$20", 11), ")
  FROM json_each($1) j WHERE deliveries.id = ", id!("$20", 0), ";
INSERT INTO attempts
  SELECT ", id!("$21", 0), ",
    1 + coalesce((SELECT max(a.number) FROM attempts a WHERE a.delivery_id = ", id!("$21", 0), " AND typeof(a.number) = 'integer'), 0), ", text!("$21", 1), "
  FROM json_each($2) j;
DELETE FROM timers WHERE id IN (SELECT ", id!("$22", 0), " FROM json_each($3) j);
UPDATE inbound SET done = 1 FROM json_each($4) j
  WHERE channel_id = ", id!("$23", 0), " AND provider_event_id = ", text!("$23", 1), ";
DELETE FROM timers WHERE lead_id IN (SELECT ", id!("$24", 0), " FROM json_each($5) j);
INSERT OR REPLACE INTO timers (id, workspace_id, project_id, lead_id, name, due_at)
  SELECT ", id!("$25", 0), ", ", id!("$25", 1), ", ", id!("$25", 2), ", ", id!("$25", 3), ", ", text!("$25", 4), ", ", int!("$25", 5), "
  FROM json_each($6) j;
UPDATE deliveries SET state = 1, begun_by = lease_token, attempts = attempts + 1, last_attempt_at = ", int!("$33", 1), ", updated_at = ", int!("$33", 1), ",
    lease_until = max(lease_until, ", int!("$33", 2), ")
  FROM json_each($14) j WHERE deliveries.id = ", id!("$33", 0), ";
UPDATE deliveries SET state = ", int!("$34", 1), ", reason = ", maybe_text!("$34", 2), ", uncertain = 0,
    updated_at = max(updated_at, ", int!("$34", 3), "), lease_token = NULL, lease_until = NULL
  FROM json_each($15) j WHERE deliveries.id = ", id!("$34", 0), ";
UPDATE deliveries SET unwanted = 1,
    state = CASE state WHEN 0 THEN 15 + uncertain ELSE state END,
    reason = CASE WHEN state > 0 THEN reason WHEN uncertain = 1 THEN 'outcome_unknown' WHEN parts_sent > 0 THEN 'partly_sent' ELSE reason END,
    uncertain = CASE state WHEN 0 THEN 0 ELSE uncertain END, updated_at = CASE state WHEN 0 THEN ", int!("$26", 1), " ELSE updated_at END,
    lease_token = CASE state WHEN 0 THEN NULL ELSE lease_token END, lease_until = CASE state WHEN 0 THEN NULL ELSE lease_until END
  FROM json_each($7) j WHERE deliveries.lead_id = ", id!("$26", 0), " AND state < 10 AND purpose = 'offer';
UPDATE deliveries SET unwanted = 1,
    state = CASE state WHEN 0 THEN 15 + uncertain ELSE state END,
    reason = CASE WHEN state > 0 THEN reason WHEN uncertain = 1 THEN 'outcome_unknown' WHEN parts_sent > 0 THEN 'partly_sent' ELSE reason END,
    uncertain = CASE state WHEN 0 THEN 0 ELSE uncertain END, updated_at = CASE state WHEN 0 THEN ", int!("$37", 1), " ELSE updated_at END,
    lease_token = CASE state WHEN 0 THEN NULL ELSE lease_token END, lease_until = CASE state WHEN 0 THEN NULL ELSE lease_until END
  FROM json_each($18) j WHERE deliveries.id = ", id!("$37", 0), " AND state < 10;
INSERT INTO unique_keys
  SELECT ", id!("$27", 0), ", ", id!("$27", 1), ", ", int!("$27", 2), " FROM json_each($8) j WHERE true
  ON CONFLICT (key) DO UPDATE SET lead_id = excluded.lead_id, until = excluded.until;
INSERT OR REPLACE INTO counters
  SELECT ", id!("$35", 0), ", ", int!("$35", 1), ", ", maybe_text!("$35", 2), ", ", maybe_int!("$35", 3), ", ", maybe_int!("$35", 4), "
  FROM json_each($16) j;
INSERT INTO idempotency
  SELECT ", id!("$28", 0), ", ", id!("$28", 1), ", ", id!("$28", 2), ", ", text!("$28", 3), ", ", int!("$28", 4), " FROM json_each($9) j WHERE true
  ON CONFLICT (source_id, key) DO UPDATE SET request = excluded.request, answer = excluded.answer, until = excluded.until;
INSERT INTO leads
  SELECT ", id!("$29", 0), ", ", id!("$29", 1), ", ", id!("$29", 2), ", ", id!("$29", 3), ", ", int!("$29", 4), ", ", int!("$29", 5), ", ", text!("$29", 6), ", ",
    maybe_text!("$29", 7), ", ", id!("$29", 8), ", ", int!("$29", 9), ", ", text!("$29", 10), ", ", text!("$29", 11), "
  FROM json_each($10) j;
UPDATE leads SET version = ", int!("$30", 1), ", status = ", text!("$30", 2), ", assigned_to = ", maybe_text!("$30", 3), ", state = ", text!("$30", 4), ",
    policy_id = ", id!("$30", 5), ", policy_version = ", int!("$30", 6), "
  FROM json_each($11) j WHERE leads.id = ", id!("$30", 0), ";
INSERT INTO events (id, workspace_id, lead_id, at, event, trace, actor)
  SELECT ", id!("$31", 0), ", ", id!("$31", 1), ", ", id!("$31", 2), ", ", int!("$31", 3), ", ", text!("$31", 4), ", ", text!("$31", 5), ", ", text!("$31", 6), "
  FROM json_each($12) j;
INSERT INTO deliveries (id, workspace_id, project_id, lead_id, channel_id, purpose, state, created_at, due_at, expires_at,
    updated_at, attempts, parts_sent, checks, uncertain, last_attempt_at, order_key, lease_token, lease_until, spec)
  SELECT ", id!("$32", 0), ", ", id!("$32", 1), ", ", id!("$32", 2), ", ", maybe_id!("$32", 3), ", ", id!("$32", 4), ", ", text!("$32", 5), ", ",
    int!("$32", 6), ", ", int!("$32", 7), ", ", int!("$32", 8), ", ", int!("$32", 9), ", ", int!("$32", 7), ", ", int!("$32", 6), ", 0, 0, 0,
    CASE WHEN ", int!("$32", 6), " = 1 THEN ", int!("$32", 7), " END, ", maybe_id!("$32", 10), ", ", maybe_id!("$32", 11), ", ", maybe_int!("$32", 12), ", ", text!("$32", 13), "
  FROM json_each($13) j;
UPDATE deliveries SET state = 0, reason = NULL, due_at = ", int!("$38", 1), ", expires_at = ", int!("$38", 2), ", updated_at = ", int!("$38", 1), ",
    attempts = 0, checks = 0, uncertain = (state = 16), unwanted = 0, begun_by = NULL, lease_token = NULL, lease_until = NULL
  FROM json_each($19) j WHERE deliveries.id = ", id!("$38", 0), ";
UPDATE channels SET status = ", text!("$36", 1), " FROM json_each($17) j WHERE channels.id = ", id!("$36", 0), "
    AND status = '{\"status\":\"active\"}'"
        )
    };
}

/// All changes of a group; the transaction stays open.
pub(super) const WRITE: &str = write!();
/// The same, and the end of the transaction.
pub(super) const WRITE_AND_COMMIT: &str = concat!(write!(), ";\nCOMMIT");

/// How many lists [`WRITE`] takes.
const CHANGES: usize = 19;

/// What is asked of the facts.
#[derive(Debug, Default)]
pub(super) struct Questions {
    lists: [List; QUESTIONS],
}

impl Questions {
    fn delivery(&mut self, delivery: DeliveryId) -> Result<()> {
        self.lists[3].row(1).id(delivery.as_uuid()).end()
    }

    pub(super) fn beginning(&mut self, beginning: &Beginning) -> Result<()> {
        if let Some(address) = beginning.address {
            self.lists[10].row(1).id(Uuid::from_bytes(address.0)).end()?;
        }
        self.delivery(beginning.delivery_id)
    }

    pub(super) fn settlement(&mut self, settlement: &Settlement) -> Result<()> {
        if let Some(pause) = &settlement.pause {
            self.lists[9].row(1).id(pause.channel_id.as_uuid()).end()?;
        }
        self.delivery(settlement.delivery_id)
    }

    pub(super) fn transition(&mut self, transition: &Transition) -> Result<()> {
        self.lists[0].row(1).id(transition.lead_id.as_uuid()).end()?;
        for key in unique_keys(transition) {
            self.lists[1].row(1).id(Uuid::from_bytes(key.0)).end()?;
        }
        for id in counter_ids(transition) {
            self.lists[8].row(1).id(Uuid::from_bytes(id.0)).end()?;
        }
        if let Some(record) = &transition.idempotency {
            let key = Uuid::from_bytes(record.key);
            self.lists[2].row(2).id(transition.source_id.as_uuid()).id(key).end()?;
        }
        if let Some(settlement) = &transition.settlement {
            self.settlement(settlement)?;
        }
        if let Some(receipt) = &transition.receipt {
            self.lists[7].row(1).id(receipt.delivery_id.as_uuid()).end()?;
        }
        if let Some(revival) = &transition.revive {
            self.lists[7].row(1).id(revival.delivery_id.as_uuid()).end()?;
        }
        if let Some((timer, _)) = &transition.fired {
            self.lists[4].row(1).id(timer.as_uuid()).end()?;
        }
        if let Some(inbound) = &transition.inbound {
            let channel = inbound.channel_id.as_uuid();
            self.lists[5].row(2).id(channel).text(&inbound.provider_event_id).end()?;
        }
        self.lists[6].row(1).id(transition.event_id.as_uuid()).end()
    }

    /// Begins the transaction and looks.
    pub(super) async fn look(self, connection: &mut SqliteConnection) -> sqlx::Result<Vec<SqliteRow>> {
        bound(LOOK, self.lists).fetch_all(connection).await
    }
}

pub(super) type Query = sqlx::query::Query<'static, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

/// First the places of all lists, then their rows.
pub(super) fn bound<const LISTS: usize>(text: &'static str, lists: [List; LISTS]) -> Query {
    let parameters = lists.map(List::parameters);
    let mut query = sqlx::query(text);
    let mut heaps = Vec::with_capacity(LISTS);
    for (places, heap) in parameters {
        query = query.bind(places);
        heaps.push(heap);
    }
    heaps.into_iter().fold(query, Query::bind)
}

/// Reads what [`Questions::look`] has seen. A row that cannot be read fails those alone who have named it; a counter and
/// a unique key are as if they were not there, because a lead is not refused for them, and the change mends them.
pub(super) fn facts(rows: &[SqliteRow], met: &UnreadableRows) -> Facts {
    let mut facts = Facts::default();
    for row in rows {
        let kind = integer(row, 0).unwrap_or_default();
        if let Err(error) = fact(kind, row, &mut facts) {
            let (table, what) = match kind {
                1 => ("leads", Some(Named::Lead)),
                2 => ("unique_keys", None),
                3 => ("idempotency", Some(Named::Idempotency)),
                4 => ("deliveries", None),
                5 => ("inbound", None),
                6 => ("events", None),
                8 => ("counters", None),
                9 => ("channels", None),
                10 => ("timers", None),
                11 => ("suppressions", Some(Named::Suppression)),
                _ => ("deliveries", Some(Named::Delivery)),
            };
            let unread = Origin::new(table, 1).name(row, &error);
            met.notice(&unread);
            // The key of what was asked for is equal to what was asked, so that it can always be read.
            let key = match what {
                Some(Named::Idempotency) => uuid(row, 2),
                _ => uuid(row, 1),
            };
            if let (Some(what), Ok(key)) = (what, key) {
                facts.unread.insert((what, key), unread);
            }
        }
    }
    facts
}

fn fact(kind: i64, row: &SqliteRow, facts: &mut Facts) -> Result<()> {
    match kind {
        1 => {
            let version = u64::try_from(integer(row, 4)?).map_err(|_| unread(row, 4))?;
            facts.leads.insert(LeadId::from_uuid(uuid(row, 1)?), (version, uuid(row, 2)?, uuid(row, 3)?));
        }
        2 => {
            let key = UniqueKey(uuid(row, 1)?.into_bytes());
            facts.unique.insert(key, (LeadId::from_uuid(uuid(row, 2)?), integer(row, 4)?));
        }
        3 => {
            let key = (SourceId::from_uuid(uuid(row, 1)?), uuid(row, 2)?.into_bytes());
            let (request, until) = (uuid(row, 3)?.into_bytes(), integer(row, 4)?);
            facts.idempotency.insert(key, Used { request, answer: json(row, 5)?, until });
        }
        4 => {
            let token = |index| optional_uuid(row, index).map(|id| id.map(LeaseToken::from_uuid));
            let held = Held {
                lease: token(2)?,
                begun_by: token(3)?,
                state: state(row)?,
                uncertain: integer(row, 6)? & 1 != 0,
                unwanted: integer(row, 6)? & 2 != 0,
                paused: integer(row, 7)? != 0,
            };
            facts.held.insert(DeliveryId::from_uuid(uuid(row, 1)?), held);
        }
        5 => drop(facts.inbound.insert((ChannelId::from_uuid(uuid(row, 1)?), rows::text(row, 5)?))),
        6 => drop(facts.events.insert(EventId::from_uuid(uuid(row, 1)?))),
        8 => drop(facts.counters.insert(CounterId(uuid(row, 1)?.into_bytes()), counter(row, 4)?)),
        9 => drop(facts.active.insert(ChannelId::from_uuid(uuid(row, 1)?))),
        11 => drop(facts.suppressed.insert(uuid(row, 1)?.into_bytes(), json(row, 5)?)),
        10 => drop(facts.timers.insert(uuid(row, 1)?, LeaseToken::from_uuid(uuid(row, 2)?))),
        _ => drop(facts.states.insert(DeliveryId::from_uuid(uuid(row, 1)?), state(row)?)),
    }
    Ok(())
}

fn state(row: &SqliteRow) -> Result<DeliveryState> {
    DeliveryState::from_number(integer(row, 4)?).ok_or_else(|| unread(row, 4))
}

/// What a lead is found by, which its first event says.
fn found_by(event: &Event) -> String {
    match event {
        Event::Captured(capture) => search_text(capture).into_inner(),
        _ => String::new(),
    }
}

/// What a member of a group changes, and then what the group changes.
#[derive(Debug, Default)]
pub(super) struct Changes {
    lists: [List; CHANGES],
}

impl Changes {
    /// Everything that `transition` changes.
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
        changes.lists[16].row(2).id(pause.channel_id.as_uuid()).json(&status, "a channel's status").end()?;
        pause.notices.iter().try_for_each(|notice| changes.delivery(notice))?;
        Ok(changes)
    }

    /// Adds what another member changes.
    pub(super) fn append(&mut self, other: &Self) {
        for (list, more) in self.lists.iter_mut().zip(&other.lists) {
            list.append(more);
        }
    }

    fn settlement(&mut self, settlement: &Settlement) -> Result<()> {
        let at = settlement.at.timestamp_millis();
        // id, state, reason, due_at, updated_at, attempts given back, parts_sent, uncertain, the
        // provider's id, whether receipt checks may begin anew, whether it leaves its order, the lease
        let frees = matches!(settlement.outcome, Settled::Await { frees_order: true, .. });
        let (state, reason, due_at, back, parts, uncertain, provider, awaits) = match &settlement.outcome {
            Settled::Ended { state, reason, provider_message_id } => {
                let arrived = matches!(state, DeliveryState::Sent | DeliveryState::Delivered);
                let attempt = settlement.attempt.as_ref().filter(|_| arrived);
                let parts = attempt.map(|attempt| attempt.part.saturating_add(1));
                (*state, reason.as_deref(), None, 0, parts, 0, provider_message_id.as_deref(), 0)
            }
            Settled::Retry { due_at, reason, counted, parts_sent, uncertain } => {
                let (back, uncertain) = (i64::from(!counted), i64::from(*uncertain));
                let (reason, parts) = (Some(&**reason), Some(*parts_sent));
                (DeliveryState::Pending, reason, Some(due_at), back, parts, uncertain, None, 0)
            }
            Settled::Await { check_at, provider_message_id, uncertain, parts_sent, .. } => {
                let (parts, uncertain) = (Some(*parts_sent), i64::from(*uncertain));
                let provider = provider_message_id.as_deref();
                (DeliveryState::AwaitingReceipt, None, Some(check_at), 0, parts, uncertain, provider, 1)
            }
        };
        self.lists[0]
            .row(12)
            .id(settlement.delivery_id.as_uuid())
            .int(state.number())
            .maybe_text(reason)
            .maybe_int(due_at.map(|due_at| due_at.timestamp_millis()))
            .int(at)
            .int(back)
            .maybe_int(parts.map(i64::from))
            .int(uncertain)
            .maybe_text(provider)
            .int(awaits)
            .int(i64::from(frees))
            .id(settlement.token.as_uuid())
            .end()?;
        match &settlement.attempt {
            Some(attempt) => self.attempt(settlement.delivery_id, attempt),
            None => Ok(()),
        }
    }

    /// What a counter says after the whole group.
    pub(super) fn counter(&mut self, id: CounterId, counter: &Counter) -> Result<()> {
        let millis = |at: Option<Timestamp>| at.map(|at| at.timestamp_millis());
        self.lists[15]
            .row(5)
            .id(Uuid::from_bytes(id.0))
            .int(counter.value)
            .maybe_text(counter.note.as_deref())
            .maybe_int(millis(counter.last_at))
            .maybe_int(millis(counter.until))
            .end()
    }

    pub(super) fn beginning(&mut self, beginning: &Beginning) -> Result<()> {
        let at = beginning.at.timestamp_millis();
        let until = beginning.until.timestamp_millis();
        self.lists[13].row(3).id(beginning.delivery_id.as_uuid()).int(at).int(until).end()
    }

    pub(super) fn receipt(&mut self, receipt: &Receipt) -> Result<()> {
        self.lists[14]
            .row(4)
            .id(receipt.delivery_id.as_uuid())
            .int(receipt.state.number())
            .maybe_text(receipt.reason.as_deref())
            .int(receipt.attempt.started_at.timestamp_millis())
            .end()?;
        self.attempt(receipt.delivery_id, &receipt.attempt)
    }

    pub(super) fn attempt(&mut self, delivery: DeliveryId, attempt: &Attempt) -> Result<()> {
        self.lists[1].row(2).id(delivery.as_uuid()).json(attempt, "an attempt").end()
    }

    fn transition(&mut self, transition: &Transition) -> Result<()> {
        let lead = transition.lead_id.as_uuid();
        let workspace = transition.scope.workspace_id.as_uuid();
        let project = transition.scope.project_id.as_uuid();
        let source = transition.source_id.as_uuid();
        let at = transition.at.timestamp_millis();
        if let Some(settlement) = &transition.settlement {
            self.settlement(settlement)?;
        }
        if let Some(receipt) = &transition.receipt {
            self.receipt(receipt)?;
        }
        if let Some(revival) = &transition.revive {
            let expires_at = revival.expires_at.timestamp_millis();
            self.lists[18].row(3).id(revival.delivery_id.as_uuid()).int(at).int(expires_at).end()?;
        }
        if let Some((timer, _)) = &transition.fired {
            self.lists[2].row(1).id(timer.as_uuid()).end()?;
        }
        if let Some(inbound) = &transition.inbound {
            let channel = inbound.channel_id.as_uuid();
            self.lists[3].row(2).id(channel).text(&inbound.provider_event_id).end()?;
        }
        if transition.clear_timers {
            self.lists[4].row(1).id(lead).end()?;
        }
        for timer in &transition.timers {
            self.lists[5]
                .row(6)
                .id(timer.id.as_uuid())
                .id(workspace)
                .id(project)
                .id(lead)
                .json(&timer.name, "a timer")
                .int(timer.due_at.timestamp_millis())
                .end()?;
        }
        if transition.cancel_offers {
            self.lists[6].row(2).id(lead).int(at).end()?;
        }
        for reservation in &transition.reservations {
            if let Reservation::Unique { key, until } = reservation {
                let key = Uuid::from_bytes(key.0);
                self.lists[7].row(3).id(key).id(lead).int(until.timestamp_millis()).end()?;
            }
        }
        if let Some(record) = &transition.idempotency {
            self.lists[8]
                .row(5)
                .id(source)
                .id(Uuid::from_bytes(record.key))
                .id(Uuid::from_bytes(record.request))
                .json(&record.answer, "an idempotency key")
                .int(record.until.timestamp_millis())
                .end()?;
        }
        self.lead(transition)?;
        self.lists[11]
            .row(7)
            .id(transition.event_id.as_uuid())
            .id(workspace)
            .id(lead)
            .int(at)
            .json(&transition.event, "an event")
            .json(&transition.trace, "a trace")
            .json(&transition.actor, "an actor")
            .end()?;
        transition.deliveries.iter().try_for_each(|delivery| self.delivery(delivery))
    }

    fn lead(&mut self, transition: &Transition) -> Result<()> {
        let lead = transition.lead_id.as_uuid();
        let state = &transition.state;
        let version = i64::try_from(state.version).unwrap_or(i64::MAX);
        let (status, assigned) = (state.status.as_str(), state.assigned_to.as_deref());
        match transition.guard {
            Guard::New => self.lists[9]
                .row(12)
                .id(lead)
                .id(transition.scope.workspace_id.as_uuid())
                .id(transition.scope.project_id.as_uuid())
                .id(transition.source_id.as_uuid())
                .int(transition.at.timestamp_millis())
                .int(version)
                .text(status)
                .maybe_text(assigned)
                .id(transition.trace.policy.id.as_uuid())
                .int(i64::from(transition.trace.policy.version))
                .json(state, "a lead")
                .text(&found_by(&transition.event))
                .end(),
            Guard::Version(_) => self.lists[10]
                .row(7)
                .id(lead)
                .int(version)
                .text(status)
                .maybe_text(assigned)
                .json(state, "a lead")
                .id(transition.trace.policy.id.as_uuid())
                .int(i64::from(transition.trace.policy.version))
                .end(),
            Guard::Append => Ok(()),
        }
    }

    pub(super) fn delivery(&mut self, new: &NewDelivery) -> Result<()> {
        self.lists[12]
            .row(14)
            .id(new.id.as_uuid())
            .id(new.scope.workspace_id.as_uuid())
            .id(new.scope.project_id.as_uuid())
            .maybe_id(new.lead_id.map(|lead| lead.as_uuid()))
            .id(new.channel_id.as_uuid())
            .text(new.spec.purpose.as_str())
            .int(DeliveryState::Pending.number())
            .int(new.created_at.timestamp_millis())
            .int(new.due_at.timestamp_millis())
            .int(new.expires_at.timestamp_millis())
            .maybe_id(new.order_key.map(|key| Uuid::from_bytes(key.0)))
            .maybe_id(new.lease.map(|lease| lease.token.as_uuid()))
            .maybe_int(new.lease.map(|lease| lease.until.timestamp_millis()))
            .json(&new.spec, "a delivery")
            .end()
    }

    /// Makes the changes; with [`WRITE_AND_COMMIT`] they are on disk afterwards.
    pub(super) async fn write(
        self,
        text: &'static str,
        connection: &mut SqliteConnection,
    ) -> sqlx::Result<()> {
        bound(text, self.lists).execute(connection).await.map(drop)
    }
}
