//! Undue payments are kept back from later orders to the centime, given back, and never owed before they were paid.

use sarf::domain::ids::{CaseId, HouseholdId, OrderId, RunId, SnapshotId};
use sarf::domain::money::Centimes;
use sarf::domain::period::Period;
use sarf::domain::person::Idcs;
use sarf::domain::recovery::CaseCause;
use sarf::domain::run::{RunKind, RunState};
use sarf::pipeline::exceptions::recovery::appeals::{self, Ruling};
use sarf::pipeline::exceptions::recovery::{self, CaseError, NewCase, write_off};
use sarf::pipeline::orders::{correction, regular as order, reissue};
use sarf::pipeline::runs::fund;
use sarf::store::recovery::cases::Case;
use sarf::store::registry::reference;

use crate::harness::{ACCOUNTANT, APPROVER, Bed, PREPARER, Registry, sent_files};

fn month(text: &str) -> Period {
    text.parse().expect("a month")
}

/// The first household has three small children and is due 900; the others have one and are due 500.
fn registry(households: usize) -> Registry {
    let mut registry = Registry::default();
    for _ in 0..households {
        registry.household();
    }
    for child in [1, 2] {
        let idcs = Idcs::from_stem(300_000_000 + child).reveal().to_string();
        registry.add_member(0, &idcs, "2022-01-01");
    }
    registry
}

async fn list(bed: &Bed, registry: &Registry, period: &str) -> SnapshotId {
    let folder = bed.home().join(format!("list-{period}"));
    registry.write_for(&folder, month(period));
    bed.import(&folder).await
}

async fn paid_month(bed: &Bed, registry: &Registry, period: &str) -> RunId {
    let list = list(bed, registry, period).await;
    let run = bed.create(list).await;
    bed.take_to(run, RunState::Settling).await;
    run
}

/// A case over a payment that was not made here: owed at once.
async fn open(bed: &Bed, household: usize, period: &str, mad: i64, origin: &str) -> Case {
    let now = bed.context.clock.now();
    let mut tx = bed.context.store.begin().await.expect("a transaction");
    let programme_id = reference::programme_id_in_tx(&mut tx, "dss").await.expect("a number");
    let new = NewCase {
        programme_id,
        household: HouseholdId::parse(format!("H{:06}", household + 1).as_bytes()).expect("an id"),
        period: month(period),
        order: None,
        cause: CaseCause::Person,
        origin: origin.to_owned(),
        amount: Centimes::from_mad(mad),
    };
    let ids = recovery::open_in_tx(&mut tx, std::slice::from_ref(&new), PREPARER, "found by hand", now)
        .await
        .expect("opened");
    assert!(
        recovery::open_in_tx(&mut tx, &[new], PREPARER, "again", now).await.expect("not again").is_empty()
    );
    let case =
        sarf::store::recovery::cases::find_in_tx(&mut tx, ids[0], false).await.expect("read").expect("there");
    tx.commit().await.expect("committed");
    case
}

/// Each order of a run that keeps something back: household, due, kept back, ordered, then the cases' parts.
async fn kept_back(bed: &Bed, run: RunId) -> Vec<String> {
    bed.rows(&format!(
        "select household_id || ' ' || entitled || ' ' || offset_amount || ' ' || amount || ' '
                || (select string_agg(amount::text, '+' order by case_id) from recovery_instalment i where i.order_id = o.order_id)
           from payment_order_{run} o where offset_amount <> 0 order by 1"
    ))
    .await
}

async fn cases(bed: &Bed) -> Vec<String> {
    bed.rows("select state || ' ' || amount || ' ' || outstanding from recovery_case order by id").await
}

#[tokio::test(flavor = "multi_thread")]
async fn instalments_are_kept_back_in_order_of_age_and_given_back() {
    let Some(bed) = Bed::new().await else { return };
    let registry = registry(3);
    open(&bed, 0, "2026-06", 400, "first").await;
    open(&bed, 0, "2026-07", 100, "second").await;
    open(&bed, 1, "2026-07", 250, "third").await;
    open(&bed, 1, "2026-12", 250, "of a later month").await;

    // A fifth of 900 and of 500, down to 400 at least.
    let november = list(&bed, &registry, "2026-11").await;
    let run = bed.create(november).await;
    assert_eq!(
        kept_back(&bed, run).await,
        ["H000001 90000 18000 72000 18000", "H000002 50000 10000 40000 10000"]
    );
    bed.verify_all_holds().await;
    bed.take_to(run, RunState::Funded).await;
    assert_eq!(bed.number("select balance from ledger_account where kind = 'reserved'").await, 162_000);
    fund::cancel(&bed.context, run, ACCOUNTANT).await.expect("cancelled");
    let given_back = [
        "receivable 40000 40000",
        "receivable 10000 10000",
        "receivable 25000 25000",
        "receivable 25000 25000",
    ];
    assert_eq!(cases(&bed).await, given_back);
    bed.verify_all_holds().await;

    let run = bed.create(november).await;
    bed.take_to(run, RunState::Settling).await;
    // The household agreed on less, and the other one complains.
    bed.write("update recovery_case set monthly_max = 5000 where origin = 'first'").await.expect("agreed");
    bed.write(
        "update recovery_case set appeal_stage = 'complaint', appeal_since = '2026-11-01', appeal_due = '2026-12-01' where origin = 'third'",
    )
    .await
    .expect("complains");
    let run = paid_month(&bed, &registry, "2026-12").await;
    assert_eq!(kept_back(&bed, run).await, ["H000001 90000 15000 75000 5000+10000"]);
    bed.write("update recovery_case set monthly_max = null").await.expect("agreed otherwise");
    bed.write("update recovery_case set appeal_stage = 'decided', appeal_due = null where origin = 'third'")
        .await
        .expect("decided");
    let run = paid_month(&bed, &registry, "2027-01").await;
    assert_eq!(
        kept_back(&bed, run).await,
        ["H000001 90000 17000 73000 17000", "H000002 50000 10000 40000 10000"]
    );
    assert_eq!(
        cases(&bed).await,
        ["recovered 40000 0", "recovered 10000 0", "receivable 25000 5000", "receivable 25000 25000"]
    );
    bed.verify_all_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_case_that_takes_first_is_a_setting() {
    use sarf::config::CaseOrder::{Month, Opening};
    // Due 900, of which 180 may be kept back: the case of July was opened first, that of June owes 100.
    for (order, expected) in [
        (Opening, ["receivable 40000 22000", "receivable 10000 10000"]),
        (Month, ["receivable 40000 32000", "recovered 10000 0"]),
    ] {
        let Some(bed) = Bed::with(|config| config.settings.recovery.case_order = order).await else { return };
        let registry = registry(1);
        open(&bed, 0, "2026-07", 400, "opened first").await;
        open(&bed, 0, "2026-06", 100, "of the older month").await;
        let run = bed.create(list(&bed, &registry, "2026-11").await).await;
        assert_eq!(cases(&bed).await, expected, "{order:?}");
        let parts = bed
            .rows("select c.origin || ' ' || i.amount from recovery_instalment i join recovery_case c on c.id = i.case_id order by 1")
            .await;
        match order {
            Opening => assert_eq!(parts, ["opened first 18000"]),
            Month => assert_eq!(parts, ["of the older month 10000", "opened first 8000"]),
        }
        bed.verify_all_holds().await;
        fund::cancel(&bed.context, run, ACCOUNTANT).await.expect("cancelled");
        assert_eq!(cases(&bed).await, ["receivable 40000 40000", "receivable 10000 10000"]);
        bed.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cancelled_run_gives_back_is_owed_again_even_when_the_rest_was_given_up() {
    let Some(bed) = Bed::new().await else { return };
    let registry = registry(1);
    let case = open(&bed, 0, "2026-06", 400, "first").await;
    let november = list(&bed, &registry, "2026-11").await;
    let run = bed.create(november).await;
    write_off::propose(&bed.context, case.id, "not to be had", ACCOUNTANT).await.expect("put forward");
    write_off::confirm(&bed.context, case.id, APPROVER).await.expect("given up");
    assert_eq!(cases(&bed).await, ["written_off 40000 0"]);
    bed.verify_all_holds().await;
    fund::cancel(&bed.context, run, ACCOUNTANT).await.expect("cancelled");
    assert_eq!(cases(&bed).await, ["receivable 40000 18000"]);
    bed.verify_all_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undue_payment_is_owed_once_it_was_paid_and_kept_back_where_it_was_not() {
    let Some(bed) = Bed::new().await else { return };
    let mut lists = registry(3);
    let november = paid_month(&bed, &lists, "2026-11").await;
    lists.set_member(0, 1, &[("deceased_on", "2026-10-20")]);
    let december = list(&bed, &lists, "2026-12").await;
    let made =
        correction::create(&bed.context, december, None, PREPARER).await.expect("corrected").into_inner();
    let correction::Found::Run(run) = made else { panic!("{made:?}") };
    assert!(cases(&bed).await.is_empty(), "nothing is opened before the release");
    bed.take_to(run, RunState::Settling).await;
    assert_eq!(cases(&bed).await, ["opened 30000 30000"], "the payment is under way");

    // The bank rejects it: what was undue of it is kept back when it is paid again.
    let order = bed
        .number(&format!("select order_id from payment_order_{november} where household_id = 'H000001'"))
        .await;
    reject(&bed, OrderId::new(order)).await;
    assert_eq!(cases(&bed).await, ["opened 30000 30000"]);
    let again = reissue::create(&bed.context, "dss", None, PREPARER).await.expect("reissued").into_inner();
    assert_eq!(kept_back(&bed, again.run).await, ["H000001 90000 30000 60000 30000"]);
    assert_eq!(cases(&bed).await, ["recovered 30000 0"]);
    bed.verify_all_holds().await;
    fund::cancel(&bed.context, again.run, ACCOUNTANT).await.expect("cancelled");
    assert_eq!(cases(&bed).await, ["opened 30000 30000"]);
    let again = reissue::create(&bed.context, "dss", None, PREPARER).await.expect("reissued").into_inner();
    bed.take_to(again.run, RunState::Settling).await;
    bed.verify_all_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_paid_is_owed_and_no_longer_when_it_comes_back() {
    let Some(bed) = Bed::new().await else { return };
    let mut lists = registry(3);
    let november = paid_month(&bed, &lists, "2026-11").await;
    bed.feedback_taken(bed.answer(Default::default(), sarf::sandbox::banks::StatusStyle::Mixed).files).await;
    bed.verify_all_holds().await;
    // Two payments were wholly undue, of which one comes back; a third was in part.
    lists.set_member(0, 1, &[("deceased_on", "2026-10-20")]);
    let state = format!("select count(*) from outcome_{november} where step between 9 and 12");
    assert_eq!(bed.number(&state).await, 0, "the banks of this test pay all");
    let december = list(&bed, &lists, "2026-12").await;
    let made =
        correction::create(&bed.context, december, None, PREPARER).await.expect("corrected").into_inner();
    let correction::Found::Run(run) = made else { panic!("{made:?}") };
    bed.take_to(run, RunState::Settling).await;
    assert_eq!(cases(&bed).await, ["receivable 30000 30000"]);
    bed.verify_all_holds().await;
    let regular =
        order::create(&bed.context, december, RunKind::Regular, PREPARER).await.expect("a run").into_inner();
    assert_eq!(kept_back(&bed, regular).await, ["H000001 60000 12000 48000 12000"]);
    bed.verify_all_holds().await;
}

/// November was paid wholly, and 300 of it found undue; then the later list takes that back, whatever the case is by then: for
/// November, and for December, whose own list still had it.
async fn taken_back(bed: &Bed, lists: &Registry) -> RunId {
    let mut alive = lists.clone();
    alive.set_member(0, 1, &[("deceased_on", "")]);
    let january = list(bed, &alive, "2027-01").await;
    corrected(bed, january).await.expect("a correction")
}

async fn arrears(bed: &Bed, run: RunId) -> Vec<String> {
    bed.rows(&format!(
        "select household_id || ' ' || entitled || ' ' || offset_amount || ' ' || amount from payment_order_{run} order by 1"
    ))
    .await
}

async fn reversed(bed: &Bed) -> Vec<String> {
    bed.rows(
        "select concat_ws(' ', state, amount, offset_amount, written_off, reversed, outstanding) from recovery_case order by id",
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_comes_off_what_is_owed_and_only_the_rest_is_paid() {
    let Some((bed, lists, december)) = kept_back_in_december().await else { return };
    bed.take_to(december, RunState::Settling).await;
    let run = taken_back(&bed, &lists).await;
    assert_eq!(reversed(&bed).await, ["recovered 30000 12000 0 18000 0"]);
    assert_eq!(arrears(&bed, run).await, ["H000001 42000 0 42000"]);
    account_of_the_first(&bed).await;
    bed.verify_all_holds().await;
    fund::cancel(&bed.context, run, PREPARER).await.expect("cancelled");
    assert_eq!(reversed(&bed).await, ["receivable 30000 12000 0 0 18000"]);
    bed.verify_all_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_is_not_paid_when_it_is_taken_back() {
    let Some((bed, lists, december)) = kept_back_in_december().await else { return };
    bed.take_to(december, RunState::Settling).await;
    write_off::propose(&bed.context, CaseId::new(1), "not to be had", ACCOUNTANT).await.expect("put forward");
    write_off::confirm(&bed.context, CaseId::new(1), APPROVER).await.expect("given up");
    assert_eq!(reversed(&bed).await, ["written_off 30000 12000 18000 0 0"]);
    let run = taken_back(&bed, &lists).await;
    assert_eq!(reversed(&bed).await, ["recovered 30000 12000 0 18000 0"]);
    assert_eq!(arrears(&bed, run).await, ["H000001 42000 0 42000"]);
    account_of_the_first(&bed).await;
    bed.verify_all_holds().await;
    fund::cancel(&bed.context, run, PREPARER).await.expect("cancelled");
    assert_eq!(reversed(&bed).await, ["written_off 30000 12000 18000 0 0"]);
    bed.verify_all_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_owed_is_kept_back_from_arrears_and_reissues_where_configured() {
    let Some(mut bed) = Bed::new().await else { return };
    let mut lists = registry(3);
    let november = paid_month(&bed, &lists, "2026-11").await;
    open(&bed, 0, "2026-06", 400, "first").await;
    open(&bed, 1, "2026-06", 100, "second").await;
    bed.write("update recovery_case set monthly_max = 6000 where origin = 'second'").await.expect("agreed");
    // Two are born in November in each of two households: 72 and 400 more.
    for child in 0..2 {
        for household in 0..2 {
            let id = Idcs::from_stem(300_000_100 + child * 10 + household).reveal().to_string();
            lists.add_member(household as usize, &id, "2026-11-10");
        }
    }
    let december = list(&bed, &lists, "2026-12").await;
    let run = corrected(&bed, december).await.expect("a correction");
    assert_eq!(arrears(&bed, run).await, ["H000001 7200 0 7200", "H000002 40000 0 40000"]);
    fund::cancel(&bed.context, run, PREPARER).await.expect("cancelled");
    bed.change(|config| {
        config.settings.recovery.arrears_share = "0.50".parse().expect("a share");
        config.settings.recovery.reissue_share = "0.10".parse().expect("a share");
    });
    let run = corrected(&bed, december).await.expect("a correction");
    assert_eq!(arrears(&bed, run).await, ["H000001 7200 3600 3600", "H000002 40000 6000 34000"]);
    assert_eq!(cases(&bed).await, ["receivable 40000 36400", "receivable 10000 4000"]);
    bed.verify_all_holds().await;
    bed.take_to(run, RunState::Settling).await;
    // What was agreed for the month is kept back already.
    let regular = bed.create(december).await;
    assert_eq!(kept_back(&bed, regular).await, ["H000001 97200 19440 77760 19440"]);
    fund::cancel(&bed.context, regular, PREPARER).await.expect("cancelled");

    let order = bed
        .number(&format!("select order_id from payment_order_{november} where household_id = 'H000001'"))
        .await;
    reject(&bed, OrderId::new(order)).await;
    let again = reissue::create(&bed.context, "dss", None, PREPARER).await.expect("reissued").into_inner();
    assert_eq!(kept_back(&bed, again.run).await, ["H000001 90000 9000 81000 9000"]);
    assert_eq!(cases(&bed).await, ["receivable 40000 27400", "receivable 10000 4000"]);
    bed.verify_all_holds().await;
    fund::cancel(&bed.context, again.run, PREPARER).await.expect("cancelled");
    assert_eq!(cases(&bed).await, ["receivable 40000 36400", "receivable 10000 4000"]);
    bed.verify_all_holds().await;
}

async fn reject(bed: &Bed, order: OrderId) {
    let sent = sent_files(&bed.outbox());
    let (file, id) = sent
        .iter()
        .find_map(|f| {
            let of = |id: &str| sarf::domain::order::EndToEndRef::parse(id).is_some_and(|r| r.order == order);
            f.orders.iter().find(|(id, ..)| of(id)).map(|(id, ..)| (f, id))
        })
        .expect("the order left");
    let path = bed.home().join("rejected.xml");
    let xml = format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"><CstmrPmtStsRpt><GrpHdr><MsgId>G1</MsgId>\
         <CreDtTm>2026-11-25T10:00:00</CreDtTm></GrpHdr><OrgnlGrpInfAndSts><OrgnlMsgId>{0}</OrgnlMsgId>\
         <OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId></OrgnlGrpInfAndSts><OrgnlPmtInfAndSts><OrgnlPmtInfId>{0}</OrgnlPmtInfId>\
         <TxInfAndSts><OrgnlEndToEndId>{id}</OrgnlEndToEndId><TxSts>RJCT</TxSts><StsRsnInf><Rsn><Cd>MS03</Cd></Rsn></StsRsnInf>\
         </TxInfAndSts></OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>",
        file.message_id
    );
    std::fs::write(&path, xml).expect("a message");
    bed.feedback_taken(vec![path]).await;
}

/// November was paid wholly; the later list says that a child had died: 300 undue, of which December keeps 120 back.
async fn kept_back_in_december() -> Option<(Bed, Registry, RunId)> {
    let bed = Bed::new().await?;
    let mut lists = registry(3);
    paid_month(&bed, &lists, "2026-11").await;
    bed.feedback_taken(bed.answer(Default::default(), sarf::sandbox::banks::StatusStyle::Mixed).files).await;
    lists.set_member(0, 1, &[("deceased_on", "2026-10-20")]);
    let december = list(&bed, &lists, "2026-12").await;
    let run = corrected(&bed, december).await.expect("a correction");
    bed.take_to(run, RunState::Settling).await;
    let regular = bed.create(december).await;
    assert_eq!(kept_back(&bed, regular).await, ["H000001 60000 12000 48000 12000"]);
    Some((bed, lists, regular))
}

async fn corrected(bed: &Bed, list: SnapshotId) -> Option<RunId> {
    match correction::create(&bed.context, list, None, PREPARER).await.expect("corrected").into_inner() {
        correction::Found::Run(run) => Some(run),
        correction::Found::Nothing(_) => None,
    }
}

/// The household complains, and the programme replies that it was right.
async fn granted(bed: &Bed) -> Result<Centimes, CaseError> {
    let case = CaseId::new(1);
    let context = &bed.context;
    appeals::complain(context, case, None, "the child is alive", PREPARER).await.expect("lodged");
    let ruled = appeals::reply(context, case, Ruling::Granted(None), "looked into", APPROVER).await?;
    Ok(ruled.into_inner().to_refund)
}

/// Reduced, to be refunded, refunded.
async fn refunds(bed: &Bed) -> Vec<String> {
    bed.rows("select state || ' ' || reduced || ' ' || to_refund || ' ' || refunded from recovery_case order by id").await
}

async fn account_of_the_first(bed: &Bed) -> recovery::account::Account {
    let id = HouseholdId::parse(b"H000001").expect("an id");
    let found = recovery::account::of(&bed.context, id).await.expect("read").expect("an account");
    assert!(found.holds, "{found:?}");
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_granted_complaint_gives_back_is_ordered_once() {
    let Some((bed, mut lists, december)) = kept_back_in_december().await else { return };
    bed.take_to(december, RunState::Settling).await;
    assert_eq!(granted(&bed).await.expect("granted"), Centimes::from_mad(120));
    assert_eq!(refunds(&bed).await, ["withdrawn 18000 12000 0"]);
    assert_eq!(account_of_the_first(&bed).await.to_refund, Centimes::from_mad(120));
    bed.verify_all_holds().await;

    // The next list still has the child dead: what was decided is not found again, and is paid out.
    let january = list(&bed, &lists, "2027-01").await;
    let run = corrected(&bed, january).await.expect("a refund");
    let orders = format!("select household_id || ' ' || entitled || ' ' || amount from payment_order_{run}");
    assert_eq!(bed.rows(&orders).await, ["H000001 12000 12000"]);
    assert_eq!(bed.number("select count(*) from correction where period = 24322").await, 0);
    assert_eq!(refunds(&bed).await, ["withdrawn 18000 0 12000"]);
    bed.verify_all_holds().await;
    bed.take_to(run, RunState::Submitted).await;
    let content = bed.rows(&format!("select content::text from run where id = {run}")).await;
    assert!(content[0].contains("arrears of 2026-11, complaint_granted"), "{content:?}");
    fund::cancel(&bed.context, run, PREPARER).await.expect("cancelled");
    assert_eq!(refunds(&bed).await, ["withdrawn 18000 12000 0"]);
    bed.verify_all_holds().await;
    let run = corrected(&bed, january).await.expect("a refund");
    bed.take_to(run, RunState::Settling).await;
    bed.verify_all_holds().await;
    assert_eq!(account_of_the_first(&bed).await.to_refund, Centimes::ZERO);

    // Once the list says so too, November is nothing new; December is arrears.
    lists.set_member(0, 1, &[("deceased_on", "")]);
    let february = list(&bed, &lists, "2027-02").await;
    let run = corrected(&bed, february).await.expect("a correction");
    let found = bed
        .rows(&format!(
            "select household_id || ' ' || period || ' ' || difference from correction where run_id = {run}"
        ))
        .await;
    assert_eq!(found, [format!("H000001 {} 30000", month("2026-12").index())]);
    assert_eq!(refunds(&bed).await, ["withdrawn 18000 0 12000"]);
    account_of_the_first(&bed).await;
    bed.verify_all_holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_goes_when_the_order_that_kept_it_back_does() {
    let Some((bed, lists, december)) = kept_back_in_december().await else { return };
    assert_eq!(granted(&bed).await.expect("granted"), Centimes::from_mad(120));
    fund::cancel(&bed.context, december, PREPARER).await.expect("cancelled");
    assert_eq!(refunds(&bed).await, ["withdrawn 30000 0 0"]);
    bed.verify_all_holds().await;
    let january = list(&bed, &lists, "2027-01").await;
    assert_eq!(corrected(&bed, january).await, None, "the next order is paid in full");
    account_of_the_first(&bed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_later_list_put_right_is_not_granted_as_well() {
    let Some((bed, mut lists, _)) = kept_back_in_december().await else { return };
    lists.set_member(0, 1, &[("deceased_on", "")]);
    let january = list(&bed, &lists, "2027-01").await;
    let run = corrected(&bed, january).await.expect("arrears");
    let found = bed.rows(&format!("select household_id || ' ' || amount from payment_order_{run}")).await;
    assert_eq!(found.len(), 1, "{found:?}");
    let refused = granted(&bed).await;
    assert!(
        matches!(refused, Err(CaseError::PutRight { amount }) if amount == Centimes::from_mad(300)),
        "{refused:?}"
    );
    assert_eq!(refunds(&bed).await, ["recovered 0 0 0"]);
    account_of_the_first(&bed).await;
    bed.verify_all_holds().await;
}
