//! A receiver of outgoing webhooks on this machine. It believes nothing and judges nothing: it
//! keeps every request as it came, so that a test can verify signatures with whatever it trusts.
//!
//! A receiver of [Standard Webhooks](https://www.standardwebhooks.com) treats `webhook-id` as the
//! idempotency key. So does this one: a repeated id is answered with 204, counted and not shown
//! again, until [`WebhookSim::set_dedupe`] says otherwise.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use fastlead_testkit::sim::Fault;
//! use fastlead_testkit::sim::webhook::{WebhookAnswer, WebhookSim};
//!
//! let sim = WebhookSim::start().await?;
//! sim.faults().push(Fault::RateLimited { after_secs: 5 });
//! sim.set_answer(Some(WebhookAnswer::redirect(302, "https://example.com/elsewhere")));
//! println!("post events to {}", sim.url());
//! # Ok::<(), std::io::Error>(()) })?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod page;
mod receive;
mod state;

use std::sync::Arc;

pub use state::{ReceivedRequest, WebhookAnswer};

use crate::sim::{Door, Faults, Inbox, SimServer, SimTls};
use state::Shared;

/// A simulated receiver. Cheap to clone; all clones are the same receiver, and the port closes with
/// the last of them.
#[derive(Debug, Clone)]
pub struct WebhookSim {
    shared: Arc<Shared>,
    server: Option<Arc<SimServer>>,
    door: Door,
}

impl Default for WebhookSim {
    fn default() -> Self {
        Self::new()
    }
}

impl WebhookSim {
    /// A receiver without a port of its own: mount [`WebhookSim::router`] somewhere.
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared::new()), server: None, door: Door::default() }
    }

    /// A receiver on a free port of 127.0.0.1. A `GET` of `/` shows a page with what arrived, which uses
    /// the paths below `/page`.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> std::io::Result<Self> {
        let sim = Self::new();
        let server = SimServer::start_behind(sim.door.clone(), sim.with_page()).await?;
        Ok(Self { server: Some(Arc::new(server)), ..sim })
    }

    /// A receiver on a free port of 127.0.0.1, over TLS.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start_tls(tls: SimTls) -> std::io::Result<Self> {
        let sim = Self::new();
        let server = SimServer::start_tls(sim.door.clone(), sim.with_page(), tls).await?;
        Ok(Self { server: Some(Arc::new(server)), ..sim })
    }

    fn with_page(&self) -> axum::Router {
        receive::with_page(&self.shared, crate::sim::page::parts(self.clone()))
    }

    /// Takes `POST` on every path, to be mounted by [`axum::Router::nest`] or served as it is. Other
    /// methods are answered with 405, as most receivers do.
    pub fn router(&self) -> axum::Router {
        receive::router(&self.shared)
    }

    /// Where to post: `http://127.0.0.1:PORT/webhook` (over TLS `https://`); `/webhook` where the simulator was made by
    /// [`WebhookSim::new`] and its address is the business of whoever mounted it.
    pub fn url(&self) -> String {
        let base = self.server.as_ref().map(|server| server.base_url()).unwrap_or_default();
        format!("{base}/webhook")
    }

    /// Shuts the port for a while: connections are refused. Of no use where the simulator has no port of its own.
    pub const fn door(&self) -> &Door {
        &self.door
    }

    /// Scripted trouble for `POST`s. As statuses: 429 with `Retry-After`, 401 for refused
    /// credentials, 402 for an empty balance, 410 for a recipient that is gone, 422 for refused
    /// content; a provider's code is a status too.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// What was accepted, in order, without repetitions of an id: the body as text, the path in
    /// `to`, the id in `provider_message_id`, the headers in `details`.
    pub fn inbox(&self) -> &Inbox {
        &self.shared.inbox
    }

    /// Every request that came, in order: refused ones, repeated ones and other methods too.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.shared.lock().requests.clone()
    }

    /// How many accepted requests repeated a known `webhook-id`.
    pub fn duplicates(&self) -> u64 {
        self.shared.lock().duplicates
    }

    /// Whether a repeated `webhook-id` is kept out of the inbox. It is, unless told otherwise.
    /// Repetitions are counted either way.
    pub fn set_dedupe(&self, dedupe: bool) {
        self.shared.lock().dedupe = dedupe;
    }

    /// Answers every `POST` so, until called with `None`. A status of 2xx accepts, any other refuses.
    /// Faults go first.
    pub fn set_answer(&self, answer: Option<WebhookAnswer>) {
        self.shared.lock().answer = answer;
    }
}
