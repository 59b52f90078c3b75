//! The server: built from settings, served until it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use fastlead_channels::egress::Egress;
use fastlead_core::port::Quota;
use fastlead_core::quota::LocalQuota;
use fastlead_core::registry::{Registry, RegistryBuilder};
use fastlead_core::time::{Clock as _, SystemClock};
use fastlead_core::{Engine, Error, ErrorKind, Result};
use fastlead_store::{SqliteOptions, SqliteStore};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::app::{App, Backend};
use crate::auth::Authenticator;
use crate::channels::Channels;
use crate::confirm::{self, Links};
use crate::doors::{Door, Room, Table};
use crate::limits::{CaptureLimits, TestLimits};
use crate::problem::Problem;
use crate::settings::Settings;
pub use crate::signal::stop_on_signal;
use crate::{
    capture, channels, console, form, health, keys, live, openapi, operator, outer, permissions, retention,
    widget,
};

/// How long the database may take to close after a stop: longer than it waits for readers of other programs.
const CLOSE_WITHIN: Duration = Duration::from_secs(15);

/// Puts a server together. Third parties add their own adapters and routes here.
///
/// ```no_run
/// use fastlead_server::{GuardedAdapter, GuardedRegistry as _, Server, Settings};
/// use tokio_util::sync::CancellationToken;
///
/// async fn serve<Acme: GuardedAdapter>(settings: Settings, stop: CancellationToken) -> fastlead_core::Result<()> {
///     let server = Server::builder(settings)
///         .adapters(|registry, egress| registry.guarded::<Acme>(egress))
///         .build()
///         .await?;
///     server.serve(stop).await
/// }
/// ```
#[derive(Debug)]
pub struct ServerBuilder {
    settings: Settings,
    adapters: Adapters,
    store: Option<Arc<dyn Backend>>,
    beside_others: bool,
    routes: Router<App>,
    only_this_machine: bool,
    quota: Arc<dyn Quota>,
}

/// Functions that add adapters from outside to a registry.
#[derive(Default)]
pub(crate) struct Adapters(pub(crate) Vec<Register>);

type Register = Box<dyn FnOnce(RegistryBuilder, &Egress) -> RegistryBuilder + Send>;

impl Adapters {
    /// Builds the registry: FastLead's adapters and those that were added, all of them within `egress`.
    pub(crate) fn registry(self, egress: &Egress) -> Result<Registry> {
        let shipped = Registry::builder().apply(fastlead_channels::register_with(egress.clone()));
        self.0.into_iter().fold(shipped, |registry, register| register(registry, egress)).build()
    }
}

impl std::fmt::Debug for Adapters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} functions", self.0.len())
    }
}

/// A server that is ready to be served.
#[derive(Debug)]
pub struct Server {
    app: App,
    /// The store that the server has opened itself, and closes.
    file: Option<SqliteStore>,
    router: Router,
    listener: TcpListener,
    /// The listener for metrics alone, where there is one.
    metrics: Option<TcpListener>,
}

impl Server {
    /// Starts from settings, with the adapters that come with FastLead.
    pub fn builder(settings: Settings) -> ServerBuilder {
        ServerBuilder {
            settings,
            adapters: Adapters::default(),
            store: None,
            beside_others: false,
            routes: Router::new(),
            only_this_machine: false,
            quota: Arc::new(LocalQuota::new()),
        }
    }

    /// The server's parts.
    pub const fn app(&self) -> &App {
        &self.app
    }

    /// Where `/metrics` is answered, where it has a listener of its own.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Where the server listens.
    ///
    /// # Errors
    /// Where the operating system does not say.
    pub fn address(&self) -> Result<SocketAddr> {
        self.listener.local_addr().map_err(|error| io_fault("listen", &error))
    }

    /// Serves until `stop` is cancelled, then finishes what is under way within the drain time, and returns.
    ///
    /// How many connections there may be, and how long they may stay silent, the settings under `http` say.
    ///
    /// At the stop `/readyz` turns 503, live streams end, and no more work is begun. Requests are still taken until
    /// the sends under way are recorded: whoever is sent here meanwhile leaves a lead that is kept, and whose
    /// messages go out after the next start. Then the listener closes, connections without a request are closed, and the
    /// requests under way are answered; a body that is not complete has three more seconds. At last the SQLite file is
    /// closed: it alone holds every lead then, and its log is empty.
    ///
    /// # Errors
    /// None today.
    pub async fn serve(mut self, stop: CancellationToken) -> Result<()> {
        let file = self.file.take();
        let served = self.serve_until(stop).await;
        if let Some(file) = file {
            match tokio::time::timeout(CLOSE_WITHIN, file.close()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the database was not closed cleanly"),
                Err(_) => {
                    tracing::warn!("the database was not closed in time; its newest leads are in its log")
                }
            }
        }
        served
    }

    async fn serve_until(self, stop: CancellationToken) -> Result<()> {
        let drain = Duration::from_secs(self.app.settings.http.drain_secs);
        let (engine, stopping) = (self.app.engine.clone(), self.app.stopping.clone());
        let workers = tokio::spawn({
            let stop = stop.clone();
            async move { engine.run(stop).await }
        });
        let registrar = Arc::clone(&self.app.registrar);
        let registering = tokio::spawn({
            let app = self.app.clone();
            async move { app.registrar.register_all(&app).await }
        });
        let keeper = tokio::spawn(retention::run(self.app.clone(), stop.clone()));
        let measuring = tokio::spawn(health::keep_up(self.app.metrics.clone(), stop.clone()));
        let closing = CancellationToken::new();
        let room = Room::of(&self.app.settings.http);
        let beside = self.metrics.map(|listener| {
            let router = health::routes().with_state(self.app.clone());
            Door { listener, router, table: Table::new(room.beside()) }.serve(closing.clone())
        });
        let door = Door { listener: self.listener, router: self.router, table: Table::new(room) };
        let door = door.serve(closing.clone());
        let served = async {
            match beside {
                Some(beside) => drop(tokio::join!(door, beside)),
                None => door.await,
            }
        };
        let drained = async {
            stop.cancelled().await;
            stopping.cancel();
            registering.abort();
            registrar.stop();
            if workers.await.is_err() {
                tracing::error!("the workers ended in a fault");
            }
            if measuring.await.is_err() {
                tracing::error!("the upkeep of metrics ended in a fault");
            }
            if keeper.await.is_err() {
                tracing::error!("forgetting ended in a fault");
            }
            closing.cancel();
        };
        let finish = async { tokio::join!(served, drained) };
        let too_long = async {
            stop.cancelled().await;
            tokio::time::sleep(drain).await;
        };
        tokio::select! {
            _ = finish => Ok(()),
            () = too_long => {
                tracing::warn!("the drain time is over; what was under way goes on after the next start");
                Ok(())
            }
        }
    }
}

fn io_fault(operation: &'static str, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Config, error.to_string()).with_operation(operation)
}

impl ServerBuilder {
    /// Adds adapters of one's own. `register` gets the registry and where channels of this installation may connect to
    /// (the settings `channels.allowed_private_hosts` and `channels.allow_plaintext`):
    /// `.adapters(|registry, egress| registry.guarded::<Acme>(egress))` with
    /// [`GuardedRegistry`](fastlead_channels::guarded::GuardedRegistry).
    #[must_use]
    pub fn adapters(
        mut self,
        register: impl FnOnce(RegistryBuilder, &Egress) -> RegistryBuilder + Send + 'static,
    ) -> Self {
        self.adapters.0.push(Box::new(register));
        self
    }

    /// Adds those of a command line.
    #[must_use]
    pub(crate) fn with_adapters(mut self, adapters: Adapters) -> Self {
        self.adapters.0.extend(adapters.0);
        self
    }

    /// Uses this store instead of the SQLite file of the settings.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Backend>) -> Self {
        self.store = Some(store);
        self
    }

    /// Counts rates of channels, captures and attempts to sign in there, in place of the memory of this program. Several
    /// servers on one store must share one: else each takes and sends as much as is allowed to all of them.
    #[must_use]
    pub fn quota(mut self, quota: Arc<dyn Quota>) -> Self {
        self.quota = quota;
        self
    }

    /// Opens the SQLite file of the settings also where a server has it open: for commands that look.
    #[must_use]
    pub(crate) const fn beside_others(mut self, beside: bool) -> Self {
        self.beside_others = beside;
        self
    }

    /// Answers only requests that name this machine as their host, such as `localhost`: for programs without a sign-in.
    #[must_use]
    pub(crate) const fn only_this_machine(mut self) -> Self {
        self.only_this_machine = true;
        self
    }

    /// Adds routes of one's own.
    #[must_use]
    pub fn routes(mut self, routes: Router<App>) -> Self {
        self.routes = self.routes.merge(routes);
        self
    }

    /// Opens the store, loads the installation and binds the listener.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the setting; those of the store.
    pub async fn build(self) -> Result<Server> {
        let settings = Arc::new(self.settings);
        let (store, file) = match self.store {
            Some(store) => (store, None),
            None => {
                let file = open_file(&settings, self.beside_others).await?;
                (Arc::new(file.clone()) as Arc<dyn Backend>, Some(file))
            }
        };
        let keyring = Arc::new(keys::load(&settings, &*store).await?);
        keys::seal_tokens(&keyring, &*store).await?;
        let egress = channels::egress(&settings.channels)?;
        let registry = Arc::new(self.adapters.registry(&egress)?);
        let channels = Arc::new(Channels::new(Arc::clone(&registry), Arc::clone(&keyring)));
        let listener = TcpListener::bind(settings.http.listen).await.map_err(|error| {
            io_fault("http.listen", &error).with_context("address", settings.http.listen.to_string())
        })?;
        let metrics_listener = match settings.http.metrics_listen.trim() {
            "" => None,
            address => {
                let bound = TcpListener::bind(address).await;
                Some(bound.map_err(|error| {
                    io_fault("http.metrics_listen", &error).with_context("address", address.to_owned())
                })?)
            }
        };
        let address = listener.local_addr().map_err(|error| io_fault("listen", &error))?;
        let public_url = match settings.http.public_url.trim_end_matches('/') {
            "" => format!("http://{address}"),
            url => url.to_owned(),
        };
        let links = Arc::new(Links::load(&*store, &keyring, &public_url, SystemClock.now()).await?);
        let engine = Engine::builder_with(
            Arc::clone(&store) as _,
            Arc::clone(&store) as _,
            Arc::clone(&store) as _,
            Arc::clone(&store) as _,
            Arc::clone(&store) as _,
        )
        .opener(Arc::clone(&channels) as _)
        .confirm_links(Arc::clone(&links) as _)
        .lease(Duration::from_secs(settings.engine.lease_secs))
        .quota(self.quota)
        .build()
        .await?;
        let auth = Arc::new(
            Authenticator::load(
                Arc::clone(&store),
                &keyring,
                &settings,
                Arc::clone(engine.quota()),
                engine.clock().now(),
            )
            .await?,
        );
        let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let handle = metrics.handle();
        // A second server in the same process (in tests) reports to the first one's recorder.
        if metrics::set_global_recorder(metrics).is_err() {
            tracing::debug!("metrics are recorded by an earlier server of this process");
        }
        let limit = settings.http.body_limit_bytes;
        let quota = Arc::clone(engine.quota());
        let app = App {
            engine,
            store,
            registry,
            channels,
            keyring,
            auth,
            limits: Arc::new(CaptureLimits::new(Arc::clone(&quota))),
            tests: Arc::new(TestLimits::new(quota)),
            settings,
            metrics: handle,
            backtests: Default::default(),
            links,
            public_url: public_url.into(),
            only_this_machine: self.only_this_machine,
            probe: Arc::default(),
            stopping: CancellationToken::new(),
            registrar: Arc::default(),
        };
        let router = router(limit, metrics_listener.is_none()).merge(self.routes);
        let outer = axum::middleware::from_fn_with_state(app.clone(), outer::finish);
        let router = router.layer(CatchPanicLayer::new()).layer(outer).with_state(app.clone());
        Ok(Server { app, file, router, listener, metrics: metrics_listener })
    }
}

fn router(limit: usize, with_metrics: bool) -> Router<App> {
    let nosniff = SetResponseHeaderLayer::if_not_present(
        axum::http::header::X_CONTENT_TYPE_OPTIONS,
        axum::http::HeaderValue::from_static("nosniff"),
    );
    Router::new()
        .route(
            "/v1/capture/{source_key}",
            post(capture::capture).options(capture::capture).fallback(capture::wrong_method),
        )
        .route("/f/form.css", get(form::style))
        .route("/f/{source_key}", get(form::show).post(form::submit))
        .route("/f/{source_key}/documents/{purpose}", get(form::document))
        .route("/w.js", get(widget::script))
        .route("/w/{file}", get(widget::form))
        .route("/c/{token}", get(confirm::show).post(confirm::confirm))
        .merge(if with_metrics { health::routes() } else { health::signs_of_life() })
        .merge(operator::routes())
        .merge(live::routes())
        .merge(openapi::routes())
        .merge(console::routes())
        .fallback(|| async { Problem::not_found("this address") })
        .layer(DefaultBodyLimit::max(limit))
        .layer(nosniff)
}

/// Opens the store that the settings name, for this program alone.
///
/// # Errors
/// Where the file cannot be opened, is of a newer version, or a server has it open.
pub async fn open_store(settings: &Settings) -> Result<Arc<dyn Backend>> {
    Ok(Arc::new(open_file(settings, false).await?))
}

/// Opens the store that the settings name, also where a server has it open.
///
/// # Errors
/// Where the file cannot be opened, or is of another version and cannot be brought to this one.
pub async fn open_store_beside_others(settings: &Settings) -> Result<Arc<dyn Backend>> {
    Ok(Arc::new(open_file(settings, true).await?))
}

async fn open_file(settings: &Settings, beside_others: bool) -> Result<SqliteStore> {
    let options = SqliteOptions::new(settings.store.path.clone());
    let store = SqliteStore::open(if beside_others { options.shared() } else { options }).await?;
    permissions::guard_database(&settings.store.path);
    Ok(store)
}
