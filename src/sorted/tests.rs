use std::collections::BTreeMap;
use std::ops::Bound;

use super::*;
use crate::random::Random;

/// A map beside the library's, with keys enough for several chunks.
fn compare(random: &mut Random, ours: &SortedMap<u32, u32>, theirs: &BTreeMap<u32, u32>, keys: usize) {
    assert_eq!(ours.len(), theirs.len());
    assert!(ours.iter().eq(theirs));
    assert!(ours.iter().rev().eq(theirs.iter().rev()));
    assert!(ours.chunks.iter().all(|chunk| (1..=ROWS).contains(&chunk.len())));
    let mut ends = [0; 2].map(|_| random.below(keys) as u32);
    ends.sort();
    let [low, high] = ends;
    assert!(ours.range(low..high).eq(theirs.range(low..high)));
    assert!(ours.range(low..=high).rev().eq(theirs.range(low..=high).rev()));
    assert!(ours.range(..=low).eq(theirs.range(..=low)));
    if low < high {
        let open = (Bound::Excluded(low), Bound::Excluded(high));
        assert!(ours.range(open).eq(theirs.range(open)));
    }
    // From both ends at once they meet once.
    let mut both = ours.range(low..);
    let mut count = 0;
    while both.next().is_some() {
        count += 1 + usize::from(both.next_back().is_some());
    }
    assert_eq!(count, theirs.range(low..).count());
}

#[test]
fn it_is_as_the_librarys_map() {
    let mut random = Random::new(7);
    for keys in [3, 700, 3_000] {
        let (mut ours, mut theirs) = (SortedMap::new(), BTreeMap::new());
        for step in 0..8 * keys {
            let key = random.below(keys) as u32;
            let value = step as u32;
            // At first it grows, then it shrinks.
            let kinds = if step < 4 * keys { 5 } else { 8 };
            match random.below(kinds) {
                0..=2 => assert_eq!(ours.insert(key, value), theirs.insert(key, value)),
                3 => {
                    let place = ours.entry(key);
                    assert_eq!(place.is_vacant(), !theirs.contains_key(&key));
                    *place.or_default() += 1;
                    *theirs.entry(key).or_default() += 1;
                }
                4 => assert_eq!(ours.pop_first(), theirs.pop_first()),
                _ => assert_eq!(ours.remove(&key), theirs.remove(&key)),
            }
            assert_eq!(ours.get(&key), theirs.get(&key));
            if step % (keys / 3) == 0 {
                compare(&mut random, &ours, &theirs, keys);
            }
        }
        ours.retain(|key, _| key % 3 != 0);
        theirs.retain(|key, _| key % 3 != 0);
        compare(&mut random, &ours, &theirs, keys);
        let again: SortedMap<u32, u32> = theirs.clone().into_iter().rev().collect();
        assert_eq!(again, ours);
        assert!(ours.into_iter().eq(theirs));
    }
}

#[test]
fn what_comes_in_order_fills_its_chunks() {
    let set: SortedSet<usize> = (0..10 * ROWS).collect();
    assert_eq!(set.0.chunks.len(), 10);
}
