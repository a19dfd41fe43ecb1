//! Filters as containerd reads them (its package filters): `name==x,labels.key!="a b"`. Of several, one must
//! match. Regular expressions (`~=`) are refused: there is nothing here that would read Go's.

/// A filter that cannot be read, in containerd's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FilterError {
    /// The text between brackets, with the place of what is wrong.
    #[error("filters: parse error: [{shown}]: {message}: invalid argument")]
    Parse { shown: String, message: String },
    #[error("the operator ~= is not offered here: use == or !=")]
    NoExpressions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Present,
    Equal,
    NotEqual,
}

#[derive(Clone, Debug)]
struct Selector {
    path: Vec<String>,
    operator: Operator,
    value: String,
}

/// All filters of a command.
#[derive(Clone, Debug)]
pub(super) struct Filters(Vec<Vec<Selector>>);

impl Filters {
    pub fn parse(filters: &[String]) -> Result<Self, FilterError> {
        let parsed = filters.iter().map(|text| match text.as_str() {
            "" => Ok(Vec::new()),
            text => Parser { text, at: 0 }.selectors(),
        });
        Ok(Self(parsed.collect::<Result<_, _>>()?))
    }

    /// Whether something matches; `field` gives the values of its fields.
    pub fn match_fields(&self, field: &dyn Fn(&[&str]) -> Option<String>) -> bool {
        let is_matched = |selector: &Selector| {
            let path: Vec<&str> = selector.path.iter().map(String::as_str).collect();
            let value = field(&path);
            match selector.operator {
                Operator::Present => value.is_some(),
                Operator::Equal => value.is_some_and(|value| value == selector.value),
                Operator::NotEqual => value.unwrap_or_default() != selector.value,
            }
        };
        self.0.is_empty() || self.0.iter().any(|all| all.iter().all(is_matched))
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

#[derive(PartialEq, Eq)]
enum Token<'a> {
    End,
    Quoted(&'a str),
    Word(&'a str),
    Separator(char),
    Operator(&'a str),
    Other,
}

impl<'a> Parser<'a> {
    fn selectors(&mut self) -> Result<Vec<Selector>, FilterError> {
        let mut selectors = vec![self.selector()?];
        loop {
            match self.text[self.at..].chars().next() {
                None => return Ok(selectors),
                Some(',') => {
                    self.at += 1;
                    selectors.push(self.selector()?);
                }
                Some(other) => {
                    // Go says the place after what it has read.
                    let message = format!("unexpected input: {other}");
                    return Err(self.error(self.at, &message));
                }
            }
        }
    }

    fn selector(&mut self) -> Result<Selector, FilterError> {
        let mut path = vec![self.field()?];
        while self.text[self.at..].starts_with('.') {
            self.at += 1;
            path.push(self.field()?);
        }
        let mut selector = Selector {
            path,
            operator: Operator::Present,
            value: String::new(),
        };
        if matches!(self.text[self.at..].chars().next(), None | Some(',')) {
            return Ok(selector);
        }
        let (at, token) = self.next(false);
        selector.operator = match token {
            Token::Operator("==") => Operator::Equal,
            Token::Operator("!=") => Operator::NotEqual,
            Token::Operator("~=") => return Err(FilterError::NoExpressions),
            Token::Operator(other) => {
                return Err(self.error(at, &format!("unsupported operator \"{other}\"")));
            }
            _ => return Err(self.error(at, "expected an operator (\"==\"|\"!=\"|\"~=\")")),
        };
        selector.value = match self.next(true) {
            (_, Token::Word(word)) => word.to_owned(),
            (at, Token::Quoted(quoted)) => self.unquoted(at, quoted)?,
            (at, _) => return Err(self.error(at, "expected value or quoted")),
        };
        Ok(selector)
    }

    fn field(&mut self) -> Result<String, FilterError> {
        match self.next(false) {
            (_, Token::Word(word)) => Ok(word.to_owned()),
            (at, Token::Quoted(quoted)) => self.unquoted(at, quoted),
            (at, _) => Err(self.error(at, "expected field or quoted")),
        }
    }

    /// The next token and where it begins. A word of a value may have any letters but commas and blanks.
    fn next(&mut self, is_value: bool) -> (usize, Token<'a>) {
        let rest = &self.text[self.at..];
        let start = self.at + (rest.len() - rest.trim_start().len());
        let rest = &self.text[start..];
        let Some(first) = rest.chars().next() else {
            return (start, Token::End);
        };
        let take = |fits: fn(char) -> bool| rest.find(|letter| !fits(letter)).unwrap_or(rest.len());
        let is_word: fn(char) -> bool = match is_value {
            true => |letter| letter != ',' && !letter.is_whitespace() && !letter.is_control(),
            false => |letter| letter == '_' || letter.is_ascii_alphanumeric(),
        };
        let (length, token) = match first {
            '/' | '|' | '"' => match closing(rest, first) {
                Some(end) => (end, Token::Quoted(&rest[..end])),
                None => (rest.len(), Token::Other),
            },
            ',' | '.' => (1, Token::Separator(first)),
            '=' | '!' | '~' => {
                let end = take(|letter| matches!(letter, '=' | '!' | '~'));
                (end, Token::Operator(&rest[..end]))
            }
            letter if is_word(letter) => {
                let end = take(is_word);
                (end, Token::Word(&rest[..end]))
            }
            letter => (letter.len_utf8(), Token::Other),
        };
        self.at = start + length;
        (start, token)
    }

    fn unquoted(&self, at: usize, quoted: &str) -> Result<String, FilterError> {
        let Some(inside) = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
            return Err(self.error(at, "invalid quote encountered"));
        };
        let mut letters = inside.chars();
        let mut out = String::new();
        while let Some(letter) = letters.next() {
            match (letter, letter == '\\') {
                (letter, false) => out.push(letter),
                _ => match letters.next() {
                    Some('n') => out.push('\n'),
                    Some('t') => out.push('\t'),
                    Some(letter @ ('"' | '\\')) => out.push(letter),
                    _ => return Err(self.error(at, "illegal escape sequence")),
                },
            }
        }
        Ok(out)
    }

    fn error(&self, at: usize, message: &str) -> FilterError {
        let (before, rest) = self.text.split_at(at.min(self.text.len()));
        let mut letters = rest.chars();
        let shown = match letters.next() {
            Some(letter) => format!("{before} >|{letter}|< {}", letters.as_str()),
            None => self.text.to_owned(),
        };
        FilterError::Parse {
            shown,
            message: message.to_owned(),
        }
    }
}

/// The length of a quoted text with its quotes.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => {
                letters.next();
            }
            '\n' => return None,
            letter if letter == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_matched(filter: &str) -> Result<bool, String> {
        let filters = Filters::parse(&[filter.to_owned()]).map_err(|error| error.to_string())?;
        Ok(filters.match_fields(&|path| {
            let value = match path {
                ["name"] => "b:1",
                ["labels", "a b"] => "x",
                _ => return None,
            };
            Some(value.to_owned())
        }))
    }

    #[test]
    fn filters_match() {
        for (filter, expected) in [
            ("", true),
            ("name", true),
            ("name==b:1", true),
            ("name == b:1", true),
            ("name==\"b:1\"", true),
            ("name==b", false),
            ("name!=b", true),
            ("nope!=x", true),
            ("nope==x", false),
            ("labels.\"a b\"==x", true),
            ("labels.a", false),
            ("name==b:1,labels.a", false),
            ("name==b:1,labels.\"a b\"", true),
        ] {
            assert_eq!(is_matched(filter), Ok(expected), "{filter}");
        }
    }

    /// The words are those of the real `ctr`.
    #[test]
    fn filters_that_are_none_are_refused() {
        for (filter, shown) in [
            ("name=b", "[name >|=|< b]: unsupported operator \"=\""),
            ("bad==", "[bad==]: expected value or quoted"),
            ("name==b,", "[name==b,]: expected field or quoted"),
            (",name==b", "[ >|,|< name==b]: expected field or quoted"),
            ("-", "[ >|-|< ]: expected field or quoted"),
            (
                "size>3",
                "[size >|>|< 3]: expected an operator (\"==\"|\"!=\"|\"~=\")",
            ),
            ("name!b", "[name >|!|< b]: unsupported operator \"!\""),
        ] {
            let expected = format!("filters: parse error: {shown}: invalid argument");
            assert_eq!(is_matched(filter), Err(expected), "{filter}");
        }
        assert!(is_matched("name~=b").is_err());
    }
}
