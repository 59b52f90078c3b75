//! The bodies of the fuzz targets, with a few hundred inputs that are made from what they read.

#[path = "../../fuzz/bodies.rs"]
mod bodies;

use fastlead_core::{Policy, Recipient};
use proptest::prelude::*;

/// Pieces of what a target reads, in any order, and anything between them.
fn made_of(pieces: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => proptest::sample::select(pieces).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..6),
    ];
    proptest::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

const CONDITION: &[&str] = &[
    "contact.phone",
    "has(contact.email)",
    "!",
    "fields.city",
    "number(fields.budget)",
    "history.leads",
    " == ",
    " != ",
    " >= ",
    " < ",
    " in [",
    "]",
    " && ",
    " || ",
    "(",
    ")",
    ", ",
    "\"a\"",
    "\"б\"",
    "12",
    "-1.5",
    "true",
    "false",
    ".startsWith(",
    "time.weekday",
    "time.of_day",
    "\"18:30\"",
    " ",
];
const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"phone\":",
    "\"+79000000000\"",
    "\"email\":",
    "\"a@example.com\"",
    "\"fields\":{",
    "\"a\":",
    "\"consents\":{\"advertising\":",
    "true",
    "null",
    "1e9",
    "\"name\":",
    "\"\\u202e\"",
    "\"handles\":[",
    "\"update_id\":1,",
    "\"message\":{",
    "\"callback_query\":{",
    "\"data\":",
    "\"type\":\"message_new\",",
    "\"object\":{",
    "\"chat\":{\"id\":1}",
    "\n",
];
const FORM: &[&str] = &[
    "phone=",
    "email=",
    "name=",
    "Name",
    "services[]=",
    "+79000000000",
    "a@example.com",
    "\n",
    "=",
    "utm_source=x",
    "consent_advertising=1",
    "fields[a][b]=",
    "fl_leave_empty=",
    "\u{202e}",
    "я",
];
const YAML: &[&str] = &[
    "targets:\n",
    "  a:\n",
    "    display_name: A\n",
    "    destinations:\n",
    "      - channel: bot\n",
    "        recipient: {chat: '1'}\n",
    "route:\n",
    "  targets: [a]\n",
    "  template: t\n",
    "  strategy: broadcast\n",
    "templates:\n",
    "  t: {ru: 'x'}\n",
    "  t: {ru: '{{ lead.phone }}'}\n",
    "escalation:\n",
    "- after_secs: 5m\n",
    "&x ",
    "*x\n",
    "? ",
    "---\n",
    "accept: []\n",
    "  when: '!has(contact.phone)'\n",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn a_condition(bytes in made_of(CONDITION)) {
        bodies::condition(&bytes);
    }

    #[test]
    fn a_capture(bytes in made_of(JSON)) {
        bodies::capture(&bytes);
    }

    #[test]
    fn a_form(bytes in made_of(FORM)) {
        bodies::form(&bytes);
    }

    #[test]
    fn a_webhook(bytes in made_of(JSON)) {
        bodies::webhook(&bytes);
    }

    #[test]
    fn a_policy(bytes in made_of(YAML)) {
        bodies::policy(&bytes);
    }
}

/// Each body comes to its end with something that it can read, so that it does not hold because it reads nothing.
#[test]
fn every_body_reads_something() {
    assert!("!has(contact.phone)".parse::<fastlead_core::policy::Condition>().is_ok());
    bodies::condition(b"!has(contact.phone)");
    bodies::capture(
        br#"{"phone": "+7 900 000-00-00", "fields": {"a": [1, "b"]}, "consents": {"advertising": "no"}}"#,
    );
    bodies::form("Phone=8 (900) 000-00-00\nservices[]=a\nservices[]=b".as_bytes());
    let starter = Policy::starter("bot", Recipient::Chat("1".into()));
    let policy = serde_json::to_string(&starter).unwrap();
    assert!(fastlead_testkit::policy::Document::parse(&policy).unwrap().policy().is_ok());
    bodies::policy(policy.as_bytes());
    assert_eq!(bodies::channels().iter().filter(|channel| channel.webhook().is_some()).count(), 6);
    bodies::webhook(br#"
{"update_id": 1, "message": {"message_id": 1, "date": 1, "chat": {"id": 1, "type": "private", "first_name": "A"}, "text": "a"}}"#);
}
