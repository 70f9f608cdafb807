//! sqlparser's PostgreSQL dialect, with bounded work.
//!
//! sqlparser tries alternatives one after the other. Where alternatives nest, that takes time
//! exponential in the depth: with the stock dialect, which tries each argument of a function first
//! as a name for the next, `abs(abs(… 18 deep …))` takes a second. This dialect does without that
//! alternative and counts how often an expression is begun; what goes far beyond the number of
//! tokens is refused, as a statement that is nested too deeply.

use std::any::TypeId;
use std::cell::Cell;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr};
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

/// How often an expression may be begun at each token. Statements in use need two or three.
const BEGINNINGS_PER_TOKEN: usize = 20;

/// As PostgreSQL's, for one statement.
#[derive(Debug)]
pub(super) struct BoundedDialect {
    base: PostgreSqlDialect,
    /// How many expressions may still be begun.
    budget: Cell<usize>,
}

impl BoundedDialect {
    /// For a statement of this many tokens.
    pub(super) fn new(tokens: usize) -> BoundedDialect {
        BoundedDialect { base: PostgreSqlDialect {}, budget: Cell::new((tokens + 10) * BEGINNINGS_PER_TOKEN) }
    }

    /// Whether parsing was given up, so that its error says nothing about the text.
    pub(super) fn is_exhausted(&self) -> bool {
        self.budget.get() == 0
    }
}

impl Dialect for BoundedDialect {
    fn dialect(&self) -> TypeId {
        self.base.dialect()
    }

    /// Counts, and leaves the parsing to sqlparser.
    fn parse_prefix(&self, _parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        self.budget.set(self.budget.get().saturating_sub(1));
        self.is_exhausted().then_some(Err(ParserError::RecursionLimitExceeded))
    }

    /// `IN ((SELECT …)::int, 2)`: sqlparser takes the inner parentheses for the whole list.
    /// `a IS DISTINCT FROM b AND c`: it takes all of `b AND c` for the right operand.
    fn parse_infix(
        &self,
        parser: &mut Parser,
        expr: &Expr,
        precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        use Keyword::{DISTINCT, FROM, IS, NOT};
        if parser.parse_keywords(&[IS, DISTINCT, FROM]) {
            let right = parser.parse_subexpr(precedence);
            return Some(right.map(|right| Expr::IsDistinctFrom(Box::new(expr.clone()), Box::new(right))));
        }
        if parser.parse_keywords(&[IS, NOT, DISTINCT, FROM]) {
            let right = parser.parse_subexpr(precedence);
            return Some(right.map(|right| Expr::IsNotDistinctFrom(Box::new(expr.clone()), Box::new(right))));
        }
        if let Some(between) = parse_between_symmetric(parser, expr, self.prec_value(Precedence::Between)) {
            return Some(between);
        }
        let token = |index| &parser.peek_nth_token_ref(index).token;
        let is = |token: &Token, keyword| matches!(token, Token::Word(word) if word.keyword == keyword);
        let negated = is(token(0), Keyword::NOT);
        let first = usize::from(negated);
        let is_nested = is(token(first), Keyword::IN)
            && [first + 1, first + 2].iter().all(|index| *token(*index) == Token::LParen);
        is_nested.then(|| parse_nested_in(parser, expr, negated))
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        self.base.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, char: char) -> bool {
        self.base.is_delimited_identifier_start(char)
    }

    fn is_identifier_start(&self, char: char) -> bool {
        self.base.is_identifier_start(char)
    }

    fn is_identifier_part(&self, char: char) -> bool {
        self.base.is_identifier_part(char)
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        self.base.is_reserved_for_identifier(keyword)
    }

    fn is_custom_operator_part(&self, char: char) -> bool {
        self.base.is_custom_operator_part(char)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        self.base.get_next_precedence(parser)
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        self.base.prec_value(precedence)
    }

    fn supports_unicode_string_literal(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn allow_extract_custom(&self) -> bool {
        true
    }

    fn allow_extract_single_quotes(&self) -> bool {
        true
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }

    fn supports_empty_projections(&self) -> bool {
        true
    }

    fn supports_nested_comments(&self) -> bool {
        true
    }

    fn supports_string_escape_constant(&self) -> bool {
        true
    }

    fn supports_numeric_literal_underscores(&self) -> bool {
        true
    }

    fn supports_array_typedef_with_brackets(&self) -> bool {
        true
    }

    fn supports_geometric_types(&self) -> bool {
        true
    }

    fn supports_notnull_operator(&self) -> bool {
        true
    }

    fn supports_interval_options(&self) -> bool {
        true
    }

    fn supports_comma_separated_trim(&self) -> bool {
        true
    }
}

/// `[NOT] BETWEEN SYMMETRIC`, whose ends may stand in either order: both orders are tried. (ASYMMETRIC says nothing.)
fn parse_between_symmetric(
    parser: &mut Parser,
    expr: &Expr,
    precedence: u8,
) -> Option<Result<Expr, ParserError>> {
    let is_word = |index: usize, text: &str| matches!(&parser.peek_nth_token_ref(index).token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(text));
    let negated = is_word(0, "not");
    let first = usize::from(negated);
    let symmetric = is_word(first + 1, "symmetric");
    if !is_word(first, "between") || !symmetric && !is_word(first + 1, "asymmetric") {
        return None;
    }
    (0..first + 2).for_each(|_| _ = parser.next_token());
    let mut ends = || {
        let low = parser.parse_subexpr(precedence)?;
        parser.expect_keyword_is(Keyword::AND)?;
        Ok((low, parser.parse_subexpr(precedence)?))
    };
    let (low, high) = match ends() {
        Ok(ends) => ends,
        Err(error) => return Some(Err(error)),
    };
    let between = |low: &Expr, high: &Expr| Expr::Between {
        expr: Box::new(expr.clone()),
        negated,
        low: Box::new(low.clone()),
        high: Box::new(high.clone()),
    };
    if !symmetric {
        return Some(Ok(between(&low, &high)));
    }
    let op = if negated { BinaryOperator::And } else { BinaryOperator::Or };
    let (left, right) = (Box::new(between(&low, &high)), Box::new(between(&high, &low)));
    Some(Ok(Expr::Nested(Box::new(Expr::BinaryOp { left, op, right }))))
}

/// IN with two parentheses behind it: a query in more parentheses than it needs, or a list.
fn parse_nested_in(parser: &mut Parser, expr: &Expr, negated: bool) -> Result<Expr, ParserError> {
    if negated {
        parser.expect_keyword_is(Keyword::NOT)?;
    }
    parser.expect_keyword_is(Keyword::IN)?;
    parser.expect_token(&Token::LParen)?;
    let expr = Box::new(expr.clone());
    let query = parser.maybe_parse(|parser| {
        let query = parser.parse_query()?;
        parser.expect_token(&Token::RParen)?;
        Ok(query)
    })?;
    if let Some(subquery) = query {
        return Ok(Expr::InSubquery { expr, subquery, negated });
    }
    let list = parser.parse_comma_separated(Parser::parse_expr)?;
    parser.expect_token(&Token::RParen)?;
    Ok(Expr::InList { expr, list, negated })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(sql: &str) -> Result<Expr, ParserError> {
        let dialect = BoundedDialect::new(sql.len());
        Parser::new(&dialect).try_with_sql(sql)?.parse_expr()
    }

    #[test]
    fn is_distinct_from_binds_closer_than_and() {
        for (text, meant) in [
            ("a IS DISTINCT FROM b AND c", "(a IS DISTINCT FROM b) AND c"),
            ("a IS NOT DISTINCT FROM b + 1 OR c", "(a IS NOT DISTINCT FROM (b + 1)) OR c"),
            ("a IS DISTINCT FROM b = c AND d", "(a IS DISTINCT FROM (b = c)) AND d"),
        ] {
            let flat = |sql: &str| parsed(sql).map(|expr| expr.to_string().replace(['(', ')'], ""));
            let is_and_or = |expr| matches!(expr, Ok(Expr::BinaryOp { .. }));
            assert!(is_and_or(parsed(text)), "{text}: {:?}", parsed(text));
            assert_eq!(flat(text), flat(meant));
        }
    }

    #[test]
    fn in_takes_a_query_in_parentheses_for_what_it_is() {
        for list in
            ["a IN ((SELECT 1)::int, 2)", "a NOT IN ((SELECT 1), 2)", "a IN ((1), 2)", "a IN ((1 + 2) * 3)"]
        {
            assert!(matches!(parsed(list), Ok(Expr::InList { .. })), "{list}: {:?}", parsed(list));
        }
        for query in ["a IN ((SELECT 1))", "a NOT IN (((SELECT 1)))", "a IN ((SELECT 1) UNION SELECT 2)"] {
            assert!(matches!(parsed(query), Ok(Expr::InSubquery { .. })), "{query}: {:?}", parsed(query));
        }
        assert!(parsed("a IN ((SELECT 1)::int").is_err() && parsed("a IN ((1) 2)").is_err());
    }
}
