//! Members of a private party: what its admins have said, and what follows from it.
//!
//! Commands: statements to sign ([`Members::admit`] and so on). Inputs: statements and redemptions of others.
//! Outputs: roles. No timers, no clock: whoever asks has one.
//!
//! What follows depends on nothing but the set of statements: whoever has the same ones knows the same members, in
//! whatever order they came. It is computed in levels. The party's own key is level 0. Whoever it makes an admin is at level
//! 1, whoever those make one is at level 2, and so on up to [`LEVELS`]; two ways to be an admin count as the shorter one.
//!
//! - A removal at a level undoes what made somebody an admin at that level or a later one, and any other admission. So
//!   admins remove each other's guests, and those whom they or others at their level have made admins; never their equals
//!   or seniors, and no two ever remove each other.
//! - What a removed admin has said holds as far as the removal lists it ([`Deed::Remove`]): nothing that turns up later,
//!   with whatever time on it, counts.
//! - Somebody who was removed comes back in a new term.
//! - An invitation admits one member: of several admissions by one invitation the first counts, by level, time and hash;
//!   only an admission of the role and before the end of the invitation counts at all. It is admins who admit: nobody
//!   becomes a member by a time of their own choosing.
//!
//! Invariants: at most [`STATEMENTS`] statements are kept, and [`OF_ONE`] of one admin; only of those who are or were admins.

mod invitation;
#[cfg(test)]
mod tests;

#[cfg(not(weft_simulation))]
use ed25519_dalek::SigningKey;
use weft_wire::membership::{Deed, Membership, Redemption, Role};
use weft_wire::{
    Digest, DiscoveryKey, IdentityId, InvitationKey, List, PartyKey, Signed, Tag, WireError, decode, encode,
    limits,
};

use crate::keys::{IdentityKey, Seed};
use crate::sign::{BadSignature, sign, verify};
#[cfg(weft_simulation)]
use crate::simulated::SigningKey;
use crate::table::Table;

pub use invitation::{Invitation, InvitationError};

/// Statements of one party: 1 MB.
pub const STATEMENTS: usize = 4096;
/// Statements of one admin. One who was removed cannot fill the party's store.
pub const OF_ONE: usize = 1024;
/// How far an admin may be from the party's own key.
pub const LEVELS: usize = 8;

const DOMAIN: &str = "weft/v1/membership";
const REDEMPTION: &str = "weft/v1/redemption";

/// Why a statement, a redemption or a command was refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MembershipError {
    /// Too large, or not a statement.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Not signed by whom it names.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// About another party.
    #[error("the statement is about another party")]
    AnotherParty,
    /// Whoever says it is no admin.
    #[error("only an admin can say this")]
    NotAnAdmin,
    /// An admin at the same level or above cannot be removed, nor can who is no member.
    #[error("only a member can be removed, and an admin only by those above")]
    NotRemovable,
    /// As many statements as are kept.
    #[error("{STATEMENTS} statements about members are kept, {OF_ONE} of one admin, and no more")]
    Full,
    /// No admin has made this invitation, or not as the redemption says.
    #[error("no admin has made this invitation")]
    UnknownInvitation,
    /// The invitation's time has passed.
    #[error("the invitation has expired")]
    ExpiredInvitation,
    /// The invitation has admitted somebody else.
    #[error("the invitation was used already")]
    UsedInvitation,
    /// Whoever redeems it was a member and was removed: an admin has to admit it again.
    #[error("this member was removed: an invitation does not bring it back")]
    Removed,
}

/// The secret key of a party: makes its first admin.
#[derive(Clone)]
pub struct PartySecret {
    signing: SigningKey,
}

impl PartySecret {
    /// The party of this seed.
    pub fn new(seed: &Seed) -> Self {
        Self { signing: seed.signing("weft/v1/private-party") }
    }

    /// The public key.
    pub fn key(&self) -> PartyKey {
        PartyKey(self.signing.verifying_key().to_bytes())
    }
}

impl core::fmt::Debug for PartySecret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("PartySecret(…)")
    }
}

/// What somebody is admitted to. Of a role alone: with all history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What it may do.
    pub role: Role,
    /// It may also read what was published before its admission.
    pub history: bool,
}

impl From<Role> for Grant {
    fn from(role: Role) -> Self {
        Self { role, history: true }
    }
}

/// Who is in a party. See the module's head.
#[derive(Clone, Debug)]
pub struct Members {
    party: PartyKey,
    discovery: DiscoveryKey,
    statements: Table<Kept>,
    /// What follows from them.
    found: Found,
}

#[derive(Clone, Debug)]
struct Kept {
    said: Membership,
    bytes: Vec<u8>,
}

/// What follows from the statements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Found {
    /// The statements that hold, and at which level they were said.
    holds: Table<usize>,
    members: Table<Member>,
    invitations: Table<Invited>,
    /// Everybody who is or was an admin, and what first made it one.
    admins: Table<Digest>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Member {
    role: Role,
    /// Of that role.
    term: u32,
    /// Of any role.
    last_term: u32,
    /// By what.
    admitted: Digest,
    /// What was published before this it is not to read, milliseconds since the Unix epoch.
    reads_since: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Invited {
    role: Role,
    until: u64,
    no_history: bool,
    level: usize,
    /// By level, time and hash, and whom.
    first: Option<((usize, u64, Digest), IdentityId)>,
}

impl Members {
    /// Of a party of which nothing is known yet.
    pub fn new(party: PartyKey) -> Self {
        let discovery = crate::Party::new(party).discovery();
        Self { party, discovery, statements: Table::default(), found: Found::default() }
    }

    /// Of a new party, whose first admin is the founder.
    pub fn found(secret: &PartySecret, founder: IdentityId, now: u64) -> Self {
        let mut members = Self::new(secret.key());
        let deed =
            Deed::Admit { member: founder, role: Role::Admin, term: 0, invitation: None, no_history: None };
        let said = Membership { discovery: members.discovery, by: None, acting: 0, time: now, deed };
        members.keep(said.clone(), seal(&secret.signing, DOMAIN, &said));
        members.compute();
        members
    }

    /// The party.
    pub fn party(&self) -> PartyKey {
        self.party
    }

    /// What somebody may do; none: nothing.
    pub fn role(&self, member: &IdentityId) -> Option<Role> {
        self.found.members.get(&member.0).map(|member| member.role)
    }

    /// From when on a member may read, milliseconds since the Unix epoch; 0: all that there is. None: nothing.
    pub fn reads_since(&self, member: &IdentityId) -> Option<u64> {
        self.found.members.get(&member.0).map(|member| member.reads_since)
    }

    /// The removals that hold, the newest, each by the beginning of its hash.
    pub fn removals(&self) -> List<Tag, { limits::REMOVALS }> {
        let removals = self.found.holds.iter().filter_map(|(digest, _)| {
            let said = &self.statements.get(digest)?.said;
            matches!(said.deed, Deed::Remove { .. }).then_some((said.time, Digest(*digest)))
        });
        let mut removals: Vec<_> = removals.collect();
        removals.sort_unstable();
        List::first(removals.iter().rev().map(|(_, digest)| Tag::from(digest)))
    }

    /// All of these removals are known, or more.
    pub fn knows(&self, removals: &[Tag]) -> bool {
        removals.iter().all(|tag| self.statements.iter().any(|(digest, _)| digest.starts_with(&tag.0)))
    }

    /// Everybody with their roles, ordered by id.
    pub fn roles(&self) -> impl Iterator<Item = (IdentityId, Role)> + '_ {
        self.found.members.iter().map(|(id, member)| (IdentityId(*id), member.role))
    }

    /// Somebody was a member, and was removed.
    pub fn was_removed(&self, member: &IdentityId) -> bool {
        self.role(member).is_none() && self.next_term(member) > 0
    }

    /// All statements, signed, to store them and to pass them on.
    pub fn statements(&self) -> impl Iterator<Item = (Digest, &[u8])> {
        self.statements.iter().map(|(digest, kept)| (Digest(*digest), kept.bytes.as_slice()))
    }

    /// The statement is known.
    pub fn has(&self, digest: &Digest) -> bool {
        self.statements.has(&digest.0)
    }

    /// The statements that show that somebody is a member, and nothing about anybody else but those who admitted it.
    pub fn evidence(&self, member: &IdentityId) -> Vec<&[u8]> {
        let mut shown: Table<usize> = Table::default();
        let mut next: Vec<Digest> =
            self.found.members.get(&member.0).map(|member| member.admitted).into_iter().collect();
        while let Some(digest) = next.pop() {
            let (Some(kept), Some(level)) = (self.statements.get(&digest.0), self.found.holds.get(&digest.0))
            else {
                continue;
            };
            if shown.has(&digest.0) {
                continue;
            }
            shown.add(digest.0, *level);
            if let Deed::Admit { invitation: Some(key), .. } = &kept.said.deed {
                next.extend(self.which(|said, _| said.deed.invites(key)));
            }
            // What made its signer an admin in the term in which it acted: one level above, or more if it took an
            // invitation of somebody further below.
            if let Some(by) = kept.said.by {
                let acting = kept.said.acting;
                let makes = |said: &Membership| said.deed.makes_admin(&by, acting);
                let near = self.which(|said, above| above + 1 == *level && makes(said));
                next.extend(near.or_else(|| self.which(|said, above| above < *level && makes(said))));
            }
        }
        let mut shown: Vec<_> = shown.iter().map(|(digest, level)| (*level, digest)).collect();
        shown.sort_unstable();
        shown.iter().filter_map(|(_, digest)| self.statements.get(digest)).map(Kept::bytes).collect()
    }

    /// The first statement that holds, at its level, of which something is true.
    fn which(&self, is: impl Fn(&Membership, usize) -> bool) -> Option<Digest> {
        let mut holds = self.found.holds.iter();
        let found = holds
            .find(|(digest, level)| self.statements.get(digest).is_some_and(|kept| is(&kept.said, **level)));
        found.map(|(digest, _)| Digest(*digest))
    }

    // ---- statements of others ----

    /// Takes statements, in any order; gives those that are new. What cannot be taken yet, for want of those that
    /// make its signer an admin, is not kept.
    pub fn take<'a>(&mut self, statements: impl IntoIterator<Item = &'a [u8]>) -> Taken {
        let mut taken = Taken::default();
        let mut waiting = Vec::new();
        for bytes in statements {
            match self.read(bytes) {
                Ok(Some(said)) => waiting.push((said, bytes)),
                Ok(None) => {}
                Err(error) => taken.refuse(error),
            }
        }
        // Signatures are checked of those only whose signer may say something: each round admits more of them.
        loop {
            let before = taken.new.len();
            waiting.retain(|(said, bytes)| {
                let Some(refused) = self.may_keep(said, bytes) else { return true };
                match refused {
                    Ok(()) => {
                        self.keep(said.clone(), bytes.to_vec());
                        taken.new.push(bytes.to_vec());
                    }
                    Err(error) => taken.refuse(error),
                }
                false
            });
            if taken.new.len() == before {
                break;
            }
            self.compute();
        }
        for _ in waiting {
            taken.refuse(MembershipError::NotAnAdmin);
        }
        taken
    }

    /// A statement that is not known yet.
    fn read(&self, bytes: &[u8]) -> Result<Option<Membership>, MembershipError> {
        if self.statements.has(&digest(bytes).0) {
            return Ok(None);
        }
        let signed: Signed<'_> = decode(bytes, limits::MEMBERSHIP)?;
        let said: Membership = decode(signed.body, limits::MEMBERSHIP)?;
        if said.discovery == self.discovery { Ok(Some(said)) } else { Err(MembershipError::AnotherParty) }
    }

    /// None: not yet.
    fn may_keep(&self, said: &Membership, bytes: &[u8]) -> Option<Result<(), MembershipError>> {
        if let Some(by) = said.by {
            if !self.found.admins.has(&by.0) {
                return None;
            }
            if self.kept().filter(|kept| kept.said.by == said.by).count() >= OF_ONE {
                return Some(Err(MembershipError::Full));
            }
        }
        // There is always room for removals.
        let removes = matches!(said.deed, Deed::Remove { .. });
        let most = if removes { STATEMENTS + OF_ONE } else { STATEMENTS };
        if self.statements.len() >= most && self.void().is_none() {
            return Some(Err(MembershipError::Full));
        }
        let signer = said.by.map_or(self.party.0, |by| by.0);
        Some(check(&signer, DOMAIN, bytes))
    }

    /// Whoever redeems an invitation may be admitted now.
    ///
    /// # Errors
    /// See [`MembershipError`]: wrong, expired and used ones are told apart.
    pub fn check_redemption(&self, now: u64, bytes: &[u8]) -> Result<Redemption, MembershipError> {
        let signed: Signed<'_> = decode(bytes, limits::REDEMPTION)?;
        let redemption: Redemption = decode(signed.body, limits::REDEMPTION)?;
        if redemption.discovery != self.discovery {
            return Err(MembershipError::AnotherParty);
        }
        let invited = self.found.invitations.get(&redemption.key.0);
        let invited = invited.ok_or(MembershipError::UnknownInvitation)?;
        if invited.first.is_some_and(|(_, member)| member != redemption.member) {
            return Err(MembershipError::UsedInvitation);
        }
        if self.role(&redemption.member) < Some(invited.role) {
            if self.next_term(&redemption.member) > 0 {
                return Err(MembershipError::Removed);
            }
            if invited.until < now {
                return Err(MembershipError::ExpiredInvitation);
            }
        }
        check(&redemption.key.0, REDEMPTION, bytes)?;
        Ok(redemption)
    }

    // ---- statements of ours ----

    /// Admits somebody whom the admin knows, also again after a removal.
    ///
    /// # Errors
    /// [`MembershipError::NotAnAdmin`] and [`MembershipError::Full`]; the same for all that follow.
    pub fn admit(
        &mut self,
        admin: &IdentityKey,
        now: u64,
        member: IdentityId,
        grant: impl Into<Grant>,
    ) -> Result<Vec<u8>, MembershipError> {
        let Grant { role, history } = grant.into();
        let (term, no_history) = (self.next_term(&member), (!history).then_some(true));
        self.say(admin, now, Deed::Admit { member, role, term, invitation: None, no_history })
    }

    /// Makes an invitation that ends at a time.
    ///
    /// # Errors
    /// As above.
    pub fn invite(
        &mut self,
        admin: &IdentityKey,
        now: u64,
        invitation: &Invitation,
        grant: impl Into<Grant>,
        until: u64,
    ) -> Result<Vec<u8>, MembershipError> {
        let Grant { role, history } = grant.into();
        let (key, no_history) = (invitation.key(), (!history).then_some(true));
        self.say(admin, now, Deed::Invite { key, role, until, no_history })
    }

    /// Admits whoever redeems an invitation. Nothing is said if it may do as much already.
    ///
    /// # Errors
    /// As above, and those of [`check_redemption`](Self::check_redemption).
    pub fn redeem(
        &mut self,
        admin: &IdentityKey,
        now: u64,
        redemption: &[u8],
    ) -> Result<Option<Vec<u8>>, MembershipError> {
        let Redemption { key, member, .. } = self.check_redemption(now, redemption)?;
        let invited = self.found.invitations.get(&key.0).ok_or(MembershipError::UnknownInvitation)?;
        if self.role(&member) >= Some(invited.role) {
            return Ok(None);
        }
        let (role, no_history) = (invited.role, invited.no_history.then_some(true));
        let deed = Deed::Admit { member, role, term: 0, invitation: Some(key), no_history };
        self.say(admin, now, deed).map(Some)
    }

    /// Removes a member. What it has said as an admin holds, so far as it is known here; of more than
    /// [`limits::KEPT_STATEMENTS`] those that are least in time.
    ///
    /// # Errors
    /// As above, and [`MembershipError::NotRemovable`].
    pub fn remove(
        &mut self,
        admin: &IdentityKey,
        now: u64,
        member: IdentityId,
    ) -> Result<Vec<u8>, MembershipError> {
        let term = self.found.members.get(&member.0).ok_or(MembershipError::NotRemovable)?.last_term;
        let mut said: Vec<_> = self
            .statements
            .iter()
            .filter(|(digest, kept)| kept.said.by == Some(member) && self.found.holds.has(digest))
            .map(|(digest, kept)| (kept.said.time, Digest(*digest)))
            .collect();
        said.sort_unstable();
        let keeps = List::first(said.into_iter().map(|(_, digest)| digest));
        let mut after = self.clone();
        let bytes = after.say(admin, now, Deed::Remove { member, term, keeps })?;
        if after.role(&member).is_some() {
            return Err(MembershipError::NotRemovable);
        }
        *self = after;
        Ok(bytes)
    }

    fn say(&mut self, admin: &IdentityKey, time: u64, deed: Deed) -> Result<Vec<u8>, MembershipError> {
        let by = admin.id();
        let acting = self.found.members.get(&by.0).filter(|member| member.role == Role::Admin);
        let acting = acting.ok_or(MembershipError::NotAnAdmin)?.term;
        let said = Membership { discovery: self.discovery, by: Some(by), acting, time, deed };
        let bytes = seal(&admin.signing, DOMAIN, &said);
        match self.may_keep(&said, &bytes) {
            Some(Ok(())) => {}
            Some(Err(error)) => return Err(error),
            None => return Err(MembershipError::NotAnAdmin),
        }
        self.keep(said, bytes.clone());
        self.compute();
        Ok(bytes)
    }

    fn kept(&self) -> impl Iterator<Item = &Kept> {
        self.statements.iter().map(|(_, kept)| kept)
    }

    /// The term in which somebody would be admitted.
    fn next_term(&self, member: &IdentityId) -> u32 {
        let removed =
            self.found.holds.iter().filter_map(|(digest, _)| match &self.statements.get(digest)?.said.deed {
                Deed::Remove { member: removed, term, .. } if removed == member => {
                    Some(term.saturating_add(1))
                }
                _ => None,
            });
        removed.max().unwrap_or(0)
    }

    /// A statement that does not hold. Such are kept because they might, once more is known; until there is no room.
    fn void(&self) -> Option<[u8; 32]> {
        let mut digests = self.statements.iter().rev().map(|(digest, _)| *digest);
        digests.find(|digest| !self.found.holds.has(digest))
    }

    fn keep(&mut self, said: Membership, bytes: Vec<u8>) {
        if self.statements.len() >= STATEMENTS
            && let Some(void) = self.void()
        {
            self.statements.remove(&void);
        }
        self.statements.add(digest(&bytes).0, Kept { said, bytes });
    }

    // ---- what follows ----

    fn compute(&mut self) {
        self.found = Found::of(&self.statements);
    }
}

/// What became of statements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Those that were not known, to be stored and passed on.
    pub new: Vec<Vec<u8>>,
    /// How many were refused, and why the first one was.
    pub refused: usize,
    /// Why the first of them was.
    pub why: Option<MembershipError>,
}

impl Taken {
    fn refuse(&mut self, error: MembershipError) {
        self.refused += 1;
        self.why.get_or_insert(error);
    }
}

/// A removal that holds.
struct Removal<'a> {
    level: usize,
    member: IdentityId,
    term: u32,
    keeps: &'a [Digest],
}

/// An admission that holds, but for removals.
#[derive(Clone, Copy)]
struct Admission {
    level: usize,
    member: IdentityId,
    role: Role,
    term: u32,
    digest: Digest,
    reads_since: u64,
}

/// An admission, and by which invitation.
#[derive(Clone, Copy)]
struct Admit {
    time: u64,
    digest: Digest,
    member: IdentityId,
    role: Role,
    term: u32,
    invitation: Option<InvitationKey>,
    reads_since: u64,
}

impl Admit {
    fn of(digest: Digest, said: &Membership) -> Option<Self> {
        let Deed::Admit { member, role, term, invitation, no_history } = said.deed else { return None };
        let reads_since = if no_history == Some(true) { said.time } else { 0 };
        Some(Self { time: said.time, digest, member, role, term, invitation, reads_since })
    }
}

impl Found {
    fn of(statements: &Table<Kept>) -> Self {
        let mut found = Self::default();
        let mut removals: Vec<Removal<'_>> = Vec::new();
        let mut admissions: Vec<Admission> = Vec::new();
        // Those of them that make admins: few.
        let mut making: Vec<Admission> = Vec::new();
        // By invitations that nobody has made yet, at the levels so far: whoever redeems one may be above who made it.
        let mut early: Vec<Admit> = Vec::new();
        for level in 0..=LEVELS {
            // Who may say something at this level: the party's own key, or whoever was made an admin one level above.
            let said: Vec<(Digest, &Membership)> = statements
                .iter()
                .map(|(digest, kept)| (Digest(*digest), &kept.said))
                .filter(|(digest, said)| {
                    !found.holds.has(&digest.0)
                        && match said.by {
                            None => level == 0,
                            Some(by) => {
                                level > 0 && may_speak(by, said.acting, digest, level, &making, &removals)
                            }
                        }
                })
                .collect();
            for (digest, said) in &said {
                match &said.deed {
                    Deed::Remove { member, term, keeps } => {
                        removals.push(Removal { level, member: *member, term: *term, keeps });
                    }
                    Deed::Invite { key, role, until, no_history } => {
                        let no_history = *no_history == Some(true);
                        let invited = Invited { role: *role, until: *until, no_history, level, first: None };
                        found.invitations.add(key.0, invited);
                    }
                    Deed::Admit { .. } => continue,
                }
                found.holds.add(digest.0, level);
            }
            let mut admits = core::mem::take(&mut early);
            admits.extend(said.iter().filter_map(|(digest, said)| Admit::of(*digest, said)));
            admits.sort_unstable_by_key(|admit| (admit.time, admit.digest));
            for admit in admits {
                let Admit { time, digest, member, role, term, invitation, reads_since } = admit;
                if let Some(key) = invitation {
                    let Some(invited) = found.invitations.get_mut(&key.0) else {
                        early.push(admit);
                        continue;
                    };
                    let fits = invited.role == role && time <= invited.until && term == 0;
                    if !fits || invited.first.is_some_and(|(_, first)| first != member) {
                        continue;
                    }
                    invited.first.get_or_insert(((level, time, digest), member));
                }
                found.holds.add(digest.0, level);
                let admission = Admission { level, member, role, term, digest, reads_since };
                admissions.push(admission);
                if role == Role::Admin {
                    making.push(admission);
                    found.admins.add(member.0, digest);
                }
            }
        }
        for admission in admissions.iter().filter(|admission| !undone(admission, &removals)) {
            let Admission { member, role, term, digest, reads_since, .. } = *admission;
            let new = Member { role, term, last_term: term, admitted: digest, reads_since };
            found.members.add(member.0, new);
            let Some(known) = found.members.get_mut(&member.0) else { continue };
            let last_term = known.last_term.max(term);
            let reads_since = known.reads_since.min(reads_since);
            if (role, term) > (known.role, known.term) {
                *known = new;
            }
            (known.last_term, known.reads_since) = (last_term, reads_since);
        }
        found
    }
}

/// A removal has ended what an admission began.
fn undone(admission: &Admission, removals: &[Removal<'_>]) -> bool {
    removals.iter().any(|removal| removal.undoes(admission))
}

impl Removal<'_> {
    fn undoes(&self, admission: &Admission) -> bool {
        self.member == admission.member
            && self.term >= admission.term
            && (admission.role != Role::Admin || self.level <= admission.level)
    }
}

/// Whether a statement of an admin in one of its terms holds at a level, given what was said at the levels above.
fn may_speak(
    by: IdentityId,
    acting: u32,
    digest: &Digest,
    level: usize,
    making: &[Admission],
    removals: &[Removal<'_>],
) -> bool {
    let made = |admission: &&Admission| {
        admission.level + 1 == level && admission.member == by && admission.term == acting
    };
    making.iter().filter(made).any(|admission| {
        removals
            .iter()
            .filter(|removal| removal.undoes(admission))
            .all(|removal| removal.keeps.contains(digest))
    })
}

impl Kept {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

trait Says {
    fn invites(&self, key: &InvitationKey) -> bool;
    fn makes_admin(&self, who: &IdentityId, in_term: u32) -> bool;
}

impl Says for Deed {
    fn invites(&self, key: &InvitationKey) -> bool {
        matches!(self, Self::Invite { key: invited, .. } if invited == key)
    }

    fn makes_admin(&self, who: &IdentityId, in_term: u32) -> bool {
        matches!(self, Self::Admit { member, role: Role::Admin, term, .. } if member == who && *term == in_term)
    }
}

/// What names a signed statement: BLAKE3 over all of it.
pub fn digest(bytes: &[u8]) -> Digest {
    crate::digest(bytes)
}

fn seal<S: minicbor::Encode<()>>(key: &SigningKey, domain: &str, said: &S) -> Vec<u8> {
    let body = encode(said);
    let signature = sign(key, domain, &[&body]);
    encode(&Signed { body: &body, signature })
}

fn check(signer: &[u8; 32], domain: &str, bytes: &[u8]) -> Result<(), MembershipError> {
    let signed: Signed<'_> = decode(bytes, limits::MEMBERSHIP)?;
    Ok(verify(signer, domain, &[signed.body], &signed.signature)?)
}
