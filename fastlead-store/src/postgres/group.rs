//! What a group looks at, after it has locked it.

use std::collections::BTreeSet;

use fastlead_core::decide::{Counter, CounterId, UniqueKey};
use fastlead_core::error::Result;
use fastlead_core::id::{ChannelId, DeliveryId, EventId, LeadId, LeaseToken, SourceId, WorkspaceId};
use fastlead_core::port::{Beginning, Settlement, Transition, UnreadableRows};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::reading::Origin;
use super::rows::{get, json, key, optional_moment, state, unread, uuid};
use crate::resolve::{Facts, Held, Named, Used, counter_ids, unique_keys};

/// Locks deliveries and looks at them. `$2` are leads whose offers are cancelled.
const DELIVERIES: &str = "SELECT d.id, d.lease_token, d.begun_by, d.state, d.uncertain, d.unwanted,
    EXISTS (SELECT 1 FROM channels c WHERE c.id = d.channel_id AND c.status <> '{\"status\":\"active\"}') AS paused
  FROM deliveries d
  WHERE d.id = ANY($1) OR (d.lead_id = ANY($2) AND d.state < 10 AND d.purpose = 'offer')
  ORDER BY d.id FOR UPDATE OF d";

const TIMERS: &str = "SELECT id, lease_token FROM timers WHERE id = ANY($1) ORDER BY id FOR UPDATE";

const INBOUND: &str = "SELECT i.channel_id, i.provider_event_id FROM inbound i
  JOIN unnest($1::uuid[], $2::text[]) AS j(channel_id, event) ON i.channel_id = j.channel_id AND i.provider_event_id = j.event
  WHERE i.done = 0 ORDER BY i.number FOR UPDATE OF i";

const CHANNELS: &str = "SELECT id FROM channels WHERE id = ANY($1) AND status = '{\"status\":\"active\"}' ORDER BY id FOR UPDATE";

/// Looks at what the locks of workspaces cover, and at suppressions.
const FACTS: &str = "
SELECT 1::smallint AS kind, l.id, l.workspace_id, l.project_id, l.version AS number, NULL::text AS doc, NULL::bigint AS last_at, NULL::bigint AS until
  FROM leads l WHERE l.id = ANY($1)
UNION ALL SELECT 2::smallint, u.key, u.lead_id, NULL, u.until, NULL, NULL, NULL FROM unique_keys u WHERE u.key = ANY($2)
UNION ALL SELECT 3::smallint, i.source_id, i.key, i.request, i.until, i.answer, NULL, NULL
  FROM unnest($3::uuid[], $4::uuid[]) AS j(source_id, key) JOIN idempotency i ON i.source_id = j.source_id AND i.key = j.key
UNION ALL SELECT 6::smallint, e.id, NULL, NULL, NULL, NULL, NULL, NULL FROM events e WHERE e.id = ANY($5)
UNION ALL SELECT 8::smallint, c.key, NULL, NULL, c.value, c.note, c.last_at, c.until FROM counters c WHERE c.key = ANY($6)
UNION ALL SELECT 11::smallint, s.key, NULL, NULL, NULL, s.doc, NULL, NULL FROM suppressions s WHERE s.key = ANY($7)";

/// What is asked of the facts.
#[derive(Debug, Default)]
pub(super) struct Questions {
    /// Workspaces for which somebody decides or posts.
    pub(super) workspaces: BTreeSet<WorkspaceId>,
    deliveries: Vec<Uuid>,
    offers_of: Vec<Uuid>,
    timers: Vec<Uuid>,
    inbound: (Vec<Uuid>, Vec<String>),
    channels: Vec<Uuid>,
    leads: Vec<Uuid>,
    unique: Vec<Uuid>,
    idempotency: (Vec<Uuid>, Vec<Uuid>),
    events: Vec<Uuid>,
    counters: Vec<Uuid>,
    suppressions: Vec<Uuid>,
}

impl Questions {
    pub(super) fn beginning(&mut self, beginning: &Beginning) {
        self.suppressions.extend(beginning.address.map(|address| Uuid::from_bytes(address.0)));
        self.deliveries.push(beginning.delivery_id.as_uuid());
    }

    pub(super) fn settlement(&mut self, settlement: &Settlement) {
        self.channels.extend(settlement.pause.as_ref().map(|pause| pause.channel_id.as_uuid()));
        self.deliveries.push(settlement.delivery_id.as_uuid());
    }

    pub(super) fn transition(&mut self, transition: &Transition) {
        self.workspaces.insert(transition.scope.workspace_id);
        self.leads.push(transition.lead_id.as_uuid());
        self.events.push(transition.event_id.as_uuid());
        self.unique.extend(unique_keys(transition).map(|key| Uuid::from_bytes(key.0)));
        self.counters.extend(counter_ids(transition).map(|id| Uuid::from_bytes(id.0)));
        if let Some(record) = &transition.idempotency {
            self.idempotency.0.push(transition.source_id.as_uuid());
            self.idempotency.1.push(Uuid::from_bytes(record.key));
        }
        if let Some(settlement) = &transition.settlement {
            self.settlement(settlement);
        }
        self.deliveries.extend(transition.receipt.as_ref().map(|receipt| receipt.delivery_id.as_uuid()));
        self.deliveries.extend(transition.revive.map(|revival| revival.delivery_id.as_uuid()));
        self.timers.extend(transition.fired.map(|(timer, _)| timer.as_uuid()));
        if let Some(inbound) = &transition.inbound {
            self.inbound.0.push(inbound.channel_id.as_uuid());
            self.inbound.1.push(inbound.provider_event_id.clone());
        }
        if transition.cancel_offers {
            self.offers_of.push(transition.lead_id.as_uuid());
        }
    }

    /// Locks everything in its order, and looks. A row that cannot be read fails those alone who have named it.
    pub(super) async fn look(
        self,
        connection: &mut PgConnection,
        met: &UnreadableRows,
    ) -> sqlx::Result<Facts> {
        super::locks::workspaces(connection, self.workspaces.iter().copied()).await?;
        if !self.channels.is_empty() {
            // A pause is a change that is noted in the log of changes.
            super::locks::changes(connection).await?;
        }
        let mut facts = Facts::default();
        let mut seen = |table, what, rows: Vec<PgRow>, read: fn(&PgRow, &mut Facts) -> Result<()>| {
            for row in &rows {
                note(&mut facts, met, (table, what), row, read);
            }
        };
        if !self.deliveries.is_empty() || !self.offers_of.is_empty() {
            let query = sqlx::query(DELIVERIES).bind(self.deliveries).bind(self.offers_of);
            seen("deliveries", Some(Named::Delivery), query.fetch_all(&mut *connection).await?, delivery);
        }
        if !self.timers.is_empty() {
            let query = sqlx::query(TIMERS).bind(self.timers);
            seen("timers", None, query.fetch_all(&mut *connection).await?, timer);
        }
        if !self.inbound.0.is_empty() {
            let query = sqlx::query(INBOUND).bind(self.inbound.0).bind(self.inbound.1);
            seen("inbound", None, query.fetch_all(&mut *connection).await?, inbound);
        }
        if !self.channels.is_empty() {
            let query = sqlx::query(CHANNELS).bind(self.channels);
            seen("channels", None, query.fetch_all(&mut *connection).await?, channel);
        }
        if !self.leads.is_empty() || !self.suppressions.is_empty() {
            let query = sqlx::query(FACTS)
                .bind(self.leads)
                .bind(self.unique)
                .bind(self.idempotency.0)
                .bind(self.idempotency.1)
                .bind(self.events)
                .bind(self.counters)
                .bind(self.suppressions);
            for row in &query.fetch_all(&mut *connection).await? {
                let named = match get::<i16>(row, 0).unwrap_or_default() {
                    1 => ("leads", Some(Named::Lead)),
                    2 => ("unique_keys", None),
                    3 => ("idempotency", Some(Named::Idempotency)),
                    6 => ("events", None),
                    8 => ("counters", None),
                    _ => ("suppressions", Some(Named::Suppression)),
                };
                note(&mut facts, met, named, row, fact);
            }
        }
        Ok(facts)
    }
}

/// Adds a row to the facts, or its name to what cannot be read. A counter and a unique key that cannot be read are as if they
/// were not there: a lead is not refused for them, and the change mends them.
fn note(
    facts: &mut Facts,
    met: &UnreadableRows,
    (table, what): (&'static str, Option<Named>),
    row: &PgRow,
    read: impl Fn(&PgRow, &mut Facts) -> Result<()>,
) {
    let Err(error) = read(row, facts) else { return };
    let (id, named) = match what {
        Some(Named::Idempotency) => (1, 2),
        Some(Named::Delivery) | None
            if table != "counters" && table != "unique_keys" && table != "events" =>
        {
            (0, 0)
        }
        _ => (1, 1),
    };
    let unread = Origin::new(table, id).name(row, &error);
    met.notice(&unread);
    if let (Some(what), Ok(key)) = (what, uuid(row, named)) {
        facts.unread.insert((what, key), unread);
    }
}

fn delivery(row: &PgRow, facts: &mut Facts) -> Result<()> {
    let token = |index| get::<Option<Uuid>>(row, index).map(|id| id.map(LeaseToken::from_uuid));
    let (id, state) = (DeliveryId::from_uuid(uuid(row, 0)?), state(row, 3)?);
    let held = Held {
        lease: token(1)?,
        begun_by: token(2)?,
        state,
        uncertain: get(row, 4)?,
        unwanted: get(row, 5)?,
        paused: get(row, 6)?,
    };
    if held.lease.is_some() || held.begun_by.is_some() {
        facts.held.insert(id, held);
    }
    facts.states.insert(id, state);
    Ok(())
}

fn timer(row: &PgRow, facts: &mut Facts) -> Result<()> {
    if let Some(token) = get::<Option<Uuid>>(row, 1)? {
        facts.timers.insert(uuid(row, 0)?, LeaseToken::from_uuid(token));
    }
    Ok(())
}

fn inbound(row: &PgRow, facts: &mut Facts) -> Result<()> {
    facts.inbound.insert((ChannelId::from_uuid(uuid(row, 0)?), get(row, 1)?));
    Ok(())
}

fn channel(row: &PgRow, facts: &mut Facts) -> Result<()> {
    facts.active.insert(ChannelId::from_uuid(uuid(row, 0)?));
    Ok(())
}

fn fact(row: &PgRow, facts: &mut Facts) -> Result<()> {
    match get::<i16>(row, 0)? {
        1 => {
            let version = u64::try_from(get::<i64>(row, 4)?).map_err(|_| unread(row, 4))?;
            facts.leads.insert(LeadId::from_uuid(uuid(row, 1)?), (version, uuid(row, 2)?, uuid(row, 3)?));
        }
        2 => {
            facts.unique.insert(UniqueKey(key(row, 1)?), (LeadId::from_uuid(uuid(row, 2)?), get(row, 4)?));
        }
        3 => {
            let used = Used { request: key(row, 3)?, answer: json(row, 5)?, until: get(row, 4)? };
            facts.idempotency.insert((SourceId::from_uuid(uuid(row, 1)?), key(row, 2)?), used);
        }
        6 => drop(facts.events.insert(EventId::from_uuid(uuid(row, 1)?))),
        8 => {
            let counter = Counter {
                value: get(row, 4)?,
                note: get(row, 5)?,
                last_at: optional_moment(row, 6)?,
                until: optional_moment(row, 7)?,
            };
            facts.counters.insert(CounterId(key(row, 1)?), counter);
        }
        _ => drop(facts.suppressed.insert(key(row, 1)?, json(row, 5)?)),
    }
    Ok(())
}
