//! The listener and what its sessions share.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

use super::SmtpSecurity;
use super::fault::{SmtpAction, SmtpFault, SmtpPhase};
use super::session::Session;
use super::wire::Wire;
use crate::sim::door::{Connection, Gate};
use crate::sim::{Door, Faults, Inbox, SimTls};

/// More sessions at once than this are turned away, as real servers do.
const MAX_SESSIONS: usize = 64;
/// How many command lines are remembered.
const MAX_COMMANDS: usize = 4_000;
/// How many greylisted pairs are remembered before the list starts anew.
const MAX_GREYLISTED: usize = 10_000;

/// What all sessions of one server see.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) faults: Faults,
    pub(super) door: Door,
    pub(super) inbox: Inbox,
    pub(super) tls: Option<(SmtpSecurity, SimTls)>,
    state: Mutex<State>,
}

/// The server's settings and memory.
#[derive(Debug)]
pub(super) struct State {
    pub(super) script: VecDeque<SmtpFault>,
    pub(super) account: Option<(String, String)>,
    pub(super) unknown: BTreeSet<String>,
    pub(super) full: BTreeSet<String>,
    pub(super) greylist: bool,
    pub(super) terse: bool,
    pub(super) size_limit: usize,
    pub(super) withheld: BTreeSet<String>,
    pub(super) connections: u64,
    pub(super) commands: VecDeque<String>,
    seen: BTreeSet<(String, String)>,
    queued: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            script: VecDeque::new(),
            account: None,
            unknown: BTreeSet::new(),
            full: BTreeSet::new(),
            greylist: false,
            terse: false,
            size_limit: 10 * 1024 * 1024,
            withheld: BTreeSet::new(),
            connections: 0,
            commands: VecDeque::new(),
            seen: BTreeSet::new(),
            queued: 0,
        }
    }
}

impl State {
    /// Whether this pair of sender and recipient comes for the first time.
    pub(super) fn first_seen(&mut self, from: &str, to: &str) -> bool {
        if self.seen.len() >= MAX_GREYLISTED {
            self.seen.clear();
        }
        self.seen.insert((from.to_lowercase(), to.to_lowercase()))
    }

    /// The next queue id.
    pub(super) fn next_queue_id(&mut self) -> String {
        self.queued += 1;
        format!("{:010X}", self.queued)
    }

    /// Remembers a command line.
    pub(super) fn remember(&mut self, command: String) {
        if self.commands.len() >= MAX_COMMANDS {
            self.commands.pop_front();
        }
        self.commands.push_back(command);
    }

    /// Takes the first scripted trouble for `phase`.
    pub(super) fn take_scripted(&mut self, phase: SmtpPhase) -> Option<SmtpAction> {
        let index = self.script.iter().position(|fault| fault.at == phase)?;
        self.script.remove(index).map(|fault| fault.action)
    }
}

impl Shared {
    pub(super) fn encrypted(security: SmtpSecurity, tls: SimTls) -> Self {
        Self { tls: Some((security, tls)), ..Self::default() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts connections for ever. Dropping the future ends every session with it.
pub(super) async fn accept(mut gate: Gate, shared: Arc<Shared>) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = gate.accept() => match accepted {
                Ok((stream, _)) => {
                    shared.lock().connections += 1;
                    if sessions.len() < MAX_SESSIONS {
                        sessions.spawn(serve(stream, Arc::clone(&shared)));
                    } else {
                        sessions.spawn(turn_away(stream));
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "mail simulator stopped");
                    return;
                }
            },
            // `None` (no session at all) disables this branch until the next accept.
            Some(finished) = sessions.join_next() => {
                if let Err(error) = finished {
                    tracing::error!(%error, "mail simulator session failed");
                }
            }
        }
    }
}

async fn serve(stream: Connection, shared: Arc<Shared>) {
    let wire = match &shared.tls {
        Some((SmtpSecurity::Wrapper, tls)) => {
            tls.accept(stream).await.map(|stream| Wire::new(Box::new(stream)))
        }
        Some((SmtpSecurity::StartTls, _)) | None => Ok(Wire::new(Box::new(stream))),
    };
    let ended = match wire {
        Ok(wire) => Session::new(wire, shared).run().await,
        Err(error) => Err(error),
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "mail simulator lost a connection");
    }
}

async fn turn_away(mut stream: Connection) {
    if let Err(error) = stream.write_all(b"421 4.7.0 Too many connections, try again later\r\n").await {
        tracing::debug!(%error, "mail simulator lost a connection");
    }
}
