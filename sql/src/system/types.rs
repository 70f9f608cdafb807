//! The types that PostgreSQL's catalogs have here.
//!
//! There are no `oid`, `name`, `"char"`: an oid is a bigint, the others are texts, and so are most arrays, in
//! PostgreSQL's text form.

use millrace_engine::{DataType, Element};

pub(super) const OID: DataType = DataType::Int64;
pub(super) const BIGINT: DataType = DataType::Int64;
pub(super) const INT: DataType = DataType::Int32;
pub(super) const BOOL: DataType = DataType::Boolean;
pub(super) const FLOAT: DataType = DataType::Float64;
pub(super) const TEXT: DataType = DataType::Text;
pub(super) const TEXTS: DataType = DataType::Array(Element::Text);
