use fastlead_core::message::{Response, ResponseToken};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;

use super::*;

const RECEIVED: i64 = 1_700_000_000_000;
const UPDATED: i64 = 1_775_025_604_499;
const TOKEN: &str = "f9LHodD0cOI";

fn events(update: &Value) -> Vec<InboundEvent> {
    let update = serde_json::from_value(update.clone()).unwrap();
    read_update(update, from_millis(RECEIVED), &Secret::new(TOKEN.to_owned()))
}

fn event(update: &Value) -> InboundEvent {
    let mut events = events(update);
    assert_eq!(events.len(), 1, "{update}");
    events.remove(0)
}

fn john() -> Value {
    json!({"user_id": 123456789, "first_name": "John", "last_name": "Doe", "is_bot": false,
        "last_activity_time": 1775025580000_i64, "name": "John Doe"})
}

fn peer_in(chat: &str, language: Option<&str>) -> Peer {
    Peer {
        chat: chat.into(),
        user: "123456789".into(),
        display_name: Some("John Doe".into()),
        language: language.map(str::to_owned),
    }
}

fn dialog(kind: &str) -> Value {
    json!({"update_type": kind, "timestamp": UPDATED, "chat_id": 182182182, "user_locale": "ru", "user": john()})
}

fn message(change: &Value) -> Value {
    let mut message = json!({"sender": john(),
        "recipient": {"chat_id": 182182182, "chat_type": "dialog", "user_id": 229229229},
        "timestamp": 1775053255737_i64,
        "body": {"mid": "mid.ffffbdb48e6c3775019d496b34394b84", "seq": 116327994376978687_u64, "text": "hello",
            "attachments": []}});
    message.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    json!({"update_type": "message_created", "timestamp": UPDATED, "user_locale": "ru", "message": message})
}

fn press(change: &Value) -> Value {
    let mut update = json!({"update_type": "message_callback", "timestamp": UPDATED, "user_locale": "ru",
        "callback": {"timestamp": 1775026702210_i64, "callback_id": "f9LHodD0cOJf4_DkJGeq8BkDgc5v", "payload": "picture",
            "user": john()},
        "message": {"recipient": {"chat_id": 182182182, "chat_type": "dialog", "user_id": 123456789},
            "timestamp": 1775026671403_i64,
            "body": {"mid": "mid.000000000adf429c019d47d58f2b3d9e", "seq": 116328147937082782_u64, "text": "Hello"},
            "sender": {"user_id": 229229229, "first_name": "UniBot", "username": "unit_bot", "is_bot": true}}});
    update.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    update
}

#[test]
fn a_person_comes_through_a_link_and_goes() {
    let from = || peer_in("123456789", Some("ru"));
    for (payload, expected) in [
        (json!("promo_42"), Some("promo_42".to_owned())),
        (json!("я".repeat(256)), Some("я".repeat(256))),
        (json!("x".repeat(513)), None),
        (json!(""), None),
        (json!(null), None),
    ] {
        let mut update = dialog("bot_started");
        update["payload"] = payload;
        update["user_id"] = json!(123456789);
        let found = events(&update);
        let kinds: Vec<_> = found.iter().map(|event| event.kind.clone()).collect();
        let expected = InboundKind::Started { from: from(), payload: expected };
        assert_eq!(kinds, [InboundKind::Unblocked { from: from() }, expected]);
        assert!(found.iter().all(|event| event.occurred_at == from_millis(UPDATED)));
        assert_ne!(found[0].provider_event_id, found[1].provider_event_id);
    }
    for kind in ["bot_stopped", "dialog_removed"] {
        assert_eq!(event(&dialog(kind)).kind, InboundKind::Blocked { from: from() });
    }
}

#[test]
fn messages_become_events() {
    let wrote =
        |text: &str| InboundKind::Message { from: peer_in("123456789", Some("ru")), text: text.into() };
    let body = |body: Value| json!({"body": body});
    let forwarded = json!({"type": "forward", "message": {"mid": "mid.1", "text": "Лада седан"},
        "sender": {"user_id": 398398398, "first_name": "Tod", "is_bot": false}, "chat_id": -695695695695_i64});
    let reply = json!({"type": "reply", "message": {"mid": "mid.1", "text": "Новая заявка"}});
    for (change, kind) in [
        (json!({}), wrote("hello")),
        (
            body(json!({"mid": "mid.1", "text": "Привет 😀", "markup": [{"type": "strong"}]})),
            wrote("Привет 😀"),
        ),
        (body(json!({"mid": "mid.1", "text": "/start promo"})), wrote("/start promo")),
        (
            body(json!({"mid": "mid.1", "text": null, "attachments": [{"type": "image", "payload": {}}]})),
            wrote(""),
        ),
        (body(json!({"mid": "mid.1", "attachments": [{"type": "invented_tomorrow"}, 7]})), wrote("")),
        (json!({"body": {"mid": "mid.1", "text": "мой ответ"}, "link": reply.clone()}), wrote("мой ответ")),
        (json!({"body": {"mid": "mid.1", "text": ""}, "link": reply}), wrote("")),
        (json!({"body": {"mid": "mid.1", "text": "смотрите"}, "link": forwarded.clone()}), wrote("смотрите")),
        (json!({"body": null, "link": forwarded}), wrote("Лада седан")),
    ] {
        let event = event(&message(&change));
        assert_eq!(event.kind, kind, "{change}");
        assert_eq!(event.occurred_at, from_millis(1_775_053_255_737));
    }
    let found = event(&message(&json!({})));
    assert_eq!(found.provider_event_id, "message_created.mid.ffffbdb48e6c3775019d496b34394b84");
    let undated = event(&json!({"update_type": "message_created", "message": {"sender": {"user_id": 5},
        "recipient": {}, "body": {"mid": "mid.1", "text": "a"}}}));
    assert_eq!(undated.occurred_at, from_millis(RECEIVED));
    let InboundKind::Message { from, .. } = undated.kind else { panic!("not a message") };
    assert_eq!((from.chat.expose().as_str(), from.display_name, from.language), ("5", None, None));
}

#[test]
fn in_a_group_the_answer_goes_to_the_group() {
    for (recipient, chat) in [
        (json!({"chat_id": -70801090403050_i64, "chat_type": "chat"}), "-70801090403050"),
        (json!({"chat_id": -70801090403050_i64}), "-70801090403050"),
        (json!({"chat_id": 70801090403050_i64, "chat_type": "chat"}), "chat:70801090403050"),
        (json!({"chat_id": 182182182, "chat_type": "dialog"}), "123456789"),
        (json!({"chat_id": null, "chat_type": "chat"}), "123456789"),
    ] {
        let mut update = message(&json!({ "recipient": recipient }));
        update["user_locale"] = Value::Null;
        let InboundKind::Message { from, .. } = event(&update).kind else { panic!("not a message") };
        assert_eq!(from, peer_in(chat, None), "{recipient}");
    }
}

fn signed(card: &str, token: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).unwrap();
    mac.update(card.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[test]
fn a_shared_number_counts_only_if_it_is_attested() {
    let card = "BEGIN:VCARD\r\nVERSION:3.0\r\nTEL;TYPE=cell:79000000000\r\nEND:VCARD";
    let contact = |hash: &str, owner: i64| {
        let payload =
            json!({"vcf_info": card, "hash": hash, "max_info": {"user_id": owner, "first_name": "John"}});
        message(&json!({"body": {"mid": "mid.1", "attachments": [{"type": "contact", "payload": payload}]}}))
    };
    let from = || peer_in("123456789", Some("ru"));
    let own = event(&contact(&signed(card, TOKEN), 123_456_789));
    assert_eq!(own.kind, InboundKind::PhoneShared { from: from(), phone: "79000000000".into() });
    for update in [
        contact(&signed(card, TOKEN), 398_398_398),
        contact(&signed(card, "another-token"), 123_456_789),
        contact("", 123_456_789),
    ] {
        assert_eq!(event(&update).kind, InboundKind::Message { from: from(), text: "".into() });
    }
}

#[test]
fn a_pressed_button_brings_its_token_only_if_it_is_ours() {
    let delivery = "0190b6f45d3c7000a000000000000001";
    let ours = ResponseToken {
        response: Response::Decline,
        delivery_id: format!("dlv_{delivery}").parse().unwrap(),
    };
    for (payload, token) in
        [(json!(format!("d.{delivery}")), Some(ours)), (json!("picture"), None), (json!(null), None)]
    {
        let mut update = press(&json!({}));
        update["callback"]["payload"] = payload.clone();
        update["message"]["body"]["attachments"] = json!([{"type": "image", "payload": {}},
            {"type": "inline_keyboard", "callback_id": "x", "payload": {"buttons": [
                [{"type": "callback", "text": "Беру", "payload": "a", "intent": "default"}],
                [{"type": "link", "text": "Открыть", "url": "https://example.com/1"},
                 {"type": "link", "text": "t", "url": "max://user/1"}, {"type": "hologram"}]]}}]);
        let event = event(&update);
        assert_eq!(event.occurred_at, from_millis(1_775_026_702_210));
        let InboundKind::Interaction { interaction_id, token: found, from, message } = event.kind else {
            panic!("not an interaction")
        };
        let url = HttpUrl::try_from("https://example.com/1".to_owned()).unwrap();
        let links = vec![Button { label: "Открыть".to_owned(), action: ButtonAction::Open(url) }];
        let message_id = "mid.000000000adf429c019d47d58f2b3d9e".to_owned();
        assert_eq!(message, Some(PressedMessage { chat: "123456789".into(), message_id, links }));
        assert_eq!(interaction_id, "f9LHodD0cOJf4_DkJGeq8BkDgc5v");
        assert_eq!(from, peer_in("123456789", Some("ru")));
        assert_eq!(found.and_then(|text| text.decode()), token, "{payload}");
    }
    // Deleted meanwhile, of an unknown shape, and without its buttons: nothing can be changed there.
    for message in [json!(null), json!(7), press(&json!({}))["message"].clone()] {
        let InboundKind::Interaction { from, message, .. } =
            event(&press(&json!({ "message": message }))).kind
        else {
            panic!("not an interaction")
        };
        assert_eq!((from, message), (peer_in("123456789", Some("ru")), None));
    }
    let mut in_group = press(&json!({}));
    in_group["message"]["recipient"] = json!({"chat_id": -70801090403050_i64, "chat_type": "chat"});
    let InboundKind::Interaction { from, .. } = event(&in_group).kind else { panic!("not an interaction") };
    assert_eq!(from.chat.expose(), "-70801090403050");
}

#[test]
fn the_same_update_has_the_same_id_and_another_has_not() {
    let (mut later, mut other_answer, mut second_press) =
        (dialog("bot_stopped"), press(&json!({})), press(&json!({})));
    later["timestamp"] = json!(UPDATED + 1);
    other_answer["callback"]["payload"] = json!("a.1");
    second_press["callback"]["timestamp"] = json!(1775026702211_i64);
    let forwarded = json!({"body": null, "link": {"type": "forward", "message": {"text": "a"}}});
    let updates = [
        dialog("bot_started"),
        dialog("bot_stopped"),
        dialog("dialog_removed"),
        later,
        message(&json!({})),
        message(&forwarded),
        press(&json!({})),
        other_answer,
        second_press,
    ];
    let mut seen = std::collections::HashSet::new();
    for update in &updates {
        let ids = |millis: i64| -> Vec<String> {
            let update = serde_json::from_value(update.clone()).unwrap();
            let events = read_update(update, from_millis(millis), &Secret::new(TOKEN.to_owned()));
            events.into_iter().map(|event| event.provider_event_id).collect()
        };
        assert_eq!(ids(RECEIVED), ids(RECEIVED + 60_000), "{update}");
        for id in ids(RECEIVED) {
            assert!(!id.contains("123456789") && !id.contains("182182182"), "an id names nobody: {id}");
            assert!(seen.insert(id), "{update}");
        }
    }
}

#[test]
fn what_is_not_for_us_is_left_out() {
    let bot = json!({"user_id": 229229229, "first_name": "UniBot", "username": "unit_bot", "is_bot": true});
    let mut started_by_a_bot = dialog("bot_started");
    started_by_a_bot["user"] = bot.clone();
    let mut without_user = dialog("bot_added");
    without_user.as_object_mut().unwrap().remove("user");
    for update in [
        json!({"update_type": "invented_tomorrow", "message": {}}),
        // Our own messages come back.
        message(&json!({"sender": bot})),
        message(&json!({"sender": null})),
        message(&json!({"recipient": {"chat_id": -1, "chat_type": "channel"}})),
        message(&json!({"recipient": 7})),
        message(&json!({"body": {"mid": "mid.1", "text": ""}})),
        message(&json!({"body": null})),
        json!({"update_type": "message_created", "timestamp": UPDATED}),
        json!({"update_type": "message_created", "message": null}),
        json!({"update_type": "message_edited", "message": message(&json!({}))["message"]}),
        json!({"update_type": "message_removed", "message_id": "mid.1", "chat_id": 182182182, "user_id": 123456789}),
        json!({"update_type": "message_callback", "callback": {"callback_id": "x"}}),
        json!({"update_type": "bot_started", "timestamp": UPDATED, "chat_id": 1}),
        started_by_a_bot,
        without_user,
        dialog("bot_removed"),
        dialog("user_added"),
        dialog("user_removed"),
        dialog("chat_title_changed"),
        dialog("dialog_cleared"),
        dialog("dialog_muted"),
        dialog("dialog_unmuted"),
    ] {
        assert_eq!(events(&update), [], "{update}");
    }
}

/// Puts something strange in place of a field, be it one of a field's.
fn spoil(place: &mut Value, strange: &Value, next: &mut impl FnMut(usize) -> usize) {
    match place.as_object_mut() {
        Some(fields) if !fields.is_empty() && next(4) > 0 => {
            let number = next(fields.len());
            if let Some(field) = fields.values_mut().nth(number) {
                spoil(field, strange, next);
            }
        }
        _ => *place = strange.clone(),
    }
}

/// Replaces parts of genuine updates by whatever JSON there is, with a generator that starts the same on every run.
#[test]
fn no_update_makes_it_panic() {
    let strange = [
        json!(null),
        json!(true),
        json!(-1),
        json!(18446744073709551615_u64),
        json!(1.5e300),
        json!(""),
        json!("\u{0}\u{fffd}я"),
        json!([]),
        json!([[{}]]),
        json!({}),
        json!({"type": "contact", "payload": {"vcf_info": ":"}}),
    ];
    let mut state: u64 = 20_261_128;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let kinds = ["message_created", "message_callback", "bot_started", "bot_stopped", "dialog_removed"];
    for _ in 0..5_000 {
        let mut update = match next(3) {
            0 => message(&json!({})),
            1 => press(&json!({})),
            _ => dialog(kinds[next(kinds.len())]),
        };
        spoil(&mut update, &strange[next(strange.len())], &mut next);
        if let Ok(update) = serde_json::from_value(update) {
            let _any = read_update(update, from_millis(RECEIVED), &Secret::new(TOKEN.to_owned()));
        }
    }
    for cut in 0..message(&json!({})).to_string().len() {
        let whole = message(&json!({})).to_string();
        if let Ok(update) = serde_json::from_slice(&whole.as_bytes()[..cut]) {
            let _any = read_update(update, from_millis(RECEIVED), &Secret::new(TOKEN.to_owned()));
        }
    }
}
