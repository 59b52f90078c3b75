//! Measures the whole program against limits measured in the same run. `cargo xtask bench` runs it.
//!
//! Load, server and store share the machine; nothing here is asserted, everything is printed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a measurement stops at the first surprise and prints"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::routing::post;
use axum::{Json, Router};
use fastlead_core::async_trait;
use fastlead_core::channel::{
    Capabilities, Channel, ChannelInfo, Lookup, Poller, SendReceipt, SentReference,
};
use fastlead_core::lead::CaptureInput;
use fastlead_core::message::{OutboundMessage, Recipient, RecipientKind};
use fastlead_core::policy::Policy;
use fastlead_core::port::SourceLimits;
use fastlead_core::webhook::{WebhookReceiver, WebhookRegistration};
use fastlead_server::{Server, Settings, bootstrap};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const CONNECTIONS: usize = 64;
const SECONDS: u64 = 5;

/// A sink that takes everything, after `latency`.
#[derive(Debug)]
struct Sink {
    info: ChannelInfo,
    latency: Duration,
    count: Arc<AtomicU64>,
    last: tokio::sync::watch::Sender<Instant>,
}

#[async_trait]
impl Channel for Sink {
    fn info(&self) -> &ChannelInfo {
        &self.info
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.recipients = vec![RecipientKind::Chat];
        capabilities.text = true;
        capabilities.idempotent_send = true;
        capabilities.max_in_flight = 1_024;
        capabilities
    }

    async fn send(&self, _: &OutboundMessage) -> fastlead_core::Result<SendReceipt> {
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.last.send_replace(Instant::now());
        Ok(SendReceipt { delivered: true, ..SendReceipt::default() })
    }

    async fn check(&self) -> fastlead_core::Result<()> {
        Ok(())
    }

    async fn lookup(&self, _: &SentReference) -> fastlead_core::Result<Lookup> {
        Ok(Lookup::Unknown)
    }

    fn webhook(&self) -> Option<&dyn WebhookReceiver> {
        None
    }

    fn registration(&self) -> Option<&dyn WebhookRegistration> {
        None
    }

    fn poller(&self) -> Option<&dyn Poller> {
        None
    }
}

struct Load {
    done: u64,
    elapsed: Duration,
    latencies: Vec<Duration>,
}

impl Load {
    fn print(&mut self, name: &str, limit: Option<f64>) -> f64 {
        self.latencies.sort_unstable();
        let at = |share: f64| {
            let index = (self.latencies.len() as f64 * share) as usize;
            self.latencies
                .get(index)
                .or(self.latencies.last())
                .map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
        };
        let rate = self.done as f64 / self.elapsed.as_secs_f64();
        let ratio = limit.map_or_else(String::new, |limit| format!("  {:.2} of the limit", rate / limit));
        println!("{name:<44} {rate:>9.0}/s  p50 {:>6.2} ms  p99 {:>6.2} ms{ratio}", at(0.5), at(0.99));
        rate
    }
}

/// Posts for `SECONDS` over `CONNECTIONS` kept-open connections; every answer must be 202.
async fn load(address: SocketAddr, path: &'static str) -> Load {
    let counter = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let until = start + Duration::from_secs(SECONDS);
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let counter = Arc::clone(&counter);
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let mut latencies = Vec::new();
                let mut buffer = vec![0_u8; 4_096];
                while Instant::now() < until {
                    let number = counter.fetch_add(1, Ordering::Relaxed);
                    let sent = Instant::now();
                    post_once(&mut stream, path, number, &mut buffer).await;
                    latencies.push(sent.elapsed());
                }
                latencies
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.unwrap());
    }
    Load { done: latencies.len() as u64, elapsed: start.elapsed(), latencies }
}

async fn post_once(stream: &mut TcpStream, path: &str, number: u64, buffer: &mut [u8]) {
    let body = format!(
        r#"{{"name":"Вера","phone":"+790{number:08}","attribution":{{"last":{{"utm_source":"bench"}}}}}}"#
    );
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut have = 0;
    loop {
        let read = stream.read(&mut buffer[have..]).await.unwrap();
        assert!(read > 0, "the server closed the connection");
        have += read;
        let text = std::str::from_utf8(&buffer[..have]).unwrap_or_default();
        let Some(head) = text.find("\r\n\r\n") else { continue };
        let length: usize = text[..head]
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .and_then(|length| length.parse().ok())
            .unwrap_or(0);
        if have >= head + 4 + length {
            assert!(text.starts_with("HTTP/1.1 202"), "{text}");
            return;
        }
    }
}

async fn echo() -> SocketAddr {
    let answer = |Json(_): Json<CaptureInput>| async { (axum::http::StatusCode::ACCEPTED, Json("ok")) };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", post(answer))).await });
    address
}

struct Bench {
    address: SocketAddr,
    store: Arc<dyn fastlead_server::app::Backend>,
    count: Arc<AtomicU64>,
    last: tokio::sync::watch::Receiver<Instant>,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<fastlead_core::Result<()>>,
    _folder: tempfile::TempDir,
}

async fn start(latency: Duration) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::defaults().unwrap();
    settings.http.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    settings.store.path = folder.path().join("bench.db");
    settings.auth.admin_password = "bench-password".into();
    let server = Server::builder(settings).build().await.unwrap();
    let app = server.app().clone();
    let first = bootstrap::first_run(&app, "bench").await.unwrap().unwrap();
    let mut source = (**app.engine.directory().source("bench").unwrap()).clone();
    source.limits = SourceLimits { per_ip_per_minute: 0, per_minute: 0, min_fill_millis: 0 };
    source.consents.clear();
    app.engine.put_source(source);
    let count = Arc::new(AtomicU64::new(0));
    let (sender, last) = tokio::sync::watch::channel(Instant::now());
    let sink = Sink {
        info: ChannelInfo::embedded("sink", "sink"),
        latency,
        count: Arc::clone(&count),
        last: sender,
    };
    app.engine.attach(first.workspace_id, Arc::new(sink), false).unwrap();
    let policy = Policy::starter("sink", Recipient::Chat("1".into()));
    let id = fastlead_core::id::PolicyId::from_uuid(fastlead_core::engine::stable_uuid("policy", "bench"));
    let now = app.engine.clock().now();
    let record =
        app.store.publish_policy(first.workspace_id, first.project_id, id, policy, now).await.unwrap();
    app.engine.activate_policy(&record).unwrap();
    let address = server.address().unwrap();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(server.serve(stop.clone()));
    Bench { address, store: app.store, count, last, stop, serving, _folder: folder }
}

impl Bench {
    /// Waits until everything that was captured is recorded as delivered.
    async fn drained(&self) -> u64 {
        loop {
            let depth = self.store.queue_depth(fastlead_core::time::epoch()).await.unwrap();
            if depth.pending + depth.sending == 0 {
                return self.count.load(Ordering::Relaxed);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn end(self) {
        self.stop.cancel();
        self.serving.await.unwrap().unwrap();
    }
}

async fn throughput(name: &str, latency: Duration, limit: f64) {
    let bench = start(latency).await;
    let begun = Instant::now();
    let mut captured = load(bench.address, "/v1/capture/bench").await;
    captured.print(&format!("captures, durable, {name}"), Some(limit));
    let delivered = bench.drained().await;
    let rate = delivered as f64 / begun.elapsed().as_secs_f64();
    println!("{:<44} {rate:>9.0}/s  ({delivered} in all)", format!("recorded deliveries meanwhile, {name}"));
    bench.end().await;
}

async fn speed_to_lead() {
    let mut bench = start(Duration::ZERO).await;
    let mut stream = TcpStream::connect(bench.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let mut buffer = vec![0_u8; 4_096];
    let mut latencies = Vec::new();
    let begun = Instant::now();
    for number in 0..250 {
        ticks.tick().await;
        bench.last.mark_unchanged();
        let sent = Instant::now();
        post_once(&mut stream, "/v1/capture/bench", number, &mut buffer).await;
        if !bench.last.has_changed().unwrap() {
            bench.last.changed().await.unwrap();
        }
        latencies.push(bench.last.borrow().duration_since(sent));
    }
    let mut load = Load { done: 250, elapsed: begun.elapsed(), latencies };
    load.print("request to first send, 50 leads/s", None);
    bench.end().await;
}

fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .map_or("unknown".to_owned(), |size| size.trim().to_owned())
}

#[tokio::main]
async fn main() {
    let address = echo().await;
    let limit = load(address, "/").await.print("limit: axum, parse and answer, no store", None);
    let begun = Instant::now();
    let bench = start(Duration::ZERO).await;
    let mut stream = TcpStream::connect(bench.address).await.unwrap();
    post_once(&mut stream, "/v1/capture/bench", 0, &mut vec![0; 4_096]).await;
    println!(
        "{:<44} {:>9.0} ms",
        "start to first accepted lead (new database)",
        begun.elapsed().as_secs_f64() * 1e3
    );
    drop(stream);
    bench.end().await;
    speed_to_lead().await;
    throughput("sink 0 ms", Duration::ZERO, limit).await;
    throughput("sink 50 ms", Duration::from_millis(50), limit).await;
    println!("{:<44} {:>12}", "peak memory, load and server together", memory());
}
