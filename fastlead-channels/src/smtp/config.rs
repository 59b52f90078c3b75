//! What the owner of a mail account fills in, and what it means once checked.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use fastlead_core::contact::Email;
use fastlead_core::secret::Secret;
use fastlead_core::{Error, ErrorKind, Result};
use lettre::Address;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::extension::ClientId;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::egress::{Egress, Refusal};
use crate::tls::{BadTls, Tls};

/// The place in `return_path` and `list_unsubscribe` that each delivery fills with its own digits.
const DELIVERY_PLACEHOLDER: &str = "{delivery}";
/// 32 digits, as long as those of a delivery, to try a template with.
const SAMPLE_DIGITS: &str = "0190b6f45d3c7000a000000000000001";

/// One mail account.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SmtpConfig {
    /// Host name or IP address of the mail server, such as `smtp.example.com`. One that is not on the public
    /// internet must be allowed by whoever runs the installation.
    pub host: String,
    /// Port of the mail server. Default: 465 for `wrapper`, 587 for `required`, 25 for `none`.
    #[serde(default)]
    pub port: Option<u16>,
    /// How the connection is encrypted. Default: `wrapper`.
    #[serde(default)]
    pub tls: SmtpTls,
    /// Login, often the whole e-mail address. Leave it out for a server that asks for none.
    #[serde(default)]
    pub username: Option<Secret<String>>,
    /// Password, usually an app password made for this purpose; for `xoauth2` the access token.
    #[serde(default)]
    pub password: Option<Secret<String>>,
    /// Ways to sign in, the first that the server offers is used. Default: `plain`, then `login`.
    #[serde(default = "default_mechanisms")]
    pub mechanisms: Vec<SmtpMechanism>,
    /// Who the mail is from.
    pub from: SmtpSender,
    /// Address that answers go to. Default: the `from` address.
    #[serde(default)]
    pub reply_to: Option<Email>,
    /// Name that we greet the server with: a host name or an IP address. Default: the domain of `from`.
    #[serde(default)]
    pub hello_name: Option<String>,
    /// Longest time to connect, sign in and hand a mail over, in seconds, from 1 to 600. Default: 8.
    #[serde(default = "default_timeout_secs")]
    pub timeout_secs: u32,
    /// Longest wait for the server's last word on a mail that was handed over, in seconds, from 1 to
    /// 600. Default: 60.
    #[serde(default = "default_accept_timeout_secs")]
    pub accept_timeout_secs: u32,
    /// Most connections at once, from 1 to 100; they are kept open and used again. Default: 10.
    #[serde(default = "default_pool_max")]
    pub pool_max: u32,
    /// Domain of the Message-ID. It must stay the same, so that a repeated mail can be recognised.
    /// Default: the domain of `from`.
    #[serde(default)]
    pub message_id_domain: Option<String>,
    /// Address that bounces go to (envelope sender); `{delivery}` in it becomes the 32 digits of the
    /// delivery, as in `bounce+{delivery}@example.com`. Default: the `from` address.
    #[serde(default)]
    pub return_path: Option<String>,
    /// Certificates in PEM form that are trusted beside the public ones, for a server with a private authority.
    #[serde(default)]
    pub ca_pem: Option<String>,
    /// Page that unsubscribes, added to advertising only; must start with `https://`. With `{delivery}`
    /// in it, which becomes the 32 digits of the delivery, mail programs may unsubscribe with one click.
    #[serde(default)]
    pub list_unsubscribe: Option<String>,
}

/// Who mail is from.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SmtpSender {
    /// Name that people see, such as `Example Ltd`.
    #[serde(default)]
    pub name: Option<String>,
    /// Address; its domain must be one that the server may send for.
    pub address: Email,
}

/// How a connection is encrypted. There is deliberately no "if the server offers it": whoever can
/// touch the traffic could then switch encryption off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SmtpTls {
    /// TLS from the first byte, usually port 465. The best choice where the server has it (RFC 8314).
    #[default]
    Wrapper,
    /// Plain greeting, then STARTTLS, usually port 587. Mail is not sent if the server does not offer it. Also
    /// written `starttls`.
    #[serde(alias = "starttls")]
    Required,
    /// No encryption: password and mail are readable on the way. Only for a server on the same
    /// machine or private network, which whoever runs the installation must allow.
    None,
}

/// A way to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SmtpMechanism {
    /// PLAIN (RFC 4616).
    Plain,
    /// LOGIN, outdated but sometimes the only one.
    Login,
    /// XOAUTH2: the password field holds an OAuth 2 access token.
    Xoauth2,
}

fn default_mechanisms() -> Vec<SmtpMechanism> {
    vec![SmtpMechanism::Plain, SmtpMechanism::Login]
}

const fn default_timeout_secs() -> u32 {
    8
}

const fn default_accept_timeout_secs() -> u32 {
    60
}

const fn default_pool_max() -> u32 {
    10
}

/// A configuration that can work, in the terms of the wire.
pub(super) struct Settings {
    pub(super) server: Server,
    pub(super) sender: Sender,
    pub(super) pool_max: u32,
}

/// How to reach the server.
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Encryption,
    pub(super) egress: Egress,
    pub(super) credentials: Option<Credentials>,
    pub(super) mechanisms: Vec<Mechanism>,
    pub(super) hello: ClientId,
    pub(super) timeout: Duration,
    pub(super) accept_timeout: Duration,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

/// [`SmtpTls`] with what it needs.
pub(super) enum Encryption {
    Wrapper(Tls),
    Required(Tls),
    None,
}

/// What the mails of this account have in common.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) from: Mailbox,
    pub(super) reply_to: Option<Mailbox>,
    pub(super) message_id_domain: String,
    pub(super) return_path: Template,
    pub(super) list_unsubscribe: Option<Template>,
}

/// A text with an optional place for the digits of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(String);

impl Template {
    /// The text for one delivery.
    pub(super) fn fill(&self, digits: &str) -> String {
        self.0.replace(DELIVERY_PLACEHOLDER, digits)
    }

    /// Whether each delivery gets a text of its own.
    pub(super) fn names_delivery(&self) -> bool {
        self.0.contains(DELIVERY_PLACEHOLDER)
    }
}

impl SmtpConfig {
    /// Checks the whole configuration. Pure.
    pub(super) fn validate(self, egress: &Egress) -> Result<Settings> {
        let host = ascii_host(&self.host)
            .ok_or_else(|| wrong("`host` is not a host name or IP address; write it as smtp.example.com"))?;
        let tls = self.encryption(&host)?;
        let parsed = host.parse().map_or(url::Host::Domain(host.as_str()), |address| match address {
            IpAddr::V4(address) => url::Host::Ipv4(address),
            IpAddr::V6(address) => url::Host::Ipv6(address),
        });
        // With STARTTLS nothing of value is said before the connection is encrypted.
        let encrypted = !matches!(tls, Encryption::None);
        egress.check(parsed, encrypted).map_err(|refusal| {
            let field = if refusal == Refusal::Plaintext { "`tls`" } else { "`host`" };
            refusal.of_field("smtp", field)
        })?;
        let from_address = wire_address(&self.from.address)
            .ok_or_else(|| wrong("`from.address` has a domain that cannot exist"))?;
        let from_domain = from_address.domain().to_owned();
        let hello = match &self.hello_name {
            None => ClientId::Domain(from_domain.clone()),
            Some(name) => hello_name(name).ok_or_else(|| {
                wrong("`hello_name` is not a host name or IP address; leave it out if unsure")
            })?,
        };
        if !(1..=600).contains(&self.timeout_secs) {
            return Err(wrong("`timeout_secs` must be from 1 to 600"));
        }
        if !(1..=600).contains(&self.accept_timeout_secs) {
            return Err(wrong("`accept_timeout_secs` must be from 1 to 600"));
        }
        if !(1..=100).contains(&self.pool_max) {
            return Err(wrong("`pool_max` must be from 1 to 100"));
        }
        let credentials = match (&self.username, &self.password) {
            (Some(user), Some(password)) if !user.expose().is_empty() && !password.expose().is_empty() => {
                Some(Credentials::new(user.expose().clone(), password.expose().clone()))
            }
            (None, None) => None,
            _ => return Err(wrong("`username` and `password` go together; give both, or neither")),
        };
        if credentials.is_some() && self.mechanisms.is_empty() {
            return Err(wrong("`mechanisms` is empty; leave it out for the usual ones"));
        }
        let server = Server {
            port: self.port.unwrap_or(match self.tls {
                SmtpTls::Wrapper => 465,
                SmtpTls::Required => 587,
                SmtpTls::None => 25,
            }),
            host,
            tls,
            egress: egress.clone(),
            credentials,
            mechanisms: self.mechanisms.iter().map(|mechanism| mechanism.on_the_wire()).collect(),
            hello,
            timeout: Duration::from_secs(self.timeout_secs.into()),
            accept_timeout: Duration::from_secs(self.accept_timeout_secs.into()),
        };
        if server.port == 0 {
            return Err(wrong("`port` must be from 1 to 65535"));
        }
        // RFC 8314 section 7.3 and RFC 6409 section 3.1: on these two ports every server begins in one way. With the
        // other each side would wait for the other until the time is over.
        match (server.port, self.tls) {
            (465, SmtpTls::Required | SmtpTls::None) => {
                return Err(wrong("`tls` must be wrapper on port 465, where TLS begins with the first byte"));
            }
            (587 | 25, SmtpTls::Wrapper) => {
                return Err(wrong(
                    "`tls` must be required (STARTTLS) on this `port`, where servers greet in the clear; wrapper \
                     is for port 465",
                ));
            }
            _ => {}
        }
        let pool_max = self.pool_max;
        Ok(Settings { server, sender: self.sender(from_address, from_domain)?, pool_max })
    }

    fn encryption(&self, host: &str) -> Result<Encryption> {
        if self.tls == SmtpTls::None {
            return match self.ca_pem {
                None => Ok(Encryption::None),
                Some(_) => Err(wrong("`ca_pem` has no use with `tls` = none; remove one of them")),
            };
        }
        let tls = Tls::new(host, self.ca_pem.as_deref()).map_err(|bad| {
            wrong(match bad {
                BadTls::Host => "`host` is not a name that a certificate can carry",
                BadTls::Unreadable => {
                    "`ca_pem` holds no readable certificate; it starts with -----BEGIN CERTIFICATE-----"
                }
                BadTls::Untrustworthy => "`ca_pem` holds a certificate that cannot be trusted",
            })
        })?;
        Ok(match self.tls {
            SmtpTls::Required => Encryption::Required(tls),
            SmtpTls::Wrapper | SmtpTls::None => Encryption::Wrapper(tls),
        })
    }

    fn sender(self, from_address: Address, from_domain: String) -> Result<Sender> {
        if self
            .from
            .name
            .as_deref()
            .is_some_and(|name| name.contains(char::is_control) || name.contains("=?"))
        {
            return Err(wrong("`from.name` must be one line of plain text"));
        }
        let name = self.from.name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        let reply_to = match &self.reply_to {
            None => None,
            Some(email) => {
                let address =
                    wire_address(email).ok_or_else(|| wrong("`reply_to` has a domain that cannot exist"))?;
                Some(Mailbox::new(None, address))
            }
        };
        let message_id_domain = match &self.message_id_domain {
            None => from_domain,
            Some(domain) => ascii_domain(domain)
                .ok_or_else(|| wrong("`message_id_domain` is not a domain; write it as example.com"))?,
        };
        let return_path = Template(self.return_path.unwrap_or_else(|| from_address.to_string()));
        let sample = Email::parse(&return_path.fill(SAMPLE_DIGITS)).ok();
        if sample.as_ref().and_then(wire_address).is_none() {
            return Err(wrong(
                "`return_path` is not an e-mail address; write it as bounce+{delivery}@example.com",
            ));
        }
        let list_unsubscribe = match self.list_unsubscribe {
            None => None,
            Some(url) => Some(unsubscribe_page(url)?),
        };
        Ok(Sender {
            from: Mailbox::new(name, from_address),
            reply_to,
            message_id_domain,
            return_path,
            list_unsubscribe,
        })
    }
}

impl SmtpMechanism {
    const fn on_the_wire(self) -> Mechanism {
        match self {
            Self::Plain => Mechanism::Plain,
            Self::Login => Mechanism::Login,
            Self::Xoauth2 => Mechanism::Xoauth2,
        }
    }
}

/// An address as servers take it: the domain in ASCII (IDNA), the part before `@` as it is.
pub(super) fn wire_address(email: &Email) -> Option<Address> {
    let (local, domain) = email.expose().rsplit_once('@')?;
    Address::new(local, ascii_domain(domain)?).ok()
}

fn ascii_domain(domain: &str) -> Option<String> {
    match url::Host::parse(domain).ok()? {
        url::Host::Domain(ascii) if ascii.bytes().all(is_host_byte) => Some(ascii),
        _ => None,
    }
}

fn ascii_host(host: &str) -> Option<String> {
    match host.parse::<IpAddr>() {
        Ok(ip) => Some(ip.to_string()),
        Err(_) => ascii_domain(host),
    }
}

fn hello_name(name: &str) -> Option<ClientId> {
    match name.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => Some(ClientId::Ipv4(ip)),
        Ok(IpAddr::V6(ip)) => Some(ClientId::Ipv6(ip)),
        Err(_) => ascii_domain(name).map(ClientId::Domain),
    }
}

const fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

fn unsubscribe_page(url: String) -> Result<Template> {
    let template = Template(url);
    let filled = template.fill(SAMPLE_DIGITS);
    let is_page = url::Url::parse(&filled).is_ok_and(|url| url.scheme() == "https" && url.has_host());
    // Angle brackets and commas have a meaning of their own in the header (RFC 2369).
    let fits_header =
        filled.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b','));
    if is_page && fits_header {
        Ok(template)
    } else {
        Err(wrong("`list_unsubscribe` is not a page; write it as https://example.com/u/{delivery}"))
    }
}

fn wrong(message: &str) -> Error {
    Error::new(ErrorKind::Config, message).with_adapter("smtp").with_operation("configure")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(change: impl FnOnce(&mut serde_json::Value)) -> Result<Settings> {
        let mut json = serde_json::json!({
            "host": "smtp.example.com",
            "from": { "name": "Пример", "address": "leads@example.com" },
        });
        change(&mut json);
        let egress = Egress::public().with_private_hosts(&["10.1.0.0/16".to_owned()]).unwrap();
        serde_json::from_value::<SmtpConfig>(json).unwrap().validate(&egress)
    }

    #[test]
    fn the_least_that_must_be_filled_in_is_enough() {
        let settings = config(|_| {}).unwrap();
        assert_eq!(settings.pool_max, 10);
        assert_eq!(settings.server.timeout, Duration::from_secs(8));
        assert_eq!(settings.server.accept_timeout, Duration::from_secs(60));
        assert_eq!(settings.server.mechanisms, [Mechanism::Plain, Mechanism::Login]);
        assert_eq!(settings.server.hello, ClientId::Domain("example.com".to_owned()));
        assert!(settings.server.credentials.is_none());
        assert_eq!(settings.sender.message_id_domain, "example.com");
        assert_eq!(settings.sender.return_path.fill("1"), "leads@example.com");
    }

    #[test]
    fn encryption_and_port_by_the_tls_setting() {
        for (tls, port) in [
            (None, 465),
            (Some("wrapper"), 465),
            (Some("required"), 587),
            (Some("starttls"), 587),
            (Some("none"), 25),
        ] {
            let settings = config(|json| {
                if let Some(tls) = tls {
                    json["tls"] = tls.into();
                }
            })
            .unwrap();
            assert_eq!(settings.server.port, port, "{tls:?}");
            let fits = match (tls, &settings.server.tls) {
                (None | Some("wrapper"), Encryption::Wrapper(tls))
                | (Some("required" | "starttls"), Encryption::Required(tls)) => {
                    tls.name().to_str() == "smtp.example.com"
                }
                (Some("none"), Encryption::None) => true,
                _ => false,
            };
            assert!(fits, "{tls:?}");
        }
        let opportunistic = serde_json::from_value::<SmtpTls>("opportunistic".into());
        assert!(opportunistic.is_err(), "encryption that can be switched off from outside is not offered");
        let settings = config(|json| json["port"] = 2525.into()).unwrap();
        assert_eq!(settings.server.port, 2525);
    }

    #[test]
    fn international_domains_go_out_in_ascii() {
        let settings = config(|json| {
            json["host"] = "почта.рф".into();
            json["from"]["address"] = "заявки@пример.рф".into();
        })
        .unwrap();
        assert_eq!(settings.server.host, "xn--80a1acny.xn--p1ai");
        assert_eq!(settings.sender.from.email.to_string(), "заявки@xn--e1afmkfd.xn--p1ai");
        assert_eq!(settings.sender.message_id_domain, "xn--e1afmkfd.xn--p1ai");
    }

    #[test]
    fn every_refusal_names_its_field() {
        type Change = fn(&mut serde_json::Value);
        let table: &[(&str, Change)] = &[
            ("host", |json| json["host"] = "".into()),
            ("host", |json| json["host"] = "smtp example com".into()),
            ("host", |json| json["host"] = "smtp.example.com\r\nQUIT".into()),
            ("host", |json| json["host"] = "10.2.0.1".into()),
            ("host", |json| json["host"] = "::1".into()),
            ("tls", |json| {
                json["host"] = "8.8.8.8".into();
                json["tls"] = "none".into();
            }),
            ("port", |json| json["port"] = 0.into()),
            ("tls", |json| json["port"] = 587.into()),
            ("tls", |json| json["port"] = 25.into()),
            ("tls", |json| {
                json["port"] = 465.into();
                json["tls"] = "starttls".into();
            }),
            ("tls", |json| {
                json["host"] = "10.1.0.1".into();
                json["port"] = 465.into();
                json["tls"] = "none".into();
            }),
            ("username", |json| json["username"] = "leads".into()),
            ("username", |json| json["password"] = "secret".into()),
            ("username", |json| {
                json["username"] = "".into();
                json["password"] = "secret".into();
            }),
            ("mechanisms", |json| {
                json["username"] = "leads".into();
                json["password"] = "secret".into();
                json["mechanisms"] = serde_json::json!([]);
            }),
            ("from.name", |json| json["from"]["name"] = "A\r\nBcc: x@example.com".into()),
            ("hello_name", |json| json["hello_name"] = "a b".into()),
            ("hello_name", |json| json["hello_name"] = "a\r\nQUIT".into()),
            ("timeout_secs", |json| json["timeout_secs"] = 0.into()),
            ("timeout_secs", |json| json["timeout_secs"] = 601.into()),
            ("accept_timeout_secs", |json| json["accept_timeout_secs"] = 0.into()),
            ("pool_max", |json| json["pool_max"] = 0.into()),
            ("message_id_domain", |json| json["message_id_domain"] = "a>b".into()),
            ("return_path", |json| json["return_path"] = "bounce".into()),
            ("return_path", |json| json["return_path"] = "b@example.com> SIZE=1".into()),
            ("ca_pem", |json| json["ca_pem"] = "nonsense".into()),
            ("ca_pem", |json| {
                json["ca_pem"] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----".into();
            }),
            ("ca_pem", |json| {
                json["tls"] = "none".into();
                json["ca_pem"] = "-----BEGIN CERTIFICATE-----".into();
            }),
            ("list_unsubscribe", |json| json["list_unsubscribe"] = "http://example.com/u".into()),
            ("list_unsubscribe", |json| json["list_unsubscribe"] = "https://example.com/u>,<mailto:x".into()),
            ("list_unsubscribe", |json| json["list_unsubscribe"] = "https://example.com/u\r\nX: y".into()),
        ];
        for (field, change) in table {
            let Err(error) = config(change) else { panic!("{field} was accepted") };
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.message().contains(&format!("`{field}`")), "{field}: {error}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn unknown_fields_are_refused_and_secrets_do_not_print() {
        let json = serde_json::json!({
            "host": "h", "from": { "address": "a@example.com" }, "username": "login-1", "password": "hunter2",
        });
        let config: SmtpConfig = serde_json::from_value(json.clone()).unwrap();
        let shown = format!("{config:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("login-1"), "{shown}");
        let mut extra = json;
        extra["opportunistic"] = true.into();
        assert!(serde_json::from_value::<SmtpConfig>(extra).is_err());
    }
}
