//! The discrete-event engine: nodes, the network between them, and time.

pub mod announced_node;
mod clock;
mod connection;
pub mod content;
pub mod dice;
mod hostility;
pub mod network;
mod node;
pub mod parcel;
pub mod peer_node;
mod queue;
mod shard;
pub mod signaler_node;
pub mod tally;
pub mod trace;
pub mod world;

#[cfg(test)]
mod tests;

pub use announced_node::{AnnouncedNode, Answer, Stand};
pub use clock::START;
pub use content::Content;
pub use dice::Dice;
pub use network::{Cut, Divided, Laws, Network};
pub use parcel::{NodeId, Vice};
pub use peer_node::PeerNode;
pub use signaler_node::SignalerNode;
pub use tally::{Delivery, Tally, Violation};
pub use trace::Trace;
pub use world::World;
