//! Buyers that are programs: they answer pings with bids and offers with a word.

use fastlead_core::message::{Content, OutboundMessage, Recipient, Response};
use fastlead_core::money::{Currency, Money};
use serde_json::{Value, json};

use super::chance::Chance;
use super::world::{Action, World};

/// What a program answers.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub text: Value,
    /// The bid that it is; `None` where it is no bid, or answers no ping.
    pub bid: Option<Money>,
    pub to_ping: bool,
}

/// Answers a message that is for a program. `before` is what was bid for the same ping before: whoever is
/// asked again bids less.
pub(super) fn answer(
    world: &World,
    chance: &mut Chance,
    (channel, message): (&str, &OutboundMessage),
    before: Option<i64>,
) -> Option<Answer> {
    let Content::Event(event) = &message.content else { return None };
    match event.event_type.as_str() {
        "lead.ping" => {
            if event.data.expose().to_string().contains("+7900") {
                world.broken(format!("the ping {} names the person", message.delivery_id));
            }
            Some(bid(chance, event.data.expose(), before))
        }
        "lead.offered" => {
            offer(world, chance, event.data.expose(), name(world, channel, &message.recipient)?)
        }
        _ => None,
    }
}

fn bid(chance: &mut Chance, ping: &Value, before: Option<i64>) -> Answer {
    let floor = ping.pointer("/floor/minor").and_then(Value::as_i64).unwrap_or(100);
    let step = (floor / 2).max(1);
    // Few amounts, so that some are equal.
    let minor =
        before.map_or_else(|| step * i64::try_from(chance.between(1, 6)).unwrap_or(1), |minor| minor / 2);
    let (text, bid) = match chance.below(14) {
        0 => (json!({"thanks": true}), None),
        1 => (json!({"bid": null}), None),
        2 => (json!({"bid": minor, "currency": "USD"}), "USD".parse().ok().map(|usd| Money::new(minor, usd))),
        3 => (json!({"bid": -minor}), None),
        4 => (json!({"bid": format!("{minor}")}), Some(Money::new(minor, Currency::RUB))),
        5 => (json!([minor]), None),
        6 => (json!({"bid": minor, "currency": "roubles"}), None),
        _ => (json!({"bid": minor, "currency": "RUB"}), Some(Money::new(minor, Currency::RUB))),
    };
    Answer { text, bid: bid.filter(|bid| bid.minor > 0), to_ping: true }
}

/// Who is reached so.
fn name<'a>(world: &'a World, channel: &str, recipient: &Recipient) -> Option<&'a str> {
    let all = world.setting.policies.iter().flat_map(|policy| &policy.targets);
    let mut reached = all.filter(|(_, target)| {
        let mut destinations = target.destinations.iter();
        destinations.any(|destination| destination.channel == channel && destination.recipient == *recipient)
    });
    reached.next().map(|(name, _)| name.as_str())
}

/// Takes the offer or not, at once or later over the API.
fn offer(world: &World, chance: &mut Chance, data: &Value, target: &str) -> Option<Answer> {
    let habits = world.setting.people;
    let response = match chance.below(100) {
        draw if draw < habits.accept => Response::Accept,
        draw if draw < habits.accept + habits.decline => Response::Decline,
        _ => return None,
    };
    if chance.percent(habits.late)
        && let Some(lead) = data.get("lead_id").and_then(Value::as_str).and_then(|id| id.parse().ok())
    {
        let target = target.to_owned();
        world.plan_in(chance.between(500, 9_000_000), Action::Respond { lead, target, response });
        return None;
    }
    let text = json!({"accept": response == Response::Accept});
    Some(Answer { text, bid: None, to_ping: false })
}
