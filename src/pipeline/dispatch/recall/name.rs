//! What a recall is called at its provider.

use crate::domain::ids::RecallId;
use crate::store::orders::OrderDetail;

/// Programme, period, run and recall, at most 35 characters of `A-Z 0-9`; run and recall alone, where a bank keeps no more.
pub(super) fn message_id(detail: &OrderDetail, id: RecallId, ids_max: u8) -> String {
    let code: String = detail.programme.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    let long = format!("{}{}R{}C{id}", code.to_ascii_uppercase(), detail.period.yymm(), detail.run);
    if long.len() <= usize::from(ids_max) { long } else { format!("R{}C{id}", detail.run) }
}
