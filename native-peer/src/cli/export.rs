//! `weft export` and `weft import`.

use std::fs::File;
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use weft_crypto::export::{EXPORT, Export, ExportError, PASSPHRASE, Recipe};
use weft_native_peer::keystore::{KeyStore, KeyStoreError};
use zeroize::Zeroizing;

use super::KeyArgs;
use super::exit::{Exit, Failure};
use super::output::Line;

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// The file to make, or - for standard output.
    file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// The file that was exported, or - for standard input.
    file: PathBuf,
}

#[derive(Debug, Args)]
struct PassphraseArgs {
    /// Read the passphrase from the first line of this file, rather than asking for it.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

pub(crate) fn export(args: &ExportArgs) -> Result<Exit, Failure> {
    let store = args.keys.existing_store()?;
    // Before anybody thinks of a passphrase; it is refused again when the file is made.
    if !is_stream(&args.file) && args.file.exists() {
        return Err(Failure::error(&format!("{} is there already, and stays as it is", args.file.display())));
    }
    let passphrase = args.passphrase.read(true)?;
    let export = store.export().map_err(|error| Failure::error(&error))?;
    let mut rng = weft_native_peer::keystore::rng().map_err(|error| Failure::error(&error))?;
    let sealed = export.seal(&mut rng, &passphrase).map_err(|error| Failure::error(&error))?;
    if is_stream(&args.file) {
        let mut out = std::io::stdout().lock();
        if out.is_terminal() {
            return Err(Failure::usage(&"an export is no text: name a file"));
        }
        out.write_all(&sealed).and_then(|()| out.flush()).map_err(|error| Failure::error(&error))?;
        return Ok(Exit::Done);
    }
    weft_native_peer::keystore::write_new(&args.file, &sealed).map_err(|error| Failure::error(&error))?;
    told(&store, &export)
}

pub(crate) fn import(args: &ImportArgs) -> Result<Exit, Failure> {
    let file = |error: std::io::Error| Failure::error(&format!("{}: {error}", args.file.display()));
    let mut sealed = Vec::new();
    let most = EXPORT as u64 + 1;
    if is_stream(&args.file) {
        std::io::stdin().lock().take(most).read_to_end(&mut sealed).map_err(file)?;
    } else {
        File::open(&args.file).and_then(|file| file.take(most).read_to_end(&mut sealed)).map_err(file)?;
    }
    Recipe::of(&sealed).map_err(|error| Failure::error(&error))?;
    let passphrase = args.passphrase.read(false)?;
    let export = Export::open(&sealed, &passphrase).map_err(|error| Failure::error(&error))?;
    let store = KeyStore::import(args.keys.directory()?, &export).map_err(|error| match &error {
        KeyStoreError::Another { .. } => Failure::usage(&error),
        _ => Failure::error(&error),
    })?;
    told(&store, &export)
}

/// One line about what was exported or imported.
pub(super) fn told(store: &KeyStore, export: &Export) -> Result<Exit, Failure> {
    let identity = store.identity().map_err(|error| Failure::error(&error))?.id();
    let line = Line::new().text("identity", &identity).text("name", &export.name);
    line.number("parties", export.parties.len() as u64).text("data", &store.directory().display()).print()?;
    Ok(Exit::Done)
}

fn is_stream(path: &Path) -> bool {
    path == Path::new("-")
}

impl PassphraseArgs {
    /// From the file, or from who sits at the terminal: twice if it is `new`, and long enough.
    fn read(&self, new: bool) -> Result<Zeroizing<String>, Failure> {
        if let Some(path) = &self.passphrase_file {
            let failed = |error| Failure::error(&format!("{}: {error}", path.display()));
            let mut text = Zeroizing::new(String::new());
            File::open(path).and_then(|file| file.take(4096).read_to_string(&mut text)).map_err(failed)?;
            return Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()));
        }
        let ask = |prompt: &str| {
            rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|error| {
                Failure::usage(&format!(
                    "no terminal to ask for the passphrase ({error}): use --passphrase-file"
                ))
            })
        };
        if !new {
            return ask("Passphrase of the export: ");
        }
        let passphrase = ask(&format!("A passphrase of at least {PASSPHRASE} letters: "))?;
        if passphrase.chars().count() < PASSPHRASE {
            return Err(Failure::usage(&ExportError::ShortPassphrase));
        }
        if *ask("Once more: ")? != *passphrase {
            return Err(Failure::usage(&"these were two different passphrases; nothing was exported"));
        }
        Ok(passphrase)
    }
}
