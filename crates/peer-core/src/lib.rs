//! The Weft peer without IO: give it what happens, take from it what to do.
//!
//! The contract is in [`api`]; the composition is in [`peer`], which only routes between the machines:
//! each has a file of its own whose header lists its inputs, outputs, timers and invariants.

#![forbid(unsafe_code)]

pub mod api;
pub mod config;
pub mod peer;

pub use api::{
    Command, CommandError, CommandId, Event, HomeIndex, IceState, Input, LinkId, LinkState, Output, PeerChange,
    PeerInfo, Publication, SendError, SignalerState, Stats,
};
pub use config::Config;
pub use peer::{Keys, Peer};
