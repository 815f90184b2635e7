//! Undue payments in a simulation: cases that people find, complaints and appeals with their deadlines, agreed instalments,
//! repayments by transfer, write-offs.
//!
//! Corrections open cases by themselves, and regular runs keep instalments back; here is what people and households add.

use std::fs::File;

use anyhow::Context as _;
use time::Duration;

use super::progress::{Progress, Undue};
use super::{ACCOUNTANT, APPROVER, PREPARER, SECOND_APPROVER, Simulation, queries};
use crate::domain::country;
use crate::domain::household::Means;
use crate::domain::money::Centimes;
use crate::domain::provider::Provider;
use crate::domain::recovery::{AppealStage, CaseState};
use crate::iso20022::statement::{AccountId, Balance, CamtKind, Detail, Entry, EntryStatus, Statement};
use crate::iso20022::values::MessageHeader;
use crate::pipeline::exceptions::recovery::appeals::{self, Ruling};
use crate::pipeline::exceptions::recovery::cases::{self, Payment, Standing};
use crate::pipeline::exceptions::recovery::write_off;
use crate::pipeline::messages;
use crate::sandbox::wire::statement::CamtWriter;
use crate::store::orders;

/// What a household sends back.
struct Repayment {
    reference: String,
    amount: Centimes,
}

impl Simulation<'_> {
    /// Early in the month: households appeal while they still may.
    pub(super) async fn appeal(&self) -> anyhow::Result<usize> {
        let (context, today) = (&self.context, self.context.clock.now().date());
        let mut done = 0;
        for standing in cases::list(context, None, None, false).await? {
            let case = &standing.case;
            let may = case.appeal_stage == Some(AppealStage::Replied)
                && case.appeal_due.is_some_and(|due| today <= due)
                && matches!(case.state, CaseState::Opened | CaseState::Recalled | CaseState::Receivable);
            if may && self.plan.percent(60, "appeals", &name_of(&standing)) {
                appeals::appeal(context, case.id, None, "the reply is wrong", PREPARER).await?;
                done += 1;
            }
        }
        Ok(done)
    }

    /// Late in the month: what people find, decide and agree, and what households pay back.
    pub(super) async fn recover(&self, month: usize, appeals: usize) -> anyhow::Result<()> {
        let mut received = Undue { appeals, ..Undue::default() };
        if month < usize::from(self.options.months) {
            received.opened = self.find_cases(month).await?;
        }
        let mut repayments = Vec::new();
        for standing in cases::list(&self.context, None, None, false).await? {
            self.case(month, &standing, &mut received, &mut repayments)
                .await
                .with_context(|| format!("case {}", standing.reference))?;
        }
        received.repaid = repayments.len();
        self.repay(month, &repayments).await?;
        self.say(&Progress::Undue(received));
        Ok(())
    }

    /// A person finds some payments of the month before not to be due, wholly or in part.
    async fn find_cases(&self, month: usize) -> anyhow::Result<usize> {
        let (context, Some(before)) = (&self.context, month.checked_sub(1)) else { return Ok(0) };
        let name = month.to_string();
        let (seed, most) = (self.plan.number("find", &name), (self.plan.number("finds", &name) % 4) as i64);
        let mut found = 0;
        for order in queries::paid_by_file(&context.store, self.regular[before], seed, most).await? {
            let detail = orders::find(&context.store, None, Some(order)).await?.pop();
            let detail = detail.with_context(|| format!("order {}", order.get()))?;
            let known = cases::list(context, None, Some(&detail.household_id), false).await?;
            if known.iter().any(|standing| standing.order == Some(order.get())) {
                continue;
            }
            let whole = self.plan.percent(40, "whole", &detail.household_id);
            let amount = if whole { detail.amount } else { Centimes::new(detail.amount.get() / 3) };
            let why = "moved abroad before the month";
            cases::open(context, &Payment::Order(order), amount, why, PREPARER).await?;
            found += 1;
        }
        Ok(found)
    }

    /// What becomes of one case in a month.
    async fn case(
        &self,
        month: usize,
        standing: &Standing,
        received: &mut Undue,
        repayments: &mut Vec<Repayment>,
    ) -> anyhow::Result<()> {
        let (context, plan, case) = (&self.context, self.plan, &standing.case);
        let (name, today) = (name_of(standing), context.clock.now().date());
        let monthly = format!("{name} {month}");
        let waited = case.appeal_since.is_some_and(|since| today - since > Duration::days(14));
        let open = matches!(case.state, CaseState::Opened | CaseState::Recalled | CaseState::Receivable);
        if !open {
            return Ok(());
        }
        match case.appeal_stage {
            Some(AppealStage::Complaint) if waited => {
                let ruling = self.ruling(&name, "reply", case.outstanding);
                let by = if case.opened_by == APPROVER { SECOND_APPROVER } else { APPROVER };
                appeals::reply(context, case.id, ruling, "looked into", by).await?;
                received.replies += 1;
            }
            Some(AppealStage::Appeal) if waited => {
                let ruling = self.ruling(&name, "answer", case.outstanding);
                appeals::answer(context, case.id, ruling, "heard by the committee", SECOND_APPROVER).await?;
                received.answers += 1;
            }
            Some(AppealStage::Complaint | AppealStage::Appeal) => {}
            None if plan.percent(20, "complains", &monthly) => {
                appeals::complain(context, case.id, None, "says it was due", PREPARER).await?;
                received.complaints += 1;
            }
            _ if case.state != CaseState::Receivable => {}
            _ if case.proposed_by.is_some() => {
                if plan.percent(70, "confirms", &monthly) {
                    write_off::confirm(context, case.id, APPROVER).await?;
                    received.given_up += 1;
                } else {
                    write_off::refuse(context, case.id, "it can still be kept back", APPROVER).await?;
                }
            }
            _ if plan.percent(8, "gives up", &monthly) => {
                write_off::propose(context, case.id, "cannot be recovered", ACCOUNTANT).await?;
            }
            _ if plan.percent(15, "repays", &monthly) => {
                // Most pay what is owed, some a part, some too much.
                let owed = case.outstanding.get();
                let amount =
                    [owed, owed, owed / 2 + 1, owed + 700][(plan.number("sum", &monthly) % 4) as usize];
                let reference = standing.reference.to_string();
                repayments.push(Repayment { reference, amount: Centimes::new(amount) });
            }
            _ if case.monthly_max.is_none() && plan.percent(20, "agrees", &monthly) => {
                cases::plan(context, case.id, Some(Centimes::from_mad(50)), PREPARER).await?;
                received.plans += 1;
            }
            _ => {}
        }
        Ok(())
    }

    fn ruling(&self, name: &str, label: &str, outstanding: Centimes) -> Ruling {
        match self.plan.number(label, name) % 4 {
            0 => Ruling::Granted(None),
            1 if outstanding.get() > 1 => Ruling::Granted(Some(Centimes::new(outstanding.get() / 2))),
            _ => Ruling::Upheld,
        }
    }

    /// A bank lists transfers that came in, under the references of cases: a list of movements beside its statements.
    async fn repay(&self, month: usize, repayments: &[Repayment]) -> anyhow::Result<()> {
        if repayments.is_empty() {
            return Ok(());
        }
        let providers = self.context.config.router.providers();
        let provider = providers
            .iter()
            .find(|p| p.stream.is_none() && p.means.contains(&Means::BankAccount))
            .context("a provider in the file lane")?;
        let path = self.context.home.join("inbox").join(format!("camt053_receipts_{month}.xml"));
        movements(File::create(&path)?, month, self.context.clock.now(), provider, repayments)?;
        for (path, result) in messages::import(&self.context, vec![path]).await? {
            result.with_context(|| path.display().to_string())?;
        }
        Ok(())
    }
}

/// Writes a list of movements.
fn movements(
    file: File,
    month: usize,
    now: time::OffsetDateTime,
    provider: &Provider,
    repayments: &[Repayment],
) -> anyhow::Result<()> {
    let id = format!("RECEIPTS-{month}");
    let header = MessageHeader { msg_id: id.clone(), created: Some(now) };
    let mut writer = CamtWriter::begin(file, CamtKind::Statement, &header)?;
    let statement = Statement {
        kind: CamtKind::Statement,
        id,
        account: AccountId::Other(provider.debtor_account.reveal().to_owned()),
        ..Statement::default()
    };
    let interim = Balance {
        code: "ITBD".to_owned(),
        amount: repayments.iter().map(|r| r.amount).sum(),
        credit: true,
        currency: country::currency().to_owned(),
        date: Some(now.date()),
    };
    writer.statement(&statement, &[interim], None)?;
    for repayment in repayments {
        let entry = Entry {
            amount: repayment.amount,
            currency: country::currency().to_owned(),
            credit: true,
            status: EntryStatus::Book,
            booking_date: Some(now.date()),
            value_date: Some(now.date()),
            ..Entry::default()
        };
        let detail = Detail {
            amount: Some(repayment.amount),
            currency: country::currency().to_owned(),
            credit: Some(true),
            remittance: format!("remboursement {}", repayment.reference),
            ..Detail::default()
        };
        writer.entry(&entry)?;
        writer.detail(&detail)?;
    }
    writer.finish()?;
    Ok(())
}

/// What names a case and does not depend on who came first.
fn name_of(standing: &Standing) -> String {
    let case = &standing.case;
    format!("{} {} {} {}", case.household_id, case.period, case.cause, case.amount)
}
