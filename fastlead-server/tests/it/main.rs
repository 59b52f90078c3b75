//! Integration tests of the server: the real program on a free port, with simulated providers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod access;
mod addresses;
mod api;
mod at_risk;
mod browser;
mod capture;
mod confirm;
mod consents;
mod desk;
mod doors;
mod drain;
mod ended;
mod erasure;
mod forms;
mod history;
mod keys;
mod kill;
mod logs;
mod one_server;
mod operator;
mod outer;
mod people;
mod policy;
mod program;
mod registration;
mod rendered;
mod retention;
mod search;
mod secrecy;
mod session;
mod touch;
mod trouble;
mod unconfigured;
mod unreadable;
mod widget;
