//! Images: names of blobs, and nothing else.

use super::event::{Event, Kind, Rule};
use super::{Client, Descriptor, Labels, Result, StoreError, check_labels, set_labels};
use crate::tree::Time;

/// An image: what its name stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// A manifest or an index.
    pub target: Descriptor,
    /// What people note on it.
    pub labels: Labels,
    /// When the name was made.
    pub created: Time,
    /// When its target or its labels were last changed.
    pub updated: Time,
}

impl Client<'_> {
    /// An image.
    pub fn image(&self, name: &str) -> Result<Image> {
        let found = self.here().images.get(name).map(|image| Image::clone(image));
        found.ok_or_else(|| StoreError::NoImage {
            name: name.to_owned(),
        })
    }

    /// Makes a name; it must be new.
    pub fn create_image(&mut self, name: &str, target: Descriptor, labels: Labels) -> Result<()> {
        if name.is_empty() {
            return Err(StoreError::NoImageName);
        }
        check_labels(&labels)?;
        if self.here().images.has(name) {
            return Err(StoreError::ImageTaken {
                name: name.to_owned(),
            });
        }
        let event = Event::new(Rule::ImageCreated, Kind::Image, name)
            .text(&target.digest)
            .other(target.what());
        let now = self.now;
        let image = Image {
            target: stored(target),
            labels,
            created: now,
            updated: now,
        };
        self.here_mut().images.put(name, image);
        self.tell(event);
        Ok(())
    }

    /// Makes a name, or makes it stand for something else.
    pub fn set_image(&mut self, name: &str, target: Descriptor) -> Result<()> {
        let now = self.now;
        let event = Event::new(Rule::ImageUpdated, Kind::Image, name)
            .text(&target.digest)
            .other(target.what());
        match self.found_mut().and_then(|here| here.images.get_mut(name)) {
            None => return self.create_image(name, target, Labels::new()),
            Some(image) => {
                image.target = stored(target);
                image.updated = now;
            }
        }
        self.tell(event);
        Ok(())
    }

    /// Sets labels of an image; an empty value takes one off.
    pub fn label_image(&mut self, name: &str, set: &[(String, String)]) -> Result<()> {
        let now = self.now;
        let image = self.found_mut().and_then(|here| here.images.get_mut(name));
        let image = image.ok_or_else(|| StoreError::NoImage {
            name: name.to_owned(),
        })?;
        let mut labels = image.labels.clone();
        set_labels(&mut labels, set)?;
        image.labels = labels;
        image.updated = now;
        for (key, value) in set {
            let rule = match value.is_empty() {
                true => Rule::LabelRemoved,
                false => Rule::LabelSet,
            };
            self.tell(Event::new(rule, Kind::Image, name).text(key).other(value));
        }
        Ok(())
    }

    /// Takes a name away.
    pub fn remove_image(&mut self, name: &str) -> Result<()> {
        if (self.found_mut()).is_none_or(|here| here.images.remove(name).is_none()) {
            return Err(StoreError::NoImage {
                name: name.to_owned(),
            });
        }
        self.store.is_dirty = true;
        self.tell(Event::new(Rule::ImageRemoved, Kind::Image, name));
        Ok(())
    }
}

/// What the database keeps of a descriptor: it has no place for a platform (metadata/images.go, `writeImage`).
fn stored(target: Descriptor) -> Descriptor {
    Descriptor {
        platform: None,
        ..target
    }
}
