//! `handroll why`: what the layers of an image did to a path, one after another.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;

use clap::Args;
use handroll::image::catalog::HistoryEntry;
use handroll::overlay::{Change, Chapter, Deed, Hiding, Stack, weigh};
use handroll::text::escape;
use handroll::tree::{Kind, TreePath};
use handroll::workbench::{ImageState, LayerState};
use serde::Serialize;

use super::open::ImageArgs;
use super::output;
use super::place::real_path;
use super::row::{Row, bytes};
use super::session::{self, stack_of};
use super::{Failure, Verdict};

/// Contents up to this size are compared to tell whether a layer changed them.
const COMPARE_LIMIT: u64 = 1 << 30;

/// Tell what each layer did to a path: who made it, changed it, hides it
#[derive(Args, Debug)]
#[command(after_help = "\
Links on the way to PATH are followed, the last one is not. If nothing is there, it is told which layer took it \
away, or the directory that it would be in; what a layer above hides is still in the image, and how much that is \
is told too.")]
pub struct WhyArgs {
    #[command(flatten)]
    pub image: ImageArgs,
    /// What it is about
    #[arg(value_name = "PATH")]
    pub path: OsString,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs the subcommand.
pub fn run(arguments: &WhyArgs) -> Result<Verdict, Failure> {
    let image = session::open_image(&arguments.image)?;
    let verdict = session::read(&image, &image.layers);
    let report = report(&image, arguments.path.as_bytes())?;
    match arguments.json {
        true => output::print(&(serde_json::to_string_pretty(&report).map_err(Failure::work)? + "\n"))?,
        false => output::print(&describe(&report))?,
    }
    Ok(verdict)
}

/// What `--json` prints. Stable: fields are added, never changed.
#[derive(Serialize)]
struct Report {
    /// What was asked for.
    asked: String,
    /// The same with the links followed on the way to it.
    path: String,
    /// What `layers` is about: the path; if no layer ever had it, the first on the way to it that is not there.
    about: String,
    /// The layer that `about` shows from; null if it shows nowhere.
    shows: Option<usize>,
    /// What each layer did, bottom first.
    layers: Vec<LayerReport>,
}

#[derive(Serialize)]
struct LayerReport {
    layer: usize,
    does: &'static str,
    /// In what its entry differs from the one that it is put over.
    changed: Vec<Change>,
    /// Of `hides`: the directory above, and what the layer did to it.
    at: Option<String>,
    how: Option<Hiding>,
    /// What the layer has there.
    entry: Option<Row>,
    /// The layer above that hides it.
    hidden_by: Option<usize>,
    /// How much is there, in bytes and files; of a directory all that the layer has in it.
    bytes: u64,
    files: u64,
    /// The layer's tar has the path more than once: the last one counts.
    repeated: bool,
    history: Option<HistoryReport>,
}

#[derive(Serialize)]
struct HistoryReport {
    created: Option<String>,
    created_by: Option<String>,
    comment: Option<String>,
}

fn report(image: &ImageState, asked: &[u8]) -> Result<Report, Failure> {
    let stack = stack_of(image);
    let path = meant(&stack, asked)?;
    let about = subject(&stack, &path);
    let chapters = stack.story(&about, COMPARE_LIMIT).into_iter();
    Ok(Report {
        asked: escape(asked),
        path: path.to_string(),
        shows: stack.spot(&about).visible().map(|(position, _)| position + 1),
        layers: chapters
            .map(|chapter| layer_report(image, &about, chapter))
            .collect(),
        about: about.to_string(),
    })
}

/// The path that is meant: as it stands there if any layer has it, else with links followed on the way.
fn meant(stack: &Stack, asked: &[u8]) -> Result<TreePath, Failure> {
    let names = asked
        .split(|&byte| byte == b'/')
        .filter(|name| !matches!(*name, b"" | b"."));
    let plain = TreePath::from_bytes(&names.collect::<Vec<_>>().join(&b'/'));
    if let Ok(path) = &plain
        && is_known(stack, path)
    {
        return Ok(path.clone());
    }
    match real_path(stack, asked) {
        Ok(path) => Ok(path),
        Err(_) => plain.map_err(Failure::work),
    }
}

/// Whether any layer has something at a path.
fn is_known(stack: &Stack, path: &TreePath) -> bool {
    stack.spot(path).cells.iter().any(Option::is_some)
}

/// What there is to tell about: the path, or the first on the way to it that is not there.
fn subject(stack: &Stack, path: &TreePath) -> TreePath {
    let depths = match is_known(stack, path) {
        true => 0..0,
        false => 1..path.names().len(),
    };
    let mut above = depths.map(|depth| path.names()[..depth].iter().cloned().collect::<TreePath>());
    let missing = above.find(|path| stack.spot(path).visible().is_none());
    missing.unwrap_or_else(|| path.clone())
}

fn layer_report(image: &ImageState, about: &TreePath, chapter: Chapter) -> LayerReport {
    let layer = &image.layers[chapter.position];
    let tree = layer.layer.tree();
    let (does, changed, hides) = match chapter.deed {
        Deed::Makes => ("makes", Vec::new(), None),
        Deed::Changes { changes, .. } => ("changes", changes, None),
        Deed::Passes => ("passes", Vec::new(), None),
        Deed::Deletes => ("deletes", Vec::new(), None),
        Deed::DeletesNothing => ("deletes_nothing", Vec::new(), None),
        Deed::Hides { at, how } => ("hides", Vec::new(), Some((at, how))),
    };
    let entry = chapter.entry.map(|ino| Row::of(tree.inode(ino)));
    let (bytes, files) = chapter.entry.map_or((0, 0), |ino| weigh(tree, ino));
    let is_plain = entry.as_ref().is_some_and(|entry| entry.kind != Kind::Directory);
    LayerReport {
        layer: chapter.position + 1,
        does,
        changed,
        at: hides.as_ref().map(|(at, _)| at.to_string()),
        how: hides.map(|(_, how)| how),
        entry,
        hidden_by: chapter.hidden_by.map(|position| position + 1),
        bytes,
        files,
        repeated: is_plain && layer.layer.mentions(about),
        history: history(image, layer),
    }
}

/// What the image says of how a layer was made.
fn history(image: &ImageState, layer: &LayerState) -> Option<HistoryReport> {
    let came = layer.came.as_ref()?;
    let entry = image.opened()?.entry();
    let line: &HistoryEntry = entry.history.get(entry.layers[came.layer].history?)?;
    Some(HistoryReport {
        created: line.created.clone(),
        created_by: line.created_by.clone(),
        comment: line.comment.clone(),
    })
}

fn describe(report: &Report) -> String {
    let mut text = String::new();
    headline(&mut text, report);
    for layer in &report.layers {
        let label = format!("layer {}", layer.layer);
        let mut label = label.as_str();
        for line in lines(layer) {
            writeln!(text, "{label:<9} {line}").expect("a string takes all");
            label = "";
        }
    }
    text
}

fn headline(text: &mut String, report: &Report) {
    let Report { path, about, .. } = report;
    let asked = report.asked.trim_end_matches('/');
    if !path.is_empty() && path.trim_start_matches('/') != asked.trim_start_matches('/') {
        writeln!(text, "{asked} is {path}").expect("a string takes all");
    }
    let taken = |layer: &&LayerReport| matches!(layer.does, "deletes" | "hides");
    let last = report.layers.iter().rev().find(taken);
    let what = match (report.shows, last, path == about) {
        (Some(layer), _, _) => format!("{about} is there, from layer {layer}"),
        (None, Some(last), true) => format!("{about} is not there: layer {} takes it away", last.layer),
        (None, Some(last), false) => {
            format!(
                "no layer has {path}; {about} is not there: layer {} takes it away",
                last.layer
            )
        }
        (None, None, true) => format!("no layer has {path}"),
        (None, None, false) => format!("no layer has {path}, nor {about}"),
    };
    writeln!(text, "{what}").expect("a string takes all");
}

/// What is told of a layer, line by line.
fn lines(layer: &LayerReport) -> Vec<String> {
    let entry = layer.entry.as_ref().map(Row::describe).unwrap_or_default();
    let changed: Vec<_> = layer.changed.iter().map(|change| change_text(*change)).collect();
    let changed = changed.join(", ");
    let at = layer.at.as_deref().unwrap_or_default();
    let mut lines = vec![match (layer.does, layer.how) {
        ("makes", _) => format!("makes it: {entry}"),
        ("changes", _) if changed.is_empty() => format!("has the same again: {entry}"),
        ("changes", _) => format!("changes it ({changed}): {entry}"),
        ("passes", _) => "has it on the way to something else, and changes nothing".to_owned(),
        ("deletes", _) => "deletes it".to_owned(),
        ("deletes_nothing", _) => "deletes it, though no layer below has it".to_owned(),
        (_, Some(Hiding::Whiteout)) => format!("deletes {at}"),
        (_, Some(Hiding::Replaced)) => format!("has something else in the place of {at}"),
        (_, _) => format!("hides all that the layers below have in {at} (it is opaque)"),
    }];
    if layer.repeated {
        lines.push("the layer has it more than once; the last one counts".to_owned());
    }
    if let Some(by) = layer.hidden_by.filter(|_| layer.entry.is_some()) {
        let left = match (layer.files, bytes(layer.bytes)) {
            (0, _) => String::new(),
            (1, bytes) => format!(", and still in the image: {bytes}"),
            (files, bytes) => format!(", and still in the image: {bytes} in {files} files"),
        };
        lines.push(format!("hidden by layer {by}{left}"));
    }
    if let Some(by) = layer
        .history
        .as_ref()
        .and_then(|history| history.created_by.as_ref())
    {
        lines.push(format!("made by: {}", escape(by.as_bytes())));
    }
    lines
}

pub fn change_text(change: Change) -> &'static str {
    match change {
        Change::Kind => "kind",
        Change::Content => "content",
        Change::ContentUnread => "perhaps content",
        Change::Target => "target",
        Change::Device => "device",
        Change::Mode => "mode",
        Change::Owner => "owner",
        Change::Time => "time",
        Change::Xattrs => "extended attributes",
        Change::Links => "hard links",
    }
}
