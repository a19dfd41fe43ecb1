//! What `tests/store.rs` has no containerd for: limits, time, namespaces, and images that attack.

use std::sync::Arc;

use super::*;
use crate::content::Content;
use crate::digest::{Digest, chain_id};
use crate::image::manifest::{CONFIG, INDEX, LAYER_TAR, MANIFEST};
use crate::scratch::MemorySpace;

struct Machine {
    store: Store,
    disk: MemoryDisk,
}

impl Machine {
    fn new() -> Self {
        Self {
            store: Store::default(),
            disk: MemoryDisk::new(Arc::new(MemorySpace)),
        }
    }

    fn client(&mut self) -> Client<'_> {
        Client::new(&mut self.store, &mut self.disk, DEFAULT_NAMESPACE, Time::at(1000))
    }
}

/// Files of a layout, which grows from the documents up.
struct Layout(Vec<ArchiveFile>);

impl Layout {
    fn new() -> Self {
        let mark = Content::inline(*br#"{"imageLayoutVersion":"1.0.0"}"#);
        Self(vec![ArchiveFile::File(b"oci-layout".to_vec(), mark)])
    }

    /// Puts a blob, and says what names it.
    fn put(&mut self, media_type: &str, bytes: &[u8]) -> String {
        let digest = Digest::of(bytes);
        let path = format!("blobs/sha256/{}", digest.hex()).into_bytes();
        self.0.push(ArchiveFile::File(path, Content::inline(bytes)));
        format!(
            r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{}}}"#,
            bytes.len()
        )
    }

    fn list(&mut self, media_type: &str, named: &[String]) -> String {
        let json = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, named.join(","));
        self.put(media_type, json.as_bytes())
    }

    /// What names an image of such tars.
    fn image(&mut self, tars: &[&[u8]]) -> String {
        let ids: Vec<String> = tars
            .iter()
            .map(|tar| format!(r#""{}""#, Digest::of(tar)))
            .collect();
        let config = format!(
            r#"{{"os":"linux","architecture":"amd64","rootfs":{{"diff_ids":[{}]}}}}"#,
            ids.join(",")
        );
        let config = self.put(CONFIG, config.as_bytes());
        let layers: Vec<String> = tars.iter().map(|tar| self.put(LAYER_TAR, tar)).collect();
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{config},"layers":[{}]}}"#,
            layers.join(",")
        );
        self.put(MANIFEST, manifest.as_bytes())
    }

    fn named(descriptor: &str, name: &str) -> String {
        let annotations = format!(r#","annotations":{{"io.containerd.image.name":"{name}"}}}}"#);
        descriptor.strip_suffix('}').expect("an object").to_owned() + &annotations
    }

    /// The archive with these in its index.json.
    fn files(mut self, named: &[String]) -> Vec<ArchiveFile> {
        let json = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, named.join(","));
        let index = Content::inline(json.into_bytes());
        self.0.push(ArchiveFile::File(b"index.json".to_vec(), index));
        self.0
    }
}

fn is_too_much<T>(result: Result<T>, of: &str) -> bool {
    matches!(result, Err(StoreError::TooMuch { what, .. }) if what == of)
}

#[test]
fn archives_that_are_none_end_soon() {
    let mut machine = Machine::new();
    let file = |number: usize| {
        ArchiveFile::File(
            format!("file-{number}").into_bytes(),
            Content::inline(number.to_string().into_bytes()),
        )
    };
    let many: Vec<ArchiveFile> = (0..10_001).map(file).collect();
    let how = Import::default();
    assert!(is_too_much(
        machine.client().import(&many, &how),
        "files in an archive"
    ));
    assert!(machine.store.blobs.is_empty());
    // Every event keeps the store as it was: that must not cost what the store is large.
    let none = machine.client().import(&many[..5_000], &how);
    assert_eq!(none.unwrap_err(), StoreError::NoImageFormat);
    assert_eq!(machine.store.blobs.len(), 5_000);

    // Each index names the one below twice: 2^40 ways to the manifest.
    let mut layout = Layout::new();
    let mut named = layout.image(&[b""]);
    for _ in 0..40 {
        named = layout.list(INDEX, &[named.clone(), named]);
    }
    let files = layout.files(&[Layout::named(&named, "bomb")]);
    assert!(is_too_much(machine.client().import(&files, &how), "descriptors"));

    // What is followed once is named often, for a platform that nobody wants: each name leads to all of it.
    let mut layout = Layout::new();
    let empty: Vec<Vec<u8>> = (0..100).map(|number| vec![0; 1024 + 512 * number]).collect();
    let layers: Vec<&[u8]> = empty.iter().map(Vec::as_slice).collect();
    let image = layout.image(&layers);
    let other = r#","platform":{"os":"windows","architecture":"arm"}}"#;
    let other = image.strip_suffix('}').expect("an object").to_owned() + other;
    let mut names = vec![Layout::named(&image, "wanted")];
    names.extend((0..700).map(|number| Layout::named(&other, &number.to_string())));
    let few = Layout(layout.0.clone()).files(&names[..100]);
    assert_eq!(machine.client().import(&few, &how).unwrap().len(), 100);
    let files = layout.files(&names);
    assert!(is_too_much(machine.client().import(&files, &how), "descriptors"));
    assert_eq!(machine.client().here().images.len(), 100);

    let mut layout = Layout::new();
    let layers: Vec<&[u8]> = vec![b""; 501];
    let named = layout.image(&layers);
    let files = layout.files(&[Layout::named(&named, "high")]);
    let images = machine.client().import(&files, &how).unwrap();
    let unpacked = machine.client().unpack(&images[0].1, &Platforms::default());
    assert!(is_too_much(unpacked, "layers"));
    assert!(machine.store.directories.is_empty());
}

#[test]
fn a_blob_stays_as_long_as_any_namespace_has_it() {
    let mut machine = Machine::new();
    let mut layout = Layout::new();
    let named = layout.image(&[b"", b""]);
    let files = layout.files(&[Layout::named(&named, "image")]);
    for namespace in ["default", "other"] {
        let mut client = machine.client();
        client.namespace = namespace.to_owned();
        let images = client.import(&files, &Import::default()).unwrap();
        client.unpack(&images[0].1, &Platforms::default()).unwrap();
        client.collect_garbage().unwrap();
    }
    // Blobs are shared between namespaces, snapshots are not.
    assert_eq!(
        (machine.store.blobs.len(), machine.store.directories.len()),
        (3, 4)
    );
    let empty = Digest::of(b"");
    let chain = chain_id(Some(empty), empty).to_string();
    assert_eq!(machine.client().parents(&chain).unwrap(), [1]);
    machine.client().remove_image("image").unwrap();
    machine.client().collect_garbage().unwrap();
    assert_eq!(machine.store.blobs.len(), 3);
    assert_eq!(*machine.store.directories, [3, 4]);
    let mut client = machine.client();
    assert_eq!(
        client.content(&empty.to_string()).unwrap_err().class(),
        Class::NotFound
    );
    client.namespace = "other".to_owned();
    client.remove_image("image").unwrap();
    client.collect_garbage().unwrap();
    assert!(machine.store.blobs.is_empty() && machine.store.directories.is_empty());
}

#[test]
fn roots_labels_and_leases_keep_what_they_should() {
    let mut machine = Machine::new();
    let mut client = machine.client();
    let put = |client: &mut Client<'_>, text: &str| {
        let content = Content::inline(text.as_bytes());
        client.add_content(text, &content).unwrap().to_string()
    };
    let names = [
        "root",
        "of root",
        "of of root",
        "flat",
        "of flat",
        "leased",
        "of leased",
        "expired",
        "named",
        "unlike",
    ];
    let [
        root,
        a,
        b,
        flat,
        of_flat,
        leased,
        of_leased,
        expired,
        named,
        unlike,
    ] = names.map(|name| put(&mut client, name));
    let label = |client: &mut Client<'_>, of: &str, key: &str, value: &str| {
        client
            .label_content(of, &[(key.to_owned(), value.to_owned())])
            .unwrap();
    };
    label(&mut client, &root, "containerd.io/gc.root", "1");
    label(&mut client, &root, "containerd.io/gc.ref.content", &a);
    label(&mut client, &a, "containerd.io/gc.ref.content/x", &b);
    label(&mut client, &flat, "containerd.io/gc.ref.content.l.0", &of_flat);
    label(
        &mut client,
        &leased,
        "containerd.io/gc.ref.content.l.0",
        &of_leased,
    );
    label(&mut client, &b, "containerd.io/gc.ref.contents", &unlike);
    for (id, digest, labels) in [
        ("flat", &flat, vec![("containerd.io/gc.flat", "")]),
        (
            "deep",
            &leased,
            vec![("containerd.io/gc.expire", "1970-01-01T00:16:41Z")],
        ),
        (
            "past",
            &expired,
            vec![("containerd.io/gc.expire", "1970-01-01T00:16:39Z")],
        ),
    ] {
        let labels = labels
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        client.create_lease(Some(id), labels.collect()).unwrap();
        client.lease = Some(id.to_owned());
        put(
            &mut client,
            names
                .iter()
                .find(|name| Digest::of(name.as_bytes()).to_string() == *digest)
                .unwrap(),
        );
        client.lease = None;
    }
    let target = Descriptor {
        digest: named.clone(),
        ..Descriptor::default()
    };
    client.create_image("image", target, Labels::new()).unwrap();
    client.collect_garbage().unwrap();
    let here = client.here();
    let kept: Vec<bool> = [
        &root, &a, &b, &flat, &of_flat, &leased, &of_leased, &expired, &named, &unlike,
    ]
    .map(|digest| here.content.has(digest))
    .to_vec();
    assert_eq!(
        kept,
        [true, true, true, true, false, true, true, false, true, false]
    );
    assert_eq!(here.leases.keys().collect::<Vec<_>>(), ["deep", "flat"]);
}

#[test]
fn chain_ids_are_those_that_sha256sum_gives() {
    // printf '%s %s' DIFFID DIFFID | sha256sum, of the two layers in image-spec's example (config.md).
    let base: Digest = "sha256:c6f988f4874bb0add23a778f753c65efe992244e148a1d2ec2a8b664fb66bbd1"
        .parse()
        .unwrap();
    let top: Digest = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
        .parse()
        .unwrap();
    let chain = "sha256:c3191d32a37d7159b2e30830937d2e30268ad6c375a773a8994911a3aba9b93f";
    assert_eq!(chain_id(Some(base), top).to_string(), chain);
}

#[test]
fn names_that_containerd_refuses() {
    for (text, is_fine) in [
        ("demo", true),
        ("a.b-c_d", true),
        ("", false),
        ("a b", false),
        ("-a", false),
        ("a..b", false),
    ] {
        assert_eq!(check_identifier("", text).is_ok(), is_fine, "{text}");
    }
    assert!(check_identifier("", &"a".repeat(77)).is_err());
    let mut machine = Machine::new();
    let long = [("k".repeat(20), "v".repeat(4077))];
    let error = machine.client().prepare("a", "", Labels::from(long)).unwrap_err();
    let says =
        "label key and value greater than maximum size (4096 bytes), key: kkkkkkkkkk: invalid argument";
    assert_eq!(
        (error.to_string().as_str(), error.class()),
        (says, Class::InvalidArgument)
    );
}
