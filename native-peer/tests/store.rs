//! What is kept over the end of a process, in SQLite.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use common::{Signaler, options};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use weft_native_peer::{
    Backlog, Delivery, DiscoveryKey, Document, Event, Filter, KeySource, Options, Party, Subscription, Weft,
};
use weft_query::{View, json};

/// Ends a test that waits for what never comes.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("in time")
}

fn number(n: i64) -> Document {
    Document::from_value(&json::parse(&format!("{{\"n\":{n}}}")).unwrap()).unwrap()
}

/// Options of a peer that stores in a directory, on loopback alone.
fn in_directory(urls: &[String], directory: &Path) -> Options {
    options(urls).keys(KeySource::Directory(directory.to_owned()))
}

async fn start(options: Options, party: &str) -> (Weft, DiscoveryKey) {
    let weft = Weft::connect(options).await.unwrap();
    let party = weft.join(&Party::open(party)).await.unwrap();
    (weft, party)
}

async fn everything(weft: &Weft, party: DiscoveryKey, backlog: Option<Backlog>) -> Subscription {
    weft.subscribe(party, Filter::parse_json("{}").unwrap(), backlog).await.unwrap()
}

/// What a subscription gets until it is live.
async fn backlog_of(subscription: &mut Subscription) -> Vec<(i64, u64)> {
    soon(async {
        let mut got = Vec::new();
        loop {
            match subscription.next().await.expect("open") {
                Delivery::Data { publication, .. } => match publication.document.get("n") {
                    Some(View::Int(n)) => got.push((n, publication.seq)),
                    other => panic!("{other:?}"),
                },
                Delivery::Live => return got,
                Delivery::Missed(count) => panic!("{count} missed"),
            }
        }
    })
    .await
}

fn numbers(got: &[(i64, u64)]) -> Vec<i64> {
    got.iter().map(|(n, _)| *n).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn q7_a_peer_that_is_started_again_gives_its_backlog_and_its_feed_goes_on() {
    let (signaler, directory) = (Signaler::start().await, tempfile::tempdir().unwrap());
    let urls = [signaler.url()];
    let (first, party) = start(in_directory(&urls, directory.path()), "p").await;
    for n in 0..500 {
        soon(first.publish(party, number(n))).await.unwrap();
    }
    let id = first.id();
    // What nobody has got yet would be new to the first who comes.
    let (reader, _) = start(options(&urls), "p").await;
    let mut read = everything(&reader, party, Some(Backlog::default())).await;
    assert_eq!(backlog_of(&mut read).await.len(), 500);
    soon(first.stored()).await.unwrap();
    soon(reader.close()).await;
    soon(first.close()).await;
    let (second, _) = start(in_directory(&urls, directory.path()), "p").await;
    assert_eq!(second.id(), id, "the slot is free again");
    soon(second.publish(party, number(500))).await.unwrap();
    let (late, _) = start(options(&urls), "p").await;
    let mut all = everything(&late, party, Some(Backlog::default())).await;
    let mut some = everything(&late, party, Some(Backlog { age: None, count: Some(7) })).await;
    let got = backlog_of(&mut all).await;
    assert_eq!(numbers(&got), (0..=500).collect::<Vec<_>>());
    assert!(got.is_sorted_by_key(|(_, seq)| *seq), "numbers grow over the restart");
    // The last one was published with nobody there, so it is new.
    assert_eq!(numbers(&backlog_of(&mut some).await), (493..=500).collect::<Vec<_>>());
    // Forgotten is forgotten.
    soon(second.forget(party)).await.unwrap();
    soon(second.close()).await;
    soon(late.close()).await;
    let (third, _) = start(in_directory(&urls, directory.path()), "p").await;
    let (later, _) = start(options(&urls), "p").await;
    let mut none = everything(&later, party, Some(Backlog::default())).await;
    assert_eq!(backlog_of(&mut none).await, []);
    soon(third.close()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_no_store_nothing_is_kept_and_two_processes_share_one_file() {
    let (signaler, directory) = (Signaler::start().await, tempfile::tempdir().unwrap());
    let urls = [signaler.url()];
    let mut keeps_nothing = in_directory(&urls, directory.path());
    keeps_nothing.store = false;
    let (weft, party) = start(keeps_nothing, "p").await;
    soon(weft.publish(party, number(1))).await.unwrap();
    soon(weft.stored()).await.unwrap();
    soon(weft.close()).await;
    assert!(!directory.path().join("feeds.db").exists());
    // Two slots of one identity.
    let (one, _) = start(in_directory(&urls, directory.path()), "q").await;
    let (two, party) = start(in_directory(&urls, directory.path()), "q").await;
    assert_ne!(one.id(), two.id());
    for n in 0..50 {
        soon(one.publish(party, number(n))).await.unwrap();
        soon(two.publish(party, number(n + 1000))).await.unwrap();
    }
    for weft in [&one, &two] {
        soon(weft.stored()).await.unwrap();
        soon(weft.close()).await;
    }
    let (again, _) = start(in_directory(&urls, directory.path()), "q").await;
    let (late, _) = start(options(&urls), "q").await;
    let mut all = everything(&late, party, Some(Backlog::default())).await;
    let (low, high): (Vec<i64>, Vec<i64>) =
        numbers(&backlog_of(&mut all).await).into_iter().partition(|n| *n < 1000);
    assert_eq!((low, high), ((0..50).collect(), (1000..1050).collect()));
    drop(again);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_no_database_is_a_warning_and_left_as_it_is() {
    let (signaler, directory) = (Signaler::start().await, tempfile::tempdir().unwrap());
    let urls = [signaler.url()];
    let path = directory.path().join("feeds.db");
    std::fs::write(
        &path,
        "my notes, which are rather long and certainly no database, however one looks at it",
    )
    .unwrap();
    let before = std::fs::read(&path).unwrap();
    let (weft, mut events) = Weft::connect_with_events(in_directory(&urls, directory.path())).await.unwrap();
    let party = weft.join(&Party::open("p")).await.unwrap();
    let (reader, _) = start(options(&urls), "p").await;
    let mut got = everything(&reader, party, Some(Backlog::default())).await;
    soon(weft.publish(party, number(1))).await.unwrap();
    assert_eq!(numbers(&backlog_of(&mut got).await), [1]);
    let mut codes = BTreeSet::new();
    soon(async {
        while codes.len() < 3 {
            if let Some(Event::Warning { code, text }) = events.next().await {
                assert!(text.contains("feeds.db"), "{text}");
                codes.insert(code);
            }
        }
    })
    .await;
    assert_eq!(codes, BTreeSet::from(["sessions-not-stored", "store-damaged", "store-failed"]));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

/// The other half of the test below, in a process of its own: publishes without end, and prints the last number that is
/// stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a process that another test starts and kills"]
async fn child_that_publishes_until_it_is_killed() {
    let Ok(directory) = std::env::var("WEFT_TEST_DIRECTORY") else { return };
    let (weft, party) = start(in_directory(&["ws://127.0.0.1:9".to_owned()], directory.as_ref()), "p").await;
    let begin: i64 = std::env::var("WEFT_TEST_BEGIN").unwrap().parse().unwrap();
    for n in begin.. {
        weft.publish(party, number(n)).await.unwrap();
        if n % 20 == 19 {
            weft.stored().await.unwrap();
            println!("stored {n}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn q7_nothing_that_was_reported_as_stored_is_lost_when_the_process_is_killed() {
    let (signaler, directory) = (Signaler::start().await, tempfile::tempdir().unwrap());
    let mut begin = 0;
    let mut reported: Vec<(i64, i64)> = Vec::new();
    for round in 0..4 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_publishes_until_it_is_killed", "--ignored", "--nocapture"])
            .env("WEFT_TEST_DIRECTORY", directory.path())
            .env("WEFT_TEST_BEGIN", begin.to_string())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut last = None;
        // Killed in the middle of whatever it does then.
        let enough = 5 + round * 3;
        let mut told = 0;
        while told < enough {
            let line = soon(lines.next_line()).await.unwrap().expect("it goes on");
            if let Some(n) = line.strip_prefix("stored ") {
                last = Some(n.parse::<i64>().unwrap());
                told += 1;
            }
        }
        // SIGKILL.
        child.kill().await.unwrap();
        reported.push((begin, last.unwrap()));
        begin += 100_000;
    }
    let (weft, party) = start(in_directory(&[signaler.url()], directory.path()), "p").await;
    let (late, _) = start(options(&[signaler.url()]), "p").await;
    let mut all = everything(&late, party, Some(Backlog::default())).await;
    let got = backlog_of(&mut all).await;
    for (first, last) in reported {
        let of_run: Vec<i64> =
            numbers(&got).into_iter().filter(|n| (first..first + 100_000).contains(n)).collect();
        let expected: Vec<i64> = (first..first + i64::try_from(of_run.len()).unwrap()).collect();
        assert_eq!(of_run, expected, "a run has no holes");
        assert!(of_run.last() >= Some(&last), "{last} was reported, {:?} is there", of_run.last());
    }
    let mut seqs: Vec<u64> = got.iter().map(|(_, seq)| *seq).collect();
    seqs.dedup();
    assert_eq!(seqs.len(), got.len(), "no number twice");
    soon(weft.close()).await;
}
