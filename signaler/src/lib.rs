//! The Weft signaler's driver: sockets, HTTP, TLS and SQLite around `weft-signaler-core`. No protocol rule is here.
//!
//! One task owns the core ([`hub`](self)); every connection has a task that reads and writes its socket and a bounded
//! outgoing queue; one thread writes the database.

#![forbid(unsafe_code)]

#[cfg(weft_simulation)]
compile_error!("this program is for people: `--cfg weft_simulation` takes all security away");

mod acme;
mod clock;
mod dial;
mod enlist;
mod events;
mod hub;
mod measures;
mod outbox;
mod pages;
mod probe;
mod rest;
mod server;
mod settings;
mod socket;
mod store;
mod stream;
mod tls;

pub use acme::Acme;
pub use enlist::Enlist;
pub use probe::Probe;
pub use server::{Server, id_of};
pub use settings::{Args, DEFAULT_PORT, LogFormat, Settings};
