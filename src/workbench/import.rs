//! A tree from elsewhere as an operation: how a host's directory comes in through the one door, so that journal,
//! undo and recipes know of it as of everything else.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::content::{Content, Source};
use crate::text::escape;
use crate::tree::{Directory, Ino, Inode, Node, Time, Tree};

use super::operation::{
    Action, Attributes, Caller, ContentRef, ImageId, LayerId, NewEntry, Operation, SourceId,
};
use crate::base64;

/// The operation that adds to an image a layer with what `tree` holds. `open` is handed each source that holds
/// a file's bytes and gives the id under which the workbench knows it.
pub fn import_tree(
    image: ImageId,
    layer: LayerId,
    name: &str,
    tree: &Tree,
    open: impl FnMut(Arc<dyn Source>) -> SourceId,
) -> Operation {
    let mut import = Import {
        layer,
        tree,
        open,
        first_names: BTreeMap::new(),
        actions: vec![Action::AddLayer {
            image,
            layer,
            name: name.to_owned(),
            position: None,
        }],
    };
    import.run();
    Operation {
        // Whiteouts have no attributes of their own: theirs is the time at which the layer was made.
        time: Time::at(tree.whiteout_time()),
        caller: Caller::ROOT,
        action: Action::Group {
            label: format!("add layer {name}"),
            actions: import.actions,
        },
    }
}

struct Import<'a, O> {
    layer: LayerId,
    tree: &'a Tree,
    open: O,
    /// The first name of each inode that has several.
    first_names: BTreeMap<Ino, String>,
    actions: Vec<Action>,
}

impl<O: FnMut(Arc<dyn Source>) -> SourceId> Import<'_, O> {
    fn run(&mut self) {
        let root = self.tree.inode(Ino::ROOT);
        self.actions.push(Action::SetAttributes {
            layer: self.layer,
            path: "/".to_owned(),
            attributes: attributes(root),
        });
        self.xattrs("/", root);
        // Paths may be deeper than a stack is: what is left to enter is kept in a list.
        let mut directories = vec![(String::new(), Ino::ROOT)];
        while let Some((path, ino)) = directories.pop() {
            let Some(directory) = self.tree.directory(ino) else {
                continue;
            };
            self.marks(&path, directory);
            for (name, child) in directory.entries() {
                let path = format!("{path}/{}", escape(name.as_bytes()));
                self.entry(&path, *child);
                if self.tree.directory(*child).is_some() {
                    directories.push((path, *child));
                }
            }
        }
    }

    fn marks(&mut self, path: &str, directory: &Directory) {
        let layer = self.layer;
        for name in directory.whiteouts() {
            self.actions.push(Action::Whiteout {
                layer,
                path: format!("{path}/{}", escape(name.as_bytes())),
                parents: false,
            });
        }
        if directory.opaque() {
            self.actions.push(Action::SetOpaque {
                layer,
                path: if path.is_empty() { "/" } else { path }.to_owned(),
                opaque: true,
                parents: false,
            });
        }
    }

    fn entry(&mut self, path: &str, ino: Ino) {
        let inode = self.tree.inode(ino);
        let first = self.first_names.get(&ino).cloned();
        let is_link = first.is_some();
        let entry = match first {
            Some(target) => NewEntry::HardLink { target },
            None => self.new_entry(&inode.node),
        };
        self.actions.push(Action::Make {
            layer: self.layer,
            path: path.to_owned(),
            entry,
            attributes: if is_link {
                Attributes::default()
            } else {
                attributes(inode)
            },
            parents: false,
            replace: false,
        });
        if !is_link {
            if inode.links() > 1 {
                self.first_names.insert(ino, path.to_owned());
            }
            self.xattrs(path, inode);
        }
    }

    fn new_entry(&mut self, node: &Node) -> NewEntry {
        match node {
            Node::Directory(_) => NewEntry::Directory,
            Node::File(content) => NewEntry::File {
                content: self.content(content),
            },
            Node::Symlink(target) => NewEntry::Symlink {
                target: escape(target),
            },
            Node::CharDevice(device) => NewEntry::CharDevice {
                major: device.major,
                minor: device.minor,
            },
            Node::BlockDevice(device) => NewEntry::BlockDevice {
                major: device.major,
                minor: device.minor,
            },
            Node::Fifo => NewEntry::Fifo,
        }
    }

    fn content(&mut self, content: &Content) -> ContentRef {
        match content {
            Content::Inline(bytes) => ContentRef::Base64 {
                base64: base64::encode(bytes),
            },
            Content::Range {
                source,
                offset,
                length,
            } => ContentRef::Source {
                source: (self.open)(source.clone()),
                offset: *offset,
                length: *length,
            },
        }
    }

    fn xattrs(&mut self, path: &str, inode: &Inode) {
        for (name, value) in inode.metadata.xattrs.iter() {
            self.actions.push(Action::SetXattr {
                layer: self.layer,
                path: path.to_owned(),
                name: escape(name),
                value: Some(escape(value)),
            });
        }
    }
}

fn attributes(inode: &Inode) -> Attributes {
    Attributes {
        mode: Some(inode.metadata.mode.into()),
        uid: Some(inode.metadata.uid.into()),
        gid: Some(inode.metadata.gid.into()),
        mtime: Some(inode.metadata.mtime),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{BlobJob, Compression, Layer, SegmentCache};
    use crate::tree::{Device, Metadata, TreePath};
    use crate::workbench::Workbench;

    fn path(text: &str) -> TreePath {
        TreePath::parse(text).unwrap()
    }

    fn tree() -> Tree {
        let at = |mode, seconds| {
            let mut metadata = Metadata::new(mode, 1, 2, Time { seconds, nanos: 5 });
            metadata.xattrs = Arc::new([(b"user.\xff".to_vec(), b"\0\n".to_vec())].into());
            metadata
        };
        let mut tree = Tree::new(at(0o700, 1), 77);
        let directory = || Node::Directory(Directory::default());
        let file = Node::File(Content::inline(&b"bytes"[..]));
        for (name, node) in [
            ("/d", directory()),
            ("/d/e", directory()),
            ("/d/file", file),
            ("/d/\\xff\\x0a", Node::Symlink(Arc::from(&b"\xfe"[..]))),
            ("/null", Node::CharDevice(Device { major: 1, minor: 3 })),
            ("/loop", Node::BlockDevice(Device { major: 7, minor: 0 })),
            ("/pipe", Node::Fifo),
        ] {
            tree.make(&path(name), node, at(0o4755, 9)).unwrap();
        }
        tree.link(&path("/link"), &path("/d/file")).unwrap();
        tree.link(&path("/d/e/link"), &path("/d/file")).unwrap();
        tree.whiteout(&path("/d/gone")).unwrap();
        tree.set_opaque(&path("/d/e"), true).unwrap();
        tree.set_opaque(&path("/"), true).unwrap();
        tree
    }

    #[test]
    fn the_imported_layer_has_the_trees_bytes() {
        let tree = tree();
        let mut workbench = Workbench::new();
        let create = Action::CreateImage {
            image: 1,
            name: "x".to_owned(),
        };
        let (time, caller) = (Time::at(0), Caller::ROOT);
        workbench
            .apply(Operation {
                time,
                caller,
                action: create,
            })
            .unwrap();
        let operation = import_tree(1, 2, "layer", &tree, |_| unreachable!("all is inline"));
        workbench.apply(operation).unwrap();
        let diff_id = |layer: &Layer| {
            let job = BlobJob::new(layer, Compression::None, None);
            job.run(&mut SegmentCache::in_memory()).unwrap().diff_id
        };
        let imported = &workbench.state().layer(2).unwrap().layer;
        assert_eq!(diff_id(imported), diff_id(&Layer::from_tree(tree)));
        assert!(workbench.undo());
        assert!(workbench.state().layer(2).is_err(), "it is one step of undo");
    }
}
