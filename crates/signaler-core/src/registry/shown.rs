//! What anybody may know of registrants: no signatures but the registration's own, no nonces, no heartbeats.

use core::fmt;

use weft_wire::registry::{Address, Host, RegistrantId, Sealed, Service};
use weft_wire::{Digest, RegistryKey, Time};

use super::{Registrant, Registry};

/// How a registrant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Nobody has decided.
    Pending,
    /// Taken in, and alive.
    Active,
    /// Taken in, and silent.
    Offline,
    /// Refused, or too long silent.
    Denied,
    /// Thrown out.
    Revoked,
}

impl Status {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Active, Self::Offline, Self::Denied, Self::Revoked];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Offline => "offline",
            Self::Denied => "denied",
            Self::Revoked => "revoked",
        }
    }

    /// The one of a name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a service was found when it was looked at last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// It took a connection.
    pub healthy: bool,
    /// When, milliseconds since the Unix epoch.
    pub checked_at: u64,
}

/// An address, and since when a registrant says that it is its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownAddress {
    /// The address.
    pub address: Address,
    /// Milliseconds since the Unix epoch.
    pub since: u64,
}

/// A registrant, as anybody may see it. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its name.
    pub id: RegistrantId,
    /// Its key.
    pub key: RegistryKey,
    /// Where it can be reached.
    pub host: Host,
    /// Where it was, the newest last.
    pub addresses: Vec<ShownAddress>,
    /// How it stands.
    pub status: Status,
    /// It stands so because it was silent for too long, not because a sovereign said so.
    pub lapsed: bool,
    /// What it offers, and how that was found.
    pub services: Vec<(Service, Option<Health>)>,
    /// When it registered.
    pub registered_at: u64,
    /// When a sovereign decided last, and which.
    pub decided: Option<(u64, RegistryKey)>,
    /// Its last heartbeat.
    pub heartbeat_at: Option<u64>,
    /// The statement that a decision has to name.
    pub head: Digest,
    /// Its registration as it was signed, so that a sovereign sees for itself.
    pub registration: Sealed,
}

/// How many registrants stand how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    counts: [usize; Status::ALL.len()],
}

impl Totals {
    /// How many stand so.
    pub fn of(&self, status: Status) -> usize {
        Status::ALL
            .into_iter()
            .zip(self.counts)
            .find_map(|(one, count)| (one == status).then_some(count))
            .unwrap_or(0)
    }

    /// Each, in order.
    pub fn all(&self) -> impl Iterator<Item = (Status, usize)> {
        Status::ALL.into_iter().zip(self.counts)
    }
}

impl Registry {
    /// One registrant.
    pub fn show(&self, now: Time, id: &RegistrantId) -> Option<Shown> {
        self.shown(now, id, self.registrants.get(id)?)
    }

    /// Registrants in the order of their ids, from the one behind `after` on, at most `most`; and whether there are more.
    pub fn page(
        &self,
        now: Time,
        status: Option<Status>,
        after: Option<&RegistrantId>,
        most: usize,
    ) -> (Vec<Shown>, bool) {
        let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let wanted = |one: &Registrant| {
            let is = one.status(now, &self.config);
            is.is_some() && (status.is_none() || is == status)
        };
        let mut found = self
            .registrants
            .range::<RegistrantId, _>((from, std::ops::Bound::Unbounded))
            .filter(|(_, one)| wanted(one))
            .filter_map(|(id, one)| self.shown(now, id, one));
        let page = found.by_ref().take(most).collect();
        (page, found.next().is_some())
    }

    /// How many stand how.
    pub fn totals(&self, now: Time) -> Totals {
        let mut totals = Totals::default();
        for status in self.registrants.values().filter_map(|one| one.status(now, &self.config)) {
            if let Some(count) = totals.counts.get_mut(status as usize) {
                *count += 1;
            }
        }
        totals
    }

    fn shown(&self, now: Time, id: &RegistrantId, registrant: &Registrant) -> Option<Shown> {
        let state = registrant.state?;
        let (body, sealed) = registrant.history.registration(&state.registration)?;
        let health =
            |service: &Service| registrant.health.get(&(service.kind.clone(), service.port)).copied();
        Some(Shown {
            id: id.clone(),
            key: body.key,
            host: body.host.clone(),
            addresses: registrant.whereabouts(&state),
            status: registrant.status(now, &self.config)?,
            lapsed: registrant.is_lapsed(),
            services: body.services.iter().map(|service| (service.clone(), health(service))).collect(),
            registered_at: body.time,
            decided: state.decided,
            heartbeat_at: registrant
                .beat
                .as_ref()
                .filter(|(beat, _)| beat.key == body.key)
                .map(|(beat, _)| beat.time),
            head: state.head,
            registration: sealed.clone(),
        })
    }
}
