//! One entry of a file system as a line for people, and as a JSON object.

use handroll::image::created;
use handroll::text::escape;
use handroll::tree::{Device, Inode, Kind, Node, Time};
use serde::{Serialize, Serializer};

/// What an entry is and what it has. Stable in `--json`: fields are added, never changed.
#[derive(Debug, Serialize)]
pub struct Row {
    pub kind: Kind,
    /// Permissions as four octal digits.
    #[serde(serialize_with = "octal")]
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    /// Bytes of a file; of everything else 0.
    pub size: u64,
    /// Seconds since 1970, and nanoseconds.
    pub mtime: i64,
    pub mtime_nanos: u32,
    /// Where a symbolic link points to.
    pub target: Option<String>,
    pub device: Option<Numbers>,
    pub xattrs: Vec<Xattr>,
    /// Whether a directory hides what the layers below have in it.
    pub opaque: bool,
    /// Whether a directory has no entry of its own in the tar.
    pub implied: bool,
}

/// A device's number.
#[derive(Debug, Serialize)]
pub struct Numbers {
    major: u32,
    minor: u32,
}

/// An extended attribute.
#[derive(Debug, Serialize)]
pub struct Xattr {
    name: String,
    value: String,
}

fn octal<S: Serializer>(mode: &u16, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{mode:04o}"))
}

impl Row {
    /// What there is to say of an inode.
    pub fn of(inode: &Inode) -> Self {
        let metadata = &inode.metadata;
        let directory = inode.node.as_directory();
        Self {
            kind: inode.node.kind(),
            mode: metadata.mode,
            uid: metadata.uid,
            gid: metadata.gid,
            size: match &inode.node {
                Node::File(content) => content.len(),
                _ => 0,
            },
            mtime: metadata.mtime.seconds,
            mtime_nanos: metadata.mtime.nanos,
            target: match &inode.node {
                Node::Symlink(target) => Some(escape(target)),
                _ => None,
            },
            device: inode
                .node
                .device()
                .map(|Device { major, minor }| Numbers { major, minor }),
            xattrs: (metadata.xattrs.iter())
                .map(|(name, value)| Xattr {
                    name: escape(name),
                    value: escape(value),
                })
                .collect(),
            opaque: directory.is_some_and(|directory| directory.opaque()),
            implied: directory.is_some_and(|directory| directory.implied()),
        }
    }

    /// `-rw-r--r--`, as `ls` and tar write it; with a `+` if there are extended attributes.
    pub fn mode_text(&self) -> String {
        let bit = |bit: u16, letter: char| if self.mode & bit != 0 { letter } else { '-' };
        let last = |execute: u16, special: u16, letter: char| match (bit(special, letter), bit(execute, 'x'))
        {
            ('-', execute) => execute,
            (letter, 'x') => letter,
            (letter, _) => letter.to_ascii_uppercase(),
        };
        let mut text = String::from(match self.kind {
            Kind::Directory => 'd',
            Kind::File => '-',
            Kind::Symlink => 'l',
            Kind::CharDevice => 'c',
            Kind::BlockDevice => 'b',
            Kind::Fifo => 'p',
        });
        for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
            text.extend([
                bit(4 << shift, 'r'),
                bit(2 << shift, 'w'),
                last(1 << shift, special, letter),
            ]);
        }
        if !self.xattrs.is_empty() {
            text.push('+');
        }
        text
    }

    /// All but the path: `-rw-r--r--  0:0  12 2025-01-01T00:00:00Z`. Of a device its number stands for the size.
    pub fn line(&self) -> String {
        let size = match &self.device {
            Some(Numbers { major, minor }) => format!("{major},{minor}"),
            None => self.size.to_string(),
        };
        let owner = format!("{}:{}", self.uid, self.gid);
        let time = time_text(Time::at(self.mtime));
        format!("{:<11} {owner:>9} {size:>10} {time}", self.mode_text())
    }

    /// In a sentence: `file, mode 0644, owner 0:0, 12 bytes`.
    pub fn describe(&self) -> String {
        let kind = match self.kind {
            Kind::Directory if self.implied => "a directory without an entry of its own".to_owned(),
            Kind::Directory if self.opaque => "an opaque directory".to_owned(),
            Kind::Directory => "a directory".to_owned(),
            Kind::File => format!("a file of {}", bytes(self.size)),
            Kind::Symlink => format!(
                "a symbolic link to {}",
                self.target.as_deref().unwrap_or_default()
            ),
            Kind::CharDevice | Kind::BlockDevice => {
                let what = if self.kind == Kind::CharDevice {
                    "character"
                } else {
                    "block"
                };
                let number = self
                    .device
                    .as_ref()
                    .map(|it| format!(" {}:{}", it.major, it.minor));
                format!("a {what} device{}", number.unwrap_or_default())
            }
            Kind::Fifo => "a fifo".to_owned(),
        };
        if self.implied {
            return kind;
        }
        let time = time_text(Time::at(self.mtime));
        format!(
            "{kind}, mode {:04o}, owner {}:{}, {time}",
            self.mode, self.uid, self.gid
        )
    }
}

/// A number of bytes, in words.
pub fn bytes(count: u64) -> String {
    match count {
        1 => "1 byte".to_owned(),
        count => format!("{count} bytes"),
    }
}

/// A time in UTC, to the second below; what no calendar of four digits has, in seconds.
fn time_text(time: Time) -> String {
    created::from_seconds(time.seconds).unwrap_or_else(|| format!("@{}", time.seconds))
}

#[cfg(test)]
mod tests {
    use handroll::content::Content;
    use handroll::tree::{Metadata, Tree, TreePath};

    use super::*;

    #[test]
    fn modes_are_written_as_ls_writes_them() {
        for (mode, text) in [
            (0o644, "-rw-r--r--"),
            (0o7777, "-rwsrwsrwt"),
            (0o7666, "-rwSrwSrwT"),
            (0o4711, "-rws--x--x"),
            (0, "----------"),
        ] {
            let mut tree = Tree::new(Metadata::default(), 0);
            let metadata = Metadata::new(mode, 0, 0, Time::at(0));
            let path = TreePath::parse("/f").unwrap();
            tree.make(&path, Node::File(Content::inline([])), metadata)
                .unwrap();
            let row = Row::of(tree.inode(tree.lookup(&path).unwrap()));
            assert_eq!(row.mode_text(), text);
        }
    }
}
