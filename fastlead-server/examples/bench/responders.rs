//! What the limits answer with: a bare axum, and a bare socket.

use std::net::SocketAddr;

use axum::http::StatusCode;
use axum::routing::post;
use axum::serve::ListenerExt as _;
use axum::{Json, Router};
use fastlead_core::lead::CaptureInput;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::load::request_length;

/// As long as the answer to a capture.
const ANSWER: &str = r#"{"lead_id":"lead_00000000000000000000000000000000","decision":"accepted"}"#;

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// axum that parses a capture and answers.
pub(crate) async fn echo() -> SocketAddr {
    let (listener, address) = listen().await;
    let answer = |Json(_): Json<CaptureInput>| async {
        (StatusCode::ACCEPTED, [("content-type", "application/json")], ANSWER)
    };
    let router = Router::new().route("/v1/capture/{source_key}", post(answer));
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// A socket that answers whatever is as long as a request.
pub(crate) async fn responder() -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(respond(stream));
        }
    });
    address
}

async fn respond(mut stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let answer = format!(
        "HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{ANSWER}",
        ANSWER.len()
    );
    let mut buffer = vec![0; 4_096];
    let mut have = 0;
    loop {
        match stream.read(&mut buffer[have..]).await {
            // The client has gone away.
            Ok(0) | Err(_) => return,
            Ok(read) => have += read,
        }
        if have >= request_length() {
            have = 0;
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}
