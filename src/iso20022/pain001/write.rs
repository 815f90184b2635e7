//! Writer of pain.001.001.09, the credit transfer initiation: one file, one payment information block.
//!
//! Input: a header with the declared control totals, then the transactions. Output: XML valid against the schema,
//! a line per transaction. Guarantee: no allocation per transaction; a refused transaction leaves no byte behind;
//! [`Pain001Writer::finish`] fails unless count and sum are the declared ones. Limit: the country's currency only, method TRF.

use std::io::Write;

use super::{
    Account, Agent, ChargeBearer, CreditorAccount, Header, MESSAGE, PostalAddress, Remittance, Totals,
    Transaction,
};
use crate::domain::country;
use crate::domain::money::Centimes;
use crate::iso20022::xml::write::{
    TextProblem, WriteError, XmlOut, check_amount, check_bic, check_iban, check_optional, check_text,
    check_uetr,
};

/// Writes one pain.001 file.
pub struct Pain001Writer<W> {
    out: XmlOut<W>,
    declared: Totals,
    written: Totals,
}

impl<W: Write> Pain001Writer<W> {
    /// Writes everything before the transactions.
    ///
    /// # Errors
    /// A field that does not fit the schema, or a failing writer.
    pub fn begin(inner: W, header: &Header<'_>) -> Result<Self, WriteError> {
        check_header(header)?;
        let mut out = XmlOut::begin(inner, MESSAGE);
        out.raw("<CstmrCdtTrfInitn><GrpHdr>");
        out.leaf("MsgId", header.msg_id);
        out.instant("CreDtTm", header.created);
        out.count("NbOfTxs", header.orders);
        out.sum("CtrlSum", header.control_sum);
        out.raw("<InitgPty>");
        out.leaf("Nm", header.initiating_party_name);
        if !header.initiating_party_id.is_empty() {
            out.raw("<Id><OrgId><Othr>");
            out.leaf("Id", header.initiating_party_id);
            out.raw("</Othr></OrgId></Id>");
        }
        out.raw("</InitgPty></GrpHdr><PmtInf>");
        write_payment_info(&mut out, header);
        let declared = Totals { orders: header.orders, sum: header.control_sum };
        Ok(Self { out, declared, written: Totals::default() })
    }

    /// Writes one transaction, on a line of its own.
    ///
    /// # Errors
    /// A field that does not fit the schema (then nothing of the transaction is written), more than was
    /// declared, or a failing writer.
    pub fn transaction(&mut self, transaction: &Transaction<'_>) -> Result<(), WriteError> {
        check_transaction(transaction)?;
        let orders = self.written.orders + 1;
        if orders > self.declared.orders {
            return Err(WriteError::CountDiffers { declared: self.declared.orders, written: orders });
        }
        let sum = self.written.sum.checked_add(transaction.amount).unwrap_or(Centimes::new(i64::MAX));
        if sum > self.declared.sum {
            return Err(WriteError::SumDiffers { declared: self.declared.sum, written: sum });
        }
        self.written = Totals { orders, sum };
        write_transaction(&mut self.out, transaction);
        self.out.flush_full()?;
        Ok(())
    }

    /// Closes the file and gives the writer back, flushed.
    ///
    /// # Errors
    /// When count or sum are not the declared ones, or the writer fails.
    pub fn finish(mut self) -> Result<(W, Totals), WriteError> {
        let (declared, written) = (self.declared, self.written);
        if written.orders != declared.orders {
            return Err(WriteError::CountDiffers { declared: declared.orders, written: written.orders });
        }
        if written.sum != declared.sum {
            return Err(WriteError::SumDiffers { declared: declared.sum, written: written.sum });
        }
        self.out.raw("\n</PmtInf></CstmrCdtTrfInitn>");
        Ok((self.out.finish()?, written))
    }
}

fn check_header(header: &Header<'_>) -> Result<(), WriteError> {
    check_text("MsgId", header.msg_id, 35)?;
    check_text("InitgPty/Nm", header.initiating_party_name, 140)?;
    check_optional("InitgPty/Id", header.initiating_party_id, 35)?;
    check_amount("CtrlSum", header.control_sum)?;
    if header.orders == 0 {
        return Err(WriteError::Field { field: "NbOfTxs", problem: TextProblem::Empty });
    }
    let payment = &header.payment;
    check_text("PmtInfId", payment.id, 35)?;
    check_optional("SvcLvl/Cd", payment.service_level, 4)?;
    check_optional("CtgyPurp/Cd", payment.category_purpose, 4)?;
    check_text("Dbtr/Nm", payment.debtor_name, 140)?;
    payment.debtor_address.map_or(Ok(()), check_address)?;
    check_account(payment.debtor_account)?;
    check_agent(payment.debtor_agent)
}

pub(crate) fn check_creditor_account(account: CreditorAccount<'_>) -> Result<(), WriteError> {
    match account {
        CreditorAccount::Account(account) => check_account(account),
        CreditorAccount::Proxy { kind, id } => {
            check_text("Prxy/Tp/Cd", kind, 4)?;
            check_text("Prxy/Id", id, 2048)
        }
        CreditorAccount::None => Ok(()),
    }
}

pub(crate) fn check_account(account: Account<'_>) -> Result<(), WriteError> {
    match account {
        Account::Iban(iban) => check_iban(iban),
        Account::Rib(rib) => check_text("Othr/Id", rib, 34),
    }
}

fn check_address(address: PostalAddress<'_>) -> Result<(), WriteError> {
    match address {
        PostalAddress::Country(_) => Ok(()),
        PostalAddress::Structured { street, postal_code, town, .. }
        | PostalAddress::Lines { street, postal_code, town, .. } => {
            check_text("StrtNm", street, 70)?;
            check_text("PstCd", postal_code, 16)?;
            check_text("TwnNm", town, 35)
        }
    }
}

pub(crate) fn check_agent(agent: Agent<'_>) -> Result<(), WriteError> {
    match agent {
        Agent::Bic(bic) => check_bic(bic),
        Agent::Member(member) => check_text("MmbId", member, 35),
    }
}

fn check_transaction(transaction: &Transaction<'_>) -> Result<(), WriteError> {
    check_optional("InstrId", transaction.instr_id, 35)?;
    check_text("EndToEndId", transaction.end_to_end_id, 35)?;
    transaction.uetr.map_or(Ok(()), check_uetr)?;
    check_amount("InstdAmt", transaction.amount)?;
    transaction.creditor_agent.map_or(Ok(()), check_agent)?;
    check_optional("Cdtr/Nm", transaction.creditor_name, 140)?;
    transaction.creditor_address.map_or(Ok(()), check_address)?;
    check_creditor_account(transaction.creditor_account)?;
    check_optional("Purp/Cd", transaction.purpose, 4)?;
    match transaction.remittance {
        Remittance::None => Ok(()),
        Remittance::Text(text) => check_text("RmtInf/Ustrd", text, 140),
        Remittance::Reference(reference) => check_text("RmtInf/Strd/CdtrRefInf/Ref", reference, 35),
    }
}

fn write_payment_info<W: Write>(out: &mut XmlOut<W>, header: &Header<'_>) {
    let payment = &header.payment;
    out.leaf("PmtInfId", payment.id);
    out.raw("<PmtMtd>TRF</PmtMtd>");
    out.leaf("BtchBookg", if payment.batch_booking { "true" } else { "false" });
    out.count("NbOfTxs", header.orders);
    out.sum("CtrlSum", header.control_sum);
    if !payment.category_purpose.is_empty() || !payment.service_level.is_empty() {
        out.raw("<PmtTpInf>");
        write_code(out, "<SvcLvl>", payment.service_level, "</SvcLvl>");
        write_code(out, "<CtgyPurp>", payment.category_purpose, "</CtgyPurp>");
        out.raw("</PmtTpInf>");
    }
    out.raw("<ReqdExctnDt>");
    out.date("Dt", payment.execution_date);
    out.raw("</ReqdExctnDt><Dbtr>");
    out.leaf("Nm", payment.debtor_name);
    write_address(out, payment.debtor_address);
    out.raw("</Dbtr><DbtrAcct>");
    write_account_id(out, payment.debtor_account);
    out.leaf("Ccy", country::currency());
    out.raw("</DbtrAcct><DbtrAgt>");
    write_agent(out, payment.debtor_agent);
    out.raw("</DbtrAgt>");
    if payment.charge_bearer != ChargeBearer::Unsaid {
        out.leaf("ChrgBr", payment.charge_bearer.as_str());
    }
}

/// A code within its element, where there is one.
fn write_code<W: Write>(out: &mut XmlOut<W>, open: &str, code: &str, close: &str) {
    if !code.is_empty() {
        out.raw(open);
        out.leaf("Cd", code);
        out.raw(close);
    }
}

fn write_address<W: Write>(out: &mut XmlOut<W>, address: Option<PostalAddress<'_>>) {
    let Some(address) = address else { return };
    out.raw("<PstlAdr>");
    match address {
        PostalAddress::Country(country) => out.leaf("Ctry", country),
        PostalAddress::Structured { street, postal_code, town, country } => {
            out.leaf("StrtNm", street);
            out.leaf("PstCd", postal_code);
            out.leaf("TwnNm", town);
            out.leaf("Ctry", country);
        }
        PostalAddress::Lines { street, postal_code, town, country } => {
            out.leaf("Ctry", country);
            out.leaf("AdrLine", street);
            out.leaf("AdrLine", &format!("{postal_code} {town}"));
        }
    }
    out.raw("</PstlAdr>");
}

fn write_transaction<W: Write>(out: &mut XmlOut<W>, transaction: &Transaction<'_>) {
    out.raw("\n<CdtTrfTxInf><PmtId>");
    if !transaction.instr_id.is_empty() {
        out.leaf("InstrId", transaction.instr_id);
    }
    out.leaf("EndToEndId", transaction.end_to_end_id);
    if let Some(uetr) = transaction.uetr {
        out.leaf("UETR", uetr);
    }
    out.raw("</PmtId><Amt>");
    out.amount("InstdAmt", country::currency(), transaction.amount);
    out.raw("</Amt>");
    if let Some(agent) = transaction.creditor_agent {
        out.raw("<CdtrAgt>");
        write_agent(out, agent);
        out.raw("</CdtrAgt>");
    }
    if !transaction.creditor_name.is_empty() {
        out.raw("<Cdtr>");
        out.leaf("Nm", transaction.creditor_name);
        write_address(out, transaction.creditor_address);
        out.raw("</Cdtr>");
    }
    write_creditor_account(out, transaction.creditor_account);
    write_code(out, "<Purp>", transaction.purpose, "</Purp>");
    match transaction.remittance {
        Remittance::None => {}
        Remittance::Text(text) => {
            out.raw("<RmtInf>");
            out.leaf("Ustrd", text);
            out.raw("</RmtInf>");
        }
        Remittance::Reference(reference) => {
            out.raw("<RmtInf><Strd><CdtrRefInf><Tp><CdOrPrtry><Cd>SCOR</Cd></CdOrPrtry></Tp>");
            out.leaf("Ref", reference);
            out.raw("</CdtrRefInf></Strd></RmtInf>");
        }
    }
    out.raw("</CdtTrfTxInf>");
}

pub(crate) fn write_creditor_account<W: Write>(out: &mut XmlOut<W>, account: CreditorAccount<'_>) {
    match account {
        CreditorAccount::Account(account) => {
            out.raw("<CdtrAcct>");
            write_account_id(out, account);
            out.raw("</CdtrAcct>");
        }
        CreditorAccount::Proxy { kind, id } => {
            // The schema asks for an account beside the alias; this is the standard's word for "see the alias".
            out.raw("<CdtrAcct><Id><Othr><Id>NOTPROVIDED</Id></Othr></Id><Prxy><Tp>");
            out.leaf("Cd", kind);
            out.raw("</Tp>");
            out.leaf("Id", id);
            out.raw("</Prxy></CdtrAcct>");
        }
        CreditorAccount::None => {}
    }
}

pub(crate) fn write_account_id<W: Write>(out: &mut XmlOut<W>, account: Account<'_>) {
    match account {
        Account::Iban(iban) => {
            out.raw("<Id>");
            out.leaf("IBAN", iban);
            out.raw("</Id>");
        }
        Account::Rib(rib) => {
            out.raw("<Id><Othr>");
            out.leaf("Id", rib);
            out.raw("</Othr></Id>");
        }
    }
}

pub(crate) fn write_agent<W: Write>(out: &mut XmlOut<W>, agent: Agent<'_>) {
    match agent {
        Agent::Bic(bic) => {
            out.raw("<FinInstnId>");
            out.leaf("BICFI", bic);
            out.raw("</FinInstnId>");
        }
        Agent::Member(member) => {
            out.raw("<FinInstnId><ClrSysMmbId>");
            out.leaf("MmbId", member);
            out.raw("</ClrSysMmbId></FinInstnId>");
        }
    }
}
