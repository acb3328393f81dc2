//! Messages and requests on their way.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::{mpsc, oneshot, watch};
use weft_wire::MessageId;

use crate::error::Error;
use crate::request::Request;

/// How much of a large message or request (more than 128 KiB encoded) has arrived. A smaller one goes in one piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that a peer of the recipient has confirmed: of the one that has most.
    pub sent: usize,
    /// Bytes in all; 0 as long as nothing is confirmed.
    pub total: usize,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its id, the same as the recipient sees.
    pub id: MessageId,
    /// How far it is.
    pub state: Until,
}

/// How far a message is, or has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Until {
    /// It waits for the recipient at the residence of its identity, durable there. That it was received later
    /// [`Event::Sent`](weft_peer_core::Event::Sent) tells, in this run or another one with the same store.
    #[default]
    Stored,
    /// A peer of the recipient has it.
    Delivered,
}

/// A message on its way, or a request with `T` the answer. Resolves when its fate is known; dropping it gives it up:
/// what has not been sent is not sent, and the recipient forgets what it has of it.
#[derive(Debug)]
pub struct Sending<T = Sent> {
    answer: oneshot::Receiver<Result<T, Error>>,
    progress: watch::Receiver<Progress>,
    requests: mpsc::WeakSender<Request>,
}

/// The driver's end of it.
#[derive(Debug)]
pub(crate) struct Underway<T> {
    pub(crate) reply: oneshot::Sender<Result<T, Error>>,
    pub(crate) progress: watch::Sender<Progress>,
}

impl<T> Sending<T> {
    pub(crate) fn new(requests: mpsc::WeakSender<Request>) -> (Underway<T>, Self) {
        let (reply, answer) = oneshot::channel();
        let (told, progress) = watch::channel(Progress::default());
        (Underway { reply, progress: told }, Self { answer, progress, requests })
    }

    /// How much has arrived, as it changes; ends when the fate is known.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }
}

impl<T> Future for Sending<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(cx).map(|answer| answer.unwrap_or(Err(Error::Closed)))
    }
}

impl<T> Drop for Sending<T> {
    fn drop(&mut self) {
        self.answer.close();
        // Where there is no place for a request, the driver finds out with the next one.
        if let Some(requests) = self.requests.upgrade() {
            let _ = requests.try_send(Request::Forgotten);
        }
    }
}
