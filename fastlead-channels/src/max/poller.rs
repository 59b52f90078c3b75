//! Long polling with `GET /updates`, for development: MAX limits it and keeps updates for a short time.

use std::time::Duration;

use fastlead_core::channel::{PollBatch, Poller};
use fastlead_core::secret::Secret;
use fastlead_core::time::Timestamp;
use fastlead_core::{ErrorKind, Result, RetryHint, async_trait};
use sha2::{Digest as _, Sha256};

use super::client::Client;
use super::error::Operation;
use super::inbound::{WANTED, read_update};
use super::wire::UpdateList;

/// MAX takes no longer waits.
const LONGEST_WAIT: Duration = Duration::from_secs(90);

/// The cursor is MAX's `marker`. Asking with it tells MAX that everything before it has arrived.
#[derive(Debug)]
pub(super) struct MaxPoller {
    client: Client,
    bot_token: Secret<String>,
    account: String,
}

impl MaxPoller {
    pub(super) fn new(client: Client, bot_token: &Secret<String>) -> Self {
        // The token does not name the bot, and asking MAX for its name would be a network call: so a new token counts as
        // another bot, and polling begins at what MAX still has.
        let digest = hex::encode(Sha256::digest(bot_token.expose().as_bytes()));
        let account = format!("token-{}", digest.get(..16).unwrap_or_default());
        Self { client, bot_token: bot_token.clone(), account }
    }

    /// Asks for fewer updates where the answer is too long. One alone is never.
    async fn updates(&self, marker: Option<i64>, wait: Duration) -> Result<UpdateList> {
        let types = WANTED.join(",");
        for limit in [100, 10, 1] {
            if let Some(list) = self.client.updates(marker, &types, limit, wait).await? {
                return Ok(list);
            }
        }
        let message = "one update is longer than max makes them";
        Err(Operation::Poll.error(ErrorKind::Protocol, RetryHint::SAFE, message))
    }
}

#[async_trait]
impl Poller for MaxPoller {
    fn account(&self) -> String {
        self.account.clone()
    }

    async fn poll(&self, cursor: Option<&str>, wait: Duration, now: Timestamp) -> Result<PollBatch> {
        let marker = cursor.map(str::parse).transpose().map_err(|_| {
            Operation::Poll.error(ErrorKind::Invalid, RetryHint::Never, "the cursor is not a marker")
        })?;
        let UpdateList { updates, marker } = self.updates(marker, wait.min(LONGEST_WAIT)).await?;
        let updates = updates.into_iter().filter_map(|update| serde_json::from_value(update).ok());
        let events = updates.flat_map(|update| read_update(update, now, &self.bot_token)).collect();
        // An empty page is no reason to forget the position: without one MAX would begin anew.
        Ok(PollBatch { events, cursor: marker.map(|marker| marker.to_string()) })
    }
}
