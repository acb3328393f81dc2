//! Three admins, each with a copy of what is known of a party, who admit, invite and remove as they like and hear of each
//! other when the input says so.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use weft_crypto::membership::PartySecret;
use weft_crypto::{IdentityKey, Invitation, Members, Seed};
use weft_wire::IdentityId;
use weft_wire::membership::Role;

use crate::checks::Choices;

const PEOPLE: u8 = 6;
const ADMINS: usize = 3;
/// Under the bound of what one admin may say.
const STEPS: usize = 60;
const ROLES: [Role; 3] = [Role::Reader, Role::Writer, Role::Admin];

/// Each byte is a choice of what happens next.
pub(crate) fn members(input: &[u8]) {
    let mut choices = Choices(input);
    let people: Vec<_> = (1..=PEOPLE).map(|n| IdentityKey::new(&Seed::new([n; 32]))).collect();
    let secret = PartySecret::new(&Seed::new([9; 32]));
    let founded = Members::found(&secret, people[0].id(), 1);
    let mut copies = vec![founded; ADMINS];
    let mut rng = ChaCha20Rng::from_seed([7; 32]);
    let mut invitations: Vec<Invitation> = Vec::new();
    for now in 2..2 + STEPS as u64 {
        if step(&mut choices, now, &people, &mut copies, (&mut invitations, &mut rng)).is_none() {
            break;
        }
    }

    // When everybody has heard everything, everybody has come to the same, whatever the order.
    let said: Vec<Vec<u8>> = copies
        .iter()
        .flat_map(|members| members.statements().map(|(_, bytes)| bytes.to_vec()).collect::<Vec<_>>())
        .collect();
    for (n, members) in copies.iter_mut().enumerate() {
        let mut in_some_order: Vec<&[u8]> = said.iter().map(Vec::as_slice).collect();
        in_some_order.rotate_left(n * said.len() / ADMINS);
        if n == 1 {
            in_some_order.reverse();
        }
        members.take(in_some_order);
    }
    let roles = |members: &Members| members.roles().collect::<Vec<_>>();
    for members in &copies[1..] {
        assert_eq!(roles(members), roles(&copies[0]), "everybody knows the same members");
    }
    let mut new = Members::new(secret.key());
    new.take(said.iter().map(Vec::as_slice));
    assert_eq!(roles(&new), roles(&copies[0]), "who comes later finds the same");
    assert_eq!(new.role(&people[0].id()), Some(Role::Admin), "nobody removes the founder");
    for (member, role) in roles(&new) {
        let mut stranger = Members::new(secret.key());
        stranger.take(new.evidence(&member));
        assert_eq!(stranger.role(&member), Some(role), "the evidence shows what somebody is");
    }
}

fn step(
    choices: &mut Choices<'_>,
    now: u64,
    people: &[IdentityKey],
    copies: &mut [Members],
    (invitations, rng): (&mut Vec<Invitation>, &mut ChaCha20Rng),
) -> Option<()> {
    let what = choices.one_of(8)?;
    let copy = choices.one_of(ADMINS)?;
    let who = &people[choices.one_of(people.len())?];
    let whom: IdentityId = people[choices.one_of(people.len())?].id();
    let may = copies[copy].role(&who.id()) == Some(Role::Admin);
    let said = match what {
        0 | 1 => copies[copy].admit(who, now, whom, ROLES[choices.one_of(3)?]).is_ok(),
        2 => {
            let invitation = Invitation::new(rng, copies[copy].party());
            let until = now + choices.one_of(40)? as u64;
            let said = copies[copy].invite(who, now, &invitation, ROLES[choices.one_of(3)?], until).is_ok();
            invitations.push(invitation);
            said
        }
        3 | 4 => {
            let redemption = invitations.get(choices.one_of(invitations.len())?)?.redeem(whom);
            let before = copies[copy].role(&whom);
            let redeemed = copies[copy].redeem(who, now, &redemption);
            assert!(copies[copy].role(&whom) >= before, "an invitation takes nothing away");
            matches!(redeemed, Ok(Some(_)))
        }
        5 => {
            let removed = copies[copy].remove(who, now, whom).is_ok();
            assert!(!removed || copies[copy].role(&whom).is_none(), "who was removed is no member");
            removed
        }
        _ => {
            // One hears of some of what another knows.
            let (from, most) = (choices.one_of(ADMINS)?, choices.one_of(12)?);
            let said: Vec<_> =
                copies[from].statements().map(|(_, bytes)| bytes.to_vec()).take(most).collect();
            copies[copy].take(said.iter().map(Vec::as_slice));
            return Some(());
        }
    };
    assert!(may || !said, "only admins say anything");
    Some(())
}
