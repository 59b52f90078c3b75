use fastlead_core::channel::{FailureReason, ReceiptFailure};
use fastlead_core::message::Response;
use fastlead_core::message::ResponseToken;
use fastlead_core::time::epoch;
use serde_json::json;

use super::*;

const NUMBER: &str = "1122334455667";
const RECEIVED: i64 = 1_800_000_000_000;
const DELIVERY: &str = "0190b6f45d3c7000a000000000000001";

fn events_of(body: &Value) -> Vec<InboundEvent> {
    let envelope = serde_json::from_value(body.clone()).unwrap();
    read_events(envelope, NUMBER, &Windows::default(), from_millis(RECEIVED))
}

/// A notification of these messages and statuses, as Meta wraps them.
fn notification(value: Value) -> Value {
    let mut whole = json!({"messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "972123456789", "phone_number_id": NUMBER}});
    whole.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
    json!({"object": "whatsapp_business_account", "entry": [{"id": "WABA_ID", "changes": [{"field": "messages", "value": whole}]}]})
}

fn message(change: Value) -> Value {
    let mut message = json!({"from": "79000000000", "id": "wamid.xyz", "timestamp": "1697043223"});
    message.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let contacts = json!([{"profile": {"name": "Test Name"}, "wa_id": "79000000000", "user_id": "US.13491208655302741918"}]);
    notification(json!({"contacts": contacts, "messages": [message]}))
}

fn status(change: Value) -> Value {
    let mut status = json!({"id": "wamid.xyz", "status": "sent", "timestamp": "1698266945", "recipient_id": "79000000000",
        "biz_opaque_callback_data": format!("dlv_{DELIVERY}"),
        "conversation": {"id": "7270", "expiration_timestamp": 1_698_339_900, "origin": {"type": "service"}},
        "pricing": {"billable": true, "pricing_model": "CBP", "category": "service"}});
    status.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    notification(json!({"statuses": [status]}))
}

fn anna() -> Peer {
    Peer {
        chat: "+79000000000".into(),
        user: "US.13491208655302741918".into(),
        display_name: Some("Test Name".into()),
        language: None,
    }
}

fn delivery() -> DeliveryId {
    format!("dlv_{DELIVERY}").parse().unwrap()
}

#[test]
fn a_message_becomes_an_event() {
    let media = json!({"id": "1", "mime_type": "image/jpeg", "sha256": "x"});
    let with_caption = json!({"id": "1", "mime_type": "image/jpeg", "caption": "Вот такая"});
    let button = |payload: &str| json!({"type": "button", "button": {"payload": payload, "text": "Хочу"}});
    for (change, text) in [
        (json!({"type": "text", "text": {"body": "Привет 👍"}}), "Привет 👍"),
        (json!({"type": "image", "image": with_caption}), "Вот такая"),
        (json!({"type": "document", "document": {"id": "1", "filename": "a.pdf"}}), ""),
        (json!({"type": "audio", "audio": media}), ""),
        (json!({"type": "video", "video": media}), ""),
        (json!({"type": "sticker", "sticker": media}), ""),
        (json!({"type": "location", "location": {"latitude": 1.5, "longitude": 2.5}}), ""),
        (json!({"type": "contacts", "contacts": [{"name": {}}]}), ""),
        (json!({"type": "order", "order": {"catalog_id": "1", "text": "Две штуки"}}), "Две штуки"),
        (json!({"type": "unsupported", "errors": [{"code": 131_051}]}), ""),
        (json!({"type": "invented_tomorrow", "invented_tomorrow": {"x": 1}}), ""),
        (json!({"type": "text"}), ""),
        (json!({"type": "text", "text": {"body": 7}}), ""),
        (json!({"type": "interactive"}), ""),
        (
            json!({"type": "interactive", "interactive": {"type": "button_reply", "button_reply": {"id": "yes", "title": "Да"}}}),
            "Да",
        ),
        (
            json!({"type": "interactive", "interactive": {"type": "list_reply", "list_reply": {"id": "1", "title": "Первый"}}}),
            "Первый",
        ),
        (button("promo"), "Хочу"),
        (button(&format!("x.{DELIVERY}")), "Хочу"),
    ] {
        let found = events_of(&message(change.clone()));
        let [event] = found.as_slice() else { panic!("{change}: {found:?}") };
        assert_eq!(event.kind, InboundKind::Message { from: anna(), text: text.into() }, "{change}");
        assert_eq!(event.provider_event_id, "message:wamid.xyz");
        assert_eq!(event.occurred_at, from_millis(1_697_043_223_000));
    }
    for kind in ["reaction", "system", "edit", "revoke"] {
        let nothing_said = json!({"type": kind, kind: {"message_id": "wamid.abc", "emoji": "👍"}});
        assert_eq!(events_of(&message(nothing_said)), [], "{kind}");
    }
}

#[test]
fn a_press_brings_back_its_token() {
    let accept = format!("a.{DELIVERY}");
    let expected = ResponseToken { response: Response::Accept, delivery_id: delivery() };
    for change in [
        json!({"type": "interactive", "context": {"from": "1", "id": "wamid.ours"},
            "interactive": {"type": "button_reply", "button_reply": {"id": accept, "title": "Беру"}}}),
        json!({"type": "button", "button": {"payload": accept, "text": "Беру"}}),
    ] {
        let found = events_of(&message(change.clone()));
        let [
            InboundEvent {
                kind: InboundKind::Interaction { interaction_id, token, from, message: None },
                ..
            },
        ] = found.as_slice()
        else {
            panic!("{change}: {found:?}")
        };
        assert_eq!((interaction_id.as_str(), from), ("wamid.xyz", &anna()));
        assert_eq!(token.as_ref().and_then(ResponseTokenText::decode), Some(expected));
    }
}

#[test]
fn a_click_on_an_advertisement_comes_before_the_message() {
    let referral = json!({"source_url": "https://fb.me/a?b=1&c=2", "source_id": "120", "source_type": "ad",
        "headline": "Скидка", "body": "…", "ctwa_clid": "ARAk"});
    let found = events_of(&message(json!({"type": "text", "text": {"body": "Hi"}, "referral": referral})));
    let payload =
        "ctwa_clid=ARAk&source_type=ad&source_id=120&source_url=https%3A%2F%2Ffb.me%2Fa%3Fb%3D1%26c%3D2";
    let kinds: Vec<_> = found.iter().map(|event| event.kind.clone()).collect();
    assert_eq!(
        kinds,
        [
            InboundKind::Started { from: anna(), payload: Some(payload.to_owned()) },
            InboundKind::Message { from: anna(), text: "Hi".into() },
        ]
    );
    assert_ne!(found[0].provider_event_id, found[1].provider_event_id);
    for (referral, payload) in [
        (json!({"source_id": "1", "ctwa_clid": "x".repeat(2_000)}), Some("source_id=1")),
        (json!({}), None),
        (json!(7), None),
        (json!({"headline": "Скидка"}), None),
    ] {
        let found =
            events_of(&message(json!({"type": "text", "text": {"body": "Hi"}, "referral": referral})));
        let told = found.iter().find_map(|event| match &event.kind {
            InboundKind::Started { payload, .. } => payload.clone(),
            _ => None,
        });
        assert_eq!(told.as_deref(), payload);
    }
}

#[test]
fn people_have_a_number_a_user_id_or_both() {
    let peer_of = |contacts: Value, change: Value| {
        let mut message =
            json!({"id": "wamid.1", "timestamp": 1_697_043_223, "type": "text", "text": {"body": "a"}});
        message.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let found = events_of(&notification(json!({"contacts": contacts, "messages": [message]})));
        found.into_iter().next().map(|event| match event.kind {
            InboundKind::Message { from, .. } => (
                from.chat.expose().clone(),
                from.user.expose().clone(),
                from.display_name.map(|name| name.expose().clone()).unwrap_or_default(),
            ),
            other => panic!("{other:?}"),
        })
    };
    let told = |chat: &str, user: &str, name: &str| Some((chat.to_owned(), user.to_owned(), name.to_owned()));
    let two = json!([
        {"profile": {"name": "Anna"}, "wa_id": "79000000000"},
        {"profile": {"name": "Ivan"}, "user_id": "US.2"},
        "strange",
    ]);
    for (contacts, change, expected) in [
        (two.clone(), json!({"from": "79000000000"}), told("+79000000000", "+79000000000", "Anna")),
        (two.clone(), json!({"from_user_id": "US.2"}), told("US.2", "US.2", "Ivan")),
        (two.clone(), json!({"from": "79000000001"}), told("+79000000001", "+79000000001", "")),
        (two, json!({}), None),
        (json!([{"user_id": "US.3"}]), json!({}), told("US.3", "US.3", "")),
        (json!([{"user_id": "US.3", "wa_id": ""}]), json!({"from": ""}), told("US.3", "US.3", "")),
        (json!([]), json!({"from": "79000000000"}), told("+79000000000", "+79000000000", "")),
        (json!([]), json!({"from": "not a number"}), told("+not a number", "+not a number", "")),
        (json!([]), json!({}), None),
    ] {
        assert_eq!(peer_of(contacts, change.clone()), expected, "{change}");
    }
}

#[test]
fn statuses_are_receipts() {
    let failed = |errors: Value, reason, code: Option<&str>| {
        let failure = ReceiptFailure { reason, provider_code: code.map(str::to_owned) };
        (json!({"status": "failed", "errors": errors}), ReceiptStatus::Failed(failure))
    };
    let error = |code: i64| json!([{"code": code, "title": "Words", "message": "+79000000000", "error_data": {"details": "Words"}, "href": "https://x"}]);
    for (change, expected) in [
        (json!({}), ReceiptStatus::InTransit),
        (json!({"status": "delivered"}), ReceiptStatus::Delivered),
        (json!({"status": "read"}), ReceiptStatus::Read),
        (json!({"status": "played"}), ReceiptStatus::Read),
        failed(error(131_026), FailureReason::Recipient, Some("131026")),
        failed(error(131_047), FailureReason::WindowClosed, Some("131047")),
        failed(error(132_001), FailureReason::Content, Some("132001")),
        failed(error(131_042), FailureReason::Balance, Some("131042")),
        failed(error(31_337), FailureReason::Other, Some("31337")),
        failed(json!(["strange", {"code": 131_047}]), FailureReason::WindowClosed, Some("131047")),
        failed(json!([]), FailureReason::Other, None),
    ] {
        let found = events_of(&status(change.clone()));
        let [event] = found.as_slice() else { panic!("{change}: {found:?}") };
        let message = MessageReference::Delivery(delivery());
        assert_eq!(event.kind, InboundKind::Receipt { message, status: expected }, "{change}");
        assert_eq!(event.occurred_at, from_millis(1_698_266_945_000));
        let name = change["status"].as_str().unwrap_or("sent");
        assert_eq!(event.provider_event_id, format!("status:wamid.xyz:{name}"));
    }
    for unknown in ["RINGING", "deleted", "", "Sent"] {
        assert_eq!(events_of(&status(json!({"status": unknown}))), [], "{unknown}");
    }
}

#[test]
fn a_receipt_names_the_delivery_or_the_part() {
    let of = |status_name: &str, along: Value| {
        let change =
            json!({"status": status_name, "biz_opaque_callback_data": along, "recipient_id": "group.7"});
        match events_of(&status(change)).remove(0).kind {
            InboundKind::Receipt { message, .. } => message,
            other => panic!("{other:?}"),
        }
    };
    let (ours, metas) =
        (MessageReference::Delivery(delivery()), MessageReference::Provider("wamid.xyz".to_owned()));
    for (name, along, expected) in [
        ("delivered", json!(format!("dlv_{DELIVERY}")), &ours),
        ("failed", json!(format!("dlv_{DELIVERY}")), &ours),
        // A part that arrives is one of several; a part that fails fails the whole.
        ("delivered", json!(format!("dlv_{DELIVERY}-1")), &metas),
        ("failed", json!(format!("dlv_{DELIVERY}-1")), &ours),
        ("delivered", json!("outbox-123"), &metas),
        ("failed", json!("outbox-123"), &metas),
        ("delivered", Value::Null, &metas),
    ] {
        assert_eq!(of(name, along.clone()), *expected, "{name} {along}");
    }
}

/// Field report: two statuses in the first entry and a message in the second are three records, also with rubbish between.
#[test]
fn every_level_is_walked_to_its_end() {
    let mut first = notification(json!({"statuses": [
        {"id": "wamid.1", "status": "sent", "timestamp": "1"}, 7, {"id": "wamid.2"},
        {"id": "wamid.2", "status": "delivered", "timestamp": "1"},
    ]}));
    let second = message(json!({"type": "text", "text": {"body": "a"}}));
    let entries = first["entry"].as_array_mut().unwrap();
    entries.push(json!("strange"));
    entries.push(json!({"id": "WABA_ID", "changes": [
        {"field": "calls", "value": {"statuses": [{"id": "x", "status": "RINGING"}]}},
        {"field": "user_preferences", "value": {"user_preferences": [{"timestamp": 1_731_705_721}]}},
        {"field": "messages", "value": "strange"},
        second["entry"][0]["changes"][0],
    ]}));
    let ids: Vec<_> = events_of(&first).into_iter().map(|event| event.provider_event_id).collect();
    assert_eq!(ids, ["status:wamid.1:sent", "status:wamid.2:delivered", "message:wamid.xyz"]);
}

#[test]
fn what_is_not_for_this_number_is_left_out() {
    let mut other = message(json!({"type": "text", "text": {"body": "a"}}));
    other["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = json!("7");
    assert_eq!(events_of(&other), []);
    other["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = json!(1_122_334_455_667_i64);
    assert_eq!(events_of(&other).len(), 1, "an id may come as a number");
    for body in
        [json!({}), json!({"object": "whatsapp_business_account", "entry": []}), json!({"entry": [{}]})]
    {
        assert_eq!(events_of(&body), [], "{body}");
    }
}

#[test]
fn moments_are_texts_or_numbers_and_none_lies_ahead() {
    for (timestamp, millis) in [
        (json!("1697043223"), 1_697_043_223_000),
        (json!(1_697_043_223), 1_697_043_223_000),
        (json!("4000000000"), RECEIVED),
        (json!("soon"), RECEIVED),
        (json!(null), RECEIVED),
        (json!("-1"), RECEIVED),
        (json!(i64::MAX), RECEIVED),
    ] {
        let found = events_of(&message(json!({"type": "text", "timestamp": timestamp})));
        assert_eq!(found[0].occurred_at, from_millis(millis), "{timestamp}");
    }
}

#[test]
fn who_writes_may_be_written_to_until_whatsapp_says_otherwise() {
    let windows = Windows::default();
    let read = |body: &Value| {
        let envelope = serde_json::from_value(body.clone()).unwrap();
        read_events(envelope, NUMBER, &windows, from_millis(RECEIVED));
    };
    let now = from_millis(1_697_043_223_000);
    read(&message(json!({"type": "text"})));
    assert!(windows.is_open("79000000000", now) && windows.is_open("US.13491208655302741918", now));
    read(&status(json!({"status": "failed", "errors": [{"code": 131_026}]})));
    assert!(windows.is_open("79000000000", now));
    read(&status(json!({"status": "failed", "errors": [{"code": 131_047}]})));
    assert!(!windows.is_open("79000000000", now));
}

#[test]
fn a_long_id_is_replaced_and_the_same_again() {
    let long = "w".repeat(400);
    let id = || events_of(&message(json!({"type": "text", "id": long}))).remove(0).provider_event_id;
    assert!(id().len() < 100 && id() == id());
}

/// Puts something strange in place of a part.
fn spoil(place: &mut Value, strange: &Value, next: &mut impl FnMut(usize) -> usize) {
    let number = next(8);
    let inner = match place {
        Value::Object(fields) if !fields.is_empty() && number > 0 => {
            let number = number % fields.len();
            fields.values_mut().nth(number)
        }
        Value::Array(list) if !list.is_empty() && number > 0 => {
            let number = number % list.len();
            list.get_mut(number)
        }
        _ => None,
    };
    match inner {
        Some(inner) => spoil(inner, strange, next),
        None => *place = strange.clone(),
    }
}

#[test]
fn no_notification_makes_it_panic() {
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
        json!({"code": {}}),
    ];
    let referral = json!({"source_type": "ad", "ctwa_clid": "я"});
    let samples = [
        message(json!({"type": "text", "text": {"body": "a"}, "referral": referral})),
        message(json!({"type": "button", "button": {"payload": format!("a.{DELIVERY}"), "text": "a"}})),
        status(json!({"status": "failed", "errors": [{"code": 131_047}]})),
    ];
    let mut state: u64 = 20_261_130;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let windows = Windows::default();
    for _ in 0..20_000 {
        let mut body = samples[next(samples.len())].clone();
        spoil(&mut body, &strange[next(strange.len())], &mut next);
        if let Ok(envelope) = serde_json::from_value(body) {
            let _any = read_events(envelope, NUMBER, &windows, epoch());
        }
    }
}
