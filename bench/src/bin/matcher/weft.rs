//! Ours: the index, and the evaluator alone.

use weft_query::{Document, Filter, Index, json};

use crate::churn::{Churn, SEED};
use crate::serve::Matcher;
use crate::workload::Workload;

/// In which form an event is handed to the index; the two last ones are decoded each time.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    Parsed,
    Cbor,
    Json,
}

/// The events in their form.
enum Events {
    Parsed(Vec<Document>),
    Cbor(Vec<Vec<u8>>),
    Json(Vec<String>),
}

/// The index.
pub(crate) struct Weft<'a> {
    workload: &'a Workload,
    events: Events,
    index: Index<u32>,
}

impl<'a> Weft<'a> {
    pub(crate) fn load(workload: &'a Workload, form: Form) -> anyhow::Result<Self> {
        let events = match form {
            Form::Parsed => Events::Parsed(workload.events(document)?),
            Form::Cbor => Events::Cbor(workload.events(|text| Ok(document(text)?.encode()))?),
            Form::Json => Events::Json(workload.events(|text| Ok(text.to_owned()))?),
        };
        let mut index = Index::new(SEED);
        workload.queries(|number, text| {
            anyhow::ensure!(index.insert(number, &Filter::parse_json(text)?), "was refused");
            Ok(())
        })?;
        Ok(Self { workload, events, index })
    }
}

impl Matcher for Weft<'_> {
    fn events(&self) -> usize {
        match &self.events {
            Events::Parsed(events) => events.len(),
            Events::Cbor(events) => events.len(),
            Events::Json(events) => events.len(),
        }
    }

    /// An event that cannot be decoded has no hits, which the comparison of the hits shows.
    fn select(&mut self, event: usize, hit: impl FnMut(u32)) {
        match &self.events {
            Events::Parsed(events) => self.index.select(&events[event], hit),
            Events::Cbor(events) => {
                if let Ok(document) = Document::decode(&events[event]) {
                    self.index.select(&document, hit);
                }
            }
            Events::Json(events) => {
                if let Ok(document) = document(&events[event]) {
                    self.index.select(&document, hit);
                }
            }
        }
    }

    fn churn(&mut self) -> Option<anyhow::Result<Churn>> {
        Some(Churn::measure(&mut self.index, self.workload))
    }
}

/// One filter after the other.
pub(crate) struct Scan {
    events: Vec<Document>,
    filters: Vec<(u32, Filter)>,
}

impl Scan {
    pub(crate) fn load(workload: &Workload) -> anyhow::Result<Self> {
        let events = workload.events(document)?;
        let mut filters = Vec::new();
        workload.queries(|number, text| {
            filters.push((number, Filter::parse_json(text)?));
            Ok(())
        })?;
        Ok(Self { events, filters })
    }
}

impl Matcher for Scan {
    fn events(&self) -> usize {
        self.events.len()
    }

    fn select(&mut self, event: usize, mut hit: impl FnMut(u32)) {
        let event = &self.events[event];
        self.filters.iter().filter(|(_, filter)| filter.matches(event)).for_each(|(number, _)| hit(*number));
    }
}

fn document(text: &str) -> anyhow::Result<Document> {
    Ok(Document::from_value(&json::parse(text)?)?)
}
