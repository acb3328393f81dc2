//! Runs a scenario: the swarm comes about, then one phase after another.

use crate::cost::Stopwatch;
use crate::graph::Graph;
use crate::report::{Cost, Report, figure};
use crate::run::{Failure, Options, Run};
use crate::scenario::Scenario;
use crate::{federation, phases, svg};

/// What a run leaves behind.
#[derive(Clone, Debug)]
pub struct Results {
    /// What was found out.
    pub report: Report,
    /// What it cost.
    pub cost: Cost,
    /// Pictures: names, and SVG.
    pub pictures: Vec<(String, String)>,
}

/// Runs a scenario to its end.
///
/// # Errors
/// See [`Failure`].
pub fn run(
    scenario: &Scenario,
    options: Options,
    progress: &mut dyn FnMut(&str),
) -> Result<Results, Failure> {
    if let Some(announced) = &scenario.announced {
        return federation::run(scenario, announced, options, progress);
    }
    let mut watch = Stopwatch::start();
    let mut run = Run::new(scenario, options, progress)?;
    let bootstrap = run.bootstrap()?;
    watch.lap(run.deliveries());
    if options.draw {
        let picture = svg::swarm(&run.world);
        run.pictures.push(("swarm".into(), picture));
    }
    let mut reports = Vec::new();
    for phase in &scenario.phase {
        reports.push(phases::play(&mut run, phase)?);
    }
    let events = figure(run.world.events());
    let cost = watch.stop(run.deliveries(), events, run.world.threads());
    let report = Report {
        scenario: scenario.name.clone(),
        seed: options.seed,
        peers: scenario.peers,
        signalers: scenario.signalers,
        bootstrap,
        phases: reports,
        end: run.sample(&Graph::of(&run.world, |_| true)),
        totals: run.totals(),
        federation: None,
        timeline: run.timeline,
    };
    Ok(Results { report, cost, pictures: run.pictures })
}
