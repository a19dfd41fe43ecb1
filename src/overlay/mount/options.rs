//! The options of a mount.

/// What `redirect_dir` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redirect {
    /// Directories that were moved are found by their redirect, but none is made: the default.
    #[default]
    Follow,
    /// Directories of lower layers can be moved (`redirect_dir=on`).
    On,
    /// Redirects are neither made nor followed (`redirect_dir=nofollow`).
    NoFollow,
}

impl Redirect {
    /// Whether moving a lower directory leaves a redirect, instead of failing with EXDEV.
    pub fn creates(self) -> bool {
        self == Self::On
    }

    /// Whether redirects are followed.
    pub fn follows(self) -> bool {
        self != Self::NoFollow
    }
}

/// The options of a mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `redirect_dir`.
    pub redirect: Redirect,
    /// Marks are kept in `user.overlay.*` instead of `trusted.overlay.*`; redirects are not followed then.
    pub userxattr: bool,
    /// Whether the mount was made in a user namespace that knows root only (`unshare -Urm`): devices cannot be
    /// made, owners not be given, and file handles not be read.
    pub user_namespace: bool,
}

/// Why an overlay cannot be mounted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// More layers than the kernel takes.
    #[error("{count} lower layers, but the kernel takes at most {limit}")]
    TooManyLayers {
        /// How many there are.
        count: usize,
        /// How many it takes.
        limit: usize,
    },
    /// Nothing to put together.
    #[error("an overlay without an upperdir needs at least two lower layers, there are {count}")]
    TooFewLayers {
        /// How many there are.
        count: usize,
    },
    /// An overlay has at least one lower layer.
    #[error("an overlay needs at least one lower layer")]
    NoLayers,
    /// Two options that exclude each other.
    #[error(
        "`userxattr` and `redirect_dir=on` exclude each other: redirects in attributes that every user can set are not to be trusted"
    )]
    UserXattrRedirect,
    /// An option that is not simulated.
    #[error("`{option}` is not simulated: {reason}")]
    NotSimulated {
        /// The option as it was given.
        option: String,
        /// Why.
        reason: &'static str,
    },
    /// No option of overlayfs.
    #[error("overlayfs has no option `{option}`")]
    Unknown {
        /// The option as it was given.
        option: String,
    },
}

impl Options {
    /// How many lower layers the kernel takes (OVL_MAX_STACK).
    pub const MAX_LOWERS: usize = 500;

    /// Whether the kernel would mount so many layers with these options.
    pub fn check(self, lowers: usize, has_upper: bool) -> Result<(), OptionError> {
        if self.userxattr && self.redirect == Redirect::On {
            return Err(OptionError::UserXattrRedirect);
        }
        match (lowers, has_upper) {
            (0, _) => Err(OptionError::NoLayers),
            (1, false) => Err(OptionError::TooFewLayers { count: lowers }),
            (count, _) if count > Self::MAX_LOWERS => Err(OptionError::TooManyLayers {
                count,
                limit: Self::MAX_LOWERS,
            }),
            _ => Ok(()),
        }
    }

    /// The options of a text as mount(8) takes them after `-o`, without the directories.
    pub fn parse(text: &str) -> Result<Self, OptionError> {
        let mut options = Self::default();
        let mut redirect = None;
        for option in text.split(',').filter(|option| !option.is_empty()) {
            match option {
                "redirect_dir=on" => redirect = Some(Redirect::On),
                "redirect_dir=follow" | "redirect_dir=off" => redirect = Some(Redirect::Follow),
                "redirect_dir=nofollow" => redirect = Some(Redirect::NoFollow),
                "userxattr" => options.userxattr = true,
                "index=off" | "metacopy=off" | "xino=off" | "nfs_export=off" => {}
                _ => return Err(refusal(option)),
            }
        }
        options.redirect = match (redirect, options.userxattr) {
            // The two exclude each other: `check` says so.
            (Some(Redirect::On), true) => Redirect::On,
            (_, true) => Redirect::NoFollow,
            (redirect, false) => redirect.unwrap_or_default(),
        };
        Ok(options)
    }
}

fn refusal(option: &str) -> OptionError {
    let key = option.split('=').next().unwrap_or_default();
    let reason = match key {
        "metacopy" => "a copy of attributes without the content is read only by mounts with that option",
        "index" | "nfs_export" => "hard links stay broken by copy-up, as container engines mount it",
        "xino" => "inode numbers are as on layers of one file system",
        "datadir+" => "data-only layers hold no names",
        "lowerdir" | "lowerdir+" | "upperdir" | "workdir" => "the layers are given apart from the options",
        "uuid" | "volatile" | "fsync" | "verity" | "default_permissions" => {
            "it changes nothing that is simulated here"
        }
        _ => {
            return OptionError::Unknown {
                option: option.to_owned(),
            };
        }
    };
    OptionError::NotSimulated {
        option: option.to_owned(),
        reason,
    }
}
