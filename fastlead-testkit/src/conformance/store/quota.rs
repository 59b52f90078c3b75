//! Rates and holds that several engines keep together.

use std::sync::Arc;
use std::time::Duration;

use fastlead_core::allowance::Allowance;
use fastlead_core::channel::Rate;
use fastlead_core::port::{QuotaAnswer, QuotaHold, QuotaKey, QuotaLimit, QuotaRequest};
use fastlead_core::time::{Timestamp, plus};

use super::StoreHarness;
use super::harness::FullStore;
use super::sample::{at, begin, start};
use crate::conformance::{Outcome, Verdict, Violation, ensure};

const SECOND: Rate = Rate::per_second(1);
const SCOPE: QuotaKey = QuotaKey::SCOPE;

fn key(name: &str) -> QuotaKey {
    QuotaKey::of(&[name.as_bytes()])
}

fn limit(key: QuotaKey, rate: Rate) -> QuotaLimit {
    QuotaLimit { key, allowance: Some(Allowance::within(rate)) }
}

/// Asks in the scope `a`.
async fn take(
    store: &dyn FullStore,
    limits: &[QuotaLimit],
    now: Timestamp,
) -> Result<QuotaAnswer, Violation> {
    Ok(store.take(QuotaRequest { scope: "a", limits, now }).await?)
}

/// Holds a key of the scope `a` for so many seconds.
async fn hold(store: &dyn FullStore, key: QuotaKey, secs: u64, now: Timestamp) -> Result<(), Violation> {
    Ok(store.hold(QuotaHold { scope: "a", key, delay: Duration::from_secs(secs), now }).await?)
}

const fn held(secs: u64) -> QuotaAnswer {
    QuotaAnswer::Held { left: Duration::from_secs(secs) }
}

/// Whoever asks, at whatever moments, no period holds more than the rate, and a wait is neither too long nor too short.
pub async fn no_period_holds_more_than_the_rate<H: StoreHarness>() -> Outcome {
    let (_harness, store, _) = begin::<H>().await?;
    let store = &*store;
    for (number, rate) in [SECOND, Rate::per_second(25), Rate::per_minute(20)].into_iter().enumerate() {
        let limits = [limit(key(&number.to_string()), rate)];
        let (mut now, mut passed, mut draw) = (start(), Vec::new(), 7_u64);
        for _ in 0..120 {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            now = plus(now, Duration::from_millis((draw >> 33) % (rate.per_millis / 8)));
            match take(store, &limits, now).await? {
                QuotaAnswer::Granted => passed.push(now),
                QuotaAnswer::Wait { left } => {
                    ensure!(
                        !left.is_zero() && left <= Duration::from_millis(rate.per_millis),
                        "{rate:?} is back in {left:?}"
                    );
                    let early = plus(now, left.saturating_sub(Duration::from_millis(2)));
                    if early > now {
                        let answer = take(store, &limits, early).await?;
                        ensure!(
                            answer != QuotaAnswer::Granted,
                            "told to wait for {left:?}, and somebody passes before"
                        );
                    }
                    now = plus(now, left);
                    let answer = take(store, &limits, now).await?;
                    ensure!(
                        answer == QuotaAnswer::Granted,
                        "waited for {left:?} as told, and is told {answer:?}"
                    );
                    passed.push(now);
                }
                answer @ QuotaAnswer::Held { .. } => {
                    return Err(Violation::new(format!("nobody is held, and the answer is {answer:?}")));
                }
            }
        }
        for (first, from) in passed.iter().enumerate() {
            let end = plus(*from, Duration::from_millis(rate.per_millis));
            let count = passed[first..].iter().take_while(|at| **at < end).count();
            ensure!(count <= rate.permits as usize, "{count} pass in one period of {rate:?}");
        }
    }
    Ok(Verdict::Held)
}

/// A recipient that must wait costs the account nothing, and an account that must wait costs the recipient nothing.
pub async fn permits_are_taken_together_or_not_at_all<H: StoreHarness>() -> Outcome {
    let (_harness, store, _) = begin::<H>().await?;
    let store = &*store;
    // Two at once are the burst of ten a second.
    let limits = |name: &str| [limit(SCOPE, Rate::per_second(10)), limit(key(name), SECOND)];
    let now = start();
    ensure!(take(store, &limits("a"), now).await? == QuotaAnswer::Granted, "the first is refused");
    for _ in 0..20 {
        let again = take(store, &limits("a"), now).await?;
        ensure!(
            again == QuotaAnswer::Wait { left: Duration::from_secs(1) },
            "the same recipient at once: {again:?}"
        );
    }
    let other = take(store, &limits("b"), now).await?;
    ensure!(other == QuotaAnswer::Granted, "a recipient that had to wait has cost the account: {other:?}");
    let QuotaAnswer::Wait { left } = take(store, &limits("c"), now).await? else {
        return Err(Violation::new("the account has no rate"));
    };
    let third = take(store, &limits("c"), plus(now, left)).await?;
    ensure!(third == QuotaAnswer::Granted, "an account that had to wait has cost the recipient: {third:?}");
    Ok(Verdict::Held)
}

/// Sixty-four engines ask at the same moment: as many pass as there are permits.
pub async fn of_concurrent_takers_as_many_pass_as_there_are_permits<H: StoreHarness>() -> Outcome {
    let (_harness, store, _) = begin::<H>().await?;
    for round in 0..5_u64 {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..64 {
            let store = Arc::clone(&store);
            let limits = [limit(SCOPE, Rate::per_minute(100))];
            tasks.spawn(async move { take(&*store, &limits, at(round * 600)).await });
        }
        let mut granted = 0;
        for answer in tasks.join_all().await {
            granted += usize::from(answer? == QuotaAnswer::Granted);
        }
        ensure!(granted == 11, "of 64 at once {granted} pass, and the burst of the rate is 11");
    }
    Ok(Verdict::Held)
}

/// Another scope and another key of the same scope have permits of their own.
pub async fn scopes_and_keys_have_permits_of_their_own<H: StoreHarness>() -> Outcome {
    let (_harness, store, _) = begin::<H>().await?;
    let store = &*store;
    for scope in ["a", "b"] {
        for key in [key("a"), key("b"), SCOPE] {
            let limits = [limit(key, SECOND)];
            let request = QuotaRequest { scope, limits: &limits, now: start() };
            let first = store.take(request).await?;
            ensure!(first == QuotaAnswer::Granted, "somebody else's permit is missed here: {first:?}");
            let second = store.take(request).await?;
            ensure!(second != QuotaAnswer::Granted, "one a second, and two pass at once");
        }
    }
    let free = take(store, &[QuotaLimit { key: key("a"), allowance: None }], start()).await?;
    ensure!(free == QuotaAnswer::Granted, "whoever has no rate is refused: {free:?}");
    Ok(Verdict::Held)
}

/// Nobody goes to a key that is held until its delay is over, however often others are refused; others go on.
pub async fn a_hold_lasts_as_long_as_was_asked<H: StoreHarness>() -> Outcome {
    let (_harness, store, _) = begin::<H>().await?;
    let store = &*store;
    let free = |name: &str| [QuotaLimit { key: key(name), allowance: None }];
    hold(store, key("a"), 40, at(0)).await?;
    hold(store, key("a"), 5, at(1)).await?;
    for (second, answer) in [(1, held(39)), (10, held(30)), (39, held(1)), (40, QuotaAnswer::Granted)] {
        let found = take(store, &free("a"), at(second)).await?;
        ensure!(found == answer, "held for 40 s, and at {second} s the answer is {found:?}");
        let other = take(store, &free("b"), at(second)).await?;
        ensure!(other == QuotaAnswer::Granted, "another recipient is held as well: {other:?}");
    }
    // What was held has cost no permit.
    hold(store, key("c"), 10, at(100)).await?;
    let rated = [limit(key("c"), Rate::per_minute(1))];
    let found = take(store, &rated, at(105)).await?;
    ensure!(found == held(5), "held for 10 s, and at 5 s the answer is {found:?}");
    let found = take(store, &rated, at(110)).await?;
    ensure!(found == QuotaAnswer::Granted, "a permit was taken by whoever was held: {found:?}");
    // The account as a whole, and nobody else's.
    hold(store, SCOPE, 10, at(200)).await?;
    let found = take(store, &free("d"), at(200)).await?;
    ensure!(found == held(10), "the account is held, and a recipient is told {found:?}");
    let elsewhere = QuotaRequest { scope: "b", limits: &free("d"), now: at(200) };
    let found = store.take(elsewhere).await?;
    ensure!(found == QuotaAnswer::Granted, "another account is held as well: {found:?}");
    Ok(Verdict::Held)
}

/// A second recipient that is refused means the account; once that is over, the next one means itself again.
pub async fn two_that_are_held_mean_the_account<H: StoreHarness>() -> Outcome {
    let (_harness, store, _) = begin::<H>().await?;
    let store = &*store;
    let free = |name: &str| [QuotaLimit { key: key(name), allowance: None }];
    hold(store, key("a"), 40, at(0)).await?;
    hold(store, key("b"), 10, at(0)).await?;
    for name in ["a", "b", "c"] {
        let found = take(store, &free(name), at(1)).await?;
        ensure!(found == held(39), "two recipients are refused, and `{name}` is told {found:?}");
    }
    hold(store, key("b"), 10, at(60)).await?;
    let found = (take(store, &free("b"), at(60)).await?, take(store, &free("c"), at(60)).await?);
    ensure!(
        found == (held(10), QuotaAnswer::Granted),
        "one recipient is refused, and two are told {found:?}"
    );
    Ok(Verdict::Held)
}

/// Engines whose clocks differ by half a minute get no more permits than one alone.
pub async fn a_clock_that_goes_back_makes_no_permits<H: StoreHarness>() -> Outcome {
    let (_harness, store, _) = begin::<H>().await?;
    let store = &*store;
    let limits = [limit(SCOPE, SECOND)];
    let mut granted = 0;
    for quarter in 0..160_u64 {
        for behind in [30, 0, 29] {
            let now = plus(at(30 - behind), Duration::from_millis(quarter * 250));
            granted += u64::from(take(store, &limits, now).await? == QuotaAnswer::Granted);
        }
    }
    // In 40 s; the first one may be of an engine that is behind.
    ensure!(granted <= 41, "one a second, and {granted} pass in 40 s by clocks that differ");
    Ok(Verdict::Held)
}

/// Nobody waits for moments that will not come: what was taken by a clock that was wrong is forgotten.
pub async fn a_clock_that_was_set_back_blocks_nobody<H: StoreHarness>() -> Outcome {
    let (_harness, store, _) = begin::<H>().await?;
    let store = &*store;
    let limits = [limit(key("a"), SECOND)];
    let first = take(store, &limits, at(200_000)).await?;
    ensure!(first == QuotaAnswer::Granted, "the first is refused: {first:?}");
    hold(store, key("b"), 10, at(200_000)).await?;
    let again = take(store, &limits, at(0)).await?;
    ensure!(again == QuotaAnswer::Granted, "the clock was set back by two days, and the answer is {again:?}");
    let at_once = take(store, &limits, at(0)).await?;
    ensure!(
        at_once == QuotaAnswer::Wait { left: Duration::from_secs(1) },
        "after the clock was set back the rate is not kept: {at_once:?}"
    );
    let other = take(store, &[limit(key("b"), SECOND)], at(0)).await?;
    ensure!(other == QuotaAnswer::Granted, "held by a clock that was wrong: {other:?}");
    Ok(Verdict::Held)
}
