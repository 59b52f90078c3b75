//! The key of the simulated installation. It is public, signs nothing else, and is here because no crate of ours makes keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

/// PKCS#1 in base64: `openssl genrsa -traditional 2048`, without the lines around it.
const PRIVATE: &str = concat!(
    "MIIEowIBAAKCAQEAs0MEmb5elwBAqFUSmDTb3OeoqbatBIzLsF0/bPeuzQxE5FoGKlVuKM6ru0hGYPJz46kDLrLH0jc+kkViQGV0",
    "sTslYgoHCYRnwYxMYEY1q2M/Stn59+AAc6XBtyEYWit0qlfL6cPe0IYEpledHJ+bk4hQXizow0sbSyzTCnF0P1fue5ri12kSJEWM",
    "H+Ozm5C9zmFcmPKihKiJkhg6PGzab9s0rEErf011vPoA4vFKYewPFsRXQSQOeuGZ/52OEAbc1X/v/z+ur7gWxdudh3N47acj6L0Q",
    "tu9TSr3fQ5zKmiVk2Q2Lg82jhwnCftnAk3Mbu/AJN+Qief3e5eust8CN2wIDAQABAoIBAA2KQjEzWhAGyAYkSDTF8qtzYLUnpAGZ",
    "eZMsipYPo/I/UH7SYUUrpxf0UFq44VQA9t7wd688eBpj64PUiNDQuP6Kt06kmkEjm/YDGQvBPIbhsWNVJpaMorbELjxyXAAHk0GA",
    "mIQ43r4aZASFI/azBDx3CeGrJmOwlchZA5HLiFp2Xbw7NsWuePALblBGstA3/uMSdsSyXidYMxTiUT9JGABMgModS8I5XJer4Q9i",
    "uv3Vz+Dkp7kWfOlALowwVTPVOdGVZwlxPwAKSLYZ7/nD8X2AuM0nEHPc+BivpTtVMJFqvtM86HvcTtdlqZbxweJuQ6zqQWTP7iwn",
    "cr1Yxsch3MECgYEA8cW4KwGkLI/oyvEtBdAaVspFqrA1Ocjv9kqgnvj1XjGKkLGLhESWD8bICRlN0bvaUdwFu5ucrd5NjOAH1+1b",
    "UcVOOwmJi74a+ZceV8enCAeEfQNpyMSgoEePhguUQ85eBcyQpSQMuCYlqklaOt60KFfhKRWDoanlYdarST2f5kECgYEAvc+VCpXL",
    "CUDxieNSC24KMxuEYkSHGTFNufdzkN896UYSdPAlh2XBMMvpIcrxOSFRPBOpxyTZlEEflwVI+uHtE3j5tcctxkWuANkz9JR5T/5V",
    "+O58Y62ow4cIxdtdAkLWXWdDI7hynKGRzrChwhUrlQbabcDk05ZxpsLtZWdkBRsCgYBm3AGQenBIbSlTPewzruelyQR+q9zZKr28",
    "gN95At4RJu6WxJJgwXU+XQm5pURQWKV3ci4WNQwhhJRlvOJZYSgaz+CKiXI1O7nqOfq0ycIsTlZ1gUA+JDlaN1e+Zaq8dk3WFcPs",
    "HjwzFDeuDOsQZLMs/sZSXk7UNp3aVCQnUsp2gQKBgGZ11J1nKLexD/F//TzgRK877mVhWpAV1kBJvF96sp/mzHXFYGzLV9Lwb8Nn",
    "Gnnda02Dy8UNNkpaMSRDnRaYuHInfpxKjYIXAQvCM9KWBzpQL7Z1fj4McypBDVJIzNc4nyDCajKxEWVNrjiljlwHM4R5s5VFaABz",
    "mJwNYzq26f37AoGBALv2fv1tr70CXL+9VH5Aylxt1gtAPcVCYi8gd8FajEiUgQa92kRJgffRLTGy3P6gq9/jStRkt0eMxS7lxQgN",
    "n+LgVe7dCpdEA52rpon018EVkJGZBjNMITrQZLWPSfUhalKvga/X8xYaLis4bzTWnaUS1u0Xc/LTzMdOFWHGaNTN",
);
/// Its modulus in base64url, as `openssl rsa -modulus` prints it in hexadecimal.
const MODULUS: &str = concat!(
    "s0MEmb5elwBAqFUSmDTb3OeoqbatBIzLsF0_bPeuzQxE5FoGKlVuKM6ru0hGYPJz46kDLrLH0jc-kkViQGV0sTslYgoHCYRnwYxM",
    "YEY1q2M_Stn59-AAc6XBtyEYWit0qlfL6cPe0IYEpledHJ-bk4hQXizow0sbSyzTCnF0P1fue5ri12kSJEWMH-Ozm5C9zmFcmPKi",
    "hKiJkhg6PGzab9s0rEErf011vPoA4vFKYewPFsRXQSQOeuGZ_52OEAbc1X_v_z-ur7gWxdudh3N47acj6L0Qtu9TSr3fQ5zKmiVk",
    "2Q2Lg82jhwnCftnAk3Mbu_AJN-Qief3e5eust8CN2w",
);
pub(super) const ID: &str = "53b2904efe6e0e7c0069d8facc01d8b3189ab16a4147dad3e60e24f66d45e1fb";

/// What stands at `/.well-known/jwks.json`.
pub(super) fn key_set() -> Value {
    json!({ "keys": [{ "kty": "RSA", "n": MODULUS, "e": "AQAB", "kid": ID, "use": "sig", "alg": "RS256" }] })
}

/// `X-Postal-Signature-256`; empty where the key cannot be read, which a test holds.
pub(super) fn signature(body: &[u8]) -> String {
    let pair = STANDARD.decode(PRIVATE).ok().and_then(|der| RsaKeyPair::from_der(&der).ok());
    let Some(pair) = pair else { return String::new() };
    let mut signature = vec![0; pair.public().modulus_len()];
    match pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), body, &mut signature) {
        Ok(()) => STANDARD.encode(signature),
        Err(_) => String::new(),
    }
}
