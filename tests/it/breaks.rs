//! Breaks: queues with what to do, resolved by one person or two, opened again, with their money in suspense.

use std::fs;

use sarf::clock::Clock;
use sarf::domain::breaks::{BreakState, BreakStep, PostTo};
use sarf::domain::ids::{BreakId, RunId};
use sarf::domain::reason::BreakKind;
use sarf::domain::run::RunState;
use sarf::pipeline::Refusal;
use sarf::pipeline::access::people;
use sarf::pipeline::exceptions::breaks::{self, BreakError, Explanation, Wanted};
use sarf::pipeline::runs::reconcile;
use sarf::sandbox::banks::{Faults, StatusStyle};
use sarf::sandbox::points::PointFaults;
use sarf::store::access::operators::Role;
use time::Duration;

use crate::harness::{ACCOUNTANT, ADMINISTRATOR, APPROVER, Bed, PREPARER, Program, sent_files};
use crate::returns::{returned, returns};

/// A second accountant.
const OTHER: &str = "dalila";

/// What a statement states beside its entries.
#[derive(Clone, Copy, Default)]
struct Page<'a> {
    id: &'a str,
    /// Days of November.
    days: Option<(u8, u8)>,
    balances: Option<(&'a str, &'a str)>,
    /// Amounts and directions of entries that name nothing.
    entries: &'a [(&'a str, &'a str)],
}

fn statement(account: &str, page: Page<'_>) -> String {
    let id = page.id;
    let period = page.days.map_or_else(String::new, |(from, to)| {
        format!(
            "<FrToDt><FrDtTm>2026-11-{from:02}T00:00:00</FrDtTm><ToDtTm>2026-11-{to:02}T00:00:00</ToDtTm></FrToDt>"
        )
    });
    let balance = |code: &str, amount: &str| {
        format!(
            "<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy=\"MAD\">{amount}</Amt><CdtDbtInd>CRDT</CdtDbtInd>\
             <Dt><Dt>2026-11-25</Dt></Dt></Bal>"
        )
    };
    let balances = page
        .balances
        .map_or_else(String::new, |(opening, closing)| balance("OPBD", opening) + &balance("CLBD", closing));
    let entry = |(amount, direction): &(&str, &str)| {
        format!(
            "<Ntry><Amt Ccy=\"MAD\">{amount}</Amt><CdtDbtInd>{direction}</CdtDbtInd><Sts>BOOK</Sts><BkTxCd/></Ntry>"
        )
    };
    let entries: String = page.entries.iter().map(entry).collect();
    format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.02\"><BkToCstmrStmt><GrpHdr><MsgId>{id}</MsgId>\
         <CreDtTm>2026-11-26T06:00:00</CreDtTm></GrpHdr><Stmt><Id>{id}</Id><CreDtTm>2026-11-26T06:00:00</CreDtTm>{period}\
         <Acct><Id><Othr><Id>{account}</Id></Othr></Id></Acct>{balances}{entries}</Stmt></BkToCstmrStmt></Document>"
    )
}

/// Entries, applied, already, breaks.
async fn take(bed: &Bed, name: &str, xml: &str) -> [u64; 4] {
    let path = bed.home().join(format!("{name}.xml"));
    fs::write(&path, xml).expect("a message");
    let (_, result) = bed.feedback(vec![path]).await.remove(0);
    let counts = result.unwrap_or_else(|e| panic!("{name}: {e}")).counts;
    [counts.entries, counts.applied, counts.already, counts.breaks]
}

/// The latest break of a kind.
async fn latest(bed: &Bed, kind: BreakKind) -> BreakId {
    BreakId::new(bed.number(&format!("select max(id) from break where kind = '{kind}'")).await)
}

async fn balance(bed: &Bed, kind: &str) -> i64 {
    bed.number(&format!("select coalesce(sum(balance), 0)::bigint from ledger_account where kind = '{kind}'"))
        .await
}

/// A run that the banks have explained, and the account of one of its providers.
async fn explained(seed: u64) -> Option<(Bed, RunId, String)> {
    let bed = Bed::new().await?;
    let run = bed.run_to(300, seed, RunState::Settling).await;
    let answers = bed.answer(Faults::default(), StatusStyle::Mixed);
    bed.feedback_taken(answers.files).await;
    people::add(&bed.context, OTHER, Role::Accountant, None, ADMINISTRATOR).await.expect("added");
    let account = sent_files(&bed.outbox()).remove(0).debtor_account;
    Some((bed, run, account))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn above_the_limit_two_people_resolve_a_break_and_its_money_goes_with_it() {
    use Applied::{Already, Now};
    use BreakState::{Open, Proposed, Resolved};
    use sarf::pipeline::Applied;
    let Some((bed, run, account)) = explained(41).await else { return };
    let context = &bed.context;
    let stray = Page { id: "STRAY", entries: &[("25000.00", "DBIT")], ..Page::default() };
    assert_eq!(take(&bed, "stray", &statement(&account, stray)).await, [1, 0, 0, 1]);
    let id = latest(&bed, BreakKind::UnknownReference).await;
    let found = bed.reconcile(run).await;
    assert_eq!((found.state, found.open_breaks), (RunState::Settling, 1));
    bed.verify_all_holds().await;

    // Who may not, and what is missing.
    let post = Some(PostTo::BankClaim);
    let resolve = |by, why, post| breaks::resolve(context, id, by, why, post);
    let refusal = resolve(PREPARER, "booked by mistake", post).await.expect_err("another's role");
    assert!(matches!(refusal, BreakError::Refused(_)), "{refusal}");
    let refusal = resolve(ACCOUNTANT, " ", post).await.expect_err("no reason");
    assert!(matches!(refusal, BreakError::NoReason), "{refusal}");
    let refusal = resolve(ACCOUNTANT, "booked by mistake", None).await.expect_err("money stays");
    assert_eq!(refusal.to_string(), format!("break `{id}` still has 25000.00 MAD in suspense"));
    let refusal = breaks::confirm(context, id, APPROVER).await.expect_err("nothing to confirm");
    assert!(matches!(refusal, BreakError::NotProposed(_)), "{refusal}");
    assert_eq!(breaks::reopen(context, id, APPROVER, "x").await.expect("open"), Already(Open));

    // Proposed: nothing has happened yet, and the run is not explained.
    assert_eq!(resolve(ACCOUNTANT, " booked by mistake ", post).await.expect("proposed"), Now(Proposed));
    assert_eq!(resolve(OTHER, "as well", post).await.expect("stands"), Already(Proposed));
    let found = bed.reconcile(run).await;
    assert_eq!((found.state, found.open_breaks, found.is_explained()), (RunState::Settling, 1, false));
    reconcile::close(context, run, ACCOUNTANT, None).await.expect_err("it waits");
    assert_eq!((balance(&bed, "suspense").await, balance(&bed, "bank_claim").await), (2_500_000, 0));
    let line = breaks::queues(context).await.expect("queues").remove(0);
    assert_eq!(
        (line.open, line.proposed, line.amount.get(), line.suspense.get()),
        (1, 1, 2_500_000, 2_500_000)
    );
    let refusal = breaks::confirm(context, id, ACCOUNTANT).await.expect_err("the same person");
    assert!(matches!(refusal, BreakError::SamePerson { .. }), "{refusal}");
    breaks::confirm(context, id, PREPARER).await.expect_err("another's role");

    // Turned down, proposed again, confirmed.
    assert_eq!(breaks::reopen(context, id, APPROVER, "ask the bank first").await.expect("back"), Now(Open));
    assert_eq!(resolve(OTHER, "the bank agrees", post).await.expect("proposed"), Now(Proposed));
    bed.verify_all_holds().await;
    assert_eq!(breaks::confirm(context, id, ACCOUNTANT).await.expect("confirmed"), Now(Resolved));
    assert_eq!(breaks::confirm(context, id, APPROVER).await.expect("done"), Already(Resolved));
    assert_eq!((balance(&bed, "suspense").await, balance(&bed, "bank_claim").await), (0, 2_500_000));
    assert_eq!(bed.reconcile(run).await.state, RunState::Reconciled);
    bed.verify_all_holds().await;

    // Opened again: the money is back, and so is the run.
    assert_eq!(breaks::reopen(context, id, ACCOUNTANT, "not theirs").await.expect("open"), Now(Open));
    assert_eq!(bed.state(run).await, RunState::Settling);
    assert_eq!((balance(&bed, "suspense").await, balance(&bed, "bank_claim").await), (2_500_000, 0));
    bed.verify_all_holds().await;

    // The bank corrects its booking: both entries go to the claim, which is nil then.
    let correction = Page { id: "BACK", entries: &[("25000.00", "CRDT")], ..Page::default() };
    take(&bed, "back", &statement(&account, correction)).await;
    let back = latest(&bed, BreakKind::UnknownReference).await;
    assert!(back > id && balance(&bed, "suspense").await == 0);
    for id in [id, back] {
        breaks::resolve(context, id, ACCOUNTANT, "corrected", post).await.expect("proposed");
        breaks::confirm(context, id, APPROVER).await.expect("confirmed");
    }
    assert_eq!((balance(&bed, "suspense").await, balance(&bed, "bank_claim").await), (0, 0));
    assert_eq!(bed.reconcile(run).await.state, RunState::Reconciled);

    let (listed, steps) = breaks::show(context, id).await.expect("shown");
    assert_eq!(listed.found.confirmed_by.as_deref(), Some(APPROVER));
    let told: Vec<(BreakStep, &str, &str)> =
        steps.iter().map(|s| (s.step, s.by.as_str(), s.why.as_str())).collect();
    use BreakStep::{Confirm, Propose, Reopen};
    assert_eq!(
        told,
        [
            (Propose, ACCOUNTANT, "booked by mistake"),
            (Reopen, APPROVER, "ask the bank first"),
            (Propose, OTHER, "the bank agrees"),
            (Confirm, ACCOUNTANT, "the bank agrees"),
            (Reopen, ACCOUNTANT, "not theirs"),
            (Propose, ACCOUNTANT, "corrected"),
            (Confirm, APPROVER, "corrected"),
        ]
    );
    let audited =
        bed.rows(&format!("select action from audit where subject = 'break {id}' order by sequence")).await;
    let actions: Vec<String> = steps
        .iter()
        .map(|s| match s.step {
            Propose => "break.propose".to_owned(),
            Confirm => "break.confirm".to_owned(),
            _ => "break.reopen".to_owned(),
        })
        .collect();
    assert_eq!(audited, actions);
    for sql in ["update break_step set why = ''", "delete from break_step", "truncate break_step"] {
        bed.execute(sql).await.expect_err("append-only");
    }
    bed.verify_all_holds().await;
    // Money that no break stands for is found, and so is a resolution that nobody took.
    for (sql, claim) in [
        (
            "update break set suspense = suspense + 1 where posted_to is not null",
            "what stands in suspense is what open breaks put there",
        ),
        (
            "update break set confirmed_by = 'amina' where confirmed_by is not null",
            "each resolved break has the step",
        ),
    ] {
        bed.execute(sql).await.expect("forged");
        let failing = bed.failing().await;
        assert!(failing.iter().any(|f| f.contains(claim)), "{sql}: {failing:?}");
    }
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn within_the_limit_one_person_does_and_rules_keep_their_own() {
    let Some((bed, run, account)) = explained(42).await else { return };
    let context = &bed.context;
    let page =
        Page { id: "SMALL", entries: &[("10000.00", "DBIT"), ("10000.01", "CRDT")], ..Page::default() };
    assert_eq!(take(&bed, "small", &statement(&account, page)).await, [2, 0, 0, 2]);
    let over = latest(&bed, BreakKind::UnknownReference).await;
    let within = BreakId::new(over.get() - 1);
    let post = Some(PostTo::WrittenOff);
    for (id, state) in [(within, BreakState::Resolved), (over, BreakState::Proposed)] {
        for now in [true, false] {
            let done = breaks::resolve(context, id, ACCOUNTANT, "nobody's", post).await.expect("decided");
            assert_eq!((done.is_now(), done.into_inner()), (now, state), "{id}");
        }
    }
    assert_eq!(balance(&bed, "written_off").await, 1_000_000);
    breaks::confirm(context, over, OTHER).await.expect("confirmed");
    assert_eq!((balance(&bed, "written_off").await, balance(&bed, "suspense").await), (-1, 0));
    assert_eq!(bed.reconcile(run).await.state, RunState::Reconciled);
    bed.verify_all_holds().await;

    // A debit goes missing: found, explained by rule, found again, and explained once more.
    let batch = bed.number("select min(id) from batch where debited_amount > 1000").await;
    let mut states = Vec::new();
    for change in ["-", "+", "-", "+"] {
        let sql =
            format!("update batch set debited_amount = debited_amount {change} 1000 where id = {batch}");
        bed.write(&sql).await.expect("changed");
        bed.reconcile(run).await;
        states.push(bed.open_breaks().await);
    }
    assert_eq!(
        states,
        [vec!["batch_differs 1".to_owned()], vec![], vec!["batch_differs 1".to_owned()], vec![]]
    );
    let differs = latest(&bed, BreakKind::BatchDiffers).await;
    let (listed, steps) = breaks::show(context, differs).await.expect("shown");
    let told: Vec<BreakStep> = steps.iter().map(|s| s.step).collect();
    assert_eq!(told, [BreakStep::Explain, BreakStep::Recur, BreakStep::Explain]);
    assert_eq!(listed.found.resolved_by.as_deref(), Some("sarf"));
    let refusal = breaks::reopen(context, differs, ACCOUNTANT, "x").await.expect_err("by rule");
    assert!(matches!(refusal, BreakError::ByRule(_)), "{refusal}");
    let refusal = breaks::show(context, BreakId::new(999)).await.expect_err("no such break");
    assert!(matches!(refusal, BreakError::Refused(Refusal::NotFound(_))), "{refusal}");

    // One that a person resolved stays so while the same difference is found; money that is not there is not posted.
    let open = || {
        bed.write("update batch set debited_amount = debited_amount - 7 where id = (select min(id) from batch where debited_amount > 1000)")
    };
    open().await.expect("changed");
    bed.reconcile(run).await;
    let differs = latest(&bed, BreakKind::BatchDiffers).await;
    let refusal = breaks::resolve(context, differs, ACCOUNTANT, "x", post).await.expect_err("no money");
    assert!(matches!(refusal, BreakError::NothingToPost(_)), "{refusal}");
    assert!(
        breaks::resolve(context, differs, ACCOUNTANT, "rounding", None).await.expect("resolved").is_now()
    );
    assert_eq!(bed.reconcile(run).await.open_breaks, 0);
    assert_eq!(breaks::show(context, differs).await.expect("shown").1.len(), 1);
    bed.write(&format!("update batch set debited_amount = debited_amount + 7 where id = {batch}"))
        .await
        .expect("mended");
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_stage_explains_goes_to_its_account_in_its_transaction() {
    let Some((bed, run, account)) = explained(48).await else { return };
    let context = &bed.context;
    let entries = [("20000.00", "CRDT"), ("300.00", "CRDT")];
    let page = Page { id: "REPAID", entries: &entries, ..Page::default() };
    assert_eq!(take(&bed, "repaid", &statement(&account, page)).await, [2, 0, 0, 2]);
    let small = latest(&bed, BreakKind::UnknownReference).await;
    let large = BreakId::new(small.get() - 1);
    // A proposal falls away.
    let post = Some(PostTo::BankClaim);
    breaks::resolve(context, large, ACCOUNTANT, "not ours", post).await.expect("proposed");
    let programme =
        i16::try_from(bed.number("select min(id)::bigint from programme").await).expect("a programme");
    let at = context.clock.now();
    let repaid = |repays| Explanation { by: ACCOUNTANT, why: "repayment of case 7", at, repays };
    let mut tx = context.store.begin().await.expect("begun");
    let refusal = breaks::explain_in_tx(&mut tx, large, repaid(None)).await.expect_err("money stays");
    assert!(matches!(refusal, BreakError::InSuspense { .. }), "{refusal}");
    for (id, now) in [(large, true), (large, false), (small, true)] {
        let done = breaks::explain_in_tx(&mut tx, id, repaid(Some(programme))).await.expect("explained");
        assert_eq!(done.is_now(), now, "{id}");
    }
    tx.rollback().await.expect("rolled back");
    assert_eq!((balance(&bed, "suspense").await, balance(&bed, "receivable").await), (-2_030_000, 0));

    let mut tx = context.store.begin().await.expect("begun");
    breaks::explain_in_tx(&mut tx, large, repaid(Some(programme))).await.expect("explained");
    tx.commit().await.expect("committed");
    assert_eq!((balance(&bed, "suspense").await, balance(&bed, "receivable").await), (-30_000, -2_000_000));
    let (listed, steps) = breaks::show(context, large).await.expect("shown");
    assert_eq!(steps.iter().map(|s| s.step).collect::<Vec<_>>(), [BreakStep::Propose, BreakStep::Explain]);
    assert_eq!(listed.found.posted_to.as_deref(), Some("explained"));
    let refusal = breaks::reopen(context, large, APPROVER, "x").await.expect_err("matched elsewhere");
    assert!(matches!(refusal, BreakError::ByRule(_)), "{refusal}");
    assert_eq!(bed.reconcile(run).await.open_breaks, 1);
    // What a case is owed is proven by another's rows, which are not written here.
    let failing = bed.failing().await;
    assert!(failing.iter().all(|f| !f.contains("suspense") && !f.contains("break")), "{failing:?}");
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_that_overlap_leave_a_gap_or_do_not_add_up_are_told_apart() {
    let Some((bed, run, account)) = explained(43).await else { return };
    let page = |id, days, balances, entries| {
        statement(&account, Page { id, days: Some(days), balances: Some(balances), entries })
    };
    let debit = ("10.00", "DBIT");
    let pages = [
        page("P1", (2, 3), ("1000.00", "990.00"), &[debit][..]),
        // Begins on the day that the one before ends, and follows on.
        page("P2", (3, 4), ("990.00", "980.00"), &[debit]),
        page("P3", (2, 4), ("1000.00", "980.00"), &[debit, debit]),
        page("P4", (8, 9), ("900.00", "890.00"), &[debit]),
        // Does not add up.
        page("P5", (9, 10), ("890.00", "870.00"), &[debit]),
    ];
    // Two of the five overlap with the third: what comes later tells, once.
    for (bed, order, overlaps) in bed
        .fork(2)
        .await
        .into_iter()
        .zip([[0, 1, 2, 3, 4], [4, 3, 2, 1, 0]])
        .zip([1, 2])
        .map(|((b, o), n)| (b, o, n))
    {
        for at in order {
            take(&bed, &format!("page{at}"), &pages[at]).await;
        }
        bed.reconcile(run).await;
        let mut open = bed.open_breaks().await;
        open.retain(|b| !b.starts_with("unknown_reference"));
        let overlaps = format!("statement_overlap {overlaps}");
        // The banks' own statements close with another balance than the first of these opens with; then days are missing.
        assert_eq!(open, ["balance_differs 1", "statement_gap 2", &overlaps], "{order:?}");
        assert_eq!(balance(&bed, "suspense").await, 6_000);
        bed.verify_all_holds().await;
        bed.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_back_to_a_closed_run_is_told_once_for_each_message() {
    let Some(bed) = Bed::new().await else { return };
    let run = bed.run_to(300, 44, RunState::Settling).await;
    reconcile::close(&bed.context, run, ACCOUNTANT, Some("with the banks")).await.expect("closed");
    let file = sent_files(&bed.outbox()).into_iter().find(|f| f.orders.len() > 4).expect("a file");
    let back = |range: std::ops::Range<usize>| -> Vec<String> {
        file.orders[range].iter().map(|(key, _, amount)| returned(key, *amount, "AC04")).collect()
    };
    let sum = |range: std::ops::Range<usize>| {
        file.orders[range].iter().map(|(.., amount)| amount.get()).sum::<i64>()
    };
    assert_eq!(take(&bed, "three", &returns("R1", "", &back(0..3))).await, [4, 3, 0, 1]);
    let found = breaks::list(&bed.context, Wanted { kind: Some(BreakKind::LateReturn), ..Wanted::default() });
    let found = found.await.expect("listed").remove(0).found;
    assert_eq!((found.run, found.order, found.amount.map(|a| a.get())), (Some(run), None, Some(sum(0..3))));
    // Said again, nothing is new; one more is one more break, which names its order.
    assert_eq!(take(&bed, "again", &returns("R2", "", &back(0..3))).await, [3, 0, 3, 0]);
    assert_eq!(take(&bed, "one", &returns("R3", "", &back(2..4))).await, [3, 1, 1, 1]);
    let one = latest(&bed, BreakKind::LateReturn).await;
    let (one, _) = breaks::show(&bed.context, one).await.expect("shown");
    assert!(one.found.order.is_some());
    assert_eq!(one.found.amount.map(|a| a.get()), Some(sum(3..4)));
    assert_eq!(balance(&bed, "returned").await, sum(0..4));
    assert_eq!(bed.state(run).await, RunState::Closed);
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_settlement_debited_twice_before_its_file_comes_waits_once() {
    let Some((bed, _, settlement, statement)) = crate::settlement::day(PointFaults::default(), 45).await
    else {
        return;
    };
    let text = fs::read_to_string(&statement).expect("a statement");
    bed.feedback_taken(vec![statement]).await;
    let debit = balance(&bed, "suspense").await;
    assert!(debit > 0);
    let again = text.replace("<Id>", "<Id>X").replacen("<MsgId>", "<MsgId>X", 1);
    let account = bed
        .context
        .config
        .router
        .by_code("cashplus")
        .expect("configured")
        .1
        .debtor_account
        .reveal()
        .to_owned();
    let again = again.replace(&format!("<Id>X{account}"), &format!("<Id>{account}"));
    let path = bed.home().join("again.xml");
    fs::write(&path, again).expect("a message");
    bed.feedback_taken(vec![path]).await;
    assert_eq!(balance(&bed, "suspense").await, 2 * debit);
    let open = bed.open_breaks().await;
    assert!(
        open.contains(&"booked_twice 1".to_owned()) && open.contains(&"settlement_missing 1".to_owned()),
        "{open:?}"
    );
    bed.verify_all_holds().await;
    bed.feedback_taken(vec![settlement]).await;
    assert_eq!(balance(&bed, "suspense").await, debit);
    let twice = latest(&bed, BreakKind::BookedTwice).await;
    breaks::resolve(&bed.context, twice, ACCOUNTANT, "the bank sends it back", Some(PostTo::BankClaim))
        .await
        .expect("decided");
    let missing = latest(&bed, BreakKind::SettlementMissing).await;
    let (missing, steps) = breaks::show(&bed.context, missing).await.expect("shown");
    assert_eq!((missing.found.posted_to.as_deref(), steps[0].step), (Some("explained"), BreakStep::Explain));
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_lists_what_to_do_and_asks_for_what_is_missing() {
    let Some((bed, _, account)) = explained(46).await else { return };
    let entries = [("700.00", "DBIT"), ("20000.00", "DBIT")];
    take(&bed, "two", &statement(&account, Page { id: "TWO", entries: &entries, ..Page::default() })).await;
    let high = latest(&bed, BreakKind::UnknownReference).await;
    let low = high.get() - 1;
    let program = Program { url: Some(bed.url()), ..Program::new(bed.home()) };

    let listed = program.ends(3, "--json breaks list --kind unknown-reference").json();
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
    assert!(listed[0]["action"].as_str().is_some_and(|a| a.contains("ask the bank")), "{listed}");
    assert_eq!((&listed[0]["state"], &listed[0]["kind"]), (&"open".into(), &"unknown_reference".into()));
    assert!(program.ends(0, "breaks list --kind fee_differs").out.contains("no breaks"));
    assert!(program.ends(2, "breaks list --kind nonsense").err.contains("missing_at_bank"));
    let queues = program.ends(3, "--json breaks queues").json();
    assert_eq!((&queues[0]["open"], &queues[0]["title"]), (&2.into(), &"unknown to us".into()));
    program.ends(3, "breaks queues");

    let ran = program.ends(1, &format!("breaks resolve {low} --why seen --as {ACCOUNTANT}"));
    assert!(
        ran.err.contains("700.00 MAD in suspense") && ran.err.contains("hint: say where it goes"),
        "{ran:?}"
    );
    let posted = "--why seen --post written-off --as chafik";
    let ran = program.ends(0, &format!("breaks resolve {low} {posted}"));
    assert!(ran.out.contains("resolved"), "{ran:?}");
    assert!(program.ends(0, &format!("breaks resolve {low} {posted}")).out.contains("nothing changed"));
    let ran = program.ends(3, &format!("breaks resolve {high} {posted}"));
    assert!(ran.out.contains("proposed"), "{ran:?}");
    let ran = program.ends(1, &format!("breaks confirm {high} --as chafik"));
    assert!(ran.err.contains("another person must confirm it"), "{ran:?}");
    assert!(program.ends(3, "breaks list").out.contains("chafik"));
    program.ends(0, &format!("breaks confirm {high} --as {APPROVER}"));
    let ran = program.ends(0, &format!("breaks show {high}"));
    for part in ["opened", "proposed", "confirmed", "written_off", APPROVER] {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    assert!(program.ends(0, "breaks queues").out.contains("no open breaks"));
    program.ends(0, &format!("breaks reopen {high} --why wrong --as {APPROVER}"));
    program.ends(1, "breaks show 999");

    // Age, by the engine's own clock.
    let mut later = bed.context.clone();
    later.clock = Clock::fixed(bed.context.clock.now() + Duration::days(10));
    for (days, expected) in [(0, 1), (9, 1), (10, 0), (u32::MAX, 0)] {
        let wanted = Wanted { older_than_days: Some(days), ..Wanted::default() };
        let found = breaks::list(&later, wanted).await.expect("listed");
        assert_eq!(found.len(), expected, "{days}");
        assert!(found.iter().all(|b| b.age_days == 10));
    }
    bed.verify_all_holds().await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_in_suspense_from_before_breaks_kept_it_gets_a_break() {
    let Some((bed, _, account)) = explained(47).await else { return };
    let entries = [("700.00", "DBIT"), ("50.00", "CRDT")];
    take(&bed, "two", &statement(&account, Page { id: "TWO", entries: &entries, ..Page::default() })).await;
    bed.execute(
        "drop table break_step; alter table break drop column suspense, drop column posted_to, drop column proposed_by,
         drop column proposed_at, drop column proposed_why, drop column proposed_post, drop column confirmed_by",
    )
    .await
    .expect("as it was");
    bed.execute("update break set kind = 'settlement_missing' where amount = 70000").await.expect("known");
    bed.execute(include_str!("../../migrations/20261123110020_decide_breaks.sql")).await.expect("migrated");
    assert_eq!(
        bed.rows("select kind || ' ' || suspense from break where resolved_at is null and kind <> 'payee_in_doubt' order by 1").await,
        ["settlement_missing 70000", "unknown_reference -5000", "unknown_reference 0"]
    );
    bed.books_hold().await;
    bed.end().await;
}
