//! Each kind of problem, made on purpose in a small archive: it is found, at its place, and nothing else is.

use std::collections::BTreeSet;

use super::testing::{
    Archive, LAYERS, config, descriptor, digest, expect, found, index, manifest, open, with_config,
    with_index, with_manifest,
};
use super::*;
use crate::image::files::tests::tar;
use crate::image::manifest::{INDEX, LAYER_TAR, MANIFEST, blob_path};

#[test]
fn nothing_is_wrong_with_an_image_that_is_right() {
    expect(&Archive::image(&LAYERS).open(), &[]);
    expect(&Archive::image(&["one", "one"]).open(), &[]);
    // Members that nobody knows, and `null` for no member.
    expect(
        &with_config(|text| {
            text.replace(
                "{}",
                r#"{"Cmd":null,"Volumes":null,"Healthcheck":{"Test":[]},"x":1}"#,
            )
        }),
        &[],
    );
    expect(
        &with_manifest(|text| text.replacen('{', r#"{"x":{"y":[]},"annotations":{},"#, 1)),
        &[],
    );
}

#[test]
fn the_layout() {
    let image = Archive::image(&LAYERS);
    expect(
        &image.clone().without("oci-layout").open(),
        &[("layout_marker_missing", "")],
    );
    expect(
        &image
            .clone()
            .file("oci-layout", r#"{"imageLayoutVersion":"1.1.0"}"#)
            .open(),
        &[("layout_version", "/imageLayoutVersion")],
    );
    expect(
        &image.clone().file("oci-layout", "{}").open(),
        &[("field_missing", "")],
    );
    expect(
        &image.clone().file("oci-layout", "[]").open(),
        &[("field_type", "")],
    );
    expect(&image.clone().file("oci-layout", "").open(), &[("not_json", "")]);
    expect(
        &image.clone().blob("more").blob("and more").open(),
        &[("blobs_unnamed", "")],
    );
    expect(
        &image.clone().file("blobs/sha256/x y", "more").open(),
        &[("blobs_stray", "")],
    );
    expect(
        &image.clone().file("blobs/x", "more").open(),
        &[("blobs_stray", "")],
    );
    // Files beside the layout are nobody's business.
    expect(&image.clone().file("README", "more").open(), &[]);
    let headless = image.clone().without("index.json").open();
    assert_eq!(headless.format, Format::Oci);
    expect(&headless, &[("blobs_unnamed", ""), ("index_missing", "")]);
    let moved = Archive(
        (image.0.into_iter())
            .map(|(path, bytes)| (format!("a/b/{path}"), bytes))
            .collect(),
    );
    let moved = moved.open();
    assert_eq!((moved.format, &moved.directory[..]), (Format::Oci, &b"a/b/"[..]));
    expect(&moved, &[("image_in_directory", "")]);
}

#[test]
fn a_layer_is_no_image_though_one_lies_in_it() {
    let image = Archive::image(&LAYERS).0.into_iter();
    let inner = image.map(|(path, bytes)| (format!("srv/image/{path}"), bytes));
    let layer = Archive(inner.collect()).file("etc/passwd", "root").open();
    assert_eq!((layer.format, layer.images.len()), (Format::Layer, 1));
    expect(&layer, &[("layouts_in_layer", "")]);
    // Files of these names that are no documents of an image.
    let app = Archive::default()
        .file("manifest.json", r#"{"name":"an app","icons":[]}"#)
        .file("index.json", "[1,2]")
        .file("repositories", "x")
        .open();
    assert_eq!(app.format, Format::Layer);
    expect(&app, &[]);
}

#[test]
fn the_archive() {
    let image = Archive::image(&LAYERS);
    let entries: Vec<_> = image
        .0
        .iter()
        .map(|(path, bytes)| (&path[..], b'0', &bytes[..]))
        .collect();
    let twice = [&entries[..], &entries[..1]].concat();
    expect(&open(tar(&twice)).unwrap(), &[("archive_duplicate_path", "")]);
    let path = blob_path(Digest::of(b"two"));
    let linked: Vec<_> = (entries.iter().filter(|(name, ..)| *name != path))
        .copied()
        .chain([("x", b'0', &b"two"[..]), (&path, b'2', b"../../x")])
        .collect();
    let catalog = open(tar(&linked)).unwrap();
    expect(&catalog, &[("blob_is_link", "")]);
    assert_eq!(
        catalog.node(catalog.images[0].layers[1].node).state,
        State::Present
    );
    let circle: Vec<_> = (entries.iter().filter(|(name, ..)| *name != path))
        .copied()
        .chain([(&path[..], b'2', &path.as_bytes()["blobs/sha256/".len()..])])
        .collect();
    expect(
        &open(tar(&circle)).unwrap(),
        &[("blob_missing", "/layers/1"), ("link_circle", "")],
    );
    // A name in a PAX record that Go refuses, and others end at the NUL.
    let mut bytes = b"26 path=README\0index.json\n".to_vec();
    bytes.resize(512, 0);
    let mut odd = tar(&[("x", b'0', &bytes[..26]), ("y", b'0', b"")]);
    odd[156] = b'x';
    let sum: u32 = odd[..512].iter().map(|&byte| u32::from(byte)).sum();
    let stated = odd[148..156].iter().map(|&byte| u32::from(byte)).sum::<u32>();
    odd.splice(148..156, format!("{:06o}\0 ", sum - stated + 8 * 32).into_bytes());
    odd.truncate(odd.len() - 1024);
    odd.extend(image.tar());
    let catalog = open(odd).unwrap();
    expect(&catalog, &[("archive_read_differently", "")]);
    assert_eq!(catalog.problems[0].place.offset, Some(512));
    assert!(catalog.problems[0].sentence().contains("refuses the tar"));
    let long = "x/".repeat(60);
    let mut bytes = image.tar();
    bytes.truncate(bytes.len() - 1024);
    expect(&open(bytes.clone()).unwrap(), &[("archive_no_end", "")]);
    let damaged = tar(&[(&long[..98], b'0', b"")]);
    bytes.extend_from_slice(&damaged[..100]);
    expect(&open(bytes).unwrap(), &[("archive_damaged", "")]);
}

#[test]
fn json_that_readers_differ_in() {
    for (replaced, with, id, pointer) in [
        ("{\"arch", "{\"os\":\"plan9\",\"arch", "json_duplicate_member", ""),
        ("amd64", "amd\\ud800", "json_lone_surrogate", "/architecture"),
        (
            "{}",
            "{\"x\":9223372036854775808}",
            "json_number_too_large",
            "/config/x",
        ),
    ] {
        let mut expected = vec![(id, pointer)];
        if pointer == "/architecture" {
            expected.insert(0, ("platform_mismatch", "/manifests/0"));
        }
        expect(&with_config(|text| text.replacen(replaced, with, 1)), &expected);
    }
    let catalog = with_config(|text| format!("\u{feff}{text}"));
    expect(&catalog, &[("json_byte_order_mark", "")]);
    // Bytes that are not UTF-8, which the helpers above cannot write.
    let mut archive = Archive::image(&LAYERS).file("oci-layout", "");
    let marker = b"{\"imageLayoutVersion\":\"1.0.0\",\"x\":\"\xff\"}".to_vec();
    archive.0.insert("oci-layout".to_owned(), marker);
    expect(&archive.open(), &[("json_not_utf8", "/x")]);
    let catalog = with_index(|text| text.replace("}]}", "}]"));
    expect(&catalog, &[("not_json", "")]);
    assert_eq!(catalog.images.len(), 1, "what stands before the damage is read");
    assert_eq!(catalog.images[0].layers.len(), 2);
}

#[test]
fn digests_and_sizes() {
    let changed = |path: String, bytes: &str| Archive::image(&LAYERS).file(&path, bytes).open();
    let two = blob_path(Digest::of(b"two"));
    expect(&changed(two, "three"), &[("size_mismatch", "/layers/1")]);
    let config_path = blob_path(Digest::of(config(&LAYERS).as_bytes()));
    let other = config(&LAYERS).replace("linux", "linuq");
    expect(
        &changed(config_path, &other),
        &[
            ("platform_mismatch", "/manifests/0"),
            ("digest_mismatch", "/config"),
        ],
    );
    let (good, bad) = (
        digest("two"),
        digest("two").to_uppercase().replace("SHA256", "sha256"),
    );
    let at = "/layers/1";
    let form = "/layers/1/digest";
    let none = "blobs_unnamed";
    for (text, expected) in [
        (
            &bad[..],
            &[(none, ""), ("digest_uppercase", form), ("blob_missing", at)][..],
        ),
        (
            "sha256:ab",
            &[(none, ""), ("digest_form", form), ("blob_missing", at)],
        ),
        ("two", &[(none, ""), ("digest_form", form), ("blob_missing", at)]),
        (
            "sha256:../../x",
            &[(none, ""), ("digest_form", form), ("blob_missing", at)],
        ),
        (
            "md5:ab",
            &[(none, ""), ("digest_algorithm", form), ("blob_missing", at)],
        ),
    ] {
        let catalog = with_manifest(|manifest| manifest.replace(&good, text));
        let mut found = found(&catalog);
        found.sort_by_key(|(id, at)| (*id != none, at.len()));
        let mut expected: Vec<_> = expected.iter().map(|(id, at)| (*id, (*at).to_owned())).collect();
        expected.sort_by_key(|(id, at)| (*id != none, at.len()));
        assert_eq!(found, expected, "{text}");
    }
    let long = format!("sha512:{}", "ab".repeat(64));
    let elsewhere = Archive::of(
        &["one"],
        &config(&LAYERS),
        &manifest(&config(&LAYERS), &LAYERS).replace(&good, &long),
    )
    .file(&format!("blobs/{}", long.replace(':', "/")), "two");
    expect(&elsewhere.open(), &[("digest_unverified", form)]);
    for (size, id) in [
        ("-3", "field_value"),
        ("3.0", "field_value"),
        ("\"3\"", "field_type"),
        ("null", "field_missing"),
    ] {
        let catalog = with_manifest(|text| {
            text.replacen(
                &format!("{good}\",\"size\":3"),
                &format!("{good}\",\"size\":{size}"),
                1,
            )
        });
        let place = if id == "field_missing" {
            at
        } else {
            "/layers/1/size"
        };
        expect(&catalog, &[(id, place)]);
    }
}

#[test]
fn bytes_in_the_descriptor() {
    let two = blob_path(Digest::of(b"two"));
    let with_data = |data: &str| {
        let config = config(&LAYERS);
        let layer = descriptor(LAYER_TAR, b"two", "");
        let manifest = manifest(&config, &LAYERS);
        let manifest = manifest.replace(
            &layer,
            &descriptor(LAYER_TAR, b"two", &format!(r#","data":"{data}""#)),
        );
        Archive::of(&LAYERS, &config, &manifest)
    };
    expect(&with_data("dHdv").open(), &[]);
    let embedded = with_data("dHdv").without(&two).open();
    expect(&embedded, &[]);
    let node = embedded.node(embedded.images[0].layers[1].node);
    assert_eq!((&node.state, node.size()), (&State::Embedded, Some(3)));
    for data in ["b3d0", "dHdvIQ==", "x"] {
        expect(&with_data(data).open(), &[("data_mismatch", "/layers/1/data")]);
    }
    expect(
        &with_data("x").without(&two).open(),
        &[("data_mismatch", "/layers/1/data"), ("blob_missing", "/layers/1")],
    );
}

#[test]
fn what_is_not_there() {
    let two = blob_path(Digest::of(b"two"));
    let image = Archive::image(&LAYERS);
    expect(
        &image.clone().without(&two).open(),
        &[("blob_missing", "/layers/1")],
    );
    let config = config(&LAYERS);
    let without_config = image
        .clone()
        .without(&blob_path(Digest::of(config.as_bytes())))
        .open();
    expect(&without_config, &[("blob_missing", "/config")]);
    assert_eq!(
        without_config.images[0].layers.len(),
        2,
        "the image is there all the same"
    );
    let manifest = manifest(&config, &LAYERS);
    let without_manifest = image.without(&blob_path(Digest::of(manifest.as_bytes()))).open();
    expect(
        &without_manifest,
        &[("blobs_unnamed", ""), ("manifest_missing", "/manifests/0")],
    );
    // A layer that is elsewhere.
    let foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar";
    let manifest = manifest.replace(
        &descriptor(LAYER_TAR, b"two", ""),
        &descriptor(foreign, b"two", r#","urls":["https://example.com/two"]"#),
    );
    let elsewhere = Archive::of(&["one"], &config, &manifest).open();
    expect(
        &elsewhere,
        &[
            ("blob_elsewhere", "/layers/1"),
            ("layer_not_distributable", "/layers/1"),
        ],
    );
}

#[test]
fn docker_archives() {
    let config = config(&LAYERS);
    let hex = Digest::of(config.as_bytes()).hex();
    let with = |list: &str| {
        Archive::default()
            .file("manifest.json", list)
            .file(&format!("{hex}.json"), config.clone())
            .file("a/layer.tar", "one")
            .file("b/layer.tar", "two")
            .open()
    };
    let list = |tags: &str, layers: &str| {
        format!(r#"[{{"Config":"{hex}.json","RepoTags":{tags},"Layers":{layers}}}]"#)
    };
    let both = r#"["a/layer.tar","b/layer.tar"]"#;
    let good = with(&list(r#"["x:1"]"#, both));
    assert_eq!(good.format, Format::Docker);
    expect(&good, &[]);
    assert_eq!(good.images[0].platform, Some(Platform::default()));
    assert_eq!(
        good.images[0].layers[1].diff_id.as_ref().unwrap().sha256(),
        Some(Digest::of(b"two"))
    );
    expect(&with(&list("null", both)), &[("no_name", "")]);
    expect(&with(&list(r#"["x"]"#, both)), &[("docker_tag", "/0/RepoTags/0")]);
    expect(
        &with(&list(r#"["X:1"]"#, both)),
        &[("docker_tag", "/0/RepoTags/0")],
    );
    expect(
        &with(&list(r#"["x:1"]"#, r#"["a/layer.tar"]"#)),
        &[("diff_id_count", "/rootfs/diff_ids")],
    );
    expect(
        &with(&list(r#"["x:1"]"#, r#"["a/layer.tar","c/layer.tar"]"#)),
        &[("blob_missing", "/0/Layers/1")],
    );
    expect(
        &with(&list(r#""x:1""#, both)),
        &[("no_name", ""), ("field_type", "/0/RepoTags")],
    );
    expect(
        &with(&list(r#"["x:1"]"#, both).replace("Layers", "layers")),
        &[
            ("field_missing", "/0"),
            ("field_case", "/0/layers"),
            ("diff_id_count", "/rootfs/diff_ids"),
        ],
    );
    // A configuration that is not what its name says.
    let renamed = Archive::default()
        .file("manifest.json", list(r#"["x:1"]"#, both))
        .file(&format!("{hex}.json"), config.replace("linux", "linuq"))
        .file("a/layer.tar", "one")
        .file("b/layer.tar", "two");
    expect(&renamed.open(), &[("digest_mismatch", "/0/Config")]);
}

/// `docker save` of old kept a layer that occurs twice as a link to the first.
#[test]
fn layers_that_are_links_in_docker_archives() {
    let config = config(&["one", "one"]);
    let hex = Digest::of(config.as_bytes()).hex();
    let list =
        format!(r#"[{{"Config":"{hex}.json","RepoTags":["x:1"],"Layers":["a/layer.tar","b/layer.tar"]}}]"#);
    let catalog = open(tar(&[
        ("manifest.json", b'0', list.as_bytes()),
        (&format!("{hex}.json"), b'0', config.as_bytes()),
        ("a/layer.tar", b'0', b"one"),
        ("b/layer.tar", b'2', b"../a/layer.tar"),
    ]))
    .unwrap();
    expect(&catalog, &[]);
    let layers = &catalog.images[0].layers;
    assert_eq!(layers[0].node, layers[1].node);
}

#[test]
fn two_views_of_one_archive() {
    let image = Archive::image(&LAYERS);
    let path = |text: &str| blob_path(Digest::of(text.as_bytes()));
    let list = |config: &str, layers: &[&str]| {
        let layers: Vec<_> = layers
            .iter()
            .map(|layer| format!("\"{}\"", path(layer)))
            .collect();
        format!(
            r#"[{{"Config":"{}","RepoTags":["x:1"],"Layers":[{}]}}]"#,
            path(config),
            layers.join(",")
        )
    };
    let config_text = config(&LAYERS);
    let both = image
        .clone()
        .file("manifest.json", list(&config_text, &LAYERS))
        .open();
    assert_eq!(both.format, Format::OciAndDocker);
    expect(&both, &[]);
    assert_eq!(both.images[0].docker, Some(0));
    let other = image
        .clone()
        .file("manifest.json", list(&config_text, &["two", "one"]))
        .open();
    expect(&other, &[("views_disagree", "/0")]);
    let other_config = config(&["one"]);
    let other = image
        .blob(other_config.clone())
        .file("manifest.json", list(&other_config, &["one"]))
        .open();
    expect(&other, &[("views_disagree", "/0")]);
    assert_eq!(other.images[0].layers.len(), 2, "the index counts");
}

#[test]
fn archives_of_before_2016() {
    let good = |repositories: &str| {
        Archive::default()
            .file("repositories", repositories)
            .file("aa/json", r#"{"id":"aa"}"#)
            .file("aa/layer.tar", "one")
            .file(
                "bb/json",
                r#"{"id":"bb","parent":"aa","os":"linux","architecture":"amd64"}"#,
            )
            .file("bb/layer.tar", "two")
    };
    let one = r#"{"x":{"1":"bb"},"y":{"2":"aa"}}"#;
    let catalog = good(one).open();
    assert_eq!(catalog.format, Format::DockerLegacy);
    expect(&catalog, &[]);
    assert_eq!(
        (catalog.images[0].layers.len(), catalog.images[1].layers.len()),
        (2, 1)
    );
    assert_eq!(catalog.images[0].names[0].text, "x:1");
    let orphan = good(one).file("aa/json", r#"{"parent":"cc"}"#).open();
    expect(&orphan, &[("parent_missing", ""), ("parent_missing", "")]);
    let circle = good(one).file("aa/json", r#"{"parent":"bb"}"#).open();
    expect(&circle, &[("parent_missing", ""), ("parent_missing", "")]);
}

#[test]
fn skopeos_directories() {
    let config = config(&LAYERS);
    let manifest = manifest(&config, &LAYERS);
    let hex = |text: &str| Digest::of(text.as_bytes()).hex();
    let blobs = |archive: Archive| {
        archive
            .file(&hex("one"), "one")
            .file(&hex("two"), "two")
            .file(&hex(&config), config.clone())
            .file("version", "Directory Transport Version: 1.1\n")
    };
    let single = blobs(Archive::default().file("manifest.json", manifest.clone())).open();
    assert_eq!(single.format, Format::Dir);
    expect(&single, &[]);
    assert_eq!(single.images[0].layers.len(), 2);
    let list = index(&[descriptor(MANIFEST, manifest.as_bytes(), "")]);
    let several = Archive::default()
        .file("manifest.json", list)
        .file(&format!("{}.manifest.json", hex(&manifest)), manifest);
    let several = blobs(several).open();
    assert_eq!((several.format, several.images.len()), (Format::Dir, 1));
    expect(&several, &[]);
}

#[test]
fn what_reading_the_layers_shows() {
    let catalog = Archive::image(&LAYERS).open();
    let node = catalog.images[0].layers[1].node;
    let facts = |digest: &[u8], diff_id: Result<&[u8], &str>| verify::LayerFacts {
        digest: Digest::of(digest),
        diff_id: diff_id.map(Digest::of).map_err(str::to_owned),
    };
    let ids = |facts: &verify::LayerFacts| {
        let problems = verify::layer(&catalog, node, facts);
        let ids = problems
            .iter()
            .map(|problem| (problem.id(), problem.place.pointer.clone().unwrap_or_default()));
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids(&facts(b"two", Ok(b"two"))), []);
    let (digest, diff_id) = ("digest_mismatch", "diff_id_mismatch");
    assert_eq!(
        ids(&facts(b"x", Ok(b"x"))),
        [
            (digest, "/layers/1".to_owned()),
            (diff_id, "/rootfs/diff_ids/1".to_owned())
        ]
    );
    assert_eq!(
        ids(&facts(b"two", Err("cut off"))),
        [("layer_does_not_unpack", String::new())]
    );
}

/// Everything that hostile documents multiply ends at a limit, in a moment.
#[test]
fn limits_hold() {
    // A tower of a thousand indexes.
    let mut archive = Archive::new();
    let mut inner = index(&[]);
    for _ in 0..1000 {
        archive = archive.blob(inner.clone());
        inner = index(&[descriptor(INDEX, inner.as_bytes(), "")]);
    }
    let tower = archive.file("index.json", inner).open();
    let ids: BTreeSet<_> = tower.problems.iter().map(Problem::id).collect();
    assert_eq!(ids, BTreeSet::from(["blobs_unnamed", "index_too_deep"]));
    assert_eq!(tower.nodes.len(), 2 + DEPTH_LIMIT);

    // Indexes that name each other a hundred times over, eight deep: 10^16 ways to the bottom.
    let mut archive = Archive::new();
    let mut inner = index(&[descriptor(MANIFEST, b"x", "")]);
    for _ in 0..DEPTH_LIMIT - 1 {
        archive = archive.blob(inner.clone());
        inner = index(&vec![descriptor(INDEX, inner.as_bytes(), ""); 100]);
    }
    let fan = archive.file("index.json", inner).open();
    assert_eq!(fan.links.len(), 100 * (DEPTH_LIMIT - 1) + 1);

    // More descriptors than are followed.
    let many = Archive::new()
        .file("index.json", index(&vec!["{}".to_owned(); LINKS_LIMIT + 9]))
        .open();
    assert_eq!(many.links.len(), LINKS_LIMIT);
    assert!(
        many.problems
            .iter()
            .any(|problem| problem.id() == "too_many_descriptors")
    );
    assert_eq!(many.problems.len(), PROBLEMS_LIMIT);
    assert!(many.more_problems > 3 * LINKS_LIMIT);

    // A document that is too large is not read, and its size is told.
    let large = format!("{{\"x\":\"{}\"}}", " ".repeat(json::SIZE_LIMIT as usize));
    let catalog = Archive::new().file("index.json", large).open();
    expect(&catalog, &[("document_too_large", "")]);
    assert!(catalog.problems[0].sentence().contains("20971528 bytes"));
    let large = format!(" {}", " ".repeat(4 << 20));
    let catalog = with_manifest(|text| large.clone() + &text);
    expect(&catalog, &[("document_large", "")]);
}

#[test]
fn documents_have_a_limit_together() {
    let blank = " ".repeat(json::SIZE_LIMIT as usize - 10);
    let texts: Vec<_> = (0..8).map(|number| format!("{blank}{number}")).collect();
    let entries: Vec<_> = texts
        .iter()
        .map(|text| descriptor(INDEX, text.as_bytes(), ""))
        .collect();
    let mut archive = Archive::new().file("index.json", index(&entries));
    for text in texts {
        archive = archive.blob(text);
    }
    let catalog = archive.open();
    let count = catalog
        .problems
        .iter()
        .filter(|problem| problem.id() == "documents_too_large")
        .count();
    assert_eq!(count, 2, "128 MiB are six documents of 20 MiB");
}
