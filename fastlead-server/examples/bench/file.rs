//! The SQLite file, looked at from outside: how it is opened, and what is in it.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions as _, Row as _, SqliteConnection, TypeInfo as _, ValueRef as _,
};

/// What the program calls its file where it is told nothing else.
pub(crate) const NAME: &str = "fastlead.db";

/// Opens the file as the store opens it for its writer.
pub(crate) async fn open(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", "-16384")
        .pragma("wal_autocheckpoint", "1000")
        .disable_statement_logging()
        .connect()
        .await
        .unwrap()
}

/// Stops the measurement unless the file holds what was acknowledged and recorded.
pub(crate) async fn must_hold(folder: &Path, leads: u64, delivered: u64) {
    let mut connection = open(&folder.join(NAME)).await;
    let row = sqlx::query(
        "SELECT (SELECT count(*) FROM leads), (SELECT count(*) FROM deliveries WHERE state = 10), \
         (SELECT count(*) FROM deliveries), (SELECT count(*) FROM attempts)",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    let found: Vec<i64> = (0..4).map(|index| row.get(index)).collect();
    let expected: Vec<i64> =
        [leads, delivered, delivered, delivered].iter().map(|count| i64::try_from(*count).unwrap()).collect();
    assert_eq!(found, expected, "leads, delivered, deliveries and attempts in the file");
}

/// A value of a column.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Nothing.
    Null,
    /// A number.
    Integer(i64),
    /// A text.
    Text(String),
    /// Bytes; an id where they are 16.
    Blob(Vec<u8>),
}

/// Rows of a table, as they are.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Value>>,
}

impl Table {
    /// Reads a whole table, which must not be empty.
    pub(crate) async fn read(connection: &mut SqliteConnection, name: &'static str) -> Self {
        let text = AssertSqlSafe(format!("SELECT * FROM {name} ORDER BY 1"));
        let rows = sqlx::query(text).fetch_all(connection).await.unwrap();
        let columns = rows.first().expect("the sample has rows").columns();
        Self {
            name,
            columns: columns.iter().map(|column| column.name().to_owned()).collect(),
            rows: rows.iter().map(|row| (0..row.len()).map(|index| value(row, index)).collect()).collect(),
        }
    }

    /// Where a column is.
    pub(crate) fn column(&self, name: &str) -> usize {
        self.columns.iter().position(|column| column == name).expect("the schema has the column")
    }
}

fn value(row: &SqliteRow, index: usize) -> Value {
    let raw = row.try_get_raw(index).unwrap();
    if raw.is_null() {
        return Value::Null;
    }
    let kind = raw.type_info().name().to_owned();
    match kind.as_str() {
        "INTEGER" => Value::Integer(row.get(index)),
        "BLOB" => Value::Blob(row.get(index)),
        _ => Value::Text(row.get(index)),
    }
}
