//! A corpus of addresses that a channel must not reach, and of those that it may.

use std::collections::VecDeque;
use std::sync::Mutex;

use url::Url;

use super::*;

/// Literal addresses in every notation that URL parsers know.
const FORBIDDEN_URLS: &[&str] = &[
    "http://127.0.0.1/",
    "http://127.0.0.1:80/",
    "http://127.255.255.254/",
    "http://127.1/",
    "http://127.0.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://0x7f.1/",
    "http://127.0.0.1./",
    "http://%31%32%37.0.0.1/",
    "http://127。0。0。1/",
    "http://①②⑦.0.0.1/",
    "http://0/",
    "http://0.0.0.0/",
    "http://0.1.2.3/",
    "http://10.0.0.1/",
    "http://10.255.255.255/",
    "http://100.64.0.1/",
    "http://100.100.100.200/latest/meta-data/",
    "http://100.127.255.255/",
    "http://169.254.169.254/latest/meta-data/",
    "http://0xa9fea9fe/latest/meta-data/",
    "http://2852039166/",
    "http://0251.0376.0251.0376/",
    "http://169.254.170.2/v2/credentials",
    "http://168.63.129.16/machine",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.0.0.192/opc/v2/",
    "http://192.0.2.1/",
    "http://192.88.99.1/",
    "http://192.168.0.1/",
    "http://192.168.255.255/",
    "http://198.18.0.1/",
    "http://198.51.100.7/",
    "http://203.0.113.9/",
    "http://224.0.0.1/",
    "http://239.255.255.250/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://[::]/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::127.0.0.1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:0:127.0.0.1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[64:ff9b:1::a00:1]/",
    "http://[100::1]/",
    "http://[2001::1]/",
    "http://[2001:0:7f00:1::]/",
    "http://[2001:10::1]/",
    "http://[2001:db8::1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:a9fe:a9fe::1]/",
    "http://[3fff::1]/",
    "http://[5f00::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://[fe80::1]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
];

const PUBLIC_URLS: &[&str] = &[
    "https://example.com/hook",
    "https://8.8.8.8/",
    "https://1.1.1.1:8443/",
    "https://100.63.255.255/",
    "https://100.128.0.1/",
    "https://169.253.255.255/",
    "https://172.15.255.255/",
    "https://172.32.0.1/",
    "https://192.167.255.255/",
    "https://198.17.255.255/",
    "https://223.255.255.255/",
    "https://[2606:4700:4700::1111]/",
    "https://[2a02:6b8::feed:ff]/",
    "https://[64:ff9b::8.8.8.8]/",
    "https://[::ffff:8.8.8.8]/",
];

fn egress(allowed: &[&str]) -> Egress {
    let entries: Vec<String> = allowed.iter().map(|entry| (*entry).to_owned()).collect();
    Egress::public().with_private_hosts(&entries).unwrap()
}

fn check(egress: &Egress, url: &str) -> Result<(), Refusal> {
    let url = Url::parse(url).unwrap();
    egress.check(url.host().unwrap(), url.scheme() == "https")
}

#[test]
fn literal_addresses_of_every_notation_are_judged_before_any_request() {
    for url in FORBIDDEN_URLS {
        for egress in [egress(&[]), egress(&[]).with_plaintext(), egress(&["example.com", "9.0.0.0/8"])] {
            assert_eq!(check(&egress, url), Err(Refusal::Private), "{url}");
        }
    }
    for url in PUBLIC_URLS {
        assert_eq!(check(&egress(&[]), url), Ok(()), "{url}");
    }
}

#[test]
fn without_encryption_only_what_is_named_is_reached() {
    for (url, allowed, verdict) in [
        ("http://example.com/", &[][..], Err(Refusal::Plaintext)),
        ("http://8.8.8.8/", &["8.8.8.8"], Err(Refusal::Plaintext)),
        ("http://10.1.2.3/", &["10.0.0.0/8"], Ok(())),
        ("http://crm.internal/", &["crm.internal"], Ok(())),
        ("http://example.com/", &["crm.internal"], Err(Refusal::Plaintext)),
        // It may resolve to one of these addresses, and is judged when it does.
        ("http://example.com/", &["10.0.0.0/8"], Ok(())),
    ] {
        assert_eq!(check(&egress(allowed), url), verdict, "{url} {allowed:?}");
        let open = egress(allowed).with_plaintext();
        assert_eq!(check(&open, url), Ok(()), "{url} {allowed:?}");
    }
}

#[test]
fn an_owner_may_allow_exactly_what_is_named() {
    for (entry, allowed, refused) in [
        ("10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
        ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
        ("10.1.2.3/32", "::ffff:10.1.2.3", "::ffff:10.1.2.4"),
        ("192.168.4.0/22", "192.168.7.255", "192.168.8.0"),
        ("0.0.0.0/0", "127.0.0.1", "::1"),
        ("fd00::/8", "fdff::1", "fc00::1"),
        ("::1", "::1", "::2"),
        ("[::1]", "::1", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1", "127.0.0.2"),
    ] {
        let list = AllowList::parse(&[entry.to_owned()]).unwrap();
        let admits = |address: &str| list.names(None, address.parse().unwrap());
        assert!(admits(allowed), "{entry} allows {allowed}");
        assert!(!admits(refused), "{entry} does not allow {refused}");
    }
    let list = AllowList::parse(&["CRM.Internal".to_owned()]).unwrap();
    let inside: IpAddr = "10.0.0.1".parse().unwrap();
    for (name, admitted) in
        [("crm.internal", true), ("crm.internal.", true), ("x.crm.internal", false), ("internal", false)]
    {
        assert_eq!(list.names(Some(name), inside), admitted, "{name}");
    }
    assert!(!list.names(None, inside));
    for entry in
        ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "/8", "10.0.0/8", "a b", "example.com/24", "10.0.0.0/-1"]
    {
        assert!(AllowList::parse(&[entry.to_owned()]).is_none(), "{entry:?}");
    }
}

/// Answers with one list after another, as a hostile name server does.
fn scripted(answers: &[&[&str]]) -> Lookup {
    let answers: VecDeque<Vec<SocketAddr>> = answers
        .iter()
        .map(|answer| answer.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect())
        .collect();
    let answers = Arc::new(Mutex::new(answers));
    Arc::new(move |_| {
        let answer = answers.lock().unwrap().pop_front().unwrap_or_default();
        Box::pin(async move { Ok(answer) })
    })
}

async fn resolve(egress: &Egress, name: &str, encrypted: bool) -> Result<Vec<IpAddr>, Refusal> {
    match egress.addresses(name, 443, encrypted).await {
        Ok(addresses) => {
            assert!(addresses.iter().all(|address| address.port() == 443));
            Ok(addresses.iter().map(SocketAddr::ip).collect())
        }
        Err(Blocked::Refused(refusal)) => Err(refusal),
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_name_that_changes_its_address_gains_nothing() {
    let answers =
        scripted(&[&["8.8.8.8"], &["169.254.169.254"], &["8.8.8.8", "127.0.0.1", "::ffff:10.0.0.1"], &[]]);
    let egress = Egress::public().with_lookup(answers);
    let public = vec!["8.8.8.8".parse().unwrap()];
    assert_eq!(resolve(&egress, "rebind.example.com", true).await, Ok(public.clone()));
    assert_eq!(resolve(&egress, "rebind.example.com", true).await, Err(Refusal::Private));
    assert_eq!(resolve(&egress, "rebind.example.com", true).await, Ok(public));
    assert_eq!(resolve(&egress, "rebind.example.com", true).await, Err(Refusal::Private));
}

#[tokio::test]
async fn an_allowed_name_may_resolve_to_the_inside_and_others_may_not() {
    let egress = egress(&["crm.internal"]).with_lookup(scripted(&[&["10.0.0.5"], &["10.0.0.5"]]));
    assert_eq!(resolve(&egress, "crm.internal", true).await, Ok(vec!["10.0.0.5".parse().unwrap()]));
    assert_eq!(resolve(&egress, "other.internal", true).await, Err(Refusal::Private));
}

#[tokio::test]
async fn without_encryption_a_name_is_followed_to_the_named_inside_only() {
    let answers = scripted(&[&["8.8.8.8", "10.0.0.5"], &["8.8.8.8"], &["8.8.8.8"]]);
    let named = egress(&["10.0.0.0/8"]).with_lookup(answers);
    assert_eq!(resolve(&named, "crm.example.com", false).await, Ok(vec!["10.0.0.5".parse().unwrap()]));
    assert_eq!(resolve(&named, "crm.example.com", false).await, Err(Refusal::Plaintext));
    assert!(resolve(&named.with_plaintext(), "crm.example.com", false).await.is_ok());
}

/// The judgement agrees with the standard library wherever that has an opinion.
#[test]
fn nothing_that_the_standard_library_calls_special_is_public() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..200_000 {
        // xorshift64: repeatable, and even enough to meet every first octet many times.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let address = std::net::Ipv4Addr::from_bits((state >> 32) as u32);
        let special = address.is_private()
            || address.is_loopback()
            || address.is_link_local()
            || address.is_multicast()
            || address.is_broadcast()
            || address.is_documentation()
            || address.is_unspecified();
        assert!(!special || is_forbidden(address.into()), "{address}");
        let mapped = is_forbidden(address.to_ipv6_mapped().into());
        assert_eq!(mapped, is_forbidden(address.into()), "{address} written as IPv6");
    }
}
