//! One connection to another peer: a str0m [`Rtc`], its sockets and its one data channel.
//!
//! Inputs: descriptions and candidates of the other side, messages to send, datagrams, time. Outputs: descriptions,
//! [`LinkEvent`]s, datagrams. One timer, [`Link::wake_at`].
//!
//! The rule of str0m's run loop: after *every* input, poll until it gives a time-out; feeding several datagrams in a row
//! overruns its DTLS queue and loses them. [`Link::pump`] is the only place that polls.
//!
//! Whatever the other side sends ends in an event or an error, never in a panic.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::channel::{ChannelConfig, ChannelId};
use str0m::crypto::CryptoProvider;
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc};
use weft_peer_core::IceState;

use crate::options::Network;
use crate::reflect::{Answer, Reflector};
use crate::socket::{Datagram, Sockets};

/// Label and number of the data channel, agreed on beforehand: Firefox does not complete an in-band opening by str0m.
const LABEL: &str = "weft";
const STREAM: u16 = 0;

/// Bytes that SCTP may hold, unacknowledged ones included: what the core allows a channel and one chunk, twice over.
const SCTP_BUFFER: usize = 512 * 1024;
/// Bytes of the largest message: chunks have 16 KiB, so this leaves room and bounds what a peer can make us hold.
const SCTP_MESSAGE: u32 = 64 * 1024;

/// STUN checks are at most this far apart, and so many go unanswered before a path counts as lost: together 7.5 s, where
/// str0m's own values give 21.5 s and browsers take about 6 s.
const STUN_APART: Duration = Duration::from_millis(1500);
const STUN_UNANSWERED: usize = 6;

/// How long a closed link may go on sending what was written before.
const FLUSH: Duration = Duration::from_secs(1);
/// How long it may take in all to say goodbye.
const FAREWELL: Duration = Duration::from_millis(1500);

/// Time-outs in a row at one instant before the rest of the program gets its turn.
const TIMEOUTS_AT_ONCE: usize = 8;
/// Errors in one turn before a connection is given up. A single one need not be the end of it.
const ERRORS_AT_ONCE: usize = 8;

/// What a link reports.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LinkEvent {
    /// One more local candidate, after the description.
    Candidate(String),
    /// ICE.
    Ice(IceState),
    /// The channel is open.
    Opened,
    /// A message; empty if it was text.
    Message(Vec<u8>),
    /// Little enough is buffered.
    Drained,
    /// The channel or the connection has closed. The last event.
    Closed,
}

/// Why a link cannot be made, or a description not be used. The link is of no use any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// No socket.
    #[error("no socket: {0}")]
    Socket(#[from] std::io::Error),
    /// A description that is not for a data channel and nothing else.
    #[error("not a description of a data channel: {0}")]
    NotData(&'static str),
    /// Anything that str0m refuses. Its errors may name addresses, so only their kind is told.
    #[error("the description was refused")]
    Refused,
    /// A description at the wrong time.
    #[error("{0}")]
    OutOfOrder(&'static str),
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Link {
    /// Several kilobytes, which would otherwise move with the link.
    rtc: Box<Rtc>,
    sockets: Sockets,
    reflector: Reflector,
    channel: Option<ChannelId>,
    pending: Option<SdpPendingOffer>,
    inbound: VecDeque<Datagram>,
    outbound: VecDeque<Vec<u8>>,
    outbound_bytes: usize,
    /// Bytes given to the channel since it was opened.
    given: u64,
    /// Report when at most this many bytes are buffered.
    low: usize,
    owes_drained: bool,
    open: bool,
    /// Nothing is heard of the other side.
    interrupted: bool,
    closed: bool,
    farewell: Option<Farewell>,
    wake_at: Instant,
}

#[derive(Debug)]
struct Farewell {
    since: Instant,
    said: bool,
}

impl Link {
    /// A connection that has its sockets and candidates, and no description yet.
    pub(crate) fn open(
        crypto: &Arc<CryptoProvider>,
        network: &Network,
        low: usize,
        now: Instant,
    ) -> Result<Self, LinkError> {
        let sockets = Sockets::bind(network)?;
        let mut config = Rtc::builder()
            .set_crypto_provider(Arc::clone(crypto))
            .clear_codecs()
            .set_sctp_max_buffered_amount(SCTP_BUFFER)
            .set_sctp_max_message_size(SCTP_MESSAGE);
        config.set_max_stun_rto(STUN_APART);
        config.set_max_stun_retransmits(STUN_UNANSWERED);
        let mut link = Self {
            rtc: Box::new(config.build(now)),
            channel: None,
            pending: None,
            inbound: VecDeque::new(),
            outbound: VecDeque::new(),
            outbound_bytes: 0,
            given: 0,
            low,
            owes_drained: false,
            open: false,
            interrupted: false,
            closed: false,
            farewell: None,
            wake_at: now,
            sockets,
            reflector: Reflector::default(),
        };
        let locals = link.sockets.locals();
        link.add_local(&locals);
        Ok(link)
    }

    /// Asks STUN servers at which addresses the outside sees the sockets.
    pub(crate) fn reflect(&mut self, now: Instant, servers: &[SocketAddr]) {
        self.reflector.ask(now, &self.sockets.locals(), servers);
        self.wake_at = self.wake_at.min(now);
    }

    /// An offer with all local candidates.
    pub(crate) fn offer(&mut self) -> Result<String, LinkError> {
        let mut api = self.rtc.sdp_api();
        if self.channel.is_none() {
            self.channel = Some(api.add_channel_with_config(channel_config()));
        }
        let (offer, pending) = api.apply().ok_or(LinkError::OutOfOrder("there is nothing to offer"))?;
        self.pending = Some(pending);
        Ok(offer.to_sdp_string())
    }

    /// An offer that restarts ICE, with addresses as they are now.
    pub(crate) fn restart(&mut self) -> Result<String, LinkError> {
        let new = self.sockets.refresh()?;
        self.add_local(&new);
        let mut api = self.rtc.sdp_api();
        api.ice_restart(true);
        let (offer, pending) = api.apply().ok_or(LinkError::OutOfOrder("there is nothing to restart"))?;
        self.pending = Some(pending);
        Ok(offer.to_sdp_string())
    }

    /// The answer to an offer, with all local candidates.
    pub(crate) fn accept_offer(&mut self, sdp: &str) -> Result<String, LinkError> {
        check_description(sdp)?;
        if self.channel.is_some() {
            let new = self.sockets.refresh()?;
            self.add_local(&new);
        }
        let offer = SdpOffer::from_sdp_string(sdp).map_err(|_| LinkError::Refused)?;
        self.pending = None;
        let answer = self.rtc.sdp_api().accept_offer(offer).map_err(|_| LinkError::Refused)?;
        if self.channel.is_none() {
            self.channel = Some(self.rtc.direct_api().create_data_channel(channel_config()));
        }
        Ok(answer.to_sdp_string())
    }

    /// Takes the answer to the last offer.
    pub(crate) fn accept_answer(&mut self, sdp: &str) -> Result<(), LinkError> {
        check_description(sdp)?;
        let answer = SdpAnswer::from_sdp_string(sdp).map_err(|_| LinkError::Refused)?;
        let pending = self.pending.take().ok_or(LinkError::OutOfOrder("an answer to no offer"))?;
        self.rtc.sdp_api().accept_answer(pending, answer).map_err(|_| LinkError::Refused)
    }

    /// Takes a candidate of the other side. Says whether it can be used: a name (`….local`, which browsers give in place
    /// of an address) cannot. Such a peer is still reached, as soon as its own checks arrive here.
    pub(crate) fn add_candidate(&mut self, line: &str) -> bool {
        if line.is_empty() {
            return true;
        }
        match Candidate::from_sdp_string(line) {
            // There is no TCP here, and a browser offers such candidates only beside better ones.
            Ok(candidate) if candidate.proto() != Protocol::Udp => true,
            Ok(candidate) => {
                self.rtc.add_remote_candidate(candidate);
                true
            }
            Err(_) => false,
        }
    }

    /// Queues a message. How many may be queued is the core's to say.
    pub(crate) fn write(&mut self, bytes: Vec<u8>) {
        self.outbound_bytes += bytes.len();
        self.given += bytes.len() as u64;
        self.outbound.push_back(bytes);
        self.owes_drained = true;
    }

    /// Sends what is queued, says goodbye and goes; no events from now on.
    pub(crate) fn close(&mut self, now: Instant) {
        if self.farewell.is_none() {
            self.farewell = Some(Farewell { since: now, said: false });
        }
    }

    /// Whether the channel is open.
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Bytes that the channel was given up to now.
    pub(crate) fn given(&self) -> u64 {
        self.given
    }

    /// Whether nothing is heard of the other side, which may have gone without a word.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted
    }

    /// Whether the other side has acknowledged the first so many bytes that the channel was given.
    pub(crate) fn has_acknowledged(&mut self, bytes: u64) -> bool {
        !self.open || self.given.saturating_sub(self.buffered() as u64) >= bytes
    }

    /// Whether a closed link has gone.
    pub(crate) fn is_gone(&self, now: Instant) -> bool {
        self.farewell.as_ref().is_some_and(|farewell| {
            !self.rtc.is_alive() || now.saturating_duration_since(farewell.since) >= FAREWELL
        })
    }

    /// When [`pump`](Self::pump) is due without any input.
    pub(crate) fn wake_at(&self) -> Instant {
        self.wake_at
    }

    /// Takes datagrams off the sockets; pending while there are none.
    pub(crate) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sockets.poll_receive(cx, &mut self.inbound)
    }

    /// Handles everything that has come and whose time has come, and reports it.
    pub(crate) fn pump(&mut self, now: Instant, events: &mut Vec<LinkEvent>) {
        let mut timeouts = 0;
        let mut errors = 0;
        loop {
            self.write_out(events);
            let due = self.poll_rtc(events, &mut errors);
            if errors >= ERRORS_AT_ONCE {
                self.rtc.disconnect();
                self.report_closed(events);
                break;
            }
            if let Some(datagram) = self.inbound.pop_front() {
                self.receive(now, &datagram, events);
            } else if self.say_goodbye(now) {
                // What it says is polled next.
            } else if due > now {
                self.wake_at = due;
                break;
            } else if timeouts < TIMEOUTS_AT_ONCE {
                timeouts += 1;
                errors += usize::from(self.rtc.handle_input(Input::Timeout(now)).is_err());
            } else {
                self.wake_at = now + Duration::from_millis(1);
                break;
            }
        }
        if self.owes_drained && self.open && self.buffered() <= self.low {
            self.owes_drained = false;
            self.report(LinkEvent::Drained, events);
        }
        let sockets = &mut self.sockets;
        self.reflector.due(now, |base, server, bytes| sockets.send_bytes(base, server, bytes));
        self.wake_at = self.reflector.due_at().map_or(self.wake_at, |due| self.wake_at.min(due));
        if let Some(farewell) = &self.farewell {
            let until = if farewell.said { FAREWELL } else { FLUSH };
            self.wake_at = self.wake_at.min(farewell.since + until);
        }
    }

    fn add_local(&mut self, locals: &[SocketAddr]) {
        for candidate in self.sockets.candidates(locals) {
            self.rtc.add_local_candidate(candidate);
        }
    }

    fn receive(&mut self, now: Instant, datagram: &Datagram, events: &mut Vec<LinkEvent>) {
        match self.reflector.answer(datagram.source, datagram.local, &datagram.bytes) {
            Answer::None => {}
            Answer::Nothing => return,
            Answer::New(new) => {
                let candidate = Candidate::server_reflexive(new.mapped, new.base, "udp").ok();
                let added = candidate.and_then(|candidate| self.rtc.add_local_candidate(candidate));
                if let Some(line) = added.map(Candidate::to_sdp_string) {
                    self.report(LinkEvent::Candidate(line), events);
                }
                return;
            }
        }
        let Ok(receive) = Receive::new(Protocol::Udp, datagram.source, datagram.local, &datagram.bytes)
        else {
            return;
        };
        let input = Input::Receive(now, receive);
        // Anybody can send here: what is neither from the other side nor a check with its password goes no further. What
        // does not decrypt is an error of that datagram alone: lost, as if it had never come.
        if self.rtc.accepts(&input)
            && let Err(error) = self.rtc.handle_input(input)
        {
            tracing::debug!(%error, "a datagram was refused");
        }
    }

    /// Gives the channel as much as it takes.
    fn write_out(&mut self, events: &mut Vec<LinkEvent>) {
        let Some(mut channel) = self.channel.and_then(|id| self.rtc.channel(id)) else { return };
        while let Some(bytes) = self.outbound.front() {
            match channel.write(true, bytes) {
                Ok(true) => {
                    self.outbound_bytes -= bytes.len();
                    self.outbound.pop_front();
                }
                Ok(false) => return,
                Err(_) => {
                    self.outbound.clear();
                    self.outbound_bytes = 0;
                    self.report_closed(events);
                    return;
                }
            }
        }
    }

    /// Polls until there is a time-out, and returns it.
    fn poll_rtc(&mut self, events: &mut Vec<LinkEvent>, errors: &mut usize) -> Instant {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    if !self.rtc.is_alive() {
                        self.report_closed(events);
                    }
                    return at;
                }
                Ok(Output::Transmit(transmit)) => self.sockets.send(&transmit),
                Ok(Output::Event(event)) => self.on_event(event, events),
                Err(error) => {
                    tracing::debug!(%error, "WebRTC error");
                    *errors += 1;
                    if *errors >= ERRORS_AT_ONCE {
                        return self.wake_at;
                    }
                }
            }
        }
    }

    fn on_event(&mut self, event: Event, events: &mut Vec<LinkEvent>) {
        match event {
            Event::IceConnectionStateChange(state) => {
                let state = match state {
                    IceConnectionState::Connected | IceConnectionState::Completed => IceState::Connected,
                    IceConnectionState::Disconnected => IceState::Disconnected,
                    IceConnectionState::New | IceConnectionState::Checking => return,
                };
                self.interrupted = state == IceState::Disconnected;
                self.report(LinkEvent::Ice(state), events);
            }
            Event::ChannelOpen(id, _) if Some(id) == self.channel => {
                self.open = true;
                self.report(LinkEvent::Opened, events);
            }
            Event::ChannelData(data) if Some(data.id) == self.channel => {
                let bytes = if data.binary { data.data } else { Vec::new() };
                self.report(LinkEvent::Message(bytes), events);
            }
            Event::ChannelClose(id) if Some(id) == self.channel => self.report_closed(events),
            Event::Closed => self.report_closed(events),
            // Other channels, which a stranger may open: nobody reads them. Statistics and media: there are none.
            _ => {}
        }
    }

    fn report(&self, event: LinkEvent, events: &mut Vec<LinkEvent>) {
        if self.farewell.is_none() && !self.closed {
            events.push(event);
        }
    }

    fn report_closed(&mut self, events: &mut Vec<LinkEvent>) {
        self.report(LinkEvent::Closed, events);
        self.closed = true;
        self.open = false;
    }

    fn buffered(&mut self) -> usize {
        let channel = self.channel.and_then(|id| self.rtc.channel(id));
        self.outbound_bytes + channel.map_or(0, |mut channel| channel.buffered_amount())
    }

    /// Closes the connection once everything is sent and acknowledged, or has taken too long. Says whether it did.
    fn say_goodbye(&mut self, now: Instant) -> bool {
        let flushed = !self.open || self.buffered() == 0;
        match &mut self.farewell {
            Some(farewell) if !farewell.said => {
                if !flushed && now.saturating_duration_since(farewell.since) < FLUSH {
                    return false;
                }
                farewell.said = true;
                if self.rtc.close().is_err() {
                    self.rtc.disconnect();
                }
                true
            }
            _ => false,
        }
    }
}

fn channel_config() -> ChannelConfig {
    ChannelConfig { label: LABEL.into(), negotiated: Some(STREAM), ..ChannelConfig::default() }
}

/// A description must have one media section, and that for data: str0m would also set up audio and video.
fn check_description(sdp: &str) -> Result<(), LinkError> {
    let mut sections = sdp.lines().filter(|line| line.starts_with("m="));
    match (sections.next(), sections.next()) {
        (Some(section), None) if section.starts_with("m=application ") => Ok(()),
        (Some(_), None) => Err(LinkError::NotData("its media section is not for data")),
        (Some(_), Some(_)) => Err(LinkError::NotData("it has several media sections")),
        (None, _) => Err(LinkError::NotData("it has no media section")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::future::poll_fn;
    use std::net::Ipv4Addr;

    fn network() -> Network {
        Network { listen: vec![Ipv4Addr::LOCALHOST.into()], ..Network::default() }
    }

    fn crypto() -> Arc<CryptoProvider> {
        Arc::new(str0m::crypto::from_feature_flags())
    }

    fn link() -> Link {
        Link::open(&crypto(), &network(), 64 * 1024, Instant::now()).unwrap()
    }

    /// Two links that talk over real sockets, and everything they have reported.
    struct Pair {
        links: [Link; 2],
        events: [Vec<LinkEvent>; 2],
    }

    impl Pair {
        fn negotiated() -> Self {
            let mut links = [link(), link()];
            let offer = links[0].offer().unwrap();
            let answer = links[1].accept_offer(&offer).unwrap();
            links[0].accept_answer(&answer).unwrap();
            Self { links, events: [Vec::new(), Vec::new()] }
        }

        /// Runs until the condition holds; the test's own time limit ends what never comes.
        async fn until(&mut self, condition: impl Fn(&Self) -> bool) {
            let limit = tokio::time::timeout(Duration::from_secs(20), async {
                loop {
                    for (link, events) in self.links.iter_mut().zip(&mut self.events) {
                        link.pump(Instant::now(), events);
                    }
                    if condition(self) {
                        return;
                    }
                    let wake = self.links.iter().map(Link::wake_at).min().unwrap();
                    let wake = wake.min(Instant::now() + Duration::from_secs(1));
                    tokio::select! {
                        () = tokio::time::sleep_until(wake.into()) => {}
                        () = poll_fn(|cx| {
                            let polls = self.links.each_mut().map(|link| link.poll_receive(cx));
                            if polls.contains(&Poll::Ready(())) { Poll::Ready(()) } else { Poll::Pending }
                        }) => {}
                    }
                }
            });
            limit.await.expect("in time");
        }

        async fn open(&mut self) {
            self.until(|pair| pair.events.iter().all(|events| events.contains(&LinkEvent::Opened))).await;
        }

        fn received(&self, by: usize) -> Vec<&[u8]> {
            let messages = self.events[by].iter().filter_map(|event| match event {
                LinkEvent::Message(bytes) => Some(bytes.as_slice()),
                _ => None,
            });
            messages.collect()
        }
    }

    #[tokio::test]
    async fn messages_cross_in_order_and_the_sender_hears_that_the_channel_drained() {
        let mut pair = Pair::negotiated();
        pair.open().await;
        let messages: Vec<Vec<u8>> = (0..40_u8).map(|at| vec![at; 16 * 1024]).collect();
        for message in &messages {
            pair.links[0].write(message.clone());
        }
        pair.until(|pair| pair.received(1).len() == 40 && pair.events[0].contains(&LinkEvent::Drained)).await;
        assert_eq!(pair.received(1), messages);
        assert_eq!(pair.events[0].iter().filter(|event| **event == LinkEvent::Drained).count(), 1);
    }

    #[tokio::test]
    async fn what_was_written_before_a_close_still_arrives_and_the_other_side_sees_the_close() {
        let mut pair = Pair::negotiated();
        pair.open().await;
        for at in 0..20_u8 {
            pair.links[0].write(vec![at; 16 * 1024]);
        }
        pair.links[0].close(Instant::now());
        pair.until(|pair| pair.events[1].contains(&LinkEvent::Closed)).await;
        assert_eq!(pair.received(1).len(), 20);
        pair.until(|pair| pair.links[0].is_gone(Instant::now())).await;
        assert!(
            !pair.events[0].contains(&LinkEvent::Closed),
            "a link that was closed here reports nothing more"
        );
    }

    #[tokio::test]
    async fn ice_restarts_from_either_side_without_losing_the_channel() {
        let mut pair = Pair::negotiated();
        pair.open().await;
        for (offering, answering) in [(0, 1), (1, 0)] {
            pair.events = [Vec::new(), Vec::new()];
            let offer = pair.links[offering].restart().unwrap();
            let answer = pair.links[answering].accept_offer(&offer).unwrap();
            pair.links[offering].accept_answer(&answer).unwrap();
            let connected = LinkEvent::Ice(IceState::Connected);
            pair.until(|pair| pair.events.iter().all(|events| events.contains(&connected))).await;
            pair.links[answering].write(vec![7]);
            pair.until(|pair| pair.received(offering) == [&[7][..]]).await;
        }
    }

    #[tokio::test]
    async fn a_link_that_never_connected_is_gone_soon_after_it_is_closed() {
        let mut link = link();
        link.offer().unwrap();
        let now = Instant::now();
        link.close(now);
        link.pump(now, &mut Vec::new());
        assert!(link.is_gone(now + FAREWELL));
    }

    #[tokio::test]
    async fn where_a_stun_server_sees_a_socket_becomes_one_more_candidate() {
        use stun_types::attribute::XorMappedAddress;
        use stun_types::message::{Message, MessageWrite as _, MessageWriteExt as _, MessageWriteVec};
        let server = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let Pair { links: [mut link, _peer], events: [mut events, _] } = Pair::negotiated();
        link.reflect(Instant::now(), &[server.local_addr().unwrap()]);
        link.pump(Instant::now(), &mut events);
        let mut question = [0; 1500];
        let (length, from) = server.recv_from(&mut question).await.unwrap();
        let question = Message::from_bytes(&question[..length]).unwrap();
        let mut answer = Message::builder_success(&question, MessageWriteVec::new());
        let mapped = "203.0.113.9:61000".parse().unwrap();
        answer.add_attribute(&XorMappedAddress::new(mapped, question.transaction_id())).unwrap();
        server.send_to(&answer.finish(), from).await.unwrap();
        poll_fn(|cx| link.poll_receive(cx)).await;
        link.pump(Instant::now(), &mut events);
        let [LinkEvent::Candidate(line)] = &events[..] else { panic!("{events:?}") };
        assert!(line.contains("203.0.113.9 61000 typ srflx"), "{line}");
        let again = link.restart().unwrap();
        assert!(again.contains("203.0.113.9 61000 typ srflx"), "{again}");
    }

    #[tokio::test]
    async fn descriptions_at_the_wrong_time_or_of_media_are_refused() {
        let (mut a, mut b) = (link(), link());
        let offer = a.offer().unwrap();
        assert!(matches!(b.accept_answer(&offer), Err(LinkError::OutOfOrder(_))));
        let video = offer.replace("m=application", "m=video");
        assert!(matches!(b.accept_offer(&video), Err(LinkError::NotData(_))));
        assert!(matches!(
            b.accept_offer(&format!("{offer}m=audio 9 RTP/AVP 0\r\n")),
            Err(LinkError::NotData(_))
        ));
        assert!(matches!(b.accept_offer(""), Err(LinkError::NotData(_))));
        assert!(b.accept_offer(&offer).is_ok());
    }

    #[tokio::test]
    async fn candidates_that_are_names_are_refused_and_tcp_is_passed_over() {
        let mut link = link();
        link.offer().unwrap();
        let udp = "candidate:1 1 udp 2113929471 203.0.113.100 10100 typ host";
        for (line, used) in [
            ("", true),
            (udp, true),
            ("candidate:1 1 tcp 1518280447 203.0.113.100 9 typ host tcptype active", true),
            ("candidate:1 1 udp 2113937151 1f7e2a2c-0e5b-4c1c-9f6e-0a6d6e8f8a10.local 50000 typ host", false),
            ("candidate:", false),
            ("nonsense", false),
        ] {
            assert_eq!(link.add_candidate(line), used, "{line}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_description_candidate_or_datagram_makes_it_panic(
            cut in 0_usize..1500, flip in any::<(usize, u8)>(), line in ".{0,80}",
            datagram in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (mut a, mut b, mut c) = (link(), link(), link());
                let mut sdp = a.offer().unwrap().into_bytes();
                let good = b.accept_offer(&String::from_utf8_lossy(&sdp)).unwrap();
                let at = flip.0 % sdp.len();
                sdp[at] ^= flip.1;
                sdp.truncate(sdp.len() - cut % sdp.len() / 8);
                let text = String::from_utf8_lossy(&sdp).into_owned();
                let _ = c.accept_offer(&text);
                let _ = c.accept_offer(&good);
                let _ = a.accept_answer(&text);
                a.add_candidate(&line);
                a.add_candidate(&format!("candidate:{line}"));
                let local = "127.0.0.1:9".parse().unwrap();
                for mut link in [a, b, c] {
                    for first in [0, 20, 22, 23, 128] {
                        let mut bytes = datagram.clone();
                        bytes.insert(0, first);
                        link.inbound.push_back(Datagram { source: local, local: link.sockets.locals()[0], bytes });
                    }
                    link.pump(Instant::now(), &mut Vec::new());
                }
            });
        }
    }
}
