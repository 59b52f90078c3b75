use serde_json::{Value, json};

use super::super::*;
use super::world::World;
use crate::lead::{CaptureInput, Enrichment, EnrichmentOutcome};

fn world(more: Value) -> World {
    let route = json!([
        {"when": {"compare": {"field": "score", "is": "at_least", "value": 50}},
            "strategy": "round_robin", "targets": ["best"], "template": "t", "overflow": "next"},
        {"strategy": "round_robin", "targets": ["anna"], "template": "t"},
    ]);
    World::new(json!({"anna": {}, "best": {}, "chief": {}}), route, more)
}

fn input(document: Value) -> CaptureInput {
    serde_json::from_value(document).unwrap()
}

fn scored() -> World {
    world(json!({
        "score": {
            "rules": [
                {"when": {"present": "contact.phone"}, "points": 20},
                {"when": {"equals": {"field": "fields.city", "value": "Казань"}}, "points": 40},
                {"when": {"missing": "contact.name"}, "points": -30},
            ],
            "half_life_days": 10,
            "bands": [
                {"at_least": 50, "tags": ["hot"]},
                {"at_least": 0},
                {"at_least": -20, "action": "review"},
                {"at_least": -1_000, "action": {"reject": "low_score"}},
            ],
        },
        "review": {"sla_secs": 600, "tell": ["chief"], "then": {"reject": "not_reviewed"}},
    }))
}

#[test]
fn a_score_decides_tags_and_routes() {
    let mut world = scored();
    let hot =
        world.captured(input(json!({"phone": "+79000000000", "name": "Вера", "fields": {"city": "Казань"}})));
    assert_eq!((world.offered(hot), world.state(hot).tags.clone()), (vec!["best"], vec!["hot".to_owned()]));
    let plain = world.captured(input(json!({"phone": "+79000000000", "name": "Вера"})));
    assert_eq!((world.offered(plain), world.status(plain)), (vec!["anna"], "open"));
    let doubtful = world.captured(input(json!({"phone": "+79000000000"})));
    assert_eq!((world.offered(doubtful), world.status(doubtful)), (vec![], "review"));
    let cold = world.captured(input(json!({"email": "anna@example.com"})));
    assert_eq!(world.state(cold).status, LeadStatus::Rejected { code: "low_score".into() });
    let score = world.state(hot).score.unwrap();
    assert_eq!((score.points, score.at), (60, world.now));
}

#[test]
fn a_lead_is_looked_at_or_its_time_ends() {
    let doubtful = || input(json!({"phone": "+79000000000"}));
    let mut world = scored();
    let lead = world.captured(doubtful());
    let effects = &world.last.as_ref().unwrap().effects;
    let told = effects.iter().filter(|effect| matches!(effect, Effect::Deliver(_))).count();
    let announced = effects.iter().any(|effect| matches!(effect, Effect::Announce { .. }));
    assert_eq!((told, announced), (1, false));
    // Nobody can take what was not let in.
    world.accept(lead, "anna");
    assert_eq!(world.status(lead), "review");
    world.event(lead, Event::Reviewed { approved: true });
    assert_eq!((world.status(lead), world.offered(lead)), ("open", vec!["anna"]));
    let effects = &world.last.as_ref().unwrap().effects;
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Announce { .. })));

    let lead = world.captured(doubtful());
    world.event(lead, Event::Reviewed { approved: false });
    assert_eq!(world.state(lead).status, LeadStatus::Rejected { code: "reviewed".into() });
    let lead = world.captured(doubtful());
    world.advance(600);
    assert_eq!(world.state(lead).status, LeadStatus::Rejected { code: "not_reviewed".into() });
    world.policy.review.as_mut().unwrap().then = crate::policy::Screening::Accept;
    let lead = world.captured(doubtful());
    world.advance(600);
    assert_eq!(world.status(lead), "open");
}

#[test]
fn signs_of_spam() {
    let checks = [
        ("phone_pattern", json!({"phone": "+79001111111"}), true),
        ("phone_pattern", json!({"phone": "+79001234567"}), true),
        ("phone_pattern", json!({"phone": "+79000000011"}), false),
        ("email_disposable", json!({"email": "x@mailinator.com"}), true),
        ("email_disposable", json!({"email": "x@example.com"}), false),
        ("email_pattern", json!({"email": "asdf@example.com"}), true),
        ("email_pattern", json!({"email": "anna@example.com"}), false),
        (
            "comment_links",
            json!({"phone": "+79000000011", "comment": "http://a.example https://b.example"}),
            true,
        ),
        ("comment_links", json!({"phone": "+79000000011", "comment": "see http://a.example"}), false),
        ("name_link", json!({"phone": "+79000000011", "name": "http://a.example"}), true),
        ("name_link", json!({"phone": "+79000000011", "name": "Вера"}), false),
    ];
    for (check, capture, spam) in checks {
        let mut world = world(json!({"spam": {"checks": [check]}}));
        let lead = world.captured(input(capture.clone()));
        let expected = if spam { "rejected" } else { "open" };
        assert_eq!(world.status(lead), expected, "{check} {capture}");
    }
}

#[test]
fn a_person_leaves_only_so_many_leads_a_day() {
    let mut world = world(json!({"spam": {"most_per_day": 2, "action": {"reject": "too_many"}}}));
    let leads: Vec<_> = (0..3).map(|_| world.capture("+79000000000")).collect();
    let statuses: Vec<_> = leads.iter().map(|lead| world.status(*lead)).collect();
    assert_eq!(statuses, ["open", "open", "rejected"]);
    let other = world.capture("+79000000001");
    assert_eq!(world.status(other), "open");
    world.now = plus_seconds(world.now, 86_400);
    let tomorrow = world.capture("+79000000000");
    assert_eq!(world.status(tomorrow), "open");
}

#[test]
fn history_is_asked_for() {
    let accept = json!([{"reject_if": "history.leads >= 2", "code": "again"}]);
    let mut world = world(json!({"accept": accept}));
    let leads: Vec<_> = (0..3).map(|_| world.capture("+79000000000")).collect();
    let statuses: Vec<_> = leads.iter().map(|lead| world.status(*lead)).collect();
    assert_eq!(statuses, ["open", "open", "rejected"]);
}

#[test]
fn the_trace_says_what_enrichment_brought() {
    let mut world = world(json!({}));
    let outcomes = [
        (EnrichmentOutcome::Answered, None),
        (EnrichmentOutcome::TooLate, Some(Reason::TimedOut)),
        (EnrichmentOutcome::Missing, Some(Reason::EnricherMissing)),
    ];
    let mut capture = world
        .leads
        .pop()
        .map_or_else(
            || {
                input(json!({"phone": "+79000000000"})).validate(
                    &[],
                    Locale::Ru,
                    crate::lead::Received::at(world.now),
                )
            },
            |(capture, _)| Ok(capture),
        )
        .unwrap();
    capture.enrichment = outcomes
        .iter()
        .map(|(outcome, _)| Enrichment { name: "city".into(), outcome: *outcome, millis: 1 })
        .collect();
    world.leads.push((capture.clone(), LeadState::default()));
    world.event(0, Event::Captured(Box::new(capture)));
    assert_eq!(world.status(0), "open");
    let steps = &world.last.as_ref().unwrap().trace.steps;
    let found: Vec<_> =
        steps.iter().filter(|step| step.rule.starts_with("enrich")).map(|step| step.reason).collect();
    assert_eq!(found, outcomes.map(|(_, reason)| reason));
}
