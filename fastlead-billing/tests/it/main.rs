//! Adapters of payment providers against the simulators, over sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[cfg(feature = "tbank")]
mod tbank;
#[cfg(feature = "yookassa")]
mod yookassa;

use std::time::Duration;

use fastlead_billing::fiscal::{
    Basket, BasketLine, FfdVersion, FiscalReceipt, PaymentMethod, PaymentSubject, Quantity, ReceiptRecipient,
    Settlement, Subject, TaxRate, TaxSystem,
};
use fastlead_billing::{
    Attempt, Cancel, Capture, CaptureMode, ChargeSaved, CreatePayment, Currency, IdempotencyKey, Money,
    Payment, RequestRefund, SavedMethodId,
};
use fastlead_core::time::{Clock as _, SystemClock, Timestamp};

/// A client as a program makes it: it follows nothing and repeats nothing.
fn client() -> reqwest::Client {
    // `Err` means that a provider is installed already.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .build()
        .unwrap()
}

fn rub(minor: i64) -> Money {
    Money::new(minor, Currency::RUB)
}

fn now() -> Timestamp {
    SystemClock.now()
}

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::new(text).unwrap()
}

fn first() -> Attempt {
    Attempt::first(now())
}

fn again() -> Attempt {
    Attempt::again(now() - Duration::from_secs(60), now())
}

/// Three leads for `minor` kopecks, which they do not share evenly.
fn receipt(minor: i64, method: PaymentMethod) -> FiscalReceipt {
    let line = BasketLine {
        subject: Subject::new("Accepted leads", PaymentSubject::Service),
        price: rub(minor),
        quantity: Quantity(3_000),
        discount: rub(2 * minor),
        rate: TaxRate::Base,
    };
    let basket = Basket { lines: vec![line], discount: rub(0) };
    FiscalReceipt {
        recipient: ReceiptRecipient::Email("anna@example.com".parse().unwrap()),
        tax_system: Some(TaxSystem::General),
        ffd: FfdVersion::V12,
        settlement: Settlement::Cashless,
        items: basket.settle(method, now()).unwrap(),
    }
}

fn create(reference: &str, minor: i64, capture: CaptureMode) -> CreatePayment {
    CreatePayment {
        idempotency: key(reference),
        reference: reference.to_owned(),
        amount: rub(minor),
        description: "Top-up".to_owned(),
        capture,
        return_url: "https://example.com/back".to_owned(),
        save_method_of: None,
        receipt: Some(receipt(minor, PaymentMethod::FullPrepayment)),
        attempt: first(),
    }
}

fn capture(payment: &Payment, minor: i64) -> Capture {
    Capture {
        idempotency: key("capture"),
        payment: payment.id.clone(),
        amount: rub(minor),
        receipt: Some(receipt(minor, PaymentMethod::FullPayment)),
        attempt: first(),
    }
}

fn cancel(payment: &Payment) -> Cancel {
    Cancel { idempotency: key("cancel"), payment: payment.id.clone(), attempt: first() }
}

fn refund(name: &str, payment: &Payment, minor: i64) -> RequestRefund {
    RequestRefund {
        idempotency: key(name),
        reference: name.to_owned(),
        payment: payment.id.clone(),
        amount: rub(minor),
        receipt: Some(receipt(minor, PaymentMethod::FullPayment)),
        attempt: first(),
    }
}

fn charge(reference: &str, method: &SavedMethodId, minor: i64) -> ChargeSaved {
    ChargeSaved {
        idempotency: key(reference),
        reference: reference.to_owned(),
        method: method.clone(),
        amount: rub(minor),
        description: "Top-up".to_owned(),
        receipt: None,
        attempt: first(),
    }
}
