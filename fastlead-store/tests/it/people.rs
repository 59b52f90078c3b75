//! What people say is acted upon, on every store: who wants no advertising, and whose phone number it is.

use std::sync::Arc;
use std::time::Duration;

use fastlead_core::channel::{Channel, ChannelInfo, InboundEvent, InboundKind, Peer};
use fastlead_core::decide::{Event, Reason};
use fastlead_core::delivery::DeliveryState;
use fastlead_core::engine::{ActiveChannel, CaptureRequest, Engine, ResponseOutcome, StopWords};
use fastlead_core::id::{LeadId, WorkspaceId};
use fastlead_core::lead::{CaptureInput, ConsentDocument, ConsentPurpose, Received};
use fastlead_core::message::{Locale, MessageClass, Recipient, RecipientKind, Response};
use fastlead_core::policy::Policy;
use fastlead_core::port::{
    AddressKey, Addresses, Catalog, ChangeLog, DeliveryFilter, Identities, IdentityFilter, Journal,
    PageRequest, Store, SuppressionScope, Undone,
};
use fastlead_core::time::{Clock, ManualClock, epoch};
use fastlead_testkit::memory::MemoryChannel;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const VERA: &str = "+79000000001";

struct World<S> {
    engine: Engine,
    store: S,
    clock: Arc<ManualClock>,
    bot: MemoryChannel,
    sms: MemoryChannel,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
    said: u32,
}

fn policy() -> Policy {
    let destination = |chat: &str| json!([{"channel": "bot", "recipient": {"chat": chat}}]);
    serde_json::from_value(json!({
        "targets": {
            "anna": {"display_name": "Anna", "destinations": destination("1"), "dedupe_secs": 5},
            "oleg": {"display_name": "Oleg", "destinations": destination("2")},
        },
        "route": {
            "strategy": "round_robin", "targets": ["oleg", "anna"], "template": "lead", "sticky": {},
        },
        "auto_reply": [
            {"channel": "sms", "to": "phone", "template": "thanks"},
            {"channel": "sms", "to": "phone", "template": "sale", "class": "advertising"},
        ],
        "templates": {
            "lead": {"ru": {"plain": "Заявка"}},
            "thanks": {"ru": {"plain": "Спасибо!"}},
            "sale": {"ru": {"plain": "Скидки"}},
        },
    }))
    .unwrap()
}

fn advertising() -> Vec<ConsentDocument> {
    vec![ConsentDocument {
        purpose: ConsentPurpose::Advertising,
        locale: None,
        document_id: "advertising".to_owned(),
        version: "1".to_owned(),
        label: "Реклама".to_owned(),
        text: "Я согласен получать рекламу.".to_owned(),
        required: false,
    }]
}

impl<S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone> World<S> {
    async fn start(store: S) -> Self {
        Self::with(store, policy(), StopWords::default()).await
    }

    async fn with(store: S, policy: Policy, words: StopWords) -> Self {
        Self::over(store, policy, words, &[RecipientKind::Phone]).await
    }

    /// The same, where the channel `sms` writes to these kinds of address.
    async fn over(store: S, policy: Policy, words: StopWords, kinds: &[RecipientKind]) -> Self {
        let clock = Arc::new(ManualClock::new(epoch()));
        let only = |name: &str, kinds: &[RecipientKind]| {
            let channel = MemoryChannel::new(name).with_id(ChannelInfo::embedded("memory", name).id);
            let mut capabilities = channel.capabilities();
            // No receipts: what is accepted has ended.
            (capabilities.recipients, capabilities.receipts) = (kinds.to_vec(), false);
            channel.with_capabilities(capabilities)
        };
        let (bot, sms) = (only("bot", &[RecipientKind::Chat]), only("sms", kinds));
        let engine = Engine::builder(Arc::new(store.clone()))
            .clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .channel(Arc::new(bot.clone()))
            .channel(Arc::new(sms.clone()))
            .project("clinic", policy)
            .source("site")
            .stop_words(words)
            .build()
            .await
            .unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let (engine, stop) = (engine.clone(), stop.clone());
            async move { engine.run(stop).await }
        });
        Self { engine, store, clock, bot, sms, stop, running, said: 0 }
    }

    fn workspace(&self) -> WorkspaceId {
        self.engine.directory().source("site").unwrap().workspace_id
    }

    fn channel(&self, of: &MemoryChannel) -> Arc<ActiveChannel> {
        self.engine.directory().channel(of.info().id).cloned().unwrap()
    }

    /// A lead with what `contact` says, and the consent to advertising.
    async fn capture(&self, contact: Value) -> LeadId {
        let source = self.engine.directory().source("site").cloned().unwrap();
        let mut input: CaptureInput = serde_json::from_value(contact).unwrap();
        input.consents.insert(ConsentPurpose::Advertising, true.into());
        let received = Received::at(self.clock.now());
        let capture = input.validate(&advertising(), Locale::Ru, received).unwrap();
        let request = CaptureRequest { source, capture, idempotency: None };
        self.engine.capture(request).await.unwrap().answer.lead_id
    }

    /// Something comes in over a channel from a chat; answers the event.
    async fn hear(
        &mut self,
        over: &MemoryChannel,
        chat: &str,
        say: impl Fn(Peer) -> InboundKind,
    ) -> InboundEvent {
        self.said += 1;
        let peer = Peer { chat: chat.into(), user: chat.into(), display_name: None, language: None };
        let event = InboundEvent {
            provider_event_id: format!("said-{}", self.said),
            occurred_at: self.clock.now(),
            kind: say(peer),
        };
        self.engine.ingest(&self.channel(over), vec![event.clone()], None).await.unwrap();
        event
    }

    async fn writes(&mut self, over: &MemoryChannel, chat: &str, text: &str) {
        self.hear(over, chat, |from| InboundKind::Message { from, text: text.into() }).await;
    }

    async fn shares(&mut self, chat: &str, phone: &str) {
        let bot = self.bot.clone();
        self.hear(&bot, chat, |from| InboundKind::PhoneShared { from, phone: phone.into() }).await;
    }

    async fn accept(&self, lead: LeadId, target: &str) {
        let outcome = self.engine.respond(self.workspace(), lead, target, Response::Accept).await.unwrap();
        assert!(
            matches!(outcome, ResponseOutcome::Decided(state) if state.assigned_to.as_deref() == Some(target))
        );
    }

    /// Whom the lead was offered to first, and whether because they had the person's last lead.
    async fn offered(&self, lead: LeadId) -> (String, bool) {
        let events = self.store.events(self.workspace(), lead, PageRequest::default()).await.unwrap();
        let record = self.store.lead(self.workspace(), lead).await.unwrap().unwrap();
        let sticky = |reason: Option<Reason>| reason == Some(Reason::PreviousOwner);
        let because = events.items[0].trace.steps.iter().any(|step| sticky(step.reason));
        (record.state.offers[0].target.clone(), because)
    }

    fn reason(
        &self,
        over: &MemoryChannel,
        to: &Recipient,
        class: MessageClass,
    ) -> impl Future<Output = Option<String>> {
        let key = AddressKey::of(self.workspace(), over.info().id, to);
        let store = self.store.clone();
        async move { store.address_book().await.unwrap().suppression(key, class).map(str::to_owned) }
    }

    async fn finish(self) {
        self.stop.cancel();
        within(self.running).await.unwrap();
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("within a minute")
}

fn phone(text: &str) -> Recipient {
    Recipient::Phone(text.parse().unwrap())
}

fn by_account(id: &str) -> Value {
    json!({"handles": [{"messenger": "memory", "id": id}]})
}

/// Advertising that waits is not sent after STOP, and service messages are.
async fn who_writes_stop_gets_no_advertising<S>(store: S)
where
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
{
    let mut world = World::start(store).await;
    let (workspace, sms) = (world.workspace(), world.sms.clone());
    world.engine.pause(workspace, sms.info().id, "test").await.unwrap();
    let lead = world.capture(json!({"phone": VERA})).await;
    world.writes(&sms, VERA, "подумаю, стоп").await;
    assert_eq!(world.reason(&sms, &phone(VERA), MessageClass::Advertising).await, None);
    world.writes(&sms, VERA, "СТОП!").await;
    let mut changes = world.engine.changes();
    world.engine.resume(workspace, sms.info().id).await.unwrap();
    let thanked = within(sms.inbox().wait_for(1)).await;
    assert_eq!(thanked[0].text, "Спасибо!");
    let filter = || DeliveryFilter { lead_id: Some(lead), ..DeliveryFilter::default() };
    let ended = async {
        loop {
            let items =
                world.store.deliveries(workspace, filter(), PageRequest::default()).await.unwrap().items;
            let sale =
                items.iter().find(|delivery| delivery.spec.class == MessageClass::Advertising).unwrap();
            if sale.state.is_terminal() {
                return (sale.state, sale.reason.clone());
            }
            drop(changes.recv().await);
        }
    };
    assert_eq!(within(ended).await, (DeliveryState::Suppressed, Some("unsubscribed".to_owned())));
    assert_eq!(sms.inbox().all().len(), 1);
    let held = world.store.suppressions(workspace, PageRequest::default()).await.unwrap().items;
    assert_eq!(held.len(), 1);
    assert_eq!((held[0].scope, held[0].channel_id), (SuppressionScope::Advertising, sms.info().id));
    world.finish().await;
}

/// A chat that has unsubscribed, blocked the bot and let it in again has still unsubscribed; what it writes or starts
/// gives no consent.
async fn only_an_operator_lifts_an_unsubscription<S>(store: S)
where
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
{
    let mut world = World::start(store).await;
    let (bot, chat) = (world.bot.clone(), Recipient::Chat("7".into()));
    world.writes(&bot, "7", "/stop").await;
    world.hear(&bot, "7", |from| InboundKind::Blocked { from }).await;
    assert_eq!(world.reason(&bot, &chat, MessageClass::Service).await.as_deref(), Some("blocked"));
    world.hear(&bot, "7", |from| InboundKind::Unblocked { from }).await;
    world.hear(&bot, "7", |from| InboundKind::Started { from, payload: None }).await;
    world.writes(&bot, "7", "старт").await;
    assert_eq!(world.reason(&bot, &chat, MessageClass::Service).await, None);
    let reason = world.reason(&bot, &chat, MessageClass::Advertising).await;
    assert_eq!(reason.as_deref(), Some("unsubscribed"));
    let key = AddressKey::of(world.workspace(), bot.info().id, &chat);
    assert!(world.engine.lift(world.workspace(), key).await.unwrap());
    assert_eq!(world.reason(&bot, &chat, MessageClass::Advertising).await, None);
    world.finish().await;
}

/// STOP in a messenger whose chats are phone numbers holds for the number, over any channel.
async fn stop_in_a_messenger_of_numbers_holds_for_the_number<S>(store: S)
where
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
{
    let kinds = [RecipientKind::Phone, RecipientKind::Chat];
    let mut world = World::over(store, policy(), StopWords::default(), &kinds).await;
    let (bot, messenger) = (world.bot.clone(), world.sms.clone());
    world.writes(&messenger, VERA, "стоп").await;
    world.writes(&messenger, "US.13491208655302741918", "стоп").await;
    for to in [phone(VERA), Recipient::Chat(VERA.into()), Recipient::Chat("US.13491208655302741918".into())] {
        let reason = world.reason(&messenger, &to, MessageClass::Advertising).await;
        assert_eq!(reason.as_deref(), Some("unsubscribed"), "{to:?}");
    }
    // A chat of a channel that writes to no numbers is called as it likes.
    let other = "+79000000002";
    world.writes(&bot, other, "стоп").await;
    assert_eq!(world.reason(&bot, &phone(other), MessageClass::Advertising).await, None);
    world.finish().await;
}

/// STOP in a messenger holds for the phone number that was shared there, and one by SMS for the chat; also where the
/// number is shared afterwards.
async fn stop_holds_for_every_linked_address<S>(store: S)
where
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
{
    let mut world = World::start(store).await;
    let (bot, sms) = (world.bot.clone(), world.sms.clone());
    let chat = |id: &str| Recipient::Chat(id.into());
    let class = MessageClass::Advertising;
    // In the chat first, shared afterwards.
    world.writes(&bot, "7", "stop").await;
    assert_eq!(world.reason(&sms, &phone(VERA), class).await, None);
    world.shares("7", "79000000001").await;
    assert_eq!(world.reason(&sms, &phone(VERA), class).await.as_deref(), Some("unsubscribed"));
    // Shared first, by SMS afterwards.
    world.shares("8", "79000000002").await;
    world.writes(&sms, "+79000000002", "Отписаться").await;
    assert_eq!(world.reason(&bot, &chat("8"), class).await.as_deref(), Some("unsubscribed"));
    // Shared first, in the chat afterwards.
    world.shares("9", "+79000000003").await;
    world.writes(&bot, "9", "не пишите мне").await;
    assert_eq!(world.reason(&sms, &phone("+79000000003"), class).await.as_deref(), Some("unsubscribed"));
    // Nobody else.
    assert_eq!(world.reason(&sms, &phone("+79000000004"), class).await, None);
    let held = world.store.suppressions(world.workspace(), PageRequest::default()).await.unwrap().items;
    assert_eq!(held.len(), 6, "{held:?}");
    world.finish().await;
}

async fn an_engine_can_have_words_of_its_own<S>(store: S)
where
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
{
    let mut world = World::with(store, policy(), StopWords::new(["baja"])).await;
    let bot = world.bot.clone();
    world.writes(&bot, "7", "stop").await;
    world.writes(&bot, "8", "¡Baja!").await;
    let class = MessageClass::Advertising;
    assert_eq!(world.reason(&bot, &Recipient::Chat("7".into()), class).await, None);
    let reason = world.reason(&bot, &Recipient::Chat("8".into()), class).await;
    assert_eq!(reason.as_deref(), Some("unsubscribed"));
    world.finish().await;
}

/// A lead by an account, the phone number shared there, a lead by that number: one person, both ways, until the link
/// is undone.
async fn a_shared_phone_number_makes_one_person<S>(store: S)
where
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
{
    let mut world = World::start(store).await;
    let first = world.capture(by_account("7")).await;
    assert_eq!(world.offered(first).await, ("oleg".to_owned(), false));
    world.accept(first, "anna").await;
    // A buyer who has had a lead of the person within the window is offered none, under any of their addresses.
    world.clock.advance(Duration::from_secs(1));
    world.shares("7", "79000000001").await;
    let early = world.capture(json!({"phone": VERA})).await;
    assert_eq!(world.offered(early).await, ("oleg".to_owned(), false));
    world.clock.advance(Duration::from_secs(10));

    let by_phone = world.capture(json!({"phone": VERA})).await;
    assert_eq!(world.offered(by_phone).await, ("anna".to_owned(), true));
    // What is stored tells whom it stood for, and nothing of who that is.
    let events = world.store.events(world.workspace(), by_phone, PageRequest::default()).await.unwrap();
    let Event::Captured(capture) = &events.items[0].event else { panic!("not a capture") };
    let person = capture.person.as_ref().expect("pinned");
    assert_eq!(person.merged.len(), 1);
    assert_eq!(events.items[0].trace.facts.as_ref().unwrap().merged, 1);

    // The number's history is the account's, too.
    world.accept(by_phone, "anna").await;
    world.clock.advance(Duration::from_secs(10));
    let by_account_again = world.capture(by_account("7")).await;
    assert_eq!(world.offered(by_account_again).await, ("anna".to_owned(), true));

    // Another e-mail address or an equal one links nobody.
    let email = json!({"phone": "+79000000005", "email": "vera@example.com"});
    let mailed = world.capture(email).await;
    world.accept(mailed, "anna").await;
    world.clock.advance(Duration::from_secs(10));
    let equal = world.capture(json!({"phone": "+79000000006", "email": "vera@example.com"})).await;
    assert!(!world.offered(equal).await.1);
    let alone = world.capture(json!({"email": "vera@example.com"})).await;
    assert!(!world.offered(alone).await.1);
    world.finish().await;
}

/// Undoing changes captures from then on; what was decided before goes on as it was.
async fn an_undone_link_merges_nobody_any_more<S>(store: S)
where
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
{
    let mut world = World::start(store).await;
    let first = world.capture(by_account("7")).await;
    world.accept(first, "anna").await;
    world.shares("7", "79000000001").await;
    world.clock.advance(Duration::from_secs(10));
    let merged = world.capture(json!({"phone": VERA})).await;
    assert_eq!(world.offered(merged).await, ("anna".to_owned(), true));
    let workspace = world.workspace();
    let links = world.store.identity_links(workspace, IdentityFilter::default(), PageRequest::default());
    let link = links.await.unwrap().items.remove(0);
    let undone =
        Undone { at: world.clock.now(), reason: "operator".to_owned(), by: Some("usr_1".to_owned()) };
    world.engine.undo_identity(workspace, link.id, undone).await.unwrap().unwrap();
    let apart = world.capture(json!({"phone": VERA})).await;
    assert!(!world.offered(apart).await.1);
    // The account keeps its own history.
    let account = world.capture(by_account("7")).await;
    assert_eq!(world.offered(account).await, ("anna".to_owned(), true));
    // The lead that was merged is decided upon further, and gives back what it took.
    world.accept(merged, "anna").await;
    // An engine that starts now knows the link as undone; an event that comes again makes it no more.
    world.engine.reload().await.unwrap();
    let repeated = InboundEvent {
        provider_event_id: "said-1".to_owned(),
        occurred_at: world.clock.now(),
        kind: InboundKind::Started {
            from: Peer { chat: "7".into(), user: "7".into(), display_name: None, language: None },
            payload: None,
        },
    };
    let again = world.engine.ingest(&world.channel(&world.bot), vec![repeated], None).await.unwrap();
    assert_eq!((again.new, again.repeated), (0, 1));
    assert!(world.store.active_links().await.unwrap().is_empty());
    world.finish().await;
}

/// A link survives a new start of the engine.
async fn an_engine_knows_links_when_it_starts<S>(store: S)
where
    S: Store + Catalog + Journal + Addresses + Identities + ChangeLog + Clone,
{
    let mut world = World::start(store.clone()).await;
    let first = world.capture(by_account("7")).await;
    world.accept(first, "anna").await;
    world.shares("7", "79000000001").await;
    world.finish().await;
    let world = World::start(store).await;
    world.clock.advance(Duration::from_secs(10));
    let again = world.capture(json!({"phone": VERA})).await;
    assert_eq!(world.offered(again).await, ("anna".to_owned(), true));
    world.finish().await;
}

on_every_store! {
    who_writes_stop_gets_no_advertising
    only_an_operator_lifts_an_unsubscription
    stop_in_a_messenger_of_numbers_holds_for_the_number
    stop_holds_for_every_linked_address
    an_engine_can_have_words_of_its_own
    a_shared_phone_number_makes_one_person
    an_undone_link_merges_nobody_any_more
    an_engine_knows_links_when_it_starts
}
