//! Writer of pacs.028.001.03 for one transfer. Guarantee: a field that does not fit is refused, and nothing written.

use super::{MESSAGE, StatusRequest};
use crate::iso20022::xml::write::{WriteError, XmlOut, check_text};

/// Writes the question.
///
/// # Errors
/// A field that does not fit the message.
pub fn write_request(request: &StatusRequest<'_>) -> Result<Vec<u8>, WriteError> {
    check_text("MsgId", request.id, 35)?;
    check_text("OrgnlEndToEndId", request.original_end_to_end_id, 35)?;
    check_text("OrgnlMsgNmId", request.original_message, 35)?;
    let mut out = XmlOut::begin(Vec::new(), MESSAGE);
    out.raw("<FIToFIPmtStsReq><GrpHdr>");
    out.leaf("MsgId", request.id);
    out.instant("CreDtTm", request.created);
    out.raw("</GrpHdr><TxInf>");
    out.leaf("StsReqId", request.id);
    out.raw("<OrgnlGrpInf>");
    out.leaf("OrgnlMsgId", request.original_end_to_end_id);
    out.leaf("OrgnlMsgNmId", request.original_message);
    out.raw("</OrgnlGrpInf>");
    out.leaf("OrgnlEndToEndId", request.original_end_to_end_id);
    out.leaf("OrgnlTxId", request.original_end_to_end_id);
    out.raw("</TxInf></FIToFIPmtStsReq>");
    Ok(out.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iso20022::testing::CREATED;

    #[test]
    fn a_question_names_the_transfer() {
        let request = StatusRequest {
            id: "Q-1",
            created: CREATED,
            original_end_to_end_id: "E-1",
            original_message: "pacs.008.001.08",
        };
        let text = String::from_utf8(write_request(&request).unwrap()).unwrap();
        assert!(text.contains("<OrgnlEndToEndId>E-1</OrgnlEndToEndId><OrgnlTxId>E-1</OrgnlTxId>"), "{text}");
        assert!(write_request(&StatusRequest { id: "", ..request }).is_err());
    }
}
