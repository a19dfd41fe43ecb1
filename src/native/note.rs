//! What reading a directory has to say about what it did with what it found.

use std::fmt;

use crate::tree::TreePath;

/// How a mark was spelled on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// A name that begins with `.wh.`, on a file that is not what the specification asks for.
    Name {
        /// What it is: `a character device`.
        kind: &'static str,
    },
    /// A character device 0:0, as overlayfs keeps whiteouts.
    Device,
    /// An extended attribute, as overlayfs keeps them.
    Xattr,
}

/// One thing that a person should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A socket: no tar can hold one.
    SocketSkipped {
        /// Where, escaped.
        path: String,
    },
    /// A whiteout that will be written otherwise than it was read.
    Whiteout {
        /// Where, escaped.
        found: String,
        /// How it was spelled.
        spelling: Spelling,
        /// The path that it deletes.
        target: TreePath,
    },
    /// An opaque mark that will be written otherwise than it was read.
    Opaque {
        /// Where, escaped.
        found: String,
        /// How it was spelled.
        spelling: Spelling,
        /// The directory that it makes opaque.
        directory: TreePath,
    },
    /// A whiteout of a name that exists beside it.
    WhiteoutOfOwn {
        /// Where, escaped.
        found: String,
        /// The path that it deletes.
        target: TreePath,
        /// Whether that is a directory, which was made opaque: the same, said in a way that all understand.
        made_opaque: bool,
    },
    /// Bookkeeping of AUFS, `.wh..wh.` and more.
    AufsSkipped {
        /// Where, escaped.
        path: String,
    },
    /// Bookkeeping of overlayfs in an extended attribute.
    OverlayXattrDropped {
        /// Where, escaped.
        path: String,
        /// The xattr's name, escaped.
        name: String,
    },
}

/// The consequence that all respelled marks have.
const DIFFERS: &str = "so this layer's DiffID differs from what tar prints for the same directory";

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SocketSkipped { path } => write!(f, "skipped `{path}`, a socket, as tar does"),
            Self::Whiteout {
                found,
                spelling,
                target,
            } => write!(
                f,
                "read `{found}`, {spelling}, as the whiteout of `{}`; it will be written as an empty regular \
                 file, {DIFFERS}",
                relative(target)
            ),
            Self::Opaque {
                found,
                spelling,
                directory,
            } => write!(
                f,
                "read `{found}`, {spelling}, as the mark that makes `{}` opaque; it will be written as an \
                 empty regular file, `.wh..wh..opq`, {DIFFERS}",
                relative(directory)
            ),
            Self::WhiteoutOfOwn {
                found,
                target,
                made_opaque,
            } => {
                let target = relative(target);
                match made_opaque {
                    true => write!(
                        f,
                        "read `{found}` beside the directory `{target}` as: it is opaque, {DIFFERS}"
                    ),
                    false => write!(
                        f,
                        "dropped `{found}`: `{target}` itself replaces what is below, {DIFFERS}"
                    ),
                }
            }
            Self::AufsSkipped { path } => write!(f, "skipped `{path}`, which AUFS keeps for itself"),
            Self::OverlayXattrDropped { path, name } => {
                write!(
                    f,
                    "dropped the xattr `{name}` of `{path}`, which overlayfs keeps for itself"
                )
            }
        }
    }
}

impl fmt::Display for Spelling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name { kind } => kind,
            Self::Device => "the character device 0:0",
            Self::Xattr => "by its overlayfs xattr",
        })
    }
}

/// A path as the disk has it: without `/` in front, the root as `.`.
fn relative(path: &TreePath) -> String {
    let path = path.to_string();
    match path.strip_prefix('/') {
        Some("") | None => ".".to_owned(),
        Some(rest) => rest.to_owned(),
    }
}
