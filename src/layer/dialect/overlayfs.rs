//! What the kernel shows of lower layers under an empty upper one: lookup and readdir of overlayfs, with the
//! options that containerd mounts it with (no index, no metacopy; Linux 6.18).

use super::fs::{ByBytes, Fs, Inode, Kind, Number};
use super::rule::{Notes, Rule};
use super::xattr;

/// An inode of one of the layers.
type Source = (usize, Number);

/// The merged view of `layers`, bottom first.
pub(super) fn merge(layers: &[Fs], notes: &mut Notes) -> Fs {
    let mut merge = Merge {
        layers,
        shown: Fs::new(false),
        numbers: layers.iter().map(|fs| vec![None; fs.len()]).collect(),
    };
    let roots = layers.iter().enumerate().rev();
    let roots: Vec<Source> = roots
        .filter_map(|(layer, fs)| Some((layer, fs.root()?)))
        .collect();
    let opaque = roots.iter().any(|&root| is_opaque(merge.inode(root)));
    if opaque {
        notes.add(Rule::OverlayfsRootOpaqueIgnored);
    }
    let mut pending = vec![(merge.shown.root().expect("new"), roots, true)];
    while let Some((number, sources, is_merged)) = pending.pop() {
        let names: ByBytes = sources
            .iter()
            .flat_map(|&(layer, directory)| layers[layer].names(directory))
            .map(|(name, number)| (name.to_vec(), number))
            .collect();
        for name in names.keys() {
            let found = merge.lookup(&sources, name);
            match merge.show(number, name, &found) {
                Some(directory) => {
                    let is_merged = found.len() > 1;
                    pending.push((directory, found, is_merged));
                }
                // A directory of one layer is read as it is, whiteouts included.
                None if found.is_empty() && !is_merged => {
                    notes.add(Rule::OverlayfsGhost);
                    let ghost = merge.shown.add_ghost();
                    merge.shown.put(number, name, ghost);
                }
                None => {}
            }
        }
    }
    merge.shown
}

struct Merge<'a> {
    layers: &'a [Fs],
    shown: Fs,
    /// What shows for inodes that are no directories: they may have several names.
    numbers: Vec<Vec<Option<Number>>>,
}

impl<'a> Merge<'a> {
    fn inode(&self, (layer, number): Source) -> &'a Inode {
        self.layers[layer].inode(number)
    }

    /// What a name means in a directory that is merged from `sources`, top first: the directories that merge,
    /// or one other thing, or nothing.
    fn lookup(&self, sources: &[Source], name: &[u8]) -> Vec<Source> {
        let mut found = Vec::new();
        for &(layer, directory) in sources {
            let Some(number) = self.layers[layer].child_of(directory, name) else {
                continue;
            };
            let source = (layer, number);
            let inode = self.inode(source);
            if is_whiteout(inode) {
                break;
            }
            if !inode.is_directory() {
                if found.is_empty() {
                    found.push(source);
                }
                break;
            }
            found.push(source);
            if is_opaque(inode) {
                break;
            }
        }
        found
    }

    /// Gives a name what was found for it; its number, if that is a directory.
    fn show(&mut self, parent: Number, name: &[u8], found: &[Source]) -> Option<Number> {
        let &top = found.first()?;
        let inode = self.inode(top);
        let number = match self.numbers[top.0][top.1 as usize] {
            Some(number) => number,
            None => {
                let number = self.shown.adopt(inode);
                let hidden = |name: &[u8]| name.starts_with(xattr::OVERLAY_PREFIX);
                self.shown
                    .inode_mut(number)
                    .xattrs
                    .retain(|name, _| !hidden(name));
                if !inode.is_directory() {
                    self.numbers[top.0][top.1 as usize] = Some(number);
                }
                number
            }
        };
        self.shown.put(parent, name, number);
        inode.is_directory().then_some(number)
    }
}

fn is_whiteout(inode: &Inode) -> bool {
    matches!(inode.kind, Kind::CharDevice(0, 0))
}

fn is_opaque(inode: &Inode) -> bool {
    inode.xattrs.get(xattr::OPAQUE).is_some_and(|value| value == b"y")
}
