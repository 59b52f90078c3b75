//! How much of the machine the listener may take.

use std::time::Duration;

use crate::address::Proxies;
use crate::settings::HttpSettings;

/// Open files that are kept for the database, for channels and for logs, at most.
const RESERVED_FILES: u64 = 256;
/// Part of the memory for bodies that one address may hold.
const SHARE_OF_BODIES: usize = 4;

/// Limits of one listener.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    /// Most connections at a time.
    pub(super) connections: usize,
    /// Most connections of one address at a time.
    pub(super) per_address: usize,
    /// Most bytes of request bodies in memory at a time.
    pub(super) bodies: usize,
    /// Most bytes of request bodies of one address in memory at a time.
    pub(super) bodies_per_address: usize,
    /// What most requests may hold. A body that passes it is handed on as it comes, to be refused at once.
    pub(super) body_limit: usize,
    /// How long the head of a request may take.
    pub(super) head: Duration,
    /// How long the body of a request may take, from its first byte that is waited for.
    pub(super) body: Duration,
    /// How long a kept-alive connection may wait for its next request.
    pub(super) idle: Duration,
    /// How long a client may take no byte of an answer.
    pub(super) stalled: Duration,
    /// Clients that stand for many visitors: the limits per address do not hold for them.
    pub(super) proxies: Proxies,
}

impl Room {
    /// What the settings ask for, as far as the operating system's limit of open files lets it.
    pub(crate) fn of(settings: &HttpSettings) -> Self {
        let wanted = settings.max_connections.max(1);
        let connections = open_files().map_or(wanted, |files| wanted.min(within(files)));
        if connections < wanted {
            tracing::warn!(
                connections,
                wanted,
                "http.max_connections does not fit into the limit of open files (`ulimit -n`); fewer connections are held"
            );
        }
        let bodies = settings.body_memory_bytes.max(settings.body_limit_bytes);
        Self {
            connections,
            per_address: settings.max_connections_per_address.max(1),
            bodies,
            bodies_per_address: (bodies / SHARE_OF_BODIES).max(settings.body_limit_bytes),
            body_limit: settings.body_limit_bytes,
            head: Duration::from_secs(settings.head_timeout_secs),
            body: Duration::from_secs(settings.body_timeout_secs),
            idle: Duration::from_secs(settings.idle_timeout_secs),
            stalled: Duration::from_secs(settings.body_timeout_secs),
            proxies: settings.trusted_proxies.clone(),
        }
    }

    /// The same for a listener beside the main one, which few may reach.
    pub(crate) fn beside(&self) -> Self {
        Self { connections: self.connections.min(64), proxies: Proxies::default(), ..self.clone() }
    }
}

/// Connections that fit into a limit of open files.
fn within(files: u64) -> usize {
    let left = files.saturating_sub(RESERVED_FILES.min(files / 2));
    usize::try_from(left.max(1)).unwrap_or(usize::MAX)
}

/// The limit of open files, after it was raised as far as the system lets a program do it.
#[cfg(target_os = "linux")]
fn open_files() -> Option<u64> {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum {
        let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limit = getrlimit(Resource::Nofile),
            Err(error) => tracing::debug!(%error, "the limit of open files was not raised"),
        }
    }
    limit.current
}

#[cfg(not(target_os = "linux"))]
const fn open_files() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_kept_for_what_is_not_a_connection() {
        for (files, connections) in
            [(0, 1), (2, 1), (64, 32), (256, 128), (1_024, 768), (1 << 20, (1 << 20) - 256)]
        {
            assert_eq!(within(files), connections, "{files}");
        }
    }
}
