//! A typed scan: what one would write by hand for just these queries. No index, and nothing to interpret.

use anyhow::Context as _;
use serde_json::Value;

use crate::serve::Matcher;
use crate::workload::{Event, Workload};

/// One of the workload's five shapes (bench/match-workload.mjs).
pub(crate) enum Query {
    TypeAndRoom { kind: String, room: String },
    TypeAndPrice { kind: String, least: f64, below: f64 },
    UserAndLevel { user: String, least: f64 },
    TagAndCountry { tags: [String; 2], country: String },
    RoomOrUserAndQuantity { room: String, user: String, above: f64 },
}

impl Query {
    /// Recognises a query by its fields.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let query: Value = serde_json::from_str(text)?;
        let string = |at: &str| {
            query.pointer(at).and_then(Value::as_str).map(str::to_owned).with_context(|| format!("no {at}"))
        };
        let number = |at: &str| query.pointer(at).and_then(Value::as_f64).with_context(|| format!("no {at}"));
        Ok(if query.get("$or").is_some() {
            Self::RoomOrUserAndQuantity {
                room: string("/$or/0/room")?,
                user: string("/$or/1/user")?,
                above: number("/qty/$gt")?,
            }
        } else if query.get("tags").is_some() {
            let tags = [string("/tags/$in/0")?, string("/tags/$in/1")?];
            Self::TagAndCountry { tags, country: string("/geo.country")? }
        } else if query.get("user").is_some() {
            Self::UserAndLevel { user: string("/user")?, least: number("/level/$gte")? }
        } else if query.get("room").is_some() {
            Self::TypeAndRoom { kind: string("/type")?, room: string("/room")? }
        } else {
            Self::TypeAndPrice {
                kind: string("/type")?,
                least: number("/price/$gte")?,
                below: number("/price/$lt")?,
            }
        })
    }

    #[inline]
    fn matches(&self, event: &Event) -> bool {
        match self {
            Self::TypeAndRoom { kind, room } => event.kind == *kind && event.room == *room,
            Self::TypeAndPrice { kind, least, below } => {
                event.kind == *kind && event.price >= *least && event.price < *below
            }
            Self::UserAndLevel { user, least } => event.user == *user && event.level >= *least,
            Self::TagAndCountry { tags, country } => {
                event.geo.country == *country && event.tags.iter().any(|tag| tags.contains(tag))
            }
            Self::RoomOrUserAndQuantity { room, user, above } => {
                event.qty > *above && (event.room == *room || event.user == *user)
            }
        }
    }
}

/// One query after the other.
pub(crate) struct Scan {
    events: Vec<Event>,
    queries: Vec<Query>,
}

impl Scan {
    pub(crate) fn load(workload: &Workload) -> anyhow::Result<Self> {
        let events = workload.typed_events()?;
        let mut queries = Vec::new();
        workload.queries(|_, text| {
            queries.push(Query::parse(text)?);
            Ok(())
        })?;
        Ok(Self { events, queries })
    }
}

impl Matcher for Scan {
    fn events(&self) -> usize {
        self.events.len()
    }

    fn select(&mut self, event: usize, mut hit: impl FnMut(u32)) {
        let event = &self.events[event];
        for (number, query) in (0..).zip(&self.queries) {
            if query.matches(event) {
                hit(number);
            }
        }
    }
}
