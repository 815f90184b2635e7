//! Claims of birth grants, household by household: one order for a household, with a line for each child.

use sqlx::PgConnection;

use super::Rows;
use crate::domain::entitlement::{Component, GrantAssessor};
use crate::domain::household::Household;
use crate::pipeline::orders::OrderError;
use crate::pipeline::orders::compare::Comparison;
use crate::pipeline::orders::correction::{Arrears, Differences};
use crate::pipeline::orders::maker::{Computed, Inputs, Maker};
use crate::store::copy::CopyAhead;
use crate::store::orders::personal;
use crate::store::registry::children::{self, ClaimRow, NewPayment};

/// The claims of one household that are paid.
struct Granted {
    household: Household,
    lines: Vec<Component>,
    children: Vec<[u8; 16]>,
}

/// Judges all claims of the list.
pub(super) async fn pass(tx: &mut PgConnection, inputs: &Inputs<'_>) -> Result<Computed, OrderError> {
    let stage = inputs.context.telemetry.stage("grant", "claims", Some(inputs.snapshot.claims as u64));
    let assessor = GrantAssessor::new(&inputs.programme.rules, inputs.period)?;
    let source = children::claims_source(inputs.snapshot.id, inputs.programme_id, inputs.purpose);
    let mut claims = CopyAhead::open(inputs.context.store.pool(), source);
    let mut orders = Arrears::open(inputs).await?;
    let (mut maker, mut rows) = (Maker::new(inputs), Rows::default());
    let (mut open, mut seen) = (None::<Granted>, 0u64);
    while let Some(mut row) = claims.next().await? {
        let ClaimRow { claim, household, mut paid } = children::read_claim(&mut row)?;
        seen += 1;
        if let Some(done) = open.take_if(|granted| granted.household.id != household.id) {
            order(inputs, &mut maker, &mut orders, &mut rows, done).await?;
            if maker.is_full() || rows.is_full() {
                rows.send_in_tx(tx, &mut maker, inputs.run).await?;
            }
        }
        // Ranks that other claims of this list were granted are taken too.
        paid.ranks.extend(open.iter().flat_map(|granted| granted.lines.iter().map(|line| line.rank)));
        match assessor.judge(&claim, &household, &paid) {
            Err(refused) => maker.refuse(claim.row, household.id, refused.as_str()),
            Ok(line) => {
                let of = open.get_or_insert(Granted { household, lines: Vec::new(), children: Vec::new() });
                of.lines.push(line);
                of.children.push(personal::child_key(claim.child));
            }
        }
    }
    if let Some(done) = open {
        order(inputs, &mut maker, &mut orders, &mut rows, done).await?;
    }
    stage.add(seen);
    rows.send_in_tx(tx, &mut maker, inputs.run).await?;
    Ok(maker.finish(seen, Comparison::none()))
}

/// Makes the order of a household's grants.
async fn order(
    inputs: &Inputs<'_>,
    maker: &mut Maker<'_>,
    orders: &mut Arrears<'_>,
    rows: &mut Rows,
    granted: Granted,
) -> Result<(), OrderError> {
    let Granted { household, lines, children } = granted;
    let id = household.id;
    let order = orders.order(maker, id, household, &lines, &Differences::default()).await?;
    for (line, child) in lines.iter().zip(children) {
        let new = NewPayment {
            order,
            programme: inputs.programme_id,
            purpose: inputs.purpose,
            period: None,
            rank: Some(line.rank),
            amount: line.amount,
            household: id,
            child,
        };
        children::push_payment(&mut rows.payments, &new);
    }
    Ok(())
}
