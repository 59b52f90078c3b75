#![doc = include_str!("../README.md")]

mod book;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod known_ledger;
pub mod memory;
mod named;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod resolve;
#[cfg(all(test, any(feature = "postgres", feature = "sqlite")))]
mod resolve_tests;
mod senders;
mod spill;
#[cfg(feature = "sqlite")]
pub mod sqlite;

pub use memory::MemoryStore;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresOptions, PostgresStore};
pub use spill::SpillingMemory;
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteOptions, SqliteStore};
