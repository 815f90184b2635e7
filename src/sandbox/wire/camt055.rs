//! Reader of camt.055, the customer's request to cancel payments.
//!
//! Input: XML through the hardened base. Output: the case with the file that it is about, once complete, then one item for each
//! transaction. Guarantee: constant memory. Limit: requests to cancel single transactions; whole files or payment
//! informations are not told apart from a request without transactions.

use std::io::BufRead;

use crate::domain::money::Centimes;
use crate::iso20022::values::{EntryFault, Problem};
use crate::iso20022::xml::fault::{Limits, XmlError};
use crate::iso20022::xml::original::{Reference, unnamed};
use crate::iso20022::xml::reader::{XmlReader, parse_amount};
use crate::iso20022::xml::table::{Node, Step};

/// One item of a request; it lives until the next is asked for.
#[derive(Debug)]
pub enum Camt055Item<'a> {
    /// What all transactions share, before the first of them.
    Case(&'a RequestedCase),
    /// A transaction to cancel.
    Transaction(&'a RequestedCancellation),
    /// A transaction that cannot be used.
    Faulty(EntryFault),
}

/// The case. Texts are empty where nothing was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestedCase {
    /// Its id, at most 35 characters.
    pub case_id: String,
    /// Name of who asks, at most 140 characters.
    pub creator_name: String,
    /// Message id of the original file, at most 35 characters.
    pub original_msg_id: String,
    /// Payment information id of the original, at most 35 characters.
    pub original_pmt_inf_id: String,
}

/// A transaction to cancel. Texts are empty where nothing was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestedCancellation {
    /// Instruction id of the original, at most 35 characters.
    pub instr_id: String,
    /// End-to-end id of the original, at most 35 characters.
    pub end_to_end_id: String,
    /// UETR of the original, at most 36 characters.
    pub uetr: String,
    /// Its amount, if given.
    pub amount: Option<Centimes>,
    /// Reason code, at most 35 characters.
    pub reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    CaseId,
    Creator,
    MsgId,
    PaymentId,
    Transaction,
    InstrId,
    EndToEndId,
    Uetr,
    Amount,
    Reason,
}

use Field as F;

const TRANSACTION: Node<F> = Node::group(
    "TxInf",
    F::Transaction,
    &[
        Reference::InstrId.leaf(F::InstrId),
        Reference::EndToEndId.leaf(F::EndToEndId),
        Reference::Uetr.leaf(F::Uetr),
        Node::leaf("OrgnlInstdAmt", F::Amount),
        Node::path(
            "CxlRsnInf",
            &[Node::path("Rsn", &[Node::leaf("Cd", F::Reason)], &["Prtry"])],
            &["Orgtr", "AddtlInf"],
        ),
    ],
    &["CxlId", "Case", "OrgnlGrpInf", "OrgnlReqdExctnDt", "OrgnlReqdColltnDt", "OrgnlTxRef", "SplmtryData"],
);

static TOP: Node<F> = Node::path(
    "",
    &[Node::path(
        "CstmrPmtCxlReq",
        &[
            Node::path(
                "Case",
                &[
                    Node::leaf("Id", F::CaseId),
                    Node::path(
                        "Cretr",
                        &[Node::path("Pty", &[Node::leaf("Nm", F::Creator)], &["Id"])],
                        &["Agt"],
                    ),
                ],
                &["ReopCaseIndctn"],
            ),
            Node::path(
                "Undrlyg",
                &[
                    Node::path(
                        "OrgnlGrpInfAndCxl",
                        &[Reference::MsgId.leaf(F::MsgId)],
                        &[
                            "OrgnlMsgNmId",
                            "OrgnlCreDtTm",
                            "GrpCxl",
                            "NbOfTxs",
                            "CtrlSum",
                            "GrpCxlId",
                            "Case",
                            "CxlRsnInf",
                        ],
                    ),
                    Node::path(
                        "OrgnlPmtInfAndCxl",
                        &[Node::leaf("OrgnlPmtInfId", F::PaymentId), TRANSACTION],
                        &["PmtCxlId", "Case", "OrgnlGrpInf", "NbOfTxs", "CtrlSum", "PmtInfCxl", "CxlRsnInf"],
                    ),
                ],
                &[],
            ),
        ],
        &["Assgnmt", "CtrlData", "SplmtryData"],
    )],
    &[],
);

enum Found {
    Case,
    Transaction,
    Faulty(EntryFault),
}

/// Reads a request, item by item.
pub struct Camt055Reader<R> {
    xml: XmlReader<R, F>,
    case: RequestedCase,
    told: bool,
    transaction: RequestedCancellation,
    /// A transaction that waits behind the case.
    waiting: Option<Found>,
    fault: Option<(&'static str, Problem)>,
    index: u64,
}

impl<R: BufRead> Camt055Reader<R> {
    /// Starts reading; give it a buffer of 64 KiB or more.
    pub fn new(reader: R, limits: Limits) -> Self {
        Self {
            xml: XmlReader::new(reader, limits, &TOP),
            case: RequestedCase::default(),
            told: false,
            transaction: RequestedCancellation::default(),
            waiting: None,
            fault: None,
            index: 0,
        }
    }

    /// The next item, or `None` once the message is complete.
    ///
    /// # Errors
    /// The file is refused: what came before must be dropped.
    #[allow(clippy::should_implement_trait, reason = "the item borrows from the reader")]
    pub fn next(&mut self) -> Result<Option<Camt055Item<'_>>, XmlError> {
        Ok(self.advance()?.map(|found| match found {
            Found::Case => Camt055Item::Case(&self.case),
            Found::Transaction => Camt055Item::Transaction(&self.transaction),
            Found::Faulty(fault) => Camt055Item::Faulty(fault),
        }))
    }

    fn advance(&mut self) -> Result<Option<Found>, XmlError> {
        if let Some(found) = self.waiting.take() {
            return Ok(Some(found));
        }
        loop {
            match self.xml.step()? {
                Step::Leaf(field) => self.leaf(field),
                Step::Open(F::Transaction) => {
                    self.index += 1;
                    self.fault = None;
                    self.transaction = RequestedCancellation::default();
                }
                Step::Close(F::Transaction) => {
                    let found = self.close();
                    if self.told {
                        return Ok(Some(found));
                    }
                    self.told = true;
                    self.waiting = Some(found);
                    return Ok(Some(Found::Case));
                }
                Step::Open(_) | Step::Close(_) => {}
                Step::End if self.told => return Ok(None),
                Step::End => {
                    self.told = true;
                    return Ok(Some(Found::Case));
                }
            }
        }
    }

    fn close(&mut self) -> Found {
        match self.fault.take().or(unnamed(&[&self.transaction.end_to_end_id])) {
            Some((field, problem)) => Found::Faulty(EntryFault { index: self.index, field, problem }),
            None => Found::Transaction,
        }
    }

    fn leaf(&mut self, field: Field) {
        let (xml, case, transaction) = (&mut self.xml, &mut self.case, &mut self.transaction);
        match field {
            F::CaseId => xml.copy_text("Case/Id", 35, &mut case.case_id),
            F::Creator => xml.copy_text("Nm", 140, &mut case.creator_name),
            F::MsgId => xml.take_reference(Reference::MsgId, &mut case.original_msg_id),
            F::PaymentId => xml.copy_text("OrgnlPmtInfId", 35, &mut case.original_pmt_inf_id),
            F::InstrId => xml.take_reference(Reference::InstrId, &mut transaction.instr_id),
            F::EndToEndId => xml.take_reference(Reference::EndToEndId, &mut transaction.end_to_end_id),
            F::Uetr => xml.take_reference(Reference::Uetr, &mut transaction.uetr),
            F::Reason => xml.copy_text("Rsn", 35, &mut transaction.reason),
            F::Amount => match parse_amount(xml.text()) {
                Ok(amount) => transaction.amount = Some(amount),
                Err(problem) => self.fault = Some(("OrgnlInstdAmt", problem)),
            },
            F::Transaction => {}
        }
    }
}
