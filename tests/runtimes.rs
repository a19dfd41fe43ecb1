//! Real runtimes take what handroll writes: containerd with runc, podman, skopeo, umoci.
//!
//! Runs as root on Linux with overlayfs. Nothing is skipped: a program that is missing is a failure.

mod rig;

use std::path::{Path, PathBuf};

use rig::containerd::Containerd;
use rig::{ARTICLE_TIME, article, handroll, json, judges, ok, program};
use tempfile::TempDir;

const NAME: &str = "docker.io/library/handroll:latest";

/// Builds an image of `layers` in a directory; the archive's path.
fn build(directory: &Path, layers: &[&str], options: &[&str]) -> PathBuf {
    let archive = directory.join("image.tar");
    let mut command = handroll();
    command.arg("build").current_dir(directory);
    for layer in layers {
        command.args(["--layer", layer]);
    }
    if !options.contains(&"--name") {
        command.args(["--name", "handroll"]);
    }
    command.args(["--mtime", ARTICLE_TIME]).args(options);
    ok(command.arg("-o").arg(&archive));
    archive
}

#[test]
fn the_article_runs_in_containerd() {
    for compression in ["gzip", "none"] {
        let directory = TempDir::new().unwrap();
        article(directory.path());
        let options = [
            "--cmd",
            "/bin/sh",
            "--cmd",
            "-c",
            "--cmd",
            "cat /hello.txt; ls -a /data",
            "--compression",
            compression,
        ];
        let archive = build(directory.path(), &["base", "delta"], &options);
        let containerd = Containerd::start();
        containerd.import(&archive);
        assert_eq!(containerd.names(), [NAME], "the name is the canonical one");
        assert_eq!(
            containerd.run(NAME, &[]),
            "hello from delta\n.\n..\n",
            "the image's own command"
        );
        let own = containerd.run(NAME, &["/bin/sh", "-c", "ls /; ls /bin"]);
        for name in ["bin", "data", "hello.txt", "busybox", "cat", "ls", "sh"] {
            assert!(own.lines().any(|line| line == name), "{name} in {own}");
        }
    }
}

#[test]
fn the_sample_program_runs_with_nothing_added() {
    let directory = TempDir::new().unwrap();
    rig::article_files(directory.path());
    let bin = directory.path().join("base/bin");
    std::fs::create_dir_all(&bin).unwrap();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sample/show-amd64");
    std::fs::copy(program, bin.join("show")).unwrap();
    ok(rig::program("chmod").arg("755").arg(bin.join("show")));
    let archive = build(directory.path(), &["base", "delta"], &["--cmd", "/bin/show"]);
    let containerd = Containerd::start();
    containerd.import(&archive);
    let printed = containerd.run(NAME, &[]);
    assert!(printed.starts_with("hello from delta\n"), "{printed}");
    assert!(!printed.contains("config.txt"), "{printed}");
}

#[test]
fn every_field_of_the_configuration_reaches_the_process() {
    let directory = TempDir::new().unwrap();
    article(directory.path());
    rig::write(
        directory.path().join("base/etc/passwd"),
        "root:x:0:0::/:/bin/sh\nme:x:1234:4321::/srv:/bin/sh\n",
    );
    rig::write(directory.path().join("base/etc/group"), "us:x:77:\n");
    let script = "busybox id -u; busybox id -g; echo $KEY; busybox pwd";
    let options = [
        "--entrypoint",
        "sh",
        "--entrypoint",
        "-c",
        "--cmd",
        script,
        "--env",
        "KEY=a value",
        "--env",
        "PATH=/bin",
        "--user",
        "me:us",
        "--working-dir",
        "/data",
        "--label",
        "a=b",
        "--expose",
        "80/tcp",
        "--volume",
        "/data",
        "--stop-signal",
        "SIGTERM",
        "--author",
        "me",
        "--created",
        "2025-01-01T00:00:00Z",
    ];
    let archive = build(directory.path(), &["base", "delta"], &options);
    let containerd = Containerd::start();
    containerd.import(&archive);
    assert_eq!(containerd.run(NAME, &[]), "1234\n77\na value\n/data\n");
    let inspected = json(
        program("skopeo")
            .args(["inspect", "--config"])
            .arg(judges::in_transport("oci-archive", &archive)),
    );
    assert_eq!(inspected["author"], "me");
    assert_eq!(inspected["created"], "2025-01-01T00:00:00Z");
    let config = &inspected["config"];
    assert_eq!(config["Labels"]["a"], "b");
    assert_eq!(config["StopSignal"], "SIGTERM");
    assert_eq!(config["WorkingDir"], "/data");
    assert!(config["ExposedPorts"]["80/tcp"].is_object() && config["Volumes"]["/data"].is_object());
}

#[test]
fn podman_and_skopeo_take_both_compressions() {
    for compression in ["gzip", "none"] {
        let directory = TempDir::new().unwrap();
        article(directory.path());
        let options = ["--cmd", "/bin/sh", "--compression", compression];
        let archive = build(directory.path(), &["base", "delta"], &options);
        let inspected = judges::podman_loads(directory.path(), &archive, NAME);
        assert_eq!(inspected["Config"]["Cmd"][0], "/bin/sh");
        judges::skopeo_reads_and_copies(directory.path(), &archive);
    }
}

#[test]
fn names_of_other_registries_are_found_too() {
    let directory = TempDir::new().unwrap();
    article(directory.path());
    let name = "localhost:5000/team/handroll:v1.2";
    let archive = build(
        directory.path(),
        &["base", "delta"],
        &["--cmd", "/bin/sh", "--name", name],
    );
    let containerd = Containerd::start();
    containerd.import(&archive);
    assert_eq!(containerd.names(), [name]);
    judges::podman_loads(directory.path(), &archive, name);
}

#[test]
fn containerd_and_umoci_unpack_what_was_meant() {
    let directory = TempDir::new().unwrap();
    rig::everything(directory.path());
    let options = [
        "--whiteout",
        "/gone",
        "--whiteout",
        "other/c",
        "--opaque",
        "/replaced",
    ];
    for compression in ["gzip", "none"] {
        let archive = build(
            directory.path(),
            &["base", "delta"],
            &[&options[..], &["--compression", compression]].concat(),
        );
        let layout = judges::layout(directory.path(), &archive);
        let by_umoci = rig::tree::describe(&judges::umoci_unpacks(directory.path(), &layout));
        let containerd = Containerd::start();
        containerd.import(&archive);
        let by_containerd = containerd.mounted(NAME, rig::tree::describe);
        for (path, line) in &by_containerd {
            assert_eq!(by_umoci.get(path), Some(line), "{path}");
        }
        assert_eq!(by_umoci.len(), by_containerd.len());
        let has = |path: &str, start: &str| {
            let line = by_containerd.get(path).unwrap_or_else(|| panic!("no {path}"));
            assert!(line.starts_with(start), "{path}: {line}");
        };
        for gone in [
            "gone",
            "other/c",
            "replaced/old",
            "replaced/top",
            "becomes-file/d",
        ] {
            assert!(!by_containerd.contains_key(gone), "{gone}");
        }
        let time = ARTICLE_TIME;
        has("replaced/new", "file ");
        has("becomes-dir/inner", "file ");
        has("becomes-real", &format!("directory 755 0:0 {time}"));
        has("becomes-file", "file ");
        has("keep", "directory 700");
        has("keep/file", "file ");
        has("dev/null", &format!("char 0x103 644 0:0 {time}"));
        has("dev/loop", "block 0x700");
        has("dev/pipe", "fifo");
        has("sticky", "directory 1777");
        has("sticky/su", "file ");
        assert!(by_containerd["sticky/su"].contains(" 4755 "));
        assert!(by_containerd["links/z"].ends_with(" = links/a"));
        assert!(
            !by_containerd["links/b"].contains('='),
            "its other names were replaced or deleted"
        );
        has("byte\\xff", "file ");
        has("sp ace/new\\x0aline", "file ");
        std::fs::remove_dir_all(directory.path().join("bundle")).unwrap();
        std::fs::remove_dir_all(&layout).unwrap();
    }
}

#[test]
fn a_layout_directory_is_what_the_archive_holds() {
    let directory = TempDir::new().unwrap();
    article(directory.path());
    let archive = build(directory.path(), &["base", "delta"], &["--cmd", "/bin/sh"]);
    let unpacked = judges::layout(directory.path(), &archive);
    let mut command = handroll();
    command.args([
        "build", "--layer", "base", "--layer", "delta", "--name", "handroll", "--cmd", "/bin/sh",
    ]);
    ok(command
        .args(["--mtime", ARTICLE_TIME, "-o", "direct/"])
        .current_dir(directory.path()));
    ok(program("diff")
        .arg("-r")
        .arg(&unpacked)
        .arg(directory.path().join("direct")));
    let root = judges::umoci_unpacks(directory.path(), &directory.path().join("direct"));
    assert_eq!(
        std::fs::read_to_string(root.join("hello.txt")).unwrap(),
        "hello from delta\n"
    );
    assert_eq!(std::fs::read_dir(root.join("data")).unwrap().count(), 0);
}
