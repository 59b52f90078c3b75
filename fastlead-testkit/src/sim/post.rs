//! The smallest HTTP client that can play a provider which calls a webhook: one plain HTTP/1.1
//! request per connection. The testkit stays free of an HTTP client library this way.

use std::io::{Error, ErrorKind, Result};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Nobody answers a webhook with more than this; the rest is not read.
const ANSWER_MAX: u64 = 64 * 1024;
/// How long a provider waits for the whole exchange.
const PATIENCE: Duration = Duration::from_secs(10);

/// Posts `body` to an `http://` address and returns the status of the answer. `Host`,
/// `Content-Length` and `Connection: close` are added to `headers`.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] for another scheme or a header with a line break;
/// [`ErrorKind::TimedOut`] after ten seconds; [`ErrorKind::InvalidData`] where the answer is not
/// HTTP; else what the socket says.
pub(crate) async fn post(url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<u16> {
    match tokio::time::timeout(PATIENCE, exchange(url, headers, body)).await {
        Ok(answer) => status(&answer?),
        Err(_elapsed) => Err(Error::new(ErrorKind::TimedOut, "no answer from the webhook in time")),
    }
}

/// The raw answer: head and body, or as much of it as came.
pub(crate) async fn exchange(url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Vec<u8>> {
    request("POST", url, headers, body).await
}

async fn request(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Vec<u8>> {
    let target = Target::parse(url)?;
    let mut head =
        format!("{method} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", target.path, target.authority);
    for (name, value) in headers {
        if name.contains(['\r', '\n']) || value.contains(['\r', '\n']) {
            return Err(Error::new(ErrorKind::InvalidInput, "a header must not contain a line break"));
        }
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));

    let mut stream = TcpStream::connect(target.address()).await?;
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer).await?;
    Ok(answer)
}

/// The raw answer to a `GET`. The caller bounds the wait.
pub(crate) async fn get(url: &str) -> Result<Vec<u8>> {
    request("GET", url, &[], b"").await
}

struct Target<'a> {
    authority: &'a str,
    path: String,
}

impl<'a> Target<'a> {
    fn parse(url: &'a str) -> Result<Self> {
        let invalid =
            || Error::new(ErrorKind::InvalidInput, "expected an address such as http://127.0.0.1:8080/path");
        let rest = url.strip_prefix("http://").ok_or_else(invalid)?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        if authority.is_empty() || url.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(invalid());
        }
        let tail = tail.split('#').next().unwrap_or_default();
        let path = if tail.starts_with('/') { tail.to_owned() } else { format!("/{tail}") };
        Ok(Self { authority, path })
    }

    /// `host:port`, with port 80 where none is given.
    fn address(&self) -> String {
        let port_is_given = self
            .authority
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
        if port_is_given { self.authority.to_owned() } else { format!("{}:80", self.authority) }
    }
}

/// The status of a raw answer.
pub(crate) fn status(answer: &[u8]) -> Result<u16> {
    answer
        .strip_prefix(b"HTTP/1.1 ")
        .or_else(|| answer.strip_prefix(b"HTTP/1.0 "))
        .and_then(|rest| rest.get(..3))
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| Error::new(ErrorKind::InvalidData, "the webhook did not answer with HTTP"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::SimServer;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::post as on_post;

    #[tokio::test]
    async fn the_body_and_headers_arrive_and_the_status_comes_back() {
        let router = axum::Router::new().route(
            "/hook/{id}",
            on_post(|uri: axum::http::Uri, headers: HeaderMap, body: String| async move {
                let as_sent = uri.path() == "/hook/7"
                    && uri.query() == Some("a=b")
                    && headers.get("x-token").is_some_and(|value| value == "secret")
                    && body == "привет";
                if as_sent { StatusCode::ACCEPTED } else { StatusCode::BAD_REQUEST }
            }),
        );
        let server = SimServer::start(router).await.unwrap();
        let url = format!("{}/hook/7?a=b#part", server.base_url());
        assert_eq!(post(&url, &[("X-Token", "secret")], "привет".as_bytes()).await.unwrap(), 202);
    }

    #[tokio::test]
    async fn what_cannot_be_posted_is_refused() {
        for url in ["https://example.com/", "http://", "example.com", "http://example.com/a b"] {
            assert_eq!(post(url, &[], b"").await.unwrap_err().kind(), ErrorKind::InvalidInput, "{url}");
        }
        let header = [("X-Token", "a\r\nEvil: 1")];
        let error = post("http://127.0.0.1:9/", &header, b"").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn the_address_gets_a_port_and_the_path_a_slash() {
        let target = Target::parse("http://example.com?x=1").unwrap();
        assert_eq!((target.address().as_str(), target.path.as_str()), ("example.com:80", "/?x=1"));
        let target = Target::parse("http://[::1]:8080/a").unwrap();
        assert_eq!((target.address().as_str(), target.path.as_str()), ("[::1]:8080", "/a"));
    }
}
