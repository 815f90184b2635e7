//! Spans reach a collector by OTLP, and nothing that is told of a month names a person.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use sarf::engine::gauges;

use crate::harness::{Bed, Program, month_of_the_readme};

/// What a collector was sent, whole requests one after the other.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<u8>>>);

impl Collector {
    fn start() -> (Self, String) {
        let collector = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let kept = collector.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = kept.clone();
                std::thread::spawn(move || kept.serve(stream));
            }
        });
        (collector, address)
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
        loop {
            let (mut length, mut line, mut path) = (0, String::new(), String::new());
            loop {
                line.clear();
                if reader.read_line(&mut line).unwrap_or(0) == 0 {
                    return;
                }
                if path.is_empty() {
                    path.clone_from(&line);
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
                if line == "\r\n" {
                    break;
                }
            }
            assert!(path.starts_with("POST /v1/traces "), "{path}");
            let mut body = vec![0; length];
            if reader.read_exact(&mut body).is_err() {
                return;
            }
            self.0.lock().expect("no panic while held").extend(body);
            if stream
                .write_all(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n",
                )
                .is_err()
            {
                return;
            }
        }
    }
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

/// Names, accounts, phones, cards and numbers of persons and households of a list.
fn personal(list: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let columns = [
        "household_id",
        "head_idcs",
        "payee_idcs",
        "payee_name",
        "payee_name_ar",
        "payee_cin",
        "phone",
        "account",
        "idcs",
    ];
    for part in ["households.csv", "members.csv"] {
        let mut reader = csv::Reader::from_path(list.join(part)).expect("a part of the list");
        let heads = reader.headers().expect("heads").clone();
        for row in reader.records() {
            let row = row.expect("a row");
            for (head, value) in heads.iter().zip(&row) {
                // Shorter values would be found in anything.
                if columns.contains(&head) && value.chars().count() >= 7 {
                    found.insert(value.to_owned());
                }
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_of_a_month_names_nobody() {
    let Some(bed) = Bed::new().await else { return };
    let (collector, address) = Collector::start();
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", address.as_str()),
        ("SARF_LOG", "warn,sarf=trace"),
        ("SARF_LOG_FORMAT", "json"),
    ];
    let output = month_of_the_readme(&bed, &environment);
    let logs = output.stderr;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&logs));
    let traces = collector.0.lock().expect("no panic while held").clone();
    for span in ["stage", "batch", "request", "message", "service.name", "sarf"] {
        assert!(holds(&traces, span.as_bytes()), "no `{span}` among the spans");
    }
    assert!(holds(&logs, b"\"stage ended\"") && holds(&logs, b"file delivered"), "the logs are whole");
    gauges::count(&bed.context).await.expect("counted");
    let metrics = bed.context.telemetry.metrics.render();
    let values = personal(&bed.home().join("var/snapshot"));
    assert!(values.len() > 3_000, "{}", values.len());
    for value in &values {
        for (what, text) in [("logs", &logs[..]), ("traces", &traces[..]), ("metrics", metrics.as_bytes())] {
            assert!(!holds(text, value.as_bytes()), "the {what} name a person or household");
        }
    }
    fs::remove_dir_all(bed.home().join("var")).expect("left tidy");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_gone_holds_nothing_up() {
    let Some(bed) = Bed::new().await else { return };
    let program = Program { url: Some(bed.url()), ..Program::new(bed.home()) };
    let run = |endpoint: &str| {
        let mut command = program.command(&["run", "list"]);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).output().expect("it starts")
    };
    let begun = std::time::Instant::now();
    // Nobody listens on this port.
    assert!(run("http://127.0.0.1:9").status.success());
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
    let refused = run("collector:4318");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{said}");
}
