//! The HTTP clients of all adapters, and what their errors hide.

use std::error::Error as StdError;
use std::time::Duration;

use crate::egress::{Egress, Refusal};
use crate::resolver::GuardedResolver;

/// Shorter than servers and proxies keep idle connections, so that a request is not written into one
/// that is just being closed: its outcome would be unknown for no reason.
const IDLE_CONNECTION: Duration = Duration::from_secs(15);

/// A client that connects only where `egress` lets it, and follows and repeats nothing. `encrypted` says
/// whether what it sends will be. A host that is an address is not looked up: [`Egress::check`] it first.
pub(crate) fn client(egress: &Egress, encrypted: bool, timeout: Duration) -> reqwest::ClientBuilder {
    crate::tls::install_crypto();
    reqwest::Client::builder()
        .timeout(timeout)
        // Shorter than the whole, so that an unreachable host is known to have got nothing.
        .connect_timeout(timeout / 2)
        .pool_idle_timeout(IDLE_CONNECTION)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        // The environment is the server's business, and its proxies would resolve names past our resolver.
        .no_proxy()
        .dns_resolver(GuardedResolver::new(egress.clone(), encrypted))
        .user_agent(concat!("fastlead/", env!("CARGO_PKG_VERSION")))
}

/// The refusal behind an error, where it comes from the guard and nothing was sent.
pub(crate) fn refusal(error: &reqwest::Error) -> Option<Refusal> {
    causes(error).find_map(|cause| cause.downcast_ref::<Refusal>().copied())
}

/// Whether the certificate of the other side was not accepted: nothing was sent then.
#[cfg(feature = "webhook")]
pub(crate) fn is_bad_certificate(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| matches!(cause.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))))
}

/// What is behind an error, also inside errors of the network: those show what they wrap by `get_ref` only.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(error.source(), |&cause| {
        let wrapped = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn StdError + 'static)),
            None => cause.source(),
        }
    })
}
