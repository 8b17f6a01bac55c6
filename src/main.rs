//! The thin binary over the library.

fn main() -> std::process::ExitCode {
    hallpass::cli::main()
}
