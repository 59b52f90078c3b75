//! Who calls: the visitor's address and client.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use fastlead_core::lead::Received;
use fastlead_core::secret::Pii;
use fastlead_core::time::Timestamp;

use crate::app::App;

/// The visitor.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    /// The address, as far as the settings let it be believed.
    pub ip: Option<IpAddr>,
    /// `User-Agent`, at most 512 characters.
    pub user_agent: Option<String>,
}

impl Visitor {
    /// The circumstances of a capture at `at`.
    pub(crate) fn received(&self, at: Timestamp) -> Received {
        Received {
            ip: self.ip.map(Pii::new),
            user_agent: self.user_agent.clone().map(Pii::new),
            ..Received::at(at)
        }
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let ip = peer.map(|peer| app.settings.http.trusted_proxies.visitor(peer, hops(&parts.headers)));
        let user_agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        Ok(Self { ip, user_agent: user_agent.map(|text| text.chars().take(512).collect()) })
    }
}

/// The addresses that proxies have noted, that of the nearest one last.
fn hops(headers: &HeaderMap) -> impl DoubleEndedIterator<Item = &str> {
    let values = headers.get_all("x-forwarded-for").into_iter();
    // A value that is not text is kept as a place that nobody can read.
    values.flat_map(|value| value.to_str().unwrap_or_default().split(','))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_headers_are_one_list() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "203.0.113.9, 198.51.100.2".parse().unwrap());
        headers.append("x-forwarded-for", "192.0.2.1".parse().unwrap());
        assert_eq!(
            hops(&headers).map(str::trim).collect::<Vec<_>>(),
            ["203.0.113.9", "198.51.100.2", "192.0.2.1"]
        );
    }
}
