//! Why a statement is not taken, for programs and for people.

use crate::registry::Status;

/// Why a statement is not taken. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Nobody is registered by that id.
    NotFound,
    /// Made for another federation.
    WrongNetwork,
    /// Made for another signaler.
    WrongSignaler,
    /// The signer is not a sovereign.
    NotSovereign,
    /// The signature does not verify.
    BadSignature,
    /// Signed by another key than the registrant's.
    WrongKey,
    /// Its time is too far from our clock.
    Stale,
    /// Its nonce was used before.
    Replayed,
    /// The id is taken.
    AlreadyRegistered(Status),
    /// What it asks for cannot be done in this state.
    AlreadyDecided(Status),
    /// It follows a statement that is not the newest one any more.
    Superseded,
    /// By its time it comes before what it builds on.
    ClockBehind,
    /// The key is a sovereign already.
    AlreadySovereign,
    /// The key is no sovereign.
    UnknownSovereign,
    /// Nobody would be left to decide.
    LastSovereign,
    /// No more sovereigns, or changes of them, are kept.
    TooManySovereigns,
    /// A heartbeat of somebody who is not taken in.
    NotApproved(Status),
    /// No more registrants are kept.
    Full,
    /// No more statements about this registrant are kept.
    HistoryFull,
    /// No more nonces are kept.
    Busy,
}

impl Refusal {
    /// The stable name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::WrongNetwork => "wrong-network",
            Self::WrongSignaler => "wrong-signaler",
            Self::NotSovereign => "not-sovereign",
            Self::BadSignature => "bad-signature",
            Self::WrongKey => "wrong-key",
            Self::Stale => "stale",
            Self::Replayed => "replayed",
            Self::AlreadyRegistered(_) => "already-registered",
            Self::AlreadyDecided(_) => "already-decided",
            Self::Superseded => "superseded",
            Self::ClockBehind => "clock-behind",
            Self::AlreadySovereign => "already-sovereign",
            Self::UnknownSovereign => "unknown-sovereign",
            Self::LastSovereign => "last-sovereign",
            Self::TooManySovereigns => "too-many-sovereigns",
            Self::NotApproved(_) => "not-approved",
            Self::Full => "registry-full",
            Self::HistoryFull => "history-full",
            Self::Busy => "busy",
        }
    }

    /// The status of HTTP that says so.
    pub const fn status(self) -> u16 {
        match self {
            Self::Stale => 400,
            Self::BadSignature | Self::WrongKey => 401,
            Self::WrongNetwork
            | Self::WrongSignaler
            | Self::NotSovereign
            | Self::NotApproved(Status::Denied | Status::Revoked) => 403,
            Self::NotFound | Self::UnknownSovereign => 404,
            Self::Full | Self::Busy => 503,
            _ => 409,
        }
    }

    /// What happened and what to do next.
    pub fn message(self) -> String {
        let text = match self {
            Self::NotFound => "nobody is registered by this id: see GET /nodes",
            Self::WrongNetwork => "made for another federation: sign for the network that GET /info names",
            Self::WrongSignaler => "made for another signaler: sign for the id that GET /info names",
            Self::NotSovereign => {
                "approverPublicKey is no sovereign of this federation: GET /info lists them; the first is named with --sovereign"
            }
            Self::BadSignature => {
                "the signature does not cover these fields: sign the bytes that docs/spec/registry.md describes, with the key that is named"
            }
            Self::WrongKey => "publicKey is not the key that this id is registered with",
            Self::Stale => {
                "timestamp is too far from this signaler's clock: compare with now_ms of GET /info and sign anew"
            }
            Self::Replayed => "this nonce was used before: sign anew, with a fresh one",
            Self::AlreadyRegistered(status) => {
                let next = match status {
                    Status::Pending => "a sovereign decides about it next",
                    Status::Active | Status::Offline => {
                        "to register anew, ask a sovereign to revoke it and then to reset it"
                    }
                    Status::Denied | Status::Revoked => "to register anew, ask a sovereign to reset it",
                };
                return format!("this id is taken and {status}: choose another; {next}");
            }
            Self::AlreadyDecided(status) => {
                let next = match status {
                    Status::Pending => "only an approval or a denial can follow",
                    Status::Active | Status::Offline => "only a revocation can follow",
                    Status::Denied | Status::Revoked => "only a reset can follow",
                };
                return format!("it is {status}: {next}. See GET /nodes/ID");
            }
            Self::Superseded => {
                "something else was decided meanwhile: read GET /nodes/ID and sign for its head"
            }
            Self::ClockBehind => {
                "by its timestamp this comes before what made its signer a sovereign: set the clock, or use a later timestamp"
            }
            Self::AlreadySovereign => "this key is a sovereign already",
            Self::UnknownSovereign => "this key is no sovereign: GET /info lists them",
            Self::LastSovereign => {
                "nobody could decide anything without the last sovereign: add another first, or rotate"
            }
            Self::TooManySovereigns => "this registry keeps no more sovereigns, or changes of them",
            Self::NotApproved(status) => {
                return format!("it is {status}: heartbeats count once it is approved");
            }
            Self::Full => "this registry keeps no more registrants, or none that nobody has decided about",
            Self::HistoryFull => {
                "this registry keeps no more statements about this id: register by another one"
            }
            Self::Busy => "too many statements at this moment: try again in a minute",
        };
        text.to_owned()
    }
}
