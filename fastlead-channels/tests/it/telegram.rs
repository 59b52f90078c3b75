//! The Telegram adapter against the simulated Telegram.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use fastlead_channels::telegram::{Telegram, TelegramConfig, Updates};
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
use fastlead_testkit::sim::telegram::TelegramSim;
use fastlead_testkit::sim::{Arrival, ArrivedButton, Fault, Faults, Inbox};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::certificates::Authority;
use super::egress::loopback;

const ANNA: i64 = 790_000_000;
const GROUP: i64 = -790_000_001;
const SECRET: &str = "webhook-secret-of-the-tests";
const SECRET_HEADER: &str = "x-telegram-bot-api-secret-token";
/// Nobody listens on the discard port here.
const NOBODY: &str = "http://127.0.0.1:9";

mod groups;

struct Bot {
    sim: TelegramSim,
    updates: Updates,
}

impl Bot {
    async fn start(updates: Updates) -> Self {
        let sim = TelegramSim::start().await.unwrap();
        sim.add_chat(ANNA, "Anna");
        sim.add_chat(GROUP, "sales");
        Self { sim, updates }
    }

    fn config(&self) -> TelegramConfig {
        let mut config = TelegramConfig::new(self.sim.token().into());
        config.endpoint = Some(self.sim.base_url());
        config.updates = self.updates;
        config.webhook_secret = Some(SECRET.into());
        config
    }

    fn with(&self, change: impl FnOnce(&mut TelegramConfig)) -> Telegram {
        let mut config = self.config();
        change(&mut config);
        Telegram::with_egress(info(), config, &loopback()).unwrap()
    }

    fn telegram(&self) -> Telegram {
        self.with(|_| {})
    }

    /// What waits at Telegram, as it would be posted.
    fn posted(&self) -> Vec<SampleRequest> {
        self.sim.take_updates().iter().map(|update| post(update).with_header(SECRET_HEADER, SECRET)).collect()
    }
}

fn info() -> ChannelInfo {
    let id = ChannelId::generate(&RandomIds, SystemClock.now());
    ChannelInfo { kind: "telegram", id, name: "sales-bot".to_owned() }
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

fn events(telegram: &Telegram, request: &SampleRequest) -> Vec<InboundEvent> {
    let receiver = telegram.webhook().unwrap();
    request.show(|request| receiver.parse(&receiver.verify(request).unwrap()).unwrap().events)
}

async fn poll(telegram: &Telegram, cursor: Option<&str>, wait_secs: u64) -> Result<PollBatch, Error> {
    telegram.poller().unwrap().poll(cursor, Duration::from_secs(wait_secs), SystemClock.now()).await
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
        Arc::new(self.telegram())
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
        Some(Arc::new(self.with(|config| config.bot_token = "1000000001:some-other-token".into())))
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
            LeftOut::new("Telegram knows no idempotency keys", &["same_key_arrives_once"]),
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
        self.sim.press_start(ANNA, Some("promo_42"));
        self.sim.share_contact(ANNA, "79000000000");
        self.sim.block(ANNA);
        self.sim.unblock(ANNA);
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
            bare.with_query(format!("secret_token={SECRET}")),
        ]
    }

    async fn press(&self, arrival: &Arrival, button: &ArrivedButton) -> Inbound {
        let message_id = arrival.provider_message_id.parse().unwrap();
        self.sim.press_button(arrival.to.parse().unwrap(), message_id, &button.data).unwrap();
        Inbound::ByWebhook(self.posted().remove(0))
    }
}

fastlead_testkit::channel_conformance!(conformance, Bot);

#[tokio::test]
async fn every_trouble_has_its_kind_and_its_hint() {
    let bot = Bot::start(Updates::Off).await;
    let (patient, hurried) = (bot.telegram(), bot.with(|config| config.timeout_secs = 1));
    let safe = |secs| RetryHint::Safe { after: Some(Duration::from_secs(secs)) };
    let says = |code, text: &str| Fault::ProviderCode { code, text: text.to_owned() };
    let mut arrived = 0;
    for (fault, kind, retry, arrivals) in [
        (Fault::RateLimited { after_secs: 14 }, ErrorKind::RateLimited, safe(14), 0),
        (Fault::ServerError { status: 500 }, ErrorKind::Unavailable, RetryHint::UNKNOWN, 0),
        (Fault::ServerError { status: 502 }, ErrorKind::Unavailable, RetryHint::UNKNOWN, 0),
        (Fault::ServerError { status: 504 }, ErrorKind::Unavailable, RetryHint::UNKNOWN, 0),
        (Fault::ServerError { status: 200 }, ErrorKind::Protocol, RetryHint::UNKNOWN, 0),
        (Fault::ServerError { status: 302 }, ErrorKind::Unavailable, RetryHint::UNKNOWN, 0),
        (Fault::ServerError { status: 308 }, ErrorKind::Unavailable, RetryHint::SAFE, 0),
        (Fault::Hang, ErrorKind::Timeout, RetryHint::UNKNOWN, 0),
        (Fault::DropBeforeAccept, ErrorKind::Unavailable, RetryHint::UNKNOWN, 0),
        (Fault::DropAfterAccept, ErrorKind::Unavailable, RetryHint::UNKNOWN, 1),
        (Fault::BadRecipient, ErrorKind::Recipient, RetryHint::Never, 0),
        (Fault::BadCredentials, ErrorKind::Auth, RetryHint::Never, 0),
        (Fault::BadContent, ErrorKind::Content, RetryHint::Never, 0),
        (says(500, "Internal Server Error: restart"), ErrorKind::Unavailable, RetryHint::UNKNOWN, 0),
        (says(404, "Not Found"), ErrorKind::Auth, RetryHint::Never, 0),
        (says(400, "Bad Request: message thread not found"), ErrorKind::Recipient, RetryHint::Never, 0),
    ] {
        let telegram = if fault == Fault::Hang { &hurried } else { &patient };
        bot.sim.faults().push(fault.clone());
        let error = telegram.send(&to(ANNA, Text::plain("a"))).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (kind, retry), "{fault:?}: {error}");
        arrived += arrivals;
        assert_eq!(bot.sim.inbox().all().len(), arrived, "one request a send: {fault:?}");
    }
    bot.sim.faults().push(Fault::Delay { millis: 5 });
    patient.send(&to(ANNA, Text::plain("a"))).await.unwrap();
}

#[tokio::test]
async fn a_text_is_sent_as_written_and_without_preview() {
    let bot = Bot::start(Updates::Off).await;
    let telegram = bot.telegram();
    for text in ["Анна 👩‍👩‍👧 шалом שלום\nвторая <b>строка</b> &amp; *конец*", "🇷🇺 https://example.com"]
    {
        let receipt = telegram.send(&to(ANNA, Text::plain(text))).await.unwrap();
        let arrival = bot.sim.inbox().all().pop().unwrap();
        assert_eq!((arrival.text.as_str(), &arrival.markup), (text, &None));
        assert_eq!(receipt.provider_message_id, Some(arrival.provider_message_id));
        assert!(!receipt.delivered, "Telegram does not say so");
        let request = &arrival.details["request"];
        assert_eq!(request["link_preview_options"], json!({"is_disabled": true}));
        assert!(request.get("parse_mode").is_none());
    }
    telegram
        .send(&outbound(Recipient::Chat("@sales".into()), Content::Text(Text::plain("a"))))
        .await
        .unwrap();
    assert_eq!(bot.sim.inbox().all().pop().unwrap().to, GROUP.to_string());
}

#[tokio::test]
async fn markup_is_shown_and_what_was_escaped_stays_literal() {
    let bot = Bot::start(Updates::Off).await;
    let telegram = bot.telegram();
    for (markup, seen, sent) in [
        (
            "<p>Заявка от <b>Анна &lt;script&gt;alert(1)&lt;/script&gt; &amp;amp; &quot;Ко&quot;</b></p><p>срочно<br>сегодня</p>",
            "Заявка от Анна <script>alert(1)</script> &amp; \"Ко\"\n\nсрочно\nсегодня",
            "Заявка от <b>Анна &lt;script&gt;alert(1)&lt;/script&gt; &amp;amp; &quot;Ко&quot;</b>\n\nсрочно\nсегодня",
        ),
        (
            "<i>&lt;a href=&quot;https://evil.example&quot;&gt;x&lt;/a&gt;</i>",
            "<a href=\"https://evil.example\">x</a>",
            "<i>&lt;a href=&quot;https://evil.example&quot;&gt;x&lt;/a&gt;</i>",
        ),
        ("<h1>שלום</h1> <u>👍🏽", "שלום 👍🏽", "שלום <u>👍🏽</u>"),
    ] {
        telegram.send(&to(ANNA, html(markup))).await.unwrap();
        let arrival = bot.sim.inbox().all().pop().unwrap();
        assert_eq!((arrival.text.as_str(), arrival.markup.as_deref()), (seen, Some(sent)));
    }
    let error = telegram.send(&to(ANNA, html("<p></p>"))).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Content, "message text is empty"));
}

#[tokio::test]
async fn no_markup_makes_telegram_refuse_the_message() {
    let bot = Bot::start(Updates::Off).await;
    let telegram = bot.telegram();
    let pieces = [
        "<b>",
        "</b>",
        "<i>",
        "</i>",
        "<p>",
        "</p>",
        "<br/>",
        "<a href=\"https://example.com\">",
        "</a>",
        "<a>",
        "<a href='",
        "<pre>",
        "</pre>",
        "<span>",
        "</span>",
        "<",
        ">",
        "&",
        "&lt;",
        "&#",
        "\"",
        "'",
        "=",
        "/",
        "<!--",
        "-->",
        " ",
        "\n",
        "текст",
        "😀",
        "<b",
        "</",
        "<code class=x>",
    ];
    // A fixed linear congruential generator: the same markup on every run.
    let mut state: usize = 20_260_611;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    for _ in 0..300 {
        let markup: String = (0..next() % 14).map(|_| pieces[next() % pieces.len()]).collect();
        let markup = format!("a{markup}");
        let outcome = telegram.send(&to(ANNA, html(&markup))).await;
        assert!(outcome.is_ok(), "{markup:?}: {outcome:?}");
    }
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

fn reply(interaction_id: &str, text: &str) -> OutboundMessage {
    let (interaction_id, text) = (interaction_id.to_owned(), text.to_owned());
    let reply = InteractionReply { interaction_id, text, closes: None };
    outbound(Recipient::Chat(Pii::new(ANNA.to_string())), Content::InteractionReply(reply))
}

#[tokio::test]
async fn a_press_comes_by_polling_and_is_answered() {
    let bot = Bot::start(Updates::Polling).await;
    let telegram = bot.telegram();
    let message = offer();
    let sent = telegram.send(&message).await.unwrap().provider_message_id.unwrap();
    let arrival = bot.sim.inbox().all().remove(0);
    let labels: Vec<_> =
        arrival.buttons.iter().map(|button| (button.label.as_str(), button.opens_url)).collect();
    assert_eq!(labels, [("Беру", false), ("Не беру", false), ("Открыть", true)]);

    let (batch, ()) = tokio::join!(poll(&telegram, None, 50), async {
        bot.sim.wait_for_polls(1).await;
        bot.sim.press_button(ANNA, sent.parse().unwrap(), &arrival.buttons[1].data).unwrap();
    });
    let batch = batch.unwrap();
    let (interaction_id, token) = press_in(&batch.events[0]);
    assert_eq!(token, Some(ResponseToken { response: Response::Decline, delivery_id: message.delivery_id }));

    let receipt = telegram.send(&reply(&interaction_id, "Понятно")).await.unwrap();
    assert_eq!(receipt.provider_message_id, None);
    assert_eq!(bot.sim.answered_callbacks()[0].text, "Понятно");
    let late = telegram.send(&reply("1", "Поздно")).await.unwrap_err();
    assert_eq!((late.kind(), late.provider_code()), (ErrorKind::Content, Some("query_is_too_old")));
    let long = telegram.send(&reply(&interaction_id, &"я".repeat(201))).await.unwrap_err();
    assert_eq!((long.kind(), long.retry()), (ErrorKind::Content, RetryHint::Never));
    assert_eq!(bot.sim.inbox().all().len(), 1, "an answer to a press is not a message");
}

#[tokio::test]
async fn a_closed_offer_keeps_only_its_links_and_a_failed_edit_fails_nothing() {
    let bot = Bot::start(Updates::Webhook).await;
    let telegram = bot.telegram();
    let sent = telegram.send(&offer()).await.unwrap().provider_message_id.unwrap();
    let data = bot.sim.inbox().all()[0].buttons[0].data.clone();
    bot.sim.press_button(ANNA, sent.parse().unwrap(), &data).unwrap();
    let event = events(&telegram, &bot.posted()[0]).remove(0);
    let (interaction_id, _) = press_in(&event);
    let InboundKind::Interaction { message: Some(pressed), .. } = event.kind else { panic!("{event:?}") };
    assert_eq!(pressed.message_id, sent);
    let closing = |closes: PressedMessage| {
        let mut closing = reply(&interaction_id, "Заявка за вами.");
        let Content::InteractionReply(reply) = &mut closing.content else { unreachable!() };
        reply.closes = Some(closes);
        closing
    };
    telegram.send(&closing(pressed.clone())).await.unwrap();
    let shown = bot.sim.inbox().all().remove(0);
    let labels: Vec<_> = shown.buttons.iter().map(|button| button.label.as_str()).collect();
    assert_eq!((labels.as_slice(), shown.text.as_str()), (&["Открыть"][..], "Новая заявка"));

    // Without links the message has no buttons at all.
    let bare = PressedMessage { links: Vec::new(), ..pressed.clone() };
    telegram.send(&closing(bare.clone())).await.unwrap();
    assert!(bot.sim.inbox().all()[0].buttons.is_empty());

    // The same again is "message is not modified"; a message that is gone cannot be edited either.
    telegram.send(&closing(bare)).await.unwrap();
    telegram
        .send(&closing(PressedMessage { message_id: "999".to_owned(), ..pressed.clone() }))
        .await
        .unwrap();
    telegram.send(&closing(PressedMessage { message_id: "x".to_owned(), ..pressed.clone() })).await.unwrap();
    let answered = bot.sim.answered_callbacks();
    assert_eq!(answered.len(), 5, "every press was answered");
    // A press that cannot be answered is an error, and nothing is edited then.
    bot.sim.faults().push(Fault::ServerError { status: 502 });
    let error = telegram.send(&closing(pressed)).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, RetryHint::UNKNOWN));
    assert!(bot.sim.inbox().all()[0].buttons.is_empty());
}

#[tokio::test]
async fn polling_gives_the_same_again_until_a_later_cursor_is_asked_for() {
    let bot = Bot::start(Updates::Polling).await;
    let telegram = bot.telegram();
    bot.sim.push_update("message", json!({"strange": true})).unwrap();
    bot.sim.write(ANNA, "раз");
    bot.sim.write(ANNA, "два");
    let first = poll(&telegram, None, 0).await.unwrap();
    let again = poll(&telegram, None, 0).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(first.events.len(), 2, "what cannot be read is skipped and does not block");
    let ids: Vec<_> = first.events.iter().map(|event| event.provider_event_id.as_str()).collect();
    assert_ne!(ids[0], ids[1]);
    let cursor = first.cursor.unwrap();
    let rest = poll(&telegram, Some(&cursor), 0).await.unwrap();
    assert_eq!((rest.events.len(), rest.cursor), (0, None), "nothing new keeps the cursor");
    assert_eq!(bot.sim.pending_updates(), 0);
    for cursor in ["", "-1", "0", "next", "99999999999"] {
        let error = poll(&telegram, Some(cursor), 0).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Invalid, RetryHint::Never), "{cursor}");
    }
}

#[tokio::test]
async fn troubles_of_polling_are_safe_to_repeat_unless_a_webhook_is_set() {
    let bot = Bot::start(Updates::Polling).await;
    let (telegram, hurried) = (bot.telegram(), bot.with(|config| config.timeout_secs = 1));
    for (fault, kind) in [
        (Fault::ServerError { status: 502 }, ErrorKind::Unavailable),
        (Fault::DropBeforeAccept, ErrorKind::Unavailable),
        (Fault::Hang, ErrorKind::Timeout),
        (Fault::RateLimited { after_secs: 3 }, ErrorKind::RateLimited),
    ] {
        let asking = if fault == Fault::Hang { &hurried } else { &telegram };
        bot.sim.update_faults().push(fault.clone());
        let error = poll(asking, None, 0).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{fault:?}");
        assert!(matches!(error.retry(), RetryHint::Safe { .. }), "{fault:?}: {error:?}");
    }
    let polls = bot.sim.poll_count();
    let (ended, _second) = tokio::join!(poll(&telegram, None, 50), async {
        bot.sim.wait_for_polls(polls + 1).await;
        poll(&telegram, None, 0).await
    });
    let error = ended.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Conflict, RetryHint::SAFE));

    let caller = Bot { sim: bot.sim.clone(), updates: Updates::Webhook }.telegram();
    caller.register("https://leads.example.com/hook").await.unwrap();
    let error = poll(&telegram, None, 0).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Config, RetryHint::Never));
    // Who only asks finds that, too.
    let error = telegram.check().await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Config, RetryHint::Never));
    assert!(error.message().contains("webhook"), "{error}");
    telegram.unregister().await.unwrap();
    poll(&telegram, None, 0).await.unwrap();
    telegram.check().await.unwrap();
    assert_eq!(telegram.poller().unwrap().account(), bot.sim.token().split(':').next().unwrap());
}

/// Takes one HTTP request from Telegram and answers 200.
async fn one_post(listener: &TcpListener) -> SampleRequest {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut received = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).await.unwrap();
        received.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&received).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let headers: Vec<_> = head.lines().skip(1).filter_map(|line| line.split_once(": ")).collect();
        let length = headers.iter().find(|(name, _)| *name == "Content-Length").unwrap().1;
        if body.len() >= length.parse().unwrap() {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            let bare = SampleRequest::post(body.to_owned());
            return headers.iter().fold(bare, |request, (name, value)| request.with_header(name, *value));
        }
    }
}

#[tokio::test]
async fn a_press_comes_by_the_webhook_that_was_set() {
    let bot = Bot::start(Updates::Webhook).await;
    let telegram = bot.telegram();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    bot.sim.put_in_front("https://leads.example.com", &format!("http://{}", listener.local_addr().unwrap()));
    telegram.registration().unwrap().register("https://leads.example.com/hook").await.unwrap();
    let message = offer();
    let sent = telegram.send(&message).await.unwrap().provider_message_id.unwrap();
    let data = bot.sim.inbox().all()[0].buttons[0].data.clone();
    assert!(
        bot.sim.push_update("edited_message", json!({})).is_none(),
        "only what we understand is asked for"
    );
    bot.sim.press_button(ANNA, sent.parse().unwrap(), &data).unwrap();
    let posted = tokio::time::timeout(Duration::from_secs(10), one_post(&listener)).await.unwrap();
    let events = events(&telegram, &posted);
    let (_, token) = press_in(&events[0]);
    assert_eq!(token, Some(ResponseToken { response: Response::Accept, delivery_id: message.delivery_id }));
    assert_eq!(events[0].occurred_at, posted.received_at);
}

#[tokio::test]
async fn a_webhook_is_registered_looked_at_and_taken_back() {
    let bot = Bot::start(Updates::Webhook).await;
    let telegram = bot.telegram();
    let registration = telegram.registration().unwrap();
    let status = registration.status().await.unwrap();
    assert_eq!((status.url, status.complete, status.waiting), (None, true, 0));
    let url = "https://leads.example.com/webhooks/unguessable-token";
    registration.register(url).await.unwrap();
    registration.register(url).await.unwrap();
    assert!(
        bot.sim.push_update("edited_message", json!({})).is_none(),
        "only what we understand is asked for"
    );
    bot.sim.write(ANNA, "nobody is at that address");
    bot.sim.wait_for_webhook_failure().await;
    let status = registration.status().await.unwrap();
    assert!(!format!("{status:?}").contains("unguessable"), "{status:?}");
    assert_eq!(status.url.unwrap().expose(), url);
    assert_eq!((status.complete, status.waiting), (true, 1));
    assert!(!status.last_failure.unwrap().contains("unguessable"));
    bot.sim.choose_updates(&["message"]);
    assert!(!registration.status().await.unwrap().complete, "presses of buttons are not asked for");
    registration.unregister().await.unwrap();
    registration.unregister().await.unwrap();
    assert_eq!((bot.sim.webhook_url(), bot.sim.pending_updates()), (None, 1), "what waits is kept");

    for refused in
        ["not an address", "ftp://example.com/", "http://example.com/hook", "https://example.com:8080/hook"]
    {
        let error = registration.register(refused).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Invalid, RetryHint::Never), "{refused}");
    }
    bot.sim.faults().push(Fault::ServerError { status: 502 });
    let error = registration.register(url).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, RetryHint::SAFE));
    for updates in [Updates::Off, Updates::Polling] {
        let without = bot.with(|config| config.updates = updates);
        assert!(without.registration().is_none());
        assert_eq!(without.register(url).await.unwrap_err().kind(), ErrorKind::Config);
    }
}

#[tokio::test]
async fn people_and_groups_come_as_events() {
    let bot = Bot::start(Updates::Webhook).await;
    let telegram = bot.telegram();
    bot.sim.set_language(ANNA, "ru");
    bot.sim.press_start(ANNA, Some("promo_42"));
    bot.sim.press_start(GROUP, Some("g-1"));
    bot.sim.send_photo(ANNA, Some("подпись"));
    bot.sim.share_contact(ANNA, "79000000000");
    bot.sim.share_contact_of(ANNA, 790_000_099, "79000000001");
    bot.sim.block(ANNA);
    bot.sim.unblock(ANNA);
    bot.sim.upgrade_group(GROUP, -1_000_790_000_001);
    bot.sim.push_update("invented_tomorrow", json!({"x": 1})).unwrap();
    let seen: Vec<_> = bot
        .posted()
        .iter()
        .flat_map(|request| events(&telegram, request))
        .map(|event| match event.kind {
            InboundKind::Started { from, payload } => {
                let language = from.language.unwrap_or_default();
                format!("started {} {language} {}", from.chat.expose(), payload.unwrap_or_default())
            }
            InboundKind::Message { text, .. } => format!("message {}", text.expose()),
            InboundKind::PhoneShared { phone, .. } => format!("phone {}", phone.expose()),
            InboundKind::Blocked { from } => format!("blocked {}", from.user.expose()),
            InboundKind::Unblocked { from } => format!("unblocked {}", from.user.expose()),
            InboundKind::ChatMoved { from_chat, to_chat } => {
                format!("moved {} {}", from_chat.expose(), to_chat.expose())
            }
            other => format!("{other:?}"),
        })
        .collect();
    let expected = [
        "started 790000000 ru promo_42",
        "started -790000001  g-1",
        "message подпись",
        "phone 79000000000",
        "message ",
        "blocked 790000000",
        "unblocked 790000000",
        "moved -790000001 -1000790000001",
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn without_updates_only_buttons_that_open_a_page_are_carried() {
    let bot = Bot::start(Updates::Off).await;
    let telegram = bot.telegram();
    assert!(telegram.webhook().is_none() && telegram.poller().is_none());
    let capabilities = telegram.capabilities();
    assert!(!capabilities.buttons && !capabilities.inbound && !capabilities.interaction_replies);
    for refused in [offer(), reply("1", "a")] {
        let error = telegram.send(&refused).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Unsupported, RetryHint::Never));
    }
    let mut message = offer();
    let Content::Text(text) = &mut message.content else { panic!("an offer is a text") };
    text.buttons.drain(..2);
    telegram.send(&message).await.unwrap();
    assert_eq!(bot.sim.inbox().all()[0].buttons[0].data, "https://example.com/lead?a=1&b=2");
}

#[tokio::test]
async fn an_address_that_telegram_cannot_have_is_refused_without_asking() {
    let bot = Bot::start(Updates::Off).await;
    let telegram = bot.with(|config| config.endpoint = Some(NOBODY.to_owned()));
    for address in ["", "anna", "@", "@an na", "12.5", "+79000000000x", "https://t.me/anna"] {
        let message = outbound(Recipient::Chat(address.into()), Content::Text(Text::plain("a")));
        let error = telegram.send(&message).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Recipient, RetryHint::Never), "{address}");
    }
}

#[tokio::test]
async fn the_token_is_printed_by_nothing() {
    let bot = Bot::start(Updates::Polling).await;
    let token = bot.sim.token().split_once(':').unwrap().1.to_owned();
    let healthy = bot.with(|config| config.timeout_secs = 1);
    let unreachable = bot.with(|config| config.endpoint = Some(NOBODY.to_owned()));
    let by_proxy = bot.with(|config| config.proxy = Some("http://user:proxy-password@127.0.0.1:9".into()));
    let mut printed = format!("{healthy:?} {unreachable:#?} {by_proxy:?} {:?}", bot.config());
    for fault in [
        Fault::Hang,
        Fault::DropBeforeAccept,
        Fault::DropAfterAccept,
        Fault::ServerError { status: 302 },
        Fault::ServerError { status: 502 },
        Fault::BadCredentials,
        Fault::ProviderCode { code: 400, text: format!("Bad Request: wrong \"{token}\"") },
    ] {
        bot.sim.faults().push(fault.clone());
        printed += &everything_that_prints(&healthy.send(&to(ANNA, Text::plain("a"))).await.unwrap_err());
        bot.sim.faults().push(fault.clone());
        printed += &everything_that_prints(&healthy.check().await.unwrap_err());
        bot.sim.faults().push(fault.clone());
        printed += &everything_that_prints(&healthy.unregister().await.unwrap_err());
        bot.sim.update_faults().push(fault);
        printed += &everything_that_prints(&poll(&healthy, None, 0).await.unwrap_err());
    }
    for telegram in [&unreachable, &by_proxy] {
        let sent = telegram.send(&to(ANNA, Text::plain("a"))).await.unwrap_err();
        assert_eq!((sent.kind(), sent.retry()), (ErrorKind::Unavailable, RetryHint::SAFE));
        assert!(sent.source().is_some(), "the cause is kept");
        printed += &everything_that_prints(&sent);
        printed += &everything_that_prints(&telegram.check().await.unwrap_err());
        printed += &everything_that_prints(&poll(telegram, None, 0).await.unwrap_err());
    }
    for secret in [token.as_str(), SECRET, "proxy-password", &token.replace('-', "%2D")] {
        assert!(!printed.contains(secret));
    }
}

#[tokio::test]
async fn an_edit_of_a_message_that_is_gone_is_done_and_others_are_not() {
    let bot = Bot::start(Updates::Off).await;
    let edit = |chat: i64, id: &str| {
        let edit = Edit { message_id: id.to_owned(), text: Text::plain("Взято в работу") };
        outbound(Recipient::Chat(Pii::new(chat.to_string())), Content::Edit(edit))
    };
    let telegram = bot.telegram();
    assert_eq!(telegram.send(&edit(ANNA, "999")).await.unwrap().provider_message_id.as_deref(), Some("999"));
    assert_eq!(telegram.send(&edit(ANNA, "no-number")).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(telegram.send(&edit(791_000_000, "999")).await.unwrap_err().kind(), ErrorKind::Recipient);
    bot.sim.faults().push(Fault::DropAfterAccept);
    let unknown = telegram.send(&edit(ANNA, "999")).await.unwrap_err();
    assert_eq!(unknown.retry(), RetryHint::SAFE, "the same edit may be made again");
}

#[tokio::test]
async fn a_registry_builds_it_from_json() {
    let bot = Bot::start(Updates::Off).await;
    let registry = Registry::builder().apply(fastlead_channels::register_with(loopback())).build().unwrap();
    let id = ChannelId::generate(&RandomIds, epoch());
    let config = json!({"bot_token": bot.sim.token(), "endpoint": bot.sim.base_url()});
    let channel = registry.build("telegram", id, "sales-bot", config).unwrap();
    channel.check().await.unwrap();
    assert_eq!(
        (channel.info().kind, channel.info().id, channel.info().name.as_str()),
        ("telegram", id, "sales-bot")
    );
    let error =
        registry.build("telegram", id, "sales-bot", json!({"bot_token": "hidden-token"})).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(!format!("{error:?}").contains("hidden-token"));
}

#[tokio::test]
async fn a_certificate_that_does_not_fit_gets_nothing_and_its_owner_is_told() {
    for certificate in Authority::new().unacceptable("127.0.0.1") {
        let sim = TelegramSim::start_tls(certificate).await.unwrap();
        sim.add_chat(ANNA, "Anna");
        let mut config = TelegramConfig::new(sim.token().into());
        config.endpoint = Some(sim.base_url());
        config.updates = Updates::Polling;
        let telegram = Telegram::with_egress(info(), config, &loopback()).unwrap();
        for error in [
            telegram.send(&to(ANNA, Text::plain("hello"))).await.unwrap_err(),
            telegram.check().await.unwrap_err(),
            poll(&telegram, None, 0).await.unwrap_err(),
        ] {
            // An error of the account: the channel is paused, its owner is told, and nothing is lost.
            assert_eq!((error.kind(), error.retry()), (ErrorKind::Config, RetryHint::Never), "{error}");
            assert!(error.message().contains("the server's certificate has expired"), "{error}");
            assert!(!everything_that_prints(&error).contains(sim.token()));
        }
        assert!(sim.inbox().all().is_empty() && sim.poll_count() == 0, "nothing was sent");
    }
}
