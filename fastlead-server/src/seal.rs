//! Channel credentials are sealed at rest: XChaCha20-Poly1305, with the id of the key beside the text.
//!
//! A sealed text is `key id (1 byte) ‖ nonce (24) ‖ ciphertext`, bound to the workspace and the channel,
//! so that a row copied to another tenant does not open.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use fastlead_core::id::{ChannelId, WorkspaceId};
use fastlead_core::port::SealedConfig;
use fastlead_core::{Error, ErrorKind, Result};

use crate::permissions;

/// What a sealed webhook token begins with; tokens themselves have no colon.
const SEALED: &str = "sealed:";

/// The keys that open, and the one that seals.
pub struct Keyring {
    active: u8,
    /// By id. Two keys of one id may stand beside each other: after a lost file was found again, say.
    keys: BTreeMap<u8, Vec<XChaCha20Poly1305>>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("active", &self.active).field("ids", &self.keys.keys()).finish()
    }
}

fn fault(message: &str) -> Error {
    Error::new(ErrorKind::Config, message).with_operation("open keys")
}

impl Keyring {
    /// Reads `id:base64` pairs separated by commas or lines; the first one seals.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that says what is expected, never what was given.
    pub fn parse(text: &str) -> Result<Self> {
        let mut active = None;
        let mut known = HashSet::new();
        let mut keys: BTreeMap<u8, Vec<XChaCha20Poly1305>> = BTreeMap::new();
        for pair in text.split([',', '\n']).map(str::trim).filter(|pair| !pair.is_empty()) {
            let (id, key) =
                pair.split_once(':').ok_or_else(|| fault("secrets.keys: expected `id:key` pairs"))?;
            let id: u8 =
                id.trim().parse().map_err(|_| fault("secrets.keys: a key id is a number from 0 to 255"))?;
            let bytes = STANDARD
                .decode(key.trim())
                .map_err(|_| fault("secrets.keys: a key is 32 bytes in base64"))?;
            let bytes: [u8; 32] = bytes.try_into().map_err(|_| fault("secrets.keys: a key has 32 bytes"))?;
            if !known.insert((id, bytes)) {
                return Err(fault("secrets.keys: a key stands twice"));
            }
            keys.entry(id).or_default().push(XChaCha20Poly1305::new(&Key::from(bytes)));
            active.get_or_insert(id);
        }
        let active = active.ok_or_else(|| fault("secrets.keys: there is no key"))?;
        Ok(Self { active, keys })
    }

    /// Makes a file with one new key.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where the file exists or cannot be written.
    pub fn create(path: &Path, id: u8) -> Result<Self> {
        let text = format!("{id}:{}\n", STANDARD.encode(rand::random::<[u8; 32]>()));
        write_private(path, &text).map_err(|error| {
            fault("the key file beside the database cannot be written")
                .with_context("cause", error.kind().to_string())
        })?;
        Self::parse(&text)
    }

    /// Reads the keys in a file; `None` where there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where the file cannot be read, or others may read it.
    pub fn load(path: &Path) -> Result<Option<Self>> {
        permissions::guard_keys(path)?;
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(fault("the key file beside the database cannot be read")
                .with_context("cause", error.kind().to_string())),
        }
    }

    /// Makes a new key that seals, in front of the keys of the file, which is replaced in one step.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where the file cannot be read or written.
    pub fn add_to_file(path: &Path, id: u8) -> Result<Self> {
        let failed = |error: std::io::Error| {
            fault("the key file beside the database cannot be changed")
                .with_context("cause", error.kind().to_string())
        };
        let before = std::fs::read_to_string(path).map_err(failed)?;
        let text = format!("{id}:{}\n{before}", STANDARD.encode(rand::random::<[u8; 32]>()));
        let keyring = Self::parse(&text)?;
        // Where the file is a link, what it leads to is replaced and not the link.
        let path = &std::fs::canonicalize(path).map_err(failed)?;
        let beside = path.with_extension("keys.new");
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        write_private(&beside, &text).map_err(failed)?;
        std::fs::rename(&beside, path).map_err(failed)?;
        // On disk before anything is sealed with the new key.
        sync_folder(path).map_err(failed)?;
        Ok(keyring)
    }

    /// The ids of the keys.
    pub fn ids(&self) -> impl Iterator<Item = u8> + '_ {
        self.keys.keys().copied()
    }

    /// The id of the key that seals.
    pub const fn active(&self) -> u8 {
        self.active
    }

    /// The id of the key that a configuration was sealed with.
    pub fn key_of(sealed: &SealedConfig) -> Option<u8> {
        sealed.0.first().copied()
    }

    /// Seals a configuration for one channel of one workspace.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] where the cipher refuses, which it does not.
    pub fn seal(&self, workspace: WorkspaceId, channel: ChannelId, plain: &[u8]) -> Result<SealedConfig> {
        self.seal_bytes(&context(workspace, channel), plain).map(SealedConfig)
    }

    /// Seals the last part of a channel's webhook URL.
    ///
    /// # Errors
    /// As [`Keyring::seal`].
    pub fn seal_token(&self, workspace: WorkspaceId, channel: ChannelId, token: &str) -> Result<String> {
        let sealed = self.seal_bytes(&token_context(workspace, channel), token.as_bytes())?;
        Ok(format!("{SEALED}{}", STANDARD.encode(sealed)))
    }

    /// Opens the last part of a channel's webhook URL. One that an earlier version has stored is in clear.
    ///
    /// # Errors
    /// As [`Keyring::open`].
    pub fn open_token(&self, workspace: WorkspaceId, channel: ChannelId, stored: &str) -> Result<String> {
        let Some(sealed) = stored.strip_prefix(SEALED) else { return Ok(stored.to_owned()) };
        let damaged = || fault("a sealed webhook token cannot be read");
        let sealed = STANDARD.decode(sealed).map_err(|_| damaged())?;
        let plain = self.open_bytes(&token_context(workspace, channel), &sealed)?;
        String::from_utf8(plain).map_err(|_| damaged())
    }

    /// The id of the key that a webhook token was sealed with; `None` for one in clear.
    pub fn key_of_token(stored: &str) -> Option<u8> {
        STANDARD.decode(stored.strip_prefix(SEALED)?).ok()?.first().copied()
    }

    /// Whether a webhook token is in clear, or sealed with another key than the active one.
    pub fn is_stale_token(&self, stored: &str) -> bool {
        !stored.is_empty() && Self::key_of_token(stored) != Some(self.active)
    }

    /// Seals a value of the installation.
    ///
    /// # Errors
    /// As [`Keyring::seal`].
    pub(crate) fn seal_value(&self, name: &str, plain: &[u8]) -> Result<Vec<u8>> {
        self.seal_bytes(&value_context(name), plain)
    }

    /// Opens a value of the installation.
    ///
    /// # Errors
    /// As [`Keyring::open`].
    pub(crate) fn open_value(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        self.open_bytes(&value_context(name), sealed)
    }

    fn seal_bytes(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        let nonce_bytes = rand::random::<[u8; 24]>();
        let nonce = XNonce::from(nonce_bytes);
        let cipher = self.keys.get(&self.active).and_then(|keys| keys.first());
        let text = cipher
            .ok_or_else(|| fault("the sealing key is gone"))?
            .encrypt(&nonce, Payload { msg: plain, aad: context })
            .map_err(|_| Error::new(ErrorKind::Internal, "a configuration could not be sealed"))?;
        let mut sealed = Vec::with_capacity(25 + text.len());
        sealed.push(self.active);
        sealed.extend_from_slice(&nonce_bytes);
        sealed.extend_from_slice(&text);
        Ok(sealed)
    }

    /// Opens a sealed configuration.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where its key is not here, or it was sealed for another channel.
    pub fn open(&self, workspace: WorkspaceId, channel: ChannelId, sealed: &SealedConfig) -> Result<Vec<u8>> {
        self.open_bytes(&context(workspace, channel), &sealed.0)
    }

    fn open_bytes(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>> {
        let short = || fault("a sealed configuration is cut short");
        let (id, rest) = sealed.split_first().ok_or_else(short)?;
        let (nonce, text) = rest.split_at_checked(24).ok_or_else(short)?;
        let nonce: [u8; 24] = nonce.try_into().map_err(|_| short())?;
        let ciphers = self.keys.get(id).ok_or_else(|| {
            fault("a configuration was sealed with a key that is not in secrets.keys")
                .with_context("key_id", id.to_string())
        })?;
        let nonce = XNonce::from(nonce);
        let opened = ciphers
            .iter()
            .find_map(|cipher| cipher.decrypt(&nonce, Payload { msg: text, aad: context }).ok());
        opened.ok_or_else(|| {
            fault("what is sealed does not open: it was sealed with another key of the same id, for something else, or was changed")
                .with_context("key_id", id.to_string())
        })
    }

    /// Whether a sealed configuration should be sealed anew with the active key.
    pub fn is_stale(&self, sealed: &SealedConfig) -> bool {
        Self::key_of(sealed) != Some(self.active)
    }
}

fn context(workspace: WorkspaceId, channel: ChannelId) -> [u8; 32] {
    let mut context = [0; 32];
    context[..16].copy_from_slice(workspace.as_uuid().as_bytes());
    context[16..].copy_from_slice(channel.as_uuid().as_bytes());
    context
}

fn token_context(workspace: WorkspaceId, channel: ChannelId) -> Vec<u8> {
    [&context(workspace, channel)[..], b"webhook token"].concat()
}

fn value_context(name: &str) -> Vec<u8> {
    [b"installation ", name.as_bytes()].concat()
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    sync_folder(path)
}

/// Makes the names in the folder of a file durable.
#[cfg(unix)]
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
const fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u8, fill: u8) -> String {
        format!("{id}:{}", STANDARD.encode([fill; 32]))
    }

    #[test]
    fn opens_only_for_the_channel_it_was_sealed_for_and_after_rotation() {
        let ids = (
            WorkspaceId::from_uuid(uuid::Uuid::from_u128(1)),
            ChannelId::from_uuid(uuid::Uuid::from_u128(2)),
        );
        let old = Keyring::parse(&key(1, 7)).unwrap();
        let sealed = old.seal(ids.0, ids.1, b"{}").unwrap();
        let rotated = Keyring::parse(&format!("{},{}", key(2, 8), key(1, 7))).unwrap();
        assert_eq!(rotated.open(ids.0, ids.1, &sealed).unwrap(), b"{}");
        assert!(rotated.is_stale(&sealed));
        assert!(rotated.open(ids.0, ChannelId::from_uuid(uuid::Uuid::from_u128(3)), &sealed).is_err());
        assert!(Keyring::parse(&key(2, 8)).unwrap().open(ids.0, ids.1, &sealed).is_err());
    }

    #[test]
    fn wrong_keys_are_refused_without_being_repeated() {
        for text in ["", "1", "1:AAAA", "x:AAAA"] {
            let error = Keyring::parse(text).unwrap_err().to_string();
            assert!(!error.contains("AAAA"), "{error}");
        }
    }

    #[test]
    fn a_webhook_token_is_sealed_for_its_channel_and_an_old_one_is_read() {
        let ids = |number| {
            let channel = ChannelId::from_uuid(uuid::Uuid::from_u128(number));
            (WorkspaceId::from_uuid(uuid::Uuid::from_u128(1)), channel)
        };
        let (keyring, (workspace, channel)) = (Keyring::parse(&key(1, 7)).unwrap(), ids(2));
        let sealed = keyring.seal_token(workspace, channel, "some-token").unwrap();
        assert!(!sealed.contains("some-token") && !keyring.is_stale_token(&sealed));
        assert_eq!(keyring.open_token(workspace, channel, &sealed).unwrap(), "some-token");
        assert!(keyring.open_token(workspace, ids(3).1, &sealed).is_err());
        assert_eq!(keyring.open_token(workspace, channel, "old-token").unwrap(), "old-token");
        assert!(keyring.is_stale_token("old-token") && !keyring.is_stale_token(""));
        assert!(Keyring::parse(&key(2, 7)).unwrap().is_stale_token(&sealed));
    }

    #[test]
    fn a_key_that_was_found_again_stands_beside_one_of_the_same_id() {
        let ids = (
            WorkspaceId::from_uuid(uuid::Uuid::from_u128(1)),
            ChannelId::from_uuid(uuid::Uuid::from_u128(2)),
        );
        let sealed = |fill| Keyring::parse(&key(1, fill)).unwrap().seal(ids.0, ids.1, &[fill]).unwrap();
        let both = Keyring::parse(&format!("{}\n{}", key(1, 8), key(1, 7))).unwrap();
        for fill in [7, 8] {
            assert_eq!(both.open(ids.0, ids.1, &sealed(fill)).unwrap(), [fill]);
        }
        assert!(both.open(ids.0, ids.1, &sealed(9)).is_err());
        assert!(Keyring::parse(&format!("{},{}", key(1, 7), key(1, 7))).is_err());
    }
}
