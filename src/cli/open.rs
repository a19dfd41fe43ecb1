//! Opening what IMAGE names: an archive, a directory or standard input.

use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use handroll::content::{Content, ContentError, ScratchSpace as _};
use handroll::image::catalog::{Catalog, OpenJob};
use handroll::native::{FileSource, TemporaryFiles, read_files};

use super::Failure;

/// The help of an argument IMAGE.
pub const IMAGE_HELP: &str = "An OCI layout (a directory or a tar), a `docker save` tar, or the tar of a layer; plain, \
                              gzip or zstd; `-` is standard input";

/// Opens an image. Its layers are not read.
pub fn open_image(path: &Path) -> Result<Catalog, Failure> {
    let fail = |error: &dyn std::fmt::Display| Failure::Work(format!("{}: {error}", path.display()));
    let job = match path.is_dir() {
        true => OpenJob::files(read_files(path).map_err(|error| fail(&error))?),
        false => {
            let content = if path.as_os_str() == "-" {
                standard_input()
            } else {
                open(path)
            };
            OpenJob::archive(&content.map_err(|error| fail(&error))?, &TemporaryFiles)
        }
    };
    job.and_then(OpenJob::run).map_err(|error| fail(&error))
}

fn open(path: &Path) -> Result<Content, ContentError> {
    let source = FileSource::open(path).map_err(|error| ContentError::Read {
        name: path.display().to_string(),
        offset: 0,
        length: 0,
        reason: error.to_string(),
    })?;
    Ok(Content::whole(Arc::new(source)))
}

/// All of standard input, kept in scratch: an archive has to be read out of order.
fn standard_input() -> Result<Content, ContentError> {
    let scratch = TemporaryFiles.create()?;
    let mut window = vec![0; 1 << 20];
    let mut input = io::stdin().lock();
    let mut offset = 0;
    loop {
        let length = input.read(&mut window).map_err(|error| ContentError::Read {
            name: "standard input".to_owned(),
            offset,
            length: window.len() as u64,
            reason: error.to_string(),
        })?;
        if length == 0 {
            return Ok(Content::whole(scratch));
        }
        scratch.append(&window[..length])?;
        offset += length as u64;
    }
}
