//! Which channel adapters exist: an explicit, immutable value.

use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::sync::Arc;

use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;

use crate::channel::{Channel, ChannelInfo};
use crate::error::{Error, ErrorKind, Result};
use crate::id::ChannelId;

/// A kind of channel: its name, its configuration, and how to build an instance.
///
/// An adapter that connects to what its owner has filled in implements `fastlead_channels::guarded::GuardedAdapter` instead: it
/// is given where the program lets channels connect to, and a client that keeps to it. A client that an adapter makes by
/// itself reaches the machine's own network as well.
///
/// # Example
///
/// The crates of the derive macros are re-exported, so that an adapter needs no dependency but this crate.
///
/// ```
/// use std::sync::Arc;
///
/// use fastlead_core::channel::{Channel, ChannelInfo};
/// use fastlead_core::registry::{ChannelAdapter, Registry};
/// use fastlead_core::schemars::JsonSchema;
/// use fastlead_core::secret::Secret;
/// use fastlead_core::serde::Deserialize;
/// use fastlead_core::{Error, ErrorKind, Result};
///
/// #[derive(Debug, Deserialize, JsonSchema)]
/// #[serde(crate = "fastlead_core::serde", deny_unknown_fields)]
/// #[schemars(crate = "fastlead_core::schemars")]
/// struct AcmeConfig {
///     /// The sender name that people see. Up to 11 letters.
///     sender: String,
///     /// The key from the page "API access" of your account.
///     api_key: Secret<String>,
/// }
///
/// #[derive(Debug)]
/// struct Acme;
///
/// impl ChannelAdapter for Acme {
///     const KIND: &'static str = "acme";
///     const TITLE: &'static str = "Acme";
///     type Config = AcmeConfig;
///
///     fn build(info: ChannelInfo, config: AcmeConfig) -> Result<Arc<dyn Channel>> {
///         if config.sender.chars().count() > 11 {
///             return Err(Error::new(ErrorKind::Config, "sender must have 1 to 11 letters"));
///         }
///         Ok(channel(info, config.api_key))
///     }
/// }
/// # fn channel(_: ChannelInfo, _: Secret<String>) -> Arc<dyn Channel> { unimplemented!() }
///
/// let registry = Registry::builder().channel::<Acme>().build()?;
/// let config = fastlead_core::serde_json::json!({ "sender": "A clinic far away", "api_key": "an invented key" });
/// let error = registry.build("acme", ChannelInfo::embedded("acme", "sms").id, "sms", config).unwrap_err();
/// assert_eq!(error.message(), "sender must have 1 to 11 letters");
/// # Ok::<(), Error>(())
/// ```
pub trait ChannelAdapter: Debug + Send + Sync + 'static {
    /// The kind, lower case, such as `telegram`.
    const KIND: &'static str;
    /// What people read, such as `Telegram`.
    const TITLE: &'static str;
    /// The configuration of one instance. Every field has a doc comment: it is the label in a form.
    type Config: DeserializeOwned + JsonSchema;

    /// Builds an instance. Makes no network call.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field and the fix.
    fn build(info: ChannelInfo, config: Self::Config) -> Result<Arc<dyn Channel>>;
}

type Build = Arc<dyn Fn(ChannelId, String, serde_json::Value) -> Result<Arc<dyn Channel>> + Send + Sync>;

#[derive(Clone)]
struct Entry {
    title: &'static str,
    build: Build,
    schema: fn() -> Schema,
}

impl Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("title", &self.title).finish_non_exhaustive()
    }
}

/// The adapters that this program was built with.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    entries: BTreeMap<&'static str, Entry>,
    absent: BTreeMap<&'static str, &'static str>,
}

impl Registry {
    /// Starts an empty registry.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder::default()
    }

    /// The kinds, in alphabetical order, each with its title.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, &'static str)> + '_ {
        self.entries.iter().map(|(kind, entry)| (*kind, entry.title))
    }

    /// The JSON Schema of a kind's configuration.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] that says which kinds exist.
    pub fn schema(&self, kind: &str) -> Result<Schema> {
        Ok((self.entry(kind)?.schema)())
    }

    /// Builds an instance from its stored configuration.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for an unknown kind; [`ErrorKind::Config`] where the configuration
    /// does not fit. The message never repeats the configuration.
    pub fn build(
        &self,
        kind: &str,
        id: ChannelId,
        name: &str,
        config: serde_json::Value,
    ) -> Result<Arc<dyn Channel>> {
        (self.entry(kind)?.build)(id, name.to_owned(), config)
    }

    fn entry(&self, kind: &str) -> Result<&Entry> {
        self.entries.get(kind).ok_or_else(|| {
            let message = match self.absent.get(kind) {
                Some(feature) => {
                    format!("channel kind `{kind}` was compiled out; enable the cargo feature `{feature}`")
                }
                None => {
                    let known: Vec<_> = self.entries.keys().copied().collect();
                    let shown: String = kind.chars().filter(|c| !c.is_control()).take(40).collect();
                    format!("unknown channel kind `{shown}`; known kinds: {}", known.join(", "))
                }
            };
            Error::new(ErrorKind::NotFound, message)
        })
    }
}

/// Collects adapters.
///
/// ```
/// use fastlead_core::registry::Registry;
///
/// // A program adds `.apply(fastlead_channels::register)` and `.guarded::<Acme>(&egress)`.
/// let registry = Registry::builder().absent("fax", "fax").build()?;
/// let error = registry.schema("fax").unwrap_err();
/// assert!(error.message().contains("enable the cargo feature `fax`"));
/// # Ok::<(), fastlead_core::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct RegistryBuilder {
    registry: Registry,
    twice: Option<&'static str>,
}

impl RegistryBuilder {
    /// Adds an adapter.
    #[must_use]
    pub fn channel<A: ChannelAdapter>(self) -> Self {
        self.channel_with::<A>(A::build)
    }

    /// Adds an adapter that is built by `make` instead of [`ChannelAdapter::build`]: for what an
    /// instance needs from the program and not from its configuration.
    #[must_use]
    pub fn channel_with<A: ChannelAdapter>(
        mut self,
        make: impl Fn(ChannelInfo, A::Config) -> Result<Arc<dyn Channel>> + Send + Sync + 'static,
    ) -> Self {
        let build = Arc::new(move |id, name, config| {
            make(ChannelInfo { kind: A::KIND, id, name }, read_config::<A>(config)?)
        });
        let entry = Entry { title: A::TITLE, build, schema: schema::<A> };
        if self.registry.entries.insert(A::KIND, entry).is_some() {
            self.twice = Some(A::KIND);
        }
        self
    }

    /// Says that a kind exists but was compiled out, so that the error can name the feature.
    #[must_use]
    pub fn absent(mut self, kind: &'static str, feature: &'static str) -> Self {
        self.registry.absent.insert(kind, feature);
        self
    }

    /// Applies a function that adds several adapters, such as `fastlead_channels::register`.
    #[must_use]
    pub fn apply(self, register: impl FnOnce(Self) -> Self) -> Self {
        register(self)
    }

    /// The finished registry.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where two adapters have the same kind.
    pub fn build(self) -> Result<Registry> {
        match self.twice {
            Some(kind) => {
                Err(Error::new(ErrorKind::Config, format!("two adapters of the channel kind `{kind}`")))
            }
            None => Ok(self.registry),
        }
    }
}

fn read_config<A: ChannelAdapter>(config: serde_json::Value) -> Result<A::Config> {
    read(config).map_err(|message| {
        Error::new(ErrorKind::Config, message).with_adapter(A::KIND).with_operation("configure")
    })
}

/// Reads a configuration. The fault begins with the field that it is about, where it is about one.
fn read<C: DeserializeOwned>(config: serde_json::Value) -> Result<C, String> {
    serde_path_to_error::deserialize(config).map_err(|error| {
        let (path, fault) = (error.path().to_string(), describe_config_error(&error.inner().to_string()));
        if path == "." { fault } else { format!("{path}: {fault}") }
    })
}

/// Serde names fields and types, but may also repeat a value: those in quotes are cut out, and numbers, which may be a
/// password as well.
fn describe_config_error(text: &str) -> String {
    let mut text = text.to_owned();
    for kind in ["integer `", "floating point `", "character `"] {
        if let Some((before, rest)) = text.split_once(kind)
            && let Some((_value, after)) = rest.split_once('`')
        {
            text = format!("{before}{}[value]{after}", kind.trim_end_matches('`'));
        }
    }
    let mut out = String::with_capacity(text.len());
    let mut quoted = false;
    for character in text.chars() {
        match character {
            '"' => {
                quoted = !quoted;
                if quoted {
                    out.push_str("[value]");
                }
            }
            _ if quoted => {}
            _ => out.push(character),
        }
    }
    out
}

fn schema<A: ChannelAdapter>() -> Schema {
    schemars::schema_for!(A::Config)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::json;

    use super::{describe_config_error, read};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        #[serde(rename = "timeout_secs")]
        _timeout_secs: u64,
        #[serde(default, rename = "from")]
        _from: Option<From>,
        #[serde(default, rename = "headers")]
        _headers: BTreeMap<String, String>,
    }

    #[derive(Debug, Deserialize)]
    struct From {
        #[serde(rename = "address")]
        _address: String,
    }

    #[test]
    fn a_fault_of_a_type_begins_with_its_field() {
        for (config, expected) in [
            (
                json!({"timeout_secs": "15 SECRET"}),
                "timeout_secs: invalid type: string [value], expected u64",
            ),
            (json!({"timeout_secs": -1}), "timeout_secs: invalid value: integer [value], expected u64"),
            (
                json!({"timeout_secs": 1, "from": {"address": 5}}),
                "from.address: invalid type: integer [value]",
            ),
            (json!({"timeout_secs": 1, "from": {}}), "from: missing field `address`"),
            (
                json!({"timeout_secs": 1, "headers": {"X-Key": 5}}),
                "headers.X-Key: invalid type: integer [value]",
            ),
            (json!({}), "missing field `timeout_secs`"),
            (json!({"timeout_secs": 1, "proxi": 1}), "proxi: unknown field `proxi`, expected one of"),
            (json!([]), "invalid length 0"),
        ] {
            let shown = read::<Config>(config.clone()).unwrap_err();
            assert!(shown.starts_with(expected), "{config}: {shown}");
            assert!(!shown.contains("SECRET"));
        }
    }

    #[test]
    fn a_config_error_names_the_field_but_not_the_value() {
        let text = r#"invalid type: string "123:SECRET", expected u16 at `port`"#;
        let shown = describe_config_error(text);
        assert!(!shown.contains("SECRET"));
        assert!(shown.contains("`port`"));
    }
}
