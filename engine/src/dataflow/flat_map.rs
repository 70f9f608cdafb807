//! Calls for each row: a row comes as often as its calls give rows, with what they give.
//!
//! Keeps nothing. A call may give more rows than one activation should, so batches wait in units and are worked off
//! by fuel, in blocks of bounded rows and bytes; a unit refers to its batch and copies nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::operate::FrontierInterest;

use super::blocks::{BLOCK_BYTES, BLOCK_ROWS, FUEL_BYTES};
use super::edge::{Edge, EdgeOutput, send};
use super::errors::ErrorRows;
use super::meter::Meter;
use super::stateless::Projection;
use super::turns::Token;
use crate::delta::{Delta, Deltas, batch_of};
use crate::error::EngineError;
use crate::expr::{Compiler, Expr};
use crate::plan::RowCalls;
use crate::sets::{CalledRows, CallsInStep, SetFunction, row_bytes};
use crate::types::{DataType, Tick};

/// Compiled calls, and the columns of their input that stay.
pub(crate) struct CompiledCalls {
    /// The columns that stay, then the arguments of all calls.
    projection: Projection,
    kept: usize,
    calls: Vec<CompiledCall>,
    numbered: bool,
    outer: bool,
    /// The columns of the output.
    columns: Vec<DataType>,
}

struct CompiledCall {
    function: Arc<dyn SetFunction>,
    arguments: usize,
    columns: Vec<DataType>,
}

impl CompiledCalls {
    /// Compiles calls over an input of these columns.
    pub(crate) fn compile(
        compiler: &dyn Compiler,
        calls: &RowCalls,
        input: &[DataType],
    ) -> Result<CompiledCalls, EngineError> {
        let kept = calls.kept.iter().map(|column| Expr::Column(*column));
        let arguments = calls.calls.iter().flat_map(|call| call.arguments.iter().cloned());
        let outputs: Vec<Expr> = kept.chain(arguments).collect();
        let compiled = calls.calls.iter().map(|call| {
            let function = compiler.set_function(call, input)?;
            Ok(CompiledCall { function, arguments: call.arguments.len(), columns: call.columns.clone() })
        });
        Ok(CompiledCalls {
            projection: Projection::compile(compiler, &[], &outputs, input)?,
            kept: calls.kept.len(),
            calls: compiled.collect::<Result<_, EngineError>>()?,
            numbered: calls.numbered,
            outer: calls.outer,
            columns: calls.output(input),
        })
    }

    fn open(&self, delta: &Delta) -> CallsInStep {
        let mut arguments = delta.rows.columns()[self.kept..].iter().cloned();
        let calls = self.calls.iter().map(|call| {
            let own = arguments.by_ref().take(call.arguments).collect();
            (call.function.open(own), call.columns.clone())
        });
        CallsInStep::new(calls.collect::<Vec<_>>(), delta.len(), self.numbered, self.outer)
    }
}

/// A batch that waits, or is being worked off.
struct Unit {
    /// For the rows and for the errors.
    capabilities: [Capability<Tick>; 2],
    waiting: VecDeque<Arc<Delta>>,
    open: Option<(Delta, CallsInStep)>,
}

impl Unit {
    /// A block of output; less only where the fuel or the unit is at its end.
    fn advance(&mut self, calls: &CompiledCalls, errors: &mut ErrorRows, fuel: &mut usize) -> Option<Delta> {
        if self.open.is_none() {
            let delta = self.waiting.pop_front()?;
            *fuel = fuel.saturating_sub(delta.len());
            // The arguments of a batch become one batch, without the rows in which one fails.
            let with_arguments = calls.projection.apply(&delta, errors).into_iter().next()?;
            let open = calls.open(&with_arguments);
            self.open = Some((with_arguments, open));
        }
        let (delta, open) = self.open.as_mut()?;
        let kept = &delta.rows.columns()[..calls.kept];
        let (mut bytes, mut before, mut size) = (0, 0, 0);
        let called = open.next(|row, rows| {
            let new = rows - before;
            before = rows;
            bytes += new * size;
            *fuel = fuel.saturating_sub(1 + new * (1 + size / FUEL_BYTES));
            size = row_bytes(kept, row).max(1);
            let room = BLOCK_ROWS.min(BLOCK_BYTES.saturating_sub(bytes) / size).saturating_sub(rows);
            match rows {
                0 => room.max(1),
                _ if *fuel == 0 => 0,
                _ => room,
            }
        });
        let output = calls.output(delta, called, errors);
        if open.is_done() {
            self.open = None;
        }
        output
    }

    fn is_done(&self) -> bool {
        self.open.is_none() && self.waiting.is_empty()
    }
}

impl CompiledCalls {
    /// The rows that stay beside what their calls gave; what failed goes to `errors`.
    fn output(&self, delta: &Delta, called: CalledRows, errors: &mut ErrorRows) -> Option<Delta> {
        for (row, error) in called.failed {
            errors.push(error, delta.diffs.get(row as usize), delta.ticks.get(row as usize));
        }
        if called.rows.is_empty() {
            return None;
        }
        let input = delta.columns_to(self.kept).take(&called.rows).expect("row positions are in range");
        let columns = [input.rows.columns(), called.columns.as_slice()].concat();
        let rows = batch_of(&self.columns, columns, input.len()).expect("literals have the call's types");
        Some(input.with_rows(rows))
    }
}

/// Renders calls for each row: the rows, and the errors.
pub(crate) fn flat_map<'scope>(
    input: Edge<'scope>,
    calls: CompiledCalls,
    operator: Arc<str>,
    meter: Arc<Meter>,
    token: &Token,
) -> (Edge<'scope>, Edge<'scope>) {
    let scope = input.scope();
    let mut builder = OperatorBuilder::new(format!("FlatMap {operator}"), scope);
    let mut input = builder.new_input(input, Pipeline);
    builder.set_notify_for(0, FrontierInterest::Never);
    let (rows_port, rows) = builder.new_output();
    let (errors_port, errors) = builder.new_output();
    let mut rows_port: EdgeOutput = OutputBuilder::from(rows_port);
    let mut errors_port: EdgeOutput = OutputBuilder::from(errors_port);
    let turns = token.register(scope.activator_for(builder.operator_info().address));
    builder.build(move |_capabilities| {
        let mut wrong = ErrorRows::new(operator);
        let mut todo: VecDeque<Unit> = VecDeque::new();
        move |_frontiers| {
            let mut rows_out = rows_port.activate();
            let mut errors_out = errors_port.activate();
            input.for_each(|capability, deltas| {
                let waiting: VecDeque<Arc<Delta>> = std::mem::take(&mut deltas.list).into();
                let capabilities = (capability.retain_least(0), capability.retain_least(1));
                if let (Some(rows), Some(errors)) = capabilities {
                    todo.push_back(Unit { capabilities: [rows, errors], waiting, open: None });
                }
            });
            if turns.is_pressed() {
                todo.clear();
            }
            let mut fuel = turns.portion().fuel;
            while let Some(unit) = todo.front_mut().filter(|_| fuel > 0) {
                if let Some(delta) = unit.advance(&calls, &mut wrong, &mut fuel) {
                    meter.visit(delta.len());
                    send(&mut rows_out, &unit.capabilities[0], Deltas::one(delta));
                }
                if let Some(errors) = wrong.take() {
                    send(&mut errors_out, &unit.capabilities[1], Deltas::one(errors));
                }
                if unit.is_done() {
                    todo.pop_front();
                }
            }
            if !todo.is_empty() {
                turns.again();
            }
        }
    });
    (rows, errors)
}
