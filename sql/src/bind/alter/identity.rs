//! Identity columns that come, change and go.

use millrace_engine::DataType;

use super::Altering;
use crate::bind::sequence;
use crate::bind::table::numbered;
use crate::catalog::{CatalogChange, Drawn, Generated, Owned};
use crate::error::SqlError;
use crate::parse::not_an_identity_type;
use crate::statement::{Name, SequenceOption, SequenceOptions};

impl Altering<'_> {
    pub(super) fn add_identity(
        &mut self,
        name: &Name,
        generated: Generated,
        options: &SequenceOptions,
    ) -> Result<(), SqlError> {
        let (table, column) = (self.relation()?, self.place(name)?);
        let data_type = table.columns[column].data_type;
        if !matches!(data_type, DataType::Int16 | DataType::Int32 | DataType::Int64) {
            return Err(not_an_identity_type());
        }
        let refuse = |what: &str| {
            let message = format!("column \"{}\" of relation \"{}\" {what}", name.value, table.name);
            Err(SqlError::new("55000", message))
        };
        if table.columns[column].nullable {
            return refuse("must be declared NOT NULL before identity can be added");
        }
        let rules = table.rules().cloned().unwrap_or_default();
        match rules.drawn_of(column).map(|drawn| drawn.generated) {
            Some(Generated::Always | Generated::ByDefault) => return refuse("is already an identity column"),
            Some(Generated::Default) => return refuse("already has a default value"),
            None if rules.default_of(column).is_some() => return refuse("already has a default value"),
            None => {}
        }
        let mut options = options.clone();
        if !options.0.iter().any(|(option, _)| matches!(option, SequenceOption::Type(_))) {
            options.0.push((SequenceOption::Type(data_type), name.position));
        }
        let is_taken = |name: &str| self.catalog.in_schema(table.schema, name).is_some();
        let chosen = numbered(&table.name, &name.value, "seq", is_taken);
        let sequence = self.create(sequence::of_column(chosen, table.schema, &options)?)?;
        self.edit(|_, rules| {
            rules.drawn.push(Drawn { column, sequence, generated });
            rules.drawn.sort_by_key(|drawn| drawn.column);
            rules.owned.push(Owned { column, sequence });
        })
    }

    /// The identity of a column, or 55000.
    fn identity(&self, name: &Name) -> Result<Drawn, SqlError> {
        let (table, column) = (self.relation()?, self.place(name)?);
        let drawn = table.rules().and_then(|rules| rules.drawn_of(column));
        drawn.filter(|drawn| drawn.generated != Generated::Default).cloned().ok_or_else(|| {
            let (name, table) = (&name.value, &table.name);
            SqlError::new(
                "55000",
                format!("column \"{name}\" of relation \"{table}\" is not an identity column"),
            )
        })
    }

    pub(super) fn set_identity(
        &mut self,
        name: &Name,
        generated: Option<Generated>,
        options: &SequenceOptions,
    ) -> Result<(), SqlError> {
        let drawn = self.identity(name)?;
        if let Some(generated) = generated {
            self.edit(|_, rules| {
                let own = rules.drawn.iter_mut().filter(|own| own.column == drawn.column);
                own.for_each(|own| own.generated = generated);
            })?;
        }
        let Some(relation) = self.catalog.by_id(drawn.sequence).cloned() else { return Ok(()) };
        for change in sequence::altered(&relation, options)? {
            self.change(change)?;
        }
        Ok(())
    }

    pub(super) fn drop_identity(&mut self, name: &Name, if_exists: bool) -> Result<(), SqlError> {
        self.place(name)?;
        let drawn = match self.identity(name) {
            Ok(drawn) => drawn,
            Err(error) if if_exists => {
                self.done.notices.push(format!("{}, skipping", error.message));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.edit(|_, rules| {
            rules.drawn.retain(|own| own.column != drawn.column);
            rules.owned.retain(|own| own.sequence != drawn.sequence);
        })?;
        self.change(CatalogChange::Drop(vec![drawn.sequence]))
    }
}
