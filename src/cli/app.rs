//! Opens what a command works with, and closes it again.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;

use super::interrupt;
use super::ui::Output;
use crate::cli::global::Global;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::hint::{Hint, NextStep};
use crate::engine::gauges;
use crate::engine::stop::Stop;
use crate::files;
use crate::http::{self, AppState, Service};
use crate::pipeline::Context;
use crate::store::Store;
use crate::store::batches::outbox;
use crate::store::cluster::{self, Server};
use crate::telemetry::otlp::Sending;
use crate::telemetry::{Logging, Metrics, Telemetry};

/// Connections of one process: a run being made needs one for each cursor.
const CONNECTIONS_MAX: u32 = 16;
/// Where `sarf demo` works, so that it never touches real books.
pub const DEMO_DATABASE: &str = "sarf_demo";

/// An open engine.
pub struct App {
    /// What stages work with.
    pub context: Context,
    /// Where results go.
    pub output: Output,
    /// Asked for by a signal.
    pub stop: Stop,
    server: Option<Server>,
    service: Option<Service>,
    /// Spans that are left are sent when it is dropped.
    sending: Option<Sending>,
}

/// Folder of a command: that of the demo lies below.
pub fn home(global: &Global) -> PathBuf {
    if global.demo { global.home.join("demo") } else { global.home.clone() }
}

/// Reads the configuration.
pub fn config(global: &Global) -> anyhow::Result<Config> {
    Config::read(&global.config).with_context(|| "configuration")
}

impl App {
    /// Opens configuration, logs, database and, where asked for, the metrics service. A private server that is being
    /// started is not left half-way: a signal meanwhile ends in its being stopped again.
    pub async fn open(global: &Global, output: &Output, migrate: bool, stop: &Stop) -> anyhow::Result<Self> {
        let config = Arc::new(config(global)?);
        let sending = start_logging(global, output)?;
        let home = home(global);
        let server = cluster::server(&global.home, global.database_url.as_deref()).await?;
        if !home.is_dir()
            && let Err(source) = files::private_folder(&home)
        {
            stop_server(server).await;
            return Err(HomeError { path: home, source }.into());
        }
        let opened = interrupt::unless(stop, None, connect(global, &server, migrate)).await;
        let store = match opened {
            Ok(store) => store,
            Err(error) => {
                stop_server(server).await;
                return Err(error);
            }
        };
        outbox::set_switch(&store, config.settings.events.out.is_some()).await?;
        let telemetry = Telemetry { metrics: Arc::new(Metrics::new()), observer: output.observer() };
        let context = Context { store, config, telemetry, clock: Clock::system(), home };
        let mut app = Self {
            context,
            output: output.clone(),
            stop: stop.clone(),
            server: Some(server),
            service: None,
            sending,
        };
        if let Some(address) = global.metrics_addr {
            match http::spawn(address, http::router(app_state(&app.context))).await {
                Ok(service) => app.service = Some(service),
                Err(error) => {
                    app.close().await;
                    return Err(error.into());
                }
            }
        }
        if let Some(service) = &app.service {
            output.note(&format!("metrics at http://{}/metrics", service.address()));
            tokio::spawn(gauges::keep(app.context.clone()));
        }
        Ok(app)
    }

    /// Closes everything in order; a private server stops when nobody else uses it.
    pub async fn close(&mut self) {
        if let Some(service) = self.service.take() {
            service.stop().await;
        }
        self.context.store.pool().close().await;
        let sending = self.sending.take();
        tokio::task::block_in_place(|| drop(sending));
        if let Some(server) = self.server.take() {
            stop_server(server).await;
        }
    }
}

/// A home folder that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("home folder `{}`", path.display())]
pub struct HomeError {
    /// Which.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: std::io::Error,
}

impl Hint for HomeError {
    fn hint(&self) -> Option<NextStep> {
        Some("name another folder with --home or SARF_HOME, or give this account the rights to it".into())
    }

    fn system_hint(&self) -> Option<NextStep> {
        files::path_hint(&self.path, &self.source)
    }
}

#[cfg(test)]
crate::domain::hint::samples!(HomeError {
    Self { .. } => Self { path: "home".into(), source: std::io::ErrorKind::PermissionDenied.into() },
});

/// Connects to the working database and brings its schema up to date where that is asked for, or it is our own.
async fn connect(global: &Global, server: &Server, migrate: bool) -> anyhow::Result<Store> {
    let mut options = server.connect_options();
    if global.demo {
        options = options.database(DEMO_DATABASE);
    }
    let store = Store::connect(options, CONNECTIONS_MAX)
        .await?
        .anchored(&home(global))
        .signing_with(global.key.clone());
    if migrate || global.migrate || global.database_url.is_none() {
        store.migrate().await?;
    }
    Ok(store)
}

async fn stop_server(server: Server) {
    if let Err(error) = server.stop().await {
        tracing::warn!(%error, "the private server did not stop cleanly");
    }
}

/// Logs go to stderr: warnings beside progress bars, everything of note when asked for with `SARF_LOG`.
fn start_logging(global: &Global, output: &Output) -> anyhow::Result<Option<Sending>> {
    let filter = std::env::var("SARF_LOG").unwrap_or_else(|_| "warn".into());
    let otlp = global.otlp.clone().filter(|endpoint| !endpoint.is_empty());
    let (format, color, bars) = (global.log_format, output.color_err(), output.bars());
    Ok(Logging { format, filter, color, bars, otlp }.init()?)
}

/// What the HTTP service answers from.
pub fn app_state(context: &Context) -> AppState {
    let (store, pool) = (context.store.clone(), context.store.pool().clone());
    AppState {
        metrics: Arc::clone(&context.telemetry.metrics),
        ready: Arc::new(move || {
            let store = store.clone();
            Box::pin(async move { store.ping().await.map_err(|error| error.to_string()) })
        }),
        refresh: Arc::new(move |metrics: &Metrics| {
            let idle = pool.num_idle() as u64;
            metrics.set_pool(u64::from(pool.size()).saturating_sub(idle), idle);
        }),
    }
}
