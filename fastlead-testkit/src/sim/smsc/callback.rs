//! Callbacks: what SMSC calls the client's own address with.
//!
//! Parameters of that address choose how: `charset` (windows-1251 unless it says utf-8), `fmt=3` for JSON
//! instead of a form, and `md5`, `sha1` or `crc32` for the signature; without any of them nothing is signed.

use md5::{Digest, Md5};
use sha1::Sha1;

use super::charset::Charset;
use super::params::{Params, percent_encode};
use super::state::{Callback, Message, money};
use crate::conformance::channel::SampleRequest;
use crate::sim::post::post;

/// One callback, ready to be sent: always a `POST`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackRequest {
    /// The client's address with its parameters.
    pub url: String,
    /// `Content-Type` of the body.
    pub content_type: &'static str,
    /// The fields and their signature, as a form or as JSON.
    pub body: Vec<u8>,
}

impl CallbackRequest {
    /// Sends it, and returns the HTTP status of the answer.
    ///
    /// # Errors
    /// Where nobody listens, nobody answers within ten seconds, or the address is not `http://`.
    pub async fn send(&self) -> std::io::Result<u16> {
        post(&self.url, &[("content-type", self.content_type)], &self.body).await
    }

    /// The same as a request that has already arrived, to show it to a receiver without a network.
    pub fn sample(&self) -> SampleRequest {
        SampleRequest::post(self.body.clone())
            .with_query(query_of(&self.url))
            .with_header("content-type", self.content_type)
    }
}

fn query_of(url: &str) -> &str {
    let without_fragment = url.split('#').next().unwrap_or_default();
    without_fragment.split_once('?').map_or("", |(_, query)| query)
}

/// Names and values in SMSC's order.
type Fields = Vec<(&'static str, String)>;

/// The news that a message has `status`.
pub(super) fn status(
    to: &Callback,
    id: u32,
    phone: &str,
    message: &Message,
    status: i32,
    err: i32,
) -> CallbackRequest {
    let fields = vec![
        ("id", id.to_string()),
        ("phone", phone.to_owned()),
        ("status", status.to_string()),
        ("err", err.to_string()),
        ("time", message.changed_at.format("%d.%m.%Y %H:%M:%S").to_string()),
        ("ts", message.changed_at.timestamp().to_string()),
        ("cnt", message.parts.to_string()),
        ("cost", money(message.cost)),
        ("type", "0".to_owned()),
        ("flag", "0".to_owned()),
        ("sender", message.sender.clone()),
    ];
    request(to, fields, &["id", "phone", "status"])
}

/// An SMS from a person.
pub(super) fn inbound(
    to: &Callback,
    id: u32,
    phone: &str,
    text: &str,
    number: &str,
    ts: i64,
) -> CallbackRequest {
    let fields = vec![
        ("phone", phone.to_owned()),
        ("mes", text.to_owned()),
        ("to", number.to_owned()),
        ("id", id.to_string()),
        ("time", ts.to_string()),
    ];
    request(to, fields, &["phone", "mes", "to"])
}

/// A call to the number that waits for one.
pub(super) fn wait_call(to: &Callback, phone: &str, ts: i64) -> CallbackRequest {
    request(to, vec![("phone", phone.to_owned()), ("ts", ts.to_string())], &["phone", "ts"])
}

fn request(to: &Callback, mut fields: Fields, signed: &[&str]) -> CallbackRequest {
    let options = Params::read(Some(query_of(&to.url)), b"");
    let charset = options.charset().unwrap_or(Charset::Windows1251);
    let mut base = Vec::new();
    for name in signed {
        if let Some((_, value)) = fields.iter().find(|(field, _)| field == name) {
            base.extend(charset.encode(value));
            base.push(b':');
        }
    }
    base.extend(charset.encode(&to.secret));
    if options.has("md5") {
        fields.push(("md5", hex::encode(Md5::digest(&base))));
    } else if options.has("sha1") {
        fields.push(("sha1", hex::encode(Sha1::digest(&base))));
    } else if options.has("crc32") {
        fields.push(("crc32", format!("{:08x}", crc32(&base))));
    }
    let url = to.url.clone();
    if options.number("fmt", 0) == Some(3) {
        let object: serde_json::Map<String, serde_json::Value> =
            fields.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        let body = charset.encode(&serde_json::Value::Object(object).to_string());
        return CallbackRequest { url, content_type: "application/json", body };
    }
    let pairs: Vec<String> = fields
        .into_iter()
        .map(|(name, value)| format!("{name}={}", percent_encode(&charset.encode(&value))))
        .collect();
    CallbackRequest {
        url,
        content_type: "application/x-www-form-urlencoded",
        body: pairs.join("&").into_bytes(),
    }
}

/// CRC-32 as in zip and PHP's `crc32()`.
fn crc32(data: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    !data.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(parameters: &str) -> Callback {
        Callback { url: format!("http://127.0.0.1:1/hook{parameters}"), secret: "secret".to_owned() }
    }

    fn field(request: &CallbackRequest, name: &str) -> Vec<u8> {
        Params::read(None, &request.body).bytes(name).unwrap().to_vec()
    }

    #[test]
    fn crc32_of_the_usual_sample() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn the_address_chooses_charset_signature_and_form() {
        // printf '79000000000:\xc4\xe0:79000000001:secret' | md5sum
        let default = inbound(&to("?md5"), 1, "79000000000", "Да", "79000000001", 0);
        assert_eq!(field(&default, "mes"), b"\xc4\xe0");
        assert_eq!(field(&default, "md5"), b"276399d79a6175c3d3aa62c7d1b750b1");
        // printf '79000000000:Да:79000000001:secret' | sha1sum
        let utf8 = inbound(&to("?charset=utf-8&sha1=1"), 1, "79000000000", "Да", "79000000001", 0);
        assert_eq!(field(&utf8, "mes"), "Да".as_bytes());
        assert_eq!(field(&utf8, "sha1"), b"c86d7a6bd167e9b46cc4b799e15e7db396fb583f");
        let json = wait_call(&to("?charset=utf-8&fmt=3&md5"), "79000000000", 5);
        let body: serde_json::Value = serde_json::from_slice(&json.body).unwrap();
        assert_eq!(body["ts"], "5", "every value is a string");
        assert!(body["md5"].is_string());
        let unsigned = wait_call(&to(""), "79000000000", 5);
        assert_eq!(unsigned.body, b"phone=79000000000&ts=5");
    }
}
