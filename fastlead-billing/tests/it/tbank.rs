//! T-Bank.

use std::num::NonZeroU32;
use std::sync::Arc;

use fastlead_billing::fiscal::{FiscalMarks, PaymentMethod, ReceiptNews, closing};
use fastlead_billing::tbank::{TBank, TBankConfig};
use fastlead_billing::{
    CaptureMode, DeclineClass, LayeredProvider, Payment, PaymentEvent, PaymentProvider, PaymentStatus,
    RefundStatus, RegisterReceipt, SavedMethodId,
};
use fastlead_core::layer::{Limits, ResiliencePolicy};
use fastlead_core::time::{Clock, SystemClock};
use fastlead_core::webhook::WebhookRequest;
use fastlead_core::{ErrorKind, RetryHint};
use fastlead_testkit::sim::Fault;
use fastlead_testkit::sim::tbank::{
    CARD_3DS_FAILS, CARD_GOOD, CARD_NO_FUNDS, CARD_RESTRICTED, Settled, TBankSim,
};
use serde_json::Value;

use crate::{again, cancel, capture, charge, client, create, first, key, now, receipt, refund, rub};

async fn bank() -> (TBankSim, TBank) {
    let sim = TBankSim::start().await.unwrap();
    let mut config = TBankConfig::new(sim.terminal_key(), sim.password().into());
    config.endpoint = Some(sim.base_url());
    let provider = TBank::new(&config, client()).unwrap();
    (sim, provider)
}

fn heard(provider: &TBank, body: &Value) -> (Vec<PaymentEvent>, Option<SavedMethodId>) {
    let body = body.to_string();
    let request = WebhookRequest {
        method: "POST",
        query: "",
        headers: &[],
        body: body.as_bytes(),
        remote: None,
        received_at: now(),
    };
    let verified = provider.webhook().verify(request).unwrap();
    let batch = provider.webhook().parse(&verified).unwrap();
    assert_eq!(&batch.reply.body[..], b"OK");
    (batch.events, TBank::saved_method(&verified))
}

async fn paid(sim: &TBankSim, provider: &TBank, reference: &str, minor: i64, mode: CaptureMode) -> Payment {
    let made = provider.create(&create(reference, minor, mode)).await.unwrap();
    assert_eq!(made.status, PaymentStatus::Pending);
    assert!(made.confirmation_url.as_ref().unwrap().starts_with(&sim.base_url()));
    sim.pay(&made.id.0, CARD_GOOD);
    let found = provider.get(&made.id).await.unwrap();
    assert_eq!((found.reference.as_deref(), found.amount, found.test), (Some(reference), rub(minor), true));
    found
}

/// A card that the bank keeps.
async fn saved(sim: &TBankSim, provider: &TBank, card: &str) -> SavedMethodId {
    let mut request = create("saved", 100, CaptureMode::Immediate);
    request.save_method_of = Some("buyer-1".to_owned());
    let made = provider.create(&request).await.unwrap();
    sim.pay(&made.id.0, card);
    let notified = sim.take_notifications();
    heard(provider, &notified[0]).1.unwrap()
}

#[tokio::test]
async fn one_stage_with_notifications_in_the_wrong_order() {
    let (sim, provider) = bank().await;
    let payment = paid(&sim, &provider, "t1", 10_000, CaptureMode::Immediate).await;
    assert_eq!(payment.status, PaymentStatus::Succeeded);
    // Both at once, the later one first, and one of them twice.
    let notified = sim.take_notifications();
    assert_eq!(notified.len(), 2);
    for body in [&notified[1], &notified[0], &notified[1]] {
        assert_eq!(heard(&provider, body).0, [PaymentEvent::Payment(payment.id.clone())]);
    }
    let (of, object) = sim.receipts().remove(0);
    assert_eq!((of.as_str(), object["Items"].as_array().unwrap().len()), ("Init", 2));
    assert_eq!(object["Items"][0]["Tax"], "vat122");
}

#[tokio::test]
async fn two_stages_and_a_capture_in_part() {
    let (sim, provider) = bank().await;
    let held = paid(&sim, &provider, "t1", 10_000, CaptureMode::Manual).await;
    assert_eq!(held.status, PaymentStatus::Held);
    let mut request = capture(&held, 4_001);
    sim.faults("Confirm").push(Fault::DropAfterAccept);
    let error = provider.capture(&request).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, RetryHint::UNKNOWN));
    request.attempt = again();
    let captured = provider.capture(&request).await.unwrap();
    assert_eq!((captured.status, captured.amount), (PaymentStatus::Succeeded, rub(4_001)));
    assert_eq!(sim.settled("t1"), Settled { captured: 4_001, refunded: 0, charges: 1 });
    // A withdrawal that comes too late gives nothing back.
    assert_eq!(provider.cancel(&cancel(&held)).await.unwrap().status, PaymentStatus::Succeeded);
    assert_eq!(sim.settled("t1").refunded, 0);
    let other = paid(&sim, &provider, "t2", 500, CaptureMode::Manual).await;
    assert_eq!(provider.cancel(&cancel(&other)).await.unwrap().status, PaymentStatus::Canceled);
    assert_eq!(provider.capture(&capture(&other, 500)).await.unwrap_err().kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn refunds_in_part_count_once_by_their_key() {
    let (sim, provider) = bank().await;
    let payment = paid(&sim, &provider, "t1", 10_000, CaptureMode::Immediate).await;
    let mut request = refund("r1", &payment, 2_500);
    sim.faults("Cancel").push(Fault::DropAfterAccept);
    let error = provider.refund(&request).await.unwrap_err();
    assert_eq!(error.retry(), RetryHint::UNKNOWN);
    request.attempt = again();
    for _ in 0..2 {
        assert_eq!(provider.refund(&request).await.unwrap().status, RefundStatus::Succeeded);
    }
    assert_eq!(sim.settled("t1").refunded, 2_500);
    let rest = provider.refund(&refund("r2", &payment, 7_500)).await.unwrap();
    assert_eq!(rest.status, RefundStatus::Succeeded);
    assert_eq!(sim.settled("t1"), Settled { captured: 10_000, refunded: 10_000, charges: 1 });
    assert_eq!(provider.get(&payment.id).await.unwrap().refunded, Some(rub(10_000)));
    let more = provider.refund(&refund("r3", &payment, 1)).await.unwrap_err();
    assert_eq!((more.kind(), more.provider_code()), (ErrorKind::Invalid, Some("251")));
}

/// The key of a refund counts for nothing there.
#[tokio::test]
async fn a_refund_of_sbp_is_not_repeated_blindly() {
    let (sim, provider) = bank().await;
    sim.pay_by_sbp(true);
    let payment = paid(&sim, &provider, "t1", 10_000, CaptureMode::Immediate).await;
    let mut request = refund("r1", &payment, 2_500);
    sim.faults("Cancel").push(Fault::DropBeforeAccept);
    assert_eq!(provider.refund(&request).await.unwrap_err().retry(), RetryHint::UNKNOWN);
    request.attempt = again();
    // Untouched: nothing was begun.
    let begun = provider.refund(&request).await.unwrap();
    assert_eq!(begun.status, RefundStatus::Pending);
    assert_eq!(provider.refund(&request).await.unwrap_err().retry(), RetryHint::UNKNOWN);
    assert_eq!(provider.refund_state(&begun).await.unwrap().status, RefundStatus::Pending);
    sim.finish_refunds();
    assert_eq!(provider.refund_state(&begun).await.unwrap().status, RefundStatus::Succeeded);
    assert_eq!(sim.settled("t1").refunded, 2_500);
}

#[tokio::test]
async fn a_lost_answer_to_init_makes_no_second_payment() {
    let (sim, provider) = bank().await;
    let mut request = create("t1", 500, CaptureMode::Immediate);
    sim.faults("Init").push(Fault::DropAfterAccept);
    assert_eq!(provider.create(&request).await.unwrap_err().retry(), RetryHint::UNKNOWN);
    request.attempt = again();
    let found = provider.create(&request).await.unwrap();
    assert_eq!((found.status.clone(), &found.confirmation_url), (PaymentStatus::Pending, &None));
    assert_eq!(provider.cancel(&cancel(&found)).await.unwrap().status, PaymentStatus::Canceled);
    let inits = sim.requests().iter().filter(|(method, _)| method == "Init").count();
    assert_eq!((inits, provider.find("t1", now()).await.unwrap().len()), (1, 1));
    // Nothing had come of the first try: the second makes it.
    let mut request = create("t2", 500, CaptureMode::Immediate);
    sim.faults("Init").push(Fault::DropBeforeAccept);
    provider.create(&request).await.unwrap_err();
    request.attempt = again();
    assert!(provider.create(&request).await.unwrap().confirmation_url.is_some());
}

#[tokio::test]
async fn a_saved_card_is_charged_once_whatever_is_lost() {
    let (sim, provider) = bank().await;
    let card = saved(&sim, &provider, CARD_GOOD).await;
    for (number, (method, fault)) in [
        ("Init", Fault::DropAfterAccept),
        ("Init", Fault::DropBeforeAccept),
        ("Charge", Fault::DropAfterAccept),
        ("Charge", Fault::DropBeforeAccept),
        ("Charge", Fault::ServerError { status: 502 }),
        ("Charge", Fault::ProviderCode { code: 9_999, text: String::new() }),
        ("Charge", Fault::ProviderCode { code: 1_091, text: String::new() }),
    ]
    .into_iter()
    .enumerate()
    {
        let reference = format!("c{number}");
        let mut request = charge(&reference, &card, 700);
        sim.faults(method).push(fault.clone());
        let error = provider.charge_saved(&request).await.unwrap_err();
        assert_eq!(error.retry(), RetryHint::UNKNOWN, "{fault:?}");
        request.attempt = again();
        for _ in 0..2 {
            let charged = provider.charge_saved(&request).await.unwrap();
            assert_eq!(charged.status, PaymentStatus::Succeeded, "{fault:?}");
        }
        assert_eq!(sim.settled(&reference), Settled { captured: 700, refunded: 0, charges: 1 }, "{fault:?}");
    }
}

#[tokio::test]
async fn declines_have_a_class() {
    let (sim, provider) = bank().await;
    for (number, (card, class, code)) in [
        (CARD_NO_FUNDS, DeclineClass::InsufficientFunds, "1051"),
        (CARD_RESTRICTED, DeclineClass::Hard, "1062"),
        (CARD_3DS_FAILS, DeclineClass::Hard, "101"),
    ]
    .into_iter()
    .enumerate()
    {
        let made =
            provider.create(&create(&format!("d{number}"), 100, CaptureMode::Immediate)).await.unwrap();
        assert_eq!(sim.pay(&made.id.0, card), "REJECTED");
        let found = provider.find(&format!("d{number}"), now()).await.unwrap().remove(0);
        let declined = PaymentStatus::Declined { class, provider_code: Some(code.to_owned()) };
        assert_eq!(found.status, declined);
    }
    let unknown = provider.charge_saved(&charge("c1", &SavedMethodId("1".into()), 100)).await.unwrap_err();
    assert_eq!((unknown.kind(), unknown.provider_code()), (ErrorKind::Invalid, Some("1126")));
}

#[tokio::test]
async fn a_prepayment_is_closed_and_the_cash_register_answers() {
    let (sim, provider) = bank().await;
    let payment = paid(&sim, &provider, "t1", 10_000, CaptureMode::Immediate).await;
    sim.take_notifications();
    let prepaid = receipt(10_000, PaymentMethod::FullPrepayment);
    let receipt = closing(&prepaid, now()).unwrap();
    let mut request =
        RegisterReceipt { idempotency: key("x1"), payment: payment.id.clone(), receipt, attempt: first() };
    provider.register_receipt(&request).await.unwrap();
    let (of, object) = sim.receipts().pop().unwrap();
    assert_eq!((of.as_str(), &object["Items"][0]["Tax"]), ("SendClosingReceipt", &Value::from("vat22")));
    assert_eq!(object["Payments"]["AdvancePayment"], 10_000);
    let marks =
        FiscalMarks { storage: "9999078900004792".into(), document: "2".into(), attribute: "2013".into() };
    let news = ReceiptNews::Registered(Some(marks));
    let expected = PaymentEvent::Receipt { payment: payment.id.clone(), receipt: None, news };
    assert_eq!(heard(&provider, &sim.take_notifications()[0]).0, [expected]);
    request.attempt = again();
    assert_eq!(provider.register_receipt(&request).await.unwrap_err().retry(), RetryHint::UNKNOWN);
    assert_eq!(sim.receipts().len(), 2);
}

#[tokio::test]
async fn credentials_are_proved_and_not_shown() {
    let (sim, provider) = bank().await;
    provider.check().await.unwrap();
    let mut config = TBankConfig::new(sim.terminal_key(), "another-password".into());
    config.endpoint = Some(sim.base_url());
    let stranger = TBank::new(&config, client()).unwrap();
    let error = stranger.check().await.unwrap_err();
    assert_eq!((error.kind(), error.provider_code()), (ErrorKind::Auth, Some("204")));
    for shown in [format!("{error:?}"), format!("{stranger:?}"), format!("{provider:?}")] {
        assert!(!shown.contains("another-password") && !shown.contains(sim.password()), "{shown}");
    }
    sim.door().shut().await;
    assert_eq!(
        provider.create(&create("t1", 100, CaptureMode::Immediate)).await.unwrap_err().retry(),
        RetryHint::SAFE
    );
}

/// What may have moved money is left alone; what certainly did not is tried again at once.
#[tokio::test]
async fn the_layers_repeat_no_charge_that_may_have_happened() {
    let (sim, provider) = bank().await;
    let card = saved(&sim, &provider, CARD_GOOD).await;
    let limits = Limits {
        account_rate: None,
        recipient_rate: None,
        max_in_flight: NonZeroU32::MIN,
        attempt_timeout: None,
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let layered =
        LayeredProvider::new(&ResiliencePolicy::default(), &limits, Arc::new(provider), "pay_1", &clock);
    sim.faults("Charge").push(Fault::DropAfterAccept);
    let error = layered.charge_saved(&charge("c1", &card, 100)).await.unwrap_err();
    assert_eq!(error.retry(), RetryHint::UNKNOWN);
    let charges = || sim.requests().iter().filter(|(method, _)| method == "Charge").count();
    assert_eq!((charges(), sim.settled("c1").charges), (1, 1));
    sim.faults("Init").push(Fault::ProviderCode { code: 99, text: String::new() });
    assert_eq!(
        layered.charge_saved(&charge("c2", &card, 100)).await.unwrap().status,
        PaymentStatus::Succeeded
    );
    assert_eq!(sim.settled("c2").charges, 1);
}
