//! Random lives of leads under a policy that has everything. The world checks after every step that counters
//! are what leads hold, that no limit is passed, that every decision can be made again from what is stored, and
//! that no lead waits for nothing.

use proptest::prelude::*;
use serde_json::json;

use super::super::*;
use super::world::World;
use crate::delivery::DeliveryState;
use crate::id::{ChannelId, DeliveryId};
use crate::money::{Currency, Money};
use uuid::Uuid;

const TARGETS: [&str; 7] = ["a", "b", "c", "d", "e", "chief", "owner"];

fn world() -> World {
    let hours = json!({"weekly": [{"days": "mon-fri", "from": "09:00", "to": "18:00"}]});
    let price = json!({"minor": 700, "currency": "RUB"});
    let targets = json!({
        "a": {"capacity": 2, "hours": hours, "weight": 3},
        "b": {"capacity": 1, "caps": [{"per": "hour", "limit": 3}], "away": [{"from": "2026-11-26", "to": "2026-11-26"}]},
        "c": {"caps": [{"per": "day", "limit": 4, "money": 2_500}], "price": price, "dedupe_secs": 7_200},
        "d": {"caps": [{"per": "day", "money": 3_000}], "capacity": 3},
        "e": {"dedupe_secs": 600, "skills": ["english"]},
        "chief": {"capacity": 2},
        "owner": {"capacity": 1},
    });
    let route = json!([
        {"when": "history.leads >= 3", "strategy": "waterfall", "targets": ["e"], "needs_skills": ["english"],
            "template": "t", "overflow": "next"},
        {"when": "locale == 'en'", "strategy": "ping_post", "targets": ["c", "d"], "template": "t",
            "floor": {"minor": 500, "currency": "RUB"}, "offer_timeout_secs": 120, "overflow": "next"},
        {"when": "has(comment)", "strategy": "broadcast", "targets": ["a", "c", "e"], "template": "t", "sell_limit": 2,
            "exclusive": ["e"], "offer_timeout_secs": 300, "overflow": {"target": "chief"}, "off_hours": "ignore"},
        {"when": "has(contact.email)", "strategy": "weighted", "targets": ["a", "b", "d"], "template": "t",
            "sticky": {"unless_away_secs": 3_600}, "group_timeout_secs": 400, "queue_secs": 3_000},
        {"strategy": "round_robin", "targets": ["a", "b"], "template": "t", "offer_timeout_secs": 90,
            "overflow": "queue", "off_hours": "queue", "sticky": {}},
    ]);
    let more = json!({
        "hours": hours,
        "caps": [{"per": "hour", "limit": 12}],
        "escalation": [
            {"after_secs": 100, "action": "remind", "template": "t"},
            {"after_secs": 100, "clock": "business", "action": "reassign", "template": "t"},
            {"after_secs": 100, "targets": ["chief"], "template": "t"},
            {"after_secs": 100, "action": "fallback", "targets": ["owner"], "template": "t"},
        ],
        "spam": {"most_per_day": 6, "action": "review"},
        "review": {"sla_secs": 500},
        "returns": {"within_days": 1, "reasons": ["bad"], "resell": true},
    });
    World::new(targets, route, more)
}

/// Something that may happen.
#[derive(Debug, Clone)]
enum Step {
    Capture { person: u8, kind: u8 },
    Accept { lead: usize, target: usize },
    Decline { lead: usize, target: usize },
    Bid { lead: usize, target: usize, minor: i64 },
    Lost { lead: usize, target: usize },
    Close { lead: usize },
    Return { lead: usize },
    Review { lead: usize, approved: bool },
    SlotFree { lead: usize },
    PolicyChanged { lead: usize },
    Pass { seconds: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lead = || 0_usize..40;
    let target = || 0..TARGETS.len();
    let step = prop_oneof![
        6 => (0_u8..5, 0_u8..4).prop_map(|(person, kind)| Step::Capture { person, kind }),
        4 => (lead(), target()).prop_map(|(lead, target)| Step::Accept { lead, target }),
        3 => (lead(), target()).prop_map(|(lead, target)| Step::Decline { lead, target }),
        3 => (lead(), 2_usize..4, 0_i64..2_000).prop_map(|(lead, target, minor)| Step::Bid { lead, target, minor }),
        2 => (lead(), target()).prop_map(|(lead, target)| Step::Lost { lead, target }),
        2 => lead().prop_map(|lead| Step::Close { lead }),
        2 => lead().prop_map(|lead| Step::Return { lead }),
        1 => (lead(), any::<bool>()).prop_map(|(lead, approved)| Step::Review { lead, approved }),
        3 => lead().prop_map(|lead| Step::SlotFree { lead }),
        1 => lead().prop_map(|lead| Step::PolicyChanged { lead }),
        3 => prop_oneof![1_u64..200, 3_000_u64..50_000].prop_map(|seconds| Step::Pass { seconds }),
    ];
    prop::collection::vec(step, 1..60)
}

impl World {
    fn take(&mut self, step: &Step) {
        let count = self.leads.len();
        let of = |lead: &usize| (count > 0).then(|| lead % count.max(1));
        match step {
            Step::Capture { person, kind } => {
                let mut input = json!({"phone": format!("+7900000001{person}")});
                match kind {
                    0 => input["locale"] = json!("en"),
                    1 => input["comment"] = json!("x"),
                    2 => input["email"] = json!("anna@example.com"),
                    _ => {}
                }
                self.captured(serde_json::from_value(input).unwrap());
            }
            Step::Accept { lead, target } => {
                if let Some(lead) = of(lead) {
                    self.accept(lead, TARGETS[*target]);
                }
            }
            Step::Decline { lead, target } => {
                if let Some(lead) = of(lead) {
                    self.decline(lead, TARGETS[*target]);
                }
            }
            Step::Bid { lead, target, minor } => {
                if let Some(lead) = of(lead) {
                    let bid = (*minor > 0).then(|| Money::new(*minor, Currency::RUB));
                    self.event(lead, Event::Answered { target: TARGETS[*target].into(), bid });
                }
            }
            Step::Lost { lead, target } => {
                let alive = |offer: &Offer| offer.target == TARGETS[*target] && offer.alive > 0;
                if let Some(lead) = of(lead)
                    && self.state(lead).offers.iter().any(alive)
                {
                    // Each is another delivery: the version of the state has not been before.
                    let number = u128::from(self.state(lead).version);
                    let event = Event::DeliveryEnded {
                        delivery_id: DeliveryId::from_uuid(Uuid::from_u128(1_000 + number)),
                        target: Some(TARGETS[*target].into()),
                        channel_id: ChannelId::from_uuid(Uuid::from_u128(8)),
                        state: DeliveryState::Failed,
                        reason: None,
                    };
                    self.event(lead, event);
                }
            }
            Step::Close { lead } => {
                if let Some(lead) = of(lead) {
                    self.event(lead, Event::Closed);
                }
            }
            Step::Return { lead } => {
                if let Some(lead) = of(lead) {
                    let target = self.state(lead).assigned_to.clone().unwrap_or_else(|| "a".into());
                    self.event(lead, Event::Returned { target, reason: "bad".into() });
                }
            }
            Step::Review { lead, approved } => {
                if let Some(lead) = of(lead) {
                    self.event(lead, Event::Reviewed { approved: *approved });
                }
            }
            Step::SlotFree { lead } => {
                if let Some(lead) = of(lead) {
                    self.event(lead, Event::SlotFree);
                }
            }
            Step::PolicyChanged { lead } => {
                if let Some(lead) = of(lead) {
                    self.event(lead, Event::PolicyChanged);
                }
            }
            Step::Pass { seconds } => self.advance(*seconds),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_happens_everything_is_counted_and_nobody_is_forgotten(steps in steps()) {
        let mut world = world();
        for step in &steps {
            world.take(step);
        }
        // In the end every lead has come to an end of some kind.
        world.advance(30 * 86_400);
        for (_, state) in &world.leads {
            let ends = !matches!(
                state.status,
                LeadStatus::New | LeadStatus::Open | LeadStatus::Queued | LeadStatus::Auction | LeadStatus::Review
            );
            prop_assert!(ends, "{state:?}");
        }
    }
}
