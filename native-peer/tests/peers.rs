//! Native peers in one process, over real UDP on loopback.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod common;

use std::time::Duration;

use common::{Signaler, options};
use weft_native_peer::{
    Backlog, Delivery, DiscoveryKey, Document, Error, Event, Filter, Party, Publication, SendError, Until,
    Weft,
};
use weft_query::json;

/// Ends a test that waits for what never comes.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("in time")
}

fn document(text: &str) -> Document {
    Document::from_value(&json::parse(text).unwrap()).unwrap()
}

async fn joined(signaler: &Signaler, name: &str) -> (Weft, DiscoveryKey) {
    let weft = Weft::connect(options(&[signaler.url()])).await.unwrap();
    let party = weft.join(&Party::open(name)).await.unwrap();
    (weft, party)
}

async fn next_data(subscription: &mut weft_native_peer::Subscription) -> (Publication, bool) {
    soon(async {
        loop {
            match subscription.next().await.expect("open") {
                Delivery::Data { publication, backlog } => return (publication, backlog),
                Delivery::Live => {}
                Delivery::Missed(count) => panic!("{count} missed"),
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_gets_what_matches_in_order_over_a_real_link() {
    let signaler = Signaler::start().await;
    let (a, party) = joined(&signaler, "movies").await;
    let (b, _) = joined(&signaler, "movies").await;
    let filter = Filter::parse_json(r#"{"n":{"$mod":[2,0]}}"#).unwrap();
    let mut subscription = b.subscribe(party, filter, None).await.unwrap();
    let mut places = Vec::new();
    for n in 0..200 {
        places.push(soon(a.publish(party, document(&format!("{{\"n\":{n}}}")))).await.unwrap());
    }
    for n in (0..200).step_by(2) {
        let (publication, _) = next_data(&mut subscription).await;
        assert_eq!(publication.document, document(&format!("{{\"n\":{n}}}")));
        assert_eq!((publication.id, publication.seq), (places[n].id, places[n].seq));
        assert_eq!((publication.author, publication.feed), (a.identity(), a.id()));
    }
    let peers = a.peers(party).await.unwrap();
    assert_eq!(peers.len(), 1);
    assert_eq!((peers[0].peer, peers[0].identity, peers[0].linked), (b.id(), Some(b.identity()), true));
    soon(a.close()).await;
    soon(b.close()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn q7_a_late_joiner_gets_the_backlog_if_it_asks_and_otherwise_does_not() {
    let signaler = Signaler::start().await;
    let (a, party) = joined(&signaler, "late").await;
    let (b, _) = joined(&signaler, "late").await;
    let everything = || Filter::parse_json("{}").unwrap();
    let mut early = b.subscribe(party, everything(), None).await.unwrap();
    for n in 0..100 {
        soon(a.publish(party, document(&format!("{{\"n\":{n}}}")))).await.unwrap();
    }
    for _ in 0..100 {
        next_data(&mut early).await;
    }
    let (c, _) = joined(&signaler, "late").await;
    let mut with = c.subscribe(party, everything(), Some(Backlog::default())).await.unwrap();
    let mut without = c.subscribe(party, everything(), None).await.unwrap();
    for n in 0..100 {
        let (publication, backlog) = next_data(&mut with).await;
        assert_eq!(publication.document, document(&format!("{{\"n\":{n}}}")));
        assert!(backlog);
    }
    soon(a.publish(party, document(r#"{"n":"live"}"#))).await.unwrap();
    for subscription in [&mut with, &mut without] {
        let (publication, backlog) = next_data(subscription).await;
        assert_eq!(publication.document, document(r#"{"n":"live"}"#));
        assert!(!backlog);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_flushed_before_a_close_reaches_the_other_side() {
    let signaler = Signaler::start().await;
    let (a, party) = joined(&signaler, "flush").await;
    let (b, _) = joined(&signaler, "flush").await;
    let mut subscription = b.subscribe(party, Filter::parse_json("{}").unwrap(), None).await.unwrap();
    // More than any channel may hold.
    let filler = "x".repeat(100_000);
    for n in 0..20 {
        soon(a.publish(party, document(&format!("{{\"n\":{n},\"filler\":\"{filler}\"}}")))).await.unwrap();
    }
    soon(a.flush()).await.unwrap();
    soon(a.close()).await;
    for n in 0..20_i64 {
        let (publication, _) = next_data(&mut subscription).await;
        assert_eq!(publication.document.get("n"), Some(weft_query::View::Int(n)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_flushed_reaches_a_peer_that_stalls_for_longer_than_a_close_may_take() {
    let signaler = Signaler::start().await;
    let (a, party) = joined(&signaler, "stall").await;
    let url = signaler.url();
    let (stalls, mut stalled) = tokio::sync::mpsc::channel(1);
    let reader = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let b = Weft::connect(options(&[url])).await.unwrap();
            let party = b.join(&Party::open("stall")).await.unwrap();
            let mut subscription = b.subscribe(party, Filter::parse_json("{}").unwrap(), None).await.unwrap();
            next_data(&mut subscription).await;
            stalls.send(()).await.unwrap();
            // Nothing of this peer runs meanwhile, as in a page whose machine is busy.
            std::thread::sleep(Duration::from_secs(3));
            for n in 1..4_i64 {
                let (publication, _) = next_data(&mut subscription).await;
                assert_eq!(publication.document.get("n"), Some(weft_query::View::Int(n)));
            }
            // Without it, what came last might never be acknowledged.
            b.close().await;
        });
    });
    soon(a.publish(party, document(r#"{"n":0}"#))).await.unwrap();
    soon(stalled.recv()).await.unwrap();
    let filler = "x".repeat(10_000);
    for n in 1..4 {
        soon(a.publish(party, document(&format!("{{\"n\":{n},\"filler\":\"{filler}\"}}")))).await.unwrap();
    }
    soon(a.flush()).await.unwrap();
    soon(a.close()).await;
    soon(tokio::task::spawn_blocking(|| reader.join())).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_reaches_an_identity_and_its_sender_is_told_while_nobody_is_an_error() {
    let signaler = Signaler::start().await;
    let (a, _) = joined(&signaler, "mail").await;
    let (b, _) = joined(&signaler, "mail").await;
    let mut messages = b.messages().await.unwrap();
    let sent = soon(a.send(b.identity(), document(r#"{"text":"hi"}"#))).await.unwrap();
    let message = soon(messages.next()).await.unwrap().unwrap();
    assert_eq!((message.from, message.peer, message.id), (a.identity(), a.id(), sent.id));
    assert_eq!(sent.state, Until::Delivered);
    assert_eq!(message.document, document(r#"{"text":"hi"}"#));

    let mut hasty = options(&[signaler.url()]);
    hasty.config.message_give_up = Duration::from_millis(500);
    let hasty = Weft::connect(hasty).await.unwrap();
    hasty.join(&Party::open("mail")).await.unwrap();
    let nobody = weft_wire::IdentityId([1; 32]);
    let sent = soon(hasty.send(nobody, document("{}"))).await;
    assert!(matches!(sent, Err(Error::Send(SendError::Unreachable(_)))), "{sent:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_message_tells_how_far_it_is_and_stops_when_it_is_dropped() {
    let signaler = Signaler::start().await;
    let (a, _) = joined(&signaler, "large").await;
    let (b, _) = joined(&signaler, "large").await;
    let mut messages = b.messages().await.unwrap();
    let large = |letter: &str| document(&format!("{{\"text\":\"{}\"}}", letter.repeat(12_000_000)));

    let sending = a.start_send(b.identity(), large("x")).await.unwrap();
    let mut progress = sending.progress();
    soon(progress.wait_for(|progress| progress.sent > 1_000_000)).await.unwrap();
    assert!(b.stats().await.unwrap().assembling > 0);
    drop(sending);
    // The next one comes whole, and what there was of the first one is forgotten.
    let sending = a.start_send(b.identity(), large("y")).await.unwrap();
    let progress = sending.progress();
    soon(sending).await.unwrap();
    let told = *progress.borrow();
    assert!(told.sent == told.total && told.total > 12_000_000, "{told:?}");
    let message = soon(messages.next()).await.unwrap().unwrap();
    assert!(message.document == large("y"));
    assert_eq!(b.stats().await.unwrap().assembling, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_outlives_its_signaler_and_a_signaler_that_comes_back_is_found() {
    let signaler = Signaler::start().await;
    let (a, party) = joined(&signaler, "alone").await;
    let (b, mut events) = Weft::connect_with_events(options(&[signaler.url()])).await.unwrap();
    b.join(&Party::open("alone")).await.unwrap();
    let mut subscription = b.subscribe(party, Filter::parse_json("{}").unwrap(), None).await.unwrap();
    soon(a.publish(party, document(r#"{"n":1}"#))).await.unwrap();
    next_data(&mut subscription).await;
    let address = signaler.address;
    drop(signaler);
    let state = |wanted: fn(&weft_native_peer::SignalerState) -> bool| move |event: &Event| matches!(event, Event::Signaler { state, .. } if wanted(state));
    until(&mut events, state(|state| matches!(state, weft_native_peer::SignalerState::Lost { .. }))).await;
    soon(a.publish(party, document(r#"{"n":2}"#))).await.unwrap();
    assert_eq!(next_data(&mut subscription).await.0.document, document(r#"{"n":2}"#));
    let _back = Signaler::start_at(address).await;
    until(&mut events, state(|state| matches!(state, weft_native_peer::SignalerState::Connected { .. })))
        .await;
}

async fn until(events: &mut weft_native_peer::Events, wanted: impl Fn(&Event) -> bool) {
    soon(async { while !wanted(&events.next().await.expect("open")) {} }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_peer_ends_its_subscriptions_and_refuses_everything() {
    let signaler = Signaler::start().await;
    let (a, party) = joined(&signaler, "closed").await;
    let mut subscription = a.subscribe(party, Filter::parse_json("{}").unwrap(), None).await.unwrap();
    let other = a.clone();
    soon(a.close()).await;
    assert_eq!(soon(subscription.next()).await, None);
    assert!(matches!(other.publish(party, document("{}")).await, Err(Error::Closed)));
    assert!(matches!(other.peers(party).await, Err(Error::Closed)));
    assert!(soon(other.events().next()).await.is_none());
}

#[tokio::test]
async fn a_bad_url_or_an_unknown_party_is_an_error_at_once() {
    let error = Weft::connect(options(&["http://localhost".into()])).await.unwrap_err();
    assert_eq!(error.code(), "bad-option");
    let weft = Weft::connect(options(&["ws://127.0.0.1:1".into()])).await.unwrap();
    let error = weft.publish(Party::open("p").discovery(), document("{}")).await.unwrap_err();
    assert_eq!(error.code(), "not-in-party");
}
