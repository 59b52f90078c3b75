//! The MAX adapter against the simulated MAX.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use fastlead_channels::max::{Max, MaxConfig, Updates};
use fastlead_core::channel::{Channel, ChannelInfo, InboundEvent, InboundKind, PollBatch};
use fastlead_core::id::{ChannelId, RandomIds};
use fastlead_core::message::url_text::HttpUrl;
use fastlead_core::message::{
    Button, ButtonAction, Content, Edit, InteractionReply, OutboundMessage, PressedMessage, Recipient,
    Response, ResponseToken, Text,
};
use fastlead_core::registry::Registry;
use fastlead_core::secret::Pii;
use fastlead_core::time::{Clock, SystemClock, epoch};
use fastlead_core::webhook::WebhookRegistration;
use fastlead_core::{Error, ErrorKind, RetryHint, async_trait};
use fastlead_testkit::conformance::LeftOut;
use fastlead_testkit::conformance::channel::{ChannelHarness, Inbound, SampleRequest, outbound};
use fastlead_testkit::sim::max::MaxSim;
use fastlead_testkit::sim::{Arrival, ArrivedButton, Fault, Faults, Inbox};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::certificates::Authority;
use super::egress::loopback;

const ANNA: i64 = 790_000_000;
const GROUP: i64 = -790_000_001;
const SECRET: &str = "webhook-secret-of-the-tests";
const SECRET_HEADER: &str = "x-max-bot-api-secret";
/// Nobody listens on the discard port here.
const NOBODY: &str = "http://127.0.0.1:9";
const HOOK: &str = "https://leads.example.com/hook";

mod updates;
mod wire;

struct Bot {
    sim: MaxSim,
    updates: Updates,
}

impl Bot {
    async fn start(updates: Updates) -> Self {
        let sim = MaxSim::start().await.unwrap();
        sim.add_person(ANNA, "Anna");
        sim.add_group(GROUP, "sales");
        Self { sim, updates }
    }

    fn config(&self) -> MaxConfig {
        let mut config = MaxConfig::new(self.sim.token().into());
        config.endpoint = Some(self.sim.base_url());
        config.updates = self.updates;
        config.webhook_secret = Some(SECRET.into());
        config
    }

    fn with(&self, change: impl FnOnce(&mut MaxConfig)) -> Max {
        let mut config = self.config();
        change(&mut config);
        Max::with_egress(info(), config, &loopback()).unwrap()
    }

    fn max(&self) -> Max {
        self.with(|_| {})
    }

    /// What waits at MAX, as it would be posted.
    fn posted(&self) -> Vec<SampleRequest> {
        self.sim.take_updates().iter().map(|update| post(update).with_header(SECRET_HEADER, SECRET)).collect()
    }
}

fn info() -> ChannelInfo {
    let id = ChannelId::generate(&RandomIds, SystemClock.now());
    ChannelInfo { kind: "max", id, name: "sales-bot".to_owned() }
}

fn post(update: &Value) -> SampleRequest {
    SampleRequest::post(update.to_string()).with_header("content-type", "application/json")
}

fn to(chat: i64, text: Text) -> OutboundMessage {
    outbound(Recipient::Chat(Pii::new(chat.to_string())), Content::Text(text))
}

fn html(html: &str) -> Text {
    Text { html: Some(html.into()), ..Text::plain("plain") }
}

fn events(max: &Max, request: &SampleRequest) -> Vec<InboundEvent> {
    let receiver = max.webhook().unwrap();
    request.show(|request| receiver.parse(&receiver.verify(request).unwrap()).unwrap().events)
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
impl ChannelHarness for Bot {
    async fn start() -> Self {
        Self::start(Updates::Webhook).await
    }

    fn channel(&self) -> Arc<dyn Channel> {
        Arc::new(self.max())
    }

    fn recipient(&self) -> Recipient {
        Recipient::Chat(Pii::new(ANNA.to_string()))
    }

    fn unknown_recipient(&self) -> Option<Recipient> {
        Some(Recipient::Chat("790000404".into()))
    }

    fn arrivals(&self) -> Inbox {
        self.sim.inbox().clone()
    }

    fn faults(&self) -> Option<&Faults> {
        Some(self.sim.faults())
    }

    fn fault_applies(&self, fault: &Fault) -> bool {
        *fault != Fault::NoBalance
    }

    fn with_bad_credentials(&self) -> Option<Arc<dyn Channel>> {
        Some(Arc::new(self.with(|config| config.bot_token = "some-other-token".into())))
    }

    fn unreachable(&self) -> Option<Arc<dyn Channel>> {
        Some(Arc::new(self.with(|config| config.endpoint = Some(NOBODY.to_owned()))))
    }

    fn left_out() -> Vec<LeftOut> {
        vec![
            LeftOut::new(
                "a bot's message has neither subject nor lifetime, and is for people",
                &["subject_is_shown", "lifetime_is_passed_on_as_declared", "event_arrives"],
            ),
            LeftOut::new("MAX knows no idempotency keys", &["same_key_arrives_once"]),
            LeftOut::new("people answer by buttons and messages", &["answers_come_back_as_declared"]),
            LeftOut::new("sending costs nothing", &["empty_balance_is_balance"]),
        ]
    }

    fn impatient(&self) -> Option<Arc<dyn Channel>> {
        Some(Arc::new(self.with(|config| config.timeout_secs = 1)))
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.sim.token().to_owned(), "some-other-token".to_owned(), SECRET.to_owned()]
    }

    async fn genuine_webhooks(&self) -> Vec<SampleRequest> {
        self.sim.write(ANNA, "Здравствуйте");
        self.sim.write_in_group(GROUP, ANNA, "Здравствуйте");
        self.sim.start_bot(ANNA, Some("promo_42"));
        self.sim.share_contact(ANNA, "79000000000");
        self.sim.stop_bot(ANNA);
        self.sim.remove_dialog(ANNA);
        self.posted()
    }

    async fn forged_webhooks(&self) -> Vec<SampleRequest> {
        self.sim.write(ANNA, "Здравствуйте");
        let genuine = self.posted().remove(0);
        let bare = genuine.without_header(SECRET_HEADER);
        vec![
            bare.clone(),
            bare.clone().with_header(SECRET_HEADER, ""),
            bare.clone().with_header(SECRET_HEADER, "webhook-secret-of-the-testz"),
            bare.clone().with_header(SECRET_HEADER, &SECRET[1..]),
            bare.with_query(format!("secret={SECRET}")),
        ]
    }

    async fn press(&self, arrival: &Arrival, button: &ArrivedButton) -> Inbound {
        let person = arrival.to.parse().unwrap();
        self.sim.press_button(person, &arrival.provider_message_id, &button.data).unwrap();
        Inbound::ByWebhook(self.posted().remove(0))
    }
}

fastlead_testkit::channel_conformance!(conformance, Bot);

#[tokio::test]
async fn every_trouble_has_its_kind_and_its_hint() {
    let bot = Bot::start(Updates::Off).await;
    let (patient, hurried) = (bot.max(), bot.with(|config| config.timeout_secs = 1));
    let safe = |secs| RetryHint::Safe { after: Some(Duration::from_secs(secs)) };
    let says = |code, text: &str| Fault::ProviderCode { code, text: text.to_owned() };
    let mut arrived = 0;
    for (fault, kind, retry, arrivals) in [
        (Fault::RateLimited { after_secs: 14 }, ErrorKind::RateLimited, safe(14), 0),
        (Fault::RateLimited { after_secs: 0 }, ErrorKind::RateLimited, RetryHint::SAFE, 0),
        (Fault::ServerError { status: 500 }, ErrorKind::Unavailable, RetryHint::UNKNOWN, 0),
        (Fault::ServerError { status: 502 }, ErrorKind::Unavailable, RetryHint::UNKNOWN, 0),
        (Fault::ServerError { status: 503 }, ErrorKind::Unavailable, RetryHint::UNKNOWN, 0),
        (Fault::ServerError { status: 200 }, ErrorKind::Protocol, RetryHint::UNKNOWN, 0),
        (Fault::ServerError { status: 302 }, ErrorKind::Unavailable, RetryHint::UNKNOWN, 0),
        (Fault::ServerError { status: 308 }, ErrorKind::Unavailable, RetryHint::SAFE, 0),
        (Fault::Hang, ErrorKind::Timeout, RetryHint::UNKNOWN, 0),
        (Fault::DropBeforeAccept, ErrorKind::Unavailable, RetryHint::UNKNOWN, 0),
        (Fault::DropAfterAccept, ErrorKind::Unavailable, RetryHint::UNKNOWN, 1),
        (
            Fault::Answer { body: r#"{"success":true}"#.to_owned() },
            ErrorKind::Protocol,
            RetryHint::UNKNOWN,
            1,
        ),
        (Fault::BadRecipient, ErrorKind::Recipient, RetryHint::Never, 0),
        (Fault::BadCredentials, ErrorKind::Auth, RetryHint::Never, 0),
        (Fault::BadContent, ErrorKind::Content, RetryHint::Never, 0),
        (says(500, "internal.error restart"), ErrorKind::Unavailable, RetryHint::UNKNOWN, 0),
        (says(400, "attachment.not.ready"), ErrorKind::Unavailable, safe(2), 0),
        (says(404, "chat.not.found"), ErrorKind::Recipient, RetryHint::Never, 0),
        (says(403, "access.denied"), ErrorKind::Auth, RetryHint::Never, 0),
        (says(200, "chat.denied Key: error.dialog.suspended"), ErrorKind::Recipient, RetryHint::Never, 0),
    ] {
        let max = if fault == Fault::Hang { &hurried } else { &patient };
        bot.sim.faults().push(fault.clone());
        let error = max.send(&to(ANNA, Text::plain("a"))).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (kind, retry), "{fault:?}: {error}");
        arrived += arrivals;
        assert_eq!(bot.sim.inbox().all().len(), arrived, "one request a send: {fault:?}");
    }
    bot.sim.faults().push(Fault::Delay { millis: 5 });
    patient.send(&to(ANNA, Text::plain("a"))).await.unwrap();
}

#[tokio::test]
async fn a_person_who_stops_the_bot_gets_nothing_until_they_start_it_again() {
    let bot = Bot::start(Updates::Webhook).await;
    let max = bot.max();
    bot.sim.stop_bot(ANNA);
    let error = max.send(&to(ANNA, Text::plain("a"))).await.unwrap_err();
    assert_eq!((error.kind(), error.provider_code()), (ErrorKind::Recipient, Some("chat.denied")));
    assert_eq!(error.context(), [("key", "error.dialog.suspended".to_owned())]);
    bot.sim.start_bot(ANNA, None);
    max.send(&to(ANNA, Text::plain("a"))).await.unwrap();
}

#[tokio::test]
async fn markup_is_shown_and_what_was_escaped_stays_literal() {
    let bot = Bot::start(Updates::Off).await;
    let max = bot.max();
    for (markup, seen, sent) in [
        (
            "<p>Заявка от <b>Анна &lt;script&gt;alert(1)&lt;/script&gt; &amp;amp; &quot;Ко&quot;</b></p><p>срочно<br>сегодня</p>",
            "Заявка от Анна <script>alert(1)</script> &amp; \"Ко\"\n\nсрочно\nсегодня",
            "Заявка от <b>Анна &lt;script&gt;alert(1)&lt;/script&gt; &amp;amp; \"Ко\"</b>\n\nсрочно\nсегодня",
        ),
        ("<table>שלום</table> <u>👍🏽", "שלום 👍🏽", "שלום <u>👍🏽</u>"),
    ] {
        max.send(&to(ANNA, html(markup))).await.unwrap();
        let arrival = bot.sim.inbox().all().pop().unwrap();
        assert_eq!((arrival.text.as_str(), arrival.markup.as_deref()), (seen, Some(sent)));
    }
    // Markup counts: what it makes too long goes without it.
    max.send(&to(ANNA, html(&format!("<b>{}</b>", "я".repeat(3_994))))).await.unwrap();
    assert_eq!(bot.sim.inbox().all().pop().unwrap().text, "plain");
    let without = bot.with(|config| config.formatting = false);
    assert!(!without.capabilities().html);
    without.send(&to(ANNA, html("<b>a</b>"))).await.unwrap();
    let arrival = bot.sim.inbox().all().pop().unwrap();
    assert_eq!((arrival.text.as_str(), arrival.markup), ("plain", None));
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
    to(ANNA, Text { buttons, ..Text::plain("Новая заявка") })
}

fn press_in(event: &InboundEvent) -> (String, Option<ResponseToken>) {
    let InboundKind::Interaction { interaction_id, token, from, .. } = &event.kind else {
        panic!("{event:?}")
    };
    assert_eq!((from.chat.expose().as_str(), from.user.expose().as_str()), ("790000000", "790000000"));
    (interaction_id.clone(), token.as_ref().and_then(|token| token.decode()))
}

fn reply(interaction_id: &str, closes: Option<PressedMessage>) -> OutboundMessage {
    let (interaction_id, text) = (interaction_id.to_owned(), "Заявка за вами.".to_owned());
    let reply = InteractionReply { interaction_id, text, closes };
    outbound(Recipient::Chat(Pii::new(ANNA.to_string())), Content::InteractionReply(reply))
}

#[tokio::test]
async fn a_closed_offer_keeps_only_its_links_and_is_answered_in_one_request() {
    let bot = Bot::start(Updates::Webhook).await;
    let max = bot.max();
    let message = offer();
    let sent = max.send(&message).await.unwrap().provider_message_id.unwrap();
    let data = bot.sim.inbox().all()[0].buttons[0].data.clone();
    bot.sim.press_button(ANNA, &sent, &data).unwrap();
    let event = events(&max, &bot.posted()[0]).remove(0);
    let (interaction_id, token) = press_in(&event);
    assert_eq!(token, Some(ResponseToken { response: Response::Accept, delivery_id: message.delivery_id }));
    let InboundKind::Interaction { message: Some(pressed), .. } = event.kind else { panic!("{event:?}") };
    assert_eq!(pressed.message_id, sent);

    max.send(&reply(&interaction_id, Some(pressed.clone()))).await.unwrap();
    let shown = bot.sim.inbox().all().remove(0);
    let labels: Vec<_> = shown.buttons.iter().map(|button| button.label.as_str()).collect();
    assert_eq!((labels.as_slice(), shown.text.as_str()), (&["Открыть"][..], "Новая заявка"));
    let answered = bot.sim.answered_callbacks();
    assert_eq!(answered.len(), 1, "notice and change are one request");
    assert_eq!(answered[0].notification.as_deref(), Some("Заявка за вами."));

    // Without links the message has no buttons at all.
    max.send(&reply(&interaction_id, Some(PressedMessage { links: Vec::new(), ..pressed.clone() })))
        .await
        .unwrap();
    assert!(bot.sim.inbox().all()[0].buttons.is_empty());

    // A message that is gone cannot be changed, and the person is told all the same.
    bot.sim.delete_message(&sent);
    max.send(&reply(&interaction_id, Some(pressed.clone()))).await.unwrap();
    max.send(&reply(&interaction_id, None)).await.unwrap();
    let changed: Vec<_> = bot.sim.answered_callbacks().iter().map(|answer| answer.changed_message).collect();
    assert_eq!(changed, [true, true, false, false]);

    // After an unknown outcome nothing is asked again, and an invented press cannot be answered.
    bot.sim.faults().push(Fault::ServerError { status: 502 });
    let error = max.send(&reply(&interaction_id, Some(pressed.clone()))).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, RetryHint::UNKNOWN));
    bot.sim.faults().push(Fault::BadCredentials);
    let error = max.send(&reply(&interaction_id, Some(pressed))).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Auth, RetryHint::Never));
    assert_eq!(bot.sim.answered_callbacks().len(), 4);
    let late = max.send(&reply("invented", None)).await.unwrap_err();
    assert_eq!((late.kind(), late.provider_code()), (ErrorKind::Content, Some("not.found")));
    assert_eq!(bot.sim.inbox().all().len(), 1, "an answer to a press is not a message");
}

#[tokio::test]
async fn a_press_under_a_deleted_message_is_answered() {
    let bot = Bot::start(Updates::Webhook).await;
    let max = bot.max();
    let message = offer();
    max.send(&message).await.unwrap();
    let data = bot.sim.inbox().all()[0].buttons[1].data.clone();
    bot.sim.press_button_of_deleted_message(ANNA, &data);
    let event = events(&max, &bot.posted()[0]).remove(0);
    let (interaction_id, token) = press_in(&event);
    assert_eq!(token, Some(ResponseToken { response: Response::Decline, delivery_id: message.delivery_id }));
    let InboundKind::Interaction { message: None, .. } = event.kind else { panic!("{event:?}") };
    max.send(&reply(&interaction_id, None)).await.unwrap();
    assert_eq!(bot.sim.answered_callbacks().len(), 1);
}

#[tokio::test]
async fn an_edit_of_a_message_that_is_gone_is_done_and_others_are_not() {
    let bot = Bot::start(Updates::Off).await;
    let edit = |chat: &str, id: &str| {
        let edit = Edit { message_id: id.to_owned(), text: Text::plain("Взято в работу") };
        outbound(Recipient::Chat(chat.into()), Content::Edit(edit))
    };
    let max = bot.max();
    let gone = max.send(&edit("790000000", "mid.0")).await.unwrap();
    assert_eq!(gone.provider_message_id.as_deref(), Some("mid.0"));
    assert_eq!(max.send(&edit("anna", "mid.0")).await.unwrap_err().kind(), ErrorKind::Recipient);
    bot.sim.faults().push(Fault::DropAfterAccept);
    let unknown = max.send(&edit("790000000", "mid.0")).await.unwrap_err();
    assert_eq!(unknown.retry(), RetryHint::SAFE, "the same edit may be made again");
    bot.sim.faults().push(Fault::BadContent);
    let refused = max.send(&edit("790000000", "mid.0")).await.unwrap_err();
    assert_eq!((refused.kind(), refused.retry()), (ErrorKind::Content, RetryHint::Never));
}

#[tokio::test]
async fn what_max_cannot_show_is_refused_without_asking() {
    let bot = Bot::start(Updates::Webhook).await;
    let max = bot.with(|config| config.endpoint = Some(NOBODY.to_owned()));
    let open = |label: &str, url: &str| Button {
        label: label.to_owned(),
        action: ButtonAction::Open(HttpUrl::try_from(url.to_owned()).unwrap()),
    };
    let long = format!("https://example.com/{}", "x".repeat(2_048));
    for buttons in [
        vec![open(&"я".repeat(129), "https://example.com")],
        vec![open("a", &long)],
        vec![open("a", "https://example.com"); 31],
    ] {
        let error = max.send(&to(ANNA, Text { buttons, ..Text::plain("a") })).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Content, RetryHint::Never), "{error}");
    }
    let error = max.send(&to(ANNA, Text::plain("😀".repeat(2_001)))).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Content, RetryHint::Never));
    for address in ["", "anna", "@anna", "0", "12.5", "+79000000000", "chat:", "https://max.ru/anna"] {
        let message = outbound(Recipient::Chat(address.into()), Content::Text(Text::plain("a")));
        let error = max.send(&message).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Recipient, RetryHint::Never), "{address}");
    }
}

#[tokio::test]
async fn without_updates_only_buttons_that_open_a_page_are_carried() {
    let bot = Bot::start(Updates::Off).await;
    let max = bot.max();
    assert!(max.webhook().is_none() && max.poller().is_none());
    let capabilities = max.capabilities();
    assert!(!capabilities.buttons && !capabilities.inbound && !capabilities.interaction_replies);
    for refused in [offer(), reply("1", None)] {
        let error = max.send(&refused).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Unsupported, RetryHint::Never));
    }
    let mut message = offer();
    let Content::Text(text) = &mut message.content else { panic!("an offer is a text") };
    text.buttons.drain(..2);
    max.send(&message).await.unwrap();
    assert_eq!(bot.sim.inbox().all()[0].buttons[0].data, "https://example.com/lead?a=1&b=2");
}

#[tokio::test]
async fn the_token_is_printed_by_nothing() {
    let bot = Bot::start(Updates::Polling).await;
    let token = bot.sim.token().to_owned();
    let healthy = bot.with(|config| config.timeout_secs = 1);
    let unreachable = bot.with(|config| config.endpoint = Some(NOBODY.to_owned()));
    let mut printed = format!("{healthy:?} {unreachable:#?} {:?}", bot.config());
    for fault in [
        Fault::Hang,
        Fault::DropBeforeAccept,
        Fault::DropAfterAccept,
        Fault::ServerError { status: 302 },
        Fault::ServerError { status: 502 },
        Fault::BadCredentials,
        Fault::ProviderCode { code: 400, text: format!("{token} Key: {token}") },
    ] {
        bot.sim.faults().push(fault.clone());
        printed += &everything_that_prints(&healthy.send(&to(ANNA, Text::plain("a"))).await.unwrap_err());
        bot.sim.faults().push(fault.clone());
        printed += &everything_that_prints(&healthy.unregister().await.unwrap_err());
        bot.sim.update_faults().push(fault);
        printed += &everything_that_prints(&updates::poll(&healthy, None, 0).await.unwrap_err());
    }
    let sent = unreachable.send(&to(ANNA, Text::plain("a"))).await.unwrap_err();
    assert_eq!((sent.kind(), sent.retry()), (ErrorKind::Unavailable, RetryHint::SAFE));
    assert!(sent.source().is_some(), "the cause is kept");
    printed += &everything_that_prints(&sent);
    printed += &everything_that_prints(&unreachable.check().await.unwrap_err());
    for secret in [token.as_str(), SECRET, &ANNA.to_string()] {
        assert!(!printed.contains(secret));
    }
}

#[tokio::test]
async fn a_registry_builds_it_from_json() {
    let bot = Bot::start(Updates::Off).await;
    let registry = Registry::builder().apply(fastlead_channels::register_with(loopback())).build().unwrap();
    let id = ChannelId::generate(&RandomIds, epoch());
    let config = json!({"bot_token": bot.sim.token(), "endpoint": bot.sim.base_url()});
    let channel = registry.build("max", id, "sales-bot", config).unwrap();
    channel.check().await.unwrap();
    assert_eq!(
        (channel.info().kind, channel.info().id, channel.info().name.as_str()),
        ("max", id, "sales-bot")
    );
    let error = registry.build("max", id, "sales-bot", json!({"bot_token": "hidden token"})).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(!format!("{error:?}").contains("hidden"));
}

#[tokio::test]
async fn a_russian_authority_is_trusted_where_the_owner_says_so() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let build = |sim: &MaxSim, ca_pem: Option<&str>| {
        sim.add_person(ANNA, "Anna");
        let mut config = MaxConfig::new(sim.token().into());
        config.endpoint = Some(sim.base_url());
        config.ca_pem = ca_pem.map(str::to_owned);
        Max::with_egress(info(), config, &loopback()).unwrap()
    };
    let sim = MaxSim::start_tls(authority.certify("127.0.0.1")).await.unwrap();
    // Root and intermediate come in one file, as people paste them.
    let max = build(&sim, Some(&format!("{}{}", stranger.pem, authority.pem)));
    max.check().await.unwrap();
    max.send(&to(ANNA, Text::plain("hello"))).await.unwrap();
    assert_eq!(sim.inbox().all().len(), 1);

    let own = Some(authority.pem.as_str());
    for (certificate, ca_pem) in [
        (authority.certify("127.0.0.1"), None),
        (stranger.certify("127.0.0.1"), own),
        (authority.certify("elsewhere.example.org"), own),
        (authority.certify_expired("127.0.0.1"), own),
    ] {
        let sim = MaxSim::start_tls(certificate).await.unwrap();
        let max = build(&sim, ca_pem);
        for error in
            [max.send(&to(ANNA, Text::plain("hello"))).await.unwrap_err(), max.check().await.unwrap_err()]
        {
            // An error of the account: the channel is paused, its owner is told, and nothing is lost.
            assert_eq!((error.kind(), error.retry()), (ErrorKind::Config, RetryHint::Never), "{error}");
            assert!(error.message().contains("ca_pem"), "{error}");
            assert!(!everything_that_prints(&error).contains(sim.token()));
        }
        assert!(sim.inbox().all().is_empty(), "nothing was sent");
    }
}
