//! Every check of the repository, in an order that fails fast. `lanes` runs them.

use std::process::Command;

use crate::lanes;
use crate::packages::{self, Need, need};
use crate::page;
use crate::places::Places;
use crate::run::{Failure, Outcome, find_program, output_of, path_with, run as exec};
use crate::tools;
use crate::wasm;
use crate::wasm_target::{self, TARGET};

/// What belongs together, and can be asked for alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// The core and the command line on this machine.
    Rust,
    /// The core in a browser.
    Wasm,
    /// The page.
    Page,
}

impl Group {
    /// Reads groups from the command line; none named means all.
    pub fn parse_all(names: &[&str]) -> Outcome<Vec<Self>> {
        if names.is_empty() {
            return Ok(vec![Self::Rust, Self::Wasm, Self::Page]);
        }
        names
            .iter()
            .map(|name| match *name {
                "rust" => Ok(Self::Rust),
                "wasm" => Ok(Self::Wasm),
                "page" => Ok(Self::Page),
                other => Err(Failure::new(format!("no such group of checks: {other}"))),
            })
            .collect()
    }
}

/// One check.
pub struct Step {
    group: Group,
    /// What it is called.
    pub name: &'static str,
    /// The work.
    pub check: fn(&Places) -> Outcome,
}

const STEPS: &[Step] = &[
    step(Group::Rust, "rust: format", format),
    step(Group::Rust, "rust: clippy, native", clippy_native),
    step(Group::Rust, "rust: clippy, default features", clippy_default),
    step(Group::Rust, "rust: nothing native in the core", core_is_pure),
    step(Group::Rust, "rust: documentation", documentation),
    step(
        Group::Rust,
        "rust: programs that the tests compare with",
        rust_programs,
    ),
    step(Group::Rust, "rust: tests", rust_tests),
    step(Group::Rust, "rust: tests of the lean core", lean_tests),
    step(Group::Wasm, "wasm: compiler", wasm_compiler),
    step(Group::Wasm, "wasm: clippy", clippy_wasm),
    step(Group::Wasm, "wasm: clippy, the lean core", clippy_lean),
    step(Group::Wasm, "wasm: browser and tools", wasm_programs),
    step(Group::Wasm, "wasm: tests in a browser", wasm_tests),
    step(Group::Page, "page: packages", page::ensure_modules),
    step(Group::Page, "page: format", |places| {
        page::script(places, "format:check")
    }),
    step(Group::Page, "page: the core for it", wasm::build),
    step(Group::Page, "page: types and accessibility", |places| {
        page::script(places, "check")
    }),
    step(Group::Page, "page: unit tests", |places| {
        page::script(places, "test")
    }),
    step(Group::Page, "page: build", page::build),
    step(Group::Page, "page: size", |places| page::script(places, "size")),
    step(Group::Page, "page: browser", |_| packages::ensure(BROWSER)),
    step(Group::Page, "page: its download in real runtimes", page_image),
    step(Group::Page, "page: tests in a browser", page::browser_tests),
];

const fn step(group: Group, name: &'static str, check: fn(&Places) -> Outcome) -> Step {
    Step { group, name, check }
}

/// What the native tests run: builders of the sample program, and the judges of what is written and read.
const RUST_PROGRAMS: &[Need] = &[
    need("clang-19", "clang-19"),
    need("ld.lld-19", "lld-19"),
    need("qemu-aarch64-static", "qemu-user-static"),
    need("containerd", "containerd"),
    need("ctr", "containerd"),
    need("runc", "runc"),
    need("skopeo", "skopeo"),
    need("buildah", "buildah"),
    need("umoci", "umoci"),
    need("podman", "podman"),
    need("busybox", "busybox-static"),
    need("debootstrap", "debootstrap"),
    need("setfattr", "attr"),
    need("tree", "tree"),
    need("setcap", "libcap2-bin"),
    need("newuidmap", "uidmap"),
    need("setpriv", "util-linux"),
    need("script", "bsdutils"),
    need("strace", "strace"),
    need("tar", "tar"),
    need("gzip", "gzip"),
    need("zstd", "zstd"),
    need("python3", "python3"),
];

const BROWSER: &[Need] = &[
    need("chromium", "chromium"),
    need("chromedriver", "chromium-driver"),
];

/// What is native and must never reach the page.
const NATIVE_CRATES: [&str; 4] = ["clap", "libc", "rustix", "tempfile"];

/// Runs the checks of these groups up to the first that fails, and sums up. What is built for this machine and
/// what is built for the browser go side by side: each waits a good part of its time.
pub fn run(places: &Places, groups: &[Group]) -> Outcome {
    let wanted = |native: bool| {
        STEPS
            .iter()
            .filter(|step| groups.contains(&step.group) && (step.group == Group::Rust) == native)
            .collect::<Vec<&Step>>()
    };
    let lanes: Vec<_> = [wanted(true), wanted(false)]
        .into_iter()
        .filter(|lane| !lane.is_empty())
        .collect();
    lanes::run(places, &lanes)
}

fn cargo(places: &Places) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(&places.root);
    command
}

fn format(places: &Places) -> Outcome {
    exec(cargo(places).args(["fmt", "--all", "--check"]))
}

fn clippy_native(places: &Places) -> Outcome {
    let arguments = [
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--features",
        "test-page",
    ];
    exec(cargo(places).args(arguments).args(["--", "-D", "warnings"]))
}

fn clippy_default(places: &Places) -> Outcome {
    let arguments = ["clippy", "--quiet", "--workspace", "--all-targets"];
    exec(cargo(places).args(arguments).args(["--", "-D", "warnings"]))
}

/// The core builds for the page only as long as nothing of a machine gets into its dependencies.
fn core_is_pure(places: &Places) -> Outcome {
    let arguments = [
        "tree",
        "--package",
        "handroll",
        "--target",
        TARGET,
        "-e",
        "normal",
        "--prefix",
        "none",
    ];
    let tree = output_of(cargo(places).args(arguments))?;
    match native_crate(&tree) {
        None => Ok(()),
        Some(line) => Err(Failure::new(format!("for {TARGET} the core depends on {line}"))),
    }
}

fn native_crate(tree: &str) -> Option<&str> {
    tree.lines().find(|line| {
        line.split(' ')
            .next()
            .is_some_and(|name| NATIVE_CRATES.contains(&name))
    })
}

fn documentation(places: &Places) -> Outcome {
    let arguments = [
        "doc",
        "--quiet",
        "--no-deps",
        "--workspace",
        "--document-private-items",
        "--features",
        "native",
    ];
    exec(cargo(places).args(arguments).env("RUSTDOCFLAGS", "-D warnings"))
}

fn rust_programs(_: &Places) -> Outcome {
    packages::ensure(RUST_PROGRAMS)
}

fn rust_tests(places: &Places) -> Outcome {
    exec(cargo(places).args(["test", "--workspace", "--features", "native"]))
}

/// The lean core refuses what the other tests do.
fn lean_tests(places: &Places) -> Outcome {
    exec(cargo(places).args([
        "test",
        "--quiet",
        "--lib",
        "--features",
        "lean",
        "workbench::lean",
    ]))
}

/// Needs the built page, the command line and the runtimes, so it stands with neither group's tests.
fn page_image(places: &Places) -> Outcome {
    packages::ensure(RUST_PROGRAMS)?;
    exec(cargo(places).args(["test", "--features", "test-page", "--test", "page_image"]))
}

fn wasm_compiler(places: &Places) -> Outcome {
    wasm_target::ensure(places)?.ensure_clippy()
}

fn clippy_wasm(places: &Places) -> Outcome {
    let arguments = [
        "clippy",
        "--quiet",
        "--package",
        "handroll",
        "--all-targets",
        "--target",
        TARGET,
    ];
    let mut command = wasm_target::ensure(places)?.command(places, "cargo");
    exec(command.args(arguments).args(["--", "-D", "warnings"]))
}

/// The library alone: its tests are of the whole core.
fn clippy_lean(places: &Places) -> Outcome {
    let arguments = [
        "clippy",
        "--quiet",
        "--package",
        "handroll",
        "--lib",
        "--features",
        "lean",
        "--target",
        TARGET,
    ];
    let mut command = wasm_target::ensure(places)?.command(places, "cargo");
    exec(command.args(arguments).args(["--", "-D", "warnings"]))
}

fn wasm_programs(places: &Places) -> Outcome {
    packages::ensure(BROWSER)?;
    tools::wasm_bindgen(places)?;
    tools::wasm_pack(places).map(drop)
}

fn wasm_tests(places: &Places) -> Outcome {
    let bindgen = tools::wasm_bindgen(places)?;
    let pack = tools::wasm_pack(places)?;
    let driver = find_program("chromedriver").ok_or_else(|| Failure::new("there is no chromedriver"))?;
    exec(
        wasm_target::ensure(places)?
            .command(places, pack.join("wasm-pack"))
            // `no-install`: it would try to download what stands on its PATH already.
            .args([
                "test",
                "--mode",
                "no-install",
                "--headless",
                "--chrome",
                "--chromedriver",
            ])
            .arg(driver)
            // By name, so that it is an error if there are none.
            .args(["--", "--test", "web"])
            .env("PATH", path_with(&[bindgen])?),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_native_crate_is_noticed_by_its_whole_name() {
        assert_eq!(
            native_crate("handroll v0.1.0\nclap v4.6.9\n"),
            Some("clap v4.6.9")
        );
        assert_eq!(
            native_crate("handroll v0.1.0\nclap_lex v1.0.0\nrustix-futex v1.0.0\n"),
            None
        );
    }

    #[test]
    fn groups_are_read() {
        assert_eq!(Group::parse_all(&[]).unwrap().len(), 3);
        assert_eq!(Group::parse_all(&["page"]).unwrap(), [Group::Page]);
        assert!(Group::parse_all(&["paper"]).is_err());
    }
}
