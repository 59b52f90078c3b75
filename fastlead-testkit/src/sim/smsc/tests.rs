//! The simulator over raw HTTP, held against the provider's documentation rather than against an adapter.

use std::sync::{Arc, Mutex};

use axum::http::Uri;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::sim::Fault;

const LOGIN: &str = "login=demo&psw=demo-password";

/// Where a callback went, and its body.
type Call = (String, Vec<u8>);

/// The whole answer to one request, head and body.
async fn raw(sim: &SmscSim, method: &str, path_and_query: &str, body: &str) -> Vec<u8> {
    let authority = sim.base_url().replace("http://", "");
    let mut stream = TcpStream::connect(&authority).await.unwrap();
    let head = format!(
        "{method} {path_and_query} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

async fn post(sim: &SmscSim, path: &str, fields: &str) -> Vec<u8> {
    let answer = raw(sim, "POST", path, &format!("{LOGIN}&{fields}")).await;
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&answer));
    let head_end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&answer[..head_end]).to_lowercase();
    assert!(head.contains("charset=windows-1251"), "whatever the body is: {head}");
    answer[head_end + 4..].to_vec()
}

async fn text(sim: &SmscSim, path: &str, fields: &str) -> String {
    String::from_utf8(post(sim, path, fields).await).unwrap()
}

async fn json_of(sim: &SmscSim, path: &str, fields: &str) -> Value {
    serde_json::from_slice(&post(sim, path, &format!("fmt=3&{fields}")).await).unwrap()
}

#[tokio::test]
async fn a_missing_charset_shows_as_garbage() {
    let sim = SmscSim::start().await.unwrap();
    post(&sim, "/sys/send.php", "phones=79000000000&mes=%D0%94%D0%B0").await;
    post(&sim, "/sys/send.php", "phones=79000000000&mes=%C4%E0").await;
    post(&sim, "/sys/send.php", "phones=79000000000&mes=%D0%94%D0%B0&charset=utf-8").await;
    let texts: Vec<_> = sim.inbox().all().into_iter().map(|arrival| arrival.text).collect();
    assert_eq!(texts, ["Р”Р°", "Да", "Да"]);
}

#[tokio::test]
async fn three_forms_of_answer_and_four_kinds_of_cost() {
    let sim = SmscSim::start().await.unwrap();
    let send = "/sys/send.php";
    assert_eq!(text(&sim, send, "phones=79000000000&mes=a&id=7").await, "OK - 1 SMS, ID - 7");
    assert_eq!(text(&sim, send, "phones=79000000000&mes=a&id=8&fmt=1").await, "8,1");
    assert_eq!(json_of(&sim, send, "phones=79000000000&mes=a&id=9").await, json!({ "id": 9, "cnt": 1 }));
    let priced = json_of(&sim, send, "phones=79000000000&mes=a&cost=1").await;
    assert_eq!(priced, json!({ "cost": "3.8", "cnt": 1 }));
    assert_eq!(sim.inbox().all().len(), 3, "cost=1 never sends");
    let whole = json_of(&sim, send, "phones=79000000000&mes=a&cost=3&id=10").await;
    assert_eq!(whole, json!({ "id": 10, "cnt": 1, "cost": "3.8", "balance": "984.8" }));
    assert_eq!(json_of(&sim, "/sys/balance.php", "").await, json!({ "balance": "984.8" }));
    let currency = json_of(&sim, "/sys/balance.php", "cur=1").await;
    assert_eq!(currency, json!({ "balance": "984.8", "currency": "RUR" }));
}

#[tokio::test]
async fn refusals_come_with_http_200() {
    let sim = SmscSim::start().await.unwrap();
    let send = "/sys/send.php";
    for (fields, code) in [
        ("phones=79000000000", 1),
        ("mes=a", 1),
        ("phones=79000000000&mes=a&id=2147483648", 1),
        ("phones=79000000000&mes=a&valid=25", 1),
        ("phones=79000000000&mes=a&charset=utf-16", 1),
        ("phones=79000000000&mes=a&time=tomorrow", 5),
        ("phones=79000000000&mes=a&sender=TwelveLetter", 6),
        ("phones=12345&mes=a&id=34", 7),
    ] {
        let answer = json_of(&sim, send, fields).await;
        assert_eq!(answer["error_code"], code, "{fields}");
        let names_the_message = code >= 6;
        assert_eq!(answer.get("id").is_some(), names_the_message, "{fields}");
    }
    assert_eq!(text(&sim, send, "phones=12345&mes=b&id=34").await, "ERROR = 7 (invalid number), ID - 34");
    assert_eq!(text(&sim, send, "phones=12345&mes=c&id=34&fmt=1").await, "34,-7");
    let wrong = raw(&sim, "GET", "/sys/balance.php?login=demo&psw=nope&fmt=3", "").await;
    assert!(wrong.ends_with(br#"{"error":"authorise error","error_code":2}"#));
    assert!(sim.inbox().all().is_empty());
}

#[tokio::test]
async fn statuses_one_by_one_and_in_batches_by_get() {
    let sim = SmscSim::start().await.unwrap();
    for id in [14, 15] {
        post(&sim, "/sys/send.php", &format!("phones=79000000000&mes=a&id={id}")).await;
    }
    assert!(sim.set_status(14, "+79000000000", 25, 248));
    assert!(!sim.set_status(16, "+79000000000", 1, 0));
    let status = "/sys/status.php";
    let one = json_of(&sim, status, "phone=79000000000&id=14").await;
    assert_eq!((&one["status"], &one["err"]), (&json!(25), &json!(248)));
    let absent = json_of(&sim, status, "phone=79000000001&id=14").await;
    assert_eq!(absent["status"], -3);
    let batch = json_of(&sim, status, "phone=79000000000,79000000000&id=14,15").await;
    assert_eq!((&batch[0]["id"], &batch[1]["status"]), (&json!(14), &json!(-1)));
    let forced = json_of(&sim, status, "phone=79000000000,&id=15,").await;
    assert_eq!(forced[0]["phone"], "79000000000");
    let full = json_of(&sim, status, "phone=79000000000&id=15&all=1&charset=utf-8").await;
    assert_eq!((&full["message"], &full["status_name"]), (&json!("a"), &json!("Ожидает отправки")));
    let by_get = raw(&sim, "GET", &format!("{status}?{LOGIN}&phone=79000000000&id=15&fmt=1"), "").await;
    assert!(String::from_utf8_lossy(&by_get).contains("\r\n\r\n-1,"));
}

#[tokio::test]
async fn scripted_trouble_looks_like_smscs_own() {
    let sim = SmscSim::start().await.unwrap();
    for (fault, code) in [
        (Fault::RateLimited { after_secs: 5 }, 9),
        (Fault::BadCredentials, 2),
        (Fault::NoBalance, 3),
        (Fault::BadContent, 6),
        (Fault::BadRecipient, 7),
        (Fault::ProviderCode { code: 15, text: "unknown error".to_owned() }, 15),
    ] {
        sim.faults().push(fault.clone());
        let answer = json_of(&sim, "/sys/send.php", "phones=79000000000&mes=a&id=34").await;
        assert_eq!(answer["error_code"], code, "{fault:?}");
    }
    assert!(sim.inbox().all().is_empty());
    for (fault, arrived) in [(Fault::DropBeforeAccept, 0), (Fault::DropAfterAccept, 1)] {
        sim.faults().push(fault);
        let fields = format!("{LOGIN}&phones=79000000000&mes=a");
        assert_eq!(raw(&sim, "POST", "/sys/send.php", &fields).await, b"", "not even a head");
        assert_eq!(sim.inbox().all().len(), arrived);
    }
}

#[tokio::test]
async fn the_client_is_called_at_its_address() {
    let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
    let seen = Arc::clone(&calls);
    let client = axum::Router::new().fallback(move |uri: Uri, body: bytes::Bytes| {
        let seen = Arc::clone(&seen);
        async move {
            seen.lock().unwrap().push((uri.to_string(), body.to_vec()));
            "OK"
        }
    });
    let client = SimServer::start(client).await.unwrap();
    let sim = SmscSim::start().await.unwrap();
    assert!(sim.inbound("79000000000", "до настройки", "1").await.is_err());
    sim.set_callback(&format!("{}/hooks/t?charset=utf-8&md5", client.base_url()), "secret");
    post(&sim, "/sys/send.php", "phones=79000000000&mes=a&id=1001").await;
    assert!(sim.set_status(1001, "79000000000", 1, 0));
    assert_eq!(sim.send_callback(1001, "79000000000").await.unwrap(), 200);
    assert_eq!(sim.inbound("79000000000", "да", "79000000002").await.unwrap(), 200);
    assert!(sim.send_callback(1002, "79000000000").await.is_err());
    let calls = calls.lock().unwrap();
    let [(uri, status), (_, inbound)] = calls.as_slice() else { panic!("{} calls", calls.len()) };
    assert_eq!(uri, "/hooks/t?charset=utf-8&md5");
    let status = String::from_utf8(status.clone()).unwrap();
    // printf '1001:79000000000:1:secret' | md5sum
    assert!(status.ends_with("&md5=a342698f7b82ee32d3c1ba087aeaa6ef"), "{status}");
    assert!(inbound.starts_with(b"phone=79000000000&mes=%D0%B4%D0%B0&to=79000000002&"));
}
