//! Reader of camt.029, the resolution of an investigation, versions .03 to .12: what a bank answers to a recall.
//!
//! Input: XML through the hardened base. Output: the assignment, then one answer for each transaction; where no
//! transaction is listed, one for the whole case. Guarantee: constant memory; a transaction that states no status of its
//! own bears that of its payment information, of its group or of the case. Limit: modifications, claims, corrections and
//! details of the original are passed over.

use std::io::BufRead;

use super::{Camt029Item, CancellationStatus, CaseAnswer};
use crate::iso20022::values::{EntryFault, MessageHeader, parse_instant};
use crate::iso20022::xml::fault::{Limits, Warning, XmlError};
use crate::iso20022::xml::original::{Reference, reason_elements, unnamed};
use crate::iso20022::xml::reader::XmlReader;
use crate::iso20022::xml::table::{Node, Step};

/// What the namespace of a resolution holds before its version.
const NAMESPACE: &str = "camt.029.001.";

/// The elements of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Message,
    Header,
    MsgId,
    Created,
    CaseId,
    Confirmation,
    Details,
    Group,
    Payment,
    Transaction,
    Status,
    EndToEndId,
    InstrId,
    Reason,
    ReasonCode,
    ReasonInfo,
}

use Field as F;

const REASON: Node<F> = Node::group("CxlStsRsnInf", F::Reason, reason_elements!(F), &["Orgtr"]);

const CASE: Node<F> = Node::path("RslvdCase", &[Node::leaf("Id", F::CaseId)], &["Cretr", "ReopCaseIndctn"]);

const TRANSACTION: Node<F> = Node::group(
    "TxInfAndSts",
    F::Transaction,
    &[
        CASE,
        Reference::InstrId.leaf(F::InstrId),
        Reference::EndToEndId.leaf(F::EndToEndId),
        Node::leaf("TxCxlSts", F::Status),
        REASON,
    ],
    &[
        "CxlStsId",
        "OrgnlGrpInf",
        "OrgnlTxId",
        "OrgnlClrSysRef",
        "OrgnlUETR",
        "UETR",
        "RsltnRltdInf",
        "OrgnlIntrBkSttlmAmt",
        "OrgnlIntrBkSttlmDt",
        "OrgnlInstdAmt",
        "OrgnlReqdExctnDt",
        "OrgnlReqdColltnDt",
        "Assgnr",
        "Assgne",
        "OrgnlTxRef",
    ],
);

const GROUP: Node<F> = Node::group(
    "OrgnlGrpInfAndSts",
    F::Group,
    &[CASE, Node::leaf("GrpCxlSts", F::Status), REASON],
    &[
        "OrgnlGrpCxlId",
        "OrgnlMsgId",
        "OrgnlMsgNmId",
        "OrgnlCreDtTm",
        "OrgnlNbOfTxs",
        "OrgnlCtrlSum",
        "NbOfTxsPerCxlSts",
    ],
);

const PAYMENT: Node<F> = Node::group(
    "OrgnlPmtInfAndSts",
    F::Payment,
    &[CASE, Node::leaf("PmtInfCxlSts", F::Status), REASON, TRANSACTION],
    &["OrgnlPmtInfCxlId", "OrgnlPmtInfId", "OrgnlGrpInf", "OrgnlNbOfTxs", "OrgnlCtrlSum", "NbOfTxsPerCxlSts"],
);

static TOP: Node<F> = Node::path(
    "",
    &[Node::group(
        "RsltnOfInvstgtn",
        F::Message,
        &[
            Node::group(
                "Assgnmt",
                F::Header,
                &[Node::leaf("Id", F::MsgId), Node::leaf("CreDtTm", F::Created)],
                &["Assgnr", "Assgne"],
            ),
            CASE,
            Node::path(
                "Sts",
                &[Node::leaf("Conf", F::Confirmation)],
                &["RjctdMod", "DplctOf", "AssgnmtCxlConf"],
            ),
            Node::group("CxlDtls", F::Details, &[GROUP, PAYMENT, TRANSACTION], &[]),
        ],
        &["ModDtls", "ClmNonRctDtls", "StmtDtls", "CrrctnTx", "RsltnRltdInf", "SplmtryData"],
    )],
    &[],
);

/// What a status or a reason belongs to, from the widest to the narrowest.
const CASE_LEVEL: usize = 0;
const GROUP_LEVEL: usize = 1;
const PAYMENT_LEVEL: usize = 2;
const TRANSACTION_LEVEL: usize = 3;

enum Found {
    Header,
    Answer,
    Faulty(EntryFault),
}

/// Reads a resolution, item by item.
pub struct Camt029Reader<R> {
    xml: XmlReader<R, F>,
    header: MessageHeader,
    /// What is said at each level that is open.
    levels: [CaseAnswer; 4],
    level: usize,
    answer: CaseAnswer,
    index: u64,
}

impl<R: BufRead> Camt029Reader<R> {
    /// Starts reading; give it a buffer of 64 KiB or more.
    pub fn new(reader: R, limits: Limits) -> Self {
        Self {
            xml: XmlReader::new(reader, limits, &TOP),
            header: MessageHeader::default(),
            levels: Default::default(),
            level: CASE_LEVEL,
            answer: CaseAnswer::default(),
            index: 0,
        }
    }

    /// The next item, or `None` once the message is complete.
    ///
    /// # Errors
    /// The file is refused: what came before must be dropped or marked incomplete.
    #[allow(clippy::should_implement_trait, reason = "the item borrows from the reader")]
    pub fn next(&mut self) -> Result<Option<Camt029Item<'_>>, XmlError> {
        Ok(self.advance()?.map(|found| match found {
            Found::Header => Camt029Item::Header(&self.header),
            Found::Answer => Camt029Item::Answer(&self.answer),
            Found::Faulty(fault) => Camt029Item::Faulty(fault),
        }))
    }

    /// The version of the namespace (`9` of `…camt.029.001.09`), if it is that of a resolution.
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
            // What an earlier block said of itself does not hold for this one.
            F::Details => self.enter(GROUP_LEVEL),
            F::Group => self.level = GROUP_LEVEL,
            F::Reason => self.levels[self.level].reasons.begin(),
            F::Payment => self.enter(PAYMENT_LEVEL),
            F::Transaction => {
                if self.level < PAYMENT_LEVEL {
                    self.levels[PAYMENT_LEVEL] = CaseAnswer::default();
                }
                self.enter(TRANSACTION_LEVEL);
                self.index += 1;
            }
            _ => {}
        }
    }

    fn enter(&mut self, level: usize) {
        self.level = level;
        for said in &mut self.levels[level..] {
            *said = CaseAnswer::default();
        }
    }

    fn close(&mut self, field: Field) -> Option<Found> {
        match field {
            F::Header => Some(Found::Header),
            F::Transaction => {
                self.level = PAYMENT_LEVEL;
                self.resolve(TRANSACTION_LEVEL);
                let answer = &self.answer;
                let missing =
                    unnamed(&[&answer.original_end_to_end_id, &answer.original_instr_id, &answer.case_id]);
                Some(missing.map_or(Found::Answer, |(field, problem)| {
                    Found::Faulty(EntryFault { index: self.index, field, problem })
                }))
            }
            F::Payment => {
                self.level = GROUP_LEVEL;
                None
            }
            F::Message if self.index == 0 => {
                self.resolve(PAYMENT_LEVEL);
                Some(Found::Answer)
            }
            _ => None,
        }
    }

    /// What holds at a level: what it says itself, else what the next wider level says.
    fn resolve(&mut self, level: usize) {
        self.answer = self.levels[level].clone();
        for wider in self.levels[..level].iter().rev() {
            if self.answer.case_id.is_empty() {
                self.answer.case_id.clone_from(&wider.case_id);
            }
            if self.answer.status == CancellationStatus::NONE {
                self.answer.status = wider.status;
            }
            if self.answer.reasons.is_empty() {
                self.answer.reasons.clone_from(&wider.reasons);
            }
        }
    }

    fn leaf(&mut self, field: Field) {
        let (xml, said) = (&mut self.xml, &mut self.levels[self.level]);
        match field {
            F::EndToEndId => {
                xml.take_reference(Reference::EndToEndId, &mut said.original_end_to_end_id);
            }
            F::InstrId => xml.take_reference(Reference::InstrId, &mut said.original_instr_id),
            F::CaseId => xml.copy_text("RslvdCase/Id", 35, &mut said.case_id),
            F::Status | F::Confirmation => said.status = CancellationStatus::parse(xml.text()),
            F::ReasonCode | F::ReasonInfo => xml.take_reason(field == F::ReasonCode, &mut said.reasons),
            F::MsgId => xml.copy_text("Id", 35, &mut self.header.msg_id),
            F::Created => self.header.created = xml.parse_text("CreDtTm", parse_instant),
            _ => {}
        }
    }
}
