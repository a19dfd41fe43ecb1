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
