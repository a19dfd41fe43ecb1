//! `handroll diff`: what differs between two images or directories, and the layer that makes the one of the other.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use handroll::layer::{BlobJob, Compression, Layer, SegmentCache};
use handroll::native::{DiskOptions, TemporaryFiles, read_dir};
use handroll::overlay::{Change, DiffLayer, Difference, Stack};
use handroll::text::escape;
use handroll::tree::Tree;
use handroll::workbench::ImageState;
use serde::Serialize;

use super::args::source_date_epoch;
use super::open::{ChoiceArgs, ImageArgs};
use super::output::{self, Output, Written};
use super::row::Row;
use super::session;
use super::why::change_text;
use super::{Failure, Verdict};

/// Show in what two images or directories differ, and write the layer that makes the first into the second
#[derive(Args, Debug)]
#[command(after_help = "\
A and B are images, as a container sees them, or directories. A directory with an `oci-layout` or a `manifest.json` in \
it is an image. Of a directory everything counts: owners, times to the nanosecond, extended attributes.

One line for each path: `+` it is only in B, `-` only in A, `~` it is in both and differs, and in what. Exit code 0 if \
there is no difference, 1 if there is one.

The layer has no more than it must: what is the same stays out; names that are gone are whiteouts. The time of \
whiteouts is SOURCE_DATE_EPOCH from the environment, else 0.

Examples:
  handroll diff image.tar image.tar --layers-a 1
  handroll diff base.tar rootfs/ -o layer.tar.gz")]
pub struct DiffArgs {
    /// An image or a directory
    #[arg(value_name = "A")]
    pub a: PathBuf,
    /// What it is compared with
    #[arg(value_name = "B")]
    pub b: PathBuf,
    /// Which of several images in A: its name, its digest, or its number, from 1 on
    #[arg(long, value_name = "NAME|DIGEST|N")]
    pub image_a: Option<String>,
    /// Which of several images in B
    #[arg(long, value_name = "NAME|DIGEST|N")]
    pub image_b: Option<String>,
    /// Which of several images in A and in B: those for this platform
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub platform: Option<String>,
    /// Take only the lowest N layers of A
    #[arg(long, value_name = "N")]
    pub layers_a: Option<usize>,
    /// Take only the lowest N layers of B
    #[arg(long, value_name = "N")]
    pub layers_b: Option<usize>,
    /// Write the layer: a tar, packed by gzip if the name ends in `gz`; `-` is standard output, and nothing else is
    /// printed there then
    #[arg(short, long, value_name = "LAYER.tar|LAYER.tar.gz|-")]
    pub output: Option<PathBuf>,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

/// What is compared.
enum Side {
    Image(Arc<ImageState>, usize),
    Directory(Box<Tree>),
}

impl Side {
    /// Opens an image and reads its layers, or reads a directory. Whether all of it could be read.
    fn open(path: &Path, choice: ChoiceArgs, layers: Option<usize>) -> Result<(Self, Verdict), Failure> {
        let is_image = !path.is_dir()
            || ["oci-layout", "manifest.json"]
                .iter()
                .any(|name| path.join(name).is_file());
        if !is_image {
            if choice.image.is_some() || layers.is_some() {
                let path = path.display();
                return Err(Failure::Usage(format!(
                    "{path} is a directory of files: it has no images and no layers"
                )));
            }
            let read = read_dir(path, &DiskOptions::exact()).map_err(Failure::work)?;
            for note in &read.notes {
                eprintln!("handroll: {}: {note}", path.display());
            }
            return Ok((Self::Directory(Box::new(read.tree)), Verdict::Fine));
        }
        let arguments = ImageArgs {
            file: path.to_owned(),
            choice,
        };
        let image = session::open_image(&arguments)?;
        let count = layers.unwrap_or(image.layers.len());
        if count > image.layers.len() {
            return Err(Failure::Usage(format!(
                "there are no {count} layers in {}: the image has {}",
                path.display(),
                image.layers.len()
            )));
        }
        let verdict = session::read(&image, &image.layers[..count]);
        Ok((Self::Image(image, count), verdict))
    }

    fn stack(&self) -> Stack<'_> {
        Stack::new(match self {
            Self::Image(image, count) => image.layers[..*count]
                .iter()
                .map(|layer| layer.layer.tree())
                .collect(),
            Self::Directory(tree) => vec![tree],
        })
    }
}

/// Runs the subcommand.
pub fn run(arguments: &DiffArgs) -> Result<Verdict, Failure> {
    let output = arguments.output.as_deref().map(Output::of);
    match &output {
        Some(Output::Directory(path)) => {
            let path = path.display();
            return Err(Failure::Usage(format!(
                "-o {path}: a layer is a file, and this is a directory"
            )));
        }
        Some(output) => output.check(arguments.json)?,
        None => {}
    }
    if [&arguments.a, &arguments.b]
        .iter()
        .all(|path| path.as_os_str() == "-")
    {
        return Err(Failure::Usage(
            "only one of the two can be standard input".to_owned(),
        ));
    }
    let choice = |image: &Option<String>| ChoiceArgs {
        image: image.clone(),
        platform: arguments.platform.clone(),
    };
    let (a, whole_a) = Side::open(&arguments.a, choice(&arguments.image_a), arguments.layers_a)?;
    let (b, whole_b) = Side::open(&arguments.b, choice(&arguments.image_b), arguments.layers_b)?;
    let comparison = Comparison {
        a: a.stack(),
        b: b.stack(),
        whiteout_time: source_date_epoch()?.unwrap_or(0),
    };
    if [whole_a, whole_b].contains(&Verdict::Findings) && output.is_some() {
        return Err(Failure::Work(
            "no layer is made of an image that could not be read wholly".to_owned(),
        ));
    }
    let is_quiet = output == Some(Output::Stdout);
    let (tree, count) = match (is_quiet, arguments.json) {
        (true, _) => comparison.list(|_| Ok(())),
        (_, false) => comparison.print_lines(),
        (_, true) => comparison.print_json(),
    }?;
    if let Some(output) = output {
        write_layer(&output, &arguments.output, tree)?;
    }
    Ok(
        match count == 0 && whole_a == Verdict::Fine && whole_b == Verdict::Fine {
            true => Verdict::Fine,
            false => Verdict::Findings,
        },
    )
}

struct Comparison<'a> {
    a: Stack<'a>,
    b: Stack<'a>,
    whiteout_time: i64,
}

impl Comparison<'_> {
    /// Tells every difference; the layer of them, and how many there are.
    fn list(&self, mut tell: impl FnMut(&Difference) -> io::Result<()>) -> Result<(Tree, u64), Failure> {
        let mut layer = DiffLayer::new(&self.b, self.whiteout_time);
        let mut count = 0;
        let mut told = Ok(());
        for difference in self.a.differences(&self.b, u64::MAX) {
            layer.add(&difference);
            count += 1;
            if told.is_ok() {
                told = tell(&difference);
            }
        }
        match told {
            // Who reads no further wanted no more; the layer is made all the same.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::work(error)),
            _ => Ok((layer.finish(), count)),
        }
    }

    fn print_lines(&self) -> Result<(Tree, u64), Failure> {
        let mut result = None;
        output::stdout(|out| {
            result = Some(self.list(|difference| writeln!(out, "{}", self.line(difference))));
            Ok(())
        })?;
        result.expect("it was called")
    }

    /// One object for each line, so that a long list can be read line by line too.
    fn print_json(&self) -> Result<(Tree, u64), Failure> {
        let mut result = None;
        output::stdout(|out| {
            write!(out, "{{\"differences\":[")?;
            let mut separator = "\n";
            result = Some(self.list(|difference| {
                write!(out, "{}", std::mem::replace(&mut separator, ",\n"))?;
                serde_json::to_writer(&mut *out, &self.entry(difference)).map_err(io::Error::from)
            }));
            writeln!(out, "\n]}}")
        })?;
        result.expect("it was called")
    }

    fn rows(&self, difference: &Difference) -> [Option<Row>; 2] {
        [(&self.a, difference.before), (&self.b, difference.after)].map(|(stack, place)| {
            let (position, ino) = place?;
            Some(Row::of(stack.trees()[position].inode(ino)))
        })
    }

    fn entry(&self, difference: &Difference) -> Entry {
        let [before, after] = self.rows(difference);
        Entry {
            path: escape(&difference.path),
            what: match (&before, &after) {
                (None, _) => "added",
                (_, None) => "removed",
                _ => "changed",
            },
            changed: difference.changes.clone(),
            before,
            after,
        }
    }

    fn line(&self, difference: &Difference) -> String {
        let path = escape(&difference.path);
        match self.rows(difference) {
            [Some(before), Some(after)] => {
                let changes: Vec<_> = (difference.changes.iter())
                    .map(|change| told(*change, &before, &after))
                    .collect();
                format!("~ {path}: {}", changes.join(", "))
            }
            [None, _] => format!("+ {path}"),
            [_, None] => format!("- {path}"),
        }
    }
}

/// A path on which the two differ. Stable in `--json`: fields are added, never changed.
#[derive(Serialize)]
struct Entry {
    path: String,
    /// `added`, `removed` or `changed`.
    what: &'static str,
    changed: Vec<Change>,
    before: Option<Row>,
    after: Option<Row>,
}

/// In what, and where it is short, from what to what.
fn told(change: Change, before: &Row, after: &Row) -> String {
    let text = change_text(change);
    let from_to = match change {
        Change::Mode => format!(" {:04o} → {:04o}", before.mode, after.mode),
        Change::Owner => format!(" {}:{} → {}:{}", before.uid, before.gid, after.uid, after.gid),
        Change::Content if before.size != after.size => format!(" ({} → {} bytes)", before.size, after.size),
        Change::Target => {
            let target = |row: &Row| row.target.clone().unwrap_or_default();
            format!(" {} → {}", target(before), target(after))
        }
        Change::Kind => format!(" {:?} → {:?}", before.kind, after.kind).to_lowercase(),
        _ => String::new(),
    };
    format!("{text}{from_to}")
}

fn write_layer(output: &Output, path: &Option<PathBuf>, tree: Tree) -> Result<(), Failure> {
    let name = path.as_deref().map(Path::as_os_str).unwrap_or_default();
    let compression = match name.as_encoded_bytes().ends_with(b"gz") {
        true => Compression::Gz1,
        false => Compression::None,
    };
    let layer = Layer::from_tree(tree);
    let mut cache = SegmentCache::in_scratches(Arc::new(TemporaryFiles));
    let blob = BlobJob::new(&layer, compression, None)
        .run(&mut cache)
        .map_err(Failure::work)?;
    output.write(Written::Archive(blob.bytes(&layer).collect()))
}
