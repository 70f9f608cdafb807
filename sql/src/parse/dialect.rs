//! sqlparser's PostgreSQL dialect, with bounded work.
//!
//! sqlparser tries alternatives one after the other. Where alternatives nest, that takes time
//! exponential in the depth: with the stock dialect, which tries each argument of a function first
//! as a name for the next, `abs(abs(… 18 deep …))` takes a second. This dialect does without that
//! alternative and counts how often an expression is begun; what goes far beyond the number of
//! tokens is refused, as a statement that is nested too deeply.

use std::any::TypeId;
use std::cell::Cell;

use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

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
