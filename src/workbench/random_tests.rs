//! Random sessions against a naive model: what an operation leaves, what undo and redo bring back, the blobs that
//! grow from one another against blobs from scratch, and the recipe of it all.

use std::sync::Arc;

use super::model::{Model, What, set_xattr};
use super::tests::bytes;
use super::*;
use crate::digest::Digest;
use crate::layer::{BlobJob, Compression};
use crate::random::Random;
use crate::tree::{Metadata, Time, TreePath};

const CALLER: Caller = Caller {
    uid: 7,
    gid: 8,
    umask: 0o027,
};
const SOURCE: SourceId = 5;

/// A session, and what it should be.
struct Pair {
    random: Random,
    workbench: Workbench,
    /// The layers, bottom first.
    layers: Vec<Model>,
    undo: Vec<Vec<Model>>,
    redo: Vec<Vec<Model>>,
    /// What the source has: enough for several segments.
    large: Vec<u8>,
    focus: usize,
    next_layer: u32,
    refused: usize,
}

impl Pair {
    fn new(mut random: Random) -> Self {
        let large: Vec<u8> = (0..(5 << 20) / 8)
            .flat_map(|_| random.next().to_le_bytes())
            .collect();
        // Half of it compresses, so that segments differ in size.
        let large: Vec<u8> = large
            .iter()
            .enumerate()
            .map(|(n, byte)| if n >> 20 & 1 == 0 { *byte } else { b'x' })
            .collect();
        let mut workbench = Workbench::new();
        workbench.open_source(SOURCE, source(&large)).unwrap();
        let create = Action::CreateImage {
            image: 1,
            name: "random".into(),
        };
        workbench.apply(operation(Time::at(0), create)).unwrap();
        Self {
            random,
            workbench,
            layers: Vec::new(),
            undo: vec![Vec::new()],
            redo: Vec::new(),
            large,
            focus: 0,
            next_layer: 1,
            refused: 0,
        }
    }

    fn path(&mut self) -> TreePath {
        let names = ["a", "b", "a.b", "\\xff", "d"];
        let depth = 1 + self.random.below(3);
        let text: String = (0..depth)
            .map(|_| format!("/{}", self.random.pick(&names)))
            .collect();
        let random = TreePath::parse(&text).unwrap();
        // Mostly what is there, or what could be: the rest is refused.
        let Some(model) = self.layers.get(self.focus) else {
            return random;
        };
        let at = 1.max(self.random.below(model.names.len())) % model.names.len();
        let there = model.names.keys().nth(at).unwrap();
        match self.random.below(6) {
            0 => random,
            1..=4 if model.is_directory(there) => there.join(random.names()[0].clone()),
            _ => there.clone(),
        }
    }

    /// A place where nothing is, mostly.
    fn place(&mut self) -> TreePath {
        let (path, other) = (self.path(), self.path());
        let taken = |pair: &Self| {
            pair.layers
                .get(pair.focus)
                .is_some_and(|model| model.names.contains_key(&path))
        };
        if taken(self) { other } else { path }
    }

    /// Mostly a layer that is there; paths are then mostly of it.
    fn layer(&mut self) -> u32 {
        if self.layers.is_empty() || self.random.once_in(60) {
            return 999;
        }
        self.focus = self.random.below(self.layers.len());
        self.layers[self.focus].id
    }

    fn content(&mut self) -> (ContentRef, Vec<u8>) {
        if self.random.once_in(12) {
            let (from, length) = (self.random.below(1 << 21), self.random.below(3 << 20));
            let reference = ContentRef::Source {
                source: SOURCE,
                offset: from as u64,
                length: length as u64,
            };
            return (reference, self.large[from..from + length].to_vec());
        }
        let text = "text ".repeat(self.random.below(300));
        (ContentRef::Text { text: text.clone() }, text.into_bytes())
    }

    fn time(&mut self) -> Time {
        let nanos = if self.random.once_in(30) { 5 } else { 0 };
        Time {
            seconds: self.random.below(1000) as i64,
            nanos,
        }
    }

    /// A random operation on both; they must agree on whether it can be done.
    fn operate(&mut self) {
        let time = self.time();
        let mut after = self.layers.clone();
        let many = if self.random.once_in(8) {
            1 + self.random.below(3)
        } else {
            0
        };
        let (action, done) = match many {
            0 => self.action(&mut after, time),
            many => {
                let mut all = Some(());
                let actions = (0..many).map(|_| {
                    let (action, done) = self.action(&mut after, time);
                    all = all.and(done);
                    action
                });
                let actions = actions.collect();
                (
                    Action::Group {
                        label: "group".into(),
                        actions,
                    },
                    all,
                )
            }
        };
        let result = self.workbench.apply(operation(time, action.clone()));
        assert_eq!(result.is_ok(), done.is_some(), "{action:?}: {result:?}");
        if result.is_ok() {
            self.undo.push(std::mem::replace(&mut self.layers, after));
            self.redo.clear();
        } else {
            self.refused += 1;
        }
    }

    fn action(&mut self, layers: &mut Vec<Model>, time: Time) -> (Action, Option<()>) {
        match self.random.below(40) {
            _ if layers.is_empty() => self.add_layer(layers, time),
            0 => self.add_layer(layers, time),
            1 => self.change_stack(layers),
            2..=18 => self.make(layers, time),
            19..=23 => self.transfer(layers),
            24..=29 => self.mark(layers, time),
            _ => self.edit(layers, time),
        }
    }

    fn add_layer(&mut self, layers: &mut Vec<Model>, time: Time) -> (Action, Option<()>) {
        // Ids come again after an undo, with other content.
        let layer = self.next_layer;
        self.next_layer += u32::from(!self.random.once_in(3));
        let position = self.random.below(layers.len() + 1);
        let free = layers.iter().all(|model| model.id != layer);
        layers.insert(position, Model::new(layer, time));
        let action = Action::AddLayer {
            image: 1,
            layer,
            name: format!("layer {layer}"),
            position: Some(position),
        };
        (action, free.then_some(()))
    }

    fn change_stack(&mut self, layers: &mut Vec<Model>) -> (Action, Option<()>) {
        let layer = self.layer();
        let at = layers.iter().position(|model| model.id == layer);
        match self.random.below(4) {
            0 => {
                let done = at.map(|at| drop(layers.remove(at)));
                (Action::RemoveLayer { layer }, done)
            }
            1 => {
                let position = self.random.below(layers.len() + 1);
                let done = at.filter(|_| position < layers.len()).map(|at| {
                    let moved = layers.remove(at);
                    layers.insert(position, moved);
                });
                (Action::MoveLayer { layer, position }, done)
            }
            2 => {
                let copy = self.next_layer;
                self.next_layer += 1;
                let free = layers.iter().all(|model| model.id != copy);
                let done = at.filter(|_| free).map(|at| {
                    let duplicate = Model {
                        id: copy,
                        ..layers[at].clone()
                    };
                    layers.insert(at + 1, duplicate);
                });
                let name = "duplicate".into();
                (Action::DuplicateLayer { layer, copy, name }, done)
            }
            _ => {
                let compression = self.random.pick(&[Compression::None, Compression::Gz1]);
                (Action::SetCompression { layer, compression }, at.map(|_| ()))
            }
        }
    }

    fn make(&mut self, layers: &mut [Model], time: Time) -> (Action, Option<()>) {
        let (layer, path, target) = (self.layer(), self.place(), self.path());
        let (parents, replace) = (self.random.once_in(2), self.random.once_in(4));
        let directory = Metadata::new(0o750, 7, 8, time);
        let (entry, what) = match self.random.below(10) {
            0..=3 => (NewEntry::Directory, Some(What::Directory)),
            4 => (
                NewEntry::HardLink {
                    target: target.to_string(),
                },
                None,
            ),
            5 => (
                NewEntry::Symlink { target: "to".into() },
                Some(What::Symlink(b"to".to_vec())),
            ),
            6 => (NewEntry::Fifo, Some(What::Fifo)),
            7 => (
                NewEntry::CharDevice { major: 1, minor: 3 },
                Some(What::Device(1, 3)),
            ),
            _ => {
                let (content, bytes) = self.content();
                (NewEntry::File { content }, Some(What::File(bytes)))
            }
        };
        let mode = match what {
            Some(What::Directory) => 0o750,
            Some(What::Symlink(_)) => 0o777,
            _ => 0o640,
        };
        let at = layers.iter().position(|model| model.id == layer);
        let done = at.and_then(|at| {
            let (below, above) = layers.split_at_mut(at);
            let model = &mut above[0];
            if parents {
                model.parents(&path, below, &directory)?;
            }
            if replace && model.names.contains_key(&path) && !(what.is_none() && target == path) {
                model.delete(&path)?;
            }
            match what {
                Some(what) => model.make(&path, what, Metadata { mode, ..directory }),
                None => model.link(&path, &target),
            }
        });
        let attributes = Attributes::default();
        let path = path.to_string();
        (
            Action::Make {
                layer,
                path,
                entry,
                attributes,
                parents,
                replace,
            },
            done,
        )
    }

    fn transfer(&mut self, layers: &mut [Model]) -> (Action, Option<()>) {
        let (from, origin) = (self.layer(), self.path());
        let (to, path) = (self.layer(), self.place());
        let is_move = self.random.once_in(2);
        let find = |id| layers.iter().position(|model| model.id == id);
        let done = find(from).zip(find(to)).and_then(|(from, to)| {
            if is_move && from == to {
                return layers[to].rename(&origin, &path);
            }
            let source = layers[from].clone();
            layers[to].copy(&source, &origin, &path)?;
            match is_move {
                true => layers[from].delete(&origin),
                false => Some(()),
            }
        });
        let place = |layer, path: TreePath| Place {
            layer,
            path: path.to_string(),
        };
        let (from, to) = (place(from, origin), place(to, path));
        match is_move {
            true => (Action::Move { from, to }, done),
            false => (Action::Copy { from, to }, done),
        }
    }

    fn mark(&mut self, layers: &mut [Model], time: Time) -> (Action, Option<()>) {
        let (layer, path, flag) = (self.layer(), self.path(), self.random.once_in(2));
        let at = layers.iter().position(|model| model.id == layer);
        let text = path.to_string();
        let kind = self.random.below(3);
        let done = at.and_then(|at| {
            let (below, above) = layers.split_at_mut(at);
            let model = &mut above[0];
            match kind {
                0 => {
                    if flag {
                        model.parents(&path, below, &Metadata::new(0o750, 7, 8, time))?;
                    }
                    model.whiteout(&path)
                }
                1 => model.whiteouts.remove(&path).then_some(()),
                _ => model.set_opaque(&path, flag),
            }
        });
        let action = match kind {
            0 => Action::Whiteout {
                layer,
                path: text,
                parents: flag,
            },
            1 => Action::ClearWhiteout { layer, path: text },
            _ => Action::SetOpaque {
                layer,
                path: text,
                opaque: flag,
                parents: false,
            },
        };
        (action, done)
    }

    fn edit(&mut self, layers: &mut [Model], time: Time) -> (Action, Option<()>) {
        let (layer, path) = (self.layer(), self.path());
        let text = path.to_string();
        let model = layers.iter_mut().find(|model| model.id == layer);
        match self.random.below(5) {
            0 => {
                let done = model.and_then(|model| model.delete(&path));
                (Action::Delete { layer, path: text }, done)
            }
            1 => {
                let attributes = Attributes {
                    mode: Some(0o4755),
                    mtime: Some(time),
                    ..Attributes::default()
                };
                let done = model.and_then(|model| model.inode(&path)).map(|(_, metadata)| {
                    (metadata.mode, metadata.mtime) = (0o4755, time);
                });
                (
                    Action::SetAttributes {
                        layer,
                        path: text,
                        attributes,
                    },
                    done,
                )
            }
            2 => {
                let value = self.random.once_in(2).then(|| "v\\x00".to_owned());
                let done = model.and_then(|model| model.inode(&path)).map(|(_, metadata)| {
                    set_xattr(metadata, b"user.x", value.as_ref().map(|_| &b"v\0"[..]));
                });
                (
                    Action::SetXattr {
                        layer,
                        path: text,
                        name: "user.x".into(),
                        value,
                    },
                    done,
                )
            }
            _ => self.rewrite(layers, layer, path, time),
        }
    }

    /// New bytes for a file, or a new target for a symlink.
    fn rewrite(
        &mut self,
        layers: &mut [Model],
        layer: u32,
        path: TreePath,
        time: Time,
    ) -> (Action, Option<()>) {
        let model = layers.iter_mut().find(|model| model.id == layer);
        let inode = model.and_then(|model| model.inode(&path));
        let path = path.to_string();
        if self.random.once_in(2) {
            let done = match inode {
                Some((What::Symlink(target), metadata)) => {
                    (*target, metadata.mtime) = (b"else".to_vec(), time);
                    Some(())
                }
                _ => None,
            };
            let target = "else".into();
            return (Action::SetTarget { layer, path, target }, done);
        }
        let (content, bytes) = self.content();
        let done = match inode {
            Some((What::File(old), metadata)) => {
                (*old, metadata.mtime) = (bytes, time);
                Some(())
            }
            _ => None,
        };
        (Action::Write { layer, path, content }, done)
    }

    fn undo(&mut self) {
        assert_eq!(self.workbench.undo(), !self.undo.is_empty());
        if let Some(before) = self.undo.pop() {
            self.redo.push(std::mem::replace(&mut self.layers, before));
        }
    }

    fn redo(&mut self) {
        assert_eq!(self.workbench.redo(), !self.redo.is_empty());
        if let Some(after) = self.redo.pop() {
            self.undo.push(std::mem::replace(&mut self.layers, after));
        }
    }

    fn compare(&self, at: &str) {
        let state = self.workbench.state();
        let ids: Vec<u32> = state.layers().map(|layer| layer.id).collect();
        let expected: Vec<u32> = self.layers.iter().map(|model| model.id).collect();
        assert_eq!(ids, expected, "{at}");
        for (layer, model) in state.layers().zip(&self.layers) {
            model.compare(layer.layer.tree(), &format!("{at}, layer {}", layer.id));
        }
    }

    /// The blobs that followed the edits are those of trees without a history.
    fn compare_blobs(&mut self, at: &str) {
        let budget = 1 << (12 + self.random.below(12));
        while self.workbench.step(budget) {}
        for model in &self.layers {
            let state = self.workbench.state().layer(model.id).unwrap();
            let BlobState::Known(blob) = self.workbench.blob_state(model.id) else {
                panic!("{at}: layer {} is not known", model.id);
            };
            let fresh = BlobJob::new(&Layer::from_tree(model.tree()), state.compression, None);
            let fresh = fresh.run(&mut SegmentCache::in_memory()).unwrap();
            let facts = |blob: &Blob| (blob.diff_id, blob.digest, blob.diff_size, blob.size);
            assert_eq!(facts(blob), facts(&fresh), "{at}, layer {}", model.id);
            let export = |what| Digest::of(&bytes(self.workbench.export(&what).unwrap()));
            assert_eq!(export(Export::LayerTar { layer: model.id }), blob.diff_id, "{at}");
            assert_eq!(export(Export::LayerBlob { layer: model.id }), blob.digest, "{at}");
        }
    }

    fn compare_recipe(&self, at: &str) {
        let archive = |workbench: &Workbench| {
            Digest::of(&bytes(workbench.export(&Export::Image { image: 1 }).unwrap()))
        };
        let recipe = bytes(self.workbench.export(&Export::Recipe).unwrap());
        let mut replayed = Workbench::new();
        replayed.open_source(1, source(&recipe)).unwrap();
        for operation in replayed.load_recipe(1).unwrap() {
            replayed.apply(operation).unwrap();
        }
        while replayed.step(1 << 20) {}
        assert_eq!(archive(&replayed), archive(&self.workbench), "{at}");
        let again = bytes(replayed.export(&Export::Recipe).unwrap());
        assert!(
            again == recipe,
            "{at}: the recipe of what a recipe made is that recipe"
        );
    }
}

fn operation(time: Time, action: Action) -> Operation {
    Operation {
        time,
        caller: CALLER,
        action,
    }
}

fn source(bytes: &[u8]) -> Arc<dyn Source> {
    let scratch = MemorySpace.create().unwrap();
    scratch.append(bytes).unwrap();
    scratch
}

#[test]
fn random_sessions_are_what_a_naive_model_says() {
    let mut random = Random::of_run();
    let (mut refused, mut names) = (0, 0);
    for session in 0..10 {
        let mut pair = Pair::new(random);
        for step in 0..150 {
            match pair.random.below(20) {
                0 | 1 if pair.undo.len() > 1 => pair.undo(),
                2 => pair.redo(),
                _ => pair.operate(),
            }
            let at = format!("session {session}, step {step}");
            pair.compare(&at);
            // Work that is begun and dropped by the next edit.
            if pair.random.once_in(4) {
                pair.workbench.step(pair.random.next() % (1 << 20));
            }
            if pair.random.once_in(15) {
                pair.compare_blobs(&at);
            }
        }
        let at = format!("session {session}");
        while pair.undo.len() > 1 && !pair.random.once_in(4) {
            pair.undo();
        }
        pair.compare(&at);
        pair.compare_blobs(&at);
        pair.compare_recipe(&at);
        refused += pair.refused;
        names += pair.layers.iter().map(|model| model.names.len()).sum::<usize>();
        random = pair.random;
    }
    println!("{names} names, {refused} refused");
    assert!(names > 100 && refused > 100, "{names} names, {refused} refused");
}
