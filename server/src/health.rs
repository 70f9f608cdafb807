//! Whether the workers live. A panic in a worker may have left half a tick behind in shared state:
//! for now the process then ends with exit code 70, and the next start replays the log. (Rebuilding
//! the workers while clients stay connected is the supervision issue's.)
//!
//! Panics of expression kernels are caught where they happen and become rows of the error
//! collection; the hook sees those, too. So it only raises suspicion, and a probe decides.

use std::panic;
use std::sync::{Arc, OnceLock};

use millrace_engine::{Engine, RelationId};
use tokio::sync::{Notify, mpsc};

static PANICKED: OnceLock<Arc<Notify>> = OnceLock::new();

/// Sees to it that `dead_worker` hears of panics. Once a process.
pub fn watch_panics() {
    let panicked = PANICKED.get_or_init(Arc::default).clone();
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        report(panic);
        panicked.notify_one();
    }));
}

/// Returns once a worker has died of a panic.
pub async fn dead_worker(engine: &Engine) {
    let panicked = PANICKED.get_or_init(Arc::default).clone();
    loop {
        panicked.notified().await;
        if !are_alive(engine).await {
            return;
        }
    }
}

/// Asks every worker for something that does not exist. A worker that lives says so; a dead one's
/// queue is gone, and our question with it.
async fn are_alive(engine: &Engine) -> bool {
    let (answers, mut answered) = mpsc::channel(engine.workers());
    let nothing = RelationId(u64::MAX);
    engine.read(nothing, 0, Arc::new(move |worker, _| answers.try_send(worker).unwrap_or_default()));
    let mut alive = 0;
    while answered.recv().await.is_some() {
        alive += 1;
    }
    alive == engine.workers()
}
