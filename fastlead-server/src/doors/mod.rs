//! The listener's doors: how many connections there may be, how long they may stay silent, and what their bodies may cost.
//!
//! A connection that waits for its client holds nothing back: where room is needed, the one that has waited longest is
//! closed, first of the address that holds most. A request that has come in whole is never dropped.

mod accept;
mod body;
mod room;
mod stream;
mod table;

pub(crate) use self::accept::Door;
pub(crate) use self::room::Room;
pub(crate) use self::table::Table;
