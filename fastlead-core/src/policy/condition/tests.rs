//! What conditions answer, and how their text form reads back.

use super::*;
use crate::lead::{Capture, CaptureInput, Received};
use crate::message::Locale;

fn capture() -> Capture {
    let input: CaptureInput = serde_json::from_value(serde_json::json!({
        "phone": "+79000000000",
        "fields": {"city": "Казань"},
        "attribution": {"last": {"utm_source": "yandex"}},
    }))
    .unwrap();
    input.validate(&[], Locale::Ru, Received::at(crate::time::epoch())).unwrap()
}

#[test]
fn conditions_answer() {
    let cases = [
        (r#"{"present": "contact.phone"}"#, true),
        (r#"{"missing": "contact.email"}"#, true),
        (r#"{"equals": {"field": "fields.city", "value": "казань"}}"#, true),
        (r#"{"one_of": {"field": "utm_source", "values": ["google", "Yandex"]}}"#, true),
        (r#"{"contains": {"field": "fields.city", "value": "каз"}}"#, true),
        (r#"{"starts_with": {"field": "contact.phone", "value": "+7900"}}"#, true),
        (r#"{"phone_country": ["RU", "BY"]}"#, true),
        (r#"{"phone_country": ["KZ"]}"#, false),
        (r#"{"consented": "advertising"}"#, false),
        (r#"{"all": []}"#, true),
        (r#"{"any": []}"#, false),
        (
            r#"{"not": {"any": [{"present": "comment"}, {"equals": {"field": "locale", "value": "en"}}]}}"#,
            true,
        ),
    ];
    for (json, expected) in cases {
        let condition: Condition = serde_json::from_str(json).unwrap();
        assert_eq!(condition.holds(&ConditionInput::new(&capture())), expected, "{json}");
    }
}
