//! A NATS server of the test's own, with JetStream, that can be killed and started again; and events to feed it.

use std::net::TcpListener;
use std::ops::Range;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use async_nats::jetstream::message::PublishMessage;
use sarf::config::Nats;

use super::{TempHome, without_tool};

pub struct NatsServer {
    home: TempHome,
    binary: PathBuf,
    port: u16,
    /// A shell that ends the server when its pipe closes, which also the end of the test process does.
    keeper: Option<Child>,
}

impl NatsServer {
    /// A server on a free port; `None` where the machine has no `nats-server` and its tests may be skipped.
    pub async fn start() -> Option<Self> {
        let Some(binary) = binary() else {
            without_tool("nats-server", "nats");
            return None;
        };
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let mut server = Self { home: TempHome::new("n"), binary, port, keeper: None };
        server.start_again().await;
        Some(server)
    }

    /// Starts it on the same port with the streams it had, and waits until it answers.
    pub async fn start_again(&mut self) {
        let script = "\"$0\" -js -sd \"$1\" -a 127.0.0.1 -p \"$2\" & served=$!
            read -r _; kill -KILL $served; wait $served";
        let keeper = Command::new("sh")
            .args(["-c", script])
            .arg(&self.binary)
            .arg(self.home.path())
            .arg(self.port.to_string())
            // Ctrl-C is for the tests; the keeper learns of it by the pipe.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.keeper = Some(keeper.expect("a shell starts"));
        eventually("the server answers", async || {
            // It listens last, when its streams are there.
            async_nats::connect(self.url()).await.is_ok()
        })
        .await;
    }

    /// Ends it as a power cut would, all connections with it.
    pub fn kill(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            keeper.wait().expect("the keeper ends");
        }
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub fn settings(&self) -> Nats {
        Nats {
            url: self.url(),
            credentials: None,
            stream: "SARF".to_owned(),
            subject: "sarf.events".to_owned(),
            durable: "sarf".to_owned(),
            dead_letter_subject: "sarf.dead".to_owned(),
        }
    }

    /// A connection apart from the program's.
    pub async fn jetstream(&self) -> jetstream::Context {
        jetstream::new(async_nats::connect(self.url()).await.expect("the server answers"))
    }

    /// How many messages a stream keeps; none where it is missing.
    pub async fn kept(&self, stream: &str) -> u64 {
        match self.jetstream().await.get_stream(stream).await {
            Ok(mut stream) => stream.info().await.expect("the server answers").state.messages,
            Err(_) => 0,
        }
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn binary() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps it where only root's PATH looks.
    std::env::split_paths(&path)
        .chain([Path::new("/usr/sbin").to_owned()])
        .map(|folder| folder.join("nats-server"))
        .find(|path| path.is_file())
}

/// A synthetic event, with an id that names its number.
pub fn event(number: u64) -> String {
    format!(
        "{{\"id\":\"e-{number}\",\"type\":\"hold\",\"programme\":\"dss\",\"household\":\"H{number:010}\",\
         \"at\":\"2026-11-24T09:00:00Z\",\"reason\":\"visit\"}}"
    )
}

/// Publishes synthetic events in order, many under way at a time; each is stored when this returns.
pub async fn publish_events(nats: &jetstream::Context, subject: &str, numbers: Range<u64>) {
    let numbers: Vec<u64> = numbers.collect();
    for chunk in numbers.chunks(1_000) {
        let mut under_way = Vec::new();
        for number in chunk {
            let message = PublishMessage::build().payload(event(*number).into());
            under_way.push(nats.send_publish(subject.to_owned(), message).await.expect("sent"));
        }
        for stored in under_way {
            stored.await.expect("stored");
        }
    }
}

/// Waits until something holds, for at most half a minute.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < Duration::from_secs(30), "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
