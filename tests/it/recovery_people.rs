//! What people do about undue payments: complaints with their days, write-offs by two, receipts matched by statement and by
//! hand, recalls, and the household's statement of account.

use std::fs;

use sarf::clock::Clock;
use sarf::domain::ids::{BreakId, CaseId, HouseholdId, OrderId};
use sarf::domain::money::Centimes;
use sarf::domain::order::EndToEndRef;
use sarf::domain::recovery::reference::CaseReference;
use sarf::domain::recovery::{AppealStage, CaseState};
use sarf::domain::run::RunState;
use sarf::pipeline::Refusal;
use sarf::pipeline::access::people;
use sarf::pipeline::dispatch::recall::undue::{self, UndueRecallError};
use sarf::pipeline::exceptions::recovery::appeals::{self, Ruling};
use sarf::pipeline::exceptions::recovery::cases::{self, Payment};
use sarf::pipeline::exceptions::recovery::{CaseError, account, repaid, write_off};
use sarf::store::access::operators::Role;
use time::macros::date;
use time::{Date, Duration};

use crate::harness::{ACCOUNTANT, ADMINISTRATOR, APPROVER, Bed, PREPARER, Program, Sent, sent_files};
use crate::returns::statement;

const OTHER_APPROVER: &str = "driss";

fn mad(amount: i64) -> Centimes {
    Centimes::from_mad(amount)
}

fn order_of(file: &Sent, at: usize) -> OrderId {
    EndToEndRef::parse(&file.orders[at].0).expect("one of ours").order
}

/// A month whose files have left, and a file of it with some orders.
async fn filed() -> Option<(Bed, Sent)> {
    let bed = Bed::new().await?;
    bed.run_to(400, 22, RunState::Settling).await;
    people::add(&bed.context, OTHER_APPROVER, Role::Approver, None, ADMINISTRATOR).await.expect("added");
    let file = sent_files(&bed.outbox()).into_iter().find(|f| f.orders.len() > 6).expect("a file");
    Some((bed, file))
}

/// Entries, applied, noted, breaks.
async fn take(bed: &Bed, name: &str, xml: &str) -> [u64; 4] {
    let path = bed.home().join(format!("{name}.xml"));
    fs::write(&path, xml).expect("a message");
    let (_, result) = bed.feedback(vec![path]).await.remove(0);
    let counts = result.unwrap_or_else(|e| panic!("{name}: {e}")).counts;
    [counts.entries, counts.applied, counts.noted, counts.breaks]
}

/// The households of a file have their money.
async fn settled() -> Option<(Bed, Sent)> {
    let (bed, file) = filed().await?;
    assert_eq!(take(&bed, "debit", &statement(&file, "S1", true, &[])).await, [1, 1, 0, 0]);
    Some((bed, file))
}

async fn open(bed: &Bed, order: OrderId, amount: Centimes) -> CaseId {
    let opened =
        cases::open(&bed.context, &Payment::Order(order), amount, "left the country", PREPARER).await;
    let case = opened.unwrap_or_else(|e| panic!("{e}")).into_inner();
    assert_eq!(case.outstanding, amount);
    case.id
}

/// State, outstanding.
async fn stands(bed: &Bed, case: CaseId) -> (CaseState, Centimes) {
    let detail = cases::show(&bed.context, case).await.expect("shown");
    (detail.standing.case.state, detail.standing.case.outstanding)
}

async fn balance(bed: &Bed, kind: &str) -> i64 {
    bed.number(&format!("select coalesce(sum(balance), 0)::bigint from ledger_account where kind = '{kind}'"))
        .await
}

fn set_day(bed: &mut Bed, day: Date) {
    bed.context.clock = Clock::fixed(day.with_hms(10, 0, 0).expect("a time").assume_utc());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_is_opened_over_what_was_paid_and_no_more() {
    let Some((bed, file)) = settled().await else { return };
    let (order, paid) = (order_of(&file, 0), file.orders[0].2);
    let open_as = async |payment: Payment, amount, why: &str, by: &str| {
        cases::open(&bed.context, &payment, amount, why, by).await
    };
    let first = open_as(Payment::Order(order), mad(100), "moved abroad", PREPARER).await.expect("opened");
    assert!(first.is_now());
    let first = first.into_inner();
    assert_eq!((first.state, first.order), (CaseState::Receivable, Some(order)));
    let again = open_as(Payment::Order(order), mad(100), "moved abroad", PREPARER).await.expect("opened");
    assert!(!again.is_now() && again.into_inner().id == first.id);
    open_as(Payment::Order(order), paid - mad(100), "the rest", PREPARER).await.expect("opened");
    let refusal =
        open_as(Payment::Order(order), Centimes::new(1), "more", PREPARER).await.expect_err("too much");
    assert_eq!(refusal.to_string(), "0.01 MAD is more than the 0.00 MAD that are left");
    for (amount, why, by) in
        [(mad(-5), "x", PREPARER), (mad(0), "x", PREPARER), (mad(5), " ", PREPARER), (mad(5), "x", APPROVER)]
    {
        assert!(
            open_as(Payment::Order(order_of(&file, 1)), amount, why, by).await.is_err(),
            "{amount} {why} {by}"
        );
    }
    assert!(matches!(
        open_as(Payment::Order(OrderId::new(99 << 32)), mad(5), "x", PREPARER).await,
        Err(CaseError::Refused(Refusal::NotFound(_)))
    ));
    assert_eq!(balance(&bed, "receivable").await, paid.get());
    assert_eq!(balance(&bed, "undue").await, -paid.get());

    // A payment that was made elsewhere: in a month that sarf did not pay, to a household that is known.
    let household = HouseholdId::parse(first.household_id.as_bytes()).expect("an id");
    let earlier = |household, month: &str| Payment::Earlier {
        household,
        period: month.parse().expect("a month"),
        programme: "dss".into(),
    };
    let refusal =
        open_as(earlier(household, "2026-11"), mad(50), "x", PREPARER).await.expect_err("paid here");
    assert!(matches!(refusal, CaseError::PaidByOrder { .. }), "{refusal}");
    let stranger = HouseholdId::parse(b"NOBODY").expect("an id");
    let refusal = open_as(earlier(stranger, "2025-03"), mad(50), "x", PREPARER).await.expect_err("unknown");
    assert!(matches!(refusal, CaseError::NotListed { .. }), "{refusal}");
    let elsewhere =
        open_as(earlier(household, "2025-03"), mad(50), "x", PREPARER).await.expect("opened").into_inner();
    assert_eq!((elsewhere.state, elsewhere.order), (CaseState::Receivable, None));
    let found = account::of(&bed.context, household).await.expect("read").expect("an account");
    assert!(found.holds && found.owed == paid + mad(50) && found.cases.len() == 3, "{found:?}");
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_complaint_takes_its_course_by_the_clock() {
    let Some((mut bed, file)) = settled().await else { return };
    let (case, lapsing) =
        (open(&bed, order_of(&file, 0), mad(100)).await, open(&bed, order_of(&file, 1), mad(80)).await);
    let looks = async |bed: &Bed, case: CaseId| {
        let found = cases::show(&bed.context, case).await.expect("shown").standing;
        (found.case.appeal_stage, found.suspended, found.overdue)
    };
    let day = date!(2026 - 11 - 24);
    let refusal = appeals::complain(&bed.context, case, Some(day + Duration::days(1)), "x", PREPARER).await;
    assert!(matches!(refusal, Err(CaseError::Appeal(_))), "in the future");
    for id in [case, lapsing] {
        assert!(
            appeals::complain(&bed.context, id, None, "never got it", PREPARER)
                .await
                .expect("lodged")
                .is_now()
        );
        assert!(
            !appeals::complain(&bed.context, id, None, "never got it", PREPARER)
                .await
                .expect("lodged")
                .is_now()
        );
    }
    set_day(&mut bed, date!(2026 - 12 - 24));
    assert_eq!(looks(&bed, case).await, (Some(AppealStage::Complaint), true, false), "the thirtieth day");
    set_day(&mut bed, date!(2026 - 12 - 25));
    assert_eq!(
        looks(&bed, case).await,
        (Some(AppealStage::Complaint), true, true),
        "late, and still suspended"
    );
    assert_eq!(cases::list(&bed.context, None, None, true).await.expect("listed").len(), 2);

    // The opener does not judge, nor does another role.
    assert!(matches!(
        appeals::reply(&bed.context, case, Ruling::Upheld, "x", PREPARER).await,
        Err(CaseError::Refused(_))
    ));
    bed.write(&format!("update recovery_case set opened_by = '{APPROVER}' where id = {case}"))
        .await
        .expect("by hand");
    assert!(matches!(
        appeals::reply(&bed.context, case, Ruling::Upheld, "x", APPROVER).await,
        Err(CaseError::SamePerson { .. })
    ));
    bed.write(&format!("update recovery_case set opened_by = '{PREPARER}' where id = {case}"))
        .await
        .expect("by hand");
    for id in [case, lapsing] {
        assert!(
            appeals::reply(&bed.context, id, Ruling::Upheld, "signed for", APPROVER)
                .await
                .expect("replied")
                .is_now()
        );
        assert!(
            !appeals::reply(&bed.context, id, Ruling::Upheld, "signed for", APPROVER)
                .await
                .expect("replied")
                .is_now()
        );
    }
    set_day(&mut bed, date!(2027 - 01 - 09));
    assert_eq!(looks(&bed, case).await, (Some(AppealStage::Replied), true, false), "the fifteenth day");
    appeals::appeal(&bed.context, case, None, "not my signature", PREPARER).await.expect("in time");
    set_day(&mut bed, date!(2027 - 01 - 10));
    assert_eq!(looks(&bed, lapsing).await, (Some(AppealStage::Replied), false, false), "it goes on");
    let refusal = appeals::appeal(&bed.context, lapsing, None, "x", PREPARER).await.expect_err("too late");
    assert_eq!(refusal.to_string(), "the time to appeal ended on 2027-01-09");
    // A letter that came in time may be entered later.
    appeals::appeal(&bed.context, lapsing, Some(date!(2027 - 01 - 09)), "by post", PREPARER)
        .await
        .expect("in time");

    set_day(&mut bed, date!(2027 - 02 - 09));
    assert_eq!(looks(&bed, case).await, (Some(AppealStage::Appeal), true, true));
    let part = Ruling::Granted(Some(mad(40)));
    assert!(matches!(
        appeals::answer(&bed.context, case, part, "x", APPROVER).await,
        Err(CaseError::SamePerson { .. })
    ));
    let too_much = Ruling::Granted(Some(mad(101)));
    assert!(matches!(
        appeals::answer(&bed.context, case, too_much, "x", OTHER_APPROVER).await,
        Err(CaseError::TooMuch { .. })
    ));
    let ruled =
        appeals::answer(&bed.context, case, part, "half of it", OTHER_APPROVER).await.expect("answered");
    assert!(ruled.is_now());
    assert_eq!(ruled.into_inner().reduced, mad(40));
    assert!(
        !appeals::answer(&bed.context, case, part, "half of it", OTHER_APPROVER)
            .await
            .expect("before")
            .is_now()
    );
    assert_eq!(stands(&bed, case).await, (CaseState::Receivable, mad(60)));
    assert_eq!(looks(&bed, case).await, (Some(AppealStage::Decided), false, false));
    assert!(appeals::complain(&bed.context, case, None, "again", PREPARER).await.is_err(), "once");
    appeals::answer(&bed.context, lapsing, Ruling::Granted(None), "an error", OTHER_APPROVER)
        .await
        .expect("answered");
    assert_eq!(stands(&bed, lapsing).await, (CaseState::Withdrawn, mad(0)));
    assert_eq!((balance(&bed, "receivable").await, balance(&bed, "undue").await), (6_000, -6_000));
    assert_eq!(bed.number("select count(*) from audit where action like 'recovery.%'").await, 10);
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_off_takes_two() {
    let Some((bed, file)) = settled().await else { return };
    let case = open(&bed, order_of(&file, 0), mad(100)).await;
    let context = &bed.context;
    assert!(matches!(write_off::confirm(context, case, APPROVER).await, Err(CaseError::NotProposed(_))));
    assert!(write_off::propose(context, case, "died", PREPARER).await.is_err());
    assert!(write_off::propose(context, case, "died", ACCOUNTANT).await.expect("proposed").is_now());
    assert!(!write_off::propose(context, case, "died", ACCOUNTANT).await.expect("proposed").is_now());
    assert_eq!(stands(&bed, case).await, (CaseState::Receivable, mad(100)), "nothing moves yet");
    let role = |role: &str| format!("update operator set role = '{role}' where name = '{ACCOUNTANT}'");
    assert!(matches!(write_off::confirm(context, case, ACCOUNTANT).await, Err(CaseError::Refused(_))));
    bed.write(&role("approver")).await.expect("by hand");
    assert!(matches!(write_off::confirm(context, case, ACCOUNTANT).await, Err(CaseError::SamePerson { .. })));
    bed.write(&role("accountant")).await.expect("by hand");

    assert!(write_off::refuse(context, case, "has heirs", APPROVER).await.expect("refused").is_now());
    assert!(!write_off::refuse(context, case, "has heirs", APPROVER).await.expect("refused").is_now());
    assert!(matches!(write_off::confirm(context, case, APPROVER).await, Err(CaseError::NotProposed(_))));
    write_off::propose(context, case, "no heirs", ACCOUNTANT).await.expect("proposed");
    assert!(write_off::confirm(context, case, APPROVER).await.expect("confirmed").is_now());
    assert!(!write_off::confirm(context, case, APPROVER).await.expect("confirmed").is_now());
    assert_eq!(stands(&bed, case).await, (CaseState::WrittenOff, mad(0)));
    assert_eq!((balance(&bed, "receivable").await, balance(&bed, "given_up").await), (0, 10_000));
    let plan = cases::plan(context, case, Some(mad(10)), PREPARER).await;
    assert!(matches!(plan, Err(CaseError::WrongState { .. })));
    bed.verify_all_holds().await;
    bed.end().await;
}

/// A statement of credits: amount, what the entry holds.
fn receipts(file: &Sent, id: &str, credits: &[(Centimes, String)]) -> String {
    let empty = statement(file, id, false, &[]);
    let entries: String = credits
        .iter()
        .map(|(amount, details)| {
            let reference = details.strip_prefix('#').map_or(String::new(), |r| format!("<NtryRef>{r}</NtryRef>"));
            let details = if details.starts_with('#') { "" } else { details };
            format!(
                "<Ntry>{reference}<Amt Ccy=\"MAD\">{amount}</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts><BookgDt><Dt>2026-12-02</Dt></BookgDt>\
                 <BkTxCd/><NtryDtls>{details}</NtryDtls></Ntry>"
            )
        })
        .collect();
    empty.replace("</Stmt>", &format!("{entries}</Stmt>"))
}

fn remitted(text: &str) -> String {
    format!("<TxDtls><RmtInf><Ustrd>{text}</Ustrd></RmtInf></TxDtls>")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_that_name_a_case_repay_it() {
    let Some((bed, file)) = settled().await else { return };
    let mut ids = Vec::new();
    for at in 0..4 {
        ids.push(open(&bed, order_of(&file, at), mad(100)).await);
    }
    let name = |at: usize| CaseReference::of(ids[at]).to_string();
    // Over two lines of the transfer's text.
    let (start, rest) = (name(1)[2..8].to_owned(), name(1)[8..].to_owned());
    let spaced = format!("remb. trop perçu rc {start}</Ustrd><Ustrd>{rest} merci");
    let structured = format!(
        "<TxDtls><RmtInf><Strd><CdtrRefInf><Tp><CdOrPrtry><Cd>SCOR</Cd></CdOrPrtry></Tp><Ref>{}</Ref></CdtrRefInf></Strd></RmtInf></TxDtls>",
        name(0)
    );
    let wrong = name(0).replace("RC0", "RC9");
    let waiting = open(
        &bed,
        order_of(
            &sent_files(&bed.outbox())
                .into_iter()
                .find(|f| f.message_id != file.message_id)
                .expect("another file"),
            0,
        ),
        mad(100),
    )
    .await;
    let credits = [
        (mad(100), structured),
        (mad(30), remitted(&spaced)),
        (mad(120), format!("<TxDtls><Refs><EndToEndId>{}</EndToEndId></Refs></TxDtls>", name(2))),
        (mad(100), format!("#{}", name(3))),
        (mad(7), remitted(&wrong)),
        (mad(8), remitted(&CaseReference::of(CaseId::new(4_000)).to_string())),
        (mad(9), remitted(&format!("{} {}", name(0), name(1)))),
        (mad(11), remitted(&CaseReference::of(waiting).to_string())),
    ];
    let xml = receipts(&file, "S2", &credits);
    // Announced only: nothing is booked.
    let announced = xml
        .replace("camt.053.001.02", "camt.054.001.02")
        .replace("BkToCstmrStmt", "BkToCstmrDbtCdtNtfctn")
        .replace("Stmt>", "Ntfctn>");
    assert_eq!(take(&bed, "announced", &announced).await[1], 0);
    assert_eq!(stands(&bed, ids[0]).await, (CaseState::Receivable, mad(100)));

    // One more entry is counted for the receipt that is both taken and too much.
    assert_eq!(take(&bed, "receipts", &xml).await, [9, 4, 0, 5]);
    assert_eq!(stands(&bed, ids[0]).await, (CaseState::Recovered, mad(0)));
    assert_eq!(stands(&bed, ids[1]).await, (CaseState::Receivable, mad(70)));
    assert_eq!(stands(&bed, ids[2]).await, (CaseState::Recovered, mad(0)));
    assert_eq!(stands(&bed, ids[3]).await, (CaseState::Recovered, mad(0)));
    assert_eq!(
        stands(&bed, waiting).await,
        (CaseState::Opened, mad(100)),
        "nothing is owed before it was paid"
    );
    let breaks = bed.rows("select kind || ' ' || amount || ' ' || detail from break where message_id = (select max(message_id) from break) order by id").await;
    assert_eq!(breaks.len(), 5, "{breaks:?}");
    assert!(
        breaks.contains(&format!("amount_differs 2000 more than was outstanding in case `{}`", name(2))),
        "{breaks:?}"
    );
    assert!(!breaks.iter().any(|b| b.contains("merci")), "what people write is not kept");
    // Bank in = suspense + what was repaid.
    assert_eq!(balance(&bed, "suspense").await, -(2_000 + 700 + 800 + 900 + 1_100));
    assert_eq!(balance(&bed, "receivable").await, 7_000);
    assert_eq!(bed.number("select sum(repaid)::bigint from recovery_case").await, 33_000);
    // The same statement again changes nothing.
    take(&bed, "again", &xml.replace("<MsgId>S2", "<MsgId>S2B")).await;
    assert_eq!(bed.number("select sum(repaid)::bigint from recovery_case").await, 33_000);
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_in_suspense_is_assigned_by_hand() {
    let Some((bed, file)) = settled().await else { return };
    let case = open(&bed, order_of(&file, 0), mad(100)).await;
    let other = open(&bed, order_of(&file, 1), mad(100)).await;
    let context = &bed.context;
    let credits = [(mad(150), remitted("from Ahmed")), (mad(10), String::new())];
    assert_eq!(take(&bed, "receipts", &receipts(&file, "S2", &credits)).await, [2, 0, 0, 2]);
    let found = BreakId::new(bed.number("select id from break where amount = 15000").await);
    assert!(matches!(
        repaid::assign(context, case, BreakId::new(999), ACCOUNTANT).await,
        Err(CaseError::Refused(Refusal::NotFound(_)))
    ));
    assert!(repaid::assign(context, case, found, PREPARER).await.is_err());
    let done = repaid::assign(context, case, found, ACCOUNTANT).await.expect("assigned");
    assert!(done.is_now());
    let done = done.into_inner();
    assert_eq!((done.repaid, done.left, done.case.state), (mad(100), mad(50), CaseState::Recovered));
    let again = repaid::assign(context, case, found, ACCOUNTANT).await.expect("assigned before");
    assert!(!again.is_now());
    assert_eq!(
        bed.number(&format!("select count(*) from break where id = {found} and resolved_at is null")).await,
        1
    );
    bed.verify_all_holds().await;
    // What is left of it goes to another case, and then the break is explained.
    let done = repaid::assign(context, other, found, ACCOUNTANT).await.expect("assigned").into_inner();
    assert_eq!((done.repaid, done.left, done.case.outstanding), (mad(50), mad(0), mad(50)));
    assert_eq!(
        bed.number(&format!("select count(*) from break where id = {found} and resolved_at is null")).await,
        0
    );
    assert!(matches!(repaid::assign(context, other, found, ACCOUNTANT).await, Ok(done) if !done.is_now()));
    assert_eq!((balance(&bed, "suspense").await, balance(&bed, "receivable").await), (-1_000, 5_000));
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undue_payment_is_recalled_before_the_household_has_it() {
    let Some((bed, file)) = filed().await else { return };
    let case = open(&bed, order_of(&file, 0), file.orders[0].2).await;
    assert_eq!(stands(&bed, case).await, (CaseState::Opened, file.orders[0].2));
    assert!(undue::ask(&bed.context, case, "died", PREPARER).await.is_err());
    let asked = undue::ask(&bed.context, case, "died", ACCOUNTANT).await.expect("asked");
    assert!(asked.is_now());
    assert_eq!(asked.into_inner().0.state, CaseState::Recalled);
    let again = undue::ask(&bed.context, case, "died", ACCOUNTANT).await.expect("asked before");
    assert!(!again.is_now());
    assert_eq!(bed.number("select count(*) from recall where reason = 'UPAY'").await, 1);
    assert_eq!(balance(&bed, "receivable").await, 0, "nothing is owed yet");
    // The bank paid nevertheless.
    assert_eq!(take(&bed, "debit", &statement(&file, "S1", true, &[])).await, [1, 1, 0, 0]);
    assert_eq!(stands(&bed, case).await, (CaseState::Receivable, file.orders[0].2));
    let refusal = undue::ask(&bed.context, case, "died", ACCOUNTANT).await.expect_err("settled");
    assert!(matches!(refusal, UndueRecallError::Case(CaseError::Ended { .. })), "{refusal}");
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_of_account_adds_up() {
    let Some((bed, file)) = settled().await else { return };
    let (order, paid) = (order_of(&file, 0), file.orders[0].2);
    let case = open(&bed, order, mad(300)).await;
    let household = bed
        .rows(&format!("select household_id from payment_order where order_id = {}", order.get()))
        .await
        .remove(0);
    let id = HouseholdId::parse(household.as_bytes()).expect("an id");
    let figures = async |bed: &Bed| {
        let found = account::of(&bed.context, id).await.expect("read").expect("an account");
        assert!(found.holds, "{found:?}");
        (found.totals.due, found.totals.paid, found.totals.undue, found.owed, found.totals.to_come)
    };
    assert_eq!(figures(&bed).await, (paid, paid, mad(300), mad(300), mad(0)));
    let credits = [(mad(50), remitted(&CaseReference::of(case).to_string()))];
    assert_eq!(take(&bed, "receipts", &receipts(&file, "S2", &credits)).await, [1, 1, 0, 0]);
    assert_eq!(figures(&bed).await, (paid, paid, mad(300), mad(250), mad(0)));
    appeals::complain(&bed.context, case, None, "x", PREPARER).await.expect("lodged");
    appeals::reply(&bed.context, case, Ruling::Granted(Some(mad(100))), "x", APPROVER)
        .await
        .expect("replied");
    assert_eq!(figures(&bed).await, (paid, paid, mad(200), mad(150), mad(0)));
    write_off::propose(&bed.context, case, "x", ACCOUNTANT).await.expect("proposed");
    write_off::confirm(&bed.context, case, APPROVER).await.expect("confirmed");
    assert_eq!(figures(&bed).await, (paid, paid, mad(200), mad(0), mad(0)));

    // Money under way, and money that came back.
    let other = sent_files(&bed.outbox())
        .into_iter()
        .find(|f| f.message_id != file.message_id)
        .expect("another file");
    let sent = order_of(&other, 0);
    let of = async |order: OrderId| {
        let sql = format!("select household_id from payment_order where order_id = {}", order.get());
        let id = HouseholdId::parse(bed.rows(&sql).await.remove(0).as_bytes()).expect("an id");
        account::of(&bed.context, id).await.expect("read").expect("an account")
    };
    let under_way = of(sent).await;
    assert!(under_way.holds && under_way.totals.to_come == other.orders[0].2, "{under_way:?}");
    let key = file.orders[1].0.as_str();
    assert_eq!(take(&bed, "back", &statement(&file, "S3", false, &[key])).await, [1, 1, 0, 0]);
    let back = of(order_of(&file, 1)).await;
    assert!(
        back.holds && back.totals.came_back == file.orders[1].2 && back.totals.to_come == file.orders[1].2
    );

    // The program, in three languages and as JSON.
    let program = Program { url: Some(bed.url()), ..Program::new(bed.home()) };
    for (lang, words) in [
        ("en", ["found undue", "nothing is open"]),
        ("fr", ["trop-perçu", "le compte est soldé"]),
        ("ar", ["غير المستحق", "لا شيء عالق"]),
    ] {
        let ran = program.ends(0, &format!("recovery account {household} --lang {lang}"));
        assert!(words.iter().all(|word| ran.out.contains(word)), "{lang}: {ran:?}");
        assert!(ran.out.contains(&CaseReference::of(case).to_string()), "{lang}: {ran:?}");
    }
    let json = program.ends(0, &format!("--json recovery account {household}")).json();
    assert_eq!(
        (&json["holds"], &json["totals"]["paid"]),
        (&serde_json::json!(true), &serde_json::json!(paid))
    );
    assert!(program.ends(1, "recovery account NOBODY").err.contains("no order and no case of `NOBODY`"));
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_takes_a_case_through_its_life() {
    let Some((bed, file)) = settled().await else { return };
    let program = Program { url: Some(bed.url()), ..Program::new(bed.home()) };
    let key = &file.orders[0].0;
    let opened = format!("--json recovery open --order {key} --amount 90.00 --why moved --as {PREPARER}");
    let json = program.ends(0, &opened).json();
    let case = json["reference"].as_str().expect("a reference").to_owned();
    assert_eq!(json["done_now"], serde_json::json!(true));
    assert_eq!(program.ends(0, &opened).json()["done_now"], serde_json::json!(false));
    for (code, args, says) in [
        (0, format!("recovery plan {case} --monthly 40.00 --as {PREPARER}"), "take 3 months or more"),
        (0, format!("recovery suspend {case} --why letter --as {PREPARER}"), "to be replied to by"),
        (
            0,
            format!("recovery reply {case} --upheld --why signed --as {APPROVER}"),
            "the household may appeal until",
        ),
        (0, format!("recovery appeal {case} --why letter --as {PREPARER}"), "to be answered by"),
        (
            0,
            format!("recovery decide {case} --granted --amount 20.00 --why half --as {OTHER_APPROVER}"),
            "20.00 MAD less owed",
        ),
        (0, format!("recovery write-off {case} --why poor --as {ACCOUNTANT}"), "put forward"),
        (3, format!("recovery show {case}"), "proposes to write it off"),
        (0, format!("recovery refuse {case} --why not-so --as {APPROVER}"), "the case goes on"),
        (0, format!("recovery plan {case} --none --as {PREPARER}"), "as much a month as the rules allow"),
        (0, "recovery list --state receivable".to_owned(), case.as_str()),
    ] {
        let ran = program.ends(code, &args);
        assert!(ran.out.contains(says), "{args}: {ran:?}");
    }
    for (args, what, hint) in [
        (
            format!("recovery confirm {case} --as {APPROVER}"),
            "nobody has proposed to write off case",
            "sarf recovery show RC",
        ),
        (
            format!("recovery recall {case} --why x --as {ACCOUNTANT}"),
            "there is nothing left to ask back",
            "sarf order show",
        ),
        ("recovery show 4000".to_owned(), "case `4000` is not known", "sarf recovery list"),
        (
            format!("recovery repaid {case} --break 77 --as {ACCOUNTANT}"),
            "break `77` is not known",
            "sarf breaks list",
        ),
    ] {
        let ran = program.ends(1, &args);
        assert!(ran.err.contains(what) && ran.err.contains(hint), "{args}: {ran:?}");
    }
    for args in
        ["recovery show RC0000000196", "recovery open --amount 5 --why x --as y", "recovery plan 1 --as x"]
    {
        program.ends(2, args);
    }
    bed.verify_all_holds().await;
    bed.end().await;
}
