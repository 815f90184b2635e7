//! Writer of camt.029.001.09, the resolution of an investigation.
//!
//! Input: the case, who answers whom, then an answer for each transaction. Output: XML valid against the schema, a line per
//! transaction. Guarantee: a refused transaction leaves no byte behind. Limit: answers to transactions of one payment
//! information; one reason, by code.

use std::io::Write;

use crate::iso20022::camt029::{CancellationStatus, CaseAnswer};
use crate::iso20022::values::MessageHeader;
use crate::iso20022::xml::write::{TextProblem, WriteError, XmlOut, check_optional, check_text};

/// The message's name, as in its namespace.
pub const MESSAGE: &str = "camt.029.001.09";

/// The case, and who answers it.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// Id and time of creation.
    pub message: &'a MessageHeader,
    /// Id of the case, 1 to 35 characters.
    pub case_id: &'a str,
    /// Name of who answers, 1 to 140 characters.
    pub assigner_name: &'a str,
    /// Name of who asked, 1 to 140 characters.
    pub assignee_name: &'a str,
    /// What is said of the case as a whole.
    pub status: CancellationStatus,
    /// The payment information that the transactions were in, 1 to 35 characters.
    pub original_pmt_inf_id: &'a str,
}

/// Writes one resolution.
pub struct Camt029Writer<W> {
    out: XmlOut<W>,
}

impl<W: Write> Camt029Writer<W> {
    /// Writes everything before the transactions.
    ///
    /// # Errors
    /// A field that does not fit the schema, or a failing writer.
    pub fn begin(inner: W, header: &Header<'_>) -> Result<Self, WriteError> {
        check_text("Id", &header.message.msg_id, 35)?;
        check_text("RslvdCase/Id", header.case_id, 35)?;
        check_text("Nm", header.assigner_name, 140)?;
        check_text("Nm", header.assignee_name, 140)?;
        check_text("OrgnlPmtInfId", header.original_pmt_inf_id, 35)?;
        let created = header
            .message
            .created
            .ok_or(WriteError::Field { field: "CreDtTm", problem: TextProblem::Empty })?;
        let mut out = XmlOut::begin(inner, MESSAGE);
        out.raw("<RsltnOfInvstgtn><Assgnmt>");
        out.leaf("Id", &header.message.msg_id);
        write_party(&mut out, "Assgnr", header.assigner_name);
        write_party(&mut out, "Assgne", header.assignee_name);
        out.instant("CreDtTm", created);
        out.raw("</Assgnmt><RslvdCase>");
        out.leaf("Id", header.case_id);
        write_party(&mut out, "Cretr", header.assignee_name);
        out.raw("</RslvdCase><Sts>");
        out.leaf("Conf", confirmation(header.status)?);
        out.raw("</Sts><CxlDtls><OrgnlPmtInfAndSts>");
        out.leaf("OrgnlPmtInfId", header.original_pmt_inf_id);
        Ok(Self { out })
    }

    /// Writes what is said of one transaction, on a line of its own.
    ///
    /// # Errors
    /// A field that does not fit the schema (then nothing of it is written), or a failing writer.
    pub fn answer(&mut self, answer: &CaseAnswer) -> Result<(), WriteError> {
        check_optional("OrgnlInstrId", &answer.original_instr_id, 35)?;
        check_text("OrgnlEndToEndId", &answer.original_end_to_end_id, 35)?;
        check_optional("CxlStsRsnInf/Rsn", answer.reasons.first_code(), 4)?;
        let status = individual(answer.status)?;
        let out = &mut self.out;
        out.raw("\n<TxInfAndSts>");
        out.leaf_if("OrgnlInstrId", &answer.original_instr_id);
        out.leaf("OrgnlEndToEndId", &answer.original_end_to_end_id);
        out.leaf("TxCxlSts", status);
        if !answer.reasons.first_code().is_empty() {
            out.raw("<CxlStsRsnInf><Rsn>");
            out.leaf("Cd", answer.reasons.first_code());
            out.raw("</Rsn></CxlStsRsnInf>");
        }
        out.raw("</TxInfAndSts>");
        out.flush_full()?;
        Ok(())
    }

    /// Closes the file and gives the writer back, flushed.
    ///
    /// # Errors
    /// A failing writer.
    pub fn finish(mut self) -> Result<W, WriteError> {
        self.out.raw("</OrgnlPmtInfAndSts></CxlDtls></RsltnOfInvstgtn>");
        Ok(self.out.finish()?)
    }
}

fn write_party<W: Write>(out: &mut XmlOut<W>, element: &str, name: &str) {
    out.raw("<");
    out.raw(element);
    out.raw("><Pty>");
    out.leaf("Nm", name);
    out.raw("</Pty></");
    out.raw(element);
    out.raw(">");
}

/// The code for a case (`ExternalInvestigationExecutionConfirmation1Code`).
fn confirmation(status: CancellationStatus) -> Result<&'static str, WriteError> {
    Ok(match status {
        CancellationStatus::Accepted => "CNCL",
        CancellationStatus::Refused => "RJCR",
        CancellationStatus::Pending => "PDCR",
        CancellationStatus::Other(_) => {
            return Err(WriteError::Field { field: "Conf", problem: TextProblem::Malformed });
        }
    })
}

/// The code for a transaction (`CancellationIndividualStatus1Code`).
fn individual(status: CancellationStatus) -> Result<&'static str, WriteError> {
    Ok(match status {
        CancellationStatus::Accepted => "ACCR",
        CancellationStatus::Refused => "RJCR",
        CancellationStatus::Pending => "PDCR",
        CancellationStatus::Other(_) => {
            return Err(WriteError::Field { field: "TxCxlSts", problem: TextProblem::Malformed });
        }
    })
}
