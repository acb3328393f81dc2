//! `weft diagnose`.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use weft_native_peer::{Cause, Diagnosis, Path};

use super::exit::{Exit, Failure};
use super::output::Line;
use super::session::{End, Progress, Session, Stop};
use super::{NetworkArgs, parse_seconds};

/// Who is there shows within this time.
const AT_LEAST: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
pub(crate) struct DiagnoseArgs {
    #[command(flatten)]
    pub(super) network: NetworkArgs,
    /// How long to look at most, in seconds; less if there is a way to everybody; exit code 4 if no signaler was reached.
    #[arg(long, value_name = "S", default_value = "15", value_parser = parse_seconds)]
    timeout: Duration,
}

pub(crate) async fn run(args: DiagnoseArgs) -> Result<Exit, Failure> {
    let mut session = Session::start(&args.network, None).await?;
    let result = look(&mut session, args.timeout).await;
    session.close().await;
    match result {
        Ok(exit) => Ok(exit),
        Err(end) => end.unfinished("looking around", "no signaler was reached"),
    }
}

async fn look(session: &mut Session, most: Duration) -> Result<Exit, End> {
    let (weft, mut changes) = (session.weft.clone(), session.changes());
    let settle = async {
        let mut progress = Progress::new();
        let wait = async {
            tokio::time::sleep(AT_LEAST.min(most)).await;
            loop {
                let all = weft.diagnose().await?;
                let settled = all.iter().filter(|one| is_settled(one)).count();
                progress.show(&format!("a way to {settled} of {} peers", all.len()));
                if settled == all.len() && !all.is_empty() || changes.changed().await.is_err() {
                    return Ok(());
                }
            }
        };
        tokio::time::timeout(most, wait).await.unwrap_or(Ok::<(), weft_native_peer::Error>(()))
    };
    match session.until(settle).await {
        Ok(settled) => settled?,
        Err(Stop::Interrupted) => return Ok(Exit::Interrupted),
        Err(stop) => return Err(stop.into()),
    }
    if !session.has_reached() {
        return Err(Failure::timed_out(&"no signaler was reached").into());
    }
    let names: BTreeMap<_, _> =
        session.weft.peers(session.party).await?.into_iter().map(|peer| (peer.peer, peer.name)).collect();
    let all = session.weft.diagnose().await?;
    for one in &all {
        describe(one, names.get(&one.peer).map(String::as_str)).print()?;
    }
    if all.is_empty() {
        eprintln!("nobody else is in the party");
    }
    Ok(Exit::Done)
}

/// There is a way, and no attempt at a better one that may still come to something.
fn is_settled(one: &Diagnosis) -> bool {
    matches!(one.path, Path::Direct | Path::Forwarded | Path::Mesh { .. }) && one.cause != Cause::Connecting
}

fn describe(one: &Diagnosis, name: Option<&str>) -> Line {
    let mut line = Line::new().text("peer", &one.peer);
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        line = line.text("name", &name);
    }
    line = line.text("path", &one.path.name());
    if let Some(links) = one.path.links() {
        line = line.number("links", links.into());
    }
    line = line.text("cause", &one.cause.code()).text("text", &one.text);
    if one.advice.is_empty() { line } else { line.text("advice", &one.advice) }
}

#[cfg(test)]
mod tests {
    use weft_native_peer::PeerId;

    use super::*;

    #[test]
    fn a_diagnosis_is_one_json_line_with_advice_where_there_is_some() {
        let peer = PeerId([1; 32]);
        let (cause, text) = (Cause::NoTurn, "a NAT".to_owned());
        let one = Diagnosis { peer, path: Path::Mesh { links: 2 }, cause, text, advice: cause.advice() };
        let read: serde_json::Value = serde_json::from_str(&describe(&one, Some("Ada")).finish()).unwrap();
        assert_eq!(
            (&read["path"], &read["links"], &read["name"]),
            (&"mesh".into(), &2.into(), &"Ada".into())
        );
        assert_eq!((&read["cause"], &read["text"]), (&"no-turn".into(), &"a NAT".into()));
        assert!(read["advice"].as_str().unwrap().contains("TURN"));
        let fine = Diagnosis { path: Path::Direct, cause: Cause::Connected, advice: "", ..one };
        let read: serde_json::Value = serde_json::from_str(&describe(&fine, None).finish()).unwrap();
        assert!(read.get("advice").is_none() && read.get("name").is_none() && read.get("links").is_none());
    }
}
