//! Payment returns: several dialects, faults, and what is written read back.

use super::read::Pacs004Reader;
use super::{OriginalMessage, Pacs004Item, ReturnHeader, ReturnedTransaction};
use crate::domain::money::Centimes;
use crate::iso20022::testing::{CREATED, assert_valid, document, prefixed, uetr};
use crate::iso20022::values::{MessageHeader, Reasons};
use crate::iso20022::xml::fault::{Limits, XmlError};
use crate::iso20022::xml::write::WriteError;
use crate::sandbox::wire::pacs004::{MESSAGE, Pacs004Writer};

/// A line for each item of a payment return.
fn returns(xml: &str) -> Result<Vec<String>, XmlError> {
    let mut reader = Pacs004Reader::new(xml.as_bytes(), Limits::default());
    let mut lines = Vec::new();
    while let Some(item) = reader.next()? {
        lines.push(match item {
            Pacs004Item::Header(h) => format!(
                "header {} {} {:?} {:?} {}",
                h.message.msg_id,
                h.message.created.is_some(),
                h.orders,
                h.total.map(Centimes::get),
                h.group_return
            ),
            Pacs004Item::Original(o) => format!("original {} {}", o.msg_id, o.reasons.first_code()),
            Pacs004Item::Return(t) => format!(
                "return {}|{}|{} {}{} {} {}",
                t.original_end_to_end_id,
                t.original_instr_id,
                t.original_uetr,
                t.amount.map_or(0, Centimes::get),
                t.currency,
                t.reasons.first_code(),
                t.reasons.iter().next().map_or("", |r| r.info.as_str())
            ),
            Pacs004Item::Faulty { fault, partial } => {
                format!("faulty {} {} {:?} {}", fault.index, fault.field, fault.problem, partial.return_id)
            }
        });
    }
    Ok(lines)
}

#[test]
fn returns_are_read_in_several_dialects() {
    let inner = "<PmtRtr><GrpHdr><MsgId>R1</MsgId><CreDtTm>2026-12-01T10:00:00.123+01:00</CreDtTm><NbOfTxs>2</NbOfTxs>\
        <TtlRtrdIntrBkSttlmAmt Ccy=\"MAD\">700.00</TtlRtrdIntrBkSttlmAmt><IntrBkSttlmDt>2026-12-01+01:00</IntrBkSttlmDt>\
        <SttlmInf><SttlmMtd>CLRG</SttlmMtd></SttlmInf></GrpHdr>\
        <OrgnlGrpInf><OrgnlMsgId>O1</OrgnlMsgId><OrgnlMsgNmId>pacs.008.001.08</OrgnlMsgNmId>\
        <RtrRsnInf><Rsn><Cd>MS03</Cd></Rsn></RtrRsnInf></OrgnlGrpInf>\
        <TxInf><RtrId>T1</RtrId><OrgnlInstrId>I1</OrgnlInstrId><OrgnlEndToEndId>E1</OrgnlEndToEndId><OrgnlTxId>X</OrgnlTxId>\
        <OrgnlUETR>U1</OrgnlUETR><OrgnlIntrBkSttlmAmt Ccy=\"MAD\">500.00</OrgnlIntrBkSttlmAmt>\
        <RtrdIntrBkSttlmAmt Ccy=\"MAD\">500.00</RtrdIntrBkSttlmAmt><ChrgBr>SLEV</ChrgBr>\
        <RtrRsnInf><Orgtr><Nm>x</Nm></Orgtr><Rsn><Cd>AC04</Cd></Rsn><AddtlInf>closed</AddtlInf></RtrRsnInf>\
        <RtrRsnInf><Rsn><Cd>MS03</Cd></Rsn></RtrRsnInf>\
        <OrgnlTxRef><Cdtr><Nm>x</Nm></Cdtr><RtrRsnInf><Rsn><Cd>NO</Cd></Rsn></RtrRsnInf></OrgnlTxRef></TxInf>\
        <TxInf><OrgnlUETR>U2</OrgnlUETR><RtrdIntrBkSttlmAmt Ccy=\"MAD\">200</RtrdIntrBkSttlmAmt><Local><X/></Local>\
        <RtrRsnInf><Rsn><Prtry>the bank's own</Prtry></Rsn></RtrRsnInf></TxInf></PmtRtr>";
    let expected = [
        "header R1 true Some(2) Some(70000) false",
        "original O1 MS03",
        "return E1|I1|U1 50000MAD AC04 closed",
        "return ||U2 20000MAD the bank's own ",
    ];
    for version in ["02", "09", "10", "11"] {
        let xml = document(&format!("pacs.004.001.{version}"), inner);
        for xml in [prefixed(&xml), xml] {
            assert_eq!(returns(&xml).unwrap(), expected);
            let mut reader = Pacs004Reader::new(xml.as_bytes(), Limits::default());
            while reader.next().unwrap().is_some() {}
            assert_eq!(reader.version(), version.parse().ok());
            // Only the element that no version has is told of.
            assert_eq!(
                (reader.warnings().len(), reader.warnings_dropped()),
                (1, 0),
                "{:?}",
                reader.warnings()
            );
        }
    }
    let bare = format!("\u{FEFF}<Env><Document>{inner}</Document></Env>");
    assert_eq!(returns(&bare).unwrap(), expected);
    let whole = "<PmtRtr><GrpHdr><MsgId>R2</MsgId><CreDtTm>2026-12-01</CreDtTm><NbOfTxs>0</NbOfTxs><GrpRtr>true</GrpRtr></GrpHdr>\
        <OrgnlGrpInf><OrgnlMsgId>O1</OrgnlMsgId></OrgnlGrpInf></PmtRtr>";
    let read = returns(&document("pacs.004.001.09", whole)).unwrap();
    assert_eq!(read, ["header R2 false Some(0) None true", "original O1 "]);
}

#[test]
fn a_bad_return_does_not_sink_the_file() {
    let tx = |inner: &str| format!("<TxInf><RtrId>T</RtrId>{inner}</TxInf>");
    let amount = |text: &str| {
        tx(&format!(
            "<OrgnlEndToEndId>E</OrgnlEndToEndId><RtrdIntrBkSttlmAmt Ccy=\"MAD\">{text}</RtrdIntrBkSttlmAmt>"
        ))
    };
    for (inner, expected) in [
        (tx("<RtrdIntrBkSttlmAmt Ccy=\"MAD\">5</RtrdIntrBkSttlmAmt>"), "OrgnlEndToEndId Missing T"),
        (tx("<OrgnlEndToEndId>E</OrgnlEndToEndId>"), "RtrdIntrBkSttlmAmt Missing T"),
        (amount("5,00"), "RtrdIntrBkSttlmAmt Amount(Malformed) T"),
        (amount("-5.00"), "RtrdIntrBkSttlmAmt Negative T"),
    ] {
        let xml = document("pacs.004.001.09", &format!("<PmtRtr>{inner}{}</PmtRtr>", amount("5.00")));
        assert_eq!(
            returns(&xml).unwrap(),
            [format!("faulty 1 {expected}"), "return E|| 500MAD  ".to_owned()]
        );
    }
    let xml = document("pacs.004.001.09", &format!("<PmtRtr>{}</PmtRtr>", amount("5.00")));
    assert!(returns(&xml[..xml.len() - 20]).is_err(), "truncated");
    assert!(returns(&format!("<!DOCTYPE a>{xml}")).is_err());
    assert!(returns(&xml.replace("<RtrId>T", "<RtrId>&x;")).is_err());
}

fn returned(number: u64, amount: i64, code: &str) -> ReturnedTransaction {
    ReturnedTransaction {
        return_id: format!("T{number}"),
        original_instr_id: format!("I{number}"),
        original_end_to_end_id: format!("E<{number}>&"),
        original_uetr: uetr(number),
        amount: Some(Centimes::new(amount)),
        currency: "MAD".into(),
        reasons: Reasons::one(code, "one & two"),
    }
}

fn return_file(transactions: &[ReturnedTransaction], whole: bool) -> Vec<u8> {
    let total: i64 = transactions.iter().filter_map(|t| t.amount).map(Centimes::get).sum();
    let header = ReturnHeader {
        message: MessageHeader { msg_id: "R1".into(), created: Some(CREATED) },
        orders: Some(transactions.len() as u64),
        sum: Some(Centimes::new(total.max(1))),
        total: Some(Centimes::new(total.max(1))),
        group_return: whole,
    };
    let original = OriginalMessage {
        msg_id: "O1".into(),
        msg_name: "pain.001.001.09".into(),
        reasons: Reasons::one(if whole { "AC04" } else { "" }, ""),
    };
    let mut writer = Pacs004Writer::begin(Vec::new(), &header, Some(&original)).unwrap();
    transactions.iter().for_each(|t| writer.transaction(t).unwrap());
    writer.finish().unwrap().0
}

#[test]
fn written_returns_are_valid_and_read_back() {
    let written = [returned(1, 50_000, "AC04"), returned(2, 1, "a reason of the bank's own")];
    let xml = return_file(&written, false);
    assert_valid(MESSAGE, &xml);
    assert_valid(MESSAGE, &return_file(&[], true));
    let mut reader = Pacs004Reader::new(xml.as_slice(), Limits::default());
    let mut read = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        if let Pacs004Item::Return(t) = item {
            read.push(t.clone());
        }
    }
    assert_eq!((read.as_slice(), reader.warnings()), (&written[..], &[][..]));
    let header = ReturnHeader {
        message: MessageHeader { msg_id: "R1".into(), created: Some(CREATED) },
        ..ReturnHeader::default()
    };
    let mut writer = Pacs004Writer::begin(Vec::new(), &header, None).unwrap();
    for bad in [
        ReturnedTransaction { amount: None, ..returned(1, 1, "") },
        ReturnedTransaction { currency: "dh".into(), ..returned(1, 1, "") },
        ReturnedTransaction { original_uetr: "x".into(), ..returned(1, 1, "") },
    ] {
        assert!(matches!(writer.transaction(&bad), Err(WriteError::Field { .. })));
    }
    assert_eq!(writer.finish().unwrap().1, 0);
}
