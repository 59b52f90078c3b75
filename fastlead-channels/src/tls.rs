//! The one place that chooses the TLS implementation.

/// Makes ring the process-wide TLS provider unless the program has already chosen one.
pub(crate) fn install_crypto() {
    // `Err` means that a provider is installed already, which is just as good.
    let _installed = rustls::crypto::ring::default_provider().install_default();
}
