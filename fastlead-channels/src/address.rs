//! Which addresses are on the public internet, and which others an installation has named.
//!
//! Sources: the IANA special-purpose address registries for
//! [IPv4](https://www.iana.org/assignments/iana-ipv4-special-registry) and
//! [IPv6](https://www.iana.org/assignments/iana-ipv6-special-registry).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::Host;

/// Whether connecting to this address could reach anything but the public internet.
pub(crate) fn is_forbidden(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_forbidden_v4(address),
        IpAddr::V6(address) => is_forbidden_v6(address),
    }
}

const fn is_forbidden_v4(address: Ipv4Addr) -> bool {
    match address.octets() {
        [0 | 10 | 127, ..] // this network, private, loopback
        | [100, 64..=127, ..] // carrier-grade NAT; 100.100.100.200 is Alibaba's metadata service
        | [169, 254, ..] // link-local; 169.254.169.254 is the metadata service of most clouds
        | [172, 16..=31, ..] // private
        | [192, 0, 0 | 2, _] // IETF protocol assignments, documentation
        | [192, 88, 99, _] // 6to4 relays
        | [192, 168, ..] // private
        | [198, 18 | 19, ..] // benchmarks
        | [198, 51, 100, _] // documentation
        | [203, 0, 113, _] // documentation
        | [168, 63, 129, 16] // Azure's own service, reachable from every virtual machine
        | [224..=255, ..] // multicast, reserved, broadcast
        => true,
        _ => false,
    }
}

/// Everything is forbidden that is not known to be public: global unicast is 2000::/3 only, and
/// inside it some blocks wrap an IPv4 address or are not routed.
fn is_forbidden_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // NAT64 (RFC 6052): whatever the IPv4 address inside is. ::ffff:0:0/96 has become IPv4 before.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            is_forbidden_v4(Ipv4Addr::new(a, b, c, d))
        }
        // Teredo, ORCHID and the other protocol assignments: 2001::/23.
        [0x2001, 0..=0x1ff, ..] => true,
        // Documentation, 6to4, documentation.
        [0x2001, 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => true,
        [0x2000..=0x3fff, ..] => false,
        _ => true,
    }
}

/// What an installation has allowed in spite of [`is_forbidden`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AllowList {
    names: Vec<String>,
    networks: Vec<Network>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix: u32,
}

impl AllowList {
    /// Reads host names, IP addresses and CIDR blocks; `None` where an entry is neither.
    pub(crate) fn parse(entries: &[String]) -> Option<Self> {
        let mut list = Self::default();
        for entry in entries {
            if let Some(network) = Network::parse(entry) {
                list.networks.push(network);
                continue;
            }
            match Host::parse(entry).ok()? {
                Host::Domain(name) if !name.contains('/') => list.names.push(normal_name(&name)),
                Host::Ipv4(address) => list.networks.push(Network::single(address.into())),
                Host::Ipv6(address) => list.networks.push(Network::single(address.into())),
                Host::Domain(_) => return None,
            }
        }
        Some(list)
    }

    /// Whether the list names this address, or the host that has resolved to it.
    pub(crate) fn names(&self, host: Option<&str>, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
            || host.is_some_and(|host| self.names_host(host))
    }

    /// Whether the list names this host, whatever it resolves to.
    pub(crate) fn names_host(&self, host: &str) -> bool {
        self.names.contains(&normal_name(host))
    }

    /// Whether the list names addresses, to which any host may resolve.
    pub(crate) const fn has_networks(&self) -> bool {
        !self.networks.is_empty()
    }
}

/// `Example.COM.` and `example.com` are one host.
fn normal_name(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

impl Network {
    fn single(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// `10.0.0.0/8`, `fd00::/8` or a single address.
    fn parse(text: &str) -> Option<Self> {
        let Some((address, prefix)) = text.split_once('/') else {
            return text.parse().ok().map(Self::single);
        };
        let network = Self { address: address.parse().ok()?, prefix: prefix.parse().ok()? };
        (network.prefix <= Self::single(network.address).prefix).then_some(network)
    }

    fn contains(&self, address: IpAddr) -> bool {
        // A shift by the whole width is `None`: a prefix of 0 contains everything.
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.checked_shr(32 - self.prefix).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differing = network.to_bits() ^ address.to_bits();
                differing.checked_shr(128 - self.prefix).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}
