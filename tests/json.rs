//! The JSON reader beside serde_json: both accept the same texts, and read the same values from them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;
use zen_ipc::json::{Reader, SyntaxError, Token};

/// A value that was read; a Float is its bits.
#[derive(Debug, PartialEq)]
enum Json {
    Null,
    Boolean(bool),
    Integer(i64),
    BigInteger(String),
    Float(u64),
    String(String),
    Array(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

fn read(text: &str) -> Result<Json, String> {
    let mut reader = Reader::new(text);
    let value = read_value(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| reader.describe(&error))
}

fn read_value(reader: &mut Reader<'_>) -> Result<Json, SyntaxError> {
    if let Some(text) = reader.unescaped_string() {
        return Ok(Json::String(text.to_owned()));
    }
    Ok(match reader.token()? {
        Token::Null => Json::Null,
        Token::Boolean(boolean) => Json::Boolean(boolean),
        Token::Integer(integer) => Json::Integer(integer),
        Token::BigInteger(digits) => Json::BigInteger(digits.to_owned()),
        Token::Float(float) => Json::Float(float.to_bits()),
        Token::String(text) => Json::String(text.into_owned()),
        Token::Array => {
            let mut elements = Vec::new();
            while reader.has_element(elements.is_empty())? {
                elements.push(read_value(reader)?);
            }
            Json::Array(elements)
        }
        Token::Object => {
            let mut entries = BTreeMap::new();
            let mut is_first = true;
            while let Some(key) = reader.key(is_first)? {
                entries.insert(key.into_owned(), read_value(reader)?);
                is_first = false;
            }
            Json::Object(entries)
        }
    })
}

fn read_by_serde(text: &str) -> Option<Json> {
    serde_json::from_str(text).ok().map(from_serde)
}

fn from_serde(value: Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(boolean) => Json::Boolean(boolean),
        Value::Number(number) => from_digits(number.as_str()),
        Value::String(text) => Json::String(text),
        Value::Array(elements) => Json::Array(elements.into_iter().map(from_serde).collect()),
        Value::Object(entries) => {
            Json::Object(entries.into_iter().map(|(key, value)| (key, from_serde(value))).collect())
        }
    }
}

fn from_digits(digits: &str) -> Json {
    if digits.contains(['.', 'e', 'E']) {
        return Json::Float(digits.parse().unwrap_or(f64::NAN).to_bits());
    }
    digits.parse().map_or_else(|_| Json::BigInteger(digits.to_owned()), Json::Integer)
}

/// Texts of values of every kind, with spaces and escapes in every place that may have them.
fn texts() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        4 => any::<char>().prop_filter("is not written as it is", |c| !matches!(c, '"' | '\\' | '\0'..='\x1F'))
            .prop_map(String::from),
        4 => "[ -!#-\\[\\]-~]{1,40}",
        1 => r#"\\["\\/bfnrt]"#,
        1 => any::<char>().prop_map(|c| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()),
    ];
    let string = prop::collection::vec(character, 0..8).prop_map(|parts| format!("\"{}\"", parts.concat()));
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        "-?(0|[1-9][0-9]{0,25})",
        "-?(0|[1-9][0-9]{0,5})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
        string.clone(),
    ];
    scalar.prop_recursive(4, 64, 8, move |inner| {
        let entry = (string.clone(), "[ \n\r\t]{0,2}", inner.clone());
        let entry = entry.prop_map(|(key, space, value)| format!("{key}{space}:{space}{value}"));
        prop_oneof![
            (prop::collection::vec(inner, 0..8), "[ \n\r\t]{0,2}")
                .prop_map(|(elements, space)| format!("[{}{space}]", elements.join(&format!(",{space}")))),
            (prop::collection::vec(entry, 0..8), "[ \n\r\t]{0,2}")
                .prop_map(|(entries, space)| format!("{space}{{{}{space}}}{space}", entries.join(","))),
        ]
    })
}

proptest! {
    #[test]
    fn a_text_is_read_as_serde_json_reads_it(text in texts()) {
        let expected = read_by_serde(&text);
        prop_assert!(expected.is_some());
        prop_assert_eq!(read(&text).ok(), expected);
    }

    #[test]
    fn a_damaged_text_is_refused_if_serde_json_refuses_it(
        text in texts(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), "[\\[\\]{}:,\"\\\\0-9a-fu.eE+ \n\x01-]?"), 1..4),
    ) {
        let mut characters: Vec<String> = text.chars().map(String::from).collect();
        for (index, damage) in damages {
            *index.get_mut(&mut characters) = damage;
        }
        let text = characters.concat();
        prop_assert_eq!(read(&text).ok(), read_by_serde(&text));
    }

    #[test]
    fn any_text_at_all_is_refused_if_serde_json_refuses_it(text in ".{0,40}") {
        prop_assert_eq!(read(&text).ok(), read_by_serde(&text));
    }
}

#[test]
fn a_string_ends_at_its_quote_wherever_that_is() {
    for length in 0..300 {
        for special in ["\\n", "\\u00e9", "é", "\u{1}", ""] {
            let text = format!("\"{}{special}{}\" ", "x".repeat(length), "y".repeat(300 - length));
            assert_eq!(read(&text).ok(), read_by_serde(&text), "{text}");
        }
    }
}

#[test]
fn an_error_says_what_is_wrong_and_where() {
    for (text, error) in [
        ("[1,\n 2 3]", "expected `,` or `]` at line 2 column 4"),
        ("{\"a\":1 2}", "expected `,` or `}` at line 1 column 8"),
        ("{\"a\" 1}", "expected `:` at line 1 column 6"),
        ("{1:2}", "expected a key at line 1 column 2"),
        ("[1,]", "expected a value at line 1 column 4"),
        ("\n\n-", "expected a digit at line 3 column 2"),
        ("[\"a", "a string without an end at line 1 column 4"),
        ("\"\t\"", "an unescaped control character in a string at line 1 column 2"),
        ("\"\\ud800\"", "an invalid escape at line 1 column 2"),
        ("1 2", "expected the end of the text at line 1 column 3"),
    ] {
        assert_eq!(read(text), Err(error.to_owned()));
    }
}
