//! Mutual authentication with the secret, as state machines over bytes, without sockets or clocks.
//!
//! 1. server: `"AZIPC" 0x01 || server_nonce`
//! 2. client: `"AZIPC" 0x01 || client_nonce || HMAC(secret, "AZIPC/1 client" || server_nonce || client_nonce)`
//! 3. server: `HMAC(secret, "AZIPC/1 server" || server_nonce || client_nonce)`
//!
//! The two labels prevent reflection of a proof to its sender; the two nonces prevent replay.

use hmac::{Hmac, KeyInit, Mac as _};
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::error::{Error, Result};
use crate::secret::Secret;

/// The magic bytes that both sides send first: the protocol's name and its version.
pub const MAGIC: [u8; 6] = *b"AZIPC\x01";

/// Bytes of a nonce. 32: none ever repeats.
pub const NONCE_LENGTH: usize = 32;

/// Bytes of an HMAC-SHA256.
pub const MAC_LENGTH: usize = 32;

/// Bytes of the server's first message.
pub const HELLO_LENGTH: usize = MAGIC.len() + NONCE_LENGTH;

/// Bytes of the client's message.
pub const CLIENT_PROOF_LENGTH: usize = MAGIC.len() + NONCE_LENGTH + MAC_LENGTH;

type Nonce = [u8; NONCE_LENGTH];
type Mac = [u8; MAC_LENGTH];

/// The server's side: sends a hello, checks the client's proof, answers with its own.
#[derive(Debug)]
pub struct ServerHandshake {
    server_nonce: Nonce,
}

impl ServerHandshake {
    /// A handshake with a fresh nonce.
    ///
    /// # Errors
    ///
    /// [`Error::System`] if the operating system has no generator.
    pub fn new() -> Result<Self> {
        Ok(Self::with_nonce(fresh_nonce()?))
    }

    /// A handshake with a given nonce, for test vectors.
    pub fn with_nonce(server_nonce: Nonce) -> Self {
        Self { server_nonce }
    }

    /// The first message.
    pub fn hello(&self) -> [u8; HELLO_LENGTH] {
        join([&MAGIC, &self.server_nonce])
    }

    /// Checks the client's proof.
    ///
    /// # Returns
    ///
    /// The last message: the server's own proof.
    ///
    /// # Errors
    ///
    /// [`Error::Handshake`] if the client speaks something else or does not know the secret.
    pub fn verify(self, secret: &Secret, proof: &[u8; CLIENT_PROOF_LENGTH]) -> Result<Mac> {
        let (client_nonce, client_mac) = split_after_magic(proof, "client")?;
        let expected = mac(secret, CLIENT_LABEL, &self.server_nonce, &client_nonce);
        if !bool::from(expected.ct_eq(client_mac)) {
            return Err(handshake_error("the client does not know the secret"));
        }
        Ok(mac(secret, SERVER_LABEL, &self.server_nonce, &client_nonce))
    }
}

/// The client's side: answers the hello with its proof, checks the server's.
#[derive(Debug)]
pub struct ClientHandshake {
    client_nonce: Nonce,
}

impl ClientHandshake {
    /// A handshake with a fresh nonce.
    ///
    /// # Errors
    ///
    /// [`Error::System`] if the operating system has no generator.
    pub fn new() -> Result<Self> {
        Ok(Self::with_nonce(fresh_nonce()?))
    }

    /// A handshake with a given nonce, for test vectors.
    pub fn with_nonce(client_nonce: Nonce) -> Self {
        Self { client_nonce }
    }

    /// Answers the server's hello.
    ///
    /// # Returns
    ///
    /// The client's proof, to be sent, and the check of the server's proof.
    ///
    /// # Errors
    ///
    /// [`Error::Handshake`] if the server speaks something else.
    pub fn answer(
        self,
        secret: &Secret,
        hello: &[u8; HELLO_LENGTH],
    ) -> Result<([u8; CLIENT_PROOF_LENGTH], ExpectedServerProof)> {
        let (server_nonce, _) = split_after_magic(hello, "server")?;
        let client_mac = mac(secret, CLIENT_LABEL, &server_nonce, &self.client_nonce);
        let expected = mac(secret, SERVER_LABEL, &server_nonce, &self.client_nonce);
        Ok((join([&MAGIC, &self.client_nonce, &client_mac]), ExpectedServerProof { expected }))
    }
}

/// The proof that the server must send before the client trusts it.
#[derive(Debug)]
pub struct ExpectedServerProof {
    expected: Mac,
}

impl ExpectedServerProof {
    /// Checks the server's proof.
    ///
    /// # Errors
    ///
    /// [`Error::Handshake`] if the server does not know the secret.
    pub fn verify(self, server_mac: &Mac) -> Result<()> {
        if bool::from(self.expected.ct_eq(server_mac)) {
            Ok(())
        } else {
            Err(handshake_error("the server does not know the secret"))
        }
    }
}

const CLIENT_LABEL: &[u8] = b"AZIPC/1 client";
const SERVER_LABEL: &[u8] = b"AZIPC/1 server";

fn fresh_nonce() -> Result<Nonce> {
    let mut nonce = [0; NONCE_LENGTH];
    SysRng.try_fill_bytes(&mut nonce).map_err(|_| Error::system("could not make a nonce", rustix::io::Errno::NOSYS))?;
    Ok(nonce)
}

fn mac(secret: &Secret, label: &[u8], server_nonce: &Nonce, client_nonce: &Nonce) -> Mac {
    secret.with_key_scrubbed(|key| {
        #[allow(clippy::expect_used, reason = "HMAC takes keys of every length, and no peer has a say in ours")]
        let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
        hmac.update(label);
        hmac.update(server_nonce);
        hmac.update(client_nonce);
        hmac.finalize().into_bytes().into()
    })
}

/// Splits a message into its nonce and the rest, after checking its magic bytes.
fn split_after_magic<'a>(bytes: &'a [u8], speaker: &str) -> Result<(Nonce, &'a [u8])> {
    let name = MAGIC.len() - 1;
    match bytes.split_at_checked(MAGIC.len()) {
        Some((magic, rest)) if magic == MAGIC => {
            let (nonce, rest) = rest.split_first_chunk().ok_or_else(|| handshake_error("its message is too short"))?;
            Ok((*nonce, rest))
        }
        Some((magic, _)) if magic.get(..name) == MAGIC.get(..name) => Err(handshake_error(&format!(
            "the {speaker} speaks version {} of the protocol, and this side version 1",
            magic.last().copied().unwrap_or_default()
        ))),
        _ => Err(handshake_error(&format!("the {speaker} does not speak this protocol"))),
    }
}

fn join<const LENGTH: usize, const PARTS: usize>(parts: [&[u8]; PARTS]) -> [u8; LENGTH] {
    let mut joined = [0; LENGTH];
    let bytes = parts.into_iter().flatten();
    joined.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
    joined
}

fn handshake_error(reason: &str) -> Error {
    Error::Handshake { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> Secret {
        Secret::from_bytes(&[byte; 32]).unwrap()
    }

    fn exchange(server: &Secret, client: &Secret) -> Result<()> {
        let server_side = ServerHandshake::new()?;
        let (proof, expected) = ClientHandshake::new()?.answer(client, &server_side.hello())?;
        expected.verify(&server_side.verify(server, &proof)?)
    }

    #[test]
    fn two_sides_that_share_the_secret_believe_each_other() {
        assert_eq!(exchange(&secret(1), &secret(1)), Ok(()));
    }

    #[test]
    fn a_client_without_the_secret_is_refused() {
        assert_eq!(exchange(&secret(1), &secret(2)), Err(handshake_error("the client does not know the secret")));
    }

    #[test]
    fn a_server_without_the_secret_is_refused() {
        let (_, expected) =
            ClientHandshake::new().unwrap().answer(&secret(1), &ServerHandshake::new().unwrap().hello()).unwrap();
        assert_eq!(expected.verify(&[0; MAC_LENGTH]), Err(handshake_error("the server does not know the secret")));
    }

    #[test]
    fn a_proof_serves_in_no_other_handshake() {
        let first = ServerHandshake::new().unwrap();
        let (proof, _) = ClientHandshake::new().unwrap().answer(&secret(1), &first.hello()).unwrap();
        assert!(ServerHandshake::new().unwrap().verify(&secret(1), &proof).is_err());
    }

    #[test]
    fn a_proof_does_not_serve_in_the_other_direction() {
        let server_side = ServerHandshake::with_nonce([9; NONCE_LENGTH]);
        let (proof, expected) =
            ClientHandshake::with_nonce([9; NONCE_LENGTH]).answer(&secret(1), &server_side.hello()).unwrap();
        let reflected = proof.last_chunk().unwrap();
        assert!(expected.verify(reflected).is_err());
    }

    #[test]
    fn each_single_flipped_bit_of_a_proof_is_refused() {
        let server_nonce = [3; NONCE_LENGTH];
        let hello = ServerHandshake::with_nonce(server_nonce).hello();
        let (proof, _) = ClientHandshake::new().unwrap().answer(&secret(1), &hello).unwrap();
        for bit in 0..proof.len() * 8 {
            let mut flipped = proof;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(ServerHandshake::with_nonce(server_nonce).verify(&secret(1), &flipped).is_err(), "bit {bit}");
        }
        assert!(ServerHandshake::with_nonce(server_nonce).verify(&secret(1), &proof).is_ok());
    }

    #[test]
    fn another_version_is_named_and_another_protocol_is_called_so() {
        let mut hello = ServerHandshake::new().unwrap().hello();
        hello[5] = 2;
        let error = ClientHandshake::new().unwrap().answer(&secret(1), &hello).unwrap_err();
        assert_eq!(error, handshake_error("the server speaks version 2 of the protocol, and this side version 1"));
        hello[0] = b'H';
        let error = ClientHandshake::new().unwrap().answer(&secret(1), &hello).unwrap_err();
        assert_eq!(error, handshake_error("the server does not speak this protocol"));
    }
}
