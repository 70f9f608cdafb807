//! Plan → dataflow: one walk, one exhaustive match; the operators are elsewhere.
//!
//! Rows and errors are two collections of every dataflow. The walk is the same on every worker and
//! after every restart, so the traces that it makes can be saved and given back by their order.

use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use arrow::array::ArrayRef;
use timely::dataflow::Scope;
use timely::dataflow::operators::Concatenate;

use super::accumulate::{AggregateSpec, lay_out};
use super::arrange::{Arranged, arrange, arrange_and_export};
use super::arrangement::{SavedTrace, Start, TraceHandle, observer};
use super::edge::Edge;
use super::import::{import, import_errors};
use super::join::{JoinSpec, join};
use super::meter::Meter;
use super::publish::{Publication, PublishSpec, publish};
use super::reduce::{ReduceSpec, reduce};
use super::shared::{ArrangementKey, Export, SharedArrangement, import_arranged};
use super::stateless::{Projection, constant, project};
use super::token::{Clock, Token};
use crate::delta::{Delta, batch_of};
use crate::error::EngineError;
use crate::expr::{Compiler, Expr};
use crate::literals::column_of_literals;
use crate::plan::{Aggregate, JoinKey, Plan};
use crate::planted::{self, Bug};
use crate::types::{DataType, Literal, RelationId, Tick};

/// What rendering needs besides the plan.
pub(crate) struct Renderer<'a, 'scope> {
    /// The dataflow under construction.
    pub(crate) scope: Scope<'scope, Tick>,
    /// Compiles expressions.
    pub(crate) compiler: &'a dyn Compiler,
    /// What can be imported on this worker.
    pub(crate) relations: &'a HashMap<RelationId, Rc<Publication>>,
    /// Where the dataflow starts.
    pub(crate) start: Start,
    /// Stops the dataflow.
    pub(crate) token: &'a Token,
    /// Moves constants.
    pub(crate) clock: &'a Clock,
    /// What errors call the view.
    pub(crate) name: Arc<str>,
    /// Readers of the view go on where rows are in error.
    pub(crate) skips_errors: bool,
    /// Counts what the view does and holds.
    pub(crate) meter: &'a Arc<Meter>,
    /// Saved traces, in the order of rendering, where the dataflow is restored.
    pub(crate) saved: Option<VecDeque<SavedTrace>>,
    /// The traces made so far, in the order of rendering.
    pub(crate) traces: Vec<TraceHandle>,
    /// Relations imported so far: each once a dataflow.
    pub(crate) imports: HashMap<RelationId, (Edge<'scope>, Edge<'scope>)>,
    /// Relations whose errors came in with a shared arrangement.
    pub(crate) erring: HashSet<RelationId>,
    /// The shared arrangements that are taken in so far.
    pub(crate) taken_in: HashSet<ArrangementKey>,
    /// The error collections of all operators so far.
    pub(crate) errors: Vec<Edge<'scope>>,
    /// The arrangements of this worker that views share, where the dataflow may take them in.
    pub(crate) shared: &'a HashMap<ArrangementKey, SharedArrangement>,
    /// Which of `traces` belong to shared arrangements.
    pub(crate) borrowed: HashSet<usize>,
}

/// A rendered view.
pub(crate) struct Rendered {
    /// What it offers to others.
    pub(crate) publication: Rc<Publication>,
    /// Its traces in the order of rendering, for saving.
    pub(crate) traces: Vec<TraceHandle>,
    /// Which of them belong to shared arrangements.
    pub(crate) borrowed: HashSet<usize>,
}

impl<'scope> Renderer<'_, 'scope> {
    /// Renders a view: its publication, and all traces for saving.
    ///
    /// # Errors
    /// `InvalidPlan`, which checking the plan before has ruled out.
    pub(crate) fn view(mut self, plan: &Plan) -> Result<Rendered, EngineError> {
        let rows = self.render(plan)?;
        let errors = self.scope.concatenate(std::mem::take(&mut self.errors));
        let saved = match (self.take_saved(), self.take_saved()) {
            (Some(rows), Some(errors)) => Some([rows, errors]),
            _ => None,
        };
        let spec = PublishSpec {
            columns: plan.columns(),
            keep_rows: true,
            start: self.start,
            saved,
            name: Arc::clone(&self.name),
            skips_errors: self.skips_errors,
            meter: Some(Arc::clone(self.meter)),
            checks_counts: false,
        };
        let publication = publish(rows, errors, spec);
        self.traces.extend(publication.traces());
        Ok(Rendered { publication, traces: self.traces, borrowed: self.borrowed })
    }

    /// Renders an arrangement that views share: its batches, and the errors of its chain. Those of the
    /// relation itself each view takes in once, however many arrangements it reads.
    ///
    /// # Errors
    /// `InvalidPlan`, which checking the plan before has ruled out.
    pub(crate) fn shared_arrangement(
        mut self,
        key: &ArrangementKey,
        export: Rc<Export>,
    ) -> Result<(Arranged<'scope>, Rc<Publication>), EngineError> {
        let ArrangementKey { input, keys } = key;
        if let Some(relation) = key.relation() {
            self.get(relation)?;
            self.errors.clear();
        }
        let (rows, types) = self.keyed_rows(input, keys, input)?;
        let export = Some(export);
        let arranged = arrange_and_export(rows, &types, keys.len(), self.start, None, self.meter, export);
        let errors = self.scope.concatenate(std::mem::take(&mut self.errors));
        let spec = PublishSpec {
            columns: Vec::new(),
            keep_rows: true,
            start: self.start,
            saved: None,
            name: Arc::clone(&self.name),
            skips_errors: false,
            meter: Some(Arc::clone(self.meter)),
            checks_counts: false,
        };
        Ok((arranged, publish(self.scope.concatenate(Vec::new()), errors, spec)))
    }

    /// The rows of a plan; its errors are added to the dataflow's.
    fn render(&mut self, plan: &Plan) -> Result<Edge<'scope>, EngineError> {
        match plan {
            Plan::Get { relation, .. } => self.get(*relation),
            Plan::Constant { rows, columns } => Ok(self.constant(rows, columns)),
            Plan::Project { input, predicates, outputs } => {
                let rows = self.render(input)?;
                self.project(rows, &input.columns(), predicates, outputs, plan)
            }
            Plan::Join { left, right, keys } => {
                let specs = JoinSpec { left: left.columns(), right: right.columns(), start: self.start };
                let (left_keys, right_keys) = sides(keys);
                let left = self.join_input(left, &left_keys, plan)?;
                let right = self.join_input(right, &right_keys, plan)?;
                Ok(join(left, right, specs, Arc::clone(self.meter), self.token))
            }
            Plan::Reduce { input, keys, aggregates } => self.reduce(input, keys, aggregates, plan),
            Plan::Union { inputs } => {
                let rows = inputs.iter().map(|input| self.render(input)).collect::<Result<Vec<_>, _>>()?;
                Ok(self.scope.concatenate(rows))
            }
            Plan::Exists { .. } | Plan::Repeat { .. } | Plan::TopK { .. } => Err(unrendered(plan)),
        }
    }

    fn get(&mut self, relation: RelationId) -> Result<Edge<'scope>, EngineError> {
        if let Some((rows, _)) = self.imports.get(&relation) {
            return Ok(rows.clone());
        }
        let publication = self.relations.get(&relation).ok_or(EngineError::NoRelation(relation))?;
        let (rows, errors) = import(self.scope, publication, self.start, self.token, self.meter);
        self.imports.insert(relation, (rows.clone(), errors.clone()));
        if !self.erring.contains(&relation) {
            self.errors.push(errors);
        }
        Ok(rows)
    }

    /// Constant rows come from the first worker; a restored dataflow has them already.
    fn constant(&mut self, rows: &[Vec<Literal>], columns: &[DataType]) -> Edge<'scope> {
        let fresh = match self.start {
            Start::Fresh(as_of) => Some(as_of).filter(|_| self.scope.index() == 0 && !rows.is_empty()),
            Start::Restored(_) => None,
        };
        let delta = fresh.map(|as_of| Delta::uniform(constant_batch(rows, columns), 1, as_of));
        constant(self.scope, delta, self.clock.clone(), self.token)
    }

    fn project(
        &mut self,
        rows: Edge<'scope>,
        columns: &[DataType],
        predicates: &[Expr],
        outputs: &[Expr],
        plan: &Plan,
    ) -> Result<Edge<'scope>, EngineError> {
        let projection = Projection::compile(self.compiler, predicates, outputs, columns)?;
        let (rows, errors) = project(rows, projection, plan.id().to_string().into());
        self.errors.push(errors);
        Ok(rows)
    }

    /// A join input by its key expressions: an arrangement that views share, or one of its own.
    fn join_input(
        &mut self,
        input: &Plan,
        keys: &[SideKey],
        plan: &Plan,
    ) -> Result<Arranged<'scope>, EngineError> {
        let Some(key) = ArrangementKey::new(input, keys) else { return self.keyed(input, keys, plan) };
        let found = self.shared.get(&key).zip(key.relation());
        let (Some((shared, relation)), Start::Fresh(as_of)) = (found, self.start) else {
            return self.keyed(input, keys, plan);
        };
        if !self.imports.contains_key(&relation) && self.erring.insert(relation) {
            let publication = self.relations.get(&relation).ok_or(EngineError::NoRelation(relation))?;
            self.errors.push(import_errors(self.scope, publication, self.start, self.token, self.meter));
        }
        if self.taken_in.insert(key) {
            self.errors.push(import_errors(self.scope, &shared.errors, self.start, self.token, self.meter));
        }
        let arranged = import_arranged(self.scope, shared, as_of, self.token);
        self.borrowed.insert(self.traces.len());
        self.traces.push(observer(&arranged.trace.borrow()));
        Ok(arranged)
    }

    /// A join input, arranged by its key expressions; rows whose NULL key matches nothing go.
    fn keyed(
        &mut self,
        input: &Plan,
        keys: &[SideKey],
        plan: &Plan,
    ) -> Result<Arranged<'scope>, EngineError> {
        let (rows, types) = self.keyed_rows(input, keys, plan)?;
        let saved = self.take_saved();
        let arranged = arrange(rows, &types, keys.len(), self.start, saved, self.meter);
        self.traces.push(observer(&arranged.trace.borrow()));
        Ok(arranged)
    }

    /// A join input with its keys in front, and the types of all that.
    fn keyed_rows(
        &mut self,
        input: &Plan,
        keys: &[SideKey],
        plan: &Plan,
    ) -> Result<(Edge<'scope>, Vec<DataType>), EngineError> {
        let columns = input.columns();
        let rows = self.render(input)?;
        let all = (0..columns.len()).map(Expr::Column);
        let outputs: Vec<Expr> = keys.iter().map(|(key, _)| key.clone()).chain(all).collect();
        let rows = self.with_keys(rows, &columns, keys, &outputs, plan)?;
        let types = outputs.iter().filter_map(|output| output.data_type(&columns)).collect();
        Ok((rows, types))
    }

    /// The outputs, keys first, of the rows whose keys are not NULL. A key that fails is an error
    /// also where another key is NULL, as in a query run once: such keys are computed all first.
    fn with_keys(
        &mut self,
        rows: Edge<'scope>,
        columns: &[DataType],
        keys: &[SideKey],
        outputs: &[Expr],
        plan: &Plan,
    ) -> Result<Edge<'scope>, EngineError> {
        let wanted = |keys: &[SideKey]| -> Vec<Expr> {
            keys.iter().filter(|(_, nulls_equal)| !nulls_equal).map(|(key, _)| key.clone()).collect()
        };
        if keys.len() < 2 || keys.iter().all(|(key, _)| matches!(key, Expr::Column(_))) {
            return self.project(rows, columns, &not_null(&wanted(keys)), outputs, plan);
        }
        let rows = self.project(rows, columns, &[], outputs, plan)?;
        let types: Vec<DataType> = outputs.iter().filter_map(|output| output.data_type(columns)).collect();
        let computed: Vec<Expr> = (0..types.len()).map(Expr::Column).collect();
        let keys = computed.iter().cloned().zip(keys.iter().map(|(_, nulls_equal)| *nulls_equal));
        self.project(rows, &types, &not_null(&wanted(&keys.collect::<Vec<_>>())), &computed, plan)
    }

    fn reduce(
        &mut self,
        input: &Plan,
        keys: &[Expr],
        aggregates: &[Aggregate],
        plan: &Plan,
    ) -> Result<Edge<'scope>, EngineError> {
        let columns = input.columns();
        let rows = self.render(input)?;
        let arguments = aggregates.iter().flat_map(|aggregate| aggregate.arguments.clone());
        let outputs: Vec<Expr> = keys.iter().cloned().chain(distinct(arguments)).collect();
        let rows = self.project(rows, &columns, &[], &outputs, plan)?;
        let spec = reduce_spec(&columns, keys.len(), &outputs, aggregates, self.start, plan)?;
        let saved = self.saved.is_some().then(|| {
            let count = 1 + spec.ordered_count();
            (0..count).filter_map(|_| self.take_saved()).collect()
        });
        let (rows, errors, traces) = reduce(rows, spec, saved, Arc::clone(self.meter));
        self.traces.extend(traces);
        self.errors.push(errors);
        Ok(rows)
    }

    fn take_saved(&mut self) -> Option<SavedTrace> {
        self.saved.as_mut().and_then(VecDeque::pop_front)
    }
}

/// A key of one side of a join, and whether its NULLs match.
pub(crate) type SideKey = (Expr, bool);

/// The keys of the two sides.
fn sides(keys: &[JoinKey]) -> (Vec<SideKey>, Vec<SideKey>) {
    let sides = |key: &JoinKey| ((key.left.clone(), key.nulls_equal), (key.right.clone(), key.nulls_equal));
    keys.iter().map(sides).unzip()
}

/// A plan that no operator maintains yet.
pub(crate) fn unrendered(plan: &Plan) -> EngineError {
    EngineError::InvalidPlan(format!("no operator maintains this yet:\n{plan}"))
}

/// That each of these is not NULL.
fn not_null(keys: &[Expr]) -> Vec<Expr> {
    if planted::is_on(Bug::NullJoinsNull) {
        return Vec::new();
    }
    keys.iter().map(|key| Expr::Not(Box::new(Expr::IsNull(Box::new(key.clone()))))).collect()
}

/// Each expression once, in the order of first appearance.
fn distinct(exprs: impl Iterator<Item = Expr>) -> Vec<Expr> {
    let mut seen: Vec<Expr> = Vec::new();
    for expr in exprs {
        if !seen.contains(&expr) {
            seen.push(expr);
        }
    }
    seen
}

/// The operator's view of a reduce: positions in the projected input instead of expressions.
pub(crate) fn reduce_spec(
    columns: &[DataType],
    keys: usize,
    outputs: &[Expr],
    aggregates: &[Aggregate],
    start: Start,
    plan: &Plan,
) -> Result<ReduceSpec, EngineError> {
    let types: Vec<DataType> = outputs.iter().filter_map(|output| output.data_type(columns)).collect();
    let position = |argument: &Expr| {
        let found = outputs[keys..].iter().position(|output| output == argument).map(|index| keys + index);
        found.and_then(|index| types.get(index).map(|data_type| (index, *data_type)))
    };
    if let Some(aggregate) = aggregates.iter().find(|aggregate| aggregate.distinct) {
        return Err(EngineError::InvalidPlan(format!("{aggregate} is not maintained yet")));
    }
    let specs: Vec<AggregateSpec> = aggregates
        .iter()
        .map(|aggregate| AggregateSpec {
            function: aggregate.function,
            argument: aggregate.arguments.first().and_then(position),
            result: aggregate.data_type,
        })
        .collect();
    let (accumulators, stride) = lay_out(&specs)?;
    let operator = plan.id().to_string().into();
    Ok(ReduceSpec { columns: types, keys, accumulators, stride, start, operator })
}

/// Constant rows as one batch.
fn constant_batch(rows: &[Vec<Literal>], columns: &[DataType]) -> arrow::array::RecordBatch {
    let column = |(index, data_type): (usize, &DataType)| -> ArrayRef {
        column_of_literals(*data_type, rows.iter().map(|row| &row[index]))
    };
    let arrays = columns.iter().enumerate().map(column).collect();
    batch_of(columns, arrays, rows.len()).expect("literals have the column's type")
}
