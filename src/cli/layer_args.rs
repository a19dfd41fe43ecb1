//! The layers of a command line: each `--layer` with the options that follow it. Knows clap's order of
//! arguments and the spelling of `DIR:/DEST`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use clap::ArgMatches;

use super::Failure;

/// One layer as it was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LayerArg {
    /// The directory or the tar.
    pub source: PathBuf,
    /// Where a directory's files go in the layer: `/` or an absolute path.
    pub destination: Vec<u8>,
    /// Names to delete from the layers below, absolute.
    pub whiteouts: Vec<Vec<u8>>,
    /// Directories that hide what the layers below have in them, absolute.
    pub opaques: Vec<Vec<u8>>,
    /// For the history: what made it.
    pub created_by: Option<String>,
    /// For the history: a remark.
    pub comment: Option<String>,
}

/// The options that belong to the last `--layer` before them.
const FOLLOWERS: [&str; 4] = ["whiteout", "opaque", "created_by", "comment"];

/// All layers, bottom first, with what follows each.
pub fn collect(matches: &ArgMatches) -> Result<Vec<LayerArg>, Failure> {
    let mut all: Vec<(usize, &str, OsString)> = Vec::new();
    for name in ["layer"].into_iter().chain(FOLLOWERS) {
        let values = matches.get_raw(name).into_iter().flatten();
        let places = matches.indices_of(name).into_iter().flatten();
        all.extend(
            places
                .zip(values)
                .map(|(at, value)| (at, name, value.to_os_string())),
        );
    }
    all.sort_by_key(|(at, ..)| *at);
    let mut layers: Vec<LayerArg> = Vec::new();
    for (_, name, value) in all {
        if name == "layer" {
            layers.push(layer(&value)?);
            continue;
        }
        let option = name.replace('_', "-");
        let Some(layer) = layers.last_mut() else {
            return Err(Failure::Usage(format!(
                "--{option} {} stands before any --layer: it applies to the last one named before it",
                value.display()
            )));
        };
        match name {
            "whiteout" => layer.whiteouts.push(absolute(value.as_bytes())),
            "opaque" => layer.opaques.push(absolute(value.as_bytes())),
            "created_by" => layer.created_by = Some(text(&option, value)?),
            _ => layer.comment = Some(text(&option, value)?),
        }
    }
    Ok(layers)
}

fn text(option: &str, value: OsString) -> Result<String, Failure> {
    let not_text =
        |value: OsString| Failure::Usage(format!("--{option} {}: this is not UTF-8", value.display()));
    value.into_string().map_err(not_text)
}

/// Paths in a layer may be given without the slash in front, as tar prints them, and with one behind, as shells
/// complete them.
pub fn absolute(path: &[u8]) -> Vec<u8> {
    let path = path.strip_prefix(b"./").unwrap_or(path);
    let end = path.iter().rposition(|&byte| byte != b'/').map_or(0, |at| at + 1);
    let path = &path[..end];
    if path.starts_with(b"/") {
        return path.to_vec();
    }
    [b"/", path].concat()
}

/// `DIR`, `DIR:/DEST` or a tar. What exists under the whole name is that; else the last `:/` parts them.
fn layer(value: &OsStr) -> Result<LayerArg, Failure> {
    if value.is_empty() {
        return Err(Failure::Usage(
            "--layer wants a directory or a tar, not an empty text".to_owned(),
        ));
    }
    let whole = |path: &OsStr, destination: &[u8]| LayerArg {
        source: PathBuf::from(path),
        destination: destination.to_vec(),
        ..LayerArg::default()
    };
    let bytes = value.as_bytes();
    let colon = bytes.windows(2).rposition(|pair| pair == b":/");
    match colon {
        Some(at) if at > 0 && !Path::new(value).exists() => {
            let source = OsString::from_vec(bytes[..at].to_vec());
            Ok(whole(&source, &bytes[at + 1..]))
        }
        _ => Ok(whole(value, b"/")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(words: &[&str]) -> Result<Vec<LayerArg>, String> {
        let words = ["handroll", "build", "-o", "x"].iter().chain(words);
        let matches = super::super::Cli::command()
            .try_get_matches_from(words)
            .map_err(|e| e.to_string())?;
        collect(matches.subcommand().unwrap().1).map_err(|failure| match failure {
            Failure::Usage(message) | Failure::Work(message) => message,
            Failure::Signal(_) => unreachable!("nothing is waited for"),
        })
    }

    #[test]
    fn options_belong_to_the_layer_before_them() {
        let layers = parse(&[
            "--layer",
            "base",
            "--opaque=etc",
            "--name",
            "x",
            "--layer",
            "delta:/opt",
            "--whiteout",
            "/a",
            "--whiteout",
            "./b",
            "--created-by",
            "me",
            "--comment",
            "late",
        ])
        .unwrap();
        let base = LayerArg {
            source: "base".into(),
            destination: b"/".to_vec(),
            opaques: vec![b"/etc".to_vec()],
            ..LayerArg::default()
        };
        let delta = LayerArg {
            source: "delta".into(),
            destination: b"/opt".to_vec(),
            whiteouts: vec![b"/a".to_vec(), b"/b".to_vec()],
            created_by: Some("me".into()),
            comment: Some("late".into()),
            ..LayerArg::default()
        };
        assert_eq!(layers, [base, delta]);
    }

    #[test]
    fn an_option_without_its_layer_is_refused() {
        let error = parse(&["--whiteout", "/a", "--layer", "x"]).unwrap_err();
        assert!(
            error.starts_with("--whiteout /a stands before any --layer"),
            "{error}"
        );
    }

    #[test]
    fn a_path_that_exists_wins_over_a_destination() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("a:/b")).unwrap();
        let spec = directory.path().join("a:/b");
        let there = layer(spec.as_os_str()).unwrap();
        assert_eq!((there.source, &there.destination[..]), (spec, &b"/"[..]));
        let split = layer(directory.path().join("c:/b").as_os_str()).unwrap();
        assert_eq!(
            (split.source, &split.destination[..]),
            (directory.path().join("c"), &b"/b"[..])
        );
    }
}
