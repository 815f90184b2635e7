//! `sarf serve`.

use std::net::SocketAddr;

use clap::Args;

use super::app::{self, App};
use super::ui::Exit;
use crate::http;

/// Serve /metrics, /healthz and /readyz until interrupted.
#[derive(Args)]
pub struct Serve {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:9464", env = "SARF_LISTEN")]
    listen: SocketAddr,
}

impl Serve {
    pub async fn run(self, app: &App) -> anyhow::Result<Exit> {
        let gauges = tokio::spawn(app::keep_gauges(app.context.clone()));
        let router = http::router(app::app_state(&app.context));
        let output = app.output.clone();
        let bound = move |address: SocketAddr| output.note(&format!("listening on http://{address}"));
        http::serve(self.listen, router, bound, super::interrupted()).await?;
        gauges.abort();
        Ok(Exit::Done)
    }
}
