//! Work lists for payment points on thin links.
//!
//! Input: a provider, a payment point, a day. Output: a compressed list of the orders that wait there, the same bytes
//! each time it is asked for; a further list, with a number of its own, when further orders wait.
//! Guarantee: an order is put on one list, once. For a provider without an API the intent to hand an order over is
//! committed before the list is, and an order whose list was not made, since the process was killed, is put on the
//! next one.
//! Limit: a point serves one commune, by the name that its snapshot gives it; 20,000 orders on a list.

mod shelf;
mod write;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};

use sha2::{Digest as _, Sha256};
use time::{Date, OffsetDateTime};
use tokio::sync::Mutex;

use super::stream;
use crate::domain::hint::{Hint, NextStep};
use crate::domain::not_found::{Entity, NotFound};
use crate::domain::provider::{Provider, StreamTerms};
use crate::domain::step::Step;
use crate::pipeline::Context;
use crate::store::StoreError;
use crate::store::messages::worklists::{self, ListedOrder, OpenRun, PointDay, Summary, Waiting, Worklist};
use shelf::Shelf;

/// Most orders on one list; more go on the next.
const ORDERS_PER_LIST: usize = 20_000;
/// Lists that are made at once, so that they leave the database to others.
const MAKERS: usize = 8;
/// Another process made a list of the same orders meanwhile: looked again so often.
const ATTEMPTS_MAX: usize = 3;

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum WorklistError {
    /// A provider of bank files.
    #[error("provider `{0}` gets bank files, not work lists")]
    FileLane(String),
    /// A day in the future.
    #[error("`{0}` is in the future")]
    NotYet(Date),
    /// No commune of that name, or no list of that number.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Hint for WorklistError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::FileLane(_) => {
                "its orders are in the bank files of the outbox; see docs/bank-guide.md".into()
            }
            Self::NotFound(e) => return e.hint(),
            Self::NotYet(_) => "ask for today, or a day before".into(),
            Self::Store(_) => "send the same request again".into(),
        })
    }
}

#[cfg(test)]
crate::domain::hint::samples!(WorklistError {
    Self::FileLane(_) => Self::FileLane("awb".into()),
    Self::NotYet(_) => Self::NotYet(Date::MAX),
    Self::NotFound(_) => Self::NotFound(Entity::PaymentPoint.not_found("nowhere")),
    Self::Store(_) => Self::Store(StoreError::Corrupt("work list")),
});

impl From<sqlx::Error> for WorklistError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Which list.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Provider.
    pub provider: &'a Provider,
    /// Payment point: the slug of a commune, see [`slug`].
    pub point: &'a str,
    /// Day, local; today where not given.
    pub day: Option<Date>,
}

/// Makes and gives lists.
pub struct Lists {
    context: Context,
    shelf: Shelf,
    makers: [Mutex<()>; MAKERS],
}

/// What a new list is made of.
struct Draft {
    /// Orders with the status that they are listed with, by run, ascending.
    orders: Vec<(ListedOrder, &'static str)>,
    programmes: Vec<String>,
}

impl Lists {
    /// Lists of the context's database.
    pub fn new(context: &Context) -> Self {
        Self {
            context: context.clone(),
            shelf: Shelf::default(),
            makers: std::array::from_fn(|_| Mutex::new(())),
        }
    }

    /// The local day.
    pub fn today(&self) -> Date {
        self.local(self.context.clock.now())
    }

    fn local(&self, at: OffsetDateTime) -> Date {
        at.to_offset(self.context.config.settings.calendar.utc_offset).date()
    }

    /// A list by its number, or the last one of the day, after a new one was made for orders that wait and are on no
    /// list; `None` where the day has none.
    ///
    /// # Errors
    /// See [`WorklistError`].
    pub async fn fetch(
        &self,
        wanted: Wanted<'_>,
        number: Option<i32>,
    ) -> Result<Option<Worklist>, WorklistError> {
        let store = &self.context.store;
        let Some((at, terms)) = self.place(&wanted).await? else { return Ok(None) };
        if number.is_none() && at.day == self.today() {
            self.make(&wanted, at, terms).await?;
        }
        let found = worklists::find(store, at, number).await?;
        match &found {
            None if number.is_some() => {
                let number = number.unwrap_or_default();
                return Err(Entity::Worklist.not_found(number).into());
            }
            None => {}
            Some(list) => {
                worklists::fetched(store, at, list.summary.number, self.context.clock.now()).await?;
            }
        }
        Ok(found)
    }

    /// The lists that a point's day has; none is made.
    ///
    /// # Errors
    /// See [`WorklistError`].
    pub async fn of_day(&self, wanted: Wanted<'_>) -> Result<Vec<Summary>, WorklistError> {
        match self.place(&wanted).await? {
            Some((at, _)) => Ok(worklists::of_day(&self.context.store, at).await?),
            None => Ok(Vec::new()),
        }
    }

    /// Where lists lie; `None` before the provider's first order.
    async fn place<'a>(
        &self,
        wanted: &Wanted<'a>,
    ) -> Result<Option<(PointDay<'a>, &'a StreamTerms)>, WorklistError> {
        let code = wanted.provider.code.as_str();
        let terms = wanted.provider.stream.as_ref().ok_or_else(|| WorklistError::FileLane(code.into()))?;
        let today = self.today();
        let day = wanted.day.unwrap_or(today);
        if day > today {
            return Err(WorklistError::NotYet(day));
        }
        let number = worklists::provider_number(&self.context.store, code).await?;
        Ok(number.map(|provider| (PointDay { provider, point: wanted.point, day }, terms)))
    }

    /// Makes the next list, where orders wait that are on none.
    async fn make(
        &self,
        wanted: &Wanted<'_>,
        at: PointDay<'_>,
        terms: &StreamTerms,
    ) -> Result<(), WorklistError> {
        let mut hash = DefaultHasher::new();
        (at.provider, at.point).hash(&mut hash);
        let _alone = self.makers[hash.finish() as usize % MAKERS].lock().await;
        for _ in 0..ATTEMPTS_MAX {
            let draft = self.draft(wanted, at, terms).await?;
            if draft.orders.is_empty() || self.keep(wanted, at, terms, &draft).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Finds what waits and, for a provider without an API, commits the intent to hand it over.
    async fn draft(
        &self,
        wanted: &Wanted<'_>,
        at: PointDay<'_>,
        terms: &StreamTerms,
    ) -> Result<Draft, WorklistError> {
        let store = &self.context.store;
        let what = if terms.capabilities().is_called { Waiting::AtHand } else { Waiting::ToHandOver };
        let mut draft = Draft { orders: Vec::new(), programmes: Vec::new() };
        let runs = worklists::open_runs(store, at.provider).await?;
        let mut known = runs.is_empty();
        for run in &runs {
            let Some(among) = self.shelf.orders_at(store, run, at).await? else { continue };
            known = true;
            let room = ORDERS_PER_LIST.saturating_sub(draft.orders.len()) as i64;
            let waiting = worklists::waiting(store, run.id, &among, what, room).await?;
            let listed = match what {
                Waiting::AtHand => waiting,
                Waiting::ToHandOver => self.intend(wanted, waiting).await?,
            };
            self.add(&mut draft, run, &listed).await?;
        }
        if known { Ok(draft) } else { Err(Entity::PaymentPoint.not_found(at.point).into()) }
    }

    /// Those that may leave, with those that were to leave before and are on no list.
    async fn intend(
        &self,
        wanted: &Wanted<'_>,
        waiting: Vec<(i64, Option<Step>)>,
    ) -> Result<Vec<(i64, Option<Step>)>, StoreError> {
        let (before, new): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(_, step)| step.is_some());
        let ids: Vec<i64> = new.into_iter().map(|(id, _)| id).collect();
        let mut listed = before;
        if !ids.is_empty() {
            let leave = stream::intend(&self.context, wanted.provider.code.as_str(), &ids, None).await?;
            listed.extend(leave.unwrap_or_default().into_iter().map(|id| (id, Some(Step::Sent))));
        }
        listed.sort_unstable();
        Ok(listed)
    }

    async fn add(
        &self,
        draft: &mut Draft,
        run: &OpenRun,
        listed: &[(i64, Option<Step>)],
    ) -> Result<(), StoreError> {
        let ids: Vec<i64> = listed.iter().map(|(id, _)| *id).collect();
        let found = worklists::listed_orders(&self.context.store, run, &ids).await?;
        if found.len() != ids.len() {
            return Err(StoreError::Corrupt("order without its household"));
        }
        for (order, (_, step)) in found.into_iter().zip(listed) {
            let status = match step {
                Some(Step::Accepted) => "accepted",
                Some(Step::Available) => "available",
                _ => "to_pay",
            };
            draft.orders.push((order, status));
            draft.programmes.push(run.programme.clone());
        }
        Ok(())
    }

    /// Writes the list; `false` when one of its orders was put on another meanwhile.
    async fn keep(
        &self,
        wanted: &Wanted<'_>,
        at: PointDay<'_>,
        terms: &StreamTerms,
        draft: &Draft,
    ) -> Result<bool, WorklistError> {
        let made_at = self.context.clock.now().replace_nanosecond(0).expect("zero is a nanosecond");
        let members: Vec<i64> = draft.orders.iter().map(|(order, _)| order.id.get()).collect();
        let mut tx = self.context.store.begin().await?;
        let Some(number) = worklists::next_number_in_tx(&mut tx, at, &members).await? else {
            return Ok(false);
        };
        let head = write::Head {
            provider: wanted.provider,
            point: at.point,
            day: at.day,
            number,
            made_at,
            expires: self.local(made_at) + time::Duration::days(terms.expiry_days.into()),
        };
        let body = write::list(&self.context.config, &head, &draft.orders, &draft.programmes)?;
        let sha256: [u8; 32] = Sha256::digest(&body).into();
        let summary = Summary {
            number,
            orders: members.len() as i64,
            amount: draft.orders.iter().map(|(order, _)| order.amount.get()).sum(),
            sha256: crate::domain::hex(&sha256),
            bytes: body.len() as i64,
            made_at,
        };
        worklists::insert_in_tx(&mut tx, at, &Worklist { summary, body }, &sha256, &members).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// The name of a commune as a payment point bears it: Latin letters and digits in small, hyphens between.
pub fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in deunicode::deunicode(name).chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}

/// Whether a text can be a payment point's name.
pub fn is_point(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    !text.is_empty() && text.len() <= 128 && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn communes_have_slugs() {
        for (name, expected) in [
            ("Rabat", "rabat"),
            ("Aït Melloul", "ait-melloul"),
            ("  M'diq -- Fnideq ", "m-diq-fnideq"),
            ("Sidi Bel-Abbès (rural)", "sidi-bel-abbes-rural"),
            ("!", ""),
        ] {
            let made = slug(name);
            assert_eq!(made, expected);
            assert_eq!(is_point(&made), !made.is_empty(), "{name}");
        }
        assert!(is_point("sale.rabat") && !is_point("Rabat") && !is_point("a/b") && !is_point(""));
    }
}
