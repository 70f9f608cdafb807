//! Schemas: which there are, what is in them, and what a name means along a search path.
//!
//! A relation has the id of its schema, so that a schema's new name changes nothing of what is in it.
//! The schemas of the system are not in the catalog (`system::Schema`); names find them all the same.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_engine::RelationId;
use serde::{Deserialize, Serialize};

use super::{Catalog, Relation};
use crate::parse::quoted;
use crate::system::{self, SystemRelation};
use crate::temporary::ALIAS;

/// Which schema. Ids come from the same sequence as those of relations, but for that of the first `public`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SchemaId(pub u64);

impl SchemaId {
    /// The schema `public` that every database begins with.
    pub const PUBLIC: SchemaId = SchemaId(0);

    /// Whether it is that: what older logs mean where they tell no schema.
    pub fn is_first(&self) -> bool {
        *self == SchemaId::PUBLIC
    }
}

/// A schema of users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSchema {
    /// Its id.
    pub id: SchemaId,
    /// Its name.
    pub name: String,
    /// What was said of it.
    pub comment: Option<String>,
    /// What is in it, by name.
    pub(super) relations: BTreeMap<String, RelationId>,
}

impl UserSchema {
    pub(super) fn new(id: SchemaId, name: &str) -> UserSchema {
        UserSchema { id, name: name.to_owned(), comment: None, relations: BTreeMap::new() }
    }

    /// The first schema of every database.
    pub(super) fn public() -> UserSchema {
        let comment = Some("standard public schema".to_owned());
        UserSchema { comment, ..UserSchema::new(SchemaId::PUBLIC, "public") }
    }

    /// The ids of what is in it, in the order of creation.
    pub fn relations(&self) -> Vec<RelationId> {
        let mut ids: Vec<RelationId> = self.relations.values().copied().collect();
        ids.sort_unstable();
        ids
    }
}

/// The schemas in which unqualified names are looked up, the first first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchPath {
    names: Cow<'static, [Cow<'static, str>]>,
    /// What `pg_temp` means.
    temporary: Option<Arc<str>>,
}

/// The path that finds what is in `public`: that of texts which were kept when there were no other schemas.
pub static PUBLIC_PATH: SearchPath =
    SearchPath { names: Cow::Borrowed(&[Cow::Borrowed("public")]), temporary: None };

impl SearchPath {
    /// The path that a value of `search_path` means to a user; `None` where it is no list of names.
    pub fn of_setting(value: &str, user: &str) -> Option<SearchPath> {
        let mut names: Vec<Cow<'static, str>> = Vec::new();
        for name in list_of_names(value)? {
            let name = match name.as_str() {
                // Our own schemas are none of a user's, whatever the user is called.
                "$user" if system::Schema::of_name(user).is_some() => continue,
                "$user" => user.to_owned(),
                _ => name,
            };
            if !names.iter().any(|known| *known == name) {
                names.push(Cow::Owned(name));
            }
        }
        Some(SearchPath { names: Cow::Owned(names), temporary: None })
    }

    /// The path of a session whose temporary relations are in this schema.
    pub fn with_temporary(self, schema: &Arc<str>) -> SearchPath {
        SearchPath { temporary: Some(schema.clone()), ..self }
    }

    /// The schema that a name of one means to the session.
    pub(crate) fn schema<'a>(&'a self, name: &'a str) -> &'a str {
        match &self.temporary {
            Some(temporary) if name == ALIAS => temporary,
            Some(_) | None => name,
        }
    }

    /// The schemas that were named.
    pub(crate) fn named(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| self.schema(name))
    }

    /// The schemas that are searched: that of temporary relations, then that of the catalogs, come first where
    /// they were not named.
    pub(crate) fn searched(&self) -> impl Iterator<Item = &str> {
        let first = [self.temporary.as_deref(), Some(system::Schema::PgCatalog.name())];
        let unnamed = first.into_iter().flatten().filter(|first| !self.named().any(|name| name == *first));
        unnamed.chain(self.named())
    }
}

/// The names of a list as SQL writes them: folded unless they are in quotes; `None` where it is no such list.
fn list_of_names(text: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = text.trim_start();
    if rest.is_empty() {
        return Some(names);
    }
    loop {
        let (name, behind) = match rest.strip_prefix('"') {
            Some(inner) => quoted_name(inner)?,
            None => {
                let end = rest.find(|char: char| char == ',' || char.is_whitespace()).unwrap_or(rest.len());
                let (name, behind) = rest.split_at(end);
                if name.is_empty() || name.contains('"') {
                    return None;
                }
                (name.to_ascii_lowercase(), behind)
            }
        };
        names.push(name);
        rest = behind.trim_start();
        if rest.is_empty() {
            return Some(names);
        }
        rest = rest.strip_prefix(',')?.trim_start();
    }
}

/// The name up to its closing quote, and what stands behind that.
fn quoted_name(inner: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = inner;
    loop {
        let end = rest.find('"')?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, rest)),
        }
    }
}

/// What a name means.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found<'c> {
    /// A relation of the catalog.
    Relation(&'c Arc<Relation>),
    /// One of the system's.
    System(SystemRelation),
}

impl Catalog {
    /// The schemas of users, in the order of their creation.
    pub fn schemas(&self) -> impl Iterator<Item = &UserSchema> {
        self.schemas.values().map(AsRef::as_ref)
    }

    /// The schema of users of this id.
    pub fn schema(&self, id: SchemaId) -> Option<&UserSchema> {
        self.schemas.get(&id).map(AsRef::as_ref)
    }

    /// The schema of users of this name.
    pub fn schema_named(&self, name: &str) -> Option<&UserSchema> {
        self.schema(*self.schema_names.get(name)?)
    }

    /// The name of a relation's schema.
    pub fn schema_of(&self, relation: &Relation) -> &str {
        self.schema(relation.schema).map_or("", |schema| schema.name.as_str())
    }

    /// The relation of a name in a schema.
    pub fn in_schema(&self, schema: SchemaId, name: &str) -> Option<&Arc<Relation>> {
        self.by_id(*self.schema(schema)?.relations.get(name)?)
    }

    /// The relation of a name in the schema of a name.
    pub fn named(&self, schema: &str, name: &str) -> Option<&Arc<Relation>> {
        self.in_schema(self.schema_named(schema)?.id, name)
    }

    /// What a name means: in its schema where it tells one, else in the first along the path that has it.
    pub(crate) fn lookup(&self, schema: Option<&str>, name: &str, path: &SearchPath) -> Option<Found<'_>> {
        let found = |schema: &str| match self.named(schema, name) {
            Some(relation) => Some(Found::Relation(relation)),
            None => SystemRelation::of_name(schema, name).map(Found::System),
        };
        match schema {
            Some(schema) => found(path.schema(schema)),
            None => path.searched().find_map(found),
        }
    }

    /// Whether there is a schema of this name, of users or of the system.
    pub(crate) fn has_schema(&self, name: &str) -> bool {
        self.schema_names.contains_key(name) || system::Schema::of_name(name).is_some()
    }

    /// The schemas along a path that there are; with `all` also those that nobody named.
    pub(crate) fn schemas_along<'p>(&self, path: &'p SearchPath, all: bool) -> Vec<&'p str> {
        let searched = path.searched().filter(|name| all || path.named().any(|named| named == *name));
        searched.filter(|name| self.has_schema(name)).collect()
    }

    /// Whether the relation's name means it without its schema.
    pub fn is_visible(&self, relation: &Relation, path: &SearchPath) -> bool {
        matches!(self.lookup(None, &relation.name, path), Some(Found::Relation(found)) if found.id == relation.id)
    }

    /// Whether the name of a relation of the system's means it without its schema.
    pub fn sees(&self, relation: SystemRelation, path: &SearchPath) -> bool {
        matches!(self.lookup(None, relation.name(), path), Some(Found::System(found)) if found == relation)
    }

    /// A relation's name with its schema, as SQL writes it.
    pub fn qualified(&self, relation: &Relation) -> String {
        format!("{}.{}", quoted(self.schema_of(relation)), quoted(&relation.name))
    }

    /// A relation's name with its schema as the session calls that.
    pub fn qualified_along(&self, relation: &Relation, path: &SearchPath) -> String {
        match path.temporary.as_deref() {
            Some(temporary) if self.schema_of(relation) == temporary => {
                format!("{ALIAS}.{}", quoted(&relation.name))
            }
            Some(_) | None => self.qualified(relation),
        }
    }

    /// A relation's name as SQL writes it, with its schema where the path does not find it.
    pub fn shown(&self, relation: &Relation, path: &SearchPath) -> String {
        if self.is_visible(relation, path) { quoted(&relation.name) } else { self.qualified(relation) }
    }

    /// What a message calls a relation: `table t`, `view s.v`.
    pub fn described(&self, relation: &Relation, path: &SearchPath) -> String {
        format!("{} {}", relation.kind_name(), self.shown(relation, path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_names_are_read_as_sql_writes_names() {
        let read = |text: &str| list_of_names(text);
        let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(read(""), names(&[]));
        assert_eq!(read(" a , B,\"C \"\"d\", \"\""), names(&["a", "b", "C \"d", ""]));
        for wrong in ["a,,b", "a,", ",a", "\"a", "a b", "a\"b"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_catalogs_come_first_unless_they_are_named() {
        let searched = |text: &str| {
            let path = SearchPath::of_setting(text, "ada").unwrap_or_else(|| PUBLIC_PATH.clone());
            path.searched().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(searched("\"$user\", public, ada"), ["pg_catalog", "ada", "public"]);
        assert_eq!(searched("public, pg_catalog"), ["public", "pg_catalog"]);
        assert_eq!(searched(""), ["pg_catalog"]);
        let path = SearchPath::of_setting("\"$user\", public", "millrace");
        assert_eq!(
            path.map(|path| path.named().map(str::to_owned).collect()),
            Some(vec!["public".to_owned()])
        );
    }
}
