//! Who made something happen.

use serde::{Deserialize, Serialize};

use crate::id::{ApiKeyId, ChannelId, UserId};

/// Who made something happen to a lead. Kept with every event for ever.
///
/// As JSON: `{"type": "user", "id": "usr_…"}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Actor {
    /// The person whose lead it is.
    Visitor,
    /// Whoever was offered the lead: a manager who pressed a button, or a buyer's program that answered.
    Target {
        /// The target's name in the policy.
        name: String,
    },
    /// A user of the console or the API.
    User {
        /// Which one.
        id: UserId,
    },
    /// A program with a key.
    ApiKey {
        /// Which key.
        id: ApiKeyId,
    },
    /// A provider that has said what became of a message.
    Provider {
        /// The channel instance that it was said over.
        channel_id: ChannelId,
    },
    /// A moment that has come.
    Timer,
    /// The program itself.
    #[default]
    Program,
}
