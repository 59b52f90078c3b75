//! The HTTP clients of all adapters, and what their errors hide.

use std::error::Error as StdError;
use std::time::Duration;

use fastlead_core::{ErrorKind, RetryHint};

use crate::egress::{Egress, Refusal};
use crate::resolver::GuardedResolver;
use crate::tls;

/// Shorter than servers and proxies keep idle connections, so that a request is not written into one
/// that is just being closed: its outcome would be unknown for no reason.
const IDLE_CONNECTION: Duration = Duration::from_secs(15);

/// A client that connects only where `egress` lets it, and follows and repeats nothing. `encrypted` says
/// whether what it sends will be. A host that is an address is not looked up: [`Egress::check`] it first.
pub(crate) fn client(egress: &Egress, encrypted: bool, timeout: Duration) -> reqwest::ClientBuilder {
    tls::install_crypto();
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

/// What a request without an answer comes to: the kind of the error, whether it may be repeated, and what is said. Where
/// the certificate of the other side is not accepted, `bad_certificate` is said: it names the fields to look at.
pub(crate) fn no_answer(
    error: &reqwest::Error,
    bad_certificate: &'static str,
) -> (ErrorKind, RetryHint, &'static str) {
    if let Some(refusal) = refusal(error) {
        (ErrorKind::Config, RetryHint::Never, refusal.message())
    } else if causes(error).any(tls::is_bad_certificate) {
        // Nothing was sent, and nothing will be until somebody acts: the owner has to hear of it.
        (ErrorKind::Config, RetryHint::Never, bad_certificate)
    } else if error.is_connect() {
        // Not a byte of the request was written.
        let kind = if error.is_timeout() { ErrorKind::Timeout } else { ErrorKind::Unavailable };
        (kind, RetryHint::SAFE, "cannot connect")
    } else if error.is_timeout() {
        (ErrorKind::Timeout, RetryHint::UNKNOWN, "no answer in time")
    } else if error.is_builder() {
        (ErrorKind::Internal, RetryHint::Never, "cannot build the request")
    } else {
        (ErrorKind::Unavailable, RetryHint::UNKNOWN, "the connection broke before the answer")
    }
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
