//! The Weft peer without IO: give it what happens, take from it what to do.
//!
//! The contract is in [`api`]; the composition is in [`peer`], which only routes between the machines. Each machine has
//! a file of its own whose header lists its inputs, outputs, timers and invariants:
//!
//! ```text
//!             commands                       WebSockets            connections, data channels
//!                |                               |                            |
//!  subscriptions | mail --- sessions           homes                 negotiation   links
//!           \    |   /   outbox, mailbox, own --|                        |    revocations
//!            \   |  /    order               (discovery)                  |          |
//!             feeds --- broadcast --- swarm --- roster --- view --- backoff ---------+
//! ```

#![forbid(unsafe_code)]

pub mod api;
mod assembly;
mod backoff;
mod broadcast;
pub mod config;
mod diagnosis;
mod env;
mod feeds;
mod forks;
mod group;
mod hearing;
mod homes;
mod interest;
mod kept;
mod keys;
mod links;
mod mail;
mod mailbox;
mod mended;
mod negotiation;
mod order;
mod outbox;
mod own;
mod pace;
pub mod peer;
mod place;
mod private;
mod ranges;
mod recent;
mod revocations;
mod roster;
mod routes;
mod sessions;
pub mod sorted;
mod storage;
mod subscriptions;
mod swarm;
mod told;
mod traffic;
mod transfer;
mod tree;
mod view;
mod wants;

pub use api::{
    Backlog, Command, CommandError, CommandId, Event, HomeIndex, IceServer, IceState, Input, LinkId,
    LinkState, MemberDeed, Output, OwnPeer, PeerChange, PeerInfo, Publication, RequestError, ResidenceError,
    SendError, SignalerState, Stats,
};
pub use config::Config;
pub use diagnosis::{Cause, Diagnosis, Path};
pub use keys::Keys;
pub use peer::Peer;
pub use storage::{STATEMENT_KEYS, StoreDone, StoreRow, StoreWork};
pub use traffic::{Flow, Traffic};
