//! The compiler's wasm32 target: the ordinary way by rustup, else by Debian's packages.
//!
//! Debian's `rustc-web` is a recent compiler with the source of its standard library, so where
//! rustup's server cannot be reached the target is built from that source, once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::packages;
use crate::places::Places;
use crate::run::{Failure, Outcome, find_program, output_of, run};
use crate::stamp::write;
use crate::tools::installation_lock;

/// The target that the core is built for in the page.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// The name under which rustup knows Debian's compiler.
const DEBIAN_TOOLCHAIN: &str = "web";

/// The environment of builds with Debian's compiler. For wasm only: rustfmt and the native builds stay with rustup's.
const DEBIAN_ENVIRONMENT: [(&str, &str); 2] = [
    ("RUSTUP_TOOLCHAIN", DEBIAN_TOOLCHAIN),
    ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld-19"),
];

/// A compiler that has the wasm32 target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WasmCompiler {
    /// The one in use, with rustup's target.
    Ordinary,
    /// Debian's, with a standard library that was built here.
    Debian,
}

impl WasmCompiler {
    /// A program that builds for wasm32 with this compiler.
    pub fn command(self, places: &Places, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&places.root)
            .env("CARGO_TARGET_DIR", places.wasm_target());
        if self == Self::Debian {
            command.envs(DEBIAN_ENVIRONMENT);
        }
        command
    }

    /// Sees to it that this compiler has clippy.
    pub fn ensure_clippy(self) -> Outcome {
        match self {
            Self::Ordinary => Ok(()),
            Self::Debian if Path::new("/usr/bin/cargo-clippy").is_file() => Ok(()),
            Self::Debian => packages::install(&["rust-web-clippy"]),
        }
    }
}

/// Sees to it that there is a compiler with the wasm32 target.
pub fn ensure(places: &Places) -> Outcome<WasmCompiler> {
    if let Some(compiler) = present() {
        return Ok(compiler);
    }
    let _lock = installation_lock(places)?;
    if let Some(compiler) = present() {
        return Ok(compiler);
    }
    if find_program("rustup").is_none() {
        return Err(Failure::new(format!(
            "the compiler has no target {TARGET}, and there is no rustup to add it"
        )));
    }
    let Err(failure) = output_of(Command::new("rustup").args(["target", "add", TARGET])) else {
        return Ok(WasmCompiler::Ordinary);
    };
    if find_program("apt-get").is_none() {
        return Err(failure);
    }
    println!("`rustup target add {TARGET}` failed: building the target from Debian's rustc-web instead");
    install_debian(places)
        .map_err(|second| Failure::new(format!("{second}\n(and before that: {failure})")))?;
    Ok(WasmCompiler::Debian)
}

fn present() -> Option<WasmCompiler> {
    let mut rustc = Command::new("rustc");
    let ordinary = target_directory(&mut rustc).is_ok_and(|directory| has_standard_library(&directory));
    if ordinary {
        return Some(WasmCompiler::Ordinary);
    }
    debian_is_ready().then_some(WasmCompiler::Debian)
}

fn has_standard_library(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
    })
}

fn debian_is_ready() -> bool {
    let built_for = |directory: PathBuf| fs::read_to_string(directory.join("handroll-built-for")).ok();
    let stamp = target_directory(&mut debian_rustc()).ok().and_then(built_for);
    stamp.is_some() && stamp == debian_version().ok()
}

fn install_debian(places: &Places) -> Outcome {
    packages::install(&["rustc-web", "cargo-web", "rust-web-src", "lld-19"])?;
    run(Command::new("rustup").args(["toolchain", "link", DEBIAN_TOOLCHAIN, "/usr"]))?;
    let built = build_standard_library(places)?;
    let directory = target_directory(&mut debian_rustc())?;
    replace_libraries(&built, &directory)?;
    // Last, as it says that all the rest is there; another version of the compiler needs another library.
    write(&directory.join("handroll-built-for"), &debian_version()?)
}

/// Builds the standard library as a dependency of an empty crate, and returns the directory of the libraries.
fn build_standard_library(places: &Places) -> Outcome<PathBuf> {
    let empty = places.work().join("standard-library");
    write(
        &empty.join("Cargo.toml"),
        "[package]\nname = \"empty\"\nedition = \"2024\"\n\n[lib]\npath = \"lib.rs\"\n\n[workspace]\n",
    )?;
    write(&empty.join("lib.rs"), "")?;
    run(Command::new("cargo")
        .args([
            "build",
            "--release",
            "--target",
            TARGET,
            "-Zbuild-std=std,panic_abort,test",
        ])
        .current_dir(&empty)
        .envs(DEBIAN_ENVIRONMENT)
        .env("CARGO_TARGET_DIR", empty.join("target"))
        // Without the bitcode no link-time optimisation could take the library in.
        .env("RUSTFLAGS", "-Cembed-bitcode=yes")
        // The libraries must be built as a released compiler's own are: with its unstable features.
        .env("RUSTC_BOOTSTRAP", "1"))?;
    Ok(empty.join("target").join(TARGET).join("release/deps"))
}

fn replace_libraries(from: &Path, to: &Path) -> Outcome {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).map_err(|error| Failure::at(to, &error))?;
    let entries = fs::read_dir(from).map_err(|error| Failure::at(from, &error))?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let text = name.to_string_lossy();
        if text.ends_with(".rlib") && !text.starts_with("libempty-") {
            fs::copy(entry.path(), to.join(&name)).map_err(|error| Failure::at(&to.join(&name), &error))?;
        }
    }
    Ok(())
}

fn debian_rustc() -> Command {
    let mut rustc = Command::new("rustc");
    rustc.envs(DEBIAN_ENVIRONMENT);
    rustc
}

fn debian_version() -> Outcome<String> {
    output_of(debian_rustc().arg("-vV"))
}

fn target_directory(rustc: &mut Command) -> Outcome<PathBuf> {
    let sysroot = output_of(rustc.args(["--print", "sysroot"]))?;
    Ok(Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(TARGET)
        .join("lib"))
}
