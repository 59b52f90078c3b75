//! A person comes to the hosted form twice: the lead knows both visits.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fastlead_testkit::sim::telegram::TelegramSim;
use reqwest::Response;
use serde_json::{Value, json};

use crate::desk::{Desk, of};
use crate::program::{PASSWORD, Program};

fn cookie(answer: &Response) -> Option<String> {
    answer.headers().get("set-cookie").map(|value| value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn the_first_visit_is_remembered_and_the_last_one_counts_too() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &[]).await;
    let desk = Desk::sign_in(&program.url, PASSWORD).await;
    let text = json!({"plain": "Lead"});
    let telegram = TelegramSim::start().await.unwrap();
    let config = json!({"bot_token": telegram.token(), "endpoint": telegram.base_url()});
    desk.channel("telegram", "bot", config).await;
    let policy = json!({
        "targets": {"sales": {
            "display_name": "Sales", "destinations": [{"channel": "bot", "recipient": {"chat": "1"}}],
        }},
        "route": {"strategy": "broadcast", "targets": ["sales"], "template": "offer"},
        "templates": {"offer": {"ru": text, "en": text}},
    });
    let source = desk.project("Site", policy).await;
    let form = of(&source, "form_url");
    let open = async |parameters: &str, cookies: &str| {
        let request = desk.http.get(format!("{form}?{parameters}")).header("cookie", cookies);
        request.header("referer", "https://example.com/?email=vera@example.com").send().await.unwrap()
    };
    assert_eq!(cookie(&open("lang=ru", "").await), None, "there is nothing to keep");

    let personal = "name=Vera&phone=%2B79000000041&page=https%3A%2F%2Fexample.com%2F%3Fphone%3D1";
    let kept = open(&format!("utm_source=news&yclid=77&{personal}"), "").await;
    let kept = cookie(&kept).expect("the visit is kept");
    let (pair, attributes) = kept.split_once("; ").unwrap();
    let path = format!("Path=/f/{}", of(&source, "key"));
    assert_eq!(attributes, format!("{path}; Max-Age=2592000; HttpOnly; SameSite=Lax"));
    let value = URL_SAFE_NO_PAD.decode(pair.split_once('=').unwrap().1).unwrap();
    let mut value: Value = serde_json::from_slice(&value).unwrap();
    assert!(value["at"].take().is_string());
    assert_eq!(value, json!({"utm_source": "news", "click_ids": {"yclid": "77"}, "at": null}));

    let again = open("utm_source=mail&utm_campaign=autumn", &format!("other=1; {pair}")).await;
    assert_eq!(cookie(&again), None, "the first visit stays");
    let fields = [
        ("phone", "+79000000041"),
        ("utm_source", "mail"),
        ("utm_campaign", "autumn"),
        ("shown_at", "1"),
        ("submission", "touch-1"),
    ];
    let sent = desk.http.post(form).header("cookie", pair).form(&fields).send().await.unwrap();
    assert_eq!(sent.status(), 200);
    let lead = &desk.get("/v1/leads").await["items"][0]["capture"]["attribution"];
    assert_eq!(
        (&lead["first"]["utm_source"], &lead["first"]["click_ids"]["yclid"]),
        (&json!("news"), &json!("77"))
    );
    assert!(lead["first"]["at"].is_string(), "{lead}");
    assert_eq!(
        (&lead["last"]["utm_source"], &lead["last"]["utm_campaign"]),
        (&json!("mail"), &json!("autumn"))
    );

    // Programs send both by themselves.
    let both = json!({"first": {"utm_source": "one"}, "last": {"utm_source": "two"}});
    let id = desk.capture(&source, &json!({"phone": "+79000000042", "attribution": both})).await;
    assert_eq!(desk.get(&format!("/v1/leads/{id}")).await["capture"]["attribution"], both);
}
