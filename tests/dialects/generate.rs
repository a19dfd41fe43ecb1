//! Random stacks of layers, small and hostile: few names, so that entries meet.

use super::cases::{Case, tar};
use super::support::random::Random;

/// One stack; the same for the same seed. Every other one is tame: its files are not in the way of its
/// directories, so that unpacking gets further.
pub fn case(seed: u64) -> Case {
    let mut random = Random::new(seed);
    let mut maker = Maker {
        is_wild: random.once_in(2),
        random,
        files: Vec::new(),
    };
    let layers = (0..1 + maker.random.below(4)).map(|_| maker.layer()).collect();
    Case {
        name: format!("random-{seed}"),
        layers,
        times: true,
        ..Case::default()
    }
}

struct Maker {
    random: Random,
    is_wild: bool,
    /// Files of this layer, which links can name.
    files: Vec<String>,
}

const DIRECTORIES: [&str; 3] = ["a", "b", "c"];
const FILES: [&str; 3] = ["f", "g", "a"];

impl Maker {
    fn layer(&mut self) -> Vec<String> {
        self.files.clear();
        let count = 1 + self.random.below(if self.is_wild { 6 } else { 9 });
        (0..count).map(|_| self.line()).collect()
    }

    fn directory(&mut self) -> String {
        let depth = 1 + self.random.below(3);
        let names: Vec<&str> = (0..depth).map(|_| self.random.pick(&DIRECTORIES)).collect();
        self.spelled(names.join("/"))
    }

    fn file(&mut self) -> String {
        let name = match self.is_wild {
            true => return self.directory(),
            false => self.random.pick(&FILES[..2]),
        };
        match self.random.below(4) {
            0 => name.to_owned(),
            _ => format!("{}/{name}", self.directory()),
        }
    }

    fn spelled(&mut self, path: String) -> String {
        match self.random.below(24) {
            0 => format!("./{path}"),
            1 => format!("/{path}"),
            2 if self.is_wild => format!("../{path}"),
            3 if self.is_wild => format!("{path}/../{}", self.random.pick(&DIRECTORIES)),
            _ => path,
        }
    }

    fn mark(&mut self) -> String {
        let name = match self.random.below(12) {
            0 if self.is_wild => ".wh..wh.plnk".to_owned(),
            1 if self.is_wild => self
                .random
                .pick(&[".wh.", ".wh..", ".wh...", ".wh.a/b"])
                .to_owned(),
            2..6 => ".wh..wh..opq".to_owned(),
            6..9 => format!(".wh.{}", self.random.pick(&FILES)),
            _ => format!(".wh.{}", self.random.pick(&DIRECTORIES)),
        };
        match self.random.below(3) {
            0 => name,
            _ => format!("{}/{name}", self.directory()),
        }
    }

    fn line(&mut self) -> String {
        let line = match self.random.below(40) {
            0..12 => format!("dir {}", self.directory()),
            12..20 => {
                let content = self.random.pick(&["x", "y", ""]);
                let name = self.file();
                self.files.push(name.clone());
                format!("file {name} content={content}")
            }
            20..29 => format!("file {}", self.mark()),
            29..33 => {
                let target = match self.random.below(4) {
                    0 => format!("/{}", self.directory()),
                    1 => format!("../{}", self.directory()),
                    _ => self.directory(),
                };
                format!("symlink {} -> {target}", self.file())
            }
            33..35 => {
                let target = match self.files.len() {
                    0 if !self.random.once_in(8) => return self.line(),
                    0 => self.file(),
                    _ if self.random.once_in(8) => self.file(),
                    count => self.files[self.random.below(count)].clone(),
                };
                format!("link {} -> {target}", self.file())
            }
            35 => format!("char {} {}", self.file(), self.random.pick(&["0:0", "1:3"])),
            36 if self.is_wild && self.random.once_in(3) => format!("global {} pax.comment=x", self.file()),
            37 if self.is_wild && self.random.once_in(3) => format!("type:7 {}", self.file()),
            38 => "dir ./".to_owned(),
            39 => format!("dir {}", self.mark()),
            _ => format!("fifo {}", self.file()),
        };
        let is_plain = line.starts_with("file") || line.starts_with("dir");
        match is_plain || self.is_wild && self.random.once_in(4) {
            true => line + &options(&mut self.random),
            false => line,
        }
    }
}

fn options(random: &mut Random) -> String {
    let mut text = String::new();
    for _ in 0..random.below(3) {
        let option = match random.below(8) {
            0 => format!("mode={:04o}", random.pick(&[0o4755u32, 0o2755, 0o700, 0o1777, 0])),
            1 => format!("uid={}", random.pick(&[1u64, 70_000, 4_294_967_295])),
            2 => format!("gid={}", random.pick(&[2u64, 4_294_967_294])),
            3 => format!("mtime={}", random.pick(&["5", "-7", "3.25", "9300000000"])),
            4 => format!(
                "xattr.user.{}={}",
                random.pick(&["a", "b"]),
                random.pick(&["1", "2", "''"])
            ),
            5 => "xattr.security.x=1".to_owned(),
            6 => "xattr.trusted.overlay.opaque=y".to_owned(),
            _ => continue,
        };
        let key = option.split('=').next().expect("one part at least");
        if !text.contains(key) {
            text += &format!(" {option}");
        }
    }
    text
}

/// The smallest case that still fails, found by taking away layers, lines and words.
pub fn shrink(mut case: Case, fails: impl Fn(&Case) -> bool) -> Case {
    loop {
        let smaller = candidates(&case)
            .into_iter()
            .find(|candidate| candidate.layers.iter().all(|lines| tar(lines).is_ok()) && fails(candidate));
        match smaller {
            None => return case,
            Some(smaller) => case = smaller,
        }
    }
}

fn candidates(case: &Case) -> Vec<Case> {
    let mut all = Vec::new();
    let mut with = |change: &dyn Fn(&mut Vec<Vec<String>>)| {
        let mut candidate = case.clone();
        change(&mut candidate.layers);
        all.push(candidate);
    };
    for layer in 0..case.layers.len() {
        if case.layers.len() > 1 {
            with(&|layers| drop(layers.remove(layer)));
        }
        for line in 0..case.layers[layer].len() {
            with(&|layers| drop(layers[layer].remove(line)));
            let words: Vec<&str> = case.layers[layer][line].split(' ').collect();
            for word in 2..words.len() {
                if words[word].contains('=') {
                    let kept: Vec<&str> = words[..word].iter().chain(&words[word + 1..]).copied().collect();
                    with(&|layers| layers[layer][line] = kept.join(" "));
                }
            }
        }
    }
    all
}
