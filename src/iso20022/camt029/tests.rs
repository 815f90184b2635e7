//! Resolutions: several dialects, faults, and what is written read back.

use super::read::Camt029Reader;
use super::{Camt029Item, CancellationStatus, CaseAnswer};
use crate::iso20022::testing::{CREATED, assert_valid, document, prefixed};
use crate::iso20022::values::{MessageHeader, Reasons};
use crate::iso20022::xml::fault::{Limits, XmlError};
use crate::sandbox::wire::camt029::{Camt029Writer, Header, MESSAGE};

#[test]
fn written_resolutions_are_valid_and_read_back() {
    let message = MessageHeader { msg_id: "A1".into(), created: Some(CREATED) };
    let header = Header {
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
    assert_valid(MESSAGE, &xml);
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
