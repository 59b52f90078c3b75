//! What goes over the wire, byte by byte.

use fastlead_core::id::{ChannelId, DeliveryId};
use fastlead_core::message::url_text::HttpUrl;
use fastlead_core::message::{MessageClass, Part, Response};
use fastlead_core::secret::Pii;
use fastlead_core::time::epoch;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use fastlead_core::RetryHint;

use super::*;

const GROUP: u64 = 202_308_925;
const DONE: &str = r#"{"response":1}"#;

/// A channel, and the server that it asks.
struct Wire {
    vk: Vk,
    listener: TcpListener,
}

impl Wire {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut config = VkConfig::new("vk1.a.top+secret/=".into(), GROUP);
        config.endpoint = Some(format!("http://{}", listener.local_addr().unwrap()));
        config.callback_secret = Some("s3cr3t".into());
        let egress = Egress::public().with_private_hosts(&["127.0.0.1".to_owned()]).unwrap();
        let id = ChannelId::from_uuid(uuid::Uuid::nil());
        let vk = Vk::with_egress(ChannelInfo { kind: KIND, id, name: "vk".into() }, config, &egress).unwrap();
        Self { vk, listener }
    }

    /// Takes one request and answers it; returns the request as it came.
    async fn take(&self, answer: &str) -> String {
        let (mut stream, _) = self.listener.accept().await.unwrap();
        let mut received = Vec::new();
        loop {
            let mut chunk = [0; 4096];
            let count = stream.read(&mut chunk).await.unwrap();
            received.extend_from_slice(&chunk[..count]);
            let text = String::from_utf8(received.clone()).unwrap();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() >= length.parse().unwrap() {
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    answer.len()
                );
                stream.write_all(format!("{head}{answer}").as_bytes()).await.unwrap();
                return text;
            }
        }
    }

    /// Sends a message; returns the path, the body and what came of it.
    async fn send(&self, message: &OutboundMessage, answer: &str) -> (String, String, Result<SendReceipt>) {
        let (sent, request) = tokio::join!(self.vk.send(message), self.take(answer));
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let path = lines.next().unwrap().to_owned();
        let headers: Vec<_> = lines.collect();
        assert!(headers.contains(&"content-type: application/x-www-form-urlencoded"), "{headers:?}");
        assert!(headers.iter().any(|header| header.starts_with("user-agent: fastlead/")), "{headers:?}");
        assert!(!head.contains("secret") && !head.contains('?'), "the key is in the body alone: {head}");
        (path, body.to_owned(), sent)
    }
}

fn message(chat: &str, content: Content) -> OutboundMessage {
    OutboundMessage {
        delivery_id: DeliveryId::from_uuid(uuid::Uuid::from_u128(7)),
        attempt: 1,
        part: Part::WHOLE,
        recipient: Recipient::Chat(Pii::from(chat)),
        content,
        class: MessageClass::Service,
        attempted_at: epoch(),
        expires_at: None,
    }
}

const KEY: &str = "access_token=vk1.a.top%2Bsecret%2F%3D&v=5.199";

#[tokio::test]
async fn a_text() {
    let wire = Wire::new().await;
    let text = "a+b=c & d%41;\n\"Ё\" 👍";
    let (path, body, sent) =
        wire.send(&message("790000000", Content::Text(Text::plain(text))), r#"{"response":310}"#).await;
    assert_eq!(path, "POST /method/messages.send HTTP/1.1");
    let random_id = random_id(&message("1", Content::Text(Text::plain("other"))));
    assert_eq!(
        body,
        format!(
            "{KEY}&peer_id=790000000&random_id={random_id}&message=a%2Bb%3Dc+%26+d%2541%3B%0A%22%D0%81%22+%F0%9F%91%8D\
             &dont_parse_links=1&disable_mentions=1"
        )
    );
    assert_eq!(sent.unwrap().provider_message_id.as_deref(), Some("310"));
}

#[tokio::test]
async fn an_offer_in_a_chat() {
    let wire = Wire::new().await;
    let page = HttpUrl::try_from("https://example.com/l?a=1&b=2".to_owned()).unwrap();
    let buttons = vec![
        Button { label: "Беру".into(), action: ButtonAction::Respond(Response::Accept) },
        Button { label: "Open".into(), action: ButtonAction::Open(page) },
    ];
    let offer = message("2000000001", Content::Text(Text { buttons, ..Text::plain("Заявка") }));
    let answer = r#"{"response":[{"peer_id":2000000001,"message_id":0,"conversation_message_id":295}]}"#;
    let (_, body, sent) = wire.send(&offer, answer).await;
    let fields: Vec<(String, String)> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "access_token",
        "v",
        "peer_ids",
        "random_id",
        "message",
        "dont_parse_links",
        "disable_mentions",
        "keyboard",
    ];
    assert_eq!(names, expected);
    assert_eq!(
        fields[7].1,
        concat!(
            r#"{"one_time":false,"inline":true,"buttons":[[{"action":{"type":"callback","label":"Беру","#,
            r#""payload":"{\"token\":\"a.00000000000000000000000000000007\"}"},"color":"positive"}],"#,
            r#"[{"action":{"type":"open_link","label":"Open","link":"https://example.com/l?a=1&b=2"}}]]}"#
        )
    );
    assert_eq!(sent.unwrap().provider_message_id.as_deref(), Some("2000000001_295"));
}

#[tokio::test]
async fn an_edit_by_id_and_within_a_chat() {
    let wire = Wire::new().await;
    for (chat, id, field) in
        [("790000000", "310", "message_id=310"), ("2000000001", "2000000001_295", "cmid=295")]
    {
        let edit = Edit { message_id: id.to_owned(), text: Text::plain("Взято") };
        let (path, body, sent) = wire.send(&message(chat, Content::Edit(edit)), DONE).await;
        assert_eq!(path, "POST /method/messages.edit HTTP/1.1");
        assert_eq!(
            body,
            format!(
                "{KEY}&peer_id={chat}&{field}&message=%D0%92%D0%B7%D1%8F%D1%82%D0%BE&dont_parse_links=1&disable_mentions=1\
                 &keyboard=%7B%22one_time%22%3Afalse%2C%22inline%22%3Atrue%2C%22buttons%22%3A%5B%5D%7D"
            )
        );
        assert_eq!(sent.unwrap().provider_message_id.as_deref(), Some(id));
    }
}

#[tokio::test]
async fn an_answer_to_a_press() {
    let wire = Wire::new().await;
    for (chat, id, event) in [("790000000", "2f1a", "2f1a"), ("2000000001", "2f1a:790000000", "2f1a")] {
        let reply =
            InteractionReply { interaction_id: id.to_owned(), text: "Ok \"you\"".into(), closes: None };
        let (path, body, sent) = wire.send(&message(chat, Content::InteractionReply(reply)), DONE).await;
        assert_eq!(path, "POST /method/messages.sendMessageEventAnswer HTTP/1.1");
        assert_eq!(
            body,
            format!(
                "{KEY}&event_id={event}&user_id=790000000&peer_id={chat}\
                 &event_data=%7B%22text%22%3A%22Ok+%5C%22you%5C%22%22%2C%22type%22%3A%22show_snackbar%22%7D"
            )
        );
        assert_eq!(sent.unwrap(), SendReceipt::default());
    }
}

#[tokio::test]
async fn an_answer_that_is_not_one_leaves_the_outcome_unknown() {
    let wire = Wire::new().await;
    for answer in
        [r#"{"response":[]}"#, r#"{"response":-1}"#, r#"{"response":0}"#, r#"{"response":null}"#, "ok"]
    {
        let (_, _, sent) = wire.send(&message("790000000", Content::Text(Text::plain("a"))), answer).await;
        let error = sent.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (ErrorKind::Protocol, RetryHint::UNKNOWN), "{answer}");
    }
    let edit = Edit { message_id: "310".to_owned(), text: Text::plain("a") };
    let (_, _, sent) = wire.send(&message("790000000", Content::Edit(edit)), r#"{"response":0}"#).await;
    assert_eq!(sent.unwrap_err().retry(), RetryHint::SAFE, "the same edit may be made again");
}

#[test]
fn the_key_of_a_repeat_is_the_same_and_of_another_part_another() {
    let mut message = message("790000000", Content::Text(Text::plain("a")));
    let first = random_id(&message);
    message.attempt = 5;
    assert_eq!(random_id(&message), first);
    message.part = Part { index: 0, count: 2 };
    let part = random_id(&message);
    message.part = Part { index: 1, count: 2 };
    assert!(part != random_id(&message) && part != first);
    // The 32 bits are spread: among many deliveries hardly two are alike.
    let ids: std::collections::BTreeSet<i32> = (0..2_000_u128)
        .map(|number| {
            message.delivery_id = DeliveryId::from_uuid(uuid::Uuid::from_u128(number));
            random_id(&message)
        })
        .collect();
    assert_eq!(ids.len(), 2_000);
    assert!(!ids.contains(&0));
}
