//! From a text to commands: pipelines and how they are joined, `if` and `for`, assignments and redirections.

use super::inside::is_unknown;
use super::lex::{Token, Word, assignment, is_name, literal, token};

/// How a pipeline follows the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joint {
    /// `;`
    Always,
    /// `&&`
    IfFine,
    /// `||`
    IfFailed,
}

/// Pipelines, each with how it follows the one before.
pub(super) type List = Vec<(Joint, Pipeline)>;

/// Commands, each of which reads what the one before it prints; at least one.
pub(super) type Pipeline = Vec<Command>;

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Simple(Simple),
    Compound {
        compound: Compound,
        redirects: Vec<Redirect>,
    },
}

/// A name with its arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Simple {
    /// What stands before it, or all there is; behind `export` too.
    pub assignments: Vec<(Vec<u8>, Word)>,
    pub words: Vec<Word>,
    pub redirects: Vec<Redirect>,
}

/// What is made of lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Compound {
    If {
        /// Conditions, and what is run for the first that holds.
        arms: Vec<(List, List)>,
        otherwise: List,
    },
    For {
        name: Vec<u8>,
        words: Vec<Word>,
        body: List,
    },
}

/// Where output goes, and input comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Redirect {
    /// `>` and `>>`, `2>` and `2>>`, `&>`.
    File {
        streams: &'static [usize],
        append: bool,
        target: Word,
    },
    /// `2>&1` and `>&2`.
    Same { stream: usize, other: usize },
    /// `<`
    Input { source: Word },
}

/// A text that is no list of commands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ParseError {
    /// A quote without its end.
    #[error("unexpected EOF while looking for matching `{quote}'")]
    Unclosed { quote: char },
    /// An operator or a reserved word where a command or a word should be.
    #[error("syntax error near unexpected token `{token}'")]
    Unexpected { token: String },
    /// The end where something must follow, and what, if only one word could.
    #[error("syntax error: unexpected end of file")]
    Unfinished { expected: Option<&'static str> },
    /// What a shell could do, and this one does not.
    #[error("{what} not supported here: {instead}")]
    NotSupported {
        what: &'static str,
        instead: &'static str,
    },
    /// A reserved word: what stands between such would be run as if they were not there.
    #[error("`{word}` is not known here, so nothing of the line is run")]
    NotKnown { word: String },
    #[error("${{{name}}}: only a variable's name can stand there")]
    NotAName { name: String },
    #[error("`{name}': not a valid identifier")]
    NotAnIdentifier { name: String },
    #[error("commands in commands more than {MAX_DEPTH} deep")]
    TooDeep,
}

/// How deep commands can be in each other.
const MAX_DEPTH: usize = 50;
/// Words with which a list ends that is part of a command.
const ENDS: [&str; 6] = ["then", "elif", "else", "fi", "do", "done"];

/// The commands of a text.
pub(super) fn parse(text: &[u8]) -> Result<List, ParseError> {
    Parser::new(text, 0)?.all()
}

/// A text that is being read, one token ahead.
pub(super) struct Parser<'a> {
    rest: &'a [u8],
    next: Option<Token>,
    depth: usize,
}

impl<'a> Parser<'a> {
    pub fn new(text: &'a [u8], depth: usize) -> Result<Self, ParseError> {
        if depth > MAX_DEPTH {
            return Err(ParseError::TooDeep);
        }
        let mut parser = Self {
            rest: text,
            next: None,
            depth,
        };
        parser.advance()?;
        Ok(parser)
    }

    /// What follows the one token that was looked at: after [`Self::up_to`], what is behind the operator.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// All commands.
    pub fn all(&mut self) -> Result<List, ParseError> {
        let list = self.list()?;
        match self.next {
            None => Ok(list),
            Some(_) => Err(self.unexpected()),
        }
    }

    /// The commands up to an operator, which alone is looked at of what follows.
    pub fn up_to(&mut self, operator: &'static str) -> Result<List, ParseError> {
        let list = self.list()?;
        match self.next {
            Some(Token::Operator(next)) if next == operator => Ok(list),
            None => Err(ParseError::Unclosed { quote: ')' }),
            Some(_) => Err(self.unexpected()),
        }
    }

    fn advance(&mut self) -> Result<Option<Token>, ParseError> {
        let found = token(self.rest, self.depth)?;
        let (next, rest) = found.map_or((None, self.rest), |(next, rest)| (Some(next), rest));
        self.rest = rest;
        Ok(std::mem::replace(&mut self.next, next))
    }

    /// What comes next, if it is a word that may be reserved.
    fn next_literal(&self) -> Option<String> {
        match &self.next {
            Some(Token::Word(word)) => literal(word),
            _ => None,
        }
    }

    fn is_next(&self, operator: &str) -> bool {
        matches!(self.next, Some(Token::Operator(next)) if next == operator)
    }

    fn skip_newlines(&mut self) -> Result<(), ParseError> {
        while self.is_next("\n") {
            self.advance()?;
        }
        Ok(())
    }

    fn unexpected(&self) -> ParseError {
        let token = match &self.next {
            None => return ParseError::Unfinished { expected: None },
            Some(Token::Operator("\n")) => "newline".to_owned(),
            Some(Token::Operator(operator)) => (*operator).to_owned(),
            Some(Token::Word(word)) => literal(word).unwrap_or_else(|| "word".to_owned()),
        };
        match &token[..] {
            "&" => not_supported("jobs are", "commands run one after another, with ; or &&"),
            "(" => not_supported("subshells are", "commands stand alone"),
            "<<" => not_supported("here-documents are", "echo prints, > writes"),
            _ => ParseError::Unexpected { token },
        }
    }

    fn list(&mut self) -> Result<List, ParseError> {
        let mut list = Vec::new();
        let mut joint = Joint::Always;
        loop {
            self.skip_newlines()?;
            let ends = self.next_literal().is_some_and(|word| ENDS.contains(&&word[..]));
            if ends || self.next.is_none() || self.is_next(")") {
                return match joint {
                    Joint::Always => Ok(list),
                    _ => Err(self.unexpected()),
                };
            }
            list.push((joint, self.pipeline()?));
            joint = match self.next {
                Some(Token::Operator(";" | "\n")) => Joint::Always,
                Some(Token::Operator("&&")) => Joint::IfFine,
                Some(Token::Operator("||")) => Joint::IfFailed,
                _ => return Ok(list),
            };
            self.advance()?;
        }
    }

    fn pipeline(&mut self) -> Result<Pipeline, ParseError> {
        let mut commands = vec![self.command()?];
        while self.is_next("|") {
            self.advance()?;
            self.skip_newlines()?;
            commands.push(self.command()?);
        }
        Ok(commands)
    }

    fn command(&mut self) -> Result<Command, ParseError> {
        let word = self.next_literal().unwrap_or_default();
        let compound = match &word[..] {
            "if" | "for" if self.depth == MAX_DEPTH => return Err(ParseError::TooDeep),
            "if" => Self::if_clause,
            "for" => Self::for_clause,
            word if ENDS.contains(&word) => return Err(self.unexpected()),
            word if is_unknown(word) => {
                return Err(ParseError::NotKnown {
                    word: word.to_owned(),
                });
            }
            _ => return self.simple(),
        };
        self.depth += 1;
        self.advance()?;
        let compound = compound(self)?;
        self.depth -= 1;
        let mut redirects = Vec::new();
        while let Some(redirect) = self.redirect()? {
            redirects.push(redirect);
        }
        Ok(Command::Compound { compound, redirects })
    }

    /// A list that must not be empty; a word follows.
    fn list_before(&mut self, word: &'static str) -> Result<List, ParseError> {
        match self.list()? {
            list if list.is_empty() => Err(self.without(word)),
            list => Ok(list),
        }
    }

    fn expect(&mut self, word: &'static str) -> Result<(), ParseError> {
        if self.next_literal().as_deref() != Some(word) {
            return Err(self.without(word));
        }
        self.advance().map(drop)
    }

    /// What comes instead of a word.
    fn without(&self, word: &'static str) -> ParseError {
        match self.unexpected() {
            ParseError::Unfinished { .. } => ParseError::Unfinished { expected: Some(word) },
            error => error,
        }
    }

    fn if_clause(&mut self) -> Result<Compound, ParseError> {
        let mut arms = Vec::new();
        loop {
            let condition = self.list_before("then")?;
            self.expect("then")?;
            arms.push((condition, self.list_before("fi")?));
            if self.next_literal().as_deref() != Some("elif") {
                break;
            }
            self.advance()?;
        }
        let mut otherwise = List::new();
        if self.next_literal().as_deref() == Some("else") {
            self.advance()?;
            otherwise = self.list_before("fi")?;
        }
        self.expect("fi")?;
        Ok(Compound::If { arms, otherwise })
    }

    fn for_clause(&mut self) -> Result<Compound, ParseError> {
        let name = match self.next_literal() {
            Some(name) if is_name(name.as_bytes()) => name.into_bytes(),
            Some(name) => return Err(ParseError::NotAnIdentifier { name }),
            None => return Err(self.unexpected()),
        };
        self.advance()?;
        self.skip_newlines()?;
        if self.next_literal().as_deref() != Some("in") {
            return Err(match self.next {
                None => ParseError::Unfinished { expected: None },
                Some(_) => not_supported("`for` without `in` is", "name the words: for NAME in WORD..."),
            });
        }
        self.advance()?;
        let mut words = Vec::new();
        while let Some(Token::Word(_)) = self.next {
            if let Some(Token::Word(word)) = self.advance()? {
                words.push(word);
            }
        }
        if !self.is_next(";") && !self.is_next("\n") {
            return Err(self.unexpected());
        }
        self.advance()?;
        self.skip_newlines()?;
        self.expect("do")?;
        let body = self.list_before("done")?;
        self.expect("done")?;
        Ok(Compound::For { name, words, body })
    }

    fn simple(&mut self) -> Result<Command, ParseError> {
        let mut simple = Simple::default();
        loop {
            if let Some(redirect) = self.redirect()? {
                simple.redirects.push(redirect);
                continue;
            }
            let Some(Token::Word(word)) = &self.next else {
                break;
            };
            let exports = simple.words.first().and_then(literal).as_deref() == Some("export");
            match assignment(word).filter(|_| simple.words.is_empty() || exports) {
                Some(assignment) => {
                    simple.assignments.push(assignment);
                    self.advance()?;
                }
                None => {
                    // Behind an assignment too, a command may be one that is not known.
                    let first = literal(word).filter(|word| simple.words.is_empty() && is_unknown(word));
                    if let Some(word) = first {
                        return Err(ParseError::NotKnown { word });
                    }
                    if let Some(Token::Word(word)) = self.advance()? {
                        simple.words.push(word);
                    }
                }
            }
        }
        match simple == Simple::default() || self.is_next("(") {
            true => Err(self.unexpected()),
            false => Ok(Command::Simple(simple)),
        }
    }

    /// A redirection, if that comes next.
    fn redirect(&mut self) -> Result<Option<Redirect>, ParseError> {
        let operator = match self.next {
            Some(Token::Operator(operator)) if operator != "<<" && operator.contains(['<', '>']) => operator,
            _ => return Ok(None),
        };
        self.advance()?;
        match operator {
            "2>&1" => return Ok(Some(Redirect::Same { stream: 2, other: 1 })),
            "1>&2" | ">&2" => return Ok(Some(Redirect::Same { stream: 1, other: 2 })),
            _ => {}
        }
        if self.next.is_none() {
            return Err(ParseError::Unexpected {
                token: "newline".to_owned(),
            });
        }
        if !matches!(self.next, Some(Token::Word(_))) {
            return Err(self.unexpected());
        }
        let Some(Token::Word(target)) = self.advance()? else {
            return Err(self.unexpected());
        };
        Ok(Some(match operator {
            "<" => Redirect::Input { source: target },
            operator => Redirect::File {
                streams: match operator.as_bytes()[0] {
                    b'2' => &[2],
                    b'&' => &[1, 2],
                    _ => &[1],
                },
                append: operator.ends_with(">>"),
                target,
            },
        }))
    }
}

fn not_supported(what: &'static str, instead: &'static str) -> ParseError {
    ParseError::NotSupported { what, instead }
}

#[cfg(test)]
mod tests {
    use super::super::lex::Part;
    use super::*;

    fn plain(word: &Word) -> String {
        let text = word.iter().map(|part| match part {
            Part::Byte { byte, is_quoted } => match is_quoted {
                true => format!("'{}'", *byte as char),
                false => (*byte as char).to_string(),
            },
            Part::Variable { variable, .. } => format!("<{variable:?}>"),
            Part::Substitution { list, .. } => format!("({})", list.len()),
            Part::Nothing => "_".to_owned(),
        });
        text.collect()
    }

    fn simple(line: &str) -> Simple {
        match &parse(line.as_bytes()).unwrap()[0].1[..] {
            [Command::Simple(simple)] => simple.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn words(line: &str) -> Vec<String> {
        simple(line).words.iter().map(plain).collect()
    }

    #[test]
    fn words_know_what_was_quoted() {
        assert_eq!(
            words("a 'b*' \"c\\\"d\" e\\ f"),
            ["a", "_'b''*'", "_'c''\"''d'", "e' 'f"]
        );
        assert_eq!(
            words("'' \"$?\"x ~/a a~ $PWD"),
            ["_", "_<Status>x", "<Home>/a", "a~", "<Cwd>"]
        );
        assert_eq!(words("$'a\\n' # no more"), ["_'a''\n'"]);
        assert_eq!(words("a#b \\# \\\n c"), ["a#b", "'#'", "c"]);
    }

    #[test]
    fn commands_are_joined() {
        let list = parse(b"a; b && c || d\n\ne;").unwrap();
        let joints: Vec<Joint> = list.iter().map(|(joint, _)| *joint).collect();
        use Joint::{Always, IfFailed, IfFine};
        assert_eq!(joints, [Always, Always, IfFine, IfFailed, Always]);
    }

    #[test]
    fn redirections_are_no_words() {
        let simple = simple("echo a>x 2>>y 2>&1 file2>z <w");
        assert_eq!(
            simple.words.iter().map(plain).collect::<Vec<_>>(),
            ["echo", "a", "file2"]
        );
        let kinds = simple.redirects.iter().map(|redirect| match redirect {
            Redirect::File {
                streams,
                append,
                target,
            } => format!("{streams:?} {append} {}", plain(target)),
            Redirect::Same { stream, other } => format!("{stream} as {other}"),
            Redirect::Input { source } => format!("from {}", plain(source)),
        });
        assert_eq!(
            kinds.collect::<Vec<_>>(),
            ["[1] false x", "[2] true y", "2 as 1", "[1] false z", "from w"]
        );
    }

    #[test]
    fn what_is_no_list_says_so() {
        for (line, text) in [
            ("echo 'a", "unexpected EOF while looking for matching `''"),
            ("echo \"a", "unexpected EOF while looking for matching `\"'"),
            ("; a", "syntax error near unexpected token `;'"),
            ("a &&", "syntax error: unexpected end of file"),
            ("a && || b", "syntax error near unexpected token `||'"),
            ("a >", "syntax error near unexpected token `newline'"),
            ("a > ; b", "syntax error near unexpected token `;'"),
            ("(a)", "subshells are not supported here: commands stand alone"),
            ("a )", "syntax error near unexpected token `)'"),
            ("a | ", "syntax error: unexpected end of file"),
            (
                "a & b",
                "jobs are not supported here: commands run one after another, with ; or &&",
            ),
            ("a $(b", "unexpected EOF while looking for matching `)'"),
            ("a `b", "unexpected EOF while looking for matching ``'"),
            ("a $((1))", "arithmetic is not supported here: nothing counts"),
            ("a ${b#c}", "${b#c}: only a variable's name can stand there"),
            ("if a; then b", "syntax error: unexpected end of file"),
            ("if a; then fi", "syntax error near unexpected token `fi'"),
            ("a; done", "syntax error near unexpected token `done'"),
            (
                "for x in a do b; done",
                "syntax error near unexpected token `done'",
            ),
            ("for 1 in a; do b; done", "`1': not a valid identifier"),
            (
                "while a; do b; done",
                "`while` is not known here, so nothing of the line is run",
            ),
            (
                "X=1 read a",
                "`read` is not known here, so nothing of the line is run",
            ),
        ] {
            assert_eq!(parse(line.as_bytes()).unwrap_err().to_string(), text, "{line}");
        }
        assert_eq!(parse(b" \n # nothing").unwrap(), []);
    }

    #[test]
    fn commands_are_in_each_other() {
        let Command::Compound { compound, redirects } =
            &parse(b"for s in $(ls | cat); do\n  if a; then b; elif c; then d; else e; fi\ndone > f")
                .unwrap()[0]
                .1[0]
        else {
            panic!("no compound");
        };
        let Compound::For {
            name,
            words: named,
            body,
        } = compound
        else {
            panic!("no loop");
        };
        assert_eq!((&name[..], redirects.len()), (&b"s"[..], 1));
        assert_eq!(named.iter().map(plain).collect::<Vec<_>>(), ["(1)"]);
        let Command::Compound {
            compound: Compound::If { arms, otherwise },
            ..
        } = &body[0].1[0]
        else {
            panic!("no condition");
        };
        assert_eq!((arms.len(), otherwise.len()), (2, 1));
        // Words are reserved where a command begins, and without quotes.
        assert_eq!(words("echo if for done"), ["echo", "if", "for", "done"]);
        assert!(parse(b"'if' a").is_ok());
    }

    #[test]
    fn assignments_stand_in_front() {
        let simple = simple("A=1 _b2='x y'$C c a=b");
        let shown = simple.assignments.iter().map(|(name, value)| {
            let name = String::from_utf8_lossy(name).into_owned();
            format!("{name}:{}", plain(value))
        });
        assert_eq!(shown.collect::<Vec<_>>(), ["A:1", "_b2:_'x'' ''y'<Named([67])>"]);
        assert_eq!(simple.words.iter().map(plain).collect::<Vec<_>>(), ["c", "a=b"]);
    }

    #[test]
    fn depth_is_bounded() {
        for (open, close) in [("$(", ")"), ("if a; then ", "; fi")] {
            let line = |depth: usize| format!("{}a{}", open.repeat(depth), close.repeat(depth));
            assert!(parse(line(50).as_bytes()).is_ok(), "{open}");
            for depth in [51, 100_000] {
                assert_eq!(parse(line(depth).as_bytes()), Err(ParseError::TooDeep), "{open}");
            }
        }
    }
}
