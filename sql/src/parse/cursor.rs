//! `Cursor`: our statement grammar's view of the tokens, word by word.
//!
//! It wraps sqlparser's parser, which takes over for queries, expressions and types and gives the
//! place back. Words are compared without regard to case and never match quoted names.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::depth::RECURSION_MAX;
use super::dialect::BoundedDialect;
use super::expand_array;
use super::names;
use super::rows_from;
use super::source::{Source, too_deep};
use crate::error::SqlError;
use crate::statement::{Name, RelationName};
use crate::temporary::in_temporary;

/// A place between two tokens of one statement.
pub(super) struct Cursor<'a> {
    parser: Parser<'a>,
    dialect: &'a BoundedDialect,
    source: &'a Arc<Source>,
    tokens: &'a [TokenWithSpan],
}

impl<'a> Cursor<'a> {
    /// Before the first token of a statement, whose tokens include its semicolon.
    pub(super) fn new(
        source: &'a Arc<Source>,
        tokens: &'a [TokenWithSpan],
        dialect: &'a BoundedDialect,
    ) -> Cursor<'a> {
        let parser = Parser::new(dialect)
            .with_recursion_limit(RECURSION_MAX)
            .with_tokens_with_locations(rows_from::spelled_out(tokens));
        Cursor { parser, dialect, source, tokens }
    }

    /// The next token; `EOF` at the end.
    pub(super) fn peek(&self) -> &Token {
        &self.parser.peek_token_ref().token
    }

    /// The next word in lower case, unless it is quoted.
    pub(super) fn peek_word(&self) -> Option<String> {
        self.peek_words(1).pop()
    }

    /// Up to `count` unquoted words that come next, in lower case.
    pub(super) fn peek_words(&self, count: usize) -> Vec<String> {
        (0..count).map_while(|n| unquoted(&self.parser.peek_nth_token_ref(n).token)).collect()
    }

    /// Whether a word with a parenthesis behind it comes next.
    pub(super) fn comes_call(&self) -> bool {
        let is_word = matches!(self.peek(), Token::Word(_));
        is_word && self.parser.peek_nth_token_ref(1).token == Token::LParen
    }

    /// The whole text.
    pub(super) fn source(&self) -> &Arc<Source> {
        self.source
    }

    /// Whether names in parentheses come next, and AS behind them.
    pub(super) fn comes_list_of_names(&self) -> bool {
        let token = |place| &self.parser.peek_nth_token_ref(place).token;
        if *token(0) != Token::LParen {
            return false;
        }
        // A name and what separates it from the next.
        let mut place = 1;
        while matches!(token(place), Token::Word(_)) && *token(place + 1) == Token::Comma {
            place += 2;
        }
        matches!(token(place), Token::Word(_))
            && *token(place + 1) == Token::RParen
            && matches!(unquoted(token(place + 2)).as_deref(), Some("as" | "on"))
    }

    /// Where the next token stands, in characters from 1.
    pub(super) fn position(&self) -> usize {
        self.source.position(self.parser.peek_token_ref().span.start)
    }

    /// Whether these words come next, separated by spaces and in lower case here.
    pub(super) fn comes(&self, words: &str) -> bool {
        let count = words.split(' ').count();
        self.peek_words(count).iter().map(String::as_str).eq(words.split(' '))
    }

    /// Passes these words if they come next.
    pub(super) fn accept(&mut self, words: &str) -> bool {
        let comes = self.comes(words);
        if comes {
            self.advance(words.split(' ').count());
        }
        comes
    }

    /// Passes one of these words or groups of words; which one it was.
    pub(super) fn accept_one_of(&mut self, choices: &[&'static str]) -> Option<&'static str> {
        choices.iter().copied().find(|words| self.accept(words))
    }

    /// Passes these words, or 42601 at the first that is another.
    pub(super) fn expect(&mut self, words: &str) -> Result<(), SqlError> {
        words.split(' ').try_for_each(|word| match self.accept(word) {
            true => Ok(()),
            false => Err(self.syntax_error()),
        })
    }

    /// Passes a token if it comes next.
    pub(super) fn accept_token(&mut self, token: &Token) -> bool {
        self.parser.consume_token(token)
    }

    /// Passes a token, or 42601.
    pub(super) fn expect_token(&mut self, token: &Token) -> Result<(), SqlError> {
        if self.accept_token(token) { Ok(()) } else { Err(self.syntax_error()) }
    }

    /// Whether the statement ends here.
    pub(super) fn at_end(&self) -> bool {
        matches!(self.peek(), Token::EOF | Token::SemiColon)
    }

    /// The statement must end here.
    pub(super) fn expect_end(&self) -> Result<(), SqlError> {
        if self.at_end() { Ok(()) } else { Err(self.syntax_error()) }
    }

    /// 42601 at the next token.
    pub(super) fn syntax_error(&self) -> SqlError {
        self.source.syntax_error(Some(self.parser.peek_token_ref()))
    }

    /// 0A000 at the next token.
    pub(super) fn unsupported(&self, what: &str) -> SqlError {
        SqlError::unsupported(what).position(self.position())
    }

    /// 0A000 where one of these clauses comes next: it names the clause, in upper case.
    pub(super) fn refuse(&mut self, clauses: &[&'static str], statement: &str) -> Result<(), SqlError> {
        let position = self.position();
        match self.accept_one_of(clauses) {
            Some(words) => {
                Err(SqlError::unsupported(format!("{statement} … {}", words.to_uppercase()))
                    .position(position))
            }
            None => Ok(()),
        }
    }

    /// Passes `count` tokens.
    pub(super) fn advance(&mut self, count: usize) {
        (0..count).for_each(|_| self.parser.advance_token());
    }

    /// Steps back over the last token.
    pub(super) fn back(&mut self) {
        self.parser.prev_token();
    }

    /// A name, as PostgreSQL takes them for columns: reserved words only in quotes.
    pub(super) fn name(&mut self) -> Result<Name, SqlError> {
        let position = self.position();
        match self.peek() {
            Token::Word(word) if word.quote_style.is_some() || !names::is_reserved(&word.value) => {
                let value = names::checked(names::fold(&word.value, word.quote_style), position)?;
                self.advance(1);
                Ok(Name { value, position })
            }
            _ => Err(self.syntax_error()),
        }
    }

    /// The name of an option, which any word can be.
    pub(super) fn option(&mut self) -> Result<Name, SqlError> {
        let position = self.position();
        match self.peek() {
            Token::Word(word) => {
                let value = names::fold(&word.value, word.quote_style);
                self.advance(1);
                Ok(Name { value, position })
            }
            _ => Err(self.syntax_error()),
        }
    }

    /// The name of a relation, perhaps with its schema.
    pub(super) fn relation(&mut self) -> Result<RelationName, SqlError> {
        let mut parts = vec![self.name()?];
        while self.accept_token(&Token::Period) {
            parts.push(self.name()?);
        }
        names::resolve(parts)
    }

    /// Passes the words that make temporary what is created, if they come next.
    pub(super) fn accepts_temporary(&mut self) -> bool {
        let words = ["temporary", "temp", "local temporary", "local temp", "global temporary", "global temp"];
        self.accept_one_of(&words).is_some()
    }

    /// The name of a relation that is created.
    ///
    /// # Errors
    /// 42P16 where a temporary one has a schema that is not for those.
    pub(super) fn created(&mut self, temporary: bool) -> Result<RelationName, SqlError> {
        let name = self.relation()?;
        if temporary { in_temporary(name) } else { Ok(name) }
    }

    /// Names in parentheses, at least one; none where no parenthesis comes.
    pub(super) fn names_in_parentheses(&mut self) -> Result<Vec<Name>, SqlError> {
        let mut names = Vec::new();
        if self.accept_token(&Token::LParen) {
            names.push(self.name()?);
            while self.accept_token(&Token::Comma) {
                names.push(self.name()?);
            }
            self.expect_token(&Token::RParen)?;
        }
        Ok(names)
    }

    /// A text in quotes.
    pub(super) fn string(&mut self) -> Result<String, SqlError> {
        match self.peek() {
            Token::SingleQuotedString(value) | Token::EscapedStringLiteral(value) => {
                let value = value.clone();
                self.advance(1);
                Ok(value)
            }
            _ => Err(self.syntax_error()),
        }
    }

    /// A query, from here on.
    pub(super) fn query(&mut self) -> Result<Arc<ast::Query>, SqlError> {
        self.spell_out_table();
        let mut query = self.sqlparser(Parser::parse_query)?;
        super::refused::check(&query, self.source)?;
        // Queries without it are not walked: a deep one would take stack for nothing.
        if self.tokens.iter().any(|token| unquoted(&token.token).as_deref() == Some(expand_array::NAME)) {
            expand_array::spell_out(&mut query)?;
        }
        Ok(Arc::from(query))
    }

    /// The first of these words that stands behind a parenthesis that closes, and in none.
    pub(super) fn word_behind_parentheses(&self, words: &[&'static str]) -> Option<&'static str> {
        let (mut open, mut place) = (0usize, 0);
        let mut closed = false;
        loop {
            let token = &self.parser.peek_nth_token_ref(place).token;
            match token {
                Token::EOF | Token::SemiColon => return None,
                Token::LParen => open += 1,
                Token::RParen => open = open.saturating_sub(1),
                _ if closed && open == 0 => {
                    let word = unquoted(token);
                    if let Some(found) = words.iter().find(|known| word.as_deref() == Some(**known)) {
                        return Some(found);
                    }
                }
                _ => {}
            }
            closed = *token == Token::RParen;
            place += 1;
        }
    }

    /// `name [(columns)] AS (query), …`
    pub(super) fn queries_by_name(&mut self) -> Result<Vec<ast::Cte>, SqlError> {
        self.spell_out_table();
        let queries = self.sqlparser(|parser| parser.parse_comma_separated(Parser::parse_cte))?;
        queries.iter().try_for_each(|cte| super::refused::check(&cte.query, self.source))?;
        Ok(queries)
    }

    /// From here on writes `TABLE name` as what it means, `SELECT * FROM name`: sqlparser's own reading of it
    /// loses tokens. TABLE is a reserved word, so that only a label behind AS and a part of a dotted name can be
    /// something else.
    fn spell_out_table(&mut self) {
        let start = self.parser.index();
        let tokens = std::mem::replace(&mut self.parser, Parser::new(self.dialect)).into_tokens();
        let is_space = |token: &TokenWithSpan| matches!(token.token, Token::Whitespace(_));
        let passed = tokens.iter().take(start).filter(|token| !is_space(token)).count();
        let mut written = Vec::with_capacity(tokens.len());
        let mut before = None;
        for (index, token) in tokens.into_iter().enumerate() {
            let is_table = index >= start && unquoted(&token.token).as_deref() == Some("table");
            let is_name = match &before {
                Some(Token::Period) => true,
                Some(before) => unquoted(before).as_deref() == Some("as"),
                None => false,
            };
            if index >= start && !is_space(&token) {
                before = Some(token.token.clone());
            }
            if is_table && !is_name {
                let spelled = [Token::make_keyword("SELECT"), Token::Mul, Token::make_keyword("FROM")];
                written.extend(spelled.map(|word| TokenWithSpan { token: word, span: token.span }));
            } else {
                written.push(token);
            }
        }
        let parser = Parser::new(self.dialect).with_recursion_limit(RECURSION_MAX);
        self.parser = parser.with_tokens_with_locations(written);
        self.advance(passed);
    }

    /// Lets sqlparser parse what comes next.
    pub(super) fn sqlparser<T>(
        &mut self,
        parse: impl FnOnce(&mut Parser<'a>) -> Result<T, ParserError>,
    ) -> Result<T, SqlError> {
        parse(&mut self.parser).map_err(|error| match self.dialect.is_exhausted() {
            true => too_deep(),
            false => self.source.parser_error(&error, self.tokens),
        })
    }

    /// Marks a place for `text_since`.
    pub(super) fn mark(&self) -> usize {
        self.source.offset(self.parser.peek_token_ref().span.start)
    }

    /// The text from a mark to the next token, without white space and comments at its end.
    pub(super) fn text_since(&self, mark: usize) -> String {
        let next = self.parser.peek_token_ref().span.start;
        // The end has no place. Places are compared, not offsets, which take a walk over the text each.
        let is_before = |token: &TokenWithSpan| next.line == 0 || token.span.start < next;
        let is_space = |token: &TokenWithSpan| matches!(token.token, Token::Whitespace(_));
        let last = self.tokens.iter().rev().find(|token| !is_space(token) && is_before(token));
        let end = last.map_or_else(|| self.mark(), |token| self.source.offset(token.span.end));
        self.source.between(mark, end).to_owned()
    }
}

/// A word that is not quoted, in lower case.
pub(super) fn unquoted(token: &Token) -> Option<String> {
    match token {
        Token::Word(Word { value, quote_style: None, .. }) => Some(value.to_lowercase()),
        _ => None,
    }
}
