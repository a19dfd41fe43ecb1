//! Tables of rules: each has a stable name, a sentence and where it is written down. Knows nothing of what they are
//! rules of.

/// Makes an enum of rules of a table with a row for each: `Variant "name": "sentence", "source";`.
macro_rules! rules {
    ($(#[$about:meta])* $enum:ident; $($variant:ident $id:literal: $sentence:literal, $source:literal;)*) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "the sentence says what it is")]
        pub enum $enum {
            $($variant,)*
        }

        impl $enum {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            fn row(self) -> [&'static str; 3] {
                match self {
                    $(Self::$variant => [$id, $sentence, $source],)*
                }
            }

            /// Its stable name.
            pub fn id(self) -> &'static str {
                self.row()[0]
            }

            /// What it says, with names in braces for what an event fills in.
            pub fn sentence(self) -> &'static str {
                self.row()[1]
            }

            /// Where it is written down: a specification, a manual page, or a file and function of what is simulated.
            pub fn source(self) -> &'static str {
                self.row()[2]
            }
        }
    };
}
pub(crate) use rules;

/// A rule's sentence with its parts filled in: `{path}` and so on, each with what stands for it.
///
/// # Panics
///
/// Panics if the sentence has a part that is not given.
pub(crate) fn fill(sentence: &str, parts: &[(&str, String)]) -> String {
    // Part by part from the left, so that what a name holds is not taken for a part.
    let mut filled = String::new();
    let mut rest = sentence;
    while let Some(start) = rest.find('{') {
        filled.push_str(&rest[..start]);
        rest = &rest[start..];
        let part = parts.iter().find(|(name, _)| rest.starts_with(name));
        let (name, value) = part.expect("rules have only these parts");
        filled.push_str(value);
        rest = &rest[name.len()..];
    }
    filled + rest
}
