//! The published documents of a server and their generations.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::{Error, Result, excerpt};
use crate::json::check_document;
use crate::sys::sync::{Mutex, lock};

/// A version of a document.
#[derive(Debug, Clone)]
pub struct Document {
    /// 1 for the first text, and one more for every different text; [`ABSENT`] if none is published.
    pub generation: u64,
    /// The text, byte for byte as it was published.
    pub json: Arc<Vec<u8>>,
}

/// The generation that tells a client that a document which it knows is no longer published.
pub const ABSENT: u64 = 0;

/// The latest version of every document.
#[derive(Debug)]
pub struct DocumentStore {
    max_len: usize,
    state: Mutex<State>,
}

/// A copy of all documents.
#[derive(Debug, Default, Clone)]
pub struct State {
    latest: HashMap<String, Document>,
    /// The highest generation of all unpublished documents. One number is enough: their names are forgotten, and a name
    /// that is published again must not repeat a generation.
    highest_taken_back: u64,
}

impl DocumentStore {
    /// An empty store for documents of up to `max_len` bytes.
    pub fn new(max_len: usize) -> Self {
        Self { max_len, state: Mutex::default() }
    }

    /// The documents of `original`, copied by a fork: as they were at the fork, or `before` if a thread that does not
    /// exist here was changing them.
    pub fn inherited(original: &Self, before: &State) -> Self {
        let state = original.state.try_lock().map_or_else(|_| before.clone(), |state| state.clone());
        Self { max_len: original.max_len, state: Mutex::new(state) }
    }

    /// A copy of all documents.
    pub fn state(&self) -> State {
        lock(&self.state).clone()
    }

    /// The keys of all published documents.
    pub fn keys(&self) -> Vec<String> {
        lock(&self.state).latest.keys().cloned().collect()
    }

    /// Stores a document after checking its text, once. Needs no lock of the host.
    ///
    /// # Returns
    ///
    /// Its generation, and whether that is new: an unchanged text changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] if the text is not JSON, nests deeper than [`MAX_NESTING`] or has a lone surrogate in
    /// a string; [`Error::FrameTooLarge`] if no frame could carry it.
    pub fn publish(&self, key: &str, json: Vec<u8>) -> Result<(u64, bool)> {
        if json.len() > self.max_len {
            return Err(Error::FrameTooLarge { size: json.len() as u64, limit: self.max_len as u64 });
        }
        check_document(&json)
            .map_err(|reason| Error::invalid_argument(format!("document {:?} is not JSON: {reason}", excerpt(key))))?;
        let mut state = lock(&self.state);
        let before = match state.latest.get(key) {
            Some(current) if *current.json == json => return Ok((current.generation, false)),
            Some(current) => current.generation,
            None => state.highest_taken_back,
        };
        let generation = before.saturating_add(1);
        state.latest.insert(key.to_owned(), Document { generation, json: Arc::new(json) });
        Ok((generation, true))
    }

    /// Removes a document.
    ///
    /// # Returns
    ///
    /// False if there was none.
    pub fn unpublish(&self, key: &str) -> bool {
        let mut state = lock(&self.state);
        let Some(document) = state.latest.remove(key) else { return false };
        state.highest_taken_back = state.highest_taken_back.max(document.generation);
        true
    }

    /// The latest version of a document, or `None` if `known_generation` is the latest, or if nothing is published and
    /// no generation is known. A known document that is no longer published is `null` with the generation [`ABSENT`].
    pub fn read(&self, key: &str, known_generation: Option<u64>) -> Option<Document> {
        match lock(&self.state).latest.get(key) {
            Some(latest) => (known_generation != Some(latest.generation)).then(|| latest.clone()),
            None => known_generation.map(|_| Document { generation: ABSENT, json: Arc::new(b"null".to_vec()) }),
        }
    }

    /// The number of documents.
    pub fn count(&self) -> usize {
        lock(&self.state).latest.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents() -> DocumentStore {
        DocumentStore::new(1000)
    }

    #[test]
    fn the_first_text_is_generation_one_and_each_other_text_one_more() {
        let documents = documents();
        assert_eq!(documents.publish("config", b"1".to_vec()), Ok((1, true)));
        assert_eq!(documents.publish("config", b"2".to_vec()), Ok((2, true)));
        assert_eq!(documents.publish("config", b"1".to_vec()), Ok((3, true)));
        assert_eq!(documents.publish("lists", b"1".to_vec()), Ok((1, true)));
        assert_eq!(documents.count(), 2);
    }

    #[test]
    fn the_same_text_again_changes_nothing() {
        let documents = documents();
        documents.publish("config", b"{}".to_vec()).unwrap();
        assert_eq!(documents.publish("config", b"{}".to_vec()), Ok((1, false)));
        assert_eq!(documents.publish("config", b"{ }".to_vec()), Ok((2, true)));
    }

    #[test]
    fn a_document_is_read_byte_for_byte_unless_its_generation_is_known() {
        let documents = documents();
        documents.publish("config", b" {\"a\" : 1} ".to_vec()).unwrap();
        assert_eq!(&*documents.read("config", None).unwrap().json, b" {\"a\" : 1} ");
        assert!(documents.read("config", Some(1)).is_none());
        assert!(documents.read("config", Some(7)).is_some());
        assert!(documents.read("lists", None).is_none());
    }

    #[test]
    fn an_heir_has_the_documents_of_the_fork_or_those_before_it_if_they_were_just_being_changed() {
        let original = documents();
        original.publish("config", b"1".to_vec()).unwrap();
        let before = original.state();
        original.publish("config", b"2".to_vec()).unwrap();
        let generation = |heir: &DocumentStore| heir.read("config", None).unwrap().generation;
        assert_eq!(generation(&DocumentStore::inherited(&original, &before)), 2);
        let heir = {
            let _changed_by_a_thread_that_is_gone = lock(&original.state);
            DocumentStore::inherited(&original, &before)
        };
        assert_eq!(generation(&heir), 1);
        assert_eq!(heir.publish("config", b"3".to_vec()), Ok((2, true)));
        assert_eq!(
            heir.publish("large", vec![b' '; 1001]).unwrap_err(),
            Error::FrameTooLarge { size: 1001, limit: 1000 }
        );
    }

    #[test]
    fn a_document_that_was_taken_back_is_told_so_to_who_knows_it() {
        let documents = documents();
        documents.publish("config", b"1".to_vec()).unwrap();
        assert!(documents.unpublish("config") && !documents.unpublish("config"));
        assert!(documents.read("config", None).is_none());
        let absent = documents.read("config", Some(1)).unwrap();
        assert_eq!((absent.generation, absent.json.as_slice()), (ABSENT, b"null".as_slice()));
        assert_eq!(documents.count(), 0);
    }

    #[test]
    fn a_document_that_comes_back_has_a_generation_that_it_never_had() {
        let documents = documents();
        for text in [b"1", b"2", b"3"] {
            documents.publish("config", text.to_vec()).unwrap();
        }
        documents.publish("lists", b"1".to_vec()).unwrap();
        assert!(documents.unpublish("config") && documents.unpublish("lists"));
        assert_eq!(documents.publish("config", b"3".to_vec()), Ok((4, true)));
    }

    #[test]
    fn a_text_that_is_not_json_is_refused_and_the_last_one_stays() {
        let documents = documents();
        documents.publish("config", b"1".to_vec()).unwrap();
        for text in [b"".as_slice(), b"{", b"1 2", b"\xff", b"\"\xff\"", b"NaN"] {
            let error = documents.publish("config", text.to_vec()).unwrap_err().to_string();
            assert!(error.starts_with("document \"config\" is not JSON: "), "{error}");
        }
        assert_eq!(documents.read("config", None).unwrap().generation, 1);
    }

    #[test]
    fn a_text_at_the_deepest_nesting_passes_and_one_level_more_does_not() {
        let nested = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat().into_bytes();
        assert!(documents().publish("config", nested(100)).is_ok());
        let error = documents().publish("config", nested(101)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "document \"config\" is not JSON: nesting deeper than 100 levels at line 1 column 101"
        );
    }

    #[test]
    fn brackets_inside_strings_do_not_nest() {
        let text = format!(r#"["{}\"[", {{"a\\": "{{"}}]"#, "[".repeat(100));
        assert!(documents().publish("config", text.into_bytes()).is_ok());
    }

    #[test]
    fn a_string_with_half_of_a_character_is_refused_and_one_with_both_halves_passes() {
        for text in [
            r#""\ud800""#,
            r#""\uDFFF""#,
            r#""\ud800\ud800""#,
            r#""\udc00\ud800""#,
            r#"["\n\ud83dx", 1]"#,
            r#"{"\\\udead":1}"#,
        ] {
            let error = documents().publish("config", text.into()).unwrap_err().to_string();
            assert!(error.starts_with("document \"config\" is not JSON: an invalid escape at line 1 "), "{error}");
        }
        for text in
            [r#""\ud83d\ude00""#, r#"["\ud83d\uDE00\ud83d\ude00"]"#, r#""\\ud800""#, r#""\u00e9\"\\""#, r#""\"""#]
        {
            assert!(documents().publish("config", text.into()).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_text_that_no_frame_could_carry_is_refused() {
        let error = documents().publish("config", vec![b' '; 1001]).unwrap_err();
        assert_eq!(error, Error::FrameTooLarge { size: 1001, limit: 1000 });
    }
}
