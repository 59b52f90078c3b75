//! SMSC: the adapter against the simulator.

use std::sync::Arc;
use std::time::Duration;

use fastlead_channels::smsc::{Smsc, SmscConfig, segments};
use fastlead_core::channel::{
    Channel, ChannelInfo, FailureReason, InboundEvent, InboundKind, Lookup, MessageReference, ReceiptFailure,
    ReceiptStatus, SendReceipt, SentReference,
};
use fastlead_core::contact::Phone;
use fastlead_core::id::{ChannelId, RandomIds};
use fastlead_core::message::{Content, OutboundMessage, Part, Recipient, Text};
use fastlead_core::registry::Registry;
use fastlead_core::time::{Clock, SystemClock, epoch};
use fastlead_core::{ErrorKind, Result, RetryHint, async_trait};
use fastlead_testkit::conformance::LeftOut;
use fastlead_testkit::conformance::channel::{ChannelHarness, Inbound, SampleRequest, outbound};
use fastlead_testkit::sim::smsc::{CallbackRequest, SmscSim};
use fastlead_testkit::sim::{Arrival, ArrivedButton, Fault, Faults, Inbox};
use serde_json::{Value, json};

use super::certificates::Authority;
use super::egress::loopback;

const PHONE: &str = "+79000000000";
const OTHER_PHONE: &str = "+79000000001";
const SECRET: &str = "callback-secret-of-the-cabinet";

/// A config that points at the simulator, with `extra` fields over it.
fn config(sim: &SmscSim, extra: Value) -> Value {
    let mut config = json!({
        "login": sim.login(),
        "password": sim.password(),
        "endpoint": sim.base_url(),
        "callback_secret": SECRET,
        "sender": "MyBrand",
    });
    for (name, value) in extra.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

fn info() -> ChannelInfo {
    ChannelInfo { kind: "smsc", id: ChannelId::generate(&RandomIds, epoch()), name: "sms".to_owned() }
}

fn smsc(sim: &SmscSim, extra: Value) -> Smsc {
    let config: SmscConfig = serde_json::from_value(config(sim, extra)).unwrap();
    Smsc::with_egress(info(), config, &loopback()).unwrap()
}

async fn start() -> (SmscSim, Smsc) {
    let sim = SmscSim::start().await.unwrap();
    sim.set_callback("http://127.0.0.1:1/hook?charset=utf-8&sha1", SECRET);
    let channel = smsc(&sim, json!({}));
    (sim, channel)
}

fn sms_to(phone: &str, text: &str) -> OutboundMessage {
    outbound(Recipient::Phone(Phone::parse(phone).unwrap()), Content::Text(Text::plain(text)))
}

fn sms(text: &str) -> OutboundMessage {
    sms_to(PHONE, text)
}

fn reference(message: &OutboundMessage, receipt: Option<&SendReceipt>) -> SentReference {
    SentReference {
        delivery_id: message.delivery_id,
        part: message.part,
        provider_message_id: receipt.and_then(|receipt| receipt.provider_message_id.clone()),
        recipient: message.recipient.clone(),
        attempted_at: message.attempted_at,
        now: SystemClock.now(),
    }
}

/// SMSC's own id of the newest arrival.
fn newest_id(sim: &SmscSim) -> u32 {
    sim.inbox().all().last().unwrap().provider_message_id.parse().unwrap()
}

fn events(channel: &Smsc, request: &CallbackRequest) -> Result<Vec<InboundEvent>> {
    let receiver = channel.webhook().unwrap();
    request.sample().show(|request| {
        let batch = receiver.parse(&receiver.verify(request)?)?;
        assert_eq!((batch.reply.status, &batch.reply.body[..]), (200, &b"OK"[..]));
        Ok(batch.events)
    })
}

struct Harness(SmscSim);

impl Harness {
    async fn message_id(&self) -> u32 {
        self.channel().send(&sms("обратный вызов")).await.unwrap();
        newest_id(&self.0)
    }
}

#[async_trait]
impl ChannelHarness for Harness {
    async fn start() -> Self {
        let (sim, _) = start().await;
        sim.make_unreachable(OTHER_PHONE);
        Self(sim)
    }
    fn channel(&self) -> Arc<dyn Channel> {
        Arc::new(smsc(&self.0, json!({})))
    }
    fn recipient(&self) -> Recipient {
        sms("").recipient
    }
    fn unknown_recipient(&self) -> Option<Recipient> {
        Some(sms_to(OTHER_PHONE, "").recipient)
    }
    fn arrivals(&self) -> Inbox {
        self.0.inbox().clone()
    }
    fn faults(&self) -> Option<&Faults> {
        Some(self.0.faults())
    }
    fn fault_applies(&self, _: &Fault) -> bool {
        true
    }
    fn with_bad_credentials(&self) -> Option<Arc<dyn Channel>> {
        Some(Arc::new(smsc(&self.0, json!({ "password": "wrong-password" }))))
    }
    fn unreachable(&self) -> Option<Arc<dyn Channel>> {
        Some(Arc::new(smsc(&self.0, json!({ "endpoint": "http://127.0.0.1:1" }))))
    }
    fn left_out() -> Vec<LeftOut> {
        vec![
            LeftOut::new(
                "an sms is a plain text that cannot be changed",
                &[
                    "subject_is_shown",
                    "html_is_shown",
                    "event_arrives",
                    "an_edit_changes_the_message_that_it_names",
                    "buttons_round_trip",
                    "answers_come_back_as_declared",
                ],
            ),
            LeftOut::new("SMSC promises nothing of a repeated id", &["same_key_arrives_once"]),
        ]
    }
    fn impatient(&self) -> Option<Arc<dyn Channel>> {
        Some(Arc::new(smsc(&self.0, json!({ "timeout_secs": 1 }))))
    }
    fn seen_lifetime(&self, arrival: &Arrival) -> Option<Duration> {
        let (hours, minutes) = arrival.details["valid"].as_str()?.split_once(':')?;
        let minutes = hours.parse::<u64>().ok()? * 60 + minutes.parse::<u64>().ok()?;
        Some(Duration::from_secs(minutes * 60))
    }
    fn secrets(&self) -> Vec<String> {
        vec![self.0.password().to_owned(), "wrong-password".to_owned(), SECRET.to_owned()]
    }
    async fn genuine_webhooks(&self) -> Vec<SampleRequest> {
        let id = self.message_id().await;
        let statuses = [0, 1, 20].map(|status| self.0.callback_request_with(id, PHONE, status, 0));
        let inbound = ["да", "да"].map(|text| self.0.inbound_request(PHONE, text, "79000000002"));
        statuses.into_iter().chain(inbound).map(|request| request.unwrap().sample()).collect()
    }
    async fn forged_webhooks(&self) -> Vec<SampleRequest> {
        let id = self.message_id().await;
        let mut forged = Vec::new();
        for (url, secret) in
            [("?charset=utf-8&sha1", "guessed"), ("?md5", SECRET), ("?crc32", SECRET), ("", SECRET)]
        {
            self.0.set_callback(&format!("http://127.0.0.1:1/hook{url}"), secret);
            forged.push(self.0.callback_request(id, PHONE).unwrap().sample());
            forged.push(self.0.inbound_request(PHONE, "да", "79000000002").unwrap().sample());
        }
        forged
    }
    async fn press(&self, _: &Arrival, _: &ArrivedButton) -> Inbound {
        panic!("an sms has no buttons")
    }
    fn rate_limit_names_delay(&self) -> bool {
        false
    }
}

fastlead_testkit::channel_conformance!(conformance, Harness);

#[tokio::test]
async fn a_text_arrives_with_its_price() {
    let (sim, channel) = start().await;
    let text = "Анна, спасибо! 👍 Ждём вас: https://example.com/?a=1&b=2+3";
    let receipt = channel.send(&sms(text)).await.unwrap();
    let arrival = sim.inbox().all().remove(0);
    assert_eq!((arrival.text.as_str(), arrival.to.as_str(), arrival.from.as_str()), (text, PHONE, "MyBrand"));
    assert_eq!(receipt.segments, Some(1));
    assert_eq!(receipt.cost.as_deref(), Some("3.8"));
    assert!(!receipt.delivered);
    let id = receipt.provider_message_id.unwrap();
    assert!(id.starts_with(&format!("{}-", arrival.provider_message_id)), "{id}");
    assert_eq!(sim.balance(), 100_000 - 380);
}

#[tokio::test]
async fn our_count_of_parts_is_the_one_that_is_billed() {
    let (sim, channel) = start().await;
    for text in ["short", &"a".repeat(161), &"я".repeat(135), &"😀".repeat(67), &"{".repeat(81), "`"] {
        let receipt = channel.send(&sms(text)).await.unwrap();
        assert_eq!(receipt.segments, Some(segments(text).count), "{text:.10}");
    }
    assert_eq!(sim.inbox().all().len(), 6);
}

#[tokio::test]
async fn an_api_key_does_as_well() {
    let (sim, _) = start().await;
    let with_key = |key: &str| {
        let config = json!({ "api_key": key, "endpoint": sim.base_url() });
        Smsc::with_egress(info(), serde_json::from_value(config).unwrap(), &loopback()).unwrap()
    };
    let channel = with_key(sim.api_key());
    channel.check().await.unwrap();
    channel.send(&sms("по ключу")).await.unwrap();
    assert_eq!(with_key("wrong").check().await.unwrap_err().kind(), ErrorKind::Auth);
    assert!(channel.webhook().is_none());
    let capabilities = channel.capabilities();
    assert!(capabilities.receipts && capabilities.lookup && !capabilities.inbound);
}

#[tokio::test]
async fn refusals_by_code() {
    let (sim, channel) = start().await;
    let safe = |seconds| RetryHint::Safe { after: Some(Duration::from_secs(seconds)) };
    for (code, kind, retry) in [
        (1, ErrorKind::Invalid, RetryHint::Never),
        (2, ErrorKind::Auth, RetryHint::Never),
        (3, ErrorKind::Balance, RetryHint::Never),
        (4, ErrorKind::RateLimited, safe(300)),
        (5, ErrorKind::Invalid, RetryHint::Never),
        (6, ErrorKind::Content, RetryHint::Never),
        (7, ErrorKind::Recipient, RetryHint::Never),
        (8, ErrorKind::Recipient, RetryHint::Never),
        (9, ErrorKind::RateLimited, safe(60)),
        (15, ErrorKind::Protocol, RetryHint::UNKNOWN),
    ] {
        let text = format!("no {PHONE} {}", sim.password());
        sim.faults().push(Fault::ProviderCode { code, text });
        let error = channel.send(&sms("отказ")).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (kind, retry), "{code}");
        assert_eq!(error.provider_code(), Some(code.to_string().as_str()));
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("79000000000") && !shown.contains(sim.password()), "{shown}");
    }
    assert!(sim.inbox().all().is_empty());
}

#[tokio::test]
async fn refusals_with_a_cause() {
    let (sim, channel) = start().await;
    sim.register_senders(["OtherBrand"]);
    assert_eq!(channel.send(&sms("имя")).await.unwrap_err().provider_code(), Some("6"));
    sim.register_senders(["MyBrand"]);
    sim.set_balance(379);
    let poor = channel.send(&sms("деньги")).await.unwrap_err();
    assert_eq!((poor.kind(), poor.provider_code()), (ErrorKind::Balance, Some("3")));
    sim.set_balance(380);
    channel.send(&sms("деньги есть")).await.unwrap();
    sim.block_ip(true);
    for error in [channel.send(&sms("адрес")).await.unwrap_err(), channel.check().await.unwrap_err()] {
        assert_eq!((error.kind(), error.provider_code()), (ErrorKind::RateLimited, Some("4")));
    }
    assert_eq!(sim.inbox().all().len(), 1);
}

#[tokio::test]
async fn a_lost_answer_a_duplicate_and_then_the_truth() {
    let (sim, channel) = start().await;
    let mut message = sms("ответ потерян");
    sim.faults().push(Fault::DropAfterAccept);
    let lost = channel.send(&message).await.unwrap_err();
    assert_eq!((lost.kind(), lost.retry()), (ErrorKind::Unavailable, RetryHint::UNKNOWN));

    message.attempt = 2;
    let duplicate = channel.send(&message).await.unwrap_err();
    assert_eq!(duplicate.provider_code(), Some("9"));
    assert_eq!(duplicate.retry(), RetryHint::IfIdempotent { after: Some(Duration::from_secs(60)) });
    assert_eq!(sim.inbox().all().len(), 1);

    let Lookup::Accepted { provider_message_id } = channel.lookup(&reference(&message, None)).await.unwrap()
    else {
        panic!("not accepted");
    };
    // What the lookup found is what the receipt will name.
    let news = sim.callback_request_with(newest_id(&sim), PHONE, 1, 0).unwrap();
    let InboundKind::Receipt { message: named, .. } = events(&channel, &news).unwrap().remove(0).kind else {
        panic!("not a receipt");
    };
    assert_eq!(Some(named), provider_message_id.map(MessageReference::Provider));
    assert!(sim.set_status(newest_id(&sim), PHONE, 1, 0));
    assert_eq!(channel.lookup(&reference(&message, None)).await.unwrap(), Lookup::Delivered);
}

#[tokio::test]
async fn a_first_attempt_that_repeats_another_message_waits_a_minute() {
    let (sim, channel) = start().await;
    let message = sms("дважды");
    channel.send(&message).await.unwrap();
    let error = channel.send(&message).await.unwrap_err();
    assert_eq!(error.retry(), RetryHint::Safe { after: Some(Duration::from_secs(60)) });
    sim.advance(Duration::from_secs(61));
    channel.send(&message).await.unwrap();
    assert_eq!(sim.inbox().all().len(), 2);
}

#[tokio::test]
async fn lookups_by_status() {
    let (sim, channel) = start().await;
    sim.notice_repetitions(false);
    let message = sms("статусы");
    assert_eq!(channel.lookup(&reference(&message, None)).await.unwrap(), Lookup::NotAccepted);
    let receipt = channel.send(&message).await.unwrap();
    let id = newest_id(&sim);
    let accepted = Lookup::Accepted { provider_message_id: receipt.provider_message_id.clone() };
    let failed =
        |reason, code: &str| Lookup::Failed(ReceiptFailure { reason, provider_code: Some(code.to_owned()) });
    for (status, err, expected) in [
        (-1, 0, accepted.clone()),
        (0, 0, accepted.clone()),
        (1, 0, Lookup::Delivered),
        (2, 0, Lookup::Delivered),
        (4, 0, Lookup::Delivered),
        (3, 0, failed(FailureReason::Expired, "3")),
        (20, 1, failed(FailureReason::Recipient, "20/1")),
        (20, 255, failed(FailureReason::Other, "20/255")),
        (22, 0, failed(FailureReason::Recipient, "22")),
        (23, 0, failed(FailureReason::Content, "23")),
        (24, 0, failed(FailureReason::Balance, "24")),
        (25, 248, failed(FailureReason::Recipient, "25/248")),
        (77, 0, accepted),
    ] {
        assert!(sim.set_status(id, PHONE, status, err));
        for known in [None, Some(&receipt)] {
            assert_eq!(
                channel.lookup(&reference(&message, known)).await.unwrap(),
                expected,
                "{status}/{err}"
            );
        }
    }
}

#[tokio::test]
async fn a_number_that_smsc_may_have_corrected_proves_nothing() {
    let (sim, channel) = start().await;
    let message = sms_to("+84 91 234 56 78", "xin chào");
    channel.send(&message).await.unwrap();
    assert_eq!(sim.inbox().all()[0].to, "+84912345678", "the plus kept it as it is");
    assert_eq!(channel.lookup(&reference(&message, None)).await.unwrap(), Lookup::Unknown);
}

#[tokio::test]
async fn questions_that_fail_are_safe_to_repeat() {
    let (sim, channel) = start().await;
    let asked = reference(&sms("вопрос"), None);
    for fault in [
        Fault::DropAfterAccept,
        Fault::ServerError { status: 502 },
        Fault::RateLimited { after_secs: 1 },
        Fault::ProviderCode { code: 15, text: "unknown error".to_owned() },
    ] {
        for _ in 0..2 {
            sim.query_faults().push(fault.clone());
        }
        for error in [channel.lookup(&asked).await.unwrap_err(), channel.check().await.unwrap_err()] {
            assert!(matches!(error.retry(), RetryHint::Safe { .. }), "{fault:?}: {error}");
        }
    }
    let often = reference(&sms("и ещё вопрос"), None);
    for _ in 0..5 {
        channel.lookup(&often).await.unwrap();
    }
    let sixth = channel.lookup(&often).await.unwrap_err();
    assert_eq!(sixth.retry(), RetryHint::Safe { after: Some(Duration::from_secs(60)) });
}

#[tokio::test]
async fn no_answer_in_time_leaves_the_outcome_unknown() {
    let (sim, _) = start().await;
    let channel = smsc(&sim, json!({ "timeout_secs": 1 }));
    sim.faults().push(Fault::Hang);
    let error = channel.send(&sms("тишина")).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, RetryHint::UNKNOWN));
    sim.faults().push(Fault::Delay { millis: 20 });
    channel.send(&sms("чуть позже")).await.unwrap();
}

#[tokio::test]
async fn parts_have_ids_of_their_own_that_repeat_with_the_attempt() {
    let (sim, channel) = start().await;
    let mut message = sms("часть");
    let mut ids = Vec::new();
    for (index, attempt) in [(0, 1), (1, 1), (1, 2)] {
        message.part = Part { index, count: 2 };
        message.attempt = attempt;
        sim.advance(Duration::from_secs(61));
        if attempt == 1 {
            // An earlier part that has arrived says nothing about this one.
            assert_eq!(channel.lookup(&reference(&message, None)).await.unwrap(), Lookup::NotAccepted);
        }
        channel.send(&message).await.unwrap();
        ids.push(newest_id(&sim));
    }
    assert_ne!(ids[0], ids[1]);
    assert_eq!(ids[1], ids[2]);
}

#[tokio::test]
async fn the_lifetime_is_the_shorter_of_setting_and_message() {
    let (sim, _) = start().await;
    for (setting, seconds_left, valid) in [
        (None, None, ""),
        (Some(4), None, "04:00"),
        (None, Some(5_400), "01:30"),
        (Some(1), Some(5_400), "01:00"),
        (Some(4), Some(59), "00:01"),
        (None, Some(10 * 86_400), "24:00"),
    ] {
        let channel = smsc(&sim, json!({ "valid_hours": setting }));
        let mut message = sms("срок");
        message.expires_at = seconds_left.map(|left| message.attempted_at + chrono::TimeDelta::seconds(left));
        channel.send(&message).await.unwrap();
        assert_eq!(sim.inbox().all().last().unwrap().details["valid"], valid, "{setting:?} {seconds_left:?}");
    }
    let mut late = sms("поздно");
    late.expires_at = Some(late.attempted_at);
    let error = smsc(&sim, json!({})).send(&late).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Invalid, RetryHint::Never));
}

#[tokio::test]
async fn long_and_empty_texts_are_refused_before_any_request() {
    let (sim, _) = start().await;
    let channel = smsc(&sim, json!({ "max_segments": 2, "endpoint": "http://127.0.0.1:1" }));
    for text in ["я".repeat(135), "a".repeat(1001), String::new(), " \n".to_owned()] {
        let error = channel.send(&sms(&text)).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Content, RetryHint::Never), "{text:.5}");
    }
    let error = channel.send(&sms(&"я".repeat(134))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "two parts are allowed, so it was tried");
}

#[tokio::test]
async fn translit_is_smscs_work() {
    let (sim, _) = start().await;
    let receipt = smsc(&sim, json!({ "translit": true })).send(&sms(&"я".repeat(80))).await.unwrap();
    assert_eq!(sim.inbox().all()[0].text, "ya".repeat(80));
    assert_eq!(receipt.segments, Some(1));
}

#[tokio::test]
async fn callbacks_repeat_and_come_out_of_order() {
    let (sim, channel) = start().await;
    let receipt = channel.send(&sms("обратно")).await.unwrap();
    let (id, named) = (newest_id(&sim), receipt.provider_message_id.unwrap());
    let mut seen = Vec::new();
    for (status, expected) in [
        (1, ReceiptStatus::Delivered),
        (0, ReceiptStatus::InTransit),
        (1, ReceiptStatus::Delivered),
        (2, ReceiptStatus::Read),
    ] {
        let event =
            events(&channel, &sim.callback_request_with(id, PHONE, status, 0).unwrap()).unwrap().remove(0);
        let message = MessageReference::Provider(named.clone());
        assert_eq!(event.kind, InboundKind::Receipt { message, status: expected });
        assert!(!event.provider_event_id.contains("79000000000"), "{}", event.provider_event_id);
        seen.push(event.provider_event_id);
    }
    assert_eq!(seen[0], seen[2], "a repeated status is one event");
    assert!(seen[0] != seen[1] && seen[1] != seen[3]);
    sim.set_status(id, PHONE, 20, 253);
    let failed = events(&channel, &sim.callback_request(id, PHONE).unwrap()).unwrap().remove(0);
    let InboundKind::Receipt { status: ReceiptStatus::Failed(failure), .. } = failed.kind else {
        panic!("not a failure");
    };
    let code = Some("20/253".to_owned());
    assert_eq!(failure, ReceiptFailure { reason: FailureReason::Content, provider_code: code });
}

#[tokio::test]
async fn every_form_of_callback_verifies_and_forgeries_do_not() {
    let (sim, _) = start().await;
    let md5 = smsc(&sim, json!({ "callback_signature": "md5" }));
    let sha1 = smsc(&sim, json!({ "callback_signature": "sha1" }));
    sha1.send(&sms("подпись")).await.unwrap();
    let id = newest_id(&sim);
    for (parameters, secret, by_md5, by_sha1) in [
        ("charset=utf-8&md5", SECRET, true, false),
        ("charset=utf-8&sha1=1&fmt=3", SECRET, false, true),
        ("md5", SECRET, true, false),
        ("charset=utf-8&sha1", "another secret", false, false),
        ("charset=utf-8&crc32", SECRET, false, false),
        ("charset=utf-8", SECRET, false, false),
    ] {
        sim.set_callback(&format!("http://127.0.0.1:1/hook?{parameters}"), secret);
        let request = sim.callback_request(id, PHONE).unwrap();
        for (channel, good) in [(&md5, by_md5), (&sha1, by_sha1)] {
            let outcome = events(channel, &request);
            assert_eq!(outcome.is_ok(), good, "{parameters}: {outcome:?}");
            if let Err(error) = outcome {
                assert_eq!(error.kind(), ErrorKind::Unauthenticated);
            }
        }
    }
}

#[tokio::test]
async fn a_callback_whose_fields_were_changed_on_the_way_is_refused() {
    let (sim, channel) = start().await;
    channel.send(&sms("подмена")).await.unwrap();
    let genuine = sim.callback_request(newest_id(&sim), PHONE).unwrap();
    let body = String::from_utf8(genuine.body.clone()).unwrap();
    for (from, to) in
        [("status=-1", "status=1"), ("phone=79000000000", "phone=79000000001"), ("&sha1=", "&md5=")]
    {
        let changed = body.replace(from, to);
        assert_ne!(changed, body, "{from}");
        let error =
            events(&channel, &CallbackRequest { body: changed.into_bytes(), ..genuine.clone() }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{from}");
        assert!(!format!("{error:?}").contains(SECRET));
    }
}

#[tokio::test]
async fn a_person_writes_back() {
    let (sim, channel) = start().await;
    let wrote = |text: &str| events(&channel, &sim.inbound_request(PHONE, text, "79000000002").unwrap());
    let (first, second) =
        (wrote("Да, приеду 👍").unwrap().remove(0), wrote("Да, приеду 👍").unwrap().remove(0));
    assert_ne!(first.provider_event_id, second.provider_event_id, "two SMS with the same words");
    let InboundKind::Message { from, text } = first.kind else { panic!("not a message") };
    assert_eq!(text.expose(), "Да, приеду 👍");
    // An answer can go where the message came from.
    assert_eq!(Phone::parse(from.chat.expose()).unwrap().expose(), PHONE);

    assert_eq!(events(&channel, &sim.wait_call_request(PHONE).unwrap()).unwrap(), []);
    sim.set_callback("http://127.0.0.1:1/hook?sha1", SECRET);
    let error = wrote("Да").unwrap_err();
    assert!(error.message().contains("charset=utf-8"), "{error}");
}

#[test]
fn the_registry_builds_it_and_shows_its_form() {
    let registry = Registry::builder().apply(fastlead_channels::register).build().unwrap();
    let id = ChannelId::generate(&RandomIds, epoch());
    let channel = registry.build("smsc", id, "sms", json!({ "api_key": "some-key" })).unwrap();
    assert_eq!(channel.info().kind, "smsc");
    let schema = registry.schema("smsc").unwrap().to_value();
    assert_eq!(schema["properties"]["api_key"]["format"], "password");
    let error = registry.build("smsc", id, "sms", json!({ "password": "leaked-password" })).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(!error.to_string().contains("leaked-password"), "{error}");
}

#[tokio::test]
async fn a_certificate_that_does_not_fit_gets_nothing_and_its_owner_is_told() {
    for certificate in Authority::new().unacceptable("127.0.0.1") {
        let sim = SmscSim::start_tls(certificate).await.unwrap();
        let (channel, message) = (smsc(&sim, json!({})), sms("hello"));
        for error in [
            channel.send(&message).await.unwrap_err(),
            channel.lookup(&reference(&message, None)).await.unwrap_err(),
            channel.check().await.unwrap_err(),
        ] {
            // An error of the account: the channel is paused, its owner is told, and nothing is lost.
            assert_eq!((error.kind(), error.retry()), (ErrorKind::Config, RetryHint::Never), "{error}");
            assert!(error.message().contains("the server's certificate has expired"), "{error}");
        }
        assert!(sim.inbox().all().is_empty(), "nothing was sent");
    }
}
