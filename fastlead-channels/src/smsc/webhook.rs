//! Callbacks of SMSC: delivery statuses and SMS from people. They come as a form, in a query, or as JSON.

use std::borrow::Cow;

use chrono::DateTime;
use fastlead_core::channel::{InboundEvent, InboundKind, MessageReference, Peer, ReceiptStatus};
use fastlead_core::contact::Phone;
use fastlead_core::secret::{Pii, Secret};
use fastlead_core::time::Timestamp;
use fastlead_core::webhook::{Verified, WebhookBatch, WebhookReceiver, WebhookReply, WebhookRequest};
use fastlead_core::{Error, ErrorKind, Result};
use sha2::{Digest, Sha256};

use super::adapter::KIND;
use super::config::CallbackSignature;
use super::reference::message_reference;
use super::wire::{Fate, Scalar};

/// A form of this many fields is not SMSC's.
const MOST_FIELDS: usize = 100;

#[derive(Debug)]
pub(super) struct SmscWebhook {
    secret: Secret<String>,
    signature: CallbackSignature,
}

impl SmscWebhook {
    pub(super) const fn new(secret: Secret<String>, signature: CallbackSignature) -> Self {
        Self { secret, signature }
    }
}

impl WebhookReceiver for SmscWebhook {
    fn verify<'a>(&self, request: WebhookRequest<'a>) -> Result<Verified<'a>> {
        let fields = Fields::of(&request).map_err(|error| error.with_operation("verify"))?;
        let signed = Call::of(&fields).map_err(|error| error.with_operation("verify"))?.signed(&self.secret);
        let expected = self.signature.hex_digest(&signed);
        let given = fields.signature(self.signature).to_ascii_lowercase();
        Verified::by_equal(request, expected.as_bytes(), &given).map_err(|error| error.with_adapter(KIND))
    }

    fn parse(&self, request: &Verified<'_>) -> Result<WebhookBatch> {
        let request = request.request();
        let events = Fields::of(request)
            .and_then(|fields| {
                Ok(Call::of(&fields)?.event(&fields, request.received_at)?.into_iter().collect())
            })
            .map_err(|error| error.with_operation("parse"))?;
        Ok(WebhookBatch { events, reply: WebhookReply::ok("OK") })
    }
}

/// What SMSC tells us, by the fields that its signature covers.
enum Call<'f> {
    Status {
        id: &'f [u8],
        phone: &'f [u8],
        status: &'f [u8],
    },
    Inbound {
        phone: &'f [u8],
        text: &'f [u8],
        to: &'f [u8],
    },
    /// Somebody rang the number that is shown for calls; not ours to handle, but authentic.
    Ring {
        phone: &'f [u8],
        ts: &'f [u8],
    },
}

impl<'f> Call<'f> {
    fn of(fields: &'f Fields<'_>) -> Result<Self> {
        let phone = fields.one("phone")?;
        let (id, status) = (fields.one("id")?, fields.one("status")?);
        let (text, to, ts) = (fields.one("mes")?, fields.one("to")?, fields.one("ts")?);
        match (phone, id, status, text, to, ts) {
            (Some(phone), Some(id), Some(status), ..) => Ok(Self::Status { id, phone, status }),
            (Some(phone), _, None, Some(text), Some(to), _) => Ok(Self::Inbound { phone, text, to }),
            (Some(phone), _, None, None, _, Some(ts)) => Ok(Self::Ring { phone, ts }),
            _ => Err(invalid("the fields are those of no callback")),
        }
    }

    /// The bytes under the signature, exactly as they were delivered.
    fn signed(&self, secret: &Secret<String>) -> Vec<u8> {
        let secret = secret.expose().as_bytes();
        match *self {
            Self::Status { id, phone, status } => [id, phone, status, secret].join(&b':'),
            Self::Inbound { phone, text, to } => [phone, text, to, secret].join(&b':'),
            Self::Ring { phone, ts } => [phone, ts, secret].join(&b':'),
        }
    }

    fn event(&self, fields: &Fields<'_>, received_at: Timestamp) -> Result<Option<InboundEvent>> {
        let occurred_at = fields.moment("ts")?.map_or(received_at, |moment| moment.min(received_at));
        match *self {
            Self::Status { id, phone, status } => {
                let (id, phone) = (utf8(id)?, utf8(phone)?);
                let number =
                    utf8(status)?.trim().parse().map_err(|_| invalid("the status is not a number"))?;
                let detail =
                    fields.one("err")?.and_then(|err| std::str::from_utf8(err).ok()?.trim().parse().ok());
                let Some(status) = receipt(Fate::read(number, detail)) else {
                    return Ok(None);
                };
                let reference = message_reference(id, phone);
                Ok(Some(InboundEvent {
                    provider_event_id: format!("{reference}:{number}"),
                    occurred_at,
                    kind: InboundKind::Receipt { message: MessageReference::Provider(reference), status },
                }))
            }
            Self::Inbound { phone, text, .. } => {
                let text = utf8(text)?.to_owned();
                let from = sender(utf8(phone)?);
                Ok(Some(InboundEvent {
                    provider_event_id: self.inbound_id(fields, received_at)?,
                    occurred_at,
                    kind: InboundKind::Message { from, text: Pii::new(text) },
                }))
            }
            Self::Ring { .. } => Ok(None),
        }
    }

    /// An inbound SMS has no documented id. What is signed, and whatever else tells one "yes" from the next:
    /// SMSC's own ids or times where it sends them, or else the day of receipt.
    fn inbound_id(&self, fields: &Fields<'_>, received_at: Timestamp) -> Result<String> {
        let mut hasher = Sha256::new();
        hasher.update(self.signed(&Secret::default()));
        let mut told_apart = false;
        for name in ["id", "sms_id", "sent", "time", "ts"] {
            if let Some(value) = fields.one(name)? {
                told_apart = true;
                hasher.update(b"\n");
                hasher.update(name);
                hasher.update(b"=");
                hasher.update(value);
            }
        }
        if !told_apart {
            hasher.update(received_at.date_naive().to_string());
        }
        Ok(format!("in:{}", hex::encode(&hasher.finalize()[..16])))
    }
}

fn receipt(fate: Fate) -> Option<ReceiptStatus> {
    match fate {
        Fate::InTransit => Some(ReceiptStatus::InTransit),
        Fate::Delivered => Some(ReceiptStatus::Delivered),
        Fate::Read => Some(ReceiptStatus::Read),
        Fate::Failed(failure) => Some(ReceiptStatus::Failed(failure)),
        Fate::NotFound | Fate::Unlisted => None,
    }
}

/// The person's number in the form that answers are sent to; short codes stay as they are.
fn sender(phone: &str) -> Peer {
    let digits = phone.trim_start_matches('+');
    let address = Phone::parse(&format!("+{digits}")).map_or_else(|_| phone.to_owned(), String::from);
    Peer { chat: Pii::new(address.clone()), user: Pii::new(address), display_name: None, language: None }
}

/// The fields of a callback as raw bytes, in whichever of the three forms they came.
struct Fields<'a>(Vec<Field<'a>>);

/// Name and value.
type Field<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

impl<'a> Fields<'a> {
    fn of(request: &WebhookRequest<'a>) -> Result<Self> {
        // What our own URL carries (`?charset=utf-8&sha1`) is in the query of a POST too, and none of SMSC's
        // business: with a body, only the body counts.
        match request.body.trim_ascii_start() {
            [] => Self::form(request.query.as_bytes()),
            json @ [b'{', ..] => Self::json(json),
            _ => Self::form(request.body),
        }
    }

    fn form(raw: &'a [u8]) -> Result<Self> {
        let pairs: Vec<_> =
            raw.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).take(MOST_FIELDS + 1).collect();
        if pairs.len() > MOST_FIELDS {
            return Err(invalid("too many fields"));
        }
        let fields = pairs.into_iter().map(|pair| {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let mut half = || percent_decoded(halves.next().unwrap_or_default());
            Ok((half()?, half()?))
        });
        fields.collect::<Result<_>>().map(Self)
    }

    fn json(raw: &[u8]) -> Result<Self> {
        // A value that is neither string nor number is not needed by anything below.
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(raw).map_err(|_| invalid("the body is not a json object in utf-8"))?;
        let scalars = object.into_iter().filter_map(|(name, value)| {
            let value = serde_json::from_value::<Scalar>(value).ok()?;
            Some((Cow::Owned(name.into_bytes()), Cow::Owned(value.text().into_bytes())))
        });
        Ok(Self(scalars.collect()))
    }

    /// The value of `name`. Twice with different values is refused, so that nobody can have one value
    /// verified and another one believed.
    fn one(&self, name: &str) -> Result<Option<&[u8]>> {
        let mut values =
            self.0.iter().filter(|(field, _)| **field == *name.as_bytes()).map(|(_, value)| &**value);
        let first = values.next();
        if values.any(|value| Some(value) != first) {
            return Err(invalid("a field came twice"));
        }
        Ok(first)
    }

    /// The signature, or nothing. In a query it comes beside the parameter that asked for it, which is shorter.
    fn signature(&self, algorithm: CallbackSignature) -> &[u8] {
        let named = self.0.iter().filter(|(field, _)| **field == *algorithm.parameter().as_bytes());
        named.map(|(_, value)| &**value).find(|value| value.len() == algorithm.hex_len()).unwrap_or_default()
    }

    /// A field with Unix seconds.
    fn moment(&self, name: &str) -> Result<Option<Timestamp>> {
        let text = self.one(name)?.and_then(|value| std::str::from_utf8(value).ok());
        Ok(text.and_then(|text| DateTime::from_timestamp(text.trim().parse().ok()?, 0)))
    }
}

/// `application/x-www-form-urlencoded` back to bytes; not to text, because the signature covers the bytes.
fn percent_decoded(raw: &[u8]) -> Result<Cow<'_, [u8]>> {
    if !raw.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Ok(Cow::Borrowed(raw));
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match (byte, tail) {
            (b'%', [high, low, after @ ..]) => {
                let mut decoded = [0_u8];
                hex::decode_to_slice([*high, *low], &mut decoded)
                    .map_err(|_| invalid("a field is not percent-encoded"))?;
                out.extend_from_slice(&decoded);
                rest = after;
            }
            (b'%', _) => return Err(invalid("a field is not percent-encoded")),
            (b'+', _) => out.push(b' '),
            _ => out.push(*byte),
        }
    }
    Ok(Cow::Owned(out))
}

fn utf8(value: &[u8]) -> Result<&str> {
    std::str::from_utf8(value)
        .map_err(|_| invalid("a field is not utf-8; add the parameter charset=utf-8 to the callback url"))
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::Invalid, message).with_adapter(KIND)
}

#[cfg(test)]
mod tests {
    use fastlead_core::channel::{FailureReason, ReceiptFailure};
    use fastlead_core::time::{epoch, from_millis};

    use super::*;

    const SECRET: &str = "callback-secret";

    fn receiver(signature: CallbackSignature) -> SmscWebhook {
        SmscWebhook::new(Secret::from(SECRET), signature)
    }

    fn request<'a>(query: &'a str, body: &'a [u8]) -> WebhookRequest<'a> {
        let received_at = from_millis(1_800_000_000_000);
        WebhookRequest { method: "POST", query, headers: &[], body, remote: None, received_at }
    }

    fn events(query: &str, body: &[u8]) -> Result<Vec<InboundEvent>> {
        let receiver = receiver(CallbackSignature::Md5);
        let batch = receiver.parse(&receiver.verify(request(query, body))?)?;
        assert_eq!(batch.reply, WebhookReply::ok("OK"));
        Ok(batch.events)
    }

    // Signatures made with `printf '%s' '1001:79000000000:1:callback-secret' | md5sum` and `sha1sum`.
    const STATUS_MD5: &str = "e3b4a366fc491c147ffe2fda1b9f5d18";
    const STATUS_SHA1: &str = "b1516c45a10919a13204870893d1f5e203029d58";
    const INBOUND_MD5: &str = "30f066507046a863b3e32a1d1b1c46aa";
    const INBOUND_1251_MD5: &str = "e3f179db8fdfe6322be53beab25305e1";
    const CALL_MD5: &str = "543c917e6260510bd3081c85145b52cb";

    #[test]
    fn a_status_as_form_query_and_json() {
        let form =
            format!("id=1001&phone=79000000000&status=1&err=0&ts=1700000000&cost=0.30&md5={STATUS_MD5}");
        let json = format!(
            r#"{{"id":"1001","phone":"79000000000","status":"1","err":"0","type":"4","cost":"0.30","ts":"1700000000","md5":"{STATUS_MD5}"}}"#
        );
        let numbers = format!(
            r#" {{"id":1001,"phone":79000000000,"status":1,"err":0,"ts":1700000000,"md5":"{STATUS_MD5}","cn":null}}"#
        );
        let query = format!("charset=utf-8&md5&{form}");
        let asked_with_one = format!("charset=utf-8&md5=1&{form}");
        let reference = message_reference("1001", "79000000000");
        let expected = InboundEvent {
            provider_event_id: format!("{reference}:1"),
            occurred_at: from_millis(1_700_000_000_000),
            kind: InboundKind::Receipt {
                message: MessageReference::Provider(reference),
                status: ReceiptStatus::Delivered,
            },
        };
        for (query, body) in [
            ("charset=utf-8&md5", form.as_str()),
            ("charset=utf-8&md5&fmt=3", &json),
            ("charset=utf-8&md5&fmt=3", &numbers),
            (&query, ""),
            (&asked_with_one, ""),
        ] {
            assert_eq!(
                events(query, body.as_bytes()).unwrap(),
                std::slice::from_ref(&expected),
                "{query} {body}"
            );
        }
    }

    #[test]
    fn sha1_and_upper_case_digits() {
        let body = format!("id=1001&phone=79000000000&status=1&sha1={}", STATUS_SHA1.to_uppercase());
        assert!(receiver(CallbackSignature::Sha1).verify(request("", body.as_bytes())).is_ok());
        assert!(receiver(CallbackSignature::Md5).verify(request("", body.as_bytes())).is_err());
    }

    #[test]
    fn forged_and_unsigned_callbacks_do_not_verify() {
        for body in [
            format!("id=1001&phone=79000000000&status=2&md5={STATUS_MD5}"),
            format!("id=1002&phone=79000000000&status=1&md5={STATUS_MD5}"),
            format!("id=1001&phone=79000000001&status=1&md5={STATUS_MD5}"),
            format!("id=1001&phone=79000000000&status=1&sha1={STATUS_MD5}"),
            "id=1001&phone=79000000000&status=1".to_owned(),
            "id=1001&phone=79000000000&status=1&md5=".to_owned(),
            "id=1001&phone=79000000000&status=1&crc32=1a2b3c4d".to_owned(),
        ] {
            let error = events("charset=utf-8&md5", body.as_bytes()).unwrap_err();
            assert_eq!((error.kind(), error.adapter()), (ErrorKind::Unauthenticated, Some(KIND)), "{body}");
        }
    }

    #[test]
    fn unreadable_callbacks_are_invalid_and_not_quoted() {
        let twice = format!("id=1001&phone=79000000000&status=1&status=20&md5={STATUS_MD5}");
        let many = "x=1&".repeat(200);
        for body in ["", "hello", "{", "[]", r#"{"id":{}}"#, "id=1001&phone=%7", "id=%ZZ", &twice, &many] {
            let error = events("", body.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{body:.40}");
            assert!(!error.to_string().contains("79000000000"), "{error}");
        }
    }

    #[test]
    fn a_query_of_ours_cannot_stand_in_for_a_field_of_the_body() {
        let body = format!("id=1001&phone=79000000000&md5={STATUS_MD5}");
        assert!(events("status=1", body.as_bytes()).is_err());
    }

    #[test]
    fn an_sms_from_a_person() {
        let body =
            format!("phone=79000000000&mes=%D0%94%D0%B0%2C+%F0%9F%91%8D&to=79000000001&md5={INBOUND_MD5}");
        let found = events("charset=utf-8&md5", body.as_bytes()).unwrap();
        let [InboundEvent { provider_event_id, kind: InboundKind::Message { from, text }, .. }] = &found[..]
        else {
            panic!("{found:?}");
        };
        assert_eq!(text.expose(), "Да, 👍");
        assert_eq!(from.chat.expose(), "+79000000000");
        assert!(provider_event_id.starts_with("in:"));

        // The provider's repetition is the same event; another SMS with the same words is not.
        let again = |extra: &str| {
            events("", format!("{body}{extra}").as_bytes()).unwrap().remove(0).provider_event_id
        };
        assert_eq!(&again(""), provider_event_id);
        assert_eq!(again("&id=5&time=1"), again("&id=5&time=1"));
        assert_ne!(again("&id=5"), again("&id=6"));
        assert_ne!(&again("&ts=1700000000"), provider_event_id);
    }

    #[test]
    fn an_sms_in_another_charset_says_how_to_mend_the_url() {
        let body = format!("phone=79000000000&mes=%C4%E0&to=79000000001&md5={INBOUND_1251_MD5}");
        let error = events("md5", body.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.message().contains("charset=utf-8"), "{error}");
    }

    #[test]
    fn calls_and_unlisted_statuses_are_left_out() {
        let call = format!("phone=79000000000&ts=1700000000&md5={CALL_MD5}");
        assert_eq!(events("", call.as_bytes()).unwrap(), []);
        let digest = CallbackSignature::Md5.hex_digest(format!("1001:79000000000:77:{SECRET}").as_bytes());
        let unlisted = format!("id=1001&phone=79000000000&status=77&md5={digest}");
        assert_eq!(events("", unlisted.as_bytes()).unwrap(), []);
    }

    #[test]
    fn a_failure_keeps_its_code_and_a_future_time_is_not_believed() {
        let digest = CallbackSignature::Md5.hex_digest(format!("1001:79000000000:20:{SECRET}").as_bytes());
        let body = format!("id=1001&phone=79000000000&status=20&err=253&ts=4000000000&md5={digest}");
        let found = events("", body.as_bytes()).unwrap().remove(0);
        assert_eq!(found.occurred_at, from_millis(1_800_000_000_000));
        let InboundKind::Receipt { status: ReceiptStatus::Failed(failure), .. } = found.kind else {
            panic!("{found:?}");
        };
        let code = Some("20/253".to_owned());
        assert_eq!(failure, ReceiptFailure { reason: FailureReason::Content, provider_code: code });
        assert!(found.occurred_at > epoch());
    }
}
