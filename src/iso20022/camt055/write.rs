//! Writer of camt.055.001.08, the customer's request to cancel payments: transactions of one pain.001 file.
//!
//! Input: a header with the declared control totals, then the transactions. Output: XML valid against the schema, a line
//! per transaction. Guarantee: a refused transaction leaves no byte behind; [`Camt055Writer::finish`] fails unless count
//! and sum are the declared ones. Limit: single transactions only, never a whole file; the country's currency; a reason by code, never in
//! words, since words may name a person.

use std::io::Write;

use super::{Cancellation, Header, MESSAGE};
use crate::domain::country;
use crate::domain::money::Centimes;
use crate::iso20022::pain001::{Agent, Totals};
use crate::iso20022::xml::write::{
    WriteError, XmlOut, check_amount, check_bic, check_optional, check_text, check_uetr,
};

/// Writes one cancellation request.
pub struct Camt055Writer<W> {
    out: XmlOut<W>,
    declared: Totals,
    written: Totals,
}

impl<W: Write> Camt055Writer<W> {
    /// Writes everything before the transactions.
    ///
    /// # Errors
    /// A field that does not fit the schema, or a failing writer.
    pub fn begin(inner: W, header: &Header<'_>) -> Result<Self, WriteError> {
        check_header(header)?;
        let mut out = XmlOut::begin(inner, MESSAGE);
        out.raw("<CstmrPmtCxlReq><Assgnmt>");
        out.leaf("Id", header.id);
        out.raw("<Assgnr>");
        write_party(&mut out, header);
        out.raw("</Assgnr><Assgne><Agt><FinInstnId>");
        match header.assignee {
            Agent::Bic(bic) => out.leaf("BICFI", bic),
            Agent::Member(member) => {
                out.raw("<ClrSysMmbId>");
                out.leaf("MmbId", member);
                out.raw("</ClrSysMmbId>");
            }
        }
        out.raw("</FinInstnId></Agt></Assgne>");
        out.instant("CreDtTm", header.created);
        out.raw("</Assgnmt><Case>");
        out.leaf("Id", header.id);
        out.raw("<Cretr>");
        write_party(&mut out, header);
        out.raw("</Cretr></Case><CtrlData>");
        out.count("NbOfTxs", header.orders);
        out.sum("CtrlSum", header.control_sum);
        out.raw("</CtrlData><Undrlyg><OrgnlGrpInfAndCxl>");
        out.leaf("OrgnlMsgId", header.original_msg_id);
        out.leaf("OrgnlMsgNmId", header.original_msg_name);
        if let Some(created) = header.original_created {
            out.instant("OrgnlCreDtTm", created);
        }
        out.raw("<GrpCxl>false</GrpCxl></OrgnlGrpInfAndCxl><OrgnlPmtInfAndCxl>");
        out.leaf("OrgnlPmtInfId", header.original_msg_id);
        out.raw("<PmtInfCxl>false</PmtInfCxl>");
        let declared = Totals { orders: header.orders, sum: header.control_sum };
        Ok(Self { out, declared, written: Totals::default() })
    }

    /// Writes one transaction, on a line of its own.
    ///
    /// # Errors
    /// A field that does not fit the schema (then nothing of it is written), or a failing writer.
    pub fn transaction(&mut self, cancellation: &Cancellation<'_>) -> Result<(), WriteError> {
        check_optional("CxlId", cancellation.id, 35)?;
        check_optional("OrgnlInstrId", cancellation.instr_id, 35)?;
        check_text("OrgnlEndToEndId", cancellation.end_to_end_id, 35)?;
        if !cancellation.uetr.is_empty() {
            check_uetr(cancellation.uetr)?;
        }
        check_amount("OrgnlInstdAmt", cancellation.amount)?;
        check_text("CxlRsnInf/Rsn", cancellation.reason, 4)?;
        let sum = self.written.sum.checked_add(cancellation.amount).unwrap_or(Centimes::new(i64::MAX));
        self.written = Totals { orders: self.written.orders + 1, sum };
        let out = &mut self.out;
        out.raw("\n<TxInf>");
        out.leaf_if("CxlId", cancellation.id);
        out.leaf_if("OrgnlInstrId", cancellation.instr_id);
        out.leaf("OrgnlEndToEndId", cancellation.end_to_end_id);
        out.leaf_if("OrgnlUETR", cancellation.uetr);
        out.amount("OrgnlInstdAmt", country::currency(), cancellation.amount);
        out.raw("<OrgnlReqdExctnDt>");
        out.date("Dt", cancellation.execution_date);
        out.raw("</OrgnlReqdExctnDt><CxlRsnInf><Rsn>");
        out.leaf("Cd", cancellation.reason);
        out.raw("</Rsn></CxlRsnInf></TxInf>");
        out.flush_full()?;
        Ok(())
    }

    /// Closes the file and gives the writer back, flushed.
    ///
    /// # Errors
    /// Count or sum are not the declared ones, or a failing writer.
    pub fn finish(mut self) -> Result<W, WriteError> {
        let (declared, written) = (self.declared, self.written);
        if written.orders != declared.orders {
            return Err(WriteError::CountDiffers { declared: declared.orders, written: written.orders });
        }
        if written.sum != declared.sum {
            return Err(WriteError::SumDiffers { declared: declared.sum, written: written.sum });
        }
        self.out.raw("\n</OrgnlPmtInfAndCxl></Undrlyg></CstmrPmtCxlReq>");
        Ok(self.out.finish()?)
    }
}

fn check_header(header: &Header<'_>) -> Result<(), WriteError> {
    check_text("Id", header.id, 35)?;
    check_text("Nm", header.assigner_name, 140)?;
    check_optional("OrgId", header.assigner_id, 35)?;
    match header.assignee {
        Agent::Bic(bic) => check_bic(bic)?,
        Agent::Member(member) => check_text("MmbId", member, 35)?,
    }
    check_amount("CtrlSum", header.control_sum)?;
    check_text("OrgnlMsgId", header.original_msg_id, 35)?;
    check_text("OrgnlMsgNmId", header.original_msg_name, 35)
}

fn write_party<W: Write>(out: &mut XmlOut<W>, header: &Header<'_>) {
    out.raw("<Pty>");
    out.leaf("Nm", header.assigner_name);
    if !header.assigner_id.is_empty() {
        out.raw("<Id><OrgId><Othr>");
        out.leaf("Id", header.assigner_id);
        out.raw("</Othr></OrgId></Id>");
    }
    out.raw("</Pty>");
}
