//! The typed scan of the hostile workload: conditions compiled to comparisons of a struct's fields.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::serve::Matcher;
use crate::workload::{Event, Workload};

/// An engine of regular expressions.
pub(crate) trait Engine: Sized {
    fn compile(source: &str) -> anyhow::Result<Self>;
    fn finds(&self, text: &str) -> bool;
}

impl Engine for regex::Regex {
    fn compile(source: &str) -> anyhow::Result<Self> {
        Ok(Self::new(source)?)
    }

    fn finds(&self, text: &str) -> bool {
        self.is_match(text)
    }
}

impl Engine for regex_lite::Regex {
    fn compile(source: &str) -> anyhow::Result<Self> {
        Ok(Self::new(source)?)
    }

    fn finds(&self, text: &str) -> bool {
        self.is_match(text)
    }
}

#[derive(Clone, Copy)]
enum TextField {
    Type,
    Room,
    User,
    Text,
}

impl TextField {
    fn parse(name: &str) -> anyhow::Result<Self> {
        Ok(match name {
            "type" => Self::Type,
            "room" => Self::Room,
            "user" => Self::User,
            "text" => Self::Text,
            _ => bail!("{name} is no text"),
        })
    }

    fn of(self, event: &Event) -> &str {
        match self {
            Self::Type => &event.kind,
            Self::Room => &event.room,
            Self::User => &event.user,
            Self::Text => &event.text,
        }
    }
}

#[derive(Clone, Copy)]
enum NumberField {
    Time,
    Price,
    Quantity,
    Latitude,
}

impl NumberField {
    fn parse(name: &str) -> anyhow::Result<Self> {
        Ok(match name {
            "ts" => Self::Time,
            "price" => Self::Price,
            "qty" => Self::Quantity,
            "geo.lat" => Self::Latitude,
            _ => bail!("{name} is no number"),
        })
    }

    fn of(self, event: &Event) -> f64 {
        match self {
            Self::Time => event.ts,
            Self::Price => event.price,
            Self::Quantity => event.qty,
            Self::Latitude => event.geo.lat,
        }
    }
}

enum Condition<E> {
    Differs(TextField, String),
    /// `$exists`: of a struct it is known beforehand.
    Always(bool),
    /// Equal expressions are compiled once.
    Finds(TextField, Arc<E>),
    Above(NumberField, f64),
    Below(NumberField, f64),
}

impl<E: Engine> Condition<E> {
    fn parse(field: &str, condition: &Value, engines: &mut HashMap<String, Arc<E>>) -> anyhow::Result<Self> {
        let [(operator, operand)] = condition.as_object().into_iter().flatten().collect::<Vec<_>>()[..]
        else {
            bail!("not one operator");
        };
        let text = || operand.as_str().context("the operand is no text");
        let number = || operand.as_f64().context("the operand is no number");
        Ok(match operator.as_str() {
            "$ne" => Self::Differs(TextField::parse(field)?, text()?.to_owned()),
            "$exists" => {
                let exists = ["price", "tags", "geo.country", "geo.lat"].contains(&field);
                Self::Always(operand.as_bool().context("the operand is not true or false")? == exists)
            }
            "$regex" => {
                let source = text()?;
                let engine = match engines.get(source) {
                    Some(engine) => Arc::clone(engine),
                    None => Arc::new(E::compile(source)?),
                };
                engines.insert(source.to_owned(), Arc::clone(&engine));
                Self::Finds(TextField::parse(field)?, engine)
            }
            "$gt" => Self::Above(NumberField::parse(field)?, number()?),
            "$lt" => Self::Below(NumberField::parse(field)?, number()?),
            other => bail!("unknown operator {other}"),
        })
    }

    #[inline]
    fn matches(&self, event: &Event) -> bool {
        match self {
            Self::Differs(field, value) => field.of(event) != value,
            Self::Always(holds) => *holds,
            Self::Finds(field, engine) => engine.finds(field.of(event)),
            Self::Above(field, bound) => field.of(event) > *bound,
            Self::Below(field, bound) => field.of(event) < *bound,
        }
    }
}

/// One query after the other.
pub(crate) struct Scan<E> {
    events: Vec<Event>,
    queries: Vec<Box<[Condition<E>]>>,
}

impl<E: Engine> Scan<E> {
    pub(crate) fn load(workload: &Workload) -> anyhow::Result<Self> {
        let events = workload.typed_events()?;
        let mut engines = HashMap::new();
        let mut queries = Vec::new();
        workload.queries(|_, text| {
            let query: serde_json::Map<String, Value> = serde_json::from_str(text)?;
            let conditions =
                query.iter().map(|(field, condition)| Condition::parse(field, condition, &mut engines));
            queries.push(conditions.collect::<anyhow::Result<_>>()?);
            Ok(())
        })?;
        Ok(Self { events, queries })
    }
}

impl<E: Engine> Matcher for Scan<E> {
    fn events(&self) -> usize {
        self.events.len()
    }

    fn select(&mut self, event: usize, mut hit: impl FnMut(u32)) {
        let event = &self.events[event];
        for (number, conditions) in (0..).zip(&self.queries) {
            if conditions.iter().all(|condition| condition.matches(event)) {
                hit(number);
            }
        }
    }
}
