//! Conversions, and what is refused; what real runtimes make of them is in `tests/bundle.rs`.

use std::collections::BTreeMap;

use super::*;
use crate::content::Content;
use crate::image::json::Document;
use crate::image::root::{Root as View, RootEntry, RootKind};

/// Files, links (`->TARGET`) and directories (``) by path.
struct Files(BTreeMap<&'static [u8], &'static str>);

impl View for Files {
    fn lookup(&self, path: &[u8]) -> Option<RootEntry> {
        let text = self.0.get(path)?;
        let kind = match text.strip_prefix("->") {
            Some(target) => RootKind::Symlink(target.into()),
            None if text.is_empty() => RootKind::Directory,
            None => RootKind::File(Content::inline(text.as_bytes())),
        };
        Some(RootEntry {
            kind,
            mode: 0o750,
            uid: 5,
            gid: 7,
        })
    }
}

fn files(files: &[(&'static str, &'static str)]) -> Files {
    Files(
        files
            .iter()
            .map(|(path, text)| (path.as_bytes(), *text))
            .collect(),
    )
}

const PASSWD: &str =
    "root:x:0:0::/root:/bin/sh\n anna:x:1000:1001::/:/bin/sh\nbroken:x:many:0\n:x\nagain:x:1000:9\n";
const GROUP: &str = "root:x:0:\nanna:x:1001:\nwheel:x:10:root,anna\naudio:x:29:anna\nstaff:x:50:\n";

fn users() -> Files {
    files(&[
        ("/etc", "->/private/etc"),
        ("/private", ""),
        ("/private/etc", ""),
        ("/private/etc/passwd", PASSWD),
        ("/private/etc/group", GROUP),
    ])
}

fn read(text: &str) -> Result<ImageConfig, RuntimeError> {
    ImageConfig::read(&Document::parse(text.as_bytes()))
}

fn converted(config: &str, change: impl FnOnce(&mut Request), view: &Files) -> Result<Spec, RuntimeError> {
    let mut request = Request::new(Manner::Specification);
    change(&mut request);
    convert(&read(config)?, &request, view)
}

fn refused(config: &str, change: impl FnOnce(&mut Request)) -> String {
    converted(config, change, &users()).unwrap_err().to_string()
}

#[test]
fn what_conversion_md_asks_for() {
    let config = r#"{
        "architecture": "arm", "variant": "v7", "os": "linux", "os.version": "6", "os.features": ["a", "b"],
        "author": "Anna", "created": "2025-01-01T00:00:00Z",
        "config": {"User": "anna", "Entrypoint": ["/bin/e"], "Cmd": ["c", "d"], "Env": ["A=1", "B"  , "C=3"],
            "WorkingDir": "/w", "StopSignal": "SIGINT", "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
            "Volumes": {"/private": {}, "/run": {}, "/missing": {}}, "Healthcheck": 7,
            "Labels": {"l": "m", "org.opencontainers.image.author": "Bert"}}
    }"#;
    let config = &config.replace(r#""B"  ,"#, r#""B=","#);
    let spec = converted(config, |_| {}, &users()).unwrap();
    assert_eq!(spec.process.args, ["/bin/e", "c", "d"]);
    assert_eq!(spec.process.cwd, "/w");
    assert_eq!(
        spec.process.env,
        [
            "A=1",
            "B=",
            "C=3",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        ]
    );
    assert_eq!((spec.process.user.uid, spec.process.user.gid), (1000, 1001));
    assert_eq!(spec.process.user.additional_gids, [1001, 10, 29]);
    let annotations: Vec<_> = spec
        .annotations
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    assert_eq!(
        annotations,
        [
            "l=m",
            "org.opencontainers.image.architecture=arm",
            "org.opencontainers.image.author=Bert",
            "org.opencontainers.image.created=2025-01-01T00:00:00Z",
            "org.opencontainers.image.exposedPorts=53/udp,80/tcp",
            "org.opencontainers.image.os=linux",
            "org.opencontainers.image.os.features=a,b",
            "org.opencontainers.image.os.version=6",
            "org.opencontainers.image.stopSignal=SIGINT",
            "org.opencontainers.image.variant=v7",
        ]
    );
    let volumes: Vec<_> = spec.mounts[7..]
        .iter()
        .map(|mount| (&mount.destination[..], mount.options.join(",")))
        .collect();
    assert_eq!(
        volumes,
        [
            ("/missing", "nosuid,nodev,tmpcopyup,mode=755".to_owned()),
            (
                "/private",
                "nosuid,nodev,tmpcopyup,mode=750,uid=5,gid=7".to_owned()
            ),
        ]
    );
}

#[test]
fn labels_on_which_runtimes_act_are_left_out() {
    let labels = r#"{"run.oci.handler": "x", "org.systemd.property.A": "x", "org.criu.config": "/x", "run.ocix": "y"}"#;
    let config = format!(r#"{{"config": {{"Cmd": ["c"], "Labels": {labels}}}}}"#);
    let annotations = converted(&config, |_| {}, &users()).unwrap().annotations;
    assert_eq!(annotations.into_keys().collect::<Vec<_>>(), ["run.ocix"]);
    let config = read(&config).unwrap();
    let left_out: Vec<_> = unsafe_labels(&config).collect();
    assert_eq!(
        left_out,
        ["org.criu.config", "org.systemd.property.A", "run.oci.handler"]
    );
}

#[test]
fn what_is_asked_for_takes_the_place_of_what_the_image_says() {
    let config = r#"{"config": {"Entrypoint": ["/e"], "Cmd": ["c"], "Env": ["A=1", "PATH=/bin", "B=2"]}}"#;
    let spec = converted(
        config,
        |request| {
            request.arguments = Arguments::Cmd(vec!["x".to_owned()]);
            request.env = ["A=2", "B", "C=3", "D"].map(str::to_owned).into();
            request.user = Some("77:staff".to_owned());
            request.cwd = Some("/there".to_owned());
            request.terminal = true;
            request.read_only = true;
        },
        &users(),
    );
    let spec = spec.unwrap();
    assert_eq!(spec.process.args, ["/e", "x"]);
    assert_eq!(spec.process.env, ["A=2", "PATH=/bin", "C=3", "TERM=xterm"]);
    assert_eq!((spec.process.user.uid, spec.process.user.gid), (77, 50));
    assert_eq!(spec.process.cwd, "/there");
    assert!(spec.process.terminal && spec.root.readonly);
    let all = |request: &mut Request| request.arguments = Arguments::All(vec!["/y".to_owned()]);
    assert_eq!(converted(config, all, &users()).unwrap().process.args, ["/y"]);
}

#[test]
fn users_are_those_of_the_image() {
    let gids = |user: &str, manner: Manner| {
        let config = r#"{"config": {"Cmd": ["c"]}}"#;
        let change = |request: &mut Request| {
            request.user = Some(user.to_owned());
            request.manner = manner;
        };
        let user = converted(config, change, &users()).unwrap().process.user;
        (user.uid, user.gid, user.additional_gids)
    };
    use Manner::{Containerd, Specification};
    for manner in [Containerd, Specification] {
        assert_eq!(gids("", manner), (0, 0, vec![0, 10]));
        assert_eq!(gids("root", manner), (0, 0, vec![0, 10]));
        assert_eq!(gids("1000", manner), (1000, 1001, vec![1001, 10, 29]));
        assert_eq!(gids("77", manner), (77, 0, vec![0]));
        assert_eq!(gids("77:29", manner), (77, 29, vec![29]));
    }
    // config.md: a group that is given takes the place of all others.
    assert_eq!(gids("anna:staff", Containerd), (1000, 50, vec![50, 10, 29]));
    assert_eq!(gids("anna:staff", Specification), (1000, 50, vec![50]));
}

#[test]
fn what_cannot_run_is_refused() {
    let with = |config: &str| format!(r#"{{"config": {config}}}"#);
    let some = r#""Cmd": ["c"]"#;
    for (config, says) in [
        ("[]".to_owned(), "byte 0 (``): an object is wanted here"),
        ("{".to_owned(), "byte 1 (line 1, column 2)"),
        (with("null"), "neither Entrypoint nor Cmd"),
        (with(r#"{"Cmd": []}"#), "neither Entrypoint nor Cmd"),
        (
            with(r#"{"Cmd": "sh"}"#),
            "(`/config/Cmd`): a list of texts is wanted here",
        ),
        (
            with(r#"{"Cmd": ["sh", 1]}"#),
            "(`/config/Cmd/1`): a text is wanted here",
        ),
        (
            with(r#"{"Cmd": ["a\u0000b"]}"#),
            "argument 0: `a\\x00b` holds a NUL byte",
        ),
        (
            with(&format!(r#"{{{some}, "Env": ["A=1", "B"]}}"#)),
            "Env[1]: `B` is no variable; expected KEY=VALUE",
        ),
        (
            with(&format!(r#"{{{some}, "Env": ["=1"]}}"#)),
            "Env[0]: `=1` is no variable",
        ),
        (
            with(&format!(r#"{{{some}, "WorkingDir": "w"}}"#)),
            "WorkingDir: `w` is relative",
        ),
        (
            with(&format!(r#"{{{some}, "Volumes": {{"v": {{}}}}}}"#)),
            "Volumes: `v` is relative",
        ),
        (
            with(&format!(r#"{{{some}, "Volumes": ["/v"]}}"#)),
            "(`/config/Volumes`): an object is wanted here",
        ),
        (
            with(&format!(r#"{{{some}, "User": "bert"}}"#)),
            "no user `bert`: no line of /etc/passwd has this name",
        ),
        (
            with(&format!(r#"{{{some}, "User": "broken"}}"#)),
            "no user `broken`",
        ),
        (
            with(&format!(r#"{{{some}, "User": "anna:men"}}"#)),
            "no group `men`: no line of /etc/group",
        ),
        (
            with(&format!(r#"{{{some}, "User": "4294967295"}}"#)),
            "`4294967295` is no user",
        ),
        (
            with(&format!(r#"{{{some}, "User": "a:b:c"}}"#)),
            "`a:b:c` is no user",
        ),
    ] {
        let error = refused(&config, |_| {});
        assert!(error.contains(says), "{config}: {error}");
    }
    let relative = refused(&with(&format!("{{{some}}}")), |request| {
        request.cwd = Some("d".to_owned())
    });
    assert!(
        relative.contains("the directory to start in: `d` is relative"),
        "{relative}"
    );
    // Where there is no such file, that is said too.
    let error = converted(
        &with(&format!(r#"{{{some}, "User": "bert"}}"#)),
        |_| {},
        &files(&[]),
    )
    .unwrap_err();
    assert!(error.to_string().contains("(there is no /etc)"), "{error}");
    let odd = files(&[("/etc", ""), ("/etc/passwd", "")]);
    let error = converted(&with(&format!("{{{some}}}")), |_| {}, &odd).unwrap_err();
    assert_eq!(error.to_string(), "/etc/passwd: it is not a regular file");
}

#[test]
fn a_user_namespace_has_what_it_maps() {
    let config = r#"{"config": {"Cmd": ["c"], "User": "anna"}}"#;
    let map = |size| IdMapping {
        container_id: 0,
        host_id: 1000,
        size,
    };
    let new = |uids, gids| {
        move |request: &mut Request| request.users = Users::New(vec![map(uids)], vec![map(gids)])
    };
    let error = converted(config, new(1, 1), &users()).unwrap_err();
    assert!(error.to_string().contains("maps no user 1000"), "{error}");
    let error = converted(config, new(1001, 1), &users()).unwrap_err();
    assert!(error.to_string().contains("maps no group 1001"), "{error}");
    let root = r#"{"config": {"Cmd": ["c"]}}"#;
    let spec = converted(root, new(1, 1), &users()).unwrap();
    let document = String::from_utf8(spec.document()).unwrap();
    let maps = r#""uidMappings":[{"containerID":0,"hostID":1000,"size":1}]"#;
    assert!(document.contains(maps), "{document}");
    assert!(
        document.contains(r#"{"type":"user"}"#) && !document.contains("resources"),
        "{document}"
    );
    assert!(spec.process.user.additional_gids.is_empty());
    let pts = |spec: &Spec| spec.mounts[2].options.join(",");
    assert!(!pts(&spec).contains("gid=5"));
    assert!(!pts(&converted(root, new(1, 5), &users()).unwrap()).contains("gid=5"));
    assert!(pts(&converted(root, new(1, 6), &users()).unwrap()).contains("gid=5"));
    let inside = |request: &mut Request| request.users = Users::Inside(vec![map(1)], vec![map(8)]);
    assert_eq!(
        converted(root, inside, &users())
            .unwrap()
            .process
            .user
            .additional_gids,
        [0]
    );
}

fn all_steps(config: &str, view: &Files) -> Result<Vec<Step>, RuntimeError> {
    let root = MountPoint {
        root: "/".to_owned(),
        target: "/".to_owned(),
        options: "rw,relatime".to_owned(),
        kind: "overlay".to_owned(),
        source: "overlay".to_owned(),
        super_options: "rw".to_owned(),
    };
    steps(
        &converted(config, |_| {}, view)?,
        view,
        &root,
        &Machine::default(),
    )
}

#[test]
fn what_lands_in_the_upper_directory() {
    let view = files(&[
        ("/proc", ""),
        ("/links", ""),
        ("/dev", "->links/dev"),
        ("/links/dev", ""),
        ("/sys", ""),
        ("/dev/mqueue", "hidden by what is mounted"),
        ("/run", "->/a/loop"),
    ]);
    let made = |config: &str| {
        let steps = all_steps(config, &view).unwrap();
        let calls = steps.iter().flat_map(|step| &step.upper);
        let path = |call: &crate::overlay::mount::Call| match call {
            crate::overlay::mount::Call::Mkdir { path, .. } => String::from_utf8(path.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        };
        calls.map(path).collect::<Vec<_>>()
    };
    assert_eq!(
        made(r#"{"config": {"Cmd": ["c"], "WorkingDir": "/a/b", "Volumes": {"/v/w": {}}}}"#),
        ["/a", "/a/loop", "/v", "/v/w", "/a/b"]
    );
    assert_eq!(
        made(r#"{"config": {"Cmd": ["c"], "WorkingDir": "/run/b"}}"#),
        ["/a", "/a/loop"]
    );
    let linked = files(&[("/sys", "->proc"), ("/proc", "")]);
    let error = all_steps(r#"{"config": {"Cmd": ["c"]}}"#, &linked).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("/sys cannot be mounted: it is a symbolic link"),
        "{error}"
    );
    let circle = files(&[("/dev", "->dev")]);
    let error = all_steps(r#"{"config": {"Cmd": ["c"]}}"#, &circle).unwrap_err();
    assert!(error.to_string().contains("/dev is one link too many"), "{error}");
    let blocked = files(&[("/dev", "a file")]);
    let error = all_steps(r#"{"config": {"Cmd": ["c"]}}"#, &blocked).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/dev cannot be mounted: /dev is not a directory; runc wants a directory there, or nothing"
    );
}

#[test]
fn rules_have_names_of_their_own_and_sentences() {
    let mut ids: Vec<_> = StepRule::ALL.iter().map(|rule| rule.id()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), StepRule::ALL.len());
    for step in all_steps(r#"{"config": {"Cmd": ["c"]}}"#, &users()).unwrap() {
        let sentence = step.sentence();
        assert!(
            sentence.ends_with('.') && !sentence.contains("{text}"),
            "{sentence}"
        );
        assert_eq!(
            step.rule.sentence().contains("{text}"),
            !step.text.is_empty(),
            "{sentence}"
        );
    }
}
