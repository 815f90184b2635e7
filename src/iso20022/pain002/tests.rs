//! Status reports in several versions, and what is written read back.

use crate::domain::money::{Centimes, MoneyError};

use crate::iso20022::pain002::read::Pain002Reader;
use crate::iso20022::pain002::{Group, Pain002Item, PaymentInfo, TransactionStatus};
use crate::iso20022::testing::{CREATED, assert_valid, uetr};
use crate::iso20022::values::{MessageHeader, Problem, Reason, Reasons, StatusCode};
use crate::iso20022::xml::fault::Limits;
use crate::sandbox::wire::pain002::{MESSAGE, Pain002Writer};

/// All reasons, with their texts.
fn all(reasons: &Reasons) -> String {
    let one = |r: &Reason| format!("{} {}", r.code, r.info).trim().to_owned();
    reasons.iter().map(one).collect::<Vec<_>>().join("+")
}

/// A line for each item.
fn lines(xml: &str) -> Vec<String> {
    let mut reader = Pain002Reader::new(xml.as_bytes(), Limits::default());
    let mut lines = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        lines.push(match item {
            Pain002Item::Header(header) => format!("header {} {}", header.msg_id, header.created.is_some()),
            Pain002Item::Group(g) => {
                format!(
                    "group {} {:?} {:?} {}",
                    g.original_msg_id,
                    g.original_orders,
                    g.status,
                    g.reasons.first_code()
                )
            }
            Pain002Item::PaymentInfo { payment: p, .. } => {
                format!("payment {} {:?} {}", p.original_pmt_inf_id, p.status, all(&p.reasons))
            }
            Pain002Item::Transaction { transaction: t, .. } => format!(
                "transaction {} {} {} {:?}{}",
                t.original_end_to_end_id,
                t.status.as_str(),
                all(&t.reasons),
                t.amount.map(Centimes::get),
                t.currency
            ),
            Pain002Item::Faulty { fault, partial } => {
                format!(
                    "faulty {} {} {:?} {}",
                    fault.index, fault.field, fault.problem, partial.original_instr_id
                )
            }
        });
    }
    lines
}

#[test]
fn versions_03_10_and_12_are_read() {
    for version in ["03", "10", "12"] {
        let xml = format!(
            "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.{version}\"><CstmrPmtStsRpt>\
             <GrpHdr><MsgId>M1</MsgId><CreDtTm>2026-11-22T10:00:00</CreDtTm><InitgPty><Nm>x</Nm></InitgPty></GrpHdr>\
             <OrgnlGrpInfAndSts><OrgnlMsgId>O1</OrgnlMsgId><OrgnlMsgNmId>pain.001.001.03</OrgnlMsgNmId>\
             <OrgnlNbOfTxs>2</OrgnlNbOfTxs><GrpSts>PART</GrpSts></OrgnlGrpInfAndSts>\
             <OrgnlPmtInfAndSts><OrgnlPmtInfId>P1</OrgnlPmtInfId><PmtInfSts>PART</PmtInfSts>\
             <TxInfAndSts><OrgnlEndToEndId>E1</OrgnlEndToEndId><TxSts>RJCT</TxSts>\
             <StsRsnInf><Rsn><Cd>AC04</Cd></Rsn><AddtlInf>closed</AddtlInf><AddtlInf>more</AddtlInf></StsRsnInf>\
             <StsRsnInf><Rsn><Cd>MS03</Cd></Rsn></StsRsnInf>\
             <OrgnlTxRef><Amt><InstdAmt Ccy=\"MAD\">500.00</InstdAmt></Amt><Cdtr><Nm>x</Nm></Cdtr></OrgnlTxRef></TxInfAndSts>\
             <TxInfAndSts><OrgnlEndToEndId>E2</OrgnlEndToEndId><TxSts>XABC</TxSts></TxInfAndSts>\
             </OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>"
        );
        assert_eq!(
            lines(&xml),
            [
                "header M1 true",
                "group O1 Some(2) Some(Part) ",
                "payment P1 Some(Part) ",
                "transaction E1 RJCT AC04 closed more+MS03 Some(50000)MAD",
                "transaction E2 XABC  None",
            ]
        );
        let mut reader = Pain002Reader::new(xml.as_bytes(), Limits::default());
        while reader.next().unwrap().is_some() {}
        assert_eq!((reader.version(), reader.warnings()), (version.parse().ok(), &[][..]));
    }
}

#[test]
fn a_bad_transaction_does_not_sink_the_file() {
    let transaction =
        |inner: &str| format!("<TxInfAndSts><OrgnlInstrId>I</OrgnlInstrId>{inner}</TxInfAndSts>");
    let amount = |text: &str| {
        transaction(&format!(
            "<TxSts>ACSC</TxSts><OrgnlTxRef><Amt><InstdAmt Ccy=\"MAD\">{text}</InstdAmt></Amt></OrgnlTxRef>"
        ))
    };
    for (inner, expected) in [
        ("<TxInfAndSts><TxSts>ACSC</TxSts></TxInfAndSts>".to_owned(), "OrgnlEndToEndId Missing "),
        (transaction(""), "TxSts Missing I"),
        (transaction("<TxSts> </TxSts>"), "TxSts Missing I"),
        (amount("5,00"), "InstdAmt Amount(Malformed) I"),
        (amount("-5.00"), "InstdAmt Negative I"),
        (amount("5.001"), "InstdAmt Amount(FractionOfCentime) I"),
        (amount(""), "InstdAmt Missing I"),
    ] {
        let xml = format!(
            "<Document><CstmrPmtStsRpt><OrgnlPmtInfAndSts>{inner}<TxInfAndSts><OrgnlEndToEndId>E\
             </OrgnlEndToEndId><TxSts>ACSC</TxSts></TxInfAndSts></OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>"
        );
        let faulty = format!("faulty 1 {expected}");
        assert_eq!(lines(&xml), ["payment  None ", &faulty, "transaction E ACSC  None"]);
    }
    assert_ne!(Problem::Missing, Problem::Amount(MoneyError::Malformed));
}

fn sample(number: u64, amount: i64, code: &str) -> TransactionStatus {
    TransactionStatus {
        status_id: format!("S{number}"),
        original_instr_id: format!("I{number}"),
        original_end_to_end_id: format!("E<{number}>&"),
        original_uetr: uetr(number),
        status: StatusCode::Rjct,
        reasons: Reasons::one(code, "one & two"),
        amount: Some(Centimes::new(amount)),
        currency: "MAD".into(),
        ..TransactionStatus::default()
    }
}

fn write(transactions: &[TransactionStatus]) -> Vec<u8> {
    let header = MessageHeader { msg_id: "M1".into(), created: Some(CREATED) };
    let group = Group {
        original_msg_id: "O1".into(),
        original_msg_name: "pain.001.001.09".into(),
        original_orders: Some(transactions.len() as u64),
        original_sum: Some(Centimes::new(1)),
        status: Some(StatusCode::Part),
        reasons: Reasons::one("NARR", ""),
    };
    let payment = PaymentInfo {
        original_pmt_inf_id: "P1".into(),
        original_orders: Some(1),
        original_sum: Some(Centimes::new(1)),
        status: Some(StatusCode::Part),
        reasons: Reasons::default(),
    };
    let mut writer = Pain002Writer::begin(Vec::new(), &header, &group, Some(&payment)).unwrap();
    transactions.iter().for_each(|t| writer.transaction(t).unwrap());
    writer.finish().unwrap().0
}

#[test]
fn written_reports_are_valid() {
    let bare = TransactionStatus { status: StatusCode::Acsc, ..TransactionStatus::default() };
    assert_valid(MESSAGE, &write(&[sample(1, 5, "AC04"), sample(2, 7, "a reason of the bank's own"), bare]));
    let header = MessageHeader { msg_id: "M1".into(), created: Some(CREATED) };
    let group = Group {
        original_msg_id: "O1".into(),
        original_msg_name: "pain.001.001.09".into(),
        status: Some(StatusCode::Rjct),
        ..Group::default()
    };
    let mut writer = Pain002Writer::begin(Vec::new(), &header, &group, None).unwrap();
    assert!(writer.transaction(&sample(1, 1, "AC04")).is_err());
    assert_valid(MESSAGE, &writer.finish().unwrap().0);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]
    #[test]
    fn what_is_written_is_read_back(
        amounts in proptest::collection::vec(1i64..1_000_000_000_000_000, 1..20),
        id in "[!-~é]([ -~é]{0,33}[!-~é])?",
    ) {
        let written: Vec<_> = amounts
            .iter()
            .zip(1u64..)
            .map(|(amount, i)| TransactionStatus { original_end_to_end_id: id.clone(), ..sample(i, *amount, "AC01") })
            .collect();
        let xml = write(&written);
        let mut reader = Pain002Reader::new(xml.as_slice(), Limits::default());
        let mut read = Vec::new();
        while let Some(item) = reader.next().unwrap() {
            if let Pain002Item::Transaction { transaction, .. } = item {
                read.push(transaction.clone());
            }
        }
        proptest::prop_assert_eq!(read, written);
    }
}
