//! What ended unpaid is paid again once, whatever arrives late.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use sarf::domain::breaks::PostTo;
use sarf::domain::ids::{BreakId, OrderId, RunId};
use sarf::domain::money::Centimes;
use sarf::domain::order::EndToEndRef;
use sarf::domain::recall::CancellationReason;
use sarf::domain::run::RunState;
use sarf::pipeline::Applied;
use sarf::pipeline::dispatch::recall;
use sarf::pipeline::exceptions::breaks;
use sarf::pipeline::orders::holds;
use sarf::pipeline::orders::reissue::{self, ForwardError, Made, ReissueError, put_forward};
use sarf::pipeline::runs::{approve, fund, reconcile};

use sarf::store;

use crate::harness::{ACCOUNTANT, APPROVER, Bed, PREPARER, Program, Registry, Sent, rib, sent_files};

/// What the bank says of one order.
struct Word {
    household: usize,
    status: &'static str,
    reason: &'static str,
}

const fn word(household: usize, status: &'static str, reason: &'static str) -> Word {
    Word { household, status, reason }
}

/// A month of sound households whose files have left, and what the bank says of them by hand.
struct Month {
    bed: Bed,
    registry: Registry,
    run: RunId,
    messages: std::cell::Cell<u32>,
}

impl Month {
    async fn of(households: usize) -> Option<Self> {
        let bed = Bed::new().await?;
        let mut registry = Registry::default();
        for _ in 0..households {
            registry.household();
        }
        let folder = bed.home().join("list");
        registry.write(&folder);
        let snapshot = bed.import(&folder).await;
        let run = bed.create(snapshot).await;
        bed.take_to(run, RunState::Settling).await;
        Some(Self { bed, registry, run, messages: std::cell::Cell::new(0) })
    }

    fn number(&self) -> u32 {
        self.messages.set(self.messages.get() + 1);
        self.messages.get()
    }

    /// The file that a household's order of a run left in, its end-to-end id and amount.
    async fn sent(&self, run: RunId, household: usize) -> (Sent, String, Centimes) {
        let order = self.order(run, household).await;
        for file in sent_files(&self.bed.outbox()) {
            let found = file
                .orders
                .iter()
                .find(|(id, ..)| EndToEndRef::parse(id).is_some_and(|r| r.order == order))
                .map(|(id, _, amount)| (id.clone(), *amount));
            if let Some((id, amount)) = found {
                return (file, id, amount);
            }
        }
        panic!("household {household} of run {run} is in no file");
    }

    async fn order(&self, run: RunId, household: usize) -> OrderId {
        let sql =
            format!("select order_id from payment_order_{run} where household_id = 'H{:06}'", household + 1);
        OrderId::new(self.bed.number(&sql).await)
    }

    async fn state(&self, run: RunId, household: usize) -> String {
        let order = self.order(run, household).await;
        let found = store::orders::find(&self.bed.context.store, None, Some(order)).await;
        found.expect("found").remove(0).state
    }

    /// A pain.002 with single transactions; how many breaks it opened.
    async fn says(&self, run: RunId, words: &[Word]) -> u64 {
        let mut breaks = 0;
        for Word { household, status, reason } in words {
            let (file, id, _) = self.sent(run, *household).await;
            let n = self.number();
            let why = if reason.is_empty() {
                String::new()
            } else {
                format!("<StsRsnInf><Rsn><Cd>{reason}</Cd></Rsn></StsRsnInf>")
            };
            let xml = format!(
                "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"><CstmrPmtStsRpt><GrpHdr><MsgId>W{n}</MsgId>\
                 <CreDtTm>2026-11-25T10:00:00</CreDtTm></GrpHdr><OrgnlGrpInfAndSts><OrgnlMsgId>{message}</OrgnlMsgId>\
                 <OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId></OrgnlGrpInfAndSts><OrgnlPmtInfAndSts><OrgnlPmtInfId>{message}</OrgnlPmtInfId>\
                 <TxInfAndSts><OrgnlEndToEndId>{id}</OrgnlEndToEndId><TxSts>{status}</TxSts>{why}</TxInfAndSts>\
                 </OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>",
                message = file.message_id
            );
            breaks += self.take(&xml).await;
        }
        breaks
    }

    /// An account statement: the debit of a whole file less `rejected` of its orders, then returns with their reasons.
    async fn books(&self, run: RunId, rejected: usize, returns: &[(usize, &str)]) -> u64 {
        let (file, _, amount) = self.sent(run, 0).await;
        let due = file.control_sum.get() - amount.get() * rejected as i64;
        let mut entries =
            entry(Centimes::new(due), "DBIT", &format!("<Btch><MsgId>{}</MsgId></Btch>", file.message_id));
        for (household, reason) in returns {
            entries.push_str(&self.back(run, *household, reason).await);
        }
        self.take(&self.statement(&file, &entries)).await
    }

    /// The entry that books a return.
    async fn back(&self, run: RunId, household: usize, reason: &str) -> String {
        let (_, id, amount) = self.sent(run, household).await;
        let details = format!(
            "<TxDtls><Refs><EndToEndId>{id}</EndToEndId></Refs><RtrInf><Rsn><Cd>{reason}</Cd></Rsn></RtrInf></TxDtls>"
        );
        entry(amount, "CRDT", &details)
    }

    fn statement(&self, file: &Sent, entries: &str) -> String {
        let n = self.number();
        format!(
            "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.02\"><BkToCstmrStmt><GrpHdr><MsgId>S{n}</MsgId>\
             <CreDtTm>2026-11-26T06:00:00</CreDtTm></GrpHdr><Stmt><Id>S{n}</Id><ElctrncSeqNb>{n}</ElctrncSeqNb><CreDtTm>2026-11-26T06:00:00</CreDtTm>\
             <Acct><Id><Othr><Id>{}</Id></Othr></Id></Acct>{entries}</Stmt></BkToCstmrStmt></Document>",
            file.debtor_account
        )
    }

    async fn take(&self, xml: &str) -> u64 {
        let path: PathBuf = self.bed.home().join(format!("message-{}.xml", self.messages.get()));
        fs::write(&path, xml).expect("a message");
        let (_, result) = self.bed.feedback(vec![path]).await.remove(0);
        result.expect("the message is read").counts.breaks
    }

    /// The accountant decides whatever is open: none of it was paid.
    async fn decide_all(&self) {
        for found in
            store::messages::breaks::list(&self.bed.context.store, Default::default()).await.expect("breaks")
        {
            let post = (!found.suspense.is_zero()).then_some(PostTo::BankClaim);
            breaks::resolve(&self.bed.context, found.id, ACCOUNTANT, "asked: it was not paid", post)
                .await
                .expect("resolved");
        }
    }

    async fn create(&self) -> Result<Applied<Made>, ReissueError> {
        reissue::create(&self.bed.context, "dss", None, PREPARER).await
    }

    async fn made(&self) -> Made {
        match self.create().await.expect("a reissue run") {
            Applied::Now(made) => made,
            Applied::Already(made) => panic!("run {} was made before", made.run),
        }
    }

    /// Attempt, decision and provider by household, of a reissue run.
    async fn parts(&self, run: RunId) -> Vec<String> {
        let sql = format!(
            "select concat_ws(' ', o.household_id, o.attempt, l.decision, v.code) from payment_order_{run} o
               join order_reissue l using (order_id) join provider v on v.id = o.provider_id order by 1"
        );
        self.bed.rows(&sql).await
    }

    /// What the year's envelope has reserved, all runs together.
    async fn reserved(&self) -> i64 {
        self.bed.number("select -balance from ledger_account where kind = 'envelope'").await
    }
}

fn entry(amount: Centimes, direction: &str, details: &str) -> String {
    format!(
        "<Ntry><Amt Ccy=\"MAD\">{amount}</Amt><CdtDbtInd>{direction}</CdtDbtInd><Sts>BOOK</Sts><BookgDt><Dt>2026-11-25</Dt></BookgDt>\
         <BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>ICDT</Cd><SubFmlyCd>DMCT</SubFmlyCd></Fmly></Domn></BkTxCd><NtryDtls>{details}</NtryDtls></Ntry>"
    )
}

/// What was not gathered: what it waits for, reason, orders.
fn left_of(made: &Made) -> Vec<String> {
    made.left.iter().map(|l| format!("{} {} {}", l.waits, l.reason, l.orders)).collect()
}

/// Five rejections, two returns, and one order that came back because we asked for it; booked and closed.
async fn a_month_with_rejections() -> Option<Month> {
    let month = Month::of(10).await?;
    let run = month.run;
    let words = [
        word(0, "RJCT", "MS03"),
        word(1, "RJCT", "AC04"),
        word(2, "RJCT", "AC06"),
        word(3, "RJCT", "MD07"),
        word(4, "RJCT", "QQ99"),
    ];
    assert_eq!(month.says(run, &words).await, 0);
    let recalled = month.order(run, 7).await;
    recall::ask(&month.bed.context, recalled, CancellationReason::Frad, "reported", ACCOUNTANT)
        .await
        .expect("asked");
    assert_eq!(month.books(run, 5, &[(5, "MS03"), (6, "AC01"), (7, "FOCR")]).await, 0);
    assert_eq!(month.bed.reconcile(run).await.state, RunState::Reconciled);
    reconcile::close(&month.bed.context, run, ACCOUNTANT, None).await.expect("closed");
    month.bed.verify_all_holds().await;
    Some(month)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_decision_goes_its_way_and_a_cancelled_run_gives_back() {
    let Some(mut month) = a_month_with_rejections().await else { return };
    let run = month.run;
    let first = month.made().await;
    assert_eq!(
        month.parts(first.run).await,
        ["H000001 2 retry awb", "H000003 2 change_lane cashplus", "H000006 2 retry awb"]
    );
    assert_eq!(
        left_of(&first),
        ["case FRAD 1", "case MD07 1", "repair QQ99 1", "same_account AC01 1", "same_account AC04 1"]
    );
    let states = |households: [usize; 7]| {
        let month = &month;
        async move {
            let mut found = Vec::new();
            for household in households {
                found.push(month.state(run, household).await);
            }
            found
        }
    };
    let before = ["rejected", "rejected", "rejected", "rejected", "rejected", "returned", "returned"];
    let after = ["reissued", "rejected", "reissued", "rejected", "rejected", "reissued", "returned"];
    assert_eq!(states([0, 1, 2, 3, 4, 5, 6]).await, after);
    month.bed.verify_all_holds().await;
    let again = month.create().await.expect("made before");
    assert!(!again.is_now());
    assert_eq!(again.into_inner().run, first.run);

    // Funded, it reserves what the first run gives back: the envelope is charged once. Cancelled, all is as it was.
    let reserved = month.reserved().await;
    month.bed.take_to(first.run, RunState::Funded).await;
    let content = month.bed.rows(&format!("select content::text from run where id = {}", first.run)).await;
    assert!(content[0].contains("reissued from run 1, retry"), "{content:?}");
    assert_eq!(month.reserved().await, reserved);
    month.bed.verify_all_holds().await;
    fund::cancel(&month.bed.context, first.run, PREPARER).await.expect("cancelled");
    assert_eq!(month.reserved().await, reserved);
    assert_eq!(states([0, 1, 2, 3, 4, 5, 6]).await, before);
    month.bed.verify_all_holds().await;

    // The registry learns of another account; an operator puts one forward, and may not decide for others.
    let context = &month.bed.context;
    let order = month.order(run, 4).await;
    assert!(put_forward(context, order, PREPARER, "the bank was asked").await.expect("put forward").is_now());
    assert!(!put_forward(context, order, PREPARER, "again").await.expect("before").is_now());
    for household in [0, 1] {
        let refused = put_forward(context, month.order(run, household).await, PREPARER, "why").await;
        assert!(matches!(refused, Err(ForwardError::NotAnOperators { .. })), "{household}: {refused:?}");
    }
    // Deceased, said the bank; fraud, said the person who recalled it.
    for household in [3, 7] {
        let refused = put_forward(context, month.order(run, household).await, PREPARER, "why").await;
        assert!(matches!(refused, Err(ForwardError::InDoubt { .. })), "{household}: {refused:?}");
    }
    let paid = put_forward(context, month.order(run, 9).await, PREPARER, "why").await;
    assert!(matches!(paid, Err(ForwardError::NotUnpaid { .. })), "{paid:?}");
    month.registry.set(1, &[("account", &rib("011", 4_711))]);
    month.registry.set(5, &[("account", &rib("011", 4_712))]);
    let folder = month.bed.home().join("list-2");
    month.registry.write(&folder);
    month.bed.import(&folder).await;
    let second = month.made().await;
    assert_eq!(
        month.parts(second.run).await,
        [
            "H000001 2 retry awb",
            "H000002 2 ask_account boa",
            "H000003 2 change_lane cashplus",
            "H000005 2 put_forward awb",
            "H000006 2 retry boa"
        ]
    );
    month.bed.take_to(second.run, RunState::Settling).await;
    month.bed.verify_all_holds().await;
    month.bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_run_out_and_are_listed() {
    let Some(month) = Month::of(4).await else { return };
    let run = month.run;
    assert_eq!(month.says(run, &[word(0, "RJCT", "MS03"), word(1, "RJCT", "MD07")]).await, 0);
    assert_eq!(month.books(run, 2, &[]).await, 0);
    let mut last = run;
    for attempt in [2, 3] {
        let made = month.made().await;
        assert_eq!(month.parts(made.run).await, [format!("H000001 {attempt} retry awb")]);
        month.bed.take_to(made.run, RunState::Settling).await;
        last = made.run;
        assert_eq!(month.says(last, &[word(0, "RJCT", "MS03")]).await, 0);
        assert_eq!(month.bed.reconcile(last).await.state, RunState::Reconciled);
        month.bed.verify_all_holds().await;
    }
    // Nothing is gathered any more: the run of the month is found, and in a month without one it says that orders wait.
    assert!(!month.create().await.expect("made before").is_now());
    let next = reissue::create(&month.bed.context, "dss", "2026-12".parse().ok(), PREPARER).await;
    assert!(matches!(next, Err(ReissueError::Nothing { waiting: 2, .. })), "{next:?}");

    let program = Program { url: Some(month.bed.url()), ..Program::new(month.bed.home()) };
    let file = month.bed.home().join("unclaimed.csv");
    let listed = program
        .ends(0, &format!("--json report unclaimed --out {} --as-of 2026-12-31", file.display()))
        .json();
    assert_eq!((&listed["orders"], &listed["prescribed_orders"]), (&2.into(), &0.into()), "{listed}");
    let text = fs::read_to_string(&file).expect("the list");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    assert!(
        lines[1].contains(
            ",H000002,2026-11,Souss-Massa,Tiznit,awb,1,rejected,MD07,case,case,2026-11-24,2030-01-01,no,1,"
        ),
        "{text}"
    );
    assert!(
        lines[2].contains(",H000001,2026-11,Souss-Massa,Tiznit,awb,3,rejected,MS03,retry,attempts_used_up,"),
        "{text}"
    );
    assert!(lines[4].starts_with("total,,,") && lines[4].contains(",2,"), "{text}");
    let late = format!("--json report unclaimed --out {} --as-of 2030-01-01", file.display());
    assert_eq!(program.ends(0, &late).json()["prescribed_orders"], 2);
    let early = format!("--json report unclaimed --out {} --as-of 2026-11-01", file.display());
    assert_eq!(program.ends(0, &early).json()["orders"], 0);

    // Each order tells what is decided of it, and where it came from.
    let (one, two) = (month.order(run, 0).await.get(), month.order(last, 0).await.get());
    let shown = program.ends(0, &format!("--json order show {two}")).json();
    assert_eq!(shown["reissue"]["policy"]["waits"], "attempts_used_up", "{shown}");
    assert_eq!(shown["reissue"]["links"][0]["attempt"], 3);
    let plain = program.ends(0, &format!("order show {one}"));
    assert!(
        plain.out.contains("paid again as order") && plain.out.contains("reissued · run.reissue"),
        "{plain:?}"
    );
    let refused = program.ends(1, "run create --kind reissue --programme dss --period 2026-12 --as amina");
    assert!(refused.err.contains("2 wait") && refused.err.contains("hint:"), "{refused:?}");
    let forward = program.run_args(&[
        "order",
        "reissue",
        &two.to_string(),
        "--why",
        "asked the bank",
        "--as",
        PREPARER,
    ]);
    assert_eq!(forward.code, 0, "{forward:?}");
    let made = program
        .ends(0, "--json run create --kind reissue --programme DSS --period 2026-11 --as amina")
        .json();
    assert_eq!(made["made_now"], Value::Bool(true), "{made}");
    let shown = program.ends(0, &format!("--json run show {}", made["run"])).json();
    assert_eq!(shown["reissued"][0]["decision"], "put_forward", "{shown}");
    month.bed.verify_all_holds().await;
    month.bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_arrives_late_is_a_break_and_keeps_the_new_order_back() {
    let Some(month) = Month::of(6).await else { return };
    let (run, context) = (month.run, &month.bed.context);
    assert_eq!(
        month.says(run, &[word(0, "RJCT", "MS03"), word(1, "RJCT", "MS03"), word(2, "RJCT", "MS03")]).await,
        0
    );
    assert_eq!(month.books(run, 3, &[(3, "MS03"), (4, "MS03")]).await, 0);
    let made = month.made().await.run;
    approve::submit(context, made, PREPARER).await.expect("submitted");

    // Settled after all, says the bank, of an order that was rejected: the new order stays, and nobody approves unseen.
    assert_eq!(month.says(run, &[word(0, "ACSC", "")]).await, 1);
    let detail = month.bed.rows("select detail from break where resolved_at is null").await;
    let next = month.order(made, 0).await;
    assert_eq!(
        detail,
        [format!("reported as settled, but the order was reissued as order {} of run {made}", next.get())]
    );
    assert_eq!(month.state(made, 0).await, "held");
    assert_eq!(month.state(run, 0).await, "reissued");
    assert!(approve::approve(context, made, APPROVER).await.is_err());
    month.bed.verify_all_holds().await;
    // The same of one that came back; accepted, of a third. Rejected once more is nothing new.
    assert_eq!(month.says(run, &[word(3, "ACSC", ""), word(1, "ACCP", "")]).await, 2);
    assert_eq!(month.says(run, &[word(2, "RJCT", "MS03")]).await, 0);
    let held = month
        .bed
        .rows("select o.household_id from order_hold h join payment_order o using (order_id) order by 1")
        .await;
    assert_eq!(held, ["H000001", "H000002", "H000004"]);
    month.bed.verify_all_holds().await;

    // The bank debits what it had rejected and sends it back; and sends back once more what it sent back before.
    let (file, _, amount) = month.sent(run, 0).await;
    let second = month.back(run, 2, "MS03").await;
    assert_eq!(month.take(&month.statement(&file, &second)).await, 0);
    assert_eq!(month.state(run, 2).await, "reissued");
    let third = month.back(run, 4, "MS03").await;
    assert_eq!(month.take(&month.statement(&file, &third)).await, 1);
    let suspense = month.bed.number("select -balance from ledger_account where kind = 'suspense'").await;
    assert_eq!(suspense, amount.get());
    month.bed.verify_all_holds().await;

    // Cancelled, each goes back to where the books have it by now.
    fund::cancel(context, made, PREPARER).await.expect("cancelled");
    let states = [month.state(run, 1).await, month.state(run, 2).await, month.state(run, 3).await];
    assert_eq!(states, ["rejected", "returned", "returned"]);
    month.bed.verify_all_holds().await;

    // Once it has left, it is an undue payment beside the break: owed as soon as it reaches the household.
    month.decide_all().await;
    let made = month.made().await.run;
    month.bed.take_to(made, RunState::Settling).await;
    assert_eq!(month.says(run, &[word(4, "ACSC", "")]).await, 1);
    assert_eq!(month.state(made, 4).await, "sent");
    let case = "select cause || ' ' || state || ' ' || outstanding from recovery_case";
    assert_eq!(month.bed.rows(case).await, ["paid_twice opened 50000"]);
    assert_eq!(month.says(made, &[word(4, "ACSC", "")]).await, 0);
    assert_eq!(month.bed.rows(case).await, ["paid_twice receivable 50000"]);
    month.bed.verify_all_holds().await;
    month.bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_file_refused_is_paid_again_and_given_back() {
    let Some(month) = Month::of(5).await else { return };
    let (file, ..) = month.sent(month.run, 0).await;
    let xml = format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"><CstmrPmtStsRpt><GrpHdr><MsgId>G1</MsgId>\
         <CreDtTm>2026-11-25T10:00:00</CreDtTm></GrpHdr><OrgnlGrpInfAndSts><OrgnlMsgId>{}</OrgnlMsgId>\
         <OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId><GrpSts>RJCT</GrpSts><StsRsnInf><Rsn><Cd>TECH</Cd></Rsn></StsRsnInf>\
         </OrgnlGrpInfAndSts></CstmrPmtStsRpt></Document>",
        file.message_id
    );
    assert_eq!(month.take(&xml).await, 0);
    let figures = "select outcomes || ' ' || outcomes_amount || ' ' || rejected from batch where run_id = 1";
    for _ in 0..2 {
        let made = month.made().await.run;
        assert_eq!(month.bed.number(&format!("select orders from run where id = {made}")).await, 5);
        assert!(month.bed.rows(figures).await[0].starts_with("5 "));
        assert_eq!(month.says(month.run, &[word(2, "ACSC", "")]).await, 1);
        month.bed.verify_all_holds().await;
        fund::cancel(&month.bed.context, made, PREPARER).await.expect("cancelled");
        month.decide_all().await;
        assert_eq!(month.bed.rows(figures).await, ["0 0 5"]);
        month.bed.verify_all_holds().await;
    }
    month.bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn months_with_banks_that_answer() {
    let Some(bed) = Bed::new().await else { return };
    let run = bed.run_to(1_500, 5, RunState::Settling).await;
    bed.feedback_taken(bed.answer(Default::default(), Default::default()).files).await;
    assert_eq!(bed.reconcile(run).await.state, RunState::Reconciled);
    let made = reissue::create(&bed.context, "dss", None, PREPARER).await.expect("a run").into_inner();
    assert!(!made.left.is_empty());
    bed.verify_all_holds().await;
    bed.take_to(made.run, RunState::Settling).await;
    bed.feedback_taken(bed.answer_from(8, Default::default(), Default::default()).files).await;
    let found = bed.reconcile(made.run).await;
    assert_eq!((found.state, found.open_breaks), (RunState::Reconciled, 0), "{:?}", bed.open_breaks().await);
    assert_eq!(bed.state(run).await, RunState::Reconciled, "the first run is as it was");
    bed.verify_all_holds().await;
    bed.end().await;
}

/// Household and reason of what a run's orders are held for now.
async fn held(month: &Month, run: RunId) -> Vec<String> {
    let sql = format!(
        "select o.household_id || ' ' || h.reason from order_hold h join payment_order_{run} o using (order_id)
          where h.released_at is null order by 1"
    );
    month.bed.rows(&sql).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payee_in_doubt_is_held_until_a_person_has_looked() {
    let Some(month) = Month::of(6).await else { return };
    let (run, context) = (month.run, &month.bed.context);
    // What the policy leaves to a person is no break of the books, and is asked once, however often the bank says it.
    assert_eq!(month.says(run, &[word(1, "RJCT", "MD07"), word(2, "RJCT", "MS03")]).await, 0);
    assert_eq!(month.says(run, &[word(1, "RJCT", "MD07")]).await, 0);
    let doubts = "select count(*) from break where kind = 'payee_in_doubt' and resolved_at is null";
    assert_eq!(month.bed.number(doubts).await, 1);
    let folder = month.bed.home().join("list-2");
    month.registry.write_for(&folder, "2026-12".parse().expect("a month"));
    let next = month.bed.create(month.bed.import(&folder).await).await;
    assert_eq!(held(&month, next).await, ["H000002 payee_in_doubt"]);
    month.bed.verify_all_holds().await;

    // Another one comes into doubt when the next month is approved already: it stays behind as the month is released.
    month.bed.take_to(next, RunState::Funded).await;
    assert_eq!(month.says(run, &[word(0, "RJCT", "FR01"), word(3, "RJCT", "MS03")]).await, 0);
    assert_eq!(held(&month, next).await, ["H000002 payee_in_doubt"]);
    month.bed.take_to(next, RunState::Settling).await;
    assert_eq!(held(&month, next).await, ["H000001 payee_in_doubt", "H000002 payee_in_doubt"]);
    let left: usize = sent_files(&month.bed.outbox()).iter().map(|file| file.orders.len()).sum();
    assert_eq!(left, 6 + 4);
    month.bed.verify_all_holds().await;

    // The books of the month are explained all the same, and close.
    assert_eq!(month.books(run, 4, &[]).await, 0);
    assert_eq!(month.bed.reconcile(run).await.state, RunState::Reconciled);
    reconcile::close(context, run, ACCOUNTANT, None).await.expect("closed");

    // Once a person has looked into it, the claim may be put forward, and what was held let go.
    let (doubted, cleared) = (month.order(run, 0).await, month.order(run, 1).await);
    let early = holds::set(context, month.order(next, 1).await, false, PREPARER, "why").await;
    assert!(matches!(early, Err(holds::HoldError::InDoubt { .. })), "{early:?}");
    let early = put_forward(context, cleared, PREPARER, "the widow was registered").await;
    let Err(ForwardError::InDoubt { break_id, .. }) = early else { panic!("{early:?}") };
    breaks::resolve(context, break_id, ACCOUNTANT, "alive: the bank mixed up two names", None)
        .await
        .expect("resolved");
    put_forward(context, cleared, PREPARER, "alive: the bank mixed up two names").await.expect("put forward");
    let waits = put_forward(context, doubted, PREPARER, "why").await;
    assert!(matches!(waits, Err(ForwardError::InDoubt { .. })), "{waits:?}");
    holds::set(context, month.order(next, 1).await, false, PREPARER, "alive").await.expect("proposed");
    holds::confirm(context, month.order(next, 1).await, APPROVER).await.expect("let go");
    let made = month.made().await;
    assert_eq!(
        month.parts(made.run).await,
        ["H000002 2 put_forward awb", "H000003 2 retry awb", "H000004 2 retry awb"]
    );
    assert!(held(&month, made.run).await.is_empty());
    assert_eq!(left_of(&made), ["case FR01 1"]);
    month.bed.take_to(made.run, RunState::Funded).await;

    // Opened again before the new orders leave, the doubt holds them.
    breaks::reopen(context, break_id, ACCOUNTANT, "another word of the bank").await.expect("open again");
    assert_eq!(month.bed.state(run).await, RunState::Closed);
    month.bed.take_to(made.run, RunState::Settling).await;
    assert_eq!(held(&month, made.run).await, ["H000002 payee_in_doubt"]);
    month.bed.verify_all_holds().await;
    month.bed.end().await;
}

/// The number of the one open break of a kind.
async fn open_break(month: &Month, kind: &str) -> BreakId {
    let sql = format!("select id from break where kind = '{kind}' and resolved_at is null");
    BreakId::new(month.bed.number(&sql).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_may_be_paid_waits_for_a_person() {
    let Some(month) = Month::of(6).await else { return };
    let (run, context) = (month.run, &month.bed.context);
    let words = [word(0, "RJCT", "MS03"), word(1, "RJCT", "MS03"), word(2, "RJCT", "QQ99")];
    assert_eq!(month.says(run, &words).await, 0);
    // Two of them are paid after all, says the bank.
    assert_eq!(month.says(run, &[word(0, "ACSC", ""), word(2, "ACSC", "")]).await, 2);
    let made = month.made().await;
    assert_eq!(month.parts(made.run).await, ["H000002 2 retry awb"]);
    assert_eq!(left_of(&made), ["in_question MS03 1", "in_question QQ99 1"]);
    let early = put_forward(context, month.order(run, 2).await, PREPARER, "why").await;
    assert!(matches!(early, Err(ForwardError::InQuestion { .. })), "{early:?}");
    month.bed.verify_all_holds().await;

    // A person decides: neither was paid. A proposal that waits for a second one decides nothing.
    let breaks: Vec<i64> = month
        .bed
        .rows("select id::text from break where kind = 'status_conflict' order by order_id")
        .await
        .iter()
        .map(|id| id.parse().expect("a number"))
        .collect();
    breaks::resolve(context, BreakId::new(breaks[0]), ACCOUNTANT, "the bank withdrew the status", None)
        .await
        .expect("resolved");
    fund::cancel(context, made.run, PREPARER).await.expect("cancelled");
    let again = month.made().await;
    assert_eq!(month.parts(again.run).await, ["H000001 2 retry awb", "H000002 2 retry awb"]);
    assert_eq!(left_of(&again), ["in_question QQ99 1"]);

    // Opened again before they leave, the question holds the order.
    month.bed.take_to(again.run, RunState::Funded).await;
    breaks::reopen(context, BreakId::new(breaks[0]), ACCOUNTANT, "it is not withdrawn").await.expect("open");
    month.bed.take_to(again.run, RunState::Settling).await;
    assert_eq!(held(&month, again.run).await, ["H000001 claim_in_question"]);
    month.bed.verify_all_holds().await;

    // The second attempt is refused too: as long as the first may be paid there is no third.
    assert_eq!(month.says(again.run, &[word(1, "RJCT", "MS03")]).await, 0);
    assert_eq!(month.says(run, &[word(1, "ACSC", "")]).await, 1);
    let third = month.create().await;
    assert!(!third.expect("the run of before").is_now());
    month.bed.verify_all_holds().await;
    month.bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_may_be_paid_keeps_its_claims() {
    let Some(month) = Month::of(4).await else { return };
    let (run, context) = (month.run, &month.bed.context);
    let file = month.sent(run, 0).await.0;
    let of_file = |status: &str| {
        format!(
            "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"><CstmrPmtStsRpt><GrpHdr><MsgId>G{}</MsgId>\
             <CreDtTm>2026-11-25T10:00:00</CreDtTm></GrpHdr><OrgnlGrpInfAndSts><OrgnlMsgId>{}</OrgnlMsgId>\
             <OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId><GrpSts>{status}</GrpSts>{}</OrgnlGrpInfAndSts></CstmrPmtStsRpt></Document>",
            month.number(),
            file.message_id,
            if status == "RJCT" { "<StsRsnInf><Rsn><Cd>TECH</Cd></Rsn></StsRsnInf>" } else { "" }
        )
    };
    assert_eq!(month.take(&of_file("RJCT")).await, 0);
    let made = month.made().await;
    assert_eq!(month.parts(made.run).await.len(), 4);
    month.bed.take_to(made.run, RunState::Funded).await;
    // The bank took it after all: what would be paid again stays behind, whole.
    assert_eq!(month.take(&of_file("ACCP")).await, 1);
    fund::release(context, made.run, None, ACCOUNTANT).await.expect("released");
    assert_eq!(held(&month, made.run).await.len(), 4);
    assert!(held(&month, made.run).await.iter().all(|h| h.ends_with("claim_in_question")));
    month.bed.verify_all_holds().await;
    month.bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_debit_above_the_sum_keeps_what_was_rejected() {
    let Some(month) = Month::of(4).await else { return };
    let (run, context) = (month.run, &month.bed.context);
    assert_eq!(month.says(run, &[word(1, "RJCT", "MS03")]).await, 0);
    // Debited whole, the rejected one with the others: it may have been paid.
    assert_eq!(month.books(run, 0, &[]).await, 0);
    let nothing = month.create().await;
    assert!(matches!(nothing, Err(ReissueError::Nothing { waiting: 1, .. })), "{nothing:?}");
    month.bed.reconcile(run).await;
    let differs = open_break(&month, "batch_differs").await;
    breaks::resolve(context, differs, ACCOUNTANT, "the bank gives it back tomorrow", None)
        .await
        .expect("resolved");
    let made = month.made().await;
    assert_eq!(month.parts(made.run).await, ["H000002 2 retry awb"]);
    month.bed.verify_all_holds().await;
    month.bed.end().await;
}
