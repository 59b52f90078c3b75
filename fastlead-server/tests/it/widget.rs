//! What the widget gets from the server, and what the server proves of what it has sent.

use std::collections::BTreeSet;

use fastlead_core::lead::Touch;
use fastlead_core::message::Locale;
use reqwest::StatusCode;
use reqwest::header::{
    ACCEPT_ENCODING, ACCEPT_LANGUAGE, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_ENCODING,
    CONTENT_TYPE, ETAG, IF_NONE_MATCH, ORIGIN,
};
use serde_json::{Value, json};

use super::capture::{Shop, open, shop};

const SITE: &str = "https://shop.example.com";

async fn form(shop: &Shop, query: &str) -> Value {
    let answer = shop.http.get(format!("{}/w/shop.json{query}", shop.url)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.unwrap()
}

/// The document that a form shows for a purpose, as an answer that grants it.
fn granted(form: &Value, purpose: &str) -> Value {
    let consents = form["consents"].as_array().unwrap();
    let shown = consents.iter().find(|consent| consent["purpose"] == purpose).unwrap();
    json!({"granted": true, "version": shown["version"], "text_sha256": shown["text_sha256"]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_script_is_for_every_site_and_is_not_sent_twice() {
    let shop = shop(open(), true).await;
    let url = format!("{}/w.js", shop.url);
    let answer = shop.http.get(&url).header(ORIGIN, SITE).send().await.unwrap();
    let headers = answer.headers().clone();
    assert_eq!(headers[CONTENT_TYPE], "text/javascript; charset=utf-8");
    assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    assert_eq!(headers["cross-origin-resource-policy"], "cross-origin");
    assert!(headers[CACHE_CONTROL].to_str().unwrap().contains("max-age=300"));
    assert!(!headers.contains_key(CONTENT_ENCODING), "this client has not asked for gzip");
    assert_eq!(answer.text().await.unwrap(), include_str!("../../web/widget/dist/w.js"));
    let zipped = shop.http.get(&url).header(ACCEPT_ENCODING, "gzip, br").send().await.unwrap();
    assert_eq!(zipped.headers()[CONTENT_ENCODING], "gzip");
    assert_ne!(zipped.headers()[ETAG], headers[ETAG], "other bytes have another tag");
    assert_eq!(&zipped.bytes().await.unwrap()[..], include_bytes!("../../web/widget/dist/w.js.gz"));
    let again = shop.http.get(&url).header(IF_NONE_MATCH, &headers[ETAG]).send().await.unwrap();
    assert_eq!((again.status(), &again.headers()[ETAG]), (StatusCode::NOT_MODIFIED, &headers[ETAG]));
    assert!(again.bytes().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_says_everything_in_one_language() {
    let shop = shop(open(), true).await;
    let is_russian = |text: &str| text.chars().any(|c| matches!(c, 'а'..='я' | 'А'..='Я' | 'ё' | 'Ё'));
    let english = form(&shop, "?lang=en").await;
    assert!(!is_russian(&english.to_string()), "{english}");
    assert_eq!(english["consents"][0]["label"], "I agree to the processing of my personal data");
    let russian = form(&shop, "?lang=ru").await;
    for text in
        [&russian["consents"][1]["label"], &russian["words"]["send"], &russian["errors"]["invalid_phone"]]
    {
        assert!(is_russian(text.as_str().unwrap()), "{text}");
    }
    let names = |form: &Value| {
        form["fields"].as_array().unwrap().iter().map(|field| field["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&english), ["name", "phone", "email", "comment"]);

    // A language in which a text is missing is not offered: neither by address nor by the browser.
    shop.change(|source| source.form.title = Some("Запись на приём".to_owned())).await;
    assert_eq!(form(&shop, "?lang=en").await["lang"], "ru");
    let url = format!("{}/f/shop", shop.url);
    let page = shop.http.get(url).header(ACCEPT_LANGUAGE, "en").send().await.unwrap().text().await.unwrap();
    assert!(page.contains("<html lang=\"ru\">") && !page.contains("hreflang"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_puts_it_on_a_site_is_told_why_it_does_not_work() {
    let shop = shop(open(), true).await;
    let ask = async |file: &str, origin: &str| {
        let answer =
            shop.http.get(format!("{}/w/{file}", shop.url)).header(ORIGIN, origin).send().await.unwrap();
        assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "*", "a script can read the answer");
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        (status.as_u16(), body["code"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(ask("shop.json", SITE).await, (200, String::new()));
    assert_eq!(ask("shop.json", "https://other.example.com").await, (403, "origin_not_allowed".to_owned()));
    assert_eq!(ask("nobody.json", SITE).await, (404, "not_found".to_owned()));
    assert_eq!(ask("shop", SITE).await, (404, "not_found".to_owned()));
    shop.change(|source| source.active = false).await;
    assert_eq!(ask("shop.json", SITE).await, (410, "source_closed".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submission_counts_once_without_a_header() {
    let shop = shop(open(), false).await;
    let url = |id: &str| format!("{}?submission={id}", shop.capture_url());
    let send = async |id: &str, phone: &str| {
        let body = json!({"phone": phone}).to_string();
        let answer =
            shop.http.post(url(id)).header(CONTENT_TYPE, "text/plain;charset=UTF-8").body(body).send();
        let answer = answer.await.unwrap();
        let replayed = answer.headers().contains_key("idempotency-replayed");
        let (status, body) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap());
        (status, replayed, body["lead_id"].clone(), body["code"].clone())
    };
    let first = send("a-1_B", "+79000000000").await;
    assert_eq!((first.0, first.1), (202, false));
    assert_eq!(send("a-1_B", "+79000000000").await, (202, true, first.2, Value::Null));
    assert_eq!(send("a-1_B", "+79000000001").await.3, "idempotency_key_reused");
    assert!(!send("other", "+79000000001").await.1);
    // Whatever its caller has made of it, it tells two requests apart; an empty one tells nothing.
    for (id, replayed) in [("a%20b", true), ("%D1%8F", true), (&*"x".repeat(65), true), ("", false)] {
        let first = send(id, "+79000000002").await;
        assert_eq!((first.0, first.1), (202, false), "{id}");
        assert_eq!(send(id, "+79000000002").await.1, replayed, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_text_that_was_shown_is_proved_and_an_unknown_one_is_refused() {
    let shop = shop(open(), true).await;
    let english = form(&shop, "?lang=en").await;
    let text = |shop: &Shop, locale: Locale| {
        let directory = shop.app.engine.directory();
        let source = directory.source("shop").unwrap();
        let document = source.consents.iter().find(|document| document.locale == Some(locale)).unwrap();
        document.text_sha256()
    };
    let before = text(&shop, Locale::En);
    let body = |answer: &Value| json!({"phone": "+79000000000", "locale": "ru", "consents": {"personal_data": answer}});
    let answer = granted(&english, "personal_data");
    assert_eq!(shop.capture(&body(&answer)).await.status(), StatusCode::ACCEPTED);
    assert_eq!(shop.last().await.capture.consents[0].text_sha256, before, "not that of the lead's language");

    // The text changes while visitors have the form open: what they have read is what they have agreed to.
    shop.change(|source| {
        for document in &mut source.consents {
            document.version = "2".to_owned();
            document.text.push('!');
        }
    })
    .await;
    assert_ne!(text(&shop, Locale::En), before);
    let late = json!({"phone": "+79000000003", "consents": {"personal_data": answer}});
    assert_eq!(shop.capture(&late).await.status(), StatusCode::ACCEPTED);
    let consent = shop.last().await.capture.consents[0].clone();
    assert_eq!((consent.text_sha256, consent.document_version.as_str()), (before, "1"));
    // A mapping reads the same.
    shop.change(|source| source.mapping.preset = Some(fastlead_core::lead::Preset::WordPress)).await;
    let forged = json!({"granted": true, "version": "1", "text_sha256": "0".repeat(64)});
    for answer in [forged, json!({"granted": false, "version": "1", "text_sha256": text(&shop, Locale::En)})]
    {
        let refused = shop.capture(&body(&answer)).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(refused.json::<Value>().await.unwrap()["errors"][0]["code"], "consent_changed");
    }
    let untold = json!({"phone": "+79000000004", "locale": "en", "consents": {"personal_data": "yes"}});
    assert_eq!(shop.capture(&untold).await.status(), StatusCode::ACCEPTED);
    assert_eq!(shop.last().await.capture.consents[0].text_sha256, text(&shop, Locale::En));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hosted_form_proves_the_text_of_its_language_and_moment() {
    let shop = shop(open(), true).await;
    shop.change(|source| source.limits.min_fill_millis = 0).await;
    let url = format!("{}/f/shop?lang=en", shop.url);
    let page = shop.http.get(&url).send().await.unwrap().text().await.unwrap();
    assert!(!page.replace("Русский", "").chars().any(|c| matches!(c, 'а'..='я' | 'А'..='Я')), "{page}");
    let hidden = |name: &str| {
        let start = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap().1;
        start.split_once('"').unwrap().0.to_owned()
    };
    let before = shop.app.engine.directory().source("shop").unwrap().consents.clone();
    let english = |purpose: &str| {
        let speaks = |document: &&fastlead_core::lead::ConsentDocument| {
            document.locale == Some(Locale::En) && document.purpose.as_str() == purpose
        };
        before.iter().find(speaks).unwrap().text_sha256()
    };
    shop.change(|source| {
        for document in &mut source.consents {
            (document.version, document.text) = ("2".to_owned(), format!("{} 2", document.text));
        }
    })
    .await;
    let fields = [
        ("phone", "+79000000005".to_owned()),
        ("consent_personal_data", "1".to_owned()),
        ("shown_personal_data", hidden("shown_personal_data")),
        ("shown_advertising", hidden("shown_advertising")),
        ("shown_at", hidden("shown_at")),
    ];
    let answer = shop.http.post(&url).form(&fields).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.text().await.unwrap().contains("Thank you, we have got it"));
    let capture = shop.last().await.capture;
    let proved: Vec<_> =
        capture.consents.iter().map(|consent| (consent.granted, consent.text_sha256.clone())).collect();
    assert_eq!(proved, [(true, english("personal_data")), (false, english("advertising"))]);
    assert!(capture.fields.is_empty(), "{:?}", capture.fields.keys());
    let earlier = format!("{}/f/shop/documents/personal_data?lang=en&version=", shop.url);
    let text = async |version: &str| {
        let answer = shop.http.get(format!("{earlier}{version}")).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap().contains("address. 2"))
    };
    assert_eq!((text("1").await, text("2").await), ((200, false), (200, true)));
    assert_eq!(text("3").await.0, 404);
}

/// Parameters that the script looks at.
fn marks() -> BTreeSet<&'static str> {
    let script = include_str!("../../web/widget/src/touch.ts");
    let start = script.find("const UTM").unwrap();
    let lists = &script[start..script.find("const VALUE_CHARS").unwrap()];
    lists.split('\'').skip(1).step_by(2).collect()
}

#[test]
fn the_script_knows_the_marks_that_the_server_knows() {
    for name in marks() {
        assert!(Touch::default().take_parameter(name, "x"), "{name}");
    }
    let page = include_str!("../../../docs/form.md");
    let start = page.find("Of each it keeps").unwrap();
    let sentence = &page[start..start + page[start..].find("; of the last one").unwrap()];
    let documented: BTreeSet<&str> = sentence.split('`').skip(1).step_by(2).collect();
    assert_eq!(marks(), documented);
}
