//! The dead-alert gate: a real Prometheus scrapes a real demo, and every figure that a rule, dashboard, console or page of the runbook
//! asks for is there; every panel's query returns data.
//!
//! What a demo cannot show is listed with why; an entry that returns data after all fails too.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{TempHome, without_tool};

/// Figures that a demo cannot show, by the beginning of their selector, and why.
const NOT_IN_A_DEMO: &[(&str, &str)] = &[
    (
        "sarf_deliveries",
        "banks have no server in a demo: its files lie in the outbox (scenarios of `exchange` show it)",
    ),
    ("sarf_job_last_success_timestamp_seconds{task=\"exchange\"", "the same"),
    ("sarf_key_expiry_seconds", "the same: no keys"),
    ("sarf_token_expiry_seconds", "nobody has a token"),
    (
        "sarf_job_last_success_timestamp_seconds{task=\"feedback_watch\"",
        "messages are imported by the demo itself",
    ),
    ("sarf_unconfirmed_orders", "all is confirmed before its value date is two days past"),
];

/// Figures of what passes by in a demo: seen or not, as the scrapes fall.
const PASSES_BY: &[(&str, &str)] = &[
    (
        "sarf_batches_to_leave",
        "files leave within a second of their release (`figures_follow_the_month` shows it)",
    ),
    (
        "sarf_run_oldest_seconds{state=~\"computed",
        "nobody lets a run wait (`figures_follow_the_month` shows it)",
    ),
    ("sarf_waiting_oldest_seconds", "nor a file"),
    ("sarf_stream_oldest_seconds", "nor an order"),
];

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // A demo's own end stops what it started.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

fn start(command: &mut Command) -> Option<Running> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok().map(Running)
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// What an expression selects: names, each with the matchers in its braces.
fn selectors(expr: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let mut found = BTreeSet::new();
    let mut at = 0;
    while let Some(from) = expr[at..].find(|c: char| is_name(c) && !c.is_ascii_digit()) {
        let from = at + from;
        let end = expr[from..].find(|c| !is_name(c)).map_or(expr.len(), |n| from + n);
        at = end;
        let name = &expr[from..end];
        if !name.contains("sarf_") {
            continue;
        }
        let braces =
            expr[end..].strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(within, _)| within);
        found.insert(braces.map_or_else(|| name.to_owned(), |within| format!("{name}{{{within}}}")));
    }
    found
}

/// All that is asked for: where, and the selector.
fn asked() -> BTreeSet<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| fs::read_to_string(root.join(file)).expect("a file of the tree");
    let mut found = BTreeSet::new();
    let rules: Value = serde_yaml_ng::from_str(&read("config/prometheus/sarf.rules.yml")).expect("YAML");
    for group in rules["groups"].as_array().expect("groups") {
        for rule in group["rules"].as_array().expect("rules") {
            let name = rule["alert"].as_str().or(rule["record"].as_str()).expect("a name");
            let expr = rule["expr"].as_str().expect("an expression");
            found.extend(selectors(expr).into_iter().map(|s| (format!("rule {name}"), s)));
        }
    }
    for (title, expr) in panels() {
        found.extend(selectors(&expr).into_iter().map(|s| (format!("panel {title}"), s)));
    }
    for file in ["config/prometheus/consoles/month.html", "config/prometheus/consoles/providers.html"] {
        let text = read(file);
        for query in text
            .split("query ")
            .skip(1)
            .filter_map(|rest| rest.trim_start_matches("(printf ").split('"').nth(1))
        {
            // What is filled in is a value of a label that another query gave.
            let names =
                selectors(query).into_iter().map(|s| s.split('{').next().unwrap_or_default().to_owned());
            found.extend(names.map(|s| (file.to_owned(), s)));
        }
    }
    for piece in read("docs/runbook.md").split('`').skip(1).step_by(2) {
        found.extend(selectors(piece).into_iter().map(|s| ("docs/runbook.md".to_owned(), s)));
    }
    found
}

fn panels() -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/grafana/dashboards.toml");
    let source: toml::Table = fs::read_to_string(path).expect("the source").parse().expect("TOML");
    let mut found = Vec::new();
    for dashboard in source["dashboard"].as_array().expect("dashboards") {
        for panel in dashboard["panels"].as_array().expect("panels") {
            let text = |key: &str| panel[key].as_str().expect("text").to_owned();
            let title = format!("{}: {}", dashboard["title"].as_str().expect("text"), text("title"));
            found.push((title, text("expr").replace("$programme", ".*")));
        }
    }
    found
}

/// Whether Prometheus has seen anything of an expression since the test began.
async fn returns(client: &reqwest::Client, base: &str, expr: &str, began: i64) -> bool {
    let now = sarf::clock::Clock::system().now().unix_timestamp() + 1;
    let url = reqwest::Url::parse_with_params(
        &format!("{base}/api/v1/query_range"),
        [("query", expr), ("start", &began.to_string()), ("end", &now.to_string()), ("step", "1")],
    );
    let answer = client.get(url.expect("an address")).send().await.expect("Prometheus answers");
    let answer: Value = serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON");
    assert_eq!(answer["status"], "success", "{expr}: {answer}");
    !answer["data"]["result"].as_array().expect("series").is_empty()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_figure_that_is_asked_for_is_in_a_demo() {
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let home = TempHome::new("ds");
    let (demo, serve, prometheus) = (free_port(), free_port(), free_port());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [\"{}\"]\nscrape_configs:\n\
         - job_name: sarf\n  static_configs: [{{ targets: [\"127.0.0.1:{demo}\", \"127.0.0.1:{serve}\"] }}]\n",
        root.join("config/prometheus/sarf.rules.yml").display()
    );
    let file = home.path().join("prometheus.yml");
    fs::write(&file, config).expect("written");
    let began = sarf::clock::Clock::system().now().unix_timestamp() - 1;
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", home.path().join("tsdb").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{prometheus}"));
    let Some(_prometheus) = start(&mut command) else { return without_tool("prometheus", "prometheus") };
    // The program as it is delivered, on a server of its own.
    let sarf = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sarf"));
        command.env_remove("DATABASE_URL").env("SARF_HOME", home.path().join("var"));
        command.env("SARF_CONFIG", root.join("config")).stdin(Stdio::null()).args(args);
        command
    };
    let metrics = format!("127.0.0.1:{demo}");
    let ran =
        sarf(&["demo", "--households", "1500", "--metrics-addr", &metrics]).output().expect("it starts");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let pages = format!("127.0.0.1:{serve}");
    let _serve = start(&mut sarf(&["--demo", "serve", "--listen", "127.0.0.1:0", "--pages", &pages]))
        .expect("it starts");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let base = format!("http://127.0.0.1:{prometheus}");
    let up = format!("up{{instance=\"127.0.0.1:{serve}\"}} == 1");
    for attempt in 0.. {
        assert!(attempt < 100, "the service is never scraped");
        tokio::time::sleep(Duration::from_millis(300)).await;
        if returns(&client, &base, &up, began).await {
            break;
        }
    }
    // Rates need two scrapes, rules an evaluation more.
    tokio::time::sleep(Duration::from_secs(4)).await;

    all_is_there(&client, &base, began).await;
}

/// All that is asked for has been seen, but for what is excused.
async fn all_is_there(client: &reqwest::Client, base: &str, began: i64) {
    let excused =
        |name: &str| NOT_IN_A_DEMO.iter().chain(PASSES_BY).find(|(start, _)| name.starts_with(start));
    let (mut missing, mut excuses) = (Vec::new(), BTreeSet::new());
    for (place, selector) in asked() {
        let there = returns(client, base, &selector, began).await;
        match (there, excused(&selector)) {
            (false, None) => missing.push(format!("{place}: {selector}")),
            (false, Some((start, _))) => {
                excuses.insert(*start);
            }
            (true, _) => {}
        }
    }
    for (title, expr) in panels() {
        let alone = selectors(&expr).iter().all(|selector| excused(selector).is_none());
        if alone && !returns(client, base, &expr, began).await {
            missing.push(format!("panel {title} shows nothing: {expr}"));
        }
    }
    let idle: Vec<&str> =
        NOT_IN_A_DEMO.iter().map(|(start, _)| *start).filter(|s| !excuses.contains(s)).collect();
    assert!(
        missing.is_empty() && idle.is_empty(),
        "not in a demo:\n{}\nno longer true: {idle:?}",
        missing.join("\n")
    );
}
