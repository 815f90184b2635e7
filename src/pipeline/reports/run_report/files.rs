//! Files that get their names together, once all are whole.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use super::ReportError;
use crate::files;

const BUFFER_BYTES: usize = 1 << 18;

/// Files under way in a folder; dropped before [`Drafts::keep`], they are gone again.
#[derive(Debug)]
pub(super) struct Drafts {
    folder: PathBuf,
    /// Path while under way, and path once kept.
    files: Vec<(PathBuf, PathBuf)>,
}

impl Drafts {
    /// Makes the folder if it is missing.
    pub(super) fn begin(folder: &Path) -> Result<Self, ReportError> {
        files::private_folder(folder).map_err(ReportError::io(folder))?;
        Ok(Self { folder: folder.to_owned(), files: Vec::new() })
    }

    /// Where to write the file that will be `name`: a name of its own, so that two reports into one folder do not meet.
    pub(super) fn path(&mut self, name: &str) -> Result<PathBuf, ReportError> {
        let kept = self.folder.join(name);
        let draft = files::draft_path(&kept).map_err(ReportError::io(&kept))?;
        self.files.push((draft.clone(), kept));
        Ok(draft)
    }

    /// Puts the files on disk and gives them their names, replacing those of an earlier report.
    pub(super) fn keep(mut self) -> Result<Vec<PathBuf>, ReportError> {
        for (draft, _) in &self.files {
            File::open(draft).and_then(|file| file.sync_all()).map_err(ReportError::io(draft))?;
        }
        for (draft, kept) in &self.files {
            fs::rename(draft, kept).map_err(ReportError::io(kept))?;
        }
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(ReportError::io(&self.folder))?;
        Ok(std::mem::take(&mut self.files).into_iter().map(|(_, kept)| kept).collect())
    }
}

impl Drop for Drafts {
    fn drop(&mut self) {
        for (draft, _) in &self.files {
            // Already kept, or not begun: nothing to take away.
            let _ = fs::remove_file(draft);
        }
    }
}

/// Opens a new file for writing.
pub(super) fn create(path: &Path) -> Result<BufWriter<File>, ReportError> {
    Ok(BufWriter::with_capacity(BUFFER_BYTES, files::create_new(path).map_err(ReportError::io(path))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn files_appear_together_or_not_at_all() {
        let folder = std::env::temp_dir().join(format!("sarf-report-files-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        for (text, kept) in [("1", true), ("2", false), ("3", true)] {
            let mut drafts = Drafts::begin(&folder).unwrap();
            for name in ["a.csv", "b.csv"] {
                fs::write(drafts.path(name).unwrap(), text).unwrap();
            }
            assert_eq!(names(&folder).iter().filter(|n| n.ends_with(".part")).count(), 2);
            if kept {
                let paths = drafts.keep().unwrap();
                assert_eq!(paths, [folder.join("a.csv"), folder.join("b.csv")]);
            } else {
                drop(drafts);
            }
            assert_eq!(names(&folder), ["a.csv", "b.csv"]);
            let expected = if kept { text } else { "1" };
            assert_eq!(fs::read_to_string(folder.join("b.csv")).unwrap(), expected);
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
