//! Problems of documents: their kinds, their members, names and platforms.

use std::collections::BTreeSet;

use super::testing::{
    Archive, LAYERS, NAMED, config, descriptor, digest, expect, found, index, manifest, with_config,
    with_index, with_manifest,
};
use super::*;
use crate::image::manifest::{INDEX, LAYER_GZIP, LAYER_TAR, MANIFEST};
#[test]
fn documents_of_the_wrong_kind() {
    let both = with_manifest(|text| text.replacen('{', r#"{"manifests":[],"#, 1));
    expect(&both, &[("type_confusion", "")]);
    let both = with_index(|text| text.replacen('{', r#"{"layers":[],"#, 1));
    expect(&both, &[("type_confusion", "")]);
    // A manifest that is said to be an index is read as what it is.
    let config = config(&LAYERS);
    let manifest = manifest(&config, &LAYERS);
    let entry = descriptor(INDEX, manifest.as_bytes(), NAMED);
    let said = Archive::of(&LAYERS, &config, &manifest)
        .file("index.json", index(&[entry]))
        .open();
    expect(
        &said,
        &[("media_type_mismatch", "/manifests/0"), ("type_confusion", "")],
    );
    assert_eq!(said.images.len(), 1);
    // An index that is said to be a manifest.
    let inner = index(&[descriptor(MANIFEST, manifest.as_bytes(), "")]);
    let entry = descriptor(MANIFEST, inner.as_bytes(), NAMED);
    let said = Archive::of(&LAYERS, &config, &manifest)
        .blob(inner)
        .file("index.json", index(&[entry]))
        .open();
    expect(
        &said,
        &[("media_type_mismatch", "/manifests/0"), ("type_confusion", "")],
    );
    assert_eq!(said.images.len(), 1);
    expect(
        &with_manifest(|text| text.replace(":2,", ":1,")),
        &[("schema_version", "/schemaVersion")],
    );
    expect(
        &with_manifest(|text| text.replace(":2,", ":\"2\",")),
        &[("schema_version", "/schemaVersion")],
    );
    expect(
        &with_manifest(|text| text.replace(&format!(r#""mediaType":"{MANIFEST}","#), "")),
        &[("media_type_absent", "")],
    );
    expect(
        &with_index(|text| text.replace(INDEX, MANIFEST)),
        &[("media_type_mismatch", "/mediaType")],
    );
    let old = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    expect(
        &with_index(|text| text.replace(&format!("\"{MANIFEST}\""), &format!("\"{old}\""))),
        &[("blobs_unnamed", ""), ("manifest_schema_1", "/manifests/0")],
    );
}

#[test]
fn artifacts() {
    let empty = "application/vnd.oci.empty.v1+json";
    let artifact = |config_type: &str, config: &str, more: &str| {
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}",{more}"config":{},"layers":[{}]}}"#,
            descriptor(config_type, config.as_bytes(), ""),
            descriptor("text/plain", b"one", "")
        );
        let entry = descriptor(MANIFEST, text.as_bytes(), NAMED);
        let archive = Archive::new().file("index.json", index(&[entry]));
        archive.blob(config).blob("one").blob(text).open()
    };
    let typed = r#""artifactType":"text/plain","#;
    let good = artifact(empty, "{}", typed);
    expect(&good, &[]);
    assert!(good.images.is_empty(), "what is no image cannot be run");
    expect(&artifact(empty, "{}", ""), &[("artifact_type_missing", "")]);
    expect(&artifact(empty, "{ }", typed), &[("empty_descriptor", "/config")]);
    expect(&artifact("text/x", "anything", ""), &[]);
    let about = format!(r#"{typed}"subject":{},"#, descriptor(MANIFEST, b"not here", ""));
    expect(&artifact(empty, "{}", &about), &[]);
    expect(
        &artifact(empty, "{}", r#""artifactType":"text","#),
        &[("media_type_form", "/artifactType")],
    );
}

#[test]
fn attestations() {
    let config = config(&LAYERS);
    let image = manifest(&config, &LAYERS);
    let attestation = manifest("{}", &["in-toto"]);
    let with = |about: &str| {
        let more = format!(
            r#","annotations":{{{about}"vnd.docker.reference.type":"attestation-manifest"}},"platform":{{"architecture":"unknown","os":"unknown"}}"#
        );
        let inner = index(&[
            descriptor(
                MANIFEST,
                image.as_bytes(),
                r#","platform":{"architecture":"amd64","os":"linux"}"#,
            ),
            descriptor(MANIFEST, attestation.as_bytes(), &more),
        ]);
        let entry = descriptor(INDEX, inner.as_bytes(), NAMED);
        let archive = Archive::of(&["one", "two", "in-toto", "{}"], &config, &image);
        archive
            .blob(attestation.clone())
            .blob(inner)
            .file("index.json", index(&[entry]))
            .open()
    };
    let about = format!(r#""vnd.docker.reference.digest":"{}","#, digest(&image));
    let good = with(&about);
    // The attestation's configuration is `{}` in this test.
    let of_config = [("field_missing", ""); 3];
    expect(&good, &of_config);
    assert_eq!(good.images.len(), 1);
    let kinds: BTreeSet<_> = good.nodes.iter().map(|node| node.kind).collect();
    assert!(kinds.contains(&NodeKind::Attestation));
    let wrong = format!(r#""vnd.docker.reference.digest":"{}","#, digest("x"));
    for about in [&wrong[..], ""] {
        let expected = [&[("attestation_subject", "/manifests/1")][..], &of_config].concat();
        expect(&with(about), &expected);
    }
}

#[test]
fn layers() {
    expect(
        &with_manifest(|text| text.replace(LAYER_TAR, "text/plain")),
        &[
            ("layer_type_unknown", "/layers/0"),
            ("layer_type_unknown", "/layers/1"),
        ],
    );
    let docker = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    for (media_type, severity) in [(LAYER_GZIP, Severity::Error), (docker, Severity::Warning)] {
        let catalog = with_manifest(|text| text.replacen(LAYER_TAR, media_type, 1));
        expect(&catalog, &[("layer_packing_mismatch", "/layers/0")]);
        assert_eq!(catalog.problems[0].severity(), severity);
    }
    let zstd = "\u{28}\u{b5}/\u{fd}".chars().map(|c| c as u8).collect::<Vec<_>>();
    let config = config(&["one"]);
    let layer = descriptor("application/vnd.oci.image.layer.v1.tar+zstd", &zstd, "");
    let manifest = manifest(&config, &["one"]).replace(&descriptor(LAYER_TAR, b"one", ""), &layer);
    let archive = Archive::of(&[], &config, &manifest).blob(zstd);
    expect(&archive.open(), &[("layer_zstd", "/layers/0")]);
    let none = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let manifest = super::testing::manifest(none, &[]);
    expect(
        &Archive::of(&[], none, &manifest).open(),
        &[("no_layers", "/layers")],
    );
}

#[test]
fn names() {
    let named = |name: &str| {
        with_index(|text| {
            text.replace(r#""io.containerd.image.name":"docker.io/library/x:1","#, "")
                .replace(r#"ref.name":"1""#, &format!(r#"ref.name":"{name}""#))
        })
    };
    expect(&named("docker.io/library/x:1"), &[]);
    expect(&named("1"), &[("name_is_bare_tag", "/manifests/0")]);
    for bad in ["a b", "a--b--", "a..b", ":x/", "a//b"] {
        let found = found(&named(bad));
        assert!(
            found.contains(&("ref_name_form", "/manifests/0".to_owned())),
            "{bad}: {found:?}"
        );
    }
    for good in ["a--b/c", "a-b_c.d:1@2+3"] {
        let found = found(&named(good));
        assert!(
            !found.iter().any(|(id, _)| *id == "ref_name_form"),
            "{good}: {found:?}"
        );
    }
    for name in ["x:1", "docker.io/x:1", "X"] {
        let catalog = with_index(|text| text.replace("docker.io/library/x:1", name));
        expect(&catalog, &[("name_not_canonical", "/manifests/0")]);
    }
    let start = r#","annotations""#;
    let unnamed = with_index(|text| {
        let (at, end) = (text.find(start).unwrap(), text.find(r#","platform""#).unwrap());
        text[..at].to_owned() + &text[end..]
    });
    expect(&unnamed, &[("no_name", "/manifests/0")]);
    let twice = with_index(|text| {
        let (at, end) = (text.find('[').unwrap() + 1, text.find("]}").unwrap());
        format!("{},{}]}}", &text[..end], &text[at..end])
    });
    expect(&twice, &[("several_images", ""), ("name_twice", "/manifests/1")]);
    assert_eq!(
        (twice.images.len(), twice.images[0].names.len()),
        (1, 2),
        "one image of two names"
    );
    let inner = r#","annotations":{"org.opencontainers.image.ref.name":"1"}"#;
    let misplaced = with_manifest(|text| {
        text.replace(
            &descriptor(LAYER_TAR, b"two", ""),
            &descriptor(LAYER_TAR, b"two", inner),
        )
    });
    expect(&misplaced, &[("ref_name_misplaced", "/layers/1")]);
}

#[test]
fn platforms() {
    let claims = |architecture: &str| {
        with_index(|text| {
            text.replace(
                r#""architecture":"amd64""#,
                &format!(r#""architecture":"{architecture}""#),
            )
        })
    };
    expect(&claims("arm64"), &[("platform_mismatch", "/manifests/0")]);
    expect(&claims("x86_64"), &[("platform_alias", "/manifests/0")]);
    let config = |text: &str| with_config(|config| config.replace(r#""architecture":"amd64""#, text));
    expect(&config(r#""architecture":"amd64","variant":"v1""#), &[]);
    expect(
        &config(r#""architecture":"amd64","variant":"v3""#),
        &[("platform_mismatch", "/manifests/0")],
    );
    expect(
        &config(r#""architecture":"x86_64""#),
        &[("platform_alias", "/architecture")],
    );
    expect(&config(r#""variant":"v1""#), &[("field_missing", "")]);
    expect(
        &with_index(|text| text.replace(r#","os":"linux""#, "")),
        &[("field_missing", "/manifests/0/platform")],
    );
    // Two manifests for one platform in an index of their own.
    let texts = [super::testing::config(&["one"]), super::testing::config(&["two"])];
    let manifests = [manifest(&texts[0], &["one"]), manifest(&texts[1], &["two"])];
    let platform = |more: &str| format!(r#","platform":{{"architecture":"amd64","os":"linux"{more}}}"#);
    let inner = index(&[
        descriptor(MANIFEST, manifests[0].as_bytes(), &platform("")),
        descriptor(MANIFEST, manifests[1].as_bytes(), &platform(r#","variant":"v1""#)),
    ]);
    let entry = descriptor(INDEX, inner.as_bytes(), NAMED);
    let mut archive = Archive::new().file("index.json", index(&[entry])).blob(inner);
    for text in texts
        .iter()
        .chain(&manifests)
        .map(String::as_str)
        .chain(["one", "two"])
    {
        archive = archive.blob(text);
    }
    expect(&archive.open(), &[("platform_twice", "/manifests/1")]);
}

#[test]
fn configurations() {
    let execution = |text: &'static str| with_config(move |config| config.replace("{}", text));
    for (text, id, pointer) in [
        (r#"{"Volumes":["/data"]}"#, "map_is_list", "/config/Volumes"),
        (
            r#"{"ExposedPorts":["80/tcp"]}"#,
            "map_is_list",
            "/config/ExposedPorts",
        ),
        (
            r#"{"ExposedPorts":{"80/TCP":{}}}"#,
            "port_form",
            "/config/ExposedPorts/80~1TCP",
        ),
        (
            r#"{"ExposedPorts":{"80":1}}"#,
            "field_type",
            "/config/ExposedPorts/80",
        ),
        (r#"{"Env":["A"]}"#, "env_form", "/config/Env/0"),
        (r#"{"Env":["A=1","=2"]}"#, "env_form", "/config/Env/1"),
        (r#"{"Env":"A=1"}"#, "field_type", "/config/Env"),
        (r#"{"Cmd":"sh"}"#, "field_type", "/config/Cmd"),
        (r#"{"Cmd":[1]}"#, "field_type", "/config/Cmd/0"),
        (r#"{"Labels":{"a":1}}"#, "field_type", "/config/Labels/a"),
        (r#"{"User":0}"#, "field_type", "/config/User"),
        (r#"{"ArgsEscaped":"x"}"#, "field_type", "/config/ArgsEscaped"),
        (r#"{"cmd":["sh"]}"#, "field_case", "/config/cmd"),
    ] {
        expect(&execution(text), &[(id, pointer)]);
    }
    expect(
        &with_config(|text| text.replace("{}", "[]")),
        &[("field_type", "/config")],
    );
    let first = |more: &'static str| with_config(move |text| text.replacen('{', &format!("{{{more},"), 1));
    expect(&first(r#""created":"yesterday""#), &[("time_form", "/created")]);
    expect(&first(r#""created":7"#), &[("field_type", "/created")]);
    expect(
        &with_config(|text| text.replace("\"layers\"", "\"layer\"")),
        &[("rootfs_type", "/rootfs/type")],
    );
    let one = digest("one");
    expect(
        &with_config(|text| text.replace(&one, "sha256:x")),
        &[("digest_form", "/rootfs/diff_ids/0")],
    );
    expect(
        &with_config(|text| text.replace(&format!("\"{one}\","), "")),
        &[("diff_id_count", "/rootfs/diff_ids")],
    );
    let no_rootfs = with_config(|text| text[..text.find(r#","rootfs""#).unwrap()].to_owned() + "}");
    expect(&no_rootfs, &[("field_missing", ""), ("diff_id_count", "")]);
    expect(&first(r#""history":[{"empty_layer":true},{},{}]"#), &[]);
    expect(&first(r#""history":[{}]"#), &[("history_count", "/history")]);
    expect(
        &first(r#""history":[{},{},{}]"#),
        &[("history_count", "/history")],
    );
    expect(
        &first(r#""history":[{},{"created":"x","empty_layer":1}]"#),
        &[
            ("time_form", "/history/1/created"),
            ("field_type", "/history/1/empty_layer"),
        ],
    );
}

#[test]
fn the_history_beside_the_layers() {
    let catalog = with_config(|text| {
        let history = r#"{"history":[{"created_by":"a"},{"empty_layer":true,"comment":"b"},{"author":"c"}],"#;
        text.replacen('{', history, 1)
    });
    let image = &catalog.images[0];
    let layers: Vec<_> = image.history.iter().map(|entry| entry.layer).collect();
    assert_eq!(layers, [Some(0), None, Some(1)]);
    let entries: Vec<_> = image.layers.iter().map(|layer| layer.history).collect();
    assert_eq!(entries, [Some(0), Some(2)]);
    assert_eq!(image.history[1].comment.as_deref(), Some("b"));
}

/// Entries of `index.json` for one inner index, and for one that holds it: names count for what they lead to.
#[test]
fn names_reach_through_indexes() {
    let config = config(&LAYERS);
    let manifest = manifest(&config, &LAYERS);
    let misplaced = r#","annotations":{"org.opencontainers.image.ref.name":"inner"}"#;
    let inner = index(&[
        descriptor(MANIFEST, manifest.as_bytes(), misplaced),
        descriptor(MANIFEST, b"not here", ""),
    ]);
    let outer = index(&[descriptor(INDEX, inner.as_bytes(), "")]);
    let named = |name: &str, bytes: &str| {
        let name = format!(r#","annotations":{{"org.opencontainers.image.ref.name":"x:{name}"}}"#);
        descriptor(INDEX, bytes.as_bytes(), &name)
    };
    let entries = [named("1", &inner), named("2", &inner), named("3", &outer)];
    let archive = Archive::of(&LAYERS, &config, &manifest).file("index.json", index(&entries));
    let catalog = archive.blob(inner).blob(outer).open();
    let [image] = &catalog.images[..] else {
        panic!(
            "one image, as the other manifest is not here: {:?}",
            catalog.images
        );
    };
    let names: Vec<_> = image.names.iter().map(|name| &name.text[..]).collect();
    assert_eq!(names, ["x:1", "x:2", "x:3"]);
}
