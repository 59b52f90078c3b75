//! Who has sent an inbound event.

use fastlead_core::channel::{InboundKind, Peer};
use fastlead_core::erasure::PersonAddresses;

/// Whether the person is who an event came from.
pub(crate) fn wrote(person: &PersonAddresses, kind: &str, event: &InboundKind) -> bool {
    let peer = |from: &Peer| person.wrote(kind, from.chat.expose()) || person.wrote(kind, from.user.expose());
    match event {
        InboundKind::PhoneShared { from, phone } => peer(from) || person.wrote(kind, phone.expose()),
        InboundKind::Message { from, .. }
        | InboundKind::Started { from, .. }
        | InboundKind::Blocked { from }
        | InboundKind::Unblocked { from }
        | InboundKind::Interaction { from, .. } => peer(from),
        _ => false,
    }
}
