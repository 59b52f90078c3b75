//! Tokens for people: JWT signed with HMAC-SHA-256 (RFC 7519, RFC 7518 section 3.2).

use fastlead_core::id::{UserId, WorkspaceId};
use fastlead_core::port::{Role, UserRecord};
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
    ws: WorkspaceId,
    role: Role,
    iat: i64,
    exp: i64,
}

/// What the server believes of a token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Believed {
    pub(super) user: UserId,
    pub(super) workspace: WorkspaceId,
    /// Seconds since the Unix epoch.
    pub(super) issued_at: i64,
}

/// Makes and reads tokens.
pub(super) struct Tokens {
    signing: EncodingKey,
    reading: DecodingKey,
    validation: Validation,
    ttl_secs: u64,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("ttl_secs", &self.ttl_secs).finish_non_exhaustive()
    }
}

impl Tokens {
    pub(super) fn new(key: &[u8], ttl_secs: u64) -> Result<Self> {
        // An error says that one is installed already: by us, or by a program that embeds the server.
        let _installed_before = PROVIDER.install_default();
        if key.len() < 32 {
            return Err(Error::new(ErrorKind::Config, "the stored signing key is too short")
                .with_operation("open tokens"));
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        // The moment is compared below, with the clock that the whole server goes by.
        validation.validate_exp = false;
        Ok(Self {
            signing: EncodingKey::from_secret(key),
            reading: DecodingKey::from_secret(key),
            validation,
            ttl_secs,
        })
    }

    pub(super) fn issue(&self, user: &UserRecord, now: Timestamp) -> Result<Token> {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: user.id,
            ws: user.workspace_id,
            role: user.role,
            iat: now.timestamp(),
            exp: now.timestamp().saturating_add(i64::try_from(self.ttl_secs).unwrap_or(i64::MAX)),
        };
        let text =
            jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing).map_err(|_| {
                Error::new(ErrorKind::Internal, "a token could not be signed").with_operation("login")
            })?;
        Ok(Token { secret: Secret::new(text), expires_in: self.ttl_secs, role: user.role })
    }

    pub(super) fn read(&self, token: &str, now: Timestamp) -> Result<Believed> {
        let claims = jsonwebtoken::decode::<Claims>(token, &self.reading, &self.validation)
            .map_err(|_| super::refused("the token is not valid; sign in again"))?
            .claims;
        if claims.exp <= now.timestamp() {
            return Err(super::refused("the token has expired; sign in again"));
        }
        Ok(Believed { user: claims.sub, workspace: claims.ws, issued_at: claims.iat })
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
        }
    }

    #[test]
    fn a_token_is_good_until_its_moment_and_only_with_its_key() {
        let tokens = Tokens::new(&[7; 32], 60).unwrap();
        let token = tokens.issue(&user(), epoch()).unwrap();
        let text = token.secret.expose();
        assert_eq!(tokens.read(text, plus_seconds(epoch(), 59)).unwrap().user, user().id);
        assert!(tokens.read(text, plus_seconds(epoch(), 60)).is_err());
        assert!(Tokens::new(&[8; 32], 60).unwrap().read(text, epoch()).is_err());
    }

    #[test]
    fn unsigned_and_altered_tokens_are_refused() {
        let tokens = Tokens::new(&[7; 32], 60).unwrap();
        let token = tokens.issue(&user(), epoch()).unwrap();
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
}
