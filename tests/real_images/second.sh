# The second round, on a root file system that had the first: it takes back, hides and changes what that one made.
# Usage: sh -eu second.sh ROOT
cd "$1"

# What was gone is there again.
echo 13 > etc/debian_version
mkdir usr/share/perl5 && echo again > usr/share/perl5/again
mknod dev/full c 1 7

# What was there is gone: new files, one name of three, a device, all of a deep directory.
rm opt/dangling opt/two dev/handroll-char 'opt/names *'
rm -r opt/0*

# The opaque directory becomes one once more, and empty.
rm -r usr/share/common-licenses
mkdir usr/share/common-licenses

# Kinds change back.
rm -r etc/issue && echo issue > etc/issue
rm usr/share/menu && mkdir usr/share/menu
rm etc/issue.net && ln -s issue etc/issue.net

# Attributes of what the layer below brought.
chmod 0755 opt/privileged
setfattr -n user.note -v 'another' opt/one
setfattr -x user.bytes opt/holes
chown 0:0 home

# A directory moves, and so a file of the lowest layer.
mv usr/share/doc/tar usr/share/tar-doc
mv etc/fstab etc/fstab.moved
