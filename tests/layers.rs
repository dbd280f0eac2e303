//! The order of the core's modules: each imports only from those below it in the table of `src/lib.rs`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy does not take a test's support for a test")]

use std::fs;
use std::path::{Path, PathBuf};

/// The modules, from the top down. Those of one row may import each other.
const LAYERS: [&[&str]; 15] = [
    &["server"],
    &["client"],
    &["connection"],
    &["protocol"],
    &["documents"],
    &["json"],
    &["shared_memory"],
    &["secret"],
    &["gvl_policy"],
    &["wait"],
    &["log_buffer"],
    &["metrics"],
    &["options"],
    &["deadline", "sys"],
    &["error"],
];

#[test]
fn modules_import_only_from_those_below_them() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut imports = 0;
    for file in files_below(&source).iter().filter(|file| !file.ends_with("lib.rs")) {
        let module = file.strip_prefix(&source).unwrap().iter().next().unwrap().to_str().unwrap();
        let own = layer(module.trim_end_matches(".rs"));
        for imported in imports_of(&fs::read_to_string(file).unwrap()) {
            assert!(layer(&imported) >= own, "{} imports {imported}, which is above it", file.display());
            imports += 1;
        }
    }
    assert!(imports > 100, "only {imports} imports were found");
}

#[test]
fn the_table_of_the_modules_has_the_same_order() {
    let head = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let rows: Vec<Vec<&str>> = head
        .lines()
        .filter_map(|line| line.strip_prefix("//! | ")?.split(" | ").next())
        .filter(|cell| cell.contains('`'))
        .map(|cell| cell.split('`').skip(1).step_by(2).collect())
        .collect();
    assert_eq!(rows, LAYERS.map(<[_]>::to_vec));
}

fn layer(module: &str) -> usize {
    LAYERS.iter().position(|modules| modules.contains(&module)).unwrap_or_else(|| panic!("{module} is in no layer"))
}

/// The modules that a file imports outside of its tests, which may use all of them.
fn imports_of(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let module = |rest: &str| rest.chars().take_while(|character| matches!(character, 'a'..='z' | '_')).collect();
    code.split("crate::").skip(1).map(module).filter(|name: &String| !name.is_empty()).collect()
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}
