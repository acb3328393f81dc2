//! `weft link`: an identity goes to another place of the same person, by a code.

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::Args;
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use weft_crypto::export::Export;
use weft_crypto::linking::LinkCode;
use weft_native_peer::keystore::{KeyStore, KeyStoreError};
use weft_native_peer::{Document, Error, IdentityId, PeerId, Weft};
use weft_query::{Object, Value};

use super::exit::{Exit, Failure};
use super::export::told;
use super::output::Line;
use super::session::{End, Session};
use super::{Named, NetworkArgs, PartyArg, ReachArgs, parse_seconds};

/// How long the other side may take to send its export.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub(crate) struct LinkArgs {
    #[command(flatten)]
    reach: ReachArgs,
    /// Give up after so many seconds.
    #[arg(long, value_name = "S", value_parser = parse_seconds, default_value = "600")]
    timeout: Duration,
    /// The code that the other place shows: take its identity. Without, show a code, and give away this identity.
    #[arg(value_name = "CODE")]
    code: Option<LinkCode>,
}

pub(crate) async fn run(args: LinkArgs) -> Result<Exit, Failure> {
    match args.code {
        Some(code) => take(args.reach, args.timeout, &code).await,
        None => give(args.reach, args.timeout).await,
    }
}

/// Both sides meet in the party of the code.
async fn meet(mut reach: ReachArgs, timeout: Duration, code: &LinkCode) -> Result<Session, Failure> {
    // As nobody, who stores nothing: what is asked of the identity elsewhere is not asked here.
    reach.keys.ephemeral = true;
    let party = PartyArg { party: Named::Key(code.party().key()), shown: "the place of this code".into() };
    Session::start(&NetworkArgs { reach, party }, Some(timeout)).await
}

async fn give(reach: ReachArgs, timeout: Duration) -> Result<Exit, Failure> {
    let store = reach.keys.existing_store()?;
    let mut rng = weft_native_peer::keystore::rng().map_err(|error| Failure::error(&error))?;
    let code = LinkCode::new(&mut rng);
    // Before anybody waits for it.
    let export = store.export().map_err(|error| Failure::error(&error))?;
    let sealed = export.seal(&mut rng, &code.to_string()).map_err(|error| Failure::error(&error))?;
    let (asked, answer) = (request(&code)?, object("export", Value::Bytes(sealed))?);
    let mut session = meet(reach, timeout, &code).await?;
    let mut requests = session.weft.requests().await?;
    show(&code)?;
    let weft = session.weft.clone();
    let given = async move {
        while let Some(request) = requests.next().await {
            if request.document != asked {
                weft.respond(request.id, Err("nobody answers requests here".into())).await?;
                continue;
            }
            weft.respond(request.id, Ok(answer)).await?;
            weft.flush().await?;
            return Ok(());
        }
        Err(Error::Closed)
    };
    let given: Result<(), End> = match session.until(given).await {
        Ok(given) => given.map_err(End::from),
        Err(stop) => Err(stop.into()),
    };
    session.close().await;
    match given {
        Ok(()) => {
            Line::new().text("outcome", &"taken").print()?;
            Ok(Exit::Done)
        }
        Err(end) => end.unfinished("waiting for the other place", "nobody came with the code"),
    }
}

/// Shows the code: to people as a QR code, too.
fn show(code: &LinkCode) -> Result<(), Failure> {
    if std::io::stderr().is_terminal()
        && let Ok(drawn) = QrCode::with_error_correction_level(code.to_string(), EcLevel::L)
    {
        // Light is drawn: terminals are mostly dark.
        let drawn =
            drawn.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
        eprintln!("{drawn}\n");
    }
    eprintln!(
        "weft: whoever has this code, in the next minutes and once, is you: at the other place, weft link CODE"
    );
    Line::new().text("code", code).print()
}

async fn take(reach: ReachArgs, timeout: Duration, code: &LinkCode) -> Result<Exit, Failure> {
    let directory = reach.keys.directory()?;
    if KeyStore::has_identity(&directory) {
        return Err(Failure::usage(&format!(
            "there is another identity in {}: name another folder for this one, --data FOLDER",
            directory.display()
        )));
    }
    let mut session = meet(reach, timeout, code).await?;
    let (weft, party, mut changes) = (session.weft.clone(), session.party, session.changes());
    let asked = request(code)?;
    let taken = async move {
        let mut refused = Vec::new();
        loop {
            for info in weft.peers(party).await? {
                let (Some(identity), peer) = (info.identity, info.peer) else { continue };
                if refused.contains(&peer) {
                    continue;
                }
                if let Some(sealed) = ask(&weft, identity, peer, asked.clone()).await? {
                    return Ok(sealed);
                }
                refused.push(peer);
            }
            if changes.changed().await.is_err() {
                return Err(Error::Closed);
            }
        }
    };
    let taken: Result<Vec<u8>, End> = match session.until(taken).await {
        Ok(taken) => taken.map_err(End::from),
        Err(stop) => Err(stop.into()),
    };
    session.close().await;
    let sealed = match taken {
        Ok(sealed) => sealed,
        Err(end) => {
            return end
                .unfinished("looking for the other place", "it is not there: it has to wait with the code");
        }
    };
    let export = Export::open(&sealed, &code.to_string()).map_err(|error| Failure::error(&error))?;
    let store = KeyStore::import(directory, &export).map_err(|error| match &error {
        KeyStoreError::Another { .. } => Failure::usage(&error),
        _ => Failure::error(&error),
    })?;
    told(&store, &export)
}

/// Asks one who is in the party; nothing if it does not answer with an export.
async fn ask(
    weft: &Weft,
    identity: IdentityId,
    peer: PeerId,
    request: Document,
) -> Result<Option<Vec<u8>>, Error> {
    let answer = match weft.request(identity, Some(peer), request, PATIENCE).await {
        Ok(answer) => answer.to_value(),
        Err(Error::Request(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let export = answer.as_object().and_then(|answer| answer.get("export"));
    Ok(export.and_then(|export| if let Value::Bytes(bytes) = export { Some(bytes.clone()) } else { None }))
}

/// Shows that one has been given the code.
fn request(code: &LinkCode) -> Result<Document, Failure> {
    object("code", Value::String(code.to_string()))
}

fn object(name: &str, value: Value) -> Result<Document, Failure> {
    let mut object = Object::new();
    object.insert(name, value);
    Document::from_value(&Value::Object(object)).map_err(|error| Failure::error(&error))
}
