//! A provider that behaves as badly as a test wants: plain TCP, so that answers can be cut anywhere.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use time::macros::time;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{Instruction, Payer};
use crate::domain::household::Means;
use crate::domain::money::Centimes;
use crate::domain::provider::{Provider, StreamApi, StreamTerms};

/// Terms without any pace, and half a second of patience.
pub(super) fn terms(url: &str) -> StreamTerms {
    StreamTerms {
        api: StreamApi::Provider,
        url: url.to_owned(),
        orders_per_request: 500,
        requests_per_second: 0,
        orders_per_second: 0,
        burst: 1,
        concurrency: 4,
        timeout_ms: 500,
        opens: time!(0:00),
        closes: time!(0:00),
        enquire_after_s: 1,
        changes_every_s: 0,
        believe_absent_after_s: 1,
        unknown_hours_max: 1,
        expiry_days: 1,
    }
}

/// A bank that keeps accounts by IBAN.
pub(super) fn provider() -> Provider {
    let text = "code = \"now\"\nname = \"Now\"\nbic = \"BKAMMAMR\"\nbank_codes = [\"007\"]\nverified = false\n\
                means = [\"bank_account\"]\naccount_format = \"iban\"\ndebtor_account = \"007810000000000000900075\"\n\
                daily_capacity = 1\ncutoff = \"15:00\"\nlead_days = 1\n";
    toml::from_str(text).expect("a provider")
}

/// Who pays.
pub(super) fn payer(id: &str) -> Payer<'_> {
    Payer { name: "AGENCE", id, utc_offset: time::UtcOffset::UTC }
}

/// An order of 500.00 for a phone.
pub(super) fn instruction(key: &str) -> Instruction {
    Instruction {
        key: key.to_owned(),
        uetr: "6f0a2c1e-7c54-4f5e-9d0e-0123456789ab".to_owned(),
        amount: Centimes::from_mad(500),
        means: Means::Wallet,
        name: "AMINA EL".to_owned(),
        phone: Some("+212612345678".to_owned()),
        account: None,
        cin: None,
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Method and target.
    pub line: String,
    headers: String,
    /// Body.
    pub body: Vec<u8>,
}

impl Seen {
    /// A header's value.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.lines().filter_map(|l| l.split_once(':'));
        lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim())
    }

    /// Body as text.
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// Status and body.
    Json(u16, String),
    /// Status, a header and no body.
    Header(u16, &'static str),
    /// These bytes, then the end of the connection.
    Raw(&'static str),
    /// Later.
    Late(Duration, Box<Reply>),
    /// These bytes, then nothing more, without an end.
    Stall(&'static str),
    /// The end of the connection.
    Cut,
}

/// A provider at work.
pub(super) struct Server {
    /// Its base address.
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Answers each request as `answer` says.
    pub(super) async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/base", listener.local_addr().expect("bound"));
        let (seen, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let log = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                tokio::spawn(async move {
                    let mut stream = stream;
                    while let Some(request) = read(&mut stream).await {
                        log.lock().expect("log").push(request.clone());
                        if !write(&mut stream, answer(&request)).await {
                            break;
                        }
                    }
                });
            }
        });
        Self { url, seen, task }
    }

    /// All requests so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("log").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).ok()?;
    let (line, headers) = text.split_once("\r\n")?;
    let mut seen = Seen {
        line: line.trim_end_matches(" HTTP/1.1").to_owned(),
        headers: headers.to_owned(),
        body: bytes[head + 4..].to_vec(),
    };
    let length: usize = seen.header("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    while seen.body.len() < length {
        if stream.read_buf(&mut seen.body).await.ok()? == 0 {
            return None;
        }
    }
    Some(seen)
}

/// Whether the connection goes on.
async fn write(stream: &mut TcpStream, mut reply: Reply) -> bool {
    while let Reply::Late(pause, then) = reply {
        tokio::time::sleep(pause).await;
        reply = *then;
    }
    let stalls = matches!(reply, Reply::Stall(_));
    let (text, goes_on) = match reply {
        Reply::Json(status, body) => {
            (format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len()), true)
        }
        Reply::Header(status, header) => {
            (format!("HTTP/1.1 {status} X\r\n{header}\r\ncontent-length: 0\r\n\r\n"), true)
        }
        Reply::Raw(text) | Reply::Stall(text) => (text.to_owned(), false),
        Reply::Cut | Reply::Late(..) => return false,
    };
    if stream.write_all(text.as_bytes()).await.is_err() {
        return false;
    }
    if stalls {
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    goes_on
}
