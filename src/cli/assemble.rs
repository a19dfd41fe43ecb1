//! From arguments to a session whose digests are known: each argument becomes an operation of the workbench.

use std::path::Path;
use std::sync::Arc;

use handroll::content::Source;
use handroll::image::created;
use handroll::image::{ConfigField, Reference};
use handroll::layer::Compression;
use handroll::native::{DiskOptions, FileSource, Owner, Times, read_dir};
use handroll::text::escape;
use handroll::tree::{Time, TreePath};
use handroll::workbench::{
    Action, ContentRef, ImageId, ImageState, LayerId, SourceId, Workbench, import_tree,
};

use super::Failure;
use super::args::{BuildArgs, Pin};
use super::layer_args::LayerArg;
use super::open::{ChoiceArgs, open, platform_of};
use super::session::{self, Ids};

/// A session with the image that was asked for.
pub struct Session {
    /// The session.
    pub workbench: Workbench,
    /// The image.
    pub image: ImageId,
    next_source: SourceId,
    /// What a person should know, about what was read.
    pub notes: Vec<String>,
}

/// What a step of assembling gives.
type Done<T = ()> = Result<T, Failure>;

/// Makes the image.
pub fn assemble(arguments: &BuildArgs, layers: &[LayerArg], epoch: Option<i64>) -> Done<Session> {
    let platform = arguments.platform.as_deref().map(platform_of).transpose()?;
    let disk = disk_options(arguments, epoch)?;
    let mut session = Session {
        workbench: session::workbench(),
        image: 0,
        next_source: 0,
        notes: Vec::new(),
    };
    let is_platform_known = session.start(arguments)?;
    for platform in platform.into_iter().filter(|_| !is_platform_known) {
        session.set(ConfigField::Platform(platform))?;
    }
    for field in arguments.config.fields(&session.image()?.settings)? {
        session.set(field)?;
    }
    session.date(arguments, epoch)?;
    for layer in layers {
        session.layer(layer, &disk)?;
    }
    session.compression(arguments.compression.as_deref())?;
    Ok(session)
}

fn disk_options(arguments: &BuildArgs, epoch: Option<i64>) -> Done<DiskOptions> {
    Ok(DiskOptions {
        owner: match arguments.owner()? {
            Pin::Keep => Owner::Keep,
            Pin::To((uid, gid)) => Owner::Pinned { uid, gid },
        },
        times: match (arguments.mtime(epoch)?, arguments.xattrs) {
            (Pin::Keep, true) => Times::Keep,
            (Pin::Keep, false) => Times::KeepSeconds,
            (Pin::To(seconds), _) => Times::Pinned(Time::at(seconds)),
        },
        xattrs: arguments.xattrs,
        destination: TreePath::ROOT,
    })
}

impl Session {
    fn apply(&mut self, action: Action) -> Done {
        // Nothing that is made this way has a time or an owner of its own: layers bring theirs.
        session::apply(&mut self.workbench, Time::at(0), action)
    }

    fn open(&mut self, source: Arc<dyn Source>) -> SourceId {
        let id = self.next_source;
        self.next_source += 1;
        self.workbench
            .open_source(id, source)
            .expect("ids are counted up");
        id
    }

    fn image(&self) -> Done<&ImageState> {
        let image = self.workbench.state().image(self.image);
        image.map(Arc::as_ref).map_err(Failure::work)
    }

    /// What the image begins with: nothing but a name, another image, or what a recipe makes. Whether that was
    /// chosen by its platform.
    fn start(&mut self, arguments: &BuildArgs) -> Done<bool> {
        let name = arguments.name.clone();
        if let Some(from) = &arguments.from {
            let is_chosen = self.open_base(from, arguments)?;
            let image = self.image;
            let rename = name.map(|name| Action::SetName { image, name });
            return rename
                .into_iter()
                .try_for_each(|rename| self.apply(rename))
                .map(|()| is_chosen);
        }
        match &arguments.recipe {
            Some(recipe) => self.start_with_recipe(recipe, arguments)?,
            None => self.apply(Action::CreateImage {
                image: 0,
                name: name.unwrap_or_default(),
            })?,
        }
        Ok(false)
    }

    /// Opens the image that is begun with. Whether it was chosen by its platform.
    fn open_base(&mut self, from: &Path, arguments: &BuildArgs) -> Done<bool> {
        let catalog = open(from)?;
        let has_several = catalog.images.len() > 1;
        let choice = ChoiceArgs {
            image: arguments.image.clone(),
            platform: arguments.platform.clone().filter(|_| has_several),
        };
        let number = choice.one(&catalog)?;
        session::admit(
            &mut self.workbench,
            catalog,
            from.display().to_string(),
            Ids::DEFAULT,
        )?;
        let first = Ids::DEFAULT.image;
        self.image = first + number as ImageId;
        let count = self.workbench.state().images.len() as ImageId;
        let others = (first..first + count).filter(|image| *image != first + number as ImageId);
        others
            .into_iter()
            .try_for_each(|image| self.apply(Action::RemoveImage { image }))?;
        Ok(has_several && arguments.platform.is_some())
    }

    fn start_with_recipe(&mut self, recipe: &Path, arguments: &BuildArgs) -> Done {
        self.recipe(recipe)?;
        let images: Vec<_> = self
            .workbench
            .state()
            .images
            .iter()
            .map(|i| (i.id, i.reference.clone()))
            .collect();
        let wanted = arguments
            .name
            .as_deref()
            .map(Reference::parse)
            .transpose()
            .map_err(Failure::work)?;
        match (&images[..], &wanted) {
            ([], _) => Err(Failure::Work(format!(
                "{}: the recipe makes no image",
                recipe.display()
            ))),
            ([(image, _)], None) => {
                self.image = *image;
                Ok(())
            }
            ([(image, _)], Some(_)) => {
                self.image = *image;
                let (image, name) = (*image, arguments.name.clone().unwrap_or_default());
                self.apply(Action::SetName { image, name })
            }
            (many, wanted) => {
                let canonical = wanted.as_ref().map(Reference::canonical);
                let found = many.iter().find(|(_, name)| Some(name.canonical()) == canonical);
                let names: Vec<_> = many.iter().map(|(_, name)| name.canonical()).collect();
                let choose = || {
                    Failure::Usage(format!(
                        "the recipe makes several images: --name one of {}",
                        names.join(", ")
                    ))
                };
                self.image = found.ok_or_else(choose)?.0;
                Ok(())
            }
        }
    }

    fn recipe(&mut self, path: &Path) -> Done {
        let fail = |error: &dyn std::fmt::Display| Failure::Work(format!("{}: {error}", path.display()));
        let source = FileSource::open(path).map_err(|error| fail(&error))?;
        let id = self.open(Arc::new(source));
        let operations = self.workbench.load_recipe(id).map_err(|error| fail(&error))?;
        for (index, operation) in operations.into_iter().enumerate() {
            let applied = self.workbench.apply(operation);
            applied.map_err(|error| fail(&format_args!("operation {index}: {error}")))?;
        }
        Ok(())
    }

    fn set(&mut self, set: ConfigField) -> Done {
        self.apply(Action::SetConfig {
            image: self.image,
            set,
        })
    }

    /// SOURCE_DATE_EPOCH is when the image was made, if nothing else says so. What --from says is about another
    /// image.
    fn date(&mut self, arguments: &BuildArgs, epoch: Option<i64>) -> Done {
        let is_said = match arguments.from {
            Some(_) => arguments.config.created.is_some(),
            None => self.image()?.settings.created.is_some(),
        };
        match epoch.and_then(created::from_seconds) {
            Some(created) if !is_said => self.set(ConfigField::Created(Some(created))),
            _ => Ok(()),
        }
    }

    fn layer(&mut self, argument: &LayerArg, disk: &DiskOptions) -> Done {
        let shown = argument.source.display();
        let fail = |failure: Failure| match failure {
            Failure::Work(message) => Failure::Work(format!("{shown}: {message}")),
            usage => usage,
        };
        let used = self.workbench.state().layers().map(|layer| layer.id + 1).max();
        let layer = used.unwrap_or(0);
        let name = layer_name(&argument.source);
        if argument.source.is_dir() {
            self.directory(argument, disk, layer, &name).map_err(fail)?;
        } else {
            self.tar(&argument.source, layer, name).map_err(fail)?;
        }
        let whiteout = |path: &Vec<u8>| Action::Whiteout {
            layer,
            path: escape(path),
            parents: true,
        };
        let opaque = |path: &Vec<u8>| Action::SetOpaque {
            layer,
            path: escape(path),
            opaque: true,
            parents: true,
        };
        let marks = argument
            .whiteouts
            .iter()
            .map(whiteout)
            .chain(argument.opaques.iter().map(opaque));
        marks
            .into_iter()
            .try_for_each(|mark| self.apply(mark))
            .map_err(fail)?;
        let (created_by, comment) = (argument.created_by.clone(), argument.comment.clone());
        if created_by.is_some() || comment.is_some() {
            self.apply(Action::SetHistory {
                layer,
                created_by,
                comment,
            })?;
        }
        Ok(())
    }

    fn directory(&mut self, argument: &LayerArg, disk: &DiskOptions, layer: LayerId, name: &str) -> Done {
        let destination = TreePath::from_bytes(&argument.destination).map_err(Failure::work)?;
        let disk = DiskOptions {
            destination,
            ..disk.clone()
        };
        let read = read_dir(&argument.source, &disk).map_err(Failure::work)?;
        let shown = argument.source.display();
        self.notes
            .extend(read.notes.iter().map(|note| format!("{shown}: {note}")));
        let operation = import_tree(self.image, layer, name, &read.tree, |source| self.open(source));
        self.workbench.apply(operation).map_err(Failure::work)
    }

    /// A layer from a tar, which keeps its bytes until it is edited: the notes tell how it was understood.
    fn tar(&mut self, path: &Path, layer: LayerId, name: String) -> Done {
        let file = FileSource::open(path).map_err(Failure::work)?;
        let length = file.len();
        let source = self.open(Arc::new(file));
        self.apply(Action::AddLayerTar {
            image: self.image,
            layer,
            name,
            content: ContentRef::Source {
                source,
                offset: 0,
                length,
            },
            position: None,
        })?;
        let added = self.workbench.state().layer(layer).map_err(Failure::work)?;
        let shown = path.display();
        self.notes
            .extend(added.notes().iter().map(|note| format!("{shown}: {}", note.text)));
        Ok(())
    }

    /// How the layers that were made here are stored.
    fn compression(&mut self, asked: Option<&str>) -> Done {
        let compression = match asked {
            None => return Ok(()),
            Some("none") => Compression::None,
            Some(_) => Compression::Gz1,
        };
        let layers = self.image()?.layers.iter().filter(|layer| layer.came.is_none());
        let layers: Vec<_> = layers.map(|layer| layer.id).collect();
        let set = |layer| Action::SetCompression { layer, compression };
        layers.into_iter().try_for_each(|layer| self.apply(set(layer)))
    }
}

/// What people call a layer: the last name of its path. No digest knows it.
fn layer_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let visible: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
    match visible.trim() {
        "" => "layer".to_owned(),
        name => name.to_owned(),
    }
}
