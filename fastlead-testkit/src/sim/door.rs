//! A listener that can be shut for a while, as when a provider is down.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;
/// How soon a port that could not be opened is tried again.
const REST: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Open,
    Shut { until: Option<Instant> },
}

/// Shuts a simulator's port and opens it again. While it is shut the operating system refuses connections, those
/// that were open are cut, and nobody who asks for a free port gets this one. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Door {
    wish: Arc<watch::Sender<Wish>>,
    open: Arc<watch::Sender<bool>>,
}

impl Default for Door {
    fn default() -> Self {
        Self { wish: Arc::new(watch::Sender::new(Wish::Open)), open: Arc::new(watch::Sender::new(true)) }
    }
}

impl Door {
    /// Refuses connections from now on, until [`Door::open`]. Returns when they are refused.
    pub async fn shut(&self) {
        self.become_what(Wish::Shut { until: None }, false).await;
    }

    /// Refuses connections for this long.
    pub fn shut_for(&self, time: Duration) {
        self.wish.send_replace(Wish::Shut { until: Some(Instant::now() + time) });
    }

    /// Takes connections again. Returns when they are taken.
    pub async fn open(&self) {
        self.become_what(Wish::Open, true).await;
    }

    async fn become_what(&self, wish: Wish, open: bool) {
        let mut seen = self.open.subscribe();
        self.wish.send_replace(wish);
        // The sender lives as long as `self`.
        let _closed = seen.wait_for(|now| *now == open).await;
    }
}

/// Where connections come in.
pub(super) struct Gate {
    address: SocketAddr,
    place: Place,
    door: Door,
    wish: watch::Receiver<Wish>,
    /// Cuts the connections that were accepted since the door was opened.
    cut: CancellationToken,
}

enum Place {
    Listening(TcpListener),
    /// Bound and not listening: refused, and not free for others.
    Shut(Option<TcpSocket>),
}

impl Gate {
    pub(super) async fn bind(address: SocketAddr, door: Door) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let wish = door.wish.subscribe();
        Ok(Self { address, place: Place::Listening(listener), door, wish, cut: CancellationToken::new() })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection. A call that is given up loses none.
    pub(super) async fn accept(&mut self) -> io::Result<(Connection, SocketAddr)> {
        loop {
            let wish = *self.wish.borrow_and_update();
            match (wish, &mut self.place) {
                (Wish::Open, Place::Listening(listener)) => tokio::select! {
                    accepted = listener.accept() => {
                        let (stream, from) = accepted?;
                        let cut = Box::pin(self.cut.clone().cancelled_owned());
                        return Ok((Connection { stream, cut }, from));
                    }
                    changed = self.wish.changed() => gone(changed)?,
                },
                (Wish::Open, Place::Shut(_)) => {
                    if let Err(error) = self.listen() {
                        tracing::warn!(%error, "a simulator's port cannot be opened again yet");
                        tokio::time::sleep(REST).await;
                    }
                }
                (Wish::Shut { .. }, Place::Listening(_)) => {
                    self.cut.cancel();
                    // The port is free only when nothing listens on it any more.
                    self.place = Place::Shut(None);
                    self.place = Place::Shut(bound(self.address).ok());
                    self.door.open.send_replace(false);
                }
                (Wish::Shut { until: None }, Place::Shut(_)) => gone(self.wish.changed().await)?,
                (Wish::Shut { until: Some(until) }, Place::Shut(_)) => tokio::select! {
                    () = tokio::time::sleep_until(until) => {
                        self.door.wish.send_if_modified(|now| {
                            let mine = *now == wish;
                            if mine {
                                *now = Wish::Open;
                            }
                            mine
                        });
                    }
                    changed = self.wish.changed() => gone(changed)?,
                },
            }
        }
    }

    fn listen(&mut self) -> io::Result<()> {
        let kept = match &mut self.place {
            Place::Listening(_) => return Ok(()),
            Place::Shut(kept) => kept.take(),
        };
        let socket = kept.map_or_else(|| bound(self.address), Ok)?;
        self.place = Place::Listening(socket.listen(BACKLOG)?);
        self.cut = CancellationToken::new();
        self.door.open.send_replace(true);
        Ok(())
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// The gate holds a sender of its own wishes, so this does not happen.
fn gone(changed: Result<(), watch::error::RecvError>) -> io::Result<()> {
    changed.map_err(|_| io::Error::other("nobody can open the door any more"))
}

impl axum::serve::Listener for Gate {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match Self::accept(self).await {
                Ok(accepted) => return accepted,
                Err(error) => {
                    tracing::debug!(%error, "a simulator did not get a connection");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}

/// A connection that ends when the door is shut.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
