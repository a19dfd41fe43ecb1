//! The page: its npm packages and its build.

use std::path::PathBuf;
use std::process::Command;

use crate::places::Places;
use crate::run::{Failure, Outcome, find_program, run};
use crate::stamp::Stamp;
use crate::wasm;

/// Where npm puts the page's packages.
pub fn modules(places: &Places) -> PathBuf {
    places.www().join("node_modules")
}

/// Installs the packages of the lock file, if they are not those that are there.
pub fn ensure_modules(places: &Places) -> Outcome {
    if find_program("npm").is_none() {
        return Err(Failure::new("there is no npm: install Node 20.19 or newer"));
    }
    let stamp = Stamp::of(places, "modules", &[places.www().join("package-lock.json")], &[])?;
    if stamp.is_current() && modules(places).is_dir() {
        return Ok(());
    }
    println!("installing the page's packages");
    run(npm(places).args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]))?;
    stamp.record()
}

/// Builds the page with the core in it into its `dist`, if anything changed.
pub fn build(places: &Places) -> Outcome {
    wasm::build(places)?;
    let www = places.www();
    let made = ["node_modules", "dist", "test-results"].map(|name| www.join(name));
    // What findings mean is said once, in the documentation, and bundled with the page.
    let [checks, documents] = ["checks", "documents"].map(|name| places.root.join(format!("docs/{name}.md")));
    let stamp = Stamp::of(places, "page", &[www, checks, documents], &made)?;
    if stamp.is_current() && places.dist().join("index.html").is_file() {
        return Ok(());
    }
    println!("building the page");
    script(places, "build")?;
    stamp.record()
}

/// Runs one of the scripts of the page's package.json.
pub fn script(places: &Places, name: &str) -> Outcome {
    run(npm(places).args(["run", "--silent", name]))
}

/// Runs the browser tests as on CI: what fails is tried once more, recorded, and told.
pub fn browser_tests(places: &Places) -> Outcome {
    run(npm(places).args(["run", "--silent", "e2e"]).env("CI", "1"))
}

fn npm(places: &Places) -> Command {
    let mut command = Command::new("npm");
    command.current_dir(places.www());
    command
}
