//! telegram adapter.
mod adapter;
pub use adapter::TelegramAdapter;
