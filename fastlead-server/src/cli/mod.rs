//! The command line.

mod admin;
mod backtest;
mod backup;
mod desk;
mod explain;
mod file;
mod law;
mod policy;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use fastlead_channels::egress::Egress;
use fastlead_core::channel::Channel;
use fastlead_core::message::Recipient;
use fastlead_core::policy::Policy;
use fastlead_core::registry::RegistryBuilder;
use fastlead_core::secret::Pii;
use fastlead_core::time::{Clock as _, SystemClock};
use fastlead_core::{Error, ErrorKind, Result};

use crate::registration::{self, Standing};
use crate::server::{Adapters, Server, stop_on_signal};
use crate::settings::Settings;
use crate::{bootstrap, demo, keys, logs};

/// FastLead: lead capture, routing and delivery.
#[derive(Debug, Parser)]
#[command(name = "fastlead", version, about)]
pub struct Cli {
    /// A settings file in TOML; `fastlead.toml` is read where it exists.
    #[arg(long, global = true, env = "FASTLEAD_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve: an SQLite file, no other service.
    Serve,
    /// Serve with simulated providers in-process and one page that shows the whole story.
    Demo {
        /// The port; 0 takes a free one.
        #[arg(long, default_value_t = 8080)]
        port: u16,
        /// Keep the demo's database in this file instead of a temporary one.
        #[arg(long)]
        store: Option<PathBuf>,
    },
    /// Bring the database to this version. Stop the server first.
    Migrate,
    /// Copy the database into a new file, also while a server works on it; the copy is read through before it gets its
    /// name.
    Backup {
        /// The new file; nothing is overwritten.
        file: PathBuf,
    },
    /// Put a copy made by `backup` back as the database of the settings, which must not exist. Stop the server first.
    Restore {
        /// The copy.
        file: PathBuf,
    },
    /// Check the settings, the database and every channel's credentials.
    Check {
        /// Check this channel instance only.
        #[arg(long)]
        channel: Option<String>,
    },
    /// Send a test message over a channel.
    Send {
        /// The channel instance's name.
        #[arg(long)]
        channel: String,
        /// The phone, e-mail address or chat id; leave it out for an outgoing webhook.
        #[arg(long, default_value = "")]
        to: String,
        /// The text.
        #[arg(long, default_value = "FastLead: a test message")]
        text: String,
    },
    /// The keys that seal channel credentials.
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// When nobody can sign in any more.
    Admin {
        #[command(subcommand)]
        command: admin::AdminCommand,
    },
    /// Policies as files: check, compare, publish, test.
    Policy {
        #[command(subcommand)]
        command: policy::PolicyCommand,
    },
    /// Replay the captures of the past with a new policy and with the one of before, and print what differs.
    Backtest(backtest::Backtest),
    /// Print everything that happened to a lead, and why.
    Explain(explain::Explain),
    /// Print what Russian law says of messages over channels on a day: a dated table, no legal advice.
    Law(law::Law),
    /// Print a JSON Schema: `policy`, `openapi`, or a channel kind such as `telegram`.
    Schema {
        /// Which one.
        kind: String,
    },
    /// Run one provider simulator: `telegram`, `max`, `vk`, `whatsapp`, `smsc`, `smtp`, `postal` or `webhook`.
    Sim {
        /// Which one.
        kind: String,
    },
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// List the keys, without showing them: which one seals, and how many channels need each.
    List,
    /// Make a new key and seal every channel's credentials with it; finishes a rotation that was interrupted. Stop the
    /// server first. The old key stays until you remove it: older backups need it.
    Rotate,
    /// Make a new key where the file with the keys is lost: then every channel needs its credentials anew, and everybody signs in
    /// again. Where the file is found later, put its lines below the new one.
    ReplaceLost,
}

/// Why a command has failed.
#[derive(Debug)]
enum Fault {
    /// For one reason.
    Error(Error),
    /// A file has faults: one line for each, with file and line, as a compiler writes them.
    Lines(Vec<String>),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Cli {
    /// Reads the command line of this process. Prints help or a mistake and ends the process where that is all there is to
    /// do.
    pub fn read() -> Self {
        Self::parse()
    }
}

/// A command's view of the program: its settings, and the adapters that it adds to those of FastLead.
#[derive(Debug)]
struct Program {
    settings: Settings,
    adapters: Adapters,
}

/// Runs a command with the adapters that come with FastLead. Faults go to standard error, in one line each.
pub async fn run(cli: Cli) -> ExitCode {
    finish(dispatch(cli, Adapters::default()).await)
}

/// Runs a command of a program that adds adapters of its own: every command knows them, from `serve` to `check`, `send`,
/// `schema` and `backtest`. `register` gets the registry and where channels may connect to, as in
/// [`ServerBuilder::adapters`](crate::ServerBuilder::adapters).
///
/// ```no_run
/// use fastlead_server::cli::{self, Cli};
///
/// #[tokio::main]
/// async fn main() -> std::process::ExitCode {
///     cli::run_with(Cli::read(), |registry, _egress| registry /* .guarded::<Acme>(_egress) */).await
/// }
/// ```
pub async fn run_with(
    cli: Cli,
    register: impl FnOnce(RegistryBuilder, &Egress) -> RegistryBuilder + Send + 'static,
) -> ExitCode {
    finish(dispatch(cli, Adapters(vec![Box::new(register)])).await)
}

fn finish(outcome: Result<ExitCode, Fault>) -> ExitCode {
    match outcome {
        Ok(code) => code,
        Err(Fault::Error(error)) => {
            say_error(&format!("fastlead: {error}"));
            ExitCode::FAILURE
        }
        Err(Fault::Lines(lines)) => {
            lines.iter().for_each(|line| say_error(line));
            ExitCode::FAILURE
        }
    }
}

/// Prints a line to standard output. A closed pipe is not a fault.
pub(crate) fn say(line: &str) {
    let _closed = writeln!(std::io::stdout(), "{line}");
}

fn say_error(line: &str) {
    let _closed = writeln!(std::io::stderr(), "{line}");
}

async fn dispatch(cli: Cli, adapters: Adapters) -> Result<ExitCode, Fault> {
    let config = cli.config.as_deref();
    let program = |adapters| Settings::load(config).map(|settings| Program { settings, adapters });
    match cli.command {
        Command::Serve => serve(program(adapters)?).await?,
        Command::Demo { port, store } => demo::run(Settings::load(config)?, port, store).await?,
        Command::Migrate => {
            let settings = Settings::load(config)?;
            crate::server::open_store(&settings).await?;
            say(&format!("{} is at this version", settings.store.path.display()));
        }
        Command::Backup { file } => backup::back_up(&Settings::load(config)?, &file).await?,
        Command::Restore { file } => backup::restore(&Settings::load(config)?, &file).await?,
        Command::Check { channel } => check(program(adapters)?, channel.as_deref()).await?,
        Command::Send { channel, to, text } => send(program(adapters)?, &channel, &to, text).await?,
        Command::Keys { command } => keys(&Settings::load(config)?, &command).await?,
        Command::Admin { command } => admin::run(command, &Settings::load(config)?).await?,
        Command::Policy { command } => return policy::run(command, program(adapters)?).await,
        Command::Backtest(command) => return backtest::run(command, Settings::load(config)?).await,
        Command::Explain(command) => return Ok(explain::run(command, program(adapters)?).await?),
        Command::Law(command) => {
            let _closed = law::print(&command, SystemClock.now().date_naive(), &mut std::io::stdout());
        }
        Command::Schema { kind } => schema(&kind, adapters)?,
        Command::Sim { kind } => demo::simulate(&kind).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(Program { settings, adapters }: Program) -> Result<()> {
    logs::start(&settings.log)?;
    let server = Server::builder(settings).with_adapters(adapters).build().await?;
    let url = server.app().public_url.to_string();
    if let Some(first) = bootstrap::first_run(server.app(), &bootstrap::random_text(12)).await? {
        say(&format!("First start. The form:      {url}/f/{}", first.source_key));
        say(&format!("             Sign in as:    {}", first.login));
        if let Some(password) = &first.password {
            say(&format!("             Password:      {} (shown once)", password.expose()));
        }
        say("             Next: add a channel and publish a policy; see the API page.");
    }
    say(&format!("API page: {url}/api"));
    if let Some(address) = server.metrics_address() {
        say(&format!("Metrics: http://{address}/metrics"));
    }
    say(&format!("Listening on {}", server.address()?));
    server.serve(stop_on_signal()).await
}

/// What a command asks of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// It changes what a running server keeps in memory: the file must be served by nobody.
    Alone,
    /// It only looks: it works beside a running server.
    BesideServer,
}

/// Builds a server that is not served: for commands that work on an installation.
async fn installation(program: Program, access: Access) -> Result<Server> {
    let Program { mut settings, adapters } = program;
    settings.http.listen.set_port(0);
    Server::builder(settings)
        .with_adapters(adapters)
        .beside_others(access == Access::BesideServer)
        .build()
        .await
}

async fn check(program: Program, only: Option<&str>) -> Result<()> {
    let server = installation(program, Access::BesideServer).await?;
    say("settings: ok");
    say("database: ok");
    let mut stored = server.app().store.load().await?.channels;
    if let Some(name) = only {
        stored.retain(|record| record.name == name);
        if stored.is_empty() {
            return Err(Error::new(ErrorKind::NotFound, "--channel: there is no channel of this name"));
        }
    }
    let directory = server.app().engine.directory();
    let mut failed = 0_usize;
    for record in stored {
        let checked = match directory.channel(record.id) {
            Some(channel) => match channel.channel.check().await {
                Ok(()) => registration::look(server.app(), channel, &record).await,
                Err(error) => Err(error),
            },
            None => Err(Error::new(ErrorKind::Config, "its configuration cannot be opened; see the log")),
        };
        match checked {
            Ok(Standing::Good) => say(&format!("channel {} ({}): ok", record.name, record.kind)),
            Ok(Standing::NotTold(why)) => {
                say(&format!("channel {} ({}): ok; {why}", record.name, record.kind))
            }
            Err(error) => {
                failed += 1;
                say(&format!("channel {} ({}): {error}", record.name, record.kind));
            }
        }
    }
    if failed == 0 {
        Ok(())
    } else {
        Err(Error::new(ErrorKind::Config, format!("{failed} channels failed the check")))
    }
}

async fn send(program: Program, name: &str, to: &str, text: String) -> Result<()> {
    use fastlead_core::id::DeliveryId;
    use fastlead_core::message::{Content, MessageClass, OutboundMessage, Part, RecipientKind, Text};

    let server = installation(program, Access::BesideServer).await?;
    let app = server.app();
    let directory = app.engine.directory();
    let channel = directory.channels().find(|channel| channel.name == name);
    let channel = channel
        .ok_or_else(|| Error::new(ErrorKind::NotFound, "--channel: there is no channel of this name"))?;
    let fault = |message: String| Error::new(ErrorKind::Invalid, format!("--to: {message}"));
    let recipient = match channel.capabilities.recipients.first() {
        Some(RecipientKind::Phone) => {
            Recipient::Phone(to.parse().map_err(|error| fault(format!("{error}")))?)
        }
        Some(RecipientKind::Email) => {
            Recipient::Email(to.parse().map_err(|error| fault(format!("{error}")))?)
        }
        Some(RecipientKind::Chat) if !to.is_empty() => Recipient::Chat(Pii::from(to)),
        Some(RecipientKind::Endpoint) => Recipient::Endpoint,
        _ => return Err(fault("give a chat id".to_owned())),
    };
    let now = app.engine.clock().now();
    let message = OutboundMessage {
        delivery_id: DeliveryId::generate(&**app.engine.ids(), now),
        attempt: 1,
        part: Part::WHOLE,
        recipient,
        content: Content::Text(Text::plain(text)),
        class: MessageClass::Service,
        attempted_at: now,
        expires_at: None,
    };
    let receipt = channel.channel.send(&message).await?;
    say(&format!(
        "accepted by the provider as {}",
        receipt.provider_message_id.as_deref().unwrap_or("(no id)")
    ));
    Ok(())
}

async fn keys(settings: &Settings, command: &KeysCommand) -> Result<()> {
    let store = match command {
        KeysCommand::List => crate::server::open_store_beside_others(settings).await?,
        KeysCommand::Rotate | KeysCommand::ReplaceLost => crate::server::open_store(settings).await?,
    };
    if matches!(command, KeysCommand::ReplaceLost) {
        let active = keys::replace_lost(settings, &*store).await?.active();
        say(&format!(
            "Made key {active}. Give every channel its credentials anew (PUT /v1/channels/{{id}})."
        ));
    }
    if matches!(command, KeysCommand::Rotate) {
        let now = SystemClock.now();
        let keys::Rotation { active, made, resealed, channels } =
            keys::rotate(settings, &*store, now).await?;
        let how = if made { "Made" } else { "Went on with" };
        say(&format!(
            "{how} key {active}; sealed the credentials of {resealed} of {channels} channels anew."
        ));
    }
    let path = settings.secrets.keys.expose().is_empty().then(|| keys::file(settings));
    let uses = keys::uses(&keys::load(settings, &*store).await?, &*store).await?;
    keys::lines(&uses, path.as_deref()).iter().for_each(|line| say(line));
    Ok(())
}

fn schema(kind: &str, adapters: Adapters) -> Result<()> {
    let text = match kind {
        "openapi" => crate::openapi::document(),
        "policy" => pretty(&Policy::schema())?,
        _ => pretty(&adapters.registry(&Egress::public())?.schema(kind)?)?,
    };
    say(text.trim_end());
    Ok(())
}

fn pretty(schema: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string_pretty(schema)
        .map_err(|_| Error::new(ErrorKind::Internal, "the schema cannot be written as JSON"))
}
