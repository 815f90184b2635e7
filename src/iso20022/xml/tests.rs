//! Broken and odd inputs, through the status report reader.

use crate::iso20022::pain002::Pain002Item;
use crate::iso20022::pain002::read::Pain002Reader;
use crate::iso20022::xml::fault::{Limits, Warning, XmlError};

const HEAD: &str = "<GrpHdr><MsgId>M</MsgId><CreDtTm>2026-11-22T10:00:00</CreDtTm></GrpHdr>";
const GROUP: &str = "<OrgnlGrpInfAndSts><OrgnlMsgId>O</OrgnlMsgId></OrgnlGrpInfAndSts>";
const TX: &str = "<TxInfAndSts><OrgnlEndToEndId>E</OrgnlEndToEndId><TxSts>ACSC</TxSts></TxInfAndSts>";

/// A status report around `inner`, which goes into its payment information block.
fn report(inner: &str) -> String {
    format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.03\"><CstmrPmtStsRpt>{HEAD}{GROUP}\
         <OrgnlPmtInfAndSts><OrgnlPmtInfId>P</OrgnlPmtInfId>{inner}</OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>"
    )
}

/// Reads to the end: how many transactions, and the warnings.
fn read(xml: &[u8], limits: Limits) -> Result<(u64, Vec<Warning>), XmlError> {
    let mut reader = Pain002Reader::new(xml, limits);
    let mut transactions = 0;
    while let Some(item) = reader.next()? {
        transactions += u64::from(matches!(item, Pain002Item::Transaction { .. }));
    }
    Ok((transactions, reader.warnings().to_vec()))
}

fn check_refused(xml: &[u8], expected: &str) -> XmlError {
    // Small pieces show what a buffer's edge hides.
    let mut by_piece = Pain002Reader::new(std::io::BufReader::with_capacity(7, xml), Limits::default());
    let refused = loop {
        match by_piece.next() {
            Ok(Some(_)) => {}
            Ok(None) => break None,
            Err(error) => break Some(error.fault.to_string()),
        }
    };
    assert_eq!(refused.as_deref(), Some(expected), "in pieces: {}", String::from_utf8_lossy(xml));
    assert!(by_piece.next().is_err(), "a failed reader stays failed");
    let error = read(xml, Limits::default()).map(|_| ()).unwrap_err();
    assert_eq!(error.fault.to_string(), expected, "{}", String::from_utf8_lossy(xml));
    error
}

#[test]
fn broken_files_are_refused() {
    let good = report(TX);
    assert_eq!(read(good.as_bytes(), Limits::default()).unwrap(), (1, vec![]));
    for (xml, expected) in [
        (format!("<!DOCTYPE Document>{good}"), "a DOCTYPE is not accepted"),
        (
            format!("<!DOCTYPE d [<!ENTITY a \"aa\"><!ENTITY b \"&a;&a;\">]>{good}"),
            "a DOCTYPE is not accepted",
        ),
        (report("<StsId>&b;</StsId>"), "an entity other than the five of XML is not accepted"),
        (report("<X><Y>&b;</Y></X>"), "an entity other than the five of XML is not accepted"),
        (report("<X a=\"&b;\"/>"), "an entity other than the five of XML is not accepted"),
        (report("<OrgnlPmtInfId>&#1;</OrgnlPmtInfId>"), "a character reference to a forbidden character"),
        (report("<OrgnlPmtInfId>&#xD800;</OrgnlPmtInfId>"), "a character reference to a forbidden character"),
        (report(&"<a>".repeat(40)), "elements are nested deeper than 32"),
        (report("<a></b>"), "not well-formed XML"),
        (report("</OrgnlPmtInfAndSts>"), "not well-formed XML"),
        (
            format!("{good}<Document/>"),
            "a second XML document begins here: one file holds one, or several within one envelope",
        ),
        (format!("{good} x"), "content after the end of the message"),
        (
            format!("<?xml version=\"1.0\" encoding=\"x-unheard-of\"?>{good}"),
            "the declared encoding is not known",
        ),
        ("<Document><Other/></Document>".into(), "not a message of the expected kind"),
        ("id;amount".into(), "not a message of the expected kind"),
        (String::new(), "the file is truncated"),
        (report(&format!("<X>{}</X>", "x".repeat(70_000))), "a text or tag is longer than 65536 bytes"),
        (
            report(&format!("<X a=\"{}\"/>", "x".repeat(5_000))),
            "attributes are too many, too long, or repeated",
        ),
        (report("<X Ccy=\"MAD\" Ccy=\"EUR\"/>"), "attributes are too many, too long, or repeated"),
        (
            report(&format!("<X {}/>", (0..17).map(|i| format!("a{i}=\"\" ")).collect::<String>())),
            "attributes are too many, too long, or repeated",
        ),
    ] {
        check_refused(xml.as_bytes(), expected);
    }
    let mut latin = good.replace("<MsgId>M", "<MsgId>M~").into_bytes();
    let at = latin.iter().position(|b| *b == b'~').unwrap();
    latin[at] = 0xE9;
    check_refused(&latin, "the text is not UTF-8");
}

#[test]
fn every_truncation_is_refused() {
    let good = report(TX);
    for len in 0..good.len() {
        let error = read(&good.as_bytes()[..len], Limits::default()).map(|_| ()).unwrap_err();
        assert_eq!(error.fault.to_string(), "the file is truncated", "at {len}");
    }
}

#[test]
fn errors_tell_where_and_not_what() {
    let xml = report("<StsRsnInf><Rsn><Cd>&secret;");
    let error = check_refused(xml.as_bytes(), "an entity other than the five of XML is not accepted");
    assert_eq!(error.path, "CstmrPmtStsRpt/OrgnlPmtInfAndSts/StsRsnInf/Rsn/Cd");
    assert_eq!(error.offset as usize, xml.find("</OrgnlPmtInfAndSts>").unwrap());
    assert!(!format!("{error} {error:?}").contains("secret"));
}

#[test]
fn totals_are_bounded() {
    let limits = Limits { total_bytes: 300, ..Limits::default() };
    let error = read(report(TX).as_bytes(), limits).map(|_| ()).unwrap_err();
    assert_eq!(error.fault.to_string(), "the file is larger than 300 bytes");
    let good = report(TX);
    let exact = Limits { total_bytes: good.len() as u64, ..Limits::default() };
    assert_eq!(read(good.as_bytes(), exact).unwrap().0, 1);
}

#[test]
fn what_banks_really_send_is_read() {
    let good = report(TX);
    let urn = "urn:iso:std:iso:20022:tech:xsd:pain.002.001.03";
    let prefixed =
        good.replace("xmlns=", "xmlns:p=").replace("</", "<~/").replace('<', "<p:").replace("<p:~/", "</p:");
    for (xml, expected) in [
        (format!("\u{FEFF}<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<!-- a -->{good}\n\n"), vec![]),
        (prefixed, vec![]),
        (good.replace(&format!(" xmlns=\"{urn}\""), ""), vec![Warning::Namespace(String::new())]),
        (good.replace(urn, "urn:bank"), vec![Warning::Namespace("urn:bank".into())]),
        (
            report(&format!("<New><TxSts>X</TxSts></New><New/>{TX}<Newer/>")),
            vec![Warning::UnknownElement("New".into()), Warning::UnknownElement("Newer".into())],
        ),
        (
            report(&format!("<OrgnlPmtInfId>{}</OrgnlPmtInfId>{TX}", "é".repeat(36))),
            vec![Warning::Truncated("OrgnlPmtInfId")],
        ),
        (format!("<Envelope><AppHdr><From>x</From></AppHdr>{good}</Envelope>"), vec![]),
        (
            report(&format!("<OrgnlNbOfTxs>many</OrgnlNbOfTxs>{TX}")),
            vec![Warning::Unreadable("OrgnlNbOfTxs")],
        ),
    ] {
        assert_eq!(read(xml.as_bytes(), Limits::default()).unwrap(), (1, expected), "{xml}");
    }
    let many: String = (0..100).map(|i| format!("<N{i}/>")).collect();
    let xml = report(&many);
    let mut reader = Pain002Reader::new(xml.as_bytes(), Limits::default());
    while reader.next().unwrap().is_some() {}
    assert_eq!((reader.warnings().len(), reader.warnings_dropped()), (64, 36));
}
