//! Integration tests of the stores.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

/// Each of these tests on a new store of every kind.
macro_rules! on_every_store {
    ($($name:ident)*) => {
        mod memory {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    super::$name(fastlead_store::MemoryStore::new()).await;
                }
            )*
        }

        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    let folder = tempfile::tempdir().unwrap();
                    let options = fastlead_store::SqliteOptions::new(folder.path().join("leads.db"));
                    super::$name(fastlead_store::SqliteStore::open(options).await.unwrap()).await;
                }
            )*
        }

        #[cfg(feature = "postgres")]
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    let database = crate::postgres::cluster::Database::new().await;
                    super::$name(database.open().await).await;
                    drop(database);
                }
            )*
        }
    };
}

mod backlog;
mod broken_store;
mod checks;
mod distribution;
mod embedded;
mod file;
mod hang_ups;
mod lease;
mod ledger;
mod memory;
mod people;
mod polling;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(target_os = "linux")]
mod power;
mod rates;
mod simulation;
mod spill;
mod sqlite;
mod story;
mod strangers;
mod tenants;
mod two_engines;
mod unknown;
mod unreadable;
#[cfg(feature = "billing")]
mod wallet;
