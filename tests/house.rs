//! The rules of the house that a machine can check.
//!
//! Which crate may know which, how files begin and how long they are, and what the core must not
//! name: it reads no clock, does not sleep and iterates over no hash map.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Which workspace crates a crate may depend on; the root crate may depend on all.
const ARROWS: [(&str, &[&str]); 6] = [
    ("stream", &[]),
    ("index", &["stream"]),
    ("query", &["index", "stream"]),
    ("cep", &["index", "stream"]),
    ("cluster", &["stream"]),
    ("datasets", &["index", "stream"]),
];
/// Crates that are plain state machines.
const CORE: [&str; 5] = ["stream", "index", "query", "cep", "cluster"];
/// What a state machine does not name, and why.
const BANNED: [(&str, &str); 5] = [
    ("Instant", "time is an argument"),
    ("SystemTime", "time is an argument"),
    ("thread::sleep", "nothing waits by sleeping"),
    ("HashMap", "its order differs from run to run"),
    ("HashSet", "its order differs from run to run"),
];
const LINES_MAX: usize = 500;
/// Lines of code of an example: no blank ones, no comments.
const EXAMPLE_LINES_MAX: usize = 79;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn arrows_between_crates_are_the_drawn_ones() -> Result<()> {
    let mut seen = 0;
    for (member, allowed) in ARROWS {
        let manifest = root().join(member).join("Cargo.toml");
        if !manifest.exists() {
            continue; // a room that is not built yet
        }
        let text = fs::read_to_string(&manifest)?;
        let wrong = wrong_arrows(&text, allowed)?;
        ensure!(wrong.is_empty(), "{member} must not depend on {wrong:?}");
        seen += 1;
    }
    ensure!(seen >= 4, "only {seen} manifests were found");
    Ok(())
}

#[test]
fn every_member_has_its_arrows_drawn() -> Result<()> {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml"))?.parse()?;
    let members = manifest["workspace"]["members"].as_array().context("members are a list")?;
    for member in members {
        let member = member.as_str().context("a member is a path")?;
        let drawn = ARROWS.iter().any(|(name, _)| *name == member);
        ensure!(drawn, "say in ARROWS which crates {member} may depend on");
    }
    Ok(())
}

/// The workspace crates that a manifest names, in any table of dependencies, and should not.
fn wrong_arrows(manifest: &str, allowed: &[&str]) -> Result<Vec<String>> {
    let manifest: toml::Table = manifest.parse()?;
    let mut names = Vec::new();
    dependencies(&manifest, &mut names);
    names.retain(|name| {
        let member = name.strip_prefix("dunlin-");
        name == "dunlin" || member.is_some_and(|member| !allowed.contains(&member))
    });
    Ok(names)
}

/// Collects what stands in `[dependencies]`, `[dev-dependencies]`, `[target.….dependencies]` and
/// the like, under its own name where it is renamed.
fn dependencies(table: &toml::Table, names: &mut Vec<String>) {
    for (key, value) in table {
        let Some(inner) = value.as_table() else { continue };
        if !key.ends_with("dependencies") {
            dependencies(inner, names);
            continue;
        }
        for (name, value) in inner {
            let package = value.get("package").and_then(toml::Value::as_str);
            names.push(package.unwrap_or(name).to_owned());
        }
    }
}

#[test]
fn a_wrong_arrow_is_seen() -> Result<()> {
    let manifest = "[dependencies]\ndunlin-stream.workspace = true\ngeo = \"0.33\"\n\
                    [dev-dependencies]\nhidden = { package = \"dunlin-query\", path = \"../query\" }\n\
                    [target.'cfg(unix)'.dependencies]\ndunlin = { path = \"..\" }";
    assert_eq!(wrong_arrows(manifest, &["stream"])?, ["dunlin-query", "dunlin"]);
    assert_eq!(wrong_arrows("[dependencies]\ndunlin-stream = \"0.1\"", &[])?, ["dunlin-stream"]);
    Ok(())
}

#[test]
fn files_open_with_what_they_are_and_end_in_time() -> Result<()> {
    let files = sources(root())?;
    ensure!(files.len() >= 50, "only {} files were found", files.len());
    let flaws: Vec<String> = files
        .iter()
        .map(|path| Ok((path, fs::read_to_string(path)?)))
        .filter_map(|file: Result<_>| {
            file.map(|(path, text)| flaw(&text).map(|flaw| format!("{}: {flaw}", path.display())))
                .transpose()
        })
        .collect::<Result<_>>()?;
    ensure!(flaws.is_empty(), "{}", flaws.join("\n"));
    Ok(())
}

fn flaw(text: &str) -> Option<String> {
    let lines = text.lines().count();
    if !text.starts_with("//!") {
        return Some("begin with //! and say what the file is".to_owned());
    }
    (lines > LINES_MAX).then(|| format!("{lines} lines; {LINES_MAX} are long: cut it in two"))
}

#[test]
fn examples_are_short() -> Result<()> {
    let mut seen = 0;
    for folder in ["examples", "stream/examples"] {
        for file in sources(&root().join(folder))? {
            let lines = code_lines(&fs::read_to_string(&file)?);
            ensure!(lines <= EXAMPLE_LINES_MAX, "{}: {lines} lines", file.display());
            seen += 1;
        }
    }
    ensure!(seen >= 4, "only {seen} examples were found");
    Ok(())
}

fn code_lines(text: &str) -> usize {
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
    text.lines().filter(is_code).count()
}

#[test]
fn the_core_reads_no_clock_and_no_hash_order() -> Result<()> {
    let mut flaws = Vec::new();
    for member in CORE {
        let folder = root().join(member).join("src");
        for path in if folder.exists() { sources(&folder)? } else { Vec::new() } {
            let text = fs::read_to_string(&path)?;
            flaws.extend(banned(&text).map(|flaw| format!("{}:{flaw}", path.display())));
        }
    }
    ensure!(flaws.is_empty(), "{}", flaws.join("\n"));
    Ok(())
}

/// Lines that name what is banned, as whole words.
fn banned(text: &str) -> impl Iterator<Item = String> {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let names = move |line: &str, word: &str| {
        line.match_indices(word).any(|(start, _)| {
            let (before, after) = (&line[..start], &line[start + word.len()..]);
            !before.ends_with(is_word) && !after.starts_with(is_word)
        })
    };
    (1..).zip(text.lines()).flat_map(move |(number, line)| {
        let found = BANNED.iter().filter(move |(word, _)| names(line, word));
        found.map(move |(word, reason)| format!("{number}: {word}: {reason}"))
    })
}

#[test]
fn flaws_are_seen() {
    assert_eq!(code_lines("// head\n\nfn main() {\n    // a\n    f(); // b\n}\n"), 3);
    assert!(flaw("use std::fmt;\n").is_some());
    assert!(flaw(&format!("//! Long.\n{}", "\n".repeat(LINES_MAX))).is_some());
    assert!(flaw("//! Short.\n").is_none());
    let found: Vec<String> = banned("//! Instantly\nuse std::collections::HashMap;\n").collect();
    assert_eq!(found, ["2: HashMap: its order differs from run to run"]);
}

/// The Rust files under a folder, without what was built.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
