//! `check` as scripts see it: what it finds and where, how it ends, and that what it offers mends. What each finding
//! means, and that runtimes take it so, is tested beside the checks and the dialects.
//!
//! Runs as root on Linux. Nothing is skipped: a program that is missing is a failure.

mod rig;

use std::fs;
use std::path::Path;
use std::process::Command;

use handroll::digest::Digest;
use rig::judges::in_transport;
use rig::{article, fails, handroll, json, ok, program, text, write};
use serde_json::{Value, json as value};
use tempfile::TempDir;

/// `handroll` in a directory.
fn run(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = handroll();
    command.args(arguments).current_dir(directory);
    command
}

fn sh(directory: &Path, script: &str) {
    ok(program("sh").args(["-ec", script]).current_dir(directory));
}

/// What `check --json` says, and its exit code.
fn check(directory: &Path, image: &str, options: &[&str]) -> (Value, Option<i32>) {
    let output = run(directory, &["check", "--json", image])
        .args(options)
        .output()
        .unwrap();
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    (
        serde_json::from_slice(&output.stdout).unwrap(),
        output.status.code(),
    )
}

/// The findings with this id.
fn of<'a>(report: &'a Value, id: &str) -> Vec<&'a Value> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings.filter(|finding| finding["id"] == id).collect()
}

/// An image with nothing wrong, and a tar of a layer with several things: `image.tar`, `trap.tar`.
fn files(directory: &Path) {
    article(directory);
    let mut build = run(
        directory,
        &["build", "--layer", "base", "--layer", "delta", "--name", "x"],
    );
    ok(build.args(["--cmd", "/bin/sh", "-o", "image.tar"]));
    sh(
        directory,
        "mkdir -p d/sub && echo one > d/twice && echo x > d/su && chmod 6777 d/su && touch d/.wh.gone
         tar -cf trap.tar d/twice d/su d/.wh.gone && echo two! > d/twice && tar -rf trap.tar d/twice
         tar -rPf trap.tar --transform 's,.*,../up,' d/su",
    );
}

#[test]
fn what_is_fine_is_fine() {
    let directory = TempDir::new().unwrap();
    let dir = directory.path();
    files(dir);
    let source = in_transport("oci-archive", &dir.join("image.tar"));
    for target in [
        "oci:layout:1",
        "docker-archive:docker.tar:x:1",
        "dir:dir",
        "oci-archive:oci.tar:1",
    ] {
        ok(program("skopeo")
            .args(["copy", "-q", &source, target])
            .current_dir(dir));
    }
    for image in ["image.tar", "layout", "docker.tar", "dir", "oci.tar"] {
        let (report, code) = check(dir, image, &[]);
        assert_eq!(
            (code, &report["errors"], &report["images"]),
            (Some(0), &value!(0), &value!(1)),
            "{image}: {report}"
        );
    }
    assert_eq!(
        text(&mut run(dir, &["check", "image.tar"])),
        "0 errors, 0 warnings, 0 info\n"
    );
    let mut piped = run(dir, &["check", "-"]);
    piped.stdin(fs::File::open(dir.join("image.tar")).unwrap());
    assert_eq!(text(&mut piped), "0 errors, 0 warnings, 0 info\n");
}

#[test]
fn findings_have_their_places() {
    let directory = TempDir::new().unwrap();
    let dir = directory.path();
    files(dir);
    let mut build = run(
        dir,
        &["build", "--layer", "base", "--layer", "trap.tar", "--name", "x"],
    );
    ok(build.args(["--cmd", "/bin/sh", "-o", "image.tar"]));
    let (report, code) = check(dir, "image.tar", &[]);
    assert_eq!(code, Some(1), "{report}");
    let twice = of(&report, "duplicate_path");
    let [twice] = twice[..] else { panic!("{report}") };
    assert_eq!((&twice["image"], &twice["layer"]), (&value!(1), &value!(2)));
    assert_eq!(
        (&twice["path"], &twice["entry"]),
        (&value!("/d/twice"), &value!("d/twice"))
    );
    // Where the entry stands, as GNU tar counts blocks.
    let blocks = text(program("tar").args(["-tRf", "trap.tar"]).current_dir(dir));
    let block = blocks.lines().rfind(|line| line.ends_with(": d/twice")).unwrap();
    let block: u64 = block
        .strip_prefix("block ")
        .unwrap()
        .split(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(twice["offset"], value!(block * 512));
    assert_eq!(of(&report, "name_dotdot")[0]["entry"], "../up");
    assert_eq!(of(&report, "name_dotdot")[0]["severity"], "error");
    // In words: the same, the gravest first.
    let output = run(dir, &["check", "image.tar"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let shown = String::from_utf8(output.stdout).unwrap();
    let place = format!(
        "  where   image 1, layer 2, /d/twice, entry d/twice, byte {}\n",
        block * 512
    );
    assert!(shown.contains(&place), "{shown}");
    let ranks: Vec<_> = shown
        .lines()
        .filter_map(|line| {
            ["error: ", "warning: ", "info: "]
                .iter()
                .position(|severity| line.starts_with(severity))
        })
        .collect();
    assert!(ranks.is_sorted() && ranks.len() == report["findings"].as_array().unwrap().len());
    let count = |severity: &str| {
        report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|finding| finding["severity"] == severity)
            .count()
    };
    let (errors, warnings, infos) = (count("error"), count("warning"), count("info"));
    assert_eq!(
        (&report["errors"], &report["warnings"], &report["infos"]),
        (&value!(errors), &value!(warnings), &value!(infos))
    );
    assert!(errors >= 2 && warnings >= 1 && infos >= 1, "{report}");
    // Only what is so grave, but the same counts and the same end.
    for (least, listed) in [
        ("error", errors),
        ("warning", errors + warnings),
        ("info", errors + warnings + infos),
    ] {
        let (some, code) = check(dir, "image.tar", &["--severity", least]);
        assert_eq!(
            (some["findings"].as_array().unwrap().len(), code),
            (listed, Some(1)),
            "{least}"
        );
        assert_eq!(some["infos"], report["infos"]);
    }
    fails(
        &mut run(dir, &["check", "image.tar", "--severity", "grave"]),
        2,
        "grave",
    );
}

#[test]
fn what_is_offered_mends() {
    let directory = TempDir::new().unwrap();
    let dir = directory.path();
    files(dir);
    write(
        dir.join("secret/root/.ssh/id_rsa"),
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
    );
    fs::create_dir(dir.join("empty")).unwrap();
    let mut build = run(
        dir,
        &[
            "build", "--layer", "base", "--layer", "trap.tar", "--layer", "secret", "--layer", "empty",
        ],
    );
    ok(build.args([
        "--whiteout",
        "/root/.ssh/id_rsa",
        "--name",
        "x",
        "--cmd",
        "/bin/sh",
        "-o",
        "image.tar",
    ]));
    let (report, _) = check(dir, "image.tar", &[]);
    let mut mended = 0;
    for finding in report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| !finding["fix"].is_null())
    {
        let recipe = value!({ "version": 1, "operations": [finding["fix"]["operation"]] });
        write(dir.join("fix.json"), recipe.to_string());
        ok(&mut run(
            dir,
            &["edit", "image.tar", "--recipe", "fix.json", "-o", "mended.tar"],
        ));
        let (after, _) = check(dir, "mended.tar", &[]);
        let same = of(&after, finding["id"].as_str().unwrap());
        let same = same
            .iter()
            .filter(|other| (&other["layer"], &other["path"]) == (&finding["layer"], &finding["path"]));
        assert_eq!(same.count(), 0, "{finding}: {after}");
        mended += 1;
    }
    assert!(mended >= 4, "{report}");
    let secret = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["path"] == "/root/.ssh/id_rsa");
    assert_eq!(
        secret.unwrap()["fix"]["operation"]["op"],
        "remove_path",
        "{report}"
    );
}

#[test]
fn documents_and_digests_are_checked_for_all_images_or_the_chosen() {
    let directory = TempDir::new().unwrap();
    let dir = directory.path();
    files(dir);
    for (name, layers) in [("good", &["base"][..]), ("bad", &["base", "delta"])] {
        let mut build = run(
            dir,
            &["build", "--name", name, "--cmd", "/bin/sh", "-o", "one.tar"],
        );
        for layer in layers {
            build.args(["--layer", layer]);
        }
        ok(&mut build);
        let copy = ["copy", "-q", "oci-archive:one.tar", &format!("oci:both:{name}")];
        ok(program("skopeo").args(copy).current_dir(dir));
    }
    // One byte of the layer that only the second has.
    let seen = json(&mut run(dir, &["inspect", "--json", "--image", "bad", "both"]));
    let digest = seen["images"][0]["layers"][1]["digest"].as_str().unwrap();
    let blob = dir.join("both/blobs").join(digest.replace(':', "/"));
    let mut bytes = fs::read(&blob).unwrap();
    // The time in gzip's header: what it unpacks to stays.
    bytes[4] ^= 1;
    fs::write(&blob, &bytes).unwrap();
    let (report, code) = check(dir, "both", &[]);
    let wrong = of(&report, "digest_mismatch");
    assert_eq!((wrong.len(), code), (1, Some(1)), "{report}");
    assert!(
        wrong[0]["message"]
            .as_str()
            .unwrap()
            .contains(&Digest::of(&bytes).to_string())
    );
    assert_eq!((&wrong[0]["image"], &wrong[0]["layer"]), (&value!(2), &value!(2)));
    assert_eq!(wrong[0]["pointer"], "/layers/1");
    assert_eq!(
        (
            report["images"].clone(),
            check(dir, "both", &["--image", "good"]).1
        ),
        (value!(2), Some(0))
    );
    assert_eq!(check(dir, "both", &["--image", "bad"]).1, Some(1));
    fails(
        &mut run(dir, &["check", "both", "--image", "none"]),
        2,
        "1 good (linux/amd64), 2 bad (linux/amd64)",
    );
    // What is about the archive is told once.
    fs::remove_file(dir.join("both/oci-layout")).unwrap();
    let (report, _) = check(dir, "both", &[]);
    let marker = of(&report, "layout_marker_missing");
    assert_eq!((marker.len(), &marker[0]["image"]), (1, &Value::Null), "{report}");
    assert_eq!(
        (&marker[0]["file"], &marker[0]["severity"]),
        (&value!("oci-layout"), &value!("error"))
    );
}

#[test]
fn damage_and_emptiness_are_findings() {
    let directory = TempDir::new().unwrap();
    let dir = directory.path();
    files(dir);
    let whole = fs::read(dir.join("image.tar")).unwrap();
    // From where it can be told from a layer to where only the end is missing.
    for length in (2000..whole.len() - 1536).step_by(whole.len() / 40) {
        fs::write(dir.join("cut.tar"), &whole[..length]).unwrap();
        let (report, code) = check(dir, "cut.tar", &[]);
        assert_eq!(code, Some(1), "{length}: {report}");
    }
    // A layout without an image.
    write(dir.join("empty/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#);
    write(
        dir.join("empty/index.json"),
        r#"{"schemaVersion":2,"manifests":[]}"#,
    );
    let (report, code) = check(dir, "empty", &[]);
    assert_eq!((&report["images"], code), (&value!(0), Some(1)));
    let shown = run(dir, &["check", "empty"]).output().unwrap().stdout;
    assert!(
        String::from_utf8(shown)
            .unwrap()
            .contains("there is no image in it\n")
    );
    for (arguments, says) in [
        (&["check", "missing"][..], "missing: "),
        (&["check", "base"], "base: this is no image"),
    ] {
        fails(&mut run(dir, arguments), 3, says);
    }
}
