//! Breaks: what feedback or reconciliation could not explain, each in its queue until a person resolves it.

use std::collections::HashSet;

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use time::OffsetDateTime;

use super::break_steps;
use crate::domain::breaks::{BreakSource, BreakState, BreakStep, PostTo};
use crate::domain::ids::{BatchId, BreakId, HouseholdId, MessageId, OrderId, RunId};
use crate::domain::money::Centimes;
use crate::domain::reason::BreakKind;
use crate::store::orders::personal;
use crate::store::{Store, StoreError};

/// A break to be opened. `key` names the fact, so that finding it again opens nothing.
#[derive(Clone, Debug)]
pub struct NewBreak {
    /// Queue.
    pub kind: BreakKind,
    /// What is one fact.
    pub key: String,
    /// Run, where known.
    pub run: Option<RunId>,
    /// Provider number, where known.
    pub provider: Option<i16>,
    /// Batch, where known.
    pub batch: Option<BatchId>,
    /// Order, where known.
    pub order: Option<OrderId>,
    /// Message it came in.
    pub message: Option<MessageId>,
    /// Entry of the message, from 1.
    pub entry: Option<u64>,
    /// Amount in question; where none is stated and the break is about one order, that of the order is kept.
    pub amount: Option<Centimes>,
    /// What of it stands in suspense: above zero went out of the account, below came in.
    pub suspense: Centimes,
    /// What was found, without anything personal.
    pub detail: String,
    /// What a person needs to ask the bank about it.
    pub source: Option<Box<BreakSource>>,
}

/// Opens breaks: how many are open that were not. One that was explained by rule and is found again opens again; one that
/// a person resolved stays resolved.
pub async fn open_in_tx(
    connection: &mut PgConnection,
    breaks: &[NewBreak],
    at: OffsetDateTime,
) -> Result<u64, StoreError> {
    let mut opened = 0;
    for chunk in breaks.chunks(1_000) {
        let column =
            |pick: fn(&NewBreak) -> Option<i64>| chunk.iter().map(pick).collect::<Vec<Option<i64>>>();
        let rows: Vec<(i64, bool)> = sqlx::query_as(
            "insert into break (kind, dedup_key, run_id, provider_id, batch_id, order_id, message_id, entry, amount, suspense,
                                detail, opened_at, household_id, source)
             select distinct on (d) k, d, r, p, b, o, m, e, coalesce(a, (select x.amount from payment_order x where x.order_id = o)),
                    s, t, $12, case when k = $13 then (select x.household_id from payment_order x where x.order_id = o) end, c
               from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                           $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $14::bytea[]) with ordinality
                    as t(k, d, r, p, b, o, m, e, a, s, t, c, place) order by d, place
             on conflict (dedup_key) do update set resolved_at = null, resolved_by = null, resolution = null
              where break.resolved_by = 'sarf' and break.posted_to is null
             returning id, xmax::text <> '0'",
        )
        .bind(chunk.iter().map(|b| b.kind.as_str()).collect::<Vec<_>>())
        .bind(chunk.iter().map(|b| b.key.as_str()).collect::<Vec<_>>())
        .bind(column(|b| b.run.map(RunId::get)))
        .bind(column(|b| b.provider.map(i64::from)))
        .bind(column(|b| b.batch.map(BatchId::get)))
        .bind(column(|b| b.order.map(OrderId::get)))
        .bind(column(|b| b.message.map(MessageId::get)))
        .bind(column(|b| b.entry.map(|e| e as i64)))
        .bind(column(|b| b.amount.map(Centimes::get)))
        .bind(chunk.iter().map(|b| b.suspense.get()).collect::<Vec<_>>())
        .bind(chunk.iter().map(|b| b.detail.as_str()).collect::<Vec<_>>())
        .bind(at)
        .bind(BreakKind::PayeeInDoubt.as_str())
        .bind(chunk.iter().map(|b| b.source.as_deref().map(personal::encode_source)).collect::<Vec<_>>())
        .fetch_all(&mut *connection)
        .await?;
        opened += rows.len() as u64;
        let again: Vec<i64> = rows.into_iter().filter_map(|(id, again)| again.then_some(id)).collect();
        break_steps::by_rule_in_tx(
            connection,
            &again,
            BreakStep::Recur,
            "what explained it no longer holds",
            at,
        )
        .await?;
    }
    Ok(opened)
}

/// Households whose payee is in doubt, by breaks that nobody has resolved.
pub async fn doubted_households_in_tx(
    connection: &mut PgConnection,
) -> Result<HashSet<HouseholdId>, StoreError> {
    let ids: Vec<String> = sqlx::query_scalar(
        "select distinct household_id from break
          where kind = 'payee_in_doubt' and resolved_at is null and household_id is not null",
    )
    .fetch_all(connection)
    .await?;
    let parse =
        |id: String| HouseholdId::parse(id.as_bytes()).map_err(|_| StoreError::Corrupt("household id"));
    ids.into_iter().map(parse).collect()
}

/// The open break over the payee of an order.
pub async fn doubt_of_order_in_tx(
    connection: &mut PgConnection,
    order: OrderId,
) -> Result<Option<BreakId>, StoreError> {
    let id: Option<i64> =
        sqlx::query_scalar("select id from break where order_id = $1 and kind = $2 and resolved_at is null")
            .bind(order.get())
            .bind(BreakKind::PayeeInDoubt.as_str())
            .fetch_optional(connection)
            .await?;
    Ok(id.map(BreakId::new))
}

/// The first open break over the payee of an order's household, whichever of its orders the doubt came with.
pub async fn doubt_of_household_in_tx(
    connection: &mut PgConnection,
    order: OrderId,
) -> Result<Option<BreakId>, StoreError> {
    let id: Option<i64> = sqlx::query_scalar(
        "select min(id) from break where kind = $2 and resolved_at is null
            and household_id = (select household_id from payment_order where order_id = $1)",
    )
    .bind(order.get())
    .bind(BreakKind::PayeeInDoubt.as_str())
    .fetch_one(connection)
    .await?;
    Ok(id.map(BreakId::new))
}

/// Whether a fact was found before, whatever became of it.
pub async fn is_known_in_tx(connection: &mut PgConnection, key: &str) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar("select exists (select from break where dedup_key = $1)")
        .bind(key)
        .fetch_one(connection)
        .await?)
}

/// A break.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Break {
    /// Number.
    pub id: BreakId,
    /// Queue.
    pub kind: BreakKind,
    /// Where it stands.
    pub state: BreakState,
    /// Run.
    pub run: Option<RunId>,
    /// Provider number.
    #[serde(skip)]
    pub provider_id: Option<i16>,
    /// Provider.
    pub provider: Option<String>,
    /// Order.
    #[serde(serialize_with = "write_number")]
    pub order: Option<OrderId>,
    /// Message and entry.
    pub message: Option<MessageId>,
    /// Entry of the message.
    pub entry: Option<i64>,
    /// Amount.
    pub amount: Option<Centimes>,
    /// What of it the break put into suspense.
    pub suspense: Centimes,
    /// Where that went with the resolution: an account, or to the orders that explained it.
    pub posted_to: Option<String>,
    /// What was found.
    pub detail: String,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub opened_at: OffsetDateTime,
    /// Who resolved it, or proposed how.
    pub resolved_by: Option<String>,
    /// The second person, where one was asked for.
    pub confirmed_by: Option<String>,
    /// How it is resolved, or would be.
    pub resolution: Option<String>,
    /// Where its money would go, as proposed.
    pub proposed_post: Option<PostTo>,
    /// The file that the message came in.
    pub file: Option<String>,
    /// What a person needs to ask the bank about it.
    pub source: Option<BreakSource>,
}

fn write_number<S: serde::Serializer>(order: &Option<OrderId>, serializer: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&order.map(OrderId::get), serializer)
}

const SELECT: &str = "select b.id, b.kind, case when b.resolved_at is not null then 'resolved'
           when b.proposed_at is not null then 'proposed' else 'open' end, b.run_id, b.provider_id, p.code, b.order_id,
       b.message_id, b.entry, b.amount, b.suspense, b.posted_to, b.detail, b.opened_at,
       coalesce(b.resolved_by, b.proposed_by), b.confirmed_by, coalesce(b.resolution, b.proposed_why), b.proposed_post,
       m.file_name, b.source
  from break b left join provider p on p.id = b.provider_id left join message m on m.id = b.message_id";

fn read(row: &PgRow) -> Result<Break, StoreError> {
    let (kind, state, post): (String, String, Option<String>) =
        (row.try_get(1)?, row.try_get(2)?, row.try_get(17)?);
    let post =
        post.map(|p| PostTo::parse(&p).ok_or(StoreError::Corrupt("posting of a break"))).transpose()?;
    Ok(Break {
        id: BreakId::new(row.try_get(0)?),
        kind: BreakKind::parse(&kind).ok_or(StoreError::Corrupt("kind of a break"))?,
        state: BreakState::parse(&state).ok_or(StoreError::Corrupt("state of a break"))?,
        run: row.try_get::<Option<i64>, _>(3)?.map(RunId::new),
        provider_id: row.try_get(4)?,
        provider: row.try_get(5)?,
        order: row.try_get::<Option<i64>, _>(6)?.map(OrderId::new),
        message: row.try_get::<Option<i64>, _>(7)?.map(MessageId::new),
        entry: row.try_get(8)?,
        amount: row.try_get::<Option<i64>, _>(9)?.map(Centimes::new),
        suspense: Centimes::new(row.try_get(10)?),
        posted_to: row.try_get(11)?,
        detail: row.try_get(12)?,
        opened_at: row.try_get(13)?,
        resolved_by: row.try_get(14)?,
        confirmed_by: row.try_get(15)?,
        resolution: row.try_get(16)?,
        proposed_post: post,
        file: row.try_get::<Option<String>, _>(18)?.filter(|name| !name.is_empty()),
        source: row
            .try_get::<Option<Vec<u8>>, _>(19)?
            .map(|bytes| personal::decode_source(&bytes))
            .transpose()?,
    })
}

/// Which breaks are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// A run's own.
    pub run: Option<RunId>,
    /// Of one queue.
    pub kind: Option<BreakKind>,
    /// Opened before.
    pub before: Option<OffsetDateTime>,
    /// Resolved ones too.
    pub resolved: bool,
}

/// Breaks, oldest first.
pub async fn list(store: &Store, filter: Filter) -> Result<Vec<Break>, StoreError> {
    let sql = format!(
        "{SELECT} where ($1::bigint is null or b.run_id = $1) and ($2::text is null or b.kind = $2)
            and ($3::timestamptz is null or b.opened_at < $3) and ($4 or b.resolved_at is null) order by b.opened_at, b.id"
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(filter.run.map(RunId::get))
        .bind(filter.kind.map(BreakKind::as_str))
        .bind(filter.before)
        .bind(filter.resolved)
        .fetch_all(store.pool())
        .await?;
    rows.iter().map(read).collect()
}

/// A break by its number.
pub async fn find(store: &Store, id: BreakId) -> Result<Option<Break>, StoreError> {
    let sql = format!("{SELECT} where b.id = $1");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id.get()).fetch_optional(store.pool()).await?;
    row.as_ref().map(read).transpose()
}

/// A break by its number, its row locked.
pub async fn find_in_tx(connection: &mut PgConnection, id: BreakId) -> Result<Option<Break>, StoreError> {
    let sql = format!("{SELECT} where b.id = $1 for update of b");
    let row = sqlx::query(AssertSqlSafe(sql)).bind(id.get()).fetch_optional(connection).await?;
    row.as_ref().map(read).transpose()
}

/// Figures of one queue.
#[derive(Clone, Copy, Debug)]
pub struct QueueFigures {
    /// Which.
    pub kind: BreakKind,
    /// Open breaks, proposed ones among them.
    pub open: i64,
    /// Those whose resolution waits for a second person.
    pub proposed: i64,
    /// When the oldest was opened.
    pub oldest: OffsetDateTime,
    /// Sum of their amounts, whatever the direction.
    pub amount: Centimes,
    /// What of it stands in suspense; below zero, more came in than went out.
    pub suspense: Centimes,
}

/// Queues that are not empty, of all runs.
pub async fn queues(store: &Store) -> Result<Vec<QueueFigures>, StoreError> {
    let rows: Vec<(String, i64, i64, OffsetDateTime, i64, i64)> = sqlx::query_as(
        "select kind, count(*), count(proposed_at), min(opened_at), coalesce(sum(abs(amount)), 0)::bigint, sum(suspense)::bigint
           from break where resolved_at is null group by 1 order by 1",
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|(kind, open, proposed, oldest, amount, suspense)| {
            Ok(QueueFigures {
                kind: BreakKind::parse(&kind).ok_or(StoreError::Corrupt("kind of a break"))?,
                open,
                proposed,
                oldest,
                amount: Centimes::new(amount),
                suspense: Centimes::new(suspense),
            })
        })
        .collect()
}

/// Open breaks that concern a run: its own, and those of providers it uses that belong to no run. One whose resolution
/// waits for a second person is open; one that does not keep the books open is not counted.
pub async fn open_count_in_tx(connection: &mut PgConnection, run: RunId) -> Result<i64, StoreError> {
    let aside: Vec<&str> =
        BreakKind::ALL.iter().filter(|kind| !kind.keeps_books_open()).map(|kind| kind.as_str()).collect();
    Ok(sqlx::query_scalar(
        "select count(*) from break b where resolved_at is null and kind <> all($2) and (run_id = $1 or (run_id is null
            and (provider_id is null or provider_id in (select provider_id from batch where run_id = $1))))",
    )
    .bind(run.get())
    .bind(aside)
    .fetch_one(connection)
    .await?)
}

/// Runs that a break concerns, in the sense of [`open_count_in_tx`], and whose books are not closed.
pub async fn concerned_runs_in_tx(
    connection: &mut PgConnection,
    found: &Break,
) -> Result<Vec<RunId>, StoreError> {
    if !found.kind.keeps_books_open() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = sqlx::query_scalar(
        "select id from run where state in ('dispatching', 'settling', 'reconciled') and (id = $1 or ($1 is null
            and ($2::smallint is null or id in (select run_id from batch where provider_id = $2)))) order by id",
    )
    .bind(found.run.map(RunId::get))
    .bind(found.provider_id)
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(RunId::new).collect())
}

/// Marks the open breaks of a run that is closed as carried forward: how many.
pub async fn carry_open_in_tx(connection: &mut PgConnection, run: RunId) -> Result<i64, StoreError> {
    let sql = "update break set carried = true where run_id = $1 and resolved_at is null";
    let carried = sqlx::query(sql).bind(run.get()).execute(connection).await?;
    Ok(carried.rows_affected() as i64)
}
