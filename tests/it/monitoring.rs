//! What operations are told: rules that check, alerts that fire and are silent, a page for each, and no name that nobody shows.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use sarf::telemetry::Metrics;
use serde_json::Value;

use crate::harness::{Bed, Program, Registry, TempHome, eventually, without_tool};

const RULES: &str = "config/prometheus/sarf.rules.yml";
const TESTS: &str = "tests/prometheus/sarf.test.yml";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn text(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

fn yaml(file: &str) -> Value {
    serde_yaml_ng::from_str(&text(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// Rules of all groups: those with an alert's name, and the others.
fn rules() -> (Vec<Value>, Vec<Value>) {
    let groups = yaml(RULES)["groups"].as_array().expect("groups").clone();
    let all = groups.iter().flat_map(|group| group["rules"].as_array().expect("rules").clone());
    all.partition(|rule| rule["alert"].is_string())
}

fn promtool(args: &[&str]) {
    let Ok(ran) = Command::new("promtool").current_dir(root()).args(args).output() else {
        return without_tool("promtool", "promtool");
    };
    let said = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
    assert!(ran.status.success(), "promtool {args:?}: {said}");
}

#[test]
fn rules_check_and_each_alert_fires_and_is_silent() {
    promtool(&["check", "rules", RULES]);
    promtool(&["test", "rules", TESTS]);
    let tests = yaml(TESTS)["tests"].as_array().expect("tests").clone();
    let (alerts, _) = rules();
    for alert in &alerts {
        let name = alert["alert"].as_str().expect("a name");
        let of: Vec<&Value> = tests
            .iter()
            .flat_map(|test| test["alert_rule_test"].as_array().expect("cases"))
            .filter(|case| case["alertname"] == name)
            .collect();
        let fires = |case: &&&Value| case["exp_alerts"].as_array().is_some_and(|a| !a.is_empty());
        assert!(of.iter().any(|case| fires(&case)) && of.iter().any(|case| !fires(&case)), "{name}");
    }
}

#[test]
fn each_alert_leads_to_its_page() {
    let runbook = text("docs/runbook.md");
    let pages: BTreeSet<&str> = runbook.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let (alerts, _) = rules();
    let names: BTreeSet<&str> = alerts.iter().filter_map(|alert| alert["alert"].as_str()).collect();
    assert_eq!(pages, names, "one page for each alert");
    for alert in &alerts {
        let name = alert["alert"].as_str().expect("a name");
        assert!(matches!(alert["labels"]["severity"].as_str(), Some("page" | "ticket")), "{name}");
        for key in ["summary", "description"] {
            assert!(alert["annotations"][key].as_str().is_some_and(|text| text.len() > 15), "{name}: {key}");
        }
        let link = format!("docs/runbook.md#{}", name.to_lowercase());
        assert_eq!(alert["annotations"]["runbook_url"], link.as_str());
        let page =
            runbook.split("\n## ").find(|page| page.starts_with(&format!("{name}\n"))).expect("a page");
        for part in ["**Means**", "**Look**", "**Call**"] {
            assert!(page.contains(part) || page.contains("as above"), "{name}: {part}");
        }
    }
}

#[test]
fn commands_of_the_runbook_are_there() {
    let home = TempHome::new("rb");
    let program = Program::new(home.path());
    let runbook = text("docs/runbook.md");
    let mut commands: BTreeSet<Vec<&str>> = BTreeSet::new();
    for piece in runbook.split('`').skip(1).step_by(2).filter_map(|piece| piece.strip_prefix("sarf ")) {
        let is_word = |word: &&str| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        let words = piece.split_whitespace().take_while(is_word).filter(|word| !word.starts_with("--"));
        commands.insert(words.take(2).collect());
    }
    assert!(commands.len() > 10, "{commands:?}");
    for words in commands {
        program.ends(0, &format!("{} --help", words.join(" ")));
    }
}

/// Names that begin with `sarf_` in a text.
fn named(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let words =
        text.split(|c: char| !is_name(c)).filter(|word| word.starts_with("sarf_") && !word.contains(':'));
    let family = |word: &str| {
        let histogram = word.strip_suffix("_bucket").or_else(|| word.strip_suffix("_count"));
        histogram.unwrap_or(word).to_owned()
    };
    words.map(family).collect()
}

/// Fails where an expression names what nobody shows and no rule records.
pub fn known(expr: &str) {
    crate::matchers::check(expr);
    let shown: BTreeSet<String> = Metrics::new().families().iter().map(|f| f.name.clone()).collect();
    for name in named(expr) {
        assert!(shown.contains(&name), "{name} in `{expr}` is shown by nobody");
    }
    let (_, records) = rules();
    let recorded: BTreeSet<&str> = records.iter().filter_map(|rule| rule["record"].as_str()).collect();
    let words = expr.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':')));
    for word in
        words.filter(|word| word.contains(":sarf_") || word.starts_with("sarf_") && word.contains(':'))
    {
        assert!(recorded.contains(word), "{word} in `{expr}` is recorded by no rule");
    }
}

#[test]
fn what_rules_name_is_shown_and_documented() {
    let metrics = Metrics::new();
    let (alerts, records) = rules();
    for rule in alerts.iter().chain(&records) {
        known(rule["expr"].as_str().expect("an expression"));
    }
    let mut page = String::from(
        "# Metrics\n\nAll families that sarf shows at `/metrics`, written from the registry by a test; those of the process itself \
         (`process_*`) are as in every program. Labels hold codes of configuration and of the program, never anything personal.\n\n\
         | family | kind | labels | meaning |\n|---|---|---|---|\n",
    );
    for family in metrics.families() {
        // Prometheus gives its targets these, and renames ours: an expression that asks for ours would find nothing.
        let taken = family.labels.iter().find(|label| ["job", "instance"].contains(&label.as_str()));
        assert!(taken.is_none(), "{}: {taken:?}", family.name);
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let row =
            format!("| `{}` | {} | {} | {} |\n", family.name, family.kind, labels.join(", "), family.help);
        page.push_str(&row);
    }
    let path = root().join("docs/metrics.md");
    if std::env::var_os("SARF_TEST_RENEW_METRICS").is_some() {
        fs::write(&path, &page).expect("written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, page, "docs/metrics.md is written anew by SARF_TEST_RENEW_METRICS=1");
}

/// A program of Debian's that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
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

/// What came to the pager: alerts with whether they fire.
type Told = Arc<Mutex<Vec<(String, String)>>>;

async fn pager(told: Told) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let take = move |body: axum::body::Bytes| {
        let told = Arc::clone(&told);
        async move {
            let body: Value = serde_json::from_slice(&body).expect("JSON");
            for alert in body["alerts"].as_array().expect("alerts") {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                told.lock()
                    .expect("no panic")
                    .push((text(&alert["labels"]["alertname"]), text(&alert["status"])));
            }
        }
    };
    let app = axum::Router::new().fallback(axum::routing::post(take));
    tokio::spawn(async move { axum::serve(listener, app).await });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_reaches_the_pager_and_clears() {
    let Some(bed) = Bed::new().await else { return };
    let told = Told::default();
    let hook = pager(Arc::clone(&told)).await;
    let (pages, prometheus, alertmanager) = (free_port(), free_port(), free_port());
    let folder = bed.home().join("monitor");
    fs::create_dir_all(&folder).expect("a folder");
    // As delivered, but for the addresses and the waits.
    let config = text("config/prometheus/prometheus.yml")
        .replace("15s", "1s")
        .replace("9465", &pages.to_string())
        .replace("9093", &alertmanager.to_string())
        .replace("sarf.rules.yml", &root().join(RULES).display().to_string());
    fs::write(folder.join("prometheus.yml"), config).expect("written");
    let routes = text("config/prometheus/alertmanager.yml")
        .replace("9499", &hook.to_string())
        .replace("group_wait: 10s", "group_wait: 1s")
        .replace("group_interval: 5m", "group_interval: 1s");
    fs::write(folder.join("alertmanager.yml"), routes).expect("written");
    let listen = |port: u16| format!("--web.listen-address=127.0.0.1:{port}");
    let (store, own) = (folder.join("tsdb"), folder.join("am"));
    let running = [
        start(
            Command::new("prometheus")
                .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
                .arg(format!("--storage.tsdb.path={}", store.display()))
                .arg(listen(prometheus)),
        ),
        start(
            Command::new("prometheus-alertmanager")
                .arg(format!("--config.file={}", folder.join("alertmanager.yml").display()))
                .arg(format!("--storage.path={}", own.display()))
                .args([&listen(alertmanager), "--cluster.listen-address="]),
        ),
    ];
    if running.iter().any(Option::is_none) {
        return without_tool("prometheus and prometheus-alertmanager", "prometheus prometheus-alertmanager");
    }
    let program = Program { url: Some(bed.url()), ..Program::new(bed.home()) };
    let pages = format!("127.0.0.1:{pages}");
    let _serve = start(&mut program.command(&["serve", "--listen", "127.0.0.1:0", "--pages", &pages]));
    let break_of = "insert into break (kind, dedup_key, amount, detail, opened_at) values ('booked_twice', 'x', 100, 'x', now())";
    bed.write(break_of).await.expect("a break");
    let seen = |status: &str| {
        let told = told.lock().expect("no panic");
        told.iter().any(|(alert, is)| alert == "SarfMoneyBookedTwice" && is == status)
    };
    eventually("the alert fires", async || seen("firing")).await;
    bed.write("update break set resolved_at = now(), resolved_by = 'amina', resolution = 'x'")
        .await
        .expect("resolved");
    eventually("it clears", async || seen("resolved")).await;
    drop(running);
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_follow_the_month() {
    let Some(bed) = Bed::new().await else { return };
    let shown = async |line: &str| {
        sarf::engine::gauges::count(&bed.context).await.expect("counted");
        let text = bed.context.telemetry.metrics.render();
        assert!(text.lines().any(|have| have.starts_with(line)), "no `{line}` in\n{text}");
    };
    shown("sarf_ledger_out_of_balance_centimes 0").await;
    shown("sarf_recovery_appeals_overdue{programme=\"dss\"} 0").await;
    shown("sarf_breaks{kind=\"booked_twice\"} 0").await;
    shown("sarf_cutoff_seconds{provider=\"awb\"} ").await;
    let mut registry = Registry::default();
    registry.household();
    let list = bed.home().join("list");
    registry.write(&list);
    let run = bed.create(bed.import(&list).await).await;
    shown("sarf_runs{kind=\"regular\",programme=\"dss\",state=\"computed\"} 1").await;
    shown("sarf_run_oldest_seconds{").await;
    bed.take_to(run, sarf::domain::run::RunState::Dispatching).await;
    shown("sarf_batches_to_leave{programme=\"dss\",provider=\"awb\"} 1").await;
    bed.take_to(run, sarf::domain::run::RunState::Settling).await;
    shown("sarf_orders{lane=\"file\",programme=\"dss\",provider=\"awb\",state=\"sent\"} 1").await;
    shown("sarf_arrivals_awaited{awaited=\"acknowledgement\",from=\"awb\"} 1").await;
    shown("sarf_arrivals_late{awaited=\"acknowledgement\",from=\"awb\"} 0").await;
    let text = bed.context.telemetry.metrics.render();
    assert!(!text.contains("sarf_batches_to_leave{"), "an emptied cell is gone");
    bed.end().await;
}
