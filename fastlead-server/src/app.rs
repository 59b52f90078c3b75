//! What every request handler can reach.

use std::fmt::Debug;
use std::sync::Arc;

use fastlead_core::Engine;
use fastlead_core::port::{Accounts, Addresses, Catalog, ChangeLog, Identities, Journal, Store};
use fastlead_core::registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::auth::Authenticator;
use crate::channels::Channels;
use crate::confirm::Links;
use crate::limits::CaptureLimits;
use crate::operator::Running;
use crate::registration::Registrar;
use crate::seal::Keyring;
use crate::settings::Settings;

/// Everything that the server asks of a store.
pub trait Backend: Store + Catalog + Journal + Accounts + Addresses + Identities + ChangeLog {}

impl<T: Store + Catalog + Journal + Accounts + Addresses + Identities + ChangeLog> Backend for T {}

/// The server's parts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    /// The engine.
    pub engine: Engine,
    /// The store.
    pub store: Arc<dyn Backend>,
    /// The adapters that exist.
    pub registry: Arc<Registry>,
    /// Builds channel instances of them.
    pub channels: Arc<Channels>,
    /// The keys that seal credentials.
    pub keyring: Arc<Keyring>,
    /// Who is who.
    pub auth: Arc<Authenticator>,
    /// How much a source takes.
    pub limits: Arc<CaptureLimits>,
    /// The settings.
    pub settings: Arc<Settings>,
    /// Renders `/metrics`.
    pub metrics: metrics_exporter_prometheus::PrometheusHandle,
    /// Who has a backtest running.
    pub(crate) backtests: Running,
    /// Makes the links by which visitors confirm leads.
    pub(crate) links: Arc<Links>,
    /// How the outside world reaches the server, without a slash at the end.
    pub public_url: Arc<str>,
    /// Cancelled when the server begins to stop: it is not ready any more, and streams end.
    pub stopping: CancellationToken,
    /// Tells providers where to call us.
    pub registrar: Arc<Registrar>,
}

impl App {
    /// Where the provider of a channel calls us.
    pub(crate) fn webhook_url(&self, token: &str) -> String {
        format!("{}/webhooks/{token}", self.public_url)
    }

    /// Whether providers can call us: they want HTTPS.
    pub(crate) fn has_public_address(&self) -> bool {
        self.public_url.starts_with("https://")
    }
}
