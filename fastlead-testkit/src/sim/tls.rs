//! Encryption for simulators whose providers are spoken to over TLS.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::door::{Connection, Gate};

/// How long a client may take to agree on a key.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// What a simulator proves itself with. Cheap to clone.
#[derive(Clone)]
pub struct SimTls(Arc<ServerConfig>);

impl SimTls {
    /// A chain of certificates, the simulator's own first, and its key, both in PEM form.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] where one of them cannot be read or they do not fit together.
    pub fn from_pem(certificates: &str, key: &str) -> io::Result<Self> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificates.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|_| invalid("the certificates cannot be read"))?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|_| invalid("the private key cannot be read"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|_| invalid("certificate and key do not fit together"))?;
        Ok(Self(Arc::new(config)))
    }

    /// Agrees on a key with the client.
    ///
    /// # Errors
    /// Where the client does not accept the certificate, goes away or takes too long.
    pub(crate) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let handshake = TlsAcceptor::from(Arc::clone(&self.0)).accept(stream);
        match tokio::time::timeout(HANDSHAKE_LIMIT, handshake).await {
            Ok(accepted) => accepted,
            Err(_elapsed) => Err(io::Error::new(io::ErrorKind::TimedOut, "no handshake in time")),
        }
    }
}

impl fmt::Debug for SimTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimTls")
    }
}

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// A listener for [`axum::serve`]. One handshake after the other: enough for tests.
pub(super) struct TlsListener {
    pub(super) gate: Gate,
    pub(super) tls: SimTls,
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<Connection>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = axum::serve::Listener::accept(&mut self.gate).await;
            match self.tls.accept(stream).await {
                Ok(stream) => return (stream, address),
                Err(error) => tracing::debug!(%error, "a client did not agree on tls"),
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        axum::serve::Listener::local_addr(&self.gate)
    }
}
