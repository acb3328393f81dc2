//! Who is in a private party, and what they may do there: statements of its admins, and how invitations are redeemed.

use crate::cbor::{self as minicbor, Decode, Decoder, Encode, Error};

use crate::{Digest, DiscoveryKey, IdentityId, InvitationKey, List, limits};

/// What a member may do. Each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode)]
#[cbor(index_only)]
pub enum Role {
    /// Have links, subscribe, receive.
    #[n(1)]
    Reader,
    /// Publish.
    #[n(2)]
    Writer,
    /// Invite, admit, remove.
    #[n(3)]
    Admin,
}

impl<'b, C> Decode<'b, C> for Role {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, Error> {
        Ok(match decoder.unsigned(u32::MAX.into())? {
            1 => Self::Reader,
            2 => Self::Writer,
            3 => Self::Admin,
            // What a role of a later version may do is not known here: nothing.
            _ => return Err(Error::UnknownVariant),
        })
    }
}

impl Role {
    /// As people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Writer => "writer",
            Self::Admin => "admin",
        }
    }
}

/// A statement about members. Signed by an admin or by the party's own key, domain `weft/v1/membership`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Membership {
    /// The party.
    #[n(0)]
    pub discovery: DiscoveryKey,
    /// The admin who says so; none: the party's own key.
    #[n(1)]
    pub by: Option<IdentityId>,
    /// In which of its terms it is an admin; 0 for the party's own key.
    #[n(2)]
    pub acting: u32,
    /// When, milliseconds since the Unix epoch on its clock.
    #[n(3)]
    pub time: u64,
    /// What.
    #[n(4)]
    pub deed: Deed,
}

/// What is said about members.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub enum Deed {
    /// Somebody is a member.
    #[n(1)]
    Admit {
        /// Who.
        #[n(0)]
        member: IdentityId,
        /// As what.
        #[n(1)]
        role: Role,
        /// Counted up each time somebody is admitted again after a removal.
        #[n(2)]
        term: u32,
        /// By which invitation; none: the admin knows the member.
        #[n(3)]
        invitation: Option<InvitationKey>,
        /// It reads only what is published from its admission on.
        #[n(4)]
        no_history: Option<bool>,
    },
    /// Whoever has the secret of this key may become a member, once.
    #[n(2)]
    Invite {
        /// The key.
        #[n(0)]
        key: InvitationKey,
        /// As what.
        #[n(1)]
        role: Role,
        /// It has to be redeemed until then, milliseconds since the Unix epoch.
        #[n(2)]
        until: u64,
        /// As in an admission.
        #[n(3)]
        no_history: Option<bool>,
    },
    /// Somebody is not a member any more.
    #[n(3)]
    Remove {
        /// Who.
        #[n(0)]
        member: IdentityId,
        /// In this term and those before.
        #[n(1)]
        term: u32,
        /// What it has said as an admin in these terms and is to hold all the same.
        #[n(2)]
        keeps: List<Digest, { limits::KEPT_STATEMENTS }>,
    },
}

/// "I have been invited." Signed by the invitation's key, domain `weft/v1/redemption`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Redemption {
    /// The party.
    #[n(0)]
    pub discovery: DiscoveryKey,
    /// The invitation, the signer.
    #[n(1)]
    pub key: InvitationKey,
    /// Who wants to be a member.
    #[n(2)]
    pub member: IdentityId,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode, encode};

    #[test]
    fn each_has_its_golden_bytes() {
        let said = |deed| Membership {
            discovery: DiscoveryKey([1; 32]),
            by: Some(IdentityId([2; 32])),
            acting: 3,
            time: 4,
            deed,
        };
        let key = InvitationKey([6; 32]);
        let member = IdentityId([5; 32]);
        let admit = Deed::Admit {
            member,
            role: Role::Writer,
            term: 7,
            invitation: Some(key),
            no_history: Some(true),
        };
        let invite = Deed::Invite { key, role: Role::Reader, until: 8, no_history: None };
        let keeps = List::first([Digest([9; 32])]);
        let remove = Deed::Remove { member, term: 7, keeps };
        let head = [&[0xa5, 0, 0x58, 32][..], &[1; 32], &[1, 0x58, 32], &[2; 32], &[2, 3, 3, 4, 4]].concat();
        for (deed, tail) in [
            (
                admit,
                [
                    &[0x82, 1, 0xa5, 0, 0x58, 32][..],
                    &[5; 32],
                    &[1, 2, 2, 7, 3, 0x58, 32],
                    &[6; 32],
                    &[4, 0xf5],
                ]
                .concat(),
            ),
            (invite, [&[0x82, 2, 0xa3, 0, 0x58, 32][..], &[6; 32], &[1, 1, 2, 8]].concat()),
            (
                remove,
                [&[0x82, 3, 0xa3, 0, 0x58, 32][..], &[5; 32], &[1, 7, 2, 0x81, 0x58, 32], &[9; 32]].concat(),
            ),
        ] {
            let statement = said(deed);
            let bytes = encode(&statement);
            assert_eq!(bytes, [head.clone(), tail].concat());
            assert_eq!(decode::<Membership>(&bytes, limits::MEMBERSHIP), Ok(statement));
        }
    }

    #[test]
    fn a_role_of_a_later_version_is_none() {
        assert_eq!(decode::<Role>(&[3], 10), Ok(Role::Admin));
        assert!(decode::<Role>(&[4], 10).is_err() && decode::<Role>(&[0], 10).is_err());
        assert!(Role::Admin > Role::Writer && Role::Writer > Role::Reader);
    }
}
