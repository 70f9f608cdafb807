//! A pattern as a tree, by PostgreSQL's syntax. Atoms are written in the dialect of the crate `regex` at once: the
//! two share most of their syntax, but not its corners.

use std::fmt::Write;
use std::iter::Peekable;
use std::str::Chars;

use millrace_engine::DataError;

use super::options::Options;
use super::{invalid, missing, too_complex};

/// Groups nested deeper than this are refused, so that no walk over a tree exhausts the stack.
const DEPTH_MAX: usize = 50;

/// Which of several matches an expression prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prefers {
    Longest,
    Shortest,
}

/// A part of a pattern.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// What `regex` reads as one atom, or as a condition on a place.
    Atom(String),
    /// One behind the other.
    Branch(Vec<Node>),
    /// One of several branches.
    Alternation(Vec<Node>),
    /// In parentheses, which may have a number.
    Group(Option<usize>, Box<Node>),
    /// So often; an exact number of times says nothing of what is preferred.
    Repeated { inner: Box<Node>, least: u32, most: Option<u32>, prefers: Option<Prefers> },
}

impl Node {
    /// The expression in the dialect of `regex`, without groups that capture.
    pub(super) fn written(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    pub(super) fn write(&self, out: &mut String) {
        match self {
            Node::Atom(text) => out.push_str(text),
            Node::Branch(nodes) => nodes.iter().for_each(|node| node.write(out)),
            Node::Alternation(branches) => {
                out.push_str("(?:");
                for (index, branch) in branches.iter().enumerate() {
                    if index > 0 {
                        out.push('|');
                    }
                    branch.write(out);
                }
                out.push(')');
            }
            Node::Group(_, inner) => {
                out.push_str("(?:");
                inner.write(out);
                out.push(')');
            }
            Node::Repeated { inner, least, most, prefers: _ } => {
                write_repeated(&inner.written(), *least, *most, out)
            }
        }
    }
}

/// An expression so often.
pub(super) fn write_repeated(inner: &str, least: u32, most: Option<u32>, out: &mut String) {
    let most = most.map_or_else(String::new, |most| most.to_string());
    _ = write!(out, "(?:{inner}){{{least},{most}}}");
}

/// A pattern's tree, the number of its groups, and its options with those that it begins with.
///
/// # Errors
/// 2201B, 0A000.
pub(super) fn parse(pattern: &str, mut options: Options) -> Result<(Node, usize, Options), DataError> {
    let mut rest = pattern;
    if let Some(after) = rest.strip_prefix("***") {
        rest = match after.strip_prefix('=') {
            Some(literal) => {
                options.literal = true;
                literal
            }
            None => after.strip_prefix(':').ok_or_else(|| invalid("quantifier operand invalid"))?,
        };
    }
    if !options.literal {
        rest = embedded(rest, &mut options)?;
    }
    if options.literal {
        return Ok((Node::Atom(regex::escape(rest)), 0, options));
    }
    let mut parser = Parser { rest: rest.chars().peekable(), options, groups: 0, depth: 0 };
    let tree = parser.alternation()?;
    match parser.rest.next() {
        None => Ok((tree, parser.groups, options)),
        Some(_) => Err(invalid("parentheses () not balanced")),
    }
}

/// Takes options off a pattern's beginning: `(?i)`.
fn embedded<'p>(pattern: &'p str, options: &mut Options) -> Result<&'p str, DataError> {
    let is_letter = |letter: &char| letter.is_ascii_alphabetic();
    let Some(after) =
        pattern.strip_prefix("(?").filter(|after| after.chars().next().is_some_and(|c| is_letter(&c)))
    else {
        return Ok(pattern);
    };
    let letters: String = after.chars().take_while(is_letter).collect();
    for letter in letters.chars() {
        if !options.set(letter)? {
            return Err(invalid("invalid embedded option"));
        }
    }
    after[letters.len()..].strip_prefix(')').ok_or_else(|| invalid("invalid embedded option"))
}

struct Parser<'p> {
    rest: Peekable<Chars<'p>>,
    options: Options,
    groups: usize,
    depth: usize,
}

impl Parser<'_> {
    fn alternation(&mut self) -> Result<Node, DataError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(too_complex());
        }
        let mut branches = vec![self.branch()?];
        while self.rest.next_if_eq(&'|').is_some() {
            branches.push(self.branch()?);
        }
        self.depth -= 1;
        Ok(if branches.len() == 1 { branches.remove(0) } else { Node::Alternation(branches) })
    }

    fn branch(&mut self) -> Result<Node, DataError> {
        let mut nodes = Vec::new();
        loop {
            self.skip_blanks();
            if matches!(self.rest.peek(), None | Some('|' | ')')) {
                return Ok(Node::Branch(nodes));
            }
            nodes.extend(self.quantified()?);
        }
    }

    /// In expanded syntax blanks and comments do not count.
    fn skip_blanks(&mut self) {
        while self.options.expanded {
            if self.rest.next_if(|char| char.is_ascii_whitespace()).is_some() {
                continue;
            }
            if self.rest.next_if_eq(&'#').is_none() {
                return;
            }
            while self.rest.next_if(|char| *char != '\n').is_some() {}
        }
    }

    /// An atom and its quantifier; `None` for a comment.
    fn quantified(&mut self) -> Result<Option<Node>, DataError> {
        let (atom, repeatable) = match self.atom()? {
            Some(found) => found,
            None => return Ok(None),
        };
        self.skip_blanks();
        let (least, most) = match self.rest.peek().copied() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') if self.begins_bounds() => return self.bounded(atom, repeatable).map(Some),
            _ => return Ok(Some(atom)),
        };
        self.rest.next();
        let prefers = Some(self.preference());
        self.repeated(atom, repeatable, least, most, prefers).map(Some)
    }

    fn begins_bounds(&self) -> bool {
        let mut ahead = self.rest.clone();
        ahead.next() == Some('{') && ahead.next().is_some_and(|char| char.is_ascii_digit())
    }

    /// A `?` behind a quantifier makes it reluctant.
    fn preference(&mut self) -> Prefers {
        match self.rest.next_if_eq(&'?') {
            Some(_) => Prefers::Shortest,
            None => Prefers::Longest,
        }
    }

    fn repeated(
        &mut self,
        atom: Node,
        repeatable: bool,
        least: u32,
        most: Option<u32>,
        prefers: Option<Prefers>,
    ) -> Result<Node, DataError> {
        self.skip_blanks();
        let another = matches!(self.rest.peek(), Some('*' | '+' | '?')) || self.begins_bounds();
        if !repeatable || another {
            return Err(invalid("quantifier operand invalid"));
        }
        Ok(Node::Repeated { inner: Box::new(atom), least, most, prefers })
    }

    /// `{m}`, `{m,}`, `{m,n}`
    fn bounded(&mut self, atom: Node, repeatable: bool) -> Result<Node, DataError> {
        self.rest.next();
        let bounds: String = std::iter::from_fn(|| self.rest.next_if(|char| *char != '}')).collect();
        let wrong = || invalid("invalid repetition count(s)");
        if self.rest.next() != Some('}') {
            return Err(invalid("braces {} not balanced"));
        }
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number <= 255).ok_or_else(wrong);
        let exact = !bounds.contains(',');
        let (least, most) = bounds.split_once(',').unwrap_or((&bounds, &bounds));
        let least = number(least)?;
        let most = if most.is_empty() { None } else { Some(number(most)?) };
        if most.is_some_and(|most| most < least) {
            return Err(wrong());
        }
        let preference = self.preference();
        self.repeated(atom, repeatable, least, most, if exact { None } else { Some(preference) })
    }

    /// An atom, and whether it can be repeated; `None` for a comment.
    fn atom(&mut self) -> Result<Option<(Node, bool)>, DataError> {
        let Some(char) = self.rest.next() else { return Err(invalid("invalid regexp (reg version 0.8)")) };
        let (text, repeatable) = match char {
            '(' => return self.group(),
            '\\' => self.escape()?,
            '[' => self.bracket()?,
            '*' | '+' | '?' => return Err(invalid("quantifier operand invalid")),
            '{' if self.rest.peek().is_some_and(char::is_ascii_digit) => {
                return Err(invalid("quantifier operand invalid"));
            }
            '^' if self.options.ends_of_lines => ("(?m:^)".to_owned(), false),
            '^' => (r"\A".to_owned(), false),
            '$' if self.options.ends_of_lines => ("(?m:$)".to_owned(), false),
            '$' => (r"\z".to_owned(), false),
            '.' if self.options.lines_apart => (r"[^\n]".to_owned(), true),
            '.' => (".".to_owned(), true),
            literal => (escaped(literal), true),
        };
        Ok(Some((Node::Atom(text), repeatable)))
    }

    fn group(&mut self) -> Result<Option<(Node, bool)>, DataError> {
        let mut number = None;
        if self.rest.next_if_eq(&'?').is_some() {
            match self.rest.next() {
                Some(':') => {}
                Some('#') => {
                    while self.rest.next_if(|char| *char != ')').is_some() {}
                    let closed = self.rest.next().is_some();
                    return if closed { Ok(None) } else { Err(invalid("parentheses () not balanced")) };
                }
                Some('=' | '!' | '<') => return Err(missing("looking ahead or behind")),
                _ => return Err(invalid("quantifier operand invalid")),
            }
        } else {
            self.groups += 1;
            number = Some(self.groups);
        }
        let inner = self.alternation()?;
        match self.rest.next() {
            Some(')') => Ok(Some((Node::Group(number, Box::new(inner)), true))),
            _ => Err(invalid("parentheses () not balanced")),
        }
    }

    fn escape(&mut self) -> Result<(String, bool), DataError> {
        let Some(char) = self.rest.next() else { return Err(invalid("invalid escape \\ sequence")) };
        let (written, repeatable) = match char {
            'd' => ("[0-9]", true),
            'D' => ("[^0-9]", true),
            'w' => ("[0-9A-Za-z_]", true),
            'W' => ("[^0-9A-Za-z_]", true),
            's' => (r"[ \t\n\x0b\x0c\r]", true),
            'S' => (r"[^ \t\n\x0b\x0c\r]", true),
            'y' => (r"(?-u:\b)", false),
            'm' => (r"(?-u:\b{start})", false),
            'M' => (r"(?-u:\b{end})", false),
            'A' => (r"\A", false),
            'Z' => (r"\z", false),
            '1'..='9' => return Err(missing("a reference to a group")),
            other => {
                return match self.escaped_char(other)? {
                    Some(char) => Ok((escaped(char), true)),
                    None => Err(missing(&format!("the escape \\{other}"))),
                };
            }
        };
        Ok((written.to_owned(), repeatable))
    }

    /// The character that an escape stands for; `None` where it stands for none.
    fn escaped_char(&mut self, letter: char) -> Result<Option<char>, DataError> {
        let of_code =
            |code: u32| char::from_u32(code).map(Some).ok_or_else(|| invalid("invalid escape \\ sequence"));
        Ok(match letter {
            'a' => Some('\u{7}'),
            'b' => Some('\u{8}'),
            'B' => Some('\\'),
            'e' => Some('\u{1b}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\u{b}'),
            '0' => Some('\0'),
            'u' => of_code(self.hexadecimal(4, true)?)?,
            'U' => of_code(self.hexadecimal(8, true)?)?,
            'x' => of_code(self.hexadecimal(255, false)?)?,
            other if other.is_ascii_alphanumeric() => None,
            other => Some(other),
        })
    }

    /// The number that hexadecimal digits write, so many or at most so many.
    fn hexadecimal(&mut self, digits: usize, exactly: bool) -> Result<u32, DataError> {
        let mut text = String::new();
        while text.len() < digits
            && let Some(digit) = self.rest.next_if(char::is_ascii_hexdigit)
        {
            text.push(digit);
        }
        let complete = if exactly { text.len() == digits } else { !text.is_empty() };
        let number = u32::from_str_radix(&text, 16).ok().filter(|_| complete);
        number.ok_or_else(|| invalid("invalid escape \\ sequence"))
    }

    /// A bracket expression. Within one the other dialect gives more characters a meaning.
    fn bracket(&mut self) -> Result<(String, bool), DataError> {
        for (boundary, written) in [("[:<:]]", r"(?-u:\b{start})"), ("[:>:]]", r"(?-u:\b{end})")] {
            if self.rest.clone().take(boundary.len()).eq(boundary.chars()) {
                self.rest.nth(boundary.len() - 1);
                return Ok((written.to_owned(), false));
            }
        }
        let mut out = String::from("[");
        if self.rest.next_if_eq(&'^').is_some() {
            out.push('^');
            if self.options.lines_apart {
                out.push_str(r"\n");
            }
        }
        let mut first = true;
        loop {
            match self.rest.next() {
                None => return Err(invalid("brackets [] not balanced")),
                Some(']') if !first => break,
                Some('[') => self.inner_bracket(&mut out)?,
                Some('\\') => self.escape_in_bracket(&mut out)?,
                Some('-') if !first && self.rest.peek() != Some(&']') => out.push('-'),
                Some(char) => out.push_str(&escaped(char)),
            }
            first = false;
        }
        out.push(']');
        Ok((out, true))
    }

    /// `[:class:]`, or a bracket that stands for itself.
    fn inner_bracket(&mut self, out: &mut String) -> Result<(), DataError> {
        const CLASSES: [&str; 13] = [
            "alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
            "upper", "word", "xdigit",
        ];
        match self.rest.peek() {
            Some('.' | '=') => Err(missing("a collating element")),
            Some(':') => {
                self.rest.next();
                let class: String = std::iter::from_fn(|| self.rest.next_if(|char| *char != ':')).collect();
                let closed = self.rest.next() == Some(':') && self.rest.next() == Some(']');
                if !closed || !CLASSES.contains(&class.as_str()) {
                    return Err(invalid("invalid character class"));
                }
                _ = write!(out, "[:{class}:]");
                Ok(())
            }
            _ => {
                out.push_str("\\[");
                Ok(())
            }
        }
    }

    fn escape_in_bracket(&mut self, out: &mut String) -> Result<(), DataError> {
        let Some(char) = self.rest.next() else { return Err(invalid("brackets [] not balanced")) };
        match char {
            'd' => out.push_str("0-9"),
            'w' => out.push_str("0-9A-Za-z_"),
            's' => out.push_str(r" \t\n\x0b\x0c\r"),
            other => match self.escaped_char(other)? {
                Some(char) => out.push_str(&escaped(char)),
                None => return Err(missing(&format!("the escape \\{other} in brackets"))),
            },
        }
        Ok(())
    }
}

/// A character that stands for itself.
fn escaped(char: char) -> String {
    regex::escape(char.encode_utf8(&mut [0; 4]))
}
