//! A persistent table: a clone costs nothing, and a change copies the places of at most some hundred rows.

use std::sync::Arc;

use serde::{Serialize, Serializer};

/// The most rows of a chunk.
const ROWS: usize = 64;

/// Rows by their keys, in the order of the keys' bytes, which is the order that containerd lists in.
#[derive(Debug)]
pub struct Table<T> {
    /// Each has rows.
    chunks: Arc<Vec<Arc<Chunk<T>>>>,
    len: usize,
}

type Chunk<T> = Vec<(Arc<str>, Arc<T>)>;

/// Keys alone.
pub type Keys = Table<()>;

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self {
            chunks: self.chunks.clone(),
            len: self.len,
        }
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            chunks: Arc::default(),
            len: 0,
        }
    }
}

impl<T> Table<T> {
    /// The chunk that a key belongs to, and where in it the key stands or would stand.
    fn find(&self, key: &str) -> (usize, Result<usize, usize>) {
        let after = self.chunks.partition_point(|chunk| &*chunk[0].0 <= key);
        let chunk = after.saturating_sub(1);
        let place = match self.chunks.get(chunk) {
            None => Err(0),
            Some(rows) => rows.binary_search_by(|(other, _)| (**other).cmp(key)),
        };
        (chunk, place)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A row.
    pub fn get(&self, key: &str) -> Option<&Arc<T>> {
        let (chunk, place) = self.find(key);
        let place = place.ok()?;
        Some(&self.chunks[chunk][place].1)
    }

    /// Whether there is such a row.
    pub fn has(&self, key: &str) -> bool {
        self.find(key).1.is_ok()
    }

    /// Puts a row, in place of the one that has its key.
    pub fn put(&mut self, key: &str, row: T) {
        let (at, place) = self.find(key);
        let chunks = Arc::make_mut(&mut self.chunks);
        if chunks.is_empty() {
            chunks.push(Arc::default());
        }
        let rows = Arc::make_mut(&mut chunks[at]);
        match place {
            Ok(place) => rows[place].1 = Arc::new(row),
            Err(place) => {
                rows.insert(place, (key.into(), Arc::new(row)));
                self.len += 1;
            }
        }
        if rows.len() > ROWS {
            let rest = rows.split_off(ROWS / 2);
            chunks.insert(at + 1, Arc::new(rest));
        }
    }

    /// Takes a row away, and gives it.
    pub fn remove(&mut self, key: &str) -> Option<Arc<T>> {
        let (at, place) = self.find(key);
        let place = place.ok()?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let rows = Arc::make_mut(&mut chunks[at]);
        let (_, row) = rows.remove(place);
        if rows.is_empty() {
            chunks.remove(at);
        }
        self.len -= 1;
        Some(row)
    }

    /// All rows with their keys, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Arc<T>)> {
        let rows = self.chunks.iter().flat_map(|chunk| chunk.iter());
        rows.map(|(key, row)| (&**key, row))
    }

    /// All keys, in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.iter().map(|(key, _)| key)
    }
}

impl<T: Clone> Table<T> {
    /// A row, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut T> {
        let (at, place) = self.find(key);
        let place = place.ok()?;
        let rows = Arc::make_mut(&mut Arc::make_mut(&mut self.chunks)[at]);
        Some(Arc::make_mut(&mut rows[place].1))
    }
}

impl<T: PartialEq> PartialEq for Table<T> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl FromIterator<String> for Keys {
    fn from_iter<I: IntoIterator<Item = String>>(keys: I) -> Self {
        let mut table = Self::default();
        keys.into_iter().for_each(|key| table.put(&key, ()));
        table
    }
}

impl<const N: usize> From<[String; N]> for Keys {
    fn from(keys: [String; N]) -> Self {
        keys.into_iter().collect()
    }
}

impl Serialize for Keys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.keys())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::random::Random;

    #[test]
    fn random_changes_are_those_of_a_map() {
        let mut random = Random::of_run();
        let (mut table, mut map) = (Table::default(), BTreeMap::new());
        let mut kept = Vec::new();
        for number in 0..4_000 {
            let key = format!("{:x}", random.below(700));
            // First it grows, then it is emptied.
            match random.below(4_000) > number {
                true => {
                    table.put(&key, number);
                    map.insert(key, number);
                }
                false => assert_eq!(table.remove(&key).map(|row| *row), map.remove(&key)),
            }
            if number % 100 == 0 {
                kept.push((table.clone(), map.clone()));
            }
        }
        kept.push((table, map));
        for (table, map) in &mut kept {
            let rows = table.iter().map(|(key, row)| (key.to_owned(), **row));
            assert_eq!(
                rows.collect::<Vec<_>>(),
                map.clone().into_iter().collect::<Vec<_>>()
            );
            assert_eq!(table.len(), map.len());
            for number in 0..700 {
                let key = format!("{number:x}");
                assert_eq!(table.get(&key).map(|row| **row), map.get(&key).copied());
                if let Some(row) = table.get_mut(&key) {
                    *row += 1;
                    assert_eq!(**table.get(&key).unwrap(), map[&key] + 1);
                }
            }
        }
    }
}
