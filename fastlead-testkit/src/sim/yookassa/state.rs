//! What the simulated YooKassa remembers, and how payments move.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::Utc;
use serde_json::{Value, json};

use super::cards::{Verdict, verdict};
use crate::sim::Faults;

/// Shared by the router, the pages and the payer's side.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) faults: Faults,
    pub(super) question_faults: Faults,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) base_url: String,
    pub(super) payments: BTreeMap<String, Payment>,
    /// By id: the payment and the object.
    pub(super) refunds: BTreeMap<String, Value>,
    pub(super) receipt_objects: BTreeMap<String, Value>,
    /// Saved methods by their id.
    pub(super) methods: BTreeMap<String, String>,
    /// First bodies and answers by key.
    pub(super) keys: BTreeMap<String, (Value, u16, Value)>,
    pub(super) reused_keys: Vec<String>,
    pub(super) notifications: Vec<Value>,
    pub(super) requests: Vec<(String, Value)>,
    pub(super) receipts: Vec<(String, Value)>,
    pub(super) next_refund: Option<(&'static str, Option<&'static str>)>,
    last_id: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Payment {
    pub(super) id: String,
    pub(super) status: &'static str,
    pub(super) reason: Option<&'static str>,
    /// Kopecks: asked for, and after a capture in part what was captured.
    pub(super) amount: i64,
    pub(super) captured: i64,
    pub(super) refunded: i64,
    pub(super) capture: bool,
    pub(super) save: bool,
    pub(super) method: Option<String>,
    pub(super) card: Option<String>,
    pub(super) description: Value,
    pub(super) metadata: Value,
    pub(super) return_url: Value,
    pub(super) has_receipt: bool,
    pub(super) created_at: String,
}

/// Money that has moved, in kopecks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    /// Taken from payers.
    pub captured: i64,
    /// Given back to them.
    pub refunded: i64,
    /// Payments that took money.
    pub charges: usize,
}

/// `100.00` of kopecks.
pub(super) fn roubles(minor: i64) -> Value {
    json!({ "value": format!("{}.{:02}", minor / 100, minor % 100), "currency": "RUB" })
}

pub(super) fn now() -> String {
    Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Payment {
    pub(super) fn object(&self, base_url: &str) -> Value {
        let is_paid = matches!(self.status, "waiting_for_capture" | "succeeded");
        let mut object = json!({
            "id": self.id, "status": self.status, "paid": is_paid, "amount": roubles(self.amount),
            "created_at": self.created_at, "description": self.description, "metadata": self.metadata,
            "recipient": { "account_id": "100500", "gateway_id": "100700" },
            "refundable": self.status == "succeeded", "test": true,
        });
        if self.status == "pending" {
            object["confirmation"] = json!({
                "type": "redirect", "return_url": self.return_url,
                "confirmation_url": format!("{base_url}/confirm/{}", self.id),
            });
        }
        if let Some(method) = &self.method {
            object["payment_method"] =
                json!({ "type": "bank_card", "id": method, "saved": self.save && is_paid });
        }
        if self.status == "succeeded" {
            // 3.5 % of fee.
            object["income_amount"] = roubles(self.captured - self.captured * 35 / 1_000);
            object["refunded_amount"] = roubles(self.refunded);
        }
        if let Some(reason) = self.reason {
            object["cancellation_details"] = json!({ "party": "payment_network", "reason": reason });
        }
        if self.has_receipt {
            object["receipt_registration"] = if is_paid { "succeeded" } else { "pending" }.into();
        }
        object
    }
}

impl State {
    pub(super) fn next_id(&mut self) -> String {
        self.last_id += 1;
        format!("{:08x}-000f-5000-8000-18db351245c7", 0x22e1_2f66 + self.last_id)
    }

    pub(super) fn settled(&self, which: impl Fn(&Payment) -> bool) -> Settled {
        let mut sum = Settled::default();
        for payment in self.payments.values().filter(|payment| which(payment)) {
            sum.captured += payment.captured;
            sum.refunded += payment.refunded;
            sum.charges += usize::from(payment.captured > 0);
        }
        sum
    }

    /// The payer pays with a card.
    pub(super) fn pay(&mut self, id: &str, card: &str) {
        let Some(payment) = self.payments.get_mut(id).filter(|payment| payment.status == "pending") else {
            return;
        };
        payment.method.get_or_insert_with(|| id.to_owned());
        match verdict(card) {
            Verdict::Good | Verdict::Asks => {
                payment.status = if payment.capture { "succeeded" } else { "waiting_for_capture" };
                payment.captured = if payment.capture { payment.amount } else { 0 };
                if payment.save {
                    self.methods.insert(id.to_owned(), card.to_owned());
                }
            }
            Verdict::Declined(reason) => (payment.status, payment.reason) = ("canceled", Some(reason)),
        }
        self.notify(id);
    }

    pub(super) fn notify(&mut self, id: &str) {
        let Some(payment) = self.payments.get(id) else { return };
        let (event, object) = (format!("payment.{}", payment.status), payment.object(&self.base_url));
        self.notifications.push(json!({ "type": "notification", "event": event, "object": object }));
    }
}
