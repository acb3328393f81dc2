//! One WebSocket to a signaler.
//!
//! Inputs: the browser's events. Outputs: [`Input::SignalerOpened`], [`Input::SignalerFrame`],
//! [`Input::SignalerClosed`]. Invariant: after drop no handler runs, and the socket is closed or closing; what was
//! sent before still goes out.

use js_sys::{Function, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{BinaryType, CloseEvent, MessageEvent, WebSocket};
use weft_peer_core::{HomeIndex, Input};
use weft_wire::PEER_PROTOCOL;

use crate::driver::Report;

/// A WebSocket with its handlers.
pub(crate) struct Socket {
    socket: WebSocket,
    /// Owned here because the browser only borrows them.
    _handlers: Handlers,
}

struct Handlers {
    _opened: Closure<dyn FnMut()>,
    _message: Closure<dyn FnMut(MessageEvent)>,
    _closed: Closure<dyn FnMut(CloseEvent)>,
}

impl Socket {
    /// Begins to connect.
    ///
    /// # Errors
    /// What the browser says of a URL that it does not take.
    pub(crate) fn dial(home: HomeIndex, url: &str, report: &Report) -> Result<Self, JsValue> {
        let socket = WebSocket::new_with_str(url, PEER_PROTOCOL)?;
        socket.set_binary_type(BinaryType::Arraybuffer);
        let opened = Closure::new({
            let report = report.clone();
            move || report.send(Input::SignalerOpened { home })
        });
        let message = Closure::new({
            let report = report.clone();
            move |event: MessageEvent| {
                report.send(Input::SignalerFrame { home, bytes: &message_bytes(&event) });
            }
        });
        let closed = Closure::new({
            let report = report.clone();
            move |event: CloseEvent| report.send(Input::SignalerClosed { home, reason: reason(&event) })
        });
        socket.set_onopen(Some(function(&opened)));
        socket.set_onmessage(Some(function(&message)));
        // `error` says nothing that `close`, which always follows, does not.
        socket.set_onclose(Some(function(&closed)));
        Ok(Self { socket, _handlers: Handlers { _opened: opened, _message: message, _closed: closed } })
    }

    /// Sends a binary message. A socket that is not open drops it: its `close` is on the way.
    pub(crate) fn send(&self, bytes: &[u8]) {
        let _ = self.socket.send_with_u8_array(bytes);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.socket.set_onopen(None);
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
        let _ = self.socket.close();
    }
}

/// The message; a text message is empty, which is no frame.
pub(crate) fn message_bytes(event: &MessageEvent) -> Vec<u8> {
    let data = event.data();
    if data.is_string() { Vec::new() } else { Uint8Array::new(&data).to_vec() }
}

/// A closure as the browser's setters want it.
pub(crate) fn function<T: ?Sized>(closure: &Closure<T>) -> &Function {
    closure.as_ref().unchecked_ref()
}

fn reason(event: &CloseEvent) -> String {
    match (event.code(), event.reason()) {
        // What browsers tell of a server that is not there: nothing more.
        (1006, _) => "no connection, or lost".to_owned(),
        (code, reason) if reason.is_empty() => format!("closed with code {code}"),
        (_, reason) => reason,
    }
}
