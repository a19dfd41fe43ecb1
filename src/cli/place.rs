//! Where `ls` and `cat` look: an image as a container sees it, or one of its layers alone.

use std::sync::Arc;

use clap::Args;
use handroll::content::Content;
use handroll::image::root::{Dead, RootKind, resolve};
use handroll::overlay::Stack;
use handroll::text::escape;
use handroll::tree::TreePath;
use handroll::workbench::{ImageState, LayerState};

use super::open::ImageArgs;
use super::session::{self, layer_of};
use super::{Failure, Verdict};

/// Which layer is looked at alone.
#[derive(Args, Debug)]
pub struct LayerArgs {
    /// Look at this layer alone: 1 is the lowest
    #[arg(long = "layer", value_name = "N")]
    pub number: Option<usize>,
}

/// What is looked at. Its layers are read.
pub struct Place {
    layers: Vec<Arc<LayerState>>,
    /// The number of the layer, if it is one alone.
    pub layer: Option<usize>,
    /// Whether all of it could be read.
    pub verdict: Verdict,
}

impl Place {
    /// Opens an image and reads what is looked at.
    pub fn open(arguments: &ImageArgs, layer: &LayerArgs) -> Result<Self, Failure> {
        let image: Arc<ImageState> = session::open_image(arguments)?;
        let layers = match layer.number {
            Some(number) => vec![layer_of(&image, number)?.clone()],
            None => image.layers.clone(),
        };
        Ok(Self {
            verdict: session::read(&image, &layers),
            layers,
            layer: layer.number,
        })
    }

    /// The layers that are looked at.
    pub fn stack(&self) -> Stack<'_> {
        Stack::new(self.layers.iter().map(|layer| layer.layer.tree()).collect())
    }

    /// The number of the layer at a position of the stack, from 1 on.
    pub fn number(&self, position: usize) -> usize {
        self.layer.unwrap_or(position + 1)
    }

    /// The path that is asked for, with the links followed that it leads through; the last one only if a slash
    /// follows it. Something is there, be it that the layer deletes it.
    pub fn entry(&self, stack: &Stack, asked: &[u8]) -> Result<TreePath, Failure> {
        let path = real_path(stack, asked).map_err(|dead| self.missing(asked, &dead))?;
        let spot = stack.spot(&path);
        let is_there = spot.visible().is_some() || self.layer.is_some() && spot.cells[0].is_some();
        match is_there {
            true => Ok(path),
            false => Err(self.missing(asked, &Dead::Missing([b"/", &path.to_bytes()[..]].concat()))),
        }
    }

    /// The content of the file at a path, all links followed.
    pub fn content(&self, stack: &Stack, asked: &[u8]) -> Result<Content, Failure> {
        let (path, entry) = resolve(stack, asked).map_err(|dead| self.missing(asked, &dead))?;
        let other = match entry.kind {
            RootKind::File(content) => return Ok(content),
            RootKind::Directory => "a directory",
            RootKind::Symlink(_) | RootKind::Other => "a device or a fifo",
        };
        Err(Failure::Work(format!("{} is {other}, no file", escape(&path))))
    }

    fn missing(&self, asked: &[u8], dead: &Dead) -> Failure {
        let (asked, reason) = (escape(asked), dead.reason());
        Failure::Work(match self.layer {
            Some(number) => format!("{asked} is not in layer {number}: {reason}"),
            None => format!("{asked} is not in the image: {reason} (`handroll why` tells what became of it)"),
        })
    }
}

/// A path with the links followed that it leads through, and the last one too if a slash follows it. What it
/// leads to need not be there.
pub fn real_path(stack: &Stack, asked: &[u8]) -> Result<TreePath, Dead> {
    let at = asked
        .iter()
        .rposition(|&byte| byte == b'/')
        .map_or(0, |at| at + 1);
    let (parent, name) = asked.split_at(at);
    let is_name = !matches!(name, b"" | b"." | b"..");
    let (mut path, _) = resolve(stack, if is_name { parent } else { asked })?;
    if is_name {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    let path = path.strip_prefix(b"/").unwrap_or(&path);
    TreePath::from_bytes(path).map_err(|_| Dead::Missing(asked.to_vec()))
}
