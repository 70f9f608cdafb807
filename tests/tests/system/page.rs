//! The fenced blocks of a page under docs/: what to run, and what it should answer.

use std::path::{Path, PathBuf};

/// One fenced block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// The words behind the fence: the language, and which terminal it belongs to.
    pub(crate) kind: String,
    /// The lines in it.
    pub(crate) text: String,
    /// The line of its fence, from 1.
    pub(crate) line: usize,
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The blocks of a page, in order. Those without a language are prose.
pub(crate) fn blocks(page: &Path) -> Vec<Block> {
    let text = std::fs::read_to_string(page).unwrap();
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(kind)) => {
                open = Some(Block { kind: kind.to_owned(), text: String::new(), line: index + 1 });
            }
            (Some(_), Some("")) => found.extend(open.take()),
            (Some(block), _) => block.text.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block of {} does not end", page.display());
    found.retain(|block| !block.kind.is_empty());
    found
}

/// Checks answers against a page's blocks. With `UPDATE_EXPECT=1` in the environment it puts the
/// answers into the page instead, as expect-test does for those that stand in tests.
pub(crate) struct Answers {
    page: PathBuf,
    updates: Vec<(usize, String)>,
}

impl Answers {
    /// Of this page.
    pub(crate) fn of(page: PathBuf) -> Answers {
        Answers { page, updates: Vec::new() }
    }

    /// This is what came where the page expects `block`.
    pub(crate) fn check(&mut self, block: &Block, answer: &str) {
        if comparable(answer) == comparable(&block.text) {
            return;
        }
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            self.updates.push((block.line, format!("{}\n", answer.trim_end_matches('\n'))));
            return;
        }
        let place = format!("{}:{}", self.page.display(), block.line);
        assert_eq!(comparable(answer), comparable(&block.text), "{place} (UPDATE_EXPECT=1 updates the page)");
    }

    /// Writes the page, if there is anything to update.
    pub(crate) fn finish(self) {
        let text = std::fs::read_to_string(&self.page).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        for (line, answer) in self.updates.iter().rev() {
            let end = (*line..lines.len()).find(|index| lines[*index] == "```").unwrap();
            lines.splice(*line..end, answer.lines());
        }
        let updated = lines.join("\n") + "\n";
        if updated != text {
            std::fs::write(&self.page, updated).unwrap();
        }
    }
}

/// A text with every tick (16 digits) replaced by a word, and without the blanks at the ends of
/// lines and the empty lines at its end.
fn comparable(text: &str) -> String {
    let lines: Vec<String> = text.trim_end().lines().map(|line| without_ticks(line.trim_end())).collect();
    lines.join("\n")
}

fn without_ticks(line: &str) -> String {
    let mut result = String::new();
    let mut digits = String::new();
    for c in line.chars().chain(['\n']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        result.push_str(if digits.len() == 16 { "<tick>" } else { &digits });
        digits.clear();
        result.push(c);
    }
    result.trim_end_matches('\n').to_owned()
}
