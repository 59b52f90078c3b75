//! What MAX posts to us.

use fastlead_core::secret::Secret;
use fastlead_core::webhook::{Verified, WebhookBatch, WebhookReceiver, WebhookReply, WebhookRequest};
use fastlead_core::{Error, ErrorKind, Result};

use super::adapter::KIND;
use super::inbound::read_update;
use super::wire::Update;

const SECRET_HEADER: &str = "x-max-bot-api-secret";

#[derive(Debug)]
pub(super) struct MaxWebhook {
    secret: Secret<String>,
    bot_token: Secret<String>,
}

impl MaxWebhook {
    pub(super) const fn new(secret: Secret<String>, bot_token: Secret<String>) -> Self {
        Self { secret, bot_token }
    }

    pub(super) const fn secret(&self) -> &Secret<String> {
        &self.secret
    }
}

impl WebhookReceiver for MaxWebhook {
    fn verify<'a>(&self, request: WebhookRequest<'a>) -> Result<Verified<'a>> {
        let given = request.header(SECRET_HEADER).unwrap_or_default();
        Verified::by_equal(request, self.secret.expose().as_bytes(), given.as_bytes())
            .map_err(|error| error.with_adapter(KIND))
    }

    fn parse(&self, request: &Verified<'_>) -> Result<WebhookBatch> {
        let request = request.request();
        let update: Update = serde_json::from_slice(request.body).map_err(|_| {
            Error::new(ErrorKind::Invalid, "the body is not an update")
                .with_adapter(KIND)
                .with_operation("parse")
        })?;
        let events = read_update(update, request.received_at, &self.bot_token);
        // Any other status than 200 counts as a failure.
        Ok(WebhookBatch { events, reply: WebhookReply::ok("ok") })
    }
}

#[cfg(test)]
mod tests {
    use fastlead_core::time::epoch;

    use super::*;

    fn webhook() -> MaxWebhook {
        MaxWebhook::new("secret-1".into(), "f9LHodD0c".into())
    }

    fn request<'a>(headers: &'a [(&'a str, &'a [u8])], body: &'a [u8]) -> WebhookRequest<'a> {
        WebhookRequest { method: "POST", query: "", headers, body, remote: None, received_at: epoch() }
    }

    fn parse(body: &[u8]) -> Result<WebhookBatch> {
        let webhook = webhook();
        let headers: &[(&str, &[u8])] = &[(SECRET_HEADER, b"secret-1")];
        let verified = webhook.verify(request(headers, body)).unwrap();
        webhook.parse(&verified)
    }

    #[test]
    fn only_the_secret_opens() {
        let webhook = webhook();
        assert!(webhook.verify(request(&[(SECRET_HEADER, b"secret-1")], b"{}")).is_ok());
        let forged: [&[(&str, &[u8])]; 5] = [
            &[],
            &[(SECRET_HEADER, b"")],
            &[(SECRET_HEADER, b"secret-2")],
            &[(SECRET_HEADER, b"secret-1 ")],
            &[("x-token", b"secret-1")],
        ];
        for headers in forged {
            let error = webhook.verify(request(headers, b"{}")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        }
    }

    #[test]
    fn what_is_no_update_is_refused_and_an_unknown_kind_is_not() {
        for body in [&b""[..], b"{}", b"[]", b"{\"update_type\":7}", b"\xff"] {
            assert_eq!(parse(body).unwrap_err().kind(), ErrorKind::Invalid);
        }
        for body in [
            &br#"{"update_type":"invented_tomorrow","timestamp":1}"#[..],
            br#"{"update_type":"message_edited","timestamp":"soon"}"#,
            br#"{"update_type":"message_created"}"#,
        ] {
            let batch = parse(body).unwrap();
            assert!(batch.events.is_empty());
            assert_eq!((batch.reply.status, &batch.reply.body[..]), (200, &b"ok"[..]));
        }
    }

    /// Bytes from a generator that starts the same on every run, and pieces of updates among them.
    #[test]
    fn no_bytes_make_it_panic() {
        let pieces: [&[u8]; 12] = [
            b"{\"update_type\":\"message_created\",",
            b"\"message\":{",
            b"\"sender\":{\"user_id\":1}",
            b"\"body\":{\"attachments\":[",
            b"{\"type\":\"contact\",\"payload\":{\"vcf_info\":\"TEL:\"}}",
            b"}",
            b"]",
            b",",
            b"null",
            b"-9223372036854775809",
            b"\xff\x00",
            b"\"\\ud800\"",
        ];
        let mut state: u64 = 20_261_128;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % below
        };
        for _ in 0..5_000 {
            let mut body: Vec<u8> = (0..next(12)).flat_map(|_| pieces[next(pieces.len())]).copied().collect();
            if !body.is_empty() && next(2) == 0 {
                let place = next(body.len());
                body[place] = u8::try_from(next(256)).unwrap();
            }
            let _any = parse(&body);
        }
    }
}
