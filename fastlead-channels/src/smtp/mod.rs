//! smtp adapter.
mod adapter;
pub use adapter::SmtpAdapter;
