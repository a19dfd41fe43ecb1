//! Archives of every form, and what is made of them.

use super::*;
use crate::content::Content;
use crate::image::archive::{LayerBlob, Part, archive_plan, documents};
use crate::image::{Reference, Settings};
use crate::scratch::MemorySpace;

fn open(bytes: impl Into<std::sync::Arc<[u8]>>) -> Catalog {
    let job = OpenJob::archive(&Content::inline(bytes), &MemorySpace);
    job.and_then(OpenJob::run).unwrap()
}

fn own_archive() -> Vec<u8> {
    let blobs: [&[u8]; 2] = [b"one", b"two"];
    let layers = blobs.map(LayerBlob::of_tests);
    let reference = Reference::parse("handroll").unwrap();
    let plan = archive_plan(&documents(&Settings::default(), &reference, &layers), &layers);
    let parts = plan.parts.into_iter().map(|part| match part {
        Part::Bytes(bytes) => bytes,
        Part::Blob(index) => blobs[index].to_vec(),
    });
    parts.flatten().collect()
}

#[test]
fn what_is_written_opens() {
    let catalog = open(own_archive());
    assert_eq!(catalog.format, Format::OciAndDocker);
    assert_eq!(catalog.problems, []);
    let [image] = &catalog.images[..] else {
        panic!("one image: {:?}", catalog.images);
    };
    let name = Name {
        text: "docker.io/library/handroll:latest".to_owned(),
        source: NameSource::Containerd,
    };
    assert_eq!((&image.names[..], image.docker), (&[name][..], Some(0)));
    assert_eq!(image.platform, Some(Platform::default()));
    let chain = crate::digest::chain_id(Some(Digest::of(b"one")), Digest::of(b"two"));
    assert_eq!(image.layers[1].chain_id, Some(chain));
    let config = catalog.node(image.config.unwrap());
    assert_eq!(
        config.actual,
        Some(Digest::of(config.document.as_ref().unwrap().bytes()))
    );
    let layer = catalog.node(image.layers[0].node);
    assert_eq!(layer.content.as_ref().unwrap().read_all(9).unwrap(), b"one");
    assert_eq!(
        layer.links_in.len(),
        2,
        "from the manifest and from Docker's list"
    );
}

/// Everything that is done with a catalog.
fn use_all(catalog: &Catalog) {
    for problem in &catalog.problems {
        assert!(!problem.id().is_empty() && !problem.sentence().is_empty());
    }
    let _ = crate::image::inspect::inspect(catalog, &mut |_, _| ());
    let digests = std::collections::BTreeMap::new();
    for image in 0..catalog.images.len() {
        let mut edit = rebuild::ImageEdit::default();
        if let Some(document) = catalog.images[image]
            .config
            .and_then(|id| catalog.node(id).document.clone())
        {
            let changes = rebuild::ConfigEdits {
                diff_ids: Some(vec![Digest::of(b"x")]),
                history: Some(Vec::new()),
                settings: Some((&Settings::default(), &Settings::default())),
            };
            edit.config = rebuild::edit_config(&document, &changes).ok();
        }
        edit.layers = Some(vec![rebuild::LayerSlot::Keep(0)]);
        edit.reference = Reference::parse("new").ok();
        let mut rebuild = rebuild::Rebuild::new(catalog, &digests);
        rebuild.edit(image, edit);
        rebuild.remove(image + 1);
        if let Ok(rebuilt) = rebuild.finish() {
            let size: u64 = rebuilt.files.iter().map(rebuild::OutFile::size).sum();
            assert!(size < 1 << 20);
        }
    }
}

/// Small archives of all formats, to be damaged.
fn samples() -> Vec<testing::Archive> {
    let layers = ["one", "two"];
    let image = testing::Archive::image(&layers);
    let config = testing::config(&layers);
    let hex = Digest::of(config.as_bytes()).hex();
    let list =
        format!(r#"[{{"Config":"{hex}.json","RepoTags":["x:1"],"Layers":["a/layer.tar","b/layer.tar"]}}]"#);
    let docker = testing::Archive::default()
        .file("manifest.json", list)
        .file(&format!("{hex}.json"), config)
        .file("a/layer.tar", "one")
        .file("b/layer.tar", "two");
    let legacy = testing::Archive::default()
        .file("repositories", r#"{"x":{"1":"bb"}}"#)
        .file("aa/json", r#"{"id":"aa"}"#)
        .file("aa/layer.tar", "one")
        .file("bb/json", r#"{"id":"bb","parent":"aa"}"#)
        .file("bb/layer.tar", "two");
    vec![image, docker, legacy]
}

#[test]
fn documents_cut_off_anywhere_open() {
    for archive in samples() {
        for (path, bytes) in &archive.0 {
            for end in 0..bytes.len() {
                let mut cut = archive.clone();
                cut.0.insert(path.clone(), bytes[..end].to_vec());
                use_all(&cut.open());
            }
        }
    }
}

#[test]
fn archives_cut_off_anywhere_open_or_are_refused() {
    for archive in samples() {
        let bytes = archive.tar();
        for end in (0..bytes.len()).step_by(7) {
            if let Ok(catalog) = testing::open(&bytes[..end]) {
                use_all(&catalog);
            }
        }
    }
}

#[test]
fn damage_of_any_kind_is_no_panic() {
    let mut random = crate::random::Random::of_run();
    let samples: Vec<_> = samples().iter().map(testing::Archive::tar).collect();
    for _ in 0..6000 {
        let mut bytes = samples[random.below(samples.len())].clone();
        for _ in 0..1 + random.below(3) {
            let at = random.below(bytes.len());
            bytes[at] = random.pick(b"\0\xff0123457gxLKS\"{}[]:,\\/.ab");
            // Half of the changed headers are good ones again, so that the value is looked at.
            let block = at / 512 * 512;
            if random.once_in(2) && bytes.len() >= block + 512 {
                let mut header = ::tar::Header::from_byte_slice(&bytes[block..block + 512]).clone();
                if header.as_gnu().is_some() {
                    header.set_cksum();
                    bytes[block..block + 512].copy_from_slice(header.as_bytes());
                }
            }
        }
        if let Ok(catalog) = testing::open(bytes) {
            use_all(&catalog);
        }
    }
}

#[test]
fn work_can_be_done_in_the_smallest_steps() {
    for archive in samples() {
        let mut job = OpenJob::archive(&Content::inline(archive.tar()), &MemorySpace).unwrap();
        let mut last = (0, 0);
        let catalog = loop {
            match job.step(1).unwrap() {
                Opening::Working { stage, done, total } => {
                    assert!(done <= total);
                    let now = (stage as u64, done);
                    assert!(now >= last, "progress goes on");
                    last = now;
                }
                Opening::Done(catalog) => break catalog,
            }
        };
        let whole = archive.open();
        assert_eq!(catalog.problems, whole.problems);
        assert_eq!(catalog.images.len(), whole.images.len());
    }
}

#[test]
fn what_is_missing_is_said_where_it_is_named() {
    let path = crate::image::manifest::blob_path(Digest::of(b"two"));
    let catalog = testing::Archive::image(&["one", "two"]).without(&path).open();
    let [problem] = &catalog.problems[..] else {
        panic!("one problem: {:?}", catalog.problems);
    };
    assert_eq!(problem.id(), "blob_missing");
    assert_eq!(problem.place.pointer.as_deref(), Some("/layers/1"));
    assert_eq!(
        catalog.node(catalog.images[0].layers[1].node).state,
        State::Missing
    );
}
