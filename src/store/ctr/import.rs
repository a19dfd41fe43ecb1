//! `ctr images import`.

use super::command::{COMMAND, Command, Run};
use super::option::{Args, Flags, flag, text};
use super::{Archive, Exit, Job, SNAPSHOTTER_FLAG};
use crate::image::Platform;
use crate::store::{Descriptor, Import, Platforms, StoreError, files_of};

pub(super) const IMPORT: Command = Command {
    name: "import",
    about: "import images",
    arguments: "[flags] <in>",
    description: "Import images from a tar stream.\nImplemented formats:\n- oci.v1\n- docker.v1.1\n- docker.v1.2\n\n\n\
                  For OCI v1, you may need to specify --base-name because an OCI archive may\n\
                  contain only partial image references (tags without the base image name).\n\
                  If no base image name is provided, a name will be generated as \"import-%{yyyy-MM-dd}\".\n\n\
                  e.g.\n  $ ctr images import --base-name foo/bar foobar.tar\n\n\
                  If foobar.tar contains an OCI ref named \"latest\" and anonymous ref \"sha256:deadbeef\", the command will create\n\
                  \"foo/bar:latest\" and \"foo/bar@sha256:deadbeef\" images in the containerd store.\n",
    flags: Flags {
        offered: &[
            text(
                &["base-name"],
                "base image name for added images, when provided only images with this name prefix are imported",
            ),
            flag(&["digests"], "whether to create digest images (default: false)"),
            flag(
                &["skip-digest-for-named"],
                "skip applying --digests option to images named in the importing tar (use it in conjunction with --digests)",
            ),
            text(
                &["index-name"],
                "image name to keep index as, by default index is discarded",
            ),
            flag(
                &["all-platforms"],
                "imports content for all platforms, false by default",
            ),
            text(&["platform"], "imports content for specific platform"),
            flag(&["no-unpack"], "skip unpacking the images, false by default"),
            SNAPSHOTTER_FLAG,
        ],
        refused: &["compress-blobs"],
    },
    run: Run::Action(import),
    ..COMMAND
};

fn import(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    let (digests, skip_digest_for_named) = (args.has("digests"), args.has("skip-digest-for-named"));
    if skip_digest_for_named && !digests {
        return Err(Exit::failed(
            "--skip-digest-for-named must be specified with --digests option",
        ));
    }
    let wanted = args.text("platform").map(platform).transpose()?;
    let all = args.has("all-platforms");
    let how = Import {
        base_name: args.text("base-name").map(str::to_owned),
        digests,
        skip_digest_for_named,
        index_name: args.text("index-name").map(str::to_owned),
        platforms: match (&wanted, all) {
            (_, true) => Platforms::All,
            (Some(platform), false) => Platforms::Strict(platform.clone()),
            (None, false) => Platforms::default(),
        },
    };
    let path = args.argument(0);
    let files = match job.host.open(path).map_err(Exit::Failed)? {
        Archive::Tar(tar) => files_of(&tar)?,
        Archive::Files(files) => files,
    };
    let images = job.client.import(&files, &how)?;
    if args.has("no-unpack") {
        return Ok(());
    }
    let platforms = wanted.map_or_else(Platforms::default, Platforms::Strict);
    for (name, target) in images {
        job.print(&format!("unpacking {name} ({})...", target.digest));
        unpack(job, &target, &platforms)?;
        job.print("done\n");
    }
    Ok(())
}

/// Unpacks an image's layers that are not there yet.
pub(super) fn unpack(
    job: &mut Job<'_, '_>,
    target: &Descriptor,
    platforms: &Platforms,
) -> Result<String, Exit> {
    let manifest = job.client.manifest(target, platforms)?;
    let diff_ids = job.client.diff_ids(&manifest.config);
    let diff_ids =
        diff_ids.map_err(|error| Exit::failed(format_args!("failed to resolve rootfs: {error}")))?;
    if let Err(Exit::Failed(error)) = job.check_snapshotter() {
        let first = diff_ids.first().map_or("", String::as_str);
        return Err(Exit::failed(format_args!(
            "failed to stat snapshot {first}: {error}"
        )));
    }
    let unpacked = job.client.unpack(target, platforms);
    unpacked.map_err(|error| {
        if let StoreError::Extract { .. } | StoreError::WrongDiffId { .. } = error {
            let mut keys = job.client.moments.iter().rev().map(|moment| &moment.event.key);
            let key = keys.find(|key| key.starts_with("extract-")).cloned();
            let fields = [
                ("error", &error.to_string()[..]),
                ("key", &key.unwrap_or_default()),
            ];
            job.log("info", "apply failure, attempting cleanup", &fields);
        }
        error.into()
    })
}

/// A platform as it is typed: `linux/arm64`, `arm64`, `linux/arm/v7` (platforms/platforms.go, `Parse`).
pub(super) fn platform(text: &str) -> Result<Platform, Exit> {
    if text.contains('*') {
        return Err(Exit::failed(format_args!(
            "{text:?}: wildcards not yet supported: invalid argument"
        )));
    }
    let parts: Vec<&str> = text.split('/').collect();
    let is_part = |part: &&str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    if let Some(bad) = parts.iter().find(|part| !is_part(part)) {
        return Err(Exit::failed(format_args!(
            "{bad:?} is an invalid component of {text:?}: platform specifier component must match \
             \"^[A-Za-z0-9_-]+$\": invalid argument"
        )));
    }
    let made = |os: &str, architecture: &str, variant: Option<&str>| Platform {
        os: os.to_ascii_lowercase(),
        architecture: architecture.to_ascii_lowercase(),
        variant: variant.map(str::to_ascii_lowercase),
    };
    match parts[..] {
        ["linux"] => Ok(Platform::default()),
        [os @ ("windows" | "darwin" | "freebsd" | "macos")] => Ok(made(os, "amd64", None)),
        [architecture] if ARCHITECTURES.contains(&&architecture.to_ascii_lowercase()[..]) => {
            Ok(made("linux", architecture, None))
        }
        [one] => Err(Exit::failed(format_args!(
            "{one:?}: unknown operating system or architecture: invalid argument"
        ))),
        [os, architecture] => Ok(made(os, architecture, None)),
        [os, architecture, variant] => Ok(made(os, architecture, Some(variant))),
        _ => Err(Exit::failed(format_args!(
            "{text:?}: cannot parse platform specifier: invalid argument"
        ))),
    }
}

/// What is an architecture by itself (platforms/database.go), with the names that are as good.
const ARCHITECTURES: [&str; 20] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mipsle", "mips64", "mips64le", "ppc64", "ppc64le",
    "riscv64", "s390x", "wasm", "x86_64", "x86-64", "i386", "aarch64", "armhf", "armel",
];
