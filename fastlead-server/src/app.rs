//! What every request handler can reach.

use std::fmt::Debug;
use std::sync::Arc;

use fastlead_core::port::{
    Accounts, Addresses, Catalog, ChangeLog, ChannelRecord, Identities, Journal, Store,
};
use fastlead_core::registry::Registry;
use fastlead_core::{Engine, Result};
use tokio_util::sync::CancellationToken;

use crate::auth::Authenticator;
use crate::channels::Channels;
use crate::confirm::Links;
use crate::health::Probe;
use crate::limits::{CaptureLimits, TestLimits};
use crate::operator::Running;
use crate::registration::Registrar;
use crate::seal::Keyring;
use crate::settings::Settings;

/// Everything that the server asks of a store.
///
/// ```
/// use std::sync::Arc;
///
/// use fastlead_server::app::Backend;
/// use fastlead_store::MemoryStore;
///
/// let backend: Arc<dyn Backend> = Arc::new(MemoryStore::new());
/// ```
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
    /// How many test messages a channel carries.
    pub tests: Arc<TestLimits>,
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
    /// Whether only requests that name this machine as their host are answered.
    pub(crate) only_this_machine: bool,
    /// Whether the store takes writes, for `/readyz`.
    pub(crate) probe: Arc<Probe>,
    /// Cancelled when the server begins to stop: it is not ready any more, and streams end.
    pub stopping: CancellationToken,
    /// Tells providers where to call us.
    pub registrar: Arc<Registrar>,
}

impl App {
    /// Where the provider of a channel calls us.
    ///
    /// # Errors
    /// [`fastlead_core::ErrorKind::Config`] where the last part of the address does not open.
    pub(crate) fn webhook_url(&self, record: &ChannelRecord) -> Result<String> {
        let token = self.keyring.open_token(record.workspace_id, record.id, &record.webhook_token)?;
        Ok(format!("{}/webhooks/{token}", self.public_url))
    }

    /// Whether providers can call us: they want HTTPS.
    pub(crate) fn has_public_address(&self) -> bool {
        self.public_url.starts_with("https://")
    }
}
