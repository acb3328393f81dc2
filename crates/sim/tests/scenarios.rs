//! Every scenario with few peers, and the same run with one thread and with two.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use weft_sim::{Options, Report, Scenario, scenarios};

/// Enough for a graph with a shape.
const PEERS: u32 = 60;
/// For what takes long: real signatures are most of it.
const FEW: u32 = 35;
/// More than a swarm in which everything goes to everybody may have (64), also when a third of them has crashed.
const MANY: u32 = 110;

/// A scenario with few peers and few rounds.
fn scaled(name: &str, peers: u32) -> Scenario {
    let mut scenario = scenarios::find(name).unwrap();
    scenario.peers = peers;
    scenario.signalers = scenario.signalers.min(2);
    scenario.join_s = 4.0;
    scenario.warm_up_s = 8.0;
    scenario.scale(match name {
        // What one hostile peer in forty does takes some rounds to be seen.
        "hostile" => 1.0,
        // Of half an hour.
        "churn" => 0.03,
        _ => 0.1,
    });
    scenario
}

fn run(scenario: &Scenario, threads: usize) -> Report {
    let options = Options { seed: 1, threads, draw: false };
    match weft_sim::run(scenario, options, &mut |_| {}) {
        Ok(results) => results.report,
        Err(failure) => panic!("{}: {failure}", scenario.name),
    }
}

#[test]
fn the_report_does_not_depend_on_the_number_of_threads() {
    let scenario = scaled("crash30", FEW);
    let text = |threads| serde_json::to_string_pretty(&run(&scenario, threads)).unwrap();
    assert_eq!(text(1), text(2));
}

#[test]
fn another_seed_is_another_run() {
    let scenario = scaled("small", 12);
    let of = |seed| {
        let options = Options { seed, threads: 1, draw: false };
        let report = weft_sim::run(&scenario, options, &mut |_| {}).unwrap().report;
        report.bootstrap.first_link_ms.mean.to_bits()
    };
    assert_ne!(of(1), of(2));
}

/// What every publication reaches when nobody is hostile, cut off or away.
fn assert_complete(report: &Report) {
    for phase in &report.phases {
        let publications = phase.publications.iter();
        let missed: u64 = publications.map(|publications| publications.missed).sum();
        assert_eq!(missed, 0, "{} {:?}", report.scenario, phase.rounds);
    }
    assert_eq!(report.end.components, 1, "{}", report.scenario);
}

/// Once a swarm has healed, everything reaches everybody again.
fn assert_healed(report: &Report) {
    let last = report.phases.last().and_then(|phase| phase.publications.as_ref()).unwrap();
    assert!(last.published > 0 && last.due > 0);
    assert_eq!(last.missed, 0, "{}", report.scenario);
    assert_eq!(report.end.components, 1, "{}", report.scenario);
}

/// As complete, and in the end publications did not go to everybody.
fn assert_selective(report: &Report) {
    assert_complete(report);
    let last = report.phases.last().and_then(|phase| phase.publications.as_ref()).unwrap();
    let everybody = u64::from(last.published) * u64::from(report.end.peers - 1);
    assert!(last.published > 0 && last.frames * 10 < everybody * 7, "{} of {everybody}", last.frames);
}

#[test]
fn c2_d5_eight_signalers_part_restart_and_find_every_announced_peer() {
    let mut scenario = scenarios::find("federation").unwrap();
    (scenario.peers, scenario.signalers, scenario.join_s) = (1_000, 8, 10.0);
    // Each signaler restarts once.
    scenario.scale(0.125);
    let report = run(&scenario, 1);
    let federation = report.federation.as_ref().unwrap();
    assert_eq!(federation.announced, 1_000);
    // Nobody keeps everything, and everything is kept.
    assert!(federation.known.mean < 900.0 && federation.known.mean > 3.0 * 1_000.0 / 8.0, "{federation:?}");
    for phase in &report.phases {
        let lookups = phase.lookups.as_ref().unwrap();
        // One that misses somebody who is due ends the run.
        assert!(
            phase.kind == "heal" || (lookups.asked > 50 && lookups.due > 100),
            "{} {lookups:?}",
            phase.kind
        );
    }
    let healed: Vec<u64> = report.phases.iter().filter_map(|phase| phase.healed_s).collect();
    assert_eq!(healed.len(), 4, "{healed:?}");
}

#[test]
fn what_happens_to_a_federation_does_not_depend_on_the_number_of_threads() {
    let mut scenario = scenarios::find("federation").unwrap();
    (scenario.peers, scenario.signalers, scenario.join_s) = (60, 5, 5.0);
    scenario.phase.truncate(3);
    let text = |threads| serde_json::to_string_pretty(&run(&scenario, threads)).unwrap();
    assert_eq!(text(1), text(2));
}

macro_rules! scaled_down {
    ($($test:ident: $name:literal $peers:ident $check:expr;)*) => {$(
        #[test]
        fn $test() {
            let report = run(&scaled($name, $peers), 1);
            assert!(report.bootstrap.ready > 0, "nobody has a link");
            let check: fn(&Report) = $check;
            check(&report);
        }
    )*};
}

scaled_down! {
    one_sender_reaches_everybody: "single" PEERS assert_complete;
    senders_take_turns: "rotating" PEERS assert_complete;
    a_third_crashes: "crash30" PEERS assert_complete;
    half_of_all_crash: "crash50" FEW assert_healed;
    four_of_five_crash: "crash80" FEW assert_healed;
    peers_come_and_go: "churn" FEW |report| {
        assert_complete(report);
        let messages = report.phases[0].messages.as_ref().unwrap();
        assert!(messages.sent > 20);
        assert_eq!(messages.arrived, messages.sent);
    };
    few_are_interested: "interest" MANY assert_selective;
    few_are_interested_and_a_third_crashes: "interest-crash" MANY assert_selective;
    a_steady_stream: "control" FEW assert_complete;
    messages_arrive: "unicast" FEW |report| {
        let messages = report.phases[0].messages.as_ref().unwrap();
        assert_eq!((messages.arrived, messages.failed), (messages.sent, 0));
    };
    hostile_peers_forge_nothing_and_keep_nothing_from_others: "hostile" FEW |report| {
        assert!(report.totals.forged > 0 && report.totals.malformed > 0);
        assert_complete(report);
    };
    two_halves_become_one: "partition" FEW assert_complete;
    tabs_sleep_and_wake: "tabs" FEW assert_healed;
    killed_peers_are_replaced: "small" PEERS assert_complete;
}
