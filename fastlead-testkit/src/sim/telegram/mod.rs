//! Telegram's Bot API on this machine: the bot's side over HTTP, the person's side as methods.
//!
//! It answers `getMe`, `sendMessage`, `editMessageText`, `editMessageReplyMarkup`,
//! `answerCallbackQuery`, `getUpdates` (long polling), `setWebhook`, `deleteWebhook` and
//! `getWebhookInfo` in JSON, form and query-string requests, with Telegram's own validation and
//! error bodies (<https://core.telegram.org/bots/api> and the sources of its server,
//! <https://github.com/tdlib/telegram-bot-api>).
//!
//! Not simulated: media, Markdown, the flood limits, and TLS towards a webhook
//! ([`TelegramSim::put_in_front`] takes its place). A bot may write to a chat
//! only after [`TelegramSim::add_chat`], or after the person has written first.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use fastlead_testkit::sim::telegram::TelegramSim;
//!
//! let sim = TelegramSim::start().await?;
//! sim.add_chat(42, "Anna");
//! println!("point the bot {} at {}", sim.token(), sim.base_url());
//! # Ok::<(), std::io::Error>(()) })?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod answer;
mod api;
mod html;
mod messages;
mod page;
mod params;
mod people;
mod state;
mod updates;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use state::CallbackAnswer;

use crate::sim::{Door, Faults, Inbox, SimServer, SimTls};
use state::{Access, Chat, Shared};

/// The bot's username, without `@`.
pub const BOT_USERNAME: &str = "fastlead_sim_bot";
const TOKEN: &str = "1000000001:SIMULATED-TOKEN-FOR-TESTS-0000000001";

/// A simulated Telegram with one bot. Cheap to clone; all clones are the same Telegram, and the
/// port closes with the last of them.
#[derive(Debug, Clone)]
pub struct TelegramSim {
    shared: Arc<Shared>,
    server: Option<Arc<SimServer>>,
    door: Door,
}

impl Default for TelegramSim {
    fn default() -> Self {
        Self::new()
    }
}

impl TelegramSim {
    /// A Telegram without a port of its own: mount [`TelegramSim::router`] somewhere.
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared::new(TOKEN)), server: None, door: Door::default() }
    }

    /// A Telegram on a free port of 127.0.0.1, with a page at `/` that shows what arrived and plays the
    /// people.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> std::io::Result<Self> {
        let sim = Self::new();
        let server = SimServer::start_behind(
            sim.door.clone(),
            sim.router().merge(crate::sim::page::routes(sim.clone())),
        )
        .await?;
        Ok(Self { server: Some(Arc::new(server)), ..sim })
    }

    /// A Telegram on a free port of 127.0.0.1, over TLS.
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

    /// What takes the place of `https://api.telegram.org`; empty where the simulator was made by
    /// [`TelegramSim::new`] and its address is the business of whoever mounted it.
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

    /// Scripted trouble for every method but `getUpdates`. Telegram has no account to run empty, so
    /// [`crate::sim::Fault::NoBalance`] meets a normal answer.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Scripted trouble for `getUpdates` alone, so that a poller in the background does not take
    /// what was meant for a message.
    pub fn update_faults(&self) -> &Faults {
        &self.shared.update_faults
    }

    /// Every message that people see.
    pub fn inbox(&self) -> &Inbox {
        &self.shared.inbox
    }

    /// A chat that the bot may write to: a person where `id` is positive, a supergroup at or below
    /// `-1_000_000_000_000`, a basic group between. A group is also reached as `@title`.
    pub fn add_chat(&self, id: i64, title: &str) {
        self.shared.lock().chats.insert(id, Chat::new(id, title));
    }

    /// Makes a chat a forum with this topic. Other topics are refused from now on.
    pub fn add_topic(&self, chat_id: i64, message_thread_id: i64) {
        if let Some(chat) = self.shared.lock().chats.get_mut(&chat_id) {
            chat.topics.insert(message_thread_id);
        }
    }

    /// The language that Telegram reports for the person of a chat, such as `ru`.
    pub fn set_language(&self, chat_id: i64, language: &str) {
        if let Some(chat) = self.shared.lock().chats.get_mut(&chat_id) {
            chat.language = Some(language.to_owned());
        }
    }

    /// Takes away the updates that wait, each as the body that Telegram would post. For tests that
    /// carry them to the bot by themselves.
    pub fn take_updates(&self) -> Vec<serde_json::Value> {
        let updates = std::mem::take(&mut self.shared.lock().updates);
        self.shared.announce();
        updates.into_iter().map(|update| update.body).collect()
    }

    /// How many updates wait to be fetched or posted.
    pub fn pending_updates(&self) -> usize {
        self.shared.lock().updates.len()
    }

    /// Waits until every update has been confirmed by the bot. The caller bounds the wait.
    pub async fn wait_until_updates_are_taken(&self) {
        self.wait_until(|sim| sim.pending_updates() == 0).await;
    }

    /// Behaves like a Bot API server of one's own that was started with `--local`: webhooks may have
    /// any `http://` address. Telegram itself calls HTTPS on ports 443, 80, 88 and 8443 only.
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

    /// The address that the bot has registered with `setWebhook`.
    pub fn webhook_url(&self) -> Option<String> {
        self.shared.lock().webhook.as_ref().map(|webhook| webhook.url.clone())
    }

    /// Waits until the registered address is `expected`. The caller bounds the wait.
    pub async fn wait_for_webhook(&self, expected: Option<&str>) {
        self.wait_until(|sim| sim.webhook_url().as_deref() == expected).await;
    }

    /// Waits until a call of the registered address has failed. The caller bounds the wait.
    pub async fn wait_for_webhook_failure(&self) {
        let failed = |sim: &Self| {
            sim.shared.lock().webhook.as_ref().is_some_and(|webhook| webhook.last_error.is_some())
        };
        self.wait_until(failed).await;
    }

    /// Replaces the registered address behind the bot's back, as another program with the same token
    /// would. Nothing happens where none is registered.
    pub fn take_webhook_over(&self, url: &str) {
        if let Some(webhook) = &mut self.shared.lock().webhook {
            webhook.url = url.to_owned();
        }
        self.shared.announce();
    }

    /// Makes Telegram bring only these kinds of updates, as somebody else's `setWebhook` would.
    pub fn choose_updates(&self, kinds: &[&str]) {
        let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        self.shared.lock().allowed_updates = Some(kinds);
    }

    /// Every accepted `answerCallbackQuery`, in order.
    pub fn answered_callbacks(&self) -> Vec<CallbackAnswer> {
        self.shared.lock().answered.clone()
    }

    /// Waits for that many accepted `answerCallbackQuery` calls. The caller bounds the wait.
    pub async fn wait_for_answered_callbacks(&self, count: usize) -> Vec<CallbackAnswer> {
        self.wait_until(|sim| sim.shared.lock().answered.len() >= count).await;
        self.answered_callbacks()
    }

    /// How many `getUpdates` calls have been made.
    pub fn poll_count(&self) -> u64 {
        self.shared.lock().poll_turn
    }

    /// Waits for that many `getUpdates` calls. The caller bounds the wait.
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

impl Chat {
    fn new(id: i64, title: &str) -> Self {
        Self { id, title: title.to_owned(), access: Access::Open, topics: BTreeSet::new(), language: None }
    }
}

#[cfg(test)]
mod tests;
