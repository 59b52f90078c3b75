//! What parent and child say to each other: one JSON document a line, a command and its answer.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The key of the source to which leads are sent.
pub(crate) const SOURCE: &str = "bench";
/// The name of the channel to which the policy sends.
pub(crate) const CHANNEL: &str = "sink";
/// The password of the administrator that a new file gets; nobody signs in.
pub(crate) const PASSWORD: &str = "bench-password";

/// What a child is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Part {
    /// The server.
    Server,
    /// axum that parses the same body and answers, without a store.
    Echo,
    /// A socket that answers every request with the same bytes, unread.
    Responder,
}

/// How a child is set up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Spec {
    /// What it is.
    pub(crate) part: Part,
    /// Where its files are.
    pub(crate) folder: PathBuf,
    /// How long the sink takes for a message, in milliseconds.
    pub(crate) latency_millis: u64,
    /// How many deliveries a lead makes: 1 tells the manager, 2 answers the visitor too.
    pub(crate) deliveries: u64,
    /// Whether the sink keeps the moment of each send.
    pub(crate) moments: bool,
    /// Whether the file is told of a stored channel, so that the real program finds one when it is
    /// started on it.
    pub(crate) stored_channel: bool,
}

impl Spec {
    /// A child in `folder`, with a sink that answers at once and one delivery a lead.
    pub(crate) fn new(part: Part, folder: impl Into<PathBuf>) -> Self {
        Self {
            part,
            folder: folder.into(),
            latency_millis: 0,
            deliveries: 1,
            moments: false,
            stored_channel: false,
        }
    }
}

/// What a child says first.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Started {
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

/// What a parent asks.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum Command {
    /// Nothing is sent from now on.
    Pause,
    /// What waits is sent.
    Resume,
    /// Answer when so many sends have been made and every outcome is recorded.
    Drain {
        /// How many in all.
        sends: u64,
    },
    /// Answer with the counts, now.
    Counts,
    /// Answer with the moments of the sends.
    Moments,
    /// Stop serving, close the file, end.
    Stop,
}

/// What a child answers.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// How many sends the sink has seen.
    pub(crate) sends: u64,
    /// How many deliveries are pending or being sent.
    pub(crate) open: u64,
    /// The visitor's number and the moment, in nanoseconds since the Unix epoch.
    pub(crate) moments: Vec<(u64, u64)>,
}
