//! The files of an image that is a directory on disk: their paths now, their contents when they are read.
//! Symbolic links are listed and never followed by the system: [`Files`] follows them, inside of the directory.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, readlinkat, statat};

use super::file::Stamp;
use super::root::{DiskFile, Root};
use crate::content::Content;
use crate::image::files::{FILE_LIMIT, Files};
use crate::text::escape;
use crate::tree::{Name, TreePath};

/// The files by which an image is told. A directory that has none of them is not walked: it may be anything.
const MARKS: [&[u8]; 4] = [b"oci-layout", b"index.json", b"manifest.json", b"repositories"];
/// How deep directories are walked: blobs lie three deep, and what lies deeper is no image's.
const DEPTH_LIMIT: usize = 32;

/// Lists the files of an image in `directory`, or in the only directory that is in it. Without an image, none. What
/// cannot be listed below it is a fault of the files; fails only if `directory` itself cannot be.
pub fn read_files(directory: &Path) -> io::Result<Files> {
    let reader = Reader {
        root: Arc::new(Root::open(directory)?),
        label: directory.to_string_lossy().into_owned(),
    };
    let mut files = Files::new();
    let mut top = reader.list(&TreePath::ROOT)?;
    let is_image = |names: &[Found]| names.iter().any(|found| MARKS.contains(&found.name.as_bytes()));
    if !is_image(&top) {
        let [only] = &top[..] else { return Ok(files) };
        if only.kind != FileType::Directory {
            return Ok(files);
        }
        let path = TreePath::ROOT.join(only.name.clone());
        top = reader.list(&path)?;
        if !is_image(&top) {
            return Ok(files);
        }
        reader.walk(path, top, &mut files);
        return Ok(files);
    }
    reader.walk(TreePath::ROOT, top, &mut files);
    Ok(files)
}

struct Reader {
    root: Arc<Root>,
    label: String,
}

/// What a directory has of one name.
struct Found {
    name: Name,
    kind: FileType,
    stamp: Stamp,
}

impl Reader {
    fn walk(&self, path: TreePath, found: Vec<Found>, files: &mut Files) {
        let mut pending = vec![(Arc::new(path), found)];
        while let Some((directory, found)) = pending.pop() {
            for Found { name, kind, stamp } in found {
                let path = directory.join(name.clone());
                match kind {
                    FileType::RegularFile => {
                        let label = format!("{}/{}", self.label, escape(&path.to_bytes()));
                        let root = self.root.clone();
                        let file = DiskFile::new(root, directory.clone(), name, stamp, label);
                        files.file(&path.to_bytes(), Content::whole(Arc::new(file)));
                    }
                    FileType::Symlink => match self.target(&directory, &name) {
                        Ok(target) => files.symlink(&path.to_bytes(), &target),
                        Err(error) => files.unlisted(&path.to_bytes(), error.to_string()),
                    },
                    FileType::Directory if path.names().len() < DEPTH_LIMIT => match self.list(&path) {
                        Ok(found) => pending.push((Arc::new(path), found)),
                        Err(error) => files.unlisted(&path.to_bytes(), error.to_string()),
                    },
                    _ => {}
                }
                if files.len() > FILE_LIMIT {
                    return;
                }
            }
        }
    }

    fn target(&self, directory: &TreePath, name: &Name) -> io::Result<Vec<u8>> {
        let at = self.root.directory(directory)?;
        let target = readlinkat(&at, name.as_bytes(), Vec::new())?;
        Ok(target.into_bytes())
    }

    /// What is in a directory, by name.
    fn list(&self, path: &TreePath) -> io::Result<Vec<Found>> {
        let at = self.root.directory(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut directory = Dir::new(openat(&at, ".", flags, Mode::empty())?)?;
        let mut found = Vec::new();
        while let Some(entry) = directory.read() {
            let entry = entry?;
            // `.` and `..` are no names.
            let Ok(name) = Name::new(entry.file_name().to_bytes()) else {
                continue;
            };
            let stat = statat(&at, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW)?;
            found.push(Found {
                name,
                kind: FileType::from_raw_mode(stat.st_mode),
                stamp: Stamp::of(&stat),
            });
        }
        found.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::image::files::Lookup;

    #[test]
    fn an_image_is_listed_and_links_stay_inside() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        let paths = |files: &Files| {
            let paths = files
                .paths()
                .map(|path| String::from_utf8_lossy(path).into_owned());
            paths.collect::<Vec<_>>()
        };
        fs::create_dir_all(at("image/blobs/sha256")).unwrap();
        fs::write(at("image/blobs/sha256/a"), b"a").unwrap();
        fs::write(at("outside"), b"secret").unwrap();
        // Directories without a mark are left alone.
        assert_eq!(paths(&read_files(&at("image")).unwrap()), [""; 0]);
        fs::write(at("image/index.json"), b"{}").unwrap();
        symlink("../outside", at("image/out")).unwrap();
        symlink(at("outside"), at("image/absolute")).unwrap();
        symlink("sha256", at("image/blobs/link")).unwrap();
        let files = read_files(&at("image")).unwrap();
        assert_eq!(
            paths(&files),
            ["absolute", "blobs/link", "blobs/sha256/a", "index.json", "out"]
        );
        let content = |path: &str| match files.find(path.as_bytes()) {
            Lookup::Found(found) => found.content.read_all(9).ok(),
            _ => None,
        };
        assert_eq!(content("blobs/link/a"), Some(b"a".to_vec()));
        assert_eq!((content("out"), content("absolute")), (None, None));
        // In a directory that has nothing but the image.
        fs::remove_file(at("outside")).unwrap();
        assert_eq!(read_files(directory.path()).unwrap().len(), 5);
        assert!(read_files(&at("missing")).is_err());
    }
}
