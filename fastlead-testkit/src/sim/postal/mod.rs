//! A Postal installation with one mail server on this machine: the program's side over HTTP, everything else as methods.
//!
//! It answers `send/message` and `messages/message` of the legacy API and `/.well-known/jwks.json`, with HTTP 200 and Postal's own
//! codes in the body. Events and routed mail are signed (RSA PKCS#1 v1.5, SHA-256) and posted to the address of
//! [`PostalSim::subscribe`]. Sources: `app/controllers/legacy_api`, `app/senders/http_sender.rb` and
//! `app/services/webhook_delivery_service.rb` of <https://github.com/postalserver/postal>.
//!
//! Not simulated: `send/raw`, attachments, delivery itself, tracking, and TLS towards a webhook. What becomes of a mail is told by
//! [`PostalSim::tell`]; a mail to a suppressed address is held by itself.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use fastlead_testkit::sim::postal::PostalSim;
//!
//! let sim = PostalSim::start().await?;
//! println!("point the channel with {} at {}", sim.api_key(), sim.base_url());
//! # Ok::<(), std::io::Error>(()) })?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod api;
mod key;
mod news;
mod page;
mod state;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::conformance::channel::SampleRequest;
use crate::sim::{Door, Faults, Inbox, SimServer, SimTls};
use state::Shared;

const API_KEY: &str = "SIMULATED-API-KEY-FOR-TESTS";

/// A simulated Postal. Cheap to clone; all clones are the same, and the port closes with the last of them.
#[derive(Debug, Clone)]
pub struct PostalSim {
    shared: Arc<Shared>,
    server: Option<Arc<SimServer>>,
    door: Door,
}

impl Default for PostalSim {
    fn default() -> Self {
        Self::new()
    }
}

impl PostalSim {
    /// A Postal without a port of its own: mount [`PostalSim::router`] somewhere.
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared::default()), server: None, door: Door::default() }
    }

    /// A Postal on a free port of 127.0.0.1, with a page at `/` that shows what arrived and plays the mail servers.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> std::io::Result<Self> {
        let sim = Self::new();
        let router = sim.router().merge(crate::sim::page::routes(sim.clone()));
        let server = SimServer::start_behind(sim.door.clone(), router).await?;
        Ok(Self { server: Some(Arc::new(server)), ..sim })
    }

    /// A Postal on a free port of 127.0.0.1, over TLS.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start_tls(tls: SimTls) -> std::io::Result<Self> {
        let sim = Self::new();
        let server = SimServer::start_tls(sim.door.clone(), sim.router(), tls).await?;
        Ok(Self { server: Some(Arc::new(server)), ..sim })
    }

    /// The API, to be mounted by [`axum::Router::nest`] or served as it is.
    pub fn router(&self) -> axum::Router {
        api::router(&self.shared)
    }

    /// Address of the installation; empty where the simulator was made by [`PostalSim::new`].
    pub fn base_url(&self) -> String {
        self.server.as_ref().map(|server| server.base_url()).unwrap_or_default()
    }

    /// The key of the credential.
    pub const fn api_key(&self) -> &'static str {
        API_KEY
    }

    /// The text of `/.well-known/jwks.json`.
    pub fn signing_keys(&self) -> String {
        key::key_set().to_string()
    }

    /// Shuts the port for a while: connections are refused. Of no use where the simulator has no port of its own.
    pub const fn door(&self) -> &Door {
        &self.door
    }

    /// Scripted trouble. Postal refuses no recipient at once and has no balance: [`crate::sim::Fault::BadRecipient`] and
    /// [`crate::sim::Fault::NoBalance`] are answered with a bare status.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Every mail that was taken and not held.
    pub fn inbox(&self) -> &Inbox {
        &self.shared.inbox
    }

    /// The body of every `send/message` that was read, in order.
    pub fn requests(&self) -> Vec<Value> {
        self.shared.lock().requests.clone()
    }

    /// Puts an address on the suppression list: mail to it is taken, and held.
    pub fn suppress(&self, address: &str) {
        self.shared.lock().suppressed.insert(address.to_lowercase());
    }

    /// Tells what has become of a mail: an event such as `MessageSent`, with the other server's words where it has some.
    /// Returns whether there is such a mail.
    pub fn tell(&self, id: i64, event: &str, details: &str, output: &str) -> bool {
        let told = self.shared.lock().tell(id, event, details, output);
        self.shared.announce();
        told
    }

    /// Queues an event of any kind, such as one that Postal will only invent.
    pub fn push_event(&self, event: &str, payload: Value) {
        self.shared.lock().push_event(event, payload);
        self.shared.announce();
    }

    /// A person writes, and a route posts their mail.
    pub fn write(&self, from: &str, subject: &str, plain_body: &str) {
        self.write_with(
            json!({ "from": from, "mail_from": from, "subject": subject, "plain_body": plain_body }),
        );
    }

    /// The same with other fields of the mail: `auto_submitted`, `bounce` and so on.
    pub fn write_with(&self, fields: Value) {
        self.shared.lock().push_mail(fields);
        self.shared.announce();
    }

    /// Takes away what waits, each as the signed request that Postal would make. For tests that carry them by themselves.
    pub fn take_requests(&self) -> Vec<SampleRequest> {
        let waiting = std::mem::take(&mut self.shared.lock().waiting);
        self.shared.announce();
        waiting.iter().map(news::request).collect()
    }

    /// Enters the address of a webhook and a route: it gets what waits and what comes.
    pub fn subscribe(&self, url: &str) {
        news::subscribe(&self.shared, url);
    }

    /// How much waits to be posted or taken.
    pub fn waiting(&self) -> usize {
        self.shared.lock().waiting.len()
    }
}

#[cfg(test)]
mod tests;
