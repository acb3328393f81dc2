//! The sans-IO Weft signaler: introduces peers to each other and forwards what it cannot read.
//!
//! A driver feeds [`Input`]s with the time and carries out [`Output`]s; nothing here knows sockets, clocks, files or
//! tasks. The run loop of a driver:
//!
//! 1. `signaler.handle(now, input)` for whatever happened (at the latest at [`Signaler::deadline`], with
//!    [`Input::Tick`]).
//! 2. `while let Some(output) = signaler.poll()`: carry it out. Outputs stay queued until polled, in order.
//! 3. Go to 1. Remote data never makes `handle` fail: it is answered, counted, and may close its connection.
//!
//! The machines, one to a file: `peers` (connections and authentication), `table`
//! (discovery entries with TTL), `links` (siblings: proof, admission, routes), `linked` (who says that it is linked with whom), `dials` (whom
//! to call and when), `membership` (who is in the federation and lives), `pending` (forwarded frames whose outcome is awaited), `mailboxes` (what peers left for each other), `quota`, `turn` (credentials of TURN servers), [`registry`] (whom sovereigns took in). The
//! parts of [`Signaler`] join them: `discovery.rs` (announce, leave, loss, expiry), `forwarding.rs`,
//! `federation.rs`, `members.rs`, `admission.rs` (the registry), `mailing.rs` and
//! `mailkeeping.rs` (mail). The frames and their order are specified in `docs/spec/signaler.md`, `docs/spec/federation.md` and
//! `docs/spec/registry.md`.

#![forbid(unsafe_code)]

mod admission;
mod calendar;
mod config;
mod counters;
mod dials;
mod discovery;
mod federation;
mod forwarding;
mod frames;
mod io;
mod keeping;
mod linked;
mod links;
mod log;
mod mailboxes;
mod mailing;
mod mailkeeping;
mod map;
#[cfg(feature = "measured")]
pub mod measured;
mod members;
mod membership;
mod packets;
mod peers;
mod pending;
mod quota;
pub mod registry;
mod residences;
mod residing;
mod ring;
mod signaler;
mod slots;
mod swarm;
mod table;
mod timers;
mod turn;
mod watches;
mod watching;

pub use config::{Config, SiblingConfig};
pub use counters::{Counters, Gauges, MemberStatus, SiblingStatus};
pub use io::{ConnId, DialId, Event, Input, MailChange, MailItem, Origin, Output};
pub use linked::{LinkStatus, Linked};
pub use signaler::Signaler;
pub use turn::TurnConfig;
