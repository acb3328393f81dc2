//! What `/metrics` tells, with a sentence on each.

use metrics::{counter, describe_counter, describe_gauge, gauge};

use crate::hub::Snapshot;

/// Hands everything to the recorder of this thread.
pub(crate) fn publish(now: &Snapshot) {
    let counters = &now.counters;
    for (name, value, help) in [
        ("weft_peer_frames_total", counters.peer_frames, "Frames received from peers."),
        ("weft_peer_bytes_total", counters.peer_bytes, "Bytes received in frames of peers."),
        ("weft_sibling_frames_total", counters.sibling_frames, "Frames received from siblings."),
        ("weft_sibling_bytes_total", counters.sibling_bytes, "Bytes received in frames of siblings."),
        (
            "weft_sent_frames_total",
            counters.sent_frames,
            "Frames handed to the queues of peers and siblings.",
        ),
        (
            "weft_sent_bytes_total",
            counters.sent_bytes,
            "Bytes handed to the queues of peers and siblings, a shared payload once for each receiver.",
        ),
        ("weft_delivered_total", counters.delivered, "Envelopes handed to peers."),
        ("weft_fanned_total", counters.fanned, "Fan-out payloads handed to peers."),
        ("weft_passed_on_total", counters.passed_on, "Envelopes and payloads passed to siblings."),
        (
            "weft_dropped_fanned_total",
            counters.dropped_fanned,
            "Fan-out payloads dropped because their receiver does not read fast enough.",
        ),
        (
            "weft_ignored_frames_total",
            counters.ignored_frames,
            "Optional frames of a later version that were ignored.",
        ),
        (
            "weft_dropped_entries_total",
            counters.dropped_entries,
            "Entries refused because the table or their swarm is full.",
        ),
        ("weft_forged_entries_total", counters.forged_entries, "Entries of siblings that did not verify."),
        (
            "weft_refused_entries_total",
            counters.refused_entries,
            "Entries of siblings beyond the share of the one that brought them.",
        ),
        (
            "weft_expired_entries_total",
            counters.expired_entries,
            "Entries of siblings whose time had passed: some clock is wrong.",
        ),
        (
            "weft_equivocations_total",
            counters.equivocations,
            "Entries that say something else than a known one with the same number, signed by the same peer.",
        ),
        (
            "weft_asked_entries_total",
            counters.asked_entries,
            "Refreshes of siblings for which the whole entry had to be asked for.",
        ),
        (
            "weft_misdirected_total",
            counters.misdirected,
            "Requests and entries of siblings for swarms that this signaler does not keep.",
        ),
        (
            "weft_forwarded_once_total",
            counters.forwarded_once,
            "Misdirected requests and entries that were passed on to whoever keeps the swarm.",
        ),
        (
            "weft_repaired_entries_total",
            counters.repaired,
            "Entries and withdrawals that a sibling lacked, as comparing showed, and got.",
        ),
        (
            "weft_handed_over_entries_total",
            counters.handed_over,
            "Entries given to those that keep them now, before they were deleted here.",
        ),
        (
            "weft_refused_watches_total",
            counters.refused_watches,
            "Swarms that siblings wanted to watch beyond their share.",
        ),
        (
            "weft_refused_residents_total",
            counters.refused_peers,
            "Peers that siblings said are connected to them, beyond their share.",
        ),
        (
            "weft_refused_links_total",
            counters.refused_links,
            "What siblings said of their links when as many were believed as a federation has members.",
        ),
        (
            "weft_mail_stored_total",
            counters.mail_stored,
            "Envelopes that became durable at a majority of their residence, as this signaler told their senders.",
        ),
        (
            "weft_mail_repeated_total",
            counters.mail_repeated,
            "Envelopes that were there already, or had been, and were only acknowledged.",
        ),
        (
            "weft_mail_postponed_total",
            counters.mail_postponed,
            "Envelopes that got a later place because another signaler had taken later ones.",
        ),
        ("weft_mail_shown_total", counters.mail_shown, "Envelopes shown to those they are for."),
        ("weft_mail_taken_total", counters.mail_taken, "Envelopes that were taken."),
        (
            "weft_mail_expired_total",
            counters.mail_expired,
            "Envelopes that ran out before they were collected.",
        ),
        ("weft_mail_refused_total", counters.mail_refused, "Requests to the residence that were refused."),
        ("weft_mail_collections_total", counters.mail_collections, "Proofs for mail that were good."),
        ("weft_mail_prekeys_total", counters.mail_prekeys, "Prekeys for one use that were given."),
        (
            "weft_mail_withheld_prekeys_total",
            counters.mail_withheld_prekeys,
            "Prekeys for one use that were not given because too many had been asked for.",
        ),
        (
            "weft_mail_kept_total",
            counters.mail_kept,
            "Items of mail taken over from siblings that keep them, too.",
        ),
        (
            "weft_mail_dropped_total",
            counters.mail_dropped,
            "Items of mail of siblings for which there was no room.",
        ),
        (
            "weft_mail_repaired_total",
            counters.mail_repaired,
            "Items of mail that a sibling lacked, as comparing or reading showed, and got.",
        ),
        (
            "weft_mail_handed_over_total",
            counters.mail_handed_over,
            "Mailboxes that others keep now, and that were deleted here.",
        ),
        (
            "weft_mail_forgotten_total",
            counters.mail_forgotten,
            "Items of mail that were taken or used, and are no longer remembered: there were too many.",
        ),
        ("weft_mail_unwritten_total", counters.mail_unwritten, "Changes of mail that could not be written."),
        ("weft_authenticated_total", counters.authenticated, "Peers that authenticated."),
        (
            "weft_overflows_total",
            now.overflows,
            "Connections given up because their queue had reached its hard limit.",
        ),
        ("weft_store_failures_total", now.store.failures, "Attempts to write the database that failed."),
        ("weft_store_overflows_total", now.store.overflows, "Writes that are not made, for too many waited."),
    ] {
        describe_counter!(name, help);
        counter!(name).absolute(value);
    }
    describe_counter!(
        "weft_refused_total",
        "Refusals of peers' and siblings' frames and connections, by their code."
    );
    for (code, count) in counters.refusals() {
        counter!("weft_refused_total", "code" => code.name()).absolute(count);
    }
    let gauges = &now.gauges;
    let active = gauges.members.iter().filter(|member| member.active).count();
    let up = gauges.siblings.iter().filter(|sibling| sibling.up).count();
    for (name, value, help) in [
        (
            "weft_connections",
            gauges.connections,
            "Open connections of peers and siblings, those that are not authenticated included.",
        ),
        ("weft_peers", gauges.peers, "Peers that are authenticated."),
        ("weft_swarms", gauges.swarms, "Swarms with an entry or a withdrawal."),
        ("weft_local_swarms", gauges.local_swarms, "Swarms with a member at this signaler."),
        ("weft_entries", gauges.entries, "Entries and withdrawals in the table."),
        ("weft_watches", gauges.watches, "Swarms with members at this signaler that others keep."),
        ("weft_watched", gauges.watched, "Swarms that siblings watch here, each sibling counted."),
        ("weft_residents", gauges.residents, "Peers of siblings whose residence this signaler is."),
        ("weft_mailboxes", gauges.mailboxes, "Mailboxes that are kept here."),
        ("weft_mail", gauges.mail, "Envelopes that wait in mailboxes."),
        (
            "weft_mail_bytes",
            gauges.mail_bytes,
            "Bytes of all that is in mailboxes, records and prekeys included.",
        ),
        ("weft_pending_forwards", gauges.pending, "Forwarded frames whose outcome is awaited."),
        ("weft_siblings", gauges.siblings.len(), "Siblings that are configured or linked."),
        ("weft_siblings_up", up, "Siblings that are linked."),
        (
            "weft_siblings_apart",
            gauges.apart,
            "Pairs of linked siblings that both say that they are not linked with each other.",
        ),
        (
            "weft_members",
            gauges.members.len(),
            "Other members of the federation, those that are down included.",
        ),
        ("weft_members_active", active, "Other members of the federation that live."),
    ] {
        describe_gauge!(name, help);
        gauge!(name).set(number(value));
    }
    describe_gauge!("weft_registrants", "Registrants, by their standing.");
    for (status, count) in now.totals.all() {
        gauge!("weft_registrants", "status" => status.name()).set(number(count));
    }
    describe_gauge!(
        "weft_unstored",
        "Changes that count and are not durable yet: a restart would forget them."
    );
    gauge!("weft_unstored").set(number(now.store.late));
    describe_gauge!("weft_uptime_seconds", "Time since this process was started.");
    gauge!("weft_uptime_seconds").set(now.uptime.as_secs_f64());
}

/// Exact up to 4 billion.
fn number(value: impl TryInto<u32>) -> f64 {
    value.try_into().map_or(f64::MAX, f64::from)
}
