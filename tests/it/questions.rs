//! A claim that may be paid, as an open break says, is paid by nothing else until the accountant has decided.

use std::fs;

use bytes::Bytes;
use sarf::domain::event::StandingApprovalId;
use sarf::domain::ids::{BreakId, Code, HouseholdId, OrderId, RunId, SnapshotId};
use sarf::domain::money::Centimes;
use sarf::domain::order::{OrderKey, OrderNames};
use sarf::domain::person::Idcs;
use sarf::domain::run::RunState;
use sarf::pipeline::exceptions::breaks;
use sarf::pipeline::orders::correction::{self, Found};
use sarf::pipeline::orders::holds::{self, Changed, HoldError};
use sarf::pipeline::runs::fund;
use sarf::pipeline::runs::standing_approvals::{self, Proposal};
use sarf::pipeline::{Applied, events};
use time::macros::date;

use crate::harness::{ACCOUNTANT, APPROVER, Bed, PREPARER, Registry, period, sent_files};

fn household(number: usize) -> String {
    format!("H{:06}", number + 1)
}

async fn list(bed: &Bed, registry: &Registry, month: &str) -> SnapshotId {
    let folder = bed.home().join(format!("list-{month}"));
    registry.write_for(&folder, month.parse().expect("a month"));
    bed.import(&folder).await
}

async fn order(bed: &Bed, run: RunId, number: usize) -> OrderId {
    let sql =
        format!("select order_id from payment_order_{run} where household_id = '{}'", household(number));
    OrderId::new(bed.number(&sql).await)
}

/// The end-to-end id of a household's order for its month, whether or not it has left.
async fn key(bed: &Bed, run: RunId, number: usize) -> String {
    let (programme, purpose) = (Code::parse("dss").expect("a code"), Code::parse("monthly").expect("a code"));
    let household = HouseholdId::parse(household(number).as_bytes()).expect("an id");
    let key = OrderKey { programme: &programme, period: period(), household, purpose: &purpose, attempt: 1 };
    let mut text = String::new();
    OrderNames::of(&key).write_end_to_end(&programme, period(), order(bed, run, number).await, &mut text);
    text
}

/// A bank says of one order of a file that it has this status; how many breaks that opens.
async fn says(bed: &Bed, name: &str, file: &str, key: &str, (status, reason): (&str, &str)) -> u64 {
    let why = if reason.is_empty() {
        String::new()
    } else {
        format!("<StsRsnInf><Rsn><Cd>{reason}</Cd></Rsn></StsRsnInf>")
    };
    let xml = format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"><CstmrPmtStsRpt><GrpHdr><MsgId>{name}</MsgId>\
         <CreDtTm>2026-11-25T10:00:00</CreDtTm></GrpHdr><OrgnlGrpInfAndSts><OrgnlMsgId>{file}</OrgnlMsgId>\
         <OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId></OrgnlGrpInfAndSts><OrgnlPmtInfAndSts><OrgnlPmtInfId>{file}</OrgnlPmtInfId>\
         <TxInfAndSts><OrgnlEndToEndId>{key}</OrgnlEndToEndId><TxSts>{status}</TxSts>{why}</TxInfAndSts></OrgnlPmtInfAndSts>\
         </CstmrPmtStsRpt></Document>"
    );
    let path = bed.home().join(format!("{name}.xml"));
    fs::write(&path, xml).expect("a message");
    let (_, result) = bed.feedback(vec![path]).await.remove(0);
    result.expect("the message is read").counts.breaks
}

/// Orders of a run that are held: household and reasons.
async fn held(bed: &Bed, run: RunId) -> Vec<String> {
    bed.rows(&format!(
        "select o.household_id || ' ' || string_agg(h.reason, ',' order by h.reason) from payment_order_{run} o
           join order_hold h on h.order_id = o.order_id and h.released_at is null group by o.household_id order by 1"
    ))
    .await
}

async fn break_of(bed: &Bed, order: OrderId) -> BreakId {
    let sql = format!("select id from break where order_id = {} and resolved_at is null", order.get());
    BreakId::new(bed.number(&sql).await)
}

async fn decide(bed: &Bed, id: BreakId) {
    breaks::resolve(&bed.context, id, ACCOUNTANT, "the bank has not paid it", None).await.expect("resolved");
}

async fn is_in_question(bed: &Bed, order: OrderId, of: BreakId) {
    let refused = holds::set(&bed.context, order, false, PREPARER, "let it go").await;
    let Err(HoldError::InQuestion { break_id, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(break_id, of);
}

/// Leave to pay the month's claim of a household off-cycle.
async fn off_cycle(bed: &Bed) -> StandingApprovalId {
    let proposal = Proposal {
        programme: Code::parse("dss").expect("a code"),
        purpose: Code::parse("monthly").expect("a code"),
        order_max: Centimes::from_mad(600),
        day_max: Centimes::from_mad(9_000),
        valid_from: date!(2026 - 11 - 01),
        valid_to: date!(2026 - 12 - 31),
    };
    let id =
        standing_approvals::propose(&bed.context, &proposal, PREPARER).await.expect("proposed").into_inner();
    standing_approvals::approve(&bed.context, id, APPROVER).await.expect("approved");
    standing_approvals::fund(&bed.context, id, ACCOUNTANT).await.expect("funded");
    id
}

fn child_number(child: u32) -> String {
    Idcs::from_stem(300_000_000 + child).reveal().to_string()
}

fn registry(households: usize) -> Registry {
    let mut registry = Registry::default();
    for _ in 0..households {
        registry.household();
    }
    registry
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_cancelled_run_may_have_paid_is_held_in_the_next_run_and_in_events() {
    let Some(bed) = Bed::new().await else { return };
    let november = list(&bed, &registry(4), "2026-11").await;
    let cancelled = bed.create(november).await;
    bed.take_to(cancelled, RunState::Funded).await;
    let keys = [key(&bed, cancelled, 0).await, key(&bed, cancelled, 1).await];
    fund::cancel(&bed.context, cancelled, ACCOUNTANT).await.expect("cancelled");
    // The bank reports on two orders of which nothing is known to have left.
    for (at, key) in keys.iter().enumerate() {
        assert_eq!(says(&bed, &format!("N{at}"), "BANK-0815", key, ("ACSC", "")).await, 2);
    }
    assert_eq!(bed.open_breaks().await, ["never_sent 2", "unknown_reference 2"]);
    let questions = [
        break_of(&bed, order(&bed, cancelled, 0).await).await,
        break_of(&bed, order(&bed, cancelled, 1).await).await,
    ];

    // The second household's claim is asked for off-cycle, the others' by the month's run.
    off_cycle(&bed).await;
    let event = |household: &str| {
        Bytes::from(format!(
            "{{\"id\":\"e-{household}\",\"type\":\"order\",\"programme\":\"dss\",\"household\":\"{household}\",\
             \"at\":\"2026-11-24T08:30:00Z\",\"period\":\"2026-11\",\"purpose\":\"monthly\",\"amount\":\"500.00\"}}"
        ))
    };
    let lines = vec![event("H000002"), event("H000003")];
    let outcomes = events::accept(&bed.context, "test", lines).await.expect("decided");
    let told: Vec<String> = outcomes.iter().map(|o| format!("{} {}", o.outcome, o.detail)).collect();
    assert_eq!(told, ["held claim_in_question", "taken "]);
    let of_events = RunId::new(bed.number("select id from run where standing_approval is not null").await);
    let run = bed.create(november).await;
    assert_eq!(held(&bed, of_events).await, ["H000002 claim_in_question"]);
    assert_eq!(held(&bed, run).await, ["H000001 claim_in_question"]);
    let (first, second) = (order(&bed, run, 0).await, order(&bed, of_events, 1).await);
    is_in_question(&bed, first, questions[0]).await;
    is_in_question(&bed, second, questions[1]).await;
    bed.verify_all_holds().await;

    // The accountant decides, and they can be let go: before the run is funded by one person, then by two.
    decide(&bed, questions[0]).await;
    let let_go = holds::set(&bed.context, first, false, PREPARER, "not paid").await.expect("let go");
    assert_eq!(let_go, Applied::Now(Changed::LetGo));
    is_in_question(&bed, second, questions[1]).await;
    decide(&bed, questions[1]).await;
    let proposed = holds::set(&bed.context, second, false, PREPARER, "not paid").await.expect("proposed");
    assert_eq!(proposed, Applied::Now(Changed::Proposed));
    // Opened again between the two, it is not confirmed.
    breaks::reopen(&bed.context, questions[1], ACCOUNTANT, "the bank is not sure").await.expect("open again");
    let refused = holds::confirm(&bed.context, second, APPROVER).await;
    assert!(matches!(refused, Err(HoldError::InQuestion { .. })), "{refused:?}");
    decide(&bed, questions[1]).await;
    assert!(holds::confirm(&bed.context, second, APPROVER).await.expect("let go").is_now());
    assert!(fund::release(&bed.context, of_events, None, ACCOUNTANT).await.expect("released").is_now());
    sarf::pipeline::dispatch::files::dispatch(&bed.context, of_events).await.expect("dispatched");
    bed.take_to(run, RunState::Settling).await;
    let left: usize = sent_files(&bed.outbox()).iter().map(|file| file.orders.len()).sum();
    assert_eq!(left, 4, "each claim once");
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arrears_wait_for_every_claim_of_their_household() {
    let Some(bed) = Bed::new().await else { return };
    let mut registry = registry(3);
    for (number, child) in [(0, 1), (1, 2)] {
        registry.add_member(number, &child_number(child), "2021-01-01");
    }
    let november = bed.create(list(&bed, &registry, "2026-11").await).await;
    bed.take_to(november, RunState::Settling).await;
    // Rejected, and settled after all.
    let (file, rejected) = (sent_files(&bed.outbox()).remove(0).message_id, key(&bed, november, 0).await);
    assert_eq!(says(&bed, "R1", &file, &rejected, ("RJCT", "MS03")).await, 0);
    assert_eq!(says(&bed, "R2", &file, &rejected, ("ACSC", "")).await, 1);
    let question = break_of(&bed, order(&bed, november, 0).await).await;

    // Both households had another child in November.
    for (number, child) in [(0, 3), (1, 4)] {
        registry.add_member(number, &child_number(child), "2026-11-10");
    }
    let december = list(&bed, &registry, "2026-12").await;
    let found = correction::create(&bed.context, december, None, PREPARER).await.expect("corrected");
    let Found::Run(run) = found.into_inner() else { panic!("nothing found") };
    assert_eq!(bed.number(&format!("select count(*) from payment_order_{run}")).await, 2);
    assert_eq!(held(&bed, run).await, ["H000001 claim_in_question"]);
    let arrears = order(&bed, run, 0).await;
    is_in_question(&bed, arrears, question).await;
    bed.verify_all_holds().await;
    decide(&bed, question).await;
    holds::set(&bed.context, arrears, false, PREPARER, "not paid").await.expect("let go");
    assert_eq!(held(&bed, run).await, Vec::<String>::new());

    bed.take_to(run, RunState::Settling).await;
    let left: usize = sent_files(&bed.outbox()).iter().map(|file| file.orders.len()).sum();
    assert_eq!(left, 3 + 2);
    bed.verify_all_holds().await;
    bed.end().await;
}
