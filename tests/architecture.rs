//! The floors of the house, read from the `use` lines: arrows only point down.

use std::fs;
use std::path::{Path, PathBuf};

/// A module of `shared` and the modules it may know.
const FLOORS: [(&str, &[&str]); 16] = [
    ("domain", &[]),
    ("asset_row", &["domain"]),
    ("clock", &["domain"]),
    ("config", &["domain"]),
    ("entries", &[]),
    ("telemetry", &[]),
    ("query", &["domain"]),
    ("store", &["asset_row", "clock", "config", "domain", "query"]),
    ("balance", &["domain", "query", "store"]),
    ("cost", &["store"]),
    ("outgoing", &["config"]),
    ("secret", &["config", "domain", "store"]),
    ("auth", &["config", "domain", "outgoing", "secret", "store"]),
    ("rates", &["config", "domain", "entries", "outgoing", "secret"]),
    ("custody", &["clock", "config", "domain", "entries", "outgoing", "secret", "store"]),
    (
        "http",
        &["auth", "balance", "clock", "config", "cost", "custody", "domain", "query", "store", "telemetry"],
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// The floor a file of `shared/src` stands on.
fn floor_of(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("shared/src")).unwrap();
    inside.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

#[test]
fn no_module_knows_one_above_it() {
    for path in rust_files(&root().join("shared/src")) {
        let floor = floor_of(&path);
        if floor == "lib" {
            continue;
        }
        let (_, allowed) =
            FLOORS.iter().find(|(name, _)| *name == floor).unwrap_or_else(|| panic!("{floor} has no floor"));
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| line.contains("crate::")) {
            let known = line
                .split("crate::")
                .skip(1)
                .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap());
            for module in known.filter(|module| *module != floor) {
                assert!(
                    allowed.contains(&module),
                    "{}:{}: {floor} must not know {module}",
                    path.display(),
                    number + 1
                );
            }
        }
    }
}

#[test]
fn only_the_store_knows_attribute_values_and_only_http_status_codes() {
    let files = [root().join("shared/src"), root().join("functions")]
        .iter()
        .flat_map(|folder| rust_files(folder))
        .collect::<Vec<_>>();
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let is_in = |room: &str| path.starts_with(root().join("shared/src").join(room));
        assert!(is_in("store") || !text.contains("aws_sdk_dynamodb"), "{}", path.display());
        assert!(is_in("http") || !text.contains("StatusCode"), "{}", path.display());
    }
}

#[test]
fn money_never_touches_a_float() {
    for room in ["domain", "query", "rates", "store", "http"] {
        for path in rust_files(&root().join("shared/src").join(room)) {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            assert!(
                code.clone().all(|line| !line.contains("f64") && !line.contains("f32")),
                "{}",
                path.display()
            );
        }
    }
}

/// The lint that forbids it is off where schemas are derived.
#[test]
fn no_body_is_built_by_a_json_value() {
    for path in
        [root().join("shared/src"), root().join("functions")].iter().flat_map(|folder| rust_files(folder))
    {
        let text = fs::read_to_string(&path).unwrap();
        let code =
            text.split("#[cfg(test)]").next().unwrap().lines().filter(|line| !line.contains("reason = "));
        let makers = ["to_value(", "::to_value", "json!"];
        assert!(
            code.clone().all(|line| makers.iter().all(|maker| !line.contains(maker))),
            "{}",
            path.display()
        );
    }
}

#[test]
fn a_functions_main_only_wires() {
    for function in fs::read_dir(root().join("functions")).unwrap().map(|entry| entry.unwrap().path()) {
        let main = fs::read_to_string(function.join("src/main.rs")).unwrap();
        assert!(main.lines().count() <= 25, "{}", function.display());
    }
}
