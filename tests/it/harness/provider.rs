//! A payment institution of the tests' own: it takes requests and cuts the line, answers late, twice, out of order, in part
//! or not at all, by a seed; and remembers when it got what.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use sarf::rails::stream::wire::{AnswersBody, KeysRequest, PutRequest, Status, WireAnswer};

/// How it misbehaves: one request in so many, each; 0 never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moods {
    /// Cuts the line without having done anything.
    pub cut_before: u64,
    /// Does what was asked, then cuts the line.
    pub cut_after: u64,
    /// Does what was asked, and answers when nobody waits any more.
    pub late: u64,
    /// Answers 500, having done it.
    pub fails_after: u64,
    /// Answers for half of the orders.
    pub half: u64,
    /// Answers rubbish.
    pub rubbish: u64,
    /// Asks to wait.
    pub busy: u64,
}

/// An order as the provider knows it.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    pub amount: i64,
    pub status: Status,
    /// How often it was put.
    pub puts: u32,
}

#[derive(Debug, Default)]
pub struct Books {
    pub orders: HashMap<String, Taken>,
    /// When how many orders came in.
    pub puts: Vec<(Instant, usize)>,
    pub requests: u64,
}

#[derive(Clone)]
pub struct TestProvider {
    pub address: SocketAddr,
    pub books: Arc<Mutex<Books>>,
    moods: Arc<Mutex<Moods>>,
}

impl TestProvider {
    pub async fn start(moods: Moods) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let provider = Self { address, books: Arc::default(), moods: Arc::new(Mutex::new(moods)) };
        let app = Router::new()
            .route("/v1/orders", post(put))
            .route("/v1/orders/enquire", post(enquire))
            .route("/v1/orders/cancel", post(cancel))
            .route("/v1/health", get(|| async { "{}" }))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        provider
    }

    fn next(&self) -> (u64, Moods) {
        let mut books = self.books.lock().expect("no panic");
        books.requests += 1;
        (books.requests, *self.moods.lock().expect("no panic"))
    }
}

/// Headers that promise a body, and none.
fn cut() -> Response {
    let broken = futures_util::stream::iter([Err::<Bytes, _>(std::io::Error::other("cut"))]);
    Response::new(Body::from_stream(broken))
}

async fn put(State(provider): State<TestProvider>, body: Bytes) -> Response {
    let (n, moods) = provider.next();
    let hit = |every: u64| every > 0 && n.is_multiple_of(every);
    if hit(moods.busy) {
        return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0")]).into_response();
    }
    if hit(moods.cut_before) {
        return cut();
    }
    let request: PutRequest = serde_json::from_slice(&body).expect("the API's form");
    let mut answers = Vec::new();
    {
        let mut books = provider.books.lock().expect("no panic");
        books.puts.push((Instant::now(), request.orders.len()));
        for order in &request.orders {
            let status = if order.key.ends_with('7') { Status::Rejected } else { Status::Available };
            let taken = books.orders.entry(order.key.clone()).or_insert(Taken {
                amount: order.amount,
                status,
                puts: 0,
            });
            assert_eq!(taken.amount, order.amount, "one key, one content");
            taken.puts += 1;
            let reason = (taken.status == Status::Rejected).then(|| "AC04".to_owned());
            answers.push(WireAnswer {
                key: order.key.clone(),
                status: taken.status,
                reason,
                amount: Some(order.amount),
            });
        }
    }
    answers.reverse();
    if hit(moods.cut_after) {
        return cut();
    }
    if hit(moods.late) {
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    if hit(moods.fails_after) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    if hit(moods.rubbish) {
        return "<html>".into_response();
    }
    if hit(moods.half) {
        answers.truncate(answers.len() / 2);
        answers.extend_from_within(..1.min(answers.len()));
    }
    json(answers)
}

async fn enquire(State(provider): State<TestProvider>, body: Bytes) -> Response {
    let request: KeysRequest = serde_json::from_slice(&body).expect("the API's form");
    let books = provider.books.lock().expect("no panic");
    let answers = request.keys.into_iter().map(|key| {
        let status = books.orders.get(&key).map_or(Status::NotFound, |taken| taken.status);
        WireAnswer { key, status, reason: None, amount: None }
    });
    json(answers.collect())
}

async fn cancel(State(provider): State<TestProvider>, body: Bytes) -> Response {
    let request: KeysRequest = serde_json::from_slice(&body).expect("the API's form");
    let mut books = provider.books.lock().expect("no panic");
    let mut answers = Vec::new();
    for key in request.keys {
        let status = books.orders.get_mut(&key).map_or(Status::NotFound, |taken| {
            if taken.status == Status::Available {
                taken.status = Status::Cancelled;
            }
            taken.status
        });
        answers.push(WireAnswer { key, status, reason: None, amount: None });
    }
    json(answers)
}

fn json(answers: Vec<WireAnswer>) -> Response {
    serde_json::to_vec(&AnswersBody { answers }).expect("JSON").into_response()
}
