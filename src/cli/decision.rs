//! What a decision on a run came to: where the run stands, how many orders over how much, under which content, and what
//! comes next.

use super::app::App;
use super::ui::{Exit, format};
use crate::domain::ids::RunId;
use crate::domain::money::Centimes;
use crate::domain::not_found::Entity;
use crate::domain::order::OrderState;
use crate::domain::run::RunState;
use crate::pipeline::Refusal;
use crate::store::runs::{self, Run, RunTotal};

/// What was decided: `submitted`, `funded` …; the command may have come twice.
#[derive(Clone, Copy)]
pub struct Decided {
    /// In the past tense.
    pub what: &'static str,
    /// False where it had been decided before: nothing changed.
    pub now: bool,
}

/// Orders and their sum.
#[derive(Clone, Copy, Default, serde::Serialize)]
struct Part {
    orders: i64,
    amount: Centimes,
}

#[derive(serde::Serialize)]
struct Decision<'a> {
    run: RunId,
    done_now: bool,
    state: RunState,
    paused: bool,
    orders: i64,
    ordered: Centimes,
    held: Part,
    released: Part,
    content_sha256: Option<&'a str>,
    next: Option<&'a str>,
}

/// Prints what a decision came to.
///
/// # Errors
/// When the run or the database is gone.
pub async fn print(app: &App, id: RunId, decided: Decided) -> anyhow::Result<Exit> {
    let mut tx = app.context.store.begin().await?;
    let run =
        runs::find_in_tx(&mut tx, id, false).await?.ok_or_else(|| Refusal::not_found(Entity::Run, id))?;
    let totals = runs::totals_in_tx(&mut tx, id).await?;
    tx.rollback().await?;
    let (held, released) = (part(&totals, OrderState::Held), part(&totals, OrderState::Released));
    let next = next_step(&run);
    let decision = Decision {
        run: id,
        done_now: decided.now,
        state: run.state,
        paused: run.paused,
        orders: run.orders,
        ordered: run.ordered,
        held,
        released,
        content_sha256: run.content_sha256.as_deref(),
        next: next.as_deref(),
    };
    app.output.json(&decision)?;
    for line in lines(&run, &decision, decided) {
        app.output.line(&line);
    }
    Ok(Exit::Done)
}

fn part(totals: &[RunTotal], state: OrderState) -> Part {
    totals
        .iter()
        .filter(|t| t.state == state)
        .fold(Part::default(), |sum, t| Part { orders: sum.orders + t.orders, amount: sum.amount + t.amount })
}

fn lines(run: &Run, decision: &Decision<'_>, decided: Decided) -> Vec<String> {
    let sum = |part: Part| {
        format!("{} orders over {}", format::count(part.orders as u64), format::amount(part.amount))
    };
    let before = if decided.now { "" } else { " before; nothing changed" };
    let mut lines = vec![
        format!("run {} {}{before}", run.id, decided.what),
        format!("{} {} {} · {}", run.programme, run.period, run.kind, run.state),
        sum(Part { orders: run.orders, amount: run.ordered }),
    ];
    if decision.held.orders > 0 {
        lines.push(format!("held, not to leave: {}", sum(decision.held)));
    }
    if decision.released.orders > 0 {
        lines.push(format!("released, about to leave: {}", sum(decision.released)));
    }
    if let Some(hash) = decision.content_sha256 {
        lines.push(format!("content {hash}"));
    }
    if let Some(next) = decision.next {
        lines.push(format!("next: {next}"));
    }
    lines
}

/// The command that follows, and who gives it.
fn next_step(run: &Run) -> Option<String> {
    let id = run.id;
    if run.paused {
        return Some(format!("sarf run resume {id} --as ACCOUNTANT"));
    }
    Some(match run.state {
        RunState::Draft | RunState::Cancelled => return None,
        RunState::Computed => format!("sarf run check {id}, then sarf run submit {id} --as PREPARER"),
        RunState::Submitted => format!("sarf run approve {id} --as APPROVER, for exactly this content"),
        RunState::Approved => format!("sarf run fund {id} --as ACCOUNTANT"),
        RunState::Funded => format!("sarf run release {id} --as ACCOUNTANT"),
        RunState::Dispatching => format!("sarf dispatch {id}"),
        RunState::Settling => format!("sarf feedback import FOLDER, then sarf reconcile {id}"),
        RunState::Reconciled => format!("sarf run close {id} --as ACCOUNTANT"),
        RunState::Closed => format!("sarf report {id} --out FOLDER"),
    })
}
