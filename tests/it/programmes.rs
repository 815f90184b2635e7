//! Programmes as they are configured: what does not fit together is refused with its place and a next step.

use std::fs;
use std::path::Path;

use sarf::config::Config;

use crate::harness::{Program, TempHome, config_folder, copy_folder};

/// Changes a file below the configuration folder; the text must be there.
fn change(folder: &Path, file: &str, replace: &str, by: &str) {
    let path = folder.join(file);
    let text = fs::read_to_string(&path).expect("a file of the configuration");
    assert!(text.contains(replace), "`{replace}` stands in {file}");
    fs::write(path, text.replace(replace, by)).expect("written");
}

#[test]
fn settings_of_programmes_are_checked_with_place_and_hint() {
    let widows = "\"widows\", ";
    let legacy = "programmes/tayssir.toml";
    // The file, what is replaced by what, the file that is named, and what is said of it.
    for (file, replace, by, names, says) in [
        (legacy, "not_with = [\"dss\"]", "not_with = [\"dsss\"]", "tayssir.toml", "`dsss`"),
        (legacy, "not_with = [\"dss\"]", "# alone", "dss.toml", "`tayssir` does not name `dss`"),
        ("programmes/dss.toml", "holder = \"cdg\"", "holder = \"cgd\"", "dss.toml", "deposit.holder"),
        ("programmes/dss.toml", "holder = \"cdg\"", "holder = \"cashplus\"", "dss.toml", "deposit.holder"),
        ("programmes/dss.toml", "claim_months = 6", "claim_months = 0", "dss.toml", "claim_months"),
        ("sarf.toml", widows, "\"widow\", ", "sarf.toml", "`widow`"),
        ("sarf.toml", widows, "\"dss\", ", "sarf.toml", "programmes.priority"),
        ("sarf.toml", "case_order = \"opening\"", "case_order = \"age\"", "sarf.toml", "case_order"),
        ("sarf.toml", "reach = \"whole_months\"", "reach = \"weeks\"", "sarf.toml", "reach"),
        (
            "providers/payment_institutions.toml",
            "fee_above = \"last\"",
            "fee_above = \"free\"",
            "payment_institutions.toml",
            "fee_above",
        ),
    ] {
        let home = TempHome::new("p");
        let program = Program::new(home.path());
        change(&program.config, file, replace, by);
        let ran = program.run("config check");
        assert_eq!(ran.code, 1, "{by}: {ran:?}");
        for text in [names, says, "hint:"] {
            assert!(ran.err.contains(text), "{by} tells `{text}`: {}", ran.err);
        }
    }
}

#[test]
fn the_order_of_programmes_is_that_of_the_list() {
    let home = TempHome::new("p");
    let folder = home.path().join("config");
    copy_folder(&config_folder(), &folder);
    let config = Config::read(&folder).expect("the configuration in the tree");
    for (first, second, expected) in [
        ("dss", "tayssir", true),
        ("DSS", "widows", true),
        ("tayssir", "dss", false),
        ("dss", "dss", false),
        ("dss", "unknown", false),
    ] {
        assert_eq!(config.outranks(first, second), expected, "{first} before {second}");
    }
    change(&folder, "sarf.toml", "priority = [\"dss\", ", "priority = [");
    let config = Config::read(&folder).expect("still sound");
    assert!(!config.outranks("dss", "tayssir") && !config.outranks("tayssir", "dss"));
}
