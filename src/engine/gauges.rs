//! Keeps the gauges of operations at what the database, the calendar and the disk say, every few seconds: no scrape asks for them.
//!
//! Guarantee: a figure that cannot be read keeps its last value, is logged, and is seen by the time of the last success.

use std::time::{Duration, Instant};

use time::{Date, OffsetDateTime};

use super::certificate;
use crate::domain::arrivals::Awaited;
use crate::domain::delivery::DeliveryState;
use crate::domain::period::Period;
use crate::domain::policy::prescribed_on;
use crate::domain::reason::BreakKind;
use crate::domain::recovery::CaseState;
use crate::pipeline::reports::arrivals::{self, ArrivalsError};
use crate::pipeline::{Context, exchange};
use crate::store::StoreError;
use crate::store::audit::chain;
use crate::store::gauges::{self, Cells, FIGURES};
use crate::telemetry::Job;

/// Between two countings.
const EVERY: Duration = Duration::from_secs(5);

/// Between two looks at keys and certificates, which change seldom and take a while to prove.
const KEYS_EVERY: Duration = Duration::from_secs(600);

/// Counts for as long as nobody stops it.
pub async fn keep(context: Context) {
    let metrics = &context.telemetry.metrics;
    let mut keys_seen: Option<Instant> = None;
    loop {
        match count(&context).await {
            Ok(()) => {
                metrics.succeeded(Job::Gauges, context.clock.now());
                metrics.set_ready(true);
            }
            Err(error) => {
                metrics.set_ready(context.store.ping().await.is_ok());
                tracing::warn!(error = super::chain(&error), "gauges could not be read");
            }
        }
        if keys_seen.is_none_or(|seen| seen.elapsed() >= KEYS_EVERY) {
            keys_seen = Some(Instant::now());
            let of = context.clone();
            if let Ok(cells) = tokio::task::spawn_blocking(move || keys(&of)).await {
                metrics.show("key_expiry_seconds", cells);
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Seconds until keys and our certificate end; below zero, or far below, where they ended or cannot be read.
pub fn keys(context: &Context) -> Cells {
    let now = context.clock.now();
    let mut ends = exchange::key_ends(context);
    if let Some(path) = &context.config.settings.service.tls_certificate {
        let end = certificate::end(path).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        ends.push(("certificate", "service".to_owned(), end));
    }
    let left = |end: OffsetDateTime| (end - now).whole_seconds();
    ends.into_iter().map(|(kind, of, end)| (vec![kind.to_owned(), of], left(end))).collect()
}

/// Counts once.
///
/// # Errors
/// When the database is gone, or the calendar ends.
pub async fn count(context: &Context) -> Result<(), ArrivalsError> {
    let (store, metrics, now) = (&context.store, &context.telemetry.metrics, context.clock.now());
    for figure in FIGURES {
        let cells = figure.read(store, now).await?;
        metrics.show(figure.family, completed(context, figure.family, cells));
    }
    let head = chain::head(store).await?;
    metrics.set_audit_records(head.map_or(0, |(records, _)| records));
    deadlines(context, now).await?;
    let today = local(context, now).date();
    let mut overdue = gauges::overdue_appeals(store, today).await?;
    for programme in context.config.programmes.keys().map(ToString::to_string) {
        if !overdue.iter().any(|(labels, _)| labels[0] == programme) {
            overdue.push((vec![programme], 0));
        }
    }
    metrics.show("recovery_appeals_overdue", overdue);
    metrics.show("batches_to_leave", gauges::waiting_to_leave(store).await?);
    let confirmed_by = before_business_days(context, today, 2)?;
    let (orders, centimes) = gauges::unconfirmed(store, confirmed_by).await?;
    metrics.show("unconfirmed_orders", orders);
    metrics.show("unconfirmed_centimes", centimes);
    lapses(context, now).await?;
    metrics.show("stream_pace_allowed", paces(context));
    let free = crate::files::free_bytes(&context.home);
    metrics.show("home_free_bytes", free.map(|bytes| (Vec::new(), bytes as i64)).into_iter().collect());
    Ok(())
}

/// Time until the oldest claims that ended unpaid lapse, by programme.
async fn lapses(context: &Context, now: OffsetDateTime) -> Result<(), ArrivalsError> {
    let years = context.config.settings.reissue.prescription_years;
    let offset = context.config.settings.calendar.utc_offset;
    let mut cells = Vec::new();
    for (programme, period) in gauges::oldest_unpaid(&context.store).await? {
        let period = Period::from_index(period).map_err(|_| StoreError::Corrupt("period"))?;
        let on = prescribed_on(period, years).map(|day| day.midnight().assume_offset(offset));
        cells.extend(on.map(|on| (vec![programme], (on - now).whole_seconds())));
    }
    context.telemetry.metrics.show("prescription_seconds", cells);
    Ok(())
}

/// What each provider of the stream lane lets us do in a second, where it sets a pace.
fn paces(context: &Context) -> Cells {
    let mut cells = Vec::new();
    for provider in context.config.router.providers() {
        let Some(terms) = &provider.stream else { continue };
        for (of, allowed) in [("requests", terms.requests_per_second), ("orders", terms.orders_per_second)] {
            if allowed > 0 {
                cells.push((vec![provider.code.to_string(), of.to_owned()], i64::from(allowed)));
            }
        }
    }
    cells
}

/// A family with a cell for each value of a closed list, so that an emptied queue goes back to zero.
fn completed(context: &Context, family: &str, mut cells: Cells) -> Cells {
    if family.starts_with("breaks") {
        for kind in BreakKind::ALL {
            if !cells.iter().any(|(labels, _)| labels[0] == kind.as_str()) {
                cells.push((vec![kind.as_str().to_owned()], 0));
            }
        }
    }
    if family.starts_with("deliveries") {
        deliveries(context, &mut cells);
    }
    if family.starts_with("recovery_") {
        for programme in context.config.programmes.keys() {
            for state in CaseState::ALL {
                let labels = vec![programme.to_string(), state.as_str().to_owned()];
                if !cells.iter().any(|(known, _)| *known == labels) {
                    cells.push((labels, 0));
                }
            }
        }
    }
    cells
}

/// Files at each server by state; where a bank holds them for its signatories, that is a state of its own.
fn deliveries(context: &Context, cells: &mut Cells) {
    for provider in context.config.router.providers() {
        let Some(terms) = &provider.delivery else { continue };
        let lie = if terms.awaits_signature { "awaits_signature" } else { DeliveryState::Delivered.as_str() };
        for (labels, _) in cells.iter_mut().filter(|(labels, _)| labels[0] == provider.code.as_str()) {
            if labels[1] == DeliveryState::Delivered.as_str() {
                lie.clone_into(&mut labels[1]);
            }
        }
        for state in [DeliveryState::Waiting, DeliveryState::Naming, DeliveryState::Stopped] {
            let labels = vec![provider.code.to_string(), state.as_str().to_owned()];
            if !cells.iter().any(|(known, _)| *known == labels) {
                cells.push((labels, 0));
            }
        }
        let labels = vec![provider.code.to_string(), lie.to_owned()];
        if !cells.iter().any(|(known, _)| *known == labels) {
            cells.push((labels, 0));
        }
    }
}

/// What is awaited and what is late, and the time to each cutoff; zero where nothing is.
async fn deadlines(context: &Context, now: OffsetDateTime) -> Result<(), ArrivalsError> {
    let metrics = &context.telemetry.metrics;
    let (mut awaited, mut late): (Cells, Cells) = (Vec::new(), Vec::new());
    let mut cutoffs: Cells = Vec::new();
    let local = local(context, now);
    for provider in context.config.router.providers() {
        let code = provider.code.as_str();
        for what in [Awaited::Acknowledgement, Awaited::Statement, Awaited::Settlement] {
            let labels = vec![what.as_str().to_owned(), code.to_owned()];
            awaited.push((labels.clone(), 0));
            late.push((labels, 0));
        }
        let calendar = &context.config.calendar;
        let passed = u8::from(local.time() > provider.cutoff && calendar.is_business_day(local.date())?);
        let day = calendar.add_business_days(local.date(), passed)?;
        let cutoff = day.with_time(provider.cutoff).assume_offset(local.offset());
        cutoffs.push((vec![code.to_owned()], (cutoff - now).whole_seconds()));
    }
    for code in context.config.programmes.keys() {
        let labels = vec![Awaited::Snapshot.as_str().to_owned(), code.to_string()];
        awaited.push((labels.clone(), 0));
        late.push((labels, 0));
    }
    for arrival in arrivals::awaited(context).await? {
        let labels = vec![arrival.awaited.as_str().to_owned(), arrival.from];
        let cells = [(&mut awaited, 1), (&mut late, i64::from(arrival.late))];
        for (cells, more) in cells {
            if let Some((_, count)) = cells.iter_mut().find(|(known, _)| *known == labels) {
                *count += more;
            }
        }
    }
    metrics.show("arrivals_awaited", awaited);
    metrics.show("arrivals_late", late);
    metrics.show("cutoff_seconds", cutoffs);
    Ok(())
}

fn local(context: &Context, now: OffsetDateTime) -> OffsetDateTime {
    now.to_offset(context.config.settings.calendar.utc_offset)
}

/// The day that lies so many business days before another.
fn before_business_days(context: &Context, day: Date, count: u8) -> Result<Date, ArrivalsError> {
    let (mut day, mut left) = (day, count);
    while left > 0 {
        day = day.previous_day().ok_or(StoreError::Corrupt("day of the clock"))?;
        left -= u8::from(context.config.calendar.is_business_day(day)?);
    }
    Ok(day)
}
