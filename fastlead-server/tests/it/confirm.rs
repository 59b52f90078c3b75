//! A visitor confirms by the link of a message, on a page that works without JavaScript.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::desk::{SmsOffice, of};

fn policy(within_secs: u64) -> Value {
    json!({
        "targets": {"anna": {"display_name": "Anna", "destinations": [
            {"channel": "sms", "recipient": {"phone": "+79000000009"}},
        ]}},
        "route": {"strategy": "broadcast", "targets": ["anna"], "template": "lead"},
        "confirm": {
            "ask": [{"channel": "sms", "to": "phone", "template": "ask"}], "within_secs": within_secs,
        },
        "templates": {
            "lead": {"ru": {"plain": "Заявка {{ lead.name }}"}},
            "ask": {"ru": {"plain": "Подтвердите: {{ confirm.url }}"}},
        },
    })
}

struct Page {
    status: StatusCode,
    html: String,
    headers: String,
}

async fn page(request: reqwest::RequestBuilder) -> Page {
    let answer = request.header("accept-language", "ru").send().await.unwrap();
    let (status, headers) = (answer.status(), format!("{:?}", answer.headers()));
    Page { status, html: answer.text().await.unwrap(), headers }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_confirms_and_only_then_the_manager_is_told() {
    let office = SmsOffice::open().await;
    let (desk, smsc) = (&office.desk, &office.smsc);
    let source = desk.project("double opt-in", policy(3_600)).await;

    let lead = desk.capture(&source, &json!({"phone": "+79000000000", "name": "Вера"})).await;
    let asked = smsc.inbox().wait_for(1).await.remove(0);
    assert_eq!(asked.to, "+79000000000");
    let path = format!("/v1/leads/{lead}");
    let state = desk.get(&path).await;
    assert_eq!(of(&state["state"], "status"), "unconfirmed", "{state}");
    let link = asked.text.strip_prefix("Подтвердите: ").unwrap();
    assert!(link.starts_with(&format!("{}/c/", office.program.url)), "{link}");

    // Programs that look at links change nothing, however often.
    for _ in 0..3 {
        let shown = page(desk.http.get(link)).await;
        assert_eq!(shown.status, StatusCode::OK);
        assert!(shown.html.contains("Подтвердить</button>"), "{}", shown.html);
        assert!(shown.headers.contains("default-src 'none'"), "{}", shown.headers);
    }
    assert_eq!(page(desk.http.head(link)).await.status, StatusCode::OK);
    assert_eq!(of(&desk.get(&path).await["state"], "status"), "unconfirmed");
    // Nor does somebody who knows the lead's id and guesses.
    let guessed = format!("{}x", &link[..link.len() - 1]);
    for wrong in [guessed.as_str(), &format!("{}/c/{lead}", office.program.url)] {
        assert_eq!(page(desk.http.post(wrong)).await.status, StatusCode::NOT_FOUND, "{wrong}");
    }

    for _ in 0..2 {
        let done = page(desk.http.post(link).header("user-agent", "Example Browser")).await;
        assert_eq!(done.status, StatusCode::OK);
        assert!(done.html.contains("Спасибо, заявка подтверждена"), "{}", done.html);
        assert!(!done.html.contains("<button"), "{}", done.html);
    }
    let told = smsc.inbox().wait_for(2).await.remove(1);
    assert_eq!((told.to.as_str(), told.text.as_str()), ("+79000000009", "Заявка Вера"));
    let state = desk.get(&path).await;
    assert_eq!(of(&state["state"], "status"), "open", "{state}");
    assert!(state["state"]["confirmation"]["confirmed_at"].is_string(), "{state}");

    // The evidence stands in the history, once.
    let story = desk.get(&format!("{path}/explain?locale=ru")).await;
    let events = story["history"].as_array().unwrap();
    let confirmed: Vec<_> = events.iter().filter(|event| event["kind"] == "confirmed").collect();
    assert_eq!(confirmed.len(), 1, "{story}");
    assert_eq!(confirmed[0]["event"]["user_agent"], "Example Browser");
    assert_eq!(confirmed[0]["event"]["ip"], "127.0.0.1");
    assert!(story.to_string().contains("Лид ждёт подтверждения посетителя"), "{story}");
    assert_eq!(smsc.inbox().all().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_confirms_for_a_visitor_and_a_link_ends() {
    let office = SmsOffice::open().await;
    let (desk, smsc) = (&office.desk, &office.smsc);
    let source = desk.project("double opt-in", policy(3_600)).await;
    let lead = desk.capture(&source, &json!({"phone": "+79000000000", "name": "Вера"})).await;
    let state = desk.post(&format!("/v1/leads/{lead}/confirm"), Value::Null).await;
    assert_eq!(of(&state, "status"), "open", "{state}");

    let source = desk.project("too late", policy(4)).await;
    let lead = desk.capture(&source, &json!({"phone": "+79000000001", "name": "Вера"})).await;
    let path = format!("/v1/leads/{lead}");
    // The manager's message of the first lead comes between.
    let asked = smsc.inbox().wait_for(3).await.into_iter().find(|message| message.to == "+79000000001");
    let link = asked.unwrap().text.strip_prefix("Подтвердите: ").unwrap().to_owned();
    let state = desk.until(&path, |lead| lead["state"]["status"] == "rejected").await;
    assert_eq!(of(&state["state"], "reject_code"), "unconfirmed");
    let late = page(desk.http.post(&link)).await;
    assert_eq!(late.status, StatusCode::GONE, "{}", late.html);
    assert!(late.html.contains("Ссылка больше не действует"), "{}", late.html);
    let (status, problem) =
        desk.send(reqwest::Method::POST, &format!("{path}/confirm"), Some(Value::Null)).await;
    assert_eq!((status, of(&problem, "code")), (409, "not_confirmed"), "{problem}");
}
