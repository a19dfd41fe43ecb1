//! The content store: blobs by their digests, with labels.

use super::event::{Changes, Event, Kind, Rule, Sign};
use super::{Client, Labels, Result, StoreError, set_labels};
use crate::content::Content;
use crate::digest::Digest;
use crate::tree::Time;

/// A blob, as a namespace knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Blob {
    /// Bytes.
    pub size: u64,
    /// What garbage collection and unpacking note on it.
    pub labels: Labels,
    /// When it came.
    pub created: Time,
    /// When its labels were last changed.
    pub updated: Time,
}

/// The label that says what a blob is without its packing.
pub const UNCOMPRESSED: &str = "containerd.io/uncompressed";

/// The file of a blob, from the root of the machine.
pub fn blob_path(digest: &str) -> String {
    let hex = digest.split_once(':').map_or(digest, |(_, hex)| hex);
    format!("/var/lib/containerd/io.containerd.content.v1.content/blobs/sha256/{hex}")
}

impl Client<'_> {
    /// Adds a blob, hashing it on the way; `from` is what it is called where it comes from. One that is there is not
    /// written again.
    pub fn add_content(&mut self, from: &str, content: &Content) -> Result<Digest> {
        let digest = self.disk.add_blob(content)?;
        let key = digest.to_string();
        let size = content.len();
        let is_new = !self.here().content.has(&key);
        let is_written = !self.store.blobs.has(&key);
        if is_written {
            self.store.blobs.put(&key, size);
        }
        if is_new {
            let now = self.now;
            let blob = Blob {
                size,
                labels: Labels::new(),
                created: now,
                updated: now,
            };
            self.here_mut().content.put(&key, blob);
        }
        self.keep_content(&key);
        let rule = match is_new {
            true => Rule::ContentIngested,
            false => Rule::ContentExists,
        };
        let disk = match is_written {
            true => Changes::one(Sign::Added, blob_path(&key), format!("{size} bytes")),
            false => Changes::default(),
        };
        self.tell(
            Event::new(rule, Kind::Blob, key)
                .text(from)
                .count(size)
                .disk(disk),
        );
        Ok(digest)
    }

    /// The bytes of a blob that the namespace has.
    pub fn content(&self, digest: &str) -> Result<Content> {
        let missing = || StoreError::NoContent {
            digest: digest.to_owned(),
        };
        if !self.here().content.has(digest) {
            return Err(missing());
        }
        let digest: Digest = digest.parse().map_err(|_| missing())?;
        Ok(self.disk.blob(digest)?)
    }

    /// Sets labels of a blob; an empty value takes one off.
    pub fn label_content(&mut self, digest: &str, set: &[(String, String)]) -> Result<()> {
        let now = self.now;
        let blob = self.found_mut().and_then(|here| here.content.get_mut(digest));
        let blob = blob.ok_or_else(|| StoreError::NoContent {
            digest: digest.to_owned(),
        })?;
        let mut labels = blob.labels.clone();
        set_labels(&mut labels, set)?;
        blob.labels = labels;
        blob.updated = now;
        for (key, value) in set {
            let rule = label_rule(key, value);
            self.tell(Event::new(rule, Kind::Blob, digest).text(key).other(value));
        }
        Ok(())
    }

    /// Takes a blob out of the namespace. Its file goes when garbage is collected.
    pub fn remove_content(&mut self, digest: &str) -> Result<()> {
        if (self.found_mut()).is_none_or(|here| here.content.remove(digest).is_none()) {
            return Err(StoreError::NoContent {
                digest: digest.to_owned(),
            });
        }
        self.store.is_dirty = true;
        self.tell(Event::new(Rule::ContentRemoved, Kind::Blob, digest));
        Ok(())
    }
}

fn label_rule(key: &str, value: &str) -> Rule {
    match key {
        _ if value.is_empty() => Rule::LabelRemoved,
        UNCOMPRESSED => Rule::LabelUncompressed,
        key if key.starts_with("containerd.io/gc.ref.content") => Rule::LabelRef,
        key if key.starts_with("containerd.io/gc.ref.snapshot.") => Rule::LabelSnapshot,
        _ => Rule::LabelSet,
    }
}
