//! Archives that are opened, changed and written back.

use std::sync::Arc;

use super::tests::{Memory, bytes, finish, operation, session};
use super::*;
use crate::digest::Digest;
use crate::tree::TreePath;

/// Opens some bytes as archive 1 in a session of its own.
fn open(archive: Vec<u8>) -> Workbench {
    let mut workbench = Workbench::new();
    let length = archive.len() as u64;
    workbench.open_source(1, Arc::new(Memory(archive))).unwrap();
    let content = ContentRef::Source {
        source: 1,
        offset: 0,
        length,
    };
    let open = Action::OpenArchive {
        archive: 1,
        name: "some.tar".to_owned(),
        from: ArchiveFiles::Tar { content },
        first_image: 10,
        first_layer: 20,
    };
    workbench.apply(operation(open)).unwrap();
    workbench
}

fn archive_of(workbench: &Workbench) -> Vec<u8> {
    bytes(workbench.export(&Export::Archive { archive: 1 }).unwrap())
}

/// The article's image as an archive.
fn sample_archive() -> Vec<u8> {
    let mut workbench = session();
    finish(&mut workbench);
    bytes(workbench.export(&Export::Image { image: 1 }).unwrap())
}

/// The files of an archive, without its directories.
fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let entries = crate::tar::Entries::new(Content::inline(archive)).map(Result::unwrap);
    let files = entries.filter(|entry| entry.entry_type == crate::tar::ReadType::Regular);
    let named = files.map(|entry| (escaped(&entry.name), entry.content.read_all(1 << 20).unwrap()));
    named.collect()
}

fn escaped(name: &[u8]) -> String {
    crate::text::escape(name)
}

fn apply(workbench: &mut Workbench, action: Action) {
    workbench.apply(operation(action)).unwrap();
    finish(workbench);
}

#[test]
fn what_is_opened_is_written_as_it_came() {
    let archive = sample_archive();
    let mut workbench = open(archive.clone());
    assert_eq!(
        files(&archive_of(&workbench)),
        files(&archive),
        "before it is read"
    );
    finish(&mut workbench);
    assert_eq!(files(&archive_of(&workbench)), files(&archive));
    let image = bytes(workbench.export(&Export::Image { image: 10 }).unwrap());
    assert_eq!(files(&image), files(&archive), "it is the only one");
    let mut again = open(archive_of(&workbench));
    finish(&mut again);
    assert_eq!(archive_of(&again), archive_of(&workbench));
}

#[test]
fn an_edit_changes_its_own_blob_and_what_names_it() {
    let archive = sample_archive();
    let before = files(&archive);
    let mut workbench = open(archive);
    let layers: Vec<LayerId> = workbench
        .state()
        .image(10)
        .unwrap()
        .layers
        .iter()
        .map(|layer| layer.id)
        .collect();
    assert_eq!(layers, [20, 21]);
    let write = Action::Write {
        layer: 21,
        path: "/hello.txt".to_owned(),
        content: ContentRef::Text {
            text: "another hello\n".to_owned(),
        },
    };
    // Before it is read: then it is read on the way.
    apply(&mut workbench, write);
    let after = files(&archive_of(&workbench));
    let kept = before
        .iter()
        .filter(|(name, content)| after.get(*name) == Some(content));
    let kept: Vec<&String> = kept.map(|(name, _)| name).collect();
    // The marker and the other layer.
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert_eq!(after.len(), before.len());
    let mut reopened = open(archive_of(&workbench));
    finish(&mut reopened);
    let tree = reopened.state().layer(21).unwrap().layer.tree().clone();
    let ino = tree.lookup(&TreePath::parse("/hello.txt").unwrap()).unwrap();
    let crate::tree::Node::File(content) = &tree.inode(ino).node else {
        panic!("it is a file");
    };
    assert_eq!(content.read_all(100).unwrap(), b"another hello\n");
    assert!(workbench.undo());
    finish(&mut workbench);
    assert_eq!(files(&archive_of(&workbench)), before);
}

#[test]
fn layers_are_dropped_squashed_split_and_moved() {
    let archive = sample_archive();
    let merged = |workbench: &Workbench| {
        let image = workbench.state().image(10).unwrap().clone();
        let trees: Vec<_> = image
            .layers
            .iter()
            .map(|layer| layer.layer.tree().clone())
            .collect();
        crate::overlay::naive::merged_listing(&trees)
    };
    let mut workbench = open(archive.clone());
    finish(&mut workbench);
    let before = merged(&workbench);
    apply(&mut workbench, Action::SquashLayers { bottom: 20, top: 21 });
    assert_eq!(workbench.state().image(10).unwrap().layers.len(), 1);
    assert_eq!(merged(&workbench), before);
    let config = workbench.query(&Query::Document {
        image: 10,
        document: "config".to_owned(),
    });
    let Ok(Answer::Document(Some(config))) = config else {
        panic!("the config is known");
    };
    assert_eq!(config.text.matches("empty_layer").count(), 1, "{}", config.text);
    assert!(workbench.undo());
    let split = Action::SplitLayer {
        layer: 21,
        new_layer: 30,
        name: "split".to_owned(),
        paths: vec!["/hello.txt".to_owned()],
    };
    apply(&mut workbench, split);
    assert_eq!(workbench.state().image(10).unwrap().layers.len(), 3);
    assert_eq!(merged(&workbench), before);
    assert!(workbench.undo());
    apply(&mut workbench, Action::RemoveLayer { layer: 21 });
    let mut reopened = open(archive_of(&workbench));
    finish(&mut reopened);
    assert_eq!(reopened.state().image(10).unwrap().layers.len(), 1);
}

#[test]
fn a_path_goes_out_of_every_layer() {
    let mut workbench = open(sample_archive());
    let remove = |path: &str| Action::RemovePath {
        image: 10,
        path: path.to_owned(),
    };
    apply(&mut workbench, remove("/hello.txt"));
    for layer in [20, 21] {
        let tar = bytes(workbench.export(&Export::LayerTar { layer }).unwrap());
        let names = files(&tar);
        assert!(!names.keys().any(|name| name.contains("hello.txt")), "{names:?}");
    }
    let refused = workbench.apply(operation(remove("/hello.txt")));
    assert_eq!(refused.unwrap_err().code(), "not_found");
    assert_eq!(
        workbench.apply(operation(remove("/"))).unwrap_err().code(),
        "root"
    );
}

#[test]
fn a_bare_layer_becomes_an_image() {
    let mut made = session();
    finish(&mut made);
    let tar = bytes(made.export(&Export::LayerTar { layer: 1 }).unwrap());
    let diff_id = crate::digest::Digest::of(&tar);
    let mut workbench = open(tar.clone());
    finish(&mut workbench);
    let BlobState::Known(blob) = workbench.blob_state(20) else {
        panic!("it is hashed");
    };
    assert_eq!((blob.diff_id, blob.digest), (diff_id, diff_id));
    let image = files(&bytes(workbench.export(&Export::Image { image: 10 }).unwrap()));
    assert!(image.values().any(|content| *content == tar));
    assert!(image.contains_key("index.json") && image.contains_key("manifest.json"));
}

#[test]
fn damage_is_shown_and_stays_in_its_layer() {
    let archive = sample_archive();
    for length in (0..archive.len()).step_by(997) {
        let mut workbench = Workbench::new();
        workbench
            .open_source(1, Arc::new(Memory(archive[..length].to_vec())))
            .unwrap();
        let content = ContentRef::Source {
            source: 1,
            offset: 0,
            length: length as u64,
        };
        let open = Action::OpenArchive {
            archive: 1,
            name: "cut".to_owned(),
            from: ArchiveFiles::Tar { content },
            first_image: 10,
            first_layer: 20,
        };
        if workbench.apply(operation(open)).is_err() {
            continue;
        }
        finish(&mut workbench);
        let Ok(Answer::Overview(overview)) = workbench.query(&Query::Overview) else {
            panic!("there is always an overview");
        };
        assert!(!overview.busy, "{length}");
        for layer in workbench.state().layers().cloned().collect::<Vec<_>>() {
            let edit = Action::SetOpaque {
                layer: layer.id,
                path: "/".to_owned(),
                opaque: true,
                parents: false,
            };
            let whole = layer.layer.check_whole().is_ok();
            assert_eq!(workbench.apply(operation(edit)).is_ok(), whole, "{length}");
        }
    }
}

#[test]
fn the_ribbon_shows_what_is_written() {
    let mut workbench = open(sample_archive());
    finish(&mut workbench);
    for edited in [false, true] {
        if edited {
            apply(&mut workbench, Action::StripTimes { layer: 21 });
        }
        let tar = bytes(workbench.export(&Export::LayerTar { layer: 21 }).unwrap());
        let Ok(Answer::Blocks(blocks)) = workbench.query(&Query::Blocks {
            layer: 21,
            from: 0,
            limit: 100,
        }) else {
            panic!("a layer has blocks");
        };
        assert_eq!(blocks.size, tar.len() as u64);
        let mut at = 0;
        for run in &blocks.runs {
            assert_eq!(run.offset, at, "no block is left out");
            at += run.blocks * 512;
        }
        assert_eq!(at, blocks.size);
        assert_eq!(workbench.tar_bytes(21, 0, blocks.size).unwrap(), tar);
        let Ok(Answer::Entry(Some(number))) = workbench.query(&Query::EntryOf {
            layer: 21,
            path: "/hello.txt".to_owned(),
        }) else {
            panic!("it is there");
        };
        let Ok(Answer::Blocks(one)) = workbench.query(&Query::Blocks {
            layer: 21,
            from: number,
            limit: 1,
        }) else {
            panic!("a layer has blocks");
        };
        let start = one.runs[0].entry.unwrap();
        let Ok(Answer::Fields(fields)) = workbench.query(&Query::Fields {
            layer: 21,
            offset: start,
        }) else {
            panic!("an entry has fields");
        };
        let name = fields
            .iter()
            .find(|field| field.attribute == Some("path"))
            .unwrap();
        assert!(name.value.contains("hello.txt"), "{fields:?}");
        assert_eq!(
            workbench.entry_at(21, name.offset).unwrap(),
            Some(number),
            "the field is the entry's"
        );
    }
}

fn checked(workbench: &mut Workbench, image: ImageId) -> Vec<checking::CheckFinding> {
    for _ in 0..1000 {
        let Ok(Answer::Check(view)) = workbench.query(&Query::Check { image }) else {
            panic!("an image can be checked");
        };
        if view.progress.is_none() {
            return view.findings;
        }
    }
    panic!("the check does not end");
}

#[test]
fn what_does_not_fit_is_found_and_mended() {
    let archive = sample_archive();
    let mut workbench = open(archive.clone());
    finish(&mut workbench);
    let errors = |findings: &[checking::CheckFinding]| {
        let errors = findings.iter().filter(|finding| finding.severity == "error");
        errors.map(|finding| finding.id).collect::<Vec<_>>()
    };
    let found = checked(&mut workbench, 10);
    assert!(errors(&found).is_empty(), "{found:?}");

    // Another blob under the name of the upper layer's.
    let layer = workbench.state().layer(21).unwrap().clone();
    let blob = layer.layer.origin().unwrap().blob().read_all(1 << 20).unwrap();
    let at = archive
        .windows(blob.len())
        .position(|window| window == blob)
        .unwrap();
    let mut broken = archive;
    broken[at + 9] ^= 1;
    let mut workbench = open(broken);
    finish(&mut workbench);
    let found = checked(&mut workbench, 10);
    let finding = found
        .iter()
        .find(|finding| finding.place.layer == Some(21) && finding.fix.is_some());
    let finding = finding.unwrap_or_else(|| panic!("{found:?}"));
    assert!(errors(&found).contains(&finding.id), "{found:?}");
    let fix = finding.fix.clone().unwrap();
    apply(&mut workbench, fix.action);
    let found = checked(&mut workbench, 10);
    assert!(!errors(&found).contains(&finding.id), "{found:?}");
    let mut again = open(archive_of(&workbench));
    finish(&mut again);
    let found = checked(&mut again, 10);
    assert!(errors(&found).is_empty(), "{found:?}");
}

#[test]
fn digests_of_what_is_no_tar_are_told_too() {
    let mut archive = sample_archive();
    let mut workbench = open(archive.clone());
    assert_eq!(workbench.state().held(), 0);
    finish(&mut workbench);
    let entries = |workbench: &Workbench| {
        let layers = workbench.state().layers();
        layers
            .map(|layer| layer.layer.tree().counts().entries as usize)
            .sum::<usize>()
    };
    assert!(workbench.state().held() >= entries(&workbench) && entries(&workbench) > 0);
    // In place of the upper layer a gzip of as many bytes, with text in it.
    let layer = workbench.state().layer(21).unwrap().clone();
    let blob = layer.layer.origin().unwrap().blob().read_all(1 << 20).unwrap();
    let at = archive
        .windows(blob.len())
        .position(|window| window == blob)
        .unwrap();
    let text = vec![b'x'; blob.len() - 23];
    let length = text.len() as u16;
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    gzip.extend(length.to_le_bytes().into_iter().chain((!length).to_le_bytes()));
    gzip.extend(&text);
    gzip.extend(
        crc32fast::hash(&text)
            .to_le_bytes()
            .into_iter()
            .chain(u32::from(length).to_le_bytes()),
    );
    archive.splice(at..at + blob.len(), gzip);
    let mut workbench = open(archive);
    finish(&mut workbench);
    let found = checked(&mut workbench, 10);
    let ids: Vec<_> = found.iter().map(|finding| finding.id).collect();
    for id in ["damaged", "digest_mismatch", "diff_id_mismatch"] {
        assert!(ids.contains(&id), "{id}: {ids:?}");
    }
}

#[test]
fn a_digest_that_cannot_be_computed_is_not_called_verified() {
    let mut files = files(&sample_archive());
    let text =
        |files: &BTreeMap<String, Vec<u8>>, name: &str| String::from_utf8(files[name].clone()).unwrap();
    let blob = |digest: &str| format!("blobs/{}", digest.replace(':', "/"));
    let index = text(&files, "index.json");
    let of = |text: &str, at: &str| {
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        value.pointer(at).unwrap().clone()
    };
    let named = of(&index, "/manifests/0/digest").as_str().unwrap().to_owned();
    let manifest = text(&files, &blob(&named));
    let layer = of(&manifest, "/layers/1/digest").as_str().unwrap().to_owned();
    let long = format!("sha512:{}", "ab".repeat(64));
    let renamed = manifest.replace(&layer, &long);
    let digest = Digest::of(renamed.as_bytes()).to_string();
    let sizes = [&manifest, &renamed].map(|text| format!("\"size\":{}", text.len()));
    assert!(index.contains(&sizes[0]), "{index}");
    let index = index.replace(&named, &digest).replace(&sizes[0], &sizes[1]);
    let bytes = files.remove(&blob(&layer)).unwrap();
    files.insert(blob(&long), bytes);
    files.remove(&blob(&named));
    files.insert(blob(&digest), renamed.into_bytes());
    files.insert("index.json".to_owned(), index.into_bytes());
    let mut archive = ::tar::Builder::new(Vec::new());
    for (name, content) in &files {
        let mut header = ::tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, &content[..]).unwrap();
    }
    let mut workbench = open(archive.into_inner().unwrap());
    finish(&mut workbench);
    let graph = workbench.graph(1).unwrap();
    let states = |digest: &str| {
        let named = graph
            .nodes
            .iter()
            .filter(|node| node.digest.as_deref() == Some(digest));
        named.map(|node| node.state).collect::<Vec<_>>()
    };
    assert_eq!(states(&long), ["uncomputed"]);
    assert_eq!(states(&digest), ["verified"]);
    let first = of(&manifest, "/layers/0/digest");
    assert_eq!(states(first.as_str().unwrap()), ["verified"]);
    let found = workbench.check(10).unwrap().findings;
    let found = found.iter().map(|finding| finding.id).collect::<Vec<_>>();
    assert!(found.contains(&"digest_unverified"), "{found:?}");
}
