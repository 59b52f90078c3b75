//! The simulated receiver, spoken to over a bare socket.

use fastlead_testkit::sim::Fault;
use fastlead_testkit::sim::webhook::{WebhookAnswer, WebhookSim};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends one request and gives the whole answer; empty where the receiver hung up.
async fn request(sim: &WebhookSim, method: &str, id: &str, body: &str) -> String {
    let url = sim.url();
    let host = url.strip_prefix("http://").unwrap().strip_suffix("/webhook").unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let length = body.len();
    let head = format!(
        "{method} /webhook?a=1 HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\nwebhook-id: {id}\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_repeated_id_is_counted_and_shown_once_unless_dedupe_is_off() {
    let sim = WebhookSim::start().await.unwrap();
    for (dedupe, arrivals, duplicates) in [(true, 1, 1), (false, 3, 3)] {
        sim.set_dedupe(dedupe);
        for _ in 0..2 {
            assert!(request(&sim, "POST", "dlv_1", "{}").await.starts_with("HTTP/1.1 204"));
        }
        assert_eq!((sim.inbox().all().len(), sim.duplicates()), (arrivals, duplicates));
    }
    let arrival = &sim.inbox().all()[0];
    assert_eq!(
        (arrival.provider_message_id.as_str(), arrival.to.as_str(), arrival.text.as_str()),
        ("dlv_1", "/webhook", "{}")
    );
    assert_eq!(arrival.details["headers"]["webhook-id"], "dlv_1");
}

#[tokio::test]
async fn everything_that_came_is_kept_and_only_what_was_accepted_is_shown() {
    let sim = WebhookSim::start().await.unwrap();
    assert!(request(&sim, "HEAD", "", "").await.starts_with("HTTP/1.1 405"));
    sim.set_answer(Some(WebhookAnswer::redirect(307, "https://example.com/")));
    let redirect = request(&sim, "POST", "dlv_1", "a").await;
    assert!(redirect.starts_with("HTTP/1.1 307") && redirect.contains("location: https://example.com/\r\n"));
    sim.set_answer(None);
    for (fault, start) in [
        (Fault::RateLimited { after_secs: 7 }, "HTTP/1.1 429"),
        (Fault::ServerError { status: 503 }, "HTTP/1.1 503"),
        (Fault::BadCredentials, "HTTP/1.1 401"),
        (Fault::NoBalance, "HTTP/1.1 402"),
        (Fault::BadRecipient, "HTTP/1.1 410"),
        (Fault::BadContent, "HTTP/1.1 422"),
        (Fault::ProviderCode { code: 418, text: "teapot".to_owned() }, "HTTP/1.1 418"),
    ] {
        sim.faults().push(fault);
        let answer = request(&sim, "POST", "dlv_1", "a").await;
        assert!(answer.starts_with(start), "{answer}");
    }
    assert_eq!((sim.requests().len(), sim.inbox().all().len(), sim.duplicates()), (9, 0, 0));
}

#[tokio::test]
async fn a_dropped_connection_carries_no_answer() {
    let sim = WebhookSim::start().await.unwrap();
    for (fault, arrivals) in [(Fault::DropBeforeAccept, 0), (Fault::DropAfterAccept, 1)] {
        sim.faults().push(fault);
        assert_eq!(request(&sim, "POST", "dlv_1", "{}").await, "");
        assert_eq!(sim.inbox().all().len(), arrivals);
    }
}

#[tokio::test]
async fn without_a_port_of_its_own_it_is_mounted() {
    let sim = WebhookSim::new();
    assert_eq!(sim.url(), "/webhook");
    let router = axum::Router::new().nest("/receiver", sim.router());
    let server = fastlead_testkit::sim::SimServer::start(router).await.unwrap();
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream
        .write_all(
            b"POST /receiver/webhook HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        )
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    assert_eq!(sim.inbox().all().len(), 1);
}
