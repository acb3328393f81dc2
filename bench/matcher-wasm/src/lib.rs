//! The index of standing queries as wasm: `cargo xtask bench match` compares it with the native one.
//!
//! Built as the package's wasm is (the profile `wasm`, the same flags and passes). What is measured stays inside: events
//! are parsed beforehand and hits are counted here, as the native contender does it.

use wasm_bindgen::prelude::wasm_bindgen;
use weft_query::{Document, Filter, Index, json};

/// Standing queries, and the events they are matched against.
#[wasm_bindgen]
pub struct Matcher {
    index: Index<u32>,
    events: Vec<Document>,
    hits: f64,
    sum: f64,
}

#[wasm_bindgen]
impl Matcher {
    /// Takes events as lines of JSON.
    #[wasm_bindgen(constructor)]
    pub fn new(events: &str) -> Result<Self, String> {
        let document = |text: &str| {
            let value = json::parse(text).map_err(|error| error.to_string())?;
            Document::from_value(&value).map_err(|error| error.to_string())
        };
        let events = events.lines().map(document).collect::<Result<_, _>>()?;
        Ok(Self { index: Index::new(0), events, hits: 0.0, sum: 0.0 })
    }

    /// Adds a query in JSON under its number.
    pub fn add(&mut self, number: u32, query: &str) -> Result<(), String> {
        let filter = Filter::parse_json(query).map_err(|error| error.to_string())?;
        if self.index.insert(number, &filter) { Ok(()) } else { Err(format!("query {number} was refused")) }
    }

    /// Matches events in turn, from one on, going on with the first after the last.
    pub fn run(&mut self, from: usize, events: usize) {
        let (mut hits, mut sum) = (0_u64, 0_u64);
        for event in self.events.iter().cycle().skip(from).take(events) {
            self.index.select(event, |number| {
                hits += 1;
                sum += u64::from(number);
            });
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53 in the seconds that a run takes")]
        {
            (self.hits, self.sum) = (hits as f64, sum as f64);
        }
    }

    /// Hits of the last run.
    #[wasm_bindgen(getter)]
    pub fn hits(&self) -> f64 {
        self.hits
    }

    /// The sum of the query numbers of the last run's hits.
    #[wasm_bindgen(getter)]
    pub fn sum(&self) -> f64 {
        self.sum
    }
}
