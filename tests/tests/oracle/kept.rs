//! Scripts that once failed, run again for good: `tests/regressions/*.sql`.

use crate::cluster::Size;
use crate::judge::{Seen, judge};
use crate::random::{alone, kept_folder, runtime};
use crate::script::Script;

#[test]
fn what_once_failed_stays_right() {
    let _alone = alone();
    let runtime = runtime();
    let mut files: Vec<_> = std::fs::read_dir(kept_folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let script = Script { lines: text.lines().map(str::to_owned).collect() };
        for size in Size::ALL {
            let judged = runtime.block_on(judge(&script, size, &mut Seen::default()));
            judged.unwrap_or_else(|wrong| panic!("{}, {size}: {wrong}", file.display()));
        }
    }
}
