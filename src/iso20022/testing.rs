//! Helpers of the codec tests: validation against the published schemas, where they are at hand.

use std::path::PathBuf;
use std::process::Command;

use time::macros::datetime;
use time::{Date, OffsetDateTime};

/// The instant the tests' messages are made.
pub(super) const CREATED: OffsetDateTime = datetime!(2026-11-22 10:00:00 UTC);

/// The day the tests' messages are about.
pub(super) const DAY: Date = CREATED.date();

/// A UETR of the right form for a number.
pub(super) fn uetr(number: u64) -> String {
    format!("{number:08x}-1c2d-4e5f-8a9b-0c1d2e3f4a5b")
}

/// A document of a version.
pub(super) fn document(version: &str, inner: &str) -> String {
    format!("<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:{version}\">{inner}</Document>")
}

/// Puts every element into a prefix, as some banks do.
pub(super) fn prefixed(xml: &str) -> String {
    xml.replace("</", "\u{1}").replace('<', "<p:").replace('\u{1}', "</p:").replace("xmlns=", "xmlns:p=")
}

/// Validates a document with `xmllint`; prints a note and passes where the schema is missing.
pub(super) fn assert_valid(message: &str, xml: &[u8]) {
    let dir = std::env::var_os("SARF_XSD_DIR")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/xsd")), PathBuf::from);
    let schema = dir.join(format!("{message}.xsd"));
    if !schema.is_file() {
        println!("skipped: no schema {message}.xsd");
        return;
    }
    let path = std::env::temp_dir().join(format!("sarf-{}-{message}-{}.xml", std::process::id(), xml.len()));
    std::fs::write(&path, xml).unwrap();
    let run =
        Command::new("xmllint").args(["--noout", "--nonet", "--schema"]).arg(&schema).arg(&path).output();
    std::fs::remove_file(&path).unwrap();
    match run {
        Err(_) => crate::testing::without_tool("xmllint", "xmllint"),
        Ok(output) => assert!(
            output.status.success(),
            "{}\n{}",
            String::from_utf8_lossy(&output.stderr),
            String::from_utf8_lossy(&xml[..xml.len().min(4000)])
        ),
    }
}
