//! `handroll build` on a real directory of this machine, large and made by others, against GNU tar.

use std::path::Path;
use std::process::{Command, Stdio};

/// On every Debian: tens of thousands of files, with links of both kinds.
const DIRECTORY: &str = "/usr/share";

/// Files and bytes under a directory.
fn measure(directory: &Path) -> (u64, u64) {
    let (mut files, mut bytes) = (0, 0);
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            let (more, larger) = measure(&entry.path());
            (files, bytes) = (files + more, bytes + larger);
        } else {
            (files, bytes) = (files + 1, bytes + metadata.len());
        }
    }
    (files, bytes)
}

#[test]
fn a_large_directory_has_the_diff_id_of_gnu_tar() {
    let (files, bytes) = measure(Path::new(DIRECTORY));
    println!("{DIRECTORY}: {files} files, {bytes} bytes");
    assert!(
        files > 10_000 && bytes > 200_000_000,
        "{DIRECTORY} is too small to show anything"
    );
    let tar = format!(
        "tar -C {DIRECTORY} --format=gnu --sort=name --mtime=@1735689600 --owner=0 --group=0 --numeric-owner -cf - . | sha256sum"
    );
    let theirs = Command::new("sh").args(["-c", &tar]).output().unwrap();
    assert!(theirs.status.success());
    let theirs = String::from_utf8(theirs.stdout).unwrap();
    let output = tempfile::tempdir().unwrap();
    let ours = Command::new(env!("CARGO_BIN_EXE_handroll"))
        .args([
            "build",
            "--layer",
            DIRECTORY,
            "--name",
            "real",
            "--mtime",
            "1735689600",
        ])
        .args(["--compression", "none", "--json", "-o"])
        .arg(output.path().join("image.tar"))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(ours.status.success());
    let ours: serde_json::Value = serde_json::from_slice(&ours.stdout).unwrap();
    let expected = format!("sha256:{}", theirs.split(' ').next().unwrap());
    assert_eq!(ours["layers"][0]["diff_id"], expected);
    let written = std::fs::metadata(output.path().join("image.tar")).unwrap().len();
    assert!(written > bytes, "the archive holds the files");
}
