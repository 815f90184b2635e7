//! The listeners under strain, over real sockets: half-sent heads, slow and large bodies, unknown callers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sarf::domain::run::RunState;
use sarf::http::{self, ApiState, AppState, SeatLimits, Service};
use sarf::pipeline::access::tokens::Scope;
use sarf::pipeline::dispatch::stream::recorder::Recorder;
use sarf::rails::stream::secrets;
use sarf::rails::stream::sign::Secret;
use sarf::telemetry::Metrics;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{Bed, issue_token};

const PROVIDER: &str = "cashplus";
const BODY_BYTES_MAX: usize = 1 << 20;

struct Open {
    bed: Bed,
    api: Service,
    pages: Service,
    recorder: Recorder,
    secret: Secret,
}

impl Open {
    async fn with(seats: SeatLimits) -> Option<Self> {
        let bed = Bed::with(|config| {
            config.settings.stream.enabled = true;
            config.settings.service.body_bytes_max = BODY_BYTES_MAX;
            config.settings.service.request_s_max = 3;
        })
        .await?;
        let secret = secrets::read_or_make(&bed.context.home, PROVIDER).expect("a secret");
        let recorder = Recorder::new(&bed.context);
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let app = http::api(ApiState::new(&bed.context, recorder.clone()));
        let api = http::spawn_api(any, app, seats, None).await.expect("listens");
        let state = AppState::metrics_only(Arc::new(Metrics::new()));
        let pages = http::spawn(any, http::router(state)).await.expect("listens");
        Some(Self { bed, api, pages, recorder, secret })
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.api.address()).await.expect("connects")
    }

    /// The head of a callback that declares a body of so many bytes.
    fn head(&self, bytes: usize, signature: Option<&str>) -> String {
        let at = self.bed.context.clock.now().unix_timestamp();
        let signed = signature
            .map_or_else(String::new, |s| format!("sarf-timestamp: {at}\r\nsarf-signature: {s}\r\n"));
        format!(
            "POST /v1/callbacks/{PROVIDER} HTTP/1.1\r\nhost: x\r\n{signed}content-length: {bytes}\r\n\r\n"
        )
    }

    /// The status of a right callback, sent over a connection of its own.
    async fn callback(&self) -> Option<u16> {
        let body = r#"{"events":[]}"#;
        let at = self.bed.context.clock.now().unix_timestamp();
        let head = self.head(body.len(), Some(&self.secret.sign(at, body.as_bytes())));
        let mut stream = self.connect().await;
        stream.write_all(format!("{head}{body}").as_bytes()).await.ok()?;
        status(&mut stream).await
    }

    async fn get(&self, path: &str, token: Option<&str>) -> Option<u16> {
        let token = token.map_or_else(String::new, |t| format!("authorization: Bearer {t}\r\n"));
        let mut stream = self.connect().await;
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n{token}\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        status(&mut stream).await
    }

    async fn end(self) {
        self.api.stop().await;
        self.pages.stop().await;
        self.recorder.stop().await;
        self.bed.end().await;
    }
}

/// The status of the next answer; `None` where the connection ends without one.
async fn status(stream: &mut TcpStream) -> Option<u16> {
    let mut head = [0; 12];
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_exact(&mut head)).await;
    read.expect("an answer or an end in time").ok()?;
    std::str::from_utf8(&head[9..]).ok()?.parse().ok()
}

/// Waits until the other side has closed: how long that took.
async fn closed(stream: &mut TcpStream) -> Duration {
    let began = Instant::now();
    let mut rest = Vec::new();
    let _ =
        tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await.expect("it ends");
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_sent_heads_shut_nobody_out_and_end_in_time() {
    let Some(open) = Open::with(SeatLimits { all: 24, of_peer: 16 }).await else { return };
    // Far more than there are seats: each new one takes the seat of the one that waits longest.
    let mut half = Vec::new();
    for n in 0..60 {
        let mut stream = open.connect().await;
        let head = if n % 2 == 0 { "POST /v1/callbacks/cashplus HTTP/1.1\r\nhost" } else { "" };
        stream.write_all(head.as_bytes()).await.expect("sent");
        half.push(stream);
    }
    let began = Instant::now();
    for _ in 0..5 {
        assert_eq!(open.callback().await, Some(200));
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    // The pages of operations are somewhere else, and are there.
    let mut stream = TcpStream::connect(open.pages.address()).await.expect("connects");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
    assert_eq!(status(&mut stream).await, Some(200));
    // Who still has a seat loses it when the head does not come, whether a byte came or none, or one now and then.
    let mut dripping = open.connect().await;
    let drip = tokio::spawn(async move {
        let began = Instant::now();
        for byte in b"POST /v1/callbacks/cashplus HTTP/1.1\r\n".iter().cycle() {
            if dripping.write_all(&[*byte]).await.is_err() || began.elapsed() > Duration::from_secs(19) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
        began.elapsed()
    });
    let (mut last, mut before) = (half.pop().expect("one"), half.pop().expect("one"));
    let waited = (closed(&mut last).await, closed(&mut before).await);
    assert!(waited.0 < Duration::from_secs(13) && waited.1 < Duration::from_secs(3), "{waited:?}");
    let dripped = drip.await.expect("done");
    assert!(dripped < Duration::from_secs(14), "{dripped:?}");
    open.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_the_unknown_leave_room_for_the_known() {
    let Some(open) = Open::with(SeatLimits { all: 128, of_peer: 100 }).await else { return };
    // Unsigned, or signed long ago: refused before a byte of the body is read.
    for signature in [None, Some("v1=00")] {
        let mut stream = open.connect().await;
        stream.write_all(open.head(BODY_BYTES_MAX, signature).as_bytes()).await.expect("sent");
        assert_eq!(status(&mut stream).await, Some(401));
    }
    // With what looks like a signature, forty senders declare the largest body and send a little of it: they take room for
    // what they sent.
    let forged = format!("v1={}", "0".repeat(64));
    let mut slow = Vec::new();
    for _ in 0..40 {
        let mut stream = open.connect().await;
        let head = open.head(BODY_BYTES_MAX, Some(&forged));
        stream.write_all(format!("{head}{}", "x".repeat(1_000)).as_bytes()).await.expect("sent");
        slow.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    for _ in 0..5 {
        assert_eq!(open.callback().await, Some(200));
    }
    // Five that send nearly all of it fill what one peer may take; whoever shows a token has room all the same.
    let mut large = Vec::new();
    for _ in 0..5 {
        let mut stream = open.connect().await;
        let head = open.head(BODY_BYTES_MAX, Some(&forged));
        stream.write_all(head.as_bytes()).await.expect("sent");
        let sending = tokio::spawn(async move {
            let _ = stream.write_all(&vec![b'x'; BODY_BYTES_MAX - 1_000]).await;
            status(&mut stream).await
        });
        large.push(sending);
    }
    let registry = issue_token(&open.bed.context, "registry", &[Scope::Events], None).await;
    let lines = "{}\n".repeat(1_000);
    let request = format!(
        "POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {registry}\r\ncontent-length: {}\r\n\r\n{lines}",
        lines.len()
    );
    let mut stream = open.connect().await;
    stream.write_all(request.as_bytes()).await.expect("sent");
    assert_eq!(status(&mut stream).await, Some(200));
    // They end: without room at once, the others when their time is over; then all is as before.
    let mut ends = Vec::new();
    for sending in large {
        ends.push(sending.await.expect("done"));
    }
    assert!(ends.iter().all(|end| matches!(end, Some(408 | 503) | None)), "{ends:?}");
    assert!(ends.contains(&Some(408)), "{ends:?}");
    for stream in &mut slow {
        assert!(closed(stream).await < Duration::from_secs(6));
    }
    assert_eq!(open.callback().await, Some(200));
    open.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_known_is_told_nothing_of_what_there_is() {
    let Some(open) = Open::with(SeatLimits { all: 16, of_peer: 16 }).await else { return };
    open.bed.run_to(50, 1, RunState::Computed).await;
    let token = issue_token(&open.bed.context, "mine", &[Scope::Uploads], Some(PROVIDER)).await;
    for (path, known) in [
        ("/", 404),
        ("/v1/nothing", 404),
        ("/metrics", 404),
        ("/v1/events", 405),
        ("/v1/callbacks/cashplus", 405),
        ("/v1/callbacks/nobody", 405),
        ("/v1/institutions/nobody/uploads/a", 404),
        ("/v1/institutions/cashplus/uploads/a", 404),
        ("/v1/institutions/cashplus/points/x/worklist", 403),
    ] {
        assert_eq!(open.get(path, None).await, Some(401), "{path}");
        assert_eq!(open.get(path, Some("sarf_x")).await, Some(401), "{path}");
        assert_eq!(open.get(path, Some(&token)).await, Some(known), "{path}");
    }
    let forged = format!("v1={}", "0".repeat(64));
    let mut stream = open.connect().await;
    let head = open.head(2, Some(&forged)).replace(PROVIDER, "nobody");
    stream.write_all(format!("{head}{{}}").as_bytes()).await.expect("sent");
    assert_eq!(status(&mut stream).await, Some(401));
    open.end().await;
}
