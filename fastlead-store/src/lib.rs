//! Stores for FastLead: in memory for tests, SQLite for everything up to one machine; and the memory of backtests.

mod book;
pub mod memory;
mod named;
mod spill;
#[cfg(feature = "sqlite")]
pub mod sqlite;

pub use memory::MemoryStore;
pub use spill::SpillingMemory;
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteOptions, SqliteStore};
