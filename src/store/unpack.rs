//! Unpacking an image: for each layer prepare, apply, check the DiffID, commit under the ChainID (containerd,
//! image.go, `Unpack`, and rootfs/apply.go).

use super::content::UNCOMPRESSED;
use super::disk::Applied;
use super::event::{Event, Kind, Rule};
use super::{Client, Descriptor, Labels, Platforms, Result, SNAPSHOTTER, StoreError};
use crate::digest::{Digest, chain_id};

/// The most layers of an image: Linux stacks no more (fs/overlayfs, OVL_MAX_STACK), so no container could be started.
const LAYERS: usize = 500;

impl Client<'_> {
    /// Unpacks an image for a platform, and gives the ChainID of all its layers. What fails leaves the layers below
    /// the one that it failed at.
    pub fn unpack(&mut self, target: &Descriptor, wanted: &Platforms) -> Result<String> {
        self.with_lease(|client| client.unpack_leased(target, wanted))
    }

    fn unpack_leased(&mut self, target: &Descriptor, wanted: &Platforms) -> Result<String> {
        let manifest = self.manifest(target, wanted)?;
        let diff_ids = self.diff_ids(&manifest.config);
        let diff_ids = diff_ids.map_err(|error| StoreError::Rootfs(Box::new(error)))?;
        if diff_ids.len() != manifest.layers.len() {
            return Err(StoreError::Mismatched {
                diff_ids: diff_ids.len(),
                layers: manifest.layers.len(),
            });
        }
        if manifest.layers.len() > LAYERS {
            return Err(StoreError::TooMuch {
                what: "layers",
                limit: LAYERS as u64,
            });
        }
        let mut below = None;
        for (layer, diff_id) in manifest.layers.iter().zip(&diff_ids) {
            let diff_id: Digest = diff_id.parse().map_err(|_| StoreError::BadDigest {
                text: diff_id.clone(),
            })?;
            if self.unpack_layer(layer, diff_id, below)? {
                let label = (UNCOMPRESSED.to_owned(), diff_id.to_string());
                self.label_content(&layer.digest, &[label])?;
            }
            below = Some(chain_id(below, diff_id));
        }
        let chain = below.map_or_else(String::new, |chain| chain.to_string());
        let label = format!("containerd.io/gc.ref.snapshot.{SNAPSHOTTER}");
        self.label_content(&manifest.config.digest, &[(label, chain.clone())])?;
        Ok(chain)
    }

    /// Unpacks one layer on what is `below`; false if it is there already.
    fn unpack_layer(&mut self, layer: &Descriptor, diff_id: Digest, below: Option<Digest>) -> Result<bool> {
        let chain = chain_id(below, diff_id).to_string();
        if self.here().snapshots.has(&chain) {
            self.keep_snapshot(&chain, true);
            let event = Event::new(Rule::SnapshotExists, Kind::Snapshot, chain);
            self.tell(event.text(&layer.digest));
            return Ok(false);
        }
        let key = format!("extract-{} {chain}", self.unique());
        let parent = below.map_or_else(String::new, |below| below.to_string());
        self.prepare(&key, &parent, Labels::new())?;
        let done = self
            .apply(&key, layer, diff_id)
            .and_then(|()| self.commit(&chain, &key, Labels::new()));
        if let Err(error) = done {
            self.remove_snapshot(&key)?;
            return Err(error);
        }
        Ok(true)
    }

    /// Applies a layer to an active snapshot, and checks what it was.
    fn apply(&mut self, key: &str, layer: &Descriptor, diff_id: Digest) -> Result<()> {
        let number = self.snapshot(key)?.number;
        let parents = self.parents(key)?;
        let extract = |why: String| StoreError::Extract {
            diff_id: diff_id.to_string(),
            why,
        };
        let content = self.content(&layer.digest).map_err(|error| match error {
            error @ StoreError::NoContent { .. } => {
                extract(format!("failed to get reader from content store: {error}"))
            }
            error => error,
        })?;
        let event = Event::new(Rule::LayerApplied, Kind::Snapshot, key).text(&layer.digest);
        let event = event.other(format!("directory {number}"));
        let Applied {
            diff_id: computed,
            size,
            entries,
            changes,
        } = match self.disk.apply(number, &parents, &content, self.now) {
            Ok(applied) => applied,
            Err(error) => {
                self.tell(event.count(error.entries).disk(error.changes));
                let failed = Event::new(Rule::LayerFailed, Kind::Snapshot, key);
                self.tell(failed.text(&layer.digest).other(&error.why));
                // What has no class of its own crosses the border between containerd and its client as this.
                return Err(extract(format!("{}: unknown", error.why)));
            }
        };
        self.tell(event.count(entries).disk(changes));
        if computed != diff_id {
            let wrong = Event::new(Rule::DiffIdWrong, Kind::Snapshot, key);
            self.tell(wrong.text(computed.to_string()).other(diff_id.to_string()));
            return Err(StoreError::WrongDiffId {
                computed: computed.to_string(),
                expected: diff_id.to_string(),
            });
        }
        let verified = Event::new(Rule::DiffIdVerified, Kind::Snapshot, key);
        self.tell(verified.text(diff_id.to_string()).count(size));
        Ok(())
    }
}
