//! Where things lie: the repository, its target directory, and the cache of tools.

use std::env;
use std::path::{Path, PathBuf};

use crate::run::{Failure, Outcome};

/// The directories that the tasks read and write.
pub struct Places {
    /// The root of the repository.
    pub root: PathBuf,
    /// Cargo's target directory for native builds.
    pub target: PathBuf,
    /// Tools that outlive a `cargo clean`, as they take minutes to build.
    pub cache: PathBuf,
}

impl Places {
    /// Finds them from the place of this crate and the environment.
    pub fn find() -> Outcome<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .ok_or_else(|| Failure::new("xtask does not lie in the repository"))?
            .to_path_buf();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(directory) => root.join(directory),
            None => root.join("target"),
        };
        Ok(Self {
            root,
            target,
            cache: cache()?,
        })
    }

    /// The target directory of wasm builds. It is its own because they may use another compiler
    /// than the native ones, and each would throw away what the other has built.
    pub fn wasm_target(&self) -> PathBuf {
        self.target.join("wasm")
    }

    /// Where the tasks keep their stamps and what they make on the way.
    pub fn work(&self) -> PathBuf {
        self.target.join("xtask")
    }

    /// The page's sources.
    pub fn www(&self) -> PathBuf {
        self.root.join("www")
    }

    /// The built page.
    pub fn dist(&self) -> PathBuf {
        self.www().join("dist")
    }
}

fn cache() -> Outcome<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME") {
        Some(directory) if Path::new(&directory).is_absolute() => PathBuf::from(directory),
        _ => env::home_dir()
            .ok_or_else(|| Failure::new("no home directory: set XDG_CACHE_HOME"))?
            .join(".cache"),
    };
    Ok(base.join("handroll"))
}
