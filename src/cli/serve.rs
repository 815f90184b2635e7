//! `sarf serve`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::Args;

use super::app::{self, App};
use super::ui::Exit;
use crate::engine::gauges;
use crate::http::{self, ApiState, HttpError, SeatLimits, Tls};
use crate::pipeline::dispatch::stream::recorder::Recorder;

/// Where the pages of operations are, unless told otherwise.
const PAGES: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9465);

/// Take callbacks, events and uploads and give work lists, until interrupted; /metrics, /healthz and /readyz are served
/// on an address of their own.
#[derive(Args)]
pub struct Serve {
    /// Address to listen on for institutions and the registry
    #[arg(long, default_value = "127.0.0.1:9464", env = "SARF_LISTEN", value_name = "ADDR")]
    listen: SocketAddr,
    /// Address for /metrics, /healthz and /readyz, out of reach of outsiders [default: 127.0.0.1:9465, or any free port]
    #[arg(long, env = "SARF_PAGES", value_name = "ADDR")]
    pages: Option<SocketAddr>,
}

impl Serve {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        let context = &app.context;
        let settings = &context.config.settings.service;
        let tls = Tls::configured(settings.tls_certificate.as_deref(), settings.tls_key.as_deref())
            .map_err(HttpError::from)?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let recorder = Recorder::new(context);
        let state = ApiState::new(context, recorder.clone());
        let pages = pages(self.pages, app).await?;
        let seats = SeatLimits { all: settings.connections_max, of_peer: settings.peer_connections_max };
        // The API can be probed too, by whoever sends traffic to it; what it is like inside is told on the pages only.
        let served = http::health_router(app::app_state(context)).merge(http::api(state.clone()));
        let service = http::spawn_api(self.listen, served, seats, tls).await?;
        app.output.note(&format!("listening on {scheme}://{}", service.address()));
        app.output.note(&format!("health and metrics on http://{}", pages.address()));
        let gauges = tokio::spawn(gauges::keep(context.clone()));
        let pruning = tokio::spawn(async move { state.keep_pruned().await });
        app.stop.requested().await;
        // First nobody comes in any more, then what came in is recorded.
        service.stop().await;
        recorder.stop().await;
        pages.stop().await;
        gauges.abort();
        pruning.abort();
        Ok(Exit::Done)
    }
}

/// The pages of operations: where asked for; else at their usual place, or, where that is taken, at any free port.
async fn pages(asked: Option<SocketAddr>, app: &App) -> Result<http::Service, HttpError> {
    let router = || http::router(app::app_state(&app.context));
    match http::spawn(asked.unwrap_or(PAGES), router()).await {
        Err(HttpError::Bind { .. }) if asked.is_none() => {
            http::spawn(SocketAddr::new(PAGES.ip(), 0), router()).await
        }
        other => other,
    }
}
