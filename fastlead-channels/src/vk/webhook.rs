//! What VK posts to us (Callback API).

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use fastlead_core::secret::Secret;
use fastlead_core::webhook::{Verified, WebhookBatch, WebhookReceiver, WebhookReply, WebhookRequest};
use fastlead_core::{Error, ErrorKind, Result};

use super::adapter::KIND;
use super::config::VkConfig;
use super::inbound::read_event;
use super::wire::Envelope;

/// Two bytes and nothing else: VK repeats what is answered with anything else, and `remove` makes it delete the server.
const REPLY: &str = "ok";

#[derive(Debug)]
pub(super) struct VkWebhook {
    secret: Secret<String>,
    group_id: i64,
    confirmation: Confirmation,
}

/// The string that VK wants to read when it confirms the address: set by hand, or fetched when the server was registered.
#[derive(Debug, Clone, Default)]
struct Confirmation(Arc<Mutex<Option<String>>>);

impl VkWebhook {
    /// `None` where no secret is set: VK signs nothing, so that anybody could pretend to be VK.
    pub(super) fn of(config: &VkConfig) -> Option<Self> {
        let secret = config.callback_secret.clone()?;
        let group_id = i64::try_from(config.group_id).ok()?;
        let confirmation = Confirmation(Arc::new(Mutex::new(config.confirmation_code.clone())));
        Some(Self { secret, group_id, confirmation })
    }

    pub(super) const fn secret(&self) -> &Secret<String> {
        &self.secret
    }

    /// Answers with this string when VK asks from now on.
    pub(super) fn confirm_with(&self, code: String) {
        *self.confirmation.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(code);
    }

    fn confirmation(&self) -> Result<WebhookReply> {
        let code = self.confirmation.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let code = code.ok_or_else(|| {
            let message = "confirmation_code: vk wants to confirm the address; register the channel, or set the string that \
                           vk shows";
            Error::new(ErrorKind::Config, message).with_adapter(KIND).with_operation("parse")
        })?;
        Ok(WebhookReply { body: Bytes::from(code), ..WebhookReply::ok("") })
    }
}

fn read(body: &[u8], operation: &'static str) -> Result<Envelope> {
    serde_json::from_slice(body).map_err(|_| {
        Error::new(ErrorKind::Invalid, "the body is not an event of vk")
            .with_adapter(KIND)
            .with_operation(operation)
    })
}

impl WebhookReceiver for VkWebhook {
    /// The secret stands in the body, also in a confirmation. No secret is a wrong one.
    fn verify<'a>(&self, request: WebhookRequest<'a>) -> Result<Verified<'a>> {
        let event = read(request.body, "verify")?;
        let given = event.secret.unwrap_or_default();
        let verified = Verified::by_equal(request, self.secret.expose().as_bytes(), given.as_bytes())
            .map_err(|error| error.with_adapter(KIND))?;
        if event.group_id != Some(self.group_id) {
            let message = "the event is not of this community";
            return Err(Error::new(ErrorKind::Unauthenticated, message)
                .with_adapter(KIND)
                .with_operation("verify"));
        }
        Ok(verified)
    }

    fn parse(&self, request: &Verified<'_>) -> Result<WebhookBatch> {
        let request = request.request();
        let event = read(request.body, "parse")?;
        if event.kind == "confirmation" {
            return Ok(WebhookBatch { events: Vec::new(), reply: self.confirmation()? });
        }
        let events = read_event(event, request.received_at);
        Ok(WebhookBatch { events, reply: WebhookReply::ok(REPLY) })
    }
}

#[cfg(test)]
mod tests {
    use fastlead_core::time::epoch;
    use serde_json::{Value, json};

    use super::*;

    const SECRET: &str = "s3cr3t";

    fn config() -> VkConfig {
        let mut config = VkConfig::new("vk1.a.hidden".into(), 202_308_925);
        config.callback_secret = Some(SECRET.into());
        config
    }

    fn webhook() -> VkWebhook {
        VkWebhook::of(&config()).unwrap()
    }

    fn request(body: &[u8]) -> WebhookRequest<'_> {
        WebhookRequest { method: "POST", query: "", headers: &[], body, remote: None, received_at: epoch() }
    }

    fn sample(change: Value) -> Vec<u8> {
        let mut event = json!({"type": "message_deny", "object": {"user_id": 790_000_000}, "group_id": 202_308_925,
            "event_id": "7d5e", "v": "5.199", "secret": SECRET});
        for (name, value) in change.as_object().unwrap() {
            event[name] = value.clone();
        }
        event.to_string().into_bytes()
    }

    fn batch(webhook: &VkWebhook, body: &[u8]) -> Result<WebhookBatch> {
        webhook.parse(&webhook.verify(request(body))?)
    }

    #[test]
    fn only_the_secret_and_the_community_open() {
        let webhook = webhook();
        assert!(webhook.verify(request(&sample(json!({})))).is_ok());
        for kind in ["message_deny", "confirmation"] {
            for change in [
                json!({"secret": null}),
                json!({"secret": ""}),
                json!({"secret": "s3cr3t "}),
                json!({"secret": "s3cr3"}),
                json!({"secret": "S3CR3T"}),
                json!({"group_id": 202_308_926}),
                json!({"group_id": null}),
            ] {
                let mut change = change;
                change["type"] = json!(kind);
                let error = webhook.verify(request(&sample(change.clone()))).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{change}");
                assert_eq!((error.adapter(), error.operation()), (Some(KIND), "verify"));
            }
        }
        let no_secret = br#"{"type":"message_new","group_id":202308925,"object":{}}"#;
        assert_eq!(webhook.verify(request(no_secret)).unwrap_err().kind(), ErrorKind::Unauthenticated);
        for body in
            [&b""[..], b"{}", b"[]", b"ok", b"\xff", br#"{"type":"a","secret":7,"group_id":202308925}"#]
        {
            assert_eq!(webhook.verify(request(body)).unwrap_err().kind(), ErrorKind::Invalid);
        }
        // Which of two secrets counts must not be left to the reader.
        let twice =
            br#"{"type":"message_deny","secret":"wrong","secret":"s3cr3t","group_id":202308925,"object":{}}"#;
        assert_eq!(webhook.verify(request(twice)).unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[test]
    fn the_reply_is_two_bytes_whatever_came() {
        let webhook = webhook();
        for change in [
            json!({}),
            json!({"type": "message_reply", "object": {"out": 1}}),
            json!({"type": "invented_tomorrow"}),
            json!({"type": "message_new", "object": {"strange": true}}),
        ] {
            let reply = batch(&webhook, &sample(change.clone())).unwrap().reply;
            assert_eq!((reply.status, &reply.body[..]), (200, &b"ok"[..]), "{change}");
            assert!(reply.content_type.starts_with("text/plain"));
        }
    }

    #[test]
    fn a_confirmation_is_answered_with_the_string_alone() {
        let asked = sample(json!({"type": "confirmation", "object": null, "event_id": null}));
        let mut by_hand = config();
        by_hand.confirmation_code = Some("ab12cd34".to_owned());
        let webhook = VkWebhook::of(&by_hand).unwrap();
        let answered = batch(&webhook, &asked).unwrap();
        assert_eq!((answered.events.len(), &answered.reply.body[..]), (0, &b"ab12cd34"[..]));
        webhook.confirm_with("fetched".to_owned());
        assert_eq!(&batch(&webhook, &asked).unwrap().reply.body[..], b"fetched");

        let error = batch(&VkWebhook::of(&config()).unwrap(), &asked).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().starts_with("confirmation_code"), "{error}");
    }

    #[test]
    fn no_bytes_make_a_parser_panic() {
        let webhook = webhook();
        let samples = [
            sample(json!({})),
            sample(
                json!({"type": "message_new", "object": {"message": {"from_id": 1, "peer_id": 1, "date": 1, "text": "я",
                "payload": "{\"command\":\"start\"}", "ref": "a"}, "client_info": {"lang_id": 0}}}),
            ),
            sample(json!({"type": "message_event", "object": {"user_id": 1, "peer_id": 2_000_000_001_i64,
                "event_id": "e", "payload": {"token": "a.00000000000000000000000000000000"}}})),
            sample(json!({"type": "lead_forms_new", "object": {"lead_id": 1, "user_id": 2, "form_name": "Я",
                "answers": [{"key": "k", "question": "q", "answer": [{"key": "a", "value": "b"}]}]}})),
            br#"{"error":{"error_code":901}}"#.to_vec(),
            br#"{"response":[{"peer_id":1,"message_id":0,"error":{"code":901}}]}"#.to_vec(),
        ];
        // A fixed linear congruential generator: the same bytes on every run.
        let mut state: usize = 20_261_129;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        for _ in 0..20_000 {
            let mut bytes = samples[next() % samples.len()].clone();
            for _ in 0..next() % 6 {
                let at = next() % bytes.len();
                match next() % 4 {
                    0 => bytes[at] = u8::try_from(next() % 256).unwrap(),
                    1 => bytes.truncate(at.max(1)),
                    2 => bytes.insert(at, b"{}[]\",:0-9\\"[next() % 11]),
                    _ => drop(bytes.remove(at)),
                }
                if bytes.is_empty() {
                    bytes.push(b'{');
                }
            }
            everything_that_parses(&webhook, &bytes);
        }
        for _ in 0..2_000 {
            let bytes: Vec<u8> = (0..next() % 64).map(|_| u8::try_from(next() % 256).unwrap()).collect();
            everything_that_parses(&webhook, &bytes);
        }
        everything_that_parses(&webhook, "[".repeat(100_000).as_bytes());
    }

    /// Gives the bytes to every parser, past the secret, too.
    fn everything_that_parses(webhook: &VkWebhook, bytes: &[u8]) {
        let _ = batch(webhook, bytes);
        if let Ok(event) = read(bytes, "parse") {
            let _ = read_event(event, epoch());
        }
        let _ = crate::vk::LeadForm::from_json(bytes).map(|form| form.to_text());
        let _ = crate::vk::error::parse_error(crate::vk::error::Operation::Send, 200, None, bytes);
    }
}
