//! SMSC on this machine: the client's side over HTTP, the operator's and the person's side as methods.
//!
//! It answers `/sys/send.php`, `/sys/status.php` and `/sys/balance.php` by GET and POST, with SMSC's defaults
//! (windows-1251 unless the request says `charset=utf-8`, plain text unless it says `fmt=3`), its error codes
//! inside HTTP 200, its refusal of identical requests within a minute (code 9), prices and a balance that
//! shrinks, and callbacks that are signed as the client's address asks. Sources:
//! <https://smsc.ru/api/http/>, <https://smscentre.com/api/http/send/sms>,
//! <https://smscentre.com/api/http/status_messages>,
//! <https://smscentre.com/api/http/miscellaneous/callback>.
//!
//! Not simulated: XML (`fmt=2`), `list`, groups, scheduling (`time`), `maxsms`, and everything but SMS.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use fastlead_testkit::sim::smsc::SmscSim;
//!
//! let sim = SmscSim::start().await?;
//! println!("log in to {} as {} with {}", sim.base_url(), sim.login(), sim.password());
//! # Ok::<(), std::io::Error>(()) })?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod api;
mod callback;
mod charset;
mod page;
mod params;
mod parts;
mod query;
mod reply;
mod send;
mod state;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use callback::CallbackRequest;

use crate::sim::{Door, Faults, Inbox, SimServer, SimTls};
use state::{Callback, Shared, stored_phone};

/// A simulated SMSC with one account. Cheap to clone; all clones are the same SMSC, and the port closes with
/// the last of them.
#[derive(Clone)]
pub struct SmscSim {
    shared: Arc<Shared>,
    server: Option<Arc<SimServer>>,
    door: Door,
}

impl fmt::Debug for SmscSim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmscSim").field("base_url", &self.base_url()).finish_non_exhaustive()
    }
}

impl Default for SmscSim {
    fn default() -> Self {
        Self::new()
    }
}

impl SmscSim {
    /// An SMSC without a port of its own: mount [`SmscSim::router`] somewhere.
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared::new()), server: None, door: Door::default() }
    }

    /// An SMSC on a free port of 127.0.0.1, with a page at `/` that shows what arrived and plays the
    /// operator and the people.
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

    /// An SMSC on a free port of 127.0.0.1, over TLS.
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

    /// What takes the place of `https://smsc.ru`; empty where the simulator was made by [`SmscSim::new`] and
    /// its address is the business of whoever mounted it.
    pub fn base_url(&self) -> String {
        self.server.as_ref().map(|server| server.base_url()).unwrap_or_default()
    }

    /// The account's login.
    pub fn login(&self) -> &str {
        &self.shared.login
    }

    /// The account's password.
    pub fn password(&self) -> &str {
        &self.shared.password
    }

    /// The account's API key, in place of login and password.
    pub fn api_key(&self) -> &str {
        &self.shared.api_key
    }

    /// Shuts the port for a while: connections are refused. Of no use where the simulator has no port of its own.
    pub const fn door(&self) -> &Door {
        &self.door
    }

    /// Scripted trouble for `send.php`. SMSC names no delay, so [`crate::sim::Fault::RateLimited`] is answered
    /// with its code 9, whatever the seconds.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Scripted trouble for `status.php` and `balance.php`, so that a question in the background does not take
    /// what was meant for a message.
    pub fn query_faults(&self) -> &Faults {
        &self.shared.query_faults
    }

    /// Every SMS that was accepted: `details` holds `id`, `segments`, `cost`, `valid` and `translit`.
    pub fn inbox(&self) -> &Inbox {
        &self.shared.inbox
    }

    /// What is left on the account, in kopecks. 1000 roubles at the start.
    pub fn balance(&self) -> i64 {
        self.shared.lock().balance
    }

    /// Sets what is left on the account, in kopecks.
    pub fn set_balance(&self, kopecks: i64) {
        self.shared.lock().balance = kopecks;
    }

    /// Sets the price of one SMS part, in kopecks. 380 at the start.
    pub fn set_price(&self, kopecks: i64) {
        self.shared.lock().price = kopecks;
    }

    /// Allows only these sender names from now on; others get code 6. At the start every well-formed name may
    /// be used.
    pub fn register_senders<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        self.shared.lock().senders = Some(names.into_iter().map(str::to_owned).collect());
    }

    /// Refuses everything to this phone from now on, with code 8.
    pub fn make_unreachable(&self, phone: &str) {
        if let Some(phone) = stored_phone(phone) {
            self.shared.lock().unreachable.insert(phone);
        }
    }

    /// Blocks the client's address (every answer is code 4), or lets it in again.
    pub fn block_ip(&self, blocked: bool) {
        self.shared.lock().blocked = blocked;
    }

    /// Whether identical requests within a minute are refused with code 9. They are at the start.
    pub fn notice_repetitions(&self, notices: bool) {
        self.shared.lock().notices_repetitions = notices;
    }

    /// Moves SMSC's clock forward, past the minute of code 9 for one.
    pub fn advance(&self, by: Duration) {
        self.shared.lock().advance(by);
    }

    /// Gives a message its status (and the detail beside it) and says whether there is such a message. Nobody
    /// is called; see [`SmscSim::send_callback`].
    pub fn set_status(&self, id: u32, phone: &str, status: i32, err: i32) -> bool {
        let Some(phone) = stored_phone(phone) else { return false };
        let mut state = self.shared.lock();
        let now = state.now();
        let Some(message) = state.messages.get_mut(&(id, phone)) else { return false };
        message.status = status;
        message.err = err;
        message.changed_at = now;
        drop(state);
        self.shared.inbox.update(&id.to_string(), |arrival| arrival.details["status"] = status.into());
        true
    }

    /// Sets what the cabinet calls the callback address, and its secret. Parameters of the address choose
    /// charset, form and signature, such as `http://127.0.0.1:8080/hook?charset=utf-8&sha1`.
    pub fn set_callback(&self, url: &str, secret: &str) {
        self.shared.lock().callback = Some(Callback { url: url.to_owned(), secret: secret.to_owned() });
    }

    /// The callback about the present status of a message; `None` without a callback address or such a message.
    pub fn callback_request(&self, id: u32, phone: &str) -> Option<CallbackRequest> {
        self.callback(id, phone, None)
    }

    /// The callback about a status that the message need not have (any more): old news, out of order.
    pub fn callback_request_with(
        &self,
        id: u32,
        phone: &str,
        status: i32,
        err: i32,
    ) -> Option<CallbackRequest> {
        self.callback(id, phone, Some((status, err)))
    }

    /// Calls the client about the present status of a message, and returns the HTTP status of its answer.
    /// Called twice, the client is called twice.
    ///
    /// # Errors
    /// Without a callback address or such a message, or where the call fails.
    pub async fn send_callback(&self, id: u32, phone: &str) -> std::io::Result<u16> {
        let request = self.callback_request(id, phone).ok_or_else(nothing_to_call)?;
        request.send().await
    }

    /// The callback about an SMS from `phone` to our number `to`, each with an id of its own; `None` without a
    /// callback address or where `phone` is not a number.
    pub fn inbound_request(&self, phone: &str, text: &str, to: &str) -> Option<CallbackRequest> {
        let mut state = self.shared.lock();
        state.last_inbound += 1;
        let (id, ts) = (state.last_inbound, state.now().timestamp());
        let receiver = state.callback.as_ref()?;
        Some(callback::inbound(receiver, id, &stored_phone(phone)?, text, to, ts))
    }

    /// A person writes from `phone` to our number `to`: calls the client, and returns the HTTP status of its answer.
    ///
    /// # Errors
    /// Without a callback address, where `phone` is not a number, or where the call fails.
    pub async fn inbound(&self, phone: &str, text: &str, to: &str) -> std::io::Result<u16> {
        let request = self.inbound_request(phone, text, to).ok_or_else(nothing_to_call)?;
        request.send().await
    }

    /// The callback about a call from `phone`; `None` without a callback address or where it is not a number.
    pub fn wait_call_request(&self, phone: &str) -> Option<CallbackRequest> {
        let state = self.shared.lock();
        let ts = state.now().timestamp();
        Some(callback::wait_call(state.callback.as_ref()?, &stored_phone(phone)?, ts))
    }

    fn callback(&self, id: u32, phone: &str, other: Option<(i32, i32)>) -> Option<CallbackRequest> {
        let state = self.shared.lock();
        let key = (id, stored_phone(phone)?);
        let message = state.messages.get(&key)?;
        let (status, err) = other.unwrap_or((message.status, message.err));
        Some(callback::status(state.callback.as_ref()?, id, &key.1, message, status, err))
    }
}

fn nothing_to_call() -> std::io::Error {
    std::io::Error::new(
        std::io::ErrorKind::NotFound,
        "no callback address, no such message or no such number",
    )
}
