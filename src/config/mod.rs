//! Configuration: `sarf.toml`, `reasons.toml`, `programmes/*.toml`, `providers/*.toml` and the calendar, read once at
//! start.
//! Unknown keys are refused; an error names the file.

mod settings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::domain::batch::Lane;
use crate::domain::calendar::{Calendar, CalendarError};
use crate::domain::household::Means;
use crate::domain::ids::Code;
use crate::domain::policy::Policy;
use crate::domain::programme::{Programme, ProgrammeError};
use crate::domain::provider::{Provider, RouteTableError, Router};

pub use settings::{
    Breaks, Checks, Debtor, Dispatch, Events, EventsOut, Feedback, Holds, Nats, Recalls, Registry, Reissue,
    Service, Settings, Stream,
};

/// Everything that is configured.
#[derive(Debug)]
pub struct Config {
    /// `sarf.toml`.
    pub settings: Settings,
    /// By code.
    pub programmes: BTreeMap<Code, ConfiguredProgramme>,
    /// Providers and the routing to them.
    pub router: Router,
    /// What is done about orders that ended unpaid.
    pub reasons: Policy,
    /// Business days.
    pub calendar: Calendar,
}

/// A programme's rules and the hash of the text they were read from.
#[derive(Debug)]
pub struct ConfiguredProgramme {
    /// The rules.
    pub rules: Programme,
    /// SHA-256 of the file: what an approval is bound to.
    pub sha256: [u8; 32],
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file or folder cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML, or not with these keys.
    #[error("`{}` cannot be understood", path.display())]
    Parse {
        /// Which.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A programme's rules do not hold together.
    #[error("programme in `{}`", path.display())]
    Programme {
        /// Which.
        path: PathBuf,
        /// Why.
        source: Box<ProgrammeError>,
    },
    /// The calendar does not hold together.
    #[error("calendar in `{}`", path.display())]
    Calendar {
        /// Which.
        path: PathBuf,
        /// Why.
        source: Box<CalendarError>,
    },
    /// Two files define one programme.
    #[error("programme `{0}` is defined twice")]
    ProgrammeTwice(Code),
    /// The provider that pays in cash what cannot be paid otherwise.
    #[error("`cash_provider` of [reissue]: no provider `{0}` that pays in cash")]
    CashProvider(Code),
    /// The providers do not hold together.
    #[error("providers")]
    Providers(#[from] RouteTableError),
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ProvidersFile {
    #[serde(default)]
    provider: Vec<Provider>,
}

impl Config {
    /// Reads the configuration below `folder`.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn read(folder: &Path) -> Result<Self, ConfigError> {
        let settings: Settings = parse(&folder.join("sarf.toml"))?;
        let mut programmes = BTreeMap::new();
        for path in toml_files(&folder.join("programmes"))? {
            let text = read(&path)?;
            let rules = Programme::from_toml(&text)
                .map_err(|source| ConfigError::Programme { path: path.clone(), source: Box::new(source) })?;
            let code = rules.code().clone();
            let sha256 = Sha256::digest(text.as_bytes()).into();
            if programmes.insert(code.clone(), ConfiguredProgramme { rules, sha256 }).is_some() {
                return Err(ConfigError::ProgrammeTwice(code));
            }
        }
        let mut providers = Vec::new();
        for path in toml_files(&folder.join("providers"))? {
            providers.extend(parse::<ProvidersFile>(&path)?.provider);
        }
        let calendar_path = folder.join(&settings.calendar.file);
        let calendar = Calendar::from_toml(&read(&calendar_path)?)
            .map_err(|source| ConfigError::Calendar { path: calendar_path, source: Box::new(source) })?;
        let router = Router::new(providers)?;
        if let Some(code) = &settings.reissue.cash_provider
            && !router.by_code(code.as_str()).is_some_and(|(_, p)| p.means.contains(&Means::Cash))
        {
            return Err(ConfigError::CashProvider(code.clone()));
        }
        let reasons = parse(&folder.join("reasons.toml"))?;
        Ok(Self { settings, programmes, router, reasons, calendar })
    }

    /// How a provider's orders leave.
    pub const fn lane(&self, provider: &Provider) -> Lane {
        if self.settings.stream.enabled && provider.stream.is_some() { Lane::Stream } else { Lane::File }
    }

    /// The programme of a code, whose letters may be large or small.
    pub fn programme(&self, code: &str) -> Option<&ConfiguredProgramme> {
        self.programmes.iter().find(|(known, _)| known.as_str().eq_ignore_ascii_case(code)).map(|(_, p)| p)
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    toml::from_str(&read(path)?)
        .map_err(|source| ConfigError::Parse { path: path.into(), source: Box::new(source) })
}

/// The `.toml` files of a folder, by name, so that the order never depends on the file system.
fn toml_files(folder: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let fault = |source| ConfigError::Read { path: folder.into(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        if path.extension().is_some_and(|e| e == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
