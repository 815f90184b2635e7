//! Writer of pacs.008.001.08 for one instant transfer.
//!
//! Input: the transfer. Output: a message of one line. Guarantee: a field that does not fit is refused, and nothing written. Limit:
//! settlement through the clearing, local instrument `INST`, each party its own charges.

use super::{InstantTransfer, MESSAGE};
use crate::domain::country;
use crate::iso20022::pain001::write::{
    check_account, check_agent, check_creditor_account, write_account_id, write_agent, write_creditor_account,
};
use crate::iso20022::xml::write::{WriteError, XmlOut, check_amount, check_optional, check_text, check_uetr};

/// Writes the transfer.
///
/// # Errors
/// A field that does not fit the message.
pub fn write_transfer(transfer: &InstantTransfer<'_>) -> Result<Vec<u8>, WriteError> {
    check(transfer)?;
    let mut out = XmlOut::begin(Vec::new(), MESSAGE);
    out.raw("<FIToFICstmrCdtTrf><GrpHdr>");
    out.leaf("MsgId", transfer.end_to_end_id);
    out.instant("CreDtTm", transfer.created);
    out.count("NbOfTxs", 1);
    out.raw("<SttlmInf><SttlmMtd>CLRG</SttlmMtd></SttlmInf></GrpHdr><CdtTrfTxInf><PmtId>");
    out.leaf("EndToEndId", transfer.end_to_end_id);
    out.leaf("TxId", transfer.end_to_end_id);
    out.leaf("UETR", transfer.uetr);
    out.raw("</PmtId><PmtTpInf><LclInstrm><Cd>INST</Cd></LclInstrm></PmtTpInf>");
    out.amount("IntrBkSttlmAmt", country::currency(), transfer.amount);
    out.date("IntrBkSttlmDt", transfer.settlement_date);
    out.raw("<ChrgBr>SLEV</ChrgBr><Dbtr>");
    out.leaf("Nm", transfer.debtor_name);
    if !transfer.debtor_id.is_empty() {
        out.raw("<Id><OrgId><Othr>");
        out.leaf("Id", transfer.debtor_id);
        out.raw("</Othr></OrgId></Id>");
    }
    out.raw("</Dbtr><DbtrAcct>");
    write_account_id(&mut out, transfer.debtor_account);
    out.raw("</DbtrAcct><DbtrAgt>");
    write_agent(&mut out, transfer.debtor_agent);
    out.raw("</DbtrAgt><CdtrAgt>");
    write_agent(&mut out, transfer.creditor_agent);
    out.raw("</CdtrAgt><Cdtr>");
    out.leaf("Nm", transfer.creditor_name);
    out.raw("</Cdtr>");
    write_creditor_account(&mut out, transfer.creditor_account);
    out.raw("</CdtTrfTxInf></FIToFICstmrCdtTrf>");
    Ok(out.finish()?)
}

fn check(transfer: &InstantTransfer<'_>) -> Result<(), WriteError> {
    check_text("EndToEndId", transfer.end_to_end_id, 35)?;
    check_uetr(transfer.uetr)?;
    check_amount("IntrBkSttlmAmt", transfer.amount)?;
    check_text("Dbtr/Nm", transfer.debtor_name, 140)?;
    check_optional("Dbtr/Id", transfer.debtor_id, 35)?;
    check_account(transfer.debtor_account)?;
    check_agent(transfer.debtor_agent)?;
    check_agent(transfer.creditor_agent)?;
    check_text("Cdtr/Nm", transfer.creditor_name, 140)?;
    check_creditor_account(transfer.creditor_account)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Centimes;
    use crate::iso20022::pain001::{Account, Agent, CreditorAccount};
    use crate::iso20022::testing::{CREATED, DAY, uetr};

    #[test]
    fn a_transfer_is_one_message() {
        let reference = uetr(1);
        let transfer = InstantTransfer {
            end_to_end_id: "E-1",
            uetr: &reference,
            created: CREATED,
            settlement_date: DAY,
            amount: Centimes::new(50_000),
            debtor_name: "Agence & Co",
            debtor_id: "ANSS",
            debtor_account: Account::Rib("001810007800020110620318"),
            debtor_agent: Agent::Member("001"),
            creditor_agent: Agent::Bic("BKAMMAMR"),
            creditor_name: "Exemple",
            creditor_account: CreditorAccount::Account(Account::Iban("MA64011519000001205000534921")),
        };
        let text = String::from_utf8(write_transfer(&transfer).unwrap()).unwrap();
        for part in [
            "urn:iso:std:iso:20022:tech:xsd:pacs.008.001.08",
            "<MsgId>E-1</MsgId><CreDtTm>2026-11-22T10:00:00Z</CreDtTm><NbOfTxs>1</NbOfTxs>",
            "<IntrBkSttlmAmt Ccy=\"MAD\">500.00</IntrBkSttlmAmt>",
            "<Nm>Agence &amp; Co</Nm>",
            "<CdtrAgt><FinInstnId><BICFI>BKAMMAMR</BICFI></FinInstnId></CdtrAgt><Cdtr><Nm>Exemple</Nm></Cdtr><CdtrAcct>",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let refused = |transfer: InstantTransfer<'_>| write_transfer(&transfer).unwrap_err().to_string();
        assert!(refused(InstantTransfer { creditor_name: "", ..transfer }).contains("Cdtr/Nm"));
        assert!(refused(InstantTransfer { uetr: "x", ..transfer }).contains("UETR"));
        assert!(refused(InstantTransfer { amount: Centimes::ZERO, ..transfer }).contains("IntrBkSttlmAmt"));
    }
}
