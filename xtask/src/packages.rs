//! Programs that come from the distribution's packages.

use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::run::{Failure, Outcome, find_program, output_of, run};

/// A program, and the Debian package that has it.
pub struct Need {
    /// The name of the executable.
    pub program: &'static str,
    /// The package that installs it.
    pub package: &'static str,
}

/// Short for a table of needs.
pub const fn need(program: &'static str, package: &'static str) -> Need {
    Need { program, package }
}

/// apt-get does one thing at a time.
static INSTALLING: Mutex<()> = Mutex::new(());

/// Sees to it that all these programs are there: looks for each, and installs what is missing
/// where that is possible, else says what to run.
pub fn ensure(needs: &[Need]) -> Outcome {
    let missing = missing(needs);
    if missing.is_empty() {
        return Ok(());
    }
    install(&missing)?;
    let absent: Vec<&str> = needs
        .iter()
        .map(|need| need.program)
        .filter(|program| find_program(program).is_none())
        .collect();
    if absent.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "still missing after installing their packages: {}",
        absent.join(", ")
    )))
}

/// Installs packages by apt-get.
pub fn install(packages: &[&str]) -> Outcome {
    let list = packages.join(" ");
    let by_hand = format!("apt-get update && apt-get install -y --no-install-recommends {list}");
    if find_program("apt-get").is_none() {
        return Err(Failure::new(format!(
            "missing: {list} (these are Debian's names; install what your system calls them)"
        )));
    }
    if !is_root()? {
        return Err(Failure::new(format!(
            "missing packages; as root run\n  {by_hand}"
        )));
    }
    let _one = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    println!("installing by apt-get: {list}");
    run(apt_get().arg("update").arg("-qq"))?;
    run(apt_get()
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(packages))
}

fn missing(needs: &[Need]) -> Vec<&'static str> {
    let mut packages: Vec<&str> = needs
        .iter()
        .filter(|need| find_program(need.program).is_none())
        .map(|need| need.package)
        .collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

fn is_root() -> Outcome<bool> {
    Ok(output_of(Command::new("id").arg("-u"))?.trim() == "0")
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    // Another installation may be under way: wait for it rather than fail.
    command.args(["-o", "DPkg::Lock::Timeout=600", "-o", "Dpkg::Use-Pty=0"]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_not_missing() {
        assert!(missing(&[need("sh", "dash")]).is_empty());
        let twice = [
            need("handroll-no-such", "b"),
            need("handroll-none", "b"),
            need("sh", "a"),
        ];
        assert_eq!(missing(&twice), ["b"]);
    }
}
