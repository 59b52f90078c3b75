//! The server: built from settings, served until it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{any, get};
use axum::serve::ListenerExt as _;
use fastlead_core::registry::{Registry, RegistryBuilder};
use fastlead_core::{Engine, Error, ErrorKind, Result};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::app::{App, Backend};
use crate::auth::Authenticator;
use crate::channels::Channels;
use crate::confirm::{self, Links};
use crate::limits::CaptureLimits;
use crate::problem::Problem;
use crate::settings::Settings;
pub use crate::signal::stop_on_signal;
use crate::{capture, channels, form, health, keys, live, openapi, operator, retention};

/// Puts a server together. Third parties add their own adapters and routes here.
#[derive(Debug)]
pub struct ServerBuilder {
    settings: Settings,
    registry: RegistryBuilder,
    store: Option<Arc<dyn Backend>>,
    routes: Router<App>,
}

/// A server that is ready to be served.
#[derive(Debug)]
pub struct Server {
    app: App,
    router: Router,
    listener: TcpListener,
}

impl Server {
    /// Starts from settings, with the adapters that come with FastLead.
    pub fn builder(settings: Settings) -> ServerBuilder {
        ServerBuilder { settings, registry: Registry::builder(), store: None, routes: Router::new() }
    }

    /// The server's parts.
    pub const fn app(&self) -> &App {
        &self.app
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
    /// At the stop `/readyz` turns 503, live streams end, and no more work is begun. Requests are still taken until
    /// the sends under way are recorded: whoever is sent here meanwhile leaves a lead that is kept, and whose
    /// messages go out after the next start. Then the listener closes, and the requests under way are answered.
    ///
    /// # Errors
    /// Where the listener fails.
    pub async fn serve(self, stop: CancellationToken) -> Result<()> {
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
        let service = self.router.into_make_service_with_connect_info::<SocketAddr>();
        let listener = self.listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY was not set");
            }
        });
        let closing = CancellationToken::new();
        let serving =
            axum::serve(listener, service).with_graceful_shutdown(closing.clone().cancelled_owned());
        let served = async {
            let served = serving.await.map_err(|error| io_fault("serve", &error));
            stop.cancel();
            served
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
        let finish = async { tokio::join!(served, drained).0 };
        let too_long = async {
            stop.cancelled().await;
            tokio::time::sleep(drain).await;
        };
        tokio::select! {
            served = finish => served,
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
    /// Adds adapters of one's own.
    #[must_use]
    pub fn adapters(mut self, register: impl FnOnce(RegistryBuilder) -> RegistryBuilder) -> Self {
        self.registry = self.registry.apply(register);
        self
    }

    /// Uses this store instead of the SQLite file of the settings.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Backend>) -> Self {
        self.store = Some(store);
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
        let store = match self.store {
            Some(store) => store,
            None => open_store(&settings).await?,
        };
        let keyring = Arc::new(keys::load(&settings)?);
        let egress = channels::egress(&settings.channels)?;
        let registry = Arc::new(self.registry.apply(fastlead_channels::register_with(egress)).build()?);
        let channels = Arc::new(Channels::new(Arc::clone(&registry), Arc::clone(&keyring)));
        let listener = TcpListener::bind(settings.http.listen).await.map_err(|error| {
            io_fault("http.listen", &error).with_context("address", settings.http.listen.to_string())
        })?;
        let address = listener.local_addr().map_err(|error| io_fault("listen", &error))?;
        let public_url = match settings.http.public_url.trim_end_matches('/') {
            "" => format!("http://{address}"),
            url => url.to_owned(),
        };
        let links = Arc::new(Links::load(&*store, &public_url).await?);
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
        .build()
        .await?;
        let auth = Arc::new(Authenticator::load(Arc::clone(&store), &settings).await?);
        let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let handle = metrics.handle();
        // A second server in the same process (in tests) reports to the first one's recorder.
        if metrics::set_global_recorder(metrics).is_err() {
            tracing::debug!("metrics are recorded by an earlier server of this process");
        }
        let limit = settings.http.body_limit_bytes;
        let app = App {
            engine,
            store,
            registry,
            channels,
            keyring,
            auth,
            limits: Arc::new(CaptureLimits::default()),
            settings,
            metrics: handle,
            backtests: Default::default(),
            links,
            public_url: public_url.into(),
            stopping: CancellationToken::new(),
            registrar: Arc::default(),
        };
        let router = router(limit).merge(self.routes).with_state(app.clone());
        Ok(Server { app, router, listener })
    }
}

fn router(limit: usize) -> Router<App> {
    let nosniff = SetResponseHeaderLayer::if_not_present(
        axum::http::header::X_CONTENT_TYPE_OPTIONS,
        axum::http::HeaderValue::from_static("nosniff"),
    );
    Router::new()
        .route("/v1/capture/{source_key}", any(capture::capture))
        .route("/f/form.css", get(form::style))
        .route("/f/{source_key}", get(form::show).post(form::submit))
        .route("/f/{source_key}/documents/{purpose}", get(form::document))
        .route("/c/{token}", get(confirm::show).post(confirm::confirm))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .merge(operator::routes())
        .merge(live::routes())
        .merge(openapi::routes())
        .fallback(|| async { Problem::not_found("this address") })
        .layer(DefaultBodyLimit::max(limit))
        .layer(nosniff)
        .layer(CatchPanicLayer::new())
}

/// Opens the store that the settings name.
///
/// # Errors
/// Where the file cannot be opened or is of a newer version.
pub async fn open_store(settings: &Settings) -> Result<Arc<dyn Backend>> {
    let options = fastlead_store::SqliteOptions::new(settings.store.path.clone());
    Ok(Arc::new(fastlead_store::SqliteStore::open(options).await?))
}
