//! `/healthz` (the process is alive) and `/readyz` (it can work: the database answers).

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;

use super::AppState;

/// How long the readiness check may take.
const READY_SECONDS_MAX: u64 = 1;

/// 200 whenever the process can answer at all.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// 200 where the check passes within a second, else 503 with the reason.
pub(super) async fn ready(State(state): State<AppState>) -> (StatusCode, String) {
    let outcome = tokio::time::timeout(Duration::from_secs(READY_SECONDS_MAX), (state.ready)()).await;
    let outcome = outcome.unwrap_or_else(|_| Err(format!("no answer within {READY_SECONDS_MAX} s")));
    state.metrics.set_ready(outcome.is_ok());
    match outcome {
        Ok(()) => (StatusCode::OK, "ready\n".into()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}\n")),
    }
}
