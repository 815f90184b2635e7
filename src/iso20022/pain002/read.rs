//! Reader of pain.002, the payment status report, versions .03 to .12, and of pacs.002, the same between banks, versions .03 to .14:
//! what an instant lane answers with.
//!
//! Input: XML through the hardened base. Output: header, group, payment information blocks and transactions, one at
//! a time, in one loop. Guarantee: constant memory; a group comes before its transactions; a transaction that cannot
//! be used comes as faulty with what could be read. Limit: charges, tracker data and the parties are passed over.

use std::io::BufRead;

use super::{Group, Pain002Item, PaymentInfo, TransactionStatus};
use crate::iso20022::values::{EntryFault, MessageHeader, Problem, Reasons, StatusCode, parse_instant};
use crate::iso20022::xml::fault::{Limits, Warning, XmlError};
use crate::iso20022::xml::original::{Reference, reason_elements, unnamed};
use crate::iso20022::xml::reader::XmlReader;
use crate::iso20022::xml::table::{Node, Step};

/// What the namespaces of status reports hold before the version.
const NAMESPACES: &[&str] = &["pain.002.001.", "pacs.002.001."];

/// The elements of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Message,
    Header,
    MsgId,
    Created,
    Group,
    GroupMsgId,
    GroupMsgName,
    GroupOrders,
    GroupSum,
    GroupStatus,
    Payment,
    PaymentId,
    PaymentOrders,
    PaymentSum,
    PaymentStatus,
    Transaction,
    StatusId,
    InstrId,
    EndToEndId,
    Uetr,
    Status,
    Amount,
    TransactionMsgId,
    Reason,
    ReasonCode,
    ReasonInfo,
}

use Field as F;

const REASON: Node<F> = Node::group("StsRsnInf", F::Reason, reason_elements!(F), &["Orgtr"]);

const TRANSACTION: Node<F> = Node::group(
    "TxInfAndSts",
    F::Transaction,
    &[
        Node::leaf("StsId", F::StatusId),
        Node::path(
            "OrgnlGrpInf",
            &[Reference::MsgId.leaf(F::TransactionMsgId)],
            &["OrgnlMsgNmId", "OrgnlCreDtTm"],
        ),
        Reference::InstrId.leaf(F::InstrId),
        Reference::EndToEndId.leaf(F::EndToEndId),
        Reference::Uetr.leaf(F::Uetr),
        Node::leaf("TxSts", F::Status),
        REASON,
        Node::path(
            "OrgnlTxRef",
            &[
                Node::path("Amt", &[Node::leaf("InstdAmt", F::Amount)], &["EqvtAmt"]),
                Node::leaf("IntrBkSttlmAmt", F::Amount),
            ],
            &[
                "IntrBkSttlmDt",
                "ReqdColltnDt",
                "ReqdExctnDt",
                "CdtrSchmeId",
                "SttlmInf",
                "PmtTpInf",
                "PmtMtd",
                "MndtRltdInf",
                "RmtInf",
                "UltmtDbtr",
                "Dbtr",
                "DbtrAcct",
                "DbtrAgt",
                "DbtrAgtAcct",
                "CdtrAgt",
                "CdtrAgtAcct",
                "Cdtr",
                "CdtrAcct",
                "UltmtCdtr",
                "Purp",
            ],
        ),
    ],
    &[
        "ChrgsInf",
        "TrckrData",
        "AccptncDtTm",
        "PrcgDt",
        "FctvIntrBkSttlmDt",
        "AcctSvcrRef",
        "ClrSysRef",
        "OrgnlTxId",
        "InstgAgt",
        "InstdAgt",
        "SplmtryData",
    ],
);

const GROUP: Node<F> = Node::group(
    "OrgnlGrpInfAndSts",
    F::Group,
    &[
        Reference::MsgId.leaf(F::GroupMsgId),
        Node::leaf("OrgnlMsgNmId", F::GroupMsgName),
        Node::leaf("OrgnlNbOfTxs", F::GroupOrders),
        Node::leaf("OrgnlCtrlSum", F::GroupSum),
        Node::leaf("GrpSts", F::GroupStatus),
        REASON,
    ],
    &["OrgnlCreDtTm", "NbOfTxsPerSts"],
);

const HEADER: Node<F> = Node::group(
    "GrpHdr",
    F::Header,
    &[Node::leaf("MsgId", F::MsgId), Node::leaf("CreDtTm", F::Created)],
    &["InitgPty", "FwdgAgt", "DbtrAgt", "CdtrAgt", "InstgAgt", "InstdAgt", "OrgnlBizQry"],
);

/// Between banks: no payment information, and references of the group beside those of the transaction.
const PACS: Node<F> =
    Node::group("FIToFIPmtStsRpt", F::Message, &[HEADER, GROUP, TRANSACTION], &["SplmtryData"]);

static TOP: Node<F> = Node::path(
    "",
    &[
        PACS,
        Node::group(
            "CstmrPmtStsRpt",
            F::Message,
            &[
                HEADER,
                GROUP,
                Node::group(
                    "OrgnlPmtInfAndSts",
                    F::Payment,
                    &[
                        Node::leaf("OrgnlPmtInfId", F::PaymentId),
                        Node::leaf("OrgnlNbOfTxs", F::PaymentOrders),
                        Node::leaf("OrgnlCtrlSum", F::PaymentSum),
                        Node::leaf("PmtInfSts", F::PaymentStatus),
                        REASON,
                        TRANSACTION,
                    ],
                    &["NbOfTxsPerSts"],
                ),
                TRANSACTION,
            ],
            &["SplmtryData"],
        ),
    ],
    &[],
);

/// What a reason belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Group,
    Payment,
    Transaction,
}

enum Found {
    Header,
    Group,
    Payment,
    Transaction,
    Faulty(EntryFault),
}

/// Reads a status report, item by item.
pub struct Pain002Reader<R> {
    xml: XmlReader<R, F>,
    place: Place,
    header: MessageHeader,
    group: Group,
    group_seen: bool,
    payment: PaymentInfo,
    payment_due: bool,
    in_payment: bool,
    transaction: TransactionStatus,
    amount_problem: Option<Problem>,
    index: u64,
}

impl<R: BufRead> Pain002Reader<R> {
    /// Starts reading; give it a buffer of 64 KiB or more.
    pub fn new(reader: R, limits: Limits) -> Self {
        Self {
            xml: XmlReader::new(reader, limits, &TOP),
            place: Place::Group,
            header: MessageHeader::default(),
            group: Group::default(),
            group_seen: false,
            payment: PaymentInfo::default(),
            payment_due: false,
            in_payment: false,
            transaction: TransactionStatus::default(),
            amount_problem: None,
            index: 0,
        }
    }

    /// The next item, or `None` once the message is complete.
    ///
    /// # Errors
    /// The file is refused: what came before must be dropped or marked incomplete.
    #[allow(clippy::should_implement_trait, reason = "the item borrows from the reader")]
    pub fn next(&mut self) -> Result<Option<Pain002Item<'_>>, XmlError> {
        Ok(self.advance()?.map(|found| match found {
            Found::Header => Pain002Item::Header(&self.header),
            Found::Group => Pain002Item::Group(&self.group),
            Found::Payment => Pain002Item::PaymentInfo { payment: &self.payment, group: &self.group },
            Found::Transaction => Pain002Item::Transaction {
                transaction: &self.transaction,
                payment: self.in_payment.then_some(&self.payment),
                group: &self.group,
            },
            Found::Faulty(fault) => Pain002Item::Faulty { fault, partial: &self.transaction },
        }))
    }

    /// The version of the namespace (`10` of `…pain.002.001.10`), if it is that of a status report.
    pub fn version(&self) -> Option<u8> {
        self.xml.version(NAMESPACES)
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
                Step::Open(field) => {
                    if let Some(found) = self.open(field) {
                        return Ok(Some(found));
                    }
                }
                Step::Close(field) => {
                    if let Some(found) = self.close(field) {
                        return Ok(Some(found));
                    }
                }
                Step::End => return Ok(None),
            }
        }
    }

    fn open(&mut self, field: Field) -> Option<Found> {
        match field {
            F::Message => self.xml.check_namespace(NAMESPACES),
            F::Group => {
                self.place = Place::Group;
                self.group = Group::default();
                self.group_seen = true;
            }
            F::Payment => {
                self.place = Place::Payment;
                self.payment = PaymentInfo::default();
                self.payment_due = true;
                self.in_payment = true;
            }
            F::Transaction => {
                self.place = Place::Transaction;
                self.transaction.clear();
                self.amount_problem = None;
                self.index += 1;
                if !self.group_seen {
                    self.xml.warn(Warning::Missing("OrgnlGrpInfAndSts"));
                }
                return std::mem::take(&mut self.payment_due).then_some(Found::Payment);
            }
            F::Reason => self.reasons().begin(),
            _ => {}
        }
        None
    }

    fn close(&mut self, field: Field) -> Option<Found> {
        match field {
            F::Header => Some(Found::Header),
            F::Group => Some(Found::Group),
            F::Payment => {
                self.in_payment = false;
                std::mem::take(&mut self.payment_due).then_some(Found::Payment)
            }
            F::Transaction => {
                self.place = Place::Payment;
                Some(match self.judge() {
                    Some((field, problem)) => Found::Faulty(EntryFault { index: self.index, field, problem }),
                    None => Found::Transaction,
                })
            }
            _ => None,
        }
    }

    /// What makes the transaction unusable, if anything does.
    fn judge(&self) -> Option<(&'static str, Problem)> {
        let transaction = &self.transaction;
        let no_status = transaction.status == StatusCode::NONE;
        unnamed(&[&transaction.original_end_to_end_id, &transaction.original_instr_id])
            .or(no_status.then_some(("TxSts", Problem::Missing)))
            .or(self.amount_problem.map(|problem| ("InstdAmt", problem)))
    }

    fn leaf(&mut self, field: Field) {
        let xml = &mut self.xml;
        let transaction = &mut self.transaction;
        match field {
            F::EndToEndId => {
                xml.take_reference(Reference::EndToEndId, &mut transaction.original_end_to_end_id);
            }
            F::InstrId => xml.take_reference(Reference::InstrId, &mut transaction.original_instr_id),
            F::Uetr => xml.take_reference(Reference::Uetr, &mut transaction.original_uetr),
            F::StatusId => xml.copy_text("StsId", 35, &mut transaction.status_id),
            F::TransactionMsgId => xml.take_reference(Reference::MsgId, &mut transaction.original_msg_id),
            F::Status => transaction.status = StatusCode::parse(xml.text()),
            F::Amount => {
                self.amount_problem = xml.take_amount(&mut transaction.amount, &mut transaction.currency);
            }
            F::ReasonCode | F::ReasonInfo => {
                let reasons = match self.place {
                    Place::Group => &mut self.group.reasons,
                    Place::Payment => &mut self.payment.reasons,
                    Place::Transaction => &mut transaction.reasons,
                };
                xml.take_reason(field == F::ReasonCode, reasons);
            }
            F::MsgId => xml.copy_text("MsgId", 35, &mut self.header.msg_id),
            F::Created => self.header.created = xml.parse_text("CreDtTm", parse_instant),
            F::GroupMsgId => xml.take_reference(Reference::MsgId, &mut self.group.original_msg_id),
            F::GroupMsgName => xml.copy_text("OrgnlMsgNmId", 35, &mut self.group.original_msg_name),
            F::GroupOrders => self.group.original_orders = xml.parse_text("OrgnlNbOfTxs", |t| t.parse().ok()),
            F::GroupSum => self.group.original_sum = xml.parse_text("OrgnlCtrlSum", |t| t.parse().ok()),
            F::GroupStatus => self.group.status = Some(StatusCode::parse(xml.text())),
            F::PaymentId => xml.copy_text("OrgnlPmtInfId", 35, &mut self.payment.original_pmt_inf_id),
            F::PaymentOrders => {
                self.payment.original_orders = xml.parse_text("OrgnlNbOfTxs", |t| t.parse().ok())
            }
            F::PaymentSum => self.payment.original_sum = xml.parse_text("OrgnlCtrlSum", |t| t.parse().ok()),
            F::PaymentStatus => self.payment.status = Some(StatusCode::parse(xml.text())),
            F::Message | F::Header | F::Group | F::Payment | F::Transaction | F::Reason => {}
        }
    }

    fn reasons(&mut self) -> &mut Reasons {
        match self.place {
            Place::Group => &mut self.group.reasons,
            Place::Payment => &mut self.payment.reasons,
            Place::Transaction => &mut self.transaction.reasons,
        }
    }
}
