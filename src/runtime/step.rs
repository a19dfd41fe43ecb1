//! The steps by which runc starts a container, as data: what each does and why, what `/` is then, what is mounted,
//! and what lands in the root file system, that is in the upperdir.

use super::mount_point::MountPoint;
use super::system_call::SystemCall;
use crate::overlay::mount::Call;
use crate::rules::{fill, rules};
use crate::text::escape;

/// One step.
#[derive(Debug, Clone)]
pub struct Step {
    /// Which it is.
    pub rule: StepRule,
    /// What it is about: a path, or what the rule has.
    pub text: String,
    /// The system calls that do it; none for what has no call to show.
    pub calls: Vec<SystemCall>,
    /// What `/` is for the process after it.
    pub root: SeenRoot,
    /// The new namespaces that the process is in after it.
    pub namespaces: Vec<&'static str>,
    /// What is mounted by it, as the container will see it.
    pub mounts: Vec<MountPoint>,
    /// What it does to the root file system: calls to be made there by root, with the umask 022.
    pub upper: Vec<Call>,
}

impl Step {
    /// What it does, in one sentence or two.
    pub fn sentence(&self) -> String {
        fill(self.rule.sentence(), &[("{text}", escape(self.text.as_bytes()))])
    }
}

/// What `/` is for the process that becomes the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeenRoot {
    /// The host's root, with the host's own mounts.
    Host,
    /// The host's root, with mounts that are a copy of the host's.
    HostCopy,
    /// The container's root file system, and the host's root on the same place.
    Stacked,
    /// The container's root file system alone.
    Container,
}

impl SeenRoot {
    /// A stable name.
    pub fn id(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::HostCopy => "host_copy",
            Self::Stacked => "stacked",
            Self::Container => "container",
        }
    }
}

/// What the kernel of a machine shows in `/proc` and `/sys`: of paths that are masked, only these are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Paths, and whether each is a directory.
    pub paths: Vec<(String, bool)>,
}

impl Default for Machine {
    /// A Debian 12 with its own kernel.
    fn default() -> Self {
        let paths = [
            ("/proc/acpi", true),
            ("/proc/bus", true),
            ("/proc/fs", true),
            ("/proc/irq", true),
            ("/proc/kcore", false),
            ("/proc/keys", false),
            ("/proc/sys", true),
            ("/proc/sysrq-trigger", false),
            ("/proc/timer_list", false),
            ("/sys/firmware", true),
        ];
        Self {
            paths: paths
                .map(|(path, is_directory)| (path.to_owned(), is_directory))
                .into(),
        }
    }
}

impl Machine {
    /// Whether the path is a directory; none if it is not there.
    pub(super) fn is_directory(&self, path: &str) -> Option<bool> {
        let mut paths = self.paths.iter();
        paths
            .find(|(known, _)| known == path)
            .map(|(_, is_directory)| *is_directory)
    }
}

rules! {
    /// What a step is. Its sentence has `{text}`; its source is a file of runtime-spec, a function of runc, or a manual
    /// page.
    StepRule;
    BundleRead "bundle.read": "runc reads config.json and makes a state directory with a fifo in it, which will hold the program back until the container is started.", "runtime-spec, runtime.md, Lifecycle";
    CgroupMade "cgroup.make": "A cgroup is made, {text}; its limits and its list of devices hold for every process of the container.", "runtime-spec, config-linux.md, Control groups";
    InitStarted "init.start": "runc starts itself again as `runc init`, from a read-only mount of its own program, lest a container overwrite that.", "runc, nsenter/cloned_binary.c";
    UsersMapped "namespaces.users": "In the new user namespace {text}; outside, the process stays who it was.", "user_namespaces(7)";
    NamespacesLeft "namespaces.unshare": "The process leaves the host's namespaces for new ones: {text}. Its mounts are a copy of the host's, and what it mounts from here on the host does not see.", "unshare(2), mount_namespaces(7)";
    InitForked "namespaces.first": "It forks: the child is process 1 of the new PID namespace and leads a session of its own. This one becomes the container.", "pid_namespaces(7)";
    Loopback "network.loopback": "The new network namespace has `lo` alone, which is brought up: there is no way out.", "network_namespaces(7), runc setupNetwork";
    RootSlave "root.slave": "All mounts become slaves: nothing that is mounted here reaches the host, whatever was shared.", "runc prepareRoot, mount_namespaces(7)";
    RootBound "root.bind": "The root file system is bound onto itself, as pivot_root wants a mount.", "runc prepareRoot, pivot_root(2)";
    MountPointMade "mountpoint.make": "The image has no {text}, so runc makes the directory to mount on: it lands in the upper directory, and stays there when the container has ended.", "runc mountToRootfs";
    MountPointMadeInside "mountpoint.make_inside": "{text} is made to mount on, inside of what was just mounted: it never reaches the upper directory.", "runc mountToRootfs";
    MountProc "mount.proc": "A new proc is mounted at {text}. It shows the processes of the new PID namespace and no others.", "proc(5)";
    MountDev "mount.dev": "An empty tmpfs is mounted at {text}: devices of the image do not count.", "runtime-spec, config-linux.md, Default Devices";
    MountPts "mount.devpts": "A devpts of its own is mounted at {text}: terminals of the container and no others.", "runtime-spec, config-linux.md, Default Filesystems";
    MountShm "mount.shm": "A tmpfs is mounted at {text}, for shared memory (shm_overview(7)).", "runtime-spec, config-linux.md, Default Filesystems";
    MountMqueue "mount.mqueue": "The message queues of the new IPC namespace are mounted at {text}.", "mq_overview(7)";
    MountSys "mount.sysfs": "A sysfs is mounted read-only at {text}. Of network devices it shows those of the new network namespace.", "sysfs(5)";
    MountTmpfs "mount.tmpfs": "A tmpfs is mounted at {text}: what the image has there is hidden, and what is written there never reaches the upper directory.", "containerd, oci/mounts.go";
    MountVolume "mount.volume": "A volume: a tmpfs at {text}, into which runc first copies what the image has there. What is written to it is gone with the container.", "image-spec, conversion.md, Optional Fields";
    MountMode "mount.mode": "What is mounted at {text} gets the mode that the image's directory has.", "runc mountToRootfs";
    DevNodes "dev.nodes": "Six devices are made in /dev: {text}.", "runtime-spec, config-linux.md, Default Devices";
    DevLinks "dev.links": "Links in /dev lead to the process's own descriptors and to the devpts: {text}.", "runtime-spec, runtime-linux.md, Dev symbolic links";
    RootPivoted "root.pivot": "pivot_root makes the root file system `/`; the host's root is mounted on the same place.", "pivot_root(2), runc pivotRoot";
    RootDetached "root.detach": "The host's root is unmounted. From here on no path leads to a file of the host.", "pivot_root(2), umount2(2)";
    CwdMade "cwd.make": "The image has no {text}, where the program is to start, so runc makes it: it lands in the upper directory.", "runc prepareRootfs";
    CwdMadeInside "cwd.make_inside": "{text}, where the program is to start, is made inside of what is mounted there.", "runc prepareRootfs";
    Console "console": "A terminal is made in the devpts and bound to {text}; its other end goes to whoever started runc.", "runtime-spec, config-linux.md, Default Devices";
    RootReadOnly "root.read_only": "The root file system is mounted again, read-only.", "runtime-spec, config.md, Root";
    PathReadOnly "path.read_only": "{text} is bound onto itself read-only: what is written there would change the host's kernel.", "runtime-spec, config-linux.md, Readonly Paths";
    PathMasked "path.mask": "{text} is covered with /dev/null: it tells of the host.", "runtime-spec, config-linux.md, Masked Paths";
    PathMaskedDirectory "path.mask_directory": "{text} is covered with an empty tmpfs: it tells of the host.", "runtime-spec, config-linux.md, Masked Paths";
    NoNewPrivileges "rights.no_new_privileges": "From here on no program gives the process rights that it does not have, whatever its file says.", "prctl(2), PR_SET_NO_NEW_PRIVS";
    RightsDropped "rights.drop": "The process gives up all capabilities but {text}.", "capabilities(7), runc finalizeNamespace";
    Started "process.start": "The container is started: the fifo is opened, and the process becomes {text}.", "runtime-spec, runtime.md, Start";
    Ended "process.exit": "When process 1 ends, the kernel kills all others of its PID namespace; runc ends with its exit code, or with 128 and the number of the signal that killed it.", "pid_namespaces(7), runc run";
    Removed "container.remove": "With the last process the namespaces go, and all that was mounted in them. runc removes the cgroup and its state. What was written to the root file system stays in the upper directory.", "runtime-spec, runtime.md, Delete";
}
