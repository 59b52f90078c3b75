use super::*;

const NEVER: RetryHint = RetryHint::Never;
const UNKNOWN: RetryHint = RetryHint::UNKNOWN;
const SAFE: RetryHint = RetryHint::SAFE;

const fn after(seconds: u64) -> RetryHint {
    RetryHint::Safe { after: Some(Duration::from_secs(seconds)) }
}

/// As Meta writes it, with everything that must not be repeated.
fn refusal(code: i64, is_transient: bool) -> String {
    serde_json::json!({"error": {
        "message": format!("(#{code}) Words that quote +79000000000"), "type": "OAuthException", "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": "quoted: Anna"}, "error_subcode": 2494055,
        "is_transient": is_transient, "fbtrace_id": "Ahidden",
    }})
    .to_string()
}

fn of(operation: Operation, status: u16, code: i64) -> Error {
    parse_error(operation, status, None, refusal(code, false).as_bytes())
}

/// Every code of the table of Meta's page, with its class.
#[test]
fn the_error_table() {
    use ErrorKind::{Auth, Balance, Config, Content, RateLimited, Recipient, Unavailable};
    use FailureReason::{Other, WindowClosed};
    for (codes, kind, retry, reason) in [
        (&[0, 3, 10, 190, 200, 230, 299, 131_005][..], Auth, NEVER, Other),
        (&[368, 131_031], Auth, NEVER, Other),
        (&[4, 80_007, 613, 132_069], RateLimited, after(60), Other),
        (&[130_429], RateLimited, after(5), Other),
        (&[131_056], RateLimited, after(6), Other),
        (&[131_048], RateLimited, after(3_600), Other),
        (&[131_064, 133_016], RateLimited, after(14_400), Other),
        (&[131_000, 131_016, 131_057, 135_000], Unavailable, SAFE, Other),
        (&[1, 2], Unavailable, UNKNOWN, Other),
        (
            &[131_026, 131_021, 131_030, 131_050, 130_472, 131_062, 131_049, 137_000, 130_497],
            Recipient,
            NEVER,
            FailureReason::Recipient,
        ),
        (&[131_047], Content, NEVER, WindowClosed),
        (
            &[33, 100, 131_008, 131_009, 131_051, 131_052, 131_053, 131_063],
            Content,
            NEVER,
            FailureReason::Content,
        ),
        (
            &[132_000, 132_001, 132_005, 132_007, 132_008, 132_012, 132_015, 132_016, 132_068],
            Content,
            NEVER,
            FailureReason::Content,
        ),
        (&[131_042, 131_044], Balance, NEVER, FailureReason::Balance),
        (&[131_037, 131_045, 133_010], Config, NEVER, Other),
    ] {
        for code in codes {
            let error = of(Operation::Send, 400, *code);
            let shown = (error.kind(), error.retry(), error.provider_code().map(str::to_owned));
            assert_eq!(shown, (kind, retry, Some(code.to_string())), "{code}");
            assert_eq!((error.adapter(), error.operation()), (Some("whatsapp"), "send"));
            let printed = format!("{error} {error:?}");
            for hidden in ["79000000000", "Anna", "hidden", "quote"] {
                assert!(!printed.contains(hidden), "{code}: {printed}");
            }
            let expected = ReceiptFailure { reason, provider_code: Some(code.to_string()) };
            assert_eq!(failure(Some(*code)), expected, "{code}");
        }
    }
}

#[test]
fn a_code_that_nobody_knows_is_for_good_unless_meta_says_otherwise() {
    for (status, is_transient, kind, retry) in [
        (400, false, ErrorKind::Invalid, NEVER),
        (400, true, ErrorKind::Unavailable, UNKNOWN),
        (500, false, ErrorKind::Unavailable, UNKNOWN),
    ] {
        let error = parse_error(Operation::Send, status, None, refusal(31_337, is_transient).as_bytes());
        assert_eq!((error.kind(), error.retry()), (kind, retry), "{status} {is_transient}");
        assert_eq!(error.provider_code(), Some("31337"));
    }
    for code in [Some(31_337), None] {
        assert_eq!(failure(code).reason, FailureReason::Other);
    }
    assert_eq!(failure(None).provider_code, None);
}

#[test]
fn the_code_decides_before_the_status_and_a_named_delay_before_ours() {
    assert_eq!(of(Operation::Send, 500, 131_026).kind(), ErrorKind::Recipient);
    let named = Some(Duration::from_secs(7));
    let error = parse_error(Operation::Send, 429, named, refusal(130_429, false).as_bytes());
    assert_eq!(error.retry(), after(7));
    for body in ["", "{}", "<h1>", r#"{"error":"x"}"#, r#"{"error":{"code":"x"}}"#] {
        let error = parse_error(Operation::Send, 502, None, body.as_bytes());
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, UNKNOWN), "{body}");
    }
}

#[test]
fn a_question_may_always_be_asked_again() {
    assert_eq!(of(Operation::Check, 500, 1).retry(), SAFE);
    assert_eq!(Operation::Check.unreadable().retry(), SAFE);
    assert_eq!(Operation::Send.unreadable().retry(), UNKNOWN);
}
