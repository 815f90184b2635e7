//! Logs: `tracing` events to stderr, for people or as JSON.
//!
//! Input: format, filter (`SARF_LOG`, in `tracing-subscriber`'s language: `info`, `sarf=debug,sqlx=warn`), and the
//! progress bars that share the terminal. Output: one event, one line.
//! Guarantee: a line never tears a progress bar: bars step aside while it is written.
//! Limit: events carry only what their fields hold; masking is the work of the types that print themselves.

use std::io::{self, Write};

use indicatif::MultiProgress;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use super::otlp::{self, OtlpError, Sending};
use crate::domain::hint::{Hint, NextStep};
use crate::domain::shown;

/// How events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people: time, level, spans, message, fields.
    #[default]
    Human,
    /// One JSON object a line, for collectors.
    Json,
}

/// What the set-up needs.
#[derive(Clone, Debug)]
pub struct Logging {
    /// `--log-format`, `SARF_LOG_FORMAT`.
    pub format: LogFormat,
    /// The filter's directives: `SARF_LOG`, else the command's own choice (`warn` under progress bars, `info` in services).
    pub filter: String,
    /// Colours for [`LogFormat::Human`].
    pub color: bool,
    /// The bars drawn on stderr; those of the command's output.
    pub bars: MultiProgress,
    /// Where spans are sent to, where they are.
    pub otlp: Option<String>,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// `SARF_LOG` is not a filter.
    #[error("log filter `{filter}` is not understood")]
    Filter {
        /// The text given.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: ParseError,
    },
    /// Traces cannot be sent there.
    #[error(transparent)]
    Otlp(#[from] OtlpError),
    /// Set up twice in one process.
    #[error("logging is already set up")]
    Twice(#[source] TryInitError),
}

impl Hint for LoggingError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Filter { .. } => "write SARF_LOG like `info` or `warn,sarf::engine=debug`".into(),
            Self::Otlp(e) => return e.hint(),
            Self::Twice(_) => "start the command in a process of its own".into(),
        })
    }
}

#[cfg(test)]
crate::domain::hint::samples!(LoggingError {
    Self::Filter { .. } => {
        let source = "a=b=c".parse::<tracing_subscriber::filter::Directive>().expect_err("no filter");
        Self::Filter { filter: "a=b=c".into(), source }
    },
    Self::Otlp(_) => Self::Otlp(OtlpError { endpoint: "collector".into(), why: "no address".into() });
    Self::Twice(_),
});

impl Logging {
    /// Sets up logging for the process; call once, first of all.
    ///
    /// # Errors
    /// A filter that is not understood, an address that cannot be used, or a second call.
    pub fn init(self) -> Result<Option<Sending>, LoggingError> {
        let filter = EnvFilter::try_new(&self.filter)
            .map_err(|source| LoggingError::Filter { filter: self.filter.clone(), source })?;
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(BesideBars(self.bars))
            .with_ansi(self.color && self.format == LogFormat::Human);
        let lines = match self.format {
            LogFormat::Human => lines.with_filter(filter).boxed(),
            LogFormat::Json => lines
                .json()
                .flatten_event(true)
                .with_current_span(true)
                .with_span_list(false)
                .with_filter(filter)
                .boxed(),
        };
        let (spans, sending) = self.otlp.as_deref().map(otlp::layer).transpose()?.unzip();
        let subscriber = tracing_subscriber::registry().with(lines).with(spans);
        subscriber.try_init().map_err(LoggingError::Twice)?;
        Ok(sending)
    }
}

/// Writes to stderr with the bars suspended. `tracing-subscriber` writes each event in one call.
struct BesideBars(MultiProgress);

impl<'a> MakeWriter<'a> for BesideBars {
    type Writer = &'a BesideBars;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Write for &BesideBars {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        // The colours are our own; what fields carry is escaped by `tracing-subscriber`, but for marks of direction.
        let safe: Vec<_> = text.split('\u{1b}').map(shown::on_terminal).collect();
        // Where nobody reads stderr any more there is nothing to be done about it: work goes on.
        drop(self.0.suspend(|| io::stderr().lock().write_all(safe.join("\u{1b}").as_bytes())));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_is_none_is_refused_by_name() {
        let logging = Logging {
            format: LogFormat::Json,
            filter: "sarf=loud".into(),
            color: false,
            bars: MultiProgress::new(),
            otlp: None,
        };
        let error = logging.init().expect_err("`loud` is no level");
        assert_eq!(error.to_string(), "log filter `sarf=loud` is not understood");
    }
}
