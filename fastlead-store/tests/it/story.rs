//! The whole story on every store: captured, decided, delivered, answered, escalated, explained.

use std::sync::Arc;
use std::time::Duration;

use fastlead_core::channel::{
    Channel, ChannelInfo, FailureReason, InboundEvent, InboundKind, MessageReference, Peer, ReceiptFailure,
    ReceiptStatus, ResponseTokenText, TextLimit, TextUnit,
};
use fastlead_core::decide::Event;
use fastlead_core::delivery::DeliveryState;
use fastlead_core::engine::{CaptureRequest, Change, Engine, IdempotencyKey};
use fastlead_core::id::{SeededIds, SuppressionId};
use fastlead_core::lead::{CaptureInput, Received};
use fastlead_core::message::{Locale, PressedMessage, Recipient, Response, ResponseToken};
use fastlead_core::policy::Policy;
use fastlead_core::port::{
    Addresses, CaptureVerdict, Catalog, ChangeLog, DeliveryFilter, Identities, Journal, LeadFilter,
    PageRequest, Store, Suppression, SuppressionScope,
};
use fastlead_core::secret::Pii;
use fastlead_core::time::{Clock, ManualClock, epoch};
use fastlead_store::MemoryStore;
use fastlead_testkit::memory::MemoryChannel;
use fastlead_testkit::sim::Fault;
use tokio_util::sync::CancellationToken;

struct World<S> {
    engine: Engine,
    store: S,
    clock: Arc<ManualClock>,
    bot: MemoryChannel,
    sms: MemoryChannel,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

fn policy() -> Policy {
    serde_json::from_value(serde_json::json!({
        "dedupe": {"match": "any", "fields": ["contact.phone"], "window_secs": 600},
        "targets": {
            "anna": {"display_name": "Anna", "destinations": [{"channel": "bot", "recipient": {"chat": "1"}}]},
            "oleg": {"display_name": "Oleg", "destinations": [{"channel": "bot", "recipient": {"chat": "2"}}]},
            "owner": {"display_name": "Owner", "destinations": [{"channel": "sms", "recipient": {"phone": "+79000000009"}}]},
        },
        "route": {"strategy": "broadcast", "targets": ["anna"], "template": "lead"},
        "escalation": [{"after_secs": 60, "targets": ["oleg"], "template": "lead"}],
        "auto_reply": [{"channel": "sms", "to": "phone", "template": "thanks"}],
        "alerts": ["owner"],
        "templates": {
            "lead": {"ru": {"plain": "Заявка: {{ lead.name or '-' }} {{ lead.phone }}"}},
            "thanks": {"ru": {"plain": "Спасибо!"}},
        },
    }))
    .unwrap()
}

impl<S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone> World<S> {
    async fn start(store: S) -> Self {
        let clock = Arc::new(ManualClock::new(epoch()));
        let bot = MemoryChannel::new("bot");
        let sms = MemoryChannel::new("sms");
        let engine = Engine::builder(Arc::new(store.clone()))
            .clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .ids(Arc::new(SeededIds::new(1)))
            .channel(Arc::new(bot.clone()))
            .channel(Arc::new(sms.clone()))
            .project("clinic", policy())
            .source("site")
            .source("partner")
            .build()
            .await
            .unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let (engine, stop) = (engine.clone(), stop.clone());
            async move { engine.run(stop).await }
        });
        Self { engine, store, clock, bot, sms, stop, running }
    }

    async fn capture(&self, phone: &str, key: Option<&str>) -> fastlead_core::engine::CaptureOutcome {
        self.capture_over("site", phone, key).await
    }

    async fn capture_over(
        &self,
        source: &str,
        phone: &str,
        key: Option<&str>,
    ) -> fastlead_core::engine::CaptureOutcome {
        let source = self.engine.directory().source(source).cloned().unwrap();
        let input =
            CaptureInput {
                phone: Some(phone.into()), name: Some("Вера".into()), ..CaptureInput::default()
            };
        let capture = input.validate(&[], Locale::Ru, Received::at(self.clock.now())).unwrap();
        let idempotency = key.map(|key| IdempotencyKey::new(key, phone.as_bytes()));
        self.engine.capture(CaptureRequest { source, capture, idempotency }).await.unwrap()
    }

    /// What the bot was asked to send, as soon as there are `count` messages and the outcome of each is stored: a message
    /// whose outcome is not can be changed a little later only, and this clock stands still.
    async fn told(&self, count: u64) -> Vec<fastlead_testkit::sim::Arrival> {
        let told = within(self.bot.inbox().wait_for(count)).await;
        let mut changes = self.engine.changes();
        within(async {
            while self.store.queue_depth(self.clock.now()).await.unwrap().sending > 0 {
                // One that was missed is as good as one that was heard.
                let _missed = changes.recv().await;
            }
        })
        .await;
        told
    }

    async fn finish(self) {
        self.stop.cancel();
        within(self.running).await.unwrap();
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("within a minute")
}

async fn a_lead_is_captured_told_answered_and_explained<
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
>(
    store: S,
) {
    let world = World::start(store).await;
    let workspace = world.engine.directory().source("site").unwrap().workspace_id;
    let outcome = world.capture("+7 900 000-00-00", None).await;
    assert_eq!(outcome.answer.verdict, CaptureVerdict::Accepted);
    let told = world.told(1).await;
    assert_eq!((told[0].to.as_str(), told[0].text.as_str()), ("1", "Заявка: Вера +79000000000"));
    let thanked = within(world.sms.inbox().wait_for(1)).await;
    assert_eq!(thanked[0].to, "+79000000000");

    // Again within the window and over another source: the same lead, nobody is told again.
    let again = world.capture_over("partner", "8 900 000 00 00", None).await;
    assert_eq!(again.answer.verdict, CaptureVerdict::Duplicate);
    assert_eq!(again.answer.lead_id, outcome.answer.lead_id);

    // Nobody reacts for a minute: the next rung.
    world.clock.advance(Duration::from_secs(60));
    let told = world.told(2).await;
    assert_eq!(told[1].to, "2");

    // The second manager presses the button; the press is brought twice.
    let page = || PageRequest::default();
    let filter = DeliveryFilter { lead_id: Some(outcome.answer.lead_id), ..DeliveryFilter::default() };
    let deliveries = world.store.deliveries(workspace, filter, page()).await.unwrap();
    let offer = deliveries.items.iter().find(|delivery| delivery.spec.recipient.address() == "2").unwrap();
    let channel = world.engine.directory().channel(ChannelInfo::clone(world.bot.info()).id).cloned().unwrap();
    let press = InboundEvent {
        provider_event_id: "press-1".into(),
        occurred_at: world.clock.now(),
        kind: InboundKind::Interaction {
            interaction_id: "i-1".into(),
            token: Some(ResponseTokenText(
                ResponseToken { response: Response::Accept, delivery_id: offer.id }.encode(),
            )),
            from: Peer {
                chat: "2".into(),
                user: "22".into(),
                display_name: Some("Пётр <Смена>".into()),
                language: None,
            },
            message: Some(PressedMessage {
                chat: "2".into(),
                message_id: told[1].provider_message_id.clone(),
                links: Vec::new(),
            }),
        },
    };
    let first = world.engine.ingest(&channel, vec![press.clone()], None).await.unwrap();
    let second = world.engine.ingest(&channel, vec![press], None).await.unwrap();
    assert_eq!((first.new, second.new, second.repeated), (1, 0, 1));

    // The press is answered, and the message loses the buttons that respond.
    let mut changes = world.bot.inbox().subscribe();
    within(changes.wait_for(|_| world.bot.inbox().all()[1].buttons.is_empty())).await.unwrap();

    // Both messages say what has become of the offer, and the other one cannot be answered any more.
    let time = policy().timezone.local(world.clock.now()).format("%H:%M").to_string();
    let ended = [
        format!("Заявка: Вера +79000000000\n\nПредложение больше не действует, {time}"),
        format!("Заявка: Вера +79000000000\n\nВзял(а) в работу: Пётр <Смена> (Oleg), {time}"),
    ];
    let says = |wanted: &[String]| {
        let all = world.bot.inbox().all();
        all.iter().map(|told| &told.text).eq(wanted) && all.iter().all(|told| told.buttons.is_empty())
    };
    within(changes.wait_for(|_| says(&ended))).await.unwrap();

    let leads = world.store.leads(workspace, LeadFilter::default(), page()).await.unwrap();
    assert_eq!(leads.items.len(), 1);
    assert_eq!(
        (leads.items[0].status.as_str(), leads.items[0].assigned_to.as_deref()),
        ("accepted", Some("oleg"))
    );
    let events = world.store.events(workspace, outcome.answer.lead_id, page()).await.unwrap();
    let kinds: Vec<_> = events.items.iter().map(|event| event.event.kind()).collect();
    assert_eq!(kinds, ["captured", "captured", "timer_fired", "responded"]);
    assert!(events.items.iter().all(|event| !event.trace.steps.is_empty()));
    let source = |key: &str| world.engine.directory().source(key).map(|source| source.id);
    let over = |event: &Event| match event {
        Event::Captured(capture) => capture.received.source_id,
        _ => None,
    };
    let sources: Vec<_> = events.items.iter().map(|event| over(&event.event)).collect();
    assert_eq!(sources, [source("site"), source("partner"), None, None]);
    assert!(source("site") != source("partner"));
    assert_eq!(Some(leads.items[0].source_id), source("site"));
    world.finish().await;
}

async fn an_offer_that_was_declined_keeps_saying_so<
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
>(
    store: S,
) {
    let world = World::start(store).await;
    let workspace = world.engine.directory().source("site").unwrap().workspace_id;
    let lead = world.capture("+7 900 000-00-00", None).await.answer.lead_id;
    world.told(1).await;
    let mut changes = world.bot.inbox().subscribe();
    world.engine.respond(workspace, lead, "anna", Response::Decline).await.unwrap();
    let time = policy().timezone.local(world.clock.now()).format("%H:%M").to_string();
    let declined = format!("Заявка: Вера +79000000000\n\nОтказ: Anna, {time}");
    within(changes.wait_for(|_| world.bot.inbox().all()[0].text == declined)).await.unwrap();

    // The next one takes it, which changes nothing about the answer of the first.
    let told = world.told(2).await;
    assert_eq!(told[1].to, "2");
    world.engine.respond(workspace, lead, "oleg", Response::Accept).await.unwrap();
    let taken = |text: &str| text.ends_with(&format!("Взято в работу: Oleg, {time}"));
    within(changes.wait_for(|_| taken(&world.bot.inbox().all()[1].text))).await.unwrap();
    assert_eq!(world.bot.inbox().all()[0].text, declined);
    let filter = DeliveryFilter { lead_id: Some(lead), ..DeliveryFilter::default() };
    let deliveries = world.store.deliveries(workspace, filter, PageRequest::default()).await.unwrap().items;
    let ends = deliveries.iter().filter(|delivery| delivery.spec.purpose.as_str() == "offer_ended");
    assert_eq!(ends.count(), 2);
    world.finish().await;
}

async fn one_key_one_answer_and_one_lead_for_many<
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
>(
    store: S,
) {
    let world = World::start(store).await;
    let captures = (0..200).map(|_| world.capture("+7 900 000-00-00", Some("key")));
    let outcomes = within(futures_util::future::join_all(captures)).await;
    assert!(outcomes.iter().all(|outcome| outcome.answer == outcomes[0].answer));
    assert_eq!(outcomes.iter().filter(|outcome| !outcome.replayed).count(), 1);
    world.told(1).await;
    assert_eq!(world.bot.inbox().all().len(), 1);
    world.finish().await;
}

async fn trouble_is_retried_paused_told_and_escalated<
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
>(
    store: S,
) {
    let world = World::start(store).await;
    let workspace = world.engine.directory().source("site").unwrap().workspace_id;
    // A recipient that refuses: the next rung comes at once, and the owner is told over SMS.
    world.bot.faults().push(Fault::BadRecipient);
    world.capture("+7 900 000-00-01", None).await;
    let told = world.told(1).await;
    assert_eq!(told[0].to, "2");
    let sms = within(world.sms.inbox().wait_for(2)).await;
    assert!(sms.iter().any(|arrival| arrival.to == "+79000000009"), "{sms:?}");

    // Refused credentials: the channel is paused, the owner is told, and the message waits.
    world.bot.faults().push(Fault::BadCredentials);
    let outcome = world.capture("+7 900 000-00-02", None).await;
    within(world.sms.inbox().wait_for(4)).await;
    let channel = world.bot.info().id;
    assert!(world.engine.directory().channel(channel).unwrap().is_paused());
    let filter =
        DeliveryFilter { channel_id: Some(channel), lead_id: Some(outcome.answer.lead_id), state: None };
    let waiting = world.store.deliveries(workspace, filter.clone(), PageRequest::default()).await.unwrap();
    assert_eq!(waiting.items.len(), 1);
    assert!(world.engine.resume(workspace, channel).await.unwrap());
    world.told(2).await;
    world.finish().await;
}

async fn who_has_blocked_is_left_alone_and_who_has_moved_is_followed<
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
>(
    store: S,
) {
    let world = World::start(store).await;
    let workspace = world.engine.directory().source("site").unwrap().workspace_id;
    let channel = world.engine.directory().channel(world.bot.info().id).cloned().unwrap();
    let peer = |chat: &str| Peer { chat: chat.into(), user: chat.into(), display_name: None, language: None };
    let news = |number: u32, kind| InboundEvent {
        provider_event_id: format!("news-{number}"),
        occurred_at: world.clock.now(),
        kind,
    };
    // Anna has blocked the bot: nothing is sent to her, Oleg is told at once, and the owner learns why.
    let blocked = news(1, InboundKind::Blocked { from: peer("1") });
    world.engine.ingest(&channel, vec![blocked], None).await.unwrap();
    world.capture("+7 900 000-00-01", None).await;
    let told = world.told(1).await;
    assert_eq!(told[0].to, "2");
    within(world.sms.inbox().wait_for(2)).await;
    let filter = DeliveryFilter { state: Some(DeliveryState::Suppressed), ..DeliveryFilter::default() };
    let left = world.store.deliveries(workspace, filter, PageRequest::default()).await.unwrap().items;
    assert_eq!(left.iter().map(|left| left.reason.as_deref()).collect::<Vec<_>>(), [Some("blocked")]);

    // She lets it in again, and her chat has another id now.
    let back = news(2, InboundKind::Unblocked { from: peer("1") });
    let moved = news(3, InboundKind::ChatMoved { from_chat: "1".into(), to_chat: "-1001".into() });
    world.engine.ingest(&channel, vec![back, moved], None).await.unwrap();
    world.capture("+7 900 000-00-02", None).await;
    let told = world.told(2).await;
    assert_eq!(told[1].to, "-1001");
    within(world.sms.inbox().wait_for(3)).await;

    // The visitor wants nothing more: the lead counts, and no answer goes out.
    let now = world.clock.now();
    let phone = Recipient::Phone("+79000000003".parse().unwrap());
    let suppression = Suppression {
        id: SuppressionId::generate(&**world.engine.ids(), now),
        workspace_id: workspace,
        channel_id: world.sms.info().id,
        recipient: phone.clone(),
        scope: SuppressionScope::All,
        reason: "operator".to_owned(),
        since: now,
        advertising: None,
        erased: None,
    };
    let mut changes = world.engine.changes();
    let key = world.engine.suppress(suppression).await.unwrap().key();
    world.capture("+7 900 000-00-03", None).await;
    world.told(3).await;
    let suppressed = async {
        loop {
            if let Ok(Change::Delivery { verdict: "suppressed", .. }) = changes.recv().await {
                return;
            }
        }
    };
    within(suppressed).await;
    assert_eq!(world.sms.inbox().all().len(), 3);
    assert!(world.engine.lift(workspace, key).await.unwrap());
    world.finish().await;
}

async fn a_lookup_of_one_part_does_not_end_the_others<
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
>(
    store: S,
) {
    let clock = Arc::new(ManualClock::new(epoch()));
    let mut capabilities = MemoryChannel::new("sms").capabilities();
    capabilities.text_max = Some(TextLimit { max: 24, unit: TextUnit::Chars });
    (capabilities.lookup, capabilities.idempotent_send, capabilities.receipts) = (true, false, false);
    let sms = MemoryChannel::new("sms").with_capabilities(capabilities);
    let mut policy = Policy::starter("sms", Recipient::Phone("+79000000009".parse().unwrap()));
    let long = "Заявка {{ lead.phone }}: позвоните, пожалуйста, как можно скорее";
    policy.templates =
        serde_json::from_value(serde_json::json!({"new_lead": {"ru": {"plain": long}}})).unwrap();
    let engine = Engine::builder(Arc::new(store.clone()))
        .clock(Arc::clone(&clock) as Arc<dyn Clock>)
        .channel(Arc::new(sms.clone()))
        .project("clinic", policy)
        .source("site")
        .build()
        .await
        .unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (engine, stop) = (engine.clone(), stop.clone());
        async move { engine.run(stop).await }
    });
    // The first part arrives, and its answer is lost.
    sms.faults().push(Fault::DropAfterAccept);
    let mut changes = engine.changes();
    let source = engine.directory().source("site").cloned().unwrap();
    let input = CaptureInput { phone: Some("+7 900 000-00-00".into()), ..CaptureInput::default() };
    let capture = input.validate(&[], Locale::Ru, Received::at(clock.now())).unwrap();
    engine.capture(CaptureRequest { source, capture, idempotency: None }).await.unwrap();
    let unknown = async {
        loop {
            if let Ok(Change::Delivery { verdict: "outcome_unknown", .. }) = changes.recv().await {
                return;
            }
        }
    };
    within(unknown).await;
    clock.advance(Duration::from_secs(5));
    let parts = within(sms.inbox().wait_for(3)).await;
    let text: String = parts.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join(" ");
    assert!(text.ends_with("скорее"), "{text}");
    assert_eq!(text.matches("Заявка").count(), 1, "{text}");
    stop.cancel();
    within(running).await.unwrap();
}

/// What became of the messages is told part by part, and each part has an id of its own.
async fn a_split_text_has_arrived_when_all_its_parts_have<
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
>(
    store: S,
) {
    let clock = Arc::new(ManualClock::new(epoch()));
    let mut capabilities = MemoryChannel::new("sms").capabilities();
    capabilities.text_max = Some(TextLimit { max: 24, unit: TextUnit::Chars });
    (capabilities.lookup, capabilities.receipts) = (false, true);
    let sms = MemoryChannel::new("sms").with_capabilities(capabilities);
    let mut policy = Policy::starter("sms", Recipient::Phone("+79000000009".parse().unwrap()));
    let long = "Заявка {{ lead.phone }}: позвоните, пожалуйста, как можно скорее";
    policy.templates =
        serde_json::from_value(serde_json::json!({"new_lead": {"ru": {"plain": long}}})).unwrap();
    let engine = Engine::builder(Arc::new(store.clone()))
        .clock(Arc::clone(&clock) as Arc<dyn Clock>)
        .channel(Arc::new(sms.clone()))
        .project("clinic", policy)
        .source("site")
        .build()
        .await
        .unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (engine, stop) = (engine.clone(), stop.clone());
        async move { engine.run(stop).await }
    });
    let channel = engine.directory().channel(sms.info().id).cloned().unwrap();
    let source = engine.directory().source("site").cloned().unwrap();
    let workspace = source.workspace_id;
    let mut seen = 0;
    for (number, fails, end) in [(1, None, DeliveryState::Delivered), (2, Some(0), DeliveryState::Failed)] {
        let mut changes = engine.changes();
        let phone = Some(Pii::new(format!("+7 900 000-00-0{number}")));
        let input = CaptureInput { phone, ..CaptureInput::default() };
        let capture = input.validate(&[], Locale::Ru, Received::at(clock.now())).unwrap();
        let request = CaptureRequest { source: Arc::clone(&source), capture, idempotency: None };
        let lead = engine.capture(request).await.unwrap().answer.lead_id;
        let accepted = async {
            loop {
                if let Ok(Change::Delivery { verdict: "accepted", .. }) = changes.recv().await {
                    return;
                }
            }
        };
        within(accepted).await;
        let parts = sms.inbox().all().split_off(seen);
        seen += parts.len();
        assert!(parts.len() > 2, "{parts:?}");
        let read = || async {
            let filter = DeliveryFilter { lead_id: Some(lead), ..DeliveryFilter::default() };
            let mut all = store.deliveries(workspace, filter, PageRequest::default()).await.unwrap().items;
            all.pop().unwrap()
        };
        assert_eq!(usize::try_from(read().await.parts_sent).unwrap(), parts.len());
        for (index, part) in parts.iter().enumerate() {
            assert_ne!(read().await.state, DeliveryState::Delivered, "part {index} is not told of yet");
            let failure = ReceiptFailure { reason: FailureReason::Recipient, provider_code: None };
            let status = match fails == Some(index) {
                true => ReceiptStatus::Failed(failure),
                false => ReceiptStatus::Delivered,
            };
            let told = InboundEvent {
                provider_event_id: format!("receipt-{number}-{index}"),
                occurred_at: clock.now(),
                kind: InboundKind::Receipt {
                    message: MessageReference::Provider(part.provider_message_id.clone()),
                    status,
                },
            };
            engine.ingest(&channel, vec![told], None).await.unwrap();
        }
        assert_eq!(read().await.state, end);
    }
    stop.cancel();
    within(running).await.unwrap();
}

on_every_store! {
    a_lead_is_captured_told_answered_and_explained
    an_offer_that_was_declined_keeps_saying_so
    one_key_one_answer_and_one_lead_for_many
    trouble_is_retried_paused_told_and_escalated
    who_has_blocked_is_left_alone_and_who_has_moved_is_followed
    a_lookup_of_one_part_does_not_end_the_others
    a_split_text_has_arrived_when_all_its_parts_have
}

/// The calendar of a year is known late in the year before, and programs are started again at any time.
#[tokio::test]
async fn an_engine_starts_again_in_a_year_that_its_calendar_does_not_know() {
    let store = MemoryStore::new();
    let clock = Arc::new(ManualClock::new("2026-12-31T12:00:00Z".parse().unwrap()));
    let with_holidays = |from: &str| {
        let mut policy = serde_json::to_value(policy()).unwrap();
        policy["hours"] = serde_json::json!({
            "weekly": [{"days": "mon-fri", "from": from, "to": "18:00"}], "holidays": {"base": "ru"},
        });
        serde_json::from_value::<Policy>(policy).unwrap()
    };
    let (bot, sms) = (MemoryChannel::new("bot"), MemoryChannel::new("sms"));
    let build = |policy: Policy| {
        Engine::builder(Arc::new(store.clone()))
            .clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .channel(Arc::new(bot.clone()))
            .channel(Arc::new(sms.clone()))
            .project("clinic", policy)
            .build()
    };
    build(with_holidays("09:00")).await.unwrap();
    clock.advance(Duration::from_secs(86_400));
    build(with_holidays("09:00")).await.unwrap();
    // What is new must work from now on.
    let refused = build(with_holidays("10:00")).await.unwrap_err().to_string();
    assert!(refused.contains("2027"), "{refused}");
}
