use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::*;

const NOW: u64 = 1_700_000_000_000;
const DAY: u64 = 24 * 60 * 60 * 1000;

fn identity(n: u8) -> IdentityKey {
    IdentityKey::new(&Seed::new([n; 32]))
}

fn secret() -> PartySecret {
    PartySecret::new(&Seed::new([99; 32]))
}

/// A party whose founder is identity 1.
fn founded() -> Members {
    Members::found(&secret(), identity(1).id(), NOW)
}

fn invitation(n: u8) -> Invitation {
    Invitation::new(&mut ChaCha20Rng::from_seed([n; 32]), secret().key())
}

fn all(members: &Members) -> Vec<Vec<u8>> {
    members.statements().map(|(_, bytes)| bytes.to_vec()).collect()
}

/// Somebody who has heard all of it, the last first.
fn heard(members: &Members) -> Members {
    let mut other = Members::new(members.party());
    let statements = all(members);
    let taken = other.take(statements.iter().rev().map(Vec::as_slice));
    assert_eq!((taken.new.len(), taken.refused), (statements.len(), 0), "{:?}", taken.why);
    other
}

#[test]
fn p1_an_invitation_makes_one_member_with_its_role_and_everybody_agrees() {
    for role in [Role::Reader, Role::Writer, Role::Admin] {
        let mut members = founded();
        members.invite(&identity(1), NOW, &invitation(1), role, NOW + DAY).unwrap();
        let redemption = invitation(1).redeem(identity(2).id());
        assert_eq!(members.role(&identity(2).id()), None, "an invitation alone makes nobody a member");
        assert!(members.redeem(&identity(1), NOW + 1, &redemption).unwrap().is_some());
        assert_eq!(members.role(&identity(2).id()), Some(role));
        assert_eq!(heard(&members).role(&identity(2).id()), Some(role));
        // Once more by the same one changes nothing.
        assert_eq!(members.redeem(&identity(1), NOW + 2, &redemption), Ok(None));
        assert_eq!(members.roles().count(), 2);
    }
}

#[test]
fn p1_wrong_expired_and_used_invitations_are_refused_by_everybody() {
    let mut members = founded();
    members.admit(&identity(1), NOW, identity(5).id(), Role::Reader).unwrap();
    members.invite(&identity(1), NOW, &invitation(1), Role::Writer, NOW + DAY).unwrap();
    let redemption = invitation(1).redeem(identity(2).id());
    members.redeem(&identity(1), NOW + 1, &redemption).unwrap();
    members.invite(&identity(1), NOW, &invitation(2), Role::Writer, NOW + DAY).unwrap();
    members.remove(&identity(1), NOW + 2, identity(5).id()).unwrap();
    for mut peer in [heard(&members), members] {
        let check = |now, redemption: &[u8]| peer.check_redemption(now, redemption).map(|_| ());
        // Nobody has made it.
        assert_eq!(
            check(NOW + 1, &invitation(9).redeem(identity(3).id())),
            Err(MembershipError::UnknownInvitation)
        );
        // Its time has passed.
        let late = invitation(2).redeem(identity(3).id());
        assert_eq!(check(NOW + DAY, &late), Ok(()));
        assert_eq!(check(NOW + DAY + 1, &late), Err(MembershipError::ExpiredInvitation));
        // It has made somebody else a member.
        let second = invitation(1).redeem(identity(3).id());
        assert_eq!(check(NOW + 1, &second), Err(MembershipError::UsedInvitation));
        // Who was removed does not come back with it.
        assert_eq!(check(NOW + 1, &invitation(2).redeem(identity(5).id())), Err(MembershipError::Removed));
        // It is for another party.
        let other = Invitation::new(&mut ChaCha20Rng::from_seed([2; 32]), PartyKey([7; 32]));
        assert_eq!(check(NOW + 1, &other.redeem(identity(3).id())), Err(MembershipError::AnotherParty));
        // Somebody without its secret claims it, or its redemption was altered.
        let claimed =
            Redemption { discovery: peer.discovery, key: invitation(2).key(), member: identity(3).id() };
        let forged = seal(&identity(3).signing, REDEMPTION, &claimed);
        assert_eq!(check(NOW + 1, &forged), Err(MembershipError::Signature(BadSignature)));
        for at in 0..late.len() {
            let mut altered = late.clone();
            altered[at] ^= 1;
            assert!(check(NOW + 1, &altered).is_err(), "byte {at}");
        }
        // None of them makes a member; who is no admin admits nobody.
        assert!(peer.redeem(&identity(1), NOW + 1, &second).is_err());
        assert_eq!(peer.redeem(&identity(2), NOW + 1, &late), Err(MembershipError::NotAnAdmin));
        assert_eq!(peer.role(&identity(3).id()), None);
    }
}

#[test]
fn p1_of_two_admissions_by_one_invitation_the_first_counts_for_everybody() {
    let mut one = founded();
    one.admit(&identity(1), NOW, identity(2).id(), Role::Admin).unwrap();
    one.admit(&identity(1), NOW, identity(3).id(), Role::Admin).unwrap();
    one.invite(&identity(2), NOW, &invitation(1), Role::Writer, NOW + DAY).unwrap();
    // Two admins that do not hear each other.
    let mut other = heard(&one);
    one.redeem(&identity(2), NOW + 2, &invitation(1).redeem(identity(4).id())).unwrap();
    other.redeem(&identity(3), NOW + 1, &invitation(1).redeem(identity(5).id())).unwrap();
    let (from_one, from_other) = (all(&one), all(&other));
    one.take(from_other.iter().map(Vec::as_slice));
    other.take(from_one.iter().map(Vec::as_slice));
    for peer in [&one, &other] {
        assert_eq!(peer.role(&identity(5).id()), Some(Role::Writer));
        assert_eq!(peer.role(&identity(4).id()), None);
    }
    // An admission by an invitation that says another role, or after its end, admits nobody.
    for (time, role) in [(NOW + 1, Role::Admin), (NOW + DAY + 1, Role::Writer)] {
        let mut peer = heard(&one);
        peer.invite(&identity(2), NOW, &invitation(2), Role::Writer, NOW + DAY).unwrap();
        let key = Some(invitation(2).key());
        let deed = Deed::Admit { member: identity(6).id(), role, term: 0, invitation: key, no_history: None };
        peer.say(&identity(2), time, deed).unwrap();
        assert_eq!(peer.role(&identity(6).id()), None);
    }
}

#[test]
fn only_admins_are_heard() {
    let mut members = founded();
    members.admit(&identity(1), NOW, identity(2).id(), Role::Writer).unwrap();
    let deed = Deed::Admit {
        member: identity(3).id(),
        role: Role::Reader,
        term: 0,
        invitation: None,
        no_history: None,
    };
    let said = |by, deed: &Deed| Membership {
        discovery: members.discovery,
        by,
        acting: 0,
        time: NOW,
        deed: deed.clone(),
    };
    let by_writer = seal(&identity(2).signing, DOMAIN, &said(Some(identity(2).id()), &deed));
    let in_anothers_name = seal(&identity(2).signing, DOMAIN, &said(Some(identity(1).id()), &deed));
    let in_the_partys_name = seal(&identity(1).signing, DOMAIN, &said(None, &deed));
    let elsewhere = Membership { discovery: DiscoveryKey([1; 32]), ..said(Some(identity(1).id()), &deed) };
    let elsewhere = seal(&identity(1).signing, DOMAIN, &elsewhere);
    for (bytes, why) in [
        (&by_writer, MembershipError::NotAnAdmin),
        (&in_anothers_name, MembershipError::Signature(BadSignature)),
        (&in_the_partys_name, MembershipError::Signature(BadSignature)),
        (&elsewhere, MembershipError::AnotherParty),
    ] {
        let taken = members.clone().take([bytes.as_slice()]);
        assert_eq!((taken.new.len(), taken.why), (0, Some(why)));
    }
    let mut other = members.clone();
    assert_eq!(
        other.admit(&identity(2), NOW, identity(3).id(), Role::Reader),
        Err(MembershipError::NotAnAdmin)
    );
    assert_eq!(other.remove(&identity(2), NOW, identity(1).id()), Err(MembershipError::NotAnAdmin));
    assert_eq!(other.found, members.found);
}

#[test]
fn p2_who_was_removed_is_no_member_and_comes_back_only_by_an_admin() {
    let mut members = founded();
    members.admit(&identity(1), NOW, identity(2).id(), Role::Writer).unwrap();
    members.admit(&identity(1), NOW, identity(3).id(), Role::Admin).unwrap();
    members.remove(&identity(3), NOW + 1, identity(2).id()).unwrap();
    assert_eq!(heard(&members).role(&identity(2).id()), None);
    assert_eq!(members.remove(&identity(1), NOW + 2, identity(2).id()), Err(MembershipError::NotRemovable));
    members.admit(&identity(3), NOW + 3, identity(2).id(), Role::Reader).unwrap();
    assert_eq!(heard(&members).role(&identity(2).id()), Some(Role::Reader));
    members.remove(&identity(1), NOW + 4, identity(2).id()).unwrap();
    assert_eq!(heard(&members).role(&identity(2).id()), None);
}

#[test]
fn p2_admins_remove_those_below_never_their_equals_and_what_they_said_holds_as_listed() {
    let mut members = founded();
    members.admit(&identity(1), NOW, identity(2).id(), Role::Admin).unwrap();
    members.admit(&identity(1), NOW, identity(3).id(), Role::Admin).unwrap();
    members.admit(&identity(2), NOW, identity(4).id(), Role::Admin).unwrap();
    members.admit(&identity(4), NOW, identity(5).id(), Role::Writer).unwrap();
    for (admin, above) in [(2, 3), (3, 2), (2, 1), (4, 3), (4, 1)] {
        let refused = members.remove(&identity(admin), NOW + 1, identity(above).id());
        assert_eq!(refused, Err(MembershipError::NotRemovable), "{admin} removes {above}");
    }
    // Any admin above removes, and the writer that the removed one had admitted stays.
    let before = members.clone();
    members.remove(&identity(3), NOW + 1, identity(4).id()).unwrap();
    assert_eq!(members.role(&identity(4).id()), None);
    assert_eq!(members.role(&identity(5).id()), Some(Role::Writer));
    // What it says afterwards counts nowhere, whatever time it claims; nor what it had kept to itself.
    let mut rogue = before.clone();
    let kept_back = rogue.admit(&identity(4), NOW - DAY, identity(6).id(), Role::Admin).unwrap();
    let revenge = rogue.remove(&identity(4), NOW - DAY, identity(5).id()).unwrap();
    for mut peer in [members.clone(), heard(&members)] {
        peer.take([kept_back.as_slice(), &revenge]);
        assert_eq!(peer.role(&identity(6).id()), None);
        assert_eq!(peer.role(&identity(5).id()), Some(Role::Writer));
    }
    // The one that heard the rogue first comes to the same.
    let statements = all(&members);
    rogue.take(statements.iter().map(Vec::as_slice));
    assert_eq!((rogue.role(&identity(6).id()), rogue.role(&identity(5).id())), (None, Some(Role::Writer)));
    // Admitted again as an admin, it is heard again.
    members.admit(&identity(1), NOW + 2, identity(4).id(), Role::Admin).unwrap();
    members.admit(&identity(4), NOW + 3, identity(6).id(), Role::Reader).unwrap();
    assert_eq!(heard(&members).role(&identity(6).id()), Some(Role::Reader));
}

/// Whoever admitted somebody may have been an admin before, and somebody else may have made the invitation.
#[test]
fn evidence_shows_a_member_of_an_admin_who_came_back_and_of_an_invitation_by_another() {
    let mut members = founded();
    let [founder, back, other] = [1, 2, 3].map(identity);
    members.admit(&founder, NOW, back.id(), Role::Admin).unwrap();
    members.admit(&founder, NOW, other.id(), Role::Admin).unwrap();
    members.remove(&founder, NOW + 1, back.id()).unwrap();
    members.admit(&founder, NOW + 2, back.id(), Role::Admin).unwrap();
    members.admit(&back, NOW + 3, identity(4).id(), Role::Writer).unwrap();
    members.invite(&other, NOW + 3, &invitation(1), Role::Reader, NOW + DAY).unwrap();
    members.redeem(&founder, NOW + 4, &invitation(1).redeem(identity(5).id())).unwrap();
    for (member, role) in [(4, Role::Writer), (5, Role::Reader)] {
        let member = identity(member).id();
        assert_eq!(members.role(&member), Some(role));
        let evidence = members.evidence(&member);
        let mut stranger = Members::new(members.party());
        let taken = stranger.take(evidence.iter().copied());
        assert_eq!((taken.new.len(), taken.refused), (evidence.len(), 0), "{:?}", taken.why);
        assert_eq!(stranger.role(&member), Some(role));
    }
}

#[test]
fn evidence_shows_one_member_and_nobody_else_but_those_who_admitted_it() {
    let mut members = founded();
    members.admit(&identity(1), NOW, identity(2).id(), Role::Admin).unwrap();
    members.admit(&identity(1), NOW, identity(3).id(), Role::Reader).unwrap();
    members.invite(&identity(2), NOW, &invitation(1), Role::Writer, NOW + DAY).unwrap();
    members.redeem(&identity(2), NOW + 1, &invitation(1).redeem(identity(4).id())).unwrap();
    members.remove(&identity(1), NOW + 2, identity(2).id()).unwrap();
    let evidence = members.evidence(&identity(4).id());
    let mut stranger = Members::new(members.party());
    let taken = stranger.take(evidence.iter().copied());
    assert_eq!((taken.new.len(), taken.refused), (evidence.len(), 0));
    assert_eq!(stranger.role(&identity(4).id()), Some(Role::Writer));
    assert_eq!(stranger.role(&identity(3).id()), None);
    assert_eq!(members.evidence(&identity(2).id()), Vec::<&[u8]>::new());
}

#[test]
fn statements_are_bounded_and_a_removal_always_has_room() {
    let mut members = founded();
    members.admit(&identity(1), NOW, identity(2).id(), Role::Admin).unwrap();
    let stranger = |n: u32| {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        IdentityId(id)
    };
    // Filled by hand: each statement is computed anew, which takes its time with thousands.
    let flood = |by: u8, n: u32| {
        let deed = Deed::Admit {
            member: stranger(n),
            role: Role::Reader,
            term: 0,
            invitation: None,
            no_history: None,
        };
        let by = identity(by);
        let said = Membership { discovery: members.discovery, by: Some(by.id()), acting: 0, time: NOW, deed };
        seal(&by.signing, DOMAIN, &said)
    };
    let flooded: Vec<Vec<u8>> = (0..1100).map(|n| flood(2, n)).collect();
    let mut peer = members.clone();
    let taken = peer.take(flooded.iter().map(Vec::as_slice));
    assert_eq!(
        (taken.new.len(), taken.refused, taken.why),
        (OF_ONE, 1100 - OF_ONE, Some(MembershipError::Full))
    );
    assert_eq!(peer.admit(&identity(2), NOW, stranger(7000), Role::Reader), Err(MembershipError::Full));
    assert!(peer.admit(&identity(1), NOW, stranger(7000), Role::Reader).is_ok());
    assert!(peer.remove(&identity(1), NOW, identity(2).id()).is_ok());
    assert!(peer.roles().count() <= limits::KEPT_STATEMENTS + 3);
}

#[test]
fn the_largest_statement_and_redemption_are_within_their_limits() {
    let deed = Deed::Remove {
        member: identity(2).id(),
        term: u32::MAX,
        keeps: List::first(std::iter::repeat_n(Digest([1; 32]), limits::KEPT_STATEMENTS)),
    };
    let said = Membership {
        discovery: DiscoveryKey([1; 32]),
        by: Some(identity(1).id()),
        acting: u32::MAX,
        time: u64::MAX,
        deed,
    };
    let bytes = seal(&identity(1).signing, DOMAIN, &said);
    assert!(bytes.len() <= limits::MEMBERSHIP, "{}", bytes.len());
    let redemption = invitation(1).redeem(identity(2).id());
    assert!(redemption.len() <= limits::REDEMPTION, "{}", redemption.len());
}

#[test]
fn p1_an_invitation_is_a_word_and_a_damaged_one_says_so() {
    let one = invitation(1);
    let text = one.to_string();
    let read: Invitation = format!(" {text}\n").parse().unwrap();
    assert_eq!((read.party(), read.key()), (one.party(), one.key()));
    assert!(text.len() < 84, "{text}");
    let refused = |text: &str| text.parse::<Invitation>().map(|_| ()).unwrap_err();
    assert_eq!(refused("weft:"), InvitationError::NotAnInvitation);
    assert_eq!(refused(&text[5..]), InvitationError::NotAnInvitation);
    assert_eq!(refused(&format!("{text}0")), InvitationError::NotAnInvitation);
    assert_eq!(refused(&text[..text.len() - 1]), InvitationError::Damaged);
    assert_eq!(refused("weft:z"), InvitationError::Damaged);
    assert_eq!(refused(&format!("weft:z{}", "2".repeat(100_000))), InvitationError::Damaged);
    for at in 6..text.len() {
        let other = if text.as_bytes()[at] == b'2' { "3" } else { "2" };
        assert_eq!(refused(&format!("{}{other}{}", &text[..at], &text[at + 1..])), InvitationError::Damaged);
    }
    let mut later = vec![2; 49];
    later.extend(blake3::hash(&later).as_bytes()[..4].to_vec());
    let later = format!("weft:z{}", bs58::encode(later).into_string());
    assert_eq!(refused(&later), InvitationError::Version(2));
    let shown = format!("{one:?} {:?}", secret());
    assert!(!shown.contains(&text[10..20]), "{shown}");
}

#[test]
fn c7_every_flipped_bit_of_a_statement_is_noticed() {
    let mut members = founded();
    let bytes = members.admit(&identity(1), NOW, identity(2).id(), Role::Writer).unwrap();
    for bit in 0..8 * bytes.len() {
        let mut altered = bytes.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(founded().take([altered.as_slice()]).new.len(), 0, "bit {bit}");
    }
    assert_eq!(founded().take([bytes.as_slice()]).new.len(), 1);
}

// ---- any order ----

#[derive(Clone, Debug)]
enum Act {
    Admit(u8, u8, u8),
    Invite(u8, u8, u8),
    Redeem(u8, u8, u8),
    Remove(u8, u8),
    /// Somebody acts upon what it knew some acts ago.
    Forget(u8),
}

fn act() -> impl Strategy<Value = Act> {
    let one = || 1..6_u8;
    prop_oneof![
        3 => (one(), one(), 0..3_u8).prop_map(|(by, of, role)| Act::Admit(by, of, role)),
        1 => (one(), 0..3_u8, 0..3_u8).prop_map(|(by, which, role)| Act::Invite(by, which, role)),
        2 => (one(), 0..3_u8, one()).prop_map(|(by, which, of)| Act::Redeem(by, which, of)),
        2 => (one(), one()).prop_map(|(by, of)| Act::Remove(by, of)),
        2 => one().prop_map(Act::Forget),
    ]
}

proptest! {
    #[test]
    fn p1_whoever_has_the_same_statements_knows_the_same_members_in_whatever_order_they_came(
        acts in proptest::collection::vec(act(), 0..25), order in any::<u64>(), batch in 1..4_usize
    ) {
        let roles = [Role::Reader, Role::Writer, Role::Admin];
        let mut everything = founded();
        // Each knows what it has seen last; some have missed much.
        let mut known: Vec<Members> = (0..6).map(|_| everything.clone()).collect();
        for (time, act) in (NOW..).zip(acts) {
            let said = match act {
                Act::Admit(by, of, role) => known[usize::from(by)]
                    .admit(&identity(by), time, identity(of).id(), roles[usize::from(role)]).ok(),
                Act::Invite(by, which, role) => known[usize::from(by)]
                    .invite(&identity(by), time, &invitation(which), roles[usize::from(role)], time + 10).ok(),
                Act::Redeem(by, which, of) => known[usize::from(by)]
                    .redeem(&identity(by), time, &invitation(which).redeem(identity(of).id())).ok().flatten(),
                Act::Remove(by, of) => known[usize::from(by)].remove(&identity(by), time, identity(of).id()).ok(),
                Act::Forget(who) => {
                    known[usize::from(who)] = everything.clone();
                    None
                }
            };
            if let Some(said) = said {
                everything.take([said.as_slice()]);
            }
        }
        let mut statements = all(&everything);
        let mut state = order;
        for at in (1..statements.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            statements.swap(at, usize::try_from(state >> 33).unwrap() % (at + 1));
        }
        // In batches, again and again until nothing is new, as neighbours tell each other.
        let mut other = Members::new(everything.party());
        loop {
            let new: usize = statements
                .chunks(batch)
                .map(|batch| other.take(batch.iter().map(Vec::as_slice)).new.len())
                .sum();
            if new == 0 {
                break;
            }
        }
        prop_assert_eq!(&other.found, &everything.found);
        prop_assert_eq!(all(&other), all(&everything));
        // Whoever is a member can show it.
        for (member, role) in everything.roles() {
            let mut stranger = Members::new(everything.party());
            let evidence = everything.evidence(&member);
            stranger.take(evidence.iter().copied());
            prop_assert!(stranger.role(&member) >= Some(role), "{evidence:?}");
        }
        // The founder is never removed.
        prop_assert_eq!(everything.role(&identity(1).id()), Some(Role::Admin));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut members = founded();
        prop_assert_eq!(members.take([bytes.as_slice()]).new.len(), 0);
        prop_assert!(members.check_redemption(NOW, &bytes).is_err());
        let text = String::from_utf8_lossy(&bytes);
        prop_assert!(["weft:z", &*text].concat().parse::<Invitation>().is_err());
    }
}
