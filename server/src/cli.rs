//! The command line: the server, or one of the commands beside it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::config::RawConfig;

/// What the user asked for.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "millrace",
    version,
    about = "A streaming SQL database: psql, CREATE MATERIALIZED VIEW, always up to date.",
    after_help = "Without a command it serves the data folder until it is told to stop.",
    args_conflicts_with_subcommands = true
)]
pub struct Cli {
    /// A command beside the server.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The server's flags.
    #[command(flatten)]
    pub config: RawConfig,
}

/// What else the binary does.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Runs files of statements, on a data folder or on a running server.
    Run(RunArguments),
    /// A server on a temporary folder with sensors that send readings, and views over them.
    Demo(DemoArguments),
}

/// `millrace run`
#[derive(Clone, Debug, Args)]
pub struct RunArguments {
    /// The files, in order; `-` is the standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// The folder that the statements change, instead of MILLRACE_DATA or ./millrace-data. No server may have it open.
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,

    /// A running server's address for PostgreSQL clients, instead of a folder.
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "data")]
    pub server: Option<String>,
}

/// `millrace demo`
#[derive(Clone, Debug, Args)]
pub struct DemoArguments {
    /// Readings a second, all sensors together.
    #[arg(long, default_value_t = 1_000, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: u32,

    /// How many sensors there are.
    #[arg(long, default_value_t = 20, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub sensors: u32,

    /// Readings older than this are deleted.
    #[arg(long, default_value_t = 5, value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub keep_minutes: u32,

    /// Ends after so long; otherwise it goes on until it is told to stop.
    #[arg(long, value_name = "SECONDS")]
    pub seconds: Option<u64>,

    /// Where PostgreSQL clients connect; port 0 takes any free one.
    #[arg(long, default_value = "127.0.0.1:6432", value_name = "ADDRESS")]
    pub pg_addr: std::net::SocketAddr,

    /// Where HTTP is served; port 0 takes any free one.
    #[arg(long, default_value = "127.0.0.1:8432", value_name = "ADDRESS")]
    pub http_addr: std::net::SocketAddr,

    /// Worker threads; by default one a core.
    #[arg(long, value_name = "NUMBER")]
    pub workers: Option<usize>,
}

impl DemoArguments {
    /// How long it goes on; `None`: until it is told to stop.
    pub fn time(&self) -> Option<Duration> {
        self.seconds.map(Duration::from_secs)
    }
}
