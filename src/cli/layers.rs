//! An image's layers for those that unpack them, and where they are kept.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;

use clap::Args;
use handroll::native::{
    LayerBlob, LeftOut, MAX_LOWERS, MountError, Place, PlaceError, Powers, UnpackedLayer, Unpacking,
};
use handroll::workbench::ImageState;

use super::Failure;
use super::progress::Progress;

/// Where layers are kept.
#[derive(Args, Debug)]
pub struct PlaceArgs {
    /// Where layers are kept unpacked [default: HANDROLL_PLACE, else /var/lib/handroll or $XDG_DATA_HOME/handroll]
    #[arg(long, value_name = "DIR")]
    pub place: Option<PathBuf>,
}

impl PlaceArgs {
    /// The directory.
    pub fn base(&self) -> Result<PathBuf, Failure> {
        let given = |name: &str| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        if let Some(place) = self.place.clone().or_else(|| given("HANDROLL_PLACE")) {
            return Ok(place);
        }
        if rustix::process::geteuid().is_root() {
            return Ok(PathBuf::from("/var/lib/handroll"));
        }
        let data = given("XDG_DATA_HOME").or_else(|| given("HOME").map(|home| home.join(".local/share")));
        match data {
            Some(data) => Ok(data.join("handroll")),
            None => Err(Failure::Usage(
                "there is no HOME to keep layers in: give --place DIR".to_owned(),
            )),
        }
    }
}

/// The blobs of an image's layers, as many as the kernel's overlayfs takes.
pub fn mountable(image: &ImageState) -> Result<Vec<LayerBlob>, Failure> {
    let count = image.layers.len();
    match count > MAX_LOWERS {
        true => Err(Failure::work(MountError::TooManyLowers { count })),
        false => blobs(image),
    }
}

/// The blobs of an image's layers, bottom first, with the DiffIDs that its configuration says.
pub fn blobs(image: &ImageState) -> Result<Vec<LayerBlob>, Failure> {
    let entry = image.opened().map(|opened| opened.entry());
    let mut blobs = Vec::new();
    for (number, layer) in (1..).zip(&image.layers) {
        let fail = |reason: &dyn std::fmt::Display| Err(Failure::Work(format!("layer {number}: {reason}")));
        let Some(origin) = layer.layer.origin() else {
            return fail(&"it is not in the archive");
        };
        if let Some(damage) = origin.read().and_then(|read| read.damage.as_ref()) {
            return fail(damage);
        }
        let came = layer.came.as_ref().map(|came| came.layer);
        let claim = came.and_then(|layer| entry?.layers.get(layer)?.diff_id.as_ref());
        let diff_id = claim.and_then(|claim| claim.sha256());
        if let (Some(claim), None) = (claim, diff_id) {
            return fail(&format!("its DiffID `{}` is no SHA-256 digest", claim.text()));
        }
        blobs.push(LayerBlob {
            diff_id,
            blob: origin.blob().clone(),
        });
    }
    Ok(blobs)
}

/// How many layers, in words.
pub fn count(layers: usize) -> String {
    match layers {
        1 => "1 layer".to_owned(),
        layers => format!("{layers} layers"),
    }
}

/// Unpacks layers to a place, or finds them there.
pub fn unpack(place: &Place, blobs: &[LayerBlob]) -> Result<Vec<UnpackedLayer>, Failure> {
    let mut progress = Progress::new();
    let stack = place.stack(blobs, &mut |unpacking| match unpacking {
        Unpacking::Waiting => eprintln!("handroll: waiting for another handroll that unpacks layers"),
        Unpacking::Working { done, total } => progress.show("unpacking layers", done, total),
    });
    stack.map_err(failure)
}

/// Layers could not be unpacked, or a signal came meanwhile.
pub fn failure(error: PlaceError) -> Failure {
    match error {
        PlaceError::Signal { signal } => Failure::Signal(signal),
        error => Failure::work(error),
    }
}

/// Tells what could not be kept of layers.
pub fn tell_left_out(stack: &[UnpackedLayer]) {
    let mut all = LeftOut::default();
    for layer in stack {
        all.add(&layer.left_out);
    }
    tell(&all);
}

/// Tells what could not be kept.
pub fn tell(left_out: &LeftOut) {
    for line in left_out.lines() {
        eprintln!("handroll: {line}");
    }
}

/// The name of layers that are unpacked like this, in this user namespace if it is one, and what is kept of them.
pub fn kind_of(namespace: Option<String>, userxattr: bool) -> (String, Powers) {
    let is_confined = namespace.is_some();
    let userxattr = userxattr || is_confined;
    let kind = match (namespace, userxattr) {
        (Some(name), _) => name,
        (None, true) => "userxattr".to_owned(),
        (None, false) => "trusted".to_owned(),
    };
    let powers = Powers {
        userxattr,
        is_confined,
    };
    (kind, powers)
}

/// The exit code of a command; one that a signal ended has 128 and its number, as shells have it.
pub fn code_of(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
