//! The swarm as a graph: who is connected to whom, and what no protocol could do better.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use crate::engine::{NodeId, World};

/// Open links between peers that live. A link counts if either side has it open and the other side lives.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// The node of each vertex, ascending.
    pub nodes: Vec<NodeId>,
    /// Neighbours of each vertex, ascending.
    pub links: Vec<Vec<u32>>,
}

/// No distance: out of reach.
pub const UNREACHED: u32 = u32::MAX;

impl Graph {
    /// The graph as it is now, without peers for which `keep` is false.
    pub fn of(world: &World, keep: impl Fn(NodeId) -> bool) -> Self {
        let nodes: Vec<NodeId> = world.peers().map(|(id, _)| id).filter(|id| keep(*id)).collect();
        let mut vertices = vec![UNREACHED; world.nodes() as usize];
        for (vertex, node) in (0_u32..).zip(&nodes) {
            vertices[node.index()] = vertex;
        }
        let mut links = vec![Vec::new(); nodes.len()];
        for (vertex, node) in (0_u32..).zip(&nodes) {
            let Some(peer) = world.peer(*node) else { continue };
            for other in &peer.tally.neighbours {
                let other = vertices[other.index()];
                if other != UNREACHED {
                    links[vertex as usize].push(other);
                    links[other as usize].push(vertex);
                }
            }
        }
        for neighbours in &mut links {
            neighbours.sort_unstable();
            neighbours.dedup();
        }
        Self { nodes, links }
    }

    /// How many vertices there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The vertex of a node.
    pub fn vertex(&self, node: NodeId) -> Option<u32> {
        self.nodes.binary_search(&node).ok().and_then(|at| u32::try_from(at).ok())
    }

    /// Sizes of the connected components, largest first.
    pub fn components(&self) -> Vec<usize> {
        let mut seen = vec![false; self.len()];
        let mut sizes = Vec::new();
        for start in 0..self.len() {
            if seen[start] {
                continue;
            }
            let (mut size, mut todo) = (0, vec![start]);
            seen[start] = true;
            while let Some(at) = todo.pop() {
                size += 1;
                for &next in &self.links[at] {
                    if !std::mem::replace(&mut seen[next as usize], true) {
                        todo.push(next as usize);
                    }
                }
            }
            sizes.push(size);
        }
        sizes.sort_unstable_by_key(|size| Reverse(*size));
        sizes
    }

    /// Links from a vertex to each other one.
    pub fn hops(&self, from: u32) -> Vec<u32> {
        let mut hops = vec![UNREACHED; self.len()];
        hops[from as usize] = 0;
        let mut todo = VecDeque::from([from]);
        while let Some(at) = todo.pop_front() {
            for &next in &self.links[at as usize] {
                if hops[next as usize] == UNREACHED {
                    hops[next as usize] = hops[at as usize] + 1;
                    todo.push_back(next);
                }
            }
        }
        hops
    }

    /// Latency from a vertex to each other one by the quickest way, microseconds (Dijkstra).
    pub fn times(&self, from: u32, world: &World) -> Vec<u64> {
        let mut times = vec![u64::MAX; self.len()];
        let mut todo = BinaryHeap::from([Reverse((0_u64, from))]);
        times[from as usize] = 0;
        while let Some(Reverse((time, at))) = todo.pop() {
            if time > times[at as usize] {
                continue;
            }
            for &next in &self.links[at as usize] {
                let latency = world.network().latency(self.nodes[at as usize], self.nodes[next as usize]);
                let time = time + micros(latency);
                if time < times[next as usize] {
                    times[next as usize] = time;
                    todo.push(Reverse((time, next)));
                }
            }
        }
        times
    }

    /// A lower estimate of the diameter, exact on most such graphs: the longest of some double sweeps.
    pub fn diameter(&self) -> u32 {
        if self.is_empty() {
            return 0;
        }
        let mut start = 0;
        let mut longest = 0;
        for _ in 0..4 {
            let hops = self.hops(start);
            let reached = (0_u32..).zip(&hops).filter(|(_, hops)| **hops != UNREACHED);
            let Some((far, hops)) = reached.max_by_key(|(vertex, hops)| (**hops, Reverse(*vertex))) else {
                break;
            };
            if *hops <= longest && longest > 0 {
                break;
            }
            longest = longest.max(*hops);
            start = far;
        }
        longest
    }

    /// Edges of a tree that connects these vertices, by the heuristic of Takahashi and Matsuyama (1980): the nearest
    /// one left is connected by a shortest way, again and again. At most twice the optimum; in practice a few per cent
    /// above. None if they are not connected.
    pub fn steiner_edges(&self, from: u32, to: &[u32]) -> Option<usize> {
        let mut in_tree = vec![false; self.len()];
        in_tree[from as usize] = true;
        let mut wanted = vec![false; self.len()];
        for vertex in to {
            wanted[*vertex as usize] = *vertex != from;
        }
        let mut left = wanted.iter().filter(|wanted| **wanted).count();
        let mut edges = 0;
        // One search that goes on: what joins the tree becomes a source, and everything is looked at again from there.
        let mut hops = vec![UNREACHED; self.len()];
        let mut before = vec![UNREACHED; self.len()];
        let mut todo = BinaryHeap::from([Reverse((0, from))]);
        hops[from as usize] = 0;
        while left > 0 {
            let Reverse((distance, at)) = todo.pop()?;
            if distance > hops[at as usize] {
                continue;
            }
            if wanted[at as usize] {
                wanted[at as usize] = false;
                left -= 1;
                let mut step = at;
                while !in_tree[step as usize] {
                    in_tree[step as usize] = true;
                    edges += 1;
                    hops[step as usize] = 0;
                    todo.push(Reverse((0, step)));
                    step = before[step as usize];
                }
                continue;
            }
            for &next in &self.links[at as usize] {
                if distance + 1 < hops[next as usize] {
                    hops[next as usize] = distance + 1;
                    before[next as usize] = at;
                    todo.push(Reverse((distance + 1, next)));
                }
            }
        }
        Some(edges)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(vertices: u32, links: &[(u32, u32)]) -> Graph {
        let mut graph =
            Graph { nodes: (0..vertices).map(NodeId).collect(), links: vec![Vec::new(); vertices as usize] };
        for &(a, b) in links {
            graph.links[a as usize].push(b);
            graph.links[b as usize].push(a);
        }
        graph
    }

    #[test]
    fn components_and_distances() {
        let graph = graph(6, &[(0, 1), (1, 2), (2, 3), (4, 5)]);
        assert_eq!(graph.components(), [4, 2]);
        assert_eq!(graph.hops(0), [0, 1, 2, 3, UNREACHED, UNREACHED]);
        assert_eq!(graph.diameter(), 3);
    }

    #[test]
    fn a_steiner_tree_uses_what_it_has_already() {
        // A star with long arms: two ends of one arm need that arm only once.
        let graph = graph(7, &[(0, 1), (1, 2), (2, 3), (0, 4), (4, 5), (5, 6)]);
        assert_eq!(graph.steiner_edges(0, &[3]), Some(3));
        assert_eq!(graph.steiner_edges(0, &[3, 2]), Some(3));
        assert_eq!(graph.steiner_edges(0, &[3, 6]), Some(6));
        assert_eq!(graph.steiner_edges(3, &[3]), Some(0));
    }
}
