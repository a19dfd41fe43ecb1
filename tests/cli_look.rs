//! `ls`, `cat` and `why` beside those who really unpack an image or list a tar: umoci, find, stat, GNU tar, and
//! busybox in a chroot.
//!
//! Runs as root on Linux. Nothing is skipped: a program that is missing is a failure.

mod rig;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use handroll::text::{escape, unescape};
use rig::judges::{in_transport, layout, umoci_unpacks};
use rig::{
    ARTICLE_TIME, article, article_files, everything, fails, handroll, json, ok, program, text, write,
};
use serde_json::Value;
use tempfile::TempDir;

/// An image of two layers with everything that layers can hold, and what umoci unpacks of it.
fn unpacked(directory: &Path) -> (PathBuf, PathBuf) {
    everything(directory);
    fs::copy("/bin/busybox", directory.join("base/busybox")).expect("busybox-static is installed");
    let script = "ln -s keep base/way && ln -s ../way/file base/links/round && ln -s loop base/loop
        ln -s /links/s base/dev/far && ln -s /../../keep base/up";
    ok(program("sh").args(["-ec", script]).current_dir(directory));
    ok(handroll()
        .args([
            "build",
            "--layer",
            "base",
            "--layer",
            "delta",
            "--name",
            "handroll",
            "--mtime",
            ARTICLE_TIME,
        ])
        .args([
            "--whiteout",
            "/gone",
            "--whiteout",
            "other/c",
            "--opaque",
            "/replaced",
        ])
        .args(["-o", "image.tar"])
        .current_dir(directory));
    let image = directory.join("image.tar");
    let root = umoci_unpacks(directory, &layout(directory, &image));
    (image, root)
}

/// What find and stat say of a path: mode, owner, size, time, target, and a number for the inode.
struct Found {
    mode: String,
    owner: String,
    size: String,
    time: String,
    target: Vec<u8>,
    inode: String,
}

fn find(root: &Path) -> BTreeMap<Vec<u8>, Found> {
    let format = "%M\\t%U:%G\\t%s\\t%TY-%Tm-%TdT%TH:%TM:%TS\\t%i\\t%P\\t%l\\0";
    let found = ok(program("find").arg(root).args(["-printf", format])).stdout;
    let lines = found.split(|&byte| byte == 0).filter(|line| !line.is_empty());
    let entry = |line: &[u8]| {
        let fields: Vec<&[u8]> = line.splitn(7, |&byte| byte == b'\t').collect();
        let word = |at: usize| String::from_utf8(fields[at].to_vec()).unwrap();
        let found = Found {
            mode: word(0),
            owner: word(1),
            size: word(2),
            time: word(3).split('.').next().unwrap().to_owned() + "Z",
            inode: word(4),
            target: fields[6].to_vec(),
        };
        ([b"/", fields[5]].concat(), found)
    };
    lines.map(entry).collect()
}

#[test]
fn ls_lists_what_umoci_unpacks() {
    let directory = TempDir::new().unwrap();
    let (image, root) = unpacked(directory.path());
    let expected = find(&root);
    let listed = text(handroll().arg("ls").arg(&image));
    let entries = json(handroll().args(["ls", "--json"]).arg(&image))["entries"].take();
    let entries = entries.as_array().unwrap();
    assert_eq!(listed.lines().count(), expected.len());
    assert_eq!(entries.len(), expected.len());
    let mut names_of: BTreeMap<&str, BTreeSet<Vec<u8>>> = BTreeMap::new();
    for (path, found) in &expected {
        if !found.mode.starts_with('d') {
            names_of.entry(&found.inode).or_default().insert(path.clone());
        }
    }
    let mut devices = 0;
    for (line, entry) in listed.lines().zip(entries) {
        let path = unescape(entry["path"].as_str().unwrap()).unwrap();
        let found = expected
            .get(&path)
            .unwrap_or_else(|| panic!("umoci has no {line}"));
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[0], found.mode, "{line}");
        assert_eq!(words[1], found.owner, "{line}");
        assert_eq!(words[3], found.time, "{line}");
        match &words[0][..1] {
            "-" => assert_eq!(words[2], found.size, "{line}"),
            "b" | "c" => {
                let full = root.join(OsStr::from_bytes(&path[1..]));
                let number = text(program("stat").args(["-c", "%t,%T"]).arg(full));
                let [major, minor]: [u32; 2] = number
                    .trim()
                    .split(',')
                    .map(|part| u32::from_str_radix(part, 16).unwrap())
                    .collect::<Vec<_>>()
                    .try_into()
                    .unwrap();
                assert_eq!(words[2], format!("{major},{minor}"), "{line}");
                devices += 1;
            }
            _ => assert_eq!(words[2], "0", "{line}"),
        }
        let first = entry["link_to"]
            .as_str()
            .map_or(path.clone(), |first| unescape(first).unwrap());
        let mut end = escape(&path);
        if words[0].starts_with('l') {
            assert_eq!(unescape(entry["target"].as_str().unwrap()).unwrap(), found.target);
            end += &format!(" -> {}", escape(&found.target));
        }
        if first != path {
            end += &format!(" link to {}", escape(&first));
        }
        assert!(line.ends_with(&format!("Z {end}")), "{line} | {end}");
        if let Some(names) = names_of.get(&found.inode[..]) {
            assert_eq!(names.first(), Some(&first), "{line}");
        }
    }
    assert_eq!(devices, 2);
    // Depth and path as find has them.
    for (options, paths) in [
        (&["--depth", "0"][..], vec!["/"]),
        (
            &["--depth", "1", "/dev"],
            vec!["/dev", "/dev/far", "/dev/loop", "/dev/null", "/dev/pipe"],
        ),
        (&["keep"], vec!["/keep", "/keep/file"]),
        (&["way"], vec!["/way"]),
        (&["./way/"], vec!["/keep", "/keep/file"]),
        (&["/up/../links/round"], vec!["/links/round"]),
    ] {
        let listed = json(handroll().args(["ls", "--json"]).arg(&image).args(options));
        let entries = listed["entries"].as_array().unwrap();
        let listed: Vec<_> = entries
            .iter()
            .map(|entry| entry["path"].as_str().unwrap())
            .collect();
        assert_eq!(listed, paths, "{options:?}");
    }
}

#[test]
fn ls_of_a_layer_lists_its_tar() {
    let directory = TempDir::new().unwrap();
    let script = r#"
        mkdir -p t/d/sub t/e && cd t && echo one > d/one && ln d/one d/two && ln -s one d/link && mkfifo pipe
        mknod null c 1 3 && touch d/.wh.gone e/.wh..wh..opq e/in && chmod 4711 d/one && chmod 1777 e
        setfattr -n user.note -v x pipe 2>/dev/null || setfattr -n trusted.note -v x pipe
        touch -d 1999-12-31T23:59:59Z d/sub && chown 7:8 d && cd ..
        tar --format=posix --xattrs --xattrs-include='*' --sort=name -cf t.tar -C t . && gzip -k t.tar && zstd -q t.tar"#;
    ok(program("sh").args(["-ec", script]).current_dir(directory.path()));
    let mut tar = program("tar");
    tar.args([
        "--numeric-owner",
        "--full-time",
        "--xattrs",
        "--xattrs-include=*",
        "-tvf",
        "t.tar",
    ]);
    let by_tar = text(tar.current_dir(directory.path()));
    let mut expected = BTreeSet::new();
    for line in by_tar.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let time = format!("{}T{}Z", words[3], words[4].split('.').next().unwrap());
        let path = match words[5] {
            "./" => "/",
            path => path.strip_prefix('.').unwrap().trim_end_matches('/'),
        };
        let (parent, name) = path.rsplit_once('/').unwrap();
        let xattr = if words[0].ends_with('*') { "+" } else { "" };
        let mode = words[0].trim_end_matches('*');
        expected.insert(match (name, &mode[..1]) {
            (".wh..wh..opq", _) => continue,
            (name, _) if name.starts_with(".wh.") => format!("whiteout {parent}/{}", &name[4..]),
            (_, "h") => {
                let size = fs::metadata(directory.path().join("t/d/two")).unwrap().len();
                let owner = words[1].replace('/', ":");
                format!("-{} {owner} {size} {time} {path} link to /d/one", &mode[1..])
            }
            _ => {
                let rest = words[6..].join(" ");
                let opaque = if path == "/e" { "(opaque)" } else { "" };
                let line = format!(
                    "{mode}{xattr} {} {} {time} {path} {rest} {opaque}",
                    words[1], words[2]
                );
                line.replacen('/', ":", 1)
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ")
            }
        });
    }
    assert!(by_tar.contains("d/.wh.gone"), "{by_tar}");
    for image in ["t.tar", "t.tar.gz", "t.tar.zst"] {
        let listed = text(
            handroll()
                .args(["ls", "--layer", "1", image])
                .current_dir(directory.path()),
        );
        let listed: BTreeSet<String> = listed
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(listed, expected, "{image}");
        // By standard input, and without an image around it it is an image of one layer.
        let mut piped = handroll();
        piped
            .args(["ls", "-", "/d/sub"])
            .stdin(Stdio::from(fs::File::open(directory.path().join(image)).unwrap()));
        assert!(text(&mut piped).ends_with("1999-12-31T23:59:59Z /d/sub\n"));
    }
}

#[test]
fn cat_reads_what_a_container_reads() {
    let directory = TempDir::new().unwrap();
    let (image, root) = unpacked(directory.path());
    let by_chroot = |path: &OsStr| {
        let mut command = program("chroot");
        command.arg(&root).args(["/busybox", "cat"]).arg(path);
        command.output().unwrap()
    };
    let (mut read, mut refused) = (0, 0);
    let more = [
        "/way/file",
        "/nothing",
        "/keep/file/x",
        "/replaced/old/file",
        "/links/a/",
        "/keep/../keep/file",
    ];
    let paths = find(&root)
        .into_iter()
        .filter(|(_, found)| !"pbc".contains(&found.mode[..1]));
    let paths = paths
        .map(|(path, _)| OsString::from_vec(path))
        .chain(more.map(OsString::from));
    for path in paths {
        let expected = by_chroot(&path);
        let ours = handroll().arg("cat").arg(&image).arg(&path).output().unwrap();
        assert_eq!(ours.stdout, expected.stdout, "{}", path.display());
        let code = if expected.status.success() { 0 } else { 3 };
        assert_eq!(ours.status.code(), Some(code), "{}: {ours:?}", path.display());
        assert_eq!(ours.stderr.is_empty(), code == 0, "{}", path.display());
        if code == 0 {
            read += 1;
        } else {
            refused += 1;
        }
    }
    assert!(read > 10 && refused > 5, "{read}, {refused}");
    // A layer alone has what others hide.
    let layer = |number: &str, path: &str| {
        let mut command = handroll();
        command.arg("cat").arg(&image).args([path, "--layer", number]);
        command
    };
    assert_eq!(text(&mut layer("1", "links/a")), "one\n");
    assert_eq!(text(&mut layer("2", "links/a")), "again\n");
    assert_eq!(
        text(&mut layer("1", "/links/s")),
        "one\n",
        "links are followed in the layer"
    );
    fails(&mut layer("2", "keep/file"), 3, "not in layer 2");
    fails(&mut layer("1", "/dev/pipe"), 3, "a device or a fifo");
    fails(&mut layer("3", "/x"), 2, "2 layers");
    fails(&mut layer("0", "/x"), 2, "no layer 0");
}

/// What `why --json` says, shortened: what shows, and what each layer did.
fn why(image: &Path, path: impl AsRef<OsStr>) -> (Value, Option<u64>, Vec<String>) {
    let report = json(handroll().args(["why", "--json"]).arg(image).arg(path));
    let layers = report["layers"].as_array().unwrap().iter().map(|layer| {
        let mut words = vec![
            layer["layer"].to_string(),
            layer["does"].as_str().unwrap().to_owned(),
        ];
        let changed = layer["changed"].as_array().unwrap();
        words.extend(changed.iter().map(|change| change.as_str().unwrap().to_owned()));
        words.extend(
            ["how", "at"]
                .iter()
                .filter_map(|key| layer[*key].as_str().map(str::to_owned)),
        );
        if let Some(by) = layer["hidden_by"].as_u64() {
            words.push(format!(
                "hidden by {by}: {} in {}",
                layer["bytes"], layer["files"]
            ));
        }
        words.join(" ")
    });
    let layers = layers.collect();
    let shows = report["shows"].as_u64();
    (report, shows, layers)
}

#[test]
fn why_tells_the_whole_story() {
    let directory = TempDir::new().unwrap();
    let dir = directory.path();
    let script = r#"
        mkdir -p 1/etc 1/opt/app/lib 1/usr/bin 2/opt 3/opt/app 4/etc 4/opt/app 5
        ln -s usr/bin 1/bin && echo tool > 1/usr/bin/tool
        echo a > 1/etc/conf && printf 12345 > 1/opt/app/data && printf 123 > 1/opt/app/lib/so
        ln 1/opt/app/data 1/opt/app/data2
        printf 1234567 > 3/opt/app/new && echo b > 4/etc/conf && chmod 600 4/etc/conf && echo f > 5/usr"#;
    ok(program("sh").args(["-ec", script]).current_dir(dir));
    let mut command = handroll();
    command
        .args(["build", "--name", "x", "-o", "image.tar"])
        .current_dir(dir);
    command.args(["--layer", "1", "--created-by", "COPY 1 /", "--comment", "first"]);
    command.args([
        "--layer",
        "2",
        "--whiteout",
        "opt/app",
        "--created-by",
        "RUN rm -r /opt/app",
    ]);
    command.args([
        "--layer",
        "3",
        "--layer",
        "4",
        "--opaque",
        "opt/app",
        "--whiteout",
        "/nothing",
        "--layer",
        "5",
    ]);
    ok(&mut command);
    let image = dir.join("image.tar");
    for (path, shows, layers) in [
        (
            "/etc/conf",
            Some(4),
            &["1 makes hidden by 4: 2 in 1", "4 changes content mode"][..],
        ),
        (
            "/opt/app/data",
            None,
            &["1 makes hidden by 2: 5 in 1", "2 hides whiteout /opt/app"],
        ),
        (
            "opt/app/new",
            None,
            &["3 makes hidden by 4: 7 in 1", "4 hides opaque /opt/app"],
        ),
        (
            "/opt/app",
            Some(4),
            // Two files: one has two names.
            &[
                "1 makes hidden by 2: 8 in 2",
                "2 deletes",
                "3 makes hidden by 4: 7 in 1",
                "4 changes",
            ],
        ),
        (
            "/usr/bin/tool",
            None,
            &["1 makes hidden by 5: 5 in 1", "5 hides replaced /usr"],
        ),
        ("/nothing", None, &["4 deletes_nothing"]),
        ("/never", None, &[]),
        // It was never there, and neither is what it would be in.
        (
            "/opt/app/lib/x/y",
            None,
            &["1 makes hidden by 2: 3 in 1", "2 hides whiteout /opt/app"],
        ),
    ] {
        let (report, shown, told) = why(&image, path);
        assert_eq!(
            (shown, &told[..]),
            (
                shows,
                &layers.iter().map(|text| text.to_string()).collect::<Vec<_>>()[..]
            ),
            "{path}: {report}"
        );
    }
    let (report, ..) = why(&image, "/opt/app/lib/x/y");
    assert_eq!(
        (&report["path"], &report["about"]),
        (&"/opt/app/lib/x/y".into(), &"/opt/app/lib".into())
    );
    let (report, ..) = why(&image, "/etc/conf");
    let history = &report["layers"][0]["history"];
    assert_eq!(
        (&history["created_by"], &history["comment"]),
        (&"COPY 1 /".into(), &"first".into())
    );
    let entry = &report["layers"][1]["entry"];
    assert_eq!(
        (&entry["mode"], &entry["size"], &entry["uid"]),
        (&"0600".into(), &2.into(), &0.into())
    );
    // In words.
    let told = text(
        handroll()
            .args(["why", "image.tar", "/opt/app/data"])
            .current_dir(dir),
    );
    assert_eq!(
        told,
        "/opt/app/data is not there: layer 2 takes it away\n\
         layer 1   makes it: a file of 5 bytes, mode 0644, owner 0:0, 1970-01-01T00:00:00Z\n          \
         hidden by layer 2, and still in the image: 5 bytes\n          \
         made by: COPY 1 /\n\
         layer 2   deletes /opt/app\n          \
         made by: RUN rm -r /opt/app\n"
    );
    // Links on the way are followed, where the path itself is in no layer.
    let told = text(handroll().args(["why", "1.tar", "bin/tool"]).current_dir({
        ok(program("tar")
            .args(["-C", "1", "-cf", "1.tar", "."])
            .current_dir(dir));
        dir
    }));
    assert!(
        told.starts_with("bin/tool is /usr/bin/tool\n/usr/bin/tool is there, from layer 1\n"),
        "{told}"
    );
}

#[test]
fn why_knows_what_is_there() {
    let directory = TempDir::new().unwrap();
    let (image, root) = unpacked(directory.path());
    let there = find(&root);
    let mut paths = BTreeSet::new();
    for layer in ["1", "2"] {
        let listed = json(handroll().args(["ls", "--json", "--layer", layer]).arg(&image));
        let entries = listed["entries"].as_array().unwrap();
        paths.extend(
            entries
                .iter()
                .map(|entry| unescape(entry["path"].as_str().unwrap()).unwrap()),
        );
    }
    let mut gone = 0;
    for path in &paths {
        let (report, shows, _) = why(&image, OsStr::from_bytes(path));
        assert_eq!(report["about"], escape(path));
        assert_eq!(shows.is_some(), there.contains_key(path), "{report}");
        gone += usize::from(shows.is_none());
    }
    assert!(gone >= 6 && paths.len() > 30, "{gone} of {}", paths.len());
}

#[test]
fn one_of_several_images_is_chosen() {
    let directory = TempDir::new().unwrap();
    let dir = directory.path();
    article(dir);
    for (name, platform, layer) in [("one", "linux/amd64", "base"), ("two", "linux/arm/v7", "delta")] {
        let archive = dir.join(format!("{name}.tar"));
        let mut command = handroll();
        command.args([
            "build",
            "--layer",
            layer,
            "--name",
            name,
            "--platform",
            platform,
            "-o",
        ]);
        ok(command.arg(&archive).current_dir(dir));
        ok(program("skopeo")
            .args(["copy", "-q", "--override-arch=arm", "--override-variant=v7"])
            .arg(in_transport("oci-archive", &archive))
            .arg(in_transport("oci", &dir.join("both")) + ":" + name));
    }
    ok(program("tar")
        .args(["-C", "both", "-cf", "both.tar", "."])
        .current_dir(dir));
    let cat = |image: &str, options: &[&str]| {
        let mut command = handroll();
        command
            .args(["cat", image, "hello.txt"])
            .args(options)
            .current_dir(dir);
        command
    };
    for image in ["both", "both.tar"] {
        for options in [
            &["--image", "one"][..],
            &["--image", "1"],
            &["--platform", "linux/amd64"],
        ] {
            assert_eq!(text(&mut cat(image, options)), "hello from base\n", "{options:?}");
        }
        let config = text(
            program("skopeo")
                .args(["inspect", "--raw", "--config", "oci:both:two"])
                .current_dir(dir),
        );
        let digest = handroll::digest::Digest::of(config.as_bytes()).to_string();
        for options in [
            &["--image", "two"][..],
            &["--image", "2"],
            &["--image", &digest],
            &["--platform", "linux/arm"],
            &["--platform", "linux/arm/v7", "--image", "two"],
        ] {
            assert_eq!(
                text(&mut cat(image, options)),
                "hello from delta\n",
                "{options:?}"
            );
        }
        let all = "1 one (linux/amd64), 2 two (linux/arm/v7)";
        fails(&mut cat(image, &[]), 2, all);
        for options in [
            &["--image", "three"][..],
            &["--image", "0"],
            &["--image", "3"],
            &["--platform", "linux/arm/v6"],
            &["--image", "one", "--platform", "linux/arm"],
        ] {
            fails(&mut cat(image, options), 2, all);
        }
        fails(&mut cat(image, &["--platform", "linux"]), 2, "OS/ARCHITECTURE");
        let both = json(handroll().args(["inspect", "--json", image]).current_dir(dir));
        assert_eq!(both["images"].as_array().unwrap().len(), 2);
        let one = json(
            handroll()
                .args(["inspect", "--json", "--image", "two", image])
                .current_dir(dir),
        );
        assert_eq!(one["images"].as_array().unwrap().len(), 1);
        assert_eq!(one["images"][0], both["images"][1]);
    }
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_is_shown() {
    let directory = TempDir::new().unwrap();
    let dir = directory.path();
    article_files(dir);
    ok(handroll()
        .args([
            "build",
            "--layer",
            "base",
            "--layer",
            "delta",
            "--whiteout",
            "/data/config.txt",
        ])
        .args(["--name", "x", "--compression", "none", "-o", "layout/"])
        .current_dir(dir));
    let inspected = json(handroll().args(["inspect", "--json", "layout"]).current_dir(dir));
    let digest = inspected["images"][0]["layers"][1]["digest"].as_str().unwrap();
    let blob = dir.join(digest.replace("sha256:", "layout/blobs/sha256/"));
    let bytes = fs::read(&blob).unwrap();
    // In the middle of the last entry, hello.txt; what stands before it counts.
    let cut = bytes.windows(9).position(|part| part == b"hello.txt").unwrap();
    fs::write(&blob, &bytes[..cut + 100]).unwrap();
    for arguments in [
        &["ls", "layout"][..],
        &["why", "layout", "data/config.txt"],
        &["cat", "layout", "hello.txt"],
    ] {
        let output = handroll().args(arguments).current_dir(dir).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.starts_with("handroll: layer 2 could not be read to its end: "),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1);
        let printed = String::from_utf8_lossy(&output.stdout);
        let expected = match arguments[0] {
            "ls" => "/hello.txt\n",
            "why" => "/data/config.txt is not there: layer 2 takes it away\n",
            _ => "hello from base\n",
        };
        assert!(printed.contains(expected), "{printed}");
    }
    assert_eq!(
        text(
            handroll()
                .args(["cat", "layout", "hello.txt", "--layer", "1"])
                .current_dir(dir)
        ),
        "hello from base\n"
    );
    fs::remove_file(&blob).unwrap();
    let output = handroll()
        .args(["ls", "layout"])
        .current_dir(dir)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not in the archive"));
}

#[test]
fn bad_images_and_paths_are_one_sentence() {
    let directory = TempDir::new().unwrap();
    let dir = directory.path();
    article_files(dir);
    ok(handroll()
        .args(["build", "--layer", "base", "--name", "x", "-o", "x.tar"])
        .current_dir(dir));
    write(dir.join("text"), "hello");
    fs::create_dir(dir.join("empty")).unwrap();
    for (arguments, code, says) in [
        (&["ls", "missing"][..], 3, "missing: "),
        (&["ls", "text"], 3, "text: "),
        (&["ls", "empty"], 3, "empty: this is no image"),
        (&["ls", "base"], 3, "base: this is no image"),
        (&["ls", "x.tar", "/nothing"], 3, "there is no /nothing"),
        (
            &["ls", "x.tar", "/hello.txt/"],
            3,
            "/hello.txt is not a directory",
        ),
        (&["cat", "x.tar", "/"], 3, "a directory"),
        (&["cat", "x.tar"], 2, "PATH"),
        (&["cat"], 2, "IMAGE"),
        (&["why", "x.tar"], 2, "PATH"),
        (&["why", "x.tar", "/a/.wh.b"], 3, ".wh."),
        (&["ls", "x.tar", "--layer", "x"], 2, "--layer"),
        (&["ls", "x.tar", "--depth", "-1"], 2, "-1"),
    ] {
        fails(handroll().args(arguments).current_dir(dir), code, says);
    }
    // A fifo is read if somebody writes to it, and not waited for.
    ok(program("mkfifo").arg("fifo").current_dir(dir));
    fails(
        handroll().args(["ls", "fifo"]).current_dir(dir),
        3,
        "fifo: this file is empty",
    );
    fails(handroll().args(["ls", "/dev/zero"]), 3, "not a regular file");
    let piped = format!("{} ls <(cat x.tar)", env!("CARGO_BIN_EXE_handroll"));
    let plain = text(handroll().args(["ls", "x.tar"]).current_dir(dir));
    assert_eq!(text(program("bash").args(["-c", &piped]).current_dir(dir)), plain);
    // A reader that goes away is no failure.
    let script = format!("{} ls x.tar | true", env!("CARGO_BIN_EXE_handroll"));
    let output = ok(program("bash")
        .args(["-c", &format!("set -o pipefail; {script}")])
        .current_dir(dir));
    assert!(output.stderr.is_empty());
}

#[test]
fn what_may_not_be_read_in_a_directory_is_told() {
    let directory = TempDir::new().unwrap();
    let dir = directory.path();
    article_files(dir);
    ok(handroll()
        .args(["build", "--layer", "base", "--name", "x", "-o", "layout/"])
        .current_dir(dir));
    ok(program("chmod").args(["-R", "a+rX", "."]).current_dir(dir));
    // As somebody whom permissions stop, by a program that he can reach.
    let to = dir.join("handroll");
    fs::copy(env!("CARGO_BIN_EXE_handroll"), &to).unwrap();
    let check = |closed: &str| {
        let path = dir.join("layout").join(closed);
        let before = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
        let mut program = Command::new(&to);
        let program = program.args(["check", "--json", "layout"]).current_dir(dir);
        let output = program.uid(65534).gid(65534).output().unwrap();
        fs::set_permissions(&path, before).unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let found = report["findings"].as_array().cloned().unwrap_or_default();
        let ids = found
            .iter()
            .map(|finding| finding["id"].as_str().unwrap().to_owned());
        (output.status.code(), ids.collect::<Vec<_>>())
    };
    let (code, ids) = check("blobs/sha256");
    assert_eq!(code, Some(1));
    assert!(ids.contains(&"directory_unreadable".to_owned()), "{ids:?}");
    assert!(ids.contains(&"manifest_missing".to_owned()), "{ids:?}");
    let (code, ids) = check("index.json");
    assert_eq!(code, Some(1));
    assert!(ids.contains(&"blob_unreadable".to_owned()), "{ids:?}");
    assert_eq!(check("").0, Some(3));
}
