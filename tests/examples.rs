//! The examples run, and say what they are about.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Examples lie beside the binary once the workspace's tests are built.
fn example(name: &str) -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_BIN_EXE_dunlin")).parent().context("a folder")?;
    Ok(folder.join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION))
}

fn run(name: &str, input: &str) -> Result<String> {
    let mut child = Command::new(example(name)?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{name} is built by `cargo test --workspace`"))?;
    child.stdin.take().context("a pipe")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{name}: {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn taxis_near_the_passenger_are_ten_and_change() -> Result<()> {
    let said = run("knn", "")?;
    let lists: Vec<&str> =
        said.lines().filter_map(|line| Some(line.split_once("Z: ")?.1)).collect();
    ensure!(lists.len() > 20, "{said}");
    ensure!(lists.iter().all(|list| list.split(", ").count() == 10), "{said}");
    Ok(())
}

#[test]
fn convoys_are_found() -> Result<()> {
    let said = run("cooccurrence", "")?;
    ensure!(said.lines().filter(|line| line.contains(" + ")).count() >= 8, "{said}");
    Ok(())
}

#[test]
fn words_are_counted_and_ranked() -> Result<()> {
    let text = "turn as one\nas one\none\n";
    let counted = run("word_count", text)?;
    let last = r#"[("one", 3)]"#;
    ensure!(counted.lines().last() == Some(last), "{counted}");
    let ranked = run("top_words", text)?;
    let last = r#"[[(Reverse(3), "one"), (Reverse(2), "as"), (Reverse(1), "turn")]]"#;
    ensure!(ranked.lines().last() == Some(last), "{ranked}");
    Ok(())
}
