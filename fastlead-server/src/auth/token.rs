//! Tokens for people: JWT signed with HMAC-SHA-256 (RFC 7519, RFC 7518 section 3.2).

use std::collections::BTreeMap;

use fastlead_core::id::{SessionId, UserId, WorkspaceId};
use fastlead_core::port::{Role, SessionRecord, UserRecord};
use fastlead_core::secret::Secret;
use fastlead_core::time::Timestamp;
use fastlead_core::{Error, ErrorKind, Result};
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind as JwtFault, Result as JwtResult};
use jsonwebtoken::signature::{Error as SignatureError, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::keyset::KeySet;

const ISSUER: &str = "fastlead";

/// A token, to be shown to its owner only.
#[derive(Debug, Clone)]
pub struct Token {
    /// The token itself.
    pub secret: Secret<String>,
    /// For how many seconds it is good.
    pub expires_in: u64,
    /// What its owner may do.
    pub role: Role,
}

/// What a token says.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: UserId,
    sid: SessionId,
    ws: WorkspaceId,
    role: Role,
    iat: i64,
    exp: i64,
}

/// What the server believes of a token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Believed {
    pub(super) user: UserId,
    pub(super) session: SessionId,
    pub(super) workspace: WorkspaceId,
    /// Seconds since the Unix epoch.
    pub(super) issued_at: i64,
}

/// Makes and reads tokens.
pub(super) struct Tokens {
    /// The key that signs, with its id.
    signing: (String, EncodingKey),
    /// Keys that are believed, by id.
    reading: BTreeMap<String, DecodingKey>,
    validation: Validation,
    ttl_secs: u64,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("ttl_secs", &self.ttl_secs).finish_non_exhaustive()
    }
}

impl Tokens {
    pub(super) fn new(keys: &KeySet, ttl_secs: u64) -> Result<Self> {
        // An error says that one is installed already: by us, or by a program that embeds the server.
        let _installed_before = PROVIDER.install_default();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        // The moment is compared below, with the clock that the whole server goes by.
        validation.validate_exp = false;
        Ok(Self {
            signing: (keys.current().kid().to_owned(), EncodingKey::from_secret(keys.current().bytes())),
            reading: keys
                .all()
                .map(|key| (key.kid().to_owned(), DecodingKey::from_secret(key.bytes())))
                .collect(),
            validation,
            ttl_secs,
        })
    }

    /// Makes a token that ends with its session at the latest.
    pub(super) fn issue(&self, user: &UserRecord, session: &SessionRecord, now: Timestamp) -> Result<Token> {
        let left = u64::try_from((session.expires_at - now).num_seconds()).unwrap_or(0);
        let ttl_secs = self.ttl_secs.min(left);
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: user.id,
            sid: session.id,
            ws: user.workspace_id,
            role: user.role,
            iat: now.timestamp(),
            exp: now.timestamp().saturating_add(i64::try_from(ttl_secs).unwrap_or(i64::MAX)),
        };
        let (kid, key) = &self.signing;
        let header = Header { kid: Some(kid.clone()), ..Header::new(Algorithm::HS256) };
        let text = jsonwebtoken::encode(&header, &claims, key).map_err(|_| {
            Error::new(ErrorKind::Internal, "a token could not be signed").with_operation("login")
        })?;
        Ok(Token { secret: Secret::new(text), expires_in: ttl_secs, role: user.role })
    }

    pub(super) fn read(&self, token: &str, now: Timestamp) -> Result<Believed> {
        let invalid = || super::refused("the token is not valid; sign in again");
        let kid =
            jsonwebtoken::decode_header(token).ok().and_then(|header| header.kid).ok_or_else(invalid)?;
        let key = self.reading.get(&kid).ok_or_else(invalid)?;
        let decoded = jsonwebtoken::decode::<Claims>(token, key, &self.validation);
        let claims = decoded.map_err(|_| invalid())?.claims;
        let now = now.timestamp();
        if claims.iat > now.saturating_add(super::LEEWAY_SECS) {
            return Err(super::refused("the token is from the future; sign in again"));
        }
        // Whatever a token says, it is good for no longer than this server gives.
        let longest = i64::try_from(self.ttl_secs).unwrap_or(i64::MAX);
        if claims.exp.min(claims.iat.saturating_add(longest)) <= now {
            return Err(super::refused("the token has expired; sign in again"));
        }
        Ok(Believed { user: claims.sub, session: claims.sid, workspace: claims.ws, issued_at: claims.iat })
    }
}

/// HS256 and nothing else: the crate's own providers bring RSA and elliptic curves along.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| match algorithm {
        Algorithm::HS256 => Ok(Box::new(HmacSha256::new(key.as_bytes())?)),
        _ => Err(JwtFault::InvalidAlgorithm.into()),
    },
    verifier_factory: |algorithm, key| match algorithm {
        Algorithm::HS256 => Ok(Box::new(HmacSha256::new(key.try_get_as_bytes()?)?)),
        _ => Err(JwtFault::InvalidAlgorithm.into()),
    },
    key_utils: KeyUtils::new_unimplemented(),
};

struct HmacSha256(Hmac<Sha256>);

impl HmacSha256 {
    fn new(key: &[u8]) -> JwtResult<Self> {
        Hmac::new_from_slice(key).map(Self).map_err(|_| JwtFault::InvalidKeyFormat.into())
    }
}

impl Signer<Vec<u8>> for HmacSha256 {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, SignatureError> {
        Ok(self.0.clone().chain_update(message).finalize().into_bytes().to_vec())
    }
}

impl Verifier<Vec<u8>> for HmacSha256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), SignatureError> {
        self.0.clone().chain_update(message).verify_slice(signature).map_err(|_| SignatureError::new())
    }
}

impl JwtSigner for HmacSha256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for HmacSha256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use fastlead_core::secret::Pii;
    use fastlead_core::time::{epoch, plus_seconds};

    use super::*;

    fn user() -> UserRecord {
        UserRecord {
            id: UserId::from_uuid(uuid::Uuid::from_u128(1)),
            workspace_id: WorkspaceId::from_uuid(uuid::Uuid::from_u128(2)),
            login: Pii::from("anna"),
            password_hash: Secret::from(""),
            role: Role::Operator,
            created_at: epoch(),
            tokens_valid_from: epoch(),
            disabled_at: None,
        }
    }

    fn session(seconds: u64) -> SessionRecord {
        SessionRecord {
            id: SessionId::from_uuid(uuid::Uuid::from_u128(3)),
            user_id: user().id,
            workspace_id: user().workspace_id,
            created_at: epoch(),
            expires_at: plus_seconds(epoch(), seconds),
            last_used_at: epoch(),
            address: None,
            client: None,
            ended_at: None,
        }
    }

    fn tokens(keys: &[u8], ttl_secs: u64) -> Tokens {
        Tokens::new(&KeySet::sample(keys), ttl_secs).unwrap()
    }

    #[test]
    fn a_token_is_good_until_its_moment_and_only_with_its_key() {
        let tokens = tokens(&[7], 60);
        let token = tokens.issue(&user(), &session(600), epoch()).unwrap();
        let text = token.secret.expose();
        assert_eq!(tokens.read(text, plus_seconds(epoch(), 59)).unwrap().user, user().id);
        assert!(tokens.read(text, plus_seconds(epoch(), 60)).is_err());
        assert!(self::tokens(&[8], 60).read(text, epoch()).is_err());
    }

    #[test]
    fn unsigned_and_altered_tokens_are_refused() {
        let tokens = tokens(&[7], 60);
        let token = tokens.issue(&user(), &session(600), epoch()).unwrap();
        let parts: Vec<&str> = token.secret.expose().split('.').collect();
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        let admin = String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).unwrap())
            .unwrap()
            .replace("operator", "admin");
        let admin = URL_SAFE_NO_PAD.encode(admin);
        for altered in [
            format!("{none}.{}.", parts[1]),
            format!("{none}.{}.{}", parts[1], parts[2]),
            format!("{}.{admin}.{}", parts[0], parts[2]),
            format!("{}.{}.", parts[0], parts[1]),
            String::new(),
            "a.b.c".to_owned(),
        ] {
            assert!(tokens.read(&altered, epoch()).is_err(), "{altered}");
        }
    }

    #[test]
    fn an_old_key_is_believed_beside_the_new_one_and_no_token_outlives_its_session() {
        let old = tokens(&[7], 60).issue(&user(), &session(600), epoch()).unwrap();
        assert!(tokens(&[8, 7], 60).read(old.secret.expose(), epoch()).is_ok());
        let short = tokens(&[8, 7], 60).issue(&user(), &session(5), epoch()).unwrap();
        assert_eq!(short.expires_in, 5);
        assert!(tokens(&[8], 60).read(short.secret.expose(), plus_seconds(epoch(), 5)).is_err());
    }

    /// As whoever has the key could sign it.
    #[test]
    fn nothing_is_good_for_longer_than_the_server_gives_or_from_the_future() {
        let thirty_years = tokens(&[7], 946_080_000).issue(&user(), &session(946_080_000), epoch()).unwrap();
        let read = |ttl_secs, after| {
            tokens(&[7], ttl_secs).read(thirty_years.secret.expose(), plus_seconds(epoch(), after))
        };
        assert!(read(60, 59).is_ok());
        assert!(read(60, 60).is_err());
        let later = tokens(&[7], 60).issue(&user(), &session(6_000), plus_seconds(epoch(), 3_600)).unwrap();
        assert!(tokens(&[7], 60).read(later.secret.expose(), epoch()).is_err());
    }
}
