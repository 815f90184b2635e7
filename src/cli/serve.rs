//! `sarf serve`.

use std::net::SocketAddr;

use clap::Args;

use super::app::{self, App};
use super::ui::Exit;
use crate::http::{self, Door, Tls};
use crate::pipeline::stream::recorder::Recorder;

/// Take callbacks, events and uploads, give work lists, and serve /metrics, /healthz and /readyz, until interrupted.
#[derive(Args)]
pub struct Serve {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:9464", env = "SARF_LISTEN", value_name = "ADDR")]
    listen: SocketAddr,
    /// Leave /metrics to --metrics-addr: for an address that outsiders reach
    #[arg(long)]
    no_metrics: bool,
}

impl Serve {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        let context = &app.context;
        let service = &context.config.settings.service;
        let tls = Tls::configured(service.tls_certificate.as_deref(), service.tls_key.as_deref())
            .map_err(http::HttpError::from)?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let recorder = Recorder::new(context);
        let door = Door::new(context, recorder.clone());
        let state = app::app_state(context);
        let pages = if self.no_metrics { http::health_router(state) } else { http::router(state) };
        let service = http::spawn_door(self.listen, pages.merge(http::door(door.clone())), tls).await?;
        app.output.note(&format!("listening on {scheme}://{}", service.address()));
        let gauges = tokio::spawn(app::keep_gauges(context.clone()));
        let pruning = tokio::spawn(async move { door.keep_pruned().await });
        app.stop.requested().await;
        // First nobody comes in any more, then what came in is recorded.
        service.stop().await;
        recorder.stop().await;
        gauges.abort();
        pruning.abort();
        Ok(Exit::Done)
    }
}
