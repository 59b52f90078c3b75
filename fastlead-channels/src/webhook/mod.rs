//! webhook adapter.
mod adapter;
pub use adapter::WebhookAdapter;
