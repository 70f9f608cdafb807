//! Turns: when an operator's deferred work goes on, and when it stops for good.
//!
//! Operators defer what would keep a worker from its other dataflows: snapshots, long seals, joins
//! with many matches, merges. What a live view waits for goes on in the next step. The rest, which
//! is all work of a view that hydrates and all merging while nothing arrives, waits in the worker's
//! `Background` for a moment when nobody waits for anything.
//!
//! ```text
//!   operator ──again──▶ live:      activated, runs in the next step
//!            └────────▶ hydrating: Background ──one at a time, between commits──▶ activated
//!   trace ────asks to be merged──▶ Background
//! ```
//! A closed dataflow must not go on working in its sources and joins: pressing its token wakes all
//! of them, they drop capabilities and work, and the dataflow drains. Beside it `Clock`, the tick
//! through which this worker's inputs are complete, for sources that have no input of their own.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use timely::scheduling::Activator;
use timely::scheduling::activate::Activations;

use super::blocks::Portion;
use crate::types::Tick;

/// The work of one worker that can wait.
#[derive(Clone)]
pub(crate) struct Background {
    shared: Rc<Waiting>,
}

struct Waiting {
    /// Operators with deferred work, in the order in which they came.
    operators: RefCell<VecDeque<Waiter>>,
    /// Where traces ask for the operator that merges them to be activated.
    merging: Rc<RefCell<Activations>>,
    /// Operators whose traces are to be merged.
    merges: RefCell<VecDeque<Vec<usize>>>,
    /// Whether the last turn was given to merging.
    is_merging: Cell<bool>,
}

/// An operator that waits for its turn.
#[derive(Clone)]
struct Waiter {
    waits: Rc<Cell<bool>>,
    activator: Activator,
}

impl Background {
    /// Nobody waits yet.
    pub(crate) fn new() -> Background {
        let merging = Rc::new(RefCell::new(Activations::new(None)));
        let (operators, merges, is_merging) = Default::default();
        Background { shared: Rc::new(Waiting { operators, merging, merges, is_merging }) }
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.take_merges();
        self.shared.operators.borrow().is_empty() && self.shared.merges.borrow().is_empty()
    }

    /// Takes over which traces ask to be merged.
    fn take_merges(&self) {
        let mut merging = self.shared.merging.borrow_mut();
        merging.advance();
        merging.map_active(|path| {
            let mut merges = self.shared.merges.borrow_mut();
            if !merges.iter().any(|known| known == path) {
                merges.push_back(path.to_vec());
            }
        });
    }

    /// Gives a turn to who has waited longest, to deferred work and to merging by turns.
    pub(crate) fn wake_one(&self, activations: &RefCell<Activations>) {
        let merges = !self.shared.is_merging.get() || self.shared.operators.borrow().is_empty();
        let merge = if merges { self.shared.merges.borrow_mut().pop_front() } else { None };
        self.shared.is_merging.set(merge.is_some());
        if let Some(path) = merge {
            activations.borrow_mut().activate(&path);
        } else if let Some(waiter) = self.shared.operators.borrow_mut().pop_front() {
            waiter.waits.set(false);
            waiter.activator.activate();
        }
    }

    /// The turn is over.
    pub(crate) fn rest(&self) {
        self.shared.is_merging.set(false);
    }
}

/// The token of one dataflow on one worker.
pub(crate) struct Token {
    shared: Rc<Shared>,
}

struct Shared {
    pressed: Cell<bool>,
    /// Whether the dataflow has caught up with its as-of: then readers wait for it.
    live: Cell<bool>,
    activators: RefCell<Vec<Activator>>,
    background: Background,
}

/// One operator's turns. Clones are of the same operator.
#[derive(Clone)]
pub(crate) struct Turns {
    shared: Rc<Shared>,
    waiter: Waiter,
}

impl Token {
    /// Of a dataflow that is still to hydrate.
    pub(crate) fn new(background: &Background) -> Token {
        let (pressed, live, activators) = Default::default();
        Token { shared: Rc::new(Shared { pressed, live, activators, background: background.clone() }) }
    }

    /// A view for an operator, which is activated when the token is pressed.
    pub(crate) fn register(&self, activator: Activator) -> Turns {
        self.shared.activators.borrow_mut().push(activator.clone());
        Turns { shared: Rc::clone(&self.shared), waiter: Waiter { waits: Rc::default(), activator } }
    }

    /// Whether readers wait for the dataflow.
    pub(crate) fn is_live(&self) -> bool {
        self.shared.live.get()
    }

    /// From now on readers wait for the dataflow.
    pub(crate) fn set_live(&self) {
        self.shared.live.set(true);
    }

    /// Stops the dataflow's sources and deferred work, for good.
    pub(crate) fn press(&self) {
        self.shared.pressed.set(true);
        self.shared.activators.borrow().iter().for_each(Activator::activate);
    }
}

impl Turns {
    /// Whether the operator is to stop.
    pub(crate) fn is_pressed(&self) -> bool {
        self.shared.pressed.get()
    }

    /// Whether readers wait for the dataflow.
    pub(crate) fn is_live(&self) -> bool {
        self.shared.live.get()
    }

    /// Whether the operator's deferred work may go on now: an activation for another reason is no turn.
    pub(crate) fn is_due(&self) -> bool {
        self.is_live() || self.is_pressed() || !self.waiter.waits.get()
    }

    /// How much deferred work is to be done now.
    pub(crate) fn portion(&self) -> Portion {
        match (self.is_due(), self.is_live()) {
            (false, _) => Portion::NOTHING,
            (true, false) => Portion::HYDRATING,
            (true, true) => Portion::LIVE,
        }
    }

    /// There is deferred work: the operator gets another turn.
    pub(crate) fn again(&self) {
        if self.is_live() {
            self.waiter.activator.activate();
        } else if !self.waiter.waits.replace(true) {
            self.shared.background.shared.operators.borrow_mut().push_back(self.waiter.clone());
        }
    }

    /// Whether it is merging that the worker has time for.
    pub(crate) fn is_merging(&self) -> bool {
        self.shared.background.shared.is_merging.get()
    }

    /// With this the traces of the operator at `path` ask to be merged.
    pub(crate) fn merge_activator(&self, path: Rc<[usize]>) -> Activator {
        Activator::new(path, Rc::clone(&self.shared.background.shared.merging))
    }
}

/// The tick before which all of this worker's inputs are complete.
#[derive(Clone, Default)]
pub(crate) struct Clock {
    now: Rc<Cell<Tick>>,
    listeners: Rc<RefCell<Vec<(Turns, Activator)>>>,
}

impl Clock {
    /// The tick before which everything is complete.
    pub(crate) fn now(&self) -> Tick {
        self.now.get()
    }

    /// Moves on, never back, and wakes who listens.
    pub(crate) fn advance(&self, tick: Tick) {
        if tick > self.now.get() {
            self.now.set(tick);
            self.listeners.borrow_mut().retain(|(turns, _)| !turns.is_pressed());
            self.listeners.borrow().iter().for_each(|(_, activator)| activator.activate());
        }
    }

    /// Wakes this operator at every advance, until its dataflow is stopped.
    pub(crate) fn listen(&self, turns: Turns, activator: Activator) {
        self.listeners.borrow_mut().push((turns, activator));
    }
}
