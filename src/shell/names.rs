//! The names of users and groups, as the mounted file system's own `/etc/passwd` and `/etc/group` have them.

use super::job::Job;

/// The longest file that is read.
const LIMIT: u64 = 1 << 20;

/// Names and their numbers, in the file's order.
pub(super) type NameTable = Vec<(Vec<u8>, u32)>;

fn load(job: &mut Job<'_>, path: &[u8]) -> NameTable {
    let bytes = job
        .content(path)
        .ok()
        .and_then(|content| content.read_all(LIMIT).ok());
    let bytes = bytes.unwrap_or_default();
    let lines = bytes.split(|&byte| byte == b'\n');
    let entry = |line: &[u8]| {
        let mut fields = line.split(|&byte| byte == b':');
        let name = fields.next()?.to_vec();
        let number = std::str::from_utf8(fields.nth(1)?).ok()?.parse().ok()?;
        Some((name, number))
    };
    lines.filter_map(entry).collect()
}

fn users<'j>(job: &'j mut Job<'_>) -> &'j NameTable {
    if job.users.is_none() {
        job.users = Some(load(job, b"/etc/passwd"));
    }
    job.users.as_ref().expect("it was just set")
}

fn groups<'j>(job: &'j mut Job<'_>) -> &'j NameTable {
    if job.groups.is_none() {
        job.groups = Some(load(job, b"/etc/group"));
    }
    job.groups.as_ref().expect("it was just set")
}

fn name_of(table: &NameTable, number: u32) -> Option<Vec<u8>> {
    let entry = table.iter().find(|(_, other)| *other == number);
    entry.map(|(name, _)| name.clone())
}

fn number_of(table: &NameTable, name: &[u8]) -> Option<u32> {
    let entry = table.iter().find(|(other, _)| other == name);
    entry.map(|(_, number)| *number)
}

pub(super) fn user_name(job: &mut Job<'_>, uid: u32) -> Option<Vec<u8>> {
    name_of(users(job), uid)
}

pub(super) fn group_name(job: &mut Job<'_>, gid: u32) -> Option<Vec<u8>> {
    name_of(groups(job), gid)
}

pub(super) fn user_number(job: &mut Job<'_>, name: &[u8]) -> Option<u32> {
    number(name).or_else(|| number_of(users(job), name))
}

pub(super) fn group_number(job: &mut Job<'_>, name: &[u8]) -> Option<u32> {
    number(name).or_else(|| number_of(groups(job), name))
}

fn number(text: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(text).ok()?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| is_number)?;
    // All ones says that an owner stays.
    (number != u32::MAX).then_some(number)
}
