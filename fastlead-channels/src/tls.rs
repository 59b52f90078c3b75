//! The one place that chooses the TLS implementation, and that knows its errors.

use std::error::Error as StdError;
#[cfg(feature = "smtp")]
use std::{io, sync::Arc};

#[cfg(feature = "smtp")]
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
#[cfg(feature = "smtp")]
use tokio::io::{AsyncRead, AsyncWrite};
#[cfg(feature = "smtp")]
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Makes ring the process-wide TLS provider unless the program has already chosen one.
pub(crate) fn install_crypto() {
    // `Err` means that a provider is installed already, which is just as good.
    let _installed = rustls::crypto::ring::default_provider().install_default();
}

/// Whether this is TLS's word that the certificate of the other side is not accepted. Nothing was sent then, and nothing
/// will be until somebody acts.
pub(crate) fn is_bad_certificate(error: &(dyn StdError + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_)))
}

/// TLS with one host, for protocols that are not HTTP.
#[cfg(feature = "smtp")]
pub(crate) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

/// Why TLS with a host cannot be set up.
#[cfg(feature = "smtp")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadTls {
    /// The host is no name that a certificate can carry.
    Host,
    /// The certificates to trust cannot be read.
    Unreadable,
    /// One of them cannot be trusted.
    Untrustworthy,
}

#[cfg(feature = "smtp")]
impl Tls {
    /// Trusts the public authorities, and those of `authorities` in PEM form.
    pub(crate) fn new(host: &str, authorities: Option<&str>) -> Result<Self, BadTls> {
        install_crypto();
        let name = ServerName::try_from(host.to_owned()).map_err(|_| BadTls::Host)?;
        let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(pem) = authorities {
            let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
                .collect::<Result<_, _>>()
                .map_err(|_| BadTls::Unreadable)?;
            if certificates.is_empty() {
                return Err(BadTls::Unreadable);
            }
            for certificate in certificates {
                roots.add(certificate).map_err(|_| BadTls::Untrustworthy)?;
            }
        }
        let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }

    /// Agrees on a key with the other side, whose certificate must be of the host.
    pub(crate) async fn connect<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.connector.connect(self.name.clone(), stream).await
    }

    /// The host whose certificate is asked for.
    #[cfg(test)]
    pub(crate) const fn name(&self) -> &ServerName<'static> {
        &self.name
    }
}
