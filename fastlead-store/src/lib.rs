//! Stores for FastLead: in memory for tests, SQLite for everything up to one machine.

pub mod memory;

pub use memory::MemoryStore;
