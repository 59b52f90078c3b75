use super::*;

const NEVER: RetryHint = RetryHint::Never;
const UNKNOWN: RetryHint = RetryHint::UNKNOWN;

/// As Postal writes it, with the key that it repeats.
fn refusal(code: &str) -> String {
    let data = serde_json::json!({"code": code, "message": "Words about +79000000000", "token": "hidden"});
    serde_json::json!({"status": "error", "time": 0.0, "flags": {}, "data": data}).to_string()
}

#[test]
fn the_error_table() {
    use ErrorKind::{Auth, Config, Content, Invalid, NotFound};
    for (codes, kind) in [
        (&["AccessDenied", "InvalidServerAPIKey", "ServerSuspended"][..], Auth),
        (&["UnauthenticatedFromAddress", "FromAddressMissing"], Config),
        (&["NoRecipients", "TooManyToAddresses", "TooManyCCAddresses", "TooManyBCCAddresses"], Invalid),
        (&["NoContent", "AttachmentMissingName", "AttachmentMissingData"], Content),
        (&["MessageNotFound"], NotFound),
        (&["InventedTomorrow"], Invalid),
    ] {
        for code in codes {
            let error = parse_error(Operation::Send, 200, None, refusal(code).as_bytes());
            assert_eq!((error.kind(), error.retry(), error.provider_code()), (kind, NEVER, Some(*code)));
            let printed = format!("{error} {error:?}");
            assert!(!printed.contains("hidden") && !printed.contains("79000000000"), "{printed}");
        }
    }
    let body = br#"{"status":"parameter-error","data":{"message":"`to` is invalid"}}"#;
    assert_eq!(parse_error(Operation::Send, 200, None, body).kind(), Invalid);
    for strange in ["a b hidden", "", "x@example.com"] {
        let error = parse_error(Operation::Send, 200, None, refusal(strange).as_bytes());
        assert_eq!((error.kind(), error.provider_code()), (Invalid, None));
    }
}

#[test]
fn without_postals_json_the_status_counts() {
    for (status, body, kind, retry) in [
        (502, "<h1>", ErrorKind::Unavailable, UNKNOWN),
        (200, "<h1>", ErrorKind::Protocol, UNKNOWN),
        (200, r#"{"status":"success","data":{}}"#, ErrorKind::Protocol, UNKNOWN),
        (429, "", ErrorKind::RateLimited, RetryHint::SAFE),
    ] {
        let error = parse_error(Operation::Send, status, None, body.as_bytes());
        assert_eq!((error.kind(), error.retry()), (kind, retry), "{status} {body}");
    }
    assert_eq!(parse_error(Operation::Check, 502, None, b"").retry(), RetryHint::SAFE);
}

/// Field report: 5.7.x is about the sender, and no recipient is marked bad.
#[test]
fn the_other_servers_words_say_why() {
    use FailureReason::{Content, Other, Recipient};
    for (output, reason, code) in [
        (
            Some("550 5.1.1 The email account that you tried to reach does not exist"),
            Recipient,
            Some("550 5.1.1"),
        ),
        (Some("552 5.2.2 Mailbox full"), Recipient, Some("552 5.2.2")),
        (Some("550 5.7.1 Our system has detected that this message is suspicious"), Other, Some("550 5.7.1")),
        (Some("554 5.6.0 Malformed"), Content, Some("554 5.6.0")),
        (Some("550 No such user here"), Recipient, Some("550")),
        (Some("550-5.1.1 several\r\n550 5.1.1 lines"), Recipient, Some("550 5.1.1")),
        (Some("554 refused"), Other, Some("554")),
        (Some("421"), Other, Some("421")),
        (Some("no reply at all"), Other, None),
        (Some(""), Other, None),
        (Some("ёё"), Other, None),
        (None, Other, None),
    ] {
        let expected = ReceiptFailure { reason, provider_code: code.map(str::to_owned) };
        assert_eq!(failure(output), expected, "{output:?}");
    }
}
