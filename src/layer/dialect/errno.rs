//! The errors of system calls that unpacking meets, with the words that Go programs print for them.

/// An error of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "errno(3) names them")]
pub enum Errno {
    #[error("operation not permitted")]
    EPERM,
    #[error("no such file or directory")]
    ENOENT,
    #[error("argument list too long")]
    E2BIG,
    #[error("permission denied")]
    EACCES,
    #[error("file exists")]
    EEXIST,
    #[error("not a directory")]
    ENOTDIR,
    #[error("invalid argument")]
    EINVAL,
    #[error("numerical result out of range")]
    ERANGE,
    #[error("file name too long")]
    ENAMETOOLONG,
    #[error("too many levels of symbolic links")]
    ELOOP,
    #[error("operation not supported")]
    ENOTSUP,
    /// One that no file system in memory gives: a full disk's, or a broken one's, by its number.
    #[error("error {0} of the system")]
    Other(i32),
}
