//! Options of every command.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::telemetry::LogFormat;

/// Options of every command.
#[derive(Args, Clone, Debug)]
pub struct Global {
    /// Print JSON instead of tables
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Print results only: no progress, no notes
    #[arg(long, short, global = true)]
    pub(super) quiet: bool,
    /// Folder of configuration
    #[arg(long, global = true, env = "SARF_CONFIG", default_value = "config", value_name = "DIR")]
    pub(super) config: PathBuf,
    /// Folder for the private database, outbox, inbox and scratch files
    #[arg(long, global = true, env = "SARF_HOME", default_value = "var", value_name = "DIR")]
    pub(super) home: PathBuf,
    /// PostgreSQL server to use instead of a private one
    #[arg(long, global = true, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub(super) database_url: Option<String>,
    /// Bring the schema of a named server up to date first (a private one always is)
    #[arg(long, global = true)]
    pub(super) migrate: bool,
    /// Work on what `sarf demo` left behind
    #[arg(long, global = true)]
    pub(super) demo: bool,
    /// Private key of whoever acts (--as), as OpenSSH keeps it; a public one where an agent or a token holds the other
    /// half; `people/NAME` below the home unless named
    #[arg(id = "signing_key", long = "key", global = true, env = "SARF_KEY", value_name = "FILE")]
    pub(super) key: Option<PathBuf>,
    /// Serve /metrics, /healthz and /readyz there while the command runs
    #[arg(long, global = true, value_name = "ADDR")]
    pub(super) metrics_addr: Option<SocketAddr>,
    /// Collector of OpenTelemetry that spans are sent to, by HTTP
    #[arg(long, global = true, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub(super) otlp: Option<String>,
    /// How logs are written
    #[arg(long, global = true, env = "SARF_LOG_FORMAT", value_enum, default_value = "human")]
    pub(super) log_format: LogFormat,
}
