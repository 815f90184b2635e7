//! What settings say together: within a file, and between files.
//!
//! Input: the settings as they are read, and the documents that they stand in, for the places. Output: faults.

use std::collections::{BTreeMap, HashMap};

use super::document::Document;
use super::fault::Fault;
use super::{Config, EventsOut, Settings};
use crate::domain::delivery::{AfterFetch, DeliveryTerms};
use crate::domain::file_profile::Addresses;
use crate::domain::household::Means;
use crate::domain::ids::Code;
use crate::domain::policy::second_delivery_codes;
use crate::domain::programme::Programme;
use crate::domain::provider::{Provider, StreamApi, StreamTerms};

/// Faults of `sarf.toml`.
pub(super) fn settings(settings: &Settings, document: &Document<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let service = &settings.service;
    if service.tls_certificate.is_some() != service.tls_key.is_some() {
        let (there, missing) = if service.tls_key.is_some() {
            ("service.tls_key", "tls_certificate")
        } else {
            ("service.tls_certificate", "tls_key")
        };
        let problem = format!("it stands without `{missing}`");
        faults.push(document.fault_at(there, None, problem, "give both, or neither for no TLS"));
    }
    let events = &settings.events;
    if matches!(events.out, Some(EventsOut::Nats { .. })) && events.nats.is_none() {
        let hint = "name the server in [events.nats]";
        faults.push(document.fault_at("events.out.to", None, "there is no [events.nats]".into(), hint));
    }
    if let Some(nats) = events.nats.as_ref().filter(|n| n.subject == n.dead_letter_subject) {
        let problem = format!("`{}` is the subject that events come on", nats.dead_letter_subject);
        let hint = "give dead letters a subject of their own, or they come in again for ever";
        faults.push(document.fault_at("events.nats.dead_letter_subject", None, problem, hint));
    }
    faults
}

/// Faults of providers, each with the document that it stands in.
pub(super) fn providers(all: &[(Provider, &Document<'_>)]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (provider, document) in all {
        let code = provider.code.as_str();
        let own = of_provider(provider)
            .into_iter()
            .chain(provider.stream.as_ref().map(|t| of_terms(provider, t)).unwrap_or_default())
            .chain(provider.delivery.as_ref().map(of_delivery).unwrap_or_default());
        faults.extend(own.map(|(key, problem, hint)| document.fault_at(key, Some(code), problem, hint)));
    }
    faults.extend(shared(all));
    faults
}

type Own = (&'static str, String, &'static str);

fn of_provider(provider: &Provider) -> Vec<Own> {
    let mut found: Vec<Own> = Vec::new();
    let accounts = provider.means.iter().any(|m| matches!(m, Means::BankAccount | Means::PaymentAccount));
    if accounts && provider.bank_codes.is_empty() {
        let problem = "no account is found by a bank code, though it keeps accounts";
        found.push(("provider.bank_codes", problem.into(), "give the bank codes of the accounts it keeps"));
    }
    if provider.bic.is_none() && provider.clearing_member.is_none() && provider.bank_codes.is_empty() {
        let problem = "nothing names it in a bank file: no BIC, clearing member or bank code";
        found.push(("provider.code", problem.into(), "give its `bic` or its `clearing_member`"));
    }
    for pair in provider.ceilings.windows(2).filter(|pair| pair[0] >= pair[1]) {
        let problem = format!("{} is not above {}, the level below", pair[1], pair[0]);
        found.push(("provider.ceilings", problem, "list the ceilings by level, the lowest first"));
    }
    if let Some(low) = provider.ceilings.iter().find(|c| c.get() <= 0) {
        found.push((
            "provider.ceilings",
            format!("{low} is not above zero"),
            "leave `ceilings` out for no limit",
        ));
    }
    let levels = provider.ceilings.len();
    if levels > 0 && usize::from(provider.default_level) > levels {
        let problem = format!("level {} has no ceiling: there are {levels}", provider.default_level);
        found.push(("provider.default_level", problem, "name a level that `ceilings` lists"));
    }
    for pair in provider.fees.windows(2).filter(|pair| pair[0].up_to >= pair[1].up_to) {
        let problem = format!(
            "up to {} comes after up to {}: bands overlap or are out of order",
            pair[1].up_to, pair[0].up_to
        );
        found.push((
            "provider.fees.up_to",
            problem,
            "list the bands by amount, the lowest first, none twice",
        ));
    }
    for band in provider.fees.iter().filter(|band| band.fee >= band.up_to) {
        let problem =
            format!("{} is no less than {}, the highest amount that it is for", band.fee, band.up_to);
        found.push(("provider.fees.fee", problem, "a fee cannot eat up what is paid"));
    }
    if provider.cutoff == time::Time::MIDNIGHT {
        let problem = "every file would come too late for its day";
        found.push((
            "provider.cutoff",
            problem.into(),
            "give the time up to which a file counts for the day, as \"15:00\"",
        ));
    }
    found
}

fn of_terms(provider: &Provider, terms: &StreamTerms) -> Vec<Own> {
    let mut found: Vec<Own> = Vec::new();
    let api = terms.capabilities();
    if u64::from(terms.believe_absent_after_s) * 1_000 <= terms.timeout_ms && api.is_called {
        let problem = format!(
            "{} s is no longer than a request may take ({} ms)",
            terms.believe_absent_after_s, terms.timeout_ms
        );
        let hint = "\"not known here\" must not be believed of a request that may be on its way: it would be paid twice";
        found.push(("provider.stream.believe_absent_after_s", problem, hint));
    }
    if !api.takes_many && terms.orders_per_request != 1 {
        let problem = format!("this API takes single transfers, not {} at once", terms.orders_per_request);
        found.push(("provider.stream.orders_per_request", problem, "set it to 1"));
    }
    if provider.means == [Means::BankAccount] && terms.api != StreamApi::Instant {
        let problem = "a bank that keeps bank accounts only is paid by files, or by its instant lane";
        found.push(("provider.stream.api", problem.into(), "leave [provider.stream] out"));
    }
    found
}

fn of_delivery(terms: &DeliveryTerms) -> Vec<Own> {
    let mut found: Vec<Own> = Vec::new();
    for host in &terms.hosts {
        let port =
            host.rsplit_once(':').filter(|(name, _)| !name.is_empty()).map(|(_, port)| port.parse::<u16>());
        if !matches!(port, Some(Ok(1..))) {
            let problem = format!("`{host}` is not HOST:PORT");
            found.push(("provider.delivery.hosts", problem, "write it as \"sftp.bank.example:22\""));
        }
    }
    for key in &terms.host_keys {
        let print = key.strip_prefix("SHA256:").unwrap_or_default();
        if print.len() != 43 || !print.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
        {
            let problem = format!("`{key}` is not a fingerprint of SHA-256");
            let hint = "write it as `ssh-keygen -lf KEY.pub` prints it: SHA256: and 43 characters";
            found.push(("provider.delivery.host_keys", problem, hint));
        }
    }
    let archive = terms.archive.as_deref();
    if (terms.after_fetch == AfterFetch::Archive) != archive.is_some() {
        let problem = "`archive` names a folder where, and only where, `after_fetch` is \"archive\"".into();
        found.push(("provider.delivery.after_fetch", problem, "say both, or neither"));
    }
    let folders = [Some(terms.upload.as_str()), terms.download.as_deref(), archive];
    let folders: Vec<&str> = folders.into_iter().flatten().map(|f| f.trim_end_matches('/')).collect();
    if folders.iter().enumerate().any(|(at, folder)| folders[..at].contains(folder)) {
        let problem = "two of `upload`, `download` and `archive` are one folder".into();
        found.push(("provider.delivery.upload", problem, "what we bring would be fetched as a message"));
    }
    found
}

/// What two providers may not have in common.
fn shared(all: &[(Provider, &Document<'_>)]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut seen: HashMap<(&str, String), &Provider> = HashMap::new();
    for (provider, document) in all {
        let one =
            |key: &'static str, value: Option<String>| value.into_iter().map(move |v| (key, v)).collect();
        let member = provider.clearing_member.clone();
        let keys: Vec<Vec<(&'static str, String)>> = vec![
            one("provider.code", Some(provider.code.as_str().to_lowercase())),
            one("provider.bic", provider.bic.clone()),
            one("provider.debtor_account", Some(provider.debtor_account.reveal().to_owned())),
            one("provider.clearing_member", member),
            provider.bank_codes.iter().map(|c| ("provider.bank_codes", c.clone())).collect(),
        ];
        for (key, value) in keys.into_iter().flatten() {
            let Some(other) = seen.insert((key, value.clone()), provider) else { continue };
            let (problem, hint) = if key == "provider.code" {
                (
                    format!("two providers bear the code `{}`", provider.code),
                    "give each provider a code of its own",
                )
            } else {
                let shown = if key == "provider.debtor_account" {
                    provider.debtor_account.to_string()
                } else {
                    value
                };
                let problem = format!("`{shown}` belongs to both `{}` and `{}`", other.code, provider.code);
                (problem, "what tells providers apart belongs to one of them")
            };
            faults.push(document.fault_at(key, Some(provider.code.as_str()), problem, hint));
        }
    }
    faults
}

/// Faults of `reasons.toml`: what may be paid twice is not paid again by a rule.
pub(super) fn reasons(document: &Document<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut listed = BTreeMap::new();
    for found in document.find("reason.*.decision") {
        let code = found.place.split('.').nth(1).unwrap_or_default().to_owned();
        if !is_reason(&code) {
            let problem =
                format!("`{code}` is not a reason of four letters and digits, and would never be met");
            faults.push(document.fault(&found, problem, "write ISO codes in capitals, as AC04"));
        }
        listed.insert(code.to_ascii_uppercase(), found);
    }
    for code in second_delivery_codes() {
        let hint =
            "it refuses a second delivery: what was delivered first may be paid, so it is `never` paid again";
        match listed.get(code).and_then(|found| Some((found, found.value.as_str()?))) {
            Some((_, "never")) => {}
            Some((found, other)) => {
                faults.push(document.fault(found, format!("`{code}` may not be `{other}`"), hint));
            }
            None => faults.push(document.fault_at("reason", None, format!("`{code}` is missing"), hint)),
        }
    }
    for key in ["default.decision", "expired.decision", "reason.*.decision"] {
        for found in document.find(key).into_iter().filter(|f| f.value.as_str() == Some("put_forward")) {
            let hint = "choose retry, ask_account, change_lane, case, repair or never";
            let problem = "putting an order forward is a person's decision, not a rule".to_owned();
            faults.push(document.fault(&found, problem, hint));
        }
    }
    for found in document.find("default.decision") {
        if let Some(decision @ ("retry" | "ask_account" | "change_lane")) = found.value.as_str() {
            let problem = format!("`{decision}` would pay again for reasons that nobody has thought of");
            faults.push(document.fault(
                &found,
                problem,
                "leave what is not listed to a person: repair, case or never",
            ));
        }
    }
    faults
}

fn is_reason(code: &str) -> bool {
    code.len() == 4 && code.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Faults of programmes, each with the document that it stands in.
pub(super) fn programmes(all: &BTreeMap<Code, (&Programme, &Document<'_>)>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (programme, document) in all.values() {
        for other in programme.not_with().iter().filter(|code| !all.contains_key(code)) {
            let problem = format!("programme `{other}` is not configured");
            let hint = "name programmes that have a file of their own, as they write their code";
            faults.push(document.fault_at("not_with", None, problem, hint));
        }
        let code = programme.code();
        let one_sided = |other: &&Code| all.get(*other).is_some_and(|(of, _)| !of.not_with().contains(code));
        for other in programme.not_with().iter().filter(one_sided) {
            let problem = format!("`{other}` does not name `{code}`: whichever ran second would be paid too");
            let hint =
                format!("add `{code}` to `not_with` in the file of `{other}`, or take `{other}` out here");
            faults.push(document.fault_at("not_with", None, problem, &hint));
        }
    }
    faults
}

/// Deposits whose holder is not there or keeps no accounts, each with the file of its programme.
pub(super) fn deposit_holders(config: &Config, documents: &[Document<'_>]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for document in documents {
        let code = document.find("code").first().and_then(|found| found.value.as_str()).map(str::to_owned);
        let Some(programme) = code.and_then(|code| config.programme(&code)) else { continue };
        for terms in programme.rules.versions().iter().filter_map(|v| v.deposit.as_ref()) {
            let holder = config.router.by_code(terms.holder.as_str());
            if !holder.is_some_and(|(_, p)| p.means.contains(&Means::BankAccount)) {
                let problem = format!("no provider `{}` that pays to bank accounts", terms.holder);
                let hint = "add it to config/providers with means = [\"bank_account\"], or name another";
                faults.push(document.fault_at("versions.deposit.holder", None, problem, hint));
            }
        }
    }
    faults
}

/// Faults that are seen only once all files are read.
pub(super) fn together(config: &Config, settings: &Document<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    if let Some(code) = &config.settings.reissue.cash_provider
        && !config.router.by_code(code.as_str()).is_some_and(|(_, p)| p.means.contains(&Means::Cash))
    {
        let problem = format!("no provider `{code}` that pays in cash");
        faults.push(settings.fault_at(
            "reissue.cash_provider",
            None,
            problem,
            "name one whose `means` list \"cash\"",
        ));
    }
    for code in config.settings.programmes.priority.iter().filter(|c| !config.programmes.contains_key(c)) {
        let problem = format!("programme `{code}` is not configured");
        let hint = "name programmes that have a file of their own, as they write their code";
        faults.push(settings.fault_at("programmes.priority", None, problem, hint));
    }
    let seat = config.settings.debtor.seat.is_some();
    let asks = |p: &&Provider| matches!(p.file.addresses, Addresses::Structured | Addresses::Lines);
    if let Some(provider) = config.router.providers().iter().find(|p| !seat && asks(p)) {
        let problem =
            format!("`{}` asks for the debtor's address in its files, and there is none", provider.code);
        let hint = "give [debtor.seat] its street, postal_code and town";
        faults.push(settings.fault_at("debtor.name", None, problem, hint));
    }
    faults
}
