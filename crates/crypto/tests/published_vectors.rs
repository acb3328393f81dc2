//! Published vectors of the primitives, through the functions that everything else here goes through.
//!
//! RFC 7748 (X25519), RFC 8032 (Ed25519), RFC 8439 and draft-irtf-cfrg-xchacha-03 (the ciphers), RFC 9180 (HPKE), and
//! Project Wycheproof's, which know what implementations have got wrong.

// Stand-ins have no published values.
#![cfg(not(weft_simulation))]
#![allow(missing_docs, clippy::unwrap_used)]

use rand_core::{TryCryptoRng, TryRng};
use weft_crypto::primitives::{
    agree, agreement_key, hpke_open, hpke_seal, open, open_random, seal, seal_random, sign, verify,
};
use wycheproof::{TestResult, aead, eddsa, xdh};

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn array<const N: usize>(text: &str) -> [u8; N] {
    hex(text).try_into().unwrap()
}

#[test]
fn p5_rfc_7748_x25519() {
    // Section 5.2.
    for [secret, public, shared] in [
        [
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ],
        [
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ],
    ] {
        assert_eq!(agree(array(secret), array(public)), Some(array(shared)));
    }
    let mut nine = [0; 32];
    nine[0] = 9;
    let (mut secret, mut public) = (nine, nine);
    for round in 1..=1000 {
        (secret, public) = (agree(secret, public).unwrap(), secret);
        if round == 1 {
            assert_eq!(secret, array("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"));
        }
    }
    assert_eq!(secret, array("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"));
    // Section 6.1.
    let alice = array("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    let bob = array("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    let public = agreement_key;
    assert_eq!(public(alice), array("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"));
    assert_eq!(public(bob), array("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"));
    let shared = array("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    assert_eq!((agree(alice, public(bob)), agree(bob, public(alice))), (Some(shared), Some(shared)));
}

#[test]
fn p5_rfc_8032_ed25519() {
    // Section 7.1: TEST 1, 2, 3 and SHA(abc).
    for [secret, public, message, signature] in [
        [
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ],
        [
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ],
        [
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ],
        [
            "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
            "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
        ],
    ] {
        let (id, message, signature) = (array(public), hex(message), array(signature));
        assert_eq!(sign(array(secret), &message), (id, signature));
        assert!(verify(&id, &message, signature));
        let other = [&message[..], b"x"].concat();
        assert!(!verify(&id, &other, signature));
    }
}

const SUNSCREEN: &[u8] =
    b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
sunscreen would be it.";

#[test]
fn p5_rfc_8439_chacha20_poly1305() {
    // Section 2.8.2.
    let key = array("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
    let (nonce, associated) = (array("070000004041424344454647"), hex("50515253c0c1c2c3c4c5c6c7"));
    let sealed = hex(
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691",
    );
    assert_eq!(seal(key, nonce, &associated, SUNSCREEN), sealed);
    assert_eq!(open(key, nonce, &associated, &sealed).as_deref(), Some(SUNSCREEN));
    assert_eq!(open(key, nonce, b"", &sealed), None);
}

#[test]
fn p5_xchacha_draft_03() {
    // Appendix A.3.1.
    let key = array("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
    let associated = hex("50515253c0c1c2c3c4c5c6c7");
    let bytes = hex(
        "404142434445464748494a4b4c4d4e4f5051525354555657bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49",
    );
    assert_eq!(open_random(key, &associated, &bytes).as_deref(), Some(SUNSCREEN));
    assert_eq!(seal_random(&mut Fixed(&bytes[..24]), key, &associated, SUNSCREEN), bytes);
}

#[test]
fn p5_rfc_9180_hpke() {
    // Appendix A.2.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305, base mode; the first message.
    let info = hex("4f6465206f6e2061204772656369616e2055726e");
    let seed = hex("909a9b35d3dc4713a5e72a4da274b55d3d3821a37e5d099e74a647db583a904b");
    let public = array("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a");
    let secret = array("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb");
    let (plain, associated) =
        (hex("4265617574792069732074727574682c20747275746820626561757479"), hex("436f756e742d30"));
    let (encapsulated, sealed) = hpke_seal(&mut Fixed(&seed), public, &info, (&plain, &associated)).unwrap();
    assert_eq!(encapsulated, array("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a"));
    let expected =
        "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28";
    assert_eq!(sealed, hex(expected));
    let opened = |info: &[u8]| hpke_open(secret, &encapsulated, info, (&sealed, &associated));
    assert_eq!(opened(&info), Some(plain));
    assert_eq!(opened(b""), None);
}

#[test]
fn p5_wycheproof_x25519() {
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    let mut agreed = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let (Ok(secret), Ok(public)) =
            (test.private_key[..].try_into(), <[u8; 32]>::try_from(&test.public_key[..]))
        else {
            assert_eq!(test.result, TestResult::Invalid, "test {}", test.tc_id);
            continue;
        };
        let shared = agree(secret, public);
        // Agreements that are all zero are refused; the others are what they have to be.
        if test.shared_secret.iter().all(|byte| *byte == 0) {
            assert_eq!(shared, None, "test {}", test.tc_id);
        } else {
            assert_eq!(
                shared.as_ref().map(<[u8; 32]>::as_slice),
                Some(&test.shared_secret[..]),
                "test {}",
                test.tc_id
            );
            agreed += 1;
        }
    }
    assert!(agreed > 400, "{agreed}");
}

#[test]
fn p5_wycheproof_ed25519() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let mut counts = [0, 0];
    for group in &set.test_groups {
        let key: [u8; 32] = group.key.pk[..].try_into().unwrap();
        for test in &group.tests {
            let verified =
                <[u8; 64]>::try_from(&test.sig[..]).is_ok_and(|signature| verify(&key, &test.msg, signature));
            assert_eq!(verified, test.result == TestResult::Valid, "test {}: {}", test.tc_id, test.comment);
            counts[usize::from(verified)] += 1;
        }
    }
    assert!(counts.iter().all(|count| *count > 50), "{counts:?}");
}

#[test]
fn p5_wycheproof_ciphers() {
    for name in [aead::TestName::ChaCha20Poly1305, aead::TestName::XChaCha20Poly1305] {
        let set = aead::TestSet::load(name).unwrap();
        let mut counts = [0, 0];
        for group in &set.test_groups {
            for test in &group.tests {
                let key: [u8; 32] = test.key[..].try_into().unwrap();
                let sealed = [&test.ct[..], &test.tag[..]].concat();
                let opened = if group.nonce_size == 96 {
                    let nonce = test.nonce[..].try_into().unwrap();
                    open(key, nonce, &test.aad, &sealed)
                } else {
                    // What has a nonce of another length is no packet: its tag cannot be right.
                    open_random(key, &test.aad, &[&test.nonce[..], &sealed].concat())
                };
                let valid = test.result == TestResult::Valid;
                assert_eq!(opened.as_deref(), valid.then_some(&test.pt[..]), "test {}", test.tc_id);
                counts[usize::from(valid)] += 1;
            }
        }
        assert!(counts.iter().all(|count| *count > 30), "{counts:?}");
    }
}

/// A generator of the bytes that a vector says.
struct Fixed<'a>(&'a [u8]);

impl TryRng for Fixed<'_> {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Self::Error> {
        let (bytes, rest) = self.0.split_at(into.len());
        into.copy_from_slice(bytes);
        self.0 = rest;
        Ok(())
    }
}

impl TryCryptoRng for Fixed<'_> {}
