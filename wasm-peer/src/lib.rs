//! The Weft peer in a browser: the one crate that knows JavaScript.
//!
//! It holds no rule of the protocol: it opens what `weft-peer-core` says, reports what happens, and turns values from
//! and into JavaScript's. The TypeScript in `web/` is the only caller; what applications see is defined there.
//!
//! - [`driver`] runs the core: it alone borrows it, and calls JavaScript only when the borrow has ended;
//! - `socket` and `link` each own one object of the browser with its handlers, detached on drop;
//! - `convert` turns documents from and into JavaScript values;
//! - `rehearsal` has a browser compile what a first link needs before it is needed;
//! - `export` seals and opens an identity that goes elsewhere;
//! - `face` and `matcher` are what JavaScript sees.

#[cfg(weft_simulation)]
compile_error!("this program is for people: `--cfg weft_simulation` takes all security away");

mod clock;
mod convert;
mod driver;
pub mod export;
mod face;
mod failure;
mod link;
mod matcher;
mod options;
mod rehearsal;
mod sink;
mod socket;
mod timer;

pub use face::Face;
pub use matcher::Matcher;
pub use rehearsal::Rehearsal;
