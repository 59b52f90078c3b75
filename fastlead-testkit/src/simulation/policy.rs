//! Policies by chance: every strategy, limit, clock and way out, in combinations that nobody would write.

use fastlead_core::policy::Policy;
use serde_json::{Value, json};

use super::chance::Chance;

/// The channels that such a policy speaks over.
const CHANNELS: [&str; 3] = ["first", "second", "third"];
/// The channels that bring bids back.
pub(super) const MARKETS: [&str; 2] = ["bureau", "market"];
const EVENTS: &str = "events";
/// The sources of a simulated project.
pub(super) const SOURCES: [&str; 2] = ["site", "partner"];
/// What a lead may say of the city it comes from.
pub(super) const CITIES: [&str; 3] = ["kazan", "omsk", "perm"];
const ZONES: [&str; 4] = ["Europe/Moscow", "Asia/Yekaterinburg", "Europe/Berlin", "America/New_York"];
const SKILLS: [&str; 2] = ["english", "implants"];

/// A policy that can be published.
pub(super) fn policy(seed: u64, version: u32) -> Result<Policy, serde_json::Error> {
    let chance = Chance::new(seed, &format!("policy {version}"));
    // In the same seeds for all versions, so that bids are under way when another is published.
    let bids = Chance::new(seed, "strategies").percent(30);
    let market = bids.then(|| Chance::new(seed, &format!("market {version}")));
    let days = Chance::new(seed, &format!("days of caps {version}"));
    let mut maker = Maker { seed, chance, market, days, names: Vec::new() };
    serde_json::from_value(maker.policy())
}

struct Maker {
    seed: u64,
    chance: Chance,
    /// Draws of what concerns bids, where leads are sold by ping-post.
    market: Option<Chance>,
    /// Draws of the days of the week on which caps hold.
    days: Chance,
    names: Vec<String>,
}

impl Maker {
    fn policy(&mut self) -> Value {
        let targets = self.chance.between(2, 6);
        // Two more that no rule names of itself: for what cannot be placed, and for the ladder's end.
        self.names = (0..targets).map(|number| format!("t{number}")).collect();
        let mut policy = json!({
            "timezone": self.zone(""),
            "targets": self.targets(),
            "route": self.route(),
            "templates": {"t": {"ru": {"plain": "{{ lead.name or 'x' }} {{ offer.step }}"}}},
            "delivery": self.delivery(),
        });
        self.screening(&mut policy);
        if self.chance.percent(60) {
            policy["hours"] = self.hours();
        }
        policy["escalation"] = self.ladder(policy["hours"].is_object());
        if self.chance.percent(60) {
            policy["returns"] = json!({
                "within_days": self.chance.between(1, 3),
                "reasons": ["wrong_number"],
                "resell": self.chance.percent(50),
            });
        }
        if self.chance.percent(25) {
            policy["caps"] = self.caps(None);
        }
        if self.chance.percent(30) {
            policy["auto_reply"] = json!([
                {"channel": self.chance.pick(CHANNELS), "to": "phone", "template": "t", "ttl_secs": self.chance.between(20, 4_000)},
            ]);
        }
        if self.chance.percent(40) {
            policy["webhooks"] = json!([
                {"channel": EVENTS, "events": ["lead.created", "lead.accepted", "lead.returned", "lead.closed", "lead.erased", "lead.unanswered"]},
            ]);
        }
        if self.chance.percent(40) {
            policy["alerts"] = json!(["t0"]);
        }
        policy
    }

    fn targets(&mut self) -> Value {
        let mut targets = json!({});
        let names = self.names.clone();
        for name in names.iter().map(String::as_str).chain(["spare", "chief"]) {
            let destinations: Vec<Value> = {
                let channels = self.chance.some(&CHANNELS, 2);
                channels
                    .iter()
                    .map(|channel| json!({"channel": channel, "recipient": {"chat": name}}))
                    .collect()
            };
            let destinations = self.with_market(name, destinations);
            targets[name] = json!({"display_name": name, "destinations": destinations});
            self.limits(name, &mut targets[name]);
        }
        // At least one has every skill and some weight, or a policy would be refused.
        targets["t0"]["skills"] = json!(SKILLS);
        targets["t0"]["weight"] = json!(2);
        targets
    }

    /// Where somebody is, in all versions of a policy: a cap is counted by one clock.
    fn zone(&self, who: &str) -> Option<&'static str> {
        let mut chance = Chance::new(self.seed, &format!("zone {who}"));
        (who.is_empty() || chance.percent(30)).then(|| chance.pick(ZONES))
    }

    fn limits(&mut self, name: &str, target: &mut Value) {
        if let Some(zone) = self.zone(name) {
            target["timezone"] = json!(zone);
        }
        if self.chance.percent(30) {
            target["hours"] = self.hours();
        }
        if self.chance.percent(40) {
            target["capacity"] = json!(self.chance.between(1, 3));
        }
        if self.chance.percent(40) {
            target["price"] = json!({"minor": self.chance.between(0, 3) * 100, "currency": "RUB"});
        }
        if self.chance.percent(50) {
            let price = target["price"].is_object();
            target["caps"] = self.caps(Some(price));
        }
        if self.chance.percent(15) {
            target["dedupe_secs"] = json!(self.chance.between(600, 200_000));
        }
        if self.chance.percent(30) {
            target["skills"] = json!(self.chance.some(&SKILLS, 2));
        }
        if self.chance.percent(40) {
            target["weight"] = json!(self.chance.below(4));
        }
        if self.chance.percent(15) {
            target["member_since"] = json!("2026-03-28");
        }
        if self.chance.percent(10) {
            target["away"] = json!([{"from": "2026-03-28", "to": "2026-03-28"}, {"from": "2026-10-24", "to": "2026-10-25"}]);
        }
    }

    fn caps(&mut self, priced: Option<bool>) -> Value {
        let mut caps = Vec::new();
        for per in self.chance.some(&["hour", "day", "week", "month", "total"], 2) {
            let mut cap = json!({"per": per});
            let least = if priced.is_some() { 1 } else { 3 };
            cap["limit"] = json!(self.chance.between(least, least + 5));
            if priced == Some(true) && self.chance.percent(40) {
                cap["money"] = json!(self.chance.between(1, 8) * 100);
            }
            if self.chance.percent(25) {
                cap["source"] = json!(self.chance.pick(SOURCES));
            }
            caps.extend(self.by_days(cap));
        }
        json!(caps)
    }

    /// In place of some caps per hour or day others for parts of the week, and days without any. Monday is never
    /// closed.
    fn by_days(&mut self, cap: Value) -> Vec<Value> {
        let days = &mut self.days;
        if (cap["per"] != "hour" && cap["per"] != "day") || !days.percent(50) {
            return vec![cap];
        }
        let weeks: [&[&str]; 5] = [
            &["mon-fri", "sat", "sun"],
            &["mon-fri", "sat,sun"],
            &["sun-tue,thu"],
            &["sat-mon"],
            &["mon", "sat"],
        ];
        let parts = days.pick(weeks).iter().enumerate().map(|(place, part)| {
            let mut cap = cap.clone();
            cap["days"] = json!(part);
            if place > 0 {
                cap["limit"] = json!(if days.percent(35) { 0 } else { days.between(1, 4) });
            }
            cap
        });
        parts.collect()
    }

    fn hours(&mut self) -> Value {
        let shifts = [
            json!([{"days": "mon-sun", "from": "09:00", "to": "18:00"}]),
            json!([{"days": "mon-fri", "from": "10:00", "to": "19:00"}, {"days": "sat", "from": "11:00", "to": "15:00"}]),
            json!([{"days": "mon-sun", "from": "21:00", "to": "06:00"}]),
            json!([{"days": "mon-sun", "from": "08:00", "to": "12:00"}, {"days": "mon-sun", "from": "13:00", "to": "24:00"}]),
        ];
        let place = usize::try_from(self.chance.below(shifts.len() as u64)).unwrap_or(0);
        json!({"weekly": shifts[place]})
    }

    fn delivery(&mut self) -> Value {
        let retries: [&[u64]; 4] =
            [&[5, 30, 120, 600], &[1], &[60, 3_600, 20_000], &[5, 30, 120, 600, 1_800, 3_600, 10_800]];
        json!({
            "ttl_secs": self.chance.pick([90, 1_800, 20_000, 86_400]),
            "ordered": self.chance.percent(35),
            "retry": self.chance.pick(retries),
        })
    }

    fn route(&mut self) -> Value {
        let rules = self.chance.between(1, 3);
        let rules: Vec<Value> = (1..=rules).map(|number| self.rule(number == rules)).collect();
        json!(rules)
    }

    fn rule(&mut self, last: bool) -> Value {
        let strategy = self.chance.pick(["broadcast", "round_robin", "weighted", "waterfall"]);
        let names = self.names.clone();
        let mut targets = self.chance.some(&names, names.len());
        if !targets.iter().any(|name| name == "t0") {
            targets.insert(0, "t0".to_owned());
        }
        let mut rule = json!({"strategy": strategy, "targets": targets, "template": "t"});
        // Every rule but the last lets some lead pass on.
        if !last {
            let city = self.chance.pick(CITIES);
            rule["when"] = json!(match self.chance.below(4) {
                0 => format!("fields.city == \"{city}\""),
                1 => format!("source.key == \"{}\"", self.chance.pick(SOURCES)),
                2 => "history.leads > 0".to_owned(),
                _ => format!("fields.city != \"{city}\" || has(contact.email)"),
            });
        }
        if self.chance.percent(20) {
            rule["needs_skills"] = json!(self.chance.some(&SKILLS, 2));
        }
        if self.chance.percent(25) {
            rule["sticky"] = match self.chance.below(3) {
                0 => json!({}),
                1 => json!({"unless_away_secs": 7_200}),
                _ => json!({"within_secs": 40_000, "unless_away_secs": 60}),
            };
        }
        let ways_out = [json!("queue"), json!("next"), json!({"target": "spare"}), json!({"reject": "full"})];
        rule["overflow"] = ways_out[usize::try_from(self.chance.below(4)).unwrap_or(0)].clone();
        let ways_out = [json!("queue"), json!("skip"), json!("ignore"), json!({"target": "spare"})];
        rule["off_hours"] = ways_out[usize::try_from(self.chance.below(4)).unwrap_or(0)].clone();
        if self.chance.percent(50) {
            rule["queue_secs"] = json!(self.chance.between(60, 90_000));
        }
        if self.chance.percent(60) {
            rule["offer_timeout_secs"] = json!(self.chance.between(30, 4_000));
        }
        if self.chance.percent(30) {
            rule["group_timeout_secs"] = json!(self.chance.between(60, 9_000));
        }
        if strategy == "broadcast" {
            if self.chance.percent(50) {
                rule["sell_limit"] = json!(self.chance.between(1, 3));
            }
            if self.chance.percent(25) {
                rule["exclusive"] = json!(["t0"]);
            }
        }
        if strategy == "weighted" {
            rule["window"] = json!(self.chance.pick(["hour", "day", "week", "month", "total"]));
        }
        if let Some(market) = &mut self.market
            && market.percent(if last { 40 } else { 70 })
        {
            ask_for_bids(&mut rule, market);
        }
        rule
    }

    /// Where leads are sold by ping-post, everybody can be asked for a bid; some are reached in other ways too.
    fn with_market(&mut self, name: &str, mut destinations: Vec<Value>) -> Vec<Value> {
        let Some(market) = &mut self.market else { return destinations };
        let bids = json!({"channel": market.pick(MARKETS), "recipient": {"chat": name}});
        match market.below(4) {
            0 => destinations.push(bids),
            1 => destinations.insert(0, bids),
            _ => destinations = vec![bids],
        }
        destinations
    }

    fn ladder(&mut self, hours: bool) -> Value {
        let mut steps = Vec::new();
        let rungs = self.chance.below(4);
        for rung in 0..rungs {
            let names = self.names.clone();
            let mut step = json!({"after_secs": self.chance.between(30, 5_000), "template": "t"});
            if hours && self.chance.percent(40) {
                step["clock"] = json!("business");
            }
            match self.chance.below(4) {
                0 => step["targets"] = json!(self.chance.some(&names, 2)),
                1 => {
                    step["action"] = json!("remind");
                    if self.chance.percent(50) {
                        step["targets"] = json!(["chief"]);
                    }
                }
                2 => {
                    step["action"] = json!("reassign");
                    if self.chance.percent(50) {
                        step["targets"] = json!(self.chance.some(&names, 2));
                    }
                }
                _ if rung + 1 == rungs => {
                    step["action"] = json!("fallback");
                    step["targets"] = json!(["chief"]);
                }
                _ => step["targets"] = json!(["chief"]),
            }
            steps.push(step);
        }
        json!(steps)
    }

    fn screening(&mut self, policy: &mut Value) {
        if self.chance.percent(30) {
            policy["accept"] = json!([{"reject_if": "fields.city == \"perm\"", "code": "too_far"}]);
        }
        if self.chance.percent(60) {
            policy["dedupe"] = json!({
                "match": self.chance.pick(["any", "all"]),
                "fields": ["contact.phone", "contact.email"],
                "window_secs": self.chance.between(60, 100_000),
                "scope": self.chance.pick(["source", "project", "workspace"]),
            });
        }
        if self.chance.percent(25) {
            policy["review"] = json!({
                "when": "source.key == \"partner\"",
                "sla_secs": self.chance.between(60, 20_000),
                "then": if self.chance.percent(50) { json!("accept") } else { json!({"reject": "late"}) },
                "tell": ["chief"],
            });
        }
        if self.chance.percent(20) {
            policy["spam"] = json!({"most_per_day": self.chance.between(1, 4)});
        }
        if self.chance.percent(20) {
            policy["score"] = json!({
                "rules": [{"when": "has(contact.email)", "points": 10}, {"when": "fields.city == \"omsk\"", "points": -10}],
                "half_life_days": 1,
                "bands": [{"at_least": 10, "tags": ["hot"]}, {"at_least": -5}, {"at_least": -100, "action": {"reject": "cold"}}],
            });
        }
        if self.chance.percent(10) {
            policy["enrich"] = json!([{"name": "city"}, {"name": "unknown"}]);
        }
    }
}

/// Makes a rule one of ping-post.
fn ask_for_bids(rule: &mut Value, market: &mut Chance) {
    rule["strategy"] = json!("ping_post");
    rule["ping_timeout_secs"] = json!(market.pick([1, 3, 5, 20]));
    if market.percent(50) {
        rule["floor"] = json!({"minor": market.between(1, 2) * 100, "currency": "RUB"});
    }
    if market.percent(50) {
        rule["ping_fields"] = json!(["fields.city"]);
    }
    if market.percent(50) {
        rule["overflow"] = json!("next");
    }
    if let Some(fields) = rule.as_object_mut() {
        for field in ["sell_limit", "exclusive", "window"] {
            fields.remove(field);
        }
    }
}
