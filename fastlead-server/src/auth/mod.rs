//! Who is who: passwords and tokens for people, keys for programs.

mod attempts;
mod keys;
mod operator;
mod password;
mod token;

use std::net::IpAddr;
use std::sync::Arc;

use fastlead_core::port::UserRecord;
use fastlead_core::secret::Secret;
use fastlead_core::time::Timestamp;
use fastlead_core::{Error, ErrorKind, Result, RetryHint};

pub use self::keys::NewApiKey;
pub use self::operator::{Actor, Denied, Operator};
pub(crate) use self::password::hash_password;
pub use self::token::Token;

use self::attempts::Attempts;
use self::password::Passwords;
use self::token::Tokens;
use crate::app::Backend;
use crate::settings::Settings;

/// The installation's own value under which the signing key is kept.
const SIGNING_KEY: &str = "jwt_key";

/// Knows who somebody is.
#[derive(Debug)]
pub struct Authenticator {
    store: Arc<dyn Backend>,
    tokens: Tokens,
    passwords: Passwords,
    attempts: Attempts,
}

impl Authenticator {
    /// Reads the signing key, which is made at the first start.
    ///
    /// # Errors
    /// Those of the store; [`ErrorKind::Internal`] where the key cannot be used.
    pub async fn load(store: Arc<dyn Backend>, settings: &Settings) -> Result<Self> {
        let key = store.init_setting(SIGNING_KEY, rand::random::<[u8; 32]>().to_vec()).await?;
        Ok(Self {
            tokens: Tokens::new(&key, settings.auth.token_ttl_secs)?,
            passwords: Passwords::new(),
            attempts: Attempts::default(),
            store,
        })
    }

    /// Signs a person in. An unknown login takes as long as a wrong password, and is answered alike.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`]; [`ErrorKind::RateLimited`] after too many attempts from one address or
    /// for one login; those of the store.
    pub async fn login(
        &self,
        login: &str,
        password: Secret<String>,
        ip: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Token> {
        self.attempts.check(login, ip).map_err(|wait| {
            Error::new(ErrorKind::RateLimited, "too many attempts to sign in; try again later")
                .with_operation("login")
                .with_retry(RetryHint::Safe { after: Some(wait) })
        })?;
        let user = self.store.user_by_login(login).await?;
        let hash = user.as_ref().map(|user| user.password_hash.clone());
        match (self.passwords.verify(password, hash).await?, user) {
            (true, Some(user)) => self.tokens.issue(&user, now),
            _ => {
                Err(Error::new(ErrorKind::Unauthenticated, "login or password is wrong")
                    .with_operation("login"))
            }
        }
    }

    /// Who sent a credential: a token from [`Authenticator::login`] or an API key.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`]; those of the store.
    pub async fn identify(&self, credential: &str, now: Timestamp) -> Result<Operator> {
        if credential.starts_with(keys::PREFIX) {
            let key = self.store.api_key_by_hash(keys::hash(credential)).await?;
            let key = key
                .filter(|key| key.revoked_at.is_none())
                .ok_or_else(|| refused("the API key is unknown or revoked"))?;
            return Ok(Operator {
                workspace_id: key.workspace_id,
                role: key.role,
                actor: Actor::ApiKey(key.id),
            });
        }
        let claims = self.tokens.read(credential, now)?;
        let user = self.store.user(claims.user).await?;
        let good = |user: &UserRecord| {
            user.workspace_id == claims.workspace && claims.issued_at >= user.tokens_valid_from.timestamp()
        };
        let user =
            user.filter(good).ok_or_else(|| refused("the token is not good any more; sign in again"))?;
        // The role is the one of today, not the one of the moment of issue.
        Ok(Operator { workspace_id: user.workspace_id, role: user.role, actor: Actor::User(user.id) })
    }
}

fn refused(message: &str) -> Error {
    Error::new(ErrorKind::Unauthenticated, message).with_operation("authenticate")
}
