//! As much of ELF as the kernel looks at before it starts a program (elf(5), `load_elf_binary`): for which
//! machine it is, and which interpreter it names. Takes any bytes and never trusts a number in them.

use crate::content::{Content, ContentError};

/// The first bytes of every ELF file.
pub const MAGIC: &[u8; 4] = b"\x7fELF";

/// What a program says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The machine that it needs.
    pub machine: Machine,
    /// The interpreter that loads it (`PT_INTERP`), if it isn't static.
    pub interpreter: Option<Vec<u8>>,
}

/// A machine as ELF tells it: number, width and byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// `e_machine`.
    pub number: u16,
    /// 64 bits, not 32.
    pub wide: bool,
    /// Most significant byte first.
    pub big_endian: bool,
}

/// Go's names of architectures, and what ELF calls them.
const MACHINES: [(&str, u16, bool, bool); 13] = [
    ("386", 3, false, false),
    ("amd64", 62, true, false),
    ("arm", 40, false, false),
    ("arm64", 183, true, false),
    ("loong64", 258, true, false),
    ("mips", 8, false, true),
    ("mips64", 8, true, true),
    ("mips64le", 8, true, false),
    ("mipsle", 8, false, false),
    ("ppc64", 21, true, true),
    ("ppc64le", 21, true, false),
    ("riscv64", 243, true, false),
    ("s390x", 22, true, true),
];

impl Machine {
    /// Go's name for it, if it has one.
    pub fn architecture(self) -> Option<&'static str> {
        let (number, wide, big) = (self.number, self.wide, self.big_endian);
        MACHINES
            .iter()
            .find(|known| (known.1, known.2, known.3) == (number, wide, big))
            .map(|known| known.0)
    }
}

/// Whether handroll knows which machine an architecture means.
pub fn is_known(architecture: &str) -> bool {
    MACHINES.iter().any(|known| known.0 == architecture)
}

/// Why an ELF file can't be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ElfError {
    /// The bytes could not be read.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The file ends too early.
    #[error("its {part} lies outside the file")]
    CutOff {
        /// What was looked for.
        part: &'static str,
    },
    /// A field has a value that the kernel refuses.
    #[error("its {field} is {value}, which the kernel refuses")]
    Field {
        /// The field's name in elf(5).
        field: &'static str,
        /// Its value.
        value: u64,
    },
}

/// The kernel's limit for the table of program headers, in bytes.
const MAX_TABLE: usize = 65_536;
/// The kernel's limit for the interpreter's path (`PATH_MAX`).
const MAX_PATH: u64 = 4096;
const ET_EXEC: u64 = 2;
const ET_DYN: u64 = 3;
const PT_INTERP: u64 = 3;

/// Numbers of a width and a byte order, at an offset.
struct Fields<'a> {
    bytes: &'a [u8],
    machine: Machine,
}

impl Fields<'_> {
    fn number(&self, at: usize, length: usize) -> u64 {
        let take = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        let bytes = &self.bytes[at..at + length];
        match self.machine.big_endian {
            true => bytes.iter().fold(0, take),
            false => bytes.iter().rev().fold(0, take),
        }
    }

    /// A field whose place and length differ between 32 and 64 bits.
    fn word(&self, narrow: usize, wide: usize) -> u64 {
        match self.machine.wide {
            true => self.number(wide, 8),
            false => self.number(narrow, 4),
        }
    }
}

/// Reads what an ELF file says. The caller has seen [`MAGIC`].
pub fn read(content: &Content) -> Result<Program, ElfError> {
    let ident = window(content, 0, 16, "ELF header")?;
    let wide = match ident[4] {
        1 => false,
        2 => true,
        other => return refused("EI_CLASS", other.into()),
    };
    let big_endian = match ident[5] {
        1 => false,
        2 => true,
        other => return refused("EI_DATA", other.into()),
    };
    let header = window(content, 0, if wide { 64 } else { 52 }, "ELF header")?;
    let mut fields = Fields {
        bytes: &header,
        machine: Machine {
            number: 0,
            wide,
            big_endian,
        },
    };
    fields.machine.number = fields.number(18, 2) as u16;
    let kind = fields.number(16, 2);
    if kind != ET_EXEC && kind != ET_DYN {
        return refused("e_type", kind);
    }
    let (entry_size, expected) = match wide {
        true => (fields.number(54, 2), 56),
        false => (fields.number(42, 2), 32),
    };
    if entry_size != expected {
        return refused("e_phentsize", entry_size);
    }
    let count = fields.number(if wide { 56 } else { 44 }, 2);
    let length = count as usize * expected as usize;
    if length == 0 || length > MAX_TABLE {
        return refused("e_phnum", count);
    }
    let table = window(content, fields.word(28, 32), length, "table of program headers")?;
    Ok(Program {
        machine: fields.machine,
        interpreter: interpreter(content, &table, expected as usize, fields.machine)?,
    })
}

fn interpreter(
    content: &Content,
    table: &[u8],
    entry_size: usize,
    machine: Machine,
) -> Result<Option<Vec<u8>>, ElfError> {
    let found = table
        .chunks_exact(entry_size)
        .map(|bytes| Fields { bytes, machine })
        .find(|entry| entry.number(0, 4) == PT_INTERP);
    let Some(entry) = found else {
        return Ok(None);
    };
    let (offset, size) = (entry.word(4, 8), entry.word(16, 32));
    if !(2..=MAX_PATH).contains(&size) {
        return refused("PT_INTERP p_filesz", size);
    }
    let mut path = window(content, offset, size as usize, "interpreter's path")?;
    if path.last() != Some(&0) {
        return refused("PT_INTERP last byte", path[path.len() - 1].into());
    }
    // The kernel takes it as a C string: up to the first NUL.
    let end = path.iter().position(|&byte| byte == 0);
    path.truncate(end.expect("its last byte is NUL"));
    Ok(Some(path))
}

fn refused<T>(field: &'static str, value: u64) -> Result<T, ElfError> {
    Err(ElfError::Field { field, value })
}

fn window(content: &Content, at: u64, length: usize, part: &'static str) -> Result<Vec<u8>, ElfError> {
    let inside = at
        .checked_add(length as u64)
        .is_some_and(|end| end <= content.len());
    if !inside {
        return Err(ElfError::CutOff { part });
    }
    let mut bytes = vec![0; length];
    content.read_at(at, &mut bytes)?;
    Ok(bytes)
}

/// A least ELF file for tests: one program header, for the interpreter if there is one.
#[cfg(test)]
pub fn of_tests(machine: Machine, interpreter: Option<&[u8]>) -> Vec<u8> {
    let Machine {
        number,
        wide,
        big_endian,
    } = machine;
    let put = |out: &mut Vec<u8>, value: u64, length: usize| {
        let bytes = value.to_be_bytes();
        let tail = &bytes[8 - length..];
        match big_endian {
            true => out.extend(tail),
            false => out.extend(tail.iter().rev()),
        }
    };
    let word = if wide { 8 } else { 4 };
    let (header, entry) = if wide { (64, 56) } else { (52, 32) };
    let mut out = MAGIC.to_vec();
    out.extend([1 + u8::from(wide), 1 + u8::from(big_endian), 1]);
    out.resize(16, 0);
    put(&mut out, ET_EXEC, 2);
    put(&mut out, number.into(), 2);
    put(&mut out, 1, 4);
    for value in [0, header, 0] {
        put(&mut out, value, word);
    }
    put(&mut out, 0, 4);
    for value in [header, entry, 1, 0, 0, 0] {
        put(&mut out, value, 2);
    }
    assert_eq!(out.len() as u64, header);
    let path: Vec<u8> = interpreter.map(|path| [path, b"\0"].concat()).unwrap_or_default();
    put(&mut out, if interpreter.is_some() { PT_INTERP } else { 1 }, 4);
    if wide {
        put(&mut out, 0, 4);
    }
    for value in [header + entry, 0, 0, path.len() as u64] {
        put(&mut out, value, word);
    }
    out.resize((header + entry) as usize, 0);
    out.extend(path);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(architecture: &str) -> Machine {
        let known = MACHINES.iter().find(|known| known.0 == architecture).unwrap();
        Machine {
            number: known.1,
            wide: known.2,
            big_endian: known.3,
        }
    }

    #[test]
    fn programs_of_every_machine() {
        for (architecture, ..) in MACHINES {
            let machine = machine(architecture);
            assert_eq!(machine.architecture(), Some(architecture));
            for interpreter in [None, Some(&b"/lib/ld.so"[..])] {
                let program = read(&Content::inline(of_tests(machine, interpreter))).unwrap();
                let interpreter = interpreter.map(<[u8]>::to_vec);
                assert_eq!(program, Program { machine, interpreter });
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        for architecture in ["amd64", "mips"] {
            let good = of_tests(machine(architecture), Some(b"/lib/ld.so"));
            for length in 0..good.len() {
                assert!(read(&Content::inline(&good[..length])).is_err());
            }
            for at in 0..good.len() {
                for value in [0, 1, 2, 0x7f, 0x80, 0xff] {
                    let mut bytes = good.clone();
                    bytes[at] = value;
                    let _ = read(&Content::inline(bytes.clone()));
                    bytes[at..].fill(value);
                    let _ = read(&Content::inline(bytes));
                }
            }
        }
    }

    #[test]
    fn what_the_kernel_refuses_is_refused() {
        let good = of_tests(machine("amd64"), Some(b"/lib/ld.so"));
        for (at, value, field) in [
            (4, 3, "EI_CLASS"),
            (5, 0, "EI_DATA"),
            (16, 1, "e_type"),
            (54, 57, "e_phentsize"),
            (56, 0, "e_phnum"),
            (64 + 32, 1, "PT_INTERP p_filesz"),
            (good.len() - 1, 7, "PT_INTERP last byte"),
        ] {
            let mut bytes = good.clone();
            bytes[at] = value;
            let expected = refused::<Program>(field, value.into());
            assert_eq!(read(&Content::inline(bytes)), expected);
        }
    }
}
