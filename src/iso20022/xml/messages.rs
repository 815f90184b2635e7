//! The messages that are told apart, by their own element.

use super::table::Node;
use crate::iso20022::values::MessageKind;

/// The own element of each kind of message.
pub(crate) const MESSAGES: &[Node<MessageKind>] = &[
    Node::group("CstmrCdtTrfInitn", MessageKind::Pain001, &[], &[]),
    Node::group("CstmrPmtStsRpt", MessageKind::Pain002, &[], &[]),
    Node::group("BkToCstmrAcctRpt", MessageKind::Camt052, &[], &[]),
    Node::group("BkToCstmrStmt", MessageKind::Camt053, &[], &[]),
    Node::group("BkToCstmrDbtCdtNtfctn", MessageKind::Camt054, &[], &[]),
    Node::group("BkSvcsBllgStmt", MessageKind::Camt086, &[], &[]),
    Node::group("RsltnOfInvstgtn", MessageKind::Camt029, &[], &[]),
    Node::group("CstmrPmtCxlReq", MessageKind::Camt055, &[], &[]),
    Node::group("FIToFIPmtCxlReq", MessageKind::Camt056, &[], &[]),
    Node::group("FIToFIPmtStsRpt", MessageKind::Pacs002, &[], &[]),
    Node::group("FIToFICstmrCdtTrf", MessageKind::Pacs008, &[], &[]),
    Node::group("FIToFIPmtStsReq", MessageKind::Pacs028, &[], &[]),
    Node::group("PmtRtr", MessageKind::Pacs004, &[], &[]),
];

/// Whether an element is that of a message: what holds one of them is walked through.
pub(super) fn is_message(element: &str) -> bool {
    MESSAGES.iter().any(|message| message.name == element)
}
