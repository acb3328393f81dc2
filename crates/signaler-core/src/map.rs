//! The hash map of this crate: keyed from the injected generator, and never iterated, so that its order is not
//! observable and nobody outside can aim at collisions.

use foldhash::fast::FixedState;

/// A map whose iteration order must not be used for anything that shows.
pub(crate) type Map<K, V> = hashbrown::HashMap<K, V, FixedState>;

/// An empty map with its own key.
pub(crate) fn map<K, V>(seed: u64) -> Map<K, V> {
    Map::with_hasher(FixedState::with_seed(seed))
}

/// Gives memory back after many removals; cheap to call after each.
pub(crate) fn trim<K: Eq + std::hash::Hash, V>(map: &mut Map<K, V>) {
    if map.capacity() > 256 && map.len() < map.capacity() / 8 {
        map.shrink_to(map.len() * 2);
    }
}
