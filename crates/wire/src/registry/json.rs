//! Statements to the registry as JSON objects, the form in which clients send them over HTTP.
//!
//! Keys are `z6Mk…`, digests, nonces and signatures hexadecimal, times milliseconds since the Unix epoch. Members that are
//! not listed are passed over. A decision's registrant stands in the path, and may stand in `nodeId`, too.

use core::str::FromStr;

use serde_json::{Map, Value, json};

use super::{Decision, Heartbeat, Kind, Registration, Service, SovereignChange, Statement};
use crate::{List, Signature, Text, limits};

/// Why an object is not a statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The body is not an object.
    #[error("the body has to be a JSON object")]
    NotAnObject,
    /// A member that has to be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A member is of another type or form.
    #[error("{field}: {wanted}")]
    Wrong {
        /// Which member.
        field: &'static str,
        /// What it should be.
        wanted: String,
    },
}

/// Reads a statement and its signature. `id` is the registrant that the path names, for decisions.
///
/// # Errors
/// See [`JsonError`].
pub fn read(kind: Kind, id: Option<&str>, json: &Value) -> Result<(Statement, Signature), JsonError> {
    let fields = Fields(json.as_object().ok_or(JsonError::NotAnObject)?);
    let statement = match kind {
        Kind::Register => Statement::Register(fields.registration()?),
        Kind::Approve => Statement::Approve(fields.decision(id)?),
        Kind::Deny => Statement::Deny(fields.decision(id)?),
        Kind::Reset => Statement::Reset(fields.decision(id)?),
        Kind::Revoke => Statement::Revoke(fields.decision(id)?),
        Kind::AddSovereign => Statement::AddSovereign(fields.change(kind)?),
        Kind::RevokeSovereign => Statement::RevokeSovereign(fields.change(kind)?),
        Kind::RotateSovereign => Statement::RotateSovereign(fields.change(kind)?),
        Kind::Heartbeat => Statement::Heartbeat(fields.heartbeat()?),
    };
    Ok((statement, fields.parsed("signature")?))
}

/// Writes a statement and its signature.
pub fn write(statement: &Statement, signature: &Signature) -> Value {
    let mut json = match statement {
        Statement::Register(body) => {
            let services: Vec<Value> = body.services.iter().map(service).collect();
            json!({
                "nodeId": &*body.id,
                "publicKey": body.key.to_string(),
                "tailscaleHostname": &*body.host,
                "tailscaleIP": body.address.as_deref(),
                "services": services,
                "after": body.after.map(|after| after.to_string()),
            })
        }
        Statement::Approve(body)
        | Statement::Deny(body)
        | Statement::Reset(body)
        | Statement::Revoke(body) => json!({
            "nodeId": &*body.id,
            "publicKey": body.key.to_string(),
            "after": body.after.to_string(),
            "approverPublicKey": body.sovereign.to_string(),
        }),
        Statement::AddSovereign(body)
        | Statement::RevokeSovereign(body)
        | Statement::RotateSovereign(body) => json!({
            "publicKey": body.key.to_string(),
            "newPublicKey": body.replacement.map(|key| key.to_string()),
            "description": body.description.as_deref(),
            "approverPublicKey": body.sovereign.to_string(),
        }),
        Statement::Heartbeat(body) => json!({
            "nodeId": &*body.id,
            "publicKey": body.key.to_string(),
            "tailscaleIP": body.address.as_deref(),
        }),
    };
    if let Value::Object(fields) = &mut json {
        fields.retain(|_, value| !value.is_null());
        fields.insert("network".into(), statement.network().to_string().into());
        fields.insert("signaler".into(), statement.signaler().to_string().into());
        fields.insert("timestamp".into(), statement.time().into());
        fields.insert("nonce".into(), statement.nonce().to_string().into());
        fields.insert("signature".into(), signature.to_string().into());
    }
    json
}

/// A service as it is shown.
pub fn service(service: &Service) -> Value {
    json!({ "type": &*service.kind, "port": service.port, "publicKey": service.key.to_string() })
}

struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    fn registration(&self) -> Result<Registration, JsonError> {
        Ok(Registration {
            network: self.parsed("network")?,
            signaler: self.parsed("signaler")?,
            id: self.parsed("nodeId")?,
            key: self.parsed("publicKey")?,
            host: self.parsed("tailscaleHostname")?,
            address: self.optional("tailscaleIP")?,
            services: self.services()?,
            after: self.optional("after")?,
            time: self.time()?,
            nonce: self.parsed("nonce")?,
        })
    }

    fn decision(&self, id: Option<&str>) -> Result<Decision, JsonError> {
        let sovereign = self.parsed("approverPublicKey")?;
        let named = self.optional("nodeId")?;
        let id = match (id, named) {
            (Some(path), named) => {
                let id = path.parse().map_err(|error| wrong("nodeId", error))?;
                if named.is_some_and(|named| named != id) {
                    return Err(wrong("nodeId", "another one than the path names"));
                }
                id
            }
            (None, Some(named)) => named,
            (None, None) => return Err(JsonError::Missing("nodeId")),
        };
        Ok(Decision {
            network: self.parsed("network")?,
            signaler: self.parsed("signaler")?,
            id,
            key: self.parsed("publicKey")?,
            after: self.parsed("after")?,
            sovereign,
            time: self.time()?,
            nonce: self.parsed("nonce")?,
        })
    }

    fn change(&self, kind: Kind) -> Result<SovereignChange, JsonError> {
        // Before all else: who says nothing of a sovereign is told that one is needed.
        let sovereign = self.parsed("approverPublicKey")?;
        let _: Signature = self.parsed("signature")?;
        let key = self.parsed("publicKey")?;
        let replacement = match kind {
            Kind::RotateSovereign => Some(self.parsed("newPublicKey")?),
            _ => None,
        };
        if replacement == Some(key) {
            return Err(wrong("newPublicKey", "the same as publicKey"));
        }
        let description = match self.0.get("description") {
            None | Some(Value::Null) => None,
            Some(text) => {
                let wanted =
                    || wrong("description", format!("text of at most {} bytes", limits::DESCRIPTION));
                Some(text.as_str().and_then(Text::new).ok_or_else(wanted)?)
            }
        };
        Ok(SovereignChange {
            network: self.parsed("network")?,
            signaler: self.parsed("signaler")?,
            key,
            replacement,
            description,
            sovereign,
            time: self.time()?,
            nonce: self.parsed("nonce")?,
        })
    }

    fn heartbeat(&self) -> Result<Heartbeat, JsonError> {
        Ok(Heartbeat {
            network: self.parsed("network")?,
            signaler: self.parsed("signaler")?,
            id: self.parsed("nodeId")?,
            key: self.parsed("publicKey")?,
            address: self.optional("tailscaleIP")?,
            time: self.time()?,
            nonce: self.parsed("nonce")?,
        })
    }

    fn services(&self) -> Result<List<Service, { limits::SERVICES }>, JsonError> {
        let list = self.0.get("services").ok_or(JsonError::Missing("services"))?;
        let wanted = || wrong("services", format!("a list of at most {}", limits::SERVICES));
        let list = list.as_array().filter(|list| list.len() <= limits::SERVICES).ok_or_else(wanted)?;
        let services: Result<Vec<Service>, JsonError> = list
            .iter()
            .map(|one| {
                let wanted = || wrong("services", "each has a type, a port and a publicKey");
                let text = |name: &str| one.get(name).and_then(Value::as_str).ok_or_else(wanted);
                let port = one.get("port").and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok());
                let port = port.filter(|port| *port != 0);
                Ok(Service {
                    kind: text("type")?
                        .parse()
                        .map_err(|error| wrong("services", format!("type: {error}")))?,
                    port: port.ok_or_else(|| wrong("services", "port: from 1 to 65535"))?,
                    key: text("publicKey")?
                        .parse()
                        .map_err(|error| wrong("services", format!("publicKey: {error}")))?,
                })
            })
            .collect();
        List::new(services?).ok_or_else(wanted)
    }

    fn time(&self) -> Result<u64, JsonError> {
        let time = self.0.get("timestamp").ok_or(JsonError::Missing("timestamp"))?;
        time.as_u64().ok_or_else(|| wrong("timestamp", "milliseconds since the Unix epoch, a whole number"))
    }

    fn parsed<T: FromStr<Err: core::fmt::Display>>(&self, field: &'static str) -> Result<T, JsonError> {
        let text = self.0.get(field).ok_or(JsonError::Missing(field))?;
        let text = text.as_str().ok_or_else(|| wrong(field, "has to be text"))?;
        text.parse().map_err(|error| wrong(field, error))
    }

    fn optional<T: FromStr<Err: core::fmt::Display>>(
        &self,
        field: &'static str,
    ) -> Result<Option<T>, JsonError> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.parsed(field).map(Some),
        }
    }
}

fn wrong(field: &'static str, wanted: impl core::fmt::Display) -> JsonError {
    JsonError::Wrong { field, wanted: wanted.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Digest, Nonce, RegistryKey, SignalerId};

    fn registration() -> Statement {
        Statement::Register(Registration {
            network: "tana".parse().unwrap(),
            signaler: SignalerId([1; 32]),
            id: "validator-002".parse().unwrap(),
            key: RegistryKey([2; 32]),
            host: "validator-b.ts.net".parse().unwrap(),
            address: Some("100.64.0.5".parse().unwrap()),
            services: List::first([Service {
                kind: "ledger".parse().unwrap(),
                port: 8080,
                key: RegistryKey([3; 32]),
            }]),
            after: Some(Digest([4; 32])),
            time: 5,
            nonce: Nonce([6; 32]),
        })
    }

    fn decision(of: fn(Decision) -> Statement) -> Statement {
        of(Decision {
            network: "tana".parse().unwrap(),
            signaler: SignalerId([1; 32]),
            id: "validator-002".parse().unwrap(),
            key: RegistryKey([2; 32]),
            after: Digest([4; 32]),
            sovereign: RegistryKey([7; 32]),
            time: 5,
            nonce: Nonce([6; 32]),
        })
    }

    #[test]
    fn every_statement_survives_json_and_its_own_bytes() {
        let change = |replacement, description: Option<&str>| SovereignChange {
            network: "tana".parse().unwrap(),
            signaler: SignalerId([1; 32]),
            key: RegistryKey([2; 32]),
            replacement,
            description: description.and_then(Text::new),
            sovereign: RegistryKey([7; 32]),
            time: u64::MAX,
            nonce: Nonce([6; 32]),
        };
        let heartbeat = Heartbeat {
            network: "tana".parse().unwrap(),
            signaler: SignalerId([1; 32]),
            id: "validator-002".parse().unwrap(),
            key: RegistryKey([2; 32]),
            address: None,
            time: 5,
            nonce: Nonce([6; 32]),
        };
        let statements = [
            registration(),
            decision(Statement::Approve),
            decision(Statement::Deny),
            decision(Statement::Reset),
            decision(Statement::Revoke),
            Statement::AddSovereign(change(None, Some("the second"))),
            Statement::RevokeSovereign(change(None, None)),
            Statement::RotateSovereign(change(Some(RegistryKey([8; 32])), None)),
            Statement::Heartbeat(heartbeat),
        ];
        assert_eq!(statements.each_ref().map(Statement::kind)[..], *Kind::ALL);
        for statement in statements {
            let written = write(&statement, &Signature([9; 64]));
            let path = statement.about().map(ToString::to_string);
            let again = read(statement.kind(), path.as_deref(), &written);
            assert_eq!(again, Ok((statement.clone(), Signature([9; 64]))), "{written}");
            assert_eq!(Statement::read(statement.kind(), &statement.body()), Ok(statement));
        }
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let whole = write(&registration(), &Signature([9; 64]));
        for field in [
            "nodeId",
            "publicKey",
            "tailscaleHostname",
            "services",
            "network",
            "signaler",
            "timestamp",
            "nonce",
            "signature",
        ] {
            let mut json = whole.clone();
            json.as_object_mut().unwrap().remove(field);
            assert_eq!(read(Kind::Register, None, &json), Err(JsonError::Missing(field)));
        }
        for (field, value) in [
            ("nodeId", json!("a/b")),
            ("nodeId", json!(7)),
            ("publicKey", json!("abc123...")),
            ("tailscaleHostname", json!("http://a")),
            ("tailscaleIP", json!("300.0.0.1")),
            ("services", json!({})),
            ("services", json!([{ "type": "a", "port": 0, "publicKey": RegistryKey([3; 32]).to_string() }])),
            (
                "services",
                json!([{ "type": "a", "port": 65_536, "publicKey": RegistryKey([3; 32]).to_string() }]),
            ),
            ("services", json!([{ "type": "a", "port": 80 }])),
            ("services", json!(vec![json!({}); limits::SERVICES + 1])),
            ("timestamp", json!(-1)),
            ("timestamp", json!("5")),
            ("nonce", json!("00")),
            ("signature", json!("zz")),
            ("after", json!("é".repeat(32))),
        ] {
            let mut json = whole.clone();
            json.as_object_mut().unwrap().insert(field.into(), value.clone());
            let refused = read(Kind::Register, None, &json).unwrap_err();
            assert!(
                matches!(refused, JsonError::Wrong { field: named, .. } if named == field),
                "{field} {value}: {refused}"
            );
        }
        assert_eq!(read(Kind::Register, None, &json!([])), Err(JsonError::NotAnObject));
        let decided = write(&decision(Statement::Approve), &Signature([9; 64]));
        assert!(read(Kind::Approve, Some("another"), &decided).is_err());
    }

    #[test]
    fn a_body_in_another_encoding_is_none() {
        let body = registration().body();
        // A member of a later version: what is signed would not be all that is known of it.
        let mut more = body.clone();
        more[0] += 1;
        more.extend([10, 0]);
        assert!(Statement::read(Kind::Register, &more).is_err());
        assert!(Statement::read(Kind::Approve, &body).is_err());
        for cut in 0..body.len() {
            assert!(Statement::read(Kind::Register, &body[..cut]).is_err());
        }
    }
}
