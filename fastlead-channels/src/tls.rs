//! The one place that chooses the TLS implementation, and that knows its errors.

use std::error::Error as StdError;

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
