//! Tools that cargo installs, kept in a cache of their own as each takes minutes to build.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::places::Places;
use crate::run::{Failure, Outcome, find_program, output_of, run};
use crate::stamp::make_directory;

/// The wasm-pack that the tests were made with.
const WASM_PACK: &str = "0.15.1";

/// The directory that has `wasm-bindgen` and its test runner, in the version of Cargo.lock:
/// the two only understand each other if they are of the same version.
pub fn wasm_bindgen(places: &Places) -> Outcome<PathBuf> {
    let lock = places.root.join("Cargo.lock");
    let text = fs::read_to_string(&lock).map_err(|error| Failure::at(&lock, &error))?;
    let version = locked_version(&text, "wasm-bindgen")
        .ok_or_else(|| Failure::new("Cargo.lock does not name wasm-bindgen"))?;
    installed(places, "wasm-bindgen-cli", "wasm-bindgen", version)
}

/// The directory that has `wasm-pack`.
pub fn wasm_pack(places: &Places) -> Outcome<PathBuf> {
    installed(places, "wasm-pack", "wasm-pack", WASM_PACK)
}

/// A lock that only one run of these tasks on this machine holds, for what is installed outside the repository.
pub fn installation_lock(places: &Places) -> Outcome<File> {
    make_directory(&places.cache)?;
    let path = places.cache.join("lock");
    let file = File::create(&path).map_err(|error| Failure::at(&path, &error))?;
    file.lock().map_err(|error| Failure::at(&path, &error))?;
    Ok(file)
}

/// The directory of a program of just this version: from PATH, from the cache, else installed there.
fn installed(places: &Places, package: &str, program: &str, version: &str) -> Outcome<PathBuf> {
    if let Some(found) = find_program(program)
        && has_version(&found, version)
    {
        return Ok(found.parent().map(Path::to_path_buf).unwrap_or_default());
    }
    let root = places.cache.join(format!("{package}-{version}"));
    let bin = root.join("bin");
    let executable = bin.join(program);
    if has_version(&executable, version) {
        return Ok(bin);
    }
    let _lock = installation_lock(places)?;
    if !has_version(&executable, version) {
        println!(
            "installing {package} {version} into {}: this takes some minutes, once",
            root.display()
        );
        cargo_install(package, version, &root)?;
    }
    Ok(bin)
}

/// Installs with the dependencies that the tool's author locked; where the registry lacks one of those
/// (a mirror that lags behind, a version withdrawn), with the nearest that it has.
fn cargo_install(package: &str, version: &str, root: &Path) -> Outcome {
    let command = || {
        let mut command = Command::new("cargo");
        command.args(["install", "--quiet", "--force"]);
        // Its own target directory: nothing of it is used again.
        command.env_remove("CARGO_TARGET_DIR");
        // These tools run for seconds, and optimising them fully takes minutes.
        command
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
            .env("CARGO_PROFILE_RELEASE_LTO", "off");
        command
            .arg(package)
            .arg(format!("--version={version}"))
            .arg("--root")
            .arg(root);
        command
    };
    match output_of(command().arg("--locked")) {
        Ok(_) => Ok(()),
        Err(failure) if failure.to_string().contains("failed to select a version") => {
            println!("the registry lacks a dependency that {package} locks: installing with what it has");
            run(&mut command())
        }
        Err(failure) => Err(failure),
    }
}

fn has_version(executable: &Path, version: &str) -> bool {
    executable.is_file()
        && output_of(Command::new(executable).arg("--version"))
            .is_ok_and(|said| said.split_whitespace().any(|word| word == version))
}

fn locked_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    lines.nth(1)?.strip_prefix("version = \"")?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_says_the_version() {
        let lock = "[[package]]\nname = \"wasm-bindgen-futures\"\nversion = \"0.4.1\"\n\n\
                    [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\n";
        assert_eq!(locked_version(lock, "wasm-bindgen"), Some("0.2.130"));
        assert_eq!(locked_version(lock, "wasm"), None);
    }
}
