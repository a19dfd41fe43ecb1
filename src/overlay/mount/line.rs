//! A mount as text: the option string that mount(8) takes, with the directories that an engine would name, and
//! the line that `/proc/self/mountinfo` shows of it.

use super::{Options, Redirect};

/// The directories of a mount, as paths of the machine that mounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directories {
    /// The lower ones, the topmost first.
    pub lowers: Vec<Vec<u8>>,
    /// The upper and the work directory.
    pub upper: Option<(Vec<u8>, Vec<u8>)>,
}

/// Who mounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// containerd's overlayfs snapshotter: directories numbered in the order in which they were made.
    Containerd,
    /// Docker's overlay2: short links to the layers, since the string has to fit in a page.
    Docker,
    /// Podman: as Docker, elsewhere.
    Podman,
}

impl Engine {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Containerd, Self::Docker, Self::Podman];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }

    /// The directories for a container on so many layers, as on a machine that has nothing else. Where an engine
    /// makes names up at random, they are `layer-1`, `layer-2`, … and `container` here.
    pub fn directories(self, layers: usize) -> Directories {
        let snapshots = "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots";
        let (lower, upper, work): (Box<dyn Fn(usize) -> String>, String, String) = match self {
            Self::Containerd => (
                Box::new(move |number| format!("{snapshots}/{number}/fs")),
                format!("{snapshots}/{}/fs", layers + 1),
                format!("{snapshots}/{}/work", layers + 1),
            ),
            Self::Docker | Self::Podman => {
                let top = match self {
                    Self::Docker => "/var/lib/docker/overlay2",
                    _ => "/var/lib/containers/storage/overlay",
                };
                (
                    Box::new(move |number| format!("{top}/l/layer-{number}")),
                    format!("{top}/container/diff"),
                    format!("{top}/container/work"),
                )
            }
        };
        Directories {
            lowers: (1..=layers)
                .rev()
                .map(|number| lower(number).into_bytes())
                .collect(),
            upper: Some((upper.into_bytes(), work.into_bytes())),
        }
    }

    /// The options that it adds to those of the mount.
    fn extra(self) -> &'static [&'static str] {
        match self {
            Self::Containerd | Self::Docker => &["index=off"],
            Self::Podman => &[],
        }
    }

    /// The option string as this engine writes it.
    pub fn option_string(self, directories: &Directories, options: Options) -> Vec<u8> {
        let extra = self.extra().iter().map(|word| word.as_bytes().to_vec());
        let mut named = directory_words(directories, escape_option);
        if self == Self::Containerd {
            // workdir, upperdir, lowerdir
            named.reverse();
        }
        let words: Vec<Vec<u8>> = extra.chain(given(options)).chain(named).collect();
        words.join(&b","[..])
    }
}

/// The options that were asked for.
fn given(options: Options) -> Vec<Vec<u8>> {
    let redirect: Option<&[u8]> = match options.redirect {
        Redirect::Follow => None,
        Redirect::On => Some(b"redirect_dir=on"),
        Redirect::NoFollow if options.userxattr => None,
        Redirect::NoFollow => Some(b"redirect_dir=nofollow"),
    };
    let user: Option<&[u8]> = options.userxattr.then_some(b"userxattr");
    let words = redirect.into_iter().chain(user);
    words.map(<[u8]>::to_vec).collect()
}

/// `lowerdir=…`, `upperdir=…`, `workdir=…`.
fn directory_words(directories: &Directories, escape: impl Fn(&[u8], bool) -> Vec<u8>) -> Vec<Vec<u8>> {
    let lowers = directories.lowers.iter().map(|path| escape(path, true));
    let mut words = vec![[b"lowerdir=", &lowers.collect::<Vec<_>>().join(&b':')[..]].concat()];
    if let Some((upper, work)) = &directories.upper {
        words.push([b"upperdir=", &escape(upper, false)[..]].concat());
        words.push([b"workdir=", &escape(work, false)[..]].concat());
    }
    words
}

/// What mount(2) needs: a backslash before `\` and `,`, and in lowerdir before the `:` that would part two.
fn escape_option(path: &[u8], is_lower: bool) -> Vec<u8> {
    let mut escaped = Vec::new();
    for &byte in path {
        if matches!(byte, b'\\' | b',') || (is_lower && byte == b':') {
            escaped.push(b'\\');
        }
        escaped.push(byte);
    }
    escaped
}

/// The options as `/proc/self/mountinfo` shows them, for a mount whose upper is used for the first time.
pub fn shown_options(directories: &Directories, options: Options) -> Vec<u8> {
    let mut words = vec![b"rw".to_vec()];
    if directories.upper.is_none() {
        words[0] = b"ro".to_vec();
    }
    words.extend(directory_words(directories, |path, is_lower| {
        escape_shown(&escape_option(path, is_lower))
    }));
    let redirect: Option<&[u8]> = match options.redirect {
        Redirect::Follow if directories.upper.is_none() => Some(b"redirect_dir=on"),
        Redirect::Follow => None,
        Redirect::On => Some(b"redirect_dir=on"),
        Redirect::NoFollow => Some(b"redirect_dir=nofollow"),
    };
    words.extend(redirect.map(<[u8]>::to_vec));
    if directories.upper.is_some() && !options.user_namespace {
        words.push(b"uuid=on".to_vec());
    }
    if options.userxattr {
        words.push(b"userxattr".to_vec());
    }
    words.join(&b',')
}

/// Spaces, backslashes, commas and what would break a line are octal in mountinfo.
fn escape_shown(path: &[u8]) -> Vec<u8> {
    let mut shown = Vec::new();
    for &byte in path {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' | b',' => {
                shown.extend_from_slice(format!("\\{byte:03o}").as_bytes())
            }
            _ => shown.push(byte),
        }
    }
    shown
}
