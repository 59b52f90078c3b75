//! Addresses of clients: which of them count as one, and which are believed to tell of others.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;
use serde::de::Error as _;

/// What counts as one visitor: an IPv4 address, or the /64 that a subscriber with IPv6 has to choose from.
pub(crate) fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => {
            let mut octets = ip.octets();
            octets[8..].fill(0);
            IpAddr::from(octets)
        }
    }
}

/// The bytes of an address, 4 or 16.
pub(crate) fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// The address in an entry of `X-Forwarded-For`: alone, with a port, or in brackets. IPv4-mapped addresses come out as IPv4.
pub(crate) fn read(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let ip = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0.parse().ok()?,
        None => match text.parse::<IpAddr>() {
            Ok(ip) => ip,
            Err(_) => text.parse::<std::net::SocketAddrV4>().ok().map(|address| IpAddr::V4(*address.ip()))?,
        },
    };
    Some(ip.to_canonical())
}

/// Reverse proxies that are believed to say whom they speak for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// So many stand in front, whatever their addresses are.
    hops: usize,
    /// They stand at these addresses.
    networks: Vec<IpNet>,
}

impl Proxies {
    /// Whether whoever connects from `peer` is one of them.
    pub(crate) fn contains(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.hops > 0 || self.networks.iter().any(|network| network.contains(&peer))
    }

    /// The visitor for whom `peer` speaks: the last address in `hops` (of the nearest proxy last) that is none of a proxy.
    ///
    /// With a number of proxies, that many places from the end of `hops`; with fewer places there is no telling, and it
    /// is `peer`.
    pub(crate) fn visitor<'a>(&self, peer: IpAddr, hops: impl DoubleEndedIterator<Item = &'a str>) -> IpAddr {
        let peer = peer.to_canonical();
        if self.hops > 0 {
            return hops.rev().nth(self.hops - 1).and_then(read).unwrap_or(peer);
        }
        let mut nearest = peer;
        let mut hops = hops.rev();
        while self.contains(nearest) {
            // What cannot be read is not believed, nor is what stands before it.
            match hops.next().and_then(read) {
                Some(ip) => nearest = ip,
                None => break,
            }
        }
        nearest
    }
}

impl<'de> Deserialize<'de> for Proxies {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(usize),
            One(String),
            List(Vec<String>),
        }
        let entries = match Written::deserialize(deserializer)? {
            Written::Number(hops) => return Ok(Self { hops, networks: Vec::new() }),
            Written::One(text) => text.split(',').map(str::to_owned).collect(),
            Written::List(entries) => entries,
        };
        let entries: Vec<&str> =
            entries.iter().map(|entry| entry.trim()).filter(|entry| !entry.is_empty()).collect();
        if let [number] = entries[..]
            && let Ok(hops) = number.parse()
        {
            return Ok(Self { hops, networks: Vec::new() });
        }
        let parse = |entry: &&str| {
            let single = || entry.parse::<IpAddr>().map(|ip| IpNet::from(ip.to_canonical()));
            entry.parse::<IpNet>().or_else(|_| single()).map_err(|_| {
                D::Error::custom(
                    "expected the addresses or CIDR blocks of the proxies, such as 127.0.0.1 or 10.0.0.0/8, or how many there are",
                )
            })
        };
        let networks = entries.iter().map(parse).collect::<Result<_, _>>()?;
        Ok(Self { hops: 0, networks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn proxies(json: &str) -> Proxies {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_subscriber_is_one_visitor() {
        assert_eq!(network(ip("2001:db8::1")), network(ip("2001:db8::2")));
        assert_ne!(network(ip("2001:db8::1")), network(ip("2001:db8:0:1::1")));
        assert_eq!(network(ip("::ffff:192.0.2.1")), ip("192.0.2.1"));
    }

    #[test]
    fn an_address_is_read_as_proxies_write_it() {
        for text in [
            "192.0.2.7",
            " 192.0.2.7 ",
            "192.0.2.7:50123",
            "::ffff:192.0.2.7",
            "\"192.0.2.7:1\"",
            "[::ffff:192.0.2.7]:443",
        ] {
            assert_eq!(read(text), Some(ip("192.0.2.7")), "{text}");
        }
        for text in ["2001:db8::7", "[2001:db8::7]", "[2001:db8::7]:50123", "\"[2001:db8::7]:50123\""] {
            assert_eq!(read(text), Some(ip("2001:db8::7")), "{text}");
        }
        for text in ["", "unknown", "_hidden", "192.0.2", "192.0.2.7:x", "[2001:db8::7", "example.com"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let list = proxies(r#"["127.0.0.1", "10.0.0.0/8", "fd00::/8"]"#);
        for (peer, hops, visitor) in [
            ("203.0.113.5", "198.51.100.1", "203.0.113.5"),
            ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
            ("::ffff:127.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
            ("127.0.0.1", "6.6.6.6, 198.51.100.1, 10.1.2.3", "198.51.100.1"),
            ("127.0.0.1", "6.6.6.6, nonsense, 10.1.2.3", "10.1.2.3"),
            ("127.0.0.1", "", "127.0.0.1"),
        ] {
            assert_eq!(list.visitor(ip(peer), hops.split(',')), ip(visitor), "{peer} {hops}");
        }
        let two = proxies("2");
        assert_eq!(
            two.visitor(ip("192.0.2.1"), "6.6.6.6,203.0.113.9,198.51.100.2".split(',')),
            ip("203.0.113.9")
        );
        assert_eq!(two.visitor(ip("192.0.2.1"), "203.0.113.9".split(',')), ip("192.0.2.1"));
        assert_eq!(proxies("\"2\""), two);
        assert_eq!(proxies("\"127.0.0.1,10.0.0.0/8, fd00::/8\""), list);
        assert_eq!(proxies("[]").visitor(ip("192.0.2.1"), "6.6.6.6".split(',')), ip("192.0.2.1"));
        assert!(
            serde_json::from_str::<Proxies>(r#"["proxy.internal"]"#)
                .unwrap_err()
                .to_string()
                .contains("CIDR")
        );
    }
}
