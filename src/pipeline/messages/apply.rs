//! Matches what a message says against orders and batches, and notes what follows. Nothing is posted here: see `book`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use time::OffsetDateTime;

use super::Imported;
use super::book::Moves;
use super::entries::OpenEntry;
use super::files::FileVerdicts;
use super::late::LateReturns;
use super::lines::Reported;
use super::matching::{FileNames, FilePlace};
use super::parse::{Cash, Parsed};
use super::settlement::Head;
use super::statements::OpenStatement;
use crate::domain::batch::BatchState;
use crate::domain::breaks::BreakSource;
use crate::domain::ids::{BatchId, Code, MessageId, OrderId, RunId};
use crate::domain::money::Centimes;
use crate::domain::order::{EndToEndRef, OrderKey, OrderNames, OrderState};
use crate::domain::reason::BreakKind;
use crate::domain::references::{Named, Names, Uetr};
use crate::pipeline::Context;
use crate::pipeline::exceptions::recovery::repaid::Receipt;
use crate::store::batches::outbox::NewOutbox;
use crate::store::batches::{self, Batch, BatchFigures};
use crate::store::copy::CopyBuffer;
use crate::store::locks::{self, Lock};
use crate::store::messages::breaks::NewBreak;
use crate::store::messages::feedback::{self, MessageCounts, OrderFacts};
use crate::store::registry::reference;
use crate::store::runs::{self, Run};
use crate::store::{StoreError, Tx};

/// A run as this message has met it.
pub(super) struct KnownRun {
    pub run: Run,
    pub programme: Code,
    pub batches: Vec<Batch>,
    /// Figures as they were when read, to tell what changed.
    pub before: HashMap<i64, (BatchState, BatchFigures)>,
}

/// Applies one message within one transaction.
pub(super) struct Applier<'a> {
    pub(super) context: &'a Context,
    pub(super) tx: Tx,
    pub(super) message: MessageId,
    pub(super) now: OffsetDateTime,
    pub(super) header: String,
    pub(super) provider: Option<i16>,
    pub(super) locked: BTreeSet<i16>,
    pub(super) runs: BTreeMap<RunId, KnownRun>,
    pub(super) purposes: HashMap<i16, Code>,
    pub(super) provider_codes: HashMap<String, i16>,
    pub(super) statement: Option<OpenStatement>,
    pub(super) statements: i32,
    /// How many messages the file holds.
    pub(super) documents: u32,
    /// Entries of all statements and notifications.
    pub(super) entries_of_statements: u64,
    settlement: Option<Head>,
    /// The file of ours that what follows speaks of: of a status report or payment return.
    pub(super) file: Option<FilePlace>,
    /// Files and settlements by their names.
    pub(super) file_names: FileNames,
    /// References of the orders of files by UETR, where one was asked for.
    pub(super) uetrs: HashMap<BatchId, HashMap<Uetr, EndToEndRef>>,
    /// Numbers of all runs, where many were asked for.
    pub(super) run_ids: Option<HashSet<RunId>>,
    /// The entry of which more is to come.
    pub(super) open_entry: Option<OpenEntry>,
    /// The settlement file was read before under this reference.
    passing_over: bool,
    pub(super) outcomes: CopyBuffer,
    /// The highest order of each run that this message has spoken of.
    pub(super) spoken_to: HashMap<RunId, i64>,
    pub(super) moves: Moves,
    pub(super) breaks: Vec<NewBreak>,
    /// What households repaid, to be posted to their cases.
    pub(super) receipts: Vec<(Receipt, Box<BreakSource>)>,
    /// What came back to closed runs.
    pub(super) late: LateReturns,
    pub(super) counts: MessageCounts,
    pub(super) warnings: Vec<String>,
    /// Orders of the stream lane that moved, with their provider and where to.
    pub(super) moved: Vec<(OrderId, i16, OrderState)>,
    /// What a settlement file lists, by batch: orders and their sum.
    pub(super) shares: BTreeMap<(RunId, BatchId), (i64, i64)>,
    /// Orders that pay a claim again whose earlier order is said to be paid: they are kept back, where they can be.
    pub(super) contradicted: Vec<OrderId>,
    /// What others are told of, where anybody is.
    pub(super) told: Vec<NewOutbox>,
    /// What a status report says of each order so far, and the orders of which it says two things.
    pub(super) reported: Reported,
    pub(super) at_odds: HashSet<i64>,
    /// What the message says of whole files: decided at its end, when all that it says of their orders is known.
    pub(super) files: FileVerdicts,
    /// Whether the message goes into the audit chain: files do, the stream's many small reports do not.
    pub(super) audited: bool,
}

impl<'a> Applier<'a> {
    pub(super) fn new(context: &'a Context, tx: Tx, message: MessageId, now: OffsetDateTime) -> Self {
        Self {
            context,
            tx,
            message,
            now,
            header: String::new(),
            provider: None,
            locked: BTreeSet::new(),
            runs: BTreeMap::new(),
            purposes: HashMap::new(),
            provider_codes: HashMap::new(),
            statement: None,
            statements: 0,
            documents: 1,
            entries_of_statements: 0,
            settlement: None,
            file: None,
            file_names: FileNames::default(),
            uetrs: HashMap::new(),
            run_ids: None,
            open_entry: None,
            passing_over: false,
            outcomes: CopyBuffer::default(),
            spoken_to: HashMap::new(),
            moves: Moves::default(),
            breaks: Vec::new(),
            receipts: Vec::new(),
            late: LateReturns::default(),
            counts: MessageCounts::default(),
            warnings: Vec::new(),
            moved: Vec::new(),
            shares: BTreeMap::new(),
            contradicted: Vec::new(),
            told: Vec::new(),
            reported: Reported::default(),
            at_odds: HashSet::new(),
            files: FileVerdicts::default(),
            audited: true,
        }
    }

    /// Takes the next piece of the message.
    pub(super) async fn take(&mut self, parsed: Parsed) -> Result<(), StoreError> {
        if self.statement.as_ref().is_some_and(|s| s.skipped)
            && !matches!(parsed, Parsed::StatementBegin { .. } | Parsed::End { .. })
        {
            return Ok(());
        }
        if self.passing_over && !matches!(parsed, Parsed::End { .. }) {
            return Ok(());
        }
        match parsed {
            Parsed::Header(id) => self.header = id,
            Parsed::File(status) => self.file_status(status).await?,
            Parsed::StatementBegin { name, account, sequence, booked } => {
                self.begin_statement(name, &account, sequence, booked).await?;
            }
            Parsed::Lines(lines) => self.lines(lines).await?,
            Parsed::Entries(pieces) => self.entries(pieces).await?,
            Parsed::Problem { kind, entry, cash, detail } => {
                self.counts.entries += 1;
                self.suspend(cash, kind, entry, None, cash.map(|c| c.amount), detail);
                self.name_statement();
            }
            Parsed::StatementEnd(sums) => self.end_statement(sums).await?,
            Parsed::Returns(file) => self.begin_returns(file).await?,
            Parsed::Recall(answer) => self.recall_answer(&answer).await?,
            Parsed::SettlementBegin(head) => {
                self.passing_over = self.begin_settlement(&head).await?;
                self.settlement = Some(head);
            }
            Parsed::SettlementEnd(trailer, differs) => {
                if let Some(head) = self.settlement.take() {
                    self.end_settlement(&head, trailer, differs).await?;
                }
            }
            Parsed::End { warnings, documents } => {
                (self.warnings, self.documents) = (warnings, documents);
                self.decide_files();
            }
        }
        Ok(())
    }

    /// Ends the message: books what was noted and commits.
    pub(super) async fn finish(mut self, kind: &'static str) -> Result<Imported, StoreError> {
        self.book().await?;
        let imported = Imported {
            message: Some(self.message),
            kind,
            counts: self.counts,
            documents: self.documents,
            empty: self.missing(kind),
            warnings: self.warnings,
            ..Imported::default()
        };
        self.tx.commit().await?;
        Ok(imported)
    }

    /// What is missing, where the message says nothing.
    fn missing(&self, kind: &str) -> Option<&'static str> {
        match kind {
            "camt.053" | "camt.054" if self.statements == 0 => Some("the message holds no statement"),
            "camt.053" | "camt.054" if self.counts.entries == 0 => Some("its statements hold no entry"),
            _ if self.counts.entries == 0 => Some("the message says nothing of any order or file"),
            _ => None,
        }
    }

    /// Waits until this message alone speaks for a provider. What was read before is read again after the wait.
    pub(super) async fn lock(&mut self, provider: i16) -> Result<bool, StoreError> {
        if !self.locked.insert(provider) {
            return Ok(false);
        }
        locks::take_in_tx(&mut self.tx, Lock::Provider(provider)).await?;
        // Only batches of providers that were not locked before can have changed, and none of those was touched.
        for known in self.runs.values_mut() {
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
        if self.runs.contains_key(&id) {
            return Ok(true);
        }
        let Some(run) = runs::find_in_tx(&mut self.tx, id, false).await? else { return Ok(false) };
        let batches = batches::of_run_in_tx(&mut self.tx, id).await?;
        let before = batches.iter().map(|b| (b.id.get(), (b.state, b.figures))).collect();
        let programme = Code::parse(&run.programme).map_err(|_| StoreError::Corrupt("programme"))?;
        if self.purposes.is_empty() {
            for (number, code) in feedback::purposes_in_tx(&mut self.tx).await? {
                self.purposes.insert(number, Code::parse(&code).map_err(|_| StoreError::Corrupt("purpose"))?);
            }
        }
        self.runs.insert(id, KnownRun { run, programme, batches, before });
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
        Ok(self.runs[&run].batches.iter().position(|b| b.id == id).map(|at| (run, at)))
    }

    pub(super) async fn know_providers(&mut self) -> Result<(), StoreError> {
        if self.provider_codes.is_empty() {
            self.provider_codes = reference::provider_ids_in_tx(&mut self.tx, &[]).await?;
        }
        Ok(())
    }

    /// The code of a provider that a statement was begun for.
    pub(super) fn provider_code(&self, id: i16) -> Option<String> {
        self.provider_codes.iter().find(|(_, known)| **known == id).map(|(code, _)| code.clone())
    }

    /// Account and reference of the statement under way.
    pub(super) fn statement_names(&self) -> (String, String) {
        self.statement
            .as_ref()
            .map_or_else(Default::default, |s| (s.account.clone(), s.name.reference.clone()))
    }

    /// Says with the last break which statement it is about.
    pub(super) fn name_statement(&mut self) {
        let (account, statement) = self.statement_names();
        if let Some(opened) = self.breaks.last_mut().filter(|_| !account.is_empty()) {
            opened.source = Some(Box::new(BreakSource { account, statement, ..BreakSource::default() }));
        }
    }

    /// Notes that an order moved, for whoever is told of changes.
    pub(super) fn tell(&mut self, facts: &OrderFacts, to: OrderState, reason: Option<&str>) {
        if self.context.config.settings.events.out.is_none() {
            return;
        }
        let Some((known, purpose)) = self.runs.get(&facts.order.run()).zip(self.purposes.get(&facts.purpose))
        else {
            return;
        };
        let (programme, period) = (&known.programme, facts.period);
        let (household, attempt) = (facts.household, facts.attempt);
        let names = OrderNames::of(&OrderKey { programme, period, household, purpose, attempt });
        let mut key = String::new();
        names.write_end_to_end(programme, period, facts.order, &mut key);
        let body = serde_json::json!({ "order": key, "state": to, "reason": reason, "amount": facts.amount, "run": facts.order.run() });
        self.told.push(NewOutbox { subject: format!("order.{key}"), body });
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
            self.moves.cash(None, provider, cash);
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
        self.counts.breaks += 1;
        let key = format!("message {} entry {entry} {kind} {}", self.message, self.breaks.len());
        self.breaks.push(NewBreak {
            kind,
            key,
            run: about.map(|(run, _)| run),
            provider: self.provider,
            batch: None,
            order: about.and_then(|(_, order)| order),
            message: Some(self.message),
            entry: Some(entry).filter(|e| *e > 0),
            amount,
            suspense: Centimes::ZERO,
            detail,
            source: None,
        });
        let at = self.breaks.len() - 1;
        &mut self.breaks[at]
    }
}
