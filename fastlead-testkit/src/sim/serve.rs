//! A private HTTP server on a free port that goes away with its handle.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::tls::{SimTls, TlsListener};

/// A running simulator's listener. Dropping it closes the port and every connection.
#[derive(Debug)]
pub struct SimServer {
    address: SocketAddr,
    scheme: &'static str,
    _task: AbortOnDropHandle<()>,
}

impl SimServer {
    /// Serves `router` on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(router: axum::Router) -> std::io::Result<Self> {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0)), router).await
    }

    /// Serves `router` on `address`.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start_on(address: SocketAddr, router: axum::Router) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "simulator stopped");
            }
        });
        Ok(Self { address, scheme: "http", _task: AbortOnDropHandle::new(task) })
    }

    /// Serves `router` over TLS on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start_tls(router: axum::Router, tls: SimTls) -> std::io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(TlsListener { listener, tls }, router).await {
                tracing::error!(%error, "simulator stopped");
            }
        });
        Ok(Self { address, scheme: "https", _task: AbortOnDropHandle::new(task) })
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
