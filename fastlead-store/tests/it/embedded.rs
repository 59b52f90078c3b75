//! The engine inside another program: in its language, with a source of its own, and captures in one step.

use std::sync::Arc;
use std::time::Duration;

use fastlead_core::channel::Channel;
use fastlead_core::engine::{CaptureRequest, Change, EmbeddedSource, Engine, IdempotencyKey};
use fastlead_core::lead::{
    Automated, BotCheck, CaptureInput, ConsentDocument, ConsentPurpose, InputFaults, Received,
};
use fastlead_core::message::{Locale, Recipient};
use fastlead_core::policy::Policy;
use fastlead_core::port::{AutomatedAction, CaptureVerdict, Catalog, Journal, PageRequest, SourceLimits};
use fastlead_core::time::{Clock, ManualClock, epoch};
use fastlead_core::{ErrorKind, Result};
use fastlead_store::MemoryStore;
use fastlead_testkit::memory::MemoryChannel;
use tokio_util::sync::CancellationToken;

fn privacy(text: &str) -> ConsentDocument {
    ConsentDocument {
        purpose: ConsentPurpose::PersonalData,
        locale: None,
        document_id: "privacy".to_owned(),
        version: "1".to_owned(),
        label: "I agree".to_owned(),
        text: text.to_owned(),
        required: true,
    }
}

fn site() -> EmbeddedSource {
    EmbeddedSource::new("site").name("Our site").locale(Locale::En).origin("https://example.com")
}

async fn engine(
    store: &MemoryStore,
    bot: &MemoryChannel,
    source: impl Into<EmbeddedSource>,
) -> Result<Engine> {
    let policy = Policy::starter_in(Locale::En, "bot", Recipient::Chat("1".into()));
    Engine::builder(Arc::new(store.clone()))
        .clock(Arc::new(ManualClock::new(epoch())) as Arc<dyn Clock>)
        .channel(Arc::new(bot.clone()))
        .project("clinic", policy)
        .source(source)
        .build()
        .await
}

fn input(phone: &str) -> CaptureInput {
    CaptureInput { phone: Some(phone.into()), name: Some("Ann".into()), ..CaptureInput::default() }
}

fn ticked(phone: &str) -> CaptureInput {
    CaptureInput { consents: [(ConsentPurpose::PersonalData, true.into())].into(), ..input(phone) }
}

fn now() -> Received {
    Received::at(epoch())
}

/// Waits until something is so, looking after each change.
#[allow(clippy::future_not_send, reason = "it is awaited where it is made")]
async fn until(changes: &mut tokio::sync::broadcast::Receiver<Change>, is_so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !is_so().await {
            // One that was missed is as good as one that was heard.
            let _missed = changes.recv().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it comes to that");
}

fn is_cyrillic(text: &str) -> bool {
    text.chars().any(|c| ('\u{400}'..='\u{4ff}').contains(&c))
}

/// Whatever the manager of an English program sees: the offer, its buttons, what a press is answered, and what stands
/// under the offer afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn an_english_program_tells_its_manager_nothing_in_russian() {
    let (store, bot) = (MemoryStore::new(), MemoryChannel::new("bot"));
    let engine = engine(&store, &bot, site()).await.unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (engine, stop) = (engine.clone(), stop.clone());
        async move { engine.run(stop).await }
    });
    let captured = engine.capture_input("site", input("+7 900 000-00-00"), now()).await.unwrap();
    assert_eq!(captured.answer.verdict, CaptureVerdict::Accepted);
    let mut changes = engine.changes();
    let offer = bot.inbox().wait_for(1).await.remove(0);
    assert_eq!(offer.text, "New lead: Ann, +79000000000");
    until(&mut changes, async || store.queue_depth(epoch()).await.unwrap().sending == 0).await;
    let [accept, decline] = &offer.buttons[..] else { panic!("two buttons: {:?}", offer.buttons) };
    let press = bot.press(&offer, accept);
    let channel = engine.directory().channel(bot.info().id).cloned().unwrap();
    engine.ingest(&channel, serde_json::from_slice(&press.body).unwrap(), None).await.unwrap();
    let is_told = || !bot.interaction_replies().is_empty() && bot.inbox().all()[0].text != offer.text;
    until(&mut changes, async || is_told()).await;
    let (edited, replies) = (bot.inbox().all().remove(0).text, bot.interaction_replies());
    assert!(edited.contains("Accepted by"), "{edited}");
    let told = [&offer.text, &accept.label, &decline.label, &edited, &replies[0].text];
    for text in told {
        assert!(!text.is_empty() && !is_cyrillic(text), "{text}");
    }
    stop.cancel();
    running.await.unwrap();
}

#[test]
fn a_starter_policy_speaks_the_language_that_it_is_asked_for() {
    let to = || Recipient::Chat("1".into());
    let (english, russian) =
        (Policy::starter_in(Locale::En, "bot", to()), Policy::starter_in(Locale::Ru, "bot", to()));
    assert_eq!(russian, Policy::starter("bot", to()));
    for (policy, locale) in [(english, Locale::En), (russian, Locale::Ru)] {
        let target = &policy.targets["manager"];
        assert_eq!(target.locale, locale);
        let text = &policy.templates["new_lead"][&locale].plain;
        for shown in [&target.display_name, text] {
            assert_eq!(is_cyrillic(shown), locale == Locale::Ru, "{shown}");
        }
    }
}

#[tokio::test]
async fn a_source_is_stored_as_it_was_built() {
    let (store, bot) = (MemoryStore::new(), MemoryChannel::new("bot"));
    let limits = SourceLimits { min_fill_millis: 900, ..SourceLimits::default() };
    let built = site().consent(privacy("text")).limits(limits.clone());
    engine(&store, &bot, built.clone()).await.unwrap();
    let stored = store.load().await.unwrap().sources.remove(0);
    assert_eq!((stored.key.as_str(), stored.name.as_str(), stored.locale), ("site", "Our site", Locale::En));
    assert_eq!(stored.allowed_origins, ["https://example.com"]);
    assert_eq!((stored.consents, stored.limits), (vec![privacy("text")], limits));
    // The same program starts again.
    engine(&store, &bot, built).await.unwrap();
    assert_eq!(store.load().await.unwrap().sources.len(), 1);
}

#[tokio::test]
async fn the_text_of_a_version_never_changes() {
    let (store, bot) = (MemoryStore::new(), MemoryChannel::new("bot"));
    engine(&store, &bot, site().consent(privacy("one text"))).await.unwrap();
    let error = engine(&store, &bot, site().consent(privacy("another text"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.message().contains("consents[0].version"), "{error}");
}

#[tokio::test]
async fn what_must_be_mended_is_an_error_that_names_the_field() {
    let (store, bot) = (MemoryStore::new(), MemoryChannel::new("bot"));
    let engine = engine(&store, &bot, site().consent(privacy("text"))).await.unwrap();
    let program = BotCheck { honeypot: Some("x".into()), elapsed_millis: None };
    let fast = BotCheck { honeypot: None, elapsed_millis: Some(1_499) };
    let cases = [
        (input("+7 900 000-00-00"), &[("consents.personal_data", "consent_required")][..]),
        (ticked("12"), &[("phone", "invalid_phone")]),
        (CaptureInput { phone: None, ..ticked("") }, &[("phone", "contact_required")]),
        (input("12"), &[("phone", "invalid_phone"), ("consents.personal_data", "consent_required")]),
        (CaptureInput { bot_check: program, ..ticked("+79000000000") }, &[("bot_check", "looks_automated")]),
        (CaptureInput { bot_check: fast, ..ticked("+79000000000") }, &[("bot_check", "looks_automated")]),
    ];
    for (input, expected) in cases {
        let error = engine.capture_input("site", input, now()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        let faults: Vec<_> =
            InputFaults::of(&error).iter().map(|fault| (fault.field.as_str(), fault.code)).collect();
        assert_eq!(faults, expected);
        for (field, _) in expected {
            assert!(error.to_string().contains(&format!("{field}: ")), "{error}");
        }
    }
    let error = engine.capture_input("nowhere", ticked("+79000000000"), now()).await.unwrap_err();
    assert_eq!((error.kind(), InputFaults::of(&error)), (ErrorKind::NotFound, &[][..]));
    let mut closed = (**engine.directory().source("site").unwrap()).clone();
    closed.active = false;
    engine.put_source(closed);
    let error = engine.capture_input("site", ticked("+79000000000"), now()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn what_a_program_seems_to_have_sent_is_kept_where_the_source_says_so() {
    let (store, bot) = (MemoryStore::new(), MemoryChannel::new("bot"));
    let limits = SourceLimits { automated: AutomatedAction::Review, ..SourceLimits::default() };
    let engine = engine(&store, &bot, site().limits(limits)).await.unwrap();
    let fast = BotCheck { honeypot: None, elapsed_millis: Some(3) };
    let input = CaptureInput { bot_check: fast, ..input("+79000000000") };
    let source = engine.directory().source("site").cloned().unwrap();
    let request = CaptureRequest::read(source, input, now()).unwrap();
    assert_eq!((request.capture.automated, request.capture.locale), (Some(Automated::TooFast), Locale::En));
    let key = IdempotencyKey::new("one", b"the same");
    let first = engine.capture(request.clone().with_key(key)).await.unwrap();
    let again = engine.capture(request.with_key(key)).await.unwrap();
    assert_eq!((first.answer.lead_id, again.replayed), (again.answer.lead_id, true));
    let workspace = engine.directory().source("site").unwrap().workspace_id;
    let events = store.events(workspace, first.answer.lead_id, PageRequest::default()).await.unwrap();
    assert_eq!(events.items.len(), 1);
}
