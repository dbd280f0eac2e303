//! Fuzzes the messages of the other side in a handshake: only those of an honest one are accepted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zen_ipc::Secret;
use zen_ipc::protocol::handshake::{
    CLIENT_PROOF_LENGTH, ClientHandshake, HELLO_LENGTH, MAC_LENGTH, MAGIC, NONCE_LENGTH, ServerHandshake,
};

// As a server's input the first bytes are a client's proof. As a client's input they are a server's hello and proof.
fuzz_target!(|bytes: &[u8]| {
    bytes.first_chunk().map(server_hears);
    bytes.split_first_chunk().and_then(|(hello, rest)| rest.first_chunk().map(|proof| client_hears(hello, proof)));
});

/// The secret of the vectors in docs/protocol.md, as are the nonces: the corpus begins with them.
fn secret() -> Secret {
    Secret::from_bytes(&sequence::<32>(0)).unwrap()
}

fn server_hears(proof: &[u8; CLIENT_PROOF_LENGTH]) {
    let server = || ServerHandshake::with_nonce(sequence(0x20));
    let client_nonce: [u8; NONCE_LENGTH] = *proof[MAGIC.len()..].first_chunk().unwrap();
    let honest = ClientHandshake::with_nonce(client_nonce).answer(&secret(), &server().hello()).unwrap();
    assert_eq!(server().verify(&secret(), proof).is_ok(), *proof == honest.0);
}

fn client_hears(hello: &[u8; HELLO_LENGTH], proof: &[u8; MAC_LENGTH]) {
    let (magic, server_nonce) = hello.split_first_chunk().unwrap();
    let answer = ClientHandshake::with_nonce(sequence(0x40)).answer(&secret(), hello);
    assert_eq!(answer.is_ok(), *magic == MAGIC);
    let Ok((client_proof, expected)) = answer else { return };
    let server = ServerHandshake::with_nonce(server_nonce.try_into().unwrap());
    assert_eq!(expected.verify(proof).is_ok(), server.verify(&secret(), &client_proof).as_ref() == Ok(proof));
}

fn sequence<const LENGTH: usize>(first: u8) -> [u8; LENGTH] {
    std::array::from_fn(|index| first + index as u8)
}
