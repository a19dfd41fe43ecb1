//! Archives that were edited, and read again: what was not touched is byte for byte what it was.

use std::collections::BTreeMap;

use super::*;
use crate::image::Settings;
use crate::image::archive::{LayerBlob, documents};
use crate::image::catalog::testing::{Archive, NAMED, config, descriptor, index, manifest};
use crate::image::json;
use crate::image::manifest::{CONFIG, INDEX, LAYER_GZIP, MANIFEST};

/// The files that are written, with the blobs of new layers, whose bytes are these texts.
fn written(rebuilt: &Rebuilt, layers: &[&str]) -> Archive {
    let files = rebuilt.files.iter().map(|file| {
        let bytes = match &file.body {
            Body::Bytes(bytes) => bytes.clone(),
            Body::Kept(content) => content.read_all(1 << 20).unwrap(),
            Body::Layer(digest, size) => {
                let layer = layers
                    .iter()
                    .find(|layer| Digest::of(layer.as_bytes()) == *digest);
                let layer = layer.expect("one of the new layers");
                assert_eq!(layer.len() as u64, *size);
                layer.as_bytes().to_vec()
            }
        };
        assert_eq!(bytes.len() as u64, file.size());
        (String::from_utf8(file.path.clone()).unwrap(), bytes)
    });
    Archive(files.collect())
}

fn new_layer(text: &str, like: Option<usize>) -> LayerSlot {
    LayerSlot::New(NewLayer {
        digest: Digest::of(text.as_bytes()),
        size: text.len() as u64,
        packing: Packing::Plain,
        like,
    })
}

fn rebuild(catalog: &Catalog, edits: impl IntoIterator<Item = (usize, ImageEdit)>) -> Rebuilt {
    let digests = (catalog.node_ids())
        .filter_map(|(id, node)| Some((id, node.content.as_ref()?.digest().unwrap())))
        .collect();
    let mut rebuild = Rebuild::new(catalog, &digests);
    for (image, edit) in edits {
        rebuild.edit(image, edit);
    }
    rebuild.finish().unwrap()
}

fn no_problems(archive: &Archive) -> Catalog {
    let catalog = archive.open();
    let sentences: Vec<_> = catalog
        .problems
        .iter()
        .map(|problem| problem.sentence())
        .collect();
    assert!(sentences.is_empty(), "{sentences:?}");
    catalog
}

/// An edit of the configuration's environment.
fn edited(catalog: &Catalog, image: usize) -> ImageEdit {
    let node = catalog.node(catalog.images[image].config.unwrap());
    let document = node.document.as_ref().unwrap();
    let before = Settings::from_config(document.root().unwrap());
    let mut after = before.clone();
    after.env.push("NEW=1".to_owned());
    let edits = ConfigEdits {
        settings: Some((&before, &after)),
        ..ConfigEdits::default()
    };
    ImageEdit {
        config: Some(edit_config(document, &edits).unwrap()),
        ..ImageEdit::default()
    }
}

#[test]
fn without_an_edit_all_bytes_are_those_that_came() {
    let archive = Archive::image(&["one", "two"])
        .blob("named by nothing")
        .file("README", "more");
    let catalog = archive.open();
    let rebuilt = rebuild(&catalog, []);
    assert_eq!(written(&rebuilt, &[]).0, archive.0);
    let paths: Vec<_> = rebuilt.files.iter().take(2).map(|file| &file.path[..]).collect();
    assert_eq!(paths, [&b"oci-layout"[..], b"index.json"]);
    // The documents before the layers.
    let sizes = rebuilt.files.iter().map(OutFile::size).skip(2);
    assert_eq!(sizes.filter(|&size| size > 100).count(), 2);
}

/// A manifest in an index in `index.json`, all indented, with members that nobody knows.
fn nested() -> Archive {
    let configs = [config(&["one"]), config(&["two"])];
    let manifests = [manifest(&configs[0], &["one"]), manifest(&configs[1], &["two"])];
    let entry = |at: usize| descriptor(MANIFEST, manifests[at].as_bytes(), ", \"x\": [ ]");
    let inner = format!(
        "{{\n  \"schemaVersion\": 2,\n  \"mediaType\": \"{INDEX}\",\n  \"unknown\": 1.50,\n  \
         \"manifests\": [\n    {},\n    {}\n  ]\n}}\n",
        entry(0),
        entry(1)
    );
    let outer = index(&[descriptor(INDEX, inner.as_bytes(), NAMED)]);
    let mut archive = Archive::new().file("index.json", outer).blob(inner);
    for text in configs.iter().chain(&manifests) {
        archive = archive.blob(text.clone());
    }
    archive.blob("one").blob("two")
}

#[test]
fn an_edit_changes_digests_and_sizes_up_to_the_root_and_nothing_else() {
    let archive = nested();
    let catalog = archive.open();
    let rebuilt = rebuild(&catalog, [(1, edited(&catalog, 1))]);
    let after = written(&rebuilt, &[]);
    let again = after.open();
    let text = |archive: &Archive, path: &[u8]| {
        String::from_utf8(archive.0[str::from_utf8(path).unwrap()].clone()).unwrap()
    };
    // Of each document on the way, only the digest and the size differ.
    for (before, now) in catalog.nodes.iter().zip(&again.nodes) {
        if !matches!(before.kind, super::super::NodeKind::Index) {
            continue;
        }
        let mut expected = text(&archive, &before.path);
        for (old, new) in catalog.links.iter().zip(&again.links) {
            if catalog.node(old.from).path == before.path {
                let digest = |link: &super::super::Link| link.digest.as_ref().unwrap().text().to_owned();
                let before = format!("\"{}\",\"size\":{}", digest(old), old.size.unwrap());
                let now = format!("\"{}\",\"size\":{}", digest(new), new.size.unwrap());
                assert!(expected.contains(&before));
                expected = expected.replace(&before, &now);
            }
        }
        assert_eq!(text(&after, &now.path), expected);
    }
    let changed = catalog.nodes.len()
        - again
            .nodes
            .iter()
            .filter(|now| {
                catalog
                    .nodes
                    .iter()
                    .any(|node| node.actual == now.actual && node.path == now.path)
            })
            .count();
    assert_eq!(
        (changed, rebuilt.changed.len()),
        (4, 4),
        "config, manifest, and two indexes"
    );
    assert!(
        again
            .problems
            .iter()
            .all(|problem| problem.severity() < super::super::Severity::Error)
    );
    let env = Settings::from_config(again.node(again.images[1].config.unwrap()).at("").unwrap()).env;
    assert_eq!(env, ["NEW=1"]);
    // The old documents are gone, the layers are not.
    assert_eq!(after.0.len(), archive.0.len());
    assert!(
        rebuilt.gone.is_empty(),
        "what changed is not gone, but written otherwise"
    );
}

#[test]
fn layers_keep_their_descriptors_and_lose_what_is_false() {
    let layers = ["one", "two", "three"];
    let config = config(&layers);
    let annotated = r#", "annotations": {"containerd.io/snapshot/stargz/toc.digest":"x","kept":"y","io.github.containers.zstd-chunked.manifest-position":"z"}, "urls":["https://example.com/"], "own": [ 1 ]"#;
    let descriptors: Vec<_> = layers
        .iter()
        .map(|layer| descriptor(LAYER_GZIP, layer.as_bytes(), annotated))
        .collect();
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{},"layers":[{}]}}"#,
        descriptor(CONFIG, config.as_bytes(), ""),
        descriptors.join(",\n")
    );
    let catalog = Archive::of(&layers, &config, &manifest).open();
    let edit = ImageEdit {
        layers: Some(vec![
            LayerSlot::Keep(2),
            new_layer("new", Some(0)),
            new_layer("newer", None),
        ]),
        ..ImageEdit::default()
    };
    let rebuilt = rebuild(&catalog, [(0, edit)]);
    let document = rebuilt.images[0].as_ref().unwrap().manifest.as_ref().unwrap();
    let expected = format!(
        "{{\"schemaVersion\":2,\"config\":{},\"layers\":[{},\n{},\n{}]}}",
        descriptor(CONFIG, config.as_bytes(), ""),
        descriptors[2],
        descriptor(
            "application/vnd.oci.image.layer.v1.tar",
            b"new",
            r#", "annotations": {"kept":"y"}, "own": [ 1 ]"#
        ),
        descriptor("application/vnd.oci.image.layer.v1.tar", b"newer", ""),
    );
    assert_eq!(String::from_utf8(document.bytes.clone()).unwrap(), expected);
    let after = written(&rebuilt, &["new", "newer"]);
    assert_eq!(rebuilt.gone.len(), 2, "the layers that are not kept");
    assert_eq!(after.0.len(), 2 + 2 + 3);
    // A layer that came out as it went in keeps its descriptor.
    let LayerSlot::New(mut same) = new_layer("one", Some(0)) else {
        unreachable!()
    };
    same.packing = Packing::Gzip;
    let edit = ImageEdit {
        layers: Some(vec![LayerSlot::New(same), LayerSlot::Keep(1), LayerSlot::Keep(2)]),
        ..ImageEdit::default()
    };
    assert!(rebuild(&catalog, [(0, edit)]).changed.is_empty());
}

#[test]
fn an_image_that_is_removed_takes_along_what_only_it_has() {
    let archive = nested();
    let catalog = archive.open();
    let digests = BTreeMap::new();
    let mut remove = Rebuild::new(&catalog, &digests);
    remove.remove(0);
    let after = written(&remove.finish().unwrap(), &[]);
    assert_eq!(
        after.0.len(),
        archive.0.len() - 3,
        "manifest, configuration and layer"
    );
    let again = after.open();
    assert_eq!(again.images.len(), 1);
    // Both, and the index that held them is gone too.
    let mut remove = Rebuild::new(&catalog, &digests);
    remove.remove(0);
    remove.remove(1);
    let after = written(&remove.finish().unwrap(), &[]);
    let paths: Vec<_> = after.0.keys().collect();
    assert_eq!(paths, ["index.json", "oci-layout"]);
    assert!(String::from_utf8_lossy(&after.0["index.json"]).ends_with("\"manifests\":[]}"));
}

#[test]
fn attestations_of_what_is_no_more_are_dropped() {
    let config = config(&["one"]);
    let image = manifest(&config, &["one"]);
    let about = format!(
        r#","annotations":{{"vnd.docker.reference.digest":"{}","vnd.docker.reference.type":"attestation-manifest"}},"platform":{{"architecture":"unknown","os":"unknown"}}"#,
        Digest::of(image.as_bytes())
    );
    let attestation = manifest("{}", &["in-toto"]);
    let entries = [
        descriptor(MANIFEST, image.as_bytes(), NAMED),
        descriptor(MANIFEST, attestation.as_bytes(), &about),
    ];
    let archive = Archive::of(&["one", "in-toto", "{}"], &config, &image)
        .blob(attestation)
        .file("index.json", index(&entries));
    let catalog = archive.open();
    assert_eq!(catalog.images.len(), 1);
    let rebuilt = rebuild(&catalog, [(0, edited(&catalog, 0))]);
    assert_eq!(rebuilt.dropped.len(), 1);
    let again = written(&rebuilt, &[]).open();
    assert_eq!(again.node(again.root("index.json").unwrap()).links_out.len(), 1);
}

/// What was a docker archive becomes the archive that handroll makes of the same image.
#[test]
fn a_docker_archive_becomes_a_layout_too() {
    let reference = Reference::parse("handroll").unwrap();
    let layers = [LayerBlob::of_tests(b"one"), LayerBlob::of_tests(b"two")];
    let made = documents(&Settings::default(), &reference, &layers);
    let hex = made.config.digest.hex();
    let list = format!(
        r#"[ {{"Config":"{hex}.json","RepoTags":["handroll:latest"],"Layers":["a/layer.tar","b/layer.tar"]}} ]"#
    );
    let docker = Archive::default()
        .file("manifest.json", list)
        .file(&format!("{hex}.json"), made.config.bytes.clone())
        .file("a/layer.tar", "one")
        .file("a/VERSION", "1.0")
        .file("b/layer.tar", "two");
    let catalog = docker.open();
    assert_eq!(catalog.format, Format::Docker);
    assert_eq!(written(&rebuild(&catalog, []), &[]).0, docker.0);
    let after = written(&rebuild(&catalog, [(0, ImageEdit::default())]), &[]);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    for (path, document) in [
        ("index.json", &made.index),
        ("oci-layout", &made.layout),
        ("manifest.json", &made.docker),
        (&blob_path(made.manifest.digest), &made.manifest),
        (&blob_path(made.config.digest), &made.config),
    ] {
        assert_eq!(text(&after.0[path]), text(&document.bytes), "{path}");
    }
    assert_eq!(after.0.len(), 7);
    no_problems(&after);
    // With a layer fewer and another name.
    let image = &catalog.images[0];
    let document = catalog.node(image.config.unwrap()).document.as_ref().unwrap();
    let edits = ConfigEdits {
        diff_ids: Some(vec![Digest::of(b"two")]),
        history: Some(vec![HistorySlot::Keep(1)]),
        ..ConfigEdits::default()
    };
    let edit = ImageEdit {
        config: Some(edit_config(document, &edits).unwrap()),
        layers: Some(vec![LayerSlot::Keep(1)]),
        reference: Some(Reference::parse("other:2").unwrap()),
        platform: None,
    };
    let again = no_problems(&written(&rebuild(&catalog, [(0, edit)]), &[]));
    assert_eq!(again.images[0].names[0].text, "docker.io/library/other:2");
    assert_eq!(again.docker[0].tags, ["other:2"]);
    assert_eq!(again.images[0].layers.len(), 1);
    // The digest of a layer that nobody computed is not guessed.
    let none = BTreeMap::new();
    let mut blind = Rebuild::new(&catalog, &none);
    blind.edit(0, ImageEdit::default());
    assert_eq!(
        blind.finish().unwrap_err(),
        RebuildError::Digest { image: 0, layer: 0 }
    );
}

#[test]
fn a_legacy_archive_gets_diff_ids() {
    let archive = Archive::default()
        .file("repositories", r#"{"old":{"1":"bb","latest":"bb"}}"#)
        .file("aa/json", r#"{"id":"aa","created":"2013-01-01T00:00:00Z"}"#)
        .file("aa/layer.tar", "one")
        .file(
            "bb/json",
            r#"{"id":"bb","parent":"aa","architecture":"amd64","os":"linux","config":{"Cmd":["x"]}}"#,
        )
        .file("bb/layer.tar", "two");
    let catalog = archive.open();
    assert_eq!(catalog.format, Format::DockerLegacy);
    let again = written(&rebuild(&catalog, [(0, ImageEdit::default())]), &[]).open();
    assert_eq!(again.format, Format::OciAndDocker);
    let image = &again.images[0];
    assert_eq!(
        image.layers[1].diff_id.as_ref().unwrap().sha256(),
        Some(Digest::of(b"two"))
    );
    let names: Vec<_> = image.names.iter().map(|name| &name.text[..]).collect();
    assert_eq!(names, ["docker.io/library/old:1", "docker.io/library/old:latest"]);
    assert_eq!(again.docker[0].tags, ["old:1", "old:latest"]);
}

#[test]
fn a_bare_layer_becomes_an_image() {
    let tar = crate::image::files::tests::tar(&[("etc/", b'5', b""), ("etc/x", b'0', b"y")]);
    let catalog = crate::image::catalog::testing::open(tar.clone()).unwrap();
    assert_eq!(catalog.format, Format::Layer);
    let unchanged = written(&rebuild(&catalog, []), &[]);
    assert_eq!(
        unchanged.0,
        BTreeMap::from([("layer.tar".to_owned(), tar.clone())])
    );
    let layer = LayerBlob::of_tests(&tar);
    let edit = ImageEdit {
        config: Some(Settings::default().document(&[layer])),
        reference: Some(Reference::parse("bare").unwrap()),
        ..ImageEdit::default()
    };
    let again = no_problems(&written(&rebuild(&catalog, [(0, edit)]), &[]));
    assert_eq!(
        again.node(again.images[0].layers[0].node).size(),
        Some(tar.len() as u64)
    );
}

#[test]
fn names_and_platforms_change_where_they_stand() {
    let catalog = Archive::image(&["one"]).open();
    let edit = ImageEdit {
        reference: Some(Reference::parse("example.com/y:2").unwrap()),
        platform: Some(Platform {
            os: "linux".to_owned(),
            architecture: "arm".to_owned(),
            variant: Some("v7".to_owned()),
        }),
        ..ImageEdit::default()
    };
    let after = written(&rebuild(&catalog, [(0, edit)]), &[]);
    let now = String::from_utf8(after.0["index.json"].clone()).unwrap();
    let more = r#","annotations":{"io.containerd.image.name":"example.com/y:2","org.opencontainers.image.ref.name":"2"},"platform":{"architecture":"arm","os":"linux","variant":"v7"}}]}"#;
    assert!(now.ends_with(more), "{now}");
}

#[test]
fn settings_come_back_from_what_they_were_written_as() {
    let settings = full();
    let document = json::Document::parse(settings.document(&[]));
    assert_eq!(Settings::from_config(document.root().unwrap()), settings);
    // Of what others wrote, all that has the right type.
    let odd = json::Document::parse(
        &br#"{"os":7,"created":null,"config":{"Env":["A",1,"B=c"],"Cmd":"x","Volumes":["/a"],"Labels":{"a":1,"b":"c"},"User":""}}"#[..],
    );
    let expected = Settings {
        env: vec!["A".to_owned(), "B=c".to_owned()],
        labels: BTreeMap::from([("b".to_owned(), "c".to_owned())]),
        ..Settings::default()
    };
    assert_eq!(Settings::from_config(odd.root().unwrap()), expected);
}

fn full() -> Settings {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    Settings {
        cmd: Some(texts(&["-v", "-v"])),
        entrypoint: Some(texts(&["/bin/x"])),
        env: texts(&["A=1", "B=2"]),
        working_dir: Some("/srv".to_owned()),
        user: Some("1000".to_owned()),
        stop_signal: Some("SIGTERM".to_owned()),
        author: Some("me".to_owned()),
        created: Some("2025-01-01T00:00:00Z".to_owned()),
        labels: BTreeMap::from([("a".to_owned(), "b".to_owned()), ("c".to_owned(), "d".to_owned())]),
        exposed_ports: texts(&["80/tcp", "90/udp"]).into_iter().collect(),
        volumes: texts(&["/data"]).into_iter().collect(),
        platform: Platform {
            os: "linux".to_owned(),
            architecture: "arm".to_owned(),
            variant: Some("v7".to_owned()),
        },
    }
}

/// Every field to and from every value; nothing else changes.
#[test]
fn settings_are_written_where_they_differ() {
    let mut random = crate::random::Random::of_run();
    let (empty, full) = (Settings::default(), full());
    let mut other = full.clone();
    other.env = vec!["B=2".to_owned(), "C=3".to_owned()];
    other.cmd = Some(vec!["-v".to_owned()]);
    other.labels.insert("c".to_owned(), "changed".to_owned());
    other.exposed_ports.remove("80/tcp");
    other.user = Some("root".to_owned());
    let all = [&empty, &full, &other];
    for _ in 0..500 {
        let mut mixed = || {
            let pick = |random: &mut crate::random::Random| random.pick(&all);
            Settings {
                cmd: pick(&mut random).cmd.clone(),
                entrypoint: pick(&mut random).entrypoint.clone(),
                env: pick(&mut random).env.clone(),
                working_dir: pick(&mut random).working_dir.clone(),
                user: pick(&mut random).user.clone(),
                stop_signal: pick(&mut random).stop_signal.clone(),
                author: pick(&mut random).author.clone(),
                created: pick(&mut random).created.clone(),
                labels: pick(&mut random).labels.clone(),
                exposed_ports: pick(&mut random).exposed_ports.clone(),
                volumes: pick(&mut random).volumes.clone(),
                platform: pick(&mut random).platform.clone(),
            }
        };
        let (before, after) = (mixed(), mixed());
        let text = String::from_utf8(before.document(&[])).unwrap();
        // Members that only others know, in both objects; sometimes there is no inner one.
        let text = match text.contains("\"config\":{}") {
            true => text.replace(",\"config\":{}", ",\"own\": 1.0"),
            false => text.replace(
                "\"config\":{",
                "\"own\": 1.0,\"config\":{\"Healthcheck\": {\"Test\":[ ]},",
            ),
        };
        let document = json::Document::parse(text.clone().into_bytes());
        let edits = ConfigEdits {
            settings: Some((&before, &after)),
            ..ConfigEdits::default()
        };
        let bytes = edit_config(&document, &edits).unwrap();
        let now = json::Document::parse(&bytes[..]);
        assert_eq!(Settings::from_config(now.root().unwrap()), after, "{text}");
        let now = String::from_utf8(bytes).unwrap();
        assert!(now.contains("\"own\": 1.0"));
        assert_eq!(
            now.contains("\"Healthcheck\": {\"Test\":[ ]}"),
            text.contains("Healthcheck")
        );
        assert_eq!(now == text, before == after);
    }
}

#[test]
fn the_history_follows_the_layers() {
    let text = r#"{"rootfs":{"type":"layers","diff_ids":[ "a" , "b" ]},"history":[{"created_by":"x", "own":1},{"created_by":"y"}]}"#;
    let document = json::Document::parse(text.as_bytes());
    let edit = |history: Vec<HistorySlot>| {
        let edits = ConfigEdits {
            history: Some(history),
            ..ConfigEdits::default()
        };
        edit_config(&document, &edits).map(|bytes| String::from_utf8(bytes).unwrap())
    };
    let new = NewHistory {
        created_by: Some("z".to_owned()),
        empty_layer: true,
        ..NewHistory::default()
    };
    let now = edit(vec![
        HistorySlot::Emptied(1),
        HistorySlot::New(new),
        HistorySlot::Keep(0),
    ])
    .unwrap();
    assert_eq!(
        now,
        r#"{"rootfs":{"type":"layers","diff_ids":[ "a" , "b" ]},"history":[{"created_by":"y","empty_layer":true},{"created_by":"z","empty_layer":true},{"created_by":"x", "own":1}]}"#
    );
    assert!(edit(vec![HistorySlot::Keep(2)]).is_err());
}
