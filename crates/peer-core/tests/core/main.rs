//! The peer core in a small world: what must hold for links, publications and messages, whatever the order of events.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod disk;
mod forks;
mod forwarded;
mod hostile;
mod large;
mod large_hostile;
mod links;
mod mailbox_order;
mod mailbox_soonest;
mod mailboxes;
mod mailboxes_property;
mod mesh;
mod messages;
mod neighbours;
mod parties;
mod presence;
mod publications;
mod requests;
mod residence;
mod revoking;
mod secrets;
mod sessions;
mod stored;
mod stored_shared;
mod strangers;
mod told;
mod world;
