//! What goes over the wire, byte by byte.

use fastlead_core::RetryHint;
use fastlead_core::contact::Phone;
use fastlead_core::id::{ChannelId, DeliveryId};
use fastlead_core::message::url_text::HttpUrl;
use fastlead_core::message::{Button, MessageClass, Part, Response};
use fastlead_core::secret::Pii;
use fastlead_core::time::{Timestamp, epoch, plus_seconds};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const NUMBER: &str = "106540352242922";
const TAKEN: &str = r#"{"messaging_product":"whatsapp","contacts":[{"input":"79000000000","wa_id":"79000000000"}],"messages":[{"id":"wamid.HBg","message_status":"accepted"}]}"#;
const CLOSED: &str = r#"{"error":{"message":"(#131047) Re-engagement message","type":"OAuthException","code":131047,"error_data":{"messaging_product":"whatsapp","details":"…"},"fbtrace_id":"A"}}"#;

/// A channel, and the server that it asks.
struct Wire {
    whatsapp: WhatsApp,
    listener: TcpListener,
}

impl Wire {
    async fn new(template: serde_json::Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = WhatsAppConfig::new("EAAB-top-secret".into(), NUMBER);
        config.endpoint = Some(format!("http://{}", listener.local_addr().unwrap()));
        config.app_secret = Some("app-secret".into());
        config.verify_token = Some("verify-me".into());
        config.template = serde_json::from_value(template).unwrap();
        let egress = Egress::public().with_private_hosts(&["127.0.0.1".to_owned()]).unwrap();
        let info = ChannelInfo { kind: KIND, id: ChannelId::from_uuid(uuid::Uuid::nil()), name: "wa".into() };
        Self { whatsapp: WhatsApp::with_egress(info, config, &egress).unwrap(), listener }
    }

    /// Takes one request and answers it; returns the request as it came.
    async fn take(&self, status: u16, answer: &str) -> String {
        let (mut stream, _) = self.listener.accept().await.unwrap();
        let mut received = Vec::new();
        loop {
            let mut chunk = [0; 4096];
            let count = stream.read(&mut chunk).await.unwrap();
            received.extend_from_slice(&chunk[..count]);
            let text = String::from_utf8(received.clone()).unwrap();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
            if body.len() >= length.parse().unwrap() {
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    answer.len()
                );
                stream.write_all(format!("{head}{answer}").as_bytes()).await.unwrap();
                return text;
            }
        }
    }

    /// Sends a message; returns its body and what came of it.
    async fn send(&self, message: &OutboundMessage) -> (String, Result<SendReceipt>) {
        let (sent, request) = tokio::join!(self.whatsapp.send(message), self.take(200, TAKEN));
        (body(&request), sent)
    }
}

fn body(request: &str) -> String {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("POST /v25.0/106540352242922/messages HTTP/1.1"));
    let headers: Vec<_> = lines.collect();
    assert!(headers.contains(&"content-type: application/json"), "{headers:?}");
    assert!(headers.contains(&"authorization: Bearer EAAB-top-secret"), "{headers:?}");
    assert!(headers.iter().any(|header| header.starts_with("user-agent: fastlead/")), "{headers:?}");
    body.to_owned()
}

fn message(recipient: Recipient, text: Text) -> OutboundMessage {
    OutboundMessage {
        delivery_id: DeliveryId::from_uuid(uuid::Uuid::from_u128(7)),
        attempt: 1,
        part: Part::WHOLE,
        recipient,
        content: Content::Text(text),
        class: MessageClass::Service,
        attempted_at: epoch(),
        expires_at: None,
    }
}

fn anna() -> Recipient {
    Recipient::Phone(Phone::parse("+79000000000").unwrap())
}

fn offer(plain: &str) -> Text {
    let page = HttpUrl::try_from("https://example.com/l?a=1&b=2".to_owned()).unwrap();
    let buttons = vec![
        Button { label: "Беру".into(), action: ButtonAction::Respond(Response::Accept) },
        Button {
            label: "Не беру эту заявку никогда".into(),
            action: ButtonAction::Respond(Response::Decline),
        },
        Button { label: "Открыть".into(), action: ButtonAction::Open(page) },
    ];
    Text { buttons, ..Text::plain(plain) }
}

const ALONG: &str = r#""biz_opaque_callback_data":"dlv_00000000000000000000000000000007""#;

#[tokio::test]
async fn a_text() {
    let wire = Wire::new(json!(null)).await;
    for (recipient, to) in [
        (anna(), r#""to":"79000000000""#),
        (Recipient::Chat(Pii::from("+79000000000")), r#""to":"79000000000""#),
        (Recipient::Chat(Pii::from("US.13491208655302741918")), r#""recipient":"US.13491208655302741918""#),
    ] {
        let (body, sent) = wire.send(&message(recipient, Text::plain("a\n\"Ё\" 👍"))).await;
        assert_eq!(
            body,
            format!(
                r#"{{"messaging_product":"whatsapp","recipient_type":"individual",{to},"type":"text","text":{{"preview_url":false,"body":"a\n\"Ё\" 👍"}},{ALONG}}}"#
            )
        );
        assert_eq!(sent.unwrap(), SendReceipt::accepted("wamid.HBg"));
    }
    let mut part = message(anna(), Text::plain("b"));
    part.part = Part { index: 1, count: 2 };
    let (body, _) = wire.send(&part).await;
    assert!(
        body.ends_with(r#""biz_opaque_callback_data":"dlv_00000000000000000000000000000007-1"}"#),
        "{body}"
    );
}

#[tokio::test]
async fn an_offer_has_reply_buttons_and_its_link_in_the_text() {
    let wire = Wire::new(json!(null)).await;
    let (body, _) = wire.send(&message(anna(), offer("Заявка"))).await;
    let expected = [
        r#"{"messaging_product":"whatsapp","recipient_type":"individual","to":"79000000000","type":"interactive","#,
        r#""interactive":{"type":"button","body":{"text":"Заявка\n\nОткрыть: https://example.com/l?a=1&b=2"},"#,
        r#""action":{"buttons":[{"type":"reply","reply":{"id":"a.00000000000000000000000000000007","title":"Беру"}},"#,
        r#"{"type":"reply","reply":{"id":"d.00000000000000000000000000000007","title":"Не беру эту заявку…"}}]}},"#,
        ALONG,
        "}",
    ];
    assert_eq!(body, expected.concat());

    // Above buttons there is less room than in a text, and the link is not what is cut.
    let (body, _) = wire.send(&message(anna(), offer(&"я".repeat(1_024)))).await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let shown = body["interactive"]["body"]["text"].as_str().unwrap();
    assert_eq!(shown.encode_utf16().count(), 1_024);
    assert!(shown.ends_with("я…\n\nОткрыть: https://example.com/l?a=1&b=2"), "{shown}");
}

fn template(used: &str, parameters: serde_json::Value) -> serde_json::Value {
    json!({"name": "new_lead", "language": "ru", "when": used, "parameters": parameters, "quick_replies": 2})
}

const TEMPLATE: &str = r#"{"messaging_product":"whatsapp","recipient_type":"individual","to":"79000000000","type":"template","template":{"name":"new_lead","language":{"code":"ru"}"#;

#[tokio::test]
async fn a_template_with_names_with_numbers_and_with_nothing() {
    for (parameters, components) in [
        (
            json!([{"name": "shop", "value": "Ёлка"}, {"name": "lead"}]),
            r#","components":[{"type":"body","parameters":[{"type":"text","parameter_name":"shop","text":"Ёлка"},{"type":"text","parameter_name":"lead","text":"Анна; +7 900 000-00-00"}]}]"#,
        ),
        (
            json!([{}, {"value": "Ёлка"}]),
            r#","components":[{"type":"body","parameters":[{"type":"text","text":"Анна; +7 900 000-00-00"},{"type":"text","text":"Ёлка"}]}]"#,
        ),
        (json!([]), ""),
    ] {
        let wire = Wire::new(template("always", parameters)).await;
        let (body, sent) = wire.send(&message(anna(), Text::plain("Анна\n+7 900 000-00-00"))).await;
        assert_eq!(body, format!("{TEMPLATE}{components}}},{ALONG}}}"));
        sent.unwrap();
    }
}

#[tokio::test]
async fn the_quick_replies_of_a_template_answer_an_offer() {
    let wire = Wire::new(template("always", json!([{}]))).await;
    let (body, _) = wire.send(&message(anna(), offer("Заявка"))).await;
    let expected = [
        TEMPLATE,
        r#","components":[{"type":"body","parameters":[{"type":"text","text":"Заявка; Открыть: https://example.com/l?a=1&b=2"}]},"#,
        r#"{"type":"button","sub_type":"quick_reply","index":"0","parameters":[{"type":"payload","payload":"a.00000000000000000000000000000007"}]},"#,
        r#"{"type":"button","sub_type":"quick_reply","index":"1","parameters":[{"type":"payload","payload":"d.00000000000000000000000000000007"}]}]},"#,
        ALONG,
        "}",
    ];
    assert_eq!(body, expected.concat());
    let mut few = template("always", json!([{}]));
    few["quick_replies"] = json!(1);
    let wire = Wire::new(few).await;
    let error = wire.whatsapp.send(&message(anna(), offer("Заявка"))).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unsupported, RetryHint::Never));
}

fn kind(request: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(&body(request)).unwrap();
    body["type"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_template_goes_to_whoever_has_not_written_today() {
    let wire = Wire::new(template("closed", json!([{}]))).await;
    let heard = plus_seconds(epoch(), 100);
    let at =
        |moment: Timestamp| OutboundMessage { attempted_at: moment, ..message(anna(), Text::plain("a")) };
    let send = async |moment| {
        let message = at(moment);
        let (sent, request) = tokio::join!(wire.whatsapp.send(&message), wire.take(200, TAKEN));
        sent.unwrap();
        kind(&request)
    };
    assert_eq!(send(heard).await, "template");
    wire.whatsapp.windows.heard("79000000000", heard);
    assert_eq!(send(plus_seconds(heard, 86_399)).await, "text");
    assert_eq!(send(plus_seconds(heard, 86_400)).await, "template");
}

#[tokio::test]
async fn a_text_that_is_refused_at_once_goes_as_a_template_in_the_same_attempt() {
    let wire = Wire::new(template("refused", json!([{}]))).await;
    let both = async {
        let first = wire.take(400, CLOSED).await;
        (kind(&first), kind(&wire.take(200, TAKEN).await))
    };
    let message_to_anna = message(anna(), Text::plain("a"));
    let (sent, kinds) = tokio::join!(wire.whatsapp.send(&message_to_anna), both);
    assert_eq!(kinds, ("text".to_owned(), "template".to_owned()));
    assert_eq!(sent.unwrap(), SendReceipt::accepted("wamid.HBg"));

    // Any other refusal is what it is.
    let other = CLOSED.replace("131047", "131026");
    let (sent, _) = tokio::join!(wire.whatsapp.send(&message_to_anna), wire.take(400, &other));
    assert_eq!(sent.unwrap_err().kind(), ErrorKind::Recipient);

    let wire = Wire::new(json!(null)).await;
    let (sent, _) = tokio::join!(wire.whatsapp.send(&message_to_anna), wire.take(400, CLOSED));
    let error = sent.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Content, RetryHint::Never));
    assert!(error.message().contains("24-hour window"), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_not_one_leaves_the_outcome_unknown() {
    let wire = Wire::new(json!(null)).await;
    for answer in [r#"{"messages":[]}"#, r#"{"messages":[{"id":" "}]}"#, r#"{"success":true}"#, "ok"] {
        let message = message(anna(), Text::plain("a"));
        let (sent, _) = tokio::join!(wire.whatsapp.send(&message), wire.take(200, answer));
        let error = sent.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Protocol, RetryHint::UNKNOWN), "{answer}");
    }
}

#[tokio::test]
async fn the_number_is_asked_for() {
    let wire = Wire::new(json!(null)).await;
    for (id, expected) in [(NUMBER, None), ("7", Some(ErrorKind::Config))] {
        let answer = json!({ "id": id }).to_string();
        let (checked, request) = tokio::join!(wire.whatsapp.check(), wire.take(200, &answer));
        assert!(request.starts_with("GET /v25.0/106540352242922?fields=id HTTP/1.1\r\n"), "{request}");
        assert_eq!(checked.err().map(|error| error.kind()), expected);
    }
}
