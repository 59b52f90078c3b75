//! FastLead testkit.

pub mod sim;
