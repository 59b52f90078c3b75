//! VK's API of a community on this machine: the program's side over HTTP, the person's side as methods.
//!
//! It answers `messages.send`, `messages.edit`, `messages.sendMessageEventAnswer`, `groups.getTokenPermissions` and the methods
//! of callback servers (`groups.addCallbackServer`, `editCallbackServer`, `deleteCallbackServer`, `getCallbackServers`,
//! `getCallbackConfirmationCode`, `getCallbackSettings`, `setCallbackSettings`) as forms, with VK's own validation and error
//! bodies (<https://dev.vk.com/en/api/api-requests> and <https://github.com/VKCOM/vk-api-schema>). Events go to the registered
//! callback servers, once VK has read the confirmation string there.
//!
//! Not simulated: media, templates, the limits on rates, `execute`, Long Poll, and TLS towards a callback server
//! ([`VkSim::put_in_front`] takes its place). A community may write to a person only after [`VkSim::add_person`], or after the
//! person has written first or allowed messages.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use fastlead_testkit::sim::vk::VkSim;
//!
//! let sim = VkSim::start().await?;
//! sim.add_person(790_000_000, "Anna");
//! println!("point the community {} with {} at {}", sim.group_id(), sim.token(), sim.base_url());
//! # Ok::<(), std::io::Error>(()) })?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod answer;
mod api;
mod callbacks;
mod keyboard;
mod messages;
mod page;
mod params;
mod people;
mod servers;
mod state;

use std::sync::Arc;

pub use people::FilledForm;
pub use state::EventAnswer;

use crate::sim::{Door, Faults, Inbox, SimServer, SimTls};
use state::Shared;

const TOKEN: &str = "vk1.a.SIMULATED-TOKEN-FOR-TESTS";
const GROUP_ID: i64 = 202_308_925;

/// A simulated VK with one community. Cheap to clone; all clones are the same VK, and the port closes with the last of them.
#[derive(Debug, Clone)]
pub struct VkSim {
    shared: Arc<Shared>,
    server: Option<Arc<SimServer>>,
    door: Door,
}

impl Default for VkSim {
    fn default() -> Self {
        Self::new()
    }
}

impl VkSim {
    /// A VK without a port of its own: mount [`VkSim::router`] somewhere.
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared::new(TOKEN, GROUP_ID)), server: None, door: Door::default() }
    }

    /// A VK on a free port of 127.0.0.1, with a page at `/` that shows what arrived and plays the people.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> std::io::Result<Self> {
        let sim = Self::new();
        let router = sim.router().merge(crate::sim::page::routes(sim.clone()));
        let server = SimServer::start_behind(sim.door.clone(), router).await?;
        Ok(Self { server: Some(Arc::new(server)), ..sim })
    }

    /// A VK on a free port of 127.0.0.1, over TLS.
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

    /// What takes the place of `https://api.vk.ru`; empty where the simulator was made by [`VkSim::new`] and its address is the
    /// business of whoever mounted it.
    pub fn base_url(&self) -> String {
        self.server.as_ref().map(|server| server.base_url()).unwrap_or_default()
    }

    /// The community's access key.
    pub fn token(&self) -> &str {
        &self.shared.token
    }

    /// The number of the community.
    pub fn group_id(&self) -> i64 {
        self.shared.group_id
    }

    /// Shuts the port for a while: connections are refused. Of no use where the simulator has no port of its own.
    pub const fn door(&self) -> &Door {
        &self.door
    }

    /// Scripted trouble for the methods `messages.*` and `groups.getTokenPermissions`. VK names no delay with "too many
    /// requests", and has no account to run empty: [`crate::sim::Fault::NoBalance`] is answered with a bare 402.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Scripted trouble for the methods of callback servers alone.
    pub fn callback_faults(&self) -> &Faults {
        &self.shared.callback_faults
    }

    /// Every message that people see.
    pub fn inbox(&self) -> &Inbox {
        &self.shared.inbox
    }

    /// The fields of every request that was read, in order, with `method` beside them and without the access key.
    pub fn requests(&self) -> Vec<serde_json::Value> {
        self.shared.lock().requests.clone()
    }

    /// Every accepted `messages.sendMessageEventAnswer`, in order.
    pub fn answered_presses(&self) -> Vec<EventAnswer> {
        self.shared.lock().answered.clone()
    }

    /// Waits for that many answered presses. The caller bounds the wait.
    pub async fn wait_for_answered_presses(&self, count: usize) -> Vec<EventAnswer> {
        self.wait_until(|sim| sim.shared.lock().answered.len() >= count).await;
        self.answered_presses()
    }

    /// Switches "Bot features" of the community, without which keyboards are refused. They are on at first.
    pub fn set_bot_features(&self, on: bool) {
        self.shared.lock().bot_features = on;
    }

    /// Takes these rights from the access key, such as `messages` or `manage`.
    pub fn revoke(&self, right: &str) {
        self.shared.lock().rights.remove(right);
    }

    /// The secret of events that are taken by [`VkSim::take_events`]; those that VK posts carry that of their server.
    pub fn set_secret(&self, secret: &str) {
        self.shared.lock().secret = secret.to_owned();
    }

    /// Takes away the events that wait, each as the body that VK would post. For tests that carry them by themselves.
    pub fn take_events(&self) -> Vec<serde_json::Value> {
        let events = {
            let mut state = self.shared.lock();
            let secret = state.secret.clone();
            let events = std::mem::take(&mut state.events);
            events.into_iter().map(|event| event.body(self.shared.group_id, &secret)).collect()
        };
        self.shared.announce();
        events
    }

    /// How many events wait to be posted or taken.
    pub fn waiting_events(&self) -> usize {
        self.shared.lock().events.len()
    }

    /// Waits until every event was posted and answered with `ok`. The caller bounds the wait.
    pub async fn wait_until_events_are_taken(&self) {
        self.wait_until(|sim| sim.waiting_events() == 0).await;
    }

    /// The confirmation string of the community.
    pub fn confirmation_code(&self) -> String {
        self.shared.lock().code.clone()
    }

    /// The request with which VK confirms an address, as a body.
    pub fn confirmation(&self) -> serde_json::Value {
        callbacks::confirmation(self.shared.group_id, &self.shared.lock().secret)
    }

    /// The callback servers: title, address and status (`unconfigured`, `wait`, `failed` or `ok`).
    pub fn callback_servers(&self) -> Vec<(String, String, String)> {
        let state = self.shared.lock();
        let shown = |server: &state::CallbackServer| {
            (server.title.clone(), server.url.clone(), server.status.to_owned())
        };
        state.servers.iter().map(shown).collect()
    }

    /// Waits until the server with this title has this status. The caller bounds the wait.
    pub async fn wait_for_callback_server(&self, title: &str, status: &str) {
        self.wait_until(|sim| {
            sim.callback_servers().iter().any(|server| server.0 == title && server.2 == status)
        })
        .await;
    }

    /// Adds a callback server of another program, which answers nothing.
    pub fn add_foreign_server(&self, title: &str) {
        self.shared.lock().add_server("https://other.example.com/hook", title, "another-secret");
    }

    /// Switches a kind of event off at every server, as somebody might in the community's settings.
    pub fn switch_off(&self, kind: &str) {
        for server in &mut self.shared.lock().servers {
            server.kinds.remove(kind);
        }
    }

    /// Stands in for a proxy that ends TLS: a callback address that begins with `front`, such as `https://leads.example.com`, is
    /// called at `behind` instead, such as `http://127.0.0.1:8080`. The last call for a front counts.
    pub fn put_in_front(&self, front: &str, behind: &str) {
        let mut state = self.shared.lock();
        state.fronts.retain(|(known, _)| known != front);
        state.fronts.push((front.to_owned(), behind.to_owned()));
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
