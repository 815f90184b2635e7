//! The list of unclaimed money for the treasury: what was rejected, returned or expired and not paid again.
//!
//! Input: all runs. Output: one CSV file, an order a line, then its sums. Guarantee: the file has its name once it is
//! whole; the sums are those of its lines. Nothing personal beyond the household id. Limit: orders stand as they stand
//! now, less what of them was found undue; `as_of` leaves out what ended later, and tells which claims have lapsed by then.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use time::Date;

use super::ReportError;
use super::files::{self, Drafts};
use crate::domain::ids::HouseholdId;
use crate::domain::money::Centimes;
use crate::domain::order::OrderState;
use crate::domain::policy::{Waits, prescribed_on};
use crate::files::csv::push_line;
use crate::pipeline::Context;
use crate::store::StoreError;
use crate::store::orders::questions;
use crate::store::orders::unpaid::{self, Unclaimed, UnclaimedOrders};
use crate::store::recovery::instalments;
use crate::store::runs::{self, Run};

const HEADER: &str = "record,programme,run,order,household_id,period,region,province,provider,attempt,state,reason,\
                      decision,waits_for,since,prescribed_on,prescribed,orders,amount\n";

/// What the list comes to.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Listed {
    /// The file.
    pub path: PathBuf,
    /// Orders.
    pub orders: u64,
    /// Their sum.
    pub amount: Centimes,
    /// Of which the claim has lapsed.
    pub prescribed_orders: u64,
    /// Their sum.
    pub prescribed_amount: Centimes,
}

/// Sums by programme, budget year, state and whether lapsed.
type Sums = BTreeMap<(String, i32, OrderState, bool), (u64, Centimes)>;

/// Writes the list to `out`; today is the day unless `as_of` is given.
///
/// # Errors
/// See [`ReportError`].
pub async fn write(context: &Context, out: &Path, as_of: Option<Date>) -> Result<Listed, ReportError> {
    let local = context.clock.now().to_offset(context.config.settings.calendar.utc_offset);
    let day = as_of.unwrap_or(local.date());
    let name = out.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = out.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut drafts = Drafts::begin(folder)?;
    let path = drafts.path(&name)?;
    let mut file = files::create(&path)?;
    file.write_all(HEADER.as_bytes()).map_err(ReportError::io(&path))?;
    let mut tx = context.store.begin().await?;
    let with_unpaid = unpaid::runs_in_tx(&mut tx, None).await?;
    let undue = instalments::undue_unpaid_in_tx(&mut tx, None).await?;
    let mut in_question = BTreeMap::new();
    for run in &with_unpaid {
        let run = runs::find_in_tx(&mut tx, *run, false).await?.ok_or(StoreError::Corrupt("run"))?;
        if let Entry::Vacant(free) = in_question.entry(run.programme_id) {
            free.insert(questions::of_programme_in_tx(&mut tx, run.programme_id).await?);
        }
    }
    tx.rollback().await.map_err(StoreError::from)?;
    let (mut sums, mut line) = (Sums::new(), Vec::new());
    for run in runs::list(&context.store).await?.iter().rev().filter(|r| with_unpaid.contains(&r.id)) {
        let mut orders = UnclaimedOrders::open(&context.store, run.id, run.snapshot);
        while let Some(mut order) = orders.next().await? {
            if let Some(undue) = undue.get(&order.order) {
                order.amount = (order.amount - undue.sum()).max(Centimes::ZERO);
            }
            if order.amount.is_zero() {
                continue;
            }
            if order.since.to_offset(local.offset()).date() > day {
                continue;
            }
            line.clear();
            let asked = HouseholdId::parse(order.household.as_bytes()).is_ok_and(|household| {
                in_question.get(&run.programme_id).is_some_and(|q| q.of_month(household, order.period))
            });
            let prescribed = push_order(context, run, &order, asked, day, &mut line);
            file.write_all(&line).map_err(ReportError::io(&path))?;
            let key = (run.programme.clone(), order.period.year(), order.state, prescribed);
            let sum = sums.entry(key).or_default();
            sum.0 += 1;
            sum.1 += order.amount;
        }
    }
    let listed = push_totals(&sums, &mut file).map_err(ReportError::io(&path))?;
    file.flush().map_err(ReportError::io(&path))?;
    drop(file);
    let path = drafts.keep()?.into_iter().next().unwrap_or_else(|| out.to_owned());
    Ok(Listed { path, ..listed })
}

/// Appends an order's line: whether its claim has lapsed.
fn push_order(
    context: &Context,
    run: &Run,
    order: &Unclaimed,
    in_question: bool,
    day: Date,
    line: &mut Vec<u8>,
) -> bool {
    let config = &context.config;
    let reason = order.reason.as_deref();
    let verdict = config.reasons.judge(order.state, reason, order.attempt);
    let (decision, waits) = match verdict.waits {
        _ if in_question => (verdict.decision.as_str(), Waits::InQuestion.as_str()),
        _ if order.put_forward && verdict.may_be_put_forward() => ("put_forward", ""),
        Some(waits) => (verdict.decision.as_str(), waits.as_str()),
        None => (verdict.decision.as_str(), ""),
    };
    let lapses = prescribed_on(order.period, config.settings.reissue.prescription_years);
    let prescribed = lapses.is_some_and(|on| on <= day);
    let offset = config.settings.calendar.utc_offset;
    let (id, run_id) = (order.order.get().to_string(), run.id.to_string());
    let (period, attempt) = (order.period.to_string(), order.attempt.to_string());
    let (since, on) = (
        order.since.to_offset(offset).date().to_string(),
        lapses.map_or_else(String::new, |d| d.to_string()),
    );
    let amount = order.amount.to_string();
    let fields = [
        "order",
        &run.programme,
        &run_id,
        &id,
        &order.household,
        &period,
        &order.region,
        &order.province,
        &order.provider,
        &attempt,
        order.state.as_str(),
        reason.unwrap_or_default(),
        decision,
        waits,
        &since,
        &on,
        if prescribed { "yes" } else { "no" },
        "1",
        &amount,
    ];
    push_line(fields, line);
    prescribed
}

/// Writes a line for each sum, and the last one over all.
fn push_totals(sums: &Sums, file: &mut impl std::io::Write) -> std::io::Result<Listed> {
    let mut listed = Listed::default();
    let mut line = Vec::new();
    let mut total =
        |programme: &str, year: &str, state: &str, lapsed: &str, orders: u64, amount: Centimes| {
            let (orders, amount) = (orders.to_string(), amount.to_string());
            let mut fields = [""; 19];
            fields[0] = "total";
            for (place, text) in
                [(1, programme), (5, year), (10, state), (16, lapsed), (17, &orders), (18, &amount)]
            {
                fields[place] = text;
            }
            push_line(fields, &mut line);
        };
    for ((programme, year, state, lapsed), (orders, amount)) in sums {
        listed.orders += orders;
        listed.amount += *amount;
        if *lapsed {
            listed.prescribed_orders += orders;
            listed.prescribed_amount += *amount;
        }
        let lapsed = if *lapsed { "yes" } else { "no" };
        total(programme, &year.to_string(), state.as_str(), lapsed, *orders, *amount);
    }
    total("", "", "", "", listed.orders, listed.amount);
    file.write_all(&line)?;
    Ok(listed)
}
