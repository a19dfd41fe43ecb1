//! Scripts: layers, options and calls as text, for `handroll simulate`, the gallery of quirks and failing tests.
//!
//! A script has one directive a line: a word and its arguments, `#` begins a remark. Arguments with spaces stand
//! in double quotes; bytes are written as in [`crate::text`], in quotes `\n` and `\"` as well. `docs/scripts.md`
//! has the list of directives, which is held to this module by a test.

mod layer;
mod parse;
mod print;
mod words;

use super::mount::{Call, Caller, Lower, Marks, OptionError, Options, Overlay, Upper};
use crate::tree::{Time, Tree};

pub use words::words;

/// The time of all that a script does, in seconds since 1970: it has no clock.
pub const NOW: Time = Time::at(1_735_689_600);

/// What a script says.
#[derive(Clone, Debug)]
pub struct Script {
    /// The lower layers, the bottom one first.
    pub lowers: Vec<Tree>,
    /// What the upperdir holds at first; none for a mount that is read-only.
    pub upper: Option<Tree>,
    /// How it is mounted.
    pub options: Options,
    /// What is done then, in order.
    pub steps: Vec<Step>,
}

/// One call of a script.
#[derive(Clone, Debug)]
pub struct Step {
    /// The line that it stands on, from 1 on.
    pub line: usize,
    /// Who makes it.
    pub caller: Caller,
    /// The call.
    pub call: Call,
}

/// A script that says nothing sensible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ScriptError {
    /// The line, from 1 on.
    pub line: usize,
    /// What is wrong, and what was expected.
    pub problem: String,
}

impl Script {
    /// The overlay that the script begins with, simulated.
    pub fn mount(&self) -> Result<Overlay, OptionError> {
        let lowers = self.lowers.iter().cloned().map(Lower::new).collect();
        let marks = Marks::of(self.options);
        let upper = self.upper.as_ref();
        let upper = upper.map(|tree| Upper::from_layer(tree, marks, NOW));
        Overlay::mount(lowers, upper, self.options, NOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../docs/scripts.md");

    #[test]
    fn the_documentation_has_every_directive_and_its_example_runs() {
        let mut documented: Vec<&str> = Vec::new();
        for line in PAGE.lines().filter_map(|line| line.strip_prefix("| `")) {
            documented.push(line.split([' ', '`']).next().unwrap());
        }
        documented.dedup();
        let entries = layer::ENTRIES.map(|entry| std::str::from_utf8(entry).unwrap());
        assert_eq!(documented, [&entries[..], &["as"], &parse::CALLS].concat());
        let example = PAGE.split("```").nth(1).unwrap();
        let script = Script::parse(example).unwrap();
        assert_eq!((script.lowers.len(), script.steps.len()), (2, 3));
        for directive in parse::CALLS {
            let error = Script::parse(&format!("layer\nmount\n{directive}")).err();
            let is_known = error.is_none_or(|error| !error.problem.contains("no directive"));
            assert!(is_known, "{directive}");
        }
    }

    #[test]
    fn a_script_reads_as_it_is_written() {
        let text = "layer\nattributes / mode=0700\nwhiteout /c\ndir \"/a b\" owner=1:2 user.x=y\nopaque \"/a b\"\n\
                    file /f \"\" mode=0600\nlink /g /f\nslink /l \"t t\"\nchar /n 1:3\nupper\nattributes /\n\
                    mount redirect_dir=on\n\
                    open /f write create mode=0644 offset=3 \"text=a b\"\nrename /f /g exchange\n\
                    utimes /f now omit nofollow\nas 1000:5\nopen /f read mode=0666 fd=3\nfd 3 write \"a b\" offset=2\nfd 3 close\nchown /f 1:-\nas 0:0 umask=0077\nremount userxattr\n";
        let script = Script::parse(text).unwrap();
        let written = script.to_string();
        assert_eq!(written, text);
        assert_eq!(Script::parse(&written).unwrap().to_string(), written);
    }
}
