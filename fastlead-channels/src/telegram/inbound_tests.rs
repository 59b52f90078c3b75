use fastlead_core::message::{Response, ResponseToken};
use serde_json::json;

use super::*;

const RECEIVED: i64 = 1_700_000_000_000;

fn event(update: Value) -> Option<InboundEvent> {
    read_update(serde_json::from_value(update).unwrap(), from_millis(RECEIVED), Some("FastLead_bot"))
}

fn anna() -> Value {
    json!({"id": 1111111, "is_bot": false, "first_name": "Anna", "last_name": "P", "username": "anna",
        "language_code": "ru"})
}

fn message(content: &Value) -> Value {
    let mut message = json!({"message_id": 1365, "date": 1441645532, "from": anna(),
        "chat": {"id": 1111111, "type": "private", "first_name": "Anna"}});
    message.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
    json!({"update_id": 10000, "message": message})
}

fn peer_in(chat: &str) -> Peer {
    Peer {
        chat: chat.into(),
        user: "1111111".into(),
        display_name: Some("Anna P".into()),
        language: Some("ru".to_owned()),
    }
}

/// Updates as Telegram makes them; <https://core.telegram.org/bots/api#message> names the fields and the accounts.
#[test]
fn what_no_person_wrote_to_this_bot_is_left_out() {
    let group = json!({"id": -1001, "type": "supergroup", "title": "sales"});
    let telegram = json!({"id": 777000, "is_bot": false, "first_name": "Telegram"});
    let anonymous =
        json!({"id": 1087968824, "is_bot": true, "first_name": "Group", "username": "GroupAnonymousBot"});
    let channel =
        json!({"id": 136817688, "is_bot": true, "first_name": "Channel", "username": "Channel_Bot"});
    for content in [
        json!({"text": "/start@other_bot promo"}),
        json!({"text": "/help@other_bot"}),
        json!({"text": "пост", "chat": group, "from": telegram, "is_automatic_forward": true, "sender_chat": {"id": -1002, "type": "channel"}}),
        json!({"text": "пост", "chat": group, "from": telegram}),
        json!({"text": "привет", "chat": group, "from": anonymous, "sender_chat": group}),
        json!({"text": "привет", "chat": group, "from": channel, "sender_chat": {"id": -1002, "type": "channel"}}),
        json!({"text": "я тоже бот", "chat": group, "from": {"id": 5, "is_bot": true, "first_name": "B"}}),
        json!({"photo": [{"file_id": "A"}], "chat": group, "from": anonymous, "sender_chat": group}),
    ] {
        assert_eq!(event(message(&content)), None, "{content}");
    }
    // These are for us: to this bot in whatever case, to no bot by name, and a text that only looks like a command.
    for text in ["/start@fastlead_BOT promo", "/start promo", "anna@other_bot", "что такое /start@other_bot"]
    {
        assert!(event(message(&json!({ "text": text }))).is_some(), "{text}");
    }
    let unnamed = message(&json!({"text": "/start@other_bot promo"}));
    let read = read_update(serde_json::from_value(unnamed).unwrap(), from_millis(RECEIVED), None);
    assert!(read.is_some(), "without a name of our own nothing is left out");
}

#[test]
fn messages_become_events() {
    let from = || peer_in("1111111");
    let wrote = |text: &str| InboundKind::Message { from: from(), text: text.into() };
    let started =
        |payload: Option<&str>| InboundKind::Started { from: from(), payload: payload.map(str::to_owned) };
    for (content, kind) in [
        (json!({"text": "Привет 😀"}), wrote("Привет 😀")),
        (
            json!({"text": "a", "entities": [{"type": "invented_tomorrow", "offset": 0, "length": 1}]}),
            wrote("a"),
        ),
        (json!({"text": "/start"}), started(None)),
        (json!({"text": "/start promo_42"}), started(Some("promo_42"))),
        (json!({"text": "/start@fastlead_bot promo-42"}), started(Some("promo-42"))),
        (json!({"text": "/start hello, world"}), started(None)),
        (json!({"text": "/start two words"}), started(None)),
        (json!({"text": format!("/start {}", "x".repeat(65))}), started(None)),
        (json!({"text": "/started"}), wrote("/started")),
        (json!({"text": "please /start"}), wrote("please /start")),
        (json!({"photo": [{"file_id": "A"}], "caption": "подпись"}), wrote("подпись")),
        (json!({"voice": {"file_id": "A"}}), wrote("")),
        (
            json!({"contact": {"phone_number": "79000000000", "first_name": "Anna", "user_id": 1111111}}),
            InboundKind::PhoneShared { from: from(), phone: "79000000000".into() },
        ),
        (
            json!({"contact": {"phone_number": "79000000000", "first_name": "B", "user_id": 2222222}}),
            wrote(""),
        ),
        (json!({"contact": {"phone_number": "79000000000", "first_name": "B"}}), wrote("")),
        (
            json!({"migrate_to_chat_id": -1001234567890_i64}),
            InboundKind::ChatMoved { from_chat: "1111111".into(), to_chat: "-1001234567890".into() },
        ),
    ] {
        let event = event(message(&content)).unwrap();
        assert_eq!(event.kind, kind, "{content}");
        assert_eq!(event.provider_event_id, "10000");
        assert_eq!(event.occurred_at, from_millis(1_441_645_532_000));
    }
}

#[test]
fn a_pressed_button_brings_its_token_only_if_it_is_ours() {
    let delivery = "0190b6f45d3c7000a000000000000001";
    let ours = ResponseToken {
        response: Response::Decline,
        delivery_id: format!("dlv_{delivery}").parse().unwrap(),
    };
    for (data, token) in
        [(json!(format!("d.{delivery}")), Some(ours)), (json!("ok:1"), None), (json!(null), None)]
    {
        let update = json!({"update_id": 10001, "callback_query": {"id": "4382bfdwdsb323b2d9", "from": anna(),
            "message": {"message_id": 1366, "date": 0, "chat": {"id": -100, "type": "group"},
                "reply_markup": {"inline_keyboard": [[{"text": "a", "callback_data": "b"}],
                    [{"text": "Open", "url": "https://example.com/1"}, {"text": "t", "url": "tg://user?id=1"}]]}},
            "chat_instance": "42", "data": data}});
        let event = event(update).unwrap();
        assert_eq!(event.occurred_at, from_millis(RECEIVED), "a press has no date of its own");
        let InboundKind::Interaction { interaction_id, token: found, from, message } = event.kind else {
            panic!("not an interaction")
        };
        let url = HttpUrl::try_from("https://example.com/1".to_owned()).unwrap();
        let links = vec![Button { label: "Open".to_owned(), action: ButtonAction::Open(url) }];
        let pressed = PressedMessage { chat: "-100".into(), message_id: "1366".to_owned(), links };
        assert_eq!(message, Some(pressed));
        assert_eq!((interaction_id.as_str(), from), ("4382bfdwdsb323b2d9", peer_in("-100")));
        assert_eq!(found.and_then(|text| text.decode()), token, "{data}");
    }
    let inline =
        json!({"update_id": 1, "callback_query": {"id": "1", "from": anna(), "inline_message_id": "x"}});
    let Some(InboundKind::Interaction { from, message, .. }) = event(inline).map(|event| event.kind) else {
        panic!("not an interaction")
    };
    assert_eq!((from, message), (peer_in("1111111"), None));
}

#[test]
fn blocking_is_told_in_private_chats_only() {
    let update = |chat: &str, status: &str| {
        json!({"update_id": 10002, "my_chat_member": {"chat": {"id": 1111111, "type": chat}, "from": anna(),
            "date": 1441645600, "old_chat_member": {"status": "left", "user": {"id": 5}},
            "new_chat_member": {"status": status, "until_date": 0, "user": {"id": 5}}}})
    };
    let from = || peer_in("1111111");
    for (chat, status, kind) in [
        ("private", "kicked", Some(InboundKind::Blocked { from: from() })),
        ("private", "member", Some(InboundKind::Unblocked { from: from() })),
        ("private", "left", None),
        ("group", "kicked", None),
        ("supergroup", "member", None),
    ] {
        let event = event(update(chat, status));
        assert_eq!(event.map(|event| event.kind), kind, "{chat} {status}");
    }
}

#[test]
fn what_is_not_for_us_is_left_out() {
    for update in [
        json!({"update_id": 1}),
        json!({"update_id": 1, "invented_tomorrow": {"id": 1}}),
        json!({"update_id": 1, "message": {"strange": true}}),
        json!({"update_id": 1, "message": null}),
        json!({"update_id": 1, "edited_message": message(&json!({"text": "a"}))["message"]}),
        message(&json!({"new_chat_members": [{"id": 5, "first_name": "B"}]})),
        message(&json!({"migrate_from_chat_id": -100})),
        message(&json!({"text": "post of a channel", "from": null})),
    ] {
        assert_eq!(event(update.clone()), None, "{update}");
    }
}
