//! Families of gauges that are counted anew now and then: what they are called, what they mean, their labels.
//!
//! Guarantee: what is no longer counted is shown no longer, and no scrape finds a family half written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use prometheus::IntGaugeVec;

use super::families::Families;

/// A family: name without `sarf_`, help, labels.
pub struct Gauge(pub &'static str, pub &'static str, pub &'static [&'static str]);

/// All of them.
pub const GAUGES: &[Gauge] = &[
    Gauge(
        "orders",
        "Payment orders by state, of runs that are open or were closed within five weeks.",
        &["programme", "provider", "lane", "state"],
    ),
    Gauge(
        "orders_centimes",
        "Amount of these payment orders, in centimes.",
        &["programme", "provider", "lane", "state"],
    ),
    Gauge(
        "runs",
        "Runs that are open or were closed within five weeks, by state.",
        &["programme", "kind", "state"],
    ),
    Gauge("runs_paused", "Open runs of which nothing leaves, since a person paused them.", &["programme"]),
    Gauge(
        "run_oldest_seconds",
        "Time since the oldest of these runs in the state was made.",
        &["programme", "kind", "state"],
    ),
    Gauge("batches", "Batches of these runs by state.", &["programme", "provider", "lane", "state"]),
    Gauge("batches_to_leave", "Files that are released and have not left.", &["programme", "provider"]),
    Gauge(
        "waiting_oldest_seconds",
        "Time since the oldest batch in the state left, or was begun.",
        &["programme", "provider", "state"],
    ),
    Gauge(
        "unsettled_oldest_value_seconds",
        "Time since the earliest value date of what left and is not settled.",
        &["programme", "provider"],
    ),
    Gauge(
        "unconfirmed_orders",
        "Orders whose value date is two business days past or more and that no bank has confirmed.",
        &["programme", "provider"],
    ),
    Gauge(
        "unconfirmed_centimes",
        "The amount of unconfirmed orders, in centimes.",
        &["programme", "provider"],
    ),
    Gauge(
        "cutoff_seconds",
        "Time to the provider's next cutoff of a business day: what leaves later counts for the day after.",
        &["provider"],
    ),
    Gauge("arrivals_awaited", "Messages and lists that are awaited.", &["awaited", "from"]),
    Gauge("arrivals_late", "Of those, the ones whose time is over.", &["awaited", "from"]),
    Gauge("holds", "Orders on hold.", &["reason"]),
    Gauge(
        "messages_set_aside",
        "Files of messages that were refused or set aside, and wait for a person.",
        &[],
    ),
    Gauge(
        "deliveries",
        "Files given to a provider's server that it has not answered to.",
        &["provider", "state"],
    ),
    Gauge(
        "deliveries_oldest_seconds",
        "Time since the oldest of these files waits, or lies at the server.",
        &["provider", "state"],
    ),
    Gauge(
        "prescription_seconds",
        "Time until the oldest claims that ended unpaid and are not paid again lapse.",
        &["programme"],
    ),
    Gauge(
        "stream_pace_allowed",
        "Requests or orders that a provider of the stream lane takes in a second, where it sets a pace.",
        &["provider", "of"],
    ),
    Gauge(
        "key_expiry_seconds",
        "Time until the last key that is valid ends, ours or a provider's, or our certificate; below zero once it ended or cannot be read.",
        &["kind", "of"],
    ),
    Gauge("breaks", "Reconciliation breaks that are open.", &["kind"]),
    Gauge("breaks_centimes", "Amount in question of open breaks, in centimes.", &["kind"]),
    Gauge("breaks_oldest_seconds", "Age of the oldest open break of the kind, 0 without one.", &["kind"]),
    Gauge(
        "suspense_centimes",
        "What a bank booked and nothing explains, in centimes: credits below zero, debits above.",
        &["provider"],
    ),
    Gauge("recovery_cases", "Recovery cases by state.", &["programme", "state"]),
    Gauge(
        "recovery_outstanding_centimes",
        "What is outstanding of recovery cases by state, in centimes.",
        &["programme", "state"],
    ),
    Gauge(
        "recovery_appeals_overdue",
        "Complaints and appeals that the programme has not answered in time.",
        &["programme"],
    ),
    Gauge(
        "stream_waiting",
        "Shards not worked off, and orders to ask about (unknown, pending).",
        &["provider", "kind"],
    ),
    Gauge("stream_oldest_seconds", "Age of the oldest order to ask about.", &["provider", "kind"]),
    Gauge("outbox_waiting", "Changes that are still to be published.", &[]),
    Gauge("outbox_oldest_seconds", "Age of the oldest of them, 0 without one.", &[]),
    Gauge("leases_held", "Leases that somebody holds.", &[]),
    Gauge(
        "token_expiry_seconds",
        "Time until the institution is left without a token for something it may do; below zero for 30 days after.",
        &["institution"],
    ),
    Gauge(
        "ledger_out_of_balance_centimes",
        "Sum of all balances of the ledger: anything but 0 is a fault.",
        &[],
    ),
    Gauge("home_free_bytes", "Room on the disk that the outbox, inbox and scratch files lie on.", &[]),
    Gauge("db_bytes", "Size of the database.", &[]),
    Gauge("db_table_bytes", "Size of a table with its indexes, all its parts together.", &["table"]),
    Gauge("db_wal_written_bytes", "Write-ahead log written since the server was made.", &[]),
    Gauge("db_replicas", "Standby servers that follow.", &[]),
    Gauge("db_replication_lag_seconds", "How far the slowest standby is behind.", &[]),
];

/// Values of labels, and the number.
pub type Cells = Vec<(Vec<String>, i64)>;

/// Labels of the cells that are shown.
type Shown = Mutex<BTreeSet<Vec<String>>>;

/// The families, registered.
#[derive(Debug)]
pub(super) struct Gauges {
    families: BTreeMap<&'static str, (IntGaugeVec, Shown)>,
}

impl Gauges {
    pub(super) fn register(families: &Families) -> Self {
        let family = |Gauge(name, help, labels): &Gauge| {
            (*name, (families.gauges(name, help, labels), Mutex::default()))
        };
        Self { families: GAUGES.iter().map(family).collect() }
    }

    /// Shows a family as it was counted just now.
    ///
    /// # Panics
    /// When there is no such family, or it has other labels: a fault of this program.
    pub(super) fn show(&self, name: &str, cells: Cells) {
        let (family, shown) = self.families.get(name).expect("a family of the table");
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = BTreeSet::new();
        for (labels, value) in cells {
            family.with_label_values(&labels).set(value);
            now.insert(labels);
        }
        for gone in shown.difference(&now) {
            // What was shown is there.
            let _ = family.remove_label_values(gone);
        }
        *shown = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(registry: &prometheus::Registry) -> String {
        prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
    }

    #[test]
    fn what_is_counted_no_longer_is_not_shown() {
        let families = Families::default();
        let gauges = Gauges::register(&families);
        let (registry, _) = families.done();
        let cell = |reason: &str, n| (vec![reason.to_owned()], n);
        gauges.show("holds", vec![cell("shared_phone", 3), cell("name_missing", 1)]);
        assert!(text(&registry).contains("sarf_holds{reason=\"shared_phone\"} 3"));
        gauges.show("holds", vec![cell("name_missing", 2)]);
        let text = text(&registry);
        assert!(text.contains("sarf_holds{reason=\"name_missing\"} 2") && !text.contains("shared_phone"));
    }

    #[test]
    fn names_carry_their_unit_and_stand_once() {
        let names: BTreeSet<&str> = GAUGES.iter().map(|Gauge(name, ..)| *name).collect();
        assert_eq!(names.len(), GAUGES.len());
        for Gauge(name, help, _) in GAUGES {
            assert!(help.ends_with('.'), "{name}");
            assert!(!name.ends_with("_total"), "{name} is no counter");
        }
    }
}
