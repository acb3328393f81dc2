//! At which addresses the outside sees the sockets of a link: questions to STUN servers (RFC 8489, section 12; RFC 8445, section 5.1.1.2).
//!
//! Inputs: where to ask, answers, time. Outputs: questions that are due, addresses. Who answers is not authenticated: whoever is on the way
//! could only name an address that leads nowhere.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stun_types::attribute::XorMappedAddress;
use stun_types::message::{
    BINDING, Message, MessageClass, MessageType, MessageWrite as _, MessageWriteVec, TransactionId,
};

/// Servers that are asked; more tell nothing new.
pub(crate) const SERVERS: usize = 4;
/// Questions that wait for an answer: a socket for each address, each server.
const QUESTIONS: usize = 64;
/// A question is asked anew after so long, twice as long each time, and given up after so many.
const AGAIN: Duration = Duration::from_millis(250);
const ASKED: u32 = 5;

/// What one link asks.
#[derive(Debug, Default)]
pub(crate) struct Reflector {
    questions: Vec<Question>,
    /// Mapped addresses that are known, with the sockets' own.
    found: Vec<Reflected>,
}

#[derive(Debug)]
struct Question {
    id: TransactionId,
    bytes: Vec<u8>,
    base: SocketAddr,
    server: SocketAddr,
    asked: u32,
    due: Instant,
}

/// A socket, and where the outside sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reflected {
    pub(crate) base: SocketAddr,
    pub(crate) mapped: SocketAddr,
}

/// What a datagram tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It answers no question.
    None,
    /// It answers one, and nothing is new by it.
    Nothing,
    /// Where the outside sees a socket.
    New(Reflected),
}

impl Reflector {
    /// Asks servers about sockets, each about those from which it can be reached; what waits for an answer already is not asked twice.
    pub(crate) fn ask(&mut self, now: Instant, bases: &[SocketAddr], servers: &[SocketAddr]) {
        for server in servers.iter().take(SERVERS) {
            let same = |base: &&SocketAddr| {
                base.is_ipv4() == server.is_ipv4() && base.ip().is_loopback() == server.ip().is_loopback()
            };
            for base in bases.iter().filter(same) {
                let waits = self.questions.iter().any(|one| one.base == *base && one.server == *server);
                if waits || self.questions.len() >= QUESTIONS {
                    continue;
                }
                let id = TransactionId::generate();
                let request = MessageType::from_class_method(MessageClass::Request, BINDING);
                let bytes = Message::builder(request, id, MessageWriteVec::new()).finish();
                self.questions.push(Question { id, bytes, base: *base, server: *server, asked: 0, due: now });
            }
        }
    }

    /// Gives what is to be sent now: from which socket, to whom, what.
    pub(crate) fn due(&mut self, now: Instant, mut send: impl FnMut(SocketAddr, SocketAddr, &[u8])) {
        for question in self.questions.iter_mut().filter(|question| question.due <= now) {
            if question.asked < ASKED {
                send(question.base, question.server, &question.bytes);
            }
            question.due = now + AGAIN * 2_u32.pow(question.asked);
            question.asked += 1;
        }
        self.questions.retain(|question| question.asked <= ASKED);
    }

    /// When [`due`](Self::due) has something to do.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        self.questions.iter().map(|question| question.due).min()
    }

    /// Looks at a datagram that came from one address to one of ours.
    pub(crate) fn answer(&mut self, source: SocketAddr, base: SocketAddr, bytes: &[u8]) -> Answer {
        let asked = |question: &Question| question.server == source && question.base == base;
        if !self.questions.iter().any(asked) {
            return Answer::None;
        }
        let Ok(message) = Message::from_bytes(bytes) else { return Answer::None };
        let id = message.transaction_id();
        let at = self.questions.iter().position(|question| question.id == id && asked(question));
        let Some(at) = at.filter(|_| message.is_response()) else { return Answer::None };
        self.questions.swap_remove(at);
        let mapped = message.attribute::<XorMappedAddress>().ok().map(|address| address.addr(id));
        // Without a NAT, or seen by another server before, it is nothing new.
        let new = mapped.map(|mapped| Reflected { base, mapped });
        match new.filter(|new| new.mapped != base && !self.found.contains(new)) {
            Some(new) => {
                self.found.push(new);
                Answer::New(new)
            }
            None => Answer::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stun_types::message::MessageWriteExt as _;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn reply(question: &[u8], mapped: SocketAddr) -> Vec<u8> {
        let question = Message::from_bytes(question).unwrap();
        let mut reply = Message::builder_success(&question, MessageWriteVec::new());
        reply.add_attribute(&XorMappedAddress::new(mapped, question.transaction_id())).unwrap();
        reply.finish()
    }

    fn asked(reflector: &mut Reflector, now: Instant) -> Vec<(SocketAddr, SocketAddr, Vec<u8>)> {
        let mut sent = Vec::new();
        reflector.due(now, |base, server, bytes| sent.push((base, server, bytes.to_vec())));
        sent
    }

    #[test]
    fn each_server_is_asked_about_the_sockets_that_reach_it_and_an_answer_tells_a_new_address_once() {
        let (mut reflector, now) = (Reflector::default(), Instant::now());
        let bases = [address("192.168.1.2:4000"), address("127.0.0.1:4001"), address("[2001:db8::2]:4002")];
        let servers = [address("203.0.113.1:3478"), address("203.0.113.2:3478")];
        reflector.ask(now, &bases, &servers);
        reflector.ask(now, &bases, &servers);
        let sent = asked(&mut reflector, now);
        let ways: Vec<_> = sent.iter().map(|(base, server, _)| (*base, *server)).collect();
        assert_eq!(ways, [(bases[0], servers[0]), (bases[0], servers[1])]);
        let mapped = address("203.0.113.9:61000");
        let told = reflector.answer(servers[0], bases[0], &reply(&sent[0].2, mapped));
        assert_eq!(told, Answer::New(Reflected { base: bases[0], mapped }));
        let told = reflector.answer(servers[1], bases[0], &reply(&sent[1].2, mapped));
        assert_eq!(told, Answer::Nothing, "the other server says the same");
        assert_eq!(reflector.due_at(), None);
    }

    #[test]
    fn without_a_nat_there_is_nothing_new() {
        let (mut reflector, now) = (Reflector::default(), Instant::now());
        let (base, server) = (address("203.0.113.5:4000"), address("203.0.113.1:3478"));
        reflector.ask(now, &[base], &[server]);
        let sent = asked(&mut reflector, now);
        assert_eq!(reflector.answer(server, base, &reply(&sent[0].2, base)), Answer::Nothing);
    }

    #[test]
    fn only_the_server_answers_its_question_and_everything_else_is_somebody_elses() {
        let (mut reflector, now) = (Reflector::default(), Instant::now());
        let (base, server) = (address("192.168.1.2:4000"), address("203.0.113.1:3478"));
        let mapped = address("203.0.113.9:61000");
        reflector.ask(now, &[base], &[server]);
        let sent = asked(&mut reflector, now);
        let right = reply(&sent[0].2, mapped);
        let mut other = right.clone();
        other[19] ^= 1;
        let wrong = [(address("203.0.113.1:3479"), &right), (server, &other), (server, &sent[0].2)];
        for (source, bytes) in wrong {
            assert_eq!(reflector.answer(source, base, bytes), Answer::None);
        }
        for cut in 0..right.len() {
            assert_eq!(reflector.answer(server, base, &right[..cut]), Answer::None);
        }
        assert!(matches!(reflector.answer(server, base, &right), Answer::New(_)));
        assert_eq!(reflector.answer(server, base, &right), Answer::None, "a second time");
    }

    #[test]
    fn who_does_not_answer_is_asked_some_times_and_then_left_alone() {
        let (mut reflector, start) = (Reflector::default(), Instant::now());
        reflector.ask(start, &[address("192.168.1.2:4000")], &[address("203.0.113.1:3478")]);
        let mut at = Vec::new();
        while let Some(due) = reflector.due_at() {
            for _ in asked(&mut reflector, due) {
                at.push((due - start).as_millis());
            }
        }
        assert_eq!(at, [0, 250, 750, 1750, 3750]);
    }

    #[test]
    fn questions_are_bounded() {
        let (mut reflector, now) = (Reflector::default(), Instant::now());
        let bases: Vec<_> = (1..100).map(|n| address(&format!("192.168.1.{n}:4000"))).collect();
        let servers: Vec<_> = (1..9).map(|n| address(&format!("203.0.113.{n}:3478"))).collect();
        reflector.ask(now, &bases, &servers);
        assert_eq!(asked(&mut reflector, now).len(), QUESTIONS);
    }
}
