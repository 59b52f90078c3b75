//! A corpus of addresses that a webhook must not reach, and of those that it may.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use fastlead_core::ErrorKind;
use reqwest::dns::Resolve as _;
use serde_json::json;

use super::WebhookConfig;
use super::resolver::{ForbiddenAddress, GuardedResolver, Lookup};
use super::ssrf::{AllowList, is_forbidden};

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

fn config(url: &str, allowed: &[&str]) -> WebhookConfig {
    serde_json::from_value(json!({
        "url": url,
        "secrets": ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],
        "allow_http": true,
        "allowed_private_hosts": allowed,
    }))
    .unwrap()
}

#[test]
fn literal_addresses_of_every_notation_are_judged_before_any_request() {
    for url in FORBIDDEN_URLS {
        let error = config(url, &[]).validate().expect_err(url);
        assert_eq!(error.kind(), ErrorKind::Config, "{url}");
        assert!(error.message().contains("public internet"), "{url} was refused for another reason: {error}");
    }
    for url in PUBLIC_URLS {
        config(url, &[]).validate().unwrap_or_else(|error| panic!("{url}: {error}"));
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
        let admits = |address: &str| list.admits(None, address.parse().unwrap());
        assert!(admits(allowed), "{entry} allows {allowed}");
        assert!(!admits(refused), "{entry} does not allow {refused}");
    }
    let list = AllowList::parse(&["CRM.Internal".to_owned()]).unwrap();
    let inside: IpAddr = "10.0.0.1".parse().unwrap();
    for (name, admitted) in
        [("crm.internal", true), ("crm.internal.", true), ("x.crm.internal", false), ("internal", false)]
    {
        assert_eq!(list.admits(Some(name), inside), admitted, "{name}");
    }
    assert!(!list.admits(None, inside));
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

async fn resolve(resolver: &GuardedResolver, name: &str) -> Result<Vec<IpAddr>, ForbiddenAddress> {
    match resolver.resolve(name.parse().unwrap()).await {
        Ok(addresses) => Ok(addresses.map(|address| address.ip()).collect()),
        Err(error) => Err(*error.downcast::<ForbiddenAddress>().unwrap()),
    }
}

#[tokio::test]
async fn a_name_that_changes_its_address_gains_nothing() {
    let answers =
        scripted(&[&["8.8.8.8"], &["169.254.169.254"], &["8.8.8.8", "127.0.0.1", "::ffff:10.0.0.1"], &[]]);
    let resolver = GuardedResolver::new(AllowList::default(), answers);
    let public = vec!["8.8.8.8".parse().unwrap()];
    assert_eq!(resolve(&resolver, "rebind.example.com").await, Ok(public.clone()));
    assert_eq!(resolve(&resolver, "rebind.example.com").await, Err(ForbiddenAddress));
    assert_eq!(resolve(&resolver, "rebind.example.com").await, Ok(public));
    assert_eq!(resolve(&resolver, "rebind.example.com").await, Err(ForbiddenAddress));
}

#[tokio::test]
async fn an_allowed_name_may_resolve_to_the_inside_and_others_may_not() {
    let allowed = AllowList::parse(&["crm.internal".to_owned()]).unwrap();
    let resolver = GuardedResolver::new(allowed, scripted(&[&["10.0.0.5"], &["10.0.0.5"]]));
    assert_eq!(resolve(&resolver, "crm.internal").await, Ok(vec!["10.0.0.5".parse().unwrap()]));
    assert_eq!(resolve(&resolver, "other.internal").await, Err(ForbiddenAddress));
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
