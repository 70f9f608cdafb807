//! Calls in FROM that sqlparser does not read, written as others that it does, before it sees the tokens:
//!
//! ```text
//!   ROWS FROM (f(…), g(…) AS (a int))   →   " rows from"(f(…), g(…)::"a int")
//!   f(…) AS (a int)                     →   f(…) AS " record" (a int)
//! ```
//! ROWS is a name elsewhere, so the tokens are followed with where they stand: in FROM, and where a table may begin.
//! Tokens keep their places in the text, so that errors show what was written.

use datafusion::sql::sqlparser::ast::{SetExpr, TableAliasColumnDef, TableFactor};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::cursor::unquoted;
use crate::error::SqlError;

/// The name of the function that ROWS FROM is written as.
pub(crate) const ROWS_FROM: &str = " rows from";

/// The alias of a call that has the columns of one, but no name.
pub(crate) const NAMELESS: &str = " record";

/// The tokens of a statement, for sqlparser.
pub(super) fn spelled_out(tokens: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
    let written = Vec::with_capacity(tokens.len());
    let mut writer = Writer { tokens, next: 0, written, before: None, levels: Vec::new(), rows_come: false };
    while let Some(token) = tokens.get(writer.next) {
        writer.next += 1;
        if is_space(token) {
            writer.written.push(token.clone());
        } else {
            writer.step(token);
        }
    }
    writer.written
}

/// The columns of a record, as `spelled_out` has written them.
///
/// # Errors
/// 42601
pub(crate) fn column_definitions(text: &str) -> Result<Vec<TableAliasColumnDef>, SqlError> {
    let broken = || SqlError::new("42601", "syntax error in a column definition list");
    let query = super::query(&format!("SELECT 1 FROM f() AS f ({text})")).map_err(|_| broken())?;
    let SetExpr::Select(select) = query.body.as_ref() else { return Err(broken()) };
    match select.from.as_slice() {
        [table] => match &table.relation {
            TableFactor::Table { alias: Some(alias), .. } => Ok(alias.columns.clone()),
            _ => Err(broken()),
        },
        _ => Err(broken()),
    }
}

/// What stands around a token, inside one pair of parentheses.
#[derive(Clone, Copy, Default)]
struct Level {
    /// Behind a FROM.
    in_from: bool,
    /// Where a table may begin.
    table: bool,
    /// In the parentheses of ROWS FROM.
    rows: bool,
}

struct Writer<'t> {
    tokens: &'t [TokenWithSpan],
    next: usize,
    written: Vec<TokenWithSpan>,
    /// The last token that is no space.
    before: Option<&'t Token>,
    /// The levels around the one at hand, and that.
    levels: Vec<Level>,
    /// Whether the parenthesis that comes is that of ROWS FROM.
    rows_come: bool,
}

impl<'t> Writer<'t> {
    fn step(&mut self, token: &'t TokenWithSpan) {
        let level = self.levels.last().copied().unwrap_or_default();
        let is_called = self.before == Some(&Token::RParen);
        match unquoted(&token.token).as_deref() {
            Some("rows") if level.table && self.come_calls() => {
                self.next = self.place_of_next(self.next) + 1;
                self.write(Token::make_word(ROWS_FROM, Some('"')), token);
                self.rows_come = true;
            }
            Some("as") if is_called && level.rows && self.comes_parenthesis(self.next) => {
                self.definitions(token);
            }
            Some("as") if is_called && level.in_from && self.comes_parenthesis(self.next) => {
                self.written.push(token.clone());
                self.write(Token::make_word(NAMELESS, Some('"')), token);
            }
            word => {
                self.written.push(token.clone());
                self.pass(&token.token, word);
            }
        }
        self.before = Some(&token.token);
    }

    /// Follows where the next token stands.
    fn pass(&mut self, token: &Token, word: Option<&str>) {
        let is_comparison = self.before.and_then(unquoted).as_deref() == Some("distinct");
        let rows = std::mem::take(&mut self.rows_come);
        if self.levels.is_empty() {
            self.levels.push(Level::default());
        }
        if *token == Token::RParen && self.levels.len() > 1 {
            self.levels.pop();
        }
        let Some(level) = self.levels.last_mut() else { return };
        let began = std::mem::take(&mut level.table);
        match (token, word) {
            (Token::LParen, _) => {
                let inside = began && !rows;
                self.levels.push(Level { in_from: inside, table: inside, rows });
            }
            (Token::Comma, _) => level.table = level.in_from,
            (_, Some("from" | "using")) if !is_comparison => (level.in_from, level.table) = (true, true),
            (_, Some("join" | "lateral")) => level.table = true,
            (_, Some("select" | "with")) => level.in_from = false,
            (_, Some("ordinality")) => level.in_from = true,
            _ => {}
        }
    }

    /// Whether `FROM (` comes.
    fn come_calls(&self) -> bool {
        let from = self.place_of_next(self.next);
        let word = self.tokens.get(from).and_then(|token| unquoted(&token.token));
        word.as_deref() == Some("from") && self.comes_parenthesis(from + 1)
    }

    fn comes_parenthesis(&self, from: usize) -> bool {
        let next = self.tokens.get(self.place_of_next(from));
        next.is_some_and(|token| token.token == Token::LParen)
    }

    /// The place of the first token from this one on that is no space.
    fn place_of_next(&self, from: usize) -> usize {
        (from..self.tokens.len()).find(|place| !is_space(&self.tokens[*place])).unwrap_or(self.tokens.len())
    }

    /// `AS (columns)` as a cast to the type that is called so.
    fn definitions(&mut self, token: &'t TokenWithSpan) {
        let first = self.place_of_next(self.next) + 1;
        let mut open = 1usize;
        let closes = |token: &TokenWithSpan| {
            match token.token {
                Token::LParen => open += 1,
                Token::RParen => open -= 1,
                _ => {}
            }
            open == 0
        };
        let Some(length) = self.tokens[first..].iter().position(closes) else {
            return self.written.push(token.clone());
        };
        let columns = self.tokens[first..first + length].iter().filter(|token| !is_space(token));
        let text: Vec<String> = columns.map(|token| token.token.to_string()).collect();
        self.write(Token::DoubleColon, token);
        self.write(Token::make_word(&text.join(" "), Some('"')), token);
        self.next = first + length + 1;
    }

    fn write(&mut self, token: Token, at: &TokenWithSpan) {
        self.written.push(TokenWithSpan { token, span: at.span });
    }
}

fn is_space(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Whitespace(_))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::tokenizer::Tokenizer;

    use super::*;

    fn written(text: &str) -> String {
        let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location();
        spelled_out(&tokens.unwrap_or_default()).iter().map(|token| token.token.to_string()).collect()
    }

    #[test]
    fn calls_side_by_side_are_one_function() {
        for (text, meant) in [
            ("select from rows from (f(1), g())", "select from \" rows from\" (f(1), g())"),
            ("select from t, ROWS  FROM(f()) r", "select from t, \" rows from\"(f()) r"),
            ("select from t join lateral rows from (f())", "select from t join lateral \" rows from\" (f())"),
            (
                "select from (rows from (f()) r join t on true)",
                "select from (\" rows from\" (f()) r join t on true)",
            ),
            (
                "from f() with ordinality, rows from (f(1) as (a int[], b numeric(5, 2)), g())",
                "from f() with ordinality, \" rows from\" (f(1) ::\"a int [ ] , b numeric ( 5 , 2 )\", g())",
            ),
            ("from f(1) as (a int)", "from f(1) as\" record\" (a int)"),
            ("delete from t using rows from (f())", "delete from t using \" rows from\" (f())"),
        ] {
            assert_eq!(written(text), meant);
            assert_eq!(written(&written(text)), meant, "once");
        }
    }

    #[test]
    fn rows_is_a_name_elsewhere() {
        for text in [
            "select rows from (select 1) t (rows)",
            "select 1, rows from (values (1)) t (rows)",
            "select x is distinct from rows, rows from (values (1)) t (rows)",
            "select * from t where a in (select rows from (table u) v)",
            "select * from a, (select 1, rows from (select 2 as rows) x) y",
            "select * from (with x (a) as (select 1) select * from x) y",
            "with x (a) as (select 1), y (b) as (select rows from (select 1 rows) z) select 1 from x",
            "select * from rows",
            "select extract(rows from (a)) from t",
            "select * from t as u (a)",
        ] {
            assert_eq!(written(text), text);
        }
    }
}
