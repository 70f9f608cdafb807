//! Makes a failing script small: steps are dropped, then tokens of what is left, as long as the same
//! kind of defect remains. No rule about SQL is needed: what makes no sense fails on both sides
//! alike and is no defect any more.

use crate::duel::{Defect, Duel};
use crate::queries::Query;
use crate::script::{Script, Step};

/// Runs that one failure may cost.
const TRIES_MAX: usize = 800;

/// The smallest script found, and its defect.
pub(crate) async fn minimise(duel: &mut Duel, script: &Script, defect: Defect) -> (Script, Defect) {
    let steps = script.steps.iter().enumerate();
    let needed = steps.filter(|(index, step)| matches!(step, Step::Change(_)) || *index == defect.step);
    let steps = needed.map(|(_, step)| step.clone()).collect();
    let mut search = Search { duel, smallest: script.clone(), defect, tries: 0 };
    search.attempt(Script { steps, ..script.clone() }).await;
    search.drop_steps().await;
    // Once parentheses are gone, more can go.
    for _ in 0..2 {
        for step in (0..search.smallest.steps.len()).rev() {
            search.drop_tokens(step).await;
        }
        search.drop_steps().await;
    }
    (search.smallest, search.defect)
}

struct Search<'a> {
    duel: &'a mut Duel,
    smallest: Script,
    defect: Defect,
    tries: usize,
}

impl Search<'_> {
    /// Takes the script where it still shows the defect.
    async fn attempt(&mut self, script: Script) -> bool {
        self.tries += 1;
        if self.tries > TRIES_MAX {
            return false;
        }
        match self.duel.run(&script).await {
            Some(defect) if defect.kind == self.defect.kind => {
                (self.smallest, self.defect) = (script, defect);
                true
            }
            _ => false,
        }
    }

    async fn drop_steps(&mut self) {
        for step in (0..self.smallest.steps.len()).rev() {
            let mut script = self.smallest.clone();
            script.steps.remove(step);
            if !script.steps.is_empty() {
                self.attempt(script).await;
            }
        }
    }

    /// Drops ever smaller runs of tokens of a step.
    async fn drop_tokens(&mut self, step: usize) {
        let mut size = tokens(self.smallest.steps[step].sql()).len() / 2;
        while size > 0 {
            let mut start = 0;
            loop {
                let mut tokens = tokens(self.smallest.steps[step].sql());
                if start + size > tokens.len() {
                    break;
                }
                tokens.drain(start..start + size);
                let mut script = self.smallest.clone();
                script.steps[step].set_sql(tokens.join(" "));
                if !self.attempt(script).await {
                    start += size.div_ceil(2);
                }
            }
            size = if size > 6 { size / 2 } else { size - 1 };
        }
        self.drop_parentheses(step).await;
    }

    /// Takes off parentheses, which single tokens cannot.
    async fn drop_parentheses(&mut self, step: usize) {
        let mut open = 0;
        loop {
            let mut tokens = tokens(self.smallest.steps[step].sql());
            let Some(at) = tokens.iter().skip(open).position(|token| token == "(") else { break };
            let at = open + at;
            let Some(length) = length_of_group(&tokens[at..]) else { break };
            tokens.remove(at + length - 1);
            tokens.remove(at);
            let mut script = self.smallest.clone();
            script.steps[step].set_sql(tokens.join(" "));
            if !self.attempt(script).await {
                open = at + 1;
            }
        }
    }
}

impl Step {
    fn sql(&self) -> &str {
        match self {
            Step::Change(sql) => sql,
            Step::View(query) | Step::Ask(query) => &query.sql,
        }
    }

    fn set_sql(&mut self, text: String) {
        match self {
            Step::Change(sql) => *sql = text,
            Step::View(Query { sql, .. }) | Step::Ask(Query { sql, .. }) => *sql = text,
        }
    }
}

/// How many tokens a group in parentheses has.
fn length_of_group(tokens: &[String]) -> Option<usize> {
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(index + 1);
        }
    }
    None
}

/// Words, numbers, quoted texts, and signs.
fn tokens(sql: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let (mut is_quoted, mut is_open) = (false, false);
    for character in sql.chars() {
        let is_word = character.is_alphanumeric() || "_.".contains(character);
        let joins = is_quoted
            || (is_open && is_word)
            || tokens.last().is_some_and(|last| {
                ["::", "<=", ">=", "<>", "||"].contains(&format!("{last}{character}").as_str())
            });
        if character == '\'' && !is_quoted {
            // A doubled quote goes on with the same text.
            let goes_on =
                tokens.last().is_some_and(|last| last.len() > 1 && last.ends_with('\'')) && !is_open;
            if goes_on {
                tokens.last_mut().unwrap().push(character)
            } else {
                tokens.push("'".to_owned())
            }
            (is_quoted, is_open) = (true, false);
            continue;
        }
        if character.is_whitespace() && !is_quoted {
            is_open = false;
            continue;
        }
        match tokens.last_mut() {
            Some(last) if joins => last.push(character),
            _ => tokens.push(character.to_string()),
        }
        if character == '\'' {
            is_quoted = false;
        }
        is_open = !is_quoted && is_word;
    }
    tokens
}

#[test]
fn tokens_say_the_same_as_their_text() {
    let found = tokens("SELECT s1.k+1, 'it''s (a)'::text FROM t0 WHERE a<=-2 AND b||'x' <> ''");
    let expected = [
        "SELECT",
        "s1.k",
        "+",
        "1",
        ",",
        "'it''s (a)'",
        "::",
        "text",
        "FROM",
        "t0",
        "WHERE",
        "a",
        "<=",
        "-",
        "2",
        "AND",
        "b",
        "||",
        "'x'",
        "<>",
        "''",
    ];
    assert_eq!(found, expected);
}
