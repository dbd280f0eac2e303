//! A secret leaves nothing on the stack once something was computed from it, and neither does the state of HMAC's hashes
//! behind their first block, which serves a forger as well as the secret.

use std::collections::HashSet;
use std::fs::{File, read_to_string};
use std::hint::black_box;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use sha2::block_api::compress256;

use super::Secret;

const PAGE: usize = 4096;

#[test]
fn a_computation_leaves_nothing_of_the_secret_on_the_stack() {
    let secret = Secret::generate().unwrap();
    let hidden = hidden(&secret);
    deep_down_the_stack(|| secret.with_key_scrubbed(careless));
    assert_eq!(traces_of(&hidden), 0);
}

#[test]
fn what_is_left_on_the_stack_is_found() {
    let secret = Secret::generate().unwrap();
    let hidden = hidden(&secret);
    deep_down_the_stack(|| careless(secret.bytes.as_slice()));
    assert!(traces_of(&hidden) > 0);
}

#[test]
fn a_mac_leaves_no_state_of_its_hashes_on_the_stack() {
    let secret = Secret::generate().unwrap();
    let hidden = secret.with_key_scrubbed(hidden_states);
    deep_down_the_stack(|| {
        black_box(secret.with_key_scrubbed(mac));
    });
    assert_eq!(traces_of(&hidden), 0);
}

#[test]
fn a_state_that_is_left_on_the_stack_is_found() {
    let secret = Secret::generate().unwrap();
    let hidden = secret.with_key_scrubbed(hidden_states);
    deep_down_the_stack(|| {
        black_box(states(secret.bytes.as_slice()));
    });
    assert!(traces_of(&hidden) > 0);
}

fn mac(key: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(b"a message");
    mac.finalize().into_bytes().into()
}

/// The states of both hashes of HMAC behind the block that is made of the key.
#[inline(never)]
fn states(key: &[u8]) -> [[u32; 8]; 2] {
    [0x36, 0x5c].map(|pad| {
        let block: [u8; 64] = std::array::from_fn(|place| key.get(place).unwrap_or(&0) ^ pad);
        let mut state = START;
        compress256(&mut state, &[block]);
        black_box(state)
    })
}

/// The state with which SHA-256 begins (FIPS 180-4, 5.3.3).
const START: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The order in which the processor's own instructions for SHA-256 keep the words of a state.
const PROCESSOR_ORDER: [usize; 8] = [5, 4, 1, 0, 7, 6, 3, 2];

/// The states as they may be in memory, with each bit inverted, so that the test itself has no copy: as words, as the
/// processor's instructions take them, and as bytes of a digest.
fn hidden_states(key: &[u8]) -> Vec<u8> {
    let layouts = states(key).map(|state| {
        let words = state.map(u32::to_ne_bytes);
        let processors = PROCESSOR_ORDER.map(|place| words[place]);
        [words, processors, state.map(u32::to_be_bytes)]
    });
    layouts.as_flattened().as_flattened().as_flattened().iter().map(|byte| !black_box(*byte)).collect()
}

/// Leaves a copy of the key in its stack frame.
#[inline(never)]
fn careless(bytes: &[u8]) {
    let copy: [u8; 32] = bytes.try_into().unwrap();
    black_box(&copy);
}

/// Runs `work` so deep in the stack that the search, which runs afterwards, overwrites nothing of it.
#[inline(never)]
fn deep_down_the_stack(work: impl FnOnce()) {
    let room = black_box([0_u8; 64 * 1024]);
    work();
    black_box(&room);
}

/// The secret with every bit inverted, byte by byte, so that the test itself holds no copy.
fn hidden(secret: &Secret) -> [u8; 32] {
    let bytes = secret.bytes.as_slice();
    std::array::from_fn(|place| !black_box(bytes[place]))
}

/// Counts the runs of eight bytes of this thread's stack that are in the inverted bytes.
fn traces_of(hidden: &[u8]) -> usize {
    let wanted: HashSet<u64> = hidden.chunks(8).map(word).collect();
    let memory = File::open("/proc/self/mem").unwrap();
    let mut page = [0; PAGE];
    let mut found = 0;
    for address in mapping_of(&raw const page as u64).step_by(PAGE) {
        memory.read_exact_at(&mut page, address).unwrap();
        if page.iter().all(|byte| *byte == 0) {
            continue;
        }
        found += page.windows(8).filter(|window| wanted.contains(&!word(window))).count();
    }
    found
}

/// The address range of the mapping that contains `address`.
fn mapping_of(address: u64) -> Range<u64> {
    let maps = read_to_string("/proc/self/maps").unwrap();
    let ranges = maps.lines().filter_map(|line| line.split(' ').next()?.split_once('-'));
    ranges
        .map(|(start, end)| u64::from_str_radix(start, 16).unwrap()..u64::from_str_radix(end, 16).unwrap())
        .find(|range| range.contains(&address))
        .unwrap()
}

fn word(bytes: &[u8]) -> u64 {
    u64::from_ne_bytes(bytes.try_into().unwrap())
}
