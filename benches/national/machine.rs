//! On what the figures were taken, and how much memory this process took.

use std::fs;
use std::process::Command;

use sarf::clock::Clock;

/// Machine, date and commit, as the head of the result.
pub fn describe(postgres_major: u32) -> anyhow::Result<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, m)| m);
    let cores = std::thread::available_parallelism()?;
    let memory = kib(&fs::read_to_string("/proc/meminfo")?, "MemTotal:").unwrap_or(0) / (1 << 20);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(format!(
        "Machine: {cores} cores of {}, {memory} GiB, Linux {}, PostgreSQL {postgres_major} with `fsync` and checksums. \
         Date: {}. Commit: {}.\n\n",
        cpu.unwrap_or("an unnamed kind"),
        kernel.trim(),
        Clock::system().now().date(),
        commit()
    ))
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|o| o.status.success())?;
        String::from_utf8(output.stdout).ok()
    };
    match git(&["rev-parse", "--short", "HEAD"]) {
        None => "unknown".to_owned(),
        Some(commit) => {
            let changed = git(&["status", "--porcelain"]).is_none_or(|changes| !changes.is_empty());
            format!("{}{}", commit.trim(), if changed { " with changes" } else { "" })
        }
    }
}

/// Begins a new peak: what was taken before and given back no longer counts. False where the kernel does not let us.
pub fn forget_peak() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// The most memory that this process held since [`forget_peak`], in MiB.
pub fn peak_mib() -> Option<u64> {
    Some(kib(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")?.div_ceil(1024))
}

fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
