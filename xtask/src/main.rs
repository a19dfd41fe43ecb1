//! The tasks of the repository: build the page, serve it, run every check.
//!
//! One module for each thing that is set up or done; `run` and `stamp` are what they share.
//! Whatever is missing is installed on the way, so that one command is enough on a new machine.

use std::process::ExitCode;

use places::Places;
use run::{Failure, Outcome};

mod checks;
mod lanes;
mod packages;
mod page;
mod places;
mod run;
mod serve;
mod stamp;
mod tools;
mod wasm;
mod wasm_target;

const USAGE: &str = "\
usage: cargo xtask <task>

  serve [--port N] [--no-open]     build the page and serve it on 127.0.0.1
  build                            build the page into www/dist
  test [rust|wasm|page]...         run every check, or those of the groups named";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match perform(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn perform(arguments: &[&str]) -> Outcome {
    let places = Places::find()?;
    match arguments {
        ["serve", options @ ..] => {
            let options = serve::Options::parse(options).map_err(with_usage)?;
            page::build(&places)?;
            serve::serve(&places.dist(), &options)
        }
        ["build"] => page::build(&places),
        ["test", groups @ ..] => {
            let groups = checks::Group::parse_all(groups).map_err(with_usage)?;
            checks::run(&places, &groups)
        }
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        [] => Err(with_usage(Failure::new("no task given"))),
        [other, ..] => Err(with_usage(Failure::new(format!(
            "no such task or argument: {other}"
        )))),
    }
}

fn with_usage(failure: Failure) -> Failure {
    Failure::new(format!("{failure}\n\n{USAGE}"))
}
