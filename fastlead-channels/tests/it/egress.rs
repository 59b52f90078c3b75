//! No adapter connects to the inside of the operator's network, unless the operator has named it.

use fastlead_channels::egress::Egress;

/// The simulators' addresses, by number and by name.
pub(crate) fn loopback() -> Egress {
    Egress::public().with_private_hosts(&["127.0.0.0/8".to_owned(), "localhost".to_owned()]).unwrap()
}

#[cfg(all(
    feature = "max",
    feature = "postal",
    feature = "smsc",
    feature = "smtp",
    feature = "telegram",
    feature = "vk",
    feature = "webhook",
    feature = "whatsapp"
))]
mod every_adapter {
    use std::net::TcpListener;
    use std::sync::Arc;

    use fastlead_core::channel::Channel;
    use fastlead_core::contact::{Email, Phone};
    use fastlead_core::id::{ChannelId, RandomIds};
    use fastlead_core::message::{Content, OutboundMessage, Recipient, RecipientKind, Text};
    use fastlead_core::registry::Registry;
    use fastlead_core::secret::Pii;
    use fastlead_core::time::epoch;
    use fastlead_core::{Error, ErrorKind, Result, RetryHint};
    use fastlead_testkit::conformance::channel::outbound;
    use serde_json::{Value, json};

    use super::*;

    /// Each field through which a tenant may name a host: the adapter, the field, and a configuration in the
    /// clear and encrypted.
    fn ways(host: &str, port: u16) -> Vec<(&'static str, &'static str, [Value; 2])> {
        let clear = format!("http://{host}:{port}");
        let encrypted = format!("https://{host}:{port}");
        let token = "123456:ABC-DEF";
        let secrets = ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"];
        let from = json!({"address": "leads@example.net"});
        vec![
            (
                "telegram",
                "endpoint",
                [&clear, &encrypted].map(|endpoint| json!({"bot_token": token, "endpoint": endpoint})),
            ),
            // The endpoint is Telegram's own, so that the connection is encrypted from end to end.
            ("telegram", "proxy", [&clear, &clear].map(|proxy| json!({"bot_token": token, "proxy": proxy}))),
            (
                "max",
                "endpoint",
                [&clear, &encrypted].map(|endpoint| json!({"bot_token": token, "endpoint": endpoint})),
            ),
            (
                "postal",
                "endpoint",
                [&clear, &encrypted]
                    .map(|endpoint| json!({"api_key": "k", "endpoint": endpoint, "from": from})),
            ),
            (
                "smsc",
                "endpoint",
                [&clear, &encrypted].map(|endpoint| json!({"api_key": "k", "endpoint": endpoint})),
            ),
            (
                "vk",
                "endpoint",
                [&clear, &encrypted]
                    .map(|endpoint| json!({"access_token": "k", "group_id": 1, "endpoint": endpoint})),
            ),
            (
                "whatsapp",
                "endpoint",
                [&clear, &encrypted].map(
                    |endpoint| json!({"access_token": "k", "phone_number_id": "1", "endpoint": endpoint}),
                ),
            ),
            (
                "smtp",
                "`host`",
                ["none", "wrapper"].map(|tls| json!({"host": host, "port": port, "tls": tls, "from": from})),
            ),
            ("webhook", "url", [&clear, &encrypted].map(|url| json!({"url": url, "secrets": secrets}))),
        ]
    }

    fn build(kind: &str, config: &Value, egress: &Egress) -> Result<Arc<dyn Channel>> {
        let registry = Registry::builder().apply(fastlead_channels::register_with(egress.clone())).build()?;
        registry.build(kind, ChannelId::generate(&RandomIds, epoch()), "some", config.clone())
    }

    fn message(channel: &dyn Channel) -> OutboundMessage {
        let recipient = match channel.capabilities().recipients[0] {
            RecipientKind::Phone => Recipient::Phone(Phone::parse("+79000000000").unwrap()),
            RecipientKind::Email => Recipient::Email(Email::parse("anna@example.com").unwrap()),
            RecipientKind::Chat => Recipient::Chat(Pii::from("790000000")),
            _ => Recipient::Endpoint,
        };
        outbound(recipient, Content::Text(Text::plain("hello")))
    }

    fn is_refused(error: &Error, setting: &str, context: &str) {
        assert_eq!(
            (error.kind(), error.retry()),
            (ErrorKind::Config, RetryHint::Never),
            "{context}: {error:?}"
        );
        assert!(error.message().contains(setting), "{context}: {error}");
    }

    fn listen() -> (TcpListener, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    fn nobody_came(listener: &TcpListener) {
        assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }

    #[tokio::test]
    async fn an_address_inside_is_refused_when_the_channel_is_built() {
        let (listener, port) = listen();
        for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1"] {
            for (kind, field, configs) in ways(host, port) {
                for mut config in configs {
                    if kind == "smtp" {
                        config["host"] = host.trim_matches(['[', ']']).into();
                    }
                    for egress in [Egress::public(), Egress::public().with_plaintext()] {
                        let error = build(kind, &config, &egress).unwrap_err();
                        is_refused(&error, "channels.allowed_private_hosts", kind);
                        assert!(error.message().starts_with(&format!("{field}: ")), "{error}");
                    }
                }
            }
        }
        nobody_came(&listener);
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused_before_a_connection() {
        let (listener, port) = listen();
        let egress = Egress::public().with_plaintext();
        for (kind, field, configs) in ways("localhost", port) {
            for config in configs {
                let channel = build(kind, &config, &egress).unwrap();
                let sent = channel.send(&message(&*channel)).await.unwrap_err();
                for error in [sent, channel.check().await.unwrap_err()] {
                    is_refused(&error, "channels.allowed_private_hosts", &format!("{kind} {field}"));
                }
            }
        }
        nobody_came(&listener);
    }

    #[tokio::test]
    async fn nothing_goes_over_the_internet_in_the_clear() {
        for host in ["8.8.8.8", "provider.example.com"] {
            for (kind, field, [clear, encrypted]) in ways(host, 8080) {
                assert!(build(kind, &encrypted, &Egress::public()).is_ok(), "{kind} {field}");
                if field != "proxy" {
                    let error = build(kind, &clear, &Egress::public()).unwrap_err();
                    is_refused(&error, "channels.allow_plaintext", kind);
                }
                assert!(build(kind, &clear, &Egress::public().with_plaintext()).is_ok(), "{kind} {field}");
            }
        }
    }

    #[tokio::test]
    async fn what_the_installation_names_is_connected_to() {
        for host in ["127.0.0.1", "localhost"] {
            let egress = Egress::public().with_private_hosts(&[host.to_owned()]).unwrap();
            let (listener, port) = listen();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            for (kind, field, [clear, _]) in ways(host, port) {
                let channel = build(kind, &clear, &egress).unwrap();
                tokio::select! {
                    came = listener.accept() => drop(came.unwrap()),
                    checked = channel.check() => panic!("{kind} {field} did not connect: {checked:?}"),
                }
            }
        }
    }

    #[tokio::test]
    async fn the_providers_own_addresses_need_no_setting() {
        for (kind, config) in [
            ("telegram", json!({"bot_token": "123456:ABC-DEF"})),
            ("telegram", json!({"bot_token": "123456:ABC-DEF", "proxy": "http://proxy.example.com:3128"})),
            ("max", json!({"bot_token": "some-token"})),
            ("smsc", json!({"api_key": "some-key"})),
            ("vk", json!({"access_token": "some-key", "group_id": 1})),
            ("whatsapp", json!({"access_token": "some-key", "phone_number_id": "1"})),
        ] {
            assert!(build(kind, &config, &Egress::public()).is_ok(), "{kind}");
        }
    }
}
