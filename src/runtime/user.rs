//! Who `User` of a configuration is, by the image's own /etc/passwd and /etc/group (passwd(5), group(5)).

use super::RuntimeError;
use super::convert::Manner;
use super::spec::User;
use crate::image::root::{Root, RootKind, resolve};

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";
/// The most bytes of such a file that are read.
const LIMIT: u64 = 16 << 20;
/// The largest id: runc's and Docker's limit.
const MAX_ID: u32 = (1 << 31) - 1;

struct Account {
    name: Vec<u8>,
    uid: u32,
    gid: u32,
}

struct Group {
    name: Vec<u8>,
    gid: u32,
    members: Vec<Vec<u8>>,
}

/// The user that `text` names; of an empty text root.
pub fn user(text: &str, manner: Manner, root: &dyn Root) -> Result<User, RuntimeError> {
    let malformed = || RuntimeError::UserForm {
        value: text.to_owned(),
    };
    let (name, group) = match text.split_once(':') {
        Some((_, group)) if group.contains(':') => return Err(malformed()),
        Some((name, group)) => (name, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    };
    let number = |text: &str| -> Result<Option<u32>, RuntimeError> {
        match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => {
                let id = text.parse().ok().filter(|&id| id <= MAX_ID);
                id.map(Some).ok_or_else(malformed)
            }
            false => Ok(None),
        }
    };
    let name = if name.is_empty() { "root" } else { name };
    let accounts = accounts(root)?;
    let (account, uid) = match number(name)? {
        Some(uid) => (accounts.found(|account| account.uid == uid), uid),
        None => {
            let account = accounts.found(|account| account.name == name.as_bytes());
            // Who asks for nobody in particular is root, in an image without users too.
            match (account, text.is_empty()) {
                (Some(account), _) => (Some(account), account.uid),
                (None, true) => (None, 0),
                (None, false) => return Err(accounts.unknown("user", name, PASSWD)),
            }
        }
    };
    let groups = groups(root)?;
    let gid = match group {
        None => account.map_or(0, |account| account.gid),
        Some(group) => match number(group)? {
            Some(gid) => gid,
            None => match groups.found(|known| known.name == group.as_bytes()) {
                Some(known) => known.gid,
                None => return Err(groups.unknown("group", group, GROUP)),
            },
        },
    };
    let has_others = group.is_none() || manner == Manner::Containerd;
    let user_name = match (account, text.is_empty()) {
        (Some(account), _) => Some(&account.name[..]),
        (None, is_root) => is_root.then_some(&b"root"[..]),
    };
    let mut additional_gids = match user_name.filter(|_| has_others) {
        Some(name) => groups.of_member(name),
        None => Vec::new(),
    };
    // containerd puts the user's own group first: else it could be dropped to get around a file's permissions.
    if !additional_gids.contains(&gid) {
        additional_gids.insert(0, gid);
    }
    Ok(User {
        uid,
        gid,
        additional_gids,
    })
}

/// The home of a user, as runc sets HOME: `/` of one that the image does not know.
pub fn home_of(uid: u32, root: &dyn Root) -> Vec<u8> {
    let homes = table(root, PASSWD, |fields| {
        let home = fields.get(5)?.to_vec();
        Some((id(fields.get(2)?)?, home))
    });
    let homes = homes.map(|table| table.rows).unwrap_or_default();
    let found = homes.into_iter().find(|(of, _)| *of == uid);
    found.map_or_else(|| b"/".to_vec(), |(_, home)| home)
}

/// What a file has, and why it has nothing.
struct Table<T> {
    rows: Vec<T>,
    reason: Option<String>,
}

impl<T> Table<T> {
    fn found(&self, is_it: impl Fn(&T) -> bool) -> Option<&T> {
        self.rows.iter().find(|row| is_it(row))
    }

    fn unknown(&self, what: &'static str, name: &str, file: &'static str) -> RuntimeError {
        RuntimeError::Unknown {
            what,
            name: name.to_owned(),
            file,
            reason: self.reason.clone(),
        }
    }
}

impl Table<Group> {
    /// The groups that this user is a member of, but for the one of the same name.
    fn of_member(&self, user: &[u8]) -> Vec<u32> {
        let is_in = |group: &&Group| group.name != user && group.members.iter().any(|member| member == user);
        self.rows.iter().filter(is_in).map(|group| group.gid).collect()
    }
}

fn accounts(root: &dyn Root) -> Result<Table<Account>, RuntimeError> {
    table(root, PASSWD, |fields| {
        Some(Account {
            name: fields.first()?.to_vec(),
            uid: id(fields.get(2)?)?,
            gid: id(fields.get(3)?)?,
        })
    })
}

fn groups(root: &dyn Root) -> Result<Table<Group>, RuntimeError> {
    table(root, GROUP, |fields| {
        let members = fields.get(3).map(|members| members.split(|&byte| byte == b','));
        Some(Group {
            name: fields.first()?.to_vec(),
            gid: id(fields.get(2)?)?,
            members: members.into_iter().flatten().map(<[u8]>::to_vec).collect(),
        })
    })
}

/// The lines of a file of the image. One without a number where a number belongs is no line of it: containerd reads 0
/// there, which would be root.
fn table<T>(
    root: &dyn Root,
    file: &'static str,
    row: impl Fn(&[&[u8]]) -> Option<T>,
) -> Result<Table<T>, RuntimeError> {
    let failed = |reason: String| RuntimeError::UserFile { file, reason };
    let content = match resolve(root, file.as_bytes()) {
        Err(dead) => {
            return Ok(Table {
                rows: Vec::new(),
                reason: Some(dead.reason()),
            });
        }
        Ok((_, entry)) => match entry.kind {
            RootKind::File(content) => content,
            _ => return Err(failed("it is not a regular file".to_owned())),
        },
    };
    if content.len() > LIMIT {
        return Err(failed(format!("it has more than {LIMIT} bytes")));
    }
    let mut bytes = vec![0; content.len() as usize];
    content
        .read_at(0, &mut bytes)
        .map_err(|error| failed(error.to_string()))?;
    let lines = bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let fields = lines.map(|line| line.split(|&byte| byte == b':').collect::<Vec<_>>());
    Ok(Table {
        rows: fields.filter_map(|fields| row(&fields)).collect(),
        reason: None,
    })
}

fn id(field: &[u8]) -> Option<u32> {
    str::from_utf8(field).ok()?.parse().ok()
}
