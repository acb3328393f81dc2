//! The crate a-tree: its expressions have no nested fields and no `$in` on lists, so the former are attributes of their
//! own and the latter is "one of". Regular expressions it has none: it takes no part in the hostile workload.

use a_tree::{ATree, AttributeDefinition, Event as TreeEvent};
use anyhow::anyhow;

use crate::serve::Matcher;
use crate::typed::Query;
use crate::workload::{Event, Workload};

/// The tree, and the events with its numbers for their strings.
pub(crate) struct Tree {
    tree: ATree<u32>,
    events: Vec<TreeEvent>,
}

impl Tree {
    pub(crate) fn load(workload: &Workload) -> anyhow::Result<Self> {
        let events = workload.typed_events()?;
        let attributes = [
            AttributeDefinition::string("type"),
            AttributeDefinition::string("room"),
            AttributeDefinition::string("user"),
            AttributeDefinition::integer("ts"),
            AttributeDefinition::float("price"),
            AttributeDefinition::integer("qty"),
            AttributeDefinition::integer("level"),
            AttributeDefinition::string_list("tags"),
            AttributeDefinition::string("geo_country"),
            AttributeDefinition::integer("geo_lat"),
            AttributeDefinition::string("text"),
        ];
        let mut tree = ATree::new(&attributes).map_err(|error| anyhow!("{error}"))?;
        workload.queries(|number, text| {
            tree.insert(&number, &expression(&Query::parse(text)?)).map_err(|error| anyhow!("{error}"))
        })?;
        // After the queries: the tree has numbers only for the strings that occur in them.
        let events = events.iter().map(|event| tree_event(&tree, event)).collect::<anyhow::Result<_>>()?;
        Ok(Self { tree, events })
    }
}

impl Matcher for Tree {
    fn events(&self) -> usize {
        self.events.len()
    }

    /// A search that fails has no hits, which the comparison of the hits shows.
    fn select(&mut self, event: usize, mut hit: impl FnMut(u32)) {
        if let Ok(report) = self.tree.search(&self.events[event]) {
            report.matches().iter().for_each(|number| hit(**number));
        }
    }
}

/// In the language of a-tree. Numbers with a fraction, for `price`, need a point.
fn expression(query: &Query) -> String {
    match query {
        Query::TypeAndRoom { kind, room } => format!("type = '{kind}' and room = '{room}'"),
        Query::TypeAndPrice { kind, least, below } => {
            format!("type = '{kind}' and price >= {least:.1} and price < {below:.1}")
        }
        Query::UserAndLevel { user, least } => format!("user = '{user}' and level >= {least}"),
        Query::TagAndCountry { tags: [one, other], country } => {
            format!("tags one of ['{one}', '{other}'] and geo_country = '{country}'")
        }
        Query::RoomOrUserAndQuantity { room, user, above } => {
            format!("(room = '{room}' or user = '{user}') and qty > {above}")
        }
    }
}

fn tree_event(tree: &ATree<u32>, event: &Event) -> anyhow::Result<TreeEvent> {
    let tags: Vec<&str> = event.tags.iter().map(String::as_str).collect();
    let mut builder = tree.make_event();
    builder.with_string("type", &event.kind)?;
    builder.with_string("room", &event.room)?;
    builder.with_string("user", &event.user)?;
    builder.with_integer("ts", whole(event.ts))?;
    builder.with_float("price", whole(event.price * 100.0), 2)?;
    builder.with_integer("qty", whole(event.qty))?;
    builder.with_integer("level", whole(event.level))?;
    builder.with_string_list("tags", &tags)?;
    builder.with_string("geo_country", &event.geo.country)?;
    builder.with_integer("geo_lat", whole(event.geo.lat))?;
    builder.with_string("text", &event.text)?;
    Ok(builder.build()?)
}

#[expect(clippy::cast_possible_truncation, reason = "the workload's numbers are far within 53 bits")]
fn whole(number: f64) -> i64 {
    number.round() as i64
}
