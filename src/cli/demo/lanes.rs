//! The demo's stream lane, with the API for the payment points' callbacks.

use crate::cli::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::http::{self, ApiState, SeatLimits, Service};
use crate::pipeline::dispatch::stream::recorder::Recorder;
use crate::sandbox::points::PointFaults;
use crate::sandbox::year::{LaneOptions, Lanes};

/// How the lane is started.
pub(super) struct Wish {
    /// What fates and faults are drawn from.
    pub seed: u64,
    /// The providers' clock.
    pub clock: Clock,
    /// What goes wrong at first.
    pub faults: PointFaults,
    /// Milliseconds after which a request is given up.
    pub timeout_ms: u64,
}

/// The lane, running.
pub(super) struct Served {
    pub lanes: Lanes,
    api: Service,
    recorder: Recorder,
}

impl Served {
    /// Starts the API and the lane, and points the app's configuration at it.
    pub(super) async fn start(app: &mut App, config: Config, wish: Wish) -> anyhow::Result<Self> {
        let recorder = Recorder::new(&app.context);
        let service = &app.context.config.settings.service;
        let seats = SeatLimits { all: service.connections_max, of_peer: service.peer_connections_max };
        let any = "127.0.0.1:0".parse().expect("an address");
        let api = http::spawn_api(any, http::api(ApiState::new(&app.context, recorder.clone())), seats, None)
            .await?;
        let options = LaneOptions {
            seed: wish.seed,
            callback_url: format!("http://{}/v1/callbacks", api.address()),
            clock: wish.clock,
            faults: wish.faults,
            timeout_ms: wish.timeout_ms,
        };
        let lanes = Lanes::start(&mut app.context, config, options).await?;
        Ok(Self { lanes, api, recorder })
    }

    /// Stops everything in order.
    pub(super) async fn end(self) -> anyhow::Result<()> {
        self.lanes.end().await?;
        self.api.stop().await;
        self.recorder.stop().await;
        Ok(())
    }
}
