//! The errors of system calls, as overlayfs and the layer above it (VFS) give them.

/// An error number of Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "errno(3) names them")]
pub enum Errno {
    EPERM,
    ENOENT,
    ENXIO,
    E2BIG,
    EACCES,
    EBUSY,
    EEXIST,
    EXDEV,
    ENOTDIR,
    EISDIR,
    EINVAL,
    EFBIG,
    EROFS,
    ERANGE,
    ENAMETOOLONG,
    ENOTEMPTY,
    ELOOP,
    ENODATA,
    EIO,
    EOPNOTSUPP,
}

impl Errno {
    const TABLE: [(Self, i32, &'static str, &'static str); 20] = [
        (Self::EPERM, 1, "EPERM", "Operation not permitted"),
        (Self::ENOENT, 2, "ENOENT", "No such file or directory"),
        (Self::ENXIO, 6, "ENXIO", "No such device or address"),
        (Self::E2BIG, 7, "E2BIG", "Argument list too long"),
        (Self::EACCES, 13, "EACCES", "Permission denied"),
        (Self::EBUSY, 16, "EBUSY", "Device or resource busy"),
        (Self::EEXIST, 17, "EEXIST", "File exists"),
        (Self::EXDEV, 18, "EXDEV", "Invalid cross-device link"),
        (Self::ENOTDIR, 20, "ENOTDIR", "Not a directory"),
        (Self::EISDIR, 21, "EISDIR", "Is a directory"),
        (Self::EINVAL, 22, "EINVAL", "Invalid argument"),
        (Self::EFBIG, 27, "EFBIG", "File too large"),
        (Self::EROFS, 30, "EROFS", "Read-only file system"),
        (Self::ERANGE, 34, "ERANGE", "Numerical result out of range"),
        (Self::ENAMETOOLONG, 36, "ENAMETOOLONG", "File name too long"),
        (Self::ENOTEMPTY, 39, "ENOTEMPTY", "Directory not empty"),
        (Self::ELOOP, 40, "ELOOP", "Too many levels of symbolic links"),
        (Self::ENODATA, 61, "ENODATA", "No data available"),
        (Self::EIO, 5, "EIO", "Input/output error"),
        (Self::EOPNOTSUPP, 95, "EOPNOTSUPP", "Operation not supported"),
    ];

    fn row(self) -> &'static (Self, i32, &'static str, &'static str) {
        &Self::TABLE[self as usize]
    }

    /// Its number on x86-64 and arm64.
    pub fn number(self) -> i32 {
        self.row().1
    }

    /// Its symbol, as `ENOENT`.
    pub fn name(self) -> &'static str {
        self.row().2
    }

    /// What strerror(3) says of it, and so what every tool prints.
    pub fn text(self) -> &'static str {
        self.row().3
    }

    /// The error of that number, if the simulator knows it.
    pub fn of(number: i32) -> Option<Self> {
        Self::TABLE.iter().find(|row| row.1 == number).map(|row| row.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        for row in Errno::TABLE {
            assert_eq!((row.0.name(), Errno::of(row.1)), (row.2, Some(row.0)));
            let system = std::io::Error::from_raw_os_error(row.1).to_string();
            assert!(system.starts_with(row.3), "{system}");
        }
    }
}
