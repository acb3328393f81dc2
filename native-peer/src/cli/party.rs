//! `weft party`: private parties and their members.

use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand, ValueEnum};
use weft_native_peer::{Grant, IdentityId, Invitation, MemberDeed, Role};

use super::exit::{Exit, Failure};
use super::output::Line;
use super::session::{End, Session};
use super::{KeyArgs, Named, NetworkArgs, parse_seconds};

/// How long others in the party are looked for, to tell them.
const LOOK: Duration = Duration::from_secs(3);

#[derive(Debug, Subcommand)]
pub(crate) enum PartyCommand {
    /// Make a private party, whose admin you are, and print its key. Nothing is sent.
    Create(CreateArgs),
    /// Print an invitation, which admits one member.
    Invite(InviteArgs),
    /// Show the members as far as is known here, one JSON line each.
    Members(MembersArgs),
    /// Remove a member: it reads and publishes nothing from then on.
    Remove(RemoveArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    keys: KeyArgs,
}

#[derive(Debug, Args)]
pub(crate) struct InviteArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// What the new member may do: a reader reads, a writer publishes, too, an admin invites and removes.
    #[arg(long, default_value = "writer")]
    role: RoleArg,
    /// Seconds after which the invitation ends.
    #[arg(long, value_name = "S", value_parser = parse_seconds, default_value = "604800")]
    expires: Duration,
    /// The new member reads only what is published after its admission.
    #[arg(long)]
    no_history: bool,
    /// Go on letting in whoever was invited, until interrupted.
    #[arg(long)]
    stay: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MembersArgs {
    #[command(flatten)]
    network: NetworkArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    #[command(flatten)]
    network: NetworkArgs,
    /// Whom.
    #[arg(value_name = "IDENTITY")]
    member: IdentityId,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleArg {
    Reader,
    Writer,
    Admin,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Reader => Self::Reader,
            RoleArg::Writer => Self::Writer,
            RoleArg::Admin => Self::Admin,
        }
    }
}

pub(crate) fn create(args: &CreateArgs) -> Result<Exit, Failure> {
    let secret = args.keys.store()?.create_party().map_err(|error| Failure::error(&error))?;
    Line::new().text("party", &secret.key()).print()?;
    Ok(Exit::Done)
}

pub(crate) async fn invite(args: InviteArgs) -> Result<Exit, Failure> {
    let Named::Key(key) = args.network.party.party else {
        return Err(Failure::usage(&"a party is named by its key (z6Mk…) here"));
    };
    let mut secret = [0; 16];
    getrandom::fill(&mut secret)
        .map_err(|error| Failure::error(&format!("the operating system gives no randomness: {error}")))?;
    let invitation = Invitation::with_secret(key, secret);
    let mut session = start(&args.network).await?;
    let grant = Grant { role: args.role.into(), history: !args.no_history };
    let until = now().saturating_add(u64::try_from(args.expires.as_millis()).unwrap_or(u64::MAX));
    let deed = MemberDeed::Invite { invitation: invitation.clone(), grant, until };
    let said = say(&mut session, deed).await;
    let result = match said {
        Ok(()) => {
            let line = Line::new().text("invitation", &invitation);
            line.text("role", &grant.role.name()).number("until", until).print().map_err(End::from)
        }
        Err(end) => Err(end),
    };
    let result = match result {
        Ok(()) if args.stay => session.until(std::future::pending::<()>()).await.map_err(End::from),
        result => result,
    };
    session.close().await;
    match result {
        Ok(()) => Ok(Exit::Done),
        Err(end) if args.stay => end.endless(),
        Err(end) => end.unfinished("inviting", "it was not done in time"),
    }
}

pub(crate) async fn members(args: MembersArgs) -> Result<Exit, Failure> {
    let mut session = start(&args.network).await?;
    let result = async {
        meet(&mut session).await?;
        let members = session.weft.members(session.party).await?;
        let mut members: Vec<_> = members.roles().collect();
        members.sort_by_key(|(member, role)| (std::cmp::Reverse(*role), *member));
        for (member, role) in members {
            Line::new().text("identity", &member).text("role", &role.name()).print()?;
        }
        Ok(Exit::Done)
    };
    let result: Result<Exit, End> = result.await;
    session.close().await;
    result.or_else(|end| end.unfinished("looking around", "nobody is there"))
}

pub(crate) async fn remove(args: RemoveArgs) -> Result<Exit, Failure> {
    let mut session = start(&args.network).await?;
    let result = async {
        // There may be news of who is one.
        look(&mut session, args.member).await?;
        say(&mut session, MemberDeed::Remove { member: args.member }).await
    };
    let result: Result<(), End> = result.await;
    session.close().await;
    match result {
        Ok(()) => Ok(Exit::Done),
        Err(end) => end.unfinished("removing a member", "it was not done in time"),
    }
}

/// A session in a party that is private and has to be one already.
async fn start(network: &NetworkArgs) -> Result<Session, Failure> {
    match network.party.party {
        Named::Key(key) if network.reach.keys.store()?.is_private(key) => Session::start(network, None).await,
        _ => Err(Failure::usage(
            &"not a private party of this identity: make one with `weft party create`, or join one by its invitation",
        )),
    }
}

/// Says something, so that it is known after a restart and to those who are there.
async fn say(session: &mut Session, deed: MemberDeed) -> Result<(), End> {
    session.weft.say(session.party, deed).await?;
    let stored = session.weft.clone();
    session.until(async move { stored.stored().await }).await??;
    meet(session).await
}

/// Looks for others for a while, so that each side knows what the other does.
async fn meet(session: &mut Session) -> Result<(), End> {
    let (weft, party) = (session.weft.clone(), session.party);
    let met = session.until(async move { tokio::time::timeout(LOOK, weft.met(party)).await });
    Ok(met.await?.unwrap_or(Ok(()))?)
}

/// Looks for a while for others, and for one who knows of a member that is not known here.
async fn look(session: &mut Session, member: IdentityId) -> Result<(), End> {
    let (weft, party, mut changes) = (session.weft.clone(), session.party, session.changes());
    let learnt = async move {
        weft.met(party).await?;
        while weft.members(party).await?.role(&member).is_none() && changes.changed().await.is_ok() {}
        Ok::<_, weft_native_peer::Error>(())
    };
    let looked = session.until(tokio::time::timeout(LOOK, learnt));
    Ok(looked.await?.unwrap_or(Ok(()))?)
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
