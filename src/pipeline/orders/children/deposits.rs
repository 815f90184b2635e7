//! Children in the care of institutions: an order to the deposit holder for each child's account, and the release of what was
//! paid in, once the child comes of age.

use sqlx::PgConnection;

use super::Rows;
use crate::domain::attribute::Attributes;
use crate::domain::child::ChildInCare;
use crate::domain::entitlement::{Assessment, Component, RULE_DEPOSIT, judge_deposit};
use crate::domain::household::{Household, Means, Payee, Relation, Score};
use crate::domain::money::Centimes;
use crate::domain::period::Period;
use crate::domain::reason::HoldReason;
use crate::domain::rib::Rib;
use crate::pipeline::orders::OrderError;
use crate::pipeline::orders::compare::Comparison;
use crate::pipeline::orders::maker::{Computed, Inputs, Maker};
use crate::store::StoreError;
use crate::store::copy::CopyAhead;
use crate::store::orders::personal;
use crate::store::registry::children::{self, NewPayment};

/// Judges all children of the list.
pub(super) async fn pass(tx: &mut PgConnection, inputs: &Inputs<'_>) -> Result<Computed, OrderError> {
    let stage = inputs.context.telemetry.stage("deposit", "children", Some(inputs.snapshot.deposits as u64));
    let source = children::in_care_source(inputs.snapshot.id, inputs.programme_id, inputs.purpose);
    let mut listed = CopyAhead::open(inputs.context.store.pool(), source);
    let (mut maker, mut rows) = (Maker::new(inputs), Rows::default());
    let (mut assessment, mut seen) = (Assessment::default(), 0u64);
    while let Some(mut row) = listed.next().await? {
        let (child, paid) = children::read_in_care(&mut row)?;
        seen += 1;
        let deposit = judge_deposit(&inputs.programme.rules, inputs.period, &child, &paid);
        if let Some(release) = &deposit.release {
            children::push_release(&mut rows.releases, inputs.run, inputs.programme_id, &child, release);
        }
        match deposit.refusal {
            Some(refusal) => maker.refuse(child.row, child.id, refusal.as_str()),
            None => {
                assessment.set(&deposit.lines);
                order(inputs, &mut maker, &mut rows, &child, &assessment)?;
            }
        }
        if maker.is_full() || rows.is_full() {
            rows.send_in_tx(tx, &mut maker, inputs.run).await?;
        }
    }
    stage.add(seen);
    rows.send_in_tx(tx, &mut maker, inputs.run).await?;
    Ok(maker.finish(seen, Comparison::none()))
}

/// Makes the order that pays a child's lines in.
fn order(
    inputs: &Inputs<'_>,
    maker: &mut Maker<'_>,
    rows: &mut Rows,
    child: &ChildInCare,
    assessment: &Assessment,
) -> Result<(), StoreError> {
    let lines = assessment.components();
    let amount: Centimes = lines.iter().map(|l| l.amount).sum();
    let mut reasons = elsewhere(inputs, child).into_iter().collect();
    let order = maker.order(&account_holder(child), amount, &[], assessment, &mut reasons);
    for line in lines {
        let new = NewPayment {
            order,
            programme: inputs.programme_id,
            purpose: inputs.purpose,
            period: month_of(inputs.period, line)?,
            rank: None,
            amount: line.amount,
            household: child.id,
            child: personal::child_key(child.child),
        };
        children::push_payment(&mut rows.payments, &new);
    }
    Ok(())
}

/// The month that a line pays in; none for what makes up the minimum, which is paid once.
fn month_of(period: Period, line: &Component) -> Result<Option<Period>, StoreError> {
    if line.rule != RULE_DEPOSIT {
        return Ok(None);
    }
    let month = Period::from_index(period.index() - i32::from(line.month));
    month.map(Some).map_err(|_| StoreError::Corrupt("month of a deposit"))
}

/// The reason to hold a deposit whose account is not at the deposit holder; an account that cannot be read is held for that.
fn elsewhere(inputs: &Inputs<'_>, child: &ChildInCare) -> Option<HoldReason> {
    let terms = inputs.programme.rules.version_at(inputs.period)?.deposit.as_ref()?;
    let (_, holder) = inputs.context.config.router.by_code(terms.holder.as_str())?;
    let rib = Rib::parse(&child.account).ok()?;
    let there = holder.bank_codes.iter().any(|code| code == rib.bank_code());
    (!there).then_some(HoldReason::NotAtDepositHolder)
}

/// The child as whoever is paid: to the account in its name, and by no other means.
pub(in crate::pipeline) fn account_holder(child: &ChildInCare) -> Household {
    Household {
        row: child.row,
        id: child.id,
        place: child.place,
        rsu_score: Score(0),
        head_idcs: child.child,
        head_resident: true,
        excluded_by: None,
        payee: Payee {
            idcs: child.child,
            name: child.name.clone(),
            name_ar: child.name_ar.clone(),
            cin: None,
            relation: Relation::Registrant,
            deceased: child.deceased_on.is_some(),
            phone: None,
            account: child.account.clone(),
        },
        means: Means::BankAccount,
        provider: None,
        account_level: None,
        attributes: Attributes::default(),
        members: Vec::new(),
        members_rejected: 0,
    }
}
