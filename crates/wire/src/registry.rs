//! Statements to the registry of a federation: who registers, who decides, who is alive.
//!
//! A statement's body is a map with integer keys in their order, lengths definite and shortest, absent fields left out
//! (RFC 8949 section 4.2.1): whoever has the fields has the bytes. Over HTTP the fields travel as JSON (`json`), between
//! signalers as [`Sealed`]. The signatures themselves are `weft-crypto`'s.

#[cfg(feature = "json")]
pub mod json;
mod names;

use crate::cbor::{self as minicbor, Decode, Encode};

use crate::{
    Digest, List, Nonce, RegistryKey, SignalerId, Signature, Text, WireError, decode, encode, limits,
};

pub use names::{Address, Host, NameError, NetworkName, RegistrantId, ServiceType};

/// Something that a registrant offers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Service {
    /// What it is, as in `signaler`.
    #[n(0)]
    pub kind: ServiceType,
    /// Where it listens; never 0.
    #[n(1)]
    pub port: u16,
    /// Its own key.
    #[n(2)]
    pub key: RegistryKey,
}

/// "Take me in." Signed by the registrant, domain `weft/v1/registry-register`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Registration {
    /// The federation.
    #[n(0)]
    pub network: NetworkName,
    /// The signaler that is asked; no other one takes it from a client.
    #[n(1)]
    pub signaler: SignalerId,
    /// The name that is asked for.
    #[n(2)]
    pub id: RegistrantId,
    /// The signer.
    #[n(3)]
    pub key: RegistryKey,
    /// Where it can be reached.
    #[n(4)]
    pub host: Host,
    /// The address behind the name, if it is to be shown.
    #[n(5)]
    pub address: Option<Address>,
    /// What it offers there.
    #[n(6)]
    pub services: List<Service, { limits::SERVICES }>,
    /// The digest of the reset that made room for this one; absent the first time.
    #[n(7)]
    pub after: Option<Digest>,
    /// Milliseconds since the Unix epoch.
    #[n(8)]
    pub time: u64,
    /// Never used before by this key.
    #[n(9)]
    pub nonce: Nonce,
}

/// What a sovereign decides about a registrant. Signed by the sovereign, domain `weft/v1/registry-approve`, `-deny`,
/// `-reset` or `-revoke`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Decision {
    /// The federation.
    #[n(0)]
    pub network: NetworkName,
    /// The signaler that is told; no other one takes it from a client.
    #[n(1)]
    pub signaler: SignalerId,
    /// About whom.
    #[n(2)]
    pub id: RegistrantId,
    /// The key of the registrant.
    #[n(3)]
    pub key: RegistryKey,
    /// The digest of the statement that this one follows: the registration, or the decision before. What was decided about
    /// one state of affairs says nothing about another.
    #[n(4)]
    pub after: Digest,
    /// The signer.
    #[n(5)]
    pub sovereign: RegistryKey,
    /// Milliseconds since the Unix epoch.
    #[n(6)]
    pub time: u64,
    /// Never used before by this key.
    #[n(7)]
    pub nonce: Nonce,
}

/// A change of who is sovereign. Signed by a sovereign, domain `weft/v1/registry-sovereign-add`, `-revoke` or `-rotate`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SovereignChange {
    /// The federation.
    #[n(0)]
    pub network: NetworkName,
    /// The signaler that is told; no other one takes it from a client.
    #[n(1)]
    pub signaler: SignalerId,
    /// The key that is added, revoked, or replaced.
    #[n(2)]
    pub key: RegistryKey,
    /// The key in its place, for a rotation only.
    #[n(3)]
    pub replacement: Option<RegistryKey>,
    /// For people.
    #[n(4)]
    pub description: Option<Text<{ limits::DESCRIPTION }>>,
    /// The signer.
    #[n(5)]
    pub sovereign: RegistryKey,
    /// Milliseconds since the Unix epoch.
    #[n(6)]
    pub time: u64,
    /// Never used before by this key.
    #[n(7)]
    pub nonce: Nonce,
}

/// "I am alive." Signed by the registrant, domain `weft/v1/registry-heartbeat`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Heartbeat {
    /// The federation.
    #[n(0)]
    pub network: NetworkName,
    /// The signaler that is told; no other one takes it from a client.
    #[n(1)]
    pub signaler: SignalerId,
    /// Who.
    #[n(2)]
    pub id: RegistrantId,
    /// The signer.
    #[n(3)]
    pub key: RegistryKey,
    /// The address that it has now, if it is to be shown.
    #[n(4)]
    pub address: Option<Address>,
    /// Milliseconds since the Unix epoch.
    #[n(5)]
    pub time: u64,
    /// Never used before by this key.
    #[n(6)]
    pub nonce: Nonce,
}

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident($body:ty) = $number:literal, $domain:literal, $signer:ident;)*) => {
        /// What kind of statement; numbers are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The number on the wire and in databases.
            pub const fn number(self) -> u8 {
                match self {
                    $(Self::$name => $number,)*
                }
            }

            /// The kind of a number.
            pub const fn of(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// What the signature is for.
            pub const fn domain(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("weft/v1/registry-", $domain),)*
                }
            }
        }

        /// Any statement.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Statement {
            $($(#[$doc])* $name($body),)*
        }

        impl Statement {
            /// Its kind.
            pub const fn kind(&self) -> Kind {
                match self {
                    $(Self::$name(_) => Kind::$name,)*
                }
            }

            /// The bytes that are signed.
            pub fn body(&self) -> Vec<u8> {
                match self {
                    $(Self::$name(body) => encode(body),)*
                }
            }

            /// Reads a body, which must be the one encoding of its fields.
            ///
            /// # Errors
            /// See [`WireError`].
            pub fn read(kind: Kind, bytes: &[u8]) -> Result<Self, WireError> {
                let statement = match kind {
                    $(Kind::$name => Self::$name(decode(bytes, limits::REGISTRY_BODY)?),)*
                };
                let form = statement.is_well_formed() && statement.body() == bytes;
                let error = minicbor::decode::Error::Unexpected;
                if form { Ok(statement) } else { Err(WireError::Malformed { error, at: 0 }) }
            }

            /// The federation that it is for.
            pub const fn network(&self) -> &NetworkName {
                match self {
                    $(Self::$name(body) => &body.network,)*
                }
            }

            /// The signaler that it was made for.
            pub const fn signaler(&self) -> SignalerId {
                match self {
                    $(Self::$name(body) => body.signaler,)*
                }
            }

            /// Who signs it.
            pub const fn signer(&self) -> RegistryKey {
                match self {
                    $(Self::$name(body) => body.$signer,)*
                }
            }

            /// When it was made, milliseconds since the Unix epoch on the signer's clock.
            pub const fn time(&self) -> u64 {
                match self {
                    $(Self::$name(body) => body.time,)*
                }
            }

            /// Its nonce.
            pub const fn nonce(&self) -> Nonce {
                match self {
                    $(Self::$name(body) => body.nonce,)*
                }
            }
        }
    };
}

statements! {
    /// A registrant asks to be taken in.
    Register(Registration) = 1, "register", key;
    /// A sovereign takes it in.
    Approve(Decision) = 2, "approve", sovereign;
    /// A sovereign refuses it.
    Deny(Decision) = 3, "deny", sovereign;
    /// A sovereign lets it try again.
    Reset(Decision) = 4, "reset", sovereign;
    /// A sovereign takes back an approval.
    Revoke(Decision) = 5, "revoke", sovereign;
    /// A sovereign adds another.
    AddSovereign(SovereignChange) = 6, "sovereign-add", sovereign;
    /// A sovereign removes one.
    RevokeSovereign(SovereignChange) = 7, "sovereign-revoke", sovereign;
    /// A sovereign puts a new key in the place of another.
    RotateSovereign(SovereignChange) = 8, "sovereign-rotate", sovereign;
    /// A registrant is alive.
    Heartbeat(Heartbeat) = 9, "heartbeat", key;
}

impl Statement {
    /// Whom it is about, unless it is about sovereigns.
    pub const fn about(&self) -> Option<&RegistrantId> {
        match self {
            Self::Register(body) => Some(&body.id),
            Self::Approve(body) | Self::Deny(body) | Self::Reset(body) | Self::Revoke(body) => Some(&body.id),
            Self::Heartbeat(body) => Some(&body.id),
            Self::AddSovereign(_) | Self::RevokeSovereign(_) | Self::RotateSovereign(_) => None,
        }
    }

    /// What the fields' types cannot say: ports that exist, a replacement where one is needed and nowhere else.
    fn is_well_formed(&self) -> bool {
        match self {
            Self::Register(body) => body.services.iter().all(|service| service.port != 0),
            Self::RotateSovereign(body) => body.replacement.is_some_and(|key| key != body.key),
            Self::AddSovereign(body) | Self::RevokeSovereign(body) => body.replacement.is_none(),
            _ => true,
        }
    }
}

/// A statement as it travels between signalers and is stored.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Sealed {
    /// [`Kind::number`].
    #[n(0)]
    pub kind: u8,
    /// The signed bytes.
    #[n(1)]
    pub body: crate::Bytes<{ limits::REGISTRY_BODY }>,
    /// Over the domain of the kind and the body.
    #[n(2)]
    pub signature: Signature,
}
