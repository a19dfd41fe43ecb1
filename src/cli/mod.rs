//! The command line's ground: subcommands, exit codes, and how errors are shown.

mod args;
mod assemble;
mod build;
mod bundle;
mod cat;
mod check;
mod container;
mod ctr;
mod diff;
mod edit;
mod inspect;
mod layer_args;
mod layers;
mod ls;
mod mount;
mod open;
mod output;
mod place;
mod progress;
mod recipe;
mod row;
mod run;
mod session;
mod settle;
mod simulate;
mod unpack;
mod why;

use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// Build container images by hand.
#[derive(Parser)]
#[command(name = "handroll", version, about, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 fine, 1 findings or differences, 2 wrong usage, 3 bad input or failed work; of `mount … -- CMD` that of CMD, of `run` that of the container, or 125."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Build(Box<args::BuildArgs>),
    Inspect(inspect::InspectArgs),
    Ls(ls::LsArgs),
    Cat(cat::CatArgs),
    Why(why::WhyArgs),
    Check(check::CheckArgs),
    Ctr(ctr::CtrArgs),
    Diff(diff::DiffArgs),
    Edit(Box<edit::EditArgs>),
    Mount(Box<mount::MountArgs>),
    Umount(mount::UmountArgs),
    Unpack(unpack::UnpackArgs),
    Bundle(Box<bundle::BundleArgs>),
    Run(Box<run::RunArgs>),
    Simulate(simulate::SimulateArgs),
}

/// How a command ended, when it did not simply succeed.
#[derive(Debug)]
pub enum Failure {
    /// The arguments are wrong: exit code 2.
    Usage(String),
    /// What was given is bad, or the work failed: exit code 3.
    Work(String),
    /// A signal came, by which the process ends now that all is cleaned up.
    Signal(i32),
}

impl Failure {
    fn work(error: impl std::fmt::Display) -> Self {
        Self::Work(error.to_string())
    }
}

/// Whether everything was fine, or something was found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Exit code 0.
    Fine,
    /// Exit code 1.
    Findings,
    /// The exit code of a command that was run.
    Code(u8),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    // The order of options matters to `build`, and only the matches know it.
    let matches = Cli::command().get_matches();
    match run(&matches) {
        Ok(Verdict::Fine) => ExitCode::SUCCESS,
        Ok(Verdict::Findings) => ExitCode::from(1),
        Ok(Verdict::Code(code)) => ExitCode::from(code),
        Err(Failure::Usage(message)) => {
            eprintln!("handroll: {message}\nFor more information, try '--help'.");
            ExitCode::from(2)
        }
        Err(Failure::Work(message)) => {
            eprintln!("handroll: {message}");
            ExitCode::from(3)
        }
        Err(Failure::Signal(signal)) => {
            eprintln!("handroll: interrupted");
            handroll::native::raise(signal);
            // It is ignored: whoever started this process wanted that.
            ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX))
        }
    }
}

fn run(matches: &ArgMatches) -> Result<Verdict, Failure> {
    let cli = Cli::from_arg_matches(matches).map_err(|error| Failure::Usage(error.to_string()))?;
    let (_, matches) = matches.subcommand().expect("clap asks for one");
    match cli.command {
        Command::Build(arguments) => build::run(&arguments, layer_args::collect(matches)?),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Ls(arguments) => ls::run(&arguments),
        Command::Cat(arguments) => cat::run(&arguments),
        Command::Why(arguments) => why::run(&arguments),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Ctr(arguments) => ctr::run(&arguments),
        Command::Diff(arguments) => diff::run(&arguments),
        Command::Edit(arguments) => edit::run(&arguments),
        Command::Mount(arguments) => mount::run(&arguments),
        Command::Umount(arguments) => mount::run_umount(&arguments),
        Command::Unpack(arguments) => unpack::run(&arguments),
        Command::Bundle(arguments) => bundle::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
    }
}
