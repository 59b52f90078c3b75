use serde_json::Value;
use serde_path_to_error::Segment;

use super::mend::{MAX_FAULTS, at, is_inside, set};
use super::*;
use crate::message::Recipient;

#[test]
fn faults_have_their_path() {
    let read = |change: &dyn Fn(&mut serde_json::Value)| {
        let recipient: Recipient = serde_json::from_str(r#"{"chat": "790000001"}"#).unwrap();
        let mut json = serde_json::to_value(Policy::starter("bot", recipient)).unwrap();
        change(&mut json);
        Policy::from_json(json.to_string().as_bytes())
    };
    let text = |text: &'static str| {
        read(&move |json| json["accept"][0]["reject_if"] = serde_json::json!({"any": ["true", text]}))
    };
    let policy = text("history.leads >= 3").unwrap();
    assert_eq!(policy.accept[0].reject_if.to_string(), "true || history.leads >= 3");
    let faults = text("fields.city > 3").unwrap_err();
    let [fault] = &faults[..] else { panic!("{faults:?}") };
    assert_eq!(fault.path, "accept[0].reject_if.any[1]");
    assert_eq!(fault.message.lines().count(), 3, "{fault}");
    assert!(fault.message.ends_with("  | fields.city > 3\n  |               ^"), "{fault}");
    let faults = read(&|json| json["delivery"]["ttl"] = 1.into()).unwrap_err();
    assert!(faults[0].path == "delivery.ttl" && faults[0].message.contains("`ttl_secs`"), "{faults:?}");
    let faults = read(&|json| json["delivery"] = 1.into()).unwrap_err();
    assert_eq!(faults[0].to_string(), "delivery: invalid type: integer `1`, expected a map");
    let faults = read(&|json| json["templates"]["lead"] = serde_json::json!({"ru": 5})).unwrap_err();
    assert_eq!(faults[0].path, "templates.lead.ru");
    let caps = |days: serde_json::Value| serde_json::json!([{"per": "day", "limit": 0, "days": days}]);
    let faults = read(&|json| json["caps"] = caps("sat,sum".into())).unwrap_err();
    assert_eq!(faults[0].to_string(), "caps[0].days: unknown day `sum`; did you mean `sun`?");
    let faults = read(&|json| json["caps"] = caps(serde_json::json!(["sat"]))).unwrap_err();
    assert!(faults[0].to_string().starts_with("caps[0].days: invalid type: sequence, expected days as a"));
    let faults = Policy::from_json(b"{\"accept\": [").unwrap_err();
    assert!(faults[0].message.contains("at line 1 column 12"), "{faults:?}");
    assert!(Policy::from_json(b"{} {}").is_err());
}

#[test]
fn every_wrong_text_is_a_fault() {
    let recipient: Recipient = serde_json::from_str(r#"{"chat": "790000001"}"#).unwrap();
    let mut json = serde_json::to_value(Policy::starter("bot", recipient)).unwrap();
    let rule = |condition: serde_json::Value| serde_json::json!({"reject_if": condition, "code": "x"});
    json["accept"] = serde_json::json!([
        rule("score = 1".into()),
        rule("has(comment)".into()),
        rule(serde_json::json!({"all": [{"not": "phone"}, "comment.matches('x')"]})),
    ]);
    let faults = Policy::from_json(json.to_string().as_bytes()).unwrap_err();
    let paths: Vec<_> = faults.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(
        paths,
        ["accept[0].reject_if", "accept[2].reject_if.all[0].not", "accept[2].reject_if.all[1]"]
    );
    json["delivery"]["overflow"] = "splt".into();
    let faults = Policy::from_json(json.to_string().as_bytes()).unwrap_err();
    assert_eq!(faults.len(), 4, "{faults:?}");
    assert!(faults[3].path == "delivery.overflow" && faults[3].message.contains("splt"), "{faults:?}");
    json["accept"] = (0..30).map(|_| rule("score = 1".into())).collect();
    assert_eq!(Policy::from_json(json.to_string().as_bytes()).unwrap_err().len(), MAX_FAULTS);
}

/// A policy that uses every part of the document.
fn everything() -> Value {
    serde_json::from_str(include_str!("../everything.json")).unwrap()
}

/// The paths of all values, as faults name them, outermost first.
fn places(value: &Value, path: &str, found: &mut Vec<(String, Vec<Segment>)>, segments: &mut Vec<Segment>) {
    if !path.is_empty() {
        found.push((path.to_owned(), segments.clone()));
    }
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let shown = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                segments.push(Segment::Map { key: key.clone() });
                places(inner, &shown, found, segments);
                segments.pop();
            }
        }
        Value::Array(list) => {
            for (index, inner) in list.iter().enumerate() {
                segments.push(Segment::Seq { index });
                places(inner, &format!("{path}[{index}]"), found, segments);
                segments.pop();
            }
        }
        _ => {}
    }
}

fn all_places() -> Vec<(String, Vec<Segment>)> {
    let mut found = Vec::new();
    places(&everything(), "", &mut found, &mut Vec::new());
    found
}

fn faults_of(document: &Value) -> Vec<PolicyFault> {
    Policy::from_json(document.to_string().as_bytes()).err().unwrap_or_default()
}

#[test]
fn the_example_of_everything_is_a_policy() {
    assert_eq!(faults_of(&everything()), []);
}

#[test]
fn no_fault_speaks_of_the_types_of_the_program() {
    let program =
        ["u8", "u16", "u32", "u64", "usize", "i32", "i64", "struct", "enum", "tuple", "newtype", "unit"];
    let mut checked = 0;
    for (shown, path) in all_places() {
        for wrong in [
            Value::from(-5),
            1.5.into(),
            true.into(),
            "5 minutes".into(),
            Value::Array(vec![Value::Null]),
            serde_json::json!({"x": 1}),
        ] {
            let mut document = everything();
            assert!(set(&mut document, &path, wrong.clone()), "{shown}");
            for fault in faults_of(&document) {
                let expected = fault.message.split_once("expected ").map_or("", |(_, expected)| expected);
                let words: Vec<&str> = expected.split(|c: char| !c.is_alphanumeric()).collect();
                assert!(!program.iter().any(|word| words.contains(word)), "{shown} = {wrong}: {fault}");
                checked += 1;
            }
        }
    }
    assert!(checked > 500, "{checked}");
}

#[test]
fn every_duration_is_read_as_people_write_it_and_written_back_as_a_number() {
    let mut durations = 0;
    for (shown, path) in all_places() {
        let mut document = everything();
        set(&mut document, &path, "2d".into());
        let Ok(policy) = Policy::from_json(document.to_string().as_bytes()) else { continue };
        let named = |ending: &str| {
            shown.trim_end_matches(|c: char| c == ']' || c == '[' || c.is_ascii_digit()).ends_with(ending)
        };
        let unit = [
            ("_secs", 172_800_u64),
            ("retry", 172_800),
            ("_days", 2),
            ("_ms", 172_800_000),
            ("minutes", 2_880),
        ];
        let Some((_, number)) = unit.into_iter().find(|(ending, _)| named(ending)) else { continue };
        let mut written = serde_json::to_value(&policy).unwrap();
        // One rule is written without its list.
        assert_eq!(at(&mut written, &path), Some(&mut Value::from(number)), "{shown}");
        set(&mut document, &path, true.into());
        let faults = faults_of(&document);
        assert!(
            faults
                .iter()
                .any(|fault| fault.path == shown && fault.message.contains("expected a duration such as ")),
            "{faults:?}"
        );
        durations += 1;
    }
    assert!(durations >= 25, "{durations}");
}

/// The values that are wrong where a list of a list stands instead.
static LEAVES: std::sync::LazyLock<Vec<(String, Vec<Segment>)>> = std::sync::LazyLock::new(|| {
    let wrong = |(shown, path): &(String, Vec<Segment>)| {
        let mut document = everything();
        let leaf = at(&mut document, path).is_some_and(|value| !value.is_object() && !value.is_array());
        leaf && set(&mut document, path, serde_json::json!([[]]))
            && faults_of(&document).iter().any(|fault| is_inside(&fault.path, shown))
    };
    all_places().into_iter().filter(wrong).collect()
});

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]
    #[test]
    fn all_faults_are_found_at_once(
        picks in proptest::collection::vec(proptest::prelude::any::<proptest::sample::Index>(), 1..8),
    ) {
        proptest::prop_assert!(LEAVES.len() > 100, "{}", LEAVES.len());
        let mut document = everything();
        let mut wrong = std::collections::BTreeSet::new();
        for pick in picks {
            let (shown, path) = pick.get(&LEAVES);
            set(&mut document, path, serde_json::json!([[]]));
            wrong.insert(shown.clone());
        }
        let faults = faults_of(&document);
        let about = |shown: &String| faults.iter().any(|fault| is_inside(&fault.path, shown));
        proptest::prop_assert!(wrong.iter().all(about), "{wrong:?}: {faults:#?}");
        let ours = |fault: &PolicyFault| wrong.iter().any(|shown| is_inside(&fault.path, shown));
        proptest::prop_assert!(faults.iter().all(ours), "{wrong:?}: {faults:#?}");
    }
}

#[test]
fn missing_unknown_and_mistyped_fields_are_told_together() {
    let mut document = everything();
    document["delivery"]["ttl"] = 1.into();
    document["delivery"]["ttl_secs"] = "5 minutes".into();
    document["escalation"][0].as_object_mut().unwrap().remove("template");
    document["targets"]["anna"]["destinations"] = "bot".into();
    document["route"][0]["strategy"] = "rundrobin".into();
    document["dedupe"] = serde_json::json!({"match": "any"});
    let faults: Vec<String> = faults_of(&document).iter().map(ToString::to_string).collect();
    for expected in [
        "delivery.ttl: unknown field `ttl`",
        "delivery.ttl_secs: invalid value: string \"5 minutes\", expected a duration such as 5m, or a number of seconds",
        "escalation[0]: missing field `template`",
        "targets.anna.destinations: invalid type: string \"bot\", expected a list",
        "route[0].strategy: unknown variant `rundrobin`",
        "dedupe: missing field `fields`",
        "dedupe: missing field `window_secs`",
    ] {
        assert!(faults.iter().any(|fault| fault.starts_with(expected)), "{expected}: {faults:#?}");
    }
    assert_eq!(faults.len(), 7, "{faults:#?}");
}
