//! Leases: what is being made is kept until it has a name.

use super::event::{Event, Kind, Rule};
use super::table::Keys;
use super::{Client, Labels, Result, StoreError, check_labels};
use crate::tree::Time;

/// A lease.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lease {
    /// `containerd.io/gc.expire` says until when it holds (RFC 3339).
    pub labels: Labels,
    /// When it began.
    pub created: Time,
    /// The digests of the blobs that it keeps.
    pub content: Keys,
    /// The keys of the snapshots that it keeps.
    pub snapshots: Keys,
}

impl Client<'_> {
    /// Makes a lease; without an id, one that is made up.
    pub fn create_lease(&mut self, id: Option<&str>, labels: Labels) -> Result<String> {
        check_labels(&labels)?;
        let id = id.map_or_else(|| self.unique(), str::to_owned);
        if self.here().leases.has(&id) {
            return Err(StoreError::LeaseTaken { id });
        }
        let lease = Lease {
            labels,
            created: self.now,
            ..Lease::default()
        };
        self.here_mut().leases.put(&id, lease);
        self.tell(Event::new(Rule::LeaseCreated, Kind::Lease, &id));
        Ok(id)
    }

    /// Ends a lease.
    pub fn remove_lease(&mut self, id: &str) -> Result<()> {
        if (self.found_mut()).is_none_or(|here| here.leases.remove(id).is_none()) {
            return Err(StoreError::NoLease { id: id.to_owned() });
        }
        self.store.is_dirty = true;
        self.tell(Event::new(Rule::LeaseRemoved, Kind::Lease, id));
        Ok(())
    }

    /// Works under a lease of 24 hours, as containerd's client does (lease.go, `WithLease`). It ends however the work
    /// ends.
    pub fn with_lease<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.lease.is_some() {
            return work(self);
        }
        let id = self.begin_lease()?;
        let done = work(self);
        self.end_lease(&id)?;
        done
    }

    /// Makes the lease of [`Self::with_lease`], which holds from now on.
    pub fn begin_lease(&mut self) -> Result<String> {
        let end = crate::image::created::from_seconds(self.now.seconds.saturating_add(24 * 60 * 60));
        let expire = end.map(|end| ("containerd.io/gc.expire".to_owned(), end));
        let id = self.create_lease(None, expire.into_iter().collect())?;
        self.lease = Some(id.clone());
        Ok(id)
    }

    /// Ends it.
    pub fn end_lease(&mut self, id: &str) -> Result<()> {
        self.lease = None;
        self.remove_lease(id)
    }

    fn leased(&mut self) -> Option<&mut Lease> {
        let id = self.lease.clone()?;
        self.found_mut()?.leases.get_mut(&id)
    }

    /// The lease at hand keeps a blob.
    pub(super) fn keep_content(&mut self, digest: &str) {
        if let Some(lease) = self.leased() {
            lease.content.put(digest, ());
        }
    }

    /// The lease at hand keeps a snapshot, or no longer does.
    pub(super) fn keep_snapshot(&mut self, key: &str, keep: bool) {
        if let Some(lease) = self.leased() {
            match keep {
                true => lease.snapshots.put(key, ()),
                false => drop(lease.snapshots.remove(key)),
            }
        }
    }
}
