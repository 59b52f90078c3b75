//! What a whole suite has found, and what a harness leaves out of it.

use std::fmt;

use super::{Outcome, Verdict, Violation};

/// Checks that do not apply to an implementation, and the reason. Whatever else does not apply fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftOut {
    /// Why, in words that a reviewer can judge.
    pub reason: &'static str,
    /// Names of the checks, as the tests are called.
    pub checks: &'static [&'static str],
}

impl LeftOut {
    /// Leaves out these checks for this reason.
    pub const fn new(reason: &'static str, checks: &'static [&'static str]) -> Self {
        Self { reason, checks }
    }
}

/// Compares what a check has found with what the harness leaves out.
///
/// # Errors
/// The check's own violation; that it does not apply and is not left out; that it is left out and applies.
pub(super) fn judge(name: &'static str, outcome: Outcome, left_out: &[LeftOut]) -> Outcome {
    let reason = left_out.iter().find(|entry| entry.checks.contains(&name)).map(|entry| entry.reason);
    match (outcome?, reason) {
        (Verdict::NotApplicable(_), Some(reason)) => Ok(Verdict::LeftOut(reason)),
        (Verdict::NotApplicable(what), None) => Err(Violation::new(format!(
            "not applicable ({what}), and the harness does not say so: make it apply, or name `{name}` in `left_out` \
             with the reason"
        ))),
        (Verdict::Held | Verdict::LeftOut(_), Some(_)) => {
            Err(Violation::new(format!("it applies and holds: take `{name}` off `left_out`")))
        }
        (verdict, None) => Ok(verdict),
    }
}

/// What every check of a suite has found, in the order of the suite. It prints as one line for each check that was left
/// out or failed, and a line of counts: `47 held, 3 left out, 0 failed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Names of the checks, and what they found.
    pub outcomes: Vec<(&'static str, Outcome)>,
}

impl Report {
    /// Returns how many checks saw the behaviour.
    pub fn held(&self) -> usize {
        self.count(|outcome| matches!(outcome, Ok(Verdict::Held)))
    }

    /// Returns how many checks the harness leaves out, with a reason.
    pub fn left_out(&self) -> usize {
        self.count(|outcome| matches!(outcome, Ok(Verdict::LeftOut(_) | Verdict::NotApplicable(_))))
    }

    /// Returns how many checks were broken.
    pub fn failed(&self) -> usize {
        self.count(Result::is_err)
    }

    fn count(&self, which: impl Fn(&Outcome) -> bool) -> usize {
        self.outcomes.iter().filter(|(_, outcome)| which(outcome)).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, outcome) in &self.outcomes {
            match outcome {
                Ok(Verdict::Held) => {}
                Ok(Verdict::LeftOut(reason) | Verdict::NotApplicable(reason)) => {
                    writeln!(f, "left out: {name}: {reason}")?;
                }
                Err(violation) => writeln!(f, "failed:   {name}: {violation}")?,
            }
        }
        write!(f, "{} held, {} left out, {} failed", self.held(), self.left_out(), self.failed())
    }
}
