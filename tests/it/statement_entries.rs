//! Account statements as banks write them: whatever the entries say, the account moves by each once, and what they are for is
//! shared out, or stands in suspense with a break that names it.

use std::fs;
use std::path::PathBuf;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use sarf::domain::ids::{BreakId, OrderId, RunId};
use sarf::domain::money::Centimes;
use sarf::domain::order::EndToEndRef;
use sarf::domain::run::RunState;
use sarf::pipeline::exceptions::breaks;
use sarf::pipeline::runs::reconcile::{self, CloseError};
use sarf::store::orders;

use crate::harness::{ACCOUNTANT, APPROVER, Bed, Sent, sent_files};

/// A transaction: references, amount with its currency (none: not stated), side, the rest.
#[derive(Clone, Default)]
struct Detail {
    references: String,
    amount: Option<(Centimes, &'static str)>,
    side: &'static str,
    rest: &'static str,
}

/// An entry.
#[derive(Clone)]
struct Entry {
    amount: String,
    side: &'static str,
    reversal: bool,
    status: &'static str,
    /// Message id, payment-information id, total.
    batches: Vec<(String, String, Option<Centimes>)>,
    details: Vec<Detail>,
}

const RETURNED: &str = "<RtrInf><Rsn><Cd>MS03</Cd></Rsn></RtrInf>";

fn entry(amount: Centimes, side: &'static str) -> Entry {
    Entry {
        amount: amount.to_string(),
        side,
        reversal: false,
        status: "BOOK",
        batches: Vec::new(),
        details: Vec::new(),
    }
}

impl Entry {
    fn file(mut self, file: &Sent, total: Option<Centimes>) -> Self {
        self.batches.push((file.message_id.clone(), String::new(), total));
        self
    }

    fn detail(mut self, detail: Detail) -> Self {
        self.details.push(detail);
        self
    }

    fn reversed(mut self) -> Self {
        self.reversal = true;
        self
    }

    fn xml(&self) -> String {
        let mut details = String::new();
        for (message, payment, total) in &self.batches {
            let id = |element: &str, id: &str| match id {
                "" => String::new(),
                id => format!("<{element}>{id}</{element}>"),
            };
            let total = total.map_or_else(String::new, |t| format!("<TtlAmt Ccy=\"MAD\">{t}</TtlAmt>"));
            let (message, payment) = (id("MsgId", message), id("PmtInfId", payment));
            details.push_str(&format!("<NtryDtls><Btch>{message}{payment}{total}</Btch></NtryDtls>"));
        }
        for d in &self.details {
            let amount =
                d.amount.map_or_else(String::new, |(a, ccy)| format!("<Amt Ccy=\"{ccy}\">{a}</Amt>"));
            let side = match d.side {
                "" => String::new(),
                side => format!("<CdtDbtInd>{side}</CdtDbtInd>"),
            };
            let (references, rest) = (&d.references, d.rest);
            details.push_str(&format!(
                "<NtryDtls><TxDtls><Refs>{references}</Refs>{amount}{side}{rest}</TxDtls></NtryDtls>"
            ));
        }
        let reversal = if self.reversal { "<RvslInd>true</RvslInd>" } else { "" };
        format!(
            "<Ntry><Amt Ccy=\"MAD\">{}</Amt><CdtDbtInd>{}</CdtDbtInd>{reversal}<Sts><Cd>{}</Cd></Sts><BookgDt><Dt>2026-11-30</Dt></BookgDt>\
             <ValDt><Dt>2026-12-01</Dt></ValDt><AcctSvcrRef>BANKREF77</AcctSvcrRef><BkTxCd/>{details}<AddtlNtryInf>VIR DIVERS</AddtlNtryInf></Ntry>",
            self.amount, self.side, self.status
        )
    }
}

/// Names of an order in its end-to-end id.
fn e2e(key: &str) -> String {
    format!("<EndToEndId>{key}</EndToEndId>")
}

/// An order's transaction with an amount.
fn of(order: &(String, String, Centimes), side: &'static str) -> Detail {
    Detail { references: e2e(&order.0), amount: Some((order.2, "MAD")), side, rest: "" }
}

/// A message of one kind about an account.
fn message(kind: &str, account: &str, id: &str, entries: &[Entry]) -> String {
    let (root, element) = match kind {
        "camt.052" => ("BkToCstmrAcctRpt", "Rpt"),
        "camt.054" => ("BkToCstmrDbtCdtNtfctn", "Ntfctn"),
        _ => ("BkToCstmrStmt", "Stmt"),
    };
    let entries: String = entries.iter().map(Entry::xml).collect();
    format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:{kind}.001.08\"><{root}><GrpHdr><MsgId>{id}</MsgId>\
         <CreDtTm>2026-12-01T06:00:00</CreDtTm></GrpHdr><{element}><Id>{id}</Id><CreDtTm>2026-12-01T06:00:00</CreDtTm>\
         <Acct><Id><Othr><Id>{account}</Id></Othr></Id></Acct>{entries}</{element}></{root}></Document>"
    )
}

/// A dispatched month with small files: each case takes files of its own.
struct Month {
    bed: Bed,
    run: RunId,
    files: Vec<Sent>,
    messages: u32,
}

impl Month {
    async fn new(seed: u64) -> Option<Self> {
        let bed = Bed::with(|config| config.settings.dispatch.orders_per_file = 6).await?;
        let run = bed.run_to(700, seed, RunState::Settling).await;
        let mut files: Vec<Sent> = sent_files(&bed.outbox());
        files.retain(|file| file.orders.len() >= 4);
        assert!(files.len() > 40, "{} files to speak of", files.len());
        Some(Self { bed, run, files, messages: 0 })
    }

    /// A file that no case has spoken of.
    fn file(&mut self) -> Sent {
        self.files.pop().expect("a file is left")
    }

    /// Two files of one provider.
    fn two(&mut self) -> (Sent, Sent) {
        let same = |at: &usize| self.files[*at - 1].provider == self.files[*at].provider;
        let at = (1..self.files.len()).rev().find(same).expect("a second file");
        (self.files.remove(at), self.files.remove(at - 1))
    }

    fn write(&mut self, kind: &str, account: &str, entries: &[Entry]) -> PathBuf {
        self.messages += 1;
        let path = self.bed.home().join(format!("{}.xml", self.messages));
        fs::write(&path, message(kind, account, &format!("S{}", self.messages), entries)).expect("a message");
        path
    }

    /// Imports a message; gives the breaks it opened: kind and what of it stands in suspense.
    async fn take(&mut self, kind: &str, file: &Sent, entries: &[Entry]) -> Vec<String> {
        let path = self.write(kind, &file.debtor_account, entries);
        self.import(path).await
    }

    async fn import(&self, path: PathBuf) -> Vec<String> {
        let last = self.bed.number("select max(id) from break").await;
        let (_, result) = self.bed.feedback(vec![path]).await.remove(0);
        let counts = result.expect("taken").counts;
        assert_eq!(counts.entries, counts.applied + counts.already + counts.noted + counts.breaks);
        let sql = format!("select kind || ' ' || suspense from break where id > {last} order by entry, id");
        self.bed.rows(&sql).await
    }

    /// Where an order stands.
    async fn state(&self, order: &(String, String, Centimes)) -> String {
        let id: OrderId = EndToEndRef::parse(&order.0).expect("a key").order;
        orders::find(&self.bed.context.store, None, Some(id))
            .await
            .expect("found")
            .remove(0)
            .state
            .to_string()
    }

    async fn batch(&self, file: &Sent) -> String {
        let sql = format!("select state from batch where message_id = '{}'", file.message_id);
        self.bed.rows(&sql).await.remove(0)
    }

    /// The books hold, and each account moved by the entries that its statements booked.
    async fn proven(&self) {
        self.bed.verify_all_holds().await;
    }
}

const NONE: [String; 0] = [];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_entry_says_which_way_its_money_went() {
    let Some(mut month) = Month::new(61).await else { return };
    let m = &mut month;

    // A return whose transaction carries the side of the original.
    let file = m.file();
    let [a, b, c, d] = &file.orders[..4] else { unreachable!() };
    let whole = entry(file.control_sum, "DBIT").file(&file, Some(file.control_sum));
    let back = Detail { rest: RETURNED, ..of(a, "DBIT") };
    assert_eq!(m.take("camt.053", &file, &[whole, entry(a.2, "CRDT").detail(back.clone())]).await, NONE);
    assert_eq!((m.state(a).await.as_str(), m.batch(&file).await.as_str()), ("returned", "settled"));
    // The next day it is taken back: the order is in front of a person, its money in suspense.
    let undone = entry(a.2, "DBIT").reversed().detail(of(a, ""));
    assert_eq!(m.take("camt.053", &file, &[undone]).await, [format!("status_conflict {}", a.2.get())]);
    assert_eq!(m.state(a).await, "returned");
    // A debit taken back is no return unless a reason says so.
    let taken_back = entry(b.2, "CRDT").reversed().detail(of(b, ""));
    assert_eq!(m.take("camt.053", &file, &[taken_back]).await, [format!("status_conflict {}", -b.2.get())]);
    assert_eq!(m.state(b).await, "settled");
    let returned = Detail { rest: RETURNED, ..of(b, "") };
    assert_eq!(m.take("camt.053", &file, &[entry(b.2, "CRDT").reversed().detail(returned)]).await, NONE);
    assert_eq!(m.state(b).await, "returned");
    // Returns in one sum less a fee; and two debits less one that was sent back.
    let fee = Centimes::new(2_000);
    let net = entry(c.2 + d.2 - fee, "CRDT").detail(of(c, "DBIT")).detail(of(d, "DBIT"));
    assert_eq!(m.take("camt.053", &file, &[net]).await, [format!("bank_charges {}", fee.get())]);
    assert_eq!((m.state(c).await, m.state(d).await), ("returned".into(), "returned".into()));
    // Two returns taken back in one sum that is not theirs: neither can be told its share, both are in front of a person.
    let silent = |o: &(String, String, Centimes)| Detail { amount: None, ..of(o, "") };
    let odd = entry(c.2 + d.2 + fee, "DBIT").reversed().detail(silent(c)).detail(silent(d));
    let mut found = m.take("camt.053", &file, &[odd]).await;
    found.sort_unstable();
    let suspense = (c.2 + d.2 + fee).get();
    assert_eq!(
        found,
        ["status_conflict 0".into(), "status_conflict 0".into(), format!("totals_differ {suspense}")]
    );
    m.proven().await;

    // A credit that is taken back and names our file; a reversed debit of a file.
    let file = m.file();
    let sum = file.control_sum;
    let credit_undone = entry(sum, "DBIT").reversed().file(&file, Some(sum));
    assert_eq!(m.take("camt.053", &file, &[credit_undone]).await, [format!("status_conflict {}", sum.get())]);
    assert_eq!(m.batch(&file).await, "sent");
    assert_eq!(m.take("camt.053", &file, &[entry(sum, "DBIT").file(&file, None)]).await, NONE);
    let debit_undone = entry(sum, "CRDT").reversed().file(&file, Some(sum));
    assert_eq!(m.take("camt.053", &file, &[debit_undone]).await, [format!("status_conflict {}", -sum.get())]);
    assert_eq!(m.batch(&file).await, "settled");
    m.proven().await;
    month.bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_booked_again_stands_in_suspense() {
    let Some(mut month) = Month::new(62).await else { return };
    let m = &mut month;
    let whole = |file: &Sent| entry(file.control_sum, "DBIT").file(file, Some(file.control_sum));
    let twice = |amount: Centimes| vec![format!("booked_twice {}", amount.get())];

    // A file, then one of its orders; then the file.
    let file = m.file();
    let one = &file.orders[0];
    assert_eq!(m.take("camt.053", &file, &[whole(&file)]).await, NONE);
    assert_eq!(m.take("camt.053", &file, &[entry(one.2, "DBIT").detail(of(one, ""))]).await, twice(one.2));
    assert_eq!(m.take("camt.053", &file, &[whole(&file)]).await, twice(file.control_sum));
    assert_eq!(m.batch(&file).await, "settled");
    m.proven().await;

    // In one statement: the file and one of its orders; the file twice.
    let file = m.file();
    let one = &file.orders[1];
    let entries = [whole(&file), entry(one.2, "DBIT").detail(of(one, "")), whole(&file)];
    let found = m.take("camt.053", &file, &entries).await;
    assert_eq!(found, [twice(one.2), twice(file.control_sum)].concat());
    m.proven().await;

    // An order, then its file; then the order.
    let file = m.file();
    let one = &file.orders[2];
    assert_eq!(m.take("camt.053", &file, &[entry(one.2, "DBIT").detail(of(one, ""))]).await, NONE);
    assert_eq!(m.state(one).await, "settled");
    assert_eq!(m.take("camt.053", &file, &[whole(&file)]).await, twice(one.2));
    assert_eq!(m.batch(&file).await, "settled");
    assert_eq!(m.take("camt.053", &file, &[entry(one.2, "DBIT").detail(of(one, ""))]).await, twice(one.2));
    m.proven().await;

    // All orders one by one, then the file; a return twice.
    let file = m.file();
    let one_by_one: Vec<Entry> =
        file.orders.iter().map(|o| entry(o.2, "DBIT").detail(of(o, "CRDT"))).collect();
    assert_eq!(m.take("camt.053", &file, &one_by_one).await, NONE);
    assert_eq!(m.batch(&file).await, "settled");
    assert_eq!(m.take("camt.053", &file, &[whole(&file)]).await, twice(file.control_sum));
    let one = &file.orders[0];
    let back = entry(one.2, "CRDT").detail(of(one, ""));
    let found = m.take("camt.053", &file, &[back.clone(), back]).await;
    assert_eq!(found, [format!("booked_twice {}", -one.2.get())]);
    // A debit again after the return, without a word that it reverses it.
    assert_eq!(m.take("camt.053", &file, &[entry(one.2, "DBIT").detail(of(one, ""))]).await, twice(one.2));
    assert_eq!(m.state(one).await, "returned");
    m.proven().await;

    // A file in a notification or report and in a statement moves the account once, whichever comes first.
    for kind in ["camt.054", "camt.052"] {
        for statement_first in [false, true] {
            let file = m.file();
            let one = &file.orders[0];
            let entries = [whole(&file), entry(one.2, "CRDT").detail(of(one, "DBIT"))];
            let kinds = if statement_first { ["camt.053", kind] } else { [kind, "camt.053"] };
            for kind in kinds {
                assert_eq!(m.take(kind, &file, &entries).await, NONE, "{kind}");
            }
            assert_eq!((m.batch(&file).await.as_str(), m.state(one).await.as_str()), ("settled", "returned"));
            let credited =
                format!("select credited_amount from batch where message_id = '{}'", file.message_id);
            assert_eq!(m.bed.number(&credited).await, one.2.get());
        }
    }
    // A notification that takes a return back moves no money and is in front of a person.
    let file = m.file();
    let one = &file.orders[0];
    m.take("camt.053", &file, &[whole(&file), entry(one.2, "CRDT").detail(of(one, ""))]).await;
    let undone = entry(one.2, "DBIT").reversed().detail(of(one, ""));
    assert_eq!(m.take("camt.054", &file, &[undone]).await, ["status_conflict 0"]);
    m.proven().await;
    month.bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_name_is_tried_and_every_amount_looked_at() {
    let Some(mut month) = Month::new(63).await else { return };
    let m = &mut month;
    let whole = |file: &Sent| entry(file.control_sum, "DBIT").file(file, Some(file.control_sum));

    // The bank's own message id beside ours; ours in small letters; names that stand for none.
    for (message, payment) in
        [("BKREF20261130000042", "="), ("NOTPROVIDED", "="), ("=", "BK1"), ("", "small")]
    {
        let file = m.file();
        let id = |text: &str| match text {
            "=" => file.message_id.clone(),
            "small" => file.message_id.to_lowercase(),
            other => other.to_owned(),
        };
        let mut debit = entry(file.control_sum, "DBIT");
        debit.batches.push((id(message), id(payment), None));
        assert_eq!(m.take("camt.053", &file, &[debit]).await, NONE, "{message} {payment}");
        assert_eq!(m.batch(&file).await, "settled", "{message} {payment}");
    }

    // An order by its instruction id, transaction id, or UETR in its file.
    let file = m.file();
    assert_eq!(m.take("camt.053", &file, &[whole(&file)]).await, NONE);
    let references = [
        format!("<InstrId>{}</InstrId><EndToEndId>NOTPROVIDED</EndToEndId>", file.orders[0].0),
        format!("<EndToEndId>BK202611300000000000042</EndToEndId><TxId>{}</TxId>", file.orders[1].0),
        format!("<PmtInfId>{}</PmtInfId><UETR>{}</UETR>", file.message_id, file.orders[2].1.to_uppercase()),
    ];
    for (references, order) in references.into_iter().zip(&file.orders) {
        let detail = Detail { references, ..of(order, "") };
        assert_eq!(m.take("camt.053", &file, &[entry(order.2, "CRDT").detail(detail)]).await, NONE);
        assert_eq!(m.state(order).await, "returned");
    }
    // By UETR and amount alone.
    let alone = m.file();
    assert_eq!(m.take("camt.053", &alone, &[whole(&alone)]).await, NONE);
    let order = &alone.orders[1];
    let uetr = Detail { references: format!("<UETR>{}</UETR>", order.1), ..of(order, "") };
    assert_eq!(m.take("camt.053", &alone, &[entry(order.2, "CRDT").detail(uetr)]).await, NONE);
    assert_eq!(m.state(order).await, "returned");
    // Many transactions that name nothing of ours beside one that does: one break for all of them.
    let last = &alone.orders[2];
    let strange = |at: i64| Detail {
        references: e2e(&format!("LOYER{at}")),
        amount: Some((Centimes::new(100), "MAD")),
        ..Detail::default()
    };
    let mixed = entry(last.2 + Centimes::new(3_000), "CRDT").detail(of(last, ""));
    let mixed = (0..30).map(strange).fold(mixed, Entry::detail);
    assert_eq!(m.take("camt.053", &alone, &[mixed]).await, ["unknown_reference -3000"]);
    assert_eq!(m.state(last).await, "returned");
    // Names that disagree name nothing: two orders; an order and a file that it was not in.
    let (file, beside) = m.two();
    let one = &file.orders[0];
    let two = format!("<InstrId>{}</InstrId>{}", beside.orders[0].0, e2e(&one.0));
    let two = Detail { references: two, ..of(one, "") };
    let found = m.take("camt.053", &file, &[entry(one.2, "CRDT").detail(two)]).await;
    assert_eq!(found, [format!("unknown_reference {}", -one.2.get())]);
    let elsewhere =
        Detail { references: format!("<MsgId>{}</MsgId>{}", beside.message_id, e2e(&one.0)), ..of(one, "") };
    let found = m.take("camt.053", &file, &[entry(one.2, "DBIT").detail(elsewhere)]).await;
    assert_eq!(found, [format!("unknown_reference {}", one.2.get())]);
    assert_eq!(m.state(one).await, "sent");

    // Two files in one debit, with their sums and without; and charges on top.
    let sums = |file: &Sent, beside: &Sent| file.control_sum + beside.control_sum;
    let both = entry(sums(&file, &beside), "DBIT")
        .file(&file, Some(file.control_sum))
        .file(&beside, Some(beside.control_sum));
    assert_eq!(m.take("camt.053", &file, &[both]).await, NONE);
    assert_eq!((m.batch(&file).await, m.batch(&beside).await), ("settled".into(), "settled".into()));
    let (file, beside) = m.two();
    let both = entry(sums(&file, &beside), "DBIT").file(&file, None).file(&beside, None);
    assert_eq!(m.take("camt.053", &file, &[both]).await, NONE);
    assert_eq!((m.batch(&file).await, m.batch(&beside).await), ("settled".into(), "settled".into()));
    let charges = Centimes::new(2_600);
    for total in [true, false] {
        let file = m.file();
        let total = total.then_some(file.control_sum);
        let debit = entry(file.control_sum + charges, "DBIT").file(&file, total);
        assert_eq!(m.take("camt.053", &file, &[debit]).await, ["bank_charges 2600"]);
        assert_eq!(m.batch(&file).await, "settled");
    }
    m.proven().await;

    // Returns in one sum without amounts: the orders' own, where they add up; else nothing moves.
    let file = m.file();
    let [a, b, c, d] = &file.orders[..4] else { unreachable!() };
    assert_eq!(m.take("camt.053", &file, &[whole(&file)]).await, NONE);
    let silent = |o: &(String, String, Centimes)| Detail { amount: None, rest: RETURNED, ..of(o, "") };
    let sum = entry(a.2 + b.2, "CRDT").detail(silent(a)).detail(silent(b));
    assert_eq!(m.take("camt.053", &file, &[sum]).await, NONE);
    assert_eq!((m.state(a).await, m.state(b).await), ("returned".into(), "returned".into()));
    let odd = entry(c.2 + d.2 + Centimes::new(1), "CRDT").detail(silent(c)).detail(silent(d));
    let suspense = -(c.2 + d.2).get() - 1;
    assert_eq!(m.take("camt.053", &file, &[odd]).await, [format!("totals_differ {suspense}")]);
    assert_eq!((m.state(c).await, m.state(d).await), ("settled".into(), "settled".into()));
    // An amount in another currency is none of ours.
    let foreign = Detail { amount: Some((c.2, "EUR")), ..of(c, "") };
    let in_ten = Centimes::new(c.2.get() * 10);
    let found = m.take("camt.053", &file, &[entry(in_ten, "CRDT").detail(foreign.clone())]).await;
    assert_eq!(found, [format!("amount_differs {}", -in_ten.get())]);
    assert_eq!(m.state(c).await, "settled");
    // But the entry's own is.
    let foreign = Detail { amount: Some((Centimes::new(4_500), "EUR")), ..foreign };
    assert_eq!(m.take("camt.053", &file, &[entry(c.2, "CRDT").detail(foreign)]).await, NONE);
    assert_eq!(m.state(c).await, "returned");
    m.proven().await;
    month.bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_of_many_transactions_is_shared_out_piece_by_piece() {
    let Some(mut month) = Month::new(67).await else { return };
    let m = &mut month;
    let (file, listed) = (m.file(), m.file());
    let small =
        Detail { references: e2e("SALAIRE"), amount: Some((Centimes::new(1), "MAD")), ..Detail::default() };
    // More than are held at once; the last piece brings orders of ours too.
    let mut debit = entry(file.control_sum + Centimes::new(100_500), "DBIT");
    let half = file.orders.len() / 2;
    debit.details.extend(file.orders[..half].iter().map(|o| of(o, "DBIT")));
    debit.details.extend(std::iter::repeat_n(small.clone(), 100_400));
    debit.details.extend(file.orders[half..].iter().map(|o| of(o, "CRDT")));
    let before = balance(m, &file.provider).await;
    let mut found = m.take("camt.053", &file, &[debit]).await;
    found.sort_unstable();
    let suspense =
        |line: &String| line.rsplit(' ').next().and_then(|v| v.parse::<i64>().ok()).expect("a sum");
    assert_eq!(found.iter().map(suspense).sum::<i64>(), 100_500, "{found:?}");
    assert!(found.len() <= 3, "{found:?}");
    assert_eq!(before - balance(m, &file.provider).await, file.control_sum.get() + 100_500);
    assert_eq!(m.batch(&file).await, "settled");
    // A file with its orders listed, and much else.
    let mut debit = entry(listed.control_sum, "DBIT").file(&listed, Some(listed.control_sum));
    debit.details.extend(listed.orders.iter().map(|o| of(o, "")));
    debit.details.extend(std::iter::repeat_n(small, 100_001));
    assert_eq!(m.take("camt.053", &listed, &[debit]).await, NONE);
    assert_eq!(m.batch(&listed).await, "settled");
    m.proven().await;
    month.bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_break_names_what_to_ask_the_bank() {
    let Some(mut month) = Month::new(64).await else { return };
    let file = month.file();
    let stray = Detail {
        references: "<EndToEndId>LOYER 12</EndToEndId>".into(),
        amount: Some((Centimes::new(12_300), "MAD")),
        side: "",
        rest: "<RmtInf><Ustrd>loyer novembre</Ustrd></RmtInf>",
    };
    let strange = "DE02120300000000202051";
    let ours = entry(Centimes::new(12_300), "DBIT").detail(stray);
    let text = message("camt.053", &file.debtor_account, "OURS", std::slice::from_ref(&ours));
    let second = message("camt.053", strange, "U-1", &[ours]);
    let statement = |xml: &str| {
        let (from, to) = (xml.find("<Stmt>").expect("begins"), xml.find("</BkToCstmrStmt>").expect("ends"));
        xml[from..to].to_owned()
    };
    let both = text.replace("</BkToCstmrStmt>", &format!("{}</BkToCstmrStmt>", statement(&second)));
    let path = month.bed.home().join("both.xml");
    fs::write(&path, both).expect("a message");
    let mut found = month.import(path).await;
    found.sort_unstable();
    assert_eq!(found, ["unknown_reference 0", "unknown_reference 12300"]);
    let with = async |suspense: i64| {
        let sql = format!("select id from break where kind = 'unknown_reference' and suspense = {suspense}");
        month.bed.number(&sql).await
    };
    let (of_entry, of_account) = (with(12_300).await, with(0).await);
    let show = |id: i64| {
        let context = &month.bed.context;
        async move { breaks::show(context, BreakId::new(id)).await.expect("a break").0.found }
    };
    let found = show(of_entry).await;
    let source = found.source.expect("where it comes from");
    assert_eq!((found.file.as_deref(), found.entry), (Some("both.xml"), Some(1)));
    assert_eq!(source.account, file.debtor_account);
    assert_eq!((source.statement.as_str(), source.bank_reference.as_str()), ("OURS", "BANKREF77"));
    assert_eq!(source.references, "EndToEndId LOYER 12");
    assert_eq!(source.text, "VIR DIVERS / loyer novembre");
    assert_eq!(
        (source.booked_on.as_deref(), source.value_on.as_deref()),
        (Some("2026-11-30"), Some("2026-12-01"))
    );
    let found = show(of_account).await;
    assert_eq!(found.provider, None);
    let source = found.source.expect("where it comes from");
    assert_eq!((source.account.as_str(), source.statement.as_str()), (strange, "U-1"));
    month.proven().await;
    month.bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_decision_on_a_break_closes_a_run_that_is_not_proven() {
    let Some(bed) = Bed::new().await else { return };
    let run = bed.run_to(300, 65, RunState::Settling).await;
    let files = sent_files(&bed.outbox());
    // All files are debited, and two returns are only announced.
    for (at, file) in files.iter().enumerate() {
        let whole = entry(file.control_sum, "DBIT").file(file, None);
        let path = bed.home().join(format!("s{at}.xml"));
        fs::write(&path, message("camt.053", &file.debtor_account, &format!("S{at}"), &[whole]))
            .expect("written");
        bed.feedback_taken(vec![path]).await;
    }
    assert_eq!(bed.reconcile(run).await.state, RunState::Reconciled);
    let file = files.iter().find(|f| f.orders.len() > 1).expect("a file");
    let back = entry(file.orders[0].2, "CRDT").detail(of(&file.orders[0], ""));
    let path = bed.home().join("n.xml");
    fs::write(&path, message("camt.054", &file.debtor_account, "N", &[back])).expect("written");
    bed.feedback_taken(vec![path]).await;
    let found = bed.reconcile(run).await;
    assert_eq!((found.state, found.open_breaks), (RunState::Settling, 1));
    let id = BreakId::new(bed.number("select max(id) from break").await);
    breaks::resolve(&bed.context, id, ACCOUNTANT, "no matter", None).await.expect("resolved");
    if bed.number("select count(*) from break where resolved_at is null").await > 0 {
        breaks::confirm(&bed.context, id, APPROVER).await.expect("confirmed");
    }
    let found = bed.reconcile(run).await;
    let due = file.orders[0].2;
    assert_eq!((found.state, found.open_breaks), (RunState::Settling, 0));
    assert_eq!(found.unproven, [(file.provider.clone(), due)]);
    let error = reconcile::close(&bed.context, run, ACCOUNTANT, None).await.expect_err("refused");
    assert!(matches!(error, CloseError::Unexplained { breaks: 0, under_way: 0, .. }), "{error}");
    // Who carries it forward says how much it is.
    reconcile::close(&bed.context, run, ACCOUNTANT, Some("with the bank")).await.expect("carried");
    let carried =
        bed.number("select amount from carried_forward where subject like 'paid out beyond %'").await;
    assert_eq!(carried, due.get());
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn returns_that_are_booked_before_their_file_keep_a_closed_run_proven() {
    let Some(bed) = Bed::new().await else { return };
    let run = bed.run_to(300, 66, RunState::Settling).await;
    let files = sent_files(&bed.outbox());
    let late = files.iter().find(|f| f.orders.len() > 2).expect("a file");
    let taken = async |kind: &str, id: &str, entry: Entry, of: &Sent| {
        let path = bed.home().join(format!("{id}.xml"));
        fs::write(&path, message(kind, &of.debtor_account, id, &[entry])).expect("written");
        bed.feedback_taken(vec![path]).await;
    };
    for (at, file) in files.iter().enumerate().filter(|(_, file)| file.message_id != late.message_id) {
        taken("camt.053", &format!("S{at}"), entry(file.control_sum, "DBIT").file(file, None), file).await;
    }
    // Of the last file one order is on a statement alone; two others came back, as the bank announced.
    let single = |at: usize, side| entry(late.orders[at].2, side).detail(of(&late.orders[at], ""));
    taken("camt.053", "ALONE", single(2, "DBIT"), late).await;
    for at in 0..2 {
        taken("camt.054", &format!("N{at}"), single(at, "CRDT"), late).await;
    }
    bed.reconcile(run).await;
    reconcile::close(&bed.context, run, ACCOUNTANT, Some("with the bank")).await.expect("carried");
    bed.verify_all_holds().await;
    taken("camt.053", "B0", single(0, "CRDT"), late).await;
    bed.verify_all_holds().await;
    let whole = entry(late.control_sum - late.orders[2].2, "DBIT").file(late, None);
    taken("camt.053", "LATE", whole, late).await;
    bed.verify_all_holds().await;
    taken("camt.053", "B1", single(1, "CRDT"), late).await;
    bed.verify_all_holds().await;
    bed.end().await;
}

/// A number below `n`.
fn draw(rng: &mut ChaCha8Rng, n: u64) -> u64 {
    rng.next_u64() % n
}

fn pick<'a, T>(rng: &mut ChaCha8Rng, from: &'a [T]) -> &'a T {
    &from[usize::try_from(draw(rng, from.len() as u64)).expect("small")]
}

fn any_amount(rng: &mut ChaCha8Rng, file: &Sent) -> Centimes {
    let order = pick(rng, &file.orders).2;
    match draw(rng, 12) {
        0..=3 => order,
        4..=5 => file.control_sum,
        6 => file.control_sum + Centimes::new(2_600),
        7 => Centimes::ZERO,
        8 => Centimes::new(i64::try_from(draw(rng, 100_000)).expect("small")),
        9 => order + pick(rng, &file.orders).2,
        10 => Centimes::new(500_000_000_000_000_000),
        _ => Centimes::new(order.get() - 2_000),
    }
}

fn any_detail(rng: &mut ChaCha8Rng, file: &Sent, other: &Sent) -> Detail {
    let order = pick(rng, &file.orders).clone();
    let mut references = String::new();
    for element in ["MsgId", "PmtInfId", "InstrId", "EndToEndId", "UETR", "TxId"] {
        if draw(rng, 3) > 0 {
            continue;
        }
        let text = match (element, draw(rng, 6)) {
            (_, 0) => "NOTPROVIDED".to_owned(),
            (_, 1) => "BK20261130000000000042".to_owned(),
            ("MsgId" | "PmtInfId", 2) => other.message_id.clone(),
            ("MsgId" | "PmtInfId", _) => file.message_id.clone(),
            ("UETR", _) => order.1.clone(),
            (_, 2) => pick(rng, &other.orders).0.clone(),
            _ => order.0.clone(),
        };
        references.push_str(&format!("<{element}>{text}</{element}>"));
    }
    let amount = match draw(rng, 6) {
        0 => None,
        1..=3 => Some((order.2, "MAD")),
        4 => Some((any_amount(rng, file), "MAD")),
        _ => Some((order.2, *pick(rng, &["EUR", "MAD"]))),
    };
    let side = *pick(rng, &["", "CRDT", "DBIT", "XXXX"]);
    Detail { references, amount, side, rest: pick::<&'static str>(rng, &["", RETURNED]) }
}

fn any_entry(rng: &mut ChaCha8Rng, file: &Sent, other: &Sent) -> Entry {
    let mut made = entry(any_amount(rng, file), pick::<&'static str>(rng, &["CRDT", "DBIT", "DBIT"]));
    made.reversal = draw(rng, 6) == 0;
    made.status = *pick(rng, &["BOOK", "BOOK", "BOOK", "BOOK", "BOOK", "PDNG", "INFO", "FUTR", "XXXX"]);
    if draw(rng, 20) == 0 {
        made.amount = (*pick(rng, &["-5.00", "", "1.234", "99999999999999999999", "1e3"])).to_owned();
    }
    for _ in 0..draw(rng, 3) {
        let about = if draw(rng, 4) == 0 { other } else { file };
        let message = match draw(rng, 5) {
            0 => "BK42".to_owned(),
            1 => String::new(),
            _ => about.message_id.clone(),
        };
        let payment = if draw(rng, 2) == 0 { about.message_id.clone() } else { String::new() };
        let total = match draw(rng, 4) {
            0 => None,
            1 => Some(any_amount(rng, about)),
            _ => Some(about.control_sum),
        };
        made.batches.push((message, payment, total));
    }
    for _ in 0..draw(rng, 4) {
        made.details.push(any_detail(rng, file, other));
    }
    made
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_statements_say_the_account_moves_by_their_entries() {
    let Some(mut month) = Month::new(66).await else { return };
    let mut rng = ChaCha8Rng::seed_from_u64(20_261_130);
    let files = month.files.clone();
    let mut seen_entries = 0;
    for round in 0..240 {
        let file = pick(&mut rng, &files).clone();
        let other = pick(&mut rng, &files).clone();
        let entries: Vec<Entry> =
            (0..=draw(&mut rng, 3)).map(|_| any_entry(&mut rng, &file, &other)).collect();
        seen_entries += entries.len();
        let kind = *pick(&mut rng, &["camt.053", "camt.053", "camt.053", "camt.054", "camt.052"]);
        let before = balance(&month, &file.provider).await;
        let path = month.write(kind, &file.debtor_account, &entries);
        month.import(path).await;
        let booked: i64 = match kind {
            "camt.053" => entries.iter().filter_map(moved).sum(),
            _ => 0,
        };
        let after = balance(&month, &file.provider).await;
        assert_eq!(after - before, booked, "round {round}: {}", month.messages);
        if round % 30 == 29 {
            month.proven().await;
            month.bed.reconcile(month.run).await;
        }
    }
    assert!(seen_entries > 400);
    month.proven().await;
    month.bed.end().await;
}

async fn balance(month: &Month, provider: &str) -> i64 {
    let sql = format!(
        "select coalesce(sum(balance), 0)::bigint from ledger_account a join provider p on p.id = a.provider_id
          where p.code = '{provider}' and a.kind = 'bank'"
    );
    month.bed.number(&sql).await
}

/// What an entry moves on the account: what is booked and can be believed.
fn moved(entry: &Entry) -> Option<i64> {
    let amount = entry.amount.parse::<Centimes>().ok()?.get();
    let booked = entry.status == "BOOK" && (0..=1_000_000_000_000_000).contains(&amount);
    booked.then_some(if entry.side == "CRDT" { amount } else { -amount })
}
