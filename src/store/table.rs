//! A persistent table: a clone costs nothing, and a change copies the places of the rows, not the rows.

use std::sync::Arc;

/// Rows by their keys, in the order of the keys' bytes, which is the order that containerd lists in.
#[derive(Debug)]
pub struct Table<T>(Arc<Vec<(Arc<str>, Arc<T>)>>);

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Table<T> {
    fn find(&self, key: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| (**other).cmp(key))
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A row.
    pub fn get(&self, key: &str) -> Option<&Arc<T>> {
        self.find(key).ok().map(|at| &self.0[at].1)
    }

    /// Whether there is such a row.
    pub fn has(&self, key: &str) -> bool {
        self.find(key).is_ok()
    }

    /// Puts a row, in place of the one that has its key.
    pub fn put(&mut self, key: &str, row: T) {
        let at = self.find(key);
        let rows = Arc::make_mut(&mut self.0);
        match at {
            Ok(at) => rows[at].1 = Arc::new(row),
            Err(at) => rows.insert(at, (key.into(), Arc::new(row))),
        }
    }

    /// Takes a row away, and gives it.
    pub fn remove(&mut self, key: &str) -> Option<Arc<T>> {
        let at = self.find(key).ok()?;
        Some(Arc::make_mut(&mut self.0).remove(at).1)
    }

    /// All rows with their keys, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Arc<T>)> {
        self.0.iter().map(|(key, row)| (&**key, row))
    }
}

impl<T: Clone> Table<T> {
    /// A row, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut T> {
        let at = self.find(key).ok()?;
        Some(Arc::make_mut(&mut Arc::make_mut(&mut self.0)[at].1))
    }
}
