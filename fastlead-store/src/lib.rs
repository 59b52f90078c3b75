#![doc = include_str!("../README.md")]

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
