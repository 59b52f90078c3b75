use super::*;

/// The classes of the fact sheet, code by code.
const TABLE: &[(Class, &str)] = &[
    (Class::Good, "0 1085"),
    (
        Class::Terminal,
        "10 202 204 205 191 253 254 322 331 411 412 413 414 415 417 500 501 648 702 991 1003 1099 1235 2015 3001 3011 3013 3019 3038 3101 60 62 105",
    ),
    (
        Class::Invalid,
        "1 2 9 12 17 61 64 201 203 206 210 230 232 249 250 251 256 261 308 309 310 316 321 329 332 333 334 383 385 386 410 416 419 508 620 642 1064 1125 1126 3016 3017 3044",
    ),
    (Class::Conflict, "4 7 8 14 20 27 54 100 262 323 324 326 330 510 623 926 3015 3037"),
    (Class::NotFound, "63 107 231 255 325 335 407 502 503 651 914 927 3012 3014 5031"),
    (
        Class::Declined(DeclineClass::Hard),
        "11 76 77 78 79 101 102 104 106 108 109 110 111 252 506 507 511 512 514 600 601 1001 1004 1005 1006 1007 1008 1012 1014 1015 1033 1038 1039 1041 1043 1053 1054 1055 1057 1058 1059 1062 1063 1077 1078 1080 1082 1086 1088 1092 1093 1094 1205 1217 1218 1316 2014 3003 3008 3009 3010 5032 5036 5038 5043 5063 5064 5065 5066 5067",
    ),
    (
        Class::Declined(DeclineClass::InsufficientFunds),
        "103 116 1013 1019 1051 1061 1065 1075 1202 1203 1204 403 404 405 406 632 633 634 5060 5061 5062",
    ),
    (Class::Balance, "3002 1502"),
    (Class::Rate, "119 603 2200 3029 3032 3042 3030 3033 3041"),
    (Class::Transient, "55 99 120 123 125 402 903 999 1017 1030 1034 1089 1091 8002 8004 9001"),
    (Class::Unknown, "3 21 96 97 98 401 504 505 509 513 515 1018 1076 1096 3040 7999 9999 123456 -1 abc"),
    (Class::Fiscal, "311 312 313 314 315 65 66 67 68"),
];

#[test]
fn every_code_has_the_class_of_the_table() {
    for (expected, codes) in TABLE {
        for code in codes.split(' ') {
            assert_eq!(class(code), *expected, "{code}");
        }
    }
}

#[test]
fn what_may_have_moved_money_is_never_safe_to_repeat() {
    for operation in [Operation::Confirm, Operation::Cancel, Operation::Charge] {
        for code in ["99", "1091", "9999", "3", "no code"] {
            assert_eq!(by_code(operation, code).retry(), RetryHint::UNKNOWN, "{operation:?} {code}");
        }
        assert_eq!(by_code(operation, "20").retry(), RetryHint::Never);
    }
    assert_eq!(by_code(Operation::Init, "99").retry(), RetryHint::SAFE);
    assert_eq!(by_code(Operation::Init, "9999").retry(), RetryHint::UNKNOWN);
    assert_eq!(by_code(Operation::GetState, "9999").retry(), RetryHint::SAFE);
    assert_eq!(by_code(Operation::Charge, "204").kind(), ErrorKind::Auth);
}

#[test]
fn answers_that_are_not_the_banks_are_judged_by_their_status() {
    let read = |operation, status, body: &str| {
        let answer = Answer { status, after: None, body: body.as_bytes().to_vec() };
        read(operation, &answer)
    };
    for (status, body, kind, retry) in [
        (500, "<h1>500</h1>", ErrorKind::Unavailable, RetryHint::UNKNOWN),
        (502, "", ErrorKind::Unavailable, RetryHint::UNKNOWN),
        (429, "", ErrorKind::RateLimited, RetryHint::SAFE),
        (403, "<h1>403</h1>", ErrorKind::Auth, RetryHint::Never),
        (404, "", ErrorKind::Invalid, RetryHint::Never),
        (302, "", ErrorKind::Unavailable, RetryHint::Never),
        (200, "<h1>Welcome</h1>", ErrorKind::Protocol, RetryHint::UNKNOWN),
        (200, "{}", ErrorKind::Protocol, RetryHint::UNKNOWN),
    ] {
        let error = read(Operation::Charge, status, body).unwrap_err();
        assert_eq!((error.kind(), error.retry()), (kind, retry), "{status} {body}");
    }
    assert!(read(Operation::Charge, 200, r#"{"Success":"true"}"#).is_ok());
    assert!(read(Operation::Charge, 500, r#"{"Success":false,"ErrorCode":"9999"}"#).is_ok());
}
