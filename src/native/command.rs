//! A command that runs to its end while this process lives on: signals that come are passed to it.

use std::io;
use std::process::{Child, Command, ExitStatus};

use rustix::process::{Pid, Signal, kill_process};

use super::signal::{Held, SENT, keep_children};

/// Runs a command and waits for its end. The signals that are held back come to the command, too, if they came before
/// it started. The process must have no other threads, as they would get them.
pub fn run_to_end(command: &mut Command, held: &Held) -> io::Result<ExitStatus> {
    keep_children();
    let awaited = Held::of(SENT.into_iter().chain([Signal::CHILD]))?;
    held.release_in(command);
    let mut child = command.spawn()?;
    wait(&mut child, &awaited)
}

fn wait(child: &mut Child, held: &Held) -> io::Result<ExitStatus> {
    loop {
        let (signal, is_from_kernel) = match held.next() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            signal => signal?,
        };
        if signal == Signal::CHILD {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            continue;
        }
        // What a terminal sends, it sends to the command too.
        let is_typed = is_from_kernel && matches!(signal, Signal::INT | Signal::QUIT);
        if !is_typed && let Some(pid) = Pid::from_raw(child.id().cast_signed()) {
            // It may have ended just now.
            let _ = kill_process(pid, signal);
        }
    }
}
