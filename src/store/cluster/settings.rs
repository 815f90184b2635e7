//! The private server's settings.
//!
//! Input: the memory of the machine, the socket's directory, the choice of compression. Output: the whole text of
//! `postgresql.conf`, written anew at each start.
//! Guarantee: durable (`fsync`, `synchronous_commit`, checksums), nothing listens on the network, and the log can hold no
//! row's value: statements, parameters, details and failed statements' errors are all kept out of it.
//! Limit: what an operator sets by `ALTER SYSTEM` stands in `postgresql.auto.conf`, is kept, and wins.

use std::fmt::Write;
use std::fs;
use std::path::Path;

const MIB: u64 = 1 << 20;

/// The memory that `sarf` and its server may use, in bytes: the machine's, or the control group's limit if lower.
pub(super) fn memory_bytes() -> u64 {
    let machine =
        fs::read_to_string("/proc/meminfo").ok().and_then(|text| mem_total(&text)).unwrap_or(4096 * MIB);
    let group =
        fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    group.map_or(machine, |limit: u64| limit.min(machine))
}

fn mem_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// The text of `postgresql.conf`. `socket_dir` must hold neither quotes nor commas (the caller chose it so).
pub(super) fn conf(memory_bytes: u64, socket_dir: &Path, wal_compression: &str) -> String {
    let share = |parts: u64, low_mib: u64, high_mib: u64| {
        format!("{}MB", (memory_bytes / parts / MIB).clamp(low_mib, high_mib))
    };
    let socket = format!("'\"{}\"'", socket_dir.display());
    let mut text = String::from("# Written by sarf at each start: changes belong in ALTER SYSTEM.\n");
    let mut set = |name: &str, value: &str| {
        writeln!(text, "{name} = {value}").expect("writing to a String cannot fail");
    };
    // Only the socket, in a directory that only the server's account (and root) can enter.
    set("listen_addresses", "''");
    set("unix_socket_directories", &socket);
    set("unix_socket_permissions", "0700");
    set("max_connections", "100");
    // Nothing acknowledged is ever lost.
    set("fsync", "on");
    set("synchronous_commit", "on");
    set("full_page_writes", "on");
    // Bulk work: few large checkpoints, large sorts for index builds.
    set("shared_buffers", &share(8, 64, 1024));
    set("effective_cache_size", &share(2, 256, 65_536));
    set("work_mem", &share(256, 8, 64));
    set("maintenance_work_mem", &share(16, 64, 512));
    // Containers often have 64 MB of /dev/shm: parallel joins take from this instead.
    set("min_dynamic_shared_memory", &share(64, 16, 256));
    set("max_wal_size", "8GB");
    set("min_wal_size", "1GB");
    set("wal_buffers", "32MB");
    set("wal_compression", wal_compression);
    set("checkpoint_timeout", "15min");
    set("checkpoint_completion_target", "0.9");
    set("random_page_cost", "1.1");
    set("effective_io_concurrency", "16");
    // Compiling statements costs more than it saves on sets of this size.
    set("jit", "off");
    set("autovacuum", "on");
    set("autovacuum_naptime", "30s");
    set("autovacuum_analyze_scale_factor", "0.02");
    set("autovacuum_vacuum_scale_factor", "0.1");
    // LOG and above leaves errors of statements to the client: their texts may quote values.
    set("log_destination", "'stderr'");
    set("logging_collector", "off");
    set("log_min_messages", "log");
    set("log_min_error_statement", "panic");
    set("log_error_verbosity", "terse");
    set("log_statement", "'none'");
    set("log_min_duration_statement", "-1");
    set("log_parameter_max_length", "0");
    set("log_parameter_max_length_on_error", "0");
    set("log_connections", "off");
    set("log_checkpoints", "off");
    set("log_autovacuum_min_duration", "-1");
    set("log_line_prefix", "'%m [%p] '");
    set("log_timezone", "'UTC'");
    set("timezone", "'UTC'");
    set("datestyle", "'iso, ymd'");
    set("lc_messages", "'C'");
    set("default_text_search_config", "'pg_catalog.simple'");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_settings_scale_between_their_bounds() {
        let check = |mib: u64, expected: &[&str]| {
            let text = conf(mib * MIB, Path::new("/run/x"), "lz4");
            for line in expected {
                assert!(text.lines().any(|have| have == *line), "{mib} MiB: no `{line}` in\n{text}");
            }
        };
        check(256, &["shared_buffers = 64MB", "maintenance_work_mem = 64MB", "work_mem = 8MB"]);
        check(4096, &["shared_buffers = 512MB", "maintenance_work_mem = 256MB", "work_mem = 16MB"]);
        check(65_536, &["shared_buffers = 1024MB", "maintenance_work_mem = 512MB", "work_mem = 64MB"]);
        check(
            1024,
            &["unix_socket_directories = '\"/run/x\"'", "wal_compression = lz4", "listen_addresses = ''"],
        );
    }

    #[test]
    fn memory_is_read_from_meminfo() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(mem_total(text), expected, "{text}");
        check("MemTotal:       24117248 kB\nMemFree: 1 kB\n", Some(24_117_248 * 1024));
        check("MemFree: 1 kB\n", None);
    }
}
