//! The core as the page loads it: compiled for wasm32, bound to JavaScript, made small.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::page;
use crate::places::Places;
use crate::run::{Failure, Outcome, run, side_by_side};
use crate::stamp::{Stamp, make_directory};
use crate::tools;
use crate::wasm_target::{self, TARGET, WasmCompiler};

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

/// A core for the page.
struct Core {
    /// What its files are called.
    name: &'static str,
    profile: &'static str,
    features: &'static str,
    /// Where the page imports it from. It lies among the page's sources because there the bundler finds the .wasm by
    /// itself.
    package: &'static str,
}

/// The one that the page starts with.
const LEAN: Core = Core {
    name: "lean",
    profile: "lean",
    features: "lean",
    package: "src/core/pkg-lean",
};

/// The one that takes over when more is asked.
const WHOLE: Core = Core {
    name: "core",
    profile: "wasm",
    features: "",
    package: "src/core/pkg",
};

/// Builds the cores into the page's sources, if they changed: side by side, as each is linked by one thread.
pub fn build(places: &Places) -> Outcome {
    let compiler = wasm_target::ensure(places)?;
    let bindgen = &tools::wasm_bindgen(places)?;
    page::ensure_modules(places)?;
    side_by_side(
        || build_one(places, &WHOLE, compiler, bindgen),
        || build_one(places, &LEAN, compiler, bindgen),
    )
}

fn build_one(places: &Places, core: &Core, compiler: WasmCompiler, bindgen: &Path) -> Outcome {
    // Cargo knows best whether there is something to compile.
    run(compiler.command(places, "cargo").args([
        "build",
        "--quiet",
        "--package",
        "handroll",
        "--lib",
        "--profile",
        core.profile,
        "--features",
        core.features,
        "--target",
        TARGET,
    ]))?;
    let compiled = places
        .wasm_target()
        .join(TARGET)
        .join(core.profile)
        .join("handroll.wasm");
    let package = places.www().join(core.package);
    let file = format!("{}_bg.wasm", core.name);
    let inputs = [
        compiled.clone(),
        places.root.join("Cargo.lock"),
        places.www().join("package-lock.json"),
        // The options below.
        places.root.join("xtask/src/wasm.rs"),
    ];
    let stamp = Stamp::of(places, core.name, &inputs, &[])?;
    if stamp.is_current() && package.join(&file).is_file() {
        return Ok(());
    }
    println!("binding {} to JavaScript and making it small", core.name);
    let bound = places.work().join(core.name);
    let _ = fs::remove_dir_all(&bound);
    run(Command::new(bindgen.join("wasm-bindgen"))
        .args(["--target", "web", "--out-name", core.name, "--out-dir"])
        .arg(&bound)
        .arg(&compiled))?;
    let wasm = bound.join(&file);
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
