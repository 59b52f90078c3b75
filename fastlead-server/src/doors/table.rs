//! Who is connected, and what each connection waits for.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::room::Room;
use crate::address::network;

/// A body that comes in for longer than this may be given up where room is needed.
const SLOW_BODY: Duration = Duration::from_secs(3);

/// What a connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The head of a request is awaited: of the first one, or of one that has begun.
    Head,
    /// Nothing has come since the last answer.
    Idle,
    /// A body is awaited.
    Body,
    /// A request that has come in whole is worked on, or answered.
    Work,
    /// The connection is being closed; it takes no request any more.
    Closed,
}

#[derive(Debug, Clone, Copy)]
struct State {
    phase: Phase,
    since: Instant,
    /// Since when the client takes no byte of an answer.
    stalled: Option<Instant>,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Slot {
    id: u64,
    address: Arc<Address>,
    /// Whether the limits per address hold.
    limited: bool,
    state: Mutex<State>,
    close: Notify,
}

/// What one address holds.
#[derive(Debug, Default)]
struct Address {
    connections: AtomicUsize,
    body_bytes: AtomicUsize,
}

#[derive(Debug, Default)]
struct Members {
    last_id: u64,
    slots: HashMap<u64, Arc<Slot>>,
    addresses: HashMap<IpAddr, Arc<Address>>,
}

/// All connections of one listener.
#[derive(Debug)]
pub(crate) struct Table {
    pub(super) room: Room,
    members: Mutex<Members>,
    body_bytes: AtomicUsize,
    /// Somebody has left.
    freed: Notify,
}

/// Whether there is room for one more connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vacancy {
    /// There is.
    Free,
    /// There will be at once: somebody who waited is sent away.
    Soon,
    /// There is none, and nobody waits who could be sent away.
    Full,
}

/// An address has as many connections as it may have, and all of them are at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany;

impl Table {
    pub(crate) fn new(room: Room) -> Arc<Self> {
        Arc::new(Self {
            room,
            members: Mutex::default(),
            body_bytes: AtomicUsize::new(0),
            freed: Notify::new(),
        })
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until somebody leaves.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }

    /// Looks for room for one more connection; where there is none, sends somebody away who waits.
    pub(super) fn make_room(&self) -> Vacancy {
        let members = self.members();
        match members.slots.len() < self.room.connections {
            true => Vacancy::Free,
            false if evict(members.slots.values()) => Vacancy::Soon,
            false => Vacancy::Full,
        }
    }

    /// Gives up the connection that has waited longest, where there is one.
    pub(super) fn shed(&self) -> bool {
        evict(self.members().slots.values())
    }

    /// Takes in a connection from `ip`.
    ///
    /// # Errors
    /// [`TooMany`].
    pub(super) fn enter(self: &Arc<Self>, ip: IpAddr) -> Result<Entry, TooMany> {
        let limited = !self.room.proxies.contains(ip);
        let mut members = self.members();
        let address = Arc::clone(members.addresses.entry(network(ip)).or_default());
        if limited && address.connections.load(Ordering::Relaxed) >= self.room.per_address {
            let own = members.slots.values().filter(|slot| Arc::ptr_eq(&slot.address, &address));
            if !evict(own) {
                return Err(TooMany);
            }
        }
        address.connections.fetch_add(1, Ordering::Relaxed);
        members.last_id += 1;
        let id = members.last_id;
        let state = State { phase: Phase::Head, since: Instant::now(), stalled: None };
        let slot = Arc::new(Slot { id, address, limited, state: Mutex::new(state), close: Notify::new() });
        members.slots.insert(id, Arc::clone(&slot));
        metrics::gauge!("fastlead_connections").increment(1.0);
        Ok(Entry { slot, table: Arc::clone(self), ip })
    }

    fn leave(&self, slot: &Slot, ip: IpAddr) {
        let mut members = self.members();
        if members.slots.remove(&slot.id).is_some() {
            metrics::gauge!("fastlead_connections").decrement(1.0);
        }
        if slot.address.connections.fetch_sub(1, Ordering::Relaxed) == 1 {
            members.addresses.remove(&network(ip));
        }
        drop(members);
        self.freed.notify_one();
    }

    /// Closes every connection that has waited for longer than it may.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        for slot in self.members().slots.values() {
            let state = *slot.state();
            let waited = now.saturating_duration_since(state.since);
            let why = match state.phase {
                Phase::Head if waited >= self.room.head => "head_timeout",
                Phase::Idle if waited >= self.room.idle => "idle_timeout",
                _ if state
                    .stalled
                    .is_some_and(|since| now.saturating_duration_since(since) >= self.room.stalled) =>
                {
                    "stalled"
                }
                _ => continue,
            };
            slot.close(why);
        }
    }

    /// Reserves memory for `bytes` more of a body.
    pub(super) fn reserve(&self, slot: &Slot, bytes: usize) -> bool {
        let room = &self.room;
        if slot.limited {
            let held = slot.address.body_bytes.fetch_add(bytes, Ordering::Relaxed);
            if held.saturating_add(bytes) > room.bodies_per_address {
                slot.address.body_bytes.fetch_sub(bytes, Ordering::Relaxed);
                return false;
            }
        }
        let held = self.body_bytes.fetch_add(bytes, Ordering::Relaxed);
        if held.saturating_add(bytes) > room.bodies {
            self.release(slot, bytes);
            return false;
        }
        true
    }

    /// Gives back what was reserved.
    pub(super) fn release(&self, slot: &Slot, bytes: usize) {
        self.body_bytes.fetch_sub(bytes, Ordering::Relaxed);
        if slot.limited {
            slot.address.body_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

/// Closes the one that has waited longest of the address that holds most; returns whether there was one.
fn evict<'a>(slots: impl Iterator<Item = &'a Arc<Slot>> + Clone) -> bool {
    // Whoever was chosen may have gone to work meanwhile.
    (0..4).any(|_| choose(slots.clone()).is_some_and(|slot| slot.close("room")))
}

fn choose<'a>(slots: impl Iterator<Item = &'a Arc<Slot>>) -> Option<&'a Arc<Slot>> {
    let now = Instant::now();
    let waiting = slots.filter_map(|slot| {
        let state = *slot.state();
        let rank = match state.phase {
            Phase::Head | Phase::Idle => 0,
            Phase::Body if now.saturating_duration_since(state.since) >= SLOW_BODY => 1,
            Phase::Body | Phase::Work | Phase::Closed => return None,
        };
        Some((rank, Reverse(slot.address.connections.load(Ordering::Relaxed)), state.since, slot))
    });
    let first = waiting.min_by_key(|(rank, connections, since, _)| (*rank, *connections, *since));
    first.map(|(.., slot)| slot)
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the connection unless a whole request is worked on; returns whether it will be closed.
    pub(super) fn close(&self, why: &'static str) -> bool {
        let mut state = self.state();
        let stalled = state.stalled.is_some() && why == "stalled";
        match state.phase {
            Phase::Closed => return false,
            Phase::Work if !stalled => return false,
            Phase::Head | Phase::Idle | Phase::Body | Phase::Work => state.phase = Phase::Closed,
        }
        drop(state);
        metrics::counter!("fastlead_connections_closed_total", "reason" => why).increment(1);
        self.close.notify_one();
        true
    }

    /// Closes the connection where it waits for the head of a request.
    pub(super) fn close_waiting(&self) {
        let phase = self.state().phase;
        if matches!(phase, Phase::Head | Phase::Idle) {
            self.close("stopping");
        }
    }

    /// Moves on to another phase; returns `false` where the connection is being closed.
    pub(super) fn turn(&self, phase: Phase) -> bool {
        let mut state = self.state();
        if state.phase == Phase::Closed {
            return false;
        }
        if state.phase != phase {
            (state.phase, state.since) = (phase, Instant::now());
        }
        true
    }

    /// Some bytes have come in.
    pub(super) fn heard(&self) {
        let mut state = self.state();
        if state.phase == Phase::Idle {
            (state.phase, state.since) = (Phase::Head, Instant::now());
        }
    }

    /// Whether the client takes what is written to it.
    pub(super) fn takes(&self, takes: bool) {
        let mut state = self.state();
        state.stalled = if takes { None } else { state.stalled.or_else(|| Some(Instant::now())) };
    }
}

/// The place of a connection in the table, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) slot: Arc<Slot>,
    pub(super) table: Arc<Table>,
    ip: IpAddr,
}

impl Entry {
    /// Waits until the connection shall be closed.
    pub(super) async fn closed(&self) {
        self.slot.close.notified().await;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.table.leave(&self.slot, self.ip);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn table(connections: usize, per_address: usize) -> Arc<Table> {
        let mut room = Room::of(&Settings::defaults().unwrap().http);
        (room.connections, room.per_address) = (connections, per_address);
        (room.bodies, room.bodies_per_address) = (100, 40);
        Table::new(room)
    }

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_that_waits_longest_makes_room_and_nobody_at_work_does() {
        let table = table(3, 9);
        let first = table.enter(ip(1)).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let second = table.enter(ip(1)).unwrap();
        let other = table.enter(ip(2)).unwrap();
        assert!(first.slot.turn(Phase::Work));
        assert_eq!(table.make_room(), Vacancy::Soon);
        second.closed().await;
        assert!(!second.slot.turn(Phase::Work), "it takes no request any more");
        drop(second);
        assert_eq!(table.make_room(), Vacancy::Free);
        let third = table.enter(ip(3)).unwrap();
        for entry in [&other, &third] {
            assert!(entry.slot.turn(Phase::Body));
        }
        assert_eq!(table.make_room(), Vacancy::Full);
        tokio::time::advance(SLOW_BODY).await;
        assert_eq!(table.make_room(), Vacancy::Soon);
        drop((first, other, third));
        assert!(table.members().addresses.is_empty() && table.members().slots.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_its_own_limit_and_a_network_is_one_address() {
        let table = table(99, 2);
        let ip6 = |text: &str| text.parse().unwrap();
        let one = table.enter(ip6("2001:db8::1")).unwrap();
        let two = table.enter(ip6("2001:db8::2")).unwrap();
        for entry in [&one, &two] {
            assert!(entry.slot.turn(Phase::Work));
        }
        assert_eq!(table.enter(ip6("2001:db8::3")).unwrap_err(), TooMany);
        assert!(table.enter(ip6("2001:db8:0:1::1")).is_ok());
        assert!(one.slot.turn(Phase::Idle));
        let three = table.enter(ip6("2001:db8::3")).unwrap();
        one.closed().await;
        drop((one, two, three));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_silent_for_too_long_is_closed() {
        let table = table(9, 9);
        let head = table.enter(ip(1)).unwrap();
        let idle = table.enter(ip(2)).unwrap();
        let work = table.enter(ip(3)).unwrap();
        assert!(idle.slot.turn(Phase::Idle) && work.slot.turn(Phase::Work));
        tokio::time::advance(table.room.head).await;
        table.sweep();
        head.closed().await;
        assert!(idle.slot.turn(Phase::Idle) && work.slot.turn(Phase::Work));
        tokio::time::advance(table.room.idle).await;
        work.slot.takes(false);
        table.sweep();
        idle.closed().await;
        tokio::time::advance(table.room.stalled).await;
        assert!(work.slot.turn(Phase::Work));
        table.sweep();
        work.closed().await;
    }

    #[tokio::test]
    async fn bodies_share_what_there_is() {
        let table = table(9, 9);
        let entries: Vec<Entry> = (1..=4).map(|last| table.enter(ip(last)).unwrap()).collect();
        assert!(table.reserve(&entries[0].slot, 40));
        assert!(!table.reserve(&entries[0].slot, 1), "an address has its share");
        assert!(table.reserve(&entries[1].slot, 40) && table.reserve(&entries[2].slot, 20));
        assert!(!table.reserve(&entries[3].slot, 1), "all have theirs");
        table.release(&entries[0].slot, 40);
        assert!(table.reserve(&entries[3].slot, 40));
    }
}
