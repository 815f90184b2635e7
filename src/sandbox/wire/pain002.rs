//! Writer of pain.002.001.10, the payment status report.
//!
//! Input: the same types the reader gives. Output: XML valid against the schema, a line per transaction. Guarantee:
//! no allocation per transaction; a refused transaction leaves no byte behind. Limit: one payment information block.

use std::io::Write;

use crate::iso20022::pain002::{Group, PaymentInfo, TransactionStatus};
use crate::iso20022::values::{MessageHeader, Reasons, StatusCode};
use crate::iso20022::xml::write::{
    TextProblem, WriteError, XmlOut, check_amount, check_currency, check_optional, check_text, check_uetr,
};

/// The message's name, as in its namespace.
pub const MESSAGE: &str = "pain.002.001.10";

/// Writes one status report.
pub struct Pain002Writer<W> {
    out: XmlOut<W>,
    in_payment: bool,
    transactions: u64,
}

impl<W: Write> Pain002Writer<W> {
    /// Writes header, group and, if there is one, the head of the payment information block.
    ///
    /// # Errors
    /// A field that does not fit the schema, or a failing writer.
    pub fn begin(
        inner: W,
        header: &MessageHeader,
        group: &Group,
        payment: Option<&PaymentInfo>,
    ) -> Result<Self, WriteError> {
        check_text("MsgId", &header.msg_id, 35)?;
        let created =
            header.created.ok_or(WriteError::Field { field: "CreDtTm", problem: TextProblem::Empty })?;
        check_group(group)?;
        payment.map_or(Ok(()), check_payment)?;
        let mut out = XmlOut::begin(inner, MESSAGE);
        out.raw("<CstmrPmtStsRpt><GrpHdr>");
        out.leaf("MsgId", &header.msg_id);
        out.instant("CreDtTm", created);
        out.raw("</GrpHdr><OrgnlGrpInfAndSts>");
        out.leaf("OrgnlMsgId", &group.original_msg_id);
        out.leaf("OrgnlMsgNmId", &group.original_msg_name);
        if let Some(orders) = group.original_orders {
            out.count("OrgnlNbOfTxs", orders);
        }
        if let Some(sum) = group.original_sum {
            out.sum("OrgnlCtrlSum", sum);
        }
        if let Some(status) = group.status {
            out.leaf("GrpSts", status.as_str());
        }
        write_reasons(&mut out, &group.reasons);
        out.raw("</OrgnlGrpInfAndSts>");
        if let Some(payment) = payment {
            write_payment(&mut out, payment);
        }
        Ok(Self { out, in_payment: payment.is_some(), transactions: 0 })
    }

    /// Writes one transaction's status, on a line of its own.
    ///
    /// # Errors
    /// A field that does not fit the schema (then nothing of it is written), no payment information block, or a
    /// failing writer.
    pub fn transaction(&mut self, transaction: &TransactionStatus) -> Result<(), WriteError> {
        if !self.in_payment {
            return Err(WriteError::OutOfOrder { part: "TxInfAndSts" });
        }
        check_transaction(transaction)?;
        self.transactions += 1;
        let out = &mut self.out;
        out.raw("\n<TxInfAndSts>");
        out.leaf_if("StsId", &transaction.status_id);
        out.leaf_if("OrgnlInstrId", &transaction.original_instr_id);
        out.leaf_if("OrgnlEndToEndId", &transaction.original_end_to_end_id);
        out.leaf_if("OrgnlUETR", &transaction.original_uetr);
        out.leaf("TxSts", transaction.status.as_str());
        write_reasons(out, &transaction.reasons);
        if let Some(amount) = transaction.amount {
            out.raw("<OrgnlTxRef><Amt>");
            out.amount("InstdAmt", &transaction.currency, amount);
            out.raw("</Amt></OrgnlTxRef>");
        }
        out.raw("</TxInfAndSts>");
        out.flush_full()?;
        Ok(())
    }

    /// Closes the file; gives the writer back, flushed, and the number of transactions.
    ///
    /// # Errors
    /// A failing writer.
    pub fn finish(mut self) -> Result<(W, u64), WriteError> {
        if self.in_payment {
            self.out.raw("\n</OrgnlPmtInfAndSts>");
        }
        self.out.raw("</CstmrPmtStsRpt>");
        Ok((self.out.finish()?, self.transactions))
    }
}

fn check_group(group: &Group) -> Result<(), WriteError> {
    check_text("OrgnlMsgId", &group.original_msg_id, 35)?;
    check_text("OrgnlMsgNmId", &group.original_msg_name, 35)?;
    group.original_sum.map_or(Ok(()), |sum| check_amount("OrgnlCtrlSum", sum))?;
    check_status("GrpSts", group.status)?;
    check_reasons(&group.reasons)
}

fn check_payment(payment: &PaymentInfo) -> Result<(), WriteError> {
    check_text("OrgnlPmtInfId", &payment.original_pmt_inf_id, 35)?;
    payment.original_sum.map_or(Ok(()), |sum| check_amount("OrgnlCtrlSum", sum))?;
    check_status("PmtInfSts", payment.status)?;
    check_reasons(&payment.reasons)
}

fn check_transaction(transaction: &TransactionStatus) -> Result<(), WriteError> {
    check_optional("StsId", &transaction.status_id, 35)?;
    check_optional("OrgnlInstrId", &transaction.original_instr_id, 35)?;
    check_optional("OrgnlEndToEndId", &transaction.original_end_to_end_id, 35)?;
    if !transaction.original_uetr.is_empty() {
        check_uetr(&transaction.original_uetr)?;
    }
    check_status("TxSts", Some(transaction.status))?;
    check_reasons(&transaction.reasons)?;
    if let Some(amount) = transaction.amount {
        check_amount("InstdAmt", amount)?;
        check_currency(&transaction.currency)?;
    }
    Ok(())
}

fn check_status(field: &'static str, status: Option<StatusCode>) -> Result<(), WriteError> {
    status.map_or(Ok(()), |status| check_text(field, status.as_str(), 4))
}

/// A code of more than four characters is written as proprietary.
fn check_reasons(reasons: &Reasons) -> Result<(), WriteError> {
    reasons.iter().try_for_each(|reason| {
        check_optional("StsRsnInf/Rsn", &reason.code, 35)?;
        check_optional("StsRsnInf/AddtlInf", &reason.info, 105)
    })
}

fn write_payment<W: Write>(out: &mut XmlOut<W>, payment: &PaymentInfo) {
    out.raw("<OrgnlPmtInfAndSts>");
    out.leaf("OrgnlPmtInfId", &payment.original_pmt_inf_id);
    if let Some(orders) = payment.original_orders {
        out.count("OrgnlNbOfTxs", orders);
    }
    if let Some(sum) = payment.original_sum {
        out.sum("OrgnlCtrlSum", sum);
    }
    if let Some(status) = payment.status {
        out.leaf("PmtInfSts", status.as_str());
    }
    write_reasons(out, &payment.reasons);
}

fn write_reasons<W: Write>(out: &mut XmlOut<W>, reasons: &Reasons) {
    for reason in reasons.iter() {
        out.raw("<StsRsnInf>");
        if !reason.code.is_empty() {
            out.raw("<Rsn>");
            out.leaf(if reason.code.len() <= 4 { "Cd" } else { "Prtry" }, &reason.code);
            out.raw("</Rsn>");
        }
        out.leaf_if("AddtlInf", &reason.info);
        out.raw("</StsRsnInf>");
    }
}
