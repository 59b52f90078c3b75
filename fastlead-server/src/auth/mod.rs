//! Who is who: passwords, sessions and tokens for people, keys for programs.

mod attempts;
pub(crate) mod cookie;
mod device;
mod keys;
mod operator;
mod password;
pub(crate) mod scopes;
mod token;

use std::net::IpAddr;
use std::sync::Arc;

use chrono::TimeDelta;
use fastlead_core::id::{IdSource, SessionId, UserId};
use fastlead_core::port::{Quota, SessionRecord, UserRecord};
use fastlead_core::secret::{Pii, Secret};
use fastlead_core::time::{Timestamp, plus_seconds};
use fastlead_core::{Error, ErrorKind, Result, RetryHint};
use tokio::sync::Mutex;

pub use self::cookie::SessionCookie;
pub(crate) use self::device::{COOKIE as DEVICE_COOKIE, KEPT_SECS as DEVICE_KEPT_SECS};
pub use self::keys::NewApiKey;
pub(crate) use self::operator::require_own_page;
pub use self::operator::{Actor, Admin, Denied, Operator};
pub(crate) use self::password::hash_password;
pub use self::token::Token;

use self::attempts::Attempts;
use self::device::Device;
use self::password::{Lane, Passwords};
use self::token::Tokens;
use crate::app::Backend;
use crate::keyset::{self, KeySet};
use crate::seal::Keyring;
use crate::settings::Settings;

/// A use is noted once in this time.
const NOTED_EVERY: TimeDelta = TimeDelta::minutes(1);
/// Clocks of several machines may differ by so many seconds.
const LEEWAY_SECS: i64 = 60;

/// Knows who somebody is.
#[derive(Debug)]
pub struct Authenticator {
    store: Arc<dyn Backend>,
    tokens: Tokens,
    devices: KeySet,
    sessions: KeySet,
    passwords: Passwords,
    attempts: Attempts,
    session_secs: u64,
    browser_secs: u64,
}

/// What somebody who signs in has sent.
#[derive(Debug)]
pub struct SignIn<'a> {
    /// The name.
    pub login: &'a str,
    /// The password.
    pub password: Secret<String>,
    /// What a device has kept of an earlier sign-in.
    pub device: Option<&'a str>,
    /// The address that the request came from.
    pub ip: Option<IpAddr>,
    /// The program (`User-Agent`).
    pub client: Option<String>,
    /// How the session is kept.
    pub keeping: Keeping,
}

/// Who keeps the credential of a session, which says how long the session may last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// A program renews a token: for `auth.session_ttl_secs`.
    Token,
    /// A browser keeps a cookie: for `auth.browser_session_secs`, and no longer than `auth.session_ttl_secs` without use.
    Cookie,
}

/// Somebody who has signed in.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// The token.
    pub token: Token,
    /// What the device shall keep, so that strangers cannot keep its owner out.
    pub device: Secret<String>,
    /// The session's cookie, for a browser.
    pub cookie: SessionCookie,
    /// Who it is.
    pub operator: Operator,
}

/// Who has sent a credential, and which parts of the API it is for.
#[derive(Debug, Clone)]
pub struct Identified {
    /// Who it is.
    pub operator: Operator,
    /// Scopes of an API key; empty for everything that the role may.
    pub scopes: Vec<String>,
}

/// A session that was just opened, with both of its credentials.
struct Opened {
    session: SessionRecord,
    token: Token,
    cookie: SessionCookie,
}

impl Authenticator {
    /// Reads the keys that sign, which are made at the first start. Attempts to sign in are counted in `quota`.
    ///
    /// # Errors
    /// Those of the store; [`ErrorKind::Config`] where a key does not open.
    pub async fn load(
        store: Arc<dyn Backend>,
        keyring: &Keyring,
        settings: &Settings,
        quota: Arc<dyn Quota>,
        now: Timestamp,
    ) -> Result<Self> {
        let keys = KeySet::load(&*store, keyring, keyset::TOKENS, now).await?;
        Ok(Self {
            tokens: Tokens::new(&keys, settings.auth.token_ttl_secs)?,
            devices: KeySet::load(&*store, keyring, keyset::DEVICES, now).await?,
            sessions: KeySet::load(&*store, keyring, keyset::SESSIONS, now).await?,
            passwords: Passwords::new(),
            attempts: Attempts::new(quota),
            session_secs: settings.auth.session_ttl_secs,
            browser_secs: settings.auth.browser_session_secs,
            store,
        })
    }

    /// Signs a person in and opens a session. An unknown login takes as long as a wrong password, and is answered alike.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`]; [`ErrorKind::RateLimited`] after too many attempts from one address, or for one
    /// login from one address or device; [`ErrorKind::Overloaded`] where too many wait; those of the store.
    pub async fn login(&self, sign_in: SignIn<'_>, ids: &dyn IdSource, now: Timestamp) -> Result<SignedIn> {
        let SignIn { login, password, device, ip, client, keeping } = sign_in;
        let user = self.store.user_by_login(login).await?;
        let known = user.as_ref().zip(device);
        let known = known.and_then(|(user, text)| {
            Device::read(text, &self.devices, user.id, now).map(|device| (user.id, device))
        });
        let wait = match &known {
            Some((user, device)) => self.attempts.check_known(*user, device, now).await?,
            None => self.attempts.check(login, ip, now).await?,
        };
        wait.map_or(Ok(()), |wait| Err(too_many(wait)))?;
        let lane = if known.is_some() { Lane::Known } else { Lane::Strangers };
        let hash = user.as_ref().map(|user| user.password_hash.clone());
        let is_right = self.passwords.verify(password, hash, lane).await?;
        let Some(mut user) = user.filter(|user| is_right && user.disabled_at.is_none()) else {
            return Err(wrong());
        };
        if user.tokens_valid_from > now {
            // A clock that was wrong when the account was made or changed must not keep its owner out until then. What was
            // changed while the password was verified stays changed.
            user = self.unchanged(&user).await?;
            tracing::warn!(user = %user.id, "tokens of this user were to be valid from a later moment only; mended");
            user.tokens_valid_from = now;
            self.store.put_user(user.clone()).await?;
        }
        let opened = self.open(&user, (ip, client), keeping, ids, now).await?;
        let (workspace, id) = (opened.session.workspace_id, opened.session.id);
        // Whoever has reset the password or disabled the user meanwhile has ended the sessions of before, not this one.
        if let Err(error) = self.unchanged(&user).await {
            self.store.end_session(workspace, id, now).await?;
            return Err(error);
        }
        let device = known.map_or_else(Device::new, |(_, device)| device);
        let device = Secret::new(device.write(&self.devices, user.id, now));
        let operator = of(&user, id);
        Ok(SignedIn { token: opened.token, device, cookie: opened.cookie, operator })
    }

    /// Opens a session of the demo's own account for a browser, without a password: the demo answers this machine alone, and
    /// its password stands on the screen.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`] where nobody has this login; those of the store.
    pub(crate) async fn open_for_demo(
        &self,
        login: &str,
        ids: &dyn IdSource,
        now: Timestamp,
    ) -> Result<SessionCookie> {
        let user = self.store.user_by_login(login).await?.ok_or_else(wrong)?;
        Ok(self.open(&user, (None, None), Keeping::Cookie, ids, now).await?.cookie)
    }

    /// Opens a session, always a new one: nobody can make a person use a session that was known before.
    async fn open(
        &self,
        user: &UserRecord,
        (ip, client): (Option<IpAddr>, Option<String>),
        keeping: Keeping,
        ids: &dyn IdSource,
        now: Timestamp,
    ) -> Result<Opened> {
        let lasts_secs = match keeping {
            Keeping::Token => self.session_secs,
            Keeping::Cookie => self.browser_secs,
        };
        let session = SessionRecord {
            id: SessionId::generate(ids, now),
            user_id: user.id,
            workspace_id: user.workspace_id,
            created_at: now,
            expires_at: plus_seconds(now, lasts_secs),
            last_used_at: now,
            address: ip.map(|ip| Pii::new(ip.to_canonical().to_string())),
            client: client.map(Pii::new),
            ended_at: None,
        };
        let token = self.tokens.issue(user, &session, now)?;
        let cookie = SessionCookie::new(&self.sessions, session.id, lasts_secs);
        self.store.open_session(session.clone()).await?;
        Ok(Opened { session, token, cookie })
    }

    /// Makes another token for a session that goes on.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`] where it does not; those of the store.
    pub async fn renew(&self, user: UserId, session: SessionId, now: Timestamp) -> Result<Token> {
        let (user, session) = self.going_on(user, session, now).await?;
        self.tokens.issue(&user, &session, now)
    }

    /// Gives a person another password, where `current` is the one of today. All sessions but `session` end, and every token
    /// with them; the new token goes on. The change itself is made under `order`, the lock of whoever changes users.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where `current` is wrong or `new` cannot be used; [`ErrorKind::RateLimited`] after too many
    /// wrong ones; those of [`Authenticator::renew`].
    pub async fn change_password(
        &self,
        (user, session): (UserId, SessionId),
        current: Secret<String>,
        new: &Secret<String>,
        order: &Mutex<()>,
        now: Timestamp,
    ) -> Result<Token> {
        let (user, session) = self.going_on(user, session, now).await?;
        let device = Device { nonce: *session.id.as_uuid().as_bytes() };
        if let Some(wait) = self.attempts.check_known(user.id, &device, now).await? {
            return Err(too_many(wait));
        }
        if !self.passwords.verify(current, Some(user.password_hash.clone()), Lane::Known).await? {
            let wrong = Error::new(ErrorKind::Invalid, "current: this is not the password of today");
            return Err(wrong.with_operation("change password"));
        }
        let _order = order.lock().await;
        // Verifying takes a while: who was disabled or got another password meanwhile stays so.
        let (user, session) = self.going_on(user.id, session.id, now).await?;
        let user = set_password(&*self.store, user, new, Some(session.id), now).await?;
        self.tokens.issue(&user, &session, now)
    }

    /// Reads who sent a credential: a token from [`Authenticator::login`] or an API key.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`]; those of the store.
    pub async fn identify(&self, credential: &str, now: Timestamp) -> Result<Identified> {
        if credential.starts_with(keys::PREFIX) {
            let key = self.store.api_key_by_hash(keys::hash(credential)).await?;
            let key = key
                .filter(|key| key.revoked_at.is_none())
                .ok_or_else(|| refused("the API key is unknown or revoked"))?;
            if key.expires_at.is_some_and(|end| end <= now) {
                return Err(refused("the API key has expired; ask an administrator for another one"));
            }
            if key.last_used_at.is_none_or(|used| now - used >= NOTED_EVERY) {
                note(self.store.touch_api_key(key.id, now).await);
            }
            let (workspace_id, role, actor) = (key.workspace_id, key.role, Actor::ApiKey(key.id));
            return Ok(Identified { operator: Operator { workspace_id, role, actor }, scopes: key.scopes });
        }
        let claims = self.tokens.read(credential, now)?;
        let (user, session) = self.going_on(claims.user, claims.session, now).await?;
        if user.workspace_id != claims.workspace || claims.issued_at < user.tokens_valid_from.timestamp() {
            return Err(over());
        }
        self.note_use(&session, now).await;
        Ok(Identified { operator: of(&user, session.id), scopes: Vec::new() })
    }

    /// Reads whose session a cookie names. A use of it counts from then on.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`] where the session has ended, is over, was not used for too long, or was not opened here;
    /// those of the store.
    pub async fn identify_cookie(&self, cookie: &str, now: Timestamp) -> Result<Operator> {
        let id = cookie::read(cookie, &self.sessions).ok_or_else(over)?;
        let session = self.store.session(id).await?.ok_or_else(over)?;
        let (user, session) = self.going_on(session.user_id, id, now).await?;
        self.note_use(&session, now).await;
        Ok(of(&user, id))
    }

    async fn note_use(&self, session: &SessionRecord, now: Timestamp) {
        if now - session.last_used_at >= NOTED_EVERY {
            note(self.store.touch_session(session.id, now).await);
        }
    }

    /// Whether a session that was not ended is good now: not over, and used lately.
    pub(crate) fn is_current(&self, session: &SessionRecord, now: Timestamp) -> bool {
        now < session.expires_at && now < plus_seconds(session.last_used_at, self.session_secs)
    }

    /// The user as stored now, where the password is still that of `user` and signing in is allowed.
    async fn unchanged(&self, user: &UserRecord) -> Result<UserRecord> {
        let is_same = |today: &UserRecord| {
            today.disabled_at.is_none() && today.password_hash.expose() == user.password_hash.expose()
        };
        self.store.user(user.id).await?.filter(is_same).ok_or_else(wrong)
    }

    /// A session that was neither ended nor is over, and its user, who may sign in.
    async fn going_on(
        &self,
        user: UserId,
        session: SessionId,
        now: Timestamp,
    ) -> Result<(UserRecord, SessionRecord)> {
        let session = self.store.session(session).await?;
        let goes_on = |session: &SessionRecord| {
            session.user_id == user && session.ended_at.is_none() && self.is_current(session, now)
        };
        let session = session.filter(goes_on).ok_or_else(over)?;
        let user = self.store.user(user).await?.filter(|user| user.disabled_at.is_none()).ok_or_else(over)?;
        Ok((user, session))
    }
}

/// Gives a user another password and ends all of its sessions but `keep`.
///
/// # Errors
/// [`ErrorKind::Invalid`] where the password is too short or too long; those of the store.
pub(crate) async fn set_password(
    store: &dyn Backend,
    user: UserRecord,
    password: &Secret<String>,
    keep: Option<SessionId>,
    now: Timestamp,
) -> Result<UserRecord> {
    let password_hash = hash_password(password.expose()).await?;
    let user = UserRecord { password_hash, tokens_valid_from: now, ..user };
    store.put_user(user.clone()).await?;
    store.end_sessions(user.id, keep, now).await?;
    Ok(user)
}

/// Whether this is the password of a user.
///
/// # Errors
/// [`ErrorKind::Internal`] where the stored hash cannot be read.
pub(crate) async fn is_password_of(password: &str, user: &UserRecord) -> Result<bool> {
    Passwords::new().verify(Secret::from(password), Some(user.password_hash.clone()), Lane::Known).await
}

/// The role is the one of today, not the one of the moment at which the credential was made.
const fn of(user: &UserRecord, session: SessionId) -> Operator {
    let actor = Actor::User { id: user.id, session };
    Operator { workspace_id: user.workspace_id, role: user.role, actor }
}

/// A use that could not be noted does not refuse the request.
fn note(noted: Result<()>) {
    if let Err(error) = noted {
        tracing::warn!(%error, "the use of a session or key was not noted");
    }
}

fn too_many(wait: std::time::Duration) -> Error {
    Error::new(ErrorKind::RateLimited, "too many attempts to sign in; try again later")
        .with_operation("login")
        .with_retry(RetryHint::Safe { after: Some(wait) })
}

fn wrong() -> Error {
    Error::new(ErrorKind::Unauthenticated, "login or password is wrong").with_operation("login")
}

fn refused(message: &str) -> Error {
    Error::new(ErrorKind::Unauthenticated, message).with_operation("authenticate")
}

fn over() -> Error {
    refused("the token is not good any more; sign in again")
}
