//! A pattern as PostgreSQL takes it apart. Which of several ways to divide a match among the parts is meant follows
//! from what each part prefers, so the parts must be PostgreSQL's: a run of atoms that agree on what they prefer and
//! capture nothing is one part; what captures, or prefers otherwise, is a part of its own.

use std::cell::OnceCell;
use std::ops::Range;

use millrace_engine::DataError;

use super::automaton::{Automaton, Direction};
use super::syntax::{Node, Prefers, write_repeated};
use super::too_complex;

/// Patterns with more parts within or behind one another are refused: taking them apart is recursive.
const DEPTH_MAX: usize = 100;

/// A part of a pattern.
pub(super) struct Piece {
    pub(super) form: Form,
    /// The groups that hold what it matches.
    pub(super) groups: Vec<usize>,
    /// What it prefers, where that is anything.
    pub(super) prefers: Option<Prefers>,
    /// Whether a group is in it, or a part that prefers otherwise.
    is_mixed: bool,
    expression: String,
    any_case: bool,
    forward: OnceCell<Box<Automaton>>,
    backward: OnceCell<Box<Automaton>>,
}

/// How it is made of others.
pub(super) enum Form {
    /// Of none that matter.
    Whole,
    /// Of two, one behind the other.
    Pair(Box<Piece>, Box<Piece>),
    /// Of one among several.
    Alternation(Vec<Piece>),
    /// Of one, any number of times up to a bound; the second piece is the same without the bound.
    Iteration { child: Box<Piece>, most: Option<u32> },
}

impl Piece {
    /// Whether a group is in it, itself included.
    pub(super) fn captures(&self) -> bool {
        !self.groups.is_empty()
            || match &self.form {
                Form::Whole => false,
                Form::Pair(left, right) => left.captures() || right.captures(),
                Form::Alternation(branches) => branches.iter().any(Piece::captures),
                Form::Iteration { child, .. } => child.captures(),
            }
    }

    /// The expression in the dialect of `regex`.
    pub(super) fn expression(&self) -> &str {
        &self.expression
    }

    /// Whether letters match in either case.
    pub(super) fn any_case(&self) -> bool {
        self.any_case
    }

    fn automaton(&self, direction: Direction) -> Result<&Automaton, DataError> {
        let cell = match direction {
            Direction::Forward => &self.forward,
            Direction::Backward => &self.backward,
        };
        if let Some(known) = cell.get() {
            return Ok(known);
        }
        let made = Automaton::new(&self.expression, self.any_case, direction)?;
        Ok(cell.get_or_init(|| Box::new(made)))
    }

    /// Where a match that begins at the range's start can end, ascending.
    pub(super) fn ends(&self, text: &str, within: Range<usize>) -> Result<Vec<usize>, DataError> {
        self.automaton(Direction::Forward)?.places(text, within)
    }

    /// Where a match that ends at the range's end can begin, descending.
    pub(super) fn starts(&self, text: &str, within: Range<usize>) -> Result<Vec<usize>, DataError> {
        self.automaton(Direction::Backward)?.places(text, within)
    }

    /// Where the match that begins at the range's start, and is preferred, ends.
    pub(super) fn end(&self, text: &str, within: Range<usize>) -> Result<Option<usize>, DataError> {
        self.automaton(Direction::Forward)?.preferred(text, within, self.prefers == Some(Prefers::Shortest))
    }
}

/// The parts of a pattern.
///
/// # Errors
/// 2201B where there are too many within or behind one another.
pub(super) fn of(tree: &Node, any_case: bool) -> Result<Piece, DataError> {
    Maker { any_case, depth: 0 }.piece(tree)
}

struct Maker {
    any_case: bool,
    depth: usize,
}

/// An atom without its quantifier.
struct Quantified {
    atom: Piece,
    least: u32,
    most: Option<u32>,
    prefers: Option<Prefers>,
}

impl Maker {
    fn made(&self, form: Form, prefers: Option<Prefers>, is_mixed: bool, expression: String) -> Piece {
        let (forward, backward) = Default::default();
        let (groups, any_case) = (Vec::new(), self.any_case);
        Piece { form, groups, prefers, is_mixed, expression, any_case, forward, backward }
    }

    fn whole(&self, expression: String, prefers: Option<Prefers>) -> Piece {
        self.made(Form::Whole, prefers, false, expression)
    }

    fn pair(&self, left: Piece, right: Piece, prefers: Option<Prefers>) -> Piece {
        let expression = format!("{}{}", left.expression, right.expression);
        self.made(Form::Pair(Box::new(left), Box::new(right)), prefers, true, expression)
    }

    fn piece(&mut self, node: &Node) -> Result<Piece, DataError> {
        match node {
            Node::Branch(nodes) => self.branch(nodes),
            Node::Alternation(branches) => self.alternation(branches, node.written()),
            Node::Atom(_) | Node::Group(..) | Node::Repeated { .. } => {
                self.branch(std::slice::from_ref(node))
            }
        }
    }

    /// An alternation prefers the longest, whatever its branches prefer.
    fn alternation(&mut self, branches: &[Node], expression: String) -> Result<Piece, DataError> {
        let branches = branches.iter().map(|branch| self.piece(branch)).collect::<Result<Vec<_>, _>>()?;
        let mixes = |branch: &Piece| branch.is_mixed || branch.prefers == Some(Prefers::Shortest);
        let prefers = Some(Prefers::Longest);
        if branches.iter().any(mixes) {
            return Ok(self.made(Form::Alternation(branches), prefers, true, expression));
        }
        Ok(self.whole(expression, prefers))
    }

    /// Atoms up to the first that is a part of its own, that one, and the rest.
    fn branch(&mut self, nodes: &[Node]) -> Result<Piece, DataError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(too_complex());
        }
        let mut prefers = None;
        let mut found = None;
        for (index, node) in nodes.iter().enumerate() {
            let quantified = self.quantified(node)?;
            let all = [prefers, quantified.prefers, quantified.atom.prefers];
            let agree = !(all.contains(&Some(Prefers::Longest)) && all.contains(&Some(Prefers::Shortest)));
            if !agree || quantified.atom.is_mixed {
                found = Some((index, self.repeated(quantified)));
                break;
            }
            prefers = all.into_iter().flatten().next();
        }
        let piece = match found {
            None => self.whole(written(nodes), prefers),
            Some((index, own)) => self.divided(nodes, index, own, prefers)?,
        };
        self.depth -= 1;
        Ok(piece)
    }

    /// What stands before a part, the part, and the rest.
    fn divided(
        &mut self,
        nodes: &[Node],
        index: usize,
        own: Piece,
        prefers: Option<Prefers>,
    ) -> Result<Piece, DataError> {
        let mut tail = own;
        if index + 1 < nodes.len() {
            let rest = self.branch(&nodes[index + 1..])?;
            let prefers = tail.prefers.or(rest.prefers);
            tail = self.pair(tail, rest, prefers);
        }
        if index == 0 {
            return Ok(tail);
        }
        let front = self.whole(written(&nodes[..index]), prefers);
        let prefers = prefers.or(tail.prefers);
        Ok(self.pair(front, tail, prefers))
    }

    fn quantified(&mut self, node: &Node) -> Result<Quantified, DataError> {
        let once = |atom| Quantified { atom, least: 1, most: Some(1), prefers: None };
        match node {
            Node::Repeated { least: 0, most: Some(0), .. } => Ok(once(self.whole(String::new(), None))),
            Node::Repeated { inner, least, most, prefers } => {
                let atom = self.quantified(inner)?.atom;
                Ok(Quantified { atom, least: *least, most: *most, prefers: *prefers })
            }
            Node::Group(number, inner) => {
                let mut atom = self.piece(inner)?;
                atom.expression = format!("(?:{})", atom.expression);
                if let Some(number) = number {
                    atom.groups.push(*number);
                    atom.is_mixed = true;
                }
                Ok(once(atom))
            }
            Node::Atom(text) => Ok(once(self.whole(text.clone(), None))),
            Node::Branch(_) | Node::Alternation(_) => Ok(once(self.piece(node)?)),
        }
    }

    /// A part with its quantifier. Of `x{m,n}` only the last `x` captures, so the others are a part before it.
    fn repeated(&self, quantified: Quantified) -> Piece {
        let Quantified { mut atom, least, most, prefers } = quantified;
        let combined = prefers.or(atom.prefers);
        let changes = prefers.is_some() && atom.prefers.is_some() && prefers != atom.prefers;
        if (least, most) == (1, Some(1)) && !changes {
            atom.prefers = combined;
            return atom;
        }
        let mut expression = String::new();
        write_repeated(&atom.expression, least, most, &mut expression);
        if !atom.captures() {
            return Piece { is_mixed: true, ..self.whole(expression, combined) };
        }
        if least == 0 {
            let child = Box::new(atom);
            return self.made(Form::Iteration { child, most }, combined, true, expression);
        }
        let mut others = String::new();
        write_repeated(&atom.expression, least - 1, most.map(|most| most - 1), &mut others);
        self.pair(self.whole(others, combined), atom, combined)
    }
}

fn written(nodes: &[Node]) -> String {
    let mut out = String::new();
    nodes.iter().for_each(|node| node.write(&mut out));
    out
}
