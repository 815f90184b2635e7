//! `psql`, of the same installation as the server, on the server's own socket.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;

/// How to reach the database from outside this process.
pub struct Psql {
    program: PathBuf,
    socket: PathBuf,
    port: u16,
    user: String,
    database: String,
}

impl Psql {
    /// Asks the server where its programs lie; some packagers leave `psql` out: then that of `PATH`.
    pub async fn find(pool: &PgPool, options: &PgConnectOptions) -> anyhow::Result<Self> {
        let folder: String =
            sqlx::query_scalar("select setting from pg_config where name = 'BINDIR'").fetch_one(pool).await?;
        let own = Path::new(&folder).join("psql");
        Ok(Self {
            program: if own.is_file() { own } else { "psql".into() },
            socket: options.get_socket().context("the private server has a socket")?.clone(),
            port: options.get_port(),
            user: options.get_username().to_owned(),
            database: options.get_database().context("a database is chosen")?.to_owned(),
        })
    }

    /// Runs `steps` one after the other in one session, each committed by itself, with files looked for in `folder` and
    /// rows going to `out`.
    pub fn run(&self, folder: &Path, out: impl Into<Stdio>, steps: &[String]) -> anyhow::Result<()> {
        let mut command = self.command(steps);
        let status = command.current_dir(folder).stdin(Stdio::null()).stdout(out).status();
        let status = status.with_context(|| format!("`{}`", self.program.display()))?;
        anyhow::ensure!(status.success(), "psql ended with {status}");
        Ok(())
    }

    /// Gives what one step writes to `take`, as it comes.
    pub fn read(
        &self,
        step: &str,
        take: &mut dyn FnMut(&mut dyn std::io::Read) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut child =
            self.command(&[step.to_owned()]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        take(child.stdout.as_mut().context("piped")?)?;
        let status = child.wait()?;
        anyhow::ensure!(status.success(), "psql ended with {status}");
        Ok(())
    }

    fn command(&self, steps: &[String]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", &self.user, "-d", &self.database]);
        command.arg("-h").arg(&self.socket).arg("-p").arg(self.port.to_string());
        for step in steps {
            command.arg("-c").arg(step);
        }
        for name in ["PGOPTIONS", "PGSERVICE", "PGPASSWORD", "PGSSLMODE"] {
            command.env_remove(name);
        }
        command
    }
}
