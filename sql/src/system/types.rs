//! The types that PostgreSQL's catalogs have here.
//!
//! There are no `oid`, `name`, `"char"` and no arrays yet: an oid is a bigint, the others are texts in
//! PostgreSQL's text form.

use millrace_engine::DataType;

pub(super) const OID: DataType = DataType::Int64;
pub(super) const BIGINT: DataType = DataType::Int64;
pub(super) const INT: DataType = DataType::Int32;
pub(super) const BOOL: DataType = DataType::Boolean;
pub(super) const FLOAT: DataType = DataType::Float64;
pub(super) const TEXT: DataType = DataType::Text;
