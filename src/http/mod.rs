//! The HTTP side: `/metrics`, `/healthz`, `/readyz` for operations, on a listener of their own, and the API (`/v1/…`,
//! `docs/api.yaml`) for institutions and the registry.
//!
//! Input: the registry, closures that ask the database and refresh gauges; for the API, the engine. Output: plain text;
//! behind the API JSON and newline-delimited JSON.
//! Guarantee: no request can hold the service: bodies, rates and times are limited, checks end within a second,
//! connections are limited in number, in all and for each peer, and closed when idle or slow; what comes to the API
//! takes nothing from the pages of operations; a stop finishes the answers under way, within bounds.
//! Limit: the pages of operations ask for no log-in: keep them on a private address where the API is a public one.

mod api;
mod callbacks;
mod connections;
mod events;
mod gate;
mod health;
mod metrics;
mod problem;
mod range;
mod room;
mod seats;
mod server;
mod tls;
mod uploads;
mod worklists;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::domain::hint::{Hint, NextStep};
use crate::telemetry::Metrics;
pub use api::{ApiState, PATHS, router as api};
pub use seats::SeatLimits;
use seats::Seats;
pub use tls::{Tls, TlsError};

/// Connections at once for the pages of operations: Prometheus, probes, a person or two.
const PAGE_SEATS: SeatLimits = SeatLimits { all: 128, of_peer: 64 };
/// How long answers under way may take after a stop is asked for.
const DRAIN_SECONDS_MAX: u64 = 5;

/// Asks whether the service can work; `Err` says what is missing, without anything personal or secret.
pub type Ready = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;
/// Brings gauges up to date before they are shown: quick, without waiting (pool sizes).
pub type Refresh = Arc<dyn Fn(&Metrics) + Send + Sync>;

/// What the pages draw on.
#[derive(Clone)]
pub struct AppState {
    /// The registry.
    pub metrics: Arc<Metrics>,
    /// The readiness check.
    pub ready: Ready,
    /// Called before each exposition.
    pub refresh: Refresh,
}

impl AppState {
    /// A state for processes without a database to wait for: always ready, nothing to refresh.
    pub fn metrics_only(metrics: Arc<Metrics>) -> Self {
        Self { metrics, ready: Arc::new(|| Box::pin(async { Ok(()) })), refresh: Arc::new(|_| {}) }
    }
}

/// Why the service cannot run.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be listened on: taken, or not this machine's.
    #[error("cannot listen on `{address}`")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The certificate cannot be used.
    #[error("TLS cannot be set up")]
    Tls(#[from] TlsError),
}

impl Hint for HttpError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Bind { .. } => "choose another port, or 0 for any that is free".into(),
            Self::Tls(e) => return e.hint(),
        })
    }
}

#[cfg(test)]
crate::domain::hint::samples!(HttpError {
    Self::Bind { .. } => Self::Bind {
        address: ([127, 0, 0, 1], 80).into(),
        source: std::io::ErrorKind::AddrInUse.into(),
    },
    Self::Tls(_) => Self::Tls(TlsError::Alone),
});

/// The pages; other routers may be merged into it.
pub fn router(state: AppState) -> Router {
    health_router(state.clone()).merge(Router::new().route("/metrics", get(metrics::show)).with_state(state))
}

/// The pages without `/metrics`, which says more than outsiders need to know.
pub fn health_router(state: AppState) -> Router {
    Router::new().route("/healthz", get(health::alive)).route("/readyz", get(health::ready)).with_state(state)
}

/// A service that runs beside a command. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Service {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Service {
    /// Where it listens, with the port that was chosen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, and waits (5 s at most) for answers under way.
    pub async fn stop(self) {
        // A service that has ended already no longer listens for this.
        let _ = self.stop.send(true);
        let mut task = self.task;
        if tokio::time::timeout(Duration::from_secs(DRAIN_SECONDS_MAX), &mut task).await.is_err() {
            task.abort();
        }
    }
}

/// Listens on `address` (port 0: any free one) and serves `app` in the background: for `--metrics-addr` in long commands.
///
/// # Errors
/// The address cannot be listened on.
pub async fn spawn(address: SocketAddr, app: Router) -> Result<Service, HttpError> {
    spawn_with(address, app, PAGE_SEATS, None).await
}

/// As [`spawn`], for the API: with seats of its own, and by TLS where given.
///
/// # Errors
/// The address cannot be listened on.
pub async fn spawn_api(
    address: SocketAddr,
    app: Router,
    seats: SeatLimits,
    tls: Option<Tls>,
) -> Result<Service, HttpError> {
    spawn_with(address, app, seats, tls).await
}

async fn spawn_with(
    address: SocketAddr,
    app: Router,
    seats: SeatLimits,
    tls: Option<Tls>,
) -> Result<Service, HttpError> {
    let bind = |source| HttpError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(server::run(listener, app, Seats::new(seats), tls, stopped));
    Ok(Service { address, stop, task })
}

/// Serves `app` on `address` until `shutdown` completes, then drains; `bound` is told the address first.
///
/// # Errors
/// The address cannot be listened on.
pub async fn serve(
    address: SocketAddr,
    app: Router,
    bound: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()>,
) -> Result<(), HttpError> {
    let service = spawn(address, app).await?;
    bound(service.address());
    shutdown.await;
    service.stop().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn fetch(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("connect");
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("send");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("receive");
        answer
    }

    fn state(ready: Ready) -> AppState {
        AppState {
            metrics: Arc::new(Metrics::new()),
            ready,
            refresh: Arc::new(|metrics| metrics.set_pool(4, 1)),
        }
    }

    #[tokio::test]
    async fn pages_answer() {
        let up: Ready = Arc::new(|| Box::pin(async { Ok(()) }));
        let down: Ready = Arc::new(|| Box::pin(async { Err("no database".into()) }));
        let stuck: Ready = Arc::new(|| Box::pin(std::future::pending()));
        for (ready, path, status, body) in [
            (&up, "/healthz", "200 OK", "ok"),
            (&down, "/healthz", "200 OK", "ok"),
            (&up, "/readyz", "200 OK", "ready"),
            (&down, "/readyz", "503 Service Unavailable", "not ready: no database"),
            (&stuck, "/readyz", "503 Service Unavailable", "not ready: no answer within 1 s"),
            (&up, "/metrics", "200 OK", "sarf_db_pool_connections{state=\"in_use\"} 4"),
            (&up, "/nothing", "404 Not Found", ""),
        ] {
            let any = "127.0.0.1:0".parse().expect("an address");
            let service = spawn(any, router(state(ready.clone()))).await.expect("listen");
            let answer = fetch(service.address(), path).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{path}: {answer}");
            assert!(answer.contains(body), "{path}: {answer}");
            if path == "/metrics" {
                assert!(answer.contains("content-type: text/plain; version=0.0.4"), "{answer}");
            }
            service.stop().await;
        }
    }

    #[tokio::test]
    async fn a_taken_address_is_refused() {
        let any = "127.0.0.1:0".parse().expect("an address");
        let app = || router(AppState::metrics_only(Arc::new(Metrics::new())));
        let service = spawn(any, app()).await.expect("listen");
        let taken = service.address();
        let error = spawn(taken, app()).await.expect_err("taken");
        assert_eq!(error.to_string(), format!("cannot listen on `{taken}`"));
        service.stop().await;
        serve(taken, app(), |bound| assert_eq!(bound, taken), async {}).await.expect("free again");
    }
}
