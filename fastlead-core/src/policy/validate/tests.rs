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
