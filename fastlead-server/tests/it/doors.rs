//! Clients that hold the listener's doors: silent ones, slow ones, and those that never finish.
#![cfg(target_os = "linux")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::program::{Program, client};

const PATIENCE: Duration = Duration::from_secs(15);
/// How soon the server must answer while others hold its doors. One of a few tries is enough: the machine may be busy.
const SOON: Duration = Duration::from_millis(50);
const BODY_BYTES: usize = 65_536;

fn address(program: &Program) -> SocketAddr {
    program.url.trim_start_matches("http://").parse().unwrap()
}

/// Connects from an address of this machine.
async fn connect_from(program: &Program, from: [u8; 4]) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((from, 0))).unwrap();
    tokio::time::timeout(PATIENCE, socket.connect(address(program))).await.expect("the listener answers").ok()
}

async fn connect(program: &Program) -> TcpStream {
    connect_from(program, [127, 0, 0, 1]).await.unwrap()
}

/// What the server sends until it closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A connection that is reset has ended, too.
    let _reset =
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the server closes");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// How long a new visitor waits for an answer, at best.
async fn visit(program: &Program) -> Duration {
    let mut best = PATIENCE;
    for _ in 0..10 {
        let client = client();
        let begun = Instant::now();
        let answer = client.get(format!("{}/healthz", program.url)).send().await.expect("the server answers");
        assert_eq!(answer.status(), 200);
        best = best.min(begun.elapsed());
        if best < SOON {
            break;
        }
    }
    best
}

fn head(length: usize) -> String {
    format!(
        "POST /v1/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

#[tokio::test]
async fn five_thousand_silent_connections_hold_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start_with_files(folder.path(), &[("FASTLEAD__LOG__FILTER", "warn")], 256).await;
    // Kept-alive connections that have asked once, silent ones, and heads that never end.
    let mut held = Vec::new();
    for number in 0_u16..5_000 {
        let from = [127, 0, 1, u8::try_from(number % 50 + 1).unwrap()];
        let Some(mut stream) = connect_from(&program, from).await else { continue };
        let said: &[u8] = match number % 3 {
            0 => b"",
            1 => b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
            _ => b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ",
        };
        // It may have been closed to make room already.
        let _closed = stream.write_all(said).await;
        held.push(stream);
        // The test may have fewer files than connections: those that are closed anyway go first.
        if held.len() > 2_000 {
            held.drain(..1_000);
        }
    }
    let took = visit(&program).await;
    assert!(took < SOON, "{took:?}");
    let said = program.output();
    assert!(said.contains("http.max_connections does not fit"), "{said}");
    println!("doors: {} connections held, a new visitor is answered in {} ms", held.len(), took.as_millis());
}

#[tokio::test]
async fn two_thousand_half_bodies_cost_little() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start_silent(folder.path(), &[]).await;
    visit(&program).await;
    let before = program.memory();
    let half = vec![b' '; BODY_BYTES - 1_024];
    let mut held = Vec::new();
    for number in 0_u16..2_000 {
        let from = [127, 0, 2, u8::try_from(number % 40 + 1).unwrap()];
        let mut stream = connect_from(&program, from).await.unwrap();
        stream.write_all(head(BODY_BYTES).as_bytes()).await.unwrap();
        // Whoever finds no room is refused while it still sends.
        let _refused = stream.write_all(&half).await;
        held.push(stream);
    }
    let took = visit(&program).await;
    let more = program.memory().saturating_sub(before);
    assert!(took < SOON, "{took:?}");
    assert!(more < 64 << 20, "{} MiB more", more >> 20);
    println!(
        "doors: 2,000 half bodies cost {} MiB, a visitor is answered in {} ms",
        more >> 20,
        took.as_millis()
    );
}

#[tokio::test]
async fn many_small_pieces_cost_what_their_bytes_cost() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start_silent(folder.path(), &[]).await;
    visit(&program).await;
    let before = program.memory();
    let piece = b"1\r\n \r\n".repeat(BODY_BYTES - 1_024);
    let mut held = Vec::new();
    for _ in 0..20 {
        let mut stream = connect(&program).await;
        let head = "POST /v1/login HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let _refused = stream.write_all(&piece).await;
        held.push(stream);
    }
    visit(&program).await;
    let more = program.memory().saturating_sub(before);
    assert!(more < 16 << 20, "{} MiB more", more >> 20);
}

#[tokio::test]
async fn one_address_cannot_take_every_place_at_work() {
    let folder = tempfile::tempdir().unwrap();
    let few = [("FASTLEAD__HTTP__MAX_CONNECTIONS_PER_ADDRESS", "2")];
    let program = Program::start(folder.path(), &few).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = connect(&program).await;
        let head = head(9).replacen("content-length", "expect: 100-continue\r\ncontent-length", 1);
        stream.write_all(head.as_bytes()).await.unwrap();
        // Now its body is awaited.
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 100");
        held.push(stream);
    }
    let refused = rest(&mut connect(&program).await).await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after: 1"), "{refused}");
    let problem: Value = serde_json::from_str(refused.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(problem["code"], "overloaded");
    let mut other = connect_from(&program, [127, 0, 3, 1]).await.unwrap();
    other.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(rest(&mut other).await.ends_with("ok"));
}

#[tokio::test]
async fn slow_heads_and_bodies_end_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let second = [
        ("FASTLEAD__HTTP__HEAD_TIMEOUT_SECS", "1"),
        ("FASTLEAD__HTTP__BODY_TIMEOUT_SECS", "1"),
        ("FASTLEAD__HTTP__IDLE_TIMEOUT_SECS", "2"),
    ];
    let program = Program::start(folder.path(), &second).await;
    let silent = async {
        assert_eq!(rest(&mut connect(&program).await).await, "");
    };
    // A byte now and then does not help.
    let trickles = |mut stream: TcpStream| async move {
        let begun = Instant::now();
        let mut said = Vec::new();
        while begun.elapsed() < PATIENCE {
            let _closed = stream.write_all(b" ").await;
            let mut byte = [0; 512];
            match tokio::time::timeout(Duration::from_millis(200), stream.read(&mut byte)).await {
                Ok(Ok(0) | Err(_)) => return String::from_utf8_lossy(&said).into_owned(),
                Ok(Ok(read)) => said.extend_from_slice(&byte[..read]),
                Err(_) => {}
            }
        }
        panic!("the server still listens after {PATIENCE:?}");
    };
    let loris = async {
        let mut stream = connect(&program).await;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nx-slow: ").await.unwrap();
        assert_eq!(trickles(stream).await, "");
    };
    let half = async {
        let mut stream = connect(&program).await;
        stream.write_all(head(50_000).as_bytes()).await.unwrap();
        let said = trickles(stream).await;
        assert!(said.starts_with("HTTP/1.1 408"), "{said}");
        assert!(said.contains("request_timeout") && said.contains("connection: close"), "{said}");
    };
    let idle = async {
        let mut stream = connect(&program).await;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert!(rest(&mut stream).await.ends_with("ok"));
    };
    tokio::join!(silent, loris, half, idle);
}

#[tokio::test]
async fn half_a_request_does_not_hold_up_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::start(folder.path(), &[]).await;
    let mut half = connect(&program).await;
    half.write_all(head(99).as_bytes()).await.unwrap();
    let mut begun = connect(&program).await;
    begun.write_all(b"GET /healthz HTTP/1.1\r\nx-slow: ").await.unwrap();
    let mut idle = connect(&program).await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    idle.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let told = Instant::now();
    program.signal("TERM");
    assert!(program.ended(PATIENCE).await.success());
    let took = told.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert!(rest(&mut half).await.starts_with("HTTP/1.1 408"));
    println!("doors: ended {} ms after SIGTERM with half a request open", took.as_millis());
}

#[tokio::test]
async fn metrics_may_have_a_listener_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let apart = [("FASTLEAD__HTTP__METRICS_LISTEN", "127.0.0.1:0")];
    let program = Program::start(folder.path(), &apart).await;
    let url = program.said("Metrics: ").await;
    let answer = client().get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.unwrap().contains("fastlead_connections"));
    let public = client().get(format!("{}/metrics", program.url)).send().await.unwrap();
    assert_eq!(public.status(), 404);
    let private = client().get(url.replace("/metrics", "/v1/me")).send().await.unwrap();
    assert_eq!(private.status(), 404);
}
