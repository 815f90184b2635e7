//! A later list puts months right that were paid: arrears are ordered, undue payments named, and nothing is found twice.

use sarf::domain::ids::{RunId, SnapshotId};
use sarf::domain::order::OrderState;
use sarf::domain::period::Period;
use sarf::domain::person::Idcs;
use sarf::domain::run::RunState;
use sarf::pipeline::Applied;
use sarf::pipeline::orders::correction::{self, Found};
use sarf::pipeline::runs::fund;

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
        assert!(matches!(found.into_inner(), Found::Nothing(1..)), "{list}");
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

/// Cases: household, state, amount, what is taken back, outstanding.
async fn cases(months: &Months) -> Vec<String> {
    months
        .bed
        .rows(
            "select concat_ws(' ', household_id, state, amount, reversed, outstanding) from recovery_case order by id",
        )
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_stays_found_when_lists_are_silent_or_out_of_reach() {
    let Some(months) = Months::paid().await else { return };
    let list = months.list(&december(), "december", "2026-12").await;
    let run = months.correct(list).await;
    months.bed.take_to(run, RunState::Settling).await;

    // The rows that said it are gone, or rejected.
    let mut silent = december();
    silent.set_member(THREE_CHILDREN, 1, &[("birth_date", "2026-13-01")]);
    silent.drop_further(TWO_CHILDREN);
    silent.leave_out(LISTED_TWICE);
    let january = months.list(&silent, "january", "2027-01").await;
    months.nothing_to_correct(january).await;
    months.nothing_to_correct(january).await;
    assert_eq!(months.bed.number("select count(*) from review where run_id is null").await, 1);
    // Six months later the birth is out of a list's reach: what was decided stays.
    let mut months = months;
    months.bed.change(|config| {
        config.settings.corrections.months_back = 8;
        config.settings.corrections.late_registration_months = 2;
    });
    let may = months.list(&december(), "may", "2027-05").await;
    months.nothing_to_correct(may).await;
    months.bed.verify_all_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_that_changed_no_amount_is_remembered_all_the_same() {
    let Some(months) = Months::paid().await else { return };
    // A household's only child dies: 500 either way. Then its row is rejected, and two births are told of.
    let mut died = november();
    died.set_member(COMES_LATE, 1, &[("deceased_on", "2026-10-20")]);
    died.set_member(UNCHANGED, 1, &[("deceased_on", "2026-10-20")]);
    let december = months.list(&died, "december", "2026-12").await;
    let run = months.correct(december).await;
    assert_eq!(months.corrections(run).await, ["H000006 11 death 60000 50000"]);
    months.bed.take_to(run, RunState::Settling).await;
    let mut birth = died.clone();
    birth.set_member(UNCHANGED, 1, &[("birth_date", "")]);
    for child in [21, 22] {
        let fields = [("idcs", &idcs(child) as &str), ("birth_date", "2026-10-01"), ("deceased_on", "")];
        birth.add_member_with(UNCHANGED, &fields);
    }
    let january = months.list(&birth, "january", "2027-01").await;
    let run = months.correct(january).await;
    assert_eq!(months.corrections(run).await, ["H000003 11 registered_late 50000 60000"]);
    months.bed.verify_all_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_taken_back_takes_its_case_back_once() {
    let Some(months) = Months::paid().await else { return };
    let mut list = november();
    list.set_member(THREE_CHILDREN, 1, &[("deceased_on", "2026-10-20")]);
    let december = months.list(&list, "december", "2026-12").await;
    let run = months.correct(december).await;
    months.bed.take_to(run, RunState::Settling).await;
    assert_eq!(cases(&months).await, ["H000001 opened 30000 0 30000"]);

    let january = months.list(&november(), "january", "2027-01").await;
    let run = months.correct(january).await;
    assert_eq!(months.corrections(run).await, ["H000001 11 reversed 60000 90000"]);
    assert!(months.orders(run).await.is_empty(), "nothing is paid: it was never got back");
    assert_eq!(cases(&months).await, ["H000001 withdrawn 30000 30000 0"]);
    months.bed.verify_all_holds().await;
    // Cancelled, it is owed again; made again, it is taken back again.
    fund::cancel(&months.bed.context, run, PREPARER).await.expect("cancelled");
    assert_eq!(cases(&months).await, ["H000001 opened 30000 0 30000"]);
    months.bed.verify_all_holds().await;
    let run = months.correct(january).await;
    months.bed.take_to(run, RunState::Settling).await;
    assert_eq!(cases(&months).await, ["H000001 withdrawn 30000 30000 0"]);
    // The row that spoke of the death, or of life, goes: nothing.
    let mut silent = november();
    silent.set_member(THREE_CHILDREN, 1, &[("birth_date", "2026-13-01")]);
    let february = months.list(&silent, "february", "2027-02").await;
    months.nothing_to_correct(february).await;
    months.bed.verify_all_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_moves_is_not_registered_late_elsewhere() {
    for later in [false, true] {
        let Some(mut months) = Months::paid().await else { return };
        if later {
            months.bed.change(|config| {
                config.settings.corrections.moved = sarf::domain::correction::MovedRule::Later;
            });
        }
        // A child of November's, small enough to pass for late, goes from one household to another.
        let mut born = november();
        born.add_member(TWO_CHILDREN, &idcs(30), "2026-10-05");
        let december = months.list(&born, "december", "2026-12").await;
        let run = months.correct(december).await;
        assert_eq!(months.corrections(run).await, ["H000002 11 registered_late 60000 90000"]);
        months.bed.take_to(run, RunState::Settling).await;
        let mut moved = november();
        moved.add_member(COMES_LATE, &idcs(30), "2026-10-05");
        let january = months.list(&moved, "january", "2027-01").await;
        if later {
            let run = months.correct(january).await;
            assert_eq!(
                months.corrections(run).await,
                ["H000002 11 moved 90000 60000", "H000006 11 moved 60000 90000"]
            );
            months.bed.take_to(run, RunState::Settling).await;
        } else {
            months.nothing_to_correct(january).await;
        }
        let again = months.list(&moved, "february", "2027-02").await;
        months.nothing_to_correct(again).await;
        // What is said of the child in its new household holds in the old one.
        moved.drop_further(COMES_LATE);
        moved.add_member(COMES_LATE, &idcs(6), "2021-04-01");
        moved.add_member_with(
            COMES_LATE,
            &[("idcs", &idcs(30)), ("birth_date", "2026-10-05"), ("deceased_on", "2026-10-25")],
        );
        let dead = months.list(&moved, "dead", "2027-02").await;
        let run = months.correct(dead).await;
        let of = if later { "H000006" } else { "H000002" };
        assert_eq!(months.corrections(run).await, [format!("{of} 11 death 90000 60000")]);
        months.bed.verify_all_holds().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_sent_again_is_heard_again() {
    use sarf::pipeline::orders::OrderError;
    let Some(months) = Months::paid().await else { return };
    let list = months.list(&december(), "december", "2026-12").await;
    let first = months.correct(list).await;
    // A second list while the first run waits is refused, and so is the first once the second was heard.
    let mut another = december();
    another.add_member(UNCHANGED, &idcs(40), "2026-11-11");
    another.add_member(TWO_CHILDREN, &idcs(41), "2026-11-12");
    let second_list = months.list(&another, "december again", "2026-12").await;
    let refused = correction::create(&months.bed.context, second_list, None, PREPARER).await;
    assert!(matches!(refused, Err(OrderError::CorrectionWaits { run }) if run == first), "{refused:?}");
    let further = correction::create(&months.bed.context, list, Some(5), PREPARER).await;
    assert!(matches!(further, Err(OrderError::CorrectionWaits { .. })), "{further:?}");
    months.bed.take_to(first, RunState::Settling).await;
    let second = months.correct(second_list).await;
    assert_ne!(first, second);
    assert_eq!(
        months.corrections(second).await,
        ["H000002 11 registered_late 90000 93600", "H000003 11 registered_late 50000 60000"]
    );
    // Claims of their own: a household may have arrears of both runs.
    assert_eq!(months.orders(first).await, ["H000002 arrears 12 30000"]);
    assert_eq!(months.orders(second).await, ["H000002 arrears-2 12 3600", "H000003 arrears-2 12 10000"]);
    months.bed.take_to(second, RunState::Settling).await;
    months.bed.verify_all_holds().await;
    let older = correction::create(&months.bed.context, list, Some(5), PREPARER).await;
    assert!(matches!(older, Err(OrderError::OlderList { newer, .. }) if newer == second_list), "{older:?}");
    // November's own list, sent again after all of this, is the last word about it.
    let mut own = another.clone();
    own.drop_further(COMES_LATE);
    own.add_member(COMES_LATE, &idcs(6), "2021-04-01");
    let mut corrected = own.clone();
    let own = months.list(&own, "november again", "2026-11").await;
    months.nothing_to_correct(own).await;
    corrected.set(KEEPS_CHILD, &[("excluded_by", "pension")]);
    let own = months.list(&corrected, "november once more", "2026-11").await;
    let third = months.correct(own).await;
    assert_eq!(months.corrections(third).await, ["H000005 11 eligibility 60000 0"]);
    months.bed.verify_all_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_row_of_a_corrected_list_is_no_statement() {
    let Some(months) = Months::paid().await else { return };
    let mut corrected = november();
    corrected.set(UNCHANGED, &[("rsu_score", "none")]);
    corrected.set_member(THREE_CHILDREN, 1, &[("birth_date", "2026-13-01")]);
    corrected.leave_out(COMES_LATE);
    let list = months.list(&corrected, "corrected", "2026-11").await;
    let run = months.correct(list).await;
    assert_eq!(months.corrections(run).await, ["H000006 11 left_list 60000 0"]);
    months.bed.verify_all_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_change_there_and_back_are_found_both_times() {
    let Some(mut months) = Months::paid().await else { return };
    let list = months.list(&december(), "december", "2026-12").await;
    let run = months.correct(list).await;
    months.bed.take_to(run, RunState::Settling).await;
    let other = super::correction_histories::rules(320);
    let first = super::correction_histories::rules(300);
    months.bed.change(|config| config.programmes = other.programmes);
    let run = months.correct(list).await;
    assert_eq!(
        months.corrections(run).await,
        [
            "H000001 11 rules 60000 64000",
            "H000002 11 rules 90000 96000",
            "H000004 11 rules 60000 64000",
            "H000005 11 rules 60000 64000",
            "H000006 11 rules 60000 64000"
        ]
    );
    // Where something of the month is owed, that is less; the others are paid.
    assert_eq!(cases(&months).await[0], "H000001 opened 30000 4000 26000");
    months.bed.take_to(run, RunState::Settling).await;
    months.bed.change(|config| config.programmes = first.programmes);
    let run = months.correct(list).await;
    assert_eq!(months.corrections(run).await.len(), 5);
    months.bed.take_to(run, RunState::Settling).await;
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
