//! FastLead testkit.

pub mod conformance;
pub mod memory;
pub mod policy;
pub mod sim;
pub mod simulation;
