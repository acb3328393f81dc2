//! A report for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::report::{Cost, Federation, Messages, PhaseReport, Publications, Report, Round, figure};

/// The report as text of at most 110 columns.
pub fn text(report: &Report, about: &str, cost: &Cost) -> String {
    let mut out = String::new();
    let _ = write(&mut out, report, about, cost);
    out
}

fn write(out: &mut String, report: &Report, about: &str, cost: &Cost) -> std::fmt::Result {
    writeln!(out, "{}: {about}", report.scenario)?;
    writeln!(out, "seed {}, {} peers, {} signalers", report.seed, report.peers, report.signalers)?;
    if report.federation.is_none() {
        write_bootstrap(out, report)?;
    }
    for phase in &report.phases {
        write_phase(out, phase)?;
    }
    let totals = &report.totals;
    match &report.federation {
        Some(federation) => write_federation(out, federation, totals.simulated_s)?,
        None => write_end(out, report)?,
    }
    writeln!(
        out,
        "{:>11}{} events in {:.1} s ({:.0} a second); phases {:.1} s, {:.0} deliveries a second; {:.0} MiB at most; {} threads",
        "",
        totals.events,
        cost.wall_s,
        cost.events_per_s,
        cost.phases_s,
        cost.deliveries_per_s,
        cost.peak_mib,
        cost.threads
    )
}

fn write_bootstrap(out: &mut String, report: &Report) -> std::fmt::Result {
    let start = &report.bootstrap;
    let swarm = &start.swarm;
    let connected = match start.connected_s {
        Some(seconds) => format!("one swarm after {seconds} s"),
        None => format!("{} components at the end of the warm-up", swarm.components),
    };
    writeln!(
        out,
        "\n{:>7} s  bootstrap: {} of {} linked, {connected}, first link {:.0} ms p50, {:.0} ms max",
        0, start.ready, report.peers, start.first_link_ms.p50, start.first_link_ms.max
    )?;
    writeln!(
        out,
        "{:>11}degree {}..{} mean {:.2}, diameter {}",
        "", swarm.degree_min, swarm.degree_max, swarm.degree_mean, start.diameter
    )
}

fn write_end(out: &mut String, report: &Report) -> std::fmt::Result {
    let (end, totals) = (&report.end, &report.totals);
    writeln!(
        out,
        "\n{:>7} s  end: {} peers, {} components, largest {}, degree {}..{} mean {:.2}",
        end.at_s, end.peers, end.components, end.largest, end.degree_min, end.degree_max, end.degree_mean
    )?;
    writeln!(
        out,
        "{:>11}signalers: {} frames in, {} out, {:.1} MB out; forged {}, malformed {}{}",
        "",
        totals.signaler_frames_in,
        totals.signaler_frames_out,
        figure(totals.signaler_bytes_out) / 1e6,
        totals.forged,
        totals.malformed,
        totals.warnings.iter().fold(String::new(), |text, (code, times)| format!("{text}, {code} {times}"))
    )
}

fn write_federation(out: &mut String, end: &Federation, at_s: f64) -> std::fmt::Result {
    writeln!(
        out,
        "\n{at_s:>7} s  end: {} peers announced in {} swarms, {} watched",
        end.announced, end.swarms, end.watches
    )?;
    writeln!(
        out,
        "{:>11}peers known to a signaler: {:.0} mean, {:.0} max; {} found missing by comparing, {} handed over",
        "", end.known.mean, end.known.max, end.repaired, end.handed_over
    )?;
    writeln!(
        out,
        "{:>11}between signalers, in their present lives: {} frames, {:.1} MB",
        "",
        end.sibling_frames,
        figure(end.sibling_bytes) / 1e6
    )
}

fn write_phase(out: &mut String, phase: &PhaseReport) -> std::fmt::Result {
    writeln!(out, "\n{:>7} s  {}: {}", phase.at_s, phase.kind, phase.note)?;
    if !phase.rounds.is_empty() {
        write_rounds(out, &phase.rounds)?;
    }
    if let Some(publications) = &phase.publications {
        write_publications(out, publications)?;
    }
    if let Some(messages) = &phase.messages {
        write_messages(out, messages)?;
    }
    if let Some(lookups) = phase.lookups.as_ref().filter(|lookups| lookups.asked > 0) {
        writeln!(
            out,
            "{:>11}{} lookups found all {} peers that were due ({} were not): {:.0} ms p50, {:.0} p99, {:.0} max",
            "",
            lookups.asked,
            lookups.due,
            lookups.excused,
            lookups.found_ms.p50,
            lookups.found_ms.p99,
            lookups.found_ms.max
        )?;
    }
    Ok(())
}

fn write_rounds(out: &mut String, rounds: &[Round]) -> std::fmt::Result {
    writeln!(
        out,
        "{:>11}{:>8}{:>9}{:>9}{:>8}{:>9}{:>8}{:>9}{:>10}{:>9}{:>9}{:>9}",
        "",
        "sender",
        "reached",
        "missed",
        "RMR",
        "again",
        "hops",
        "floor",
        "last ms",
        "floor",
        "p50 ms",
        "tree"
    )?;
    for round in rounds {
        let hops = round.last_hop.map_or("-".into(), |hops| hops.to_string());
        let tree = round.steiner.map_or("-".into(), |edges| edges.to_string());
        writeln!(
            out,
            "{:>11}{:>8}{:>9}{:>9}{:>8.3}{:>9}{:>8}{:>9}{:>10.1}{:>9.1}{:>9.1}{:>9}",
            "",
            round.sender,
            round.reached,
            round.missed,
            round.rmr,
            round.duplicates,
            hops,
            round.floor_hop,
            round.delivery_ms.max,
            round.floor_ms,
            round.delivery_ms.p50,
            tree
        )?;
    }
    Ok(())
}

fn write_publications(out: &mut String, all: &Publications) -> std::fmt::Result {
    writeln!(
        out,
        "{:>11}{} published, {} of {} deliveries missed, RMR {:.3} (settled {:.3}), {} came again",
        "", all.published, all.missed, all.due, all.rmr, all.rmr_settled, all.duplicates
    )?;
    writeln!(
        out,
        "{:>11}delivery {:.0} ms p50, {:.0} p99, {:.0} max; last {:.0} mean (floor {:.0}); hops {:.1} mean of last (floor {:.1})",
        "",
        all.delivery_ms.p50,
        all.delivery_ms.p99,
        all.delivery_ms.max,
        all.last_ms.mean,
        all.floor_ms.mean,
        all.last_hop.mean,
        all.floor_hop.mean
    )?;
    let tree = if all.steiner_ratio > 0.0 {
        format!("; {:.2} transmissions for each edge of a tree", all.steiner_ratio)
    } else {
        String::new()
    };
    writeln!(
        out,
        "{:>11}{} transmissions; for each byte of payload {:.3} of control, {:.3} of that to spread it{tree}",
        "", all.frames, all.control_ratio, all.spreading_ratio
    )?;
    write_kinds(out, &all.kinds)
}

/// Bytes by what they are for, the largest first.
fn write_kinds(out: &mut String, kinds: &BTreeMap<&'static str, u64>) -> std::fmt::Result {
    let mut kinds: Vec<(&str, u64)> = kinds.iter().map(|(kind, bytes)| (*kind, *bytes)).collect();
    kinds.retain(|(_, bytes)| *bytes > 0);
    kinds.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let kinds: Vec<String> =
        kinds.iter().map(|(kind, bytes)| format!("{kind} {:.1}", figure(*bytes) / 1e3)).collect();
    writeln!(out, "{:>11}kB on links: {}", "", kinds.join(", "))
}

fn write_messages(out: &mut String, all: &Messages) -> std::fmt::Result {
    writeln!(
        out,
        "{:>11}{} of {} arrived, {} confirmed, {} given up; {:.0} ms p50, {:.0} p99, {:.0} max (direct {:.0} p50)",
        "",
        all.arrived,
        all.sent,
        all.confirmed,
        all.failed,
        all.delivery_ms.p50,
        all.delivery_ms.p99,
        all.delivery_ms.max,
        all.direct_ms.p50
    )?;
    writeln!(
        out,
        "{:>11}{} came over links ({:.2} mean, {:.0} at most, {:.2} times the shortest way); signalers sent {} frames",
        "", all.over_links, all.hops.mean, all.hops.max, all.stretch, all.signaler_frames
    )?;
    write_kinds(out, &all.kinds)
}
