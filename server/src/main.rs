//! The binary `millrace`: flags, logging, then the server or a command.

use std::process::ExitCode;

use clap::Parser;
use millrace::{Cli, Command, Config, StartError};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // A command's own output is what the user wants to see.
    let level = if cli.command.is_none() { "info" } else { "warn" };
    let filter = EnvFilter::try_from_env("MILLRACE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match start(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("millrace: {error}");
            // Not by returning: a worker that hangs would keep the process.
            std::process::exit(i32::from(error.exit_code))
        }
    }
}

fn start(cli: Cli) -> Result<(), StartError> {
    millrace::watch_panics();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("tokio").build();
    let runtime =
        runtime.map_err(|error| StartError::system(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(async {
        match cli.command {
            None => millrace::run(Config::try_from(cli.config)?).await,
            Some(Command::Run(arguments)) => millrace::apply::run(&arguments).await,
            Some(Command::Demo(arguments)) => millrace::demo::run(&arguments).await,
        }
    })
}
