//! Which of the candidates a strategy chooses. Pure: candidates in, places out.

use super::candidate::Candidate;
use crate::policy::Strategy;
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

/// The window of `weighted`: when it began, and where days begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub start: Timestamp,
    pub zone: Zone,
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
        Strategy::Weighted => {
            let levels = levels(candidates, window);
            let leads: i128 = levels.iter().map(|level| i128::from(*level)).sum();
            let weights: i128 = candidates.iter().map(weight).sum();
            // How far each would be below its part of all leads, this one included, times all weights.
            let distance =
                |place: usize| weight(&candidates[place]) * (leads + 1) - i128::from(levels[place]) * weights;
            free()
                .max_by_key(|(place, _)| (distance(*place), std::cmp::Reverse(*place)))
                .map(|(place, _)| place)
                .into_iter()
                .collect()
        }
    }
}

/// What is counted when the candidate at `place` is chosen.
pub(super) fn marks(strategy: Strategy, candidates: &[Candidate<'_>], place: usize, window: Window) -> Marks {
    match strategy {
        Strategy::RoundRobin => {
            let last = candidates.iter().map(|candidate| candidate.facts.turn).max().unwrap_or(0);
            Marks { turn: Some(last - candidates[place].facts.turn + 1), share: None }
        }
        Strategy::Weighted => {
            let start = match candidates[place].facts.share {
                Some(_) => 0,
                None => levels(candidates, window)[place],
            };
            Marks { turn: None, share: Some(start) }
        }
        Strategy::Broadcast | Strategy::Waterfall | Strategy::PingPost => Marks::default(),
    }
}

fn weight(candidate: &Candidate<'_>) -> i128 {
    i128::from(candidate.target.weight.unwrap_or(1))
}

/// How many leads each has had in the window. A newcomer without any counts as if it had had as many,
/// by its weight, as the least served of those who were there before it.
fn levels(candidates: &[Candidate<'_>], window: Window) -> Vec<i64> {
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
