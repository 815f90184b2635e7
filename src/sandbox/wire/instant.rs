//! The messages of an instant lane as its bank has them: pacs.008 and pacs.028 are read, pacs.002 is written.
//!
//! Limit: one transfer a message.

use crate::domain::country;
use crate::domain::money::Centimes;
use crate::iso20022::values::MessageHeader;
use crate::iso20022::xml::fault::{Limits, XmlError};
use crate::iso20022::xml::reader::XmlReader;
use crate::iso20022::xml::table::{Node, Step};
use crate::iso20022::xml::write::{WriteError, XmlOut, check_text};

/// The report's name, as in its namespace.
pub const MESSAGE: &str = "pacs.002.001.10";

/// What was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Id of the message.
    pub msg_id: String,
    /// End-to-end id of the transfer.
    pub end_to_end_id: String,
    /// Amount, of a transfer.
    pub amount: Option<Centimes>,
    /// Its currency.
    pub currency: String,
    /// Account or alias that it goes to.
    pub creditor: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    MsgId,
    EndToEndId,
    Amount,
    Creditor,
}

use Field as F;

const HEADER: Node<F> =
    Node::path("GrpHdr", &[Node::leaf("MsgId", F::MsgId)], &["CreDtTm", "NbOfTxs", "SttlmInf"]);

const CREDITOR: Node<F> = Node::path(
    "CdtrAcct",
    &[
        Node::path(
            "Id",
            &[Node::leaf("IBAN", F::Creditor), Node::path("Othr", &[Node::leaf("Id", F::Creditor)], &[])],
            &[],
        ),
        Node::path("Prxy", &[Node::leaf("Id", F::Creditor)], &["Tp"]),
    ],
    &[],
);

static TOP: Node<F> = Node::path(
    "",
    &[
        Node::path(
            "FIToFICstmrCdtTrf",
            &[
                HEADER,
                Node::path(
                    "CdtTrfTxInf",
                    &[
                        Node::path("PmtId", &[Node::leaf("EndToEndId", F::EndToEndId)], &["TxId", "UETR"]),
                        Node::leaf("IntrBkSttlmAmt", F::Amount),
                        CREDITOR,
                    ],
                    &[
                        "PmtTpInf",
                        "IntrBkSttlmDt",
                        "ChrgBr",
                        "Dbtr",
                        "DbtrAcct",
                        "DbtrAgt",
                        "CdtrAgt",
                        "Cdtr",
                    ],
                ),
            ],
            &[],
        ),
        Node::path(
            "FIToFIPmtStsReq",
            &[
                HEADER,
                Node::path(
                    "TxInf",
                    &[Node::leaf("OrgnlEndToEndId", F::EndToEndId)],
                    &["StsReqId", "OrgnlGrpInf", "OrgnlTxId"],
                ),
            ],
            &[],
        ),
    ],
    &[],
);

/// Reads a transfer or a question.
///
/// # Errors
/// Anything the hardened base refuses.
pub fn read(body: &[u8]) -> Result<Asked, XmlError> {
    let (mut xml, mut asked) = (XmlReader::new(body, Limits::default(), &TOP), Asked::default());
    loop {
        match xml.step()? {
            Step::Leaf(F::MsgId) => asked.msg_id = xml.text().to_owned(),
            Step::Leaf(F::EndToEndId) => asked.end_to_end_id = xml.text().to_owned(),
            Step::Leaf(F::Amount) => {
                // An amount that cannot be read is none.
                let _ = xml.take_amount(&mut asked.amount, &mut asked.currency);
            }
            Step::Leaf(F::Creditor) => xml.text().clone_into(&mut asked.creditor),
            Step::Open(_) | Step::Close(_) => {}
            Step::End => return Ok(asked),
        }
    }
}

/// Writes what became of a transfer.
///
/// # Errors
/// A field that does not fit the message.
pub fn write_report(
    header: &MessageHeader,
    asked: &Asked,
    (status, reason): (&str, Option<&str>),
    amount: Option<Centimes>,
) -> Result<Vec<u8>, WriteError> {
    check_text("MsgId", &header.msg_id, 35)?;
    check_text("OrgnlEndToEndId", &asked.end_to_end_id, 35)?;
    let mut out = XmlOut::begin(Vec::new(), MESSAGE);
    out.raw("<FIToFIPmtStsRpt><GrpHdr>");
    out.leaf("MsgId", &header.msg_id);
    if let Some(created) = header.created {
        out.instant("CreDtTm", created);
    }
    out.raw("</GrpHdr><TxInfAndSts><OrgnlGrpInf>");
    out.leaf("OrgnlMsgId", &asked.end_to_end_id);
    out.leaf("OrgnlMsgNmId", crate::iso20022::pacs008::MESSAGE);
    out.raw("</OrgnlGrpInf>");
    out.leaf("OrgnlEndToEndId", &asked.end_to_end_id);
    out.leaf("TxSts", status);
    if let Some(reason) = reason {
        out.raw("<StsRsnInf><Rsn>");
        out.leaf("Cd", reason);
        out.raw("</Rsn></StsRsnInf>");
    }
    if let Some(amount) = amount {
        out.raw("<OrgnlTxRef>");
        out.amount("IntrBkSttlmAmt", country::currency(), amount);
        out.raw("</OrgnlTxRef>");
    }
    out.raw("</TxInfAndSts></FIToFIPmtStsRpt>");
    Ok(out.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iso20022::pacs008::InstantTransfer;
    use crate::iso20022::pain001::{Account, Agent, CreditorAccount};
    use time::macros::{date, datetime};

    #[test]
    fn what_is_sent_is_read() {
        let transfer = InstantTransfer {
            end_to_end_id: "E1",
            uetr: "6f0a2c1e-7c54-4f5e-9d0e-0123456789ab",
            created: datetime!(2026-11-24 09:00 UTC),
            settlement_date: date!(2026 - 11 - 24),
            amount: Centimes::new(50_000),
            debtor_name: "Agence",
            debtor_id: "ANSS",
            debtor_account: Account::Rib("001810007800020110620318"),
            debtor_agent: Agent::Member("001"),
            creditor_agent: Agent::Bic("BKAMMAMR"),
            creditor_name: "Exemple",
            creditor_account: CreditorAccount::Account(Account::Iban("MA64011519000001205000534921")),
        };
        let asked = read(&crate::iso20022::pacs008::write::write_transfer(&transfer).unwrap()).unwrap();
        let expected = Asked {
            msg_id: "E1".into(),
            end_to_end_id: "E1".into(),
            amount: Some(Centimes::new(50_000)),
            currency: "MAD".into(),
            creditor: "MA64011519000001205000534921".into(),
        };
        assert_eq!(asked, expected);
    }
}
