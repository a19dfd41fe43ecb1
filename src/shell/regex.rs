//! Regular expressions as grep(1) has them in the locale C: basic and extended ones of POSIX (regex(7)) with GNU's
//! `\w`, `\<` and the like, over bytes. A set of states goes along the line, so the work is the product of the two
//! lengths at most. References back are the one thing that needs more, and are refused.

/// The most states that patterns may have together.
const STATES: usize = 20_000;
/// How often something is compiled: repetitions of nothing make no states, and multiply.
const COMPILED: usize = 200_000;
/// The highest bound of a repetition (RE_DUP_MAX).
const REPEATS: usize = 255;
/// How deep groups can be in each other.
const DEPTH: usize = 200;

/// How a pattern is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    Basic,
    Extended,
    /// Only itself.
    Fixed,
}

/// Of what a match must be all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    Anything,
    Words,
    Line,
}

/// A text that is no pattern, in grep's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RegexError {
    #[error("Unmatched [, [^, [:, [., or [=")]
    Bracket,
    #[error("Unmatched ( or \\(")]
    Opened,
    #[error("Unmatched ) or \\)")]
    Closed,
    #[error("Invalid content of \\{{\\}}")]
    Repeat,
    #[error("Unmatched \\{{")]
    Brace,
    #[error("Regular expression too big")]
    TooLarge,
    #[error("Invalid range end")]
    Range,
    #[error("Invalid character class name")]
    Class,
    #[error("Trailing backslash")]
    Backslash,
    #[error("references back are not known here")]
    Reference,
}

/// A set of bytes.
type Set = [u64; 4];

fn has(set: &Set, byte: u8) -> bool {
    set[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
}

fn set_of(is_in: impl Fn(u8) -> bool) -> Set {
    let mut set = Set::default();
    for byte in 0..=u8::MAX {
        set[usize::from(byte >> 6)] |= u64::from(is_in(byte)) << (byte & 63);
    }
    set
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// A place in a line without width.
#[derive(Clone, Copy, Debug)]
enum Edge {
    LineStart,
    LineEnd,
    WordStart,
    WordEnd,
    Word,
    NoWord,
    /// What stands before is no part of a word.
    AfterOther,
    /// What follows is none.
    BeforeOther,
}

impl Edge {
    fn holds(self, line: &[u8], at: usize) -> bool {
        let before = at > 0 && is_word(line[at - 1]);
        let after = line.get(at).is_some_and(|byte| is_word(*byte));
        match self {
            Self::LineStart => at == 0,
            Self::LineEnd => at == line.len(),
            Self::WordStart => !before && after,
            Self::WordEnd => before && !after,
            Self::Word => before != after,
            Self::NoWord => before == after,
            Self::AfterOther => !before,
            Self::BeforeOther => !after,
        }
    }
}

/// What a pattern is made of.
#[derive(Clone, Debug)]
enum Node {
    Set(Box<Set>),
    Edge(Edge),
    Sequence(Vec<Node>),
    Choice(Vec<Node>),
    /// At least, and at most if there is a bound.
    Repeat(Box<Node>, usize, Option<usize>),
}

#[derive(Debug)]
enum State {
    Set(Box<Set>),
    Edge(Edge),
    /// Goes on at both.
    Split(usize, usize),
    Jump(usize),
    Match,
}

/// Patterns, any of which may match.
#[derive(Debug)]
pub(super) struct Regex {
    states: Vec<State>,
    compiled: usize,
}

impl Regex {
    pub fn new(
        patterns: &[Vec<u8>],
        syntax: Syntax,
        ignores_case: bool,
        extent: Extent,
    ) -> Result<Self, RegexError> {
        let mut choices = Vec::new();
        for pattern in patterns {
            let mut parser = Parser {
                rest: pattern,
                syntax,
                ignores_case,
                depth: 0,
            };
            choices.push(match syntax {
                Syntax::Fixed => Node::Sequence(pattern.iter().map(|byte| parser.byte(*byte)).collect()),
                _ => parser.all()?,
            });
        }
        let (before, after) = match extent {
            Extent::Anything => (None, None),
            Extent::Words => (Some(Edge::AfterOther), Some(Edge::BeforeOther)),
            Extent::Line => (Some(Edge::LineStart), Some(Edge::LineEnd)),
        };
        let mut nodes: Vec<Node> = before.map(Node::Edge).into_iter().collect();
        nodes.push(Node::Choice(choices));
        nodes.extend(after.map(Node::Edge));
        let mut regex = Self {
            states: Vec::new(),
            compiled: 0,
        };
        regex.compile(&Node::Sequence(nodes))?;
        regex.states.push(State::Match);
        Ok(regex)
    }

    /// How many states there are: what a byte of a line costs.
    pub fn cost(&self) -> usize {
        self.states.len()
    }

    fn compile(&mut self, node: &Node) -> Result<(), RegexError> {
        self.compiled += 1;
        if self.states.len() > STATES || self.compiled > COMPILED {
            return Err(RegexError::TooLarge);
        }
        match node {
            Node::Set(set) => self.states.push(State::Set(set.clone())),
            Node::Edge(edge) => self.states.push(State::Edge(*edge)),
            Node::Sequence(nodes) => nodes.iter().try_for_each(|node| self.compile(node))?,
            Node::Choice(nodes) => {
                let mut ends = Vec::new();
                for (position, node) in nodes.iter().enumerate() {
                    let split = self.states.len();
                    let is_last = position + 1 == nodes.len();
                    if !is_last {
                        self.states.push(State::Split(split + 1, 0));
                    }
                    self.compile(node)?;
                    if !is_last {
                        ends.push(self.states.len());
                        self.states.push(State::Jump(0));
                        self.states[split] = State::Split(split + 1, self.states.len());
                    }
                }
                let end = self.states.len();
                ends.into_iter().for_each(|at| self.states[at] = State::Jump(end));
            }
            Node::Repeat(node, least, most) => {
                (0..*least).try_for_each(|_| self.compile(node))?;
                match most {
                    None => {
                        let split = self.states.len();
                        self.states.push(State::Split(split + 1, 0));
                        self.compile(node)?;
                        self.states.push(State::Jump(split));
                        self.states[split] = State::Split(split + 1, self.states.len());
                    }
                    Some(most) => {
                        let mut splits = Vec::new();
                        for _ in *least..*most {
                            splits.push(self.states.len());
                            self.states.push(State::Split(self.states.len() + 1, 0));
                            self.compile(node)?;
                        }
                        let end = self.states.len();
                        splits
                            .into_iter()
                            .for_each(|at| self.states[at] = State::Split(at + 1, end));
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether it matches anywhere in a line.
    pub fn is_in(&self, line: &[u8]) -> bool {
        let mut now = States::new(self.states.len());
        let mut next = States::new(self.states.len());
        for at in 0..=line.len() {
            if self.follow(&mut now, 0, line, at) {
                return true;
            }
            let Some(&byte) = line.get(at) else {
                break;
            };
            if self.go(&now, &mut next, byte, line, at) {
                return true;
            }
            std::mem::swap(&mut now, &mut next);
        }
        false
    }

    /// Where the longest match ends that begins at a byte of a line.
    pub fn longest(&self, line: &[u8], from: usize) -> Option<usize> {
        let mut now = States::new(self.states.len());
        let mut next = States::new(self.states.len());
        let mut end = self.follow(&mut now, 0, line, from).then_some(from);
        for (at, &byte) in line.iter().enumerate().skip(from) {
            if now.list.is_empty() {
                break;
            }
            if self.go(&now, &mut next, byte, line, at) {
                end = Some(at + 1);
            }
            std::mem::swap(&mut now, &mut next);
        }
        end
    }

    /// From all states over one byte; whether that comes to the end.
    fn go(&self, now: &States, next: &mut States, byte: u8, line: &[u8], at: usize) -> bool {
        next.clear();
        let mut is_match = false;
        for &state in &now.list {
            if let State::Set(set) = &self.states[state]
                && has(set, byte)
            {
                is_match |= self.follow(next, state + 1, line, at + 1);
            }
        }
        is_match
    }

    /// Adds a state and all that are reached from it without a byte; whether the end is.
    fn follow(&self, states: &mut States, state: usize, line: &[u8], at: usize) -> bool {
        let mut pending = vec![state];
        let mut is_match = false;
        while let Some(state) = pending.pop() {
            if std::mem::replace(&mut states.has[state], true) {
                continue;
            }
            states.list.push(state);
            match self.states[state] {
                State::Match => is_match = true,
                State::Jump(to) => pending.push(to),
                State::Split(one, other) => pending.extend([other, one]),
                State::Edge(edge) if edge.holds(line, at) => pending.push(state + 1),
                State::Edge(_) | State::Set(_) => {}
            }
        }
        is_match
    }
}

/// States that are reached, each once.
struct States {
    list: Vec<usize>,
    has: Vec<bool>,
}

impl States {
    fn new(count: usize) -> Self {
        Self {
            list: Vec::new(),
            has: vec![false; count],
        }
    }

    fn clear(&mut self) {
        for state in self.list.drain(..) {
            self.has[state] = false;
        }
    }
}

struct Parser<'a> {
    rest: &'a [u8],
    syntax: Syntax,
    ignores_case: bool,
    depth: usize,
}

impl Parser<'_> {
    fn all(&mut self) -> Result<Node, RegexError> {
        let node = self.choice()?;
        match self.rest.is_empty() {
            true => Ok(node),
            false => Err(RegexError::Closed),
        }
    }

    /// Takes an operator: as it is in an extended pattern, behind a backslash in a basic one.
    fn takes(&mut self, operator: u8) -> bool {
        let length = match (self.syntax, self.rest) {
            (Syntax::Extended, [first, ..]) if *first == operator => 1,
            (Syntax::Basic, [b'\\', second, ..]) if *second == operator => 2,
            _ => return false,
        };
        self.rest = &self.rest[length..];
        true
    }

    fn is_at(&self, operator: u8) -> bool {
        match (self.syntax, self.rest) {
            (Syntax::Extended, [first, ..]) => *first == operator,
            (Syntax::Basic, [b'\\', second, ..]) => *second == operator,
            _ => false,
        }
    }

    fn choice(&mut self) -> Result<Node, RegexError> {
        let mut choices = vec![self.sequence()?];
        while self.takes(b'|') {
            choices.push(self.sequence()?);
        }
        Ok(Node::Choice(choices))
    }

    fn sequence(&mut self) -> Result<Node, RegexError> {
        let mut nodes: Vec<Node> = Vec::new();
        loop {
            if self.rest.is_empty() || self.is_at(b'|') || self.is_at(b')') && self.closes() {
                return Ok(Node::Sequence(nodes));
            }
            let is_first = nodes
                .iter()
                .all(|node| matches!(node, Node::Edge(Edge::LineStart)));
            let node = self.atom(nodes.is_empty(), is_first)?;
            nodes.push(self.repeated(node)?);
        }
    }

    /// A parenthesis that closes nothing is itself in an extended pattern, an error in a basic one.
    fn closes(&self) -> bool {
        self.depth > 0 || self.syntax == Syntax::Basic
    }

    fn byte(&self, byte: u8) -> Node {
        let ignores_case = self.ignores_case;
        Node::Set(Box::new(set_of(|other| match ignores_case {
            true => other.eq_ignore_ascii_case(&byte),
            false => other == byte,
        })))
    }

    fn atom(&mut self, is_start: bool, is_first: bool) -> Result<Node, RegexError> {
        if self.takes(b'(') {
            if self.depth == DEPTH {
                return Err(RegexError::TooLarge);
            }
            self.depth += 1;
            let node = self.choice()?;
            self.depth -= 1;
            return match self.takes(b')') {
                true => Ok(node),
                false => Err(RegexError::Opened),
            };
        }
        let is_extended = self.syntax == Syntax::Extended;
        let first = self.rest[0];
        self.rest = &self.rest[1..];
        Ok(match first {
            b'.' => Node::Set(Box::new(set_of(|_| true))),
            b'[' => Node::Set(Box::new(self.bracket()?)),
            b'^' if is_extended || is_start => Node::Edge(Edge::LineStart),
            b'$' if is_extended || self.rest.is_empty() || self.is_at(b'|') || self.is_at(b')') => {
                Node::Edge(Edge::LineEnd)
            }
            // A repetition of nothing: in an extended pattern as if it were not there.
            b'*' | b'+' | b'?' if is_extended && is_first => Node::Sequence(Vec::new()),
            b'\\' => self.escaped()?,
            byte => self.byte(byte),
        })
    }

    fn escaped(&mut self) -> Result<Node, RegexError> {
        let (&byte, rest) = self.rest.split_first().ok_or(RegexError::Backslash)?;
        self.rest = rest;
        let set = |is_in: fn(u8) -> bool| Node::Set(Box::new(set_of(is_in)));
        Ok(match byte {
            b'w' => set(is_word),
            b'W' => set(|byte| !is_word(byte)),
            b's' => set(is_space),
            b'S' => set(|byte| !is_space(byte)),
            b'<' => Node::Edge(Edge::WordStart),
            b'>' => Node::Edge(Edge::WordEnd),
            b'b' => Node::Edge(Edge::Word),
            b'B' => Node::Edge(Edge::NoWord),
            b'`' => Node::Edge(Edge::LineStart),
            b'\'' => Node::Edge(Edge::LineEnd),
            b'1'..=b'9' => return Err(RegexError::Reference),
            byte => self.byte(byte),
        })
    }

    /// What repetitions behind it make of a node.
    fn repeated(&mut self, mut node: Node) -> Result<Node, RegexError> {
        // In a basic pattern an anchor is not repeated: what follows is itself.
        if self.syntax == Syntax::Basic && matches!(node, Node::Edge(Edge::LineStart)) {
            if let Some(rest) = self.rest.strip_prefix(b"*") {
                self.rest = rest;
                return Ok(Node::Sequence(vec![node, self.byte(b'*')]));
            }
            return Ok(node);
        }
        loop {
            let (least, most) = if let Some(rest) = self.rest.strip_prefix(b"*") {
                self.rest = rest;
                (0, None)
            } else if self.takes(b'+') {
                (1, None)
            } else if self.takes(b'?') {
                (0, Some(1))
            } else if self.is_at(b'{') {
                match self.bounds()? {
                    Some(bounds) => bounds,
                    None => return Ok(node),
                }
            } else {
                return Ok(node);
            };
            // A star of a star is that star: nodes do not grow with what changes nothing.
            if !matches!((&node, least, most), (Node::Repeat(_, 0, None), 0, None)) {
                node = Node::Repeat(Box::new(node), least, most);
            }
        }
    }

    /// `{2}`, `{2,}`, `{,3}`, `{2,3}`; none if an extended pattern means the brace itself.
    fn bounds(&mut self) -> Result<Option<(usize, Option<usize>)>, RegexError> {
        let before = self.rest;
        self.takes(b'{');
        let least = self.number();
        let has_comma = self.rest.first() == Some(&b',');
        if has_comma {
            self.rest = &self.rest[1..];
        }
        let most = if has_comma { self.number() } else { least };
        let is_whole = self.takes(b'}') && (least.is_some() || has_comma);
        if !is_whole {
            if self.syntax == Syntax::Basic {
                return Err(match self.rest.is_empty() {
                    true => RegexError::Brace,
                    false => RegexError::Repeat,
                });
            }
            self.rest = before;
            return Ok(None);
        }
        let least = least.unwrap_or(0);
        if most.is_some_and(|most| most < least) {
            return Err(RegexError::Repeat);
        }
        match least.max(most.unwrap_or(0)) > REPEATS {
            true => Err(RegexError::TooLarge),
            false => Ok(Some((least, most))),
        }
    }

    fn number(&mut self) -> Option<usize> {
        let end = self.rest.iter().position(|byte| !byte.is_ascii_digit());
        let (digits, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        let text = std::str::from_utf8(digits).ok().filter(|text| !text.is_empty())?;
        Some(text.parse().unwrap_or(usize::MAX))
    }

    /// What follows `[`.
    fn bracket(&mut self) -> Result<Set, RegexError> {
        let is_negated = self.rest.first() == Some(&b'^');
        if is_negated {
            self.rest = &self.rest[1..];
        }
        let mut set = Set::default();
        let mut add = |more: Set| (0..4).for_each(|word| set[word] |= more[word]);
        let mut is_first = true;
        loop {
            let (&first, rest) = self.rest.split_first().ok_or(RegexError::Bracket)?;
            if first == b']' && !is_first {
                self.rest = rest;
                break;
            }
            is_first = false;
            if first == b'[' && rest.first() == Some(&b':') {
                add(self.class()?);
                continue;
            }
            let from = self.element()?;
            match self.rest {
                [b'-', b']', ..] => add(set_of(|byte| byte == from)),
                [b'-', _, ..] => {
                    self.rest = &self.rest[1..];
                    let to = self.element()?;
                    if to < from {
                        return Err(RegexError::Range);
                    }
                    add(set_of(|byte| (from..=to).contains(&byte)));
                }
                _ => add(set_of(|byte| byte == from)),
            }
        }
        let ignores_case = self.ignores_case;
        Ok(set_of(|byte| {
            let is_in = has(&set, byte)
                || ignores_case
                    && (has(&set, byte.to_ascii_lowercase()) || has(&set, byte.to_ascii_uppercase()));
            is_in != is_negated
        }))
    }

    /// One byte of a bracket expression, which may be written `[.x.]` or `[=x=]`.
    fn element(&mut self) -> Result<u8, RegexError> {
        if let [b'[', kind @ (b'.' | b'='), byte, end, b']', rest @ ..] = self.rest
            && kind == end
        {
            self.rest = rest;
            return Ok(*byte);
        }
        let (&byte, rest) = self.rest.split_first().ok_or(RegexError::Bracket)?;
        self.rest = rest;
        Ok(byte)
    }

    fn class(&mut self) -> Result<Set, RegexError> {
        let end = self.rest.windows(2).position(|bytes| bytes == b":]");
        let end = end.filter(|end| *end >= 2).ok_or(RegexError::Bracket)?;
        let name = &self.rest[2..end];
        let ignores_case = self.ignores_case;
        let is_in: fn(u8) -> bool = match name {
            b"alpha" => |byte| byte.is_ascii_alphabetic(),
            b"upper" | b"lower" if ignores_case => |byte| byte.is_ascii_alphabetic(),
            b"upper" => |byte| byte.is_ascii_uppercase(),
            b"lower" => |byte| byte.is_ascii_lowercase(),
            b"digit" => |byte| byte.is_ascii_digit(),
            b"xdigit" => |byte| byte.is_ascii_hexdigit(),
            b"alnum" => |byte| byte.is_ascii_alphanumeric(),
            b"space" => is_space,
            b"blank" => |byte| matches!(byte, b' ' | b'\t'),
            b"punct" => |byte| byte.is_ascii_punctuation(),
            b"print" => |byte| matches!(byte, b' '..=b'~'),
            b"graph" => |byte| byte.is_ascii_graphic(),
            b"cntrl" => |byte| byte.is_ascii_control(),
            _ => return Err(RegexError::Class),
        };
        self.rest = &self.rest[end + 2..];
        Ok(set_of(is_in))
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regex(pattern: &str) -> Result<Regex, RegexError> {
        let patterns = [pattern.as_bytes().to_vec()];
        Regex::new(&patterns, Syntax::Extended, false, Extent::Anything)
    }

    #[test]
    fn patterns_are_bounded() {
        for pattern in [
            "(a{255}){255}".to_owned(),
            "()".to_owned() + &"{255}".repeat(10),
            "(".repeat(100_000),
            "a{256}".to_owned(),
        ] {
            assert_eq!(
                regex(&pattern).unwrap_err(),
                RegexError::TooLarge,
                "{:.20}",
                pattern
            );
        }
        // What takes others a power of the length takes a product.
        let slow = regex(&format!("^({}a*)*b$", "a?".repeat(30))).unwrap();
        assert!(!slow.is_in(&[b'a'; 5000]));
        assert!(regex(&"a*".repeat(5000)).unwrap().is_in(b"b"));
    }

    #[test]
    fn the_longest_match_counts() {
        let regex = regex("a|ab|abcd").unwrap();
        assert_eq!(regex.longest(b"abcx", 0), Some(2));
        assert_eq!(regex.longest(b"xabcd", 1), Some(5));
        assert_eq!(regex.longest(b"xabcd", 0), None);
    }
}
