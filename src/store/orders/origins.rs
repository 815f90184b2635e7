//! What `sarf verify` asks of orders that are not made from their list alone: each beside what it was made from.
//!
//! | kind of run | made from |
//! |---|---|
//! | reissue | the order before it: claim, amount, reasons |
//! | correction | the household's corrections, less what came off cases, and what complaints gave back |
//! | birth grant, deposit | the payments for its children |
//!
//! Guarantee: every order of the run and everything that should have made one is compared; what is kept back is what its
//! instalments say. Limit: an order of an event is not among them: of events the hash of their content is kept, not the content.

use sqlx::AssertSqlSafe;
use time::Date;

use crate::domain::run::RunKind;
use crate::store::runs::Run;
use crate::store::{Store, StoreError, orders};

/// Rows that are named.
const NAMED_MAX: i64 = 20;

/// An order that is not what it was made from.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Differing {
    /// Which; none where the order itself is missing.
    pub order_id: Option<i64>,
    /// `missing`, `stray`, `claim`, `due`, `reasons`, `kept`, `sum`.
    pub fault: String,
    /// What is ordered as due, in centimes.
    pub ordered: Option<i64>,
    /// What it was made from comes to, in centimes, where that is an amount.
    pub due: Option<i64>,
    /// How many differ in all.
    pub wrong: i64,
}

/// The orders that should be there, by what they are made from: `order_id`, `household_id`, `period`, `purpose_id`, `attempt`, `due`,
/// `components`.
fn made_from(run: &Run) -> Option<String> {
    let (id, period, leaf) = (run.id, run.period.index(), orders::leaf(run.id));
    match run.kind {
        // The tables of orders are never read whole.
        RunKind::Reissue => Some(format!(
            "select l.order_id, o.household_id, o.period, o.purpose_id, o.attempt + 1 as attempt, o.amount::numeric as due, o.components
               from order_reissue l cross join lateral (select x.* from payment_order x where x.order_id = l.of_order offset 0) o
              where l.run_id = {id} and l.live"
        )),
        RunKind::Correction => Some(format!(
            "select o.order_id, c.household_id, {period} as period, null::smallint as purpose_id, 1 as attempt, c.due, null::bytea as components
               from (select household_id, sum(amount) as due from (
                         select household_id, difference - off_case as amount from correction where run_id = {id} and difference > off_case
                         union all
                         select k.household_id, f.amount from recovery_refund f join recovery_case k on k.id = f.case_id where f.run_id = {id}) a
                      group by 1) c
               left join {leaf} o using (household_id)"
        )),
        RunKind::BirthGrant | RunKind::Deposit => Some(format!(
            "select order_id, min(household_id) as household_id, {period} as period, min(purpose_id) as purpose_id, 1 as attempt,
                    sum(amount) as due, null::bytea as components
               from child_payment where run_id = {id} group by order_id"
        )),
        RunKind::Regular | RunKind::OffCycle => None,
    }
}

/// Orders of a run that are not what they were made from, the first of them; `None` for a run whose orders are made otherwise.
pub async fn differing(store: &Store, run: &Run) -> Result<Option<Vec<Differing>>, StoreError> {
    let Some(made_from) = made_from(run) else { return Ok(None) };
    let sql = format!(
        "with made as ({made_from}),
              kept as (select order_id, sum(amount) as amount from recovery_instalment where run_id = {id} group by 1),
              seen as (
                  select coalesce(o.order_id, m.order_id) as order_id, o.entitled as ordered, m.due,
                         case when o.order_id is null then 'missing'
                              when m.household_id is null then 'stray'
                              when (o.household_id, o.period, o.attempt::int) is distinct from (m.household_id, m.period, m.attempt)
                                   or o.purpose_id <> m.purpose_id then 'claim'
                              when o.entitled <> m.due then 'due'
                              when o.components <> m.components then 'reasons'
                              when o.offset_amount <> coalesce(k.amount, 0) then 'kept'
                              when o.amount <> o.entitled::numeric - o.offset_amount then 'sum' end as fault
                    from {leaf} o full join made m on m.order_id = o.order_id left join kept k on k.order_id = o.order_id)
         select order_id, fault, ordered, case when abs(due) < 1000000000000000 then due::bigint end as due, count(*) over () as wrong
           from seen where fault is not null order by order_id nulls last limit {NAMED_MAX}",
        id = run.id,
        leaf = orders::leaf(run.id),
    );
    Ok(Some(sqlx::query_as(AssertSqlSafe(sql)).persistent(false).fetch_all(store.pool()).await?))
}

/// A child's grant as an order pays it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Granted {
    /// The order.
    pub order_id: i64,
    /// The child's rank.
    pub rank: Option<i16>,
    /// What is paid for it, in centimes.
    pub amount: i64,
    /// When it was claimed, by the list; none where the list has no such claim.
    pub claimed_on: Option<Date>,
}

/// All grants of a run beside their claims in the list that it was made from.
pub async fn granted(store: &Store, run: &Run) -> Result<Vec<Granted>, StoreError> {
    Ok(sqlx::query_as(
        "select p.order_id, p.rank, p.amount, c.claimed_on from child_payment p
           left join birth_claim c on c.snapshot_id = $2 and c.household_id = p.household_id and c.child_key = p.child_key
                                  and c.rank = p.rank
          where p.run_id = $1 order by p.order_id, p.rank",
    )
    .bind(run.id.get())
    .bind(run.snapshot.get())
    .fetch_all(store.pool())
    .await?)
}
