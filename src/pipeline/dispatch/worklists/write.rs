//! A work list's bytes: newline-delimited JSON, gzip.
//!
//! Output: a head line, then a line for each order. Guarantee: the same orders and head give the same bytes.

use std::io::Write as _;

use flate2::{Compression, GzBuilder};
use serde::Serialize;
use time::{Date, OffsetDateTime};

use crate::config::Config;
use crate::domain::country;
use crate::domain::household::Means;
use crate::domain::order::{OrderKey, OrderNames};
use crate::domain::person::{Cin, Phone};
use crate::domain::provider::Provider;
use crate::rails::stream::wire::{WireOrder, WirePayee};
use crate::store::StoreError;
use crate::store::messages::worklists::ListedOrder;

/// What a list says of itself.
pub(super) struct Head<'a> {
    pub(super) provider: &'a Provider,
    pub(super) point: &'a str,
    pub(super) day: Date,
    pub(super) number: i32,
    pub(super) made_at: OffsetDateTime,
    /// Day after which an order of the list must not be paid.
    pub(super) expires: Date,
}

#[derive(Serialize)]
struct HeadLine<'a> {
    list: ListLine<'a>,
}

#[derive(Serialize)]
struct ListLine<'a> {
    provider: &'a str,
    point: &'a str,
    day: String,
    number: i32,
    orders: usize,
    amount: i64,
    expires: String,
    #[serde(with = "time::serde::rfc3339")]
    made_at: OffsetDateTime,
}

#[derive(Serialize)]
struct OrderLine {
    #[serde(flatten)]
    order: WireOrder,
    status: &'static str,
    fee: i64,
    net: i64,
}

/// Writes a list; `programmes` are those of the orders, in their order.
///
/// # Errors
/// When an order's programme is not configured any more.
pub(super) fn list(
    config: &Config,
    head: &Head<'_>,
    orders: &[(ListedOrder, &'static str)],
    programmes: &[String],
) -> Result<Vec<u8>, StoreError> {
    // No time in the gzip header: the bytes follow from what is listed.
    let mut out = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    let list = ListLine {
        provider: head.provider.code.as_str(),
        point: head.point,
        day: head.day.to_string(),
        number: head.number,
        orders: orders.len(),
        amount: orders.iter().map(|(order, _)| order.amount.get()).sum(),
        expires: head.expires.to_string(),
        made_at: head.made_at,
    };
    line(&mut out, &HeadLine { list });
    for ((order, status), programme) in orders.iter().zip(programmes) {
        let programme = config.programme(programme).ok_or(StoreError::Corrupt("programme of a run"))?;
        let fee = head.provider.fee(order.amount);
        let wire = wire_order(programme.rules.code(), order);
        let net = (order.amount - fee).get();
        line(&mut out, &OrderLine { order: wire, status, fee: fee.get(), net });
    }
    Ok(out.finish().expect("memory takes all bytes"))
}

fn line(out: &mut flate2::write::GzEncoder<Vec<u8>>, line: &impl Serialize) {
    serde_json::to_writer(&mut *out, line).expect("a line is JSON, and memory takes all bytes");
    out.write_all(b"\n").expect("memory takes all bytes");
}

/// The order with no more than its means needs.
fn wire_order(programme: &crate::domain::ids::Code, order: &ListedOrder) -> WireOrder {
    let names = OrderNames::of(&OrderKey {
        programme,
        period: order.period,
        household: order.household,
        purpose: &order.purpose,
        attempt: order.attempt,
    });
    let (mut key, mut uetr) = (String::new(), String::new());
    names.write_end_to_end(programme, order.period, order.id, &mut key);
    names.write_uetr(&mut uetr);
    let at_counter = order.means == Means::Cash;
    WireOrder {
        key,
        uetr,
        amount: order.amount.get(),
        currency: country::currency().into(),
        means: order.means,
        payee: WirePayee {
            name: order.payee.name.clone(),
            phone: order.payee.phone.map(Phone::reveal),
            account: (!order.payee.account.is_empty()).then(|| order.payee.account.clone()),
            cin: order.cin.as_ref().filter(|_| at_counter).map(|cin| Cin::reveal(cin).to_owned()),
        },
    }
}
