//! Statements and notifications in several versions, and what is written read back.

use crate::domain::money::Centimes;

use crate::iso20022::statement::check::Checked;
use crate::iso20022::statement::read::CamtReader;
use crate::iso20022::statement::{
    AccountId, Balance, BankCode, Batch, CamtItem, CamtKind, Detail, Entry, EntryStatus, StatedTotal,
    Statement, Summary,
};
use crate::iso20022::testing::{CREATED, DAY, assert_valid, uetr};
use crate::iso20022::values::{MessageHeader, Reason};
use crate::iso20022::xml::fault::Limits;
use crate::sandbox::wire::statement::{CamtWriter, NOTIFICATION, STATEMENT};

/// A line for each item.
fn lines(xml: &[u8]) -> Vec<String> {
    let mut reader = CamtReader::new(xml, Limits::default());
    let mut lines = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        lines.push(match item {
            CamtItem::Header(header) => format!("header {}", header.msg_id),
            CamtItem::StatementBegin(s) => format!("begin {:?} {} {:?}", s.kind, s.id, s.account),
            CamtItem::Balance(b) => format!("balance {} {} {} {}", b.code, b.amount, b.credit, b.currency),
            CamtItem::FaultyBalance { fault, .. } => {
                format!("faulty balance {} {:?}", fault.field, fault.problem)
            }
            CamtItem::Summary(s) => format!("summary {:?} {:?}", s.all.entries, s.credits.entries),
            CamtItem::Entry(e) => format!(
                "entry {} {} {} {} {} {:?}",
                e.amount,
                e.credit,
                e.status.as_str(),
                e.booking_date.is_some(),
                e.code.sub_family,
                e.batch.as_ref().map(|b| b.orders)
            ),
            CamtItem::FaultyEntry { fault, details, .. } => {
                format!("faulty entry {} {} {:?} {details}", fault.index, fault.field, fault.problem)
            }
            CamtItem::Batch(b) => format!("batch {} {:?}", b.msg_id, b.sum.map(Centimes::get)),
            CamtItem::EntryInfo(text) => format!("info {text}"),
            CamtItem::Detail(d) => format!(
                "detail {} {:?} {:?} {}",
                d.end_to_end_id,
                d.amount.map(Centimes::get),
                d.credit,
                d.return_reason.code
            ),
            CamtItem::FaultyDetail { fault, partial } => {
                format!("faulty detail {} {:?} {}", fault.field, fault.problem, partial.end_to_end_id)
            }
            CamtItem::EntryEnd(e) => format!("entry end {} {}", e.details, e.details_sum),
            CamtItem::Mismatch(m) => format!("mismatch {:?} {} {}", m.what, m.stated, m.counted),
            CamtItem::StatementEnd(e) => format!("end {} {} {}", e.entries, e.credit_sum, e.debit_sum),
        });
    }
    lines
}

/// A message around entries, as the version has them.
fn message(kind: &str, version: &str, head: &str, entries: &str) -> String {
    let (root, element) = match kind {
        "camt.053" => ("BkToCstmrStmt", "Stmt"),
        _ => ("BkToCstmrDbtCdtNtfctn", "Ntfctn"),
    };
    format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:{kind}.001.{version}\"><{root}>\
         <GrpHdr><MsgId>M</MsgId><CreDtTm>2026-11-22T10:00:00</CreDtTm></GrpHdr><{element}><Id>S</Id>\
         <Acct><Id><Othr><Id>001810007800020110620318</Id></Othr></Id><Ownr><Nm>x</Nm></Ownr></Acct>\
         {head}{entries}</{element}></{root}></Document>"
    )
}

#[test]
fn both_shapes_of_status_in_all_versions_are_read() {
    for (kind, version) in [
        ("camt.053", "02"),
        ("camt.053", "04"),
        ("camt.053", "06"),
        ("camt.053", "08"),
        ("camt.054", "02"),
        ("camt.054", "04"),
        ("camt.054", "08"),
    ] {
        let new = version == "08";
        let status = if new { "<Sts><Cd>BOOK</Cd></Sts>" } else { "<Sts>BOOK</Sts>" };
        let amount = |text: &str| {
            if new {
                format!("<Amt Ccy=\"MAD\">{text}</Amt>")
            } else {
                format!(
                    "<AmtDtls><InstdAmt><Amt Ccy=\"TND\">9.999</Amt></InstdAmt>\
                     <TxAmt><Amt Ccy=\"MAD\">{text}</Amt></TxAmt></AmtDtls>"
                )
            }
        };
        let entry = format!(
            "<Ntry><Amt Ccy=\"MAD\">1000.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>{status}\
             <BookgDt><Dt>2026-11-22</Dt></BookgDt><BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>ICDT</Cd>\
             <SubFmlyCd>RRTN</SubFmlyCd></Fmly></Domn></BkTxCd><NtryDtls><Btch><NbOfTxs>2</NbOfTxs></Btch>\
             <TxDtls><Refs><EndToEndId>E1</EndToEndId></Refs>{}<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf></TxDtls>\
             <TxDtls><Refs><EndToEndId>E2</EndToEndId></Refs>{}</TxDtls></NtryDtls></Ntry>",
            amount("400.00"),
            amount("600")
        );
        let shown = if kind == "camt.053" { "Statement" } else { "Notification" };
        assert_eq!(
            lines(message(kind, version, "", &entry).as_bytes()),
            [
                "header M",
                &format!("begin {shown} S Other(…)"),
                "entry 1000.00 true BOOK true RRTN Some(Some(2))",
                "detail E1 Some(40000) None AC04",
                "detail E2 Some(60000) None ",
                "entry end 2 1000.00",
                "end 1 1000.00 0.00",
            ],
            "{kind} {version}"
        );
    }
}

#[test]
fn a_bad_entry_does_not_sink_the_statement() {
    let good = "<Ntry><Amt Ccy=\"MAD\">1</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts>BOOK</Sts></Ntry>";
    for (bad, expected) in [
        ("<Ntry><CdtDbtInd>DBIT</CdtDbtInd><Sts>BOOK</Sts></Ntry>", "faulty entry 1 Amt Missing 0"),
        (
            "<Ntry><Amt>1</Amt><Sts>BOOK</Sts><NtryDtls><TxDtls/><TxDtls/></NtryDtls></Ntry>",
            "faulty entry 1 CdtDbtInd Missing 2",
        ),
        (
            "<Ntry><Amt>1</Amt><CdtDbtInd>D</CdtDbtInd><Sts>BOOK</Sts></Ntry>",
            "faulty entry 1 CdtDbtInd UnknownCode 0",
        ),
        ("<Ntry><Amt>x</Amt><CdtDbtInd>DBIT</CdtDbtInd></Ntry>", "faulty entry 1 Amt Amount(Malformed) 0"),
        ("<Ntry><Amt>1</Amt><CdtDbtInd>DBIT</CdtDbtInd></Ntry>", "faulty entry 1 Sts Missing 0"),
    ] {
        let xml = message("camt.053", "02", "", &format!("{bad}{good}"));
        assert_eq!(
            lines(xml.as_bytes())[2..],
            [expected, "entry 1.00 false BOOK false  None", "entry end 0 0.00", "end 2 0.00 1.00"],
            "{bad}"
        );
    }
    let detail = "<Ntry><Amt>1</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts>BOOK</Sts><NtryDtls><TxDtls><Refs>\
                  <EndToEndId>E</EndToEndId></Refs><Amt>1,0</Amt></TxDtls></NtryDtls></Ntry>";
    assert_eq!(
        lines(message("camt.053", "08", "", detail).as_bytes())[3..5],
        ["faulty detail Amt Amount(Malformed) E", "entry end 1 0.00"]
    );
}

#[test]
fn what_does_not_add_up_is_told() {
    let balance = |code: &str, amount: &str| {
        format!(
            "<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy=\"MAD\">{amount}</Amt>\
             <CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-11-22</Dt></Dt></Bal>"
        )
    };
    let entry = "<Ntry><Amt Ccy=\"MAD\">30</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts>BOOK</Sts></Ntry>\
                 <Ntry><Amt Ccy=\"MAD\">5</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>PDNG</Sts></Ntry>";
    let check = |closing: &str, summary: &str, expected: &[&str]| {
        let head = format!("{}{}{summary}", balance("OPBD", "100"), balance("CLBD", closing));
        let lines = lines(message("camt.053", "02", &head, entry).as_bytes());
        let found: Vec<_> = lines.iter().filter(|l| l.starts_with("mismatch")).collect();
        assert_eq!(found, expected);
        assert_eq!(lines.last().unwrap(), "end 2 5.00 30.00");
    };
    let total = |count: u64, sum: &str| {
        format!(
            "<TxsSummry><TtlNtries><NbOfNtries>{count}</NbOfNtries><Sum>{sum}</Sum></TtlNtries></TxsSummry>"
        )
    };
    check("70", &total(2, "35"), &[]);
    check("75", "", &["mismatch ClosingBalance 75.00 70.00"]);
    check("70", &total(3, "35.01"), &["mismatch AllEntries 3 2", "mismatch AllSum 35.01 35.00"]);
    let faulty = lines(message("camt.053", "02", "<Bal><Amt>1</Amt></Bal>", "").as_bytes());
    assert_eq!(faulty[2], "faulty balance CdtDbtInd Missing");
    assert_ne!(Checked::AllSum, Checked::CreditSum);
}

fn detail(number: u64, amount: i64) -> Detail {
    Detail {
        msg_id: "MSG".into(),
        servicer_ref: format!("A{number}"),
        pmt_inf_id: "PMT".into(),
        instr_id: format!("I{number}"),
        end_to_end_id: format!("E{number}"),
        uetr: uetr(number),
        tx_id: format!("T{number}"),
        amount: Some(Centimes::new(amount)),
        currency: "MAD".into(),
        credit: Some(true),
        return_reason: Reason { code: "AC04".into(), info: "closed & gone".into() },
        return_code: BankCode {
            domain: "PMNT".into(),
            family: "ICDT".into(),
            sub_family: "DMCT".into(),
            proprietary: String::new(),
        },
        remittance: "Aide <2026-11>".into(),
        creditor_ref: "RF18 5390 0754".into(),
        info: "more".into(),
    }
}

fn entry(amount: i64, credit: bool, batch: bool) -> Entry {
    Entry {
        reference: "R1".into(),
        amount: Centimes::new(amount),
        currency: "MAD".into(),
        credit,
        reversal: credit,
        status: EntryStatus::Book,
        booking_date: Some(DAY),
        value_date: Some(DAY),
        servicer_ref: "SR".into(),
        code: BankCode { proprietary: "VIR".into(), ..BankCode::default() },
        batch: batch.then(|| Batch {
            msg_id: "MSG".into(),
            pmt_inf_id: "PMT".into(),
            orders: Some(2),
            sum: Some(Centimes::new(amount)),
            credit: Some(credit),
        }),
    }
}

/// A message of one statement: a debit, then a batch of returns with `amounts`.
fn write(kind: CamtKind, amounts: &[i64], account: AccountId) -> Vec<u8> {
    let header = MessageHeader { msg_id: "M1".into(), created: Some(CREATED) };
    let statement = Statement {
        kind,
        id: "S1".into(),
        account,
        electronic_sequence: Some(7),
        legal_sequence: Some(8),
        from: Some(CREATED),
        to: Some(CREATED),
        ..Statement::default()
    };
    let returned: i64 = amounts.iter().sum();
    let balance = |code: &str, amount: i64| Balance {
        code: code.into(),
        amount: Centimes::new(amount.abs()),
        credit: amount >= 0,
        currency: "MAD".into(),
        date: Some(DAY),
    };
    let balances = [balance("OPBD", 1000), balance("CLBD", 1000 - 5000 + returned)];
    let total = |entries, sum| StatedTotal { entries: Some(entries), sum: Some(Centimes::new(sum)) };
    let summary =
        Summary { all: total(2, 5000 + returned), credits: total(1, returned), debits: total(1, 5000) };
    let mut writer = CamtWriter::begin(Vec::new(), kind, &header).unwrap();
    let balances = if kind == CamtKind::Statement { &balances[..] } else { &[] };
    writer.statement(&statement, balances, Some(&summary)).unwrap();
    writer.entry(&entry(5000, false, false)).unwrap();
    writer.entry(&entry(returned, true, true)).unwrap();
    amounts.iter().zip(1..).for_each(|(amount, i)| writer.detail(&detail(i, *amount)).unwrap());
    writer.finish().unwrap()
}

#[test]
fn written_messages_are_valid() {
    let iban = || AccountId::Iban("MA64011519000001205000534921".into());
    assert_valid(STATEMENT, &write(CamtKind::Statement, &[40_000, 60_000], iban()));
    let rib = AccountId::Other("001810007800020110620318".into());
    assert_valid(NOTIFICATION, &write(CamtKind::Notification, &[1], rib));
    let header = MessageHeader { msg_id: "M1".into(), created: Some(CREATED) };
    let mut writer = CamtWriter::begin(Vec::new(), CamtKind::Notification, &header).unwrap();
    assert!(writer.entry(&entry(1, true, false)).is_err());
    assert!(writer.detail(&Detail::default()).is_err());
    let statement = Statement { id: "S".into(), account: iban(), ..Statement::default() };
    writer.statement(&statement, &[], None).unwrap();
    assert!(writer.detail(&Detail::default()).is_err());
    writer.entry(&entry(1, true, false)).unwrap();
    writer.detail(&Detail::default()).unwrap();
    writer.statement(&statement, &[], None).unwrap();
    assert_valid(NOTIFICATION, &writer.finish().unwrap());
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]
    #[test]
    fn what_is_written_is_read_back(amounts in proptest::collection::vec(1i64..1_000_000_000_000, 1..20)) {
        for kind in [CamtKind::Statement, CamtKind::Notification] {
            let xml = write(kind, &amounts, AccountId::Other("001".into()));
            let mut reader = CamtReader::new(xml.as_slice(), Limits::default());
            let (mut details, mut entries) = (Vec::new(), Vec::new());
            while let Some(item) = reader.next().unwrap() {
                match item {
                    CamtItem::Entry(entry) => entries.push(entry.clone()),
                    CamtItem::Detail(detail) => details.push(detail.clone()),
                    CamtItem::Mismatch(mismatch) => panic!("{mismatch:?}"),
                    CamtItem::FaultyEntry { fault, .. } | CamtItem::FaultyDetail { fault, .. } => panic!("{fault}"),
                    _ => {}
                }
            }
            let expected: Vec<_> = amounts.iter().zip(1..).map(|(a, i)| detail(i, *a)).collect();
            proptest::prop_assert_eq!(details, expected);
            let returned = amounts.iter().sum();
            proptest::prop_assert_eq!(entries, [entry(5000, false, false), entry(returned, true, true)]);
            proptest::prop_assert!(reader.warnings().is_empty());
        }
    }
}
