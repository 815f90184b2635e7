//! What the requests of outsiders share: who may come in, limits, and the ways into the engine.
//!
//! Guarantee: a request is read and answered within the time of the settings; a body is never larger than they allow;
//! bodies that are held in memory never come to more than 32 of the largest, and those of senders without a token to a
//! quarter of that; every refusal is JSON; whoever shows no good token is told nothing of what there is.
//! Limit: limits are those of one process.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post, put};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::sync::Semaphore;
use tracing::Instrument as _;

use super::gate::Gate;
use super::problem::{self, Problem};
use super::room::{Room, Rooms, Sender};
use super::server::Peer;
use super::{callbacks, events, uploads, worklists};
use crate::config::Service;
use crate::domain::provider::Provider;
use crate::pipeline::Context;
use crate::pipeline::access::tokens::Caller;
use crate::pipeline::dispatch::stream::recorder::Recorder;
use crate::pipeline::dispatch::worklists::Lists;
use crate::pipeline::messages::upload::Uploads;
use crate::rails::stream::secrets;
use crate::rails::stream::sign::{SIGNATURE, Secret, TIMESTAMP};
use crate::telemetry::Job;

/// After this long a secret's file is read anew.
const SECRET_KEPT_MAX: Duration = Duration::from_secs(5);
/// Transactions of events at once, so that they leave connections to others.
const EVENT_GROUPS_MAX: usize = 8;

/// What handlers work with.
pub struct ApiState {
    pub(super) context: Context,
    pub(super) recorder: Recorder,
    pub(super) lists: Lists,
    pub(super) uploads: Arc<Uploads>,
    pub(super) gate: Gate,
    pub(super) event_groups: Arc<Semaphore>,
    rooms: Rooms,
    secrets: RwLock<HashMap<String, (Instant, Secret)>>,
}

impl ApiState {
    /// The API of the context's engine; reports of callbacks go to `recorder`, which its owner stops after the state.
    pub fn new(context: &Context, recorder: Recorder) -> Arc<Self> {
        Arc::new(Self {
            context: context.clone(),
            recorder,
            lists: Lists::new(context),
            uploads: Arc::new(Uploads::new(context)),
            gate: Gate::new(context),
            event_groups: Arc::new(Semaphore::new(EVENT_GROUPS_MAX)),
            rooms: Rooms::new(context.config.settings.service.body_bytes_max),
            secrets: RwLock::default(),
        })
    }

    /// Takes old uploads away, now and then, until it is dropped.
    pub async fn keep_pruned(&self) {
        let metrics = &self.context.telemetry.metrics;
        metrics.begins(Job::Uploads, self.context.clock.now());
        loop {
            match self.uploads.prune().await {
                Ok(gone) => {
                    tracing::debug!(gone, "old uploads taken away");
                    metrics.succeeded(Job::Uploads, self.context.clock.now());
                }
                Err(error) => tracing::warn!(%error, "old uploads could not be taken away"),
            }
            tokio::time::sleep(Duration::from_secs(3_600)).await;
        }
    }

    pub(super) fn service(&self) -> &Service {
        &self.context.config.settings.service
    }

    pub(super) fn request_time_max(&self) -> Duration {
        Duration::from_secs(self.service().request_s_max.max(1).into())
    }

    /// A configured provider of the stream lane.
    pub(super) fn provider(&self, code: &str) -> Result<&Provider, Problem> {
        let found = self.context.config.router.by_code(code).map(|(_, provider)| provider);
        found.filter(|provider| provider.stream.is_some()).ok_or_else(|| {
            Problem::not_found(
                "there is no such institution in the stream lane",
                "its code is agreed with it",
            )
        })
    }

    /// The secret agreed with a provider.
    pub(super) fn secret(&self, provider: &str) -> Result<Secret, Problem> {
        let kept = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((read_at, secret)) = kept.get(provider)
            && read_at.elapsed() < SECRET_KEPT_MAX
        {
            return Ok(secret.clone());
        }
        drop(kept);
        let secret = secrets::read(&self.context.home, provider).map_err(|error| {
            tracing::error!(provider, %error, "the provider's secret cannot be read");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Problem::new(status, "no secret is agreed yet", "agree on one with the operators of the service")
        })?;
        let mut kept = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        kept.insert(provider.to_owned(), (Instant::now(), secret.clone()));
        Ok(secret)
    }

    /// Room for the body of a request: its caller's, where a good token was shown, else its peer's.
    pub(super) fn room(&self, caller: Option<&Caller>, request: &Request) -> Room {
        let peer = || Sender::Peer(request.extensions().get::<Peer>().map(|peer| peer.0));
        self.rooms.room(caller.map_or_else(peer, |caller| Sender::Token(caller.token)))
    }

    /// Reads a whole body; the room is given back when it is dropped.
    pub(super) async fn body(
        &self,
        caller: Option<&Caller>,
        request: Request,
    ) -> Result<(Bytes, Room), Problem> {
        let limit = self.service().body_bytes_max;
        length_within(request.headers(), limit)?;
        let mut room = self.room(caller, &request);
        let read = read_body(request.into_body(), &mut room, limit);
        let bytes = tokio::time::timeout(self.request_time_max(), read).await.map_err(|_| too_slow())??;
        Ok((bytes, room))
    }
}

/// The length that a request declares, where it does and where it may.
pub(super) fn length_within(headers: &HeaderMap, limit: usize) -> Result<Option<usize>, Problem> {
    let Some(length) = headers.get(CONTENT_LENGTH) else { return Ok(None) };
    let length = length.to_str().ok().and_then(|l| l.parse::<usize>().ok());
    let length = length.ok_or_else(|| Problem::bad("the content length cannot be read", "send a number"))?;
    if length > limit { Err(too_large(limit)) } else { Ok(Some(length)) }
}

async fn read_body(body: Body, room: &mut Room, limit: usize) -> Result<Bytes, Problem> {
    let mut stream = body.into_data_stream();
    let mut bytes = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| cut_off())?;
        if bytes.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        room.take(chunk.len()).await.map_err(|_| no_room())?;
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

pub(super) fn too_large(limit: usize) -> Problem {
    Problem::too_large(format!("a body has at most {limit} bytes"), "send it in several requests")
}

pub(super) fn too_slow() -> Problem {
    let hint = "send less at a time, and the same request again";
    Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time", hint)
}

pub(super) fn no_room() -> Problem {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Problem::later(status, "too much is being sent at once", Duration::from_secs(2))
}

pub(super) fn cut_off() -> Problem {
    Problem::bad("the body was cut off", "send the same request again")
}

/// The two headers of a signature.
pub(super) fn signature(headers: &HeaderMap) -> (Option<&str>, Option<&str>) {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    (text(TIMESTAMP), text(SIGNATURE))
}

/// The paths of the API, as docs/api.yaml publishes them.
pub const PATHS: [&str; 5] = [
    "/v1/callbacks/{provider}",
    "/v1/institutions/{provider}/points/{point}/worklist",
    "/v1/institutions/{provider}/points/{point}/worklists",
    "/v1/institutions/{provider}/uploads/{id}",
    "/v1/events",
];

/// The routes of the API.
pub fn router(state: Arc<ApiState>) -> Router {
    let [callbacks, worklist, worklists, upload, events] = PATHS;
    state.context.telemetry.metrics.expect_requests(&PATHS);
    Router::new()
        .route(callbacks, post(callbacks::take))
        .route(worklist, get(worklists::fetch))
        .route(worklists, get(worklists::of_day))
        .route(upload, put(uploads::put).get(uploads::show))
        .route(events, post(events::take))
        .fallback(async || Problem::of_status(StatusCode::NOT_FOUND))
        .layer(middleware::from_fn_with_state(Arc::clone(&state), guard))
        .layer(middleware::from_fn_with_state(Arc::clone(&state), measure))
        .with_state(state)
}

/// Counts and times a request by its route; what there is no route for goes by one name.
async fn measure(
    State(state): State<Arc<ApiState>>,
    route: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let route = route.as_ref().map_or("other", MatchedPath::as_str);
    let span = tracing::info_span!("api", route);
    let response = next.run(request).instrument(span).await;
    let code = response.status().as_u16();
    state.context.telemetry.metrics.add_request(route, code, began.elapsed());
    response
}

/// Bounds the time of a request, and gives every refusal one form. What there is, and what can be done with it, is told to
/// those who are known.
async fn guard(State(state): State<Arc<ApiState>>, request: Request, next: Next) -> Response {
    let headers = request.headers().clone();
    // A moment more than a body may take, so that a slow sender is told so.
    let time_max = state.request_time_max() + Duration::from_millis(500);
    match tokio::time::timeout(time_max, next.run(request)).await {
        Ok(response) => {
            let tells = matches!(response.status(), StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED);
            if tells && let Err(refused) = state.gate.known_caller(&headers).await {
                return refused.into_response();
            }
            problem::in_json(response)
        }
        Err(_) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Problem::later(status, "the request was not done in time", Duration::from_secs(5)).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_length_is_held_against_the_limit() {
        for (header, expected) in [
            (None, Some(None)),
            (Some("10"), Some(Some(10))),
            (Some("11"), None),
            (Some("-1"), None),
            (Some("x"), None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(header) = header {
                headers.insert(CONTENT_LENGTH, header.parse().unwrap());
            }
            assert_eq!(length_within(&headers, 10).ok(), expected, "{header:?}");
        }
    }

    #[tokio::test]
    async fn an_undeclared_length_is_held_against_it_too() {
        let body = |pieces: &[&'static str]| {
            let pieces: Vec<Result<Bytes, std::io::Error>> =
                pieces.iter().map(|p| Ok(Bytes::from_static(p.as_bytes()))).collect();
            Body::from_stream(futures_util::stream::iter(pieces))
        };
        for (pieces, expected) in [
            (&["01234", "56789"][..], Some(&b"0123456789"[..])),
            (&["01234", "567890"], None),
            (&[], Some(b"")),
        ] {
            let rooms = Rooms::new(1_024);
            let read = read_body(body(pieces), &mut rooms.room(Sender::Peer(None)), 10).await;
            assert_eq!(read.ok().as_deref(), expected, "{pieces:?}");
        }
    }
}
