//! The event stream: a WebSocket on which every change of the registry is one message of JSON. What listeners say is not read,
//! but for closes and pongs.
//!
//! A listener has its place among [`LISTENERS`], and may be 256 changes behind; one that reads more slowly is disconnected and
//! reads `/nodes` anew when it is back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::sync::{Semaphore, broadcast};
use tokio::time::{Instant, interval, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use crate::hub::HubHandle;
use crate::stream::Stream;

/// Listeners at once.
pub(crate) const LISTENERS: usize = 256;
/// How often a listener is pinged, and after which silence it is gone.
const PING: Duration = Duration::from_secs(18);
const DEAD: Duration = Duration::from_secs(40);
/// How long a message may take to be taken.
const SENDING: Duration = Duration::from_secs(10);
/// Bytes of what a listener may say.
const HEARD: usize = 1024;

/// Serves one listener until it is gone.
pub(crate) async fn serve(upgrade: OnUpgrade, hub: HubHandle, places: Arc<Semaphore>) {
    let Ok(_place) = places.try_acquire_owned() else { return };
    // From here on nothing is missed, whatever the handshake takes.
    let mut changes = hub.changes();
    let Ok(Ok(parts)) = upgrade.await.map(hyper::upgrade::Upgraded::downcast::<TokioIo<Stream>>) else {
        return;
    };
    let config = WebSocketConfig::default().max_message_size(Some(HEARD)).max_frame_size(Some(HEARD));
    let mut socket = WebSocketStream::from_partially_read(
        parts.io.into_inner(),
        parts.read_buf.to_vec(),
        Role::Server,
        Some(config),
    )
    .await;
    let hello = json!({ "type": "hello" }).to_string();
    if !send(&mut socket, Message::text(hello)).await {
        return;
    }
    let (mut pings, mut heard) = (interval(PING), Instant::now());
    loop {
        let said = tokio::select! {
            change = changes.recv() => match change {
                Ok(change) => Message::text(&*change),
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    // The codes of docs/spec/signaler.md: recipient-busy.
                    let frame = CloseFrame { code: 4009.into(), reason: "recipient-busy".into() };
                    send(&mut socket, Message::Close(Some(frame))).await;
                    return;
                }
                Err(broadcast::error::RecvError::Closed) => return,
            },
            message = socket.next() => match message {
                Some(Ok(message)) if !message.is_close() => {
                    heard = Instant::now();
                    continue;
                }
                _ => return,
            },
            _ = pings.tick() => {
                if heard.elapsed() > DEAD {
                    return;
                }
                Message::Ping(Bytes::new())
            }
        };
        if !send(&mut socket, said).await {
            return;
        }
    }
}

async fn send(socket: &mut WebSocketStream<Stream>, message: Message) -> bool {
    matches!(timeout(SENDING, socket.send(message)).await, Ok(Ok(())))
}
