//! Reasons that the simulation seldom meets: its leads all have what these need.

use serde_json::{Value, json};

use super::super::*;
use super::world::World;
use crate::lead::{CaptureInput, ConsentPurpose};

fn broadcast() -> Value {
    json!({"strategy": "broadcast", "targets": ["anna"], "template": "t"})
}

/// Why things were left out of the last decision.
fn reasons(world: &World) -> Vec<Reason> {
    world.last.as_ref().unwrap().trace.steps.iter().filter_map(|step| step.reason).collect()
}

fn visitor(world: &mut World, capture: Value) -> Vec<Reason> {
    let mut input: CaptureInput = serde_json::from_value(capture).unwrap();
    input.consents.insert(ConsentPurpose::Advertising, true.into());
    let document = crate::lead::ConsentDocument {
        purpose: ConsentPurpose::Advertising,
        locale: None,
        document_id: "ads".into(),
        version: "1".into(),
        label: "Ads".into(),
        text: "I agree".into(),
        required: false,
    };
    let capture = input.validate(&[document], Locale::Ru, crate::lead::Received::at(world.now)).unwrap();
    world.taken_in(capture);
    reasons(world)
}

#[test]
fn a_reply_needs_an_address_and_a_channel() {
    let replies = json!({"auto_reply": [
        {"channel": "bot", "to": "phone", "template": "t"},
        {"channel": "bot", "to": "email", "template": "t"},
        {"channel": "gone", "to": "phone", "template": "t"},
    ]});
    let mut world = World::new(json!({"anna": {}}), broadcast(), replies);
    let found = visitor(&mut world, json!({"phone": "+79000000000"}));
    assert!(found.contains(&Reason::NoEmail) && found.contains(&Reason::ChannelMissing), "{found:?}");
    let found = visitor(&mut world, json!({"email": "anna@example.com"}));
    assert!(found.contains(&Reason::NoPhone), "{found:?}");
}

#[test]
fn no_advertising_before_it_is_confirmed() {
    let more = json!({
        "auto_reply": [{"channel": "bot", "to": "phone", "template": "t", "class": "advertising"}],
        "confirm": {"ask": [{"channel": "bot", "to": "phone", "template": "t"}], "within_secs": 600, "hand_out": "at_once"},
    });
    let mut world = World::new(json!({"anna": {}}), broadcast(), more);
    let found = visitor(&mut world, json!({"phone": "+79000000000"}));
    assert!(found.contains(&Reason::Unconfirmed), "{found:?}");
}

#[test]
fn what_looks_like_spam_says_so() {
    let spam = json!({"spam": {"checks": ["phone_pattern"]}});
    let mut world = World::new(json!({"anna": {}}), broadcast(), spam);
    let found = visitor(&mut world, json!({"phone": "+79001111111"}));
    assert!(found.contains(&Reason::LooksLikeSpam), "{found:?}");
}

#[test]
fn whoever_cannot_answer_is_asked_for_no_bid() {
    let route =
        json!({"strategy": "ping_post", "targets": ["anna"], "template": "t", "ping_timeout_secs": 5});
    let mut world = World::new(json!({"anna": {}}), route, json!({}));
    world.no_answers();
    let found = visitor(&mut world, json!({"phone": "+79000000000"}));
    assert!(found.contains(&Reason::CannotAnswer), "{found:?}");
}
