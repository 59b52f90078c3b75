//! The demo: the real server with simulated providers beside it, a page that shows the whole story of a lead,
//! and one that walks through an agency's day.

mod day;
mod page;
mod setup;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use fastlead_core::secret::Secret;
use fastlead_core::time::{Clock as _, SystemClock};
use fastlead_core::{Error, ErrorKind, Result};
use fastlead_testkit::sim::max::MaxSim;
use fastlead_testkit::sim::postal::PostalSim;
use fastlead_testkit::sim::smsc::SmscSim;
use fastlead_testkit::sim::smtp::SmtpSim;
use fastlead_testkit::sim::telegram::TelegramSim;
use fastlead_testkit::sim::vk::VkSim;
use fastlead_testkit::sim::webhook::WebhookSim;
use fastlead_testkit::sim::whatsapp::WhatsAppSim;

use crate::cli::say;
use crate::server::{Server, stop_on_signal};
use crate::settings::Settings;
use crate::{bootstrap, logs};

pub use page::DemoState;

/// The public key of the demo's form.
pub const SOURCE_KEY: &str = "demo";
/// The password of the demo's administrator: the demo is for one person on one machine.
pub const PASSWORD: &str = "demo-password";
/// The manager's chat in the simulated Telegram.
pub const MANAGER_CHAT: i64 = 1_001;
/// Number of the manager in the simulated WhatsApp.
const MANAGER_NUMBER: &str = "79000000000";
/// The senior manager's chat, where the ladder leads.
pub const SENIOR_CHAT: i64 = 1_002;

/// The simulated providers.
#[derive(Debug)]
pub struct Providers {
    /// Telegram.
    pub telegram: TelegramSim,
    /// SMSC.
    pub smsc: SmscSim,
    /// A mail server.
    pub smtp: SmtpSim,
    /// The program that is told of leads.
    pub crm: WebhookSim,
}

impl Providers {
    /// Starts every simulator on a free port.
    ///
    /// # Errors
    /// Where a port cannot be bound.
    pub async fn start() -> Result<Self> {
        let fault = |error: std::io::Error| {
            Error::new(ErrorKind::Config, format!("a simulator cannot start: {error}"))
        };
        let telegram = TelegramSim::start().await.map_err(fault)?;
        telegram.add_chat(MANAGER_CHAT, "Анна, менеджер");
        telegram.add_chat(SENIOR_CHAT, "Олег, старший менеджер");
        for (chat, title) in day::CHATS {
            telegram.add_chat(chat, title);
        }
        let smsc = SmscSim::start().await.map_err(fault)?;
        let smtp = SmtpSim::start().await.map_err(fault)?;
        let crm = WebhookSim::start().await.map_err(fault)?;
        Ok(Self { telegram, smsc, smtp, crm })
    }
}

/// A demo that is ready to be served.
///
/// # Errors
/// Where a simulator or the server cannot start.
pub async fn build(mut settings: Settings, port: u16, store: PathBuf) -> Result<(Server, Arc<Providers>)> {
    settings.http.listen = SocketAddr::from(([127, 0, 0, 1], port));
    settings.http.public_url = String::new();
    settings.store.path = store;
    settings.auth.admin_password = Secret::from(PASSWORD);
    settings.engine.lease_secs = settings.engine.lease_secs.min(65);
    // The simulated providers are in this process.
    settings.channels.allowed_private_hosts.push("127.0.0.1".to_owned());
    let providers = Arc::new(Providers::start().await?);
    let state = DemoState::new(Arc::clone(&providers), SystemClock.now());
    let server = Server::builder(settings).routes(page::routes(state)).only_this_machine().build().await?;
    bootstrap::first_run(server.app(), SOURCE_KEY).await?;
    setup::forms_of_any_site(server.app()).await?;
    setup::channels_and_policy(server.app(), &providers).await?;
    day::set_up(server.app()).await?;
    Ok((server, providers))
}

/// `fastlead demo`.
///
/// # Errors
/// Where a simulator or the server cannot start.
pub async fn run(settings: Settings, port: u16, store: Option<PathBuf>) -> Result<()> {
    logs::start(&settings.log)?;
    let directory = std::env::temp_dir().join(format!("fastlead-demo-{}", std::process::id()));
    let temporary = store.is_none();
    let store = match store {
        Some(store) => store,
        None => {
            std::fs::create_dir_all(&directory).map_err(|error| {
                Error::new(ErrorKind::Config, format!("a temporary folder cannot be made: {}", error.kind()))
            })?;
            directory.join("demo.db")
        }
    };
    let (server, providers) = build(settings, port, store).await?;
    let url = server.app().public_url.to_string();
    say(&format!("Demo:     {url}/demo"));
    say(&format!("A day:    {url}/demo/day"));
    say(&format!("Console:  {url}/demo/console   (signs you in as {})", bootstrap::ADMIN));
    say(&format!("Widget:   {url}/demo/widget"));
    say(&format!("Form:     {url}/f/{SOURCE_KEY}"));
    say(&format!("API page: {url}/api   (login {}, password {PASSWORD})", bootstrap::ADMIN));
    let (telegram, smsc) = (providers.telegram.base_url(), providers.smsc.base_url());
    say(&format!("Telegram: {telegram}/   SMSC: {smsc}/   mail: {}/", providers.smtp.page_url()));
    let served = server.serve(stop_on_signal()).await;
    if temporary && let Err(error) = std::fs::remove_dir_all(&directory) {
        tracing::warn!(error = %error.kind(), "the temporary folder is left behind");
    }
    served
}

fn say_page(url: &str) {
    say(&format!("page {url}/"));
}

/// `fastlead sim KIND`: one simulator until it is stopped.
///
/// # Errors
/// Where the kind is unknown or no port can be bound.
pub async fn simulate(kind: &str) -> Result<()> {
    let fault =
        |error: std::io::Error| Error::new(ErrorKind::Config, format!("the simulator cannot start: {error}"));
    let stop = stop_on_signal();
    match kind {
        "telegram" => {
            let sim = TelegramSim::start().await.map_err(fault)?;
            sim.add_chat(MANAGER_CHAT, "Manager");
            say(&format!("endpoint {}  token {}  chat {MANAGER_CHAT}", sim.base_url(), sim.token()));
            say_page(&sim.base_url());
            stop.cancelled().await;
        }
        "max" => {
            let sim = MaxSim::start().await.map_err(fault)?;
            sim.add_person(MANAGER_CHAT, "Manager");
            say(&format!("endpoint {}  token {}  chat {MANAGER_CHAT}", sim.base_url(), sim.token()));
            say_page(&sim.base_url());
            stop.cancelled().await;
        }
        "postal" => {
            let sim = PostalSim::start().await.map_err(fault)?;
            let (url, key) = (sim.base_url(), sim.api_key());
            say(&format!("endpoint {url}  api_key {key}  from an address of example.com"));
            say_page(&url);
            stop.cancelled().await;
        }
        "smsc" => {
            let sim = SmscSim::start().await.map_err(fault)?;
            say(&format!("endpoint {}  login {}  password {}", sim.base_url(), sim.login(), sim.password()));
            say_page(&sim.base_url());
            stop.cancelled().await;
        }
        "smtp" => {
            let sim = SmtpSim::start().await.map_err(fault)?;
            say(&format!("address {}", sim.address()));
            say_page(&sim.page_url());
            stop.cancelled().await;
        }
        "vk" => {
            let sim = VkSim::start().await.map_err(fault)?;
            sim.add_person(MANAGER_CHAT, "Manager");
            let (url, token, group) = (sim.base_url(), sim.token(), sim.group_id());
            say(&format!("endpoint {url}  access_token {token}  group_id {group}  chat {MANAGER_CHAT}"));
            say_page(&url);
            stop.cancelled().await;
        }
        "webhook" => {
            let sim = WebhookSim::start().await.map_err(fault)?;
            say(&format!("url {}", sim.url()));
            say_page(sim.url().trim_end_matches("/webhook"));
            stop.cancelled().await;
        }
        "whatsapp" => {
            let sim = WhatsAppSim::start().await.map_err(fault)?;
            sim.add_person(MANAGER_NUMBER, "Manager");
            let (url, token, id) = (sim.base_url(), sim.token(), sim.phone_number_id());
            say(&format!(
                "endpoint {url}  access_token {token}  phone_number_id {id}  person {MANAGER_NUMBER}"
            ));
            say(&format!("app_secret {}  verify_token {}", sim.app_secret(), sim.verify_token()));
            say_page(&url);
            stop.cancelled().await;
        }
        _ => {
            let message =
                "unknown simulator; known: telegram, max, vk, whatsapp, smsc, smtp, postal, webhook";
            return Err(Error::new(ErrorKind::NotFound, message));
        }
    }
    Ok(())
}
