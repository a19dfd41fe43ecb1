//! The merged view as a container would see it: whoever has one answers for single paths, and here links are
//! followed as the kernel follows them.

use crate::content::Content;
use crate::text::escape;

/// The kernel's limit for links on the way to one file (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// What stands at a path of the merged view.
#[derive(Debug, Clone)]
pub enum RootKind {
    /// A directory.
    Directory,
    /// A regular file with its bytes.
    File(Content),
    /// A symbolic link with its target.
    Symlink(Vec<u8>),
    /// A device or a fifo.
    Other,
}

/// An entry of the merged view.
#[derive(Debug, Clone)]
pub struct RootEntry {
    /// What it is.
    pub kind: RootKind,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// A merged view that can be asked for a path.
pub trait Root {
    /// The entry at `path`, which is absolute, has no empty, `.` or `..` component and no slash at its end
    /// (the root itself is `/`). Follows no link: the preflight asks component by component.
    fn lookup(&self, path: &[u8]) -> Option<RootEntry>;
}

/// Why a path leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dead {
    /// Nothing has this name.
    Missing(Vec<u8>),
    /// Something on the way is no directory.
    NotDirectory(Vec<u8>),
    /// Links that lead to each other.
    Loop,
}

impl Dead {
    /// The reason, to follow a colon.
    pub fn reason(&self) -> String {
        match self {
            Self::Missing(path) => format!("there is no {}", escape(path)),
            Self::NotDirectory(path) => format!("{} is not a directory", escape(path)),
            Self::Loop => "its symbolic links lead in circles".to_owned(),
        }
    }
}

/// Follows `path` through the merged view as the kernel would inside a container: links are followed from the
/// image's own root, and `..` of the root is the root.
pub fn resolve(root: &dyn Root, path: &[u8]) -> Result<(Vec<u8>, RootEntry), Dead> {
    let directory = RootEntry {
        kind: RootKind::Directory,
        mode: 0o755,
        uid: 0,
        gid: 0,
    };
    let mut at: Vec<u8> = Vec::new();
    let mut entry = directory.clone();
    // What is left to walk, last component first.
    let mut rest: Vec<Vec<u8>> = components(path);
    let mut links = 0;
    while let Some(name) = rest.pop() {
        if !matches!(entry.kind, RootKind::Directory) {
            return Err(Dead::NotDirectory(at));
        }
        match &name[..] {
            b"" | b"." => continue,
            b".." => {
                at.truncate(at.iter().rposition(|&byte| byte == b'/').unwrap_or(0));
                entry = if at.is_empty() {
                    directory.clone()
                } else {
                    root.lookup(&at).ok_or_else(|| Dead::Missing(at.clone()))?
                };
                continue;
            }
            _ => {}
        }
        let parent = at.len();
        at.push(b'/');
        at.extend_from_slice(&name);
        entry = root.lookup(&at).ok_or_else(|| Dead::Missing(at.clone()))?;
        if let RootKind::Symlink(target) = &entry.kind {
            links += 1;
            if links > MAX_LINKS || target.is_empty() {
                return Err(Dead::Loop);
            }
            at.truncate(if target.starts_with(b"/") { 0 } else { parent });
            rest.extend(components(target));
            entry = directory.clone();
        }
    }
    if at.is_empty() {
        at.push(b'/');
    }
    Ok((at, entry))
}

/// The components of a path, last first. One that ends in a slash asks for a directory: its `""` is kept.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|&byte| byte == b'/')
        .rev()
        .map(<[u8]>::to_vec)
        .collect()
}
