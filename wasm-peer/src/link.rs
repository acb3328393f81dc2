//! One connection to another peer: an RTCPeerConnection and its data channel.
//!
//! Inputs: what the driver was told to do, and the browser's events. Outputs: the inputs of the core about links.
//! Invariants: handlers run only while the link is held, so nothing is reported about a link that was closed; a
//! description or candidate that the browser refuses costs this link or that candidate, never the page; descriptions
//! and candidates are handed to the browser in the order in which the core gave them (the browser keeps them in a
//! queue of its own: WebRTC 1.0, section 4.4.1.2, "operations chain").

use std::cell::Cell;
use std::rc::Rc;

use js_sys::{Function, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    MessageEvent, RtcConfiguration, RtcDataChannel, RtcDataChannelInit, RtcDataChannelState,
    RtcDataChannelType, RtcIceCandidateInit, RtcIceConnectionState, RtcOfferOptions, RtcPeerConnection,
    RtcPeerConnectionIceEvent, RtcPeerConnectionState, RtcSdpType, RtcSessionDescriptionInit,
};
use weft_peer_core::{IceState, Input, LinkId};
use weft_wire::Text;
use weft_wire::sealed::Candidate;

use crate::driver::Report;
use crate::socket::{function, message_bytes};

/// A connection with its handlers.
pub(crate) struct Link {
    wire: Rc<Wire>,
    /// Owned here because the browser only borrows them.
    _handlers: Handlers,
}

/// What the link shares with its negotiations, which may outlive it by the browser's answer.
struct Wire {
    link: LinkId,
    connection: RtcPeerConnection,
    channel: RtcDataChannel,
    report: Report,
    /// False once the core has forgotten the link.
    held: Cell<bool>,
    ice: Cell<Option<IceState>>,
}

struct Handlers {
    _candidate: Closure<dyn FnMut(RtcPeerConnectionIceEvent)>,
    _state: Closure<dyn FnMut()>,
    _opened: Closure<dyn FnMut()>,
    _message: Closure<dyn FnMut(MessageEvent)>,
    _drained: Closure<dyn FnMut()>,
    _closed: Closure<dyn FnMut()>,
}

impl Link {
    /// A connection that waits for [`offer`](Self::offer) or [`accept_offer`](Self::accept_offer). Less than or
    /// exactly `low` buffered bytes are reported as drained.
    ///
    /// # Errors
    /// What the browser says of a configuration that it does not take, or of one connection too many.
    pub(crate) fn open(
        link: LinkId,
        configuration: &RtcConfiguration,
        low: u32,
        report: &Report,
    ) -> Result<Self, JsValue> {
        let connection = RtcPeerConnection::new_with_configuration(configuration)?;
        let init = RtcDataChannelInit::new();
        // Opening in-band fails between some implementations; both sides know the number instead.
        init.set_negotiated(true);
        init.set_id(0);
        init.set_ordered(true);
        let channel = connection.create_data_channel_with_data_channel_dict("weft", &init);
        channel.set_binary_type(RtcDataChannelType::Arraybuffer);
        channel.set_buffered_amount_low_threshold(low);
        let report = report.clone();
        let (held, ice) = (Cell::new(true), Cell::new(None));
        let wire = Rc::new(Wire { link, connection, channel, report, held, ice });
        let handlers = wire.attach();
        Ok(Self { wire, _handlers: handlers })
    }

    /// Takes another configuration, for the next ICE restart. A connection that does not take it goes on with the one it has.
    pub(crate) fn configure(&self, configuration: &RtcConfiguration) {
        // web-sys has it without its argument.
        let set = Reflect::get(&self.wire.connection, &"setConfiguration".into());
        _ = set.and_then(|set| set.unchecked_into::<Function>().call1(&self.wire.connection, configuration));
    }

    /// Makes an offer, sets it, and reports [`Input::LocalDescription`].
    pub(crate) fn offer(&self, ice_restart: bool) {
        self.negotiate(async move |wire| {
            let options = RtcOfferOptions::new();
            options.set_ice_restart(ice_restart);
            let offer = JsFuture::from(wire.connection.create_offer_with_rtc_offer_options(&options)).await?;
            wire.set_local(offer).await
        });
    }

    /// Sets the remote offer, makes an answer, sets it, and reports [`Input::LocalDescription`].
    pub(crate) fn accept_offer(&self, sdp: &str) {
        let set = self.wire.connection.set_remote_description(&description(RtcSdpType::Offer, sdp));
        self.negotiate(async move |wire| {
            JsFuture::from(set).await?;
            let answer = JsFuture::from(wire.connection.create_answer()).await?;
            wire.set_local(answer).await
        });
    }

    /// Sets the remote answer.
    pub(crate) fn accept_answer(&self, sdp: &str) {
        let set = self.wire.connection.set_remote_description(&description(RtcSdpType::Answer, sdp));
        self.negotiate(async move |_| JsFuture::from(set).await.map(|_| ()));
    }

    /// Adds a remote candidate; reports [`Input::CandidateRefused`] if the browser does not take it.
    pub(crate) fn add_candidate(&self, candidate: &Candidate) {
        let init = RtcIceCandidateInit::new(&candidate.candidate);
        init.set_sdp_mid(candidate.mid.as_deref());
        // Without either the browser refuses; there is only one media description.
        init.set_sdp_m_line_index(candidate.index.or(candidate.mid.is_none().then_some(0)));
        let add = self.wire.connection.add_ice_candidate_with_opt_rtc_ice_candidate_init(Some(&init));
        let wire = Rc::clone(&self.wire);
        spawn_local(async move {
            if JsFuture::from(add).await.is_err() {
                wire.tell(Input::CandidateRefused { link: wire.link });
            }
        });
    }

    /// Sends a message; false if the channel is closed or its buffer full, which the core avoids.
    pub(crate) fn send(&self, bytes: &[u8]) -> bool {
        self.wire.channel.send_with_u8_array(bytes).is_ok()
    }

    /// Bytes that wait in the channel.
    pub(crate) fn buffered(&self) -> u32 {
        self.wire.channel.buffered_amount()
    }

    /// Begins to close: what was sent still goes out, and nothing is reported any more but [`Report::retired`].
    pub(crate) fn retire(&self) {
        self.wire.held.set(false);
        self.wire.channel.close();
    }

    /// Whether nothing more can go out, so that the connection may be dropped.
    pub(crate) fn is_silent(&self) -> bool {
        self.wire.channel.ready_state() == RtcDataChannelState::Closed
            || matches!(
                self.wire.connection.connection_state(),
                RtcPeerConnectionState::New
                    | RtcPeerConnectionState::Connecting
                    | RtcPeerConnectionState::Failed
                    | RtcPeerConnectionState::Closed
            )
    }

    fn negotiate<F>(&self, steps: impl FnOnce(Rc<Wire>) -> F)
    where
        F: Future<Output = Result<(), JsValue>> + 'static,
    {
        let wire = Rc::clone(&self.wire);
        let steps = steps(Rc::clone(&wire));
        spawn_local(async move {
            if let Err(error) = steps.await {
                wire.tell(Input::LinkFailed { link: wire.link, reason: message_of(&error) });
            }
        });
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let Wire { connection, channel, held, .. } = &*self.wire;
        held.set(false);
        connection.set_onicecandidate(None);
        connection.set_oniceconnectionstatechange(None);
        connection.set_onconnectionstatechange(None);
        channel.set_onopen(None);
        channel.set_onmessage(None);
        channel.set_onbufferedamountlow(None);
        channel.set_onclose(None);
        channel.close();
        connection.close();
    }
}

impl Wire {
    /// Reports unless the core has forgotten the link.
    fn tell(&self, input: Input<'_>) {
        if self.held.get() {
            self.report.send(input);
        }
    }

    async fn set_local(&self, made: JsValue) -> Result<(), JsValue> {
        let sdp = Reflect::get(&made, &"sdp".into())?.as_string().unwrap_or_default();
        JsFuture::from(self.connection.set_local_description(made.unchecked_ref())).await?;
        self.tell(Input::LocalDescription { link: self.link, sdp });
        Ok(())
    }

    fn ice_changed(&self) {
        let failed = self.connection.connection_state() == RtcPeerConnectionState::Failed;
        let state = match self.connection.ice_connection_state() {
            // `failed` of the whole connection also covers DTLS.
            _ if failed => IceState::Failed,
            RtcIceConnectionState::Connected | RtcIceConnectionState::Completed => IceState::Connected,
            RtcIceConnectionState::Disconnected => IceState::Disconnected,
            RtcIceConnectionState::Failed => IceState::Failed,
            _ => return,
        };
        if self.ice.replace(Some(state)) != Some(state) {
            self.tell(Input::IceChanged { link: self.link, state });
        }
    }

    fn attach(self: &Rc<Self>) -> Handlers {
        let link = self.link;
        let candidate = Closure::new({
            let wire = Rc::clone(self);
            move |event: RtcPeerConnectionIceEvent| {
                if let Some(candidate) = local_candidate(&event) {
                    wire.tell(Input::LocalCandidate { link, candidate });
                }
            }
        });
        let message = Closure::new({
            let wire = Rc::clone(self);
            move |event: MessageEvent| {
                wire.tell(Input::ChannelMessage { link, bytes: &message_bytes(&event) });
            }
        });
        let closed = Closure::new({
            let wire = Rc::clone(self);
            move || {
                if wire.held.get() {
                    wire.tell(Input::ChannelClosed { link });
                } else {
                    wire.report.retired();
                }
            }
        });
        let state = self.handler(Self::ice_changed);
        let opened = self.handler(move |wire| wire.tell(Input::ChannelOpened { link }));
        let drained = self.handler(move |wire| wire.tell(Input::ChannelDrained { link }));
        self.connection.set_onicecandidate(Some(function(&candidate)));
        self.connection.set_oniceconnectionstatechange(Some(function(&state)));
        self.connection.set_onconnectionstatechange(Some(function(&state)));
        self.channel.set_onopen(Some(function(&opened)));
        self.channel.set_onmessage(Some(function(&message)));
        self.channel.set_onbufferedamountlow(Some(function(&drained)));
        self.channel.set_onclose(Some(function(&closed)));
        Handlers {
            _candidate: candidate,
            _state: state,
            _opened: opened,
            _message: message,
            _drained: drained,
            _closed: closed,
        }
    }

    fn handler(self: &Rc<Self>, handle: impl Fn(&Self) + 'static) -> Closure<dyn FnMut()> {
        let wire = Rc::clone(self);
        Closure::new(move || handle(&wire))
    }
}

/// The candidate of an event; the event without one says that there are no more.
fn local_candidate(event: &RtcPeerConnectionIceEvent) -> Option<Candidate> {
    let Some(candidate) = event.candidate() else {
        return Some(Candidate { candidate: Text::default(), mid: None, index: None });
    };
    // Firefox says in this way too, per network, that there are no more.
    let line = candidate.candidate();
    if line.is_empty() {
        return None;
    }
    let mid = candidate.sdp_mid().and_then(Text::new);
    // A line longer than the wire allows is a candidate less.
    Some(Candidate { candidate: Text::new(line)?, mid, index: candidate.sdp_m_line_index() })
}

fn description(kind: RtcSdpType, sdp: &str) -> RtcSessionDescriptionInit {
    let description = RtcSessionDescriptionInit::new(kind);
    description.set_sdp(sdp);
    description
}

/// What an error of the browser says.
pub(crate) fn message_of(error: &JsValue) -> String {
    let message = Reflect::get(error, &"message".into()).ok().and_then(|message| message.as_string());
    message.unwrap_or_else(|| "the browser refused".to_owned())
}
