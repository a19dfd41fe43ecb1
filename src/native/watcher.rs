//! A process that stands by while this one works, to clean up after it if it is killed: nobody outlives SIGKILL to do
//! so himself. The process must have no other threads, as what they hold would stay held in the copy.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::fs::{Mode, OFlags};
use rustix::io::retry_on_intr;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, chdir, setsid, waitpid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::thread::set_name;

/// As long as the value lives, another process watches over this one.
pub(super) struct Watcher {
    pid: Pid,
    /// Closed without a byte written, it tells that this process was killed.
    alive: OwnedFd,
}

impl Watcher {
    /// Starts one, which calls `clean` if this process ends without having dropped the value, however that comes
    /// about. The signals that are held back now do not end it, nor does what a terminal sends; `other` is closed in
    /// it.
    #[allow(unsafe_code, reason = "there are no safe calls")]
    pub(super) fn start(other: BorrowedFd<'_>, clean: impl FnOnce()) -> io::Result<Self> {
        // Commands that this process starts do not get it.
        let (watched, alive) = pipe_with(PipeFlags::CLOEXEC)?;
        // Safety: there is one thread, so the copy can do all that this process can.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                // A panic must not go on in a copy of what called this.
                let _ = catch_unwind(AssertUnwindSafe(|| {
                    // Safety: nothing uses it after that, since the copy never returns from here.
                    unsafe { libc::close(other.as_raw_fd()) };
                    drop(alive);
                    if leave().is_ok() && is_killed(&watched) {
                        clean();
                    }
                }));
                // Safety: it ends the process without calling what others have registered.
                unsafe { libc::_exit(0) }
            }
            pid => {
                let pid = Pid::from_raw(pid).expect("fork(2) gives a positive number");
                Ok(Self { pid, alive })
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // If it is gone, there is nobody to tell and nothing to wait for.
        let _ = rustix::io::write(&self.alive, b".");
        let _ = retry_on_intr(|| waitpid(Some(self.pid), WaitOptions::empty()));
    }
}

/// Leaves the terminal, what others read and write, and the directory that this process was started in.
fn leave() -> rustix::io::Result<()> {
    setsid()?;
    chdir("/")?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty())?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    set_name(c"handroll-watch")
}

/// Waits for the end of the process that is watched over; whether it had not come so far as to say that it needs no
/// cleaning.
fn is_killed(watched: &OwnedFd) -> bool {
    retry_on_intr(|| rustix::io::read(watched, &mut [0; 1])) == Ok(0)
}
