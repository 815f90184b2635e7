//! The stages of events: one at a time until it is at hand, many by HTTP, many by NATS.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use time::format_description::well_known::Rfc3339;

use sarf::domain::ids::Code;
use sarf::domain::money::Centimes;
use sarf::pipeline::access::tokens::{self, Scope, Wish};
use sarf::pipeline::runs::standing_approvals::{self, Proposal};

use crate::bed::{ACCOUNTANT, APPROVER, Bed, PREPARER};
use crate::stages::{FAST, free_port, line, rate};

/// Events sent one after the other.
const SINGLE: usize = 300;
/// Events sent at once.
const MANY: usize = 100_000;

/// What events of a stage have in common.
struct Month {
    period: String,
    at: String,
}

async fn month(bed: &Bed) -> anyhow::Result<(Vec<String>, Month)> {
    let (households, period) = bed.cash_households().await?;
    let at = bed.context.clock.now().replace_nanosecond(0)?.format(&Rfc3339)?;
    Ok((households, Month { period, at }))
}

/// An urgent order for a household; numbers tell events apart.
fn event(number: usize, household: &str, purpose: &str, month: &Month) -> String {
    let Month { period, at } = month;
    format!(
        "{{\"id\":\"{purpose}-{number}\",\"type\":\"order\",\"programme\":\"dss\",\"household\":\"{household}\",\
         \"at\":\"{at}\",\"period\":\"{period}\",\"purpose\":\"{purpose}\",\"amount\":\"300.00\"}}\n"
    )
}

/// Events with duplicates (one in ten) and rubbish (one in a hundred) among them.
fn mixed(households: &[String], purpose: &str, month: &Month) -> Vec<String> {
    (0..MANY)
        .map(|n| match n {
            _ if n % 100 == 99 => "{\"id\":\"rubbish\"\n".to_owned(),
            _ if n % 10 == 9 => event(n - 9, &households[(n - 9) % households.len()], purpose, month),
            _ => event(n, &households[n % households.len()], purpose, month),
        })
        .collect()
}

/// Lets a purpose be ordered by events.
async fn allow(bed: &Bed, purpose: &str) -> anyhow::Result<()> {
    let today = bed.context.clock.now().date();
    let proposal = Proposal {
        programme: Code::parse("dss")?,
        purpose: Code::parse(purpose)?,
        order_max: Centimes::from_mad(1_000),
        day_max: Centimes::from_mad(1_000_000_000),
        valid_from: today,
        valid_to: today + time::Duration::days(30),
    };
    let id = standing_approvals::propose(&bed.context, &proposal, PREPARER).await?.into_inner();
    standing_approvals::approve(&bed.context, id, APPROVER).await?;
    standing_approvals::fund(&bed.context, id, ACCOUNTANT).await?;
    Ok(())
}

async fn token(bed: &Bed) -> anyhow::Result<String> {
    let wish = Wish { name: "registry".into(), scopes: vec![Scope::Events], institution: None, days: 1 };
    let token = tokens::issue(&bed.context, &wish, PREPARER).await?.token;
    tokens::confirm(&bed.context, &wish.name, APPROVER).await?;
    Ok(token)
}

/// An event posted to the real service until the sandbox has the order.
pub async fn latency(bed: &mut Bed) -> anyhow::Result<Vec<String>> {
    let points = bed.points(None).await?;
    bed.configure(&points, FAST)?;
    let (households, month) = month(bed).await?;
    anyhow::ensure!(households.len() > SINGLE, "too few households for the stage");
    for purpose in ["urgent", "flood"] {
        allow(bed, purpose).await?;
    }
    let token = token(bed).await?;
    let listen = format!("127.0.0.1:{}", free_port()?);
    let serve = bed.start(&["serve", "--listen", &listen])?;
    let worker = bed.start(&["worker", "--provider", "cashplus"])?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let url = format!("http://{listen}/v1/events");
    until_listening(&listen).await?;
    let post = async |body: String| {
        let answer = client.post(&url).bearer_auth(&token).body(body).send().await?.error_for_status()?;
        anyhow::Ok(answer.text().await?)
    };
    let mut times = Vec::with_capacity(SINGLE);
    for (number, household) in households[..SINGLE].iter().enumerate() {
        let (before, began) = (points.orders_taken("cashplus"), Instant::now());
        let answer = post(event(number, household, "urgent", &month)).await?;
        anyhow::ensure!(answer.contains("\"taken\""), "not taken: {answer}");
        while points.orders_taken("cashplus") == before {
            anyhow::ensure!(began.elapsed() < Duration::from_secs(10), "an order did not arrive");
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        times.push(began.elapsed());
    }
    times.sort();
    let of = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)].as_millis();
    let single = line(
        "an event posted, to the order at the payment point",
        &format!("{SINGLE} events"),
        "99 % under 1,000 ms",
        &format!("half {} ms, 99 % {} ms", of(50), of(99)),
        &format!("{} MiB, service {} MiB", worker.peak_mib(), serve.peak_mib()),
    );
    let began = Instant::now();
    // As large as the service takes, one after the other.
    let mut answer = String::new();
    for request in mixed(&households, "flood", &month).chunks(20_000) {
        answer.push_str(&post(request.concat()).await?);
    }
    let ended = Instant::now();
    anyhow::ensure!(answer.lines().count() == MANY, "{} answers", answer.lines().count());
    let count = |what: &str| answer.lines().filter(|l| l.contains(&format!("\"{what}\""))).count();
    let through = format!(
        "{MANY} events: {} taken, {} already, {} held, {} refused",
        count("taken"),
        count("already"),
        count("held"),
        count("refused")
    );
    let was = format!("{} a second", rate(MANY as u64, began, ended));
    let peaks = format!("service {} MiB", serve.peak_mib());
    worker.end();
    serve.end();
    Ok(vec![
        single,
        line(
            "events by HTTP, 20,000 a request, duplicates and rubbish among them",
            &through,
            "–",
            &was,
            &peaks,
        ),
    ])
}

/// Events by NATS, through the real worker.
pub async fn nats(bed: &mut Bed) -> anyhow::Result<Option<String>> {
    let Some(server) = Server::start(bed)? else {
        println!("   skipped: no nats-server");
        return Ok(None);
    };
    let points = bed.points(None).await?;
    bed.configure(&points, FAST)?;
    bed.listen_to_nats(&server.url)?;
    let (households, month) = month(bed).await?;
    allow(bed, "relief").await?;
    let client = connect(&server.url).await?;
    let stream = async_nats::jetstream::new(client);
    stream
        .get_or_create_stream(async_nats::jetstream::stream::Config {
            name: "SARF".into(),
            subjects: vec!["sarf.events".into()],
            ..Default::default()
        })
        .await?;
    let mut last = None;
    for event in mixed(&households, "relief", &month) {
        last = Some(stream.publish("sarf.events", event.into()).await?);
    }
    if let Some(last) = last {
        last.await?;
    }
    // Nobody hands these orders over while the intake is timed.
    let began = Instant::now();
    let worker = bed.start(&["worker", "--provider", "wallet"])?;
    let first = bed.until_events("relief", 1).await?;
    let ended = bed.until_events("relief", MANY as u64 * 89 / 100).await?;
    let peak = format!("{} MiB", worker.peak_mib());
    worker.end();
    anyhow::ensure!(first >= began, "the clock runs forward");
    let was = format!("{} a second", rate(MANY as u64, first, ended));
    Ok(Some(line(
        "events by NATS, duplicates and rubbish among them",
        &format!("{MANY} events"),
        "20,000 a second",
        &was,
        &peak,
    )))
}

async fn connect(url: &str) -> anyhow::Result<async_nats::Client> {
    for _ in 0..100 {
        if let Ok(client) = async_nats::connect(url).await {
            return Ok(client);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("nats-server does not answer")
}

async fn until_listening(address: &str) -> anyhow::Result<()> {
    for _ in 0..200 {
        if let Ok(mut stream) = TcpStream::connect(address) {
            let _ = stream.write_all(b"");
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("the service does not listen on {address}")
}

/// A NATS server of the bench's own.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(bed: &Bed) -> anyhow::Result<Option<Self>> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        // Debian keeps it where only root's PATH looks.
        let debian = std::path::Path::new("/usr/sbin/nats-server");
        let program = if debian.exists() { debian } else { "nats-server".as_ref() };
        let child = Command::new(program)
            .args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd"])
            .arg(bed.context.home.join("nats"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Ok(child.ok().map(|child| Self { child, url: format!("nats://127.0.0.1:{port}") }))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
