//! The commands that the README gives, run as they stand there.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Bed;

/// The block of commands below a heading of the README.
fn readme_block(heading: &str) -> Vec<String> {
    let readme =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("a README");
    let (_, below) = readme.split_once(heading).expect("the heading");
    let block = below.split("```").nth(1).expect("a block of commands");
    block.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

/// The month of the README, by hand, in the bed's home and with its database; `environment` is added.
pub fn month_of_the_readme(bed: &Bed, environment: &[(&str, &str)]) -> std::process::Output {
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("one").port();
    // The people of the template keep their keys in the home of the commands.
    super::give_keys_to_people(&bed.home().join("var"));
    let config = bed.home().join("config");
    config_with_port(&config, port);
    let mut script = String::from(
        "fails() { [ $1 = 0 ] || [ $1 = 3 ] || { echo \"line $2 ended with $1\" >&2; exit 9; }; }\n",
    );
    for (at, line) in readme_block("## A month by hand").iter().enumerate() {
        let line = line
            .replace("--households 100000", "--households 900")
            .replace("sandbox points &", &format!("sandbox points --listen 127.0.0.1:{port} &"));
        script.push_str(&line);
        if line.contains(" &  ") {
            let probe = format!("(exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null");
            script.push_str(&format!("\nfor i in $(seq 100); do {probe} && break; sleep 0.1; done\n"));
        } else if line.starts_with("sarf ") {
            script.push_str(&format!("\nfails $? {at}\n"));
        } else {
            script.push('\n');
        }
    }
    let program = Path::new(env!("CARGO_BIN_EXE_sarf")).parent().expect("a folder");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").expect("a PATH"));
    Command::new("bash")
        .args(["-c", &script])
        .current_dir(bed.home())
        .env("PATH", path)
        .env("DATABASE_URL", bed.url())
        .env("SARF_CONFIG", &config)
        .env_remove("SARF_HOME")
        .env_remove("SARF_OPERATOR")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("bash starts")
}

/// The configuration in the tree, whose sandbox providers answer on another port.
fn config_with_port(to: &Path, port: u16) {
    fn copy(from: &Path, to: &Path, port: u16) {
        fs::create_dir_all(to).expect("a folder");
        for entry in fs::read_dir(from).expect("a folder").map(|e| e.expect("an entry").path()) {
            let target = to.join(entry.file_name().expect("a name"));
            if entry.is_dir() {
                copy(&entry, &target, port);
            } else {
                let text = fs::read_to_string(&entry).expect("a file");
                fs::write(target, text.replace("127.0.0.1:8710", &format!("127.0.0.1:{port}")))
                    .expect("a file");
            }
        }
    }
    copy(&super::config_folder(), to, port);
}
