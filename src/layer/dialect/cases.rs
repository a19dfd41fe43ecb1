//! Cases of layers as text, for tests here and in `tests/`: parsing them, writing their tars byte by byte, and
//! saying in a line what stands at a path. The head of `tests/dialects/cases.txt` describes the format.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Content, Dialect, Failure, Fs, Kind, Remains, apply, escape};

/// Layers, and what is known of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Case {
    pub name: String,
    /// What it is about.
    pub about: String,
    /// The lines of each layer, bottom first.
    pub layers: Vec<Vec<String>>,
    /// Whether `shows` has the times of directories.
    pub times: bool,
    /// What readers show: their ids, and a text.
    pub shows: Vec<(Vec<String>, String)>,
    /// Readers that are known to do otherwise than we say, and why.
    pub differs: Vec<(String, String)>,
    /// What a check finds: ids and paths.
    pub finds: Vec<String>,
}

/// All cases of a file.
pub fn parse(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut is_layer = false;
    let lines = text.lines().map(str::trim_end);
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("== ") {
            is_layer = false;
            cases.push(Case {
                name: name.to_owned(),
                ..Case::default()
            });
            continue;
        }
        let case = cases.last_mut().expect("a case begins with ==");
        if let Some(part) = line.strip_prefix("-- ") {
            is_layer = part == "layer";
            match part.split_once(' ') {
                None if is_layer => case.layers.push(Vec::new()),
                None if part == "times" => case.times = true,
                Some(("shows", rest)) => {
                    let (who, what) = rest.split_once(": ").unwrap_or((rest.trim_end_matches(':'), ""));
                    let who = who.split(' ').map(str::to_owned).collect();
                    case.shows.push((who, what.to_owned()));
                }
                Some(("finds", found)) => case.finds.push(found.to_owned()),
                Some(("differs", rest)) => {
                    let (who, why) = rest.split_once(": ").expect("who: why");
                    case.differs.push((who.to_owned(), why.to_owned()));
                }
                _ => panic!("{}: `{line}` is no part of a case", case.name),
            }
        } else if is_layer {
            case.layers.last_mut().expect("begun").push(line.to_owned());
        } else {
            case.about += line;
        }
    }
    cases
}

impl Case {
    /// The case as it stands in the file.
    pub fn text(&self) -> String {
        let mut text = format!("== {}\n", self.name);
        if !self.about.is_empty() {
            writeln!(text, "{}", self.about).unwrap();
        }
        for layer in &self.layers {
            text += "-- layer\n";
            layer.iter().for_each(|line| writeln!(text, "{line}").unwrap());
        }
        if self.times {
            text += "-- times\n";
        }
        for (who, what) in &self.shows {
            let line = format!("-- shows {}: {what}", who.join(" "));
            writeln!(text, "{}", line.trim_end()).unwrap();
        }
        for (who, why) in &self.differs {
            writeln!(text, "-- differs {who}: {why}").unwrap();
        }
        for found in &self.finds {
            writeln!(text, "-- finds {found}").unwrap();
        }
        text
    }

    /// The tars of its layers.
    pub fn tars(&self) -> Vec<Vec<u8>> {
        self.layers
            .iter()
            .map(|lines| tar(lines).unwrap_or_else(|error| panic!("{}: {error}", self.name)))
            .collect()
    }
}

/// The seconds that entries have when their line does not say.
pub const MTIME: i64 = 1000;

/// One entry as its line says it.
struct Line<'a> {
    flag: u8,
    name: Vec<u8>,
    target: Vec<u8>,
    device: (i64, i64),
    options: BTreeMap<&'a str, Vec<u8>>,
    records: Vec<(Vec<u8>, Vec<u8>)>,
}

fn bytes(text: &str) -> Result<Vec<u8>, String> {
    if text == "''" {
        return Ok(Vec::new());
    }
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend(&rest.as_bytes()[..at]);
        let (code, after) = match rest.as_bytes().get(at + 1) {
            Some(b'\\') => (b'\\', at + 2),
            Some(b'x') => {
                let digits = rest.get(at + 2..at + 4).unwrap_or("");
                (
                    u8::from_str_radix(digits, 16).map_err(|_| format!("`{text}`"))?,
                    at + 4,
                )
            }
            // `\*N*c` is N times c.
            Some(b'*') => {
                let (count, after) = rest[at + 2..].split_once('*').ok_or("`\\*N*c`")?;
                let count: usize = count.parse().map_err(|_| format!("`{text}`"))?;
                bytes.extend(after.as_bytes()[..1].repeat(count));
                rest = &after[1..];
                continue;
            }
            _ => return Err(format!("`{text}`: what is escaped?")),
        };
        bytes.push(code);
        rest = &rest[after..];
    }
    bytes.extend(rest.as_bytes());
    Ok(bytes)
}

fn parse_line(line: &str) -> Result<Line<'_>, String> {
    let mut words = line.split_whitespace();
    let kind = words.next().ok_or("an empty line")?;
    let flag = match kind {
        "file" => b'0',
        "link" => b'1',
        "symlink" => b'2',
        "char" => b'3',
        "block" => b'4',
        "dir" => b'5',
        "fifo" => b'6',
        "global" => b'g',
        _ => bytes(kind.strip_prefix("type:").ok_or(format!("`{kind}` is no kind"))?)?[0],
    };
    let name = bytes(words.next().ok_or(format!("`{line}` has no name"))?)?;
    let mut entry = Line {
        flag,
        name,
        target: Vec::new(),
        device: (0, 0),
        options: BTreeMap::new(),
        records: Vec::new(),
    };
    while let Some(word) = words.next() {
        if word == "->" {
            entry.target = bytes(words.next().ok_or("`->` without a target")?)?;
        } else if let Some((key, value)) = word.split_once('=') {
            let value = bytes(value)?;
            if let Some(key) = key.strip_prefix("pax.") {
                entry.records.push((bytes(key)?, value));
            } else if let Some(name) = key.strip_prefix("xattr.") {
                let key = [b"SCHILY.xattr.", &bytes(name)?[..]].concat();
                entry.records.push((key, value));
            } else {
                entry.options.insert(key, value);
            }
        } else if let Some((major, minor)) = word.split_once(':') {
            let number = |text: &str| text.parse().map_err(|_| format!("`{word}` is no device"));
            entry.device = (number(major)?, number(minor)?);
        } else {
            return Err(format!("`{word}` in `{line}`"));
        }
    }
    Ok(entry)
}

impl Line<'_> {
    fn number(&self, key: &str, radix: u32, or: i64) -> Result<i64, String> {
        match self.options.get(key) {
            None => Ok(or),
            Some(value) => str::from_utf8(value)
                .ok()
                .and_then(|value| i64::from_str_radix(value, radix).ok())
                .ok_or(format!("{key} is no number")),
        }
    }

    fn option(&self, key: &str) -> &[u8] {
        self.options.get(key).map_or(b"", |value| value)
    }
}

/// The tar of some lines. A line with `!` is about the archive: `!end none`, `!end one`, `!end junk`,
/// `!trailing TEXT`, `!cut N` (bytes off the end).
pub fn tar(lines: &[String]) -> Result<Vec<u8>, String> {
    let mut tar = Vec::new();
    let (mut end, mut trailing, mut cut) = ("two", Vec::new(), 0);
    for line in lines {
        match line
            .strip_prefix('!')
            .map(|rest| rest.split_once(' ').unwrap_or((rest, "")))
        {
            Some(("end", how)) => end = how,
            Some(("trailing", text)) => trailing = bytes(text)?,
            Some(("cut", count)) => cut = count.parse().map_err(|_| "how much is cut?")?,
            Some(_) => return Err(format!("`{line}`")),
            None => put_line(&mut tar, line)?,
        }
    }
    match end {
        "none" => {}
        "one" => tar.extend([0; 512]),
        "junk" => tar.extend([[0; 512], [7; 512]].as_flattened()),
        _ => tar.extend([0; 1024]),
    }
    tar.extend(trailing);
    tar.truncate(tar.len() - cut);
    Ok(tar)
}

fn put_line(tar: &mut Vec<u8>, line: &str) -> Result<(), String> {
    let mut entry = parse_line(line)?;
    let mut content = entry.option("content").to_vec();
    if let Some(time) = entry.options.get("mtime").filter(|time| time.contains(&b'.')) {
        entry.records.push((b"mtime".to_vec(), time.clone()));
        entry.options.remove("mtime");
    }
    for (flag, key) in [(b'L', "longname"), (b'K', "longlink")] {
        if let Some(long) = entry.options.get(key) {
            let long = [long, &b"\0"[..]].concat();
            put_block(tar, &Block::new(b"././@LongLink", flag, long.len() as i64));
            put_data(tar, &long);
        }
    }
    let mut block = Block::new(&entry.name, entry.flag, content.len() as i64);
    if let Some(how) = entry.options.get("sparse") {
        sparse(how, &mut entry.records, &mut block, &mut content)?;
        block.size = content.len() as i64;
    }
    let long = |name: &[u8]| name.len() > 100;
    if long(&entry.name) {
        entry.records.push((b"path".to_vec(), entry.name.clone()));
    }
    if long(&entry.target) {
        entry.records.push((b"linkpath".to_vec(), entry.target.clone()));
    }
    let mut records = Vec::new();
    for (key, value) in &entry.records {
        put_record(&mut records, key, value);
    }
    if entry.flag == b'g' {
        content = records;
        block.size = content.len() as i64;
    } else if !records.is_empty() {
        put_block(tar, &Block::new(b"PaxHeaders/x", b'x', records.len() as i64));
        put_data(tar, &records);
    }
    block.link = entry.target.clone();
    block.device = entry.device;
    block.mode = entry.number("mode", 8, if entry.flag == b'5' { 0o755 } else { 0o644 })?;
    block.uid = entry.number("uid", 10, 0)?;
    block.gid = entry.number("gid", 10, 0)?;
    block.mtime = entry.number("mtime", 10, MTIME)?;
    block.size = entry.number("size", 10, block.size)?;
    block.format = String::from_utf8_lossy(entry.option("format")).into_owned();
    block.prefix = entry.option("prefix").to_vec();
    block.is_broken = !entry.option("sum").is_empty();
    put_block(tar, &block);
    tar.append(&mut block.after);
    put_data(tar, &content);
    Ok(())
}

/// A file of 512 zeros, the content, and 512 zeros, with only the content stored.
fn sparse(
    how: &[u8],
    records: &mut Vec<(Vec<u8>, Vec<u8>)>,
    block: &mut Block,
    content: &mut Vec<u8>,
) -> Result<(), String> {
    let (length, size) = (content.len(), content.len() + 1024);
    let mut put = |key: &str, value: String| records.push((format!("GNU.sparse.{key}").into(), value.into()));
    match how {
        b"old" => block.sparse = Some((length as i64, size as i64)),
        b"0.0" => {
            put("size", size.to_string());
            put("numblocks", "1".to_owned());
            put("offset", "512".to_owned());
            put("numbytes", length.to_string());
        }
        b"0.1" => {
            put("size", size.to_string());
            put("numblocks", "1".to_owned());
            put("map", format!("512,{length}"));
        }
        b"1.0" => {
            put("major", "1".to_owned());
            put("minor", "0".to_owned());
            put("name", String::from_utf8_lossy(&block.name).into_owned());
            put("realsize", size.to_string());
            let mut map = format!("1\n512\n{length}\n").into_bytes();
            map.resize(512, 0);
            map.append(content);
            *content = map;
            block.name = b"GNUSparseFile.0/stored".to_vec();
        }
        _ => return Err("sparse is old, 0.0, 0.1 or 1.0".to_owned()),
    }
    Ok(())
}

fn put_record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    out.extend(length.to_string().bytes());
    out.extend([b" ", key, b"=", value, b"\n"].concat());
}

fn put_data(tar: &mut Vec<u8>, data: &[u8]) {
    tar.extend(data);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

/// A header block before it is written.
struct Block {
    name: Vec<u8>,
    flag: u8,
    size: i64,
    link: Vec<u8>,
    mode: i64,
    uid: i64,
    gid: i64,
    mtime: i64,
    device: (i64, i64),
    format: String,
    prefix: Vec<u8>,
    /// Of an old sparse file, how much is stored and how long it is.
    sparse: Option<(i64, i64)>,
    is_broken: bool,
    after: Vec<u8>,
}

impl Block {
    fn new(name: &[u8], flag: u8, size: i64) -> Self {
        Self {
            name: name.to_vec(),
            flag,
            size,
            link: Vec::new(),
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: 0,
            device: (0, 0),
            format: String::new(),
            prefix: Vec::new(),
            sparse: None,
            is_broken: false,
            after: Vec::new(),
        }
    }
}

fn put_text(block: &mut [u8], text: &[u8]) {
    let length = text.len().min(block.len());
    block[..length].copy_from_slice(&text[..length]);
}

/// Octal if it fits, else base-256.
fn put_number(field: &mut [u8], value: i64) {
    let digits = field.len() - 1;
    if value >= 0 && (digits >= 21 || value >> (3 * digits) == 0) {
        put_text(field, format!("{value:0digits$o}").as_bytes());
        return;
    }
    let wide = i128::from(value).to_be_bytes();
    let start = wide.len() - field.len();
    field.copy_from_slice(&wide[start..]);
    field[0] |= 0x80;
}

fn put_block(tar: &mut Vec<u8>, header: &Block) {
    let mut block = [0; 512];
    put_text(&mut block[..100], &header.name);
    for (range, value) in [
        (100..108, header.mode),
        (108..116, header.uid),
        (116..124, header.gid),
        (124..136, header.size),
        (136..148, header.mtime),
    ] {
        put_number(&mut block[range], value);
    }
    block[156] = header.flag;
    put_text(&mut block[157..257], &header.link);
    let is_gnu = header.format == "gnu" || header.sparse.is_some();
    match header.format.as_str() {
        "v7" => {}
        _ if is_gnu => put_text(&mut block[257..265], b"ustar  \0"),
        _ => put_text(&mut block[257..265], b"ustar\x0000"),
    }
    if header.format != "v7" {
        put_number(&mut block[329..337], header.device.0);
        put_number(&mut block[337..345], header.device.1);
        put_text(&mut block[345..500], &header.prefix);
    }
    if let Some((length, size)) = header.sparse {
        block[156] = b'S';
        for (range, value) in [(386..398, 512), (398..410, length), (483..495, size)] {
            put_number(&mut block[range], value);
        }
    }
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    let sum = sum + u32::from(header.is_broken);
    put_text(&mut block[148..156], format!("{sum:06o}\0 ").as_bytes());
    tar.extend(block);
}

/// What stands at a path, however it was found out.
pub struct Seen {
    /// `d`, `f`, `l`, `c`, `b`, `p`, `s`, or `?` for a ghost.
    pub kind: char,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// None for the time of unpacking.
    pub mtime: Option<(i64, u32)>,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The text of a short file, the digest of another, a target, or a device.
    pub what: String,
    /// The first path of the same inode, if that is another.
    pub same_as: Option<String>,
}

impl Seen {
    /// The line for it: what it is, then what is not as entries of cases have it by themselves.
    pub fn line(&self, escape: impl Fn(&[u8]) -> String, times: bool) -> String {
        if self.kind == '?' {
            return "?".to_owned();
        }
        let mut facts = Vec::new();
        let mode = match self.kind {
            'd' => 0o755,
            'l' => 0o777,
            _ => 0o644,
        };
        if self.mode != mode {
            facts.push(format!("{:04o}", self.mode));
        }
        if (self.uid, self.gid) != (0, 0) {
            facts.push(format!("{}:{}", self.uid, self.gid));
        }
        match self.mtime {
            Some((MTIME, 0)) => {}
            _ if self.kind == 'd' && !times => {}
            None => facts.push("now".to_owned()),
            Some((seconds, 0)) => facts.push(format!("@{seconds}")),
            Some((seconds, nanos)) => facts.push(format!("@{seconds}+{nanos}ns")),
        }
        for (name, value) in &self.xattrs {
            let value = match value.len() {
                ..=24 => escape(value),
                length => format!("({length} bytes)"),
            };
            facts.push(format!("{}={value}", escape(name)));
        }
        if let Some(first) = &self.same_as {
            facts.push(format!("={first}"));
        }
        let kind = match self.kind {
            'd' => "/".to_owned(),
            'f' if self.what.is_empty() => String::new(),
            'f' => format!("'{}'", self.what),
            'l' => format!("->{}", self.what),
            'p' => "|".to_owned(),
            kind => format!("{kind}{}", self.what),
        };
        match facts.is_empty() {
            true => kind,
            false => format!("{kind}[{}]", facts.join(" ")),
        }
    }
}

/// What a model shows, path by path; the root is `.`.
pub fn describe(fs: &Fs, times: bool) -> BTreeMap<String, String> {
    let mut firsts = BTreeMap::new();
    let mut lines = BTreeMap::new();
    for (path, number) in fs.walk() {
        let path = if path.is_empty() {
            ".".to_owned()
        } else {
            escape(&path)
        };
        let inode = fs.inode(number);
        let (kind, what) = match &inode.kind {
            Kind::Directory(_) => ('d', String::new()),
            Kind::File(data) => ('f', short(data.len(), || data.read_all(u64::MAX).unwrap())),
            Kind::Symlink(target) => ('l', escape(target)),
            Kind::CharDevice(major, minor) => ('c', format!("{major}:{minor}")),
            Kind::BlockDevice(major, minor) => ('b', format!("{major}:{minor}")),
            Kind::Fifo => ('p', String::new()),
            Kind::Ghost => ('?', String::new()),
        };
        let first = firsts.entry(number).or_insert_with(|| path.clone()).clone();
        let seen = Seen {
            kind,
            mode: inode.mode,
            uid: inode.uid,
            gid: inode.gid,
            mtime: inode.mtime.map(|time| (time.seconds, time.nanos)),
            xattrs: inode.xattrs.clone(),
            what,
            same_as: (first != path).then_some(first),
        };
        lines.insert(path, seen.line(escape, times));
    }
    lines
}

/// The bytes of a short file, and of another how many.
pub fn short(size: u64, read: impl FnOnce() -> Vec<u8>) -> String {
    match size {
        ..=40 => escape(&read()),
        _ => {
            let bytes = read();
            let first = bytes.iter().position(|&byte| byte != 0).unwrap_or(0);
            let sum = bytes
                .iter()
                .fold(0u32, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
            format!("{size} bytes, {first} zeros first, {sum:08x}")
        }
    }
}

/// A dialect's answer in one line: what shows without the root, or why nothing does.
pub fn answer(dialect: Dialect, case: &Case) -> String {
    let layers = case.tars().into_iter().map(Content::inline).collect();
    match apply(dialect, layers).result {
        Err(failure) => failed(&failure),
        Ok(fs) => {
            let mut lines = describe(&fs, case.times);
            lines.remove(".");
            let shown = lines.iter().map(|(path, line)| format!("{path}{line}"));
            shown.collect::<Vec<_>>().join(" ")
        }
    }
}

/// A failure in one line.
pub fn failed(failure: &Failure) -> String {
    let remains = match failure.remains {
        Remains::LessThanNothing => ", and takes away what it is unpacked in",
        Remains::Nothing | Remains::Layers(_) => "",
    };
    format!("fails in layer {}: {}{remains}", failure.layer + 1, failure.why)
}
