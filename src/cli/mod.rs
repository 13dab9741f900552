//! The command line: one module for each command, and what commands share.
//!
//! | command | module | shared by commands | module |
//! |---|---|---|---|
//! | `replay` | [`replay`] | reading traces | [`reading`] |
//! | `query` | [`query`] | reading query files | [`query_file`] |
//! | `mine` | [`mine`] | answers as text | [`answers`] |
//! | `generate` | [`generate`] | reports as text | [`reports`] |
//! | `serve` | [`serve`] | where data goes | [`output`] |
//! | `send`, `watch` | [`send`], [`watch`] | talking to a server | [`client`] |
//! | `demo`, `bench` | [`demo`], [`bench`] |  |  |
//!
//! stdout carries data, stderr progress and summaries.

mod answers;
mod bench;
mod client;
mod demo;

mod error;
mod generate;
mod mine;
mod output;
mod parts;
mod pipeline;
mod progress;
mod query;
mod query_file;
mod reading;
mod replay;
mod reports;
mod send;
mod serve;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use dunlin::duration;
use error::CliError;

/// A stream engine for moving objects: standing questions, exact answers.
#[derive(Debug, Parser)]
#[command(name = "dunlin", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Replay(replay::ReplayArgs),
    Query(query::QueryArgs),
    Mine(mine::MineArgs),
    Generate(generate::GenerateArgs),
    Serve(serve::ServeArgs),
    Send(send::SendArgs),
    Watch(watch::WatchArgs),
    Demo(demo::DemoArgs),
    Bench(bench::BenchArgs),
}

/// Runs the command that was given.
pub(crate) fn run(cli: Cli) -> Result<(), CliError> {
    match cli.command {
        Command::Replay(args) => replay::run(&args),
        Command::Query(args) => query::run(&args),
        Command::Mine(args) => mine::run(&args),
        Command::Generate(args) => generate::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Send(args) => send::run(&args),
        Command::Watch(args) => watch::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Bench(args) => bench::run(&args),
    }
}

/// Says what went wrong, and with which code to end.
pub(crate) fn conclude(error: &CliError) -> ExitCode {
    match error {
        CliError::Usage(error) => {
            let kind = clap::error::ErrorKind::ValueValidation;
            let error = Cli::command().error(kind, error);
            // Nobody is left to tell if stderr is closed.
            let _ = error.print();
            ExitCode::from(2)
        }
        // Whoever read the answers has seen enough of them.
        error if error.is_closed_pipe() => ExitCode::SUCCESS,
        error => {
            progress::say(format_args!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        let all = Cli::command();
        let (commands, mut kinds) = (all.get_subcommands(), Vec::new());
        for command in commands {
            let name = command.get_name();
            let inner = command.get_subcommands();
            kinds.extend(inner.map(|kind| (format!("{name} {}", kind.get_name()), kind)));
            kinds.push((name.to_owned(), command));
        }
        assert!(kinds.len() > 10);
        for (name, command) in kinds {
            let help = command.get_after_help().unwrap_or_else(|| panic!("{name} has no example"));
            assert!(help.to_string().contains(&format!("dunlin {name}")), "{name}: {help}");
        }
    }
}
