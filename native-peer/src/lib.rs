//! The native Weft peer: a tokio and str0m driver for the sans-IO core, with a small async interface.
//!
//! ```no_run
//! use weft_native_peer::{Backlog, Delivery, Document, Filter, Options, Party, Weft};
//!
//! # async fn example(document: Document) -> Result<(), Box<dyn std::error::Error>> {
//! let weft = Weft::connect(Options::new(["ws://localhost:8190"])).await?;
//! let party = weft.join(&Party::open("movies")).await?;
//! let filter = Filter::parse_json(r#"{"rating":{"$gte":8}}"#)?;
//! let mut subscription = weft.subscribe(party, filter, Some(Backlog::default())).await?;
//! weft.publish(party, document).await?;
//! while let Some(delivery) = subscription.next().await {
//!     if let Delivery::Data { publication, .. } = delivery {
//!         println!("{}: {:?}", publication.author, publication.document);
//!     }
//! }
//! weft.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! Who owns what: one task ([`driver`]) owns the core, the WebRTC connections and their sockets; one task per signaler
//! owns its WebSocket. Everything between them and the application is a bounded queue that says what happens when it
//! is full. No rule of the protocol is here: see `weft-peer-core` for those.

#![forbid(unsafe_code)]

#[cfg(weft_simulation)]
compile_error!("this program is for people: `--cfg weft_simulation` takes all security away");

mod address;
mod clock;
mod driver;
mod error;
pub mod http;
pub mod keystore;
mod link;
mod links;
mod options;
mod queue;
mod reflect;
mod request;
mod sending;
mod servers;
mod signaler;
mod socket;
mod store;
mod weft;

pub use error::Error;
pub use options::{KeySource, Network, Options};
pub use sending::{Progress, Sending, Sent, Until};
pub use servers::StunServer;
pub use weft::{Delivery, Events, Message, Messages, Published, Publishing, Requests, Subscription, Weft};

pub use weft_crypto::{Grant, Invitation, Members, Party, PartySecret, digest};
pub use weft_peer_core::{
    Backlog, Cause, CommandError, Config, Diagnosis, Event, HomeIndex, LinkState, MemberDeed, OwnPeer, Path,
    PeerChange, PeerInfo, Publication, RequestError, ResidenceError, SendError, SignalerState, Stats,
};
pub use weft_query::{Document, Filter};
pub use weft_wire::link::Exclusion;
pub use weft_wire::membership::Role;
pub use weft_wire::{Digest, DiscoveryKey, IdentityId, MessageId, PeerId, PublicationId};
