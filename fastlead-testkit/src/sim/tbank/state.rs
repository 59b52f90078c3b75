//! What the simulated bank remembers, and how payments move.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::cards::{Verdict, masked, verdict};
use crate::sim::Faults;

/// Shared by the router, the pages and the payer's side.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) terminal_key: String,
    pub(super) password: String,
    faults: Mutex<BTreeMap<String, Faults>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) base_url: String,
    pub(super) unique_orders: bool,
    pub(super) by_sbp: bool,
    pub(super) payments: BTreeMap<u64, Payment>,
    /// Saved cards by their `RebillId`.
    pub(super) rebills: BTreeMap<u64, String>,
    pub(super) notifications: Vec<Notification>,
    pub(super) requests: Vec<(String, Value)>,
    pub(super) receipts: Vec<(String, Value)>,
    last_id: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Payment {
    pub(super) id: u64,
    pub(super) order: String,
    /// What is held or taken now.
    pub(super) amount: i64,
    /// What was taken in all.
    pub(super) captured: i64,
    pub(super) refunded: i64,
    pub(super) status: &'static str,
    pub(super) code: &'static str,
    pub(super) two_stage: bool,
    pub(super) recurrent: bool,
    pub(super) by_sbp: bool,
    pub(super) has_prepayment: bool,
    pub(super) card: Option<String>,
    pub(super) rebill: Option<u64>,
    pub(super) notification_url: Option<String>,
    /// Answers to `Cancel` by `ExternalRequestId`.
    pub(super) external: BTreeMap<String, Value>,
}

#[derive(Debug, Clone)]
pub(super) struct Notification {
    pub(super) url: Option<String>,
    pub(super) body: Value,
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

impl Shared {
    pub(super) fn new(terminal_key: &str, password: &str) -> Self {
        Self {
            terminal_key: terminal_key.to_owned(),
            password: password.to_owned(),
            faults: Mutex::default(),
            state: Mutex::new(State { last_id: 3_093_639_500, ..State::default() }),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn faults(&self, method: &str) -> Faults {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.entry(method.to_owned()).or_default().clone()
    }

    /// The token of a message: the values of its scalar root fields and the password, in the order of their names.
    pub(super) fn token(&self, message: &Value) -> String {
        let mut pairs: Vec<(String, String)> = vec![("Password".to_owned(), self.password.clone())];
        for (name, value) in message.as_object().into_iter().flatten() {
            let text = match value {
                _ if name == "Token" => continue,
                Value::String(text) => text.clone(),
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                _ => continue,
            };
            pairs.push((name.clone(), text));
        }
        pairs.sort();
        let message: String = pairs.into_iter().map(|(_, value)| value).collect();
        hex::encode(Sha256::digest(message.as_bytes()))
    }
}

impl State {
    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
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

    /// The payer pays with a card, and knows its password.
    pub(super) fn pay(&mut self, id: u64, card: &str, shared: &Shared) {
        match verdict(card) {
            Verdict::Good | Verdict::Asks => self.authorize(id, card, shared),
            Verdict::Declined(code) => self.decline(id, code, shared),
        }
    }

    /// The payer's bank says yes: the money is held, and taken at once where the payment has one stage.
    pub(super) fn authorize(&mut self, id: u64, card: &str, shared: &Shared) {
        let by_sbp = self.by_sbp;
        let rebill = self.next_id();
        let Some(payment) = self.payments.get_mut(&id) else { return };
        if !matches!(payment.status, "NEW" | "FORM_SHOWED" | "3DS_CHECKING" | "REJECTED") {
            return;
        }
        (payment.status, payment.code, payment.by_sbp) = ("AUTHORIZED", "0", by_sbp);
        payment.card = Some(card.to_owned());
        if payment.recurrent {
            payment.rebill = Some(rebill);
            self.rebills.insert(rebill, card.to_owned());
        }
        self.notify(id, shared);
        self.take_one_stage(id, shared);
    }

    fn take_one_stage(&mut self, id: u64, shared: &Shared) {
        let Some(payment) = self.payments.get_mut(&id) else { return };
        if !payment.two_stage {
            (payment.status, payment.captured) = ("CONFIRMED", payment.amount);
            self.notify(id, shared);
        }
    }

    /// The payer's bank says no; on the page the payer may try again.
    pub(super) fn decline(&mut self, id: u64, code: &'static str, shared: &Shared) {
        let Some(payment) = self.payments.get_mut(&id) else { return };
        if matches!(payment.status, "NEW" | "FORM_SHOWED" | "3DS_CHECKING" | "REJECTED") {
            (payment.status, payment.code) = ("REJECTED", code);
            self.notify(id, shared);
        }
    }

    /// A charge with a saved card.
    pub(super) fn charge(&mut self, id: u64, card: &str, shared: &Shared) {
        match verdict(card) {
            // Nobody is there to enter a password, and none is asked for.
            Verdict::Good | Verdict::Asks => self.authorize(id, card, shared),
            Verdict::Declined(code) => self.decline(id, code, shared),
        }
    }

    pub(super) fn finish_refunds(&mut self, shared: &Shared) {
        let waiting: Vec<u64> = self
            .payments
            .values()
            .filter(|payment| payment.status == "ASYNC_REFUNDING")
            .map(|payment| payment.id)
            .collect();
        for id in waiting {
            if let Some(payment) = self.payments.get_mut(&id) {
                payment.status = if payment.amount == 0 { "REFUNDED" } else { "PARTIAL_REFUNDED" };
            }
            self.notify(id, shared);
        }
    }

    /// Queues a notification of the payment as it is now.
    pub(super) fn notify(&mut self, id: u64, shared: &Shared) {
        let Some(payment) = self.payments.get(&id) else { return };
        let is_good = !matches!(payment.status, "REJECTED" | "AUTH_FAIL" | "DEADLINE_EXPIRED");
        let mut body = json!({
            "TerminalKey": shared.terminal_key, "OrderId": payment.order, "Success": is_good,
            "Status": payment.status, "PaymentId": payment.id, "ErrorCode": payment.code,
            "Amount": payment.amount.max(payment.captured), "Data": { "Route": "TCB" },
        });
        if let Some(card) = &payment.card {
            body["Pan"] = masked(card).into();
            body["ExpDate"] = "1230".into();
        }
        if let Some(rebill) = payment.rebill {
            body["RebillId"] = rebill.into();
        }
        let url = payment.notification_url.clone();
        body["Token"] = shared.token(&body).into();
        self.notifications.push(Notification { url, body });
    }

    /// The cash register has registered a receipt of the payment.
    pub(super) fn notify_receipt(&mut self, id: u64, kind: &str, shared: &Shared) {
        let number = self.receipts.len();
        let Some(payment) = self.payments.get(&id) else { return };
        let mut body = json!({
            "TerminalKey": shared.terminal_key, "OrderId": payment.order, "Success": true, "Status": "RECEIPT",
            "PaymentId": payment.id, "ErrorCode": "0", "Amount": payment.amount.max(payment.captured),
            "FiscalNumber": number, "ShiftNumber": 1, "ReceiptDatetime": "2026-11-29T12:00:00.000+03:00",
            "FnNumber": "9999078900004792", "EcrRegNumber": "0000000001", "FiscalDocumentNumber": number,
            "FiscalDocumentAttribute": 2_013, "Type": kind, "Receipt": { "Items": [] },
        });
        let url = payment.notification_url.clone();
        body["Token"] = shared.token(&body).into();
        self.notifications.push(Notification { url, body });
    }
}
