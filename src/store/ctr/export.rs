//! `ctr images export`: the archive that containerd writes, byte for byte (images/archive/exporter.go).

use std::collections::BTreeMap;

use super::command::{COMMAND, Command, Run, flags};
use super::content::check_digest;
use super::format::json;
use super::import::platform;
use super::option::{Args, flag, texts};
use super::snapshots::{labels_object, object};
use super::{Exit, Job};
use crate::image::Platform;
use crate::image::manifest::{CONTAINERD_NAME, LAYOUT, REF_NAME};
use crate::image::media::Media;
use crate::image::reference::Reference;
use crate::layer::Bytes;
use crate::store::{Descriptor, Platforms};

pub(super) const EXPORT: Command = Command {
    name: "export",
    about: "export images",
    arguments: "[flags] <out> <image> ...",
    description: "Export images to an OCI tar archive.\n\n\
                  Tar output is formatted as an OCI archive, a Docker manifest is provided for the platform.\n\
                  Use '--skip-manifest-json' to avoid including the Docker manifest.json file.\n\
                  Use '--platform' to define the output platform.\n\
                  When '--all-platforms' is given all images in a manifest list must be available.\n",
    flags: flags(&[
        flag(
            &["skip-manifest-json"],
            "do not add Docker compatible manifest.json to archive",
        ),
        flag(
            &["skip-non-distributable"],
            "do not add non-distributable blobs such as Windows layers to archive",
        ),
        texts(&["platform"], "Pull content from a specific platform"),
        flag(&["all-platforms"], "exports content from all platforms"),
    ]),
    run: Run::Action(export),
    ..COMMAND
};

/// The files of an archive by their names, in the order in which they stand there, and its directories.
type Files = BTreeMap<String, (u32, Bytes)>;

/// What is written, so far.
struct Export<'a> {
    platforms: Vec<Platforms>,
    takes_all: bool,
    skips_foreign: bool,
    has_docker_manifest: bool,
    files: Files,
    /// What stands in `manifest.json`: manifests by their digests, with their names.
    docker: Vec<(Descriptor, Vec<String>)>,
    names: &'a [String],
}

fn export(job: &mut Job<'_, '_>, args: &Args) -> Result<(), Exit> {
    let Some((out, names)) = args.rest.split_first().filter(|(_, names)| !names.is_empty()) else {
        return Err(Exit::failed(
            "please provide both an output filename and an image reference to export",
        ));
    };
    let wanted = args.values("platform").map(|text| {
        let parsed = platform(text).map(Platforms::Only);
        parsed.map_err(|exit| match exit {
            Exit::Failed(error) => Exit::failed(format_args!("invalid platform {text:?}: {error}")),
            other => other,
        })
    });
    let mut platforms = wanted.collect::<Result<Vec<_>, _>>()?;
    if platforms.is_empty() {
        platforms.push(Platforms::Strict(Platform::default()));
    }
    let mut export = Export {
        platforms,
        takes_all: args.has("all-platforms"),
        skips_foreign: args.has("skip-non-distributable"),
        has_docker_manifest: !args.has("skip-manifest-json"),
        files: Files::new(),
        docker: Vec::new(),
        names,
    };
    let targets = export.targets(job)?;
    for target in &targets {
        export.add_image(job, target)?;
    }
    export.add_documents(job, &targets)?;
    let parts = tar(export.files);
    if out == "-" {
        parts.into_iter().for_each(|part| job.print_bytes(part));
        return Ok(());
    }
    job.host.write(out, &parts).map_err(Exit::Failed)
}

impl Export<'_> {
    /// What the names stand for, annotated with them.
    fn targets(&self, job: &Job<'_, '_>) -> Result<Vec<Descriptor>, Exit> {
        let named = self.names.iter().map(|name| {
            let mut target = job.client.image(name)?.target;
            target
                .annotations
                .insert(CONTAINERD_NAME.to_owned(), name.clone());
            target.annotations.insert(REF_NAME.to_owned(), object_of(name));
            Ok(target)
        });
        named.collect()
    }

    fn rank(&self, platform: &Platform) -> Option<(usize, usize)> {
        let ranks = self.platforms.iter().enumerate();
        let mut ranks = ranks.filter_map(|(at, wanted)| Some((at, wanted.rank(platform)?)));
        ranks.next()
    }

    fn add_image(&mut self, job: &Job<'_, '_>, target: &Descriptor) -> Result<(), Exit> {
        let name = target.annotations[CONTAINERD_NAME].clone();
        let stands_for = match Media::of(&target.media_type) {
            Media::Manifest => {
                self.add_tree(job, target)?;
                Some(target.clone())
            }
            Media::Index => self.add_index(job, target)?,
            _ => return Err(Exit::failed("only manifests may be exported: invalid argument")),
        };
        let Some(manifest) = stands_for else {
            return Ok(());
        };
        // Without its name a manifest that is exported by itself stands in `manifest.json` all the same.
        let names = self.has_docker_manifest.then_some(name);
        let is_same = |(known, _): &&mut (Descriptor, Vec<String>)| known.digest == manifest.digest;
        match self.docker.iter_mut().find(is_same) {
            Some((_, known)) => known.extend(names),
            None => self.docker.push((manifest, names.into_iter().collect())),
        }
        Ok(())
    }

    /// Adds an index with the manifests that are wanted; the one that fits best.
    fn add_index(&mut self, job: &Job<'_, '_>, index: &Descriptor) -> Result<Option<Descriptor>, Exit> {
        self.add_blob(job, index)?;
        let mut fitting = Vec::new();
        for child in job.client.children(index)? {
            let rank = match &child.platform {
                None => Some((usize::MAX, 0)),
                Some(platform) => self.rank(platform),
            };
            match rank {
                Some(rank) => fitting.push((rank, child.clone())),
                None if !self.takes_all => continue,
                None => {}
            }
            self.add_tree(job, &child)?;
        }
        let best = fitting.into_iter().min_by_key(|(rank, _)| *rank);
        match best {
            None if self.has_docker_manifest => {
                Err(Exit::failed("no manifest found for platform: not found"))
            }
            best => Ok(best.filter(|_| self.has_docker_manifest).map(|(_, child)| child)),
        }
    }

    /// Adds a blob and all that it leads to.
    fn add_tree(&mut self, job: &Job<'_, '_>, top: &Descriptor) -> Result<(), Exit> {
        let mut pending = vec![top.clone()];
        while let Some(descriptor) = pending.pop() {
            let is_new = self.add_blob(job, &descriptor)?;
            if is_new {
                pending.extend(job.client.children(&descriptor)?);
            }
        }
        Ok(())
    }

    /// Adds a blob; false if it is there already.
    fn add_blob(&mut self, job: &Job<'_, '_>, descriptor: &Descriptor) -> Result<bool, Exit> {
        check_digest(&descriptor.digest)?;
        let is_foreign = matches!(Media::of(&descriptor.media_type), Media::Layer(layer) if layer.is_foreign);
        let path = blob_name(&descriptor.digest);
        if self.files.contains_key(&path) || is_foreign && self.skips_foreign {
            return Ok(false);
        }
        let content = job.client.content(&descriptor.digest);
        let content = content.map_err(|error| Exit::failed(format_args!("failed to get reader: {error}")))?;
        for directory in ["blobs/", "blobs/sha256/"] {
            self.files.insert(directory.to_owned(), (0o755, Bytes::Zeros(0)));
        }
        self.files.insert(path, (0o444, Bytes::Content(content)));
        Ok(true)
    }

    fn add_documents(&mut self, job: &Job<'_, '_>, targets: &[Descriptor]) -> Result<(), Exit> {
        let manifests: Vec<String> = targets.iter().map(descriptor_json).collect();
        let index = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, manifests.join(","));
        self.add("index.json", 0o644, index.into_bytes());
        self.add("oci-layout", 0o444, LAYOUT.to_vec());
        if self.docker.is_empty() {
            return Ok(());
        }
        let mut images = Vec::new();
        for (manifest, names) in &self.docker {
            let mut children = job.client.children(manifest)?.into_iter();
            let config = children.next().unwrap_or_default();
            let layers = children.map(|layer| json(&blob_name(&layer.digest)));
            let familiar = names.iter().map(|name| {
                let parsed = Reference::parse(name).map_err(|error| {
                    Exit::failed(format_args!("unable to create manifests file: {name}: {error}"))
                });
                Ok(json(&parsed?.familiar()))
            });
            let list = |texts: Vec<String>| match texts.is_empty() {
                true => "null".to_owned(),
                false => format!("[{}]", texts.join(",")),
            };
            images.push(object(&[
                ("Config", json(&blob_name(&config.digest))),
                ("RepoTags", list(familiar.collect::<Result<_, Exit>>()?)),
                ("Layers", list(layers.collect())),
            ]));
        }
        self.add(
            "manifest.json",
            0o644,
            format!("[{}]", images.join(",")).into_bytes(),
        );
        Ok(())
    }

    fn add(&mut self, name: &str, mode: u32, bytes: Vec<u8>) {
        self.files.insert(name.to_owned(), (mode, Bytes::Owned(bytes)));
    }
}

fn blob_name(digest: &str) -> String {
    format!("blobs/{}", digest.replacen(':', "/", 1))
}

fn descriptor_json(descriptor: &Descriptor) -> String {
    object(&[
        ("mediaType", json(&descriptor.media_type)),
        ("digest", json(&descriptor.digest)),
        ("size", descriptor.size.to_string()),
        ("annotations", labels_object(&descriptor.annotations)),
    ])
}

/// The tag or digest of a name as containerd's own parser sees it, which takes names for addresses: what stands
/// before the first slash is a host, and `:1` there a port (reference/reference.go, `Parse`).
fn object_of(name: &str) -> String {
    let (host, path) = name.split_once('/').unwrap_or((name, ""));
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let is_host = host.rsplit_once(':').is_none_or(|(_, port)| is_port(port));
    if name.contains("://") || host.is_empty() || !is_host {
        return name.to_owned();
    }
    match path.find([':', '@']) {
        None => String::new(),
        Some(at) => path[at..].strip_prefix(':').unwrap_or(&path[at..]).to_owned(),
    }
}

const BLOCK: u64 = 512;

/// A tar as Go writes it of headers with nothing but name, mode and size.
fn tar(files: Files) -> Vec<Bytes> {
    let mut parts = Vec::new();
    for (name, (mode, bytes)) in files {
        let size = bytes.len();
        parts.push(Bytes::Owned(header(&name, mode, size)));
        parts.push(bytes);
        parts.push(Bytes::Zeros(size.next_multiple_of(BLOCK) - size));
    }
    parts.push(Bytes::Zeros(2 * BLOCK));
    parts.retain(|part| !part.is_empty());
    parts
}

/// The largest size that eleven octal digits say.
const OCTAL_LIMIT: u64 = 0o77_777_777_777;

fn header(name: &str, mode: u32, size: u64) -> Vec<u8> {
    let mut block = vec![0; BLOCK as usize];
    let mut put = |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, &format!("{mode:07o}"));
    put(108, "0000000");
    put(116, "0000000");
    if size <= OCTAL_LIMIT {
        put(124, &format!("{size:011o}"));
    }
    put(136, "00000000000");
    put(148, "        ");
    put(156, if name.ends_with('/') { "5" } else { "0" });
    put(257, "ustar");
    put(263, "00");
    put(329, "0000000");
    put(337, "0000000");
    if size > OCTAL_LIMIT {
        // GNU's form for numbers that octal digits do not hold: 0x80, then the bytes, the highest first.
        block[124] = 0x80;
        block[128..136].copy_from_slice(&size.to_be_bytes());
    }
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_of_nine_gibibytes_has_a_size() {
        let block = header("blobs/sha256/a", 0o444, 9 << 30);
        let header = tar::Header::from_byte_slice(&block);
        assert_eq!(header.size().unwrap(), 9 << 30);
        let sum: u32 = block[..148]
            .iter()
            .chain(&block[156..])
            .map(|byte| u32::from(*byte))
            .sum();
        assert_eq!(header.cksum().unwrap(), sum + 8 * u32::from(b' '));
    }
}
