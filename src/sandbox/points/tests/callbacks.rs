//! Callbacks: signed, at least once, and every disorder that can be switched on.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;

use super::*;
use crate::rails::stream::wire::CallbackBody;

/// One who is told of changes.
#[derive(Default)]
struct Ear {
    /// The next ones are answered so, and not taken.
    refusals: Vec<u16>,
    /// Ids of the changes of each callback that was taken.
    heard: Vec<Vec<u64>>,
    forged: u32,
    calls: u32,
}

type Shared = Arc<Mutex<Ear>>;

async fn hear(State(ear): State<Shared>, headers: HeaderMap, body: Bytes) -> (StatusCode, HeaderMap) {
    let header = |name| headers.get(name).and_then(|v| v.to_str().ok());
    let sound = Secret::new(SECRET).verify(header(TIMESTAMP), header(SIGNATURE), &body, NOW.unix_timestamp());
    let mut ear = ear.lock().unwrap();
    ear.calls += 1;
    ear.forged += u32::from(sound.is_err());
    if let Some(status) = ear.refusals.pop() {
        return (StatusCode::from_u16(status).unwrap(), HeaderMap::new());
    }
    let body: CallbackBody = serde_json::from_slice(&body).unwrap();
    ear.heard.push(body.events.iter().map(|e| e.id.parse().unwrap()).collect());
    (StatusCode::OK, HeaderMap::new())
}

/// Orders that come to hand and are drawn, told to an ear: what it heard, and how many changes there were.
async fn told(name: &str, faults: PointFaults, refusals: Vec<u16>) -> (Shared, u64) {
    let ear: Shared = Arc::new(Mutex::new(Ear { refusals, ..Ear::default() }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/told", listener.local_addr().unwrap());
    let pages = Router::new().route("/told/counter", post(hear)).with_state(Arc::clone(&ear));
    let served = tokio::spawn(async move { axum::serve(listener, pages).await });

    let later = Some(Duration::from_millis(1));
    let bed = Bed::start(PointsOptions { callback_url: Some(url), later, faults, ..options(name) }).await;
    for bundle in 0..3 {
        bed.put(orders(bundle * 400..bundle * 400 + 400)).await.answers();
        bed.quiet().await;
    }
    bed.points.collect();
    bed.quiet().await;
    let changes = bed.changes(1_000).await;
    assert_eq!(changes.len(), 2_400, "{name}: the list has all, whatever was told");
    served.abort();
    (ear, 2_400)
}

fn heard(ear: &Shared) -> Vec<u64> {
    let ear = ear.lock().unwrap();
    assert_eq!(ear.forged, 0);
    assert!(ear.heard.iter().all(|ids| (1..=500).contains(&ids.len())));
    ear.heard.concat()
}

#[tokio::test]
async fn without_faults_each_change_is_told_once_and_in_order() {
    let (ear, changes) = told("callbacks", PointFaults::default(), vec![]).await;
    assert_eq!(heard(&ear), (1..=changes).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_not_taken_is_told_again_and_what_is_refused_given_up() {
    let (ear, changes) = told("callbacks-again", PointFaults::default(), vec![429, 500, 503]).await;
    assert_eq!(heard(&ear), (1..=changes).collect::<Vec<_>>());
    let calls = ear.lock().unwrap().heard.len() + 3;
    assert_eq!(ear.lock().unwrap().calls as usize, calls);

    let (ear, changes) = told("callbacks-refused", PointFaults::default(), vec![400]).await;
    let ids = heard(&ear);
    assert!(ids.len() < changes as usize && ids.last() == Some(&changes), "only the first is missing");
}

#[tokio::test]
async fn callbacks_repeat_change_places_come_late_or_never() {
    let none = PointFaults::default();
    let (ear, changes) =
        told("callbacks-twice", PointFaults { callbacks_twice: Share::ALL, ..none }, vec![]).await;
    let mut ids = heard(&ear);
    ids.sort_unstable();
    assert_eq!(ids, (1..=changes).flat_map(|id| [id, id]).collect::<Vec<_>>());

    let shuffled = PointFaults { callbacks_shuffled: Share::ALL, ..none };
    let (ear, changes) = told("callbacks-shuffled", shuffled, vec![]).await;
    let mut ids = heard(&ear);
    assert!(!ids.is_sorted());
    ids.sort_unstable();
    assert_eq!(ids, (1..=changes).collect::<Vec<_>>());

    let late = PointFaults { callbacks_late: Share::ALL, ..none };
    let (ear, changes) = told("callbacks-late", late, vec![]).await;
    let mut ids = heard(&ear);
    assert!(!ids.is_sorted(), "one overtakes another");
    assert!(ear.lock().unwrap().heard.iter().all(|one| one.is_sorted()));
    ids.sort_unstable();
    assert_eq!(ids, (1..=changes).collect::<Vec<_>>());

    let (ear, _) = told("callbacks-lost", PointFaults { callbacks_lost: Share::ALL, ..none }, vec![]).await;
    assert_eq!(ear.lock().unwrap().calls, 0);
}
