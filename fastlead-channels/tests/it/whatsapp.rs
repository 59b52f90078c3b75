//! The WhatsApp adapter against the simulated Cloud API.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use fastlead_channels::whatsapp::{TemplateConfig, TemplateParameter, TemplateUse, WhatsApp, WhatsAppConfig};
use fastlead_core::channel::{
    Channel, ChannelInfo, FailureReason, InboundEvent, InboundKind, MessageReference, ReceiptStatus,
};
use fastlead_core::contact::Phone;
use fastlead_core::id::{ChannelId, RandomIds};
use fastlead_core::message::url_text::HttpUrl;
use fastlead_core::message::{
    Button, ButtonAction, Content, OutboundMessage, Part, Recipient, Response, ResponseToken, Text,
};
use fastlead_core::registry::Registry;
use fastlead_core::secret::Pii;
use fastlead_core::time::{Clock, SystemClock, epoch};
use fastlead_core::{Error, ErrorKind, RetryHint, async_trait};
use fastlead_testkit::conformance::LeftOut;
use fastlead_testkit::conformance::channel::{ChannelHarness, Inbound, SampleRequest, outbound};
use fastlead_testkit::sim::whatsapp::WhatsAppSim;
use fastlead_testkit::sim::{Arrival, ArrivedButton, Fault, Faults, Inbox};
use serde_json::json;

use super::certificates::Authority;
use super::egress::loopback;

const ANNA: &str = "79000000000";
const IVAN: &str = "79000000001";
/// Nobody listens on the discard port here.
const NOBODY: &str = "http://127.0.0.1:9";

struct Number {
    sim: WhatsAppSim,
    hears: bool,
}

impl Number {
    async fn start(hears: bool) -> Self {
        let sim = WhatsAppSim::start().await.unwrap();
        Self::of(sim, hears)
    }

    fn of(sim: WhatsAppSim, hears: bool) -> Self {
        sim.add_person(ANNA, "Anna");
        sim.add_person(IVAN, "Ivan");
        Self { sim, hears }
    }

    fn with(&self, change: impl FnOnce(&mut WhatsAppConfig)) -> WhatsApp {
        let mut config = WhatsAppConfig::new(self.sim.token().into(), self.sim.phone_number_id());
        config.endpoint = Some(self.sim.base_url());
        if self.hears {
            config.app_secret = Some(self.sim.app_secret().into());
            config.verify_token = Some(self.sim.verify_token().into());
        }
        change(&mut config);
        WhatsApp::with_egress(info(), config, &loopback()).unwrap()
    }

    fn whatsapp(&self) -> WhatsApp {
        self.with(|_| {})
    }

    /// A channel with an approved template.
    fn with_template(&self, used: TemplateUse) -> WhatsApp {
        self.sim.add_template("new_lead", "ru", "Новая заявка: {{lead}}", &["Беру", "Не беру"]);
        self.with(|config| {
            let mut template = TemplateConfig::new("new_lead", "ru");
            template.used = used;
            template.parameters = vec![TemplateParameter::named("lead")];
            template.quick_replies = 2;
            config.template = Some(template);
        })
    }
}

fn info() -> ChannelInfo {
    let id = ChannelId::generate(&RandomIds, SystemClock.now());
    ChannelInfo { kind: "whatsapp", id, name: "number".to_owned() }
}

fn phone(number: &str) -> Recipient {
    Recipient::Phone(Phone::parse(&format!("+{number}")).unwrap())
}

fn to_anna(text: Text) -> OutboundMessage {
    outbound(phone(ANNA), Content::Text(text))
}

fn offer() -> OutboundMessage {
    let answer =
        |label: &str, response| Button { label: label.to_owned(), action: ButtonAction::Respond(response) };
    let page = HttpUrl::try_from("https://example.com/lead?a=1&b=2".to_owned()).unwrap();
    let buttons = vec![
        answer("Беру", Response::Accept),
        answer("Не беру", Response::Decline),
        Button { label: "Открыть".to_owned(), action: ButtonAction::Open(page) },
    ];
    to_anna(Text { buttons, ..Text::plain("Новая заявка") })
}

fn events(whatsapp: &WhatsApp, request: &SampleRequest) -> Vec<InboundEvent> {
    let receiver = whatsapp.webhook().unwrap();
    let batch = request.show(|request| receiver.parse(&receiver.verify(request).unwrap()).unwrap());
    assert_eq!(batch.reply.status, 200);
    batch.events
}

fn everything_that_prints(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(" {cause} {cause:?} {cause:#?}"));
        source = cause.source();
    }
    text
}

#[async_trait]
impl ChannelHarness for Number {
    async fn start() -> Self {
        Self::start(true).await
    }

    fn channel(&self) -> Arc<dyn Channel> {
        Arc::new(self.whatsapp())
    }

    fn recipient(&self) -> Recipient {
        phone(ANNA)
    }

    /// WhatsApp takes every message, and tells later that nobody has this number.
    fn unknown_recipient(&self) -> Option<Recipient> {
        None
    }

    fn other_recipients(&self) -> Vec<Recipient> {
        vec![Recipient::Chat(Pii::new(self.sim.user_id(IVAN)))]
    }

    fn arrivals(&self) -> Inbox {
        self.sim.inbox().clone()
    }

    fn faults(&self) -> Option<&Faults> {
        Some(self.sim.faults())
    }

    fn fault_applies(&self, _: &Fault) -> bool {
        true
    }

    fn with_bad_credentials(&self) -> Option<Arc<dyn Channel>> {
        Some(Arc::new(self.with(|config| config.access_token = "EAAB-some-other-token".into())))
    }

    fn unreachable(&self) -> Option<Arc<dyn Channel>> {
        Some(Arc::new(self.with(|config| config.endpoint = Some(NOBODY.to_owned()))))
    }

    fn left_out() -> Vec<LeftOut> {
        vec![
            LeftOut::new(
                "a message of WhatsApp has neither subject nor HTML nor lifetime, and is for people",
                &["subject_is_shown", "html_is_shown", "lifetime_is_passed_on_as_declared", "event_arrives"],
            ),
            LeftOut::new("people answer by buttons and messages", &["answers_come_back_as_declared"]),
            LeftOut::new(
                "a message of a business cannot be changed over the API",
                &["an_edit_changes_the_message_that_it_names"],
            ),
            LeftOut::new("WhatsApp honours no key", &["same_key_arrives_once"]),
        ]
    }

    fn shows_links_on_buttons(&self) -> bool {
        false
    }

    fn rate_limit_names_delay(&self) -> bool {
        false
    }

    fn impatient(&self) -> Option<Arc<dyn Channel>> {
        Some(Arc::new(self.with(|config| config.timeout_secs = 1)))
    }

    fn secrets(&self) -> Vec<String> {
        let known =
            [self.sim.token(), "EAAB-some-other-token", self.sim.app_secret(), self.sim.verify_token()];
        known.map(str::to_owned).to_vec()
    }

    async fn genuine_webhooks(&self) -> Vec<SampleRequest> {
        let sent = self.whatsapp().send(&to_anna(Text::plain("a"))).await.unwrap();
        let id = sent.provider_message_id.unwrap();
        self.sim.write(ANNA, "Здравствуйте 👍");
        self.sim.write_with(ANNA, json!({"type": "image", "image": {"id": "1", "caption": "Вот"}}));
        self.sim.write_with(
            ANNA,
            json!({"type": "text", "text": {"body": "Hi"}, "referral": {"ctwa_clid": "ARAk"}}),
        );
        self.sim.press(&id, "foreign", "Да");
        for status in ["sent", "delivered", "read"] {
            self.sim.tell(&id, status);
        }
        self.sim.fail(&id, 131_026);
        self.sim.take_notifications()
    }

    async fn forged_webhooks(&self) -> Vec<SampleRequest> {
        self.sim.write(ANNA, "Здравствуйте");
        let genuine = self.sim.take_notifications().remove(0);
        let header = "x-hub-signature-256";
        let signature = genuine.headers.iter().find(|(name, _)| name == header).unwrap().1.clone();
        let rewritten: serde_json::Value = serde_json::from_slice(&genuine.body).unwrap();
        let bare = genuine.clone().without_header(header);
        let confirmation = self.sim.confirmation("1");
        vec![
            bare.clone(),
            bare.clone().with_header(header, ""),
            bare.clone().with_header(header, signature[7..].to_vec()),
            bare.clone().with_header(header, b"sha256=".repeat(2)),
            bare.clone().with_header("x-hub-signature", signature),
            bare.with_query(confirmation.query.clone()),
            // The same JSON in other bytes.
            genuine.clone().with_body(rewritten.to_string()),
            SampleRequest { method: "PUT".to_owned(), ..genuine },
            SampleRequest { query: confirmation.query.replace("token=s", "token=S"), ..confirmation },
        ]
    }

    async fn press(&self, arrival: &Arrival, button: &ArrivedButton) -> Inbound {
        self.sim.press(&arrival.provider_message_id, &button.data, &button.label).unwrap();
        Inbound::ByWebhook(self.sim.take_notifications().remove(0))
    }
}

fastlead_testkit::channel_conformance!(conformance, Number);

#[tokio::test]
async fn every_trouble_has_its_kind_and_its_hint() {
    let number = Number::start(false).await;
    let (patient, hurried) = (number.whatsapp(), number.with(|config| config.timeout_secs = 1));
    let safe = |secs| RetryHint::Safe { after: Some(Duration::from_secs(secs)) };
    let says = |code, text: &str| Fault::ProviderCode { code, text: text.to_owned() };
    let mut arrived = 0;
    for (fault, kind, retry, arrivals) in [
        (Fault::RateLimited { after_secs: 14 }, ErrorKind::RateLimited, safe(5), 0),
        (
            says(131_056, "(Business Account, Consumer Account) pair rate limit hit"),
            ErrorKind::RateLimited,
            safe(6),
            0,
        ),
        (says(131_047, "Re-engagement message"), ErrorKind::Content, RetryHint::Never, 0),
        (says(131_031, "Business Account locked"), ErrorKind::Auth, RetryHint::Never, 0),
        (says(31_337, "invented tomorrow"), ErrorKind::Invalid, RetryHint::Never, 0),
        (Fault::ServerError { status: 500 }, ErrorKind::Unavailable, RetryHint::UNKNOWN, 0),
        (Fault::ServerError { status: 502 }, ErrorKind::Unavailable, RetryHint::UNKNOWN, 0),
        (Fault::ServerError { status: 200 }, ErrorKind::Protocol, RetryHint::UNKNOWN, 0),
        (Fault::Hang, ErrorKind::Timeout, RetryHint::UNKNOWN, 0),
        (Fault::DropBeforeAccept, ErrorKind::Unavailable, RetryHint::UNKNOWN, 0),
        (Fault::DropAfterAccept, ErrorKind::Unavailable, RetryHint::UNKNOWN, 1),
        (Fault::BadRecipient, ErrorKind::Recipient, RetryHint::Never, 0),
        (Fault::BadCredentials, ErrorKind::Auth, RetryHint::Never, 0),
        (Fault::BadContent, ErrorKind::Content, RetryHint::Never, 0),
        (Fault::NoBalance, ErrorKind::Balance, RetryHint::Never, 0),
    ] {
        let whatsapp = if fault == Fault::Hang { &hurried } else { &patient };
        number.sim.faults().push(fault.clone());
        let error = whatsapp.send(&to_anna(Text::plain("a"))).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (kind, retry), "{fault:?}: {error}");
        arrived += arrivals;
        assert_eq!(number.sim.inbox().all().len(), arrived, "one request a send: {fault:?}");
    }
    number.sim.faults().push(Fault::Delay { millis: 5 });
    patient.send(&to_anna(Text::plain("a"))).await.unwrap();
}

fn only_receipt(found: &[InboundEvent]) -> (&MessageReference, &ReceiptStatus) {
    let [InboundEvent { kind: InboundKind::Receipt { message, status }, .. }] = found else {
        panic!("{found:?}")
    };
    (message, status)
}

/// Field report: 200 and an id, and two seconds later the status `failed` with code 131047.
#[tokio::test]
async fn a_closed_window_ends_the_delivery_with_its_reason() {
    let number = Number::start(true).await;
    number.sim.close_window(ANNA);
    let whatsapp = number.whatsapp();
    let message = to_anna(Text::plain("a"));
    let receipt = whatsapp.send(&message).await.unwrap();
    assert!(!receipt.delivered, "200 means accepted and nothing more");
    let found = events(&whatsapp, &number.sim.take_notifications()[0]);
    let (reference, status) = only_receipt(&found);
    assert_eq!(
        *reference,
        MessageReference::Delivery(message.delivery_id),
        "known before the answer to our send is"
    );
    let ReceiptStatus::Failed(failure) = status else { panic!("{status:?}") };
    assert_eq!(
        (failure.reason, failure.provider_code.as_deref()),
        (FailureReason::WindowClosed, Some("131047"))
    );
    assert_eq!(failure.reason.code(), "window_closed");
    assert!(number.sim.inbox().all().is_empty());
}

#[tokio::test]
async fn receipts_name_the_delivery_and_the_parts_of_a_split_text() {
    let number = Number::start(true).await;
    let whatsapp = number.whatsapp();
    let message = to_anna(Text::plain("a"));
    let id = whatsapp.send(&message).await.unwrap().provider_message_id.unwrap();
    // `delivered` without `sent` before it is nothing unusual.
    for (status, expected) in [("delivered", ReceiptStatus::Delivered), ("read", ReceiptStatus::Read)] {
        number.sim.tell(&id, status);
        let found = events(&whatsapp, &number.sim.take_notifications()[0]);
        assert_eq!(only_receipt(&found), (&MessageReference::Delivery(message.delivery_id), &expected));
    }
    let part = OutboundMessage { part: Part { index: 1, count: 2 }, ..to_anna(Text::plain("b")) };
    let id = whatsapp.send(&part).await.unwrap().provider_message_id.unwrap();
    number.sim.tell(&id, "delivered");
    number.sim.fail(&id, 131_026);
    let requests = number.sim.take_notifications();
    let (arrived, failed) = (events(&whatsapp, &requests[0]), events(&whatsapp, &requests[1]));
    assert_eq!(*only_receipt(&arrived).0, MessageReference::Provider(id));
    assert_eq!(*only_receipt(&failed).0, MessageReference::Delivery(part.delivery_id));
}

/// Field report: everything in one request.
#[tokio::test]
async fn one_request_brings_all_it_holds() {
    let number = Number::start(true).await;
    let whatsapp = number.whatsapp();
    let id = whatsapp.send(&to_anna(Text::plain("a"))).await.unwrap().provider_message_id.unwrap();
    number.sim.write(ANNA, "one");
    number.sim.tell(&id, "sent");
    number.sim.write(IVAN, "two");
    number.sim.tell(&id, "delivered");
    let request = number.sim.take_one_notification();
    let found = events(&whatsapp, &request);
    let chats: Vec<_> = found
        .iter()
        .filter_map(|event| match &event.kind {
            InboundKind::Message { from, text } => Some(format!("{} {}", from.chat.expose(), text.expose())),
            _ => None,
        })
        .collect();
    assert_eq!((found.len(), chats), (4, vec![format!("+{ANNA} one"), format!("+{IVAN} two")]));
}

#[tokio::test]
async fn a_template_takes_the_place_of_a_text_where_the_window_is_closed() {
    let number = Number::start(true).await;
    let whatsapp = number.with_template(TemplateUse::Closed);
    let shown = || number.sim.inbox().all().last().map(|arrival| arrival.text.clone()).unwrap_or_default();
    let send = || async { whatsapp.send(&to_anna(Text::plain("Анна\nЁлка"))).await.unwrap() };
    send().await;
    assert_eq!(shown(), "Новая заявка: Анна; Ёлка", "nobody has heard Anna yet");
    number.sim.write(ANNA, "Здравствуйте");
    events(&whatsapp, &number.sim.take_notifications()[0]);
    send().await;
    assert_eq!(shown(), "Анна\nЁлка");
    // WhatsApp knows better than we do.
    number.sim.close_window(ANNA);
    send().await;
    let found = events(&whatsapp, &number.sim.take_notifications()[0]);
    assert!(matches!(only_receipt(&found).1, ReceiptStatus::Failed(_)));
    send().await;
    assert_eq!((shown().as_str(), number.sim.inbox().all().len()), ("Новая заявка: Анна; Ёлка", 3));

    let refused = number.with_template(TemplateUse::Refused);
    number.sim.refuse_at_once(true);
    refused.send(&to_anna(Text::plain("сразу"))).await.unwrap();
    assert_eq!((shown().as_str(), number.sim.inbox().all().len()), ("Новая заявка: сразу", 4));
}

#[tokio::test]
async fn an_offer_in_a_template_is_answered_by_its_quick_replies() {
    let number = Number::start(true).await;
    let whatsapp = number.with_template(TemplateUse::Always);
    let message = offer();
    whatsapp.send(&message).await.unwrap();
    let arrival = number.sim.inbox().all().remove(0);
    assert!(arrival.text.contains("https://example.com/lead?a=1&b=2"), "{}", arrival.text);
    for (index, response) in [(0, Response::Accept), (1, Response::Decline)] {
        let button = &arrival.buttons[index];
        number.sim.press(&arrival.provider_message_id, &button.data, &button.label).unwrap();
        let event = events(&whatsapp, &number.sim.take_notifications()[0]).remove(0);
        let InboundKind::Interaction { token, from, .. } = event.kind else { panic!("{event:?}") };
        let expected = ResponseToken { response, delivery_id: message.delivery_id };
        assert_eq!(token.unwrap().decode(), Some(expected));
        assert_eq!(from.chat.expose(), "+79000000000");
    }
}

#[tokio::test]
async fn who_hides_the_number_is_written_to_by_the_user_id() {
    let number = Number::start(true).await;
    let whatsapp = number.whatsapp();
    number.sim.hide_number(ANNA);
    number.sim.write(ANNA, "Здравствуйте");
    let event = events(&whatsapp, &number.sim.take_notifications()[0]).remove(0);
    let InboundKind::Message { from, .. } = event.kind else { panic!("{event:?}") };
    assert_eq!(from.chat.expose(), &number.sim.user_id(ANNA));
    whatsapp.send(&outbound(Recipient::Chat(from.chat), Content::Text(Text::plain("ответ")))).await.unwrap();
    assert_eq!(number.sim.inbox().all()[0].to, ANNA);
}

#[tokio::test]
async fn the_address_is_confirmed_by_the_token() {
    let number = Number::start(true).await;
    let whatsapp = number.whatsapp();
    let receiver = whatsapp.webhook().unwrap();
    let batch = number
        .sim
        .confirmation("1158201444")
        .show(|request| receiver.parse(&receiver.verify(request).unwrap()).unwrap());
    assert_eq!((batch.reply.status, &batch.reply.body[..]), (200, &b"1158201444"[..]));
    assert!(whatsapp.registration().is_none());
}

#[tokio::test]
async fn without_a_webhook_the_number_only_sends() {
    let number = Number::start(false).await;
    let whatsapp = number.whatsapp();
    let capabilities = whatsapp.capabilities();
    assert!(!capabilities.buttons && !capabilities.inbound && !capabilities.receipts);
    assert!(whatsapp.webhook().is_none());
    let error = whatsapp.send(&offer()).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unsupported, RetryHint::Never));
}

#[tokio::test]
async fn what_whatsapp_cannot_have_is_refused_without_asking() {
    let number = Number::start(true).await;
    let whatsapp = number.with(|config| config.endpoint = Some(NOBODY.to_owned()));
    for address in
        ["", "anna", "@anna", "0", "+7900", "US.", "us.134", "group.7", "https://wa.me/79000000000"]
    {
        let message = outbound(Recipient::Chat(address.into()), Content::Text(Text::plain("a")));
        let error = whatsapp.send(&message).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Recipient, RetryHint::Never), "{address}");
    }
    let button =
        |label: &str| Button { label: label.to_owned(), action: ButtonAction::Respond(Response::Accept) };
    for text in [
        Text::plain(""),
        Text::plain(" \n"),
        Text { buttons: vec![button(" ")], ..Text::plain("a") },
        Text { buttons: vec![button("a"), button("b"), button("c"), button("d")], ..Text::plain("a") },
    ] {
        let error = whatsapp.send(&to_anna(text)).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Content, RetryHint::Never));
    }
}

#[tokio::test]
async fn the_token_and_what_meta_repeats_are_printed_by_nothing() {
    let number = Number::start(true).await;
    let healthy = number.with(|config| config.timeout_secs = 1);
    let unreachable = number.with(|config| config.endpoint = Some(NOBODY.to_owned()));
    let mut printed = format!("{healthy:?} {unreachable:#?}");
    for fault in [
        Fault::Hang,
        Fault::DropBeforeAccept,
        Fault::ServerError { status: 302 },
        Fault::BadCredentials,
        Fault::BadRecipient,
        Fault::ProviderCode { code: 100, text: format!("bad {} 79000000000 тайна", number.sim.token()) },
    ] {
        number.sim.faults().push(fault.clone());
        printed += &everything_that_prints(&healthy.send(&to_anna(Text::plain("тайна"))).await.unwrap_err());
        number.sim.faults().push(fault);
        printed += &everything_that_prints(&healthy.check().await.unwrap_err());
    }
    let sent = unreachable.send(&to_anna(Text::plain("тайна"))).await.unwrap_err();
    assert_eq!((sent.kind(), sent.retry()), (ErrorKind::Unavailable, RetryHint::SAFE));
    assert!(sent.source().is_some(), "the cause is kept");
    printed += &everything_that_prints(&sent);
    for secret in [number.sim.token(), number.sim.app_secret(), number.sim.verify_token(), "тайна", ANNA]
    {
        assert!(!printed.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_registry_builds_it_from_json() {
    let number = Number::start(false).await;
    let registry = Registry::builder().apply(fastlead_channels::register_with(loopback())).build().unwrap();
    let id = ChannelId::generate(&RandomIds, epoch());
    let (token, phone_number_id) = (number.sim.token(), number.sim.phone_number_id());
    let config = json!({
        "access_token": token, "phone_number_id": phone_number_id, "endpoint": number.sim.base_url(),
        "template": {"name": "new_lead", "language": "ru", "when": "always", "parameters": [{"value": "Ёлка"}]},
    });
    let channel = registry.build("whatsapp", id, "number", config).unwrap();
    channel.check().await.unwrap();
    assert_eq!((channel.info().kind, channel.info().id), ("whatsapp", id));
    let wrong = json!({"access_token": "hidden token", "phone_number_id": phone_number_id});
    let error = registry.build("whatsapp", id, "number", wrong).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(!format!("{error:?}").contains("hidden"));
    let other = json!({"access_token": token, "phone_number_id": "7", "endpoint": number.sim.base_url()});
    let error = registry.build("whatsapp", id, "number", other).unwrap().check().await.unwrap_err();
    assert_eq!(error.retry(), RetryHint::Never, "another number: {error}");
}

#[tokio::test]
async fn a_certificate_that_does_not_fit_gets_nothing_and_its_owner_is_told() {
    for certificate in Authority::new().unacceptable("127.0.0.1") {
        let number = Number::of(WhatsAppSim::start_tls(certificate).await.unwrap(), true);
        let whatsapp = number.whatsapp();
        for error in [
            whatsapp.send(&to_anna(Text::plain("hello"))).await.unwrap_err(),
            whatsapp.check().await.unwrap_err(),
        ] {
            assert_eq!((error.kind(), error.retry()), (ErrorKind::Config, RetryHint::Never), "{error}");
            assert!(error.message().contains("the server's certificate has expired"), "{error}");
        }
        assert!(number.sim.requests().is_empty(), "nothing was sent");
    }
}
