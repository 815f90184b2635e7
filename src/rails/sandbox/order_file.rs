//! A bank's view of a pain.001 file: the head, then its transactions one at a time.
//!
//! Input: pain.001 as [`crate::iso20022::pain001`] writes it, one payment information block. Output: [`Head`] and
//! [`Order`]s, into reused buffers. Guarantee: constant memory for such a file; a DOCTYPE, an entity not of XML, a
//! truncated file and texts longer than the standard allows are refused. Limit: names and creditors' accounts are
//! not read, for no answer needs them; it is meant for files from this side of the house, whose hash is verified.

use std::io::{BufRead, BufReader, Read};

use quick_xml::Reader;
use quick_xml::events::{BytesRef, Event};
use sha2::{Digest, Sha256};
use time::Date;

use crate::domain::money::Centimes;
use crate::iso20022::values::parse_date;

use super::state::Account;

/// Longest text of interest, in characters: ids have 35, a UETR 36.
const TEXT_MAX: usize = 36;

/// What stands before the transactions. Texts are empty and values `None` until they have been read.
#[derive(Clone, Default)]
pub(super) struct Head {
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
}

/// A transaction.
#[derive(Default)]
pub(super) struct Order {
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadFault {
    /// Not well-formed, truncated, or with a DOCTYPE or foreign entity.
    Malformed,
    /// A mandatory element is missing or cannot be used.
    Element(&'static str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    Header,
    Payment,
    DebtorAccount,
    Transaction,
}

#[derive(Clone, Copy)]
enum Leaf {
    MsgId,
    Orders,
    Sum,
    PaymentId,
    Execution,
    Iban,
    OtherAccount,
    InstrId,
    EndToEndId,
    Uetr,
    Amount,
}

/// Reads one order file.
pub(super) struct OrderFileReader<R> {
    xml: Reader<R>,
    buffer: Vec<u8>,
    text: String,
    place: Place,
    leaf: Option<Leaf>,
    depth: usize,
    payments: usize,
    ended: bool,
    head: Head,
}

impl<R: BufRead> OrderFileReader<R> {
    /// Starts reading; give it a large buffer.
    pub(super) fn new(inner: R) -> Self {
        let mut xml = Reader::from_reader(inner);
        xml.config_mut().expand_empty_elements = true;
        Self {
            xml,
            buffer: Vec::with_capacity(1024),
            text: String::with_capacity(64),
            place: Place::Outside,
            leaf: None,
            depth: 0,
            payments: 0,
            ended: false,
            head: Head::default(),
        }
    }

    /// What was read of the head; complete once the first transaction was given.
    pub(super) fn head(&self) -> &Head {
        &self.head
    }

    /// Reads the next transaction into `order`; `false` once the message is complete.
    pub(super) fn next(&mut self, order: &mut Order) -> Result<bool, ReadFault> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = self.next_with(&mut buffer, order);
        self.buffer = buffer;
        result
    }

    fn next_with(&mut self, buffer: &mut Vec<u8>, order: &mut Order) -> Result<bool, ReadFault> {
        loop {
            buffer.clear();
            match self.xml.read_event_into(buffer).map_err(|_| ReadFault::Malformed)? {
                Event::Start(element) => {
                    self.depth += 1;
                    self.open(element.local_name().into_inner(), order)?;
                }
                Event::End(element) => {
                    self.depth = self.depth.checked_sub(1).ok_or(ReadFault::Malformed)?;
                    self.ended = self.depth == 0;
                    if self.close(element.local_name().into_inner(), order)? {
                        return Ok(true);
                    }
                }
                Event::Text(text) if self.leaf.is_some() => self.text.push_str(&text),
                Event::CData(text) if self.leaf.is_some() => self.text.push_str(&text),
                Event::GeneralRef(reference) => self.text.push(resolve(&reference)?),
                Event::DocType(_) => return Err(ReadFault::Malformed),
                Event::Eof if self.ended => return Ok(false),
                Event::Eof => return Err(ReadFault::Malformed),
                _ => {}
            }
        }
    }

    fn open(&mut self, name: &str, order: &mut Order) -> Result<(), ReadFault> {
        self.leaf = None;
        match (self.place, name) {
            (Place::Outside, "GrpHdr") => self.place = Place::Header,
            (Place::Outside, "PmtInf") if self.payments == 0 => {
                self.payments = 1;
                self.place = Place::Payment;
            }
            (Place::Outside, "PmtInf") => return Err(ReadFault::Element("PmtInf")),
            (Place::Payment, "DbtrAcct") => self.place = Place::DebtorAccount,
            (Place::Payment, "CdtTrfTxInf") => {
                self.place = Place::Transaction;
                order.instr_id.clear();
                order.end_to_end_id.clear();
                order.uetr.clear();
                order.amount = Centimes::ZERO;
            }
            (place, name) => {
                self.leaf = leaf_of(place, name);
                self.text.clear();
            }
        }
        Ok(())
    }

    /// True if a transaction is complete.
    fn close(&mut self, name: &str, order: &mut Order) -> Result<bool, ReadFault> {
        if let Some(leaf) = self.leaf.take() {
            self.take(leaf, order)?;
            return Ok(false);
        }
        match (self.place, name) {
            (Place::Header, "GrpHdr") | (Place::Payment, "PmtInf") => self.place = Place::Outside,
            (Place::DebtorAccount, "DbtrAcct") => self.place = Place::Payment,
            (Place::Transaction, "CdtTrfTxInf") => {
                self.place = Place::Payment;
                if order.end_to_end_id.is_empty() {
                    return Err(ReadFault::Element("EndToEndId"));
                }
                if order.amount <= Centimes::ZERO {
                    return Err(ReadFault::Element("InstdAmt"));
                }
                return Ok(true);
            }
            _ => {}
        }
        Ok(false)
    }

    fn take(&mut self, leaf: Leaf, order: &mut Order) -> Result<(), ReadFault> {
        let text = self.text.trim_ascii();
        if text.chars().count() > TEXT_MAX || text.bytes().any(|b| b < 0x20 || b == 0x7F) {
            return Err(ReadFault::Element("text"));
        }
        let id = |name, into: &mut String| {
            if text.chars().count() > 35 {
                return Err(ReadFault::Element(name));
            }
            into.clear();
            into.push_str(text);
            Ok(())
        };
        let amount = |name| Centimes::parse_bytes(text.as_bytes()).map_err(|_| ReadFault::Element(name));
        let head = &mut self.head;
        match leaf {
            Leaf::EndToEndId => id("EndToEndId", &mut order.end_to_end_id)?,
            Leaf::InstrId => id("InstrId", &mut order.instr_id)?,
            Leaf::Uetr if is_uetr(text) => {
                order.uetr.clear();
                order.uetr.push_str(text);
            }
            Leaf::Uetr => return Err(ReadFault::Element("UETR")),
            Leaf::Amount => order.amount = amount("InstdAmt")?,
            Leaf::MsgId => id("MsgId", &mut head.msg_id)?,
            Leaf::PaymentId => id("PmtInfId", &mut head.pmt_inf_id)?,
            Leaf::Orders => head.orders = Some(text.parse().map_err(|_| ReadFault::Element("NbOfTxs"))?),
            Leaf::Sum => head.sum = Some(amount("CtrlSum")?),
            Leaf::Execution => {
                head.execution_date = Some(parse_date(text).ok_or(ReadFault::Element("ReqdExctnDt"))?);
            }
            Leaf::Iban if head.account.is_none() => head.account = Some(Account::Iban(text.to_owned())),
            Leaf::OtherAccount if head.account.is_none() => {
                head.account = Some(Account::Other(text.to_owned()))
            }
            Leaf::Iban | Leaf::OtherAccount => {}
        }
        Ok(())
    }
}

/// The leaf of interest with this name at this place.
fn leaf_of(place: Place, name: &str) -> Option<Leaf> {
    Some(match (place, name) {
        (Place::Transaction, "EndToEndId") => Leaf::EndToEndId,
        (Place::Transaction, "InstrId") => Leaf::InstrId,
        (Place::Transaction, "UETR") => Leaf::Uetr,
        (Place::Transaction, "InstdAmt") => Leaf::Amount,
        (Place::Header, "MsgId") => Leaf::MsgId,
        (Place::Header, "NbOfTxs") => Leaf::Orders,
        (Place::Header, "CtrlSum") => Leaf::Sum,
        (Place::Payment, "PmtInfId") => Leaf::PaymentId,
        (Place::Payment, "Dt") => Leaf::Execution,
        (Place::DebtorAccount, "IBAN") => Leaf::Iban,
        (Place::DebtorAccount, "Id") => Leaf::OtherAccount,
        _ => return None,
    })
}

fn resolve(reference: &BytesRef<'_>) -> Result<char, ReadFault> {
    Ok(match &**reference {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => reference.resolve_char_ref().ok().flatten().ok_or(ReadFault::Malformed)?,
    })
}

/// A version 4 UUID in small letters, as the schema has it.
fn is_uetr(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            14 => b == b'4',
            19 => matches!(b, b'8' | b'9' | b'a' | b'b'),
            _ => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// Hashes what is read through it.
pub(super) struct Hashing<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Hashing<R> {
    /// Starts a hash, behind a buffer.
    pub(super) fn new(inner: R) -> BufReader<Self> {
        BufReader::with_capacity(256 * 1024, Self { inner, hash: Sha256::new() })
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = self.inner.read(buffer)?;
        self.hash.update(&buffer[..len]);
        Ok(len)
    }
}

impl<R: Read> OrderFileReader<BufReader<Hashing<R>>> {
    /// The SHA-256 of what was read, in small hexadecimal digits.
    pub(super) fn sha256(self) -> String {
        let digest = self.xml.into_inner().into_inner().hash.finalize();
        digest.iter().fold(String::with_capacity(64), |mut text, byte| {
            for half in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(half), 16).expect("a half byte is a digit"));
            }
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(xml: &str, expected: Result<(u64, i64), ReadFault>) {
        let mut reader = OrderFileReader::new(xml.as_bytes());
        let mut order = Order::default();
        let (mut orders, mut sum) = (0, 0);
        let found = loop {
            match reader.next(&mut order) {
                Ok(true) => (orders, sum) = (orders + 1, sum + order.amount.get()),
                Ok(false) => break Ok((orders, sum)),
                Err(fault) => break Err(fault),
            }
        };
        assert_eq!(found, expected, "{xml}");
    }

    #[test]
    fn files_are_read_or_refused() {
        let order = "<CdtTrfTxInf><PmtId><EndToEndId>A&amp;1</EndToEndId></PmtId>\
                     <Amt><InstdAmt Ccy=\"MAD\">5.00</InstdAmt></Amt></CdtTrfTxInf>";
        let file =
            |orders: &str| format!("<Document><PmtInf><PmtInfId>P</PmtInfId>{orders}</PmtInf></Document>");
        check(&file(&order.repeat(2)), Ok((2, 1000)));
        check(&file(""), Ok((0, 0)));
        check(&file(order)[..120], Err(ReadFault::Malformed));
        check(&format!("<!DOCTYPE x>{}", file(order)), Err(ReadFault::Malformed));
        check(&file(&order.replace("&amp;", "&x;")), Err(ReadFault::Malformed));
        check(&file(&order.replace("5.00", "0.00")), Err(ReadFault::Element("InstdAmt")));
        check(&file(&order.replace("5.00", "5,00")), Err(ReadFault::Element("InstdAmt")));
        check(&file(&order.replace("A&amp;1", "")), Err(ReadFault::Element("EndToEndId")));
        check(&file(&order.replace("A&amp;1", &"x".repeat(36))), Err(ReadFault::Element("EndToEndId")));
        check(&file(order).replace("</Document>", "<PmtInf/></Document>"), Err(ReadFault::Element("PmtInf")));
        check("", Err(ReadFault::Malformed));
    }
}
