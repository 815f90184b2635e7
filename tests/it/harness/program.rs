//! The real program, started as a person would.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::files_only_config;

/// The program with its home, configuration and, where given, a named server.
#[derive(Clone)]
pub struct Program {
    pub home: PathBuf,
    pub config: PathBuf,
    /// `None`: the private cluster of the home.
    pub url: Option<String>,
    pub log: Option<String>,
}

/// How the program ended, and what it said.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("not JSON ({e}): {self:?}"))
    }
}

impl Program {
    /// The program with the configuration in the tree, all providers in the file lane.
    pub fn new(home: &Path) -> Self {
        let config = home.join("config");
        files_only_config(&config);
        Self { home: home.to_owned(), config, url: None, log: None }
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sarf"));
        for name in
            ["DATABASE_URL", "SARF_OPERATOR", "SARF_LOG", "SARF_LOG_FORMAT", "SARF_LISTEN", "HOUSEHOLDS"]
        {
            command.env_remove(name);
        }
        command.env("SARF_HOME", &self.home).env("SARF_CONFIG", &self.config).args(args).stdin(Stdio::null());
        if let Some(url) = &self.url {
            command.env("DATABASE_URL", url);
        }
        if let Some(log) = &self.log {
            command.env("SARF_LOG", log);
        }
        command
    }

    /// Runs the program to its end; `args` are split at spaces.
    pub fn run(&self, args: &str) -> Ran {
        self.run_args(&args.split_whitespace().collect::<Vec<_>>())
    }

    pub fn run_args(&self, args: &[&str]) -> Ran {
        let output = self.command(args).output().expect("the program starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program prints UTF-8");
        Ran { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs the program, which must end with this code.
    pub fn ends(&self, code: i32, args: &str) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, code, "sarf {args}: {ran:?}");
        ran
    }
}
