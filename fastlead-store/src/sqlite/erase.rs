//! A person's data are taken out. Where they stand is looked up by readers, so that nobody waits for that; the writer
//! then changes these rows and no others.

use fastlead_core::decide::Event;
use fastlead_core::delivery::DeliverySpec;
use fastlead_core::erasure::PersonAddresses;
use fastlead_core::error::{Error, Result};
use fastlead_core::id::{LeadId, WorkspaceId};
use fastlead_core::port::{Erased, Erasure, Suppression};
use fastlead_core::time::Timestamp;
use serde_json::json;
use sqlx::{Row as _, SqliteConnection};

use super::SqliteStore;
use super::fault::failed;
use super::rows::{blob, integer, text, to_json, uuid};

/// What stands in a row that could not be read: it cannot be read afterwards either, and says nothing.
const NOTHING: &str = "{}";
/// How often the log is tried to be emptied where a reader is in the way.
const TRIES: usize = 10;

/// Whether `?2` (phone numbers), `?3` (e-mail addresses) or `?4` (accounts) have what a document says.
macro_rules! named {
    ($document:literal, $phone:literal, $email:literal, $kind:expr, $chat:literal) => {
        concat!(
            "(json_extract(",
            $document,
            ", '",
            $phone,
            "') IN (SELECT value FROM json_each(?2)) \
             OR json_extract(",
            $document,
            ", '",
            $email,
            "') IN (SELECT value FROM json_each(?3)) \
             OR EXISTS (SELECT 1 FROM json_each(?4) w WHERE w.value ->> 'messenger' = ",
            $kind,
            " \
                        AND w.value ->> 'id' = json_extract(",
            $document,
            ", '",
            $chat,
            "')))"
        )
    };
}

pub(super) const LEADS_OF: &str = "SELECT DISTINCT lead_id FROM events INDEXED BY events_by_workspace
    WHERE workspace_id = ?1 AND CASE WHEN substr(event, 1, 18) = '{\"type\":\"captured\"' AND json_valid(event) THEN
      json_extract(event, '$.contact.phone') IN (SELECT value FROM json_each(?2))
      OR json_extract(event, '$.contact.email') IN (SELECT value FROM json_each(?3))
      OR EXISTS (SELECT 1 FROM json_each(event, '$.contact.handles') h, json_each(?4) w
                 WHERE h.value ->> 'messenger' = w.value ->> 'messenger' AND h.value ->> 'id' = w.value ->> 'id') END";

const DELIVERIES_TO: &str = concat!(
    "SELECT d.id FROM deliveries d JOIN channels c ON c.id = d.channel_id \
     WHERE d.workspace_id = ?1 AND d.lead_id IS NULL AND CASE WHEN json_valid(d.spec) THEN ",
    named!("d.spec", "$.recipient.phone", "$.recipient.email", "c.kind", "$.recipient.chat"),
    " END"
);

/// `?2` has numbers with and without `+` here: providers write both.
const INBOUND_FROM: &str = concat!(
    "SELECT i.number FROM inbound i JOIN channels c ON c.id = i.channel_id \
     WHERE c.workspace_id = ?1 AND CASE WHEN json_valid(i.event) THEN ",
    named!("i.event", "$.kind.from.chat", "$.kind.from.chat", "c.kind", "$.kind.from.chat"),
    " OR ",
    named!("i.event", "$.kind.phone", "$.kind.from.user", "c.kind", "$.kind.from.user"),
    " END"
);

const LINKS_OF: &str = concat!(
    "SELECT id FROM identities i WHERE workspace_id = ?1 AND CASE WHEN json_valid(i.doc) THEN ",
    named!("i.doc", "$.phone", "$.phone", "i.doc ->> '$.handle.messenger'", "$.handle.id"),
    " END"
);

const SUPPRESSIONS_OF: &str = concat!(
    "SELECT s.key FROM suppressions s LEFT JOIN channels c \
       ON CASE WHEN json_valid(s.doc) THEN 'chn_' || lower(hex(c.id)) = json_extract(s.doc, '$.channel_id') END \
     WHERE s.workspace_id = ?1 AND CASE WHEN json_valid(s.doc) THEN ",
    named!("s.doc", "$.recipient.phone", "$.recipient.email", "c.kind", "$.recipient.chat"),
    " END"
);

const MOVED_OF: &str = concat!(
    "SELECT m.key FROM moved_addresses m JOIN channels c \
       ON CASE WHEN json_valid(m.doc) THEN 'chn_' || lower(hex(c.id)) = json_extract(m.doc, '$.channel_id') END \
     WHERE c.workspace_id = ?1 AND (",
    named!("m.doc", "$.from.phone", "$.from.email", "c.kind", "$.from.chat"),
    " OR ",
    named!("m.doc", "$.to.phone", "$.to.email", "c.kind", "$.to.chat"),
    ")"
);

const KEYS_OF: &str = "SELECT k.key FROM unique_keys k JOIN leads l ON l.id = k.lead_id
    WHERE hex(k.lead_id) IN (SELECT value FROM json_each(?1)) AND l.workspace_id = ?2";

/// What providers have said in their own words, see [`fastlead_core::delivery::AttemptError::erase`]. An attempt that cannot
/// be read says nothing afterwards.
pub(super) const ERASE_ATTEMPTS: &str = "UPDATE attempts SET attempt = CASE WHEN json_valid(attempt)
      THEN json_set(attempt, '$.error.message', '') ELSE '{}' END
    WHERE delivery_id = ?1 AND CASE WHEN json_valid(attempt) THEN attempt ->> '$.error.message' <> '' ELSE attempt <> '{}' END";

/// The rows that name a person, by their keys.
struct Found {
    leads: Vec<Vec<u8>>,
    deliveries: Vec<Vec<u8>>,
    inbound: Vec<i64>,
    links: Vec<Vec<u8>>,
    suppressions: Vec<Vec<u8>>,
    moved: Vec<Vec<u8>>,
    keys: Vec<Vec<u8>>,
}

impl SqliteStore {
    pub(super) async fn find_leads_of(
        &self,
        workspace: WorkspaceId,
        person: &PersonAddresses,
    ) -> Result<Vec<LeadId>> {
        if person.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.named(LEADS_OF, workspace, person, false).await?;
        found.iter().map(|row| uuid(row, 0).map(LeadId::from_uuid)).collect()
    }

    async fn named(
        &self,
        statement: &'static str,
        workspace: WorkspaceId,
        person: &PersonAddresses,
        without_plus: bool,
    ) -> Result<Vec<sqlx::sqlite::SqliteRow>> {
        let PersonAddresses { phones, emails, handles } = person;
        let mut numbers: Vec<&str> = phones.iter().map(|phone| phone.expose()).collect();
        if without_plus {
            numbers.extend(phones.iter().map(|phone| phone.expose().trim_start_matches('+')));
        }
        let addresses: Vec<&str> = emails.iter().map(|email| email.expose()).collect();
        sqlx::query(statement)
            .bind(blob(workspace.as_uuid()))
            .bind(json!(numbers).to_string())
            .bind(json!(addresses).to_string())
            .bind(to_json(handles, "accounts")?)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| failed("find a person", &error))
    }

    pub(super) async fn erase_person(&self, erasure: Erasure) -> Result<Erased> {
        let found = self.find(&erasure).await?;
        let Erasure { workspace_id, person, at, .. } = erasure;
        let work = Work { workspace: blob(workspace_id.as_uuid()), person, at, found };
        let mut erased = self.writer.run(move |connection| Box::pin(work.erase(connection))).await?;
        for _ in 0..TRIES {
            erased.log_emptied = self.writer.empty_log().await?;
            if erased.log_emptied {
                break;
            }
        }
        Ok(erased)
    }

    async fn find(&self, erasure: &Erasure) -> Result<Found> {
        let Erasure { workspace_id, leads, person, .. } = erasure;
        let hex: Vec<String> =
            leads.iter().map(|lead| lead.as_uuid().simple().to_string().to_uppercase()).collect();
        let keys = sqlx::query(KEYS_OF)
            .bind(json!(hex).to_string())
            .bind(blob(workspace_id.as_uuid()))
            .fetch_all(&self.readers)
            .await
            .map_err(|error| failed("find a person", &error))?;
        let bytes = |rows: Vec<sqlx::sqlite::SqliteRow>| -> Result<Vec<Vec<u8>>> {
            let key = |row: &sqlx::sqlite::SqliteRow| row.try_get::<Vec<u8>, _>(0);
            rows.iter().map(key).collect::<Result<_, _>>().map_err(|error| failed("find a person", &error))
        };
        let mut found = Found {
            leads: leads.iter().map(|lead| blob(lead.as_uuid())).collect(),
            deliveries: Vec::new(),
            inbound: Vec::new(),
            links: Vec::new(),
            suppressions: Vec::new(),
            moved: Vec::new(),
            keys: bytes(keys)?,
        };
        if person.is_empty() {
            return Ok(found);
        }
        let workspace = *workspace_id;
        found.deliveries = bytes(self.named(DELIVERIES_TO, workspace, person, false).await?)?;
        found.links = bytes(self.named(LINKS_OF, workspace, person, false).await?)?;
        found.suppressions = bytes(self.named(SUPPRESSIONS_OF, workspace, person, false).await?)?;
        found.moved = bytes(self.named(MOVED_OF, workspace, person, false).await?)?;
        let inbound = self.named(INBOUND_FROM, workspace, person, true).await?;
        found.inbound = inbound.iter().map(|row| integer(row, 0)).collect::<Result<_>>()?;
        Ok(found)
    }
}

struct Work {
    workspace: Vec<u8>,
    person: PersonAddresses,
    at: Timestamp,
    found: Found,
}

impl Work {
    async fn erase(self, connection: &mut SqliteConnection) -> Result<Erased> {
        let mut erased = Erased::default();
        for lead in &self.found.leads {
            erased.leads += self.erase_events(connection, lead).await?;
            erased.deliveries += self.erase_deliveries_of(connection, lead).await?;
        }
        for delivery in &self.found.deliveries {
            erased.deliveries += self.erase_delivery(connection, delivery, true).await?;
        }
        for number in &self.found.inbound {
            let deleted = sqlx::query("DELETE FROM inbound WHERE number = ?1").bind(number);
            erased.inbound += deleted.execute(&mut *connection).await.map_err(fault)?.rows_affected();
        }
        for id in &self.found.links {
            erased.links += delete(connection, "DELETE FROM identities WHERE id = ?1", id).await?;
        }
        for key in &self.found.keys {
            delete(connection, "DELETE FROM unique_keys WHERE key = ?1", key).await?;
        }
        for key in &self.found.moved {
            erased.addresses += delete(connection, "DELETE FROM moved_addresses WHERE key = ?1", key).await?;
        }
        for key in &self.found.suppressions {
            erased.addresses += erase_suppression(connection, key).await?;
        }
        Ok(erased)
    }

    /// Answers 1 where the lead is one of the workspace.
    async fn erase_events(&self, connection: &mut SqliteConnection, lead: &[u8]) -> Result<u64> {
        let rows = sqlx::query("SELECT position, event FROM events WHERE lead_id = ?1 AND workspace_id = ?2")
            .bind(lead)
            .bind(&self.workspace)
            .fetch_all(&mut *connection)
            .await
            .map_err(fault)?;
        for row in &rows {
            let stored = text(row, 1).ok();
            let event = stored.as_deref().and_then(|stored| serde_json::from_str::<Event>(stored).ok());
            let left = match event {
                Some(mut event) => {
                    event.erase(self.at);
                    to_json(&event, "an event")?
                }
                None => NOTHING.to_owned(),
            };
            if stored.as_ref() == Some(&left) {
                continue;
            }
            let update = sqlx::query("UPDATE events SET event = ?2 WHERE position = ?1");
            update.bind(integer(row, 0)?).bind(left).execute(&mut *connection).await.map_err(fault)?;
        }
        let nothing =
            sqlx::query("UPDATE leads SET search = '' WHERE id = ?1 AND workspace_id = ?2 AND search <> ''");
        nothing.bind(lead).bind(&self.workspace).execute(&mut *connection).await.map_err(fault)?;
        Ok(u64::from(!rows.is_empty()))
    }

    async fn erase_deliveries_of(&self, connection: &mut SqliteConnection, lead: &[u8]) -> Result<u64> {
        let rows = sqlx::query(
            "SELECT d.id, d.spec, c.kind FROM deliveries d LEFT JOIN channels c ON c.id = d.channel_id
             WHERE d.lead_id = ?1 AND d.workspace_id = ?2",
        )
        .bind(lead)
        .bind(&self.workspace)
        .fetch_all(&mut *connection)
        .await
        .map_err(fault)?;
        let mut changed = 0;
        for row in rows {
            let kind: Option<String> = row.try_get(2).map_err(fault)?;
            let spec = text(&row, 1).ok().and_then(|spec| serde_json::from_str::<DeliverySpec>(&spec).ok());
            let receives = |spec: &DeliverySpec| {
                self.person.receive(kind.as_deref().unwrap_or_default(), &spec.recipient)
            };
            let theirs = spec.as_ref().is_some_and(receives);
            let id: Vec<u8> = row.try_get(0).map_err(fault)?;
            changed += self.erase_delivery(connection, &id, theirs).await?;
        }
        Ok(changed)
    }

    async fn erase_delivery(
        &self,
        connection: &mut SqliteConnection,
        id: &[u8],
        theirs: bool,
    ) -> Result<u64> {
        let row = sqlx::query("SELECT spec FROM deliveries WHERE id = ?1 AND workspace_id = ?2")
            .bind(id)
            .bind(&self.workspace)
            .fetch_optional(&mut *connection)
            .await
            .map_err(fault)?;
        let Some(row) = row else { return Ok(0) };
        sqlx::query(ERASE_ATTEMPTS).bind(id).execute(&mut *connection).await.map_err(fault)?;
        let spec = text(&row, 0).ok().and_then(|spec| serde_json::from_str::<DeliverySpec>(&spec).ok());
        let left = match spec {
            Some(mut spec) => match spec.erase(theirs) {
                true => to_json(&spec, "a delivery")?,
                false => return Ok(0),
            },
            None => NOTHING.to_owned(),
        };
        // 0 is pending, 15 cancelled; from 10 on it has ended.
        sqlx::query(
            "UPDATE deliveries SET spec = ?2, unwanted = CASE WHEN state BETWEEN 1 AND 9 THEN 1 ELSE unwanted END,
               reason = CASE state WHEN 0 THEN 'erased' ELSE reason END,
               updated_at = CASE state WHEN 0 THEN ?3 ELSE updated_at END,
               lease_token = CASE state WHEN 0 THEN NULL ELSE lease_token END,
               lease_until = CASE state WHEN 0 THEN NULL ELSE lease_until END,
               uncertain = CASE state WHEN 0 THEN 0 ELSE uncertain END,
               state = CASE state WHEN 0 THEN 15 ELSE state END
             WHERE id = ?1",
        )
        .bind(id)
        .bind(left)
        .bind(self.at.timestamp_millis())
        .execute(connection)
        .await
        .map(|_| 1)
        .map_err(fault)
    }
}

/// The key stays, by which the address is known again: what must not be sent there is still not sent.
async fn erase_suppression(connection: &mut SqliteConnection, key: &[u8]) -> Result<u64> {
    let row = sqlx::query("SELECT doc FROM suppressions WHERE key = ?1").bind(key);
    let Some(row) = row.fetch_optional(&mut *connection).await.map_err(fault)? else { return Ok(0) };
    let Ok(mut held) = serde_json::from_str::<Suppression>(&text(&row, 0)?) else { return Ok(0) };
    held.erase();
    let update = sqlx::query("UPDATE suppressions SET doc = ?2 WHERE key = ?1").bind(key);
    let done = update.bind(to_json(&held, "a suppression")?).execute(connection).await.map_err(fault)?;
    Ok(done.rows_affected())
}

async fn delete(connection: &mut SqliteConnection, statement: &'static str, key: &[u8]) -> Result<u64> {
    let done = sqlx::query(statement).bind(key).execute(connection).await.map_err(fault)?;
    Ok(done.rows_affected())
}

fn fault(error: sqlx::Error) -> Error {
    failed("erase", &error)
}
