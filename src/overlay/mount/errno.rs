//! The errors of system calls, by the numbers that Linux has for them on x86-64 and arm64.

/// An error number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errno(pub i32);

macro_rules! errnos {
    ($($name:ident $number:literal $text:literal;)*) => {
        #[allow(missing_docs, reason = "errno(3) names them")]
        impl Errno {
            $(pub const $name: Self = Self($number);)*

            const TABLE: &[(Self, &'static str, &'static str)] = &[$((Self::$name, stringify!($name), $text),)*];
        }
    };
}

errnos! {
    EPERM 1 "Operation not permitted";
    ENOENT 2 "No such file or directory";
    EIO 5 "Input/output error";
    ENXIO 6 "No such device or address";
    E2BIG 7 "Argument list too long";
    ENOEXEC 8 "Exec format error";
    EBADF 9 "Bad file descriptor";
    EACCES 13 "Permission denied";
    EBUSY 16 "Device or resource busy";
    EEXIST 17 "File exists";
    EXDEV 18 "Invalid cross-device link";
    ENODEV 19 "No such device";
    ENOTDIR 20 "Not a directory";
    EISDIR 21 "Is a directory";
    EINVAL 22 "Invalid argument";
    EFBIG 27 "File too large";
    ENOSPC 28 "No space left on device";
    EROFS 30 "Read-only file system";
    EMLINK 31 "Too many links";
    ERANGE 34 "Numerical result out of range";
    ENAMETOOLONG 36 "File name too long";
    ENOTEMPTY 39 "Directory not empty";
    ELOOP 40 "Too many levels of symbolic links";
    ENODATA 61 "No data available";
    EOPNOTSUPP 95 "Operation not supported";
    ESTALE 116 "Stale file handle";
}

impl Errno {
    fn row(self) -> Option<&'static (Self, &'static str, &'static str)> {
        Self::TABLE.iter().find(|row| row.0 == self)
    }

    /// Its symbol, as `ENOENT`; `errno 38` of one that no call of ours gives.
    pub fn name(self) -> String {
        self.row()
            .map_or_else(|| format!("errno {}", self.0), |row| row.1.to_owned())
    }

    /// What strerror(3) says of it, and so what every tool prints.
    pub fn text(self) -> String {
        self.row()
            .map_or_else(|| format!("Error {}", self.0), |row| row.2.to_owned())
    }
}

impl std::fmt::Debug for Errno {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_the_system() {
        for (errno, _, text) in Errno::TABLE {
            let system = std::io::Error::from_raw_os_error(errno.0).to_string();
            assert_eq!(system, format!("{text} (os error {})", errno.0));
        }
    }
}
