//! The account statements of a message: whose they are, whether they were read before, what they cover.
//!
//! Guarantee: a statement is read once; one of which nothing could be taken shuts out nothing, so that its correction is
//! read. Limit: a statement without an id cannot be known again by name; that is told, and its entries are judged one by
//! one.

use super::apply::Applier;
use super::entries::OpenEntry;
use super::matching::FileNames;
use crate::domain::breaks::BreakSource;
use crate::domain::ids::MessageId;
use crate::domain::money::Centimes;
use crate::domain::provider::Provider;
use crate::domain::reason::BreakKind;
use crate::domain::rib::Rib;
use crate::domain::statement::{StatementName, StatementSpan};
use crate::store::StoreError;
use crate::store::messages::statements::{self, KnownStatement, NewStatement};

/// The statements of a message.
#[derive(Default)]
pub(super) struct Statements {
    /// The one under way.
    pub open: Option<OpenStatement>,
    /// How many were begun.
    pub number: i32,
    /// The entry of which more is to come.
    pub entry: Option<OpenEntry>,
}

/// The statement under way.
pub(super) struct OpenStatement {
    pub account: String,
    pub name: StatementName,
    sequence: Option<u64>,
    booked: bool,
    /// Not ours, or read before: its entries are passed over.
    pub skipped: bool,
    /// What had been taken of the message as it began.
    taken_before: u64,
    /// One of the same name, of which nothing was taken: this one replaces it.
    replaces: Option<(MessageId, i32)>,
}

/// What the last line of a statement says.
#[derive(Clone, Copy, Debug)]
pub(super) struct StatementSums {
    pub opening: Option<Centimes>,
    pub closing: Option<Centimes>,
    pub credits: Centimes,
    pub debits: Centimes,
    pub entries: u64,
}

impl Applier<'_> {
    /// Begins a statement or notification; decides whether its entries are passed over.
    pub(super) async fn begin_statement(
        &mut self,
        name: StatementName,
        account: &str,
        sequence: Option<u64>,
        booked: bool,
    ) -> Result<(), StoreError> {
        self.statements.number += 1;
        self.know_providers().await?;
        let ours = self.provider_of_account(account).map(|(number, _)| number);
        // What follows is this account's, whoever's the one before was.
        self.provider = ours;
        self.met.file_names = FileNames::default();
        let mut open = OpenStatement {
            account: account.to_owned(),
            name,
            sequence,
            booked,
            skipped: true,
            taken_before: self.taken(),
            replaces: None,
        };
        if let Some(provider) = ours {
            self.lock(provider).await?;
            open.skipped = booked && self.is_repeated(provider, &mut open).await?;
        } else {
            self.effects.counts.entries += 1;
            let detail = match open.account.as_str() {
                "" => "the statement names no account; its entries are passed over".to_owned(),
                account => format!("account `{account}` is not one of ours; its entries are passed over"),
            };
            let source = BreakSource {
                account: open.account.clone(),
                statement: open.name.reference.clone(),
                ..BreakSource::default()
            };
            self.open_break(BreakKind::UnknownReference, 0, None, None, detail).source =
                Some(Box::new(source));
        }
        self.statements.open = Some(open);
        Ok(())
    }

    /// The provider that keeps an account of ours, by its number.
    pub(super) fn provider_of_account(&self, account: &str) -> Option<(i16, &Provider)> {
        let rib = Rib::parse(account).ok()?;
        let found = self.context.config.router.providers().iter().find(|p| p.debtor_account == rib)?;
        self.met.provider_codes.get(found.code.as_str()).map(|number| (*number, found))
    }

    /// Whether the statement was read before; that, or that nobody can know, is told.
    async fn is_repeated(&mut self, provider: i16, open: &mut OpenStatement) -> Result<bool, StoreError> {
        let reference = &open.name.reference;
        if reference.is_empty() {
            self.effects.counts.entries += 1;
            let detail = "the statement has no id of its own (Stmt/Id): whether its entries came before cannot be \
                          told by name; each is judged by itself";
            self.open_break(BreakKind::FaultyEntry, 0, None, None, detail.into());
            return Ok(false);
        }
        let known = statements::statements_of_reference_in_tx(&mut self.tx, provider, reference).await?;
        let same = |k: &&KnownStatement| k.name.is(&open.name);
        if let Some(before) = known.iter().filter(same).find(|k| k.taken) {
            self.effects.counts.entries += 1;
            let detail = format!(
                "a statement of this reference, page and period was read before, in message {} (`{}`); its entries are passed over",
                before.message, before.file_name
            );
            self.open_break(BreakKind::StatementRepeated, 0, None, None, detail);
            return Ok(true);
        }
        open.replaces = known.iter().find(same).map(|k| (k.message, k.number));
        Ok(false)
    }

    /// Ends a statement: it is kept with what it covers, and whether anything of it was taken.
    pub(super) async fn end_statement(&mut self, sums: StatementSums) -> Result<(), StoreError> {
        let (Some(open), Some(provider)) = (self.statements.open.take(), self.provider) else {
            return Ok(());
        };
        let StatementSums { opening, closing, credits, debits, entries } = sums;
        if !open.booked {
            return Ok(());
        }
        if let Some((message, number)) = open.replaces {
            statements::replace_statement_in_tx(&mut self.tx, message, number, self.message.id).await?;
        }
        let sequence = open.sequence.and_then(|s| i64::try_from(s).ok());
        let span = StatementSpan { sequence, from: open.name.from, to: open.name.to, opening, closing };
        self.look_for_overlap(provider, &open.name, &span).await?;
        let statement = NewStatement {
            message: self.message.id,
            number: self.statements.number,
            provider,
            name: &open.name,
            span,
            credits,
            debits,
            entries,
            taken: self.taken() > open.taken_before,
        };
        statements::insert_statement_in_tx(&mut self.tx, &statement).await
    }

    /// What was taken of the message so far: whatever it said of orders and files, and money that it booked.
    fn taken(&self) -> u64 {
        self.effects.counts.applied + self.effects.counts.already + self.effects.moves.cash_moves()
    }

    /// Opens a break where the statement covers what another covers; its entries are taken nevertheless, each judged
    /// by itself. Pages of one statement cover the same.
    async fn look_for_overlap(
        &mut self,
        provider: i16,
        name: &StatementName,
        span: &StatementSpan,
    ) -> Result<(), StoreError> {
        let known = statements::statements_in_tx(&mut self.tx, provider).await?;
        let page_of_it = |other: &KnownStatement| {
            other.name.reference == name.reference && other.name.page.unwrap_or(1) != name.page.unwrap_or(1)
        };
        if let Some(other) = known.iter().find(|other| other.span.overlaps(span) && !page_of_it(other)) {
            self.effects.counts.entries += 1;
            let detail = format!(
                "covers what the statement of message {} (`{}`) covers",
                other.message, other.file_name
            );
            self.open_break(BreakKind::StatementOverlap, 0, None, None, detail);
        }
        Ok(())
    }
}
