//! Where orders stand, worked out by the database in sets: SQL that is written from the functions of [`crate::domain::step`].
//!
//! The texts read the run `r`, the open hold `h` (`order_id`), the furthest step `x` (`step`) and the batch `b` (`state`, `lane`)
//! of an order `o`, each null where there is none; [`join_each`] and [`join_in_sets`] join all but the run.

use std::fmt::Write as _;

use crate::domain::batch::{BatchState, Lane};
use crate::domain::ids::{OrderId, RunId};
use crate::domain::order::OrderState;
use crate::domain::run::RunState;
use crate::domain::step::{Step, of_batch};
use crate::store::batches::membership;

/// The state of an order, as [`crate::domain::step::stands`] says it: the furthest that a step or the batch gives comes first.
pub fn state() -> String {
    let (held, cancelled) = (OrderState::Held, OrderState::Cancelled);
    let mut sql = format!(
        "case when h.order_id is not null then '{held}' when r.state = '{}' then '{cancelled}'",
        RunState::Cancelled
    );
    for state in OrderState::ALL.iter().rev().filter(|state| **state != OrderState::Planned) {
        let conditions: Vec<String> =
            steps_to("x.step", *state).into_iter().chain(batches_to(*state)).collect();
        if !conditions.is_empty() {
            write!(sql, " when {} then '{state}'", conditions.join(" or ")).expect("a text takes all");
        }
    }
    write!(sql, " else '{}' end", OrderState::Planned).expect("a text takes all");
    sql
}

/// The state that a step takes an order to; null without a step.
pub fn state_of_step(step: &str) -> String {
    let cases = OrderState::ALL
        .iter()
        .filter_map(|state| Some(format!("when {} then '{state}'", steps_to(step, *state)?)));
    format!("case {} end", cases.collect::<Vec<_>>().join(" "))
}

/// Whether a step takes an order to a state; `None` where none does.
fn steps_to(step: &str, state: OrderState) -> Option<String> {
    is_one_of(step, Step::ALL.into_iter().filter(|s| s.state() == state).map(|s| s.number().to_string()))
}

/// Whether a step is one of these.
pub fn is_step(step: &str, of: &[Step]) -> String {
    is_one_of(step, of.iter().map(|s| s.number().to_string())).unwrap_or_else(|| "false".into())
}

/// Whether a step ended an order unpaid, by what its provider said.
pub fn is_unpaid_end(step: &str) -> String {
    format!("{step} between {} and {}", Step::Rejected.number(), Step::ReturnedBooked.number())
}

/// Whether a step ended an order unpaid, or ordered it again after. It is the condition of the index `outcome_ended`.
pub fn is_end(step: &str) -> String {
    format!("{step} >= {}", Step::Rejected.number())
}

/// Whether a step says that an order is paid, were nothing said of it after.
pub fn is_paid(step: &str) -> String {
    format!("{step} between {} and {}", Step::Settled.number(), Step::CollectedBooked.number())
}

/// Whether the batch gives an order a state: in both lanes, or in one.
fn batches_to(state: OrderState) -> Vec<String> {
    let gives = |lane, of: &BatchState| of_batch(lane, *of) == state;
    let written = |of: Vec<&BatchState>| is_one_of("b.state", of.into_iter().map(|s| format!("'{s}'")));
    let all = BatchState::ALL.iter();
    let both = all.clone().filter(|of| Lane::ALL.iter().all(|lane| gives(*lane, of))).collect();
    let alone = |lane: &Lane| {
        let others = |of: &BatchState| Lane::ALL.iter().any(|other| other != lane && gives(*other, of));
        let of = all.clone().filter(|of| gives(*lane, of) && !others(of)).collect();
        Some(format!("b.lane = '{lane}' and {}", written(of)?))
    };
    written(both).into_iter().chain(Lane::ALL.iter().filter_map(alone)).collect()
}

fn is_one_of(value: &str, list: impl Iterator<Item = String>) -> Option<String> {
    match list.collect::<Vec<_>>().as_slice() {
        [] => None,
        [one] => Some(format!("{value} = {one}")),
        several => Some(format!("{value} in ({})", several.join(", "))),
    }
}

/// Joins hold, furthest step and batch of each order, which are looked up order by order.
pub fn join_each(run: &str) -> String {
    format!(
        "left join lateral (select order_id from order_hold h where h.order_id = o.order_id and released_at is null limit 1) h on true
         left join lateral (select max(step) as step from outcome x where x.order_id = o.order_id) x on true
         {}",
        membership::join_each(run)
    )
}

/// Joins hold, furthest step and batch of each order of a run, which are read as sets.
pub fn join_in_sets(run: RunId) -> String {
    let (low, high) = OrderId::bounds(run);
    format!(
        "left join (select order_id from order_hold where released_at is null and order_id >= {low} and order_id < {high}
                     group by order_id) h on h.order_id = o.order_id
         left join (select order_id, max(step) as step from outcome_{run} group by order_id) x on x.order_id = o.order_id
         {}",
        membership::join_in_sets(run)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_written_from_steps_and_batches() {
        assert_eq!(
            state(),
            "case when h.order_id is not null then 'held' when r.state = 'cancelled' then 'cancelled' \
             when x.step = 13 then 'reissued' when x.step in (11, 12) then 'returned' when x.step = 10 then 'expired' \
             when x.step = 9 or b.lane = 'file' and b.state = 'rejected' then 'rejected' \
             when x.step in (7, 8) then 'collected' \
             when x.step in (5, 6) or b.lane = 'file' and b.state = 'settled' then 'settled' \
             when x.step = 4 then 'available' when x.step = 3 or b.lane = 'file' and b.state = 'accepted' then 'accepted' \
             when x.step = 2 then 'unknown' when x.step = 1 or b.lane = 'file' and b.state = 'sent' then 'sent' \
             when b.state in ('released', 'dispatching') or b.lane = 'stream' and b.state in ('sent', 'accepted', 'settled', 'rejected') \
             then 'released' else 'planned' end"
        );
    }

    #[test]
    fn predicates_are_what_steps_mean() {
        for step in Step::ALL {
            let (number, state) = (step.number(), step.state());
            let said = |sql: String| evaluate(&sql, number);
            use OrderState as S;
            let ended = matches!(state, S::Rejected | S::Expired | S::Returned);
            assert_eq!(said(is_unpaid_end("x")), ended, "{step:?}");
            assert_eq!(said(is_end("x")), ended || state == S::Reissued, "{step:?}");
            assert_eq!(said(is_paid("x")), matches!(state, S::Settled | S::Collected), "{step:?}");
        }
    }

    /// `x between a and b` or `x >= a`, for a number.
    fn evaluate(sql: &str, number: i16) -> bool {
        let words: Vec<&str> = sql.split(' ').collect();
        let read = |word: &str| word.parse::<i16>().expect("a number");
        match words.as_slice() {
            ["x", "between", low, "and", high] => (read(low)..=read(high)).contains(&number),
            ["x", ">=", low] => number >= read(low),
            other => panic!("{other:?}"),
        }
    }
}
