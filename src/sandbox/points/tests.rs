//! Payment points seen by a plain HTTP client.

mod callbacks;
mod faults;
mod orders;
mod settlements;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use time::macros::datetime;

use super::{PointFaults, PointProvider, PointRates, Points, PointsOptions};
use crate::clock::Clock;
use crate::domain::provider::Provider;
use crate::domain::rib::Rib;
use crate::rails::stream::sign::{SIGNATURE, Secret, TIMESTAMP};
use crate::sandbox::Share;

const SECRET: &[u8] = b"agreed with the sandbox";
/// Shorter than any fault lasts.
const PATIENCE: Duration = Duration::from_millis(400);
/// Longer than anything without a fault takes.
const LONG: Duration = Duration::from_secs(20);
const NOW: time::OffsetDateTime = datetime!(2026-11-24 10:12:07.5 UTC);
const CERTAIN: PointRates =
    PointRates { rejected: Share::NONE, uncollected: Share::NONE, pending: Share::NONE };

fn provider(code: &str, api: &str, means: &str) -> PointProvider {
    let account = Rib::compose("802", "810", "0000000000000001").unwrap();
    let text = format!(
        "code = \"{code}\"\nname = \"x\"\nbank_codes = [\"802\"]\nverified = false\nmeans = [\"{means}\"]\n\
         account_format = \"rib\"\ndebtor_account = \"{}\"\ndaily_capacity = 10\ncutoff = \"15:00\"\nlead_days = 1\n\
         fees = [{{ up_to = \"500.00\", fee = \"8.00\" }}, {{ up_to = \"5000.00\", fee = \"16.00\" }}]\n\
         [stream]\napi = \"{api}\"\nurl = \"http://127.0.0.1:1/{code}\"\norders_per_request = 500\n\
         requests_per_second = 0\norders_per_second = 0\nburst = 1\nconcurrency = 4\ntimeout_ms = 500\n\
         opens = \"00:00\"\ncloses = \"00:00\"\nenquire_after_s = 1\nchanges_every_s = 0\n\
         believe_absent_after_s = 1\nunknown_hours_max = 1\nexpiry_days = 1\n",
        account.reveal()
    );
    PointProvider { provider: toml::from_str::<Provider>(&text).unwrap(), secret: Secret::new(SECRET) }
}

/// Removed when the test is over.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A folder of its own for each test.
fn inbox(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("sarf-points-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn options(name: &str) -> PointsOptions {
    PointsOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        providers: vec![provider("counter", "provider", "cash"), provider("wallet", "wallet", "wallet")],
        callback_url: None,
        later: None,
        seed: 7,
        faults: PointFaults::default(),
        rates: CERTAIN,
        clock: Clock::fixed(NOW),
        inbox: inbox(name),
    }
}

/// Payment points and somebody who calls them.
struct Bed {
    points: Points,
    client: reqwest::Client,
    clock: Clock,
    _inbox: Folder,
}

/// What came back of a call.
#[derive(Debug, PartialEq)]
enum Seen {
    Answer(u16, Value),
    /// An answer that is no JSON.
    Unreadable(u16),
    Cut,
    TimedOut,
    Refused,
}

impl Seen {
    fn answers(self) -> Vec<Value> {
        match self {
            Self::Answer(200, body) => body["answers"].as_array().expect("answers").clone(),
            other => panic!("not answers: {other:?}"),
        }
    }

    fn body(self) -> Value {
        match self {
            Self::Answer(_, body) => body,
            other => panic!("not an answer: {other:?}"),
        }
    }
}

impl Bed {
    async fn start(options: PointsOptions) -> Self {
        let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let (clock, inbox) = (options.clock, Folder(options.inbox.clone()));
        Self { points: Points::start(options).await.unwrap(), client, clock, _inbox: inbox }
    }

    async fn send(&self, request: reqwest::RequestBuilder, patience: Duration) -> Seen {
        let failed = |error: reqwest::Error| match error {
            e if e.is_timeout() => Seen::TimedOut,
            e if e.is_connect() => Seen::Refused,
            _ => Seen::Cut,
        };
        let response = match request.timeout(patience).send().await {
            Ok(response) => response,
            Err(error) => return failed(error),
        };
        let status = response.status().as_u16();
        match response.bytes().await {
            Err(error) => failed(error),
            Ok(bytes) if bytes.is_empty() => Seen::Answer(status, Value::Null),
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_or(Seen::Unreadable(status), |b| Seen::Answer(status, b))
            }
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.points.address())
    }

    fn signed(&self, request: reqwest::RequestBuilder, body: Vec<u8>) -> reqwest::RequestBuilder {
        let at = self.clock.now().unix_timestamp();
        let signature = Secret::new(SECRET).sign(at, &body);
        request.header(TIMESTAMP, at).header(SIGNATURE, signature).body(body)
    }

    async fn post(&self, path: &str, body: &Value) -> Seen {
        let request = self.client.post(self.url(&format!("/counter/v1/{path}")));
        self.send(self.signed(request, serde_json::to_vec(body).unwrap()), LONG).await
    }

    async fn put(&self, orders: Vec<Value>) -> Seen {
        self.post("orders", &json!({ "orders": orders })).await
    }

    async fn enquire(&self, keys: &[&str]) -> Vec<Value> {
        self.post("orders/enquire", &json!({ "keys": keys })).await.answers()
    }

    async fn page(&self, since: &str, limit: usize) -> Value {
        let request = self.client.get(self.url(&format!("/counter/v1/changes?since={since}&limit={limit}")));
        self.send(self.signed(request, Vec::new()), LONG).await.body()
    }

    /// All changes there are, by pages.
    async fn changes(&self, limit: usize) -> Vec<Value> {
        let (mut all, mut since) = (Vec::new(), String::new());
        loop {
            let page = self.page(&since, limit).await;
            let changes = page["changes"].as_array().unwrap();
            assert!(changes.len() <= limit);
            all.extend(changes.iter().cloned());
            since = page["cursor"].as_str().unwrap().to_owned();
            if page["more"] == json!(false) {
                return all;
            }
        }
    }

    async fn transfer(&self, reference: &str, amount: &str) -> Seen {
        let body = json!({
            "msisdn": "+212600000001", "amount": amount, "currency": "MAD", "reference": reference, "label": "x"
        });
        let request = self.client.post(self.url("/wallet/transfers")).header("x-api-key", SECRET);
        self.send(request.body(serde_json::to_vec(&body).unwrap()), LONG).await
    }

    async fn wallet(&self, method: reqwest::Method, path: &str) -> Seen {
        let request = self.client.request(method, self.url(&format!("/wallet/{path}")));
        self.send(request.header("x-api-key", SECRET), LONG).await
    }

    /// Waits until nothing is under way.
    async fn quiet(&self) {
        let began = Instant::now();
        while !self.points.is_quiet() {
            assert!(began.elapsed() < LONG, "something is under way for ever");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn key(number: usize) -> String {
    format!("DSS2611000000{number:012}")
}

fn order(number: usize, amount: i64) -> Value {
    json!({
        "key": key(number),
        "uetr": "6f0a2c1e-7c54-4f5e-9d0e-0123456789ab",
        "amount": amount,
        "currency": "MAD",
        "means": "cash",
        "payee": { "name": "AMINA EL IDRISSI", "phone": "+212600000001", "cin": "XX1" }
    })
}

fn orders(numbers: std::ops::Range<usize>) -> Vec<Value> {
    numbers.map(|number| order(number, 50_000)).collect()
}
