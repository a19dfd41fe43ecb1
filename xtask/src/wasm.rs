//! The core as the page loads it: compiled for wasm32, bound to JavaScript, made small.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::page;
use crate::places::Places;
use crate::run::{Failure, Outcome, run};
use crate::stamp::{Stamp, make_directory};
use crate::tools;
use crate::wasm_target::{self, TARGET};

/// The features that every browser of the last years has, and that the compiler therefore uses.
const FEATURES: [&str; 7] = [
    "--enable-bulk-memory",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-reference-types",
    "--enable-multivalue",
    "--enable-simd",
];

/// How the core is made small. What counts is its size as gzip sends it, so functions are not inlined into their
/// one caller unless they are tiny (a huge function's locals have numbers of two bytes), and instances of one
/// generic function stand side by side, inside gzip's window.
const SMALL: [&str; 3] = [
    "-Oz",
    "--one-caller-inline-max-function-size=20",
    "--reorder-functions-by-name",
];

/// Where the page imports the core from. It lies among the page's sources because there
/// the bundler finds the .wasm by itself.
pub fn package(places: &Places) -> PathBuf {
    places.www().join("src/core/pkg")
}

/// Builds the core into the page's sources, if it changed.
pub fn build(places: &Places) -> Outcome {
    let compiler = wasm_target::ensure(places)?;
    // Cargo knows best whether there is something to compile.
    run(compiler.command(places, "cargo").args([
        "build",
        "--quiet",
        "--package",
        "handroll",
        "--lib",
        "--profile",
        "wasm",
        "--target",
        TARGET,
    ]))?;
    let compiled = places.wasm_target().join(TARGET).join("wasm/handroll.wasm");
    let bindgen = tools::wasm_bindgen(places)?;
    page::ensure_modules(places)?;

    let package = package(places);
    let inputs = [
        compiled.clone(),
        places.root.join("Cargo.lock"),
        places.www().join("package-lock.json"),
        // The options below.
        places.root.join("xtask/src/wasm.rs"),
    ];
    let stamp = Stamp::of(places, "core", &inputs, &[])?;
    if stamp.is_current() && package.join("core_bg.wasm").is_file() {
        return Ok(());
    }
    println!("binding the core to JavaScript and making it small");
    let bound = places.work().join("core");
    let _ = fs::remove_dir_all(&bound);
    run(Command::new(bindgen.join("wasm-bindgen"))
        .args(["--target", "web", "--out-name", "core", "--out-dir"])
        .arg(&bound)
        .arg(&compiled))?;
    let wasm = bound.join("core_bg.wasm");
    run(Command::new(page::modules(places).join(".bin/wasm-opt"))
        .args(SMALL)
        .args(FEATURES)
        .arg(&wasm)
        .arg("-o")
        .arg(&wasm))?;
    copy_files(&bound, &package)?;
    stamp.record()
}

fn copy_files(from: &Path, to: &Path) -> Outcome {
    let _ = fs::remove_dir_all(to);
    make_directory(to)?;
    let entries = fs::read_dir(from).map_err(|error| Failure::at(from, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| Failure::at(from, &error))?;
        let target = to.join(entry.file_name());
        fs::copy(entry.path(), &target).map_err(|error| Failure::at(&target, &error))?;
    }
    Ok(())
}
