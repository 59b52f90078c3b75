use serde_json::json;

use super::super::*;
use super::world::World;
use crate::contact::Handle;
use crate::lead::{CaptureInput, Received};
use crate::person::Person;

const PROJECT: ProjectId = ProjectId::from_uuid(uuid::Uuid::from_u128(3));

fn by_account(id: &str) -> CaptureInput {
    serde_json::from_value(json!({"handles": [{"messenger": "telegram", "id": id}]})).unwrap()
}

/// A lead by the number, where the accounts with these ids are linked to it.
fn merged(world: &World, ids: &[&str]) -> Capture {
    let input: CaptureInput = serde_json::from_value(json!({"phone": "+79000000000"})).unwrap();
    let mut capture = input.validate(&[], Locale::Ru, Received::at(world.now)).unwrap();
    let key = |id: &&str| {
        PersonKey::of_handle(PROJECT, &Handle { messenger: "telegram".to_owned(), id: (*id).into() })
    };
    let main = PersonKey::of(PROJECT, &capture.contact).unwrap();
    capture.person = Some(Box::new(Person { main, merged: ids.iter().map(key).collect() }));
    capture
}

fn sticky(more: serde_json::Value) -> World {
    let route =
        json!({"strategy": "round_robin", "targets": ["oleg", "anna"], "template": "t", "sticky": {}});
    World::new(json!({"anna": {}, "oleg": {}}), route, more)
}

#[test]
fn an_account_without_a_number_is_a_person_of_its_own() {
    let mut world = sticky(json!({}));
    let first = world.captured(by_account("7"));
    world.accept(first, "anna");
    let again = world.captured(by_account("7"));
    assert_eq!(world.offered(again), ["anna"]);
    assert!(world.reasons("anna").contains(&Reason::PreviousOwner));
    world.captured(by_account("8"));
    assert!(!world.reasons("anna").contains(&Reason::PreviousOwner));
}

#[test]
fn the_latest_owner_of_all_accounts_counts() {
    for (order, wanted) in [(["7", "8"], "oleg"), (["8", "7"], "anna")] {
        let mut world = sticky(json!({}));
        for id in order {
            let lead = world.captured(by_account(id));
            world.accept(lead, if id == "7" { "anna" } else { "oleg" });
            world.now = plus_seconds(world.now, 60);
        }
        let capture = merged(&world, &["7", "8"]);
        let lead = world.taken_in(capture);
        assert_eq!(world.offered(lead), [wanted]);
        let facts = world.last.as_ref().unwrap().trace.facts.clone().unwrap();
        assert_eq!(facts.merged, 2);
    }
}

#[test]
fn earlier_leads_and_those_of_the_day_are_added_up() {
    let counting = json!({
        "spam": {"most_per_day": 3, "action": {"reject": "too_many"}},
        "accept": [{"reject_if": {"compare": {"field": "history.leads", "is": "at_least", "value": 100}}, "code": "never"}],
    });
    let mut world = sticky(counting);
    world.captured(by_account("7"));
    world.captured(by_account("8"));
    let capture = merged(&world, &["7", "8"]);
    let third = world.taken_in(capture.clone());
    let facts = world.last.as_ref().unwrap().trace.facts.clone().unwrap();
    assert_eq!((facts.earlier, facts.today), (Some(2), Some(2)));
    assert_eq!(world.status(third), "open");
    let fourth = world.taken_in(capture);
    assert_eq!(world.state(fourth).status, LeadStatus::Rejected { code: "too_many".into() });
    // What the merged lead has added stands with its number alone.
    world.captured(by_account("7"));
    let facts = world.last.as_ref().unwrap().trace.facts.clone().unwrap();
    assert_eq!((facts.earlier, facts.today, facts.merged), (Some(1), Some(1), 0));
}

#[test]
fn a_buyer_of_one_account_is_not_sold_the_other() {
    let route = json!({"strategy": "round_robin", "targets": ["anna", "oleg"], "template": "t"});
    let mut world = World::new(json!({"anna": {"dedupe_secs": 600}, "oleg": {}}), route, json!({}));
    let first = world.captured(by_account("7"));
    assert_eq!(world.offered(first), ["anna"]);
    world.captured(by_account("9"));
    let capture = merged(&world, &["7"]);
    let lead = world.taken_in(capture);
    assert_eq!(world.offered(lead), ["oleg"]);
    assert!(world.reasons("anna").contains(&Reason::BoughtBefore));
    // The hold of the account is given back by its own lead, whatever was merged since.
    world.decline(first, "anna");
    let capture = merged(&world, &["7"]);
    let free = world.taken_in(capture);
    assert_eq!(world.offered(free), ["anna"]);
}

#[test]
fn a_capture_of_an_earlier_version_stands_for_its_contact() {
    let world = sticky(json!({}));
    let capture = merged(&world, &["7"]);
    let mut stored = serde_json::to_value(&capture).unwrap();
    assert_eq!(serde_json::from_value::<Capture>(stored.clone()).unwrap(), capture);
    assert!(!stored["person"].to_string().contains("telegram"));
    stored.as_object_mut().unwrap().remove("person");
    assert_eq!(serde_json::from_value::<Capture>(stored).unwrap().person, None);
}
