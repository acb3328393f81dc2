//! Constants of the registry, with their units and reasons.

use core::time::Duration;

use weft_wire::RegistryKey;
use weft_wire::registry::NetworkName;

/// How a registry behaves. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct RegistryConfig {
    /// The name of the federation. Statements for another one are refused.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub network: NetworkName,
    /// The first sovereigns. All others come by their signatures.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub sovereigns: Vec<RegistryKey>,

    /// How far a statement's time may be from our clock, either way: a minute, which clocks that are set at all are within.
    pub freshness_ms: u64,
    /// How often registrants are asked to say that they are alive.
    pub heartbeat_ms: u64,
    /// Silent for so long, a registrant is offline: two heartbeats and a half.
    pub offline_ms: u64,
    /// After so many heartbeats that did not come, a registrant is denied until a sovereign resets it. 0: never.
    pub deny_after_missed: u32,

    /// Registrants, whatever their state; about 3 KB each.
    pub max_registrants: u32,
    /// Registrants nobody has decided about: anybody may register, so that they must not fill the registry.
    pub max_pending: u32,
    /// Statements kept about one registrant: nobody needs as many decisions.
    pub max_statements: u32,
    /// Sovereigns at once.
    pub max_sovereigns: u32,
    /// Changes of sovereigns that are kept; all of them are needed to know who is one.
    pub max_sovereign_changes: u32,
    /// Nonces remembered, each for as long as its statement is fresh: 10,000 registrants need as many every two minutes.
    pub max_nonces: u32,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            network: NetworkName::default(),
            sovereigns: Vec::new(),
            freshness_ms: 60_000,
            heartbeat_ms: 120_000,
            offline_ms: 300_000,
            deny_after_missed: 0,
            max_registrants: 10_000,
            max_pending: 1_000,
            max_statements: 64,
            max_sovereigns: 64,
            max_sovereign_changes: 1_024,
            max_nonces: 65_536,
        }
    }
}

impl RegistryConfig {
    pub(crate) fn freshness(&self) -> Duration {
        Duration::from_millis(self.freshness_ms)
    }

    pub(crate) fn offline(&self) -> Duration {
        Duration::from_millis(self.offline_ms)
    }

    /// After which silence a registrant is denied.
    pub(crate) fn lapse(&self) -> Option<Duration> {
        let missed = u64::from(self.deny_after_missed);
        (missed > 0).then(|| Duration::from_millis(self.heartbeat_ms.saturating_mul(missed)))
    }
}
