//! Long polling with `getUpdates`.

use std::time::Duration;

use fastlead_core::channel::{PollBatch, Poller};
use fastlead_core::secret::Secret;
use fastlead_core::time::Timestamp;
use fastlead_core::{ErrorKind, Result, RetryHint, async_trait};
use teloxide_core::payloads::{GetUpdates, GetUpdatesSetters};

use super::client::Client;
use super::error::Operation;
use super::inbound::{WANTED, read_update};
use super::wire::Update;

/// Telegram cuts longer waits down to this (`LONG_POLL_MAX_TIMEOUT` of its server).
const LONGEST_WAIT_SECS: u32 = 50;

/// The cursor is the `update_id` that comes next. Asking for it tells Telegram that everything before
/// it has arrived.
#[derive(Debug)]
pub(super) struct TelegramPoller {
    client: Client,
    /// The id of the bot, which stands before the secret in its token.
    bot_id: String,
}

impl TelegramPoller {
    pub(super) fn new(client: Client, bot_token: &Secret<String>) -> Self {
        let bot_id = bot_token.expose().split(':').next().unwrap_or_default().to_owned();
        Self { client, bot_id }
    }

    /// Asks for fewer updates where the answer is too long. One alone is never.
    async fn updates(&self, mut request: GetUpdates, wait: Duration) -> Result<Vec<Update>> {
        for limit in [None, Some(10), Some(1)] {
            request.limit = limit;
            if let Some(updates) = self.client.get_updates(&request, wait).await? {
                return Ok(updates);
            }
        }
        let message = "one update is longer than telegram makes them";
        Err(Operation::Poll.error(ErrorKind::Protocol, RetryHint::SAFE, message))
    }
}

#[async_trait]
impl Poller for TelegramPoller {
    fn account(&self) -> String {
        self.bot_id.clone()
    }

    async fn poll(&self, cursor: Option<&str>, wait: Duration, now: Timestamp) -> Result<PollBatch> {
        let wait_secs = u32::try_from(wait.as_secs()).unwrap_or(LONGEST_WAIT_SECS).min(LONGEST_WAIT_SECS);
        let mut request = GetUpdates::new().timeout(wait_secs).allowed_updates(WANTED);
        if let Some(cursor) = cursor {
            // A negative offset would throw updates away.
            let offset = cursor.parse().ok().filter(|offset: &i32| *offset > 0).ok_or_else(|| {
                Operation::Poll.error(ErrorKind::Invalid, RetryHint::Never, "the cursor is not an update id")
            })?;
            request = request.offset(offset);
        }
        if self.client.name().is_none() {
            // Only with it is known whether a command in a group is for this bot.
            self.client.get_me().await?;
        }
        let updates = self.updates(request, Duration::from_secs(wait_secs.into())).await?;
        let cursor = next_cursor(updates.iter().map(|update| update.update_id));
        let events =
            updates.into_iter().filter_map(|update| read_update(update, now, self.client.name())).collect();
        Ok(PollBatch { events, cursor })
    }
}

/// The id after the last one. The last id that a request can name has none after it and moves no cursor: it comes again,
/// and is recognised, until Telegram drops it after a day.
fn next_cursor(ids: impl Iterator<Item = i64>) -> Option<String> {
    let next = ids.filter_map(|id| i32::try_from(id).ok()?.checked_add(1)).filter(|next| *next > 0).max();
    next.map(|next| next.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_makes_a_cursor_that_cannot_be_asked_for() {
        for (ids, expected) in [
            (&[7, 9, 8][..], Some("10")),
            (&[], None),
            (&[2_147_483_646], Some("2147483647")),
            (&[2_147_483_647], None),
            (&[5, 2_147_483_647, i64::MAX, i64::MIN, -3], Some("6")),
        ] {
            assert_eq!(next_cursor(ids.iter().copied()).as_deref(), expected, "{ids:?}");
        }
    }
}
