//! Matches what a message says against orders and batches, and notes what follows. Nothing is posted here: see `book`.

use time::OffsetDateTime;

use super::Imported;
use super::effects::Effects;
use super::files::FileReport;
use super::matching::{FilePlace, KnownRun, Met};
use super::parse::{Cash, Parsed};
use super::settle::SettlementFile;
use super::statements::Statements;
use crate::domain::breaks::BreakSource;
use crate::domain::ids::{Code, MessageId, OrderId, RunId};
use crate::domain::money::Centimes;
use crate::domain::order::{OrderKey, OrderNames, OrderState};
use crate::domain::reason::BreakKind;
use crate::domain::references::{Named, Names};
use crate::pipeline::Context;
use crate::store::batches::outbox::NewOutbox;
use crate::store::locks::{self, Lock};
use crate::store::messages::breaks::NewBreak;
use crate::store::messages::feedback::{self, OrderFacts};
use crate::store::registry::reference;
use crate::store::{StoreError, Tx, batches, runs};

/// Applies one message within one transaction.
pub(super) struct Applier<'a> {
    pub(super) context: &'a Context,
    pub(super) tx: Tx,
    pub(super) message: Message,
    /// The provider that what follows speaks of, where it can be told.
    pub(super) provider: Option<i16>,
    pub(super) met: Met,
    pub(super) effects: Effects,
    /// The status report or payment return under way.
    pub(super) report: FileReport,
    /// The account statements.
    pub(super) statements: Statements,
    /// The settlement file under way.
    pub(super) settlement: SettlementFile,
}

/// The message itself.
pub(super) struct Message {
    pub(super) id: MessageId,
    /// When it is applied.
    pub(super) at: OffsetDateTime,
    /// What its sender calls it.
    pub(super) header: String,
    /// How many messages the file holds.
    pub(super) documents: u32,
    pub(super) warnings: Vec<String>,
    /// Whether it goes into the audit chain: files do, the stream's many small reports do not.
    pub(super) audited: bool,
}

impl<'a> Applier<'a> {
    pub(super) fn new(context: &'a Context, tx: Tx, id: MessageId, at: OffsetDateTime) -> Self {
        let (header, warnings) = (String::new(), Vec::new());
        Self {
            context,
            tx,
            message: Message { id, at, header, documents: 1, warnings, audited: true },
            provider: None,
            met: Met::default(),
            effects: Effects::default(),
            report: FileReport::default(),
            statements: Statements::default(),
            settlement: SettlementFile::default(),
        }
    }

    /// Takes the next piece of the message.
    /// Breaks that were found so far.
    pub(super) const fn breaks(&self) -> u64 {
        self.effects.counts.breaks
    }

    pub(super) async fn take(&mut self, parsed: Parsed) -> Result<(), StoreError> {
        if self.statements.open.as_ref().is_some_and(|s| s.skipped)
            && !matches!(parsed, Parsed::StatementBegin { .. } | Parsed::End { .. })
        {
            return Ok(());
        }
        if self.settlement.passing_over && !matches!(parsed, Parsed::End { .. }) {
            return Ok(());
        }
        match parsed {
            Parsed::Header(id) => self.message.header = id,
            Parsed::File(status) => self.file_status(status).await?,
            Parsed::StatementBegin { name, account, sequence, booked } => {
                self.begin_statement(name, &account, sequence, booked).await?;
            }
            Parsed::Lines(lines) => self.lines(lines).await?,
            Parsed::Entries(pieces) => self.entries(pieces).await?,
            Parsed::Problem { kind, entry, cash, detail } => {
                self.effects.counts.entries += 1;
                self.suspend(cash, kind, entry, None, cash.map(|c| c.amount), detail);
                self.name_statement();
            }
            Parsed::StatementEnd(sums) => self.end_statement(sums).await?,
            Parsed::Returns(file) => self.begin_returns(file).await?,
            Parsed::Recall(answer) => self.recall_answer(&answer).await?,
            Parsed::Billing(bill) => self.bill(&bill).await?,
            Parsed::SettlementBegin(head) => {
                self.settlement.passing_over = self.begin_settlement(&head).await?;
                self.settlement.head = Some(head);
            }
            Parsed::SettlementEnd(trailer, differs) => {
                if let Some(head) = self.settlement.head.take() {
                    self.end_settlement(&head, trailer, differs).await?;
                }
            }
            Parsed::End { warnings, documents } => {
                (self.message.warnings, self.message.documents) = (warnings, documents);
                self.decide_files();
            }
        }
        Ok(())
    }

    /// Ends the message: books what was noted and commits.
    pub(super) async fn finish(mut self, kind: &'static str) -> Result<Imported, StoreError> {
        self.book().await?;
        let imported = Imported {
            message: Some(self.message.id),
            kind,
            counts: self.effects.counts,
            documents: self.message.documents,
            empty: self.missing(kind),
            warnings: self.message.warnings,
            ..Imported::default()
        };
        self.tx.commit().await?;
        Ok(imported)
    }

    /// What is missing, where the message says nothing.
    fn missing(&self, kind: &str) -> Option<&'static str> {
        match kind {
            "camt.053" | "camt.054" if self.statements.number == 0 => Some("the message holds no statement"),
            "camt.053" | "camt.054" if self.effects.counts.entries == 0 => {
                Some("its statements hold no entry")
            }
            _ if self.effects.counts.entries == 0 => Some("the message says nothing of any order or file"),
            _ => None,
        }
    }

    /// Waits until this message alone speaks for a provider. What was read before is read again after the wait.
    pub(super) async fn lock(&mut self, provider: i16) -> Result<bool, StoreError> {
        if !self.met.locked.insert(provider) {
            return Ok(false);
        }
        locks::take_in_tx(&mut self.tx, Lock::Provider(provider)).await?;
        // Only batches of providers that were not locked before can have changed, and none of those was touched.
        for known in self.met.runs.values_mut() {
            let fresh = batches::of_run_in_tx(&mut self.tx, known.run.id).await?;
            for batch in fresh.into_iter().filter(|b| b.provider_id == provider) {
                known.before.insert(batch.id.get(), (batch.state, batch.figures));
                if let Some(slot) = known.batches.iter_mut().find(|b| b.id == batch.id) {
                    *slot = batch;
                }
            }
        }
        Ok(true)
    }

    pub(super) async fn know_run(&mut self, id: RunId) -> Result<bool, StoreError> {
        if self.met.runs.contains_key(&id) {
            return Ok(true);
        }
        let Some(run) = runs::find_in_tx(&mut self.tx, id, false).await? else { return Ok(false) };
        let batches = batches::of_run_in_tx(&mut self.tx, id).await?;
        let before = batches.iter().map(|b| (b.id.get(), (b.state, b.figures))).collect();
        let programme = Code::parse(&run.programme).map_err(|_| StoreError::Corrupt("programme"))?;
        if self.met.purposes.is_empty() {
            for (number, code) in feedback::purposes_in_tx(&mut self.tx).await? {
                self.met
                    .purposes
                    .insert(number, Code::parse(&code).map_err(|_| StoreError::Corrupt("purpose"))?);
            }
        }
        self.met.runs.insert(id, KnownRun { run, programme, batches, before });
        Ok(true)
    }

    /// The batch that names of a file name, its provider locked. Names of two files name none.
    pub(super) async fn batch_of(&mut self, names: &Names) -> Result<Option<FilePlace>, StoreError> {
        let mut found = Named::Nothing;
        for name in names.files() {
            if let Some(batch) = batches::by_message_id_in_tx(&mut self.tx, name).await? {
                found = found.and((batch.run, batch.id, batch.provider_id));
            }
        }
        let Named::One((run, id, provider)) = found else { return Ok(None) };
        self.lock(provider).await?;
        self.know_run(run).await?;
        Ok(self.met.runs[&run].batches.iter().position(|b| b.id == id).map(|at| (run, at)))
    }

    pub(super) async fn know_providers(&mut self) -> Result<(), StoreError> {
        if self.met.provider_codes.is_empty() {
            self.met.provider_codes = reference::provider_ids_in_tx(&mut self.tx, &[]).await?;
        }
        Ok(())
    }

    /// The code of a provider that a statement was begun for.
    pub(super) fn provider_code(&self, id: i16) -> Option<String> {
        self.met.provider_codes.iter().find(|(_, known)| **known == id).map(|(code, _)| code.clone())
    }

    /// Account and reference of the statement under way.
    pub(super) fn statement_names(&self) -> (String, String) {
        self.statements
            .open
            .as_ref()
            .map_or_else(Default::default, |s| (s.account.clone(), s.name.reference.clone()))
    }

    /// Says with the last break which statement it is about.
    pub(super) fn name_statement(&mut self) {
        let (account, statement) = self.statement_names();
        if let Some(opened) = self.effects.breaks.last_mut().filter(|_| !account.is_empty()) {
            opened.source = Some(Box::new(BreakSource { account, statement, ..BreakSource::default() }));
        }
    }

    /// Notes that an order moved, for whoever is told of changes.
    pub(super) fn tell(&mut self, facts: &OrderFacts, to: OrderState, reason: Option<&str>) {
        if self.context.config.settings.events.out.is_none() {
            return;
        }
        let Some((known, purpose)) =
            self.met.runs.get(&facts.order.run()).zip(self.met.purposes.get(&facts.purpose))
        else {
            return;
        };
        let (programme, period) = (&known.programme, facts.period);
        let (household, attempt) = (facts.household, facts.attempt);
        let names = OrderNames::of(&OrderKey { programme, period, household, purpose, attempt });
        let mut key = String::new();
        names.write_end_to_end(programme, period, facts.order, &mut key);
        let body = serde_json::json!({ "order": key, "state": to, "reason": reason, "amount": facts.amount, "run": facts.order.run() });
        self.effects.outbox.push(NewOutbox { subject: format!("order.{key}"), body });
    }

    /// Opens a break over an entry. Its money, where the account statement booked any, stands in suspense until the
    /// break is resolved.
    pub(super) fn suspend(
        &mut self,
        cash: Option<Cash>,
        kind: BreakKind,
        entry: u64,
        about: Option<(RunId, Option<OrderId>)>,
        amount: Option<Centimes>,
        detail: String,
    ) -> &mut NewBreak {
        let mut suspense = Centimes::ZERO;
        if let (Some(cash), Some(provider)) = (cash, self.provider) {
            self.effects.moves.cash(None, provider, cash);
            suspense = if cash.credit { Centimes::ZERO - cash.amount } else { cash.amount };
        }
        let found = self.open_break(kind, entry, about, amount, detail);
        found.suspense = suspense;
        found
    }

    /// Opens a break: what is given back is its fact, to be completed.
    pub(super) fn open_break(
        &mut self,
        kind: BreakKind,
        entry: u64,
        about: Option<(RunId, Option<OrderId>)>,
        amount: Option<Centimes>,
        detail: String,
    ) -> &mut NewBreak {
        self.effects.counts.breaks += 1;
        let key = format!("message {} entry {entry} {kind} {}", self.message.id, self.effects.breaks.len());
        self.effects.breaks.push(NewBreak {
            kind,
            key,
            run: about.map(|(run, _)| run),
            provider: self.provider,
            batch: None,
            order: about.and_then(|(_, order)| order),
            message: Some(self.message.id),
            entry: Some(entry).filter(|e| *e > 0),
            amount,
            suspense: Centimes::ZERO,
            detail,
            source: None,
        });
        let at = self.effects.breaks.len() - 1;
        &mut self.effects.breaks[at]
    }
}
