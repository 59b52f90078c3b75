//! The PostgreSQL store keeps the contract, and what only a server can promise.

pub(crate) mod cluster;
mod several;

use std::sync::Arc;

use fastlead_core::async_trait;
use fastlead_store::PostgresStore;
use fastlead_testkit::conformance::store::{FullStore, StoreHarness, StoredRow};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use cluster::Database;

struct Postgres<const CROWDED: bool> {
    store: Option<PostgresStore>,
    database: Database,
}

/// One writer and large groups.
type Alone = Postgres<false>;
/// Many small transactions at a time, which meet in the database as those of several servers do.
type Crowd = Postgres<true>;

impl<const CROWDED: bool> Postgres<CROWDED> {
    async fn open(database: &Database) -> PostgresStore {
        let options = database.options();
        let options = if CROWDED { options.writers(6).group(3).connections(12) } else { options.writers(1) };
        PostgresStore::open(options).await.unwrap()
    }
}

#[async_trait]
impl<const CROWDED: bool> StoreHarness for Postgres<CROWDED> {
    async fn start() -> Self {
        let database = Database::new().await;
        let store = Some(Self::open(&database).await);
        Self { store, database }
    }

    fn store(&self) -> Arc<dyn FullStore> {
        Arc::new(self.store.clone().expect("open between two calls"))
    }

    async fn reopen(&mut self) -> bool {
        self.store = None;
        self.store = Some(Self::open(&self.database).await);
        true
    }

    async fn damage(&self, row: StoredRow) -> bool {
        let (id, first, damage) = match row {
            StoredRow::Delivery(id) => (id.as_uuid(), "", "UPDATE deliveries SET spec = '{' WHERE id = $1"),
            StoredRow::Account(id) => (
                id.as_uuid(),
                "DROP TRIGGER ledger_accounts_keep_their_currency ON ledger_accounts",
                "UPDATE ledger_accounts SET currency = 'rub' WHERE id = $1",
            ),
            StoredRow::Posting(id) => (
                id.as_uuid(),
                "DROP TRIGGER ledger_entries_stay ON ledger_entries",
                "UPDATE ledger_entries SET currency = 'rub' WHERE posting_id = $1",
            ),
            _ => return false,
        };
        let mut connection = PgConnection::connect(&self.database.url()).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(first)).execute(&mut connection).await.unwrap();
        let done = sqlx::query(damage).bind(id).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        done.rows_affected() > 0
    }

    fn gives_back(&self) -> bool {
        true
    }
}

fastlead_testkit::store_conformance!(keeps_the_contract, Alone);
fastlead_testkit::store_conformance!(keeps_the_contract_in_a_crowd, Crowd);
