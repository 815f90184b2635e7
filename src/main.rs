//! The program `sarf`.

fn main() -> std::process::ExitCode {
    sarf::cli::main()
}
