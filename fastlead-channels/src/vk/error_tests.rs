use super::*;

const NEVER: RetryHint = RetryHint::Never;
const UNKNOWN: RetryHint = RetryHint::UNKNOWN;

const fn after(seconds: u64) -> RetryHint {
    RetryHint::Safe { after: Some(Duration::from_secs(seconds)) }
}

/// As VK writes it, with everything that must not be repeated.
fn refusal(code: i64) -> String {
    serde_json::json!({"error": {
        "error_code": code,
        "error_msg": "Words that quote +79000000000",
        "request_params": [
            {"key": "peer_id", "value": "790000000"},
            {"key": "access_token", "value": "vk1.a.hidden"},
            {"key": "method", "value": "messages.send"},
        ],
    }})
    .to_string()
}

fn of(operation: Operation, code: i64) -> Error {
    parse_error(operation, 200, None, refusal(code).as_bytes())
}

#[test]
fn the_error_table() {
    use ErrorKind::{Auth, Config, Content, Invalid, Protocol, RateLimited, Recipient, Unavailable};
    for (codes, kind, retry) in [
        (&[1, 10, 13, 36, 43][..], Unavailable, UNKNOWN),
        (&[6, 32], RateLimited, after(1)),
        (&[9], RateLimited, after(120)),
        (&[29, 944], RateLimited, after(3_600)),
        (&[5, 27, 28, 1117, 7, 15, 14, 17, 24, 25, 203], Auth, NEVER),
        (&[20, 21, 42, 912, 2, 11, 16, 2000], Config, NEVER),
        (&[3, 8, 23, 100, 103, 104], Invalid, NEVER),
        (&[113, 901, 900, 902, 30, 18, 3610, 37], Recipient, NEVER),
        (&[917, 922, 925, 927, 932, 935, 936, 945, 946, 962, 1012], Recipient, NEVER),
        (&[950, 985, 987, 988], Recipient, NEVER),
        (&[911, 914, 910, 913, 921, 969, 940, 943, 19], Content, NEVER),
        (&[909, 920, 949], Content, NEVER),
        (&[0, -1, 99, 31_337], Protocol, UNKNOWN),
    ] {
        for code in codes {
            let error = of(Operation::Send, *code);
            let shown = (error.kind(), error.retry(), error.provider_code().map(str::to_owned));
            assert_eq!(shown, (kind, retry, Some(code.to_string())), "{code}");
            assert_eq!((error.adapter(), error.operation()), (Some("vk"), "send"));
            let printed = format!("{error} {error:?}");
            for hidden in ["79000000000", "790000000", "hidden", "quote"] {
                assert!(!printed.contains(hidden), "{code}: {printed}");
            }
        }
    }
}

#[test]
fn what_concerns_one_message_pauses_no_channel() {
    use ErrorKind::{Content, Invalid};
    for code in [15, 100, 104] {
        let error = of(Operation::Answer, code);
        assert_eq!((error.kind(), error.retry(), error.operation()), (Content, NEVER, "answer"), "{code}");
    }
    for code in [15, 104] {
        assert_eq!((of(Operation::Edit, code).kind(), of(Operation::Edit, code).retry()), (Invalid, NEVER));
    }
    assert_eq!(of(Operation::Edit, 909).kind(), Content);
}

#[test]
fn asking_again_is_safe_where_nothing_is_sent() {
    for operation in [Operation::Check, Operation::SetUpCallbacks, Operation::Edit] {
        assert_eq!(of(operation, 10).retry(), RetryHint::SAFE, "{operation:?}");
        assert_eq!(parse_error(operation, 502, None, b"").retry(), RetryHint::SAFE, "{operation:?}");
        assert_eq!(of(operation, 5).retry(), NEVER, "{operation:?}");
    }
}

#[test]
fn what_is_not_vks_envelope_leaves_the_outcome_unknown() {
    use ErrorKind::{Invalid, Protocol, RateLimited, Unavailable};
    for (status, body, kind, retry) in [
        (500, "", Unavailable, UNKNOWN),
        (502, "<html>Bad Gateway</html>", Unavailable, UNKNOWN),
        (200, "<html>Welcome</html>", Protocol, UNKNOWN),
        (200, "{}", Protocol, UNKNOWN),
        (200, r#"{"error":{}}"#, Protocol, UNKNOWN),
        (200, r#"{"error":{"error_code":"901"}}"#, Protocol, UNKNOWN),
        (200, r#"{"response":"surprise"}"#, Protocol, UNKNOWN),
        (404, "<html>Not Found</html>", Invalid, RetryHint::SAFE),
        (301, "", Unavailable, RetryHint::SAFE),
        (429, "<html></html>", RateLimited, RetryHint::SAFE),
    ] {
        let error = parse_error(Operation::Send, status, None, body.as_bytes());
        assert_eq!((error.kind(), error.retry()), (kind, retry), "{status} {body}");
    }
}

#[test]
fn a_peers_error_inside_a_success_is_an_error() {
    let sent = |json: &str| serde_json::from_str::<SentTo>(json).unwrap();
    let refused = sent(
        r#"{"peer_id":2,"message_id":0,"error":{"code":901,"description":"Can't send messages for users without permission"}}"#,
    );
    let error = peer_error(Operation::Send, &refused).unwrap();
    assert_eq!((error.kind(), error.provider_code()), (ErrorKind::Recipient, Some("901")));
    let strange = sent(r#"{"peer_id":2,"message_id":0,"error":"no"}"#);
    let error = peer_error(Operation::Send, &strange).unwrap();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Protocol, UNKNOWN));
    for good in [r#"{"peer_id":1,"message_id":310}"#, r#"{"peer_id":1,"message_id":310,"error":null}"#] {
        assert!(peer_error(Operation::Send, &sent(good)).is_none());
    }
}
