//! Calls that make JSON of values of any type, and what json, which has no equality, cannot be used for.

use datafusion::sql::sqlparser::ast;
use millrace_engine::{DataType, Expr, Limit};

use super::expr::{Bound, ExprBinder, call};
use super::typed::Typed;
use super::types::display;
use crate::error::SqlError;

/// Which of the two types a call makes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `json`
    Text,
    /// `jsonb`
    Stored,
}

impl Form {
    fn data_type(self) -> DataType {
        match self {
            Form::Text => DataType::Json,
            Form::Stored => DataType::Jsonb,
        }
    }

    fn conversion(self) -> &'static str {
        match self {
            Form::Text => "to_json",
            Form::Stored => "to_jsonb",
        }
    }
}

/// A function that takes values of any types.
enum Call {
    Convert,
    Array,
    Object,
    /// Whether the part that is found is given as text.
    Path(bool),
}

/// The call that a name means.
fn json_call(name: &str) -> Option<(Call, Form)> {
    let (rest, form) = match name.strip_prefix("jsonb_") {
        Some(rest) => (rest, Form::Stored),
        None => (name.strip_prefix("json_").unwrap_or_default(), Form::Text),
    };
    Some(match (name, rest) {
        ("to_json", _) => (Call::Convert, Form::Text),
        ("to_jsonb", _) => (Call::Convert, Form::Stored),
        (_, "build_array") => (Call::Array, form),
        (_, "build_object") => (Call::Object, form),
        (_, "extract_path") => (Call::Path(false), form),
        (_, "extract_path_text") => (Call::Path(true), form),
        _ => return None,
    })
}

impl ExprBinder<'_> {
    /// Binds a call that makes JSON of anything, or follows a path of any length; `None` where it is none.
    pub(super) fn json_function(&self, name: &str, arguments: &[&ast::Expr]) -> Option<Bound> {
        let (kind, form) = json_call(name)?;
        let operands = match self.bind_all(arguments) {
            Ok(operands) => operands,
            Err(error) => return Some(Err(error)),
        };
        match kind {
            Call::Convert => match <[Typed; 1]>::try_from(operands) {
                Ok([operand]) => Some(self.converted(operand, form)),
                Err(_) => None,
            },
            Call::Array => Some(self.built_array(name, operands, form)),
            Call::Object => Some(self.built_object(name, operands, form)),
            Call::Path(_) if operands.is_empty() => None,
            Call::Path(as_text) => Some(self.path(name, operands, form, as_text)),
        }
    }

    fn converted(&self, operand: Typed, form: Form) -> Bound {
        if operand.full_type().is_none() {
            let message = "could not determine polymorphic type because input has type unknown";
            return Err(SqlError::new("42804", message));
        }
        Ok(Typed::Known(self.as_json(operand, form)?, form.data_type()))
    }

    fn built_array(&self, name: &str, operands: Vec<Typed>, form: Form) -> Bound {
        let elements = operands.into_iter().map(|operand| self.as_json(operand, form));
        let elements = elements.collect::<Result<_, SqlError>>()?;
        Ok(Typed::Known(call(name, elements, form.data_type()), form.data_type()))
    }

    fn built_object(&self, name: &str, operands: Vec<Typed>, form: Form) -> Bound {
        if operands.len() % 2 == 1 {
            let message = "argument list must have even number of elements";
            return Err(SqlError::new("22023", message)
                .hint(format!("The arguments of {name}() must consist of alternating keys and values.")));
        }
        let part = |(place, operand): (usize, Typed)| {
            if place % 2 == 0 { self.as_key(operand, form) } else { self.as_json(operand, form) }
        };
        let parts = operands.into_iter().enumerate().map(part).collect::<Result<_, SqlError>>()?;
        Ok(Typed::Known(call(name, parts, form.data_type()), form.data_type()))
    }

    fn path(&self, name: &str, mut operands: Vec<Typed>, form: Form, as_text: bool) -> Bound {
        let value = self.parameters.as_type(operands.remove(0), form.data_type())?;
        let mut parts = vec![value];
        parts.extend(self.all_as(operands, DataType::Text)?);
        let data_type = if as_text { DataType::Text } else { form.data_type() };
        Ok(Typed::Known(call(name, parts, data_type), data_type))
    }

    /// The elements that json_agg and json_object_agg, and those of jsonb, gather.
    pub(super) fn json_elements(&self, name: &str, operands: Vec<Typed>) -> Result<Vec<Typed>, SqlError> {
        let form = if name.starts_with("jsonb") { Form::Stored } else { Form::Text };
        let pair = match form {
            Form::Text => "json_pair",
            Form::Stored => "jsonb_build_array",
        };
        let element = match (name.ends_with("object_agg"), <[Typed; 2]>::try_from(operands)) {
            (true, Ok([key, value])) => {
                call(pair, vec![self.as_key(key, form)?, self.as_json(value, form)?], form.data_type())
            }
            (false, Err(mut operands)) if operands.len() == 1 => self.as_json(operands.remove(0), form)?,
            // As many as they are, they are no function's.
            (_, Ok(operands)) => return Ok(operands.into()),
            (true, Err(operands)) if operands.len() == 1 => return Ok([operands, vec![Typed::Null]].concat()),
            (_, Err(operands)) => return Ok(operands),
        };
        Ok(vec![Typed::Known(element, form.data_type())])
    }

    /// The key of a field: the text of a scalar.
    pub(super) fn as_key(&self, operand: Typed, form: Form) -> Result<Expr, SqlError> {
        if matches!(operand.data_type(), Some(DataType::Json | DataType::Jsonb)) {
            let message = "key value must be scalar, not array, composite, or json";
            return Err(SqlError::new("22023", message));
        }
        let text = self.output_text(operand)?;
        Ok(call(form.conversion(), vec![text], form.data_type()))
    }

    /// A value of any type as JSON.
    pub(super) fn as_json(&self, operand: Typed, form: Form) -> Result<Expr, SqlError> {
        let value = match operand.data_type() {
            Some(DataType::Json | DataType::Jsonb) => {
                return self.parameters.as_type(operand, form.data_type());
            }
            Some(
                own @ (DataType::Boolean
                | DataType::Int16
                | DataType::Int32
                | DataType::Int64
                | DataType::Float32
                | DataType::Float64
                | DataType::Decimal
                | DataType::Numeric { .. }),
            ) => self.parameters.as_type(operand, own)?,
            Some(DataType::Array(_)) => {
                return Err(SqlError::unsupported("JSON of an array"));
            }
            Some(DataType::Timestamp | DataType::TimestampTz) => {
                let text = self.parameters.as_type(operand, DataType::Text)?;
                call("iso_text", vec![text], DataType::Text)
            }
            _ => self.output_text(operand)?,
        };
        Ok(call(form.conversion(), vec![value], form.data_type()))
    }

    /// The text that a value's output function writes, but of a boolean its word.
    fn output_text(&self, operand: Typed) -> Result<Expr, SqlError> {
        match operand.full_type() {
            Some(full @ DataType::Limited(Limit::Char(_))) => {
                let char = self.parameters.as_type(operand, full)?;
                Ok(call("padded", vec![char], DataType::Text))
            }
            _ => self.parameters.as_type(operand, DataType::Text),
        }
    }
}

/// 42883 where values of json would have to be equal, or in an order.
pub(super) fn refuse_json(data_type: Option<DataType>, operator: &str) -> Result<(), SqlError> {
    match data_type {
        Some(json @ DataType::Json) => {
            let message = format!("could not identify an {operator} operator for type {}", display(json));
            Err(SqlError::new("42883", message))
        }
        _ => Ok(()),
    }
}

/// What rows are made distinct by.
pub(super) const EQUALITY: &str = "equality";
/// What rows are sorted by.
pub(super) const ORDERING: &str = "ordering";
