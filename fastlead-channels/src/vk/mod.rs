#![doc = include_str!("docs.md")]

mod adapter;
mod client;
mod config;
mod error;
mod inbound;
mod keyboard;
mod lead_form;
mod registration;
mod webhook;
mod wire;

pub use adapter::{Vk, VkAdapter};
pub use config::VkConfig;
pub use lead_form::{LeadForm, LeadFormAnswer};
