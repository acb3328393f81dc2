//! How many messages of which kind were received, from the log of the protocol: it counts payloads and the rest only.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// What the log calls the messages: Plumtree's, then HyParView's. A name that begins like another one is before it.
const KINDS: [(&str, &str); 10] = [
    ("payload", "Gossip(Gossip("),
    ("ihave", "Gossip(IHave("),
    ("graft", "Gossip(Graft("),
    ("prune", "Gossip(Prune"),
    ("join", "Swarm(Join("),
    ("forward_join", "Swarm(ForwardJoin("),
    ("shuffle_reply", "Swarm(ShuffleReply("),
    ("shuffle", "Swarm(Shuffle("),
    ("neighbor", "Swarm(Neighbor("),
    ("disconnect", "Swarm(Disconnect("),
];
/// Where the log says which kind it is: after the sender and the topic. What follows are contents.
const HEAD: usize = 256;

/// The counters. Clones count together.
#[derive(Clone, Default)]
pub(crate) struct Kinds(Arc<[AtomicU64; KINDS.len()]>);

impl Kinds {
    /// Counts from here on, in the whole process. It slows the simulator, so it is not for measuring time.
    pub(crate) fn install() -> anyhow::Result<Self> {
        let kinds = Self::default();
        tracing::subscriber::set_global_default(kinds.clone())?;
        Ok(kinds)
    }

    /// What was counted since the last call.
    pub(crate) fn take(&self) -> serde_json::Map<String, serde_json::Value> {
        let counters = KINDS.iter().zip(self.0.iter());
        counters.map(|((name, _), count)| ((*name).to_owned(), count.swap(0, Relaxed).into())).collect()
    }
}

impl Subscriber for Kinds {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && metadata.level() == &Level::TRACE
            && metadata.target() == "iroh_gossip::proto::state"
    }

    fn event(&self, event: &Event<'_>) {
        let mut head = Head(String::with_capacity(HEAD));
        event.record(&mut head);
        if !head.0.starts_with("in : RecvMessage(") {
            return;
        }
        let Some((_, message)) = head.0.split_once("message: ") else { return };
        if let Some(at) = KINDS.iter().position(|(_, logged)| message.starts_with(logged)) {
            self.0[at].fetch_add(1, Relaxed);
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// The beginning of a line of the log.
struct Head(String);

impl Visit for Head {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // The error says that it is enough.
            let _ = write!(self, "{value:?}");
        }
    }
}

impl fmt::Write for Head {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() >= HEAD {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}
