//! The Prometheus registry: every figure that `/metrics` shows.
//!
//! Input: counts and states from the engine. Output: the text exposition, format 0.0.4.
//! Guarantee: names begin with `sarf_`, carry base units, and pass `promtool check metrics`; every label's values come
//! from configuration (programmes, providers) or from the code (stages, states, reasons), never from data, so that the
//! number of series is bounded and nothing personal can appear.
//! Limit: amounts are whole centimes, exact up to 2^53 of them (90 million million MAD), as Prometheus keeps doubles.

use std::time::Duration;

use prometheus::{Encoder, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder};
use time::OffsetDateTime;

use super::families::{Families, Family};
use super::gauges::{Cells, Gauges};
use super::labels::{Direction, Job};

/// Upper bounds of stage durations, in seconds: from a page's wait to a night's work.
const STAGE_BUCKETS_SECONDS: [f64; 16] =
    [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0];

/// Upper bounds of calls to providers, in seconds: from loopback to a time-out.
const CALL_BUCKETS_SECONDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Handles to every family, in one registry. Shared by `Arc`, passed in; each call is an atomic step or a short lock.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    families: Vec<Family>,
    stage_rows: IntGaugeVec,
    stage_rows_total: IntCounterVec,
    stage_active: IntGaugeVec,
    stage_seconds: HistogramVec,
    files: IntCounterVec,
    file_bytes: IntCounterVec,
    rejections: IntCounterVec,
    feedback: IntCounterVec,
    stream_calls: IntCounterVec,
    stream_seconds: HistogramVec,
    unusual_changes: IntCounterVec,
    gauges: Gauges,
    last_success: IntGaugeVec,
    http_requests: IntCounterVec,
    http_seconds: HistogramVec,
    breaker: IntGaugeVec,
    events: IntCounterVec,
    pool: IntGaugeVec,
    ready: IntGauge,
    audit_records: IntGauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// A new registry with all families, `sarf_build_info`, and the process's own figures.
    pub fn new() -> Self {
        let families = Families::default();
        families.process();
        let r = &families;
        let mut metrics = Self {
            stage_rows: r.gauges("stage_progress_rows",
                "Rows done by the stage's present or last pass.",
                &["stage"],
            ),
            stage_rows_total: r.counters("stage_rows_total",
                "Rows done by the stage since start.",
                &["stage"],
            ),
            stage_active: r.gauges("stage_active", "Passes of the stage that run now.", &["stage"]),
            stage_seconds: r.histograms("stage_duration_seconds",
                "How long passes of the stage took.",
                &["stage"],
                &STAGE_BUCKETS_SECONDS,
            ),
            files: r.counters("files_total", "Files written or read.", &["direction", "kind", "provider"]),
            file_bytes: r.counters("file_bytes_total",
                "Bytes of files written or read.",
                &["direction", "kind", "provider"],
            ),
            rejections: r.counters("rejections_total", "Input rows rejected.", &["part", "reason"]),
            feedback: r.counters("feedback_entries_total",
                "Feedback entries by what became of them.",
                &["kind", "result"],
            ),
            stream_calls: r.counters("stream_calls_total",
                "Calls to providers of the stream lane, by how they ended.",
                &["provider", "call", "result"],
            ),
            stream_seconds: r.histograms("stream_call_seconds",
                "How long calls to providers took.",
                &["provider", "call"],
                &CALL_BUCKETS_SECONDS,
            ),
            unusual_changes: r.counters("account_changes_held_total",
                "Changes of account by events whose orders are held: shared accounts, too many of a sender, in a commune.",
                &["by"],
            ),
            gauges: Gauges::register(r),
            last_success: r.gauges("job_last_success_timestamp_seconds",
                "When the job last did what it is for; when it began, until then.",
                &["task"],
            ),
            http_requests: r.counters("http_requests_total",
                "Requests to our own API, by how they were answered.",
                &["route", "code"],
            ),
            http_seconds: r.histograms("http_request_seconds",
                "How long requests to our own API took.",
                &["route"],
                &CALL_BUCKETS_SECONDS,
            ),
            breaker: r.gauges("stream_breaker_state",
                "Whether calls are made to a provider: 0 they are, 1 one is tried, 2 it failed too often and is left alone.",
                &["provider"],
            ),
            events: r.counters("events_total",
                "Events of the registry, by what became of them.",
                &["outcome"],
            ),
            pool: r.gauges("db_pool_connections", "Connections of the database pool.", &["state"]),
            ready: r.gauge("ready", "1 where the last readiness check passed, else 0."),
            audit_records: r.gauge("audit_records",
                "Records of the audit chain: a number that falls is a chain that was cut.",
            ),
            registry: Registry::new(),
            families: Vec::new(),
        };
        (metrics.registry, metrics.families) = families.done();
        metrics.start_at_zero();
        metrics
    }

    /// Shows a family of [`GAUGES`](super::gauges::GAUGES) as it was counted just now.
    pub fn show(&self, family: &str, cells: Cells) {
        self.gauges.show(family, cells);
    }

    /// A periodic job begins: from now on it is known how long it has not succeeded.
    pub fn begins(&self, job: Job, now: OffsetDateTime) {
        let cell = self.last_success.with_label_values(&[job.as_str()]);
        if cell.get() == 0 {
            cell.set(now.unix_timestamp());
        }
    }

    /// A periodic job did what it is for.
    pub fn succeeded(&self, job: Job, now: OffsetDateTime) {
        self.last_success.with_label_values(&[job.as_str()]).set(now.unix_timestamp());
    }

    /// Counts a request to our own API: its route, the status it was answered with, and its time.
    pub fn add_request(&self, route: &str, code: u16, took: Duration) {
        self.http_requests.with_label_values(&[route, &code.to_string()]).inc();
        self.http_seconds.with_label_values(&[route]).observe(took.as_secs_f64());
    }

    /// Sets where a provider's circuit breaker stands: 0 closed, 1 half-open, 2 open.
    pub fn set_breaker(&self, provider: &str, level: i64) {
        self.breaker.with_label_values(&[provider]).set(level);
    }

    /// Routes of our own API that will be counted: they stand at zero from now on.
    pub fn expect_requests(&self, routes: &[&str]) {
        for route in routes {
            for code in ["200", "500", "503"] {
                self.http_requests.with_label_values(&[*route, code]);
            }
        }
    }

    /// A provider that will be called: its calls stand at zero from now on.
    pub fn expect_calls(&self, provider: &str) {
        for call in ["put", "put_again", "enquire", "changes"] {
            for result in ["answered", "busy", "unreachable", "refused", "lost"] {
                self.stream_calls.with_label_values(&[provider, call, result]);
            }
        }
        self.set_breaker(provider, 0);
    }

    /// Counts events by what became of them.
    pub fn add_events(&self, outcome: &str, events: u64) {
        self.events.with_label_values(&[outcome]).inc_by(events);
    }

    /// Counts a file of `kind` (`pain.001`, `camt.054`, `snapshot`, …) exchanged with `provider`.
    pub fn add_file(&self, direction: Direction, kind: &str, provider: &str, bytes: u64) {
        let labels = [direction.label(), kind, provider];
        self.files.with_label_values(&labels).inc();
        self.file_bytes.with_label_values(&labels).inc_by(bytes);
    }

    /// Counts `rows` rejected in `part` of the input (`households`, `members`, …) for `reason` (a code).
    pub fn add_rejections(&self, part: &str, reason: &str, rows: u64) {
        self.rejections.with_label_values(&[part, reason]).inc_by(rows);
    }

    /// Counts changes of account that are held, by what there were too many of.
    pub fn add_unusual_changes(&self, by: &str, changes: u64) {
        self.unusual_changes.with_label_values(&[by]).inc_by(changes);
    }

    /// Counts `entries` of feedback of `kind` (`pain.002`, …) with `result` (`applied`, `duplicate`, `unmatched`, …).
    pub fn add_feedback(&self, kind: &str, result: &str, entries: u64) {
        self.feedback.with_label_values(&[kind, result]).inc_by(entries);
    }

    /// Counts a call to a provider (`put`, `enquire`, …) that ended as `result` (`answered`, `lost`, …), and its time.
    pub fn add_stream_call(&self, provider: &str, call: &str, result: &str, took: Duration) {
        self.stream_calls.with_label_values(&[provider, call, result]).inc();
        self.stream_seconds.with_label_values(&[provider, call]).observe(took.as_secs_f64());
    }

    /// Sets the pool's connections: those in use, and those that wait for work.
    pub fn set_pool(&self, in_use: u64, idle: u64) {
        self.pool.with_label_values(&["in_use"]).set(gauge_value(in_use));
        self.pool.with_label_values(&["idle"]).set(gauge_value(idle));
    }

    /// Sets how many records the audit chain has.
    pub fn set_audit_records(&self, records: i64) {
        self.audit_records.set(records);
    }

    /// Records whether the last readiness check passed.
    pub fn set_ready(&self, ready: bool) {
        self.ready.set(i64::from(ready));
    }

    /// All families of this program, in order of name; the process's own are not among them.
    pub fn families(&self) -> &[Family] {
        &self.families
    }

    /// The exposition, text format 0.0.4, families in order of name.
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut text)
            .expect("families are valid and memory holds them");
        String::from_utf8(text).expect("the text format is UTF-8")
    }

    /// A pass of `stage` begins: its progress starts at zero.
    pub(super) fn stage_started(&self, stage: &str) -> StageMetrics {
        let labels = [stage];
        let handles = StageMetrics {
            rows: self.stage_rows.with_label_values(&labels),
            rows_total: self.stage_rows_total.with_label_values(&labels),
            active: self.stage_active.with_label_values(&labels),
            seconds: self.stage_seconds.with_label_values(&labels),
        };
        handles.rows.set(0);
        handles.active.inc();
        handles
    }

    /// Cells that an alert looks at exist from the first scrape.
    fn start_at_zero(&self) {
        self.set_pool(0, 0);
        for outcome in ["taken", "already", "held", "refused"] {
            self.add_events(outcome, 0);
        }
        for by in ["account", "sender", "commune"] {
            self.add_unusual_changes(by, 0);
        }
    }
}

/// One stage's handles, looked up once.
#[derive(Debug)]
pub(super) struct StageMetrics {
    rows: IntGauge,
    rows_total: prometheus::IntCounter,
    active: IntGauge,
    seconds: prometheus::Histogram,
}

impl StageMetrics {
    pub(super) fn add(&self, rows: u64) {
        self.rows.add(gauge_value(rows));
        self.rows_total.inc_by(rows);
    }

    pub(super) fn finished(&self, took: Duration) {
        self.active.dec();
        self.seconds.observe(took.as_secs_f64());
    }
}

fn gauge_value(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    fn filled() -> Metrics {
        let metrics = Metrics::new();
        let cell = |labels: &[&str], value| (labels.iter().map(ToString::to_string).collect(), value);
        metrics.show("orders", vec![cell(&["dss", "011", "file", "settled"], 3)]);
        metrics.show("orders_centimes", vec![cell(&["dss", "011", "file", "settled"], 150_000)]);
        metrics.add_file(Direction::Out, "pain.001", "011", 4096);
        metrics.add_rejections("households", "idcs_check_digit", 2);
        metrics.show("holds", vec![cell(&["duplicate_account"], 7)]);
        metrics.show("breaks_oldest_seconds", vec![cell(&["unmatched_entry"], 3600)]);
        metrics.add_request("/v1/events", 200, Duration::from_millis(3));
        metrics.succeeded(Job::Gauges, time::macros::datetime!(2026-11-24 09:00 UTC));
        metrics.add_feedback("pain.002", "applied", 5);
        metrics.set_pool(2, 3);
        metrics.set_audit_records(12);
        let stage = metrics.stage_started("entitle");
        stage.add(10);
        stage.finished(Duration::from_millis(1500));
        metrics
    }

    #[test]
    fn each_family_renders_with_its_labels() {
        let text = filled().render();
        let check = |line: &str| assert!(text.lines().any(|have| have == line), "no `{line}` in\n{text}");
        check("sarf_orders{lane=\"file\",programme=\"dss\",provider=\"011\",state=\"settled\"} 3");
        check(
            "sarf_orders_centimes{lane=\"file\",programme=\"dss\",provider=\"011\",state=\"settled\"} 150000",
        );
        check("sarf_files_total{direction=\"out\",kind=\"pain.001\",provider=\"011\"} 1");
        check("sarf_file_bytes_total{direction=\"out\",kind=\"pain.001\",provider=\"011\"} 4096");
        check("sarf_rejections_total{part=\"households\",reason=\"idcs_check_digit\"} 2");
        check("sarf_holds{reason=\"duplicate_account\"} 7");
        check("sarf_breaks_oldest_seconds{kind=\"unmatched_entry\"} 3600");
        check("sarf_feedback_entries_total{kind=\"pain.002\",result=\"applied\"} 5");
        check("sarf_db_pool_connections{state=\"in_use\"} 2");
        check("sarf_stage_progress_rows{stage=\"entitle\"} 10");
        check("sarf_stage_rows_total{stage=\"entitle\"} 10");
        check("sarf_stage_active{stage=\"entitle\"} 0");
        check("sarf_stage_duration_seconds_bucket{stage=\"entitle\",le=\"1\"} 0");
        check("sarf_stage_duration_seconds_bucket{stage=\"entitle\",le=\"2.5\"} 1");
        check("sarf_http_requests_total{code=\"200\",route=\"/v1/events\"} 1");
        check("sarf_job_last_success_timestamp_seconds{task=\"gauges\"} 1795510800");
        check("sarf_ready 0");
        check("sarf_audit_records 12");
        check(concat!("sarf_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"));
    }

    #[test]
    fn promtool_finds_nothing_to_say() {
        let promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut promtool) = promtool else {
            return crate::testing::without_tool("promtool", "promtool");
        };
        let mut input = promtool.stdin.take().expect("piped");
        input.write_all(filled().render().as_bytes()).expect("written");
        drop(input);
        let said = promtool.wait_with_output().expect("ended");
        let text = [said.stdout, said.stderr].concat();
        assert!(said.status.success() && text.is_empty(), "{}", String::from_utf8_lossy(&text));
    }
}
