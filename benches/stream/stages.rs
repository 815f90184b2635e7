//! The stages, one line of the table each.

use std::net::TcpListener;
use std::time::Instant;

use sarf::domain::ids::RunId;

use crate::bed::{Bed, Terms};

pub const FAST: Terms = Terms { orders_per_request: 500, orders_per_second: 0, concurrency: 8 };

pub fn line(what: &str, through: &str, goal: &str, was: &str, peak: &str) -> String {
    format!("| {what} | {through} | {goal} | {was} | {peak} |")
}

pub fn rate(orders: u64, began: Instant, ended: Instant) -> u64 {
    orders * 1_000 / (ended.duration_since(began).as_millis() as u64).max(1)
}

pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// One worker, 500 orders a request, at hand in the answer.
pub async fn bulk(bed: &mut Bed, households: u64) -> anyhow::Result<String> {
    let points = bed.points(None).await?;
    bed.configure(&points, FAST)?;
    let run = bed.run(households).await?;
    let orders = bed.count(run, "cashplus", &["released"]).await?;
    let worker = bed.start(&["worker", "--provider", "cashplus"])?;
    let ended = bed.until(run, "cashplus", &["available"], orders).await?;
    let began = points.arrivals("cashplus").first().map_or(ended, |(at, _)| *at);
    let peak = format!("{} MiB", worker.peak_mib());
    worker.end();
    single_if_left(bed, run).await?;
    let was = format!("{} a second", rate(orders, began, ended));
    Ok(line(
        "500 orders a request, to *available*",
        &format!("{orders} orders"),
        "20,000 a second",
        &was,
        &peak,
    ))
}

/// The wallets of a run are another stage's; here they are only brought to their end.
async fn single_if_left(bed: &Bed, run: RunId) -> anyhow::Result<()> {
    let left = bed.count(run, "wallet", &["released"]).await?;
    if left > 0 {
        let worker = bed.start(&["worker", "--provider", "wallet"])?;
        bed.until(run, "wallet", &["settled"], left).await?;
        worker.end();
    }
    Ok(())
}

/// The same with availability by callback, through the real service.
pub async fn callbacks(bed: &mut Bed, households: u64) -> anyhow::Result<String> {
    let listen = format!("127.0.0.1:{}", free_port()?);
    let points = bed.points(Some(format!("http://{listen}/v1/callbacks"))).await?;
    bed.configure(&points, FAST)?;
    let run = bed.run(households).await?;
    let orders = bed.count(run, "cashplus", &["released"]).await?;
    let serve = bed.start(&["serve", "--listen", &listen])?;
    let worker = bed.start(&["worker", "--provider", "cashplus"])?;
    let ended = bed.until(run, "cashplus", &["available"], orders).await?;
    let began = points.arrivals("cashplus").first().map_or(ended, |(at, _)| *at);
    let peak = format!("{} MiB, service {} MiB", worker.peak_mib(), serve.peak_mib());
    worker.end();
    serve.end();
    let was = format!("{} a second", rate(orders, began, ended));
    Ok(line(
        "500 orders a request, *available* by callback",
        &format!("{orders} orders"),
        "10,000 a second",
        &was,
        &peak,
    ))
}

/// Single transfers through the wallet switch.
pub async fn single(bed: &mut Bed, households: u64) -> anyhow::Result<String> {
    let points = bed.points(None).await?;
    bed.configure(&points, Terms { concurrency: 64, ..FAST })?;
    let run = bed.run(households).await?;
    let orders = bed.count(run, "wallet", &["released"]).await?;
    let worker = bed.start(&["worker", "--provider", "wallet"])?;
    let ended = bed.until(run, "wallet", &["settled"], orders).await?;
    let began = points.arrivals("wallet").first().map_or(ended, |(at, _)| *at);
    let peak = format!("{} MiB", worker.peak_mib());
    worker.end();
    let was = format!("{} a second", rate(orders, began, ended));
    Ok(line("single transfers (wallet)", &format!("{orders} orders"), "2,000 a second", &was, &peak))
}

/// Several workers under one pace, measured at the provider.
pub async fn paced(bed: &mut Bed, households: u64, workers: usize) -> anyhow::Result<String> {
    const PACE: u32 = 4_000;
    let points = bed.points(None).await?;
    bed.configure(&points, Terms { orders_per_request: 50, orders_per_second: PACE, concurrency: 4 })?;
    let run = bed.run(households.min(200_000)).await?;
    let orders = bed.count(run, "cashplus", &["released"]).await?;
    let all: Vec<_> = (0..workers)
        .map(|_| bed.start(&["worker", "--provider", "cashplus"]))
        .collect::<anyhow::Result<_>>()?;
    bed.until(run, "cashplus", &["available"], orders).await?;
    let peak = all.iter().map(|w| w.peak_mib()).max().unwrap_or(0);
    all.into_iter().for_each(crate::bed::Process::end);
    let arrivals = points.arrivals("cashplus");
    let (first, last) = (arrivals[0].0, arrivals[arrivals.len() - 1].0);
    let came: u64 = arrivals[..arrivals.len() - 1].iter().map(|(_, n)| u64::from(*n)).sum();
    let per_mille =
        came * 1_000_000 / (last.duration_since(first).as_millis() as u64).max(1) / u64::from(PACE);
    let was = format!("{}.{} %", per_mille / 10, per_mille % 10);
    Ok(line(
        &format!("{workers} workers, {PACE} orders a second allowed"),
        &format!("{came} orders"),
        "98 to 102 % of it",
        &was,
        &format!("{peak} MiB"),
    ))
}
