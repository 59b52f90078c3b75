use super::*;

const NEVER: RetryHint = RetryHint::Never;
const OPERATIONS: [Operation; 6] = [
    Operation::Send,
    Operation::Answer,
    Operation::Edit,
    Operation::Check,
    Operation::Poll,
    Operation::SetUpWebhook,
];

const fn safe(seconds: u64) -> RetryHint {
    RetryHint::Safe { after: Some(Duration::from_secs(seconds)) }
}

fn refusal(code: &str, message: &str) -> String {
    serde_json::json!({"code": code, "message": message}).to_string()
}

#[test]
fn the_error_table() {
    use ErrorKind::{Auth, Content, Invalid, Protocol, RateLimited, Recipient, Unavailable};
    let suspended = "Key: error.dialog.suspended, args:[123456789]";
    for (status, code, message, kind, retry) in [
        (401, "verify.token", "Invalid access_token", Auth, NEVER),
        (400, "verify.token", "", Auth, NEVER),
        (401, "something.new", "", Auth, NEVER),
        (403, "chat.denied", suspended, Recipient, NEVER),
        (403, "chat.denied", "", Recipient, NEVER),
        (403, "something.new", suspended, Recipient, NEVER),
        (403, "access.denied", "", Auth, NEVER),
        (403, "chat.forbidden", "Key: error.other", Auth, NEVER),
        (404, "chat.not.found", "", Recipient, NEVER),
        (404, "not.found", "", Recipient, NEVER),
        (400, "chat.not.found", "", Recipient, NEVER),
        (404, "something.new", "", Recipient, NEVER),
        (400, "proto.payload", "", Content, NEVER),
        (400, "something.new", "", Content, NEVER),
        (413, "something.new", "", Content, NEVER),
        (400, "attachment.not.ready", "", Unavailable, safe(2)),
        (
            400,
            "attachment.not.ready",
            "Key: errors.process.attachment.file.not.processed",
            Unavailable,
            safe(2),
        ),
        (200, "attachment.not.ready", "", Protocol, RetryHint::UNKNOWN),
        (503, "attachment.not.ready", "", Unavailable, safe(2)),
        (405, "method.not.allowed", "", Invalid, NEVER),
        (429, "too.many.requests", "", RateLimited, RetryHint::SAFE),
        (400, "too.many.requests", "", RateLimited, RetryHint::SAFE),
        (429, "something.new", "", RateLimited, RetryHint::SAFE),
        (500, "internal.error", "", Unavailable, RetryHint::UNKNOWN),
        (503, "service.unavailable", "", Unavailable, RetryHint::UNKNOWN),
        (502, "chat.denied", "", Unavailable, RetryHint::UNKNOWN),
        (418, "teapot", "", Protocol, NEVER),
        (302, "found", "", Protocol, RetryHint::UNKNOWN),
    ] {
        let error = parse_error(Operation::Send, status, None, refusal(code, message).as_bytes());
        assert_eq!((error.kind(), error.retry()), (kind, retry), "{status} {code} {message}: {error}");
        assert_eq!((error.adapter(), error.operation()), (Some("max"), "send"));
        if status != 200 {
            assert_eq!(error.provider_code(), Some(code));
        }
        assert!(!format!("{error:?}").contains("123456789"), "an id of a person is personal data");
    }
}

#[test]
fn a_refusal_with_status_200_is_known_by_its_flag() {
    use ErrorKind::{Auth, Content, Invalid, RateLimited, Recipient, Unavailable};
    for (body, kind, retry, code) in [
        (r#"{"success":false,"message":"why"}"#, Content, NEVER, "200"),
        (r#"{"success":false}"#, Content, NEVER, "200"),
        (r#"{"success":false,"code":"proto.payload"}"#, Content, NEVER, "proto.payload"),
        (r#"{"success":false,"code":"chat.denied"}"#, Recipient, NEVER, "chat.denied"),
        (r#"{"success":false,"code":"verify.token"}"#, Auth, NEVER, "verify.token"),
        (
            r#"{"success":false,"code":"too.many.requests"}"#,
            RateLimited,
            RetryHint::SAFE,
            "too.many.requests",
        ),
        (r#"{"success":false,"code":"attachment.not.ready"}"#, Unavailable, safe(2), "attachment.not.ready"),
    ] {
        let error = parse_error(Operation::Send, 200, None, body.as_bytes());
        assert_eq!((error.kind(), error.retry(), error.provider_code()), (kind, retry, Some(code)), "{body}");
    }
    let body = br#"{"success":false,"message":"bad url"}"#;
    let error = parse_error(Operation::SetUpWebhook, 200, None, body);
    assert_eq!((error.kind(), error.retry()), (Invalid, NEVER));
}

#[test]
fn what_is_not_found_depends_on_what_was_asked() {
    use ErrorKind::{Content, Invalid, Recipient};
    let body = refusal("not.found", "");
    for (operation, kind, code) in [
        (Operation::Send, Recipient, "not.found"),
        (Operation::Edit, Invalid, MESSAGE_NOT_FOUND),
        (Operation::Answer, Content, "not.found"),
        (Operation::SetUpWebhook, Invalid, "not.found"),
    ] {
        let error = parse_error(operation, 404, None, body.as_bytes());
        assert_eq!((error.kind(), error.retry(), error.provider_code()), (kind, NEVER, Some(code)));
    }
    let error = parse_error(Operation::Poll, 405, None, refusal("not.allowed", "").as_bytes());
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Config, NEVER));
    assert!(error.message().starts_with("updates: "), "{error}");
    for operation in [Operation::Check, Operation::SetUpWebhook] {
        let error = parse_error(operation, 400, None, refusal("proto.payload", "").as_bytes());
        assert_eq!((error.kind(), error.retry()), (Invalid, NEVER), "{operation:?}");
    }
}

#[test]
fn a_named_delay_is_passed_on() {
    let after = Some(Duration::from_secs(14));
    let error = parse_error(Operation::Send, 429, after, refusal("too.many.requests", "").as_bytes());
    assert_eq!(error.retry(), safe(14));
    let error = parse_error(Operation::Send, 503, after, refusal("down", "").as_bytes());
    assert_eq!(error.retry(), RetryHint::IfIdempotent { after });
}

#[test]
fn what_is_not_maxs_envelope_leaves_the_outcome_unknown() {
    use ErrorKind::{Invalid, Protocol, RateLimited, Unavailable};
    for (status, body, kind, retry) in [
        (500, "", Unavailable, RetryHint::UNKNOWN),
        (502, "<html>Bad Gateway</html>", Unavailable, RetryHint::UNKNOWN),
        (503, "upstream connect error", Unavailable, RetryHint::UNKNOWN),
        (504, "{}", Unavailable, RetryHint::UNKNOWN),
        (200, "<html>Welcome</html>", Protocol, RetryHint::UNKNOWN),
        (200, "{}", Protocol, RetryHint::UNKNOWN),
        (200, r#"{"success":true}"#, Protocol, RetryHint::UNKNOWN),
        (200, r#"{"code":"verify.token","message":""}"#, Protocol, RetryHint::UNKNOWN),
        (200, r#"{"success":"no","code":7}"#, Protocol, RetryHint::UNKNOWN),
        (404, "<html>Not Found</html>", Invalid, RetryHint::SAFE),
        (301, "", Unavailable, RetryHint::SAFE),
        (429, "<html></html>", RateLimited, RetryHint::SAFE),
    ] {
        let error = parse_error(Operation::Send, status, None, body.as_bytes());
        assert_eq!((error.kind(), error.retry()), (kind, retry), "{status} {body}");
    }
}

#[test]
fn only_what_a_person_sees_twice_leaves_an_outcome_unknown() {
    for operation in OPERATIONS {
        for body in ["", r#"{"code":"internal.error","message":""}"#] {
            let unknown = matches!(operation, Operation::Send | Operation::Answer);
            let expected = if unknown { RetryHint::UNKNOWN } else { RetryHint::SAFE };
            assert_eq!(parse_error(operation, 502, None, body.as_bytes()).retry(), expected, "{operation:?}");
        }
    }
}

#[test]
fn codes_and_keys_of_another_form_are_not_repeated() {
    for hidden in ["f9LHodD0cOI", "79000000000", "anna@example.com", "заявка", "two words", "Key", ""] {
        let long = "a".repeat(65);
        for code in [hidden, &long] {
            let body = refusal(code, &format!("Key: {hidden}, args:[{hidden}]"));
            let error = parse_error(Operation::Send, 400, None, body.as_bytes());
            assert_eq!((error.kind(), error.provider_code()), (ErrorKind::Content, Some("400")), "{code}");
            let shown = format!("{error} {error:?}");
            assert!(hidden.is_empty() || hidden == "Key" || !shown.contains(hidden), "{shown}");
        }
    }
    let body = refusal("chat.denied", "Key: error.dialog.suspended, args:[1]");
    let error = parse_error(Operation::Send, 403, None, body.as_bytes());
    assert_eq!(error.context(), [("key", "error.dialog.suspended".to_owned())]);
}

/// A generator with a fixed start: the same bytes on every run.
#[test]
fn no_answer_makes_it_panic() {
    let pieces: [&[u8]; 14] = [
        b"{",
        b"}",
        b"\"code\":",
        b"\"success\":false",
        b"\"message\":\"Key: ",
        b"\"",
        b",",
        b"null",
        b"[",
        b"]",
        b"\xff",
        b"\xd0\xb0",
        b"7",
        b"chat.denied",
    ];
    let mut state: u64 = 20_261_128;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    for _ in 0..5_000 {
        let body: Vec<u8> = (0..next(10)).flat_map(|_| pieces[next(pieces.len())]).copied().collect();
        let status = u16::try_from(next(700)).unwrap();
        for operation in OPERATIONS {
            let _any = parse_error(operation, status, None, &body);
        }
    }
}
