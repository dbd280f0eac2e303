//! Tests that a computation leaves nothing of the secret on the stack, by searching the memory of the process.

use std::collections::HashSet;
use std::fs::{File, read_to_string};
use std::hint::black_box;
use std::ops::Range;
use std::os::unix::fs::FileExt;

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

/// Counts the 8-byte pieces of the secret on this thread's stack.
fn traces_of(hidden: &[u8; 32]) -> usize {
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
