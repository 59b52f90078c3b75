//! What a person has agreed to can be proved after the texts have changed.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::desk::{SmsOffice, of};

fn policy() -> Value {
    json!({
        "dedupe": {"match": "any", "fields": ["contact.phone"], "window_secs": 3_600},
        "targets": {"anna": {"display_name": "Anna", "destinations": [
            {"channel": "sms", "recipient": {"phone": "+79000000009"}},
        ]}},
        "route": {"strategy": "broadcast", "targets": ["anna"], "template": "lead"},
        "templates": {"lead": {"ru": {"plain": "Заявка"}}},
    })
}

fn settings(version: &str, text: &str) -> Value {
    let document = |purpose: &str, required: bool| {
        json!({
            "purpose": purpose, "document_id": purpose, "version": version, "label": format!("Согласен {version}"),
            "text": format!("{text} ({purpose})"), "required": required,
        })
    };
    json!({
        "name": "site", "consents": [document("personal_data", true), document("advertising", false)],
        "limits": {"per_ip_per_minute": 0, "per_minute": 0, "min_fill_millis": 0},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_texts_of_consents_are_proved_after_they_have_changed() {
    let office = SmsOffice::open().await;
    let desk = &office.desk;
    let source = desk.project("consents", policy()).await;
    let change = format!("/v1/sources/{}", of(&source, "id"));
    desk.put(&change, settings("1", "Первый текст")).await;
    let lead = json!({"phone": "+79000000000", "consents": {"personal_data": true}});
    let id = desk.capture(&source, &lead).await;
    desk.put(&change, settings("2", "Второй текст")).await;
    let again = json!({"phone": "+79000000000", "consents": {"personal_data": true, "advertising": true}});
    assert_eq!(desk.capture(&source, &again).await, id, "a repetition");
    desk.put(&change, json!({"name": "site", "consents": []})).await;

    let evidence = desk.get(&format!("/v1/leads/{id}/consents")).await;
    assert_eq!(evidence["person"]["phone"], "+79000000000");
    let consents = evidence["consents"].as_array().unwrap();
    let said: Vec<_> = consents
        .iter()
        .map(|consent| {
            let text = of(consent, "text");
            assert_eq!(of(consent, "text_sha256"), hex::encode(Sha256::digest(text.as_bytes())));
            assert_eq!(consent["ip"], "127.0.0.1");
            (of(consent, "purpose"), consent["granted"].as_bool().unwrap(), of(consent, "label"), text)
        })
        .collect();
    assert_eq!(
        said,
        [
            ("personal_data", true, "Согласен 1", "Первый текст (personal_data)"),
            ("advertising", false, "Согласен 1", "Первый текст (advertising)"),
            ("personal_data", true, "Согласен 2", "Второй текст (personal_data)"),
            ("advertising", true, "Согласен 2", "Второй текст (advertising)"),
        ]
    );
    assert_ne!(consents[0]["event_id"], consents[2]["event_id"]);
    assert!(evidence.get("confirmation").is_none(), "{evidence}");
}
