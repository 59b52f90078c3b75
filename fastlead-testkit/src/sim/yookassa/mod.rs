//! YooKassa on this machine: the shop's side over HTTP, the payer's side as methods and as pages.
//!
//! It answers `POST` and `GET /payments`, `/payments/{id}/capture` and `/cancel`, `/refunds`, `/receipts` and `GET /me`, with keys,
//! error bodies and the checks of receipts as the documentation has them (<https://yookassa.ru/developers>). The address of a
//! payment takes one of the test cards, and sends the payer to a page of 3-D Secure where the card asks for it. Notifications
//! wait until they are taken, in any order and as often as a test likes, or are posted to an address.
//!
//! A key with another body is answered with the first result, and remembered in [`YooKassaSim::reused_keys`]: what YooKassa does
//! is not documented.
//!
//! Not simulated: payouts, deals, SBP, time-outs of pages, limits on rates.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! use fastlead_testkit::sim::yookassa::YooKassaSim;
//!
//! let sim = YooKassaSim::start().await?;
//! println!("point the shop {} at {}", sim.shop_id(), sim.base_url());
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

use crate::sim::post::post;
use crate::sim::{Door, Faults, SimServer};
pub use cards::{CARD_3DS, CARD_GOOD, CARD_NO_FUNDS, CARD_REFUSED};
pub use state::Settled;
use state::Shared;

const SHOP_ID: &str = "100500";
const SECRET_KEY: &str = "test_simulated-secret";

/// A simulated YooKassa with one test shop. Cheap to clone; all clones are the same, and the port closes with the last of them.
#[derive(Debug, Clone)]
pub struct YooKassaSim {
    shared: Arc<Shared>,
    server: Arc<SimServer>,
    door: Door,
}

impl YooKassaSim {
    /// A YooKassa on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> std::io::Result<Self> {
        let (shared, door) = (Arc::new(Shared::default()), Door::default());
        let router = api::router(&shared).merge(page::router(&shared));
        let server = SimServer::start_behind(door.clone(), router).await?;
        shared.lock().base_url = server.base_url();
        Ok(Self { shared, server: Arc::new(server), door })
    }

    /// What takes the place of `https://api.yookassa.ru`; the API is below `/v3/`.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// The number of the shop.
    pub const fn shop_id(&self) -> &str {
        SHOP_ID
    }

    /// The secret key of the shop.
    pub const fn secret_key(&self) -> &str {
        SECRET_KEY
    }

    /// Shuts the port for a while: connections are refused.
    pub const fn door(&self) -> &Door {
        &self.door
    }

    /// Scripted trouble for requests that change something (`POST`).
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Scripted trouble for questions (`GET`).
    pub fn question_faults(&self) -> &Faults {
        &self.shared.question_faults
    }

    /// Forgets the keys of all requests, as YooKassa does after 24 hours.
    pub fn forget_keys(&self) {
        self.shared.lock().keys.clear();
    }

    /// Keys that came with another body than before.
    pub fn reused_keys(&self) -> Vec<String> {
        self.shared.lock().reused_keys.clone()
    }

    /// The payer opens the page of a payment and pays with a test card; a card that asks for 3-D Secure gets its code. Returns
    /// the status of the payment afterwards, empty for one that is unknown.
    pub fn pay(&self, payment: &str, card: &str) -> String {
        let mut state = self.shared.lock();
        state.pay(payment, card);
        state.payments.get(payment).map(|payment| payment.status.to_owned()).unwrap_or_default()
    }

    /// Makes the next refund end like this: `pending`, or `canceled` with a reason such as `insufficient_funds`.
    pub fn next_refund(&self, status: &'static str, reason: Option<&'static str>) {
        self.shared.lock().next_refund = Some((status, reason));
    }

    /// What has happened to the payments with this `metadata.reference`, in kopecks.
    pub fn settled(&self, reference: &str) -> Settled {
        self.shared.lock().settled(|payment| payment.metadata["reference"] == reference)
    }

    /// The same over all payments.
    pub fn settled_in_all(&self) -> Settled {
        self.shared.lock().settled(|_| true)
    }

    /// Every request that was read: method with path, and the body.
    pub fn requests(&self) -> Vec<(String, Value)> {
        self.shared.lock().requests.clone()
    }

    /// Every receipt that was taken, oldest first: what it belongs to (such as `payment`) and the object.
    pub fn receipts(&self) -> Vec<(String, Value)> {
        self.shared.lock().receipts.clone()
    }

    /// Takes away the notifications that wait, oldest first.
    pub fn take_notifications(&self) -> Vec<Value> {
        std::mem::take(&mut self.shared.lock().notifications)
    }

    /// Posts the notifications that wait to `url`, oldest first. Whatever is not answered with 200 waits on. Returns how many
    /// wait on.
    pub async fn post_notifications(&self, url: &str) -> usize {
        for notification in self.take_notifications() {
            let headers = [("Content-Type", "application/json")];
            let status = post(url, &headers, notification.to_string().as_bytes()).await;
            if !matches!(status, Ok(200)) {
                self.shared.lock().notifications.push(notification);
            }
        }
        self.shared.lock().notifications.len()
    }
}
