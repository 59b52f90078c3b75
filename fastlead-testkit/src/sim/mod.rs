//! Offline simulators of providers, built from the providers' documentation and not from our
//! adapters, so that the two can disagree.

mod door;
mod fault;
mod inbox;
pub mod max;
mod page;
mod played;
mod post;
pub mod postal;
mod serve;
pub mod smsc;
pub mod smtp;
pub mod tbank;
pub mod telegram;
mod tls;
pub mod vk;
pub mod webhook;
pub mod whatsapp;
pub mod yookassa;

pub use door::Door;
pub use fault::{Fault, Faults};
pub use inbox::{Arrival, ArrivedButton, Inbox};
pub use played::hang_up;
pub use serve::SimServer;
pub use tls::SimTls;
