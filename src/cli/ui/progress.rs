//! Stages as they are seen: bars on a terminal, lines elsewhere.
//!
//! Input: the calls of a [`StageObserver`]. Output: for passes over a second, a bar with rate and time left, or a line
//! every five seconds; a last line when the pass ends.
//! Guarantee: nothing is drawn for what is over within a second; drawing never slows the work (a thread of its own looks
//! at a counter, also while the work stands still).
//! Limit: a thread a pass; passes are few.

use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use super::format;
use crate::telemetry::{StageObserver, StageProgress};

/// Passes shorter than this show nothing.
const PATIENCE: Duration = Duration::from_secs(1);
const REDRAW: Duration = Duration::from_millis(100);
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Bars on a terminal's stderr, several at once.
pub(super) struct TerminalBars(MultiProgress);

/// Plain lines on stderr, for logs of batch work.
pub(super) struct Lines;

impl TerminalBars {
    pub(super) fn new(bars: MultiProgress) -> Self {
        Self(bars)
    }
}

impl StageObserver for TerminalBars {
    fn started(
        &self,
        stage: &'static str,
        counted: &'static str,
        total: Option<u64>,
    ) -> Box<dyn StageProgress> {
        let (bars, drawn) = (self.0.clone(), OnceLock::<ProgressBar>::new());
        Box::new(Watched::new((stage, counted), total, REDRAW, move |pass, ended| {
            let bar = drawn.get_or_init(|| bars.add(new_bar((stage, counted), total, pass.started)));
            bar.set_position(pass.rows());
            if ended {
                bar.finish_and_clear();
                bars.suspend(|| print(&pass.summary()));
            }
        }))
    }
}

impl StageObserver for Lines {
    fn started(
        &self,
        stage: &'static str,
        counted: &'static str,
        total: Option<u64>,
    ) -> Box<dyn StageProgress> {
        Box::new(Watched::new((stage, counted), total, LINE_EVERY, |pass, ended| {
            print(&if ended { pass.summary() } else { pass.line() });
        }))
    }
}

fn print(line: &str) {
    // Nobody reads stderr: nothing to be done about it.
    drop(writeln!(std::io::stderr().lock(), "{line}"));
}

fn new_bar(
    (stage, counted): (&'static str, &'static str),
    total: Option<u64>,
    started: Instant,
) -> ProgressBar {
    let template = if total.is_some() {
        "{prefix:12} {bar:28} {percent:>3} % {rows:>11} {msg} {speed:>12}  {left} left"
    } else {
        "{prefix:12} {spinner} {rows:>11} {msg} {speed:>12}  {took}"
    };
    let style = ProgressStyle::with_template(template)
        .expect("a constant, valid template")
        .progress_chars("━╸─")
        .with_key("rows", shown(|state| format::count(state.pos())))
        .with_key("speed", shown(|state| format::rate(state.pos(), state.elapsed())))
        .with_key("left", shown(|state| time_left(state.pos(), state.len(), state.elapsed())))
        .with_key("took", shown(|state| format::duration(state.elapsed())));
    let bar = match total {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::no_length(),
    };
    bar.with_style(style).with_prefix(stage).with_message(counted).with_elapsed(started.elapsed())
}

/// What is left, at the pace of the whole pass so far: steadier than the last moments' pace.
fn time_left(rows: u64, total: Option<u64>, took: Duration) -> String {
    let left = total.unwrap_or(rows).saturating_sub(rows);
    let millis = took.as_millis().saturating_mul(left.into()).checked_div(rows.into());
    match millis.map(u64::try_from) {
        Some(Ok(millis)) => format::duration(Duration::from_millis(millis)),
        _ => "–".into(),
    }
}

/// A figure of the bar, in our own format.
fn shown(
    figure: fn(&ProgressState) -> String,
) -> impl Fn(&ProgressState, &mut dyn fmt::Write) + Clone + Send + Sync {
    move |state, out| {
        // The bar is drawn into memory: writing cannot fail.
        let _ = out.write_str(&figure(state));
    }
}

/// The figures of one pass, shared with its drawing thread.
struct Pass {
    stage: &'static str,
    /// What is counted: households, orders …
    counted: &'static str,
    total: Option<u64>,
    rows: AtomicU64,
    started: Instant,
    ended: AtomicBool,
}

impl Pass {
    fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// `intake: 1 200 000 of 4 000 000 households, 640 000/s`.
    fn line(&self) -> String {
        let of = self.total.map(|total| format!(" of {}", format::count(total))).unwrap_or_default();
        let rows = self.rows();
        format!(
            "{}: {}{of} {}, {}",
            self.stage,
            format::count(rows),
            self.counted,
            format::rate(rows, self.started.elapsed())
        )
    }

    /// `intake: 4 000 000 households in 6.2 s, 640 000/s`.
    fn summary(&self) -> String {
        let (rows, took) = (self.rows(), self.started.elapsed());
        let (count, duration) = (format::count(rows), format::duration(took));
        format!("{}: {count} {} in {duration}, {}", self.stage, self.counted, format::rate(rows, took))
    }
}

/// A pass with its drawing thread; dropping it draws the end, if anything was drawn or is due.
struct Watched {
    pass: Arc<Pass>,
    drawing: Option<JoinHandle<()>>,
}

impl Watched {
    /// Calls `draw(pass, false)` every `pause` once the pass is older than [`PATIENCE`], and `draw(pass, true)` at its
    /// end if it lasted that long.
    fn new(
        (stage, counted): (&'static str, &'static str),
        total: Option<u64>,
        pause: Duration,
        draw: impl Fn(&Pass, bool) + Send + 'static,
    ) -> Self {
        let pass = Pass {
            stage,
            counted,
            total,
            rows: AtomicU64::new(0),
            started: Instant::now(),
            ended: AtomicBool::new(false),
        };
        let pass = Arc::new(pass);
        let seen = Arc::clone(&pass);
        let drawing = std::thread::Builder::new().name(format!("progress-{stage}")).spawn(move || {
            let mut due = pause.max(PATIENCE);
            while !seen.ended.load(Ordering::Acquire) {
                let age = seen.started.elapsed();
                if age >= due {
                    draw(&seen, false);
                    due = age + pause;
                }
                std::thread::park_timeout(due.saturating_sub(seen.started.elapsed()));
            }
            if seen.started.elapsed() >= PATIENCE {
                draw(&seen, true);
            }
        });
        // Without a thread there is no bar; the work goes on.
        Self { pass, drawing: drawing.ok() }
    }
}

impl StageProgress for Watched {
    fn add(&self, rows: u64) {
        self.pass.rows.fetch_add(rows, Ordering::Relaxed);
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.pass.ended.store(true, Ordering::Release);
        if let Some(drawing) = self.drawing.take() {
            drawing.thread().unpark();
            drop(drawing.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn only_passes_over_a_second_are_drawn() {
        let check = |lasts_ms: u64, drawn: bool| {
            let seen = Arc::new(Mutex::new(Vec::new()));
            let notes = Arc::clone(&seen);
            let watched = Watched::new(("intake", "households"), Some(9), REDRAW, move |pass, ended| {
                notes.lock().expect("no panic while held").push((pass.rows(), ended));
            });
            watched.add(2);
            std::thread::sleep(Duration::from_millis(lasts_ms));
            watched.add(3);
            drop(watched);
            let seen = seen.lock().expect("free");
            assert_eq!(seen.last(), drawn.then_some(&(5, true)), "{lasts_ms} ms: {seen:?}");
            assert_eq!(seen.contains(&(2, false)), drawn, "{lasts_ms} ms: {seen:?}");
        };
        check(20, false);
        check(1_250, true);
    }

    #[test]
    fn time_left_follows_the_pace() {
        let check = |rows, total, secs, expected: &str| {
            assert_eq!(time_left(rows, total, Duration::from_secs(secs)), expected, "{rows} of {total:?}");
        };
        check(1_000, Some(4_000), 2, "6.0 s");
        check(5_000, Some(4_000), 2, "0 ms");
        check(0, Some(4_000), 2, "–");
        check(10, None, 2, "0 ms");
    }

    #[test]
    fn lines_tell_the_pass() {
        let pass = Pass {
            stage: "intake",
            counted: "households",
            total: Some(4_000_000),
            rows: AtomicU64::new(1_200_000),
            started: Instant::now(),
            ended: AtomicBool::new(false),
        };
        assert!(pass.line().starts_with("intake: 1 200 000 of 4 000 000 households, "), "{}", pass.line());
        assert!(pass.summary().starts_with("intake: 1 200 000 households in "), "{}", pass.summary());
    }
}
