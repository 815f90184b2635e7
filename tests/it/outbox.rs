//! Changes told to others: each at least once, those of one subject in order, by one process at a time.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::{AckPolicy, pull};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use bytes::Bytes;
use futures_util::StreamExt as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use sarf::clock::Clock;
use sarf::engine::lease::Lease;
use sarf::engine::nats_out::NatsOut;
use sarf::engine::outbox::{LEASE, Publisher, Sink};
use sarf::engine::stop::Stop;
use sarf::engine::webhook::Webhook;
use sarf::rails::stream::sign::{SIGNATURE, Secret, TIMESTAMP};
use sarf::store::batches::outbox::{self, NewOutbox};
use tokio::task::JoinHandle;

use crate::harness::{Bed, NatsServer, eventually};

const SECRET: &str = "agreed with the receiver";
const SUBJECTS: u64 = 25;

/// A receiver that fails now and then, before or after it took what came.
struct Receiver {
    random: Mutex<ChaCha8Rng>,
    fails: bool,
    /// Body of each line taken, in order.
    taken: Mutex<Vec<serde_json::Value>>,
    calls: AtomicUsize,
    unsigned: AtomicUsize,
    at_work: AtomicUsize,
    most_at_work: AtomicUsize,
}

impl Receiver {
    async fn start(seed: u64, fails: bool) -> (Arc<Self>, String, JoinHandle<()>) {
        let receiver = Arc::new(Self {
            random: Mutex::new(ChaCha8Rng::seed_from_u64(seed)),
            fails,
            taken: Mutex::default(),
            calls: AtomicUsize::default(),
            unsigned: AtomicUsize::default(),
            at_work: AtomicUsize::default(),
            most_at_work: AtomicUsize::default(),
        });
        let router = Router::new().route("/sarf", post(receive)).with_state(Arc::clone(&receiver));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/sarf", listener.local_addr().expect("an address"));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        (receiver, url, task)
    }

    fn take(&self, body: &[u8]) {
        let lines = body.split(|b| *b == b'\n').filter(|l| !l.is_empty());
        let lines = lines.map(|l| serde_json::from_slice(l).expect("a line of JSON"));
        self.taken.lock().expect("no thread panicked").extend(lines);
    }
}

/// A call under way, which may also be cut by the other side.
struct AtWork(Arc<Receiver>);

impl AtWork {
    fn begin(receiver: &Arc<Receiver>) -> Self {
        let at_work = receiver.at_work.fetch_add(1, Ordering::SeqCst) + 1;
        receiver.most_at_work.fetch_max(at_work, Ordering::SeqCst);
        Self(Arc::clone(receiver))
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn receive(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> Response {
    let at_work = AtWork::begin(&receiver);
    tokio::time::sleep(Duration::from_millis(3)).await;
    receiver.calls.fetch_add(1, Ordering::SeqCst);
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let now = Clock::system().now().unix_timestamp();
    if Secret::new(SECRET).verify(header(TIMESTAMP), header(SIGNATURE), &body, now).is_err() {
        receiver.unsigned.fetch_add(1, Ordering::SeqCst);
    }
    let draw =
        if receiver.fails { receiver.random.lock().expect("no thread panicked").next_u64() % 6 } else { 5 };
    let answer = match draw {
        0 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        1 => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0")]).into_response(),
        2 => (StatusCode::FOUND, [("location", "/elsewhere")]).into_response(),
        3 => {
            receiver.take(&body);
            StatusCode::BAD_GATEWAY.into_response()
        }
        _ => {
            receiver.take(&body);
            StatusCode::NO_CONTENT.into_response()
        }
    };
    drop(at_work);
    answer
}

/// Appends so many rows: subjects in turn, each with a number that rises within its subject.
async fn append(bed: &Bed, rows: std::ops::Range<u64>) {
    let rows: Vec<NewOutbox> = rows
        .map(|n| NewOutbox {
            subject: format!("order.S{}", n % SUBJECTS),
            body: serde_json::json!({ "number": n / SUBJECTS }),
        })
        .collect();
    let mut tx = bed.context.store.begin().await.expect("a transaction");
    outbox::append_in_tx(&mut tx, &rows, bed.context.clock.now()).await.expect("appended");
    tx.commit().await.expect("committed");
}

async fn left(bed: &Bed) -> i64 {
    outbox::waiting(&bed.context.store).await.expect("the database answers").0
}

fn begin(bed: &Bed, sink: &Arc<dyn Sink>) -> (Stop, JoinHandle<()>) {
    let mut publisher = Publisher::new(bed.context.store.clone(), Arc::clone(sink));
    publisher.lease_time = Duration::from_millis(900);
    publisher.pauses = (Duration::from_millis(4), Duration::from_millis(20));
    let stop = Stop::new();
    let task = tokio::spawn({
        let stop = stop.clone();
        async move { publisher.run(&stop).await }
    });
    (stop, task)
}

async fn end(stop: &Stop, task: JoinHandle<()>) {
    stop.request();
    tokio::time::timeout(Duration::from_secs(10), task).await.expect("it ends soon").expect("it ends well");
}

/// Each subject's numbers as they were first told must be all, in order; how many lines came again.
fn check_told(told: &[(String, u64)], each: u64) -> usize {
    let mut next: HashMap<&str, u64> = HashMap::new();
    let mut again = 0;
    for (subject, number) in told {
        let expected = next.entry(subject).or_default();
        assert!(number <= expected, "{subject}: {number} was told before {expected}");
        if number == expected {
            *expected += 1;
        } else {
            again += 1;
        }
    }
    let found: BTreeMap<&str, u64> = next.into_iter().collect();
    assert_eq!(found.len() as u64, SUBJECTS);
    assert!(found.values().all(|n| *n == each), "{found:?}");
    again
}

fn told(line: &serde_json::Value) -> (String, u64) {
    let subject = line["subject"].as_str().expect("a subject").to_owned();
    (subject, line["body"]["number"].as_u64().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_fails_is_told_everything_in_order() {
    let Some(bed) = Bed::new().await else { return };
    let (receiver, url, serving) = Receiver::start(5, true).await;
    let secret = bed.home().join("webhook.secret");
    sarf::files::replace(&secret, format!("{SECRET}\n").as_bytes()).expect("a secret");
    let sink: Arc<dyn Sink> = Arc::new(Webhook::open(&url, &secret, Clock::system()).expect("a webhook"));

    append(&bed, 0..2_000).await;
    let (_, killed) = begin(&bed, &sink);
    let (stop, task) = begin(&bed, &sink);
    for part in 0..20 {
        append(&bed, 2_000 + part * 400..2_400 + part * 400).await;
        if part == 3 {
            // Whichever of the two publishes: it is killed, or it goes on beside one that was killed.
            killed.abort();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    eventually("the outbox is empty", async || left(&bed).await == 0).await;
    end(&stop, task).await;

    let lines: Vec<(String, u64)> =
        receiver.taken.lock().expect("no thread panicked").iter().map(told).collect();
    let again = check_told(&lines, 10_000 / SUBJECTS);
    assert!(again > 0, "something came again, or nothing failed");
    assert_eq!(receiver.unsigned.load(Ordering::SeqCst), 0);
    assert_eq!(receiver.most_at_work.load(Ordering::SeqCst), 1, "one process publishes at a time");
    serving.abort();
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_is_told_at_once_and_another_process_goes_on() {
    let Some(bed) = Bed::new().await else { return };
    let (receiver, url, serving) = Receiver::start(6, false).await;
    let secret = bed.home().join("webhook.secret");
    sarf::files::replace(&secret, SECRET.as_ref()).expect("a secret");
    let sink: Arc<dyn Sink> = Arc::new(Webhook::open(&url, &secret, Clock::system()).expect("a webhook"));
    let (first_stop, first) = begin(&bed, &sink);
    eventually("the lease is taken", async || bed.number("select count(*) from lease").await == 1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut times = Vec::new();
    for n in 0..5 {
        let appended = Instant::now();
        append(&bed, n..n + 1).await;
        eventually("it is told", async || {
            receiver.taken.lock().expect("no thread panicked").len() as u64 > n
        })
        .await;
        times.push(appended.elapsed());
    }
    times.sort();
    assert!(times[2] < Duration::from_millis(700), "woken by the commit and not by the clock: {times:?}");

    let (second_stop, second) = begin(&bed, &sink);
    end(&first_stop, first).await;
    append(&bed, 5..6).await;
    eventually("the second tells", async || left(&bed).await == 0).await;
    let fence = bed.number(&format!("select fence from lease where name = '{LEASE}'")).await;
    assert_eq!(fence, 2);
    end(&second_stop, second).await;
    serving.abort();
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_is_told_each_change_once_and_in_order() {
    let Some(mut server) = NatsServer::start().await else { return };
    let Some(bed) = Bed::new().await else { return };
    let sink: Arc<dyn Sink> =
        Arc::new(NatsOut::open(&server.settings(), "sarf.out").await.expect("a stream"));
    append(&bed, 0..1_000).await;
    // Told, and then told again, since the row was not taken away.
    let rows = outbox::peek(&bed.context.store, 500).await.expect("rows");
    let delivery = sink.publish(&rows).await;
    assert!(delivery.fault.is_none() && delivery.taken.len() == 500);
    assert_eq!(server.kept("SARF_OUT").await, 500);

    let (stop, task) = begin(&bed, &sink);
    eventually("the outbox is empty", async || left(&bed).await == 0).await;
    server.kill();
    append(&bed, 1_000..2_000).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(left(&bed).await, 1_000, "nothing goes that nobody stored");
    server.start_again().await;
    eventually("the outbox is empty again", async || left(&bed).await == 0).await;
    end(&stop, task).await;

    let stream = server.jetstream().await.get_stream("SARF_OUT").await.expect("a stream");
    assert_eq!(server.kept("SARF_OUT").await, 2_000, "copies are dropped");
    let config = pull::Config { ack_policy: AckPolicy::None, ..Default::default() };
    let mut messages =
        stream.create_consumer(config).await.expect("a consumer").messages().await.expect("them");
    let mut lines = Vec::new();
    while lines.len() < 2_000 {
        let message = messages.next().await.expect("more").expect("a message");
        let line: serde_json::Value = serde_json::from_slice(&message.payload).expect("JSON");
        assert_eq!(message.subject.as_str(), format!("sarf.out.{}", line["subject"].as_str().expect("one")));
        lines.push(told(&line));
    }
    assert_eq!(check_told(&lines, 2_000 / SUBJECTS), 0);
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_has_one_holder_who_learns_of_its_loss() {
    let Some(bed) = Bed::new().await else { return };
    let store = &bed.context.store;
    // Long enough for a busy machine to renew it in time.
    let time = Duration::from_millis(1_500);
    let take =
        async |name: &str, holder: &str| Lease::acquire(store, name, holder, time).await.expect("an answer");

    let first = take("work", "a").await.expect("nobody holds it");
    assert!(take("work", "b").await.is_none() && take("work", "a").await.is_none());
    assert!(take("other work", "b").await.is_some());
    tokio::time::sleep(time * 2).await;
    assert!(take("work", "b").await.is_none() && !first.is_lost(), "it is renewed");
    first.release().await;
    let second = take("work", "b").await.expect("it was given back");
    assert_eq!(second.fence(), 2);

    // A holder that fell silent.
    drop(second);
    assert!(take("work", "c").await.is_none());
    tokio::time::sleep(time + time / 3).await;
    let third = take("work", "c").await.expect("its time is over");
    assert_eq!(third.fence(), 3);

    // Taken over, as after a long sleep of the machine.
    bed.execute("update lease set fence = 4, holder = 'd' where name = 'work'").await.expect("updated");
    tokio::time::timeout(time, third.lost()).await.expect("it learns soon");
    third.release().await;
    let held =
        bed.number("select count(*) from lease where name = 'work' and held_until > clock_timestamp()").await;
    assert_eq!(held, 1, "what is another's is not given back");

    // The database is gone.
    tokio::time::sleep(time + time / 3).await;
    let last = take("work", "e").await.expect("its time is over");
    let taken = Instant::now();
    store.pool().close().await;
    tokio::time::timeout(time * 2, last.lost()).await.expect("it learns in time");
    assert!(taken.elapsed() <= time + time / 4, "{:?}", taken.elapsed());
    bed.end().await;
}
