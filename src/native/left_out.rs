//! What a user namespace could not keep of a layer, as lines of a file beside it, and for people.

use super::layer_root::LeftOut;

/// How many of a kind are named.
const NAMED: usize = 10;

/// One line for each: `owner UID:GID COUNT`, `xattr COUNT NAME`, `device PATH`, in which names are escaped.
pub(super) fn text(left_out: &LeftOut) -> String {
    let owners = left_out.owners.iter();
    let owners = owners.map(|((uid, gid), count)| format!("owner {uid}:{gid} {count}\n"));
    let xattrs = left_out.xattrs.iter();
    let xattrs = xattrs.map(|(name, count)| format!("xattr {count} {}\n", hex(name)));
    let devices = left_out.devices.iter();
    let devices = devices.map(|path| format!("device {}\n", hex(path)));
    owners.chain(xattrs).chain(devices).collect()
}

/// Reads what [`text`] wrote; lines that it did not write are nothing.
pub(super) fn parse(text: &[u8]) -> LeftOut {
    let mut left_out = LeftOut::default();
    for line in String::from_utf8_lossy(text).lines() {
        parse_line(line, &mut left_out);
    }
    left_out
}

fn parse_line(line: &str, left_out: &mut LeftOut) -> Option<()> {
    let mut words = line.split(' ');
    match words.next()? {
        "owner" => {
            let (uid, gid) = words.next()?.split_once(':')?;
            let owner = (uid.parse().ok()?, gid.parse().ok()?);
            left_out.owners.insert(owner, words.next()?.parse().ok()?);
        }
        "xattr" => {
            let count = words.next()?.parse().ok()?;
            left_out.xattrs.insert(unhex(words.next()?)?, count);
        }
        "device" => drop(left_out.devices.insert(unhex(words.next()?)?)),
        _ => {}
    }
    Some(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |at: usize| {
        text.get(at..at + 2)
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
    };
    (0..text.len()).step_by(2).map(digit).collect()
}

impl LeftOut {
    /// Adds what was left out of another layer.
    pub fn add(&mut self, other: &Self) {
        for (&owner, count) in &other.owners {
            *self.owners.entry(owner).or_default() += count;
        }
        for (name, count) in &other.xattrs {
            *self.xattrs.entry(name.clone()).or_default() += count;
        }
        self.devices.extend(other.devices.iter().cloned());
    }

    /// Whether everything was kept.
    pub fn is_empty(&self) -> bool {
        self.owners.is_empty() && self.xattrs.is_empty() && self.devices.is_empty()
    }

    /// What it is, for people: a line for each kind.
    pub fn lines(&self) -> Vec<String> {
        let escape = crate::text::escape;
        let files = |count: &u64| match count {
            1 => "1 file".to_owned(),
            count => format!("{count} files"),
        };
        let owners = self.owners.iter();
        let owners = owners.map(|((uid, gid), count)| format!("{uid}:{gid} ({})", files(count)));
        let xattrs = self.xattrs.iter();
        let xattrs = xattrs.map(|(name, count)| format!("{} ({})", escape(name), files(count)));
        let devices = self.devices.iter().map(|path| escape(path));
        let lines = [
            line("owners", self.owners.len(), owners),
            line("extended attributes", self.xattrs.len(), xattrs),
            line("devices", self.devices.len(), devices),
        ];
        lines.into_iter().flatten().collect()
    }
}

fn line(what: &str, count: usize, all: impl Iterator<Item = String>) -> Option<String> {
    let mut named: Vec<String> = all.take(NAMED).collect();
    if count > NAMED {
        named.push(format!("and {} more", count - NAMED));
    }
    (count > 0).then(|| format!("{what} that could not be kept: {}", named.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let left_out = LeftOut {
            owners: [((33, 33), 2), ((0, 4), 1)].into(),
            devices: [b"/dev/null".to_vec(), b"/a \n\xff".to_vec()].into(),
            xattrs: [(b"security.selinux".to_vec(), 7)].into(),
        };
        assert_eq!(parse(text(&left_out).as_bytes()), left_out);
        assert_eq!(
            parse(b"owner 1 2\nxattr x y\ndevice \xff\nother"),
            LeftOut::default()
        );
        let lines = left_out.lines();
        assert_eq!(
            lines[0],
            "owners that could not be kept: 0:4 (1 file), 33:33 (2 files)"
        );
        assert_eq!(lines.len(), 3);
    }
}
