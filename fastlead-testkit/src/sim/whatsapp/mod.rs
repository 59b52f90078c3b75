//! WhatsApp's Cloud API on this machine: the program's side over HTTP, the people's side as methods.
//!
//! It answers `POST /{version}/{phone_number_id}/messages` (texts, reply buttons, templates) and
//! `GET /{version}/{phone_number_id}` in JSON, with Meta's own codes. Notifications are signed over their bytes, with every
//! character beyond ASCII escaped as Meta does, and go to the address of [`WhatsAppSim::subscribe`], several in one. Sources:
//! <https://developers.facebook.com/documentation/business-messaging/whatsapp> and the fixtures of the client pywa.
//!
//! A person may be written to freely for 24 hours after their last message. A free text to anybody else is taken with 200 and
//! fails in a status with 131047, as does one to an unknown number with 131026; [`WhatsAppSim::refuse_at_once`] makes the window
//! answer at once.
//!
//! Not simulated: media, lists, flows, the limits on rates, prices, and TLS towards a webhook
//! ([`WhatsAppSim::put_in_front`] takes its place). Statuses of what was taken are told by [`WhatsAppSim::tell`].
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use fastlead_testkit::sim::whatsapp::WhatsAppSim;
//!
//! let sim = WhatsAppSim::start().await?;
//! sim.add_person("79000000000", "Anna");
//! println!("point the number {} with {} at {}", sim.phone_number_id(), sim.token(), sim.base_url());
//! # Ok::<(), std::io::Error>(()) })?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod answer;
mod api;
mod callback;
mod messages;
mod page;
mod people;
mod state;
mod template;

use std::sync::Arc;

use crate::conformance::channel::SampleRequest;
use crate::sim::{Door, Faults, Inbox, SimServer, SimTls};
use state::Shared;

const TOKEN: &str = "EAAB-SIMULATED-TOKEN-FOR-TESTS";
const PHONE_NUMBER_ID: &str = "106540352242922";
const APP_SECRET: &str = "simulated-app-secret";
const VERIFY_TOKEN: &str = "simulated-verify-token";

/// A simulated WhatsApp with one business number. Cheap to clone; all clones are the same, and the port closes with the last of
/// them.
#[derive(Debug, Clone)]
pub struct WhatsAppSim {
    shared: Arc<Shared>,
    server: Option<Arc<SimServer>>,
    door: Door,
}

impl Default for WhatsAppSim {
    fn default() -> Self {
        Self::new()
    }
}

impl WhatsAppSim {
    /// A WhatsApp without a port of its own: mount [`WhatsAppSim::router`] somewhere.
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared::default()), server: None, door: Door::default() }
    }

    /// A WhatsApp on a free port of 127.0.0.1, with a page at `/` that shows what arrived and plays the people.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> std::io::Result<Self> {
        let sim = Self::new();
        let router = sim.router().merge(crate::sim::page::routes(sim.clone()));
        let server = SimServer::start_behind(sim.door.clone(), router).await?;
        Ok(Self { server: Some(Arc::new(server)), ..sim })
    }

    /// A WhatsApp on a free port of 127.0.0.1, over TLS.
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

    /// What takes the place of `https://graph.facebook.com`; empty where the simulator was made by [`WhatsAppSim::new`].
    pub fn base_url(&self) -> String {
        self.server.as_ref().map(|server| server.base_url()).unwrap_or_default()
    }

    /// The access token of the system user.
    pub const fn token(&self) -> &'static str {
        TOKEN
    }

    /// The id of the business number.
    pub const fn phone_number_id(&self) -> &'static str {
        PHONE_NUMBER_ID
    }

    /// The secret with which notifications are signed.
    pub const fn app_secret(&self) -> &'static str {
        APP_SECRET
    }

    /// The word with which an address is confirmed.
    pub const fn verify_token(&self) -> &'static str {
        VERIFY_TOKEN
    }

    /// Shuts the port for a while: connections are refused. Of no use where the simulator has no port of its own.
    pub const fn door(&self) -> &Door {
        &self.door
    }

    /// Scripted trouble. Meta names no delay with its limits.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Every message that people see.
    pub fn inbox(&self) -> &Inbox {
        &self.shared.inbox
    }

    /// The body of every message request that was read, in order.
    pub fn requests(&self) -> Vec<serde_json::Value> {
        self.shared.lock().requests.clone()
    }

    /// Answers a free text to a closed window at once with 131047, instead of later in a status.
    pub fn refuse_at_once(&self, at_once: bool) {
        self.shared.lock().refuses_at_once = at_once;
    }

    /// Approves a template: the words of its body with placeholders such as `{{1}}` or `{{lead}}`, and the labels of its quick
    /// replies.
    pub fn add_template(&self, name: &str, language: &str, body: &str, quick_replies: &[&str]) {
        let template = template::Approved::new(body, quick_replies);
        self.shared.lock().templates.insert((name.to_owned(), language.to_owned()), template);
        self.shared.announce();
    }

    /// Takes away what waits, each as the signed request that Meta would make. For tests that carry them by themselves.
    pub fn take_notifications(&self) -> Vec<SampleRequest> {
        let waiting = std::mem::take(&mut self.shared.lock().waiting);
        self.shared.announce();
        waiting.iter().map(|news| callback::notification(std::slice::from_ref(news))).collect()
    }

    /// The same in one request, as Meta makes it of several.
    pub fn take_one_notification(&self) -> SampleRequest {
        let waiting: Vec<_> = std::mem::take(&mut self.shared.lock().waiting).into();
        self.shared.announce();
        callback::notification(&waiting)
    }

    /// The request with which Meta confirms an address, as a query.
    pub fn confirmation(&self, challenge: &str) -> SampleRequest {
        let query = callback::confirmation_query(challenge);
        SampleRequest { method: "GET".to_owned(), ..SampleRequest::post("") }.with_query(query)
    }

    /// Enters the address of a webhook, as in the App dashboard: it is confirmed, and gets what waits and what comes.
    /// Returns whether it was confirmed.
    pub async fn subscribe(&self, url: &str) -> bool {
        callback::subscribe(&self.shared, url).await
    }

    /// How many events wait to be posted or taken.
    pub fn waiting(&self) -> usize {
        self.shared.lock().waiting.len()
    }

    /// Waits until everything was posted and answered with 200. The caller bounds the wait.
    pub async fn wait_until_everything_is_taken(&self) {
        let mut changes = self.shared.subscribe();
        loop {
            changes.borrow_and_update();
            // The sender lives as long as `self`.
            if self.waiting() == 0 || changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Stands in for a proxy that ends TLS: an address that begins with `front`, such as `https://leads.example.com`, is called
    /// at `behind` instead, such as `http://127.0.0.1:8080`. The last call for a front counts.
    pub fn put_in_front(&self, front: &str, behind: &str) {
        let mut state = self.shared.lock();
        state.fronts.retain(|(known, _)| known != front);
        state.fronts.push((front.to_owned(), behind.to_owned()));
    }
}

#[cfg(test)]
mod tests;
