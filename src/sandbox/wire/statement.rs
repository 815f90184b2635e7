//! Writer of camt.053.001.08 and camt.054.001.08, statement and notification.
//!
//! Input: the same types the reader gives. Output: XML valid against the schema, a line per entry and per
//! transaction. Guarantee: no allocation per transaction; a refused part leaves no byte behind; a part that comes
//! where the message has no place for it is refused. Limit: balances and totals are written as given, so that a
//! sandbox bank can also be wrong; [`crate::iso20022::statement::check::BalanceCheck`] computes the right ones.

use std::io::Write;

use crate::domain::money::Centimes;
use crate::iso20022::statement::{
    AccountId, Balance, BankCode, Batch, CamtKind, Detail, Entry, StatedTotal, Statement, Summary,
};
use crate::iso20022::values::MessageHeader;
use crate::iso20022::xml::write::{
    TextProblem, WriteError, XmlOut, check_amount, check_currency, check_iban, check_optional, check_pattern,
    check_text, check_uetr,
};

/// The statement's name, as in its namespace.
pub const STATEMENT: &str = "camt.053.001.08";
/// The notification's name, as in its namespace.
pub const NOTIFICATION: &str = "camt.054.001.08";
const REPORT: &str = "camt.052.001.08";

/// Where the writer stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Message,
    Statement,
    Entry,
    Details,
}

/// Writes one statement or notification message.
pub struct CamtWriter<W> {
    out: XmlOut<W>,
    kind: CamtKind,
    place: Place,
    statements: u64,
}

impl<W: Write> CamtWriter<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// A field that does not fit the schema.
    pub fn begin(inner: W, kind: CamtKind, header: &MessageHeader) -> Result<Self, WriteError> {
        check_text("MsgId", &header.msg_id, 35)?;
        let created =
            header.created.ok_or(WriteError::Field { field: "CreDtTm", problem: TextProblem::Empty })?;
        let (message, element) = match kind {
            CamtKind::Statement => (STATEMENT, "<BkToCstmrStmt><GrpHdr>"),
            CamtKind::Notification => (NOTIFICATION, "<BkToCstmrDbtCdtNtfctn><GrpHdr>"),
            CamtKind::Report => (REPORT, "<BkToCstmrAcctRpt><GrpHdr>"),
        };
        let mut out = XmlOut::begin(inner, message);
        out.raw(element);
        out.leaf("MsgId", &header.msg_id);
        out.instant("CreDtTm", created);
        out.raw("</GrpHdr>");
        Ok(Self { out, kind, place: Place::Message, statements: 0 })
    }

    /// Begins a statement, after closing the one before.
    ///
    /// # Errors
    /// A field that does not fit the schema; a statement without balances, a notification with some.
    pub fn statement(
        &mut self,
        statement: &Statement,
        balances: &[Balance],
        summary: Option<&Summary>,
    ) -> Result<(), WriteError> {
        check_statement(statement)?;
        balances.iter().try_for_each(check_balance)?;
        summary.map_or(Ok(()), check_summary)?;
        if balances.is_empty() == (self.kind == CamtKind::Statement) {
            return Err(WriteError::OutOfOrder { part: "Bal" });
        }
        self.end_statement();
        self.out.raw(match self.kind {
            CamtKind::Statement => "\n<Stmt>",
            CamtKind::Notification => "\n<Ntfctn>",
            CamtKind::Report => "\n<Rpt>",
        });
        write_statement(&mut self.out, statement);
        balances.iter().for_each(|balance| write_balance(&mut self.out, balance));
        if let Some(summary) = summary {
            write_summary(&mut self.out, summary);
        }
        self.place = Place::Statement;
        self.statements += 1;
        Ok(())
    }

    /// Begins an entry, single or batch, after closing the one before.
    ///
    /// # Errors
    /// A field that does not fit the schema, no statement to put it in, or a failing writer.
    pub fn entry(&mut self, entry: &Entry) -> Result<(), WriteError> {
        check_entry(entry)?;
        if self.place == Place::Message {
            return Err(WriteError::OutOfOrder { part: "Ntry" });
        }
        self.end_entry();
        write_entry(&mut self.out, entry);
        self.place = Place::Entry;
        if let Some(batch) = &entry.batch {
            self.out.raw("<NtryDtls>");
            write_batch(&mut self.out, batch, &entry.currency);
            self.place = Place::Details;
        }
        self.out.flush_full()?;
        Ok(())
    }

    /// Writes a transaction of the open entry.
    ///
    /// # Errors
    /// A field that does not fit the schema, no entry to put it in, or a failing writer.
    pub fn detail(&mut self, detail: &Detail) -> Result<(), WriteError> {
        check_detail(detail)?;
        match self.place {
            Place::Details => {}
            Place::Entry => self.out.raw("<NtryDtls>"),
            Place::Message | Place::Statement => return Err(WriteError::OutOfOrder { part: "TxDtls" }),
        }
        self.place = Place::Details;
        write_detail(&mut self.out, detail);
        self.out.flush_full()?;
        Ok(())
    }

    /// Closes the message and gives the writer back, flushed.
    ///
    /// # Errors
    /// A message without a statement, or a failing writer.
    pub fn finish(mut self) -> Result<W, WriteError> {
        if self.statements == 0 {
            return Err(WriteError::OutOfOrder { part: "Document" });
        }
        self.end_statement();
        self.out.raw(match self.kind {
            CamtKind::Statement => "\n</BkToCstmrStmt>",
            CamtKind::Notification => "\n</BkToCstmrDbtCdtNtfctn>",
            CamtKind::Report => "\n</BkToCstmrAcctRpt>",
        });
        Ok(self.out.finish()?)
    }

    fn end_entry(&mut self) {
        self.out.raw(match self.place {
            Place::Details => "</NtryDtls></Ntry>",
            Place::Entry => "</Ntry>",
            Place::Statement | Place::Message => return,
        });
        self.place = Place::Statement;
    }

    fn end_statement(&mut self) {
        self.end_entry();
        if self.place == Place::Statement {
            self.out.raw(match self.kind {
                CamtKind::Statement => "\n</Stmt>",
                CamtKind::Notification => "\n</Ntfctn>",
                CamtKind::Report => "\n</Rpt>",
            });
            self.place = Place::Message;
        }
    }
}

fn check_statement(statement: &Statement) -> Result<(), WriteError> {
    check_text("Id", &statement.id, 35)?;
    check_pattern("FrToDt", statement.from.is_some() == statement.to.is_some())?;
    match &statement.account {
        AccountId::None => Err(WriteError::Field { field: "Acct", problem: TextProblem::Empty }),
        AccountId::Iban(iban) => check_iban(iban),
        AccountId::Other(other) => check_text("Othr/Id", other, 34),
    }
}

fn check_balance(balance: &Balance) -> Result<(), WriteError> {
    check_text("Bal/Tp", &balance.code, 35)?;
    check_sum("Bal/Amt", balance.amount)?;
    check_pattern("Bal/Dt", balance.date.is_some())?;
    check_currency(&balance.currency)
}

fn check_summary(summary: &Summary) -> Result<(), WriteError> {
    [summary.all, summary.credits, summary.debits]
        .iter()
        .filter_map(|total| total.sum)
        .try_for_each(|sum| check_sum("Sum", sum))
}

/// As [`check_amount`], zero allowed.
fn check_sum(field: &'static str, sum: Centimes) -> Result<(), WriteError> {
    if sum.is_zero() { Ok(()) } else { check_amount(field, sum) }
}

fn check_entry(entry: &Entry) -> Result<(), WriteError> {
    check_optional("NtryRef", &entry.reference, 35)?;
    check_amount("Amt", entry.amount)?;
    check_currency(&entry.currency)?;
    check_text("Sts", entry.status.as_str(), 4)?;
    check_optional("AcctSvcrRef", &entry.servicer_ref, 35)?;
    check_bank_code("BkTxCd", &entry.code)?;
    if let Some(batch) = &entry.batch {
        check_optional("Btch/MsgId", &batch.msg_id, 35)?;
        check_optional("Btch/PmtInfId", &batch.pmt_inf_id, 35)?;
        batch.sum.map_or(Ok(()), |sum| check_sum("TtlAmt", sum))?;
    }
    Ok(())
}

/// A code needs all three of domain, family and sub-family, or none.
fn check_bank_code(field: &'static str, code: &BankCode) -> Result<(), WriteError> {
    let parts = [&code.domain, &code.family, &code.sub_family];
    let given = parts.iter().filter(|part| !part.is_empty()).count();
    check_pattern(field, given == 0 || given == 3)?;
    parts.iter().try_for_each(|part| check_optional(field, part, 4))?;
    check_optional(field, &code.proprietary, 35)
}

fn check_detail(detail: &Detail) -> Result<(), WriteError> {
    check_optional("MsgId", &detail.msg_id, 35)?;
    check_optional("AcctSvcrRef", &detail.servicer_ref, 35)?;
    check_optional("PmtInfId", &detail.pmt_inf_id, 35)?;
    check_optional("InstrId", &detail.instr_id, 35)?;
    check_optional("EndToEndId", &detail.end_to_end_id, 35)?;
    check_optional("TxId", &detail.tx_id, 35)?;
    if !detail.uetr.is_empty() {
        check_uetr(&detail.uetr)?;
    }
    if let Some(amount) = detail.amount {
        check_amount("Amt", amount)?;
        check_currency(&detail.currency)?;
    }
    check_optional("RtrInf/Rsn", &detail.return_reason.code, 35)?;
    check_optional("RtrInf/AddtlInf", &detail.return_reason.info, 105)?;
    check_bank_code("OrgnlBkTxCd", &detail.return_code)?;
    check_optional("RmtInf/Ustrd", &detail.remittance, 140)?;
    check_optional("CdtrRefInf/Ref", &detail.creditor_ref, 35)?;
    check_optional("AddtlTxInf", &detail.info, 500)
}

fn write_statement<W: Write>(out: &mut XmlOut<W>, statement: &Statement) {
    out.leaf("Id", &statement.id);
    if let Some(number) = statement.electronic_sequence {
        out.count("ElctrncSeqNb", number);
    }
    if let Some(number) = statement.legal_sequence {
        out.count("LglSeqNb", number);
    }
    if let (Some(from), Some(to)) = (statement.from, statement.to) {
        out.raw("<FrToDt>");
        out.instant("FrDtTm", from);
        out.instant("ToDtTm", to);
        out.raw("</FrToDt>");
    }
    out.raw("<Acct><Id>");
    match &statement.account {
        AccountId::None => {}
        AccountId::Iban(iban) => out.leaf("IBAN", iban),
        AccountId::Other(other) => {
            out.raw("<Othr>");
            out.leaf("Id", other);
            out.raw("</Othr>");
        }
    }
    out.raw("</Id></Acct>");
}

fn write_balance<W: Write>(out: &mut XmlOut<W>, balance: &Balance) {
    out.raw("<Bal><Tp><CdOrPrtry>");
    out.leaf(code_or_proprietary(&balance.code), &balance.code);
    out.raw("</CdOrPrtry></Tp>");
    out.amount("Amt", &balance.currency, balance.amount);
    write_side(out, balance.credit);
    if let Some(date) = balance.date {
        out.raw("<Dt>");
        out.date("Dt", date);
        out.raw("</Dt>");
    }
    out.raw("</Bal>");
}

fn write_summary<W: Write>(out: &mut XmlOut<W>, summary: &Summary) {
    out.raw("<TxsSummry>");
    let totals =
        [("TtlNtries", summary.all), ("TtlCdtNtries", summary.credits), ("TtlDbtNtries", summary.debits)];
    for (name, StatedTotal { entries, sum }) in totals {
        out.raw("<");
        out.raw(name);
        out.raw(">");
        if let Some(entries) = entries {
            out.count("NbOfNtries", entries);
        }
        if let Some(sum) = sum {
            out.sum("Sum", sum);
        }
        out.raw("</");
        out.raw(name);
        out.raw(">");
    }
    out.raw("</TxsSummry>");
}

fn write_entry<W: Write>(out: &mut XmlOut<W>, entry: &Entry) {
    out.raw("\n<Ntry>");
    out.leaf_if("NtryRef", &entry.reference);
    out.amount("Amt", &entry.currency, entry.amount);
    write_side(out, entry.credit);
    if entry.reversal {
        out.raw("<RvslInd>true</RvslInd>");
    }
    out.raw("<Sts>");
    out.leaf("Cd", entry.status.as_str());
    out.raw("</Sts>");
    if let Some(date) = entry.booking_date {
        out.raw("<BookgDt>");
        out.date("Dt", date);
        out.raw("</BookgDt>");
    }
    if let Some(date) = entry.value_date {
        out.raw("<ValDt>");
        out.date("Dt", date);
        out.raw("</ValDt>");
    }
    out.leaf_if("AcctSvcrRef", &entry.servicer_ref);
    write_bank_code(out, "BkTxCd", &entry.code);
}

fn write_bank_code<W: Write>(out: &mut XmlOut<W>, name: &str, code: &BankCode) {
    out.raw("<");
    out.raw(name);
    out.raw(">");
    if !code.domain.is_empty() {
        out.raw("<Domn>");
        out.leaf("Cd", &code.domain);
        out.raw("<Fmly>");
        out.leaf("Cd", &code.family);
        out.leaf("SubFmlyCd", &code.sub_family);
        out.raw("</Fmly></Domn>");
    }
    if !code.proprietary.is_empty() {
        out.raw("<Prtry>");
        out.leaf("Cd", &code.proprietary);
        out.raw("</Prtry>");
    }
    out.raw("</");
    out.raw(name);
    out.raw(">");
}

fn write_batch<W: Write>(out: &mut XmlOut<W>, batch: &Batch, currency: &str) {
    out.raw("<Btch>");
    out.leaf_if("MsgId", &batch.msg_id);
    out.leaf_if("PmtInfId", &batch.pmt_inf_id);
    if let Some(orders) = batch.orders {
        out.count("NbOfTxs", orders);
    }
    if let Some(sum) = batch.sum {
        out.amount("TtlAmt", currency, sum);
    }
    if let Some(credit) = batch.credit {
        write_side(out, credit);
    }
    out.raw("</Btch>");
}

fn write_detail<W: Write>(out: &mut XmlOut<W>, detail: &Detail) {
    out.raw("\n<TxDtls><Refs>");
    out.leaf_if("MsgId", &detail.msg_id);
    out.leaf_if("AcctSvcrRef", &detail.servicer_ref);
    out.leaf_if("PmtInfId", &detail.pmt_inf_id);
    out.leaf_if("InstrId", &detail.instr_id);
    out.leaf_if("EndToEndId", &detail.end_to_end_id);
    out.leaf_if("UETR", &detail.uetr);
    out.leaf_if("TxId", &detail.tx_id);
    out.raw("</Refs>");
    if let Some(amount) = detail.amount {
        out.amount("Amt", &detail.currency, amount);
    }
    if let Some(credit) = detail.credit {
        write_side(out, credit);
    }
    write_remittance(out, detail);
    write_return(out, detail);
    out.leaf_if("AddtlTxInf", &detail.info);
    out.raw("</TxDtls>");
}

fn write_remittance<W: Write>(out: &mut XmlOut<W>, detail: &Detail) {
    if detail.remittance.is_empty() && detail.creditor_ref.is_empty() {
        return;
    }
    out.raw("<RmtInf>");
    out.leaf_if("Ustrd", &detail.remittance);
    if !detail.creditor_ref.is_empty() {
        out.raw("<Strd><CdtrRefInf>");
        out.leaf("Ref", &detail.creditor_ref);
        out.raw("</CdtrRefInf></Strd>");
    }
    out.raw("</RmtInf>");
}

fn write_return<W: Write>(out: &mut XmlOut<W>, detail: &Detail) {
    let (reason, code) = (&detail.return_reason, &detail.return_code);
    let coded = !code.domain.is_empty() || !code.proprietary.is_empty();
    if reason.is_empty() && !coded {
        return;
    }
    out.raw("<RtrInf>");
    if coded {
        write_bank_code(out, "OrgnlBkTxCd", code);
    }
    if !reason.code.is_empty() {
        out.raw("<Rsn>");
        out.leaf(code_or_proprietary(&reason.code), &reason.code);
        out.raw("</Rsn>");
    }
    out.leaf_if("AddtlInf", &reason.info);
    out.raw("</RtrInf>");
}

fn write_side<W: Write>(out: &mut XmlOut<W>, credit: bool) {
    out.leaf("CdtDbtInd", if credit { "CRDT" } else { "DBIT" });
}

/// External codes have at most four characters; anything longer is the bank's own.
fn code_or_proprietary(code: &str) -> &'static str {
    if code.len() <= 4 { "Cd" } else { "Prtry" }
}
