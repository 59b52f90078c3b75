//! Certificates that the simulators prove themselves with, made anew for each test.

use fastlead_testkit::sim::SimTls;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// An authority that nobody trusts by itself.
pub(crate) struct Authority {
    /// Its certificate, to be trusted.
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A server's certificate for a host name or IP address.
    pub(crate) fn certify(&self, host: &str) -> SimTls {
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        SimTls::from_pem(&certificate.pem(), &key.serialize_pem()).unwrap()
    }
}
