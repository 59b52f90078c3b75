//! Seeds that CI plays, and proof that the simulation can fail.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use fastlead_core::decide::{Event, HoldKind, LeadStatus, Offer, Reason, TraceStep, Verdict};
use fastlead_core::policy::{Policy, Strategy};
use fastlead_core::port::Transition;
use fastlead_store::{MemoryStore, SqliteOptions, SqliteStore};
use fastlead_testkit::conformance::store::FullStore;
use fastlead_testkit::policy::read_policies;
use fastlead_testkit::simulation::{Bend, Failure, Report, Simulation};

use crate::broken_store::{BrokenStore, Flaw};

fn written() -> Arc<[Policy]> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/policies");
    read_policies(&folder).expect("the policies that are shown as examples are good").into()
}

/// As `cargo xtask simulate` plays it.
fn play(seed: u64) -> Result<Report, Failure> {
    Simulation::new(seed).among(written()).run(Arc::new(MemoryStore::new()))
}

/// What few seeds reach or none, because every lead of a simulation has what it needs. The tests of `decide` reach each.
const SELDOM: [&str; 11] = [
    "reason cannot_answer",
    "reason catches_up_slowly",
    "reason channel_missing",
    "reason looks_like_spam",
    "reason no_advertising_consent",
    "reason no_email",
    "reason no_phone",
    "reason owner_later",
    "reason target_missing",
    "reason unconfirmed",
    "status unconfirmed",
];

/// All names of events, statuses, reasons and final states that there are.
fn everything() -> BTreeSet<String> {
    let schema = schemars::schema_for!(Reason).to_value();
    let reasons = schema["oneOf"].as_array().expect("one for each reason");
    let reasons = reasons.iter().map(|one| format!("reason {}", one["const"].as_str().expect("a name")));
    let statuses = LeadStatus::NAMES.iter().map(|name| format!("status {name}"));
    reasons.chain(statuses).collect()
}

/// Every run of the tests plays these; `cargo xtask simulate` plays thousands, and fresh ones.
fn hold(seeds: std::ops::Range<u64>) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let (mut leads, mut crashes, mut auctions, mut several, mut stops, mut clocks) = (0, 0, 0, 0, 0, 0);
    for seed in seeds {
        let report = play(seed).unwrap_or_else(|failure| panic!("{failure}"));
        leads += report.leads;
        crashes += report.crashes;
        auctions += report.auctions;
        several += u64::from(report.engines > 1);
        stops += report.stops;
        clocks += report.wrong_clocks;
        reached.extend(report.reached);
    }
    assert!(
        leads > 1_000 && crashes > 50 && auctions > 100 && several > 50 && stops > 100 && clocks > 50,
        "{leads} leads, {auctions} auctions, {crashes} crashes, {several} with several engines, {stops} stops, {clocks} \
         wrong clocks"
    );
    reached
}

/// They also reach everything that there is to reach.
#[test]
fn seeds_hold() {
    let reached = hold(1..151);
    let known = everything();
    let missing: Vec<&String> =
        known.iter().filter(|what| !reached.contains(*what) && !SELDOM.contains(&what.as_str())).collect();
    assert!(missing.is_empty(), "never reached: {missing:?}");
}

#[test]
fn more_seeds_hold() {
    hold(151..301);
}

/// What has once failed: messages that stood behind others and were not woken for, and a queue that went
/// round in circles over what would have become free; an engine that stood still and knew more than those who took over, also
/// while they are still finding out.
#[test]
fn seeds_that_have_failed_hold() {
    for seed in [1_795_650_634_357, 1_795_650_644_235, 1_795_650_638_916, 1_795_969_531_418] {
        let played = Simulation::new(seed).run(Arc::new(MemoryStore::new()));
        played.unwrap_or_else(|failure| panic!("{failure}"));
    }
    let played = Simulation::new(1_795_984_282_254).visits(7).run(Arc::new(MemoryStore::new()));
    played.unwrap_or_else(|failure| panic!("{failure}"));
}

/// The seed that somebody has named in `SIM_SEED`, or any.
#[test]
#[allow(clippy::disallowed_methods, reason = "whoever plays a seed again names it on the command line")]
fn the_named_seed_holds() {
    let seed = std::env::var("SIM_SEED").map_or(17, |seed| seed.parse().expect("SIM_SEED is a number"));
    if let Err(failure) = play(seed) {
        panic!("{failure}");
    }
}

#[test]
fn a_shorter_history_begins_as_the_longer_one_does() {
    let visits = |visits| Simulation::new(5).visits(visits).run(Arc::new(MemoryStore::new())).expect("holds");
    assert!(visits(2).leads <= 2);
    assert_eq!(visits(9), visits(9));
    let cut = Simulation::new(5).until_step(7).run(Arc::new(MemoryStore::new())).expect("holds");
    assert_eq!(cut.steps, 7);
}

#[test]
fn a_policy_that_is_given_leads() {
    let policy = Policy::starter("bot", fastlead_core::message::Recipient::Chat("790000000".into()));
    for seed in 1..20 {
        let played = Simulation::new(seed).policy(policy.clone()).run(Arc::new(MemoryStore::new()));
        let report = played.unwrap_or_else(|failure| panic!("{failure}"));
        assert!(report.deliveries > 0, "{report:?}");
    }
}

/// Every rule of the policies that are shown as examples is reached, and holds in bad weather.
#[test]
fn the_policies_of_the_examples_hold() {
    for policy in written().iter() {
        let (mut leads, mut deliveries, mut auctions) = (0, 0, 0);
        for seed in 1..13 {
            let played = Simulation::new(seed).policy(policy.clone()).run(Arc::new(MemoryStore::new()));
            let report = played.unwrap_or_else(|failure| panic!("{failure}"));
            leads += report.leads;
            deliveries += report.deliveries;
            auctions += report.auctions;
        }
        assert!(leads > 60 && deliveries > leads, "{leads} leads, {deliveries} deliveries");
        let asks = policy.route.rules.iter().any(|rule| rule.strategy == Strategy::PingPost);
        assert_eq!(auctions > 5, asks, "{auctions} auctions");
    }
}

/// Plays a seed on a file, which is opened again whenever the process has died.
fn play_on_sqlite(seed: u64) -> Report {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let file = folder.path().join("fastlead.db");
    let open = || {
        let opened = runtime.block_on(SqliteStore::open(SqliteOptions::new(&file).readers(1)));
        opened.map(|store| Arc::new(store) as Arc<dyn FullStore>)
    };
    let played = Simulation::new(seed).among(written()).run_elsewhere(runtime.handle(), open);
    played.unwrap_or_else(|failure| panic!("{failure}"))
}

/// The file keeps what memory keeps: the same seed goes the same way on both, to the byte.
#[test]
fn seeds_go_the_same_way_on_sqlite() {
    let mut crashes = 0;
    for seed in 1..7 {
        let report = play_on_sqlite(seed);
        assert_eq!(report, play(seed).expect("holds"));
        crashes += report.crashes;
    }
    assert!(crashes > 0);
}

/// Cases and backtests are worth something because a replay decides as the engine does.
#[test]
fn a_replay_decides_as_the_engine_does() {
    let (mut leads, mut decisions, mut auctions, mut compared) = (0, 0, 0, 0);
    for seed in 1..101 {
        let simulation = Simulation::new(seed).among(written());
        let played = simulation.run_against_replay(Arc::new(MemoryStore::new()));
        let report = played.unwrap_or_else(|failure| panic!("{failure}"));
        leads += report.leads;
        decisions += report.decisions;
        auctions += report.auctions;
        compared += report.compared;
    }
    // Of each seed what came before a moment at which engine and replay may part.
    assert!(compared > decisions / 2, "{compared} of {decisions}");
    assert!(leads > 1_000 && auctions > 50, "{leads} leads, {auctions} auctions");
}

#[test]
fn a_seed_goes_the_same_way_again() {
    for seed in [3, 17, 44] {
        let (first, again) = (play(seed).expect("holds"), play(seed).expect("holds"));
        assert_eq!(first, again);
        assert_ne!(first.hash, play(seed + 1).expect("holds").hash);
    }
}

/// Plays seeds with one flaw until it is caught.
fn caught(flaw: &str, run: impl Fn(u64) -> Result<Report, Failure>) -> Failure {
    let failure = (1..400).find_map(|seed| run(seed).err());
    let failure = failure.unwrap_or_else(|| panic!("{flaw} was not caught"));
    // What was found is found again, at the same step.
    let again = run(failure.seed).expect_err("it was caught before");
    assert_eq!((again.step, &again.what), (failure.step, &failure.what));
    failure
}

macro_rules! flaws {
    ($($name:ident: $flaw:ident as $words:literal;)*) => {
        $(
            #[test]
            fn $name() {
                let store = || Arc::new(BrokenStore::new(Flaw::$flaw)) as Arc<dyn FullStore>;
                let failure = caught(stringify!($flaw), |seed| Simulation::new(seed).run(store()));
                let words: &[&str] = &[$words];
                assert!(words.iter().any(|words| failure.what.contains(words)), "{failure}");
            }
        )*
    };
}

flaws! {
    a_cap_that_lets_through_is_caught: ForgetsLimits as "limit";
    a_counter_that_only_grows_is_caught: KeepsWhatIsGivenBack as "counter";
    a_forgotten_timer_is_caught: ForgetsTimers as "nobody took it";
    a_timer_that_fires_again_is_caught: FiresTimersAgain as "claimed";
    a_duplicate_that_passes_is_caught: ForgetsUniqueKeys as "duplicate";
    a_forgotten_idempotency_key_is_caught: ForgetsIdempotencyKeys as "key";
    a_lost_delivery_is_caught: LosesDeliveries as "";
    work_leased_to_two_is_caught: LeasesTwice as "";
    a_forgotten_order_is_caught: ForgetsOrder as "older";
    a_decision_at_any_version_is_caught: SkipsTheVersion as "Version";
    an_event_acted_upon_twice_is_caught: ActsTwice as "acted upon";
    a_repeated_event_is_caught: RepeatsEvents as "second time";
    an_attempt_that_leaves_no_mark_is_caught: BeginsNothing as "";
    a_decision_by_chance_is_caught: TracesByChance as "made again";
    a_lead_that_is_forgotten_in_the_queue_is_caught: ForgetsWhoWaits as "wait";
    an_auction_of_another_length_is_caught: LengthensAuctions as "before its bids";
    bids_under_other_names_are_caught: TurnsBidsRound as "the bids";
    a_forgotten_bid_is_caught: ForgetsBids as "bids";
    an_auction_that_goes_on_is_caught: ReopensAuctions as "";
    lost_news_is_caught: LosesNews as "never";
    a_forgotten_cursor_is_caught: ForgetsCursors as "rest";
    a_quota_for_each_engine_is_caught: RatesForEachEngine as "account:";
    a_hold_that_others_do_not_hear_of_is_caught: ForgetsHolds as "is held";
    a_lease_for_everybody_is_caught: LeasesToAll as "the lease";
}

/// An engine that does not hear of what others publish goes on deciding by the old policy.
#[test]
fn a_publication_that_others_do_not_hear_of_is_caught() {
    let store = || Arc::new(BrokenStore::new(Flaw::PublishesInSilence)) as Arc<dyn FullStore>;
    let failure = caught("silence", |seed| Simulation::new(seed).visits(4).engines(2).run(store()));
    assert!(failure.what.contains("engine") && failure.what.contains("is published"), "{failure}");
}

/// One that does not hear of a pause asks the store for what it may not send, again and again.
#[test]
fn a_pause_that_others_do_not_hear_of_is_caught() {
    let store = || Arc::new(BrokenStore::new(Flaw::KeepsStatusToItself)) as Arc<dyn FullStore>;
    let failure = caught("silence", |seed| Simulation::new(seed).visits(1).engines(2).run(store()));
    assert!(failure.what.contains("paused") || failure.what.contains("not at rest"), "{failure}");
}

/// One that is behind, and one that is ahead.
#[test]
fn an_engine_that_goes_by_the_clock_of_its_machine_is_caught() {
    let mut caught_ahead = false;
    let mut caught_behind = false;
    for seed in 1..60 {
        let played = Simulation::new(seed).untold_time().run(Arc::new(MemoryStore::new()));
        let Err(failure) = played else { continue };
        caught_ahead |= failure.what.contains("still to come");
        caught_behind |= !failure.what.contains("still to come");
        if caught_ahead && caught_behind {
            return;
        }
    }
    panic!("nobody notices clocks that are ahead: {}, or behind: {}", !caught_ahead, !caught_behind);
}

/// Plays seeds with a decider that has one flaw until it is caught in these words.
fn bent(flaw: &str, words: &str, bend: Bend) {
    let play = |seed| Simulation::new(seed).bend(bend).run(Arc::new(MemoryStore::new()));
    let found = (1..400).find(|seed| play(*seed).is_err_and(|failure| failure.what.contains(words)));
    assert!(found.is_some(), "{flaw} was not caught");
}

/// A decider that takes no notice of the end of an auction.
fn late_bids_count(transition: &mut Transition) {
    let late = |step: &&mut TraceStep| step.rule == "auction.bid" && step.reason == Some(Reason::TooLate);
    for step in transition.trace.steps.iter_mut().filter(late) {
        (step.verdict, step.reason) = (Verdict::Passed, Some(Reason::Answered));
    }
}

#[test]
fn a_late_bid_that_counts_is_caught() {
    bent("a late bid", "too late, and it counts", late_bids_count);
}

/// A decider that offers the lead to another bidder whose bid counts, where there is one.
fn a_lower_bid_wins(transition: &mut Transition) {
    let Some(rule) = transition.state.auction.as_ref().map(|auction| auction.rule) else { return };
    let steps = &transition.trace.steps;
    let chosen = |name: &str| {
        steps.iter().any(|step| {
            step.reason == Some(Reason::ByStrategy)
                && step.rule.starts_with("route")
                && step.subject.as_deref() == Some(name)
        })
    };
    let beaten = steps.iter().filter(|step| step.reason == Some(Reason::OthersFirst));
    let beaten =
        beaten.filter(|step| step.rule.starts_with("route")).find_map(|step| step.candidates.first());
    let (Some(beaten), Some(offer)) = (beaten.cloned(), transition.state.offers.last_mut()) else { return };
    if offer.rule != Some(rule) || !chosen(&offer.target) {
        return;
    }
    let winner = std::mem::replace(&mut offer.target, beaten.clone());
    let swapped = |name: &mut String| {
        if *name == winner {
            name.clone_from(&beaten);
        } else if *name == beaten {
            name.clone_from(&winner);
        }
    };
    for step in &mut transition.trace.steps {
        step.subject.iter_mut().chain(&mut step.candidates).for_each(swapped);
    }
}

#[test]
fn a_lower_bid_that_wins_is_caught() {
    bent("a lower bid", "has bid", a_lower_bid_wins);
}

/// A decider that ends the offer to another target when somebody accepts, and forgets to give its place back.
fn an_ended_offer_keeps_its_place(transition: &mut Transition) {
    if !matches!(transition.event, Event::Responded { .. } | Event::Returned { .. }) {
        return;
    }
    let place = |offer: &&mut Offer| offer.holds.iter().any(|hold| hold.kind == HoldKind::Place);
    if let Some(offer) = transition.state.offers.iter_mut().filter(|offer| offer.waits()).find(place) {
        offer.lapsed = true;
    }
}

#[test]
fn a_place_that_nobody_can_give_back_is_caught() {
    bent("a place that leaks", "nobody can give", an_ended_offer_keeps_its_place);
}
