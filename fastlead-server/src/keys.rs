//! `fastlead keys`: which keys there are, and changing the one that seals channel credentials.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fastlead_core::port::ChannelRecord;
use fastlead_core::{Error, ErrorKind, Result};

use crate::app::Backend;
use crate::seal::Keyring;
use crate::settings::Settings;

/// How often channels that were saved meanwhile are read again.
const ROUNDS: usize = 8;

/// The file that keeps the keys where the settings name none.
pub fn file(settings: &Settings) -> PathBuf {
    settings.store.path.with_extension("keys")
}

/// The keys of the settings, or else those of the file, which is made where it does not exist.
///
/// # Errors
/// [`ErrorKind::Config`] where they cannot be read.
pub fn load(settings: &Settings) -> Result<Keyring> {
    match settings.secrets.keys.expose().as_str() {
        "" => Keyring::load_or_create(&file(settings)),
        keys => Keyring::parse(keys),
    }
}

/// One key and what it is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUse {
    /// Its id.
    pub id: u8,
    /// Whether it is here.
    pub present: bool,
    /// Whether it seals; the others open only.
    pub seals: bool,
    /// How many channels are sealed with it.
    pub channels: usize,
}

/// The keys that are here or are needed, by id.
///
/// # Errors
/// Those of the store.
pub async fn uses(keyring: &Keyring, store: &dyn Backend) -> Result<Vec<KeyUse>> {
    let mut counts: BTreeMap<u8, usize> = keyring.ids().map(|id| (id, 0)).collect();
    for record in sealed(store).await? {
        if let Some(id) = Keyring::key_of(&record.config) {
            *counts.entry(id).or_default() += 1;
        }
    }
    let known = |id| keyring.ids().any(|known| known == id);
    let shown = counts.into_iter().map(|(id, channels)| KeyUse {
        id,
        present: known(id),
        seals: id == keyring.active(),
        channels,
    });
    Ok(shown.collect())
}

/// What a rotation came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The key that seals now.
    pub active: u8,
    /// Whether it was made just now; else an earlier rotation, or one begun in the settings, was finished.
    pub made: bool,
    /// How many channels were sealed anew.
    pub resealed: usize,
    /// How many channels there are.
    pub channels: usize,
}

/// Seals every channel with a new key. Where some are still sealed with another key than the active one, no key is
/// made and those are sealed with the active one: so a rotation that was interrupted is finished by another call.
///
/// # Errors
/// [`ErrorKind::Config`] where the keys stand in the settings and no new one was put in front, or where a channel
/// cannot be opened (the others are sealed anew first); those of the store.
pub async fn rotate(settings: &Settings, store: &dyn Backend) -> Result<Rotation> {
    let mut keyring = load(settings)?;
    let channels = sealed(store).await?;
    let unfinished = channels.iter().any(|record| keyring.is_stale(&record.config));
    let made = !unfinished;
    if made {
        if !settings.secrets.keys.expose().is_empty() {
            let message = format!(
                "secrets.keys: every channel is sealed with key {}, the first one; put a new key in front of it, such as \
                 `{}:` and 32 random bytes in base64, and run this again",
                keyring.active(),
                free_id(&keyring)?
            );
            return Err(Error::new(ErrorKind::Config, message).with_operation("rotate keys"));
        }
        keyring = Keyring::add_to_file(&file(settings), free_id(&keyring)?)?;
    }
    let mut rotation = Rotation { active: keyring.active(), made, resealed: 0, channels: channels.len() };
    let closed = reseal(&keyring, store, channels, &mut rotation).await?;
    if closed.is_empty() {
        return Ok(rotation);
    }
    let message = format!(
        "{} of {} channels were sealed anew with key {}; these cannot be opened: {}",
        rotation.resealed,
        rotation.channels,
        rotation.active,
        closed.join(", ")
    );
    Err(Error::new(ErrorKind::Config, message).with_operation("rotate keys"))
}

/// Seals anew what another key than the active one has sealed, and answers what cannot be opened. What somebody has
/// saved since it was read is read again: the credentials that they have put in must not be overwritten.
async fn reseal(
    keyring: &Keyring,
    store: &dyn Backend,
    mut channels: Vec<ChannelRecord>,
    rotation: &mut Rotation,
) -> Result<Vec<String>> {
    for _ in 0..ROUNDS {
        let (mut closed, mut overtaken) = (Vec::new(), false);
        for record in channels.iter().filter(|record| keyring.is_stale(&record.config)) {
            let (workspace, id) = (record.workspace_id, record.id);
            match keyring.open(workspace, id, &record.config) {
                Ok(plain) => {
                    let anew = keyring.seal(workspace, id, &plain)?;
                    if store.reseal_channel(workspace, id, &record.config, anew).await? {
                        rotation.resealed += 1;
                    } else {
                        overtaken = true;
                    }
                }
                Err(error) => closed.push(format!("{} ({})", record.name, error.message())),
            }
        }
        if !overtaken {
            return Ok(closed);
        }
        channels = sealed(store).await?;
    }
    let message = "channels keep being saved while they are sealed anew; stop the server and run this again";
    Err(Error::new(ErrorKind::Conflict, message).with_operation("rotate keys"))
}

/// The channels whose configuration is sealed; those that are built in code have none.
async fn sealed(store: &dyn Backend) -> Result<Vec<ChannelRecord>> {
    let channels = store.load().await?.channels;
    Ok(channels.into_iter().filter(|record| !record.config.0.is_empty()).collect())
}

fn free_id(keyring: &Keyring) -> Result<u8> {
    let used: Vec<u8> = keyring.ids().collect();
    let highest = used.iter().max().copied().unwrap_or(0);
    (highest..=u8::MAX).chain(0..highest).find(|id| !used.contains(id)).ok_or_else(|| {
        Error::new(ErrorKind::Config, "every key id from 0 to 255 is used; remove keys that seal nothing")
            .with_operation("rotate keys")
    })
}

/// What a person reads about the keys.
pub fn lines(uses: &[KeyUse], path: Option<&Path>) -> Vec<String> {
    let mut lines: Vec<String> = uses
        .iter()
        .map(|key| {
            let channels = match key.channels {
                1 => "1 channel".to_owned(),
                count => format!("{count} channels"),
            };
            let state = match (key.present, key.seals, key.channels) {
                (false, ..) => "is missing: these channels cannot be opened",
                (true, true, _) => "seals",
                (true, false, 0) => "seals nothing any more: it can be removed",
                (true, false, _) => "opens only: `fastlead keys rotate` seals these channels anew",
            };
            format!("key {}: {channels}, {state}", key.id)
        })
        .collect();
    lines.push(match path {
        Some(path) => format!("The keys stand in {}, one a line; the first one seals.", path.display()),
        None => "The keys stand in the setting secrets.keys; the first one seals.".to_owned(),
    });
    lines
}

#[cfg(test)]
mod tests {
    use fastlead_core::id::{ChannelId, WorkspaceId};
    use fastlead_core::port::{Catalog, ChannelStatus};
    use fastlead_core::time::epoch;
    use fastlead_store::MemoryStore;

    use super::*;

    const OLD: &str = "1:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    const NEW: &str = "2:CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";

    #[tokio::test]
    async fn credentials_that_were_saved_meanwhile_are_kept() {
        let (old, both) = (Keyring::parse(OLD).unwrap(), Keyring::parse(&format!("{NEW},{OLD}")).unwrap());
        let workspace_id = WorkspaceId::from_uuid(uuid::Uuid::from_u128(1));
        let record = |number: u128, secret: &[u8]| {
            let id = ChannelId::from_uuid(uuid::Uuid::from_u128(number));
            ChannelRecord {
                id,
                workspace_id,
                kind: "telegram".to_owned(),
                name: format!("bot-{number}"),
                config: old.seal(workspace_id, id, secret).unwrap(),
                webhook_token: String::new(),
                status: ChannelStatus::Active,
                created_at: epoch(),
            }
        };
        let store = MemoryStore::new();
        for number in [1, 2] {
            store.put_channel(record(number, b"before")).await.unwrap();
        }
        let read = sealed(&store).await.unwrap();
        store.put_channel(record(2, b"saved meanwhile")).await.unwrap();
        let mut rotation = Rotation { active: 2, made: true, resealed: 0, channels: 2 };
        assert!(reseal(&both, &store, read, &mut rotation).await.unwrap().is_empty());
        assert_eq!(rotation.resealed, 2);
        let now = sealed(&store).await.unwrap();
        let secrets: Vec<_> = now
            .iter()
            .map(|record| {
                assert!(!both.is_stale(&record.config));
                both.open(record.workspace_id, record.id, &record.config).unwrap()
            })
            .collect();
        assert_eq!(
            secrets.iter().map(|secret| &secret[..]).collect::<Vec<_>>(),
            [&b"before"[..], b"saved meanwhile"]
        );
    }
}
