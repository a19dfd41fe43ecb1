//! The sample: the article's image in two layers, made by operations like any other, with a program of our
//! own in the place of its busybox, so that the download runs as it is.

use crate::image::config::{ConfigField, Platform};
use crate::tree::{Node, TreePath};

use super::Workbench;
use super::error::WorkbenchError;
use super::operation::{Action, Attributes, ContentRef, ImageId, LayerId, NewEntry};
use crate::base64;

/// Where the sample's program stands.
const PROGRAM: &str = "/bin/show";

/// The sample's program for a processor; its source is beside it.
pub fn sample_program(architecture: &str) -> Option<&'static [u8]> {
    match architecture {
        "amd64" => Some(include_bytes!("../sample/show-amd64")),
        "arm64" => Some(include_bytes!("../sample/show-arm64")),
        _ => None,
    }
}

fn program(architecture: &str) -> Result<NewEntry, WorkbenchError> {
    let bytes = sample_program(architecture).ok_or_else(|| WorkbenchError::NoProgram {
        platform: format!("linux/{architecture}"),
    })?;
    Ok(NewEntry::File {
        content: ContentRef::Base64 {
            base64: base64::encode(bytes),
        },
    })
}

fn make(layer: LayerId, path: &str, entry: NewEntry) -> Action {
    let mode = (path == PROGRAM).then_some(0o755);
    Action::Make {
        layer,
        path: path.to_owned(),
        entry,
        attributes: Attributes {
            mode,
            ..Attributes::default()
        },
        parents: false,
        replace: false,
    }
}

fn text(text: &str) -> NewEntry {
    NewEntry::File {
        content: ContentRef::Text {
            text: text.to_owned(),
        },
    }
}

/// The sample as one action: the image `image` with the layers `base` and, of the next id, `delta`.
pub fn sample(image: ImageId, base: LayerId, architecture: &str) -> Result<Action, WorkbenchError> {
    let delta = base.wrapping_add(1);
    let link = || NewEntry::Symlink {
        target: "show".to_owned(),
    };
    let platform = Platform {
        os: "linux".to_owned(),
        architecture: architecture.to_owned(),
        variant: None,
    };
    let layer = |layer, name: &str| Action::AddLayer {
        image,
        layer,
        name: name.to_owned(),
        position: None,
    };
    let history = |layer, text: &str| Action::SetHistory {
        layer,
        created_by: Some(text.to_owned()),
        comment: None,
    };
    let actions = vec![
        Action::CreateImage {
            image,
            name: "docker.io/library/handroll:latest".to_owned(),
        },
        Action::SetConfig {
            image,
            set: ConfigField::Platform(platform),
        },
        Action::SetConfig {
            image,
            set: ConfigField::Cmd(Some(vec![PROGRAM.to_owned()])),
        },
        layer(base, "base"),
        history(base, "COPY build/base/ /"),
        make(base, "/bin", NewEntry::Directory),
        make(base, PROGRAM, program(architecture)?),
        make(base, "/bin/cat", link()),
        make(base, "/bin/ls", link()),
        make(base, "/data", NewEntry::Directory),
        make(base, "/data/config.txt", text("base config\n")),
        make(base, "/hello.txt", text("hello from base\n")),
        layer(delta, "delta"),
        history(delta, "COPY build/delta/ /"),
        make(delta, "/data", NewEntry::Directory),
        Action::Whiteout {
            layer: delta,
            path: "/data/config.txt".to_owned(),
            parents: false,
        },
        make(delta, "/hello.txt", text("hello from delta\n")),
    ];
    Ok(Action::Group {
        label: "the article's image".to_owned(),
        actions,
    })
}

/// The action that gives an image another platform, and each sample program in it the one that runs there.
pub fn switch_platform(
    workbench: &Workbench,
    image: ImageId,
    platform: Platform,
) -> Result<Action, WorkbenchError> {
    let state = workbench.state().image(image)?;
    let known: Vec<&[u8]> = ["amd64", "arm64"]
        .into_iter()
        .filter_map(sample_program)
        .collect();
    let label = format!("platform {platform}");
    let replacement = program(&platform.architecture);
    let mut actions = vec![Action::SetConfig {
        image,
        set: ConfigField::Platform(platform),
    }];
    let path = TreePath::parse(PROGRAM)?;
    for layer in &state.layers {
        let tree = layer.layer.tree();
        let Some(inode) = tree.lookup(&path).map(|ino| tree.inode(ino)) else {
            continue;
        };
        let Node::File(content) = &inode.node else {
            continue;
        };
        let is_sample = known.iter().any(|program| content.len() == program.len() as u64)
            && known.contains(&&content.read_all(1 << 20)?[..]);
        if let (true, Ok(NewEntry::File { content })) = (is_sample, &replacement) {
            let (layer, path, content) = (layer.id, PROGRAM.to_owned(), content.clone());
            actions.push(Action::Write {
                layer,
                path: path.clone(),
                content,
            });
            let attributes = Attributes {
                mtime: Some(inode.metadata.mtime),
                ..Attributes::default()
            };
            actions.push(Action::SetAttributes {
                layer,
                path,
                attributes,
            });
        }
    }
    Ok(Action::Group { label, actions })
}
