//! A dry run says what would happen, and changes nothing.

use std::collections::BTreeMap;
use std::path::Path;

use reqwest::Method;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};

use super::{Clinic, clinic, document};
use crate::desk::settled;

/// Every row of every table, byte for byte, as SQL literals.
async fn everything(file: &Path) -> BTreeMap<String, Vec<String>> {
    let address = format!("sqlite://{}?mode=ro", file.display());
    let mut connection = SqliteConnection::connect(&address).await.unwrap();
    let names = |sql: String| sqlx::query(AssertSqlSafe(sql));
    let tables = names("SELECT name FROM sqlite_master WHERE type = 'table'".to_owned());
    let tables = tables.fetch_all(&mut connection).await.unwrap();
    let mut rows = BTreeMap::new();
    for table in tables {
        let table: String = table.get(0);
        let columns = names(format!("SELECT name FROM pragma_table_info('{table}')"));
        let columns = columns.fetch_all(&mut connection).await.unwrap();
        let columns: Vec<String> =
            columns.iter().map(|column| format!("quote(\"{}\")", column.get::<String, _>(0))).collect();
        let all =
            names(format!("SELECT {} AS line FROM \"{table}\" ORDER BY line", columns.join(" || ',' || ")));
        let all = all.fetch_all(&mut connection).await.unwrap();
        rows.insert(table, all.iter().map(|row| row.get(0)).collect());
    }
    rows
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let server = Clinic::start().await;
    let desk = &server.desk;
    // Open all day and all night, so that it does not matter when this test runs.
    let policy = clinic().replace(r#"from: "09:00", to: "21:00""#, r#"from: "00:00", to: "24:00""#);
    desk.put(&server.path("policy"), document(&policy)).await;
    let lead = server.capture(1).await;
    desk.until(&format!("/v1/deliveries?lead_id={lead}"), settled).await;
    let file = server.folder.path().join("store.db");
    let before = everything(&file).await;
    assert!(before.len() > 15 && before["leads"].len() == 1, "{:?}", before.keys());
    assert!(!before["counters"].is_empty() && !before["unique_keys"].is_empty());

    let path = server.path("policy/dry-run");
    let noon = "2026-11-25T12:00:00+03:00";
    let phone = |number: u32| json!({"phone": format!("+7900{number:07}")});
    let day = desk.post(&path, json!({"capture": phone(2), "at": noon})).await;
    assert_eq!((&day["decision"], &day["policy"]["version"]), (&json!("accepted"), &json!(1)), "{day}");
    let told = day["state"]["offers"][0]["target"].as_str().unwrap().to_owned();
    assert!(
        day["effects"]
            .as_array()
            .unwrap()
            .contains(&json!(format!("The lead is offered to `{told}`, messages: 1.")))
    );
    assert!(
        day["sentences"].as_array().unwrap().iter().any(|line| {
            let line = line.as_str().unwrap();
            line.starts_with("Not chosen: `") && line.ends_with("it is another one's turn.")
        }),
        "{day}"
    );
    // Nobody's turn has come: the same again.
    let again = desk.post(&path, json!({"capture": phone(2), "at": noon})).await;
    assert_eq!(again["state"]["offers"][0]["target"], told.as_str());

    let night = json!({"capture": phone(2), "at": "2026-11-25T23:30:00+03:00", "locale": "ru", "policy": document(&clinic())});
    let night = desk.post(&path, night).await;
    assert_eq!(night["state"]["offers"][0]["target"], "nina");
    assert!(night["effects"].as_array().unwrap().contains(&json!("Лид предложен `nina`, сообщений: 1.")));

    let duplicate = desk.post(&path, json!({"capture": phone(1)})).await;
    assert_eq!(duplicate["decision"], "duplicate", "{duplicate}");
    let mut strict = document(&clinic());
    strict["accept"][0] = json!({"reject_if": "true", "code": "closed"});
    let refused = desk.post(&path, json!({"capture": phone(2), "policy": strict})).await;
    assert_eq!((&refused["decision"], &refused["code"]), (&json!("rejected"), &json!("closed")));
    assert_eq!(refused["policy"]["version"], 0);
    strict["route"][0]["targets"] = json!(["ana"]);
    let (status, problem) =
        desk.send(Method::POST, &path, Some(json!({"capture": phone(2), "policy": strict}))).await;
    assert_eq!((status, &problem["code"]), (422, &json!("invalid_policy")), "{problem}");

    assert_eq!(everything(&file).await, before);
    // What a real capture does is seen in the same way.
    let lead = server.capture(2).await;
    desk.until(&format!("/v1/deliveries?lead_id={lead}"), settled).await;
    assert_ne!(everything(&file).await, before);
}
