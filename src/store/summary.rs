//! What a listing says of images: sizes and platforms. Names of one target are looked at once, and each document that
//! targets share is read once: a listing costs what there is, not names times documents.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::document::{Descriptor, Platforms, platform_text};
use super::{Client, Result};
use crate::image::Platform;
use crate::image::media::Media;

/// How many descriptors are remembered of documents.
const REMEMBERED: usize = 65_536;

/// What is said of an image.
#[derive(Debug)]
pub struct Summary {
    /// The size of what this machine's platform needs of it, in bytes, of documents and packed layers; of what cannot
    /// be followed to its end, that of what was found (images/image.go, `Size`).
    pub size: i64,
    /// Why it was not followed to its end.
    pub unmeasured: Option<String>,
    /// The platforms that it is for, sorted, each once, or why they are not known (images/image.go, `Platforms`).
    pub platforms: std::result::Result<Vec<String>, String>,
}

/// What is known of images while they are listed.
pub struct Summaries<'c, 's> {
    client: &'c Client<'s>,
    /// By digests of targets.
    known: BTreeMap<String, Vec<(Descriptor, Rc<Summary>)>>,
    /// What documents name, by their digests and media types.
    children: BTreeMap<(String, String), Rc<[Descriptor]>>,
    /// By digests of configurations.
    platforms: BTreeMap<String, Platform>,
    remembered: usize,
}

impl<'c, 's> Summaries<'c, 's> {
    /// Nothing is known yet.
    pub fn new(client: &'c Client<'s>) -> Self {
        Self {
            client,
            known: BTreeMap::new(),
            children: BTreeMap::new(),
            platforms: BTreeMap::new(),
            remembered: 0,
        }
    }

    /// What is said of an image by its target.
    pub fn of(&mut self, target: &Descriptor) -> Rc<Summary> {
        let known = self.known.get(&target.digest).into_iter().flatten();
        if let Some((_, summary)) = known.clone().find(|(known, _)| known == target) {
            return summary.clone();
        }
        let (size, measured) = self.size(target);
        let platforms = self.platforms(target);
        let summary = Rc::new(Summary {
            size,
            unmeasured: measured.err().map(|error| error.to_string()),
            platforms: platforms.map_err(|error| error.to_string()),
        });
        let same = self.known.entry(target.digest.clone()).or_default();
        same.push((target.clone(), summary.clone()));
        summary
    }

    fn children(&mut self, descriptor: &Descriptor) -> Result<Vec<Descriptor>> {
        let key = (descriptor.digest.clone(), descriptor.media_type.clone());
        if let Some(children) = self.children.get(&key) {
            return Ok(children.to_vec());
        }
        let children = self.client.children(descriptor)?;
        // What has no children is not read either.
        if !children.is_empty() && self.remembered + children.len() <= REMEMBERED {
            self.remembered += children.len();
            self.children.insert(key, children.clone().into());
        }
        Ok(children)
    }

    fn size(&mut self, target: &Descriptor) -> (i64, Result<()>) {
        let wanted = Platforms::default();
        let mut size = 0_i64;
        let mut enter = |descriptor: &Descriptor| {
            size = size.saturating_add(descriptor.size);
            true
        };
        let rank = |child: &Descriptor| match &child.platform {
            None => Some(usize::MAX),
            Some(platform) => wanted.rank(platform),
        };
        let mut choose = |descriptor: &Descriptor, mut children: Vec<Descriptor>| {
            children.retain(|child| rank(child).is_some());
            if Media::of(&descriptor.media_type) == Media::Index {
                children.sort_by_key(rank);
                children.truncate(1);
            }
            children
        };
        let client = self.client;
        let walked = client.walk_by(target, &mut enter, &mut choose, &mut |descriptor| {
            self.children(descriptor)
        });
        (size, walked)
    }

    fn platforms(&mut self, target: &Descriptor) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut configs = Vec::new();
        let mut enter = |descriptor: &Descriptor| {
            if let Some(platform) = &descriptor.platform {
                found.push(platform_text(platform));
                return false;
            }
            if Media::of(&descriptor.media_type) == Media::Config {
                configs.push(descriptor.clone());
            }
            true
        };
        let client = self.client;
        client.walk_by(
            target,
            &mut enter,
            &mut |_, children| children,
            &mut |descriptor| self.children(descriptor),
        )?;
        for config in configs {
            found.push(platform_text(&self.platform(&config)?));
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    fn platform(&mut self, config: &Descriptor) -> Result<Platform> {
        if let Some(platform) = self.platforms.get(&config.digest) {
            return Ok(platform.clone());
        }
        let platform = self.client.config_platform(config)?;
        if self.remembered < REMEMBERED {
            self.remembered += 1;
            self.platforms.insert(config.digest.clone(), platform.clone());
        }
        Ok(platform)
    }
}
