//! Every maximum on a wire, with its unit and its reason. Behavioural constants (intervals, time-outs) are in the
//! `config` modules of the cores.

/// Bytes of a frame that a signaler accepts before authentication: a challenge's answer is under 300 bytes.
pub const FRAME_BEFORE_AUTH: usize = 8 * 1024;
/// Bytes of a frame between peer and signaler, or between signalers, after authentication.
pub const FRAME: usize = 256 * 1024;
/// Bytes of an envelope: a frame less its own fields.
pub const ENVELOPE: usize = FRAME - 1024;
/// Bytes of the largest message over a link, chunked.
pub const LINK_MESSAGE: usize = 16 * 1024 * 1024;
/// Bytes of the largest message to an identity, encoded.
pub const MESSAGE: usize = 16 * 1024 * 1024;
/// Bytes of a message that travels in one envelope; a larger one travels in parts. On a line of 10 Mbit/s it takes a tenth
/// of a second.
pub const MESSAGE_WHOLE: usize = 128 * 1024;
/// Bytes of each part of a message but its last one: with its seal eight chunks of a data channel. Sealing and signing cost
/// as much as the hashes and the cipher over 50 KiB do, so smaller ones would cost more.
pub const PART: usize = 127 * 1024;
/// Parts behind the first missing one that a recipient takes.
pub const PARTS_AHEAD: u32 = 32;
/// Bytes of one chunk on a data channel, its header included: the size every browser takes without fragmenting its own
/// scheduling (RFC 8831 section 6.6 asks for 16 KiB without interleaving).
pub const CHUNK: usize = 16 * 1024;
/// Chunks in one packet of a forwarded stream.
pub const PACKET_CHUNKS: usize = 64;
/// Bytes of the chunks in one packet of a forwarded stream, after which another one begins.
pub const PACKET_BYTES: usize = 32 * 1024;
/// Bytes of the smallest chunk that a link is used for: what a data channel takes at least.
pub const CHUNK_LEAST: usize = 1024;
/// Messages that may be in reassembly on one link at once.
pub const PARTIAL_MESSAGES: usize = 8;
/// Bytes of all the messages in reassembly on one link: two of the largest.
pub const PARTIAL_BYTES: usize = 2 * LINK_MESSAGE;
/// Bytes of an encoded document (`weft-query` has the same bound).
pub const DOCUMENT: usize = 1024 * 1024;
/// Publications under one signature.
pub const BUNDLE_ENTRIES: usize = 64;
/// Bytes of the bodies under one signature, after which a bundle is closed (one larger body travels alone).
pub const BUNDLE_BYTES: usize = 64 * 1024;
/// Discovery entries in one frame.
pub const ENTRIES: usize = 128;
/// Bytes of one signed discovery entry (it has about 270).
pub const ENTRY: usize = 512;
/// Bytes of one signaler's signed card: a URL of the largest size and 150 more.
pub const CARD: usize = 512;
/// Signalers in one federation, those included that are down and not forgotten yet.
pub const MEMBERS: usize = 256;
/// Bytes of one packet about who is a member: the cards of 256 members with URLs of 60 bytes.
pub const GOSSIP: usize = 64 * 1024;
/// Entries named in one frame about what somebody has of a swarm: three quarters of a frame.
pub const NAMES: usize = 16 * 1024;
/// Bytes by which an entry is named there: eight for what it is about, four for its number.
pub const NAME_BYTES: usize = 12;
/// Bytes of a summary of a table: eight for each first byte of a discovery key.
pub const TABLE_SUMS: usize = 256 * 8;
/// Peers in one frame about who is connected.
pub const CONNECTED: usize = 1024;
/// Bytes of one signed peer record (it has about 250).
pub const RECORD: usize = 512;
/// Bytes of one signed statement about members: a removal that keeps 64 statements has 2,400.
pub const MEMBERSHIP: usize = 2560;
/// Statements of a removed admin that a removal keeps.
pub const KEPT_STATEMENTS: usize = 64;
/// Statements about members in one frame.
pub const MEMBERSHIPS: usize = 64;
/// Bytes of one signed redemption (it has about 220).
pub const REDEMPTION: usize = 256;
/// Keys of feeds in one envelope, or in one request for them: 40 KB.
pub const KEYS: usize = 64;
/// Removals that whoever passes a key on has to know.
pub const REMOVALS: usize = 64;
/// Bytes of one signed prekey (it has about 190).
pub const PREKEY: usize = 256;
/// Prekeys in one frame: verifying them takes about 3 ms.
pub const PREKEYS: usize = 64;
/// Prekeys of one peer in the answer to somebody who wants to write to it: one for one use, and the fallback.
pub const PREKEYS_EACH: usize = 2;
/// Peers of one identity whose mail and prekeys are kept.
pub const MAILBOXES: usize = 16;
/// Mailboxes of one identity that are known, those included that were revoked.
pub const MAILBOXES_KEPT: usize = 64;
/// Mailboxes in one frame about what somebody keeps.
pub const BOX_SUMS: usize = 1024;
/// Items of a mailbox in one frame between signalers.
pub const KEPT: usize = 256;
/// Bytes of one signed revocation (it has about 190).
pub const REVOCATION: usize = 256;
/// Revocations in one frame, and of one identity that are remembered: as many as it has mailboxes that are known.
pub const REVOCATIONS: usize = MAILBOXES_KEPT;
/// Envelopes in one frame of mail.
pub const MAIL: usize = 256;
/// Bytes of one message of a session: what an envelope has room for.
pub const RATCHETED: usize = ENVELOPE - 1024;
/// Bytes of an SDP: a data-channel offer with its candidates has under 2 KiB.
pub const SDP: usize = 16 * 1024;
/// Bytes of one ICE candidate line.
pub const CANDIDATE: usize = 1024;
/// Candidates in one signal.
pub const CANDIDATES: usize = 32;
/// Parties that two peers may have in common on one link.
pub const PARTIES: usize = 64;
/// Links that a presence may list.
pub const PRESENCE_LINKS: usize = 32;
/// Homes that a presence may list.
pub const PRESENCE_HOMES: usize = 4;
/// Bytes of a display name.
pub const NAME: usize = 64;
/// Bytes of the reason for which a request has no other answer.
pub const FAILURE: usize = 512;
/// Bytes of a client's self-description.
pub const AGENT: usize = 64;
/// URLs of TURN and STUN servers that a signaler tells its peers.
pub const ICE_URLS: usize = 8;
/// Bytes of a user name or credential at a TURN server.
pub const ICE_CREDENTIAL: usize = 128;
/// Bytes of a signaler's URL.
pub const URL: usize = 256;
/// Bytes of an explanation in an error frame.
pub const TEXT: usize = 256;
/// Feeds in one request for missing publications.
pub const WANT_FEEDS: usize = 1024;
/// Ranges per feed in one request for missing publications.
pub const WANT_RANGES: usize = 16;
/// Hops a publication, presence or forwarded frame may take before it is dropped: no overlay of ours is that deep.
pub const HOPS: u8 = 32;
/// Feeds, or ranges of one, in one digest or graft.
pub const RANGES: usize = 256;
/// Presences in one shuffle.
pub const SHUFFLE: usize = 8;
/// Bytes of one signed presence.
pub const PRESENCE: usize = 4 * 1024;
/// Bytes of the state of an application in a presence, encoded: everybody in the party hears it again every 10 s.
pub const STATE: usize = 1024;
/// Bytes of what a side wants behind it, encoded.
pub const INTEREST: usize = 1024;
/// Peers in one announcement of routes.
pub const ROUTES: usize = 1024;
/// Services that one registrant may offer.
pub const SERVICES: usize = 16;
/// Bytes of the kind of a service.
pub const SERVICE_TYPE: usize = 32;
/// Bytes of a host name (RFC 1035 section 2.3.4, as text without the last dot).
pub const HOST: usize = 253;
/// Bytes of an IP address as text: an IPv6 address with an embedded IPv4 address.
pub const ADDRESS: usize = 45;
/// Bytes of what is said of a sovereign key.
pub const DESCRIPTION: usize = 128;
/// Bytes of the body of a statement to the registry: 16 services have 1,200 at most, a host name 253.
pub const REGISTRY_BODY: usize = 2 * 1024;
/// Bytes of one sealed statement to the registry.
pub const REGISTRY_STATEMENT: usize = REGISTRY_BODY + 128;
/// Bytes of a summary of a registry: eight for each first byte of a digest.
pub const REGISTRY_SUMS: usize = 256 * 8;
/// Digests in one frame about a registry: half a frame.
pub const REGISTRY_DIGESTS: usize = 4096;
/// Statements to the registry in one frame: verifying them takes about 2 ms.
pub const REGISTRY_STATEMENTS: usize = 32;
