//! Shutdown tokens: a closed dataflow must not go on working in its sources and joins.
//!
//! Each source and each operator with deferred work asks its dataflow's token at every activation;
//! pressing the token wakes them all, they drop capabilities and work, and the dataflow drains.
//! Beside it `Clock`, the tick through which this worker's inputs are complete, for sources that
//! have no input of their own.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use timely::scheduling::Activator;

use crate::types::Tick;

/// The token of one dataflow on one worker.
#[derive(Default)]
pub(crate) struct Token {
    shared: Rc<Shared>,
}

#[derive(Default)]
struct Shared {
    pressed: Cell<bool>,
    activators: RefCell<Vec<Activator>>,
}

/// An operator's view of its dataflow's token.
#[derive(Clone)]
pub(crate) struct TokenReader {
    shared: Rc<Shared>,
}

impl Token {
    /// A view for an operator, which is activated when the token is pressed.
    pub(crate) fn register(&self, activator: Activator) -> TokenReader {
        self.shared.activators.borrow_mut().push(activator);
        TokenReader { shared: Rc::clone(&self.shared) }
    }

    /// Stops the dataflow's sources and deferred work, for good.
    pub(crate) fn press(&self) {
        self.shared.pressed.set(true);
        self.shared.activators.borrow().iter().for_each(Activator::activate);
    }
}

impl TokenReader {
    /// Whether the operator is to stop.
    pub(crate) fn is_pressed(&self) -> bool {
        self.shared.pressed.get()
    }
}

/// The tick before which all of this worker's inputs are complete.
#[derive(Clone, Default)]
pub(crate) struct Clock {
    now: Rc<Cell<Tick>>,
    listeners: Rc<RefCell<Vec<(TokenReader, Activator)>>>,
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
            self.listeners.borrow_mut().retain(|(token, _)| !token.is_pressed());
            self.listeners.borrow().iter().for_each(|(_, activator)| activator.activate());
        }
    }

    /// Wakes this operator at every advance, until its dataflow is stopped.
    pub(crate) fn listen(&self, token: TokenReader, activator: Activator) {
        self.listeners.borrow_mut().push((token, activator));
    }
}
