//! What is sent on links, by what it is for.

use weft_wire::link::Link as Frame;

/// Frames sent on links since the start, by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Publications.
    pub publications: Flow,
    /// Digests, grafts and prunes.
    pub digests: Flow,
    /// Places in broadcast trees, and what is wanted behind links.
    pub tree: Flow,
    /// Shuffles.
    pub membership: Flow,
    /// Presences.
    pub presence: Flow,
    /// Pings and their answers.
    pub keepalive: Flow,
    /// Envelopes, and what finds their way.
    pub unicast: Flow,
    /// Hellos, parties, wants and their ends, goodbyes.
    pub session: Flow,
}

/// Frames and their bytes, the headers of chunks not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Frames.
    pub frames: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Traffic {
    pub(crate) fn count(&mut self, frame: &Frame<'_>, bytes: usize) {
        let flow = match frame {
            Frame::Publish { .. } => &mut self.publications,
            Frame::Digest { .. } | Frame::Graft { .. } | Frame::Prune { .. } => &mut self.digests,
            Frame::Tree { .. } | Frame::Interest { .. } => &mut self.tree,
            Frame::Shuffle { .. } => &mut self.membership,
            Frame::Presence { .. } => &mut self.presence,
            Frame::Ping { .. } | Frame::Pong { .. } => &mut self.keepalive,
            Frame::Envelope { .. } | Frame::Routes { .. } | Frame::Seek { .. } | Frame::Found { .. } => {
                &mut self.unicast
            }
            _ => &mut self.session,
        };
        flow.frames += 1;
        flow.bytes += bytes as u64;
    }
}
