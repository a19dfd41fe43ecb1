//! The shell beside bash with the tools of this system, and the shell on the simulated overlay beside the shell
//! on the kernel's.

#[path = "../src/random.rs"]
mod random;

#[path = "shell/bash.rs"]
mod bash;
#[path = "shell/overlay.rs"]
mod overlay;

/// Every line of `shell/lines.txt`: what is printed, the exit status and what becomes of the files.
#[test]
fn lines_are_as_bash_runs_them() {
    bash::compare_all(bash::Place::Plain);
}

/// The same in an overlay, with what is in the upperdir afterwards.
#[test]
fn lines_in_an_overlay_are_as_bash_runs_them() {
    bash::compare_all(bash::Place::Overlay);
}

/// Random lines on random layers: the same on the simulated overlay and on the kernel's, and the same upperdir
/// and view in the end.
#[test]
fn lines_on_the_simulated_overlay_are_as_on_the_kernels() {
    overlay::compare_random();
}
