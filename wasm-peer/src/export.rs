//! An identity that goes elsewhere, for the package: what `weft_crypto::export` seals and opens, under keys that a module of
//! its own makes of passphrases (docs/adr/0082).

use js_sys::{Array, Uint8Array};
use rand_chacha::ChaCha12Rng;
use rand_core::SeedableRng as _;
use wasm_bindgen::prelude::*;
use weft_crypto::export::{Costs, Export, ExportError, ExportedParty, PASSPHRASE, Recipe};
use weft_crypto::linking::{LinkCode, LinkCodeError};
use weft_crypto::{IdentityKey, Members, Party, PartySecret};
use weft_wire::PartyKey;
use zeroize::Zeroizing;

use crate::face::{id, seed};
use crate::failure::Failure;

/// What Argon2id is to do for the key of an export, or of a new one: KiB of memory, passes, lanes, salt (16 bytes); and the
/// letters that a passphrase has at least.
///
/// # Errors
/// `bad-export`, or `internal` without a source of randomness.
#[wasm_bindgen(js_name = exportRecipe)]
pub fn recipe(export: Option<Vec<u8>>) -> Result<Array, JsValue> {
    let recipe = match export {
        Some(bytes) => Recipe::of(&bytes).map_err(failure)?,
        None => Recipe::new(&mut rng()?),
    };
    let Recipe { costs: Costs { memory, passes, lanes }, salt } = recipe;
    let salt = JsValue::from(Uint8Array::from(&salt[..]));
    let letters = u32::try_from(PASSPHRASE).unwrap_or_default();
    Ok([memory.into(), passes.into(), lanes.into(), salt, letters.into()].into_iter().collect())
}

/// Seals a new export: an identity's seed, its name, and of each private party in turn the key, the seed or no bytes, and an
/// array of statements about its members, of which those go with it that hold. `key` is of a new recipe with this salt.
///
/// # Errors
/// `bad-id`, `too-large`, or `internal` for what is no seed, salt or key, or without a source of randomness.
#[wasm_bindgen(js_name = sealExport)]
pub fn seal(
    salt: &[u8],
    key: &[u8],
    identity: &[u8],
    name: String,
    parties: &Array,
) -> Result<Vec<u8>, JsValue> {
    let identity = seed(identity)?;
    let who = IdentityKey::new(&identity).id();
    let mut exported = Vec::new();
    for [text, own, said] in parties.to_vec().as_chunks::<3>().0 {
        let party = id::<PartyKey>(&text.as_string().unwrap_or_default())?;
        let own = bytes(own);
        let own = if own.is_empty() { None } else { Some(seed(&own)?) };
        let mut members = match &own {
            Some(seed) => Members::found(&PartySecret::new(seed), who, 0),
            None => Members::new(party),
        };
        let said: Vec<Zeroizing<Vec<u8>>> = Array::from(said).iter().map(|said| bytes(&said)).collect();
        members.take(said.iter().map(|said| said.as_slice()));
        let statements = members.statements().map(|(_, said)| said.to_vec()).collect();
        exported.push(ExportedParty { key: party, seed: own, statements });
    }
    let export = Export { identity, name, parties: exported };
    let recipe = Recipe { costs: Costs::default(), salt: fixed(salt)? };
    let key = Zeroizing::new(fixed(key)?);
    export.seal_under(&mut rng()?, &recipe, &key).map_err(|error| failure(error).into())
}

/// Opens an export with the key of its recipe: the identity's seed, the identity, its name, and of each private party in
/// turn the discovery key, the key, the seed or no bytes, and an array of statements about its members.
///
/// # Errors
/// `bad-export`, `wrong-passphrase`, or `internal` for what is no key.
#[wasm_bindgen(js_name = openExport)]
pub fn open(export: &[u8], key: &[u8]) -> Result<Array, JsValue> {
    let key = Zeroizing::new(fixed(key)?);
    let Export { identity, name, parties } = Export::open_under(export, &key).map_err(failure)?;
    let array = |bytes: &[u8]| JsValue::from(Uint8Array::from(bytes));
    let who = IdentityKey::new(&identity).id().to_string();
    let opened = Array::of3(&array(identity.expose()), &who.into(), &name.into());
    for ExportedParty { key, seed, statements } in &parties {
        opened.push(&Party::new(*key).discovery().to_string().into());
        opened.push(&key.to_string().into());
        opened.push(&array(seed.as_ref().map_or(&[][..], |seed| &seed.expose()[..])));
        opened.push(&statements.iter().map(|said| array(said)).collect::<Array>());
    }
    Ok(opened)
}

/// A new code for linking.
///
/// # Errors
/// `internal` without a source of randomness.
#[wasm_bindgen(js_name = linkCode)]
pub fn link_code() -> Result<String, JsValue> {
    Ok(LinkCode::new(&mut rng()?).to_string())
}

/// The key of the party where both sides of a code for linking meet.
///
/// # Errors
/// `bad-code`.
#[wasm_bindgen(js_name = linkParty)]
pub fn link_party(code: &str) -> Result<String, JsValue> {
    let code: Result<LinkCode, LinkCodeError> = code.parse();
    let code = code.map_err(|error| Failure::new("bad-code", error.to_string()))?;
    Ok(code.party().key().to_string())
}

fn failure(error: ExportError) -> Failure {
    let code = match error {
        ExportError::TooLarge => "too-large",
        ExportError::WrongPassphrase => "wrong-passphrase",
        _ => "bad-export",
    };
    Failure::new(code, error.to_string())
}

fn bytes(value: &JsValue) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Uint8Array::new(value).to_vec())
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Failure> {
    bytes.try_into().map_err(|_| Failure::new("internal", format!("not {N} bytes")))
}

fn rng() -> Result<ChaCha12Rng, Failure> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(|_| Failure::new("internal", "the browser gave no random bytes"))?;
    Ok(ChaCha12Rng::from_seed(*seed))
}
