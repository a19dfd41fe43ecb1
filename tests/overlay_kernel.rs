//! The simulated overlay against the kernel's: random layers, random calls, and after each the same answer; at
//! the end, and after mounting again, the same upperdir and the same merged view.
//!
//! A program of its own rather than a list of tests, since a user namespace wants a process of its own: it runs
//! itself once for each way of mounting. `HANDROLL_SEQUENCES` says how many sequences each way gets,
//! `HANDROLL_SEED` repeats a run. What differs is shrunk and printed as a script for `handroll simulate`.

#[path = "overlay/cases.rs"]
mod cases;
#[path = "overlay/compare.rs"]
mod compare;
#[path = "../src/random.rs"]
mod random;

use std::process::{Command, ExitCode, Stdio};

use compare::Way;

/// How many sequences each way gets in a test run. There are nine ways.
const SEQUENCES: u64 = 2_600;

/// Runs every way, or of its own accord one of them.
pub fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, way, seed, first, count] = &arguments[..]
        && flag == "--way"
    {
        let number = |text: &String| text.parse().expect("a number");
        let way = Way::named(way).expect("a way that we gave ourselves");
        return compare::run(way, number(seed), number(first), number(count));
    }
    let settings = handroll::native::other_settings();
    assert!(settings.is_empty(), "this machine cannot judge: {settings:?}");
    let seed = random::seed();
    let sequences = std::env::var("HANDROLL_SEQUENCES").map_or(SEQUENCES, |text| {
        text.parse().expect("HANDROLL_SEQUENCES must be a number")
    });
    let mut is_fine = true;
    let ways: Vec<Way> = Way::ALL.to_vec();
    // Two at a time.
    for pair in ways.chunks(2) {
        let children: Vec<_> = pair
            .iter()
            .map(|way| (way, start(*way, seed, sequences)))
            .collect();
        for (way, mut child) in children {
            let status = child.wait().expect("it was started");
            is_fine &= status.success();
            if !status.success() {
                println!("{}: {status}", way.name());
            }
        }
    }
    match is_fine {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn start(way: Way, seed: u64, sequences: u64) -> std::process::Child {
    let program = std::env::current_exe().expect("Linux knows");
    let mut command = match way.is_in_user_namespace() {
        true => {
            let mut command = Command::new("unshare");
            command
                .args(["--user", "--map-root-user", "--mount"])
                .arg(program);
            command
        }
        false => Command::new(program),
    };
    let numbers = [seed, 0, way.share(sequences)].map(|number| number.to_string());
    command.arg("--way").arg(way.name()).args(numbers);
    command.stdin(Stdio::null());
    command.spawn().expect("unshare(1) is there")
}
