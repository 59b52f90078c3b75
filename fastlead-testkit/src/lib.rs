#![doc = include_str!("../README.md")]

pub mod conformance;
pub mod memory;
pub mod policy;
pub mod sim;
pub mod simulation;
