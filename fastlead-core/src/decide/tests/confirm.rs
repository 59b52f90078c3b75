use serde_json::{Value, json};

use super::super::*;
use super::world::World;
use crate::lead::{CaptureInput, ConsentPurpose};

fn world(confirm: Value, more: Value) -> World {
    let mut document = json!({
        "dedupe": {"match": "any", "fields": ["contact.phone"], "window_secs": 604_800},
        "auto_reply": [
            {"channel": "bot", "to": "phone", "template": "t"},
            {"channel": "bot", "to": "phone", "template": "t", "class": "advertising"},
        ],
        "confirm": confirm,
    });
    for (name, value) in more.as_object().unwrap() {
        document[name] = value.clone();
    }
    let route = json!([{"strategy": "round_robin", "targets": ["anna"], "template": "t"}]);
    World::new(json!({"anna": {}}), route, document)
}

fn ask() -> Value {
    json!([{"channel": "bot", "to": "email", "template": "t"}])
}

/// A visitor who agrees to advertising.
fn visitor(world: &mut World, contact: Value) -> usize {
    let input: CaptureInput = serde_json::from_value(contact).unwrap();
    let document = crate::lead::ConsentDocument {
        purpose: ConsentPurpose::Advertising,
        locale: None,
        document_id: "ads".into(),
        version: "1".into(),
        label: "Ads".into(),
        text: "I agree".into(),
        required: false,
    };
    let mut input = input;
    input.consents.insert(ConsentPurpose::Advertising, true.into());
    let received = crate::lead::Received::at(world.now);
    let capture = input.validate(&[document], Locale::Ru, received).unwrap();
    world.taken_in(capture)
}

fn both() -> Value {
    json!({"phone": "+79000000000", "email": "anna@example.com"})
}

/// What the last decision sends, by purpose and class.
fn sent(world: &World) -> Vec<(&'static str, MessageClass)> {
    let effects = &world.last.as_ref().unwrap().effects;
    let deliveries = effects.iter().filter_map(|effect| match effect {
        Effect::Deliver(deliver) => Some((deliver.spec.purpose.as_str(), deliver.spec.class)),
        _ => None,
    });
    deliveries.collect()
}

fn reserved_until(world: &World) -> Option<Timestamp> {
    world.last.as_ref().unwrap().effects.iter().find_map(|effect| match effect {
        Effect::ReserveUnique { until, .. } => Some(*until),
        _ => None,
    })
}

fn confirmed() -> Event {
    Event::Confirmed { ip: None, user_agent: None }
}

const SERVICE: MessageClass = MessageClass::Service;
const ADVERTISING: MessageClass = MessageClass::Advertising;

#[test]
fn a_lead_waits_for_the_visitor_and_is_handed_out_then() {
    let mut world = world(json!({"ask": ask(), "within_secs": 3_600}), json!({}));
    let lead = visitor(&mut world, both());
    assert_eq!((world.status(lead), world.offered(lead)), ("unconfirmed", vec![]));
    assert_eq!(sent(&world), [("confirmation", SERVICE)]);
    assert_eq!(reserved_until(&world), Some(plus_seconds(world.now, 3_600)), "others wait no longer");
    // Nobody can take what was not let in.
    world.accept(lead, "anna");
    assert_eq!(world.status(lead), "unconfirmed");

    world.advance(3_599);
    world.event(lead, confirmed());
    assert_eq!((world.status(lead), world.offered(lead)), ("open", vec!["anna"]));
    assert_eq!(sent(&world), [("offer", SERVICE), ("auto_reply", SERVICE), ("auto_reply", ADVERTISING)]);
    assert_eq!(reserved_until(&world), Some(plus_seconds(world.now, 604_800)));
    let at = world.state(lead).confirmation.unwrap().at;
    assert_eq!(at, Some(world.now));
    world.event(lead, confirmed());
    assert_eq!(world.last.as_ref().unwrap().effects, [], "once");
}

#[test]
fn what_is_not_confirmed_in_time_ends_as_the_policy_says() {
    for (then, status) in [
        (json!({"reject": "unconfirmed"}), "rejected"),
        (json!("accept"), "open"),
        (json!("review"), "review"),
    ] {
        let review = json!({"review": {"sla_secs": 600}});
        let mut world = world(json!({"ask": ask(), "within_secs": 60, "then": then}), review);
        let lead = visitor(&mut world, both());
        // A link that is opened at the last moment is too late, and the timer decides.
        world.now = plus_seconds(world.now, 60);
        world.event(lead, confirmed());
        assert_eq!(world.status(lead), "unconfirmed");
        world.advance(0);
        assert_eq!(world.status(lead), status);
        if status == "open" {
            assert_eq!(sent(&world), [("offer", SERVICE), ("auto_reply", SERVICE)], "no advertising");
        }
        // Whoever cannot be asked is treated alike, at once.
        let lead = visitor(&mut world, json!({"phone": "+79000000001"}));
        assert_eq!(world.status(lead), status);
    }
}

#[test]
fn a_lead_that_need_not_wait_is_handed_out_and_advertising_waits() {
    let confirm = json!({"ask": ask(), "within_secs": 60, "hand_out": "at_once"});
    let mut first = world(confirm.clone(), json!({}));
    let lead = visitor(&mut first, both());
    assert_eq!((first.status(lead), first.offered(lead)), ("open", vec!["anna"]));
    assert_eq!(sent(&first), [("confirmation", SERVICE), ("offer", SERVICE), ("auto_reply", SERVICE)]);
    first.accept(lead, "anna");
    first.event(lead, confirmed());
    assert_eq!((first.status(lead), sent(&first)), ("accepted", vec![("auto_reply", ADVERTISING)]));

    let mut second = world(confirm, json!({}));
    let lead = visitor(&mut second, both());
    second.now = plus_seconds(second.now, 60);
    second.event(lead, confirmed());
    assert_eq!(sent(&second), []);
    let reason = second.last.as_ref().unwrap().trace.steps.iter().find_map(|step| step.reason);
    assert_eq!(reason, Some(Reason::TooLate));
    // Without an address there is nothing to wait for.
    let lead = visitor(&mut second, json!({"phone": "+79000000001"}));
    assert_eq!((second.status(lead), second.state(lead).confirmation), ("open", None));
}

#[test]
fn only_leads_of_the_condition_are_asked_and_by_the_first_way_that_there_is() {
    let ways = json!([
        {"channel": "gone", "to": "phone", "template": "t"},
        {"channel": "bot", "to": "email", "template": "t"},
        {"channel": "bot", "to": "phone", "template": "t"},
    ]);
    let when = json!({"present": "contact.email"});
    let mut world = world(json!({"when": when, "ask": ways}), json!({}));
    let lead = visitor(&mut world, both());
    assert_eq!((world.status(lead), sent(&world)), ("unconfirmed", vec![("confirmation", SERVICE)]));
    let lead = visitor(&mut world, json!({"phone": "+79000000001"}));
    assert_eq!(world.status(lead), "open");
}
