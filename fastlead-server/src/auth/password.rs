//! Passwords: argon2id in PHC string format.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use fastlead_core::secret::Secret;
use fastlead_core::{Error, ErrorKind, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a hash costs: 7 MiB and five passes, which the OWASP Password Storage Cheat Sheet names as equal to 19 MiB and
/// two. A server that many sign in to at once stays small. Hashes of other costs keep theirs.
const COSTS: Params = match Params::new(7_168, 5, 1, Some(Params::DEFAULT_OUTPUT_LEN)) {
    Ok(costs) => costs,
    Err(_) => Params::DEFAULT,
};
/// Shorter ones are refused.
const MIN_CHARS: usize = 10;
/// Longer ones are refused: hashing must not be made expensive from outside.
const MAX_BYTES: usize = 1_024;
/// How many hashes are made at once; each needs memory and a processor. Known devices have a place of their own.
const AT_ONCE: usize = 2;
/// How many attempts wait for a place; more are refused at once.
const WAITING: usize = 32;

/// Verifies passwords, a few at a time.
#[derive(Debug)]
pub(super) struct Passwords {
    /// What an unknown login is compared with.
    nobody: Secret<String>,
    strangers: Queue,
    known: Queue,
}

/// Who wants a password verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Whoever tries.
    Strangers,
    /// A device from which the same person has signed in, or somebody who is signed in.
    Known,
}

/// Places for hashing, and how many may wait for one.
#[derive(Debug)]
struct Queue {
    places: Arc<Semaphore>,
    waiting: Semaphore,
}

impl Queue {
    fn new(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), waiting: Semaphore::new(WAITING) }
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// [`ErrorKind::Overloaded`] where too many wait already.
    async fn place(&self) -> Result<OwnedSemaphorePermit> {
        let full = |_| {
            Error::new(ErrorKind::Overloaded, "too many people sign in at once; try again in a moment")
                .with_operation("login")
        };
        let _waiting = self.waiting.try_acquire().map_err(full)?;
        Arc::clone(&self.places).acquire_owned().await.map_err(|_| internal("the server is stopping"))
    }
}

/// Hashes a password.
///
/// # Errors
/// [`ErrorKind::Invalid`] where it is too short or too long.
pub(crate) async fn hash_password(password: &str) -> Result<Secret<String>> {
    if password.chars().count() < MIN_CHARS {
        let message = format!("a password has at least {MIN_CHARS} characters");
        return Err(Error::new(ErrorKind::Invalid, message).with_operation("hash password"));
    }
    if password.len() > MAX_BYTES {
        let message = format!("a password has at most {MAX_BYTES} bytes");
        return Err(Error::new(ErrorKind::Invalid, message).with_operation("hash password"));
    }
    let password = Secret::from(password);
    blocking(move || {
        let hash = hasher().hash_password(password.expose().as_bytes());
        hash.map(|hash| Secret::new(hash.to_string())).map_err(|_| internal("a password could not be hashed"))
    })
    .await
}

impl Passwords {
    pub(super) fn new() -> Self {
        Self { nobody: nobody(), strangers: Queue::new(AT_ONCE), known: Queue::new(1) }
    }

    /// Whether the password is the one of `hash`; `false` where there is no hash, after the same work.
    pub(super) async fn verify(
        &self,
        password: Secret<String>,
        hash: Option<Secret<String>>,
        lane: Lane,
    ) -> Result<bool> {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.nobody.clone());
        let queue = match lane {
            Lane::Strangers => &self.strangers,
            Lane::Known => &self.known,
        };
        let place = queue.place().await?;
        let equal = blocking(move || {
            // Held until the hash is made, even where the caller has gone away.
            let _place = place;
            let text = password.expose();
            if text.len() > MAX_BYTES {
                return Ok(false);
            }
            let hash = PasswordHash::new(hash.expose())
                .map_err(|_| internal("a stored password hash cannot be read"))?;
            Ok(hasher().verify_password(text.as_bytes(), &hash).is_ok())
        })
        .await?;
        Ok(equal && known)
    }
}

/// A hash at the usual costs that no password is known to have. It is random, not made: making one would cost
/// every start its memory.
fn nobody() -> Secret<String> {
    let salt = STANDARD_NO_PAD.encode(rand::random::<[u8; 16]>());
    let output = STANDARD_NO_PAD.encode(rand::random::<[u8; Params::DEFAULT_OUTPUT_LEN]>());
    let (memory, passes, lanes) = (COSTS.m_cost(), COSTS.t_cost(), COSTS.p_cost());
    Secret::new(format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${output}"))
}

fn hasher() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, COSTS)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| internal("hashing was interrupted"))?
}

fn internal(message: &str) -> Error {
    Error::new(ErrorKind::Internal, message).with_operation("password")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_password_itself_verifies() {
        let passwords = Passwords::new();
        let hash = hash_password("correct horse").await.unwrap();
        assert!(hash.expose().starts_with("$argon2id$v=19$m=7168,t=5,p=1$"));
        assert!(
            passwords
                .verify(Secret::from("correct horse"), Some(hash.clone()), Lane::Strangers)
                .await
                .unwrap()
        );
        assert!(!passwords.verify(Secret::from("correct hors"), Some(hash), Lane::Strangers).await.unwrap());
        assert!(!passwords.verify(Secret::from("correct horse"), None, Lane::Strangers).await.unwrap());
    }

    #[tokio::test]
    async fn an_unknown_login_costs_what_a_known_one_costs() {
        let costs = |hash: &Secret<String>| {
            let hash = PasswordHash::new(hash.expose()).unwrap();
            let output = hash.hash.map(|output| output.len());
            (hash.algorithm.to_string(), hash.version, hash.params.to_string(), output)
        };
        let made = hash_password("correct horse").await.unwrap();
        assert_eq!(costs(&nobody()), costs(&made));
        assert_ne!(nobody().expose(), nobody().expose());
    }

    #[tokio::test]
    async fn a_hash_of_other_costs_verifies() {
        let old = Argon2::default().hash_password(b"correct horse").unwrap().to_string();
        assert!(old.contains("m=19456,t=2"), "{old}");
        let passwords = Passwords::new();
        assert!(
            passwords
                .verify(Secret::from("correct horse"), Some(Secret::new(old.clone())), Lane::Strangers)
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify(Secret::from("another horse"), Some(Secret::new(old)), Lane::Strangers)
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn short_passwords_are_refused_without_being_repeated() {
        let error = hash_password("letmein").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(!error.to_string().contains("letmein"));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_strangers_and_nobody_else() {
        let passwords = Passwords::new();
        let hash = hash_password("correct horse").await.unwrap();
        let places = passwords.strangers.places.acquire_many(2).await.unwrap();
        let attempt = || passwords.verify(Secret::from("wrong horse"), Some(hash.clone()), Lane::Strangers);
        let waiting = futures_util::future::join_all((0..WAITING).map(|_| attempt()));
        let mut waiting = std::pin::pin!(waiting);
        tokio::select! {
            biased;
            _ = waiting.as_mut() => panic!("nobody has a place"),
            () = std::future::ready(()) => {}
        }
        let refused = attempt().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Overloaded);
        let known = passwords.verify(Secret::from("correct horse"), Some(hash.clone()), Lane::Known);
        assert!(known.await.unwrap());
        drop(places);
        for result in waiting.await {
            assert!(!result.unwrap());
        }
    }
}
