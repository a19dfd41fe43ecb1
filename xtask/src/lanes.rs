//! Runs checks, several rows of them at a time: within a row one after the other, up to the first that fails.
//! Where there is more than one row, what a check prints comes when it is done, so that it stands together.

use std::fs::{self, File};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::checks::Step;
use crate::places::Places;
use crate::run::{Failure, Outcome, with_output_in};
use crate::stamp::make_directory;

/// What came of the checks so far.
#[derive(Default)]
struct Results {
    passed: Vec<(&'static str, Duration)>,
    failed: Vec<Failed>,
}

struct Failed {
    name: &'static str,
    took: Duration,
    reason: Failure,
    /// What its programs printed, if that was not shown yet.
    output: String,
}

/// Runs the rows side by side, and sums up.
pub fn run(places: &Places, lanes: &[Vec<&Step>]) -> Outcome {
    let results = Mutex::new(Results::default());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for (number, lane) in lanes.iter().enumerate() {
            let (results, stop) = (&results, &stop);
            scope.spawn(move || {
                for step in lane {
                    if stop.load(Ordering::Relaxed) || !run_one(places, step, number, lanes.len(), results) {
                        stop.store(true, Ordering::Relaxed);
                        return;
                    }
                }
            });
        }
    });
    let results = results.into_inner().expect("no check panicked");
    summarise(lanes.concat(), results)
}

/// Runs a check; true if it passed.
fn run_one(places: &Places, step: &Step, lane: usize, lanes: usize, results: &Mutex<Results>) -> bool {
    let start = Instant::now();
    let (outcome, output) = match lanes {
        1 => {
            println!("\n=== {}", step.name);
            ((step.check)(places), String::new())
        }
        _ => {
            println!("... {}", step.name);
            kept(places, step, lane)
        }
    };
    let took = start.elapsed();
    let mut results = results.lock().expect("no check panicked");
    match outcome {
        Ok(()) => {
            if lanes > 1 {
                println!("\n=== {}\n{}", step.name, output.trim_end());
            }
            println!("=== {}: passed in {:.1} s", step.name, took.as_secs_f64());
            results.passed.push((step.name, took));
            true
        }
        Err(reason) => {
            results.failed.push(Failed {
                name: step.name,
                took,
                reason,
                output,
            });
            false
        }
    }
}

/// Runs a check whose programs print into a file, and gives back what they printed.
fn kept(places: &Places, step: &Step, lane: usize) -> (Outcome, String) {
    let path = places.work().join(format!("output-{lane}"));
    let file = make_directory(&places.work())
        .and_then(|()| File::create(&path).map_err(|error| Failure::at(&path, &error)));
    let outcome = match file {
        Ok(file) => with_output_in(file, || (step.check)(places)),
        Err(failure) => Err(failure),
    };
    let output = fs::read(&path).unwrap_or_default();
    (outcome, String::from_utf8_lossy(&output).into_owned())
}

/// What failed stands last, where people look, and programs that keep only the end.
fn summarise(steps: Vec<&Step>, results: Results) -> Outcome {
    println!();
    for (name, took) in &results.passed {
        println!("passed  {:7.1} s  {name}", took.as_secs_f64());
    }
    let was_run = |step: &&Step| {
        let mut names = results.passed.iter().map(|(name, _)| *name);
        names.any(|name| name == step.name) || results.failed.iter().any(|failed| failed.name == step.name)
    };
    for step in steps.into_iter().filter(|step| !was_run(step)) {
        println!("not run            {}", step.name);
    }
    for failed in &results.failed {
        println!("FAILED  {:7.1} s  {}", failed.took.as_secs_f64(), failed.name);
    }
    println!("{} passed, {} failed", results.passed.len(), results.failed.len());
    for failed in &results.failed {
        if !failed.output.is_empty() {
            println!("\n=== {}\n{}", failed.name, failed.output.trim_end());
        }
    }
    match results.failed.first() {
        None => Ok(()),
        Some(failed) => Err(Failure::new(format!(
            "the check \"{}\" failed: {}",
            failed.name, failed.reason
        ))),
    }
}
