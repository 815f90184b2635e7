//! What a country adds is configuration: a programme that asks for something new of a household, a bank, a wallet that speaks a
//! known API. No line of the engine changes.

use std::fs;
use std::path::Path;

use sarf::config::Config;
use sarf::domain::run::RunState;

use crate::harness::{Bed, Program, Registry, TempHome, config_folder, copy_folder, period, rib, sent_files};

const PROGRAMME: &str = r#"
code = "winter"
name = { fr = "Aide d'hiver", ar = "دعم الشتاء", en = "Winter support" }
purpose = "monthly"
purpose_code = "GOVT"
category_purpose = "GOVT"

[attributes]
herd = { type = "integer", min = 0, max = 500 }
mountain_zone = { type = "boolean", required = true }
roof = { type = "code", values = ["earth", "tin", "concrete"] }

[budget]
2026 = "1000000.00"

[eligibility]
attributes = { mountain_zone = true }

[[versions]]
from = "2026-01"
verified = false
rules = [
  { code = "child", kind = "base", amount = "100.00", label = { fr = "enfant", en = "child" } },
  { code = "herder", kind = "supplement", attributes = { herd = { max = 20 }, roof = ["earth", "tin"] }, amount = "80.00", label = { fr = "petit éleveur", en = "small herder" } },
]
"#;

/// A provider's block; the account is at its own bank code.
fn provider(code: &str, bank_code: &str, means: &str, further: &str) -> String {
    let account = rib(bank_code, 900);
    format!(
        r#"
[[provider]]
code = "{code}"
name = "{code}"
verified = false
means = ["{means}"]
account_format = "iban"
debtor_account = "{account}"
daily_capacity = 1000
cutoff = "15:00"
lead_days = 1
{further}"#
    )
}

const BANK: &str = r#"
bic = "ATLSMAMC"
bank_codes = ["777"]
"#;

const WALLET: &str = r#"
clearing_member = "898"
bank_codes = []

[provider.stream]
api = "wallet"
url = "http://127.0.0.1:8790/wallet"
orders_per_request = 1
requests_per_second = 50
orders_per_second = 50
burst = 5
concurrency = 2
timeout_ms = 1000
opens = "00:00"
closes = "00:00"
enquire_after_s = 30
changes_every_s = 30
believe_absent_after_s = 60
unknown_hours_max = 24
expiry_days = 45
"#;

/// The configuration in the tree, with one of each.
fn extended(folder: &Path) {
    copy_folder(&config_folder(), folder);
    fs::write(folder.join("programmes/winter.toml"), PROGRAMME).expect("written");
    let bank = provider("atlas", "777", "bank_account", BANK);
    let wallet = provider("souk", "898", "wallet", WALLET);
    fs::write(folder.join("providers/new.toml"), bank + &wallet).expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_programme_a_bank_and_a_wallet_are_added_by_configuration_alone() {
    let home = TempHome::new("x");
    let folder = home.path().join("config");
    extended(&folder);
    let bed = Bed::with(|config| {
        *config = Config::read(&folder).expect("the extended configuration is sound");
        config.settings.stream.enabled = false;
    });
    let Some(bed) = bed.await else { return };
    let mut registry = Registry::default();
    for (zone, herd, roof) in [
        ("true", "5", "tin"),
        ("yes", "21", "tin"),
        ("true", "", ""),
        ("false", "5", "tin"),
        ("true", "501", "tin"),
        ("", "5", "tin"),
        ("true", "20", "Earth"),
    ] {
        let household = registry.household();
        registry.set(household, &[("attr_mountain_zone", zone), ("attr_herd", herd), ("attr_roof", roof)]);
    }
    registry.set(1, &[("account", &rib("777", 2))]);
    registry.set(2, &[("means", "wallet"), ("account", ""), ("provider", "souk")]);
    let list = bed.home().join("winter");
    registry.write_as(&list, period(), "winter");
    let list = bed.import(&list).await;
    let rejected = "select household_id || ' ' || field || ' ' || reason from snapshot_rejection order by 1";
    let expected = ["H000005 attr_herd out_of_range", "H000006 attr_mountain_zone missing"];
    assert_eq!(bed.rows(rejected).await, expected);

    let run = bed.create(list).await;
    let made = format!(
        "select o.household_id || ' ' || p.code || ' ' || o.amount from payment_order_{run} o join provider p on p.id = o.provider_id
         union all select household_id || ' ' || reason from exclusion_{run} order by 1"
    );
    let expected = [
        "H000001 awb 18000",
        "H000002 atlas 10000",
        "H000003 souk 10000",
        "H000004 attribute_not_met",
        "H000007 awb 18000",
    ];
    assert_eq!(bed.rows(&made).await, expected);
    bed.take_to(run, RunState::Settling).await;
    let sent = sent_files(&bed.outbox());
    assert!(["atlas", "souk"].iter().all(|code| sent.iter().any(|file| file.provider == *code)), "{sent:?}");
    bed.verify_all_holds().await;

    // A list of the same month that says another thing is the month's own word.
    registry.set(0, &[("attr_roof", "concrete")]);
    registry.set(3, &[("attr_mountain_zone", "true")]);
    let corrected = bed.home().join("winter-2");
    registry.write_as(&corrected, period(), "winter");
    let difference = bed.import(&corrected).await;
    assert_ne!(difference, list);
    let changed = sarf::store::registry::households::diff(&bed.context.store, list, difference).await;
    let changed = changed.expect("both lists are there");
    assert!(changed.contains(&("members or attributes changed", 2)), "{changed:?}");
    bed.end().await;
}

#[test]
fn what_a_programme_cannot_ask_is_refused_with_its_place() {
    for (replace, by, place) in [
        ("mountain_zone = true", "mountain = true", "eligibility.attributes"),
        ("herd = { max = 20 }", "herd = true", "attributes"),
        ("[\"earth\", \"tin\"]", "[\"straw\"]", "attributes"),
        ("min = 0, max = 500", "min = 501, max = 500", "attributes"),
        ("type = \"boolean\"", "type = \"date\"", "unknown variant"),
    ] {
        let home = TempHome::new("x");
        let program = Program::new(home.path());
        extended(&program.config);
        let changed = PROGRAMME.replacen(replace, by, 1);
        assert_ne!(changed, PROGRAMME, "{replace}");
        fs::write(program.config.join("programmes/winter.toml"), changed).expect("written");
        let ran = program.run("config check");
        assert_eq!(ran.code, 1, "{by}: {ran:?}");
        assert!(ran.err.contains("winter.toml") && ran.err.contains(place), "{by}: {}", ran.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_without_a_declared_column_is_refused() {
    let home = TempHome::new("x");
    let folder = home.path().join("config");
    extended(&folder);
    let bed = Bed::with(|config| *config = Config::read(&folder).expect("sound")).await;
    let Some(bed) = bed else { return };
    let mut registry = Registry::default();
    let household = registry.household();
    registry.set(household, &[("attr_mountain_zone", "true"), ("attr_roof", "tin"), ("attr_sea", "1")]);
    let list = bed.home().join("winter");
    registry.write_as(&list, period(), "winter");
    let refused = sarf::pipeline::intake::import(&bed.context, &list).await.expect_err("refused");
    let cause = std::error::Error::source(&refused).map_or(refused.to_string(), ToString::to_string);
    assert!(cause.contains("`attr_herd` is missing"), "{refused}: {cause}");
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_currency_is_a_setting() {
    let Some(bed) = Bed::new().await else { return };
    let program = Program { url: Some(bed.url()), ..Program::new(bed.home()) };
    let settings = program.config.join("sarf.toml");
    let text = fs::read_to_string(&settings).expect("settings");
    let changed = text.replacen("currency = \"MAD\"", "currency = \"XOF\"", 1);
    assert_ne!(text, changed);
    fs::write(&settings, changed).expect("written");
    let (list, inbox) = (bed.home().join("list"), bed.home().join("inbox"));
    let shown =
        program.ends(0, &format!("generate --households 60 --period 2026-11 --out {}", list.display()));
    assert!(!shown.out.contains("MAD"), "{shown:?}");
    for args in [
        format!("snapshot import {}", list.display()),
        "run create --snapshot 1 --as amina".into(),
        "run check 1 --acknowledge seen --as amina".into(),
        "run submit 1 --as amina".into(),
        "run approve 1 --as brahim".into(),
        "run fund 1 --as chafik".into(),
        "run release 1 --as chafik".into(),
        "dispatch 1".into(),
        "sandbox".into(),
        format!("feedback import {}", inbox.display()),
        "reconcile 1".into(),
        "run show 1".into(),
        "verify".into(),
    ] {
        let ran = program.ends(0, &args);
        assert!(!ran.out.contains("MAD") && !ran.err.contains("MAD"), "{args}: {ran:?}");
    }
    let mut files = Vec::new();
    for provider in fs::read_dir(bed.outbox()).expect("an outbox").flatten() {
        files.extend(fs::read_dir(provider.path()).expect("its folder").flatten().map(|entry| entry.path()));
    }
    let sent: Vec<String> = files.iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
    assert!(sent.iter().any(|file| file.contains("<InstdAmt Ccy=\"XOF\">")), "{files:?}");
    assert!(sent.iter().all(|file| !file.contains("MAD")), "{files:?}");
    bed.end().await;
}
