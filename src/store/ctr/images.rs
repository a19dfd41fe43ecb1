//! `ctr images`.

use super::command::{COMMAND, Command, Run, flags, refused};
use super::filter::Filters;
use super::format::bytes;
use super::option::{Args, flag};
use super::{Exit, Job, SNAPSHOTTER_FLAG, chain_of, export, import, joined, table};
use crate::store::{Class, Descriptor, Image, Platforms, StoreError, Summaries};

const NO_REMOTES: &str = "nothing is fetched from a registry or sent to one; see `ctr images import`";
const NO_MOUNT: &str = "see `ctr snapshots view` and `ctr snapshots mounts`, or `handroll mount`";

pub(super) const GROUP: Command = Command {
    name: "images",
    aliases: &["image", "i"],
    about: "manage images",
    run: Run::Group(&[
        Command {
            name: "check",
            about: "check existing images to ensure all content is available locally",
            arguments: "[flags] [<filter>, ...]",
            description: "check existing images to ensure all content is available locally",
            flags: flags(&[
                flag(
                    &["quiet", "q"],
                    "print only the ready image refs (fully downloaded and unpacked)",
                ),
                SNAPSHOTTER_FLAG,
            ]),
            run: Run::Action(check),
            ..COMMAND
        },
        export::EXPORT,
        import::IMPORT,
        Command {
            name: "list",
            aliases: &["ls"],
            about: "list images known to containerd",
            arguments: "[flags] [<filter>, ...]",
            description: "list images registered with containerd",
            flags: flags(&[flag(&["quiet", "q"], "print only the image refs")]),
            run: Run::Action(list),
            ..COMMAND
        },
        Command {
            name: "delete",
            aliases: &["del", "remove", "rm"],
            about: "remove one or more images by reference",
            arguments: "[flags] <ref> [<ref>, ...]",
            description: "remove one or more images by reference",
            flags: flags(&[flag(
                &["sync"],
                "Synchronously remove image and all associated resources",
            )]),
            run: Run::Action(delete),
            ..COMMAND
        },
        Command {
            name: "tag",
            about: "tag an image",
            arguments: "[flags] <source_ref> <target_ref> [<target_ref>, ...]",
            description: "Tag an image for use in containerd.",
            flags: flags(&[flag(
                &["force"],
                "force target_ref to be created, regardless if it already exists",
            )]),
            run: Run::Action(tag),
            ..COMMAND
        },
        Command {
            name: "label",
            about: "set and clear labels for an image",
            arguments: "[flags] <name> [<key>=<value>, ...]",
            description: "set and clear labels for an image",
            flags: flags(&[flag(&["replace-all", "r"], "replace all labels")]),
            run: Run::Action(label),
            ..COMMAND
        },
        refused("mount", NO_MOUNT),
        refused("unmount", NO_MOUNT),
        refused("pull", NO_REMOTES),
        refused("push", NO_REMOTES),
        refused("convert", "see `handroll edit`"),
    ]),
    ..COMMAND
};

/// The images that one of the filters of a command's arguments matches, by their names.
fn filtered(job: &Job<'_, '_>, args: &Args, failed: &str) -> Result<Vec<(String, Image)>, Exit> {
    let filters = Filters::parse(&args.rest);
    let filters =
        filters.map_err(|error| Exit::failed(format_args!("{failed}: {error}: invalid argument")))?;
    let here = job.client.here();
    let found = here.images.iter().filter(|(name, image)| {
        filters.match_fields(&|path| {
            let text = match path {
                ["name", ..] => name,
                ["target", "digest", ..] => image.target.digest.as_str(),
                ["target", "mediatype", ..] => &image.target.media_type,
                ["labels", key @ ..] => image.labels.get(&key.join("."))?,
                ["annotations", key @ ..] => image.target.annotations.get(&key.join("."))?,
                _ => return None,
            };
            Some(text.to_owned()).filter(|text| !text.is_empty())
        })
    });
    Ok(found
        .map(|(name, image)| (name.to_owned(), Image::clone(image)))
        .collect())
}

fn list(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    let images = filtered(job, args, "failed to list images")?;
    if args.has("quiet") {
        let names: String = images.iter().map(|(name, _)| format!("{name}\n")).collect();
        job.print(&names);
        return Ok(());
    }
    let mut text = "REF\tTYPE\tDIGEST\tSIZE\tPLATFORMS\tLABELS\t\n".to_owned();
    let mut known = Summaries::new(job.client);
    let summaries: Vec<_> = images.iter().map(|(_, image)| known.of(&image.target)).collect();
    for ((name, image), summary) in images.iter().zip(summaries) {
        let Descriptor {
            media_type, digest, ..
        } = &image.target;
        if let Some(error) = &summary.unmeasured {
            let message = format!("failed calculating size for image {name}");
            job.log("error", &message, &[("error", error)]);
        }
        if let Err(error) = &summary.platforms {
            let message = format!("failed resolving platform for image {name}");
            job.log("error", &message, &[("error", error)]);
        }
        let platforms = match &summary.platforms {
            Ok(platforms) if !platforms.is_empty() => platforms.join(","),
            _ => "-".to_owned(),
        };
        let size = bytes(summary.size.try_into().unwrap_or(0));
        let labels = joined(&image.labels, "-");
        text += &format!("{name}\t{media_type}\t{digest}\t{size}\t{platforms}\t{labels}\t\n");
    }
    job.print(&table::BY_SPACE.format(&text));
    Ok(())
}

/// What is there of what an image needs (images/image.go, `Check`).
struct Presence {
    /// Whether its manifest is known at all.
    is_available: bool,
    present: Vec<i64>,
    required: Vec<i64>,
}

impl Presence {
    fn of(job: &Job<'_, '_>, image: &Image) -> Result<Self, StoreError> {
        let manifest = match job.client.manifest(&image.target, &Platforms::default()) {
            Err(error) if error.class() == Class::NotFound => {
                return Ok(Self {
                    is_available: false,
                    present: Vec::new(),
                    required: Vec::new(),
                });
            }
            manifest => manifest?,
        };
        let here = job.client.here();
        let required: Vec<Descriptor> = std::iter::once(manifest.config).chain(manifest.layers).collect();
        let is_present = |descriptor: &&Descriptor| here.content.has(&descriptor.digest);
        let size = |descriptor: &Descriptor| descriptor.size;
        Ok(Self {
            is_available: true,
            present: required.iter().filter(is_present).map(size).collect(),
            required: required.iter().map(size).collect(),
        })
    }

    fn is_complete(&self) -> bool {
        self.is_available && self.present.len() == self.required.len()
    }

    /// What the columns STATUS and SIZE say.
    fn columns(&self) -> (String, String) {
        // Sizes are what a manifest says: their sum need not fit.
        let sum = |sizes: &[i64]| {
            let sizes = sizes.iter().filter_map(|size| u64::try_from(*size).ok());
            bytes(sizes.fold(0, u64::saturating_add))
        };
        let (present, required) = (sum(&self.present), sum(&self.required));
        let counts = format!("({}/{})", self.present.len(), self.required.len());
        match (self.is_available, self.is_complete()) {
            (false, _) => (
                format!("unavailable ({}/?)", self.present.len()),
                format!("{present}/?"),
            ),
            (true, true) => (format!("complete {counts}"), format!("{present}/{required}")),
            (true, false) => (format!("incomplete {counts}"), format!("{present}/{required}")),
        }
    }
}

fn check(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    let images = filtered(job, args, "failed listing images")?;
    job.check_snapshotter()?;
    let is_quiet = args.has("quiet");
    let mut failed = Ok(());
    let mut text = match is_quiet || images.is_empty() {
        true => String::new(),
        false => "REF\tTYPE\tDIGEST\tSTATUS\tSIZE\tUNPACKED\t\n".to_owned(),
    };
    for (name, image) in images {
        let Descriptor {
            media_type, digest, ..
        } = &image.target;
        let presence = Presence::of(job, &image);
        let (is_complete, (status, size)) = match &presence {
            Ok(presence) => (presence.is_complete(), presence.columns()),
            Err(error) => {
                let told = complain(job, &format!("unable to check {name}"), error);
                failed = failed.and(Err(told));
                (false, ("error".to_owned(), "-".to_owned()))
            }
        };
        let chain = chain_of(job, &image.target, &Platforms::default());
        let is_unpacked = chain.map(|chain| job.client.here().snapshots.has(&chain));
        let is_unpacked = is_unpacked.unwrap_or_else(|error| {
            let told = complain(job, &format!("unable to check unpack for {name}"), &error);
            failed = failed.clone().and(Err(told));
            false
        });
        match is_quiet {
            true if is_complete => text += &format!("{name}\n"),
            true => {}
            false => text += &format!("{name}\t{media_type}\t{digest}\t{status}\t{size}\t{is_unpacked}\n"),
        }
    }
    job.print(&table::BY_SPACE.format(&text));
    failed
}

fn complain(job: &mut Job<'_, '_>, message: &str, error: &StoreError) -> Exit {
    job.log("error", message, &[("error", &error.to_string())]);
    Exit::failed(format_args!("{message}: {error}"))
}

fn delete(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    for name in &args.rest {
        match job.client.remove_image(name) {
            Ok(()) => job.print(&format!("{name}\n")),
            Err(_) => job.log("warning", &format!("{name}: image not found"), &[]),
        }
    }
    Ok(())
}

fn tag(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    let source = args.needed(0, "please provide an image reference to tag from")?;
    if args.rest.len() < 2 {
        return Err(Exit::failed("please provide an image reference to tag to"));
    }
    let mut made = Vec::new();
    let is_forced = args.has("force");
    let tagged = job.client.with_lease(|client| {
        let image = client.image(source)?;
        for name in &args.rest[1..] {
            if is_forced && client.here().images.has(name) {
                client.remove_image(name)?;
            }
            client.create_image(name, image.target.clone(), image.labels.clone())?;
            made.push(format!("{name}\n"));
        }
        Ok(())
    });
    job.print(&made.concat());
    Ok(tagged?)
}

fn label(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    let name = args.needed(0, "please specify an image")?;
    let image = job.client.image(name)?;
    let mut set = args.labels(1);
    if set.is_empty() {
        return Err(Exit::failed(
            "Target.Digest \"\" invalid: invalid checksum digest format: invalid argument",
        ));
    }
    if args.has("replace-all") {
        let others = image
            .labels
            .keys()
            .filter(|key| set.iter().all(|(kept, _)| kept != *key));
        let others: Vec<_> = others.map(|key| (key.clone(), String::new())).collect();
        set.extend(others);
    }
    job.client.label_image(name, &set)?;
    let labels = joined(&job.client.image(name)?.labels, "");
    job.print(&format!("{labels}\n"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_are_said_may_be_too_large_to_be_added() {
        let presence = Presence {
            is_available: true,
            present: vec![1, -5],
            required: vec![i64::MAX; 3],
        };
        assert_eq!(
            presence.columns(),
            ("incomplete (2/3)".to_owned(), "1.0 B/16.0 EiB".to_owned())
        );
    }
}
