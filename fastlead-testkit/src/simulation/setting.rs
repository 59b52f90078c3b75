//! What a seed makes: the policies, the channels and their habits, the people, and what goes wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fastlead_core::channel::{Capabilities, Rate};
use fastlead_core::message::RecipientKind;
use fastlead_core::policy::{Policy, Strategy};
use fastlead_core::time::{Timestamp, from_millis, plus_seconds};

use super::Bend;
use super::chance::Chance;
use super::policy;
use super::questions::{Answers, Questions};

/// Everything that is fixed before the first step.
#[derive(Debug)]
pub(super) struct Setting {
    pub seed: u64,
    pub start: Timestamp,
    /// Later ones are published while leads are under way.
    pub policies: Vec<Policy>,
    pub lines: Vec<Line>,
    /// What the sources of the project are called.
    pub sources: Vec<String>,
    pub visits: Vec<Arc<Visit>>,
    /// How many of a hundred calls of the store fail.
    pub store_trouble: u64,
    /// After how many seconds the process dies.
    pub crashes: Vec<u64>,
    /// After how many seconds the next policy is published.
    pub published: Vec<u64>,
    /// How many engines work on the store.
    pub engines: usize,
    /// By how many seconds the clock of each engine's machine is ahead of the store's.
    pub clocks: Vec<i64>,
    /// What happens to single ones of several engines.
    pub stops: Vec<Stop>,
    pub people: Habits,
    /// Nothing goes wrong, and nobody waits for others.
    pub quiet: bool,
    /// Engines do not hear what time it is by the store's clock.
    pub untold_time: bool,
    /// What is done to every decision on its way to the store.
    pub bend: Option<Bend>,
}

/// How those answer who are offered leads, in percent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Habits {
    pub accept: u64,
    pub decline: u64,
    /// Of those who answer: hours later.
    pub late: u64,
    /// Of those who answer: twice, and not always the same.
    pub twice: u64,
    /// Of those who have a lead: give it back.
    pub give_back: u64,
    pub close: u64,
}

/// One of several engines stops, wherever it is, and the others go on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stop {
    /// After how many seconds.
    pub after_secs: u64,
    pub engine: usize,
    /// Until it goes on, or another one takes its place.
    pub secs: u64,
    /// Whether it never goes on from there.
    pub dies: bool,
}

/// A channel and what it is known for.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub name: String,
    pub capabilities: Capabilities,
    /// How many of a hundred requests meet some trouble.
    pub trouble: u64,
    /// How many of a hundred troubles are the account's.
    pub account_trouble: u64,
    /// How many of a hundred answers come late.
    pub slow: u64,
    /// Whether its news must be fetched.
    pub polled: bool,
}

/// Somebody leaves a contact.
#[derive(Debug)]
pub(super) struct Visit {
    pub number: usize,
    /// After how many milliseconds.
    pub after_millis: u64,
    pub person: u64,
    pub email: bool,
    pub answers: Answers,
    /// The caller's idempotency key, and the request that it came with.
    pub key: Option<(String, String)>,
}

/// Around the days on which clocks are moved, at the end of a year, and on a day like any other.
const STARTS: [i64; 6] =
    [1_774_591_200, 1_792_735_200, 1_793_340_000, 1_798_632_000, 1_781_049_600, 1_772_222_400];

impl Setting {
    /// What `seed` makes, with `leads` visits where that is given, and by the policy `given` where there is one. In
    /// one of a few seeds one of `written` leads instead of one by chance.
    pub(super) fn new(
        seed: u64,
        leads: Option<usize>,
        given: Option<&Policy>,
        written: &[Policy],
    ) -> Result<Self, serde_json::Error> {
        let mut chance = Chance::new(seed, "setting");
        let start = plus_seconds(
            from_millis(chance.pick(STARTS) * 1_000),
            chance.below(86_400) + chance.below(3) * 500,
        );
        let given = given.or_else(|| chosen(seed, written));
        let policies = match given {
            Some(policy) => vec![policy.clone()],
            None if chance.percent(20) => vec![policy::policy(seed, 1)?, policy::policy(seed, 2)?],
            None => vec![policy::policy(seed, 1)?],
        };
        let calm = chance.percent(25);
        let bids = bidding_channels(&policies);
        let lines = channel_names(&policies);
        let lines = lines.into_iter().map(|name| line(seed, name, calm, &bids)).collect();
        // Drawn in any case, so that what follows does not depend on it.
        let usual = usize::try_from(chance.between(4, 40)).unwrap_or(4);
        let count = leads.unwrap_or(usual);
        let questions = given.map(|policy| Questions::of(std::slice::from_ref(policy)));
        let visits = visits(seed, count, questions.as_ref());
        let sources =
            questions.map_or_else(|| policy::SOURCES.map(str::to_owned).to_vec(), |asked| asked.sources);
        let span = visits.last().map_or(0, |visit| visit.after_millis / 1_000) + 3_600;
        let store_trouble = if calm { 0 } else { chance.pick([0, 0, 1, 4]) };
        let deaths = if calm { 0 } else { chance.pick([0, 0, 1, 3, 6]) };
        let mut crashes: Vec<u64> = (0..deaths).map(|_| chance.below(span)).collect();
        if deaths > 0 && !bids.is_empty() {
            crashes.extend(crashes_of_auctions(seed, &visits));
        }
        let published = (1..policies.len()).map(|_| chance.below(span)).collect();
        let (engines, stops) = engines(seed, span, calm);
        let accept = chance.pick([10, 40, 80]);
        let people = Habits {
            accept,
            decline: chance.pick([0, 10, 20]),
            late: chance.pick([0, 10, 50]),
            twice: chance.pick([0, 10, 30]),
            give_back: chance.pick([0, 20, 60]),
            close: chance.pick([0, 40, 90]),
        };
        Ok(Self {
            seed,
            start,
            policies,
            lines,
            sources,
            visits,
            store_trouble,
            crashes,
            published,
            engines,
            clocks: clocks(seed, calm),
            stops,
            people,
            quiet: false,
            untold_time: false,
            bend: None,
        })
    }

    /// How many of the engines are on machines whose clocks are wrong.
    pub(super) fn wrong_clocks(&self) -> u64 {
        self.clocks.iter().take(self.engines).filter(|ahead| **ahead != 0).count() as u64
    }

    /// Nothing goes wrong, one policy leads, and every channel brings answers back: as a replay has it.
    pub(super) fn quieten(&mut self) {
        self.quiet = true;
        self.policies.truncate(1);
        self.crashes.clear();
        self.published.clear();
        self.engines = 1;
        self.clocks.clear();
        self.stops.clear();
        self.store_trouble = 0;
        // What happens at one moment has no order in an engine.
        let mut earliest = 0;
        for visit in self.visits.iter_mut().filter_map(Arc::get_mut) {
            visit.after_millis = visit.after_millis.max(earliest);
            earliest = visit.after_millis + 1;
        }
        for line in &mut self.lines {
            (line.trouble, line.account_trouble, line.slow, line.polled) = (0, 0, 0, false);
            line.capabilities.answers = true;
            line.capabilities.account_rate = None;
        }
    }
}

/// How many engines there are, and what happens to them one by one.
fn engines(seed: u64, span: u64, calm: bool) -> (usize, Vec<Stop>) {
    let mut chance = Chance::new(seed, "engines");
    let engines = chance.pick([1, 1, 1, 2, 2, 3, 4]);
    if engines == 1 || calm {
        return (engines, Vec::new());
    }
    let stops = (0..chance.pick([0, 1, 3, 8])).map(|_| Stop {
        after_secs: chance.below(span),
        engine: usize::try_from(chance.below(engines as u64)).unwrap_or(0),
        // Shorter and longer than a lease.
        secs: chance.pick([1, 20, 40, 90, 600]),
        dies: chance.percent(40),
    });
    (engines, stops.collect())
}

/// How wrong the clocks of the machines are, for the four engines that there may be.
fn clocks(seed: u64, calm: bool) -> Vec<i64> {
    let mut chance = Chance::new(seed, "clocks");
    if calm || chance.percent(40) {
        return Vec::new();
    }
    (0..4).map(|_| chance.pick([0, 1, 40, 600, 100_000, -1, -40, -600, -100_000])).collect()
}

/// One of the written policies, in one of seven seeds.
fn chosen(seed: u64, written: &[Policy]) -> Option<&Policy> {
    let mut chance = Chance::new(seed, "written policies");
    let place = usize::try_from(chance.below(7 * written.len() as u64)).unwrap_or(usize::MAX);
    written.get(place)
}

/// The names of the channels that these policies speak over.
fn channel_names(policies: &[Policy]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for policy in policies {
        let targets = policy.targets.values().flat_map(|target| &target.destinations);
        names.extend(targets.map(|destination| destination.channel.clone()));
        names.extend(policy.auto_reply.iter().map(|reply| reply.channel.clone()));
        names.extend(policy.webhooks.iter().map(|webhook| webhook.channel.clone()));
    }
    names
}

/// The channels that bring bids back: one for each target that is asked for bids.
fn bidding_channels(policies: &[Policy]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for policy in policies {
        let rules = policy.route.rules.iter().filter(|rule| rule.strategy == Strategy::PingPost);
        for target in rules.flat_map(|rule| &rule.targets).filter_map(|name| policy.targets.get(name)) {
            let channels = || target.destinations.iter().map(|destination| &destination.channel);
            let market = channels().find(|name| policy::MARKETS.contains(&name.as_str()));
            names.extend(market.or_else(|| channels().next()).cloned());
        }
    }
    names
}

/// The process dies between pings and posts: within seconds of a visit.
fn crashes_of_auctions(seed: u64, visits: &[Arc<Visit>]) -> Vec<u64> {
    let mut chance = Chance::new(seed, "crashes of auctions");
    let struck = chance.between(1, 4);
    let mut crashes = Vec::new();
    for _ in 0..struck {
        let place = usize::try_from(chance.below(visits.len() as u64)).unwrap_or(0);
        let visit = visits.get(place).map_or(0, |visit| visit.after_millis / 1_000);
        crashes.push(visit + chance.below(7));
    }
    crashes
}

fn line(seed: u64, name: String, calm: bool, bids: &BTreeSet<String>) -> Line {
    let mut chance = Chance::new(seed, &format!("channel {name}"));
    let mut able = Capabilities::default();
    able.recipients =
        vec![RecipientKind::Phone, RecipientKind::Email, RecipientKind::Chat, RecipientKind::Endpoint];
    able.text = true;
    able.events = true;
    able.buttons = true;
    able.interaction_replies = true;
    able.inbound = true;
    able.answers = bids.contains(&name);
    able.receipts = chance.percent(60);
    able.idempotent_send = chance.percent(40);
    able.lookup = chance.percent(40);
    able.max_in_flight = chance.pick([1, 2, 8]);
    if chance.percent(20) {
        able.account_rate = Some(Rate::per_second(chance.pick([1, 5])));
    }
    let trouble = if calm { 0 } else { chance.pick([0, 5, 25, 70]) };
    let polled = Chance::new(seed, &format!("polls {name}")).percent(35);
    Line {
        name,
        capabilities: able,
        trouble,
        account_trouble: chance.pick([0, 3, 10]),
        polled,
        slow: if calm { 0 } else { chance.pick([0, 10, 50]) },
    }
}

fn visits(seed: u64, count: usize, questions: Option<&Questions>) -> Vec<Arc<Visit>> {
    let mut chance = Chance::new(seed, "visits");
    let mut said = Chance::new(seed, "what visitors say");
    let people = chance.between(2, 14);
    let pace = chance.pick([30_000, 600_000, 4_000_000, 15_000_000]);
    let mut after_millis = 0;
    let mut keys: Vec<(String, String)> = Vec::new();
    let mut visits = Vec::with_capacity(count);
    for number in 0..count {
        // Now and then several come at the same moment.
        after_millis += if chance.percent(25) { 0 } else { chance.below(pace) };
        let earlier = usize::try_from(chance.below(keys.len() as u64)).unwrap_or(0);
        let key = match (chance.below(10), keys.get(earlier)) {
            (0..=2, _) => None,
            (3..=4, Some(used)) => Some(used.clone()),
            (5, Some((key, _))) => Some((key.clone(), format!("another {number}"))),
            _ => Some((format!("key-{number}"), format!("request {number}"))),
        };
        keys.extend(key.clone());
        let source = chance.pick(policy::SOURCES).to_owned();
        let (person, email) = (chance.below(people), chance.percent(40));
        let city = chance.pick(policy::CITIES).to_owned();
        let by_chance = || {
            let fields = BTreeMap::from([("city".to_owned(), city)]);
            Answers { source, fields, ..Answers::default() }
        };
        let answers = questions.map_or_else(by_chance, |questions| questions.answers(&mut said));
        visits.push(Arc::new(Visit { number, after_millis, person, email, answers, key }));
    }
    visits
}
