//! The load: visitors who leave their number, over connections that stay open.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::protocol::SOURCE;
use crate::sink::now_nanos;

/// When a load ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// After a time.
    After(Duration),
    /// After so many requests.
    Count(u64),
}

/// What a load saw.
#[derive(Debug)]
pub(crate) struct Load {
    /// How many requests were answered with 202.
    pub(crate) done: u64,
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
    /// How long each answer took, shortest first.
    pub(crate) latencies: Vec<Duration>,
}

impl Load {
    pub(crate) fn rate(&self) -> f64 {
        self.done as f64 / self.elapsed.as_secs_f64()
    }
}

/// The latency that `share` of `sorted` do not exceed, in milliseconds.
pub(crate) fn millis_at(sorted: &[Duration], share: f64) -> f64 {
    let index = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
}

/// The request of the visitor with this number. Every number is a phone of its own.
fn request(number: u64) -> String {
    let body = format!(
        r#"{{"name":"Вера","phone":"+7900{number:07}","consents":{{"personal_data":true}},"attribution":{{"last":{{"utm_source":"bench","utm_medium":"cpc","page":"https://example.com/"}}}}}}"#
    );
    format!(
        "POST /v1/capture/{SOURCE} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// How long a request is: all are equally long.
pub(crate) fn request_length() -> usize {
    request(0).len()
}

/// The visitor's number in a text that ends with the phone.
pub(crate) fn number_in(text: &str) -> u64 {
    let digits = text.rsplit("+7900").next().unwrap_or_default();
    digits.parse().unwrap_or(u64::MAX)
}

/// One connection that stays open.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: vec![0; 4_096] }
    }

    /// Leaves a number; the answer must be 202.
    pub(crate) async fn capture(&mut self, number: u64) {
        self.exchange(&request(number), "HTTP/1.1 202 ").await;
    }

    /// Asks for a page; the answer must be 200.
    pub(crate) async fn get(&mut self, path: &str) {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"), "HTTP/1.1 200 ").await;
    }

    async fn exchange(&mut self, request: &str, expected: &str) {
        self.stream.write_all(request.as_bytes()).await.unwrap();
        let mut have = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[have..]).await.unwrap();
            assert!(read > 0, "the server closed the connection");
            have += read;
            let Ok(text) = std::str::from_utf8(&self.buffer[..have]) else { continue };
            let Some(head) = text.find("\r\n\r\n") else { continue };
            let length: usize = text[..head]
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if have >= head + 4 + length {
                assert!(text.starts_with(expected), "{text}");
                return;
            }
        }
    }
}

/// As many requests as `connections` manage, each sending the next when the one before is answered.
pub(crate) async fn closed(address: SocketAddr, connections: u64, end: End) -> Load {
    let next = Arc::new(AtomicU64::new(0));
    let mut clients = Vec::new();
    for _ in 0..connections {
        clients.push(Client::connect(address).await);
    }
    let start = Instant::now();
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            let next = Arc::clone(&next);
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let sent = Instant::now();
                    let over = match end {
                        End::After(time) => sent.duration_since(start) >= time,
                        End::Count(count) => number >= count,
                    };
                    if over {
                        return latencies;
                    }
                    client.capture(number).await;
                    latencies.push(sent.elapsed());
                }
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.unwrap());
    }
    let elapsed = start.elapsed();
    latencies.sort_unstable();
    Load { done: latencies.len() as u64, elapsed, latencies }
}

/// One request of a steady load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    /// The visitor.
    pub(crate) number: u64,
    /// When it was sent, in nanoseconds since the Unix epoch.
    pub(crate) sent_nanos: u64,
    /// How long the answer took.
    pub(crate) latency: Duration,
}

/// `rate` requests a second for `time`, evenly spread over eight connections: one that waits for its
/// answer does not keep the next from being sent.
pub(crate) async fn steady(address: SocketAddr, rate: u64, time: Duration) -> Vec<Request> {
    const CONNECTIONS: u64 = 8;
    let total = rate * time.as_secs();
    let gap = Duration::from_secs_f64(1.0 / rate as f64);
    let start = tokio::time::Instant::now() + Duration::from_millis(50);
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|first| {
            tokio::spawn(async move {
                let mut client = Client::connect(address).await;
                let mut requests = Vec::new();
                for number in (first..total).step_by(CONNECTIONS as usize) {
                    tokio::time::sleep_until(start + gap * u32::try_from(number).unwrap()).await;
                    let (sent, sent_nanos) = (Instant::now(), now_nanos());
                    client.capture(number).await;
                    requests.push(Request { number, sent_nanos, latency: sent.elapsed() });
                }
                requests
            })
        })
        .collect();
    let mut requests = Vec::new();
    for task in tasks {
        requests.extend(task.await.unwrap());
    }
    requests
}
