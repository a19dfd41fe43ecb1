//! What commands there are, and what they do.

use super::option::{Command, Opt};
use super::{
    attribute, copy, create, disk_usage, find, grep, list, read, remove, rename, stat, tree, words, xattr,
};

pub(super) const COMMANDS: &[Command] = &[
    list::LS,
    tree::TREE,
    find::FIND,
    stat::STAT,
    disk_usage::DU,
    read::CAT,
    read::HEAD,
    read::TAIL,
    read::WC,
    grep::GREP,
    read::SHA256SUM,
    read::READLINK,
    words::ECHO,
    create::TOUCH,
    create::TRUNCATE,
    create::MKDIR,
    create::LN,
    create::MKNOD,
    copy::CP,
    rename::MV,
    remove::RM,
    remove::RMDIR,
    attribute::CHMOD,
    attribute::CHOWN,
    attribute::CHGRP,
    xattr::GETFATTR,
    xattr::SETFATTR,
    words::CD,
    words::PWD,
    words::MOUNT,
    words::WHOAMI,
    words::ID,
    words::TEST,
    words::BRACKET,
    words::TRUE,
    words::FALSE,
    words::HELP,
];

/// All commands, a line each.
pub(super) fn overview(programs: &[&str]) -> String {
    let mut text =
        "A small shell: commands, quotes, patterns (* ? [a-z]), ; && || |, < > >> 2>, $(...), NAME=VALUE and $NAME,\n\
                    if, for, $? $PWD ~, # comments.\n\
                    `help COMMAND` or `COMMAND --help` tells more.\n\n"
            .to_owned();
    for command in COMMANDS {
        let first = command
            .about
            .split_inclusive(['.', ';'])
            .next()
            .unwrap_or_default();
        text += &format!("{:10} {}\n", command.name, first.trim_end_matches(['.', ';']));
    }
    for program in programs {
        text += &format!("{program:10} A program of this machine: `{program} --help` tells more\n");
    }
    text
}

/// All of one command.
pub(super) fn text(command: &Command) -> String {
    let mut text = format!("Usage: {} {}\n{}\n", command.name, command.usage, command.about);
    for option in command.options {
        text += &format!("  {:30} {}\n", names(option), option.about);
    }
    text
}

fn names(option: &Opt) -> String {
    let long = match (option.long, option.value) {
        ("", "") => String::new(),
        ("", value) => format!(" {value}"),
        (long, "") => format!(", --{long}"),
        (long, value) => format!(", --{long}={value}"),
    };
    format!("-{}{long}", option.short)
}
