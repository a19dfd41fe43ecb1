//! A command that runs to its end while this process lives on: signals that come are passed to it.

use std::io;
use std::process::{Child, Command, ExitStatus};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

/// What is passed on.
const PASSED: [Signal; 6] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::TERM,
    Signal::USR1,
    Signal::USR2,
];

/// Runs a command and waits for its end. The process must have no other threads, as they would get the signals.
pub fn run_to_end(command: &mut Command) -> io::Result<ExitStatus> {
    let signals = set_of(&PASSED.map(Signal::as_raw), libc::SIGCHLD);
    keep_children();
    // Before the command starts: none is lost. The command itself starts without blocked signals, as std does it.
    let before = mask(libc::SIG_BLOCK, &signals)?;
    let ended = command.spawn().and_then(|mut child| wait(&mut child, &signals));
    mask(libc::SIG_SETMASK, &before)?;
    ended
}

fn wait(child: &mut Child, signals: &libc::sigset_t) -> io::Result<ExitStatus> {
    loop {
        let (signal, is_from_kernel) = match next_signal(signals) {
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

/// Makes sure that the end of a child is told: whoever started this process may have chosen otherwise.
#[allow(unsafe_code, reason = "there is no safe call")]
fn keep_children() {
    // Safety: the default action has no handler that could be wrong.
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
    }
}

#[allow(unsafe_code, reason = "there is no safe call")]
fn set_of(signals: &[i32], more: i32) -> libc::sigset_t {
    let mut set = std::mem::MaybeUninit::uninit();
    // Safety: sigemptyset(3) fills it in; the others are given what is filled in, and numbers of signals.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for &signal in signals.iter().chain([&more]) {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

#[allow(unsafe_code, reason = "there is no safe call")]
fn mask(how: i32, signals: &libc::sigset_t) -> io::Result<libc::sigset_t> {
    let mut before = std::mem::MaybeUninit::uninit();
    // Safety: the pointers are to sets, and pthread_sigmask(3) fills in the second if it succeeds.
    unsafe {
        match libc::pthread_sigmask(how, signals, before.as_mut_ptr()) {
            0 => Ok(before.assume_init()),
            number => Err(io::Error::from_raw_os_error(number)),
        }
    }
}

/// The next signal, and whether the kernel itself sent it.
#[allow(unsafe_code, reason = "there is no safe call")]
fn next_signal(signals: &libc::sigset_t) -> io::Result<(Signal, bool)> {
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::uninit();
    // Safety: sigwaitinfo(2) fills it in if it succeeds.
    let info = unsafe {
        match libc::sigwaitinfo(signals, info.as_mut_ptr()) {
            -1 => return Err(io::Error::last_os_error()),
            _ => info.assume_init(),
        }
    };
    let signal = Signal::from_named_raw(info.si_signo).ok_or(Errno::INVAL)?;
    Ok((signal, info.si_code == libc::SI_KERNEL))
}
