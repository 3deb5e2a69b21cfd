//! The documents say what is there: their links lead somewhere, and the tests they name exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every document of the repository, with its text.
fn documents() -> Vec<(PathBuf, String)> {
    let folders = [root(), root().join("infra")];
    let files =
        folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let documents = files.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    documents.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// A heading as GitHub's anchors spell it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix('#'))
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut links = 0;
    for (path, text) in documents() {
        for target in
            text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target)
        {
            if target.starts_with("https://") {
                continue;
            }
            links += 1;
            let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
            let there = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(there.exists(), "{}: {target}", path.display());
            if !fragment.is_empty() {
                assert!(
                    anchors(&fs::read_to_string(&there).unwrap()).contains(fragment),
                    "{}: {target}",
                    path.display()
                );
            }
        }
    }
    assert!(links > 50, "{links}");
}

#[test]
fn every_test_that_is_named_exists() {
    let text = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let named: Vec<_> = text.split('`').filter_map(|code| code.split_once("::")).collect();
    assert!(named.len() > 15, "{}", named.len());
    for (module, test) in named {
        let file = if module.contains('/') { format!("{module}.rs") } else { format!("tests/{module}.rs") };
        let source = fs::read_to_string(root().join(file)).unwrap();
        assert!(source.contains(&format!("fn {test}()")), "{module}::{test}");
    }
}
