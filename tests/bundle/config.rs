//! The configuration is the one that containerd writes for `ctr run`.

use handroll::native::RootView;
use handroll::runtime::{Arguments, Manner, Request, convert};
use serde_json::Value;

use super::rig::containerd::Containerd;
use super::*;

/// Users, and options of `build`, of images that containerd is asked to run.
const IMAGES: [&[&str]; 7] = [
    &[],
    &[
        "--user",
        "anna",
        "--env",
        "A=1",
        "--env",
        "B=2",
        "--working-dir",
        "/made/here",
    ],
    &["--user", "1000", "--entrypoint", "/bin/sh", "--env", "PATH=/bin"],
    &["--user", "1000:50", "--volume", "/vol", "--expose", "80"],
    &[
        "--user",
        "anna:staff",
        "--label",
        "l=m",
        "--stop-signal",
        "SIGINT",
    ],
    &[
        "--user",
        "77",
        "--author",
        "Anna",
        "--created",
        "2025-01-01T00:00:00Z",
    ],
    &["--user", "77:staff", "--env", "TERM=dumb"],
];

fn users(room: &Room) {
    let passwd = "root:x:0:0:root:/root:/bin/sh\nanna:x:1000:1001:Anna:/home/anna:/bin/sh\n";
    let group = "root:x:0:\nanna:x:1001:\nwheel:x:10:root,anna\naudio:x:29:anna\nstaff:x:50:\n";
    rig::write(room.path("users/etc/passwd"), passwd);
    rig::write(room.path("users/etc/group"), group);
}

/// The configuration by the core, for the root file system of an image.
fn ours(image: &Path, root: &Path, request: &Request) -> Value {
    let view = RootView::open(root).unwrap();
    let spec = convert(&config_of(image), request, &view).unwrap();
    serde_json::from_slice(&spec.document()).unwrap()
}

/// Containers of every containerd share a directory in /run.
fn unique(id: &str) -> String {
    format!("{id}-{}", std::process::id())
}

/// Ends a container that runs in the background.
fn end(containerd: &Containerd, id: &str) {
    ok(&mut containerd.ctr(&["tasks", "rm", "-f", id]));
    ok(&mut containerd.ctr(&["containers", "rm", id]));
}

#[test]
fn it_is_what_containerd_writes_for_ctr_run() {
    let room = Room::new();
    room.article(&[]);
    users(&room);
    let containerd = Containerd::start_in(support::tmpfs());
    let root = room.path("root");
    for (number, options) in IMAGES.into_iter().enumerate() {
        let (name, image) = (format!("image{number}"), room.path(&format!("{number}.tar")));
        room.build(&image, &name, &["base", "users"], options);
        containerd.import(&image);
        ok(room.handroll("unpack").arg(&image).arg(&root));
        let sleep = ["/bin/sh", "-c", "while :; do read x < /dev/zero; done"];
        for (id, given, env, read_only) in [
            ("plain", &sleep[..], &[][..], false),
            ("more", &sleep, &["A=3", "C=4", "TERM=vt100"], true),
        ] {
            let id = unique(&format!("{name}-{id}"));
            let mut run = containerd.ctr(&["run", "-d"]);
            for variable in env {
                run.args(["--env", variable]);
            }
            if read_only {
                run.arg("--read-only");
            }
            ok(run
                .arg(format!("docker.io/library/{name}:latest"))
                .arg(&id)
                .args(given));
            let theirs = fs::read(containerd.bundle(&id).join("config.json")).unwrap();
            let theirs: Value = serde_json::from_slice(&theirs).unwrap();
            let request = Request {
                arguments: Arguments::All(given.iter().map(|&text| text.to_owned()).collect()),
                env: env.iter().map(|&text: &&str| text.to_owned()).collect(),
                read_only,
                cgroups_path: Some(format!("/handroll/{id}")),
                ..Request::new(Manner::Containerd)
            };
            assert_eq!(ours(&image, &root, &request), theirs, "{options:?} {id}");
            end(&containerd, &id);
        }
        fs::remove_dir_all(&root).unwrap();
    }
    with_a_terminal(&room, &containerd);
}

fn with_a_terminal(room: &Room, containerd: &Containerd) {
    let image = room.path("6.tar");
    let root = room.path("root");
    ok(room.handroll("unpack").arg(&image).arg(&root));
    let command = ["/bin/sh", "-c", "while :; do read x < /dev/zero; done"];
    for (name, id) in [("image6", "terminal"), ("image1", "terminal-too")] {
        let (id, image) = (&unique(id), room.path(&format!("{}.tar", &name[5..])));
        let mut run = containerd.ctr(&["run", "-t", "-d"]);
        run.arg(format!("docker.io/library/{name}:latest"))
            .arg(id)
            .args(command);
        ok(&mut in_terminal(&run));
        let theirs = fs::read(containerd.bundle(id).join("config.json")).unwrap();
        let theirs: Value = serde_json::from_slice(&theirs).unwrap();
        let request = Request {
            arguments: Arguments::All(command.map(str::to_owned).into()),
            terminal: true,
            cgroups_path: Some(format!("/handroll/{id}")),
            ..Request::new(Manner::Containerd)
        };
        assert_eq!(ours(&image, &root, &request), theirs, "{name}");
        end(containerd, id);
    }
}

/// What bundles have that `ctr run` does not do: all of it, and nothing else.
#[test]
fn what_bundles_have_beside_it() {
    let room = Room::new();
    room.article(&[]);
    users(&room);
    let image = room.path("image.tar");
    let options = [
        "--user",
        "anna:staff",
        "--env",
        "A=1",
        "--volume",
        "/data",
        "--volume",
        "/new",
        "--expose",
        "80",
        "--label",
        "l=m",
        "--label",
        "run.oci.handler=x",
        "--stop-signal",
        "SIGINT",
    ];
    room.build(&image, "bundled", &["base", "users"], &options);
    let bundle = room.path("bundle");
    let made = ok(room.handroll("bundle").arg(&image).arg(&bundle).arg("--unpack"));
    let told = String::from_utf8(made.stderr).unwrap();
    assert!(
        told.contains("the label `run.oci.handler` does not become an annotation"),
        "{told}"
    );
    let written: Value = serde_json::from_slice(&fs::read(bundle.join("config.json")).unwrap()).unwrap();
    let mut expected = ours(&image, &bundle.join("rootfs"), &Request::new(Manner::Containerd));
    let process = &mut expected["process"];
    process["user"]["additionalGids"] = serde_json::json!([50]);
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    process["env"] = serde_json::json!(["A=1", path]);
    for destination in ["/data", "/new"] {
        expected["mounts"]
            .as_array_mut()
            .unwrap()
            .push(serde_json::json!({
                "destination": destination, "type": "tmpfs", "source": "tmpfs",
                "options": ["nosuid", "nodev", "tmpcopyup", "mode=755"],
            }));
    }
    expected["annotations"] = serde_json::json!({
        "l": "m",
        "org.opencontainers.image.architecture": "amd64",
        "org.opencontainers.image.exposedPorts": "80",
        "org.opencontainers.image.os": "linux",
        "org.opencontainers.image.stopSignal": "SIGINT",
    });
    assert_eq!(written, expected);
}
