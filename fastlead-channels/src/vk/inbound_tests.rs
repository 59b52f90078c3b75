use fastlead_core::id::{DeliveryId, RandomIds};
use fastlead_core::message::{Response, ResponseToken};
use fastlead_core::time::epoch;
use serde_json::json;

use super::*;

fn received() -> Timestamp {
    from_millis(1_800_000_000_000)
}

fn events(event: &Value) -> Vec<InboundEvent> {
    read_event(serde_json::from_value(event.clone()).unwrap(), received())
}

fn event(kind: &str, object: Value) -> Value {
    json!({"type": kind, "object": object, "group_id": 202_308_925, "event_id": "7d5e", "v": "5.199", "secret": "s3cr3t"})
}

fn message(change: Value) -> Value {
    let mut message = json!({
        "date": 1_613_670_509, "from_id": 790_000_000, "id": 310, "out": 0, "peer_id": 790_000_000, "text": "Wwww",
        "conversation_message_id": 295, "important": false, "random_id": 0, "attachments": [], "fwd_messages": [],
        "is_hidden": false,
    });
    for (name, value) in change.as_object().unwrap() {
        message[name] = value.clone();
    }
    message
}

fn new_message(change: Value) -> Value {
    let info = json!({"button_actions": ["text", "callback", "open_link"], "keyboard": true, "inline_keyboard": true,
        "carousel": true, "lang_id": 0});
    event("message_new", json!({"message": message(change), "client_info": info}))
}

/// What happened in a few words.
fn told(event: &Value) -> Vec<String> {
    let words = |event: InboundEvent| match event.kind {
        InboundKind::Message { from, text } => format!("{} wrote {}", from.chat.expose(), text.expose()),
        InboundKind::Started { from, payload } => format!("{} started {payload:?}", from.chat.expose()),
        InboundKind::Blocked { from } => format!("{} blocked", from.chat.expose()),
        InboundKind::Unblocked { from } => format!("{} unblocked", from.chat.expose()),
        InboundKind::Interaction { interaction_id, token, from, message } => {
            assert_eq!(message, None);
            format!(
                "{} in {} pressed {interaction_id} {}",
                from.user.expose(),
                from.chat.expose(),
                token.is_some()
            )
        }
        other => format!("{other:?}"),
    };
    events(event).into_iter().map(words).collect()
}

#[test]
fn the_message_of_the_documentation() {
    let sample =
        new_message(json!({"payload": "{\"command\":\"start\"}", "ref": "promo_42", "ref_source": "site"}));
    assert_eq!(told(&sample), [r#"790000000 started Some("promo_42")"#]);
    let found = events(&sample).remove(0);
    assert_eq!(
        (found.provider_event_id.as_str(), found.occurred_at),
        ("7d5e", from_millis(1_613_670_509_000))
    );
    let InboundKind::Started { from, .. } = found.kind else { panic!("a start") };
    assert_eq!((from.user.expose().as_str(), from.language.as_deref()), ("790000000", Some("ru")));
}

#[test]
fn messages_of_people() {
    for (change, expected) in [
        (json!({}), &["790000000 wrote Wwww"][..]),
        (json!({"payload": {"command": "start"}}), &["790000000 started None"]),
        (json!({"payload": "{\"command\":\"start\"}", "ref": ""}), &["790000000 started None"]),
        (json!({"payload": "not json"}), &["790000000 wrote Wwww"]),
        (json!({"ref": "promo_42"}), &[r#"790000000 started Some("promo_42")"#, "790000000 wrote Wwww"]),
        (json!({"text": "", "attachments": [{"type": "photo"}]}), &["790000000 wrote "]),
        (json!({"text": "", "geo": {"type": "point"}}), &["790000000 wrote "]),
        (json!({"text": "", "fwd_messages": [{}]}), &["790000000 wrote "]),
        (json!({"peer_id": 2_000_000_001_i64}), &["2000000001 wrote Wwww"]),
        // Nobody wrote these to us.
        (json!({"text": ""}), &[]),
        (json!({"out": 1}), &[]),
        (json!({"from_id": -202_308_925}), &[]),
        (json!({"from_id": 0}), &[]),
        (json!({"action": {"type": "chat_invite_user"}}), &[]),
        // Shapes that are not known.
        (json!({"text": 7}), &[]),
        (json!({"attachments": {}, "ref": 5}), &["790000000 wrote Wwww"]),
    ] {
        assert_eq!(told(&new_message(change.clone())), expected, "{change}");
    }
    assert_eq!(told(&event("message_new", message(json!({})))), ["790000000 wrote Wwww"], "an old version");
}

#[test]
fn a_start_beside_a_message_has_an_id_of_its_own() {
    let ids: Vec<_> =
        events(&new_message(json!({"ref": "a"}))).into_iter().map(|event| event.provider_event_id).collect();
    assert_eq!(ids, ["7d5e:start", "7d5e"]);
}

#[test]
fn what_is_not_for_us_is_left_out() {
    let echo = message(json!({"out": 1, "from_id": -202_308_925, "admin_author_id": 790_000_009}));
    for (kind, object) in [
        ("message_reply", echo.clone()),
        ("message_edit", echo),
        ("message_typing_state", json!({"from_id": 790_000_000, "to_id": -202_308_925, "state": "typing"})),
        ("message_read", json!({"from_id": 790_000_000, "peer_id": 790_000_000, "read_message_id": 310})),
        ("invented_tomorrow", json!({"x": 1})),
        ("message_new", json!({})),
        ("message_new", json!(null)),
        ("message_event", json!({"user_id": "x"})),
        ("message_event", json!({"user_id": -5, "peer_id": -5, "event_id": "e"})),
        ("message_allow", json!({"user_id": 0})),
        ("message_allow", json!({"user_id": -1})),
        ("message_deny", json!([])),
        ("lead_forms_new", json!({"answers": []})),
    ] {
        assert_eq!(events(&event(kind, object.clone())), [], "{kind} {object}");
    }
}

#[test]
fn people_let_the_community_in_and_out() {
    assert_eq!(told(&event("message_deny", json!({"user_id": 790_000_000}))), ["790000000 blocked"]);
    assert_eq!(
        told(&event("message_allow", json!({"user_id": 790_000_000, "key": ""}))),
        ["790000000 unblocked"]
    );
    let widget = event("message_allow", json!({"user_id": 790_000_000, "key": "order_7"}));
    assert_eq!(told(&widget), ["790000000 unblocked", r#"790000000 started Some("order_7")"#]);
}

#[test]
fn a_press_brings_the_token() {
    let delivery_id = DeliveryId::generate(&RandomIds, epoch());
    let token = ResponseToken { response: Response::Accept, delivery_id }.encode();
    let press = |peer: i64, payload: Value| {
        event(
            "message_event",
            json!({"user_id": 790_000_000, "peer_id": peer, "event_id": "2f1a", "payload": payload,
                "conversation_message_id": 295}),
        )
    };
    for payload in [json!({"token": token}), json!(json!({"token": token}).to_string())] {
        let pressed = press(790_000_000, payload);
        assert_eq!(told(&pressed), ["790000000 in 790000000 pressed 2f1a true"]);
        let found = events(&pressed).remove(0);
        assert_eq!((found.provider_event_id.as_str(), found.occurred_at), ("7d5e", received()));
    }
    let in_chat = press(2_000_000_001, json!({"cmd": "ok"}));
    assert_eq!(told(&in_chat), ["790000000 in 2000000001 pressed 2f1a:790000000 false"]);
}

#[test]
fn a_lead_form_is_a_message_with_everything_in_it() {
    let form = json!({
        "lead_id": 39_842_910, "group_id": 202_308_925, "user_id": 790_000_000, "form_id": 1, "form_name": "Promo", "ad_id": 0,
        "answers": [
            {"key": "first_name", "question": "First name", "answer": "Ivan"},
            {"key": "last_name", "question": "Last name", "answer": "Petrov"},
            {"key": "phone_number", "question": "Phone number", "answer": "+7 (900) 000-00-00"},
            {"key": "custom_0", "question": "Pick", "answer": ["A", "B"]},
        ],
    });
    let found = events(&event("lead_forms_new", form.clone())).remove(0);
    // By the lead and not by the event: the same lead may be told again.
    assert_eq!(found.provider_event_id, "lead:39842910");
    let InboundKind::Message { from, text } = found.kind else { panic!("a message") };
    assert_eq!(from.chat.expose(), "790000000");
    assert_eq!(from.display_name.unwrap().expose(), "Ivan Petrov");
    assert!(text.expose().contains("Phone number: +7 (900) 000-00-00\nPick: A, B"), "{}", text.expose());

    let mut nameless = form;
    nameless["user_id"] = json!(0);
    let found = events(&event("lead_forms_new", nameless)).remove(0);
    let InboundKind::Message { from, .. } = found.kind else { panic!("a message") };
    assert_eq!(from.chat.expose(), "lead:39842910", "two leads without a person are not one person");
}

#[test]
fn an_event_without_an_id_gets_the_same_one_each_time() {
    let id = |change: Value, given: Value| {
        let mut event = new_message(change);
        event["event_id"] = given;
        events(&event).remove(0).provider_event_id
    };
    let first = id(json!({}), json!(null));
    assert_eq!(first, id(json!({}), json!("")));
    assert_ne!(first, id(json!({"id": 311}), json!(null)));
    assert!(id(json!({}), json!("x".repeat(4_000))).len() < 100);
}

#[test]
fn a_date_of_tomorrow_is_not_believed() {
    let found = events(&new_message(json!({"date": 4_000_000_000_i64}))).remove(0);
    assert_eq!(found.occurred_at, received());
    let found = events(&new_message(json!({"date": i64::MAX}))).remove(0);
    assert_eq!(found.occurred_at, received());
}
