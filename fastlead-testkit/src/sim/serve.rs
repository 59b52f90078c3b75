//! A private HTTP server on a free port that goes away with its handle.

use std::net::SocketAddr;

use tokio_util::task::AbortOnDropHandle;

use super::door::{Door, Gate};
use super::tls::{SimTls, TlsListener};

/// A running simulator's listener. Dropping it closes the port.
#[derive(Debug)]
pub struct SimServer {
    address: SocketAddr,
    scheme: &'static str,
    _task: AbortOnDropHandle<()>,
}

/// Any free port of this machine.
const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

impl SimServer {
    /// Serves `router` on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(router: axum::Router) -> std::io::Result<Self> {
        Self::start_behind(Door::default(), router).await
    }

    /// The same behind a door that can be shut.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start_behind(door: Door, router: axum::Router) -> std::io::Result<Self> {
        let gate = Gate::bind(ANY_PORT, door).await?;
        Ok(Self::serve(gate.address(), "http", gate, router))
    }

    /// Serves `router` on `address`.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start_on(address: SocketAddr, router: axum::Router) -> std::io::Result<Self> {
        let gate = Gate::bind(address, Door::default()).await?;
        Ok(Self::serve(gate.address(), "http", gate, router))
    }

    /// Serves `router` over TLS on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start_tls(door: Door, router: axum::Router, tls: SimTls) -> std::io::Result<Self> {
        let gate = Gate::bind(ANY_PORT, door).await?;
        Ok(Self::serve(gate.address(), "https", TlsListener { gate, tls }, router))
    }

    fn serve<L>(address: SocketAddr, scheme: &'static str, listener: L, router: axum::Router) -> Self
    where
        L: axum::serve::Listener<Addr = SocketAddr>,
    {
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "simulator stopped");
            }
        });
        Self { address, scheme, _task: AbortOnDropHandle::new(task) }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT` (over TLS `https://`), without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }
}
