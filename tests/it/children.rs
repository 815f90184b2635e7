//! Birth grants and deposits: from the list to the bank's file and back, and never twice for one child.

use sarf::domain::ids::{Code, RunId, SnapshotId};
use sarf::domain::money::Centimes;
use sarf::domain::person::Idcs;
use sarf::domain::run::{RunKind, RunState};
use sarf::pipeline::Applied;
use sarf::pipeline::orders::correction::{self, Found};
use sarf::pipeline::orders::{OrderError, children, reissue};
use sarf::pipeline::runs::fund;
use sarf::pipeline::runs::standing_approvals::{self, Proposal, StandingError};
use sarf::sandbox::banks::{Faults, StatusStyle};
use time::macros::date;

use crate::harness::{ACCOUNTANT, Bed, PREPARER, Program, Registry, rib, sent_files};

fn idcs(number: u32) -> String {
    Idcs::from_stem(300_000_000 + number).reveal().to_string()
}

async fn list(bed: &Bed, registry: &Registry, name: &str, period: &str) -> SnapshotId {
    let folder = bed.home().join(name);
    registry.write_for(&folder, period.parse().expect("a month"));
    bed.import(&folder).await
}

async fn made(bed: &Bed, list: SnapshotId, kind: RunKind) -> RunId {
    match children::create(&bed.context, list, kind, PREPARER).await.expect("a run") {
        Applied::Now(run) => run,
        again => panic!("{again:?}"),
    }
}

/// Orders of a run: household, purpose, amount and number of lines.
async fn orders(bed: &Bed, run: RunId) -> Vec<String> {
    bed.rows(&format!(
        "select o.household_id || ' ' || p.code || ' ' || o.amount / 100 || ' ' ||
                (select count(*) from child_payment c where c.order_id = o.order_id) from payment_order_{run} o
           join purpose p on p.id = o.purpose_id order by 1"
    ))
    .await
}

async fn refused(bed: &Bed, run: RunId) -> Vec<String> {
    bed.rows(&format!(
        "select household_id || ' ' || household_row || ' ' || reason from exclusion_{run} order by household_row"
    ))
    .await
}

/// Six households; what is claimed for their children in November.
fn november() -> Registry {
    let mut registry = Registry::default();
    for _ in 0..7 {
        registry.household();
    }
    // Each household lists a child of 2023; the next is its second.
    registry.add_member(0, &idcs(1), "2026-09-10");
    registry.add_member(1, &idcs(2), "2026-10-01");
    registry.add_member(1, &idcs(3), "2026-10-01");
    registry.add_member(2, &idcs(4), "2026-04-01");
    registry.add_member(3, &idcs(5), "2026-09-01");
    registry.add_member(4, &idcs(6), "2026-09-01");
    registry.set(5, &[("excluded_by", "pension")]);
    registry.add_member(5, &idcs(7), "2026-09-01");
    registry.claim("H000001", &idcs(1), "2", "2026-11-02");
    registry.claim("H000002", &idcs(2), "2", "2026-11-03");
    registry.claim("H000002", &idcs(3), "3", "2026-11-03");
    registry.claim("H000003", &idcs(4), "2", "2026-11-03");
    registry.claim("H000004", &idcs(5), "1", "2026-11-03");
    registry.claim("H000005", &idcs(99), "2", "2026-11-03");
    registry.claim("H000006", &idcs(7), "2", "2026-11-03");
    registry
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_about_children_are_taken_or_rejected_with_their_reason() {
    let Some(bed) = Bed::new().await else { return };
    let mut registry = november();
    registry.claim("H000007", "123", "1", "2026-11-01");
    registry.claim("H000007", &idcs(8), "0", "2026-11-01");
    registry.claim("H000007", &idcs(8), "300", "2026-11-01");
    registry.claim("H000007", &idcs(8), "first", "2026-11-01");
    registry.claim("H000007", &idcs(8), "1", "");
    registry.claim("H000007", &idcs(8), "1", "2026-12-01");
    registry.claim("H000007", &idcs(1), "1", "2026-11-01");
    registry.claim("H999999", &idcs(9), "1", "2026-11-01");
    registry.deposit("D1", 400_000_001, "2015-01-01", "2020-01-01");
    registry.deposit("D1", 400_000_002, "2015-01-01", "2020-01-01");
    registry.deposit("D2", 400_000_001, "2015-01-01", "2020-01-01");
    registry.deposit("D3", 400_000_003, "2015-01-01", "2014-12-31");
    registry.deposit("D4", 400_000_004, "2015-01-01", "2020-01-01").set_deposit(&[("ground", "poor")]);
    registry.deposit("D5", 400_000_005, "2015-01-01", "2020-01-01").set_deposit(&[("until", "2019-01-01")]);
    registry.deposit("D6", 400_000_006, "2015-01-01", "2020-01-01").set_deposit(&[("child_name", "")]);
    registry.deposit("H000001", 400_000_007, "2015-01-01", "2020-01-01");
    let list = list(&bed, &registry, "november", "2026-11").await;
    let rejected = bed
        .rows("select part || ' ' || row_number || ' ' || coalesce(household_id, '') || ' ' || field || ' ' || reason
                 from snapshot_rejection order by part, row_number")
        .await;
    assert_eq!(
        rejected,
        [
            "claims 8 H000007 child_idcs malformed",
            "claims 9 H000007 rank out_of_range",
            "claims 10 H000007 rank out_of_range",
            "claims 11 H000007 rank malformed",
            "claims 12 H000007 claimed_on missing",
            "claims 13 H000007 claimed_on out_of_range",
            "claims 14 H000007 child_idcs duplicate_child",
            "claims 15 H999999 household_id orphan_claim",
            "deposits 2 D1 deposit_id duplicate_deposit",
            "deposits 3 D2 child_idcs duplicate_child",
            "deposits 4 D3 since out_of_range",
            "deposits 5 D4 ground unknown_value",
            "deposits 6 D5 until out_of_range",
            "deposits 7 D6 child_name missing",
            "deposits 8 H000001 deposit_id taken_by_household",
        ]
    );
    let counts = bed
        .rows(&format!(
            "select claims || ' ' || rejected_claims || ' ' || deposits || ' ' || rejected_deposits from snapshot where id = {list}"
        ))
        .await;
    assert_eq!(counts, ["7 8 1 7"]);
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_paid_once_whatever_household_or_list_says_it_again() {
    let Some(bed) = Bed::new().await else { return };
    let first = list(&bed, &november(), "november", "2026-11").await;
    let run = made(&bed, first, RunKind::BirthGrant).await;
    assert_eq!(orders(&bed, run).await, ["H000001 birth_grant 1000 1", "H000002 birth_grant 1000 1"]);
    assert_eq!(
        refused(&bed, run).await,
        [
            "H000002 3 grant_rank_not_paid",
            "H000003 4 grant_out_of_time",
            "H000004 5 grant_rank_contradicted",
            "H000005 6 grant_child_unknown",
            "H000006 7 pension",
        ]
    );
    let again = children::create(&bed.context, first, RunKind::BirthGrant, PREPARER).await.expect("the same");
    assert!(matches!(again, Applied::Already(same) if same == run), "{again:?}");
    bed.verify_all_holds().await;

    // Cancelled, its claims are free again.
    bed.take_to(run, RunState::Funded).await;
    fund::cancel(&bed.context, run, ACCOUNTANT).await.expect("cancelled");
    let run = made(&bed, first, RunKind::BirthGrant).await;
    assert_eq!(orders(&bed, run).await.len(), 2);

    // A corrected list of the same month does not make a second run of it; the next month's waits until this one has left.
    let mut corrected = november();
    corrected.claim("H000007", &idcs(8), "1", "2026-11-04");
    corrected.add_member(6, &idcs(8), "2026-11-01");
    let second = list(&bed, &corrected, "corrected", "2026-11").await;
    let refusal = children::create(&bed.context, second, RunKind::BirthGrant, PREPARER).await;
    assert!(matches!(refusal, Err(OrderError::KindExists { run: of, .. }) if of == run), "{refusal:?}");
    // December says all of it again, of another household for one child, and with the second twin's rank mended.
    let mut december = november();
    december.drop_children();
    december.add_member(6, &idcs(1), "2026-09-10");
    december.claim("H000001", &idcs(1), "2", "2026-11-02");
    december.claim("H000002", &idcs(3), "2", "2026-11-03");
    december.claim("H000007", &idcs(1), "2", "2026-11-05");
    let third = list(&bed, &december, "december", "2026-12").await;
    let refusal = children::create(&bed.context, third, RunKind::BirthGrant, PREPARER).await;
    assert!(matches!(refusal, Err(OrderError::KindUnderWay { run: of, .. }) if of == run), "{refusal:?}");
    bed.take_to(run, RunState::Settling).await;
    let december = made(&bed, third, RunKind::BirthGrant).await;
    assert_eq!(orders(&bed, december).await, Vec::<String>::new());
    assert_eq!(
        refused(&bed, december).await,
        ["H000001 1 grant_already_paid", "H000002 2 grant_rank_taken"],
        "the third row names a child twice and was rejected at import"
    );
    bed.verify_all_holds().await;

    // A run that refused all of it leaves all the same, so that the next month's can be made.
    bed.take_to(december, RunState::Settling).await;
    bed.verify_all_holds().await;
    // No event pays what only lists may claim.
    for purpose in ["birth_grant", "Deposit", "arrears"] {
        let proposal = Proposal {
            programme: Code::parse("dss").expect("a code"),
            purpose: Code::parse(purpose).expect("a code"),
            order_max: Centimes::from_mad(3_000),
            day_max: Centimes::from_mad(3_000),
            valid_from: date!(2026 - 11 - 01),
            valid_to: date!(2026 - 12 - 31),
        };
        let refused = standing_approvals::propose(&bed.context, &proposal, PREPARER).await;
        assert!(matches!(refused, Err(StandingError::ReservedPurpose(_))), "{purpose}: {refused:?}");
    }

    // The proof is in the database too: the same child under another order is refused by it.
    let twice = bed
        .execute(&format!(
            "insert into child_payment (order_id, run_id, programme_id, purpose_id, rank, amount, household_id, child_key)
             select order_id + 1, {december}, programme_id, purpose_id, rank, amount, household_id, child_key
               from child_payment where run_id = {run} limit 1"
        ))
        .await;
    assert!(twice.is_err_and(|e| e.to_string().contains("child_payment_once")));
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_goes_its_way_beside_the_month_to_the_books_end() {
    let Some(bed) = Bed::new().await else { return };
    let november_list = list(&bed, &november(), "november", "2026-11").await;
    let month = bed.create(november_list).await;
    let grants = made(&bed, november_list, RunKind::BirthGrant).await;
    // The month's orders and the grants do not bar each other.
    assert_eq!(bed.number(&format!("select count(*) from payment_order_{month}")).await, 6);
    assert_eq!(orders(&bed, grants).await.len(), 2);
    bed.take_to(month, RunState::Settling).await;
    bed.take_to(grants, RunState::Settling).await;
    let amounts: Vec<i64> =
        sent_files(&bed.outbox()).iter().flat_map(|f| f.orders.iter().map(|(_, _, a)| a.get())).collect();
    assert_eq!(amounts.iter().filter(|a| **a == 100_000).count(), 2, "{amounts:?}");
    // What is approved names the payments for children.
    let content =
        bed.rows(&format!("select content->>'paid for children' from run where id = {grants}")).await;
    assert!(content[0].starts_with("2 payments, sha256 "), "{content:?}");

    let answers = bed.answer(Faults::default(), StatusStyle::Mixed);
    bed.feedback_taken(answers.files).await;
    for run in [month, grants] {
        assert!(bed.reconcile(run).await.is_explained(), "run {run}");
    }
    // A later list finds nothing to put right in a month with grants, and reissues leave the claims one.
    let mut december = november();
    december.drop_children();
    let december = list(&bed, &december, "december", "2026-12").await;
    let found = correction::create(&bed.context, december, None, PREPARER).await.expect("looked at");
    assert!(matches!(found, Applied::Now(Found::Nothing(1..))), "{found:?}");
    bed.verify_all_holds().await;

    // As its user sees it.
    let program = Program { url: Some(bed.url()), ..Program::new(bed.home()) };
    let shown = program.run("order show H000001");
    assert!(shown.out.contains("birth grant") && shown.out.contains("rank 2"), "{shown:?}");
    let shown = program.run("order show H000005");
    assert!(shown.out.contains("not listed among the household's members"), "{shown:?}");
    let closed = program.run(&format!("run close {grants} --as {ACCOUNTANT}"));
    assert_eq!(closed.code, 0, "{closed:?}");
    let reported = program.run(&format!("report {grants} --out {}", bed.home().join("report").display()));
    assert_eq!(reported.code, 0, "{reported:?}");
    bed.end().await;
}

/// Three children: one of age this month, one long to come, one whose account is not at the holder.
fn in_care() -> Registry {
    let mut registry = Registry::default();
    registry.household();
    registry.deposit("D1", 400_000_001, "2008-11-15", "2020-01-01");
    registry.deposit("D2", 400_000_002, "2015-01-01", "2026-10-05");
    registry
        .deposit("D3", 400_000_003, "2015-01-01", "2026-11-05")
        .set_deposit(&[("account", &rib("007", 77))]);
    registry
}

#[tokio::test(flavor = "multi_thread")]
async fn deposits_go_to_the_holder_by_month_and_are_released_at_majority() {
    let Some(bed) = Bed::new().await else { return };
    let november = list(&bed, &in_care(), "november", "2026-11").await;
    let run = made(&bed, november, RunKind::Deposit).await;
    // Eleven months of 2026 and what makes up 10,000; two months; one.
    assert_eq!(orders(&bed, run).await, ["D1 deposit 10000 12", "D2 deposit 1000 2", "D3 deposit 500 1"]);
    let held = bed.rows(&format!("select o.household_id || ' ' || h.reason from order_hold h join payment_order_{run} o using (order_id)")).await;
    assert_eq!(held, ["D3 not_at_deposit_holder"]);
    bed.take_to(run, RunState::Settling).await;
    let files = sent_files(&bed.outbox());
    assert_eq!(files.len(), 1);
    assert!(files[0].path.parent().is_some_and(|folder| folder.ends_with("cdg")), "{files:?}");
    let answers = bed.answer(Faults::default(), StatusStyle::Mixed);
    bed.feedback_taken(answers.files).await;
    bed.verify_all_holds().await;

    // December: one month more; the released deposit gets nothing, and a new child is paid in from its first month.
    let mut december = in_care();
    december.deposit("D4", 400_000_004, "2024-01-01", "2026-12-24");
    let december = list(&bed, &december, "december", "2026-12").await;
    let next = made(&bed, december, RunKind::Deposit).await;
    assert_eq!(orders(&bed, next).await, ["D2 deposit 500 1", "D3 deposit 500 1", "D4 deposit 500 1"]);
    assert_eq!(refused(&bed, next).await, ["D1 1 deposit_released_before"]);
    bed.verify_all_holds().await;

    let program = Program { url: Some(bed.url()), ..Program::new(bed.home()) };
    let statement = program.run("--json deposits statement D2").json();
    assert_eq!(statement["paid_in"], "1500.00", "{statement}");
    let months: Vec<_> = statement["lines"].as_array().expect("lines").iter().map(|l| &l["period"]).collect();
    assert_eq!(months, ["2026-10", "2026-11", "2026-12"]);
    let statement = program.run("--json deposits statement D1").json();
    assert_eq!(statement["releases"][0]["amount"], "10000.00", "{statement}");
    let file = bed.home().join("releases.csv");
    let written = program.run(&format!("deposits releases --run {run} --out {}", file.display()));
    assert_eq!(written.code, 0, "{written:?}");
    let text = std::fs::read_to_string(&file).expect("the file");
    assert_eq!(
        text,
        format!("deposit_id,account,of_age_on,amount\nD1,{},2008-11-15,10000.00\n", rib("995", 1))
            .replace("2008-11-15", "2026-11-15")
    );
    assert_eq!(program.run("deposits statement D9").code, 1);
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_that_is_rejected_is_paid_in_again_to_the_account_of_the_latest_list() {
    let Some(bed) = Bed::new().await else { return };
    let november = list(&bed, &in_care(), "november", "2026-11").await;
    let run = made(&bed, november, RunKind::Deposit).await;
    bed.take_to(run, RunState::Settling).await;
    // The holder does not know the account of the second child.
    let file = sent_files(&bed.outbox()).remove(0);
    let (end_to_end, ..) = file.orders[1].clone();
    let message = file.message_id.clone();
    let xml = format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"><CstmrPmtStsRpt><GrpHdr><MsgId>W1</MsgId>\
         <CreDtTm>2026-11-25T10:00:00</CreDtTm></GrpHdr><OrgnlGrpInfAndSts><OrgnlMsgId>{message}</OrgnlMsgId>\
         <OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId></OrgnlGrpInfAndSts><OrgnlPmtInfAndSts><OrgnlPmtInfId>{message}</OrgnlPmtInfId>\
         <TxInfAndSts><OrgnlEndToEndId>{end_to_end}</OrgnlEndToEndId><TxSts>RJCT</TxSts>\
         <StsRsnInf><Rsn><Cd>AC01</Cd></Rsn></StsRsnInf></TxInfAndSts></OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>"
    );
    let path = bed.home().join("status.xml");
    std::fs::write(&path, xml).expect("written");
    bed.feedback_taken(vec![path]).await;
    // Nothing but another account helps; the next list brings it, in the part that names deposits.
    let mut december = Registry::default();
    december.household();
    december.deposit("D1", 400_000_001, "2008-11-15", "2020-01-01");
    december
        .deposit("D2", 400_000_002, "2015-01-01", "2026-10-05")
        .set_deposit(&[("account", &rib("995", 4_242))]);
    list(&bed, &december, "december", "2026-12").await;
    let again = reissue::create(&bed.context, "dss", None, PREPARER).await.expect("a reissue").into_inner();
    let reissued = bed
        .rows(&format!("select household_id || ' ' || attempt || ' ' || amount || ' ' || provider_id from payment_order_{}", again.run))
        .await;
    let holder = bed.number("select id::bigint from provider where code = 'cdg'").await;
    assert_eq!(reissued, [format!("D2 2 100000 {holder}")]);
    bed.take_to(again.run, RunState::Settling).await;
    assert!(
        std::fs::read_to_string(&sent_files(&bed.outbox())[1].path)
            .expect("a file")
            .contains(&rib("995", 4_242))
    );
    // The statement follows the order that pays them in again; no other month is paid in for them.
    let program = Program { url: Some(bed.url()), ..Program::new(bed.home()) };
    let statement = program.run("--json deposits statement D2").json();
    let states: Vec<_> = statement["lines"].as_array().expect("lines").iter().map(|l| &l["state"]).collect();
    assert_eq!(states, ["sent", "sent"], "{statement}");
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn synthetic_lists_carry_claims_and_children_in_care() {
    let Some(bed) = Bed::new().await else { return };
    let snapshot = bed.import(&bed.generate(4_000, 11)).await;
    let grants = made(&bed, snapshot, RunKind::BirthGrant).await;
    let deposits = made(&bed, snapshot, RunKind::Deposit).await;
    assert!(orders(&bed, grants).await.len() >= 4, "grants");
    assert!(orders(&bed, deposits).await.len() >= 5, "deposits");
    assert!(!refused(&bed, grants).await.is_empty(), "refusals");
    for run in [grants, deposits] {
        bed.take_to(run, RunState::Settling).await;
    }
    let answers = bed.answer(Faults::default(), StatusStyle::Mixed);
    bed.feedback_taken(answers.files).await;
    for run in [grants, deposits] {
        assert!(bed.reconcile(run).await.is_explained(), "run {run}");
    }
    bed.verify_all_holds().await;
    bed.end().await;
}
