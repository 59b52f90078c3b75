use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::sim::max::MaxSim;
use crate::sim::post::{exchange, get, status};
use crate::sim::postal::PostalSim;
use crate::sim::smsc::SmscSim;
use crate::sim::smtp::SmtpSim;
use crate::sim::telegram::TelegramSim;
use crate::sim::vk::VkSim;
use crate::sim::webhook::WebhookSim;
use crate::sim::whatsapp::WhatsAppSim;

const CHAT: i64 = 790_000_000;
const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];
const FORM: [(&str, &str); 1] = [("Content-Type", "application/x-www-form-urlencoded")];

/// A page at an address.
struct Page(String);

impl Page {
    async fn state(&self) -> Value {
        let answer = get(&format!("{}/page/state", self.0)).await.unwrap();
        assert_eq!(status(&answer).unwrap(), 200);
        body(&answer)
    }

    async fn post(&self, path: &str, request: Value) -> (u16, Value) {
        let url = format!("{}/page/{path}", self.0);
        let answer = exchange(&url, &JSON, request.to_string().as_bytes()).await.unwrap();
        (status(&answer).unwrap(), body(&answer))
    }

    async fn act(&self, request: Value) {
        assert_eq!(self.post("act", request).await, (200, json!({"ok": true})));
    }

    async fn refuses(&self, request: Value) -> String {
        let (status, answer) = self.post("act", request).await;
        assert_eq!(status, 422, "{answer}");
        answer["error"].as_str().unwrap().to_owned()
    }

    async fn script(&self, request: Value) {
        assert_eq!(self.post("fault", request).await, (200, json!({"ok": true})));
    }

    async fn fact(&self, label: &str) -> String {
        let state = self.state().await;
        let facts = state["facts"].as_array().unwrap().iter();
        let named = |fact: &&Value| fact["label"] == label || fact["label"]["en"] == label;
        facts.clone().find(named).unwrap()["value"].as_str().unwrap().to_owned()
    }

    /// What every page has.
    async fn is_whole(&self) {
        for (path, kind) in
            [("/", "text/html"), ("/page/frame.css", "text/css"), ("/page/frame.js", "text/javascript")]
        {
            let answer = String::from_utf8(get(&format!("{}{path}", self.0)).await.unwrap()).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{path}");
            assert!(answer.contains(kind) && answer.contains("content-security-policy"), "{path}");
            assert!(!answer.contains("://"), "{path}: nothing comes from elsewhere");
        }
        let state = self.state().await;
        for form in state["forms"].as_array().unwrap() {
            assert!(form["title"]["ru"].is_string() && form["title"]["en"].is_string(), "{form}");
        }
        for trouble in state["troubles"].as_array().unwrap() {
            let queue = &state["queues"][0]["name"];
            self.script(json!({"queue": queue, "fault": trouble["fault"]})).await;
            self.script(json!({"queue": queue, "fault": trouble["fault"], "always": true})).await;
        }
        let scripted = self.state().await;
        assert_eq!(
            scripted["queues"][0]["waiting"].as_array().unwrap().len(),
            state["troubles"].as_array().unwrap().len()
        );
        for queue in state["queues"].as_array().unwrap() {
            self.script(json!({"queue": queue["name"]})).await;
        }
        assert_eq!(self.state().await["queues"], state["queues"]);
        assert_eq!(self.post("fault", json!({"queue": "nowhere", "fault": "hang"})).await.0, 422);
        assert_eq!(self.post("fault", json!({"queue": "messages", "fault": "laugh"})).await.0, 422);
        assert!(self.refuses(json!({"action": "dance"})).await.contains("dance"));
    }
}

fn body(answer: &[u8]) -> Value {
    let text = std::str::from_utf8(answer).unwrap();
    serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// The news of a page: one event for each time that it is worth looking again.
struct News(TcpStream);

impl News {
    async fn of(page: &Page) -> Self {
        let authority = page.0.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(authority).await.unwrap();
        let head = format!("GET /page/stream HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut news = Self(stream);
        news.next().await;
        news
    }

    async fn next(&mut self) {
        let mut seen = String::new();
        let reading = async {
            while !seen.contains("data: changed") {
                let mut chunk = [0; 1_024];
                let count = self.0.read(&mut chunk).await.unwrap();
                assert!(count > 0, "the stream has ended: {seen}");
                seen.push_str(&String::from_utf8_lossy(&chunk[..count]));
            }
        };
        tokio::time::timeout(Duration::from_secs(10), reading).await.expect("news within ten seconds");
    }
}

#[tokio::test]
async fn telegrams_page_shows_the_chat_and_plays_the_person() {
    let sim = TelegramSim::start().await.unwrap();
    let page = Page(sim.base_url());
    page.is_whole().await;
    page.act(json!({"action": "add_chat", "chat": CHAT, "title": "Anna"})).await;
    let mut news = News::of(&page).await;
    let call = |method: &'static str, request: Value| {
        let url = format!("{}/bot{}/{method}", sim.base_url(), sim.token());
        async move { body(&exchange(&url, &JSON, request.to_string().as_bytes()).await.unwrap()) }
    };
    let keyboard = json!({"inline_keyboard": [[{"text": "Беру", "callback_data": "a.1"}],
        [{"text": "Открыть", "url": "https://example.com/1"}]]});
    let sent =
        call("sendMessage", json!({"chat_id": CHAT, "text": "Заявка", "reply_markup": keyboard})).await;
    news.next().await;
    call("sendMessage", json!({"chat_id": CHAT, "text": "Ещё одна"})).await;
    news.next().await;
    let shown = page.state().await["arrivals"].clone();
    assert_eq!(
        (&shown[0]["text"], &shown[1]["text"]),
        (&json!("Ещё одна"), &json!("Заявка")),
        "newest first"
    );
    assert_eq!(shown[1]["acts"].as_array().unwrap().len(), 1, "a link is not pressed here");

    page.act(shown[1]["acts"][0]["body"].clone()).await;
    for (action, field, value) in [
        ("write", "text", "Добрый день"),
        ("start", "payload", "promo_42"),
        ("share_contact", "phone", "79000000000"),
    ] {
        page.act(json!({"action": action, "chat": CHAT, field: value})).await;
    }
    page.act(json!({"action": "block", "chat": CHAT})).await;
    let refused = call("sendMessage", json!({"chat_id": CHAT, "text": "a"})).await;
    assert_eq!(refused["error_code"], 403);
    page.act(json!({"action": "unblock", "chat": CHAT})).await;
    assert_eq!(page.fact("Waiting for the bot").await, "6");
    let updates = sim.take_updates();
    assert_eq!(updates[0]["callback_query"]["data"], "a.1");
    assert_eq!(updates[1]["message"]["text"], "Добрый день");

    let message = sent["result"]["message_id"].clone();
    call("editMessageReplyMarkup", json!({"chat_id": CHAT, "message_id": message})).await;
    news.next().await;
    assert_eq!(page.state().await["arrivals"][1]["acts"], json!([]), "the buttons are gone");

    page.script(json!({"queue": "messages", "fault": {"rate_limited": {"after_secs": 14}}})).await;
    let limited = call("sendMessage", json!({"chat_id": CHAT, "text": "a"})).await;
    assert_eq!(limited["parameters"]["retry_after"], 14);
    assert!(
        page.refuses(json!({"action": "press", "chat": CHAT, "message": 99, "data": "a"}))
            .await
            .contains("no such")
    );
}

#[tokio::test]
async fn maxs_page_shows_the_dialog_and_plays_the_person() {
    let sim = MaxSim::start().await.unwrap();
    let page = Page(sim.base_url());
    page.is_whole().await;
    page.act(json!({"action": "add_person", "person": CHAT, "name": "Anna"})).await;
    let mut news = News::of(&page).await;
    let send = |request: Value| {
        let url = format!("{}/messages?user_id={CHAT}", sim.base_url());
        let headers = [JSON[0], ("Authorization", sim.token())];
        async move { body(&exchange(&url, &headers, request.to_string().as_bytes()).await.unwrap()) }
    };
    let keyboard = json!([{"type": "inline_keyboard", "payload": {"buttons": [
        [{"type": "callback", "text": "Беру", "payload": "a.1"}],
        [{"type": "link", "text": "Открыть", "url": "https://example.com/1"}]]}}]);
    let sent = send(json!({"text": "Заявка", "attachments": keyboard})).await;
    assert!(sent["message"]["body"]["mid"].is_string(), "{sent}");
    news.next().await;
    let shown = page.state().await["arrivals"][0].clone();
    assert_eq!((&shown["to"], &shown["text"]), (&json!("790000000"), &json!("Заявка")));
    assert_eq!(shown["acts"].as_array().unwrap().len(), 1, "a link is not pressed here");

    page.act(shown["acts"][0]["body"].clone()).await;
    for (action, field, value) in [
        ("write", "text", "Добрый день"),
        ("start", "payload", "promo_42"),
        ("share_contact", "phone", "79000000000"),
    ] {
        page.act(json!({"action": action, "person": CHAT, field: value})).await;
    }
    page.act(json!({"action": "stop", "person": CHAT})).await;
    assert_eq!(send(json!({"text": "a"})).await["code"], "chat.denied");
    page.act(json!({"action": "start", "person": CHAT, "payload": ""})).await;
    page.act(json!({"action": "remove_dialog", "person": CHAT})).await;
    assert_eq!(page.fact("Waiting for the bot").await, "7");
    let kinds: Vec<_> = sim.take_updates().iter().map(|update| update["update_type"].clone()).collect();
    let expected = [
        "message_callback",
        "message_created",
        "bot_started",
        "message_created",
        "bot_stopped",
        "bot_started",
        "dialog_removed",
    ];
    assert_eq!(kinds, expected);

    page.script(json!({"queue": "messages", "fault": {"rate_limited": {"after_secs": 14}}})).await;
    assert_eq!(send(json!({"text": "a"})).await["code"], "too.many.requests");
    page.act(json!({"action": "forget_subscriptions"})).await;
    let press = json!({"action": "press", "person": CHAT, "message": "mid.0", "payload": "a"});
    assert!(page.refuses(press).await.contains("no such"));
}

#[tokio::test]
async fn vks_page_shows_the_conversation_and_plays_the_person() {
    let sim = VkSim::start().await.unwrap();
    let page = Page(sim.base_url());
    page.is_whole().await;
    page.act(json!({"action": "add_person", "peer": CHAT, "name": "Anna"})).await;
    let mut news = News::of(&page).await;
    let send = |text: &'static str| {
        let keyboard = json!({"inline": true, "buttons": [
            [{"action": {"type": "callback", "label": "Беру", "payload": "{\"a\":1}"}}],
            [{"action": {"type": "open_link", "label": "Открыть", "link": "https://example.com/1"}}],
        ]});
        let fields = [
            ("access_token", sim.token().to_owned()),
            ("v", "5.199".to_owned()),
            ("peer_id", CHAT.to_string()),
            ("random_id", "0".to_owned()),
            ("message", text.to_owned()),
            ("keyboard", keyboard.to_string()),
        ];
        let (url, form) = (
            format!("{}/method/messages.send", sim.base_url()),
            serde_urlencoded::to_string(fields).unwrap(),
        );
        async move { body(&exchange(&url, &FORM, form.as_bytes()).await.unwrap()) }
    };
    assert!(send("Заявка").await["response"].is_number());
    news.next().await;
    let shown = page.state().await["arrivals"][0].clone();
    assert_eq!((&shown["text"], shown["acts"].as_array().unwrap().len()), (&json!("Заявка"), 1));
    page.act(shown["acts"][0]["body"].clone()).await;
    page.act(json!({"action": "write", "peer": CHAT, "text": "Здравствуйте"})).await;
    page.act(json!({"action": "start", "peer": CHAT, "payload": "promo"})).await;
    page.act(json!({"action": "fill_in", "peer": CHAT, "name": "Анна", "phone": "+79000000000"})).await;
    page.act(json!({"action": "deny", "peer": CHAT})).await;
    assert_eq!(send("denied").await["error"]["error_code"], 901);
    page.act(json!({"action": "allow", "peer": CHAT, "key": "order_7"})).await;
    assert!(send("allowed").await["response"].is_number());
    let kinds: Vec<_> =
        sim.take_events().iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect();
    let expected =
        ["message_event", "message_new", "message_new", "lead_forms_new", "message_deny", "message_allow"];
    assert_eq!(kinds, expected);
    let nobody = json!({"action": "press", "peer": CHAT, "message": 1, "data": "{}"});
    assert!(page.refuses(nobody).await.contains("no such message"));
    page.script(
        json!({"queue": "messages", "fault": {"provider_code": {"code": 9, "text": "Flood control"}}}),
    )
    .await;
    assert_eq!(send("flood").await["error"]["error_code"], 9);
}

#[tokio::test]
async fn whatsapps_page_shows_the_conversation_and_plays_the_person() {
    let sim = WhatsAppSim::start().await.unwrap();
    let page = Page(sim.base_url());
    page.is_whole().await;
    page.act(json!({"action": "add_person", "number": "79000000000", "name": "Anna"})).await;
    let mut news = News::of(&page).await;
    let bearer = format!("Bearer {}", sim.token());
    let send = async |content: Value| {
        let url = format!("{}/v25.0/{}/messages", sim.base_url(), sim.phone_number_id());
        let mut request = json!({"messaging_product": "whatsapp", "to": "79000000000"});
        request.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
        let headers = [JSON[0], ("Authorization", bearer.as_str())];
        body(&exchange(&url, &headers, request.to_string().as_bytes()).await.unwrap())
    };
    let button = json!({"type": "reply", "reply": {"id": "a", "title": "Беру"}});
    let interactive = json!({"type": "button", "body": {"text": "Заявка"}, "action": {"buttons": [button]}});
    send(json!({"type": "interactive", "interactive": interactive})).await;
    news.next().await;
    let shown = page.state().await["arrivals"][0].clone();
    let acts = shown["acts"].as_array().unwrap();
    assert_eq!((&shown["text"], acts.len()), (&json!("Заявка"), 4));
    for act in acts {
        page.act(act["body"].clone()).await;
    }
    page.act(json!({"action": "write", "person": "79000000000", "text": "Здравствуйте"})).await;
    page.act(json!({"action": "come_by_ad", "person": "79000000000", "text": "Hi", "click": "ARAk"})).await;
    assert_eq!(page.fact("Events waiting").await, "6");
    page.act(json!({"action": "close_window", "person": "79000000000"})).await;
    send(json!({"type": "text", "text": {"body": "closed"}})).await;
    assert_eq!((page.fact("Events waiting").await.as_str(), sim.inbox().all().len()), ("7", 1));
    let template = json!({"action": "add_template", "name": "hello", "language": "ru", "body": "Привет", "replies": "Да, Нет"});
    page.act(template).await;
    send(json!({"type": "template", "template": {"name": "hello", "language": {"code": "ru"}}})).await;
    assert_eq!(page.state().await["arrivals"][0]["acts"].as_array().unwrap().len(), 5);
    for (request, said) in [
        (json!({"action": "press", "message": "wamid.other", "data": "a", "label": "a"}), "no such message"),
        (json!({"action": "add_person", "number": "anna", "name": "Anna"}), "digits"),
        (json!({"action": "subscribe", "url": "http://127.0.0.1:9/hook"}), "not confirmed"),
    ] {
        assert!(page.refuses(request).await.contains(said), "{said}");
    }
}

#[tokio::test]
async fn postals_page_tells_what_becomes_of_a_mail() {
    let sim = PostalSim::start().await.unwrap();
    let page = Page(sim.base_url());
    page.is_whole().await;
    let mut news = News::of(&page).await;
    let headers = [JSON[0], ("X-Server-API-Key", sim.api_key())];
    let mail = json!({"to": ["anna@example.net"], "from": "no-reply@example.com", "plain_body": "Заявка"});
    let url = format!("{}/api/v1/send/message", sim.base_url());
    let send = async || body(&exchange(&url, &headers, mail.to_string().as_bytes()).await.unwrap());
    assert_eq!(send().await["status"], "success");
    news.next().await;
    let shown = page.state().await["arrivals"][0].clone();
    let acts = shown["acts"].as_array().unwrap();
    assert_eq!((&shown["text"], acts.len()), (&json!("Заявка"), 6));
    for act in acts {
        page.act(act["body"].clone()).await;
    }
    page.act(json!({"action": "write", "from": "anna@example.net", "subject": "?", "text": "Здравствуйте"}))
        .await;
    page.act(json!({"action": "suppress", "address": "anna@example.net"})).await;
    assert_eq!(send().await["status"], "success");
    assert_eq!((page.fact("Waiting to be posted").await.as_str(), sim.inbox().all().len()), ("8", 1));
    let nobody = json!({"action": "tell", "mail": 1, "event": "MessageSent", "output": ""});
    assert!(page.refuses(nobody).await.contains("no such mail"));
}

#[tokio::test]
async fn smscs_page_delivers_fails_and_answers() {
    let sim = SmscSim::start().await.unwrap();
    let page = Page(sim.base_url());
    page.is_whole().await;
    let mut news = News::of(&page).await;
    let send = |text: &'static str| {
        let (url, login, password) =
            (format!("{}/sys/send.php", sim.base_url()), sim.login(), sim.password());
        let request =
            format!("login={login}&psw={password}&phones=79000000000&mes={text}&fmt=3&charset=utf-8");
        async move { body(&exchange(&url, &FORM, request.as_bytes()).await.unwrap()) }
    };
    assert_eq!(send("hello").await["cnt"], 1);
    news.next().await;
    let shown = page.state().await["arrivals"][0].clone();
    assert_eq!((&shown["to"], &shown["text"]), (&json!("+79000000000"), &json!("hello")));

    // Without a callback address the status is there to be asked for; with one the client is called.
    let deliver = shown["acts"][0]["body"].clone();
    page.act(deliver.clone()).await;
    news.next().await;
    assert_eq!(page.state().await["arrivals"][0]["details"]["status"], 1);
    let receiver = WebhookSim::start().await.unwrap();
    let url = format!("{}?charset=utf-8&sha1", receiver.url());
    page.act(json!({"action": "callback", "url": url, "secret": "s-1"})).await;
    page.act(deliver.clone()).await;
    page.act(json!({"action": "inbound", "phone": "+79000000000", "text": "Да", "to": "79000000001"})).await;
    assert_eq!(receiver.requests().len(), 2);
    receiver.faults().push(crate::sim::Fault::ServerError { status: 500 });
    assert!(page.refuses(deliver).await.contains("500"), "a callback that failed is said");

    page.act(json!({"action": "balance", "kopecks": 0})).await;
    assert_eq!(send("poor").await["error_code"], 3);
    page.act(json!({"action": "block_ip", "on": true})).await;
    assert_eq!(send("blocked").await["error_code"], 4);
    page.act(json!({"action": "block_ip", "on": false})).await;
    page.act(json!({"action": "unreachable", "phone": "+79000000000"})).await;
    assert_eq!(send("gone").await["error_code"], 8);
    page.script(
        json!({"queue": "messages", "fault": {"provider_code": {"code": 6, "text": "message is denied"}}}),
    )
    .await;
    assert_eq!(send("denied").await["error_code"], 6);
    let nobody = json!({"action": "status", "id": 99, "phone": "+79000000000", "status": 1, "err": 0});
    assert!(page.refuses(nobody).await.contains("no such message"));
}

/// One SMTP dialogue; answers the last reply.
async fn mail(sim: &SmtpSim, to: &str) -> String {
    let mut stream = TcpStream::connect(sim.address()).await.unwrap();
    let mut reply = String::new();
    let message =
        "From: a@example.com\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\nSubject: Lead\r\n\r\nhello\r\n.\r\n";
    let rcpt = format!("RCPT TO:<{to}>\r\n");
    let steps = ["", "EHLO here\r\n", "MAIL FROM:<leads@example.com>\r\n", &rcpt, "DATA\r\n", message];
    for step in steps {
        stream.write_all(step.as_bytes()).await.unwrap();
        let mut chunk = [0; 1_024];
        let count = stream.read(&mut chunk).await.unwrap();
        reply = String::from_utf8_lossy(&chunk[..count]).into_owned();
        if reply.starts_with(['4', '5']) {
            return reply;
        }
    }
    reply
}

#[tokio::test]
async fn the_mail_page_bounces_and_refuses() {
    let sim = SmtpSim::start().await.unwrap();
    let page = Page(sim.page_url());
    page.is_whole().await;
    assert_eq!(page.fact("port").await, sim.address().port().to_string());
    let mut news = News::of(&page).await;
    assert!(mail(&sim, "anna@example.com").await.starts_with("250"));
    news.next().await;
    let shown = page.state().await["arrivals"][0].clone();
    assert_eq!((&shown["subject"], &shown["to"]), (&json!("Lead"), &json!("anna@example.com")));
    page.act(shown["acts"][0]["body"].clone()).await;
    news.next().await;
    let bounce = page.state().await["arrivals"][0].clone();
    assert_eq!(bounce["to"], "leads@example.com");
    assert!(bounce["text"].as_str().unwrap().contains("5.1.1"));
    assert!(
        page.refuses(bounce["acts"][0]["body"].clone()).await.contains("nobody"),
        "a bounce is not bounced"
    );
    assert!(mail(&sim, "anna@example.com").await.starts_with("550 5.1.1"));

    page.act(json!({"action": "full", "address": "vera@example.com"})).await;
    assert!(mail(&sim, "vera@example.com").await.starts_with("452"));
    page.act(json!({"action": "unknown", "address": "oleg@example.com"})).await;
    assert!(mail(&sim, "oleg@example.com").await.starts_with("550"));
    page.act(json!({"action": "script", "at": "data", "code": 451, "text": "4.3.0 later"})).await;
    assert_eq!(mail(&sim, "ira@example.com").await, "451 4.3.0 later\r\n");
    page.act(json!({"action": "greylist", "on": true})).await;
    assert!(mail(&sim, "ira@example.com").await.starts_with("451 4.7.1"));
    page.act(json!({"action": "login", "user": "u", "password": "p"})).await;
    assert!(mail(&sim, "ira@example.com").await.starts_with("530"));
    page.act(json!({"action": "login", "user": "", "password": ""})).await;
    page.script(json!({"queue": "messages", "fault": "bad_content"})).await;
    assert!(mail(&sim, "ira@example.com").await.starts_with("554"));
    assert!(
        page.refuses(json!({"action": "script", "at": "data", "code": 200, "text": ""}))
            .await
            .contains("400")
    );
}

#[tokio::test]
async fn the_receivers_page_answers_as_it_is_told() {
    let sim = WebhookSim::start().await.unwrap();
    let page = Page(sim.url().trim_end_matches("/webhook").to_owned());
    page.is_whole().await;
    let mut news = News::of(&page).await;
    let send = |path: &str| {
        let url = format!("{}{path}", page.0);
        async move {
            let headers = [("Content-Type", "application/json"), ("webhook-id", "id-1")];
            status(&exchange(&url, &headers, b"{\"type\":\"lead.created\"}").await.unwrap()).unwrap()
        }
    };
    assert_eq!(send("/webhook").await, 204);
    news.next().await;
    assert_eq!(page.state().await["arrivals"][0]["text"], "{\"type\":\"lead.created\"}");
    assert_eq!(send("/").await, 204, "the page takes no place from the receiver");
    assert_eq!(page.fact("Repetitions").await, "1");
    page.act(json!({"action": "dedupe", "on": false})).await;
    send("/webhook").await;
    assert_eq!(page.state().await["arrivals"].as_array().unwrap().len(), 2);
    page.act(json!({"action": "answer", "status": 503, "body": "later"})).await;
    assert_eq!(send("/webhook").await, 503);
    page.act(json!({"action": "usual_answer"})).await;
    page.script(json!({"queue": "messages", "fault": {"server_error": {"status": 502}}, "always": true}))
        .await;
    assert_eq!((send("/webhook").await, send("/webhook").await), (502, 502));
    page.script(json!({"queue": "messages"})).await;
    assert_eq!(send("/webhook").await, 204);
    assert!(page.refuses(json!({"action": "answer", "status": 99, "body": ""})).await.contains("200"));
}

/// Whether somebody listens there.
async fn takes_connections(address: &str) -> bool {
    TcpStream::connect(address.trim_start_matches("http://")).await.is_ok()
}

#[tokio::test]
async fn a_page_refuses_connections_for_a_while() {
    let (telegram, smsc) = (TelegramSim::start().await.unwrap(), SmscSim::start().await.unwrap());
    let (mail, webhook) = (SmtpSim::start().await.unwrap(), WebhookSim::start().await.unwrap());
    let (vk, whatsapp) = (VkSim::start().await.unwrap(), WhatsAppSim::start().await.unwrap());
    let receiver = webhook.url().trim_end_matches("/webhook").to_owned();
    for (page, address, door) in [
        (vk.base_url(), vk.base_url(), vk.door()),
        (whatsapp.base_url(), whatsapp.base_url(), whatsapp.door()),
        (telegram.base_url(), telegram.base_url(), telegram.door()),
        (smsc.base_url(), smsc.base_url(), smsc.door()),
        (mail.page_url(), mail.address().to_string(), mail.door()),
        (receiver.clone(), receiver.clone(), webhook.door()),
    ] {
        let page = Page(page);
        let state = page.state().await;
        let forms = state["forms"].as_array().unwrap();
        assert!(forms.iter().any(|form| form["action"] == "refuse_connections"), "{state}");
        page.refuses(json!({"action": "refuse_connections", "seconds": 0})).await;
        page.refuses(json!({"action": "refuse_connections"})).await;
        page.act(json!({"action": "refuse_connections", "seconds": 3600})).await;
        // The answer has come before the door was shut; waiting for the shut door proves that it was the page's doing.
        while takes_connections(&address).await {
            tokio::task::yield_now().await;
        }
        door.open().await;
        assert!(takes_connections(&address).await, "{address} is open again");
        door.shut_for(Duration::from_millis(1));
        door.open().await;
        assert!(takes_connections(&address).await);
    }
}

#[tokio::test]
async fn a_shut_door_cuts_connections() {
    let sim = SmscSim::start().await.unwrap();
    let address = sim.base_url().trim_start_matches("http://").to_owned();
    let mut kept = TcpStream::connect(&address).await.unwrap();
    kept.write_all(b"GET /page/state HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    kept.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    sim.door().shut().await;
    let mut rest = Vec::new();
    // The end of the answer, then the end of the connection; a reset is an end too.
    let _reset = kept.read_to_end(&mut rest).await;
    let refused = TcpStream::connect(&address).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    sim.door().open().await;
    assert_eq!(status(&get(&format!("http://{address}/page/state")).await.unwrap()).unwrap(), 200);
}

#[tokio::test]
async fn a_door_that_was_shut_for_a_time_opens_by_itself() {
    let sim = WebhookSim::start().await.unwrap();
    let address = sim.url().trim_start_matches("http://").trim_end_matches("/webhook").to_owned();
    sim.door().shut().await;
    assert!(!takes_connections(&address).await);
    sim.door().shut_for(Duration::from_millis(20));
    while !takes_connections(&address).await {
        tokio::task::yield_now().await;
    }
}
