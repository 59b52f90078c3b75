//! Which of the candidates a strategy chooses. Pure: candidates in, places out.

use super::candidate::Candidate;
use crate::policy::{CatchUp, Strategy};
use crate::schedule::Zone;
use crate::time::Timestamp;

/// What is counted when a candidate is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Marks {
    /// By how much its turn goes up, so that it is last.
    pub turn: Option<i64>,
    /// By how much its share goes up before this lead is counted.
    pub share: Option<i64>,
}

/// The window of `weighted`: when it began, where days begin, and what becomes of what was missed in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub start: Timestamp,
    pub zone: Zone,
    pub catch_up: CatchUp,
}

/// The places, among `candidates`, of those that are chosen; none where none can be.
pub(super) fn choose(strategy: Strategy, candidates: &[Candidate<'_>], window: Window) -> Vec<usize> {
    let free = || candidates.iter().enumerate().filter(|(_, candidate)| candidate.out.is_none());
    match strategy {
        Strategy::Broadcast | Strategy::PingPost => free().map(|(place, _)| place).collect(),
        Strategy::Waterfall => free().map(|(place, _)| place).take(1).collect(),
        Strategy::RoundRobin => free()
            .min_by_key(|(place, candidate)| (candidate.facts.turn, *place))
            .map(|(place, _)| place)
            .into_iter()
            .collect(),
        Strategy::Weighted => weighted(candidates, window).into_iter().collect(),
    }
}

/// The place of the candidate that is furthest below its part.
fn weighted(candidates: &[Candidate<'_>], window: Window) -> Option<usize> {
    let levels = levels(candidates, window);
    let others_turn = window.catch_up == CatchUp::Slow && is_turn_of_others(candidates, &levels);
    // Of those who can be chosen now: what somebody else is behind changes nobody's part.
    let able = || {
        let free = (0..candidates.len()).filter(|place| candidates[*place].out.is_none());
        free.filter(|place| !(others_turn && is_behind(candidates, &levels, *place)))
    };
    let leads: i128 = able().map(|place| i128::from(levels[place])).sum();
    let weights: i128 = able().map(|place| weight(&candidates[place])).sum();
    // How far each would be below its part of all leads, this one included, times all weights.
    let distance =
        |place: usize| weight(&candidates[place]) * (leads + 1) - i128::from(levels[place]) * weights;
    able().max_by_key(|place| (distance(*place), std::cmp::Reverse(*place)))
}

/// What is counted when the candidate at `place` is chosen.
pub(super) fn marks(strategy: Strategy, candidates: &[Candidate<'_>], place: usize, window: Window) -> Marks {
    match strategy {
        Strategy::RoundRobin => {
            let last = candidates.iter().map(|candidate| candidate.facts.turn).max().unwrap_or(0);
            Marks { turn: Some(last - candidates[place].facts.turn + 1), share: None }
        }
        Strategy::Weighted => {
            let start = levels(candidates, window)[place] - candidates[place].facts.share.unwrap_or(0);
            Marks { turn: None, share: Some(start) }
        }
        Strategy::Broadcast | Strategy::Waterfall | Strategy::PingPost => Marks::default(),
    }
}

fn weight(candidate: &Candidate<'_>) -> i128 {
    i128::from(candidate.target.weight.unwrap_or(1))
}

/// The places of those who have missed leads: further behind another than by taking turns.
pub(super) fn behind(candidates: &[Candidate<'_>], window: Window) -> Vec<usize> {
    let levels = joined_levels(candidates, window);
    (0..candidates.len()).filter(|place| is_behind(candidates, &levels, *place)).collect()
}

/// The least level that a candidate can have where all who can be chosen now always could: a lead less than its part of
/// what another had before its last lead.
fn least_level(candidates: &[Candidate<'_>], levels: &[i64], place: usize) -> Option<i64> {
    let takes = |other: &usize| candidates[*other].out.is_none() && weight(&candidates[*other]) > 0;
    let own = Some(place).filter(takes).map(|place| weight(&candidates[place]))?;
    let others = (0..candidates.len()).filter(|other| *other != place).filter(takes);
    let part = |other: usize| {
        ((i128::from(levels[other]) - 1).max(0) * own).div_euclid(weight(&candidates[other])) - 1
    };
    others.map(part).max().and_then(|level| i64::try_from(level).ok())
}

fn is_behind(candidates: &[Candidate<'_>], levels: &[i64], place: usize) -> bool {
    least_level(candidates, levels, place).is_some_and(|least| levels[place] < least)
}

/// Whether the next lead is one of the half that the others keep, while somebody is behind.
fn is_turn_of_others(candidates: &[Candidate<'_>], levels: &[i64]) -> bool {
    let (mut all, mut others, mut leads) = (0, 0, 0);
    for (place, candidate) in candidates.iter().enumerate().filter(|(_, one)| one.out.is_none()) {
        all += weight(candidate);
        leads += i128::from(levels[place]);
        if !is_behind(candidates, levels, place) {
            others += weight(candidate);
        }
    }
    all > 0 && (leads + 1) * others / (2 * all) > leads * others / (2 * all)
}

/// How many leads each counts as having had in the window. Where what was missed is not made up for, nobody is behind
/// the others.
fn levels(candidates: &[Candidate<'_>], window: Window) -> Vec<i64> {
    let levels = joined_levels(candidates, window);
    if window.catch_up == CatchUp::Slow {
        return levels;
    }
    let level = |place: usize| {
        let least = least_level(candidates, &levels, place);
        least.map_or(levels[place], |least| least.max(levels[place]))
    };
    (0..candidates.len()).map(level).collect()
}

/// How many leads each has had in the window. A newcomer without any counts as if it had had as many,
/// by its weight, as the least served of those who were there before it.
fn joined_levels(candidates: &[Candidate<'_>], window: Window) -> Vec<i64> {
    let mut levels: Vec<i64> =
        candidates.iter().map(|candidate| candidate.facts.share.unwrap_or(0)).collect();
    let joined = |place: usize| {
        candidates[place].target.member_since.filter(|date| window.zone.day_start(*date) > window.start)
    };
    let newcomer = |place: &usize| {
        candidates[*place].target.member_since.is_some()
            && candidates[*place].facts.share.is_none()
            && weight(&candidates[*place]) > 0
            && joined(*place).is_some()
    };
    let mut newcomers: Vec<usize> = (0..candidates.len()).filter(newcomer).collect();
    newcomers.sort_by_key(|place| (joined(*place), *place));
    for place in newcomers {
        let own = weight(&candidates[place]);
        let before = (0..candidates.len())
            .filter(|other| joined(*other) < joined(place) && weight(&candidates[*other]) > 0);
        let least = before.map(|other| i128::from(levels[other]) * own / weight(&candidates[other])).min();
        levels[place] = least.and_then(|level| i64::try_from(level).ok()).unwrap_or(0);
    }
    levels
}
