//! Scripts: layers, options and calls as text, for `handroll simulate`, the gallery of quirks and failing tests.
//!
//! A script has one directive a line: a word and its arguments, `#` begins a remark. Arguments with spaces stand
//! in double quotes; bytes are written as in [`crate::text`], in quotes `\n` and `\"` as well. `docs/scripts.md`
//! has the list of directives, which is held to this module by a test.

mod layer;
mod parse;
mod print;
mod words;

use super::mount::{Call, Lower, Marks, OptionError, Options, Overlay, Upper};
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
