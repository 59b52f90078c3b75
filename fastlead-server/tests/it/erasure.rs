//! A person is erased: no file holds a value that names them, whatever else is known of the lead stays.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use fastlead_testkit::sim::smsc::SmscSim;
use fastlead_testkit::sim::telegram::TelegramSim;
use reqwest::Method;
use serde_json::{Value, json};

use crate::desk::{Desk, of, settled};
use crate::program::{PASSWORD, Program, run};

/// Whatever a capture can hold that names a person, none of it like anything else in the files.
const SEEDS: [(&str, &str); 20] = [
    ("name", "Вероника Эрзац-Имяева"),
    ("email", "veronika.erzatz@mail.example.com"),
    ("phone", "+79001234509"),
    ("extension", "84712"),
    ("comment", "Комментарий-про-зуб-мудрости"),
    ("city", "Город-Такой-Один"),
    ("street", "Улица-Такая-Одна"),
    ("page", "https://example.com/stranitsa-odna?tok=psq8812"),
    ("referrer", "https://example.org/otkuda-prishla"),
    ("first page", "https://example.com/pervyj-raz"),
    ("yclid", "yclid-77120034"),
    ("gclid", "gclid-abq88211x"),
    ("first yclid", "yclid-first-551"),
    ("user agent", "Brauzer-Veroniki/17.4"),
    ("handle", "veronika_handle_1"),
    ("other handle", "veronika_handle_2"),
    ("company", "ООО-Эрзац-и-Дочь"),
    ("second comment", "Второй-раз-пишу-комментарий"),
    ("second city", "Город-Второй-Такой"),
    ("second name", "Вероника Второва-Имяева"),
];

fn lead(second: bool) -> Value {
    let value = |name: &str| SEEDS.iter().find(|(seed, _)| *seed == name).unwrap().1;
    let (name, comment, city) = match second {
        false => ("name", "comment", "city"),
        true => ("second name", "second comment", "second city"),
    };
    json!({
        "name": value(name),
        "phone": format!("{} доб. {}", value("phone"), value("extension")),
        "email": value("email"),
        "comment": value(comment),
        "fields": {"city": value(city), "street": value("street"), "company": value("company")},
        "handles": [
            {"messenger": "telegram", "id": value("handle")},
            {"messenger": "vk", "id": value("other handle")},
        ],
        "attribution": {
            "first": {"page": value("first page"), "click_ids": {"yclid": value("first yclid")}, "utm_source": "erasure-campaign"},
            "last": {
                "page": value("page"), "referrer": value("referrer"),
                "click_ids": {"yclid": value("yclid"), "gclid": value("gclid")},
            },
        },
    })
}

/// A value as files could hold it.
fn disguises(value: &str) -> Vec<Vec<u8>> {
    let bytes = value.as_bytes();
    let little = value.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big = value.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let inside = |shift: usize| {
        // The middle of what base64 writes where the value begins at another byte of three.
        let shifted = STANDARD_NO_PAD.encode([&vec![b' '; shift][..], bytes].concat());
        let (skip, end) = ([0, 2, 3][shift], shifted.len() - 2);
        shifted.as_bytes()[skip..end].to_vec()
    };
    let mut all = vec![bytes.to_vec(), little, big, inside(0), inside(1), inside(2)];
    all.push(value.trim_start_matches('+').as_bytes().to_vec());
    all
}

/// The seeds that stand in a file.
fn found(file: &Path) -> Vec<&'static str> {
    let Ok(content) = std::fs::read(file) else { return Vec::new() };
    let holds = |needle: &[u8]| content.windows(needle.len()).any(|window| window == needle);
    let seeds = SEEDS.iter().filter(|(_, value)| disguises(value).iter().any(|needle| holds(needle)));
    seeds.map(|(name, _)| *name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_file_holds_a_value_of_a_person_who_was_erased() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fastlead.db");
    let path = file.to_str().unwrap().to_owned();
    let variables: [(&str, &str); 1] = [("FASTLEAD__STORE__PATH", &path)];
    let mut program = Program::start(folder.path(), &variables).await;
    let desk = Desk::sign_in(&program.url, PASSWORD).await;
    let (telegram, smsc) = (TelegramSim::start().await.unwrap(), SmscSim::start().await.unwrap());
    telegram.add_chat(1, "Crew");
    let bot = json!({"bot_token": telegram.token(), "endpoint": telegram.base_url()});
    desk.channel("telegram", "bot", bot).await;
    let sms = json!({"login": smsc.login(), "password": smsc.password(), "endpoint": smsc.base_url()});
    desk.channel("smsc", "sms", sms).await;
    let policy = json!({
        "targets": {"crew": {"display_name": "Crew", "destinations": [{"channel": "bot", "recipient": {"chat": "1"}}]}},
        "route": {"strategy": "broadcast", "targets": ["crew"], "template": "offer"},
        "auto_reply": [{"channel": "sms", "to": "phone", "template": "thanks"}],
        "dedupe": {"match": "any", "fields": ["contact.phone"], "window_secs": 600},
        "templates": {
            "offer": {"ru": {"plain": "{{ lead.name }} {{ lead.phone }} {{ lead.comment }}"}},
            "thanks": {"ru": {"plain": "Спасибо, {{ lead.name }}!"}},
        },
    });
    let source = desk.project("clinic", policy).await;
    let capture = |body: Value| {
        let agent = SEEDS.iter().find(|(name, _)| *name == "user agent").unwrap().1;
        desk.http
            .post(format!("{}/v1/capture/{}", desk.url, of(&source, "key")))
            .header("user-agent", agent)
            .json(&body)
    };
    let first = desk.read(capture(lead(false)).send().await.unwrap()).await;
    assert_eq!(first.0, 202, "{}", first.1);
    let id = of(&first.1, "lead_id").to_owned();
    let again = desk.read(capture(lead(true)).send().await.unwrap()).await;
    assert_eq!(again.1["decision"], "duplicate", "{}", again.1);
    let other = json!({"phone": "+7 900 000-00-07", "name": "Somebody Else-Stays"});
    let kept = desk.capture(&source, &other).await;
    desk.until("/v1/deliveries", settled).await;
    // Somebody works on it: the message says so, and still says who it is about.
    let accept = json!({"target": "crew", "response": "accept"});
    desk.post(&format!("/v1/leads/{id}/respond"), accept).await;
    desk.until("/v1/deliveries", settled).await;
    let texts = || telegram.inbox().all().into_iter().map(|arrival| arrival.text).collect::<Vec<_>>();
    let named = |text: &String| SEEDS.iter().filter(|(_, value)| text.contains(value)).count();
    assert_eq!(texts().iter().map(named).max(), Some(4), "{:?}", texts());
    let everywhere = [file.clone(), folder.path().join("fastlead.db-wal")];
    let before: Vec<_> = everywhere.iter().flat_map(|file| found(file)).collect();
    for (name, _) in SEEDS {
        assert!(before.contains(&name), "{name} is not stored in a form that this test would find");
    }

    let (status, erased) = desk.send(Method::DELETE, &format!("/v1/leads/{id}/person"), None).await;
    assert_eq!(
        (status, &erased["leads"], &erased["log_emptied"]),
        (200, &json!(1), &json!(true)),
        "{erased}"
    );
    for file in &everywhere {
        assert_eq!(found(file), Vec::<&str>::new(), "in {}", file.display());
    }
    // What managers have seen names nobody any more, and what others have asked stays.
    desk.until("/v1/deliveries", settled).await;
    let after = texts();
    assert_eq!(after.iter().map(named).max(), Some(0), "{after:?}");
    assert!(after.iter().any(|text| text.starts_with("Данные человека удалены")), "{after:?}");
    assert!(after.iter().any(|text| text.contains("Somebody Else-Stays")), "{after:?}");
    for file in &everywhere {
        assert_eq!(found(file), Vec::<&str>::new(), "in {}", file.display());
    }
    // A copy and a dump of it hold none either.
    let copy = folder.path().join("copy.db");
    let (made, output) = run(folder.path(), &variables, &["backup", copy.to_str().unwrap()]).await;
    assert!(made, "{output}");
    assert_eq!(found(&copy), Vec::<&str>::new());

    // What was decided stays, without names.
    let explained = desk.get(&format!("/v1/leads/{id}/explain")).await;
    let kinds: Vec<_> =
        explained["history"].as_array().unwrap().iter().map(|event| of(event, "kind")).collect();
    assert_eq!(kinds, ["captured", "captured", "responded", "erased"], "{explained}");
    assert_eq!(explained["history"][3]["actor"]["type"], "user");
    let lead = desk.get(&format!("/v1/leads/{id}")).await;
    assert_eq!((of(&lead["state"], "status"), &lead["capture"]["phone"]), ("closed", &Value::Null));
    assert_eq!(lead["capture"]["attribution"]["first"]["utm_source"], "erasure-campaign");
    assert!(lead["capture"]["erased_at"].is_string());
    assert_eq!(desk.get("/v1/leads").await["items"].as_array().unwrap().len(), 2);
    let stays = desk.get(&format!("/v1/leads/{kept}")).await;
    assert_eq!(stays["capture"]["name"], "Somebody Else-Stays");

    // Once more changes nothing; the person may come again, as a new lead.
    let (status, once_more) = desk.send(Method::DELETE, &format!("/v1/leads/{id}/person"), None).await;
    assert_eq!((status, &once_more["deliveries"]), (200, &json!(0)), "{once_more}");
    let fresh = desk.read(capture(json!({"phone": "+7 900 123-45-09"})).send().await.unwrap()).await;
    assert_eq!(fresh.1["decision"], "accepted", "{}", fresh.1);
    program.signal("TERM");
    assert!(program.ended(std::time::Duration::from_secs(30)).await.success());
}
