//! A map with keys of 32 bytes, in their order: a sorted list, which takes a tenth of the code of a tree in the wasm.

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table<V>(Vec<([u8; 32], V)>);

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V> Table<V> {
    fn place(&self, key: &[u8; 32]) -> Result<usize, usize> {
        self.0.binary_search_by(|(one, _)| one.cmp(key))
    }

    pub(crate) fn get(&self, key: &[u8; 32]) -> Option<&V> {
        self.place(key).ok().and_then(|at| self.0.get(at)).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: &[u8; 32]) -> Option<&mut V> {
        let at = self.place(key).ok()?;
        self.0.get_mut(at).map(|(_, value)| value)
    }

    pub(crate) fn has(&self, key: &[u8; 32]) -> bool {
        self.place(key).is_ok()
    }

    /// Puts a value, unless there is one.
    pub(crate) fn add(&mut self, key: [u8; 32], value: V) {
        if let Err(at) = self.place(&key) {
            self.0.insert(at, (key, value));
        }
    }

    pub(crate) fn remove(&mut self, key: &[u8; 32]) {
        if let Ok(at) = self.place(key) {
            self.0.remove(at);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8; 32], &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_order_and_each_is_there_once() {
        let mut table = Table::default();
        for n in [3_u8, 1, 2, 1] {
            table.add([n; 32], u32::from(n) * 10 + u32::try_from(table.len()).unwrap());
        }
        assert_eq!(
            table.iter().map(|(key, value)| (key[0], *value)).collect::<Vec<_>>(),
            [(1, 11), (2, 22), (3, 30)]
        );
        table.remove(&[2; 32]);
        table.remove(&[2; 32]);
        assert!(!table.has(&[2; 32]) && table.has(&[3; 32]));
        *table.get_mut(&[3; 32]).unwrap() = 7;
        assert_eq!((table.get(&[3; 32]), table.get(&[9; 32])), (Some(&7), None));
    }
}
