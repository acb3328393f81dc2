//! Pictures: the swarm, and how a publication spread. Readable at the width of a page, on light and on dark ground.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use weft_wire::Time;

use crate::engine::{NodeId, Trace, World};
use crate::graph::{Graph, UNREACHED};

/// Half of the side of a picture.
const HALF: f64 = 440.0;
/// The outermost ring.
const RADIUS: f64 = 395.0;
/// Grey that can be seen on white and on black.
const GREY: &str = "#8a8f98";

/// The swarm: rings of equal distance from the first peer, nodes coloured by ring, every link.
pub(crate) fn swarm(world: &World) -> String {
    let graph = Graph::of(world, |_| true);
    if graph.is_empty() {
        return page("an empty swarm", "");
    }
    let hops = graph.hops(0);
    let mut parents = vec![UNREACHED; graph.len()];
    for (vertex, links) in graph.links.iter().enumerate() {
        let nearer = |other: &&u32| hops[**other as usize] < hops[vertex];
        parents[vertex] = links.iter().find(nearer).copied().unwrap_or(UNREACHED);
    }
    let angles = angles(0, &parents);
    let deepest = f64::from(hops.iter().copied().filter(|hops| *hops != UNREACHED).max().unwrap_or(1).max(1));
    let depth =
        |vertex: usize| if hops[vertex] == UNREACHED { 1.05 } else { f64::from(hops[vertex]) / deepest };
    let at = |vertex: usize| position(angles[vertex], depth(vertex));
    let mut body = String::new();
    for ring in 1..=hops.iter().copied().filter(|hops| *hops != UNREACHED).max().unwrap_or(1) {
        rings(&mut body, f64::from(ring) / deepest, &format!("{ring}"));
    }
    let _ = writeln!(
        body,
        "<g stroke=\"{GREY}\" stroke-opacity=\"0.35\" stroke-width=\"{:.2}\">",
        width(graph.len())
    );
    for (vertex, links) in graph.links.iter().enumerate() {
        for other in links.iter().map(|other| *other as usize).filter(|other| *other > vertex) {
            line(&mut body, at(vertex), at(other), "");
        }
    }
    body.push_str("</g>\n");
    for vertex in 0..graph.len() {
        dot(&mut body, at(vertex), size(graph.len()), depth(vertex));
    }
    let links: usize = graph.links.iter().map(Vec::len).sum::<usize>() / 2;
    page(&format!("{} peers, {links} links; rings: links from the peer in the middle", graph.len()), &body)
}

/// How the publication that began at a time spread: solid lines brought it first, dashed ones again.
pub(crate) fn broadcast(world: &mut World, sender: NodeId, began: Time) -> String {
    let mut firsts: BTreeMap<NodeId, Trace> = BTreeMap::new();
    let mut again: Vec<(NodeId, NodeId)> = Vec::new();
    let Some(feed) = world.peer(sender).map(|peer| peer.peer.id()) else { return String::new() };
    for id in (0..world.nodes()).map(NodeId) {
        let Some(peer) = world.peer_mut(id) else { continue };
        for trace in std::mem::take(&mut peer.tally.traces) {
            if trace.feed != feed || trace.at < began {
                continue;
            }
            match firsts.get(&id) {
                Some(_) => again.push((trace.from, id)),
                None => drop(firsts.insert(id, trace)),
            }
        }
    }
    // Vertices: the sender, then the others by their nodes.
    let nodes: Vec<NodeId> =
        std::iter::once(sender).chain(firsts.keys().copied().filter(|node| *node != sender)).collect();
    let vertices: BTreeMap<NodeId, u32> = nodes.iter().copied().zip(0..).collect();
    let mut parents = vec![UNREACHED; nodes.len()];
    let mut delays = vec![0.0; nodes.len()];
    for (node, trace) in firsts.iter().filter(|(node, _)| **node != sender) {
        let vertex = vertices[node] as usize;
        parents[vertex] = vertices.get(&trace.from).copied().unwrap_or(UNREACHED);
        delays[vertex] = trace.at.since(began).as_secs_f64() * 1_000.0;
    }
    let angles = angles(0, &parents);
    let longest = delays.iter().copied().fold(1.0, f64::max);
    let at = |vertex: usize| position(angles[vertex], delays[vertex] / longest);
    let mut body = String::new();
    let step = [10.0, 25.0, 50.0, 100.0, 200.0, 500.0, 1_000.0]
        .into_iter()
        .find(|step| longest / step <= 6.0)
        .unwrap_or(5_000.0);
    let mut ring = step;
    while ring <= longest {
        rings(&mut body, ring / longest, &format!("{ring:.0} ms"));
        ring += step;
    }
    let _ = writeln!(
        body,
        "<g stroke=\"{GREY}\" stroke-opacity=\"0.45\" stroke-width=\"{:.2}\" stroke-dasharray=\"3 4\">",
        width(nodes.len())
    );
    for (from, to) in &again {
        if let (Some(from), Some(to)) = (vertices.get(from), vertices.get(to)) {
            line(&mut body, at(*from as usize), at(*to as usize), "");
        }
    }
    let _ = writeln!(body, "</g>\n<g stroke-width=\"{:.2}\">", width(nodes.len()) * 1.8);
    for (vertex, parent) in parents.iter().enumerate().filter(|(_, parent)| **parent != UNREACHED) {
        let colour = colour(delays[vertex] / longest);
        line(&mut body, at(*parent as usize), at(vertex), &format!(" stroke=\"{colour}\""));
    }
    body.push_str("</g>\n");
    for (vertex, delay) in delays.iter().enumerate() {
        dot(&mut body, at(vertex), size(nodes.len()), delay / longest);
    }
    let title = format!(
        "one publication, {} peers: the last after {longest:.0} ms, {} came again (dashed)",
        nodes.len(),
        again.len()
    );
    page(&title, &body)
}

/// The angle of each vertex of a tree, so that every branch gets room for its leaves.
fn angles(root: u32, parents: &[u32]) -> Vec<f64> {
    let mut children = vec![Vec::new(); parents.len()];
    for (vertex, parent) in (0_u32..).zip(parents) {
        if *parent != UNREACHED && vertex != root {
            children[*parent as usize].push(vertex);
        }
    }
    // Leaves below each vertex, from the last one visited to the first.
    let mut order = vec![root];
    let mut next = 0;
    while let Some(vertex) = order.get(next).copied() {
        order.extend(&children[vertex as usize]);
        next += 1;
    }
    let mut leaves = vec![1_u32; parents.len()];
    for vertex in order.iter().rev() {
        let below: u32 = children[*vertex as usize].iter().map(|child| leaves[*child as usize]).sum();
        leaves[*vertex as usize] = below.max(1);
    }
    let mut begins = vec![0.0; parents.len()];
    let mut spans = vec![0.0; parents.len()];
    spans[root as usize] = std::f64::consts::TAU;
    for vertex in order {
        let (mut begin, span) = (begins[vertex as usize], spans[vertex as usize]);
        for child in &children[vertex as usize] {
            let share = f64::from(leaves[*child as usize]) / f64::from(leaves[vertex as usize]);
            begins[*child as usize] = begin;
            spans[*child as usize] = span * share;
            begin += span * share;
        }
    }
    begins.iter().zip(&spans).map(|(begin, span)| begin + span / 2.0).collect()
}

fn position(angle: f64, depth: f64) -> (f64, f64) {
    (HALF + RADIUS * depth * angle.cos(), HALF + RADIUS * depth * angle.sin())
}

/// From green by blue to violet.
fn colour(share: f64) -> String {
    format!("hsl({:.0},62%,52%)", 150.0 + 150.0 * share.clamp(0.0, 1.0))
}

fn width(nodes: usize) -> f64 {
    if nodes > 2_000 {
        0.3
    } else if nodes > 300 {
        0.6
    } else {
        1.0
    }
}

fn size(nodes: usize) -> f64 {
    if nodes > 2_000 {
        1.2
    } else if nodes > 300 {
        2.2
    } else {
        4.0
    }
}

fn line(out: &mut String, from: (f64, f64), to: (f64, f64), style: &str) {
    let _ = writeln!(
        out,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"{style}/>",
        from.0, from.1, to.0, to.1
    );
}

fn dot(out: &mut String, at: (f64, f64), radius: f64, share: f64) {
    let _ = writeln!(
        out,
        "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius}\" fill=\"{}\"/>",
        at.0,
        at.1,
        colour(share)
    );
}

fn rings(out: &mut String, depth: f64, label: &str) {
    let radius = RADIUS * depth;
    let _ = writeln!(
        out,
        "<circle cx=\"{HALF}\" cy=\"{HALF}\" r=\"{radius:.1}\" fill=\"none\" stroke=\"{GREY}\" stroke-opacity=\"0.25\"/>\
         <text x=\"{HALF}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"{GREY}\">{label}</text>",
        HALF - radius - 3.0
    );
}

fn page(title: &str, body: &str) -> String {
    let side = HALF * 2.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {}\" role=\"img\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\">\n<title>{title}</title>\n{body}\
         <text x=\"{HALF}\" y=\"{}\" text-anchor=\"middle\" fill=\"{GREY}\" font-size=\"15\">{title}</text>\n</svg>\n",
        side + 30.0,
        side + 18.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_branch_has_its_own_room() {
        // 0 - (1 - (3, 4), 2)
        let angles = angles(0, &[UNREACHED, 0, 0, 1, 1]);
        assert!(angles[3] < angles[1] && angles[1] < angles[4] && angles[4] < angles[2], "{angles:?}");
    }
}
