//! `fastlead keys`: which keys there are, and changing the one that seals channel credentials.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fastlead_core::port::{ChannelRecord, Resealed};
use fastlead_core::time::Timestamp;
use fastlead_core::{Error, ErrorKind, Result};
use sha2::{Digest as _, Sha256};

use crate::app::Backend;
use crate::keyset::{self, KeySet};
use crate::seal::Keyring;
use crate::settings::Settings;

/// The value that says which password the settings have given to the first administrator.
const PASSWORD_MARK: &str = "admin_password_mark";
/// How often channels that were saved meanwhile are read again.
const ROUNDS: usize = 8;

/// The file that keeps the keys where the settings name none.
pub fn file(settings: &Settings) -> PathBuf {
    settings.store.path.with_extension("keys")
}

/// Reads the keys of the settings, or else those of the file, which is made for a new installation.
///
/// # Errors
/// [`ErrorKind::Config`] where they cannot be read, or where the file is gone and the database holds what it has sealed.
pub async fn load(settings: &Settings, store: &dyn Backend) -> Result<Keyring> {
    let keys = settings.secrets.keys.expose();
    if !keys.is_empty() {
        return Keyring::parse(keys);
    }
    let path = file(settings);
    if let Some(keyring) = Keyring::load(&path)? {
        return Ok(keyring);
    }
    let needed = needed(store).await?;
    if needed.is_empty() && store.count_users().await? == 0 {
        return Keyring::create(&path, 1);
    }
    let message = format!(
        "secrets.keys: {} is gone, and the database holds what it has sealed; put it back from a backup, or set secrets.keys. \
         Where it is lost, `fastlead keys replace-lost` goes on without it, and every channel needs its credentials anew",
        path.display()
    );
    Err(Error::new(ErrorKind::Config, message).with_operation("open keys"))
}

/// Makes a new key file in place of a lost one. Signing keys of the installation are made anew; what else was sealed stays as it
/// is, and opens again where the lost file is found and its lines are put below the new one.
///
/// # Errors
/// [`ErrorKind::Config`] where nothing is lost; those of the store.
pub async fn replace_lost(settings: &Settings, store: &dyn Backend) -> Result<Keyring> {
    let fault =
        |message: String| Err(Error::new(ErrorKind::Config, message).with_operation("replace lost keys"));
    if !settings.secrets.keys.expose().is_empty() {
        return fault("the keys stand in the setting secrets.keys; put a new one in front of it".to_owned());
    }
    let path = file(settings);
    if path.try_exists().unwrap_or(true) {
        return fault(format!("{} is there: nothing is lost", path.display()));
    }
    let id = needed(store).await?.last().map_or(1, |id| id.wrapping_add(1));
    let keyring = Keyring::create(&path, id)?;
    for purpose in keyset::PURPOSES {
        KeySet::replace(store, &keyring, purpose).await?;
    }
    Ok(keyring)
}

/// Seals what an earlier version has kept in clear: the last parts of the channels' webhook URLs.
///
/// # Errors
/// Those of the store.
pub async fn seal_tokens(keyring: &Keyring, store: &dyn Backend) -> Result<()> {
    let clear = |record: &&ChannelRecord| {
        !record.webhook_token.is_empty() && Keyring::key_of_token(&record.webhook_token).is_none()
    };
    for record in store.load().await?.channels.iter().filter(clear) {
        let (workspace, id) = (record.workspace_id, record.id);
        let webhook_token = keyring.seal_token(workspace, id, &record.webhook_token)?;
        // Where somebody has saved the channel meanwhile, the next start does it.
        let after = Resealed { config: record.config.clone(), webhook_token };
        store.reseal_channel(workspace, id, &record.config, after).await?;
    }
    Ok(())
}

/// The ids of the keys that something is sealed with, in their order.
async fn needed(store: &dyn Backend) -> Result<Vec<u8>> {
    let mut ids = values(store).await?;
    for record in sealed(store).await? {
        ids.extend(Keyring::key_of(&record.config));
        ids.extend(Keyring::key_of_token(&record.webhook_token));
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// The ids of the keys that the installation's own values are sealed with.
async fn values(store: &dyn Backend) -> Result<Vec<u8>> {
    let mut ids = Vec::new();
    for purpose in keyset::PURPOSES {
        let value = store.setting(purpose.setting).await?;
        ids.extend(value.as_deref().and_then(KeySet::sealed_with));
    }
    if let Some(mark) = store.setting(PASSWORD_MARK).await? {
        ids.extend(mark.first());
    }
    Ok(ids)
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
    /// How many values of the installation, such as the keys that sign tokens, are sealed with it.
    pub values: usize,
}

/// The keys that are here or are needed, by id.
///
/// # Errors
/// Those of the store.
pub async fn uses(keyring: &Keyring, store: &dyn Backend) -> Result<Vec<KeyUse>> {
    let mut counts: BTreeMap<u8, (usize, usize)> = keyring.ids().map(|id| (id, (0, 0))).collect();
    for record in sealed(store).await? {
        let config = Keyring::key_of(&record.config);
        let token = Keyring::key_of_token(&record.webhook_token).filter(|id| Some(*id) != config);
        for id in config.into_iter().chain(token) {
            counts.entry(id).or_default().0 += 1;
        }
    }
    for id in values(store).await? {
        counts.entry(id).or_default().1 += 1;
    }
    let known = |id| keyring.ids().any(|known| known == id);
    let shown = counts.into_iter().map(|(id, (channels, values))| KeyUse {
        id,
        present: known(id),
        seals: id == keyring.active(),
        channels,
        values,
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

/// Seals every channel and the installation's own keys with a new key, and makes new keys that sign. Where some are still sealed with another key than the active one, no key is
/// made and those are sealed with the active one: so a rotation that was interrupted is finished by another call.
///
/// # Errors
/// [`ErrorKind::Config`] where the keys stand in the settings and no new one was put in front, or where a channel
/// cannot be opened (the others are sealed anew first); those of the store.
pub async fn rotate(settings: &Settings, store: &dyn Backend, now: Timestamp) -> Result<Rotation> {
    let mut keyring = load(settings, store).await?;
    let channels = sealed(store).await?;
    let unfinished = channels.iter().any(|record| is_stale(&keyring, record))
        || values(store).await?.iter().any(|id| *id != keyring.active());
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
        for purpose in keyset::PURPOSES {
            KeySet::rotate(store, &keyring, purpose, now).await?;
        }
        reseal_mark(&keyring, store).await?;
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
        for record in channels.iter().filter(|record| is_stale(keyring, record)) {
            let (workspace, id) = (record.workspace_id, record.id);
            match seal_anew(keyring, record) {
                Ok(anew) => {
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

fn is_stale(keyring: &Keyring, record: &ChannelRecord) -> bool {
    keyring.is_stale(&record.config) || keyring.is_stale_token(&record.webhook_token)
}

fn seal_anew(keyring: &Keyring, record: &ChannelRecord) -> Result<Resealed> {
    let (workspace, id) = (record.workspace_id, record.id);
    let config = keyring.seal(workspace, id, &keyring.open(workspace, id, &record.config)?)?;
    let token = keyring.open_token(workspace, id, &record.webhook_token)?;
    let webhook_token = if token.is_empty() { token } else { keyring.seal_token(workspace, id, &token)? };
    Ok(Resealed { config, webhook_token })
}

/// Remembers which password the settings have given to the first administrator, so that a change of it is noticed.
///
/// # Errors
/// Those of the store.
pub(crate) async fn mark_password(keyring: &Keyring, store: &dyn Backend, password: &str) -> Result<()> {
    let mark = keyring.seal_value(PASSWORD_MARK, &Sha256::digest(password.as_bytes()))?;
    let before = store.init_setting(PASSWORD_MARK, mark.clone()).await?;
    if before != mark {
        store.replace_setting(PASSWORD_MARK, &before, mark).await?;
    }
    Ok(())
}

/// Whether this is the password that was marked; `None` where none was, or where what was cannot be opened any more.
///
/// # Errors
/// Those of the store.
pub(crate) async fn is_marked(
    keyring: &Keyring,
    store: &dyn Backend,
    password: &str,
) -> Result<Option<bool>> {
    let mark = store.setting(PASSWORD_MARK).await?;
    let digest = mark.and_then(|mark| keyring.open_value(PASSWORD_MARK, &mark).ok());
    Ok(digest.map(|digest| digest == Sha256::digest(password.as_bytes()).to_vec()))
}

async fn reseal_mark(keyring: &Keyring, store: &dyn Backend) -> Result<()> {
    let Some(before) = store.setting(PASSWORD_MARK).await? else { return Ok(()) };
    // One that does not open is made anew at the next start.
    let Ok(digest) = keyring.open_value(PASSWORD_MARK, &before) else { return Ok(()) };
    store.replace_setting(PASSWORD_MARK, &before, keyring.seal_value(PASSWORD_MARK, &digest)?).await?;
    Ok(())
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
            let state = match (key.present, key.seals, key.channels + key.values) {
                (false, ..) => "is missing: what needs it cannot be opened",
                (true, true, _) => "seals",
                (true, false, 0) => "seals nothing any more: it can be removed",
                (true, false, _) => "opens only: `fastlead keys rotate` seals anew what needs it",
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
