use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::policy::Policy;
use crate::time::from_millis;

/// Wednesday, 25 November 2026.
const NOW: i64 = 1_795_597_200_000;

fn sound() -> Value {
    json!({
        "targets": {
            "anna": {"display_name": "Anna", "destinations": [], "skills": ["english"]},
            "oleg": {"display_name": "Oleg", "destinations": []},
        },
        "route": {"strategy": "round_robin", "targets": ["anna", "oleg"], "template": "t"},
        "templates": {"t": {"ru": {"plain": "x"}}},
    })
}

fn faults(document: Value) -> Vec<String> {
    let policy: Policy = serde_json::from_value(document).unwrap();
    let faults = policy.validate(&BTreeMap::new(), from_millis(NOW)).unwrap_err();
    let texts = faults.iter().map(ToString::to_string);
    // The sample has no channels; that is not what is tested here.
    texts.filter(|text| !text.contains("at least one destination")).collect()
}

#[test]
fn the_sample_has_no_other_fault() {
    assert_eq!(faults(sound()), Vec::<String>::new());
}

#[test]
fn faults_say_where_what_and_what_was_expected() {
    let cases: Vec<(&str, Value, &str)> = vec![
        ("/route", json!([]), "route: expected at least one rule, or nobody is told of a lead"),
        (
            "/route",
            json!([
                {"strategy": "broadcast", "targets": ["anna"], "template": "t"},
                {"strategy": "broadcast", "targets": ["oleg"], "template": "t"},
            ]),
            "route[1]: is never reached: route[0] has no `when` and lets no lead pass on to the next rule",
        ),
        (
            "/route/needs_skills",
            json!(["englsh"]),
            "route.needs_skills[0]: none of the rule's targets has the skill `englsh`; did you mean `english`?",
        ),
        (
            "/route/needs_skills",
            json!(["german"]),
            "route.needs_skills[0]: none of the rule's targets has the skill `german`; they have: english",
        ),
        (
            "/route/sell_limit",
            json!(2),
            "route.sell_limit: belongs to the strategy `broadcast`, not to `round_robin`",
        ),
        (
            "/route/overflow",
            json!({"target": "ana"}),
            "route.overflow.target: unknown target `ana`; did you mean `anna`?",
        ),
        (
            "/route/off_hours",
            json!({"target": "oleg"}),
            "route.off_hours.target: `oleg` is one of the rule's own targets; expected another",
        ),
        (
            "/route/overflow",
            json!({"reject": "No room"}),
            "route.overflow.reject: expected 1 to 64 of a-z, 0-9 and _, such as `no_phone`",
        ),
        ("/route/offer_timeout_secs", json!(0), "route.offer_timeout_secs: expected at least 1 second"),
        (
            "/route/when",
            json!({"is_open": true}),
            "route.when: asks whether the project is open, and the policy has no `hours`",
        ),
        (
            "/targets/anna/caps",
            json!([{"per": "day", "limit": 0}]),
            "targets.anna.caps[0].limit: expected at least 1, or no lead ever passes; 0 needs `days`, such as `sun`",
        ),
        (
            "/targets/anna/caps",
            json!([{"per": "day", "limit": 0, "days": "mon-fri"}, {"per": "hour", "limit": 0, "days": "sat,sun"}]),
            "targets.anna.caps[1].limit: leaves no day on which a lead passes; expected at least 1 on one",
        ),
        (
            "/targets/anna/caps",
            json!([{"per": "week", "limit": 9, "days": "mon-fri"}]),
            "targets.anna.caps[0].days: a cap per week holds on all days; expected one per `day` or `hour`",
        ),
        (
            "/targets/anna/caps",
            json!([{"per": "day", "limit": 5, "days": "sat"}, {"per": "day", "limit": 9}]),
            "targets.anna.caps[1].days: counts the same leads on sat as entry 0; expected each day in one of them, here \
             `mon-fri,sun`",
        ),
        (
            "/targets/anna/caps",
            json!([{"per": "day", "limit": 5}, {"per": "hour", "limit": 1, "days": "sat"}, {"per": "day", "limit": 0, "days": "sun"}]),
            "targets.anna.caps[2]: counts the same leads as entry 0; expected one cap for both",
        ),
        (
            "/targets/anna/caps",
            json!([{"per": "day"}]),
            "targets.anna.caps[0]: expected `limit`, `money` or both",
        ),
        (
            "/targets/anna/caps",
            json!([{"per": "day", "money": 100}]),
            "targets.anna.caps[0].money: the target has no `price`, so nothing is ever spent",
        ),
        (
            "/targets/anna/caps",
            json!([{"per": "day", "limit": 1}, {"per": "day", "limit": 2}]),
            "targets.anna.caps[1]: counts the same leads as entry 0; expected one cap for both",
        ),
        (
            "/targets/anna/hours",
            json!({"weekly": []}),
            "targets.anna.hours.weekly: expected at least one shift, or nobody ever works",
        ),
        (
            "/targets/anna/away",
            json!([{"from": "2026-12-02", "to": "2026-12-01"}]),
            "targets.anna.away[0].to: is 2026-12-01, before the first day 2026-12-02",
        ),
        (
            "/escalation",
            json!([{"after_secs": 60, "action": "fallback", "targets": ["anna"], "template": "t"},
                   {"after_secs": 60, "targets": ["oleg"], "template": "t"}]),
            "escalation[0].action: ends the ladder, so the steps after it are never reached",
        ),
        (
            "/escalation",
            json!([{"after_secs": 60, "clock": "business", "targets": ["anna"], "template": "t"}]),
            "escalation[0].clock: counts working hours, and the policy has no `hours`",
        ),
        ("/spam", json!({}), "spam: looks for nothing; expected `checks`, `most_per_day` or both"),
        (
            "/spam",
            json!({"most_per_day": 3, "action": "review"}),
            "spam.action: sends leads to review, and the policy has no `review`",
        ),
        (
            "/score",
            json!({"rules": [], "bands": [{"at_least": 1}, {"at_least": 5}]}),
            "score.bands[1].at_least: is 5, not below 1 of the band before, so it is never reached",
        ),
        (
            "/score",
            json!({"rules": [{"when": "score > 1", "points": 1}]}),
            "score.rules[0].when: the score is not known while the score is added up",
        ),
        ("/route/when", json!("score > 1"), "route.when: asks for the score, and the policy has no `score`"),
        ("/confirm", json!({"ask": []}), "confirm.ask: expected 1 to 8 ways to ask"),
        (
            "/confirm",
            json!({"ask": [{"channel": "x", "to": "email", "template": "t"}]}),
            "templates.t.ru: asks the visitor to confirm and does not show `{{ confirm.url }}`",
        ),
        (
            "/templates/t/ru",
            json!({"plain": "{{ confirm.url }}"}),
            "templates.t.ru: shows `confirm.url`, which only messages have that ask to confirm; name it in `confirm.ask`",
        ),
        (
            "/review",
            json!({"sla_secs": 60, "then": "review"}),
            "review.then: expected `accept` or `{\"reject\": CODE}`, or it never ends",
        ),
        (
            "/enrich",
            json!([{"name": "city", "budget_ms": 0}]),
            "enrich[0].budget_ms: expected 1 to 10000 milliseconds",
        ),
        (
            "/returns",
            json!({"within_days": 0, "reasons": ["x"]}),
            "returns.within_days: expected 1 to 366 days; leave `returns` out to take none",
        ),
    ];
    for (place, value, expected) in cases {
        let mut document = sound();
        let (parent, field) = place.rsplit_once('/').unwrap();
        document.pointer_mut(parent).unwrap()[field] = value;
        let found = faults(document);
        assert!(found.iter().any(|fault| fault == expected), "expected {expected}\nfound {found:#?}");
    }
}

#[test]
fn all_weights_of_nothing_are_a_fault() {
    let mut document = sound();
    document["route"]["strategy"] = json!("weighted");
    for name in ["anna", "oleg"] {
        document["targets"][name]["weight"] = json!(0);
    }
    let expected = "route.targets: all weights are 0, so nobody ever gets a lead; expected one above 0";
    assert_eq!(faults(document), [expected]);
}

#[test]
fn a_field_that_is_wrong_is_named_in_one_rule_and_in_many() {
    let mut document = sound();
    document["route"]["tmplate"] = json!("t");
    let error = serde_json::from_value::<Policy>(document.clone()).unwrap_err().to_string();
    assert!(error.contains("unknown field `tmplate`"), "{error}");
    document["route"] = json!([document["route"]]);
    let error = serde_json::from_value::<Policy>(document).unwrap_err().to_string();
    assert!(error.contains("unknown field `tmplate`"), "{error}");
}

fn warnings(document: Value) -> Vec<String> {
    let policy: Policy = serde_json::from_value(document).unwrap();
    policy.warnings(from_millis(NOW)).iter().map(ToString::to_string).collect()
}

#[test]
fn the_sample_gives_no_warning() {
    assert_eq!(warnings(sound()), Vec::<String>::new());
}

#[test]
fn a_wait_that_ends_before_anybody_works_is_a_warning() {
    let hours = |days: &str| json!({"weekly": [{"days": days, "from": "09:00", "to": "18:00"}]});
    // Two targets, what the rule says, and whether that is shorter than the longest closed stretch of both.
    let cases = [
        (
            "mon-fri",
            "mon-fri",
            json!({"queue_secs": 62 * 3_600}),
            Some("queue_secs: is 2d14h, and nobody of the rule works for up to 2d15h"),
        ),
        ("mon-fri", "mon-fri", json!({"queue_secs": 63 * 3_600}), None),
        ("mon-fri", "sat,sun", json!({"queue_secs": 15 * 3_600}), None),
        (
            "mon-fri",
            "sat,sun",
            json!({"queue_secs": 14 * 3_600}),
            Some("queue_secs: is 14h, and nobody of the rule works for up to 15h"),
        ),
        ("mon-fri", "mon-fri", json!({"queue_secs": 60, "off_hours": "ignore"}), None),
        ("mon-fri", "mon-fri", json!({}), None),
        ("mon-fri", "mon-fri", json!({"offer_timeout_secs": 300}), None),
        (
            "mon-fri",
            "mon-fri",
            json!({"offer_timeout_secs": 300, "off_hours": "ignore"}),
            Some("offer_timeout_secs: is 5m, and nobody"),
        ),
    ];
    for (first, second, more, expected) in cases {
        let mut document = sound();
        document["targets"]["anna"]["hours"] = hours(first);
        document["targets"]["oleg"]["hours"] = hours(second);
        for (name, value) in more.as_object().unwrap() {
            document["route"][name] = value.clone();
        }
        let found = warnings(document);
        match expected {
            None => assert_eq!(found, Vec::<String>::new(), "{more}"),
            Some(start) => {
                assert!(
                    found.len() == 1 && found[0].starts_with(&format!("route.{start}")),
                    "{more}: {found:?}"
                );
            }
        }
    }
}

#[test]
fn a_year_without_a_decree_is_a_warning_before_it_begins() {
    let mut document = sound();
    let office =
        json!({"weekly": [{"days": "mon-fri", "from": "09:00", "to": "18:00"}], "holidays": {"base": "ru"}});
    document["hours"] = office.clone();
    document["targets"]["oleg"]["hours"] = office;
    let policy: Policy = serde_json::from_value(document.clone()).unwrap();
    for (day, warned) in
        [("2026-09-01", false), ("2026-10-02", true), ("2026-12-31", true), ("2027-02-01", false)]
    {
        let now = format!("{day}T09:00:00Z").parse().unwrap();
        let found: Vec<_> = policy.warnings(now).into_iter().map(|warning| warning.path).collect();
        let expected: &[&str] = if warned { &["hours.holidays", "targets.oleg.hours.holidays"] } else { &[] };
        assert_eq!(found, expected, "{day}");
        // Of the present year it is a fault.
        let faults = policy.validate(&BTreeMap::new(), now).unwrap_err();
        assert_eq!(
            faults.iter().any(|fault| fault.path == "hours.holidays"),
            day.starts_with("2027"),
            "{day}"
        );
    }
    document["hours"]["holidays"]["years"] = json!([2027]);
    document["targets"]["oleg"]["hours"]["holidays"]["years"] = json!([2027]);
    assert_eq!(warnings(document), Vec::<String>::new());
}

#[test]
fn what_is_never_used_or_never_holds_is_a_warning() {
    let rule = |when: &str| json!({"when": when, "strategy": "broadcast", "targets": ["anna", "oleg"], "template": "t"});
    let cases: Vec<(&str, Value, &str)> = vec![
        (
            "/route",
            rule("has(contact.phone)"),
            "route: every rule has a `when`, and a lead for which none holds is `unanswered` at once",
        ),
        (
            "/route",
            json!([rule("has(contact.phone)"), rule("!has(contact.phone) && has(contact.email)")]),
            "route: every rule",
        ),
        ("/targets/spare", json!({"display_name": "x", "destinations": []}), "targets.spare: is never told"),
        ("/templates/old", json!({"ru": "x"}), "templates.old: is never used"),
    ];
    for (place, value, expected) in cases {
        let mut document = sound();
        let (parent, field) = place.rsplit_once('/').unwrap();
        document.pointer_mut(parent).unwrap()[field] = value;
        let found = warnings(document);
        assert!(found.len() == 1 && found[0].starts_with(expected), "expected {expected}\nfound {found:#?}");
    }
    // Whoever is named in any of these places is used.
    for (field, value) in [
        ("alerts", json!(["spare"])),
        ("review", json!({"sla_secs": 60, "tell": ["spare"]})),
        ("escalation", json!([{"after_secs": 60, "targets": ["spare"], "template": "t"}])),
    ] {
        let mut document = sound();
        document["targets"]["spare"] = json!({"display_name": "x", "destinations": []});
        document[field] = value;
        assert_eq!(warnings(document), Vec::<String>::new(), "{field}");
    }
}

#[test]
fn a_condition_that_can_never_hold_is_a_warning() {
    for (text, expected) in [
        (
            "contact.phone == \"8 (900) 000-00-00\"",
            Some("`contact.phone` is stored as `+79000000000` and never as `8 (900) 000-00-00`"),
        ),
        (
            "contact.phone in [\"+79000000000\", \"89000000001\"]",
            Some("`contact.phone` is stored as `+79000000001`"),
        ),
        ("contact.phone == \"office\"", Some("`office` is no phone number")),
        ("contact.phone != \"89000000000\"", Some("so it always differs")),
        ("contact.phone.startsWith(\"8900\")", Some("`contact.phone` begins with `+`")),
        ("contact.phone.endsWith(\"00-00\")", Some("`contact.phone` is `+` and digits alone")),
        ("contact.phone.startsWith(\"+7900\")", None),
        ("contact.email_domain == \"@example.com\"", Some("what stands after `@`")),
        ("contact.email == \"Anna@Example.com\"", None),
        ("contact.email == \"anna\"", Some("no e-mail address")),
        ("locale == \"de\"", Some("`locale` is `ru` or `en`")),
        ("history.last_owner == \"ana\"", Some("the policy has no target `ana`; did you mean `anna`?")),
        ("history.last_owner == \"anna\"", None),
        ("time.hour == 24", Some("`time.hour` is 0 to 23")),
        ("time.hour >= 22 || time.hour < 6", None),
        ("time.hour >= 22 && time.hour < 6", Some("never hold together")),
        ("time.of_day >= \"22:00\" && time.of_day < \"06:00\"", Some("never hold together")),
        ("history.leads < 0", Some("`history.leads` is 0 or more")),
        ("history.leads == 5", None),
        ("utm_source == \"a\" && utm_source == \"b\"", Some("never hold together")),
        ("utm_source == \"a\" && utm_source in [\"A\", \"b\"]", None),
        ("has(comment) && !has(comment)", Some("never hold together")),
        ("!has(comment) && comment.contains(\"x\")", Some("never hold together")),
        ("fields.city == \"x\" && time.hour > 8 && time.hour < 20", None),
        ("false", Some("can never hold")),
        ("true", None),
    ] {
        let mut document = sound();
        document["accept"] = json!([{"reject_if": text, "code": "x"}]);
        let found = warnings(document);
        match expected {
            None => assert_eq!(found, Vec::<String>::new(), "{text}"),
            Some(part) => assert!(
                found.len() == 1 && found[0].starts_with("accept[0].reject_if: ") && found[0].contains(part),
                "{text}: {found:?}"
            ),
        }
    }
}

proptest::proptest! {
    /// What a warning calls impossible does not hold for any lead that is tried.
    #[test]
    fn no_lead_meets_what_can_never_hold(
        first in 0_i64..26, second in -2_i64..26, ops in (0_usize..6, 0_usize..6), hour in 0_u32..24, field in 0_usize..2,
    ) {
        let names = ["==", "!=", "<", "<=", ">", ">="];
        let field = ["time.hour", "history.leads"][field];
        let text = format!("{field} {} {first} && {field} {} {second}", names[ops.0], names[ops.1]);
        let mut document = sound();
        document["accept"] = json!([{"reject_if": text, "code": "x"}]);
        let policy: Policy = serde_json::from_value(document).unwrap();
        if !policy.warnings(from_millis(NOW)).is_empty() {
            let input = crate::lead::CaptureInput { phone: Some("+79000000000".into()), ..Default::default() };
            let received = crate::lead::Received::at(from_millis(NOW));
            let capture = input.validate(&[], crate::message::Locale::Ru, received).unwrap();
            let mut asked = crate::policy::ConditionInput::new(&capture);
            asked.local_time = chrono::NaiveDate::from_ymd_opt(2026, 11, 25).and_then(|day| day.and_hms_opt(hour, 0, 0));
            asked.history = Some(crate::policy::History { leads: u64::from(hour), last_owner: None });
            proptest::prop_assert!(!policy.accept[0].reject_if.holds(&asked), "{text} at {hour}");
        }
    }
}

#[test]
fn a_document_is_written_as_it_was_read() {
    let mut document = sound();
    document["escalation"] = json!([{"after_secs": 60, "targets": ["oleg"], "template": "t"}]);
    let policy: Policy = serde_json::from_value(document.clone()).unwrap();
    let written = serde_json::to_value(&policy).unwrap();
    assert_eq!(written["route"], document["route"]);
    assert_eq!(written["escalation"], document["escalation"]);
    assert_eq!(serde_json::from_value::<Policy>(written).unwrap(), policy);
}
