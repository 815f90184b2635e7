//! A later list puts months right that were paid: arrears are ordered, undue payments named, and nothing is found twice.

use sarf::domain::ids::{Idcs, RunId, SnapshotId};
use sarf::domain::order::OrderState;
use sarf::domain::period::Period;
use sarf::domain::run::RunState;
use sarf::pipeline::correction::{self, Found};
use sarf::pipeline::{Applied, fund};

use crate::harness::{ACCOUNTANT, Bed, PREPARER, Registry};

const THREE_CHILDREN: usize = 0;
const TWO_CHILDREN: usize = 1;
const UNCHANGED: usize = 2;
const LISTED_TWICE: usize = 3;
const KEEPS_CHILD: usize = 4;
const COMES_LATE: usize = 5;

fn idcs(number: u32) -> String {
    Idcs::from_stem(300_000_000 + number).reveal().to_string()
}

fn month(text: &str) -> Period {
    text.parse().expect("a month")
}

/// November: six households; the fourth and the fifth list the same child.
fn november() -> Registry {
    let mut registry = Registry::default();
    for _ in 0..6 {
        registry.household();
    }
    registry.add_member(THREE_CHILDREN, &idcs(1), "2022-01-01");
    registry.add_member(THREE_CHILDREN, &idcs(2), "2021-01-01");
    registry.add_member(TWO_CHILDREN, &idcs(3), "2021-01-01");
    registry.add_member(LISTED_TWICE, &idcs(4), "2021-02-01");
    registry.add_member(LISTED_TWICE, &idcs(5), "2021-03-01");
    registry.add_member(KEEPS_CHILD, &idcs(5), "2021-03-01");
    registry.add_member(COMES_LATE, &idcs(6), "2021-04-01");
    registry
}

/// December: a child died in October, another was born in November, the child listed twice stands with one household,
/// and an older child has come.
fn december() -> Registry {
    let mut registry = november();
    registry.set_member(THREE_CHILDREN, 1, &[("deceased_on", "2026-10-20")]);
    registry.add_member(TWO_CHILDREN, &idcs(7), "2026-11-10");
    registry.drop_further(LISTED_TWICE);
    registry.add_member(LISTED_TWICE, &idcs(4), "2021-02-01");
    registry.add_member(COMES_LATE, &idcs(8), "2019-04-01");
    registry
}

struct Months {
    bed: Bed,
    november: RunId,
}

impl Months {
    async fn paid() -> Option<Self> {
        let bed = Bed::new().await?;
        let mut months = Self { bed, november: RunId::new(0) };
        let list = months.list(&november(), "november", "2026-11").await;
        let run = months.bed.create(list).await;
        months.bed.take_to(run, RunState::Settling).await;
        months.november = run;
        Some(months)
    }

    async fn list(&self, registry: &Registry, name: &str, period: &str) -> SnapshotId {
        let folder = self.bed.home().join(name);
        registry.write_for(&folder, month(period));
        self.bed.import(&folder).await
    }

    async fn correct(&self, list: SnapshotId) -> RunId {
        match correction::create(&self.bed.context, list, None, PREPARER).await.expect("corrected") {
            Applied::Now(Found::Run(run)) => run,
            other => panic!("{other:?}"),
        }
    }

    async fn nothing_to_correct(&self, list: SnapshotId) {
        let found = correction::create(&self.bed.context, list, None, PREPARER).await.expect("looked at");
        assert!(matches!(found, Applied::Now(Found::Nothing(1..))), "{found:?}");
    }

    async fn corrections(&self, run: RunId) -> Vec<String> {
        self.bed
            .rows(&format!(
                "select household_id || ' ' || (period % 12 + 1) || ' ' || reason || ' ' || was || ' ' || due
                   from correction where run_id = {run} and difference = due - was order by household_id, period"
            ))
            .await
    }

    async fn orders(&self, run: RunId) -> Vec<String> {
        self.bed
            .rows(&format!(
                "select household_id || ' ' || p.code || ' ' || (period % 12 + 1) || ' ' || amount from payment_order_{run} o
                   join purpose p on p.id = o.purpose_id order by 1"
            ))
            .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dated_facts_reach_back_and_are_put_right_once() {
    let Some(months) = Months::paid().await else { return };
    let list = months.list(&december(), "december", "2026-12").await;
    let run = months.correct(list).await;
    assert_eq!(
        months.corrections(run).await,
        [
            "H000001 11 death 90000 60000",
            "H000002 11 registered_late 60000 90000",
            "H000004 11 counted_twice 90000 60000"
        ]
    );
    assert_eq!(months.orders(run).await, ["H000002 arrears 12 30000"]);
    let again = correction::create(&months.bed.context, list, None, PREPARER).await.expect("the same");
    assert!(matches!(again, Applied::Already(Found::Run(same)) if same == run), "{again:?}");

    months.bed.take_to(run, RunState::Settling).await;
    let january = months.list(&december(), "january", "2027-01").await;
    months.nothing_to_correct(january).await;
    months.bed.verify_all_holds().await;

    // The death is taken back: what was found undue is due again.
    let mut alive = december();
    alive.set_member(THREE_CHILDREN, 1, &[("deceased_on", "")]);
    let february = months.list(&alive, "february", "2027-02").await;
    let run = months.correct(february).await;
    assert_eq!(months.corrections(run).await, ["H000001 11 reversed 60000 90000"]);
    months.bed.verify_all_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_correction_is_found_again() {
    let Some(months) = Months::paid().await else { return };
    let list = months.list(&december(), "december", "2026-12").await;
    let run = months.correct(list).await;
    let found = months.corrections(run).await;
    months.bed.take_to(run, RunState::Funded).await;
    fund::cancel(&months.bed.context, run, ACCOUNTANT).await.expect("cancelled");
    months.bed.verify_all_holds().await;
    let second = months.correct(list).await;
    assert_eq!(months.corrections(second).await, found);
    months.bed.verify_all_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrected_list_of_the_month_counts_in_all_it_says() {
    let Some(months) = Months::paid().await else { return };
    let mut corrected = november();
    corrected.set(UNCHANGED, &[("excluded_by", "pension")]);
    corrected.leave_out(COMES_LATE);
    corrected.add_member(TWO_CHILDREN, &idcs(9), "2015-01-01");
    let joined = corrected.household();
    let list = months.list(&corrected, "corrected", "2026-11").await;
    let run = months.correct(list).await;
    assert_eq!(
        months.corrections(run).await,
        [
            "H000002 11 members 60000 80000",
            "H000003 11 eligibility 50000 0",
            "H000006 11 left_list 60000 0",
            &format!("H{:06} 11 joined_list 0 50000", joined + 1),
        ]
    );
    assert_eq!(months.orders(run).await, ["H000002 arrears 11 20000", "H000007 arrears 11 50000"]);
    months.bed.take_to(run, RunState::Settling).await;
    // A later list of the next month is compared with the corrected one.
    let december = months.list(&corrected, "december", "2026-12").await;
    months.nothing_to_correct(december).await;
    months.bed.verify_all_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_arrears_goes_its_way_to_the_books_end() {
    let Some(months) = Months::paid().await else { return };
    let mut list = november();
    list.set_member(THREE_CHILDREN, 1, &[("deceased_on", "2026-10-20")]);
    let list = months.list(&list, "december", "2026-12").await;
    let run = months.correct(list).await;
    assert!(months.orders(run).await.is_empty());
    months.bed.take_to(run, RunState::Settling).await;
    assert!(months.bed.reconcile(run).await.is_explained());
    assert_eq!(months.bed.state(run).await, RunState::Reconciled);
    months.bed.verify_all_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_rules_are_told_from_changed_lists() {
    let Some(mut months) = Months::paid().await else { return };
    let list = months.list(&november(), "december", "2026-12").await;
    months.nothing_to_correct(list).await;
    // Another rule set, with the same amounts: every household is assessed, none differs.
    months.bed.change(|config| {
        for programme in config.programmes.values_mut() {
            programme.sha256[0] ^= 1;
        }
    });
    months.nothing_to_correct(list).await;
    let held = months.bed.order_states(months.november).await;
    assert!(held.iter().any(|state| state.contains(OrderState::Held.as_str())), "{held:?}");
}
