//! `/metrics`: the registry as Prometheus reads it.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::AppState;

/// The exposition, text format 0.0.4, with gauges brought up to date first.
pub(super) async fn show(State(state): State<AppState>) -> impl IntoResponse {
    (state.refresh)(&state.metrics);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], state.metrics.render())
}
