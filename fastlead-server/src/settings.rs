//! Settings: the defaults file, then a file, then `.env`, then the environment.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use fastlead_core::secret::Secret;
use fastlead_core::{Error, ErrorKind, Result};
use serde::Deserialize;

pub use crate::address::Proxies;

/// The defaults, which are also the manual.
pub const DEFAULTS: &str = include_str!("settings.default.toml");

/// A day.
const LONGEST_TOKEN_SECS: u64 = 86_400;
/// 90 days.
const LONGEST_SESSION_SECS: u64 = 7_776_000;

/// Everything that can be set. What each means stands in the defaults file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The HTTP listener.
    pub http: HttpSettings,
    /// Where leads are kept.
    pub store: StoreSettings,
    /// Keys that seal credentials.
    pub secrets: SecretSettings,
    /// Who may sign in.
    pub auth: AuthSettings,
    /// Workers.
    pub engine: EngineSettings,
    /// Where channels may connect to.
    pub channels: ChannelSettings,
    /// Logs.
    pub log: LogSettings,
}

/// The HTTP listener.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// Where the server listens.
    pub listen: SocketAddr,
    /// How the outside world reaches the server.
    pub public_url: String,
    /// Reverse proxies that are believed to say whom they speak for.
    pub trusted_proxies: Proxies,
    /// Largest request body, in bytes.
    pub body_limit_bytes: usize,
    /// Most connections at a time.
    pub max_connections: usize,
    /// Most connections of one address at a time.
    pub max_connections_per_address: usize,
    /// Most bytes of request bodies in memory at a time.
    pub body_memory_bytes: usize,
    /// How many seconds the head of a request may take.
    pub head_timeout_secs: u64,
    /// How many seconds the body of a request may take.
    pub body_timeout_secs: u64,
    /// How many seconds a connection may wait for its next request.
    pub idle_timeout_secs: u64,
    /// A second listener for `/metrics`; empty: the first one answers it.
    pub metrics_listen: String,
    /// For how many seconds a stopping server finishes what is under way.
    pub drain_secs: u64,
}

/// Where leads are kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// The SQLite file.
    pub path: PathBuf,
    /// After how many days what has ended is forgotten; 0 keeps it.
    pub retention_days: u32,
}

impl StoreSettings {
    /// The folder of the file.
    pub fn folder(&self) -> &Path {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        folder.unwrap_or(Path::new("."))
    }
}

/// Keys that seal credentials.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretSettings {
    /// `id:key` pairs.
    pub keys: Secret<String>,
}

/// Who may sign in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthSettings {
    /// For how many seconds a token is good.
    pub token_ttl_secs: u64,
    /// For how many seconds a session goes on, however often its token is renewed.
    pub session_ttl_secs: u64,
    /// For how many seconds a browser stays signed in at most.
    pub browser_session_secs: u64,
    /// Password of the first administrator.
    pub admin_password: Secret<String>,
}

impl AuthSettings {
    /// # Errors
    /// [`ErrorKind::Config`] that names a life which is too long or none.
    fn check(&self) -> Result<()> {
        let lives = [
            ("token_ttl_secs", self.token_ttl_secs, LONGEST_TOKEN_SECS),
            ("session_ttl_secs", self.session_ttl_secs, LONGEST_SESSION_SECS),
            ("browser_session_secs", self.browser_session_secs, LONGEST_SESSION_SECS),
        ];
        for (name, given, longest) in lives {
            if !(1..=longest).contains(&given) {
                let message = format!("auth.{name}: expected 1 to {longest} seconds");
                return Err(Error::new(ErrorKind::Config, message).with_operation("settings"));
            }
        }
        Ok(())
    }
}

/// Workers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineSettings {
    /// For how many seconds a worker holds a delivery.
    pub lease_secs: u64,
}

/// Where channels may connect to, whatever their tenants fill in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelSettings {
    /// Hosts, IP addresses and CIDR blocks that may be reached although they are not on the public internet.
    pub allowed_private_hosts: Vec<String>,
    /// Whether credentials and leads may go over the public internet without encryption.
    pub allow_plaintext: bool,
    /// The settings of earlier versions, which are refused by their names.
    #[serde(default)]
    webhook: Option<OldWebhookSettings>,
}

/// Where the two settings of [`ChannelSettings`] stood while they were for outgoing webhooks alone.
#[derive(Debug, Clone, Deserialize)]
struct OldWebhookSettings {
    allowed_private_hosts: Option<serde::de::IgnoredAny>,
    allow_http: Option<serde::de::IgnoredAny>,
}

impl ChannelSettings {
    /// # Errors
    /// [`ErrorKind::Config`] that names the setting of today for one of an earlier version.
    fn refuse_old_names(&self) -> Result<()> {
        let Some(old) = &self.webhook else { return Ok(()) };
        let (was, is) = match (&old.allowed_private_hosts, &old.allow_http) {
            (Some(_), _) => ("webhook.allowed_private_hosts", "channels.allowed_private_hosts"),
            (None, Some(_)) => ("webhook.allow_http", "channels.allow_plaintext"),
            (None, None) => ("webhook", "channels.allowed_private_hosts"),
        };
        let message = format!("channels.{was}: is called {is} now, and holds for every channel");
        Err(Error::new(ErrorKind::Config, message).with_operation("settings"))
    }
}

/// Logs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// `json` or `text`.
    pub format: LogFormat,
    /// What is logged.
    pub filter: String,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl Settings {
    /// Reads the settings: defaults, `file` (or `./fastlead.toml` where there is one), `.env`, environment.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the setting.
    pub fn load(file: Option<&Path>) -> Result<Self> {
        let dotenv = read_dotenv(Path::new(".env"))?;
        Self::from_sources(file, dotenv.into_iter().chain(environment()?))
    }

    /// The defaults alone.
    ///
    /// # Errors
    /// Never in a released version: a test reads them.
    pub fn defaults() -> Result<Self> {
        Self::from_sources(None, std::iter::empty())
    }

    fn from_sources(file: Option<&Path>, variables: impl Iterator<Item = (String, String)>) -> Result<Self> {
        let fault = |error: config::ConfigError| {
            Error::new(ErrorKind::Config, format!("settings: {}", without_values(&error.to_string())))
        };
        let mut builder =
            config::Config::builder().add_source(config::File::from_str(DEFAULTS, config::FileFormat::Toml));
        builder = match file {
            Some(file) => builder.add_source(config::File::from(file).format(config::FileFormat::Toml)),
            None => builder.add_source(config::File::from(Path::new("fastlead.toml")).required(false)),
        };
        let mut map = std::collections::HashMap::new();
        for (name, value) in variables {
            if name.starts_with("FASTLEAD__") {
                map.insert(name, value);
            } else if let Some(rest) = name.strip_prefix("FASTLEAD_").filter(|rest| rest.contains("__")) {
                let message =
                    format!("settings: the variable {name} is not read; did you mean FASTLEAD__{rest}?");
                return Err(Error::new(ErrorKind::Config, message));
            }
        }
        let environment = config::Environment::with_prefix("FASTLEAD")
            .prefix_separator("__")
            .separator("__")
            .list_separator(",")
            .with_list_parse_key("channels.allowed_private_hosts")
            .try_parsing(true);
        builder = builder.add_source(environment.source(Some(map)));
        let settings: Self = builder.build().and_then(config::Config::try_deserialize).map_err(fault)?;
        settings.channels.refuse_old_names()?;
        settings.auth.check()?;
        Ok(settings)
    }
}

/// The variables of the environment that may be settings. Those of other programs may be anything.
fn environment() -> Result<Vec<(String, String)>> {
    let named = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let ours = named.filter(|(name, _)| name.starts_with("FASTLEAD_"));
    ours.map(|(name, value)| match value.into_string() {
        Ok(value) => Ok((name, value)),
        Err(_) => {
            Err(Error::new(ErrorKind::Config, format!("settings: the value of {name} is not UTF-8 text")))
        }
    })
    .collect()
}

/// Quoted values may be secrets.
fn without_values(text: &str) -> String {
    text.split('"').enumerate().map(|(index, part)| if index % 2 == 0 { part } else { "[value]" }).collect()
}

/// `NAME=value` lines; `#` starts a comment line; quotes around a value are taken off.
fn read_dotenv(path: &Path) -> Result<Vec<(String, String)>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(Error::new(
                ErrorKind::Config,
                format!("settings: .env cannot be read: {}", error.kind()),
            ));
        }
    };
    let mut variables = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.strip_prefix("export ").unwrap_or(line).split_once('=') else {
            let message = format!("settings: .env line {}: expected NAME=value", number + 1);
            return Err(Error::new(ErrorKind::Config, message));
        };
        let value = value.trim();
        let unquoted = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'))
            .or_else(|| value.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')));
        variables.push((name.trim().to_owned(), unquoted.unwrap_or(value).to_owned()));
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<Settings> {
        let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::from_sources(None, owned.collect::<Vec<_>>().into_iter())
    }

    #[test]
    fn the_manual_is_complete_and_the_environment_wins() {
        assert_eq!(Settings::defaults().unwrap().http.listen.port(), 8080);
        let settings =
            with(&[("FASTLEAD__HTTP__LISTEN", "127.0.0.1:0"), ("FASTLEAD__LOG__FORMAT", "json")]).unwrap();
        assert_eq!(settings.http.listen.port(), 0);
        assert_eq!(settings.log.format, LogFormat::Json);
        let settings = with(&[
            ("FASTLEAD__CHANNELS__ALLOWED_PRIVATE_HOSTS", "crm.internal,10.1.0.0/16"),
            ("FASTLEAD__CHANNELS__ALLOW_PLAINTEXT", "true"),
        ]);
        let channels = settings.unwrap().channels;
        assert_eq!(channels.allowed_private_hosts, ["crm.internal", "10.1.0.0/16"]);
        assert!(channels.allow_plaintext);
    }

    #[test]
    fn a_variable_with_one_underscore_too_few_is_refused() {
        let error = with(&[("FASTLEAD_HTTP__LISTEN", "127.0.0.1:0")]).unwrap_err();
        assert!(error.message().contains("did you mean FASTLEAD__HTTP__LISTEN?"), "{error}");
        // Such as Kubernetes sets them beside a service that is called `fastlead`.
        assert!(with(&[("FASTLEAD_SERVICE_HOST", "192.0.2.1"), ("FASTLEAD_PORT", "tcp://x")]).is_ok());
    }

    #[test]
    fn names_of_earlier_versions_are_refused_with_those_of_today() {
        for (old, value, today) in [
            (
                "FASTLEAD__CHANNELS__WEBHOOK__ALLOWED_PRIVATE_HOSTS",
                "10.1.0.0/16",
                "channels.allowed_private_hosts",
            ),
            ("FASTLEAD__CHANNELS__WEBHOOK__ALLOW_HTTP", "true", "channels.allow_plaintext"),
        ] {
            let error = with(&[(old, value)]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.message().contains(today), "{error}");
        }
    }

    #[test]
    fn a_life_that_is_too_long_is_refused() {
        for (name, value) in [
            ("FASTLEAD__AUTH__TOKEN_TTL_SECS", "86401"),
            ("FASTLEAD__AUTH__TOKEN_TTL_SECS", "0"),
            ("FASTLEAD__AUTH__SESSION_TTL_SECS", "946080000"),
            ("FASTLEAD__AUTH__BROWSER_SESSION_SECS", "7776001"),
        ] {
            let error = with(&[(name, value)]).unwrap_err();
            assert!(error.message().contains("_secs: expected 1 to"), "{name}");
        }
    }

    #[test]
    fn proxies_come_as_a_list_or_a_number() {
        for value in ["127.0.0.1,10.0.0.0/8", "127.0.0.1", "1", ""] {
            assert!(with(&[("FASTLEAD__HTTP__TRUSTED_PROXIES", value)]).is_ok(), "{value}");
        }
        let error = with(&[("FASTLEAD__HTTP__TRUSTED_PROXIES", "proxy.internal")]).unwrap_err();
        assert!(error.message().contains("CIDR"), "{error}");
    }

    #[test]
    fn an_unknown_or_wrong_setting_is_named() {
        let error = with(&[("FASTLEAD__HTTP__LISTN", "x")]).unwrap_err().to_string();
        assert!(error.contains("listn"), "{error}");
        assert!(with(&[("FASTLEAD__HTTP__LISTEN", "nowhere")]).is_err());
    }
}
