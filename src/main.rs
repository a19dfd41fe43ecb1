//! The command line. Holds no logic of images: it translates arguments, results and errors.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
