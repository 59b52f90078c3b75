//! The circuit breaker as a state machine: it is told the time, and neither waits nor locks.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::time::{Timestamp, plus};

/// How long to wait while the probes of a half-open breaker are still under way.
const PROBE_PAUSE: Duration = Duration::from_secs(1);

/// When a channel account counts as down, and for how long it is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerPolicy {
    /// How many of the latest attempts are looked at. Default 20.
    pub sample: NonZeroU32,
    /// Attempts older than this are not looked at, in seconds. Default 60.
    pub window_secs: NonZeroU32,
    /// With fewer attempts than this nothing is decided. At most `sample`. Default 5.
    pub min_requests: NonZeroU32,
    /// The share of failures that opens the breaker, in per cent, 1 to 100. Default 50.
    pub failure_percent: u8,
    /// How long nothing is sent after that, in seconds. Default 30.
    pub open_secs: NonZeroU32,
    /// How many attempts the provider must then answer before all is well. Default 1.
    pub half_open_probes: NonZeroU32,
}

const fn nonzero(value: u32) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(value - 1)
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            sample: nonzero(20),
            window_secs: nonzero(60),
            min_requests: nonzero(5),
            failure_percent: 50,
            open_secs: nonzero(30),
            half_open_probes: nonzero(1),
        }
    }
}

/// What a breaker shows to the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum BreakerState {
    /// Everything goes through.
    Closed,
    /// Nothing goes through.
    Open {
        /// When the next attempt is let through.
        until: Timestamp,
    },
    /// A few attempts are let through to see whether the provider is back.
    HalfOpen,
}

/// What an attempt says about the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It answered, be it with a refusal.
    Up,
    /// It did not answer, or not as itself.
    Down,
    /// Nothing: the attempt was held back on our side or given up.
    Silent,
}

impl Verdict {
    /// What the outcome of an attempt says.
    pub const fn of<T>(outcome: &Result<T, Error>) -> Self {
        let kind = match outcome {
            Ok(_) => return Self::Up,
            Err(error) => error.kind(),
        };
        match kind {
            ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Protocol => Self::Down,
            ErrorKind::Auth
            | ErrorKind::Balance
            | ErrorKind::Recipient
            | ErrorKind::Content
            | ErrorKind::NotFound
            | ErrorKind::Conflict => Self::Up,
            _ => Self::Silent,
        }
    }
}

/// Leave to make one attempt. It is worth nothing once the breaker has changed its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u64);

/// The machine. [`Breaker::admit`] before an attempt, [`Breaker::settle`] after it.
#[derive(Debug)]
pub struct Breaker {
    policy: BreakerPolicy,
    phase: Phase,
    generation: u64,
}

#[derive(Debug)]
enum Phase {
    Closed(VecDeque<(Timestamp, Verdict)>),
    Open { since: Timestamp },
    HalfOpen { under_way: u32, passed: u32 },
}

impl Breaker {
    /// A closed breaker.
    pub const fn new(policy: BreakerPolicy) -> Self {
        Self { policy, phase: Phase::Closed(VecDeque::new()), generation: 0 }
    }

    /// What it shows at `now`.
    pub fn state(&self, now: Timestamp) -> BreakerState {
        match &self.phase {
            Phase::Closed(_) => BreakerState::Closed,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
            Phase::Open { since } => match self.open_left(*since, now) {
                None => BreakerState::HalfOpen,
                Some(left) => BreakerState::Open { until: plus(now, left) },
            },
        }
    }

    /// Leave for one attempt, or how long to wait before asking again.
    ///
    /// # Errors
    /// The time that the breaker stays open, or a second while its probes are under way.
    pub fn admit(&mut self, now: Timestamp) -> Result<Ticket, Duration> {
        if let Phase::Open { since } = self.phase {
            if let Some(left) = self.open_left(since, now) {
                return Err(left);
            }
            self.enter(Phase::HalfOpen { under_way: 0, passed: 0 });
        }
        if let Phase::HalfOpen { under_way, passed } = &mut self.phase {
            if *under_way + *passed >= self.policy.half_open_probes.get() {
                return Err(PROBE_PAUSE);
            }
            *under_way += 1;
        }
        Ok(Ticket(self.generation))
    }

    /// Takes note of how an attempt went. Attempts from before the last change of state are ignored.
    pub fn settle(&mut self, ticket: Ticket, verdict: Verdict, now: Timestamp) {
        if ticket.0 != self.generation {
            return;
        }
        match &mut self.phase {
            Phase::Open { .. } => {}
            Phase::HalfOpen { under_way, passed } => {
                *under_way = under_way.saturating_sub(1);
                match verdict {
                    Verdict::Silent => {}
                    Verdict::Down => self.enter(Phase::Open { since: now }),
                    Verdict::Up => {
                        *passed += 1;
                        if *passed >= self.policy.half_open_probes.get() {
                            self.enter(Phase::Closed(VecDeque::new()));
                        }
                    }
                }
            }
            Phase::Closed(recent) => {
                if verdict == Verdict::Silent {
                    return;
                }
                recent.push_back((now, verdict));
                let window = TimeDelta::seconds(i64::from(self.policy.window_secs.get()));
                let sample = usize::try_from(self.policy.sample.get()).unwrap_or(usize::MAX);
                while recent.len() > sample || recent.front().is_some_and(|(at, _)| now - *at > window) {
                    recent.pop_front();
                }
                let total = recent.len();
                let down = recent.iter().filter(|(_, verdict)| *verdict == Verdict::Down).count();
                let enough = usize::try_from(self.policy.min_requests.get()).unwrap_or(usize::MAX);
                if total >= enough && down * 100 >= total * usize::from(self.policy.failure_percent) {
                    self.enter(Phase::Open { since: now });
                }
            }
        }
    }

    /// How much longer a breaker opened at `since` stays open; `None` when the time has come. A
    /// clock that was set back does not keep it open.
    fn open_left(&self, since: Timestamp, now: Timestamp) -> Option<Duration> {
        let open = Duration::from_secs(u64::from(self.policy.open_secs.get()));
        let passed = (now - since).to_std().ok()?;
        open.checked_sub(passed).filter(|left| !left.is_zero())
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{epoch, plus_seconds};

    fn at(seconds: u64) -> Timestamp {
        plus_seconds(epoch(), seconds)
    }

    fn breaker() -> Breaker {
        Breaker::new(BreakerPolicy {
            sample: nonzero(4),
            window_secs: nonzero(60),
            min_requests: nonzero(3),
            failure_percent: 50,
            open_secs: nonzero(30),
            half_open_probes: nonzero(2),
        })
    }

    fn feed(breaker: &mut Breaker, second: u64, verdicts: &[Verdict]) {
        for verdict in verdicts {
            let ticket = breaker.admit(at(second)).expect("closed");
            breaker.settle(ticket, *verdict, at(second));
        }
    }

    use Verdict::{Down, Silent, Up};

    fn opened() -> Breaker {
        let mut breaker = breaker();
        feed(&mut breaker, 0, &[Down, Down, Down]);
        breaker
    }

    #[test]
    fn opens_at_the_share_and_not_before_enough_was_seen() {
        for (verdicts, open) in [
            (&[Down, Down][..], false),
            (&[Down, Down, Down], true),
            (&[Up, Up, Down], false),
            (&[Up, Down, Down], true),
            (&[Up, Up, Up, Up, Down], false),
            (&[Up, Up, Up, Up, Down, Down], true),
            (&[Down, Down, Silent, Silent], false),
        ] {
            let mut breaker = breaker();
            feed(&mut breaker, 0, verdicts);
            let expected = if open { BreakerState::Open { until: at(30) } } else { BreakerState::Closed };
            assert_eq!(breaker.state(at(0)), expected, "{verdicts:?}");
        }
    }

    #[test]
    fn old_failures_are_forgotten() {
        let mut breaker = breaker();
        feed(&mut breaker, 0, &[Down, Down]);
        feed(&mut breaker, 61, &[Down]);
        assert_eq!(breaker.state(at(61)), BreakerState::Closed);
    }

    #[test]
    fn an_open_breaker_says_how_long_and_then_lets_probes_through() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(at(10)), Err(Duration::from_secs(20)));
        assert_eq!(breaker.state(at(30)), BreakerState::HalfOpen);
        let first = breaker.admit(at(30)).unwrap();
        let second = breaker.admit(at(30)).unwrap();
        assert_eq!(breaker.admit(at(30)), Err(PROBE_PAUSE));
        breaker.settle(first, Up, at(31));
        assert_eq!(breaker.state(at(31)), BreakerState::HalfOpen);
        breaker.settle(second, Up, at(31));
        assert_eq!(breaker.state(at(31)), BreakerState::Closed);
    }

    #[test]
    fn a_failed_probe_opens_it_again_for_the_whole_time() {
        let mut breaker = opened();
        let probe = breaker.admit(at(40)).unwrap();
        breaker.settle(probe, Down, at(45));
        assert_eq!(breaker.state(at(45)), BreakerState::Open { until: at(75) });
    }

    #[test]
    fn a_probe_that_says_nothing_makes_room_for_another() {
        let mut breaker = opened();
        let tickets = [breaker.admit(at(30)).unwrap(), breaker.admit(at(30)).unwrap()];
        breaker.settle(tickets[0], Silent, at(30));
        assert!(breaker.admit(at(30)).is_ok());
    }

    #[test]
    fn late_results_of_an_earlier_state_do_not_count() {
        let mut breaker = breaker();
        let slow = breaker.admit(at(0)).unwrap();
        feed(&mut breaker, 0, &[Down, Down, Down]);
        let probe = breaker.admit(at(30)).unwrap();
        breaker.settle(slow, Down, at(30));
        assert_eq!(breaker.state(at(30)), BreakerState::HalfOpen);
        breaker.settle(probe, Up, at(30));
        breaker.settle(slow, Up, at(30));
        assert_eq!(breaker.state(at(30)), BreakerState::HalfOpen);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_it_open() {
        let mut breaker = breaker();
        feed(&mut breaker, 3_600, &[Down, Down, Down]);
        assert!(breaker.admit(at(0)).is_ok());
    }

    #[test]
    fn only_silence_and_nonsense_of_the_provider_count_against_it() {
        let verdict = |kind| Verdict::of::<()>(&Err(Error::new(kind, "")));
        for kind in [ErrorKind::Unavailable, ErrorKind::Timeout, ErrorKind::Protocol] {
            assert_eq!(verdict(kind), Down, "{kind}");
        }
        for kind in [ErrorKind::Recipient, ErrorKind::Content, ErrorKind::Auth, ErrorKind::Balance] {
            assert_eq!(verdict(kind), Up, "{kind}");
        }
        for kind in [ErrorKind::RateLimited, ErrorKind::Paused, ErrorKind::Unsupported, ErrorKind::Internal] {
            assert_eq!(verdict(kind), Silent, "{kind}");
        }
        assert_eq!(Verdict::of(&Ok(())), Up);
    }
}
