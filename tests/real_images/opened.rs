//! An image, or several, that handroll has opened and read to the end, as the page and the command line do it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use handroll::compress::inflate::{Packing, PackingNote};
use handroll::content::{Content, Source as _};
use handroll::digest::Digest;
use handroll::image::catalog::{Catalog, Severity};
use handroll::layer::{Blob, Bytes};
use handroll::native::{FileSource, TemporaryFiles};
use handroll::tree::Time;
use handroll::workbench::{
    Action, ArchiveFile, ArchiveFiles, BlobState, Caller, ContentRef, Export, ImageState, LayerState,
    Operation, Workbench,
};

const ARCHIVE: u32 = 1;

/// The session.
pub struct Opened {
    workbench: Workbench,
}

impl Opened {
    /// Opens a file or a directory, and reads all that is in it.
    pub fn read(path: &Path) -> Self {
        let mut opened = Self::open(path);
        while opened.workbench.step(1 << 26) {}
        opened
    }

    /// Opens it and reads its documents.
    pub fn open(path: &Path) -> Self {
        let mut workbench = Workbench::with_scratches(Arc::new(TemporaryFiles));
        let mut next = 0;
        let mut source = |path: &Path| {
            let file = Arc::new(FileSource::open(path).unwrap());
            let length = file.len();
            next += 1;
            workbench.open_source(next, file).unwrap();
            let (source, offset) = (next, 0);
            ContentRef::Source {
                source,
                offset,
                length,
            }
        };
        let from = match path.is_dir() {
            false => ArchiveFiles::Tar {
                content: source(path),
            },
            true => {
                let name = |path: PathBuf| path.to_str().expect("names of blobs are text").to_owned();
                let file = |file: PathBuf| ArchiveFile {
                    content: source(&path.join(&file)),
                    path: name(file),
                };
                ArchiveFiles::Directory {
                    files: files_in(path).into_iter().map(file).collect(),
                }
            }
        };
        let name = "opened".to_owned();
        let action = Action::OpenArchive {
            archive: ARCHIVE,
            name,
            from,
            first_image: 10,
            first_layer: 20,
        };
        let time = Time {
            seconds: 1_735_689_600,
            nanos: 0,
        };
        workbench
            .apply(Operation {
                time,
                caller: Caller::ROOT,
                action,
            })
            .unwrap();
        Self { workbench }
    }

    /// What its documents say.
    pub fn catalog(&self) -> &Catalog {
        &self.workbench.state().archive(ARCHIVE).unwrap().catalog
    }

    /// The images, in the order of the archive.
    pub fn images(&self) -> impl Iterator<Item = &Arc<ImageState>> {
        self.workbench.state().images_of(ARCHIVE).map(|(_, image)| image)
    }

    /// All layers, image by image.
    pub fn layers(&self) -> impl Iterator<Item = &Arc<LayerState>> {
        self.images().flat_map(|image| &image.layers)
    }

    /// What the bytes of a layer give.
    pub fn blob(&self, layer: &LayerState) -> &Blob {
        match self.workbench.blob_state(layer.id) {
            BlobState::Known(blob) => blob,
            _ => panic!("{} is not known", layer.name),
        }
    }

    /// The ids of problems in its documents that are more than good to know.
    pub fn warnings(&self) -> Vec<&'static str> {
        let problems = self.catalog().problems.iter();
        problems
            .filter(|problem| problem.severity() > Severity::Info)
            .map(|problem| problem.id())
            .collect()
    }

    /// What is noted of its layers.
    pub fn notes(&self) -> Vec<&str> {
        let read = self
            .layers()
            .map(|layer| layer.layer.as_read().expect("it was read"));
        read.flat_map(|read| read.notes.iter())
            .map(|note| &note.text[..])
            .collect()
    }

    /// Every layer could be read to its end and is what the documents say.
    pub fn assert_verified(&self) {
        for image in self.images() {
            let entries = &image.opened().unwrap().entry().layers;
            assert_eq!(image.layers.len(), entries.len());
            for (layer, entry) in image.layers.iter().zip(entries) {
                assert_eq!(layer.layer.as_read().expect("it was read").damage, None);
                let blob = self.blob(layer);
                assert_eq!(entry.diff_id.as_ref().unwrap().sha256(), Some(blob.diff_id));
                let claim = entry
                    .link
                    .and_then(|link| self.catalog().link(link).digest.as_ref());
                assert!(claim.is_none_or(|claim| claim.sha256() == Some(blob.digest)));
            }
        }
    }

    /// How each layer is packed, image by image.
    pub fn packings(&self) -> Vec<(Packing, &[PackingNote])> {
        let layers = self.layers().map(|layer| &layer.layer);
        layers
            .map(|layer| {
                (
                    layer.origin().unwrap().packing(),
                    &layer.as_read().unwrap().packing_notes[..],
                )
            })
            .collect()
    }

    /// Writes the archive.
    pub fn write(&self, path: &Path) {
        let mut out = io::BufWriter::new(File::create(path).unwrap());
        for part in self
            .workbench
            .export(&Export::Archive { archive: ARCHIVE })
            .unwrap()
        {
            match part {
                Bytes::Owned(bytes) => out.write_all(&bytes).unwrap(),
                Bytes::Zeros(count) => drop(io::copy(&mut io::repeat(0).take(count), &mut out).unwrap()),
                Bytes::Content(content) => write_to(&content, &mut out),
            }
        }
        out.flush().unwrap();
    }

    /// The digests of its documents, and none of its layers, by the paths of their files.
    pub fn documents(&self) -> BTreeMap<&[u8], Option<Digest>> {
        let nodes = self.catalog().nodes.iter();
        nodes.map(|node| (&node.path[..], node.actual)).collect()
    }
}

/// Writes a content.
pub fn write_to(content: &Content, out: &mut impl io::Write) {
    content
        .for_each_window(|window| out.write_all(window).unwrap())
        .unwrap();
}

/// The regular files below a directory, by their paths in it.
fn files_in(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => pending.push(path),
                false => files.push(path.strip_prefix(root).unwrap().to_owned()),
            }
        }
    }
    files.sort();
    files
}
