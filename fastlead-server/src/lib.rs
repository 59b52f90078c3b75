#![doc = include_str!("../README.md")]

mod address;
pub mod app;
pub mod auth;
mod body;
pub mod bootstrap;
mod capture;
pub mod channels;
mod client;
mod confirm;
mod console;
mod doors;
mod form;
mod health;
mod json;
pub mod keys;
mod keyset;
pub mod limits;
mod live;
pub mod logs;
pub mod openapi;
mod operator;
mod outer;
mod pages;
mod permissions;
mod policies;
pub mod problem;
pub mod registration;
mod retention;
pub mod seal;
pub mod server;
pub mod settings;
mod signal;
mod touch;
mod widget;
mod words;

pub mod cli;
pub mod demo;

pub use fastlead_channels::egress::Egress;
pub use fastlead_channels::guarded::{GuardedAdapter, GuardedRegistry};
pub use pages::refuse_huge_pages;
pub use server::{Server, ServerBuilder};
pub use settings::Settings;
