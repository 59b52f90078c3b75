//! What Meta asks and posts: the confirmation of the address, and events.

use bytes::Bytes;
use fastlead_core::secret::Secret;
use fastlead_core::webhook::{Verified, WebhookBatch, WebhookReceiver, WebhookReply, WebhookRequest};
use fastlead_core::{Error, ErrorKind, Result};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use url::form_urlencoded;

use super::adapter::KIND;
use super::config::WhatsAppConfig;
use super::inbound::read_events;
use super::window::Windows;
use super::wire::Envelope;

const SIGNATURE_HEADER: &str = "x-hub-signature-256";
/// Meta's challenges are numbers of ten digits. The answer repeats what came, so it must not be a page.
const LONGEST_CHALLENGE: usize = 128;

#[derive(Debug)]
pub(super) struct WhatsAppWebhook {
    app_secret: Secret<String>,
    verify_token: Secret<String>,
    phone_number_id: String,
    windows: Windows,
}

impl WhatsAppWebhook {
    /// `None` where no secret is set: anybody could pretend to be Meta.
    pub(super) fn of(config: &WhatsAppConfig, windows: &Windows) -> Option<Self> {
        Some(Self {
            app_secret: config.app_secret.clone()?,
            verify_token: config.verify_token.clone()?,
            phone_number_id: config.phone_number_id.clone(),
            windows: windows.clone(),
        })
    }

    /// `sha256=` and the hexadecimal HMAC of the bytes as they came.
    fn signature(&self, body: &[u8]) -> Result<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.app_secret.expose().as_bytes())
            .map_err(|_| error(ErrorKind::Internal, "verify", "the app secret is no key"))?;
        mac.update(body);
        Ok(format!("sha256={}", hex::encode(mac.finalize().into_bytes())))
    }
}

fn error(kind: ErrorKind, operation: &'static str, message: &'static str) -> Error {
    Error::new(kind, message).with_adapter(KIND).with_operation(operation)
}

/// The value of a field of the query. Twice is refused: which one counts must not be left to the reader.
fn field(query: &str, name: &str) -> Result<String> {
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(field, _)| field == name);
    let value = values.next().map(|(_, value)| value.into_owned()).unwrap_or_default();
    match values.next() {
        None => Ok(value),
        Some(_) => Err(error(ErrorKind::Invalid, "verify", "a field came twice")),
    }
}

impl WebhookReceiver for WhatsAppWebhook {
    /// A `GET` confirms the address and is believed by the verify token; a `POST` is believed by the signature over its raw
    /// bytes.
    fn verify<'a>(&self, request: WebhookRequest<'a>) -> Result<Verified<'a>> {
        let verified = match request.method {
            "GET" => {
                let given = field(request.query, "hub.verify_token")?;
                Verified::by_equal(request, self.verify_token.expose().as_bytes(), given.as_bytes())
            }
            "POST" => {
                let expected = self.signature(request.body)?;
                let given = request.header(SIGNATURE_HEADER).unwrap_or_default().to_ascii_lowercase();
                Verified::by_equal(request, expected.as_bytes(), given.as_bytes())
            }
            _ => return Err(error(ErrorKind::Invalid, "verify", "meta calls with get and post only")),
        };
        verified.map_err(|error| error.with_adapter(KIND))
    }

    fn parse(&self, request: &Verified<'_>) -> Result<WebhookBatch> {
        let request = request.request();
        if request.method == "GET" {
            return confirmation(request.query);
        }
        let envelope: Envelope = serde_json::from_slice(request.body)
            .map_err(|_| error(ErrorKind::Invalid, "parse", "the body is not a notification of meta"))?;
        let events = read_events(envelope, &self.phone_number_id, &self.windows, request.received_at);
        Ok(WebhookBatch { events, reply: WebhookReply::ok("ok") })
    }
}

/// Repeats the challenge.
fn confirmation(query: &str) -> Result<WebhookBatch> {
    let challenge = field(query, "hub.challenge")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_plain = (1..=LONGEST_CHALLENGE).contains(&challenge.len()) && challenge.bytes().all(plain);
    if field(query, "hub.mode")? != "subscribe" || !is_plain {
        return Err(error(ErrorKind::Invalid, "parse", "the query is not a confirmation of meta"));
    }
    let reply = WebhookReply { body: Bytes::from(challenge), ..WebhookReply::ok("") };
    Ok(WebhookBatch { events: Vec::new(), reply })
}

#[cfg(test)]
mod tests {
    use fastlead_core::time::epoch;

    use super::*;

    const SECRET: &str = "app-secret";

    fn webhook() -> WhatsAppWebhook {
        let mut config = WhatsAppConfig::new("EAAB".into(), "1122334455667");
        config.app_secret = Some(SECRET.into());
        config.verify_token = Some("verify-me".into());
        WhatsAppWebhook::of(&config, &Windows::default()).unwrap()
    }

    fn request<'a>(headers: &'a [(&'a str, &'a [u8])], body: &'a [u8]) -> WebhookRequest<'a> {
        WebhookRequest { method: "POST", query: "", headers, body, remote: None, received_at: epoch() }
    }

    /// `printf '%s' '{"object":"whatsapp_business_account","entry":[]}' | openssl dgst -sha256 -hmac app-secret`.
    const EMPTY: &[u8] = br#"{"object":"whatsapp_business_account","entry":[]}"#;
    const EMPTY_SIGNED: &[u8] = b"sha256=d3e4f9da0ce6c71ab3dba55929b8eeeee2455349e534924ead19f98d143e904f";

    /// The same with `{"text":"\u042f 👍","a": 1}`: an escape, an emoji as it is, and a blank that no writer would set.
    const ESCAPED: &[u8] = "{\"text\":\"\\u042f 👍\",\"a\": 1}".as_bytes();
    const ESCAPED_SIGNED: &[u8] = b"sha256=c4699b93730c9a3ef68a829f17a86568b788999c4c7b282aa9cd2ba4af9fb89e";

    #[test]
    fn only_the_signature_over_the_raw_bytes_opens() {
        let webhook = webhook();
        let upper =
            String::from_utf8(EMPTY_SIGNED.to_vec()).unwrap().to_uppercase().replace("SHA256", "sha256");
        for (signature, body) in [(EMPTY_SIGNED, EMPTY), (upper.as_bytes(), EMPTY), (ESCAPED_SIGNED, ESCAPED)]
        {
            let headers: &[(&str, &[u8])] = &[(SIGNATURE_HEADER, signature)];
            assert!(webhook.verify(request(headers, body)).is_ok());
        }
        let rewritten = serde_json::from_slice::<serde_json::Value>(ESCAPED).unwrap().to_string();
        let bare = &EMPTY_SIGNED[7..];
        type Forged<'a> = (&'a [(&'a str, &'a [u8])], &'a [u8]);
        let forged: [Forged<'_>; 7] = [
            (&[], EMPTY),
            (&[(SIGNATURE_HEADER, b"")], EMPTY),
            (&[(SIGNATURE_HEADER, b"sha256=")], EMPTY),
            (&[(SIGNATURE_HEADER, bare)], EMPTY),
            (&[("x-hub-signature", EMPTY_SIGNED)], EMPTY),
            (&[(SIGNATURE_HEADER, EMPTY_SIGNED)], ESCAPED),
            (&[(SIGNATURE_HEADER, ESCAPED_SIGNED)], rewritten.as_bytes()),
        ];
        for (headers, body) in forged {
            let error = webhook.verify(request(headers, body)).unwrap_err();
            assert_eq!((error.kind(), error.adapter()), (ErrorKind::Unauthenticated, Some(KIND)));
        }
    }

    #[test]
    fn the_challenge_comes_back_to_whoever_knows_the_token() {
        let webhook = webhook();
        let ask = |query| WebhookRequest { method: "GET", query, ..request(&[], b"") };
        let query = "hub.mode=subscribe&hub.verify_token=verify-me&hub.challenge=1158201444";
        let batch = webhook.parse(&webhook.verify(ask(query)).unwrap()).unwrap();
        assert_eq!(
            (batch.events.len(), batch.reply.status, &batch.reply.body[..]),
            (0, 200, &b"1158201444"[..])
        );
        assert!(batch.reply.content_type.starts_with("text/plain"));
        for query in [
            "",
            "hub.mode=subscribe&hub.challenge=1",
            "hub.mode=subscribe&hub.verify_token=&hub.challenge=1",
            "hub.mode=subscribe&hub.verify_token=verify-m&hub.challenge=1",
            "hub.mode=subscribe&hub_verify_token=verify-me&hub.challenge=1",
        ] {
            assert_eq!(webhook.verify(ask(query)).unwrap_err().kind(), ErrorKind::Unauthenticated, "{query}");
        }
        let twice = "hub.mode=subscribe&hub.verify_token=x&hub.verify_token=verify-me&hub.challenge=1";
        assert_eq!(webhook.verify(ask(twice)).unwrap_err().kind(), ErrorKind::Invalid);
        for query in [
            "hub.verify_token=verify-me&hub.challenge=1",
            "hub.mode=unsubscribe&hub.verify_token=verify-me&hub.challenge=1",
            "hub.mode=subscribe&hub.verify_token=verify-me",
            "hub.mode=subscribe&hub.verify_token=verify-me&hub.challenge=%3Cscript%3E",
        ] {
            let verified = webhook.verify(ask(query)).unwrap();
            assert_eq!(webhook.parse(&verified).unwrap_err().kind(), ErrorKind::Invalid, "{query}");
        }
        // A signature is no way around the token, and the token none around the signature.
        let signed: &[(&str, &[u8])] = &[(SIGNATURE_HEADER, EMPTY_SIGNED)];
        assert!(webhook.verify(WebhookRequest { method: "GET", ..request(signed, EMPTY) }).is_err());
        assert!(webhook.verify(WebhookRequest { query, ..request(&[], EMPTY) }).is_err());
        assert!(webhook.verify(WebhookRequest { method: "PUT", ..request(signed, EMPTY) }).is_err());
    }
}
