//! The image's configuration: what a person sets, its rules, and the document it becomes (image-spec,
//! config.md). Knows texts and DiffIDs; whether the command can run is the preflight's question.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::archive::LayerBlob;
use super::created::is_date_time;
use crate::digest::Digest;

/// What the image is for (config.md: `os`, `architecture` and `variant`, with Go's names).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Platform {
    /// The operating system: `linux`.
    pub os: String,
    /// The processor: `amd64`, `arm64`, …
    pub architecture: String,
    /// The processor's variant: `v7` of `arm`.
    pub variant: Option<String>,
}

impl Default for Platform {
    fn default() -> Self {
        Self {
            os: "linux".to_owned(),
            architecture: "amd64".to_owned(),
            variant: None,
        }
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

/// All of the configuration that a person sets. Changed by [`Settings::set`], which keeps it valid.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// Arguments of the entrypoint, or the whole command if there is none.
    pub cmd: Option<Vec<String>>,
    /// What is run.
    pub entrypoint: Option<Vec<String>>,
    /// `KEY=VALUE`, in this order.
    pub env: Vec<String>,
    /// Where the process starts.
    pub working_dir: Option<String>,
    /// `user`, `uid`, `user:group`, …
    pub user: Option<String>,
    /// The signal that asks it to end.
    pub stop_signal: Option<String>,
    /// Who made the image.
    pub author: Option<String>,
    /// When it was made (RFC 3339).
    pub created: Option<String>,
    /// Free metadata.
    pub labels: BTreeMap<String, String>,
    /// `80`, `80/tcp`, `53/udp`, …
    pub exposed_ports: BTreeSet<String>,
    /// Absolute paths that get a volume of their own.
    pub volumes: BTreeSet<String>,
    /// What it runs on.
    pub platform: Platform,
}

/// One field with its new value, as it comes from the page, a recipe or the command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "field", content = "value", rename_all = "snake_case")]
#[allow(missing_docs, reason = "each is the field of `Settings` that has its name")]
pub enum ConfigField {
    Cmd(Option<Vec<String>>),
    Entrypoint(Option<Vec<String>>),
    Env(Vec<String>),
    WorkingDir(Option<String>),
    User(Option<String>),
    StopSignal(Option<String>),
    Author(Option<String>),
    Created(Option<String>),
    Labels(BTreeMap<String, String>),
    ExposedPorts(Vec<String>),
    Volumes(Vec<String>),
    Platform(Platform),
}

impl ConfigField {
    /// The field as the document spells it: `WorkingDir`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Cmd(_) => "Cmd",
            Self::Entrypoint(_) => "Entrypoint",
            Self::Env(_) => "Env",
            Self::WorkingDir(_) => "WorkingDir",
            Self::User(_) => "User",
            Self::StopSignal(_) => "StopSignal",
            Self::Author(_) => "author",
            Self::Created(_) => "created",
            Self::Labels(_) => "Labels",
            Self::ExposedPorts(_) => "ExposedPorts",
            Self::Volumes(_) => "Volumes",
            Self::Platform(_) => "platform",
        }
    }
}

/// A value that a field can't have, and the rule that says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: `{shown}` {rule}", shown = crate::text::escape(value.as_bytes()))]
pub struct ConfigError {
    /// The field, as the document spells it: `WorkingDir`.
    pub field: &'static str,
    /// The value that was refused.
    pub value: String,
    /// What is asked of such a value.
    pub rule: &'static str,
}

impl ConfigError {
    /// A stable name of the kind of error, for callers that choose by it.
    pub fn code(&self) -> &'static str {
        "config_value"
    }
}

type Checked<T> = Result<T, ConfigError>;

fn ensure(holds: bool, field: &'static str, value: &str, rule: &'static str) -> Checked<()> {
    if holds {
        return Ok(());
    }
    Err(ConfigError {
        field,
        value: value.to_owned(),
        rule,
    })
}

impl Settings {
    /// Sets one field, or says why the value can't be and changes nothing. An empty text is the same as none.
    pub fn set(&mut self, set: ConfigField) -> Result<(), ConfigError> {
        match set {
            ConfigField::Cmd(value) => self.cmd = command("Cmd", value)?,
            ConfigField::Entrypoint(value) => self.entrypoint = command("Entrypoint", value)?,
            ConfigField::Env(value) => self.env = environment(value)?,
            ConfigField::WorkingDir(value) => self.working_dir = optional(value, working_dir)?,
            ConfigField::User(value) => self.user = optional(value, user)?,
            ConfigField::StopSignal(value) => self.stop_signal = optional(value, stop_signal)?,
            ConfigField::Author(value) => self.author = optional(value, |_| Ok(()))?,
            ConfigField::Created(value) => self.created = optional(value, created)?,
            ConfigField::Labels(value) => self.labels = labels(value)?,
            ConfigField::ExposedPorts(value) => {
                value.iter().try_for_each(|port| exposed_port(port))?;
                self.exposed_ports = value.into_iter().collect();
            }
            ConfigField::Volumes(value) => {
                value.iter().try_for_each(|path| absolute("Volumes", path))?;
                self.volumes = value.into_iter().collect();
            }
            ConfigField::Platform(value) => self.platform = platform(value)?,
        }
        Ok(())
    }

    /// The configuration as a document: image-spec's own order of fields, no spaces, nothing that is empty.
    pub fn document(&self, layers: &[LayerBlob]) -> Vec<u8> {
        let document = Document {
            created: self.created.as_deref(),
            author: self.author.as_deref(),
            architecture: &self.platform.architecture,
            os: &self.platform.os,
            variant: self.platform.variant.as_deref(),
            config: Execution {
                user: self.user.as_deref(),
                exposed_ports: empties(&self.exposed_ports),
                env: &self.env,
                entrypoint: self.entrypoint.as_deref(),
                cmd: self.cmd.as_deref(),
                volumes: empties(&self.volumes),
                working_dir: self.working_dir.as_deref(),
                labels: &self.labels,
                stop_signal: self.stop_signal.as_deref(),
            },
            rootfs: RootFs {
                kind: "layers",
                diff_ids: layers.iter().map(|layer| layer.diff_id).collect(),
            },
            history: layers
                .iter()
                .map(|layer| History {
                    created: self.created.as_deref(),
                    created_by: layer.created_by.as_deref(),
                    comment: layer.comment.as_deref(),
                })
                .collect(),
        };
        serde_json::to_vec(&document).expect("texts, lists and maps of texts are always JSON")
    }
}

fn optional(value: Option<String>, check: impl Fn(&str) -> Checked<()>) -> Checked<Option<String>> {
    let value = value.filter(|text| !text.is_empty());
    value.as_deref().map_or(Ok(()), check)?;
    Ok(value)
}

const NO_NUL: &str = "holds a NUL byte, which ends an argument, a variable or a path";

fn command(field: &'static str, value: Option<Vec<String>>) -> Checked<Option<Vec<String>>> {
    for argument in value.iter().flatten() {
        ensure(!argument.contains('\0'), field, argument, NO_NUL)?;
    }
    if let Some(program) = value.as_ref().and_then(|list| list.first()) {
        let rule = "can't be the program: the first argument must not be empty";
        // Only an entrypoint is always the program; the first of Cmd may be an argument.
        ensure(field != "Entrypoint" || !program.is_empty(), field, program, rule)?;
    }
    Ok(value.filter(|list| !list.is_empty()))
}

fn environment(value: Vec<String>) -> Checked<Vec<String>> {
    let mut seen = BTreeSet::new();
    for variable in &value {
        ensure(!variable.contains('\0'), "Env", variable, NO_NUL)?;
        let key = variable.split_once('=').map_or("", |(key, _)| key);
        let rule = "must be KEY=VALUE with a key that is not empty";
        ensure(!key.is_empty(), "Env", variable, rule)?;
        let rule = "sets a variable a second time: programs differ in which one they take";
        ensure(seen.insert(key), "Env", variable, rule)?;
    }
    Ok(value)
}

fn absolute(field: &'static str, path: &str) -> Checked<()> {
    ensure(!path.contains('\0'), field, path, NO_NUL)?;
    let rule = "must be an absolute path, beginning with `/`";
    ensure(path.starts_with('/'), field, path, rule)
}

fn working_dir(path: &str) -> Checked<()> {
    absolute("WorkingDir", path)
}

/// Most a user or group id can be: runc's and Docker's limit, below which no id is special to the kernel.
const MAX_ID: u64 = (1 << 31) - 1;

fn user(text: &str) -> Checked<()> {
    let mut parts = text.splitn(2, ':');
    let rule = "must be a user, optionally followed by `:` and a group, each a name without `:`, `/`, `,` or \
                spaces, or a number up to 2147483647";
    let good = |part: &str| {
        let number = part.bytes().all(|b| b.is_ascii_digit());
        let name = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, ':' | '/' | ',');
        match number {
            true => part.parse().is_ok_and(|id: u64| id <= MAX_ID),
            false => part.chars().all(name) && !part.starts_with(['-', '+']),
        }
    };
    ensure(parts.all(good), "User", text, rule)
}

/// Linux' signals (signal(7)), without aliases that only some processors have.
const SIGNALS: [&str; 35] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE",
    "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU",
    "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "UNUSED",
];

fn stop_signal(text: &str) -> Checked<()> {
    let realtime = |offset: &str, sign: char| match offset.strip_prefix(sign) {
        Some(number) => is_number(number, 1, 30),
        None => offset.is_empty(),
    };
    let named = text.strip_prefix("SIG").is_some_and(|name| {
        SIGNALS.contains(&name)
            || name.strip_prefix("RTMIN").is_some_and(|rest| realtime(rest, '+'))
            || name.strip_prefix("RTMAX").is_some_and(|rest| realtime(rest, '-'))
    });
    let rule = "must be a signal's name (SIGTERM, SIGRTMIN+3) or its number, 1 to 64";
    ensure(named || is_number(text, 1, 64), "StopSignal", text, rule)
}

/// A decimal number without leading zeros or signs, in a range that begins above 0.
fn is_number(text: &str, from: u32, to: u32) -> bool {
    !text.starts_with('0')
        && text.bytes().all(|b| b.is_ascii_digit())
        && text.parse().is_ok_and(|n: u32| (from..=to).contains(&n))
}

fn created(text: &str) -> Checked<()> {
    let rule = "must be a date and time of RFC 3339, such as 2025-01-01T00:00:00Z";
    ensure(is_date_time(text), "created", text, rule)
}

fn labels(value: BTreeMap<String, String>) -> Checked<BTreeMap<String, String>> {
    for key in value.keys() {
        ensure(
            !key.is_empty(),
            "Labels",
            key,
            "can't be a label's name: it is empty",
        )?;
    }
    Ok(value)
}

fn exposed_port(text: &str) -> Checked<()> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let rule = "must be a port from 1 to 65535, optionally followed by /tcp, /udp or /sctp";
    let known = matches!(protocol, "tcp" | "udp" | "sctp");
    ensure(known && is_number(port, 1, 65_535), "ExposedPorts", text, rule)
}

fn platform(mut value: Platform) -> Checked<Platform> {
    value.variant = value.variant.filter(|variant| !variant.is_empty());
    let rule = "must be letters, digits, `_`, `.` or `-`, and not empty";
    let fields = [
        ("os", Some(&value.os)),
        ("architecture", Some(&value.architecture)),
        ("variant", value.variant.as_ref()),
    ];
    for (field, part) in fields {
        let Some(part) = part else { continue };
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        ensure(!part.is_empty() && part.bytes().all(legal), field, part, rule)?;
    }
    // config.md asks for Go's names; with the kernel's names no runtime would choose the image.
    let rule = match value.architecture.as_str() {
        "x86_64" | "x86-64" => "is called amd64 in images (Go's names are used)",
        "aarch64" => "is called arm64 in images (Go's names are used)",
        "armhf" => "is called arm with the variant v7 in images (Go's names are used)",
        "armel" => "is called arm with the variant v6 in images (Go's names are used)",
        "i386" | "i686" | "x86" => "is called 386 in images (Go's names are used)",
        _ => return Ok(value),
    };
    ensure(false, "architecture", &value.architecture, rule)?;
    Ok(value)
}

/// A set as the specification keeps it: an object with empty objects as values.
fn empties(set: &BTreeSet<String>) -> BTreeMap<&str, Empty> {
    set.iter().map(|key| (key.as_str(), Empty {})).collect()
}

#[derive(Serialize)]
struct Empty {}

// The order and the spelling of the fields below are those of image-spec's config.md and its Go structs, so
// that the document looks as readers know it. `config` is written even when it is empty: tools dereference it.

#[derive(Serialize)]
struct Document<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<&'a str>,
    architecture: &'a str,
    os: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'a str>,
    config: Execution<'a>,
    rootfs: RootFs,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    history: Vec<History<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Execution<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    exposed_ports: BTreeMap<&'a str, Empty>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    env: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    entrypoint: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cmd: Option<&'a [String]>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    volumes: BTreeMap<&'a str, Empty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    working_dir: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_signal: Option<&'a str>,
}

#[derive(Serialize)]
struct RootFs {
    #[serde(rename = "type")]
    kind: &'static str,
    diff_ids: Vec<Digest>,
}

#[derive(Serialize)]
struct History<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::json;

    fn field(json: &str) -> ConfigField {
        json::read(json.as_bytes(), 1 << 20).unwrap()
    }

    fn set(json: &str) -> Result<Settings, ConfigError> {
        let mut settings = Settings::default();
        settings.set(field(json)).map(|()| settings)
    }

    #[test]
    fn fields_travel_as_the_protocol_has_them() {
        for json in [
            r#"{"field":"cmd","value":["/bin/sh","-c"]}"#,
            r#"{"field":"entrypoint","value":null}"#,
            r#"{"field":"env","value":["A=b"]}"#,
            r#"{"field":"working_dir","value":"/srv"}"#,
            r#"{"field":"user","value":"1000:1000"}"#,
            r#"{"field":"stop_signal","value":"SIGTERM"}"#,
            r#"{"field":"author","value":"me"}"#,
            r#"{"field":"labels","value":{"a":"b"}}"#,
            r#"{"field":"exposed_ports","value":["80/tcp"]}"#,
            r#"{"field":"volumes","value":["/data"]}"#,
            r#"{"field":"created","value":null}"#,
            r#"{"field":"platform","value":{"os":"linux","architecture":"arm","variant":"v7"}}"#,
        ] {
            assert_eq!(serde_json::to_string(&field(json)).unwrap(), json);
            assert!(set(json).is_ok(), "{json}");
        }
    }

    #[test]
    fn values_that_are_refused_name_field_value_and_rule() {
        for (name, value) in [
            ("cmd", r#"["a\u0000b"]"#),
            ("entrypoint", r#"[""]"#),
            ("env", r#"["A"]"#),
            ("env", r#"["=b"]"#),
            ("env", r#"["A=1","A=2"]"#),
            ("env", r#"["A=\u0000"]"#),
            ("working_dir", r#""srv""#),
            ("working_dir", r#""/s\u0000""#),
            ("user", r#"":""#),
            ("user", r#""a b""#),
            ("user", r#""a:b:c""#),
            ("user", r#""2147483648""#),
            ("user", r#""-1""#),
            ("stop_signal", r#""TERM""#),
            ("stop_signal", r#""SIGNAL""#),
            ("stop_signal", r#""SIGRTMIN+99""#),
            ("stop_signal", r#""65""#),
            ("stop_signal", r#""09""#),
            ("created", r#""2025-01-01""#),
            ("labels", r#"{"":"x"}"#),
            ("exposed_ports", r#"["0"]"#),
            ("exposed_ports", r#"["65536/tcp"]"#),
            ("exposed_ports", r#"["80/TCP"]"#),
            ("exposed_ports", r#"["80-90"]"#),
            ("exposed_ports", r#"[""]"#),
            ("volumes", r#"["data"]"#),
            ("platform", r#"{"os":"","architecture":"amd64"}"#),
            ("platform", r#"{"os":"linux","architecture":""}"#),
            ("platform", r#"{"os":"linux","architecture":"x86_64"}"#),
            (
                "platform",
                r#"{"os":"linux","architecture":"arm","variant":"v 7"}"#,
            ),
        ] {
            let json = format!(r#"{{"field":"{name}","value":{value}}}"#);
            let error = set(&json).expect_err(&json);
            let text = error.to_string();
            assert!(
                text.starts_with(error.field) && text.ends_with(error.rule),
                "{text}"
            );
        }
    }

    #[test]
    fn values_that_are_taken() {
        for json in [
            r#"{"field":"stop_signal","value":"SIGRTMIN+3"}"#,
            r#"{"field":"stop_signal","value":"9"}"#,
            r#"{"field":"user","value":"www-data:1000"}"#,
            r#"{"field":"user","value":"0"}"#,
            r#"{"field":"env","value":["A=","B= c=d"]}"#,
            r#"{"field":"exposed_ports","value":["80","53/udp","9/sctp","65535/tcp"]}"#,
            r#"{"field":"cmd","value":["","x"]}"#,
        ] {
            assert!(set(json).is_ok(), "{json}");
        }
        let cleared = set(r#"{"field":"user","value":""}"#).unwrap();
        assert_eq!(cleared, Settings::default());
        let none = set(r#"{"field":"cmd","value":[]}"#).unwrap();
        assert_eq!(none, Settings::default());
    }

    #[test]
    fn a_refused_value_changes_nothing() {
        let mut settings = set(r#"{"field":"env","value":["A=b"]}"#).unwrap();
        let before = settings.clone();
        assert!(
            settings
                .set(ConfigField::Env(vec!["C=d".into(), "bad".into()]))
                .is_err()
        );
        assert_eq!(settings, before);
    }

    #[test]
    fn the_whole_document() {
        let mut settings = Settings::default();
        for json in [
            r#"{"field":"cmd","value":["-v"]}"#,
            r#"{"field":"entrypoint","value":["/bin/sh"]}"#,
            r#"{"field":"env","value":["B=2","A=1"]}"#,
            r#"{"field":"working_dir","value":"/srv"}"#,
            r#"{"field":"user","value":"1000"}"#,
            r#"{"field":"stop_signal","value":"SIGTERM"}"#,
            r#"{"field":"author","value":"me"}"#,
            r#"{"field":"labels","value":{"b":"2","a":"\u00e9"}}"#,
            r#"{"field":"exposed_ports","value":["80/tcp","53/udp"]}"#,
            r#"{"field":"volumes","value":["/data"]}"#,
            r#"{"field":"created","value":"2025-01-01T00:00:00Z"}"#,
            r#"{"field":"platform","value":{"os":"linux","architecture":"arm","variant":"v7"}}"#,
        ] {
            settings.set(field(json)).unwrap();
        }
        let layer = LayerBlob {
            created_by: Some("handroll".into()),
            ..LayerBlob::of_tests(b"one")
        };
        let text = String::from_utf8(settings.document(&[layer])).unwrap();
        let diff_id = Digest::of(b"one");
        assert_eq!(
            text,
            [
                r#"{"created":"2025-01-01T00:00:00Z","author":"me","architecture":"arm","os":"linux","variant":"v7","#,
                r#""config":{"User":"1000","ExposedPorts":{"53/udp":{},"80/tcp":{}},"Env":["B=2","A=1"],"#,
                r#""Entrypoint":["/bin/sh"],"Cmd":["-v"],"Volumes":{"/data":{}},"WorkingDir":"/srv","#,
                "\"Labels\":{\"a\":\"\u{e9}\",\"b\":\"2\"},\"StopSignal\":\"SIGTERM\"},",
                &format!(r#""rootfs":{{"type":"layers","diff_ids":["{diff_id}"]}},"#),
                r#""history":[{"created":"2025-01-01T00:00:00Z","created_by":"handroll"}]}"#,
            ]
            .concat()
        );
    }

    #[test]
    fn the_least_document() {
        let text = String::from_utf8(Settings::default().document(&[])).unwrap();
        assert_eq!(
            text,
            r#"{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}}"#
        );
    }
}
