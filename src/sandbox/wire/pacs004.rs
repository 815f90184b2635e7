//! Writer of pacs.004.001.09, the payment return.
//!
//! Input: the same types the reader gives. Output: XML valid against the schema, a line per transaction. Guarantee: no
//! allocation per transaction; a refused transaction leaves no byte behind. Limit: settled through clearing; one reason.

use crate::domain::country;
use std::io::Write;

use crate::iso20022::pacs004::{OriginalMessage, ReturnHeader, ReturnedTransaction};
use crate::iso20022::values::Reasons;
use crate::iso20022::xml::write::{
    TextProblem, WriteError, XmlOut, check_amount, check_currency, check_optional, check_text, check_uetr,
};

/// The message's name, as in its namespace.
pub const MESSAGE: &str = "pacs.004.001.09";

/// Writes one payment return.
pub struct Pacs004Writer<W> {
    out: XmlOut<W>,
    transactions: u64,
}

impl<W: Write> Pacs004Writer<W> {
    /// Writes the header and, if there is one, the original message.
    ///
    /// # Errors
    /// A field that does not fit the schema, or a failing writer.
    pub fn begin(
        inner: W,
        header: &ReturnHeader,
        original: Option<&OriginalMessage>,
    ) -> Result<Self, WriteError> {
        check_text("MsgId", &header.message.msg_id, 35)?;
        let created = header
            .message
            .created
            .ok_or(WriteError::Field { field: "CreDtTm", problem: TextProblem::Empty })?;
        for (field, sum) in [("CtrlSum", header.sum), ("TtlRtrdIntrBkSttlmAmt", header.total)] {
            sum.map_or(Ok(()), |sum| check_amount(field, sum))?;
        }
        if let Some(original) = original {
            check_text("OrgnlMsgId", &original.msg_id, 35)?;
            check_text("OrgnlMsgNmId", &original.msg_name, 35)?;
            check_reasons(&original.reasons)?;
        }
        let mut out = XmlOut::begin(inner, MESSAGE);
        out.raw("<PmtRtr><GrpHdr>");
        out.leaf("MsgId", &header.message.msg_id);
        out.instant("CreDtTm", created);
        out.count("NbOfTxs", header.orders.unwrap_or(0));
        if let Some(sum) = header.sum {
            out.sum("CtrlSum", sum);
        }
        if header.group_return {
            out.leaf("GrpRtr", "true");
        }
        if let Some(total) = header.total {
            out.amount("TtlRtrdIntrBkSttlmAmt", country::currency(), total);
        }
        out.raw("<SttlmInf><SttlmMtd>CLRG</SttlmMtd></SttlmInf></GrpHdr>");
        if let Some(original) = original {
            out.raw("<OrgnlGrpInf>");
            out.leaf("OrgnlMsgId", &original.msg_id);
            out.leaf("OrgnlMsgNmId", &original.msg_name);
            write_reasons(&mut out, &original.reasons);
            out.raw("</OrgnlGrpInf>");
        }
        Ok(Self { out, transactions: 0 })
    }

    /// Writes one returned transaction, on a line of its own.
    ///
    /// # Errors
    /// A field that does not fit the schema (then nothing of it is written), or a failing writer.
    pub fn transaction(&mut self, transaction: &ReturnedTransaction) -> Result<(), WriteError> {
        let amount = check_transaction(transaction)?;
        self.transactions += 1;
        let out = &mut self.out;
        out.raw("\n<TxInf>");
        out.leaf_if("RtrId", &transaction.return_id);
        out.leaf_if("OrgnlInstrId", &transaction.original_instr_id);
        out.leaf_if("OrgnlEndToEndId", &transaction.original_end_to_end_id);
        out.leaf_if("OrgnlUETR", &transaction.original_uetr);
        out.amount("RtrdIntrBkSttlmAmt", &transaction.currency, amount);
        write_reasons(out, &transaction.reasons);
        out.raw("</TxInf>");
        out.flush_full()?;
        Ok(())
    }

    /// Closes the file; gives the writer back, flushed, and the number of transactions.
    ///
    /// # Errors
    /// A failing writer.
    pub fn finish(mut self) -> Result<(W, u64), WriteError> {
        self.out.raw("</PmtRtr>");
        Ok((self.out.finish()?, self.transactions))
    }
}

fn check_transaction(
    transaction: &ReturnedTransaction,
) -> Result<crate::domain::money::Centimes, WriteError> {
    check_optional("RtrId", &transaction.return_id, 35)?;
    check_optional("OrgnlInstrId", &transaction.original_instr_id, 35)?;
    check_optional("OrgnlEndToEndId", &transaction.original_end_to_end_id, 35)?;
    if !transaction.original_uetr.is_empty() {
        check_uetr(&transaction.original_uetr)?;
    }
    let missing = WriteError::Field { field: "RtrdIntrBkSttlmAmt", problem: TextProblem::Empty };
    let amount = transaction.amount.ok_or(missing)?;
    check_amount("RtrdIntrBkSttlmAmt", amount)?;
    check_currency(&transaction.currency)?;
    check_reasons(&transaction.reasons)?;
    Ok(amount)
}

/// A code of more than four characters is written as proprietary.
fn check_reasons(reasons: &Reasons) -> Result<(), WriteError> {
    reasons.iter().try_for_each(|reason| {
        check_optional("RtrRsnInf/Rsn", &reason.code, 35)?;
        check_optional("RtrRsnInf/AddtlInf", &reason.info, 105)
    })
}

fn write_reasons<W: Write>(out: &mut XmlOut<W>, reasons: &Reasons) {
    for reason in reasons.iter() {
        out.raw("<RtrRsnInf>");
        if !reason.code.is_empty() {
            out.raw("<Rsn>");
            out.leaf(if reason.code.len() <= 4 { "Cd" } else { "Prtry" }, &reason.code);
            out.raw("</Rsn>");
        }
        out.leaf_if("AddtlInf", &reason.info);
        out.raw("</RtrRsnInf>");
    }
}
