use super::*;

const NEVER: RetryHint = RetryHint::Never;

const fn safe(seconds: u64) -> RetryHint {
    RetryHint::Safe { after: Some(Duration::from_secs(seconds)) }
}

fn refusal(code: u16, description: &str) -> String {
    serde_json::json!({"ok": false, "error_code": code, "description": description}).to_string()
}

#[test]
fn the_error_table() {
    use ErrorKind::{Auth, Config, Conflict, Content, Protocol, RateLimited, Recipient, Unavailable};
    for (code, description, kind, retry, provider_code) in [
        (403, "Forbidden: bot was blocked by the user", Recipient, NEVER, "403"),
        (403, "Forbidden: user is deactivated", Recipient, NEVER, "403"),
        (403, "Forbidden: bot can't initiate conversation with a user", Recipient, NEVER, "403"),
        (403, "Forbidden: bot was kicked from the group chat", Recipient, NEVER, "403"),
        (403, "Forbidden: bot was kicked from the supergroup chat", Recipient, NEVER, "403"),
        (403, "Forbidden: bot was kicked from the channel chat", Recipient, NEVER, "403"),
        (403, "Forbidden: bot is not a member of the channel chat", Recipient, NEVER, "403"),
        (403, "Forbidden: the group chat was deleted", Recipient, NEVER, "403"),
        (400, "Bad Request: chat not found", Recipient, NEVER, "400"),
        (400, "Bad Request: chat_id is empty", Recipient, NEVER, "400"),
        (400, "Bad Request: PEER_ID_INVALID", Recipient, NEVER, "400"),
        (400, "Bad Request: not enough rights to send text messages to the chat", Recipient, NEVER, "400"),
        (400, "Bad Request: need administrator rights in the channel chat", Recipient, NEVER, "400"),
        (400, "Bad Request: message text is empty", Content, NEVER, "400"),
        (400, "Bad Request: message is too long", Content, NEVER, "400"),
        (400, "Bad Request: text is too long", Content, NEVER, "400"),
        (
            400,
            "Bad Request: can't parse entities: Unsupported start tag \"p\" at byte offset 0",
            Content,
            NEVER,
            "400",
        ),
        (400, "Bad Request: file is too big", Content, NEVER, "400"),
        (400, "Bad Request: wrong file identifier/HTTP URL specified", Content, NEVER, "400"),
        (400, "Bad Request: failed to get HTTP URL content", Content, NEVER, "400"),
        (400, "Bad Request: reply markup is too long", Content, NEVER, "400"),
        (400, "Bad Request: BUTTON_DATA_INVALID", Content, NEVER, "400"),
        (400, "Bad Request: a reason that Telegram will invent tomorrow", Content, NEVER, "400"),
        (413, "Request Entity Too Large", Content, NEVER, "413"),
        // One group without that topic must not pause the bot for everybody else.
        (400, "Bad Request: message thread not found", Recipient, NEVER, "message_thread_not_found"),
        (400, "Bad Request: TOPIC_DELETED", Recipient, NEVER, "message_thread_not_found"),
        (400, "Bad Request: TOPIC_CLOSED", Recipient, NEVER, "message_thread_not_found"),
        (400, "Bad Request: TOPIC_ID_INVALID", Recipient, NEVER, "message_thread_not_found"),
        (400, "Bad Request: USER_IS_BLOCKED", Recipient, NEVER, "400"),
        (400, "Bad Request: INPUT_USER_DEACTIVATED", Recipient, NEVER, "400"),
        (400, "Bad Request: CHAT_RESTRICTED", Recipient, NEVER, "400"),
        (400, "Bad Request: have no write access to the chat", Recipient, NEVER, "400"),
        (400, "Bad Request: message to be replied not found", Content, NEVER, "400"),
        (
            400,
            "Bad Request: message is not modified: specified new message content and reply markup are exactly \
             the same as a current content and reply markup of the message",
            Conflict,
            NEVER,
            "message_is_not_modified",
        ),
        (
            400,
            "Bad Request: query is too old and response timeout expired or query ID is invalid",
            Content,
            NEVER,
            "query_is_too_old",
        ),
        (400, "Logged out", Auth, NEVER, "400"),
        (401, "Unauthorized", Auth, NEVER, "401"),
        (404, "Not Found", Auth, NEVER, "404"),
        (
            409,
            "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the \
             webhook first",
            Config,
            NEVER,
            "409",
        ),
        (
            409,
            "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
            Conflict,
            RetryHint::SAFE,
            "409",
        ),
        (429, "Too Many Requests: a limit without a delay", RateLimited, RetryHint::SAFE, "429"),
        (500, "Internal Server Error: restart", Unavailable, RetryHint::UNKNOWN, "500"),
        (502, "Bad Gateway", Unavailable, RetryHint::UNKNOWN, "502"),
        (418, "I'm a teapot", Protocol, NEVER, "418"),
        (999, "nothing known", Protocol, RetryHint::UNKNOWN, "999"),
    ] {
        let error = parse_error(Operation::Send, code, None, refusal(code, description).as_bytes());
        let shown = (error.kind(), error.retry(), error.provider_code());
        assert_eq!(shown, (kind, retry, Some(provider_code)), "{description}");
        assert_eq!((error.adapter(), error.operation()), (Some("telegram"), "send"));
    }
}

#[test]
fn parameters_decide_before_words() {
    let body = br#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 14","parameters":{"retry_after":14}}"#;
    let error = parse_error(Operation::Send, 429, None, body);
    assert_eq!((error.kind(), error.retry()), (ErrorKind::RateLimited, safe(14)));
    assert_eq!(error.to_string(), "telegram send: rate limited: retry after 14 (provider code 429)");

    let body = br#"{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1001234567890}}"#;
    let error = parse_error(Operation::Send, 400, None, body);
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Recipient, NEVER));
    assert_eq!(error.provider_code(), Some("migrate_to_chat_id"));
    assert!(!format!("{error:?}").contains("1234567890"), "an id of a chat is personal data");
}

#[test]
fn what_is_not_telegrams_envelope_leaves_the_outcome_unknown() {
    use ErrorKind::{Invalid, Protocol, RateLimited, Unavailable};
    for (status, body, kind, retry) in [
        (500, "", Unavailable, RetryHint::UNKNOWN),
        (502, "<html>Bad Gateway</html>", Unavailable, RetryHint::UNKNOWN),
        (503, "upstream connect error", Unavailable, RetryHint::UNKNOWN),
        (504, "<html></html>", Unavailable, RetryHint::UNKNOWN),
        (200, "<html>Welcome</html>", Protocol, RetryHint::UNKNOWN),
        (200, r#"{"ok":true}"#, Protocol, RetryHint::UNKNOWN),
        (200, r#"{"ok":true,"result":"surprise"}"#, Protocol, RetryHint::UNKNOWN),
        (404, "<html>Not Found</html>", Invalid, RetryHint::SAFE),
        (301, "", Unavailable, RetryHint::SAFE),
        (429, "<html></html>", RateLimited, RetryHint::SAFE),
    ] {
        let error = parse_error(Operation::Send, status, None, body.as_bytes());
        assert_eq!((error.kind(), error.retry()), (kind, retry), "{status} {body}");
    }
}

#[test]
fn asking_again_is_safe_where_nothing_is_sent() {
    for operation in [Operation::Check, Operation::Poll, Operation::SetUpWebhook] {
        assert_eq!(parse_error(operation, 502, None, b"").retry(), RetryHint::SAFE, "{operation:?}");
        let refused = parse_error(operation, 400, None, refusal(400, "Bad Request: bad webhook").as_bytes());
        assert_eq!((refused.kind(), refused.retry()), (ErrorKind::Invalid, NEVER), "{operation:?}");
    }
}

#[test]
fn the_words_repeat_nothing_of_the_message() {
    for (description, message) in [
        ("Bad Request: chat not found", "chat not found"),
        ("Unauthorized", "unauthorized"),
        ("", "telegram gave no reason"),
        ("Bad Request: PEER_ID_INVALID", "PEER_ID_INVALID"),
        (
            "Forbidden: bot can't initiate conversation with a user",
            "bot can't initiate conversation with a user",
        ),
        (
            "Bad Request: can't parse entities: Unsupported start tag \"anna\" at byte offset 12",
            "can't parse entities: Unsupported start tag [..] at byte offset 12",
        ),
        (
            "Bad Request: inline keyboard button URL 'http://localhost/?phone=79000000000' is invalid: Wrong HTTP URL",
            "inline keyboard button URL [..] is invalid: Wrong HTTP URL",
        ),
        ("Bad Request: bot \"anna_bot", "bot [..]"),
        ("Bad Request: no chat @anna with +7900000 at https://example.com", "no chat [..] with [..] at [..]"),
        ("Bad Request: текст of webhook-secret-of-the-tests", "[..] of [..]"),
    ] {
        let error = parse_error(Operation::Send, 400, None, refusal(400, description).as_bytes());
        assert_eq!(error.message(), message);
    }
    let endless = refusal(400, &"слово ".repeat(100));
    assert!(
        parse_error(Operation::Send, 400, None, endless.as_bytes()).message().len() <= LONGEST_MESSAGE + 4
    );
}
