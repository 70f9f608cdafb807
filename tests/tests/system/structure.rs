//! The shape of the code: which crate may know which, and what every file must have.
//!
//! Read from the manifests and sources of this workspace; nothing is run.

use std::path::{Path, PathBuf};

/// Longer files are to be divided.
const FILE_LINES_MAX: usize = 900;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every Rust source of the workspace.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for package in ["engine", "sql", "server", "tests", "benches"] {
        collect(&root().join(package), &mut found);
    }
    assert!(found.len() > 100, "the sources are not where they were");
    found
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The names in the section `[dependencies]` of a manifest, or in another section.
fn dependencies(manifest: &str, section: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(manifest)).unwrap();
    let lines = text.lines().skip_while(|line| *line != section).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let lines = lines.filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| Some(line.split_once(" = ")?.0.to_owned())).collect()
}

/// The crates of our own that a crate is built from.
fn edges(package: &str) -> Vec<String> {
    let names = dependencies(&format!("{package}/Cargo.toml"), "[dependencies]");
    names.into_iter().filter(|name| name.starts_with("millrace")).collect()
}

#[test]
fn crates_depend_in_one_direction() {
    assert_eq!(edges("engine"), [""; 0]);
    assert_eq!(edges("sql"), ["millrace-engine"]);
    assert_eq!(edges("server"), ["millrace-engine", "millrace-sql"]);
}

#[test]
fn no_crate_is_built_from_what_belongs_to_another() {
    let forbidden = [
        ("engine", ["datafusion", "sqlparser", "tokio", "pgwire", "axum"].as_slice()),
        ("sql", &["timely", "differential-dataflow", "pgwire", "axum"]),
        ("server", &["timely", "differential-dataflow"]),
    ];
    for (package, names) in forbidden {
        let found = dependencies(&format!("{package}/Cargo.toml"), "[dependencies]");
        assert!(found.len() > 5, "{package} has lost its dependencies");
        for name in names {
            assert!(!found.iter().any(|dependency| dependency == name), "{package} is built from {name}");
        }
    }
}

/// What a crate may not name in its code. A dependency of a dependency could be re-exported.
#[test]
fn no_source_names_what_belongs_to_another_crate() {
    let forbidden = [
        ("engine", ["sqlparser", "tokio::", "pgwire"].as_slice()),
        ("sql", &["timely::", "differential_dataflow", "tokio::net", "std::net::Tcp", "pgwire::"]),
        ("server", &["timely", "differential_dataflow"]),
    ];
    for (package, words) in forbidden {
        let folder = root().join(package).join("src");
        for path in sources().iter().filter(|path| path.starts_with(&folder)) {
            let text = std::fs::read_to_string(path).unwrap();
            for (number, line) in text.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                let named = words.iter().find(|word| code.contains(*word));
                assert!(named.is_none(), "{}:{} names {named:?}", path.display(), number + 1);
            }
        }
    }
}

#[test]
fn every_source_opens_with_what_it_is() {
    for path in sources() {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! "), "{} does not open with //!", path.display());
    }
}

#[test]
fn no_source_is_too_long() {
    for path in sources() {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= FILE_LINES_MAX, "{} has {lines} lines", path.display());
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let text = std::fs::read_to_string(root().join("docs/DEPENDENCIES.md")).unwrap();
    let named = dependencies("Cargo.toml", "[workspace.dependencies]");
    assert!(named.len() > 30);
    for name in named.iter().filter(|name| !name.starts_with("millrace")) {
        assert!(text.contains(&format!("`{name}`")), "docs/DEPENDENCIES.md says nothing about {name}");
    }
    // And the other way: what it tells of is still there.
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let name = line.split('`').nth(1).unwrap();
        assert!(named.iter().any(|dependency| dependency == name), "{name} is no dependency any more");
    }
}

/// Versions stand in one place.
#[test]
fn packages_take_their_versions_from_the_workspace() {
    for package in ["engine", "sql", "server", "tests", "benches"] {
        let text = std::fs::read_to_string(root().join(package).join("Cargo.toml")).unwrap();
        let own = text.lines().find(|line| line.contains("version = \"") || line.contains("path = \"../"));
        assert_eq!(own, None, "{package}/Cargo.toml");
    }
}
