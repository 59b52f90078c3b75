//! The VK adapter against the simulated VK.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use fastlead_channels::vk::{LeadForm, Vk, VkConfig};
use fastlead_core::channel::{Channel, ChannelInfo, InboundEvent, InboundKind};
use fastlead_core::id::{ChannelId, RandomIds};
use fastlead_core::message::url_text::HttpUrl;
use fastlead_core::message::{
    Button, ButtonAction, Content, Edit, InteractionReply, OutboundMessage, Recipient, Response,
    ResponseToken, Text,
};
use fastlead_core::registry::Registry;
use fastlead_core::secret::Pii;
use fastlead_core::time::{Clock, SystemClock, epoch};
use fastlead_core::webhook::{WebhookRegistration, WebhookReply};
use fastlead_core::{Error, ErrorKind, RetryHint, async_trait};
use fastlead_testkit::conformance::LeftOut;
use fastlead_testkit::conformance::channel::{ChannelHarness, Inbound, SampleRequest, outbound};
use fastlead_testkit::sim::vk::{FilledForm, VkSim};
use fastlead_testkit::sim::{Arrival, ArrivedButton, Fault, Faults, Inbox};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::certificates::Authority;
use super::egress::loopback;

const ANNA: i64 = 790_000_000;
const SECRET: &str = "callback-secret-of-the-tests";
const TITLE: &str = "FastLead";
const URL: &str = "https://leads.example.com/webhooks/unguessable-token";
/// Nobody listens on the discard port here.
const NOBODY: &str = "http://127.0.0.1:9";

struct Community {
    sim: VkSim,
    hears: bool,
}

impl Community {
    async fn start(hears: bool) -> Self {
        let sim = VkSim::start().await.unwrap();
        sim.add_person(ANNA, "Anna");
        sim.set_secret(SECRET);
        Self { sim, hears }
    }

    fn config(&self) -> VkConfig {
        let group_id = self.sim.group_id().try_into().unwrap();
        let mut config = VkConfig::new(self.sim.token().into(), group_id);
        config.endpoint = Some(self.sim.base_url());
        config.callback_secret = self.hears.then(|| SECRET.into());
        config
    }

    fn with(&self, change: impl FnOnce(&mut VkConfig)) -> Vk {
        let mut config = self.config();
        change(&mut config);
        Vk::with_egress(info(), config, &loopback()).unwrap()
    }

    fn vk(&self) -> Vk {
        self.with(|_| {})
    }

    /// What waits at VK, as it would be posted.
    fn posted(&self) -> Vec<SampleRequest> {
        self.sim.take_events().iter().map(post).collect()
    }
}

fn info() -> ChannelInfo {
    let id = ChannelId::generate(&RandomIds, SystemClock.now());
    ChannelInfo { kind: "vk", id, name: "community".to_owned() }
}

fn post(event: &Value) -> SampleRequest {
    SampleRequest::post(event.to_string()).with_header("content-type", "application/json")
}

fn to(peer: i64, text: Text) -> OutboundMessage {
    outbound(Recipient::Chat(Pii::new(peer.to_string())), Content::Text(text))
}

fn taken(vk: &Vk, request: &SampleRequest) -> (Vec<InboundEvent>, WebhookReply) {
    let receiver = vk.webhook().unwrap();
    request.show(|request| {
        let batch = receiver.parse(&receiver.verify(request).unwrap()).unwrap();
        (batch.events, batch.reply)
    })
}

fn events(vk: &Vk, request: &SampleRequest) -> Vec<InboundEvent> {
    let (events, reply) = taken(vk, request);
    assert_eq!((reply.status, &reply.body[..]), (200, &b"ok"[..]));
    events
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

fn form() -> FilledForm {
    let answer = |key: &str, question: &str, answer: &str| (key.into(), question.into(), answer.into());
    FilledForm {
        lead_id: 39_842_910,
        form_name: "Promo".to_owned(),
        answers: vec![
            answer("first_name", "First name", "Ivan"),
            answer("phone_number", "Phone number", "+7 (900) 000-00-00"),
        ],
    }
}

#[async_trait]
impl ChannelHarness for Community {
    async fn start() -> Self {
        Self::start(true).await
    }

    fn channel(&self) -> Arc<dyn Channel> {
        Arc::new(self.vk())
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
        Some(Arc::new(self.with(|config| config.access_token = "vk1.a.some-other-token".into())))
    }

    fn unreachable(&self) -> Option<Arc<dyn Channel>> {
        Some(Arc::new(self.with(|config| config.endpoint = Some(NOBODY.to_owned()))))
    }

    fn left_out() -> Vec<LeftOut> {
        vec![
            LeftOut::new(
                "a message of VK has neither subject nor markup nor lifetime, and is for people",
                &["subject_is_shown", "html_is_shown", "lifetime_is_passed_on_as_declared", "event_arrives"],
            ),
            LeftOut::new("people answer by buttons and messages", &["answers_come_back_as_declared"]),
            LeftOut::new("sending costs nothing", &["empty_balance_is_balance"]),
        ]
    }

    fn rate_limit_names_delay(&self) -> bool {
        false
    }

    fn impatient(&self) -> Option<Arc<dyn Channel>> {
        Some(Arc::new(self.with(|config| config.timeout_secs = 1)))
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.sim.token().to_owned(), "vk1.a.some-other-token".to_owned(), SECRET.to_owned()]
    }

    async fn genuine_webhooks(&self) -> Vec<SampleRequest> {
        self.sim.write(ANNA, "Здравствуйте");
        self.sim.write_with(ANNA, json!({"text": "С сайта", "ref": "promo_42"}));
        self.sim.press_start(ANNA, Some("promo_43"));
        self.sim.deny(ANNA);
        self.sim.allow(ANNA, "order_7");
        self.sim.fill_in(ANNA, &form());
        self.posted()
    }

    async fn forged_webhooks(&self) -> Vec<SampleRequest> {
        self.sim.write(ANNA, "Здравствуйте");
        let genuine = self.sim.take_events().remove(0);
        let mut forged = Vec::new();
        for (field, value) in [
            ("secret", Value::Null),
            ("secret", json!("")),
            ("secret", json!("callback-secret-of-the-testz")),
            ("secret", json!(&SECRET[1..])),
            ("group_id", json!(1)),
        ] {
            let mut event = genuine.clone();
            event[field] = value;
            forged.push(post(&event));
        }
        let mut bare = genuine;
        bare.as_object_mut().unwrap().remove("secret");
        forged.push(post(&bare).with_query(format!("secret={SECRET}")).with_header("secret", SECRET));
        forged
    }

    async fn press(&self, arrival: &Arrival, button: &ArrivedButton) -> Inbound {
        let message_id = arrival.provider_message_id.parse().unwrap();
        self.sim.press_button(arrival.to.parse().unwrap(), message_id, &button.data).unwrap();
        Inbound::ByWebhook(self.posted().remove(0))
    }
}

fastlead_testkit::channel_conformance!(conformance, Community);

#[tokio::test]
async fn every_trouble_has_its_kind_and_its_hint() {
    let community = Community::start(false).await;
    let (patient, hurried) = (community.vk(), community.with(|config| config.timeout_secs = 1));
    let safe = |secs| RetryHint::Safe { after: Some(Duration::from_secs(secs)) };
    let says = |code, text: &str| Fault::ProviderCode { code, text: text.to_owned() };
    let mut arrived = 0;
    for (fault, kind, retry, arrivals) in [
        (Fault::RateLimited { after_secs: 14 }, ErrorKind::RateLimited, safe(1), 0),
        (says(9, "Flood control"), ErrorKind::RateLimited, safe(120), 0),
        (says(29, "Rate limit reached"), ErrorKind::RateLimited, safe(3_600), 0),
        (says(10, "Internal server error"), ErrorKind::Unavailable, RetryHint::UNKNOWN, 0),
        (says(14, "Captcha needed"), ErrorKind::Auth, RetryHint::Never, 0),
        (says(912, "This is a chat bot feature"), ErrorKind::Config, RetryHint::Never, 0),
        (says(31_337, "invented tomorrow"), ErrorKind::Protocol, RetryHint::UNKNOWN, 0),
        (Fault::ServerError { status: 500 }, ErrorKind::Unavailable, RetryHint::UNKNOWN, 0),
        (Fault::ServerError { status: 502 }, ErrorKind::Unavailable, RetryHint::UNKNOWN, 0),
        (Fault::ServerError { status: 200 }, ErrorKind::Protocol, RetryHint::UNKNOWN, 0),
        (Fault::Hang, ErrorKind::Timeout, RetryHint::UNKNOWN, 0),
        (Fault::DropBeforeAccept, ErrorKind::Unavailable, RetryHint::UNKNOWN, 0),
        (Fault::DropAfterAccept, ErrorKind::Unavailable, RetryHint::UNKNOWN, 1),
        (Fault::BadRecipient, ErrorKind::Recipient, RetryHint::Never, 0),
        (Fault::BadCredentials, ErrorKind::Auth, RetryHint::Never, 0),
        (Fault::BadContent, ErrorKind::Content, RetryHint::Never, 0),
    ] {
        let vk = if fault == Fault::Hang { &hurried } else { &patient };
        community.sim.faults().push(fault.clone());
        let error = vk.send(&to(ANNA, Text::plain("a"))).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (kind, retry), "{fault:?}: {error}");
        arrived += arrivals;
        assert_eq!(community.sim.inbox().all().len(), arrived, "one request a send: {fault:?}");
    }
    community.sim.faults().push(Fault::Delay { millis: 5 });
    patient.send(&to(ANNA, Text::plain("a"))).await.unwrap();
}

fn offer(peer: i64) -> OutboundMessage {
    let answer =
        |label: &str, response| Button { label: label.to_owned(), action: ButtonAction::Respond(response) };
    let page = HttpUrl::try_from("https://example.com/lead?a=1&b=2".to_owned()).unwrap();
    let buttons = vec![
        answer("Беру", Response::Accept),
        answer("Не беру", Response::Decline),
        Button { label: "Открыть".to_owned(), action: ButtonAction::Open(page) },
    ];
    to(peer, Text { buttons, ..Text::plain("Новая заявка") })
}

fn reply(peer: i64, interaction_id: &str, text: &str) -> OutboundMessage {
    let (interaction_id, text) = (interaction_id.to_owned(), text.to_owned());
    let reply = InteractionReply { interaction_id, text, closes: None };
    outbound(Recipient::Chat(Pii::new(peer.to_string())), Content::InteractionReply(reply))
}

#[tokio::test]
async fn a_press_in_a_shared_chat_is_answered_to_who_pressed_and_the_offer_is_changed() {
    let community = Community::start(true).await;
    let vk = community.vk();
    let chat = community.sim.add_chat(1, "Продажи");
    let message = offer(chat);
    let sent = vk.send(&message).await.unwrap().provider_message_id.unwrap();
    assert_eq!(sent, format!("{chat}_1"));
    let arrival = community.sim.inbox().all().remove(0);
    let colors: Vec<_> = {
        let keyboard: Value =
            serde_json::from_str(community.sim.requests()[0]["keyboard"].as_str().unwrap()).unwrap();
        (0..3).map(|row| keyboard["buttons"][row][0]["color"].clone()).collect()
    };
    assert_eq!(colors, [json!("positive"), json!("negative"), Value::Null]);

    let id = arrival.provider_message_id.parse().unwrap();
    community.sim.press_button_as(chat, id, &arrival.buttons[0].data, ANNA).unwrap();
    let event = events(&vk, &community.posted()[0]).remove(0);
    let InboundKind::Interaction { interaction_id, token, from, message: None } = event.kind else {
        panic!("{event:?}")
    };
    assert_eq!((from.chat.expose().as_str(), from.user.expose().as_str()), ("2000000001", "790000000"));
    let expected = ResponseToken { response: Response::Accept, delivery_id: message.delivery_id };
    assert_eq!(token.unwrap().decode(), Some(expected));
    vk.send(&reply(chat, &interaction_id, "Заявка за вами.")).await.unwrap();
    let answered = community.sim.answered_presses().remove(0);
    assert_eq!((answered.user_id, answered.peer_id, answered.text.as_str()), (ANNA, chat, "Заявка за вами."));

    let edit =
        Edit { message_id: sent.clone(), text: Text::plain("Новая заявка\nВзято: Анна") };
    let edit = outbound(Recipient::Chat(Pii::new(chat.to_string())), Content::Edit(edit));
    assert_eq!(vk.send(&edit).await.unwrap().provider_message_id, Some(sent));
    let shown = community.sim.inbox().all().remove(0);
    assert_eq!((shown.text.as_str(), shown.buttons.len()), ("Новая заявка\nВзято: Анна", 0));
}

#[tokio::test]
async fn a_press_that_is_answered_twice_or_late_is_dropped_with_a_reason() {
    let community = Community::start(true).await;
    let vk = community.vk();
    vk.send(&offer(ANNA)).await.unwrap();
    let arrival = community.sim.inbox().all().remove(0);
    let id = arrival.provider_message_id.parse().unwrap();
    let first = community.sim.press_button(ANNA, id, &arrival.buttons[0].data).unwrap();
    let second = community.sim.press_button(ANNA, id, &arrival.buttons[1].data).unwrap();
    vk.send(&reply(ANNA, &first, &"я".repeat(200))).await.unwrap();
    let shown = community.sim.answered_presses().remove(0).text;
    assert_eq!((shown.chars().count(), shown.ends_with('…')), (90, true));
    community.sim.forget_press(&second);
    for late in [first, second] {
        let error = vk.send(&reply(ANNA, &late, "Поздно")).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Content, RetryHint::Never));
        assert_eq!((error.operation(), error.provider_code()), ("answer", Some("100")));
    }
    assert_eq!(community.sim.inbox().all().len(), 1, "an answer to a press is not a message");
}

#[tokio::test]
async fn an_edit_without_buttons_goes_without_a_keyboard_where_vk_wants_none() {
    let community = Community::start(false).await;
    let vk = community.vk();
    let sent = vk.send(&to(ANNA, Text::plain("Новая заявка"))).await.unwrap().provider_message_id.unwrap();
    let edit = |id: &str, text: Text| {
        let edit = Edit { message_id: id.to_owned(), text };
        outbound(Recipient::Chat(Pii::new(ANNA.to_string())), Content::Edit(edit))
    };
    let refused = Fault::ProviderCode { code: 911, text: "Keyboard format is invalid".to_owned() };
    community.sim.faults().push(refused.clone());
    vk.send(&edit(&sent, Text::plain("Взято"))).await.unwrap();
    let asked = community.sim.requests();
    assert!(asked.last().unwrap().get("keyboard").is_none(), "{asked:?}");
    assert_eq!(community.sim.inbox().all()[0].text, "Взято");

    let mut linked = Text::plain("Взято");
    let page = HttpUrl::try_from("https://example.com/1".to_owned()).unwrap();
    linked.buttons.push(Button { label: "Открыть".to_owned(), action: ButtonAction::Open(page) });
    community.sim.faults().push(refused);
    assert_eq!(vk.send(&edit(&sent, linked.clone())).await.unwrap_err().kind(), ErrorKind::Content);
    vk.send(&edit(&sent, linked)).await.unwrap();
    assert_eq!(community.sim.inbox().all()[0].buttons[0].data, "https://example.com/1");

    for strange in ["", "x", "0", "-1", "2000000001_5"] {
        let error = vk.send(&edit(strange, Text::plain("a"))).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Invalid, RetryHint::Never), "{strange}");
    }
    community.sim.faults().push(Fault::DropAfterAccept);
    let unknown = vk.send(&edit(&sent, Text::plain("Взято"))).await.unwrap_err();
    assert_eq!(unknown.retry(), RetryHint::SAFE, "the same edit may be made again");
}

#[tokio::test]
async fn people_come_as_events() {
    let community = Community::start(true).await;
    let (sim, vk) = (&community.sim, community.vk());
    let chat = sim.add_chat(1, "Продажи");
    sim.press_start(ANNA, Some("promo_42"));
    sim.press_start(ANNA, None);
    sim.write_with(ANNA, json!({"text": "Здравствуйте", "ref": "promo_43"}));
    sim.write_with(ANNA, json!({"attachments": [{"type": "photo", "photo": {"id": 1}}]}));
    sim.write_in_chat(chat, ANNA, "всем привет");
    sim.deny(ANNA);
    sim.allow(ANNA, "");
    sim.allow(ANNA, "order_7");
    sim.reply_by_hand(ANNA, "отвечает администратор");
    sim.read(ANNA, 310);
    sim.push_event("invented_tomorrow", json!({"x": 1}));
    sim.fill_in(ANNA, &form());
    let seen: Vec<_> = community
        .posted()
        .iter()
        .flat_map(|request| events(&vk, request))
        .map(|event| match event.kind {
            InboundKind::Started { from, payload } => {
                let language = from.language.unwrap_or_default();
                format!("started {} {language} {}", from.chat.expose(), payload.unwrap_or_default())
            }
            InboundKind::Message { from, text } => {
                format!("message {} {}", from.chat.expose(), text.expose())
            }
            InboundKind::Blocked { from } => format!("blocked {}", from.user.expose()),
            InboundKind::Unblocked { from } => format!("unblocked {}", from.user.expose()),
            other => format!("{other:?}"),
        })
        .collect();
    let expected = [
        "started 790000000 ru promo_42",
        "started 790000000 ru ",
        "started 790000000 ru promo_43",
        "message 790000000 Здравствуйте",
        "message 790000000 ",
        "message 2000000001 всем привет",
        "blocked 790000000",
        "unblocked 790000000",
        "unblocked 790000000",
        "started 790000000  order_7",
        "message 790000000 VK lead form «Promo»: form 1, lead 39842910\nFirst name: Ivan\nPhone number: +7 (900) 000-00-00",
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_lead_form_told_twice_is_one_event_and_its_fields_can_be_read() {
    let community = Community::start(true).await;
    let vk = community.vk();
    community.sim.fill_in(ANNA, &form());
    community.sim.fill_in(ANNA, &form());
    let bodies = community.sim.take_events();
    assert_ne!(bodies[0]["event_id"], bodies[1]["event_id"]);
    let ids: Vec<_> =
        bodies.iter().map(|body| events(&vk, &post(body)).remove(0).provider_event_id).collect();
    assert_eq!(ids, ["lead:39842910", "lead:39842910"]);
    let read = LeadForm::from_json(bodies[0]["object"].to_string().as_bytes()).unwrap();
    assert_eq!((read.phone(), read.name().unwrap().expose().as_str()), (Some("+7 (900) 000-00-00"), "Ivan"));
}

/// A program at a callback address: it hands every request to the channel, and answers what the channel says.
async fn serve(vk: &Arc<Vk>) -> (String, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let vk = Arc::clone(vk);
    let task = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut received = Vec::new();
            let body = loop {
                let mut chunk = [0; 4096];
                let count = stream.read(&mut chunk).await.unwrap();
                received.extend_from_slice(&chunk[..count]);
                let text = String::from_utf8(received.clone()).unwrap();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
                if body.len() >= length.parse().unwrap() {
                    break body.to_owned();
                }
            };
            let receiver = vk.webhook().unwrap();
            let answer = SampleRequest::post(body).show(|request| {
                receiver
                    .verify(request)
                    .and_then(|verified| receiver.parse(&verified))
                    .map(|batch| batch.reply)
            });
            let (status, body) = match &answer {
                Ok(reply) => (reply.status, reply.body.to_vec()),
                Err(_) => (422, Vec::new()),
            };
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&body).await.unwrap();
        }
    });
    (address, AbortOnDropHandle::new(task))
}

async fn within<T>(waiting: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("within twenty seconds")
}

#[tokio::test]
async fn a_callback_server_is_registered_confirmed_looked_at_and_taken_back() {
    let community = Community::start(true).await;
    let sim = &community.sim;
    let vk = Arc::new(community.vk());
    let (address, _program) = serve(&vk).await;
    sim.put_in_front("https://leads.example.com", &address);
    sim.add_foreign_server("Other");
    let registration = vk.registration().unwrap();
    let status = registration.status().await.unwrap();
    assert_eq!((status.url, status.complete, status.waiting), (None, false, 0));

    within(registration.register(URL)).await.unwrap();
    within(sim.wait_for_callback_server(TITLE, "ok")).await;
    // The same again changes nothing, and asks for no confirmation.
    within(registration.register(URL)).await.unwrap();
    let added = |sim: &VkSim, method: &str| {
        let requests = sim.requests();
        requests
            .iter()
            .filter(|request| request["method"] == format!("groups.{method}CallbackServer"))
            .count()
    };
    assert_eq!((added(sim, "add"), added(sim, "edit")), (1, 0));
    let status = registration.status().await.unwrap();
    assert!(!format!("{status:?}").contains("unguessable"), "{status:?}");
    assert_eq!(status.url.unwrap().expose(), URL);
    assert!(status.complete && status.last_failure.is_none());

    // Events come, and what was not asked for does not.
    sim.write(ANNA, "Здравствуйте");
    sim.reply_by_hand(ANNA, "отвечает администратор");
    within(sim.wait_until_events_are_taken()).await;
    sim.switch_off("message_event");
    assert!(!registration.status().await.unwrap().complete, "presses of buttons are not asked for");

    // Another address takes the place of the old one; servers of others stay.
    within(registration.register("https://leads.example.com/webhooks/another")).await.unwrap();
    assert!(registration.status().await.unwrap().complete);
    let servers = sim.callback_servers();
    let named: Vec<_> = servers.iter().map(|(title, url, _)| (title.as_str(), url.as_str())).collect();
    let another = "https://leads.example.com/webhooks/another";
    assert_eq!(named, [("Other", "https://other.example.com/hook"), (TITLE, another)]);
    registration.unregister().await.unwrap();
    registration.unregister().await.unwrap();
    assert_eq!(sim.callback_servers().len(), 1);
}

#[tokio::test]
async fn a_registration_that_fails_says_so() {
    let community = Community::start(true).await;
    let vk = community.vk();
    for refused in ["not an address", "ftp://example.com/"] {
        let error = vk.register(refused).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Invalid, RetryHint::Never), "{refused}");
    }
    community.sim.callback_faults().push(Fault::ServerError { status: 502 });
    let error = vk.register(URL).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, RetryHint::SAFE));
    community.sim.revoke("manage");
    let error = vk.register(URL).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Auth, RetryHint::Never));
    vk.check().await.unwrap();
    community.sim.revoke("messages");
    let error = vk.check().await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Auth, RetryHint::Never));
    assert!(error.message().contains("messages"), "{error}");

    let silent = Community { hears: false, ..community };
    let only_sends = silent.vk();
    assert!(only_sends.registration().is_none() && only_sends.webhook().is_none());
    assert_eq!(only_sends.register(URL).await.unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn an_address_that_could_not_be_confirmed_is_tried_again() {
    let community = Community::start(true).await;
    let vk = Arc::new(community.vk());
    let (address, program) = serve(&vk).await;
    drop(program);
    community.sim.put_in_front("https://leads.example.com", &address);
    let _may_be_too_early_to_know = vk.register(URL).await;
    within(community.sim.wait_for_callback_server(TITLE, "failed")).await;
    let status = vk.status().await.unwrap();
    assert!(status.url.is_none() && status.last_failure.is_some(), "VK calls nobody");
    let (address, _program) = serve(&vk).await;
    community.sim.put_in_front("https://leads.example.com", &address);
    let _still_waits = vk.register(URL).await;
    within(community.sim.wait_for_callback_server(TITLE, "ok")).await;
    vk.register(URL).await.unwrap();
    assert_eq!(community.sim.callback_servers().len(), 1);
}

#[tokio::test]
async fn a_server_that_was_entered_by_hand_is_confirmed_and_not_registered() {
    let community = Community::start(true).await;
    let by_hand = community.with(|config| config.confirmation_code = Some("ab12cd34".to_owned()));
    assert!(by_hand.registration().is_none());
    let (found, answer) = taken(&by_hand, &post(&community.sim.confirmation()));
    assert_eq!((found.len(), answer.status, &answer.body[..]), (0, 200, &b"ab12cd34"[..]));
}

#[tokio::test]
async fn without_events_only_buttons_that_open_a_page_are_carried() {
    let community = Community::start(false).await;
    let vk = community.vk();
    let capabilities = vk.capabilities();
    assert!(!capabilities.buttons && !capabilities.inbound && !capabilities.interaction_replies);
    for refused in [offer(ANNA), reply(ANNA, "1", "a")] {
        let error = vk.send(&refused).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Unsupported, RetryHint::Never));
    }
    let mut message = offer(ANNA);
    let Content::Text(text) = &mut message.content else { panic!("an offer is a text") };
    text.buttons.drain(..2);
    vk.send(&message).await.unwrap();
    assert_eq!(community.sim.inbox().all()[0].buttons[0].data, "https://example.com/lead?a=1&b=2");
}

#[tokio::test]
async fn an_address_that_vk_cannot_have_is_refused_without_asking() {
    let community = Community::start(false).await;
    let vk = community.with(|config| config.endpoint = Some(NOBODY.to_owned()));
    for address in ["", "anna", "@anna", "0", "12.5", "+79000000000", "lead:39842910", "https://vk.com/id1"] {
        let message = outbound(Recipient::Chat(address.into()), Content::Text(Text::plain("a")));
        let error = vk.send(&message).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Recipient, RetryHint::Never), "{address}");
    }
    for text in ["", " \n"] {
        let error = vk.send(&to(ANNA, Text::plain(text))).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Content, RetryHint::Never));
    }
}

#[tokio::test]
async fn the_access_key_and_what_vk_repeats_are_printed_by_nothing() {
    let community = Community::start(true).await;
    let healthy = community.with(|config| config.timeout_secs = 1);
    let unreachable = community.with(|config| config.endpoint = Some(NOBODY.to_owned()));
    let mut printed = format!("{healthy:?} {unreachable:#?} {:?}", community.config());
    for fault in [
        Fault::Hang,
        Fault::DropBeforeAccept,
        Fault::ServerError { status: 302 },
        Fault::BadCredentials,
        Fault::BadRecipient,
        Fault::ProviderCode { code: 100, text: format!("bad {}", community.sim.token()) },
    ] {
        community.sim.faults().push(fault.clone());
        printed += &everything_that_prints(&healthy.send(&to(ANNA, Text::plain("тайна"))).await.unwrap_err());
        community.sim.faults().push(fault.clone());
        printed += &everything_that_prints(&healthy.check().await.unwrap_err());
        community.sim.callback_faults().push(fault);
        printed += &everything_that_prints(&healthy.register(URL).await.unwrap_err());
    }
    let sent = unreachable.send(&to(ANNA, Text::plain("тайна"))).await.unwrap_err();
    assert_eq!((sent.kind(), sent.retry()), (ErrorKind::Unavailable, RetryHint::SAFE));
    assert!(sent.source().is_some(), "the cause is kept");
    printed += &everything_that_prints(&sent);
    for secret in [community.sim.token(), SECRET, "тайна", "790000000", "unguessable"] {
        assert!(!printed.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_registry_builds_it_from_json() {
    let community = Community::start(false).await;
    let registry = Registry::builder().apply(fastlead_channels::register_with(loopback())).build().unwrap();
    let id = ChannelId::generate(&RandomIds, epoch());
    let (token, group_id) = (community.sim.token(), community.sim.group_id());
    let config = json!({"access_token": token, "group_id": group_id, "endpoint": community.sim.base_url()});
    let channel = registry.build("vk", id, "community", config).unwrap();
    channel.check().await.unwrap();
    assert_eq!((channel.info().kind, channel.info().id), ("vk", id));
    let wrong = json!({"access_token": "hidden token", "group_id": group_id});
    let error = registry.build("vk", id, "community", wrong).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(!format!("{error:?}").contains("hidden"));
}

#[tokio::test]
async fn a_certificate_that_does_not_fit_gets_nothing_and_its_owner_is_told() {
    for certificate in Authority::new().unacceptable("127.0.0.1") {
        let sim = VkSim::start_tls(certificate).await.unwrap();
        sim.add_person(ANNA, "Anna");
        let community = Community { sim, hears: true };
        let vk = community.vk();
        for error in [
            vk.send(&to(ANNA, Text::plain("hello"))).await.unwrap_err(),
            vk.check().await.unwrap_err(),
            vk.register(URL).await.unwrap_err(),
        ] {
            assert_eq!((error.kind(), error.retry()), (ErrorKind::Config, RetryHint::Never), "{error}");
            assert!(error.message().contains("the server's certificate has expired"), "{error}");
        }
        assert!(community.sim.requests().is_empty(), "nothing was sent");
    }
}
