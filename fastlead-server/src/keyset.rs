//! Keys of the installation that the store keeps, sealed: for tokens, for links of visitors, for devices.
//!
//! A set has the key that signs in front, and behind it earlier ones that are still believed for a while.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use fastlead_core::secret::Secret;
use fastlead_core::time::{Timestamp, from_millis};
use fastlead_core::{Error, ErrorKind, Result};
use hmac::{Hmac, KeyInit as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::app::Backend;
use crate::seal::Keyring;

/// How often a value that another start has changed meanwhile is read again.
const ROUNDS: usize = 8;
const KEY_BYTES: usize = 32;

/// What keys are for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Purpose {
    /// Name of the value in the store.
    pub(crate) setting: &'static str,
    /// How long a key is believed after another has taken its place.
    believed_for: TimeDelta,
    /// Whether a key that an earlier version has kept in clear goes on; otherwise it is replaced, for copies of the database
    /// have it.
    keeps_clear_key: bool,
}

/// Keys that sign tokens. Tokens of earlier versions name no session, so their key is of no use any more.
pub(crate) const TOKENS: Purpose =
    Purpose { setting: "jwt_key", believed_for: TimeDelta::days(1), keeps_clear_key: false };
/// Keys of the links by which visitors confirm leads; those under way go on.
pub(crate) const LINKS: Purpose =
    Purpose { setting: "confirm_key", believed_for: TimeDelta::days(90), keeps_clear_key: true };
/// Keys that devices are known by.
pub(crate) const DEVICES: Purpose =
    Purpose { setting: "device_key", believed_for: TimeDelta::days(365), keeps_clear_key: false };
/// Keys of the cookies by which browsers name their sessions. A session lasts 90 days at most.
pub(crate) const SESSIONS: Purpose =
    Purpose { setting: "session_key", believed_for: TimeDelta::days(90), keeps_clear_key: false };
/// All of them.
pub(crate) const PURPOSES: [Purpose; 4] = [TOKENS, LINKS, DEVICES, SESSIONS];

/// Keys for one purpose, never none; they do not print.
#[derive(Debug, Clone)]
pub(crate) struct KeySet(Vec<SigningKey>);

/// One key.
#[derive(Debug, Clone)]
pub(crate) struct SigningKey {
    kid: String,
    bytes: Secret<[u8; KEY_BYTES]>,
    retired_at: Option<Timestamp>,
}

/// A key as it stands in a sealed value.
#[derive(Serialize, Deserialize)]
struct Written {
    kid: String,
    key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retired_at_millis: Option<i64>,
}

impl SigningKey {
    fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self { kid: hex::encode(rand::random::<[u8; 8]>()), bytes: Secret::new(bytes), retired_at: None }
    }

    /// Name of the key, which tells nothing of it.
    pub(crate) fn kid(&self) -> &str {
        &self.kid
    }

    /// The key itself.
    pub(crate) const fn bytes(&self) -> &[u8; KEY_BYTES] {
        self.bytes.expose()
    }

    /// A code under the key, with nothing in it yet.
    pub(crate) fn code(&self) -> Hmac<Sha256> {
        // A shorter key is filled up with zeros to the size of a block (RFC 2104 section 2).
        let mut block = [0; 64];
        block[..KEY_BYTES].copy_from_slice(self.bytes());
        Hmac::new(&block.into())
    }
}

impl KeySet {
    /// The key that signs.
    pub(crate) fn current(&self) -> &SigningKey {
        &self.0[0]
    }

    /// Every key that is believed.
    pub(crate) fn all(&self) -> impl Iterator<Item = &SigningKey> {
        self.0.iter()
    }

    /// Reads the keys, which are made at the first start; seals what is in clear or under another key than the one that seals
    /// today, and forgets what is believed no more.
    ///
    /// # Errors
    /// Those of the store; [`ErrorKind::Config`] where they do not open.
    pub(crate) async fn load(
        store: &dyn Backend,
        keyring: &Keyring,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<Self> {
        Self::change(store, keyring, purpose, now, |keys| keys).await
    }

    /// Puts a new key in front.
    ///
    /// # Errors
    /// As [`KeySet::load`].
    pub(crate) async fn rotate(
        store: &dyn Backend,
        keyring: &Keyring,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<Self> {
        let change = |mut keys: Vec<SigningKey>| {
            for key in &mut keys {
                key.retired_at.get_or_insert(now);
            }
            keys.insert(0, SigningKey::new(rand::random()));
            keys
        };
        Self::change(store, keyring, purpose, now, change).await
    }

    /// Gives up what is stored and makes a new key: what cannot be opened is of no use.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn replace(store: &dyn Backend, keyring: &Keyring, purpose: Purpose) -> Result<()> {
        let keys = Self(vec![SigningKey::new(rand::random())]);
        if let Some(before) = store.setting(purpose.setting).await? {
            store.replace_setting(purpose.setting, &before, keys.seal(keyring, purpose)?).await?;
        }
        Ok(())
    }

    /// The id of the key that has sealed a stored value; `None` for one in clear.
    pub(crate) fn sealed_with(value: &[u8]) -> Option<u8> {
        (value.len() != KEY_BYTES).then(|| value.first().copied()).flatten()
    }

    async fn change(
        store: &dyn Backend,
        keyring: &Keyring,
        purpose: Purpose,
        now: Timestamp,
        change: impl Fn(Vec<SigningKey>) -> Vec<SigningKey> + Send,
    ) -> Result<Self> {
        for _ in 0..ROUNDS {
            let Some(before) = store.setting(purpose.setting).await? else {
                let keys = Self(vec![SigningKey::new(rand::random())]);
                let sealed = keys.seal(keyring, purpose)?;
                if store.init_setting(purpose.setting, sealed.clone()).await? == sealed {
                    return Ok(keys);
                }
                continue;
            };
            let clear: Option<[u8; KEY_BYTES]> = before.as_slice().try_into().ok();
            let (read, mut is_stale) = match clear {
                Some(key) if purpose.keeps_clear_key => (vec![SigningKey::new(key)], true),
                Some(_) => (vec![SigningKey::new(rand::random())], true),
                None => (
                    Self::open(keyring, purpose, &before)?,
                    Self::sealed_with(&before) != Some(keyring.active()),
                ),
            };
            let count = read.len();
            let mut keys = change(read);
            is_stale |= keys.len() != count;
            let believed = |key: &SigningKey| key.retired_at.is_none_or(|at| now - at < purpose.believed_for);
            let all = keys.len();
            keys.retain(believed);
            is_stale |= keys.len() != all;
            if keys.is_empty() {
                keys.push(SigningKey::new(rand::random()));
            }
            let keys = Self(keys);
            if !is_stale
                || store.replace_setting(purpose.setting, &before, keys.seal(keyring, purpose)?).await?
            {
                return Ok(keys);
            }
        }
        let message =
            "the installation's keys keep being changed; is another server starting on this database?";
        Err(Error::new(ErrorKind::Conflict, message).with_operation("open keys"))
    }

    fn seal(&self, keyring: &Keyring, purpose: Purpose) -> Result<Vec<u8>> {
        let written: Vec<Written> = self
            .all()
            .map(|key| Written {
                kid: key.kid.clone(),
                key: STANDARD.encode(key.bytes()),
                retired_at_millis: key.retired_at.map(|at| at.timestamp_millis()),
            })
            .collect();
        let text = serde_json::to_vec(&written).map_err(|_| {
            Error::new(ErrorKind::Internal, "a key cannot be written").with_operation("seal keys")
        })?;
        keyring.seal_value(purpose.setting, &text)
    }

    fn open(keyring: &Keyring, purpose: Purpose, sealed: &[u8]) -> Result<Vec<SigningKey>> {
        let damaged = || {
            let message = format!("the stored value `{}` cannot be read", purpose.setting);
            Error::new(ErrorKind::Config, message).with_operation("open keys")
        };
        let text = keyring.open_value(purpose.setting, sealed)?;
        let written: Vec<Written> = serde_json::from_slice(&text).map_err(|_| damaged())?;
        let read = |written: Written| {
            let bytes = STANDARD.decode(&written.key).ok()?.try_into().ok()?;
            let retired_at = written.retired_at_millis.map(from_millis);
            Some(SigningKey { kid: written.kid, bytes: Secret::new(bytes), retired_at })
        };
        let keys: Option<Vec<SigningKey>> = written.into_iter().map(read).collect();
        keys.filter(|keys| !keys.is_empty()).ok_or_else(damaged)
    }

    /// Keys of one repeated byte each.
    #[cfg(test)]
    pub(crate) fn sample(fills: &[u8]) -> Self {
        let key = |fill: &u8| SigningKey { kid: fill.to_string(), ..SigningKey::new([*fill; KEY_BYTES]) };
        Self(fills.iter().map(key).collect())
    }
}

#[cfg(test)]
mod tests {
    use fastlead_core::port::Accounts as _;
    use fastlead_core::time::epoch;
    use fastlead_store::MemoryStore;

    use super::*;

    fn keyring(text: &str) -> Keyring {
        Keyring::parse(text).unwrap()
    }

    const OLD: &str = "1:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    const NEW: &str = "2:CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";

    fn kids(keys: &KeySet) -> Vec<String> {
        keys.all().map(|key| key.kid.clone()).collect()
    }

    #[tokio::test]
    async fn keys_are_sealed_and_come_back() {
        let store = MemoryStore::new();
        let first = KeySet::load(&store, &keyring(OLD), TOKENS, epoch()).await.unwrap();
        let value = store.setting("jwt_key").await.unwrap().unwrap();
        assert!(!value.windows(KEY_BYTES).any(|part| part == first.current().bytes()));
        assert!(!format!("{first:?}").contains(&format!("{:?}", first.current().bytes())));
        let again = KeySet::load(&store, &keyring(OLD), TOKENS, epoch()).await.unwrap();
        assert_eq!((kids(&first), first.current().bytes()), (kids(&again), again.current().bytes()));
        let error = KeySet::load(&store, &keyring(NEW), TOKENS, epoch()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let both = keyring(&format!("{NEW},{OLD}"));
        KeySet::load(&store, &both, TOKENS, epoch()).await.unwrap();
        let anew = KeySet::load(&store, &keyring(NEW), TOKENS, epoch()).await.unwrap();
        assert_eq!(kids(&anew), kids(&first), "sealed anew, not made anew");
    }

    #[tokio::test]
    async fn what_an_earlier_version_kept_in_clear_is_sealed_or_replaced() {
        let store = MemoryStore::new();
        for purpose in PURPOSES {
            store.init_setting(purpose.setting, vec![5; KEY_BYTES]).await.unwrap();
            let keys = KeySet::load(&store, &keyring(OLD), purpose, epoch()).await.unwrap();
            assert_eq!(*keys.current().bytes() == [5; KEY_BYTES], purpose.keeps_clear_key, "{purpose:?}");
            let value = store.setting(purpose.setting).await.unwrap().unwrap();
            assert_eq!(KeySet::sealed_with(&value), Some(1));
        }
    }

    #[tokio::test]
    async fn a_retired_key_is_believed_for_its_time() {
        let (store, keyring) = (MemoryStore::new(), keyring(OLD));
        let first = KeySet::load(&store, &keyring, LINKS, epoch()).await.unwrap();
        let both = KeySet::rotate(&store, &keyring, LINKS, epoch()).await.unwrap();
        assert_eq!((both.0.len(), &kids(&both)[1]), (2, &kids(&first)[0]));
        let later = |days| epoch() + TimeDelta::days(days);
        assert_eq!(kids(&KeySet::load(&store, &keyring, LINKS, later(89)).await.unwrap()), kids(&both));
        let left = KeySet::load(&store, &keyring, LINKS, later(90)).await.unwrap();
        assert_eq!(kids(&left), [kids(&both)[0].clone()]);
    }
}
