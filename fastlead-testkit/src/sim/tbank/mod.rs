//! T-Bank's acquiring on this machine: the shop's side over HTTP, the payer's side as methods and as pages.
//!
//! It answers `Init`, `GetState`, `CheckOrder`, `Confirm`, `Cancel`, `Charge` and `SendClosingReceipt` with the bank's own checks:
//! terminal, token, sums of receipts, the transitions of `Cancel` (specification 1.80). A payment's page (`PaymentURL`) takes one
//! of the test cards, and sends the payer to a page of 3-D Secure where the card asks for it. Notifications are signed and wait
//! until they are taken ([`TBankSim::take_notifications`]), in any order and as often as a test likes, or are posted
//! ([`TBankSim::post_notifications`]).
//!
//! Not simulated: SBP, lists of cards, installments, time-outs of pages, real fiscal documents.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use fastlead_testkit::sim::tbank::TBankSim;
//!
//! let sim = TBankSim::start().await?;
//! println!("point the terminal {} at {}", sim.terminal_key(), sim.base_url());
//! # Ok::<(), std::io::Error>(()) })?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod api;
mod cards;
mod page;
mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::Value;

use crate::sim::post::exchange;
use crate::sim::{Door, Faults, SimServer};
pub use cards::{CARD_3DS, CARD_3DS_FAILS, CARD_GOOD, CARD_NO_FUNDS, CARD_RESTRICTED, PASSWORD_3DS};
pub use state::Settled;
use state::Shared;

const TERMINAL_KEY: &str = "1234567890DEMO";
const PASSWORD: &str = "simulated-password";

/// A simulated T-Bank with one terminal. Cheap to clone; all clones are the same bank, and the port closes with the last of them.
#[derive(Debug, Clone)]
pub struct TBankSim {
    shared: Arc<Shared>,
    server: Arc<SimServer>,
    door: Door,
}

impl TBankSim {
    /// A bank on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> std::io::Result<Self> {
        let (shared, door) = (Arc::new(Shared::new(TERMINAL_KEY, PASSWORD)), Door::default());
        let router = api::router(&shared).merge(page::router(&shared));
        let server = SimServer::start_behind(door.clone(), router).await?;
        shared.lock().base_url = server.base_url();
        Ok(Self { shared, server: Arc::new(server), door })
    }

    /// What takes the place of `https://securepay.tinkoff.ru`.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// The key of the terminal.
    pub fn terminal_key(&self) -> &str {
        &self.shared.terminal_key
    }

    /// The password of the terminal.
    pub fn password(&self) -> &str {
        &self.shared.password
    }

    /// Shuts the port for a while: connections are refused.
    pub const fn door(&self) -> &Door {
        &self.door
    }

    /// Scripted trouble for one method, such as `Charge`. Every call returns the same queue.
    pub fn faults(&self, method: &str) -> Faults {
        self.shared.faults(method)
    }

    /// Whether `Init` refuses an order id that was used (code 20). Terminals differ; off at first.
    pub fn refuse_repeated_orders(&self, refuse: bool) {
        self.shared.lock().unique_orders = refuse;
    }

    /// Whether payments come from SBP from now on, where `ExternalRequestId` counts for nothing and refunds take their time.
    pub fn pay_by_sbp(&self, by_sbp: bool) {
        self.shared.lock().by_sbp = by_sbp;
    }

    /// The payer opens the page of a payment and pays with a test card; a card that asks for 3-D Secure gets the right
    /// password. Returns the status of the payment afterwards, empty for one that is unknown.
    pub fn pay(&self, payment: &str, card: &str) -> String {
        let mut state = self.shared.lock();
        let Ok(id) = payment.parse() else { return String::new() };
        state.pay(id, card, &self.shared);
        state.payments.get(&id).map(|payment| payment.status.to_owned()).unwrap_or_default()
    }

    /// The refunds of SBP that are on their way arrive.
    pub fn finish_refunds(&self) {
        self.shared.lock().finish_refunds(&self.shared);
    }

    /// What has happened to an order: captured and given back, in kopecks, over all its payments.
    pub fn settled(&self, order: &str) -> Settled {
        self.shared.lock().settled(|payment| payment.order == order)
    }

    /// The same over all orders.
    pub fn settled_in_all(&self) -> Settled {
        self.shared.lock().settled(|_| true)
    }

    /// Every request that was read: the method and the body, without the token.
    pub fn requests(&self) -> Vec<(String, Value)> {
        self.shared.lock().requests.clone()
    }

    /// Every receipt that was taken, oldest first: what it belongs to (such as `Init`) and the object.
    pub fn receipts(&self) -> Vec<(String, Value)> {
        self.shared.lock().receipts.clone()
    }

    /// Takes away the notifications that wait, oldest first, each as the body that the bank would post.
    pub fn take_notifications(&self) -> Vec<Value> {
        let waiting = std::mem::take(&mut self.shared.lock().notifications);
        waiting.into_iter().map(|waiting| waiting.body).collect()
    }

    /// Posts the notifications that wait, oldest first. Whatever is not answered with 200 and `OK` waits on. Returns how many
    /// wait on; those of payments without an address are dropped.
    pub async fn post_notifications(&self) -> usize {
        let waiting = std::mem::take(&mut self.shared.lock().notifications);
        for notification in waiting {
            let Some(url) = notification.url.clone() else { continue };
            let headers = [("Content-Type", "application/json")];
            let answer = exchange(&url, &headers, notification.body.to_string().as_bytes()).await;
            let text = answer.map(|answer| String::from_utf8_lossy(&answer).into_owned()).unwrap_or_default();
            let taken = text.starts_with("HTTP/1.1 200") && text.ends_with("\r\n\r\nOK");
            if !taken {
                self.shared.lock().notifications.push(notification);
            }
        }
        self.shared.lock().notifications.len()
    }
}
