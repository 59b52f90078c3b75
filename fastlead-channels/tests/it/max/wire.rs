//! What goes over the wire, to the byte.

use super::*;

/// A server that answers one request with this body and returns what was asked.
async fn asked(answer: &'static str, work: impl AsyncFnOnce(String)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/max/", listener.local_addr().unwrap());
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read_request(&mut stream).await;
        let head =
            format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", answer.len());
        stream.write_all(format!("{head}{answer}").as_bytes()).await.unwrap();
        request
    };
    tokio::join!(serve, work(base)).0
}

/// One whole request: head and body.
pub(super) async fn read_request(stream: &mut tokio::net::TcpStream) -> String {
    let mut received = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).await.unwrap();
        received.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&received).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return text;
        }
    }
}

fn bot(base: String) -> Max {
    let mut config = MaxConfig::new("f9LHodD0c-token".into());
    config.endpoint = Some(base);
    config.updates = Updates::Webhook;
    config.webhook_secret = Some(SECRET.into());
    Max::with_egress(info(), config, &loopback()).unwrap()
}

fn head(request: &str) -> (&str, Vec<String>) {
    let (head, _) = request.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let first = lines.next().unwrap();
    let mut headers: Vec<String> = lines.map(str::to_ascii_lowercase).collect();
    headers.retain(|line| !line.starts_with("host:") && !line.starts_with("content-length:"));
    headers.sort();
    (first, headers)
}

fn body(request: &str) -> &str {
    request.split_once("\r\n\r\n").unwrap().1
}

const SENT: &str = r#"{"message":{"body":{"mid":"mid.0001","seq":1}}}"#;
const DONE: &str = r#"{"success":true}"#;

fn message(recipient: &str, content: Content) -> OutboundMessage {
    let delivery_id = "dlv_0190b6f45d3c7000a000000000000001".parse().unwrap();
    OutboundMessage { delivery_id, ..outbound(Recipient::Chat(recipient.into()), content) }
}

fn buttons() -> Vec<Button> {
    let page = HttpUrl::try_from("https://example.com/lead?a=1&b=\"2\"".to_owned()).unwrap();
    vec![
        Button {
            label: "Беру \"сразу\"".to_owned(), action: ButtonAction::Respond(Response::Accept)
        },
        Button { label: "Открыть".to_owned(), action: ButtonAction::Open(page) },
    ]
}

#[tokio::test]
async fn a_message() {
    let text = Text { buttons: buttons(), ..html("Заявка: <b>Анна &amp; \"Ко\"</b><br>a\\b") };
    let request = asked(SENT, async |base| {
        let receipt = bot(base).send(&message("123456789", Content::Text(text))).await.unwrap();
        assert_eq!(receipt.provider_message_id.as_deref(), Some("mid.0001"));
        assert!(!receipt.delivered, "MAX does not say so");
    })
    .await;
    let (first, headers) = head(&request);
    assert_eq!(first, "POST /max/messages?user_id=123456789&disable_link_preview=true HTTP/1.1");
    let version = format!("user-agent: fastlead/{}", env!("CARGO_PKG_VERSION"));
    let expected =
        ["accept: */*", "authorization: f9lhodd0c-token", "content-type: application/json", version.as_str()];
    assert_eq!(headers, expected);
    assert!(
        request.to_ascii_lowercase().contains("\r\nauthorization: ")
            && request.contains(": f9LHodD0c-token\r\n")
    );
    assert_eq!(
        body(&request),
        concat!(
            r#"{"text":"Заявка: <b>Анна &amp; \"Ко\"</b>\na\\b","format":"html","attachments":"#,
            r#"[{"type":"inline_keyboard","payload":{"buttons":"#,
            r#"[[{"type":"callback","text":"Беру \"сразу\"","payload":"a.0190b6f45d3c7000a000000000000001"}],"#,
            r#"[{"type":"link","text":"Открыть","url":"https://example.com/lead?a=1&b=\"2\""}]]}}]}"#,
        )
    );
}

#[tokio::test]
async fn a_plain_message_to_a_group() {
    for (recipient, query) in
        [("-70801090403050", "chat_id=-70801090403050"), ("chat:182182182", "chat_id=182182182")]
    {
        let text = Text::plain("*a* <b> &amp; 😀\nвторая");
        let request = asked(SENT, async |base| {
            bot(base).send(&message(recipient, Content::Text(text))).await.unwrap();
        })
        .await;
        assert_eq!(
            head(&request).0,
            format!("POST /max/messages?{query}&disable_link_preview=true HTTP/1.1")
        );
        assert_eq!(body(&request), r#"{"text":"*a* <b> &amp; 😀\nвторая"}"#);
    }
}

#[tokio::test]
async fn a_change() {
    for (buttons, attachments) in [
        (Vec::new(), "[]"),
        (
            buttons().split_off(1),
            r#"[{"type":"inline_keyboard","payload":{"buttons":[[{"type":"link","text":"Открыть","url":"https://example.com/lead?a=1&b=\"2\""}]]}}]"#,
        ),
    ] {
        let edit =
            Edit { message_id: "mid.00&a=b".to_owned(), text: Text { buttons, ..Text::plain("Взято") } };
        let request = asked(DONE, async |base| {
            let receipt = bot(base).send(&message("123456789", Content::Edit(edit))).await.unwrap();
            assert_eq!(receipt.provider_message_id.as_deref(), Some("mid.00&a=b"));
        })
        .await;
        assert_eq!(head(&request).0, "PUT /max/messages?message_id=mid.00%26a%3Db HTTP/1.1");
        assert_eq!(body(&request), format!(r#"{{"text":"Взято","attachments":{attachments}}}"#));
    }
}

#[tokio::test]
async fn an_answer_to_a_press() {
    let pressed =
        |links| PressedMessage { chat: "123456789".into(), message_id: "mid.0001".to_owned(), links };
    for (closes, expected) in [
        (None, r#"{"notification":"Заявка \"ваша\""}"#),
        (Some(pressed(Vec::new())), r#"{"message":{"attachments":[]},"notification":"Заявка \"ваша\""}"#),
        (
            Some(pressed(buttons())),
            concat!(
                r#"{"message":{"attachments":[{"type":"inline_keyboard","payload":{"buttons":[[{"type":"link","#,
                r#""text":"Открыть","url":"https://example.com/lead?a=1&b=\"2\""}]]}}]},"notification":"Заявка \"ваша\""}"#,
            ),
        ),
    ] {
        let interaction_id = "f9LHodD0cOJf4_Dk+/=".to_owned();
        let reply = InteractionReply { interaction_id, text: "Заявка \"ваша\"".to_owned(), closes };
        let request = asked(DONE, async |base| {
            bot(base).send(&message("123456789", Content::InteractionReply(reply))).await.unwrap();
        })
        .await;
        assert_eq!(head(&request).0, "POST /max/answers?callback_id=f9LHodD0cOJf4_Dk%2B%2F%3D HTTP/1.1");
        assert_eq!(body(&request), expected);
    }
}

#[tokio::test]
async fn questions() {
    let me = r#"{"user_id":229229229,"first_name":"unit bot","is_bot":true}"#;
    let request = asked(me, async |base| bot(base).check().await.unwrap()).await;
    assert_eq!(head(&request).0, "GET /max/me HTTP/1.1");
    assert_eq!(body(&request), "");
    let page = r#"{"updates":[],"marker":40}"#;
    let request = asked(page, async |base| {
        let mut config = MaxConfig::new("f9LHodD0c-token".into());
        config.endpoint = Some(base);
        config.updates = Updates::Polling;
        let max = Max::with_egress(info(), config, &loopback()).unwrap();
        let batch = updates::poll(&max, Some("39"), 100).await.unwrap();
        assert_eq!(
            (batch.events.len(), batch.cursor.as_deref()),
            (0, Some("40")),
            "an empty page keeps the position"
        );
    })
    .await;
    assert_eq!(
        head(&request).0,
        "GET /max/updates?limit=100&timeout=90&types=message_created%2Cmessage_callback%2Cbot_started%2Cbot_stopped\
         %2Cdialog_removed&marker=39 HTTP/1.1"
    );
}
