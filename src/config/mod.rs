//! Configuration: `sarf.toml`, `reasons.toml`, `programmes/*.toml`, `providers/*.toml` and the calendar, read once at
//! start.
//! Unknown keys are refused; an error names the file and the place. Every value is within its bounds ([`bounds`]) and
//! agrees with the others ([`consistency`]) before anything starts.

mod bounds;
mod consistency;
mod decisions;
mod document;
mod fault;
mod provider_bounds;
mod settings;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::domain::batch::Lane;
use crate::domain::calendar::{Calendar, CalendarError};
use crate::domain::country;
use crate::domain::hint::{Hint, NextStep};
use crate::domain::ids::Code;
use crate::domain::policy::Policy;
use crate::domain::programme::{Programme, ProgrammeError};
use crate::domain::provider::Provider;
use crate::domain::router::{RouteTableError, Router};
use crate::files;
use document::Document;
pub use fault::{Fault, Faults};

pub use decisions::{Decisions, Freeze};
pub use settings::{
    Breaks, CaseOrder, Checks, Debtor, Dispatch, Events, EventsOut, Feedback, Holds, Nats, Recalls, Recovery,
    Registry, Reissue, Service, Settings, Stream,
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
    #[error("the programme in `{}` cannot be used", path.display())]
    Programme {
        /// Which.
        path: PathBuf,
        /// Why.
        source: Box<ProgrammeError>,
    },
    /// The calendar does not hold together.
    #[error("the calendar in `{}` cannot be used", path.display())]
    Calendar {
        /// Which.
        path: PathBuf,
        /// Why.
        source: Box<CalendarError>,
    },
    /// Another country was configured before, in this process.
    #[error("this process works for another country already")]
    OtherCountry,
    /// Two files define one programme.
    #[error("programme `{0}` is defined twice")]
    ProgrammeTwice(Code),
    /// Settings that cannot be.
    #[error(transparent)]
    Faults(#[from] Faults),
    /// A folder without any file of its kind.
    #[error("`{}` holds no .toml file", .0.display())]
    Nothing(PathBuf),
    /// The providers do not hold together.
    #[error("the providers cannot be used together")]
    Providers(#[from] RouteTableError),
}

impl Hint for ConfigError {
    fn hint(&self) -> Option<NextStep> {
        Some(match self {
            Self::Read { .. } | Self::Nothing(_) => "name the folder with --config DIR or SARF_CONFIG".into(),
            Self::Faults(faults) => faults.hint().to_owned().into(),
            Self::Parse { .. }
            | Self::Programme { .. }
            | Self::Calendar { .. }
            | Self::ProgrammeTwice(_)
            | Self::OtherCountry
            | Self::Providers(_) => "correct the file; `sarf config check` reads it all again".into(),
        })
    }
}

#[cfg(test)]
crate::domain::hint::samples!(ConfigError {
    Self::Read { .. } => Self::Read { path: "config".into(), source: std::io::ErrorKind::NotFound.into() },
    Self::Parse { .. } => Self::Parse {
        path: "sarf.toml".into(),
        source: Box::new(toml::from_str::<toml::Table>("=").expect_err("no table")),
    },
    Self::Programme { .. } => Self::Programme {
        path: "asd.toml".into(),
        source: Box::new(ProgrammeError::Setting { key: "code", problem: "is missing" }),
    },
    Self::Calendar { .. } => Self::Calendar {
        path: "calendar.toml".into(),
        source: Box::new(CalendarError::YearNotCovered { year: 2031 }),
    },
    Self::OtherCountry => Self::OtherCountry,
    Self::ProgrammeTwice(_) => Self::ProgrammeTwice(Code::parse("asd").expect("a code")),
    Self::Faults(_) => Self::Faults(Faults(vec![Fault {
        path: "sarf.toml".into(),
        line: None,
        place: "events".into(),
        problem: "is missing".into(),
        hint: "seconds".into(),
    }])),
    Self::Nothing(_) => Self::Nothing("config".into()),
    Self::Providers(_) => {
        Self::Providers(RouteTableError::NoCapacity(Code::parse("m2t").expect("a code")))
    },
});

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ProvidersFile {
    #[serde(default)]
    provider: Vec<Provider>,
}

/// A file of the configuration, as text.
struct Text {
    path: PathBuf,
    text: String,
}

impl Text {
    fn read(path: PathBuf) -> Result<Self, ConfigError> {
        let read = || {
            let mut text = String::new();
            std::io::Read::read_to_string(&mut files::open_setting(&path)?, &mut text)?;
            Ok(text)
        };
        match read() {
            Ok(text) => Ok(Self { text, path }),
            Err(source) => Err(ConfigError::Read { path, source }),
        }
    }

    /// All files of a folder.
    fn read_all(folder: &Path) -> Result<Vec<Self>, ConfigError> {
        let texts: Vec<Self> = toml_files(folder)?.into_iter().map(Self::read).collect::<Result<_, _>>()?;
        if texts.is_empty() { Err(ConfigError::Nothing(folder.to_owned())) } else { Ok(texts) }
    }

    fn document(&self) -> Result<Document<'_>, ConfigError> {
        Document::parse(&self.path, &self.text).map_err(|e| self.parse_fault(e))
    }

    fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, ConfigError> {
        toml::from_str(&self.text).map_err(|e| self.parse_fault(e))
    }

    fn parse_fault(&self, source: toml::de::Error) -> ConfigError {
        ConfigError::Parse { path: self.path.clone(), source: Box::new(source) }
    }
}

/// Documents of one kind, checked by their bounds; what was found is added to `faults`.
fn documents<'t>(
    texts: &'t [Text],
    table: &[bounds::Bound],
    faults: &mut Vec<Fault>,
) -> Result<Vec<Document<'t>>, ConfigError> {
    let documents: Vec<Document<'t>> = texts.iter().map(Text::document).collect::<Result<_, _>>()?;
    faults.extend(documents.iter().flat_map(|document| bounds::check(document, table)));
    Ok(documents)
}

/// The providers of all files, checked among each other.
fn read_providers(
    texts: &[Text],
    documents: &[Document<'_>],
    faults: &mut Vec<Fault>,
) -> Result<Vec<Provider>, ConfigError> {
    let mut placed = Vec::new();
    for (text, document) in texts.iter().zip(documents) {
        placed.extend(text.parse::<ProvidersFile>()?.provider.into_iter().map(|p| (p, document)));
    }
    faults.extend(consistency::providers(&placed));
    Ok(placed.into_iter().map(|(provider, _)| provider).collect())
}

/// The programmes of all files, checked among each other.
fn read_programmes(
    texts: &[Text],
    documents: &[Document<'_>],
    faults: &mut Vec<Fault>,
) -> Result<BTreeMap<Code, ConfiguredProgramme>, ConfigError> {
    let mut programmes = BTreeMap::new();
    let mut places = BTreeMap::new();
    for (text, document) in texts.iter().zip(documents) {
        let fault = |source| ConfigError::Programme { path: text.path.clone(), source: Box::new(source) };
        let rules = Programme::from_toml(&text.text).map_err(fault)?;
        let code = rules.code().clone();
        let sha256 = Sha256::digest(text.text.as_bytes()).into();
        if programmes.insert(code.clone(), ConfiguredProgramme { rules, sha256 }).is_some() {
            return Err(ConfigError::ProgrammeTwice(code));
        }
        places.insert(code, document);
    }
    let placed = programmes.iter().map(|(code, p)| (code.clone(), (&p.rules, places[code]))).collect();
    faults.extend(consistency::programmes(&placed));
    Ok(programmes)
}

impl Config {
    /// Reads the configuration below `folder`.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn read(folder: &Path) -> Result<Self, ConfigError> {
        let settings_text = [Text::read(folder.join("sarf.toml"))?];
        let reasons_text = [Text::read(folder.join("reasons.toml"))?];
        let programme_texts = Text::read_all(&folder.join("programmes"))?;
        let provider_texts = Text::read_all(&folder.join("providers"))?;
        // First each value by itself: a type that cannot hold it would say less.
        let mut faults = Vec::new();
        let settings_file = documents(&settings_text, bounds::SETTINGS, &mut faults)?;
        let reasons_file = documents(&reasons_text, bounds::REASONS, &mut faults)?;
        let programme_files = documents(&programme_texts, bounds::PROGRAMMES, &mut faults)?;
        let provider_files = documents(&provider_texts, provider_bounds::PROVIDERS, &mut faults)?;
        faults.extend(consistency::reasons(&reasons_file[0]));
        Faults(std::mem::take(&mut faults)).none()?;
        let settings: Settings = settings_text[0].parse()?;
        // Accounts of providers are read by it.
        if !country::fix(settings.country) {
            return Err(ConfigError::OtherCountry);
        }
        let calendar = read_calendar(&folder.join(&settings.calendar.file))?;
        // Then what they say together.
        faults.extend(consistency::settings(&settings, &settings_file[0]));
        let reasons: Policy = reasons_text[0].parse()?;
        let programmes = read_programmes(&programme_texts, &programme_files, &mut faults)?;
        let providers = read_providers(&provider_texts, &provider_files, &mut faults)?;
        Faults(std::mem::take(&mut faults)).none()?;
        let config = Self { settings, programmes, router: Router::new(providers)?, reasons, calendar };
        faults.extend(consistency::together(&config, &settings_file[0]));
        faults.extend(consistency::deposit_holders(&config, &programme_files));
        Faults(faults).none()?;
        Ok(config)
    }

    /// Whether a programme goes before another where the two may not be drawn together. Neither does where one of them has no
    /// place in the order of programmes.
    pub fn outranks(&self, first: &str, second: &str) -> bool {
        let priority = &self.settings.programmes.priority;
        let place = |code: &str| priority.iter().position(|c| c.as_str().eq_ignore_ascii_case(code));
        place(first).zip(place(second)).is_some_and(|(first, second)| first < second)
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

fn read_calendar(path: &Path) -> Result<Calendar, ConfigError> {
    let text = [Text::read(path.to_owned())?];
    let mut faults = Vec::new();
    documents(&text, bounds::CALENDARS, &mut faults)?;
    Faults(faults).none()?;
    Calendar::from_toml(&text[0].text)
        .map_err(|source| ConfigError::Calendar { path: path.to_owned(), source: Box::new(source) })
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
