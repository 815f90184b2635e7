//! Reader of pain.001, the credit transfer initiation, as a bank reads it: the head, then its transactions one at a time.
//!
//! Input: XML through the hardened base, one payment information block. Output: [`Head`] and [`Order`]s, into reused buffers.
//! Guarantee: constant memory, no allocation per transaction; texts longer than the standard allows are refused. Limit: names
//! and creditors' accounts are not read, for no answer needs them.

use std::io::BufRead;

use serde::{Deserialize, Serialize};
use time::Date;

use crate::domain::money::Centimes;
use crate::iso20022::values::parse_date;
use crate::iso20022::xml::fault::{Limits, XmlError};
use crate::iso20022::xml::reader::XmlReader;
use crate::iso20022::xml::table::{Node, Step};
use crate::iso20022::xml::write::check_uetr;

/// An account, as the order file names it. Not printable.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Account {
    /// By IBAN.
    Iban(String),
    /// By another identification, such as a RIB.
    Other(String),
}

/// What stands before the transactions. Texts are empty and values `None` until they have been read.
#[derive(Clone, Default)]
pub struct Head {
    /// Message id.
    pub msg_id: String,
    /// Declared number of transactions.
    pub orders: Option<u64>,
    /// Declared control sum.
    pub sum: Option<Centimes>,
    /// Payment information id.
    pub pmt_inf_id: String,
    /// Requested execution date.
    pub execution_date: Option<Date>,
    /// The account to debit.
    pub account: Option<Account>,
    /// Whether each transaction is to be debited by itself.
    pub debited_singly: bool,
}

/// A transaction.
#[derive(Default)]
pub struct Order {
    /// Instruction id, empty if none.
    pub instr_id: String,
    /// End-to-end id.
    pub end_to_end_id: String,
    /// UETR, empty if none.
    pub uetr: String,
    /// Amount, above zero.
    pub amount: Centimes,
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadFault {
    /// The hardened base refuses it.
    #[error("the file is refused")]
    Xml(#[from] XmlError),
    /// A mandatory element is missing or cannot be used.
    #[error("element `{0}` is missing or cannot be used")]
    Element(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    MsgId,
    Orders,
    Sum,
    Payment,
    PaymentId,
    Booking,
    Execution,
    Iban,
    OtherAccount,
    Transaction,
    InstrId,
    EndToEndId,
    Uetr,
    Amount,
}

use Field as F;

const ACCOUNT: Node<F> = Node::path(
    "DbtrAcct",
    &[Node::path(
        "Id",
        &[
            Node::leaf("IBAN", F::Iban),
            Node::path("Othr", &[Node::leaf("Id", F::OtherAccount)], &["SchmeNm"]),
        ],
        &[],
    )],
    &["Tp", "Ccy", "Nm", "Prxy"],
);

const TRANSACTION: Node<F> = Node::group(
    "CdtTrfTxInf",
    F::Transaction,
    &[
        Node::path(
            "PmtId",
            &[
                Node::leaf("InstrId", F::InstrId),
                Node::leaf("EndToEndId", F::EndToEndId),
                Node::leaf("UETR", F::Uetr),
            ],
            &[],
        ),
        Node::path("Amt", &[Node::leaf("InstdAmt", F::Amount)], &[]),
    ],
    &["CdtrAgt", "Cdtr", "CdtrAcct", "Purp", "RmtInf"],
);

static TOP: Node<F> = Node::path(
    "",
    &[Node::path(
        "CstmrCdtTrfInitn",
        &[
            Node::path(
                "GrpHdr",
                &[
                    Node::leaf("MsgId", F::MsgId),
                    Node::leaf("NbOfTxs", F::Orders),
                    Node::leaf("CtrlSum", F::Sum),
                ],
                &["CreDtTm", "InitgPty"],
            ),
            Node::group(
                "PmtInf",
                F::Payment,
                &[
                    Node::leaf("PmtInfId", F::PaymentId),
                    Node::leaf("BtchBookg", F::Booking),
                    Node::path("ReqdExctnDt", &[Node::leaf("Dt", F::Execution)], &[]),
                    ACCOUNT,
                    TRANSACTION,
                ],
                &["PmtMtd", "NbOfTxs", "CtrlSum", "PmtTpInf", "Dbtr", "DbtrAgt", "ChrgBr"],
            ),
        ],
        &[],
    )],
    &[],
);

/// Reads one order file.
pub struct Pain001Reader<R> {
    xml: XmlReader<R, F>,
    payments: usize,
    head: Head,
}

impl<R: BufRead> Pain001Reader<R> {
    /// Starts reading; give it a large buffer.
    pub fn new(reader: R) -> Self {
        Self { xml: XmlReader::new(reader, Limits::default(), &TOP), payments: 0, head: Head::default() }
    }

    /// What was read of the head; complete once the first transaction was given.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Reads the next transaction into `order`; `false` once the message is complete.
    ///
    /// # Errors
    /// The file is refused: what came before must be dropped.
    pub fn next(&mut self, order: &mut Order) -> Result<bool, ReadFault> {
        loop {
            match self.xml.step()? {
                Step::Leaf(field) => self.leaf(field, order)?,
                Step::Open(F::Payment) => {
                    self.payments += 1;
                    if self.payments > 1 {
                        return Err(ReadFault::Element("PmtInf"));
                    }
                }
                Step::Open(F::Transaction) => {
                    order.instr_id.clear();
                    order.end_to_end_id.clear();
                    order.uetr.clear();
                    order.amount = Centimes::ZERO;
                }
                Step::Close(F::Transaction) if order.end_to_end_id.is_empty() => {
                    return Err(ReadFault::Element("EndToEndId"));
                }
                Step::Close(F::Transaction) if order.amount <= Centimes::ZERO => {
                    return Err(ReadFault::Element("InstdAmt"));
                }
                Step::Close(F::Transaction) => return Ok(true),
                Step::Open(_) | Step::Close(_) => {}
                Step::End => return Ok(false),
            }
        }
    }

    fn leaf(&mut self, field: Field, order: &mut Order) -> Result<(), ReadFault> {
        let (text, head) = (self.xml.text(), &mut self.head);
        match field {
            F::EndToEndId => copy("EndToEndId", text, 35, &mut order.end_to_end_id)?,
            F::InstrId => copy("InstrId", text, 35, &mut order.instr_id)?,
            F::Uetr => {
                check_uetr(text).map_err(|_| ReadFault::Element("UETR"))?;
                copy("UETR", text, 36, &mut order.uetr)?;
            }
            F::Amount => order.amount = amount("InstdAmt", text)?,
            F::MsgId => copy("MsgId", text, 35, &mut head.msg_id)?,
            F::Booking => head.debited_singly = text == "false",
            F::PaymentId => copy("PmtInfId", text, 35, &mut head.pmt_inf_id)?,
            F::Orders => head.orders = Some(text.parse().map_err(|_| ReadFault::Element("NbOfTxs"))?),
            F::Sum => head.sum = Some(amount("CtrlSum", text)?),
            F::Execution => {
                head.execution_date = Some(parse_date(text).ok_or(ReadFault::Element("ReqdExctnDt"))?);
            }
            F::Iban => head.account = Some(Account::Iban(account(text)?)),
            F::OtherAccount => head.account = Some(Account::Other(account(text)?)),
            F::Payment | F::Transaction => {}
        }
        Ok(())
    }
}

/// A text into a reused string; longer ones and control characters are refused.
fn copy(field: &'static str, text: &str, len_max: usize, into: &mut String) -> Result<(), ReadFault> {
    let long = text.len() > len_max && text.chars().count() > len_max;
    if long || text.bytes().any(|b| b < 0x20 || b == 0x7F) {
        return Err(ReadFault::Element(field));
    }
    into.clear();
    into.push_str(text);
    Ok(())
}

fn account(text: &str) -> Result<String, ReadFault> {
    let mut number = String::new();
    copy("DbtrAcct", text, 34, &mut number)?;
    Ok(number)
}

fn amount(field: &'static str, text: &str) -> Result<Centimes, ReadFault> {
    Centimes::parse_bytes(text.as_bytes()).map_err(|_| ReadFault::Element(field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iso20022::xml::fault::XmlFault;

    fn check(xml: &str, expected: Result<(u64, i64), &str>) {
        let mut reader = Pain001Reader::new(xml.as_bytes());
        let mut order = Order::default();
        let (mut orders, mut sum) = (0, 0);
        let found = loop {
            match reader.next(&mut order) {
                Ok(true) => (orders, sum) = (orders + 1, sum + order.amount.get()),
                Ok(false) => break Ok((orders, sum)),
                Err(ReadFault::Element(name)) => break Err(name),
                Err(ReadFault::Xml(error)) => {
                    break Err(match error.fault {
                        XmlFault::Truncated => "truncated",
                        XmlFault::Doctype => "doctype",
                        XmlFault::UnknownEntity => "entity",
                        XmlFault::NotThisMessage => "another message",
                        _ => "malformed",
                    });
                }
            }
        };
        assert_eq!(found, expected, "{xml}");
    }

    #[test]
    fn files_are_read_or_refused() {
        let order = "<CdtTrfTxInf><PmtId><EndToEndId>A&amp;1</EndToEndId></PmtId>\
                     <Amt><InstdAmt Ccy=\"MAD\">5.00</InstdAmt></Amt></CdtTrfTxInf>";
        let file = |orders: &str| {
            format!(
                "<Document><CstmrCdtTrfInitn><PmtInf><PmtInfId>P</PmtInfId>{orders}</PmtInf></CstmrCdtTrfInitn></Document>"
            )
        };
        check(&file(&order.repeat(2)), Ok((2, 1000)));
        check(&file(""), Ok((0, 0)));
        check(&file(order)[..140], Err("truncated"));
        check(&format!("<!DOCTYPE x>{}", file(order)), Err("doctype"));
        check(&file(&order.replace("&amp;", "&x;")), Err("entity"));
        check(&file(&order.replace("5.00", "0.00")), Err("InstdAmt"));
        check(&file(&order.replace("5.00", "5,00")), Err("InstdAmt"));
        check(&file(&order.replace("A&amp;1", "")), Err("EndToEndId"));
        check(&file(&order.replace("A&amp;1", &"x".repeat(36))), Err("EndToEndId"));
        let second = file(order).replace("</CstmrCdt", "<PmtInf/></CstmrCdt");
        check(&second, Err("PmtInf"));
        check("<Document><CstmrPmtStsRpt/></Document>", Err("another message"));
        check("", Err("truncated"));
    }
}
