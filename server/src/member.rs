//! A process of a cluster other than 0: workers, and nothing else. It has no data of its own and listens to no clients.

use std::io::Write;
use std::sync::Arc;

use millrace_engine::{Mesh, host};
use millrace_sql::ExprCompiler;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use crate::config::{Cluster, Config};
use crate::generations::Defects;
use crate::run::told_to_stop;
use crate::start::StartError;

/// Runs the process's workers, generation after generation, until SIGTERM or SIGINT.
///
/// # Errors
/// 78 where the processes do not agree, 70 where workers panic again and again, 1 where the system refuses.
pub async fn run(config: &Config, cluster: &Cluster) -> Result<(), StartError> {
    let stop = told_to_stop()?;
    let mesh = Arc::new(Mesh::listen(cluster.mesh(config.workers))?);
    announce(cluster, config.workers)?;
    let ended = tokio::select! {
        ended = serve(&mesh) => ended,
        () = stop => Ok(()),
    };
    // Who waits for process 0 on another thread must not keep this one from its end.
    mesh.close();
    ended
}

async fn serve(mesh: &Arc<Mesh>) -> Result<(), StartError> {
    let mut defects = Defects::default();
    loop {
        let (joining, hosting) = (mesh.clone(), Arc::new(ExprCompiler));
        let formed = spawn_blocking(move || joining.join());
        let formed = formed.await.map_err(|error| StartError::internal(error.to_string()))??;
        info!(generation = formed.generation(), "the workers are connected");
        // A thread of its own, which the process does not wait for when it ends.
        let (ended, end) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || ended.send(host(formed, hosting)));
        let loss = end.await.map_err(|_| StartError::internal("the workers' thread has panicked"))?;
        warn!(reason = loss.reason, "the workers have stopped; waiting for process 0");
        if loss.is_defect {
            defects.note(&loss.reason).await?;
        }
    }
}

/// Tells on stdout what it is. Tests read the line; its form is stable.
fn announce(cluster: &Cluster, workers: usize) -> Result<(), StartError> {
    let text = format!(
        "millrace: process {} of {}, {workers} workers, listening for the others on {}\n",
        cluster.process,
        cluster.peers.len(),
        cluster.peers[cluster.process]
    );
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| StartError::system(format!("cannot tell that it is there: {error}")))
}
