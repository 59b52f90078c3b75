//! Outgoing webhooks: the adapter against a receiver, and against the reference implementation of
//! Standard Webhooks.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use fastlead_channels::egress::Egress;
use fastlead_channels::webhook::{Webhook, WebhookConfig};
use fastlead_core::channel::{Channel, ChannelInfo, SendReceipt};
use fastlead_core::id::{ChannelId, RandomIds};
use fastlead_core::message::{
    Button, ButtonAction, Content, EventPayload, OutboundMessage, Recipient, Response, Text,
};
use fastlead_core::registry::Registry;
use fastlead_core::secret::Pii;
use fastlead_core::time::{epoch, plus_seconds};
use fastlead_core::{ErrorKind, Result, RetryHint, async_trait};
use fastlead_testkit::conformance::LeftOut;
use fastlead_testkit::conformance::channel::{ChannelHarness, Inbound, SampleRequest, outbound};
use fastlead_testkit::sim::webhook::{ReceivedRequest, WebhookAnswer, WebhookSim};
use fastlead_testkit::sim::{Arrival, ArrivedButton, Fault, Faults, Inbox};
use serde_json::{Value, json};
use tokio::net::TcpSocket;

use super::egress::loopback;

const OLD_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const NEW_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const HEADER_SECRET: &str = "Bearer confidential-header";
const URL_SECRET: &str = "confidential-query";

fn config(url: &str, extra: Value) -> Value {
    let mut config = json!({
        "url": url,
        "secrets": [OLD_SECRET, NEW_SECRET],
        "headers": { "Authorization": HEADER_SECRET },
    });
    for (name, value) in extra.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

fn info() -> ChannelInfo {
    ChannelInfo { kind: "webhook", id: ChannelId::generate(&RandomIds, epoch()), name: "crm".to_owned() }
}

fn webhook(url: &str, extra: Value) -> Result<Webhook> {
    within(&loopback(), url, extra)
}

fn within(egress: &Egress, url: &str, extra: Value) -> Result<Webhook> {
    let config: WebhookConfig = serde_json::from_value(config(url, extra)).unwrap();
    Webhook::with_egress(info(), config, egress)
}

async fn start() -> (WebhookSim, Webhook) {
    let sim = WebhookSim::start().await.unwrap();
    let channel = webhook(&sim.url(), json!({})).unwrap();
    (sim, channel)
}

fn event(data: Value) -> OutboundMessage {
    let payload =
        EventPayload { event_type: "lead.created".to_owned(), occurred_at: epoch(), data: Pii::new(data) };
    outbound(Recipient::Endpoint, Content::Event(payload))
}

fn verifies(secret: &str, request: &ReceivedRequest) -> bool {
    standardwebhooks::Webhook::new(secret).unwrap().verify(&request.body, &request.headers).is_ok()
}

struct Harness {
    sim: WebhookSim,
    /// Bound and not listening, so that nobody else gets the port.
    closed: TcpSocket,
}

#[async_trait]
impl ChannelHarness for Harness {
    async fn start() -> Self {
        let closed = TcpSocket::new_v4().unwrap();
        closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self { sim: WebhookSim::start().await.unwrap(), closed }
    }
    fn channel(&self) -> Arc<dyn Channel> {
        Arc::new(webhook(&format!("{}?key={URL_SECRET}", self.sim.url()), json!({})).unwrap())
    }
    fn recipient(&self) -> Recipient {
        Recipient::Endpoint
    }
    fn unknown_recipient(&self) -> Option<Recipient> {
        None
    }
    fn arrivals(&self) -> Inbox {
        self.sim.inbox().clone()
    }
    fn faults(&self) -> Option<&Faults> {
        Some(self.sim.faults())
    }
    fn fault_applies(&self, fault: &Fault) -> bool {
        // A receiver has neither recipients nor an account, and a refusal of the content is tried again like
        // every other: Standard Webhooks knows no final one but 410.
        !matches!(fault, Fault::BadRecipient | Fault::NoBalance | Fault::BadContent)
    }
    fn with_bad_credentials(&self) -> Option<Arc<dyn Channel>> {
        None
    }
    fn unreachable(&self) -> Option<Arc<dyn Channel>> {
        let url = format!("http://{}/?key={URL_SECRET}", self.closed.local_addr().unwrap());
        Some(Arc::new(webhook(&url, json!({})).unwrap()))
    }
    fn left_out() -> Vec<LeftOut> {
        vec![
            LeftOut::new(
                "a program gets data, not markup and buttons, and keeps it as it came",
                &[
                    "html_is_shown",
                    "an_edit_changes_the_message_that_it_names",
                    "buttons_round_trip",
                    "lifetime_is_passed_on_as_declared",
                ],
            ),
            LeftOut::new(
                "a receiver has neither recipients nor an account, and no final refusal but 410",
                &[
                    "unknown_recipient_is_never_retried",
                    "empty_balance_is_balance",
                    "refused_content_is_content",
                ],
            ),
            LeftOut::new("the answer is the receipt", &["accepted_is_not_delivered"]),
            LeftOut::new(
                "a receiver does not call back",
                &[
                    "genuine_webhooks_verify",
                    "forged_webhooks_do_not_verify",
                    "repeated_webhook_is_one_event",
                ],
            ),
        ]
    }
    fn impatient(&self) -> Option<Arc<dyn Channel>> {
        Some(Arc::new(webhook(&self.sim.url(), json!({ "timeout_secs": 1 })).unwrap()))
    }
    fn secrets(&self) -> Vec<String> {
        let keys = [OLD_SECRET, NEW_SECRET].map(|secret| secret.trim_start_matches("whsec_").to_owned());
        keys.into_iter().chain([HEADER_SECRET, URL_SECRET].map(str::to_owned)).collect()
    }
    async fn genuine_webhooks(&self) -> Vec<SampleRequest> {
        Vec::new()
    }
    async fn forged_webhooks(&self) -> Vec<SampleRequest> {
        Vec::new()
    }
    async fn press(&self, _: &Arrival, _: &ArrivedButton) -> Inbound {
        unreachable!("a webhook shows no buttons")
    }
    fn as_seen(&self, arrival: &Arrival) -> Arrival {
        let body: Value = serde_json::from_str(&arrival.text).unwrap();
        let shown = |name: &str| body["data"][name].as_str().map(str::to_owned);
        Arrival { text: shown("text").unwrap_or_default(), subject: shown("subject"), ..arrival.clone() }
    }
}

fastlead_testkit::channel_conformance!(contract, Harness);

#[tokio::test]
async fn what_the_receiver_says_is_brought_back_where_it_is_json() {
    let (sim, channel) = start().await;
    let long = format!("\"{}\"", "x".repeat(17 * 1_024));
    let cases = [
        ("{\"bid\": 45000}", Some(json!({"bid": 45000}))),
        ("\u{feff}{\"bid\": 45000.0}", Some(json!({"bid": 45000.0}))),
        ("", None),
        ("<h1>thanks</h1>", None),
        (long.as_str(), None),
    ];
    for (body, expected) in cases {
        sim.set_answer(Some(WebhookAnswer::status(200).with_body(body.to_owned())));
        let receipt = channel.send(&event(json!({}))).await.unwrap();
        let answer = receipt.answer.map(Pii::into_inner);
        assert!(receipt.delivered && answer == expected, "{:.20}: {answer:?}", body);
    }
}

#[tokio::test]
async fn the_reference_implementation_verifies_every_body_under_every_secret() {
    let (sim, channel) = start().await;
    let bodies = [
        json!({}),
        json!(null),
        json!([1, 2.5, -0.0, 1e300, u64::MAX]),
        json!("строка \"в кавычках\" \\ \u{0} \u{2028} 👩‍👩‍👧‍👦"),
        json!({ "имя": "Анна", "nested": { "a": [[], {}, ""] } }),
        json!("x".repeat(100_000)),
    ];
    let texts = ["", "Текст", "a.b.c", "{\"type\":\"lead.created\"}"];
    let events = bodies.iter().cloned().map(event);
    let texts = texts.iter().map(|text| outbound(Recipient::Endpoint, Content::Text(Text::plain(*text))));
    for message in events.chain(texts) {
        let receipt = channel.send(&message).await.unwrap();
        let id = message.delivery_id.to_string();
        assert_eq!(receipt, SendReceipt { delivered: true, ..SendReceipt::accepted(id.clone()) });
        let request = sim.requests().pop().unwrap();
        assert_eq!(request.header("webhook-id"), Some(id.as_str()));
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(request.header("authorization"), Some(HEADER_SECRET));
        let timestamp = message.attempted_at.timestamp().to_string();
        assert_eq!(request.header("webhook-timestamp"), Some(timestamp.as_str()));
        assert!(verifies(OLD_SECRET, &request) && verifies(NEW_SECRET, &request));
        assert!(!verifies("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &request));
        let tampered = ReceivedRequest { body: [&request.body[..], b" "].concat().into(), ..request };
        assert!(!verifies(OLD_SECRET, &tampered));
    }
}

#[tokio::test]
async fn a_secret_can_be_replaced_without_losing_a_webhook() {
    let sim = WebhookSim::start().await.unwrap();
    for (secrets, old, new) in [
        (vec![OLD_SECRET], true, false),
        (vec![OLD_SECRET, NEW_SECRET], true, true),
        (vec![NEW_SECRET], false, true),
    ] {
        let channel = webhook(&sim.url(), json!({ "secrets": secrets })).unwrap();
        channel.send(&event(json!({}))).await.unwrap();
        let request = sim.requests().pop().unwrap();
        assert_eq!((verifies(OLD_SECRET, &request), verifies(NEW_SECRET, &request)), (old, new));
        let signatures = request.header("webhook-signature").unwrap();
        assert_eq!(signatures.split(' ').count(), secrets.len());
    }
}

#[tokio::test]
async fn attempts_differ_in_time_and_signature_only() {
    let (sim, channel) = start().await;
    let subject = Some("Тема".into());
    let text = Content::Text(Text { subject, ..Text::plain("Текст") });
    for mut message in [event(json!({ "name": "Анна" })), outbound(Recipient::Endpoint, text)] {
        let before = (sim.requests().len(), sim.inbox().all().len(), sim.duplicates());
        for attempt in 1..=3 {
            message.attempt = attempt;
            message.attempted_at = plus_seconds(message.attempted_at, 1);
            channel.send(&message).await.unwrap();
        }
        let requests = sim.requests().split_off(before.0);
        let distinct = |values: Vec<Option<&str>>| values.into_iter().collect::<HashSet<_>>().len();
        let header = |name| distinct(requests.iter().map(|request| request.header(name)).collect());
        assert_eq!(
            (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature")),
            (1, 3, 3)
        );
        assert!(
            requests.iter().all(|request| request.body == requests[0].body && verifies(OLD_SECRET, request))
        );
        assert_eq!((sim.inbox().all().len(), sim.duplicates()), (before.1 + 1, before.2 + 2));
    }
}

#[tokio::test]
async fn bodies_are_what_the_documentation_says() {
    let (sim, channel) = start().await;
    let body = || serde_json::from_slice::<Value>(&sim.requests().pop().unwrap().body).unwrap();
    channel.send(&event(json!({ "name": "Анна" }))).await.unwrap();
    let expected = json!({ "type": "lead.created", "timestamp": "1970-01-01T00:00:00.000Z", "data": { "name": "Анна" } });
    assert_eq!(body(), expected);

    let button = Button { label: "Беру".to_owned(), action: ButtonAction::Respond(Response::Accept) };
    let text =
        Text { html: Some("<b>Текст</b>".into()), buttons: vec![button], ..Text::plain("Текст") };
    channel.send(&outbound(Recipient::Endpoint, Content::Text(text))).await.unwrap();
    let seen = body();
    assert_eq!(seen["type"], "message.text");
    assert_eq!(seen["data"], json!({ "subject": null, "text": "Текст" }));
}

#[tokio::test]
async fn redirects_are_failures_and_are_not_followed() {
    let (sim, channel) = start().await;
    let elsewhere = WebhookSim::start().await.unwrap();
    for (status, retry) in [
        (301, RetryHint::SAFE),
        (302, RetryHint::UNKNOWN),
        (303, RetryHint::UNKNOWN),
        (307, RetryHint::SAFE),
        (308, RetryHint::SAFE),
    ] {
        sim.set_answer(Some(WebhookAnswer::redirect(status, &elsewhere.url())));
        let error = channel.send(&event(json!({}))).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, retry), "{status}");
        assert_eq!(error.provider_code(), Some(status.to_string().as_str()));
        channel.check().await.unwrap();
    }
    assert!(elsewhere.requests().is_empty() && sim.inbox().all().is_empty());
}

#[tokio::test]
async fn delays_are_read_from_the_answer() {
    let (sim, channel) = start().await;
    let mut message = event(json!({}));
    // 1994-11-06T08:49:00Z
    message.attempted_at = plus_seconds(epoch(), 784_111_740);
    // The receiver's own clock says what a date means; this one is three years late.
    let date = ("date", "Wed, 06 Nov 1991 08:49:00 GMT");
    for (status, value, seconds) in
        [(429, "120", 120), (429, "86400", 86_400), (503, "7", 7), (503, "Wed, 06 Nov 1991 08:49:37 GMT", 37)]
    {
        let answer = WebhookAnswer::status(status).with_header("retry-after", value);
        sim.set_answer(Some(answer.with_header(date.0, date.1)));
        let error = channel.send(&message).await.unwrap_err();
        let after = Some(Duration::from_secs(seconds));
        // Whether somebody behind the one who says 503 has acted is not known.
        let retry = if status == 429 { RetryHint::Safe { after } } else { RetryHint::IfIdempotent { after } };
        assert_eq!((error.kind(), error.retry()), (ErrorKind::RateLimited, retry), "{value}");
    }
}

#[tokio::test]
async fn a_receiver_that_is_gone_pauses_the_channel() {
    let (sim, channel) = start().await;
    sim.faults().push(Fault::BadRecipient);
    let error = channel.send(&event(json!({}))).await.unwrap_err();
    assert_eq!((error.kind(), error.provider_code()), (ErrorKind::Config, Some("410")));
    assert!(error.kind().is_account_level());
}

#[tokio::test]
async fn what_a_receiver_says_beside_the_status_does_not_matter() {
    let (sim, channel) = start().await;
    sim.set_answer(Some(WebhookAnswer::status(200).with_body(vec![b'x'; 5_000_000])));
    channel.send(&event(json!({}))).await.unwrap();
    sim.set_answer(Some(WebhookAnswer::status(400).with_body("Анна +7 900 000-00-00")));
    let error = channel.send(&event(json!({}))).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("900 000"));
}

#[tokio::test]
async fn silence_is_an_unknown_outcome() {
    let sim = WebhookSim::start().await.unwrap();
    let channel = webhook(&sim.url(), json!({ "timeout_secs": 1 })).unwrap();
    sim.faults().push(Fault::Hang);
    let error = channel.send(&event(json!({}))).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Timeout, RetryHint::UNKNOWN));
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_before_a_connection() {
    let sim = WebhookSim::start().await.unwrap();
    let url = sim.url().replace("127.0.0.1", "localhost");
    let named = |hosts: &[&str]| {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        within(&Egress::public().with_plaintext().with_private_hosts(&hosts).unwrap(), &url, json!({}))
            .unwrap()
    };
    let (nothing_allowed, another_allowed) = (named(&[]), named(&["example.com", "10.0.0.0/8"]));
    for channel in [&nothing_allowed, &another_allowed] {
        let sent = channel.send(&event(json!({}))).await.unwrap_err();
        let checked = channel.check().await.unwrap_err();
        for error in [sent, checked] {
            assert_eq!((error.kind(), error.retry()), (ErrorKind::Config, RetryHint::Never), "{error:?}");
            assert!(error.message().contains("public internet"), "{error}");
        }
    }
    assert!(sim.requests().is_empty());

    let allowed = named(&["LOCALHOST"]);
    allowed.check().await.unwrap();
    allowed.send(&event(json!({}))).await.unwrap();
    assert_eq!(sim.inbox().all().len(), 1);
}

#[tokio::test]
async fn a_literal_address_inside_is_refused_when_the_channel_is_built() {
    for url in ["http://127.0.0.1/", "http://2130706433/", "http://[::ffff:7f00:1]/", "http://0x7f.1/"] {
        let error = within(&Egress::public().with_plaintext(), url, json!({})).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{url}");
    }
}

#[tokio::test]
async fn an_unknown_name_is_an_outage_and_not_a_refusal() {
    // RFC 6761 §6.4: names under `invalid` never exist.
    let channel = within(&Egress::public(), "https://receiver.invalid/", json!({})).unwrap();
    let error = channel.send(&event(json!({}))).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, RetryHint::SAFE), "{error:?}");
}

#[tokio::test]
async fn checking_sends_no_event() {
    let (sim, channel) = start().await;
    channel.check().await.unwrap();
    let requests = sim.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].method.as_str(), "HEAD");
    assert!(requests[0].body.is_empty() && requests[0].header("webhook-id").is_none());
}

#[test]
fn the_schema_describes_every_field_and_hides_secrets() {
    let registry = Registry::builder().apply(fastlead_channels::register).build().unwrap();
    let schema = serde_json::to_value(registry.schema("webhook").unwrap()).unwrap();
    for (name, field) in schema["properties"].as_object().unwrap() {
        assert!(field["description"].as_str().is_some_and(|text| text.ends_with('.')), "{name}");
    }
    assert_eq!(schema["properties"]["secrets"]["items"]["format"], "password");
    assert_eq!(schema["properties"]["headers"]["additionalProperties"]["writeOnly"], true);
    assert_eq!(schema["required"], json!(["url", "secrets"]));
}

/// A proxy would resolve names by itself, past the guard. The environment is read when a client is
/// built, so the proof runs in a process of its own.
#[test]
fn proxies_in_the_environment_are_ignored() {
    // The path of a test binary goes away when it is built anew meanwhile; Linux's own link does not.
    let this_program = std::path::Path::new("/proc/self/exe");
    let path = if this_program.exists() { this_program.into() } else { std::env::current_exe().unwrap() };
    let mut test = std::process::Command::new(path);
    test.args(["--exact", "webhook::checking_sends_no_event"]).env_remove("NO_PROXY").env_remove("no_proxy");
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        test.env(name, "http://127.0.0.1:1");
    }
    let output = test.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
