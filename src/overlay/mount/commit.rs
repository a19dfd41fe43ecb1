//! What was written in a mount as a layer: the upperdir without what only overlayfs understands.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::lookup::{Dentry, Real};
use super::op::chain_path;
use super::upper::{Attributes, FileName, Upper};
use super::{FileType, Marks, Overlay, UpperKind};
use crate::tree::{Directory, Ino, Metadata, Name, Node, Tree};

/// A layer made of an upperdir, and what did not come along.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The layer: whiteouts and opaque directories as a layer has them.
    pub tree: Tree,
    /// What a layer cannot hold, in the order of the paths.
    pub left_out: Vec<LeftOut>,
}

/// Something of an upperdir that a layer cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its path in the mount.
    pub path: Vec<u8>,
    /// Why it cannot travel.
    pub why: Unfit,
}

/// Why a layer cannot hold something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// A tar has no sockets.
    Socket,
    /// A name that begins with `.wh.` would be read as a whiteout.
    Name,
    /// An extended attribute that a process set, but that a mount of the layer would take for one of overlayfs' own.
    Mark,
    /// A PAX record without a value says that there is no such attribute (pax, "Extended Header").
    EmptyXattr,
}

impl Unfit {
    /// In words.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Socket => "a tar cannot hold sockets",
            Self::Name => "a name that begins with `.wh.` would delete what it names",
            Self::Mark => "an extended attribute like overlayfs' own would be taken for one",
            Self::EmptyXattr => "a tar cannot hold an extended attribute without a value",
        }
    }
}

/// The layer while it is made.
struct Commit<'o> {
    overlay: &'o Overlay,
    tree: Tree,
    /// The numbers in the tree of inodes that have more names than one.
    linked: BTreeMap<Real, Ino>,
    left_out: Vec<LeftOut>,
}

impl Overlay {
    /// The upperdir as a layer on top of the lower ones. Whiteouts get the time `whiteout_time`, in seconds. A
    /// directory that was moved by a redirect comes with all that is in it, in an opaque directory, since a layer
    /// has no redirects. Nothing without an upperdir.
    pub fn commit(&self, whiteout_time: i64) -> Option<Committed> {
        let root = &self.upper.as_ref()?.inode(Upper::ROOT).attributes;
        let mut commit = Commit {
            overlay: self,
            tree: Tree::new(Metadata::default(), whiteout_time),
            linked: BTreeMap::new(),
            left_out: Vec::new(),
        };
        let metadata = commit.travelling(root, || b"/".to_vec());
        commit.tree.set_metadata_of(Ino::ROOT, |root| *root = metadata);
        commit
            .tree
            .set_opaque_of(Ino::ROOT, self.upper_mark(Upper::ROOT, b"opaque") == Some(b"y"));
        let mut pending = vec![(vec![self.root()], Ino::ROOT, false)];
        while let Some((chain, ino, is_whole)) = pending.pop() {
            commit.directory(&chain, ino, is_whole, &mut pending);
        }
        commit.left_out.sort_by(|a, b| a.path.cmp(&b.path));
        Some(Committed {
            tree: commit.tree,
            left_out: commit.left_out,
        })
    }
}

/// Whether a mount, of whatever kind, would take an extended attribute for overlayfs' own.
fn is_mark(name: &[u8]) -> bool {
    [true, false].into_iter().any(|user| Marks { user }.is_own(name))
}

impl Commit<'_> {
    /// Attributes without those of overlayfs, and without those that a layer cannot hold.
    fn travelling(&mut self, attributes: &Attributes, path: impl Fn() -> Vec<u8>) -> Metadata {
        let marks = self.overlay.marks();
        let mut xattrs = BTreeMap::new();
        for (name, value) in attributes.xattrs.iter() {
            match marks.unescape(name) {
                None => {}
                Some(name) if is_mark(&name) => self.leave_out(path(), Unfit::Mark),
                Some(_) if value.is_empty() => self.leave_out(path(), Unfit::EmptyXattr),
                Some(name) => drop(xattrs.insert(name, value.clone())),
            }
        }
        Metadata {
            mode: attributes.mode,
            uid: attributes.uid,
            gid: attributes.gid,
            mtime: attributes.mtime,
            xattrs: Arc::new(xattrs),
        }
    }

    /// Takes over what the upperdir has in one directory; if the directory is to come as a whole, all that
    /// shows in it.
    fn directory(
        &mut self,
        chain: &[Dentry],
        ino: Ino,
        is_whole: bool,
        pending: &mut Vec<(Vec<Dentry>, Ino, bool)>,
    ) {
        let dentry = chain.last().expect("the root is there");
        let mut names: Vec<FileName> = match (is_whole, dentry.upper) {
            (true, _) => {
                let names = self.overlay.merged_names(dentry);
                names.into_iter().map(|entry| entry.name).collect()
            }
            (false, Some(upper)) => self.overlay.upper().listing(upper),
            (false, None) => return,
        };
        names.sort();
        for file_name in names {
            let path = || {
                let mut path = chain_path(chain);
                if path.len() > 1 {
                    path.push(b'/');
                }
                [&path, &file_name[..]].concat()
            };
            let Ok(name) = Name::new(&file_name) else {
                self.leave_out(path(), Unfit::Name);
                continue;
            };
            let looked = self.overlay.look(dentry, &file_name);
            match looked.dentry {
                Ok(found) if found.exists() => self.entry(chain, found, ino, name, is_whole, pending, &path),
                // What is not there in a directory that comes as a whole needs no whiteout.
                _ if is_whole => {}
                _ => self.tree.add_whiteout(ino, name),
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the place of one entry in three trees")]
    fn entry(
        &mut self,
        chain: &[Dentry],
        found: Dentry,
        parent: Ino,
        name: Name,
        is_whole: bool,
        pending: &mut Vec<(Vec<Dentry>, Ino, bool)>,
        path: &dyn Fn() -> Vec<u8>,
    ) {
        let real = found.real().expect("it exists");
        if self.overlay.file_type(real) == FileType::Directory {
            let is_whole = is_whole || found.redirect.is_some();
            let metadata = self.travelling(&self.overlay.attributes(real), path);
            let is_opaque = is_whole || self.overlay.opaque(real) == Some(b'y');
            let ino = self
                .tree
                .add(parent, name, Node::Directory(Directory::default()), metadata);
            self.tree.set_opaque_of(ino, is_opaque);
            let mut chain = chain.to_vec();
            chain.push(found);
            pending.push((chain, ino, is_whole));
            return;
        }
        if let Some(ino) = self.linked.get(&real) {
            self.tree.add_link(parent, name, *ino);
            return;
        }
        let Some(node) = self.node(real) else {
            self.leave_out(path(), Unfit::Socket);
            // What it stood in the place of is gone all the same.
            let above = chain.last().expect("the root is there");
            if !is_whole && self.overlay.is_lower_positive(above, &found) {
                self.tree.add_whiteout(parent, name);
            }
            return;
        };
        let metadata = self.travelling(&self.overlay.attributes(real), path);
        let ino = self.tree.add(parent, name, node, metadata);
        self.linked.insert(real, ino);
    }

    fn node(&self, real: Real) -> Option<Node> {
        if real.layer > 0 {
            return Some(
                self.overlay.lowers[real.layer - 1]
                    .inode(real.number)
                    .node
                    .clone(),
            );
        }
        match &self.overlay.upper().inode(real.number).kind {
            UpperKind::File(data) => Some(Node::File(data.content())),
            UpperKind::Symlink(target) => Some(Node::Symlink(target.clone())),
            UpperKind::CharDevice(device) => Some(Node::CharDevice(*device)),
            UpperKind::BlockDevice(device) => Some(Node::BlockDevice(*device)),
            UpperKind::Fifo => Some(Node::Fifo),
            UpperKind::Socket | UpperKind::Directory(_) => None,
        }
    }

    fn leave_out(&mut self, path: Vec<u8>, why: Unfit) {
        self.left_out.push(LeftOut { path, why });
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Caller, Options};
    use super::*;
    use crate::overlay::naive::{merged_listing, random_tree};
    use crate::overlay::script::{NOW, Script};
    use crate::random::Random;

    fn committed(script: &str) -> Committed {
        let script = Script::parse(script).unwrap();
        let mut overlay = script.mount().unwrap();
        for step in &script.steps {
            overlay.call(Caller::root(NOW), &step.call).result.unwrap();
        }
        overlay.commit(0).unwrap()
    }

    fn lines(tree: &Tree) -> Vec<String> {
        let marks = Marks { user: false };
        Upper::from_layer(tree, marks, NOW)
            .rows()
            .iter()
            .map(|row| row.line(marks))
            .collect()
    }

    #[test]
    fn marks_stay_behind_and_names_that_would_delete() {
        let committed = committed(
            "layer\ndir /d\nfile /d/x 1\nfile /l 3\nfile /y 2\nmount\nunlink /d/x\nrmdir /d\nmkdir /d\nchmod /y 0600\n\
             setxattr /y trusted.overlay.opaque v\nsetxattr /y user.overlay.redirect v\nsetxattr /y user.e \"\"\n\
             setxattr /y user.v v\nlink /y /z\nwrite /.wh.q 3\nmknod /s socket\nunlink /l\nmknod /l socket",
        );
        assert_eq!(
            lines(&committed.tree),
            [
                "/ directory 0755 0:0",
                "/d directory 0755 0:0 trusted.overlay.opaque=y",
                "/l whiteout",
                "/y file 1 \"2\" 0600 0:0 ×2 user.v=v",
                "/z file 1 \"2\" 0600 0:0 ×2 user.v=v",
            ]
        );
        let left = committed.left_out.iter().map(|left| (&left.path[..], left.why));
        let expected = [
            (&b"/.wh.q"[..], Unfit::Name),
            (b"/l", Unfit::Socket),
            (b"/s", Unfit::Socket),
            (b"/y", Unfit::Mark),
            (b"/y", Unfit::EmptyXattr),
            (b"/y", Unfit::Mark),
        ];
        assert_eq!(left.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_moved_by_a_redirect_comes_whole() {
        let committed = committed(
            "layer\ndir /d\nfile /d/x 1\nfile /d/y 2\nlayer\ndir /d\nfile /d/z 3\nmount redirect_dir=on\n\
             unlink /d/y\nrename /d /e",
        );
        assert_eq!(
            lines(&committed.tree),
            [
                "/ directory 0755 0:0",
                "/d whiteout",
                "/e directory 0755 0:0 trusted.overlay.opaque=y",
                "/e/x file 1 \"1\" 0644 0:0 ×1",
                "/e/z file 1 \"3\" 0644 0:0 ×1",
            ]
        );
    }

    /// An upperdir made of a layer gives that layer again, and what it shows is what the stack of layers shows.
    #[test]
    fn a_layer_comes_back() {
        let mut random = Random::of_run();
        for number in 0..500 {
            let [lower, upper] = [0, 1].map(|_| random_tree(&mut random));
            let options = Options::default();
            let marks = Marks::of(options);
            let mounted = Overlay::mount(
                vec![super::super::Lower::new(lower.clone())],
                Some(Upper::from_layer(&upper, marks, NOW)),
                options,
                NOW,
            );
            let committed = mounted.unwrap().commit(upper.whiteout_time()).unwrap();
            assert_eq!(committed.left_out, []);
            assert_eq!(lines(&committed.tree), lines(&upper), "layer {number}");
            let shown = |upper: &Tree| merged_listing(&[lower.clone(), upper.clone()]);
            assert_eq!(shown(&committed.tree), shown(&upper), "layer {number}");
        }
    }
}
