//! YooKassa.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use fastlead_billing::fiscal::{PaymentMethod, ReceiptStatus, closing};
use fastlead_billing::yookassa::{YooKassa, YooKassaConfig};
use fastlead_billing::{
    Attempt, CaptureMode, DeclineClass, LayeredProvider, Payment, PaymentEvent, PaymentProvider,
    PaymentStatus, RefundStatus, RegisterReceipt,
};
use fastlead_core::layer::{Limits, ResiliencePolicy};
use fastlead_core::time::{Clock, SystemClock};
use fastlead_core::webhook::WebhookRequest;
use fastlead_core::{ErrorKind, RetryHint};
use fastlead_testkit::sim::Fault;
use fastlead_testkit::sim::yookassa::{
    CARD_3DS, CARD_GOOD, CARD_NO_FUNDS, CARD_REFUSED, Settled, YooKassaSim,
};

use crate::{again, cancel, capture, charge, client, create, first, key, now, receipt, refund, rub};

async fn shop() -> (YooKassaSim, YooKassa) {
    let sim = YooKassaSim::start().await.unwrap();
    let mut config = YooKassaConfig::new(sim.shop_id(), sim.secret_key().into());
    config.endpoint = Some(format!("{}/v3", sim.base_url()));
    let provider = YooKassa::new(&config, client()).unwrap();
    (sim, provider)
}

/// A day later: the keys count for nothing.
fn next_day() -> Attempt {
    Attempt::again(now() - Duration::from_secs(23 * 60 * 60), now())
}

async fn paid(
    sim: &YooKassaSim,
    provider: &YooKassa,
    reference: &str,
    minor: i64,
    mode: CaptureMode,
) -> Payment {
    let made = provider.create(&create(reference, minor, mode)).await.unwrap();
    assert_eq!(made.status, PaymentStatus::Pending);
    assert!(made.confirmation_url.as_ref().unwrap().starts_with(&sim.base_url()));
    sim.pay(&made.id.0, CARD_3DS);
    let found = provider.get(&made.id).await.unwrap();
    assert_eq!((found.reference.as_deref(), found.amount, found.test), (Some(reference), rub(minor), true));
    found
}

#[tokio::test]
async fn one_stage_with_the_fee_and_a_receipt() {
    let (sim, provider) = shop().await;
    let payment = paid(&sim, &provider, "t1", 10_000, CaptureMode::Immediate).await;
    assert_eq!((payment.status, payment.net), (PaymentStatus::Succeeded, Some(rub(9_650))));
    assert_eq!(payment.receipt, Some(ReceiptStatus::Registered));
    let (of, object) = sim.receipts().remove(0);
    assert_eq!((of.as_str(), object["items"].as_array().unwrap().len()), ("payment", 2));
    assert_eq!(object["items"][0]["vat_code"], 12);
}

#[tokio::test]
async fn two_stages_and_a_capture_in_part() {
    let (sim, provider) = shop().await;
    let held = paid(&sim, &provider, "t1", 10_000, CaptureMode::Manual).await;
    assert_eq!(held.status, PaymentStatus::Held);
    let mut request = capture(&held, 4_001);
    sim.faults().push(Fault::DropAfterAccept);
    assert_eq!(provider.capture(&request).await.unwrap_err().retry(), RetryHint::UNKNOWN);
    request.attempt = again();
    let captured = provider.capture(&request).await.unwrap();
    assert_eq!((captured.status, captured.amount), (PaymentStatus::Succeeded, rub(4_001)));
    sim.forget_keys();
    request.attempt = next_day();
    assert_eq!(provider.capture(&request).await.unwrap().status, PaymentStatus::Succeeded);
    assert_eq!(provider.cancel(&cancel(&held)).await.unwrap().status, PaymentStatus::Succeeded);
    assert_eq!(sim.settled("t1"), Settled { captured: 4_001, refunded: 0, charges: 1 });
    let other = paid(&sim, &provider, "t2", 500, CaptureMode::Manual).await;
    assert_eq!(provider.cancel(&cancel(&other)).await.unwrap().status, PaymentStatus::Canceled);
    assert_eq!(sim.reused_keys(), [""; 0]);
}

#[tokio::test]
async fn the_same_request_is_one_payment_also_when_its_key_has_run_out() {
    let (sim, provider) = shop().await;
    let mut request = create("t1", 500, CaptureMode::Immediate);
    for fault in [Fault::DropAfterAccept, Fault::HangAfterAccept, Fault::ServerError { status: 500 }] {
        sim.faults().push(fault);
    }
    for _ in 0..3 {
        let mut impatient = YooKassaConfig::new(sim.shop_id(), sim.secret_key().into());
        impatient.endpoint = Some(format!("{}/v3", sim.base_url()));
        impatient.timeout_secs = 1;
        let impatient = YooKassa::new(&impatient, client()).unwrap();
        assert_eq!(impatient.create(&request).await.unwrap_err().retry(), RetryHint::UNKNOWN);
        request.attempt = again();
    }
    let made = provider.create(&request).await.unwrap();
    sim.forget_keys();
    request.attempt = next_day();
    assert_eq!(provider.create(&request).await.unwrap().id, made.id);
    assert_eq!(provider.find("t1", now()).await.unwrap().len(), 1);
    assert_eq!(provider.find("t2", now()).await.unwrap().len(), 0);
    assert_eq!(sim.reused_keys(), [""; 0]);
    // More than a page of others in between.
    for number in 0..120 {
        let other = create(&format!("other{number}"), 100, CaptureMode::Immediate);
        provider.create(&other).await.unwrap();
    }
    assert_eq!(provider.create(&request).await.unwrap().id, made.id);
}

#[tokio::test]
async fn refunds_count_once_by_their_key_and_later_by_their_name() {
    let (sim, provider) = shop().await;
    let payment = paid(&sim, &provider, "t1", 10_000, CaptureMode::Immediate).await;
    let mut request = refund("r1", &payment, 2_500);
    sim.faults().push(Fault::DropAfterAccept);
    assert_eq!(provider.refund(&request).await.unwrap_err().retry(), RetryHint::UNKNOWN);
    request.attempt = again();
    let made = provider.refund(&request).await.unwrap();
    sim.forget_keys();
    request.attempt = next_day();
    assert_eq!(provider.refund(&request).await.unwrap(), made);
    assert_eq!(sim.settled("t1").refunded, 2_500);
    // Another refund of the same amount is another refund.
    let other = provider.refund(&refund("r2", &payment, 2_500)).await.unwrap();
    assert_eq!((other.status, sim.settled("t1").refunded), (RefundStatus::Succeeded, 5_000));
    let more = provider.refund(&refund("r3", &payment, 5_001)).await.unwrap_err();
    assert_eq!((more.kind(), more.retry()), (ErrorKind::Invalid, RetryHint::Never));
    sim.next_refund("pending", None);
    let waiting = provider.refund(&refund("r4", &payment, 100)).await.unwrap();
    assert_eq!(provider.refund_state(&waiting).await.unwrap().status, RefundStatus::Pending);
    sim.next_refund("canceled", Some("insufficient_funds"));
    let refused = provider.refund(&refund("r5", &payment, 100)).await.unwrap();
    let declined = RefundStatus::Declined { provider_code: Some("insufficient_funds".into()) };
    assert_eq!(refused.status, declined);
}

#[tokio::test]
async fn a_saved_method_is_charged_once_whatever_is_lost() {
    let (sim, provider) = shop().await;
    let mut request = create("saved", 100, CaptureMode::Immediate);
    request.save_method_of = Some("buyer-1".to_owned());
    let made = provider.create(&request).await.unwrap();
    assert_eq!(made.saved_method, None);
    sim.pay(&made.id.0, CARD_GOOD);
    let method = provider.get(&made.id).await.unwrap().saved_method.unwrap();
    for (number, fault) in [
        Fault::DropAfterAccept,
        Fault::DropBeforeAccept,
        Fault::ServerError { status: 500 },
        Fault::ProviderCode { code: 202, text: r#"{"type":"processing","retry_after":10}"#.into() },
    ]
    .into_iter()
    .enumerate()
    {
        let reference = format!("c{number}");
        let mut request = charge(&reference, &method, 700);
        sim.faults().push(fault.clone());
        let error = provider.charge_saved(&request).await.unwrap_err();
        assert!(matches!(error.retry(), RetryHint::IfIdempotent { .. }), "{fault:?}");
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
    let (sim, provider) = shop().await;
    for (number, (card, class, reason)) in [
        (CARD_NO_FUNDS, DeclineClass::InsufficientFunds, "insufficient_funds"),
        (CARD_REFUSED, DeclineClass::Hard, "general_decline"),
        ("5555555555554501", DeclineClass::Soft, "issuer_unavailable"),
    ]
    .into_iter()
    .enumerate()
    {
        let made =
            provider.create(&create(&format!("d{number}"), 100, CaptureMode::Immediate)).await.unwrap();
        sim.pay(&made.id.0, card);
        let declined = PaymentStatus::Declined { class, provider_code: Some(reason.to_owned()) };
        assert_eq!(provider.get(&made.id).await.unwrap().status, declined);
    }
}

#[tokio::test]
async fn a_notification_is_a_hint_that_a_look_confirms() {
    let (sim, provider) = shop().await;
    let made = provider.create(&create("t1", 100, CaptureMode::Immediate)).await.unwrap();
    sim.pay(&made.id.0, CARD_GOOD);
    let mut notified = sim.take_notifications().remove(0);
    notified["object"]["amount"]["value"] = "1000000.00".into();
    let body = notified.to_string();
    let request = WebhookRequest {
        method: "POST",
        query: "",
        headers: &[],
        body: body.as_bytes(),
        remote: Some([185, 71, 76, 1].into()),
        received_at: now(),
    };
    let verified = provider.webhook().verify(request).unwrap();
    assert!(verified.must_confirm());
    let events = provider.webhook().parse(&verified).unwrap().events;
    assert_eq!(events, [PaymentEvent::Payment(made.id.clone())]);
    assert_eq!(provider.get(&made.id).await.unwrap().amount, rub(100));
}

#[tokio::test]
async fn a_prepayment_is_closed_by_a_receipt_of_its_own() {
    let (sim, provider) = shop().await;
    let payment = paid(&sim, &provider, "t1", 10_000, CaptureMode::Immediate).await;
    let receipt = closing(&receipt(10_000, PaymentMethod::FullPrepayment), now()).unwrap();
    let request = RegisterReceipt { idempotency: key("x1"), payment: payment.id, receipt, attempt: first() };
    let made = provider.register_receipt(&request).await.unwrap();
    assert_eq!(made.status, ReceiptStatus::Registered);
    assert_eq!(provider.receipt(made.id.as_ref().unwrap()).await.unwrap(), made);
    assert_eq!(made.marks.unwrap().document, "3986");
    let (_, object) = sim.receipts().pop().unwrap();
    assert_eq!(object["settlements"][0]["type"], "prepayment");
    assert_eq!(object["items"][0]["vat_code"], 11);
}

#[tokio::test]
async fn credentials_are_proved_and_not_shown() {
    let (sim, provider) = shop().await;
    provider.check().await.unwrap();
    let mut config = YooKassaConfig::new(sim.shop_id(), "test_another".into());
    config.endpoint = Some(format!("{}/v3/", sim.base_url()));
    let stranger = YooKassa::new(&config, client()).unwrap();
    let error = stranger.check().await.unwrap_err();
    assert_eq!((error.kind(), error.provider_code()), (ErrorKind::Auth, Some("invalid_credentials")));
    for shown in [format!("{error:?}"), format!("{stranger:?}"), format!("{provider:?}")] {
        assert!(!shown.contains("test_another") && !shown.contains(sim.secret_key()), "{shown}");
    }
    sim.door().shut().await;
    assert_eq!(
        provider.create(&create("t1", 100, CaptureMode::Immediate)).await.unwrap_err().retry(),
        RetryHint::SAFE
    );
}

/// The key makes it safe: an unknown outcome is tried again at once, with the same body.
#[tokio::test]
async fn the_layers_repeat_by_the_key() {
    let (sim, provider) = shop().await;
    let limits = Limits {
        account_rate: None,
        recipient_rate: None,
        max_in_flight: NonZeroU32::MIN,
        attempt_timeout: None,
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let layered =
        LayeredProvider::new(&ResiliencePolicy::default(), &limits, Arc::new(provider), "pay_1", &clock);
    sim.faults().push(Fault::DropAfterAccept);
    sim.faults().push(Fault::ServerError { status: 500 });
    let made = layered.create(&create("t1", 100, CaptureMode::Immediate)).await.unwrap();
    assert_eq!(layered.find("t1", now()).await.unwrap().len(), 1);
    assert_eq!(layered.get(&made.id).await.unwrap().id, made.id);
    assert_eq!(sim.reused_keys(), [""; 0]);
}
