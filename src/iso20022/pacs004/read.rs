//! Reader of pacs.004, the payment return, versions .02 to .11.
//!
//! Input: XML through the hardened base. Output: header, original group and returned transactions, one at a time, in one
//! loop. Guarantee: constant memory; the header comes before its transactions; a transaction that cannot be used comes as
//! faulty with what could be read. Limit: settlement, charges, the chain of parties and the original's details are passed
//! over.

use std::io::BufRead;

use super::{OriginalMessage, Pacs004Item, ReturnHeader, ReturnedTransaction};
use crate::iso20022::values::{EntryFault, Problem, parse_instant};
use crate::iso20022::xml::fault::{Limits, Warning, XmlError};
use crate::iso20022::xml::original::{Reference, reason_elements, unnamed};
use crate::iso20022::xml::reader::XmlReader;
use crate::iso20022::xml::table::{Node, Step};

/// What the namespace of a payment return holds before its version.
const NAMESPACE: &str = "pacs.004.001.";

/// The elements of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Message,
    Header,
    MsgId,
    Created,
    Orders,
    Sum,
    Total,
    GroupReturn,
    Original,
    OriginalMsgId,
    OriginalMsgName,
    Transaction,
    ReturnId,
    InstrId,
    EndToEndId,
    Uetr,
    Amount,
    Reason,
    ReasonCode,
    ReasonInfo,
}

use Field as F;

const REASON: Node<F> = Node::group("RtrRsnInf", F::Reason, reason_elements!(F), &["Orgtr", "OrgnlBkTxCd"]);

const ORIGINAL: Node<F> = Node::group(
    "OrgnlGrpInf",
    F::Original,
    &[Reference::MsgId.leaf(F::OriginalMsgId), Node::leaf("OrgnlMsgNmId", F::OriginalMsgName), REASON],
    &["OrgnlCreDtTm"],
);

const TRANSACTION: Node<F> = Node::group(
    "TxInf",
    F::Transaction,
    &[
        Node::leaf("RtrId", F::ReturnId),
        Reference::InstrId.leaf(F::InstrId),
        Reference::EndToEndId.leaf(F::EndToEndId),
        Reference::Uetr.leaf(F::Uetr),
        Node::leaf("RtrdIntrBkSttlmAmt", F::Amount),
        REASON,
    ],
    &[
        "OrgnlGrpInf",
        "OrgnlTxId",
        "OrgnlClrSysRef",
        "OrgnlIntrBkSttlmAmt",
        "OrgnlIntrBkSttlmDt",
        "PmtTpInf",
        "IntrBkSttlmDt",
        "SttlmPrty",
        "SttlmTmIndctn",
        "SttlmTmReq",
        "RtrdInstdAmt",
        "XchgRate",
        "CompstnAmt",
        "ChrgBr",
        "ChrgsInf",
        "ClrSysRef",
        "InstgAgt",
        "InstdAgt",
        "RtrChain",
        "OrgnlTxRef",
        "SplmtryData",
    ],
);

static TOP: Node<F> = Node::path(
    "",
    &[Node::group(
        "PmtRtr",
        F::Message,
        &[
            Node::group(
                "GrpHdr",
                F::Header,
                &[
                    Node::leaf("MsgId", F::MsgId),
                    Node::leaf("CreDtTm", F::Created),
                    Node::leaf("NbOfTxs", F::Orders),
                    Node::leaf("CtrlSum", F::Sum),
                    Node::leaf("GrpRtr", F::GroupReturn),
                    Node::leaf("TtlRtrdIntrBkSttlmAmt", F::Total),
                ],
                &["Authstn", "BtchBookg", "IntrBkSttlmDt", "SttlmInf", "PmtTpInf", "InstgAgt", "InstdAgt"],
            ),
            ORIGINAL,
            TRANSACTION,
        ],
        &["SplmtryData"],
    )],
    &[],
);

enum Found {
    Header,
    Original,
    Return,
    Faulty(EntryFault),
}

/// Reads a payment return, item by item.
pub struct Pacs004Reader<R> {
    xml: XmlReader<R, F>,
    in_transaction: bool,
    header: ReturnHeader,
    original: OriginalMessage,
    transaction: ReturnedTransaction,
    amount_problem: Option<Problem>,
    /// A number or sum of the header that cannot be read.
    totals_unreadable: bool,
    index: u64,
}

impl<R: BufRead> Pacs004Reader<R> {
    /// Starts reading; give it a buffer of 64 KiB or more.
    pub fn new(reader: R, limits: Limits) -> Self {
        Self {
            xml: XmlReader::new(reader, limits, &TOP),
            in_transaction: false,
            header: ReturnHeader::default(),
            original: OriginalMessage::default(),
            transaction: ReturnedTransaction::default(),
            amount_problem: None,
            totals_unreadable: false,
            index: 0,
        }
    }

    /// The next item, or `None` once the message is complete.
    ///
    /// # Errors
    /// The file is refused: what came before must be dropped or marked incomplete.
    #[allow(clippy::should_implement_trait, reason = "the item borrows from the reader")]
    pub fn next(&mut self) -> Result<Option<Pacs004Item<'_>>, XmlError> {
        Ok(self.advance()?.map(|found| match found {
            Found::Header => Pacs004Item::Header(&self.header),
            Found::Original => Pacs004Item::Original(&self.original),
            Found::Return => Pacs004Item::Return(&self.transaction),
            Found::Faulty(fault) => Pacs004Item::Faulty { fault, partial: &self.transaction },
        }))
    }

    /// Whether the header states a number of transactions or a sum that cannot be read.
    pub const fn totals_unreadable(&self) -> bool {
        self.totals_unreadable
    }

    /// The version of the namespace (`9` of `…pacs.004.001.09`), if it is that of a payment return.
    pub fn version(&self) -> Option<u8> {
        self.xml.version(&[NAMESPACE])
    }

    /// How many messages the file holds, of whatever kind, once it was read to its end.
    pub fn messages(&self) -> u32 {
        self.xml.messages()
    }

    /// Oddities met so far, each once, in a bounded list.
    pub fn warnings(&self) -> &[Warning] {
        self.xml.warnings()
    }

    /// How many oddities found no room in the list.
    pub fn warnings_dropped(&self) -> u64 {
        self.xml.warnings_dropped()
    }

    fn advance(&mut self) -> Result<Option<Found>, XmlError> {
        loop {
            match self.xml.step()? {
                Step::Leaf(field) => self.leaf(field),
                Step::Open(field) => self.open(field),
                Step::Close(field) => {
                    if let Some(found) = self.close(field) {
                        return Ok(Some(found));
                    }
                }
                Step::End => return Ok(None),
            }
        }
    }

    fn open(&mut self, field: Field) {
        match field {
            F::Message => self.xml.check_namespace(&[NAMESPACE]),
            F::Transaction => {
                self.in_transaction = true;
                self.transaction.clear();
                self.amount_problem = Some(Problem::Missing);
                self.index += 1;
            }
            F::Reason if self.in_transaction => self.transaction.reasons.begin(),
            F::Reason => self.original.reasons.begin(),
            _ => {}
        }
    }

    fn close(&mut self, field: Field) -> Option<Found> {
        match field {
            F::Header => Some(Found::Header),
            F::Original => Some(Found::Original),
            F::Transaction => {
                self.in_transaction = false;
                Some(match self.judge() {
                    Some((field, problem)) => Found::Faulty(EntryFault { index: self.index, field, problem }),
                    None => Found::Return,
                })
            }
            _ => None,
        }
    }

    /// What makes the transaction unusable, if anything does.
    fn judge(&self) -> Option<(&'static str, Problem)> {
        let t = &self.transaction;
        unnamed(&[&t.original_end_to_end_id, &t.original_instr_id, &t.original_uetr])
            .or(self.amount_problem.map(|problem| ("RtrdIntrBkSttlmAmt", problem)))
    }

    fn leaf(&mut self, field: Field) {
        let (xml, transaction, header) = (&mut self.xml, &mut self.transaction, &mut self.header);
        match field {
            F::EndToEndId => {
                xml.take_reference(Reference::EndToEndId, &mut transaction.original_end_to_end_id);
            }
            F::InstrId => xml.take_reference(Reference::InstrId, &mut transaction.original_instr_id),
            F::Uetr => xml.take_reference(Reference::Uetr, &mut transaction.original_uetr),
            F::ReturnId => xml.copy_text("RtrId", 35, &mut transaction.return_id),
            F::Amount => {
                self.amount_problem = xml.take_amount(&mut transaction.amount, &mut transaction.currency);
            }
            F::ReasonCode | F::ReasonInfo => {
                let reasons =
                    if self.in_transaction { &mut transaction.reasons } else { &mut self.original.reasons };
                xml.take_reason(field == F::ReasonCode, reasons);
            }
            F::MsgId => xml.copy_text("MsgId", 35, &mut header.message.msg_id),
            F::Created => header.message.created = xml.parse_text("CreDtTm", parse_instant),
            F::Orders => {
                header.orders = xml.parse_text("NbOfTxs", |t| t.parse().ok());
                self.totals_unreadable |= header.orders.is_none();
            }
            F::Sum => {
                header.sum = xml.parse_text("CtrlSum", |t| t.parse().ok());
                self.totals_unreadable |= header.sum.is_none();
            }
            F::Total => {
                header.total = xml.parse_text("TtlRtrdIntrBkSttlmAmt", |t| t.parse().ok());
                self.totals_unreadable |= header.total.is_none();
            }
            F::GroupReturn => {
                header.group_return = xml.parse_text("GrpRtr", parse_flag).unwrap_or(false);
            }
            F::OriginalMsgId => xml.take_reference(Reference::MsgId, &mut self.original.msg_id),
            F::OriginalMsgName => xml.copy_text("OrgnlMsgNmId", 35, &mut self.original.msg_name),
            F::Message | F::Header | F::Original | F::Transaction | F::Reason => {}
        }
    }
}

/// An XML boolean.
fn parse_flag(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}
