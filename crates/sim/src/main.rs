//! The simulator's command line.

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let mut scenario = weft_sim::Scenario::read(std::path::Path::new(&arguments[1])).unwrap();
    if let Some(peers) = arguments.get(2) {
        scenario.peers = peers.parse().unwrap();
    }
    let threads = arguments.get(3).map_or(0, |text| text.parse().unwrap());
    let started = std::time::Instant::now();
    let report = weft_sim::run(
        &scenario,
        weft_sim::Options { seed: 1, threads },
        &mut |line| eprintln!("{line}"),
    );
    eprintln!("{:?}", started.elapsed());
    match report {
        Ok(mut report) => {
            report.timeline.clear();
            println!("{}", serde_json::to_string_pretty(&report).unwrap());
        }
        Err(failure) => println!("{failure}"),
    }
}
