//! Policies as files: reading them with the line of each fault, and trying them on written-down cases.
//!
//! A case says what happens and what is expected of the policy, step by step:
//!
//! ```yaml
//! policy: clinic.yaml        # default: the name of this file without `.cases`
//! cases:
//!   - name: the night shift takes what comes at night
//!     steps:
//!       - at: 2026-11-25 23:30          # local time of the policy, or RFC 3339
//!         capture: {phone: "+7 900 000-00-01", source: site}
//!         expect: {decision: accepted, told: [nina], reasons: {anna: off_hours}}
//!       - after: 5m
//!         accept: nina
//!         expect: {owner: nina, timers: {}}
//! ```
//!
//! A policy is tried by [`fastlead_core::replay::Replay`]: the same decisions as in the engine, on a clock
//! that the case moves, without a store or a channel.

mod case;
mod document;
mod expect;
mod run;

pub use document::{Document, LocatedFault};
pub use fastlead_core::duration::{in_words, parse_duration};
pub use run::{CaseOutcome, read_policies, read_policy, run_cases, run_folder};
