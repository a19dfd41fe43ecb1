//! truncate(2), which rustix does not have; it has ftruncate(2), for which the file has to be opened first.

use std::ffi::{CStr, c_char, c_int};

use rustix::io::Errno;

/// Sets the length of the file at a path.
#[allow(unsafe_code, reason = "there is no safe call")]
pub(super) fn truncate(path: &CStr, length: i64) -> Result<(), Errno> {
    unsafe extern "C" {
        #[link_name = "truncate64"]
        fn c_truncate(path: *const c_char, length: i64) -> c_int;
    }
    // Safety: the path is a C string that lives as long as the call, which keeps nothing of it.
    match unsafe { c_truncate(path.as_ptr(), length) } {
        0 => Ok(()),
        _ => {
            let error = std::io::Error::last_os_error();
            Err(Errno::from_io_error(&error).unwrap_or(Errno::IO))
        }
    }
}
