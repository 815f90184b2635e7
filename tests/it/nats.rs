//! Events from a real NATS server: nothing is lost and nothing acknowledged too early, whatever fails between.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::{DeliverPolicy, PullConsumer, pull};
use futures_util::StreamExt as _;
use sarf::engine::dead_letter;
use sarf::engine::nats_intake::{Accept, Intake};
use sarf::engine::stop::Stop;
use sarf::pipeline::events::{LineOutcome, Outcome};
use sarf::store::StoreError;
use tokio::task::JoinHandle;

use crate::harness::{NatsServer, event, eventually, publish_events};

/// What stands in for the database: events that were committed, in order.
#[derive(Default)]
struct Decider {
    committed: Mutex<Vec<String>>,
    known: Mutex<HashSet<String>>,
    /// Calls, and how many of the next ones fail.
    calls: AtomicUsize,
    failing: AtomicUsize,
    /// Events decided again.
    again: AtomicUsize,
    largest: AtomicUsize,
    pause: Duration,
}

impl Decider {
    fn decide(&self, line: &[u8]) -> LineOutcome {
        let value: Result<serde_json::Value, _> = serde_json::from_slice(line);
        let id = value.ok().and_then(|v| v["id"].as_str().map(str::to_owned));
        let (outcome, code) = match &id {
            None => (Outcome::Refused, "unreadable"),
            Some(id) if self.known.lock().expect("no thread panicked").insert(id.clone()) => {
                self.committed.lock().expect("no thread panicked").push(id.clone());
                (if id.ends_with('7') { Outcome::Held } else { Outcome::Taken }, "taken")
            }
            Some(_) => {
                self.again.fetch_add(1, Ordering::Relaxed);
                (Outcome::Already, "already")
            }
        };
        LineOutcome { id, outcome, code, detail: "line:\r\nnot JSON".to_owned(), order: None }
    }

    fn accept(self: &Arc<Self>) -> Accept {
        let decider = Arc::clone(self);
        Arc::new(move |lines| {
            let decider = Arc::clone(&decider);
            Box::pin(async move {
                decider.calls.fetch_add(1, Ordering::Relaxed);
                decider.largest.fetch_max(lines.len(), Ordering::Relaxed);
                tokio::time::sleep(decider.pause).await;
                let less = |n: usize| n.checked_sub(1);
                if decider.failing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() {
                    return Err(StoreError::Database(sqlx::Error::PoolTimedOut));
                }
                Ok(lines.iter().map(|l| decider.decide(l)).collect())
            })
        })
    }

    fn committed(&self) -> usize {
        self.committed.lock().expect("no thread panicked").len()
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

fn ids(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|n| format!("e-{n}")).collect()
}

/// Runs an intake beside the test.
fn begin(
    server: &NatsServer,
    decider: &Arc<Decider>,
    batch_max: u32,
    patience_ms: u64,
) -> (Stop, JoinHandle<()>) {
    let mut intake = Intake::new(server.settings(), batch_max, decider.accept());
    intake.patience = Duration::from_millis(patience_ms);
    intake.ack_wait = Duration::from_secs(2);
    let stop = Stop::new();
    let task = tokio::spawn({
        let stop = stop.clone();
        async move { intake.run(&stop).await }
    });
    (stop, task)
}

async fn end(stop: &Stop, task: JoinHandle<()>) {
    stop.request();
    tokio::time::timeout(Duration::from_secs(10), task).await.expect("it ends soon").expect("it ends well");
}

/// The consumer makes the stream; events can be published once it is there.
async fn stream_is_there(server: &NatsServer) {
    let nats = server.jetstream().await;
    eventually("the streams are made", async || {
        nats.get_stream("SARF").await.is_ok() && nats.get_stream("SARF_DEAD").await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_taken_in_order_and_rubbish_goes_to_the_dead_letters() {
    let Some(server) = NatsServer::start().await else { return };
    let decider = Arc::new(Decider { failing: AtomicUsize::new(2), ..Decider::default() });
    let (stop, task) = begin(&server, &decider, 50, 10_000);
    stream_is_there(&server).await;
    let nats = server.jetstream().await;
    publish_events(&nats, "sarf.events", 0..200).await;
    for rubbish in ["{", "", "\u{0}\u{1}"] {
        nats.publish("sarf.events", rubbish.into()).await.unwrap().await.unwrap();
    }
    publish_events(&nats, "sarf.events", 200..400).await;
    // The same events once more, of which some were published with one message id.
    publish_events(&nats, "sarf.events", 0..20).await;
    for _ in 0..5 {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Msg-Id", "one");
        let stored = nats.publish_with_headers("sarf.events", headers, event(400).into()).await.unwrap();
        stored.await.unwrap();
    }
    eventually("all are acknowledged", async || server.kept("SARF").await == 0).await;
    end(&stop, task).await;

    assert_eq!(
        *decider.committed.lock().expect("no thread panicked"),
        ids(0..401),
        "all, once, in order, though two calls failed"
    );
    assert_eq!(decider.again.load(Ordering::Relaxed), 20);
    assert!(decider.largest.load(Ordering::Relaxed) <= 50);
    let dead = dead_letters(&server).await;
    let found: Vec<(&[u8], &str, &str)> =
        dead.iter().map(|(body, reason, detail, ..)| (&body[..], &reason[..], &detail[..])).collect();
    let expected: Vec<(&[u8], &str, &str)> =
        ["{", "", "\u{0}\u{1}"].iter().map(|b| (b.as_bytes(), "unreadable", "line:  not JSON")).collect();
    assert_eq!(found, expected);
    assert_eq!(dead[0].3, "sarf.events 201");
}

/// Body, reason, detail, subject and sequence of all dead letters.
async fn dead_letters(server: &NatsServer) -> Vec<(Vec<u8>, String, String, String)> {
    let stream = server.jetstream().await.get_stream("SARF_DEAD").await.expect("a stream");
    let config = pull::Config { deliver_policy: DeliverPolicy::All, ..Default::default() };
    let consumer: PullConsumer = stream.create_consumer(config).await.expect("a consumer");
    let kept = server.kept("SARF_DEAD").await as usize;
    let mut messages = consumer.messages().await.expect("messages").take(kept);
    let mut found = Vec::new();
    while let Some(message) = messages.next().await {
        let message = message.expect("a message");
        let headers = message.headers.clone().expect("headers");
        let header = |name: &str| headers.get(name).map(ToString::to_string).expect(name);
        let origin = format!("{} {}", header(dead_letter::SUBJECT), header(dead_letter::SEQUENCE));
        found.push((
            message.payload.to_vec(),
            header(dead_letter::REASON),
            header(dead_letter::DETAIL),
            origin,
        ));
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_that_was_not_committed() {
    let Some(server) = NatsServer::start().await else { return };
    // The database is away for longer than a batch is kept: events are given back, and none is acknowledged.
    let away = Arc::new(Decider { failing: AtomicUsize::new(usize::MAX), ..Decider::default() });
    let (stop, task) = begin(&server, &away, 10, 300);
    stream_is_there(&server).await;
    publish_events(&server.jetstream().await, "sarf.events", 0..100).await;
    eventually("it is tried several times", async || away.calls() > 5).await;
    end(&stop, task).await;
    assert_eq!((server.kept("SARF").await, away.committed()), (100, 0));

    // Killed while it decides: events come again after their time.
    let slow = Arc::new(Decider { pause: Duration::from_secs(60), ..Decider::default() });
    let (_, task) = begin(&server, &slow, 10, 10_000);
    eventually("it decides", async || slow.calls() == 1).await;
    task.abort();
    assert!(task.await.is_err_and(|e| e.is_cancelled()));
    assert_eq!(server.kept("SARF").await, 100);

    // Stopped while it decides: what is under way is finished, the rest is left to others at once.
    let orderly = Arc::new(Decider { pause: Duration::from_millis(300), ..Decider::default() });
    let (stop, task) = begin(&server, &orderly, 10, 10_000);
    eventually("it decides", async || orderly.calls() >= 1).await;
    end(&stop, task).await;
    let first = orderly.committed();
    assert!((1..100).contains(&first), "{first}");
    eventually("the rest stays", async || server.kept("SARF").await == 100 - first as u64).await;

    let last = Arc::new(Decider::default());
    let (stop, task) = begin(&server, &last, 10, 10_000);
    eventually("all are acknowledged", async || server.kept("SARF").await == 0).await;
    end(&stop, task).await;
    let mut all = [
        orderly.committed.lock().expect("no thread panicked").clone(),
        last.committed.lock().unwrap().clone(),
    ]
    .concat();
    all.sort();
    let mut expected = ids(0..100);
    expected.sort();
    assert_eq!(all, expected, "each was committed by one or the other, acknowledged once");
    assert_eq!(server.kept("SARF_DEAD").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_may_die_and_come_back() {
    let Some(mut server) = NatsServer::start().await else { return };
    let decider = Arc::new(Decider { pause: Duration::from_millis(20), ..Decider::default() });
    server.kill();
    let (stop, task) = begin(&server, &decider, 20, 10_000);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!task.is_finished(), "a server that is not there yet is waited for");
    server.start_again().await;
    stream_is_there(&server).await;
    publish_events(&server.jetstream().await, "sarf.events", 0..1_000).await;
    eventually("some are taken", async || decider.committed() > 100).await;
    server.kill();
    let before = decider.committed();
    assert!(before < 1_000, "it died mid-way");
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.start_again().await;
    publish_events(&server.jetstream().await, "sarf.events", 1_000..1_500).await;
    eventually("all are taken", async || decider.committed() == 1_500).await;
    let stream = server.jetstream().await.get_stream("SARF").await.expect("a stream");
    eventually("all are acknowledged", async || {
        let mut consumer: PullConsumer = stream.get_consumer("sarf").await.expect("the consumer");
        let info = consumer.info().await.expect("the server answers");
        (info.ack_floor.stream_sequence, info.num_pending) == (1_500, 0)
    })
    .await;
    end(&stop, task).await;

    // A server that is killed keeps some of what was acknowledged, until the intake begins again.
    let (stop, task) = begin(&server, &decider, 20, 10_000);
    eventually("nothing is left", async || server.kept("SARF").await == 0).await;
    end(&stop, task).await;
    assert_eq!(decider.committed(), 1_500);
    assert_eq!(server.kept("SARF_DEAD").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_event_does_not_wait_for_others() {
    let Some(server) = NatsServer::start().await else { return };
    let decider = Arc::new(Decider::default());
    let (stop, task) = begin(&server, &decider, 2_000, 10_000);
    stream_is_there(&server).await;
    let nats = server.jetstream().await;
    let mut times = Vec::new();
    for number in 0..50 {
        let sent = Instant::now();
        publish_events(&nats, "sarf.events", number..number + 1).await;
        while decider.committed() <= number as usize {
            assert!(sent.elapsed() < Duration::from_secs(5), "event {number} waits");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        times.push(sent.elapsed());
    }
    end(&stop, task).await;
    times.sort();
    println!("one event: median {:?}, longest {:?}", times[25], times[49]);
    assert!(times[25] < Duration::from_millis(500), "median {:?}", times[25]);
}
