//! One row that cannot be read stops nothing. Every column of every table is damaged in turn, whichever there are: a
//! new table must be filled in [`world`], and what is new in it must be read row by row.

#[cfg(feature = "billing")]
mod intents;
mod reads;
mod world;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use fastlead_core::engine::ResponseOutcome;
use fastlead_core::id::DeliveryId;
use fastlead_core::message::Response;
use fastlead_core::port::{Journal as _, UnreadableRow};
use fastlead_core::time::plus_seconds;
use fastlead_store::{SqliteOptions, SqliteStore};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};
use tempfile::TempDir;

use self::reads::Reader;
use self::world::{Tenant, Work, populate, start, within};

/// Columns whose damage is not told by their name: statements alone look at most of them (they compare, sort or
/// overwrite), a blob of any bytes can be read, and a row whose key is another one is not found by whoever asks for it.
/// What a group of the writer meets is told with its table and row, and without its column. A column that comes anew is
/// not among them: it must be told, or be put here with a reason.
const NOT_TOLD: &[&str] = &[
    "attempts.delivery_id",
    "attempts.number",
    // A start reads everything anew, whatever the log of changes says.
    "changes.key",
    "changes.kind",
    "channels.config",
    "consent_documents.document_id",
    "consent_documents.version",
    "consent_documents.workspace_id",
    "counters.key",
    "deliveries.begun_by",
    "deliveries.checks",
    "deliveries.lease_token",
    "deliveries.lease_until",
    "deliveries.purpose",
    "deliveries.unwanted",
    "events.id",
    "events.lead_id",
    "events.workspace_id",
    "idempotency.answer",
    "idempotency.key",
    "idempotency.request",
    "idempotency.source_id",
    "idempotency.until",
    "identities.account",
    "identities.active",
    "identities.id",
    "identities.phone",
    "identities.workspace_id",
    "inbound.channel_id",
    "inbound.done",
    "inbound.due_at",
    "inbound.event",
    "inbound.lease_token",
    "inbound.lease_until",
    "inbound.provider_event_id",
    "inbound.tries",
    "leads.assigned_to",
    "leads.id",
    "leads.search",
    "leads.status",
    "leads.workspace_id",
    "moved_addresses.key",
    "policy_drafts.project_id",
    "policy_drafts.workspace_id",
    "poll_cursors.channel_id",
    "projects.id",
    "projects.workspace_id",
    "set_aside.id",
    "set_aside.order_key",
    "set_aside.work",
    "settings.name",
    "settings.value",
    "sources.id",
    "sources.key",
    "sources.workspace_id",
    "suppressions.id",
    "suppressions.key",
    "suppressions.workspace_id",
    "timers.lease_token",
    "timers.lease_until",
    "unique_keys.key",
    "unique_keys.lead_id",
    "unique_keys.until",
    "workspaces.id",
];

async fn connect(path: &Path) -> SqliteConnection {
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path)).await.unwrap()
}

async fn strings(connection: &mut SqliteConnection, sql: String) -> Vec<String> {
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// One value to be damaged.
#[derive(Debug, Clone)]
struct Damage {
    name: String,
    column: String,
    sql: String,
}

/// The damages of every column of every table, in the first and the last row of the first tenant.
async fn damages(connection: &mut SqliteConnection, tenant: &Tenant) -> Vec<Damage> {
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let mut damages = Vec::new();
    for table in strings(connection, tables.to_owned()).await {
        if table == "payment_intents" && cfg!(not(feature = "billing")) {
            // Nobody fills it, and nobody reads it.
            continue;
        }
        if table == "quota" {
            // Rates of the last minutes, which a server that has the file alone counts in memory.
            continue;
        }
        let sql = format!("SELECT name, type, pk FROM pragma_table_info('{table}') ORDER BY cid");
        let columns = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut *connection).await.unwrap();
        let columns: Vec<(String, String, i64)> =
            columns.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
        let key: Vec<&str> =
            columns.iter().filter(|(_, _, key)| *key > 0).map(|(name, ..)| name.as_str()).collect();
        let key = if key.is_empty() { vec!["rowid"] } else { key };
        let parts: Vec<String> = key.iter().map(|name| format!("'{name} IS ' || quote({name})")).collect();
        let which = parts.join(" || ' AND ' || ");
        let of_the_tenant = columns.iter().any(|(name, ..)| name == "workspace_id");
        let mine = if of_the_tenant {
            format!("WHERE workspace_id = x'{}'", tenant.workspace.hex())
        } else {
            String::new()
        };
        let rows =
            strings(connection, format!("SELECT {which} FROM {table} {mine} ORDER BY {}", key.join(", ")))
                .await;
        assert!(!rows.is_empty(), "the table `{table}` is empty: fill it in `world`");
        let ends: BTreeSet<&String> = rows.first().into_iter().chain(rows.last()).collect();
        for (column, kind, _) in &columns {
            for (number, row) in ends.iter().enumerate() {
                let sql = format!("SELECT {column} FROM {table} WHERE {row} AND typeof({column}) = 'text'");
                let text = strings(connection, sql).await.pop().unwrap_or_default();
                let is_json = kind == "TEXT" && text.starts_with(['{', '[', '"']);
                let values: &[&str] = match kind.as_str() {
                    "INTEGER" => &["'broken'", "x'01'"],
                    "TEXT" if is_json => &["x'FF00'", "'{'", "'{\"nobody\":\"knows\"}'"],
                    "TEXT" => &["x'FF00'"],
                    _ => &["x'01'", "'broken'"],
                };
                damages.extend(values.iter().map(|value| Damage {
                    name: format!("{table}.{column} = {value} in row {number}"),
                    column: format!("{table}.{column}"),
                    sql: format!("UPDATE {table} SET {column} = {value} WHERE {row}"),
                }));
            }
        }
    }
    damages
}

struct Base {
    folder: TempDir,
    tenants: [Tenant; 2],
    deliveries: [Vec<DeliveryId>; 2],
}

impl Base {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lived.db");
        let tenants = populate(&path).await;
        let mut connection = connect(&path).await;
        let whole = folder.path().join("base.db");
        let sql = format!("VACUUM INTO '{}'", whole.display());
        sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        let mut deliveries = [Vec::new(), Vec::new()];
        for (tenant, ids) in tenants.iter().zip(&mut deliveries) {
            let sql = format!(
                "SELECT 'dlv_' || lower(hex(id)) FROM deliveries WHERE workspace_id = x'{}'",
                tenant.workspace.hex()
            );
            ids.extend(
                strings(&mut connection, sql).await.iter().map(|id| id.parse::<DeliveryId>().unwrap()),
            );
            assert!(ids.len() >= 4, "{}", ids.len());
        }
        Self { folder, tenants, deliveries }
    }

    /// Runs the program on a damaged copy. Answers what it reports.
    async fn live_with(&self, damage: &Damage) -> Option<Vec<UnreadableRow>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("leads.db");
        std::fs::copy(self.folder.path().join("base.db"), &path).unwrap();
        let mut connection = connect(&path).await;
        let damaged = sqlx::query(AssertSqlSafe(damage.sql.clone())).execute(&mut connection).await;
        connection.close().await.unwrap();
        // Some values the database itself refuses.
        damaged.ok().filter(|damaged| damaged.rows_affected() == 1)?;

        let case = &damage.name;
        let open = || SqliteStore::open(SqliteOptions::new(&path).readers(1));
        let store = open().await.unwrap_or_else(|error| panic!("{case}: open: {error}"));
        let reader = Reader { store: &store, case };
        let now = plus_seconds(start(), 30);
        let work = reader.answered("start", Work::begin(&store, &self.tenants, now).await);
        self.new_leads(&work, &reader, damage).await;
        work.end().await;
        let later = plus_seconds(now, 7_200);
        reader.claim(&self.tenants, later).await;
        for (tenant, deliveries) in self.tenants.iter().zip(&self.deliveries) {
            reader.everything(tenant, deliveries, later).await;
        }
        for tenant in &self.tenants {
            reader.again(tenant).await;
        }
        let mut reported = store.unreadable(None).await.unwrap();
        // And once more, for what only a start looks at.
        drop(store);
        let store = open().await.unwrap_or_else(|error| panic!("{case}: opened again: {error}"));
        let reader = Reader { store: &store, case };
        reader.claim(&self.tenants, plus_seconds(later, 7_200)).await;
        reported.extend(store.unreadable(None).await.unwrap());
        Some(reported)
    }

    /// New leads are taken in, told, answered and closed; those of the tenant whose row is damaged wherever that row is
    /// not what the lead would have come through.
    async fn new_leads(&self, work: &Work, reader: &Reader<'_>, damage: &Damage) {
        work.clock.advance(std::time::Duration::from_secs(61));
        for (tenant, is_whole) in self.tenants.iter().rev().zip([true, false]) {
            let resumed = work.engine.resume(tenant.workspace, tenant.sms).await;
            let captured = work.capture(&tenant.key, "+7 900 000-11-22", Some("new")).await;
            let installation = ["workspaces.", "projects.", "sources.", "channels.", "policies."];
            if !is_whole && installation.iter().any(|table| damage.column.starts_with(table)) {
                continue;
            }
            reader.answered("resume", resumed);
            let lead = reader.answered("capture", captured).answer.lead_id;
            let bot = work.bots[&tenant.bot].inbox();
            let mut changes = bot.subscribe();
            let told = |_: &u64| bot.all().iter().any(|told| told.text.contains("+79000001122"));
            within(changes.wait_for(told)).await.unwrap();
            let accepted = work.engine.respond(tenant.workspace, lead, "anna", Response::Accept).await;
            let accepted = reader.answered("accept", accepted);
            assert!(matches!(accepted, ResponseOutcome::Decided(_)), "{}: {accepted:?}", reader.case);
            reader.answered("close", work.engine.close(tenant.workspace, lead).await);
            for lead in &tenant.leads {
                reader.named(
                    "respond",
                    work.engine.respond(tenant.workspace, *lead, "oleg", Response::Accept).await,
                );
            }
            // The same request once more: an answer that cannot be read is not replaced by a second lead.
            reader.named("repeat", work.capture(&tenant.key, "+7 900 000-11-22", Some("key-0")).await);
        }
    }
}

/// The damages with number `part` of `parts`.
async fn every_damage(part: usize, parts: usize) {
    let base = Arc::new(Base::new().await);
    let mut connection = connect(&base.folder.path().join("base.db")).await;
    let all = damages(&mut connection, &base.tenants[0]).await;
    connection.close().await.unwrap();
    let mut wrong = Vec::new();
    for damage in all.into_iter().skip(part).step_by(parts) {
        let name = damage.name.clone();
        // Whatever one damage does, the others are looked at too.
        let lived = tokio::spawn({
            let base = Arc::clone(&base);
            async move { (base.live_with(&damage).await, damage) }
        });
        match lived.await {
            Ok((Some(reported), Damage { column, .. })) => {
                let names = reported.iter().any(|row| row.column == column);
                if !names && !NOT_TOLD.contains(&column.as_str()) {
                    wrong.push(format!("{name}: nobody is told"));
                }
            }
            Ok((None, _)) => {}
            Err(error) => {
                let said = error.into_panic().downcast::<String>();
                wrong.push(format!("{name}: {}", said.map_or_else(|_| "panicked".to_owned(), |said| *said)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_stops_anything_first_part() {
    every_damage(0, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_stops_anything_second_part() {
    every_damage(1, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_stops_anything_third_part() {
    every_damage(2, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_stops_anything_fourth_part() {
    every_damage(3, 4).await;
}
