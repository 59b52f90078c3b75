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
        let user_agent = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        Ok(Self {
            ip: forwarded(&parts.headers, app.settings.http.trusted_proxies).or(peer),
            user_agent: user_agent.map(|text| text.chars().take(512).collect()),
        })
    }
}

/// The address that the outermost trusted proxy saw.
fn forwarded(headers: &HeaderMap, proxies: usize) -> Option<IpAddr> {
    if proxies == 0 {
        return None;
    }
    let values = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
    hops.get(hops.len().checked_sub(proxies)?)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_as_many_hops_are_believed_as_there_are_proxies() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "203.0.113.9, 198.51.100.2".parse().unwrap());
        assert_eq!(forwarded(&headers, 0), None);
        assert_eq!(forwarded(&headers, 1), Some("198.51.100.2".parse().unwrap()));
        assert_eq!(forwarded(&headers, 2), Some("203.0.113.9".parse().unwrap()));
        assert_eq!(forwarded(&headers, 3), None);
    }
}
