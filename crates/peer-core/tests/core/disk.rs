//! A store for the small world.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use weft_crypto::{IdentityKey, PeerKey, Seed, vault};
use weft_peer_core::{Keys, StoreDone, StoreRow, StoreWork};
use weft_wire::{DiscoveryKey, MessageId, PeerId};

use crate::world::World;

/// Rows that are read at once: few, so that more is asked for.
const AT_ONCE: usize = 100;
/// First byte of the key of a message's row.
const MESSAGE: u8 = 3;
/// Such a row holds, as long as nobody was told, its sender (64 bytes), its time and its body; then 8 bytes. Both are sealed.
const UNTOLD: usize = 8 + 72;

pub(crate) struct Disk {
    pub(crate) rows: BTreeMap<(DiscoveryKey, Vec<u8>), Vec<u8>>,
    pub(crate) latency: Duration,
    pub(crate) broken: bool,
    /// It takes so many rows.
    pub(crate) room: usize,
    pub(crate) writes: usize,
    /// After so many writes it does what it is asked to and says nothing.
    pub(crate) mute_from: Option<usize>,
}

impl Disk {
    /// Whether nobody hears of this.
    pub(crate) fn is_mute(&mut self, done: &StoreDone) -> bool {
        let Some(left) = self.mute_from.as_mut().filter(|_| matches!(done, StoreDone::Written { .. })) else {
            return false;
        };
        *left = left.saturating_sub(1);
        *left == 0
    }

    /// What a peer keeps of one kind, by the rest of its keys; with the lengths of the values.
    pub(crate) fn kept(&self, peer: PeerId, kind: u8) -> impl Iterator<Item = (&[u8], usize)> {
        let of = vault::place(&peer);
        let ours = self.rows.iter().filter(move |((discovery, key), _)| *discovery == of && key[0] == kind);
        ours.map(|((_, key), value)| (&key[1..], value.len()))
    }

    /// Messages of which the application of a peer was not told, as far as is stored.
    pub(crate) fn untold(&self, peer: PeerId) -> BTreeSet<MessageId> {
        let untold = self.kept(peer, MESSAGE).filter(|(_, len)| *len >= UNTOLD);
        untold.map(|(id, _)| MessageId(id.try_into().expect("an id"))).collect()
    }

    pub(crate) fn work(&mut self, work: StoreWork) -> StoreDone {
        let failed = || "the disk is full".to_owned();
        match work {
            StoreWork::Load { discovery, after } => {
                let behind = |(of, key): &&(DiscoveryKey, Vec<u8>)| {
                    *of == discovery && after.as_ref().is_none_or(|after| key > after)
                };
                let keys: Vec<_> = self.rows.keys().filter(behind).cloned().collect();
                let row = |key: &(DiscoveryKey, Vec<u8>)| StoreRow {
                    key: key.1.clone(),
                    value: self.rows[key].clone(),
                };
                let rows: Vec<StoreRow> = keys.iter().take(AT_ONCE).map(row).collect();
                let more = rows.len() < keys.len();
                let rows = if self.broken { Err(failed()) } else { Ok(rows) };
                StoreDone::Loaded { discovery, rows, more: more && !self.broken }
            }
            StoreWork::Write { discovery, work, put, remove } => {
                // Room that removing gives is there when all of it is done.
                let full = !put.is_empty() && self.rows.len() + put.len() > self.room;
                if self.broken || full {
                    return StoreDone::Written { discovery, work, outcome: Err(failed()) };
                }
                self.writes += 1;
                for StoreRow { key, value } in put {
                    assert!(key.len() <= 64, "keys are short");
                    self.rows.insert((discovery, key), value);
                }
                for key in remove {
                    self.rows.remove(&(discovery, key));
                }
                StoreDone::Written { discovery, work, outcome: Ok(()) }
            }
            StoreWork::Forget { discovery, work } => {
                self.rows.retain(|(of, _), _| *of != discovery);
                StoreDone::Written { discovery, work, outcome: Ok(()) }
            }
        }
    }
}

/// Keys that can be had again for the next run of a peer.
pub(crate) fn keys(n: u8) -> Keys {
    Keys { identity: IdentityKey::new(&Seed::new([n; 32])), peer: PeerKey::new(&Seed::new([n + 1; 32])) }
}

impl World {
    /// An empty disk.
    pub(crate) fn disk(&mut self) -> usize {
        let latency = Duration::from_millis(5);
        self.disks.push(Disk {
            rows: BTreeMap::new(),
            latency,
            broken: false,
            room: usize::MAX,
            writes: 0,
            mute_from: None,
        });
        self.disks.len() - 1
    }

    /// A peer with these keys that stores what it keeps.
    pub(crate) fn add_storing(
        &mut self,
        keys: &Keys,
        disk: usize,
        configure: impl FnOnce(&mut weft_peer_core::Config),
    ) -> usize {
        self.add_on(keys.clone(), &[0], Some(disk), |config| {
            config.store = true;
            configure(config);
        })
    }

    pub(crate) fn run_until_stored(&mut self, node: usize) {
        let stored = |world: &Self| world.nodes[node].peer.unstored() == 0;
        self.run_until(Duration::from_secs(5), stored).expect("stored in time");
    }
}
