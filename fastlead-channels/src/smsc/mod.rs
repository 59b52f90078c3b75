//! smsc adapter.
mod adapter;
pub use adapter::SmscAdapter;
