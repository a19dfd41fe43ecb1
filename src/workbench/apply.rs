//! What each action does to a state. Works on a clone that is dropped when anything fails.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::LEAN;
use crate::content::{Content, ScratchSpace};
use crate::image::catalog::Catalog;
use crate::image::{Reference, Settings};
use crate::layer::{Compression, Layer, Origin};
use crate::overlay::Stack;
use crate::text::{escape, unescape};
use crate::tree::{Device, Directory, Ino, Metadata, Name, Node, Time, Tree, TreePath};

use super::error::WorkbenchError;
use super::lean::whole;
use super::machine::Importable;
use super::machine_prompt::AtHand;
use super::opened::Arrival;
use super::operation::{
    Action, ArchiveFiles, ArchiveId, Attributes, Caller, ContentRef, ImageId, LayerId, NewEntry, Place,
};
use super::state::{ArchiveState, ImageState, LayerState, State};

/// How deep groups may be nested.
const NESTING_LIMIT: usize = 16;

/// What applying needs from outside the state.
pub(super) trait Contents {
    /// The bytes that a reference stands for.
    fn content(&self, content: &ContentRef) -> Result<Content>;
    /// A layer read from a tar, plain or packed.
    fn read_layer(&self, tar: &Content) -> Result<Layer>;
    /// Reads a blob to its end, if it has not been read.
    fn read(&self, origin: &Arc<Origin>) -> Result<()>;
    /// What is in an archive.
    fn open(&self, from: &ArchiveFiles) -> Result<Arc<Catalog>>;
    /// An image as an archive to be imported.
    fn importable(&self, image: &ImageState) -> Result<Importable>;
    /// The archives of the session by their names.
    fn at_hand(&self) -> BTreeMap<String, AtHand>;
    /// Where layers are unpacked to.
    fn scratches(&self) -> Arc<dyn ScratchSpace>;
}

/// Applies actions to a state, for one time and one caller.
pub(super) struct Applier<'a> {
    pub(super) state: &'a mut State,
    pub(super) contents: &'a dyn Contents,
    pub(super) time: Time,
    pub(super) caller: Caller,
}

pub(super) type Result<T> = std::result::Result<T, WorkbenchError>;

impl Applier<'_> {
    /// Does one action, or fails; the state may then be half changed and must be dropped.
    pub(super) fn apply(&mut self, action: &Action, depth: usize) -> Result<()> {
        match action {
            Action::Group { actions, .. } => {
                if depth == NESTING_LIMIT {
                    return Err(WorkbenchError::NestedTooDeep { limit: NESTING_LIMIT });
                }
                actions
                    .iter()
                    .try_for_each(|action| self.apply(action, depth + 1))
            }
            Action::CreateImage { image, name } => self.create_image(*image, name),
            Action::SetName { image, name } => {
                self.state.image_mut(*image)?.reference = Reference::parse(name)?;
                Ok(())
            }
            Action::SetConfig { image, set } => {
                Ok(self.state.image_mut(*image)?.settings.set(set.clone())?)
            }
            Action::AddLayer {
                image,
                layer,
                name,
                position,
            } => self.add_layer(*image, *layer, name, Layer::new(self.time), *position),
            Action::AddLayerTar {
                image,
                layer,
                name,
                content,
                position,
            } => {
                whole()?;
                let read = self.contents.read_layer(&self.contents.content(content)?)?;
                self.add_layer(*image, *layer, name, read, *position)
            }
            Action::DuplicateLayer { layer, copy, name } => self.duplicate_layer(*layer, *copy, name),
            Action::RemoveLayer { layer } => {
                let (image, position) = self.state.place_of(*layer)?;
                self.state.image_mut(image)?.layers.remove(position);
                Ok(())
            }
            Action::RenameLayer { layer, name } => {
                self.state.layer_mut(*layer)?.name = layer_name(name)?;
                Ok(())
            }
            Action::MoveLayer { layer, position } => self.move_layer(*layer, *position),
            Action::SetCompression { layer, compression } => {
                self.state.layer_mut(*layer)?.compression = *compression;
                Ok(())
            }
            Action::OpenArchive {
                archive,
                name,
                from,
                first_image,
                first_layer,
            } => self.open_archive(*archive, name, from, *first_image, *first_layer),
            Action::CloseArchive { archive } => {
                self.state.archive(*archive)?;
                self.state.archives.retain(|state| state.id != *archive);
                let is_of =
                    |image: &ImageState| image.opened().is_some_and(|opened| opened.archive == *archive);
                self.state.images.retain(|image| !is_of(image));
                Ok(())
            }
            Action::RemoveImage { image } => {
                self.state.image(*image)?;
                self.state.images.retain(|state| state.id != *image);
                Ok(())
            }
            Action::StartContainer {
                container,
                image,
                layer,
                options,
            } => self.start_container(*container, *image, *layer, options),
            Action::RunLine { container, line } => self.run_line(*container, line),
            Action::CallIn { container, call } => self.call_in(*container, call),
            Action::ImportImage { .. } if depth > 0 => {
                whole()?;
                Err(WorkbenchError::InGroup)
            }
            Action::ImportImage {
                image,
                name,
                platforms,
                unpack,
            } => self.import_image(*image, name.as_deref(), platforms.as_deref(), *unpack),
            Action::RunOnMachine { .. } if depth > 0 => {
                whole()?;
                Err(WorkbenchError::InGroup)
            }
            Action::RunOnMachine {
                line,
                container,
                layer,
            } => self.run_on_machine(line, *container, *layer),
            Action::RemoveImageOfMachine { name } => self.remove_image_of_machine(name),
            Action::CollectGarbage => self.collect_garbage(),
            Action::RemoveContainerOfMachine { id } => self.remove_container_of_machine(id),
            Action::DiscardContainer { container } => self.discard_container(*container),
            Action::CommitContainer {
                container,
                layer,
                name,
            } => self.commit_container(*container, *layer, name),
            Action::AddDifference {
                image,
                layer,
                name,
                before,
                after,
            } => self.add_difference(*image, *layer, name, *before, *after),
            Action::RemovePath { image, path } => self.remove_path(*image, path),
            Action::SquashLayers { bottom, top } => self.squash_layers(*bottom, *top),
            Action::SplitLayer {
                layer,
                new_layer,
                name,
                paths,
            } => self.split_layer(*layer, *new_layer, name, paths),
            Action::StripTimes { layer } => self.strip_times(*layer),
            Action::Normalise { layer } => self.normalise(*layer),
            Action::SetHistory {
                layer,
                created_by,
                comment,
            } => {
                let state = self.state.layer_mut(*layer)?;
                let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
                (state.created_by, state.comment) = (given(created_by), given(comment));
                Ok(())
            }
            action => self.edit(action),
        }
    }

    /// The actions on what is in a layer.
    fn edit(&mut self, action: &Action) -> Result<()> {
        match action {
            Action::Make {
                layer,
                path,
                entry,
                attributes,
                parents,
                replace,
            } => self.make(*layer, path, entry, attributes, *parents, *replace),
            Action::Write { layer, path, content } => {
                let (path, content, time) =
                    (TreePath::parse(path)?, self.contents.content(content)?, self.time);
                let tree = self.tree(*layer)?;
                tree.write(&path, content)?;
                Ok(tree.set_metadata(&path, |metadata| metadata.mtime = time)?)
            }
            Action::SetTarget { layer, path, target } => {
                let (path, target, time) = (TreePath::parse(path)?, unescape(target)?, self.time);
                let tree = self.tree(*layer)?;
                tree.set_target(&path, &target)?;
                Ok(tree.set_metadata(&path, |metadata| metadata.mtime = time)?)
            }
            Action::Delete { layer, path } => Ok(self.tree(*layer)?.delete(&TreePath::parse(path)?)?),
            Action::Move { from, to } => self.transfer(from, to, true),
            Action::Copy { from, to } => self.transfer(from, to, false),
            Action::SetAttributes {
                layer,
                path,
                attributes,
            } => {
                let path = TreePath::parse(path)?;
                let tree = self.tree(*layer)?;
                let mut metadata = tree.inode(tree.resolve(&path)?).metadata.clone();
                set_attributes(&mut metadata, attributes)?;
                Ok(tree.set_metadata(&path, |old| *old = metadata)?)
            }
            Action::SetXattr {
                layer,
                path,
                name,
                value,
            } => self.set_xattr(*layer, path, name, value.as_deref()),
            Action::Whiteout { layer, path, parents } => {
                let path = TreePath::parse(path)?;
                if *parents {
                    self.make_parents(*layer, &path)?;
                }
                Ok(self.tree(*layer)?.whiteout(&path)?)
            }
            Action::ClearWhiteout { layer, path } => {
                Ok(self.tree(*layer)?.clear_whiteout(&TreePath::parse(path)?)?)
            }
            Action::SetOpaque {
                layer,
                path,
                opaque,
                parents,
            } => {
                let path = TreePath::parse(path)?;
                if *parents {
                    self.make_directories(*layer, &path)?;
                }
                Ok(self.tree(*layer)?.set_opaque(&path, *opaque)?)
            }
            _ => unreachable!("`apply` does the others"),
        }
    }

    /// A layer's tree, to be edited.
    pub(super) fn tree(&mut self, layer: LayerId) -> Result<&mut Tree> {
        self.ensure_read(layer)?;
        Ok(self.state.layer_mut(layer)?.layer.edit()?)
    }

    /// Reads a layer and those below it, if they have not been read: what an edit does can depend on them.
    pub(super) fn ensure_read(&self, layer: LayerId) -> Result<()> {
        if LEAN {
            return Ok(());
        }
        let (image, position) = self.state.place_of(layer)?;
        let layers = &self.state.image(image)?.layers[..=position];
        let unread = layers.iter().filter(|layer| !layer.layer.is_read());
        let mut origins = unread.filter_map(|layer| layer.layer.origin());
        origins.try_for_each(|origin| self.contents.read(origin))
    }

    fn open_archive(
        &mut self,
        archive: ArchiveId,
        name: &str,
        from: &ArchiveFiles,
        first_image: ImageId,
        first_layer: LayerId,
    ) -> Result<()> {
        whole()?;
        if self.state.archive(archive).is_ok() {
            return Err(WorkbenchError::ArchiveTaken { archive });
        }
        let catalog = self.contents.open(from)?;
        let mut arrival = Arrival::new(archive, name, catalog.clone(), first_image, first_layer);
        let images = arrival.images();
        for image in &images {
            if self.state.has_image(image.id) {
                return Err(WorkbenchError::ImageTaken { image: image.id });
            }
            if let Some(layer) = image.layers.iter().find(|layer| self.state.has_layer(layer.id)) {
                return Err(WorkbenchError::LayerTaken { layer: layer.id });
            }
        }
        self.state.images.extend(images.into_iter().map(Arc::new));
        self.state.archives.push(Arc::new(ArchiveState {
            id: archive,
            name: name.to_owned(),
            catalog,
        }));
        Ok(())
    }

    fn set_xattr(&mut self, layer: LayerId, path: &str, name: &str, value: Option<&str>) -> Result<()> {
        let (path, name) = (TreePath::parse(path)?, unescape(name)?);
        let value = value.map(unescape).transpose()?;
        // One that came from elsewhere and should not be there can still be removed.
        value.iter().try_for_each(|value| check_xattr(&name, value))?;
        Ok(self.tree(layer)?.set_metadata(&path, |metadata| {
            let xattrs = Arc::make_mut(&mut metadata.xattrs);
            match value {
                Some(value) => xattrs.insert(name, value),
                None => xattrs.remove(&name),
            };
        })?)
    }

    fn create_image(&mut self, image: ImageId, name: &str) -> Result<()> {
        if self.state.has_image(image) {
            return Err(WorkbenchError::ImageTaken { image });
        }
        let reference = Reference::parse(name)?;
        let state = ImageState {
            id: image,
            reference,
            settings: Settings::default(),
            layers: Vec::new(),
            opened: None,
        };
        self.state.images.push(Arc::new(state));
        Ok(())
    }

    fn add_layer(
        &mut self,
        image: ImageId,
        id: LayerId,
        name: &str,
        layer: Layer,
        position: Option<usize>,
    ) -> Result<()> {
        let state = LayerState {
            id,
            name: layer_name(name)?,
            layer,
            compression: Compression::default(),
            created_by: None,
            comment: None,
            came: None,
            absorbed: Vec::new(),
        };
        self.insert_layer(image, state, position)
    }

    pub(super) fn insert_layer(
        &mut self,
        image: ImageId,
        layer: LayerState,
        position: Option<usize>,
    ) -> Result<()> {
        if self.state.has_layer(layer.id) {
            return Err(WorkbenchError::LayerTaken { layer: layer.id });
        }
        let layers = &mut self.state.image_mut(image)?.layers;
        let position = position.unwrap_or(layers.len());
        if position > layers.len() {
            return Err(WorkbenchError::Position {
                position,
                layers: layers.len(),
            });
        }
        layers.insert(position, Arc::new(layer));
        Ok(())
    }

    fn duplicate_layer(&mut self, layer: LayerId, copy: LayerId, name: &str) -> Result<()> {
        let (image, position) = self.state.place_of(layer)?;
        let original = LayerState::clone(self.state.layer(layer)?);
        let duplicate = LayerState {
            id: copy,
            name: layer_name(name)?,
            // Its line in the history is the original's.
            came: None,
            absorbed: Vec::new(),
            ..original
        };
        self.insert_layer(image, duplicate, Some(position + 1))
    }

    fn move_layer(&mut self, layer: LayerId, to: usize) -> Result<()> {
        let (image, from) = self.state.place_of(layer)?;
        let layers = &mut self.state.image_mut(image)?.layers;
        if to >= layers.len() {
            return Err(WorkbenchError::Position {
                position: to,
                layers: layers.len(),
            });
        }
        let moved = layers.remove(from);
        layers.insert(to, moved);
        Ok(())
    }

    /// Writes a layer canonically. Directories without an entry get one, with the attributes that they have in the
    /// merged view.
    fn normalise(&mut self, layer: LayerId) -> Result<()> {
        self.ensure_read(layer)?;
        let tree = self.state.layer(layer)?.layer.tree().clone();
        let mut implied = Vec::new();
        let mut pending = vec![(TreePath::ROOT, Ino::ROOT)];
        while let Some((path, ino)) = pending.pop() {
            let Some(directory) = tree.directory(ino) else {
                continue;
            };
            let entries = directory.entries().iter();
            pending.extend(entries.map(|(name, child)| (path.join(name.clone()), *child)));
            if directory.implied() {
                implied.push((path, ino));
            }
        }
        let (image, position) = self.state.place_of(layer)?;
        let image = self.state.image(image)?.clone();
        let below = &image.layers[..position];
        let stack = Stack::new(below.iter().map(|layer| layer.layer.tree()).collect());
        let tree = self.state.layer_mut(layer)?.layer.normalise()?;
        for (path, ino) in implied {
            let below = stack
                .lookup(&path)
                .filter(|inode| inode.node.as_directory().is_some());
            let shown = below.map(|inode| inode.metadata.clone());
            tree.set_metadata_of(ino, |metadata| {
                *metadata = shown.unwrap_or_else(|| metadata.clone())
            });
        }
        Ok(())
    }

    fn directory_metadata(&self) -> Metadata {
        Metadata::new(
            0o777 & !self.caller.umask,
            self.caller.uid,
            self.caller.gid,
            self.time,
        )
    }

    /// Makes the directories above `path` that the layer lacks. They get the attributes that the layers below
    /// show: an entry of a directory replaces those (layer.md, "Applying Changesets"), and who deletes a file
    /// from a sticky `/tmp` does not mean to change `/tmp`. What is nowhere below gets the caller's.
    pub(super) fn make_parents(&mut self, layer: LayerId, path: &TreePath) -> Result<()> {
        path.split_last()
            .map_or(Ok(()), |(parent, _)| self.make_directories(layer, &parent))
    }

    /// Makes a directory and those above it, as far as they are missing; see [`Self::make_parents`].
    fn make_directories(&mut self, layer: LayerId, path: &TreePath) -> Result<()> {
        self.ensure_read(layer)?;
        let (image, position) = self.state.place_of(layer)?;
        let below = &self.state.image(image)?.layers[..position];
        let stack = Stack::new(below.iter().map(|layer| layer.layer.tree()).collect());
        let made = self.directory_metadata();
        let mut spot = stack.root();
        let mut shown = Vec::new();
        for name in path.names() {
            spot = stack.child(&spot, name);
            let visible = spot.visible().map(|(at, ino)| stack.trees()[at].inode(ino));
            let directory = visible.filter(|inode| inode.node.as_directory().is_some());
            shown.push(directory.map_or_else(|| made.clone(), |inode| inode.metadata.clone()));
        }
        Ok(self
            .tree(layer)?
            .make_directories(path, |depth| shown[depth - 1].clone())?)
    }

    fn make(
        &mut self,
        layer: LayerId,
        path: &str,
        entry: &NewEntry,
        attributes: &Attributes,
        parents: bool,
        replace: bool,
    ) -> Result<()> {
        self.ensure_read(layer)?;
        let path = TreePath::parse(path)?;
        let parent = self.directory_metadata();
        let mode = match entry {
            NewEntry::Directory => parent.mode,
            NewEntry::Symlink { .. } => 0o777,
            _ => 0o666 & !self.caller.umask,
        };
        let mut metadata = Metadata {
            mode,
            ..parent.clone()
        };
        set_attributes(&mut metadata, attributes)?;
        let node = match entry {
            NewEntry::File { content } => Some(Node::File(self.contents.content(content)?)),
            NewEntry::Directory => Some(Node::Directory(Directory::default())),
            NewEntry::Symlink { target } => Some(Node::from(&unescape(target)?[..])),
            NewEntry::HardLink { .. } => None,
            NewEntry::Fifo => Some(Node::Fifo),
            &NewEntry::CharDevice { major, minor } => Some(Node::CharDevice(device(major, minor)?)),
            &NewEntry::BlockDevice { major, minor } => Some(Node::BlockDevice(Device { major, minor })),
        };
        let target = match entry {
            NewEntry::HardLink { target } => Some(TreePath::parse(target)?),
            _ => None,
        };
        if parents {
            self.make_parents(layer, &path)?;
        }
        let tree = self.tree(layer)?;
        if replace && tree.lookup(&path).is_some() && target.as_ref() != Some(&path) {
            tree.delete(&path)?;
        }
        match (node, target) {
            (Some(node), _) => tree.make(&path, node, metadata).map(|_| ())?,
            (None, Some(target)) => tree.link(&path, &target)?,
            (None, None) => unreachable!("an entry is a node or a further name"),
        }
        Ok(())
    }

    /// Copies an entry, and takes the original away if it is to be moved.
    fn transfer(&mut self, from: &Place, to: &Place, is_move: bool) -> Result<()> {
        let (source, target) = (TreePath::parse(&from.path)?, TreePath::parse(&to.path)?);
        if is_move && from.layer == to.layer {
            return Ok(self.tree(from.layer)?.rename(&source, &target)?);
        }
        self.ensure_read(from.layer)?;
        let origin = self.state.layer(from.layer)?.layer.tree().clone();
        self.tree(to.layer)?.copy(&origin, &source, &target)?;
        if is_move {
            self.tree(from.layer)?.delete(&source)?;
        }
        Ok(())
    }
}

/// A name for a layer. It is only shown, so it must be something that can be seen.
pub(super) fn layer_name(name: &str) -> Result<String> {
    let visible = !name.trim().is_empty() && !name.chars().any(char::is_control);
    match visible && name.chars().count() <= 100 {
        true => Ok(name.trim().to_owned()),
        false => Err(WorkbenchError::LayerName {
            name: escape(name.as_bytes()),
        }),
    }
}

/// A character device, but for 0:0: overlayfs reads that as a whiteout (kernel, overlayfs.rst, "whiteouts").
fn device(major: u32, minor: u32) -> Result<Device> {
    match (major, minor) {
        (0, 0) => Err(WorkbenchError::DeviceZero),
        _ => Ok(Device { major, minor }),
    }
}

fn set_attributes(metadata: &mut Metadata, attributes: &Attributes) -> Result<()> {
    let number = |what, value: i64| {
        u32::try_from(value).map_err(|_| WorkbenchError::Number {
            what,
            value,
            limit: u32::MAX,
        })
    };
    if let Some(value) = attributes.mode {
        let mode = u16::try_from(value).ok().filter(|mode| *mode <= 0o7777);
        metadata.mode = mode.ok_or(WorkbenchError::Mode { value })?;
    }
    if let Some(uid) = attributes.uid {
        metadata.uid = number("owner", uid)?;
    }
    if let Some(gid) = attributes.gid {
        metadata.gid = number("group", gid)?;
    }
    if let Some(mtime) = attributes.mtime {
        metadata.mtime = check_time(mtime)?;
    }
    Ok(())
}

/// A time whose nanoseconds are less than a second, and whose seconds are whole in JSON everywhere: JavaScript
/// rounds what is beyond 2^53, and a recipe that passed through a page would give another digest.
pub(super) fn check_time(time: Time) -> Result<Time> {
    const EXACT: i64 = 1 << 53;
    match time {
        Time { nanos, .. } if nanos > 999_999_999 => Err(WorkbenchError::Nanos { nanos }),
        Time { seconds, .. } if !(-EXACT < seconds && seconds < EXACT) => {
            Err(WorkbenchError::Seconds { seconds })
        }
        time => Ok(time),
    }
}

/// What Linux takes as a name and a value (xattr(7)), but for the marks that overlayfs keeps for itself.
fn check_xattr(name: &[u8], value: &[u8]) -> Result<()> {
    let error = |rule| {
        Err(WorkbenchError::XattrName {
            name: escape(name),
            rule,
        })
    };
    let spaces: [&[u8]; 4] = [b"user.", b"trusted.", b"security.", b"system."];
    if !spaces
        .iter()
        .any(|space| name.starts_with(space) && name.len() > space.len())
    {
        return error("it must begin with user., trusted., security. or system. and go on");
    }
    if name.len() > 255 || name.contains(&0) {
        return error("it can have at most 255 bytes, none of them zero");
    }
    if name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.") {
        return error("overlayfs keeps its own marks there; use a whiteout or an opaque directory");
    }
    match value.len() {
        0..=65536 => Ok(()),
        _ => Err(WorkbenchError::XattrValue {
            name: escape(name),
            rule: "it can have at most 65536 bytes",
        }),
    }
}

/// The last name of a path text, for labels.
pub(super) fn short(path: &str) -> String {
    match TreePath::parse(path) {
        Ok(path) => path.names().last().map_or("/".to_owned(), Name::to_string),
        Err(_) => path.to_owned(),
    }
}
