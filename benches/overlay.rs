//! How many calls a second the simulated overlay answers, and how many the kernel's on tmpfs, in the same run:
//! `cargo bench --bench overlay`. It is the random comparison of the tests, optimised.

#[path = "../tests/overlay_kernel.rs"]
mod overlay_kernel;

fn main() -> std::process::ExitCode {
    overlay_kernel::main()
}
