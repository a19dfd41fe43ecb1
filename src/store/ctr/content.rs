//! `ctr content`: the blobs of the content store.

use super::command::{COMMAND, Command, Run, flags, refused};
use super::filter::Filters;
use super::format::{age, human_size};
use super::option::{Args, flag};
use super::{Exit, Job, joined, table};
use crate::layer::Bytes;
use crate::store::Blob;

/// By which a manifest keeps its layers.
const LAYER_PREFIX: &str = "containerd.io/gc.ref.content.l.";
/// By which older containerds kept what a manifest names, by its number.
const CONTENT_PREFIX: &str = "containerd.io/gc.ref.content.";

const NO_REMOTES: &str = "nothing is fetched from a registry or sent to one; see `ctr images import`";

pub(super) const GROUP: Command = Command {
    name: "content",
    about: "manage content",
    run: Run::Group(&[
        DELETE,
        GET,
        LABEL,
        LIST,
        PRUNE,
        refused("active", "nothing is transferred in the background"),
        refused(
            "edit",
            "a blob that is edited is another one; see `handroll edit`",
        ),
        refused("fetch", NO_REMOTES),
        refused("fetch-object", NO_REMOTES),
        refused("ingest", "there is no standard input; see `ctr images import`"),
        refused("push-object", NO_REMOTES),
    ]),
    ..COMMAND
};

const DELETE: Command = Command {
    name: "delete",
    aliases: &["del", "remove", "rm"],
    about: "permanently delete one or more blobs",
    arguments: "[<digest>, ...]",
    description: "Delete one or more blobs permanently. Successfully deleted\n  blobs are printed to stdout.",
    run: Run::Action(delete),
    ..COMMAND
};

const GET: Command = Command {
    name: "get",
    about: "get the data for an object",
    arguments: "[<digest>, ...]",
    description: "display the image object",
    run: Run::Action(get),
    ..COMMAND
};

const LABEL: Command = Command {
    name: "label",
    about: "add labels to content",
    arguments: "<digest> [<label>=<value> ...]",
    description: "labels blobs in the content store",
    run: Run::Action(label),
    ..COMMAND
};

const LIST: Command = Command {
    name: "list",
    aliases: &["ls"],
    about: "list all blobs in the store",
    arguments: "[flags]",
    description: "list blobs in the content store",
    flags: flags(&[flag(&["quiet", "q"], "print only the blob digest")]),
    run: Run::Action(list),
    ..COMMAND
};

const PRUNE: Command = Command {
    name: "prune",
    about: "prunes content from the content store",
    run: Run::Group(&[Command {
        name: "references",
        about: "prunes preference labels from the content store (layers only by default)",
        flags: flags(&[
            flag(&["async"], "allow garbage collection to cleanup asynchronously"),
            flag(
                &["dry"],
                "just show updates without applying (enables debug logging)",
            ),
        ]),
        run: Run::Action(prune_references),
        ..COMMAND
    }]),
    ..COMMAND
};

/// A digest as go-digest takes it; the error is in its words.
pub(super) fn check_digest(text: &str) -> Result<(), Exit> {
    let (algorithm, encoded) = text.split_once(':').unwrap_or(("", ""));
    let digits = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => {
            let is_word = |text: &str, more: &[u8]| {
                !text.is_empty()
                    && text
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
            };
            let is_digest = is_word(algorithm, b"+.-_") && is_word(encoded, b"=_-");
            return Err(Exit::failed(match is_digest {
                true => "unsupported digest algorithm",
                false => "invalid checksum digest format",
            }));
        }
    };
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    match encoded.len() {
        0 => Err(Exit::failed("invalid checksum digest format")),
        length if length != digits => Err(Exit::failed("invalid checksum digest length")),
        _ if !encoded.bytes().all(is_hex) => Err(Exit::failed("invalid checksum digest format")),
        _ => Ok(()),
    }
}

fn field(digest: &str, blob: &Blob, path: &[&str]) -> Option<String> {
    match path {
        ["digest"] => Some(digest.to_owned()),
        ["size"] => Some(blob.size.to_string()),
        ["labels", key @ ..] => blob.labels.get(&key.join(".")).cloned(),
        _ => None,
    }
}

fn list(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    let is_quiet = args.has("quiet");
    let filters = Filters::parse(&args.rest);
    let here = job.client.here();
    let mut text = match is_quiet {
        true => String::new(),
        false => "DIGEST\tSIZE\tAGE\tLABELS\n".to_owned(),
    };
    let matches = |digest: &str, blob: &Blob| match &filters {
        Ok(filters) => filters.match_fields(&|path| field(digest, blob, path)),
        Err(_) => false,
    };
    for (digest, blob) in here.content.iter().filter(|(digest, blob)| matches(digest, blob)) {
        text += &match is_quiet {
            true => format!("{digest}\n"),
            false => {
                let age = age(blob.created, job.client.now);
                let labels = joined(&blob.labels, "-");
                format!("{digest}\t{}\t{age}\t{labels}\n", human_size(blob.size))
            }
        };
    }
    job.print(&table::BY_TABS.format(&text));
    filters.map(drop).map_err(Exit::failed)
}

fn get(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    let digest = args.argument(0);
    check_digest(digest)?;
    let content = job.client.content(digest)?;
    job.print_bytes(Bytes::Content(content));
    Ok(())
}

fn label(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    let digest = args.argument(0);
    check_digest(digest)?;
    job.client.label_content(digest, &args.labels(1))?;
    let here = job.client.here();
    let labels = here.content.get(digest).map(|blob| joined(&blob.labels, ""));
    job.print(&format!("{}\n", labels.unwrap_or_default()));
    Ok(())
}

fn delete(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    let mut failed = Ok(());
    for digest in &args.rest {
        if let Err(exit) = check_digest(digest) {
            if let Exit::Failed(error) = &exit {
                job.log(
                    "error",
                    &format!("could not delete {digest}"),
                    &[("error", error)],
                );
            }
            failed = failed.and(Err(exit));
        } else if job.client.remove_content(digest).is_ok() {
            // What is not there is passed over in silence.
            job.print(&format!("{digest}\n"));
        }
    }
    failed
}

fn is_layer_label(key: &str) -> bool {
    let is_number = |rest: &str| rest != "0" && rest.bytes().all(|byte| byte.is_ascii_digit());
    key.starts_with(LAYER_PREFIX) || key.strip_prefix(CONTENT_PREFIX).is_some_and(is_number)
}

fn prune_references(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    let is_dry = args.has("dry");
    if is_dry {
        job.log("debug", "dry run, no changes will be applied", &[]);
    }
    for (digest, blob) in job.client.here().content.iter() {
        let keys = blob.labels.keys().filter(|key| is_layer_label(key));
        let removed: Vec<_> = keys.map(|key| (key.clone(), String::new())).collect();
        match is_dry {
            true => {
                for (key, _) in &removed {
                    job.log("debug", "Removing label", &[("digest", digest), ("label", key)]);
                }
            }
            false => job.client.label_content(digest, &removed)?,
        }
    }
    // A lease that ends is what has garbage collected.
    job.client.with_lease(|_| Ok(()))?;
    Ok(())
}
