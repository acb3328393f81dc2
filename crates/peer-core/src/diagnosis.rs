//! Why a peer is, or is not, directly connected, and what would help, in words.

use weft_wire::PeerId;
use weft_wire::sealed::Refusal;

use crate::negotiation::{Attempt, Kinds};

/// How documents and messages get to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// A connection.
    Direct,
    /// A link that signalers forward, sealed.
    Forwarded,
    /// Over the links of others, so many.
    Mesh {
        /// Links between us and the peer.
        links: u8,
    },
    /// Being negotiated.
    Connecting,
    /// None that is known. What is published still gets there if the swarm hangs together.
    None,
}

impl Path {
    /// The stable name that applications see.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Forwarded => "forwarded",
            Self::Mesh { .. } => "mesh",
            Self::Connecting => "connecting",
            Self::None => "none",
        }
    }

    /// Links to it over others.
    pub fn links(self) -> Option<u8> {
        if let Self::Mesh { links } = self { Some(links) } else { None }
    }
}

/// What is known of the way to one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// The peer.
    pub peer: PeerId,
    /// The way to it.
    pub path: Path,
    /// Why: stable, for programs.
    pub cause: Cause,
    /// Why, in words.
    pub text: String,
    /// What would help, in words. Empty: nothing needs help.
    pub advice: &'static str,
}

/// Why a peer is, or is not, directly connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// It is.
    Connected,
    /// A connection is being made.
    Connecting,
    /// The connection has been interrupted; it is being mended.
    Interrupted,
    /// Nobody has tried: there are enough links to others.
    NotNeeded,
    /// We are connected to no signaler, and no neighbour passes signals on.
    NoSignaler,
    /// No signaler knows the peer: it is offline, or uses signalers that are not linked to ours.
    Unknown,
    /// It has not answered.
    Unanswered,
    /// It has no place for us, or does not want us.
    Refused,
    /// One side can make no connections at all.
    NoWebRtc,
    /// One side has found no address of its own.
    NoAddress,
    /// The sides are in different networks, and one at least has asked no STUN server for its address.
    NoStun,
    /// The addresses do not let each other through, and there is no TURN server.
    NoTurn,
    /// A TURN server was used, and still no connection came about.
    TurnFailed,
}

impl Cause {
    /// The stable code that applications see.
    pub fn code(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Connecting => "connecting",
            Self::Interrupted => "interrupted",
            Self::NotNeeded => "not-needed",
            Self::NoSignaler => "no-signaler",
            Self::Unknown => "unknown-peer",
            Self::Unanswered => "unanswered",
            Self::Refused => "refused",
            Self::NoWebRtc => "no-webrtc",
            Self::NoAddress => "no-address",
            Self::NoStun => "no-stun",
            Self::NoTurn => "no-turn",
            Self::TurnFailed => "turn-failed",
        }
    }

    /// What would help, in words.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Connected | Self::Connecting | Self::NotNeeded | Self::Refused => "",
            Self::Interrupted => {
                "if it does not come back within half a minute, the network of one side is down"
            }
            Self::NoSignaler => {
                "check the network and the signalers' URLs; signalers() says what is wrong with each"
            }
            Self::Unknown => "the peer is offline, or its signalers are not linked to yours (--sibling)",
            Self::Unanswered => "the peer may be suspended or just leaving; it is tried again",
            Self::NoWebRtc => "allow WebRTC in that browser: a policy or an extension has switched it off",
            Self::NoAddress => {
                "check that side's network and the credentials of its TURN server, and whether a policy hides its addresses"
            }
            Self::NoStun => {
                "name a STUN server: iceServers: [{ urls: \"stun:…\" }], or --turn at the signaler"
            }
            Self::NoTurn => {
                "a TURN server connects such pairs: iceServers, or --turn and --turn-secret at the signaler"
            }
            Self::TurnFailed => {
                "check the TURN server: its credentials' secret and clock, and that UDP ports 49152 to 65535 reach it"
            }
        }
    }
}

/// What is known of the way to a peer.
pub(crate) struct Facts<'a> {
    pub(crate) peer: PeerId,
    /// There is a link; it is one that signalers forward; it works.
    pub(crate) linked: bool,
    pub(crate) forwarded: bool,
    pub(crate) works: bool,
    /// A link, or a better one, is being sought.
    pub(crate) trying: bool,
    /// Links to it over others.
    pub(crate) links_to: Option<u8>,
    /// We are connected to a signaler.
    pub(crate) signaler: bool,
    /// The last attempt at a connection, if it came to nothing.
    pub(crate) attempt: Option<&'a Attempt>,
}

/// What follows.
pub(crate) fn diagnose(facts: &Facts<'_>) -> Diagnosis {
    let path = match (facts.linked, facts.links_to) {
        (true, _) if facts.forwarded => Path::Forwarded,
        (true, _) => Path::Direct,
        (false, Some(links)) => Path::Mesh { links },
        (false, None) if facts.trying => Path::Connecting,
        (false, None) => Path::None,
    };
    let (cause, text) = match (path, facts.attempt) {
        (Path::Direct, _) if facts.works => (Cause::Connected, "there is a connection".to_owned()),
        (Path::Direct, _) => (Cause::Interrupted, "the connection does not answer at the moment".to_owned()),
        (_, Some(attempt)) => cause(attempt),
        // The other side gave up first.
        (Path::Forwarded, None) => (Cause::NoTurn, "no connection came about".to_owned()),
        _ if facts.trying => (Cause::Connecting, "a connection is being made".to_owned()),
        (Path::None, None) if !facts.signaler => {
            (Cause::NoSignaler, "no signaler can be reached to introduce the two".to_owned())
        }
        _ => (Cause::NotNeeded, "there are enough links to others, over which it is reached".to_owned()),
    };
    Diagnosis { peer: facts.peer, path, cause, text, advice: cause.advice() }
}

/// Why the last attempt came to nothing.
fn cause(attempt: &Attempt) -> (Cause, String) {
    let text = |text: &str| text.to_owned();
    match attempt.refusal {
        Some(Refusal::Full) => {
            return (Cause::Refused, text("all its places are taken; others link the two of you"));
        }
        Some(Refusal::Blocked) => return (Cause::Refused, text("it does not want a link with you")),
        Some(Refusal::NotInSwarm) => return (Cause::Refused, text("it is not in this party any more")),
        _ => {}
    }
    if attempt.platform {
        return (Cause::NoWebRtc, format!("one side can make no connection: {}", attempt.reason));
    }
    if !attempt.answered {
        let cause =
            if attempt.reason.contains("no signaler knows") { Cause::Unknown } else { Cause::Unanswered };
        return (cause, attempt.reason.clone());
    }
    let (ours, theirs) = (attempt.ours, attempt.theirs);
    if ours.none() || theirs.none() {
        let whose = if ours.none() { "this side" } else { "the other side" };
        return (Cause::NoAddress, format!("{whose} has found no address at which it could be reached"));
    }
    if ours.turn || theirs.turn {
        let whose = match (ours.turn, theirs.turn) {
            (true, true) => "both sides have",
            (true, false) => "this side has",
            _ => "the other side has",
        };
        return (
            Cause::TurnFailed,
            format!("{whose} an address at a TURN server, and still nothing came through"),
        );
    }
    let named = |kinds: Kinds| kinds.reflexive;
    match (named(ours), named(theirs)) {
        (true, true) => (
            Cause::NoTurn,
            text("both sides know their public addresses, but a NAT or firewall lets nothing through"),
        ),
        (false, false) => (
            Cause::NoStun,
            text("both sides know only addresses within their own networks, and these are not the same"),
        ),
        (ours, _) => {
            let whose = if ours { "the other side" } else { "this side" };
            (
                Cause::NoStun,
                format!("{whose} knows only addresses within its own network: no STUN server answered it"),
            )
        }
    }
}
