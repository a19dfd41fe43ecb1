//! The article's section 8, by `handroll run` and by containerd's `ctr run`, from the same archive.

use super::rig::containerd::Containerd;
use super::rig::text;
use super::*;

const NAME: &str = "docker.io/library/handroll:latest";

/// Lines of mountinfo without numbers, and with short names for what is elsewhere by nature: the layers, from the top,
/// and where it is written to.
pub fn without_places(mountinfo: &str) -> Vec<String> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut words: Vec<String> = words[3..].iter().map(|word| (*word).to_owned()).collect();
        if words.get(4).is_some_and(|kind| kind == "overlay") {
            let options = words[6].split(',').map(|option| match option.split_once('=') {
                Some(("lowerdir", layers)) => format!("lowerdir=<{} layers>", layers.split(':').count()),
                Some((name @ ("upperdir" | "workdir"), path)) => {
                    format!("{name}=<…>/{}", path.rsplit('/').next().unwrap())
                }
                _ => option.to_owned(),
            });
            words[6] = options.collect::<Vec<_>>().join(",");
            // containerd calls the upper directory `fs`.
            words[6] = words[6].replace("upperdir=<…>/fs", "upperdir=<…>/upper");
        }
        words.join(" ")
    };
    mountinfo.lines().map(line).collect()
}

/// The commands that the article types in the container, and what it says that they print; none where it gives the
/// form only.
const SECTION_8: [(&str, Option<&str>); 6] = [
    // The article has `etc/` in it, and no `run/`: see docs/article.md.
    ("ls /", Some("bin\ndata\ndev\nhello.txt\nproc\nrun\nsys\n")),
    ("cat /hello.txt", Some("hello from delta\n")),
    ("ls /bin/", Some("busybox\ncat\nls\nsh\n")),
    ("ls /data/", Some("")),
    ("cat /proc/1/mountinfo | grep overlay", None),
    ("cat /proc/1/mountinfo", None),
];

#[test]
fn section_8_prints_what_it_prints_with_containerd() {
    let room = Room::new();
    let image = room.article(&[]);
    let containerd = Containerd::start_in(support::tmpfs());
    containerd.import(&image);
    for (line, says) in SECTION_8 {
        let command = ["/bin/sh", "-c", line];
        let theirs = containerd.run(NAME, &command);
        let ours = text(&mut room.run(&image, &command));
        match says {
            Some(says) => assert_eq!((&ours[..], &theirs[..]), (says, says), "{line}"),
            None => {
                assert_eq!(without_places(&ours), without_places(&theirs));
                assert_eq!(ours.lines().count() > 10, !line.ends_with("overlay"), "{ours}");
            }
        }
    }
    room.is_clean();
    // The line that the article shows: layers from the top, and where it is written to.
    let printed = text(&mut room.run(&image, &["/bin/cat", "/proc/1/mountinfo"]));
    let line = printed.lines().find(|line| line.contains(" - overlay ")).unwrap();
    let layers = line.split_once("lowerdir=").unwrap().1.split_once(',').unwrap().0;
    let files: Vec<bool> = layers
        .split(':')
        .map(|layer| Path::new(layer).join("bin").exists())
        .collect();
    assert_eq!(files, [false, true], "delta first, then base: {line}");
    assert!(
        line.contains("/ / rw,relatime - overlay overlay rw,lowerdir="),
        "{line}"
    );
    assert!(line.ends_with("/work"), "{line}");
    // The layer below has what is hidden, as the article shows on the host.
    let base = Path::new(layers.split(':').nth(1).unwrap());
    assert_eq!(
        fs::read_to_string(base.join("hello.txt")).unwrap(),
        "hello from base\n"
    );
    assert_eq!(
        fs::read_to_string(base.join("data/config.txt")).unwrap(),
        "base config\n"
    );
}

/// What docs/article.md says of the name: the article's index gives the image another than it says.
#[test]
fn the_articles_index_names_the_image_otherwise() {
    let room = Room::new();
    room.article(&[]);
    let layout = rig::judges::layout(room.space.path(), &room.path("image.tar"));
    let index = layout.join("index.json");
    let mut document: serde_json::Value = serde_json::from_slice(&fs::read(&index).unwrap()).unwrap();
    document["manifests"][0]["annotations"] =
        serde_json::json!({"org.opencontainers.image.ref.name": "handroll:latest"});
    fs::write(&index, document.to_string()).unwrap();
    fs::remove_file(layout.join("manifest.json")).unwrap();
    let archive = room.path("articles.tar");
    ok(program("tar")
        .arg("-C")
        .arg(&layout)
        .arg("-cf")
        .arg(&archive)
        .arg("."));
    let containerd = Containerd::start_in(support::tmpfs());
    ok(containerd
        .ctr(&["images", "import", "--base-name", "handroll"])
        .arg(&archive));
    assert_eq!(containerd.names(), ["handroll:latest"]);
    rig::fails(
        &mut containerd.ctr(&["run", "--rm", NAME, "demo"]),
        1,
        "not found",
    );
    assert_eq!(
        containerd.run("handroll:latest", &["/bin/cat", "/hello.txt"]),
        "hello from delta\n"
    );
}

#[test]
fn a_terminal_shows_what_it_shows_with_containerd() {
    let room = Room::new();
    let image = room.article(&[]);
    let containerd = Containerd::start_in(support::tmpfs());
    containerd.import(&image);
    let script = "ls /; ls /dev; echo $TERM; cat /proc/1/mountinfo";
    let theirs = containerd.ctr(&["run", "--rm", "-t", NAME, "demo", "/bin/sh", "-c", script]);
    let theirs = text(&mut in_terminal(&theirs));
    // A terminal is taken where there is one.
    let ours = text(&mut in_terminal(&room.run(&image, &["/bin/sh", "-c", script])));
    // Where the outer terminal is one that nobody switched, lines end twice.
    let shown = |text: &str| {
        let text = text.replace('\r', "");
        let (plain, table) = text.split_at(text.find(" / / ").expect("the mount table"));
        let begin = plain.rfind('\n').unwrap() + 1;
        let mounts: String = [&plain[begin..], table].concat();
        (plain[..begin].to_owned(), without_places(&mounts))
    };
    assert_eq!(shown(&ours), shown(&theirs));
    assert!(ours.contains("console") && ours.contains("xterm"), "{ours}");
    let mut without = room.run(&image, &["/bin/ls", "/dev"]);
    assert!(!text(&mut without).contains("console"));
    room.is_clean();
}
