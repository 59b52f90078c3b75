//! The Bot API of the messenger MAX on this machine: the bot's side over HTTP, the people's side as methods.
//!
//! It answers `GET /me`, `POST`, `PUT` and `DELETE /messages`, `GET /messages/{mid}`, `POST /answers`, `GET /updates` (long
//! polling) and `GET`, `POST` and `DELETE /subscriptions` in JSON, with MAX's own codes (<https://dev.max.ru/docs-api>,
//! OpenAPI 0.0.32, and the fixtures of its Go client).
//!
//! Not simulated: uploads, Markdown, the limits on rates, and TLS towards a webhook ([`MaxSim::put_in_front`] takes its
//! place). A bot may write to a person only after [`MaxSim::add_person`], or after they have started it or written
//! first. Refusals whose code MAX's pages do not name have one seen in programs of others: `chat.not.found`,
//! `not.found`, `proto.payload`, `too.many.requests`, `method.not.allowed`.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use fastlead_testkit::sim::max::MaxSim;
//!
//! let sim = MaxSim::start().await?;
//! sim.add_person(42, "Anna");
//! println!("point the bot {} at {}", sim.token(), sim.base_url());
//! # Ok::<(), std::io::Error>(()) })?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod answer;
mod api;
mod html;
mod messages;
mod page;
mod people;
mod state;
mod updates;

use std::sync::Arc;

pub use state::CallbackAnswer;

use crate::sim::{Door, Faults, Inbox, SimServer, SimTls};
use state::{Access, Person, Shared};

/// The bot's name, without `@`.
pub const BOT_USERNAME: &str = "fastlead_sim_bot";
const TOKEN: &str = "f9LHodD0cOI-simulated-token-for-tests-0001";

/// A simulated MAX with one bot. Cheap to clone; all clones are the same MAX, and the port closes with the last of them.
#[derive(Debug, Clone)]
pub struct MaxSim {
    shared: Arc<Shared>,
    server: Option<Arc<SimServer>>,
    door: Door,
}

impl Default for MaxSim {
    fn default() -> Self {
        Self::new()
    }
}

impl MaxSim {
    /// A MAX without a port of its own: mount [`MaxSim::router`] somewhere.
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared::new(TOKEN)), server: None, door: Door::default() }
    }

    /// A MAX on a free port of 127.0.0.1, with a page at `/` that shows what arrived and plays the people.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> std::io::Result<Self> {
        let sim = Self::new();
        let router = sim.router().merge(crate::sim::page::routes(sim.clone()));
        let server = SimServer::start_behind(sim.door.clone(), router).await?;
        Ok(Self { server: Some(Arc::new(server)), ..sim })
    }

    /// A MAX on a free port of 127.0.0.1, over TLS.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start_tls(tls: SimTls) -> std::io::Result<Self> {
        let sim = Self::new();
        let server = SimServer::start_tls(sim.door.clone(), sim.router(), tls).await?;
        Ok(Self { server: Some(Arc::new(server)), ..sim })
    }

    /// The Bot API, to be mounted by [`axum::Router::nest`] or served as it is.
    pub fn router(&self) -> axum::Router {
        api::router(&self.shared)
    }

    /// What takes the place of `https://platform-api2.max.ru`; empty where the simulator was made by [`MaxSim::new`] and its
    /// address is the business of whoever mounted it.
    pub fn base_url(&self) -> String {
        self.server.as_ref().map(|server| server.base_url()).unwrap_or_default()
    }

    /// The bot's token.
    pub fn token(&self) -> &str {
        &self.shared.token
    }

    /// Shuts the port for a while: connections are refused. Of no use where the simulator has no port of its own.
    pub const fn door(&self) -> &Door {
        &self.door
    }

    /// Scripted trouble for every request but `GET /updates`.
    ///
    /// * [`crate::sim::Fault::RateLimited`] names its delay in `Retry-After`, and names none where it is 0: MAX documents
    ///   none.
    /// * [`crate::sim::Fault::ProviderCode`] is the status and, as text, MAX's code and after a space its message.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Scripted trouble for `GET /updates` alone, so that a poller in the background does not take what was meant for a
    /// message.
    pub fn update_faults(&self) -> &Faults {
        &self.shared.update_faults
    }

    /// Every message that people see. It is for the number of a person's account, or the number of a group.
    pub fn inbox(&self) -> &Inbox {
        &self.shared.inbox
    }

    /// A person who has started the bot.
    pub fn add_person(&self, user_id: i64, name: &str) {
        self.shared.lock().people.insert(user_id, Person::new(user_id, name, Access::Open));
    }

    /// A person who has never started the bot, so that it may not write to them.
    pub fn add_stranger(&self, user_id: i64, name: &str) {
        self.shared.lock().people.insert(user_id, Person::new(user_id, name, Access::Closed));
    }

    /// A group with the bot in it. Numbers of groups are negative.
    pub fn add_group(&self, chat_id: i64, title: &str) {
        self.shared.lock().groups.insert(chat_id, title.to_owned());
    }

    /// The number of the dialog with a person, which is not the number of their account.
    pub const fn dialog_of(user_id: i64) -> i64 {
        state::dialog_of(user_id)
    }

    /// Takes away the updates that wait, each as the body that MAX would post. For tests that carry them to the bot by
    /// themselves.
    pub fn take_updates(&self) -> Vec<serde_json::Value> {
        let updates = std::mem::take(&mut self.shared.lock().updates);
        self.shared.announce();
        updates.into_iter().map(|update| update.body).collect()
    }

    /// How many updates wait to be fetched or posted.
    pub fn pending_updates(&self) -> usize {
        self.shared.lock().updates.len()
    }

    /// Waits until every update has been taken by the bot. The caller bounds the wait.
    pub async fn wait_until_updates_are_taken(&self) {
        self.wait_until(|sim| sim.pending_updates() == 0).await;
    }

    /// Takes any `http://` address for a webhook. MAX itself calls HTTPS on port 443 only.
    pub fn run_locally(&self) {
        self.shared.lock().is_local = true;
    }

    /// Stands in for a proxy that ends TLS: a webhook address that begins with `front`, such as
    /// `https://leads.example.com`, is called at `behind` instead, such as `http://127.0.0.1:8080`. The
    /// last call for a front counts.
    pub fn put_in_front(&self, front: &str, behind: &str) {
        let mut state = self.shared.lock();
        state.fronts.retain(|(known, _)| known != front);
        state.fronts.push((front.to_owned(), behind.to_owned()));
    }

    /// The addresses that the bot has subscribed, in their order.
    pub fn subscriptions(&self) -> Vec<String> {
        self.shared.lock().subscriptions.iter().map(|subscription| subscription.url.clone()).collect()
    }

    /// Waits until the subscribed addresses are `expected`. The caller bounds the wait.
    pub async fn wait_for_subscriptions(&self, expected: &[&str]) {
        self.wait_until(|sim| sim.subscriptions() == expected).await;
    }

    /// Waits until a call of a subscribed address has failed. The caller bounds the wait.
    pub async fn wait_for_webhook_failure(&self) {
        self.wait_until(|sim| sim.shared.lock().failed_calls > 0).await;
    }

    /// Forgets all subscriptions, as MAX does after eight hours without an answer of 200.
    pub fn forget_subscriptions(&self) {
        self.shared.lock().subscriptions.clear();
        self.shared.announce();
    }

    /// Subscribes an address for these kinds of updates (none: for all), as another program with the same token would.
    pub fn subscribe(&self, url: &str, kinds: &[&str]) {
        updates::add(&self.shared, url, "", kinds.iter().map(|kind| (*kind).to_owned()).collect());
    }

    /// Every accepted `POST /answers`, in order.
    pub fn answered_callbacks(&self) -> Vec<CallbackAnswer> {
        self.shared.lock().answered.clone()
    }

    /// Waits for that many accepted `POST /answers`. The caller bounds the wait.
    pub async fn wait_for_answered_callbacks(&self, count: usize) -> Vec<CallbackAnswer> {
        self.wait_until(|sim| sim.shared.lock().answered.len() >= count).await;
        self.answered_callbacks()
    }

    /// How many `GET /updates` have been made.
    pub fn poll_count(&self) -> u64 {
        self.shared.lock().polls
    }

    /// Waits for that many `GET /updates`. The caller bounds the wait.
    pub async fn wait_for_polls(&self, count: u64) {
        self.wait_until(|sim| sim.poll_count() >= count).await;
    }

    async fn wait_until(&self, reached: impl Fn(&Self) -> bool + Send) {
        let mut changes = self.shared.subscribe();
        loop {
            changes.borrow_and_update();
            if reached(self) {
                return;
            }
            // The sender lives as long as `self`.
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
