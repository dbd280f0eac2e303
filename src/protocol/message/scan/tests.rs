//! Tests of the scanner: the texts it accepts, and where their elements are.

use super::*;
use proptest::prelude::*;
use serde_json::value::RawValue;

fn texts(body: &str) -> Option<Vec<&str>> {
    let elements = elements::<3>(body.as_bytes()).unwrap()?;
    Some((0..elements.count()).map(|index| elements.text(index)).collect())
}

fn is_json(body: &[u8]) -> bool {
    elements::<3>(body).is_ok()
}

#[test]
fn elements_come_without_the_white_space_around_them() {
    assert_eq!(texts(" [ 1 ,\t\"a\" , {\"b\" : [2]}\r\n] "), Some(vec!["1", "\"a\"", "{\"b\" : [2]}"]));
    assert_eq!(texts("[]"), Some(vec![]));
    assert_eq!(texts("[ ]"), Some(vec![]));
}

#[test]
fn what_is_no_array_or_too_long_a_one_has_no_elements() {
    for body in ["1", "{}", "\"a\"", "null", "[1,2,3,4]"] {
        assert_eq!(texts(body), None, "{body}");
    }
}

#[test]
fn numbers_are_those_of_json() {
    for number in ["0", "-0", "10", "1.5", "-1.50e+7", "1E-2", "123456789012345678901234567890", "1e999"] {
        assert!(is_json(number.as_bytes()), "{number}");
    }
    for number in ["01", "-", "+1", "1.", ".5", "1e", "1e+", "0x1", "--1", "Infinity", "NaN"] {
        assert!(!is_json(number.as_bytes()), "{number}");
    }
}

#[test]
fn strings_are_those_of_json_wherever_the_odd_byte_stands() {
    for length in 0..40 {
        let plain = "a".repeat(length);
        for tail in ["", "\\n", "\\u00e9", "é", "\u{7f}", "\\ud800"] {
            assert!(is_json(format!("\"{plain}{tail}{plain}\"").as_bytes()), "{plain}{tail}");
        }
        for tail in ["\n", "\u{0}", "\\x", "\\u12g4", "\""] {
            assert!(!is_json(format!("\"{plain}{tail}{plain}\"").as_bytes()), "{plain}{tail}");
        }
        assert!(!is_json(format!("\"{plain}").as_bytes()));
        assert!(!is_json(format!("\"{plain}\\").as_bytes()));
    }
}

#[test]
fn bytes_that_are_not_utf8_are_not_json() {
    assert!(!is_json(b"[\"\xff\"]"));
}

proptest! {
    #[test]
    fn the_plain_bytes_of_a_word_are_those_before_the_first_special_one(word in any::<[u8; 8]>(), byte in 0usize..8, special in 0u8..0x23) {
        let mut word = word;
        if let Some(place) = word.get_mut(byte) {
            *place = special;
        }
        let first = word.iter().position(|byte| needs_escape(*byte)).unwrap_or(8);
        prop_assert_eq!(unescaped_len(word), first);
    }

    #[test]
    fn it_takes_what_serde_json_takes(body in r#"[\[\]{}",:0-2eE.\\utrfalsn /+-]{0,24}"#) {
        let theirs = serde_json::from_str::<&RawValue>(&body).is_ok();
        prop_assert_eq!(is_json(body.as_bytes()), theirs, "{}", body);
    }

    #[test]
    fn one_wrong_byte_is_found_where_serde_json_finds_it(place in 0usize..90, byte in any::<u8>()) {
        let mut body = br#"["17","check",[{"a":"b\n","c":[1.5e3,-2,true]},null,"\u00e9"],{"k":false},{"t":100}]"#.to_vec();
        if let Some(old) = body.get_mut(place) {
            *old = byte;
        }
        prop_assert_eq!(is_json(&body), serde_json::from_slice::<&RawValue>(&body).is_ok());
    }
}
