//! The edits that a tree takes. Each checks everything first and then cannot fail, so a tree is never left
//! half changed. Directories keep their mtime when their entries change: a layer is edited, not lived in.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Directory, Ino, Inode, Metadata, Name, NameError, Node, Time, Tree, TreePath};
use crate::content::Content;

/// Why an edit cannot be done. Paths are escaped texts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "every field is a path, named by its variant's text")]
pub enum EditError {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("`{path}` does not exist in this layer")]
    NotFound { path: TreePath },
    #[error("`{path}` is not a directory, so nothing can be in it")]
    NotDirectory { path: TreePath },
    #[error("`{path}` exists already")]
    Exists { path: TreePath },
    #[error("`{path}` is not a file, so it has no content")]
    NotFile { path: TreePath },
    #[error("`{path}` is not a symbolic link, so it has no target")]
    NotSymlink { path: TreePath },
    #[error("a symbolic link's target cannot be empty or hold a zero byte: `{path}`")]
    BadTarget { path: TreePath },
    #[error("`{path}` is a directory: a directory cannot have a second name (a hard link)")]
    LinkToDirectory { path: TreePath },
    #[error("`{from}` cannot be put into itself, at `{to}`")]
    IntoItself { from: TreePath, to: TreePath },
    #[error("the root of a layer cannot be moved, copied, deleted or whited out")]
    Root,
    #[error("`{path}` is in this layer; delete it here first, then white it out to hide the layers below")]
    WhiteoutOfOwn { path: TreePath },
    #[error("`{path}` is not whited out in this layer")]
    NotWhiteout { path: TreePath },
}

impl Tree {
    /// What stands at `path`, or the error that says which part of it is missing.
    pub fn resolve(&self, path: &TreePath) -> Result<Ino, EditError> {
        let mut ino = Ino::ROOT;
        for (depth, name) in path.names().iter().enumerate() {
            let upto = |n: usize| path.names()[..n].iter().cloned().collect();
            let directory = self
                .directory(ino)
                .ok_or_else(|| EditError::NotDirectory { path: upto(depth) })?;
            ino = *directory.entries.get(name).ok_or_else(|| EditError::NotFound {
                path: upto(depth + 1),
            })?;
        }
        Ok(ino)
    }

    /// The directory that `path` is in, and its last name.
    fn place(&self, path: &TreePath) -> Result<(Ino, Name), EditError> {
        let (parent, name) = path.split_last().ok_or(EditError::Root)?;
        let ino = self.resolve(&parent)?;
        match self.directory(ino) {
            Some(_) => Ok((ino, name.clone())),
            None => Err(EditError::NotDirectory { path: parent }),
        }
    }

    /// A place where nothing stands yet.
    fn free_place(&self, path: &TreePath) -> Result<(Ino, Name), EditError> {
        let (parent, name) = self.place(path)?;
        match self
            .directory(parent)
            .is_some_and(|directory| directory.entries.contains_key(&name))
        {
            true => Err(EditError::Exists { path: path.clone() }),
            false => Ok((parent, name)),
        }
    }

    /// Gives an inode a name; a whiteout of that name gives way.
    fn put(&mut self, parent: Ino, name: Name, ino: Ino) {
        self.change_directory(parent, |directory| {
            directory.whiteouts.remove(&name);
            directory.entries.insert(name, ino);
        });
    }

    /// Makes a new entry at a free name. A directory is made empty.
    pub fn make(&mut self, path: &TreePath, node: Node, metadata: Metadata) -> Result<Ino, EditError> {
        if let Node::Symlink(target) = &node {
            check_target(path, target)?;
        }
        let (parent, name) = self.free_place(path)?;
        Ok(self.add(parent, name, node, metadata))
    }

    /// Makes the directories above `path` that are missing. `attributes` are theirs, told by how many names
    /// their paths have.
    pub fn make_parents(
        &mut self,
        path: &TreePath,
        attributes: impl FnMut(usize) -> Metadata,
    ) -> Result<(), EditError> {
        match path.split_last() {
            Some((parent, _)) => self.make_directories(&parent, attributes),
            None => Ok(()),
        }
    }

    /// Makes the directory `path` and those above it, as far as they are missing. `attributes` are theirs, told
    /// by how many names their paths have.
    pub fn make_directories(
        &mut self,
        path: &TreePath,
        mut attributes: impl FnMut(usize) -> Metadata,
    ) -> Result<(), EditError> {
        // Name by name, not path by path: a tar's name can be of half a million directories.
        let mut ino = Ino::ROOT;
        for (depth, name) in path.names().iter().enumerate() {
            let directory = self.directory(ino).ok_or_else(|| EditError::NotDirectory {
                path: path.names()[..depth].iter().cloned().collect(),
            })?;
            ino = match directory.entries.get(name) {
                Some(&child) => child,
                None => {
                    let node = Node::Directory(Directory::default());
                    self.add(ino, name.clone(), node, attributes(depth + 1))
                }
            };
        }
        Ok(())
    }

    /// The directory `name` in `parent`, made as an implied one: something is in it, but it has no entry of its own.
    /// Panics if `parent` is no directory, or has that name.
    pub fn imply(&mut self, parent: Ino, name: Name) -> Ino {
        let node = Node::Directory(Directory {
            implied: true,
            ..Directory::default()
        });
        self.add(parent, name, node, Metadata::new(0o755, 0, 0, Time::at(0)))
    }

    /// A new entry `name` in the directory `parent`, both of which the caller has looked up. Panics if `parent` is
    /// no directory.
    pub fn add(&mut self, parent: Ino, name: Name, node: Node, metadata: Metadata) -> Ino {
        let ino = self.add_inode(Inode {
            metadata,
            node,
            links: 1,
        });
        self.put(parent, name, ino);
        ino
    }

    /// A further name of an inode that is no directory. Panics if `parent` is no directory.
    pub fn add_link(&mut self, parent: Ino, name: Name, ino: Ino) {
        self.change(ino, |inode| inode.links += 1);
        self.put(parent, name, ino);
    }

    /// Takes a name out of a directory, and with the last name of an inode the inode and all that is in it.
    pub fn remove(&mut self, parent: Ino, name: &Name) {
        let ino = self.change_directory(parent, |directory| directory.entries.remove(name));
        if let Some(ino) = ino {
            self.unlink(ino);
        }
    }

    /// Changes the attributes of an inode; a directory has an entry of its own then.
    pub fn set_metadata_of(&mut self, ino: Ino, change: impl FnOnce(&mut Metadata)) {
        self.change(ino, |inode| {
            if let Node::Directory(directory) = &mut inode.node {
                directory.implied = false;
            }
            change(&mut inode.metadata);
        });
    }

    /// Says whether a directory hides all that the layers below have in it. Panics if it is no directory.
    pub fn set_opaque_of(&mut self, ino: Ino, opaque: bool) {
        self.change_directory(ino, |directory| directory.opaque = opaque);
    }

    /// Gives everything one time: what has an entry of its own, and the whiteouts.
    pub fn set_times(&mut self, time: Time) {
        let inodes: Vec<Ino> = self.inodes.keys().copied().collect();
        for ino in inodes {
            if !self.directory(ino).is_some_and(Directory::implied) {
                self.set_metadata_of(ino, |metadata| metadata.mtime = time);
            }
        }
        self.set_whiteout_time(time.seconds);
    }

    /// Marks a name as deleted from the layers below. Panics if `parent` is no directory, or has that name.
    pub fn add_whiteout(&mut self, parent: Ino, name: Name) {
        self.change_directory(parent, |directory| directory.whiteouts.insert(name));
    }

    /// Says that the root has no entry of its own.
    pub fn imply_root(&mut self) {
        self.change_directory(Ino::ROOT, |root| root.implied = true);
    }

    /// Gives the inode at `target` a second name.
    pub fn link(&mut self, path: &TreePath, target: &TreePath) -> Result<(), EditError> {
        let ino = self.resolve(target)?;
        if self.directory(ino).is_some() {
            return Err(EditError::LinkToDirectory { path: target.clone() });
        }
        let (parent, name) = self.free_place(path)?;
        self.add_link(parent, name, ino);
        Ok(())
    }

    /// Replaces a file's content.
    pub fn write(&mut self, path: &TreePath, content: Content) -> Result<Ino, EditError> {
        let ino = self.resolve(path)?;
        match self.inode(ino).node {
            Node::File(_) => self.change(ino, |inode| inode.node = Node::File(content)),
            _ => return Err(EditError::NotFile { path: path.clone() }),
        }
        Ok(ino)
    }

    /// Replaces a symbolic link's target.
    pub fn set_target(&mut self, path: &TreePath, target: &[u8]) -> Result<Ino, EditError> {
        check_target(path, target)?;
        let ino = self.resolve(path)?;
        match self.inode(ino).node {
            Node::Symlink(_) => self.change(ino, |inode| inode.node = Node::Symlink(target.into())),
            _ => return Err(EditError::NotSymlink { path: path.clone() }),
        }
        Ok(ino)
    }

    /// Changes the attributes of what stands at `path`; all its names see it.
    pub fn set_metadata(
        &mut self,
        path: &TreePath,
        change: impl FnOnce(&mut Metadata),
    ) -> Result<(), EditError> {
        let ino = self.resolve(path)?;
        self.set_metadata_of(ino, change);
        Ok(())
    }

    /// Deletes an entry, a directory with all that is in it.
    pub fn delete(&mut self, path: &TreePath) -> Result<(), EditError> {
        self.resolve(path)?;
        let (parent, name) = self.place(path)?;
        self.remove(parent, &name);
        Ok(())
    }

    /// Takes one name off an inode, and with the last name the inode and all that is in it.
    fn unlink(&mut self, ino: Ino) {
        let mut nameless = vec![ino];
        while let Some(ino) = nameless.pop() {
            if self.inode(ino).links > 1 {
                self.change(ino, |inode| inode.links -= 1);
                continue;
            }
            let inode = self.inodes.remove(&ino).expect("named by a directory");
            self.count(&inode, -1);
            if let Node::Directory(directory) = &inode.node {
                nameless.extend(directory.entries.values());
            }
        }
    }

    /// Moves an entry to a free name.
    pub fn rename(&mut self, from: &TreePath, to: &TreePath) -> Result<(), EditError> {
        let ino = self.resolve(from)?;
        let (old_parent, old_name) = self.place(from)?;
        if to.starts_with(from) && to != from {
            return Err(EditError::IntoItself {
                from: from.clone(),
                to: to.clone(),
            });
        }
        let (parent, name) = self.free_place(to)?;
        self.change_directory(old_parent, |directory| directory.entries.remove(&old_name));
        self.put(parent, name, ino);
        Ok(())
    }

    /// Copies an entry of `source`, a directory with all that is in it, to a free name of this tree. Names of
    /// one inode inside what is copied stay names of one inode; whiteouts and opaque marks come along.
    pub fn copy(&mut self, source: &Tree, from: &TreePath, to: &TreePath) -> Result<(), EditError> {
        let origin = source.resolve(from)?;
        if from.is_root() {
            return Err(EditError::Root);
        }
        let (parent, name) = self.free_place(to)?;
        let mut copies: BTreeMap<Ino, Ino> = BTreeMap::new();
        let mut pending = vec![(parent, name, origin)];
        while let Some((parent, name, origin)) = pending.pop() {
            if let Some(&copy) = copies.get(&origin) {
                self.change(copy, |inode| inode.links += 1);
                self.put(parent, name, copy);
                continue;
            }
            let mut inode = Inode {
                links: 1,
                ..source.inode(origin).clone()
            };
            let mut children = Vec::new();
            if let Node::Directory(directory) = &mut inode.node {
                children.extend(std::mem::take(&mut directory.entries));
            }
            let copy = self.add_inode(inode);
            copies.insert(origin, copy);
            self.put(parent, name, copy);
            pending.extend(children.into_iter().map(|(name, origin)| (copy, name, origin)));
        }
        Ok(())
    }

    /// Marks a name as deleted from the layers below. It must not be in this layer: a layer that has both
    /// is read differently by different runtimes.
    pub fn whiteout(&mut self, path: &TreePath) -> Result<(), EditError> {
        let (parent, name) = match self.free_place(path) {
            Err(EditError::Exists { path }) => return Err(EditError::WhiteoutOfOwn { path }),
            place => place?,
        };
        self.add_whiteout(parent, name);
        Ok(())
    }

    /// Takes a whiteout away again.
    pub fn clear_whiteout(&mut self, path: &TreePath) -> Result<(), EditError> {
        let (parent, name) = self.place(path)?;
        match self.change_directory(parent, |directory| directory.whiteouts.remove(&name)) {
            Some(_) => Ok(()),
            None => Err(EditError::NotWhiteout { path: path.clone() }),
        }
    }

    /// Says whether a directory hides all that the layers below have in it.
    pub fn set_opaque(&mut self, path: &TreePath, opaque: bool) -> Result<(), EditError> {
        let ino = self.resolve(path)?;
        match self.directory(ino) {
            Some(_) => self.set_opaque_of(ino, opaque),
            None => return Err(EditError::NotDirectory { path: path.clone() }),
        }
        Ok(())
    }
}

fn check_target(path: &TreePath, target: &[u8]) -> Result<(), EditError> {
    match target.is_empty() || target.contains(&0) {
        true => Err(EditError::BadTarget { path: path.clone() }),
        false => Ok(()),
    }
}

/// A symlink to `target`, unchecked until it is made.
impl From<&[u8]> for Node {
    fn from(target: &[u8]) -> Self {
        Self::Symlink(Arc::from(target))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Counts;

    fn path(text: &str) -> TreePath {
        TreePath::parse(text).unwrap()
    }

    fn file(text: &str) -> Node {
        Node::File(Content::inline(text.as_bytes()))
    }

    fn directory() -> Node {
        Node::Directory(Directory::default())
    }

    fn tree() -> Tree {
        let metadata = Metadata::new(0o755, 0, 0, Time::at(0));
        let mut tree = Tree::new(metadata.clone(), 0);
        tree.make(&path("/data"), directory(), metadata.clone()).unwrap();
        tree.make(&path("/data/a"), file("aa"), metadata.clone()).unwrap();
        tree.make(&path("/hello"), file("hello"), metadata).unwrap();
        tree.link(&path("/data/b"), &path("/hello")).unwrap();
        tree
    }

    /// Counts by walking, to compare with those that edits kept.
    fn counted(tree: &Tree) -> Counts {
        let mut counts = Counts::default();
        let mut seen = std::collections::BTreeSet::new();
        let mut pending = vec![Ino::ROOT];
        while let Some(ino) = pending.pop() {
            let inode = tree.inode(ino);
            if !seen.insert(ino) {
                continue;
            }
            counts.need_pax += u64::from(inode.metadata.needs_pax());
            match &inode.node {
                Node::File(content) => counts.content_bytes += content.len(),
                Node::Directory(directory) => {
                    counts.entries += directory.entries.len() as u64;
                    counts.whiteouts += directory.whiteouts.len() as u64;
                    counts.opaques += u64::from(directory.opaque);
                    pending.extend(directory.entries.values());
                }
                _ => {}
            }
        }
        assert_eq!(seen.len(), tree.inodes.len(), "every inode has a name");
        counts
    }

    #[test]
    fn hard_links_share_one_inode_until_the_last_name_goes() {
        let mut tree = tree();
        let ino = tree.lookup(&path("/hello")).unwrap();
        assert_eq!(
            (tree.inode(ino).links(), tree.lookup(&path("/data/b"))),
            (2, Some(ino))
        );
        tree.delete(&path("/data")).unwrap();
        assert_eq!(tree.inode(ino).links(), 1);
        tree.delete(&path("/hello")).unwrap();
        assert_eq!(tree.counts(), Counts::default());
        assert_eq!(tree.counts(), counted(&tree));
    }

    #[test]
    fn an_edit_leaves_the_value_before_it_alone() {
        let before = tree();
        let mut after = before.clone();
        assert!(after.is_same(&before));
        after.write(&path("/hello"), Content::inline(*b"!")).unwrap();
        after.whiteout(&path("/data/c")).unwrap();
        after.set_opaque(&path("/data"), true).unwrap();
        assert!(!after.is_same(&before));
        assert_eq!(before.counts(), counted(&before));
        assert_eq!(after.counts(), counted(&after));
        assert_eq!(before.counts().content_bytes, 7);
        assert_eq!((after.counts().content_bytes, after.counts().whiteouts), (3, 1));
    }

    #[test]
    fn a_copy_keeps_hard_links_inside_it() {
        let mut tree = tree();
        tree.link(&path("/data/c"), &path("/data/b")).unwrap();
        let source = tree.clone();
        tree.copy(&source, &path("/data"), &path("/data/copy")).unwrap();
        let copied = tree.lookup(&path("/data/copy/b")).unwrap();
        assert_eq!(tree.lookup(&path("/data/copy/c")), Some(copied));
        assert_ne!(tree.lookup(&path("/data/b")), Some(copied));
        assert_eq!(tree.inode(copied).links(), 2);
        assert_eq!(tree.counts(), counted(&tree));
    }

    #[test]
    fn what_cannot_be_done_changes_nothing() {
        let mut tree = tree();
        let before = tree.clone();
        let errors = [
            tree.make(&path("/hello"), file(""), Metadata::default())
                .unwrap_err(),
            tree.make(&path("/hello/x"), file(""), Metadata::default())
                .unwrap_err(),
            tree.make(&path("/no/x"), file(""), Metadata::default())
                .unwrap_err(),
            tree.link(&path("/x"), &path("/data")).unwrap_err(),
            tree.rename(&path("/data"), &path("/data/x")).unwrap_err(),
            tree.rename(&path("/data"), &path("/hello")).unwrap_err(),
            tree.delete(&path("/")).unwrap_err(),
            tree.whiteout(&path("/hello")).unwrap_err(),
            tree.clear_whiteout(&path("/x")).unwrap_err(),
            tree.set_opaque(&path("/hello"), true).unwrap_err(),
            tree.write(&path("/data"), Content::inline(*b"")).unwrap_err(),
            tree.set_target(&path("/hello"), b"x").unwrap_err(),
            tree.make(&path("/l"), Node::from(&b""[..]), Metadata::default())
                .unwrap_err(),
        ];
        let texts: Vec<_> = errors.iter().map(EditError::to_string).collect();
        assert!(
            texts[0].contains("`/hello` exists") && texts[2].contains("`/no` does not exist"),
            "{texts:?}"
        );
        assert!(tree.is_same(&before) || tree.counts() == before.counts());
        assert_eq!(tree.counts(), counted(&tree));
    }

    #[test]
    fn making_what_was_whited_out_takes_the_whiteout_away() {
        let mut tree = tree();
        tree.whiteout(&path("/data/x")).unwrap();
        tree.make(&path("/data/x"), directory(), Metadata::default())
            .unwrap();
        assert!(!tree.is_whiteout(&path("/data/x")));
        assert_eq!(tree.counts().whiteouts, 0);
    }
}
