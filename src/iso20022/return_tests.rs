//! Payment returns, cancellation requests and resolutions: several dialects, faults, and what is written read back.

use time::Duration;

use crate::domain::money::Centimes;

use super::camt029::{Camt029Item, Camt029Reader, CancellationStatus, CaseAnswer};
use super::camt055::{self, Camt055Writer, Cancellation, Header};
use super::pacs004::{OriginalMessage, Pacs004Item, Pacs004Reader, ReturnHeader, ReturnedTransaction};
use super::pain001::Agent;
use super::testing::{CREATED, DAY, assert_valid, uetr};
use super::values::{MessageHeader, Reasons};
use super::write::WriteError;
use super::xml::{Limits, XmlError};
use crate::sandbox::wire::camt029::{self as camt029_writer, Camt029Writer};
use crate::sandbox::wire::camt055::{Camt055Item, Camt055Reader};
use crate::sandbox::wire::pacs004::{self as pacs004_writer, Pacs004Writer};

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

fn document(version: &str, inner: &str) -> String {
    format!("<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:{version}\">{inner}</Document>")
}

/// Puts every element into a prefix, as some banks do.
fn prefixed(xml: &str) -> String {
    xml.replace("</", "\u{1}").replace('<', "<p:").replace('\u{1}', "</p:").replace("xmlns=", "xmlns:p=")
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
    assert_valid(pacs004_writer::MESSAGE, &xml);
    assert_valid(pacs004_writer::MESSAGE, &return_file(&[], true));
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

#[test]
#[ignore = "a measurement"]
fn measure_many_returns() {
    let written: Vec<_> = (0..100_000).map(|n| returned(n, 50_000, "AC04")).collect();
    let xml = return_file(&written, false);
    let started = std::time::Instant::now();
    let mut reader = Pacs004Reader::new(xml.as_slice(), Limits::default());
    let mut items = 0;
    while reader.next().unwrap().is_some() {
        items += 1;
    }
    println!("{items} items, {} bytes in {:?}", xml.len(), started.elapsed());
    assert_eq!(items, 100_002);
}

fn request() -> (Header<'static>, String) {
    let header = Header {
        id: "DSS2611R1C7",
        created: CREATED,
        assigner_name: "AGENCE & CIE",
        assigner_id: "ANSS",
        assignee: Agent::Member("007"),
        orders: 2,
        control_sum: Centimes::new(70_000),
        original_msg_id: "DSS2611R1B3",
        original_msg_name: "pain.001.001.09",
        original_created: Some(CREATED - Duration::days(1)),
    };
    (header, uetr(7))
}

#[test]
fn written_requests_are_valid() {
    let (header, uetr) = request();
    let cancellation = |amount| Cancellation {
        id: "DSS2611R1C7",
        instr_id: "E1",
        end_to_end_id: "E1",
        uetr: &uetr,
        amount: Centimes::new(amount),
        execution_date: DAY,
        reason: "CUST",
    };
    for header in [
        header,
        Header { assignee: Agent::Bic("BCMAMAMC"), assigner_id: "", original_created: None, ..header },
    ] {
        let mut writer = Camt055Writer::begin(Vec::new(), &header).unwrap();
        for amount in [50_000, 20_000] {
            writer.transaction(&cancellation(amount)).unwrap();
        }
        let xml = writer.finish().unwrap();
        assert_valid(camt055::MESSAGE, &xml);
        let again = {
            let mut writer = Camt055Writer::begin(Vec::new(), &header).unwrap();
            for amount in [50_000, 20_000] {
                writer.transaction(&cancellation(amount)).unwrap();
            }
            writer.finish().unwrap()
        };
        assert_eq!(xml, again, "the same bytes");
    }
    let mut writer = Camt055Writer::begin(Vec::new(), &header).unwrap();
    assert!(writer.transaction(&Cancellation { reason: "", ..cancellation(1) }).is_err());
    assert!(writer.transaction(&Cancellation { end_to_end_id: "", ..cancellation(1) }).is_err());
    writer.transaction(&cancellation(50_000)).unwrap();
    assert!(matches!(writer.finish(), Err(WriteError::CountDiffers { declared: 2, written: 1 })));
    let mut writer = Camt055Writer::begin(Vec::new(), &header).unwrap();
    for amount in [50_000, 20_001] {
        writer.transaction(&cancellation(amount)).unwrap();
    }
    assert!(matches!(writer.finish(), Err(WriteError::SumDiffers { .. })));
}

/// A line for each item of a request.
fn asked(xml: &[u8]) -> Result<Vec<String>, XmlError> {
    let mut reader = Camt055Reader::new(xml, Limits::default());
    let mut lines = Vec::new();
    while let Some(item) = reader.next()? {
        lines.push(match item {
            Camt055Item::Case(c) => {
                format!("{} {} {} {}", c.case_id, c.creator_name, c.original_msg_id, c.original_pmt_inf_id)
            }
            Camt055Item::Transaction(t) => format!(
                "{} {} {} {} {}",
                t.end_to_end_id,
                t.instr_id,
                t.uetr.len(),
                t.amount.map_or(0, Centimes::get),
                t.reason
            ),
            Camt055Item::Faulty(fault) => {
                format!("faulty {} {} {:?}", fault.index, fault.field, fault.problem)
            }
        });
    }
    Ok(lines)
}

#[test]
fn written_requests_are_read_back() {
    let (header, uetr) = request();
    let mut writer = Camt055Writer::begin(Vec::new(), &header).unwrap();
    for amount in [50_000, 20_000] {
        let cancellation = Cancellation {
            id: "C",
            instr_id: "I1",
            end_to_end_id: "E1",
            uetr: &uetr,
            amount: Centimes::new(amount),
            execution_date: DAY,
            reason: "CUST",
        };
        writer.transaction(&cancellation).unwrap();
    }
    let xml = writer.finish().unwrap();
    let case = "DSS2611R1C7 AGENCE & CIE DSS2611R1B3 DSS2611R1B3";
    assert_eq!(asked(&xml).unwrap(), [case, "E1 I1 36 50000 CUST", "E1 I1 36 20000 CUST"]);
    let text = String::from_utf8(xml).unwrap();
    let faulty = text.replacen("<OrgnlEndToEndId>E1</OrgnlEndToEndId>", "", 1).replacen(">200.00<", ">x<", 1);
    let found = asked(faulty.as_bytes()).unwrap();
    assert_eq!(found[1], "faulty 1 OrgnlEndToEndId Missing");
    assert!(found[2].starts_with("faulty 2 OrgnlInstdAmt"), "{found:?}");
    assert!(asked(&text.as_bytes()[..text.len() / 2]).is_err());
}

#[test]
fn written_resolutions_are_valid_and_read_back() {
    let message = MessageHeader { msg_id: "A1".into(), created: Some(CREATED) };
    let header = camt029_writer::Header {
        message: &message,
        case_id: "C1",
        assigner_name: "BANQUE",
        assignee_name: "AGENCE & CIE",
        status: CancellationStatus::Pending,
        original_pmt_inf_id: "DSS2611R1B3",
    };
    let answer = |key: &str, status, reason: &str| CaseAnswer {
        original_end_to_end_id: key.into(),
        original_instr_id: "I1".into(),
        status,
        reasons: Reasons::one(reason, ""),
        ..CaseAnswer::default()
    };
    let mut writer = Camt029Writer::begin(Vec::new(), &header).unwrap();
    for (key, status, reason) in [
        ("E1", CancellationStatus::Accepted, ""),
        ("E2", CancellationStatus::Refused, "CUST"),
        ("E3", CancellationStatus::Pending, ""),
    ] {
        writer.answer(&answer(key, status, reason)).unwrap();
    }
    assert!(writer.answer(&answer("", CancellationStatus::Accepted, "")).is_err());
    assert!(writer.answer(&answer("E4", CancellationStatus::NONE, "")).is_err());
    let xml = writer.finish().unwrap();
    assert_valid(camt029_writer::MESSAGE, &xml);
    let expected = ["header A1 true", "C1 E1|I1 Accepted ", "C1 E2|I1 Refused CUST", "C1 E3|I1 Pending "];
    assert_eq!(answers(std::str::from_utf8(&xml).unwrap()).unwrap(), expected);
}

/// A line for each item of a resolution.
fn answers(xml: &str) -> Result<Vec<String>, XmlError> {
    let mut reader = Camt029Reader::new(xml.as_bytes(), Limits::default());
    let mut lines = Vec::new();
    while let Some(item) = reader.next()? {
        lines.push(match item {
            Camt029Item::Header(h) => format!("header {} {}", h.msg_id, h.created.is_some()),
            Camt029Item::Answer(a) => format!(
                "{} {}|{} {:?} {}",
                a.case_id,
                a.original_end_to_end_id,
                a.original_instr_id,
                a.status,
                a.reasons.first_code()
            ),
            Camt029Item::Faulty(fault) => {
                format!("faulty {} {} {:?}", fault.index, fault.field, fault.problem)
            }
        });
    }
    Ok(lines)
}

const PARTIES: &str = "<Assgnr><Agt><FinInstnId><BICFI>BCMAMAMC</BICFI></FinInstnId></Agt></Assgnr>\
    <Assgne><Pty><Nm>x</Nm></Pty></Assgne>";

/// A resolution that is valid in version 09.
fn resolution(case: &str, sts: &str, details: &str) -> String {
    let case = if case.is_empty() {
        String::new()
    } else {
        format!("<RslvdCase><Id>{case}</Id><Cretr><Pty><Nm>x</Nm></Pty></Cretr></RslvdCase>")
    };
    format!(
        "<RsltnOfInvstgtn><Assgnmt><Id>A1</Id>{PARTIES}<CreDtTm>2026-12-01T10:00:00+01:00</CreDtTm></Assgnmt>{case}\
         <Sts><Conf>{sts}</Conf></Sts>{details}</RsltnOfInvstgtn>"
    )
}

#[test]
fn resolutions_are_read_in_several_dialects() {
    let tx = |inner: &str| format!("<TxInfAndSts><CxlStsId>S</CxlStsId>{inner}</TxInfAndSts>");
    let group = |status: &str| {
        format!(
            "<OrgnlGrpInfAndSts><OrgnlMsgId>O1</OrgnlMsgId><OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>{status}</OrgnlGrpInfAndSts>"
        )
    };
    let payment = |inner: &str| {
        format!("<OrgnlPmtInfAndSts><OrgnlPmtInfId>O1</OrgnlPmtInfId>{inner}</OrgnlPmtInfAndSts>")
    };
    let refusal = "<CxlStsRsnInf><Rsn><Cd>NOAS</Cd></Rsn><AddtlInf>no answer</AddtlInf></CxlStsRsnInf>";
    let one = |status: &str| {
        tx(&format!("<OrgnlEndToEndId>E1</OrgnlEndToEndId><TxCxlSts>{status}</TxCxlSts>{refusal}"))
    };
    for (sts, details, expected) in [
        ("CNCL", String::new(), vec!["C1 | Accepted "]),
        ("RJCR", format!("<CxlDtls>{}</CxlDtls>", group(refusal)), vec!["C1 | Refused NOAS"]),
        (
            "INFO",
            format!("<CxlDtls>{}</CxlDtls>", group("<GrpCxlSts>PDCR</GrpCxlSts>")),
            vec!["C1 | Pending "],
        ),
        ("RJCR", format!("<CxlDtls>{}</CxlDtls>", payment(&one("RJCR"))), vec!["C1 E1| Refused NOAS"]),
        ("PECR", format!("<CxlDtls>{}</CxlDtls>", one("ACCR")), vec!["C1 E1| Accepted NOAS"]),
        // What a transaction does not say, its block, its group or the case does.
        (
            "RJCR",
            format!(
                "<CxlDtls>{}{}{}</CxlDtls>",
                group(&format!("<GrpCxlSts>PACR</GrpCxlSts>{refusal}")),
                payment(&format!(
                    "<PmtInfCxlSts>ACCR</PmtInfCxlSts>{}",
                    tx("<OrgnlInstrId>I1</OrgnlInstrId>")
                )),
                payment(&tx("<OrgnlEndToEndId>E2</OrgnlEndToEndId>")),
            ),
            vec!["C1 |I1 Accepted NOAS", "C1 E2| Other(PACR) NOAS"],
        ),
        (
            "PDCR",
            format!(
                "<CxlDtls>{}</CxlDtls><CxlDtls>{}</CxlDtls>",
                group("<GrpCxlSts>RJCR</GrpCxlSts>"),
                tx("<OrgnlEndToEndId>E3</OrgnlEndToEndId>")
            ),
            vec!["C1 E3| Pending "],
        ),
    ] {
        let inner = resolution("C1", sts, &details);
        let expected: Vec<String> =
            ["header A1 true"].iter().chain(&expected).map(|line| (*line).to_owned()).collect();
        let xml = document("camt.029.001.09", &inner);
        assert_valid("camt.029.001.09", xml.as_bytes());
        for xml in [
            prefixed(&xml),
            document("camt.029.001.12", &inner),
            format!("<Document>{inner}</Document>"),
            xml,
        ] {
            assert_eq!(answers(&xml).unwrap(), expected, "{xml}");
        }
    }
}

#[test]
fn odd_resolutions_are_read_or_refused() {
    let details = "<CxlDtls><TxInfAndSts><TxCxlSts>ACCR</TxCxlSts><Local>x</Local></TxInfAndSts></CxlDtls>";
    let xml = document("camt.029.001.09", &resolution("", "CNCL", details));
    assert_eq!(answers(&xml).unwrap(), ["header A1 true", "faulty 1 OrgnlEndToEndId Missing"]);
    let own_case = details.replace("<TxCxlSts>", "<RslvdCase><Id>C2</Id></RslvdCase><TxCxlSts>");
    let xml = document("camt.029.001.09", &resolution("C1", "PDCR", &own_case));
    assert_eq!(answers(&xml).unwrap(), ["header A1 true", "C2 | Accepted "]);
    assert!(answers(&xml[..xml.len() - 30]).is_err(), "truncated");
    assert!(answers(&format!("<!DOCTYPE a>{xml}")).is_err());
}
