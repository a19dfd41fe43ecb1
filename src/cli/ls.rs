//! `handroll ls`: what is in an image, or in one of its layers.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;

use clap::Args;
use handroll::overlay::{Spot, SpotEntry, Stack};
use handroll::text::escape;
use handroll::tree::{Ino, Kind, TreePath};
use serde::Serialize;

use super::open::ImageArgs;
use super::output;
use super::place::{LayerArgs, Place};
use super::row::Row;
use super::{Failure, Verdict};

/// List the files of an image as a container sees them, or those of one layer
#[derive(Args, Debug)]
#[command(after_help = "\
One line for each path, as `tar -tv` has them: mode (with a + if there are extended attributes), owner, size (of a \
device its number), time in UTC, path. A byte that is no text is written \\xNN, a backslash \\\\. With --layer, the \
layer's own entries; a name that it deletes is a `whiteout`, and `(opaque)` stands at a directory that hides what the \
layers below have in it.")]
pub struct LsArgs {
    #[command(flatten)]
    pub image: ImageArgs,
    /// List this path and all that is in it [default: /]
    #[arg(value_name = "PATH")]
    pub path: Option<OsString>,
    #[command(flatten)]
    pub layer: LayerArgs,
    /// How many levels below PATH are listed [default: all]
    #[arg(long, value_name = "N")]
    pub depth: Option<usize>,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs the subcommand.
pub fn run(arguments: &LsArgs) -> Result<Verdict, Failure> {
    let place = Place::open(&arguments.image, &arguments.layer)?;
    let stack = place.stack();
    let asked = arguments.path.as_deref().map_or(&b"/"[..], OsStrExt::as_bytes);
    let top = place.entry(&stack, asked)?;
    let deepest = arguments
        .depth
        .map_or(usize::MAX, |depth| top.names().len().saturating_add(depth));
    let links = first_names(&stack);
    let entries = stack
        .listing(&top, place.layer.is_none())
        .filter(|(path, _)| path.iter().filter(|&&byte| byte == b'/').count() <= deepest)
        .filter_map(|(path, spot)| entry(&place, &stack, &links, path, &spot));
    output::stdout(|out| match arguments.json {
        true => write_json(out, &place, entries),
        false => write_lines(out, place.layer.is_some(), entries),
    })?;
    Ok(place.verdict)
}

/// A path, and what is there.
#[derive(Serialize)]
struct Entry {
    path: String,
    /// The layer that it is from, counted from 1.
    layer: usize,
    #[serde(flatten)]
    what: What,
    /// Of a file with several names, the first of them that is not this one.
    link_to: Option<String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum What {
    Inode(Row),
    Whiteout { kind: &'static str },
}

/// The first path of each file that has several, by its layer and its number.
fn first_names(stack: &Stack) -> BTreeMap<(usize, Ino), Vec<u8>> {
    let mut names = BTreeMap::new();
    for (path, spot) in stack.listing(&TreePath::ROOT, true) {
        let Some((position, ino)) = spot.visible() else {
            continue;
        };
        let inode = stack.trees()[position].inode(ino);
        if inode.links() > 1 && inode.node.kind() != Kind::Directory {
            names.entry((position, ino)).or_insert(path);
        }
    }
    names
}

/// What is listed of a path: what shows, or all that a single layer says. None of a directory that a layer only
/// has on the way to something.
fn entry(
    place: &Place,
    stack: &Stack,
    links: &BTreeMap<(usize, Ino), Vec<u8>>,
    path: Vec<u8>,
    spot: &Spot,
) -> Option<Entry> {
    let (position, what) = match (spot.visible(), spot.cells[0].map(|cell| cell.entry)) {
        (Some((position, ino)), _) => (position, Some(ino)),
        (None, Some(SpotEntry::Whiteout)) => (0, None),
        _ => return None,
    };
    let row = what.map(|ino| Row::of(stack.trees()[position].inode(ino)));
    if place.layer.is_some() && row.as_ref().is_some_and(|row| row.implied && !row.opaque) {
        return None;
    }
    let first = what
        .and_then(|ino| links.get(&(position, ino)))
        .filter(|first| **first != path);
    Some(Entry {
        path: if path.is_empty() {
            "/".to_owned()
        } else {
            escape(&path)
        },
        layer: place.number(position),
        link_to: first.map(|first| escape(first)),
        what: row.map_or(What::Whiteout { kind: "whiteout" }, What::Inode),
    })
}

fn write_lines(out: &mut dyn Write, is_layer: bool, entries: impl Iterator<Item = Entry>) -> io::Result<()> {
    for entry in entries {
        match &entry.what {
            What::Whiteout { kind } => write!(out, "{kind:<53}{}", entry.path)?,
            What::Inode(row) if is_layer && row.implied => write!(out, "{:<53}{}", "opaque", entry.path)?,
            What::Inode(row) => {
                write!(out, "{} {}", row.line(), entry.path)?;
                if let Some(target) = &row.target {
                    write!(out, " -> {target}")?;
                }
                if is_layer && row.opaque {
                    write!(out, " (opaque)")?;
                }
            }
        }
        if let Some(first) = &entry.link_to {
            write!(out, " link to {first}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// One object for each line, so that a long list can be read line by line too.
fn write_json(out: &mut dyn Write, place: &Place, entries: impl Iterator<Item = Entry>) -> io::Result<()> {
    let layer = serde_json::to_string(&place.layer)?;
    write!(out, "{{\"layer\":{layer},\"entries\":[")?;
    for (number, entry) in entries.enumerate() {
        writeln!(out, "{}", if number == 0 { "" } else { "," })?;
        serde_json::to_writer(&mut *out, &entry)?;
    }
    writeln!(out, "\n]}}")
}
