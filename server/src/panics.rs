//! What is told of panics: all of them, but those of connections that are lost with their generation.

use millrace_engine::is_of_lost_connection;

/// Sees to it that expected panics are not told as if they were defects. Once a process.
pub fn watch_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !is_of_lost_connection(panic) {
            report(panic);
        }
    }));
}
