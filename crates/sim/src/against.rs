//! Two reports compared: what has changed, in per cent.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

/// Differences below this share are not worth a line.
const SAME: f64 = 0.000_5;

/// A table of every figure that differs, in the order of the report; single rounds and the timeline are left out.
pub fn compare(before: &Value, after: &Value) -> String {
    let (mut old, mut new) = (Vec::new(), Vec::new());
    figures("", before, &mut old);
    figures("", after, &mut new);
    let old: BTreeMap<String, f64> = old.into_iter().collect();
    let mut out = String::new();
    for (name, value) in &new {
        let Some(was) = old.get(name) else {
            let _ = writeln!(out, "{name:<58} {:>14} {value:>14.4}   new", "");
            continue;
        };
        let difference = value - was;
        if difference.abs() <= SAME * was.abs().max(SAME) {
            continue;
        }
        let change = if *was == 0.0 {
            "from 0".to_owned()
        } else {
            format!("{:+.1} %", difference / was.abs() * 100.0)
        };
        let _ = writeln!(out, "{name:<58} {was:>14.4} {value:>14.4}   {change}");
    }
    let new: BTreeMap<&String, f64> = new.iter().map(|(name, value)| (name, *value)).collect();
    for name in old.keys().filter(|name| !new.contains_key(name)) {
        let _ = writeln!(out, "{name:<58} is gone");
    }
    if out.is_empty() {
        out.push_str("no figure differs\n");
    }
    out
}

fn figures(path: &str, value: &Value, out: &mut Vec<(String, f64)>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Number(number) => out.extend(number.as_f64().map(|number| (path.to_owned(), number))),
        Value::Object(members) => {
            for (name, value) in members {
                if !matches!(name.as_str(), "rounds" | "timeline" | "seed") {
                    figures(&below(name), value, out);
                }
            }
        }
        Value::Array(values) => {
            for (at, value) in values.iter().enumerate() {
                // A phase is called by its kind too.
                let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default();
                figures(&below(&format!("{at}{kind}")), value, out);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differences_are_told_in_per_cent() {
        let before = json!({ "phases": [{ "kind": "broadcast", "rmr": 0.5, "same": 3 }] });
        let after = json!({ "phases": [{ "kind": "broadcast", "rmr": 0.25, "same": 3 }] });
        let text = compare(&before, &after);
        assert!(text.contains("phases.0broadcast.rmr") && text.contains("-50.0 %"), "{text}");
        assert!(!text.contains("same"), "{text}");
        assert_eq!(compare(&before, &before), "no figure differs\n");
    }
}
