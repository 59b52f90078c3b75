//! Acme SMS, an invented gateway: the adapter, and a server that plays the gateway.
//!
//! The adapter knows `fastlead-core`, and of `fastlead-channels` the guarded client: it connects only where the program lets
//! channels connect to. The server is what a crate of your own would keep among its tests.

mod adapter;
mod server;

pub use adapter::{AcmeConfig, AcmeSms};
pub use server::AcmeServer;
