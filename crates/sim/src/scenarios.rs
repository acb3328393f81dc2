//! The scenarios that come with the simulator.

use std::path::Path;

use anyhow::{Result, bail};

use crate::scenario::Scenario;

macro_rules! scenarios {
    ($($name:literal)*) => {
        /// Name and text of each.
        pub const ALL: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../scenarios/", $name, ".toml")))),*];
    };
}
scenarios!("single" "rotating" "crash30" "crash50" "crash80" "churn" "churn-messages" "interest" "interest-crash" "interest-hostile" "control" "unicast" "hostile"
    "partition" "firewalls" "tabs" "small" "federation");

/// A scenario by its name or by the path of its file.
///
/// # Errors
/// Lists the names when there is none of that name, and says what is wrong with a file.
pub fn find(name: &str) -> Result<Scenario> {
    if let Some((name, text)) = ALL.iter().find(|(known, _)| *known == name) {
        return Scenario::parse(name, text);
    }
    let path = Path::new(name);
    if path.is_file() {
        return Scenario::read(path);
    }
    let names: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
    bail!("there is no scenario {name}; there are {}, and files of your own", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_can_be_read() {
        for (name, _) in ALL {
            assert!(find(name).is_ok(), "{name}: {:?}", find(name).err());
        }
        assert!(format!("{:#}", find("nothing").unwrap_err()).contains("single"));
    }
}
