//! From bytes to the index of their values: the grammar of RFC 8259, without recursion.

use super::node::{Kind, Slot, decode, escaped};
use super::{DEPTH_LIMIT, FAULT_LIMIT, Fault, FaultKind, JsonError, line_and_column};

/// What was found in some bytes.
pub(super) struct Parsed {
    pub(super) nodes: Vec<Slot>,
    pub(super) faults: Vec<Fault>,
    pub(super) error: Option<JsonError>,
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads at most `size` bytes, with at most `limit` values in them.
pub(super) fn parse(bytes: &[u8], size: u64, limit: usize) -> Parsed {
    let mut parser = Parser {
        bytes,
        limit,
        at: 0,
        open: Vec::new(),
        key: (0, 0),
        nodes: Vec::new(),
        faults: Vec::new(),
    };
    let length = bytes.len() as u64;
    let error = match length > size {
        true => Some(JsonError::Size { length, limit: size }),
        false => parser.document().err(),
    };
    parser.close_all();
    parser.faults.sort_by_key(|fault| fault.offset);
    Parsed {
        nodes: parser.nodes,
        faults: parser.faults,
        error,
    }
}

struct Parser<'a> {
    bytes: &'a [u8],
    /// The most values that are kept.
    limit: usize,
    at: usize,
    /// The lists and objects that are not closed yet, from the outermost.
    open: Vec<u32>,
    /// The name of the member whose value comes next.
    key: (u32, u32),
    nodes: Vec<Slot>,
    faults: Vec<Fault>,
}

type Parse<T> = Result<T, JsonError>;

impl Parser<'_> {
    fn document(&mut self) -> Parse<()> {
        if self.bytes.starts_with(BYTE_ORDER_MARK) {
            self.fault(0, FaultKind::ByteOrderMark);
            self.at = BYTE_ORDER_MARK.len();
        }
        loop {
            self.blanks();
            self.value()?;
            // Behind a value: what it is in goes on, or closes, and that may close more.
            loop {
                self.blanks();
                let Some(&open) = self.open.last() else {
                    return match self.peek() {
                        None => Ok(()),
                        Some(_) => Err(self.unexpected("the end")),
                    };
                };
                let is_object = self.nodes[open as usize].kind == Kind::Object;
                match (self.peek(), is_object) {
                    (Some(b','), _) => {
                        self.at += 1;
                        self.blanks();
                        if is_object {
                            self.name("a member's name in quotes")?;
                        }
                        break;
                    }
                    (Some(b'}'), true) | (Some(b']'), false) => self.close(),
                    (_, true) => return Err(self.unexpected("`,` or `}`")),
                    (_, false) => return Err(self.unexpected("`,` or `]`")),
                }
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn unexpected(&self, expected: &'static str) -> JsonError {
        let (line, column) = line_and_column(self.bytes, self.at);
        let found = match self.peek() {
            None => "the end".to_owned(),
            Some(byte @ 0x21..0x7f) => format!("`{}`", char::from(byte)),
            Some(byte) => format!("byte {byte:#04x}"),
        };
        JsonError::Syntax {
            offset: self.at,
            line,
            column,
            expected,
            found,
        }
    }

    fn fault(&mut self, offset: usize, kind: FaultKind) {
        if self.faults.len() < FAULT_LIMIT {
            self.faults.push(Fault { offset, kind });
        }
    }

    /// Reads a value up to its end; of a list or an object that is not empty, up to its first value.
    fn value(&mut self) -> Parse<()> {
        loop {
            let start = self.at;
            match self.peek() {
                Some(b'{') => {
                    self.open(Kind::Object)?;
                    self.blanks();
                    if self.peek() == Some(b'}') {
                        self.close();
                        return Ok(());
                    }
                    self.name("a member's name in quotes or `}`")?;
                }
                Some(b'[') => {
                    self.open(Kind::Array)?;
                    self.blanks();
                    if self.peek() == Some(b']') {
                        self.close();
                        return Ok(());
                    }
                }
                Some(b'"') => {
                    self.string()?;
                    return self.leaf(Kind::String, start);
                }
                Some(b'-' | b'0'..=b'9') => {
                    self.number()?;
                    return self.leaf(Kind::Number, start);
                }
                Some(b'n') => return self.word(b"null", Kind::Null),
                Some(b't') => return self.word(b"true", Kind::True),
                Some(b'f') => return self.word(b"false", Kind::False),
                _ => return Err(self.unexpected("a value")),
            }
        }
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize) -> Parse<u32> {
        if self.nodes.len() == self.limit {
            return Err(JsonError::Nodes {
                offset: start,
                limit: self.limit,
            });
        }
        let index = self.nodes.len() as u32;
        let (key_start, key_end) = std::mem::take(&mut self.key);
        self.nodes.push(Slot {
            kind,
            start: start as u32,
            end: end as u32,
            after: index + 1,
            parent: self.open.last().copied().unwrap_or(index),
            key_start,
            key_end,
        });
        Ok(index)
    }

    fn leaf(&mut self, kind: Kind, start: usize) -> Parse<()> {
        self.push(kind, start, self.at).map(drop)
    }

    fn open(&mut self, kind: Kind) -> Parse<()> {
        if self.open.len() == DEPTH_LIMIT {
            return Err(JsonError::Depth { offset: self.at });
        }
        let index = self.push(kind, self.at, self.at)?;
        self.open.push(index);
        self.at += 1;
        Ok(())
    }

    fn close(&mut self) {
        self.at += 1;
        if let Some(index) = self.open.pop() {
            self.end(index);
            self.find_duplicates(index);
        }
    }

    /// What the end of the bytes, or an error, left open ends there.
    fn close_all(&mut self) {
        while let Some(index) = self.open.pop() {
            self.end(index);
        }
    }

    fn end(&mut self, index: u32) {
        let after = self.nodes.len() as u32;
        let slot = &mut self.nodes[index as usize];
        (slot.end, slot.after) = (self.at as u32, after);
    }

    /// Compares the names of an object's members, once it is closed.
    fn find_duplicates(&mut self, object: u32) {
        let Slot { kind, after, .. } = self.nodes[object as usize];
        if kind != Kind::Object || after - object < 3 {
            return;
        }
        let mut names = Vec::new();
        let mut child = object + 1;
        while child < after {
            let slot = &self.nodes[child as usize];
            let name = decode(&self.bytes[slot.key_start as usize..slot.key_end as usize]);
            names.push((name, slot.key_start as usize));
            child = slot.after;
        }
        names.sort();
        let mut found = Vec::new();
        for group in names.chunk_by(|a, b| a.0 == b.0) {
            for (name, offset) in &group[1..] {
                let (name, first) = (name.to_string(), group[0].1);
                found.push((*offset, FaultKind::Duplicate { name, first }));
            }
        }
        for (offset, kind) in found {
            self.fault(offset, kind);
        }
    }

    fn word(&mut self, word: &'static [u8], kind: Kind) -> Parse<()> {
        let start = self.at;
        for &letter in word {
            if self.peek() != Some(letter) {
                return Err(self.unexpected("`null`, `true` or `false`"));
            }
            self.at += 1;
        }
        self.leaf(kind, start)
    }

    /// A member's name, and the colon behind it.
    fn name(&mut self, expected: &'static str) -> Parse<()> {
        let start = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.unexpected(expected));
        }
        self.string()?;
        self.key = (start as u32, self.at as u32);
        self.blanks();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("`:`"));
        }
        self.at += 1;
        self.blanks();
        Ok(())
    }

    fn string(&mut self) -> Parse<()> {
        let start = self.at + 1;
        self.at = start;
        let mut is_ascii = true;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                None => return Err(self.unexpected("the quote that ends a text")),
                Some(0..0x20) => {
                    return Err(self.unexpected("a character, or the escape of a control character"));
                }
                Some(byte) => {
                    is_ascii &= byte < 0x80;
                    self.at += 1;
                }
            }
        }
        if !is_ascii && let Err(error) = str::from_utf8(&self.bytes[start..self.at]) {
            self.fault(start + error.valid_up_to(), FaultKind::NotUtf8);
        }
        self.at += 1;
        Ok(())
    }

    fn escape(&mut self) -> Parse<()> {
        let start = self.at;
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                for _ in 0..4 {
                    self.at += 1;
                    if !self.peek().is_some_and(|digit| digit.is_ascii_hexdigit()) {
                        return Err(self.unexpected("four hex digits behind `\\u`"));
                    }
                }
                self.at += 1;
                let (c, length) = escaped(&self.bytes[start..]);
                if c.is_none() {
                    self.fault(start, FaultKind::LoneSurrogate);
                }
                // The low half of a pair is of this escape; whether it is well formed, `unicode` has seen.
                self.at = start + length;
            }
            _ => return Err(self.unexpected("one of `\"\\/bfnrtu` behind a backslash")),
        }
        Ok(())
    }

    fn number(&mut self) -> Parse<()> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        let mut is_whole = true;
        if self.peek() == Some(b'.') {
            is_whole = false;
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            is_whole = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        let text = str::from_utf8(&self.bytes[start..self.at]);
        if is_whole && text.is_ok_and(|text| text.parse::<i64>().is_err()) {
            self.fault(start, FaultKind::Number);
        }
        Ok(())
    }

    fn digits(&mut self) -> Parse<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        match self.at > start {
            true => Ok(()),
            false => Err(self.unexpected("a digit")),
        }
    }
}
