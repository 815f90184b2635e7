//! Tells what kind of message a file holds, from its first bytes.
//!
//! Input: the start of a file. Output: its kind, by the message's own element (namespaces lie more often). Guarantee:
//! at most 64 KiB are read. Limit: the reader is used up to an unspecified place; open the file anew to read it.

use std::io::BufRead;

use super::values::MessageKind;
use super::xml::fault::{Limits, XmlError, XmlFault};
use super::xml::messages::MESSAGES;
use super::xml::reader::XmlReader;
use super::xml::table::{Node, Step};

static TOP: Node<MessageKind> = Node::path("", MESSAGES, &[]);

/// The kind of the first message that begins here.
///
/// # Errors
/// Anything the readers refuse within the first 64 KiB before the message's own element.
pub fn sniff<R: BufRead>(reader: R) -> Result<MessageKind, XmlError> {
    sniff_message(reader, Limits { total_bytes: 64 * 1024, ..Limits::default() })
}

/// The kind of the message that the limits ask for, wherever in the file it begins.
///
/// # Errors
/// Anything the readers refuse before the message's own element.
pub fn sniff_message<R: BufRead>(reader: R, limits: Limits) -> Result<MessageKind, XmlError> {
    let mut xml = XmlReader::new(reader, limits, &TOP);
    match xml.step() {
        Ok(Step::Open(kind)) => Ok(kind),
        Ok(_) => Ok(MessageKind::Unknown),
        Err(error) => match error.fault {
            XmlFault::NotThisMessage | XmlFault::TotalBytes(_) => Ok(MessageKind::Unknown),
            _ => Err(error),
        },
    }
}

/// How many messages a file holds, of whatever kind.
///
/// # Errors
/// Anything the readers refuse.
pub fn count_messages<R: BufRead>(reader: R, limits: Limits) -> Result<u32, XmlError> {
    let mut xml = XmlReader::new(reader, Limits { message: u32::MAX, ..limits }, &TOP);
    loop {
        match xml.step() {
            Ok(Step::End) => return Ok(xml.messages()),
            Ok(_) => {}
            Err(error) if matches!(error.fault, XmlFault::NotThisMessage) => return Ok(xml.messages()),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_apart() {
        for (xml, kind) in [
            ("<Document><CstmrPmtStsRpt><GrpHdr>", MessageKind::Pain002),
            (
                "\u{FEFF}<?xml version=\"1.0\" encoding=\"utf-8\"?><n:Document xmlns:n=\"x\"><n:BkToCstmrStmt>",
                MessageKind::Camt053,
            ),
            ("<Env><AppHdr><From/></AppHdr><Document><BkToCstmrDbtCdtNtfctn>", MessageKind::Camt054),
            ("<Document><RsltnOfInvstgtn/></Document>", MessageKind::Camt029),
            ("<html><body/></html>", MessageKind::Unknown),
            ("identifier;amount", MessageKind::Unknown),
        ] {
            assert_eq!(sniff(xml.as_bytes()).unwrap(), kind, "{xml}");
        }
        assert!(sniff(&b"<!DOCTYPE a><Document>"[..]).is_err());
        assert!(sniff(&b"<Document>"[..]).is_err());
    }
}
