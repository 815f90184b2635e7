//! The Prometheus registry: every figure that `/metrics` shows.
//!
//! Input: counts and states from the engine. Output: the text exposition, format 0.0.4.
//! Guarantee: names begin with `sarf_`, carry base units, and pass `promtool check metrics`; every label's values come
//! from configuration (programmes, providers) or from the code (stages, states, reasons), never from data, so that the
//! number of series is bounded and nothing personal can appear.
//! Limit: amounts are whole centimes, exact up to 2^53 of them (90 million million MAD), as Prometheus keeps doubles.

use std::time::Duration;

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::domain::money::Centimes;

/// Upper bounds of stage durations, in seconds: from a page's wait to a night's work.
const STAGE_BUCKETS_SECONDS: [f64; 16] =
    [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0];

/// Upper bounds of calls to providers, in seconds: from loopback to a time-out.
const CALL_BUCKETS_SECONDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Which way a file went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To a bank.
    Out,
    /// From a bank or the registry.
    In,
}

impl Direction {
    fn label(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::In => "in",
        }
    }
}

/// Handles to every family, in one registry. Shared by `Arc`, passed in; each call is an atomic step or a short lock.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    stage_rows: IntGaugeVec,
    stage_rows_total: IntCounterVec,
    stage_active: IntGaugeVec,
    stage_seconds: HistogramVec,
    orders: IntGaugeVec,
    orders_centimes: IntGaugeVec,
    files: IntCounterVec,
    file_bytes: IntCounterVec,
    rejections: IntCounterVec,
    holds: IntGaugeVec,
    breaks: IntGaugeVec,
    breaks_oldest: IntGaugeVec,
    recovery_cases: IntGaugeVec,
    recovery_outstanding: IntGaugeVec,
    appeals_overdue: IntGaugeVec,
    feedback: IntCounterVec,
    stream_calls: IntCounterVec,
    stream_seconds: HistogramVec,
    stream_waiting: IntGaugeVec,
    unusual_changes: IntCounterVec,
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
        let registry = Registry::new();
        register_process(&registry);
        let r = &registry;
        let metrics = Self {
            stage_rows: gauges(
                r,
                "stage_progress_rows",
                "Rows done by the stage's present or last pass.",
                &["stage"],
            ),
            stage_rows_total: counters(
                r,
                "stage_rows_total",
                "Rows done by the stage since start.",
                &["stage"],
            ),
            stage_active: gauges(r, "stage_active", "Passes of the stage that run now.", &["stage"]),
            stage_seconds: histograms(
                r,
                "stage_duration_seconds",
                "How long passes of the stage took.",
                &["stage"],
                &STAGE_BUCKETS_SECONDS,
            ),
            orders: gauges(r, "orders", "Payment orders by state.", &["programme", "provider", "state"]),
            orders_centimes: gauges(
                r,
                "orders_centimes",
                "Amount of payment orders by state, in centimes of dirham.",
                &["programme", "provider", "state"],
            ),
            files: counters(r, "files_total", "Files written or read.", &["direction", "kind", "provider"]),
            file_bytes: counters(
                r,
                "file_bytes_total",
                "Bytes of files written or read.",
                &["direction", "kind", "provider"],
            ),
            rejections: counters(r, "rejections_total", "Input rows rejected.", &["part", "reason"]),
            holds: gauges(r, "holds", "Orders on hold.", &["reason"]),
            breaks: gauges(r, "breaks", "Reconciliation breaks that are open.", &["kind"]),
            breaks_oldest: gauges(
                r,
                "breaks_oldest_seconds",
                "Age of the oldest open break of the kind, 0 without one.",
                &["kind"],
            ),
            recovery_cases: gauges(r, "recovery_cases", "Recovery cases by state.", &["programme", "state"]),
            recovery_outstanding: gauges(
                r,
                "recovery_outstanding_centimes",
                "What is outstanding of recovery cases by state, in centimes of dirham.",
                &["programme", "state"],
            ),
            appeals_overdue: gauges(
                r,
                "recovery_appeals_overdue",
                "Complaints and appeals that the programme has not answered in time.",
                &["programme"],
            ),
            feedback: counters(
                r,
                "feedback_entries_total",
                "Feedback entries by what became of them.",
                &["kind", "result"],
            ),
            stream_calls: counters(
                r,
                "stream_calls_total",
                "Calls to providers of the stream lane, by how they ended.",
                &["provider", "call", "result"],
            ),
            stream_seconds: histograms(
                r,
                "stream_call_seconds",
                "How long calls to providers took.",
                &["provider", "call"],
                &CALL_BUCKETS_SECONDS,
            ),
            stream_waiting: gauges(
                r,
                "stream_waiting",
                "Shards not worked off, and orders to ask about (unknown, pending).",
                &["provider", "kind"],
            ),
            unusual_changes: counters(
                r,
                "account_changes_held_total",
                "Changes of account by events whose orders are held: shared accounts, too many of a sender, in a commune.",
                &["by"],
            ),
            pool: gauges(r, "db_pool_connections", "Connections of the database pool.", &["state"]),
            ready: gauge(r, "ready", "1 where the last readiness check passed, else 0."),
            audit_records: gauge(
                r,
                "audit_records",
                "Records of the audit chain: a number that falls is a chain that was cut.",
            ),
            registry,
        };
        metrics.start_at_zero();
        metrics
    }

    /// Sets one cell of the order book: `count` orders worth `amount`, in the state given.
    pub fn set_orders(&self, programme: &str, provider: &str, state: &str, count: u64, amount: Centimes) {
        let labels = [programme, provider, state];
        self.orders.with_label_values(&labels).set(gauge_value(count));
        self.orders_centimes.with_label_values(&labels).set(amount.get());
    }

    /// Forgets all cells of the order book, before it is written anew: emptied states must not linger.
    pub fn clear_orders(&self) {
        self.orders.reset();
        self.orders_centimes.reset();
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

    /// Sets how many orders are on hold for `reason`.
    pub fn set_holds(&self, reason: &str, orders: u64) {
        self.holds.with_label_values(&[reason]).set(gauge_value(orders));
    }

    /// Counts changes of account that are held, by what there were too many of.
    pub fn add_unusual_changes(&self, by: &str, changes: u64) {
        self.unusual_changes.with_label_values(&[by]).inc_by(changes);
    }

    /// Sets how many recovery cases of a programme stand in a state, and what is outstanding of them.
    pub fn set_recovery(&self, programme: &str, state: &str, cases: u64, outstanding: Centimes) {
        self.recovery_cases.with_label_values(&[programme, state]).set(gauge_value(cases));
        self.recovery_outstanding.with_label_values(&[programme, state]).set(outstanding.get());
    }

    /// Sets how many complaints and appeals of a programme are overdue.
    pub fn set_appeals_overdue(&self, programme: &str, cases: u64) {
        self.appeals_overdue.with_label_values(&[programme]).set(gauge_value(cases));
    }

    /// Sets how many breaks of `kind` are open, and for how many seconds the oldest has been.
    pub fn set_breaks(&self, kind: &str, open: u64, oldest_s: u64) {
        self.breaks.with_label_values(&[kind]).set(gauge_value(open));
        self.breaks_oldest.with_label_values(&[kind]).set(gauge_value(oldest_s));
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

    /// Sets how much of `kind` (`shards`, `unknown`, `pending`) waits at a provider.
    pub fn set_stream_waiting(&self, provider: &str, kind: &str, waiting: u64) {
        self.stream_waiting.with_label_values(&[provider, kind]).set(gauge_value(waiting));
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

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    let family =
        IntGaugeVec::new(Opts::new(name, help).namespace("sarf"), labels).expect("a constant, valid name");
    registry.register(Box::new(family.clone())).expect("each name is registered once");
    family
}

fn gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    let family =
        IntGauge::with_opts(Opts::new(name, help).namespace("sarf")).expect("a constant, valid name");
    registry.register(Box::new(family.clone())).expect("each name is registered once");
    family
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    let family =
        IntCounterVec::new(Opts::new(name, help).namespace("sarf"), labels).expect("a constant, valid name");
    registry.register(Box::new(family.clone())).expect("each name is registered once");
    family
}

fn histograms(registry: &Registry, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
    let options = HistogramOpts::new(name, help).namespace("sarf").buckets(buckets.to_vec());
    let family = HistogramVec::new(options, labels).expect("a constant, valid name");
    registry.register(Box::new(family.clone())).expect("each name is registered once");
    family
}

fn register_process(registry: &Registry) {
    let info = gauges(registry, "build_info", "1, with the version of the program as a label.", &["version"]);
    info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    #[cfg(target_os = "linux")]
    registry
        .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
        .expect("registered once");
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    fn filled() -> Metrics {
        let metrics = Metrics::new();
        metrics.set_orders("dss", "011", "settled", 3, Centimes::from_mad(1500));
        metrics.add_file(Direction::Out, "pain.001", "011", 4096);
        metrics.add_rejections("households", "idcs_check_digit", 2);
        metrics.set_holds("duplicate_account", 7);
        metrics.set_breaks("unmatched_entry", 1, 3600);
        metrics.set_recovery("dss", "receivable", 4, Centimes::from_mad(70));
        metrics.set_appeals_overdue("dss", 1);
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
        check("sarf_orders{programme=\"dss\",provider=\"011\",state=\"settled\"} 3");
        check("sarf_orders_centimes{programme=\"dss\",provider=\"011\",state=\"settled\"} 150000");
        check("sarf_files_total{direction=\"out\",kind=\"pain.001\",provider=\"011\"} 1");
        check("sarf_file_bytes_total{direction=\"out\",kind=\"pain.001\",provider=\"011\"} 4096");
        check("sarf_rejections_total{part=\"households\",reason=\"idcs_check_digit\"} 2");
        check("sarf_holds{reason=\"duplicate_account\"} 7");
        check("sarf_breaks{kind=\"unmatched_entry\"} 1");
        check("sarf_breaks_oldest_seconds{kind=\"unmatched_entry\"} 3600");
        check("sarf_recovery_cases{programme=\"dss\",state=\"receivable\"} 4");
        check("sarf_recovery_outstanding_centimes{programme=\"dss\",state=\"receivable\"} 7000");
        check("sarf_recovery_appeals_overdue{programme=\"dss\"} 1");
        check("sarf_feedback_entries_total{kind=\"pain.002\",result=\"applied\"} 5");
        check("sarf_db_pool_connections{state=\"in_use\"} 2");
        check("sarf_stage_progress_rows{stage=\"entitle\"} 10");
        check("sarf_stage_rows_total{stage=\"entitle\"} 10");
        check("sarf_stage_active{stage=\"entitle\"} 0");
        check("sarf_stage_duration_seconds_bucket{stage=\"entitle\",le=\"1\"} 0");
        check("sarf_stage_duration_seconds_bucket{stage=\"entitle\",le=\"2.5\"} 1");
        check("sarf_ready 0");
        check("sarf_audit_records 12");
        check(concat!("sarf_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"));
    }

    #[test]
    fn emptied_states_do_not_linger() {
        let metrics = filled();
        metrics.clear_orders();
        assert!(!metrics.render().contains("sarf_orders{"));
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
