//! A configuration file as it is written: values by their path, each with its line.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Fault;

/// A file's text, and what it says.
pub(super) struct Document<'t> {
    path: PathBuf,
    text: &'t str,
    root: Spanned<DeTable<'t>>,
}

/// A value of a document.
pub(super) struct Found<'d, 't> {
    /// Keys down to it; in a list, the item's code or its number.
    pub place: String,
    pub value: &'d DeValue<'t>,
    line: usize,
}

impl<'t> Document<'t> {
    /// Reads the text.
    pub(super) fn parse(path: &Path, text: &'t str) -> Result<Self, toml::de::Error> {
        Ok(Self { path: path.to_owned(), text, root: DeTable::parse(text)? })
    }

    /// All values at a path such as `provider.fees.fee`: lists on the way are gone through item by item, and `*` is any
    /// key.
    pub(super) fn find(&self, pattern: &str) -> Vec<Found<'_, 't>> {
        let mut found = Vec::new();
        let keys: Vec<&str> = pattern.split('.').collect();
        self.walk(self.root.get_ref(), &keys, String::new(), &mut found);
        found
    }

    /// Paths of all values that are no tables, as patterns: what stands in lists is named without its place there.
    #[cfg(test)]
    pub(super) fn leaves(&self) -> std::collections::BTreeSet<String> {
        fn below(value: &DeValue<'_>, path: &str, leaves: &mut std::collections::BTreeSet<String>) {
            match value {
                DeValue::Table(table) => {
                    for (key, value) in table {
                        let path = if path.is_empty() {
                            key.get_ref().to_string()
                        } else {
                            format!("{path}.{}", key.get_ref())
                        };
                        below(value.get_ref(), &path, leaves);
                    }
                }
                DeValue::Array(items) if items.iter().any(|i| i.get_ref().is_table()) => {
                    items.iter().for_each(|item| below(item.get_ref(), path, leaves));
                }
                _ => drop(leaves.insert(path.to_owned())),
            }
        }
        let mut leaves = std::collections::BTreeSet::new();
        below(&DeValue::Table(self.root.get_ref().clone()), "", &mut leaves);
        leaves
    }

    /// A fault at a value.
    pub(super) fn fault(&self, at: &Found<'_, '_>, problem: String, hint: &str) -> Fault {
        Fault {
            path: self.path.clone(),
            line: Some(at.line),
            place: at.place.clone(),
            problem,
            hint: hint.to_owned(),
        }
    }

    /// A fault at the first value at a path, or of the whole file where there is none; `among` is the code of the item of
    /// a list that it is of.
    pub(super) fn fault_at(&self, pattern: &str, among: Option<&str>, problem: String, hint: &str) -> Fault {
        let of_item =
            |f: &Found<'_, '_>| among.is_none_or(|code| f.place.split('.').any(|part| part == code));
        let found = self.find(pattern).into_iter().find(of_item);
        let place = found.as_ref().map_or_else(|| pattern.to_owned(), |f| f.place.clone());
        let line = found.map(|f| f.line);
        Fault { path: self.path.clone(), line, place, problem, hint: hint.to_owned() }
    }

    fn walk<'d>(
        &'d self,
        table: &'d DeTable<'t>,
        keys: &[&str],
        place: String,
        found: &mut Vec<Found<'d, 't>>,
    ) {
        let Some((key, rest)) = keys.split_first() else { return };
        for (name, value) in table.iter().filter(|(name, _)| *key == "*" || name.get_ref() == key) {
            let name_text = name.get_ref().as_ref();
            let place = if place.is_empty() { name_text.to_owned() } else { format!("{place}.{name_text}") };
            self.step(value, rest, place, found);
        }
    }

    fn step<'d>(
        &'d self,
        value: &'d Spanned<DeValue<'t>>,
        rest: &[&str],
        place: String,
        found: &mut Vec<Found<'d, 't>>,
    ) {
        match value.get_ref() {
            DeValue::Array(items) if !rest.is_empty() => {
                for (number, item) in (1..).zip(items.iter()) {
                    let place = format!("{place}.{}", label(item.get_ref(), number));
                    self.step(item, rest, place, found);
                }
            }
            DeValue::Table(table) if !rest.is_empty() => self.walk(table, rest, place, found),
            other if rest.is_empty() => {
                let start = value.span().start.min(self.text.len());
                let line = self.text.as_bytes()[..start].iter().filter(|b| **b == b'\n').count() + 1;
                found.push(Found { place, value: other, line });
            }
            _ => {}
        }
    }
}

/// What an item of a list is called: by its own code where it has one.
fn label(item: &DeValue<'_>, number: usize) -> String {
    let named = ["code", "from", "date", "paid_in"]
        .iter()
        .find_map(|key| item.as_table()?.get(*key)?.get_ref().as_str());
    let year = || item.as_table()?.get("year")?.get_ref().as_integer().map(|year| year.as_str().to_owned());
    named.map(str::to_owned).or_else(year).unwrap_or_else(|| number.to_string())
}
