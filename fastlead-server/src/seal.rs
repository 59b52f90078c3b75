//! Channel credentials are sealed at rest: XChaCha20-Poly1305, with the id of the key beside the text.
//!
//! A sealed text is `key id (1 byte) ‖ nonce (24) ‖ ciphertext`, bound to the workspace and the channel,
//! so that a row copied to another tenant does not open.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use fastlead_core::id::{ChannelId, WorkspaceId};
use fastlead_core::port::SealedConfig;
use fastlead_core::{Error, ErrorKind, Result};

/// The keys that open, and the one that seals.
pub struct Keyring {
    active: u8,
    keys: BTreeMap<u8, XChaCha20Poly1305>,
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
        let mut keys = BTreeMap::new();
        for pair in text.split([',', '\n']).map(str::trim).filter(|pair| !pair.is_empty()) {
            let (id, key) =
                pair.split_once(':').ok_or_else(|| fault("secrets.keys: expected `id:key` pairs"))?;
            let id: u8 =
                id.trim().parse().map_err(|_| fault("secrets.keys: a key id is a number from 0 to 255"))?;
            let bytes = STANDARD
                .decode(key.trim())
                .map_err(|_| fault("secrets.keys: a key is 32 bytes in base64"))?;
            let bytes: [u8; 32] = bytes.try_into().map_err(|_| fault("secrets.keys: a key has 32 bytes"))?;
            if keys.insert(id, XChaCha20Poly1305::new(&Key::from(bytes))).is_some() {
                return Err(fault("secrets.keys: a key id stands twice"));
            }
            active.get_or_insert(id);
        }
        let active = active.ok_or_else(|| fault("secrets.keys: there is no key"))?;
        Ok(Self { active, keys })
    }

    /// The keys in the file, which is made with one new key where it does not exist.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where the file cannot be read or written.
    pub fn load_or_create(path: &Path) -> Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let text = format!("1:{}\n", STANDARD.encode(rand::random::<[u8; 32]>()));
                write_private(path, &text).map_err(|error| {
                    fault("the key file beside the database cannot be written")
                        .with_context("cause", error.kind().to_string())
                })?;
                Self::parse(&text)
            }
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
        let nonce_bytes = rand::random::<[u8; 24]>();
        let nonce = XNonce::from(nonce_bytes);
        let context = context(workspace, channel);
        let cipher = self.keys.get(&self.active).ok_or_else(|| fault("the sealing key is gone"))?;
        let text = cipher
            .encrypt(&nonce, Payload { msg: plain, aad: &context })
            .map_err(|_| Error::new(ErrorKind::Internal, "a configuration could not be sealed"))?;
        let mut sealed = Vec::with_capacity(25 + text.len());
        sealed.push(self.active);
        sealed.extend_from_slice(&nonce_bytes);
        sealed.extend_from_slice(&text);
        Ok(SealedConfig(sealed))
    }

    /// Opens a sealed configuration.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where its key is not here, or it was sealed for another channel.
    pub fn open(&self, workspace: WorkspaceId, channel: ChannelId, sealed: &SealedConfig) -> Result<Vec<u8>> {
        let short = || fault("a sealed configuration is cut short");
        let (id, rest) = sealed.0.split_first().ok_or_else(short)?;
        let (nonce, text) = rest.split_at_checked(24).ok_or_else(short)?;
        let nonce: [u8; 24] = nonce.try_into().map_err(|_| short())?;
        let cipher = self.keys.get(id).ok_or_else(|| {
            fault("a configuration was sealed with a key that is not in secrets.keys")
                .with_context("key_id", id.to_string())
        })?;
        let context = context(workspace, channel);
        cipher.decrypt(&XNonce::from(nonce), Payload { msg: text, aad: &context }).map_err(|_| {
            fault("a sealed configuration does not open: it was changed, or sealed for another channel")
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
}
