//! Reader of pain.002, the payment status report, versions .03 to .12.
//!
//! Input: XML through the hardened base. Output: header, group, payment information blocks and transactions, one at
//! a time, in one loop. Guarantee: constant memory; a group comes before its transactions; a transaction that cannot
//! be used comes as faulty with what could be read. Limit: charges, tracker data and the parties are passed over.

use std::io::BufRead;

use crate::domain::money::Centimes;

use super::values::{EntryFault, MessageHeader, Problem, Reasons, StatusCode, parse_instant};
use super::xml::{Limits, Node, Step, Warning, XmlError, XmlReader};

/// One item of a status report; it lives until the next is asked for.
#[derive(Debug)]
pub enum Pain002Item<'a> {
    /// The group header.
    Header(&'a MessageHeader),
    /// The original message and its status.
    Group(&'a Group),
    /// An original payment information block and its status, and the message that it was part of.
    PaymentInfo {
        /// The block.
        payment: &'a PaymentInfo,
        /// The message reported on.
        group: &'a Group,
    },
    /// A transaction's status.
    Transaction {
        /// What is said of it.
        transaction: &'a TransactionStatus,
        /// The payment information that it stands in, where it stands in one.
        payment: Option<&'a PaymentInfo>,
        /// The message reported on.
        group: &'a Group,
    },
    /// A transaction that cannot be used.
    Faulty {
        /// What makes it unusable.
        fault: EntryFault,
        /// What could be read.
        partial: &'a TransactionStatus,
    },
}

/// The original message and its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Id of the message reported on, at most 35 characters.
    pub original_msg_id: String,
    /// Its name, e.g. `pain.001.001.09`.
    pub original_msg_name: String,
    /// Its number of transactions, if stated.
    pub original_orders: Option<u64>,
    /// Its control sum, if stated.
    pub original_sum: Option<Centimes>,
    /// The group's status, if stated.
    pub status: Option<StatusCode>,
    /// Why.
    pub reasons: Reasons,
}

/// An original payment information block and its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PaymentInfo {
    /// Its id, at most 35 characters.
    pub original_pmt_inf_id: String,
    /// Its number of transactions, if stated.
    pub original_orders: Option<u64>,
    /// Its control sum, if stated.
    pub original_sum: Option<Centimes>,
    /// The block's status, if stated.
    pub status: Option<StatusCode>,
    /// Why.
    pub reasons: Reasons,
}

/// A transaction's status. Texts are empty where nothing was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionStatus {
    /// The reporting bank's id of this status, at most 35 characters.
    pub status_id: String,
    /// Instruction id of the original, at most 35 characters.
    pub original_instr_id: String,
    /// End-to-end id of the original, at most 35 characters.
    pub original_end_to_end_id: String,
    /// UETR of the original.
    pub original_uetr: String,
    /// Id of the original message, where it is given with the transaction.
    pub original_msg_id: String,
    /// The status; [`StatusCode::NONE`] only in a faulty transaction.
    pub status: StatusCode,
    /// Why.
    pub reasons: Reasons,
    /// The original amount, if stated.
    pub amount: Option<Centimes>,
    /// Its currency.
    pub currency: String,
}

impl Default for TransactionStatus {
    fn default() -> Self {
        Self {
            status_id: String::new(),
            original_instr_id: String::new(),
            original_end_to_end_id: String::new(),
            original_uetr: String::new(),
            original_msg_id: String::new(),
            status: StatusCode::NONE,
            reasons: Reasons::default(),
            amount: None,
            currency: String::new(),
        }
    }
}

impl TransactionStatus {
    /// Empties the texts and keeps their buffers.
    pub fn clear(&mut self) {
        self.status_id.clear();
        self.original_instr_id.clear();
        self.original_end_to_end_id.clear();
        self.original_uetr.clear();
        self.original_msg_id.clear();
        self.status = StatusCode::NONE;
        self.reasons.clear();
        self.amount = None;
        self.currency.clear();
    }
}

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

const REASON: Node<F> = Node::group(
    "StsRsnInf",
    F::Reason,
    &[
        Node::path("Rsn", &[Node::leaf("Cd", F::ReasonCode), Node::leaf("Prtry", F::ReasonCode)], &[]),
        Node::leaf("AddtlInf", F::ReasonInfo),
    ],
    &["Orgtr"],
);

const TRANSACTION: Node<F> = Node::group(
    "TxInfAndSts",
    F::Transaction,
    &[
        Node::leaf("StsId", F::StatusId),
        Node::path(
            "OrgnlGrpInf",
            &[Node::leaf("OrgnlMsgId", F::TransactionMsgId)],
            &["OrgnlMsgNmId", "OrgnlCreDtTm"],
        ),
        Node::leaf("OrgnlInstrId", F::InstrId),
        Node::leaf("OrgnlEndToEndId", F::EndToEndId),
        Node::leaf("OrgnlUETR", F::Uetr),
        Node::leaf("TxSts", F::Status),
        REASON,
        Node::path(
            "OrgnlTxRef",
            &[Node::path("Amt", &[Node::leaf("InstdAmt", F::Amount)], &["EqvtAmt"])],
            &[
                "IntrBkSttlmAmt",
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
        "SplmtryData",
    ],
);

static TOP: Node<F> = Node::path(
    "",
    &[Node::group(
        "CstmrPmtStsRpt",
        F::Message,
        &[
            Node::group(
                "GrpHdr",
                F::Header,
                &[Node::leaf("MsgId", F::MsgId), Node::leaf("CreDtTm", F::Created)],
                &["InitgPty", "FwdgAgt", "DbtrAgt", "CdtrAgt"],
            ),
            Node::group(
                "OrgnlGrpInfAndSts",
                F::Group,
                &[
                    Node::leaf("OrgnlMsgId", F::GroupMsgId),
                    Node::leaf("OrgnlMsgNmId", F::GroupMsgName),
                    Node::leaf("OrgnlNbOfTxs", F::GroupOrders),
                    Node::leaf("OrgnlCtrlSum", F::GroupSum),
                    Node::leaf("GrpSts", F::GroupStatus),
                    REASON,
                ],
                &["OrgnlCreDtTm", "NbOfTxsPerSts"],
            ),
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
    )],
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
        super::xml::version_of(self.xml.namespace(), "pain.002.001.")
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
            F::Message if self.version().is_none() => {
                let namespace = self.xml.namespace().chars().take(64).collect();
                self.xml.warn(Warning::Namespace(namespace));
            }
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
        if transaction.original_end_to_end_id.is_empty() && transaction.original_instr_id.is_empty() {
            return Some(("OrgnlEndToEndId", Problem::Missing));
        }
        if transaction.status == StatusCode::NONE {
            return Some(("TxSts", Problem::Missing));
        }
        self.amount_problem.map(|problem| ("InstdAmt", problem))
    }

    fn leaf(&mut self, field: Field) {
        let xml = &mut self.xml;
        let transaction = &mut self.transaction;
        match field {
            F::EndToEndId => xml.copy_text("OrgnlEndToEndId", 35, &mut transaction.original_end_to_end_id),
            F::InstrId => xml.copy_text("OrgnlInstrId", 35, &mut transaction.original_instr_id),
            F::Uetr => xml.copy_text("OrgnlUETR", 36, &mut transaction.original_uetr),
            F::StatusId => xml.copy_text("StsId", 35, &mut transaction.status_id),
            F::TransactionMsgId => xml.copy_text("OrgnlMsgId", 35, &mut transaction.original_msg_id),
            F::Status => transaction.status = StatusCode::parse(xml.text()),
            F::Amount => {
                let amount = super::xml::parse_amount(xml.text());
                transaction.currency.clear();
                transaction.currency.push_str(xml.currency());
                transaction.amount = amount.ok();
                self.amount_problem = amount.err();
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
            F::GroupMsgId => xml.copy_text("OrgnlMsgId", 35, &mut self.group.original_msg_id),
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
