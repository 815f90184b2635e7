//! Cancellation requests: valid, the same each time, and read back.

use time::Duration;

use super::write::Camt055Writer;
use super::{Cancellation, Header, MESSAGE};
use crate::domain::money::Centimes;
use crate::iso20022::pain001::Agent;
use crate::iso20022::testing::{CREATED, DAY, assert_valid, uetr};
use crate::iso20022::xml::fault::{Limits, XmlError};
use crate::iso20022::xml::write::WriteError;
use crate::sandbox::wire::camt055::{Camt055Item, Camt055Reader};

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
        assert_valid(MESSAGE, &xml);
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
