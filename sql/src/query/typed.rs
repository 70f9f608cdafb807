//! `Typed`: an expression on its way to a type. Quoted literals, NULL and undeclared parameters
//! have none until their surroundings give them one: PostgreSQL's `unknown`.

use std::cell::RefCell;

use millrace_engine::{DataType, Element, Expr, Limit, Literal};

use super::expr::call;
use super::types::{Named, display};
use super::{KnownParameters, Parameters, Settings};
use crate::catalog::SearchPath;
use crate::compile::evaluate_constant;
use crate::error::SqlError;
use crate::functions::{self, Context, Kind};
use crate::zone::Zone;

/// An expression, perhaps without a type yet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Typed {
    /// With a type.
    Known(Expr, DataType),
    /// A quoted literal.
    Text(String),
    /// NULL.
    Null,
    /// A parameter, from 0, of which nothing is known yet.
    Parameter(usize),
}

impl Typed {
    /// The type without its limit, if it has one: what operators and functions are chosen by.
    pub(crate) fn data_type(&self) -> Option<DataType> {
        self.full_type().map(DataType::base)
    }

    /// The type, if it has one.
    pub(crate) fn full_type(&self) -> Option<DataType> {
        match self {
            Typed::Known(_, data_type) => Some(*data_type),
            Typed::Text(_) | Typed::Null | Typed::Parameter(_) => None,
        }
    }

    /// A literal.
    pub(crate) fn literal(literal: Literal) -> Typed {
        let data_type = literal.data_type();
        Typed::Known(Expr::Literal(literal), data_type)
    }

    /// An expression whose value is boolean.
    pub(crate) fn boolean(expr: Expr) -> Typed {
        Typed::Known(expr, DataType::Boolean)
    }
}

/// What an expression's types and values depend on besides its text: the statement's parameters and the session's
/// time zone.
#[derive(Debug)]
pub(crate) struct ParameterTypes<'a> {
    known: Known<'a>,
    /// In which zone timestamps with time zone are read, shown and computed with.
    pub(crate) zone: &'a Zone,
    /// Where unqualified names are looked up.
    pub(crate) path: &'a SearchPath,
    /// The other parameters of the session.
    pub(crate) settings: Option<&'a dyn Settings>,
}

/// The parameters of a statement: their values, or what is known of their types so far.
#[derive(Debug)]
enum Known<'a> {
    /// Executing: each has a value.
    Values(&'a [Literal]),
    /// Describing: types are filled in where the context gives one.
    Types(RefCell<Vec<Option<DataType>>>),
}

impl<'a> ParameterTypes<'a> {
    pub(crate) fn new(parameters: Parameters<'a>) -> ParameterTypes<'a> {
        let known = match parameters.known {
            KnownParameters::Values(values) => Known::Values(values),
            KnownParameters::Types(types) => Known::Types(RefCell::new(types.to_vec())),
        };
        let Parameters { zone, path, settings, .. } = parameters;
        ParameterTypes { known, zone, path, settings }
    }

    /// The parameter of this position, from 0.
    pub(crate) fn get(&self, index: usize) -> Result<Typed, SqlError> {
        match &self.known {
            Known::Values(values) => values
                .get(index)
                .cloned()
                .map(Typed::literal)
                .ok_or_else(|| SqlError::new("42P02", format!("there is no parameter ${}", index + 1))),
            Known::Types(types) => {
                let mut types = types.borrow_mut();
                if index >= types.len() {
                    types.resize(index + 1, None);
                }
                Ok(match types[index] {
                    Some(data_type) => Typed::literal(Literal::Null(data_type)),
                    None => Typed::Parameter(index),
                })
            }
        }
    }

    /// The value of a session's parameter.
    pub(crate) fn setting(&self, name: &str) -> Option<String> {
        self.settings.and_then(|settings| settings.setting(name))
    }

    /// The name of the session's time zone, as calls that depend on it have it.
    pub(crate) fn zone_name(&self) -> Expr {
        Expr::Literal(Literal::Text(self.zone.name().to_owned()))
    }

    /// Gives a parameter its type.
    fn infer(&self, index: usize, data_type: DataType) {
        if let Known::Types(types) = &self.known
            && let Some(slot) = types.borrow_mut().get_mut(index)
        {
            slot.get_or_insert(data_type);
        }
    }

    /// The types of all parameters.
    ///
    /// # Errors
    /// 42P18 for one that nothing gives a type.
    pub(crate) fn finish(&self) -> Result<Vec<DataType>, SqlError> {
        let undetermined = |at: usize| {
            SqlError::new("42P18", format!("could not determine data type of parameter ${}", at + 1))
        };
        match &self.known {
            Known::Values(values) => Ok(values.iter().map(Literal::data_type).collect()),
            Known::Types(types) => {
                let types = types.borrow();
                types.iter().enumerate().map(|(at, known)| known.ok_or_else(|| undetermined(at))).collect()
            }
        }
    }

    /// The expression as `to`, which the caller knows to be possible.
    ///
    /// # Errors
    /// What casting a literal raises: 22P02, 22003 and the like.
    pub(crate) fn as_type(&self, typed: Typed, to: DataType) -> Result<Expr, SqlError> {
        match typed {
            Typed::Known(expr, from) => cast_known(expr, from, to, self.zone),
            Typed::Text(text) => {
                cast_known(Expr::Literal(Literal::Text(text)), DataType::Text, to, self.zone)
            }
            Typed::Null => Ok(Expr::Literal(Literal::Null(to))),
            Typed::Parameter(index) => {
                // A limit is not the parameter's: what is cast or assigned to it is cut, or refused, then.
                self.infer(index, to.base());
                cast_known(Expr::Literal(Literal::Null(to.base())), to.base(), to, self.zone)
            }
        }
    }

    /// The expression as the value of a column of this type, to which it may be assigned: a text that is too
    /// long is an error, where a cast cuts it.
    pub(crate) fn assign(&self, typed: Typed, to: DataType) -> Result<Expr, SqlError> {
        let cuts = matches!(to, DataType::Limited(Limit::Varchar(Some(_)) | Limit::Char(_)));
        if !cuts || typed.full_type() == Some(to) || typed == Typed::Null {
            return self.as_type(typed, to);
        }
        Ok(call("assign", vec![self.as_type(typed, DataType::Text)?], to))
    }

    /// The expression as a type of this kind, and the type.
    pub(crate) fn as_kind(&self, typed: Typed, kind: Kind) -> Result<(Expr, DataType), SqlError> {
        let to = match (&typed, kind) {
            (Typed::Text(text), Kind::Numeric) => crate::text_form::parse_digits(text)?.data_type(),
            _ => kind.with_room_for(typed.data_type()),
        };
        match typed {
            // Functions take a type with and without its limit; but a char has blanks at its end.
            Typed::Known(expr, DataType::Limited(limit)) if limit.base() == to && kind != Kind::Char => {
                Ok((expr, to))
            }
            typed => Ok((self.as_type(typed, to)?, to)),
        }
    }

    /// An explicit cast.
    ///
    /// # Errors
    /// 42846 where there is no such cast.
    pub(crate) fn cast(&self, typed: Typed, to: Named) -> Result<Typed, SqlError> {
        let to = match (to, &typed) {
            (Named::Type(to), _) => to,
            (Named::Numeric, _) => return self.as_kind_checked(typed, Kind::Numeric),
        };
        check_cast(&typed, to, Context::Explicit)?;
        Ok(Typed::Known(self.as_type(typed, to)?, to))
    }

    fn as_kind_checked(&self, typed: Typed, kind: Kind) -> Result<Typed, SqlError> {
        check_cast(&typed, kind.with_room_for(typed.data_type()), Context::Explicit)?;
        let (expr, data_type) = self.as_kind(typed, kind)?;
        Ok(Typed::Known(expr, data_type))
    }
}

/// 42846 where an expression has no cast to `to` in this context.
fn check_cast(typed: &Typed, to: DataType, allowed: Context) -> Result<(), SqlError> {
    match typed.data_type() {
        Some(from) if functions::context(from, to).is_none_or(|least| least > allowed) => {
            Err(SqlError::new("42846", format!("cannot cast type {} to {}", display(from), display(to))))
        }
        _ => Ok(()),
    }
}

/// Whether an expression of one type becomes another by itself.
pub(super) fn becomes(from: DataType, to: DataType) -> bool {
    functions::context(from, to) == Some(Context::Implicit)
}

/// A cast between types that have one; of a literal it is computed at once.
pub(crate) fn cast_known(expr: Expr, from: DataType, to: DataType, zone: &Zone) -> Result<Expr, SqlError> {
    if from == to {
        return Ok(expr);
    }
    let cast = |input: Expr, to: DataType| Expr::Cast { input: Box::new(input), to };
    let (own, wanted) = (from.base(), to.base());
    let expr = if own == from { expr } else { cast(expr, own) };
    let expr = if own == wanted { expr } else { cast_base(expr, own, wanted, zone)? };
    Ok(if wanted == to { expr } else { cast(expr, to) })
}

/// A cast between types without limits.
fn cast_base(expr: Expr, from: DataType, to: DataType, zone: &Zone) -> Result<Expr, SqlError> {
    // A literal has the type that its value is stored as.
    let constant = matches!(expr, Expr::Literal(_)) && to.stored() == to;
    if let (Expr::Literal(Literal::Text(text)), DataType::Array(_)) = (&expr, to) {
        return Ok(Expr::Literal(crate::text_form::parse(text, to, zone)?));
    }
    let is_moments = |data_type| data_type == DataType::Array(Element::TimestampTz);
    if is_moments(from) || is_moments(to) {
        return Err(SqlError::unsupported(format_args!("a cast from {} to {}", display(from), display(to))));
    }
    let cast = match functions::cast_in_zone(expr.clone(), from, to, zone) {
        Some(cast) => cast,
        None => Expr::Cast { input: Box::new(expr), to },
    };
    if constant { Ok(Expr::Literal(evaluate_constant(&cast)?)) } else { Ok(cast) }
}
