//! A person's data are taken out. Where they stand is looked for first, so that nobody waits for that; then these rows are
//! changed in one transaction, under the lock of the workspace.
//!
//! Documents that hold one of the addresses somewhere are found by the database, as texts, and read here: which of them are the
//! person's is decided by the same rules as everywhere else.

use fastlead_core::channel::InboundEvent;
use fastlead_core::decide::Event;
use fastlead_core::delivery::{Attempt, AttemptError, DeliverySpec};
use fastlead_core::erasure::PersonAddresses;
use fastlead_core::error::{Error, Result};
use fastlead_core::id::{LeadId, WorkspaceId};
use fastlead_core::port::{AddressMove, Erased, Erasure, IdentityKey, Suppression};
use fastlead_core::time::Timestamp;
use futures_util::TryStreamExt as _;
use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::PostgresStore;
use super::fault::failed;
use super::locks;
use super::rows::{get, to_json, uuid};
use crate::senders::wrote;

/// What stands in a row that could not be read: it cannot be read afterwards either, and says nothing.
const NOTHING: &str = "{}";

/// Documents of a workspace that hold one of the texts `$2`: the key of the row, the document, and the kind of its channel.
macro_rules! holding {
    ($select:literal, $document:literal, $where:literal) => {
        concat!(
            "SELECT ",
            $select,
            " WHERE ",
            $where,
            " AND EXISTS (SELECT 1 FROM unnest($2::text[]) AS n(text) WHERE strpos(",
            $document,
            ", n.text) > 0)"
        )
    };
}

const CAPTURES: &str =
    holding!("lead_id, event, ''::text FROM events", "event", "workspace_id = $1 AND captured");
const DELIVERIES: &str = holding!(
    "d.id, d.spec, c.kind FROM deliveries d JOIN channels c ON c.id = d.channel_id",
    "d.spec",
    "d.workspace_id = $1 AND d.lead_id IS NULL"
);
const INBOUND: &str = holding!(
    "i.number, i.event, c.kind FROM inbound i JOIN channels c ON c.id = i.channel_id",
    "i.event",
    "c.workspace_id = $1"
);
const SUPPRESSIONS: &str = holding!("key, doc, ''::text FROM suppressions", "doc", "workspace_id = $1");
const MOVED: &str = holding!("key, doc, ''::text FROM moved_addresses", "doc", "workspace_id = $1");

const CANCEL: &str = "UPDATE deliveries SET spec = $2, unwanted = unwanted OR state BETWEEN 1 AND 9,
    reason = CASE state WHEN 0 THEN 'erased' ELSE reason END, updated_at = CASE state WHEN 0 THEN $3 ELSE updated_at END,
    lease_token = CASE state WHEN 0 THEN NULL ELSE lease_token END, lease_until = CASE state WHEN 0 THEN NULL ELSE lease_until END,
    uncertain = CASE state WHEN 0 THEN false ELSE uncertain END, state = CASE state WHEN 0 THEN 15 ELSE state END
  WHERE id = $1";

fn fault(error: sqlx::Error) -> Error {
    failed("erase", &error)
}

fn read<T: DeserializeOwned>(document: &str) -> Option<T> {
    serde_json::from_str(document).ok()
}

/// What a document holds that names the person, as it stands in JSON. Providers write phone numbers with and without `+`.
fn texts(person: &PersonAddresses) -> Result<Vec<String>> {
    let phones = person.phones.iter().map(|phone| phone.expose().trim_start_matches('+'));
    let emails = person.emails.iter().map(|email| email.expose());
    let accounts = person.handles.iter().map(|handle| handle.id.expose().as_str());
    let quoted = phones.chain(emails).chain(accounts).map(|text| to_json(&text, "an address"));
    quoted.map(|text| text.map(|text| text.trim_matches('"').to_owned())).collect()
}

/// The rows that name a person, by their keys.
#[derive(Debug, Default)]
struct Found {
    deliveries: Vec<Uuid>,
    inbound: Vec<i64>,
    links: Vec<Uuid>,
    suppressions: Vec<Uuid>,
    moved: Vec<Uuid>,
}

impl PostgresStore {
    pub(super) async fn find_leads_of(
        &self,
        workspace: WorkspaceId,
        person: &PersonAddresses,
    ) -> Result<Vec<LeadId>> {
        if person.is_empty() {
            return Ok(Vec::new());
        }
        let texts = texts(person)?;
        let mut reader = self.pool.begin().await.map_err(fault)?;
        let mut found: Vec<LeadId> = Vec::new();
        each(&mut reader, CAPTURES, workspace, &texts, |row, document, _| {
            let lead = LeadId::from_uuid(uuid(row, 0)?);
            if let Some(Event::Captured(capture)) = read(document)
                && person.name(&capture.contact)
                && !found.contains(&lead)
            {
                found.push(lead);
            }
            Ok(())
        })
        .await?;
        Ok(found)
    }

    async fn find(&self, workspace: WorkspaceId, person: &PersonAddresses) -> Result<Found> {
        let mut found = Found::default();
        if person.is_empty() {
            return Ok(found);
        }
        let texts = texts(person)?;
        let mut reader = self.pool.begin().await.map_err(fault)?;
        each(&mut reader, DELIVERIES, workspace, &texts, |row, document, kind| {
            if read::<DeliverySpec>(document).is_some_and(|spec| person.receive(kind, &spec.recipient)) {
                found.deliveries.push(uuid(row, 0)?);
            }
            Ok(())
        })
        .await?;
        each(&mut reader, INBOUND, workspace, &texts, |row, document, kind| {
            if read::<InboundEvent>(document).is_some_and(|event| wrote(person, kind, &event.kind)) {
                found.inbound.push(get(row, 0)?);
            }
            Ok(())
        })
        .await?;
        let kinds = sqlx::query_as("SELECT id, kind FROM channels WHERE workspace_id = $1");
        let kinds: Vec<(Uuid, String)> =
            kinds.bind(workspace.as_uuid()).fetch_all(&mut *reader).await.map_err(fault)?;
        let kind =
            |channel: Uuid| kinds.iter().find(|(id, _)| *id == channel).map_or("", |(_, kind)| kind.as_str());
        each(&mut reader, SUPPRESSIONS, workspace, &texts, |row, document, _| {
            let held: Option<Suppression> = read(document);
            if held.is_some_and(|held| person.receive(kind(held.channel_id.as_uuid()), &held.recipient)) {
                found.suppressions.push(uuid(row, 0)?);
            }
            Ok(())
        })
        .await?;
        each(&mut reader, MOVED, workspace, &texts, |row, document, _| {
            let moved: Option<AddressMove> = read(document);
            let theirs = moved.is_some_and(|moved| {
                let kind = kind(moved.channel_id.as_uuid());
                person.receive(kind, &moved.from) || person.receive(kind, &moved.to)
            });
            if theirs {
                found.moved.push(uuid(row, 0)?);
            }
            Ok(())
        })
        .await?;
        let accounts = person.handles.iter().map(|handle| IdentityKey::of_account(workspace, handle));
        let accounts: Vec<Uuid> = accounts.map(|key| Uuid::from_bytes(key.0)).collect();
        let phones = person.phones.iter().map(|phone| IdentityKey::of_phone(workspace, phone));
        let phones: Vec<Uuid> = phones.map(|key| Uuid::from_bytes(key.0)).collect();
        found.links = sqlx::query_scalar(
            "SELECT id FROM identities WHERE workspace_id = $1 AND (account = ANY($2) OR phone = ANY($3))",
        )
        .bind(workspace.as_uuid())
        .bind(accounts)
        .bind(phones)
        .fetch_all(&mut *reader)
        .await
        .map_err(fault)?;
        Ok(found)
    }

    pub(super) async fn erase_person(&self, erasure: Erasure) -> Result<Erased> {
        let found = self.find(erasure.workspace_id, &erasure.person).await?;
        let work = Work { erasure, found };
        self.run("erase", move |connection| Box::pin(async move { work.erase(connection).await })).await
    }
}

/// Shows each row of [`holding`] with its document and the kind of its channel. However many there are, one is held at a time.
async fn each(
    connection: &mut PgConnection,
    statement: &'static str,
    workspace: WorkspaceId,
    texts: &[String],
    mut show: impl FnMut(&PgRow, &str, &str) -> Result<()> + Send,
) -> Result<()> {
    // All rows of a workspace are read, which takes as long as it takes.
    sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut *connection).await.map_err(fault)?;
    let mut rows = sqlx::query(statement).bind(workspace.as_uuid()).bind(texts).fetch(connection);
    while let Some(row) = rows.try_next().await.map_err(fault)? {
        show(&row, get(&row, 1)?, get(&row, 2)?)?;
    }
    Ok(())
}

struct Work {
    erasure: Erasure,
    found: Found,
}

impl Work {
    async fn erase(self, connection: &mut PgConnection) -> Result<Erased> {
        let Self { erasure, found } = &self;
        let workspace = erasure.workspace_id.as_uuid();
        locks::workspaces(connection, [erasure.workspace_id]).await.map_err(fault)?;
        locks::changes(connection).await.map_err(fault)?;
        // The trigger of events lets their texts be taken out until the end of this transaction.
        sqlx::query("SET LOCAL fastlead.erasing = 'on'").execute(&mut *connection).await.map_err(fault)?;
        let leads: Vec<Uuid> = erasure.leads.iter().map(|lead| lead.as_uuid()).collect();
        // Older versions of rows stay in the database's log and, until they are vacuumed, in its tables.
        let mut erased = Erased { log_emptied: false, ..Erased::default() };
        for lead in &leads {
            erased.leads += erase_events(connection, workspace, *lead, erasure.at).await?;
        }
        sqlx::query("UPDATE leads SET search = '' WHERE id = ANY($1) AND workspace_id = $2 AND search <> ''")
            .bind(&leads)
            .bind(workspace)
            .execute(&mut *connection)
            .await
            .map_err(fault)?;
        erased.deliveries = self.erase_deliveries(connection, &leads).await?;
        erased.inbound = delete(connection, "inbound WHERE number = ANY($1)", &found.inbound).await?;
        erased.links = delete(connection, "identities WHERE id = ANY($1)", &found.links).await?;
        let keys = "unique_keys WHERE lead_id = ANY($1) AND EXISTS (SELECT 1 FROM leads l WHERE l.id = lead_id AND l.workspace_id = $2)";
        sqlx::query(AssertSqlSafe(format!("DELETE FROM {keys}")))
            .bind(&leads)
            .bind(workspace)
            .execute(&mut *connection)
            .await
            .map_err(fault)?;
        erased.addresses = delete(connection, "moved_addresses WHERE key = ANY($1)", &found.moved).await?;
        for key in &found.suppressions {
            erased.addresses += erase_suppression(connection, *key).await?;
        }
        Ok(erased)
    }

    /// Those of the leads, and those of no lead that go to the person.
    async fn erase_deliveries(&self, connection: &mut PgConnection, leads: &[Uuid]) -> Result<u64> {
        let rows: Vec<(Uuid, String, Option<Uuid>, Option<String>)> = sqlx::query_as(
            "SELECT d.id, d.spec, d.lead_id, c.kind FROM deliveries d LEFT JOIN channels c ON c.id = d.channel_id
             WHERE d.workspace_id = $1 AND (d.lead_id = ANY($2) OR d.id = ANY($3)) ORDER BY d.id FOR UPDATE OF d",
        )
        .bind(self.erasure.workspace_id.as_uuid())
        .bind(leads)
        .bind(&self.found.deliveries)
        .fetch_all(&mut *connection)
        .await
        .map_err(fault)?;
        let mut changed = 0;
        for (id, document, lead, kind) in rows {
            erase_attempts(connection, id).await?;
            let left = match read::<DeliverySpec>(&document) {
                Some(mut spec) => {
                    let kind = kind.as_deref().unwrap_or_default();
                    let theirs = lead.is_none() || self.erasure.person.receive(kind, &spec.recipient);
                    if !spec.erase(theirs) {
                        continue;
                    }
                    to_json(&spec, "a delivery")?
                }
                None if document == NOTHING => continue,
                None => NOTHING.to_owned(),
            };
            sqlx::query(CANCEL)
                .bind(id)
                .bind(left)
                .bind(self.erasure.at.timestamp_millis())
                .execute(&mut *connection)
                .await
                .map_err(fault)?;
            changed += 1;
        }
        Ok(changed)
    }
}

/// Answers 1 where the lead is one of the workspace.
async fn erase_events(
    connection: &mut PgConnection,
    workspace: Uuid,
    lead: Uuid,
    at: Timestamp,
) -> Result<u64> {
    let rows: Vec<(i64, String)> =
        sqlx::query_as("SELECT position, event FROM events WHERE lead_id = $1 AND workspace_id = $2")
            .bind(lead)
            .bind(workspace)
            .fetch_all(&mut *connection)
            .await
            .map_err(fault)?;
    for (position, document) in &rows {
        let left = match read::<Event>(document) {
            Some(mut event) => {
                event.erase(at);
                to_json(&event, "an event")?
            }
            None => NOTHING.to_owned(),
        };
        if *document == left {
            continue;
        }
        sqlx::query("UPDATE events SET event = $3 WHERE workspace_id = $1 AND position = $2")
            .bind(workspace)
            .bind(position)
            .bind(left)
            .execute(&mut *connection)
            .await
            .map_err(fault)?;
    }
    Ok(u64::from(!rows.is_empty()))
}

/// What providers have said in their own words. An attempt that cannot be read says nothing afterwards.
async fn erase_attempts(connection: &mut PgConnection, delivery: Uuid) -> Result<()> {
    let rows: Vec<(i64, String)> =
        sqlx::query_as("SELECT number, attempt FROM attempts WHERE delivery_id = $1")
            .bind(delivery)
            .fetch_all(&mut *connection)
            .await
            .map_err(fault)?;
    for (number, document) in rows {
        let left = match read::<Attempt>(&document) {
            Some(mut attempt) => {
                attempt.error.iter_mut().for_each(AttemptError::erase);
                to_json(&attempt, "an attempt")?
            }
            None => NOTHING.to_owned(),
        };
        if document == left {
            continue;
        }
        sqlx::query("UPDATE attempts SET attempt = $3 WHERE delivery_id = $1 AND number = $2")
            .bind(delivery)
            .bind(number)
            .bind(left)
            .execute(&mut *connection)
            .await
            .map_err(fault)?;
    }
    Ok(())
}

/// The key stays, by which the address is known again: what must not be sent there is still not sent.
async fn erase_suppression(connection: &mut PgConnection, key: Uuid) -> Result<u64> {
    let document: Option<String> =
        sqlx::query_scalar("SELECT doc FROM suppressions WHERE key = $1 FOR UPDATE")
            .bind(key)
            .fetch_optional(&mut *connection)
            .await
            .map_err(fault)?;
    let Some(mut held) = document.as_deref().and_then(read::<Suppression>) else { return Ok(0) };
    held.erase();
    let update = sqlx::query("UPDATE suppressions SET doc = $2 WHERE key = $1").bind(key);
    let done = update.bind(to_json(&held, "a suppression")?).execute(connection).await.map_err(fault)?;
    Ok(done.rows_affected())
}

async fn delete<T>(connection: &mut PgConnection, rows: &'static str, keys: &[T]) -> Result<u64>
where
    T: Sync,
    for<'a> &'a [T]: sqlx::Encode<'a, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    if keys.is_empty() {
        return Ok(0);
    }
    let statement = AssertSqlSafe(format!("DELETE FROM {rows}"));
    let done = sqlx::query(statement).bind(keys).execute(connection).await.map_err(fault)?;
    Ok(done.rows_affected())
}
