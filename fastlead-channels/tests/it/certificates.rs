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
        self.sign(CertificateParams::new(vec![host.to_owned()]).unwrap())
    }

    /// One that has been good in 2020.
    pub(crate) fn certify_expired(&self, host: &str) -> SimTls {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 12, 31);
        self.sign(params)
    }

    /// Certificates of `host` that nobody accepts who does not know the authority.
    #[cfg(any(
        feature = "postal",
        feature = "smsc",
        feature = "telegram",
        feature = "vk",
        feature = "whatsapp"
    ))]
    pub(crate) fn unacceptable(&self, host: &str) -> [SimTls; 3] {
        [self.certify(host), self.certify("elsewhere.example.org"), self.certify_expired(host)]
    }

    fn sign(&self, params: CertificateParams) -> SimTls {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        SimTls::from_pem(&certificate.pem(), &key.serialize_pem()).unwrap()
    }
}
