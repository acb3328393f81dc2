//! The private parties of groups: joined, subscribed to whole, and left.
//!
//! One task for each hands on what comes out of its subscription, and waits where nobody takes it.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use weft_native_peer::keystore::{self, KeyStore};
use weft_native_peer::{
    Backlog, Delivery, DiscoveryKey, Document, Error, Filter, Grant, IdentityId, Invitation, MemberDeed,
    Party, Role, Subscription, Weft,
};
use weft_wire::PartyKey;

/// What was published and is not yet taken in.
const AHEAD: usize = 256;
/// How long an invitation is good for: as long as a message waits for whom it is for.
const INVITED: u64 = 7 * 24 * 3600 * 1000;
/// How long others may take to get the last words of who leaves.
const FAREWELL: Duration = Duration::from_secs(3);

/// How long who leaves answers for its last words: neighbours that lack their key ask for it after 20 ms and after 300 ms
/// (docs/spec/crypto.md, section 10), and nothing tells that nobody asks any more.
const LINGER: Duration = Duration::from_secs(1);

/// Something that was published in a group, or that something was missed.
pub(crate) type Heard = (PartyKey, Delivery);

/// The groups that are joined.
pub(crate) struct Groups {
    weft: Weft,
    store: KeyStore,
    joined: BTreeMap<DiscoveryKey, (PartyKey, AbortHandle)>,
    hearing: JoinSet<()>,
    into: mpsc::Sender<Heard>,
    heard: mpsc::Receiver<Heard>,
    publishing: JoinSet<(u64, Result<(), Error>)>,
    leaving: JoinSet<()>,
}

impl Groups {
    pub(crate) fn new(weft: &Weft, store: KeyStore) -> Self {
        let (into, heard) = mpsc::channel(AHEAD);
        Self {
            weft: weft.clone(),
            store,
            joined: BTreeMap::new(),
            hearing: JoinSet::new(),
            into,
            heard,
            publishing: JoinSet::new(),
            leaving: JoinSet::new(),
        }
    }

    /// The group of a party, if it is one.
    pub(crate) fn of(&self, discovery: &DiscoveryKey) -> Option<PartyKey> {
        self.joined.get(discovery).map(|(group, _)| *group)
    }

    /// Something was published, or what we published has its place. Cancel safe; without end if there is nothing.
    pub(crate) async fn next(&mut self) -> Next {
        tokio::select! {
            Some((group, delivery)) = self.heard.recv() => Next::Heard(group, delivery),
            Some(Ok((token, outcome))) = self.publishing.join_next() => Next::Published(token, outcome),
            else => std::future::pending().await,
        }
    }

    /// Makes a private party, and gives its key.
    ///
    /// # Errors
    /// If its key cannot be kept.
    pub(crate) fn found(&self) -> Result<PartyKey, String> {
        self.store.create_party().map(|secret| secret.key()).map_err(|error| error.to_string())
    }

    /// Joins a private party.
    ///
    /// # Errors
    /// Says why it cannot be.
    pub(crate) async fn join(&mut self, group: PartyKey, invitation: Option<&str>) -> Result<(), String> {
        let told = |error: &dyn std::fmt::Display| error.to_string();
        let invitation: Option<Invitation> =
            invitation.map(str::parse).transpose().map_err(|error| told(&error))?;
        if invitation.as_ref().is_some_and(|one| one.party() != group) {
            return Err("the invitation is one into another party".to_owned());
        }
        // It may be the group that was left just now.
        while self.leaving.join_next().await.is_some() {}
        let discovery = Party::new(group).discovery();
        if let Some((_, task)) = self.joined.remove(&discovery) {
            task.abort();
            self.weft.leave(discovery).await.map_err(|error| told(&error))?;
        }
        let members = self.store.members(group).map_err(|error| told(&error))?;
        let joined = self.weft.join_private(members, invitation).await;
        let discovery = joined.map_err(|error| told(&error))?;
        let everything = Filter::parse_json("{}").map_err(|error| told(&error))?;
        let subscribed = self.weft.subscribe(discovery, everything, Some(Backlog::default())).await;
        let subscription = subscribed.map_err(|error| told(&error))?;
        let task = self.hearing.spawn(hear(group, subscription, self.into.clone()));
        self.joined.insert(discovery, (group, task));
        while self.hearing.try_join_next().is_some() {}
        Ok(())
    }

    /// Who is a member, and keeps what is known of that beside the keys.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub(crate) async fn members(&self, group: PartyKey) -> Result<Vec<(IdentityId, Role)>, Error> {
        let discovery = Party::new(group).discovery();
        if !self.joined.contains_key(&discovery) {
            return Ok(Vec::new());
        }
        let members = self.weft.members(discovery).await?;
        if let Err(error) = self.store.remember_party(group, members.statements().map(|(_, bytes)| bytes)) {
            tracing::warn!(%error, "what is known of a party's members was not kept");
        }
        Ok(members.roles().collect())
    }

    /// Who is linked in a group.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub(crate) async fn present(&self, discovery: DiscoveryKey) -> Result<Vec<IdentityId>, Error> {
        let peers = self.weft.peers(discovery).await?;
        Ok(peers.iter().filter(|peer| peer.linked).filter_map(|peer| peer.identity).collect())
    }

    /// Says an invitation for somebody in the party.
    ///
    /// # Errors
    /// Says why it cannot be.
    pub(crate) async fn invite(
        &self,
        now: u64,
        group: PartyKey,
        who: IdentityId,
        grant: Grant,
    ) -> Result<String, String> {
        let told = |error: &dyn std::fmt::Display| error.to_string();
        let discovery = self.joined(group)?;
        let mut secret = [0; 16];
        let mut rng = keystore::rng().map_err(|error| told(&error))?;
        rand_core::Rng::fill_bytes(&mut rng, &mut secret);
        let invitation = Invitation::with_secret(group, secret);
        let members = self.weft.members(discovery).await.map_err(|error| told(&error))?;
        // No invitation lets in who was removed.
        if members.was_removed(&who) {
            let deed = MemberDeed::Admit { member: who, grant };
            self.weft.say(discovery, deed).await.map_err(|error| told(&error))?;
        }
        let until = now.saturating_add(INVITED);
        let deed = MemberDeed::Invite { invitation: invitation.clone(), grant, until };
        self.weft.say(discovery, deed).await.map_err(|error| told(&error))?;
        Ok(invitation.to_string())
    }

    /// The party of a group that is joined.
    fn joined(&self, group: PartyKey) -> Result<DiscoveryKey, String> {
        let discovery = Party::new(group).discovery();
        let joined = self.joined.contains_key(&discovery).then_some(discovery);
        joined.ok_or_else(|| "the group is not joined yet".to_owned())
    }

    /// Removes a member.
    ///
    /// # Errors
    /// Says why it cannot be.
    pub(crate) async fn remove(&self, group: PartyKey, member: IdentityId) -> Result<(), String> {
        let said = self.weft.say(self.joined(group)?, MemberDeed::Remove { member }).await;
        said.map_err(|error| error.to_string())
    }

    /// Publishes a document; [`Next::Published`] tells of it.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub(crate) async fn publish(
        &mut self,
        token: u64,
        group: PartyKey,
        document: Document,
    ) -> Result<bool, Error> {
        let discovery = Party::new(group).discovery();
        if !self.joined.contains_key(&discovery) {
            return Ok(false);
        }
        let publishing = self.weft.start_publish(discovery, document).await?;
        let weft = self.weft.clone();
        self.publishing.spawn(async move {
            let done = async {
                publishing.await?;
                // It is ours no more to keep once it is there after a restart.
                weft.stored().await
            };
            (token, done.await)
        });
        Ok(true)
    }

    /// Says the last words, leaves, and removes what is stored of it.
    pub(crate) fn leave(&mut self, group: PartyKey, document: Option<Document>) {
        let discovery = Party::new(group).discovery();
        let Some((_, task)) = self.joined.remove(&discovery) else { return };
        task.abort();
        let weft = self.weft.clone();
        self.leaving.spawn(async move {
            let said = async {
                if let Some(document) = document {
                    weft.publish(discovery, document).await?;
                    weft.flush().await?;
                }
                Ok::<_, Error>(())
            };
            // Where nobody is there, nobody hears it.
            // Where nobody is there, nobody hears it.
            if let Ok(Ok(())) = tokio::time::timeout(FAREWELL, said).await {
                tokio::time::sleep(LINGER).await;
            }
            let _ = weft.forget(discovery).await;
        });
    }

    /// Whoever is being left has heard it, or will not.
    pub(crate) async fn close(&mut self) {
        while self.leaving.join_next().await.is_some() {}
    }
}

/// What happened next in a group.
#[expect(clippy::large_enum_variant, reason = "nearly everything is a publication")]
pub(crate) enum Next {
    Heard(PartyKey, Delivery),
    Published(u64, Result<(), Error>),
}

async fn hear(group: PartyKey, mut subscription: Subscription, into: mpsc::Sender<Heard>) {
    while let Some(delivery) = subscription.next().await {
        if into.send((group, delivery)).await.is_err() {
            return;
        }
    }
}
