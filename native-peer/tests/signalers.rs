//! Native peers at real signalers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::time::Duration;

use weft_native_peer::{
    Backlog, Delivery, Document, Filter, KeySource, Network, Options, Party, Subscription, Weft,
};
use weft_peer_core::sorted::Set;
use weft_query::json;
use weft_signaler::{Server, Settings};

/// Ends a test that waits for what never comes.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("in time")
}

fn document(text: &str) -> Document {
    Document::from_value(&json::parse(text).unwrap()).unwrap()
}

async fn signaler(directory: &tempfile::TempDir, name: &str, siblings: &[String]) -> Server {
    let mut settings = Settings::ephemeral(directory.path().join(name));
    settings.core.open = true;
    for sibling in siblings {
        settings.add_sibling(sibling).unwrap();
    }
    Server::start(settings).await.unwrap()
}

async fn peer(urls: &[String]) -> Weft {
    let mut options = Options::new(urls.iter().map(String::as_str)).keys(KeySource::Ephemeral);
    // Who is at which signaler is what these tests are about.
    options.config.discover = false;
    options.network = Network { listen: vec!["127.0.0.1".parse().unwrap()], ..Network::default() };
    Weft::connect(options).await.unwrap()
}

async fn numbers(subscription: &mut Subscription, count: usize) -> Vec<String> {
    let mut got = Vec::new();
    soon(async {
        while got.len() < count {
            if let Delivery::Data { publication, .. } = subscription.next().await.expect("open") {
                got.push(json::to_string(&publication.document.to_value()));
            }
        }
    })
    .await;
    got
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d1_peers_at_two_signalers_meet_and_documents_cross() {
    let directory = tempfile::tempdir().unwrap();
    let first = signaler(&directory, "a.db", &[]).await;
    let second = signaler(&directory, "b.db", &[first.url("ws")]).await;
    let (a, b) = (peer(&[first.url("ws")]).await, peer(&[second.url("ws")]).await);
    let party = a.join(&Party::open("movies")).await.unwrap();
    b.join(&Party::open("movies")).await.unwrap();
    let filter = Filter::parse_json(r#"{"n":{"$gte":10}}"#).unwrap();
    let mut subscription = b.subscribe(party, filter, None).await.unwrap();
    for n in 0..20 {
        soon(a.publish(party, document(&format!("{{\"n\":{n}}}")))).await.unwrap();
    }
    let expected: Vec<_> = (10..20).map(|n| format!("{{\"n\":{n}}}")).collect();
    assert_eq!(numbers(&mut subscription, 10).await, expected);
    let homes = |id| Set::from_iter([id]);
    let seen = soon(async {
        let mut events = a.events();
        loop {
            let peers = a.peers(party).await.unwrap();
            if let [only] = &peers[..]
                && only.homes == homes(second.id())
            {
                return only.clone();
            }
            events.next().await.expect("open");
        }
    })
    .await;
    assert_eq!((seen.peer, seen.identity), (b.id(), Some(b.identity())));
    a.close().await;
    b.close().await;
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn q8_when_a_signaler_dies_links_go_on_and_newcomers_use_another() {
    let directory = tempfile::tempdir().unwrap();
    let first = signaler(&directory, "a.db", &[]).await;
    let second = signaler(&directory, "b.db", &[]).await;
    let urls = [first.url("ws"), second.url("ws")];
    let (a, b) = (peer(&urls).await, peer(&urls).await);
    let party = a.join(&Party::open("movies")).await.unwrap();
    b.join(&Party::open("movies")).await.unwrap();
    let everything = || Filter::parse_json("{}").unwrap();
    let mut at_b = b.subscribe(party, everything(), None).await.unwrap();
    soon(a.publish(party, document(r#"{"n":1}"#))).await.unwrap();
    assert_eq!(numbers(&mut at_b, 1).await, [r#"{"n":1}"#]);
    first.kill();
    soon(a.publish(party, document(r#"{"n":2}"#))).await.unwrap();
    assert_eq!(numbers(&mut at_b, 1).await, [r#"{"n":2}"#]);
    let c = peer(&urls).await;
    c.join(&Party::open("movies")).await.unwrap();
    let mut at_c = c.subscribe(party, everything(), Some(Backlog::default())).await.unwrap();
    assert_eq!(numbers(&mut at_c, 2).await, [r#"{"n":1}"#, r#"{"n":2}"#]);
}
