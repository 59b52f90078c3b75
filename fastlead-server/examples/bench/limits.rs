//! What the machine can do without FastLead: the disk, and SQLite alone.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments};
use sqlx::{AssertSqlSafe, SqliteConnection};
use uuid::Uuid;

use crate::file::{self, Table, Value};
use crate::load::Client;
use crate::process::Process;
use crate::protocol::{Command, Part, Spec};

/// How many leads, or outcomes, share a transaction.
const GROUP: usize = 64;
/// How much the disk is given before each flush: the log of a small transaction.
const APPENDED: usize = 16 * 1_024;

/// Appends 16 KiB and waits until they are on the disk, 200 times. Shortest first.
pub(crate) fn disk(folder: &Path) -> Vec<Duration> {
    let mut file = File::create(folder.join("disk")).unwrap();
    let bytes = vec![7; APPENDED];
    let mut latencies: Vec<_> = (0..200)
        .map(|_| {
            let begun = Instant::now();
            file.write_all(&bytes).unwrap();
            file.sync_data().unwrap();
            begun.elapsed()
        })
        .collect();
    latencies.sort_unstable();
    latencies
}

/// What SQLite alone does with the rows that FastLead writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Alone {
    /// The rows of so many captures are inserted in a second.
    pub(crate) captures: f64,
    /// So many outcomes are recorded in a second: an update and an attempt each.
    pub(crate) outcomes: f64,
    deliveries: f64,
}

impl Alone {
    /// So many deliveries a second would be inserted and recorded, one after the other.
    pub(crate) fn both(&self) -> f64 {
        1.0 / (1.0 / (self.captures * self.deliveries) + 1.0 / self.outcomes)
    }
}

/// Rows that a real capture has left in a file, to be written again under new ids.
#[derive(Debug)]
struct Sample {
    /// Leads, events, unique keys, deliveries.
    inserted: Vec<Table>,
    attempts: Table,
    /// The state in which a delivery ends.
    ended: i64,
}

/// One connection, `synchronous=FULL`, 64 captures a transaction with one `INSERT` for each table; then
/// the outcomes of what was inserted. The rows are copies of a real capture's, in a real file.
pub(crate) async fn alone(folder: &Path, deliveries: u64, time: Duration) -> Alone {
    let spec = Spec { deliveries, ..Spec::new(Part::Server, folder) };
    let mut process = Process::start(&spec);
    Client::connect(process.address).await.capture(0).await;
    process.ask(Command::Drain { sends: deliveries });
    process.stop();
    let mut connection = file::open(&folder.join(file::NAME)).await;
    let sample = Sample::read(&mut connection).await;

    let mut made: Vec<Uuid> = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < time {
        insert_group(&mut connection, &sample, &mut made).await;
    }
    let leads = made.len() as f64 / deliveries as f64;
    let captures = leads / begun.elapsed().as_secs_f64();

    let (begun, mut ended) = (Instant::now(), 0);
    for group in made.chunks_exact(GROUP) {
        end_group(&mut connection, &sample, group).await;
        ended += group.len();
        if begun.elapsed() >= time {
            break;
        }
    }
    let outcomes = ended as f64 / begun.elapsed().as_secs_f64();
    Alone { captures, outcomes, deliveries: deliveries as f64 }
}

impl Sample {
    async fn read(connection: &mut SqliteConnection) -> Self {
        let mut inserted = Vec::new();
        for name in ["leads", "events", "unique_keys", "deliveries"] {
            inserted.push(Table::read(connection, name).await);
        }
        let mut sample = Self { inserted, attempts: Table::read(connection, "attempts").await, ended: 0 };
        let lease = Value::Blob(Uuid::now_v7().as_bytes().to_vec());
        let deliveries = &mut sample.inserted[3];
        // As they were inserted: leased, and being sent.
        let state = deliveries.column("state");
        let columns = ["lease_token", "lease_until", "created_at"].map(|name| deliveries.column(name));
        for row in &mut deliveries.rows {
            if let Value::Integer(ended) = std::mem::replace(&mut row[state], Value::Integer(1)) {
                sample.ended = ended;
            }
            row[columns[0]] = lease.clone();
            row[columns[1]] = row[columns[2]].clone();
        }
        sample
    }

    /// New ids for one more lead, by the sample's.
    fn ids(&self, made: &mut Vec<Uuid>) -> HashMap<&[u8], Vec<u8>> {
        let mut ids = HashMap::new();
        for table in &self.inserted {
            for row in &table.rows {
                let Some(Value::Blob(id)) = row.first() else { continue };
                let fresh = match table.name {
                    // A digest: unlike an id it does not grow with time.
                    "unique_keys" => Uuid::from_bytes(rand::random()),
                    _ => Uuid::now_v7(),
                };
                if ids.insert(id.as_slice(), fresh.as_bytes().to_vec()).is_none()
                    && table.name == "deliveries"
                {
                    made.push(fresh);
                }
            }
        }
        ids
    }
}

async fn insert_group(connection: &mut SqliteConnection, sample: &Sample, made: &mut Vec<Uuid>) {
    let leads: Vec<_> = (0..GROUP).map(|_| sample.ids(made)).collect();
    execute(connection, "BEGIN IMMEDIATE").await;
    for table in &sample.inserted {
        let text = insertion(table, leads.len() * table.rows.len());
        let mut query = sqlx::query(AssertSqlSafe(text));
        for ids in &leads {
            for value in table.rows.iter().flatten() {
                query = match value {
                    Value::Blob(bytes) => query.bind(ids.get(bytes.as_slice()).unwrap_or(bytes).clone()),
                    other => bind(query, other),
                };
            }
        }
        query.execute(&mut *connection).await.unwrap();
    }
    execute(connection, "COMMIT").await;
}

async fn end_group(connection: &mut SqliteConnection, sample: &Sample, group: &[Uuid]) {
    execute(connection, "BEGIN IMMEDIATE").await;
    let text = format!(
        "UPDATE deliveries SET state = ?, updated_at = updated_at + 1, lease_token = NULL, lease_until = NULL WHERE id IN ({})",
        vec!["?"; group.len()].join(",")
    );
    let mut query = sqlx::query(AssertSqlSafe(text)).bind(sample.ended);
    for id in group {
        query = query.bind(id.as_bytes().to_vec());
    }
    query.execute(&mut *connection).await.unwrap();
    let attempt = &sample.attempts.rows[0];
    let mut query = sqlx::query(AssertSqlSafe(insertion(&sample.attempts, group.len())));
    for id in group {
        query = query.bind(id.as_bytes().to_vec());
        for value in &attempt[1..] {
            query = bind(query, value);
        }
    }
    query.execute(&mut *connection).await.unwrap();
    execute(connection, "COMMIT").await;
}

fn insertion(table: &Table, rows: usize) -> String {
    let row = format!("({})", vec!["?"; table.columns.len()].join(","));
    format!(
        "INSERT INTO {} ({}) VALUES {}",
        table.name,
        table.columns.join(","),
        vec![row.as_str(); rows].join(",")
    )
}

fn bind<'q>(query: Query<'q, Sqlite, SqliteArguments>, value: &Value) -> Query<'q, Sqlite, SqliteArguments> {
    match value {
        Value::Null => query.bind(None::<i64>),
        Value::Integer(number) => query.bind(*number),
        Value::Text(text) => query.bind(text.clone()),
        Value::Blob(bytes) => query.bind(bytes.clone()),
    }
}

async fn execute(connection: &mut SqliteConnection, text: &'static str) {
    sqlx::query(text).execute(connection).await.unwrap();
}
