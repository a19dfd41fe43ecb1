//! The options of `handroll build`, and what they say: configuration fields, owners, times.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use handroll::image::created;
use handroll::image::{ConfigField, Settings};

use super::Failure;

/// Build an image from layers, bottom first
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLE)]
pub struct BuildArgs {
    /// A layer: a directory, `DIR:/DEST` to put its files under /DEST, or a tar (plain or gzip). Bottom first
    #[arg(long, value_name = "DIR[:/DEST]|TAR")]
    pub layer: Vec<PathBuf>,
    /// Delete PATH from the layers below; applies to the last --layer before it
    #[arg(long, value_name = "PATH")]
    pub whiteout: Vec<PathBuf>,
    /// Hide what the layers below have in the directory PATH; applies to the last --layer before it
    #[arg(long, value_name = "PATH")]
    pub opaque: Vec<PathBuf>,
    /// What made the layer, for the history; applies to the last --layer before it
    #[arg(long, value_name = "TEXT")]
    pub created_by: Vec<String>,
    /// A remark on the layer, for the history; applies to the last --layer before it
    #[arg(long, value_name = "TEXT")]
    pub comment: Vec<String>,

    /// The image's name: `[registry/]repository[:tag]`
    #[arg(long, value_name = "NAME", help_heading = "Image")]
    pub name: Option<String>,
    /// An image to begin with: layers and options given here come on top of it, its blobs stay as they are
    #[arg(long, value_name = "IMAGE", conflicts_with = "recipe", help_heading = "Image")]
    pub from: Option<PathBuf>,
    /// Which of several images of --from: its name, its digest, or its number, from 1 on
    #[arg(long, value_name = "NAME|N", requires = "from", help_heading = "Image")]
    pub image: Option<String>,
    /// A recipe that the page saved; layers and options given here come on top of it
    #[arg(long, value_name = "FILE", help_heading = "Image")]
    pub recipe: Option<PathBuf>,
    /// What the image runs on [default: that of --from, else linux/amd64]; chooses one of several images of --from
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", help_heading = "Image")]
    pub platform: Option<String>,
    #[command(flatten)]
    pub config: ConfigArgs,

    /// Owner of all files: `UID:GID`, or `keep` for the one on disk [default: 0:0]
    #[arg(long, value_name = "keep|UID:GID", help_heading = "Files")]
    pub owner: Option<String>,
    /// Time of all files: seconds since 1970, or `keep` for those on disk [default: SOURCE_DATE_EPOCH, else 0]
    #[arg(
        long,
        value_name = "SECONDS|keep",
        allow_hyphen_values = true,
        help_heading = "Files"
    )]
    pub mtime: Option<String>,
    /// Take extended attributes from disk
    #[arg(long, help_heading = "Files")]
    pub xattrs: bool,
    /// How layers are stored [default: gzip]
    #[arg(long, value_name = "none|gzip", value_parser = ["none", "gzip"], help_heading = "Files")]
    pub compression: Option<String>,

    /// Where the image goes: a tar, a layout directory (`DIR/`), or `-` for standard output
    #[arg(short, long, value_name = "FILE|DIR/|-", help_heading = "Output")]
    pub output: PathBuf,
    /// Print digests and sizes as JSON
    #[arg(long, help_heading = "Output")]
    pub json: bool,
}

const EXAMPLE: &str = "\
Examples:
  handroll build --layer base/ --layer delta/ --whiteout /data/config.txt \\
    --name docker.io/library/handroll:latest --cmd /bin/sh --mtime 1735689600 -o handroll.tar
  handroll build --from debian.tar --layer app/:/opt/app --entrypoint /opt/app/run --name app -o app.tar

Times: the time of files is pinned, so that the same files give the same digests. It is --mtime; without that
SOURCE_DATE_EPOCH from the environment, which then is also the image's --created if that isn't given; without
both it is 0 (1970), the one time that claims nothing.";

/// The fields of the image's configuration.
#[derive(Args, Debug)]
#[command(next_help_heading = "Configuration")]
pub struct ConfigArgs {
    /// An argument of the command, repeated for each; or all as one JSON list: '["/bin/sh","-c","ls"]'
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub cmd: Vec<String>,
    /// An argument of the entrypoint, as --cmd
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub entrypoint: Vec<String>,
    /// A variable of the environment
    #[arg(long, value_name = "KEY=VALUE")]
    pub env: Vec<String>,
    /// The directory where the process starts
    #[arg(long, alias = "workdir", value_name = "PATH")]
    pub working_dir: Option<String>,
    /// The user, and perhaps the group, as which it runs
    #[arg(long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// The signal that asks it to end
    #[arg(long, value_name = "SIGNAL")]
    pub stop_signal: Option<String>,
    /// Who made the image
    #[arg(long, value_name = "TEXT")]
    pub author: Option<String>,
    /// When it was made, as in 2025-01-01T00:00:00Z [default: SOURCE_DATE_EPOCH, else not said]
    #[arg(long, value_name = "RFC3339")]
    pub created: Option<String>,
    /// A label
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Vec<String>,
    /// A port that it listens on: 80, 80/tcp, 53/udp
    #[arg(long, value_name = "PORT[/PROTOCOL]")]
    pub expose: Vec<String>,
    /// A directory that gets a volume of its own
    #[arg(long, value_name = "PATH")]
    pub volume: Vec<String>,
}

/// What a pinned attribute gets: a value for all files, or each what it has on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin<T> {
    /// As on disk.
    Keep,
    /// The same for all.
    To(T),
}

impl BuildArgs {
    /// The owner of files.
    pub fn owner(&self) -> Result<Pin<(u32, u32)>, Failure> {
        let text = match self.owner.as_deref() {
            None => return Ok(Pin::To((0, 0))),
            Some("keep") => return Ok(Pin::Keep),
            Some(text) => text,
        };
        let parts = text
            .split_once(':')
            .map(|(uid, gid)| (decimal(uid), decimal(gid)));
        match parts {
            Some((Some(uid), Some(gid))) => Ok(Pin::To((uid, gid))),
            _ => Err(Failure::Usage(format!(
                "--owner {text}: expected `keep` or UID:GID, two numbers from 0 to 4294967295"
            ))),
        }
    }

    /// The time of files, in seconds since 1970.
    pub fn mtime(&self, epoch: Option<i64>) -> Result<Pin<i64>, Failure> {
        match self.mtime.as_deref() {
            None => Ok(Pin::To(epoch.unwrap_or(0))),
            Some("keep") => Ok(Pin::Keep),
            Some(text) => text.parse().map(Pin::To).map_err(|_| {
                Failure::Usage(format!(
                    "--mtime {text}: expected `keep` or a whole number of seconds since 1970"
                ))
            }),
        }
    }
}

impl ConfigArgs {
    /// Whether any field was given.
    pub fn is_given(&self) -> bool {
        let texts = [
            &self.working_dir,
            &self.user,
            &self.stop_signal,
            &self.author,
            &self.created,
        ];
        let lists = [
            &self.cmd,
            &self.entrypoint,
            &self.env,
            &self.label,
            &self.expose,
            &self.volume,
        ];
        texts.iter().any(|text| text.is_some()) || lists.iter().any(|list| !list.is_empty())
    }

    /// The fields that were given. Variables, labels, ports and volumes join those that the image has; of one key
    /// the given value counts. All else takes the place of what was there.
    pub fn fields(&self, before: &Settings) -> Result<Vec<ConfigField>, Failure> {
        let mut fields = Vec::new();
        for (values, field) in [
            (
                &self.entrypoint,
                ConfigField::Entrypoint as fn(Option<Vec<String>>) -> ConfigField,
            ),
            (&self.cmd, ConfigField::Cmd),
        ] {
            if !values.is_empty() {
                fields.push(field(Some(words(values)?)));
            }
        }
        for (value, field) in [
            (
                &self.working_dir,
                ConfigField::WorkingDir as fn(Option<String>) -> ConfigField,
            ),
            (&self.user, ConfigField::User),
            (&self.stop_signal, ConfigField::StopSignal),
            (&self.author, ConfigField::Author),
            (&self.created, ConfigField::Created),
        ] {
            if let Some(value) = value {
                fields.push(field(Some(value.clone())));
            }
        }
        if !self.env.is_empty() {
            fields.push(ConfigField::Env(variables(&before.env, &self.env)));
        }
        if !self.label.is_empty() {
            let mut all = before.labels.clone();
            all.extend(labels(&self.label)?);
            fields.push(ConfigField::Labels(all));
        }
        for (before, values, field) in [
            (
                &before.exposed_ports,
                &self.expose,
                ConfigField::ExposedPorts as fn(Vec<String>) -> ConfigField,
            ),
            (&before.volumes, &self.volume, ConfigField::Volumes),
        ] {
            if !values.is_empty() {
                fields.push(field(before.iter().chain(values).cloned().collect()));
            }
        }
        Ok(fields)
    }
}

/// The variables of an image with others that are set: in the place of their old values, else at the end. One that
/// is given twice stays twice, for the image to refuse.
fn variables(before: &[String], given: &[String]) -> Vec<String> {
    let key = |text: &str| text.split('=').next().unwrap_or_default().to_owned();
    let mut all: Vec<String> = before.to_vec();
    for variable in given {
        let mut old = all[..before.len()].iter_mut().zip(before);
        match old.find(|(now, was)| now == was && key(was) == key(variable)) {
            Some((now, _)) => *now = variable.clone(),
            None => all.push(variable.clone()),
        }
    }
    all
}

/// SOURCE_DATE_EPOCH, if it is set (reproducible-builds.org's specification: a decimal number of seconds; what
/// is malformed must not be passed over).
pub fn source_date_epoch() -> Result<Option<i64>, Failure> {
    let Some(value) = std::env::var_os("SOURCE_DATE_EPOCH") else {
        return Ok(None);
    };
    let seconds = value.to_str().and_then(|text| text.parse::<i64>().ok());
    match seconds.filter(|&seconds| created::from_seconds(seconds).is_some()) {
        Some(seconds) => Ok(Some(seconds)),
        None => Err(Failure::Usage(format!(
            "SOURCE_DATE_EPOCH is `{}`: expected a whole number of seconds since 1970",
            value.display()
        ))),
    }
}

fn decimal(text: &str) -> Option<u32> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())?
}

/// Arguments given one by one, or all as a JSON list as a Dockerfile has it.
fn words(values: &[String]) -> Result<Vec<String>, Failure> {
    match values {
        [one] if one.starts_with('[') => serde_json::from_str(one).map_err(|error| {
            Failure::Usage(format!(
                "`{one}` begins as a JSON list of texts, but isn't one: {error}"
            ))
        }),
        many => Ok(many.to_vec()),
    }
}

fn labels(values: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let pair = |text: &String| match text.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err(Failure::Usage(format!("--label {text}: expected KEY=VALUE"))),
    };
    values.iter().map(pair).collect()
}
