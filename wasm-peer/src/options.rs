//! `Limits` of types.ts to the core's configuration.

use std::time::Duration;

use js_sys::Reflect;
use wasm_bindgen::JsValue;
use weft_peer_core::Config;
use weft_wire::limits;

use crate::failure::Failure;

/// Signalers that may be configured.
const SIGNALERS: usize = 16;

/// The configuration of a page.
pub(crate) fn config(signalers: Vec<String>, name: String, limits: &JsValue) -> Result<Config, Failure> {
    let refused = |what: String| Err(Failure::new("bad-option", what));
    if signalers.is_empty() || signalers.len() > SIGNALERS {
        return refused(format!("signalers: from 1 to {SIGNALERS} URLs, not {}", signalers.len()));
    }
    if let Some(url) = signalers.iter().find(|url| !is_url(url)) {
        return refused(format!(
            "signalers: not a ws:// or wss:// URL of at most {} bytes: {url}",
            limits::URL
        ));
    }
    if name.len() > limits::NAME {
        return Err(Failure::new("name-too-long", format!("name: at most {} bytes", limits::NAME)));
    }
    let agent = concat!("weft-mesh/", env!("CARGO_PKG_VERSION")).to_owned();
    let mut config = Config { signalers, name, agent, ..Config::default() };
    if limits.is_object() {
        set(limits, "links", 1, 16, &mut config.active_view)?;
        set(limits, "homes", 1, SIGNALERS, &mut config.homes)?;
        set(limits, "forwardedLinks", 0, 16, &mut config.forwarded_links)?;
        set(limits, "keepPublications", 1, 1_000_000, &mut config.keep_publications)?;
        set(limits, "keepBytes", 1, 1 << 30, &mut config.keep_bytes)?;
        set(limits, "publishQueueBytes", 1 << 20, 1 << 30, &mut config.publish_queue)?;
        set(limits, "subscriptions", 1, 1_000_000, &mut config.subscriptions)?;
        let mut millis = 0;
        set(limits, "keepAge", 1000, usize::try_from(u32::MAX).unwrap_or(usize::MAX), &mut millis)?;
        if millis > 0 {
            config.keep_age = Duration::from_millis(millis as u64);
        }
        let mut millis = 0;
        set(limits, "messageTimeout", 100, 3_600_000, &mut millis)?;
        if millis > 0 {
            config.message_give_up = Duration::from_millis(millis as u64);
        }
    }
    Ok(config)
}

/// Whether a member is true.
pub(crate) fn flag(how: &JsValue, name: &str) -> bool {
    Reflect::get(how, &name.into()).is_ok_and(|value| value.is_truthy())
}

fn is_url(url: &str) -> bool {
    (url.starts_with("ws://") || url.starts_with("wss://")) && url.len() <= limits::URL
}

/// Takes a whole number over if it is given.
fn set(limits: &JsValue, name: &str, least: usize, most: usize, to: &mut usize) -> Result<(), Failure> {
    let value = Reflect::get(limits, &name.into()).unwrap_or_default();
    if value.is_undefined() {
        return Ok(());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates; NaN becomes 0")]
    let number = value.as_f64().unwrap_or(-1.0).max(0.0) as usize;
    if number < least || number > most {
        return Err(Failure::new("bad-option", format!("limits.{name}: from {least} to {most}")));
    }
    *to = number;
    Ok(())
}
