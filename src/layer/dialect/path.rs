//! Paths as Go programs rewrite them, on bytes: `path/filepath` for Unix, and the two libraries that keep a
//! path inside a root when it leads over symbolic links.

use super::errno::Errno;
use super::system::{FileSystem, Sort};

/// `filepath.Clean`: the shortest equal path, by its text alone.
pub(super) fn clean(path: &[u8]) -> Vec<u8> {
    let rooted = path.starts_with(b"/");
    let mut names: Vec<&[u8]> = Vec::new();
    for name in path.split(|&byte| byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." if names.last().is_some_and(|last| *last != b"..") => {
                names.pop();
            }
            b".." if rooted => {}
            name => names.push(name),
        }
    }
    let joined = names.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/", &joined[..]].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}

/// `filepath.Join` of two.
pub(crate) fn join(left: &[u8], right: &[u8]) -> Vec<u8> {
    match (left, right) {
        (b"", b"") => Vec::new(),
        (b"", path) | (path, b"") => clean(path),
        _ => clean(&[left, b"/", right].concat()),
    }
}

/// `filepath.Split`: the directory with its slash, and the rest.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let cut = path.iter().rposition(|&byte| byte == b'/');
    path.split_at(cut.map_or(0, |slash| slash + 1))
}

/// Why a path could not be resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// A system call failed on the way.
    #[error(transparent)]
    Errno(#[from] Errno),
    /// containerd's own limit of 255 links.
    #[error("too many links")]
    TooManyLinks,
}

/// The target of a symbolic link at `path`; none if something else stands there.
fn link_target(fs: &impl FileSystem, path: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    let node = fs.lstat(path)?;
    match fs.sort(&node) {
        Sort::Symlink => fs.readlink(&node).map(Some),
        _ => Ok(None),
    }
}

/// Links that are followed before giving up, in both libraries.
const MAX_LINKS: u32 = 255;

/// `fs.RootPath` of containerd/continuity 0.3: `..` behind a symbolic link is taken by the text of the path.
pub(super) fn root_path(fs: &impl FileSystem, path: &[u8]) -> Result<Vec<u8>, Unresolved> {
    let mut path = path.to_vec();
    let mut walked = 0;
    if path.is_empty() {
        return Ok(b"/".to_vec());
    }
    loop {
        let before = walked;
        path = walk_links(fs, &path, &mut walked)?;
        if before == walked {
            let absolute = join(b"/", &path);
            if path == absolute {
                return Ok(path);
            }
            path = absolute;
        }
    }
}

fn walk_links(fs: &impl FileSystem, path: &[u8], walked: &mut u32) -> Result<Vec<u8>, Unresolved> {
    let mut done = match path.starts_with(b"/") {
        true => b"/".to_vec(),
        false => Vec::new(),
    };
    for name in path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()) {
        if *walked > MAX_LINKS {
            return Err(Unresolved::TooManyLinks);
        }
        let next = join(b"/", &join(&done, name));
        let target = match link_target(fs, &next) {
            _ if next == b"/" => None,
            Err(Errno::ENOENT) => None,
            target => target?,
        };
        done = match target {
            None => next,
            Some(target) => {
                *walked += 1;
                match target.starts_with(b"/") || done.is_empty() {
                    true => target,
                    false => join(&done, &target),
                }
            }
        };
    }
    Ok(done)
}

/// `securejoin.SecureJoinVFS` of cyphar/filepath-securejoin 0.2: as in a chroot.
pub(crate) fn secure_join(fs: &impl FileSystem, path: &[u8]) -> Result<Vec<u8>, Errno> {
    // What is still to be resolved, the next name last.
    let mut pending: Vec<Vec<u8>> = Vec::new();
    let push = |pending: &mut Vec<Vec<u8>>, path: &[u8]| {
        let names = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty());
        pending.extend(names.rev().map(<[u8]>::to_vec));
    };
    push(&mut pending, path);
    let mut done = b"/".to_vec();
    let mut walked = 0;
    while let Some(name) = pending.pop() {
        if walked > MAX_LINKS {
            return Err(Errno::ELOOP);
        }
        let next = join(&done, &name);
        let target = match link_target(fs, &next) {
            _ if next == b"/" => None,
            Err(Errno::ENOENT | Errno::ENOTDIR) => None,
            target => target?,
        };
        match target {
            None => done = next,
            Some(target) => {
                walked += 1;
                if target.starts_with(b"/") {
                    done = b"/".to_vec();
                }
                push(&mut pending, &target);
            }
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::dialect::Fs;

    #[test]
    fn as_go_cleans() {
        for (path, expected) in [
            ("", "."),
            ("./", "."),
            ("a/../..", ".."),
            ("../a//b/.", "../a/b"),
            ("/../a", "/a"),
            ("/a/../../", "/"),
            ("a/b/..", "a"),
            ("a/..", "."),
        ] {
            assert_eq!(clean(path.as_bytes()), expected.as_bytes(), "{path}");
        }
        assert_eq!(join(b"", b""), b"");
        assert_eq!(join(b"/", b"."), b"/");
        assert_eq!(split(b"a/b"), (&b"a/"[..], &b"b"[..]));
        assert_eq!(split(b"/"), (&b"/"[..], &b""[..]));
    }

    #[test]
    fn links_are_followed_inside_the_root() {
        let mut fs = Fs::new(true);
        fs.mkdir(b"/d", 0o755).unwrap();
        fs.symlink(b"/d/../../x", b"/absolute").unwrap();
        fs.symlink(b"../../d", b"/d/up").unwrap();
        fs.symlink(b"loop", b"/loop").unwrap();
        fs.create(b"/file", crate::content::Content::inline([])).unwrap();
        for (path, expected) in [
            ("absolute/y/", "/x/y"),
            ("d/up/z", "/d/z"),
            ("/d/up/", "/d"),
            ("../../d/", "/d"),
            ("missing/../d", "/d"),
            ("/", "/"),
        ] {
            assert_eq!(
                root_path(&fs, path.as_bytes()).unwrap(),
                expected.as_bytes(),
                "{path}"
            );
            assert_eq!(
                secure_join(&fs, path.as_bytes()).unwrap(),
                expected.as_bytes(),
                "{path}"
            );
        }
        // The kernel meets the link of a longer path first.
        assert_eq!(root_path(&fs, b"loop/"), Err(Unresolved::TooManyLinks));
        assert_eq!(root_path(&fs, b"loop/x/"), Err(Errno::ELOOP.into()));
        assert_eq!(secure_join(&fs, b"loop/x"), Err(Errno::ELOOP));
        assert_eq!(root_path(&fs, b"file/x/y"), Err(Errno::ENOTDIR.into()));
        assert_eq!(secure_join(&fs, b"file/x/y").unwrap(), b"/file/x/y");
    }
}
