//! Accepting connections and serving them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::StatusCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::body;
use super::stream::Watched;
use super::table::{Entry, Table, TooMany, Vacancy};
use crate::problem::Problem;

/// Longest head of a request, and most bytes of a connection in memory each way.
const BUFFER: usize = 32 * 1_024;
/// How often is looked for connections that have waited for too long.
const SWEEP: Duration = Duration::from_secs(1);
/// How long to wait after the system has refused a connection.
const RECOVER: Duration = Duration::from_millis(100);
/// How often the log says that connections were refused.
const COMPLAIN: Duration = Duration::from_secs(10);
/// A listener and what it leads to.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) listener: TcpListener,
    pub(crate) router: Router,
    pub(crate) table: Arc<Table>,
}

impl Door {
    /// Serves until `closing` is cancelled; then closes the listener and all connections that wait for their clients, and
    /// returns when the requests under way are answered.
    pub(crate) async fn serve(self, closing: CancellationToken) {
        let connections = TaskTracker::new();
        let mut complaints = Complaints::default();
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let accept = async {
                loop {
                    match self.table.make_room() {
                        Vacancy::Free => break,
                        Vacancy::Soon => {}
                        Vacancy::Full => complaints.add("all connections are at work; new ones wait"),
                    }
                    self.table.freed().await;
                }
                self.listener.accept().await
            };
            tokio::select! {
                () = closing.cancelled() => break,
                _ = sweep.tick() => self.table.sweep(),
                accepted = accept => match accepted {
                    Ok((stream, peer)) => self.begin(stream, peer, &connections, &closing, &mut complaints),
                    Err(error) if is_of_the_client(&error) => {}
                    Err(error) => {
                        let shed = self.table.shed();
                        complaints.add_error(&error, shed);
                        tokio::time::sleep(RECOVER).await;
                    }
                },
            }
        }
        drop(self.listener);
        connections.close();
        connections.wait().await;
    }

    fn begin(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        connections: &TaskTracker,
        closing: &CancellationToken,
        complaints: &mut Complaints,
    ) {
        match self.table.enter(peer.ip()) {
            Ok(entry) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY was not set");
                }
                connections.spawn(serve_one(self.router.clone(), stream, peer, entry, closing.clone()));
            }
            Err(TooMany) => {
                metrics::counter!("fastlead_connections_closed_total", "reason" => "address").increment(1);
                complaints.add("an address has too many connections at work; more of it are refused");
                if let Err(error) = stream.try_write(&too_many()) {
                    tracing::debug!(%error, "a refusal was not written");
                }
            }
        }
    }
}

async fn serve_one(
    router: Router,
    stream: TcpStream,
    peer: SocketAddr,
    entry: Entry,
    closing: CancellationToken,
) {
    let entry = Arc::new(entry);
    let io = TokioIo::new(Watched { stream, slot: Arc::clone(&entry.slot) });
    let service = service_fn({
        let (entry, closing) = (Arc::clone(&entry), closing.clone());
        move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            body::answer(router.clone(), Arc::clone(&entry), closing.clone(), request)
        }
    });
    let connection = http1::Builder::new().max_buf_size(BUFFER).serve_connection(io, service);
    let mut connection = std::pin::pin!(connection);
    let mut is_ending = false;
    loop {
        tokio::select! {
            () = entry.closed() => return,
            () = closing.cancelled(), if !is_ending => {
                is_ending = true;
                connection.as_mut().graceful_shutdown();
                entry.slot.close_waiting();
            }
            served = connection.as_mut() => {
                if let Err(error) = served {
                    tracing::debug!(%error, "a connection ended in a fault");
                }
                return;
            }
        }
    }
}

/// Answer for whoever has too many connections at work.
fn too_many() -> Vec<u8> {
    let detail = "too many connections of one address at once; send it again";
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail);
    let body = serde_json::to_string(&problem).unwrap_or_default();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Whether accepting has failed for a reason that lies with the client.
fn is_of_the_client(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};

    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// What is wrong at the door, said once in a while.
#[derive(Debug, Default)]
struct Complaints {
    said: Option<Instant>,
    times: u64,
}

impl Complaints {
    /// How often it was not said, where it is to be said now.
    fn due(&mut self) -> Option<u64> {
        self.times += 1;
        if self.said.is_some_and(|said| said.elapsed() < COMPLAIN) {
            return None;
        }
        self.said = Some(Instant::now());
        Some(std::mem::take(&mut self.times))
    }

    fn add(&mut self, what: &'static str) {
        if let Some(times) = self.due() {
            tracing::warn!(times, "{what}");
        }
    }

    fn add_error(&mut self, error: &std::io::Error, shed: bool) {
        metrics::counter!("fastlead_accept_errors_total").increment(1);
        if let Some(times) = self.due() {
            tracing::error!(%error, times, closed_another = shed, "a connection could not be accepted");
        }
    }
}
