//! The API: tokens, callbacks, work lists, uploads, events, limits, TLS; through a real listener.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Response, StatusCode};
use sarf::config::Config;
use sarf::domain::run::RunState;
use sarf::http::{self, ApiState, AppState, SeatLimits, Service, Tls};
use sarf::pipeline::access::tokens::{self, Scope};
use sarf::pipeline::dispatch::stream::recorder::Recorder;
use sarf::rails::stream::secrets;
use sarf::rails::stream::sign::Secret;
use serde_json::Value;
use sha2::Digest as _;

use crate::harness::{APPROVER, Bed, Contract, TempHome, config_folder, copy_folder, held, issue_token};

/// The provider that work lists are made for.
const POINTS: &str = "baridcash";

const SEATS: SeatLimits = SeatLimits { all: 64, of_peer: 32 };

fn client() -> Client {
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().expect("a client")
}

/// Stream terms for a provider of the configuration in the tree.
fn with_terms(folder: &Path, api: &str) -> Config {
    copy_folder(&config_folder(), folder);
    let mut found = false;
    for entry in std::fs::read_dir(folder.join("providers")).expect("providers").flatten() {
        let text = std::fs::read_to_string(entry.path()).expect("a text");
        let mut parts: Vec<String> = text.split("[[provider]]").map(str::to_owned).collect();
        for part in &mut parts {
            if part.contains(&format!("code = \"{POINTS}\"")) {
                let kept = part.split("[provider.stream]").next().expect("a part").trim_end();
                *part = format!(
                    "{kept}\n\n[provider.stream]\napi = \"{api}\"\nurl = \"http://127.0.0.1:1\"\norders_per_request = 100\n\
                     requests_per_second = 10\norders_per_second = 100\nburst = 10\nconcurrency = 2\ntimeout_ms = 1000\n\
                     opens = \"00:00\"\ncloses = \"00:00\"\nenquire_after_s = 60\nbelieve_absent_after_s = 60\n\
                     unknown_hours_max = 24\nexpiry_days = 45\n\n"
                );
                found = true;
            }
        }
        std::fs::write(entry.path(), parts.join("[[provider]]")).expect("written");
    }
    assert!(found, "provider `{POINTS}` is configured");
    Config::read(folder).expect("the configuration can be used")
}

struct Served {
    bed: Bed,
    service: Service,
    recorder: Recorder,
    secret: Secret,
    client: Client,
    base: String,
    contract: Arc<Contract>,
}

impl Served {
    async fn new(api: &str, change: impl FnOnce(&mut Config)) -> Option<Self> {
        let folder = TempHome::new("c");
        let terms = with_terms(&folder.path().join("config"), api);
        let bed = Bed::with(|config| {
            *config = terms;
            change(config);
        })
        .await?;
        let secret = secrets::read_or_make(&bed.context.home, POINTS).expect("a secret");
        let recorder = Recorder::new(&bed.context);
        let app = http::health_router(AppState::metrics_only(Arc::new(sarf::telemetry::Metrics::new())))
            .merge(http::api(ApiState::new(&bed.context, recorder.clone())));
        let contract = Contract::read("api.yaml");
        let app = app.layer(axum::middleware::from_fn_with_state(Arc::clone(&contract), held));
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let service = http::spawn_api(any, app, SEATS, None).await.expect("listens");
        let base = format!("http://{}", service.address());
        Some(Self { bed, service, recorder, secret, client: client(), base, contract })
    }

    async fn token(&self, name: &str, scopes: &[Scope], institution: Option<&str>) -> String {
        issue_token(&self.bed.context, name, scopes, institution).await
    }

    fn now(&self) -> i64 {
        self.bed.context.clock.now().unix_timestamp()
    }

    async fn callback(&self, body: String, signed_at: i64) -> Response {
        let signature = self.secret.sign(signed_at, body.as_bytes());
        let request = self.client.post(format!("{}/v1/callbacks/{POINTS}", self.base)).body(body);
        let request = request.header("sarf-timestamp", signed_at).header("sarf-signature", signature);
        request.send().await.expect("an answer")
    }

    async fn end(self) {
        self.contract.holds();
        self.service.stop().await;
        self.recorder.stop().await;
        self.bed.end().await;
    }
}

/// The status and the error of a refusal, which is always JSON.
async fn refusal(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let text = response.text().await.expect("a body");
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{status} {text}: {e}"));
    assert!(body["hint"].is_string(), "{body}");
    (status, body["error"].as_str().expect("an error").to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_is_what_is_served() {
    let Some(served) = Served::new("worklist", |_| ()).await else { return };
    let operations = served.contract.operations();
    let published: BTreeSet<&str> = operations.iter().map(|(_, path)| path.as_str()).collect();
    let pages = ["/healthz", "/readyz", "/metrics"];
    assert_eq!(published, http::PATHS.into_iter().chain(pages).collect());
    let scopes = [Scope::Callbacks, Scope::Worklists, Scope::Uploads];
    let mine = served.token("mine", &scopes, Some(POINTS)).await;
    let registry = served.token("registry", &[Scope::Events], None).await;
    for (method, path) in operations {
        // Figures are served on another address.
        if path == "/metrics" {
            continue;
        }
        let token = if path == "/v1/events" { &registry } else { &mine };
        let url = path.replace("{provider}", POINTS).replace("{point}", "agadir-1").replace("{id}", "u1");
        let request = served.client.request(method.clone(), format!("{}{url}", served.base));
        let response = request.bearer_auth(token).send().await.expect("an answer");
        let (status, text) = (response.status(), response.text().await.expect("a body"));
        assert!(!text.contains("there is nothing here"), "{method} {path} is served: {text}");
        assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        let other = served.client.delete(format!("{}{url}", served.base)).bearer_auth(token);
        let refused = other.send().await.expect("an answer").status();
        assert_eq!(refused, StatusCode::METHOD_NOT_ALLOWED, "DELETE {path}");
    }
    served.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_reach_what_is_theirs_and_no_more() {
    let Some(served) = Served::new("worklist", |_| ()).await else { return };
    let mine = served.token("mine", &[Scope::Uploads], Some(POINTS)).await;
    let registry = served.token("registry", &[Scope::Events], None).await;
    let ended = served.token("ended", &[Scope::Uploads], Some(POINTS)).await;
    assert!(tokens::revoke(&served.bed.context, "ended", APPROVER).await.expect("ended").is_now());
    assert!(!tokens::revoke(&served.bed.context, "ended", APPROVER).await.expect("ended").is_now());
    let kept = served.bed.number("select count(*) from api_token where sha256 is not null").await;
    assert_eq!(kept, 3);
    assert_eq!(served.bed.number("select count(*) from audit where action like 'token.%'").await, 5);
    let upload = format!("/v1/institutions/{POINTS}/uploads/a");
    let list = format!("/v1/institutions/{POINTS}/points/rabat/worklist");
    for (path, token, status, error) in [
        (upload.as_str(), Some(mine.as_str()), 404, "upload `a` is not known"),
        (&upload, None, 401, "a token is needed"),
        (&upload, Some("sarf_x"), 401, "the token is not known, or has ended"),
        (&upload, Some(&ended), 401, "the token is not known, or has ended"),
        (&upload, Some(&registry), 403, "the token has no scope `uploads`"),
        (&list, Some(&mine), 403, "the token has no scope `worklists`"),
        (
            "/v1/institutions/nobody/uploads/a",
            Some(&mine),
            404,
            "there is no such institution in the stream lane",
        ),
        ("/v1/nothing", Some(&mine), 404, "there is nothing here"),
        ("/v1/events", Some(&mine), 405, "this cannot be done here"),
    ] {
        let mut request = served.client.get(format!("{}{path}", served.base));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = refusal(request.send().await.expect("an answer")).await;
        assert_eq!(answer, (status, error.to_owned()), "{path}");
    }
    served.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callbacks_are_signed_bounded_and_paced() {
    let change = |config: &mut Config| {
        config.settings.service.body_bytes_max = 4_096;
        config.settings.service.requests_per_second = 1;
        config.settings.service.burst = 3;
    };
    let Some(served) = Served::new("worklist", change).await else { return };
    let now = served.now();
    let body = r#"{"events":[{"id":"1","key":"K","status":"collected","at":"2026-11-24T09:00:00Z"}]}"#;
    let big = format!("{body}{}", " ".repeat(4_096));
    for (body, at, status, error) in [
        (body, now - 400, 401, "the timestamp is more than 300 s from now"),
        (&big, now, 413, "a body has at most 4096 bytes"),
        ("{}", now, 400, "the body cannot be read at line 1, column 2"),
    ] {
        let answer = refusal(served.callback(body.to_owned(), at).await).await;
        assert_eq!(answer, (status, error.to_owned()));
    }
    let unsigned = served.client.post(format!("{}/v1/callbacks/{POINTS}", served.base)).body(body);
    assert_eq!(refusal(unsigned.send().await.expect("an answer")).await.0, 401);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let response = served.callback(body.to_owned(), now).await;
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS {
            assert_eq!(response.headers()["retry-after"], "1");
        } else {
            assert_eq!(response.text().await.expect("a body"), r#"{"taken":1}"#);
        }
        statuses.push(status.as_u16());
    }
    // One of the burst went to the body that could not be read: who signs is known, and paced.
    assert_eq!(statuses[..2], [200, 200]);
    assert!(statuses.contains(&429), "{statuses:?}");
    served.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_point_fetches_its_list_in_parts_and_each_order_once() {
    let Some(served) = Served::new("worklist", |_| ()).await else { return };
    let bed = &served.bed;
    let run = bed.run_to(3_000, 5, RunState::Dispatching).await;
    // As the stream lane has it once its shards are cut.
    let lane = format!(
        "update batch set lane = 'stream', state = 'dispatching' where state <> 'empty'
            and provider_id = (select id from provider where code = '{POINTS}')"
    );
    bed.write(&lane).await.expect("in the stream lane");
    let busiest = bed
        .rows(&format!(
            "select p.commune from payment_order_{run} o join run r on r.id = {run}
               join place p on p.snapshot_id = r.snapshot_id and p.id = o.place_id
              where o.provider_id = (select id from provider where code = '{POINTS}')
                and not exists (select from order_hold h where h.order_id = o.order_id)
              group by 1 order by count(*) desc, 1 limit 1"
        ))
        .await
        .remove(0);
    let point = sarf::pipeline::dispatch::worklists::slug(&busiest);
    let token = served.token("points", &[Scope::Worklists], Some(POINTS)).await;
    let url = format!("{}/v1/institutions/{POINTS}/points/{point}/worklist", served.base);
    let get = |query: &'static str, range: Option<&'static str>| {
        let mut request = served.client.get(format!("{url}{query}")).bearer_auth(&token);
        if let Some(range) = range {
            request = request.header("range", range);
        }
        async move { request.send().await.expect("an answer") }
    };
    let first = get("", None).await;
    assert_eq!(first.status(), 200);
    let headers = first.headers().clone();
    let body = first.bytes().await.expect("a body");
    let text = |name: &str| headers[name].to_str().expect("text").to_owned();
    assert_eq!(text("etag"), format!("\"{}\"", sarf::domain::hex(&sha2::Sha256::digest(&body))));
    let made_at: i64 = text("sarf-timestamp").parse().expect("seconds");
    let signature = text("sarf-signature");
    served
        .secret
        .verify(Some(&made_at.to_string()), Some(&signature), &body, made_at)
        .expect("signed by the secret");
    let mut unpacked = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&body[..]), &mut unpacked).expect("gzip");
    let lines: Vec<Value> = unpacked.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    let (head, orders) = lines.split_first().expect("a head");
    assert_eq!(head["list"]["orders"], orders.len());
    assert!(!orders.is_empty());
    for order in orders {
        assert_eq!(order["status"], "to_pay");
        assert_eq!(
            order["net"].as_i64(),
            order["amount"].as_i64().zip(order["fee"].as_i64()).map(|(a, f)| a - f)
        );
    }
    assert_eq!(bed.number("select count(*) from outcome where step = 1").await, orders.len() as i64);
    // In parts, and again: the same bytes, and no order twice.
    let (head_part, rest) = (get("", Some("bytes=0-99")).await, get("?number=1", Some("bytes=100-")).await);
    assert_eq!(
        (head_part.status(), rest.status()),
        (StatusCode::PARTIAL_CONTENT, StatusCode::PARTIAL_CONTENT)
    );
    let glued = [head_part.bytes().await.expect("bytes"), rest.bytes().await.expect("bytes")].concat();
    assert_eq!(glued, body);
    let lists = served.client.get(format!("{url}s")).bearer_auth(&token).send().await.expect("an answer");
    let lists: Value = serde_json::from_str(&lists.text().await.expect("a body")).expect("JSON");
    assert_eq!(lists["lists"].as_array().map(Vec::len), Some(1), "{lists}");
    // An order that was to leave when the process was killed goes on the next list.
    bed.execute("delete from worklist_member where order_id = (select min(order_id) from worklist_member)")
        .await
        .expect("as if never listed");
    let second = get("", None).await;
    assert_eq!(second.headers()["sarf-worklist-number"], "2");
    for (query, status) in [("?number=7", 404), ("?day=2026-11-25", 400), ("?day=2026-11-01", 204)] {
        assert_eq!(get(query, None).await.status().as_u16(), status, "{query}");
    }
    let nowhere = format!("{}/v1/institutions/{POINTS}/points/atlantis/worklist", served.base);
    let nowhere = served.client.get(nowhere).bearer_auth(&token).send().await.expect("an answer");
    assert_eq!(refusal(nowhere).await, (404, "payment point `atlantis` is not known".to_owned()));
    served.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_comes_in_pieces_in_any_order_and_is_taken_once() {
    let Some(served) = Served::new("worklist", |_| ()).await else { return };
    let token = served.token("uploads", &[Scope::Uploads], Some(POINTS)).await;
    let url = format!("{}/v1/institutions/{POINTS}/uploads/day-1", served.base);
    let whole = "{\"key\":\"A\",\"status\":\"collected\"}\nnot json\n{\"key\":\"B\",\"status\":\"gone\"}\n"
        .as_bytes();
    let hash = sarf::domain::hex(&sha2::Sha256::digest(whole));
    let now = served.now();
    let put = |first: usize, bytes: Vec<u8>, signature: Option<String>, hash: Option<&str>| {
        let range = format!("bytes {first}-{}/{}", first + bytes.len() - 1, whole.len());
        let mut request =
            served.client.put(&url).bearer_auth(&token).header("content-range", range).body(bytes);
        if let Some(hash) = hash {
            request = request.header("sarf-content-sha256", hash);
        }
        if let Some(signature) = signature {
            request = request.header("sarf-timestamp", now).header("sarf-signature", signature);
        }
        async move { request.send().await.expect("an answer") }
    };
    let right = || Some(served.secret.sign(now, whole));
    let (head, tail) = (whole[..20].to_vec(), whole[20..].to_vec());
    assert_eq!(refusal(put(20, tail.clone(), None, None).await).await.0, 400, "no hash declared");
    assert_eq!(put(20, tail.clone(), None, Some(&hash)).await.status(), 202);
    assert_eq!(put(20, tail.clone(), None, None).await.status(), 202, "again");
    assert_eq!(refusal(put(20, vec![b'x'; tail.len()], None, None).await).await.0, 409);
    assert_eq!(refusal(put(0, head.clone(), None, Some(&"0".repeat(64))).await).await.0, 409);
    let so_far = served.client.head(&url).bearer_auth(&token).send().await.expect("an answer");
    assert_eq!(
        (so_far.status().as_u16(), &so_far.headers()["upload-offset"]),
        (202, &"0".parse().expect("text"))
    );
    // Whole, but not proven; then proven.
    assert_eq!(refusal(put(0, head.clone(), None, None).await).await.0, 401);
    assert_eq!(refusal(put(0, head.clone(), Some(served.secret.sign(now, b"x")), None).await).await.0, 401);
    let taken = put(0, head.clone(), right(), None).await;
    assert_eq!(taken.status(), 200);
    let taken: Value = serde_json::from_str(&taken.text().await.expect("a body")).expect("JSON");
    let result = &taken["result"];
    assert_eq!((&result["taken"], &result["refused"]), (&2.into(), &1.into()), "{taken}");
    assert_eq!((&result["faults"][0]["line"], &result["breaks"]), (&2.into(), &2.into()), "{taken}");
    let again: Value = {
        let answer = served.client.get(&url).bearer_auth(&token).send().await.expect("an answer");
        serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON")
    };
    assert_eq!(again["result"], *result);
    assert_eq!(put(0, head, right(), None).await.status(), 200, "a piece after the end");
    assert_eq!(served.bed.number("select count(*) from upload_piece").await, 0);
    served.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_answered_line_by_line() {
    let change = |config: &mut Config| config.settings.events.batch_max = 2;
    let Some(served) = Served::new("worklist", change).await else { return };
    let token = served.token("registry", &[Scope::Events], None).await;
    let request = served.client.post(format!("{}/v1/events", served.base)).bearer_auth(&token);
    let response = request.body("{\"id\":\"a\"}\n\nno json\n{\"id\":\"c\"}").send().await.expect("an answer");
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let text = response.text().await.expect("a body");
    assert_eq!(text.lines().filter(|l| serde_json::from_str::<Value>(l).is_ok()).count(), 3, "{text}");
    let none = served.client.post(format!("{}/v1/events", served.base)).bearer_auth(&token).send().await;
    assert_eq!(none.expect("an answer").text().await.expect("a body"), "");
    served.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_spoken_and_a_silent_caller_holds_nobody_up() {
    let folder = TempHome::new("t");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        let mine = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, mine).expect("mine alone");
        path
    };
    let (chain, key) =
        (file("chain.pem", made.cert.pem()), file("key.pem", made.signing_key.serialize_pem()));
    let tls = Tls::configured(Some(&chain), Some(&key)).expect("TLS");
    let app = http::health_router(AppState::metrics_only(Arc::new(sarf::telemetry::Metrics::new())));
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    let service = http::spawn_api(any, app, SEATS, tls).await.expect("listens");
    let address = service.address();
    // One that connects and says nothing, and one that does not speak TLS.
    let silent = tokio::net::TcpStream::connect(address).await.expect("connected");
    assert!(client().get(format!("http://{address}/healthz")).send().await.is_err());
    let trusted = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).expect("a certificate");
    let client = Client::builder()
        .no_proxy()
        .tls_certs_only([trusted])
        .resolve("localhost", address)
        .timeout(Duration::from_secs(5))
        .build()
        .expect("a client");
    let answer = client.get(format!("https://localhost:{}/healthz", address.port())).send().await;
    assert_eq!(answer.expect("an answer").text().await.expect("a body"), "ok\n");
    drop(silent);
    service.stop().await;
}
