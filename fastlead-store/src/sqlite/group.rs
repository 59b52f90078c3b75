//! Decisions and settlements of a group: one look at the facts, one set of changes.

use fastlead_core::decide::UniqueKey;
use fastlead_core::delivery::{Attempt, DeliveryState, NewDelivery};
use fastlead_core::error::Result;
use fastlead_core::id::{ChannelId, DeliveryId, LeadId, LeaseToken, SourceId};
use fastlead_core::port::{Guard, Reservation, Settled, Settlement, Transition};
use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::fault::{failed, unreadable};
use super::resolve::{Facts, Used, unique_keys};
use super::rows::{integer, json, text, to_json, uuid};

/// One look. `CROSS JOIN` keeps the short list outside and the index inside.
const LOOK: &str = "
SELECT 1, l.id, l.workspace_id, l.project_id, l.version, NULL
  FROM json_each(?1) j CROSS JOIN leads l ON l.id = unhex(j.value)
UNION ALL SELECT 2, u.key, u.lead_id, NULL, u.until, NULL
  FROM json_each(?2) j CROSS JOIN unique_keys u ON u.key = unhex(j.value)
UNION ALL SELECT 3, i.source_id, i.key, i.request, i.until, i.answer
  FROM json_each(?3) j CROSS JOIN idempotency i ON i.source_id = unhex(j.value->>0) AND i.key = unhex(j.value->>1)
UNION ALL SELECT 4, d.id, d.lease_token, NULL, 0, NULL
  FROM json_each(?4) j CROSS JOIN deliveries d ON d.id = unhex(j.value) WHERE d.lease_token NOTNULL
UNION ALL SELECT 4, t.id, t.lease_token, NULL, 0, NULL
  FROM json_each(?5) j CROSS JOIN timers t ON t.id = unhex(j.value) WHERE t.lease_token NOTNULL
UNION ALL SELECT 5, i.channel_id, NULL, NULL, 0, i.provider_event_id
  FROM json_each(?6) j CROSS JOIN inbound i ON i.channel_id = unhex(j.value->>0) AND i.provider_event_id = j.value->>1
  WHERE i.done = 0";

/// What is asked of the facts.
#[derive(Default)]
pub(super) struct Questions {
    leads: Vec<Value>,
    unique: Vec<Value>,
    idempotency: Vec<Value>,
    deliveries: Vec<Value>,
    timers: Vec<Value>,
    inbound: Vec<Value>,
}

impl Questions {
    pub(super) fn settlement(&mut self, settlement: &Settlement) {
        self.deliveries.push(settlement.delivery_id.hex().into());
    }

    pub(super) fn transition(&mut self, transition: &Transition) {
        self.leads.push(transition.lead_id.hex().into());
        self.unique.extend(unique_keys(transition).map(|key| Value::from(hex::encode(key.0))));
        if let Some(record) = &transition.idempotency {
            self.idempotency.push(json!([transition.source_id.hex(), hex::encode(record.key)]));
        }
        if let Some(settlement) = &transition.settlement {
            self.settlement(settlement);
        }
        self.timers.extend(transition.fired.map(|(timer, _)| Value::from(timer.hex())));
        if let Some(inbound) = &transition.inbound {
            self.inbound.push(json!([inbound.channel_id.hex(), inbound.provider_event_id]));
        }
    }

    pub(super) async fn look(self, connection: &mut SqliteConnection) -> Result<Facts> {
        let lists = [self.leads, self.unique, self.idempotency, self.deliveries, self.timers, self.inbound];
        let mut query = sqlx::query(LOOK);
        for list in lists {
            query = query.bind(Value::Array(list).to_string());
        }
        let rows = query.fetch_all(connection).await.map_err(|error| failed("look", &error))?;
        let mut facts = Facts::default();
        for row in &rows {
            match integer(row, 0)? {
                1 => {
                    let version = u64::try_from(integer(row, 4)?).map_err(|_| unreadable("leads.version"))?;
                    facts
                        .leads
                        .insert(LeadId::from_uuid(uuid(row, 1)?), (version, uuid(row, 2)?, uuid(row, 3)?));
                }
                2 => {
                    let key = UniqueKey(uuid(row, 1)?.into_bytes());
                    facts.unique.insert(key, (LeadId::from_uuid(uuid(row, 2)?), integer(row, 4)?));
                }
                3 => {
                    let key = (SourceId::from_uuid(uuid(row, 1)?), uuid(row, 2)?.into_bytes());
                    let answer = json(row, 5, "idempotency.answer")?;
                    let used = Used { request: uuid(row, 3)?.into_bytes(), answer, until: integer(row, 4)? };
                    facts.idempotency.insert(key, used);
                }
                4 => drop(facts.tokens.insert(uuid(row, 1)?, LeaseToken::from_uuid(uuid(row, 2)?))),
                _ => drop(facts.inbound.insert((ChannelId::from_uuid(uuid(row, 1)?), text(row, 5)?))),
            }
        }
        Ok(facts)
    }
}

/// Every statement uses a prefix of the parameters: SQLite numbers them over the whole text, and the
/// driver binds by position.
const WRITE: &str = "
UPDATE deliveries SET
    checks = CASE WHEN j.value->>9 = 1 AND (state = 1 OR (uncertain = 1 AND j.value->>7 = 0)) THEN 0 ELSE checks END,
    state = j.value->>1, reason = j.value->>2, due_at = coalesce(j.value->>3, due_at), updated_at = j.value->>4,
    attempts = max(0, attempts - (j.value->>5)), parts_sent = coalesce(j.value->>6, parts_sent), uncertain = j.value->>7,
    provider_message_id = coalesce(j.value->>8, provider_message_id), lease_token = NULL, lease_until = NULL
  FROM json_each(?1) j WHERE deliveries.id = unhex(j.value->>0);
INSERT INTO attempts
  SELECT unhex(j.value->>0),
    1 + coalesce((SELECT max(a.number) FROM attempts a WHERE a.delivery_id = unhex(j.value->>0)), 0), j.value->>1
  FROM json_each(?2) j WHERE ?1 NOTNULL;
DELETE FROM timers WHERE id IN (SELECT unhex(j.value) FROM json_each(?3) j WHERE ?1 NOTNULL AND ?2 NOTNULL);
UPDATE inbound SET done = 1 FROM json_each(?4) j
  WHERE channel_id = unhex(j.value->>0) AND provider_event_id = j.value->>1 AND ?1 NOTNULL AND ?2 NOTNULL AND ?3 NOTNULL;
DELETE FROM timers WHERE lead_id IN (SELECT unhex(j.value) FROM json_each(?5) j WHERE coalesce(?1, ?2, ?3, ?4) NOTNULL);
INSERT OR REPLACE INTO timers (id, workspace_id, project_id, lead_id, name, due_at)
  SELECT unhex(j.value->>0), unhex(j.value->>1), unhex(j.value->>2), unhex(j.value->>3), j.value->>4, j.value->>5
  FROM json_each(?6) j WHERE coalesce(?1, ?2, ?3, ?4, ?5) NOTNULL;
UPDATE deliveries SET state = 15, updated_at = j.value->>1 FROM json_each(?7) j
  WHERE deliveries.lead_id = unhex(j.value->>0) AND state = 0 AND purpose = 'offer' AND coalesce(?1, ?2, ?3, ?4, ?5, ?6) NOTNULL;
INSERT INTO unique_keys
  SELECT unhex(j.value->>0), unhex(j.value->>1), j.value->>2 FROM json_each(?8) j
  WHERE coalesce(?1, ?2, ?3, ?4, ?5, ?6, ?7) NOTNULL
  ON CONFLICT (key) DO UPDATE SET lead_id = excluded.lead_id, until = excluded.until;
INSERT INTO idempotency
  SELECT unhex(j.value->>0), unhex(j.value->>1), unhex(j.value->>2), j.value->>3, j.value->>4 FROM json_each(?9) j
  WHERE coalesce(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) NOTNULL
  ON CONFLICT (source_id, key) DO UPDATE SET request = excluded.request, answer = excluded.answer, until = excluded.until;
INSERT INTO leads
  SELECT unhex(j.value->>0), unhex(j.value->>1), unhex(j.value->>2), unhex(j.value->>3), j.value->>4, j.value->>5, j.value->>6,
    j.value->>7, unhex(j.value->>8), j.value->>9, j.value->>10
  FROM json_each(?10) j WHERE coalesce(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) NOTNULL;
UPDATE leads SET version = j.value->>1, status = j.value->>2, assigned_to = j.value->>3, state = j.value->>4
  FROM json_each(?11) j WHERE leads.id = unhex(j.value->>0) AND coalesce(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) NOTNULL;
INSERT INTO events
  SELECT unhex(j.value->>0), unhex(j.value->>1), unhex(j.value->>2), j.value->>3, j.value->>4, j.value->>5
  FROM json_each(?12) j WHERE coalesce(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) NOTNULL;
INSERT INTO deliveries (id, workspace_id, project_id, lead_id, channel_id, purpose, state, created_at, due_at, expires_at,
    updated_at, attempts, parts_sent, checks, uncertain, last_attempt_at, order_key, lease_token, lease_until, spec)
  SELECT unhex(j.value->>0), unhex(j.value->>1), unhex(j.value->>2), unhex(j.value->>3), unhex(j.value->>4), j.value->>5,
    j.value->>6, j.value->>7, j.value->>8, j.value->>9, j.value->>7, j.value->>6, 0, 0, 0,
    CASE WHEN j.value->>6 = 1 THEN j.value->>7 END, unhex(j.value->>10), unhex(j.value->>11), j.value->>12, j.value->>13
  FROM json_each(?13) j WHERE coalesce(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) NOTNULL";

/// What a group changes.
#[derive(Default)]
pub(super) struct Changes {
    lists: [Vec<Value>; 13],
    any: bool,
}

impl Changes {
    fn push(&mut self, list: usize, value: Value) {
        self.lists[list].push(value);
        self.any = true;
    }

    pub(super) fn settlement(&mut self, settlement: &Settlement) -> Result<()> {
        let id = settlement.delivery_id.hex();
        let at = settlement.at.timestamp_millis();
        let row = match &settlement.outcome {
            Settled::Ended { state, reason, provider_message_id } => {
                json!([id, state.number(), reason, null, at, 0, null, 0, provider_message_id, 0])
            }
            Settled::Retry { due_at, reason, counted, parts_sent } => {
                let pending = DeliveryState::Pending.number();
                json!([
                    id,
                    pending,
                    reason,
                    due_at.timestamp_millis(),
                    at,
                    i32::from(!counted),
                    parts_sent,
                    0,
                    null,
                    0
                ])
            }
            Settled::Await { check_at, provider_message_id, uncertain, parts_sent } => {
                let awaiting = DeliveryState::AwaitingReceipt.number();
                let check_at = check_at.timestamp_millis();
                json!([
                    id,
                    awaiting,
                    null,
                    check_at,
                    at,
                    0,
                    parts_sent,
                    i32::from(*uncertain),
                    provider_message_id,
                    1
                ])
            }
        };
        self.push(0, row);
        if let Some(attempt) = &settlement.attempt {
            self.attempt(settlement.delivery_id, attempt)?;
        }
        Ok(())
    }

    pub(super) fn attempt(&mut self, delivery: DeliveryId, attempt: &Attempt) -> Result<()> {
        let attempt = to_json(attempt, "an attempt")?;
        self.push(1, json!([delivery.hex(), attempt]));
        Ok(())
    }

    pub(super) fn transition(&mut self, transition: &Transition) -> Result<()> {
        let lead = transition.lead_id.hex();
        let workspace = transition.scope.workspace_id.hex();
        let project = transition.scope.project_id.hex();
        let source = transition.source_id.hex();
        let at = transition.at.timestamp_millis();
        if let Some(settlement) = &transition.settlement {
            self.settlement(settlement)?;
        }
        if let Some((timer, _)) = transition.fired {
            self.push(2, timer.hex().into());
        }
        if let Some(inbound) = &transition.inbound {
            self.push(3, json!([inbound.channel_id.hex(), inbound.provider_event_id]));
        }
        if transition.clear_timers {
            self.push(4, lead.clone().into());
        }
        for timer in &transition.timers {
            let name = to_json(&timer.name, "a timer's name")?;
            self.push(
                5,
                json!([timer.id.hex(), workspace, project, lead, name, timer.due_at.timestamp_millis()]),
            );
        }
        if transition.cancel_offers {
            self.push(6, json!([lead, at]));
        }
        for reservation in &transition.reservations {
            if let Reservation::Unique { key, until } = reservation {
                self.push(7, json!([hex::encode(key.0), lead, until.timestamp_millis()]));
            }
        }
        if let Some(record) = &transition.idempotency {
            let answer = to_json(&record.answer, "an answer")?;
            let until = record.until.timestamp_millis();
            self.push(
                8,
                json!([source, hex::encode(record.key), hex::encode(record.request), answer, until]),
            );
        }
        let state = &transition.state;
        let status = state.status.as_str();
        match transition.guard {
            Guard::New => {
                let policy = transition.trace.policy;
                let doc = to_json(state, "a lead's state")?;
                let row = json!([
                    lead,
                    workspace,
                    project,
                    source,
                    at,
                    state.version,
                    status,
                    state.assigned_to,
                    policy.id.hex(),
                    policy.version,
                    doc
                ]);
                self.push(9, row);
            }
            Guard::Version(_) => {
                let doc = to_json(state, "a lead's state")?;
                self.push(10, json!([lead, state.version, status, state.assigned_to, doc]));
            }
            Guard::Append => {}
        }
        let event = to_json(&transition.event, "an event")?;
        let trace = to_json(&transition.trace, "a trace")?;
        self.push(11, json!([transition.event_id.hex(), workspace, lead, at, event, trace]));
        for delivery in &transition.deliveries {
            self.delivery(delivery)?;
        }
        Ok(())
    }

    pub(super) fn delivery(&mut self, new: &NewDelivery) -> Result<()> {
        let spec = to_json(&new.spec, "a delivery")?;
        let row = json!([
            new.id.hex(),
            new.scope.workspace_id.hex(),
            new.scope.project_id.hex(),
            new.lead_id.map(|lead| lead.hex()),
            new.channel_id.hex(),
            new.spec.purpose.as_str(),
            i32::from(new.lease.is_some()),
            new.created_at.timestamp_millis(),
            new.due_at.timestamp_millis(),
            new.expires_at.timestamp_millis(),
            new.order_key.map(|key| hex::encode(key.0)),
            new.lease.map(|lease| lease.token.hex()),
            new.lease.map(|lease| lease.until.timestamp_millis()),
            spec,
        ]);
        self.push(12, row);
        Ok(())
    }

    pub(super) async fn write(self, connection: &mut SqliteConnection) -> Result<()> {
        if !self.any {
            return Ok(());
        }
        let mut query = sqlx::query(WRITE);
        for list in self.lists {
            query = query.bind(Value::Array(list).to_string());
        }
        query.execute(connection).await.map(drop).map_err(|error| failed("write", &error))
    }
}
